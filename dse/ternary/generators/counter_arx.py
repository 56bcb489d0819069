"""Counter and mixing function: any entry at any time.

A word of 32 random bits is a function of its number: the counter, mixed by `rounds` rounds of
addition, rotation and XOR on two 16-bit halves,

    x = ((x rotated right by 7) + y) XOR key_i        key_i: high half of the key in even rounds,
    y = (y rotated left by 2) XOR x                   low half in odd ones, XOR the round's number i

(rotations of the SPECK32 block cipher, Beaulieu et al., 2013; the keys are ours). Each word makes
E = 2^floor(log2(32 / (k + 1))) entries: slot s takes bits s * (k + 1) onward from the most
significant one, k = threshold_bits as a number and one sign bit, as `lfsr_threshold` does. k = 7
uses all 32 bits for four entries, k = 8 makes two.

The start state is 64 bits: the key, then the number of the first word. No feedback: entry e is in
word start + e // E, so hardware may begin anywhere; and a word may be made again instead of kept.
It costs more logic than a register.
"""

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign, require
from dse.ternary.generators import lfsr_threshold
from dse.ternary.generators.family import Parameters
from dse.ternary.generators.shift_register import Bits, Trits

Words = npt.NDArray[np.uint32]

PARAMETERS = ("threshold_bits", "rounds")
EXACT_FAN_IN = False
HELPERS = ("arx32", "at_most")
SEED = "key (32 bits, the upper), number of the first word (32)"

STATE_BITS = 64
WORD_BITS = 32
LEAST_ROUNDS = 6
MOST_ROUNDS = 32

decision_bits = lfsr_threshold.decision_bits
start_words = lfsr_threshold.start_words


def check_parameters(generator: Parameters) -> None:
    """Raise `InvalidField` for a bad threshold or too few rounds."""
    lfsr_threshold.check_threshold_bits(generator)
    check_rounds(generator)


def check_rounds(generator: Parameters) -> None:
    """Raise `InvalidField` for rounds out of range, or too few to mix."""
    rounds = generator.rounds
    require(1 <= rounds <= MOST_ROUNDS, "rounds", f"from 1 to {MOST_ROUNDS}", rounds)
    require(
        generator.override or rounds >= LEAST_ROUNDS,
        "rounds",
        f"at least {LEAST_ROUNDS}: with fewer, neighbouring counters give trits that follow one "
        "another (set override to accept)",
        rounds,
    )


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless the density is n/2^k."""
    lfsr_threshold.check_threshold(generator, density)


def state_bits(generator: Parameters) -> int:
    """Key and counter."""
    return STATE_BITS


def entries_per_word(threshold_bits: int) -> int:
    """Entries that one word of 32 bits makes: a power of two, so that lanes divide evenly.

    With k = 8 three entries of 9 bits would fit; two are made, and 14 bits are thrown away.
    """
    return 1 << ((WORD_BITS // (threshold_bits + 1)).bit_length() - 1)


def arx(words: Words, key: int, rounds: int) -> Words:
    """Mix each word: the function above, on all words at once.

    The arithmetic is that of 16-bit registers: uint16 arrays make `+` wrap modulo 2^16 as an adder
    without carry out does. For a fixed key it is a permutation of the 2^32 words (each step can be
    undone), so no two counters give the same word. XOR with the round's number keeps rounds apart
    where both halves of the key are equal.

    Args:
        words: counters, shape (n,) or any other; the upper half is x, the lower half y.
        key: 32 bits.
        rounds: 1 or more; from `LEAST_ROUNDS` on neighbours look independent.

    Returns:
        Mixed words of the same shape.
    """
    x = (words >> np.uint32(16)).astype(np.uint16)
    y = words.astype(np.uint16)
    for number in range(rounds):
        half = (key >> 16 if number % 2 == 0 else key) & 0xFFFF
        x = (x >> np.uint16(7)) | (x << np.uint16(9))
        x += y
        x ^= np.uint16(half ^ number)
        y = (y << np.uint16(2)) | (y >> np.uint16(14))
        y ^= x
    mixed: Words = (x.astype(np.uint32) << np.uint32(16)) | y
    return mixed


def split_state(state: Bits) -> tuple[int, int]:
    """The two 32-bit halves of a start state, the first bit the most significant."""
    high, low = np.packbits(state).view(">u4")
    return int(high), int(low)


def join_state(high: int, low: int) -> Bits:
    """The inverse of `split_state`: 64 bits, the first the most significant of `high`."""
    return np.unpackbits(np.array([high, low], dtype=">u4").view(np.uint8))


def matrix(generator: Parameters, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order; a last word that is not needed whole is cut.

    Words do not begin anew with a row: entry (r, c) is number e = r * columns + c of the layer, in
    slot e mod E of word start + e // E.
    """
    key, start = split_state(state)
    per_word, width = entries_per_word(generator.threshold_bits), generator.threshold_bits + 1
    count = -(-rows * columns // per_word)
    # Wraps modulo 2^32 as the hardware's counter does, and as `jump` does.
    words = np.arange(count, dtype=np.uint32) + np.uint32(start)
    mixed = arx(words, key, generator.rounds)
    k = generator.threshold_bits
    trits = np.empty((count, per_word), dtype=np.int8)
    limit = np.uint32(round(density * 2**k))
    for slot in range(per_word):
        # Slot 0 is at the top of the word:  | k bits, sign | k bits, sign | ... | unused |
        field = mixed >> np.uint32(WORD_BITS - (slot + 1) * width)
        number = (field >> np.uint32(1)) & np.uint32(2**k - 1)
        sign = 1 - 2 * (field & np.uint32(1)).astype(np.int8)
        trits[:, slot] = (number < limit) * sign
    return trits.ravel()[: rows * columns].reshape(rows, columns)


def jump(generator: Parameters, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries, which must be whole words: the counter goes on."""
    key, start = split_state(state)
    per_word = entries_per_word(generator.threshold_bits)
    if entries % per_word:
        raise InvalidDesign(
            f"counter_arx goes on by whole words of {per_word} entries, not by {entries}"
        )
    return join_state(key, (start + entries // per_word) % 2**32)


def check_lanes(generator: Parameters, density: float, lanes: int) -> None:
    """Raise `InvalidDesign` unless the lanes are whole words."""
    per_word = entries_per_word(generator.threshold_bits)
    if lanes % per_word:
        raise InvalidDesign(
            f"lanes must be a multiple of {per_word}, the entries that a word of counter_arx "
            f"makes, not {lanes}"
        )


def lanes_rule(generator: Parameters, density: float) -> str:
    """Whole words."""
    return "; it is whole words"


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """K and rounds."""
    return {"THRESHOLD_BITS": generator.threshold_bits, "ROUNDS": generator.rounds}
