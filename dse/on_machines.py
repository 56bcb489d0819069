"""Networks on all machines of a study: which machine suits each, and the frontier of all pairs.

A trained network has one error and as many costs as there are machines. Of those that keep the
study's limits, `expanded` gives the ones that no other machine beats in all the study's costs: they
are the points of a study's frontier and hypervolume. The row of a trial names one of them, the
machine of the least product of the costs that are objectives.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from cost_models.strict_yaml import parse_yaml
from dse.budget import Budget, budget_from_node
from dse.frontier import pareto_mask
from dse.hardware import Hardware
from dse.point import DesignPoint
from dse.record import StudyRecord
from dse.results import COST_COLUMNS, MEASURED_COLUMNS, OBJECTIVE_COLUMNS, Evaluation
from dse.study_designs import frames_of, hardware_of, outputs_of, point_of, space_of
from dse.sweep import Machine
from dse.what_if import Figures, Fleet, Mask

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
            points_here = np.array([columns[name][row] for name in self.costs]).T if columns else (
                np.zeros((len(self.machines), 1))
            )  # fmt: skip
            best = pareto_mask(np.where(feasible[row, :, None], points_here, np.nan))
            self._known[key] = tuple(
                (
                    self.machines[at],
                    # Counts stay whole numbers, as `Cost.columns` has them.
                    {name: _plain(name, columns[name][row, at]) for name in COST_COLUMNS},
                )
                for at in np.flatnonzero(best)
            )

    def expanded(self, rows: Sequence[Evaluation]) -> list[Evaluation]:
        """Each trained row once for each machine that its network is offered on.

        Rows of networks that were not priced stay as they are, and so do all others.
        """
        found: list[Evaluation] = []
        for row in rows:
            offers = self.offers(row.key) if row.full else ()
            found += [
                dataclasses.replace(
                    row,
                    accelerator=machine.accelerator.name,
                    technology=machine.technology.name,
                    cost=cost,
                )
                for machine, cost in offers
            ] or [row]
        return found


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


def expanded(rows: Sequence[Evaluation], record: StudyRecord) -> list[Evaluation]:
    """Rows of a study, trained networks once for each machine that suits them.

    A study of one machine keeps its rows as they are.

    Args:
        rows: of the study.
        record: what the study was asked.

    Returns:
        Rows that differ in `accelerator`, `technology` and `cost`, in the order of `rows`; a
        machine that another beats in all the study's costs, or that breaks a limit, has none.

    Raises:
        InvalidInput: the record cannot be read back.
    """
    hardware = hardware_of(record)
    if hardware is None:
        return list(rows)
    space = space_of(record)
    trained = {row.key: row for row in rows if row.full}
    if not trained:
        return list(rows)
    limits = {
        name: bound
        for name, bound in record.limits.items()
        if name.partition("_")[2] not in MEASURED_COLUMNS
    }
    pricing = _on_machines(
        hardware,
        tuple(record.objectives),
        json.dumps(limits),
        frames_of(record),
        _outputs(list(trained.values()), record),
        record.rate,
    )
    points = {
        key: point_of(row, record, space) for key, row in trained.items() if not pricing.knows(key)
    }
    pricing.price({key: point for key, point in points.items() if point is not None})
    return pricing.expanded(rows)


def _outputs(rows: Sequence[Evaluation], record: StudyRecord) -> int:
    recorded = record.resolved.get("outputs")
    return recorded if isinstance(recorded, int) else outputs_of(rows, record)


@lru_cache(maxsize=8)
def _on_machines(
    hardware: Hardware,
    objectives: tuple[str, ...],
    limits: str,
    frames: int,
    outputs: int,
    rate: float,
) -> OnMachines:
    """One for each study that is looked at, so that what is priced stays priced."""
    budget = Budget()
    if limits != "{}":
        budget = budget_from_node(parse_yaml(limits, "limits"), OBJECTIVE_COLUMNS)
    return OnMachines(
        hardware.machines,
        objectives=objectives,
        budget=budget,
        frames=frames,
        outputs=outputs,
        rate=rate,
    )
