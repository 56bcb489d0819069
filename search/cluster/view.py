"""`dse pull`: a study's folder, made from the storage and the artifacts."""

from dataclasses import dataclass
from pathlib import Path

from optuna.storages import BaseStorage

from dse.errors import InvalidStudy
from dse.studies.folder import DESIGNS
from dse.studies.rows import Evaluation, read_all_rows
from search.cluster.artifacts import open_artifacts, study_root
from search.cluster.publication import Published, find, names, pull_rows
from search.cluster.queue import Queue
from search.cluster.storages import StorageURL
from search.storage import locked

__all__ = ["Pulled", "names", "pull"]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought."""

    rows: int
    ended: str
    """Why the study has ended; empty while it goes on."""


def pull(
    storage: BaseStorage,
    url: StorageURL,
    name: str,
    folder: Path,
    *,
    artifacts: str = "",
    checkpoints: bool = True,
) -> Pulled:
    """Make or renew the folder of a study.

    Args:
        storage: that holds it.
        url: of the storage.
        name: of the study.
        folder: made where there is none.
        artifacts: in place of the study's.
        checkpoints: whether networks are fetched, or only histories.

    Raises:
        InvalidStudy: there is no such study, the folder holds something else, or is being searched.
    """
    published = find(storage, name, url)
    if published is None:
        there = ", ".join(names(storage)) or "no study"
        raise InvalidStudy(f"{url} holds no study '{name}', but {there}: name one of them")
    with locked(folder):
        pull_rows(storage, published, folder, url)
        rows = read_all_rows(folder)
        root = study_root(artifacts, name) if artifacts else published.artifacts
        store = open_artifacts(root)
        for key in _trained(rows, storage, name, published):
            store.pull(key, folder / DESIGNS / key, checkpoints=checkpoints)
    return Pulled(len(rows), published.ended)


def _trained(
    rows: list[Evaluation], storage: BaseStorage, name: str, published: Published
) -> list[str]:
    """Keys of the designs that were trained, or are in training."""
    keys = dict.fromkeys(row.key for row in rows if row.epochs and row.status != "reused")
    if not published.ended:
        entries = Queue(storage, name).entries()
        keys |= dict.fromkeys(e.job.key for e in entries if not e.state.is_finished())
    return list(keys)
