"""Whether two designs are told apart: by hand, and against scipy."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, permutation_test

from dse.studies.paired import (
    clips_p_value,
    judge_pair,
    seeds_p_value,
    seeds_that_tell,
)


def wrong(*seeds: str) -> NDArray[np.bool_]:
    """`1` is a clip that was told wrongly; a text a seed."""
    return np.array([[clip == "1" for clip in seed] for seed in seeds])


def test_clips_by_hand() -> None:
    # Differences 2, 0, 0, 1, 2 of two seeds: of 2^3 signs, all plus and all minus reach 5.
    assert clips_p_value(wrong("10111", "10011"), wrong("00110", "00000")) == pytest.approx(2 / 8)
    # Clips that both get wrong, or both right, say nothing.
    assert clips_p_value(wrong("1100"), wrong("1100")) == 1.0
    assert clips_p_value(wrong("1" * 12 + "0" * 50), wrong("0" * 12 + "0" * 50)) == pytest.approx(
        2 / 2**12
    )


@pytest.mark.parametrize(("only_first", "only_second"), [(3, 3), (9, 2), (15, 4), (0, 6), (1, 0)])
def test_one_seed_each_is_mcnemars_exact_test(only_first: int, only_second: int) -> None:
    first = wrong("1" * only_first + "0" * only_second + "1100")
    second = wrong("0" * only_first + "1" * only_second + "1100")
    # The discordant clips are coins: McNemar's exact test is a binomial test of them.
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert clips_p_value(first, second) == pytest.approx(expected)
    assert clips_p_value(second, first) == pytest.approx(expected)


@pytest.mark.parametrize("seeds", [(1, 1), (2, 2), (3, 3), (2, 3)])
def test_clips_are_the_sign_flip_permutation_test_of_scipy(seeds: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(seeds))
    first = rng.random((seeds[0], 11)) < 0.6
    second = rng.random((seeds[1], 11)) < 0.3
    differences = len(second) * first.sum(axis=0) - len(first) * second.sum(axis=0)
    expected = permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=math.inf
    )
    assert clips_p_value(first, second) == pytest.approx(expected.pvalue)


def test_chances_of_many_clips_add_up() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.random((5, 11_005)) < 0.1 for _ in range(2))
    assert 0.0 < clips_p_value(first, second) <= 1.0
    better = first & (rng.random(first.shape) < 0.5)
    assert clips_p_value(first, better) < 1e-9


def test_so_few_seeds_have_so_few_permutations() -> None:
    """2 / C(2n, n): even errors that are wholly apart are not told apart by three seeds."""
    for count, least in ((2, 1 / 3), (3, 1 / 10), (4, 1 / 35), (5, 1 / 126)):
        first, second = np.linspace(0.1, 0.11, count), np.linspace(0.5, 0.51, count)
        assert seeds_p_value(first, second) == pytest.approx(least)
    assert seeds_p_value(np.array([0.1]), np.array([0.9])) == 1.0


def test_the_seeds_that_would_tell_by_hand() -> None:
    # Without spread four are enough, as three never are.
    assert seeds_that_tell(np.array([0.2, 0.2]), np.array([0.1, 0.1])) == 4
    assert seeds_that_tell(np.array([0.2, 0.2]), np.array([0.2, 0.2])) is None
    # s = 0.02 each, d = 0.02: t(8 degrees of freedom) = 2.306 and 2.306 sqrt(8e-4 / 5) = 0.0292 of
    # five seeds; t(16) = 2.120 and 2.120 sqrt(8e-4 / 9) = 0.01999 of nine, 0.0213 of eight.
    first, second = np.array([0.10, 0.12, 0.14]), np.array([0.08, 0.10, 0.12])
    assert first.std(ddof=1) == pytest.approx(0.02)
    assert seeds_that_tell(first, second) == 9
    assert seeds_that_tell(first, second + 0.0199) is None


def test_both_the_seeds_and_the_clips_must_be_sure() -> None:
    good, bad = "0" * 60, "1" * 20 + "0" * 40
    judged = judge_pair(wrong(bad, bad), wrong(good, good))
    assert judged.p_clips < 1e-5 and judged.p_seeds == pytest.approx(1 / 3) and not judged.apart
    assert judged.seeds == 4 and judged.difference == pytest.approx(20 / 60)
    assert judge_pair(wrong(*[bad] * 4), wrong(*[good] * 4)).apart
    # Three clips of sixty, the same ones in each of five seeds: no more seeds tell of other clips.
    few = "111" + "0" * 57
    judged = judge_pair(wrong(*[few] * 5), wrong(*[good] * 5))
    assert judged.p_seeds < 0.05 < judged.p_clips == pytest.approx(1 / 4)
    assert not judged.apart and judged.seeds is None


def test_designs_that_are_equal_are_rarely_told_apart() -> None:
    """Of 200 pairs of equal designs, about 5 % or fewer, as both tests must be sure."""
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(200):
        hardness = rng.random(80)
        first, second = (rng.random((4, 80)) < hardness * 0.4 for _ in range(2))
        told += judge_pair(first, second).apart
    assert told <= 10
