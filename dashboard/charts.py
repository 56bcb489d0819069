"""Charts: tables in, Altair charts out; axes with units, colours that all can tell apart.

Columns of a table stand in their people's units here (`scaled_frame`): a selection comes back in
them, too, and `chosen` looks up which rows it holds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.texts import label
from dashboard.theme import COLOUR_OF_KIND, GREEN, GREY, KINDS, ORANGE, PALETTE, PINK, SHAPES
from dse.units import LABELS

MOST_POINTS = 6_000
"""Dominated points that are drawn; of more, a sample stands for all."""
BOX, PICK = "box", "pick"
"""Names of the selections."""
HEIGHT = 460  # px


def scaled_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns in the units of their labels, and the kind of each design."""
    factors = {name: LABELS[name][2] for name in LABELS if name in frame}
    scaled = frame.assign(**{name: frame[name] * factor for name, factor in factors.items()})
    ternary = scaled["generated_weights"].fillna(0) > 0
    return scaled.assign(
        kind=np.where(ternary, KINDS[1], KINDS[0]), cost_known=frame["energy_pj"].notna()
    )


def sample_of(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """All of the frontier and the baselines, and of the other points at most so many."""
    always = frame["frontier"] | (frame["source"] != "search")
    others = frame[~always]
    if len(others) <= most:
        return frame
    return pd.concat([frame[always], others.sample(most, random_state=1)]).sort_index()


def stairs(front: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Corners of the frontier in these two columns, by increasing x; a last level step."""
    points = front[[x, y]].dropna().sort_values([x, y])
    best = points[y].cummin()
    kept = points[(best < best.shift(fill_value=np.inf))]
    if len(kept):
        end = pd.DataFrame({x: [kept[x].iloc[-1] * 1.3], y: [kept[y].iloc[-1]]})
        kept = pd.concat([kept, end])
    return kept.reset_index(drop=True)


def axis(column: str, log: bool, frame: pd.DataFrame) -> dict[str, Any]:
    """Scale, title and format of an axis; logarithms need figures above 0."""
    possible = log and bool((frame[column].dropna() > 0).all())
    scale = alt.Scale(zero=False, nice=True)
    if possible:  # a "nice" logarithmic axis would end at powers of ten
        known = frame[column].dropna()
        ends = [float(known.min()) / 1.15, float(known.max()) * 1.15]
        scale = alt.Scale(type="log", nice=False, domain=ends)
    return {"title": label(column), "scale": scale, "axis": alt.Axis(format="~g", labelFlush=True)}


def tooltips(columns: Sequence[str]) -> list[alt.Tooltip]:
    """What hovering shows: the design, and the columns with their units."""
    names = dict.fromkeys(
        (*columns, "error", "energy_pj", "latency_us", "area_um2", "trained_parameters")
    )
    return [
        alt.Tooltip("name:N", title="design"),
        alt.Tooltip("trial:Q", title="trial"),
        alt.Tooltip("status:N", title="status"),
        *(
            alt.Tooltip(
                f"{name}:Q", title=label(name), format=",.0f" if LABELS[name][2] == 1 else ".4~g"
            )
            for name in names
            if name in LABELS
        ),
    ]


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
    select: bool = True,
) -> Any:
    """Designs in two columns: the frontier as stairs, dominated and infeasible points greyed.

    Args:
        frame: of `scaled_frame`.
        x: column.
        y: column.
        colour: column that colours the trained points.
        shape: column of their symbols.
        log_x: logarithmic axis.
        log_y: likewise.
        limits: `max_...` and `min_...` of columns in their own units; lines where they are drawn.
        ghost: an older frontier, `x` and `y` only.
        confirmed: of `dashboard.studies.read_confirmed`; bars where `y` is the error.
        select: whether points can be selected by a box and picked by a click.
    """
    with alt.utils.schemapi.debug_mode(False):  # checked once, when it is drawn
        return _frontier_chart(
            frame, x, y, colour, shape, log_x, log_y, limits, ghost, confirmed, select
        )


def _frontier_chart(
    frame: pd.DataFrame, x: str, y: str, colour: str, shape: str, log_x: bool, log_y: bool,
    limits: Mapping[str, float] | None, ghost: pd.DataFrame | None,
    confirmed: pd.DataFrame | None, select: bool,
) -> Any:  # fmt: skip
    drawn = frame.dropna(subset=[x]).copy()
    floor = _floor(drawn, y, log_y)
    drawn["missing"] = drawn[y].isna()
    drawn[y] = drawn[y].fillna(floor)
    both = drawn[[x, y]] if ghost is None else pd.concat([drawn[[x, y]], ghost[[x, y]]])
    base_x = alt.X(f"{x}:Q", **axis(x, log_x, both))
    base_y = alt.Y(f"{y}:Q", **axis(y, log_y, both))
    trained, others = drawn[~drawn["missing"]], drawn[drawn["missing"]]
    points = _points(trained, x, y, base_x, base_y, colour, shape)
    if select:
        points = points.add_params(
            alt.selection_interval(name=BOX, encodings=["x", "y"]),
            alt.selection_point(name=PICK, fields=["key"], on="click", clear="dblclick"),
        )
    layers: list[Any] = []
    if len(others):
        layers.append(
            alt.Chart(others)
            .mark_tick(color=GREY, opacity=0.35, thickness=1.5, size=10, orient="vertical")
            .encode(x=base_x, y=base_y, tooltip=tooltips([x]))
        )
    if ghost is not None and len(ghost):
        layers.append(_step(ghost, x, y, base_x, base_y, GREY, [5, 4]))
    front = trained[trained["frontier"]]
    layers.append(_step(stairs(front, x, y), x, y, base_x, base_y, GREEN, [1, 0]))
    layers += limit_lines(limits or {}, x, y)
    if confirmed is not None and y == "error":
        layers += _bars(drawn, confirmed, x, base_x, base_y)
    layers.append(points)
    layers.append(_names_of_baselines(trained, base_x, base_y))
    return alt.layer(*layers).properties(height=HEIGHT).resolve_legend(color="independent")


def _floor(frame: pd.DataFrame, y: str, log_y: bool) -> float:
    """Where designs without a figure stand: at the foot of the axis."""
    known = frame[y].dropna()
    if not len(known):
        return 1.0
    low, high = float(known.min()), float(known.max())
    return low * 0.9 if log_y and low > 0 else low - 0.04 * (high - low or 1.0)


def _points(
    frame: pd.DataFrame, x: str, y: str, base_x: alt.X, base_y: alt.Y, colour: str, shape: str
) -> Any:
    return (
        alt.Chart(frame)
        .mark_point(filled=True, strokeWidth=0.6)
        .encode(
            x=base_x,
            y=base_y,
            color=colour_of(frame, colour),
            shape=alt.Shape(
                f"{shape}:N", title=label(shape), scale=alt.Scale(range=SHAPES),
                legend=None if shape == colour else alt.Legend(orient="bottom"),
            ),
            opacity=alt.condition("datum.frontier", alt.value(1.0), alt.value(0.4)),
            size=alt.condition("datum.frontier", alt.value(95), alt.value(34)),
            tooltip=tooltips([x, y]),
        )
    )  # fmt: skip


def colour_of(frame: pd.DataFrame, column: str) -> alt.Color:
    """Colours of a column: an even ramp for numbers, apart for names."""
    legend = alt.Legend(orient="bottom", columns=6, labelLimit=220)
    if column == "kind":
        scale = alt.Scale(domain=list(KINDS), range=list(COLOUR_OF_KIND.values()))
        return alt.Color("kind:N", title=None, scale=scale, legend=legend)
    numeric = pd.api.types.is_numeric_dtype(frame[column]) and frame[column].nunique() > 8
    if numeric:
        ramp = alt.Scale(scheme="viridis")
        return alt.Color(f"{column}:Q", title=label(column), scale=ramp, legend=legend)
    return alt.Color(
        f"{column}:N", title=label(column), scale=alt.Scale(range=PALETTE), legend=legend
    )


def _step(
    corners: pd.DataFrame, x: str, y: str, base_x: alt.X, base_y: alt.Y, colour: str,
    dash: list[int],
) -> Any:  # fmt: skip
    return (
        alt.Chart(corners)
        .mark_line(
            clip=True, interpolate="step-after", color=colour, strokeWidth=2, strokeDash=dash
        )
        .encode(x=base_x, y=base_y, order=alt.Order(f"{x}:Q"))
    )


def limit_lines(limits: Mapping[str, float], x: str, y: str) -> list[Any]:
    """A dashed line with its name for each limit on a drawn column."""
    lines = []
    for name, bound in limits.items():
        kind, _, column = name.partition("_")
        if column not in (x, y) or kind not in ("max", "min"):
            continue
        channel = "x" if column == x else "y"
        data = pd.DataFrame({column: [bound * LABELS[column][2]], "limit": [f"{kind}. allowed"]})
        encoding = {channel: alt.X(f"{column}:Q") if channel == "x" else alt.Y(f"{column}:Q")}
        rule = alt.Chart(data).mark_rule(
            clip=True, color=ORANGE, strokeDash=[6, 3], strokeWidth=1.5
        )
        text = alt.Chart(data).mark_text(
            clip=True, color=ORANGE, align="left", dx=4, dy=-6, fontSize=11
        )
        edge = {"y": alt.value(12)} if channel == "x" else {"x": alt.value(4)}
        lines.append(
            alt.layer(rule.encode(**encoding), text.encode(**encoding, **edge, text="limit:N"))
        )
    return lines


def _bars(
    frame: pd.DataFrame, confirmed: pd.DataFrame, x: str, base_x: alt.X, base_y: alt.Y
) -> list[Any]:
    """Mean test error of fresh seeds with its interval, above each design that has them."""
    places = frame.drop_duplicates("key").set_index("key")[x]
    bars = confirmed[confirmed["key"].isin(places.index)].copy()
    bars[x] = places.loc[bars["key"]].to_numpy()
    bars["error"] = 100 * bars["test_error"]
    half = 100 * bars["test_error_half_width"].fillna(0.0)
    bars["least"], bars["most"] = bars["error"] - half, bars["error"] + half
    hover = [
        alt.Tooltip("name:N", title="confirmed"),
        alt.Tooltip("error:Q", title="mean test error (%)", format=".3~g"),
        alt.Tooltip("least:Q", title="at least (%)", format=".3~g"),
        alt.Tooltip("most:Q", title="at most (%)", format=".3~g"),
    ]
    base = alt.Chart(bars).encode(x=base_x, tooltip=hover)
    return [
        base.mark_rule(clip=True, color=PINK, strokeWidth=2).encode(y=alt.Y("least:Q"), y2="most"),
        base.mark_point(clip=True, color=PINK, shape="diamond", size=60).encode(y=base_y),
    ]


def _names_of_baselines(frame: pd.DataFrame, base_x: alt.X, base_y: alt.Y) -> Any:
    """Names beside the baselines."""
    return (
        alt.Chart(frame[frame["source"] != "search"])
        .mark_text(align="left", dx=8, dy=-8, fontSize=11, color=GREY)
        .encode(x=base_x, y=base_y, text="source:N")
    )


def chosen(frame: pd.DataFrame, selection: Mapping[str, Any] | None) -> pd.DataFrame:
    """Rows within the box of a selection; all rows where there is none.

    Args:
        frame: of `scaled_frame`.
        selection: `event.selection` of the chart; ranges by column.
    """
    box = (selection or {}).get(BOX) or {}
    mask = pd.Series(True, index=frame.index)
    for column, ends in box.items():
        if column in frame and isinstance(ends, Sequence) and len(ends) == 2:
            low, high = sorted(float(end) for end in ends)
            mask &= frame[column].between(low, high)
    return frame[mask]


def picked(selection: Mapping[str, Any] | None) -> str | None:
    """Key of the design that was clicked; None where none was."""
    points = (selection or {}).get(PICK) or []
    key = points[-1].get("key") if points else None
    return str(key) if key else None


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def parallel_chart(frame: pd.DataFrame, columns: Sequence[str], colour: str) -> Any:
    """Every design a line through the columns, each scaled from its least to its largest figure."""
    long = frame[["key", "name", colour, *columns]].copy()
    for column in columns:
        values = long[column].astype(float)
        spread = values.max() - values.min()
        long[f"_{column}"] = (values - values.min()) / spread if spread else 0.5
    melted = long.melt(
        id_vars=["key", "name", colour],
        value_vars=[f"_{column}" for column in columns],
        var_name="column",
        value_name="height",
    )
    ends = {
        f"_{c}": f"{label(c)}: {_short(frame[c].min())} … {_short(frame[c].max())}" for c in columns
    }
    melted["column"] = melted["column"].map(ends)
    return (
        alt.Chart(melted)
        .mark_line(opacity=0.45, strokeWidth=1.3)
        .encode(
            x=alt.X("column:N", sort=list(ends.values()), title=None,
                    axis=alt.Axis(labelAngle=0, labelLimit=170, labelExpr="split(datum.label, ': ')"
                                  )),
            y=alt.Y("height:Q", title="least … most", axis=alt.Axis(labels=False, ticks=False)),
            detail="key:N",
            color=colour_of(frame, colour),
            tooltip=[alt.Tooltip("name:N", title="design")],
        )
        .properties(height=340)
    )  # fmt: skip
