"""Energy: a list of priced events on one machine, and how often a layer makes each of them happen.

    energy = sum over the entries of  count * price

An entry is a component (what spends), a part (which array or memory), an operand, and an action.
Counts are whole numbers (bits, products of bits, cycles), so sums of them are exact in any order;
prices are pJ per unit of count, with their band.
So every total, by whatever it is grouped, is a sum over the same table, and a changed constant only
changes the prices. Counts and prices are kept apart to the end for that reason: what a layer does
on a machine is found once, and another technology, or a thousand draws of uncertain constants,
are other prices of the same counts.

Bits are the unit of count wherever energy grows with the width: an addition of 24 bits is 24 of
one bit, a multiplication of 8 by 4 bits is 32. Small widths are the point of these machines, and a
price per operation would hide them.

    MAC              multiplication a * b bits, addition of w bits; its sum in the outputs register
    ternary adder    position of w bits for each clocked trit, addition of w bits where not zero
    ternary tree     position and addition of i bits likewise; one addition of w bits and one sum a
                     tree and step
    vector unit      of each sum: multiplication of w by 16 bits, addition of w and of w + 16 bits
    residual add     the same of both tensors, a bits; pool: addition of w bits, one sum a channel
    ReLU, maximum    comparison
    generator        parts of `cost_models.generator` in each of its cycles
    clock, control   cycles, and bits that are clocked; wires: bits that pass a memory's ports
                     (`cost_models.overhead`)
    leakage          cycles * microwatts / megahertz = pJ
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import (
    OPERANDS,
    Accelerator,
    ComputeArray,
    MemoryLevel,
    Operand,
)
from cost_models.area import register_file_growth
from cost_models.band import ZERO, Band
from cost_models.clock import check_clock
from cost_models.control import priced_by_technology
from cost_models.machine_area import logic_leakage_uw, named, placed
from cost_models.nonvolatile import NONVOLATILE, check_made, leakage_uw, read_pj_per_bit
from cost_models.overhead import Overhead, find_overhead
from cost_models.technology import Constant, Technology

FREE = (0.0, 0.0, 0.0)

RUNNING = "cycle"
"""Action of what is spent in each cycle in which the machine works."""
LEAKING = "idle"
"""Action of what is spent as long as the supply is on; its count is cycles, too."""


class Component(StrEnum):
    """What spends the energy: the first of the levels by which totals are broken down."""

    MULTIPLY_ACCUMULATE = "multiply_accumulate"
    TERNARY_ADDITION = "ternary_addition"
    POST_PROCESSING = "post_processing"
    REGISTER = "register"
    BUFFER = "buffer"
    SRAM = "sram"
    NONVOLATILE = "nonvolatile"
    DRAM = "dram"
    GENERATOR = "generator"
    WIRES = "wires"
    CLOCK = "clock"
    CONTROL = "control"
    LEAKAGE = "leakage"


MEMORIES = (Component.BUFFER, Component.SRAM, Component.NONVOLATILE, Component.DRAM)


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A line of the energy table: who spends, where, on what, doing what.

    Totals by component, by memory or by operand are sums over the lines that agree in it.
    """

    component: Component
    part: str
    """Array, memory, or unit."""
    operand: str
    """`weights`, `inputs`, `outputs`, or empty."""
    action: str
    """`read`, `write`, or the operation; its count is in bits (or as `PriceList` says)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PriceList:
    """What each event costs on one machine in one technology.

    The link between counts and joules: the same counts under two price lists are two technologies.
    """

    entries: tuple[Entry, ...]
    prices_pj: npt.NDArray[np.float64]
    """Per unit of count, shape (entries, 3): low, mid, high."""
    follows: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Rows whose count is the sum of those of other rows: wires and clocks of what is counted."""

    @cached_property
    def position(self) -> dict[Entry, int]:
        """Entry -> row."""
        return {entry: row for row, entry in enumerate(self.entries)}

    @cached_property
    def time_pj(self) -> float:
        """Leakage, clock and control per cycle, mid figure: what a mapping pays for its time."""
        return float(self.prices_pj[self._rows(RUNNING, LEAKING), 1].sum())

    @cached_property
    def whole_pj(self) -> npt.NDArray[np.float64]:
        """Mid prices with those of the rows that follow, shape (entries,): what an event causes."""
        whole: npt.NDArray[np.float64] = self.prices_pj[:, 1].copy()
        for row, followed in self.follows:
            whole[list(followed)] += self.prices_pj[row, 1]
        return whole

    def _rows(self, *actions: str) -> list[int]:
        return [row for row, entry in enumerate(self.entries) if entry.action in actions]

    def fill_following(self, counts: npt.NDArray[np.float64]) -> None:
        """Write the counts that follow from others into a table, shape (..., entries)."""
        for row, followed in self.follows:
            counts[..., row] = counts[..., list(followed)].sum(axis=-1)

    @cached_property
    def _memory_rows(self) -> dict[tuple[str, str, str], int]:
        return {
            (each.part, each.operand, each.action): row
            for row, each in enumerate(self.entries)
            if each.component in MEMORIES
        }

    def memory_row(self, memory: str, operand: str, action: str) -> int:
        """Row of reading or writing an operand in a memory."""
        return self._memory_rows[memory, operand, action]

    def with_time(
        self, counts: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64] | int
    ) -> npt.NDArray[np.float64]:
        """Counts with what is spent in `cycles`: clock, control and leakage.

        Args:
            counts: of events, shape (..., entries); those of cycles are overwritten.
            cycles: in which the machine works, shape (...).
        """
        complete = counts.copy()
        complete[..., self._rows(RUNNING, LEAKING)] = np.asarray(cycles)[..., None]
        return complete

    def without_leakage(self, counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Counts of what is spent because the machine works, and not because it is on."""
        dynamic = counts.copy()
        dynamic[..., self._rows(LEAKING)] = 0.0
        return dynamic

    def energy_pj(self, counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Energy of counts, shape (..., entries), in three bands, shape (..., 3).

        The entries are added one after the other, so that one design and a million of them get the
        same sums to the last bit.
        """
        energy = np.zeros((*counts.shape[:-1], 3))
        for row, prices in enumerate(self.prices_pj):
            energy += counts[..., row, None] * prices
        return energy

    def running_pj(
        self, counted_pj: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Energy with clock and control of `cycles` added to what it is without."""
        return self._added(counted_pj, cycles, RUNNING)

    def leaked_pj(
        self, dynamic_pj: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Energy with the leakage of `cycles` added to what it is without.

        What is counted in cycles stands last in the list, leakage behind clock and control: so this
        of `running_pj` is `energy_pj` of `with_time` to the last bit.
        """
        return self._added(dynamic_pj, cycles, LEAKING)

    def _added(
        self, before_pj: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64], action: str
    ) -> npt.NDArray[np.float64]:
        energy = before_pj.copy()
        for row in self._rows(action):
            energy += cycles[..., None] * self.prices_pj[row]
        return energy


def price_list(machine: Accelerator, technology: Technology) -> PriceList:
    """All events of a machine with their prices, in pJ per unit of count.

    The order is part of the result: sums run over it, one entry after the other, and what is
    counted in cycles, which are known last, stands last (`PriceList.leaked_pj`).

    Raises:
        InvalidAccelerator: an SRAM is outside the technology's table, or the clock beyond what the
            machine's slowest part allows.
    """
    check_clock(machine, technology)
    priced: dict[Entry, tuple[float, float, float]] = {}
    for array in machine.arrays:
        priced |= _array_prices(array, technology)
    for memory in machine.memories:
        read, write = memory_prices(memory, technology)
        component = _MEMORY_COMPONENTS[memory.kind]
        for operand in memory.holds:
            priced[Entry(component, memory.name, operand, "read")] = read.as_tuple()
            priced[Entry(component, memory.name, operand, "write")] = write.as_tuple()
    for action, constant in (
        ("multiplication", technology.multiplication_pj_per_bit2),
        ("addition", technology.addition_pj_per_bit),
        ("accumulation", technology.accumulator_pj_per_bit),
        ("comparison", technology.comparison_pj_per_bit),
    ):
        entry = Entry(Component.POST_PROCESSING, "vector unit", "", action)
        priced[entry] = constant.band.as_tuple()
    if machine.generator is not None:
        for action, constant in generator_prices(technology).items():
            priced[Entry(Component.GENERATOR, "generator", "", action)] = constant.band.as_tuple()
    overhead = find_overhead(machine, technology)
    if overhead is not None:
        for entry in [each for each in priced if _clocks(each, machine)]:
            priced[entry] = _less(priced[entry], overhead.pin_pj_per_written_bit)
        priced |= _overhead_prices(overhead)
    for part, leakage in leakages_uw(machine, technology).items():
        per_cycle = leakage.scaled(1 / machine.clock_mhz)  # uW / MHz = pJ
        priced[Entry(Component.LEAKAGE, part, "", LEAKING)] = per_cycle.as_tuple()
    entries = tuple(priced)
    return PriceList(
        entries=entries,
        prices_pj=np.array(list(priced.values()), dtype=np.float64),
        follows=tuple(
            (row, followed)
            for row, entry in enumerate(entries)
            if (followed := _followed(entry, entries, machine))
        ),
    )


def _less(price: tuple[float, float, float], pj: float) -> tuple[float, float, float]:
    low, mid, high = (max(0.0, each - pj) for each in price)
    return low, mid, high


def _overhead_prices(overhead: Overhead) -> dict[Entry, tuple[float, float, float]]:
    """Wires, clock and control."""
    wires = {
        Entry(Component.WIRES, memory, "", "moved"): price.as_tuple()
        for memory, price in overhead.wire_pj_per_bit.items()
    }
    return wires | {
        Entry(
            Component.CLOCK, "registers", "", "written"
        ): overhead.clock_pj_per_written_bit.as_tuple(),
        Entry(Component.CLOCK, "gates", "", RUNNING): overhead.clock_pj_per_cycle.as_tuple(),
        Entry(
            Component.CONTROL, "loop nest", "", RUNNING
        ): overhead.control_pj_per_cycle.as_tuple(),
    }


def _followed(entry: Entry, entries: tuple[Entry, ...], machine: Accelerator) -> tuple[int, ...]:
    """Rows whose counts add up to that of an entry; none for what is counted by itself."""
    if entry.component is Component.WIRES:
        return tuple(
            row
            for row, each in enumerate(entries)
            if each.component in MEMORIES and each.part == entry.part
        )
    if entry.component is Component.CLOCK and entry.action == "written":
        return tuple(row for row, each in enumerate(entries) if _clocks(each, machine))
    return ()


def _clocks(entry: Entry, machine: Accelerator) -> bool:
    """Whether an event clocks flip-flops that the technology prices, one a unit of its count."""
    if entry.component is Component.POST_PROCESSING:
        return entry.action == "accumulation"
    if entry.component is Component.GENERATOR:
        return entry.action in ("state_bits", "threshold_bits")
    if entry.component is Component.BUFFER and entry.action == "write":
        memory = next(each for each in machine.memories if each.name == entry.part)
        return priced_by_technology(memory)
    array = next((each for each in machine.arrays if each.name == entry.part), None)
    if array is None or array.operation_pj is not None:
        return False
    inside = array.element == "ternary_adder"  # its accumulator is clocked with its position
    if entry.component is Component.TERNARY_ADDITION:
        return inside and entry.action == "position"
    if entry.component is not Component.REGISTER or entry.action != "write":
        return False
    register = array.register(entry.operand)  # type: ignore[arg-type]
    own = register is not None and register.write_pj_per_bit is not None
    return not own and not (inside and entry.operand == "outputs")


def generator_prices(technology: Technology) -> dict[str, Constant]:
    """Parts of `GeneratorParts` that spend energy, and what a unit of each spends a cycle.

    Keys are fields of `GeneratorParts`, so that what a generator has and what it spends meet by
    name. Threshold registers are clocked like the state.
    """
    return {
        "state_bits": technology.generator_state_pj_per_bit,
        "threshold_bits": technology.generator_state_pj_per_bit,
        "compare_bits": technology.generator_decision_pj_per_bit,
        "and_inputs": technology.generator_and_pj_per_input,
        "decoder_gates": technology.generator_decoder_pj_per_gate,
        "mixing_bits": technology.generator_mixing_pj_per_bit,
        "point_bits": technology.addition_pj_per_bit,
    }


_MEMORY_COMPONENTS = {
    "register_file": Component.BUFFER,
    "sram": Component.SRAM,
    "dram": Component.DRAM,
} | dict.fromkeys(NONVOLATILE, Component.NONVOLATILE)


def memory_prices(memory: MemoryLevel, technology: Technology) -> tuple[Band, Band]:
    """Energy to read and to write one bit of a memory, in pJ.

    The machine's own figures come first; where it has none, those of the technology for a memory of
    this kind and size.

    Raises:
        InvalidAccelerator: an SRAM is outside the technology's table.
    """
    if memory.read_pj_per_bit and memory.write_pj_per_bit:
        return memory.read_pj_per_bit.band, memory.write_pj_per_bit.band
    if memory.read_only:
        with named(memory):
            return _read_only_price(memory, technology), ZERO  # it is not written: never counted
    if memory.kind == "dram":
        read = write = technology.dram_pj_per_bit.band
    elif memory.kind == "sram":
        with named(memory):
            read = technology.sram.read_pj_per_bit(memory.bits, memory.build)
            write = technology.sram.write_pj_per_bit(memory.bits, memory.build)
    else:
        with named(memory):
            growth = register_file_growth(memory.bits)
        read = technology.register_read_pj_per_bit.band.scaled(growth)
        write = technology.register_write_pj_per_bit.band.scaled(growth)
    if memory.read_pj_per_bit:
        read = memory.read_pj_per_bit.band
    if memory.write_pj_per_bit:
        write = memory.write_pj_per_bit.band
    return read, write


def _read_only_price(memory: MemoryLevel, technology: Technology) -> Band:
    if memory.read_pj_per_bit:
        return memory.read_pj_per_bit.band
    check_made(memory.kind, memory.bits, memory.bandwidth_bits_per_cycle, technology)
    return read_pj_per_bit(memory.kind, memory.bits, memory.build, technology)


def _array_prices(
    array: ComputeArray, technology: Technology
) -> dict[Entry, tuple[float, float, float]]:
    component = (
        Component.MULTIPLY_ACCUMULATE if array.element == "mac" else Component.TERNARY_ADDITION
    )
    # Events that a machine does not price get no entry: with a figure for the whole operation there
    # is none for its parts, which would count twice.
    constants: dict[str, Constant]
    if array.operation_pj is not None:
        constants = {"operation": array.operation_pj}
    elif array.element == "mac":
        constants = {
            "multiplication": technology.multiplication_pj_per_bit2,
            "addition": technology.addition_pj_per_bit,
        }
    elif array.element == "ternary_adder":
        constants = {
            "position": technology.ternary_position_pj_per_bit,
            "nonzero": technology.ternary_addition_pj_per_bit,
        }
    else:
        constants = {
            "position": technology.tree_position_pj_per_bit,
            "nonzero": technology.tree_addition_pj_per_bit,
            "addition": technology.addition_pj_per_bit,
        }
    priced = {
        Entry(component, array.name, "", action): constant.band.as_tuple()
        for action, constant in constants.items()
    }
    for operand in OPERANDS:
        if operand in array.latched:
            # It drives the elements directly: nothing is selected, nothing read.
            read, write = FREE, _latch_price(array, technology)
        elif array.register(operand) is not None:
            read, write = _register_prices(array, operand, technology)
        else:
            continue
        priced[Entry(Component.REGISTER, array.name, operand, "read")] = read
        priced[Entry(Component.REGISTER, array.name, operand, "write")] = write
    return priced


def _latch_price(array: ComputeArray, technology: Technology) -> tuple[float, float, float]:
    """Energy to write a bit of a latch: none where the machine prices operations as a whole.

    Such a figure is that of another tool, which has latches nowhere else.
    """
    if array.latch_pj_per_bit is not None:
        return array.latch_pj_per_bit.band.as_tuple()
    if array.operation_pj is not None:
        return FREE
    return technology.register_write_pj_per_bit.band.as_tuple()


def _register_prices(
    array: ComputeArray, operand: Operand, technology: Technology
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    register = array.register(operand)
    assert register is not None
    own_read, own_write = register.read_pj_per_bit, register.write_pj_per_bit
    if own_read and own_write:
        return own_read.band.as_tuple(), own_write.band.as_tuple()
    with placed(f"{operand} of {array.name}", register.where):
        growth = register_file_growth(register.capacity_bits)
    read = FREE
    width = array.accumulator_bits if operand == "outputs" else array.operand_bits
    if register.capacity_bits >= 2 * width:
        # A single register drives its element directly; more of them are selected from.
        read = technology.register_read_pj_per_bit.band.scaled(growth).as_tuple()
    written = technology.register_write_pj_per_bit
    if operand == "outputs":
        written = technology.accumulator_pj_per_bit
    write = written.band.scaled(growth).as_tuple()
    if operand == "outputs" and array.element == "ternary_adder" and array.operation_pj is None:
        write = FREE  # the accumulator is part of the measured element
    if own_read:
        read = own_read.band.as_tuple()
    if own_write:
        write = own_write.band.as_tuple()
    return read, write


def leakages_uw(machine: Accelerator, technology: Technology) -> dict[str, Band]:
    """Leakage power of each memory and of all logic; a DRAM's standby power only where it is given.

    In uW. A register file that is a memory is logic, too, and leaks as part of it, unless the
    machine has a figure for it.

    It flows as long as the supply is on, whether anything is computed or not: in the energy of an
    inference it counts for its latency, in the average power all the time.

    Raises:
        InvalidAccelerator: an SRAM is outside the technology's table.
    """
    leakage: dict[str, Band] = {"logic": logic_leakage_uw(machine, technology)}
    for memory in machine.memories:
        if memory.leakage_uw is not None:
            leakage[memory.name] = memory.leakage_uw.band
        elif memory.read_only:
            with named(memory):
                leakage[memory.name] = leakage_uw(memory.kind, memory.bits, technology)
        elif memory.kind == "sram":
            with named(memory):
                leakage[memory.name] = technology.sram.leakage_uw(memory.bits, memory.build)
    return leakage
