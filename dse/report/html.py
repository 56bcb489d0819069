"""A report as one page: everything is within it, nothing is loaded, and it works from a disk.

Every text goes through `text`, so that a design called `<script>` is a word. Were that to fail, the
page's own policy (CSP) still runs one script only: the one whose hash it names.
"""

import base64
import hashlib
from importlib.resources import files

from cost_models import Band
from dse.report.content import Cell, Column, Plot, Report, Section, Table, shown
from dse.report.drawing import draw
from dse.report.svg import svg_inline, text

SHORT = 26
"""Letters of a text that stays on one line."""


def html_page(report: Report) -> str:
    """The page."""
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    links = "".join(
        f'<a href="#{text(section.name)}">{text(section.title)}</a>\n'
        for section in report.sections
        if section.level == 2
    )
    body = "\n".join(_section(section) for section in report.sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="ternary-dse {text(report.version)}">
<title>{text(report.title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{text(report.title)}</h1>
<p class="subtitle">{text(report.subtitle)}</p>
</header>
<nav aria-label="Contents">
{links}</nav>
<main>
{body}
</main>
<footer>Made by ternary-dse {text(report.version)}, <code>dse report</code>.</footer>
<div id="tip" role="status" hidden></div>
<script>{script}</script>
</body>
</html>
"""


def _resource(name: str) -> str:
    return files("dse.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _section(section: Section) -> str:
    level = section.level
    parts = [f"<h{level}>{text(section.title)}</h{level}>"]
    parts += [f"<p>{text(sentence)}</p>" for sentence in section.sentences]
    if section.points:
        items = "\n".join(f"<li>{text(point)}</li>" for point in section.points)
        parts.append(f"<ul>\n{items}\n</ul>")
    if section.code:
        parts.append(f"<pre>{text(chr(10).join(section.code))}</pre>")
    parts += [_figure(plot) for plot in section.plots]
    parts += [_table(table) for table in section.tables if table.rows]
    content = "\n".join(parts)
    return f'<section id="{text(section.name)}">\n{content}\n</section>'


def _figure(plot: Plot) -> str:
    return f'<figure id="plot-{text(plot.name)}">\n{svg_inline(draw(plot))}\n</figure>'


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col" class="{_kind(column)}">{text(column.title)}</th>'
        for column in table.columns
    )
    marks = table.marks or (False,) * len(table.rows)
    some = any(marks) and not all(marks)
    rows = []
    for row, marked in zip(table.rows, marks, strict=True):
        cells = "".join(_cell(c, v) for c, v in zip(table.columns, row, strict=True))
        rows.append(f'<tr class="front">{cells}</tr>' if some and marked else f"<tr>{cells}</tr>")
    legend = " Shaded: on the frontier." if some else ""
    note = f"{table.note}{legend}".strip()
    return (
        f'<div class="wide"><table id="table-{text(table.name)}">\n'
        f"<caption>{text(table.title)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>\n"
        + (f'<p class="note">{text(note)}</p>' if note else "")
    )


def _kind(column: Column) -> str:
    return "text" if column.form == "text" else "number"


def _cell(column: Column, cell: Cell) -> str:
    kind = _kind(column)
    if isinstance(cell, Band):
        words = text(shown(cell.mid, column.form))
        band = text(column.show(cell).removeprefix(shown(cell.mid, column.form)).strip())
        inner = f'{words} <span class="band">{band}</span>' if band else words
        return f'<td class="{kind}" data-value="{cell.mid!r}">{inner}</td>'
    if isinstance(cell, str) and len(cell) <= SHORT:
        kind = "text short"
    value = f' data-value="{cell!r}"' if isinstance(cell, int | float) else ""
    return f'<td class="{kind}"{value}>{text(column.show(cell))}</td>'
