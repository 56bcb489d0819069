"""Tables as CSV: the one writer of everything that a spreadsheet may open.

Two traps, and both belong to the writer, since a table does not know where its texts come from:

* A spreadsheet computes a text that begins like a formula, so a study called `=HYPERLINK(...)` acts
  in the file of a colleague who opens it. Such a text gets an apostrophe in front, as spreadsheets
  themselves have it. Numbers are never touched: `-3` stays a number.
* A carriage return or line feed within a name begins a new line for many readers, and what stands
  behind it a cell of its own. Control characters become spaces.

Floats stand as Python's `repr` has them, the shortest text that reads back as the same number; what
is not known is empty, which is not 0. Lines end in a line feed on all systems.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a text that spreadsheets take for a formula; the last four are full-width."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def csv_cell(value: object) -> str:
    """A value as CSV has it: a text that a spreadsheet would compute has an apostrophe in front.

    Args:
        value: text, number, truth value, or None; numpy's scalars as Python's. NaN is not known.
    """
    if hasattr(value, "item"):  # a scalar of numpy
        value = value.item()
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        line = _CONTROLS.sub(" ", value)
        # Spreadsheets skip spaces before they look for a formula.
        return f"'{line}" if line.lstrip().startswith(FORMULA) else line
    return repr(value) if isinstance(value, float) else str(value)


def csv_lines(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A line of names, then a line a row.

    Args:
        names: headings of the columns; they are texts, and guarded like others.
        rows: values in the order of the names.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in names])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_records(rows: Iterable[Mapping[str, object]]) -> str:
    """Rows by name; columns in the order in which they first appear.

    A row need not have all columns: what it lacks is left empty.
    """
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    return csv_lines(names, ([row.get(name) for name in names] for row in listed))


def csv_frame(frame: "pd.DataFrame") -> str:
    """A frame without its index."""
    columns = [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]
    return csv_lines([str(name) for name in frame.columns], zip(*columns, strict=True))
