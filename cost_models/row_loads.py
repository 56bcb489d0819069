"""How unevenly the non-zero entries of a known ternary matrix lie, and what skipping would gain.

Rows of a matrix that run side by side are a tile; each takes so many of its entries a step, and the
tile waits for its fullest row:

    steps, dense      = tiles * ceil(entries of a row / entries a step)
    steps, skipping   = sum over tiles of ceil(non-zeros of the fullest row / entries a step)
    steps, filled     = ceil(non-zeros / (rows of a tile * entries a step)): no lane ever idle
    imbalance         = skipping / filled

Four rows of 16 entries, two a tile, four entries a step:

    row   non-zeros   steps alone
    0     9           3               tile: 3
    1     5           2
    2     4           1               tile: 1
    3     3           1

    dense     2 tiles * 16 / 4                 8
    skipping  3 + 1                            4       twice as fast, at a density of 21 / 64
    filled    ceil(21 / (2 * 4))               3       imbalance 4 / 3

All of it is counted on the matrix, not expected from a density. What finds the next non-zero entry,
and the crossbar that brings it its input, are not priced: docs/evidence/model.md, "What it leaves
out".
"""

from dataclasses import dataclass

import numpy as np

from cost_models.cost import Cost
from cost_models.latency import row_nonzeros, row_steps, tile_starts
from cost_models.workload import Layer, WeightSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLoad:
    """One ternary layer on its array."""

    layer: str
    rows: int
    entries_per_row: int
    rows_together: int
    """Rows of a tile."""
    entries_together: int
    """Of a row, in one step."""
    nonzeros: int
    fewest: int
    """Non-zero entries of the emptiest row."""
    most: int
    """Of the fullest one."""
    tiles: int
    fullest: tuple[int, ...]
    """Of each tile, the non-zero entries of its fullest row: what the others wait for."""
    dense_steps: int
    """Through the matrix, for one frame; or for as many frames as the array takes at once."""
    skipping_steps: int
    filled_steps: int

    @property
    def imbalance(self) -> float:
        """Steps of skipping over those in which every lane had a non-zero entry; 1 is best."""
        return self.skipping_steps / self.filled_steps if self.filled_steps else 1.0


def row_loads(cost: Cost) -> list[RowLoad]:
    """The loads of all layers with a known ternary matrix, as their mappings lay them out.

    Layers without a mask, or that are no convolution, are left out.
    """
    loads = []
    for each in cost.layers:
        layer = each.layer
        known = layer.weights is WeightSource.GENERATED and bool(layer.nonzero_mask)
        if known and each.mapping is not None:
            loads.append(row_load(layer, each.mapping.unrolled[0], each.mapping.together))
    return loads


def row_load(layer: Layer, rows: int, together: int) -> RowLoad:
    """The load of one layer.

    Args:
        layer: with generated weights whose `nonzero_mask` is known.
        rows: that run side by side; no tile has rows of two groups.
        together: entries of a row that are taken in a step.
    """
    nonzeros = row_nonzeros(layer)
    starts = tile_starts(layer, rows, layer.groups)
    entries = layer.weight_entries // layer.out_channels
    return RowLoad(
        layer=layer.name,
        rows=layer.out_channels,
        entries_per_row=entries,
        rows_together=rows,
        entries_together=together,
        nonzeros=layer.nonzeros,
        fewest=int(nonzeros.min()),
        most=int(nonzeros.max()),
        tiles=len(starts),
        fullest=tuple(int(most) for most in np.maximum.reduceat(nonzeros, starts)),
        dense_steps=len(starts) * -(-entries // together),
        skipping_steps=row_steps(layer, rows, together, layer.groups),
        filled_steps=-(-layer.nonzeros // (rows * together)),
    )
