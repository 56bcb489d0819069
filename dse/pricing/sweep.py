"""Price a whole space on machines, without training: every design, or a sample of them.

A space is cut where a choice decides which other axes matter (the number of blocks, the policy);
each piece is a plain product of axes, so a design is a number in mixed radix, and the designs of a
piece are columns of digits:

    piece    blocks 3, policy P1; free: channels (32, 48, 64), kernel (11, 13)
    design   number 3 of 6  =  digits (1, 1)  =  channels 48, kernel 13

A part of a network (a block, or the head) depends on a few axes only, so its own digits are its
place in a table of part numbers; what the table does not know yet is built and lowered once
(`dse.pricing.book`). From then on enumerating costs a table look-up a part: ten million designs are
some thousand parts and then sums of rows (`dse.pricing.pricer`), in chunks that bound the memory.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.design.families.family import Value, Values
from dse.design.space import Choice, SearchSpace
from dse.errors import InvalidInput
from dse.pricing.book import NO_PART, Cut, Numbers, Rows, grouped
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing

CHUNK = 100_000
"""Designs that are priced at a time; some 200 MB."""

UNKNOWN = NO_PART - 1
"""Stands in a table for the number of a part that was not met yet."""

MOST_COLOURS = 1_000_000_000
"""Designs of a space from which numpy draws without replacement exactly: the sum of the colours
that `multivariate_hypergeometric` takes with the method `marginals` must be below."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a space in which the same axes matter: a plain product of them."""

    fixed: Values
    free: tuple[Choice, ...]

    @property
    def size(self) -> int:
        """Designs of the piece."""
        return math.prod(len(choice.values) for choice in self.free)

    def digits(self, numbers: Numbers) -> Numbers:
        """Places of the designs' values on the free axes, shape (designs, axes).

        Mixed radix, the last axis running fastest, as in nested loops over the axes in order:

            number = ((d0 * n1 + d1) * n2 + d2) ...        n: values of an axis, d < n its digit

        Args:
            numbers: of designs within the piece, from 0 to size - 1, shape (designs,).
        """
        digits = np.empty((len(numbers), len(self.free)), dtype=np.int64)
        rest = numbers
        for axis in reversed(range(len(self.free))):
            rest, digits[:, axis] = np.divmod(rest, len(self.free[axis].values))
        return digits

    def values(self, digits: Sequence[int] | npt.NDArray[np.int64]) -> Values:
        """The assignment of one design, as `SearchSpace.point` takes it.

        Args:
            digits: one row of `digits`, a place in the values of each free axis.
        """
        chosen = {
            choice.name: choice.values[int(digit)]
            for choice, digit in zip(self.free, digits, strict=True)
        }
        return {**self.fixed, **chosen}


def cut_pieces(space: SearchSpace) -> list[Piece]:
    """The pieces of a space, in the order in which `SearchSpace.enumerate` meets them.

    A space is a tree: which axes there are depends on values of axes before. But only few axes
    *decide* that. Branch on those, keep all others whole, and each leaf is a box:

        policy P0                      piece 1   free: channels, kernel
        policy P4  generator sobol     piece 2   free: channels, kernel, rounds
                   generator one_hot   piece 3   free: channels, kernel, state_bits

    Axes of a single value are fixed, too: they would be digits that are always 0.
    """

    def grow(index: int, decided: Values, free: tuple[Choice, ...]) -> Iterator[Piece]:
        if index == len(space.choices):
            yield Piece(decided, free)
            return
        choice = space.choices[index]
        if not space.matters(choice.name, decided):
            yield from grow(index + 1, decided, free)
        elif space.family.axis(choice.name).decides or len(choice.values) == 1:
            for value in choice.values:
                yield from grow(index + 1, {**decided, choice.name: value}, free)
        else:
            yield from grow(index + 1, decided, (*free, choice))

    return list(grow(0, {}, ()))


def _digits(
    piece: Piece, count: int | None, rng: np.random.Generator
) -> Iterator[Callable[[], Numbers]]:
    """Designs of a piece, all or some at random, in chunks; each is made when it is asked for."""
    # Numbers are drawn where a number can be drawn without repetition; the digits themselves where
    # the piece has more designs than that, or than 64 bits can count.
    if count is None or piece.size < 2**40:
        numbers = None
        if count is not None:
            numbers = np.sort(rng.choice(piece.size, size=count, replace=False, shuffle=False))
        for start in range(0, piece.size if count is None else count, CHUNK):
            stop = min(start + CHUNK, piece.size if count is None else count)
            yield functools.partial(_chosen_digits, piece, numbers, start, stop)
        return
    # So large that the same design twice is as good as impossible.
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        drawn = np.stack(
            [rng.integers(0, len(choice.values), size=size) for choice in piece.free], axis=1
        )
        yield functools.partial(np.array, drawn)


def _chosen_digits(piece: Piece, numbers: Numbers | None, start: int, stop: int) -> Numbers:
    chosen = np.arange(start, stop) if numbers is None else numbers[start:stop]
    return piece.digits(chosen.astype(np.int64))


@dataclass(slots=True)
class Chunk:
    """Priced designs of one piece on one machine, at most `CHUNK` of them.

    All arrays have a row a design, in the same order. What is not wanted should be dropped before
    the next chunk is asked for: a whole sweep does not fit into memory.
    """

    piece: Piece
    machine: Machine
    digits: Numbers
    cut: Cut
    """The same designs for another `Pricer`."""
    columns: dict[str, npt.NDArray[np.float64]]
    """NaN for designs that cannot be built or executed."""
    feasible: npt.NDArray[np.bool_]
    """Buildable, executable, within the memories and the limits."""

    def axis(self, name: str) -> list[Value | None]:
        """Values of one axis; None where it does not matter."""
        if name in self.piece.fixed:
            return [self.piece.fixed[name]] * len(self.digits)
        for place, choice in enumerate(self.piece.free):
            if choice.name == name:
                values = np.array(choice.values, dtype=object)
                chosen: list[Value | None] = values[self.digits[:, place]].tolist()
                return chosen
        return [None] * len(self.digits)


class Sweep:
    """Prices designs of a space on machines; remembers the parts that it has met."""

    def __init__(self, space: SearchSpace, pricing: Pricing) -> None:
        """Cut the space.

        Args:
            space: of the designs.
            pricing: the machines, the limits, and the book that parts are written into.
        """
        self.space, self.pricing, self.book = space, pricing, pricing.book
        self.pieces = cut_pieces(space)
        self._tables: dict[tuple[int, int], Numbers] = {}
        self._piece_numbers: dict[tuple[tuple[str, Value], ...], int] = {
            tuple(piece.fixed.items()): number for number, piece in enumerate(self.pieces)
        }

    @property
    def size(self) -> int:
        """Designs of the space, also those that cannot be built: `SearchSpace.size`."""
        return sum(piece.size for piece in self.pieces)

    def run(
        self, sample: int | None = None, seed: int = 0, *, part: int = 0, parts: int = 1
    ) -> Iterator[Chunk]:
        """Price all designs, or a sample of them, chunk by chunk and machine by machine.

        Chunks are dealt out like cards: with as many parts, each on its own machine, every chunk is
        in one of them, and all parts together are the sweep.

        Args:
            sample: how many, each assignment as likely, drawn without replacement where that is
                possible; all where it is None or not below the size.
            seed: of the sample.
            part: which chunks, from 0.
            parts: of how many.

        Raises:
            InvalidInput: a machine's SRAM is outside its technology's table, or the space solves an
                axis.
        """
        for number, price in enumerate(self.chunks(sample, seed)):
            if number % parts == part:
                yield from price()

    def chunks(
        self, sample: int | None = None, seed: int = 0
    ) -> Iterator[Callable[[], Iterator[Chunk]]]:
        """What prices the designs of each chunk, machine by machine, when it is called.

        The sweep in its order, for those who price some of it: to pass over a chunk costs nothing.
        Arguments and errors are those of `run`.
        """
        self._refuse_solved()
        rng = np.random.default_rng(seed)
        counts = self._counts(sample, rng)
        for number, (piece, count) in enumerate(zip(self.pieces, counts, strict=True)):
            for make_digits in _digits(piece, count, rng):
                yield functools.partial(self._price_chunk, number, make_digits)

    def chunk_sizes(self, sample: int | None = None, seed: int = 0) -> list[int]:
        """Designs of each chunk, in the order of `chunks`, each counted once; nothing is drawn."""
        counts = self._counts(sample, np.random.default_rng(seed))
        return [
            min(CHUNK, designs - start)
            for piece, count in zip(self.pieces, counts, strict=True)
            for designs in [piece.size if count is None else count]
            for start in range(0, designs, CHUNK)
        ]

    def _price_chunk(self, number: int, make_digits: Callable[[], Numbers]) -> Iterator[Chunk]:
        digits = make_digits()
        rows = Rows(np.arange(len(digits)), self._networks(number, digits))
        cut = Cut(len(digits), (rows,))
        for pricer in self.pricing.pricers:
            yield Chunk(self.pieces[number], pricer.machine, digits, cut, *pricer.price(cut))

    def _refuse_solved(self) -> None:
        if self.space.solver is not None:
            raise InvalidInput(
                f"a sweep prices widths that are given, and '{self.space.solver.axis}' is solved "
                "from the budget: leave fill out and give the space that axis, or use dse match"
            )

    def _counts(self, sample: int | None, rng: np.random.Generator) -> list[int | None]:
        """Designs to draw from each piece; None for all of it.

        Drawing without replacement from the whole space, and counting how many fall into each
        piece, is the multivariate hypergeometric distribution: the counts can be drawn first, and
        the designs within each piece after that. numpy draws that up to a size; beyond it, from the
        multinomial (with replacement), which for so many designs is hardly another one.
        """
        if sample is None or sample >= self.size:
            return [None] * len(self.pieces)
        sizes = [piece.size for piece in self.pieces]
        if self.size < MOST_COLOURS:
            drawn = rng.multivariate_hypergeometric(sizes, sample, method="marginals")
            return [int(count) for count in drawn]
        counts = [0] * len(sizes)
        while (left := sample - sum(counts)) > 0:
            # A piece from which all is drawn already gives no more.
            room = np.array(
                [size - count for size, count in zip(sizes, counts, strict=True)], float
            )
            drawn = rng.multinomial(left, room / room.sum())
            counts = [
                min(count + int(more), size)
                for count, more, size in zip(counts, drawn, sizes, strict=True)
            ]
        return list(counts)

    def cut(self, designs: Sequence[Values]) -> Cut:
        """Chosen designs of the space as rows of part numbers, ready for any `Pricer`.

        Args:
            designs: assignments as `SearchSpace.walk` gives them.
        """
        if self.space.solver is not None:
            return self._cut_solved(self.space.solver.solve(designs))
        members: dict[int, list[int]] = {}
        for index, values in enumerate(designs):
            members.setdefault(self._find_piece(values), []).append(index)
        groups = []
        for number, places in members.items():
            free = self.pieces[number].free
            digits = np.array(
                [
                    [choice.values.index(designs[index][choice.name]) for choice in free]
                    for index in places
                ],
                dtype=np.int64,
            ).reshape(len(places), len(free))
            groups.append(Rows(np.array(places), self._networks(number, digits)))
        return Cut(len(designs), tuple(groups))

    def _cut_solved(self, designs: Sequence[Values | str]) -> Cut:
        """The same of designs of which an axis was solved: they lie in no table of this space.

        One that could not be solved is a part that cannot be built.
        """
        networks: dict[int, dict[int, list[int]]] = {}
        for place, values in enumerate(designs):
            numbers = [NO_PART]
            if not isinstance(values, str):
                with contextlib.suppress(InvalidInput):
                    numbers = self.book.number_parts(
                        self.space.family, values, self.space.in_channels
                    )
            networks.setdefault(len(numbers), {})[place] = numbers
        return Cut(len(designs), grouped(networks))

    def _find_piece(self, values: Values) -> int:
        """The piece in which a design lies."""
        names = {
            choice.name
            for choice in self.space.choices
            if self.space.family.axis(choice.name).decides or len(choice.values) == 1
        }
        # `walk` decides in the order of the space, as `cut_pieces` did: the pairs match in order.
        key = tuple((name, value) for name, value in values.items() if name in names)
        return self._piece_numbers[key]

    def _networks(self, number: int, digits: Numbers) -> Numbers:
        """Part numbers of designs of a piece, shape (designs, parts)."""
        parts = range(self.space.family.parts(self.pieces[number].fixed))
        return np.stack([self._part_numbers(number, index, digits) for index in parts], axis=1)

    def _part_numbers(self, number: int, index: int, digits: Numbers) -> Numbers:
        """The number of one part of each design; `NO_PART` where it cannot be built.

            free axes of the piece    channels_b1  channels_b2  kernel_b1    digits (d, axes)
            of them, reach part 1     channels_b1               kernel_b1    `mine`
            key                       digits of these few, in mixed radix    (d,)
            part number               table[key]                             (d,)

        The family says which axes reach a part (`Family.reach`). One too many only makes the table
        larger; one too few would give two different parts one number.
        """
        piece = self.pieces[number]
        names = [choice.name for choice in piece.free]
        reach = self.space.family.reach
        mine = [name for name in names if index in reach(name, piece.fixed)]
        keys = np.zeros(len(digits), dtype=np.int64)
        for name in mine:
            place = names.index(name)
            keys = keys * len(piece.free[place].values) + digits[:, place]
        table = self._table(number, index, piece, mine)
        if table is not None:
            missing = np.unique(keys[table[keys] == UNKNOWN])
            table[missing] = self._new_parts(piece, index, mine, missing)
            return table[keys]
        # Too many keys for a table: those of this chunk alone, which the book knows again if it met
        # them before, though each is built once more to ask.
        distinct, back = np.unique(keys, return_inverse=True)
        return self._new_parts(piece, index, mine, distinct)[back]

    def _table(self, number: int, index: int, piece: Piece, mine: list[str]) -> Numbers | None:
        """Part numbers by key, `UNKNOWN` where not met yet; None where too large."""
        size = math.prod(len(choice.values) for choice in piece.free if choice.name in mine)
        if size > 2**22:
            return None
        key = (number, index)
        if key not in self._tables:
            self._tables[key] = np.full(size, UNKNOWN, dtype=np.int64)
        return self._tables[key]

    def _new_parts(self, piece: Piece, index: int, mine: list[str], keys: Numbers) -> Numbers:
        """Numbers of parts that are built from their keys, one by one: the only slow step.

        Axes that do not reach the part are left at their defaults, which by definition of reach
        change nothing of it. The part is lowered for the frames that the strides before it leave.
        """
        numbers = np.full(len(keys), NO_PART, dtype=np.int64)
        for at, key in enumerate(keys.tolist()):
            values = self._decode_values(piece, mine, key)
            try:
                part = self.space.family.part(values, index, self.space.in_channels)
            except InvalidInput:  # it cannot be built
                continue
            numbers[at] = self.book.number_part(part)
        return numbers

    def _decode_values(self, piece: Piece, mine: list[str], key: int) -> Values:
        """The values behind a key: its digits taken off from the last axis, as it was put on."""
        values = dict(piece.fixed)
        sizes = {choice.name: choice for choice in piece.free}
        for name in reversed(mine):
            key, digit = divmod(key, len(sizes[name].values))
            values[name] = sizes[name].values[digit]
        return values
