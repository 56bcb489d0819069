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
from dse.studies.intervals import difference_band
from dse.studies.mistakes import find_mistakes
from dse.studies.paired import Judgement, clips_p_value, judge_pair, paired_band
from dse.studies.repeats import stack_mistakes
from dse.studies.rows import Evaluation
from dse.studies.study import Study
from dse.training.clipwise import Mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Error of one design less that of another, one training each."""

    band: Band
    """In percent points, with its 95 % interval."""
    p_value: float | None = None
    """Of the test over the same clips; None where it is not recorded which ones were wrong."""
    samples: str = "clips"
    """What was told wrongly, for people: clips, or utterances."""

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
        if self.p_value is None:
            return "unpaired"
        return f"same {self.samples}, {say_p(self.p_value)}"

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
            return (
                f"as if of different {self.samples}: no record says of both which ones were wrong"
            )
        alike = self.samples != "utterances"  # each is right or wrong
        test = "McNemar's exact test" if alike else "permutation test of signs"
        return f"over the same {self.samples}, {test}: {say_p(self.p_value)}"

    @property
    def apart_words(self) -> str:
        """Why it is not sure, in the sentence that ends with it."""
        return f"these {self.samples} do not tell the two apart"

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
    samples: str = "clips"
    """What was told wrongly, for people: clips, or utterances."""

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
        return f"{self._seeds} each, test {self.samples}, {say_p(self.judgement.p_value)}"

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
            f"of {self._seeds} each (permutation tests over seeds and over the same "
            f"{self.samples}: {say_p(self.judgement.p_value)})"
        )

    @property
    def apart_words(self) -> str:
        """Why it is not sure, and what would make it so."""
        text = f"these seeds and {self.samples} do not tell the two apart"
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
    told = []
    for each in (row, other):
        repeats = [repeat for repeat in results.repeats if repeat.key == each.key]
        mistakes = stack_mistakes(repeats, measured) if repeats else None
        if mistakes is None:
            return None
        told.append(mistakes)
    first, second = told
    if not _same_units(first, second):
        return None
    return FreshDifference(
        judgement=judge_pair(first, second),
        errors=(float(first.rates.mean()), float(second.rates.mean())),
        seeds=(len(first.counts), len(second.counts)),
        samples=results.asked.samples,
    )


def _searched(results: Study, row: Evaluation, other: Evaluation) -> Difference | None:
    measured = results.asked.measured
    first, second = (
        find_mistakes(results.find_folder(each), each, measured) for each in (row, other)
    )
    if first is not None and second is not None and _same_clips(row, other, first, second):
        p_value = clips_p_value(first.counts, second.counts)
        return Difference(
            band=paired_band(first, second), p_value=p_value, samples=results.asked.samples
        )
    clips = [results.find_clips(each, measured) for each in (row, other)]
    if clips[0] is None or clips[1] is None:
        return None
    one, another = (each.column(measured) for each in (row, other))
    band = difference_band(one, another, clips[0], clips[1])
    return Difference(band=band, samples=results.asked.samples)


def _same_clips(row: Evaluation, other: Evaluation, first: Mistakes, second: Mistakes) -> bool:
    return row.data_key == other.data_key and _same_units(first, second)


def _same_units(first: Mistakes, second: Mistakes) -> bool:
    """Whether both were told the same clips, as far as their units say."""
    return np.array_equal(first.units, second.units)
