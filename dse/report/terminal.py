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
from dse.report.content import NOTHING, Cell, Column, Section, Table, shown

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
    if isinstance(cell, Band) and not wide:
        return shown(cell.mid, column.form)
    return column.show(cell)


def _sideways(table: Table) -> Printed:
    """A line a figure, a column a row of the table.

    Texts of a row (design, machine) are the head of its column; a text that is the same in all rows
    tells none apart and is left out.
    """
    printed = Printed(box=None, pad_edge=False)
    heads = [column for column in table.columns if column.form == "text"]
    same = {head.name for head in heads if _distinct(table, head) == 1 and len(table.rows) > 1}
    printed.add_column("")
    for row in table.rows:
        names = [
            str(cell)
            for column, cell in zip(table.columns, row, strict=True)
            if column in heads and column.name not in same
        ]
        printed.add_column(escape("\n".join(names)), justify="right")
    for index, column in enumerate(table.columns):
        if column in heads:
            continue
        cells = [row[index] for row in table.rows]
        printed.add_row(
            escape(column.title),
            *(NOTHING if cell is None else escape(column.show(cell)) for cell in cells),
        )
    return printed


def _distinct(table: Table, column: Column) -> int:
    index = table.columns.index(column)
    return len({row[index] for row in table.rows})
