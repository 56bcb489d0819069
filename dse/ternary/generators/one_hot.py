"""Shift register and decoder: one non-zero entry in every block of B = 1/density inputs.

Each block takes log2(B) bits as the place of its non-zero entry, the first bit the most
significant, and one sign bit; sign bit 1 means -1. Exact fan-in, no dead rows, the fewest random
bits a trit; another distribution than independent entries. B is a power of two that divides the
inputs.

Signs: random, or *balanced*, so that every row has as many +1 as -1 (within one, where its blocks
are odd in number). A row of random signs has a surplus of about the square root of its entries; it
passes what all inputs have in common, such as the mean of what comes out of a ReLU. A balanced row
is a sum of differences of two inputs. Blocks are taken in pairs along the stream, 0 and 1, 2 and 3;
the first has its sign bit, the second the opposite of it, and its own bit is not used:

    block     0   1 | 2   3 | 4 | 5        bits are drawn as ever, so places are the same with
    bit       0   1   1   1   0   0        either kind of signs, and so is the register's way
    sign      +   - | -   + | + | -
    row       ------ 0 ---------|-- 1 ...  five blocks a row: +3 -2, then -1 +..., and so on

Why pairs run on from row to row, where they could begin anew: a circuit would have to know where
rows end. Nothing is lost. Rows of an even number of blocks hold whole pairs; those of an odd number
hold whole pairs and one half, the first of a pair at their end or the second at their beginning.
Only tiles could cut a row into several such parts, and are refused where they do.

The trap: + - + - along every row is balanced as well, but then two rows that take the same input
add or subtract it alike, always; rows are correlated, and the network sees fewer of them. A random
bit a pair leaves the signs of two rows independent.

The price: no row sees the sum of the inputs of a pair of blocks, for whatever it takes of one it
takes away of the other. Where pairs stand in the same columns in all rows (rows of an even number
of blocks), that is one direction lost for each pair, a share of density / 2 of the rank: 12 % at
1/4, 3 % at 1/16. To move pairs from row to row, a circuit would have to count rows' blocks.
"""

import math
from typing import get_args

import numpy as np

from dse.errors import InvalidDesign, require
from dse.ternary.generators import registers
from dse.ternary.generators.family import Parameters, Signs
from dse.ternary.generators.shift_register import Bits, Trits, numbers, register_entries

PARAMETERS = (*registers.PARAMETERS, "signs")
EXACT_FAN_IN = True
HELPERS = registers.HELPERS
SEED = registers.SEED

state_bits = registers.state_bits
start_words = registers.no_words


def check_parameters(generator: Parameters) -> None:
    """Raise `InvalidField` for a bad register or signs of another kind."""
    registers.check_register(generator)
    known = get_args(Signs)
    require(generator.signs in known, "signs", " or ".join(known), str(generator.signs))


def is_balanced(generator: Parameters) -> bool:
    """Whether blocks share their sign bits in pairs."""
    return generator.signs == "balanced"


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless blocks of 1/density divide the columns.

    With balanced signs, two blocks show one sign bit: the window of the second reaches back to it,
    over as many bits as lie from block to block, and taps may not fall into that either.
    """
    check_block(generator, density, columns)
    block = 2 ** decision_bits(generator, density)
    if generator.tile and generator.tile[1] % block:
        raise InvalidDesign(
            f"generator {generator.family} at density {density} makes blocks of {block} inputs, "
            f"which do not divide the {generator.tile[1]} columns of a tile: change density or tile"
        )
    reach = generator.shift if is_balanced(generator) else 0
    registers.check_overlap(generator, decision_bits(generator, density) + 1, reach)
    if is_balanced(generator):
        _check_pairs(generator, density, block, columns)


def _check_pairs(generator: Parameters, density: float, block: int, columns: int | None) -> None:
    """Raise `InvalidDesign` for rows of one block, and tiles that cut pairs of a row apart."""
    what = f"balanced signs of generator {generator.family} at density {density}"
    if columns == block:
        raise InvalidDesign(
            f"{what} need two non-zero entries or more in a row, and {columns} inputs have one: "
            "use a higher density or random signs"
        )
    wide = generator.tile[1] if generator.tile else 0
    if wide % (2 * block):
        raise InvalidDesign(
            f"{what} need pairs of blocks, {2 * block} inputs, which do not divide the {wide} "
            "columns of a tile: change density, tile or signs"
        )
    if wide and columns and columns > wide and columns % (2 * block):
        raise InvalidDesign(
            f"{what} in tiles of {wide} columns need pairs of blocks, {2 * block} inputs, which do "
            f"not divide {columns} channels: change density, channels, tile or signs"
        )


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
    place, sign = numbers(bits[:, :place_bits]), bits[:, place_bits]
    if is_balanced(generator):
        sign = sign.copy()
        sign[1::2] = 1 - sign[: count - count % 2 : 2]
    return scatter(place, sign, block).reshape(rows, columns)


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
    """The state after so many entries, which must be whole blocks, or pairs of balanced ones."""
    place_bits = decision_bits(generator, density)
    if entries % 2**place_bits:
        raise InvalidDesign(
            f"one_hot goes on by whole blocks of {2**place_bits} entries, not by {entries}"
        )
    if is_balanced(generator) and entries % 2 ** (place_bits + 1):
        raise InvalidDesign(
            "one_hot with balanced signs goes on by whole pairs of blocks, "
            f"{2 ** (place_bits + 1)} entries, not by {entries}"
        )
    return registers.jump(generator, state, entries >> place_bits, place_bits + 1)


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """Register, log2(B), and whether signs are balanced, where they are."""
    bits = decision_bits(generator, density)
    signs = {"BALANCED": 1} if is_balanced(generator) else {}
    return registers.verilog_parameters(generator, "BLOCK_BITS", bits) | signs


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
