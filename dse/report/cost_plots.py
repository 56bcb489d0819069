"""Bars of what designs cost: where their energy and their cycles go.

The content of plots, without a library: the report draws them as vectors, the dashboard as charts.
A component looks the same in all of them, whatever stands beside it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from cost_models import Component, Cost
from cost_models.energy import MEMORIES
from cost_models.units import cycles_to_us
from dse.colours import COMPONENTS, QUIET
from dse.pricing.priced import Priced
from dse.report.content import Bars
from dse.report.cost_tables import COMPONENT_WORDS, say_machine, used_components

HUES = tuple(COMPONENTS.values())
"""That stand beside each other in a stack."""
LEAST_SHARE = 0.002
"""Of the whole: a bar of less would be invisible."""


def components_plot(priced: Sequence[Priced], name: str = "components") -> Bars:
    """Energy per inference by component in µJ, a bar a design; mid figures.

    By kinds of memories and not by their names, which machines do not share.
    """
    used = used_components(priced)
    several = len({say_machine(each.cost) for each in priced}) > 1
    return Bars(
        name=name,
        title="Energy per inference by component",
        x_title="energy per inference (µJ)",
        parts=tuple((COMPONENT_WORDS[part], COMPONENTS[part]) for part in used),
        bars=tuple(
            (
                f"{each.named()}, {say_machine(each.cost)}" if several else each.named(),
                tuple(each.cost.energies_pj[part] * 1e-6 for part in used),
            )
            for each in priced
        ),
    )


def energy_plot(cost: Cost, name: str = "layers") -> Bars:
    """Energy of each layer in nJ by component, memories by their own names; mid figures."""
    rows = _rows_of_parts(cost)
    tints = find_colours(cost, rows)
    spent = [
        (layer.layer.name, layer.counts * cost.prices.prices_pj[:, 1] * 1e-3)
        for layer in cost.layers
        if layer.energy_pj > LEAST_SHARE * cost.energy_pj
    ]
    return Bars(
        name=name,
        title="Energy of each layer by component",
        x_title="energy (nJ)",
        parts=tuple(tints.items()),
        bars=tuple(
            (layer, tuple(float(figures[rows[part]].sum()) for part in tints))
            for layer, figures in spent
        ),
    )


def _rows_of_parts(cost: Cost) -> dict[str, npt.NDArray[np.intp]]:
    """Component or memory -> its rows of the price list that are counted, in a stack's order."""
    entries, counts = cost.prices.entries, cost.counts
    named = [
        each.part if each.component in MEMORIES else COMPONENT_WORDS[each.component]
        for each in entries
    ]
    order = list(Component)
    used = sorted(np.flatnonzero(counts), key=lambda row: order.index(entries[row].component))
    parts = dict.fromkeys(named[row] for row in used)
    return {part: np.array([row for row in used if named[row] == part]) for part in parts}


def latency_plot(cost: Cost, name: str = "latency") -> Bars:
    """Time that each layer adds in µs, in the colour of what bounds it.

    Parts of a machine work on a layer at the same time, so it takes as long as the slowest of them,
    which is what bounds it. A layer that runs beside the one before it adds only what it takes
    beyond that one.
    """
    tints = find_colours(cost, cost.bounds_cycles)
    return Bars(
        name=name,
        title="Time that each layer adds, by what bounds it",
        x_title="latency (µs)",
        parts=tuple(tints.items()),
        bars=tuple(
            (
                layer.layer.name,
                tuple(
                    cycles_to_us(layer.latency_cycles, cost.accelerator.clock_mhz)
                    if layer.bound == part
                    else 0.0
                    for part in tints
                ),
            )
            for layer in cost.layers
            if layer.latency_cycles > LEAST_SHARE * cost.latency_cycles
        ),
    )


def find_colours(cost: Cost, parts: Iterable[str]) -> dict[str, str]:
    """Part -> its colour, in the given order; no two share one while there are enough.

    A component has its own colour, and a memory one that it keeps in all charts of its machine: the
    first of a kind that of the kind. Whatever is neither (an array, say) has one that is left.
    """
    own = {COMPONENT_WORDS[part]: COMPONENTS[part] for part in Component if part not in MEMORIES}
    own["vector unit"] = COMPONENTS[Component.POST_PROCESSING]  # which is what it does
    kinds = {
        each.part: COMPONENTS[each.component]
        for each in cost.prices.entries
        if each.component in MEMORIES
    }
    spare = iter([tint for tint in HUES if tint not in {*own.values(), *kinds.values()}])
    for memory, tint in kinds.items():
        own[memory] = tint if tint not in own.values() else next(spare, QUIET)
    named = list(parts)
    left = iter([tint for tint in HUES if tint not in {own.get(part) for part in named}])
    return {part: own.get(part) or next(left, QUIET) for part in named}
