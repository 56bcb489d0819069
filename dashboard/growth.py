"""How the hypervolume of a study grew, with designs trained and with hours of training."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.studies import Study
from dashboard.theme import GREEN
from dse.frontier import hypervolume, pareto_mask
from dse.results import MEASURED_COLUMNS

MOST_STEPS = 80
LEAST_COST = 1e-12  # costs of 0 have no logarithm


def growth(study: Study, most: int = MOST_STEPS) -> pd.DataFrame:
    """Hypervolume after so many trained designs, in the order of their rows.

    Args:
        study: with at least one trained design.
        most: steps; of more designs, every n-th is one.

    Returns:
        `trained`, `hours` of training, and `share` of the study's box, as
        `dse.frontier.hypervolume_share` has it.
    """
    frame, box = study.frame[study.trained], study.record.box
    seconds = frame["training_seconds"].astype(float).fillna(0.0).cumsum().to_numpy()
    points = np.stack([_in_box(frame[name], name, *box[name]) for name in box], axis=1)
    ends = np.unique(np.linspace(1, len(points), min(most, len(points))).round().astype(int))
    rows, front, begin = [], np.empty((0, len(box))), 0
    for end in ends.tolist():
        front = np.vstack([front, points[begin:end]])
        front, begin = front[pareto_mask(front)], end
        rows.append({"trained": end, "hours": seconds[end - 1] / 3600,
                     "share": hypervolume(front, np.ones(len(box)))})  # fmt: skip
    return pd.DataFrame(rows)


def _in_box(column: "pd.Series[float]", name: str, best: float, worst: float) -> Any:
    """A column from 0 at the best value of the box to 1 at the worst."""
    figures = column.astype(float).to_numpy()
    if name not in MEASURED_COLUMNS:
        figures = np.log10(np.maximum(figures, LEAST_COST))
    return np.maximum((figures - best) / (worst - best), 0.0)


def growth_chart(grown: pd.DataFrame) -> Any:
    """The hypervolume as stairs over the trained designs."""
    return (
        alt.Chart(grown)
        .mark_line(interpolate="step-after", color=GREEN, point=len(grown) < 40)
        .encode(
            x=alt.X("trained:Q", title="designs trained", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("share:Q", title="hypervolume", scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip("trained:Q", title="designs trained", format=","),
                     alt.Tooltip("hours:Q", title="hours of training", format=".3~g"),
                     alt.Tooltip("share:Q", title="hypervolume", format=".4f")],
        )
        .properties(height=200)
    )  # fmt: skip
