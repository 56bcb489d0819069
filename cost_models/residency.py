"""What stays on the chip: activations between layers, weights between inferences.

An activation tensor lives from the layer that writes it to the last layer that reads it. It stays
in the activations' home (the outermost memory below the backing one that holds inputs and outputs)
if, in every step of its life, all tensors that are alive then fit there together. Otherwise it goes
out to the backing memory and comes back. Layers done in line (batch norm, ReLU) write no tensor:
what they work on is the tensor of the layer before.

All weights stay in the weights' home if together they fit there; otherwise each layer's come anew
for every inference. So a network that outgrows a memory by one weight pays at once: a cliff that
hardware has, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.accelerator import Accelerator
from cost_models.errors import InvalidLayer
from cost_models.pricing import Placed
from cost_models.workload import IN_LINE, INPUT, Layer


@dataclass(frozen=True, slots=True)
class Tensor:
    """An activation tensor and the steps in which it is alive."""

    name: str
    """Of the layer that writes it, or `INPUT`."""
    bits: int
    first: int
    """Index of the layer that writes it; -1 for the network's input."""
    last: int
    """Index of the last layer that reads it; the number of layers for the network's output."""


def tensors_of(layers: Sequence[Layer]) -> tuple[list[Tensor], list[tuple[str, ...]]]:
    """Tensors of a network, and for each layer the names of those that it reads.

    Raises:
        InvalidLayer: a layer reads one that is not before it.
    """
    alias: dict[str, str] = {INPUT: INPUT}
    bits = {INPUT: layers[0].in_channels * layers[0].in_frames * layers[0].input_bits}
    first, last = {INPUT: -1}, {INPUT: 0}
    reads: list[tuple[str, ...]] = []
    before = INPUT
    for index, layer in enumerate(layers):
        for name in layer.reads:
            if name not in alias:
                raise InvalidLayer(f"{layer.name} reads '{name}', which is no layer before it")
        names = tuple(alias[name] for name in (layer.reads or (before,)))
        reads.append(names)
        for name in names:
            last[name] = index
        if layer.kind in IN_LINE:
            alias[layer.name] = names[0]
        else:
            alias[layer.name] = layer.name
            bits[layer.name] = layer.output_traffic_bits
            first[layer.name] = last[layer.name] = index
        before = layer.name
    last[alias[before]] = len(layers)
    tensors = [Tensor(name, bits[name], first[name], last[name]) for name in bits]
    return tensors, reads


def alive_bits(layers: Sequence[Layer]) -> list[int]:
    """Bits of all tensors that are alive in each step: the memory that activations need."""
    tensors, _ = tensors_of(layers)
    return [
        sum(tensor.bits for tensor in tensors if tensor.first <= index <= tensor.last)
        for index in range(len(layers))
    ]


def place(layers: Sequence[Layer], machine: Accelerator) -> list[Placed]:
    """Each layer with what of its operands is on the chip.

    Raises:
        InvalidLayer: a layer reads one that is not before it.
    """
    home = machine.activation_home
    capacity_bits = home.capacity_bits if home else 0
    tensors, reads = tensors_of(layers)
    alive = alive_bits(layers)
    stays = {
        tensor.name: home is not None
        and all(
            alive[index] <= capacity_bits
            for index in range(max(tensor.first, 0), min(tensor.last, len(layers) - 1) + 1)
        )
        for tensor in tensors
    }
    if not machine.input_arrives_on_chip:
        # The features come from outside, and the scores go there.
        stays[INPUT] = False
        stays.update((tensor.name, False) for tensor in tensors if tensor.last == len(layers))
    resident = weights_stay(sum(machine.stored_bits(layer) for layer in layers), machine)
    return [
        Placed(
            layer,
            inputs_on_chip=sum(stays[name] for name in names),
            output_on_chip=layer.kind not in IN_LINE and stays[layer.name],
            weights_on_chip=resident,
        )
        for layer, names in zip(layers, reads, strict=True)
    ]


def weights_stay(stored_bits: int, machine: Accelerator) -> bool:
    """Whether the weights of a network stay in the weights' home between inferences."""
    home = machine.weight_home
    return home is not None and stored_bits <= home.capacity_bits
