"""What the search has learnt of its axes: of each alone, and of the pairs of their values.

In a slice every trained design stands at its value of one axis: where the lowest points rise or
fall, the axis matters; where they are level, it does not. In the map of two axes a cell is the
least figure of all trained designs with these two values, whatever their other axes are: a
projection, as the frontier is. An empty cell was never trained, which says nothing about it; a cell
of few designs says little, so hovering tells how many.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboard.charts import RAMP, Option, axis, chart, find_ends, names, points, told, worded
from dashboard.texts import label, with_unit
from dse.colours import FRONTIER, QUIET

MOST_SLICES, SLICES_ACROSS = 8, 4
NOT_THERE = "-"
"""Value of an axis that does not matter to a design, such as the density of a dense one."""
MOST_VALUES = 24
"""Of an axis that is shown so."""


def sliceable(frame: pd.DataFrame) -> list[str]:
    """Axes with few enough values, and a choice."""
    axes = [name for name in frame.columns if name.startswith("axis_")]
    return [name for name in axes if 2 <= frame[name].nunique(dropna=False) <= MOST_VALUES]


def slices_chart(trained: pd.DataFrame, axes: Sequence[str], column: str) -> Option:
    """A small plot for each axis, side by side: designs at their values of it.

    Args:
        trained: designs with figures in the column, of `scaled_frame`.
        axes: at most `MOST_SLICES`.
        column: upwards in all of them.
    """
    known = trained.dropna(subset=[column])
    ends = find_ends(known[column], log=False)
    down = -(-len(axes) // SLICES_ACROSS)
    across = -(-len(axes) // down)
    series, grids, xs, ys = [], [], [], []
    for place, name in enumerate(axes):
        row, place_in_row = divmod(place, across)
        grids.append(_place(row, place_in_row, down, across))
        values = in_order(known[name])
        own = {"gridIndex": place, "nameGap": 24, "nameTextStyle": {"fontSize": 11}}
        xs.append(names(values, label(name), **own, axisLabel={"width": 44, "fontSize": 10}))
        # Its title and figures stand once, at the left of each row.
        first = place_in_row == 0
        shown = axis(label(column), ends) | {"gridIndex": place}
        hidden = {"name": "", "axisLabel": {"show": False}, "axisTick": {"show": False}}
        ys.append(shown | ({"nameGap": 34} if first else hidden))
        table = told(known[["name", column]]).assign(**{label(name): texts_of(known[name]).array})
        front = known["frontier"].to_numpy(dtype=bool)
        for words, mask, tint, size in (
            ("dominated", ~front, QUIET, 6),
            ("on the frontier", front, FRONTIER, 9),
        ):
            series.append(
                points(
                    words,
                    table[mask].reset_index(drop=True),
                    label(name),
                    label(column),
                    tint,
                    hovered=["design", label(name), label(column)],
                    size=size,
                    opacity=0.9 if size > 6 else 0.5,
                    xAxisIndex=place,
                    yAxisIndex=place,
                )
            )
    return chart(series, grid=grids, xAxis=xs, yAxis=ys)


def _place(row: int, column: int, down: int, across: int) -> Option:
    """Where a small plot stands, in percent; below the last row is the legend."""
    width, height = 93.0 / across, 90.0 / down
    return {
        "left": f"{7 + column * width:.2f}%",
        "width": f"{width - 2.5:.2f}%",
        "top": f"{2 + row * height:.2f}%",
        "height": f"{height - 15:.2f}%",
        "containLabel": False,
    }


def cells_of(trained: pd.DataFrame, across: str, up: str, column: str) -> pd.DataFrame:
    """A row a pair of values that was trained.

    Args:
        trained: designs with figures in the column, of `scaled_frame`.
        across: an axis.
        up: another one.
        column: minimised.

    Returns:
        Columns `across` and `up`, as texts; `least`, `count`, and `name` of the best design.
    """
    known = trained.dropna(subset=[column])
    texts = {"across": texts_of(known[across]), "up": texts_of(known[up])}
    table = known[[column, "name"]].assign(**texts).sort_values(column)
    found = table.groupby(["across", "up"], sort=False, as_index=False)
    return found.agg(least=(column, "first"), count=(column, "size"), name=("name", "first"))


def texts_of(column: "pd.Series[Any]") -> "pd.Series[str]":
    """Values of an axis as texts."""
    return column.map(worded).where(column.notna(), NOT_THERE)


def in_order(values: "pd.Series[Any]") -> list[str]:
    """Values of an axis as texts, numbers by their size, what does not matter last."""
    known = values.dropna().unique().tolist()
    is_number = all(isinstance(each, int | float) for each in known)
    ordered = sorted(known, key=None if is_number else str)
    return [*map(worded, ordered), *([NOT_THERE] if values.isna().any() else [])]


def map_chart(trained: pd.DataFrame, across: str, up: str, column: str) -> Option:
    """The cells as squares, the better the darker."""
    cells = cells_of(trained, across, up, column)
    columns, rows = in_order(trained[across]), in_order(trained[up])
    data = [
        {
            "value": [
                columns.index(cell["across"]),
                rows.index(cell["up"]),
                float(f"{cell['least']:.4g}"),
            ],
            "tooltip": {"formatter": _said(cell, (across, up), column)},
        }
        for cell in cells.to_dict("records")
    ]
    least, most = float(cells["least"].min()), float(cells["least"].max())
    scale = {
        "type": "continuous",
        "min": least,
        "max": most if most > least else least + 1.0,
        "inRange": {"color": list(RAMP)},
        "text": [with_unit(most, column), with_unit(least, column)],
        "orient": "horizontal",
        "left": "center",
        "bottom": 0,
        "calculable": False,
    }
    return chart(
        [{"type": "heatmap", "name": label(column), "data": data}],
        legend={"show": False},
        grid={"top": 16, "bottom": 96, "left": 4, "right": 24},
        xAxis=names(columns, label(across)),
        yAxis=names(rows, label(up)),
        visualMap=scale,
    )


def _said(cell: dict[Any, Any], axes: Sequence[str], column: str) -> str:
    values = (cell["across"], cell["up"])
    pairs = [f"{label(axis)} {value}" for axis, value in zip(axes, values, strict=True)]
    count = cell["count"]
    return "\n".join(
        (
            ", ".join(pairs),
            f"least {label(column)}: {with_unit(cell['least'], column)}",
            f"of {count:,} design{'s' if count > 1 else ''}: {cell['name']}",
        )
    )
