"""Area of a machine by part, and the leakage of its logic. Area belongs to the machine.

arrays       elements * arithmetic, or the machine's own figure per element
registers    of all elements of an array, unless they are part of that figure
vector unit  lanes * (multiplier + shifter + adder + comparator + registers)
memories     SRAM macros from the technology's table; register files per bit; DRAM: another chip
generator    `cost_models.generator`, one per different generator of the design
collector    sums of a pass on their way to the vector unit (`cost_models.control`)
assembly     operands that are put together from several words
control      loop nests and the alignment of words (`cost_models.control`), the choice among
             mappings (`cost_models.selection`), and a share of all of it but the SRAM macros: clock
             tree and wiring
"""

import contextlib
from collections.abc import Iterable, Iterator

from cost_models.accelerator import OPERANDS, Accelerator, ComputeArray, GeneratorUnit, MemoryLevel
from cost_models.area import (
    adder_area_um2,
    mac_logic_area_um2,
    register_area_um2,
    register_file_area_um2,
    ternary_adder_area_um2,
    ternary_tree_area_um2,
    vector_lane_area_um2,
)
from cost_models.band import ZERO, Band
from cost_models.control import (
    alignment_area_um2,
    assembly_bits,
    collector_area_um2,
    control_area_um2,
    shared_bits,
)
from cost_models.errors import InvalidAccelerator
from cost_models.generator import GeneratorSpec, generator_parts, pair_bits
from cost_models.nonvolatile import area_um2, check_made
from cost_models.selection import selection_area_um2
from cost_models.technology import Technology

USUAL_GENERATOR = GeneratorSpec(family="lfsr_threshold", state_bits=127, decision_bits=8)
"""What a machine's generator is taken to be where no design is given."""


def machine_area_um2(
    machine: Accelerator, technology: Technology, specs: Iterable[GeneratorSpec] = ()
) -> dict[str, Band]:
    """Area of a machine by part.

    Args:
        machine: what is built.
        technology: in which process.
        specs: generators that the design needs; the machine's own, or the usual one, where empty.

    Returns:
        Part -> um2 with its band: arrays and memories by name, `registers of ARRAY`, `vector unit`,
        `collector`, `assembly`, `generator`, `control`. They add up to the machine; SRAM macros
        stand last.

    Raises:
        InvalidAccelerator: an SRAM is outside the technology's table.
    """
    # Apart, because control, clock tree and wiring are a share of logic: a macro has its own.
    logic: dict[str, Band] = {}
    shared = shared_bits(machine)
    for array in machine.arrays:
        logic[array.name] = array_area_um2(array, technology)
        registers = registers_area_um2(array, technology, shared.get(array.name, 0))
        if registers != ZERO:
            logic[f"registers of {array.name}"] = registers
    lane = vector_lane_area_um2(technology, machine.sum_bits)
    logic["vector unit"] = lane.scaled(machine.vector_lanes)
    collector, assembly = collector_area_um2(machine, technology), assembly_bits(machine)
    if collector != ZERO:
        logic["collector"] = collector
    if assembly:
        logic["assembly"] = register_area_um2(technology, assembly)
    macros: dict[str, Band] = {}
    for memory in machine.memories:
        if memory.kind == "dram" and memory.area_um2 is None:
            continue
        kept = logic if memory.kind in ("register_file", "dram") else macros
        kept[memory.name] = memory_area_um2(memory, technology)
    if machine.generator is not None:
        # Layers with equal generators share one circuit and load their seeds in turn; each spec
        # that differs is another circuit beside it. The start words of the layer that runs, to
        # which its generator goes back, stand in one register for all of them.
        needed = dict.fromkeys(specs) or [machine.generator.spec or USUAL_GENERATOR]
        start = register_area_um2(technology, max(spec.start_bits for spec in needed))
        circuits = (generator_area_um2(spec, machine.generator, technology) for spec in needed)
        logic["generator"] = sum_bands(circuits) + start
    share = technology.control_share.band
    nests = control_area_um2(machine, technology) + alignment_area_um2(machine, technology)
    nests = nests + selection_area_um2(machine, technology)
    total = sum_bands(logic.values()) + nests
    logic["control"] = nests + Band(
        low=total.low * share.low, mid=total.mid * share.mid, high=total.high * share.high
    )
    return logic | macros


def array_area_um2(array: ComputeArray, technology: Technology) -> Band:
    """Area of the arithmetic of all elements; all of an element where the machine has a figure.

    A MAC or a ternary adder is an element, counted once for each. A tree is counted once a row: its
    columns are its lanes, and behind it stands one adder to the accumulator. Registers are in
    `registers_area_um2`, but for a ternary adder, which was measured with its accumulator.
    """
    if array.element_um2 is not None:
        return array.element_um2.band.scaled(array.elements)
    if array.element == "mac":
        logic = mac_logic_area_um2(
            technology, array.operand_bits, array.operand_bits, array.accumulator_bits
        )
        return logic.scaled(array.elements)
    if array.element == "ternary_adder":
        element = ternary_adder_area_um2(technology, array.accumulator_bits)
        return element.scaled(array.elements)
    tree = ternary_tree_area_um2(technology, array.columns, array.operand_bits)
    adder = adder_area_um2(technology, array.accumulator_bits)
    return (tree + adder).scaled(array.rows)


def registers_area_um2(array: ComputeArray, technology: Technology, shared: int = 0) -> Band:
    """Area of the registers and latches of an array, unless part of the machine's own figure.

    A register of one value is flip-flops with enable; one of two values or more is a small register
    file, whose bits cost a share of its decoder and multiplexers, too. Register files that elements
    share are counted once (`ComputeArray.instances`).

    Args:
        array: whose.
        technology: its constants.
        shared: flip-flops that arrays before it have already (`control.shared_bits`).
    """
    single = -shared
    registers = ZERO
    if array.element_um2 is None:
        single += array.latch_bits * len(array.latched)
    for operand in OPERANDS if array.element_um2 is None else ():
        register = array.register(operand)
        if register is None or (operand == "outputs" and array.element == "ternary_adder"):
            continue  # the accumulator is part of the measured element
        width = array.accumulator_bits if operand == "outputs" else array.operand_bits
        bits = register.capacity_bits * array.instances(operand)
        if register.capacity_bits >= 2 * width:  # selected from, so with a decoder
            registers = registers + register_file_area_um2(technology, bits)
        else:
            single += bits
    return registers + technology.register_um2_per_bit.band.scaled(max(0, single))


def memory_area_um2(memory: MemoryLevel, technology: Technology) -> Band:
    """Area of a memory in um2: the machine's own figure where it has one, else the technology's.

    Not for a DRAM without a figure of its own, which is another chip: `machine_area_um2` skips it.

    Raises:
        InvalidAccelerator: an SRAM is outside the technology's table.
    """
    if memory.area_um2 is not None:
        return memory.area_um2.band
    if memory.read_only:
        with named(memory):
            check_made(memory.kind, memory.bits, memory.bandwidth_bits_per_cycle, technology)
            return area_um2(memory.kind, memory.bits, memory.build, technology)
    if memory.kind == "sram":
        with named(memory):
            return technology.sram.area_um2(memory.bits, memory.build)
    return register_file_area_um2(technology, memory.bits)


def named(memory: MemoryLevel) -> contextlib.AbstractContextManager[None]:
    """Errors of a technology say which memory they are about, and where it is described."""
    return placed(f"'{memory.name}'", memory.where)


@contextlib.contextmanager
def placed(name: str, where: str) -> Iterator[None]:
    """Errors of a technology say which part they are about, and where it is described."""
    try:
        yield
    except InvalidAccelerator as error:
        place = f"{name}{', machine ' if where else ''}{where}"
        raise InvalidAccelerator(str(error).replace(" bits", f" bits ({place})", 1)) from None


def generator_area_um2(spec: GeneratorSpec, unit: GeneratorUnit, technology: Technology) -> Band:
    """Area of a generator from its parts (`cost_models.generator`), and of the states it saves.

    With the constants of the technology, which are fewer than those of a cell library's fit
    (`AREA_FITS`): how deep XORs stand behind each other (`deep_bits`, `hasty_bits`) is left out
    here, and the points of Sobol' sequences cost what an adder does.
    """
    parts = generator_parts(spec, unit.trits_per_cycle)
    bits = spec.state_bits + pair_bits(spec, unit.trits_per_cycle)
    saved = technology.generator_state_um2_per_bit.band.scaled(unit.saved_states * bits)
    per_unit = {
        "state_bits": technology.generator_state_um2_per_bit,
        "threshold_bits": technology.generator_threshold_um2_per_bit,
        "fresh_bits": technology.generator_fresh_um2_per_bit,
        "compare_bits": technology.generator_compare_um2_per_bit,
        "and_inputs": technology.generator_and_um2_per_input,
        "decoder_gates": technology.generator_decoder_um2_per_gate,
        "mixing_bits": technology.generator_mixing_um2_per_bit,
        "point_bits": technology.adder_um2_per_bit,
    }
    made = (constant.band.scaled(getattr(parts, part)) for part, constant in per_unit.items())
    return sum_bands([saved, *made])


def sum_bands(bands: Iterable[Band]) -> Band:
    """Sum of any number of bands."""
    total = ZERO
    for band in bands:
        total = total + band
    return total


def logic_leakage_uw(machine: Accelerator, technology: Technology) -> Band:
    """Leakage of everything that is not an SRAM macro or a DRAM: area times leakage per area.

    In uW. Low, mid and high figures of area and density multiply, as if both were wrong the same
    way. The area is that with the machine's own generator, or the usual one, so that leakage
    belongs to the machine and does not depend on the design that runs on it.
    """
    # What is a macro, or another chip, or has a figure of its own (which `leakages_uw` adds).
    apart = {
        memory.name
        for memory in machine.memories
        if memory.kind != "register_file" or memory.leakage_uw is not None
    }
    areas = machine_area_um2(machine, technology)
    logic = sum_bands(area for part, area in areas.items() if part not in apart)
    leakage = technology.logic_leakage_nw_per_um2.band
    return Band(  # 1e-3: nW to uW
        low=logic.low * leakage.low * 1e-3,
        mid=logic.mid * leakage.mid * 1e-3,
        high=logic.high * leakage.high * 1e-3,
    )
