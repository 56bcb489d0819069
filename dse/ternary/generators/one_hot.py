"""Shift register and decoder: one non-zero entry in every block of B = 1/density inputs.

Each block takes log2(B) bits as the place of its non-zero entry, the first bit the most
significant, and one sign bit; sign bit 1 means -1. Exact fan-in, no dead rows, the fewest random
bits a trit; another distribution than independent entries. B is a power of two that divides the
inputs.
"""

import math

import numpy as np

from dse.errors import InvalidDesign
from dse.ternary.generators import registers
from dse.ternary.generators.family import Parameters
from dse.ternary.generators.shift_register import Bits, Trits, numbers, register_entries

PARAMETERS = registers.PARAMETERS
EXACT_FAN_IN = True
HELPERS = registers.HELPERS
SEED = registers.SEED

state_bits = registers.state_bits
check_parameters = registers.check_register
start_words = registers.no_words


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless blocks of 1/density divide the columns."""
    check_block(generator, density, columns)
    block = 2 ** decision_bits(generator, density)
    if generator.tile and generator.tile[1] % block:
        raise InvalidDesign(
            f"generator {generator.family} at density {density} makes blocks of {block} inputs, "
            f"which do not divide the {generator.tile[1]} columns of a tile: change density or tile"
        )
    registers.check_overlap(generator, decision_bits(generator, density) + 1)


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


def decision_bits(generator: Parameters, density: float) -> int:
    """Bits that say which entry of a block is not zero: log2(B)."""
    return 1 - math.frexp(density)[1]


def matrix(generator: Parameters, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order, block by block.

    log2(B) + 1 bits make B trits, where independent entries take as many bits for one: with density
    1/4 that is 3 bits for 4 trits.
    """
    place_bits = decision_bits(generator, density)
    block = 2**place_bits
    count = rows * columns // block
    bits = register_entries(state, generator.taps, count, place_bits + 1, generator.shift)
    place = numbers(bits[:, :place_bits])
    return scatter(place, bits[:, place_bits], block).reshape(rows, columns)


def scatter(place: np.ndarray, sign: np.ndarray, block: int) -> Trits:
    """One non-zero entry a block: at `place`, negative where `sign` is 1; shape (blocks, block).

    Blocks divide the columns, so they never run over the end of a row: reshaped to (rows, columns)
    this is the matrix in row-major order, with columns / block non-zero entries in each row.

    Args:
        place: shape (blocks,), from 0 to block - 1.
        sign: shape (blocks,), 0 or 1.
        block: entries of a block, 1/density.
    """
    trits = np.zeros((len(place), block), dtype=np.int8)
    trits[np.arange(len(place)), place] = 1 - 2 * sign.astype(np.int8)
    return trits


def jump(generator: Parameters, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries, which must be whole blocks."""
    place_bits = decision_bits(generator, density)
    if entries % 2**place_bits:
        raise InvalidDesign(
            f"one_hot goes on by whole blocks of {2**place_bits} entries, not by {entries}"
        )
    return registers.jump(generator, state, entries >> place_bits, place_bits + 1)


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """Register and log2(B)."""
    return registers.verilog_parameters(generator, "BLOCK_BITS", decision_bits(generator, density))


def check_lanes(generator: Parameters, density: float, lanes: int) -> None:
    """Raise `InvalidDesign` unless the lanes are whole blocks."""
    block = 2 ** decision_bits(generator, density)
    if lanes % block:
        raise InvalidDesign(
            f"lanes must be a multiple of {block}, the block of {generator.family} at density "
            f"{density:g}, not {lanes}"
        )


def lanes_rule(generator: Parameters, density: float) -> str:
    """Whole blocks."""
    return f"; it is a multiple of {2 ** decision_bits(generator, density)}"
