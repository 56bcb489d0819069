"""Rungs: train many designs a little, and only those that may matter to the end.

Asynchronous successive halving (Li et al., MLSys 2020) for several objectives. A design that has
reached a rung goes on if it is among the best 1/factor of those that reached it, by non-dominated
rank - and always if it is on that rung's frontier. Ranking by error alone would end all cheap
designs, whose error is never the lowest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.errors import require
from dse.pareto import pareto_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Rungs:
    """The `rungs` section of a study file."""

    first: int = 2
    """Epochs at which a training is first looked at."""
    factor: int = 3
    """Each rung has so many times the epochs of the one below, and lets 1/factor of them pass."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        require(self.first >= 1, "first", "at least 1", self.first)
        require(self.factor >= 2, "factor", "at least 2", self.factor)

    def levels(self, epochs: int) -> tuple[int, ...]:
        """Epochs of all rungs; the last is the full training."""
        levels = []
        level = self.first
        while level * self.factor <= epochs:
            levels.append(level)
            level *= self.factor
        return (*levels, epochs)


@dataclass(slots=True)
class Ladder:
    """Where the designs of a study stand."""

    levels: tuple[int, ...]
    factor: int
    reached: list[dict[int, tuple[float, ...]]]
    """Per rung: trial -> its objectives there."""
    left: list[set[int]]
    """Per rung: trials that went on from it."""

    @classmethod
    def of(cls, rungs: Rungs, epochs: int) -> "Ladder":
        """An empty one."""
        levels = rungs.levels(epochs)
        return cls(levels, rungs.factor, [{} for _ in levels], [set() for _ in levels])

    def record(self, trial: int, epochs: int, objectives: Sequence[float]) -> None:
        """A design has reached the rung of so many epochs."""
        rung = self.levels.index(epochs)
        self.reached[rung][trial] = tuple(objectives)
        for below in range(rung):
            self.left[below].add(trial)

    def promote(self) -> tuple[int, int] | None:
        """A trial that may go on, and to how many epochs; None where all wait for company.

        The highest rung is looked at first: what is nearly done is finished.
        """
        for rung in reversed(range(len(self.levels) - 1)):
            for trial in best_of(self.reached[rung], self.factor):
                if trial not in self.left[rung]:
                    self.left[rung].add(trial)
                    return trial, self.levels[rung + 1]
        return None


def best_of(reached: Mapping[int, tuple[float, ...]], factor: int) -> list[int]:
    """The trials of a rung that may go on, best first: its frontier, and 1/factor of all.

    Args:
        reached: trial -> objectives, all minimised.
        factor: of the rungs.
    """
    # One or two designs are always their own frontier: nothing is known of them yet.
    if len(reached) < factor:
        return []
    trials = list(reached)
    ranks = non_dominated_ranks(np.array([reached[trial] for trial in trials]))
    count = max(int((ranks == 0).sum()), len(trials) // factor)
    order = sorted(range(len(trials)), key=lambda i: (ranks[i], reached[trials[i]], trials[i]))
    return [trials[index] for index in order[:count]]


def non_dominated_ranks(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """0 for the frontier, 1 for the frontier of the rest, and so on; shape (n,)."""
    ranks = np.full(len(points), -1)
    rank = 0
    while (ranks < 0).any():
        left = np.flatnonzero(ranks < 0)
        front = pareto_mask(points[left])
        if not front.any():  # only NaN is left
            ranks[left] = rank
            break
        ranks[left[front]] = rank
        rank += 1
    return ranks
