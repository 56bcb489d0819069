"""What the families with exact fan-in share: one non-zero entry in every block of B = 1/density.

B is a power of two that divides the inputs. A block takes log2(B) bits as the place of its entry,
the first bit the most significant, and a sign.
"""

import math

import numpy as np

from dse.errors import InvalidDesign
from dse.ternary.generators.parameters import Parameters
from dse.ternary.generators.shift_register import Trits


def check_block(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless 1/density is a power of two that divides the columns."""
    mantissa, exponent = math.frexp(density)  # 2^(exponent-1) <= density < 2^exponent
    if mantissa != 0.5:
        raise InvalidDesign(
            f"density must be 1/B with B a power of two for generator {generator.family}, not "
            f"{density}: the nearest are {2.0 ** (exponent - 1)} and {2.0**exponent}"
        )
    block = 2 ** (1 - exponent)
    if columns is None:
        return
    if block > columns:
        raise InvalidDesign(
            f"generator {generator.family} at density {density} makes one non-zero entry in "
            f"{block} inputs, but there are {columns}: use a density of "
            f"1/{2 ** (columns.bit_length() - 1)} or more"
        )
    if columns % block:
        raise InvalidDesign(
            f"generator {generator.family} at density {density} needs blocks of {block} inputs, "
            f"which do not divide {columns} channels: change density or channels"
        )


def place_bits(generator: Parameters, density: float) -> int:
    """Bits that say which entry of a block is not zero: log2(B)."""
    return 1 - math.frexp(density)[1]


def scatter(place: np.ndarray, sign: np.ndarray, block: int) -> Trits:
    """One non-zero entry a block: at `place`, negative where `sign` is 1; shape (blocks, block)."""
    trits = np.zeros((len(place), block), dtype=np.int8)
    trits[np.arange(len(place)), place] = 1 - 2 * sign.astype(np.int8)
    return trits


def check_whole_blocks(generator: Parameters, density: float, lanes: int) -> None:
    """Raise `InvalidDesign` unless the lanes are whole blocks."""
    block = 2 ** place_bits(generator, density)
    if lanes % block:
        raise InvalidDesign(
            f"lanes must be a multiple of {block}, the block of {generator.family} at density "
            f"{density:g}, not {lanes}"
        )


def check_lanes_divide(lanes: int, columns: int) -> None:
    """Raise `InvalidDesign` unless the lanes divide the columns; names those that would."""
    if columns % lanes:
        near = [n for n in range(1, columns + 1) if columns % n == 0]
        low = max((n for n in near if n < lanes), default=1)
        high = min((n for n in near if n > lanes), default=columns)
        offered = f"{low} or {high}" if low != high else f"{low}"
        raise InvalidDesign(f"{lanes} lanes do not divide {columns} inputs: use {offered} lanes")
