"""Cycles of candidates, and what bounds them.

array, broadcast     N passes * R passes * T passes
array, systolic      the same plus filling and draining, see `systolic_cycles`
array, zeros skipped for every tile of rows, as long as its fullest row; exact on the matrix
memory port          bits over bandwidth; a shared port reads and writes in turn
waiting              for tiles that a memory has no room for yet, see `waiting_cycles`
generator            trits / trits per cycle
vector unit          results of an array, or values of what it does alone, / lanes

Rounding up is per layer, not per access: a port that moves 33 bits of 32 a cycle is busy for two
cycles, one that moves 33 bits a thousand times for 1032, as words follow each other without a gap.

layer   = max(max(array, generator, vector unit, reads of tiles) + waiting, memory port): transfers
          overlap with computing as far as there is room for them
stage   = a layer and what is done in line with it (batch norm, ReLU): max of the two
network = sum over the stages: one runs after the other
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import ComputeArray, MemoryLevel
from cost_models.mapping import (
    SYSTOLIC,
    Candidates,
    Column,
    N,
    R,
    T,
    innermost,
    limits_of,
)
from cost_models.tiles import Moved
from cost_models.traffic import Refill
from cost_models.workload import Layer


class Bound(StrEnum):
    """What a layer waits for; a memory by its name."""

    COMPUTE = "compute"
    FILL = "fill and drain"
    GENERATOR = "generator"
    VECTOR_UNIT = "vector unit"
    WAITING = "waiting for tiles"
    NOTHING = "nothing"
    """A layer that takes no cycles: done on the way out of the layer before."""


def ideal_cycles(found: Candidates) -> Column:
    """Passes of the array, all of them useful, shape (candidates,); the order does not matter.

    In a pass at the edge part of the array may be idle: it takes its cycle all the same, and shows
    in the utilisation.
    """
    passes: Column = found.views.groups * np.prod(found.iterations, axis=0)
    return passes


def systolic_cycles(
    rows: Column, columns: Column, stream: Column, *, reloads: bool, passes: Column | float = 1.0
) -> Column:
    """Cycles of `passes` tiles on a systolic array, one after the other.

    Values enter at the edges and move on by one element a cycle, so that element (r, c) works r + c
    cycles after element (0, 0) on the same:

        cycle  0  1  2  3  4  5         elements that are not reached yet wait,
        (0,0)  #  #  #  #  .  .         and the first are done while the last still work
        (0,1)  .  #  #  #  #  .
        (1,1)  .  .  #  #  #  #

    A tile loads its stationary operand (`rows` cycles, where there is one to reload), lets `stream`
    values pass, and drains (rows + columns - 2); the last cycle of the last tile is not counted
    again. With R x C elements, M frames, N outputs, K inputs:

        weight stationary  ceil(K/R) ceil(N/C) (2R + C + M - 2) - 1
        output stationary  ceil(M/R) ceil(N/C) ( R + C + K - 2) - 1
        input stationary   ceil(K/R) ceil(M/C) (2R + C + N - 2) - 1

    Source: SCALE-Sim 3.0.0 (github.com/scalesim-project/SCALE-Sim), whose cycles this equals in all
    layers that we ran (docs/evidence/model.md, "Against SCALE-Sim").
    """
    fill = 2 * rows if reloads else rows
    total: Column = passes * (fill + columns + stream - 2) - 1
    return total


def array_cycles(found: Candidates, array: ComputeArray) -> tuple[Column, npt.NDArray[np.bool_]]:
    """Cycles with filling and draining, and whether the array can run a candidate at all.

    What is not systolic broadcasts its operands: nothing to fill. On a systolic array with a second
    register for what stays still, the next tile is loaded while this one computes, and only the
    first and the last pay; without one, each tile pays, and the loop that streams must be the
    innermost one, for nothing else can run through a tile.

    Args:
        found: candidates.
        array: where they run.

    Returns:
        Both of shape (candidates,).
    """
    cycles = ideal_cycles(found)
    possible = np.ones(len(cycles), dtype=np.bool_)
    if array.interconnect != "systolic":
        return cycles, possible
    inner = innermost(found)
    for number, assignment in enumerate(found.kinds[False]):
        here = ~found.views.across & (found.assignment == number)
        row_loop, column_loop = assignment.loops[:2]
        stream_loop = SYSTOLIC[row_loop, column_loop]
        reloads = stream_loop != R  # sums need no loading
        still = {T: "weights", N: "inputs"}.get(stream_loop)
        register = getattr(array, still) if still else None
        sizes = _edges(found, array, row_loop, column_loop)
        if register is not None and register.capacity_bits >= 2 * array.operand_bits:
            # The next tile is loaded while this one computes: filled and drained once.
            once = 2 * sizes[0] + sizes[1] - 2
            cycles = np.where(here, cycles + once, cycles)
            continue
        single = found.iterations[stream_loop] == 1
        possible &= ~here | single | (inner == stream_loop)
        # The stream runs through a tile in one go, or in the parts that the innermost loop has.
        part = np.where(inner == stream_loop, found.counts[0], 1.0)
        parts = np.ceil(found.iterations[stream_loop] / part)
        stream = np.minimum(part, found.views.bounds[stream_loop])
        tiles = found.iterations[row_loop] * found.iterations[column_loop] * parts
        if array.bypass:
            # Tiles at the edge fill only the rows and columns that they use: sums over all tiles.
            # Along one loop the rows that its tiles use add up to the loop's bound, whatever their
            # size; that is repeated for each tile along the other loop and part of the stream.
            row_sum = found.views.bounds[row_loop] * found.iterations[column_loop] * parts
            column_sum = found.views.bounds[column_loop] * found.iterations[row_loop] * parts
            exact = (2 if reloads else 1) * row_sum + column_sum + tiles * (stream - 2) - 1
        else:
            exact = systolic_cycles(
                np.full(len(cycles), float(array.rows)),
                np.full(len(cycles), float(array.columns)),
                stream,
                reloads=reloads,
                passes=tiles,
            )
        cycles = np.where(here, found.views.groups * exact, cycles)
    for number, assignment in enumerate(found.kinds[True]):
        here = found.views.across & (found.assignment == number)
        rows, columns = _edges(found, array, *assignment.loops[:2])
        cycles = np.where(here, cycles + rows + columns - 2, cycles)
    # The last cycle of the last tile is not counted again, but for an array of one element.
    return np.maximum(cycles, ideal_cycles(found)), possible


def _edges(
    found: Candidates, array: ComputeArray, row_loop: int, column_loop: int
) -> tuple[Column, Column]:
    """Rows and columns that data passes on its way in and out; with a bypass only those in use."""
    if array.bypass:
        return found.unrolled[row_loop], found.unrolled[column_loop]
    n = len(found.views.layer)
    return np.full(n, float(array.rows)), np.full(n, float(array.columns))


def skipped_cycles(
    found: Candidates,
    layers: Sequence[Layer],
    array: ComputeArray,
    cycles: Column,
    known: npt.NDArray[np.bool_],
) -> Column:
    """Cycles where zeros are skipped: rows of a tile wait for the fullest of them.

    Args:
        found: candidates of layers with generated weights.
        layers: what `found.views.layer` counts.
        array: where they run; a row takes as many non-zero entries a step as it has elements.
        cycles: with all zeros.
        known: candidates whose matrix is known; the others keep their cycles.
    """
    skipped = cycles.copy()
    limits = limits_of(found, array, R)
    layer = found.views.layer.astype(np.float64)
    keys = np.stack([layer, found.views.groups, found.unrolled[N], limits])
    for key in np.unique(keys[:, known], axis=1).T:
        here = np.all(keys == key[:, None], axis=0)
        index, groups, rows, together = (int(each) for each in key)
        steps = row_steps(layers[index], rows, together, groups)
        skipped[here] = steps * found.iterations[T, here]
    return skipped


def row_steps(layer: Layer, rows: int, together: int, groups: int = 1) -> int:
    """Steps through a ternary matrix when `rows` of its rows run side by side.

    Each row takes `together` of its non-zero entries a step; a tile of rows takes as long as its
    fullest one, and no tile has rows of two groups. Exact: counted on the matrix.

        row   non-zeros   steps of 4
        0     9           3            a tile of two rows takes 3 steps, of which row 1 uses 2
        1     5           2
        2     4           1            and one of these two takes 1:  4 steps in all
        3     3           1

    A matrix of the same density whose rows are alike would be faster: what counts is the fullest
    row of each tile, not the mean (`cost_models.row_loads`).
    """
    steps = -(-row_nonzeros(layer) // together)
    return int(np.maximum.reduceat(steps, tile_starts(layer, rows, groups)).sum())


def row_nonzeros(layer: Layer) -> npt.NDArray[np.int64]:
    """Non-zero entries of each row of a ternary matrix whose mask is known."""
    outputs, entries = layer.out_channels, layer.weight_entries
    bits = np.frombuffer(layer.nonzero_mask, dtype=np.uint8)
    mask = np.unpackbits(bits, count=entries).reshape(outputs, entries // outputs)
    nonzeros: npt.NDArray[np.int64] = mask.sum(axis=1, dtype=np.int64)
    return nonzeros


def tile_starts(layer: Layer, rows: int, groups: int) -> npt.NDArray[np.int64]:
    """The first row of each tile of `rows` rows; no tile has rows of two groups."""
    outputs = layer.out_channels
    first = np.arange(0, outputs, outputs // groups)
    starts: npt.NDArray[np.int64] = np.add.outer(
        first, np.arange(0, outputs // groups, rows)
    ).ravel()
    return starts


def port_cycles(memory: MemoryLevel, moved: list[Moved]) -> Column:
    """Cycles that the ports of a memory are busy with all its operands, shape (candidates,).

    A shared port reads and writes in turn; of two ports, the busier one counts.
    """
    read = sum(each.read_bits for each in moved)
    written = sum(each.written_bits for each in moved)
    bits = read + written if memory.ports == "shared" else np.maximum(read, written)
    cycles: Column = np.ceil(bits / memory.bandwidth_bits_per_cycle)
    return cycles


def handing_cycles(refills: Sequence[Refill], like: Column) -> Column:
    """Cycles in which tiles are handed to the array, by the slowest memory, shape (candidates,).

    While a memory waits for a tile it hands out nothing, so that its reads and its waiting add up,
    where its writes may come meanwhile.
    """
    slowest = np.zeros_like(like)
    for each in refills:
        slowest = np.maximum(slowest, np.ceil(each.handing_cycles))
    return slowest


def waiting_cycles(refills: Sequence[Refill], cycles: Column, passes: Column) -> Column:
    """Cycles that an array stands still because the next tile has no room yet, shape (candidates,).

    A memory that is full of a tile takes the next one only as values of this one are done with.
    With F cycles to fill a tile and S cycles in which a tile is used for the last time:

        last use of this tile     |------ S ------|
        next tile                 |------------ F ------------|
        its first use                             |--- S, or as its values come ---|

    The next tile comes while this one is used for the last time, and goes on coming while it is
    used for the first time, which takes S cycles as well. What there was room for beside the tile
    in use, a share b of it, has come before; and a share u of the cycles the port that it comes by
    is busy with other operands, outputs above all, while the array works:

        each tile but the first waits    max(0, (1 - b) F - 2 S (1 - u))

    With a second buffer (`double_buffered`) b is 1, and a tile half as large. This is why half of a
    memory, or waiting, is the price of a machine that never stands still. The first tile of a layer
    is taken to come while the layer before it computes; where it cannot, it waits F - S.

    64 to 128 channels on `kws_ternary_stored`, a buffer of 32 words of 256 bits behind a memory of
    64: F is 128 cycles, of 32 words that 32 passes use for the last time, and in 8,192 passes 2,048
    words of outputs are written: 7 * (128 - 64 * 3 / 4) = 560 cycles of waiting in eight tiles. The
    exported circuit stands still for 656, of which 96 are for the first tile.

    Args:
        refills: of each memory and operand (`Traffic.refills`).
        cycles: of what is slowest while nothing waits: array, generator, vector unit, and the
            memories that hand out tiles.
        passes: of the array, in these cycles.
    """
    waiting = np.zeros_like(cycles)
    for each in refills:
        fill = each.cycles / np.maximum(each.tiles, 1.0)
        sweep = each.sweep_passes * cycles / passes
        free = np.maximum(1 - each.beside_cycles / cycles, 0.0)
        one = np.maximum((1 - each.room_share) * fill - 2 * sweep * free, 0.0)
        waiting = waiting + np.floor(one * np.maximum(each.tiles - 1, 0.0))
    return waiting
