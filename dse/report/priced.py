"""What a report is about: designs on machines."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_models import (
    Accelerator,
    Technology,
    estimate,
    load_accelerator,
    load_technology,
    load_technology_of,
)
from dse.columns import COST_COLUMNS, STREAM_COLUMNS
from dse.design.point import DesignPoint
from dse.errors import InvalidInput, InvalidStudy
from dse.networks.lowering import lower
from dse.pricing.listening import hop_figures
from dse.pricing.machine import Machine
from dse.pricing.priced import Layers, Priced
from dse.report.comparison import read_quantised_error
from dse.studies.rows import Evaluation
from dse.studies.study import Study, open_study, say_trial


def price_row(study: Study, row: Evaluation, why: str = "") -> Priced | None:
    """A row's design with its whole cost, priced anew by today's model on the row's machine.

    A row has totals only; layers and components need the network again. None where that is not
    known any more, or the machine cannot execute it.

    Args:
        study: that the row is of.
        row: an evaluation.
        why: why it is shown, for the report: `lowest error`.
    """
    point = study.build_point(row)
    if point is None:
        return None
    try:
        cost = study.price(point, study.find_machine(row))
    except InvalidInput:
        return None
    return Priced(
        point=point,
        cost=cost,
        trial=say_trial(row),
        recorded=_recorded(study, row),
        error=study.find_error_band(row),
        quantised_error=read_quantised_error(row),
        why=why,
    )


def _recorded(study: Study, row: Evaluation) -> dict[str, float]:
    """The costs that were written down for a row's network on its machine; empty where none were.

    Of several machines `row` may be of today's price (`Study.pairs`), which is no record.
    """
    if not study.asked.several_machines:
        return row.cost
    place = (row.key, row.accelerator)
    found = (each for each in study.rows if each.full and (each.key, each.accelerator) == place)
    return next((each.cost for each in found), {})


def drifted(study: Study, each: Priced) -> tuple[str, ...]:
    """Columns of a row that today's model gives another figure.

    Relative to 1e-9: sums of floats may differ in their last bits from one processor to another,
    and no change of the model is that small.

    Args:
        study: gives the rate that columns of power depend on.
        each: priced by today's model, with the row's `recorded` figures; empty ones drift nowhere.
    """
    now = each.cost.columns(study.asked.inferences_per_second)
    if (listening := study.asked.listening) is not None:
        machine = Machine(each.cost.accelerator.as_asked, each.cost.technology)
        hop = study.price_hop(each.design, machine)
        now |= {} if hop is None else hop_figures(*hop, listening)
    return tuple(
        name
        for name in (*COST_COLUMNS, *STREAM_COLUMNS)
        if name in each.recorded
        and name in now
        and abs(now[name] - each.recorded[name]) > 1e-9 * max(abs(now[name]), 1e-12)
    )


def open_evaluated(folder: Path) -> Study:
    """A study that there is something to report of.

    Raises:
        InvalidStudy: the folder holds no study, or nothing was evaluated yet.
        InvalidFile: its record or its results are damaged.
    """
    study = open_study(folder)
    if not study.rows:
        raise InvalidStudy(
            f"{folder} holds a study in which nothing was evaluated yet: let "
            f"`dse search {shlex.quote(str(folder))}` price and train some designs first"
        )
    return study


def load_machine(name: str, technology: str | None = None) -> tuple[Accelerator, Technology]:
    """A machine of the library or of a file, and what it is priced with.

    Raises:
        InvalidInput: there is no such machine or technology, or a file is wrong.
    """
    machine = load_accelerator(name)
    if technology is None:
        return machine, load_technology_of(machine, name)
    return machine, load_technology(technology)


def price_designs(
    points: Sequence[DesignPoint | Layers],
    machines: Sequence[tuple[Accelerator, Technology]],
    *,
    frames: int,
    outputs: int,
) -> list[Priced]:
    """Each design on each machine: all machines of the first design, then those of the second.

    Args:
        points: the designs, or networks of layers, which have frames and outputs of their own.
        machines: each with the technology that prices it.
        frames: input frames of an inference.
        outputs: classes of the head.

    Raises:
        InvalidInput: a machine cannot execute a design.
    """
    return [
        Priced(
            point=point,
            cost=estimate(
                point.workload
                if isinstance(point, Layers)
                else lower(point, frames=frames, outputs=outputs),
                machine,
                technology,
            ),
        )
        for point in points
        for machine, technology in machines
    ]


def plain_text(value: Any) -> str:
    """Plain data (what JSON can say) as one line: a text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
