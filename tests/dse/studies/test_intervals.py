import pytest
from scipy.stats import binomtest

from cost_models import Band
from dse.studies.intervals import clips_behind, difference_band, error_band


def test_clips_are_the_smallest_number_that_makes_all_errors_whole() -> None:
    assert clips_behind([1 / 4]) == 4
    assert clips_behind([1 / 4, 5 / 6]) == 12
    assert clips_behind([51 / 276, 62 / 276, 107 / 276]) == 276
    assert clips_behind([wrong / 9_981 for wrong in (400, 401, 777)]) == 9_981


def test_errors_that_are_no_shares_of_clips_tell_nothing() -> None:
    assert clips_behind([0.1234567890123]) is None
    assert clips_behind([0.0, 1.0]) is None
    assert clips_behind([]) is None
    assert clips_behind([1 / 199_999, 1 / 199_998]) is None  # together far too many


@pytest.mark.parametrize(("wrong", "clips"), [(0, 10), (16, 64), (51, 276), (10, 10)])
def test_the_interval_is_that_of_wilson(wrong: int, clips: int) -> None:
    expected = binomtest(wrong, clips).proportion_ci(0.95, method="wilson")
    band = error_band(wrong / clips, clips)
    assert band.as_tuple() == pytest.approx(
        (100 * expected.low, 100 * wrong / clips, 100 * expected.high), abs=1e-4
    )


def test_without_clips_there_is_no_interval() -> None:
    assert error_band(0.25, None) == Band(low=25.0, mid=25.0, high=25.0)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    """Newcombe (1998), method 10, written out for 20 and 8 wrong of 80.

    Wilson, 20 of 80: 16.8 to 35.5 %; 8 of 80: 5.2 to 18.5 %. Difference 15 points; below it
    sqrt((25 - 16.8)^2 + (18.5 - 10)^2) = 11.8, above it sqrt((35.5 - 25)^2 + (10 - 5.2)^2) = 11.6.
    """
    band = difference_band(20 / 80, 8 / 80, 80)
    assert band.as_tuple() == pytest.approx((15 - 11.8, 15.0, 15 + 11.6), abs=0.1)
    mirrored = difference_band(8 / 80, 20 / 80, 80)
    assert mirrored.as_tuple() == pytest.approx((-band.high, -band.mid, -band.low))
