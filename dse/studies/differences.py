"""How far the errors of two trained designs of a study differ, and how surely: a training each.

Both were told the same validation clips, so the clips that both get wrong say nothing of which is
better. Where it is recorded which clips each got wrong (`evaluation.json`), the test is the paired
one of `dse confirm` (`dse.studies.paired`); of one seed each it is McNemar's exact test. Where it
is not, the two are taken to have been told different clips, which is on the safe side.

Neither knows of other seeds: a sure difference is one between these two trained networks. What
fresh seeds say of the designs is `dse confirm`'s to tell.
"""

from dataclasses import dataclass

import numpy as np

from cost_models import Band
from dse.columns import significant
from dse.errors import InvalidInput
from dse.studies.intervals import difference_band
from dse.studies.paired import Wrong, clips_p_value, paired_band
from dse.studies.rows import Evaluation
from dse.studies.study import Study
from dse.training.best_scores import read_best_scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Error of one design less that of another."""

    band: Band
    """In percent points, with its 95 % interval; without 0 in it, the two differ surely."""
    p_value: float | None
    """Of the test over the same clips; None where it is not recorded which ones were wrong."""

    @property
    def way(self) -> str:
        """How it is known, for a table."""
        if self.p_value is None:
            return "unpaired"
        return f"same clips, {self.p_words}"

    @property
    def words(self) -> str:
        """How it is known, for a sentence."""
        if self.p_value is None:
            return "as if of different clips: which ones were wrong is not recorded of both"
        return f"over the same clips, McNemar's exact test: {self.p_words}"

    @property
    def p_words(self) -> str:
        """`p = 0.16`, `p < 0.001`; empty without a test."""
        if self.p_value is None:
            return ""
        return "p < 0.001" if self.p_value < 0.001 else f"p = {significant(self.p_value, 2)}"


def find_difference(results: Study, row: Evaluation, other: Evaluation) -> Difference | None:
    """Of the error that the study minimises; None where nobody knows how many clips there are.

    Args:
        results: the study.
        row: a trained design of it.
        other: another one.
    """
    first, second = told_wrongly(results, row), told_wrongly(results, other)
    same = row.data_key == other.data_key and first is not None and second is not None
    if same and first is not None and second is not None and len(first) == len(second):
        return Difference(
            band=paired_band(first, second), p_value=clips_p_value(first[None], second[None])
        )
    if results.clips is None:
        return None
    one, another = (each.column(results.asked.measured) for each in (row, other))
    return Difference(band=difference_band(one, another, results.clips), p_value=None)


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
