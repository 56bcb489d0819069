"""Design: one network on one machine, in full: where its energy, time and area go, and why.

The headline is what the study recorded. Everything below is priced now, from the network and the
machine of the study's record: where the cost model has changed since, the two differ, and
`dse reprice` brings the record up to date.
"""

import dataclasses

import numpy as np
import pandas as pd
import streamlit as st

from cost_models import Cost
from cost_models.application import inferences_per_second
from cost_models.break_even import break_even
from cost_models.units import pj_to_uj, with_prefix
from dashboard.charts import stacked
from dashboard.cost_charts import (
    area_chart,
    choose_tints,
    curves_chart,
    energy_frame,
    latency_frame,
    network_diagram,
    roofline_chart,
    roofline_frame,
    shares,
)
from dashboard.links import choose_one
from dashboard.mistakes import draw_mistakes
from dashboard.session import current_study, page
from dashboard.studies import StudyFrame
from dashboard.texts import bits, figure, plain, to_csv
from dse.colours import BLUE, VERMILION
from dse.design.matrices import count_facts, matrix_at
from dse.design.places import ternary_places
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.studies.comparison import why_not_on_frontier
from dse.studies.rows import FULL, Evaluation

MOST_LISTED = 2_000  # designs in the choice; any other opens by its address


@page("One design in full")
def main() -> None:
    """Draw the page."""
    study = current_study()
    row = _choose(study)
    if row is None:
        st.info("No design of this study has a cost yet: let `dse search` go on.")
        return
    _headline(study, row)
    point = study.of.build_point(row)
    if point is None:
        st.warning(
            "Nothing in the study's folder says any more what this network was: restore "
            "its design.yaml to see more than its row."
        )
        return
    cost = study.of.price(point, study.of.find_machine(row))
    st.graphviz_chart(network_diagram(point, study.of.begun.outputs), width="stretch")
    tabs = st.tabs(
        ["Energy", "Latency", "Roofline", "Area", "Layers", "Generator", "Mistakes", "Training"]
    )
    for tab, draw in zip(tabs, (_energy, _latency, _roofline, _area, _layers), strict=False):
        with tab:
            draw(cost)
    with tabs[5]:
        _generator(point, cost)
    with tabs[6]:
        draw_mistakes(study, row)
    with tabs[7]:
        _training(study, row)


def _choose(study: StudyFrame) -> Evaluation | None:
    """The design of the address, or one of the list: the frontier first."""
    frame = study.frame[study.frame["key"].fillna("").ne("") & study.frame["energy_pj"].notna()]
    if frame.empty:
        return None
    frame = frame.sort_values(["frontier", "error", "trial"], ascending=[False, True, True])
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
            st.query_params["design"] = asked
            designs = list(dict.fromkeys([*designs, asked]))
    listed = frame[frame["design"].isin(designs)]
    names = {
        str(row.design): f"{'★ ' if row.frontier else ''}trial {row.trial}: {row.name_} "
        f"({row.status})" + (f" on {row.accelerator}" if "@" in str(row.design) else "")
        for row in listed.rename(columns={"name": "name_"}).itertuples()
    }
    title = "Design (★ on the frontier)"
    design = choose_one(st, title, designs, "design", format_func=lambda each: names[each])
    return study.find_row(design)


def _headline(study: StudyFrame, row: Evaluation) -> None:
    """Six figures as they were recorded, and whether the design is on the frontier, or why not."""
    cells = st.columns(6)
    names = (
        "error",
        "energy_pj",
        "latency_us",
        "area_um2",
        "trained_parameters",
        "generated_weights",
    )
    for cell, name in zip(cells, names, strict=True):
        title = {
            "error": "validation error",
            "energy_pj": "energy per inference",
            "latency_us": "latency",
            "area_um2": "area of the machine",
            "trained_parameters": "trained parameters",
            "generated_weights": "generated weights",
        }[name]
        cell.metric(title, figure(row.column(name), name))
    st.text(
        f"key {row.key} · priced on {study.asked.machine_words} · {row.status}"
        + (f": {row.reason}" if row.reason else "")
    )
    if row.full:
        objectives = list(study.asked.objectives)
        # Nowhere worse than it: nothing else can dominate it, so no other row is made an object.
        better = (study.frame[objectives] <= [row.column(name) for name in objectives]).all(axis=1)
        rows = study.rows_where(better & study.frame["status"].isin(FULL))
        why = why_not_on_frontier(row, rows, objectives)
        if why:
            st.info(plain(why), icon=":material/trending_down:")
        else:
            st.success("On the frontier: no trained design is better in all objectives.")


def _energy(cost: Cost) -> None:
    band = cost.energy
    st.markdown(
        f"**{pj_to_uj(band.mid):.3g} uJ** per inference ({pj_to_uj(band.low):.3g} to "
        f"{pj_to_uj(band.high):.3g} with the bands of the constants). "
        + "; ".join(f"{plain(part)} {share:.0%}" for part, share in shares(cost)[:5])
        + "."
    )
    frame = energy_frame(cost)
    order = list(dict.fromkeys(frame["layer"]))
    option, height = stacked(frame, "energy_nj", "energy (nJ)", order, choose_tints(frame["part"]))
    st.echarts_chart(option, key="energy", height=height)


def _latency(cost: Cost) -> None:
    cycles = cost.latency_cycles
    bounds = ", ".join(f"{plain(part)} {n / cycles:.0%}" for part, n in cost.bounds_cycles.items())
    st.markdown(
        f"**{cost.latency_us / 1000:.3g} ms** = {cycles:,} cycles at "
        f"{cost.accelerator.clock_mhz:g} MHz; at most "
        f"{with_prefix(inferences_per_second(cost.latency_us))} inferences a second. Arrays busy "
        f"{cost.utilisation:.0%}. What bounds: {bounds}."
    )
    frame = latency_frame(cost)
    title = "latency (us), by what bounds the layer"
    option, height = stacked(frame, "us", title, list(frame["layer"]), choose_tints(frame["part"]))
    st.echarts_chart(option, key="latency", height=height)


def _roofline(cost: Cost) -> None:
    frame = roofline_frame(cost)
    memories = list(dict.fromkeys(frame["memory"]))
    memory = st.selectbox("Memory", memories, key="roof_memory")
    st.echarts_chart(roofline_chart(cost, memory), key="roofline", height=400)
    st.caption(
        "A point a convolution. Below its roof, something else bounds it: another memory, fill and "
        "drain, or the generator; hovering says what."
    )


def _area(cost: Cost) -> None:
    area = cost.area
    st.markdown(
        f"**{area.mid * 1e-6:.3g} mm2** ({area.low * 1e-6:.3g} to {area.high * 1e-6:.3g} with the "
        f"bands of the constants), {plain(cost.technology.name)}. Leakage "
        f"{cost.leakage.mid:.3g} uW. DRAM, where there is one, is another chip."
    )
    st.echarts_chart(area_chart(cost), key="area", height=340)


def _layers(cost: Cost) -> None:
    """The breakdown by layer, for people; the file to download has all columns in base units."""
    rows = cost.breakdown
    frame = pd.DataFrame(rows)
    shown = pd.DataFrame(
        {
            "layer": frame["layer"],
            "kind": frame["kind"],
            "energy (nJ)": frame["energy_pj"] * 1e-3,
            "cycles": frame["latency_cycles"],
            "bound by": frame["bound"],
            "stalled (cycles)": frame["stall_cycles"],
            "array used (%)": 100 * frame["utilisation"],
            "trained parameters": frame["trained_parameters"],
            "generated weights": frame["generated_weights"],
            "trits made": frame["trits"],
            "stored (bit)": frame["stored_bits"],
            "MACs": frame["macs"],
            "additions": frame["additions"],
            "mapping": frame["mapping"],
        }
    )
    counts = [name for name in shown if pd.api.types.is_integer_dtype(shown[name])]
    config = {str(name): st.column_config.NumberColumn(format="localized") for name in counts}
    config |= {
        "energy (nJ)": st.column_config.NumberColumn(format="%.4g"),
        "array used (%)": st.column_config.NumberColumn(format="%.1f"),
    }
    st.dataframe(shown, hide_index=True, column_config=config, height=460)
    st.download_button(
        "Download all columns as CSV",
        lambda: to_csv(rows),
        file_name="layers.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def _generator(point: DesignPoint, cost: Cost) -> None:
    """The ternary matrices themselves, made here from seed and layer as hardware makes them.

    Dead rows are outputs that no input reaches, dead columns inputs that nothing uses: capacity
    that is paid for and lost, and the reason to look at low densities twice.
    """
    places = list(ternary_places(point).values())
    if not places:
        st.info("This network has no ternary matrices: nothing is generated.")
        return
    matrices = {place.name: matrix_at(place) for place in places}
    facts = [count_facts(place, matrices[place.name]) for place in places]
    generator = places[0].mixer.generator
    assert generator is not None  # a ternary mixer has one
    st.text(f"Generator: {generator.label}; seed {point.ternary_seed}")
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
    with left:
        _store_or_generate(cost)
    with right:
        layer = st.selectbox("Matrix", list(matrices), key="matrix")
        st.image(
            _picture(matrices[layer]),
            width=330,
            caption="vermilion +1, blue -1, grey 0; rows are outputs",
        )


def _picture(matrix: np.ndarray) -> np.ndarray:
    """The matrix as coloured squares: shape (rows, columns) of trits -> (height, width, 3) of RGB.

    An entry is a whole number of pixels wide, or a browser's scaling would make patterns of its own
    in a matrix of which one looks for patterns.
    """
    colours = {1: VERMILION, -1: BLUE, 0: "#DDDDDD"}
    picture = np.zeros((*matrix.shape, 3), dtype=np.uint8)
    for value, colour in colours.items():
        picture[matrix == value] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    zoom = max(1, 330 // max(matrix.shape))
    return picture.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _store_or_generate(cost: Cost) -> None:
    """Whether a generator or an SRAM that holds all matrices is cheaper, in total and by layer.

    The SRAM is as large as two bits for each generated weight, within the table of the technology;
    as many trits are read from it as the generator makes, those that are made anew included.
    """
    panel = break_even(cost)
    if panel is None:
        st.info("This machine stores the ternary matrices: it has no generator.")
        return
    cheaper = "Generating" if panel.cheaper == "generate" else "Storing"
    smaller = "the generator" if panel.smaller == "generate" else "the memory"
    st.markdown(
        f"**{cheaper} is cheaper:** generated {panel.generated_pj * 1e-3:.3g} nJ an inference, "
        f"read from an SRAM of {bits(panel.memory_bits)} {panel.stored_pj * 1e-3:.3g} nJ. "
        f"**Smaller is {smaller}:** {panel.generator_um2:,.0f} um2 against "
        f"{panel.memory_um2:,.0f} um2."
    )
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "layer": each.layer,
                    "trits made": each.trits,
                    "made anew (times)": each.regenerations,
                    "uses of a trit": each.reuse,
                    "generated (nJ)": each.generated_pj * 1e-3,
                    "stored (nJ)": each.stored_pj * 1e-3,
                    "break-even (kbit)": None
                    if each.break_even_bits is None
                    else each.break_even_bits * 1e-3,
                    "cheaper": each.cheaper,
                }
                for each in panel.layers
            ]
        ),
        hide_index=True,
        column_config={
            "trits made": st.column_config.NumberColumn(format="localized"),
            **{
                name: st.column_config.NumberColumn(format="%.3g")
                for name in (
                    "made anew (times)",
                    "uses of a trit",
                    "generated (nJ)",
                    "stored (nJ)",
                    "break-even (kbit)",
                )
            },
        },
    )
    st.caption("Break-even: the smallest SRAM whose read of two bits costs what a made trit costs.")


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
    left.echarts_chart(curves_chart(curves, "error (%)"), key="history", height=300)
    best = min(history, key=lambda each: each.validation_error)
    left.text(f"Least validation error {100 * best.validation_error:.1f} % in epoch {best.epoch}.")
    right.download_button(
        "Learning curve as CSV",
        lambda: to_csv(dataclasses.asdict(each) for each in history),
        file_name="history.csv",
        mime="text/csv",
        icon=":material/download:",
    )


if __name__ == "__main__":
    main()
