"""Paths of a low-discrepancy sequence: exact fan-in and fan-out, any entry at any time.

After Keller and Van keirsbilck (arXiv 2103.03543): connections are paths through the points of a
Sobol' sequence instead of pseudo-random ones. What is known of that paper leaves the rest open; it
is our reading. Each block b of B = 1/density inputs has one path to output r, which enters at

    place(r, b) = first log2(B) digits of the second Sobol' component
                  of point number (start + r + B * STEP * b) mod 2^16, XOR a shift of the layer

so block b follows the sequence from a place of its own. Of any B outputs side by side, from a
multiple of B on, each input sees exactly one: fan-in and fan-out are exact, no row and no column is
dead. (Digit i of point n, most significant first, is the XOR of all bits j of n with C(j, i) odd;
STEP is 2^16 divided by the golden ratio.) Without the step, inputs would fall into B groups, and an
output would see one of them whole.

Signs cannot come from a third component: linear over GF(2), they would be a sign per row times one
per column where supports are linear too. They are pseudo-random: of the word that `counter_arx`
mixes from (start + r, b // 32) bit b mod 32, most significant first.

The start state is 64 bits: the key of the signs (32), `start` (16), and the shift (16, of which the
first log2(B) are used).
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign
from dse.ternary.generators import one_hot
from dse.ternary.generators.counter_arx import (
    STATE_BITS,
    WORD_BITS,
    arx,
    check_rounds,
    join_state,
    split_state,
)
from dse.ternary.generators.family import Parameters
from dse.ternary.generators.shift_register import Bits, Trits

PARAMETERS = ("rounds",)
EXACT_FAN_IN = True
HELPERS = ("arx32",)
SEED = "key of the signs (32 bits, the upper), start (16), shift (16)"

ROW_BITS = 16
STEP = 40_503

decision_bits = one_hot.decision_bits
check_parameters = check_rounds


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless blocks of 1/density divide the columns."""
    one_hot.check_block(generator, density, columns)
    if density < 2.0**-ROW_BITS:
        raise InvalidDesign(
            f"density must be at least 1/2^{ROW_BITS} for generator sobol, not {density}"
        )


def state_bits(generator: Parameters) -> int:
    """Key, first output and shift."""
    return STATE_BITS


def place_masks(place_bits: int) -> list[int]:
    """Digit i of a point's place is the parity of its number under mask i.

    These are the rows of the second component's generator matrix, C(j, i) mod 2 (Pascal's triangle
    modulo 2); in hardware each is one XOR tree over the bits of the point's number.

    Args:
        place_bits: log2 of the block, so many masks.

    Returns:
        One mask of `ROW_BITS` bits for each digit, the most significant digit first.
    """
    # C(j, i) is odd where the bits of i are among those of j (Lucas).
    return [sum(1 << j for j in range(ROW_BITS) if i & j == i) for i in range(place_bits)]


def matrix(generator: Parameters, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order, block by block.

        low 32 bits of the state:   | start (16) | shift (16, the upper log2(B) of them) |

    All places are computed at once, shape (rows, columns / B); the XOR with the shift permutes the
    inputs of each block, the same in all rows, and so keeps fan-in and fan-out exact.
    """
    place_bits = decision_bits(generator, density)
    block = 2**place_bits
    key, low = split_state(state)
    first, shift = low >> 16, (low & 0xFFFF) >> (16 - place_bits)
    outputs = (np.arange(rows) + first) % 2**ROW_BITS
    # Rows of the table are outputs, its columns the blocks of inputs. A step that is a multiple of
    # B keeps every run of B outputs aligned in the sequence, whatever the block: that is where the
    # exact fan-out comes from.
    numbers = np.arange(columns // block)
    points = (outputs[:, None] + block * STEP * numbers[None, :]) % 2**ROW_BITS
    place = _places(place_bits)[points] ^ shift
    sign = _signs(outputs, len(numbers), key, generator.rounds)
    return one_hot.scatter(place.ravel(), sign.ravel(), block).reshape(rows, columns)


def _signs(
    outputs: npt.NDArray[np.int64], count: int, key: int, rounds: int
) -> npt.NDArray[np.uint8]:
    # One word holds the signs of 32 blocks of one output. Big-endian bytes, as unpackbits begins
    # with the most significant bit of the first byte: bit b mod 32 counted from the top.
    groups = np.arange(-(-count // WORD_BITS), dtype=np.uint32)
    words = (outputs.astype(np.uint32) << np.uint32(16))[:, None] | groups[None, :]
    mixed = arx(words, key, rounds).astype(">u4")
    bits = np.unpackbits(mixed.view(np.uint8).reshape(len(outputs), -1), axis=1)
    return bits[:, :count]


@lru_cache(maxsize=32)
def _places(place_bits: int) -> npt.NDArray[np.int64]:
    """The first digits of every point, as a number: shape (2^16,), values below 2^place_bits.

    The parity of 16 bits is folded: after XOR with itself 8, 4, 2 and 1 places down, the lowest bit
    is the XOR of all.
    """
    points = np.arange(2**ROW_BITS)
    places = np.zeros_like(points)
    for mask in place_masks(place_bits):
        parity = points & mask
        for distance in (8, 4, 2, 1):
            parity ^= parity >> distance
        places = places << 1 | parity & 1
    return places


def jump(generator: Parameters, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries, which must be whole rows: the first output moves on."""
    if entries % columns:
        raise InvalidDesign(f"sobol goes on by whole rows of {columns} entries, not by {entries}")
    key, low = split_state(state)
    first = ((low >> 16) + entries // columns) % 2**ROW_BITS
    return join_state(key, first << 16 | low & 0xFFFF)


def check_lanes(generator: Parameters, density: float, lanes: int) -> None:
    """Raise `InvalidDesign` unless the lanes are a power of two of blocks."""
    one_hot.check_lanes(generator, density, lanes)
    block = 2 ** decision_bits(generator, density)
    if (lanes // block) & (lanes // block - 1):
        raise InvalidDesign(
            f"lanes must be {block} times a power of two for sobol at density {density:g}, not "
            f"{lanes}"
        )


def lanes_rule(generator: Parameters, density: float) -> str:
    """A cycle must not begin within one row and end in the next."""
    return (
        f"; it is {2 ** decision_bits(generator, density)} times a power of two, divides the "
        "inputs, and changes `last_block`"
    )


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """log2(B) and rounds."""
    return {"BLOCK_BITS": decision_bits(generator, density), "ROUNDS": generator.rounds}


def start_words(
    generator: Parameters, density: float, lanes: int, columns: int
) -> dict[str, tuple[int, int]]:
    """The last cycle of a row: the number of its first block."""
    check_lanes_divide(lanes, columns)
    return {"last_block": (ROW_BITS, (columns - lanes) >> decision_bits(generator, density))}


def check_lanes_divide(lanes: int, columns: int) -> None:
    """Raise `InvalidDesign` unless the lanes divide the columns; names those that would."""
    if columns % lanes:
        near = [n for n in range(1, columns + 1) if columns % n == 0]
        low = max((n for n in near if n < lanes), default=1)
        high = min((n for n in near if n > lanes), default=columns)
        offered = f"{low} or {high}" if low != high else f"{low}"
        raise InvalidDesign(f"{lanes} lanes do not divide {columns} inputs: use {offered} lanes")
