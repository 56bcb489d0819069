"""Area of what adds and subtracts activations as trits say: trees and processing elements.

    tree = adder bits x area per bit + carry bits x area per bit
         + lanes x activation bits x area per bit of a lane
    element = accumulator bits x area per bit + constant

A tree of L lanes of A bits, L a power of two, has L / 2^v adders of A + 1 + v bits at level v; a
lane passes, inverts or drops its activation. With other numbers of lanes a sum may be left over at
a level: it is passed on, or a carry is added to it that makes an inverted activation a negative one
(carry bits). An element is one accumulator that adds, subtracts or skips an activation of 8 bits.
Modules `ternary_tree` and `ternary_pe` of `dse.rtl`.
"""

from dataclasses import dataclass

from cost_models.errors import InvalidAccelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class DatapathArea:
    """Area per unit, in one cell library."""

    tree_adder_um2_per_bit: float
    tree_carry_um2_per_bit: float
    tree_lane_um2_per_bit: float
    element_um2_per_bit: float
    """Per accumulator bit: flip-flop with enable, and its share of the adder."""
    element_um2: float


def tree_bits(lanes: int, activation_bits: int = 8) -> tuple[int, int]:
    """Bits of all adders of a tree, and of the sums left over that take a carry.

    A lane has one bit more than its activation, since it may be negated; a sum has one bit more
    than the wider of what it adds. 5 lanes of 8 bits:

        level   sums                adders                left over
          0     9 9 9 9 9
          1     10 10 9             2 x 10 bits           9
          2     11 9                1 x 11 bits           9, with a carry
          3     12                  1 x 12 bits
                                    43 bits of adders     9 bits of carries

    To negate is to invert and add 1. An adder takes that 1 as its carry in: in a full tree of the
    next power of two there is one for each lane after the first. Where a lane's place in it has no
    adder, the sum that is passed on there takes the carry by itself.

    Args:
        lanes: of the tree.
        activation_bits: of each lane's input.

    Returns:
        Bits of the adders, and bits of the sums left over that take a carry.

    Raises:
        InvalidAccelerator: lanes are less than 1.
    """
    if lanes < 1:
        raise InvalidAccelerator(f"lanes must be at least 1, not {lanes}")
    adder_bits = carry_bits = 0
    widths = [activation_bits + 1] * lanes
    nodes = 1 << (lanes - 1).bit_length()
    while nodes > 1:
        nodes //= 2  # of this level in a full tree; node n takes the carry of lane nodes + n
        sums = [max(pair) + 1 for pair in zip(widths[::2], widths[1::2], strict=False)]
        adder_bits += sum(sums)
        if len(widths) % 2:
            carry_bits += widths[-1] if nodes + len(sums) < lanes else 0
            sums.append(widths[-1])
        widths = sums
    return adder_bits, carry_bits


def ternary_tree_um2(lanes: int, constants: DatapathArea, *, activation_bits: int = 8) -> float:
    """Cell area of an add/sub tree before layout, in um2; its accumulator is not part of it."""
    adder_bits, carry_bits = tree_bits(lanes, activation_bits)
    return (
        adder_bits * constants.tree_adder_um2_per_bit
        + carry_bits * constants.tree_carry_um2_per_bit
        + lanes * activation_bits * constants.tree_lane_um2_per_bit
    )


def ternary_element_um2(accumulator_bits: int, constants: DatapathArea) -> float:
    """Cell area of a processing element before layout, in um2; its accumulator is part of it."""
    return accumulator_bits * constants.element_um2_per_bit + constants.element_um2


DATAPATH_FITS: dict[str, DatapathArea] = {
    "small_130nm": DatapathArea(
        tree_adder_um2_per_bit=15.137,
        tree_carry_um2_per_bit=10.445,
        tree_lane_um2_per_bit=24.925,
        element_um2_per_bit=64.289,
        element_um2=278.51,
    ),
    "sky130": DatapathArea(
        tree_adder_um2_per_bit=35.917,
        tree_carry_um2_per_bit=25.097,
        tree_lane_um2_per_bit=2.2625,
        element_um2_per_bit=75.516,
        element_um2=78.033,
    ),
    "asap7": DatapathArea(
        tree_adder_um2_per_bit=0.20164,
        tree_carry_um2_per_bit=0.065665,
        tree_lane_um2_per_bit=0.37126,
        element_um2_per_bit=1.0602,
        element_um2=2.7635,
    ),
}
"""Cell library -> um2 per unit, fitted like `cost_models.generator.AREA_FITS`. Largest errors, over
16 trees of 8 to 64 lanes and accumulators of 16 to 32 bits:

    small_130nm  tree 1.9 %   element 1.1 %
    sky130       tree 7.0 %   element 0.6 %
    asap7        tree 1.3 %   element 1.1 %

How large Yosys makes a tree in sky130 jumps by a tenth from one number of lanes to the next: it
takes or leaves that library's cells with three inputs.
"""
