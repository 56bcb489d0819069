"""Content in a terminal: tables of rich, as wide as they need where nobody looks (a pipe, a file).

A table of few rows and many columns (totals of designs) stands on its side: a line a figure, a
column a design.

Widths are kept so that a figure is never cut: a pipe or a file has no width, so tables take what
they need there, and `grep` finds a row on one line. In a terminal cells fold instead.
"""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from cost_models import Band
from dse.report.content import Cell, Column, Section, Table, shown

MIN_WIDTH = 118  # columns
MAX_WIDTH = 10_000
SIDEWAYS = 16
"""A table of more columns stands on its side."""
BANDS = 8
"""A table of more columns has middle figures only."""


def print_sections(sections: Sequence[Section], console: Console) -> None:
    """Print sentences, lists and tables; tables have their titles, sections none.

    Plots and code are left out, and so are tables without rows.

    Args:
        sections: what to print.
        console: is widened to at least `MIN_WIDTH` columns, and stays so.
    """
    console.width = max(console.width, MIN_WIDTH)
    for section in sections:
        for text in (*section.sentences, *section.points):
            console.print(text, markup=False)
        for table in section.tables:
            if table.rows:
                _print_table(table, console)


def _print_table(table: Table, console: Console) -> None:
    printed = _sideways(table) if len(table.columns) > SIDEWAYS else _upright(table)
    usual = console.width
    if not console.is_terminal:
        console.width = MAX_WIDTH
        console.width = max(usual, console.measure(printed).maximum)
    console.print(printed)
    console.width = usual


def _upright(table: Table) -> Printed:
    printed = Printed(title=escape(table.title), title_justify="left", box=SIMPLE_HEAD)
    printed.pad_edge = False
    wide = len(table.columns) <= BANDS
    kept = [index for index, column in enumerate(table.columns) if not column.aside]
    for index in kept:
        column = table.columns[index]
        justify = "left" if column.form == "text" else "right"
        printed.add_column(escape(column.title), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in table.rows:
        printed.add_row(*(escape(_cell(table.columns[i], row[i], wide=wide)) for i in kept))
    return printed


def _cell(column: Column, cell: Cell, *, wide: bool) -> str:
    if cell is None:
        return ""
    if cell == 0 and column.form == "count":
        return "."  # quieter than a column of zeros
    return column.show(cell) if wide or not isinstance(cell, Band) else shown(cell.mid, column.form)


def _sideways(table: Table) -> Printed:
    """A line a figure, a column a row of the table."""
    printed = Printed(box=None, pad_edge=False)
    names, lines = table.sideways
    printed.add_column("")
    for name in names:
        printed.add_column(escape(name), justify="right")
    for column, cells in lines:
        printed.add_row(escape(column.title), *(escape(column.show(cell)) for cell in cells))
    return printed
