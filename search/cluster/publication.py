"""All of a study in its storage, and a study's folder made from it again.

The folder's record and rows stand in the storage beside Optuna's trials, as system attributes:
`optuna-dashboard` does not show them. A row stands with its trial, under its place among all rows;
a baseline beside the space has no trial, and its row stands with the study.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage

from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.design.point import DesignPoint, point_from_node
from dse.errors import InvalidInput, InvalidStudy
from dse.files import replacing, write_text
from dse.studies.folder import GIVEN, RESOLVED
from dse.studies.resolved import Begun, parse_resolved
from dse.studies.rows import FILE_NAME, Evaluation, evaluation_from_dict, read_all_rows, repair
from dse.studies.spec import StudySpec
from dse.studies.study import open_study
from search.cluster.storages import StorageURL

STUDY = "dse:study.yaml"
RECORD = "dse:resolved.yaml"
CODE = "dse:code"
ARTIFACTS = "dse:artifacts"
MARK = "dse:mark"
ENDED = "dse:ended"
ROW = "dse:row:"

JOBS = "/jobs"
"""Ends the name of the Optuna study that holds a study's queue."""

VIEW = "storage.yaml"
"""Says in a study's folder that it is a view, and of what."""


@dataclass(frozen=True, slots=True)
class Published:
    """A study as its storage has it."""

    study_id: int
    given: str
    """The study file."""
    resolved: str
    """With all defaults, as YAML."""
    code: str
    artifacts: str
    mark: str
    ended: str
    """Why the study ended; empty while it goes on."""

    @property
    def asked(self) -> StudySpec:
        """What the study was asked."""
        return parse_resolved(self.resolved, RESOLVED)[0]

    @property
    def begun(self) -> Begun:
        """What it knows since it has begun."""
        return parse_resolved(self.resolved, RESOLVED)[1]


def find(storage: BaseStorage, name: str, url: StorageURL) -> Published | None:
    """A study of the storage; None where there is none, or it was not begun in earnest.

    Raises:
        InvalidStudy: the study was made by another program.
    """
    try:
        study_id = storage.get_study_id_from_name(name)
    except KeyError:
        return None
    kept = storage.get_study_system_attrs(study_id)
    if STUDY not in kept or RECORD not in kept:
        if storage.get_n_trials(study_id):
            raise InvalidStudy(
                f"the study '{name}' in {url} was not made by dse search: take another name"
            )
        return None
    return Published(
        study_id, *(str(kept.get(key, "")) for key in (STUDY, RECORD, CODE, ARTIFACTS, MARK, ENDED))
    )


def names(storage: BaseStorage) -> list[str]:
    """The studies that dse made there."""
    return [study.study_name for study in storage.get_all_studies() if STUDY in study.system_attrs]


def publish(storage: BaseStorage, study_id: int, kept: Mapping[str, str]) -> None:
    """Put parts of a study's record there, by the names above."""
    for key, value in kept.items():
        storage.set_study_system_attr(study_id, key, value)


def put_row(
    storage: BaseStorage, study_id: int, trial_id: int | None, place: int, row: Evaluation
) -> None:
    """Put a row there.

    Args:
        storage: of the study.
        study_id: in the storage.
        trial_id: of the row's trial, still open; None for a baseline beside the space.
        place: of the row among all.
        row: it.
    """
    key, plain = f"{ROW}{place}", row.to_dict()
    if trial_id is None:
        storage.set_study_system_attr(study_id, key, plain)
    else:
        storage.set_trial_system_attr(trial_id, key, plain)


def find_rows(storage: BaseStorage, study_id: int) -> list[Evaluation]:
    """All rows in their order.

    Raises:
        InvalidStudy: one is missing.
    """
    found: dict[int, dict[str, Any]] = {}
    kept = [storage.get_study_system_attrs(study_id)]
    kept += [trial.system_attrs for trial in storage.get_all_trials(study_id, deepcopy=False)]
    for attributes in kept:
        for key, value in attributes.items():
            if key.startswith(ROW):
                found[int(key.removeprefix(ROW))] = value
    lost = sorted(set(range(len(found))) - set(found))
    if lost:
        raise InvalidStudy(f"the storage lacks row {lost[0]} of {len(found)}: restore a backup")
    return [evaluation_from_dict(found[place]) for place in sorted(found)]


def pull_rows(storage: BaseStorage, published: Published, folder: Path, url: StorageURL) -> int:
    """Make a folder the view of a study: its record and its rows. Returns how many rows.

    Rows that only the folder has were written just before a search died; they stay.

    Raises:
        InvalidStudy: the folder holds another study.
    """
    before = read_rows_of_view(folder, published, url)
    rows = find_rows(storage, published.study_id)
    write_text(folder / GIVEN, published.given)
    write_text(folder / RESOLVED, published.resolved)
    write_view(folder, published.asked.name, url)
    if before[: len(rows)] != rows:
        lines = [json.dumps(row.to_dict(), allow_nan=False) + "\n" for row in rows]
        with replacing(folder / FILE_NAME) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    return len(rows)


def write_view(folder: Path, name: str, url: StorageURL) -> None:
    """Note in a folder what it is the view of."""
    write_text(folder / VIEW, dump_yaml({"storage": str(url), "study": name}))


def read_rows_of_view(folder: Path, published: Published, url: StorageURL) -> list[Evaluation]:
    """The rows of a folder that is to be a view.

    Raises:
        InvalidStudy: the folder holds something else.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return []
    name = published.asked.name
    if not (folder / RESOLVED).exists():
        left = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        if left - {GIVEN, VIEW}:
            raise InvalidStudy(
                f"{folder} is not empty and holds no study: choose another folder with --out"
            )
        return []
    if open_study(folder).asked.name != name or not (folder / VIEW).exists():
        raise InvalidStudy(
            f"{folder} holds a study of its own, not the view of '{name}' in {url}: choose "
            "another folder with --out"
        )
    repair(folder)
    return read_all_rows(folder)


def read_point(plain: dict[str, Any]) -> DesignPoint:
    """The inverse of `DesignPoint.to_dict`."""
    return point_from_node(parse_yaml(dump_yaml(plain), "the design of a training"))


def read_view(folder: Path) -> str:
    """What a folder is a view of; empty where it is a study of its own."""
    path = folder / VIEW
    if not path.exists():
        return ""
    plain = parse_yaml(path.read_text(encoding="utf-8"), str(path)).plain()
    return str(plain.get("storage", "a storage")) if isinstance(plain, dict) else "a storage"


def check_no_view(folder: Path, what: str) -> None:
    """Refuse to do to a view what has to be done to its study.

    Raises:
        InvalidInput: the folder is a view.
    """
    storage = read_view(folder)
    if storage:
        raise InvalidInput(
            f"{folder} is the view of a study in {storage}: {what}, or remove {folder / VIEW} to "
            "go on with the folder alone"
        )


def open_optuna_study(
    storage: BaseStorage, name: str, objectives: Sequence[str], *, metric_names: bool = True
) -> optuna.Study:
    """The Optuna study of a name, made where there is none."""
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["minimize"] * len(objectives),
        load_if_exists=True,
    )
    if metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(objectives))
    return study
