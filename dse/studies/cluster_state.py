"""`cluster.json` in a study's folder: which nodes train for it at this moment, and what.

The coordinator of a search on a cluster writes it every other second, in one step; whoever shows a
study reads it. It is no record: it says nothing that the rows and histories do not say later, and
one that is old is of a search that has ended, or was killed.
"""

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dse.errors import printable, short
from dse.files import write_text

FILE_NAME = "cluster.json"
LOG = "cluster.log"
"""What the tasks said, a line each, beside it."""

STALE_S = 30.0

MOST = 1e15
"""Of any number here; seconds since 1970 are the largest."""

T = TypeVar("T", "NodeState", "TaskState")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A machine of the cluster."""

    host: str
    cpus: float
    gpus: float
    tasks: int
    """Trainings that run there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """A training that was started and has not ended."""

    design: str
    key: str
    host: str
    """Empty while it waits for room."""
    epoch: int
    """The last one that is kept."""
    until: int
    restarts: int
    """So often its task, process or node has died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """What the coordinator knew at a moment."""

    written_at: float
    """Seconds since 1970, of the coordinator's clock."""
    room: int
    """Trainings that the nodes have room for together."""
    nodes: tuple[NodeState, ...]
    tasks: tuple[TaskState, ...]

    @property
    def stale(self) -> bool:
        """Whether the coordinator has not written for so long that it has ended."""
        return abs(time.time() - self.written_at) > STALE_S


def write_cluster_state(folder: Path, state: ClusterState) -> None:
    """Write it for those who watch."""
    write_text(folder / FILE_NAME, json.dumps(dataclasses.asdict(state)))


def read_cluster_state(folder: Path) -> ClusterState | None:
    """What was written last; None where the study is on no cluster, or the file is damaged."""
    try:
        plain = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        return ClusterState(
            written_at=_checked("written_at", float, plain["written_at"]),
            room=_checked("room", int, plain["room"]),
            nodes=tuple(_built(NodeState, node) for node in plain["nodes"]),
            tasks=tuple(_built(TaskState, task) for task in plain["tasks"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _built(kind: type[T], plain: Any) -> T:
    """A state of plain data, each field of its kind; raises `ValueError` or `TypeError`."""
    if not isinstance(plain, dict):
        raise TypeError(f"{short(plain)} is no state")
    kinds = {each.name: each.type for each in dataclasses.fields(kind)}
    return kind(**{name: _checked(name, kinds[name], value) for name, value in plain.items()})


def _checked(name: str, kind: Any, value: Any) -> Any:
    """A text that can be shown, or a number of a size that pages can draw."""
    if kind is str and isinstance(value, str):
        return printable(value)
    if kind is not str and type(value) in (int, kind) and 0 <= value <= MOST:
        return value
    raise ValueError(f"{name} is {short(value)}")
