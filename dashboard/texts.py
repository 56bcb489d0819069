"""Texts of studies, made harmless: a name may hold Markdown, HTML or a spreadsheet's formula.

Widgets' options, tables and `st.text` show texts as they are; titles, captions and labels read
Markdown, in which an image would make the reader's browser ask another machine for it.
"""

import re

from dse.columns import LABELS, axis_label, shown
from dse.errors import printable

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$:~@^=])")
_UNITS = {"uJ": "µJ", "uW": "µW", "mm2": "mm²", "um2": "µm²"}
_UNIT = re.compile(rf"\b({'|'.join(_UNITS)})\b")
LONGEST = 120
"""Characters of a name that a page shows."""
LONGEST_SENTENCE = 1_000
STATUS_HELP = {
    "trained": "within the limits, trained",
    "stopped": "trained for fewer epochs: others were better by then",
    "reused": "trained by another study",
    "infeasible": "over a limit: priced, not trained",
    "duplicate": "trained before under another number",
    "invalid": "no such network, or the machine cannot execute it",
    "failed": "training gave no number",
}
"""Statuses of today; a page shows others as they are called."""


def plain(text: object, longest: int = LONGEST) -> str:
    """A text for Markdown, in which nothing of it is Markdown; one line, not too long."""
    line = " ".join(printable(str(text)).split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    return _MARKDOWN.sub(r"\\\1", line)


def sentence(text: object) -> str:
    """What went wrong, as `plain`, but long enough for its remedy.

    For messages of errors, which quote what stands in files, and may go to `st.error` only so.
    """
    return units(plain(text, LONGEST_SENTENCE))


def units(text: str) -> str:
    """A text with units as people write them: `µJ` and `mm²` for `uJ` and `mm2`.

    Files and terminals have the plain letters, which every program can read; a page has all.
    """
    return _UNIT.sub(lambda found: _UNITS[found[0]], text)


def figure(value: float, column: str) -> str:
    """A figure of a column with its unit: `1.23 µJ`; a hyphen where there is none.

    Args:
        value: in the unit of the results file (pJ, a share), not of `scaled_frame`: it is converted
            here.
        column: of `dse.columns.LABELS`.
    """
    if value != value:  # NaN
        return "-"
    unit = LABELS[column][1]
    return units(f"{shown(value, column)} {unit}".rstrip())


def label(column: str) -> str:
    """A column as an axis or heading, with its unit; any other name as it is."""
    if column in LABELS:
        return units(axis_label(column))
    names = {
        "training_seconds": "training time (s)",
        "best_epoch": "best epoch",
        "accelerator": "machine",
    }
    return names.get(column, column.removeprefix("axis_").replace("_", " "))
