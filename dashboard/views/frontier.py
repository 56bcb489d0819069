"""Frontier: what there is to choose from, and what each choice costs.

Two frames with the same index are on this page: `study.frame` in base units, with which rows are
compared and masks are made, and `study.scaled` in the units of people, which is drawn and listed.
A filter narrows the second one; its index still finds the rows of the first.
"""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard.charts import HEIGHT, draw_sample, parallel
from dashboard.frontier_chart import Selected, frontier_chart
from dashboard.links import choose_one
from dashboard.literature import published_points
from dashboard.session import current_study, open_design, page, rows_or_stop
from dashboard.studies import StudyFrame, table_of_confirmed
from dashboard.texts import STATUS_HELP, figure, label, plain
from dse.columns import LABELS, OBJECTIVE_COLUMNS
from dse.sheets import csv_frame
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import FULL, Evaluation

COLUMNS = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
MOST_LINES = 400  # of dominated designs, in parallel coordinates
MOST_ROWS = 1_000  # of the table; the file to download has all


@dataclass(frozen=True, slots=True)
class View:
    """What the plot shows: columns, and how."""

    x: str
    y: str
    colour: str
    shape: str
    log_x: bool
    log_y: bool
    published: bool
    """Networks of the literature are drawn, too."""
    parallel: bool
    """Lines through several columns instead of points."""


@page("Which design, on which machine")
def main() -> None:
    """Draw the page."""
    study = current_study()
    _numbers(study)
    rows_or_stop(study)
    frame = study.scaled
    view = _controls(study, frame)
    shown = _filtered(frame, study.asked.measured)
    wide, narrow = st.columns([3, 1.15], gap="medium")
    with wide:
        selected = _plot(study, shown, view)
    inside = shown if selected.inside is None else shown[selected.inside]
    with narrow:
        _side_panel(study, inside, selected.design, selected=inside is not shown)
    _table(inside, study)


def _numbers(study: StudyFrame) -> None:
    frame, asked = study.frame, study.asked
    cells = st.columns(4)
    cells[0].metric("candidates priced", f"{study.candidates:,}")
    cells[1].metric("designs trained", f"{int(study.networks.sum()):,}")
    cells[2].metric("on the frontier", f"{int(frame['frontier'].sum()):,}")
    # Only the frontier counts for the hypervolume, so only its rows are built.
    share = hypervolume_share(study.rows_where(frame["frontier"]), study.of.begun.box)
    cells[3].metric(
        "hypervolume",
        f"{share:.3f}",
        help="share of the box between the cheapest and dearest feasible design and error 0 to 1",
    )
    limits = ", ".join(f"{name} {bound:,.6g}" for name, bound in asked.limits.items())
    st.caption(plain(f"Priced on {asked.machine_words}. Limits: {limits or 'none'}."))


def _known(frame: pd.DataFrame) -> list[str]:
    """Columns that the study has figures of."""
    return [name for name in COLUMNS if name in frame and frame[name].notna().any()]


def _controls(study: StudyFrame, frame: pd.DataFrame) -> View:
    axes = [name for name in frame.columns if name.startswith("axis_")]
    columns = _known(frame)
    machine = ["accelerator"] if study.asked.several_machines else []
    names = ["kind", *machine, *axes, *columns, "source"]
    cells = st.columns(4)
    asked = [study.of.cost_objective, study.asked.measured]
    first, second = (columns.index(name) if name in columns else 0 for name in asked)
    x = choose_one(cells[0], "Across", columns, "x", index=first, format_func=label)
    y = choose_one(cells[1], "Up", columns, "y", index=second, format_func=label)
    colour = choose_one(cells[2], "Colour", names, "colour", format_func=label)
    symbols = ["kind", *(n for n in (*machine, *axes) if frame[n].nunique() <= 7)]
    shape = choose_one(cells[3], "Symbol", symbols, "symbol", format_func=label)
    with st.container(horizontal=True, vertical_alignment="center"):
        kind = st.segmented_control(
            "View",
            ["points", "parallel"],
            default="points",
            required=True,
            key="view",
            bind="query-params",
            label_visibility="collapsed",
        )
        log_x = st.toggle("logarithmic across", True, key="log_x", bind="query-params")
        log_y = st.toggle("logarithmic up", False, key="log_y", bind="query-params")
        published = st.toggle(
            "published networks",
            key="published",
            bind="query-params",
            help="hollow: priced on this machine; their errors are those of their papers, on other "
            "recordings than these, so they say what others reached, not what these would",
        )
    return View(x, y, colour, shape, log_x, log_y, published, kind == "parallel")


def _filtered(frame: pd.DataFrame, measured: str) -> pd.DataFrame:
    """Rows of the statuses and with the designs' names that are asked for."""
    with st.expander("Filter", icon=":material/filter_alt:"):
        left, right = st.columns(2)
        there = frame["status"].dropna().unique().tolist()
        statuses = left.multiselect(
            "Status",
            there,
            default=[s for s in there if s in (*FULL, "stopped", "infeasible")],
            help="; ".join(f"{name}: {text}" for name, text in STATUS_HELP.items()),
        )
        word = right.text_input("Design or baseline contains", key="contains", bind="query-params")
        only = left.toggle("Frontier only", key="frontier_only", bind="query-params")
        most = right.number_input(
            f"{LABELS[measured][0].capitalize()} at most (%)",
            min_value=0.0,
            max_value=100.0,
            value=None,
            key="most_error",
            placeholder="any",
            help="leaves out designs that are not trained",
        )
    mask = frame["status"].isin(statuses) & frame["cost_known"]
    if word:
        text = frame["name"].fillna("") + " " + frame["source"].fillna("")
        mask &= text.str.contains(word, regex=False, case=False)
    if only:
        mask &= frame["frontier"]
    if most is not None:
        mask &= frame[measured] <= most
    return frame[mask]


def _plot(study: StudyFrame, shown: pd.DataFrame, view: View) -> Selected:
    """Draw the plot; the designs that are selected in it, and the one that was clicked."""
    if shown.empty:
        st.info("No design passes the filter: widen it.")
    elif view.parallel:
        _plot_parallel(shown, view.colour, study.asked.measured)
    elif shown[view.x].isna().all():
        st.info(f"No design here has a figure for {label(view.x)}: choose another column.")
    else:
        return _plot_points(study, shown, view)
    return Selected()


def _plot_parallel(shown: pd.DataFrame, colour: str, measured: str) -> None:
    columns = st.multiselect(
        "Columns",
        _known(shown),
        format_func=label,
        default=[measured, "energy_pj", "latency_us", "trained_parameters"],
    )
    lines = shown[shown["status"].isin(FULL)].dropna(subset=columns)
    lines = draw_sample(lines, MOST_LINES)
    if len(columns) > 1 and len(lines):
        st.echarts_chart(parallel(lines, columns, colour), key="lines", height=HEIGHT)
    else:
        st.info("Choose at least two columns that trained designs have.")


def _plot_points(study: StudyFrame, shown: pd.DataFrame, view: View) -> Selected:
    # Fresh seeds are told of the error that the study minimises, and of no other.
    confirmed = table_of_confirmed(study.of) if view.y == study.asked.measured else None
    others = published_points(study) if view.published else None
    chart = frontier_chart(
        shown,
        view.x,
        view.y,
        colour=view.colour,
        shape=view.shape,
        log_x=view.log_x,
        log_y=view.log_y,
        limits=study.asked.limits,
        confirmed=confirmed,
        published=others if others is not None and {view.x, view.y} <= set(others) else None,
    )
    selected = chart.show("plot")
    st.caption(
        "Click a point for its details; take the box or the lasso above the plot to select, "
        "double-click to clear. Green stairs: the frontier of these two columns among the designs "
        "on the study's frontier; faint points are dominated; grey ticks at the foot have no error."
        + (
            " Pink: mean test error of fresh seeds with its interval."
            if confirmed is not None
            else ""
        )
    )
    return selected


def _side_panel(
    study: StudyFrame, inside: pd.DataFrame, design: str | None, selected: bool
) -> None:
    """The picked design, or what the box holds."""
    row = study.find_row(design) if design else None
    if row is not None:
        _picked_design(study, row, str(design))
        return
    st.subheader("Selected" if selected else "In the plot", anchor=False)
    trained = inside[study.trained.loc[inside.index]]
    st.text(
        f"{len(inside):,} designs, {len(trained):,} trained, "
        f"{int(inside['frontier'].sum()):,} on the frontier"
    )
    if len(trained):
        measured = study.asked.measured
        for name in dict.fromkeys((measured, *study.asked.objectives)):
            low, mid, high = trained[name].min(), trained[name].median(), trained[name].max()
            st.text(f"{label(name)}:\n{low:.3g} … {high:.3g}, median {mid:.3g}")
        best = trained.sort_values(measured).iloc[0]
        st.text(f"Least {LABELS[measured][0]}: {best['name']}")
        if st.button("Open it", key="open_best", icon=":material/open_in_new:"):
            open_design(str(best["design"]))
    st.caption("Click a point to see the design.")


def _picked_design(study: StudyFrame, row: Evaluation, design: str) -> None:
    """The figures of one design, and in a sentence what keeps it off the frontier."""
    st.subheader(plain(row.name or row.key), anchor=False)
    st.text(f"trial {row.trial}, {row.status}, key {row.key}")
    if study.asked.several_machines:
        st.text(f"on {row.accelerator}")
    if row.reason:
        st.text(row.reason)
    figures = {
        label(name).split(" (")[0]: figure(row.column(name), name)
        for name in dict.fromkeys(
            (
                study.asked.measured,
                "error",
                "energy_pj",
                "latency_us",
                "area_um2",
                "trained_parameters",
                "stored_bits",
                "generated_weights",
            )
        )
    }
    st.dataframe(pd.DataFrame({"": figures.keys(), "value": figures.values()}), hide_index=True)
    if row.full:
        st.text(
            study.say_why_not(row)
            or "On the frontier: no trained design is better in all objectives."
        )
    if st.button("Open the design", type="primary", icon=":material/open_in_new:", key="open"):
        open_design(design)


def _table(inside: pd.DataFrame, study: StudyFrame) -> None:
    """What is selected as rows, the frontier first; a file of all is made when it is asked for.

    A browser gets the first `MOST_ROWS`. The selected row comes back as a place in these, and may
    be of a run before the filter changed: hence the check against their number.
    """
    ordered = inside.sort_values(["frontier", study.asked.measured], ascending=[False, True])
    axes = [name for name in inside.columns if name.startswith("axis_")]
    columns = _known(study.frame)
    machine = ["accelerator"] if study.asked.several_machines else []
    names = [
        "frontier",
        "trial",
        "name",
        *machine,
        "status",
        *columns,
        *axes,
        "source",
        "reason",
        "key",
    ]
    first = ordered.head(MOST_ROWS)
    config = {
        label(name): st.column_config.NumberColumn(format="%.5g" if LABELS[name][1] else "%,d")
        for name in columns
    }
    event = st.dataframe(
        first[names].rename(columns={name: label(name) for name in names}),
        hide_index=True,
        key="designs",
        on_select="rerun",
        selection_mode="single-row",
        column_config=config,
    )
    if len(ordered) > len(first):
        st.caption(f"The first {len(first):,} of {len(ordered):,} designs; the file has all.")
    rows = event.selection["rows"] if event else []
    with st.container(horizontal=True):
        if rows and rows[0] < len(first) and st.button("Open the selected design", key="open_row"):
            open_design(str(first.iloc[rows[0]]["design"]))
        st.download_button(
            "Download these designs as CSV",
            lambda: csv_frame(ordered[names].rename(columns={name: label(name) for name in names})),
            file_name="designs.csv",
            mime="text/csv",
            icon=":material/download:",
        )


if __name__ == "__main__":
    main()
