"""What all pages share: the study that is looked at, read once and kept; the way to a design.

Streamlit runs the whole script of a page anew at every click, so whatever takes longer than a
moment is kept in a cache of the server, for all who look at it. A cached function's key is its
arguments, but for those whose names begin with an underscore, which are not hashed. Hence a `mark`
(`dashboard.studies.signature`) stands for a study: the frame itself need not be hashed, and a study
that has grown is another key.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import links
from dashboard.launching import find_beginnings, stop
from dashboard.settings import Settings, read_settings
from dashboard.studies import StudyFrame, find_studies, read_study, signature
from dashboard.texts import call_errors, plain, sentence
from dse.columns import MEASURED_COLUMNS
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.pricing.listening import Listening
from dse.pricing.what_if import Fleet, regenerated
from dse.studies.folder import RESOLVED
from dse.ternary.generators import Generator

NO_STUDY = (
    "There is no study here yet. Start one with `dse search examples/demo.yaml`, or on the page "
    "Launch."
)
NO_NETWORK_ELSEWHERE = "There is no study here: the page Design shows the networks that were named."
MISSING = "study.missing"
"""In the session: the study that an address asked for in vain."""
OF_A_STUDY = ("design", "compared", "reported", "shortlist")
"""Parameters that mean something in one study alone."""
MOST_OFFERED = 12
FIRST_FLEET, MOST_FLEET = 600, 20_000
"""Designs that the what-if page prices at once; of more, the first trained ones."""


def settings() -> Settings:
    """What the server was started with."""
    return read_settings()


def choose_study() -> None:
    """The choice of the study, kept in the address (`?study=LABEL`), drawn on every page.

    What the address asks for and there is not stays unanswered: none is chosen, and the page says
    so (`current_study`). So does a link to a design that names no study, where there are several.
    The button needs no action: any click runs the script again, which looks at the files.
    """
    found = all_folders()
    asked = links.asked_for("study")
    if asked is not None:
        # Of a page that is opened without the parameter, the study that was looked at stays.
        before = st.session_state.get("study")
        usual = before if before in found else _first(list(found))
        st.session_state["study"] = (asked if asked in found else None) if asked else usual
        st.session_state[MISSING] = asked if asked and asked not in found else ""
    elif st.session_state["study"] not in found:
        # Its folder is gone since; a study that begins meanwhile is the answer to a link to it.
        gone = st.session_state.get(MISSING) or st.session_state["study"] or ""
        st.session_state["study"] = gone if gone in found else None
        st.session_state[MISSING] = "" if gone in found else gone
    if found:
        st.selectbox("Study", list(found), key="study", placeholder="Choose a study")
        if st.session_state["study"]:
            links.keep("study", st.session_state["study"])
        st.button("Reload", icon=":material/refresh:", help="Read the study's folder again.")


def _first(labels: list[str]) -> str | None:
    """The study of an address without one: the first; none where the link is to a design."""
    named = any(name in st.query_params for name in OF_A_STUDY)
    return None if not labels or (named and len(labels) > 1) else labels[0]


def all_folders() -> dict[str, Path]:
    """Label -> folder of all studies, and of those that a search is only preparing."""
    folders = settings().folders
    return find_beginnings(folders) | find_studies(folders)


def study_folder() -> Path | None:
    """Folder of the study that is chosen; None where there is none.

    The choice is a label, and only labels of the server's own folders lead to a folder.
    """
    found = all_folders()
    chosen = st.session_state.get("study")
    # Widgets are no boundary: what is not among the studies of the folders is not read.
    return found.get(chosen) if isinstance(chosen, str) else None


def need_folder() -> Path:
    """Folder of the chosen study; the page ends with a sentence, and what there is, without."""
    folder = study_folder()
    if folder is not None:
        return folder
    found = list(all_folders())
    if not found:
        st.info(NO_NETWORK_ELSEWHERE if settings().networks else NO_STUDY)
        st.stop()
    missing = st.session_state.get(MISSING)
    if missing:
        st.warning(f"There is no study “{plain(missing)}” here: choose one that is.")
    else:
        st.warning("The link names no study: choose the one that it is of.")
    for label in found[:MOST_OFFERED]:
        st.button(plain(label), key=f"offered.{label}", on_click=look_at, args=(label,))
    if len(found) > MOST_OFFERED:
        st.caption(f"And {len(found) - MOST_OFFERED} more, in the list at the left.")
    st.stop()


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
    folder = need_folder()
    if not os.path.exists(folder / RESOLVED):
        st.info("The search prepares its data: the page Watch says how far it is.")
        st.stop()
    try:
        study = load(str(st.session_state["study"]), folder)
    except InvalidInput as error:
        st.error(sentence(error))
        st.stop()
    call_errors(study.asked.error_name)
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
        title: above the page; none where it is empty.

    Returns:
        A decorator of the function that draws it. `InvalidInput` becomes its message in red below
        what was drawn before; any other exception is a mistake of ours and left to Streamlit.
    """

    def wrap(draw: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(draw)
        def drawn() -> None:
            call_errors("error")  # until the page knows its study
            if title:
                st.header(title, anchor=False)
            try:
                draw()
            except InvalidInput as error:
                st.error(sentence(error))

        return drawn

    return wrap


def look_at(study: str) -> None:
    """Choose another study; for the callback of a button or table.

    Streamlit refuses a new value for a widget that this run has drawn already, and callbacks run
    before anything is drawn.
    """
    st.session_state["study"] = study


def open_design(key: str) -> None:
    """Go to the page of a design.

    Args:
        key: of the column `design`: a key, or KEY@MACHINE where a network stands on several.
    """
    links.go("design", design=key)


@dataclass(frozen=True, slots=True)
class Trained:
    """The trained networks of a study, ready to be priced anew: three views in one order."""

    fleet: Fleet
    frame: pd.DataFrame
    """A row a network of the fleet, in its order: what no machine changes."""
    places: "np.ndarray"
    """Their places in the study's frame."""
    whole: bool
    """None is left out for the sake of a quick first view."""


KEPT = ("key", "name", "trial", "source", "status", *MEASURED_COLUMNS)
"""Columns of a study that no machine changes."""


@st.cache_resource(max_entries=4, show_spinner="Building the study's designs …")
def _fleet(
    mark: tuple[object, ...],
    family: str | None,
    listening: Listening | None,
    most: int,
    _study_read: StudyFrame,
) -> Trained:
    study, asked = _study_read.of, _study_read.asked
    places, whole = first_networks(_study_read, most), first_networks(_study_read, MOST_FLEET)
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
        listening=listening,
    )
    # The figures are not used: what pricing remembers is there before the first slider is moved.
    fleet.price(asked.accelerator, asked.technology)
    own = _study_read.frame[list(KEPT)].iloc[places[known]]
    return Trained(
        fleet,
        own.assign(design=own["key"]).reset_index(drop=True),
        places[known],
        len(places) == len(whole),
    )


def first_networks(study: StudyFrame, most: int) -> "np.ndarray":
    """Places of trained networks: those of the frontier, and of the others a sample.

    Args:
        study: it.
        most: of the others; the sample is always the same.
    """
    places = np.flatnonzero(study.networks.to_numpy())
    frame = study.frame
    front = frame["key"].isin(set(frame.loc[frame["frontier"], "key"])).to_numpy()[places]
    others = places[~front]
    if len(others) > most:
        others = np.random.default_rng(1).choice(others, most, replace=False)
    return np.sort(np.concatenate([places[front], others]))


def _of_family(point: DesignPoint | None, generator: Generator) -> DesignPoint | None:
    try:
        return None if point is None else regenerated(point, generator)
    except InvalidInput:
        return None  # the generator cannot make its densities


def load_fleet(
    study: StudyFrame, family: str | None = None, listening: Listening | None = None
) -> Trained:
    """The trained designs of a study ready to be priced anew.

    Costs depend on shapes and ternary matrices, never on trained values, so the error of a
    training holds on any machine that computes the same network, and only costs are computed anew.
    A design whose densities the family cannot make, or of which only its row is left, is left out;
    at first, of many designs all but the frontier and a sample (`finish_fleet`).

    Args:
        study: the study.
        family: generator of their matrices; None leaves them as they were trained.
        listening: how they take in a stream; None where single inferences alone are priced.
    """
    key = (signature(study.of.folder), family, listening)
    return _fleet(*key, MOST_FLEET if key in _WHOLE else FIRST_FLEET, study)


_WHOLE: set[object] = set()
"""What was built whole on this server; of another family, or after a new row, it is built anew."""


def finish_fleet(
    study: StudyFrame, family: str | None = None, listening: Listening | None = None
) -> None:
    """Build all trained designs, once the first are drawn; `load_fleet` has them from then on.

    Building one takes a millisecond (each of its values is checked, and its key), so that all of
    10,000 would keep the first view waiting.
    """
    key = (signature(study.of.folder), family, listening)
    _fleet(*key, MOST_FLEET, study)
    _WHOLE.add(key)


def ask_to_stop(folder: Path) -> None:
    """Ask the search in a folder to stop, and say what came of it."""
    try:
        stopped = stop(folder)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    st.toast("Asked to stop: nothing evaluated is lost." if stopped else "No search runs here.")
