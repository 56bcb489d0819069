"""How well a network wakes: words missed against false alarms an hour, on a long recording.

The error of clips asks "which word is this second?"; a product asks "how often does it wake when
nobody called, and how often must I say it twice?" A network hears a stream, scores a window every
hop, and three numbers make events of its scores:

    posterior p[h] of the words that wake, one a hop        0.1 0.2 0.8 0.9 0.9 0.7 0.2 0.1
    smoothed: mean of the last W hops                       0.1 0.1 0.4 0.6 0.9 0.8 0.6 0.3   W = 3
    an event where it reaches the threshold,                              ^
    and none for R hops after that: the refractory time

An event while a word is said, or up to `grace_s` after it, finds that word; a further one there is
the same word again and counts nothing. All other events are *false alarms*; a word without an event
is a *false rejection*. Both depend on the threshold: the curve of one against the other is the
detection error tradeoff (DET, Martin et al., Eurospeech 1997), and its point at a given number of
false alarms an hour is what wake words are compared by.

Source of smoothing over a window of posteriors: Chen, Parada, Heigold, "Small-footprint keyword
spotting using deep neural networks", ICASSP 2014.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dse.errors import require

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word that shall wake, and when it is said."""

    begin_s: float
    end_s: float
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How scores become events."""

    hop_s: float
    """From one score to the next."""
    smoothed_s: float = 0.3
    """Of the mean over scores."""
    refractory_s: float = 1.0
    """After an event, in which there is no other."""
    grace_s: float = 0.75
    """After a word in which an event still is of that word: a network decides when it has heard
    it."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        require(self.hop_s > 0, "hop_s", "above 0", self.hop_s)
        for name in ("smoothed_s", "refractory_s", "grace_s"):
            value = getattr(self, name)
            require(0 <= value <= 60, name, "from 0 to 60 s", value)

    def hops(self, seconds: float) -> int:
        """As many hops as that, one at least."""
        return max(1, round(seconds / self.hop_s))


@dataclass(frozen=True, slots=True)
class Woken:
    """What comes of one threshold."""

    threshold: float
    found: int
    """Words with an event."""
    rejected: int
    """Words without."""
    alarms: int
    """Events that are of no word."""
    hours: float
    """Of the recording."""

    @property
    def rejection_rate(self) -> float:
        """Share of the words that are missed; NaN where none is said."""
        said = self.found + self.rejected
        return self.rejected / said if said else float("nan")

    @property
    def alarms_per_hour(self) -> float:
        """Events of no word in an hour."""
        return self.alarms / self.hours


def smooth(scores: Scores, hops: int) -> Scores:
    """The mean of the last `hops` scores at each hop, of fewer at the beginning: (hops,)."""
    sums = np.concatenate([[0.0], np.cumsum(scores)])
    ends = np.arange(1, len(scores) + 1)
    begins = np.maximum(0, ends - hops)
    means: Scores = (sums[ends] - sums[begins]) / (ends - begins)
    return means


def find_events(scores: Scores, threshold: float, refractory_hops: int) -> list[int]:
    """Hops at which a network wakes, the first that reach the threshold.

    Args:
        scores: (hops,), smoothed.
        threshold: that a score has to reach.
        refractory_hops: from one event to the next, at least.
    """
    events: list[int] = []
    for hop in np.flatnonzero(scores >= threshold).tolist():
        if not events or hop - events[-1] >= refractory_hops:
            events.append(hop)
    return events


def judge(
    events_s: Sequence[float],
    spoken: Sequence[Spoken],
    hours: float,
    how: Listening,
    threshold: float,
) -> Woken:
    """Which words are found by events, and how many events are of no word.

    Args:
        events_s: when the network woke, ascending.
        spoken: the words, one after the other.
        hours: of the recording.
        how: says how late an event may be.
        threshold: that the events are of.
    """
    found: set[int] = set()
    alarms = 0
    for event in events_s:
        of = [
            index
            for index, word in enumerate(spoken)
            if word.begin_s <= event <= word.end_s + how.grace_s
        ]
        found.update(of[:1])
        alarms += not of
    return Woken(threshold, len(found), len(spoken) - len(found), alarms, hours)


def trade_off(
    scores: Scores, spoken: Sequence[Spoken], how: Listening, thresholds: Sequence[float] = ()
) -> list[Woken]:
    """The curve of false rejections against false alarms, from the highest threshold down.

    Args:
        scores: (hops,), how likely a word that wakes is, the first at 0 s; not smoothed yet.
        spoken: the words.
        how: smoothing and times.
        thresholds: to look at; a hundred from the quantiles of the scores where there are none.

    Raises:
        InvalidField: there is no score.
    """
    require(len(scores) > 0, "scores", "one hop at least", len(scores))
    smoothed = smooth(scores, how.hops(how.smoothed_s))
    if not len(thresholds):
        # High quantiles are what matters: an hour has 36,000 hops of 0.1 s, and one alarm is one.
        shares = 1 - np.geomspace(1 / len(smoothed), 1, 100)
        above = np.nextafter(smoothed.max(), np.inf)  # where nothing wakes
        thresholds = [*np.unique(np.quantile(smoothed, shares)).tolist(), float(above)]
    hours = len(scores) * how.hop_s / 3600
    refractory = how.hops(how.refractory_s)
    curve = []
    for threshold in sorted(thresholds, reverse=True):
        events = find_events(smoothed, threshold, refractory)
        at = [hop * how.hop_s for hop in events]
        curve.append(judge(at, spoken, hours, how, threshold))
    return curve


def rejections_at(curve: Sequence[Woken], alarms_per_hour: float) -> Woken | None:
    """The point of the fewest rejections among those with at most so many alarms an hour.

    None where every threshold has more; of equal ones the one of fewer alarms.
    """
    quiet = [each for each in curve if each.alarms_per_hour <= alarms_per_hour]
    return min(quiet, key=lambda each: (each.rejected, each.alarms), default=None)
