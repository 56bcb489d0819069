"""The frontier's chart with a lasso, and with every point: ECharts, which Vega-Lite is not.

Of tens of thousands of points ECharts draws all in one go, and says which outline was drawn round
them; which designs lie in it is computed here, so those that hide below others count, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from dashboard.charts import HEIGHT, KEY, is_even, sample_of, stairs
from dashboard.frontier_chart import HOVERED, LAST, told
from dashboard.texts import label
from dashboard.theme import COLOUR_OF_KIND, GREEN, GREY, ORANGE, PALETTE
from dse.columns import LABELS

SYMBOLS = ["circle", "triangle", "rect", "diamond", "pin", "arrow", "roundRect"]
LARGE = 2_000
"""A series of more points is drawn in one go."""
MOST_HOVERED = 20_000
"""Of more points, hovering shows what is drawn only: the rest would be most of what is sent."""
MOST_RAMPED = 6_000  # dominated points coloured by a number: these cannot be drawn in one go
MOST_GROUPS = 9
VIRIDIS = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"]

Numbers = npt.NDArray[np.float64]


def draw_lasso(
    frame: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    shape: str,
    *,
    log_x: bool,
    log_y: bool,
    limits: Mapping[str, float],
    key: str,
) -> tuple["pd.Series[bool] | None", str | None]:
    """Draw the designs; which are selected, and the one that was clicked.

    Args:
        frame: of `scaled_frame`.
        x: column.
        y: column.
        colour: column of their colours.
        shape: column of their symbols.
        log_x: logarithmic axis.
        log_y: likewise.
        limits: `max_...` and `min_...` of columns in their own units.
        key: of the widget.

    Returns:
        mask over `frame`, None where nothing is selected; the clicked design, None where none is.
    """
    known = frame[[x, y]].dropna()
    log_x, log_y = log_x and bool((known[x] > 0).all()), log_y and bool((known[y] > 0).all())
    option, series = lasso_option(frame, x, y, colour, shape, log_x, log_y, limits)
    event = st.echarts_chart(
        option, key=key, height=HEIGHT, on_select="rerun", alt="Designs and their frontier"
    )
    selection = event.selection if event else {"areas": [], "selected": []}
    mask = within(frame, x, y, selection["areas"], log_x, log_y)
    return mask, None if mask is not None else clicked(series, selection["selected"])


def lasso_option(
    frame: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    shape: str,
    log_x: bool,
    log_y: bool,
    limits: Mapping[str, float],
) -> tuple[dict[str, Any], list[pd.DataFrame]]:
    """The chart as ECharts describes it, and the tables of its series of points."""
    drawn = frame.dropna(subset=[x, y])
    even = is_even(drawn[colour]) or drawn[colour].nunique() > MOST_GROUPS
    if even:
        drawn = sample_of(drawn, MOST_RAMPED)
    more = HOVERED if len(drawn) <= MOST_HOVERED else ()
    wanted = dict.fromkeys(("name", "trial", "status", x, y, *more, colour, shape, *LAST))
    drawn = drawn[[name for name in wanted if name in drawn]]
    hovered = [label(n) for n in dict.fromkeys((x, y, *more)) if n in drawn]
    encode = {"x": label(x), "y": label(y), "tooltip": ["design", "trial", "status", *hovered]}
    tables, series, titles = [], [], []
    shapes = {
        value: SYMBOLS[i % len(SYMBOLS)]
        for i, value in enumerate(sorted(drawn[shape].dropna().unique(), key=str))
    }
    groups = drawn[colour].astype(str) if not even else pd.Series("designs", index=drawn.index)
    tints = (
        dict(COLOUR_OF_KIND)
        if colour == "kind"
        else dict(zip(sorted(groups.unique()), PALETTE, strict=False))
    )
    split = [groups, drawn[shape].fillna(""), drawn["frontier"], drawn["status"] == "infeasible"]
    for (group, form, front, over), part in sorted(
        drawn.groupby(split, sort=False), key=lambda item: bool(item[0][2])
    ):
        tables.append(told(part))
        titles.append(str(group))
        series.append(
            {
                "type": "scatter",
                "name": str(group),
                "datasetIndex": len(tables) - 1,
                "encode": encode,
                "symbol": shapes.get(form, "circle"),
                "symbolSize": 10 if front else 5,
                "large": len(part) > LARGE,
                "largeThreshold": LARGE,
                "selectedMode": "single",
                "z": 3 if front else 2,
                "itemStyle": {
                    "opacity": 1.0 if front else 0.4,
                    **(
                        {"color": GREY}
                        if over
                        else {}
                        if even
                        else {"color": tints.get(group, GREY)}
                    ),
                },
            }
        )
    steps = told(stairs(drawn[drawn["frontier"]], x, y, float(drawn[x].max())))
    series.append(
        {
            "type": "line",
            "name": "frontier",
            "datasetIndex": len(tables),
            "step": "end",
            "encode": {"x": label(x), "y": label(y)},
            "showSymbol": False,
            "silent": True,
            "lineStyle": {"color": GREEN, "width": 2},
            "itemStyle": {"color": GREEN},
            "markLine": _limits(limits, x, y, drawn),
        }
    )
    option: dict[str, Any] = {
        "animation": False,
        "grid": {"left": 30, "right": 20, "top": 44, "bottom": 62},
        "legend": {"bottom": 0, "data": [*dict.fromkeys(titles), "frontier"]},
        "tooltip": {"trigger": "item", "valueFormatter": "%.5g", "renderMode": "richText"},
        "xAxis": _axis(x, log_x, drawn, 30),
        "yAxis": _axis(y, log_y, drawn, 44),
        "toolbox": {
            "right": 12,
            "top": 6,
            "itemSize": 20,
            "itemGap": 12,
            "feature": {
                "brush": {
                    "type": ["polygon", "rect", "clear"],
                    "title": {"polygon": "Lasso", "rect": "Box", "clear": "Clear"},
                }
            },
        },
        "brush": {
            "xAxisIndex": 0,
            "yAxisIndex": 0,
            "toolbox": ["polygon", "rect", "clear"],
            "throttleType": "debounce",
            "throttleDelay": 200,
            "outOfBrush": {},
        },
        "dataset": [{"source": table} for table in [*tables, steps]],
        "series": series,
    }
    if even:
        figures = drawn[colour].astype(float) if is_even(drawn[colour]) else None
        if figures is not None:
            option["visualMap"] = {
                "type": "continuous",
                "dimension": label(colour),
                "text": [label(colour), ""],
                "min": float(figures.min()),
                "max": float(figures.max()),
                "right": 0,
                "top": 60,
                "inRange": {"color": VIRIDIS},
                "seriesIndex": list(range(len(tables))),
            }
            option["grid"]["right"] = 90
    return option, tables


def _axis(column: str, log: bool, drawn: pd.DataFrame, gap: int) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "type": "log" if log else "value",
        "scale": True,
        "name": label(column),
        "nameLocation": "middle",
        "nameGap": gap,
        "logBase": 2,
        "minorSplitLine": {"show": log, "lineStyle": {"color": "#88888830"}},
    }
    if log:  # or it would end at powers of its base
        figures = drawn[column]
        axis |= {"min": _short(figures.min() / 1.1), "max": _short(figures.max() * 1.1)}
    return axis


def _short(figure: float) -> float:
    return float(f"{figure:.3g}")


def _limits(limits: Mapping[str, float], x: str, y: str, drawn: pd.DataFrame) -> dict[str, Any]:
    lines = []
    for name, bound in limits.items():
        kind, _, column = name.partition("_")
        if column in (x, y):
            place = bound * LABELS[column][2]
            if place <= float(drawn[column].max()) * 1.05:
                lines.append({f"{'x' if column == x else 'y'}Axis": place, "name": f"{kind}."})
    return {
        "silent": True,
        "symbol": "none",
        "data": lines,
        "label": {"formatter": "{b} allowed"},
        "lineStyle": {"color": ORANGE, "type": "dashed"},
    }


def within(
    frame: pd.DataFrame,
    x: str,
    y: str,
    areas: Sequence[Mapping[str, Any]],
    log_x: bool,
    log_y: bool,
) -> "pd.Series[bool] | None":
    """Which designs lie in any of the outlines; None where there is none.

    Widgets are no boundary: what is no outline is ignored.
    """
    across = _as_drawn(frame[x].to_numpy(dtype=float), log_x)
    up = _as_drawn(frame[y].to_numpy(dtype=float), log_y)
    found = None
    for area in areas:
        try:
            corners = np.array(area["coord_range"], dtype=float)
        except (KeyError, TypeError, ValueError):
            continue
        if area.get("brush_type") == "rect" and corners.shape == (2, 2):
            (left, right), (low, high) = np.sort(corners, axis=1)
            corners = np.array([[left, low], [right, low], [right, high], [left, high]])
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            continue
        outline = np.stack(
            [_as_drawn(corners[:, 0], log_x), _as_drawn(corners[:, 1], log_y)], axis=1
        )
        hit = inside_outline(across, up, outline)
        found = hit if found is None else found | hit
    return None if found is None else pd.Series(found, index=frame.index)


def _as_drawn(figures: Numbers, log: bool) -> Numbers:
    """Where figures stand on an axis: an outline is straight there."""
    if not log:
        return figures
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(figures))


def inside_outline(across: Numbers, up: Numbers, outline: Numbers) -> npt.NDArray[np.bool_]:
    """Which points an outline encloses: a ray to the right crosses it an odd number of times.

    Args:
        across: shape (n,); NaN is never inside.
        up: likewise.
        outline: shape (corners, 2), closed by itself.
    """
    inside = np.zeros(len(across), dtype=bool)
    before = outline[-1]
    for corner in outline:
        (x0, y0), (x1, y1) = before, corner
        crosses = (y0 > up) != (y1 > up)
        if y1 != y0:
            with np.errstate(over="ignore", invalid="ignore"):  # where nothing crosses
                inside ^= crosses & (across < x0 + (up - y0) / (y1 - y0) * (x1 - x0))
        before = corner
    return inside & np.isfinite(across) & np.isfinite(up)


def clicked(tables: Sequence[pd.DataFrame], selected: Sequence[Mapping[str, Any]]) -> str | None:
    """The design of the last point that was clicked; None where none was."""
    for entry in reversed(list(selected)):
        number, places = entry.get("series_index"), entry.get("data_indices") or []
        if isinstance(number, int) and 0 <= number < len(tables) and places:
            place = places[-1]
            if isinstance(place, int) and 0 <= place < len(tables[number]):
                return str(tables[number][KEY].iloc[place])
    return None
