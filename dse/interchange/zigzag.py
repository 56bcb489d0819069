"""ZigZag (KULeuven-MICAS, 3.9): workload and hardware YAML, both ways.

ZigZag's words and ours: I1 are inputs, I2 weights, O outputs; a memory without served dimensions is
a register of every multiplier, one that serves all of them is shared by the array. Its costs are pJ
for an access of a port's largest bandwidth, ours pJ for a bit.

What a file cannot say is left out, and told: ZigZag knows one array of multipliers, no vector unit,
no generator, no leakage, no area of anything. A generated matrix has weights of 0 bits there:
nothing is stored or read, while its additions cost as much as multiplications. Skips are written as
links of one chain, since branches would only change which activations may stay on chip. ONNX is not
used between the two: ZigZag 3.9.1 cannot read Conv of one dimension from it.

A layer there is a loop nest, named by its dimensions; time is OX, the second axis of an image (OY,
FY) is not used, and B is one clip:

    for g in G: for k in K: for c in C: for ox in OX: for fx in FX:
        O[g][k][ox] += W[g][k][c][fx] * I[g][c][stride * ox + dilation * fx]

K and C are channels of one group. Our mapper has three loops in their place: N output channels, R
the reduction (C and FX together), T output frames (`cost_models.mapping`).
"""

import re
from dataclasses import dataclass, replace
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
from cost_models.energy import memory_prices, price_list
from cost_models.estimation import estimate
from cost_models.reading import build, read_value
from cost_models.strict_yaml import Node, dump_yaml, read_yaml
from cost_models.technology import Constant, Technology
from cost_models.tile_search import Mapping
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, WeightSource, Workload
from dse.errors import InvalidDesign, InvalidInput

LETTERS: dict[Operand, str] = {"inputs": "I1", "weights": "I2", "outputs": "O"}
OPERANDS: dict[str, Operand] = {letter: operand for operand, letter in LETTERS.items()}
LEAST_PJ = 1e-9
"""A price of 0 in a file of ZigZag; our constants are positive."""
MOST_ELEMENTS = 2**24

LINKS = {"O": "O", "W": "I2", "I": "I1"}


# ---- export ----


def workload_yaml(workload: Workload, machine: Accelerator) -> str:
    """The layers that have weights, in order, each reading the one before it.

    Args:
        workload: other layers are left out: ZigZag prices operators of multiply-accumulates only.
        machine: says which weights it generates (0 bits), and how wide its accumulators are.
    """
    array = mac_array(machine)
    layers = [layer for layer in workload.layers if layer.kind in CONVOLUTIONS]
    return dump_yaml([_node(number, layer, machine, array) for number, layer in enumerate(layers)])


def _node(number: int, layer: Layer, machine: Accelerator, array: ComputeArray) -> dict[str, Any]:
    weight_bits = 0 if machine.generates(layer) else layer.weight_bits
    node: dict[str, Any] = {
        "id": number,
        "name": layer.name,
        "operator_type": "Conv",
        "equation": "",
        "dimension_relations": [],
        "loop_dims": [],
        "loop_sizes": [],
        "operand_precision": {
            "W": weight_bits,
            "I": layer.input_bits,
            "O": min(layer.accumulator_bits, array.accumulator_bits),
            "O_final": layer.output_bits,
        },
        "operand_source": {"I": max(number - 1, 0), "W": number},
    }
    taps = layer.kernel_size
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    loops = {"B": 1, "G": layer.groups, "K": outputs, "C": inputs}
    # A loop of one step is not written, and then it must be missing from the equation and from
    # loop_dims alike.
    used = ["B", *(name for name in ("G", "K", "C") if loops[name] > 1 or _always(name, layer))]
    used.append("OX")
    loops |= {"OX": layer.out_frames, "FX": taps}
    one_frame = taps == 1 and layer.stride == 1
    used += [] if one_frame else ["FX"]
    # Where an output frame reads the one input frame of its number, both have the index ox. Else
    # inputs have an index ix of their own, "partially relevant" (pr) to ox and fx: windows overlap.
    frame = "ox" if one_frame else "ix"

    def subscripts(names: str) -> str:
        return "".join(f"[{name.lower()}]" for name in names.split() if name in used)

    node["equation"] = (
        f"O{subscripts('B G K OX')}+=W{subscripts('G K C FX')}*I{subscripts('B G C')}[{frame}]"
    )
    node["loop_dims"], node["loop_sizes"] = used, [loops[name] for name in used]
    if not one_frame:
        padding = layer.dilation * (taps - 1) // 2
        node["dimension_relations"] = [f"ix={layer.stride}*ox+{layer.dilation}*fx"]
        # IX is given as the frames that exist; padding, of which there is as much on both sides, is
        # told apart from them.
        node |= {"pr_loop_dims": ["IX"], "pr_loop_sizes": [layer.in_frames]}
        node["padding"] = [[padding, padding]]
    return node


def _always(name: str, layer: Layer) -> bool:
    """Loops that are written though they have one step: each operand has a channel."""
    if layer.kind is LayerKind.DEPTHWISE:
        return name == "G"
    return name in ("K", "C")


def mapping_yaml(workload: Workload, machine: Accelerator, technology: Technology) -> str:
    """What our mapping of each layer unrolls on the array; ZigZag searches the order of loops.

    Its own search tries few spatial mappings: frames on both sides of the array, say, it does not
    find. Where ours cannot be said in its words, its search is left to choose.
    """
    rows: list[dict[str, Any]] = [{"name": "default", "memory_operand_links": dict(LINKS)}]
    array = mac_array(machine)
    # Our mapper must decide under what ZigZag knows: one array, no generator, and nothing that
    # stays on the chip from layer to layer.
    alone = replace(
        machine,
        arrays=(array,),
        residency="never",
        ternary_weights="stored",
        generator=None,
        input_memory="",
    )
    convolutions = tuple(
        replace(layer, reads=()) for layer in workload.layers if layer.kind in CONVOLUTIONS
    )
    for cost in estimate(Workload(workload.name, convolutions), alone, technology).layers:
        loops = None if cost.mapping is None else _unrolled(cost.layer, cost.mapping, array)
        if loops is not None:
            rows.append(
                {
                    "name": cost.layer.name,
                    "spatial_mapping": {axis: [loop] for axis, loop in loops.items()},
                    "memory_operand_links": dict(LINKS),
                }
            )
    return dump_yaml(rows)


def _unrolled(layer: Layer, mapping: Mapping, array: ComputeArray) -> dict[str, str] | None:
    """`{D1: 'OX, 8', D2: 'K, 8'}`: the loop that runs over each side of the array, and how far.

    Args:
        layer: gives the bounds of the loops.
        mapping: our loops over the rows and over the columns: N, R or T.
        array: D1 are its rows, D2 its columns.

    Returns:
        None where it cannot be said in ZigZag's words: arrays with lanes or of one side, a
        reduction over channels and taps at once, loops that do not fill the array evenly.
    """
    if array.lanes > 1 or array.rows == 1 or array.columns == 1:
        return None
    reduction = "FX" if layer.kernel_size > 1 else "C"
    if layer.kernel_size > 1 and layer.groups != layer.in_channels:
        return None  # R runs over channels and taps at once, C or FX over one of them
    names = {"N": "G" if layer.kind is LayerKind.DEPTHWISE else "K", "R": reduction, "T": "OX"}
    bounds = {
        "N": layer.out_channels
        if layer.kind is LayerKind.DEPTHWISE
        else layer.out_channels // layer.groups,
        "R": layer.in_channels // layer.groups * layer.kernel_size,
        "T": layer.out_frames,
    }
    sizes = (array.rows, array.columns)
    if any(loop not in names for loop in (mapping.rows, mapping.columns)):
        return None
    # One loop may run over both sides: frames over 8 x 8 elements need 64 of them at a time.
    needed = {mapping.rows: 1, mapping.columns: 1}
    for loop, size in zip((mapping.rows, mapping.columns), sizes, strict=True):
        needed[loop] *= size
    if any(bounds[loop] % size for loop, size in needed.items()):
        return None  # parts of the array idle, which is said in other ways there
    return {
        f"D{number}": f"{names[loop]}, {size}"
        for number, (loop, size) in enumerate(
            zip((mapping.rows, mapping.columns), sizes, strict=True), 1
        )
    }


def mac_array(machine: Accelerator) -> ComputeArray:
    """The first array of multipliers: the one that ZigZag and AccelForge get.

    A machine may have adders for its ternary layers besides; the other tools know one array, and
    run all layers on this one.
    """
    return next(array for array in machine.arrays if array.element == "mac")


def hardware_yaml(machine: Accelerator, technology: Technology) -> str:
    """The machine as ZigZag sees it, priced with the mid figures of a technology.

    Memories are listed from the multipliers outwards. Costs are pJ for an access of the whole port:
    our pJ a bit times `bandwidth_max`. `bandwidth_min` is our `word_bits`, the smallest access.
    Sizes are bits; area is written as 0.

    Args:
        machine: its array of multipliers, registers and memories are written.
        technology: prices what the machine does not price itself.
    """
    array = mac_array(machine)
    by_axis = {axis: size for axis, size in zip(AXES, array.sizes, strict=True) if size > 1}
    by_axis = by_axis or {"rows": 1}  # a single multiplier: ZigZag wants a dimension all the same
    sizes = list(by_axis.values())
    of_axis = {axis: f"D{number}" for number, axis in enumerate(by_axis, 1)}
    names = list(of_axis.values())
    memories: dict[str, Any] = {}
    for operand in ("weights", "inputs", "outputs"):
        register = array.register(operand)
        if register is not None:
            memories[f"registers_{operand}"] = _register(
                machine, technology, array, operand, register, of_axis
            )
    for memory in machine.memories:
        memories[memory.name] = _memory(memory, technology, names)
    hardware: dict[str, Any] = {"name": machine.name, "memories": memories}
    hardware["operational_array"] = {
        "unit_energy": operation_pj(array, technology),
        "unit_area": 1,
        "dimensions": names,
        "sizes": sizes,
    }
    if array.interconnect == "systolic":
        hardware["operational_array"]["systolic_dimensions"] = names
    return dump_yaml(hardware)


def operation_pj(array: ComputeArray, technology: Technology) -> float:
    """Energy of one multiply-accumulate in pJ; the other tools know one price for all layers.

    The array's own figure (`operation_pj`), or

        pJ per bit^2 * operand_bits^2 + pJ per bit * accumulator_bits

    of the technology, at the full widths of the array.
    """
    if array.operation_pj is not None:
        return array.operation_pj.value
    bits = array.operand_bits
    product = technology.multiplication_pj_per_bit2.value * bits * bits
    return product + technology.addition_pj_per_bit.value * array.accumulator_bits


def _register(
    machine: Accelerator,
    technology: Technology,
    array: ComputeArray,
    operand: Operand,
    register: Register,
    of_axis: dict[Axis, str],
) -> dict[str, Any]:
    prices = price_list(machine, technology)
    per_bit = {
        entry.action: float(prices.prices_pj[row, 1])
        for row, entry in enumerate(prices.entries)
        if entry.part == array.name and entry.operand == operand
    }
    width = array.accumulator_bits if operand == "outputs" else array.operand_bits
    letter = LETTERS[operand]
    # A port's allocation says which transfers go through it, seen from this memory: tl and th are
    # reads, to the lower level (nearer the multipliers) and to the higher one; fl and fh are
    # writes, from there. Inputs and weights only come down: written fh, read tl. Outputs go both
    # ways: a partial sum is drained (th), and fetched again (fh) to go on.
    if operand == "outputs":
        ports = [
            _port("r_port_1", "read", width, width, [f"{letter}, tl"]),
            _port("r_port_2", "read", width, width, [f"{letter}, th"]),
            _port("w_port_1", "write", width, width, [f"{letter}, fh"]),
            _port("w_port_2", "write", width, width, [f"{letter}, fl"]),
        ]
    else:
        least = min(register.word_bits, width)
        ports = [
            _port("r_port_1", "read", least, width, [f"{letter}, tl"]),
            _port("w_port_1", "write", least, width, [f"{letter}, fh"]),
        ]
    return {
        "size": register.capacity_bits,
        "r_cost": per_bit.get("read", 0.0) * width,
        "w_cost": per_bit.get("write", 0.0) * width,
        "area": 0,
        "latency": 1,
        "operands": [letter],
        "ports": ports,
        "served_dimensions": [of_axis[axis] for axis in register.shared_along if axis in of_axis],
    }


def _memory(memory: MemoryLevel, technology: Technology, dimensions: list[str]) -> dict[str, Any]:
    read, write = memory_prices(memory, technology)
    width = memory.bandwidth_bits_per_cycle
    least = min(memory.word_bits, width)
    letters = [
        LETTERS[operand] for operand in ("inputs", "weights", "outputs") if operand in memory.holds
    ]
    # Reads leave the memory (tl, th), writes come into it (fh, fl): see `_register`.
    ups = [f"{letter}, {way}" for letter in letters for way in _ways(letter, "tl", "th")]
    downs = [f"{letter}, {way}" for letter in letters for way in _ways(letter, "fh", "fl")]
    if memory.ports == "shared":
        ports = [_port("rw_port_1", "read_write", least, width, [*downs, *ups])]
    else:
        ports = [
            _port("r_port_1", "read", least, width, ups),
            _port("w_port_1", "write", least, width, downs),
        ]
    return {
        "size": memory.capacity_bits,
        "r_cost": read.mid * width,
        "w_cost": write.mid * width,
        "area": 0,
        "latency": 1,
        "operands": letters,
        "ports": ports,
        "served_dimensions": dimensions,
    }


def _ways(letter: str, towards_low: str, towards_high: str) -> list[str]:
    return [towards_low, towards_high] if letter == "O" else [towards_low]


def _port(name: str, kind: str, least: int, most: int, allocation: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "bandwidth_min": least,
        "bandwidth_max": most,
        "allocation": allocation,
    }


# ---- import ----


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
    mem_type: str = "sram"
    auto_cost_extraction: bool = False
    force_double_buffering: bool = False


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
    dataflows: Any = None


@dataclass(frozen=True, slots=True)
class ImportedMachine:
    """A machine, and what its file says that a machine of ours does not.

    `notes` are sentences for people, none of them an error: a cost of 0, a missing register, a key
    that stands there twice.
    """

    machine: Accelerator
    notes: tuple[str, ...]


def is_workload(path: Path | str) -> bool:
    """Whether a file of ZigZag lists layers; otherwise it describes hardware.

    Told by its form: a workload is a list, hardware a mapping. Raises `InvalidFile` where the file
    cannot be read.
    """
    return isinstance(read_yaml(path, doubled=[]).value, list)


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
    path = Path(path)
    root = read_yaml(path, doubled=notes)
    hardware = build(_Hardware, root)
    array_node = root.value["operational_array"]
    array = hardware.operational_array
    sizes = _sizes(array, array_node)
    whole = set(array.dimensions)
    registers: dict[Operand, Register] = {}
    accumulator_bits = 24
    memories: list[MemoryLevel] = []
    for name, memory in hardware.memories.items():
        node = root.value["memories"].value[name]
        unknown = [each for each in memory.served_dimensions if each not in whole]
        if unknown:
            raise node.error(f"{node.key} serves {unknown[0]}, which the array does not have")
        if not memory.ports or not memory.operands:
            raise node.error(f"{node.key} must have ports and operands")
        # What serves all dimensions is one memory below the whole array; what serves some is
        # repeated along the others: registers, shared by the elements along those it serves.
        if set(memory.served_dimensions) == whole and (whole or not memory.ports):
            memories.append(_level(name, memory, node, path.name, notes))
            continue
        if len(memory.operands) != 1:
            raise node.error(
                f"{node.key} is a register of {len(memory.operands)} operands: a machine of ours "
                "has one register for each operand"
            )
        operand = OPERANDS[memory.operands[0]]
        if operand in registers:
            raise node.error(f"{node.key} is a second register of {operand}: ours have one level")
        shared = tuple(
            AXES[array.dimensions.index(dimension)] for dimension in memory.served_dimensions
        )
        read, write = _prices(name, memory, node, path.name, notes)
        widest = max(port.bandwidth_max for port in memory.ports)
        least = min(port.bandwidth_min for port in memory.ports)
        if operand == "outputs":
            # The file has no width of an accumulator: the widest port of the sums stands for it.
            accumulator_bits = min(widest, memory.size)
        registers[operand] = Register(
            capacity_bits=memory.size,
            shared_along=shared,
            word_bits=1 if operand == "outputs" else least,
            read_pj_per_bit=read,
            write_pj_per_bit=write,
        )
    if not memories:
        raise root.value["memories"].error("no memory serves the whole array")
    if "outputs" not in registers:
        notes.append("the file has no register of outputs: one accumulator of 24 bits is assumed")
        registers["outputs"] = Register(capacity_bits=accumulator_bits)
    try:
        machine = Accelerator(
            name=path.stem,
            description=f"ZigZag's machine '{hardware.name or path.stem}'",
            source=f"Imported from {path.name}, hardware YAML of ZigZag; clock, vector lanes and "
            "technology are not in it.",
            technology=technology,
            clock_mhz=clock_mhz,
            arrays=(
                ComputeArray(
                    name="macs",
                    element="mac",
                    rows=sizes[0],
                    columns=sizes[1],
                    lanes=sizes[2],
                    interconnect="systolic" if array.systolic_dimensions else "multicast",
                    depthwise="channels_across_array",
                    accumulator_bits=accumulator_bits,
                    saturates=True,
                    weights=registers.get("weights"),
                    inputs=registers.get("inputs"),
                    outputs=registers["outputs"],
                    operation_pj=None
                    if array.unit_energy is None
                    else _constant(array.unit_energy, f"{path.name}: unit_energy, pJ a MAC"),
                ),
            ),
            memories=tuple(memories),
            vector_lanes=max(sizes),
            ternary_weights="stored",
        )
    except InvalidInput as error:
        raise root.error(str(error)) from None
    return ImportedMachine(machine, tuple(notes))


def _sizes(array: _Array, node: Node) -> tuple[int, int, int]:
    if array.is_imc:
        raise node.error(f"{node.key}: arrays that compute in memory are not supported")
    if not 1 <= len(array.sizes) <= 3 or len(array.sizes) != len(array.dimensions):
        raise node.error(
            f"{node.key} must have one to three dimensions with a size each, not "
            f"{len(array.dimensions)} and {len(array.sizes)}"
        )
    sizes = [*array.sizes, 1, 1][:3]
    elements = sizes[0] * sizes[1] * sizes[2]
    if min(sizes) < 1 or elements > MOST_ELEMENTS:
        raise node.error(f"{node.key}.sizes must make 1 to {MOST_ELEMENTS:,} elements")
    return sizes[0], sizes[1], sizes[2]


def _level(name: str, memory: _Memory, node: Node, file: str, notes: list[str]) -> MemoryLevel:
    read, write = _prices(name, memory, node, file, notes)
    shared = any(port.type == "read_write" for port in memory.ports)
    widest = max(port.bandwidth_max for port in memory.ports)
    return MemoryLevel(
        name=name,
        kind="dram" if "dram" in (name + memory.mem_type).lower() else "sram",
        holds=tuple(
            operand
            for operand in ("weights", "inputs", "outputs")
            if LETTERS[operand] in memory.operands
        ),
        capacity_bits=memory.size,
        bandwidth_bits_per_cycle=widest,
        ports="shared" if shared else "separate",
        word_bits=min(port.bandwidth_min for port in memory.ports),
        read_pj_per_bit=read,
        write_pj_per_bit=write,
    )


def _prices(
    name: str, memory: _Memory, node: Node, file: str, notes: list[str]
) -> tuple[Constant | None, Constant | None]:
    for key in ("size", "r_cost", "w_cost"):
        value = getattr(memory, key)
        if value is not None and (value < 0 or (key == "size" and value < 1)):
            raise node.value[key].error(f"{node.key}.{key} must be positive, not {value}")
    for port in memory.ports:
        if not 1 <= port.bandwidth_min <= port.bandwidth_max:
            raise node.error(f"{node.key}: bandwidths of {port.name} must be positive, min to max")
    if memory.force_double_buffering:
        notes.append(f"{name}: force_double_buffering is left out, tiles may fill the memory")
    if memory.auto_cost_extraction or memory.r_cost is None or memory.w_cost is None:
        notes.append(f"{name}: its costs are not in the file, the technology prices it")
        return None, None
    # Their cost is of an access of a whole port, ours of a bit: divide by the widest port.
    width = max(port.bandwidth_max for port in memory.ports)
    found = []
    for key, cost in (("r_cost", memory.r_cost), ("w_cost", memory.w_cost)):
        if cost == 0:
            notes.append(f"{name}: {key} is 0, read as {LEAST_PJ:g} pJ a bit")
        source = f"{file}: {name}, {cost:g} pJ for {width} bits"
        found.append(_constant(cost / width, source))
    return found[0], found[1]


def _constant(value: float, source: str) -> Constant:
    return Constant(value=max(value, LEAST_PJ), source=source)


_LOOPS = ("B", "G", "K", "C", "OX", "FX", "OY", "FY")
_OPERATORS = ("Conv", "Conv_downsample", "Gemm")


def import_workload(path: Path | str) -> Workload:
    """Read the layers of ZigZag's workload YAML, of one dimension.

    Which kind a layer is follows from its loops: G equal to all channels is depthwise, FX over 1 a
    convolution, one frame in and out a linear layer, all else pointwise. The layers are a chain:
    `operand_source`, which says who reads whom, is not read.

    Raises:
        InvalidFile: the file cannot be read, or has a layer that is none of ours.
    """
    path = Path(path)
    root = read_yaml(path, doubled=[])
    if not isinstance(root.value, list):
        raise root.error("a workload of ZigZag is a list of layers")
    try:
        return Workload(path.stem, tuple(_layer(node) for node in root.value))
    except InvalidDesign:
        raise
    except InvalidInput as error:
        if str(error).endswith(")"):
            raise
        raise root.error(str(error)) from None


def _layer(node: Node) -> Layer:
    if not isinstance(node.value, dict):
        raise node.error(f"{node.key} must be a mapping of keys")
    for key in ("operator_type", "loop_dims", "loop_sizes", "operand_precision"):
        if key not in node.value:
            raise node.error(f"missing key '{node.key}.{key}'")
    name = str(node.value["name"].value) if "name" in node.value else f"layer{node.key}"
    operator = node.value["operator_type"].value
    if operator not in _OPERATORS:
        raise node.value["operator_type"].error(
            f"{node.key}: operator {operator!r} is not supported: {', '.join(_OPERATORS)} are"
        )
    dims: tuple[str, ...] = read_value(tuple[str, ...], node.value["loop_dims"])
    sizes: tuple[int, ...] = read_value(tuple[int, ...], node.value["loop_sizes"])
    if len(dims) != len(sizes):
        raise node.error(f"{node.key} has {len(dims)} loop_dims and {len(sizes)} loop_sizes")
    if operator == "Gemm":  # rows of its left matrix are frames
        dims = tuple({"D": "OX"}.get(dim, dim) for dim in dims)
    loops = dict(zip(dims, sizes, strict=True))
    for dim, size in loops.items():
        if dim not in _LOOPS or (dim in ("B", "OY", "FY") and size != 1):
            raise node.value["loop_dims"].error(
                f"{node.key}: loop {dim} of {size} is not supported: layers have one dimension, "
                "OX, and one clip"
            )
    bits: dict[str, int] = read_value(dict[str, int], node.value["operand_precision"])
    stride, dilation = _relation(node)
    groups, taps, after = loops.get("G", 1), loops.get("FX", 1), loops.get("OX", 1)
    in_channels = groups * loops.get("C", 1)
    out_channels = groups * loops.get("K", 1)
    # Where pr_loop_sizes are left out, input frames are those of "same" padding: the windows of the
    # first and the last output frame reach beyond the ends.
    before = (after - 1) * stride + 1
    if "pr_loop_sizes" in node.value and node.value["pr_loop_sizes"].value:
        before = read_value(tuple[int, ...], node.value["pr_loop_sizes"])[0]
    return_kind = LayerKind.POINTWISE
    if groups > 1 and groups == in_channels == out_channels:
        return_kind = LayerKind.DEPTHWISE
    elif taps > 1:
        return_kind = LayerKind.CONVOLUTION
    elif after == before == 1:
        return_kind = LayerKind.LINEAR
    try:
        return Layer(
            name=name,
            kind=return_kind,
            in_channels=in_channels,
            out_channels=out_channels,
            in_frames=before,
            out_frames=after,
            kernel_size=taps,
            stride=stride,
            dilation=dilation,
            groups=groups,
            weights=WeightSource.TRAINED,
            weight_bits=max(bits.get("W", 8), 1),
            input_bits=bits.get("I", 8),
            output_bits=bits.get("O_final", 8),
            accumulator_bits=bits.get("O", 24),
        )
    except InvalidInput as error:
        raise node.error(str(error)) from None


def _relation(node: Node) -> tuple[int, int]:
    """Stride and dilation: `ix=2*ox+1*fx`; factors of 1 may be left out."""
    found = node.value.get("dimension_relations")
    lines = read_value(tuple[str, ...], found) if found is not None and found.value else ()
    for line in lines:
        match = re.fullmatch(
            r"ix\s*=\s*(?:(\d{1,6})\s*\*\s*)?ox\s*\+\s*(?:(\d{1,6})\s*\*\s*)?fx", line.strip()
        )
        if match:
            return int(match[1] or 1), int(match[2] or 1)
        if line.strip()[:2] == "ix":
            raise node.error(f"{node.key}: cannot read the relation {line[:80]!r}")
    return 1, 1
