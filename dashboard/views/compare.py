"""Compare: two to six designs, or one design on two to six machines, side by side.

The first of what is compared is the reference: changes in percent and sentences are against it.
Costs are priced now, as the report's are; errors are as they were measured, on whatever machine, as
the network stays the same.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from dashboard.contents import draw_bars, draw_sideways
from dashboard.links import choose_many, choose_one
from dashboard.machines import load_machine, machine_names
from dashboard.session import current_study, page, rows_or_stop
from dashboard.shortlist import shortlist
from dashboard.studies import StudyFrame
from dashboard.texts import figure, name_of, plain
from dse.columns import MEASURED_COLUMNS, percent_words
from dse.errors import InvalidInput
from dse.pricing.machine import Machine
from dse.pricing.priced import Priced
from dse.report.cost_plots import components_plot
from dse.report.cost_tables import totals_table
from dse.report.priced import drifted, price_row
from dse.studies.comparison import changed_axes, side_by_side
from dse.studies.rows import Evaluation

MOST = 6
OWN = "the study's own"


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

    At most 2,000, those of the least error; keys are of the column `design`. Where the study has
    several machines, each is named with its own: the same network on two would read the same.
    """
    frame = study.frame[study.trained]
    by = ["frontier", study.asked.measured]
    frame = frame.sort_values(by, ascending=[False, True]).head(2_000)
    stars = ["★ " if on else "" for on in frame["frontier"]]
    several = study.asked.several_machines
    chips = [f" on {each}" if several else "" for each in frame["accelerator"]]
    texts = [
        f"{star}trial {trial}: {name}{chip}"
        for star, trial, name, chip in zip(stars, frame["trial"], frame["name"], chips, strict=True)
    ]
    return dict(zip(frame["design"], texts, strict=True))


def first_designs(study: StudyFrame, names: Mapping[str, str]) -> list[str]:
    """What is compared where nobody says otherwise: the shortlist, or three different networks."""
    wanted = shortlist(study)
    if len(wanted) > 1:
        return wanted[:MOST]
    networks: dict[str, str] = {}
    for design in [*wanted, *names]:
        networks.setdefault(design.partition("@")[0], design)
    return list(networks.values())[:3]


def _designs(study: StudyFrame) -> None:
    names = name_designs(study)
    keys = choose_many(
        st,
        "Designs (★ on the frontier); the first is what the others are held against",
        list(names),
        "compared",
        default=first_designs(study, names),
        most=MOST,
        format_func=lambda key: names[key],
    )
    rows = [row for key in keys if (row := study.find_row(key)) is not None]
    if len(rows) < 2:
        st.info("Choose two to six designs.")
        return
    priced = [_priced(study, row) for row in rows]
    moved = {column for each in priced for column in drifted(study.of, each)}
    if moved:
        st.warning(
            f"The cost model has changed since: today's figures of {', '.join(sorted(moved))} "
            "differ from the recorded ones; `dse reprice` brings these up to date."
        )
    table = totals_table(priced, study.use)
    chips: list[str] = []
    if study.asked.several_machines:
        rows = [dataclasses.replace(row, name=study.of.named(row)) for row in rows]
        chips = [row.name for row in rows]
    titles = draw_sideways(table, chips, changes=True, objectives=study.asked.objectives)
    _sentences(rows, study.asked.objectives)
    _axes(rows, titles)
    draw_bars(components_plot(priced))


def _machines(study: StudyFrame) -> None:
    names = name_designs(study)
    left, right = st.columns(2)
    key = choose_one(left, "Design", list(names), "design", format_func=lambda key: names[key])
    row = study.find_row(key)
    assert row is not None  # it is one of the names
    own = _priced(study, row)
    machines = choose_many(
        right,
        "Machines; the first is what the others are held against",
        [OWN, *machine_names()],
        "machines",
        default=[OWN, "kws_int8", "kws_tiny"],
        most=MOST,
    )
    priced: dict[str, Priced] = {}
    for name in machines:
        try:
            priced[name] = own if name == OWN else _on_machine(study, own, name)
        except InvalidInput as error:
            st.warning(plain(f"{name}: {error}"))
    if len(priced) < 2:
        st.info("Choose two to six machines that can execute the design.")
        return
    table = totals_table(list(priced.values()), study.use)
    draw_sideways(table, list(priced), changes=True, objectives=study.asked.objectives)
    for name, each in priced.items():
        for misfit in each.misfits:
            st.warning(plain(f"{name}: {misfit}. Priced as if it did."))
    bars = components_plot(list(priced.values()))
    named = zip(priced, (lengths for _, lengths in bars.bars), strict=True)
    draw_bars(dataclasses.replace(bars, bars=tuple(named)))


def _priced(study: StudyFrame, row: Evaluation) -> Priced:
    priced = price_row(study.of, row)
    if priced is None:
        raise InvalidInput(
            f"nothing in the study says any more what {row.name} was, or its machine cannot "
            "execute it any more: choose another design"
        )
    return priced


def _on_machine(study: StudyFrame, own: Priced, name: str) -> Priced:
    cost = study.of.price(own.design, Machine(*load_machine(name)))
    return dataclasses.replace(own, cost=cost)


def _sentences(rows: list[Evaluation], objectives: Sequence[str]) -> None:
    """What each of the others gives and takes, in words."""
    for other in rows[1:]:
        st.text(side_by_side(rows[0], other, objectives))


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


def _mixers(study: StudyFrame) -> None:
    """The best design of each way of mixing channels within the same budget.

    The fair form of "are ternary matrices worth it": not at the same shape, where the dense network
    has more trained weights, but at the same cost, where the ternary one may spend what it saves on
    width or depth. Budgets are quantiles of the trained designs, 10 % to all, so each is one that
    the search has looked at; the best of a way that was tried more often has had more luck, too.
    """
    frame = study.frame[study.trained].copy()
    names = ("policy", "policy_mixer", "block_mixer", "generator")
    axes = [axis for name in names if (axis := f"axis_{name}") in frame]
    frame["mixing"] = [
        "unknown"
        if kind is None
        else kind + "".join(f", {v}" for a in axes if (v := row[a]) == v and v is not None)
        if kind != "dense"
        else kind
        for kind, (_, row) in zip(study.kinds[frame.index], frame.iterrows(), strict=True)
    ]
    measured = study.asked.measured
    costs = [name for name in study.asked.objectives if name not in MEASURED_COLUMNS]
    column = st.selectbox(
        "Budget of",
        [*costs, "trained_parameters", "stored_bits"],
        format_func=name_of,
        key="budget_of",
    )
    quartiles = frame[column].quantile([0.1, 0.25, 0.5, 0.75, 1.0]).drop_duplicates()
    lines = []
    for budget in quartiles:
        within = frame[frame[column] <= budget]
        line: dict[str, object] = {"at most": figure(budget, column)}
        for mixing, group in within.groupby("mixing"):
            best = group.sort_values(measured).iloc[0]
            chip = f" on {best['accelerator']}" if study.asked.several_machines else ""
            line[str(mixing)] = f"{percent_words(best[measured])}  ({best['name']}{chip})"
        lines.append(line)
    # Dense first, then by name, however many designs each way has within the first budget.
    ways = sorted(set(frame["mixing"]), key=lambda way: (way != "dense", way))
    st.dataframe(pd.DataFrame(lines, columns=["at most", *ways]), hide_index=True, placeholder="-")
    st.caption(
        f"The least validation {name_of(measured)} of each way of mixing channels within each "
        "budget, one training a design."
    )


if __name__ == "__main__":
    main()
