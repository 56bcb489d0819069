"""A linear-feedback shift register as a stream of bits.

    bit[n] = XOR over the taps t of bit[n - t]

The state is the last `taps[0]` bits, oldest first; the bits after it are used. Two taps 127 and 97
are the trinomial x^127 + x^30 + 1. Everything here is exact arithmetic over GF(2).
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
"""0 or 1 each, in order of time."""
Trits = npt.NDArray[np.int8]
"""-1, 0 or +1 each."""


def lfsr_bits(state: Bits, count: int, taps: tuple[int, ...] = (127, 97)) -> Bits:
    """The next `count` bits after `state`, many at a time.

    Squaring the recurrence doubles its lags (over GF(2), p(x)^2 = p(x^2)): bit[n] is also the XOR
    of bit[n - t * 2^j]. So once taps[0] * 2^j bits are known, the next taps[-1] * 2^j follow in one
    vector operation.

    Args:
        state: the last taps[0] bits, oldest first.
        count: bits wanted, 0 or more.
        taps: descending.

    Returns:
        Bits, shape (count,), dtype uint8.
    """
    length, shortest = taps[0], taps[-1]
    bits = np.empty(length + count, dtype=np.uint8)
    bits[:length] = state
    known, scale = length, 1
    while known < len(bits):
        while known >= 2 * scale * length:
            scale *= 2
        end = min(known + scale * shortest, len(bits))
        first, second, *more = (bits[known - scale * tap : end - scale * tap] for tap in taps)
        new = bits[known:end]
        np.bitwise_xor(first, second, out=new)
        for other in more:
            np.bitwise_xor(new, other, out=new)
        known = end
    return bits[length:]


def jump_ahead(state: Bits, count: int, taps: tuple[int, ...] = (127, 97)) -> Bits:
    """The state after `count` bits, in time that grows with the logarithm of `count`.

    x^count modulo the register's polynomial says which of the bits from here on add up to the bit
    `count` places later.

    Args:
        state: the last taps[0] bits, oldest first.
        count: bits to go on by, 0 or more.
        taps: descending.

    Returns:
        Bits, shape (taps[0],), dtype uint8.
    """
    length = taps[0]
    factor = _power_of_x(count, taps)
    near = np.concatenate([state, lfsr_bits(state, length, taps)])
    places = [place for place in range(length) if factor >> place & 1]
    jumped = np.zeros(length, dtype=np.uint8)
    for place in places:
        jumped ^= near[place : place + length]
    return jumped


def _polynomial(taps: tuple[int, ...]) -> int:
    """bit[n + N] = XOR of bit[n + N - t]: x^N + sum of x^(N - t), as a number."""
    polynomial = 1 << taps[0]
    for tap in taps:
        polynomial |= 1 << (taps[0] - tap)
    return polynomial


def _reduce(value: int, polynomial: int) -> int:
    degree = polynomial.bit_length() - 1
    terms = [place for place in range(degree) if polynomial >> place & 1]
    while value >> degree:
        high, value = value >> degree, value & ((1 << degree) - 1)
        for place in terms:
            value ^= high << place
    return value


def _square(value: int, polynomial: int) -> int:
    """Over GF(2) a square has every term at twice its place."""
    return _reduce(int(f"{value:b}".replace("0", "00").replace("1", "01"), 2), polynomial)


def _power_of_x(exponent: int, taps: tuple[int, ...]) -> int:
    polynomial = _polynomial(taps)
    value = 1
    for digit in f"{exponent:b}":
        value = _square(value, polynomial)
        if digit == "1":
            value = _reduce(value << 1, polynomial)
    return value


@lru_cache(maxsize=256)
def is_irreducible(taps: tuple[int, ...]) -> bool:
    """Whether the register's polynomial of prime degree N has no factors: x^(2^N) = x, no roots.

    Then, if 2^N - 1 is prime as well, every state but zero has that period.
    """
    polynomial = _polynomial(taps)
    value = 0b10
    for _ in range(taps[0]):
        value = _square(value, polynomial)
    # It is never divided by x; by x + 1 where its terms are even in number.
    return value == 0b10 and polynomial.bit_count() % 2 == 1


def numbers(bits: Bits) -> npt.NDArray[np.uint16]:
    """Rows of bits as numbers, the first bit the most significant: (n, k) -> (n,), k up to 16."""
    # Column by column: packing rows of a few bits each takes eight times as long.
    total = np.zeros(len(bits), dtype=np.uint16)
    for column in range(bits.shape[1]):
        np.left_shift(total, 1, out=total)
        np.bitwise_or(total, bits[:, column], out=total)
    return total


def windows(bits: Bits, entries: int, width: int, shift: int) -> Bits:
    """Bits of each entry, shape (entries, width); they overlap where shift < width."""
    if shift == width:
        return bits[: entries * width].reshape(entries, width)
    rows = np.lib.stride_tricks.sliding_window_view(bits, width)[::shift][:entries]
    return rows


def register_entries(
    state: Bits, taps: tuple[int, ...], entries: int, width: int, shift: int
) -> Bits:
    """Bits of the next `entries` entries, each `width` wide, the register moving on by `shift`."""
    step = shift or width
    if entries == 0:
        return np.zeros((0, width), dtype=np.uint8)
    count = (entries - 1) * step + max(width, step)
    return windows(lfsr_bits(state, count, taps), entries, width, step)
