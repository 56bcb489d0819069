"""ZigZag's hardware YAML as a machine of ours.

A file lists memories from the multipliers outwards, each with the dimensions of the array that it
serves. One that serves them all stands below the whole array; one that serves some is repeated
along the others: a register of every multiplier, or of a row of them.

What has no place in a machine of ours is refused by name, or told in a note; nothing is guessed in
silence. Three things are easily read wrongly:

* a price is of an access as wide as the port that is used: `r_cost` belongs to the ports that read,
  `w_cost` to those that write;
* `bandwidth_min` is the word: a sum of 16 bits behind a port of 24 pays for 24. It says nothing of
  the room: eight such sums lie in a register of 128 bits;
* any loop may run along any dimension. For a depthwise layer that is its channels, its output
  frames or its taps (`depthwise: auto`), not channels alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from pathlib import Path
from typing import Any, Literal

from cost_models.accelerator import (
    AXES,
    Accelerator,
    Axis,
    ComputeArray,
    MemoryLevel,
    Operand,
    Register,
)
from cost_models.reading import build, read_value
from cost_models.recognised import check_kind
from cost_models.strict_yaml import Node, read_yaml
from cost_models.technology import Constant
from dse.errors import InvalidFile, InvalidInput, short
from dse.interchange.imported import ImportedMachine

LETTERS: dict[Operand, str] = {"inputs": "I1", "weights": "I2", "outputs": "O"}
OPERANDS: dict[str, Operand] = {letter: operand for operand, letter in LETTERS.items()}
LEAST_PJ = 1e-9
"""A price of 0 in a file of ZigZag; our constants are positive."""
MOST_PJ = 1e9
"""Of an access or an operation; a file in other units than pJ comes to more."""
MOST_ELEMENTS = 2**24
MOST_OPERAND_BITS = 64
LEAST_OPERAND_BITS = 8
"""Of an element: what our layers have, unless their file says less."""
MOST_ACCUMULATOR_BITS = 64
"""A wider port of sums is that of several at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    name: str
    type: Literal["read", "write", "read_write"]
    bandwidth_min: int
    bandwidth_max: int
    allocation: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memory:
    size: int
    operands: tuple[Literal["I1", "I2", "O"], ...]
    ports: tuple[_Port, ...]
    served_dimensions: tuple[str, ...]
    r_cost: float | None = None
    w_cost: float | None = None
    area: float | None = None
    latency: int = 1
    mem_type: str | None = None
    auto_cost_extraction: bool = False
    force_double_buffering: bool = False

    def holds(self) -> tuple[Operand, ...]:
        return tuple(
            each for each in ("weights", "inputs", "outputs") if LETTERS[each] in self.operands
        )

    def towards(self, *kinds: str) -> tuple[_Port, ...]:
        """Ports of these kinds, `read_write` among them."""
        return tuple(port for port in self.ports if port.type in (*kinds, "read_write"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Array:
    dimensions: tuple[str, ...]
    sizes: tuple[int, ...]
    unit_energy: float | None = None
    unit_area: float | None = None
    is_imc: bool = False
    systolic_dimensions: tuple[str, ...] = ()
    input_precision: tuple[int, ...] = ()
    imc_type: Any = None
    adc_resolution: Any = None
    bit_serial_precision: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hardware:
    memories: dict[str, _Memory]
    operational_array: _Array
    name: str = ""
    dataflows: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A file, while it becomes a machine."""

    file: str
    root: Node
    hardware: _Hardware
    notes: list[str]

    def memory_node(self, name: str) -> Node:
        node: Node = self.root.value["memories"].value[name]
        return node

    @property
    def array_node(self) -> Node:
        node: Node = self.root.value["operational_array"]
        return node


def import_hardware(
    path: Path | str,
    *,
    technology: str = "low_leakage_45nm",
    clock_mhz: float = 200.0,
) -> ImportedMachine:
    """Read a machine from ZigZag's hardware YAML.

    Args:
        path: the file; it is read as data, nothing in it is executed.
        technology: name of what prices leakage, area, and memories whose costs the file does not
            have.
        clock_mhz: not in the file: ZigZag counts cycles, and cycles have no length there.

    Returns:
        The machine, and as notes what was assumed, or left out, and keys that stand there twice
        (ZigZag's own parser keeps the last of two in silence, so such files are about).

    Raises:
        InvalidFile: the file cannot be read, or describes what a machine of ours cannot be.
    """
    notes: list[str] = []
    root = read_yaml(path, doubled=notes)
    return machine_of(root, Path(path).stem, notes, technology, clock_mhz)


def machine_of(
    root: Node, name: str, notes: list[str], technology: str, clock_mhz: float
) -> ImportedMachine:
    """The machine that hardware YAML describes, however its nodes came together.

    Args:
        root: the hardware.
        name: of the machine.
        notes: what is known already; gets what was assumed or left out.
        technology: as of `import_hardware`.
        clock_mhz: likewise.

    Raises:
        InvalidFile: as `import_hardware`.
    """
    _check_form(root)
    check_kind(root, "zigzag_hardware")
    file = Path(root.file).name
    read = _Read(file, root, build(_Hardware, root), notes)
    axes = _axes(read)
    try:
        registers, memories = _storage(read, axes)
        array = _array(read, axes, registers)
        machine = Accelerator(
            name=name,
            description=f"ZigZag's machine '{read.hardware.name or name}'",
            source=f"Imported from {file}, hardware YAML of ZigZag; clock, vector lanes and "
            "technology are not in it.",
            technology=technology,
            clock_mhz=clock_mhz,
            arrays=(array,),
            memories=memories,
            vector_lanes=max(array.sizes),
            ternary_weights="stored",
        )
    except InvalidFile:
        raise
    except InvalidInput as error:  # what a part of a machine refuses has no place in the file
        raise root.error(str(error)) from None
    notes += _left_out(read)
    return ImportedMachine(machine, tuple(notes))


def _check_form(root: Node) -> None:
    """Raise `InvalidFile` for what is none of ZigZag's hardware, but a relative of it."""
    keys = root.value if isinstance(root.value, dict) else {}
    if "cores" in keys:
        cores = keys["cores"]
        raise cores.error(
            "this is an accelerator of Stream, several cores and what connects them: choose one "
            "by its number there, --core 0, which gets the memory outside of the chip"
        )
    if "multipliers" in keys:
        raise keys["multipliers"].error(
            "this is a file of ZigZag before 3.8, with 'multipliers': since then it is "
            "'operational_array', with unit_energy and unit_area"
        )
    memories = keys["memories"].value if "memories" in keys else None
    for memory in memories.values() if isinstance(memories, dict) else ():
        if isinstance(memory.value, dict) and "r_bw" in memory.value:
            raise memory.error(
                f"{memory.key} has its ports as in ZigZag before 3.8 (r_bw, r_port): since then "
                "'ports' is a list, each port with type, bandwidth_min and bandwidth_max"
            )
    if "layers" in keys:
        raise root.error("a workload of ZigZag is a list of layers, with nothing above it")
    if "mapping" in keys:
        raise root.error("this is no hardware of ZigZag: that has 'memories'")


def _left_out(read: _Read) -> list[str]:
    """What the file says besides, and no machine of ours has."""
    memories = read.hardware.memories
    notes = []
    areas = [name for name, memory in memories.items() if memory.area]
    if areas:
        notes.append(
            f"area of {', '.join(areas[:5])} is left out, it has no unit: the technology gives one"
        )
    slow = [f"{name} ({memory.latency})" for name, memory in memories.items() if memory.latency > 1]
    if slow:
        notes.append(f"latency of {', '.join(slow[:5])} is left out: accesses are pipelined")
    if (read.hardware.operational_array.unit_area or 1) != 1:
        notes.append("unit_area is left out, it has no unit: the technology gives the area")
    return notes


# ---- the array ----


def _axes(read: _Read) -> dict[str, Axis]:
    """The axis of each dimension; more than three are folded where that changes nothing.

    Two dimensions that every memory serves alike, and that carry the same loops, are one dimension
    of as many elements as both have. Where `dataflows` does not say what they carry, folding them
    leaves out the mappings that lay different loops over the two, and a note says so.
    """
    array, node = read.hardware.operational_array, read.array_node
    _check_sizes(array, node)
    groups: list[tuple[str, ...]] = [(dimension,) for dimension in array.dimensions]
    while len(groups) > len(AXES):
        alike = [pair for pair in combinations(groups, 2) if _alike(read, *pair)]
        if not alike:
            apart = ", ".join(" and ".join(group) for group in groups)
            raise node.error(
                f"{node.key} has {len(groups)} dimensions that differ in the memories that serve "
                f"them or in the loops that they carry ({apart}): an array of ours has three; "
                "leave one out, or let the same memories serve two of them"
            )
        one, other = min(alike, key=lambda pair: _elements(array, *pair))
        groups[groups.index(one)] = one + other
        groups.remove(other)
    for group in groups:
        if len(group) > 1:
            read.notes.append(
                f"{' and '.join(group)} are one axis of {_elements(array, group)} elements, which "
                "no memory tells apart: mappings that lay different loops over them are not tried"
            )
    return {dimension: AXES[number] for number, group in enumerate(groups) for dimension in group}


def _check_sizes(array: _Array, node: Node) -> None:
    if array.is_imc or array.imc_type or array.adc_resolution:
        raise node.error(f"{node.key}: arrays that compute in memory are not supported")
    if array.bit_serial_precision:
        raise node.value["bit_serial_precision"].error(
            f"{node.key}: bit_serial_precision {short(array.bit_serial_precision)} is not "
            "supported: an element of ours takes a whole operand a cycle"
        )
    wrong = [bits for bits in array.input_precision if not 1 <= bits <= MOST_OPERAND_BITS]
    if wrong:
        place = node.value["input_precision"]
        raise place.error(f"{place.key} must be 1 to {MOST_OPERAND_BITS} bits, not {wrong[0]:,}")
    distinct = len(set(array.dimensions)) == len(array.dimensions)
    if not array.sizes or len(array.sizes) != len(array.dimensions) or not distinct:
        raise node.error(
            f"{node.key} must have one or more distinct dimensions with a size each, not "
            f"{len(set(array.dimensions))} and {len(array.sizes)}"
        )
    energy = array.unit_energy
    if energy is not None and not 0 <= energy <= MOST_PJ:
        raise node.value["unit_energy"].error(
            f"{node.key}.unit_energy must be from 0 to {MOST_PJ:g} pJ, not {energy:g}"
        )
    if min(array.sizes) < 1 or prod(array.sizes) > MOST_ELEMENTS:
        raise node.error(f"{node.key}.sizes must make 1 to {MOST_ELEMENTS:,} elements")
    for dimension in array.systolic_dimensions:
        if dimension not in array.dimensions:
            place = node.value["systolic_dimensions"]
            raise place.error(f"{place.key}: the array has no {short(dimension)}")


def _elements(array: _Array, *groups: tuple[str, ...]) -> int:
    sizes = dict(zip(array.dimensions, array.sizes, strict=True))
    return prod(sizes[dimension] for group in groups for dimension in group)


def _alike(read: _Read, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    memories, array = read.hardware.memories.values(), read.hardware.operational_array
    served = [
        (one[0] in memory.served_dimensions) == (other[0] in memory.served_dimensions)
        for memory in memories
    ]
    systolic = [each[0] in array.systolic_dimensions for each in (one, other)]
    return all(served) and systolic[0] == systolic[1] and _loops(read, one) == _loops(read, other)


def _loops(read: _Read, group: tuple[str, ...]) -> frozenset[str]:
    """Loops that `dataflows` lays over a dimension; `[K, 8]` is written as `K, 8`."""
    told = (read.hardware.dataflows or {}).get(group[0], ())
    return frozenset(each.split(",")[0].strip() for each in told)


LATCHABLE: tuple[Literal["weights", "inputs"], ...] = ("weights", "inputs")


def _array(
    read: _Read, axes: Mapping[str, Axis], registers: Mapping[Operand, Register]
) -> ComputeArray:
    array = read.hardware.operational_array
    sizes = dict.fromkeys(AXES, 1)
    for dimension, size in zip(array.dimensions, array.sizes, strict=True):
        sizes[axes[dimension]] *= size
    if read.hardware.dataflows:
        read.notes.append(
            "dataflows is left out: any loop may run along any dimension, the best is searched"
        )
    if array.unit_energy is None:
        read.notes.append("the array has no unit_energy: the technology prices a multiplication")
    elif array.unit_energy == 0:
        read.notes.append(f"unit_energy is 0, read as {LEAST_PJ:g} pJ a multiplication")
    if array.input_precision and max(array.input_precision) < LEAST_OPERAND_BITS:
        read.notes.append(
            f"input_precision is {max(array.input_precision)} bits: elements of "
            f"{LEAST_OPERAND_BITS} are assumed, which layers of 8 bits need"
        )
    outputs = registers["outputs"]
    interconnect = _interconnect(array, read.notes)
    # ZigZag lets a pass take what its port brings in several cycles, and holds it meanwhile.
    bare = [each for each in LATCHABLE if each not in registers and interconnect != "systolic"]
    return ComputeArray(
        name="macs",
        element="mac",
        rows=sizes["rows"],
        columns=sizes["columns"],
        lanes=sizes["lanes"],
        interconnect=interconnect,
        latched=tuple(bare),
        depthwise="auto",
        operand_bits=max((LEAST_OPERAND_BITS, *array.input_precision)),
        accumulator_bits=_accumulator_bits(outputs, read),
        saturates=True,
        weights=registers.get("weights"),
        inputs=registers.get("inputs"),
        outputs=outputs,
        operation_pj=None
        if array.unit_energy is None
        else _constant(array.unit_energy, f"{read.file}: unit_energy, pJ a MAC"),
    )


def _interconnect(array: _Array, notes: list[str]) -> Literal["multicast", "systolic"]:
    """Systolic if all of it is: ours fill and drain along rows and columns alike."""
    sizes = zip(array.dimensions, array.sizes, strict=True)
    still = [each for each, size in sizes if size > 1 and each not in array.systolic_dimensions]
    if array.systolic_dimensions and still:
        notes.append(
            f"systolic_dimensions leaves out {still[0]}: read as multicast, cycles to fill and to "
            "drain are not counted"
        )
    return "systolic" if array.systolic_dimensions and not still else "multicast"


def _accumulator_bits(register: Register, read: _Read) -> int:
    """The file has no width of an accumulator: the port of the sums stands for it."""
    width = min(register.word_bits, register.capacity_bits)
    if width <= MOST_ACCUMULATOR_BITS:
        return width
    read.notes.append(
        f"ports of the accumulators are {width:,} bits wide: sums of {MOST_ACCUMULATOR_BITS} bits "
        "at most are assumed"
    )
    return min(MOST_ACCUMULATOR_BITS, register.capacity_bits)


# ---- registers and memories ----


def _storage(
    read: _Read, axes: Mapping[str, Axis]
) -> tuple[dict[Operand, Register], tuple[MemoryLevel, ...]]:
    registers: dict[Operand, Register] = {}
    levels: list[str] = []
    for name, memory in read.hardware.memories.items():
        node = read.memory_node(name)
        _check_memory(memory, node, axes)
        if set(memory.served_dimensions) == set(axes):
            levels.append(name)
            continue
        if len(memory.operands) != 1:
            raise node.error(
                f"{node.key} serves part of the array and holds {len(memory.operands)} operands: "
                "a register of ours holds one; give each a memory of its own"
            )
        [operand] = memory.holds()
        if operand in registers:
            raise node.error(f"{node.key} is a second register of {operand}: ours have one level")
        above = [level for level in levels if operand in read.hardware.memories[level].holds()]
        if above:
            raise node.error(
                f"{node.key} stands outside of {above[0]}: registers come first, memories are "
                "listed from the multipliers outwards"
            )
        shared = {axes[dimension] for dimension in memory.served_dimensions}
        registers[operand] = _register(read, name, shared)
    if not levels:
        raise read.root.value["memories"].error("no memory serves the whole array")
    if "outputs" not in registers:
        registers["outputs"] = _sums_without_register(read, levels)
    return registers, tuple(_level(read, name) for name in levels)


def _check_memory(memory: _Memory, node: Node, axes: Iterable[str]) -> None:
    unknown = [each for each in memory.served_dimensions if each not in axes]
    if unknown:
        raise node.error(f"{node.key} serves {short(unknown[0])}, which the array does not have")
    if not memory.ports or not memory.operands:
        raise node.error(f"{node.key} must have ports and operands")
    if len(set(memory.operands)) < len(memory.operands):
        raise node.error(f"{node.key} holds {memory.operands[0]} twice: leave one out")
    for key in ("size", "r_cost", "w_cost", "area", "latency"):
        value = getattr(memory, key)
        if value is not None and (value < 0 or (key == "size" and value < 1)):
            raise node.value[key].error(f"{node.key}.{key} must be positive, not {value}")
        if value is not None and key.endswith("cost") and value > MOST_PJ:
            raise node.value[key].error(
                f"{node.key}.{key} must be at most {MOST_PJ:g} pJ, not {value:g}"
            )
    for way in ("read", "write"):
        if not memory.towards(way):
            raise node.error(
                f"{node.key} has no port that can {way}: what lies in a memory came there, and goes"
            )
    for port in memory.ports:
        if not 1 <= port.bandwidth_min <= port.bandwidth_max:
            raise node.error(f"{node.key}: bandwidths of {port.name} must be positive, min to max")
    _check_allocation(memory, node)


_READS, _WRITES = ("tl", "th"), ("fh", "fl")
"""To the level below or above, from there: a port that sends them reads."""


def _check_allocation(memory: _Memory, node: Node) -> None:
    """What passes which port must fit the port, and leave no operand out.

    Ours has no such list: each port that can serves all operands of a memory. So a list that says
    otherwise describes another memory, or is a slip.
    """
    named: set[str] = set()
    for port, place in zip(memory.ports, node.value["ports"].value, strict=True):
        for entry in _transfers(port, place):
            operand, _, way = (part.strip() for part in entry.partition(","))
            fits = {"read": _READS, "write": _WRITES, "read_write": (*_READS, *_WRITES)}[port.type]
            if operand not in memory.operands or way not in (*_READS, *_WRITES):
                raise place.error(
                    f"{place.key}.allocation has {short(entry)}: an operand of "
                    f"{', '.join(memory.operands)}, and tl, th, fh or fl, are needed"
                )
            if way not in fits:
                raise place.error(
                    f"{place.key}.allocation has {short(entry)}, which {port.type} ports cannot: "
                    f"they do {', '.join(fits)}"
                )
            named.add(operand)
    left = [operand for operand in memory.operands if operand not in named]
    if named and left:
        raise node.error(
            f"{node.key} holds {left[0]}, and no allocation of its ports has it: add it, or leave "
            "the operand out"
        )


def _transfers(port: _Port, place: Node) -> tuple[str, ...]:
    """`I1, tl` and its like, a list; none where it is left out."""
    if port.allocation is None:
        return ()
    return read_value(tuple[str, ...], place.value["allocation"])  # type: ignore[no-any-return]


def _sums_without_register(read: _Read, levels: list[str]) -> Register:
    """Where sums are added up, in a file that has no register for them.

    ZigZag adds in the innermost memory that holds outputs. If it holds nothing else, and outputs
    have another one behind it, it is the accumulators, shared by the whole array.
    """
    holding = [name for name in levels if "O" in read.hardware.memories[name].operands]
    if len(holding) > 1 and read.hardware.memories[holding[0]].operands == ("O",):
        levels.remove(holding[0])
        read.notes.append(
            f"{holding[0]}: sums are added up there, it is read as accumulators that the whole "
            "array shares, without a limit of bandwidth"
        )
        return _register(read, holding[0], set(AXES))
    read.notes.append(
        "the file has no register of outputs: one accumulator of 24 bits in each element is "
        "assumed, at the technology's price"
    )
    return Register(capacity_bits=24)


def _register(read: _Read, name: str, shared: set[Axis]) -> Register:
    memory, node = read.hardware.memories[name], read.memory_node(name)
    if memory.force_double_buffering:
        read.notes.append(f"{name}: force_double_buffering is left out, a tile may fill it")
    words = {port.bandwidth_min for port in memory.ports}
    if len(words) > 1:
        raise _two_widths(node, "bandwidth_min", words, "a register")
    read_price, write_price = _prices(read, name)
    return Register(
        capacity_bits=memory.size,
        shared_along=tuple(axis for axis in AXES if axis in shared),
        word_bits=words.pop(),
        read_pj_per_bit=read_price,
        write_pj_per_bit=write_price,
    )


def _level(read: _Read, name: str) -> MemoryLevel:
    memory, node = read.hardware.memories[name], read.memory_node(name)
    words = {port.bandwidth_min for port in memory.ports}
    if len(words) > 1:
        raise _two_widths(node, "bandwidth_min", words, "a memory")
    width = _width(read, name)
    read_price, write_price = _prices(read, name)
    return MemoryLevel(
        name=name,
        kind=_kind(read, name),
        holds=memory.holds(),
        capacity_bits=memory.size,
        bandwidth_bits_per_cycle=width,
        ports=_ports(read, name),
        double_buffered=memory.force_double_buffering,
        word_bits=words.pop(),
        read_pj_per_bit=read_price,
        write_pj_per_bit=write_price,
    )


def _width(read: _Read, name: str) -> int:
    """Bits a cycle of the ports of a memory: ours has one width for reading and for writing.

    Where they differ the narrower one counts for both, which may take more cycles, and is told;
    each way keeps its own price. Ports of two widths for one way have two prices, by operand:
    those are refused.
    """
    memory = read.hardware.memories[name]
    widths = {port.bandwidth_max for port in memory.ports}
    if len(widths) == 1:
        return widths.pop()
    for way in ("read", "write"):
        of_way = {port.bandwidth_max for port in memory.towards(way)}
        if len(of_way) > 1:
            raise _two_widths(read.memory_node(name), "bandwidth_max", of_way, "a memory")
    read.notes.append(
        f"{name} reads and writes {max(widths):,} and {min(widths):,} bits a cycle, one of them "
        f"each: {min(widths):,} are counted for both, which may take more cycles; energy is that "
        "of each port"
    )
    return min(widths)


_OUTSIDE = re.compile(r"(?<![a-z])(?:(?:lp)?ddr|s?dram|hbm|off_?chip)(?![a-z])")
"""Words of a name that say where a memory is; an `edram` is none of them."""


def _kind(read: _Read, name: str) -> Literal["dram", "sram"]:
    """What a memory is: by `mem_type`, else by a word of its name.

    ZigZag prices them alike; ours have leakage and area where they are on the chip.
    """
    said = read.hardware.memories[name].mem_type
    if said is not None and said.lower() in ("dram", "sram"):
        return "dram" if said.lower() == "dram" else "sram"
    if said is not None:
        read.notes.append(f"{name}: mem_type {short(said)} is not known, it is read as an SRAM")
        return "sram"
    word = _OUTSIDE.search(name.lower())
    if word is None:
        if "dram" in name.lower():
            read.notes.append(f"{name} is read as an SRAM: `mem_type: dram` makes it a DRAM")
        return "sram"
    if "dram" not in word[0]:
        read.notes.append(f"{name} is read as a DRAM outside of the chip, by its name")
    return "dram"


def _ports(read: _Read, name: str) -> Literal["shared", "separate"]:
    """One port for both ways, or one for each; a note where the file has more of them."""
    kinds = sorted(port.type for port in read.hardware.memories[name].ports)
    ours: Literal["shared", "separate"] = "shared" if "read_write" in kinds else "separate"
    if len(kinds) > 1 and kinds != ["read", "write"]:
        one = (
            "one port that reads or writes"
            if ours == "shared"
            else "one that reads, one that writes"
        )
        read.notes.append(f"{name} has {len(kinds)} ports, read as {one}: it may take more cycles")
    return ours


def _prices(read: _Read, name: str) -> tuple[Constant | None, Constant | None]:
    """Prices of a bit read and of a bit written; None for both where the technology prices them."""
    memory, node = read.hardware.memories[name], read.memory_node(name)
    if memory.auto_cost_extraction or memory.r_cost is None or memory.w_cost is None:
        read.notes.append(f"{name}: its costs are not in the file, the technology prices it")
        return None, None
    found, file = [], Path(node.file).name
    for key, cost, kind in (("r_cost", memory.r_cost, "read"), ("w_cost", memory.w_cost, "write")):
        # Their cost is of an access of a whole port, ours of a bit.
        widths = {port.bandwidth_max for port in memory.towards(kind) or memory.ports}
        if len(widths) > 1:
            raise _two_widths(node, "bandwidth_max", widths, "a register")
        [width] = widths
        if cost == 0:
            read.notes.append(f"{name}: {key} is 0, read as {LEAST_PJ:g} pJ a bit")
        found.append(_constant(cost / width, f"{file}: {name}, {cost:g} pJ for {width} bits"))
    return found[0], found[1]


def _two_widths(node: Node, key: str, widths: set[int], what: str) -> Exception:
    listed = " and ".join(f"{width:,}" for width in sorted(widths))
    return node.error(
        f"{node.key} has ports with a {key} of {listed} bits: {what} of ours has ports of one "
        "width; give them one, or make it two memories"
    )


def _constant(value: float, source: str) -> Constant:
    return Constant(value=max(value, LEAST_PJ), source=source)
