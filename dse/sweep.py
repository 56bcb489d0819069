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

from cost_models import Accelerator, Objective, Technology
from cost_models.batch import PartBook, PartPricer
from cost_models.energy import leakages_uw
from cost_models.machine_area import machine_area_um2, sum_of
from cost_models.workload import Layer
from dse.budget import Budget
from dse.errors import InvalidDesign, InvalidInput
from dse.lowering import lower_block, lower_head, output_frames
from dse.matchboxnet import (
    Value,
    axes_of_block,
    block_at,
    channels_before,
    matters,
    split_name,
    strides_before,
    uses_ternary,
)
from dse.point import Block
from dse.space import DECIDING, Choice, SearchSpace, Values

CHUNK = 100_000
"""Designs that are priced at a time; some 200 MB."""

INVALID = -1
"""The number of a block that cannot be built, or that the machine cannot execute."""

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

    @property
    def blocks(self) -> int:
        """Residual blocks, the same in all its designs."""
        return int(self.fixed.get("blocks", 3))

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
        if not matters(choice.name, decided):
            yield from grow(index + 1, decided, free)
        elif split_name(choice.name)[0] in DECIDING or len(choice.values) == 1:
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


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to price on."""

    accelerator: Accelerator
    technology: Technology
    objective: Objective = "edp"


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


@dataclass(slots=True)
class Sweep:
    """Prices designs of a space on machines; remembers the blocks that it has priced."""

    space: SearchSpace
    machines: Sequence[Machine]
    frames: int
    outputs: int
    budget: Budget = field(default_factory=Budget)
    _parts: PartBook = field(default_factory=PartBook, init=False)
    _pricers: dict[int, PartPricer] = field(default_factory=dict, init=False)
    _blocks: dict[object, int] = field(default_factory=dict, init=False)
    _tables: dict[tuple[int, int], Numbers] = field(default_factory=dict, init=False)
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
        for number, (piece, count) in enumerate(zip(self.pieces, counts, strict=True)):
            for digits in _digits(piece, count, rng):
                for machine in range(len(self.machines)):
                    yield self._price(number, digits, machine)

    def _counts(self, sample: int | None, rng: np.random.Generator) -> list[int | None]:
        """Designs to draw from each piece; None for all of it."""
        if sample is None or sample >= self.size:
            return [None] * len(self.pieces)
        share = np.array([piece.size / self.size for piece in self.pieces])
        drawn = rng.multinomial(sample, share / share.sum())
        return [
            min(int(count), piece.size) for count, piece in zip(drawn, self.pieces, strict=True)
        ]

    def reprice(self, chunk: Chunk, machine: Machine) -> Chunk:
        """The designs of a chunk on another machine; all mappings are searched anew.

        Blocks that the sweep has built are not built again.
        """
        if machine not in self.machines:
            self.machines = (*self.machines, machine)
        number = self.pieces.index(chunk.piece)
        return self._price(number, chunk.digits, self.machines.index(machine))

    def _price(self, number: int, digits: Numbers, machine: int) -> Chunk:
        piece = self.pieces[number]
        networks = np.stack(
            [self._block_numbers(number, index, digits) for index in range(piece.blocks + 4)],
            axis=1,
        )
        pricer = self._pricer(machine)
        pricer.price_parts()
        valid = (networks != INVALID).all(axis=1)
        valid[valid] = pricer.valid[networks[valid]].all(axis=1)
        priced = pricer.price(networks[valid])
        priced |= {
            name: np.full(int(valid.sum()), figure)
            for name, figure in self._machine_columns(machine, piece).items()
        }
        columns = {}
        for name, figures in priced.items():
            columns[name] = np.full(len(digits), np.nan)
            columns[name][valid] = figures
        feasible = valid & self._fits(columns, machine)
        for limit in self.budget.limits:
            within = columns[limit.column] <= limit.bound
            feasible &= within if limit.upper else columns[limit.column] >= limit.bound
        return Chunk(piece, self.machines[machine], digits, columns, feasible)

    def _fits(
        self, columns: dict[str, npt.NDArray[np.float64]], machine: int
    ) -> npt.NDArray[np.bool_]:
        accelerator = self.machines[machine].accelerator
        weights, activations = accelerator.chain("weights")[-1], accelerator.chain("inputs")[-1]
        fits: npt.NDArray[np.bool_] = (columns["stored_bits"] <= weights.capacity_bits) & (
            columns["activation_bits"] <= activations.capacity_bits
        )
        return fits

    def _pricer(self, machine: int) -> PartPricer:
        if machine not in self._pricers:
            spec = self.machines[machine]
            self._pricers[machine] = PartPricer(
                self._parts, spec.accelerator, spec.technology, spec.objective
            )
        return self._pricers[machine]

    def _machine_columns(self, machine: int, piece: Piece) -> dict[str, float]:
        """Area and leakage; the generator is built for the family that the piece uses."""
        spec = self.machines[machine]
        specs = []
        if spec.accelerator.generator is not None and uses_ternary(piece.fixed):
            for layer in self._example(piece):
                if layer.generator is not None and layer.generator not in specs:
                    specs.append(layer.generator)
        area = sum_of(machine_area_um2(spec.accelerator, spec.technology, specs).values())
        leakage = sum_of(leakages_uw(spec.accelerator, spec.technology).values())
        return {
            "area_um2": area.mid,
            "area_low_um2": area.low,
            "area_high_um2": area.high,
            "leakage_uw": leakage.mid,
        }

    def _example(self, piece: Piece) -> list[Layer]:
        values = piece.values([0] * len(piece.free))
        layers: list[Layer] = []
        for index in range(piece.blocks + 3):
            try:
                layers += self._layers(values, index)
            except InvalidInput:
                continue
        return layers

    def _block_numbers(self, number: int, index: int, digits: Numbers) -> Numbers:
        """The number of one block of each design; INVALID where it cannot be built."""
        piece = self.pieces[number]
        names = [choice.name for choice in piece.free]
        mine = axes_of_block(names, index, piece.blocks)
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
            except InvalidDesign:
                continue
            number = self._blocks.get(identity)
            if number is None:
                number = self._blocks[identity] = self._parts.add(self._lowered(identity))
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
        in_channels = self.space.in_channels
        channels, frames = channels_before(values, index, in_channels), self.frames
        for stride in strides_before(values, index):
            frames = output_frames(frames, stride)
        if index == int(values.get("blocks", 3)) + 3:
            return ("head", channels, frames)
        block = block_at(values, index, in_channels)
        seed = int(values.get("ternary_seed", 1)) if uses_ternary(values) else 1
        return (block, channels, frames, seed)

    def _lowered(self, identity: object) -> list[Layer]:
        assert isinstance(identity, tuple)
        if identity[0] == "head":
            return lower_head("pooled", identity[1], identity[2], self.outputs)
        block, channels, frames, seed = identity
        assert isinstance(block, Block)
        return lower_block(block, channels, frames, seed)

    def _layers(self, values: Values, index: int) -> list[Layer]:
        return self._lowered(self._identity(values, index))
