"""What the search has learnt of two axes: the best design with each pair of their values.

A cell is the least figure of all trained designs with these two values, whatever their other axes
are: a projection, as the frontier is. An empty cell was never trained, which says nothing about it;
a cell of few designs says little, so hovering tells how many.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboard.charts import RAMP, Option, chart, names, worded
from dashboard.texts import label, with_unit

NOT_THERE = "-"
"""Value of an axis that does not matter to a design, such as the density of a dense one."""
MOST_VALUES = 24
"""Of an axis that is shown so."""


def sliceable(frame: pd.DataFrame) -> list[str]:
    """Axes with few enough values, and a choice."""
    axes = [name for name in frame.columns if name.startswith("axis_")]
    return [name for name in axes if 2 <= frame[name].nunique(dropna=False) <= MOST_VALUES]


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
