"""Parts of designs that are asked for again and again, and counts that need no machine's pricing.

Whoever tries widths of a design builds it some ten times, and most of it stays as it was: of six
axes that a space has, a part depends on two or three (`Family.reach`), and only those are its key.

    design    blocks 3, policy P2, kernel_b2 15, final_channels 96, channels 63
    B2        blocks 3, policy P2, kernel_b2 15,                    channels 63   any final_channels
    head      blocks 3, policy P2,               final_channels 96                any channels

Counts (`COUNTED`) are sums over layers, which no mapping changes. So they need no search for tiles,
only the layers; and blocks that differ in their name alone have equal ones.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Final

from cost_models.accelerator import Accelerator
from cost_models.workload import Layer
from dse.design.families.family import Family, Part, Value
from dse.design.mixer import GENERATED_KINDS, Mixer
from dse.design.point import Block, Head
from dse.errors import InvalidInput
from dse.networks.lowering import lower_block, lower_head, output_frames
from dse.ternary.generators import Generator as TernaryGenerator

Key = tuple[int | tuple[str, Value], ...]
"""Of a part: its index, then each axis that it depends on with its value."""

COUNTED: Final = (
    "trained_parameters",
    "stored_bits",
    "generated_weights",
    "macs",
    "multiplications",
)
"""Columns that are sums over layers, whatever the mapping and the entries of ternary matrices."""

_COUNTED_AS = attrgetter(
    *(each.name for each in dataclasses.fields(Block) if each.name not in ("name", "dropout"))
)


class KnownParts:
    """Parts by what they depend on; each is built once."""

    def __init__(self, family: Family, in_channels: int, without: frozenset[str]) -> None:
        """Begin without any.

        Args:
            family: of the designs.
            in_channels: features per frame.
            without: axes that change nothing of what is asked about a part.
        """
        self.family, self.in_channels, self._without = family, in_channels, without
        self._parts: dict[Key, Part | InvalidInput] = {}

    def keys(self, values: Mapping[str, Value]) -> Iterator[Key]:
        """What each part of a design depends on, in their order."""
        reached = [
            (item, self.family.reach(item[0], values))
            for item in values.items()
            if item[0] not in self._without
        ]
        for index in range(self.family.parts(values)):
            yield index, *(item for item, parts in reached if index in parts)

    def part(self, values: Mapping[str, Value], key: Key) -> Part | InvalidInput:
        """A part of a design, or why it cannot be built.

        Args:
            values: of the design.
            key: one of its `keys`.
        """
        if key not in self._parts:
            index = key[0]
            assert isinstance(index, int)  # as `keys` makes them
            try:
                self._parts[key] = self.family.part(values, index, self.in_channels)
            except InvalidInput as error:
                self._parts[key] = error
        return self._parts[key]


class Counter:
    """Counts a column of `COUNTED` over the layers of parts; remembers what it has counted."""

    def __init__(self, column: str, machine: Accelerator, frames: int, outputs: int) -> None:
        """Know what to count.

        Args:
            column: of `COUNTED`.
            machine: decides which bits are stored, and whether weights are generated.
            frames: input frames of one inference.
            outputs: classes.
        """
        self._count = _of_layer(column, machine)
        self._drawn = column != "trained_parameters"
        self._frames, self._outputs = frames, outputs
        self._known: dict[tuple[object, int, int, int, int], int] = {}

    def count(self, part: Part) -> int:
        """What a part has of the column."""
        content, channels, bits = part.content, part.in_channels, part.in_bits
        bins = part.in_bins
        frames = functools.reduce(output_frames, part.strides, self._frames)
        same = _COUNTED_AS(content) if isinstance(content, Block) else content
        key = (same, channels, frames, bits, bins)
        if key not in self._known:
            layers = self._lower(content, channels, frames, bits, bins)
            self._known[key] = sum(map(self._count, layers))
        return self._known[key]

    def _lower(
        self, content: Block | Head, channels: int, frames: int, bits: int, bins: int
    ) -> list[Layer]:
        """The layers of a part; matrices are of one name and seed, as no count sees which."""
        if not isinstance(content, Block):
            return lower_head(content, channels, frames, self._outputs, bits, bins)
        block = dataclasses.replace(content, name="B") if self._drawn else _undrawn(content)
        return lower_block(block, channels, frames, 1, in_bits=bits, in_bins=bins)


def _of_layer(column: str, machine: Accelerator) -> Callable[[Layer], int]:
    """What a layer has of a column on a machine."""
    if column == "stored_bits":
        return machine.stored_bits
    if column == "generated_weights" and machine.ternary_weights != "generated":
        return lambda layer: 0
    found: Callable[[Layer], int] = attrgetter(column)
    return found


def _undrawn(block: Block) -> Block:
    """A block of as many trained parameters whose matrices need not be made.

    To make those takes a hundred times as long, and constants have no trained numbers either.
    """
    skip = None if block.skip is None else _undrawn_mixer(block.skip)
    return dataclasses.replace(block, name="B", mixer=_undrawn_mixer(block.mixer), skip=skip)


@functools.cache
def _undrawn_mixer(mixer: Mixer) -> Mixer:
    if mixer.kind == "ternary":
        return Mixer(kind="frozen_dense")
    if mixer.kind not in GENERATED_KINDS:
        return mixer
    # Rows beside trained ones or gains: of one and the same rule, each is drawn once.
    return dataclasses.replace(mixer, density=0.25, generator=TernaryGenerator())
