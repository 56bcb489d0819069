"""What all pages share: the study that is looked at, read once and kept; the way to a design.

Streamlit runs the whole script of a page anew at every click, so whatever takes longer than a
moment is kept in a cache of the server, for all who look at it. A cached function's key is its
arguments, but for those whose names begin with an underscore, which are not hashed. Hence a `mark`
(`dashboard.studies.signature`) stands for a study: the frame itself need not be hashed, and a study
that has grown is another key.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.launching import stop
from dashboard.settings import Settings, read_settings
from dashboard.studies import StudyFrame, find_studies, read_study, signature
from dashboard.texts import sentence
from dse.columns import MEASURED_COLUMNS
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.pricing.what_if import Fleet, regenerated
from dse.ternary.generators import Generator

NO_STUDY = (
    "There is no study here yet. Start one with `dse search examples/demo.yaml`, or on the page "
    "Launch."
)
MOST_FLEET = 20_000
"""Designs that the what-if page prices at once; of more, the first trained ones."""


def settings() -> Settings:
    """What the server was started with."""
    return read_settings()


def choose_study() -> None:
    """The choice of the study, kept in the address (`?study=LABEL`), drawn on every page.

    The button needs no action: any click runs the script again, which looks at the files.
    """
    found = find_studies(settings().folders)
    if found:
        st.selectbox("Study", list(found), key="study", bind="query-params")
        st.button("Reload", icon=":material/refresh:", help="Read the study's folder again.")


def study_folder() -> Path | None:
    """Folder of the study that is chosen; None where there is none.

    The choice is a label, and only labels of the server's own folders lead to a folder.
    """
    found = find_studies(settings().folders)
    chosen = st.session_state.get("study")
    # Widgets are no boundary: what is not among the studies of the folders is not read.
    return found.get(chosen) if isinstance(chosen, str) else None


@st.cache_resource(max_entries=8, show_spinner="Reading the study …")
def _study(label: str, mark: tuple[object, ...]) -> StudyFrame:
    return read_study(label, Path(str(mark[0])))


def load(label: str, folder: Path) -> StudyFrame:
    """A study, read again only where its files changed.

    Raises:
        InvalidInput: it is damaged.
    """
    return _study(label, signature(folder))


def current_study() -> StudyFrame:
    """The chosen study; the page ends with a sentence where there is none, or it is damaged."""
    folder = study_folder()
    if folder is None:
        st.info(NO_STUDY)
        st.stop()
    try:
        study = load(str(st.session_state["study"]), folder)
    except InvalidInput as error:
        st.error(sentence(error))
        st.stop()
    if study.of.refused:
        st.warning(sentence(study.of.refused))
    return study


def rows_or_stop(study: StudyFrame) -> None:
    """End the page with a sentence where no design is trained yet: nothing behind this is run."""
    if not study.trained.any():
        failed = study.frame[study.frame["status"] == "failed"]
        why = f" {len(failed)} trainings failed." if len(failed) else ""
        st.info(
            f"No design is trained yet.{why} Let `dse search` go on, or widen the limits: "
            f"{study.candidates:,} candidates were priced."
        )
        if len(failed):
            st.dataframe(failed[["trial", "name", "reason"]], hide_index=True)
        st.stop()


def page(title: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """A page with a title, whose errors that a reader can mend are sentences.

    Args:
        title: above the page.

    Returns:
        A decorator of the function that draws it. `InvalidInput` becomes its message in red below
        what was drawn before; any other exception is a mistake of ours and left to Streamlit.
    """

    def wrap(draw: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(draw)
        def drawn() -> None:
            st.header(title, anchor=False)
            try:
                draw()
            except InvalidInput as error:
                st.error(sentence(error))

        return drawn

    return wrap


def open_design(key: str) -> None:
    """Go to the page of a design.

    Args:
        key: of the column `design`: a key, or KEY@MACHINE where a network stands on several.
    """
    st.switch_page("views/design.py", query_params={"design": key})


def look_at(study: str) -> None:
    """Choose another study; for the callback of a button.

    Streamlit refuses a new value for a widget that this run has drawn already, and callbacks run
    before anything is drawn.
    """
    st.session_state["study"] = study


@dataclass(frozen=True, slots=True)
class Trained:
    """The trained networks of a study, ready to be priced anew: three views in one order."""

    fleet: Fleet
    frame: pd.DataFrame
    """A row a network of the fleet, in its order: what no machine changes."""
    places: "np.ndarray"
    """Their places in the study's frame."""


KEPT = ("key", "name", "trial", "source", "status", *MEASURED_COLUMNS)
"""Columns of a study that no machine changes."""


@st.cache_resource(max_entries=4, show_spinner="Building the study's designs …")
def _fleet(mark: tuple[object, ...], family: str | None, _study_read: StudyFrame) -> Trained:
    study, asked = _study_read.of, _study_read.asked
    places = np.flatnonzero(_study_read.networks.to_numpy())[:MOST_FLEET]
    rows = _study_read.rows_at(places.tolist())
    points = [study.build_point(row) for row in rows]
    if family is not None:
        points = [_of_family(point, Generator(family=family)) for point in points]
    known = [i for i, point in enumerate(points) if point is not None]
    fleet = Fleet(
        [point for point in points if point is not None],
        frames=asked.features.frames,
        outputs=study.begun.outputs,
        rate=asked.inferences_per_second,
    )
    # The figures are not used: what pricing remembers is there before the first slider is moved.
    fleet.price(asked.accelerator, asked.technology)
    own = _study_read.frame[list(KEPT)].iloc[places[known]]
    return Trained(fleet, own.assign(design=own["key"]).reset_index(drop=True), places[known])


def _of_family(point: DesignPoint | None, generator: Generator) -> DesignPoint | None:
    try:
        return None if point is None else regenerated(point, generator)
    except InvalidInput:
        return None  # the generator cannot make its densities


def load_fleet(study: StudyFrame, family: str | None = None) -> Trained:
    """The trained designs of a study ready to be priced anew.

    Costs depend on shapes and ternary matrices, never on trained values, so the error of a
    training holds on any machine that computes the same network, and only costs are computed anew.
    A design whose densities the family cannot make, or of which only its row is left, is left out.

    Args:
        study: the study.
        family: generator of their matrices; None leaves them as they were trained.
    """
    return _fleet(signature(study.of.folder), family, study)


def ask_to_stop(folder: Path) -> None:
    """Ask the search in a folder to stop, and say what came of it."""
    try:
        stopped = stop(folder)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    st.toast("Asked to stop: nothing evaluated is lost." if stopped else "No search runs here.")
