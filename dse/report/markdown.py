r"""A report as Markdown that GitHub renders, with its plots as SVG files beside it.

Texts are texts: what Markdown or HTML would take for markup is escaped. A line of a table is one
line, so line breaks become spaces.
"""

import re

from dse.report.content import Cell, Column, Report, Section, Table
from dse.report.svg import svg_file

SPECIAL = re.compile(r"([\\`*\[\]|~$#!{}])")
LINK = re.compile(r"(?i)(https?|ftp|www|mailto|xmpp)([:.])")


def markdown_files(report: Report) -> dict[str, bytes]:
    """File name -> content: the page, and a picture for each plot."""
    pictures = {f"{report.name}-{plot.name}.svg": svg_file(plot).encode() for plot in report.plots}
    return {f"{report.name}.md": markdown_page(report).encode()} | pictures


def markdown_page(report: Report) -> str:
    """The page alone; it links to its plots as `<report>-<plot>.svg`, beside it."""
    parts = [f"# {plain(report.title)}", plain(report.subtitle)]
    for section in report.sections:
        parts += _section(section, report.name)
    parts.append(f"*Made by ternary-dse {plain(report.version)}, `dse report`.*")
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str, *, inside: bool = False) -> str:
    """A text that stays a text: one line, nothing in it is markup, a link or a mention.

    Args:
        text: anything.
        inside: it does not begin its line, so it cannot begin a list or a heading.
    """
    text = " ".join("".join(c if c >= " " else " " for c in text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = SPECIAL.sub(r"\\\1", text)
    text = LINK.sub(lambda match: f"{match[1]}&#{ord(match[2])};", text)
    text = text.replace("@", "&#64;")
    # An underscore within a word is no emphasis.
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    if inside:
        return text
    # At the beginning of a line these would be a list, a rule or a heading.
    return re.sub(r"^([-+=]|\d+(?=[.)]))", lambda m: f"&#{ord(m[1][0])};{m[1][1:]}", text)


def _section(section: Section, name: str) -> list[str]:
    parts = [f"{'#' * section.level} {plain(section.title)}"]
    parts += [plain(sentence) for sentence in section.sentences]
    if section.points:
        parts.append("\n".join(f"* {plain(point)}" for point in section.points))
    if section.code:
        # The fence is longer than any that a text could close it with.
        code = "\n".join(_one_line(line) for line in section.code)
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", code))])
        parts.append(f"{fence}sh\n{code}\n{fence}")
    parts += [f"![{plain(plot.title)}]({name}-{plot.name}.svg)" for plot in section.plots]
    for table in section.tables:
        parts += _table(table)
    return parts


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _table(table: Table) -> list[str]:
    if not table.rows:
        return []
    head = [plain(column.title) for column in table.columns]
    lines = [_line(head), _line([_rule(column) for column in table.columns])]
    for number, row in enumerate(table.rows):
        cells = [_cell(column, cell) for column, cell in zip(table.columns, row, strict=True)]
        if table.marked(number):
            cells[0] = f"**{cells[0]}**"
        lines.append(_line(cells))
    note = table.notes("Bold")
    return [f"**{plain(table.title)}**", "\n".join(lines), plain(note) if note else ""]


def _cell(column: Column, cell: Cell) -> str:
    return plain(column.show(cell), inside=True)


def _rule(column: Column) -> str:
    return "---" if column.form == "text" else "---:"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
