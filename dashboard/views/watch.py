"""Watch: a search while it runs; it goes on without the page.

Nothing is asked of the search itself: its lock says that it runs, its rows what is evaluated, the
histories in `designs/KEY` how far trainings are, and its log what it printed. All are only read, so
any number of readers may watch, and a search on another machine that shares the folder, too, except
that its process is not seen here.
"""

import contextlib
import dataclasses
import os
import time
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.charts import draw_sample
from dashboard.cost_charts import curves_chart
from dashboard.frontier_chart import frontier_chart
from dashboard.growth import growth_chart, growth_table
from dashboard.launching import LOG, log_tail, resume
from dashboard.links import choose_one
from dashboard.session import ask_to_stop, load, page, settings
from dashboard.studies import (
    StudyFrame,
    find_studies,
    searching_elsewhere,
    searching_process,
)
from dashboard.texts import figure, sentence
from dse.errors import InvalidInput
from dse.studies.cluster_state import LOG as LOG_OF_CLUSTER
from dse.studies.cluster_state import read_cluster_state
from dse.studies.folder import DESIGNS, RESOLVED
from dse.training.history import FILE_NAME, read_history

EVERY_S = 2
LATEST = 15  # rows
CURVES = 4  # learning curves


@page("Watch a search")
def main() -> None:
    """Draw the page."""
    folders = _watchable()
    if not folders:
        st.info(
            "Nothing is searched here yet: start a search on the page Launch, or with "
            "`dse search STUDY`."
        )
        return
    name = choose_one(st, "Study to watch", list(folders), "watched")
    folder = folders[name]
    _buttons(folder)
    _live(name, folder)


def _watchable() -> dict[str, Path]:
    """Studies, and folders in which a search is preparing its data; those that run first."""
    found = dict(find_studies(settings().folders))
    for root in settings().folders:
        if root.is_dir() and not (root / RESOLVED).exists():
            for path in sorted(root.iterdir()):
                if os.path.exists(path / LOG) and path not in found.values():
                    found[path.name] = path
    running = {
        name: path
        for name, path in found.items()
        if searching_process(path) or searching_elsewhere(path)
    }
    return running | found


def _buttons(folder: Path) -> None:
    if settings().read_only:
        return
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
        if st.button("Go on", icon=":material/play_arrow:", key="resume"):
            try:
                resume(folder, trainings=None if trainings is None else int(trainings))
                st.toast("The search goes on.")
            except InvalidInput as error:
                st.error(sentence(error))
        if st.button("Stop", icon=":material/stop:", key="stop"):
            ask_to_stop(folder)


# A fragment is run again alone: what a reader is typing into the rest of the page stays.
@st.fragment(run_every=EVERY_S)
def _live(name: str, folder: Path) -> None:
    """What changes while the search runs."""
    process = searching_process(folder)
    elsewhere = searching_elsewhere(folder)
    state = f"searching, process {process}" if process else "not running"
    if elsewhere:
        state = f"searching, on {elsewhere}"
    if not (folder / RESOLVED).exists():
        st.text("preparing the data" if process or _log_is_young(folder) else "did not begin")
        _log(folder)
        return
    try:
        study = load(name, folder)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    _progress(study, state)
    _cluster(folder)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if study.trained.any():
            cost = study.of.cost_objective
            frame = draw_sample(study.scaled)
            told = study.asked.measured
            chart = frontier_chart(frame, cost, told, limits=study.asked.limits)
            chart.show("live_frontier", outlines=False)
        else:
            st.info("No design is trained yet.")
    with right:
        _curves(study)
        if study.trained.any():
            grown = growth_table(study)
            st.echarts_chart(growth_chart(grown), key="live_growth", height=210)
            st.caption(
                f"Hypervolume {grown['hypervolume'].iloc[-1]:.3f} after "
                f"{grown['hours'].iloc[-1]:.2g} hours of training."
            )
    _latest(study)
    _log(folder)


def _progress(study: StudyFrame, state: str) -> None:
    wanted, trained = study.asked.trainings, int(study.networks.sum())
    cells = st.columns(4)
    cells[0].metric("trained", f"{trained:,} of {wanted:,}")
    cells[1].metric("priced", f"{study.candidates:,}")
    cells[2].metric("on the frontier", f"{int(study.frame['frontier'].sum()):,}")
    cells[3].metric("workers", f"{study.of.begun.workers}")
    st.progress(min(trained / wanted, 1.0), text=state)


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


def _curves(study: StudyFrame) -> None:
    """Learning curves of the designs that are in training, or were last.

    By the time of their histories, which are written after each epoch: no list of what is in
    training is needed. A folder may go or a file be half written meanwhile; both are passed over.
    """
    designs = study.of.folder / DESIGNS
    files = []
    for path in designs.glob(f"*/{FILE_NAME}"):
        with contextlib.suppress(OSError):
            files.append((path.stat().st_mtime, path.parent))
    rows = []
    for _, folder in sorted(files, reverse=True)[:CURVES]:
        row = study.find_row(folder.name)
        done = row is not None and row.full
        title = (row.name if row else folder.name) + ("" if done else ", in training")
        with contextlib.suppress(InvalidInput):
            rows += [
                {"epoch": each.epoch, "error": 100 * each.validation_error, "curve": title}
                for each in read_history(folder)
            ]
    if not rows:
        st.caption("No epoch is finished yet.")
        return
    frame = pd.DataFrame(rows)
    option = curves_chart(frame, "validation error (%)", tall=True)
    height = 250 + 22 * frame["curve"].nunique()
    st.echarts_chart(option, key="live_curve", height=height)


def _latest(study: StudyFrame) -> None:
    frame = study.frame.tail(LATEST).iloc[::-1]
    shown = pd.DataFrame(
        {
            "trial": frame["trial"],
            "design": frame["name"],
            "status": frame["status"],
            "error": [figure(v, "error") for v in frame["error"]],
            "energy per inference": [figure(v, "energy_pj") for v in frame["energy_pj"]],
            "trained parameters": [
                figure(v, "trained_parameters") for v in frame["trained_parameters"]
            ],
            "training (s)": frame["training_seconds"].astype(float).round(1),
            "reason": frame["reason"],
        }
    )
    st.dataframe(shown, hide_index=True, key="latest")


def _log(folder: Path) -> None:
    text = log_tail(folder)
    if text:
        with st.expander("What the search says", expanded=True):
            st.code(text, language=None)


def _log_is_young(folder: Path) -> bool:
    try:
        return time.time() - (folder / LOG).stat().st_mtime < 20
    except OSError:
        return False


if __name__ == "__main__":
    main()
