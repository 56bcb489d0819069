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
    # Array index: 0 .. length-1 is the state, everything after it is output. One vector operation:
    #
    #     new     [known, known + shortest * scale)
    #     source  [known - tap * scale, ... + shortest * scale)     for each tap
    #
    # The sources of the shortest lag end exactly where the new bits begin, so none of them is a bit
    # that is still to be written; a longer block would read what does not exist yet.
    length, shortest = taps[0], taps[-1]
    bits = np.empty(length + count, dtype=np.uint8)
    bits[:length] = state
    known, scale = length, 1
    while known < len(bits):
        # A recurrence of twice the lags needs length * 2 * scale bits before it: the block doubles
        # whenever the stream has doubled.
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

    Let the operator x move the stream on by one bit. On this stream p(x) = 0, p being the
    register's polynomial of degree N, so x^count acts as its remainder modulo p does:

        x^count = sum of x^i over i in S (mod p), S within 0 .. N-1
        bit[n + count] = XOR over i in S of bit[n + i]

    The remainder takes log2(count) squarings of N-bit polynomials; then every bit of the new state
    is a sum over S of the next 2N bits. None of the bits in between is made.

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
    """bit[n + N] = XOR of bit[n + N - t]: x^N + sum of x^(N - t), as a number.

    Polynomials over GF(2) are Python integers here: bit i is the coefficient of x^i, XOR adds. The
    longest tap is N itself and gives the constant term, so x never divides the polynomial.
    """
    polynomial = 1 << taps[0]
    for tap in taps:
        polynomial |= 1 << (taps[0] - tap)
    return polynomial


def _reduce(value: int, polynomial: int) -> int:
    """The remainder: p = 0 means x^N = sum of the lower terms, so high parts are folded down.

    All high coefficients are folded at once, a shift and an XOR for each low term. For a trinomial
    whose middle term is low that is done in two or three rounds; bit by bit it would take N.
    """
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
    """x^exponent modulo the polynomial: square and multiply, leading binary digit first."""
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

    x^(2^N) - x is the product of all irreducible polynomials whose degree divides N, each once. So
    a polynomial that divides it has, for prime N, factors of degree 1 or N only; without roots it
    is itself irreducible. Then the order of x divides 2^N - 1, and if that number is prime as well,
    it is the order: every state but zero has that period. For N that is not prime the test says
    nothing; callers ask for a Mersenne exponent first.
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
    """Bits of each entry, shape (entries, width): entry e has bits[e * shift : e * shift + width].

    They overlap where shift < width, and leave bits unused where shift > width. Without overlap it
    is a reshape, else a strided view: no bit is copied, so the result must not be written to.

    Args:
        bits: shape (n,), n at least (entries - 1) * shift + width.
        entries: rows of the result.
        width: bits that an entry looks at.
        shift: bits from the start of one entry to that of the next, at least 1.
    """
    if shift == width:
        return bits[: entries * width].reshape(entries, width)
    rows = np.lib.stride_tricks.sliding_window_view(bits, width)[::shift][:entries]
    return rows


def register_entries(
    state: Bits, taps: tuple[int, ...], entries: int, width: int, shift: int
) -> Bits:
    """Bits of the next `entries` entries, each `width` wide, the register moving on by `shift`.

    Args:
        state: the last taps[0] bits, oldest first; they are not part of the result.
        taps: descending.
        entries: trits or blocks, 0 or more.
        width: bits that an entry looks at, its sign bit included.
        shift: bits from entry to entry; 0 means `width`, so that no bit is used twice or lost.

    Returns:
        Shape (entries, width), dtype uint8.
    """
    step = shift or width
    if entries == 0:
        return np.zeros((0, width), dtype=np.uint8)
    count = (entries - 1) * step + max(width, step)
    return windows(lfsr_bits(state, count, taps), entries, width, step)
