"""What it would save to end trainings that cannot reach the frontier, and what it would lose.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/early_stopping.py --seeds 10

On a table of real trainings (`benchmarks/strategies.py`) the known-cost sampler searches, and every
training is complete. Then the same trainings are looked at again, in the same order, with a rule:

    at some epochs, the chance that this training ends below the error that it would have to beat
    is computed; below `--chance` it ends there

The error to beat is the least of all complete trainings that cost no more. The end of a training is
foretold by the earlier ones: the logits of their last errors lie below those of the same epoch by a
mean and a deviation, and the chance is that of Student's distribution with as many of them. So
nothing is learnt but from the study itself, and nothing ends before six trainings are complete.

Printed are the epochs spent, of those of all trainings, and the share of the hypervolume of the
whole table that is lost with the trainings that ended early. What the sampler would have proposed
otherwise is left out, which makes the rule look better than it is: with fewer complete trainings
the model of errors has less to learn from (`--in-the-loop` searches with it).
"""

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from scipy.stats import t as student
from strategies import SURFACES, Surface, at, play, surface

from dse.studies.rungs import Ladder
from search.candidates import identify
from search.known_cost import KnownCostSampler
from search.samplers import SamplerOfTrial
from search.suggest import suggest

TRAININGS = 40
COMPLETE_FIRST = 6
LEAST_DEVIATION = 0.02
"""Of the logit's fall: six trainings may agree by luck."""


def order_of(found: Surface, seed: int) -> list[Any]:
    """The designs that the known-cost sampler trains, in its order."""
    study = optuna.create_study(directions=["minimize"] * len(found.aim.objectives))
    sampler = KnownCostSampler(found.pool, found.aim, seed=seed)
    trained: list[Any] = []
    repeated = False
    while len(trained) < min(TRAININGS, len(found.curves)):
        number = len(study.get_trials(deepcopy=False))
        study.sampler = SamplerOfTrial("random", 0, number) if repeated else sampler
        trial = study.ask()
        key = identify(suggest(trial, found.space))
        repeated = key in trained
        if key not in found.curves:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        if not repeated:
            trained.append(key)
        study.tell(trial, found.raw(found.point(key, found.epochs)))
    return trained


def logit(error: float) -> float:
    """Of an error, a thousandth away from 0 and 1: ln (e / (1 - e))."""
    return math.log((error + 1e-3) / (1 - error + 1e-3))


def chance_to_matter(error: float, to_beat: float, earlier: Sequence[tuple[float, float]]) -> float:
    """The chance that a training ends below an error.

        z = (logit(to_beat) - logit(error) - mean) / (deviation sqrt(1 + 1 / n))

    Args:
        error: at this epoch.
        to_beat: at its end.
        earlier: errors of n complete trainings, at this epoch and at their end.
    """
    falls = [logit(last) - logit(then) for then, last in earlier]
    deviation = max(statistics.stdev(falls), LEAST_DEVIATION)
    z = (logit(to_beat) - logit(error) - statistics.mean(falls)) / deviation
    return float(student.cdf(z / math.sqrt(1 + 1 / len(falls)), len(falls) - 1))


def may_matter(
    here: tuple[float, ...],
    complete: Sequence[tuple[float, ...]],
    earlier: Sequence[tuple[float, float]],
    chance: float,
) -> bool:
    """Whether a training may go on.

    Args:
        here: its error at this epoch, and its costs.
        complete: errors and costs of the trainings that are complete.
        earlier: errors of those, at this epoch and at their end.
        chance: below which it ends.
    """
    to_beat = [
        error
        for error, *costs in complete
        if all(cost <= mine for cost, mine in zip(costs, here[1:], strict=True))
    ]
    if len(complete) < COMPLETE_FIRST or not to_beat:
        return True
    return chance_to_matter(here[0], min(to_beat), earlier) >= chance


def replay(
    found: Surface, order: Sequence[Any], looks: Sequence[int], chance: float
) -> tuple[float, float]:
    """Share of the epochs spent, and share of the table's hypervolume lost."""
    complete: dict[Any, tuple[float, ...]] = {}
    spent = 0
    for key in order:
        ends = found.epochs
        for epoch in looks:
            earlier = [(found.point(one, epoch)[0], last[0]) for one, last in complete.items()]
            if not may_matter(found.point(key, epoch), [*complete.values()], earlier, chance):
                ends = epoch
                break
        spent += ends
        if ends == found.epochs:
            complete[key] = found.point(key, ends)
    whole = found.share([found.point(key, found.epochs) for key in order])
    return spent / (found.epochs * len(order)), whole - found.share(list(complete.values()))


@dataclass(slots=True)
class Foretold(Ladder):
    """A ladder whose rungs let pass whatever may still reach the frontier, and nothing else."""

    chance: float = 0.01

    def promote(self) -> tuple[int, int] | None:
        """As `Ladder.promote`, by the rule above."""
        for rung in reversed(range(len(self.levels) - 1)):
            for trial, here in self.reached[rung].items():
                if trial not in self.promoted[rung] and self._may_matter(rung, here):
                    self.promoted[rung].add(trial)
                    return trial, self.levels[rung + 1]
        return None

    def _may_matter(self, rung: int, here: tuple[float, ...]) -> bool:
        complete = self.reached[-1]
        earlier = [(self.reached[rung][one][0], last[0]) for one, last in complete.items()]
        return may_matter(here, list(complete.values()), earlier, self.chance)


def looks_of(epochs: int) -> tuple[int, ...]:
    """Epochs at which a training is looked at: a third, a half, two thirds, five sixths of all."""
    return tuple(round(epochs * sixths / 6) for sixths in (2, 3, 4, 5))


def search_with(found: Surface, chance: float, seeds: range) -> None:
    """The sampler with and without the rule, for the same number of epochs."""
    marks = (15, 25, TRAININGS)
    levels = (*looks_of(found.epochs), found.epochs)
    for rule in (False, True):
        tracks = []
        for seed in seeds:
            sampler = KnownCostSampler(found.pool, found.aim, seed=seed)
            ladder = Foretold(levels, 2, [{} for _ in levels], [set() for _ in levels], chance)
            tracks.append(
                play(
                    found,
                    lambda _, sampler=sampler: sampler,
                    TRAININGS * found.epochs,
                    ladder=ladder if rule else None,
                )
            )
        cells = []
        for mark in marks:
            share = np.median([at(track, 0, mark * found.epochs) for track in tracks])
            cells.append(f"{share:.4f} at {mark}")
        complete = np.median([track[-1][1] for track in tracks])
        name = f"chance {chance:g}" if rule else "all complete"
        print(f"{name:14s} {'  '.join(cells)}   complete trainings: {complete:.0f}")


def main() -> None:
    """Look again, or search, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=SURFACES, default="commands")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--in-the-loop", type=float, metavar="CHANCE", help="search with the rule")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = surface(of=options.of)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    if options.in_the_loop is not None:
        search_with(found, options.in_the_loop, seeds)
        return
    orders = [order_of(found, seed) for seed in seeds]
    print(f"{len(orders[0])} trainings of {found.epochs} epochs, mean of {len(seeds)} seeds")
    print("chance below   epochs spent   hypervolume lost (most)")
    for chance in (0.01, 0.05, 0.1, 0.2):
        rows = np.array([replay(found, order, looks_of(found.epochs), chance) for order in orders])
        spent, lost = rows.mean(axis=0)
        print(f"{chance:12g}   {spent:12.1%}   {lost:.4f} ({rows[:, 1].max():.4f})")


if __name__ == "__main__":
    main()
