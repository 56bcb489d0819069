"""Contents of a report on a page: the tables and bars of `dse.report`, drawn by Streamlit.

Whatever says what a design costs is content of the report (`dse.report.content`), so a figure has
the same name, unit and rounding here, in a terminal and in a PDF. The dashboard only draws it.
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from dashboard.charts import Option, axis, chart, names
from dashboard.texts import LONGEST_SENTENCE, label, plain
from dse.colours import FRONTIER, RASPBERRY
from dse.columns import MEASURED_COLUMNS, signed, significant
from dse.report.content import NOTHING, Bars, Cell, Column, Table, middle
from dse.report.tables import csv_text
from dse.studies.comparison import difference


class _Number(float):
    """A number that carries its text: people read the text, a browser sorts by the number."""

    text: str

    def __new__(cls, value: float, text: str) -> "_Number":
        number = super().__new__(cls, value)
        number.text = text
        return number


def draw_table(table: Table, *, height: int | None = None) -> None:
    """A table with its title and note; cells read as in the report, and sort by their numbers.

    Args:
        table: columns have distinct titles. One without rows is not drawn.
        height: in px, of a long one: it scrolls; all of its rows without it.
    """
    if not table.rows:
        return
    st.caption(f"**{plain(table.title)}**")
    st.dataframe(
        table_style(table), hide_index=True, height=height or "content", placeholder=NOTHING
    )
    if table.note:
        st.caption(plain(table.note, LONGEST_SENTENCE))


MORE_IS_BETTER = ("highest_rate", "battery", "utilisation")
"""Columns of totals; of all others but `NEITHER` less is better."""
NEITHER = ("clock_mhz", "bound_", "busy")
BETTER, WORSE = f"{FRONTIER}2E", f"{RASPBERRY}2E"
"""Grounds of cells: the last two digits are how dense a colour is, so letters stay readable."""


def draw_sideways(
    table: Table,
    titles: Sequence[str] = (),
    *,
    changes: bool = False,
    objectives: Sequence[str] = (),
) -> list[str]:
    """A table on its side: a line a figure, a column a row of the table; and its file.

    Args:
        table: with at least a row.
        titles: of the columns; without them what tells the rows apart.
        changes: say behind each number how far it is from the first one of its line, in percent;
            of 0 nothing is a percentage. What is better is green, what is worse red.
        objectives: columns of a study whose lines come first.

    Returns:
        The titles.
    """
    names, lines = table.sideways
    names = list(titles) or [name.replace("\n", ", ") for name in names]
    lines = sorted(lines, key=lambda line: not _is_one_of(line[0], objectives))
    frame = pd.DataFrame(
        [
            {
                "": label(column.name) if column.name in MEASURED_COLUMNS else column.title,
                **dict(zip(names, _texts(column, cells, changes), strict=True)),
            }
            for column, cells in lines
        ]
    )
    right = st.column_config.TextColumn(alignment="right")
    config = dict.fromkeys(names, right) | {"": st.column_config.TextColumn(pinned=True)}
    tinted = frame.style.apply(lambda _: _tints(lines, frame), axis=None) if changes else frame
    st.dataframe(tinted, hide_index=True, height=38 + 35 * len(lines), column_config=config)
    st.download_button(
        "Download as CSV",
        lambda: csv_text(table),
        file_name=f"{table.name}.csv",
        mime="text/csv",
        icon=":material/download:",
    )
    return names


def _is_one_of(column: Column, objectives: Sequence[str]) -> bool:
    """Whether a column of a report is one of a study's: `energy` of `energy_pj`."""
    return any(name == column.name or name.startswith(f"{column.name}_") for name in objectives)


def _tints(lines: Sequence[tuple[Column, Sequence[Cell]]], frame: pd.DataFrame) -> pd.DataFrame:
    """Styles of cells: how each is against the first of its line."""
    rows = [["", *(_tint(column, cells[0], cell) for cell in cells)] for column, cells in lines]
    return pd.DataFrame(rows, index=frame.index, columns=frame.columns)


def _tint(column: Column, first: Cell, cell: Cell) -> str:
    before, after = middle(first), middle(cell)
    if not (isinstance(before, int | float) and isinstance(after, int | float)):
        return ""
    if before == after or column.name.startswith(NEITHER):
        return ""
    better = (after > before) == (column.name in MORE_IS_BETTER)
    return f"background-color: {BETTER if better else WORSE}"


def _texts(column: Column, cells: Sequence[Cell], changes: bool) -> Iterator[str]:
    first = middle(cells[0])
    for cell in cells:
        mark = _change(column, first, middle(cell)) if changes else ""
        yield column.show(cell) + mark


def _change(column: Column, first: object, number: object) -> str:
    """How far a number is from the first of its line: errors in points, all else in percent."""
    if not (isinstance(first, int | float) and isinstance(number, int | float)):
        return ""
    if column.unit == "%":
        return f"  ({signed(number - first)} points)" if number != first else ""
    change = difference(first, number)
    return f"  ({signed(100 * change)}%)" if change and math.isfinite(change) else ""


def readable(value: float) -> float:
    """A number of a table with three significant digits, and no power of ten above one.

    It sorts by its value; `show_numbers` has a browser show the text.
    """
    return _Number(value, significant(value))


def show_numbers(frame: pd.DataFrame) -> Styler:
    """A frame for `st.dataframe`, in which numbers of `readable` are shown by their texts.

    Their columns are of the dtype `object`: one of floats would not keep the texts.
    """
    return frame.style.format(lambda value: str(getattr(value, "text", value)), na_rep=NOTHING)


def table_style(table: Table) -> Styler:
    """A table as Streamlit takes it: numbers to sort by, and the texts that stand for them."""
    columns = zip(table.columns, zip(*table.rows, strict=True), strict=True)
    frame = pd.DataFrame(
        {
            column.title: pd.Series([_value(column, cell) for cell in cells], dtype=object)
            for column, cells in columns
        }
    )
    return show_numbers(frame)


def _value(column: Column, cell: Cell) -> "_Number | str | None":
    number = middle(cell)
    return _Number(number, column.show(cell)) if isinstance(number, int | float) else number


def bars_chart(plot: Bars) -> tuple[Option, int]:
    """Bars as a chart, the first on top, and how tall it is drawn in px.

    One table serves all series: its rows are bars, its columns parts, and the series of a part
    reads its column. Parts of length 0 are left out, so hovering does not name them.
    """
    table = pd.DataFrame({"bar": [name for name, _ in plot.bars]})
    for place, (part, _) in enumerate(plot.parts):
        table[part] = [lengths[place] or None for _, lengths in plot.bars]
    series = [
        {
            "type": "bar",
            "stack": "all",
            "name": part,
            "table": table,
            "encode": {"x": part, "y": "bar", "tooltip": [part]},
            "itemStyle": {"color": tint},
        }
        for part, tint in plot.parts
    ]
    option = chart(
        series,
        xAxis=axis(plot.x_title),
        yAxis=names([name for name, _ in plot.bars], inverse=True),
    )
    return option, max(150, 100 + 19 * len(plot.bars))


def draw_bars(plot: Bars) -> None:
    """Bars of a report as a chart that hovers."""
    option, height = bars_chart(plot)
    st.echarts_chart(option, key=plot.name, height=height)
