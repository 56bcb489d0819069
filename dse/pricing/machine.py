"""A machine to price on: an accelerator in a technology, and what its mappings minimise."""

from dataclasses import dataclass

from cost_models import Accelerator, Objective, Technology


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to price on."""

    accelerator: Accelerator
    technology: Technology
    objective: Objective = "edp"
