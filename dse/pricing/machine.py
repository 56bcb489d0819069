"""A machine to price on: an accelerator in a technology, and what its mappings minimise."""

from dataclasses import dataclass

from cost_models import Accelerator, Objective, Technology


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to price on.

    Both are needed for a cost: the accelerator decides how often something happens (additions, bits
    read, cycles), the technology what it costs each time. The objective is what a layer's mapping
    is chosen by, `edp` being energy times delay; another one gives other mappings and other costs.
    Immutable, so that prices can be remembered by it.
    """

    accelerator: Accelerator
    technology: Technology
    objective: Objective = "edp"
