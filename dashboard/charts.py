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
import sys
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.texts import label, unit_of
from dse.colours import DENSE, OTHER, QUIET, SERIES, TERNARY
from dse.columns import LABELS
from dse.pareto import pareto_mask
from dse.studies.kinds import Kind
from dse.studies.rows import FULL

Option = dict[str, Any]

KINDS = ("dense", "with ternary matrices", "other mixing layers")
"""Kinds of networks, as people read them."""
TINTS = dict(zip(KINDS, (DENSE, TERNARY, OTHER), strict=True))
"""Kind of a design -> its colour."""
RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Viridis: from the least figures to the largest, each step as many designs."""
MOST_GROUPS = len(SERIES)
"""Colours that one plot can tell apart; of more names, those of the fewest designs share one."""
MOST_POINTS = 3_000
"""Dominated points of a plot that is drawn often; of more, a sample stands for all."""
HEIGHT = 460  # px


LEGEND: Option = {"type": "scroll", "bottom": 0, "itemWidth": 14}


def scaled_frame(frame: pd.DataFrame, kinds: Iterable[Kind | None] = ()) -> pd.DataFrame:
    """The table with its columns in the units of their labels, and the kind of each design.

    Results files hold base units (pJ, us, um2, bits, errors as shares of 1); people read uJ, ms or
    percent. `dashboard.texts.unit_of` has the factor between them, and this is the one place of the
    dashboard where a whole table is multiplied by it. All charts expect a table that went through
    here; limits of a study and what `StudyFrame.row` returns are still in base units.

    Args:
        frame: `StudyFrame.frame`, or a table with the same columns. It is not changed.
        kinds: of the network of each row, as `StudyFrame.kinds` says; None, or nothing at all,
            where nobody knows. No figure of the frame says so: a machine without a generator stores
            ternary matrices and generates none.

    Returns:
        A copy with two more columns: `kind` (one of `KINDS`, or None) and `cost_known` (False where
        pricing failed).
    """
    factors = {name: unit_of(name)[1] for name in LABELS if name in frame}
    scaled = frame.assign(**{name: frame[name] * factor for name, factor in factors.items()})
    words = dict(zip(get_args(Kind), KINDS, strict=True))
    kind = [None if each is None else words[each] for each in kinds] or None
    return scaled.assign(
        kind=pd.Series(kind, index=frame.index, dtype=object), cost_known=frame["energy_pj"].notna()
    )


def draw_sample(
    frame: pd.DataFrame, columns: Sequence[str] = (), most: int = MOST_POINTS
) -> pd.DataFrame:
    """All of the frontiers and the baselines, and of the other points at most so many.

    What a decision rests on is never left out; the rest shows where designs lie, for which a
    uniform sample is enough. The seed is fixed: the same table is drawn by the same points, and
    does not flicker where a page is drawn again and again.

    Args:
        frame: with `frontier` and `source`, a row a design.
        columns: that are drawn: their own frontier, of all designs, is kept, too, whether or not
            the study minimises them.
        most: points beside the frontiers and the baselines.

    Returns:
        Rows of the frame in their order, with their index: masks of the whole frame still apply.
    """
    always = (frame["frontier"] | (frame["source"] != "search")).to_numpy(dtype=bool, copy=True)
    if columns:
        trained = frame["status"].isin(FULL) & frame[list(columns)].notna().all(axis=1)
        places = np.flatnonzero(trained)
        figures = frame[list(columns)].to_numpy(dtype=float)[places]
        always[places] |= pareto_mask(figures)
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
        series: as `points`, `line` and `stacked` make them: ECharts series with one more key,
            `table`. Tables are taken out and listed as datasets, and each series gets the number
            of its own; Streamlit sends datasets as Arrow, beside the option, which is JSON.
        parts: of the option, such as `xAxis`; those that are given replace the usual ones whole
            (a `grid` without `left` has ECharts' own left margin, not ours).
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
    """An axis of figures; where it is logarithmic its ends must be given.

    Args:
        title: with the unit, as `dashboard.texts.label` writes it.
        ends: least and largest figure, of `find_ends`; without them ECharts chooses, and need not
            start at 0 (`scale`).
        log: base 10. Ends must be above 0: the logarithm of anything else is no place.
    """
    drawn: Option = {"type": "value", "scale": True, "name": title, "nameLocation": "middle"}
    if ends is not None:
        drawn |= {"min": ends[0], "max": ends[1]}
    if log:
        assert ends is not None
        drawn |= {"type": "log"}
    if ends is not None:
        ticks = {"customValues": _ticks(*ends) if log else even_ticks(*ends)}
        drawn |= {"axisTick": ticks, "axisLabel": ticks}
    return drawn


def even_ticks(low: float, high: float) -> list[float]:
    """Marks of a linear axis: multiples of 1, 2 or 5 times a power of ten, four to nine.

    Without them ECharts also writes both ends of the axis, over the mark that is next to them.
    """
    # A span of 4 times 0.1 may come to a little less, whose logarithm is still rounded to -1.
    most = (high - low) / 4 * (1 + 1e-9)
    decade = 10.0 ** math.floor(math.log10(most))
    step = next(lead for lead in (5, 2, 1, 0.5) if lead * decade <= most) * decade
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def _ticks(low: float, high: float) -> list[float]:
    """Marks of a logarithmic axis: 1, 2 and 5 of each decade, or more, or fewer."""
    # By the span of the axis: beyond 3.5 decades their powers alone, from one decade on the usual
    # 1-2-5, and within less all leading digits, or an axis from 3 to 4 would have no mark at all.
    leads = (1,) if high / low > 3000 else (1, 2, 5) if high / low > 8 else (1, 1.5, *range(2, 10))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    marks = (float(f"{lead}e{decade}") for decade in decades for lead in leads)
    inside = [mark for mark in marks if low <= mark <= high]
    return inside if len(inside) > 2 else even_ticks(low, high)


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
    """Ends of an axis on which these figures stand, rounded, with room on both sides.

    Linear: ends are multiples of a step of 1, 2 or 5 times a power of ten, the largest that is no
    more than a sixth of the span, so that the ends fall on marks; 2 % of the span stay free on each
    side, and an axis of figures that are never negative does not begin below 0. Logarithmic: 12 %
    on each side, as room is a ratio there.

    Args:
        figures: NaN and infinity are ignored; without any figure the axis goes from 0 to 1.
        log: the axis is logarithmic. The figures must be above 0, which is not checked.
    """
    known = [each for each in map(float, figures) if math.isfinite(each)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if log:
        return float(f"{low / 1.12:.3g}"), float(f"{high * 1.12:.3g}")
    span = high - low or abs(high)
    span = span if span > sys.float_info.min else 1.0  # a sixth of the least numbers is 0
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
    """A series of points; hovering shows these columns, or x and y.

    Args:
        name: in the legend. Series of one name share an entry, and are switched on and off by it.
        table: a row a point; its columns are already named as hovering should name them (`told`).
        x: column across.
        y: column up.
        colour: of all points. A column of colours would make ECharts style each point by itself,
            which is why `grouped` cuts a column into a few series instead.
        hovered: columns, in the order in which they are shown.
        size: px; two figures are width and height.
        symbol: ECharts' name of a shape.
        opacity: below 1, so that where points lie on each other it is darker.
        more: of the series; replaces what stands here.
    """
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
    """A series of points joined by lines in the order of the rows; a missing figure is a gap.

    Args:
        name: in the legend.
        table: a row a corner, sorted already: ECharts does not sort.
        x: column across.
        y: column up; NaN interrupts the line, which is how intervals are drawn as one series.
        colour: of line and points.
        hovered: columns; x and y where there are none.
        dots: draw the corners, too, of a line of few.
        dash: `solid`, `dashed` or `dotted`.
        more: of the series; replaces what stands here.
    """
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
    # round(x * 10^d) / 10^d with d = 4 - floor(log10 |x|) keeps five significant digits. Zero has
    # no logarithm: 0 * inf is NaN there, and the last line puts back what stood there before.
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
        # Quantiles may coincide where many designs share a figure (bits of few widths): such a
        # step is dropped, and the colours of the rest are spread over the whole ramp again.
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
    """A value of a column as a legend says it: floats to four digits, the rest as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _ranked(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(str)
