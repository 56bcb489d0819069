"""Selections: what a machine needs so that its units can take one mapping or another.

A bit that comes from one of n places needs n - 1 selections of one of two. Of a machine whose
operands are broadcast, and that the technology prices:

    MAC unit, input     its column's value, or one of its own                       operand bits
    MAC unit, weight    of its row, of its column or of all, or one of its own      2 * operand bits
    column of units     a weight of its own, or the only one: for all its units     operand bits
    MAC unit, trits     the same of two bits, and int8 or a trit as wide            4 + operand bits
    MAC unit, product   nothing where it is beyond the layer's inputs: an AND a bit
    lane of a tree      in all rows but the first, the first row's input, or trit   operand + 2 bits
    held operand        a bit comes from the words before, or from the last one     1 a bit
    records             of each lane, or of one lane for all           (2 lanes - 1) * record bits
    results             the r-th of a word is one of r that came    lanes (lanes + 1) / 2 * 8 bits
    word of weights     its bytes turned to where an operand begins  bits * log2(bytes)
    loading of records  units of 16 bits that wait, and where a word goes: 2 * word + record bits;
                        flip-flops of a record, and of four counters, each with an adder a bit

Beside selections, what fetches operands, and the vector unit, have

    each operand        a count of its words
    inputs              the place of the next word, two additions; of each byte of it, whether it
                        lies before or behind the tensor's frames, and an AND a bit
    weights, trits      the number of the word that was read last, compared with the next one
    weights             a word that waits while a record is read
    means               a tree over the lanes, an AND a bit, and the sum so far
    word of results     of each lane, whether the tensor has its channel, and its frame
    scores              8 bits more in the first lane

An array of one row or one column has fewer places. What is counted is what `dse export chip`
builds; systolic arrays hand on what they get, and choose nothing.
"""

import math

from cost_models.accelerator import Accelerator, ComputeArray
from cost_models.area import (
    AND_INPUTS,
    RESULT_BITS,
    adder_area_um2,
    comparator_area_um2,
    register_area_um2,
    select_area_um2,
    tree_adder_bits,
)
from cost_models.band import ZERO, Band
from cost_models.control import (
    BYTE_BITS,
    COUNT_BITS,
    PLACE_BITS,
    RECORD_ADDRESS_BITS,
    built_arrays,
    made_bits,
    pass_bits,
    row_bits,
)
from cost_models.technology import Technology
from cost_models.workload import RECORD_BITS, SHIFT_BITS

TRIT_BITS = 2
BEAT_BITS = 6
"""Of a count of the words of an operand, kept for the next word, and for the one that came."""
SCORE_EXTRA_BITS = 8
"""Of a score beyond the sums of other results."""
FLAG_BITS = 9
"""Of the vector unit: what each of three stages holds, and how many results of a word there are."""


def unit_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of the choice in front of all MAC units."""
    chosen, masked = 0, 0
    for array in built_arrays(machine):
        if array.element == "mac":
            chosen += _unit_selections(array)
            masked += array.elements * 2 * array.operand_bits
    return select_area_um2(technology, chosen) + _ands(masked, technology)


def _unit_selections(array: ComputeArray) -> int:
    both = array.rows > 1 and array.columns > 1
    places = (array.rows > 1) + (array.columns > 1)
    unit = array.operand_bits * (both + places + 1) + TRIT_BITS * places
    return array.elements * unit + both * array.columns * (array.operand_bits + TRIT_BITS)


def tree_choice_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of the choice in front of trees: a row's operands, or those of the first row."""
    chosen = sum(
        (array.rows - 1) * array.columns * (array.operand_bits + TRIT_BITS)
        for array in built_arrays(machine)
        if array.element == "ternary_tree"
    )
    return select_area_um2(technology, chosen)


def operand_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of what puts operands together out of words."""
    arrays = built_arrays(machine)
    if not arrays:
        return ZERO
    held = sum(
        max(pass_bits(array, operand) for array in arrays) for operand in ("inputs", "weights")
    )
    weights, inputs = machine.chain("weights")[0], machine.chain("inputs")[0]
    word, port = weights.bandwidth_bits_per_cycle, inputs.bandwidth_bits_per_cycle
    turned = [word]
    if machine.generator is not None:
        turned.append(TRIT_BITS * machine.generator.trits_per_cycle)
    held += made_bits(machine)
    chosen = held + word + sum(bits * _halvings(bits // BYTE_BITS) for bits in turned)
    known = sum(_known_bits(machine))
    place = row_bits(inputs) + PLACE_BITS
    lanes = port // BYTE_BITS
    edges = 2 * lanes * (_halvings(lanes) + 1)
    added = 2 * place + PLACE_BITS + known + (1 + len(turned)) * BEAT_BITS // 2
    return (
        select_area_um2(technology, chosen)
        + register_area_um2(technology, fetch_bits(machine))
        + adder_area_um2(technology, added)
        + comparator_area_um2(technology, known + edges)
        + _ands(port, technology)
    )


def fetch_bits(machine: Accelerator) -> int:
    """Flip-flops of what fetches operands, beside those that hold them, and those of its nests."""
    if not built_arrays(machine):
        return 0
    weights, inputs = machine.chain("weights")[0], machine.chain("inputs")[0]
    known = _known_bits(machine)
    lanes = inputs.bandwidth_bits_per_cycle // BYTE_BITS
    places = row_bits(inputs) + PLACE_BITS + lanes
    return places + sum(known) + weights.bandwidth_bits_per_cycle + (1 + len(known)) * 2 * BEAT_BITS


def _known_bits(machine: Accelerator) -> list[int]:
    """Bits of the number of a word, of each source of weights."""
    found = [row_bits(machine.chain("weights")[0])]
    return found + [COUNT_BITS] * (machine.generator is not None)


def _halvings(lanes: int) -> int:
    return math.ceil(math.log2(max(1, lanes)))


def vector_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of a vector unit beside its lanes: records, means, and places of results."""
    lanes = machine.vector_lanes
    if lanes < 2 or not built_arrays(machine):
        return ZERO
    number = _halvings(lanes) + 1  # bits of a count of lanes
    chosen = (2 * lanes - 1) * RECORD_BITS + lanes * (lanes + 1) // 2 * RESULT_BITS
    chosen += machine.sum_bits + SCORE_EXTRA_BITS * (SHIFT_BITS + 1) + 2 * number * (lanes + 1)
    added = tree_adder_bits(lanes, RESULT_BITS) + machine.sum_bits + SCORE_EXTRA_BITS + PLACE_BITS
    compared = 3 * lanes * number + PLACE_BITS
    return (
        select_area_um2(technology, chosen)
        + adder_area_um2(technology, added)
        + comparator_area_um2(technology, compared)
        + _ands(lanes * RESULT_BITS, technology)
        + register_area_um2(technology, vector_bits(machine))
    )


def vector_bits(machine: Accelerator) -> int:
    """Flip-flops of a vector unit beside those of its lanes, and those of its nests."""
    lanes = machine.vector_lanes
    if lanes < 2 or not built_arrays(machine):
        return 0
    return machine.sum_bits + SCORE_EXTRA_BITS + _halvings(lanes) + FLAG_BITS


def loading_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of what makes records of words, counts them, and asks for the next word."""
    if not built_arrays(machine):
        return ZERO
    memory = machine.chain("weights")[0]
    held = loading_bits(machine)
    chosen = select_area_um2(technology, 2 * memory.bandwidth_bits_per_cycle + RECORD_BITS)
    counted = adder_area_um2(technology, held - RECORD_BITS)
    return register_area_um2(technology, held) + chosen + counted


def loading_bits(machine: Accelerator) -> int:
    """Flip-flops of what loads records: one that is not whole yet, and four counts."""
    if not built_arrays(machine):
        return 0
    # words asked for; left, there, and lanes
    return RECORD_BITS + row_bits(machine.chain("weights")[0]) + 3 * RECORD_ADDRESS_BITS


def selection_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """All of them."""
    return (
        unit_area_um2(machine, technology)
        + tree_choice_area_um2(machine, technology)
        + operand_area_um2(machine, technology)
        + vector_area_um2(machine, technology)
        + loading_area_um2(machine, technology)
    )


def _ands(bits: int, technology: Technology) -> Band:
    return technology.generator_and_um2_per_input.band.scaled(AND_INPUTS * bits)
