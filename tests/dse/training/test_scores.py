import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.training.scores import Scores, wilson_interval


def test_worst_pairs_come_in_order_and_leave_out_what_is_right():
    confusion = np.array([[9, 0, 2], [3, 5, 0], [2, 0, 7]])
    scores = Scores(loss=1.0, confusion=confusion)
    assert scores.worst_pairs(2) == [(1, 0, 3), (0, 2, 2)]
    assert scores.worst_pairs(9) == [(1, 0, 3), (0, 2, 2), (2, 0, 2)]
    assert (scores.clips, scores.errors) == (28, 7)
    assert scores.error == 0.25
    assert confusion[0, 0] == 9


def test_wilson_as_printed():
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 (Wilson).
    for right, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson_interval(right, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 1000), st.data())
def test_wilson_holds_the_share_and_solves_its_equation(total, data):
    right = data.draw(st.integers(0, total))
    low, high = wilson_interval(right, total)
    share = right / total
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1
    # Both ends are 1.96 standard deviations of the binomial away from the share.
    for end in (low, high):
        if 0 < end < 1:
            z = abs(share - end) / math.sqrt(end * (1 - end) / total)
            assert z == pytest.approx(1.959964, rel=1e-4) or end == pytest.approx(share)
