"""Report: the decision as a document, of chosen designs, sections and machines.

The document is `dse.report`'s, the same that `dse report` writes; the preview is its HTML, in a
frame of its own, whatever format is downloaded.
"""

import dataclasses
import functools
import importlib.util
import re
import shlex

import streamlit as st

from cost_models.strict_yaml import dump_yaml
from dashboard.links import choose_many
from dashboard.machines import machine_names, machine_source
from dashboard.session import current_study, page
from dashboard.shortlist import shortlist
from dashboard.studies import StudyFrame, signature
from dashboard.views.compare import name_designs
from dse.report import FORMATS, Report, Use, render, study_report
from dse.report.content import Section

KINDS = {
    "html": "text/html",
    "pdf": "application/pdf",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
NAMES = {
    "html": "HTML",
    "pdf": "PDF",
    "md": "Markdown (ZIP)",
    "csv": "CSV (ZIP)",
    "json": "JSON",
    "xlsx": "Excel",
}
NEEDS = {"pdf": ("reportlab", "pypdf"), "xlsx": ("xlsxwriter",)}
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
    kept = _kept_sections(report)
    if not kept:
        st.info("All sections are left out: take one back.")
        return
    _downloads(dataclasses.replace(report, sections=kept))
    _designs(study, keys)


def _kept_sections(report: Report) -> tuple[Section, ...]:
    """All but those that are left out: what is new, such as another design's, is in the report."""
    titles = {section.name: section.title for section in report.sections}
    out = choose_many(
        st,
        "Sections that are left out",
        list(titles),
        "left_out",
        default=(),
        most=len(titles),
        format_func=titles.__getitem__,
    )
    return tuple(section for section in report.sections if section.name not in out)


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
    error = study.asked.name_column(study.asked.measured)
    max_error = right.number_input(
        f"{error[:1].upper()}{error[1:]} that you can bear, at most (%)",
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
    """A button a format, and the preview.

    No choice of a format before: a click that is quicker than the page would download the one
    before. A file is made when its button is pressed, which says meanwhile that it is.
    """
    with st.container(horizontal=True):
        for form in FORMATS:
            ending = form if form in KINDS else f"{form}.zip"
            st.download_button(
                NAMES.get(form, form),
                functools.partial(_content, report, form),
                file_name=f"{report.name}.{ending}",
                key=f"download_{form}",
                mime=KINDS.get(form, "application/zip"),
                type="primary" if form == "html" else "secondary",
                icon=":material/download:",
                on_click="ignore",
                disabled=not _can_make(form),
                help="" if _can_make(form) else "pip install 'ternary-dse[report]'",
            )
    st.caption("Preview")
    with st.spinner("Drawing the preview …"):
        page = render(report, "html").decode()
    st.iframe(page, height=800)


def _content(report: Report, form: str) -> bytes:
    content: bytes = render(report, form)
    return content


def _can_make(form: str) -> bool:
    """Whether the libraries of a format are installed."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDS.get(form, ()))


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
