"""AccelForge, the successor of Timeloop: architecture and workload YAML, written.

Energies are J for a bit, throughputs bits a second. Each layer is an Einsum with tensors of its
own, to be mapped one by one: what stays on the chip between layers is not told. Like ZigZag,
AccelForge gets the array of multipliers only, at the mid figures of the technology; vector unit,
generator and leakage are left out. Weights that the machine generates have 1 bit: a tensor of 0
bits cannot be written.

The elements of an array are one row there: its mapper unrolls a loop over one side of an array
only, where ours unrolls the frames of a depthwise layer over both, and takes 5.6 times the energy.
"""

from typing import Any

from cost_models.accelerator import Accelerator, MemoryLevel, Operand
from cost_models.energy import memory_prices, price_list
from cost_models.technology import Technology
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, Workload
from dse.interchange.zigzag import mac_array, operation_pj

_NAMES: dict[Operand, str] = {"weights": "weight", "inputs": "input", "outputs": "output"}
_PJ = 1e-12


def layer_name(layer: Layer) -> str:
    """A layer's name there: an identifier, as names of ranks and tensors are made of it."""
    return layer.name.replace(".", "_")


def workload_yaml(workload: Workload, machine: Accelerator) -> str:
    """The layers that have weights, each as an Einsum over its loop nest.

        O[g, k, t] += W[g, k, c, f] * I[g, c, stride * t + dilation * f]

    with g over groups, k and c over the channels of a group, t over output frames and f over the
    taps of the kernel. A depthwise layer has no k and c; one group has no g. Each layer has ranks
    and tensors of its own (`k_b1_conv`), so the mapper can keep nothing from one to the next.

    Args:
        workload: layers without weights (batch norm, activations, pooling) are left out.
        machine: says which weights it generates: these get 1 bit each.
    """
    layers = [layer for layer in workload.layers if layer.kind in CONVOLUTIONS]
    lines = ["workload:", "  einsums:"]
    for layer in layers:
        lines += _einsum(layer, machine)
    return "\n".join(lines) + "\n"


def _einsum(layer: Layer, machine: Accelerator) -> list[str]:
    name = layer_name(layer)
    low = name.lower()
    depthwise = layer.kind is LayerKind.DEPTHWISE
    grouped = layer.groups > 1
    loops = {"t": layer.out_frames, "f": layer.kernel_size}
    if grouped:
        loops["g"] = layer.groups
    if not depthwise:
        loops["c"] = layer.in_channels // layer.groups
        loops["k"] = layer.out_channels // layer.groups
    shown = {each: f"{each}_{low}" for each in loops}
    channels = [shown["g"]] if grouped else []
    reads = [*channels, *([] if depthwise else [shown["c"]])]
    makes = [*channels, *([] if depthwise else [shown["k"]])]
    # An affine index: neighbouring output frames read overlapping windows of the input, and the
    # mapper must see that to count the reuse. Padding has no word here: frames beyond the ends are
    # read like others.
    frame = f"{layer.stride} * {shown['t']} + {layer.dilation} * {shown['f']}"
    # A depthwise layer of one channel has neither groups nor channels: frames alone are left.
    ranks = ", ".join(
        [*(f"{each.upper()}: {each}" for each in reads), f"T_{name.upper()}: {frame}"]
    )
    weights = [*makes, *([] if depthwise else [shown["c"]]), shown["f"]]
    weight_bits = 1 if machine.generates(layer) else layer.weight_bits
    shape = ", ".join(f'"0 <= {shown[each]} < {size}"' for each, size in loops.items())
    i, w, o = f"I_{name}", f"W_{name}", f"O_{name}"
    return [
        f"  - name: {name}",
        f"    iteration_space_shape: [{shape}]",
        "    tensor_accesses:",
        f"    - {{name: {i}, bits_per_value: {layer.input_bits}, projection: {{{ranks}}}}}",
        f"    - {{name: {w}, bits_per_value: {weight_bits}, projection: [{', '.join(weights)}]}}",
        f"    - {{name: {o}, bits_per_value: {layer.output_bits}, output: True, "
        f"projection: [{', '.join([*makes, shown['t']])}]}}",
        f"    renames: {{input: {i}, weight: {w}, output: {o}}}",
    ]


def architecture_yaml(machine: Accelerator, technology: Technology) -> str:
    """The machine as a list of nodes, outermost first: DRAM, SRAMs, elements, registers, MAC.

    All elements are one spatial dimension (`fanout: rows * columns * lanes`), because the mapper
    there unrolls a loop over one side of an array only.

    Args:
        machine: its array of multipliers and its memories are written, nothing else.
        technology: its mid figures become J a bit; leakage and area are written as 0.
    """
    array = mac_array(machine)
    hertz = machine.clock_mhz * 1e6
    lines = ["arch:", "  nodes:"]
    for memory in reversed(machine.memories):
        lines += _memory(memory, technology, hertz)
    lines += ["  - !Container", "    name: Element", "    spatial:"]
    lines.append(f"    - {{name: elements, fanout: {array.elements}}}")
    prices = price_list(machine, technology)
    for operand in ("inputs", "weights", "outputs"):
        register = array.register(operand)
        if register is None:
            continue
        per_bit = {
            entry.action: float(prices.prices_pj[row, 1])
            for row, entry in enumerate(prices.entries)
            if entry.part == array.name and entry.operand == operand
        }
        stored = _storage(
            f"{_NAMES[operand].capitalize()}Register",
            register.capacity_bits,
            f"{{keep: {_NAMES[operand]}}}",
            per_bit.get("read", 0.0),
            per_bit.get("write", 0.0),
            "inf",
        )
        if operand == "outputs":  # sums are wider than what leaves
            stored.insert(3, f"    bits_per_value: {{output: {array.accumulator_bits}}}")
        lines += stored
    lines += [
        "  - !Compute",
        "    name: MAC",
        "    leak_power: 0",
        "    area: 0",
        "    actions:",
        f"    - {{name: compute, energy: {_joule(operation_pj(array, technology))}, "
        f"throughput: {hertz:.6g}}}",
    ]
    return "\n".join(lines) + "\n"


def _memory(memory: MemoryLevel, technology: Technology, hertz: float) -> list[str]:
    read, write = memory_prices(memory, technology)
    held = " | ".join(_NAMES[operand] for operand in memory.holds)
    size: Any = "inf" if memory.kind == "dram" else memory.bits
    throughput = f"{memory.bandwidth_bits_per_cycle * hertz:.6g}"
    lines = _storage(
        _identifier(memory.name), size, f"{{keep: {held}}}", read.mid, write.mid, throughput
    )
    if memory.ports == "separate":
        # Reads and writes go on at the same time, so the slower of the two takes the time.
        lines.insert(2, "    total_latency: max(a.n_calls / a.throughput for a in actions)")
    return lines


def _storage(
    name: str, size: Any, tensors: str, read_pj: float, write_pj: float, throughput: str
) -> list[str]:
    return [
        "  - !Memory",
        f"    name: {name}",
        f"    size: {size}",
        "    leak_power: 0",
        "    area: 0",
        f"    tensors: {tensors}",
        "    actions:",
        f"    - {{name: read, energy: {_joule(read_pj)}, throughput: {throughput}}}",
        f"    - {{name: write, energy: {_joule(write_pj)}, throughput: {throughput}}}",
    ]


def _joule(pj: float) -> str:
    # A point, so that YAML 1.1 reads a number and not a text.
    return f"{pj * _PJ:.9e}"


def _identifier(name: str) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return plain if plain[:1].isalpha() else f"M{plain}"
