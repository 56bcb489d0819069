"""What of a machine the circuit has: its sizes as parameters; what it has not is refused."""

import math
from dataclasses import dataclass

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel
from dse.errors import InvalidDesign

MOST_LANES = 8
SUM_BITS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipMachine:
    """A machine that the circuit can be."""

    machine: Accelerator
    macs: ComputeArray
    trees: ComputeArray | None
    weights: MemoryLevel
    activations: MemoryLevel
    buffer: MemoryLevel | None

    @property
    def lanes(self) -> int:
        """Bytes of a word of the activation memory, and lanes of the vector unit."""
        return self.activations.bandwidth_bits_per_cycle // 8

    @property
    def rows(self) -> int:
        """Words of the activation memory."""
        return self.activations.bits // self.activations.bandwidth_bits_per_cycle

    @property
    def fetch_bytes(self) -> int:
        """Bytes of an input read: of the buffer, or of the activation memory without one."""
        return (self.buffer or self.activations).bandwidth_bits_per_cycle // 8

    @property
    def ring_bytes(self) -> int:
        """Bytes of the input buffer; 0 without one."""
        return self.buffer.bits // 8 if self.buffer else 0

    @property
    def trit_lanes(self) -> int:
        """Trits that the generator makes a cycle; 0 without one."""
        return self.machine.generator.trits_per_cycle if self.machine.generator else 0

    def depth(self, array: ComputeArray) -> int:
        """Sums behind each element, or tree."""
        return array.outputs.capacity_bits // SUM_BITS

    def array(self, name: str) -> ComputeArray:
        """The array of a mapping."""
        return next(each for each in self.machine.arrays if each.name == name)


def chip_machine(machine: Accelerator) -> ChipMachine:
    """The parts of a machine that the circuit is made of.

    A machine whose memories are to fit passes, too; sizes are those of the fitted one.

    Raises:
        InvalidDesign: it has one that the circuit cannot be.
    """
    macs = [array for array in machine.arrays if array.element == "mac"]
    trees = [array for array in machine.arrays if array.element == "ternary_tree"]
    others = [array for array in machine.arrays if array.element == "ternary_adder"]
    if others or len(macs) != 1 or len(trees) > 1:
        _refuse(machine, "arrays", "one array of MAC units and at most one of ternary trees")
    for array in machine.arrays:
        _check_array(machine, array)
    inputs, weights = machine.chain("inputs"), machine.chain("weights")
    if len(weights) != 1 or machine.chain("outputs") != inputs[-1:] or len(inputs) > 2:
        _refuse(
            machine,
            "memories",
            "one memory of weights, one of activations, and at most an input buffer before it",
        )
    for memory in (*weights, *inputs):
        _check_memory(machine, memory)
    if weights[0] in inputs:
        _refuse(machine, "memories", "weights and activations in memories of their own")
    found = ChipMachine(
        machine=machine,
        macs=macs[0],
        trees=trees[0] if trees else None,
        weights=weights[0],
        activations=inputs[-1],
        buffer=inputs[0] if len(inputs) == 2 else None,
    )
    _check_widths(found)
    return found


def _check_array(machine: Accelerator, array: ComputeArray) -> None:
    """Each key by itself, with the value that it has and the place where it stands."""
    place = f" (machine {array.where})" if array.where else ""
    for key, needed in (
        ("interconnect", "broadcast"),
        ("lanes", 1),
        ("zero_handling", "dense"),
        ("operand_bits", 8),
        ("accumulator_bits", SUM_BITS),
        ("saturates", False),
    ):
        value = getattr(array, key)
        if value != needed:
            _refuse(machine, f"{key} of array '{array.name}'{place}", f"{needed}, not {value}")
    if array.element == "ternary_tree" and array.rows > array.columns:
        _refuse(
            machine,
            f"rows of array '{array.name}'{place}",
            f"at most its columns ({array.columns}), not {array.rows}",
        )


def _check_memory(machine: Accelerator, memory: MemoryLevel) -> None:
    port = memory.bandwidth_bits_per_cycle
    where = f"memory '{memory.name}'" + (f" (machine {memory.where})" if memory.where else "")
    if memory.kind != "sram" or memory.ports != "shared" or memory.double_buffered:
        buffers = "with" if memory.double_buffered else "without"
        has = f"{memory.kind} with {memory.ports} ports, {buffers} double buffering"
        _refuse(machine, where, f"sram with shared ports, without double buffering, not {has}")
    if memory.access_bits != port or port < 16 or port & (port - 1):
        _refuse(
            machine,
            where,
            "of words as wide as the port, a power of two of 16 bits or more, not of "
            f"{memory.access_bits} and {port}",
        )


def _check_widths(found: ChipMachine) -> None:
    machine, lanes = found.machine, found.lanes
    if lanes > MOST_LANES or machine.vector_lanes != lanes:
        _refuse(
            machine,
            "vector_lanes",
            f"as many as the activation memory's word has bytes, at most {MOST_LANES}; they are "
            f"{machine.vector_lanes} and {lanes}",
        )
    if found.weights.bandwidth_bits_per_cycle > 64:
        _refuse(
            machine,
            f"memory '{found.weights.name}'",
            f"of words of at most 64 bits, not {found.weights.bandwidth_bits_per_cycle}",
        )
    known = found.buffer and found.buffer.capacity_bits != "fit"
    uneven = known and not _power(found.ring_bytes)
    if found.buffer and (found.fetch_bytes < lanes or uneven):
        _refuse(
            machine,
            f"memory '{found.buffer.name}'",
            "a port as wide as the activation memory's or wider, and a power of two of bits",
        )
    trees = found.trees.rows if found.trees else 1
    if max(found.macs.rows, found.macs.columns, trees) > lanes:
        _refuse(
            machine,
            "arrays",
            f"at most {lanes} by {lanes} MAC units, and {lanes} trees, not {found.macs.rows} by "
            f"{found.macs.columns}, and {trees}",
        )
    if machine.generator and not _power(machine.generator.trits_per_cycle):
        made = machine.generator.trits_per_cycle
        _refuse(machine, "generator.trits_per_cycle", f"a power of two from 4 up, not {made}")


def _power(number: int) -> bool:
    return number >= 4 and math.log2(number).is_integer()


def _refuse(machine: Accelerator, where: str, needed: str) -> None:
    raise InvalidDesign(
        f"the exported chip cannot be {machine.name}: {where} must be {needed}; change the machine"
    )
