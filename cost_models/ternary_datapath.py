"""Area of what adds and subtracts activations as trits say: trees and processing elements.

    tree = adder bits x area per bit + lanes x activation bits x area per bit of a lane
    element = accumulator bits x area per bit + constant

A tree of L lanes (rounded up to a power of two) of A bits has L / 2^v adders of A + 1 + v bits at
level v; a lane passes, inverts or drops its activation. An element is one accumulator that adds,
subtracts or skips an activation of 8 bits. Modules `ternary_tree` and `ternary_pe` of `dse.rtl`.
"""

from dataclasses import dataclass

from cost_models.errors import InvalidAccelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class DatapathArea:
    """Area per unit, in one cell library."""

    tree_adder_um2_per_bit: float
    tree_lane_um2_per_bit: float
    element_um2_per_bit: float
    """Per accumulator bit: flip-flop with enable, and its share of the adder."""
    element_um2: float


def tree_adder_bits(lanes: int, activation_bits: int = 8) -> int:
    """Bits of all adders of a tree.

    Raises:
        InvalidAccelerator: lanes are less than 1.
    """
    if lanes < 1:
        raise InvalidAccelerator(f"lanes must be at least 1, not {lanes}")
    levels = (lanes - 1).bit_length()
    return sum(
        2 ** (levels - level) * (activation_bits + 1 + level) for level in range(1, levels + 1)
    )


def ternary_tree_um2(lanes: int, constants: DatapathArea, *, activation_bits: int = 8) -> float:
    """Cell area of an add/sub tree before layout."""
    return (
        tree_adder_bits(lanes, activation_bits) * constants.tree_adder_um2_per_bit
        + lanes * activation_bits * constants.tree_lane_um2_per_bit
    )


def ternary_element_um2(accumulator_bits: int, constants: DatapathArea) -> float:
    """Cell area of a processing element before layout."""
    return accumulator_bits * constants.element_um2_per_bit + constants.element_um2


DATAPATH_FITS: dict[str, DatapathArea] = {
    "small_130nm": DatapathArea(
        tree_adder_um2_per_bit=5.9824,
        tree_lane_um2_per_bit=36.473,
        element_um2_per_bit=64.432,
        element_um2=276.88,
    ),
    "sky130": DatapathArea(
        tree_adder_um2_per_bit=38.76,
        tree_lane_um2_per_bit=0,
        element_um2_per_bit=75.519,
        element_um2=77.382,
    ),
    "asap7": DatapathArea(
        tree_adder_um2_per_bit=0.20688,
        tree_lane_um2_per_bit=0.36837,
        element_um2_per_bit=1.072,
        element_um2=2.5212,
    ),
}
"""Cell library -> um2 per unit, fitted like `cost_models.generator.AREA_FITS`. Largest errors, over
trees of 8 to 64 lanes and accumulators of 16 to 32 bits:

    small_130nm  tree 0.5 %   element 1.1 %
    sky130       tree 1.7 %   element 0.6 %
    asap7        tree 0.4 %   element 1.2 %
"""
