"""ZigZag (KULeuven-MICAS, 3.9): workload and hardware YAML, both ways.

Files are written here, and read by `zigzag_machine` and `zigzag_layers`.

ZigZag's words and ours: I1 are inputs, I2 weights, O outputs; a memory without served dimensions is
a register of every multiplier, one that serves all of them is shared by the array. Its costs are pJ
for an access of a port's largest bandwidth, ours pJ for a bit.

What a file cannot say is left out, and told: ZigZag knows one array of multipliers, no vector unit,
no generator, no leakage, no area of anything. A generated matrix has weights of 0 bits there:
nothing is stored or read, while its additions cost as much as multiplications. Skips are written as
links of one chain, since branches would only change which activations may stay on chip. ONNX is not
used between the two: ZigZag 3.9.1 cannot read Conv of one dimension from it.

A layer there is a loop nest, named by its dimensions; time is OX, and B is one clip:

    for g in G: for k in K: for c in C: for ox in OX: for fx in FX:
        O[g][k][ox] += W[g][k][c][fx] * I[g][c][stride * ox + dilation * fx]

The second axis of an image (OY, FY) are bins, of layers that have them. K and C are channels of one
group. Our mapper has three loops in their place: N output channels, R the reduction (C, FY and FX
together), T output pixels (`cost_models.mapping`): an array that takes 8 pixels at once takes them
of two frames where one has 5 bins, which OX and OY, apart, cannot say.
"""

from dataclasses import dataclass, replace
from typing import Any

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
from cost_models.strict_yaml import dump_yaml
from cost_models.technology import Technology
from cost_models.tile_search import Mapping
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, Workload
from dse.interchange.imported import ImportedMachine
from dse.interchange.zigzag_layers import import_workload, is_workload
from dse.interchange.zigzag_machine import LETTERS, import_hardware

__all__ = [
    "ImportedMachine",
    "hardware_yaml",
    "import_hardware",
    "import_workload",
    "is_workload",
    "mac_array",
    "mapping_yaml",
    "operation_pj",
    "workload_yaml",
]

LINKS = {"O": "O", "W": "I2", "I": "I1"}


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
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    loops = {"B": 1, "G": layer.groups, "K": outputs, "C": inputs}
    # A loop of one step is not written, and then it must be missing from the equation and from
    # loop_dims alike.
    used = ["B", *(name for name in ("G", "K", "C") if loops[name] > 1 or _always(name, layer))]
    axes = _axes(layer)
    used += [f"O{axis.letter}" for axis in axes]
    loops |= {f"O{axis.letter}": axis.made for axis in axes}
    loops |= {f"F{axis.letter}": axis.taps for axis in axes}
    one_pixel = all(axis.taps == axis.stride == 1 for axis in axes)
    used += [] if one_pixel else [f"F{axis.letter}" for axis in axes]
    # Where an output reads the one input of its number, both have the index ox. Else inputs have an
    # index ix of their own, "partially relevant" (pr) to ox and fx: windows overlap.
    places = "".join(f"[{'o' if one_pixel else 'i'}{axis.letter.lower()}]" for axis in axes)

    def subscripts(names: str) -> str:
        return "".join(f"[{name.lower()}]" for name in names.split() if name in used)

    node["equation"] = (
        f"O{subscripts('B G K OY OX')}+=W{subscripts('G K C FY FX')}*I{subscripts('B G C')}{places}"
    )
    node["loop_dims"], node["loop_sizes"] = used, [loops[name] for name in used]
    if not one_pixel:
        node["dimension_relations"] = [axis.relation for axis in axes]
        # IX is given as the frames that exist; padding is told apart from them.
        node["pr_loop_dims"] = [f"I{axis.letter}" for axis in axes]
        node["pr_loop_sizes"] = [axis.size for axis in axes]
        node["padding"] = [axis.padding for axis in axes]
    return node


@dataclass(frozen=True, slots=True)
class _ImageAxis:
    """Frames or bins of a layer, as an axis of an image."""

    letter: str
    size: int
    made: int
    taps: int
    stride: int
    dilation: int
    padding: list[int]

    @property
    def relation(self) -> str:
        """`ix=2*ox+1*fx`: which input an output reads through a tap."""
        letter = self.letter.lower()
        return f"i{letter}={self.stride}*o{letter}+{self.dilation}*f{letter}"


def _axes(layer: Layer) -> list[_ImageAxis]:
    """Bins, where a layer has them, and frames."""
    frames = (layer.in_frames, layer.out_frames, layer.kernel_size, layer.stride, layer.dilation)
    if not layer.two_dimensional:
        # As much on both sides: the kernels of our networks have a middle.
        padding = layer.dilation * (layer.kernel_size - 1) // 2
        return [_ImageAxis("X", *frames, padding=[padding, padding])]
    bins = (
        *(layer.in_bins, layer.out_bins, layer.kernel_bins),
        *(layer.bin_stride, layer.bin_dilation),
    )
    return [
        _ImageAxis("Y", *bins, padding=_padding(*bins)),
        _ImageAxis("X", *frames, padding=_padding(*frames)),
    ]


def _padding(size: int, made: int, taps: int, stride: int, dilation: int) -> list[int]:
    """Before and behind: what the outputs need beyond the inputs, the odd one behind."""
    both = max((made - 1) * stride + dilation * (taps - 1) + 1 - size, 0)
    return [both // 2, both - both // 2]


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
    reduction = "FX" if layer.taps > 1 else "C"
    if layer.taps > 1 and layer.groups != layer.in_channels:
        return None  # R runs over channels and taps at once, C or FX over one of them
    over = {mapping.rows, mapping.columns}
    if layer.two_dimensional and ("T" in over or ("R" in over and layer.taps > 1)):
        return None  # likewise over frames and bins
    names = {"N": "G" if layer.kind is LayerKind.DEPTHWISE else "K", "R": reduction, "T": "OX"}
    bounds = {
        "N": layer.out_channels
        if layer.kind is LayerKind.DEPTHWISE
        else layer.out_channels // layer.groups,
        "R": layer.in_channels // layer.groups * layer.taps,
        "T": layer.out_pixels,
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
    our pJ a bit times `bandwidth_max`. `bandwidth_min` is our `access_bits`, the smallest access.
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
    least = min(memory.access_bits, width)
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
        "size": memory.bits,
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
