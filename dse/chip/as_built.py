"""The workload as the circuit computes it: in the widths that the integer network needs.

A lowered workload takes every tensor for int8. The integer network (`dse.training.integer`), whose
scores the circuit has to give bit for bit, does not round where

    paths meet       the sums of both paths are added before they are rounded: 24 bits
    frames are meant the mean has 14 bits, two digits of base 128, and the matrix behind it reads
                     each digit as a frame of its own; its sums are put together at the end

What the model says of this workload is what the circuit can be held against. Lowered and as built
differ in layers before and in a residual add, and in the head.
"""

from dataclasses import replace

from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, Workload
from dse.errors import InvalidDesign

SUM_BITS, INT8_BITS = 24, 8
MEAN_BITS = 16
"""Of a mean in memory: two digits, a byte each."""
DIGITS = 2


def as_built(workload: Workload) -> Workload:
    """The workload with sums where the integer network adds or scores before it rounds.

    Args:
        workload: as `dse.networks.lowering.lower` makes it, with a pooled head.

    Raises:
        InvalidDesign: the head scores every frame: the circuit has the pooled one alone.
    """
    if not any(layer.kind is LayerKind.AVERAGE_POOL for layer in workload.layers):
        raise InvalidDesign(
            f"{workload.name} has a framewise head, which the exported chip cannot run: use a "
            "design with a pooled head"
        )
    convolutions = {layer.name for layer in workload.layers if layer.kind in CONVOLUTIONS}
    added = {
        add: [SUM_BITS if name in convolutions else INT8_BITS for name in names]
        for add, names in _added_tensors(workload).items()
    }
    # A sum of 24 bits and the block's input of 8 are two of 16, as far as words go.
    bits = {add: sum(each) // len(each) for add, each in added.items()}
    bits |= {
        name: SUM_BITS
        for names in _added_tensors(workload).values()
        for name in names
        if name in convolutions
    }
    return Workload(workload.name, tuple(_widened(layer, bits) for layer in workload.layers))


def _added_tensors(workload: Workload) -> dict[str, list[str]]:
    """Residual add -> the layers whose tensors it reads."""
    source: dict[str, str] = {}
    before = ""
    found: dict[str, list[str]] = {}
    for layer in workload.layers:
        # Behind what is done in line, a tensor is that of the convolution before.
        read = layer.reads[0] if layer.reads else before
        scaled = layer.kind is LayerKind.BATCH_NORM  # an activation is where the tensor is rounded
        source[layer.name] = source.get(read, read) if scaled else layer.name
        if layer.kind is LayerKind.RESIDUAL_ADD:
            found[layer.name] = [source.get(name, name) for name in layer.reads]
        before = layer.name
    return found


def _widened(layer: Layer, bits: dict[str, int]) -> Layer:
    if layer.kind is LayerKind.RESIDUAL_ADD:
        return replace(layer, input_bits=bits[layer.name])
    if layer.name in bits:
        return replace(layer, output_bits=bits[layer.name])
    if layer.kind is LayerKind.AVERAGE_POOL:
        return replace(layer, output_bits=MEAN_BITS)
    if layer.kind is LayerKind.LINEAR:
        return replace(layer, in_frames=DIGITS, out_frames=DIGITS, output_bits=SUM_BITS)
    if layer.kind is LayerKind.ARGMAX:
        return replace(layer, in_frames=DIGITS, out_frames=DIGITS, input_bits=SUM_BITS)
    return layer
