"""The search space: which values each axis of a family may take.

Every axis is a finite, ordered list of values, so a space has a size, both ends of a range are
reached, and a point either belongs to it or does not. `dse.design.space_file` reads spaces from
YAML.

A space is a tree, not a box: an axis is left out where it changes nothing (no density without
ternary matrices, no channels of a block that is not there). One function walks it, `walk`, deciding
axis by axis; a random choice at each makes a sample, a sampler's choice a trial, given values a
test of membership. Were axes kept that mean nothing, one network would be proposed, and trained,
many times over.
"""

import hashlib
import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dse.design.families import DEFAULT
from dse.design.families.family import BLOCKS, Family, Value, Values
from dse.design.point import DesignPoint
from dse.errors import InvalidDesign, InvalidInput, InvalidSpace

MOST_BRANCHES = 200_000
"""Steps of a walk over a space's branches."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One axis of a space and all values that it may take."""

    name: str
    values: tuple[Value, ...]
    log: bool = False
    """Draw evenly over the logarithm; for ranges only."""
    ordered: bool = False
    """The values are a range; otherwise a list, of which none is near another."""

    def draw(self, rng: random.Random) -> Value:
        """One value at random: each as likely, or as its share of the logarithmic axis."""
        if not self.log:
            return rng.choice(self.values)
        return rng.choices(self.values, weights=_log_weights(self.values))[0]


def _log_weights(values: tuple[Value, ...]) -> list[float]:
    """Each value's share of the logarithmic axis, not normalised.

        values        v0        v1        v2          cells meet at geometric means sqrt(v0 v1)
        axis      |----+----|----+----|----+----|     outer cells reach as far out as in
        weight     log(b1/b0) log(b2/b1) ...

    So drawing from a list evenly over the logarithm does not favour where its values are dense. A
    single value gets a cell of any width.
    """
    numbers = [float(value) for value in values]
    edges = [math.sqrt(a * b) for a, b in itertools.pairwise(numbers)]
    first = numbers[0] ** 2 / edges[0] if edges else numbers[0] / 2
    last = numbers[-1] ** 2 / edges[-1] if edges else numbers[-1] * 2
    bounds = [first, *edges, last]
    return [math.log(b / a) for a, b in itertools.pairwise(bounds)]


class Solver(Protocol):
    """Decides one axis of each design by all others, as a budget decides its width."""

    @property
    def axis(self) -> str:
        """That it decides; a space has it not."""

    def solve(self, designs: Sequence[Values]) -> list[Values | str]:
        """The designs with that axis; a sentence in place of one that has no value of it."""


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All design points that a study may try."""

    choices: tuple[Choice, ...]
    """In the order in which they are decided: what decides whether another matters comes first."""
    in_channels: int = 64
    family: Family = DEFAULT
    solver: Solver | None = field(default=None, repr=False, compare=False)
    """Decides an axis that no assignment has, when a design is built of one."""
    _own: Mapping[str, tuple[int, frozenset[int]]] = field(init=False, repr=False, compare=False)
    """Axis of all blocks -> the first block that it is about, and those with an axis of their
    own."""

    def __post_init__(self) -> None:
        """See which blocks have axes of their own."""
        own: dict[str, set[int]] = {}
        for choice in self.choices:
            base, block = self.family.split(choice.name)
            if block is not None:
                own.setdefault(base, set()).add(block)
        found = {base: (1, frozenset(blocks)) for base, blocks in own.items()}
        found |= {f"{base}_growth": (2, frozenset(blocks)) for base, blocks in own.items()}
        object.__setattr__(self, "_own", found)

    def matters(self, name: str, decided: Mapping[str, Value]) -> bool:
        """Whether an axis changes the network, given the values of those before it.

        Besides what the family says: `channels` means nothing to a network all of whose blocks have
        channels of their own, such as one of a single block in a space with `channels_b1`. Where
        the first layer has it, too (`Axis.beyond_blocks`), the family says that, told which blocks
        have their own.
        """
        first, own = self._own.get(name, (1, frozenset()))
        if own and name in self.family.axes and self.family.axes[name].beyond_blocks:
            default = self.family.axes[name].default
            decided = {**decided, **{f"{name}_b{block}": default for block in own}}
            return self.family.matters(name, decided)
        if not self.family.matters(name, decided):
            return False
        if not own or BLOCKS not in self.family.axes:
            return True
        return not own.issuperset(range(first, 1 + int(self.family.get(decided, BLOCKS))))

    def unused(self) -> list[str]:
        """Axes that matter in no design of the space, in their order.

        Branches on what decides until each axis has been met; a space of so many branches that this
        takes long is taken at its word.
        """
        missing = {choice.name: None for choice in self.choices}
        waiting: list[tuple[int, Values]] = [(0, {})]
        for _ in range(MOST_BRANCHES):
            if not waiting or not missing:
                break
            index, decided = waiting.pop()
            if index == len(self.choices):
                continue
            choice = self.choices[index]
            if not self.matters(choice.name, decided):
                waiting.append((index + 1, decided))
                continue
            missing.pop(choice.name, None)
            if self.family.axis(choice.name).decides:
                waiting += [(index + 1, {**decided, choice.name: value}) for value in choice.values]
            else:
                waiting.append((index + 1, decided))
        return [] if waiting else list(missing)

    def walk(self, choose: Callable[[Choice], Value]) -> Values:
        """Decide axis by axis, leaving out those that do not matter for what was decided.

        Args:
            choose: gives one of `choice.values`; it is not asked for axes that do not matter.

        Returns:
            axis -> value; the input of `point`.
        """
        values: Values = {}
        for choice in self.choices:
            if self.matters(choice.name, values):
                values[choice.name] = choose(choice)
        return values

    def sample(self, rng: random.Random) -> Values:
        """A random assignment, each axis drawn by itself in its order (`Choice.draw`).

        Not each design as likely: a value that decides is as likely as its sisters, however many
        designs stand behind it. So a space with a tiny and a huge branch is tried in both.
        `dse.pricing.sweep` draws the other way.
        """
        return self.walk(lambda choice: choice.draw(rng))

    def point(self, values: Mapping[str, Value], name: str = "") -> DesignPoint:
        """The design point of an assignment.

        Raises:
            InvalidDesign: the values fit no network, such as blocks that do not divide a width, or
                what the solver decides has no value.
        """
        if self.solver is not None:
            [found] = self.solver.solve([dict(values)])
            if isinstance(found, str):
                raise InvalidDesign(found)
            values = found
        return self.family.build(values, in_channels=self.in_channels, name=name)

    def contains(self, values: Mapping[str, Value]) -> bool:
        """Whether `walk` can give exactly these values: none missing, none too many."""
        remaining = dict(values)

        def choose(choice: Choice) -> Value:
            value = remaining.pop(choice.name, None)
            if value is None or value not in choice.values:
                raise LookupError(choice.name)
            return value

        try:
            self.walk(choose)
        except LookupError:
            return False
        return not remaining

    def complete(self, values: Mapping[str, Value], *, fill: bool = False) -> Values | None:
        """`values` with the family's defaults for axes that they leave open, if that is in here.

        A published network is described by a few values; in a space that varies the dropout too, it
        stands at the default dropout. None where the space does not contain it.

        For each axis that matters, in order: its own value (`channels_b2`), else that of its base
        (`channels`), else the family's default; where that is not in the space, and the axis may be
        filled (`Axis.fills`), the space's first value. Values of axes that the space lacks must be
        the defaults, or the result would be another network than the one that was described. So it
        would be, too, where the space solves an axis that the values have.

        Args:
            values: axis -> value.
            fill: where the space lacks the default of an open axis, take its first value.

        Raises:
            InvalidDesign: there is no such axis.
        """
        family, used = self.family, set[str]()
        for name in values:
            family.split(name)
        if self.solver is not None and self.solver.axis in values:
            return None

        def choose(choice: Choice) -> Value:
            base, _ = family.split(choice.name)
            used.update({base, choice.name})
            value: Value | None
            value = values.get(choice.name, values.get(base, family.find_default(choice.name)))
            left_open = choice.name not in values and base not in values
            if left_open and choice.name == base and family.axes[base].of_blocks:
                value = None  # blocks differ by default, and here all have one value
            fills = family.axes[base].fills
            if (
                left_open
                and value not in choice.values
                and fills in ("always", "asked")[: 1 + fill]
            ):
                value = choice.values[0]
            if value is None or value not in choice.values:
                raise LookupError(choice.name)
            return value

        try:
            completed = self.walk(choose)
        except LookupError:
            return None
        left_over = {
            name: value
            for name, value in values.items()
            if name not in used and value != _default_of_all(family, name)
        }
        return None if left_over else completed

    @property
    def size(self) -> int:
        """Number of assignments that `walk` can give, also of those that no network fits."""
        return self._count(0, {})

    def _count(self, index: int, decided: Values) -> int:
        """Assignments from axis `index` on, given the values of those before it.

        Only axes that decide are walked through value by value; any other multiplies, so a space of
        10^20 designs is counted in the time of its few branches.
        """
        if index == len(self.choices):
            return 1
        choice = self.choices[index]
        if not self.matters(choice.name, decided):
            return self._count(index + 1, decided)
        if not self.family.axis(choice.name).decides:
            return len(choice.values) * self._count(index + 1, decided)
        return sum(
            self._count(index + 1, {**decided, choice.name: value}) for value in choice.values
        )

    def enumerate(self) -> Iterator[Values]:
        """All assignments, in a fixed order: nested loops over the axes, the last one fastest."""
        yield from self._enumerate(0, {})

    def _enumerate(self, index: int, decided: Values) -> Iterator[Values]:
        if index == len(self.choices):
            yield dict(decided)
            return
        choice = self.choices[index]
        if not self.matters(choice.name, decided):
            yield from self._enumerate(index + 1, decided)
            return
        for value in choice.values:
            yield from self._enumerate(index + 1, {**decided, choice.name: value})

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the space does."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """The space with all values spelled out; `space_from_node` reads it back."""
        axes = {
            choice.name: {"values": list(choice.values), "log": choice.log}
            if not choice.ordered
            else _range_to_dict(choice)
            for choice in self.choices
        }
        return {"family": self.family.to_plain(), "in_channels": self.in_channels, **axes}


def _default_of_all(family: Family, name: str) -> Value:
    """The default of an axis where blocks share it; of a block's own where they differ."""
    return family.find_default(name) if family.axis(name).of_blocks else family.axis(name).default


def _range_to_dict(choice: Choice) -> dict[str, Any]:
    values = choice.values
    plain: dict[str, Any] = {"low": values[0], "high": values[-1], "log": choice.log}
    if len(values) > 1 and not choice.log:
        plain["step"] = float(values[1]) - float(values[0])
        if all(isinstance(value, int) for value in values):
            plain["step"] = int(plain["step"])
    return plain


def check_not_empty(space: SearchSpace) -> None:
    """Raise `InvalidSpace` if not one of a thousand random points can be built."""
    rng = random.Random(0)
    reason = ""
    for _ in range(1000):
        try:
            space.point(space.sample(rng))
        except InvalidInput as error:
            reason = str(error)
        else:
            return
    raise InvalidSpace(f"no point of the space can be built; for example: {reason}")
