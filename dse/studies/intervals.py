"""How sure an error is: clips behind it, its interval, and that of a difference.

A validation error is k wrong of n clips. Rows hold k / n only, so n is found as the smallest number
of clips of which all errors of a study are whole numbers: errors of many epochs leave no smaller
one. Were the true n a multiple, the intervals would be too wide, never too narrow.

A rate of edits has no such n: mistakes come in bunches, so an utterance of 40 characters says less
than 40 clips. `clips_worth` is the number of clips whose share would be as sure.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from fractions import Fraction

from cost_models import Band
from dse.training.clipwise import Counts
from dse.training.scores import wilson_interval

MOST_CLIPS = 200_000
"""More than any split that is known here."""
ROUNDING = 1e-12


def clips_behind(errors: Iterable[float]) -> int | None:
    """Smallest number of clips of which all errors are whole numbers.

    None where there is none up to `MOST_CLIPS`, or no error that tells anything.

        0.05 = 1/20,  0.0125 = 1/80,  0.075 = 3/40      least common multiple: 80 clips

    A float is not k / n exactly, so the nearest fraction with a denominator up to `MOST_CLIPS` is
    taken, and must give the float back to within `ROUNDING`; otherwise errors are no shares of
    clips. Two such fractions differ by at least 1 / MOST_CLIPS^2 = 2.5e-11, so at most one can.
    """
    clips = 1
    for error in errors:
        share = Fraction(error).limit_denominator(MOST_CLIPS)
        if abs(float(share) - error) > ROUNDING:
            return None
        clips = math.lcm(clips, share.denominator)
        if clips > MOST_CLIPS:
            return None
    return clips if clips > 1 else None


def clips_worth(counts: Counts, units: Counts) -> float:
    """How many clips, each right or wrong, would tell a rate of edits as surely as utterances do.

    With k_i edits of u_i units in utterance i of n, the rate r = sum k / sum u is a ratio of two
    sums over a sample of utterances, whose variance is (linearised)

        var(r) = n / (n - 1) * sum (k_i - r u_i)^2 / (sum u)^2

    and a share r of N independent clips has the variance r (1 - r) / N. So N = r (1 - r) / var(r):
    the units, divided by the design effect of the utterances. Where all units of a split are single
    clips, it is n - 1.

    Source: Cochran, Sampling Techniques (1977), equation 2.46, for the ratio; Kish, Survey Sampling
    (1965), section 8.2, for the design effect.

    Args:
        counts: shape (utterances,), edits of each; means over seeds, too.
        units: likewise, what was said.

    Returns:
        At least 1 and at most the units; the utterances where their rates do not differ.
    """
    utterances, total = len(counts), float(units.sum())
    rate = float(counts.sum()) / max(1.0, total)
    if utterances < 2 or not 0 < rate < 1:
        return float(max(1, utterances))
    squares = float(((counts - rate * units) ** 2).sum())
    if squares == 0:
        return float(utterances)
    variance = utterances / (utterances - 1) * squares / total**2
    return min(max(1.0, rate * (1 - rate) / variance), total)


def error_band(error: float, clips: float | None) -> Band:
    """An error in percent with its 95 % interval (Wilson); no interval where n is not known.

    Wilson's rather than error +- 1.96 standard deviations: at the few wrong clips of a good network
    that one is too narrow, reaches below 0, and has no width at all where no clip is wrong.

    Args:
        error: share of clips told wrongly, from 0 to 1.
        clips: behind it, as `clips_behind` finds them, or that it is worth (`clips_worth`).
    """
    if clips is None:
        return Band(low=100 * error, mid=100 * error, high=100 * error)
    wrong = round(error * clips) if isinstance(clips, int) else error * clips
    low, high = wilson_interval(wrong, clips)
    # Rounding may leave an end a last bit inside the error itself.
    return Band(low=100 * min(low, error), mid=100 * error, high=100 * max(high, error))


def mean_band(errors: Sequence[float], clips: float) -> Band:
    """The mean error of several seeds in percent, with its 95 % interval; from 0 to 100.

    Two things make it unsure, and both are in it: that there are few seeds, and that the split is a
    sample of clips. Their arms are squared and added, each side by itself, and clipped at the ends:

        seeds    Student's t on the logit of the mean p of n errors of spread s,
                 logit(p) +- t(0.975, n - 1) s / (sqrt(n) p (1 - p))
        clips    Wilson's interval of p of the clips

    On the logit scale an interval ends before 0 and 1, however few the seeds: t is 12.7 for two
    seeds, 4.3 for three and 2.8 for five. Errors of 0 have no spread, and then the clips alone say
    how sure that is. With one seed the spread is not known, and the clips alone count, too.

    Args:
        errors: one a seed, shares of clips.
        clips: of the split.
    """
    mean = statistics.fmean(errors)
    low, high = wilson_interval(mean * clips, clips)
    down, up = _seed_arms(errors, mean)
    below = min(mean, math.hypot(mean - low, down))
    above = min(1 - mean, math.hypot(high - mean, up))
    # Rounding may leave an end a last bit outside, or inside the mean itself.
    mid = 100 * mean
    low, high = 100 * (mean - below), 100 * (mean + above)
    return Band(low=max(0.0, min(low, mid)), mid=mid, high=min(100.0, max(high, mid)))


def _seed_arms(errors: Sequence[float], mean: float) -> tuple[float, float]:
    """How far the interval over seeds reaches below and above the mean; 0 where none is known."""
    if len(errors) < 2 or not 0 < mean < 1:
        return 0.0, 0.0
    from scipy.stats import t as student_t  # slow to load

    t = float(student_t.ppf(0.975, len(errors) - 1))
    half = t * statistics.stdev(errors) / (math.sqrt(len(errors)) * mean * (1 - mean))
    logit = math.log(mean / (1 - mean))
    ends = (1 / (1 + math.exp(-end)) for end in (max(logit - half, -700), min(logit + half, 700)))
    low, high = ends
    return mean - low, high - mean


def difference_band(
    error: float, other: float, clips: float, other_clips: float | None = None
) -> Band:
    """`error` less `other` in percent points with its 95 % interval, each told on `clips` clips.

    As if they were different clips: designs judged on the same clips differ more surely than this.

        below = hypot(error - its low end, the other's high end - other)        above likewise

    Each side takes the arm of the two intervals that points to it, so the band is lopsided where
    they are. It holds 0 where the two errors may be the same.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10, from Wilson's intervals.

    Args:
        error: a share, from 0 to 1.
        other: likewise.
        clips: behind `error`.
        other_clips: behind `other`; as many where it is None.
    """
    first = error_band(error, clips)
    second = error_band(other, clips if other_clips is None else other_clips)
    difference = first.mid - second.mid
    below = math.hypot(first.mid - first.low, second.high - second.mid)
    above = math.hypot(first.high - first.mid, second.mid - second.low)
    return Band(low=difference - below, mid=difference, high=difference + above)
