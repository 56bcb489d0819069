"""Budgets and filters: what a reader is ready to spend, and which designs are looked at.

A budget is both: what is dearer is left out of the plot, and the budget stands in it as a line. The
best design within it is one sentence: the least error that so much buys.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import links
from dashboard.texts import STATUS_HELP, amount, label, name_of, plain, with_unit
from dse.studies.notes import Note
from dse.studies.rows import FULL

BUDGETED = ("energy_pj", "latency_us", "area_um2", "average_power_uw", "trained_parameters")
"""Beside the error."""
STEPS = 40
"""Of a slider, from the least figure to the largest, by ratios."""
ANY = float("inf")
MOST_VALUES = 12
"""Of an axis by whose values designs are filtered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which designs are looked at; the usual one leaves out what was never a candidate."""

    statuses: tuple[str, ...]
    usual: tuple[str, ...]
    """Statuses that are looked at where nobody says otherwise."""
    word: str = ""
    frontier: bool = False
    axes: tuple[tuple[str, tuple[object, ...]], ...] = ()
    """Column and the values that are looked at; not those without a choice."""
    tags: tuple[str, ...] = ()
    """Designs that have one of them are looked at."""
    notes: Mapping[str, Note] = field(default_factory=dict)
    """Key -> what people wrote on a design; words are looked for there, too."""

    def holds(self, frame: pd.DataFrame) -> "pd.Series[bool]":
        """Mask of a scaled frame."""
        mask = frame["status"].isin(self.statuses) & frame["cost_known"]
        if self.word:
            text = frame["name"].fillna("") + " " + frame["source"].fillna("")
            found = text.str.contains(self.word, regex=False, case=False)
            mask &= found | self._noted(frame, self._said)
        if self.frontier:
            mask &= frame["frontier"]
        for column, values in self.axes:
            mask &= frame[column].isin(values)
        if self.tags:
            mask &= self._noted(frame, lambda note: bool({*note.tags} & {*self.tags}))
        return mask

    def _said(self, note: Note) -> bool:
        return self.word.lower() in " ".join((note.text, *note.tags)).lower()

    def _noted(self, frame: pd.DataFrame, wanted: Callable[[Note], bool]) -> "pd.Series[bool]":
        keys = [key for key, note in self.notes.items() if wanted(note)]
        return frame["key"].isin(keys) if keys else pd.Series(False, index=frame.index)

    @property
    def words(self) -> list[str]:
        """What of it leaves designs out, each in some words."""
        said = []
        if set(self.statuses) != set(self.usual):
            said.append(f"status {', '.join(self.statuses) or 'none'}")
        if self.word:
            said.append(f"named {self.word}")
        if self.tags:
            said.append(f"tagged {' or '.join(self.tags)}")
        if self.frontier:
            said.append("on the frontier")
        said += [f"{label(name)} {', '.join(map(str, values))}" for name, values in self.axes]
        return said


def choose_filter(frame: pd.DataFrame, notes: Mapping[str, Note]) -> Filter:
    """The filter's widgets; what is chosen stands in the address.

    Args:
        frame: all designs.
        notes: key -> what people wrote on a design.
    """
    there = tuple(frame["status"].dropna().unique().tolist())
    usual = tuple(each for each in there if each in (*FULL, "stopped", "infeasible"))
    statuses = links.choose_many(
        st, "Status", list(there), "status", default=usual, most=len(there)
    )
    st.caption("; ".join(f"{each}: {STATUS_HELP[each]}" for each in there if each in STATUS_HELP))
    title = "Design, baseline or note contains" if notes else "Design or baseline contains"
    word = st.text_input(title, key="contains", bind="query-params")
    tags = _choose_tags(notes)
    frontier = st.toggle("Frontier only", key="frontier_only", bind="query-params")
    axes = []
    for column in frame.columns:
        values = frame[column].dropna().unique().tolist() if column.startswith("axis_") else []
        values = frame[column].unique().tolist() if column == "accelerator" else values
        if 2 <= len(values) <= MOST_VALUES:
            words = {str(value): value for value in sorted(values, key=_by_number)}
            chosen = links.choose_many(
                st, label(column), list(words), column, default=(), most=len(words)
            )
            if chosen:
                axes.append((column, tuple(words[each] for each in chosen)))
    return Filter(
        statuses=tuple(statuses),
        usual=usual,
        word=word,
        frontier=frontier,
        axes=tuple(axes),
        tags=tags,
        notes=notes,
    )


def _choose_tags(notes: Mapping[str, Note]) -> tuple[str, ...]:
    """Of the tags that designs have; without any there is nothing to choose, unless a link asks."""
    there = sorted({tag for note in notes.values() for tag in note.tags})
    if not there and not st.query_params.get("tags"):
        return ()
    return tuple(links.choose_many(st, "Tags", there, "tags", default=(), most=max(len(there), 1)))


def _by_number(value: object) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)


def steps_of(figures: "pd.Series[float]") -> list[float]:
    """Where a slider stops: by ratios, so that cheap designs have as many stops as dear ones.

    Args:
        figures: of the trained designs, of which some may be 0 or lacking.

    Returns:
        Rising, to three digits, the last no less than the largest figure; then `ANY`.
    """
    known = figures[np.isfinite(figures) & (figures > 0)]
    if not len(known):
        return [ANY]
    stops = np.geomspace(known.min(), known.max(), STEPS)
    # Rounded upwards: at the last stop, the dearest design is within the budget.
    digits = 10.0 ** (2 - np.floor(np.log10(stops)))
    rounded = [float(f"{stop:.3g}") for stop in np.ceil(stops * digits - 1e-9) / digits]
    return [*dict.fromkeys(rounded), ANY]


def choose_budget(trained: pd.DataFrame, measured: str) -> dict[str, float]:
    """The sliders; column -> most, in the unit of its label, of those that are set.

    Args:
        trained: designs with an error, of `scaled_frame`.
        measured: the error that the study is about.
    """
    budget = {}
    for column in (measured, *BUDGETED):
        if column in trained and trained[column].notna().any():
            most = _slider(column, steps_of(trained[column].astype(float)))
            if most < ANY:
                budget[column] = most
    return budget


def _slider(column: str, stops: Sequence[float]) -> float:
    key = f"most.{column}"
    words = {"any" if stop == ANY else amount(stop, column): stop for stop in stops}
    named = {stop: word for word, stop in words.items()}
    asked = links.asked_for(key)
    if asked is not None:
        st.session_state[key] = named[nearest(list(named), asked)]
    elif st.session_state[key] not in words:  # of another study, or before more was trained
        st.session_state[key] = "any"
    if len(words) < 2:
        return ANY
    chosen = st.select_slider(f"{_sentence_case(label(column))}, at most", list(words), key=key)
    links.keep(key, f"{words[chosen]:g}", f"{ANY:g}")
    return words[chosen]


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]  # `capitalize` would make uJ uj


def nearest(stops: Sequence[float], asked: str) -> float:
    """The stop next to a figure of an address; `ANY` where that is no figure."""
    try:
        wanted = float(asked)
    except ValueError:
        return ANY
    if not 0 < wanted < ANY:
        return ANY
    return min(stops, key=lambda stop: abs(stop - wanted))


def affordable(frame: pd.DataFrame, budget: Mapping[str, float]) -> "pd.Series[bool]":
    """Mask of the designs within a budget; what is not known is not within it."""
    mask = pd.Series(True, index=frame.index)
    for column, most in budget.items():
        mask &= frame[column] <= most
    return mask


def best_within(trained: pd.DataFrame, measured: str, cost: str) -> str | None:
    """The design of the least error; of equal ones the cheapest. None of none."""
    if not len(trained):
        return None
    return str(trained.sort_values([measured, cost]).iloc[0]["design"])


def best_words(row: "pd.Series[Any]", measured: str, costs: Sequence[str], within: bool) -> str:
    """The answer in one sentence.

    Args:
        row: of a scaled frame.
        measured: the error that the study is about.
        costs: columns that are told.
        within: whether there is a budget.
    """
    told = " at " + ", ".join(with_unit(float(str(row[name])), name) for name in costs)
    error = with_unit(float(str(row[measured])), measured)
    name = plain(row["name"])
    what = "Best within budget" if within else f"Least {name_of(measured)}"
    return f"{what}: **{name}**, {error}{told}."
