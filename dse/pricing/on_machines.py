"""Networks on all machines of a study: which machine suits each, and the frontier of all pairs.

A trained network has one error and as many costs as there are machines. Of those that keep the
study's limits, `expanded` gives the ones that no other machine beats in all the study's costs: they
are the points of a study's frontier and hypervolume. The row of a trial names one of them, the
machine of the least product of the costs that are objectives.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dse.columns import COST_COLUMNS, MEASURED_COLUMNS
from dse.design.point import DesignPoint
from dse.pareto import pareto_mask
from dse.pricing.budget import Budget
from dse.pricing.machine import Machine
from dse.pricing.what_if import Figures, Fleet, Mask

LEAST_COST = 1e-12
"""Costs of 0 have no logarithm."""


def known_costs(objectives: Iterable[str]) -> tuple[str, ...]:
    """The objectives that are known without a training."""
    return tuple(name for name in objectives if name not in MEASURED_COLUMNS)


def choose(costs: Mapping[str, Figures], feasible: Mask) -> int:
    """The feasible machine of the least product of costs; of equal ones the first.

    Args:
        costs: the objectives that are costs, each of shape (machines,).
        feasible: which machines keep the limits; one at least.
    """
    worth = np.zeros(len(feasible))
    for figures in costs.values():
        worth = worth + np.log10(np.maximum(np.where(feasible, figures, 1.0), LEAST_COST))
    return int(np.flatnonzero(feasible)[np.argmin(worth[feasible])])


class OnMachines:
    """Prices networks on all machines, and remembers what it has priced."""

    def __init__(
        self,
        machines: Sequence[Machine],
        *,
        objectives: Sequence[str],
        budget: Budget,
        frames: int,
        outputs: int,
        rate: float,
    ) -> None:
        """Know the machines.

        Args:
            machines: of the study.
            objectives: of the study.
            budget: its limits on costs.
            frames: of one inference.
            outputs: classes.
            rate: inferences a second, of the average power.
        """
        self.machines = tuple(machines)
        self.costs = known_costs(objectives)
        self.budget = budget
        self.frames, self.outputs, self.rate = frames, outputs, rate
        self._known: dict[str, tuple[tuple[Machine, dict[str, float]], ...]] = {}

    def knows(self, key: str) -> bool:
        """Whether a network was priced."""
        return key in self._known

    def offers(self, key: str) -> tuple[tuple[Machine, dict[str, float]], ...]:
        """The machines that keep the limits and that no other beats, with a network's costs there.

        Args:
            key: of a network that was priced; nothing is offered for others.
        """
        return self._known.get(key, ())

    def price(self, points: Mapping[str, DesignPoint]) -> None:
        """Price networks that are new, by their keys; all of them at once."""
        new = {key: point for key, point in points.items() if key not in self._known}
        if not new:
            return
        fleet = Fleet(list(new.values()), frames=self.frames, outputs=self.outputs, rate=self.rate)
        columns: dict[str, Figures] = {}
        feasible = np.zeros((len(new), len(self.machines)), dtype=np.bool_)
        for at, machine in enumerate(self.machines):
            priced, fits = fleet.price(machine.accelerator, machine.technology)
            feasible[:, at] = fits & kept(self.budget, priced) if priced else fits
            for name, figures in priced.items():
                shape = (len(new), len(self.machines))
                columns.setdefault(name, np.full(shape, np.nan))[:, at] = figures
        for row, key in enumerate(new):
            points_here = (
                np.array([columns[name][row] for name in self.costs]).T
                if columns
                else (np.zeros((len(self.machines), 1)))
            )
            best = pareto_mask(np.where(feasible[row, :, None], points_here, np.nan))
            self._known[key] = tuple(
                (
                    self.machines[at],
                    # Counts stay whole numbers, as `Cost.columns` has them.
                    {name: _plain(name, columns[name][row, at]) for name in COST_COLUMNS},
                )
                for at in np.flatnonzero(best)
            )


def kept(budget: Budget, columns: Mapping[str, Figures]) -> Mask:
    """Which designs keep all limits; NaN keeps none."""
    inside: Mask = np.ones(len(next(iter(columns.values()))), dtype=np.bool_)
    for limit in budget.limits:
        figures = columns[limit.column]
        inside &= figures <= limit.bound if limit.upper else figures >= limit.bound
    return inside


def _plain(name: str, figure: float) -> float:
    counted = not name.endswith(("_pj", "_um2", "_uw", "_us"))
    return int(figure) if counted else float(figure)
