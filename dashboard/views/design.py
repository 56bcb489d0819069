"""Design: one network on one machine, in full: where its energy, time and area go, and why.

The headline is what the study recorded. Everything below is priced now, from the network and the
machine of the study's record: where the cost model has changed since, the two differ, and
`dse reprice` brings the record up to date.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from cost_models import estimate
from cost_models.application import Use
from cost_models.break_even import break_even
from cost_models.roofline import roofline
from dashboard.contents import draw_bars, draw_sideways, draw_table
from dashboard.cost_charts import area_chart, curves_chart, network_diagram, roofline_chart
from dashboard.links import choose_one, keep
from dashboard.machines import load_machine, machine_names
from dashboard.mistakes import draw_mistakes
from dashboard.notes import draw_note
from dashboard.session import all_folders, current_study, page, settings
from dashboard.shortlist import toggle_button
from dashboard.studies import StudyFrame
from dashboard.texts import figure, name_of, sentence
from dse.colours import TRITS
from dse.columns import percent_words
from dse.design.matrices import count_facts, matrix_at
from dse.design.places import ternary_places
from dse.errors import InvalidInput
from dse.pricing.comparable import say_technology
from dse.pricing.layers_file import read_layers
from dse.pricing.priced import Layers, Priced
from dse.report.breakdowns import generator_sentences, where_it_goes
from dse.report.cost_plots import energy_plot, latency_plot
from dse.report.cost_tables import (
    accesses_table,
    area_table,
    components_table,
    generator_table,
    layers_table,
    loads_table,
    power_table,
    roofline_table,
    totals_table,
    ways_table,
)
from dse.report.priced import price_row
from dse.sheets import csv_records
from dse.studies.rows import Evaluation

MOST_LISTED = 2_000  # designs in the choice; any other opens by its address
USUAL_MACHINE = "kws_ternary"
NETWORK_FIGURES = (
    "energy_pj",
    "latency_us",
    "area_um2",
    "trained_parameters",
    "macs",
    "stored_bits",
)


@page("One design in full")
def main() -> None:
    """Draw the page: of a design of the study, or of a network that the server was given."""
    network = _choose_network()
    if network is not None:
        _network(network)
        return
    study = current_study()
    row = _choose(study)
    if row is None:
        st.info("No design of this study has a cost yet: let `dse search` go on.")
        return
    _headline(study, row)
    toggle_button(study, str(st.session_state["design"]), "list_design")
    draw_note(study, row.key)
    priced = price_row(study.of, row)
    if priced is None:
        st.warning(
            "Nothing in the study's folder says any more what this network was, or its machine "
            "cannot execute it any more: restore its design.yaml to see more than its row."
        )
        return
    st.graphviz_chart(network_diagram(priced.design, study.of.begun.outputs), width="stretch")
    panels: dict[str, Callable[[], object]] = {
        "Energy": lambda: _energy(priced),
        "Latency": lambda: _latency(priced, study.use),
        "Roofline": lambda: _roofline(priced),
        "Area": lambda: _area(priced),
        "Layers": lambda: _layers(priced),
        "Totals": lambda: draw_sideways(totals_table([priced], study.use)),
        "Generator": lambda: _generator(priced),
        "Mistakes": lambda: draw_mistakes(study, row),
        "Training": lambda: _training(study, row),
    }
    _draw_tabs(panels)


OF_STUDY = "study"


def _choose_network() -> Path | None:
    """The file of a network of no study; None where a study's design is wanted."""
    files = {str(number): path for number, path in enumerate(settings().networks, start=1)}
    if not files:
        return None
    labels = {number: _layers_of(str(path))[0].label for number, path in files.items()}
    options = [*([OF_STUDY] if all_folders() else []), *files]
    chosen = choose_one(
        st,
        "Network",
        options,
        "network",
        format_func=lambda each: labels.get(each, "a design of the study"),
    )
    return files.get(chosen)


@st.cache_data(max_entries=16)
def _layers_of(path: str) -> tuple[Layers, tuple[str, ...]]:
    """Files of a server are written before it starts, and stay."""
    return read_layers(Path(path))


def _network(path: Path) -> None:
    """A network of layers on a machine: what a design of a study has, without its training."""
    layers, notes = _layers_of(str(path))
    names = machine_names()
    machine = choose_one(st, "Machine", names, "machine", index=names.index(USUAL_MACHINE))
    priced = Priced(point=layers, cost=estimate(layers.workload, *load_machine(machine)))
    cells = st.columns(6)
    figures = priced.cost.columns()
    for cell, name in zip(cells, NETWORK_FIGURES, strict=True):
        cell.metric(name_of(name), figure(figures[name], name))
    for note in notes:
        st.text(f"Note: {note}.")
    for misfit in priced.misfits:
        st.warning(sentence(f"Does not fit: {misfit}. It is priced as if it did."))
    panels: dict[str, Callable[[], object]] = {
        "Energy": lambda: _energy(priced),
        "Latency": lambda: _latency(priced, Use()),
        "Roofline": lambda: _roofline(priced),
        "Area": lambda: _area(priced),
        "Layers": lambda: _layers(priced),
        "Totals": lambda: draw_sideways(totals_table([priced], Use())),
    }
    _draw_tabs(panels)


def _draw_tabs(panels: Mapping[str, Callable[[], object]]) -> None:
    tabs = st.tabs(list(panels), key="tab", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, panels.values(), strict=True):
        if tab.open is not False:  # the others are drawn when they are asked for
            with tab:
                draw()


def _choose(study: StudyFrame) -> Evaluation | None:
    """The design of the address, or one of the list: the frontier first."""
    frame = study.frame[study.frame["key"].fillna("").ne("") & study.frame["energy_pj"].notna()]
    if frame.empty:
        return None
    by = ["frontier", study.asked.measured, "trial"]
    frame = frame.sort_values(by, ascending=[False, True, True])
    frame = frame.drop_duplicates("design")
    designs = frame["design"].head(MOST_LISTED).tolist()
    asked = st.query_params.get("design", "")
    if asked and asked not in designs:
        # Beyond the list; or a key alone, of a network that stands on several machines.
        row = study.find_row(asked)
        known = frame.index[frame["design"] == asked].tolist()
        if not known and row is not None:
            known = frame.index[(frame["key"] == row.key) & (frame["trial"] == row.trial)].tolist()
        if known:
            asked = str(frame.at[known[0], "design"])
            keep("design", asked)
            designs = list(dict.fromkeys([*designs, asked]))
    listed = frame[frame["design"].isin(designs)]
    names = {
        str(row.design): f"{'★ ' if row.frontier else ''}trial {row.trial}: {row.name_} "
        f"({row.status})" + (f" on {row.accelerator}" if "@" in str(row.design) else "")
        for row in listed.rename(columns={"name": "name_"}).itertuples()
    }
    title = "Design (★ on the frontier)"
    # The best design is another one tomorrow: the address names it, too.
    design = choose_one(
        st, title, designs, "design", format_func=lambda each: names[each], always=True
    )
    return study.find_row(design)


def _priced_on(study: StudyFrame, row: Evaluation) -> str:
    """The machine of a row, and the technology where all of its constants are of it."""
    try:
        machine = study.of.find_machine(row)
    except InvalidInput:  # a row of an older record, whose machine the study no longer has
        return f"{row.accelerator}, {row.technology}"
    return f"{row.accelerator}, {say_technology(machine.accelerator, machine.technology)}"


def _headline(study: StudyFrame, row: Evaluation) -> None:
    """Six figures as they were recorded, and whether the design is on the frontier, or why not."""
    cells = st.columns(6)
    names = (
        study.asked.measured,
        "energy_pj",
        "latency_us",
        "area_um2",
        "trained_parameters",
        "generated_weights",
    )
    for cell, name in zip(cells, names, strict=True):
        cell.metric(name_of(name), figure(row.column(name), name))
    st.text(
        f"key {row.key} · priced on {_priced_on(study, row)} · {row.status}"
        + (f": {row.reason}" if row.reason else "")
    )
    if row.full:
        if why := study.say_why_not(row):
            st.info(sentence(why), icon=":material/trending_down:")
        else:
            st.success("On the frontier: no trained design is better in all objectives.")


def _energy(priced: Priced) -> None:
    st.text(where_it_goes(priced.cost))
    draw_bars(energy_plot(priced.cost))
    draw_table(components_table([priced]))
    draw_table(accesses_table(priced.cost))


def _latency(priced: Priced, use: Use) -> None:
    draw_bars(latency_plot(priced.cost))
    draw_table(power_table(priced.cost, use))


def _roofline(priced: Priced) -> None:
    roofs = roofline(priced.cost)
    memories = dict.fromkeys(name for roof in roofs for name in roof.intensity)
    memory = st.selectbox("Memory", list(memories), key="roof_memory")
    st.echarts_chart(roofline_chart(priced.cost, memory), key="roofline", height=400)
    st.caption(
        "A point a convolution. Below its roof, something else bounds it: another memory, fill and "
        "drain, or the generator; hovering says what."
    )
    draw_table(roofline_table(priced.cost))


def _area(priced: Priced) -> None:
    st.echarts_chart(area_chart(priced.cost), key="area", height=340)
    st.caption("DRAM, where there is one, is another chip.")
    draw_table(area_table(priced.cost))


def _layers(priced: Priced) -> None:
    """The breakdown by layer, for people; the file to download has all columns in base units."""
    draw_table(layers_table(priced.cost, mapping=True), height=460)
    st.download_button(
        "Download all columns as CSV",
        lambda: csv_records(priced.cost.breakdown),
        file_name="layers.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def _generator(priced: Priced) -> None:
    """The ternary matrices themselves, made here from seed and layer as hardware makes them.

    Dead rows are outputs that no input reaches, dead columns inputs that nothing uses: capacity
    that is paid for and lost, and the reason to look at low densities twice.
    """
    point, cost = priced.design, priced.cost
    places = list(ternary_places(point).values())
    if not places:
        st.info("This network has no ternary matrices: nothing is generated.")
        return
    matrices = {place.name: matrix_at(place) for place in places}
    facts = [count_facts(place, matrices[place.name]) for place in places]
    panel = break_even(cost)
    st.text("\n".join((*generator_sentences(cost, panel), f"Seed: {point.ternary_seed}")))
    left, right = st.columns([3, 2], gap="medium")
    left.dataframe(
        pd.DataFrame(
            [
                {
                    "layer": each.layer,
                    "rows": each.rows,
                    "columns": each.columns,
                    "density": each.density,
                    "negative": each.negatives / max(each.nonzeros, 1),
                    "dead rows": each.dead_rows,
                    "dead columns": each.dead_columns,
                }
                for each in facts
            ]
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in ("density", "negative")
        },
    )
    with right:
        layer = st.selectbox("Matrix", list(matrices), key="matrix")
        st.image(
            _picture(matrices[layer]),
            width=330,
            caption="vermilion +1, blue -1, grey 0; rows are outputs",
        )
    if panel is not None:
        draw_table(generator_table(panel))
        draw_table(ways_table(panel))
    draw_table(loads_table(cost))


def _picture(matrix: np.ndarray) -> np.ndarray:
    """The matrix as coloured squares: shape (rows, columns) of trits -> (height, width, 3) of RGB.

    An entry is a whole number of pixels wide, or a browser's scaling would make patterns of its own
    in a matrix of which one looks for patterns.
    """
    picture = np.zeros((*matrix.shape, 3), dtype=np.uint8)
    for value, colour in TRITS.items():
        picture[matrix == value] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    zoom = max(1, 330 // max(matrix.shape))
    return picture.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _training(study: StudyFrame, row: Evaluation) -> None:
    known = {
        "status": row.status,
        "epochs": row.epochs,
        "best epoch": row.best_epoch,
        "seconds": None if row.training_seconds is None else round(row.training_seconds, 1),
        "computed": row.computed,
        "seed": row.seed,
        "finished": row.finished_at,
        "program": row.code_version,
    }
    left, right = st.columns([2, 1], gap="medium")
    facts = {name: str(value) for name, value in known.items() if value not in (None, "")}
    right.dataframe(pd.DataFrame({"": facts.keys(), "value": facts.values()}), hide_index=True)
    try:
        history = study.of.load_history(row)
    except InvalidInput:
        left.info("The learning curve of this design is not in the study's folder.")
        return
    curves = pd.DataFrame(
        [
            {"epoch": each.epoch, "curve": split, "error": 100 * error}
            for split in ("training", "validation")
            for each in history
            for error in (getattr(each, f"{split}_error"),)
        ]
    )
    name = study.asked.epoch_error_name
    left.echarts_chart(curves_chart(curves, f"{name} (%)"), key="history", height=300)
    best = min(history, key=lambda each: each.validation_error)
    least = percent_words(best.validation_error)
    left.text(f"Least validation {name} {least} in epoch {best.epoch}.")
    right.download_button(
        "Learning curve as CSV",
        lambda: csv_records(dataclasses.asdict(each) for each in history),
        file_name="history.csv",
        mime="text/csv",
        icon=":material/download:",
    )


if __name__ == "__main__":
    main()
