"""Studies: all there are, how far they are, and what they came to.

All studies of the server's folders are read for it, each only where its files have changed.
"""

import datetime
import os
import socket
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard import links
from dashboard.launching import find_state, resume
from dashboard.notes import note_columns
from dashboard.session import (
    NO_STUDY,
    all_folders,
    ask_to_stop,
    load,
    look_at,
    need_folder,
    open_design,
    page,
    settings,
)
from dashboard.shortlist import list_button, selected_rows
from dashboard.texts import call_errors, figure, name_of, plain
from dse.errors import InvalidInput
from dse.studies.folder import RESOLVED
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import FILE_NAME

MOST_BEST = 10  # points of a study


@page("Studies")
def main() -> None:
    """Draw the page."""
    found = all_folders()
    if not found:
        st.info(NO_STUDY)
        return
    table = pd.DataFrame([_summary(label, folder) for label, folder in found.items()])
    st.caption("The row that is selected is the study of all pages.")
    st.dataframe(
        table,
        hide_index=True,
        on_select=_choose_row,
        selection_mode="single-row",
        key="all_studies",
        column_config={
            "progress": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1),
            "hypervolume": st.column_config.NumberColumn(format="%.3f"),
            "least error (%)": st.column_config.NumberColumn(
                format="%.1f",
                help="of the error that the study minimises: studies differ in what they count",
            ),
            "least energy (µJ)": st.column_config.NumberColumn(format="%.3g"),
        },
    )
    folder = need_folder()
    name = str(st.session_state["study"])
    _actions(name, folder)
    _best(name, folder)


def _choose_row() -> None:
    """The study of a row that was selected; what comes from a browser may name any row."""
    rows = st.session_state["all_studies"]["selection"]["rows"]
    names = list(all_folders())
    if rows and 0 <= rows[0] < len(names):
        look_at(names[rows[0]])


def _summary(label: str, folder: Path) -> dict[str, object]:
    """A line of the table; one that says so for a damaged study, which must not hide the others.

    Hypervolumes are shares of a study's own box, so they compare two states of a study; those of
    two studies only where both have the same box.
    """
    state = find_state(folder)
    here = f"process {state.process} on {socket.gethostname()}" if state.process else ""
    summary: dict[str, object] = {"study": label, "state": state.name}
    if not state.has_record:
        return summary | {"searched by": here}
    try:
        study = load(label, folder)
    except InvalidInput as error:
        return summary | {"state": "damaged", "note": str(error)}
    frame, asked = study.frame, study.asked
    trained = frame[study.networks]
    done = len(trained) / asked.trainings
    if state.name == "idle" and done >= 1:
        summary["state"] = "done"
    return summary | {
        "progress": min(done, 1.0),
        "trained": len(trained),
        "failed": int((frame["status"] == "failed").sum()),
        "least error (%)": 100 * trained[asked.measured].min() if len(trained) else None,
        "error of the study": asked.name_column(asked.measured),
        "least energy (µJ)": 1e-6 * trained["energy_pj"].min() if len(trained) else None,
        "hypervolume": hypervolume_share(study.rows_where(frame["frontier"]), study.of.begun.box),
        "priced on": asked.machine_words,
        "last row": _age(folder / FILE_NAME),
        "priced": study.candidates,
        "owner": find_owner(folder),
        "searched by": here or state.host,
        "note": study.of.refused,
    }


def find_owner(folder: Path) -> str:
    """Who made a study: the owner of its folder on this machine.

    Returns:
        The name of the account; its number where it has no name (in a container, say) or the system
        knows no accounts; empty where the folder cannot be looked at.
    """
    try:
        number = folder.stat().st_uid
    except OSError:
        return ""
    try:
        import pwd  # not on every system

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return str(number)


def _age(path: Path) -> str:
    """How long ago a file was written, in words."""
    try:
        written = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    except OSError:
        return "never"
    minutes = (datetime.datetime.now(datetime.UTC) - written).total_seconds() / 60
    for size, unit in ((60 * 24, "days"), (60, "hours")):
        if minutes >= 2 * size:
            return f"{minutes / size:.0f} {unit} ago"
    return f"{max(minutes, 0):.0f} minutes ago"


def _actions(name: str, folder: Path) -> None:
    st.subheader(plain(name), anchor=False)
    state = find_state(folder)
    with st.container(horizontal=True):
        if st.button("Open", type="primary", icon=":material/scatter_plot:", key="open_study"):
            links.go("frontier")
        if st.button("Watch", icon=":material/monitoring:", key="watch_study"):
            links.go("watch")
        if settings().read_only:
            return
        if st.button(
            "Resume",
            icon=":material/play_arrow:",
            key="resume_study",
            disabled=not state.can_resume,
            help="search on, up to the trainings that the study says",
        ):
            resume(folder)
            links.go("watch")
        if st.button("Stop", icon=":material/stop:", key="stop_study", disabled=not state.can_stop):
            ask_to_stop(folder)
        if st.button("Clone", icon=":material/content_copy:", key="clone_study"):
            links.go("launch", clone=name)


def _best(name: str, folder: Path) -> None:
    """The study's frontier, least error first."""
    if not os.path.exists(folder / RESOLVED):
        return
    try:
        study = load(name, folder)
    except InvalidInput:
        return  # the table says so
    front = study.frame[study.frame["frontier"]]
    if front.empty:
        st.info("No design is trained yet.")
        return
    call_errors(study.asked.error_name)
    measured = study.asked.measured
    names = list(dict.fromkeys((measured, *study.asked.objectives, "trained_parameters")))
    front = front.sort_values(measured).head(MOST_BEST)
    st.caption(
        f"Best points: {len(front)} of {int(study.frame['frontier'].sum())} designs on the "
        "frontier."
    )
    machine = {"machine": front["accelerator"]} if study.asked.several_machines else {}
    right = st.column_config.TextColumn(alignment="right")
    event = st.dataframe(
        pd.DataFrame(
            {"trial": front["trial"], "design": front["name"]}
            | machine
            | {name_of(n): [figure(v, n) for v in front[n]] for n in names}
            | note_columns(study, front["key"])
        ),
        hide_index=True,
        key="best_points",
        column_config={name_of(name): right for name in names},
        on_select="rerun",
        selection_mode="multi-row",
    )
    with st.container(horizontal=True):
        chosen = selected_rows(event, front["design"])
        if len(chosen) == 1 and st.button("Open the design", key="open_best_point"):
            open_design(chosen[0])
        list_button(study, chosen, "list_best_points")


if __name__ == "__main__":
    main()
