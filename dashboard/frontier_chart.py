"""The frontier: designs in any two columns, drawn in one way on every page, and selected in it.

What is drawn, from the back: priced designs without an error as ticks at the foot; an older
frontier in grey dashes; the study's own in grey; that of the two columns as green stairs; limits as
dashed lines, budgets dotted; dominated points, faint; the frontier's points, large; confirmed
errors with their intervals; published networks, hollow; rings round what is selected or on the
shortlist. Designs over a limit that lie far off stand as arrows at the edge: one of them would
leave half of the plot empty.

All columns are minimised, so the good corner is at the lower left, and a frontier is a staircase
that falls from left to right:

    up |  x                  A design is dominated where another is at most as large in every
       |  '--x               objective, and smaller in one. A frontier in more than two objectives
       |     '-----x         is wider than the stairs of two of them: a point off the stairs may be
       |           '-----    on it for the sake of a third.
       +---------------- across

So the green stairs are of the two columns that are shown, whichever these are: no trained design
that is drawn lies below them. Where the study's own frontier, in all its objectives, is another
one, it stands behind in grey.

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
    KINDS,
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
from dashboard.texts import error_name, label, unit_of, with_unit
from dse.colours import CONFIRMED, FRONTIER, LIMIT, QUIET, SHORTLISTED
from dse.studies.likeness import CONTROL
from dse.studies.rows import FULL

SYMBOLS = ("circle", "triangle", "rect", "diamond", "pin", "arrow", "roundRect")
UNKNOWN = "emptyCircle"
"""Symbol of what has no value in the column."""
LARGE = 2_000
"""A series of more points is drawn in one go."""
MOST_HOVERED = 20_000
"""Of a series of more points hovering shows what is drawn: the rest were most of what is sent."""
HOVERED = ("error", "energy_pj", "latency_us", "area_um2", "trained_parameters")
BEYOND = 1.5
"""A limit further off than so many times the dearest design would squeeze them into a corner."""
OVER = "over a limit"
INTERVALS = "95 % intervals"
UNTRAINED = "not trained"
ROOM = 1.4
"""A limit, or a design without an error, that lies no further off still stands on the axis."""
TOP = 62  # px: a line for box and lasso, and one for the words of limits
LINE = 24  # px, of a legend
LEAST_WIDTH = 620.0  # px, of a plot beside its panel on a page of 1280
STROKE = "path://M0 5h14v2h-14z"
"""A short line: the legend's picture of stairs."""
MOST_RINGS = 500
BUDGET = "budget"
RINGS = ("selected", "picked", "shortlist")
UNNAMED = ("baselines", "trials")
"""Series of nothing but letters: no entry in the legend."""

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

    def show(self, key: str, *, outlines: bool = True, height: int = HEIGHT) -> Selected:
        """Draw it, and say what is selected: by a click, and by a box or lasso.

        Args:
            key: of the widget.
            outlines: offer box and lasso; a click selects always.
            height: in px.
        """
        option = self.option | (OUTLINES if outlines else {})
        event = st.echarts_chart(
            option, key=key, height=height, on_select="rerun", alt="Designs and their frontier"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a reader marked; it stays marked whichever columns are drawn."""

    inside: "pd.Series[bool] | None" = None
    """Mask of what an outline holds, over the frame or more."""
    design: str | None = None
    """That was clicked."""
    shortlist: Sequence[str] = ()
    """Designs, in their order."""


NO_MARKS = Marks()


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
    budget: Mapping[str, float] | None = None,
    whole: pd.DataFrame | None = None,
    ghost: pd.DataFrame | None = None,
    confirmed: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
    bands: pd.DataFrame | None = None,
    marks: Marks = NO_MARKS,
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
        budget: column -> most, in the unit of its label; lines likewise.
        whole: of which the frame is a part: a value keeps its colour and symbol when a filter
            leaves others out, and the study's frontier is of all its designs.
        ghost: an older frontier, of `scaled_frame`.
        confirmed: of `dashboard.studies.table_of_confirmed`, drawn as bars: they are of the error
            that the study minimises, so only where that is `y`.
        published: networks of the literature, of `scaled_frame`.
        bands: of `dashboard.studies.table_of_bands`, likewise only where their error is `y`.
        marks: what is ringed.
    """
    whole = frame if whole is None else whole
    drawn = frame.dropna(subset=[x])
    trained, others = drawn.dropna(subset=[y]), drawn[drawn[y].isna()]
    known = _bands(trained, bands, x, y, log_y)
    more = [each for each in (ghost, published, known) if each is not None]
    scale = _scale(trained, others, more, (x, y), (log_x, log_y), limits or {}, budget or {})
    near = scale.holds(trained)
    # Designs come first, so that the number of a series, which a click reports, is a place in
    # `clickable`; everything that is added below is behind them and not to be clicked.
    steps = corners(trained[trained["status"].isin(FULL)], x, y, scale.x[1])
    series, clickable = _points(trained[near], steps, x, y, colour, shape, whole)
    series.append(
        stairs(
            f"frontier ({_at_corners(trained, steps, x, y).sum():,})",
            told(steps),
            label(x),
            label(y),
            FRONTIER,
            z=2,
        )
        | {"markLine": _mark_lines(scale.lines, x)}
    )
    own = corners(whole[whole["frontier"]], x, y, scale.x[1])
    if len(own) and not own.equals(steps):
        drawn_own = stairs("the study's frontier", told(own), label(x), label(y), QUIET, z=1)
        series.append(drawn_own | {"lineStyle": {"color": QUIET, "width": 1.5, "opacity": 0.7}})
    if ghost is not None:
        old = told(corners(ghost, x, y, scale.x[1]))
        series.append(stairs("frontier before", old, label(x), label(y), QUIET, dash="dashed", z=1))
    series += _foot(others, x, y, scale)
    series += _edge(trained[~near], x, y, scale)
    series += _intervals(known, x, y)
    if confirmed is not None:
        series += _bars(drawn, confirmed, x)
    if published is not None:
        series.append(_published(published, x, y))
    # The source of controls, and of what another study trained, names another network than this.
    beside = ~trained["source"].fillna("").str.startswith(("search", CONTROL))
    beside &= trained["status"] != "reused"
    named = trained.loc[beside & near, list(dict.fromkeys(("source", x, y)))]
    if len(named):
        series.append(_written(told(named), "baselines", x, y, "source") | {"symbolSize": 0})
    series += _rings(drawn, x, y, scale, marks)
    keys: list[Option] = [LEGEND | {"type": "plain", "data": _legend(series)}]
    # Symbols have a legend of their own: empty series, which draw nothing but an entry.
    if shape != colour:
        there = set(trained[shape].dropna())
        symbols = {
            f"{label(shape)} {worded(value)}": symbol
            for value, symbol in _symbols(whole[shape]).items()
            if value in there
        }
        series += [
            {"type": "scatter", "name": n, "symbol": s, "itemStyle": {"color": QUIET}, "data": []}
            for n, s in symbols.items()
        ]
        below = LINE * _lines_of([each["name"] for each in keys[0]["data"]])
        keys.append(LEGEND | {"bottom": below, "selectedMode": False, "data": list(symbols)})
    lines = sum(_lines_of([_name_of(each) for each in key["data"]]) for key in keys)
    option = chart(
        series,
        legend=keys,
        grid={"top": TOP, "bottom": 20 + LINE * lines, "left": 4, "right": 24},
        xAxis=axis(label(x), scale.x, log=scale.log_x),
        yAxis=axis(label(y), scale.y, log=scale.log_y),
    )
    return FrontierChart(option, frame, x, y, scale.log_x, scale.log_y, clickable)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Both axes, and the lines on them."""

    columns: tuple[str, str]
    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool
    log_y: bool
    lines: list[tuple[str, float, str]]
    """Column, place, and words."""

    def holds(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Which rows stand within the axes."""
        across, up = (frame[name] for name in self.columns)
        return across.between(*self.x) & up.between(*self.y)


def _scale(
    trained: pd.DataFrame,
    others: pd.DataFrame,
    more: Sequence[pd.DataFrame],
    columns: tuple[str, str],
    logs: tuple[bool, bool],
    limits: Mapping[str, float],
    budget: Mapping[str, float],
) -> _Scale:
    """Axes on which the designs within the limits stand, and all that lies near these."""
    within_limits = trained[trained["status"] != "infeasible"]
    core = next((each for each in (within_limits, trained) if len(each)), others)
    ends, is_log, found = [], [], []
    for column, wanted in zip(columns, logs, strict=True):
        figures = pd.concat([core[column], *(each[column] for each in more)]).dropna()
        if not len(figures):
            figures = others[column].dropna()
        # An axis is logarithmic only where everything on it has a logarithm: a leakage of 0, say,
        # or an error of 0 %, turns it linear instead of vanishing.
        log = wanted and bool((figures > 0).all())
        lines = _limits(limits, column, figures, log) + _budgets(budget, column, figures, log)
        reach = ROOM * figures.max() if len(figures) else 0.0
        beside = pd.concat([trained[column], others[column]])
        beside = beside[(beside <= reach) & ((beside > 0) | (not log))]
        ends.append(find_ends([*figures, *beside, *(place for _, place, _ in lines)], log))
        is_log.append(log)
        found += lines
    return _Scale(columns, ends[0], ends[1], is_log[0], is_log[1], found)


def _foot(others: pd.DataFrame, x: str, y: str, scale: _Scale) -> list[Option]:
    """Ticks of designs without a figure upwards; arrows at the edge for those far off."""
    if not len(others):
        return []
    foot = others.assign(**{y: scale.y[0]})
    inside = foot[x].between(*scale.x)
    name = f"{UNTRAINED} ({len(others):,})"
    table = told(foot.loc[inside, list(dict.fromkeys(("name", "trial", "status", x, y)))])
    ticks = points(
        name,
        table,
        label(x),
        label(y),
        QUIET,
        hovered=["design", "trial", "status", label(x)],
        symbol="rect",
        size=[1.5, 10],
        opacity=0.35,
        symbolOffset=[0, -5],
        large=len(table) > LARGE,
        largeThreshold=LARGE,
    )
    return [ticks, *_arrows(name, foot[~inside], x, y, scale, hovered=[x])]


def _edge(beyond: pd.DataFrame, x: str, y: str, scale: _Scale) -> list[Option]:
    """Arrows at the edge for trained designs that are over a limit, and far off."""
    return _arrows(f"beyond the axes ({len(beyond):,})", beyond, x, y, scale, hovered=[x, y])


def _arrows(
    name: str, beyond: pd.DataFrame, x: str, y: str, scale: _Scale, hovered: Sequence[str]
) -> list[Option]:
    """Where an arrow stands is no figure: hovering shows the design's own."""
    if not len(beyond):
        return []
    table = told(beyond[list(dict.fromkeys(("name", "trial", "status", *hovered)))])
    shown = list(table.columns)
    table["place across"] = beyond[x].clip(*scale.x).to_numpy()
    table["place up"] = beyond[y].clip(*scale.y).to_numpy()
    up = bool((beyond[x] <= scale.x[1]).all())
    drawn = points(name, table, "place across", "place up", QUIET, hovered=shown, size=9)
    return [drawn | {"symbol": "triangle", "symbolRotate": 0 if up else -90, "z": 3}]


def _rings(drawn: pd.DataFrame, x: str, y: str, scale: _Scale, marks: Marks) -> list[Option]:
    """Rings round what is marked, as far as it is drawn."""
    placed = drawn.assign(**{y: drawn[y].fillna(scale.y[0])})
    placed = placed.assign(**{x: placed[x].clip(*scale.x), y: placed[y].clip(*scale.y)})
    rings = []
    if marks.inside is not None:
        inside = placed[marks.inside.reindex(placed.index, fill_value=False)]
        if len(inside) <= MOST_RINGS:
            rings.append(_ring("selected", inside, x, y, QUIET, 15, 1.5))
    if marks.design is not None:
        one = placed[placed["design"] == marks.design].head(1)
        rings.append(_ring("picked", one, x, y, QUIET, 22, 3))
    listed = placed[placed["design"].isin(list(marks.shortlist))].drop_duplicates("design")
    number = {design: place for place, design in enumerate(marks.shortlist, 1)}
    listed = listed.assign(number=[f"{number[each]}" for each in listed["design"]])
    listed = listed.sort_values("number")
    rings.append(_ring("shortlist", listed, x, y, SHORTLISTED, 18, 2.5, written="number"))
    return [ring for ring in rings if len(ring["table"])]


def _ring(
    name: str,
    rows: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    size: float,
    width: float,
    written: str = "",
) -> Option:
    table = told(rows[[*dict.fromkeys((x, y)), *([written] if written else [])]])
    hollow = {"color": "transparent", "borderColor": colour, "borderWidth": width}
    ring = points(name, table, label(x), label(y), colour, size=size, silent=True, z=6)
    if written:
        text = {"show": True, "formatter": f"{{@{written}}}", "position": "top", "color": colour}
        ring |= {"label": text | {"fontWeight": "bold"}}
    return ring | {"itemStyle": hollow}


def corners(front: pd.DataFrame, x: str, y: str, end: float | None = None) -> pd.DataFrame:
    """Corners of the frontier in these two columns, by increasing x; a last level step to `end`.

    One sweep from the left: sorted by (x, y), a point is a corner exactly where its y is below the
    least y of all points before it. Of the designs of a frontier in more objectives this is the
    projection: points that are on it for the sake of a third column fall off here.

    Args:
        front: designs, both columns minimised.
        x: column across.
        y: column up; rows that lack either are left out.
        end: where the axis ends. The last corner is as good there, as it costs less.

    Returns:
        Columns x and y, a row a corner, y strictly falling (but for the step to `end`).
    """
    if x == y:  # against itself: its least figure
        return front[[x]].dropna().sort_values(x).head(1).reset_index(drop=True)
    ordered = front[[x, y]].dropna().sort_values([x, y])
    best = ordered[y].cummin()
    kept = ordered[(best < best.shift(fill_value=np.inf))]
    if len(kept) and end is not None and end > kept[x].iloc[-1]:
        kept = pd.concat([kept, pd.DataFrame({x: [end], y: [kept[y].iloc[-1]]})])
    return kept.reset_index(drop=True)


def _at_corners(frame: pd.DataFrame, steps: pd.DataFrame, x: str, y: str) -> "pd.Series[bool]":
    """Which trained designs stand at a corner of the stairs, each of several equal ones."""
    if x == y:
        return frame[x].isin(steps[x]) & frame["status"].isin(FULL)
    places = pd.MultiIndex.from_frame(frame[[x, y]])
    there = places.isin(pd.MultiIndex.from_frame(steps[[x, y]]))
    return pd.Series(there, index=frame.index) & frame["status"].isin(FULL)


def _points(
    trained: pd.DataFrame,
    steps: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    shape: str,
    whole: pd.DataFrame,
) -> tuple[list[Option], list["pd.Series[str]"]]:
    """A series for each look, the frontier's last; and the designs of their points.

    A look is (on a frontier, group of the colour, symbol). What is drawn last lies on top, so
    dominated points come first and the frontier's after them, each in the order of the legend; on a
    frontier is what is at a corner of the stairs, and what is on the study's own.
    Beyond `LARGE` points ECharts draws a series in one go, which is fast but knows one style.

    Args:
        trained: designs with figures in both columns.
        steps: corners of the stairs.
        x: column across.
        y: column up.
        colour: column that `grouped` cuts into colours; designs over a limit are grey whatever
            they have there.
        shape: column of the symbols.
        whole: of which these are a part: its values have the colours and symbols.

    Returns:
        The series, and for each of them the column `design` of its rows, in the same order.
    """
    groups, tints = grouped(whole[colour])
    over = trained["status"] == "infeasible"
    groups, tints = groups[trained.index].where(~over, OVER), tints | {OVER: QUIET}
    counts = groups[~trained["design"].duplicated()].value_counts()
    symbols = _symbols(whole[shape])
    strong = trained["frontier"] | _at_corners(trained, steps, x, y)
    looks = [strong, groups, trained[shape].where(trained[shape].notna(), "")]
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
                f"{group} ({counts[group]:,})",
                table,
                label(x),
                label(y),
                tints[group],
                hovered=list(table.columns),
                size=11 if front else 5 if len(part) > LARGE else 7,
                symbol=symbols.get(form, UNKNOWN),
                opacity=1.0 if front else 0.55,
                large=len(part) > LARGE,
                largeThreshold=LARGE,
                selectedMode="single",
                select={"itemStyle": {"borderWidth": 2, "opacity": 1}},
                z=4 if front else 3,
            )
        )
    return series, designs


def _symbols(column: "pd.Series[Any]") -> dict[object, str]:
    if column.name == "kind":
        return dict(zip(KINDS, SYMBOLS, strict=False))
    values = sorted(column.dropna().unique().tolist(), key=_by_number)
    return {value: SYMBOLS[i % len(SYMBOLS)] for i, value in enumerate(values)}


def _by_number(value: object) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)


def _legend(series: Sequence[Option]) -> list[Option]:
    """An entry for each name, in the order of drawing, none as faint as its points."""
    # A legend's entry looks as the series does, faint where its points are: hence full opacity.
    shown = {each["name"]: each["type"] for each in series if each["name"] not in UNNAMED}
    looks: dict[str, Option] = {
        "line": {"icon": STROKE},
        "scatter": {"itemStyle": {"opacity": 1}},
    }
    return [{"name": name} | ({} if name in RINGS else looks[kind]) for name, kind in shown.items()]


def _name_of(entry: Option | str) -> str:
    return entry if isinstance(entry, str) else str(entry["name"])


def _lines_of(names: Sequence[str]) -> int:
    """Lines that a legend takes in a plot of the least width; a narrow one is not cut off."""
    lines, left = 1, LEAST_WIDTH
    for name in names:
        width = 34 + 6.2 * len(name)  # px
        if width > left:
            lines, left = lines + 1, LEAST_WIDTH
        left -= width
    return lines


def _limits(
    limits: Mapping[str, float], column: str, seen: "pd.Series[float]", log: bool
) -> list[tuple[str, float, str]]:
    """Column, place in its people's unit, and words, of a study's limits on a column.

    Left out are those that would spoil the axis: one far beyond all designs (`BEYOND`), and one
    of 0 or less on a logarithmic axis, where it has no place.
    """
    found = []
    for name, bound in limits.items():
        kind, _, limited = name.partition("_")
        if limited == column and len(seen):
            place = bound * unit_of(column)[1]
            if place <= BEYOND * float(seen.max()) and (place > 0 or not log):
                words = f"{'most' if kind == 'max' else 'least'} {with_unit(place, column)}"
                found.append((column, place, words))
    return found


def _budgets(
    budget: Mapping[str, float], column: str, seen: "pd.Series[float]", log: bool
) -> list[tuple[str, float, str]]:
    """As `_limits`, of what a reader is ready to spend."""
    place = budget.get(column)
    if place is None or (log and place <= 0) or not len(seen):
        return []
    return [(column, place, f"{BUDGET} {with_unit(place, column)}")]


def _mark_lines(lines: Sequence[tuple[str, float, str]], x: str) -> Option:
    """Words stand beyond the end of an upright line, above the plot, where no point is."""
    data = []
    for column, place, words in lines:
        across = column == x
        text = {"position": "end" if across else "insideStartTop", "rotate": 0}
        kind = "dotted" if words.startswith(BUDGET) else "dashed"
        line_of = {"xAxis" if across else "yAxis": place, "name": words, "label": text}
        data.append(line_of | {"lineStyle": {"type": kind}})
    return {
        "silent": True,
        "symbol": "none",
        "data": data,
        "label": {"formatter": "{b}", "color": LIMIT},
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
    across, up = label(x), f"mean test {error_name()} (%)"
    table = pd.DataFrame(
        {
            "design": known["name"],
            label(x): places.loc[known["key"]].to_numpy(),
            up: known["test_error"],
            "at least (%)": known["test_error_low"],
            "at most (%)": known["test_error_high"],
        }
    ).reset_index(drop=True)
    # From the least to the most, then a gap before the next.
    heights = (table["at least (%)"], table["at most (%)"], np.nan)
    stems = pd.concat([pd.DataFrame({across: table[across], up: each}) for each in heights])
    joined = stems.sort_index(kind="stable").reset_index(drop=True)
    hovered = ["design", *table.columns[2:]]
    return [
        line("confirmed by fresh seeds", joined, across, up, CONFIRMED, silent=True, z=5),
        points(
            "confirmed by fresh seeds",
            table,
            across,
            up,
            CONFIRMED,
            hovered=hovered,
            symbol="diamond",
            size=9,
            z=5,
        ),
    ]


def _bands(
    trained: pd.DataFrame, bands: pd.DataFrame | None, x: str, y: str, log_y: bool
) -> pd.DataFrame | None:
    """The ends of intervals at the costs of their designs: two rows each, the least first.

    On a logarithmic axis there is no place for one that reaches 0.
    """
    if bands is None or x == y:
        return None
    bands = bands[bands["low"] > 0] if log_y else bands
    ours = trained.loc[trained["design"].isin(bands["design"]), list({x, "design", "trial"})]
    first = ours.drop_duplicates("design").set_index("design")
    known = bands[bands["design"].isin(first.index)]
    places = first.loc[known["design"]]
    ends = [
        pd.DataFrame({x: places[x].to_numpy(), y: known[end].to_numpy(), "number": places["trial"]})
        for end in ("low", "high")
    ]
    return pd.concat(ends).sort_index(kind="stable")


def _intervals(known: pd.DataFrame | None, x: str, y: str) -> list[Option]:
    """The frontier's designs with their intervals, and their trials above these."""
    if known is None or not len(known):
        return []
    gap = known.iloc[1::2].assign(**{y: np.nan})
    joined = pd.concat([known, gap]).sort_index(kind="stable").reset_index(drop=True)
    stems = line(INTERVALS, told(joined[[x, y]]), label(x), label(y), QUIET, silent=True, z=3)
    tops = known.iloc[1::2]
    tops = tops[tops["number"] >= 0].assign(number=lambda it: it["number"].astype(int).astype(str))
    numbers = _written(told(tops), "trials", x, y, "number") | {"symbolSize": 0, "silent": True}
    return [
        stems | {"lineStyle": {"color": QUIET, "width": 1.2}},
        *([numbers] if len(tops) else []),
    ]


def _published(published: pd.DataFrame, x: str, y: str) -> Option:
    """Hollow: what other people measured on other recordings is not one of these designs."""
    table = told(published[list(dict.fromkeys(("name", "source", x, y)))].dropna())
    hollow = {"color": "transparent", "borderColor": QUIET, "borderWidth": 2}
    drawn = _written(table, "published", x, y, "design")
    return drawn | {"symbol": "diamond", "symbolSize": 12, "itemStyle": hollow}


def _written(table: pd.DataFrame, name: str, x: str, y: str, column: str) -> Option:
    """Points with the texts of a column beside them."""
    # Above: beside a point, stairs would go through the letters.
    written = {"show": True, "formatter": f"{{@{column}}}", "position": "top", "color": QUIET}
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
