"""Frontier: what there is to choose from, and what each choice costs.

Two frames with the same index are on this page: `study.frame` in base units, with which rows are
compared and masks are made, and `study.scaled` in the units of people, which is drawn and listed.
A filter narrows the second one; its index still finds the rows of the first.

The plot comes first: a line that says what it is of, a row of tools, and then it. What is selected
in it, the budget and the shortlist stand beside it; the table is below.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import links
from dashboard.axes import draw_axes
from dashboard.budget import (
    Filter,
    affordable,
    best_within,
    best_words,
    choose_budget,
    choose_filter,
)
from dashboard.charts import draw_sample
from dashboard.exports import SIZES, Form, picture_of
from dashboard.frontier_chart import FrontierChart, Marks, frontier_chart
from dashboard.links import choose_many, choose_one
from dashboard.literature import published_points
from dashboard.notes import note_columns, notes_of
from dashboard.parallel import axes_of, draw_parallel, parallel
from dashboard.selection import (
    Ranges,
    Selection,
    current_selection,
    designs_of,
    draw,
    read_outline,
    read_ranges,
    replace,
)
from dashboard.session import current_study, open_design, page, rows_or_stop
from dashboard.shortlist import (
    MOST,
    list_button,
    selected_rows,
    set_shortlist,
    shortlist,
    toggle_button,
)
from dashboard.studies import StudyFrame, table_of_bands, table_of_confirmed
from dashboard.texts import amount, amount_format, figure, label, name_of, plain
from dse.columns import LABELS, OBJECTIVE_COLUMNS
from dse.sheets import csv_frame
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import FULL, Evaluation

COLUMNS = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
MOST_LINES = 400  # of dominated designs, in parallel coordinates
MOST_ROWS = 1_000  # of the table; the file to download has all
HEIGHT = 560  # px, of the plot: with header and tools the first screen of 1280 x 800
MOST_SYMBOLS = 7
MOST_UPRIGHT = 10  # axes of parallel coordinates
FORMS: dict[Form, str] = {"svg": "image/svg+xml", "png": "image/png"}
STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 1.1rem}
.st-key-header p {margin: 0; font-size: 0.84rem; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis}
</style>"""


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
    kind: str
    """`points`; `parallel`: lines through several columns; `axes`: the best of pairs of values."""


@page("")
def main() -> None:
    """Draw the page."""
    st.html(STYLE)
    study = current_study()
    _header(study)
    rows_or_stop(study)
    view, chosen, export = _tools(study)
    _say_filter(chosen)
    wide, narrow = st.columns([3, 1.15], gap="medium")
    with narrow:
        details, spend, listed = st.tabs(["Design", "Budget", "Shortlist"])
    with spend:
        answer = st.container()
        budget = choose_budget(study.scaled[study.trained], study.asked.measured)
    looked_at = study.scaled[chosen.holds(study.scaled)]
    shown_rows = looked_at[affordable(looked_at, budget)]
    selection = _selection(study)
    inside = designs_of(shown_rows, selection)
    with wide:
        _plot(study, shown_rows, view, budget, selection, export)
    with answer:
        _answer(study, shown_rows, bool(budget))
    with details:
        _details(study, shown_rows, selection, inside)
    with listed:
        _shortlist(study)
    _table(shown_rows if inside is None else shown_rows[inside], study)


def _header(study: StudyFrame) -> None:
    """One line: the study, its machine, its limits, and how much there is to choose from."""
    frame, asked = study.frame, study.asked
    limits = ", ".join(
        f"{'at most' if name.startswith('max_') else 'at least'} "
        f"{figure(bound, column)} {name_of(column)}"
        for name, bound in asked.limits.items()
        if (column := name.partition("_")[2]) in LABELS
    )
    front = int(frame["frontier"].sum())
    words = "pair" if front == 1 else "pairs"
    pairs = f" {words} of network and machine" if asked.several_machines else ""
    # Only the frontier counts for the hypervolume, so only its rows are built.
    share = hypervolume_share(study.rows_where(frame["frontier"]), study.of.begun.box)
    counts = (
        f"{study.candidates:,} priced, {int(study.networks.sum()):,} trained, "
        f"{front:,}{pairs} on the frontier, hypervolume {share:.3f}"
    )
    parts = [f"**{plain(study.label)}**", plain(asked.machine_words), plain(limits), plain(counts)]
    st.container(key="header").markdown(" · ".join(part for part in parts if part))


def _known(frame: pd.DataFrame) -> list[str]:
    """Columns that the study has figures of."""
    return [name for name in COLUMNS if name in frame and frame[name].notna().any()]


def _axes(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if name.startswith("axis_")]


def _tools(study: StudyFrame) -> tuple[View, Filter, Any]:
    """One row: axes, colour and symbol; how they are drawn; the filter; the picture's format."""
    frame = study.scaled
    axes = [name for name in frame.columns if name.startswith("axis_")]
    columns = _known(frame)
    machine = ["accelerator"] if study.asked.several_machines else []
    names = ["kind", *machine, *axes, *columns, "source"]
    asked = [study.of.cost_objective, study.asked.measured]
    first, second = (columns.index(name) if name in columns else 0 for name in asked)
    cells = st.columns(
        [2.3, 1.8, 1.3, 1.3, 1.1, 1.1, 1.2], vertical_alignment="bottom", gap="small"
    )
    # Over trials the stairs are the best so far, over an axis the best with at most so much of it.
    numbers = [name for name in axes if pd.api.types.is_numeric_dtype(frame[name])]
    across = [*columns, "trial", *(name for name in numbers if frame[name].nunique() > 1)]
    x = choose_one(cells[0], "X axis", across, "x", index=first, format_func=label)
    y = choose_one(cells[1], "Y axis", columns, "y", index=second, format_func=label)
    usual = names.index("accelerator") if machine else 0
    colour = choose_one(cells[2], "Colour", names, "colour", index=usual, format_func=label)
    few = (name for name in (*machine, *axes) if frame[name].nunique() <= MOST_SYMBOLS)
    shape = choose_one(cells[3], "Symbol", ["kind", *few], "symbol", format_func=label)
    with cells[4].popover("View", width="stretch"):
        view = _view(x, y, colour, shape)
    with cells[5].popover("Filter", width="stretch"):
        chosen = choose_filter(frame, notes_of(study))
    export = cells[6].popover("Export", width="stretch")
    return view, chosen, export


def _view(x: str, y: str, colour: str, shape: str) -> View:
    kind = st.segmented_control(
        "View",
        ["points", "parallel", "axes"],
        default="points",
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    log_x = st.toggle("logarithmic x axis", True, key="log_x", bind="query-params")
    log_y = st.toggle("logarithmic y axis", False, key="log_y", bind="query-params")
    published = st.toggle(
        "published networks",
        key="published",
        bind="query-params",
        help="hollow: priced on this machine; their errors are those of their papers, on other "
        "recordings than these, so they say what others reached, not what these would",
    )
    return View(x, y, colour, shape, log_x, log_y, published, str(kind))


def _say_filter(chosen: Filter) -> None:
    """A filter that is closed says what it leaves out."""
    if chosen.words:
        st.caption(f"Filter: {plain('; '.join(chosen.words), 300)}")


def _selection(study: StudyFrame) -> Selection:
    """What is selected; the address names it, and is read once a visit."""
    asked, design = links.asked_for("outline"), links.asked_for("picked")
    st.session_state["outline"] = st.session_state["picked"] = True
    wanted = None
    if asked or design:
        known = _known(study.scaled)
        outline = read_outline(asked or "", known) or read_ranges(
            asked or "", [*known, *_axes(study.scaled)]
        )
        there = design if design and study.find_row(design) is not None else None
        wanted = Selection(outline, None if outline else there)
    selection = current_selection(study.label, wanted)
    links.keep("outline", str(selection.outline or ""))
    links.keep("picked", selection.design or "")
    return selection


def _plot(
    study: StudyFrame,
    frame: pd.DataFrame,
    view: View,
    budget: dict[str, float],
    selection: Selection,
    export: Any,
) -> None:
    """Draw the plot, and offer it as a picture."""
    if frame.empty:
        st.info("No design passes the filter and the budget: widen them.")
    elif view.kind == "parallel":
        _plot_parallel(study, frame, view.colour, selection)
    elif view.kind == "axes":
        draw_axes(study, frame, view.y, HEIGHT - 100)
    elif frame[view.x].isna().all():
        st.info(f"No design here has a figure for {label(view.x)}: choose another column.")
    else:
        chart = _points(study, frame, view, budget, selection)
        draw(chart, "plot", HEIGHT)
        with export:
            _export(study, chart)


def _points(
    study: StudyFrame,
    frame: pd.DataFrame,
    view: View,
    budget: dict[str, float],
    selection: Selection,
) -> FrontierChart:
    # Fresh seeds are told of the error that the study minimises, and of no other.
    confirmed = table_of_confirmed(study.of) if view.y == study.asked.measured else None
    bands = table_of_bands(study) if view.y == study.asked.measured else None
    others = published_points(study) if view.published else None
    return frontier_chart(
        frame,
        view.x,
        view.y,
        colour=view.colour,
        shape=view.shape,
        log_x=view.log_x,
        log_y=view.log_y,
        limits=study.asked.limits,
        budget=budget,
        whole=study.scaled,
        confirmed=confirmed,
        bands=bands,
        published=others if others is not None and {view.x, view.y} <= set(others) else None,
        marks=Marks(
            inside=designs_of(frame, selection),
            design=selection.design,
            shortlist=shortlist(study),
        ),
    )


def _plot_parallel(
    study: StudyFrame, frame: pd.DataFrame, colour: str, selection: Selection
) -> None:
    """Lines through several columns; a part of an axis that is taken is what is selected."""
    trained = frame[frame["status"].isin(FULL)]
    machine = ["accelerator"] if study.asked.several_machines else []
    usual = (study.asked.measured, *study.asked.objectives, "energy_pj", "latency_us")
    columns = choose_many(
        st,
        "Columns",
        [*_known(frame), *machine, *_axes(frame)],
        "columns",
        default=[*dict.fromkeys((*usual, "trained_parameters")), *machine],
        most=MOST_UPRIGHT,
        format_func=label,
    )
    axes = axes_of(study.scaled, columns)
    figures = [axis.column for axis in axes if not axis.names]
    lines = draw_sample(trained.dropna(subset=figures), most=MOST_LINES)
    if len(axes) < 2 or lines.empty:
        st.info("Choose at least two columns that trained designs have.")
        return
    outline = selection.outline
    own = isinstance(outline, Ranges) and {name for name, _ in outline.parts} <= {*columns}
    option = parallel(
        lines,
        axes,
        colour,
        whole=study.scaled,
        # What is taken of these axes the chart itself makes faint; a mask would draw it anew.
        inside=None if own else _inside(lines, selection),
        marked=shortlist(study),
    )
    taken = outline if own and isinstance(outline, Ranges) else None
    draw_parallel(study.label, option, axes, taken, HEIGHT - 100)
    said = plain(outline.words, 300) if isinstance(outline, Ranges) else ""
    st.caption(
        f"Selected: {said}." if said else "Drag along an axis to select; click it to select all."
    )


def _inside(frame: pd.DataFrame, selection: Selection) -> "pd.Series[bool] | None":
    """What is selected, by an outline or a click."""
    if selection.design is not None:
        return frame["design"] == selection.design
    return designs_of(frame, selection)


def _export(study: StudyFrame, chart: FrontierChart) -> None:
    """The plot as it is drawn, as a file for a paper or a slide."""
    size = st.segmented_control("For", list(SIZES), default="paper", required=True, key="for")
    title = f"{study.label}: {study.asked.machine_words}"
    for form, kind in FORMS.items():
        st.download_button(
            form.upper(),
            functools.partial(picture_of, chart.option, title, SIZES[str(size)], form),
            file_name=f"{study.of.folder.name}-frontier.{form}",
            mime=kind,
            icon=":material/image:",
            key=f"picture_{form}",
        )


def _answer(study: StudyFrame, frame: pd.DataFrame, within: bool) -> None:
    """The best design within the budget, in one sentence."""
    measured = study.asked.measured
    trained = frame[study.trained[frame.index]]
    design = best_within(trained, measured, study.of.cost_objective)
    if design is None:
        st.info("No trained design is within this budget and filter: widen them.")
        return
    row = trained[trained["design"] == design].iloc[0]
    costs = [name for name in study.asked.objectives if name != measured]
    st.markdown(best_words(row, measured, costs or ["energy_pj"], within))
    with st.container(horizontal=True):
        st.button("Show it", key="show_best", on_click=_pick, args=(study.label, design))
        toggle_button(study, design, "list_best")


def _pick(label_of_study: str, design: str) -> None:
    replace(label_of_study, Selection(design=design))


def _details(
    study: StudyFrame,
    frame: pd.DataFrame,
    selection: Selection,
    inside: "pd.Series[bool] | None",
) -> None:
    """The picked design, or what the outline holds."""
    row = study.find_row(selection.design) if selection.design else None
    if row is not None:
        _picked_design(study, row, str(selection.design))
        return
    held = frame if inside is None else frame[inside]
    trained = held[study.trained[held.index]]
    st.markdown("**In the plot**" if inside is None else "**Selected**")
    st.text(_count_words(study, held, trained))
    if len(trained):
        measured = study.asked.measured
        for name in dict.fromkeys((measured, *study.asked.objectives)):
            figures = trained[name]
            low, mid, high = (amount(each, name) for each in _spread(figures))
            st.text(f"{label(name)}\n{low} … {high}, median {mid}")
        best = trained.sort_values(measured).iloc[0]
        st.text(f"Least {name_of(measured)}: {best['name']}")
        with st.container(horizontal=True):
            if st.button("Open it", key="open_best", icon=":material/open_in_new:"):
                open_design(str(best["design"]))
            if inside is not None:
                st.button("Select none", key="select_none", on_click=_select_none, args=(study,))
    if inside is None:
        st.caption("Click a point for its details; box and lasso above the plot select several.")


def _spread(figures: "pd.Series[float]") -> tuple[float, float, float]:
    return float(figures.min()), float(figures.median()), float(figures.max())


def _select_none(study: StudyFrame) -> None:
    replace(study.label, Selection())


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _count_words(study: StudyFrame, held: pd.DataFrame, trained: pd.DataFrame) -> str:
    """How many designs, of one kind of thing: of several machines, pairs and their networks."""
    front = int(held["frontier"].sum())
    if not study.asked.several_machines:
        return f"{len(held):,} designs, {len(trained):,} trained, {front:,} on the frontier"
    networks, machines = trained["key"].nunique(), trained["accelerator"].nunique()
    return (
        f"{_counted(len(trained), 'pair')} of {_counted(networks, 'trained network')} and "
        f"{_counted(machines, 'machine')}, {front:,} of them on the frontier; "
        f"{len(held) - len(trained):,} more were priced"
    )


def _small_table(frame: pd.DataFrame) -> None:
    right = st.column_config.TextColumn(alignment="right")
    config = {name: right for name in frame.columns[1:]}
    st.dataframe(frame, hide_index=True, column_config=config)


def _picked_design(study: StudyFrame, row: Evaluation, design: str) -> None:
    """The figures of one design, and in a sentence what keeps it off the frontier."""
    st.markdown(f"**{plain(row.name or row.key)}**")
    machine = f", on {row.accelerator}" if study.asked.several_machines else ""
    st.text(f"trial {row.trial}, {row.status}{machine}")
    if row.reason:
        st.text(row.reason)
    names = (
        study.asked.measured,
        *study.asked.objectives,
        "error",
        "energy_pj",
        "latency_us",
        "area_um2",
        "trained_parameters",
        "stored_bits",
        "generated_weights",
    )
    lines = [
        {"": label(name).split(" (")[0], "value": figure(row.column(name), name)}
        for name in dict.fromkeys(names)
    ]
    _small_table(pd.DataFrame(lines))
    if row.full:
        st.text(
            study.say_why_not(row)
            or "On the frontier: no trained design is better in all objectives."
        )
    with st.container(horizontal=True):
        if st.button("Open the design", type="primary", icon=":material/open_in_new:", key="open"):
            open_design(design)
        toggle_button(study, design, "list_picked")


def _shortlist(study: StudyFrame) -> None:
    """Its designs with the figures that matter, and where they go from here."""
    designs = shortlist(study)
    if not designs:
        st.caption(
            f"Up to {MOST} designs, to be held side by side: put one here from the plot, the table "
            "or its page."
        )
        return
    for place, design in enumerate(designs, 1):
        row = study.find_row(design)
        if row is None:
            continue
        cost = study.of.cost_objective
        figures = ", ".join(figure(row.column(name), name) for name in (study.asked.measured, cost))
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.markdown(f"**{place}** {plain(study.of.named(row))}  \n{plain(figures)}")
        rest = [each for each in designs if each != design]
        right.button(
            "",
            icon=":material/close:",
            help="Off the shortlist",
            key=f"off.{place}",
            on_click=set_shortlist,
            args=(study, rest),
        )
    with st.container(horizontal=True):
        if st.button("Compare", key="compare_list", icon=":material/compare_arrows:"):
            links.go("compare")
        st.button("Empty it", key="empty_list", on_click=set_shortlist, args=(study, []))


def _table(inside: pd.DataFrame, study: StudyFrame) -> None:
    """What is selected as rows, the frontier first; a file of all is made when it is asked for.

    A browser gets the first `MOST_ROWS`.
    """
    measured = study.asked.measured
    ordered = inside.sort_values(["frontier", measured], ascending=[False, True])
    axes = [name for name in inside.columns if name.startswith("axis_")]
    wanted = [name for name in (measured, *study.asked.objectives) if name in inside]
    columns = list(dict.fromkeys([*wanted, *_known(study.frame)]))
    machine = ["accelerator"] if study.asked.several_machines else []
    rest = [name for name in columns if name not in wanted]
    first = ["name", *machine, *dict.fromkeys(wanted), "frontier", "trial", "status"]
    names = [*first, *rest, *axes, "source", "reason", "key"]
    rows = ordered.head(MOST_ROWS)
    said = note_columns(study, rows["key"])
    config: dict[str, Any] = {
        label(name): st.column_config.NumberColumn(format=amount_format(rows[name]))
        for name in columns
    }
    config["name"] = st.column_config.TextColumn(pinned=True)
    config |= {"tags": st.column_config.TextColumn(width=150)}
    config |= {"note": st.column_config.TextColumn(width="medium")}
    event = st.dataframe(
        _with_notes(rows[names].rename(columns={name: label(name) for name in names}), said),
        hide_index=True,
        key="designs",
        on_select="rerun",
        selection_mode="multi-row",
        column_config=config,
    )
    if len(ordered) > len(rows):
        st.caption(f"The first {len(rows):,} of {len(ordered):,} designs; the file has all.")
    designs = selected_rows(event, rows["design"])
    with st.container(horizontal=True):
        if len(designs) == 1 and st.button("Open the selected design", key="open_row"):
            open_design(designs[0])
        list_button(study, designs, "list_rows")
        st.download_button(
            "Download these designs as CSV",
            lambda: designs_csv(study, ordered.index, names),
            file_name="designs.csv",
            mime="text/csv",
            icon=":material/download:",
        )


def _with_notes(table: pd.DataFrame, said: dict[str, list[str]]) -> pd.DataFrame:
    """The table with what people wrote on designs, after what is theirs and before all figures."""
    place = list(table.columns).index("status")
    for name, texts in reversed(said.items()):
        table.insert(place + 1, name, texts)
    return table


def designs_csv(study: StudyFrame, rows: "pd.Index[int]", names: Sequence[str]) -> str:
    """Rows as a file for programs: names and units of the results file, in no letter but ASCII.

    Args:
        study: it.
        rows: of its frame, in their order.
        names: columns.
    """
    table = study.frame.loc[rows, list(names)]
    return csv_frame(table.assign(**note_columns(study, table["key"])))


if __name__ == "__main__":
    main()
