"""Rows of a study on all its machines: a trained network once for each machine that suits it."""

import dataclasses
import json
from collections.abc import Sequence
from functools import lru_cache

from cost_models.strict_yaml import parse_yaml
from dse.columns import MEASURED_COLUMNS, OBJECTIVE_COLUMNS
from dse.pricing.budget import Budget, budget_from_node
from dse.pricing.hardware import Hardware
from dse.pricing.on_machines import OnMachines
from dse.studies.designs import frames_of, hardware_of, outputs_of, point_of, space_of
from dse.studies.record import StudyRecord
from dse.studies.rows import Evaluation


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
    return _offered(rows, pricing)


def _offered(rows: Sequence[Evaluation], pricing: OnMachines) -> list[Evaluation]:
    """Each trained row once for each machine that its network is offered on.

    Rows of networks that were not priced stay as they are, and so do all others.
    """
    found: list[Evaluation] = []
    for row in rows:
        offers = pricing.offers(row.key) if row.full else ()
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
