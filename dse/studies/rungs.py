"""Rungs: train many designs a little, and train on only those that may matter in the end.

    epochs of a rung    first, first * factor, first * factor^2, ..., all

    epochs  2   o o o o o o o o o o o o     12 designs, 24 epochs
    epochs  6   o     o   o     o           4 of them go on: 16 epochs more
    epochs 18         o                     1 of those: 12 epochs more, its training is complete

Twelve full trainings would take 216 epochs, these take 52. It works as far as designs that are
better after a few epochs are better in the end, which a short look can only suggest: hence the
factor, and hence the error at a rung is told to the sampler as what it is, an error after so many
epochs.

This is asynchronous successive halving (Li et al., MLSys 2020): a design is promoted as soon as it
is among the best 1/factor of those that have reached its rung *so far*. Nobody waits until a rung
is full, so no worker idles; the price is that an early design may be promoted that would not have
been among the best of many.

Our objectives are several, so "best" is by non-dominated rank: the frontier of a rung first, then
the frontier of the rest, and so on; and all of a rung's frontier goes on, be it more than 1/factor.
Ranking by error alone would end all cheap designs, whose error is never the lowest, and leave of
the frontier only its expensive end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from cost_models.allowed import Allowed, check_fields
from dse.pareto import rank_by_dominance


@dataclass(frozen=True, slots=True, kw_only=True)
class Rungs:
    """The `rungs` section of a study file."""

    first: Annotated[int, Allowed(ge=1, le=10**9)] = 2
    """Epochs at which a training is first looked at."""
    factor: Annotated[int, Allowed(ge=2, le=10**9)] = 3
    """Each rung has so many times the epochs of the one below, and lets 1/factor of them pass."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_fields(self)

    def levels(self, epochs: int) -> tuple[int, ...]:
        """Epochs of all rungs, ascending; the last is the full training.

        With first 2 and factor 3: 2, 6, 18 of 18 epochs; 2, 6, 20 of 20. The rung below the last is
        at most a `factor`-th of it, so that each promotion buys a training that is worth waiting
        for; where not even two rungs fit, only the full training is left.

        Args:
            epochs: of a full training.
        """
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
    promoted: list[set[int]]
    """Per rung: trials that went on from it."""

    @classmethod
    def empty(cls, rungs: Rungs, epochs: int) -> "Ladder":
        """A ladder on which nobody stands yet, for trainings of so many epochs."""
        levels = rungs.levels(epochs)
        return cls(levels, rungs.factor, [{} for _ in levels], [set() for _ in levels])

    def record(self, trial: int, epochs: int, objectives: Sequence[float]) -> None:
        """A design has reached the rung of so many epochs.

        Args:
            trial: its number.
            epochs: one of `levels`.
            objectives: its columns there, all minimised, the error as it is after these epochs.

        Raises:
            ValueError: there is no rung of so many epochs.
        """
        rung = self.levels.index(epochs)
        self.reached[rung][trial] = tuple(objectives)
        # It has passed the rungs below, also where a study is read from its rows, of which the last
        # alone may be left.
        for below in range(rung):
            self.promoted[below].add(trial)

    def promote(self) -> tuple[int, int] | None:
        """A trial that may go on, and to how many epochs; None where all wait for company.

        The highest rung is looked at first: what is nearly done is finished. The trial counts as
        promoted from now on, so that the next worker to ask gets another one. Who is among the best
        is decided anew at each call: whoever was not, may be, once others have arrived.
        """
        for rung in reversed(range(len(self.levels) - 1)):
            for trial in choose_promoted(self.reached[rung], self.factor):
                if trial not in self.promoted[rung]:
                    self.promoted[rung].add(trial)
                    return trial, self.levels[rung + 1]
        return None


def choose_promoted(reached: Mapping[int, tuple[float, ...]], factor: int) -> list[int]:
    """The trials of a rung that may go on, best first: its frontier, and 1/factor of all.

    Args:
        reached: trial -> objectives, all minimised.
        factor: of the rungs.
    """
    # One or two designs are nearly always their own frontier: nothing is known of them yet.
    if len(reached) < factor:
        return []
    trials = list(reached)
    ranks = rank_by_dominance(np.array([reached[trial] for trial in trials]))
    count = max(int((ranks == 0).sum()), len(trials) // factor)
    # Within a rank by the objectives in their order (error first, as a rule), then by trial: the
    # same on every run.
    order = sorted(range(len(trials)), key=lambda i: (ranks[i], reached[trials[i]], trials[i]))
    return [trials[index] for index in order[:count]]
