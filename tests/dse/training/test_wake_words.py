"""False alarms and rejections of a spotter: counted by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.errors import InvalidInput
from dse.training.wake_words import (
    Judged,
    Spoken,
    Timing,
    detection_trade_off,
    false_rejections_at,
    find_alarms,
    find_hits,
    judge,
    smooth,
    threshold_at,
)


def test_smoothing_is_the_mean_of_the_last_hops() -> None:
    # 1; (1+3)/2; (1+3+5)/3; (3+5+1)/3
    assert smooth([1, 3, 5, 1], 3).tolist() == [1, 2, 3, 3]
    assert smooth([1, 3, 5, 1], 1).tolist() == [1, 3, 5, 1]
    assert smooth([1, 3], 9).tolist() == [1, 2]
    assert smooth([], 2).tolist() == []


def test_one_word_is_one_alarm() -> None:
    scores = [0.1, 0.9, 0.9, 0.9, 0.1, 0.9]
    assert find_alarms(scores, 0.9, pause_hops=0) == [1, 2, 3, 5]
    assert find_alarms(scores, 0.9, pause_hops=2) == [1, 5]  # 4 is the first that may follow
    assert find_alarms(scores, 0.9, pause_hops=3) == [1, 5]
    assert find_alarms(scores, 0.9, pause_hops=4) == [1]
    assert find_alarms(scores, 0.91, pause_hops=0) == []


def test_hits_misses_and_false_alarms_by_hand() -> None:
    words = [Spoken(10, 14), Spoken(30, 34), Spoken(50, 54)]
    # 9 is before the first word; 16 answers it, two hops late; 17 is one too many; 36 is in time,
    # 57 three hops late.
    assert judge([9, 16, 17, 36, 57], words, late_hops=2) == Judged(2, 1, 3)
    assert judge([], words, late_hops=2) == Judged(0, 3, 0)
    assert judge([57], words, late_hops=3) == Judged(1, 2, 0)
    # Words that touch: an alarm that is late for the first and early for the second is the first's.
    assert judge([15, 15], [Spoken(10, 14), Spoken(15, 19)], late_hops=2) == Judged(2, 0, 0)


def test_a_curve_by_hand() -> None:
    """Two recordings of 3,600 hops at one a second: two hours, two words, three peaks.

    threshold 0.9    the first word alone             1/2 missed    0 alarms in 2 hours
              0.8    and the peak where none is       1/2           1
              0.6    and the second word              0             1
              0.0    always: an alarm each 100 hops   0             70 of 72
    """
    first, second = np.zeros(3_600), np.zeros(3_600)
    first[100], first[2_000], second[500] = 0.9, 0.8, 0.6
    recordings = [(first, [Spoken(100, 101)]), (second, [Spoken(500, 501)])]
    curve = detection_trade_off(
        recordings, hops_per_second=1, smoothing_hops=1, pause_hops=99, late_hops=0
    )
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.6, 0.0]
    assert curve.false_rejections.tolist() == [0.5, 0.5, 0.0, 0.0]
    assert curve.false_alarms_per_hour.tolist() == [0.0, 0.5, 0.5, 35.0]
    assert false_rejections_at(curve, 0.0) == 0.5
    assert false_rejections_at(curve, 0.49) == 0.5
    assert false_rejections_at(curve, 0.5) == 0.0


def test_who_always_wakes_wrongly_misses_all_when_no_alarm_is_allowed() -> None:
    scores = [0.9, 0.1, 0.5]
    curve = detection_trade_off(
        [(scores, [Spoken(2, 2)])], hops_per_second=1, smoothing_hops=1, pause_hops=0, late_hops=0
    )
    assert false_rejections_at(curve, 0.0) == 1.0


@given(
    st.lists(st.floats(0, 1), min_size=8, max_size=60),
    st.integers(0, 5),
    st.integers(0, 4),
)
def test_every_alarm_and_every_word_is_counted_once(
    scores: list[float], pause: int, late: int
) -> None:
    words = [Spoken(start, start + 1) for start in range(0, len(scores) - 1, 7)]
    for threshold in (0.2, 0.8):
        alarms = find_alarms(scores, threshold, pause)
        assert all(b - a > pause for a, b in itertools.pairwise(alarms))
        found = judge(alarms, words, late)
        assert found.hits + found.misses == len(words)
        assert found.hits + found.false_alarms == len(alarms)


def test_fewer_points_are_points_of_the_same_curve() -> None:
    scores = np.random.default_rng(1).random(300)
    asked = [(scores, [Spoken(50, 60)])]
    options = {"hops_per_second": 10.0, "smoothing_hops": 3, "pause_hops": 5, "late_hops": 2}
    whole = detection_trade_off(asked, points=300, **options)  # type: ignore[arg-type]
    few = detection_trade_off(asked, points=10, **options)  # type: ignore[arg-type]
    assert len(few.thresholds) == 10
    at = [whole.thresholds.tolist().index(each) for each in few.thresholds.tolist()]
    assert at[0] == 0 and at[-1] == len(whole.thresholds) - 1
    np.testing.assert_array_equal(few.false_rejections, whole.false_rejections[at])
    np.testing.assert_array_equal(few.false_alarms_per_hour, whole.false_alarms_per_hour[at])


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(InvalidInput, match="hops must be at least 1, not 0"):
        smooth([1.0], 0)
    with pytest.raises(InvalidInput, match="scores must be finite numbers"):
        find_alarms([float("nan")], 0.5, 0)
    with pytest.raises(InvalidInput, match="words must be in their order, without overlap"):
        judge([], [Spoken(3, 5), Spoken(5, 6)], 0)
    with pytest.raises(InvalidInput, match="recordings must be with one word at least, not 0"):
        detection_trade_off(
            [([1.0], [])], hops_per_second=1, smoothing_hops=1, pause_hops=0, late_hops=0
        )


def test_places_of_words_by_hand() -> None:
    timing = Timing(hop_s=0.1, window_s=1.0, smoothed_s=0.3, refractory_s=2.0)
    # Score i is told at 1.0 + 0.1 i: a word from 2.05 to 3.05 is answered by scores 11 to 20.
    assert timing.place([(0.5, 1.5), (2.05, 3.05)]) == [Spoken(0, 5), Spoken(11, 20)]
    assert (timing.smoothing_hops, timing.pause_hops, timing.late_hops) == (3, 19, 8)
    assert Timing(0.1, 1.0, 0.0, 0.0).smoothing_hops == 1


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=20),
    st.lists(st.integers(0, 60), unique=True, max_size=12),
    st.integers(0, 8),
)
def test_hits_are_those_of_the_rule(said: list[int], bounds: list[int], late: int) -> None:
    """Each alarm takes the earliest word that is open and not yet hit: as the rule says it."""
    ends = sorted(bounds)[: len(bounds) // 2 * 2]
    words = [Spoken(*pair) for pair in zip(ends[::2], ends[1::2], strict=True)]
    alarms, hit = sorted(said), [False] * len(words)
    for alarm in alarms:
        free = [
            place
            for place, word in enumerate(words)
            if not hit[place] and word.first <= alarm <= word.last + late
        ]
        if free:
            hit[free[0]] = True
    assert find_hits(alarms, words, late) == hit
    assert judge(alarms, words, late) == Judged(
        sum(hit), len(hit) - sum(hit), len(alarms) - sum(hit)
    )


def test_the_threshold_of_the_fewest_misses() -> None:
    recordings = [([0.9, 0.0, 0.8, 0.0, 0.7], [Spoken(0, 0), Spoken(4, 4)])]
    timing = {"hops_per_second": 1.0, "smoothing_hops": 1, "pause_hops": 0, "late_hops": 0}
    curve = detection_trade_off(recordings, **timing)  # type: ignore[arg-type]
    # Five hops of a second are 1/720 hour: one false alarm is 720 an hour.
    assert threshold_at(curve, 0) == 0.9
    assert threshold_at(curve, 720) == 0.7
    assert false_rejections_at(curve, 720) == 0.0
    wrong = [([0.1, 0.9], [Spoken(0, 0)])]
    never = detection_trade_off(wrong, **timing)  # type: ignore[arg-type]
    assert threshold_at(never, 0) == float("inf")
    assert false_rejections_at(never, 0) == 1.0
