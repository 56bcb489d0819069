"""Selections: what a machine needs so that its units can take one mapping or another.

A bit that comes from one of n places needs n - 1 selections of one of two. Of a machine whose
operands are broadcast, and that the technology prices:

    MAC unit, input     its column's value, or one of its own                       operand bits
    MAC unit, weight    of its row, of its column, the only one, or one of its own  3 * operand bits
    MAC unit, trits     the same of two bits, and int8 or a trit as wide            6 + operand bits
    MAC unit, product   nothing where it is beyond the layer's inputs: an AND a bit
    held operand        a bit comes from the words before, or from the last one     1 a bit
    records             of each lane, or of one lane for all           (2 lanes - 1) * record bits
    results             the r-th of a word is one of r that came    lanes (lanes + 1) / 2 * 8 bits
    word of weights     its bytes turned to where an operand begins  bits * log2(bytes)
    loading of records  units of 16 bits that wait, and where a word goes: 2 * word + record bits;
                        flip-flops of a record, and of four counters, each with an adder a bit

An array of one row or one column has fewer places. Trees always add up their columns, and have a
frame or an output in a row either way, which the operand's place decides. What is counted is what
`dse export chip` builds; systolic arrays hand on what they get, and choose nothing.
"""

import math

from cost_models.accelerator import Accelerator, ComputeArray
from cost_models.area import AND_INPUTS, RESULT_BITS, adder_area_um2, register_area_um2
from cost_models.band import ZERO, Band
from cost_models.control import (
    BYTE_BITS,
    RECORD_ADDRESS_BITS,
    built_arrays,
    pass_bits,
    row_bits,
)
from cost_models.technology import Technology
from cost_models.workload import RECORD_BITS

TRIT_BITS = 2


def unit_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of the choice in front of all MAC units."""
    chosen, masked = 0, 0
    for array in built_arrays(machine):
        if array.element == "mac":
            chosen += array.elements * _unit_selections(array)
            masked += array.elements * 2 * array.operand_bits
    gate = technology.generator_and_um2_per_input.band.scaled(AND_INPUTS)
    return _area(chosen, technology) + gate.scaled(masked)


def _unit_selections(array: ComputeArray) -> int:
    both = array.rows > 1 and array.columns > 1
    places = (array.rows > 1) + (array.columns > 1) + both
    return array.operand_bits * (both + places + 1) + TRIT_BITS * places


def operand_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of what puts operands together out of words."""
    arrays = built_arrays(machine)
    if not arrays:
        return ZERO
    held = sum(
        max(pass_bits(array, operand) for array in arrays) for operand in ("inputs", "weights")
    )
    word = machine.chain("weights")[0].bandwidth_bits_per_cycle
    turned = word * math.ceil(math.log2(max(1, word // BYTE_BITS)))
    return _area(held + turned, technology)


def vector_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of what gives each lane its record, and each result its place in a word."""
    lanes = machine.vector_lanes
    if lanes < 2 or not built_arrays(machine):
        return ZERO
    records = (2 * lanes - 1) * RECORD_BITS
    return _area(records + lanes * (lanes + 1) // 2 * RESULT_BITS, technology)


def loading_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of what makes records of words, counts them, and asks for the next word."""
    if not built_arrays(machine):
        return ZERO
    memory = machine.chain("weights")[0]
    counted = row_bits(memory) + 3 * RECORD_ADDRESS_BITS  # words asked for; left, there, and lanes
    held = register_area_um2(technology, RECORD_BITS + counted)
    chosen = _area(2 * memory.bandwidth_bits_per_cycle + RECORD_BITS, technology)
    return held + chosen + adder_area_um2(technology, counted)


def selection_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """All of them."""
    return (
        unit_area_um2(machine, technology)
        + operand_area_um2(machine, technology)
        + vector_area_um2(machine, technology)
        + loading_area_um2(machine, technology)
    )


def _area(selections: int, technology: Technology) -> Band:
    # A selection of one of two has the area of a lane of a tree (`area.vector_lane_area_um2`).
    return technology.tree_lane_um2_per_bit.band.scaled(selections)
