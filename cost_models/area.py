"""Area of blocks from a technology: what a machine is put together from.

With a, b bits of a product, w bits of a sum, i bits of an input, n lanes; constants without their
unit. Registers are not in a figure unless it says so.

    multiplier     max(multiplier * a * b - edge * (a + b),  2 * and * a * b)
    adder          adder * w
    MAC            multiplier + adder * (w + max(0, w - a - b)) + register * w
    ternary adder  ternary_adder_per_bit * w + ternary_adder               its accumulator included
    ternary tree   lane * n * i + adder * B(n, i)                          its accumulator not
    B(n, i)        n / 2 adders of i + 1 bits, n / 4 of i + 2 bits, ...; an odd lane waits a level
    selection      selection * w, of one of two; of one of n that is decoded: n / 2 of them
    vector lane    multiplier of w by 16 bits + selections + adder + comparator + registers

Each block is a sum of terms, so that a machine of any width has an area; a term is what grows with
something a person chooses (a * b full adders of a product, w flip-flops of a register). Every
figure comes as a band: low, mid, high.

A product of fewer bits than the sum has its sign extended, which costs about as much again as the
adder's upper part: without that term, a MAC of 8x4 and 24 bits would come out 16 % too small.
Measured errors against synthesis: docs/evidence/technologies.md;
tests/cost_models/test_area_anchors.py.
"""

import math

from cost_models.band import Band
from cost_models.errors import InvalidAccelerator, require
from cost_models.technology import Technology
from cost_models.workload import FACTOR_BITS, SHIFT_BITS

AND_INPUTS = 2
"""A partial product is an AND of one bit of each operand."""


def multiplier_area_um2(technology: Technology, a_bits: int, b_bits: int) -> Band:
    """Area of a combinational multiplier with the full product of `a_bits + b_bits`.

    Of the a * b positions of its array, those at the edge need less than a full adder: hence the
    term that is taken off. What is subtracted makes the bands cross: the lowest area has the lowest
    body and the highest edge.

    The fit holds from 4x4 to 16x16 (32x32 lies on it, too); below, the partial products alone are
    a floor.
    """
    _require_positive(a_bits=a_bits, b_bits=b_bits)
    products = a_bits * b_bits
    edge = technology.multiplier_edge_um2_per_bit.band
    body = technology.multiplier_um2_per_bit2.band
    floor = technology.generator_and_um2_per_input.band.scaled(AND_INPUTS * products)
    operands = a_bits + b_bits
    return Band(
        low=max(body.low * products - edge.high * operands, floor.low),
        mid=max(body.mid * products - edge.mid * operands, floor.mid),
        high=max(body.high * products - edge.low * operands, floor.high),
    )


def adder_area_um2(technology: Technology, bits: int) -> Band:
    """Area of a combinational adder of two numbers of `bits`; in proportion to the width."""
    _require_positive(bits=bits)
    return technology.adder_um2_per_bit.band.scaled(bits)


def select_area_um2(technology: Technology, bits: float) -> Band:
    """Area of a choice of one of two for each of `bits`.

    In gates it is two ANDs and an OR. One of n whose selects are decoded is n ANDs and an OR:
    n / 2 selections a bit (8 ways of 32 bits: 3.1 in SkyWater's cells, 3.0 in ASAP7's).
    """
    constant = technology.selection_um2_per_bit or technology.tree_lane_um2_per_bit
    return constant.band.scaled(bits)


def mac_logic_area_um2(
    technology: Technology, a_bits: int, b_bits: int, accumulator_bits: int
) -> Band:
    """Area of multiplier and adder of a multiply-accumulate unit, without its accumulator.

    Args:
        technology: its constants.
        a_bits: of one operand.
        b_bits: of the other.
        accumulator_bits: of the sum; those beyond the product's extend its sign.
    """
    _require_positive(accumulator_bits=accumulator_bits)
    multiplier = multiplier_area_um2(technology, a_bits, b_bits)
    extended_bits = max(0, accumulator_bits - a_bits - b_bits)
    return multiplier + adder_area_um2(technology, accumulator_bits + extended_bits)


def mac_area_um2(technology: Technology, a_bits: int, b_bits: int, accumulator_bits: int) -> Band:
    """Area of a multiply-accumulate unit with its accumulator, without registers of operands."""
    logic = mac_logic_area_um2(technology, a_bits, b_bits, accumulator_bits)
    return logic + register_area_um2(technology, accumulator_bits)


def ternary_adder_area_um2(technology: Technology, accumulator_bits: int) -> Band:
    """Area of an element that adds, subtracts or skips its input, its accumulator included.

    No multiplier: a weight of -1, 0 or +1 selects what is added. That is what ternary weights save
    in silicon.
    """
    _require_positive(accumulator_bits=accumulator_bits)
    per_bit = technology.ternary_adder_um2_per_bit.band.scaled(accumulator_bits)
    return per_bit + technology.ternary_adder_um2.band


def ternary_tree_area_um2(technology: Technology, lanes: int, input_bits: int) -> Band:
    """Area of a tree that sums ternary multiples of its inputs, without an accumulator below it.

    Args:
        technology: its constants.
        lanes: inputs that are summed at once.
        input_bits: of each; an accumulator adds one sum a cycle instead of one input a cycle, so
            the wide adder is there once for all lanes.
    """
    _require_positive(lanes=lanes, input_bits=input_bits)
    selects = technology.tree_lane_um2_per_bit.band.scaled(lanes * input_bits)
    return selects + technology.adder_um2_per_bit.band.scaled(tree_adder_bits(lanes, input_bits))


def tree_adder_bits(lanes: int, input_bits: int) -> int:
    """Bits of all adders of a tree, whose sums grow by a bit at each level.

    Four lanes of 8 bits: two adders of 9 bits, then one of 10, 28 in all.
    """
    bits, width = 0, input_bits
    while lanes > 1:
        width += 1
        bits += lanes // 2 * width
        lanes -= lanes // 2
    return bits


def comparator_area_um2(technology: Technology, bits: int) -> Band:
    """Area of a comparator of two words of `bits`, as ReLU and a maximum need it."""
    _require_positive(bits=bits)
    return technology.comparator_um2_per_bit.band.scaled(bits)


def register_area_um2(technology: Technology, bits: int) -> Band:
    """Area of flip-flops with enable that drive what they feed directly: no decoder, no port."""
    _require_positive(bits=bits)
    return technology.register_um2_per_bit.band.scaled(bits)


def register_file_area_um2(technology: Technology, bits: int) -> Band:
    """Area of several words of flip-flops behind one port, decoder and multiplexers included."""
    _require_positive(bits=bits)
    return technology.register_file_um2_per_bit.band.scaled(bits)


def sram_area_um2(technology: Technology, capacity_bits: int) -> Band:
    """Area of one SRAM macro; raises `InvalidAccelerator` outside the technology's table."""
    return technology.sram.area_um2(capacity_bits)


MOST_REGISTER_FILE_BITS = 8192
"""Of a register file that the technology prices: from there on there are SRAMs."""
SYNTHESISED_REGISTER_FILE_BITS = 512
"""Of the largest that was synthesised, 64 words of 8 bits or 16 of 32."""


def register_file_growth(capacity_bits: int) -> float:
    """Energy of a bit of a register file over that of a small one: it grows with its edge.

        growth = max(1, sqrt(capacity / 512))

    The technologies' figures are of flip-flops next to what they feed; register files were
    synthesised up to 512 bits, where area per bit is the same from 128 bits on (8.15 to 8.75 um2
    at 45 nm). A larger one is as dense, so its bits lie on an area in proportion to the capacity,
    and each travels the edge of it: 8,192 bits at 8.24 um2 take a square of 260 um, whose wire (0.2
    fF/um, at 0.9 V, switching every other time: 0.02 pJ) is what an SRAM of that size spends, too
    (0.026 pJ): 0.0059 * 4 = 0.024 pJ a bit.

    Raises:
        InvalidAccelerator: the capacity is above 8,192 bits.
    """
    if capacity_bits > MOST_REGISTER_FILE_BITS:
        raise InvalidAccelerator(
            f"a register file of {capacity_bits:,} bits has no known price: at most "
            f"{MOST_REGISTER_FILE_BITS:,}; make it an SRAM (kind: sram), lower capacity_bits, or "
            "give the machine figures of its own (read_pj_per_bit, write_pj_per_bit)"
        )
    return max(1.0, math.sqrt(capacity_bits / SYNTHESISED_REGISTER_FILE_BITS))


RESULT_BITS = 8
FRACTION_BITS = 7
"""Of a result before it is rounded."""


def vector_lane_area_um2(technology: Technology, accumulator_bits: int = 24) -> Band:
    """Area of a lane that makes int8 of sums, adds the tensors of two paths, and takes means.

        limit((offset + (sum * factor >> shift) + half) >> 7)

    One multiplication of a sum by a factor of 16 bits, a shift, and an addition to the offset or to
    the other path's value a cycle. Each stage of the shift hands on what later ones may need: w and
    15, 7, 3, 1 and 0 bits. A result is beyond int8 where its upper bits are not all the sign, and
    then becomes a limit or 0.

    Args:
        technology: its constants.
        accumulator_bits: of the sums.
    """
    multiplier = multiplier_area_um2(technology, accumulator_bits, FACTOR_BITS)
    shifts = sum(accumulator_bits + 2**stage - 1 for stage in range(SHIFT_BITS))
    selections = shifts + accumulator_bits + 2 * RESULT_BITS
    adder = adder_area_um2(technology, accumulator_bits)
    upper = max(1, accumulator_bits - FRACTION_BITS - (RESULT_BITS - 1))
    limits = comparator_area_um2(technology, upper)
    registers = register_area_um2(technology, vector_lane_flip_flops(accumulator_bits))
    return multiplier + select_area_um2(technology, selections) + adder + limits + registers


def vector_lane_flip_flops(accumulator_bits: int) -> int:
    """Of a lane: what comes, what it has become, the word that is put together, and the last one.

    The factor, shift and offset of a channel are read from a memory of their own, and not held.
    """
    return 2 * accumulator_bits + 2 * RESULT_BITS


def _require_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        require(number >= 1, name, "at least 1", number)
