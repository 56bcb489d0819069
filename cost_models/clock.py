"""The highest clock of a machine in a technology: 1 / its longest path, and which path that is.

    paths      each array's element or tree, the generator, a bank of each SRAM
    highest    1 / the longest of them

A path is not pipelined: a multiplier of two cycles would need registers that nobody prices here.
Memories at figures of their own have access times of their own, which their files do not say: they
set no limit. Where a technology's delays are unknown (`timing: {unknown: why}`), a clock is refused
beyond `KNOWN_CLOCK_MHZ`.

The port of a DRAM is limited, too, by the widest that is sold: a stack of HBM2, 1,024 lines of 2
Gbit/s (JEDEC JESD235A).
"""

import math

from cost_models.accelerator import Accelerator, ComputeArray, at
from cost_models.errors import InvalidAccelerator
from cost_models.generator import GeneratorSpec
from cost_models.machine_area import USUAL_GENERATOR
from cost_models.nonvolatile import access_ns
from cost_models.technology import Technology
from cost_models.timing import Timing

KNOWN_CLOCK_MHZ = 200.0
"""Of the fastest machines of the library: what a technology without delays is trusted with."""

DRAM_MBIT_PER_S = 1024 * 2000.0


def paths_ns(machine: Accelerator, technology: Technology) -> dict[str, float]:
    """Delay of each path of a machine, by the name of its part; empty where delays are unknown."""
    timing = technology.timing
    if timing.unknown:
        return {}
    paths = {array.name: _element_ns(array, timing) for array in machine.arrays}
    if machine.generator is not None:
        spec = machine.generator.spec or USUAL_GENERATOR
        paths["generator"] = timing.trits_ns(spec.rounds)
    for memory in machine.memories:
        priced = memory.read_pj_per_bit is None or memory.write_pj_per_bit is None
        if memory.kind == "sram" and priced:
            paths[memory.name] = technology.sram.access_ns(memory.bits, memory.build)
        elif memory.read_only and memory.read_pj_per_bit is None:
            paths[memory.name] = access_ns(memory.kind, memory.bits, memory.build, technology)
    return paths


def _element_ns(array: ComputeArray, timing: Timing) -> float:
    if array.element == "mac":
        return timing.mac_ns(array.operand_bits, array.operand_bits, array.accumulator_bits)
    if array.element == "ternary_adder":
        return timing.adder_ns(array.accumulator_bits)
    return timing.lane_tree_ns(array.columns, array.accumulator_bits)


def highest_clock_mhz(machine: Accelerator, technology: Technology) -> tuple[float, str]:
    """The highest clock, and the part that sets it; empty where the technology's delays do."""
    paths = paths_ns(machine, technology)
    if not paths:
        return KNOWN_CLOCK_MHZ, ""
    slowest = max(paths, key=lambda part: paths[part])
    return 1000 / paths[slowest], slowest


def check_clock(machine: Accelerator, technology: Technology) -> None:
    """Raise `InvalidAccelerator` where a machine's clock or a DRAM's port is beyond what exists."""
    highest, part = highest_clock_mhz(machine, technology)
    if machine.clock_mhz > highest:
        clock = f"clock_mhz of {machine.name} is {machine.clock_mhz:g}{at(machine.where)}"
        if part:
            raise InvalidAccelerator(
                f"{clock}: at most {_floor(highest):g} in {technology.name}, whose '{part}' takes "
                f"{1000 / highest:.3g} ns; lower it, make that part smaller, or use a faster "
                "technology"
            )
        raise InvalidAccelerator(
            f"{clock}: at most {highest:g} in {technology.name}, of which no delays are known "
            f"({technology.timing.unknown}); lower it, or give the technology a section timing"
        )
    for memory in machine.memories:
        moved = memory.bandwidth_bits_per_cycle * machine.clock_mhz
        if memory.kind == "dram" and moved > DRAM_MBIT_PER_S:
            widest = int(DRAM_MBIT_PER_S / machine.clock_mhz)
            raise InvalidAccelerator(
                f"bandwidth_bits_per_cycle of '{memory.name}' is "
                f"{memory.bandwidth_bits_per_cycle:,}{at(memory.where)}: at most {widest:,} at "
                f"{machine.clock_mhz:g} MHz, the {DRAM_MBIT_PER_S / 1e6:.3g} Tbit/s of a stack of "
                "HBM2; lower it, or the clock"
            )


def check_generator(spec: GeneratorSpec, machine: Accelerator, technology: Technology) -> None:
    """Raise `InvalidAccelerator` where a design's generator is too slow for a machine's clock."""
    if technology.timing.unknown:
        return
    delay_ns = technology.timing.trits_ns(spec.rounds)
    if machine.clock_mhz > 1000 / delay_ns:
        raise InvalidAccelerator(
            f"clock_mhz of {machine.name} is {machine.clock_mhz:g}{at(machine.where)}: at most "
            f"{_floor(1000 / delay_ns):g} in {technology.name} with a generator of family "
            f"{spec.family} and {spec.rounds} rounds, which takes {delay_ns:.3g} ns; lower it, or "
            "choose another generator"
        )


def _floor(mhz: float) -> float:
    """Three digits, rounded down: a clock that a message names must be one that is allowed."""
    unit = 10.0 ** (math.floor(math.log10(mhz)) - 2)
    return math.floor(mhz / unit) * unit
