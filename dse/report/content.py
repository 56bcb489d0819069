"""What a report says, before it has a form: sections of sentences, tables and plots.

A report is made once, from results and estimates; every format prints this content, so a number is
the same in all of them. A cell holds the number itself, in the unit of its column; only formats for
people shorten it, all by `Column.show`.

    Report
      Section            title, sentences, points, code
        Table            columns, and rows of cells: a cell for each column
          Column         heading, unit, form: for people one cell, `show`: "5.24 (3.50 to 19.1)"
                         for programs one to three fields, `plain`: energy_uj, energy_low_uj,
                         energy_high_uj
        Plot             Scatter or Bars, without a library: `figures.py` draws them

Whoever adds a table writes columns and cells; all formats follow.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

from cost_models import Band
from dse.columns import percent_text, significant


@dataclass(frozen=True, slots=True)
class Part:
    """A number and what share of a whole it is; both in the unit of the column."""

    value: float
    whole: float

    @property
    def percent(self) -> float:
        """0 where there is no whole."""
        return 100 * self.value / self.whole if self.whole else 0.0


Cell = str | int | float | Band | Part | None
"""None where there is no such number."""

Thing = TypeVar("Thing")

Form = Literal["text", "count", "figure", "percent", "exact"]
"""text; whole number; three significant digits; one decimal; four significant digits."""

NOTHING = "-"
"""What people see where there is no number."""

SUFFIXES = {
    "": "",
    "%": "percent",
    "µJ": "uj",
    "nJ": "nj",
    "pJ": "pj",
    "mm²": "mm2",
    "µm²": "um2",
    "ms": "ms",
    "s": "s",
    "µW": "uw",
    "KiB": "kib",
    "bit": "bits",
    "points": "points",
    "times": "times",
    "days": "days",
    "cycles": "cycles",
    "M": "millions",
}
"""Unit as people read it -> as it ends the name of a field, in letters that every program reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of plain numbers or texts: what files of tables have."""

    name: str
    """With its unit: `energy_low_uj`."""
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    """Without its unit: `energy`."""
    heading: str
    """For people."""
    unit: str = ""
    """One of `SUFFIXES`."""
    form: Form = "figure"
    band: bool = False
    """Cells are bands: three numbers in files of tables, one cell for people."""
    part: bool = False
    """Cells are parts of a whole: number and share in percent."""
    aside: bool = False
    """Left out where there is little room: in a terminal."""

    @property
    def title(self) -> str:
        """`energy (µJ)`."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    @property
    def fields(self) -> tuple[Field, ...]:
        """What it becomes in a file of a table: one field, or more for bands and parts.

        Names carry the unit: `energy_uj`, `energy_low_uj`, `energy_high_uj`; `sram_uj`,
        `sram_share_percent`.
        """
        unit = SUFFIXES[self.unit]
        names = [(self.name, unit, self.form)]
        if self.band:
            names += [(f"{self.name}_{end}", unit, self.form) for end in ("low", "high")]
        if self.part:
            names.append((f"{self.name}_share", "percent", "percent"))
        return tuple(
            Field(name="_".join(filter(None, (name, end))), form=form) for name, end, form in names
        )

    def plain(self, cell: Cell) -> tuple[str | int | float | None, ...]:
        """A cell as the values of `fields`, one for each; None where it has no such number.

        A plain number in a column of bands fills the first field only: nothing is known of its
        ends, which is not the same as ends equal to it.
        """
        if isinstance(cell, Band):
            return (kept(cell.mid), kept(cell.low), kept(cell.high))
        if isinstance(cell, Part):
            return (kept(cell.value), kept(cell.percent))
        value = kept(cell) if isinstance(cell, float) else cell
        return (value, *(None for _ in self.fields[1:]))

    def show(self, cell: Cell) -> str:
        """A cell as people read it: `5.24 (3.50 to 19.1)`."""
        if isinstance(cell, Band):
            middle = shown(cell.mid, self.form)
            if cell.low == cell.high:
                return middle
            return f"{middle} ({shown(cell.low, self.form)} to {shown(cell.high, self.form)})"
        if isinstance(cell, Part):
            return f"{shown(cell.value, self.form)}, {percent_text(cell.percent)} %"
        return shown(cell, self.form)


def middle(cell: Cell) -> str | int | float | None:
    """The number that a cell is sorted by, in the unit of its column; a text is a text."""
    return cell.mid if isinstance(cell, Band) else cell.value if isinstance(cell, Part) else cell


def printable(text: str) -> str:
    """A text without control characters, which XML 1.0 does not have; tab and new line stay."""
    return "".join(c for c in text if c >= " " or c in "\t\n")


def kept(value: float) -> float:
    """A number as files have it: with 15 digits, all that a spreadsheet keeps.

    So it is the same number, to the last bit, in every file.
    """
    return float(f"{value:.15g}")


def shown(value: str | int | float | None, form: Form) -> str:
    """A value as people read it: rounded by its form, thousands with commas, no unit.

    Args:
        value: in the unit of its column.
        form: how it is rounded; texts are left as they are, whatever it is.
    """
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    if form == "count":
        return f"{value:,.0f}"
    if form == "percent":
        return percent_text(value)
    if form == "exact":
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return significant(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of numbers with their units; each row has a cell for each column."""

    name: str
    """Of its file and its sheet: lower case and `_`."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """What a reader must know to read it."""
    marks: tuple[bool, ...] = ()
    """Rows that stand out, such as those on the frontier; none where it is empty."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """Columns of plain values: more than `columns` where some are bands or parts."""
        return tuple(field for column in self.columns for field in column.fields)

    @property
    def plain_rows(self) -> list[tuple[str | int | float | None, ...]]:
        """Rows of plain values, one for each of `fields`."""
        return [
            tuple(
                value
                for column, cell in zip(self.columns, row, strict=True)
                for value in column.plain(cell)
            )
            for row in self.rows
        ]

    def marked(self, row: int) -> bool:
        """Whether a row (from 0) stands out: none does where all are marked, as in a frontier."""
        return any(self.marks) and not all(self.marks) and self.marks[row]

    def notes(self, look: str) -> str:
        """The note, and what rows of such a look are: `Shaded: on the frontier.`."""
        some = any(self.marks) and not all(self.marks)
        return f"{self.note}{f' {look}: on the frontier.' if some else ''}".strip()

    @property
    def sideways(self) -> tuple[list[str], list[tuple[Column, tuple[Cell, ...]]]]:
        """The table on its side: what each row is called, and a line of cells a column of figures.

        Texts of a row (design, machine) are its name; a text that is the same in all rows tells
        none apart and is left out.
        """
        lines = list(zip(self.columns, zip(*self.rows, strict=True), strict=True))
        texts = [cells for column, cells in lines if column.form == "text"]
        telling = [cells for cells in texts if len(self.rows) == 1 or len(set(cells)) > 1]
        names = ["\n".join(str(cells[row]) for cells in telling) for row in range(len(self.rows))]
        return names, [line for line in lines if line[0].form != "text"]

    @property
    def shown_rows(self) -> list[tuple[str, ...]]:
        """Rows as people read them: a text for each of `columns`."""
        return [
            tuple(column.show(cell) for column, cell in zip(self.columns, row, strict=True))
            for row in self.rows
        ]


def make_table(
    things: Iterable[Thing],
    cells: Sequence[tuple[Column, Callable[[Thing], Cell]]],
    *,
    name: str,
    title: str,
    note: str = "",
) -> Table:
    """A table with a row a thing: each column stands beside what its cells are made of.

    Args:
        things: what rows are about: priced designs, layers, rates.
        cells: of each column, what makes its cell of a thing, in the column's unit.
        name: of the table's file and sheet.
        title: above it.
        note: below it.
    """
    return Table(
        name=name,
        title=title,
        columns=tuple(column for column, _ in cells),
        rows=tuple(tuple(cell(thing) for _, cell in cells) for thing in things),
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One design of a scatter plot."""

    x: float
    y: float | Band
    """A band is drawn as an error bar."""
    tip: str = ""
    """What is said about it where the reader points at it."""
    label: str = ""
    """Written beside it."""


Marker = Literal["circle", "triangle", "square", "diamond", "down", "plus", "dot", "tick", "stairs"]
"""dot: of the crowd; tick: on the cost axis, the design has no error; stairs: a frontier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of one kind."""

    name: str
    """The legend adds how many there are."""
    colour: str
    marker: Marker
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Error against a cost, which has a logarithmic axis."""

    name: str
    title: str
    x_title: str
    y_title: str
    series: tuple[Series, ...]
    limits: tuple[float, ...] = ()
    """Of x: drawn as lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Horizontal bars, each a stack of parts, from a linear axis that begins at 0."""

    name: str
    title: str
    x_title: str
    parts: tuple[tuple[str, str], ...]
    """Name and colour of each part of a stack."""
    bars: tuple[tuple[str, tuple[float, ...]], ...]
    """Name of each bar and the lengths of its parts."""


Plot = Scatter | Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands below it; all but the heading may be missing."""

    name: str
    """Of its anchor: lower case and `-`."""
    title: str
    sentences: tuple[str, ...] = ()
    """Each a paragraph."""
    points: tuple[str, ...] = ()
    """A list after the paragraphs."""
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    code: tuple[str, ...] = ()
    """Lines of a shell."""
    level: Literal[2, 3] = 2
    """3: part of the section before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report says."""

    name: str
    """Of its files: letters, digits, `-`, `_` and `.`."""
    title: str
    subtitle: str
    """What was looked at, on which machine, and until when."""
    sections: tuple[Section, ...]
    dated: str
    """UTC, ISO 8601: when its last result was recorded; empty where nothing was measured. Files
    carry this date, not that of their making, so the same results give the same bytes."""
    version: str
    """Of the program."""

    @property
    def moment(self) -> datetime:
        """`dated`, for formats that cannot go without a date; 2000-01-01 where there is none."""
        try:
            return datetime.fromisoformat(self.dated).astimezone(UTC)
        except ValueError:
            return datetime(2000, 1, 1, tzinfo=UTC)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Of all sections, in order."""
        return tuple(table for section in self.sections for table in section.tables)

    @property
    def plots(self) -> tuple[Plot, ...]:
        """Of all sections, in order."""
        return tuple(plot for section in self.sections for plot in section.plots)

    def table(self, name: str) -> Table:
        """A table by its name; raises KeyError where there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)
