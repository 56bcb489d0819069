"""A technology: energy per primitive operation, each constant with its source.

Arithmetic grows with the width of its operands (a, b bits of a product; w bits of an accumulator):

    multiplication     = multiplication_pj_per_bit2 * a * b
    addition           = addition_pj_per_bit * w
    accumulator        = accumulator_pj_per_bit * w           its register, each time it is clocked
    ternary position   = ternary_position_pj_per_bit * w      a clocked ternary adder, zero or not
    ternary addition   = ternary_addition_pj_per_bit * w      on top, where the trit is not zero
    generator          = generator_state_pj_per_bit * state bits          per cycle
                       + generator_threshold_pj_per_bit * threshold bits  per trit

The SRAM table is interpolated between its rows, in the logarithms of capacity and energy: energy
follows a power of the capacity (docs/model.md, "Memories").
"""

import bisect
import math
from dataclasses import dataclass

from cost_models.errors import InvalidAccelerator, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A number and where it comes from."""

    value: float
    source: str
    """Publication or derivation, in words that let a reader find and redo it."""

    def __post_init__(self) -> None:
        """A physical constant is a positive number with a source."""
        require(0 < self.value < math.inf, "value", "a positive number", self.value)
        require(bool(self.source.strip()), "source", "a text that says where from", self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class SramRow:
    """Energy to read or write one bit of an SRAM of one capacity."""

    capacity_bits: int
    read_pj_per_bit: float
    write_pj_per_bit: float

    def __post_init__(self) -> None:
        """All three are positive."""
        for name in ("capacity_bits", "read_pj_per_bit", "write_pj_per_bit"):
            value = getattr(self, name)
            require(0 < value < math.inf, name, "a positive number", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SramTable:
    """SRAM energies by capacity."""

    source: str
    """Of all rows."""
    word_bits: int
    """Bits of the access that the energies were divided by."""
    rows: tuple[SramRow, ...]
    """By increasing capacity."""

    def __post_init__(self) -> None:
        """There are rows, in order, with a source."""
        require(bool(self.source.strip()), "source", "a text that says where from", self.source)
        require(self.word_bits >= 1, "word_bits", "at least 1", self.word_bits)
        capacities = [row.capacity_bits for row in self.rows]
        ordered = len(capacities) >= 1 and capacities == sorted(set(capacities))
        require(ordered, "rows", "a list by increasing capacity_bits", capacities)

    def read_pj_per_bit(self, capacity_bits: int) -> float:
        """Energy to read one bit; raises `InvalidAccelerator` outside the table."""
        return self._interpolate(capacity_bits, [row.read_pj_per_bit for row in self.rows])

    def write_pj_per_bit(self, capacity_bits: int) -> float:
        """Energy to write one bit; raises `InvalidAccelerator` outside the table."""
        return self._interpolate(capacity_bits, [row.write_pj_per_bit for row in self.rows])

    def _interpolate(self, capacity_bits: int, energies: list[float]) -> float:
        capacities = [row.capacity_bits for row in self.rows]
        if not capacities[0] <= capacity_bits <= capacities[-1]:
            raise InvalidAccelerator(
                f"an SRAM of {capacity_bits:,} bits is outside the technology's table, which has "
                f"{capacities[0]:,} to {capacities[-1]:,} bits: change capacity_bits, or use a "
                "technology whose table reaches it"
            )
        above = bisect.bisect_left(capacities, capacity_bits)
        if capacities[above] == capacity_bits:
            return energies[above]
        low, high = capacities[above - 1], capacities[above]
        share = math.log(capacity_bits / low) / math.log(high / low)
        ratio = energies[above] / energies[above - 1]
        return float(energies[above - 1] * ratio**share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """Energies of one process and voltage. A frozen value; `library.load_technology` reads it."""

    name: str
    """Of its file."""
    description: str
    node_nm: int
    voltage_v: float
    multiplication_pj_per_bit2: Constant
    """Per bit of one operand and bit of the other."""
    addition_pj_per_bit: Constant
    accumulator_pj_per_bit: Constant
    """An accumulator's register, per bit and cycle in which it is clocked."""
    ternary_position_pj_per_bit: Constant
    """A clocked ternary add/subtract/skip with its accumulator, whatever the trit."""
    ternary_addition_pj_per_bit: Constant
    """On top of the position, where the trit is not zero."""
    generator_state_pj_per_bit: Constant
    """Generator, per state bit and cycle."""
    generator_threshold_pj_per_bit: Constant
    """Generator, per threshold bit and trit."""
    dram_pj_per_bit: Constant
    """Read or written."""
    sram: SramTable

    def __post_init__(self) -> None:
        """Node and voltage are positive."""
        require(self.node_nm >= 1, "node_nm", "at least 1", self.node_nm)
        require(0 < self.voltage_v < 10, "voltage_v", "in (0, 10)", self.voltage_v)

    @property
    def sources(self) -> dict[str, str]:
        """Source of each constant, by the name of its field."""
        named = {
            name: constant.source
            for name in Technology.__dataclass_fields__
            if isinstance(constant := getattr(self, name), Constant)
        }
        return named | {"sram": self.sram.source}
