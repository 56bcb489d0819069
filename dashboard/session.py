"""What all pages share: the study that is looked at, read once and kept; the way to a design."""

import functools
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dashboard.settings import Settings, read_settings
from dashboard.studies import Study, find_studies, read_study, signature
from dashboard.texts import plain
from dse.errors import InvalidInput
from dse.results import Evaluation
from dse.study_designs import (
    accelerator_of,
    frames_of,
    outputs_of,
    point_of,
    space_of,
    technology_of,
)
from dse.what_if import Fleet

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
    """The choice of the study, kept in the address."""
    found = find_studies(settings().folders)
    if found:
        st.selectbox("Study", list(found), key="study", bind="query-params")
        st.button("Reload", icon=":material/refresh:", help="Read the study's folder again.")


def study_folder() -> Path | None:
    """Folder of the study that is chosen; None where there is none."""
    found = find_studies(settings().folders)
    chosen = st.session_state.get("study")
    # Widgets are no boundary: what is not among the studies of the folders is not read.
    return found.get(chosen) if isinstance(chosen, str) else None


@st.cache_resource(max_entries=8, show_spinner="Reading the study …")
def _study(label: str, mark: tuple[object, ...]) -> Study:
    return read_study(label, Path(str(mark[0])))


def load(label: str, folder: Path) -> Study:
    """A study, read again only where its files changed.

    Raises:
        InvalidInput: it is damaged.
    """
    return _study(label, signature(folder))


def current_study() -> Study:
    """The chosen study; the page ends with a sentence where there is none, or it is damaged."""
    folder = study_folder()
    if folder is None:
        st.info(NO_STUDY)
        st.stop()
    try:
        return load(str(st.session_state["study"]), folder)
    except InvalidInput as error:
        st.error(plain(error))
        st.stop()


def rows_or_stop(study: Study) -> None:
    """End the page with a sentence where no design is trained yet."""
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
    """A page with a title, whose errors that a reader can mend are sentences."""

    def wrap(draw: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(draw)
        def drawn() -> None:
            st.header(title, anchor=False)
            try:
                draw()
            except InvalidInput as error:
                st.error(plain(error))

        return drawn

    return wrap


def open_design(key: str) -> None:
    """Go to the page of a design."""
    st.switch_page("views/design.py", query_params={"design": key})


def look_at(study: str) -> None:
    """Choose another study; for the callback of a button."""
    st.session_state["study"] = study


@st.cache_resource(max_entries=4, show_spinner="Building the study's designs …")
def _fleet(mark: tuple[object, ...], _study_read: Study) -> tuple[Fleet, list[Evaluation]]:
    record, space = _study_read.record, space_of(_study_read.record)
    places = _study_read.frame.index[_study_read.networks].tolist()[:MOST_FLEET]
    rows = [_study_read.row(place) for place in places]
    points = [point_of(row, record, space) for row in rows]
    known = [(point, row) for point, row in zip(points, rows, strict=True) if point is not None]
    outputs = outputs_of(rows, record)
    fleet = Fleet([point for point, _ in known], frames=frames_of(record), outputs=outputs,
                  rate=record.rate)  # fmt: skip
    fleet.price(accelerator_of(record), technology_of(record))
    return fleet, [row for _, row in known]


def fleet_of(study: Study) -> tuple[Fleet, list[Evaluation]]:
    """The trained designs of a study ready to be priced anew, and their rows.

    Raises:
        InvalidInput: the record lacks what is needed.
    """
    return _fleet(signature(study.record.folder), study)
