"""Texts of studies, made harmless: a name may hold Markdown, HTML or a spreadsheet's formula.

Widgets' options, tables and `st.text` show texts as they are; titles, captions and labels read
Markdown, in which an image would make the reader's browser ask another machine for it.
"""

import math
import re
from contextvars import ContextVar

import pandas as pd

from dse.columns import LABELS, MEASURED_COLUMNS, percent_text, significant, typeset
from dse.errors import printable

_COMMAND = re.compile(r"\\`(dse [^`]*)\\`")
"""A command of ours between backticks, which are escaped by then."""
_ESCAPED = re.compile(r"\\(.)")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$:~@^=])")
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
    """What went wrong, as `plain`, but long enough for its remedy; commands in it are code.

    For messages of errors, which quote what stands in files, and may go to `st.error` only so.
    """
    words = plain(text, LONGEST_SENTENCE)
    return typeset(_COMMAND.sub(lambda found: "`" + _ESCAPED.sub(r"\1", found[1]) + "`", words))


def unit_of(column: str) -> tuple[str, float]:
    """Unit of a column as people read it, and the factor from the column's own unit to it."""
    _, unit, factor = LABELS[column]
    return unit, factor


def amount(value: float, column: str) -> str:
    """A figure in the unit of its label, without the unit: three significant digits, or a count."""
    unit, _ = unit_of(column)
    if unit in ("", "cycles"):
        return f"{value:,.0f}"
    return percent_text(value) if unit == "%" else significant(value)


def with_unit(value: float, column: str) -> str:
    """A figure in the unit of its label, and the unit."""
    return f"{amount(value, column)} {unit_of(column)[0]}".rstrip()


def figure(value: float, column: str) -> str:
    """A figure of a column with its unit: `1.23 µJ`; a hyphen where there is none.

    Args:
        value: in the unit of the results file (pJ, a share), not of `scaled_frame`: it is converted
            here.
        column: of `dse.columns.LABELS`.
    """
    return "-" if value != value else with_unit(value * unit_of(column)[1], column)


_ERROR = ContextVar("error", default="error")
"""What an error is called on the page that is drawn; each run of a page has a thread of its own."""


def call_errors(name: str) -> None:
    """Have errors called so on the rest of the page, as `StudySpec.error_name` says."""
    _ERROR.set(name)


def error_name() -> str:
    """What an error is called on this page: `word error rate`."""
    return _ERROR.get()


def name_of(column: str) -> str:
    """A column of `dse.columns.LABELS` for people, without its unit."""
    name = LABELS[column][0]
    return name.replace("error", error_name(), 1) if column in MEASURED_COLUMNS else name


def label(column: str) -> str:
    """A column as an axis or heading, with its unit; any other name as it is."""
    if column in LABELS:
        unit = LABELS[column][1]
        return f"{name_of(column)} ({unit})" if unit else name_of(column)
    names = {
        "training_seconds": "training time (s)",
        "best_epoch": "best epoch",
        "accelerator": "machine",
    }
    return names.get(column, column.removeprefix("axis_").replace("_", " "))


def amount_format(figures: "pd.Series[float]") -> str:
    """How a table's column writes its figures, as `st.column_config.NumberColumn` is told.

    As many decimals for all, so that points stand below each other: enough for three significant
    digits of the median. Figures of more digits are grouped, never written as powers of ten.
    """
    known = figures[figures.abs() > 0].dropna()
    if not len(known) or (known == known.round()).all():
        return "%,d"
    middle = float(known.abs().median())
    return f"%,.{max(0, 2 - math.floor(math.log10(middle)))}f"
