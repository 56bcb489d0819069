import dataclasses

import numpy as np
import pytest

from dse.studies.scored import error_interval, int8_less_float, is_paired, worst_confusions
from dse.training.best_scores import BestScores

FLOATS = np.array([[18, 2, 0], [3, 17, 0], [0, 1, 19]])
INT8 = np.array([[18, 2, 0], [5, 15, 0], [1, 1, 18]])
BEST = BestScores(labels=("no", "yes", "stop"), epoch=3, floats=FLOATS, int8=INT8)


def test_the_most_frequent_mistakes_come_first() -> None:
    assert worst_confusions(BEST.labels, FLOATS, 2) == [("yes", "no", 3, 20), ("no", "yes", 2, 20)]
    assert worst_confusions(BEST.labels, INT8, 1) == [("yes", "no", 5, 20)]
    assert worst_confusions(BEST.labels, np.diag([4, 5, 6]), 3) == []


def test_an_error_has_wilsons_interval() -> None:
    # Of 6 of 60, by hand: (0.1 + z2 / 120 -+ z sqrt(0.09 / 60 + z2 / 14400)) / (1 + z2 / 60).
    band = error_interval(FLOATS)
    assert (band.low, band.mid, band.high) == pytest.approx((4.66, 10.0, 20.15), abs=0.01)


def test_few_clips_do_not_tell_float_and_int8_apart() -> None:
    band = int8_less_float(BEST)
    assert band is not None and band.mid == pytest.approx(5.0)
    assert band.low < 0 < band.high
    # Where the clips are known: int8 gets the same six wrong and three more, three coins of a side.
    wrong = np.arange(60) < 6
    known = dataclasses.replace(BEST, wrong=wrong, int8_wrong=np.arange(60) < 9)
    paired = int8_less_float(known)
    assert is_paired(known) and not is_paired(BEST) and paired is not None
    assert paired.high - paired.low < band.high - band.low and paired.low < 0
    # The same shares of a hundred times the clips do.
    many = BestScores(labels=BEST.labels, epoch=3, floats=100 * FLOATS, int8=100 * INT8)
    surely = int8_less_float(many)
    assert surely is not None and 0 < surely.low < 5 < surely.high
    assert (
        int8_less_float(BestScores(labels=BEST.labels, epoch=3, floats=FLOATS, int8=None)) is None
    )
