"""Shift register and AND gates: densities 2^-j.

Each entry takes j bits and one sign bit; it is not zero where all j bits are 1; sign bit 1 means
-1. Independent entries as with a threshold, for j random bits instead of k and without comparator;
only powers of two.
"""

import math

import numpy as np

from dse.errors import InvalidDesign
from dse.ternary.generators import registers
from dse.ternary.generators.family import Parameters
from dse.ternary.generators.shift_register import Bits, Trits, register_entries

PARAMETERS = registers.PARAMETERS
EXACT_FAN_IN = False
HELPERS = registers.HELPERS
SEED = registers.SEED

MOST_AND_BITS = 16

state_bits = registers.state_bits
check_parameters = registers.check_register
check_lanes = registers.check_any_lanes
lanes_rule = registers.any_lanes
start_words = registers.no_words


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless the density is 2^-j and the windows are sound."""
    mantissa, exponent = math.frexp(density)  # 2^(exponent-1) <= density < 2^exponent
    if mantissa != 0.5:
        raise InvalidDesign(
            f"density must be 1/2^j for generator lfsr_and, not {density}: "
            f"the nearest are {2.0 ** (exponent - 1)} and {2.0**exponent}"
        )
    if 1 - exponent > MOST_AND_BITS:
        raise InvalidDesign(
            f"density must be at least 1/2^{MOST_AND_BITS} for generator lfsr_and, not {density}"
        )
    registers.check_overlap(generator, 2 - exponent)


def decision_bits(generator: Parameters, density: float) -> int:
    """Bits that are ANDed: j of density 2^-j."""
    # frexp writes 2^-j as 0.5 * 2^(1 - j): exact, where a logarithm would have to be rounded.
    return 1 - math.frexp(density)[1]


def matrix(generator: Parameters, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order: bits of an entry are columns, | j bits to AND | sign |."""
    j = decision_bits(generator, density)
    bits = register_entries(state, generator.taps, rows * columns, j + 1, generator.shift)
    mask = np.ones(rows * columns, dtype=np.uint8)
    for column in range(j):
        mask &= bits[:, column]
    trits: Trits = mask.astype(np.int8) * (1 - 2 * bits[:, j].astype(np.int8))
    return trits.reshape(rows, columns)


def jump(generator: Parameters, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries."""
    return registers.jump(generator, state, entries, decision_bits(generator, density) + 1)


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """Register and j."""
    return registers.verilog_parameters(generator, "AND_BITS", decision_bits(generator, density))
