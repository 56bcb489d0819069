r"""Parallel coordinates: every design a line through upright axes, and parts of these taken.

m columns are m upright axes, and a design is a line that crosses each at its figure. Lines that
cross between two neighbours say that these two are at odds; lines side by side, that they go
together. Only neighbours can be read so, which is why a reader orders the columns.

    energy   latency   policy        dragging along an axis takes a part of it (`Ranges`): what
      |  \\      |        P4          passes through a part of each axis that has one is selected,
      #----\\---|-------P2          ringed in the plot of points and listed in the table
      #      \\-|-------P0

ECharts draws it and lets one drag; Streamlit's own element for it says nothing of such parts to the
server, the component `streamlit-echarts` does.

Two traps:

- What the component finds between two `MARK`s in any text, it runs. Names come from files, so the
  mark is taken out of all that is drawn (`without_mark`).
- A chart that is drawn anew has forgotten its parts: they are taken again once it stands
  (`_RESTORE`), silently, or each drawing would be one more event for the server.
"""

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts import LEGEND, Option, chart, even_ticks, find_ends, grouped, ink, told
from dashboard.selection import NOTHING, ROUND, Part, Ranges, Selection, select
from dashboard.slices import in_order, texts_of
from dashboard.texts import label
from dse.colours import SHORTLISTED

MARK = "--x_x--0_0--"
"""Between two of these a text is JavaScript to `streamlit_echarts` (its `JsCode`)."""
FAINT = 0.03
_READ = """function () {
    return chart.getModel().queryComponents({mainType: 'parallelAxis'})
        .map((axis) => axis.activeIntervals);
}"""
_RESTORE = """function () {
    const axes = chart.getModel().queryComponents({mainType: 'parallelAxis'});
    const taken = TAKEN;
    if (axes[0].restored || !taken.some((parts) => parts.length)) return;
    axes.forEach((axis) => { axis.restored = true; });
    // An axis is not drawn anew by its own action, so the first one is asked twice.
    [...taken.keys(), 0].forEach((place) => chart.dispatchAction(
        {type: 'axisAreaSelect', parallelAxisIndex: place, intervals: taken[place]},
        {silent: true}));
    // Parts that were not dragged have no style, and would hide the lines: 10000 is their height.
    chart.getZr().storage.getDisplayList(true)
        .filter((shape) => shape.z === 10000).forEach((shape) => shape.setStyle('opacity', 0.3));
}"""


@dataclass(frozen=True, slots=True)
class Upright:
    """An axis: of figures, or of names in their order."""

    column: str
    names: tuple[str, ...] = ()

    def parts(self, intervals: object) -> tuple[Part, ...]:
        """Parts of it as a browser reports them, which may be anything."""
        found: list[Part] = []
        for each in intervals if isinstance(intervals, list) else ():
            try:
                low, high = sorted(map(float, each))
            except (TypeError, ValueError):
                continue
            if self.names:
                named = enumerate(self.names)
                found += [name for place, name in named if low - 0.5 <= place <= high + 0.5]
            elif math.isfinite(low) and math.isfinite(high):
                found.append((low, high))
        return tuple(dict.fromkeys(found))

    def intervals(self, parts: Sequence[Part]) -> list[list[float]]:
        """As ECharts has them: of names, their places."""
        if not self.names:
            return [list(part) for part in parts if not isinstance(part, str)]
        places = [self.names.index(p) for p in parts if isinstance(p, str) and p in self.names]
        return [[min(places) - 0.4, max(places) + 0.4]] if places else []


def axes_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[Upright]:
    """Upright axes of these columns: one whose value may be missing, or is no number, has names."""
    return [
        Upright(
            name,
            () if _is_number(frame[name]) else tuple(in_order(frame[name])),
        )
        for name in columns
    ]


def _is_number(column: "pd.Series[Any]") -> bool:
    is_axis = str(column.name).startswith("axis_") and bool(column.isna().any())
    kinds = pd.api.types
    return kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column) and not is_axis


def ranges_of(event: object, axes: Sequence[Upright]) -> Ranges | None:
    """What is taken of the axes; None where nothing is.

    Args:
        event: a list of intervals for each axis; from a browser, so it may be anything.
        axes: that were drawn.
    """
    if not isinstance(event, list) or len(event) != len(axes):
        return None
    parts = [(axis.column, axis.parts(each)) for axis, each in zip(axes, event, strict=True)]
    taken = tuple((column, each) for column, each in parts if each)
    return Ranges(taken) if taken else None


def parallel(
    frame: pd.DataFrame,
    axes: Sequence[Upright],
    colour: str,
    *,
    whole: pd.DataFrame | None = None,
    inside: "pd.Series[bool] | None" = None,
    marked: Sequence[str] = (),
) -> Option:
    """Every design a line through the axes; hovering says all its figures.

    Args:
        frame: of `scaled_frame`, without rows that lack a figure of an axis of figures; the
            frontier's lines are drawn strong, on top.
        axes: at least two, of `axes_of`.
        colour: column.
        whole: of which the frame is a part: its values have the colours.
        inside: mask of what is selected elsewhere: other lines are faint.
        marked: designs whose lines are drawn strongest.
    """
    groups, tints = grouped((frame if whole is None else whole)[colour])
    groups = groups[frame.index]
    figures = told(frame[[axis.column for axis in axes]])
    for place, axis in enumerate(axes):
        if axis.names:
            figures.isetitem(place, texts_of(frame[axis.column]).to_numpy())
    rows = pd.Series(figures.to_numpy(object).tolist(), index=frame.index)
    named, front = frame["name"].astype(str), frame["frontier"]
    said = _said(named, rows, list(figures.columns))
    there = pd.Series(True, index=frame.index) if inside is None else inside[frame.index]
    looks = [
        (f"{name} ({int((groups == name).sum()):,})", tint, mask, strength)
        for name, tint in tints.items()
        for mask, strength in (
            (groups.eq(name) & ~there, FAINT),
            (groups.eq(name) & there & ~front, 0.4),
            (groups.eq(name) & there & front, 0.95),
        )
    ]
    listed = frame.get("design", named).isin(list(marked))
    looks.append(("shortlist", SHORTLISTED, listed, 1.0))
    series = [
        _lines(name, tint, strength, zip(named[mask], rows[mask], said[mask], strict=True))
        for name, tint, mask, strength in looks
        if mask.any()
    ]
    longest = max(map(len, axes[-1].names), default=0)  # letters, at the right of the last axis
    space = {"top": 62, "bottom": 50, "left": 60, "right": max(90, 24 + 6 * longest)}
    return chart(
        series,
        tooltip={"trigger": "item", "renderMode": "richText"},
        legend=LEGEND | {"data": list(dict.fromkeys(each["name"] for each in series))},
        parallelAxis=[_upright(place, axis, frame) for place, axis in enumerate(axes)],
        parallel=space | {"parallelAxisDefault": _look()},
    )


def _said(named: "pd.Series[str]", rows: "pd.Series[Any]", titles: list[str]) -> "pd.Series[str]":
    """Hovering shows the last figure alone, unless it is told; of so few lines it can be."""
    words = [
        "\n".join([name, *(f"{title}: {each}" for title, each in zip(titles, row, strict=True))])
        for name, row in zip(named, rows, strict=True)
    ]
    return pd.Series(words, index=named.index)


def _lines(name: str, tint: str, strength: float, lines: Any) -> Option:
    strong = strength > 0.9
    return {
        "type": "parallel",
        "name": name,
        "z": 3 if strong else 2,
        "smooth": False,
        "inactiveOpacity": FAINT,
        "lineStyle": {"color": tint, "opacity": strength, "width": 1 + strong},
        "emphasis": {"lineStyle": {"width": 4, "opacity": 1}},
        "itemStyle": {"color": tint},
        "data": [
            {"name": design, "value": values, "tooltip": {"formatter": words}}
            for design, values, words in lines
        ],
    }


def _look() -> Option:
    return {
        "nameGap": 22,
        "nameTextStyle": {"fontSize": 10, "lineHeight": 13, "color": ink()},
        "nameTruncate": {"maxWidth": 150},
        "areaSelectStyle": {"width": 22, "opacity": 0.25},
        "axisLabel": {"fontSize": 10, "color": ink()},
        "realtime": False,  # a part is told when it is taken, not while it is dragged
    }


def _upright(place: int, axis: Upright, frame: pd.DataFrame) -> Option:
    title = {"dim": place, "name": label(axis.column).replace(" (", "\n(")}
    if axis.names:
        return title | {"type": "category", "data": list(axis.names)}
    low, high = find_ends(frame[axis.column], log=False)
    ticks = {"customValues": even_ticks(low, high)}
    return title | {
        "min": low,
        "max": high,
        "axisTick": ticks,
        "axisLabel": {"fontSize": 10, "color": ink()} | ticks,
    }


def without_mark(part: Any) -> Any:
    """The option without what the component would run."""
    if isinstance(part, str):
        return part.replace(MARK, "")
    if isinstance(part, Mapping):
        return {name: without_mark(each) for name, each in part.items()}
    return [without_mark(each) for each in part] if isinstance(part, list) else part


def draw_parallel(
    study: str, option: Option, axes: Sequence[Upright], taken: Ranges | None, height: int
) -> None:
    """Draw it; what is taken of its axes is the study's selection from then on.

    Args:
        study: its label.
        option: of `parallel`.
        axes: of which it is.
        taken: parts of them that are selected already.
        height: in px.
    """
    from streamlit_echarts import st_echarts  # 2.6 MB of script, for who looks at this

    parts = dict(taken.parts) if taken else {}
    intervals = json.dumps([axis.intervals(parts.get(axis.column, ())) for axis in axes])
    key = f"lines.{st.session_state.get(ROUND, 0)}"
    with st.container(key="lines"):
        st_echarts(
            without_mark(option),
            events={
                "axisareaselected": _READ,
                "finished": _RESTORE.replace("TAKEN", intervals),
            },
            height=f"{height}px",
            key=key,
            on_change=functools.partial(_follow, study, key, tuple(axes)),
        )


def _follow(study: str, key: str, axes: Sequence[Upright]) -> None:
    event = (st.session_state.get(key) or {}).get("chart_event")
    ranges = ranges_of(event, axes)
    select(study, NOTHING if ranges is None else Selection(ranges))
