"""Whether two designs are told apart: by hand, and against scipy."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, multinomial, permutation_test

from cost_models import Band
from dse.studies.paired import (
    Judgement,
    clips_p_value,
    judge_pair,
    paired_band,
    seeds_p_value,
    seeds_that_tell,
)
from dse.training.clipwise import Mistakes, of_words


def wrong(*seeds: str) -> NDArray[np.bool_]:
    """`1` is a clip that was told wrongly; a text a seed."""
    return np.array([[clip == "1" for clip in seed] for seed in seeds])


def judged_pair(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Judgement:
    return judge_pair(of_words(first), of_words(second))


def banded(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Band:
    return paired_band(of_words(first), of_words(second))


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


def test_the_interval_of_a_difference_over_the_same_clips_by_hand() -> None:
    """20 wrong in both, 10 and 2 in one only, 48 in neither; 30 and 22 of 80.

    Wilson: 30 of 80 is 27.7 to 48.5 %, 22 of 80 is 18.9 to 38.1 %. phi = (20 x 48 - 10 x 2 - 40) /
    sqrt(30 x 50 x 22 x 58) = 900 / 1383.5 = 0.6505. Below the difference of 10 points:
    sqrt(9.8^2 - 2 phi 9.8 x 10.6 + 10.6^2) = 8.57; above sqrt(11.0^2 - 2 phi 11.0 x 8.6 + 8.6^2) =
    8.46. McNemar: 12 coins, 2 or fewer on a side: p = 2 x 79 / 4096 = 0.0386.
    """
    first = wrong("1" * 20 + "1" * 10 + "0" * 2 + "0" * 48)[0]
    second = wrong("1" * 20 + "0" * 10 + "1" * 2 + "0" * 48)[0]
    band = banded(first, second)
    assert band.as_tuple() == pytest.approx((10 - 8.57, 10.0, 10 + 8.46), abs=0.15)
    turned = banded(second, first)
    assert turned.as_tuple() == pytest.approx((-band.high, -10.0, -band.low))
    # Five coins of one side: Newcombe's interval leaves 0 out, the exact test (1/16) does not.
    unsure = banded(wrong("1" * 5 + "0" * 75)[0], wrong("0" * 80)[0])
    assert (unsure.low, unsure.mid) == (0.0, 6.25) and unsure.high > 6.25
    same = banded(first, first)
    assert same.low < 0 == same.mid < same.high


@pytest.mark.parametrize("shares", [(0.2, 0.1, 0.1), (0.0, 0.3, 0.1), (0.4, 0.05, 0.0)])
def test_of_the_intervals_over_the_same_clips_95_percent_hold_the_truth(
    shares: tuple[float, float, float],
) -> None:
    """All tables of 12 clips with their chances, where both, the first, the second are wrong."""
    clips, truth = 12, 100 * (shares[1] - shares[2])
    chances = (*shares, 1 - sum(shares))
    covered = 0.0
    for both, one, other in itertools.product(range(clips + 1), repeat=3):
        if (neither := clips - both - one - other) < 0:
            continue
        table = (both, one, other, neither)
        chance = multinomial.pmf(table, clips, chances)
        first = wrong("1" * (both + one) + "0" * (other + neither))[0]
        second = wrong("1" * both + "0" * one + "1" * other + "0" * neither)[0]
        band = banded(first, second)
        assert (band.low > 0 or band.high < 0) <= (clips_p_value(first[None], second[None]) < 0.05)
        covered += chance if band.low <= truth + 1e-9 and truth - 1e-9 <= band.high else 0.0
    assert covered >= 0.95


def test_both_the_seeds_and_the_clips_must_be_sure() -> None:
    good, bad = "0" * 60, "1" * 20 + "0" * 40
    judged = judged_pair(wrong(bad, bad), wrong(good, good))
    assert judged.p_clips < 1e-5 and judged.p_seeds == pytest.approx(1 / 3) and not judged.apart
    assert judged.seeds == 4 and judged.difference == pytest.approx(20 / 60)
    assert judged_pair(wrong(*[bad] * 4), wrong(*[good] * 4)).apart
    # Three clips of sixty, the same ones in each of five seeds: no more seeds tell of other clips.
    few = "111" + "0" * 57
    judged = judged_pair(wrong(*[few] * 5), wrong(*[good] * 5))
    assert judged.p_seeds < 0.05 < judged.p_clips == pytest.approx(1 / 4)
    assert not judged.apart and judged.seeds is None


def test_designs_that_are_equal_are_rarely_told_apart() -> None:
    """Of 200 pairs of equal designs, about 5 % or fewer, as both tests must be sure."""
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(200):
        hardness = rng.random(80)
        first, second = (rng.random((4, 80)) < hardness * 0.4 for _ in range(2))
        told += judged_pair(first, second).apart
    assert told <= 10


def edits(*counts: int, units: int = 10) -> Mistakes:
    """One seed; every utterance has as many units."""
    return Mistakes(np.array([counts]), np.full(len(counts), units))


def test_edits_of_utterances_by_hand() -> None:
    """Differences 3, 1, 0, 4: of 2^3 signs all plus and all minus reach 8, so p = 2 / 8."""
    judged = judge_pair(edits(5, 2, 1, 6), edits(2, 1, 1, 2))
    assert judged.p_clips == pytest.approx(2 / 8)
    assert judged.difference == pytest.approx((14 - 6) / 40)


def test_edits_are_told_apart_as_their_permutations_are() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.integers(0, 6, (2, 12))
    expected = permutation_test(
        (first, second),
        lambda one, other, axis: (one - other).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=math.inf,
    )
    assert clips_p_value(first[None], second[None]) == pytest.approx(expected.pvalue)


def test_the_interval_of_edits_is_that_of_resampled_utterances() -> None:
    """Against the bootstrap: 4,000 splits drawn from the same 300 utterances."""
    generator = np.random.default_rng(5)
    units = generator.integers(10, 60, 300)
    hard = generator.beta(2, 5, 300)  # utterances differ, and both networks feel it
    first = generator.binomial(units, hard)
    second = generator.binomial(units, np.clip(hard + 0.05, 0, 1))
    band = paired_band(Mistakes(first[None], units), Mistakes(second[None], units))
    drawn = generator.integers(0, 300, (4000, 300))
    differences = (first - second)[drawn].sum(axis=1) / units[drawn].sum(axis=1)
    low, high = 100 * np.quantile(differences, [0.025, 0.975])
    assert band.mid == pytest.approx(100 * (first.sum() - second.sum()) / units.sum())
    assert band.high - band.low == pytest.approx(high - low, rel=0.2)
