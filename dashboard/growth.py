"""How the hypervolume of a study grew, with trainings and with hours."""

from dataclasses import asdict
from typing import Any

import altair as alt
import pandas as pd

from dashboard.studies import StudyFrame
from dashboard.theme import GREEN
from dse.studies.growth import growth


def growth_table(study: StudyFrame) -> pd.DataFrame:
    """The steps of `dse.studies.growth`, a row each.

    Args:
        study: with at least one trained design.
    """
    frame = study.frame
    # A network that the study has on several machines was trained once.
    trained = frame["error"].notna() & ~frame.duplicated(["trial", "source", "key"])
    return pd.DataFrame(map(asdict, growth(study.rows_where(trained), study.of)))


def growth_chart(grown: pd.DataFrame) -> Any:
    """The hypervolume as stairs over the trainings."""
    return (
        alt.Chart(grown[["trainings", "hours", "hypervolume"]])
        .mark_line(interpolate="step-after", color=GREEN, point=len(grown) < 40)
        .encode(
            x=alt.X("trainings:Q", title="trainings", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("hypervolume:Q", title="hypervolume", scale=alt.Scale(zero=False)),
            tooltip=[
                alt.Tooltip("trainings:Q", title="trainings", format=","),
                alt.Tooltip("hours:Q", title="hours of training", format=".3~g"),
                alt.Tooltip("hypervolume:Q", title="hypervolume", format=".4f"),
            ],
        )
        .properties(height=200)
    )
