"""Frontier: what there is to choose from, and what each choice costs."""

import importlib.util

import pandas as pd
import streamlit as st

from dashboard.charts import BOX, PICK, chosen, parallel_chart, picked, sample_of
from dashboard.frontier_chart import frontier_chart
from dashboard.lasso_chart import draw_lasso
from dashboard.links import choose_one
from dashboard.literature import published_points
from dashboard.session import current_study, open_design, page, rows_or_stop
from dashboard.studies import FULL, StudyFrame, read_confirmed
from dashboard.texts import figure, label, plain, table_csv
from dashboard.theme import STATUS_HELP
from dse.columns import LABELS, OBJECTIVE_COLUMNS, first_cost
from dse.studies.comparison import why_not_on_frontier
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import Evaluation

COLUMNS = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
MOST_LINES = 400  # of dominated designs, in parallel coordinates
MOST_ROWS = 1_000  # of the table; the file to download has all


@page("Which design, on which machine")
def main() -> None:
    """Draw the page."""
    study = current_study()
    _numbers(study)
    rows_or_stop(study)
    frame = study.scaled
    x, y, colour, shape, log_x, log_y, kind = _controls(study, frame)
    shown = _filtered(frame)
    wide, narrow = st.columns([3, 1.15], gap="medium")
    with wide:
        inside, design = _plot(study, shown, x, y, colour, shape, log_x, log_y, kind)
    with narrow:
        _side_panel(study, inside, design, selected=inside is not shown)
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


def _controls(study: StudyFrame, frame: pd.DataFrame) -> tuple[str, str, str, str, bool, bool, str]:
    axes = [name for name in frame.columns if name.startswith("axis_")]
    columns = _known(frame)
    machine = ["accelerator"] if study.asked.several_machines else []
    names = ["kind", *machine, *axes, *columns, "source"]
    cells = st.columns(4)
    asked = [first_cost(study.asked.objectives), study.asked.measured]
    first, second = (columns.index(name) if name in columns else 0 for name in asked)
    x = choose_one(cells[0], "Across", columns, "x", index=first, format_func=label)
    y = choose_one(cells[1], "Up", columns, "y", index=second, format_func=label)
    colour = choose_one(cells[2], "Colour", names, "colour", format_func=label)
    symbols = ["kind", *(n for n in (*machine, *axes) if frame[n].nunique() <= 7)]
    shape = choose_one(cells[3], "Symbol", symbols, "symbol", format_func=label)
    with st.container(horizontal=True, vertical_alignment="center"):
        kind = st.segmented_control(
            "View",
            ["2-D", "lasso", "3-D", "parallel"],
            default="2-D",
            required=True,
            key="view",
            bind="query-params",
            label_visibility="collapsed",
        )
        log_x = st.toggle("logarithmic across", True, key="log_x", bind="query-params")
        log_y = st.toggle("logarithmic up", False, key="log_y", bind="query-params")
    return x, y, colour, shape, log_x, log_y, kind


def _filtered(frame: pd.DataFrame) -> pd.DataFrame:
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
            "Error at most (%)",
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
        mask &= frame["error"] <= most
    return frame[mask]


def _plot(
    study: StudyFrame,
    shown: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    shape: str,
    log_x: bool,
    log_y: bool,
    kind: str,
) -> tuple[pd.DataFrame, str | None]:
    """Draw the plot; the designs that are selected in it, and the one that was clicked."""
    if shown.empty:
        st.info("No design passes the filter: widen it.")
    elif kind == "parallel":
        _plot_parallel(shown, colour)
    elif kind == "3-D":
        _plot_3d(sample_of(shown), x, y, colour)
    elif kind == "lasso":
        return _plot_lasso(study, shown, x, y, colour, shape, log_x, log_y)
    else:
        return _plot_2d(study, shown, x, y, colour, shape, log_x, log_y)
    return shown, None


def _plot_parallel(shown: pd.DataFrame, colour: str) -> None:
    columns = st.multiselect(
        "Columns",
        _known(shown),
        format_func=label,
        default=["error", "energy_pj", "latency_us", "trained_parameters"],
    )
    lines = shown[shown["status"].isin(FULL)].dropna(subset=columns)
    lines = sample_of(lines, MOST_LINES)
    if len(columns) > 1 and len(lines):
        st.altair_chart(parallel_chart(lines, columns, colour), key="lines")
    else:
        st.info("Choose at least two columns that trained designs have.")


def _plot_lasso(
    study: StudyFrame,
    shown: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    shape: str,
    log_x: bool,
    log_y: bool,
) -> tuple[pd.DataFrame, str | None]:
    if shown[[x, y]].dropna().empty:
        st.info("No design here has figures in both columns: choose others.")
        return shown, None
    mask, design = draw_lasso(
        shown,
        x,
        y,
        colour,
        shape,
        log_x=log_x,
        log_y=log_y,
        limits=study.asked.limits,
        key="lasso",
    )
    st.caption(
        "Choose the lasso or the box in the corner of the plot, and draw round designs; click a "
        "point for its details; double-click to clear. Every design that has both figures is drawn."
    )
    return (shown if mask is None else shown[mask]), design


def _plot_2d(
    study: StudyFrame,
    shown: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    shape: str,
    log_x: bool,
    log_y: bool,
) -> tuple[pd.DataFrame, str | None]:
    drawn, confirmed = sample_of(shown), read_confirmed(study.of.folder)
    others = published_points(study) if st.session_state.get("published") else None
    chart = frontier_chart(
        drawn,
        x,
        y,
        colour=colour,
        shape=shape,
        log_x=log_x,
        log_y=log_y,
        limits=study.asked.limits,
        confirmed=confirmed,
        published=others if others is not None and {x, y} <= set(others) else None,
    )
    event = chart.show("plot", modes=[BOX, PICK], description="Designs and their frontier")
    rest = (
        f" Drawn: all of the frontier and {len(drawn):,} of {len(shown):,} points; tables and "
        "selections count all."
        if len(drawn) < len(shown)
        else ""
    )
    st.caption(
        "Drag a box to select, click a point for its details, double-click to clear. Green stairs: "
        "the frontier of these two columns among the designs on the study's frontier; faint "
        f"points are dominated; grey ticks at the foot have no error.{rest}"
        + (
            " Pink: mean test error of fresh seeds with its interval."
            if confirmed is not None and y == "error"
            else ""
        )
    )
    st.toggle(
        "Published networks",
        key="published",
        bind="query-params",
        help="hollow: priced on this machine; their errors are those of their papers, on other "
        "recordings than these, so they say what others reached, not what these would",
    )
    selection = dict(event.selection) if event else None
    return chosen(shown, selection), picked(selection)


def _plot_3d(drawn: pd.DataFrame, x: str, y: str, colour: str) -> None:
    others = [name for name in _known(drawn) if name not in (x, y)]
    depth = choose_one(st, "Depth", others, "depth", format_func=label)
    if importlib.util.find_spec("plotly") is None:
        st.info("Three dimensions need Plotly: `pip install plotly`. The other views do not.")
        return
    from dashboard.solid import solid_figure

    st.plotly_chart(solid_figure(drawn, x, y, depth, colour), key="solid")


def _side_panel(
    study: StudyFrame, inside: pd.DataFrame, design: str | None, selected: bool
) -> None:
    """The picked design, or what the box holds."""
    row = study.row_of(design) if design else None
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
        for name in dict.fromkeys(("error", *study.asked.objectives)):
            low, mid, high = trained[name].min(), trained[name].median(), trained[name].max()
            st.text(f"{label(name)}:\n{low:.3g} … {high:.3g}, median {mid:.3g}")
        best = trained.sort_values("error").iloc[0]
        st.text(f"Least error: {best['name']}")
        if st.button("Open it", key="open_best", icon=":material/open_in_new:"):
            open_design(str(best["design"]))
    st.caption("Click a point to see the design.")


def _picked_design(study: StudyFrame, row: Evaluation, design: str) -> None:
    st.subheader(plain(row.name or row.key), anchor=False)
    st.text(f"trial {row.trial}, {row.status}, key {row.key}")
    if study.asked.several_machines:
        st.text(f"on {row.accelerator}")
    if row.reason:
        st.text(row.reason)
    figures = {
        label(name).split(" (")[0]: figure(row.column(name), name)
        for name in (
            "error",
            "energy_pj",
            "latency_us",
            "area_um2",
            "trained_parameters",
            "stored_bits",
            "generated_weights",
        )
    }
    st.dataframe(pd.DataFrame({"": figures.keys(), "value": figures.values()}), hide_index=True)
    if row.status in FULL:
        near = study.frame["status"].isin(FULL) & (
            study.frame[list(study.asked.objectives)]
            <= [row.column(name) for name in study.asked.objectives]
        ).all(axis=1)
        why = why_not_on_frontier(row, study.rows_where(near), study.asked.objectives)
        st.text(why or "On the frontier: no trained design is better in all objectives.")
    if st.button("Open the design", type="primary", icon=":material/open_in_new:", key="open"):
        open_design(design)


def _table(inside: pd.DataFrame, study: StudyFrame) -> None:
    ordered = inside.sort_values(["frontier", "error"], ascending=[False, True])
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
            lambda: table_csv(ordered[names].rename(columns={name: label(name) for name in names})),
            file_name="designs.csv",
            mime="text/csv",
            icon=":material/download:",
        )


if __name__ == "__main__":
    main()
