"""Published networks on a study's machine: their costs are ours, their errors their papers'."""

import functools

import pandas as pd

from cost_models import Accelerator, Technology
from dashboard.charts import scaled_frame
from dashboard.studies import Study
from dse.design.published import PUBLISHED, published
from dse.errors import InvalidInput
from dse.studies.designs import accelerator_of, frames_of, price, technology_of


def published_points(study: Study) -> pd.DataFrame:
    """A row a published network whose paper prints an accuracy, in the units of people.

    Each is priced with the outputs that its paper trained it for; a network that the study's
    machine cannot execute is left out.

    Raises:
        InvalidInput: the record lacks what is needed.
    """
    record = study.record
    return _points(accelerator_of(record), technology_of(record), frames_of(record), record.rate)


@functools.lru_cache(maxsize=16)
def _points(machine: Accelerator, technology: Technology, frames: int, rate: float) -> pd.DataFrame:
    rows = []
    for name, known in PUBLISHED.items():
        if known.accuracy is None:
            continue
        try:
            cost = price(published(name), machine, technology, frames, known.outputs)
        except InvalidInput:
            continue
        rows.append(
            {
                "name": name,
                "source": f"{known.source}, Speech Commands, {known.outputs} words",
                "error": 1 - known.accuracy,
                **cost.columns(rate),
            }
        )
    return scaled_frame(pd.DataFrame(rows)) if rows else pd.DataFrame()
