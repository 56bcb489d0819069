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
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache as remembered
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.columns import MEASURED_COLUMNS, first_cost, first_measured, other_measured
from dse.design.point import DesignPoint
from dse.errors import InvalidStudy
from dse.files import append_line, drop_half_line
from dse.pareto import pareto_mask
from dse.studies.confirmed import Confirmed
from dse.studies.folder import DESIGN
from dse.studies.frontier import find_frontier
from dse.studies.intervals import clips_worth, mean_band
from dse.studies.paired import SURE, Judgement, judge_pair
from dse.studies.repeats import FILE_NAME, Repeat, read_repeats, stack_mistakes
from dse.studies.rows import Evaluation
from dse.studies.spec import StudySpec
from dse.studies.study import Study, named, open_study, say_nothing_trained
from dse.training.clipwise import Mistakes, pack, pack_counts
from dse.training.job import Training
from search.storage import locked
from search.study import load_data, make_training, open_trainers

if TYPE_CHECKING:
    from dse.speech.loading import Features  # loads torch
    from dse.training.best_scores import BestScores
    from dse.training.best_sentences import BestSentences

FOLDER = "confirm"

NEAR = 2.0
"""A design is near the frontier if an error lower by so many standard errors would put it there."""


def choose_designs(
    rows: Sequence[Evaluation], objectives: Sequence[str], clips: float
) -> list[Evaluation]:
    """The frontier, and the trained designs that chance alone may have kept from it.

    Args:
        rows: of a study, on all its machines (`dse.studies.on_machines.expanded`).
        objectives: of the study.
        clips: of the validation split, or that its utterances are worth; an error p of n clips has
            a standard error of sqrt(p (1 - p) / n).
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
    return front + sorted(near, key=lambda row: row.column(first_measured(objectives)))


def _least_clips(study: Study, rows: Sequence[Evaluation], features: "Features") -> float:
    """Validation clips, or wake words; of utterances the fewest that they are worth to any."""
    if not study.asked.of_sentences:
        return features.count("validation")
    worth = [study.find_clips(row, study.asked.measured) for row in rows if row.full]
    return min((clips for clips in worth if clips is not None), default=len(features.validation))


def _lower_by_luck(error: float, clips: float) -> float:
    """An error less `NEAR` standard errors of a share of so many clips.

    An error of 0 has no standard error by the formula; it is taken to be one clip's, 1 / clips.
    """
    return error - NEAR * math.sqrt(max(error * (1 - error), 1 / clips) / clips)


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
    chosen = choose_designs(rows, spec.objectives, _least_clips(study, rows, features))
    if not chosen:
        raise InvalidStudy(f"{folder} has nothing to confirm: {say_nothing_trained(rows)}")
    points = {row.key: _find_point(study, row) for row in chosen}
    names = {row.key: row.name for row in chosen}
    wanted = range(spec.seed + 1, spec.seed + 1 + seeds)
    with locked(folder) as held:
        drop_half_line(folder / FILE_NAME)
        # A line of before, without its clips, is made again: its network lies there, trained.
        known = {(each.key, each.seed) for each in read_repeats(folder) if each.test_wrong}
        missing = {seed: [key for key in points if (key, seed) not in known] for seed in wanted}
        total = len(wanted) * len(points)
        done = total - sum(map(len, missing.values()))

        def keep(repeat: Repeat) -> None:
            nonlocal done
            held.check()
            append_line(folder / FILE_NAME, json.dumps(dataclasses.asdict(repeat)))
            done += 1
            if report is not None:
                report(names[repeat.key], done, total)

        for seed, keys in missing.items():
            if keys:  # or workers would be started for nothing
                training = make_training(
                    dataclasses.replace(spec, seed=seed), features, folder / FOLDER / f"seed-{seed}"
                )
                again = {key: points[key] for key in keys}
                _train_again(spec, training, again, cache, workers, keep)
    return summarise(chosen, rows, spec, read_repeats(folder), seeds)


def _train_again(
    spec: StudySpec,
    training: Training,
    points: Mapping[str, DesignPoint],
    cache: Path | None,
    workers: int,
    keep: Callable[[Repeat], None],
) -> None:
    """Train networks with one seed, that of `training`; `keep` is told of each in this order."""
    fresh = dataclasses.replace(spec, seed=training.seed)
    with open_trainers(fresh, training, cache, workers, lambda *_: None) as trainers:
        # All at once: those for whom there is no worker yet wait.
        for point in points.values():
            trainers.start(point, spec.recipe.epochs)
        for key, point in points.items():
            keep(_test_best(key, training, trainers.finish(point)))


def summarise(
    chosen: Sequence[Evaluation],
    rows: Sequence[Evaluation],
    spec: StudySpec,
    repeats: Iterable[Repeat],
    seeds: int,
) -> list[Confirmed]:
    """Means over the seeds, and which designs they leave on the frontier.

    A design stays where no other of these dominates it, with the mean of the test errors as the
    error of each. It is confirmed where that is sure: where it is told apart from every design that
    costs no more (`dse.studies.paired`), since any of these would push it off if it erred less. All
    must be told apart, so that there are many of them makes no confirmation more likely to be
    luck. Likewise a design is off for sure where one that costs no more errs less for sure; of m
    such designs, at a p-value below 0.05 / m.

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
    last = {(each.key, each.seed): each for each in repeats if each.seed in wanted}
    by_key: dict[str, list[Repeat]] = {}
    for repeat in last.values():
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
    judge_keys = _judging(
        {key: stack_mistakes(each, spec.measured) for key, each in by_key.items()}
    )
    marked = [
        _sure(dataclasses.replace(one, stays=bool(on)), found, judge_keys, spec.objectives)
        for one, on in zip(found, stays, strict=True)
    ]
    return sorted(marked, key=lambda one: (not one.confirmed, one.row.column(cost)))


def judge(
    row: Evaluation, repeats: Sequence[Repeat], measured: str, *, searched: bool
) -> Confirmed:
    """Means over the seeds, and how sure that of the test errors is (`mean_band`).

    Args:
        row: as the search recorded the design.
        repeats: its trainings with fresh seeds.
        measured: whose errors count: `error`, or `quantised_error` where the study minimises that.
        searched: whether it was on the frontier of the search.
    """
    tests = _errors(repeats, f"test_{measured}")
    others = _errors(repeats, f"test_{other_measured(measured)}")
    validations = _errors(repeats, f"validation_{measured}")
    return Confirmed(
        row=row,
        searched_error=row.column(measured),
        validation_error=None if validations is None else statistics.mean(validations),
        test_band=None if tests is None else mean_band(tests, _clips_of(repeats, measured)),
        other_test_error=None if others is None else statistics.mean(others),
        seeds=len(repeats),
        searched=searched,
    )


def _clips_of(repeats: Sequence[Repeat], measured: str) -> float:
    """Test clips, or that the test utterances are worth: by their edits, means over the seeds."""
    told = stack_mistakes(repeats, measured) if repeats[0].test_units else None
    if told is None:
        return repeats[0].test_clips
    return clips_worth(told.counts.mean(axis=0), told.units)


def _errors(repeats: Sequence[Repeat], name: str) -> list[float] | None:
    """Of each seed; None where one is not known, as the mean of the others would be of other nets.

    A network that has no form in whole numbers has no error in whole numbers.
    """
    told = [getattr(repeat, name) for repeat in repeats]
    return None if None in told else told


def _sure(
    one: Confirmed,
    found: Sequence[Confirmed],
    judge_keys: Callable[[str, str], Judgement | None],
    objectives: Sequence[str],
) -> Confirmed:
    """The design with whether its place is sure, and if not, of which other and with what seeds."""
    if one.test_band is None:
        return one
    pairs = [
        (other, judge_keys(one.row.key, other.row.key))
        for other in found
        if other.row.key != one.row.key
        and other.test_band is not None
        and _costs_no_more(other.row, one.row, objectives)
    ]
    if one.stays:
        undecided = [pair for pair in pairs if pair[1] is None or not pair[1].apart]
    else:
        undecided = _undecided_off(one, pairs)
    if not undecided:
        return dataclasses.replace(one, apart=True)
    # The hardest to be told apart from decides how many seeds it takes.
    other, judgement = max(undecided, key=lambda pair: _seeds(pair[1]))
    return dataclasses.replace(
        one,
        rival=named(other.row),
        seeds_that_tell=None if judgement is None else judgement.seeds,
    )


Pair = tuple[Confirmed, Judgement | None]
"""A design that costs no more, and how surely the two differ; None where that is not known."""


def _undecided_off(one: Confirmed, pairs: Sequence[Pair]) -> list[Pair]:
    """Of a design off the frontier: the one that errs less most surely, unless it surely does."""
    better = [pair for pair in pairs if pair[0].test_error <= one.test_error]
    known = [judgement for _, judgement in better if judgement is not None]
    if any(each.p_value < SURE / len(pairs) for each in known):
        return []
    return sorted(better, key=lambda pair: _seeds(pair[1]))[:1]


def _seeds(judgement: Judgement | None) -> float:
    """Seeds that would tell; infinite where none would, or nobody knows."""
    return math.inf if judgement is None or judgement.seeds is None else judgement.seeds


def _costs_no_more(one: Evaluation, other: Evaluation, objectives: Sequence[str]) -> bool:
    costs = [name for name in objectives if name not in MEASURED_COLUMNS]
    return all(one.column(name) <= other.column(name) for name in costs)


def _judging(told: Mapping[str, Mistakes | None]) -> Callable[[str, str], Judgement | None]:
    """Tells two networks apart by their keys, each pair once, on however many machines they are.

    It says None where nobody kept which clips they got wrong: then nothing is told apart.
    """

    @remembered
    def judge_keys(one: str, other: str) -> Judgement | None:
        first, second = told[one], told[other]
        return None if first is None or second is None else judge_pair(first, second)

    return judge_keys


def _test_best(key: str, training: Training, result: Any) -> Repeat:
    from dse.speech.sentences import SentenceFeatures
    from dse.training.devices import choose_computation, choose_device
    from dse.training.run import BEST
    from dse.training.scoring import score_best
    from dse.training.sentence_scoring import score_best_sentences

    computation = choose_computation(training.recipe, choose_device("cpu"), "plain")
    place, features = training.folder(key) / BEST, training.features
    if isinstance(features, SentenceFeatures):
        heard = score_best_sentences(place, features, computation, split="testing")
        wrong = (pack_counts(heard.edits), pack_counts(heard.int8_edits), pack_counts(heard.units))
        return _repeat(key, training, result, heard, wrong)
    told = score_best(place, features, computation, split="testing")
    masks = (
        "" if mask is None else pack(mask)
        for mask in (told.judged(whole=False), told.judged(whole=True))
    )
    return _repeat(key, training, result, told, (*masks, ""))


def _repeat(
    key: str,
    training: Training,
    result: Any,
    found: "BestScores | BestSentences",
    wrong: tuple[str, ...],
) -> Repeat:
    """A line of the record: errors, and what was wrong in floats and in whole numbers, of units."""
    return Repeat(
        key=key,
        seed=training.seed,
        validation_error=result.validation_error,
        test_error=found.error,
        validation_quantised_error=result.quantised_error,
        test_quantised_error=found.quantised_error,
        test_clips=training.features.count("testing"),
        epochs=result.epochs,
        seconds=round(result.seconds, 2),
        test_wrong=wrong[0],
        test_quantised_wrong=wrong[1],
        test_units=wrong[2],
    )


def _find_point(study: Study, row: Evaluation) -> DesignPoint:
    point = study.build_point(row)
    if point is None:
        raise InvalidStudy(
            f"nothing in {study.folder} says any more what {row.name or row.key} was: restore "
            f"{study.find_folder(row) / DESIGN}"
        )
    return point
