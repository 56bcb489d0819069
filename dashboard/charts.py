"""What all charts share: their library, axes with units, hovering, colours.

Charts are ECharts', which comes with Streamlit: a chart is a dictionary, its option
(https://echarts.apache.org/en/option.html), and its tables travel beside it as Arrow. Streamlit's
other two libraries were tried on the same designs in Chromium. Plotly forgets what is selected as
soon as a figure changes, and sends every selected point to the server (7.6 MB for half of
100,000). Vega-Lite (Altair) has neither a lasso nor a treemap, and takes 3 s for a new drawing of
100,000 points, ECharts 0.7 s. What ECharts does not do: box and lasso are tools that are taken with
a click before they draw, and it has no third dimension but colour.

Three traps:

- An option may hold no JavaScript. Hovering shows columns of the table, those of `encode.tooltip`;
  bars of uncertainty, which would need a function, are a line with gaps.
- Hovering is drawn on the canvas (`richText`), so that a name in a study is never markup.
- A logarithmic axis ends at powers of its base and has marks there alone, and an axis of any kind
  leaves out the lines of limits, unless it is told better (`find_ends`).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.texts import label
from dse.colours import DENSE, QUIET, SERIES, TERNARY
from dse.columns import LABELS

Option = dict[str, Any]

KINDS = ("dense", "with ternary matrices")
TINTS = dict(zip(KINDS, (DENSE, TERNARY), strict=True))
"""Kind of a design -> its colour."""
RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Viridis: from the least figures to the largest, each step as many designs."""
MOST_GROUPS = 9
"""Colours that one plot can tell apart; of more names, those of the fewest designs share one."""
MOST_POINTS = 3_000
"""Dominated points of a plot that is drawn often; of more, a sample stands for all."""
HEIGHT = 460  # px


LEGEND: Option = {"type": "scroll", "bottom": 0, "itemWidth": 14}


def scaled_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns in the units of their labels, and the kind of each design."""
    factors = {name: LABELS[name][2] for name in LABELS if name in frame}
    scaled = frame.assign(**{name: frame[name] * factor for name, factor in factors.items()})
    ternary = scaled["generated_weights"].fillna(0) > 0
    return scaled.assign(
        kind=np.where(ternary, KINDS[1], KINDS[0]), cost_known=frame["energy_pj"].notna()
    )


def draw_sample(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """All of the frontier and the baselines, and of the other points at most so many."""
    always = (frame["frontier"] | (frame["source"] != "search")).to_numpy()
    others = np.flatnonzero(~always)
    if len(others) <= most:
        return frame
    drawn = np.random.default_rng(1).choice(others, most, replace=False)
    return frame.iloc[np.sort(np.concatenate([np.flatnonzero(always), drawn]))]


def ink() -> str:
    """Colour of letters in drawings that Streamlit does not colour: on a light or a dark page."""
    return "#FAFAFA" if st.context.theme.type == "dark" else "#31333F"


def chart(series: Iterable[Option], **parts: Any) -> Option:
    """An option of these series, whose tables become its datasets.

    Args:
        series: as `points`, `line` and `bars` make them.
        parts: of the option, such as `xAxis`; those that are given replace the usual ones.
    """
    placed: list[Option] = []
    tables: list[Option] = []
    for each in series:
        own = {name: value for name, value in each.items() if name != "table"}
        if "table" in each:
            own["datasetIndex"] = len(tables)
            tables.append({"source": each["table"]})
        placed.append(own)
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "renderMode": "richText", "valueFormatter": "%.4g"},
        "legend": LEGEND,
        "grid": {"top": 16, "bottom": 38, "left": 4, "right": 24},
        "dataset": tables,
        "series": placed,
        **parts,
    }


def axis(title: str, ends: tuple[float, float] | None = None, *, log: bool = False) -> Option:
    """An axis of figures; where it is logarithmic its ends must be given."""
    drawn: Option = {"type": "value", "scale": True, "name": title, "nameLocation": "middle"}
    if ends is not None:
        drawn |= {"min": ends[0], "max": ends[1]}
    if log:
        assert ends is not None
        ticks = {"customValues": _ticks(*ends)}
        drawn |= {"type": "log", "axisTick": ticks, "axisLabel": ticks}
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Marks of a logarithmic axis: 1, 2 and 5 of each decade, or more, or fewer."""
    leads = (1,) if high / low > 3000 else (1, 2, 5) if high / low > 8 else (1, 1.5, *range(2, 10))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    marks = (float(f"{lead}e{decade}") for decade in decades for lead in leads)
    inside = [mark for mark in marks if low <= mark <= high]
    return inside if len(inside) > 1 else [low, high]


def names(values: Sequence[str], title: str = "", **more: Any) -> Option:
    """An axis of names, all of them written, the first at the top where it is upright."""
    shown = {"interval": 0, "width": 130, "overflow": "truncate"} | more.pop("axisLabel", {})
    return {
        "type": "category",
        "data": list(values),
        "name": title,
        "nameLocation": "middle",
        "axisLabel": shown,
        "axisTick": {"show": False},
        **more,
    }


def find_ends(figures: Iterable[float], log: bool) -> tuple[float, float]:
    """Ends of an axis on which these figures stand, rounded, with room on both sides."""
    known = [each for each in map(float, figures) if math.isfinite(each)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if log:
        return float(f"{low / 1.12:.3g}"), float(f"{high * 1.12:.3g}")
    span = high - low or abs(high) or 1.0
    decade = 10.0 ** math.floor(math.log10(span / 6))
    step = next(lead for lead in (5, 2, 1) if lead * decade <= span / 6 or lead == 1) * decade
    ends = math.floor((low - 0.02 * span) / step), math.ceil((high + 0.02 * span) / step)
    low = max(ends[0] * step, 0.0 if low >= 0 else -math.inf)
    return float(f"{low:.12g}"), float(f"{ends[1] * step:.12g}")


def points(
    name: str,
    table: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    *,
    hovered: Sequence[str] = (),
    size: float | Sequence[float] = 6,
    symbol: str = "circle",
    opacity: float = 1.0,
    **more: Any,
) -> Option:
    """A series of points; hovering shows these columns, or x and y."""
    return {
        "type": "scatter",
        "name": name,
        "table": table,
        "encode": {"x": x, "y": y, "tooltip": list(hovered or (x, y))},
        "symbol": symbol,
        "symbolSize": size,
        "itemStyle": {"color": colour, "opacity": opacity},
        **more,
    }


def line(
    name: str,
    table: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    *,
    hovered: Sequence[str] = (),
    dots: bool = False,
    dash: str = "solid",
    **more: Any,
) -> Option:
    """A series of points joined by lines; a missing figure is a gap."""
    return {
        "type": "line",
        "name": name,
        "table": table,
        "encode": {"x": x, "y": y, "tooltip": list(hovered or (x, y))},
        "showSymbol": dots,
        "symbolSize": 5,
        "lineStyle": {"color": colour, "width": 2, "type": dash},
        "itemStyle": {"color": colour},
        **more,
    }


def stairs(name: str, table: pd.DataFrame, x: str, y: str, colour: str, **more: Any) -> Option:
    """A line that is level until the next point, as a frontier is, and has nothing to say."""
    return line(name, table, x, y, colour, step="end", silent=True, **more)


def stacked(
    frame: pd.DataFrame, value: str, title: str, order: Sequence[str], tints: dict[str, str]
) -> tuple[Option, int]:
    """A bar a layer, divided by part; and how tall it is drawn.

    Args:
        frame: `layer`, `part` and the column of the figures, a row a part of a layer.
        value: the column.
        title: of its axis.
        order: layers from the top.
        tints: part -> colour, in the order of the stack.
    """
    table = frame.pivot_table(index="layer", columns="part", values=value, sort=False)
    table = table.reindex(list(order)).reset_index()
    series = [
        {
            "type": "bar",
            "stack": "all",
            "name": part,
            "table": table,
            "encode": {"x": part, "y": "layer", "tooltip": [part]},
            "itemStyle": {"color": tint},
        }
        for part, tint in tints.items()
        if part in table
    ]
    option = chart(series, xAxis=axis(title), yAxis=names(order, inverse=True))
    return option, max(150, 100 + 19 * len(order))


def told(table: pd.DataFrame) -> pd.DataFrame:
    """A table as hovering shows it: columns by their labels, figures to five digits.

    Five digits are finer than a pixel; what hovering shows is the row itself, since sentences
    made for each of 100,000 points would be most of what is sent.
    """
    columns: dict[str, Any] = {}
    for name in table.columns:
        figures = pd.api.types.is_float_dtype(table[name])
        column = _rounded(table[name].to_numpy()) if figures else table[name]
        columns["design" if name == "name" else label(name)] = column
    return pd.DataFrame(columns, index=table.index).reset_index(drop=True)


def _rounded(figures: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 10.0 ** (4 - np.floor(np.log10(np.abs(figures))))
        rounded = np.round(figures * digits) / digits
    return np.where(np.isfinite(rounded), rounded, figures)


def grouped(column: "pd.Series[Any]") -> tuple["pd.Series[str]", dict[str, str]]:
    """The group of each row, and the colour of each group, in the order of a legend.

    A column of more than a few numbers is cut into steps of a ramp, each with as many rows: a plot
    of costs over decades would else be one colour with a few points of another. Steps can be drawn
    in one go, as a ramp that is computed for each point cannot.
    """
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MOST_GROUPS:
        cut = pd.qcut(column, len(RAMP), duplicates="drop")
        titles = {each: f"{each.left:.3g} to {each.right:.3g}" for each in cut.cat.categories}
        groups = cut.map(titles).astype(object).fillna("unknown").astype(str)
        steps = np.linspace(0, len(RAMP) - 1, len(titles)).round().astype(int)
        tints = {title: RAMP[i] for title, i in zip(titles.values(), steps, strict=True)}
    else:
        groups = column.astype(object).where(column.notna(), "unknown").map(worded)
        usual = groups[groups != "unknown"].value_counts().index[:MOST_GROUPS]
        if column.name == "kind":
            tints = dict(TINTS)
        else:
            order = dict.fromkeys(worded(each) for each in column.dropna().sort_values(key=_ranked))
            tints = dict(zip([each for each in order if each in usual], SERIES, strict=False))
            groups = groups.where(groups.isin([*usual, "unknown"]), "others")
    rest = {name: QUIET for name in ("others", "unknown") if (groups == name).any()}
    return groups, {name: tint for name, tint in tints.items() if (groups == name).any()} | rest


def worded(value: object) -> str:
    """A value of a column as a legend says it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _ranked(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(str)


def parallel(frame: pd.DataFrame, columns: Sequence[str], colour: str) -> Option:
    """Every design a line through the columns, each from its least to its largest figure.

    Args:
        frame: of `scaled_frame`; the frontier's lines are drawn strong, on top.
        columns: at least two.
        colour: column.
    """
    groups, tints = grouped(frame[colour])
    axes = []
    for place, column in enumerate(columns):
        low, high = find_ends(frame[column], log=False)
        axes.append({"dim": place, "name": label(column), "min": low, "max": high})
    series = [
        {
            "type": "parallel",
            "name": name,
            "z": 3 if front else 2,
            "lineStyle": {"color": tint, "opacity": 0.95 if front else 0.16, "width": 1 + front},
            "itemStyle": {"color": tint},
            "data": [
                {"name": str(design), "value": values}
                for design, values in zip(
                    part["name"], told(part[list(columns)]).to_numpy(float).tolist(), strict=True
                )
            ],
        }
        for name, tint in tints.items()
        for front in (False, True)
        if len(part := frame[(groups == name) & (frame["frontier"] == front)])
    ]
    space = {"top": 44, "bottom": 50, "left": 70, "right": 90}
    return chart(series, parallelAxis=axes, parallel=space)
