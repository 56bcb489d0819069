"""Cycles of a layer, and what bounds it.

    compute           = ceil(work / units)                    work of MACs, trits or vector lanes
    weight memory     = ceil(weight traffic / bandwidth)
    activation memory = ceil((input + output traffic) / bandwidth)
    generator         = ceil(trits / trits per cycle)         once per inference

    layer   = max of the four: transfers overlap with computing
    network = sum over the layers: one runs after the other

All units are taken to be busy in every cycle: no mapping, no fill and drain, no port conflicts. So
each figure is a lower bound of what that layer takes on that machine (docs/model.md).
"""

from enum import StrEnum

from cost_models.accelerator import Accelerator
from cost_models.energy import POST_PROCESSING
from cost_models.errors import InvalidLayer
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, WeightSource


class Bound(StrEnum):
    """What a layer waits for."""

    COMPUTE = "compute"
    WEIGHT_MEMORY = "weight memory"
    ACTIVATION_MEMORY = "activation memory"
    GENERATOR = "generator"
    NOTHING = "nothing"
    """A layer that takes no cycles: done on the way out of the layer before."""


def layer_cycles(layer: Layer, accelerator: Accelerator) -> dict[Bound, int]:
    """Cycles that each part of the machine needs for one layer; the layer takes the largest.

    Args:
        layer: what is executed; `accelerator.check_executable` has passed.
        accelerator: the machine.

    Raises:
        InvalidLayer: there is no model for the layer's kind.
    """
    generator = accelerator.generator
    trits = accelerator.generated_weights(layer)
    return {
        Bound.COMPUTE: compute_cycles(layer, accelerator),
        Bound.WEIGHT_MEMORY: _ceil(
            accelerator.weight_traffic_bits(layer),
            accelerator.weight_memory.bandwidth_bits_per_cycle,
        ),
        Bound.ACTIVATION_MEMORY: _ceil(
            layer.activation_traffic_bits,
            accelerator.activation_memory.bandwidth_bits_per_cycle,
        ),
        Bound.GENERATOR: _ceil(trits, generator.trits_per_cycle) if generator else 0,
    }


def bound_of(cycles: dict[Bound, int]) -> Bound:
    """The part that takes longest; the first in the order of `Bound` among equals."""
    slowest = max(cycles, key=lambda part: cycles[part])
    return slowest if cycles[slowest] else Bound.NOTHING


def compute_cycles(layer: Layer, accelerator: Accelerator) -> int:
    """Cycles of the compute array with all its units busy."""
    array = accelerator.compute_array
    if layer.kind in CONVOLUTIONS:
        if layer.weights is WeightSource.TRAINED:
            return _ceil(layer.additions, array.macs_per_cycle)  # the bias is one more addition
        if layer.weights is WeightSource.GENERATED:
            if not array.ternary_adders:
                return _ceil(layer.dense_additions, array.macs_per_cycle)
            skipped = array.zero_handling == "skipped"
            trits = layer.additions if skipped else layer.dense_additions
            return _ceil(trits, array.ternary_adders)
        raise InvalidLayer(f"{layer.name}: a {layer.kind} layer needs trained or generated weights")
    if layer.kind in POST_PROCESSING:
        return _ceil(max(layer.multiplications, layer.additions), array.vector_lanes)
    if layer.kind is LayerKind.ACTIVATION:
        return 0
    raise InvalidLayer(f"{layer.name}: there is no latency model for layers of kind {layer.kind!r}")


def _ceil(work: int, rate: int) -> int:
    return -(-work // rate)
