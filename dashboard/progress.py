"""How far a search is: what is in training, and for how long it will go on."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cost_models.strict_yaml import read_yaml
from dashboard.studies import StudyFrame
from dse.design.point import point_from_node
from dse.errors import InvalidInput
from dse.studies.folder import DESIGN, DESIGNS
from dse.studies.rows import FULL
from dse.training.history import FILE_NAME, EpochRecord, read_history

MOST_FOLDERS = 12  # that are looked into: trainings at a time are few, and theirs are the newest
TAKEN_OVER = ("duplicate", "reused")
"""Rows that repeat an error and the epochs of a training that was not done here and now."""
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Training:
    """A design whose folder has changed lately."""

    key: str
    name: str
    """As its row will call it: the row comes after the training, the design's file before."""
    history: tuple[EpochRecord, ...]
    done: bool
    """Trained for as many epochs as it will be; or as far as the search asked for."""


def latest_trainings(study: StudyFrame, most: int) -> list[Training]:
    """The designs that are in training, or were last: the latest first.

    A folder may go, or a file be half written meanwhile; both are passed over.
    """
    times = []
    for folder in (study.of.folder / DESIGNS).glob("*"):
        stamps = []
        for name in (DESIGN, FILE_NAME):
            with contextlib.suppress(OSError):
                stamps.append((folder / name).stat().st_mtime)
        if stamps:
            times.append((max(stamps), folder))
    latest = sorted(times, reverse=True)[: max(most, MOST_FOLDERS)]
    found = [_training(study, folder) for _, folder in latest]
    return sorted(found, key=lambda each: each.done)[:most]


def _training(study: StudyFrame, folder: Path) -> Training:
    history: tuple[EpochRecord, ...] = ()
    with contextlib.suppress(InvalidInput, OSError):
        history = tuple(read_history(folder))
    rows = study.frame[study.frame["key"] == folder.name]
    # A training that was stopped at a rung has a row of so many epochs, and goes on beyond them.
    epochs = rows["epochs"].astype(float).max() if len(rows) else np.nan
    done = bool(rows["status"].isin((*FULL, "failed")).any() or epochs >= max(len(history), 1))
    return Training(folder.name, _name(folder, rows), history, done)


def _name(folder: Path, rows: pd.DataFrame) -> str:
    named = rows.loc[rows["name"].fillna("").ne(""), "name"]
    if len(named):
        return str(named.iloc[-1])
    with contextlib.suppress(InvalidInput, OSError):
        return point_from_node(read_yaml(folder / DESIGN)).label
    return folder.name


def find_seconds_left(study: StudyFrame, seconds_of_an_epoch: float | None = None) -> float | None:
    """Seconds until the search ends by trainings, epochs or hours, whichever is first.

        left = (epochs that are still to be trained) x (seconds of an epoch) / (trainings at a time)

    Candidates that run out, or `patience`, may end it earlier. Seconds of an epoch are the mean
    over what this study trained, as all its designs are of one space.

    Args:
        study: as it is now.
        seconds_of_an_epoch: for as long as this study has trained nothing; None where nobody knows.
    """
    effort, frame = study.asked.effort, study.frame
    rows = frame[~frame.duplicated(["trial", "source", "key"])]
    own = rows[~rows["status"].isin(TAKEN_OVER) & rows["training_seconds"].notna()]
    epochs, seconds = own["epochs"].astype(float).sum(), own["training_seconds"].astype(float).sum()
    each = seconds / epochs if epochs else seconds_of_an_epoch
    if each is None:
        return None
    whole = effort.trainings * effort.epochs_each
    done = epochs if effort.rungs else float(study.networks.sum()) * effort.epochs_each
    left = whole - done
    if effort.epochs is not None:
        left = min(left, effort.epochs - epochs)
    workers = study.of.begun.workers
    left_s = left * each / workers
    if effort.hours is not None:
        left_s = min(left_s, effort.hours * HOUR_S - seconds / workers)
    return max(0.0, float(left_s))


def duration_words(seconds: float) -> str:
    """`about 12 min`: as fine as a forecast may be."""
    for size, unit in ((DAY_S, "days"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return "about 1 min" if seconds >= MINUTE_S else "under 1 min"
