"""A report as one page: everything is within it, nothing is loaded, and it works from a disk.

The page is a template (`page.html`) in which Jinja2 escapes every text, so that a design called
`<script>` is a word. Were that to fail, the page's own policy (CSP) still runs one script only: the
one whose hash it names.
"""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import TYPE_CHECKING, Any

from cost_models import Band
from dse.report.content import Cell, Column, Part, Report, middle, printable, shown
from dse.report.svg import svg_inline

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

SHORT = 26
"""Letters of a text that stays on one line."""


def html_page(report: Report) -> str:
    """The page as one text: style, script and plots (SVG) are within it."""
    style, script = _resource("page.css"), _resource("page.js")
    return _template().render(report=report, style=style, script=script)


@cache
def _template() -> "Template":
    from jinja2 import Environment
    from markupsafe import Markup

    def finalised(value: Any) -> Any:
        return value if isinstance(value, Markup) else printable(str(value))

    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=finalised)
    page.globals |= {"hash": _hash, "svg": svg_inline, "kind": _kind, "drawn": _cell}
    page.filters["commands"] = _commands
    return page.from_string(_resource("page.html"))


def _resource(name: str) -> str:
    return files("dse.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _commands(sentence: str) -> "Markup":
    """A sentence in which commands between backticks are code; all else is escaped."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in re.split(r"`(dse [^`]+)`", printable(sentence))]
    codes = (Markup("<code>{}</code>").format(part) for part in parts[1::2])
    return Markup("").join([parts[0], *chain.from_iterable(zip(codes, parts[2::2], strict=True))])


def _kind(column: Column) -> str:
    return "text" if column.form == "text" else "number"


def _cell(column: Column, cell: Cell) -> "Markup":
    """A cell: the number, what stands beside it in a quieter colour, and what it is sorted by.

    `data-value` is the number in full: "12,300 (9,100 to 15,000)" cannot be sorted by its letters.
    """
    from markupsafe import Markup

    words, kind, value = printable(column.show(cell)), _kind(column), ""
    if isinstance(cell, str) and len(cell) <= SHORT:
        kind = "text short"
    number = middle(cell)
    if isinstance(number, int | float):
        value = Markup(' data-value="{}"').format(repr(number))
    inner = Markup("{}").format(words)
    if isinstance(cell, Band | Part) and isinstance(number, float):
        first = shown(number, column.form)
        beside = words.removeprefix(first)
        inner = Markup('{}<span class="band">{}</span>').format(first, beside) if beside else inner
    return Markup('<td class="{}"{}>{}</td>').format(kind, value, inner)
