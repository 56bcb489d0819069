"""Tiles: what of each operand lies inside each cut of the loops, and how often it crosses.

The loops of a layer in the order of a candidate (`cost_models.mapping`), here weight stationary:

    ................................   position 3: all loops are inside
    for n in 4:
      ..............................   position 2
      for r in 2:
        ............................   position 1
        for t in 3:
          ..........................   position 0: only what the array unrolls is inside
          one pass of the array

Cut the loops at a position: what lies inside is a *tile*, what lies outside moves tiles. A level of
the hierarchy that holds a tile has such a cut, and what passes through its ports is what crosses
the cuts. An operand depends on two of the three loops:

    weights  N, R          inputs  R, T (and N in depthwise layers)          outputs  N, T

Its tile is exchanged whenever one of its own loops outside the cut advances, and stays while others
do. So over the whole layer the operand crosses the cut

    crossings(p) = elements * product of the loops outside that it does not depend on, and that
                              stand outside the innermost loop outside that it does depend on

times. In the nest above, at position 0, of loops with 4, 2 and 3 iterations:

    weights  T is directly outside and not theirs: the tile stays     1   each is fetched once
    inputs   theirs is T, and N stands outside of it                  4   read anew for every n
    outputs  theirs is T, and R stands outside of it                  2   sums leave incomplete

With R innermost (output stationary: n, t, r) it is T that stands outside the innermost loop of the
weights: they cross 3 times, and sums stay until they are complete. That is why a generator of
ternary weights makes them again and again: it stores nothing, so a weight that is asked for a
second time, because it has left the registers meanwhile, is made a second time. The trits of a
layer are the crossings of its weights at the cut of the weights' registers, and the dataflow
decides whether that is one time a weight or one time a weight and tile of pixels.

For inputs, `elements` grows with the halo: tiles of pixels overlap by the kernel, in frames and in
bins (`cost_models.windows`). Tiles at the edges are counted as they are, which a walk through all
loops confirms (tests/cost_models/test_naive.py), with two exceptions: an outer part that ends with
a single inner iteration is counted as if its tile moved; and tiles of a dense convolution that end
within the taps of a channel, as if they did not.

Legend: N output channels, R reduction (input channels of a group times taps), T output pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import OPERANDS, ComputeArray, Operand
from cost_models.mapping import DEPTH, Candidates, Column, N, R, T
from cost_models.windows import Cuts, count_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Bits of the operands, each of shape (candidates,).

    A sum has more bits than the output that is made of it, so where outputs travel before they are
    complete, they cost more than what arrives in the end.
    """

    weight_bits: Column
    input_bits: Column
    output_bits: Column
    accumulator_bits: Column

    @property
    def travelling_bits(self) -> dict[Operand, Column]:
        """Of each operand on its way; of outputs, once they are complete."""
        return {
            "weights": self.weight_bits,
            "inputs": self.input_bits,
            "outputs": self.output_bits,
        }


@dataclass(slots=True)
class Moved:
    """Bits that cross the ports of one level for one operand, each of shape (candidates,).

    Over the whole layer, and from the level's own point of view: what a buffer hands to registers
    is a read of the buffer and, once for each register that gets a copy, a write of theirs.
    """

    read_bits: Column
    written_bits: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Tiles of each operand at each cut, whatever the machine's memories hold.

    The geometry of a mapping: which memory holds which of these tiles is decided after it.
    """

    crossings: Mapping[Operand, Cuts]
    """Elements that cross over the whole layer, all groups."""
    elements: Mapping[Operand, Cuts]
    """Elements of a tile."""
    handed: Mapping[Operand, Cuts]
    """Elements of a tile on its way: without multicast a pass takes an input more than once."""
    partial: npt.NDArray[np.bool_]
    """Whether sums are incomplete where a tile of outputs crosses the cut, shape (DEPTH + 1, n)."""
    totals: Mapping[Operand, Column]
    """Elements of the whole tensor, all groups."""
    transfers: Mapping[Operand, Cuts]
    """Tiles that cross over the whole layer, all groups."""
    inside: npt.NDArray[np.float64]
    """Iterations of N, R, T within the cut beyond the unrolled ones, shape (DEPTH + 1, 3, n)."""


def count_tiles(found: Candidates, array: ComputeArray) -> Tiles:
    """Tiles and crossings of every candidate at every cut.

    Position 0 has only what the array unrolls inside; each further position adds one loop, from the
    innermost; at position DEPTH the whole layer (of a group) is inside and everything crosses once.

    Args:
        found: candidates.
        array: where they run; a multicast network hands one input to all elements that need it.
    """
    views = found.views
    n = len(views.layer)
    inside = np.ones((DEPTH + 1, 3, n))
    for depth in range(DEPTH):
        for loop in (N, R, T):
            here = np.where(found.order[depth] == loop, found.counts[depth], 1.0)
            np.multiply(inside[depth, loop], here, out=inside[depth + 1, loop])
    # Unrolled and iterated may cover more than there is (9 channels in 2 passes of 5): a tile is
    # never larger than the loop.
    size = np.minimum(views.bounds, found.unrolled * inside)
    outputs, reduction, pixels = size[:, N], size[:, R], size[:, T]
    # R runs over the taps of a channel first, so a small tile of R is some taps of one channel.
    taps = np.minimum(reduction, views.taps)
    channels = np.where(views.across, outputs, np.ceil(reduction / taps))
    window, seen = count_windows(found, pixels, taps)
    moved = _moves(found)
    totals: dict[Operand, Column] = {
        "weights": views.groups * views.bounds[N] * views.bounds[R],
        "outputs": views.groups * views.bounds[N] * views.bounds[T],
    }
    all_channels = np.where(views.across, views.bounds[N], views.bounds[R] / views.taps)
    inputs = views.groups * all_channels * seen
    totals["inputs"] = inputs[DEPTH]
    elements: dict[Operand, Cuts] = {
        "weights": outputs * reduction,
        "inputs": channels * window,
        "outputs": outputs * pixels,
    }
    handed = dict(elements)
    if array.interconnect != "multicast":
        # Elements on a diagonal need the same input pixel, and get it one by one.
        inputs[0] = views.groups * all_channels * views.taps * views.bounds[T]
        handed["inputs"] = np.concatenate([(channels * taps * pixels)[:1], (channels * window)[1:]])
    n_tiles, r_tiles, t_tiles = np.ceil(views.bounds[:, None] / size.swapaxes(0, 1))
    input_tiles = np.where(views.across, n_tiles, 1.0) * r_tiles * t_tiles
    tiles: dict[Operand, Cuts] = {
        "weights": n_tiles * r_tiles,
        "inputs": input_tiles,
        "outputs": n_tiles * t_tiles,
    }
    return Tiles(
        crossings={
            "weights": totals["weights"] * moved["weights"],
            "inputs": inputs * moved["inputs"],
            "outputs": totals["outputs"] * moved["outputs"],
        },
        elements=elements,
        handed=handed,
        partial=size[:, R] < views.bounds[R],
        totals=totals,
        transfers={operand: views.groups * tiles[operand] * moved[operand] for operand in OPERANDS},
        inside=inside,
    )


def _moves(found: Candidates) -> dict[Operand, Cuts]:
    """How often the whole tensor crosses each cut; see `crossings` in the module's docstring.

    The loops are walked from the outermost inwards. `outside` collects the iterations of the loop
    that an operand does not depend on. Where a loop of its own advances, the tile moves as often as
    `outside` says by then; where a loop that is not its own stands directly outside the cut, the
    number is that of the cut further out: the tile stays. The nest of the module's docstring, from
    the outermost loop inwards; `x` is the operand's own loop, `times` that of the cut inside of it:

                         weights            inputs             outputs
        loop          own times outside  own times outside  own times outside
        (outside)          1      1           1      1           1      1
        for n in 4     x   1      1           1      4       x   1      1
          for r in 2   x   1      1       x   4      4           1      2
            for t in 3     1      3       x   4      4       x   2      2
    """
    n = len(found.views.layer)
    moved: dict[Operand, Cuts] = {}
    repeats: dict[Operand, int] = {"weights": T, "inputs": N, "outputs": R}
    for operand, loop in repeats.items():
        free = found.order == loop
        if operand == "inputs":
            free = free & ~found.views.across  # depthwise: each channel has inputs of its own
        times = np.ones((DEPTH + 1, n))
        outside = np.ones(n)  # product of all independent loops outside the cut
        for depth in reversed(range(DEPTH)):
            moves = ~free[depth] & (found.counts[depth] > 1)
            times[depth] = np.where(moves, outside, times[depth + 1])
            outside = outside * np.where(free[depth], found.counts[depth], 1.0)
            # The last outer part of a split loop may be shorter than the others.
            outside = np.minimum(outside, found.iterations[loop])
        moved[operand] = times
    return moved


def count_sweep_passes(found: Candidates, operand: Operand, cut: npt.NDArray[np.intp]) -> Column:
    """Passes in which a tile is used for the last time, value by value.

    The loops inside a cut are walked from the cut inwards. Where the operand does not depend on a
    loop, the tile is run through as often as the loop says, and only the last run lets go of it.
    The first loop of its own ends the walk: from then on its values are done with one after the
    other, evenly.

        inputs in the tile of      their last use takes
        N 4, T 16  (N outside)     16 passes: the last of 4 runs
        T 16, N 4  (T outside)     64: each pixel is done with after 4 passes
        taps 9, T 16               16: all pixels are seen through each tap

    Args:
        found: mappings.
        operand: `inputs` or `weights`.
        cut: of the memory, for each candidate.
    """
    views = found.views
    passes, walking = np.ones(len(cut)), np.ones(len(cut), dtype=np.bool_)
    channels = np.where(views.across, 1.0, views.bounds[R] / views.taps)
    for depth in reversed(range(DEPTH)):
        loop, count = found.order[depth], found.counts[depth]
        if operand == "weights":
            free = loop == T
        else:
            free = (loop == N) & ~views.across
            # R with a single channel runs over taps, which see the same pixels again.
            free = free | ((loop == R) & (channels == 1) & (views.taps > 1))
        inside = (depth < cut) & (count > 1)
        walking = walking & (free | ~inside)
        passes = np.where(inside & ~walking, passes * count, passes)
    return passes


def at_cut(cuts: Cuts, position: npt.NDArray[np.intp]) -> Column:
    """What each candidate has at its own cut: shape (DEPTH + 1, candidates) to (candidates,)."""
    chosen: Column = cuts[position, np.arange(cuts.shape[1])]
    return chosen


def find_outermost(needed_bits: Cuts, capacity_bits: Column) -> tuple[npt.NDArray[np.intp], Column]:
    """The outermost cut whose tile fits, and the bits of the smallest tile where none does.

    Tiles only grow outwards, so positions are counted as long as all of them fit: fits of 1 1 0 0 0
    have running products of 1 1 0 0 0, two positions, of which the outermost is number 1.

    Args:
        needed_bits: of the tile at each position, shape (DEPTH + 1, candidates).
        capacity_bits: of the level, shape (candidates,).

    Returns:
        Positions, 0 where nothing fits; and the bits at position 0 there, 0 elsewhere.
    """
    fits = needed_bits <= capacity_bits
    position = np.sum(np.cumprod(fits, axis=0), axis=0) - 1
    short = np.where(fits[0], 0.0, needed_bits[0])
    return np.maximum(position, 0).astype(np.intp), short
