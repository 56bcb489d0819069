"""What if: the trained designs of a study on another machine, without training anything anew.

The error of a network is measured once; energy, latency and area follow from its layers and a
machine. So the (error, cost) plane of the study can be drawn again for any machine at the price of
pricing, and the question of the page is which designs are on the frontier of the new plane. What
it cannot say is which designs a search on that machine would have found: candidates that the study
never trained, over a limit of the old machine for instance, are not in the fleet.
"""

import dataclasses
import shlex
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from cost_models import Accelerator, Technology, accelerator_names
from dashboard.charts import draw_sample, scaled_frame
from dashboard.contents import readable, show_numbers
from dashboard.frontier_chart import Marks, frontier_chart
from dashboard.links import choose_one
from dashboard.session import (
    Trained,
    current_study,
    finish_fleet,
    load_fleet,
    open_design,
    page,
    rows_or_stop,
    settings,
)
from dashboard.shortlist import MOST, list_button, shortlist, toggle_button
from dashboard.studies import NAME, StudyFrame, inside, signature
from dashboard.texts import label, plain, sentence
from dashboard.what_if_controls import Chosen, choose_machine
from dse.columns import LABELS, MEASURED_COLUMNS, OBJECTIVE_COLUMNS, first_cost, first_measured
from dse.errors import InvalidInput
from dse.files import write_text
from dse.pareto import pareto_mask
from dse.pricing.budget import Limit
from dse.pricing.comparable import find_leakage, own_words, say_technology
from dse.pricing.listening import Listening
from dse.pricing.what_if import Fleet, Moves, machine_yaml, moves

COLUMNS = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
LEAKAGE_COLUMNS = ("energy_pj", "latency_us", "leakage_uw", "average_power_uw")
SAMPLES = 100
MOST_POINTS = 1_500  # dominated ones that are drawn: the plot is drawn anew with each move
SO_FAR = "These are the frontier and a sample; the other trained designs are being built. "
MOST_ROBUST = 2_000  # designs; of more, those nearest to the frontier


@page("What if the machine were another one")
def main() -> None:
    """Draw the page."""
    study = current_study()
    rows_or_stop(study)
    controls, wide = st.columns([1, 3], gap="medium")
    with controls:
        try:
            chosen = choose_machine(study)
        except InvalidInput as error:
            st.error(sentence(error))
            return
    trained = load_fleet(study, chosen.family, chosen.listening)
    with wide:
        _answer(study, chosen, trained)
    if not trained.whole:  # what is drawn can be looked at meanwhile
        finish_fleet(study, chosen.family, chosen.listening)
        st.rerun()


def _answer(study: StudyFrame, chosen: Chosen, trained: Trained) -> None:
    """Price, draw, and say what has changed; in the order in which a reader asks."""
    if not len(trained.fleet):
        st.warning("No trained design has densities that this generator can make.")
        return
    fleet = trained.fleet
    began = time.perf_counter()
    try:
        columns, fits = fleet.price(chosen.machine, chosen.technology)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    seconds = time.perf_counter() - began
    listening = chosen.listening
    if listening is not None:
        fits = fits & (columns["hop_latency_us"] <= listening.hop_us)
    if not fits.any():
        no_hop = "" if listening is None else " or the hop is no multiple of its strides, or short,"
        st.warning(
            "No trained design runs on this machine: its memories are too small,"
            f"{no_hop} or it cannot make or store ternary matrices."
        )
        return
    frame = _frame(study, trained, columns, fits)
    objectives = list(study.asked.objectives)
    x, y = _axes(objectives, [name for name in COLUMNS if name in frame])
    old = study.scaled[study.trained & study.frame["frontier"]]
    ghost = old if {x, y} <= set(old.columns) else None  # the study knows nothing of a stream
    drawn = draw_sample(frame, (x, y))
    # Designs are networks here, whatever machine the shortlist has them on.
    marks = Marks(shortlist=[each.partition("@")[0] for each in shortlist(study)])
    chart = frontier_chart(
        drawn, x, y, limits=study.asked.limits, ghost=ghost, whole=frame, marks=marks
    )
    key = chart.show("what_if_plot", outlines=False).design
    other = "Matrices are of another generator than the trained ones. " if chosen.family else ""
    owns = "machines" if study.asked.several_machines else "machine"
    st.container(key="what_if_seconds").caption(
        f"{len(fleet):,} trained designs priced anew in {seconds:.3f} s on "
        f"{plain(machine_words(chosen.machine))}, "
        f"{plain(say_technology(chosen.machine, chosen.technology))}; "
        f"errors are those of the study. Grey dashes: the frontier on the study's own {owns}. "
        f"{other}{'' if trained.whole else SO_FAR}"
        f"{int((~fits).sum()):,} designs do not run or do not fit. Drawn: the frontier and at most "
        f"{MOST_POINTS:,} others."
    )
    _compared(chosen, columns, fits, fleet.rate)
    if key:
        _clicked(study, frame, key)
    found = moves(_keys_before(study), frame.loc[frame["frontier"], "key"].tolist())
    _moves(study, found, frame)
    _before_and_after(_before(study, trained, chosen), frame, objectives)
    _robustness(study, fleet, chosen, frame)
    _save(chosen)


def short_name(machine: Accelerator) -> str:
    """A machine's name without what a study varied, which is told by itself: a slider changes it.

    A machine of a `hardware:` section is called `kws_ternary, 5 MHz`, also at 20 MHz here.
    """
    return machine.name.partition(",")[0]


def machine_words(machine: Accelerator) -> str:
    """`kws_ternary at 5 MHz`: the clock once, and the one that it has."""
    return f"{short_name(machine)} at {machine.clock_mhz:g} MHz"


def _clicked(study: StudyFrame, frame: pd.DataFrame, key: str) -> None:
    """The network that was clicked, and where it goes from here."""
    name = frame.loc[frame["key"] == key, "name"]
    st.markdown(f"**{plain(name.iloc[0] if len(name) else key)}**")
    with st.container(horizontal=True):
        if st.button("Open the design", key="open", icon=":material/open_in_new:"):
            open_design(key)
        toggle_button(study, study.name_design(key), "list_clicked")


def _compared(
    chosen: Chosen, columns: dict[str, np.ndarray], fits: np.ndarray, rate: float
) -> None:
    """What keeps the new figures from being compared; leakage is that of the median design."""
    machine = dataclasses.replace(chosen.machine, name=short_name(chosen.machine))
    own = own_words(machine, chosen.technology)
    runs = np.flatnonzero(fits)
    middle = runs[np.argsort(columns["energy_pj"][runs])[len(runs) // 2]]
    figures = {name: float(columns[name][middle]) for name in LEAKAGE_COLUMNS}
    leaked_pj = figures["leakage_uw"] * figures.pop("latency_us")
    leaks = find_leakage(
        machine,
        chosen.technology,
        dynamic_pj=figures["energy_pj"] - leaked_pj,
        rate=rate,
        **figures,
    )
    for found in (leaks, own):
        if found:
            st.warning(sentence(found))


def _axes(objectives: list[str], columns: list[str]) -> tuple[str, str]:
    left, right = st.columns(2)
    first = columns.index(first_cost(objectives))
    x = choose_one(left, "X axis", columns, "x", index=first, format_func=label)
    second = columns.index(first_measured(objectives))
    y = choose_one(right, "Y axis", columns, "y", index=second, format_func=label)
    return x, y


def _frame(
    study: StudyFrame, trained: Trained, columns: dict[str, np.ndarray], fits: np.ndarray
) -> pd.DataFrame:
    """The trained designs with their new costs; designs that do not run have none.

    Args:
        study: where they are from.
        trained: n designs of it.
        columns: name -> costs, shape (n,), in base units.
        fits: which of them run on the machine, shape (n,).

    Returns:
        Of `scaled_frame`, n rows; `frontier` is that of the new machine, within the study's limits.
    """
    costs = {name: np.where(fits, figures, np.nan) for name, figures in columns.items()}
    # Trained here or elsewhere is one here; what is named in the plot are baselines alone.
    source = trained.frame["source"].where(trained.frame["status"] != "reused", "search")
    frame = trained.frame.assign(status="trained", source=source, **costs)
    # A baseline that the study trained beyond its limits counts here as it counts there.
    over = _over(study, frame) & ~_over(study, study.frame.iloc[trained.places])
    points = frame[list(study.asked.objectives)].to_numpy(dtype=float)
    points[over] = np.nan  # over a limit: on no frontier
    frame["frontier"] = pareto_mask(points)
    frame.loc[over, "status"] = "infeasible"
    return scaled_frame(frame, study.kinds.iloc[trained.places])


def _over(study: StudyFrame, frame: pd.DataFrame) -> np.ndarray:
    """Which designs are over a limit of the study; one without a figure (NaN) is over none."""
    over = np.zeros(len(frame), dtype=bool)
    asked = study.asked
    for limit in (*asked.budget.limits, *asked.measured_budget.limits):
        # That a hop is done in time is judged by the hop that is chosen, not by the study's.
        if asked.listening and limit == Limit("hop_latency_us", asked.listening.hop_us):
            continue
        if limit.column in frame:
            over |= limit.excess({limit.column: frame[limit.column].to_numpy(dtype=float)}) > 0
    return over


def _keys_before(study: StudyFrame) -> list[str]:
    front = study.frame[study.trained & study.frame["frontier"]]
    return list(dict.fromkeys(front["key"].astype(str)))


def _moves(study: StudyFrame, found: Moves, frame: pd.DataFrame) -> None:
    shown = frame[frame["key"].isin([*found.entered[:8], *found.left[:8], *found.stayed[:8]])]
    names = {
        key: f"trial {trial}: {name}"
        for key, trial, name in zip(shown["key"], shown["trial"], shown["name"], strict=True)
    }
    cells = st.columns(3)
    for cell, title, keys in (
        (cells[0], "enter the frontier", found.entered),
        (cells[1], "leave it", found.left),
        (cells[2], "stay", found.stayed),
    ):
        cell.metric(title, len(keys))
        if keys:
            text = "\n".join(names.get(key, key) for key in keys[:8])
            cell.text(text + (f"\nand {len(keys) - 8} more" if len(keys) > 8 else ""))
            with cell:
                designs = [study.name_design(key) for key in keys[:MOST]]
                list_button(study, designs, f"list.{title}")


def _before(study: StudyFrame, trained: Trained, chosen: Chosen) -> pd.DataFrame:
    """The designs on the study's machine that they are held against, as a row each.

    Of a study of one machine these are the recorded figures; of several, a design's row is of
    whichever machine comes first, so it is priced on the one that is meant.
    """
    if not study.asked.several_machines:
        return study.scaled.iloc[trained.places]
    own = chosen.own
    columns, fits = trained.fleet.price(own.accelerator, own.technology)
    costs = {name: np.where(fits, figures, np.nan) for name, figures in columns.items()}
    return scaled_frame(trained.frame.assign(status="trained", **costs))


def _before_and_after(
    earlier: pd.DataFrame, frame: pd.DataFrame, objectives: Sequence[str]
) -> None:
    """Medians over the designs that run, before and after.

    Both over the same designs, those that run on both machines; else a machine that cannot execute
    the large ones would seem to have made all of them cheaper.
    """
    run = frame["energy_pj"].notna().to_numpy() & earlier["energy_pj"].notna().to_numpy()
    runs, scaled = frame[run], earlier[run]
    lines: list[dict[str, object]] = []
    usual = ("energy_pj", "latency_us", "area_um2", "leakage_uw", "listening_power_uw")
    for name in (*usual, *objectives):
        if (
            name in MEASURED_COLUMNS
            or name not in runs
            or name not in scaled
            or any(line["column"] == label(name) for line in lines)
        ):
            continue
        before = float(scaled[name].median())
        after = float(runs[name].median())
        change = f"{after / before - 1:+.1%}" if before else ""
        figures = {"before": readable(before), "after": readable(after)}
        lines.append({"column": label(name), **figures, "change": change})
    names = {name: st.column_config.NumberColumn(f"median {name}") for name in ("before", "after")}
    st.dataframe(
        show_numbers(pd.DataFrame(lines, dtype=object)), hide_index=True, column_config=names
    )


@st.cache_data(max_entries=32, show_spinner="Drawing technologies …")
def _shares(
    mark: tuple[object, ...],
    machine: Accelerator,
    technology: Technology,
    objectives: tuple[str, ...],
    picks: tuple[int, ...],
    listening: Listening | None,
    _fleet: Fleet,
    _errors: list[float],
) -> list[float]:
    errors = [_errors[i] for i in picks]
    shares = _fleet.some(picks).robustness(machine, technology, errors, objectives, samples=SAMPLES)
    return [float(share) for share in shares]


def _robustness(study: StudyFrame, fleet: Fleet, chosen: Chosen, frame: pd.DataFrame) -> None:
    """In how many of the technologies that the bands allow each design is on the frontier.

    A constant is off in the same way for all designs, so bands of single designs overlap even where
    their order is certain. Drawing whole technologies keeps what designs have in common, and the
    share of draws says how far a place on the frontier rests on constants that nobody knows well.
    """
    if not st.toggle(
        "Robustness: how sure is the frontier, given the bands of the constants?",
        key="robust",
        bind="query-params",
    ):
        return
    # The error that the study asks for is the one that the draws hold designs against.
    measured = study.asked.measured
    costs = [name for name in study.asked.objectives if name not in MEASURED_COLUMNS]
    objectives = ("error", *costs)
    # A frontier of each draw is looked for among few enough to wait for it. Ranks can be added, as
    # percent and pJ cannot: the least sum is near the good corner, whatever the units.
    order = frame.assign(worth=frame[measured].rank() + frame[costs].rank().sum(axis=1))
    order = order.sort_values(["frontier", "worth"], ascending=[False, True])
    picks = tuple(sorted(int(i) for i in order.index[:MOST_ROBUST]))
    # The frame is in percent, `robustness` takes shares; `picks` are places in fleet and frame.
    errors = (frame[measured] / LABELS[measured][2]).tolist()
    mark = (*signature(study.of.folder), chosen.family)
    on = (chosen.machine, chosen.technology)
    shares = _shares(mark, *on, objectives, picks, chosen.listening, fleet, errors)
    table = pd.DataFrame(
        {
            "design": [frame["name"].iloc[i] for i in picks],
            "trial": [frame["trial"].iloc[i] for i in picks],
            "on the frontier (share of draws)": shares,
            "now on the frontier": [bool(frame["frontier"].iloc[i]) for i in picks],
            **{
                label(name): pd.Series([readable(frame[name].iloc[i]) for i in picks], dtype=object)
                for name in (measured, *costs)
            },
        }
    )
    table = table[table.iloc[:, 2] > 0].sort_values(table.columns[2], ascending=False)
    shares_of_draws = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    st.dataframe(
        show_numbers(table), hide_index=True, column_config={table.columns[2]: shares_of_draws}
    )
    st.caption(
        f"{SAMPLES} technologies, each constant drawn within its own band and the same for all "
        "designs of a draw; mappings and cycles stay. Errors are taken as they were measured."
    )


def _save(chosen: Chosen) -> None:
    st.subheader("Keep this machine", anchor=False)
    left, middle, right = st.columns([1.2, 1, 1.2], vertical_alignment="bottom")
    given = left.text_input("Name", value="my_machine", max_chars=64, key="machine_name")
    name = f"{given.removesuffix('.yaml')}.yaml"
    text = machine_yaml(chosen.machine, based_on=chosen.base.name if _varied(chosen) else "")
    middle.download_button(
        "Download as YAML",
        text,
        file_name=name if NAME.fullmatch(name) else "machine.yaml",
        mime="application/yaml",
        icon=":material/download:",
    )
    if right.button("Save beside the studies", disabled=settings().read_only, key="save_machine"):
        save_machine(name, text)
        st.success(f"Saved. {plain(name)} is offered on all pages now; in a terminal:")
        st.code(f"dse estimate DESIGN --machine {shlex.quote(name)}", language="sh")


def save_machine(name: str, text: str) -> None:
    """Write a machine's file beside the studies.

    Args:
        name: of the file, with its ending.
        text: YAML.

    Raises:
        InvalidInput: the page is read only; the name is taken, could lead elsewhere, or is that of
            another machine, which nobody could tell from this one in a table.
    """
    if settings().read_only:
        raise InvalidInput("the dashboard is read only: download the machine instead")
    path = inside(settings().root, name)
    if path.exists():
        raise InvalidInput(f"{path.name} exists: choose another name")
    if path.stem in accelerator_names():
        raise InvalidInput(f"{path.stem} is a machine of the package: choose another name")
    try:
        write_text(path, text)
    except OSError as error:
        raise InvalidInput(
            f"{name} cannot be written ({str(error.strerror).lower()}): free some space, change "
            "the folder's permissions, or download the machine"
        ) from None


def _varied(chosen: Chosen) -> bool:
    return chosen.machine != chosen.base


if __name__ == "__main__":
    main()
