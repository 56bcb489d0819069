"""Shift register and comparator: any density n/2^k.

Each entry takes k = threshold_bits bits as a number u, the first the most significant, and one sign
bit. It is not zero where u < density * 2^k; sign bit 1 means -1. Entries are independent, so rows
differ in their fan-in. Costs a k-bit comparator a lane; densities are the finest of all families.
"""

import numpy as np

from dse.errors import InvalidDesign
from dse.ternary.generators.choice import Generator
from dse.ternary.generators.shift_register import Bits, Trits, jump_ahead, numbers, register_entries


def check(generator: Generator, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless the density is n/2^k and the windows are sound."""
    check_threshold(generator, density)
    generator.check_overlap(generator.threshold_bits + 1)


def check_threshold(generator: Generator, density: float) -> None:
    """Raise `InvalidDesign` unless the density is n/2^threshold_bits, n from 1."""
    steps: int = 2**generator.threshold_bits
    if (density * steps) % 1:
        low = int(density * steps)
        near = [f"{n / steps}" for n in (low, low + 1) if n >= 1]
        raise InvalidDesign(
            f"density must be n/{steps} for generator {generator.family} with "
            f"{generator.threshold_bits} threshold bits, not {density}: "
            f"the nearest {'are' if len(near) > 1 else 'is'} {' and '.join(near)}"
        )


def state_bits(generator: Generator) -> int:
    """The register's length."""
    return generator.taps[0]


def decision_bits(generator: Generator, density: float) -> int:
    """Bits that are compared."""
    return generator.threshold_bits


def matrix(generator: Generator, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order."""
    width = generator.threshold_bits + 1
    bits = register_entries(state, generator.taps, rows * columns, width, generator.shift)
    return decide(bits, density).reshape(rows, columns)


def decide(bits: Bits, density: float) -> Trits:
    """(n, k + 1) bits -> n trits: k bits against the threshold, then the sign."""
    k = bits.shape[1] - 1
    mask = numbers(bits[:, :k]) < round(density * 2**k)
    sign = 1 - 2 * bits[:, k].astype(np.int8)
    trits: Trits = (mask * sign).astype(np.int8)
    return trits


def jump(generator: Generator, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries."""
    step = generator.shift or generator.threshold_bits + 1
    return jump_ahead(state, entries * step, generator.taps)
