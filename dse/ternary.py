"""The ternary matrix as a function: `weight(seed, layer, row, column) -> {-1, 0, +1}`.

The reference model of the generator that hardware builds. A linear-feedback shift register of 127
bits with two taps,

    bit[n] = bit[n - 127] XOR bit[n - 97]        (trinomial 127, 97; period 2^127 - 1)

gives a stream of bits; weights take theirs from it in row-major order, without overlap, so the
number of lanes that a machine computes per cycle never changes the matrix. Two rules turn bits into
a row:

* `iid`: each entry takes `THRESHOLD_BITS` bits as a number u (first bit is the most significant)
  and one sign bit. It is non-zero where u < density * 2^THRESHOLD_BITS; sign bit 1 means -1.
* `one_hot`: each block of B = 1/density entries takes log2(B) bits as the place of its one non-zero
  entry and one sign bit: exact fan-in, no dead rows.

Two taps far apart and a prime number of state bits avoid the correlations that overlapping windows
and adjacent taps show (docs/ternary.md names the measurements). 127 is the exponent of a Mersenne
prime, so the irreducible trinomial is primitive and any start state but zero has the full period.
"""

import hashlib
import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign

STATE_BITS = 127
TAP = 97
THRESHOLD_BITS = 8
DENSITY_STEPS = 2**THRESHOLD_BITS

FanIn = Literal["iid", "one_hot"]


def start_state(seed: int, layer: str) -> npt.NDArray[np.uint8]:
    """The first 127 bits of a layer's stream: a hash of seed and layer name, never all zero.

    Args:
        seed: any integer; the design's `ternary_seed`.
        layer: name of the layer within the network, such as `B2.1.pw`.

    Returns:
        Bits, shape (127,), dtype uint8, oldest first.
    """
    digest = hashlib.sha256(f"ternary-dse/{seed}/{layer}".encode()).digest()
    bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8))[:STATE_BITS].copy()
    bits[-1] |= not bits.any()  # all zero is the one state that a shift register never leaves
    return bits


def lfsr_bits(state: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """The next `count` bits after `state`, many at a time.

    Squaring the recurrence doubles its lags (over GF(2), p(x)^2 = p(x^2)):
    bit[n] = bit[n - 127 * 2^j] XOR bit[n - 97 * 2^j]. So once 127 * 2^j bits are known, the next
    97 * 2^j follow in one vector operation.

    Args:
        state: the last 127 bits, shape (127,), oldest first.
        count: bits wanted, 0 or more.

    Returns:
        Bits, shape (count,), dtype uint8.
    """
    bits = np.empty(STATE_BITS + count, dtype=np.uint8)
    bits[:STATE_BITS] = state
    known, scale = STATE_BITS, 1
    while known < len(bits):
        while known >= 2 * scale * STATE_BITS:
            scale *= 2
        end = min(known + scale * TAP, len(bits))
        new = slice(known, end)
        np.bitwise_xor(
            bits[known - scale * STATE_BITS : end - scale * STATE_BITS],
            bits[known - scale * TAP : end - scale * TAP],
            out=bits[new],
        )
        known = end
    return bits[STATE_BITS:]


def check_density(density: float, fan_in: FanIn, in_channels: int | None = None) -> None:
    """Raise `InvalidDesign` unless the generator can make this density exactly.

    Args:
        density: share of entries that are not zero.
        fan_in: `iid` makes n/256 for n in 1..256; `one_hot` makes 1/B for B a power of two.
        in_channels: columns of the matrix, if known: `one_hot` needs whole blocks of B.
    """
    if not 0 < density <= 1:
        raise InvalidDesign(f"density must be in (0, 1], not {density}")
    if fan_in == "one_hot":
        mantissa, exponent = math.frexp(density)  # 2^(exponent-1) <= density < 2^exponent
        if mantissa != 0.5:
            raise InvalidDesign(
                f"density must be 1/B with B a power of two for fan_in one_hot, not {density}: "
                f"the nearest are {2.0 ** (exponent - 1)} and {2.0**exponent}"
            )
        block = 2 ** (1 - exponent)
        if in_channels is not None and in_channels % block:
            raise InvalidDesign(
                f"fan_in one_hot at density {density} needs blocks of {block} inputs, which do "
                f"not divide {in_channels} channels: change density or channels"
            )
    elif (density * DENSITY_STEPS) % 1:
        low = int(density * DENSITY_STEPS)
        near = [f"{n / DENSITY_STEPS}" for n in (low, low + 1) if n >= 1]
        raise InvalidDesign(
            f"density must be n/{DENSITY_STEPS} for fan_in iid, not {density}: "
            f"the nearest {'are' if len(near) > 1 else 'is'} {' and '.join(near)}"
        )


def ternary_matrix(
    seed: int, layer: str, rows: int, columns: int, density: float, fan_in: FanIn = "iid"
) -> npt.NDArray[np.int8]:
    """The constant ternary matrix of one layer.

    Args:
        seed: the design's `ternary_seed`.
        layer: name of the layer within the network.
        rows: output channels, at least 1.
        columns: input channels, at least 1.
        density: share of non-zero entries (expected for `iid`, exact for `one_hot`).
        fan_in: rule that turns bits into a row, see the module's docstring.

    Returns:
        Entries -1, 0 and +1, shape (rows, columns), dtype int8. The same on every machine.

    Raises:
        InvalidDesign: the rule cannot make this density, or its blocks do not divide the columns.
    """
    check_density(density, fan_in, columns)
    if fan_in == "one_hot":
        return _one_hot(start_state(seed, layer), rows, columns, round(1 / density))
    bits = lfsr_bits(start_state(seed, layer), rows * columns * (THRESHOLD_BITS + 1))
    bits = bits.reshape(rows * columns, THRESHOLD_BITS + 1)
    number = np.packbits(bits[:, :THRESHOLD_BITS], axis=1)[:, 0]
    sign = 1 - 2 * bits[:, THRESHOLD_BITS].astype(np.int8)
    mask = number < round(density * DENSITY_STEPS)
    matrix: npt.NDArray[np.int8] = (mask * sign).astype(np.int8).reshape(rows, columns)
    return matrix


def _one_hot(
    state: npt.NDArray[np.uint8], rows: int, columns: int, block: int
) -> npt.NDArray[np.int8]:
    place_bits = block.bit_length() - 1
    blocks = rows * columns // block
    bits = lfsr_bits(state, blocks * (place_bits + 1)).reshape(blocks, place_bits + 1)
    weights = 1 << np.arange(place_bits - 1, -1, -1, dtype=np.int64)
    place = np.sum(bits[:, :place_bits] * weights, axis=1, dtype=np.int64)
    matrix = np.zeros((blocks, block), dtype=np.int8)
    matrix[np.arange(blocks), place] = 1 - 2 * bits[:, place_bits].astype(np.int8)
    one_hot: npt.NDArray[np.int8] = matrix.reshape(rows, columns)
    return one_hot


@lru_cache(maxsize=65_536)
def count_nonzeros(
    seed: int, layer: str, rows: int, columns: int, density: float, fan_in: FanIn
) -> int:
    """Exact number of non-zero entries of `ternary_matrix`, remembered between calls."""
    if fan_in == "one_hot":
        check_density(density, fan_in, columns)
        return rows * columns // round(1 / density)
    return int(np.count_nonzero(ternary_matrix(seed, layer, rows, columns, density, fan_in)))
