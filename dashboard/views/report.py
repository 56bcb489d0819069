"""Report: the decision as a document, of chosen designs, sections and machines.

The document is `dse.report`'s, the same that `dse report` writes; the preview is its HTML, in a
frame of its own, whatever format is downloaded.
"""

import dataclasses
import re
import shlex

import streamlit as st

from cost_models.strict_yaml import dump_yaml
from dashboard.links import choose_many
from dashboard.machines import machine_names, machine_source
from dashboard.session import current_study, page
from dashboard.shortlist import shortlist
from dashboard.studies import StudyFrame, signature
from dashboard.texts import sentence
from dashboard.views.compare import name_designs
from dse.errors import InvalidInput
from dse.report import FORMATS, Report, Use, render, study_report

KINDS = {
    "html": "text/html",
    "pdf": "application/pdf",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
NAMES = {
    "html": "HTML, one file",
    "pdf": "PDF",
    "md": "Markdown and plots (ZIP)",
    "csv": "tables as CSV (ZIP)",
    "json": "JSON",
    "xlsx": "Excel",
}
MOST_DESIGNS = 8


@page("Report")
def main() -> None:
    """Draw the page."""
    study = current_study()
    if study.frame.empty:
        st.info("Nothing was evaluated yet: let `dse search` go on.")
        return
    names = name_designs(study)
    left, right = st.columns(2)
    keys = choose_many(
        left,
        "Designs that are broken down; none: those that the answer is about",
        list(names),
        "reported",
        default=shortlist(study)[:MOST_DESIGNS],
        most=MOST_DESIGNS,
        format_func=lambda key: names[key],
    )
    machines = choose_many(
        right,
        "Priced on further machines, too",
        machine_names(),
        "report_machines",
        default=(),
        most=4,
    )
    rate, battery, max_error = _use_and_limit(study)
    # A report is of networks: one that stands on several machines is in it once.
    networks = tuple(dict.fromkeys(each.partition("@")[0] for each in keys))
    report = _report(
        signature(study.of.folder),
        networks,
        tuple(machine_source(name) for name in machines),
        rate,
        battery,
        max_error,
    )
    titles = [section.title for section in report.sections]
    wanted = st.multiselect("Sections", titles, default=titles, key="report_sections")
    kept = tuple(section for section in report.sections if section.title in wanted)
    if not kept:
        st.info("Choose at least one section.")
        return
    _downloads(dataclasses.replace(report, sections=kept))
    _designs(study, keys)


def _use_and_limit(study: StudyFrame) -> tuple[float, float, float | None]:
    """Inferences a second, battery in mWh, and the error in percent that the reader can bear."""
    left, middle, right = st.columns(3)
    usual = min(max(study.use.inferences_per_second, 0.001), 100_000.0)
    rate = left.number_input(
        "Inferences a second", 0.001, 100_000.0, usual, key="report_rate", bind="query-params"
    )
    battery = middle.number_input(
        "Battery (mWh)",
        1.0,
        1e6,
        650.0,
        key="report_battery",
        help="650 mWh: a CR2032",
        bind="query-params",
    )
    max_error = right.number_input(
        "Error that you can bear, at most (%)",
        0.0,
        100.0,
        None,
        key="max_error",
        placeholder="any: the lowest error is the answer",
        help="the answer is the cheapest design within it, as of `dse report --max-error`",
        bind="query-params",
    )
    return rate, battery, max_error


# `mark` begins with the folder and changes with the study's files: no report is of old rows.
@st.cache_data(max_entries=8, show_spinner="Writing the report …")
def _report(
    mark: tuple[object, ...],
    keys: tuple[str, ...],
    machines: tuple[str, ...],
    rate: float,
    battery: float,
    max_error: float | None,
) -> Report:
    from pathlib import Path

    use = Use(inferences_per_second=rate, battery_mwh=battery)
    folder = Path(str(mark[0]))
    return study_report(folder, machines=machines, chosen=keys, use=use, max_error=max_error)


def _downloads(report: Report) -> None:
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    form = left.selectbox("Format", FORMATS, format_func=lambda f: NAMES.get(f, f), key="format")
    try:
        content = render(report, form)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    ending = form if form in KINDS else f"{form}.zip"
    right.download_button(
        "Download",
        content,
        file_name=f"{report.name}.{ending}",
        key="download_report",
        mime=KINDS.get(form, "application/zip"),
        type="primary",
        icon=":material/download:",
    )
    st.caption("Preview")
    st.iframe(render(report, "html").decode(), height=800)


def _designs(study: StudyFrame, keys: list[str]) -> None:
    """The chosen designs as files, and the command that exports one."""
    for key in keys:
        row = study.find_row(key)
        point = None if row is None else study.of.build_point(row)
        if row is None or point is None:
            continue
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", row.name).strip("-.") or key
        left, right = st.columns([1, 3], vertical_alignment="center")
        left.download_button(
            f"{name}.yaml",
            dump_yaml(point.to_dict()),
            file_name=f"{name}.yaml",
            mime="application/yaml",
            icon=":material/download:",
            key=f"yaml_{key}",
        )
        # The name of the folder alone: paths of this machine are nobody else's business.
        trained = f"{study.of.folder.name}/designs/{row.key}/best.pt"
        right.code(f"dse export onnx {shlex.quote(trained)}", language="sh")


if __name__ == "__main__":
    main()
