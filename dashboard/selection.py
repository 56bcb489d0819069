"""What is selected in the plot of designs: it stays, whatever the plot shows next.

A browser says which outline was drawn, in figures of the axes that were shown, and which point of
which series was clicked. Both mean something else, or nothing, once the columns, a filter or the
colours change. So both are understood at once, by what was drawn when they came: an outline is kept
with its columns and is looked up in these ever after, a click as the design that it met.

    drawn: energy, error      an outline -> columns, scales and corners: "which designs are inside"
                              a click    -> series 2, place 7 -> design 5d6389e8b9a5
    drawn next: area, latency the same designs are ringed
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.frontier_chart import FrontierChart, clicked, within
from dashboard.slices import texts_of
from dashboard.texts import label

SELECTION, DRAWN, SEEN = "plot.selection", "plot.drawn", "plot.seen"
ROUND = "plot.round"
"""In the session: how often a button has replaced what was selected in the plot."""
MOST_CORNERS = 40
"""Of an outline that is kept; a lasso of hundreds would not fit into an address."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon in two columns."""

    x: str
    y: str
    log_x: bool
    log_y: bool
    corners: tuple[tuple[float, float], ...]

    def holds(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Which designs of a scaled frame lie inside."""
        area = {"brush_type": "polygon", "coord_range": [list(each) for each in self.corners]}
        found = within(frame, self.x, self.y, [area], self.log_x, self.log_y)
        return pd.Series(False, index=frame.index) if found is None else found

    def __str__(self) -> str:
        """As an address has it: `energy_pj.log~error.lin~1_30~2_30~2_10`."""
        axes = (f"{self.x}.{_scale(self.log_x)}", f"{self.y}.{_scale(self.log_y)}")
        return "~".join((*axes, *(f"{a:.4g}_{b:.4g}" for a, b in self.corners)))


Part = tuple[float, float] | str
"""Of an axis: from one figure to another, or a name."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Parts of columns, as one takes them in parallel coordinates."""

    parts: tuple[tuple[str, tuple[Part, ...]], ...]
    """Column, and what is taken of it, in figures of `scaled_frame`."""

    def holds(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Which designs of a scaled frame lie in a part of each column."""
        found = pd.Series(True, index=frame.index)
        for column, parts in self.parts:
            names = [each for each in parts if isinstance(each, str)]
            inside = texts_of(frame[column]).isin(names)
            for low, high in (each for each in parts if not isinstance(each, str)):
                inside |= frame[column].between(low, high)
            found &= inside
        return found

    def __str__(self) -> str:
        """As an address has it: JSON, as names of machines have commas and more in them."""
        short = {
            column: [each if isinstance(each, str) else [_short(f) for f in each] for each in parts]
            for column, parts in self.parts
        }
        return json.dumps(short, separators=(",", ":"), ensure_ascii=False)

    @property
    def words(self) -> str:
        """For people: `energy per inference (µJ) 0.2 to 0.4; policy P0, P2`."""
        return "; ".join(
            f"{label(column)} "
            + ", ".join(
                each if isinstance(each, str) else f"{each[0]:.4g} to {each[1]:.4g}"
                for each in parts
            )
            for column, parts in self.parts
        )


def _short(figure: float) -> float:
    return float(f"{figure:.5g}")


def read_ranges(text: str, columns: Collection[str]) -> Ranges | None:
    """The parts of columns that an address names; None where it names none, or of other columns.

    Args:
        text: as `str(Ranges)` writes it; from a browser, so it may be anything.
        columns: that the study has.
    """
    try:
        found = json.loads(text)
        parts = tuple(
            (str(column), tuple(_part(each) for each in taken)) for column, taken in found.items()
        )
    except (AttributeError, RecursionError, TypeError, ValueError):
        return None
    known = all(column in columns and taken for column, taken in parts)
    return Ranges(parts) if parts and known else None


def _part(read: object) -> Part:
    if isinstance(read, str):
        return read
    if not isinstance(read, list) or len(read) != 2:
        raise ValueError(read)
    low, high = float(read[0]), float(read[1])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(read)
    return low, high


def _scale(log: bool) -> str:
    return "log" if log else "lin"


def read_outline(text: str, columns: Collection[str]) -> Outline | None:
    """The outline that an address names; None where it names none, or one of other columns.

    Args:
        text: as `str(Outline)` writes it; from a browser, so it may be anything.
        columns: that the study has figures of.
    """
    across, up, *corners = text.split("~") if text.count("~") >= 4 else ("", "")
    x, _, scale_x = across.partition(".")
    y, _, scale_y = up.partition(".")
    scales = {"log": True, "lin": False}
    if x not in columns or y not in columns or not {scale_x, scale_y} <= scales.keys():
        return None
    try:
        places = [tuple(map(float, corner.split("_"))) for corner in corners[:MOST_CORNERS]]
    except ValueError:
        return None
    if any(len(place) != 2 or not all(map(math.isfinite, place)) for place in places):
        return None
    pairs = tuple((place[0], place[1]) for place in places)
    return Outline(x, y, scales[scale_x], scales[scale_y], pairs)


def outline_of(area: Mapping[str, Any], chart: FrontierChart) -> Outline | None:
    """What was drawn, as ECharts' brush reports it: a box or a lasso; None where it is neither."""
    drawn = area.get("coord_range")
    try:
        places = [[float(figure) for figure in pair] for pair in drawn or ()]
    except (TypeError, ValueError):
        return None
    if area.get("brush_type") == "rect" and [len(pair) for pair in places] == [2, 2]:
        (left, right), (low, high) = places
        places = [[left, low], [right, low], [right, high], [left, high]]
    step = math.ceil(len(places) / MOST_CORNERS)
    corners = tuple((pair[0], pair[1]) for pair in places[:: max(step, 1)] if len(pair) == 2)
    if len(corners) < 3 or not all(map(math.isfinite, (f for pair in corners for f in pair))):
        return None
    return Outline(chart.x, chart.y, chart.log_x, chart.log_y, corners)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a reader selected: by an outline or parts of axes, or by a click, or nothing at all."""

    outline: Outline | Ranges | None = None
    design: str | None = None


NOTHING = Selection()
Event = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Areas and points as a browser reports them."""


def follow(before: Selection, chart: FrontierChart, seen: Event, event: Event) -> Selection:
    """The selection after what a browser reports.

    Args:
        before: the selection so far.
        chart: that was drawn when it was reported.
        seen: what was reported before; of a plot that is new on the page, nothing.
        event: what is reported now: all that is selected in the plot, not what has changed.
    """
    if event == seen:
        return before
    areas, points = event
    if areas:
        return Selection(outline=outline_of(areas[-1], chart))
    return Selection(design=clicked(chart.clickable, points)) if points else NOTHING


def current_selection(study: str, asked: Selection | None = None) -> Selection:
    """What is selected in the study's plot, before it is drawn.

    Args:
        study: its label: another study has other designs.
        asked: what the address asks for, on the first run of a visit.
    """
    state = st.session_state
    owner, before = state.get(SELECTION, (study, NOTHING))
    before = before if owner == study else NOTHING
    key, chart = state.get(DRAWN, ("", None))
    event = state.get(key) if chart is not None and owner == study else None
    if event is None:  # nothing was drawn in the last run, or nobody has touched it
        state[SEEN] = ([], [])
    else:
        now = _plain(event["selection"])
        before, state[SEEN] = follow(before, chart, state.get(SEEN, ([], [])), now), now
    select(study, asked or before)
    return asked or before


def _plain(selection: Mapping[str, Any]) -> Event:
    """Without what each report has anew."""
    kept = ("series_index", "data_indices")
    return (
        [dict(each) for each in selection["areas"]],
        [{name: each.get(name) for name in kept} for each in selection["selected"]],
    )


def select(study: str, selection: Selection) -> None:
    """Have this selected from now on."""
    st.session_state[SELECTION] = (study, selection)


def replace(study: str, selection: Selection) -> None:
    """Have this selected instead, as a button says; what was drawn goes with what it selected."""
    select(study, selection)
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1


def draw(chart: FrontierChart, name: str, height: int) -> None:
    """Draw a plot in which one can select, and remember what it shows.

    Its key has the columns: a plot of others is another one, so that no outline of old figures
    stays in it. So it is after a button has selected something else.
    """
    scales = f"{_scale(chart.log_x)}.{_scale(chart.log_y)}"
    key = f"{name}.{chart.x}.{chart.y}.{scales}.{st.session_state.get(ROUND, 0)}"
    st.session_state[DRAWN] = (key, chart)
    with st.container(key=name):
        chart.show(key, height=height)


def designs_of(frame: pd.DataFrame, selection: Selection) -> "pd.Series[bool] | None":
    """Mask of what an outline holds; None where there is none."""
    return None if selection.outline is None else selection.outline.holds(frame)


def listed(designs: Sequence[str]) -> str:
    """Designs as an address has them; machines' names have commas in them."""
    return "~".join(designs)


def read_listed(text: str) -> list[str]:
    """The inverse of `listed`, each once."""
    return list(dict.fromkeys(each for each in text.split("~") if each))
