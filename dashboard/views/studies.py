"""Studies: all there are, how far they are, and what they came to."""

import datetime
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.session import NO_STUDY, load, look_at, page, settings
from dashboard.studies import find_studies, searching_process
from dashboard.texts import plain
from dse.errors import InvalidInput
from dse.frontier import hypervolume_share
from dse.results import FILE_NAME


@page("Studies")
def main() -> None:
    """Draw the page."""
    found = find_studies(settings().folders)
    if not found:
        st.info(NO_STUDY)
        return
    summaries = [_summary(label, folder) for label, folder in found.items()]
    table = pd.DataFrame(summaries)
    event = st.dataframe(
        table, hide_index=True, on_select="rerun", selection_mode="single-row", key="all_studies",
        column_config={
            "progress": st.column_config.ProgressColumn(
                format="percent", min_value=0, max_value=1
            ),
            "hypervolume": st.column_config.NumberColumn(format="%.3f"),
            "least error (%)": st.column_config.NumberColumn(format="%.1f"),
            "least energy (uJ)": st.column_config.NumberColumn(format="%.3g"),
        },
    )  # fmt: skip
    rows = event.selection["rows"] if event else []
    names = list(found)
    if not rows or rows[0] >= len(names):
        st.caption("Select a study to open, watch or clone it.")
        return
    _actions(names[rows[0]])


def _summary(label: str, folder: Path) -> dict[str, object]:
    process = searching_process(folder)
    summary: dict[str, object] = {"study": label, "state": "searching" if process else "idle"}
    try:
        study = load(label, folder)
    except InvalidInput as error:
        return summary | {"state": "damaged", "note": str(error)}
    frame, record = study.frame, study.record
    trained = frame[study.networks]
    wanted = record.resolved.get("trainings")
    done = len(trained) / wanted if isinstance(wanted, int) and wanted else None
    if not process and done is not None and done >= 1:
        summary["state"] = "done"
    return summary | {
        "progress": None if done is None else min(done, 1.0),
        "trained": len(trained),
        "priced": study.candidates,
        "failed": int((frame["status"] == "failed").sum()),
        "least error (%)": 100 * trained["error"].min() if len(trained) else None,
        "least energy (uJ)": 1e-6 * trained["energy_pj"].min() if len(trained) else None,
        "hypervolume": hypervolume_share(study.rows_where(frame["frontier"]), record.box),
        "machine": record.machine,
        "last row": _age(folder / FILE_NAME),
        "process": str(process or ""),
        "note": "",
    }


def _age(path: Path) -> str:
    """How long ago a file was written, in words."""
    try:
        written = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    except OSError:
        return "never"
    minutes = (datetime.datetime.now(datetime.UTC) - written).total_seconds() / 60
    for size, unit in ((60 * 24, "days"), (60, "hours")):
        if minutes >= 2 * size:
            return f"{minutes / size:.0f} {unit} ago"
    return f"{max(minutes, 0):.0f} minutes ago"


def _actions(name: str) -> None:
    st.subheader(plain(name), anchor=False)
    with st.container(horizontal=True):
        # Only a callback may change a choice that stands on the page already.
        if st.button("Open", type="primary", icon=":material/scatter_plot:", key="open_study",
                     on_click=look_at, args=(name,)):  # fmt: skip
            st.switch_page("views/frontier.py")
        if st.button("Watch, stop or go on", icon=":material/monitoring:", key="watch_study"):
            st.switch_page("views/watch.py", query_params={"watched": name})
        if not settings().read_only and st.button(
            "Clone", icon=":material/content_copy:", key="clone_study"
        ):
            st.session_state["clone"] = name
            st.session_state["launch_from"] = "a study of this folder"
            st.switch_page("views/launch.py")


if __name__ == "__main__":
    main()
