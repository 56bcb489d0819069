"""How far the errors of two designs of a study differ, and how surely.

Three ways to know, the best that there is:

    fresh seeds    `dse confirm` trained both anew: mean test errors, told apart over the seeds and
                   over the same clips (`judge_pair`); it speaks of the designs
    same clips     `evaluation.json` says which validation clips each network got wrong: one seed
                   each, so the test over clips is McNemar's exact one; it speaks of two trainings
    unpaired       nobody kept which ones: the two are taken to have been told different clips,
                   which is on the safe side; likewise of two trainings
"""

from dataclasses import dataclass

import numpy as np

from cost_models import Band
from dse.columns import percent_words, signed, significant
from dse.errors import InvalidInput
from dse.studies.intervals import difference_band
from dse.studies.paired import Judgement, Wrong, clips_p_value, judge_pair, paired_band
from dse.studies.repeats import stack_wrong
from dse.studies.rows import Evaluation
from dse.studies.study import Study
from dse.training.best_scores import read_best_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Error of one design less that of another, one training each."""

    band: Band
    """In percent points, with its 95 % interval."""
    p_value: float | None = None
    """Of the test over the same clips; None where it is not recorded which ones were wrong."""

    @property
    def points(self) -> float:
        """The difference itself."""
        return self.band.mid

    @property
    def sign(self) -> int:
        """-1 or 1 where it is sure which design errs less, the first or the second; else 0."""
        return (self.band.low > 0) - (self.band.high < 0)

    @property
    def cell(self) -> Band | float:
        """As a table has it."""
        return self.band

    @property
    def way(self) -> str:
        """How it is known, for a table."""
        return "unpaired" if self.p_value is None else f"same clips, {say_p(self.p_value)}"

    @property
    def words(self) -> str:
        """`+4.0 points has a 95 % interval of ...`: what stands behind `the difference of`."""
        band = self.band
        return (
            f"{signed(band.mid)} points has a 95 % interval of {signed(band.low)} to "
            f"{signed(band.high)} ({self._known})"
        )

    @property
    def _known(self) -> str:
        if self.p_value is None:
            return "as if of different clips: no record says of both which ones were wrong"
        return f"over the same clips, McNemar's exact test: {say_p(self.p_value)}"

    @property
    def apart_words(self) -> str:
        """Why it is not sure, in the sentence that ends with it."""
        return "these clips do not tell the two apart"

    @property
    def by_words(self) -> str:
        """What a sure difference rests on, before a verdict."""
        return "with one training each, "


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshDifference:
    """The same of mean test errors over fresh seeds."""

    judgement: Judgement
    errors: tuple[float, float]
    """Mean test errors, shares of clips."""
    seeds: tuple[int, int]

    @property
    def points(self) -> float:
        """The difference itself."""
        return 100 * self.judgement.difference

    @property
    def sign(self) -> int:
        """-1 or 1 where it is sure which design errs less, the first or the second; else 0."""
        return int(np.sign(self.judgement.difference)) if self.judgement.apart else 0

    @property
    def cell(self) -> Band | float:
        """As a table has it."""
        return self.points

    @property
    def way(self) -> str:
        """How it is known, for a table."""
        return f"{self._seeds} each, test clips, {say_p(self.judgement.p_value)}"

    @property
    def _seeds(self) -> str:
        fewest, most = min(self.seeds), max(self.seeds)
        count = f"{fewest}" if fewest == most else f"{fewest} and {most}"
        return f"{count} fresh seed{'' if most == 1 else 's'}"

    @property
    def words(self) -> str:
        """What stands behind `the difference of`."""
        first, second = (percent_words(error) for error in self.errors)
        return (
            f"{signed(self.points)} points in mean test error, {first} against {second}, is that "
            f"of {self._seeds} each (permutation tests over seeds and over the same clips: "
            f"{say_p(self.judgement.p_value)})"
        )

    @property
    def apart_words(self) -> str:
        """Why it is not sure, and what would make it so."""
        text = "these seeds and clips do not tell the two apart"
        more = self.judgement.seeds
        return text if more is None else f"{text} (about {more} seeds would)"

    @property
    def by_words(self) -> str:
        """What a sure difference rests on, before a verdict."""
        return ""


def say_p(p_value: float) -> str:
    """`p = 0.16`, `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {significant(p_value, 2)}"


def find_difference(
    results: Study, row: Evaluation, other: Evaluation
) -> Difference | FreshDifference | None:
    """Of the error that the study minimises; None where nobody knows how many clips there are.

    Args:
        results: the study.
        row: a trained design of it.
        other: another one.

    Raises:
        InvalidFile: the file of fresh seeds is damaged.
    """
    return _fresh(results, row, other) or _searched(results, row, other)


def _fresh(results: Study, row: Evaluation, other: Evaluation) -> FreshDifference | None:
    measured = results.asked.measured
    wrong = []
    for each in (row, other):
        repeats = [repeat for repeat in results.repeats if repeat.key == each.key]
        clips = stack_wrong(repeats, measured) if repeats else None
        if clips is None:
            return None
        wrong.append(clips)
    first, second = wrong
    if first.shape[1] != second.shape[1]:
        return None
    return FreshDifference(
        judgement=judge_pair(first, second),
        errors=(float(first.mean()), float(second.mean())),
        seeds=(len(first), len(second)),
    )


def _searched(results: Study, row: Evaluation, other: Evaluation) -> Difference | None:
    first, second = told_wrongly(results, row), told_wrongly(results, other)
    if first is not None and second is not None and _same_clips(row, other, first, second):
        p_value = clips_p_value(first[None], second[None])
        return Difference(band=paired_band(first, second), p_value=p_value)
    if results.clips is None:
        return None
    one, another = (each.column(results.asked.measured) for each in (row, other))
    return Difference(band=difference_band(one, another, results.clips))


def _same_clips(row: Evaluation, other: Evaluation, first: Wrong, second: Wrong) -> bool:
    return row.data_key == other.data_key and len(first) == len(second)


def told_wrongly(results: Study, row: Evaluation) -> Wrong | None:
    """Which validation clips a design got wrong; None where no record of this training says so.

    A record of another training of the design (another error than the row's) is none.
    """
    measured = results.asked.measured
    try:
        best = read_best_scores(results.find_folder(row))
    except (InvalidInput, OSError):
        return None
    if best is None:
        return None
    wrong = best.int8_wrong if measured == "quantised_error" else best.wrong
    if wrong is None or not np.isclose(wrong.mean(), row.column(measured), rtol=0, atol=1e-9):
        return None
    return wrong
