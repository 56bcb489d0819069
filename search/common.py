"""What networks of all families have in common: features by which one study learns from another.

A study's own model sees its axes, which another space or family has not. Here a network is
described by figures that every network has, whatever it is called and whichever axes made it:

    trained     log2 of its trained parameters
    additions   log2 of its additions for each frame of the input: what it computes, zeros left out
    sparsity    log2 of the additions that zeros save: a dense datapath's over its own
    frozen      share of the entries of its matrices that no training changes
    depth       log2 of its sub-blocks in a row
    width       log2 of their channels, the mean over the blocks
    field       log2 of the frames that one answer sees, as a share of the input's (at most 16)
    stride      log2 of all strides together
    skips       share of its blocks that have a path around them

Energies, cycles and areas are not among them: a network has the same features on every machine.

Which these are, and in which order, is the *feature set*. A prior that was made of another one is
refused by its name (`search.transfer`): its numbers mean something else.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dse.design.families.family import Values
from dse.design.places import main_place, skip_place
from dse.design.point import Block
from dse.pricing.book import Numbers
from dse.pricing.sweep import Sweep
from search.improvement import Floats

FEATURE_SET = "networks-1"
"""Name of what `NAMES` are; another list or another meaning has another name."""

NAMES = (
    "trained",
    "additions",
    "sparsity",
    "frozen",
    "depth",
    "width",
    "field",
    "stride",
    "skips",
)

WIDEST_FIELD = 16.0
"""Inputs that one answer may see, and still be told apart from one that sees more."""


class Describer:
    """Describes designs of one space.

    All but the counts is of the parts that designs share (`dse.pricing.book`), each looked at once:
    a thousand designs then take milliseconds.
    """

    def __init__(self, sweep: Sweep) -> None:
        """Of the space of a sweep, priced at its frames."""
        self.sweep = sweep
        self._parts: list[tuple[float, ...]] = []

    def describe(self, designs: Sequence[Values], columns: Mapping[str, Floats]) -> Floats:
        """Their common features, shape (n, len(NAMES)); NaN of a design that cannot be built.

        Args:
            designs: assignments of the space.
            columns: their costs, each of shape (n,); those that are read depend on no machine.
        """
        frames = self.sweep.book.frames
        found = np.full((len(designs), len(NAMES)), np.nan)
        for places, networks in self.sweep.cut(designs).groups:
            built = (networks >= 0).all(axis=1)
            if built.any():
                found[places[built], 3:] = self._of_parts(networks[built], frames)
        additions = np.maximum(columns["additions"], 1.0)
        found[:, 0] = np.log2(np.maximum(columns["trained_parameters"], 1.0))
        found[:, 1] = np.log2(np.maximum(additions / frames, 1.0))
        found[:, 2] = np.log2(np.maximum(columns["dense_additions"], 1.0) / additions)
        found[np.isnan(found).any(axis=1)] = np.nan
        return found

    def _of_parts(self, networks: Numbers, frames: int) -> Floats:
        """`NAMES` from `frozen` on, shape (n, 6), of networks as rows of part numbers."""
        new = self.sweep.book.blocks[len(self._parts) :]
        self._parts += [_count(*part) for part in new]
        table = np.array(self._parts)
        entries, frozen, depth, width, span, stride, skip = np.moveaxis(table[networks], 2, 0)
        strides = np.cumprod(stride, axis=1)
        field = 1 + (span * strides / stride).sum(axis=1)
        blocks = (depth > 0).sum(axis=1)
        return np.column_stack(
            [
                frozen.sum(axis=1) / np.maximum(entries.sum(axis=1), 1.0),
                np.log2(depth.sum(axis=1)),
                width.sum(axis=1) / blocks,
                np.log2(np.minimum(field / frames, WIDEST_FIELD)),
                np.log2(strides[:, -1]),
                skip.sum(axis=1) / blocks,
            ]
        )


def _count(block: Block | None, in_channels: int, seed: int) -> tuple[float, ...]:
    """Of a part: entries, frozen ones, sub-blocks, log2 channels, span, stride, skip.

    The span is of what one output sees beyond one input, in inputs of the part: the first
    sub-block's kernel, and those of the others, which stand behind the block's stride.
    """
    if block is None:  # a head
        return (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    taps = 1 if block.mixes else block.kernel_size * block.kernel_bins
    places = [
        main_place(block, at, in_channels if at == 0 else block.out_channels, seed)
        for at in range(block.repeats)
    ]
    sizes = [taps * place.in_channels * place.out_channels // place.groups for place in places]
    if block.skip is not None:
        places.append(skip_place(block, block.skip, in_channels, seed))
        sizes.append(in_channels * block.out_channels if block.skip.kind != "identity" else 0)
    frozen = sum(
        size
        * (1.0 if place.mixer.kind == "frozen_dense" else place.generated_rows / place.out_channels)
        for place, size in zip(places, sizes, strict=True)
    )
    reach = (block.kernel_size - 1) * block.dilation
    span = reach * (1 + (block.repeats - 1) * block.stride)
    return (
        float(sum(sizes)),
        frozen,
        float(block.repeats),
        float(np.log2(block.out_channels)),
        float(span),
        float(block.stride),
        float(block.skip is not None),
    )
