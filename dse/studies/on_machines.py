"""Rows of a study on all its machines: a trained network once for each machine that suits it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from dse.design.point import DesignPoint
from dse.pricing.budget import Budget
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.studies.rows import Evaluation
from dse.studies.spec import StudySpec


def expanded(
    rows: Sequence[Evaluation],
    asked: StudySpec,
    outputs: int,
    build_point: Callable[[Evaluation], DesignPoint | None],
) -> Sequence[Evaluation]:
    """Rows of a study, trained networks once for each machine that suits them.

        results.jsonl               expanded
        trial 7  net A  chip 2      net A on chip 1, net A on chip 2      both offered
        trial 8  infeasible         trial 8, as it is

    A trial trains a network once and records one machine for it; the frontier is of pairs, as the
    same network may be the best at low energy on one chip and at low latency on another.

    The rows of one machine are on it already: they stay as they are, with the costs of the day on
    which they were written.

    Args:
        rows: of the study.
        asked: what the study was asked.
        outputs: classes of its data.
        build_point: the network of a row.

    Returns:
        Rows that differ in `accelerator`, `technology` and `cost`, in the order of `rows`; a
        machine that another beats in all the study's costs, or that breaks a limit, has none.
    """
    trained = {row.key: row for row in rows if row.full} if asked.several_machines else {}
    return _offered(rows, _offer(trained, asked, outputs, build_point)) if trained else rows


def recorded_only(
    rows: Sequence[Evaluation],
    asked: StudySpec,
    outputs: int,
    build_point: Callable[[Evaluation], DesignPoint | None],
) -> tuple[Evaluation, ...]:
    """Trained rows that `expanded` leaves at their recorded price; none of one machine.

    Nothing says any more what these networks were, or by today's model no machine suits them: their
    costs are of another day than those beside them.
    """
    trained = {row.key: row for row in rows if row.full} if asked.several_machines else {}
    if not trained:
        return ()
    pricing = _offer(trained, asked, outputs, build_point)
    return tuple(row for row in trained.values() if not pricing.offered.get(row.key))


def _offer(
    trained: Mapping[str, Evaluation],
    asked: StudySpec,
    outputs: int,
    build_point: Callable[[Evaluation], DesignPoint | None],
) -> Pricing:
    """The prices of the study, with an offer for each of these networks that is known."""
    pricing = _pricing(
        asked.machines,
        asked.objectives,
        asked.budget,
        asked.features.frames,
        outputs,
        asked.inferences_per_second,
        asked.listening,
    )
    points = {key: build_point(row) for key, row in trained.items() if key not in pricing.offered}
    pricing.offer({key: point for key, point in points.items() if point is not None})
    return pricing


def _offered(rows: Sequence[Evaluation], pricing: Pricing) -> list[Evaluation]:
    """Each trained row once for each machine that its network is offered on.

    Rows of networks that were not priced stay as they are, and so do all others.
    """
    found: list[Evaluation] = []
    for row in rows:
        found += [
            dataclasses.replace(
                row,
                accelerator=offer.machine.accelerator.name,
                technology=offer.machine.technology.name,
                cost=offer.columns,
            )
            for offer in (pricing.offered.get(row.key, ()) if row.full else ())
        ] or [row]
    return found


@lru_cache(maxsize=8)
def _pricing(
    machines: tuple[Machine, ...],
    objectives: tuple[str, ...],
    budget: Budget,
    frames: int,
    outputs: int,
    rate: float,
    listening: Listening | None,
) -> Pricing:
    """One for each study that is looked at, so that what is priced stays priced.

    Keyed by everything that changes a price or an offer: two studies that agree in all of it may
    share one, as offers are kept by the key of the network.
    """
    return Pricing(
        machines,
        objectives=objectives,
        budget=budget,
        frames=frames,
        outputs=outputs,
        rate=rate,
        listening=listening,
    )
