"""Frontier: what there is to choose from, and what each choice costs."""

import importlib.util

import pandas as pd
import streamlit as st

from dashboard.charts import (
    chosen,
    frontier_chart,
    parallel_chart,
    picked,
    sample_of,
    scaled_frame,
)
from dashboard.links import choose_one
from dashboard.session import current_study, open_design, page, rows_or_stop
from dashboard.studies import FULL, Study, read_confirmed
from dashboard.texts import figure, label, plain, table_csv
from dashboard.theme import STATUS_HELP
from dse.comparison import why_not_on_frontier
from dse.frontier import hypervolume_share
from dse.results import OBJECTIVE_COLUMNS, Evaluation, first_cost
from dse.units import LABELS

COLUMNS = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
MOST_ROWS = 5_000  # of the table; the file to download has all


@page("Which design, on which machine")
def main() -> None:
    """Draw the page."""
    study = current_study()
    _numbers(study)
    rows_or_stop(study)
    frame = scaled_frame(study.frame)
    x, y, colour, shape, log_x, log_y, kind = _controls(study, frame)
    shown = _filtered(frame)
    wide, narrow = st.columns([3, 1.15], gap="medium")
    with wide:
        selection = _plot(study, shown, x, y, colour, shape, log_x, log_y, kind)
    inside = chosen(shown, selection)
    with narrow:
        _side_panel(study, inside, picked(selection), boxed=len(inside) < len(shown))
    _table(inside, study)


def _numbers(study: Study) -> None:
    frame, record = study.frame, study.record
    cells = st.columns(4)
    cells[0].metric("candidates priced", f"{study.candidates:,}")
    cells[1].metric("designs trained", f"{int(study.networks.sum()):,}")
    cells[2].metric("on the frontier", f"{int(frame['frontier'].sum()):,}")
    # Only the frontier counts for the hypervolume, so only its rows are built.
    share = hypervolume_share(study.rows_where(frame["frontier"]), record.box)
    cells[3].metric(
        "hypervolume",
        f"{share:.3f}",
        help="share of the box between the cheapest and dearest feasible design and error 0 to 1",
    )
    limits = ", ".join(f"{name} {bound:,.6g}" for name, bound in record.limits.items())
    st.caption(plain(f"Priced on {record.machine}. Limits: {limits or 'none'}."))


def _controls(study: Study, frame: pd.DataFrame) -> tuple[str, str, str, str, bool, bool, str]:
    axes = [name for name in frame.columns if name.startswith("axis_")]
    machine = ["accelerator"] if study.several_machines else []
    names = ["kind", *machine, *axes, *COLUMNS, "source"]
    cells = st.columns(4)
    first = COLUMNS.index(first_cost(study.record.objectives))
    x = choose_one(cells[0], "Across", COLUMNS, "x", index=first, format_func=label)
    y = choose_one(cells[1], "Up", COLUMNS, "y", format_func=label)
    colour = choose_one(cells[2], "Colour", names, "colour", format_func=label)
    symbols = ["kind", *(n for n in (*machine, *axes) if frame[n].nunique() <= 7)]
    shape = choose_one(cells[3], "Symbol", symbols, "symbol", format_func=label)
    with st.container(horizontal=True, vertical_alignment="center"):
        kind = st.segmented_control(
            "View", ["2-D", "3-D", "parallel"], default="2-D", required=True, key="view",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        log_x = st.toggle("logarithmic across", True, key="log_x", bind="query-params")
        log_y = st.toggle("logarithmic up", False, key="log_y", bind="query-params")
    return x, y, colour, shape, log_x, log_y, kind


def _filtered(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the statuses and with the designs' names that are asked for."""
    with st.expander("Filter", icon=":material/filter_alt:"):
        left, right = st.columns(2)
        there = frame["status"].dropna().unique().tolist()
        statuses = left.multiselect(
            "Status", there, default=[s for s in there if s in (*FULL, "stopped", "infeasible")],
            help="; ".join(f"{name}: {text}" for name, text in STATUS_HELP.items()),
        )  # fmt: skip
        word = right.text_input("Design or baseline contains", key="contains", bind="query-params")
        only = left.toggle("Frontier only", key="frontier_only", bind="query-params")
        most = right.number_input(
            "Error at most (%)", min_value=0.0, max_value=100.0, value=None, key="most_error",
            placeholder="any", help="leaves out designs that are not trained",
        )  # fmt: skip
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
    study: Study, shown: pd.DataFrame, x: str, y: str, colour: str, shape: str, log_x: bool,
    log_y: bool, kind: str,
) -> dict[str, object] | None:  # fmt: skip
    if shown.empty:
        st.info("No design passes the filter: widen it.")
        return None
    drawn = sample_of(shown)
    if kind == "parallel":
        columns = st.multiselect(
            "Columns", COLUMNS, default=["error", "energy_pj", "latency_us", "trained_parameters"],
            format_func=label,
        )  # fmt: skip
        lines = drawn[drawn["status"].isin(FULL)].dropna(subset=columns).head(500)
        if len(columns) > 1 and len(lines):
            st.altair_chart(parallel_chart(lines, columns, colour), key="lines")
        else:
            st.info("Choose at least two columns that trained designs have.")
        return None
    if kind == "3-D":
        _plot_3d(drawn, x, y, colour)
        return None
    confirmed = read_confirmed(study.record.folder)
    chart = frontier_chart(
        drawn, x, y, colour=colour, shape=shape, log_x=log_x, log_y=log_y,
        limits=study.record.limits, confirmed=confirmed,
    )  # fmt: skip
    event = st.altair_chart(chart, key="plot", on_select="rerun")
    rest = f" Drawn: all of the frontier and {len(drawn):,} of {len(shown):,} points; tables and " \
           "selections count all." if len(drawn) < len(shown) else ""  # fmt: skip
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
    return dict(event.selection) if event else None


def _plot_3d(drawn: pd.DataFrame, x: str, y: str, colour: str) -> None:
    others = [name for name in COLUMNS if name not in (x, y)]
    depth = choose_one(st, "Depth", others, "depth", format_func=label)
    if importlib.util.find_spec("plotly") is None:
        st.info("Three dimensions need Plotly: `pip install plotly`. The other views do not.")
        return
    from dashboard.solid import solid_figure

    st.plotly_chart(solid_figure(drawn, x, y, depth, colour), key="solid")


def _side_panel(study: Study, inside: pd.DataFrame, key: str | None, boxed: bool) -> None:
    """The picked design, or what the box holds."""
    row = study.row_of(key) if key else None
    if row is not None:
        _picked_design(study, row)
        return
    st.subheader("In the box" if boxed else "In the plot", anchor=False)
    trained = inside[inside["status"].isin(FULL)]
    st.text(f"{len(inside):,} designs, {len(trained):,} trained, "
            f"{int(inside['frontier'].sum()):,} on the frontier")  # fmt: skip
    if len(trained):
        for name in dict.fromkeys(("error", *study.record.objectives)):
            low, mid, high = trained[name].min(), trained[name].median(), trained[name].max()
            st.text(f"{label(name)}:\n{low:.3g} … {high:.3g}, median {mid:.3g}")
        best = trained.sort_values("error").iloc[0]
        st.text(f"Least error: {best['name']}")
        if st.button("Open it", key="open_best", icon=":material/open_in_new:"):
            open_design(str(best["key"]))
    st.caption("Click a point to see the design.")


def _picked_design(study: Study, row: Evaluation) -> None:
    st.subheader(plain(row.name or row.key), anchor=False)
    st.text(f"trial {row.trial}, {row.status}, key {row.key}")
    if study.several_machines:
        st.text(f"on {row.accelerator}")
    if row.reason:
        st.text(row.reason)
    figures = {label(name).split(" (")[0]: figure(row.column(name), name)
               for name in ("error", "energy_pj", "latency_us", "area_um2", "trained_parameters",
                            "stored_bits", "generated_weights")}  # fmt: skip
    st.dataframe(pd.DataFrame({"": figures.keys(), "value": figures.values()}), hide_index=True)
    if row.status in FULL:
        near = study.frame["status"].isin(FULL) & (
            study.frame[list(study.record.objectives)]
            <= [row.column(name) for name in study.record.objectives]
        ).all(axis=1)
        why = why_not_on_frontier(row, study.rows_where(near), study.record.objectives)
        st.text(why or "On the frontier: no trained design is better in all objectives.")
    if st.button("Open the design", type="primary", icon=":material/open_in_new:", key="open"):
        open_design(row.key)


def _table(inside: pd.DataFrame, study: Study) -> None:
    axes = [name for name in inside.columns if name.startswith("axis_")]
    machine = ["accelerator"] if study.several_machines else []
    names = [
        "frontier",
        "trial",
        "name",
        *machine,
        "status",
        *COLUMNS,
        *axes,
        "source",
        "reason",
        "key",
    ]
    ordered = inside.sort_values(["frontier", "error"], ascending=[False, True])[names]
    ordered = ordered.rename(columns={name: label(name) for name in names})
    config = {
        label(name): st.column_config.NumberColumn(format="%.5g" if LABELS[name][1] else "%,d")
        for name in COLUMNS
    }
    event = st.dataframe(
        ordered.head(MOST_ROWS), hide_index=True, key="designs", on_select="rerun",
        selection_mode="single-row", column_config=config,
    )  # fmt: skip
    left, right = st.columns([1, 4])
    rows = event.selection["rows"] if event else []
    if rows and left.button("Open the selected design", key="open_row"):
        open_design(str(ordered.iloc[rows[0]]["key"]))
    right.download_button(
        "Download these designs as CSV", lambda: table_csv(ordered),
        file_name="designs.csv", mime="text/csv", icon=":material/download:",
    )  # fmt: skip


if __name__ == "__main__":
    main()
