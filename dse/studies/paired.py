"""Whether one design makes fewer errors than another: over the seeds, and over the clips.

An error that was measured is one of many that might have been, for two reasons that know nothing of
each other:

    seeds    another seed of training gives another network
    clips    the test split is a sample: other clips are told differently

A difference must be sure against both, so two tests are made, and the larger p-value counts:

    p_seeds   permutation of the errors of the seeds among both designs. No more can be said than
              the seeds have permutations: of n each, p is at least 2 / C(2n, n), which is 1/3, 1/10
              and 1/35 for two, three and four seeds. So four are the fewest that tell designs
              apart.
    p_clips   the same clips were told by both, so each clip has a difference d of its own, and if
              the designs were equal, -d would be as likely as d: the sign-flip permutation test,
              exact. With one seed each, d is -1, 0 or 1, and it is McNemar's exact test.

      clip      1   2   3   4   5         wrong of two seeds each
      design a  2   0   1   2   2
      design b  0   0   1   1   0         sum of d = 2 + 0 + 0 + 1 + 2 = 5
                                          as large with these signs alone: p = 2 / 2^3 = 1/4

How large a difference is has an interval as well (`paired_band`). It holds 0 wherever the test over
clips is not sure, so that the two never disagree.

Sources: McNemar, Psychometrika 12 (1947) 153-157; Fisher, The Design of Experiments (1935), for
the permutation of signs; Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10, for the
interval.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models import Band
from dse.studies.intervals import clips_worth, error_band
from dse.training.clipwise import Counts, Mistakes

SURE = 0.05
"""A p-value below it tells two designs apart: the complement of the 95 % of all intervals here."""

MOST_SEEDS = 100
"""More are not asked for."""

EXACT = 200_000
"""So many permutations of seeds are all made; of more, `DRAWN` at random, of a fixed seed."""
DRAWN = 19_999


@dataclass(frozen=True, slots=True)
class Judgement:
    """How sure it is that two designs differ in their error."""

    difference: float
    """Mean error of the first less that of the second, shares of clips."""
    p_seeds: float
    p_clips: float
    seeds: int | None
    """So many seeds each would tell them apart, if difference and spread stay what they are; None
    where more than `MOST_SEEDS` would, or where the clips are too few for any number."""

    @property
    def p_value(self) -> float:
        """The larger of the two."""
        return max(self.p_seeds, self.p_clips)

    @property
    def apart(self) -> bool:
        """Whether it is sure that they differ."""
        return self.p_value < SURE


def judge_pair(first: Mistakes, second: Mistakes) -> Judgement:
    """Two designs by what they got wrong of each clip, or of each utterance.

    Args:
        first: of all seeds of one design.
        second: likewise of the other design: the same clips in the same order.
    """
    errors = first.rates, second.rates
    by_clips = clips_p_value(first.counts, second.counts)
    by_seeds = seeds_p_value(*errors)
    return Judgement(
        difference=float(errors[0].mean() - errors[1].mean()),
        p_seeds=by_seeds,
        p_clips=by_clips,
        # Where clips alone leave it open although the seeds do not, more seeds would not help.
        seeds=None if by_clips >= SURE > by_seeds else seeds_that_tell(*errors),
    )


def clips_p_value(first: Counts, second: Counts) -> float:
    """Two-sided p-value of the sign-flip permutation test over clips, exact.

    The difference of a clip is a whole number k after multiplying by the seeds. Clips of one |k|
    are coins: m of them sum to k (2 B - m), B binomial. The sums of all |k| are convolved; a
    lattice of some ten thousand points, not 2^clips signs. Utterances are clips of larger k.

    Args:
        first: mistakes of each, shape (seeds, clips).
        second: shape (seeds, clips); the seeds may be others, and of another number.
    """
    differences = len(second) * first.sum(axis=0) - len(first) * second.sum(axis=0)
    steps, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    total = abs(int(differences.sum()))
    unit = int(np.gcd.reduce(steps)) if len(steps) else 1
    chances = np.ones(1)
    for step, count in zip(steps // unit, counts, strict=True):
        coins = np.zeros(int(step) * int(count) + 1)
        coins[:: int(step)] = _fair_coins(int(count))
        chances = np.convolve(chances, coins)
    # Place i of `chances` is the sum 2 i - reach.
    reach = len(chances) - 1
    sums = np.abs(2 * np.arange(len(chances)) - reach)
    return min(1.0, float(chances[sums >= total // unit].sum()))


def paired_band(first: Mistakes, second: Mistakes) -> Band:
    """Error of the first less that of the second, one seed each, in points with a 95 % interval.

        below = sqrt(a^2 - 2 phi a b + b^2)     a: the first error less its low end (Wilson)
                                                b: the second's high end less the second error
        phi     correlation of the two over the clips; 1 if both get the same clips wrong; over
                utterances, that of what each has beyond its rate
        above   likewise, of the other two ends

    With phi = 0 it is `difference_band`, for different clips; networks that get the same clips
    wrong have phi > 0 and a narrower interval.

    Args:
        first: of one seed.
        second: likewise of the other network: the same clips in the same order.
    """
    one, other = (error_band(*_rate_and_clips(each)) for each in (first, second))
    phi = (_phi if _of_words(first) else _correlation)(first, second)
    difference = one.mid - other.mid
    low = difference - _arm(one.mid - one.low, other.high - other.mid, phi)
    high = difference + _arm(one.high - one.mid, other.mid - other.low, phi)
    if clips_p_value(first.counts, second.counts) >= SURE:
        low, high = min(low, 0.0), max(high, 0.0)
    return Band(low=low, mid=difference, high=high)


def _arm(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))


def _of_words(told: Mistakes) -> bool:
    """Whether each clip is right or wrong."""
    return bool((told.units == 1).all() and (told.counts <= 1).all())


def _rate_and_clips(told: Mistakes) -> tuple[float, float]:
    """The error of one seed, and the clips behind it, or that it is worth."""
    rate = min(1.0, float(told.rates[0]))
    if _of_words(told):
        return rate, len(told.units)
    return rate, clips_worth(told.counts[0], told.units)


def _correlation(first: Mistakes, second: Mistakes) -> float:
    """Of the edits that utterances have beyond, or short of, the rate of their network."""
    beyond = [each.counts[0] - each.rates[0] * each.units for each in (first, second)]
    scale = math.sqrt(float((beyond[0] ** 2).sum() * (beyond[1] ** 2).sum()))
    return float((beyond[0] * beyond[1]).sum()) / scale if scale else 0.0


def _phi(first: Mistakes, second: Mistakes) -> float:
    """Phi of the table of clips: wrong in both, in the first only, in the second only, in neither.

    A positive numerator is lessened by half the clips, but not below 0 (Newcombe's correction), so
    that few clips do not make two networks more alike than they are.
    """
    one, two = first.counts[0] > 0, second.counts[0] > 0
    clips = len(one)
    both, neither = int((one & two).sum()), int((~one & ~two).sum())
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    product: float = both * neither - only_first * only_second
    if product > 0:
        product = max(product - clips / 2, 0)
    wrong, others = both + only_first, both + only_second
    scale = math.sqrt(wrong * (clips - wrong) * others * (clips - others))
    return product / scale if scale else 0.0


def _fair_coins(count: int) -> NDArray[np.float64]:
    """Chances of 0 to `count` heads of so many fair coins."""
    heads = np.arange(count + 1)
    logs = np.array([math.lgamma(n + 1) for n in range(count + 1)])
    chances: NDArray[np.float64] = np.exp(
        logs[count] - logs[heads] - logs[count - heads] - count * math.log(2)
    )
    return chances


def seeds_p_value(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Two-sided p-value of the permutation test over the errors of seeds.

    Args:
        first: errors of one design, a seed each.
        second: of the other.
    """
    if min(len(first), len(second)) < 2:  # a single seed says nothing of others
        return 1.0
    from scipy.stats import permutation_test  # slow to load

    exact = math.comb(len(first) + len(second), len(first)) <= EXACT
    found = permutation_test(
        (first, second),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        permutation_type="independent",
        vectorized=True,
        n_resamples=math.inf if exact else DRAWN,
        batch=10_000,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def seeds_that_tell(first: NDArray[np.float64], second: NDArray[np.float64]) -> int | None:
    """So many seeds each tell two designs apart, if difference and spread stay what they are.

        |difference| >= t(0.975, 2 n - 2) sqrt((s1^2 + s2^2) / n),    and 2 / C(2n, n) < 0.05

    Of the few seeds that there are the spread is hardly known itself: an order of magnitude to plan
    by. None where it would be more than `MOST_SEEDS`.
    """
    if min(len(first), len(second)) < 2:
        return None
    from scipy.stats import t as student_t  # slow to load

    difference = abs(float(first.mean() - second.mean()))
    spread = math.sqrt(float(first.var(ddof=1) + second.var(ddof=1)))
    for count in range(2, MOST_SEEDS + 1):
        if 2 / math.comb(2 * count, count) >= SURE:
            continue
        if 0 < difference >= student_t.ppf(0.975, 2 * count - 2) * spread / math.sqrt(count):
            return count
    return None
