"""Dense controls: for each ternary design of the frontier a dense one that uses the same budget.

Whether ternary matrices are worth it shows only beside dense designs of like size
(`dse.studies.likeness`), and a search looks for good designs, not for fair ones. With
`controls: auto` its last trainings are controls:

    trainings left <= ternary designs of the frontier that no dense one equals in size

From then on the next training is the control of the cheapest of these, until none lacks one; what
is left is searched. So no training goes to the control of a design that a later one drives off the
frontier, and controls count like all other trainings. A search that ends otherwise (patience, an
exhausted space) trains its controls then; one whose hours are spent does not.

Which dense design is the control? Of all that keep the limits and have at most as many trained
parameters as the ternary one, and no less than `EQUAL` of them, the one that differs in the fewest
axes: the same network, narrower. It is found by changing one axis at a time, from the ternary
design with its matrices made dense:

    ternary   blocks 2, channels 48, P2     8,812 trained parameters
    dense     blocks 2, channels 48, P0    15,484      beyond the budget
              blocks 2, channels 24, P0     8,7..      within it, and one axis apart: the control

All of it follows from the rows, so a study that was killed queues the same controls again.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dse.design.families.family import BLOCKS, Value, Values
from dse.design.point import DesignPoint
from dse.design.policies import is_dense
from dse.design.space import Choice, SearchSpace
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.studies.likeness import LIKE, SIZE

EQUAL = 0.95
"""A control has at least this share of its design's trained parameters, where there is one."""

ROUNDS = 40
"""Axes that are changed one after the other, at most; some ten are enough."""

BEAM = 4
"""Designs whose neighbours are looked at in a round."""


@dataclass(frozen=True, slots=True)
class Control:
    """A dense design that stands against a ternary one."""

    point: DesignPoint
    values: Values
    """Of the axes, in the study's space where `inside`."""
    inside: bool
    """Whether the study's space has it; without a dense policy or mixer, it has none."""


def dense_space(space: SearchSpace) -> SearchSpace:
    """The dense designs of a space; where an axis has ternary values only, its dense default.

    Args:
        space: of a study, such as one with `policy: [P2, P4]`, which becomes `policy: [P0]`.
    """
    return dataclasses.replace(space, choices=tuple(_dense(space, each) for each in space.choices))


def _dense(space: SearchSpace, choice: Choice) -> Choice:
    """An axis without the values that make a matrix ternary.

    What decides nothing about other axes (`Axis.decides`) makes no matrix ternary by itself.
    """
    if not space.family.axis(choice.name).decides or choice.ordered:
        return choice
    kept = tuple(value for value in choice.values if not _makes_ternary(space, choice.name, value))
    default = space.family.find_default(choice.name)
    return dataclasses.replace(choice, values=kept or (default,))


def _makes_ternary(space: SearchSpace, name: str, value: Value) -> bool:
    """Whether a network that is else the family's default has a ternary matrix by this value."""
    _, block = space.family.split(name)
    # A block's own axis matters where that block is.
    given: Values = {name: value} if block is None else {BLOCKS: block, name: value}
    return not is_dense(space.family.build(given, in_channels=space.in_channels))


class Controls:
    """Finds controls in the dense part of a space, on the machines and under the limits given."""

    def __init__(self, space: SearchSpace, pricing: Pricing) -> None:
        self.space, self.pricing = space, pricing
        self.sweep = Sweep(dense_space(space), pricing)

    def find(self, values: Mapping[str, Value], size: float) -> Control | None:
        """The control of a ternary design; None where no dense one is of like size.

        Args:
            values: of its axes; those that it lacks are the space's first.
            size: its trained parameters.
        """
        known = self._explore(self._start(values), size)
        alike = [each for each in known if each.feasible and each.gap <= math.log(LIKE)]
        if not alike:
            return None
        found = min(alike, key=lambda each: self._rank(each, values))
        point = self.sweep.space.point(found.values)
        return Control(point, found.values, self.space.contains(found.values))

    def _start(self, values: Mapping[str, Value]) -> Values:
        def choose(choice: Choice) -> Value:
            value = values.get(choice.name)
            return value if value in choice.values and value is not None else choice.values[0]

        return self.sweep.space.walk(choose)

    def _explore(self, start: Values, size: float) -> "list[_Tried]":
        """Designs around the way from a start to the budget, axis by axis."""
        known = {_identity(each.values): each for each in self._price([start], size)}
        beam = list(known.values())
        for _ in range(ROUNDS):
            new = {
                _identity(values): values
                for each in beam
                for values in self._neighbours(each.values)
                if _identity(values) not in known
            }
            tried = self._price(list(new.values()), size)
            known |= {_identity(each.values): each for each in tried}
            before, beam = beam, sorted(known.values(), key=_far)[:BEAM]
            if beam == before:
                break
        return list(known.values())

    def _neighbours(self, values: Values) -> Iterable[Values]:
        """All designs of which one axis is another; axes that come to matter take their first."""
        for choice in self.sweep.space.choices:
            for value in choice.values if choice.name in values else ():
                if value != values[choice.name]:
                    wanted: Values = {**values, choice.name: value}
                    yield self.sweep.space.walk(
                        lambda axis, wanted=wanted: wanted.get(axis.name, axis.values[0])  # type: ignore[misc]
                    )

    def _price(self, designs: Sequence[Values], size: float) -> "list[_Tried]":
        """Those of the designs that can be built, with their sizes and their least cost."""
        if not designs:
            return []
        cut = self.sweep.cut(designs)
        name = next(iter(self.pricing.costs), "energy_pj")
        sizes, costs = np.full(len(designs), np.nan), np.full(len(designs), np.inf)
        for pricer in self.pricing.pricers:
            columns, feasible = pricer.price(cut)
            sizes = np.where(np.isnan(sizes), columns[SIZE], sizes)
            here = np.where(feasible, columns[name], np.inf)
            costs = np.minimum(costs, here)
        return [
            _Tried(values, float(count), float(cost), size)
            for values, count, cost in zip(designs, sizes, costs, strict=True)
            if not math.isnan(count)
        ]

    def _rank(self, each: "_Tried", values: Mapping[str, Value]) -> tuple[object, ...]:
        """Least first: within the budget and near it, few axes changed, filled, cheap."""
        near = each.count <= each.size and each.gap <= -math.log(EQUAL)
        changed = sum(
            values.get(name, value) != value
            for name, value in each.values.items()
            if not self.space.family.axis(name).decides or name == BLOCKS
        )
        beyond = each.count > each.size
        text = repr(sorted(each.values.items()))
        if near:
            return (0, changed, each.gap, each.cost, text)
        return (1 + beyond, each.gap, changed, each.cost, text)


@dataclass(frozen=True, slots=True)
class _Tried:
    """A dense design, and how far it is from the budget of a ternary one."""

    values: Values
    count: float
    """Trained parameters."""
    cost: float
    """The first cost that the study minimises, on its best machine; infinite over a limit."""
    size: float
    """Trained parameters of the ternary design."""

    @property
    def feasible(self) -> bool:
        """Whether it keeps the limits on a machine."""
        return math.isfinite(self.cost)

    @property
    def gap(self) -> float:
        """|ln(count / size)|: 0 for equal sizes."""
        return abs(math.log(self.count / self.size)) if min(self.count, self.size) > 0 else math.inf


def _far(each: _Tried) -> tuple[object, ...]:
    """What to look at next: the nearest to the budget, from below where both are as near."""
    over = each.count > each.size
    return (not each.feasible, each.gap + 0.05 * over, repr(sorted(each.values.items())))


def _identity(values: Values) -> frozenset[tuple[str, Value]]:
    return frozenset(values.items())
