"""The frontier: designs in any two columns, drawn in one way on every page, and selected in it.

What is drawn, from the back: priced designs without an error as ticks at the foot; an older
frontier in grey dashes; the frontier as stairs; limits as dashed lines; dominated points, faint;
the frontier's points, large; confirmed errors with their intervals; published networks, hollow.

All columns are minimised, so the good corner is at the lower left, and a frontier is a staircase
that falls from left to right:

    up |  x                  A design is dominated where another is at most as large in every
       |  '--x               objective, and smaller in one. A frontier in more than two objectives
       |     '-----x         is wider than the stairs of two of them: a point off the stairs may be
       |           '-----    on it for the sake of a third.
       +---------------- across

A browser says which outline was drawn, not which points lie in it: that is computed here
(`within`), over all rows, so those that hide below others count, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st
from matplotlib.path import Path as Outline

from dashboard.charts import (
    HEIGHT,
    LEGEND,
    Option,
    axis,
    chart,
    find_ends,
    grouped,
    line,
    points,
    stairs,
    told,
    worded,
)
from dashboard.texts import label
from dse.colours import FRONTIER, LIMIT, PINK, QUIET
from dse.columns import LABELS
from dse.studies.likeness import CONTROL

SYMBOLS = ("circle", "triangle", "rect", "diamond", "pin", "arrow", "roundRect")
LARGE = 2_000
"""A series of more points is drawn in one go."""
MOST_HOVERED = 20_000
"""Of a series of more points hovering shows what is drawn: the rest were most of what is sent."""
HOVERED = ("error", "energy_pj", "latency_us", "area_um2", "trained_parameters")
BEYOND = 1.5
"""A limit further off than so many times the dearest design would squeeze them into a corner."""
OVER = "over a limit"

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Selected:
    """What a reader selected in the plot: by outlines, or else by a click, or nothing at all."""

    inside: "pd.Series[bool] | None" = None
    """Mask over the frame of the designs in the outlines; None where none is drawn."""
    design: str | None = None
    """The design that was clicked, where nothing is outlined."""


@dataclass(frozen=True, slots=True)
class FrontierChart:
    """The drawing, and how a selection in it is understood.

    A browser answers in places (the third point of the second series; a corner of a lasso), so what
    it takes to turn them into designs again is kept beside the option.
    """

    option: Option
    frame: pd.DataFrame
    x: str
    y: str
    log_x: bool
    log_y: bool
    clickable: list["pd.Series[str]"]
    """Designs of the points of each series, for the first series of the option."""

    def show(self, key: str, *, outlines: bool = True) -> Selected:
        """Draw it, and say what is selected: by a click, and by a box or lasso.

        Args:
            key: of the widget.
            outlines: offer box and lasso; a click selects always.
        """
        option = self.option | (OUTLINES if outlines else {})
        event = st.echarts_chart(
            option, key=key, height=HEIGHT, on_select="rerun", alt="Designs and their frontier"
        )
        areas = event.selection["areas"] if event else []
        inside = within(self.frame, self.x, self.y, areas, self.log_x, self.log_y)
        # A browser names a click by series and place. Both mean another design once colours or
        # filters change, so what they meant when they came is kept.
        places = [dict(each) for each in event.selection["selected"]] if event else []
        last = st.session_state.get(f"{key}.clicked")
        if last is None or last[0] != places:
            last = st.session_state[f"{key}.clicked"] = (places, clicked(self.clickable, places))
        return Selected(inside, last[1] if inside is None else None)


TOOLS = ["rect", "polygon", "clear"]
OUTLINES: Option = {
    "toolbox": {
        "right": 12,
        "top": 4,
        "itemSize": 20,
        "itemGap": 12,
        "feature": {
            "brush": {"type": TOOLS, "title": {"rect": "Box", "polygon": "Lasso", "clear": "Clear"}}
        },
    },
    "brush": {
        "xAxisIndex": 0,
        "yAxisIndex": 0,
        "toolbox": TOOLS,
        "throttleType": "debounce",
        "throttleDelay": 200,
        "outOfBrush": {},
    },
}


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
) -> FrontierChart:
    """Designs in two columns: the frontier as stairs, dominated and infeasible points greyed.

    Args:
        frame: of `scaled_frame`, or a part of it.
        x: column.
        y: column.
        colour: column that colours the trained points.
        shape: column of their symbols.
        log_x: logarithmic axis, where all figures are above 0.
        log_y: likewise.
        limits: `max_...` and `min_...` of columns in their own units; lines where they are drawn.
        ghost: an older frontier, of `scaled_frame`.
        confirmed: of `dashboard.studies.table_of_confirmed`, drawn as bars: they are of the error
            that the study minimises, so only where that is `y`.
        published: networks of the literature, of `scaled_frame`.
    """
    # An axis is logarithmic only where everything on it has a logarithm: a leakage of 0, say, or an
    # error of 0 %, turns it linear instead of vanishing.
    drawn = frame.dropna(subset=[x])
    trained, others = drawn.dropna(subset=[y]), drawn[drawn[y].isna()]
    extra = [each for each in (ghost, published) if each is not None]
    seen = {n: pd.concat([drawn[n], *(each[n] for each in extra)]).dropna() for n in (x, y)}
    log_x, log_y = log_x and bool((seen[x] > 0).all()), log_y and bool((seen[y] > 0).all())
    lines = _limits(limits or {}, seen, {x: log_x, y: log_y})
    ends_x = find_ends([*seen[x], *(end for on, end, _ in lines if on == x)], log_x)
    ends_y = find_ends([*seen[y], *(end for on, end, _ in lines if on == y)], log_y)
    # Designs come first, so that the number of a series, which a click reports, is a place in
    # `clickable`; everything that is added below is behind them and not to be clicked.
    series, clickable = _points(trained, x, y, colour, shape)
    front = corners(trained[trained["frontier"]], x, y, ends_x[1])
    series.append(
        stairs("frontier", told(front), label(x), label(y), FRONTIER, z=2)
        | {"markLine": _mark_lines(lines, x)}
    )
    if ghost is not None:
        old = told(corners(ghost, x, y, ends_x[1]))
        series.append(stairs("frontier before", old, label(x), label(y), QUIET, dash="dashed", z=1))
    if len(others):
        foot = told(others.assign(**{y: ends_y[0]})[["name", "trial", "status", x, y]])
        series.append(
            points(
                "without an error",
                foot,
                label(x),
                label(y),
                QUIET,
                hovered=["design", "trial", "status", label(x)],
                symbol="rect",
                size=[1.5, 10],
                opacity=0.35,
                symbolOffset=[0, -5],
                large=len(foot) > LARGE,
                largeThreshold=LARGE,
            )
        )
    if confirmed is not None:
        series += _bars(drawn, confirmed, x)
    if published is not None:
        series.append(_published(published, x, y))
    # Controls are named by their networks, as all designs are: their source names another one.
    beside = (trained["source"] != "search") & ~trained["source"].fillna("").str.startswith(CONTROL)
    named = trained.loc[beside, ["source", x, y]]
    if len(named):
        series.append(_written(told(named), "baselines", x, y, "source") | {"symbolSize": 0})
    keys: list[Option] = [LEGEND | {"data": _legend(series, trained[colour])}]
    # Symbols have a legend of their own: empty series, which draw nothing but an entry.
    if shape != colour:
        symbols = {f"{label(shape)} {worded(k)}": s for k, s in _symbols(trained[shape]).items()}
        series += [
            {"type": "scatter", "name": n, "symbol": s, "itemStyle": {"color": QUIET}, "data": []}
            for n, s in symbols.items()
        ]
        keys.append(LEGEND | {"bottom": 24, "selectedMode": False, "data": list(symbols)})
    option = chart(
        series,
        legend=keys,
        grid={"top": 40, "bottom": 44 + 24 * (len(keys) - 1), "left": 4, "right": 24},
        xAxis=axis(label(x), ends_x, log=log_x),
        yAxis=axis(label(y), ends_y, log=log_y),
    )
    return FrontierChart(option, frame, x, y, log_x, log_y, clickable)


def corners(front: pd.DataFrame, x: str, y: str, end: float | None = None) -> pd.DataFrame:
    """Corners of the frontier in these two columns, by increasing x; a last level step to `end`.

    One sweep from the left: sorted by (x, y), a point is a corner exactly where its y is below the
    least y of all points before it. The study's frontier is in all its objectives; this projects
    it, so points that are on it for the sake of a third column fall off here.

    Args:
        front: designs of the frontier, both columns minimised.
        x: column across.
        y: column up; rows that lack either are left out.
        end: where the axis ends. The last corner is as good there, as it costs less.

    Returns:
        Columns x and y, a row a corner, y strictly falling (but for the step to `end`).
    """
    ordered = front[[x, y]].dropna().sort_values([x, y])
    best = ordered[y].cummin()
    kept = ordered[(best < best.shift(fill_value=np.inf))]
    if len(kept) and end is not None and end > kept[x].iloc[-1]:
        kept = pd.concat([kept, pd.DataFrame({x: [end], y: [kept[y].iloc[-1]]})])
    return kept.reset_index(drop=True)


def _points(
    trained: pd.DataFrame, x: str, y: str, colour: str, shape: str
) -> tuple[list[Option], list["pd.Series[str]"]]:
    """A series for each look, the frontier's last; and the designs of their points.

    A look is (on the frontier, group of the colour, symbol). What is drawn last lies on top, so
    dominated points come first and the frontier's after them, each in the order of the legend.
    Beyond `LARGE` points ECharts draws a series in one go, which is fast but knows one style.

    Args:
        trained: designs with figures in both columns.
        x: column across.
        y: column up.
        colour: column that `grouped` cuts into colours; designs over a limit are grey whatever
            they have there.
        shape: column of the symbols.

    Returns:
        The series, and for each of them the column `design` of its rows, in the same order.
    """
    groups, tints = grouped(trained[colour])
    over = trained["status"] == "infeasible"
    groups, tints = groups.where(~over, OVER), tints | {OVER: QUIET}
    symbols = _symbols(trained[shape])
    looks = [trained["frontier"], groups, trained[shape].where(trained[shape].notna(), "")]
    order = {name: place for place, name in enumerate(tints)}
    parts: list[Any] = [(*look, part) for look, part in trained.groupby(looks, sort=False)]
    series, designs = [], []
    for front, group, form, part in sorted(parts, key=lambda it: (it[0], order[it[1]])):
        more = HOVERED if len(part) <= MOST_HOVERED else ()
        who = ("name", "trial", "status") if more else ()
        wanted = [n for n in dict.fromkeys((*who, x, y, *more)) if n in part]
        table = told(part[wanted])
        designs.append(part["design"])
        series.append(
            points(
                group,
                table,
                label(x),
                label(y),
                tints[group],
                hovered=list(table.columns),
                size=11 if front else 5 if len(part) > LARGE else 7,
                symbol=symbols.get(form, "circle"),
                opacity=1.0 if front else 0.4,
                large=len(part) > LARGE,
                largeThreshold=LARGE,
                selectedMode="single",
                select={"itemStyle": {"borderWidth": 2, "opacity": 1}},
                z=4 if front else 3,
            )
        )
    return series, designs


def _symbols(column: "pd.Series[Any]") -> dict[object, str]:
    values = sorted(column.dropna().unique().tolist(), key=str)
    return {value: SYMBOLS[i % len(SYMBOLS)] for i, value in enumerate(values)}


def _legend(series: Sequence[Option], coloured: "pd.Series[Any]") -> list[Option]:
    """An entry for each name, those of the colours in their order, none as faint as its points."""
    shown = {each["name"] for each in series if each["name"] != "baselines"}
    # A legend's entry looks as the series does, faint where its points are: hence full opacity.
    order = dict.fromkeys([*grouped(coloured)[1], *(each["name"] for each in series)])
    return [{"name": name, "itemStyle": {"opacity": 1}} for name in order if name in shown]


def _limits(
    limits: Mapping[str, float], seen: Mapping[str, "pd.Series[float]"], log: Mapping[str, bool]
) -> list[tuple[str, float, str]]:
    """Column, place in its people's unit, and words, of the limits on what is drawn.

    Left out are those that would spoil the axis: one far beyond all designs (`BEYOND`), and one
    of 0 or less on a logarithmic axis, where it has no place.
    """
    found = []
    for name, bound in limits.items():
        kind, _, column = name.partition("_")
        if column in seen and len(seen[column]):
            place = bound * LABELS[column][2]
            if place <= BEYOND * float(seen[column].max()) and (place > 0 or not log[column]):
                found.append((column, place, f"{kind}. allowed"))
    return found


def _mark_lines(lines: Sequence[tuple[str, float, str]], x: str) -> Option:
    return {
        "silent": True,
        "symbol": "none",
        "data": [
            {"xAxis" if column == x else "yAxis": place, "name": words}
            for column, place, words in lines
        ],
        "label": {"formatter": "{b}", "color": LIMIT, "position": "insideEndTop"},
        "lineStyle": {"color": LIMIT, "type": "dashed", "width": 1.5},
    }


def _bars(frame: pd.DataFrame, confirmed: pd.DataFrame, x: str) -> list[Option]:
    """Mean test error of fresh seeds with its interval, at the cost of its design.

    What is confirmed is a network, known by its key, whatever it runs on: where the study has it on
    several machines (`KEY@MACHINE`), its bar stands at the first of them.
    """
    key = frame["design"].astype(str).str.partition("@")[0]
    places = frame.assign(key=key).drop_duplicates("key").set_index("key")[x]
    known = confirmed[confirmed["key"].isin(places.index)]
    table = pd.DataFrame(
        {
            "design": known["name"],
            label(x): places.loc[known["key"]].to_numpy(),
            "mean test error (%)": known["test_error"],
            "at least (%)": known["test_error_low"],
            "at most (%)": known["test_error_high"],
        }
    ).reset_index(drop=True)
    across, up = label(x), "mean test error (%)"
    # From the least to the most, then a gap before the next.
    heights = (table["at least (%)"], table["at most (%)"], np.nan)
    stems = pd.concat([pd.DataFrame({across: table[across], up: each}) for each in heights])
    joined = stems.sort_index(kind="stable").reset_index(drop=True)
    hovered = ["design", *table.columns[2:]]
    return [
        line("confirmed", joined, across, up, PINK, silent=True, z=5),
        points(
            "confirmed", table, across, up, PINK, hovered=hovered, symbol="diamond", size=9, z=5
        ),
    ]


def _published(published: pd.DataFrame, x: str, y: str) -> Option:
    """Hollow: what other people measured on other recordings is not one of these designs."""
    table = told(published[["name", "source", x, y]].dropna())
    hollow = {"color": "transparent", "borderColor": QUIET, "borderWidth": 2}
    drawn = _written(table, "published", x, y, "design")
    return drawn | {"symbol": "diamond", "symbolSize": 12, "itemStyle": hollow}


def _written(table: pd.DataFrame, name: str, x: str, y: str, column: str) -> Option:
    """Points with the texts of a column beside them."""
    written = {"show": True, "formatter": f"{{@{column}}}", "position": "right", "color": QUIET}
    hovered = [name for name in table.columns if name != column]
    drawn = points(name, table, label(x), label(y), QUIET, hovered=[column, *hovered], z=5)
    return drawn | {"label": written, "labelLayout": {"hideOverlap": True}}


def within(
    frame: pd.DataFrame,
    x: str,
    y: str,
    areas: Sequence[Mapping[str, Any]],
    log_x: bool,
    log_y: bool,
) -> "pd.Series[bool] | None":
    """Which designs lie in any of the outlines; None where there is none.

    An outline is straight where it was drawn: on a logarithmic axis, in logarithms. Widgets are no
    boundary: what is no outline is ignored.

    Args:
        frame: of `scaled_frame`: the designs that may be selected, drawn or hidden below others.
        x: column across.
        y: column up.
        areas: as ECharts' brush reports them, in figures of the axes, not in pixels: `brush_type`
            and `coord_range`, which is [[left, right], [low, high]] of a box (`rect`) and a list
            of corners [x, y] of a lasso.
        log_x: the axis across is logarithmic.
        log_y: the axis up is.

    Returns:
        A mask with the index of the frame. A design without a figure in either column is in none.
    """
    places = _as_drawn(frame[[x, y]].to_numpy(dtype=float), log_x, log_y)
    known = np.isfinite(places).all(axis=1)
    found = None
    for area in areas:
        try:
            outline = np.array(area["coord_range"], dtype=float)
        except (KeyError, TypeError, ValueError):
            continue
        if area.get("brush_type") == "rect" and outline.shape == (2, 2):
            (left, right), (low, high) = outline
            outline = np.array([[left, low], [right, low], [right, high], [left, high]])
        if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 3:
            continue
        shape = Outline(_as_drawn(outline, log_x, log_y))
        hit = known & shape.contains_points(np.where(np.c_[known, known], places, 0.0))
        found = hit if found is None else found | hit
    return None if found is None else pd.Series(found, index=frame.index)


def _as_drawn(places: Numbers, log_x: bool, log_y: bool) -> Numbers:
    """Where figures stand on the axes; shape (n, 2)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where([log_x, log_y], np.log10(places), places)


def clicked(
    designs: Sequence["pd.Series[str]"], selected: Sequence[Mapping[str, Any]]
) -> str | None:
    """The design of the last point that was clicked; None where none was.

    Args:
        designs: of the points of each series, in the order of the series and of their rows
            (`FrontierChart.clickable`).
        selected: as ECharts reports it: `series_index` and the `data_indices` in it. It comes from
            a browser, so a number that fits no point is passed over.
    """
    for entry in reversed(list(selected)):
        number, places = entry.get("series_index"), entry.get("data_indices") or []
        if isinstance(number, int) and 0 <= number < len(designs) and places:
            place = places[-1]
            if isinstance(place, int) and 0 <= place < len(designs[number]):
                return str(designs[number].iloc[place])
    return None
