"""What stays on the chip: activations between layers, weights between inferences.

An activation tensor lives from the layer that writes it to the last layer that reads it. It stays
in the activations' home (the outermost memory below the backing one that holds inputs and outputs)
if, in every step of its life, all tensors that are alive then fit there together. Otherwise it goes
out to the backing memory and comes back. A block with a skip, whose input must wait for it:

    step             dw      pw      skip    add     alive in a step: all that is marked there
    input of block   read    waits   read            the skip reads it when dw and pw are done
    output of dw     made    read
    output of pw             made    waits   read    the add needs the skip's, too
    output of skip                   made    read
    output of add                            made    input of the next block

Layers done in line (batch norm, ReLU) write no tensor: what they work on is the tensor of the layer
before.

All weights stay in the weights' home if together they fit there; otherwise each layer's come anew
for every inference. So a network that outgrows a memory by one weight pays at once: a cliff that
hardware has, too. Of a generated matrix only the generator's start state takes room (or, on a
machine that stores them, its entries); of a trained layer its weights, biases and batch norm do.

Nothing is half on the chip: no tensor is split between memories, and which one stays is not
optimised (two that fit one at a time, but not together, both go out).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator
from cost_models.errors import InvalidLayer
from cost_models.workload import IN_LINE, INPUT, Layer

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer and what of its operands is on the chip when it runs."""

    layer: Layer
    inputs_on_chip: int = 0
    """Input tensors that are in the activations' home; a residual add has two."""
    output_on_chip: bool = False
    weights_on_chip: bool = False


class Residence(NamedTuple):
    """What of layers' operands is on the chip when they run: `Placed` as columns."""

    inputs_on_chip: Numbers
    """Input tensors in the activations' home: 0, 1, or 2 of a residual add; shape (layers,)."""
    output_on_chip: Mask
    """The outputs stay in the activations' home; shape (layers,)."""
    weights_on_chip: Mask
    """The weights are in the weights' home since the last inference; shape (layers,)."""

    @property
    def key(self) -> Numbers:
        """Below `RESIDENCES`, and different where anything is: an index into tables."""
        found: Numbers = self.inputs_on_chip + 3 * self.output_on_chip + 6 * self.weights_on_chip
        return found

    def take(self, index: npt.NDArray[np.intp]) -> "Residence":
        """That of some layers, repeated as given."""
        return Residence(
            self.inputs_on_chip[index], self.output_on_chip[index], self.weights_on_chip[index]
        )


RESIDENCES = 3 * 2 * 2
"""Different residences of a layer."""


def gather_residence(placed: Sequence[Placed]) -> Residence:
    """Residence of placed layers as columns, in their order."""
    return Residence(
        np.array([each.inputs_on_chip for each in placed], dtype=np.int64),
        np.array([each.output_on_chip for each in placed], dtype=np.bool_),
        np.array([each.weights_on_chip for each in placed], dtype=np.bool_),
    )


def residence_of_keys(keys: Numbers) -> Residence:
    """Residence by its keys, as `Residence.key` makes them; shape (layers,)."""
    rest, inputs = np.divmod(keys, 3)
    weights, output = np.divmod(rest, 2)
    return Residence(inputs, output > 0, weights > 0)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An activation tensor and the steps in which it is alive; a step is the index of a layer."""

    name: str
    """Of the layer that writes it, or `INPUT`."""
    bits: int
    first: int
    """Index of the layer that writes it; -1 for the network's input."""
    last: int
    """Index of the last layer that reads it; the number of layers for the network's output."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Which tensors a row of layers reads and writes, and what is alive meanwhile.

    It follows from the layers alone; what of it fits is the machine's matter.
    """

    tensors: tuple[Tensor, ...]
    reads: tuple[tuple[str, ...], ...]
    """Of each layer, the names of the tensors that it reads."""
    writes: tuple[str, ...]
    """Of each layer, the name of the tensor that it writes; in line, of the one it works on."""
    alive_bits: tuple[int, ...]
    """Of all tensors that are alive in each step: the memory that activations need."""

    def fits(self, machine: Accelerator) -> list[bool]:
        """Whether everything that is alive in a step fits the activations' home."""
        home = machine.activation_home
        capacity_bits = home.bits if home else -1
        return [bits <= capacity_bits for bits in self.alive_bits]

    def life(self, tensor: Tensor) -> slice:
        """The steps in which a tensor is alive, cut to those of the row: a slice of its layers."""
        return slice(max(tensor.first, 0), min(tensor.last, len(self.reads) - 1) + 1)


def trace_flow(layers: Sequence[Layer], input_bits: int | None = None) -> Flow:
    """The tensors of a row of layers: a network, or a part of one.

    A layer that names what it reads (a residual add) reads those tensors, any other one that of the
    layer before it. An in-line layer's name is another name for the tensor that it works on, and so
    is the name of a layer that extends another one's tensor: that has room for both from the start.

    Args:
        layers: in order.
        input_bits: size of the tensor that they read, where that is not all that the first one
            reads: of a stream, which brings new frames alone.

    Raises:
        InvalidLayer: a layer reads or extends one that is not before it.
    """
    alias: dict[str, str] = {INPUT: INPUT}
    if input_bits is None:
        input_bits = layers[0].in_channels * layers[0].in_pixels * layers[0].input_bits
    bits = {INPUT: input_bits}
    first, last = {INPUT: -1}, {INPUT: 0}
    reads: list[tuple[str, ...]] = []
    before = INPUT
    for index, layer in enumerate(layers):
        for name in layer.reads:
            if name not in alias:
                raise InvalidLayer(f"{layer.name} reads '{name}', which is no layer before it")
        if layer.extends and layer.extends not in first:
            raise InvalidLayer(
                f"{layer.name} extends '{layer.extends}', which is no layer with a tensor before it"
            )
        names = tuple(alias[name] for name in (layer.reads or (before,)))
        reads.append(names)
        for name in names:
            last[name] = index
        if layer.kind in IN_LINE:
            alias[layer.name] = names[0]
        elif layer.extends:
            alias[layer.name] = layer.extends
            bits[layer.extends] += layer.output_traffic_bits
            last[layer.extends] = index
        else:
            alias[layer.name] = layer.name
            bits[layer.name] = layer.output_traffic_bits
            first[layer.name] = last[layer.name] = index
        before = layer.name
    last[alias[before]] = len(layers)
    alive = [0] * len(layers)
    for name, size in bits.items():
        for index in range(max(first[name], 0), min(last[name], len(layers) - 1) + 1):
            alive[index] += size
    tensors = tuple(Tensor(name, bits[name], first[name], last[name]) for name in bits)
    writes = tuple(alias[layer.name] for layer in layers)
    return Flow(tensors, tuple(reads), writes, tuple(alive))


def alive_bits(layers: Sequence[Layer]) -> list[int]:
    """Bits of all tensors that are alive in each step: the memory that activations need."""
    return list(trace_flow(layers).alive_bits)


class Borders(NamedTuple):
    """What a part of a network shares with the rest of it: booleans, or columns of them.

    All else about a part is the same wherever it stands, so a part has as many prices as there are
    borders, and no more.
    """

    input_on_chip: Any
    output_on_chip: Any
    weights_on_chip: Any

    @property
    def key(self) -> Any:
        """The place in `BORDERS` of equal ones."""
        return self.input_on_chip + 2 * self.output_on_chip + 4 * self.weights_on_chip


BORDERS = tuple(
    Borders(input_on_chip, output_on_chip, weights_on_chip)
    for weights_on_chip in (False, True)
    for output_on_chip in (False, True)
    for input_on_chip in (False, True)
)
"""All that there are, by their keys."""


def place(layers: Sequence[Layer], machine: Accelerator) -> list[Placed]:
    """Each layer of a network with what of its operands is on the chip.

    Args:
        layers: of the whole network, in order.
        machine: its homes decide.

    Raises:
        InvalidLayer: a layer reads one that is not before it.
    """
    flow = trace_flow(layers)
    fits = flow.fits(machine)
    stays = {tensor.name: all(fits[flow.life(tensor)]) for tensor in flow.tensors}
    [given] = [tensor.name for tensor in flow.tensors if tensor.first < 0]
    [made] = [tensor.name for tensor in flow.tensors if tensor.last == len(layers)]
    # Features come from outside, and scores go there, unless the chip makes the features.
    stays[given] = stays[made] = machine.input_arrives_on_chip and stays[given] and stays[made]
    resident = weights_stay(sum(machine.stored_bits(layer) for layer in layers), machine)
    return [
        Placed(
            layer,
            inputs_on_chip=sum(stays[name] for name in names),
            output_on_chip=layer.kind not in IN_LINE and stays[written],
            weights_on_chip=resident,
        )
        for layer, names, written in zip(layers, flow.reads, flow.writes, strict=True)
    ]


def weights_stay(stored_bits: int, machine: Accelerator) -> bool:
    """Whether the weights of a network stay in the weights' home between inferences: all or none.

    Which of them would stay, were only some to, is a choice that nobody has made.
    """
    home = machine.weight_home
    return home is not None and stored_bits <= home.bits
