"""What a network got right and wrong on a split, and how sure that is. No torch.

An error of 5 % on 400 clips is 20 clips: its 95 % interval is about 3.3 % to 7.6 %, and a design
with 4.5 % is not shown to be better. So each error has its counts with it, and `wilson_interval`
says what they leave open.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """A network on one split: counts, from which all shares follow."""

    loss: float
    """Mean cross-entropy in nats, without label smoothing and class weights."""
    confusion: NDArray[np.int64]
    """(classes, classes): clips of class [row] that the network took for class [column]."""
    wrong: NDArray[np.bool_] | None = None
    """(clips,): whether each was told wrongly, where somebody asked for it."""

    @property
    def clips(self) -> int:
        """Clips in the split."""
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        """Clips told wrongly."""
        return self.clips - int(np.trace(self.confusion))

    @property
    def error(self) -> float:
        """Share of clips told wrongly."""
        return self.errors / self.clips

    def worst_pairs(self, count: int) -> list[tuple[int, int, int]]:
        """The `count` most frequent mistakes: (true class, taken for, clips), most frequent first.

        Equal counts come in the order of the classes.
        """
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        rows, columns = np.unravel_index(order, wrong.shape)
        return [
            (int(row), int(column), int(wrong[row, column]))
            for row, column in zip(rows, columns, strict=True)
            if wrong[row, column]
        ]


def wilson_interval(successes: float, total: float) -> tuple[float, float]:
    """The 95 % interval of a share that `successes` of `total` independent trials leave open.

        z = 1.96, the quantile of the normal distribution that leaves out 2.5 % on each side,
        (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Unlike p -+ z sqrt(p (1 - p) / n) it is right for few trials and for shares near 0 or 1: with no
    error among n clips it does not say that there never is one. It stays within [0, 1]. It holds
    for one share; two networks on the same clips are not independent, and their difference is
    often surer than their intervals suggest.

    Args:
        successes: 0 to `total`; a mean of several counts need not be whole.
        total: at least 1; that which a sample is worth need not be whole, either.

    Returns:
        Lower and upper end, shares from 0 to 1.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
    """
    z = 1.959964
    share = successes / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
