"""Designs that a sampler may propose: drawn at random or near good ones, priced, and described.

Everything here is known without training, so a design that breaks a limit is never proposed.

A pool for one proposal has two parts:

    random     48 batches of 32 designs. A batch depends on the seed and its number alone, and trial
               n sees batches n to n + 47: the next one drops a batch and adds one, so that pricing
               is paid for 32 designs a trial, not for 1,536.
    near       128 changes of designs of the frontier, one to three axes each: improvements are
               often near what is good, where random designs of a large space hardly ever are.

A space of at most `ENUMERATED` designs is its own pool. Where limits leave so little of a space
that a pool has fewer than `ENOUGH` designs, changes of the designs nearest to the limits fill it
up.

All randomness is seeded by (seed, purpose, number), never by a generator that is passed on: what is
drawn for trial n does not depend on how often the study was stopped before.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.design.families.family import Value, Values
from dse.design.space import Choice, SearchSpace
from dse.pricing.sweep import Sweep
from search.improvement import Floats

_OnMachine = tuple[dict[str, Floats], npt.NDArray[np.bool_]]
"""Costs of designs on a machine, each of shape (n,), and whether they are feasible there."""

Identity = frozenset[tuple[str, Value]]
"""An assignment as something that sets can hold."""

COST_FEATURES = (
    "trained_parameters",
    "generated_weights",
    "macs",
    "additions",
    "energy_pj",
    "latency_cycles",
)
"""Costs that say something about error, too: they are features of its model, as logarithms."""

ENUMERATED = 20_000
"""A space of at most so many designs is a pool as a whole."""

SCALE_SAMPLE = 300
"""Random designs from which the scales of the cost features are taken."""

BATCH, BATCHES = 32, 48
"""Random designs of a batch, and batches of a pool."""

CHANGES = 128
"""Changes of the frontier's designs in a pool."""

ENOUGH, NEAREST, ROUNDS = 32, 64, 40
"""A pool of fewer is filled up with changes of so many designs near the limits, in so many rounds
at most."""


@dataclass(frozen=True, slots=True)
class PricedDesigns:
    """Designs of a space and what they cost."""

    values: list[Values]
    columns: dict[str, Floats]
    """Their costs, each of shape (n,): on the first machine that executes them."""
    machines: dict[str, Floats] | None = None
    """Their costs on all machines, each of shape (n, machines), NaN where a limit is broken; None
    where there is one machine."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, keep: Sequence[int]) -> "PricedDesigns":
        """Some of them."""
        columns = {name: figures[list(keep)] for name, figures in self.columns.items()}
        machines = self.machines and {
            name: figures[list(keep)] for name, figures in self.machines.items()
        }
        return PricedDesigns([self.values[index] for index in keep], columns, machines)


class Pool:
    """Draws candidates of one space on the machines of a study."""

    def __init__(self, sweep: Sweep, costs: Sequence[str] = ()) -> None:
        """Make a pool.

        Args:
            sweep: of the space, on the machines of the study.
            costs: columns that are wanted on all machines, where there are several.
        """
        self.sweep = sweep
        self.costs = tuple(costs)
        self.space: SearchSpace = sweep.space
        self.choices = [choice for choice in self.space.choices if len(choice.values) > 1]
        self._whole: PricedDesigns | None = None
        self._batches: dict[tuple[int, int], PricedDesigns] = {}
        sample, feasible = self.price_all(_sample(self.space, random.Random(0), SCALE_SAMPLE))
        if feasible.sum() < 2:  # limits that random designs hardly ever keep
            feasible = ~np.isnan(sample.columns["energy_pj"])
        columns = sample.take(np.flatnonzero(feasible).tolist()).columns
        self.scales = {name: _measure_scale(columns.get(name)) for name in COST_FEATURES}

    def price(self, designs: Sequence[Values]) -> PricedDesigns:
        """Those of the designs that are feasible on a machine, with their costs, in their order."""
        return _feasible(*self.price_all(designs))

    def price_all(self, designs: Sequence[Values]) -> tuple[PricedDesigns, npt.NDArray[np.bool_]]:
        """All of the designs with their costs, and which of them are feasible on a machine.

        Costs of a design that no machine executes are NaN.

        Returns:
            The designs in their order, and whether each is feasible on at least one machine, shape
            (n,).
        """
        return self._join(designs, self._price_on_each(designs))

    def _price_on_each(self, designs: Sequence[Values]) -> list[_OnMachine]:
        """What each machine makes of the designs: their costs, and whether they are feasible."""
        cut = self.sweep.cut(designs)
        return [pricer.price(cut) for pricer in self.sweep.pricing.pricers]

    def _join(
        self, designs: Sequence[Values], on_each: Sequence[_OnMachine]
    ) -> tuple[PricedDesigns, npt.NDArray[np.bool_]]:
        """See `price_all`."""
        first: dict[str, Floats] = {}
        machines: dict[str, Floats] = {}
        anywhere = np.zeros(len(designs), dtype=np.bool_)
        for at, (columns, feasible) in enumerate(on_each):
            anywhere |= feasible
            for name, figures in columns.items():
                # The first machine that executes a design stands for it in the features.
                known = first.setdefault(name, figures)
                first[name] = np.where(np.isnan(known), figures, known)
                if name in self.costs:
                    shape = (len(designs), len(on_each))
                    here = machines.setdefault(name, np.full(shape, np.nan))
                    here[feasible, at] = figures[feasible]
        on_all = machines if len(on_each) > 1 else None
        return PricedDesigns(list(designs), first, on_all), anywhere

    def draw(
        self,
        seed: int,
        number: int,
        parents: Sequence[Values],
        seen: Set[Identity],
    ) -> PricedDesigns:
        """Feasible designs that were not seen: random ones, and changes of the parents.

        The random ones come in batches, of which each trial adds one and drops one: pricing a
        design with new blocks takes a millisecond, one with known blocks nearly nothing. A small
        space is given as a whole.

        Args:
            seed: of the study.
            number: of the trial that is asked for.
            parents: designs near which others are tried, usually the frontier.
            seen: what is left out.
        """
        if self.space.size <= ENUMERATED:
            if self._whole is None:
                self._whole = self.price(list(self.space.enumerate()))
            found = [self._whole]
        else:
            found = [self._batch(seed, number + index) for index in range(BATCHES)]
            if parents:
                rng = random.Random(f"{seed}/changes/{number}")
                near = [mutate(self.space, rng.choice(parents), rng) for _ in range(CHANGES)]
                found.append(self.price(near))
        drawn = _drop_seen(join(found), seen)
        if len(drawn) >= ENOUGH or self.space.size <= ENUMERATED:
            return drawn
        return _drop_seen(join([drawn, self._nearest(seed, number, parents, seen)]), seen)

    def _nearest(
        self, seed: int, number: int, parents: Sequence[Values], seen: Set[Identity]
    ) -> PricedDesigns:
        """Feasible designs of a space in which random ones hardly ever are.

        Changes of the designs that are nearest to the limits, over and over, until enough are
        found: a narrow band of a large space is met in some ten rounds.
        """
        rng = random.Random(f"{seed}/nearest/{number}")
        designs = [*parents[:NEAREST], *_sample(self.space, rng, 4 * NEAREST)]
        found = PricedDesigns([], {})
        for _ in range(ROUNDS):
            on_each = self._price_on_each(designs)
            new = _drop_seen(_feasible(*self._join(designs, on_each)), seen)
            found = _drop_seen(join([found, new]), seen)
            if len(found) >= ENOUGH:
                break
            excess = self._excess(on_each)
            nearest = [designs[index] for index in np.argsort(excess, kind="stable")[:NEAREST]]
            changed = [mutate(self.space, rng.choice(nearest), rng) for _ in range(3 * NEAREST)]
            designs = [*nearest, *changed]
        return found

    def _excess(self, on_each: Sequence[_OnMachine]) -> Floats:
        """How far designs are beyond the limits, on the machine where that is least; shape (n,)."""
        least = np.full(len(on_each[0][1]), np.inf)
        for pricer, (columns, feasible) in zip(self.sweep.pricing.pricers, on_each, strict=True):
            over = np.zeros(len(feasible)) + pricer.budget.excess(columns)
            # Within the limits and not feasible: it does not fit the memories.
            over[~feasible & (over == 0)] = 1.0
            least = np.minimum(least, over)
        return least

    def _batch(self, seed: int, index: int) -> PricedDesigns:
        """Feasible designs of one batch of random ones."""
        key = (seed, index)
        if key not in self._batches:
            rng = random.Random(f"{seed}/batch/{index}")
            self._batches[key] = self.price(_sample(self.space, rng, BATCH))
            # Far behind all that is asked for by now; it could be made again from its number.
            self._batches.pop((seed, index - 4 * BATCHES), None)
        return self._batches[key]

    def make_features(self, candidates: PricedDesigns) -> Floats:
        """What the model of the error sees, each column from about 0 to 1; shape (n, f).

        The axes, and costs besides: how much is trained and computed is a product of many axes,
        which the model need not find by itself.
        """
        columns = [self._encode_axis(choice, candidates.values) for choice in self.choices]
        for name, (low, width) in self.scales.items():
            logs = np.log10(np.maximum(candidates.columns[name], 1.0))
            columns.append(((logs - low) / width)[:, None])
        return np.hstack(columns)

    def _encode_axis(self, choice: Choice, designs: Iterable[Values]) -> Floats:
        """One column for an axis of numbers, one for each value of another.

        A number that does not matter to a design stands in the middle: what it would change is
        told apart by the axis that switches it off. Sizes are logarithms: from 16 to 32 channels is
        as far as from 32 to 64.
        """
        chosen = [values.get(choice.name) for values in designs]
        if any(isinstance(value, str | bool) for value in choice.values):
            return np.array([[float(value == each) for each in choice.values] for value in chosen])
        numbers = [float(value) for value in choice.values]
        logarithmic = min(numbers) > 0
        ends = (min(numbers), max(numbers))
        low, high = map(math.log, ends) if logarithmic else ends
        places: dict[Value, float] = {
            value: ((math.log(number) if logarithmic else number) - low) / (high - low)
            for value, number in zip(choice.values, numbers, strict=True)
        }
        return np.array([[0.5 if value is None else places[value]] for value in chosen])


def _feasible(priced: PricedDesigns, feasible: npt.NDArray[np.bool_]) -> PricedDesigns:
    return priced.take(np.flatnonzero(feasible).tolist())


def identify(values: Mapping[str, Value]) -> Identity:
    """Equal for equal assignments."""
    return frozenset(values.items())


def mutate(space: SearchSpace, values: Values, rng: random.Random) -> Values:
    """A design with one to three axes changed: numbers to a near value, others to any.

    One axis half of the time, two or three a quarter each. A number moves by up to a fifth of its
    axis' values (at least one step), never to itself. An axis that does not matter to the design is
    not changed; one that comes to matter by a change is drawn at random.

    Args:
        space: of the design.
        values: of its axes.
        rng: seeded for the proposal; drawn from.
    """
    open_axes = [c for c in space.choices if len(c.values) > 1 and c.name in values]
    count = min(len(open_axes), rng.choice((1, 1, 2, 3)))
    changed: Values = dict(values)
    for choice in rng.sample(open_axes, count):
        changed[choice.name] = _draw_neighbour(choice, values[choice.name], rng)
    # Axes that matter only now are drawn at random.
    return space.walk(
        lambda choice: changed[choice.name] if choice.name in changed else choice.draw(rng)
    )


def _draw_neighbour(choice: Choice, value: Value, rng: random.Random) -> Value:
    place = choice.values.index(value)
    if isinstance(value, str | bool):
        others = [other for other in choice.values if other != value]
        return rng.choice(others)
    reach = max(1, len(choice.values) // 5)
    steps = [step for step in range(-reach, reach + 1) if step]
    within = [place + step for step in steps if 0 <= place + step < len(choice.values)]
    return choice.values[rng.choice(within)]


def _sample(space: SearchSpace, rng: random.Random, count: int) -> list[Values]:
    return [space.sample(rng) for _ in range(count)]


def _measure_scale(figures: Floats | None) -> tuple[float, float]:
    """Lowest logarithm and the width of the range; a constant column becomes zeros."""
    if figures is None or not len(figures):
        return 0.0, 1.0
    logs = np.log10(np.maximum(figures, 1.0))
    low, high = float(logs.min()), float(logs.max())
    return low, (high - low) if high - low > 1e-9 else 1.0


def _drop_seen(found: PricedDesigns, seen: Set[Identity]) -> PricedDesigns:
    """Each design once, without those that were seen."""
    known = set(seen)
    keep = []
    for index, values in enumerate(found.values):
        key = identify(values)
        if key not in known:
            known.add(key)
            keep.append(index)
    return found.take(keep)


def join(parts: Sequence[PricedDesigns]) -> PricedDesigns:
    """All of them in a row; those that hold none are left out."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return PricedDesigns([], {})
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    machines = parts[0].machines and {
        name: np.concatenate([part.machines[name] for part in parts if part.machines])
        for name in parts[0].machines
    }
    return PricedDesigns([values for part in parts for values in part.values], columns, machines)
