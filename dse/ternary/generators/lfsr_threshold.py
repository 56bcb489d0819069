"""Shift register and comparator: any density n/2^k.

Each entry takes k = threshold_bits bits as a number u, the first the most significant, and one sign
bit. It is not zero where u < density * 2^k; sign bit 1 means -1. Entries are independent, so rows
differ in their fan-in. Costs a k-bit comparator a lane; densities are the finest of all families.
"""

import numpy as np

from dse.errors import InvalidDesign, require
from dse.ternary.generators import registers
from dse.ternary.generators.family import Parameters
from dse.ternary.generators.shift_register import Bits, Trits, numbers, register_entries

PARAMETERS = (*registers.PARAMETERS, "threshold_bits")
EXACT_FAN_IN = False
HELPERS = (*registers.HELPERS, "at_most")
SEED = registers.SEED

MOST_THRESHOLD_BITS = 16

state_bits = registers.state_bits
check_lanes = registers.check_any_lanes
lanes_rule = registers.any_lanes


def check_parameters(generator: Parameters) -> None:
    """Raise `InvalidField` for a bad register or threshold."""
    check_threshold_bits(generator)
    registers.check_register(generator)


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless the density is n/2^k and the windows are sound."""
    check_threshold(generator, density)
    registers.check_overlap(generator, generator.threshold_bits + 1)


def check_threshold_bits(generator: Parameters) -> None:
    """Raise `InvalidField` where there are none, or too many."""
    most, bits = MOST_THRESHOLD_BITS, generator.threshold_bits
    require(1 <= bits <= most, "threshold_bits", f"from 1 to {most}", bits)


def check_threshold(generator: Parameters, density: float) -> None:
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


def decision_bits(generator: Parameters, density: float) -> int:
    """Bits that are compared."""
    return generator.threshold_bits


def matrix(generator: Parameters, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order, each of k + 1 bits of the register: | u, k bits | sign |."""
    width = generator.threshold_bits + 1
    bits = register_entries(state, generator.taps, rows * columns, width, generator.shift)
    return decide(bits, density).reshape(rows, columns)


def decide(bits: Bits, density: float) -> Trits:
    """(n, k + 1) bits -> n trits: k bits against the threshold, then the sign.

    u is uniform over 0 .. 2^k - 1, so exactly density * 2^k of its values are below the threshold:
    the density is met in expectation, with no rounding, for every n/2^k.
    """
    k = bits.shape[1] - 1
    mask = numbers(bits[:, :k]) < round(density * 2**k)
    sign = 1 - 2 * bits[:, k].astype(np.int8)
    trits: Trits = (mask * sign).astype(np.int8)
    return trits


def jump(generator: Parameters, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries."""
    return registers.jump(generator, state, entries, generator.threshold_bits + 1)


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """Register and k."""
    return registers.verilog_parameters(generator, "THRESHOLD_BITS", generator.threshold_bits)


def start_words(
    generator: Parameters, density: float, lanes: int, columns: int
) -> dict[str, tuple[int, int]]:
    """The threshold, one below, so that density 1 fits.

    u < T and u <= T - 1 are the same; T = 2^k of density 1 would need k + 1 bits, T - 1 needs k.
    It is an input of the circuit and no parameter: layers of one machine differ in density.
    """
    k = generator.threshold_bits
    return {"limit": (k, round(density * 2**k) - 1)}
