"""Published networks on a study's machine: their costs are ours, their errors their papers'."""

import functools

import pandas as pd

from dashboard.charts import scaled_frame
from dashboard.studies import StudyFrame
from dse.design.published import PUBLISHED, published
from dse.errors import InvalidInput
from dse.pricing.machine import Machine
from dse.studies.study import price


def published_points(study: StudyFrame) -> pd.DataFrame:
    """A row a published network whose paper prints an accuracy, in the units of people.

    Each is priced with the outputs that its paper trained it for; a network that the study's
    machine cannot execute is left out. Frames are the study's, so that all costs are of the same
    length of sound. Of several machines, the first one counts.

    Returns:
        `name`, `source`, `error` (one less the printed accuracy) and all columns of a cost; empty,
        without columns, where no network runs.
    """
    asked = study.asked
    return _points(asked.machines[0], asked.features.frames, asked.inferences_per_second)


@functools.lru_cache(maxsize=16)
def _points(machine: Machine, frames: int, rate: float) -> pd.DataFrame:
    rows = []
    for name, known in PUBLISHED.items():
        if known.accuracy is None:
            continue
        try:
            cost = price(published(name), machine, frames, known.outputs)
        except InvalidInput:
            continue
        rows.append(
            {
                "name": name,
                "source": f"{known.source}, Speech Commands, {known.outputs} classes",
                "error": 1 - known.accuracy,
                **cost.columns(rate),
            }
        )
    return scaled_frame(pd.DataFrame(rows)) if rows else pd.DataFrame()
