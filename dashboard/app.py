"""The dashboard's page: the frontier of a study, its designs, and one design in full.

Run by `dse dashboard FOLDER`; the folder is a study, or holds studies.
"""

import os
import sys
from pathlib import Path

import pandas as pd
import streamlit as st

from dse.errors import InvalidInput
from dse.figures import frontier_figure, history_figure
from dse.frontier import frontier_of, hypervolume_share
from dse.record import DESIGNS, RESOLVED, StudyRecord, read_record
from dse.results import Evaluation, read_rows
from dse.units import LABELS, axis_label, scaled

STATUS_HELP = {
    "trained": "within the limits, trained",
    "infeasible": "over a limit: priced, not trained",
    "duplicate": "trained before under another number",
    "invalid": "no such network, or the machine cannot execute it",
    "failed": "training gave no number",
}


def find_studies(folder: Path) -> dict[str, Path]:
    """Name -> folder of the studies in a folder, or of the folder itself."""
    candidates = [folder, *sorted(folder.iterdir())]
    # os.path.exists is False, where Path.exists raises, for a folder that may not be read.
    return {path.name: path for path in candidates if os.path.exists(path / RESOLVED)}


def designs_table(rows: list[Evaluation], front: list[Evaluation]) -> pd.DataFrame:
    """The rows with units in their headings, frontier first."""
    keys = {row.key for row in front}
    records = [
        {
            "frontier": row.key in keys and row.status == "trained",
            "trial": row.trial,
            "design": row.name,
            "status": row.status,
            **{axis_label(name): scaled(row.column(name), name) for name in LABELS},
            "reason": row.reason,
            "key": row.key,
        }
        for row in rows
    ]
    table = pd.DataFrame(records)
    return table.sort_values(["frontier", axis_label("error")], ascending=[False, True])


def show_study(record: StudyRecord, rows: list[Evaluation]) -> None:
    """One study: counts, frontier, table, and one design."""
    front = frontier_of(rows, record.objectives)
    trained = [row for row in rows if row.status == "trained"]
    numbers = st.columns(4)
    numbers[0].metric("candidates priced", f"{len(rows):,}")
    numbers[1].metric("designs trained", f"{len(trained):,}")
    numbers[2].metric("on the frontier", f"{len(front):,}")
    numbers[3].metric(
        "hypervolume",
        f"{hypervolume_share(rows, record.box):.3f}",
        help="share of the box between the cheapest and dearest feasible design and error 0 to 1",
    )
    if not trained:
        st.info("No design is trained yet. Let `dse search` go on, or widen the limits.")
        return
    st.pyplot(frontier_figure(rows, record))
    limits = ", ".join(f"{name} {bound:,.6g}" for name, bound in record.limits.items())
    st.caption(f"Priced on {record.machine}. Limits: {limits or 'none'}.")
    chosen = st.multiselect(
        "Status",
        list(STATUS_HELP),
        default=["trained"],
        help="; ".join(f"{name}: {text}" for name, text in STATUS_HELP.items()),
    )
    shown = designs_table([row for row in rows if row.status in chosen] or trained, front)
    st.dataframe(shown, hide_index=True)
    show_design(record, {f"trial {row.trial}: {row.name}": row for row in front})


def show_design(record: StudyRecord, front: dict[str, Evaluation]) -> None:
    """Learning curve and costs of one frontier design."""
    row = front[st.selectbox("Frontier design", list(front))]
    left, right = st.columns(2)
    costs = pd.DataFrame(
        {"value": {axis_label(name): scaled(row.column(name), name) for name in LABELS}}
    )
    left.dataframe(costs)
    history = record.folder / DESIGNS / row.key / "history.csv"
    if history.exists():
        right.pyplot(history_figure(pd.read_csv(history)))
    else:
        right.info("The learning curve of this design is not in the study's folder.")


def main(folder: Path) -> None:
    """Draw the page."""
    st.set_page_config(page_title="ternary-dse", layout="wide")
    st.title("Which design, on which machine")
    studies = find_studies(folder) if folder.is_dir() else {}
    if not studies:
        st.info("There is no study here yet. Start one with `dse search examples/demo.yaml`.")
        return
    name = st.sidebar.selectbox("Study", list(studies))
    st.sidebar.button("Reload")
    try:
        record = read_record(studies[name])
        show_study(record, read_rows(studies[name]))
    except InvalidInput as error:
        st.error(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("studies"))
