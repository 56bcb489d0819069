"""The width that fills a budget: solved, not guessed.

How wide may a network of five blocks be if all is to have 77,000 trained parameters? Columns rise
with a width, so the widest network within the budget and the next one stand side by side:

    channels      62        63        64        65
    trained   76,222    77,194    78,174    79,162        budget 77,214: 63 below, 64 above

Found by doubling or halving a usual width that makes a network, then on the straight line between
the last one within the budget and the first beyond it. Two traps:

* *Not every width makes a network.* Circulant blocks of 8 take multiples of 8, butterflies powers
  of two. Multiples of the narrowest fit both, so these are tried first; where one in the middle
  does not fit, all of the interval are tried.
* *Not every column rises all the way.* A width that fills the lanes of an array takes fewer cycles
  than one channel less. So of columns that a machine decides the `AROUND` nearest widths on both
  sides are tried as well, and what is nearest of all that was priced is taken.

Many designs are solved together: each asks for the widths that it wants to see next, and those of
all are priced as one batch (`dse.pricing.pricer`). A study whose budget is an equality solves all
of its candidates so.
"""

import dataclasses
import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from dse.design.families.family import Family, Value, Values
from dse.design.mixer import GENERATED_KINDS, Mixer
from dse.design.point import Block, Head
from dse.errors import InvalidDesign, InvalidInput
from dse.networks.lowering import lower_block, lower_head
from dse.pricing.book import Cut, grouped
from dse.pricing.pricing import Pricing
from dse.ternary.generators import Generator as TernaryGenerator

MOST = 4_096
"""The largest width that is tried."""

USUAL = 64
"""The width from which on values are doubled or halved."""

AROUND = 8
"""Widths on both sides that are tried where a column need not rise from one to the next."""

RISING = ("trained_parameters", "stored_bits", "generated_weights", "macs", "multiplications")
"""Columns that no wider network has less of, as they count its matrices."""

FILLED = 0.95
"""A design fills its budget where it uses at least this share of it; a dense control that stands
beside a ternary design has as much of its parameters (`search.controls`)."""

AXES: Final = (
    "channels",
    "repeats",
    "blocks",
    "prologue_channels",
    "epilogue_channels",
    "final_channels",
)
"""What may be solved: whole numbers of which more is more."""


@dataclass(frozen=True, slots=True)
class Met:
    """A value of the axis that is solved, and what the design then has."""

    value: int
    amount: float
    """Of the column."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The two values of the axis between which a budget lies."""

    below: Met | None
    """The one that uses the most of the budget; None where each value is beyond it."""
    above: Met | None
    """The one that is beyond it by the least; None where none is beyond."""
    reason: str = ""
    """Why no value makes a network; empty where one does."""

    def nearest(self, budget: float) -> Met | None:
        """Of both the nearer one; None where no value makes a network."""
        both = [each for each in (self.below, self.above) if each is not None]
        return min(both, key=lambda each: abs(each.amount - budget), default=None)

    def told(self, axis: str, column: str, budget: float) -> str:
        """`no channels fill trained_parameters 77,000: nearest are 256 with ... and 512 with ...`.

        Args:
            axis: that was solved.
            column: that was to be filled.
            budget: with so much.
        """
        begun = f"no {axis} fill {column} {_figure(budget)}"
        if self.reason:
            return f"{begun}: {self.reason}"
        ends = (self.below, self.above)
        words = [f"{each.value:,} with {_figure(each.amount)}" for each in ends if each]
        if len(words) == 2:
            return f"{begun}: nearest are {words[0]} and {words[1]}"
        return f"{begun}: the {'fewest' if self.below is None else 'most'} are {words[0]}"


class Filling:
    """Solves one axis of designs so that they fill a budget; remembers what it has solved."""

    def __init__(
        self,
        family: Family,
        pricing: Pricing,
        column: str,
        budget: float,
        *,
        in_channels: int = 64,
        axis: str = "channels",
    ) -> None:
        """Know the budget.

        Args:
            family: of the designs.
            pricing: of costs; only its first machine is asked, and none for trained parameters.
            column: of `COST_COLUMNS`, that is filled.
            budget: in the unit of the column.
            in_channels: features per frame.
            axis: of `AXES`, that is solved.
        """
        self.family, self.pricing, self.in_channels = family, pricing, in_channels
        self.column, self.budget, self.axis = column, budget, axis
        self._known: dict[frozenset[tuple[str, Value]], Filled] = {}
        self._trained: dict[tuple[Block | Head, int], int] = {}

    def solve(self, designs: Sequence[Values]) -> list[Values | str]:
        """The designs with the value that fills the budget and keeps it.

        Returns:
            For each design its axes with the one that is solved; a sentence instead where that
            would use less than `FILLED` of the budget.
        """
        return [
            {**values, self.axis: found.below.value}
            if found.below is not None and found.below.amount >= FILLED * self.budget
            else found.told(self.axis, self.column, self.budget)
            for values, found in zip(designs, self.fill(designs), strict=True)
        ]

    def fill(self, designs: Sequence[Values]) -> list[Filled]:
        """Both values of each design between which the budget lies.

        Args:
            designs: axis -> value; what they have of the axis that is solved does not matter.
        """
        keys = [self._key(each) for each in designs]
        new = {
            key: values for key, values in zip(keys, designs, strict=True) if key not in self._known
        }
        self._solve_together(new)
        return [self._known[key] for key in keys]

    def _key(self, values: Values) -> frozenset[tuple[str, Value]]:
        """What the answer depends on: not on the seed of matrices that cost no trained number."""
        skipped = {self.axis, "ternary_seed"} if self._only_trained else {self.axis}
        return frozenset(
            (name, value)
            for name, value in values.items()
            if name not in skipped and self.family.reach(name, values)
        )

    @property
    def _only_trained(self) -> bool:
        return self.column == "trained_parameters"

    def _solve_together(self, new: dict[frozenset[tuple[str, Value]], Values]) -> None:
        """Rounds: what each search wants to see is priced as one batch, until all are at an end."""
        searches = {}
        for key, values in new.items():
            found = self._least(values)
            if isinstance(found, str):
                self._known[key] = Filled(None, None, found)
            else:
                search = _search(found, self._most, self.budget, self.column in RISING)
                searches[key] = (search, next(search))
        while searches:
            tries = [
                {**new[key], self.axis: value}
                for key, (_, wanted) in searches.items()
                for value in wanted
            ]
            amounts = iter(self._amounts(tries))
            for key, (search, wanted) in list(searches.items()):
                try:
                    searches[key] = search, search.send([next(amounts) for _ in wanted])
                except StopIteration as end:
                    self._known[key] = end.value
                    del searches[key]

    @property
    def _most(self) -> int:
        return int(self.family.axis(self.axis).maximum or MOST)

    def _least(self, values: Values) -> int | str:
        """The smallest value of the axis that makes a network; why not, where none does."""
        reason = ""
        for value in range(1, self._most + 1):
            tried = {**values, self.axis: value}
            reached = set(self.family.reach(self.axis, tried))
            parts = range(self.family.parts(tried))
            # Those first that the axis changes nothing of: wrong at 1, they are wrong at 4,096.
            for index in sorted(parts, key=reached.__contains__):
                try:
                    self.family.part(tried, index, self.in_channels)
                except InvalidInput as error:
                    reason = reason or str(error)
                    if index not in reached:
                        return str(error)
                    break
            else:
                return value
        return reason

    def _amounts(self, designs: Sequence[Values]) -> list[float]:
        """What designs have of the column; NaN where they are no network, or not executed."""
        if self._only_trained:  # no machine changes that, so none is asked
            return [self._count_trained(values) for values in designs]
        book = self.pricing.book
        numbers: dict[int, dict[int, list[int]]] = {}
        for place, values in enumerate(designs):
            try:
                parts = book.number_parts(self.family, values, self.in_channels)
            except InvalidInput:
                continue
            numbers.setdefault(len(parts), {})[place] = parts
        groups = grouped(numbers)
        found = np.full(len(designs), np.nan)
        if groups:
            costs = self.pricing.pricers[0].price(Cut(len(designs), groups))
            found = costs.columns[self.column]
        return [float(each) for each in found]

    def _count_trained(self, values: Values) -> float:
        """Trained parameters; NaN where it is no network.

        Counted on the layers as all else, but of blocks without generated matrices, as to make
        those takes a hundred times as long: constants have no trained numbers either.
        """
        total = 0
        for index in range(self.family.parts(values)):
            try:
                part = self.family.part(values, index, self.in_channels)
            except InvalidInput:
                return math.nan
            content, channels = part.content, part.in_channels
            if isinstance(content, Block):
                content = _without_draws(content)
            if (content, channels) not in self._trained:
                layers = (
                    lower_block(content, channels, 1, 1)
                    if isinstance(content, Block)
                    else lower_head(content, channels, 1, self.pricing.book.outputs)
                )
                count = sum(layer.trained_parameters for layer in layers)
                self._trained[content, channels] = count
            total += self._trained[content, channels]
        return float(total)


def _figure(amount: float) -> str:
    """`77,000` or `0.25`: whole where it is large."""
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:,.6g}"


def _without_draws(block: Block) -> Block:
    """A block of as many trained parameters whose matrices need not be made."""
    skip = None if block.skip is None else _undrawn(block.skip)
    return dataclasses.replace(block, mixer=_undrawn(block.mixer), skip=skip, dropout=0.0)


@cache
def _undrawn(mixer: Mixer) -> Mixer:
    if mixer.kind == "ternary":
        return Mixer(kind="frozen_dense")
    if mixer.kind not in GENERATED_KINDS:
        return mixer
    # Rows beside trained ones or gains: of one and the same rule, each is drawn once.
    return dataclasses.replace(mixer, density=0.25, generator=TernaryGenerator())


_Search = Generator[list[int], list[float], Filled]


def _search(least: int, most: int, budget: float, rises: bool) -> _Search:
    """Yields values to be priced, is sent what they come to, and returns what is found."""
    known: dict[int, float] = {}

    def ask(values: Iterable[int]) -> Generator[list[int], list[float], None]:
        new = [value for value in values if value not in known and 1 <= value <= most]
        if new:
            known.update(zip(new, (yield new), strict=True))

    low, high = 0, most + 1
    value = _usual(least, most)
    while least <= value <= most and not (low and high <= most):
        yield from ask([value])
        if known[value] <= budget:
            low, value = value, 2 * value
        else:
            high, value = value, value // 2
    while low and high - low > least:
        middle = _between_them(low, high, least, known, budget)
        if middle == low:
            break
        yield from ask([middle])
        if math.isnan(known[middle]):
            yield from ask(range(low, high, least))
            break
        low, high = (middle, high) if known[middle] <= budget else (low, middle)
    if low:
        low = max(value for value, amount in known.items() if amount <= budget)
        beyond = [value for value, amount in known.items() if value > low and amount > budget]
        high = min(beyond, default=high)
        yield from ask(range(low + 1, high))
    if not rises:
        yield from ask(range(max(low, 1) - AROUND, min(high, most) + AROUND + 1))
    return _between(known, budget)


def _usual(least: int, most: int) -> int:
    """Where to begin: a doubling of the narrowest value, near the width of usual networks."""
    value = least
    while value < USUAL and 2 * value <= most:
        value *= 2
    return value


def _between_them(low: int, high: int, least: int, known: dict[int, float], budget: float) -> int:
    """A multiple of the narrowest value between two, on the straight line where both are known.

    Halving would take twice as many steps; but a line that always keeps the same end takes more,
    so it is drawn a tenth of the interval inside of both ends.
    """
    share = 0.5
    if high in known and not math.isnan(known[high]):
        share = (budget - known[low]) / (known[high] - known[low])
    steps = (high - low) // least
    return low + min(max(round(share * steps), -(-steps // 10)), steps - -(-steps // 10)) * least


def _between(known: dict[int, float], budget: float) -> Filled:
    """Of all that was priced: the most within the budget, and the least beyond it."""
    within = [Met(value, amount) for value, amount in known.items() if amount <= budget]
    beyond = [Met(value, amount) for value, amount in known.items() if amount > budget]
    return Filled(
        max(within, key=lambda each: (each.amount, each.value), default=None),
        min(beyond, key=lambda each: (each.amount, each.value), default=None),
        "" if within or beyond else "no machine executes any",
    )


def check_axis(axis: str, values: Iterable[str], family: Family) -> None:
    """Raise `InvalidDesign` unless an axis can be solved, and nothing else decides it.

    Args:
        axis: that is to be solved.
        values: names of the axes that a design or a space has.
        family: of the designs.
    """
    if axis not in AXES or axis not in family.axes:
        raise InvalidDesign(f"what fills a budget is one of {', '.join(AXES)}, not '{axis}'")
    for name in values:
        if family.split(name) != (axis, None) and family.split(name)[0] == axis:
            raise InvalidDesign(
                f"'{name}' decides a block's own width, and '{axis}' is solved for all blocks from "
                f"the budget: leave '{name}' out"
            )
