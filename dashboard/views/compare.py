"""Compare: two to six designs, or one design on two to six machines, side by side.

The first of what is compared is the reference: changes in percent and sentences are against it.
Designs are compared by what the study recorded of them; machines by pricing anew, with errors as
they were measured, as the network stays the same.
"""

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cost_models import (
    Cost,
    accelerator_names,
    load_accelerator,
    load_technology,
)
from dashboard.charts import stacked
from dashboard.cost_charts import choose_tints, energy_frame
from dashboard.links import choose_many, choose_one
from dashboard.session import current_study, page, rows_or_stop
from dashboard.studies import StudyFrame
from dashboard.texts import plain, table_csv
from dse.columns import LABELS, MEASURED_COLUMNS, OBJECTIVE_COLUMNS, shown
from dse.errors import InvalidInput
from dse.pricing.machine import Machine
from dse.studies.comparison import changed_axes, difference, dominates, trade
from dse.studies.rows import Evaluation

COLUMNS = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
MOST = 6


@page("Side by side")
def main() -> None:
    """Draw the page."""
    study = current_study()
    rows_or_stop(study)
    kind = st.segmented_control(
        "Compare",
        ["designs", "machines", "mixing layers"],
        default="designs",
        required=True,
        key="compare",
        bind="query-params",
        label_visibility="collapsed",
    )
    {"designs": _designs, "machines": _machines, "mixing layers": _mixers}[kind](study)


def name_designs(study: StudyFrame) -> dict[str, str]:
    """Design -> name of the trained ones, the frontier first, the least error first.

    At most 2,000, those of the least error; keys are of the column `design`.
    """
    frame = study.frame[study.trained]
    frame = frame.sort_values(["frontier", "error"], ascending=[False, True]).head(2_000)
    stars = ["★ " if on else "" for on in frame["frontier"]]
    texts = [
        f"{star}trial {trial}: {name}"
        for star, trial, name in zip(stars, frame["trial"], frame["name"], strict=True)
    ]
    return dict(zip(frame["design"], texts, strict=True))


def _designs(study: StudyFrame) -> None:
    names = name_designs(study)
    keys = choose_many(
        st,
        "Designs (★ on the frontier); the first is what the others are held against",
        list(names),
        "compared",
        default=list(names)[:3],
        most=MOST,
        format_func=lambda key: names[key],
    )
    rows = [row for key in keys if (row := study.find_row(key)) is not None]
    if len(rows) < 2:
        st.info("Choose two to six designs.")
        return
    titles = _distinct([row.name or row.key for row in rows])
    _table(titles, [{name: row.column(name) for name in COLUMNS} for row in rows])
    _sentences(rows, study.asked.objectives)
    _axes(rows, titles)
    _energies(dict(zip(titles, [_cost(study, row) for row in rows], strict=True)))


def _machines(study: StudyFrame) -> None:
    names = name_designs(study)
    left, right = st.columns(2)
    key = choose_one(left, "Design", list(names), "design", format_func=lambda key: names[key])
    row = study.find_row(key)
    assert row is not None  # it is one of the names
    own = study.of.find_machine(row)
    machines = choose_many(
        right,
        "Machines; the first is what the others are held against",
        ["the study's own", *accelerator_names()],
        "machines",
        default=["the study's own", "kws_int8", "kws_tiny"],
        most=MOST,
    )
    costs: dict[str, Cost] = {}
    for name in machines:
        machine = own
        if name != "the study's own":
            machine = Machine(found := load_accelerator(name), load_technology(found.technology))
        try:
            costs[name] = _cost(study, row, machine)
        except InvalidInput as error:
            st.warning(plain(f"{name}: {error}"))
    told = {name: row.column(name) for name in MEASURED_COLUMNS}
    if len(costs) < 2:
        st.info("Choose two to six machines that can execute the design.")
        return
    rate = study.asked.inferences_per_second
    _table(list(costs), [told | cost.columns(rate) for cost in costs.values()])
    for name, cost in costs.items():
        for misfit in cost.misfits:
            st.warning(plain(f"{name}: {misfit}. Priced as if it did."))
    _energies(costs)


def _cost(study: StudyFrame, row: Evaluation, machine: Machine | None = None) -> Cost:
    point = study.of.build_point(row)
    if point is None:
        raise InvalidInput(f"nothing in the study says any more what {row.name} was")
    return study.of.price(point, machine or study.of.find_machine(row))


def _distinct(titles: Sequence[str]) -> list[str]:
    """Names with a number behind those that come again."""
    seen: dict[str, int] = {}
    out = []
    for title in titles:
        seen[title] = seen.get(title, 0) + 1
        out.append(title if seen[title] == 1 else f"{title} ({seen[title]})")
    return out


def _table(titles: list[str], columns: Sequence[dict[str, float]]) -> None:
    """Figures with units, and how far they are from the first in percent.

    Args:
        titles: of the columns of the table; the first is the reference.
        columns: name -> figure in its base unit, for each title. No change is written where the
            reference is 0, of which nothing is a percentage.
    """
    lines = []
    for name in COLUMNS:
        if all(math.isnan(figures.get(name, math.nan)) for figures in columns):
            continue  # the study is of before this column
        first = columns[0][name]
        line = {"": LABELS[name][0], "unit": LABELS[name][1]}
        for place, (title, figures) in enumerate(zip(titles, columns, strict=True)):
            text = shown(figures[name], name)
            change = difference(first, figures[name])
            mark = "" if place == 0 or change != change or change == 0 else f"  ({change:+.1%})"
            line[title] = text + mark
        lines.append(line)
    frame = pd.DataFrame(lines)
    st.dataframe(frame, hide_index=True, height=38 + 35 * len(lines))
    st.download_button(
        "Download as CSV",
        lambda: table_csv(frame),
        file_name="comparison.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def _sentences(rows: list[Evaluation], objectives: Sequence[str]) -> None:
    """What each of the others gives and takes, in words."""
    first = rows[0]
    for other in rows[1:]:
        said = f"{other.name} has {trade(first, other, objectives)} than {first.name}"
        if dominates(first, other, objectives):
            said += f", so {first.name} dominates it"
        elif dominates(other, first, objectives):
            said += ", so it dominates"
        st.text(said + ".")


def _axes(rows: list[Evaluation], titles: list[str]) -> None:
    names = dict.fromkeys(axis for row in rows[1:] for axis in changed_axes(rows[0], row))
    if names:
        st.caption("Axes in which they differ")
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "axis": axis,
                        **{
                            title: _value(row.values.get(axis))
                            for title, row in zip(titles, rows, strict=True)
                        },
                    }
                    for axis in names
                ]
            ),
            hide_index=True,
        )


def _value(value: object) -> str:
    return "does not matter" if value is None else str(value)


def _energies(costs: dict[str, Cost]) -> None:
    parts = pd.concat(
        [
            energy_frame(cost)
            .groupby("part", sort=False)["energy_nj"]
            .sum()
            .reset_index()
            .assign(layer=name)
            for name, cost in costs.items()
        ]
    )
    parts["energy_uj"] = parts["energy_nj"] * 1e-3
    title = "energy per inference (uJ)"
    option, height = stacked(parts, "energy_uj", title, list(costs), choose_tints(parts["part"]))
    st.echarts_chart(option, key="energies", height=height + 22 * len(costs))


def _mixers(study: StudyFrame) -> None:
    """The best design of each way of mixing channels within the same budget.

    The fair form of "are ternary matrices worth it": not at the same shape, where the dense network
    has more trained weights, but at the same cost, where the ternary one may spend what it saves on
    width or depth. Budgets are quantiles of the trained designs, 10 % to all, so each is one that
    the search has looked at; the best of a way that was tried more often has had more luck, too.
    """
    frame = study.frame[study.trained].copy()
    axes = [a for a in ("axis_policy", "axis_block_mixer", "axis_generator") if a in frame]
    frame["mixing"] = [
        "dense"
        if not generated
        else "ternary" + "".join(f", {v}" for a in axes if (v := row[a]) == v and v is not None)
        for generated, (_, row) in zip(
            frame["generated_weights"] > 0, frame.iterrows(), strict=True
        )
    ]
    costs = [name for name in study.asked.objectives if name not in MEASURED_COLUMNS]
    column = st.selectbox(
        "Budget of",
        [*costs, "trained_parameters", "stored_bits"],
        format_func=lambda c: LABELS[c][0],
        key="budget_of",
    )
    quartiles = frame[column].quantile([0.1, 0.25, 0.5, 0.75, 1.0]).drop_duplicates()
    lines = []
    for budget in quartiles:
        within = frame[frame[column] <= budget]
        line: dict[str, object] = {"at most": f"{shown(budget, column)} {LABELS[column][1]}"}
        for mixing, group in within.groupby("mixing"):
            best = group.sort_values("error").iloc[0]
            line[str(mixing)] = f"{100 * best['error']:.1f} %  ({best['name']})"
        lines.append(line)
    st.dataframe(pd.DataFrame(lines), hide_index=True)
    st.caption("The least validation error of each way of mixing channels within each budget.")


if __name__ == "__main__":
    main()
