"""The roofline: what a layer could reach at most, given its traffic, and what it does reach.

    attainable = min(peak of the array, operations / bits of a memory * bandwidth of that memory,
                     operations / results * lanes of the vector unit)

over all memories that the layer uses (Williams, Waterman, Patterson, CACM 52(4), 2009, with one
roof per memory, and one for what takes the sums). An operation is a multiply-accumulate, or a
ternary position: zeros included, unless the array skips them.

In numbers, for an array of 128 operations a cycle and an SRAM of 64 bits a cycle, through which 64
channels of 128 frames of 8 bits go in and out once:

    layer              operations   SRAM bits   intensity   roofs              limit
    1x1, 64 to 64       524,288      131,072      4         128, 4 * 64        the array
    depthwise, 9 taps    73,728      131,072      0.56      128, 0.56 * 64     the SRAM: 36 a cycle

A layer below its lowest roof loses time to what has no roof here: filling and draining, passes in
which part of the array is idle, the generator.
"""

from dataclasses import dataclass

from cost_models.cost import Cost, LayerCost
from cost_models.latency import Bound
from cost_models.workload import CONVOLUTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """One layer under its roofs; `reached` over `attainable` is what filling and waiting leave."""

    layer: str
    array: str
    operations: int
    intensity: dict[str, float]
    """Memory -> operations per bit that crosses its ports."""
    peak: int
    """Operations a cycle of the array."""
    attainable: float
    """Operations a cycle under the lowest roof."""
    limit: str
    """The lowest roof: the array's name, a memory's, or `vector unit`."""
    reached: float
    """Operations a cycle."""


def roofline(cost: Cost) -> list[Roof]:
    """The roofs of all convolutions of a network, in order.

    Traffic is that of the mapping that was chosen: another mapping, or another objective of its
    search, moves the roofs of the memories. Layers of the vector unit have none.
    """
    layers = [layer for layer in cost.layers if layer.layer.kind in CONVOLUTIONS]
    return [_roof(layer, cost) for layer in layers]


def _roof(layer: LayerCost, cost: Cost) -> Roof:
    array = cost.accelerator.array_for(layer.layer)
    operations = array.operations(layer.layer)
    intensity, roofs = {}, {array.name: float(array.elements)}
    for memory in cost.accelerator.memories:
        bits = layer.traffic_bits(memory.name)
        if bits:
            intensity[memory.name] = operations / bits
            # Intensity times bandwidth, by the cycles that the ports are busy: those know whether
            # one port reads and writes in turn, or two do so at once.
            roofs[memory.name] = operations / max(layer.busy_cycles[memory.name], 1)
    taken = layer.busy_cycles[Bound.VECTOR_UNIT]
    roofs[Bound.VECTOR_UNIT] = operations / max(taken, 1)
    limit = min(roofs, key=lambda name: roofs[name])
    return Roof(
        layer=layer.layer.name,
        array=array.name,
        operations=operations,
        intensity=intensity,
        peak=array.elements,
        attainable=roofs[limit],
        limit=limit,
        reached=operations / layer.latency_cycles if layer.latency_cycles else 0.0,
    )
