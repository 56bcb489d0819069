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
from dse.ternary.generators.choice import Generator
from dse.ternary.generators.counter_arx import STATE_BITS, WORD_BITS, arx, join_state, split_state
from dse.ternary.generators.one_hot import check_block, decision_bits, scatter
from dse.ternary.generators.shift_register import Bits, Trits

__all__ = ["STATE_BITS", "check", "decision_bits", "jump", "matrix", "place_masks", "state_bits"]

ROW_BITS = 16
STEP = 40_503


def check(generator: Generator, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless blocks of 1/density divide the columns."""
    check_block(generator, density, columns)
    if density < 2.0**-ROW_BITS:
        raise InvalidDesign(
            f"density must be at least 1/2^{ROW_BITS} for generator sobol, not {density}"
        )


def state_bits(generator: Generator) -> int:
    """Key, first output and shift."""
    return STATE_BITS


def place_masks(place_bits: int) -> list[int]:
    """Digit i of a point's place is the parity of its number under mask i."""
    # C(j, i) is odd where the bits of i are among those of j (Lucas).
    return [sum(1 << j for j in range(ROW_BITS) if i & j == i) for i in range(place_bits)]


def matrix(generator: Generator, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order, block by block."""
    place_bits = decision_bits(generator, density)
    block = 2**place_bits
    key, low = split_state(state)
    first, shift = low >> 16, (low & 0xFFFF) >> (16 - place_bits)
    outputs = (np.arange(rows) + first) % 2**ROW_BITS
    blocks = np.arange(columns // block)
    points = (outputs[:, None] + block * STEP * blocks[None, :]) % 2**ROW_BITS
    place = _places(place_bits)[points] ^ shift
    sign = _signs(outputs, len(blocks), key, generator.rounds)
    return scatter(place.ravel(), sign.ravel(), block).reshape(rows, columns)


def _signs(
    outputs: npt.NDArray[np.int64], blocks: int, key: int, rounds: int
) -> npt.NDArray[np.uint8]:
    groups = np.arange(-(-blocks // WORD_BITS), dtype=np.uint32)
    words = (outputs.astype(np.uint32) << np.uint32(16))[:, None] | groups[None, :]
    mixed = arx(words, key, rounds).astype(">u4")
    bits = np.unpackbits(mixed.view(np.uint8).reshape(len(outputs), -1), axis=1)
    return bits[:, :blocks]


@lru_cache(maxsize=32)
def _places(place_bits: int) -> npt.NDArray[np.int64]:
    """The first digits of every point, as a number."""
    points = np.arange(2**ROW_BITS)
    places = np.zeros_like(points)
    for mask in place_masks(place_bits):
        parity = points & mask
        for distance in (8, 4, 2, 1):
            parity ^= parity >> distance
        places = places << 1 | parity & 1
    return places


def jump(generator: Generator, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries, which must be whole rows: the first output moves on."""
    if entries % columns:
        raise InvalidDesign(f"sobol goes on by whole rows of {columns} entries, not by {entries}")
    key, low = split_state(state)
    first = ((low >> 16) + entries // columns) % 2**ROW_BITS
    return join_state(key, first << 16 | low & 0xFFFF)
