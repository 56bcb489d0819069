"""Shift register and decoder: one non-zero entry in every block of B = 1/density inputs.

Each block takes log2(B) bits as the place of its non-zero entry, the first bit the most
significant, and one sign bit; sign bit 1 means -1. Exact fan-in, no dead rows, the fewest random
bits a trit; another distribution than independent entries. B is a power of two that divides the
inputs.
"""

from dse.errors import InvalidDesign
from dse.ternary.generators import blocks, registers
from dse.ternary.generators.parameters import Parameters
from dse.ternary.generators.shift_register import Bits, Trits, numbers, register_entries

PARAMETERS = registers.PARAMETERS
EXACT_FAN_IN = True
HELPERS = registers.HELPERS
SEED = registers.SEED
C_NAME = "TDSE_ONE_HOT"

state_bits = registers.state_bits
check_parameters = registers.check_register
decision_bits = blocks.place_bits
check_lanes = blocks.check_whole_blocks


def check(generator: Parameters, density: float, columns: int | None) -> None:
    """Raise `InvalidDesign` unless blocks of 1/density divide the columns."""
    blocks.check_block(generator, density, columns)
    registers.check_overlap(generator, decision_bits(generator, density) + 1)


def matrix(generator: Parameters, density: float, state: Bits, rows: int, columns: int) -> Trits:
    """Entries in row-major order, block by block."""
    place_bits = decision_bits(generator, density)
    block = 2**place_bits
    count = rows * columns // block
    bits = register_entries(state, generator.taps, count, place_bits + 1, generator.shift)
    place = numbers(bits[:, :place_bits])
    return blocks.scatter(place, bits[:, place_bits], block).reshape(rows, columns)


def jump(generator: Parameters, density: float, state: Bits, entries: int, columns: int) -> Bits:
    """The state after so many entries, which must be whole blocks."""
    place_bits = decision_bits(generator, density)
    if entries % 2**place_bits:
        raise InvalidDesign(
            f"one_hot goes on by whole blocks of {2**place_bits} entries, not by {entries}"
        )
    return registers.jump(generator, state, entries >> place_bits, place_bits + 1)


def verilog_parameters(generator: Parameters, density: float) -> dict[str, int]:
    """Register and log2(B)."""
    return registers.verilog_parameters(generator, "BLOCK_BITS", decision_bits(generator, density))


def start_words(
    generator: Parameters, density: float, lanes: int, columns: int
) -> dict[str, tuple[int, int]]:
    """The density is wired in."""
    return {}


def lanes_rule(generator: Parameters, density: float) -> str:
    """Whole blocks."""
    return f"; it is a multiple of {2 ** decision_bits(generator, density)}"
