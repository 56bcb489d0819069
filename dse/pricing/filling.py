"""The width that fills a budget: solved, not guessed.

How wide may a network of five blocks be if all is to have 77,000 trained parameters? Columns rise
with a width, so the widest network within the budget and the next one stand side by side:

    channels      62        63        64        65
    trained   76,222    77,194    78,174    79,162        budget 77,214: 63 below, 64 above

Found by doubling or halving a usual width that makes a network, then on the straight line between
the last one within the budget and the first beyond it, or on a parabola: what is counted
(`dse.pricing.known_parts`) rises as one, and needs no machine but to say whether it executes both
ends. Two traps:

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
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dse.columns import STREAM_COLUMNS
from dse.design.families.family import Family, Part, Value, Values
from dse.errors import InvalidDesign, InvalidInput
from dse.pricing.book import Cut, grouped
from dse.pricing.known_parts import COUNTED, Counter, Key, KnownParts
from dse.pricing.pricing import Pricing

MOST = 4_096
"""The largest width that is tried."""

USUAL = 64
"""The width from which on values are doubled or halved."""

AROUND = 8
"""Widths on both sides that are tried where a column need not rise from one to the next."""

CURVED = 4
"""Tries on a parabola of what is counted."""

FILLED = 0.95
"""A design fills its budget where it uses at least this share of it; a dense control that stands
beside a ternary design has as much of its parameters (`search.controls`)."""

AXES: Final = (
    "channels",
    "width_percent",
    "repeats",
    "blocks",
    "prologue_channels",
    "epilogue_channels",
    "final_channels",
)
"""What may be solved, besides a family's own width (`Family.width`): whole numbers of which more is
more."""


_Asked = frozenset[tuple[str, Value]]
"""What the answer for a design depends on."""


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
            column: that is filled: of `COST_COLUMNS`, or of `STREAM_COLUMNS` where the pricing
                listens.
            budget: in the unit of the column.
            in_channels: features per frame.
            axis: of `AXES`, that is solved.
        """
        self.family, self.pricing, self.in_channels = family, pricing, in_channels
        self.column, self.budget, self.axis = column, budget, axis
        self._known: dict[_Asked, Filled] = {}
        counted = column in COUNTED
        # No count depends on which matrix of its rule a layer has, so its seed tells nothing apart.
        self._without = frozenset({"ternary_seed"} if counted else ())
        self._parts = KnownParts(family, in_channels, self._without)
        self._numbers: dict[Key, int | None] = {}
        self._counts: dict[Key, int | None] = {}
        self._counter = None
        if counted:
            book, machine = pricing.book, pricing.machines[0].accelerator
            self._counter = Counter(column, machine, book.frames, book.outputs)

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

    def _key(self, values: Values) -> _Asked:
        """What the answer depends on."""
        skipped = {self.axis, *self._without}
        return frozenset(
            (name, value)
            for name, value in values.items()
            if name not in skipped and self.family.reach(name, values)
        )

    def _solve_together(self, new: dict[_Asked, Values]) -> None:
        """Designs by their keys: counted where a count is asked for, else priced.

        A machine must execute the design, too, and only pricing tells whether it does: so counted
        designs are priced at the two ends that were found, and where it executes one of them not,
        all is searched again by pricing. No machine changes what is trained, and none is asked.
        """
        if self._counter is None:
            self._search_together(new, self._price)
            return
        self._search_together(new, self._count)
        if self.column != "trained_parameters":
            self._search_together(self._refused(new), self._price)

    def _refused(self, counted: dict[_Asked, Values]) -> dict[_Asked, Values]:
        """Those designs of which the machine does not execute both ends as they were counted."""
        ends = [
            (key, end)
            for key in counted
            for end in (self._known[key].below, self._known[key].above)
            if end is not None
        ]
        priced = self._price([{**counted[key], self.axis: end.value} for key, end in ends])
        wrong = {
            key for (key, end), amount in zip(ends, priced, strict=True) if amount != end.amount
        }
        return {key: counted[key] for key in wrong}

    def _search_together(
        self, new: dict[_Asked, Values], amounts: Callable[[Sequence[Values]], list[float]]
    ) -> None:
        """Rounds: what each search wants to see is one batch, until all are at an end."""
        searches = {}
        for key, values in new.items():
            found = self._least(values)
            if isinstance(found, str):
                self._known[key] = Filled(None, None, found)
            else:
                search = _search(found, self._most, self.budget, self.column in COUNTED)
                searches[key] = (search, next(search))
        while searches:
            tries = [
                {**new[key], self.axis: value}
                for key, (_, wanted) in searches.items()
                for value in wanted
            ]
            found_amounts = iter(amounts(tries))
            for key, (search, wanted) in list(searches.items()):
                try:
                    searches[key] = search, search.send([next(found_amounts) for _ in wanted])
                except StopIteration as end:
                    self._known[key] = self._explained(end.value)
                    del searches[key]

    def _explained(self, found: Filled) -> Filled:
        """With the other reason that a column of a stream may have no value."""
        if not found.reason or self.column not in STREAM_COLUMNS:
            return found
        return dataclasses.replace(found, reason=f"{found.reason}, or the hop fits its strides not")

    @property
    def _most(self) -> int:
        return int(self.family.axis(self.axis).maximum or MOST)

    def _least(self, values: Values) -> int | str:
        """The smallest value of the axis that makes a network; why not, where none does."""
        reason = ""
        for value in range(1, self._most + 1):
            tried = {**values, self.axis: value}
            reached = set(self.family.reach(self.axis, tried))
            keys = list(self._parts.keys(tried))
            # Those first that the axis changes nothing of: wrong at 1, they are wrong at 4,096.
            for index in sorted(range(len(keys)), key=reached.__contains__):
                part = self._parts.part(tried, keys[index])
                if isinstance(part, InvalidInput):
                    reason = reason or str(part)
                    if index not in reached:
                        return str(part)
                    break
            else:
                return value
        return reason

    def _count(self, designs: Sequence[Values]) -> list[float]:
        """What designs have of a column that is counted; NaN where they are no network."""
        return [
            math.nan if parts is None else float(sum(parts))
            for parts in map(self._count_parts, designs)
        ]

    def _count_parts(self, values: Values) -> list[int] | None:
        assert self._counter is not None  # of a column of `COUNTED`
        return self._of_parts(values, self._counts, self._counter.count)

    def _price(self, designs: Sequence[Values]) -> list[float]:
        """What designs have of the column; NaN where they are no network, or not executed."""
        number = self.pricing.book.number_part
        numbers: dict[int, dict[int, list[int]]] = {}
        for place, values in enumerate(designs):
            if (parts := self._of_parts(values, self._numbers, number)) is not None:
                numbers.setdefault(len(parts), {})[place] = parts
        groups = grouped(numbers)
        found = np.full(len(designs), np.nan)
        if groups:
            costs = self.pricing.pricers[0].price(Cut(len(designs), groups))
            found = costs.columns[self.column]
        return [float(each) for each in found]

    def _of_parts(
        self, values: Values, known: dict[Key, int | None], find: Callable[[Part], int]
    ) -> list[int] | None:
        """A number of each part of a design, each found once; None where it is no network."""
        numbers = []
        for key in self._parts.keys(values):
            if key not in known:
                part = self._parts.part(values, key)
                known[key] = None if isinstance(part, InvalidInput) else _lowered(find, part)
            if (number := known[key]) is None:
                return None
            numbers.append(number)
        return numbers


def _lowered(find: Callable[[Part], int], part: Part) -> int | None:
    """What is found of a part; None where it cannot be lowered."""
    try:
        return find(part)
    except InvalidInput:
        return None


def _figure(amount: float) -> str:
    """`77,000` or `0.25`: whole where it is large."""
    return f"{amount:,.0f}" if abs(amount) >= 1000 else f"{amount:,.6g}"


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
    # A count rises from width to width, so between two multiples of the narrowest it is searched on
    # like before; of other columns all widths there are tried.
    for step in (least, 1) if rises and least > 1 else (least,):
        bent = CURVED if rises else 0
        while low and high - low > step:
            # Where a count is no parabola, it may creep: it has a few tries, then the line goes on.
            find, bent = _on_parabola if bent > 0 else _on_line, bent - 1
            middle = find(low, high, step, known, budget)
            if middle == low:
                break
            yield from ask([middle])
            if math.isnan(known[middle]):
                yield from ask(range(low, high, step))
                break
            low, high = (middle, high) if known[middle] <= budget else (low, middle)
        if low:
            low = max(value for value, amount in known.items() if amount <= budget)
            beyond = [value for value, amount in known.items() if value > low and amount > budget]
            high = min(beyond, default=high)
    if low:
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


def _on_line(low: int, high: int, step: int, known: dict[int, float], budget: float) -> int:
    """A value in steps between two, on the straight line where both are known.

    Halving would take twice as many steps; but a line that always keeps the same end takes more,
    so it is drawn a tenth of the interval inside of both ends.
    """
    share = 0.5
    if high in known and not math.isnan(known[high]):
        share = (budget - known[low]) / (known[high] - known[low])
    steps = (high - low) // step
    return low + min(max(round(share * steps), -(-steps // 10)), steps - -(-steps // 10)) * step


def _on_parabola(low: int, high: int, step: int, known: dict[int, float], budget: float) -> int:
    """The last step within the budget on a parabola through both ends and one value more.

    Counts are sums of squares of widths, of widths, and of constants. So this is the answer, and
    the next call gives its neighbour, which is beyond: where the line takes six tries, two.
    """
    third = [each for each, amount in known.items() if each not in (low, high) and amount >= 0]
    steps = (high - low) // step
    if high not in known or math.isnan(known[high]) or not third:
        return _on_line(low, high, step, known, budget)
    other = min(third, key=lambda each: abs(each - low))
    slope = (known[high] - known[low]) / (high - low)
    bend = ((known[other] - known[high]) / (other - high) - slope) / (other - low)
    # known[low] + x (slope + bend (x - (high - low))) = budget, solved for x without cancellation
    linear, missing = slope - bend * (high - low), budget - known[low]
    root = linear + math.sqrt(max(linear**2 + 4 * bend * missing, 0.0))
    at = 2 * missing / root if root > 0 else 0.0
    return low + min(max(int((at + 1e-6) // step), 1), steps - 1) * step


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
    options = [
        name
        for name in dict.fromkeys((*AXES, family.width))
        if name in family.axes and type(family.axes[name].default) is int
    ]
    if axis not in options:
        raise InvalidDesign(
            f"what fills a budget is one of {', '.join(options)}, not '{axis}'"
            if options
            else f"family {family.name} has no axis that a budget could solve, as '{axis}' is none"
        )
    for name in values:
        if family.split(name) != (axis, None) and family.split(name)[0] == axis:
            raise InvalidDesign(
                f"'{name}' decides a block's own width, and '{axis}' is solved for all blocks from "
                f"the budget: leave '{name}' out"
            )
