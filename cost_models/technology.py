"""A technology: energy, area and leakage per primitive, each constant with its source and band.

Arithmetic grows with the width of its operands (a, b bits of a product; w bits of an accumulator; i
bits of an input):

    multiplication   = multiplication_pj_per_bit2 * a * b
    addition         = addition_pj_per_bit * w
    accumulator      = accumulator_pj_per_bit * w          its register, each time it is clocked
    comparison       = comparison_pj_per_bit * i           ReLU, maximum
    ternary position = ternary_position_pj_per_bit * w     a clocked ternary adder, zero or not
    ternary addition = ternary_addition_pj_per_bit * w     on top, where the trit is not zero
    tree position    = tree_position_pj_per_bit * i        a clocked lane of a ternary adder tree
    tree addition    = tree_addition_pj_per_bit * i        on top, where the trit is not zero
    generator        = see `cost_models.generator`

    multiplier area  = multiplier_um2_per_bit2 * a * b - multiplier_edge_um2_per_bit * (a + b)
    other area       = see `cost_models.area`

    SRAM             = see `cost_models.sram`
    clock, wires     = see `cost_models.overhead`
"""

from dataclasses import dataclass
from typing import Annotated

from cost_models.allowed import Allowed, Count, Positive, Source, check_fields
from cost_models.band import Band
from cost_models.errors import require
from cost_models.leakage_class import LeakageClass
from cost_models.sram import SramTable
from cost_models.timing import UNKNOWN, Timing

LARGEST = 1e15
"""No constant of silicon is near it, in any of the units used here; products and sums of larger
ones would leave what a double holds, and price a design at infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A number, its band where sources disagree, and where it comes from."""

    value: Positive
    source: Source
    """Publication or derivation, in words that let a reader find and redo it."""
    low: Annotated[float, Allowed(gt=0, words="positive and at most value")] | None = None
    """Lowest figure that a source supports; `value` where it is left out."""
    high: Annotated[float, Allowed(gt=0, words="finite and at least value")] | None = None
    """Highest figure that a source supports; `value` where it is left out."""

    def __post_init__(self) -> None:
        """A physical constant is a positive number with a source, within its band."""
        check_fields(self)
        require(self.value <= LARGEST, "value", f"at most {LARGEST:g}", self.value)
        if self.low is not None:
            require(self.low <= self.value, "low", "positive and at most value", self.low)
        if self.high is not None:
            require(self.value <= self.high, "high", "finite and at least value", self.high)
            require(self.high <= LARGEST, "high", f"at most {LARGEST:g}", self.high)

    @property
    def band(self) -> Band:
        """Low, mid and high figure."""
        return Band(
            low=self.value if self.low is None else self.low,
            mid=self.value,
            high=self.value if self.high is None else self.high,
        )


OVERHEAD = (
    "clock_gate_pj",
    "clock_branch_pj_per_bit",
    "wire_pj_per_bit_mm",
    "control_pj_per_cycle",
    "address_pj_per_cycle",
)
"""Constants of clock, control and wires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """One process and voltage. A frozen value; `library.load_technology` reads it."""

    name: str
    """Of its file."""
    description: str
    node_nm: Count
    voltage_v: Annotated[float, Allowed(gt=0.0, lt=10.0)]
    logic_class: LeakageClass
    """What kind of transistor `logic_leakage_nw_per_um2` is of."""
    memory_class: LeakageClass
    """What kind of cell and periphery the table of SRAMs is of."""

    # Energy of arithmetic
    multiplication_pj_per_bit2: Constant
    """Per bit of one operand and bit of the other."""
    addition_pj_per_bit: Constant
    accumulator_pj_per_bit: Constant
    """An accumulator's register, per bit and cycle in which it is clocked."""
    comparison_pj_per_bit: Constant
    ternary_position_pj_per_bit: Constant
    """A clocked ternary add/subtract/skip with its accumulator, whatever the trit."""
    ternary_addition_pj_per_bit: Constant
    """On top of the position, where the trit is not zero."""
    tree_position_pj_per_bit: Constant
    """A clocked lane of a ternary adder tree, per bit of its input, whatever the trit."""
    tree_addition_pj_per_bit: Constant
    """On top of the lane, where the trit is not zero."""

    # Energy of storage
    register_read_pj_per_bit: Constant
    register_write_pj_per_bit: Constant
    dram_pj_per_bit: Constant
    """Read or written."""
    sram: SramTable

    # Energy of generators (`cost_models.generator`)
    generator_state_pj_per_bit: Constant
    """Per bit of the state register and cycle."""
    generator_decision_pj_per_bit: Constant
    """Per decision bit and trit."""
    generator_mixing_pj_per_bit: Constant
    """Per bit and round of an ARX mixing function."""
    generator_and_pj_per_input: Constant
    """Per input of the ANDs that decide, and trit."""
    generator_decoder_pj_per_gate: Constant
    """Per AND gate of the decoders of blocks, and cycle."""

    # Energy of clock, control and wires (`cost_models.overhead`): all of them, or none and no such
    # energy is counted
    clock_gate_pj: Constant | None = None
    """Of a clock gate that is closed, with its share of the buffers above it, a cycle."""
    clock_branch_pj_per_bit: Constant | None = None
    """Of an open gate, per flip-flop behind it and cycle; that one's clock pin is in its write."""
    wire_pj_per_bit_mm: Constant | None = None
    """Of data, a quarter of whose bits rise and fall a transfer; repeaters included."""
    control_pj_per_cycle: Constant | None = None
    """Of a loop nest's counters with their clock."""
    address_pj_per_cycle: Constant | None = None
    """Of a unit that makes addresses."""

    # Area
    multiplier_um2_per_bit2: Constant
    multiplier_edge_um2_per_bit: Constant
    """Less, per bit of the two operands: the first row and column need no full adders."""
    adder_um2_per_bit: Constant
    comparator_um2_per_bit: Constant
    ternary_adder_um2_per_bit: Constant
    """Per accumulator bit, the accumulator included."""
    ternary_adder_um2: Constant
    tree_lane_um2_per_bit: Constant
    """Per input bit of a lane, to pass, negate or drop it; the adders are counted apart."""
    selection_um2_per_bit: Constant | None = None
    """To take one of two; `tree_lane_um2_per_bit` where it is left out."""
    register_um2_per_bit: Constant
    """A flip-flop with enable."""
    register_file_um2_per_bit: Constant
    """Several words behind one port: decoder and multiplexers included."""
    generator_state_um2_per_bit: Constant
    generator_threshold_um2_per_bit: Constant
    generator_fresh_um2_per_bit: Constant
    """Next-state logic of a trinomial, per random bit made in a cycle."""
    generator_compare_um2_per_bit: Constant
    generator_and_um2_per_input: Constant
    generator_decoder_um2_per_gate: Constant
    generator_mixing_um2_per_bit: Constant
    """Per bit and round of an ARX mixing function."""
    control_share: Constant
    """Clock tree, wiring and what no part has, as a share of the area of all but SRAM."""

    # Leakage
    logic_leakage_nw_per_um2: Constant

    # Delays
    timing: Timing = UNKNOWN
    """Where it is unknown, clocks are refused beyond those of the library's machines."""

    def __post_init__(self) -> None:
        """Node and voltage are positive, and memory cells work; with delays go access times."""
        check_fields(self)
        lowest = self.timing.lowest_voltage_v
        works = lowest is None or self.voltage_v >= lowest
        require(works, "voltage_v", f"at least timing.lowest_voltage_v ({lowest})", self.voltage_v)
        for name in OVERHEAD:
            given = getattr(self, name) is not None
            remedy = f"given where {OVERHEAD[0]} is, or all five left out"
            require(given == (self.clock_gate_pj is not None), name, remedy, given)
        timed = all(row.access_ns is not None for row in self.sram.rows)
        remedy = "unknown where a row of the SRAM's table has no access_ns"
        require(timed or bool(self.timing.unknown), "timing", remedy, "delays")

    @property
    def sources(self) -> dict[str, str]:
        """Source of each constant, by the name of its field."""
        named = {
            name: constant.source
            for name in Technology.__dataclass_fields__
            if isinstance(constant := getattr(self, name), Constant)
        }
        return named | {"sram": self.sram.source}
