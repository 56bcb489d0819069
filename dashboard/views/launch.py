"""Launch: a search is put together, looked at before it runs, and started.

Three ways lead to the same thing, the text of a study file: a form, the text itself, or a study to
clone. From there on there is one way: a preview prices a sample of the space, `dse search --check`
reads the text as it would be read, and a process of its own searches it (`dashboard.launching`).
"""

from typing import get_args

import streamlit as st

from cost_models import (
    accelerator_names,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.strict_yaml import dump_yaml, parse_yaml
from dashboard import links
from dashboard.charts import Option, axis, chart, find_ends, points
from dashboard.drafts import (
    DEFAULT_AXES,
    Preview,
    data_folders,
    preview,
    seconds_of_an_epoch,
    study_yaml,
)
from dashboard.launching import beside, check, check_paths, start
from dashboard.session import page, settings
from dashboard.studies import find_studies, inside
from dashboard.texts import label, sentence, unit_of
from dse.colours import BLUE, FRONTIER, QUIET
from dse.columns import LABELS, OBJECTIVE_COLUMNS
from dse.design.families import DEFAULT
from dse.errors import InvalidInput
from dse.studies.folder import GIVEN
from dse.studies.spec import SamplerName
from dse.studies.study import open_study

LIMITS = ("trained_parameters", "stored_bits", "energy_pj", "latency_us", "area_um2")
PREVIEW = 1_000  # designs
SAMPLERS = list(get_args(SamplerName))


@page("Start a search")
def main() -> None:
    """Draw the page."""
    if settings().read_only:
        st.info("The dashboard is read only: start searches with `dse search STUDY`.")
        return
    source = st.segmented_control(
        "From",
        ["a form", "YAML", "a study of this folder"],
        default="a form",
        required=True,
        key="launch_from",
    )
    try:
        name, text = {"a form": _form, "YAML": _yaml, "a study of this folder": _clone}[source]()
    except InvalidInput as error:
        st.error(sentence(error))
        return
    if not text:
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        st.caption("The study file")
        st.code(text, language="yaml")
    with right:
        _preview(text)
    _start(name, text)


def _form() -> tuple[str, str]:
    """Name and text of the study file that the form describes; empty where no data is known.

    The form makes YAML and nothing else: what is checked and started is the text that is shown, so
    that whatever a form can do can be done, and repeated, without it.
    """
    folders = [str(path) for path in data_folders(settings())]
    if not folders:
        st.warning(
            "No folder of spoken words is known here: `dse data synthesize speech` makes "
            "one, and `dse dashboard --data FOLDER` names one."
        )
        return "", ""
    left, right = st.columns(2, gap="medium")
    name = left.text_input("Name", "my-study", max_chars=64, key="launch_name")
    folder = right.selectbox("Data", folders, key="launch_data")
    kinds = {"commands": "ten command words", "all_words": "all words", "words": "these words"}
    kind = left.selectbox("Task", list(kinds), format_func=lambda k: kinds[k], key="launch_task")
    task: dict[str, object] = {"kind": kind}
    if kind == "words":
        words = right.text_input("Words, separated by spaces", "yes no", key="launch_words")
        extra = left.toggle("with unknown words and silence", True, key="launch_unknown")
        task |= {"words": words.split(), "unknown": extra, "silence": extra}
    axes = _axes()
    cells = st.columns(4)
    machine = cells[0].selectbox(
        "Machine",
        accelerator_names(),
        key="launch_machine",
        index=accelerator_names().index("kws_ternary"),
    )
    technology = cells[1].selectbox(
        "Technology", ["the machine's own", *technology_names()], key="launch_technology"
    )
    sampler = cells[2].selectbox("Sampler", SAMPLERS, key="launch_sampler")
    seed = cells[3].number_input("Seed", 0, 2**31 - 1, 1, key="launch_seed")
    objectives = st.multiselect(
        "Minimise",
        [n for n in OBJECTIVE_COLUMNS if n in LABELS],
        default=["error", "energy_pj"],
        format_func=label,
        key="launch_objectives",
    )
    effort = st.columns([1, 1, 1, 1, 1.4])
    trainings = effort[0].number_input("Designs to train", 1, 100_000, 20, key="launch_trainings")
    epochs = effort[1].number_input("Epochs of a training", 1, 10_000, 16, key="launch_epochs")
    first = effort[2].number_input(
        "First rung (epochs)",
        1,
        10_000,
        None,
        key="launch_rung",
        placeholder="none",
        help="trainings are looked at after so many epochs, and only the best go on",
    )
    factor = effort[3].number_input(
        "Factor of rungs", 2, 10, 3, key="launch_factor", disabled=first is None
    )
    base = effort[4].text_input(
        "Baselines, separated by spaces", "matchboxnet-3x1x64", key="launch_baselines"
    )
    text = study_yaml(
        name=name,
        data_folder=folder,
        task=task,
        axes=axes,
        machine=machine,
        technology=None if technology == "the machine's own" else technology,
        objectives=objectives,
        limits=_limits(),
        baselines=base.split(),
        epochs=int(epochs),
        sampler=sampler,
        trainings=int(trainings),
        seed=int(seed),
        rungs=None if first is None else {"first": int(first), "factor": int(factor)},
    )
    return name, text


def _axes() -> dict[str, str]:
    chosen = st.multiselect(
        f"Axes of the space; all others stand at {DEFAULT.default}",
        list(DEFAULT.axes),
        default=list(DEFAULT_AXES),
        key="launch_axes",
        format_func=lambda axis: f"{axis}: {DEFAULT.axes[axis].help}",
    )
    cells = st.columns(3)
    return {
        axis: cells[place % 3].text_input(
            f"`{axis}`",
            DEFAULT_AXES.get(axis, str(DEFAULT.axes[axis].default)),
            key=f"axis_{axis}",
            help="a value, a list, or a range such as {low: 16, high: 96, step: 16}",
        )
        for place, axis in enumerate(chosen)
    }


def _limits() -> dict[str, float]:
    limits = {}
    with st.expander("Limits: designs beyond are never trained", expanded=True):
        cells = st.columns(len(LIMITS))
        for cell, column in zip(cells, LIMITS, strict=True):
            default = 20_000.0 if column == "trained_parameters" else None
            value = cell.number_input(
                f"most {label(column)}",
                0.0,
                None,
                default,
                key=f"limit_{column}",
                placeholder="none",
            )
            if value is not None:
                # Typed in the unit of the label (µJ, KiB), written in that of the file (pJ, bit).
                limits[f"max_{column}"] = value / unit_of(column)[1]
    return limits


def _yaml() -> tuple[str, str]:
    given = st.session_state.get("launch_text", "name: my-study\ndata:\n  folder: ../speech\n")
    text = st.text_area(
        "Study file",
        given,
        height=420,
        max_chars=200_000,
        key="launch_yaml",
        help="docs/how-to/search.md describes every key",
    )
    return _name_in(text), text


def _clone() -> tuple[str, str]:
    found = find_studies(settings().folders)
    if not found:
        st.info("There is no study here yet: use the form.")
        return "", ""
    chosen = st.selectbox("Study to clone", list(found), key="clone")
    name = st.text_input("New name", f"{chosen}-2"[:64], max_chars=64, key="clone_name")
    try:
        text = (found[chosen] / GIVEN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        st.error("The study file is not in the study's folder: use the form.")
        return "", ""
    node = parse_yaml(text, "study").plain()
    asked = open_study(found[chosen]).asked
    if not isinstance(node, dict) or not isinstance(node.get("data"), dict):
        raise InvalidInput("the study file that was cloned has no data: use the form")
    # Its paths were seen from where it stood.
    node["name"], node["data"]["folder"] = name, str(asked.data_folder)
    return name, dump_yaml(node)


def _name_in(text: str) -> str:
    node = parse_yaml(text, "study")
    name = node.value.get("name") if isinstance(node.value, dict) else None
    return str(name.plain()) if name is not None else ""


def _preview(text: str) -> None:
    node = parse_yaml(text, "study").plain()
    if not isinstance(node, dict):
        raise InvalidInput(
            "a study file is a mapping of keys: docs/how-to/search.md describes them"
        )
    check_paths(node, settings().root, data_folders(settings()))
    machine = load_accelerator(_library(node.get("machine", "kws_ternary"), accelerator_names()))
    technology = load_technology(
        _library(node.get("technology", machine.technology), technology_names())
    )
    found = preview(text, machine, technology, sample=PREVIEW)
    cells = st.columns(3)
    cells[0].metric("designs of the space", f"{found.size:,}")
    cells[1].metric(
        "keep the limits",
        f"{found.feasible / max(found.sampled, 1):.0%}",
        help=f"of {found.sampled:,} drawn at random",
    )
    cells[2].metric("training", _training_time(node))
    st.echarts_chart(_sample_chart(found), key="sample", height=320)
    st.caption(
        "Costs of a sample, before anything is trained, at 128 frames and 12 classes. The "
        "green ones have the most weights for their energy."
    )


def _library(name: object, known: list[str]) -> str:
    """A machine or technology of the package, or the path of a file of one beside the studies.

    Raises:
        InvalidStudy: it is neither; no other file of this computer may be named by a page.
    """
    return str(name) if name in known else str(beside(settings().root, name))


def _training_time(node: dict[str, object]) -> str:
    from pathlib import Path

    data, recipe = node.get("data"), node.get("recipe")
    folder = data.get("folder") if isinstance(data, dict) else None
    epochs = recipe.get("epochs") if isinstance(recipe, dict) else None
    trainings = node.get("trainings", 20)
    if not isinstance(folder, str) or not isinstance(epochs, int) or not isinstance(trainings, int):
        return "unknown"
    # All epochs one after another: rungs, which stop most trainings early, and workers, which
    # train side by side, make it less; networks larger than those of known studies make it more.
    seconds = seconds_of_an_epoch(settings(), Path(folder))
    if seconds is None:
        return "unknown"
    minutes = seconds * epochs * trainings / 60
    return f"about {minutes:.0f} min" if minutes < 120 else f"about {minutes / 60:.0f} h"


def _sample_chart(found: Preview) -> Option:
    energy = label("energy_pj")
    frame = found.frame[["energy_pj", "weights", "feasible", "frontier"]].copy()
    frame[energy] = frame["energy_pj"] * LABELS["energy_pj"][2]
    front, feasible = frame["frontier"], frame["feasible"]
    kinds = {
        "over a limit": (~feasible & ~front, QUIET),
        "keeps the limits": (feasible & ~front, BLUE),
        "most for the energy": (front, FRONTIER),
    }
    series = [
        points(
            name,
            frame.loc[mask, [energy, "weights"]].reset_index(drop=True),
            energy,
            "weights",
            tint,
            opacity=0.7,
        )
        for name, (mask, tint) in kinds.items()
    ]
    return chart(
        series,
        xAxis=axis(energy, find_ends(frame[energy], log=True), log=True),
        yAxis=axis("weights", find_ends(frame["weights"], log=True), log=True),
    )


def _start(name: str, text: str) -> None:
    """The button, and what it does: paths, then the study, then a process of its own.

    Everything is checked again here, as the text of the preview and this one may be of two runs.
    """
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    workers = left.number_input(
        "Trainings at a time", 1, 64, None, key="launch_workers", placeholder="auto"
    )
    if not right.button("Check and start", type="primary", icon=":material/rocket_launch:"):
        return
    root = settings().root
    inside(root, name)
    if settings().read_only:
        raise InvalidInput("the dashboard is read only")
    check_paths(parse_yaml(text, "study").plain(), root, data_folders(settings()))
    with st.spinner("Checking …"):
        valid, said = check(text, root)
    if not valid:
        st.error(sentence(said))
        return
    folder = start(name, text, root, workers=None if workers is None else int(workers))
    st.success(sentence(said))
    links.go("watch", study=folder.name)


if __name__ == "__main__":
    main()
