"""How often a spotter wakes wrongly, and how often it sleeps through, on long recordings.

An error counts clips that are told wrongly. A product listens to hours in which nobody says its
word, and what is asked of it is: at one false alarm in so many hours, how many words are missed?

    scores of hops    -> smoothed: the mean of the last few       (`smooth`)
    smoothed          -> alarms: at a threshold or above          (`find_alarms`)
                         for a while after an alarm, no other: one word is one alarm
    alarms, words     -> hits, misses, false alarms               (`judge`)

    threshold   high                                    low
    rejections  many words missed                       few
    alarms      hardly any                              many an hour

One threshold is one point; all of them are the curve of detection error trade-off, the DET curve of
G. Chen, C. Parada and G. Heigold (Small-footprint keyword spotting using deep neural networks,
ICASSP 2014), who smooth posteriors likewise: false rejections against false alarms an hour.

An alarm hits a word where it comes between the beginning of the word and `late_hops` after its end:
a network answers when it has heard enough, and smoothing adds to that. Of several alarms for one
word the first is the hit, and the others are false: a device that wakes twice has woken wrongly
once. An alarm that hits no word is false.

Pure arithmetic on scores: `dse wake` has them from a network on clips laid end to end
(`dse.training.spotting`, `dse.speech.long_recordings`), whoever has others comes here, too.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dse.errors import require

Scores = npt.NDArray[np.float64]

GRACE_S = 0.75
"""After a word, in which waking is still of that word: a network answers when it has heard it."""


class Spoken(NamedTuple):
    """A word in a recording, by hops."""

    first: int
    """Hop in which it begins."""
    last: int
    """Hop in which it ends."""


class Timing(NamedTuple):
    """How scores follow each other, and how long what lasts, in seconds."""

    hop_s: float
    """From one score to the next."""
    window_s: float
    """That a score is of: it is told when its window is over."""
    smoothed_s: float
    """Scores are averaged over so long."""
    refractory_s: float
    """After an alarm there is no other for so long."""

    @property
    def smoothing_hops(self) -> int:
        """Of `smooth`."""
        return max(1, round(self.smoothed_s / self.hop_s))

    @property
    def pause_hops(self) -> int:
        """Of `find_alarms`."""
        return max(0, round(self.refractory_s / self.hop_s) - 1)

    @property
    def late_hops(self) -> int:
        """Of `judge`."""
        return round(GRACE_S / self.hop_s)

    def place(self, spoken: Iterable[tuple[float, float]]) -> list[Spoken]:
        """Words that begin and end at these seconds, by hops.

        Score i is told at window_s + i hop_s, so a word from b to e is answered by the scores from
        ceil((b - window_s) / hop_s) to floor((e - window_s) / hop_s).
        """
        return [
            Spoken(
                max(0, math.ceil((begin - self.window_s) / self.hop_s)),
                math.floor((end - self.window_s) / self.hop_s),
            )
            for begin, end in spoken
        ]


class Judged(NamedTuple):
    """What alarms came to on a recording."""

    hits: int
    misses: int
    """Words without an alarm."""
    false_alarms: int


class DetectionTradeOff(NamedTuple):
    """Points of a DET curve, thresholds falling; all of shape (points,)."""

    thresholds: Scores
    false_rejections: Scores
    """Share of the words that were missed."""
    false_alarms_per_hour: Scores


def smooth(scores: npt.ArrayLike, hops: int) -> Scores:
    """The mean of the last `hops` scores of each hop; of those that there are, at the beginning.

        smoothed[t] = mean of scores[max(0, t - hops + 1) .. t]

    Args:
        scores: of one word, hop after hop, shape (n,).
        hops: over how many; 1 leaves scores as they are.

    Raises:
        InvalidInput: `hops` is below 1, or a score is not finite.
    """
    require(hops >= 1, "hops", "at least 1", hops)
    raw = _scores(scores)
    # Window by window: sums from the beginning on would carry their rounding through all hours.
    total = np.zeros(len(raw))
    for back in range(min(hops, len(raw))):
        total[back:] += raw[: len(raw) - back]
    found: Scores = total / np.minimum(np.arange(1, len(raw) + 1), hops)
    return found


def find_alarms(scores: npt.ArrayLike, threshold: float, pause_hops: int) -> list[int]:
    """Hops in which a spotter wakes: at the threshold or above, and not in the pause after one.

    Args:
        scores: smoothed, shape (n,).
        threshold: from which on it wakes.
        pause_hops: after an alarm in hop t, the next can come in hop t + 1 + `pause_hops`.

    Raises:
        InvalidInput: the pause is below 0, or a score is not finite.
    """
    require(pause_hops >= 0, "pause_hops", "at least 0", pause_hops)
    above = np.flatnonzero(_scores(scores) >= threshold)
    alarms: list[int] = []
    place = 0
    while place < len(above):
        alarms.append(int(above[place]))
        place = int(np.searchsorted(above, alarms[-1] + pause_hops + 1))
    return alarms


def judge(alarms: Sequence[int], words: Sequence[Spoken], late_hops: int) -> Judged:
    """Hits, misses and false alarms; each alarm hits at most one word, the earliest that is open.

    Args:
        alarms: hops, rising.
        words: in their order; they may touch, and not overlap.
        late_hops: so long after its end a word can still be answered.

    Raises:
        InvalidInput: words overlap, or end before they begin.
    """
    hit = find_hits(alarms, words, late_hops)
    hits = sum(hit)
    return Judged(hits, len(words) - hits, len(alarms) - hits)


def find_hits(alarms: Sequence[int], words: Sequence[Spoken], late_hops: int) -> list[bool]:
    """Whether each word was hit by an alarm; arguments and errors as of `judge`."""
    require(late_hops >= 0, "late_hops", "at least 0", late_hops)
    before = -1
    for word in words:
        require(
            before < word.first <= word.last,
            "words",
            "in their order, without overlap, and end after they begin",
            tuple(word),
        )
        before = word.last
    hit = [False] * len(words)
    open_from = 0  # the words before it are over for this alarm, and so for all later ones
    for alarm in alarms:
        while open_from < len(words) and words[open_from].last + late_hops < alarm:
            open_from += 1
        place = open_from
        while place < len(words) and words[place].first <= alarm:
            if not hit[place]:
                hit[place] = True
                break
            place += 1
    return hit


def detection_trade_off(
    recordings: Sequence[tuple[npt.ArrayLike, Sequence[Spoken]]],
    *,
    hops_per_second: float,
    smoothing_hops: int,
    pause_hops: int,
    late_hops: int,
    points: int = 200,
) -> DetectionTradeOff:
    """The DET curve over recordings, counted at thresholds that are met in the smoothed scores.

    Words are counted over all recordings together, and so are hours: a recording without a word
    counts for false alarms alone.

    Args:
        recordings: scores of one word hop after hop, and where it is said.
        hops_per_second: of the scores.
        smoothing_hops: of `smooth`.
        pause_hops: of `find_alarms`.
        late_hops: of `judge`.
        points: at most so many thresholds, quantiles of the scores, the closer to each other the
            higher they are: an hour has 36,000 hops of 0.1 s, and one alarm is one.

    Raises:
        InvalidInput: there is no hop, or no word, or an argument is out of range.
    """
    require(hops_per_second > 0, "hops_per_second", "above 0", hops_per_second)
    require(points >= 2, "points", "at least 2", points)
    smoothed = [(smooth(scores, smoothing_hops), words) for scores, words in recordings]
    hops = sum(len(scores) for scores, _ in smoothed)
    said = sum(len(words) for _, words in smoothed)
    require(hops > 0, "recordings", "of one hop at least", hops)
    require(said > 0, "recordings", "with one word at least", said)
    met = np.unique(np.concatenate([scores for scores, _ in smoothed]))[::-1]
    if len(met) > points:
        met = met[np.unique(np.geomspace(1, len(met), points).round().astype(np.int64)) - 1]
    hours = hops / hops_per_second / 3600
    missed, false_alarms = np.zeros(len(met)), np.zeros(len(met))
    for at, threshold in enumerate(met.tolist()):
        for scores, words in smoothed:
            found = judge(find_alarms(scores, threshold, pause_hops), words, late_hops)
            missed[at] += found.misses
            false_alarms[at] += found.false_alarms
    return DetectionTradeOff(met, missed / said, false_alarms / hours)


def false_rejections_at(curve: DetectionTradeOff, false_alarms_per_hour: float) -> float:
    """The least share of words missed at so many false alarms an hour at most; 1 where none keeps.

    A threshold above all scores wakes never, and misses all: so there is always an answer.

    Args:
        curve: of `detection_trade_off`.
        false_alarms_per_hour: that a product allows, such as 1 in 10 hours.

    Raises:
        InvalidInput: it is below 0.
    """
    kept = _kept(curve, false_alarms_per_hour)
    return float(curve.false_rejections[kept].min()) if kept.any() else 1.0


def threshold_at(curve: DetectionTradeOff, false_alarms_per_hour: float) -> float:
    """The threshold that `false_rejections_at` is of: of equal ones the one of fewest false alarms.

    Infinite where none keeps the rate: such a spotter never wakes.
    """
    kept = np.flatnonzero(_kept(curve, false_alarms_per_hour))
    if not len(kept):
        return float("inf")
    missed, alarms = curve.false_rejections[kept], curve.false_alarms_per_hour[kept]
    return float(curve.thresholds[kept[np.lexsort((alarms, missed))[0]]])


def _kept(curve: DetectionTradeOff, false_alarms_per_hour: float) -> npt.NDArray[np.bool_]:
    require(
        false_alarms_per_hour >= 0, "false_alarms_per_hour", "at least 0", false_alarms_per_hour
    )
    kept: npt.NDArray[np.bool_] = curve.false_alarms_per_hour <= false_alarms_per_hour
    return kept


def _scores(scores: npt.ArrayLike) -> Scores:
    found = np.asarray(scores, dtype=np.float64)
    require(found.ndim == 1, "scores", "a number a hop", found.shape)
    require(bool(np.isfinite(found).all()), "scores", "finite numbers", "others")
    return found
