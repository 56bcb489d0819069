"""How the hypervolume of a study grew, with trainings and with hours.

The hypervolume is the share of a box that the frontier dominates; the box is fixed when a study
begins, so the curve never falls. Where it has become level, further trainings find nothing better.
"""

from dataclasses import asdict

import pandas as pd

from dashboard.charts import Option, axis, chart, line
from dashboard.studies import StudyFrame
from dse.colours import FRONTIER
from dse.studies.growth import growth

HOURS = "hours of training"


def growth_table(study: StudyFrame) -> pd.DataFrame:
    """The steps of `dse.studies.growth`, a row each.

    Args:
        study: with at least one trained design.
    """
    frame = study.frame
    # A network that the study has on several machines was trained once.
    trained = frame["error"].notna() & ~frame.duplicated(["trial", "source", "key"])
    return pd.DataFrame(map(asdict, growth(study.rows_where(trained), study.of)))


def growth_chart(grown: pd.DataFrame) -> Option:
    """The hypervolume as stairs over the trainings.

    Args:
        grown: of `growth_table`, at least one row. Across are trainings, since hours depend on the
            computer; they are told by hovering.
    """
    table = grown[["trainings", "hours", "hypervolume"]].rename(columns={"hours": HOURS})
    steps = line(
        "hypervolume",
        table,
        "trainings",
        "hypervolume",
        FRONTIER,
        hovered=["trainings", HOURS, "hypervolume"],
        dots=len(grown) < 40,
        step="end",
    )
    across = axis("trainings") | {"minInterval": 1}
    return chart([steps], legend={"show": False}, xAxis=across, yAxis=axis("hypervolume"))
