"""How the hypervolume of a study grew: after each training, and what it had cost until then.

It is what a stop rule looks at, and what tells whether a search is worth going on with.

Hypervolume never falls, as designs are only added. A curve over epochs or hours compares samplers
fairly; one over trials does not, as duplicates and infeasible designs cost nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from dse.sheets import csv_lines
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import Evaluation
from dse.studies.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A study after one of its trainings."""

    trial: int
    """The trial that was trained."""
    trainings: int
    """Full trainings so far; those of earlier studies that were reused cost nothing."""
    epochs: int
    """Of all trainings so far, also of those that a rung stopped."""
    hours: float
    """Of training so far, summed over all workers."""
    hypervolume: float
    """Share of the study's box."""
    finished_at: str
    """UTC, ISO 8601."""


def growth(rows: Sequence[Evaluation], study: Study) -> list[Step]:
    """The steps of a study, oldest first.

    Args:
        rows: of the study, one a trial, in the order in which they were recorded.
        study: that they are of; with several machines, all of them count.

    Returns:
        A step for each full training, also for those that were reused; what rungs stopped shows
        only in the epochs and hours of the steps after it.
    """
    # The hypervolume is computed only where a design adds to it, which few of many trainings do.
    steps: list[Step] = []
    trainings = epochs = 0
    seconds = volume = 0.0
    front: list[Evaluation] = []
    for row in rows:
        if row.status not in ("duplicate", "reused"):
            epochs += row.epochs or 0
            seconds += row.training_seconds or 0.0
        if not row.full:
            continue
        trainings += row.status == "trained"
        new = study.expanded([row])
        if _improves(new, front, study.begun.box):
            front = [*front, *new]
            volume = hypervolume_share(front, study.begun.box)
        steps.append(
            Step(
                trial=row.trial,
                trainings=trainings,
                epochs=epochs,
                hours=seconds / 3600,
                hypervolume=volume,
                finished_at=row.finished_at,
            )
        )
    return steps


def _improves(new: Sequence[Evaluation], front: Sequence[Evaluation], box: Iterable[str]) -> bool:
    """Whether no known design is at least as good: the others add nothing, at no cost.

    Args:
        new: one network on its machines.
        front: designs that improved before; some of them may be dominated by now.
        box: objectives.
    """
    if not front:
        return True
    known = np.array([[row.column(name) for name in box] for row in front])
    points = np.array([[row.column(name) for name in box] for row in new])
    covered = [bool((known <= point).all(axis=1).any()) for point in points]
    return not all(covered)


def growth_csv(steps: Sequence[Step]) -> str:
    """The steps as CSV with a header of `Step`'s fields: a line a training."""
    names = [field.name for field in fields(Step)]
    return csv_lines(names, ([getattr(step, name) for name in names] for step in steps))
