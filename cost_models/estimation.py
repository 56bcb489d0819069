"""The estimate: a workload on an accelerator in a technology."""

from cost_models.accelerator import Accelerator
from cost_models.cost import Cost, LayerCost
from cost_models.energy import Prices, layer_energy_pj, prices
from cost_models.latency import layer_cycles
from cost_models.technology import Technology
from cost_models.workload import Layer, Workload


def estimate(workload: Workload, accelerator: Accelerator, technology: Technology) -> Cost:
    """Energy and latency of one inference, first order: docs/model.md has every equation.

    Args:
        workload: the layers, in order.
        accelerator: the machine.
        technology: its energies; usually `load_technology(accelerator.technology)`.

    Returns:
        Cost by layer and component. `Cost.misfits` says what the memories cannot hold.

    Raises:
        InvalidAccelerator: the machine cannot execute a layer, or an SRAM is outside the
            technology's table.
        InvalidLayer: there is no model for a layer's kind.
    """
    price = prices(accelerator, technology)
    return Cost(
        workload=workload,
        accelerator=accelerator,
        technology=technology,
        layers=tuple(_layer_cost(layer, accelerator, price) for layer in workload.layers),
    )


def _layer_cost(layer: Layer, accelerator: Accelerator, price: Prices) -> LayerCost:
    accelerator.check_executable(layer)
    return LayerCost(
        layer=layer,
        generated_weights=accelerator.generated_weights(layer),
        stored_bits=accelerator.stored_bits(layer),
        weight_traffic_bits=accelerator.weight_traffic_bits(layer),
        energies_pj=layer_energy_pj(layer, accelerator, price),
        cycles=layer_cycles(layer, accelerator),
    )
