"""Tables and what all charts share: units, axes, colours that all can tell apart, selections.

Columns of a table stand in their people's units here (`scaled_frame`): a selection comes back in
them, too, and `chosen` looks up which rows it holds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.texts import label
from dashboard.theme import COLOUR_OF_KIND, KINDS, PALETTE
from dse.columns import LABELS

MOST_POINTS = 3_000
"""Dominated points that are drawn; of more, a sample stands for all."""
BOX, PICK = "box", "pick"
"""Names of the selections."""
KEY = "key"
"""Column of a drawn point that says which design it is: `Study.frame`'s `design`."""
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
    always = (frame["frontier"] | (frame["source"] != "search")).to_numpy()
    others = np.flatnonzero(~always)
    if len(others) <= most:
        return frame
    drawn = np.random.default_rng(1).choice(others, most, replace=False)
    return frame.iloc[np.sort(np.concatenate([np.flatnonzero(always), drawn]))]


def stairs(front: pd.DataFrame, x: str, y: str, end: float | None = None) -> pd.DataFrame:
    """Corners of the frontier in these two columns, by increasing x; a last level step to `end`."""
    points = front[[x, y]].dropna().sort_values([x, y])
    best = points[y].cummin()
    kept = points[(best < best.shift(fill_value=np.inf))]
    if len(kept) and end is not None and end > kept[x].iloc[-1]:
        kept = pd.concat([kept, pd.DataFrame({x: [end], y: [kept[y].iloc[-1]]})])
    return kept.reset_index(drop=True)


def axis(column: str, log: bool) -> dict[str, Any]:
    """Scale, title and format of an axis, with room at its ends."""
    # No ends of its own: then new figures need no new drawing. A "nice" logarithmic axis would end
    # at powers of ten.
    scale = (
        alt.Scale(type="log", nice=False, padding=14) if log else alt.Scale(zero=False, padding=10)
    )
    return {"title": label(column), "scale": scale, "axis": alt.Axis(format="~g", labelFlush=True)}


def is_even(column: "pd.Series[Any]") -> bool:
    """Whether a column is coloured by an even ramp: numbers, and more than a few."""
    return bool(pd.api.types.is_numeric_dtype(column)) and column.nunique() > 8


def colour_of(column: str, even: bool) -> alt.Color:
    """Colours of a column: an even ramp for numbers, apart for names."""
    legend = alt.Legend(orient="bottom", columns=6, labelLimit=220)
    if column == "kind":
        scale = alt.Scale(domain=list(KINDS), range=list(COLOUR_OF_KIND.values()))
        return alt.Color("kind:N", title=None, scale=scale, legend=legend)
    if even:
        ramp = alt.Scale(scheme="viridis")
        return alt.Color(
            field=label(column), type="quantitative", title=label(column), scale=ramp, legend=legend
        )
    return alt.Color(
        field=label(column),
        type="nominal",
        title=label(column),
        scale=alt.Scale(range=PALETTE),
        legend=legend,
    )


def chosen(frame: pd.DataFrame, selection: Mapping[str, Any] | None) -> pd.DataFrame:
    """Rows within the box of a selection; the frame itself where there is none.

    Args:
        frame: of `scaled_frame`.
        selection: `event.selection` of the chart; ranges by the columns' labels.
    """
    box = (selection or {}).get(BOX) or {}
    columns = {label(str(name)): name for name in frame.columns}
    mask = pd.Series(True, index=frame.index)
    for told, ends in box.items():
        column = columns.get(told, "")
        if column in frame and isinstance(ends, Sequence) and len(ends) == 2:
            low, high = sorted(float(end) for end in ends)
            mask &= frame[column].between(low, high)
    return frame[mask] if box else frame


def picked(selection: Mapping[str, Any] | None) -> str | None:
    """The design that was clicked; None where none was."""
    points = (selection or {}).get(PICK) or []
    design = points[-1].get(KEY) if points else None
    return str(design) if design else None


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def parallel_chart(frame: pd.DataFrame, columns: Sequence[str], colour: str) -> Any:
    """Every design a line through the columns, each scaled from its least to its largest figure.

    Args:
        frame: of `scaled_frame`; the frontier's lines are drawn strong, on top.
        columns: at least two.
        colour: column.
    """
    frame = frame.sort_values("frontier", kind="stable")
    who = pd.DataFrame(
        {
            KEY: frame["design"],
            "design": frame["name"],
            "on the frontier": frame["frontier"],
            label(colour): frame[colour],
        }
    )
    parts, ends = [], []
    for column in columns:
        values = frame[column].astype(float)
        low, high = float(values.min()), float(values.max())
        ends.append(f"{label(column)}: {_short(low)} … {_short(high)}")
        height = (values - low) / (high - low) if high > low else 0.5
        parts.append(who.assign(column=ends[-1], height=height, figure=values.map(_short)))
    long = pd.concat(parts)
    base = alt.Chart(long).encode(
        x=alt.X(
            "column:N",
            sort=ends,
            title=None,
            axis=alt.Axis(
                labelAngle=0,
                labelLimit=190,
                grid=True,
                gridWidth=1.5,
                domain=False,
                labelExpr="split(datum.label, ': ')",
            ),
        ),
    )
    front = "datum['on the frontier']"
    lines = base.mark_line().encode(
        y=alt.Y(
            "height:Q", title="least … most", axis=alt.Axis(labels=False, ticks=False, grid=False)
        ),
        detail=f"{KEY}:N",
        color=colour_of(colour, is_even(frame[colour])),
        opacity=alt.condition(front, alt.value(0.95), alt.value(0.16)),
        strokeWidth=alt.condition(front, alt.value(2.2), alt.value(1.0)),
        tooltip=[alt.Tooltip("design:N"), alt.Tooltip("on the frontier:N")],
    )
    return lines.properties(height=380)
