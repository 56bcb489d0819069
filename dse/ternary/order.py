"""The order in which a matrix is made: row by row, or tile by tile.

A generator makes a stream of entries; the order says where each of them stands. In tiles of 2 x 3,
a matrix of 4 x 6 is filled so:

     0  1  2 |  6  7  8        bands of tiles from the top, tiles of a band from the left, a tile
     3  4  5 |  9 10 11        row by row; tiles at the edge are smaller
    ---------+---------
    12 13 14 | 18 19 20
    15 16 17 | 21 22 23

Whatever the order, the entries are as random: what it decides is which machine can take them as
they are made (`cost_models.generation`). Layers are trained with the very matrix, so it is chosen
before training.
"""

import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign, short

Tile = tuple[int, ...]
"""Rows and columns of a tile; empty: row by row."""

ROWS = "rows"
"""What the order without tiles is called."""

PATTERN = rf"{ROWS}|[1-9][0-9]{{0,3}}x[1-9][0-9]{{0,3}}"
"""Names of orders: `rows`, `4x32`."""


def order_name(tile: Tile) -> str:
    """`rows`, or `4x32` for tiles of 4 rows and 32 columns."""
    return "x".join(map(str, tile)) or ROWS


def order_words(tile: Tile) -> str:
    """`in row-major order`, or that of tiles, for data sheets."""
    if not tile:
        return "in row-major order"
    return f"tile by tile ({tile[0]} rows x {tile[1]} columns, each row by row)"


def read_order(name: str) -> Tile:
    """The tile of an order's name.

    Raises:
        InvalidDesign: it is none.
    """
    if not re.fullmatch(PATTERN, name):
        raise InvalidDesign(
            f"a matrix order is {ROWS}, or rows x columns of a tile such as 4x32, not {short(name)}"
        )
    return () if name == ROWS else tuple(map(int, name.split("x")))


def arrange(stream: npt.NDArray[np.int8], tile: Tile) -> npt.NDArray[np.int8]:
    """The matrix whose entries are made in an order.

    Args:
        stream: entries as they are made, in the shape (rows, columns) of the matrix.
        tile: rows and columns; empty for row by row, which leaves everything where it is.
    """
    if not tile:
        return stream
    matrix = np.empty_like(stream)
    matrix.ravel()[_places(*stream.shape, *tile)] = stream.ravel()
    return matrix


@lru_cache(maxsize=256)
def _places(rows: int, columns: int, high: int, wide: int) -> npt.NDArray[np.intp]:
    """Where each entry of the stream stands, counted along the rows of the matrix."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    # Sorted by band, then by tile of the band, then by row and column within the tile; the sort is
    # stable, and the entries are in the order of rows and columns before it.
    return np.lexsort((row, column // wide, row // high))
