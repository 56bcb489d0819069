"""Delays of a technology: how long paths take, and how they and leakage follow the voltage.

    MAC          multiplier * (a + b) + sum * w
    adder        adder * w                                a ternary adder with its sum
    tree         tree + level * levels + adder * w        levels: log2 of its lanes, rounded up
    generator    generator + adder * 32 * rounds          rounds of an ARX mixing function
    SRAM         access time, in the technology's table

of a, b operand bits and w bits of a sum, between two registers. What a machine makes of them is in
`cost_models.clock`.

Voltage: delay by the alpha-power law (T. Sakurai, A. R. Newton, Alpha-power law MOSFET model, IEEE
JSSC 25(2), 1990, 584-594); leakage by the current of a transistor that is off, whose threshold
falls as its drain's voltage rises (K. Roy, S. Mukhopadhyay, H. Mahmoodi-Meimand, Leakage current
mechanisms, Proc. IEEE 91(2), 2003, 305-327):

    delay(V)   = delay(V0) * (V / V0) * ((V0 - Vt) / (V - Vt))^alpha
    leakage(V) = leakage(V0) * (V / V0) * exp(0.1 * (V - V0) / (1.4 * 26 mV))

with 0.1 V of threshold a volt of drain and a swing of 1.4 times the thermal voltage: textbook
figures, so that the laws hold for a tendency, not for a corner of a process.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated

from cost_models.allowed import Allowed, Positive, Source, check_fields
from cost_models.errors import require

ARX_WORD_BITS = 32
DRAIN_INDUCED = 0.1
"""Volt of threshold that a volt at the drain takes away."""
SUBTHRESHOLD_SWING_V = 1.4 * 0.026


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Delays at the technology's voltage, or why nobody knows them."""

    unknown: Annotated[str, Allowed(pattern=r"[\s\S]*\S[\s\S]*", words="a text")] | None = None
    """Why there are no delays; then there is nothing else here."""
    source: Source | None = None
    multiplier_ns_per_bit: Positive | None = None
    """Of both operands together."""
    sum_ns_per_bit: Positive | None = None
    """Of the sum that a product is added to: most of it is ready before the product is."""
    adder_ns_per_bit: Positive | None = None
    tree_ns: Positive | None = None
    """Of a ternary tree, whatever its lanes: to pass, negate or drop an input."""
    tree_ns_per_level: Positive | None = None
    generator_ns: Positive | None = None
    threshold_v: Positive | None = None
    alpha: Positive | None = None
    """Of the alpha-power law: 2 of long channels, towards 1 of short ones."""
    lowest_voltage_v: Positive | None = None
    """At which memory cells still hold what was written."""

    def __post_init__(self) -> None:
        """All delays or a reason."""
        check_fields(self)
        for name in DELAYS:
            given = getattr(self, name) is not None
            remedy = "left out where timing is unknown" if self.unknown else "given, or unknown"
            require(given != bool(self.unknown), name, remedy, getattr(self, name))

    def mac_ns(self, a_bits: int, b_bits: int, sum_bits: int) -> float:
        """Of a multiplication and the addition behind it."""
        assert self.multiplier_ns_per_bit and self.sum_ns_per_bit
        return self.multiplier_ns_per_bit * (a_bits + b_bits) + self.sum_ns_per_bit * sum_bits

    def adder_ns(self, bits: int) -> float:
        """Of an addition."""
        assert self.adder_ns_per_bit
        return self.adder_ns_per_bit * bits

    def lane_tree_ns(self, lanes: int, sum_bits: int) -> float:
        """Of a ternary tree and the addition to its accumulator."""
        assert self.tree_ns and self.tree_ns_per_level
        levels = math.ceil(math.log2(lanes)) if lanes > 1 else 0
        return self.tree_ns + self.tree_ns_per_level * levels + self.adder_ns(sum_bits)

    def trits_ns(self, rounds: int) -> float:
        """Of a generator with as many rounds of mixing in a cycle."""
        assert self.generator_ns
        return self.generator_ns + self.adder_ns(ARX_WORD_BITS) * rounds

    def slowed(self, factor: float) -> "Timing":
        """The same with all delays times `factor`."""
        if self.unknown:
            return self
        delays = {name: getattr(self, name) * factor for name in DELAYS if "_ns" in name}
        return replace(self, **delays)

    def delay_factor(self, from_v: float, to_v: float) -> float:
        """Delay at one voltage over that at another, both above the threshold."""
        assert self.threshold_v and self.alpha
        overdrive = (from_v - self.threshold_v) / (to_v - self.threshold_v)
        factor: float = to_v / from_v * overdrive**self.alpha
        return factor


DELAYS = (
    "source",
    "multiplier_ns_per_bit",
    "sum_ns_per_bit",
    "adder_ns_per_bit",
    "tree_ns",
    "tree_ns_per_level",
    "generator_ns",
    "threshold_v",
    "alpha",
    "lowest_voltage_v",
)

UNKNOWN = Timing(unknown="the technology's file has no section timing")


def leakage_factor(from_v: float, to_v: float) -> float:
    """Leakage power at one voltage over that at another."""
    drain_v = DRAIN_INDUCED * (to_v - from_v)
    return to_v / from_v * math.exp(drain_v / SUBTHRESHOLD_SWING_V)
