"""The estimate: a workload on an accelerator in a technology."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from cost_models.accelerator import Accelerator
from cost_models.cost import Cost, LayerCost, count_busy_cycles, stage_latencies
from cost_models.energy import leakages_uw
from cost_models.errors import InvalidAccelerator, InvalidInput
from cost_models.fitting import Fitting, worth
from cost_models.machine_area import machine_area_um2
from cost_models.pricing import LayerPricer
from cost_models.residency import alive_bits, place
from cost_models.technology import Technology
from cost_models.tile_search import Objective
from cost_models.workload import CONVOLUTIONS, IN_LINE, Layer, Workload


def estimate(
    workload: Workload,
    accelerator: Accelerator,
    technology: Technology,
    objective: Objective = "edp",
    *,
    kept_bits: int = 0,
) -> Cost:
    """Energy, latency, traffic and area of one inference.

    docs/evidence/model.md has every equation.

    Args:
        workload: the layers, in order.
        accelerator: the machine.
        technology: its constants; usually `load_technology(accelerator.technology)`.
        objective: what the mapping of each layer minimises, and the size of a tile buffer that is
            to fit.
        kept_bits: what activations take between inferences, the state of a stream: room that a
            memory has to have, too, whose capacity is `fit`.

    Returns:
        Cost by layer and event. `Cost.misfits` says what the memories cannot hold. Its machine has
        the sizes that were found where memories are to fit (`cost_models.fitting`).

    Raises:
        InvalidAccelerator: the machine cannot execute a layer, or an SRAM is outside the
            technology's table, or none is as large as a memory that is to fit must be.
        UnmappableLayer: no part of a layer fits a memory that it must pass.
    """
    if not accelerator.to_fit:
        return _estimate(workload, accelerator, technology, objective)
    fitting = Fitting(accelerator, technology)
    stored = sum(accelerator.stored_bits(layer) for layer in workload.layers)
    alive = max(alive_bits(workload.layers)) + kept_bits
    [key] = fitting.keys(np.array([stored]), np.array([alive])).tolist()
    machines = fitting.machines(key)
    if not machines:
        raise InvalidAccelerator(fitting.too_large(stored, alive))
    return _best(workload, machines, technology, objective)


def _best(
    workload: Workload,
    machines: Sequence[Accelerator],
    technology: Technology,
    objective: Objective,
) -> Cost:
    """The estimate on the machine that suits a workload best, the first of equal ones.

    Raises:
        InvalidInput: none can execute it; the reason is that of the last, which has the most room.
    """
    costs, problem = [], None
    for machine in machines:
        try:
            costs.append(_estimate(workload, machine, technology, objective))
        except InvalidInput as error:  # too small for a tile, or too large for the clock
            problem = error
    if not costs:
        assert problem is not None  # there is a machine at least
        raise problem
    return min(costs, key=lambda cost: worth(cost.energy_pj, cost.latency_cycles, objective))


def _estimate(
    workload: Workload, accelerator: Accelerator, technology: Technology, objective: Objective
) -> Cost:
    """The estimate on a machine of which all sizes are known."""
    pricer = find_pricer(accelerator, technology, objective)
    placed = place(workload.layers, accelerator)
    rows = pricer.rows(placed)
    table = pricer.table
    latencies = stage_latencies(
        table.latency[rows], (layer.kind in IN_LINE for layer in workload.layers)
    )
    costs = []
    alone = table.alone[rows]
    two_ports = tuple(memory for memory in accelerator.memories if memory.ports == "separate")
    for each, row, cycles, longest in zip(placed, rows, latencies, alone, strict=True):
        layer = each.layer
        busy = count_busy_cycles(table, row, accelerator)
        counts = table.counts[row]
        costs.append(
            LayerCost(
                layer=layer,
                counts=pricer.prices.with_time(counts, cycles),
                prices=pricer.prices,
                busy_cycles=busy,
                two_ports=two_ports,
                latency_cycles=cycles,
                exposed_cycles=int(longest) - cycles,
                utilisation=_utilisation(layer, accelerator, cycles),
                mapping=table.mappings[row],
                generated_weights=layer.generated_weights if accelerator.generates(layer) else 0,
                trits=int(table.trits[row]),
                stored_bits=accelerator.stored_bits(layer),
                inputs_on_chip=each.inputs_on_chip > 0,
                output_on_chip=each.output_on_chip,
            )
        )
    specs = [layer.generator for layer in workload.layers if accelerator.generates(layer)]
    return Cost(
        workload=workload,
        accelerator=accelerator,
        technology=technology,
        prices=pricer.prices,
        layers=tuple(costs),
        areas_um2=machine_area_um2(
            accelerator, technology, (spec for spec in specs if spec is not None)
        ),
        leakages_uw=leakages_uw(accelerator, technology),
    )


@lru_cache(maxsize=16)
def find_pricer(
    accelerator: Accelerator, technology: Technology, objective: Objective = "edp"
) -> LayerPricer:
    """The pricer of a machine; it remembers the layers that it has priced."""
    return LayerPricer(accelerator, technology, objective)


def _utilisation(layer: Layer, accelerator: Accelerator, cycles: int) -> float:
    if layer.kind not in CONVOLUTIONS or not cycles:
        return 0.0
    array = accelerator.array_for(layer)
    return array.operations(layer) / (cycles * array.elements)
