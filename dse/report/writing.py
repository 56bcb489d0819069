"""From a report to files: which formats there are, where they go, and nothing half-written.

The same report gives the same bytes in each format, so that a report in version control changes
when its numbers do. Hence no date of making in any of them: where a format must have one (ZIP,
XLSX, PDF), it is fixed, or that of the last result.
"""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dse.errors import InvalidInput
from dse.files import write_together
from dse.report.content import Report
from dse.report.html import html_page
from dse.report.markdown import markdown_files
from dse.report.pdf import pdf_document
from dse.report.tables import csv_text, json_text, xlsx_bytes

FORMATS = ("html", "pdf", "md", "csv", "json", "xlsx")
"""All formats; `csv` is a file a table, `md` has its plots beside it."""

SINGLE: dict[str, Callable[[Report], bytes]] = {
    "html": lambda report: html_page(report).encode(),
    "pdf": pdf_document,
    "json": lambda report: json_text(report).encode(),
    "xlsx": xlsx_bytes,
}

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date of a ZIP: archives of equal content are equal."""


def render_files(report: Report, form: str) -> dict[str, bytes]:
    """Path within a folder -> content, of one format.

    Raises:
        InvalidInput: there is no such format, or its library is not installed.
    """
    if form in SINGLE:
        return {f"{report.name}.{form}": SINGLE[form](report)}
    if form == "md":
        return markdown_files(report)
    if form == "csv":
        return {f"csv/{table.name}.csv": csv_text(table).encode() for table in report.tables}
    raise InvalidInput(f"there is no format {form!r}: formats are {', '.join(FORMATS)}")


def render(report: Report, form: str) -> bytes:
    """A report as the bytes of one file: for a download.

    Formats of several files (`md`, `csv`) come as a ZIP archive.

    Raises:
        InvalidInput: there is no such format, or its library is not installed.
    """
    files = render_files(report, form)
    if form in SINGLE:
        (content,) = files.values()
        return content
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Permissions of Unix, in the upper half: without them unpacked files cannot be read.
            entry.external_attr = 0o644 << 16
            writer.writestr(entry, content)
    return archive.getvalue()


def write_report(report: Report, out: Path, formats: Sequence[str] = ("html",)) -> list[Path]:
    """Write a report.

    All formats are made before the first file is written, and no file is replaced before all are
    on the disk: a library that is missing leaves nothing behind, a full disk the old files.

    Args:
        report: what to write.
        out: a folder, made where there is none; or a file of a format that is one file, by its
            suffix (then `formats` names no other).
        formats: of `FORMATS`.

    Returns:
        The files, main ones first.

    Raises:
        InvalidInput: a format is unknown or its library is not installed; or `out` does not fit.
        OSError: the disk is full, or the place may not be written to.
    """
    suffix = out.suffix.removeprefix(".")
    if not out.is_dir() and suffix in FORMATS:
        if suffix not in SINGLE:
            raise InvalidInput(
                f"{out}: {suffix} is several files, a table or a plot each; name a folder"
            )
        if set(formats) != {suffix}:
            raise InvalidInput(
                f"{out} is one file of format {suffix}, and asked for are {', '.join(formats)}; "
                "name a folder for several formats"
            )
        write_together(out.parent, {out.name: SINGLE[suffix](report)})
        return [out]
    contents = {
        name: content
        for form in dict.fromkeys(formats)
        for name, content in render_files(report, form).items()
    }
    write_together(out, contents)
    return [out / name for name in contents]
