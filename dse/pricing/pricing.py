"""Evaluate a design point: cost first, and training only for what keeps the limits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cost_models import Accelerator, Cost, Technology, estimate
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.networks.lowering import lower
from dse.pricing.budget import Budget
from dse.pricing.machine import Machine
from dse.pricing.on_machines import choose, known_costs

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Priced:
    """A design on a machine."""

    cost: Cost
    columns: dict[str, float]
    """Of a row."""
    reason: str
    """Why it must not be built; empty where it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What a design is priced on."""

    accelerator: Accelerator
    technology: Technology
    budget: Budget
    frames: int
    outputs: int
    rate: float = 1.0
    """Inferences a second, of the average power."""
    machines: tuple[Machine, ...] = ()
    """All that a study chooses from; where there are none, it is the one machine."""
    objectives: tuple[str, ...] = ("error", "energy_pj")
    """Of the study: their costs decide between machines."""

    def price(self, point: DesignPoint) -> Cost:
        """Cost of one inference of the design.

        Raises:
            InvalidAccelerator: the machine cannot execute it.
        """
        workload = lower(point, frames=self.frames, outputs=self.outputs)
        return estimate(workload, self.accelerator, self.technology)

    def columns(self, cost: Cost) -> dict[str, float]:
        """The columns of a row."""
        return dict(cost.columns(self.rate))

    def infeasibility(self, cost: Cost) -> str:
        """Why a design of this cost must not be built; empty where it may."""
        over = self.budget.explain(self.columns(cost))
        return "; ".join(filter(None, (over, *cost.misfits)))

    def best(self, point: DesignPoint) -> Priced:
        """The design on the machine that suits it (`dse.pricing.on_machines.choose`).

        Where it keeps the limits on none, on the one on which it is nearest to keeping them.

        Raises:
            InvalidAccelerator: no machine can execute it.
        """
        if not self.machines:
            cost = self.price(point)
            return Priced(cost, self.columns(cost), self.infeasibility(cost))
        workload = lower(point, frames=self.frames, outputs=self.outputs)
        found: list[Priced] = []
        refused: InvalidInput | None = None
        for machine in self.machines:
            try:
                cost = estimate(workload, machine.accelerator, machine.technology)
            except InvalidInput as error:
                refused = refused or error
                continue
            found.append(Priced(cost, self.columns(cost), self.infeasibility(cost)))
        if not found:
            assert refused is not None
            raise refused
        feasible = np.array([not each.reason for each in found])
        if not feasible.any():
            return min(found, key=self.excess)
        costs = {
            name: np.array([float(each.columns[name]) for each in found])
            for name in known_costs(self.objectives)
        }
        return found[choose(costs, feasible)]

    def excess(self, priced: "Priced") -> float:
        """How far a design is beyond the limits; 0 where it keeps them."""
        over = sum(max(0.0, limit.excess(priced.columns)) for limit in self.budget.limits)
        return over + len(priced.cost.misfits)
