"""Price a whole space on machines, without training: every design, or a sample of them.

A space is cut where a choice decides which other axes matter (the number of blocks, the policy);
each piece is a plain product of axes, so a design is a number in mixed radix, and the designs of a
piece are columns of digits. A block depends on a few axes only: each combination of those is built,
lowered and priced once (`cost_models.batch`), and a design is a row of block numbers. So ten
million designs are some thousand blocks and then sums of columns, in chunks that bound the memory.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cost_models.batch import PartBook, PartPricer
from cost_models.generator import GeneratorSpec
from cost_models.workload import Layer
from dse.design.families.family import Value, Values
from dse.design.point import Block
from dse.design.space import Choice, SearchSpace
from dse.errors import InvalidInput
from dse.networks.lowering import lower_block, lower_head, output_frames
from dse.pricing.budget import Budget
from dse.pricing.machine import Machine
from dse.pricing.machine_columns import Areas, area_columns, fits

CHUNK = 100_000
"""Designs that are priced at a time; some 200 MB."""

INVALID = -1
"""The number of a block that cannot be built, or that the machine cannot execute."""

MOST_COLOURS = 1_000_000_000
"""Designs of a space from which numpy draws without replacement exactly."""

Numbers = npt.NDArray[np.int64]


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
        """Places of the designs' values on the free axes, shape (designs, axes)."""
        digits = np.empty((len(numbers), len(self.free)), dtype=np.int64)
        rest = numbers
        for axis in reversed(range(len(self.free))):
            rest, digits[:, axis] = np.divmod(rest, len(self.free[axis].values))
        return digits

    def values(self, digits: Sequence[int] | npt.NDArray[np.int64]) -> Values:
        """The assignment of one design."""
        chosen = {
            choice.name: choice.values[int(digit)]
            for choice, digit in zip(self.free, digits, strict=True)
        }
        return {**self.fixed, **chosen}


def pieces_of(space: SearchSpace) -> list[Piece]:
    """The pieces of a space, in the order in which `SearchSpace.enumerate` meets them."""

    def grow(index: int, decided: Values, free: tuple[Choice, ...]) -> Iterator[Piece]:
        if index == len(space.choices):
            yield Piece(decided, free)
            return
        choice = space.choices[index]
        if not space.family.matters(choice.name, decided):
            yield from grow(index + 1, decided, free)
        elif space.family.axis(choice.name).decides or len(choice.values) == 1:
            for value in choice.values:
                yield from grow(index + 1, {**decided, choice.name: value}, free)
        else:
            yield from grow(index + 1, decided, (*free, choice))

    return list(grow(0, {}, ()))


def _digits(piece: Piece, count: int | None, rng: np.random.Generator) -> Iterator[Numbers]:
    """Designs of a piece, all or some at random, in chunks."""
    if count is None or piece.size < 2**40:
        numbers = None
        if count is not None:
            numbers = np.sort(rng.choice(piece.size, size=count, replace=False, shuffle=False))
        for start in range(0, piece.size if count is None else count, CHUNK):
            stop = min(start + CHUNK, piece.size if count is None else count)
            chosen = np.arange(start, stop) if numbers is None else numbers[start:stop]
            yield piece.digits(chosen.astype(np.int64))
        return
    # So large that the same design twice is as good as impossible.
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        yield np.stack(
            [rng.integers(0, len(choice.values), size=size) for choice in piece.free], axis=1
        )


@dataclass(slots=True)
class Chunk:
    """Priced designs of one piece on one machine."""

    piece: Piece
    machine: Machine
    digits: Numbers
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


@dataclass(frozen=True, slots=True)
class Placed:
    """Designs by their pieces."""

    designs: int
    parts: list[tuple[int, Numbers, Numbers, Numbers]]
    """Number of the piece; places of its designs; their digits; their blocks."""


@dataclass(slots=True)
class Sweep:
    """Prices designs of a space on machines; remembers the blocks that it has priced."""

    space: SearchSpace
    machines: Sequence[Machine]
    frames: int
    outputs: int
    budget: Budget = field(default_factory=Budget)
    rate: float = 1.0
    """Inferences a second, of the average power."""
    _parts: PartBook = field(default_factory=PartBook, init=False)
    _pricers: dict[int, PartPricer] = field(default_factory=dict, init=False)
    _blocks: dict[object, int] = field(default_factory=dict, init=False)
    _tables: dict[tuple[int, int], Numbers] = field(default_factory=dict, init=False)
    _known_areas: dict[int, Areas] = field(default_factory=dict, init=False)
    _specs: list[GeneratorSpec] = field(default_factory=list, init=False)
    """Distinct generators."""
    _generators: list[int] = field(default_factory=list, init=False)
    """Of each block, its place among them; -1 where nothing is generated."""
    _piece_numbers: dict[tuple[tuple[str, Value], ...], int] = field(
        default_factory=dict, init=False
    )
    pieces: list[Piece] = field(init=False)

    def __post_init__(self) -> None:
        """Cut the space."""
        self.pieces = pieces_of(self.space)

    @property
    def size(self) -> int:
        """Designs of the space."""
        return sum(piece.size for piece in self.pieces)

    def run(self, sample: int | None = None, seed: int = 0) -> Iterator[Chunk]:
        """Price all designs, or a sample of them, chunk by chunk and machine by machine.

        Args:
            sample: how many, each assignment as likely, drawn without replacement where that is
                possible; all where it is None or not below the size.
            seed: of the sample.

        Raises:
            InvalidInput: a machine's SRAM is outside its technology's table.
        """
        rng = np.random.default_rng(seed)
        counts = self._counts(sample, rng)
        machines = range(len(self.machines))  # those of today: `reprice` may add others meanwhile
        for number, (piece, count) in enumerate(zip(self.pieces, counts, strict=True)):
            for digits in _digits(piece, count, rng):
                for machine in machines:
                    yield self._price(number, digits, machine)

    def _counts(self, sample: int | None, rng: np.random.Generator) -> list[int | None]:
        """Designs to draw from each piece; None for all of it."""
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

    def price_designs(
        self, designs: Sequence[Values], machine: int = 0
    ) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.bool_]]:
        """Price chosen designs of the space.

        Args:
            designs: assignments as `SearchSpace.walk` gives them.
            machine: its place among the sweep's machines.

        Returns:
            Columns, each of shape (designs,), NaN where a design cannot be built or executed; and
            which designs are feasible.
        """
        return self.price_placed(self.place(designs), machine)

    def place(self, designs: Sequence[Values]) -> "Placed":
        """Find the pieces and blocks of designs: the part of pricing that no machine changes."""
        members: dict[int, list[int]] = {}
        for index, values in enumerate(designs):
            members.setdefault(self._piece_of(values), []).append(index)
        parts = []
        for number, places in members.items():
            free = self.pieces[number].free
            digits = np.array(
                [
                    [choice.values.index(designs[index][choice.name]) for choice in free]
                    for index in places
                ],
                dtype=np.int64,
            ).reshape(len(places), len(free))
            parts.append((number, np.array(places), digits, self._networks(number, digits)))
        return Placed(len(designs), parts)

    def price_placed(
        self, placed: "Placed", machine: int = 0
    ) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.bool_]]:
        """As `price_designs`, of designs that were placed."""
        columns: dict[str, npt.NDArray[np.float64]] = {}
        feasible = np.zeros(placed.designs, dtype=bool)
        for number, places, digits, networks in placed.parts:
            chunk = self._price_networks(number, digits, networks, machine)
            feasible[places] = chunk.feasible
            for name, figures in chunk.columns.items():
                columns.setdefault(name, np.full(placed.designs, np.nan))[places] = figures
        return columns, feasible

    def _piece_of(self, values: Values) -> int:
        """The piece in which a design lies."""
        names = {
            choice.name
            for choice in self.space.choices
            if self.space.family.axis(choice.name).decides or len(choice.values) == 1
        }
        key = tuple((name, value) for name, value in values.items() if name in names)
        if not self._piece_numbers:
            for number, piece in enumerate(self.pieces):
                self._piece_numbers[tuple(piece.fixed.items())] = number
        return self._piece_numbers[key]

    def reprice(self, chunk: Chunk, machine: Machine) -> Chunk:
        """The designs of a chunk on another machine; all mappings are searched anew.

        Blocks that the sweep has built are not built again.
        """
        if machine not in self.machines:
            self.machines = (*self.machines, machine)
        number = self.pieces.index(chunk.piece)
        return self._price(number, chunk.digits, self.machines.index(machine))

    def _price(self, number: int, digits: Numbers, machine: int) -> Chunk:
        return self._price_networks(number, digits, self._networks(number, digits), machine)

    def _price_networks(
        self, number: int, digits: Numbers, networks: Numbers, machine: int
    ) -> Chunk:
        piece = self.pieces[number]
        pricer = self._pricer(machine)
        pricer.price_parts()
        valid = (networks != INVALID).all(axis=1)
        valid[valid] = pricer.valid[networks[valid]].all(axis=1)
        priced = pricer.price(networks[valid], self.rate)
        priced |= self._areas(machine, networks[valid])
        columns = {}
        for name, figures in priced.items():
            columns[name] = np.full(len(digits), np.nan)
            columns[name][valid] = figures
        feasible = valid & fits(columns, self.machines[machine].accelerator)
        for limit in self.budget.limits:
            within = columns[limit.column] <= limit.bound
            feasible &= within if limit.upper else columns[limit.column] >= limit.bound
        return Chunk(piece, self.machines[machine], digits, columns, feasible)

    def _networks(self, number: int, digits: Numbers) -> Numbers:
        """Block numbers of designs of a piece, shape (designs, blocks)."""
        blocks = range(self.space.family.parts(self.pieces[number].fixed))
        return np.stack([self._block_numbers(number, index, digits) for index in blocks], axis=1)

    def _pricer(self, machine: int) -> PartPricer:
        if machine not in self._pricers:
            spec = self.machines[machine]
            self._pricers[machine] = PartPricer(
                self._parts, spec.accelerator, spec.technology, spec.objective
            )
        return self._pricers[machine]

    def _areas(self, machine: int, networks: Numbers) -> dict[str, npt.NDArray[np.float64]]:
        """Area for each network."""
        spec = self.machines[machine]
        # All matrices of a network are made by one generator; -1 where there are none.
        generators = np.array(self._generators, dtype=np.int64)[networks].max(axis=1)
        known = self._known_areas.setdefault(machine, {})
        return area_columns(spec.accelerator, spec.technology, generators, self._specs, known)

    def _generator_of(self, layers: list[Layer]) -> int:
        """The number of the generator that makes the matrices of a block; -1 without any."""
        specs = {layer.generator for layer in layers if layer.generator is not None}
        if not specs:
            return -1
        [spec] = specs
        if spec not in self._specs:
            self._specs.append(spec)
        return self._specs.index(spec)

    def _block_numbers(self, number: int, index: int, digits: Numbers) -> Numbers:
        """The number of one block of each design; INVALID where it cannot be built."""
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
            missing = np.unique(keys[table[keys] < INVALID])
            table[missing] = self._new_blocks(piece, index, mine, missing)
            return table[keys]
        distinct, back = np.unique(keys, return_inverse=True)
        return self._new_blocks(piece, index, mine, distinct)[back]

    def _table(self, number: int, index: int, piece: Piece, mine: list[str]) -> Numbers | None:
        """Block numbers by key, INVALID - 1 where not known yet; None where too large."""
        size = math.prod(len(choice.values) for choice in piece.free if choice.name in mine)
        if size > 2**22:
            return None
        key = (number, index)
        if key not in self._tables:
            self._tables[key] = np.full(size, INVALID - 1, dtype=np.int64)
        return self._tables[key]

    def _new_blocks(self, piece: Piece, index: int, mine: list[str], keys: Numbers) -> Numbers:
        numbers = np.full(len(keys), INVALID, dtype=np.int64)
        for at, key in enumerate(keys.tolist()):
            try:
                identity = self._identity(self._values_of(piece, mine, key), index)
            except InvalidInput:
                continue
            number = self._blocks.get(identity)
            if number is None:
                layers = self._lowered(identity)
                number = self._blocks[identity] = self._parts.add(layers)
                self._generators.append(self._generator_of(layers))
            numbers[at] = number
        return numbers

    def _values_of(self, piece: Piece, mine: list[str], key: int) -> Values:
        values = dict(piece.fixed)
        sizes = {choice.name: choice for choice in piece.free}
        for name in reversed(mine):
            key, digit = divmod(key, len(sizes[name].values))
            values[name] = sizes[name].values[digit]
        return values

    def _identity(self, values: Values, index: int) -> object:
        """What a block is: equal ones are one block wherever they stand."""
        part, frames = self.space.family.part(values, index, self.space.in_channels), self.frames
        for stride in part.strides:
            frames = output_frames(frames, stride)
        return (part.content, part.in_channels, frames, part.ternary_seed)

    def _lowered(self, identity: object) -> list[Layer]:
        assert isinstance(identity, tuple)
        content, channels, frames, seed = identity
        if isinstance(content, Block):
            return lower_block(content, channels, frames, seed)
        return lower_head(content, channels, frames, self.outputs)
