"""Control, and what holds operands and sums on their way: from parts, as a circuit has them.

    loop nest    3 counters of 8 bits, and an address with an adder and its steps
    collector    the sums of a pass, while the vector unit takes them, and what adds up columns
    assembly     an operand that is wider than its port, put together while the last one is used
    alignment    of activations: a word may begin at any of its bytes, each in a bank of its own

Every stream of words has a nest of its own (`dse export chip` makes them so): each operand of a
memory towards the array, one more towards the memory behind it, the generator, the passes, and the
records of channels. A step adds one of three numbers from the layer's descriptor to the address:

    counter bit   a flip-flop, a selection (it starts over), half an adder (it counts down), an AND
    address bit   a flip-flop, an adder, a selection (it starts over), a way for each loop

A way is one of n whose select is decoded, an AND and its share of an OR: 3/8 of a selection of one
of two (8 ways of 32 bits in SkyWater's cells: 34.5 um2 a bit, a selection 11.26; ASAP7: 0.437 and
0.145).

The addresses of activations are a row, a channel and a frame, as edges are padding and results
that are not there are not written. Without a buffer the vector unit reads activations by a nest of
its own. Beside the nests stand the highest score with its class, and what chooses whose sums,
weights and addresses are next.

A collector's bits have a selection each (of a new sum and the next row). Columns of MAC units may
be parts of one sum: all but one of the array's sums need an adder then; such sums and those of
trees have a way of their own into the collector, and scores leave it one by one.

A buffer that holds inputs alone is read from any byte on: a selection of each bit for each halving
of the port, and of each bank's address (its word, or the one behind). A memory that results are
written to lies on a diagonal (`dse export chip`), n banks of a byte:

    written   each bank takes address and byte of any lane: n ways a bit
    read      each lane takes a byte of any bank: n - 1 selections a bit
    lane      its bank, a sum of small numbers; its row: an adder, a selection, and a way for each
              halving, among multiples of a channel's rows: n / 2 - 1 adders for all lanes

Systolic arrays hand on operands and sums from element to element, and have none of this; arrays
with figures of their own have it in those.
"""

import math
from itertools import pairwise

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel, Operand
from cost_models.area import (
    AND_INPUTS,
    adder_area_um2,
    comparator_area_um2,
    register_area_um2,
    select_area_um2,
)
from cost_models.band import ZERO, Band
from cost_models.technology import Technology

LOOPS = 3
"""Of a nest with more than one iteration, as mappings of networks have them."""
COUNT_BITS = 8
"""Of a loop's counter: up to 256 channels or frames."""
PLACE_BITS = 16
"""Of a channel and a frame, in addresses of activations."""
RECORD_ADDRESS_BITS = 8
"""Of the store of records: up to 256 channels."""
BYTE_BITS = 8
WAY = 3 / 8
"""Of a selection: see above."""
SCORE_BITS, CLASS_BITS = 32, 16
"""Of the highest score, and of the number of a class."""


def priced_by_technology(memory: MemoryLevel) -> bool:
    """Whether a memory is on the chip and has no energies of the machine's own."""
    own = memory.read_pj_per_bit is not None or memory.write_pj_per_bit is not None
    return memory.kind != "dram" and not own


def address_bits(machine: Accelerator) -> list[int]:
    """Bits of the address of each stream of words between memories, and of the arrays' operands.

    One for each operand of a memory towards the array, and one towards the memory behind it.
    """
    found = []
    for memory in machine.memories:
        if not priced_by_technology(memory):
            continue
        for operand in memory.holds:
            bits = row_bits(memory) + (0 if operand == "weights" else PLACE_BITS)
            found += [bits] * (1 + (memory is not machine.chain(operand)[-1]))
    return found


def control_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of all loop nests of a machine; 0 where its arrays have figures of their own."""
    arrays = built_arrays(machine)
    if not arrays:
        return ZERO
    sums = max(array.outputs.capacity_bits // array.accumulator_bits for array in arrays)
    streams = [*address_bits(machine), max(1, math.ceil(math.log2(sums))), RECORD_ADDRESS_BITS]
    if machine.generator is not None:
        streams.append(COUNT_BITS)
    activations = machine.chain("inputs")[-1]
    place = row_bits(activations) + PLACE_BITS
    total = highest_score_area_um2(technology)
    if len(machine.chain("inputs")) == 1:
        streams.append(place)
        total = total + register_area_um2(technology, PLACE_BITS // 2)
    for bits in streams:
        total = total + nest_area_um2(technology, bits)
    chosen = machine.vector_lanes * machine.sum_bits + 2 * place
    chosen += activations.bandwidth_bits_per_cycle  # from the machine's host, or of results
    chosen += made_bits(machine)
    return total + select_area_um2(technology, chosen)


def highest_score_area_um2(technology: Technology) -> Band:
    """Area of what keeps the highest score: a comparison, and a count of classes."""
    held = register_area_um2(technology, SCORE_BITS + 2 * CLASS_BITS)
    counted = adder_area_um2(technology, CLASS_BITS).scaled(0.5)
    return held + comparator_area_um2(technology, SCORE_BITS) + counted


def nest_area_um2(technology: Technology, bits: int) -> Band:
    """Area of a loop nest whose addresses have `bits` bits together."""
    bit = register_area_um2(technology, 1)
    counted = bit + select_area_um2(technology, 1) + adder_area_um2(technology, 1).scaled(0.5)
    counted = counted + technology.generator_and_um2_per_input.band.scaled(AND_INPUTS)
    made = bit + adder_area_um2(technology, 1) + select_area_um2(technology, 1 + WAY * LOOPS)
    return counted.scaled(LOOPS * COUNT_BITS) + made.scaled(bits)


def collector_bits(machine: Accelerator) -> int:
    """Flip-flops that hold the sums of a pass, of the array that has most of them."""
    return max(
        (_sums(array) * array.accumulator_bits for array in built_arrays(machine)), default=0
    )


def collector_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of the collector, with the adders of sums that lie in several MAC units."""
    bits = collector_bits(machine)
    if not bits:
        return ZERO
    arrays = built_arrays(machine)
    lanes = machine.vector_lanes
    rows = max((_row_sums(each) for each in arrays if each.element == "mac"), default=0)
    trees = max((each.rows for each in arrays if each.element != "mac"), default=0)
    # one of a row's scores, sums of columns or of trees, and the sum of all units
    chosen = bits + (lanes - 1 + rows + trees + (rows > 0)) * machine.sum_bits
    adders = max(
        ((_sums(array) - 1) * array.accumulator_bits for array in arrays if array.element == "mac"),
        default=0,
    )
    held = register_area_um2(technology, bits) + select_area_um2(technology, chosen)
    return held + technology.adder_um2_per_bit.band.scaled(adders)


def _row_sums(array: ComputeArray) -> int:
    return array.rows if array.columns > 1 else 0


def assembly_bits(machine: Accelerator) -> int:
    """Flip-flops in which operands wait that come in several words; the last is used as it comes.

    Arrays share them, as one works at a time; what a generator makes is put together by itself, and
    so are the words of a memory that is filled from one with a narrower port.
    """
    stored, made, inputs = 0, 0, 0
    trits = 2 * machine.generator.trits_per_cycle if machine.generator else 0
    for array in built_arrays(machine):
        ternary = array.element != "mac"
        weights = pass_bits(array, "weights")
        if ternary and trits:
            made = max(made, weights - trits)
        else:
            stored = max(stored, weights - machine.chain("weights")[0].bandwidth_bits_per_cycle)
        port = machine.chain("inputs")[0].bandwidth_bits_per_cycle
        inputs = max(inputs, pass_bits(array, "inputs") - port)
    ports = [memory.bandwidth_bits_per_cycle for memory in machine.chain("inputs")]
    widened = (
        sum(max(0, near - far) for near, far in pairwise(ports)) if built_arrays(machine) else 0
    )
    return stored + made + inputs + widened


def alignment_area_um2(machine: Accelerator, technology: Technology) -> Band:
    """Area of what turns the bytes of activations to their places, and addresses their banks."""
    if not built_arrays(machine):
        return ZERO
    total = ZERO
    for memory in machine.memories:
        banks = memory.bandwidth_bits_per_cycle // BYTE_BITS
        if not priced_by_technology(memory) or banks < 2:
            continue
        if "outputs" in memory.holds:
            total = total + _diagonal_um2(banks, row_bits(memory), technology)
        elif "inputs" in memory.holds:
            total = total + _turned_um2(banks, row_bits(memory), technology)
    return total


def _turned_um2(banks: int, row: int, technology: Technology) -> Band:
    """Of a memory that is read from any byte on, and written in whole words."""
    halvings = math.ceil(math.log2(banks))
    selections = banks * (BYTE_BITS * halvings + row)
    kept = register_area_um2(technology, halvings) + adder_area_um2(technology, row)
    return kept + select_area_um2(technology, selections)


def _diagonal_um2(banks: int, row: int, technology: Technology) -> Band:
    """Of a memory whose words are frames or channels, or both."""
    halvings = math.ceil(math.log2(banks))
    written = WAY * banks * banks * (BYTE_BITS + row)
    read = (banks - 1) * banks * BYTE_BITS
    lanes = (banks - 1) * row * (1 + WAY * halvings)
    # Of a lane its row, and its frame, channel and bank; of all the first row, the one below it,
    # and multiples of a channel's rows
    added = (banks - 1) * (row + 3 * halvings + 1)
    added += row + row // 2 + (banks // 2 - 1) * PLACE_BITS // 2
    decoded = technology.generator_and_um2_per_input.band.scaled(banks * banks * halvings)
    chosen = select_area_um2(technology, written + read + lanes) + decoded
    return (
        chosen + adder_area_um2(technology, added) + register_area_um2(technology, banks * halvings)
    )


def row_bits(memory: MemoryLevel) -> int:
    """Bits of the address of a word of its port."""
    return math.ceil(math.log2(max(2, memory.bits // memory.bandwidth_bits_per_cycle)))


def built_arrays(machine: Accelerator) -> list[ComputeArray]:
    """Arrays whose operands are broadcast, and that the technology prices."""
    return [
        array
        for array in machine.arrays
        if array.element_um2 is None
        and array.operation_pj is None
        and array.interconnect != "systolic"
    ]


def _sums(array: ComputeArray) -> int:
    return array.rows if array.element == "ternary_tree" else array.instances("outputs")


def shared_bits(machine: Accelerator) -> dict[str, int]:
    """Array -> flip-flops of its operands that it has in common with arrays before it.

    One array works at a time, so they take what they need of one operand of inputs, and of one of
    weights; trits that a generator makes have an operand of their own.
    """
    found: dict[str, int] = {}
    arrays = built_arrays(machine)
    for operand in ("inputs", "weights"):
        widest = 0
        for array in arrays:
            if operand == "weights" and machine.generator and array.element != "mac":
                continue
            bits = pass_bits(array, operand)
            found[array.name] = found.get(array.name, 0) + min(bits, widest)
            widest = max(widest, bits)
    return found


def made_bits(machine: Accelerator) -> int:
    """Of the operand of trits that a generator makes; 0 without one."""
    if machine.generator is None:
        return 0
    ternary = (each for each in built_arrays(machine) if each.element != "mac")
    return max((pass_bits(each, "weights") for each in ternary), default=0)


def pass_bits(array: ComputeArray, operand: Operand) -> int:
    """Of an operand of a pass that something holds; 0 where nothing does."""
    if operand in array.latched:
        return array.latch_bits
    register = array.register(operand)
    if register is None:
        return 0
    return array.instances(operand) * min(register.capacity_bits, array.operand_bits)
