"""Compare search strategies on a table of real trainings: hypervolume against trainings and epochs.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/search.py --seeds 10 --out search.json

The table (benchmarks/surface/curves.csv, made by benchmarks/surface.py) has the validation error
of every design of a small space after every epoch. A strategy asks for designs; "training" one is
a look into the table, costs are the cost model's. All strategies play by the rules of `dse search`:
designs over the limits are not trained, a repeated design costs nothing and is followed by a random
one. docs/search.md has results.
"""

import sys

sys.path.pop(0)  # this folder, whose search.py is not the package that is imported below

import csv
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from cost_models import load_accelerator, load_technology
from dse.frontier import hypervolume
from dse.space import SearchSpace, Values
from dse.sweep import Machine, Sweep
from search.candidates import Pool, identity
from search.known_cost import ERROR, LENGTH, Aim, KnownCostSampler
from search.rungs import Ladder, Rungs
from search.study_file import read_study
from search.suggest import suggest

FOLDER = Path(__file__).parent / "surface"
MARKS = (15, 25, 40, 60, 90)
"""Numbers of trainings at which hypervolumes are compared."""


@dataclass(frozen=True)
class Surface:
    """All that there is to know of the tabulated space."""

    space: SearchSpace
    pool: Pool
    aim: Aim
    curves: dict[Any, list[float]]
    """Design -> validation error after each epoch."""

    @property
    def epochs(self) -> int:
        """Of a full training."""
        return len(next(iter(self.curves.values())))

    def raw(self, point: tuple[float, ...]) -> list[float]:
        """What Optuna is told: error, and costs as they are."""
        costs = []
        for scaled, name in zip(point[1:], self.aim.costs, strict=True):
            best, worst = self.aim.box[name]
            costs.append(10 ** (scaled * (worst - best) + best))
        return [point[0], *costs]

    def share(self, points: list[tuple[float, ...]]) -> float:
        """Of the hypervolume of the whole table."""
        return self.volume(points) / self.whole

    def volume(self, points: list[tuple[float, ...]]) -> float:
        """Error and scaled costs -> hypervolume."""
        return hypervolume(np.array(points), np.ones(len(points[0]))) if points else 0.0

    @property
    def whole(self) -> float:
        """Hypervolume of all designs of the table."""
        return self.volume([self.point(key, self.epochs) for key in self.curves])

    def point(self, key: Any, epochs: int) -> tuple[float, ...]:
        """Error after so many epochs, and costs on the scale of the box."""
        return (min(self.curves[key][:epochs]), *self.costs[key])

    costs: dict[Any, tuple[float, ...]] = field(default_factory=dict)


def surface(objectives: tuple[str, ...] = ("error", "energy_pj")) -> Surface:
    """Read the table and price its designs."""
    spec = read_study(FOLDER / "space.yaml")
    axes = [choice for choice in spec.space.choices if len(choice.values) > 1]
    fixed = {c.name: c.values[0] for c in spec.space.choices if len(c.values) == 1}
    designs, curves = [], {}
    with (FOLDER / "curves.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values: Values = dict(fixed)
            for choice in axes:
                if row[choice.name]:
                    values[choice.name] = next(
                        v for v in choice.values if str(v) == row[choice.name]
                    )
            values = spec.space.walk(lambda choice, v=values: v[choice.name])
            designs.append(values)
            names = sorted((n for n in row if n.startswith("error_")), key=lambda n: int(n[6:]))
            curves[identity(values)] = [float(row[name]) for name in names]
    machine = Machine(load_accelerator("kws_ternary"), load_technology("low_leakage_45nm"))
    sweep = Sweep(spec.space, (machine,), frames=spec.features.frames, outputs=11)
    pool = Pool(sweep)
    pool._whole = pool.price(designs)  # a table that is not whole yet is the space
    box = {"error": [0.0, 1.0]}
    for name in objectives[1:]:
        logs = np.log10(pool._whole.columns[name])
        box[name] = [float(logs.min()), float(logs.max())]
    aim = Aim(objectives, "error", box)
    scaled = aim.scaled_costs(pool._whole.columns)
    costs = {
        identity(values): tuple(row)
        for values, row in zip(pool._whole.values, scaled.tolist(), strict=True)
    }
    curves = {key: curve for key, curve in curves.items() if key in costs}
    return Surface(spec.space, pool, aim, curves, costs)


def play(
    found: Surface,
    make: Callable[[int], Any],
    epochs: int,
    rungs: Rungs | None = None,
    tell_partial: bool = True,
    by_model: bool = False,
) -> list[tuple[int, int, float]]:
    """Search until so many epochs are spent.

    Returns:
        After each training step: epochs spent, full trainings done, share of the hypervolume.
    """
    study = optuna.create_study(directions=["minimize"] * len(found.aim.objectives))
    trials: dict[int, tuple[optuna.Trial, Any, int]] = {}
    trained: dict[Any, tuple[float, ...]] = {}
    ladder = Ladder.of(rungs, found.epochs) if rungs else None
    spent, track, repeated, misses = 0, [], False, 0
    while spent < epochs and misses < 500:
        if ladder and by_model:
            number = len(study.get_trials(deepcopy=False))
            stopped = [n for n, (_, k, u) in trials.items() if u < found.epochs]
            chosen = make(number).go_on(study.get_trials(deepcopy=False), stopped, number)
            promoted = None if chosen is None else (chosen, ladder.levels[ladder.levels.index(trials[chosen][2])+1])
        else:
            promoted = ladder.promote() if ladder else None
        if promoted is None:
            number = len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.RandomSampler(seed=number) if repeated else make(number)
            trial = study.ask()
            key = identity(suggest(trial, found.space))
            repeated = any(key == other for _, other, _ in trials.values())
            if repeated or key not in found.curves:
                misses += 1
                if key in trained:
                    study.tell(trial, found.raw(trained[key]))
                else:
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                continue
            misses = 0
            before, until = 0, ladder.levels[0] if ladder else found.epochs
        else:
            trial, key, before = trials[promoted[0]]
            until = promoted[1]
        trials[trial.number] = (trial, key, until)
        spent += until - before
        point = found.point(key, until)
        if ladder:
            ladder.record(trial.number, until, point)
        if until == found.epochs:
            trained[key] = point
            study.tell(trial, found.raw(point))
        elif tell_partial:
            trial.set_user_attr(ERROR, point[0])
            trial.set_user_attr(LENGTH, until / found.epochs)
        track.append((spent, len(trained), found.share(list(trained.values()))))
    return track


def at(track: list[tuple[int, int, float]], column: int, mark: int) -> float:
    """The share when so many epochs (column 0) or trainings (1) were spent."""
    return max((row[2] for row in track if row[column] <= mark), default=0.0)


if __name__ == "__main__":
    import sys
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    f = surface()
    print(len(f.curves), f.whole)
    N = int(sys.argv[1]); S = int(sys.argv[2])
    import time
    sampler = optuna.samplers
    def known(**k):
        return lambda seed: (lambda s: (lambda n: s))(KnownCostSampler(f.pool, f.aim, seed=seed, **k))
    methods = {
      "random": (lambda seed: (lambda n: sampler.RandomSampler(seed=seed*1000003+n)), None),
      "tpe": (lambda seed: (lambda n: sampler.TPESampler(seed=seed*1000003+n)), None),
      "nsga2": (lambda seed: (lambda n: sampler.NSGAIISampler(seed=seed*1000003+n, population_size=20)), None),
      "known": (known(), None),
      "random+r": (lambda seed: (lambda n: sampler.RandomSampler(seed=seed*1000003+n)), Rungs()),
      "tpe+r": (lambda seed: (lambda n: sampler.TPESampler(seed=seed*1000003+n)), Rungs()),
      "known+r": (known(), Rungs()),
      "known+r6": (known(), Rungs(first=6)),
      "known+m6": (known(), Rungs(first=6)),
      "known+m2": (known(), Rungs(first=2)),
    }
    for name in (sys.argv[3].split(',') if len(sys.argv)>3 else methods):
        t=time.process_time()
        runs=[play(f, methods[name][0](s), N*f.epochs, methods[name][1], by_model="+m" in name) for s in range(S)]
        print(f"{name:10s}", {m: round(float(np.median([at(r, 0, m*f.epochs) for r in runs])),4) for m in MARKS if m<=N}, f"{(time.process_time()-t)/S/N*1000:.0f} ms/training", runs[0][-1][1], flush=True)
