"""Watch: a search while it runs; it goes on without the page.

Nothing is asked of the search itself: its lock says that it runs, its rows what is evaluated, the
histories in `designs/KEY` how far trainings are, and its log what it printed. All are only read, so
any number of readers may watch, and a search on another machine that shares the folder, too, except
that its process is not seen here.
"""

import dataclasses
import os
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.charts import draw_sample
from dashboard.cost_charts import curves_chart
from dashboard.drafts import seconds_of_an_epoch
from dashboard.frontier_chart import Marks, frontier_chart
from dashboard.growth import growth_chart, growth_table
from dashboard.launching import State, find_state, log_tail, resume, stop
from dashboard.notes import note_columns
from dashboard.progress import Training, duration_words, find_seconds_left, latest_trainings
from dashboard.session import load, need_folder, open_design, page, settings
from dashboard.shortlist import list_button, selected_rows, shortlist, toggle_button
from dashboard.studies import StudyFrame
from dashboard.texts import call_errors, figure, name_of, plain, sentence
from dse.errors import InvalidInput
from dse.studies.cluster_state import LOG as LOG_OF_CLUSTER
from dse.studies.cluster_state import read_cluster_state
from dse.studies.folder import RESOLVED

EVERY_S = 2
FIGURES = ("energy_pj", "trained_parameters")
"""Columns of the latest rows beside the error."""
LATEST = 15  # rows
CURVES = 4  # learning curves
AT_WORK = ("searching", "stopping")
SAID = "watch.said"
"""In the session: why a button did nothing."""
TIME_LEFT = (
    "from the seconds of an epoch so far; running out of candidates, or patience, ends it earlier"
)


@page("Watch a search")
def main() -> None:
    """Draw the page: of the study that is chosen for all pages."""
    folder = need_folder()
    name = str(st.session_state["study"])
    if not settings().read_only:
        _controls(folder)
    _live(name, folder)


def _controls(folder: Path) -> None:
    """Resume and Stop; what is typed stays, as only the buttons are drawn anew."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        trainings = st.number_input(
            "Train up to, in all",
            1,
            100_000,
            None,
            key="more",
            placeholder="as the study says",
            width=220,
        )
        with st.container():
            _buttons(folder, None if trainings is None else int(trainings))


# A fragment is run again alone: what a reader is typing into the rest of the page stays.
@st.fragment(run_every=EVERY_S)
def _buttons(folder: Path, trainings: int | None) -> None:
    state = find_state(folder)
    with st.container(horizontal=True):
        # Callbacks, so that the buttons of this very run know the new state.
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            key="resume",
            disabled=not state.can_resume,
            on_click=_resume,
            args=(folder, trainings),
        )
        st.button(
            "Stop",
            icon=":material/stop:",
            key="stop",
            disabled=not state.can_stop,
            on_click=_stop,
            args=(folder,),
        )
    said = st.session_state.pop(SAID, "")
    if said:
        st.error(sentence(said))


def _stop(folder: Path) -> None:
    try:
        stop(folder)
    except InvalidInput as error:
        st.session_state[SAID] = str(error)


def _resume(folder: Path, trainings: int | None) -> None:
    try:
        resume(folder, trainings=trainings)
    except InvalidInput as error:
        st.session_state[SAID] = str(error)


@st.fragment(run_every=EVERY_S)
def _live(name: str, folder: Path) -> None:
    """What changes while the search runs."""
    state = find_state(folder)
    if not os.path.exists(folder / RESOLVED):
        st.text(state.words)
        _log(folder)
        return
    try:
        study = load(name, folder)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    call_errors(study.asked.error_name)  # a fragment is a page of its own
    trainings = latest_trainings(study, CURVES)
    _progress(study, state, trainings)
    _cluster(folder)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if study.trained.any():
            cost = study.of.cost_objective
            told = study.asked.measured
            frame = draw_sample(study.scaled, (cost, told))
            marks = Marks(shortlist=shortlist(study))
            chart = frontier_chart(frame, cost, told, limits=study.asked.limits, marks=marks)
            clicked = chart.show("live_frontier", outlines=False).design
            if clicked:
                _clicked(study, clicked)
        else:
            st.info("No design is trained yet.")
    with right:
        _curves(trainings, study.asked.epoch_error_name)
        if study.trained.any():
            grown = growth_table(study)
            came = f"after {grown['hours'].iloc[-1]:.2g} hours of training"
            if grown["trainings"].iloc[-1]:
                st.echarts_chart(growth_chart(grown), key="live_growth", height=210)
            else:
                came = "of what other studies trained"
            st.caption(f"Hypervolume {grown['hypervolume'].iloc[-1]:.3f} {came}.")
    _latest(study)
    _log(folder)


def _clicked(study: StudyFrame, design: str) -> None:
    """The design that was clicked, and where it goes from here."""
    row = study.find_row(design)
    if row is None:
        return
    cost = study.of.cost_objective
    told = (figure(row.column(name), name) for name in (study.asked.measured, cost))
    st.markdown(f"**{plain(study.of.named(row))}**, {plain(', '.join(told))}")
    with st.container(horizontal=True):
        if st.button("Open the design", key="open_clicked", icon=":material/open_in_new:"):
            open_design(design)
        if toggle_button(study, design, "list_clicked"):
            st.rerun()


def _progress(study: StudyFrame, state: State, trainings: list[Training]) -> None:
    """Counts, the time that is left, and what is in training."""
    wanted, trained = study.asked.trainings, int(study.networks.sum())
    cells = st.columns(5)
    cells[0].metric("trained", f"{trained:,} of {wanted:,}")
    cells[1].metric("priced", f"{study.candidates:,}")
    cells[2].metric("on the frontier", f"{int(study.frame['frontier'].sum()):,}")
    cells[3].metric("workers", f"{study.of.begun.workers}")
    cells[4].metric("time left", _time_left(study, state), help=TIME_LEFT)
    st.progress(min(trained / wanted, 1.0), text=plain(state.words))
    now = [each for each in trainings if not each.done] if state.name in AT_WORK else []
    for each in now[: study.of.begun.workers]:
        st.text(
            f"In training: {each.name}, epoch {len(each.history)} of {study.asked.recipe.epochs}"
        )


def _time_left(study: StudyFrame, state: State) -> str:
    if int(study.networks.sum()) >= study.asked.trainings and state.name == "idle":
        return "done"
    rate = None
    if not study.trained.any():
        rate = seconds_of_an_epoch(settings(), study.asked.data_folder)
    left = find_seconds_left(study, rate)
    return "unknown" if left is None else duration_words(left).removeprefix("about ")


def _cluster(folder: Path) -> None:
    """Who trains, where the search has a cluster; its coordinator writes that down."""
    state = read_cluster_state(folder)
    if state is None or state.stale:
        return
    at_work = sum(bool(task.host) for task in state.tasks)
    st.caption(
        f"{len(state.nodes)} nodes with room for {state.room} trainings; {at_work} run, "
        f"{len(state.tasks) - at_work} wait."
    )
    left, right = st.columns([2, 3], gap="medium")
    nodes = pd.DataFrame([dataclasses.asdict(node) for node in state.nodes])
    left.dataframe(nodes, hide_index=True, key="cluster_nodes")
    tasks = [
        {
            "design": task.design,
            "node": task.host or "waits",
            "epoch": f"{task.epoch} of {task.until}",
            "restarts": task.restarts,
        }
        for task in state.tasks
    ]
    if tasks:
        right.dataframe(pd.DataFrame(tasks), hide_index=True, key="cluster_tasks")
    with st.expander("What the tasks say"):
        st.code(log_tail(folder, name=LOG_OF_CLUSTER), language=None)


def _curves(trainings: list[Training], error: str) -> None:
    """Learning curves of the designs that are in training, or were last, of an error so called."""
    rows = [
        {
            "epoch": each.epoch,
            "error": 100 * each.validation_error,
            "curve": one.name + ("" if one.done else ", in training"),
        }
        for one in trainings
        for each in one.history
    ]
    if not rows:
        st.caption("There is no learning curve yet.")
        return
    frame = pd.DataFrame(rows)
    option = curves_chart(frame, f"validation {error} (%)", tall=True)
    height = 250 + 22 * frame["curve"].nunique()
    st.echarts_chart(option, key="live_curve", height=height)


def latest_rows(study: StudyFrame) -> pd.DataFrame:
    """The rows of the last trials, each trial once: of several machines, on its cheapest one."""
    cheapest = study.frame.sort_values(study.of.cost_objective, kind="stable")
    once = cheapest.drop_duplicates(["trial", "source", "key"])
    return once.sort_index().tail(LATEST).iloc[::-1]


def _latest(study: StudyFrame) -> None:
    frame = latest_rows(study)
    several = study.asked.several_machines
    figures = (study.asked.measured, *FIGURES)
    shown = pd.DataFrame(
        {
            "trial": frame["trial"],
            "design": frame["name"],
            "status": frame["status"],
            **{name_of(column): [figure(v, column) for v in frame[column]] for column in figures},
            "training (s)": frame["training_seconds"].astype(float).round(1),
            "reason": frame["reason"],
        }
    )
    if several:
        shown.insert(2, "cheapest on", frame["accelerator"].to_numpy())
    for name, texts in note_columns(study, frame["key"]).items():
        shown[name] = texts
    right = st.column_config.TextColumn(alignment="right")
    event = st.dataframe(
        shown,
        hide_index=True,
        key="latest",
        on_select="rerun",
        selection_mode="multi-row",
        column_config={name_of(column): right for column in figures},
    )
    if list_button(study, selected_rows(event, frame["design"]), "list_latest"):
        st.rerun()


def _log(folder: Path) -> None:
    text = log_tail(folder)
    if text:
        with st.expander("What the search says", expanded=True):
            st.code(text, language=None)


if __name__ == "__main__":
    main()
