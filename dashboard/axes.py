"""The view of the axes of a space: which matter, and what the search has learnt of them."""

import pandas as pd
import streamlit as st

from dashboard.importance import LEAST_ROWS, WAYS, Way, importance_chart, importances, targets_of
from dashboard.links import choose_one
from dashboard.slices import MOST_SLICES, map_chart, sliceable, slices_chart
from dashboard.studies import StudyFrame, signature
from dashboard.texts import label, plain

MATTERS = {
    "fANOVA": "the share of the variance, over the whole space, that is owed to this axis alone",
    "PED-ANOVA": "how much this axis decides whether a design is among the best tenth",
    "mean decrease in impurity": "by how much a forest's splits on this axis tell designs apart; "
    "it favours axes of many values",
}


def draw_axes(study: StudyFrame, frame: pd.DataFrame, column: str, height: int) -> None:
    """Importances, slices, or the map of two axes.

    Args:
        study: that is looked at.
        frame: its designs that pass the filter, of `scaled_frame`.
        column: the y axis of the page.
        height: of a chart in px.
    """
    trained = frame[study.trained[frame.index]].dropna(subset=[column])
    kind = st.segmented_control(
        "Of the axes",
        ["importance", "slices", "map"],
        default="importance",
        required=True,
        key="of_axes",
        bind="query-params",
        label_visibility="collapsed",
    )
    axes = sliceable(study.scaled)
    if trained.empty or not axes:
        st.info("No axis of this study has a few values, or nothing here is trained.")
    elif kind == "importance":
        _importance(study, height)
    elif kind == "slices":
        _slices(study, trained, axes, column, height)
    elif len(axes) < 2:
        st.info("No two axes of this study have a few values each.")
    else:
        _map(trained, axes, column, height)


@st.cache_data(max_entries=16, show_spinner="Computing importances …")
def _table(mark: tuple[object, ...], way: Way, _study: StudyFrame) -> pd.DataFrame:
    return importance_of(_study, way)


def importance_of(study: StudyFrame, way: Way) -> pd.DataFrame:
    """The importances of a study's axes, the machine among them where it has several."""
    asked = study.asked
    targets = targets_of(study.scaled, asked.measured, asked.objectives)
    rows = study.scaled[study.scaled["trial"] >= 0]
    rows = rows.assign(**{asked.measured: rows[asked.measured].where(study.trained[rows.index])})
    rows = rows[~rows["design"].duplicated() | study.trained[rows.index]]
    machine = ["accelerator"] if asked.several_machines else []
    axes = [*(name for name in rows.columns if name.startswith("axis_")), *machine]
    return importances(rows, [each for each in axes if rows[each].nunique() > 1], targets, way)


def _importance(study: StudyFrame, height: int) -> None:
    """Of the whole study: a filter would change what is asked, not only what is shown."""
    way: Way = choose_one(st, "Computed by", list(WAYS), "way")  # type: ignore[assignment]
    table = _table(signature(study.of.folder), way, study)
    if not len(table) or not len(table.columns):
        st.info(f"Importances need at least {LEAST_ROWS} designs that differ.")
        return
    st.echarts_chart(
        importance_chart(table), key="importance", height=height - 40, alt="Importance of axes"
    )
    counts = f"{int(study.networks.sum()):,} trained designs, and of costs all priced ones"
    st.caption(
        f"Optuna's evaluator on the error of {counts}: {MATTERS[way]}. The search chose what it "
        "looked at, so little is known of what it left early."
    )


def _slices(
    study: StudyFrame, trained: pd.DataFrame, axes: list[str], column: str, height: int
) -> None:
    order = [name for name in _table(signature(study.of.folder), "PED-ANOVA", study).index]
    ranked = sorted(axes, key=lambda name: order.index(name) if name in order else len(order))
    shown = ranked[:MOST_SLICES]
    st.echarts_chart(
        slices_chart(trained, shown, column), key="slices", height=height, alt="Slices of the axes"
    )
    left = f" The {len(shown)} that matter most of {len(axes)}." if len(axes) > len(shown) else ""
    st.caption(
        "Each trained design at its value of one axis, the axes that matter most (PED-ANOVA) "
        f"first; -: the axis does not matter to it.{left}"
    )


def _map(trained: pd.DataFrame, axes: list[str], column: str, height: int) -> None:
    """The best of each pair of values of two axes."""
    left, right = st.columns(2)
    across = choose_one(left, "Axis across", axes, "axis_across", format_func=label)
    others = [name for name in axes if name != across]
    up = choose_one(right, "Axis up", others, "axis_up", format_func=label)
    st.echarts_chart(
        map_chart(trained, across, up, column), key="map", height=height - 40, alt="Best of pairs"
    )
    st.caption(
        f"The least {plain(label(column))} (the y axis) of all designs with both values, whatever "
        "their other axes are; empty: never trained; -: the axis does not matter there."
    )
