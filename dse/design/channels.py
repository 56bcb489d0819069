"""Which channels carry something of the input to the scores.

A row of zeros makes a channel constant, a column of zeros one that nobody hears. What hears only
constants is constant itself, and what only the useless hear is useless. So both travel:

    forward     a channel is live if its row has an entry at a live one, or a skip brings one
    backward    a channel is useful if a row of a useful one has an entry at it, or a skip takes it

    x  --[ . + . ]-->  a  --[ . . - ]-->  b      b1 hears a3 alone, whose row is zeros, so that it
         [ - . . ]          [ + . . ]            is constant, although its own row has an entry;
         [ . . . ]                               nothing hears a2, whatever x1 says to it

A channel carries something if it is both. A depthwise layer keeps channels apart, trained matrices
mix all, and the offset of a batch norm makes a constant, which says nothing of the input. Where no
channel is live, the scores are constant, and no training teaches the network anything.

Masks need every matrix; a sweep asks first what counts alone make sure (`Passage`).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dse.design.places import Place, main_place, skip_place
from dse.design.point import Block, DesignPoint
from dse.ternary.matrix import nonzero_mask

Mask = npt.NDArray[np.bool_]


class Passage(NamedTuple):
    """What is sure of a block by counts: how many of its outputs are live."""

    needs: int
    """If more inputs than this are live, ..."""
    gives: int
    """... so many outputs are at least; 0 where counts do not tell."""
    rest: int
    """Outputs that are live wherever any input is."""

    @property
    def is_sure(self) -> bool:
        """Whether something gets through, whichever input is live."""
        return self.rest > 0 or (self.needs == 0 and self.gives > 0)


def passage(block: Block, in_channels: int, ternary_seed: int) -> Passage:
    """What counts make sure of a block.

    Args:
        block: of a network.
        in_channels: that it reads.
        ternary_seed: of the network.
    """
    main, skip = _places(block, in_channels, ternary_seed)
    needs, gives = _count(main[0])
    for place in main[1:]:
        deaf, least = _count(place)
        gives = least if gives > deaf else 0
    if skip is None:
        return Passage(needs, gives, 0)
    deaf, least = _count(skip)
    if deaf == 0:
        return Passage(needs, max(gives, least), least)
    return Passage(needs, gives, 0) if gives else Passage(deaf, least, 0)


def forward(block: Block, in_channels: int, ternary_seed: int, live: Mask) -> Mask:
    """Which outputs of a block are live.

    Args:
        block: of a network.
        in_channels: that it reads.
        ternary_seed: of the network.
        live: of its inputs, shape (in_channels,).
    """
    if block.skips_from:  # dense matrices, from blocks that something got through
        return np.ones(block.out_channels, dtype=np.bool_)
    main, skip = _places(block, in_channels, ternary_seed)
    found = live
    for place in main:
        found = _forward(place, found)
    return found if skip is None else np.logical_or(found, _forward(skip, live))


def backward(block: Block, in_channels: int, ternary_seed: int, useful: Mask) -> Mask:
    """Which inputs of a block are useful, given which outputs are; arguments as of `forward`."""
    main, skip = _places(block, in_channels, ternary_seed)
    found = useful
    for place in reversed(main):
        found = _backward(place, found)
    return found if skip is None else np.logical_or(found, _backward(skip, useful))


def live_channels(point: DesignPoint) -> Iterator[Mask]:
    """Which outputs of each block are live, in their order."""
    live = np.ones(point.in_channels, dtype=np.bool_)
    for block in point.blocks:
        live = forward(block, len(live), point.ternary_seed, live)
        yield live


def useful_channels(point: DesignPoint) -> list[Mask]:
    """Which outputs of each block are useful, in their order; the head hears all of the last."""
    widths = [point.in_channels, *(block.out_channels for block in point.blocks)]
    found = [np.ones(widths[-1], dtype=np.bool_)]
    heard = {name for block in point.blocks for name in block.skips_from}
    for block, inputs in zip(point.blocks[:0:-1], widths[-2:0:-1], strict=True):
        if block.name in heard:  # all of its input, by a dense matrix of a later block
            found.append(np.ones(inputs, dtype=np.bool_))
        else:
            found.append(backward(block, inputs, point.ternary_seed, found[-1]))
    return found[::-1]


def _places(block: Block, in_channels: int, ternary_seed: int) -> tuple[list[Place], Place | None]:
    """The matrices of the main path in their order, and the one on the skip.

    A convolution over all channels stands for its matrix: its taps hear the same channels.
    """
    widths = [in_channels, *(block.repeats - 1) * [block.out_channels]]
    main = [main_place(block, at, inputs, ternary_seed) for at, inputs in enumerate(widths)]
    if block.skip is None:
        return main, None
    return main, skip_place(block, block.skip, in_channels, ternary_seed)


def _forward(place: Place, live: Mask) -> Mask:
    if place.mixer.kind == "identity":
        return live
    entries = _entries(place)
    if entries is None:
        return np.full(place.out_channels, bool(live.any()))
    found: Mask = np.asarray(entries[:, live].any(axis=1))
    return found


def _backward(place: Place, useful: Mask) -> Mask:
    if place.mixer.kind == "identity":
        return useful
    entries = _entries(place)
    if entries is None:
        return np.full(place.in_channels, bool(useful.any()))
    found: Mask = np.asarray(entries[useful].any(axis=0))
    return found


@lru_cache(maxsize=4096)
def _count(place: Place) -> tuple[int, int]:
    """Inputs that no output hears, and how many outputs hear each of the others at least."""
    if place.mixer.kind == "identity":
        return 0, 1
    if not place.generated_rows or place.trained_rows:
        every = place.mixer.kind not in ("grouped", "monarch") and place.groups == 1
        return 0, place.trained_rows or (place.out_channels if every else 1)
    heard = _drawn(place).sum(axis=0)
    some = heard[heard > 0]
    return len(heard) - len(some), int(some.min()) if len(some) else 0


@lru_cache(maxsize=256)
def _entries(place: Place) -> Mask | None:
    """Where a matrix may have entries, shape (outputs, inputs); None where each may have one."""
    outputs, inputs = place.out_channels, place.in_channels
    if place.generated_rows:
        trained = np.ones((place.trained_rows, inputs), dtype=np.bool_)
        return np.concatenate([trained, _drawn(place)])
    if place.mixer.kind == "grouped" and place.mixer.groups:
        return _shuffled(_diagonal(outputs, inputs, place.mixer.groups), place.mixer.groups)
    if place.mixer.kind == "monarch" and place.mixer.blocks:
        inner, blocks = min(outputs, inputs), place.mixer.blocks
        first = _shuffled(_diagonal(inner, inputs, blocks), blocks)
        return (_diagonal(outputs, inner, blocks).astype(np.float32) @ first) > 0
    return None if place.groups == 1 else _diagonal(outputs, inputs, place.groups)


def _drawn(place: Place) -> Mask:
    """Which entries of the generated rows are not zero."""
    mixer, rows, columns = place.mixer, place.generated_rows, place.in_channels
    assert mixer.density is not None and mixer.generator is not None  # Mixer checked it
    marks = nonzero_mask(
        place.ternary_seed, place.name, rows, columns, mixer.density, mixer.generator
    )
    bits = np.unpackbits(np.frombuffer(marks, dtype=np.uint8), count=rows * columns)
    return bits.reshape(rows, columns).astype(np.bool_)


def _diagonal(outputs: int, inputs: int, groups: int) -> Mask:
    """Blocks on the diagonal: a group hears itself."""
    block = np.ones((outputs // groups, inputs // groups), dtype=np.bool_)
    return np.kron(np.eye(groups, dtype=np.bool_), block)


def _shuffled(entries: Mask, groups: int) -> Mask:
    """Rows dealt out to the next groups (`dse.networks.mixed_convolution.Shuffle`)."""
    return entries[np.arange(len(entries)).reshape(groups, -1).T.reshape(-1)]
