"""What the page Watch shows of a search on a cluster."""

import time
from pathlib import Path

from dse.studies.cluster_state import (
    LOG,
    ClusterState,
    NodeState,
    TaskState,
    read_cluster_state,
    write_cluster_state,
)
from tests.dashboard.conftest import Opened
from tests.dashboard.test_app import texts

NODES = (
    NodeState(host="one", cpus=8.0, gpus=1.0, tasks=1),
    NodeState(host="two", cpus=4.0, gpus=0.0, tasks=0),
)
TASKS = (
    TaskState(design="2x1x48 P2", key="a1", host="one", epoch=7, until=30, restarts=2),
    TaskState(design="1x1x16", key="b2", host="", epoch=0, until=30, restarts=0),
)


def write(folder: Path, written_at: float) -> ClusterState:
    state = ClusterState(written_at=written_at, room=12, nodes=NODES, tasks=TASKS)
    write_cluster_state(folder, state)
    (folder / LOG).write_text("2026-11-29 12:00:00 one a1 epoch 7 of 30: validation error 9 %\n")
    return state


def test_nodes_and_tasks_are_shown_while_the_coordinator_writes(
    study: Path, open_page: Opened
) -> None:
    state = write(study, time.time())
    assert read_cluster_state(study) == state
    page = open_page("watch", study.parent)
    said = texts(page)
    assert "2 nodes with room for 12 trainings; 1 run, 1 wait." in said
    assert "epoch 7 of 30: validation error 9 %" in said
    nodes, tasks = (
        next(table.value for table in page.dataframe if column in table.value)
        for column in ("host", "restarts")
    )
    assert list(nodes["host"]) == ["one", "two"] and list(nodes["cpus"]) == [8, 4]
    assert list(tasks["node"]) == ["one", "waits"] and list(tasks["restarts"]) == [2, 0]
    assert list(tasks["epoch"]) == ["7 of 30", "0 of 30"]


def test_what_an_ended_coordinator_left_is_not_shown(study: Path, open_page: Opened) -> None:
    write(study, time.time() - 3600)
    assert "nodes with room" not in texts(open_page("watch", study.parent))
