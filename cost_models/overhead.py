"""Clock, control and wires: what a machine spends beside its arithmetic and its memories.

    clock, always    flip-flops / 16 * (gate + wire between gates)     each cycle, written or not
    clock, written   branch + wire between flip-flops                  each bit that is clocked
    control          sequencer + addresses * address                   each cycle
    wires            distance * bits                                   of each on-chip memory

Flip-flops stand in groups of 16 behind a gate that stops their clock: a group that nothing is
written to spends what its gate does. The clock pin of a flip-flop itself is in the price of a write
(`register_write_pj_per_bit`, `accumulator_pj_per_bit`, `generator_state_pj_per_bit`), which was
measured with it, and is not counted again here.

Without gates (`clock_gates: false`) the clock of all flip-flops, their pins included, runs in each
cycle, and what is written costs its data alone; a loop nest then takes about three times as much.

Lengths follow from areas of the machine (N flip-flops on an area A of logic, control included):

    between flip-flops   sqrt(A / N) each
    between gates        sqrt(A / (N / 16)) each, and a third more for the levels above them
    memory to arrays     half the edge of a square that holds the logic and all memories that are
                         not larger: small ones lie close
    along the array      its edge, for memories that deliver to it or collect from it

The shortest path through N points at random on an area A is 0.71 * sqrt(N * A) long (J. Beardwood,
J. Halton, J. Hammersley, The shortest path through many points, Proc. Cambridge Phil. Soc. 55,
1959). A clock's tree has to be balanced, and its wires run along two axes: 1 * sqrt(N * A), a
judgement.

Only what a technology prices is counted: an array, a register or a memory with figures of the
machine's own is taken to have its clock and its wires in them. What the figures are measured on:
benchmarks/clock_and_control.py and docs/evidence/technologies.md, "Clock, control and wires".
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cost_models.accelerator import OPERANDS, Accelerator, ComputeArray, MemoryLevel
from cost_models.area import vector_lane_flip_flops
from cost_models.band import ZERO, Band
from cost_models.control import (
    address_bits,
    assembly_bits,
    collector_bits,
    priced_by_technology,
    shared_bits,
)
from cost_models.generator import GeneratorSpec, generator_parts, pair_bits
from cost_models.machine_area import (
    USUAL_GENERATOR,
    array_area_um2,
    machine_area_um2,
    registers_area_um2,
    sum_bands,
)
from cost_models.selection import fetch_bits, loading_bits, vector_bits
from cost_models.technology import Technology

BITS_A_GATE = 16
"""Flip-flops behind a clock gate: words of 8 to 32 bits that are written together."""
LEVELS_ABOVE = 4 / 3
"""Wire of a tree over that of its lowest level: each level above has a quarter, 1 + 1/4 + ..."""
UNGATED_CONTROL = 2.9
"""Energy of a loop nest without clock gates over that with them: 3.6 in sky130, 2.4 in ASAP7
(benchmarks/clock_and_control.csv), geometric mean."""
CLOCKED = 4
"""Wire energy of a clock over that of data, of which a quarter of the bits rise and fall in a
cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Prices in pJ of one machine in one technology."""

    flip_flops: int
    addresses: int
    """Streams of words, each with a unit that makes its addresses."""
    clock_pj_per_cycle: Band
    clock_pj_per_written_bit: Band
    pin_pj_per_written_bit: float
    """Of a flip-flop's clock pin, to take off the price of a write: without clock gates it is in
    `clock_pj_per_cycle`; 0 with them."""
    control_pj_per_cycle: Band
    wire_pj_per_bit: dict[str, Band]
    """On-chip memory that the technology prices -> energy of a bit on its way."""


def find_overhead(machine: Accelerator, technology: Technology) -> Overhead | None:
    """What clock, control and wires of a machine spend; None where the technology has no figures.

    Raises:
        InvalidAccelerator: an SRAM is outside the technology's table.
    """
    gate, branch = technology.clock_gate_pj, technology.clock_branch_pj_per_bit
    wire = technology.wire_pj_per_bit_mm
    sequencer, address = technology.control_pj_per_cycle, technology.address_pj_per_cycle
    if gate is None or branch is None or wire is None or sequencer is None or address is None:
        return None
    areas = machine_area_um2(machine, technology)
    logic = _logic(machine, areas)
    flip_flops = sum(_flip_flops(machine))
    clock_wire = wire.band.scaled(CLOCKED)
    between_bits = _root(logic, 1 / flip_flops)
    between_gates = _root(logic, BITS_A_GATE / flip_flops).scaled(LEVELS_ABOVE)
    gates = flip_flops / BITS_A_GATE
    addresses = len(address_bits(machine))
    sequenced = any(array.operation_pj is None for array in machine.arrays)
    pin = technology.accumulator_pj_per_bit.value  # its high figure has toggles of data
    always = (gate.band + _times(clock_wire, between_gates)).scaled(gates)
    written = branch.band + _times(clock_wire, between_bits)
    control = sequencer.band.scaled(sequenced) + address.band.scaled(addresses)
    if not machine.clock_gates:
        every = written + Band(low=pin, mid=pin, high=pin)
        always = _times(clock_wire, between_gates).scaled(gates) + every.scaled(flip_flops)
        written = ZERO
        control = control.scaled(UNGATED_CONTROL)
    return Overhead(
        flip_flops=flip_flops,
        addresses=addresses,
        clock_pj_per_cycle=always,
        clock_pj_per_written_bit=written,
        pin_pj_per_written_bit=0.0 if machine.clock_gates else pin,
        control_pj_per_cycle=control,
        wire_pj_per_bit={
            memory.name: _times(wire.band, _distance_mm(memory, machine, technology, areas, logic))
            for memory in machine.memories
            if priced_by_technology(memory)
        },
    )


def _logic(machine: Accelerator, areas: dict[str, Band]) -> Band:
    """Area that the clock spans: no macros, and no arrays that have figures of their own."""
    apart = {each.name for each in machine.memories if each.kind != "register_file"}
    for array in machine.arrays:
        if array.operation_pj is not None:
            apart |= {array.name, f"registers of {array.name}"}
    return sum_bands(area for part, area in areas.items() if part not in apart)


def _flip_flops(machine: Accelerator) -> Iterator[int]:
    """Registers of each part, those of control left out, whose figure has its clock."""
    yield machine.vector_lanes * vector_lane_flip_flops(machine.sum_bits)
    yield collector_bits(machine) + assembly_bits(machine)
    yield fetch_bits(machine) + vector_bits(machine) + loading_bits(machine)
    shared = shared_bits(machine)
    for array in machine.arrays:
        yield -shared.get(array.name, 0)
        yield sum(_register_bits(array, operand) for operand in OPERANDS)
        if array.operation_pj is None and array.latch_pj_per_bit is None:
            yield len(array.latched) * array.latch_bits
    for memory in machine.memories:
        if memory.kind == "register_file" and priced_by_technology(memory):
            yield memory.bits
    if machine.generator is not None:
        spec: GeneratorSpec = machine.generator.spec or USUAL_GENERATOR
        lanes = machine.generator.trits_per_cycle
        yield generator_parts(spec, lanes).flip_flops
        saved = spec.state_bits + pair_bits(spec, lanes)
        yield machine.generator.saved_states * saved + spec.start_bits


def _register_bits(array: ComputeArray, operand: str) -> int:
    register = array.register(operand)  # type: ignore[arg-type]
    if register is None or array.operation_pj is not None or register.write_pj_per_bit is not None:
        return 0
    return register.capacity_bits * array.instances(operand)  # type: ignore[arg-type]


def _distance_mm(
    memory: MemoryLevel,
    machine: Accelerator,
    technology: Technology,
    areas: dict[str, Band],
    logic: Band,
) -> Band:
    """From a memory to the arrays, and along one where it delivers to them."""
    nearer = sum_bands(
        areas[each.name]
        for each in machine.memories
        if each.kind not in ("dram", "register_file")
        and areas[each.name].mid <= areas[memory.name].mid
    )
    distance = _root(logic + nearer, 1 / 4)
    if any(memory is machine.chain(operand)[0] for operand in memory.holds):
        arrays = [
            array_area_um2(each, technology) + registers_area_um2(each, technology)
            for each in machine.arrays
        ]
        distance = distance + _root(max(arrays, key=lambda area: area.mid), 1.0)
    return distance


def _root(area_um2: Band, factor: float) -> Band:
    """Edge in mm of a share of an area."""
    return Band(
        low=math.sqrt(area_um2.low * factor) * 1e-3,
        mid=math.sqrt(area_um2.mid * factor) * 1e-3,
        high=math.sqrt(area_um2.high * factor) * 1e-3,
    )


def _times(one: Band, other: Band) -> Band:
    return Band(low=one.low * other.low, mid=one.mid * other.mid, high=one.high * other.high)
