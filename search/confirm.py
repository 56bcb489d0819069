"""Train a frontier again with fresh seeds: the lowest of many noisy errors is too good.

A search keeps what came out lowest, so part of what it keeps is luck, and its validation split has
been looked at hundreds of times. Here the designs of the frontier and those that a little luck
would have put there are trained anew, at full length, with seeds that the search never used, and
the test split is looked at: here, and nowhere else.
"""

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from dse.columns import MEASURED_COLUMNS, first_cost
from dse.design.point import DesignPoint
from dse.errors import InvalidFile, InvalidStudy
from dse.files import replacing
from dse.pareto import pareto_mask
from dse.studies.confirmed import Confirmed
from dse.studies.folder import DESIGN
from dse.studies.frontier import find_frontier
from dse.studies.rows import Evaluation
from dse.studies.spec import StudySpec
from dse.studies.study import Study, open_study
from dse.training.job import Training
from search.storage import locked
from search.study import load_data, make_training, open_trainers

FILE_NAME = "confirm.jsonl"
FOLDER = "confirm"

NEAR = 2.0
"""A design is near the frontier if an error lower by so many standard errors would put it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One training with a fresh seed."""

    key: str
    seed: int
    validation_error: float
    test_error: float
    validation_quantised_error: float | None = None
    """As int8; None where that is not possible, or was not looked at."""
    test_quantised_error: float | None = None
    test_clips: int
    epochs: int
    seconds: float


def choose_designs(
    rows: Sequence[Evaluation], objectives: Sequence[str], clips: int
) -> list[Evaluation]:
    """The frontier, and the trained designs that chance alone may have kept from it.

    Args:
        rows: of a study, on all its machines (`dse.studies.on_machines.expanded`).
        objectives: of the study.
        clips: of the validation split; an error p of n clips has a standard error of
            sqrt(p (1 - p) / n).
    """
    front = find_frontier(rows, objectives)
    if not front:
        return []
    known = {(row.key, row.accelerator) for row in front}
    points = np.array([[row.column(name) for name in objectives] for row in front])
    near = []
    for row in rows:
        if not row.full or (row.key, row.accelerator) in known:
            continue
        own = [
            _lower_by_luck(row.column(name), clips)
            if name in MEASURED_COLUMNS
            else row.column(name)
            for name in objectives
        ]
        if pareto_mask(np.vstack([points, own]))[-1]:
            known.add((row.key, row.accelerator))
            near.append(row)
    return front + sorted(near, key=lambda row: row.column("error"))


def _lower_by_luck(error: float, clips: int) -> float:
    """An error less `NEAR` standard errors of a share of so many clips.

    An error of 0 has no standard error by the formula; it is taken to be one clip's, 1 / clips.
    """
    return error - NEAR * math.sqrt(max(error * (1 - error), 1 / clips) / clips)


def read_repeats(folder: Path) -> list[Repeat]:
    """The trainings that were confirmed so far; a line cut short by a kill is none.

    Raises:
        InvalidFile: a line is damaged.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return []
    repeats = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            repeats.append(Repeat(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InvalidFile(
                f"not a confirmed training: {error}; move the file away ({path}:{number})"
            ) from None
    return repeats


def confirm_study(
    spec: StudySpec,
    folder: Path,
    *,
    seeds: int,
    cache: Path | None = None,
    workers: int = 1,
    report: Callable[[str, int, int], None] | None = None,
) -> list[Confirmed]:
    """Train the frontier of a study and its near neighbours with fresh seeds.

    What was trained by an earlier call is not trained again.

    Args:
        spec: of the study.
        folder: of the study.
        seeds: trainings of each design, with the seeds after the study's.
        cache: folder of the feature cache.
        workers: trainings at a time.
        report: is told what is done, and how many trainings of how many.

    Returns:
        The designs, those that are confirmed first, cheapest first.

    Raises:
        InvalidStudy: the folder holds no study, nothing is trained yet, or it is in use.
    """
    study = open_study(folder)
    features = load_data(spec, cache)
    rows = study.pairs
    chosen = choose_designs(rows, spec.objectives, len(features.validation.labels))
    if not chosen:
        raise InvalidStudy(f"{folder} has no trained design yet: let dse search train some first")
    with locked(folder):
        _repair(folder)
        known = {(repeat.key, repeat.seed) for repeat in read_repeats(folder)}
        points = {row.key: _find_point(study, row) for row in chosen}
        names = {row.key: row.name for row in chosen}
        for seed in range(spec.seed + 1, spec.seed + 1 + seeds):
            missing = [key for key in points if (key, seed) not in known]
            fresh = dataclasses.replace(spec, seed=seed)
            training = make_training(fresh, features, folder / FOLDER / f"seed-{seed}")
            with open_trainers(fresh, training, cache, workers, lambda *_: None) as trainers:
                # All at once: those for whom there is no worker yet wait.
                for key in missing:
                    trainers.start(points[key], spec.recipe.epochs)
                for key in missing:
                    result = trainers.finish(points[key])
                    _append(folder, _test_best(key, seed, training, result))
                    known.add((key, seed))
                    if report is not None:
                        report(names[key], len(known), seeds * len(points))
    return summarise(chosen, rows, spec, read_repeats(folder), seeds)


def summarise(
    chosen: Sequence[Evaluation],
    rows: Sequence[Evaluation],
    spec: StudySpec,
    repeats: Iterable[Repeat],
    seeds: int,
) -> list[Confirmed]:
    """Means over the seeds, and which designs they leave on the frontier.

    A design is confirmed where no other of these dominates it, with the mean of the test errors as
    the error of each. Half-widths play no part in that.

    Args:
        chosen: designs that were trained again; those without a repeat are left out.
        rows: of the study, on all its machines.
        spec: of the study.
        repeats: trainings with fresh seeds, of these designs and others.
        seeds: so many after the study's count; more may have been trained by an earlier call.

    Returns:
        The confirmed ones first, each kind by its first cost.
    """
    wanted = range(spec.seed + 1, spec.seed + 1 + seeds)
    by_key: dict[str, list[Repeat]] = {}
    for repeat in repeats:
        if repeat.seed in wanted:
            by_key.setdefault(repeat.key, []).append(repeat)
    front = {(row.key, row.accelerator) for row in find_frontier(rows, spec.objectives)}
    found = [
        judge(row, by_key[row.key], spec.measured, searched=(row.key, row.accelerator) in front)
        for row in chosen
        if row.key in by_key
    ]
    points = [
        [
            one.test_error if name in MEASURED_COLUMNS else one.row.column(name)
            for name in spec.objectives
        ]
        for one in found
    ]
    stays = pareto_mask(np.array(points))
    cost = first_cost(spec.objectives)
    marked = [
        dataclasses.replace(one, confirmed=bool(on)) for one, on in zip(found, stays, strict=True)
    ]
    return sorted(marked, key=lambda one: (not one.confirmed, one.row.column(cost)))


def judge(
    row: Evaluation, repeats: Sequence[Repeat], measured: str, *, searched: bool
) -> Confirmed:
    """Means over the seeds, and how sure that of the test errors is.

    The 95 % interval is Student's t over n seeds: mean +- t(n - 1) s / sqrt(n), with t = 12.7 for
    two seeds, 4.3 for three and 2.8 for five. It is about the luck of training alone: the test
    split is the same for all seeds.

    Args:
        row: as the search recorded the design.
        repeats: its trainings with fresh seeds.
        measured: whose errors count: `error`, or `quantised_error` where the study minimises that.
        searched: whether it was on the frontier of the search.
    """
    tests = _errors(repeats, f"test_{measured}")
    count = len(repeats)
    half = None
    if count > 1:
        t = float(student_t.ppf(0.975, count - 1))
        half = t * statistics.stdev(tests) / math.sqrt(count)
    return Confirmed(
        row=row,
        searched_error=row.column(measured),
        validation_error=statistics.mean(_errors(repeats, f"validation_{measured}")),
        test_error=statistics.mean(tests),
        half_width=half,
        seeds=count,
        searched=searched,
    )


def _errors(repeats: Sequence[Repeat], name: str) -> list[float]:
    """Of each seed; NaN where it is not known."""
    told = [getattr(repeat, name) for repeat in repeats]
    return [math.nan if error is None else error for error in told]


def _test_best(key: str, seed: int, training: Training, result: Any) -> Repeat:
    from dse.training.devices import choose_computation, choose_device
    from dse.training.run import BEST
    from dse.training.scoring import score_best

    computation = choose_computation(training.recipe, choose_device("cpu"), "plain")
    found = score_best(
        training.designs / key / BEST, training.features, computation, split="testing"
    )
    return Repeat(
        key=key,
        seed=seed,
        validation_error=result.validation_error,
        test_error=found.error,
        validation_quantised_error=result.quantised_error,
        test_quantised_error=found.quantised_error,
        test_clips=len(training.features.testing.labels),
        epochs=result.epochs,
        seconds=round(result.seconds, 2),
    )


def _find_point(study: Study, row: Evaluation) -> DesignPoint:
    point = study.build_point(row)
    if point is None:
        raise InvalidStudy(
            f"nothing in {study.folder} says any more what {row.name or row.key} was: restore "
            f"{study.find_folder(row) / DESIGN}"
        )
    return point


def _append(folder: Path, repeat: Repeat) -> None:
    with (folder / FILE_NAME).open("ab") as file:
        file.write((json.dumps(dataclasses.asdict(repeat)) + "\n").encode())


def _repair(folder: Path) -> None:
    """Drop a last line that a kill cut short."""
    path = folder / FILE_NAME
    if path.exists():
        content = path.read_bytes()
        complete = content[: content.rfind(b"\n") + 1]
        if complete != content:
            with replacing(path) as temporary:
                temporary.write_bytes(complete)
