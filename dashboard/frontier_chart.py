"""The frontier's chart: how it is drawn stands apart from the figures.

A browser that has drawn a chart once takes new figures for it in some hundredths of a second; a new
drawing takes half a second. So the drawing depends on columns, scales and limits alone
(`_drawing`), is kept, and refers to its tables by name.
"""

import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import BOX, HEIGHT, KEY, PICK, axis, colour_of, is_even, stairs
from dashboard.texts import label
from dashboard.theme import GREEN, GREY, ORANGE, PINK, SHAPES
from dse.columns import LABELS

LAST = ("frontier", "source", "design")
"""Columns of every point, behind those that are drawn or that its hovering shows."""
TOLD = {"name": "design", "design": KEY, "frontier": "on the frontier"}
"""Column -> how hovering calls it, where that is not its label."""
READ_OUT = 500
"""A chart of more points is not read out point by point: its table is."""
HOVERED = ("error", "energy_pj", "latency_us", "area_um2", "trained_parameters")
BEYOND = 1.5
"""A limit further off than so many times the dearest design is named, not drawn."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and the tables that it names."""

    spec: dict[str, Any]
    data: dict[str, pd.DataFrame]

    def show(self, key: str, *, modes: list[str] | None = None, description: str = "") -> Any:
        """Draw it; what is selected in it where `modes` are given."""
        spec = copy.copy(self.spec) | {"datasets": dict(self.data)}
        if modes is None:
            return st.vega_lite_chart(spec=spec, key=key, alt=description or None)
        return st.vega_lite_chart(
            spec=spec, key=key, on_select="rerun", selection_mode=modes, alt=description or None
        )


def frontier_chart(
    frame: pd.DataFrame,
    x: str,
    y: str,
    *,
    colour: str = "kind",
    shape: str = "kind",
    log_x: bool = True,
    log_y: bool = False,
    limits: Mapping[str, float] | None = None,
    ghost: pd.DataFrame | None = None,
    confirmed: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
    select: tuple[str, ...] = (BOX, PICK),
) -> Chart:
    """Designs in two columns: the frontier as stairs, dominated and infeasible points greyed.

    Args:
        frame: of `scaled_frame`, or a part of it.
        x: column.
        y: column.
        colour: column that colours the trained points.
        shape: column of their symbols.
        log_x: logarithmic axis.
        log_y: likewise.
        limits: `max_...` and `min_...` of columns in their own units; lines where they are drawn.
        ghost: an older frontier, of `scaled_frame`.
        confirmed: of `dashboard.studies.read_confirmed`; bars where `y` is the error.
        published: networks of the literature, of `scaled_frame`.
        select: which selections there are: a box, a click.
    """
    wanted = dict.fromkeys(("name", "trial", "status", x, y, *HOVERED, colour, shape, *LAST))
    drawn = frame[[name for name in wanted if name in frame]].dropna(subset=[x])
    # What is drawn last is on top: the frontier.
    drawn = drawn.sort_values("frontier", kind="stable")
    missing = drawn[y].isna()
    trained, others = drawn[~missing], drawn[missing]
    ends = [drawn[x], *([] if ghost is None else [ghost[x]])]
    end = max((float(each.max()) for each in ends if len(each)), default=1.0)
    seen = pd.concat([drawn[[x, y]], *([] if ghost is None else [ghost[[x, y]]])])
    log_x, log_y = (
        log and bool((seen[name].dropna() > 0).all()) for log, name in ((log_x, x), (log_y, y))
    )
    tables = {
        "ticks": others.assign(**{y: _floor(seen[y], log_y)})[["name", "trial", "status", x, y]],
        "steps": stairs(trained[trained["frontier"]], x, y, end),
        "points": trained,
    }
    if ghost is not None:
        tables["ghost"] = stairs(ghost, x, y, end)
    if confirmed is not None and y == "error":
        tables["bars"] = _bars(drawn, confirmed, x)
    if published is not None:
        tables["published"] = published[["name", "source", x, y]].dropna()
    named = trained.loc[trained["source"] != "search", ["source", x, y]]
    if len(named):
        tables["names"] = named
    bounds = tuple(
        (name, bound * LABELS[column][2])
        for name, bound in (limits or {}).items()
        if (column := name.partition("_")[2]) in (x, y)
        and bound * LABELS[column][2] <= BEYOND * float(seen[column].max())
    )
    spec = _drawing(
        x,
        y,
        colour,
        shape,
        is_even(trained[colour]),
        log_x,
        log_y,
        bounds,
        tuple(tables),
        select,
        len(drawn) <= READ_OUT,
    )
    return Chart(spec, {name: told(table) for name, table in tables.items()})


def told(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose columns have the names that hovering shows, its figures as long as it shows.

    What hovering shows is then the row itself: sentences made for each point beforehand took most
    of a browser's time.
    """
    columns: dict[str, Any] = {}
    for name in table.columns:
        figures = pd.api.types.is_float_dtype(table[name])
        column = _rounded(table[name].to_numpy()) if figures else table[name]
        columns[TOLD.get(name, label(name))] = column
    return pd.DataFrame(columns, index=table.index).reset_index(drop=True)


def _rounded(figures: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """To five digits: finer than a pixel."""
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 10.0 ** (4 - np.floor(np.log10(np.abs(figures))))
        rounded = np.round(figures * digits) / digits
    return np.where(np.isfinite(rounded), rounded, figures)


@functools.lru_cache(maxsize=64)
def _drawing(
    x: str,
    y: str,
    colour: str,
    shape: str,
    even: bool,
    log_x: bool,
    log_y: bool,
    limits: tuple[tuple[str, float], ...],
    tables: tuple[str, ...],
    select: tuple[str, ...],
    read_out: bool,
) -> dict[str, Any]:
    base_x = alt.X(field=label(x), type="quantitative", **axis(x, log_x))
    base_y = alt.Y(field=label(y), type="quantitative", **axis(y, log_y))
    place: dict[str, Any] = {"x": base_x, "y": base_y}
    row = alt.TooltipContent("data")
    layers: list[Any] = [
        _table("ticks")
        .mark_tick(color=GREY, opacity=0.35, thickness=1.5, size=10, orient="vertical", tooltip=row)
        .encode(**place)
    ]
    if "ghost" in tables:
        layers.append(_step("ghost", x, place, GREY, [5, 4]))
    layers.append(_step("steps", x, place, GREEN, [1, 0]))
    layers += [_limit(name, bound, x) for name, bound in limits]
    if "bars" in tables:
        layers += _bar_marks(place)
    points = _table("points").mark_point(filled=True, strokeWidth=0.6, tooltip=row)
    points = points.encode(**place, **_looks(colour, shape, even))
    if BOX in select:
        points = points.add_params(alt.selection_interval(name=BOX, encodings=["x", "y"]))
    if PICK in select:
        points = points.add_params(
            alt.selection_point(name=PICK, fields=[KEY], on="click", clear="dblclick")
        )
    layers.append(points)
    if "published" in tables:
        layers += _published_marks(place)
    if "names" in tables:
        layers.append(
            _table("names")
            .mark_text(align="left", dx=8, dy=-8, fontSize=11, color=GREY)
            .encode(**place, text="source:N")
        )
    with alt.utils.schemapi.debug_mode(False):  # its tests check it
        chart = alt.layer(*layers).properties(height=HEIGHT).resolve_legend(color="independent")
        if not read_out:
            chart = chart.configure_mark(aria=False)
        return dict(chart.to_dict())


def _table(name: str) -> Any:
    return alt.Chart(alt.NamedData(name))


def _looks(colour: str, shape: str, even: bool) -> dict[str, Any]:
    """Colour and symbol of a point: the frontier large, what is over a limit grey."""
    front = f"datum['{TOLD['frontier']}']"
    return {
        "color": alt.condition(
            "datum.status == 'infeasible'", alt.value(GREY), colour_of(colour, even)
        ),
        "shape": alt.Shape(
            field=label(shape),
            type="nominal",
            title=label(shape),
            scale=alt.Scale(range=SHAPES),
            legend=None if shape == colour else alt.Legend(orient="bottom"),
        ),
        "opacity": alt.condition(front, alt.value(1.0), alt.value(0.4)),
        "size": alt.condition(front, alt.value(95), alt.value(34)),
    }


def _step(table: str, x: str, place: dict[str, Any], colour: str, dash: list[int]) -> Any:
    return (
        _table(table)
        .mark_line(
            clip=True, interpolate="step-after", color=colour, strokeWidth=2, strokeDash=dash
        )
        .encode(**place, order=alt.Order(field=label(x), type="quantitative"))
    )


def _limit(name: str, bound: float, x: str) -> Any:
    """A dashed line with its name."""
    kind, _, column = name.partition("_")
    row = alt.Chart(alt.InlineData(values=[{"limit": f"{kind}. allowed"}]))
    rule = row.mark_rule(clip=True, color=ORANGE, strokeDash=[6, 3], strokeWidth=1.5)
    text = row.mark_text(clip=True, color=ORANGE, align="left", dx=4, dy=-6, fontSize=11)
    place: dict[str, Any]
    if column == x:
        place, edge = {"x": alt.datum(bound)}, {"y": alt.value(12)}
    else:
        place, edge = {"y": alt.datum(bound)}, {"x": alt.value(4)}
    return alt.layer(rule.encode(**place), text.encode(**place, **edge, text="limit:N"))


def _bars(frame: pd.DataFrame, confirmed: pd.DataFrame, x: str) -> pd.DataFrame:
    """Mean test error of fresh seeds with its interval, at the cost of its design."""
    key = frame["design"].astype(str).str.partition("@")[0]
    places = frame.assign(key=key).drop_duplicates("key").set_index("key")[x]
    bars = confirmed[confirmed["key"].isin(places.index)].copy()
    bars[x] = places.loc[bars["key"]].to_numpy()
    bars["error"] = 100 * bars["test_error"]
    half = 100 * bars["test_error_half_width"].fillna(0.0)
    return bars.assign(least=bars["error"] - half, most=bars["error"] + half)[
        ["name", x, "error", "least", "most"]
    ]


def _bar_marks(place: dict[str, Any]) -> list[Any]:
    base_y = place["y"]
    hover = [
        alt.Tooltip("design:N", title="confirmed"),
        alt.Tooltip(
            field=label("error"), type="quantitative", title="mean test error (%)", format=".3~g"
        ),
        alt.Tooltip("least:Q", title="at least (%)", format=".3~g"),
        alt.Tooltip("most:Q", title="at most (%)", format=".3~g"),
    ]
    base = _table("bars").encode(x=place["x"], tooltip=hover)
    return [
        base.mark_rule(clip=True, color=PINK, strokeWidth=2).encode(y=alt.Y("least:Q"), y2="most"),
        base.mark_point(clip=True, color=PINK, shape="diamond", size=60).encode(y=base_y),
    ]


def _published_marks(place: dict[str, Any]) -> list[Any]:
    """Hollow: what other people measured on other recordings is not one of these designs."""
    base = _table("published").encode(**place)
    return [
        base.mark_point(
            color=GREY,
            shape="diamond",
            size=110,
            strokeWidth=1.8,
            filled=False,
            tooltip=alt.TooltipContent("data"),
        ),
        base.mark_text(
            align="left", dx=9, dy=-7, fontSize=11, color=GREY, fontStyle="italic"
        ).encode(text="design:N"),
    ]


def _floor(column: "pd.Series[float]", log: bool) -> float:
    """Where designs without a figure stand: at the foot of the axis."""
    known = column.dropna()
    if not len(known):
        return 1.0
    low, high = float(known.min()), float(known.max())
    return low * 0.9 if log and low > 0 else low - 0.04 * (high - low or 1.0)
