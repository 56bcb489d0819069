"""What of many networks at once depends on the machine as a whole: areas, and whether they fit."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cost_models import Accelerator, Technology
from cost_models.generator import GeneratorSpec
from cost_models.machine_area import machine_area_um2, sum_of

Figures = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

Areas = dict[int, tuple[float, float, float]]
"""Number of a generator -> `AREA_COLUMNS`."""

AREA_COLUMNS = ("area_um2", "area_low_um2", "area_high_um2")


def area_columns(
    machine: Accelerator,
    technology: Technology,
    generators: npt.NDArray[np.int64],
    specs: Sequence[GeneratorSpec],
    known: Areas | None = None,
) -> dict[str, Figures]:
    """Area of the machine for each network: the generator is built for the matrices that it has.

    Args:
        machine: that executes the networks.
        technology: its own.
        generators: shape (networks,), places in `specs`; -1 for a network without any.
        specs: distinct generators.
        known: areas of this machine by generator, which are looked up and added to.
    """
    known = {} if known is None else known
    columns = {name: np.zeros(len(generators)) for name in AREA_COLUMNS}
    for number in np.unique(generators).tolist():
        if number not in known:
            needed = [] if number < 0 or machine.generator is None else [specs[number]]
            area = sum_of(machine_area_um2(machine, technology, needed).values())
            known[number] = (area.mid, area.low, area.high)
        for name, figure in zip(AREA_COLUMNS, known[number], strict=True):
            columns[name][generators == number] = figure
    return columns


def fits(columns: Mapping[str, Figures], machine: Accelerator) -> Mask:
    """Which networks the backing memories hold (`cost_models.cost.misfits` says what is too large).

    NaN fits nowhere.
    """
    weights, inputs = machine.chain("weights")[-1], machine.chain("inputs")[-1]
    stored, alive = columns["stored_bits"], columns["activation_bits"]
    held: Mask = (stored <= weights.capacity_bits) & (alive <= inputs.capacity_bits)
    if weights is inputs:
        held &= stored + alive <= inputs.capacity_bits
    return held
