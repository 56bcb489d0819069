"""Control, and what holds operands and sums on their way: from parts, as a circuit has them.

    loop nest    3 counters of 8 bits, and an address with an adder and its steps
    collector    the sums of a pass, while the vector unit takes them, and what adds up columns
    assembly     an operand that is wider than its port, put together while the last one is used
    alignment    of activations: a word may begin at any of its bytes, each in a bank of its own

Every stream of words has a nest of its own (`dse export chip` makes them so): each operand of a
memory towards the array, one more towards the memory behind it, the generator, the passes, and the
records of channels. A step adds one of three numbers from the layer's descriptor to the address:

    counter bit   a flip-flop, a selection (it starts over), half an adder (it counts down), an AND
    address bit   a flip-flop, an adder, a selection for each loop

The addresses of activations are a row, a channel and a frame, as edges are padding and results
that are not there are not written.

A collector's bits have a selection each (of a new sum and the next row). Columns of MAC units may
be parts of one sum: all but one of the array's sums need an adder then. A byte of a port is
turned to its place by a selection for each halving of the port, when it is read and when it is
written, and each bank has an address. Systolic arrays hand on
operands and sums from element to element, and have neither; arrays with figures of their own have
them in those.
"""

import math
from itertools import pairwise

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel, Operand
from cost_models.area import AND_INPUTS, adder_area_um2, register_area_um2
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
    total = ZERO
    for bits in streams:
        total = total + nest_area_um2(technology, bits)
    return total


def nest_area_um2(technology: Technology, bits: int) -> Band:
    """Area of a loop nest whose addresses have `bits` bits together."""
    select = technology.tree_lane_um2_per_bit.band
    counted = register_area_um2(technology, 1) + select + adder_area_um2(technology, 1).scaled(0.5)
    counted = counted + technology.generator_and_um2_per_input.band.scaled(AND_INPUTS)
    made = register_area_um2(technology, 1) + adder_area_um2(technology, 1) + select.scaled(LOOPS)
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
    held = register_area_um2(technology, 1) + technology.tree_lane_um2_per_bit.band
    adders = max(
        (
            (_sums(array) - 1) * array.accumulator_bits
            for array in built_arrays(machine)
            if array.element == "mac"
        ),
        default=0,
    )
    return held.scaled(bits) + technology.adder_um2_per_bit.band.scaled(adders)


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
    select = technology.tree_lane_um2_per_bit.band
    total = ZERO
    for memory in machine.memories:
        ways = sum(operand in ("inputs", "outputs") for operand in memory.holds)
        banks = memory.bandwidth_bits_per_cycle // BYTE_BITS
        if not priced_by_technology(memory) or not ways or banks < 2:
            continue
        turned = ways * memory.bandwidth_bits_per_cycle * math.ceil(math.log2(banks))
        addressed = banks * row_bits(memory)
        made = adder_area_um2(technology, 1) + select
        total = total + select.scaled(turned) + made.scaled(addressed)
    return total


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


def pass_bits(array: ComputeArray, operand: Operand) -> int:
    """Of an operand of a pass that something holds; 0 where nothing does."""
    if operand in array.latched:
        return array.latch_bits
    register = array.register(operand)
    if register is None:
        return 0
    return array.instances(operand) * min(register.capacity_bits, array.operand_bits)
