"""Designs cut into the parts that they share: what can be known of them before any machine is.

A network is a row of parts, its blocks and its head:

    Conv1 | B1 | B2 | ... | Conv3 | head        ->        17 | 3 | 3 | ... | 40 | 8

What a part costs depends on the block, on the channels, frames, bins and bits that it reads, and
on the seed of its ternary matrices, not on where in which network it stands. So ten million designs
of a space have some thousand distinct parts; each is lowered to layers once, gets a number, and
from then on a design is a row of whole numbers, which numpy handles a million at a time.
`dse.pricing.pricer` prices such rows on a machine.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cost_models.batch import PartBook
from cost_models.generator import GeneratorSpec
from dse.design.channels import Passage, forward, passage
from dse.design.families.family import Family, Part, Value
from dse.design.point import INPUT_BITS, Block, DesignPoint, Head
from dse.networks.lowering import lower_block, lower_head, output_frames
from dse.pricing.listening import Listening, StreamedParts

Numbers = npt.NDArray[np.int64]

NO_PART = -1
"""Stands in a row for a part that cannot be built; so does the network then."""


class Rows(NamedTuple):
    """Designs of equally many parts: row i of `networks` is design number `places[i]` of a cut."""

    places: Numbers
    """Where they stand among all designs, shape (designs,)."""
    networks: Numbers
    """Numbers of their parts in order, or `NO_PART`, shape (designs, parts)."""


class Cut(NamedTuple):
    """Designs as rows of part numbers: what a `Pricer` takes.

    The numbers mean parts of the one book that the cut was made with. Networks of different depth
    have rows of different length, so they stand in different arrays; a sentinel for "no part" would
    have to be paid for in each row.
    """

    designs: int
    """How many there are, whatever their parts."""
    groups: tuple[Rows, ...]
    """Those of equally many parts together, so that each group is one array."""


def grouped(networks: Mapping[int, Mapping[int, Sequence[int]]]) -> tuple[Rows, ...]:
    """Rows of equally many parts as arrays.

    Args:
        networks: number of parts -> place of a design -> the numbers of its parts.
    """
    return tuple(
        Rows(np.array(list(rows)), np.array(list(rows.values()))) for rows in networks.values()
    )


class DesignBook:
    """Distinct parts of designs, each lowered once; all machines share it.

    Nothing in it depends on a machine, so a study with twenty machines lowers each part once. It
    only grows: numbers stay valid, and whoever prices from it asks for what is new since last time.
    """

    def __init__(self, frames: int, outputs: int, listening: Listening | None = None) -> None:
        """Begin a book.

        Args:
            frames: input frames of one inference.
            outputs: classes.
            listening: how a stream is taken in; None where nobody asks what a hop costs.
        """
        self.frames, self.outputs, self.listening = frames, outputs, listening
        self.streamed = StreamedParts(listening.hop_frames) if listening else None
        """The same parts as they run each hop, by the same numbers."""
        self.parts = PartBook()
        self.generators: list[tuple[GeneratorSpec, ...]] = [()]
        """Distinct sets of generators that parts or networks need; the first is none."""
        self._numbers: dict[tuple[Block | Head, int, int, int, int, int, tuple[int, ...]], int] = {}
        self._generators_of_part: list[int] = []
        self._blocks: list[tuple[Block | None, int, int]] = []
        """Of each part: the block (None of a head), the channels that it reads, and its seed."""
        self._passages: list[Passage] = []
        self._table = np.zeros((0, 3), dtype=np.int64)
        """The same as an array, as of the last time that it was asked for."""
        self._unsure = False
        """Whether any part may let nothing through."""
        self._masks: list[npt.NDArray[np.bool_]] = []
        """Distinct sets of live channels that were met, shape (channels,) each."""
        self._mask_numbers: dict[bytes, int] = {}
        self._steps: dict[tuple[int, int], int] = {}
        """(part, set of channels that are live before it) -> set of those that are behind it."""

    @property
    def blocks(self) -> Sequence[tuple[Block | None, int, int]]:
        """Of each part: its block (None of a head), the channels that it reads, and its seed."""
        return self._blocks

    def number(
        self,
        content: Block | Head,
        in_channels: int,
        in_frames: int,
        ternary_seed: int,
        in_bits: int = INPUT_BITS,
        strides: Sequence[int] = (),
        in_bins: int = 1,
    ) -> int:
        """The number of a part; a new one is lowered and written into the book.

        Args:
            content: a block, or the kind of a head.
            in_channels: that it reads.
            in_frames: that it reads.
            ternary_seed: of the network's matrices; a head has none.
            in_bits: of a value that it reads.
            strides: of the parts before it. One inference knows them by `in_frames` already; of a
                stream they say how much of a hop comes here, and whether the part is the first.
            in_bins: of each frame that it reads.

        Returns:
            A place in `parts`, from 0; the same for equal arguments.

        Raises:
            InvalidInput: the part cannot be lowered.
        """
        # The block's name is part of the block, and so of the key: a ternary matrix is a function
        # of its layer's name, so B1 and B2 of equal sizes have different numbers of additions.
        seed = ternary_seed if isinstance(content, Block) else 0
        hop = (len(strides) > 0, math.prod(strides)) if self.streamed is not None else ()
        key = (content, in_channels, in_frames, seed, in_bits, in_bins, hop)
        if key not in self._numbers:
            layers = (
                lower_block(content, in_channels, in_frames, seed, in_bits=in_bits, in_bins=in_bins)
                if isinstance(content, Block)
                else lower_head(content, in_channels, in_frames, self.outputs, in_bits, in_bins)
            )
            self._numbers[key] = self.parts.add(layers)
            if self.streamed is not None:
                self.streamed.add(layers, strides)
            specs = [layer.generator for layer in layers if layer.generator is not None]
            self._generators_of_part.append(self._number_set(specs))
            block = content if isinstance(content, Block) else None
            through = passage(block, in_channels, ternary_seed) if block else Passage(0, 1, 1)
            self._blocks.append((block, in_channels, ternary_seed))
            self._passages.append(through)
            self._unsure |= not through.is_sure
        return self._numbers[key]

    def number_parts(
        self, family: Family, values: Mapping[str, Value], in_channels: int
    ) -> list[int]:
        """The numbers of the parts of a network, as its family builds them from values of axes.

        Args:
            family: of the network.
            values: axis -> value; what is missing takes its default.
            in_channels: features per frame.

        Raises:
            InvalidInput: a part cannot be built or lowered.
        """
        parts = (family.part(values, index, in_channels) for index in range(family.parts(values)))
        return [self.number_part(part) for part in parts]

    def number_part(self, part: Part) -> int:
        """The number of a part as its family builds it, with the frames that are left of ours.

        Raises:
            InvalidInput: the part cannot be lowered.
        """
        frames = functools.reduce(output_frames, part.strides, self.frames)
        read = (part.in_channels, frames, part.ternary_seed, part.in_bits, part.strides)
        return self.number(part.content, *read, part.in_bins)

    def cut(self, points: Sequence[DesignPoint]) -> Cut:
        """Designs as rows of part numbers.

        Raises:
            InvalidInput: a design cannot be lowered.
        """
        networks: dict[int, dict[int, list[int]]] = {}
        for place, point in enumerate(points):
            numbers = self._network(point)
            networks.setdefault(len(numbers), {})[place] = numbers
        return Cut(len(points), grouped(networks))

    def find_dead(self, networks: Numbers) -> npt.NDArray[np.bool_]:
        """Which networks are dead: nothing of the input reaches the scores, shape (designs,).

        Counts make sure of nearly all (`Passage`); of the others it is looked which channels of
        each block are live (`dse.design.channels`), and each such step is remembered.

        Args:
            networks: part numbers or `NO_PART`, shape (designs, parts).
        """
        dead = np.zeros(len(networks), dtype=np.bool_)
        if not self._unsure:  # as nearly always
            return dead
        if len(self._table) < len(self._passages):
            self._table = np.array(self._passages, dtype=np.int64)
        passages = self._table
        unsure = (passages[:, 2] == 0) & ((passages[:, 0] > 0) | (passages[:, 1] == 0))
        some = np.flatnonzero(unsure[networks].any(axis=1) & (networks != NO_PART).all(axis=1))
        some = some[self._least_live(networks[some], passages) == 0]
        dead[some] = ~self._are_live(networks[some])
        return dead

    def _least_live(self, networks: Numbers, passages: Numbers) -> Numbers:
        """Channels of the last block that counts make sure are live; 0 where they tell nothing."""
        reads = np.array([channels for _, channels, _ in self._blocks], dtype=np.int64)
        live: Numbers = reads[networks[:, 0]]
        for place in range(networks.shape[1]):
            needs, gives, rest = passages[networks[:, place]].T
            live = np.where(live > needs, gives, np.where(live > 0, rest, 0))
        return live

    def _are_live(self, networks: Numbers) -> npt.NDArray[np.bool_]:
        """Whether any channel of the last block of networks is live, by their very matrices.

        All networks take a step together: many of a sweep begin with the same blocks, and which
        channels are live behind those is looked up once for all of them.

                          Conv1       B1        B2       head
            networks       17         23        41         5     part numbers
            live       0   ->    1    ->   4    ->    2   ->   2   places in `_masks`
        """
        reads = [self._blocks[part][1] for part in networks[:, 0].tolist()]
        all_live = {
            width: self._mask_number(np.ones(width, dtype=np.bool_)) for width in set(reads)
        }
        live = np.array([all_live[width] for width in reads], dtype=np.int64)
        for part in networks.T:
            known = len(self._masks)  # steps add to them
            distinct, at = np.unique(part * known + live, return_inverse=True)
            after = [self._step(*divmod(pair, known)) for pair in distinct.tolist()]
            live = np.array(after, dtype=np.int64)[at]
        alive = np.array([mask.any() for mask in self._masks], dtype=np.bool_)
        found: npt.NDArray[np.bool_] = alive[live]
        return found

    def _step(self, part: int, mask: int) -> int:
        """The set of channels that are live behind a part, of those live before it."""
        block, channels, seed = self._blocks[part]
        if block is None:  # a head
            return mask
        if (part, mask) not in self._steps:
            behind = forward(block, channels, seed, self._masks[mask])
            self._steps[part, mask] = self._mask_number(behind)
        return self._steps[part, mask]

    def _mask_number(self, mask: npt.NDArray[np.bool_]) -> int:
        key = mask.tobytes()
        if key not in self._mask_numbers:
            self._mask_numbers[key] = len(self._masks)
            self._masks.append(mask)
        return self._mask_numbers[key]

    def dead_designs(self, cut: Cut) -> npt.NDArray[np.bool_]:
        """Which designs of a cut are dead, shape (designs,); what cannot be built is not."""
        dead = np.zeros(cut.designs, dtype=np.bool_)
        for places, networks in cut.groups:
            dead[places] = self.find_dead(networks)
        return dead

    def find_generators(self, networks: Numbers) -> Numbers:
        """Places in `generators` of what makes the matrices of networks, shape (designs,).

        Nearly always one generator makes all matrices of a network, so that its number is that of
        all parts that have any; networks of several are looked at one by one.

        Args:
            networks: part numbers, shape (designs, parts), none of them `NO_PART`.
        """
        # Set 0 is "no generator", so the largest number of a row is the one set of a plain network,
        # wherever its ternary parts stand. A row is mixed where a part has neither 0 nor that.
        parts = np.array(self._generators_of_part, dtype=np.int64)[networks]
        found: Numbers = parts.max(axis=1)
        if len(self.generators) <= 2:  # none, and one other: nothing to mix
            return found
        mixed = ((parts != 0) & (parts != found[:, None])).any(axis=1)
        for at in np.flatnonzero(mixed):
            found[at] = self._number_set(
                [spec for one in parts[at] for spec in self.generators[one]]
            )
        return found

    def _number_set(self, specs: Sequence[GeneratorSpec]) -> int:
        distinct = tuple(dict.fromkeys(specs))
        if distinct not in self.generators:
            self.generators.append(distinct)
        return self.generators.index(distinct)

    def _network(self, point: DesignPoint) -> list[int]:
        """Numbers of the blocks of a network and of its head."""
        channels, frames, seed = point.in_channels, self.frames, point.ternary_seed
        numbers, bits, bins = [], INPUT_BITS, point.in_bins
        strides: tuple[int, ...] = ()
        for block in point.blocks:
            numbers.append(self.number(block, channels, frames, seed, bits, strides, bins))
            channels, frames = block.out_channels, output_frames(frames, block.stride)
            bits, strides = block.activation_bits, (*strides, block.stride)
            bins = block.out_bins(bins)
        return [*numbers, self.number(point.head, channels, frames, seed, bits, strides, bins)]
