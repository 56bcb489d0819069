"""Compare search strategies on a table of real trainings: hypervolume against trainings and epochs.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/search.py --seeds 10 --out search.json
    ... benchmarks/search.py --of digits --first-seed 100 --strategies tpe known_cost
    ... benchmarks/search.py --of digits --first-seed 100 --redrawn

A table (benchmarks/surface/curves.csv or one of the folders there, made by benchmarks/surface.py)
has the validation error of every design of a small space after every epoch. A strategy asks for
designs; "training" one is a look into the table, costs are the cost model's. All strategies play by
the rules of `dse search`: designs over the limits are not trained, a repeated design costs nothing
and is followed by a random one. docs/how-to/search.md has results.

One training of a design is a draw: with another seed it errs more or less. On a table of one draw
each, the frontier is of lucky designs, and to find them is luck, too. Where there are further
tables of the same designs (`curves-2.csv`, ...), `--redrawn` gives each search one of a design's
trainings, drawn with the search's seed, and judges by the mean error over all of them.
"""

import argparse
import csv
import functools
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from cost_models import load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml
from dse.design.families.family import Values
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.pareto import hypervolume
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.studies.reading import read_study
from dse.studies.rungs import Ladder, Rungs
from search.candidates import Pool, identify
from search.known_cost import EPOCHS_FRACTION, OBSERVED_ERROR, Aim, KnownCostSampler
from search.samplers import SamplerOfTrial
from search.suggest import suggest, write_parameters
from search.transfer import Experience, Hyper, Task, fit_hyper

FOLDER = Path(__file__).parent / "surface"
SURFACES = {"commands": FOLDER, "digits": FOLDER / "digits", "mixers": FOLDER / "mixers"}
"""Name -> folder of `space.yaml` and `curves.csv`, which benchmarks/surface.py makes."""
MARKS = (5, 10, 15, 25, 40, 60)
"""Numbers of trainings at which hypervolumes are compared."""

Make = Callable[[int], Any]
"""Trial number -> sampler."""
Strategy = tuple[Callable[[int], Make], Rungs | None]


@dataclass(frozen=True)
class Surface:
    """All that there is to know of the tabulated space."""

    space: SearchSpace
    pool: Pool
    aim: Aim
    name: str
    """Of the table."""
    curves: dict[Any, list[float]]
    """Design -> validation error after each epoch."""
    repeats: tuple[dict[Any, list[float]], ...] = ()
    """The same of trainings with other seeds."""
    means: dict[Any, float] | None = None
    """Design -> mean error by which it is judged; that of its curve where there are none."""

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

    @functools.cached_property
    def whole(self) -> float:
        """Hypervolume of all designs of the table."""
        return self.volume([self.judged(key) for key in self.curves])

    def judged(self, key: Any) -> tuple[float, ...]:
        """Error by which a design is judged, and costs on the scale of the box."""
        error = min(self.curves[key]) if self.means is None else self.means[key]
        return (error, *self.costs[key])

    def redrawn(self, seed: int) -> "Surface":
        """With one of each design's trainings, judged by the mean over all of them."""
        tables = (self.curves, *self.repeats)
        draws = np.random.default_rng(seed).integers(len(tables), size=len(self.curves))
        curves = {key: tables[draw][key] for key, draw in zip(self.curves, draws, strict=True)}
        means = {key: statistics.mean(min(each[key]) for each in tables) for key in self.curves}
        return replace(self, curves=curves, repeats=(), means=means)

    def point(self, key: Any, epochs: int) -> tuple[float, ...]:
        """Error after so many epochs, and costs on the scale of the box."""
        return (min(self.curves[key][:epochs]), *self.costs[key])

    costs: dict[Any, tuple[float, ...]] = field(default_factory=dict)


def surface(
    objectives: tuple[str, ...] = ("error", "energy_pj"),
    of: str = "commands",
    table: Path | None = None,
) -> Surface:
    """Read a table and price its designs.

    Args:
        objectives: error, and columns of the cost.
        of: name of the surface.
        table: another file than its own.
    """
    folder = SURFACES[of]
    spec = read_study(folder / "space.yaml")
    designs, curves = _read_curves(spec.space, table or folder / "curves.csv")
    others = [] if table else sorted(folder.glob("curves-*.csv"))
    repeats = tuple(_read_curves(spec.space, path)[1] for path in others)
    outputs = spec.task.usual_classes if of != "digits" else 10
    machine = Machine(load_accelerator("kws_ternary"), load_technology("low_leakage_45nm"))
    sweep = Sweep(spec.space, Pricing((machine,), frames=spec.features.frames, outputs=outputs))
    pool = Pool(sweep)
    pool._whole = pool.price(designs)  # a table that is not whole yet is the space
    box = {"error": [0.0, 1.0]}
    for name in objectives[1:]:
        logs = np.log10(pool._whole.columns[name])
        box[name] = [float(logs.min()), float(logs.max())]
    aim = Aim(objectives, "error", box)
    scaled = aim.scale_costs(pool._whole.columns)
    costs = {
        identify(values): tuple(row)
        for values, row in zip(pool._whole.values, scaled.tolist(), strict=True)
    }
    curves = {key: curve for key, curve in curves.items() if key in costs}
    return Surface(spec.space, pool, aim, of, curves, repeats, costs=costs)


def _read_curves(space: SearchSpace, path: Path) -> tuple[list[Values], dict[Any, list[float]]]:
    """Designs of a table, and the error of each after every epoch."""
    axes = [choice for choice in space.choices if len(choice.values) > 1]
    fixed = {c.name: c.values[0] for c in space.choices if len(c.values) == 1}
    designs, curves = [], {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values: Values = dict(fixed)
            for choice in axes:
                if row[choice.name]:
                    values[choice.name] = next(
                        v for v in choice.values if str(v) == row[choice.name]
                    )
            values = space.walk(lambda choice, v=values: v[choice.name])
            designs.append(values)
            names = sorted((n for n in row if n.startswith("error_")), key=lambda n: int(n[6:]))
            curves[identify(values)] = [float(row[name]) for name in names]
    return designs, curves


def play(
    found: Surface,
    make: Make,
    epochs: int,
    rungs: Rungs | None = None,
    ladder: Ladder | None = None,
) -> list[tuple[int, int, float]]:
    """Search until so many epochs are spent.

    Args:
        found: where.
        make: the samplers.
        epochs: of all trainings together.
        rungs: of the trainings; none where both this and `ladder` are left out.
        ladder: another one than that of the rungs.

    Returns:
        After each training step: epochs spent, full trainings done, share of the hypervolume.
    """
    study = optuna.create_study(directions=["minimize"] * len(found.aim.objectives))
    trials: dict[int, tuple[optuna.Trial, Any, int]] = {}
    trained: dict[Any, tuple[float, ...]] = {}
    if rungs is not None:
        ladder = Ladder.empty(rungs, found.epochs)
    spent, track, repeated, misses = 0, [], False, 0
    while spent < epochs and misses < 500:
        promoted = ladder.promote() if ladder else None
        if promoted is None:
            number = len(study.get_trials(deepcopy=False))
            study.sampler = SamplerOfTrial("random", 0, number) if repeated else make(number)
            trial = study.ask()
            key = identify(suggest(trial, found.space))
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
        else:
            trial.set_user_attr(OBSERVED_ERROR, point[0])
            trial.set_user_attr(EPOCHS_FRACTION, until / found.epochs)
        track.append((spent, len(trained), found.share([found.judged(key) for key in trained])))
    return track


def at(track: list[tuple[int, int, float]], column: int, mark: int) -> float:
    """The share when so many epochs (column 0) or trainings (1) were spent."""
    return max((row[2] for row in track if row[column] <= mark), default=0.0)


def strategies(found: Surface) -> dict[str, Strategy]:
    """Name -> what makes the samplers of a seed, and rungs."""

    def stock(name: str) -> Callable[[int], Make]:
        return lambda seed: lambda number: SamplerOfTrial(name, seed, number)

    def known(seed: int) -> Make:
        sampler = KnownCostSampler(found.pool, found.aim, seed=seed)
        return lambda number: sampler

    def shaped(seed: int) -> Make:
        # How alike networks err is known, and no table of trainings.
        experience = Experience((), _shared_hyper(found.name))
        sampler = KnownCostSampler(found.pool, found.aim, seed=seed, experience=experience)
        return lambda number: sampler

    def transferred(seed: int, sign: float = 1.0) -> Make:
        # A small space is looked at as a whole, and nothing is drawn at random: so that seeds tell
        # anything, each learns from other four fifths of the rows of the other tables.
        from prior import read_tasks  # which reads tables by this file

        tasks = read_tasks([found.name], seed, share=0.8)
        tasks = tuple(_turned(task, sign) for task in tasks)
        hyper = _shared_hyper(found.name)
        sampler = KnownCostSampler(
            found.pool, found.aim, seed=seed, experience=Experience(tasks, hyper)
        )
        return lambda number: sampler

    third, ninth = Rungs(first=found.epochs // 3), Rungs(first=max(1, found.epochs // 9))
    return {
        "random": (stock("random"), None),
        "tpe": (stock("tpe"), None),
        "nsga2": (stock("nsga2"), None),
        "known_cost": (known, None),
        "known_cost, transfer": (transferred, None),
        "known_cost, shape": (shaped, None),
        "known_cost, misled": (lambda seed: transferred(seed, -1.0), None),
        "random, rungs 6": (stock("random"), third),
        "tpe, rungs 6": (stock("tpe"), third),
        "known_cost, rungs 6": (known, third),
        "known_cost, rungs 2, 6": (known, ninth),
    }


def _turned(task: Task, sign: float) -> Task:
    """With -1, a table that says the opposite: what errs least is said to err most."""
    logs = np.log(task.errors)
    return Task(task.name, task.features, np.exp(logs.mean() + sign * (logs - logs.mean())))


@functools.cache
def _shared_hyper(without: str) -> Hyper:
    """Fitted to all tables but the one that is searched."""
    from prior import read_tasks

    return fit_hyper(read_tasks([without]))


def compare(
    found: Surface, names: list[str], seeds: range, *, redrawn: bool = False
) -> dict[str, Any]:
    """All strategies with all seeds; prints a table of medians and quartiles."""
    known = strategies(found)
    tracks = {}
    print(f"share of the hypervolume of all {len(found.curves)} designs, median (quartiles)")
    print("epochs as of so many full trainings  " + "".join(f"{mark:>21}" for mark in MARKS))
    for name in names or known:
        make, rungs = known[name]
        begun = time.process_time()
        tracks[name] = [
            play(
                found.redrawn(seed) if redrawn else found,
                make(seed),
                MARKS[-1] * found.epochs,
                rungs,
            )
            for seed in seeds
        ]
        cells = []
        for mark in MARKS:
            shares = [at(track, 0, mark * found.epochs) for track in tracks[name]]
            low, middle, high = np.percentile(shares, (25, 50, 75))
            cells.append(f"{middle:.4f} ({low:.3f}-{high:.3f})")
        cpu = (time.process_time() - begun) / sum(len(track) for track in tracks[name])
        print(f"{name:36s} " + "".join(f"{cell:>21}" for cell in cells) + f"  {cpu:.3f} s an ask")
    medians = {
        name: {
            mark: statistics.median(at(t, 0, mark * found.epochs) for t in runs) for mark in MARKS
        }
        for name, runs in tracks.items()
    }
    if "tpe" in tracks:
        goal = medians["tpe"][60]
        print(f"\ntrainings until TPE's median of 60 ({goal:.4f}) is reached, median of the seeds")
        for name, runs in tracks.items():
            needed = [
                next((spent for spent, _, share in run if share >= goal), math.inf) / found.epochs
                for run in runs
            ]
            print(f"{name:36s} {statistics.median(needed):6.1f}")
    return {
        "designs": len(found.curves),
        "seeds": list(seeds),
        "medians": medians,
        "tracks": tracks,
    }


def overhead(found: Surface) -> dict[int, float]:
    """CPU seconds of one proposal of a large space at so many recorded trials."""
    space = space_from_node(parse_yaml(LARGE, "space"), in_channels=40)
    sweep = Sweep(space, Pricing(found.pool.sweep.pricing.machines, frames=64, outputs=11))
    pool = Pool(sweep)
    random_of = random.Random(0)
    seconds = {}
    study = optuna.create_study(directions=["minimize"] * 2)
    trials: list[optuna.trial.FrozenTrial] = []
    for count in (100, 1_000, 10_000):
        while len(trials) < count:
            values = space.sample(random_of)
            study.enqueue_trial(write_parameters(space, values))
            trial = study.ask()
            suggest(trial, space)
            priced = pool.price([values])
            if not len(priced):
                continue
            energy = float(priced.columns["energy_pj"][0])
            study.tell(trial, [0.9 * (energy / 1e5) ** -0.3 + random_of.gauss(0, 0.01), energy])
            trials = [t for t in study.get_trials(deepcopy=False) if t.state.is_finished()]
        box = {"error": [0.0, 1.0], "energy_pj": [4.5, 7.5]}
        sampler = KnownCostSampler(pool, Aim(("error", "energy_pj"), "error", box), seed=1)
        sampler.propose(trials, count)  # the first one prices the whole pool
        begun = time.process_time()
        for ask in range(5):
            sampler.propose(trials, count + 1 + ask)
        seconds[count] = (time.process_time() - begun) / 5
        print(f"{count:>6,} trials on record: {seconds[count]:.3f} s of CPU time a proposal")
    return seconds


LARGE = """
blocks: {low: 1, high: 5}
repeats: [1, 2, 3]
channels: {low: 16, high: 96, step: 16, per_block: true}
kernel: {low: 7, high: 17, step: 2}
policy: [P0, P1, P2, P3, P4]
density: [0.0625, 0.125, 0.25, 0.5]
prologue_stride: [1, 2]
"""


def main() -> None:
    """Compare, time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--of",
        choices=[name for name in SURFACES if (SURFACES[name] / "curves.csv").exists()],
        default="commands",
        help="which table",
    )
    parser.add_argument("--objectives", nargs="+", default=["energy_pj"], help="beside the error")
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="of the strategies")
    parser.add_argument(
        "--redrawn", action="store_true", help="draw one training of each design, judge by the mean"
    )
    parser.add_argument("--no-overhead", action="store_true", help="time no proposals")
    parser.add_argument("--strategies", nargs="*", default=[], help="by name; all where none is")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = surface(("error", *options.objectives), options.of)
    if options.redrawn and not found.repeats:
        parser.error(f"--redrawn needs trainings with other seeds: {options.of} has one table")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    results = compare(found, options.strategies, seeds, redrawn=options.redrawn)
    if not options.no_overhead:
        print()
        results["overhead_s"] = overhead(found)
    if options.out is not None:
        options.out.write_text(json.dumps(results) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
