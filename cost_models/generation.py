"""In which order a generator makes the trits of a matrix, and what a mapping that wants more pays.

A generator stores nothing, so it cannot look up entry (17, 40): it makes entries one after the
other. Families differ in how they get from one entry to another that is not the next:

    shift registers    the state is the last bits made; entry e + 1 follows from it, entry e - 1 or
    (`lfsr_*`,         e + 1000 does not (a jump is a matrix product over GF(2), thousands of XORs).
    `one_hot`)         Entries come in the order of the matrix, or again from a state that was kept
    counters           entry e is mixed from its number: the next cycle may begin at any word
    (`counter_arx`)    or block, for the adder that the counter has anyway. One run a cycle: entries
    (`sobol`)          that do not follow each other need further cycles

The *order of the matrix* is the design's choice, made before training, for the layer is trained
with that very matrix: row by row, or tile by tile. In tiles of 2 x 3 a matrix of 4 x 6 is made so:

     0  1  2 |  6  7  8        an array that takes 2 rows and 3 columns a pass, and goes along the
     3  4  5 |  9 10 11        rows of tiles, gets what it needs, when it needs it. Row by row it
    ---------+---------        could not: its first pass would be entries 0 1 2 6 7 8, and the
    12 13 14 | 18 19 20        register has no way back from 8 to 3.
    15 16 17 | 21 22 23

Whether a mapping asks in the order of the matrix (N rows, R columns, T pixels):

    in space   a pass takes tiles as they follow each other: one tile, several along R, or whole
               bands of tiles (row by row a tile is a row: a part of one row, or whole rows)
    in time    no loop over N stands within one over R, but for the rows of a tile where a pass
               takes some of them; pixels may stand anywhere

A loop over T outside of the weights' registers, with loops over N or R within it, asks for trits a
second time. The generator goes back:

    for t in 4:                 goes back to the beginning of the matrix: the layer's start words
      for n, for r: ...         stand in a register, since the layer began
    for n in 12:                goes back to the beginning of a piece: its state was saved in a
      for t in 4:               register beside the generator when the piece began
        for r in 2: ...         (`GeneratorUnit.saved_states`)          12 saved

Going back takes no cycle of its own: what loads a state hands out its first trits, as the exported
chip does it. With two loops over T, each goes back by itself; one of them at most may need the
saved state, for there is one register.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator, ComputeArray
from cost_models.errors import UnmappableLayer
from cost_models.generator import in_any_order, run_entries
from cost_models.mapping import DEPTH, Candidates, Column, N, R, T, limits_of
from cost_models.workload import Layer

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What the generator does for each candidate, each of shape (candidates,)."""

    possible: Mask
    """It can make the trits in the order in which they are asked for."""
    cycles: Column
    """In which it makes trits."""
    saves: Column
    """Times that the state is saved, at the beginning of a piece that is made again."""


def generate(
    found: Candidates,
    layers: Sequence[Layer],
    array: ComputeArray,
    machine: Accelerator,
    trits: Column,
    cut: npt.NDArray[np.intp],
) -> Generation:
    """What the generator of a machine must do for candidates.

    Args:
        found: mappings.
        layers: what `found.views.layer` counts.
        array: that takes the trits.
        machine: with the generator.
        trits: of each candidate, each as often as it is made; 0 where none is.
        cut: of the weights' registers: trits within are kept.
    """
    n = len(trits)
    unit = machine.generator
    if unit is None or not trits.any():
        none = np.zeros(n)
        return Generation(possible=np.ones(n, dtype=np.bool_), cycles=none, saves=none)
    owner = found.views.layer

    def column(values: list[float]) -> Column:
        return np.array(values)[owner]

    specs = [layer.generator if machine.generates(layer) else None for layer in layers]
    free = column([float(spec is None or in_any_order(spec)) for spec in specs]) > 0
    run = column([1.0 if spec is None else float(run_entries(spec)) for spec in specs])
    tiles = np.array([layer.matrix_tile or (1, np.inf) for layer in layers], dtype=np.float64)[
        owner
    ].T
    # Tiles as wide as the matrix, or of one row, are nothing but row by row.
    bounds = found.views.bounds
    plain = (tiles[1] >= bounds[R]) | (np.minimum(tiles[0], bounds[N]) == 1)
    rows = np.where(plain, 1.0, np.minimum(tiles[0], bounds[N]))
    columns = np.where(plain, bounds[R], tiles[1])
    together = _takes_tiles(found, array, rows, columns)
    follows = together & _keeps_direction(found, rows)
    saves, kept = _goes_back(found, cut)
    made = trits > 0
    lanes = float(unit.trits_per_cycle)
    taken = found.unrolled[N] * found.unrolled[R]
    # A counter that jumps makes one run of entries a cycle: a pass, or one row of it.
    runs = np.where(together, 1.0, found.unrolled[N])
    jumping = np.ceil(trits / taken) * runs * np.ceil(taken / runs / lanes)
    steps = np.where(follows, np.ceil(trits / lanes), jumping)
    whole_runs = together | (limits_of(found, array, R) % run == 0)
    possible = np.where(free, whole_runs, follows & (kept <= unit.saved_states))
    return Generation(
        possible=possible | ~made,
        cycles=np.where(made, steps, 0.0),
        saves=np.where(made & ~free, saves, 0.0),
    )


def _takes_tiles(found: Candidates, array: ComputeArray, rows: Column, columns: Column) -> Mask:
    """Whether the entries of each pass follow each other in matrices of these tiles.

    Passes are spread evenly (9 rows on 8 as 5 and 4), which tiles are not (8 and 1): what counts is
    that the array can take a tile, and takes as many passes as there are tiles or groups of them.
    """
    bounds, iterations = found.views.bounds, found.iterations
    most_rows, most_columns = limits_of(found, array, N), limits_of(found, array, R)
    along = np.maximum(np.floor(most_columns / columns), 1.0)
    bands = np.maximum(np.floor(most_rows / rows), 1.0)
    high, wide = most_rows >= rows, most_columns >= columns
    # One tile, or several along R.
    row_of_tiles = (
        high
        & wide
        & (iterations[N] == np.ceil(bounds[N] / rows))
        & (iterations[R] == np.ceil(bounds[R] / (along * columns)))
    )
    whole_bands = (
        high & (iterations[R] == 1) & (iterations[N] == np.ceil(bounds[N] / (bands * rows)))
    )
    single = iterations[N] == bounds[N]
    part_of_a_row = (rows == 1) & (columns == bounds[R]) & single
    rows_of_a_tile = (
        wide & (iterations[R] == np.ceil(bounds[R] / columns)) & (rows % found.unrolled[N] == 0)
    )
    takes: Mask = row_of_tiles | whole_bands | part_of_a_row | rows_of_a_tile
    return takes


def _keeps_direction(found: Candidates, rows: Column) -> Mask:
    """Whether the loops over N and R go through a matrix as its tiles do.

    All loops over R within those over N, but for an inner one over the passes that a tile takes,
    where a pass takes some of its rows: with tiles of 4 x 32 on one tree of 32 lanes,

        for n in 16: for r in 2: for n within the tile in 4
    """
    n = len(found.views.layer)
    inside, over_r = np.ones(n), np.zeros(n, dtype=np.bool_)
    first, last = np.ones(n), np.ones(n)  # iterations of N within the inner and the outer R
    for depth in range(DEPTH):
        count, runs = found.counts[depth], found.counts[depth] > 1
        along = runs & (found.order[depth] == R)
        first = np.where(along & ~over_r, inside, first)
        last = np.where(along, inside, last)
        over_r |= along
        inside = inside * np.where(runs & (found.order[depth] == N), count, 1.0)
    each = found.iterations[N] == np.ceil(found.views.bounds[N] / rows)
    passes = np.where(each, 1.0, np.ceil(rows / found.unrolled[N]))
    keeps: Mask = ~over_r | ((first == passes) & (last == passes))
    return keeps


def _goes_back(found: Candidates, cut: npt.NDArray[np.intp]) -> tuple[Column, Column]:
    """Times that a state is saved, and states that must be kept at a time.

    A loop over T goes back where a loop over N or R runs within it and outside of the registers: to
    the start where no loop over N or R, and no other group, stands outside of it; else to the state
    with which the piece began that it repeats, saved once a piece.
    """
    counts, order = found.counts, found.order
    n = counts.shape[1]
    saves, kept = np.zeros(n), np.zeros(n)
    weights = np.zeros((DEPTH + 1, n), dtype=np.bool_)  # a loop over N or R runs within this depth
    for depth in range(DEPTH):
        own = (order[depth] != T) & (counts[depth] > 1) & (depth >= cut)
        weights[depth + 1] = weights[depth] | own
    outside = found.views.groups.copy()
    piece = found.views.groups > 1  # what T repeats is a piece of the matrix, not all of it
    for depth in reversed(range(DEPTH)):
        again = (order[depth] == T) & (counts[depth] > 1) & weights[depth] & piece
        saves += np.where(again, outside, 0.0)
        kept += again
        piece = piece | ((order[depth] != T) & (counts[depth] > 1))
        outside = outside * counts[depth]
    return saves, kept


def order_error(layer: Layer, array: ComputeArray, machine: str, *, made: bool) -> UnmappableLayer:
    """Why no mapping of a layer with generated weights on an array can be served.

    Args:
        layer: it.
        array: that takes the trits.
        machine: name of the machine, where the array does not say where it is described.
        made: mappings in the order of the matrix exist, but do not fit registers or memories.
    """
    assert layer.generator is not None  # it is generated
    tile = layer.matrix_tile
    order = f"in tiles of {tile[0]} x {tile[1]}" if tile else "row by row"
    makes = f"{layer.name}: generator {layer.generator.family} makes its matrix {order}, and no"
    place = f"array '{array.name}' (machine {array.where or machine})"
    if made:
        return UnmappableLayer(
            f"{makes} mapping on {place} that takes it so fits registers, latches and ports; make "
            "those of the inputs larger, or choose another matrix_order"
        )
    return UnmappableLayer(
        f"{makes} mapping on {place} takes it in that order; choose a matrix_order that it takes, "
        f"such as {array.rows}x{array.columns}, or a generator with a counter, which makes any "
        "(counter_arx)"
    )
