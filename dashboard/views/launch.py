"""Launch: a search is put together, looked at before it runs, and started.

There is one draft, the text of a study file. The form shows its keys and changes them, the YAML is
the text itself, and a clone begins with another study's. A preview prices a sample of the space,
`dse search --check` reads the text as it would be read, and a process of its own searches it
(`dashboard.launching`).
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from cost_models import (
    load_technology,
    technology_names,
)
from cost_models.strict_yaml import parse_yaml
from dashboard import links
from dashboard.charts import Option, axis, chart, find_ends, points
from dashboard.drafts import (
    BEGINNINGS,
    DEFAULT_AXES,
    MOST_DRAFT,
    Preview,
    clone_of,
    data_folders,
    flow,
    packed,
    preview,
    read_draft,
    seconds_of_an_epoch,
    study_yaml,
    unpacked,
    value_at,
    with_value,
)
from dashboard.launching import beside, check, check_paths, start
from dashboard.links import choose_one
from dashboard.machines import load_machine, machine_names
from dashboard.session import page, settings
from dashboard.studies import find_studies, inside
from dashboard.texts import label, sentence
from dse.colours import FRONTIER, INDIGO, QUIET
from dse.columns import LABELS, OBJECTIVE_COLUMNS
from dse.design.families import DEFAULT, FAMILIES
from dse.design.families.family import Family
from dse.design.point import Head
from dse.errors import InvalidDesign, InvalidInput
from dse.studies.study_file import SamplerName

LIMITS = ("trained_parameters", "stored_bits", "energy_pj", "latency_us", "area_um2")
PREVIEW = 1_000  # designs
SAMPLERS = list(get_args(SamplerName))
HARDWARE = {
    "clock_mhz": "Clocks (MHz)",
    "vector_lanes": "Vector lanes",
    "trits_per_cycle": "Generator: trits a cycle",
}
DRAFT, BEGUN, PREVIEWED = "launch.draft", "launch.begun", "launch.previewed"
"""In the session: the study file that is put together, what it was begun with, and the last one
that a preview was drawn of."""
FIRST = "launch.first"
"""In the session: the draft as it was begun."""
KEPT, MOST_KEPT = "draft", 8_000
"""Parameter of the address that holds the draft, and its most characters: servers and proxies take
addresses of so many. It is a study file of some 20,000."""
WRONG = "launch.wrong"
"""In the session: place in the draft -> what was typed for it, and why it cannot be read."""


@page("Start a search")
def main() -> None:
    """Draw the page: the start, then the draft in both of its forms, and what it would cost."""
    if settings().read_only:
        st.info("The dashboard is read only: start searches with `dse search STUDY`.")
        return
    folders = [str(path) for path in data_folders(settings())]
    if not folders:
        st.warning(
            "No folder of spoken words is known here: `dse data synthesize speech` makes "
            "one, and `dse dashboard --data FOLDER` names one."
        )
        return
    begin, bar = st.columns([1, 2.6], gap="medium")
    _begin_with(begin, folders[0])
    with bar:
        _start(st.session_state[DRAFT])
        _keep_draft()
    left, right = st.columns([1, 1], gap="medium")
    with left:
        form, yaml = st.tabs(["Form", "YAML"])
        with form:
            _form(folders)
        with yaml:
            _yaml()
    with right:
        _shown_preview(st.session_state[DRAFT])


def _begin_with(place: Any, data_folder: str) -> None:
    """A new draft, or that of a study; it replaces what there is when another is chosen.

    The address has what was made of it, so that a reload, or a colleague, goes on with the draft.
    """
    asked = links.asked_for(KEPT, MOST_KEPT)
    st.session_state[KEPT] = True
    found = find_studies(settings().folders)
    names = {"": "a new study"} | {name: f"a clone of {name}" for name in found}
    chosen = choose_one(place, "Begin with", list(names), "clone", format_func=names.__getitem__)
    begun = st.session_state.get(BEGUN) == chosen and DRAFT in st.session_state
    # Back to where nothing was changed yet leads to that; any other way here to where one was.
    if begun and not asked and not (asked == "" and links.came_back()):
        return
    st.session_state[BEGUN], st.session_state[WRONG] = chosen, {}
    first = _new_draft(data_folder)
    if chosen:
        try:
            first = clone_of(found[chosen], free_name(settings().root, chosen))
        except InvalidInput as error:
            place.error(sentence(error))
    kept = unpacked(asked) if asked else None
    if asked and kept is None:
        place.warning("The draft of this link was cut off: here is the one that it began with.")
    st.session_state[FIRST] = first
    st.session_state[DRAFT] = first if kept is None else kept


def _keep_draft() -> None:
    """Have the address hold the draft, once it is another than the one that it began with."""
    word = packed(st.session_state[DRAFT])
    if len(word) > MOST_KEPT:
        word = ""
        st.caption("This draft is too long for the address: a reload of the page loses it.")
    links.keep(KEPT, word, packed(st.session_state[FIRST]))


def free_name(root: Path, name: str) -> str:
    """The name with the first number behind it that no study or file there has."""
    for number in range(2, 1_000):
        free = f"{name[:60]}-{number}"
        if not (root / free).exists() and not (root / f"{free}.yaml").exists():
            return free
    return name


def _new_draft(data_folder: str) -> str:
    return study_yaml(
        name="my-study",
        data_folder=data_folder,
        task={"kind": "commands"},
        axes=DEFAULT_AXES,
        machine="kws_ternary",
        technology=None,
        objectives=["error", "energy_pj"],
        limits={"max_trained_parameters": 20_000},
        baselines=["matchboxnet-3x1x64"],
        epochs=16,
        sampler="known_cost",
        trainings=20,
        seed=1,
    )


def _yaml() -> None:
    st.session_state["launch_yaml"] = st.session_state[DRAFT]
    st.text_area(
        "Study file",
        height=620,
        max_chars=MOST_DRAFT,
        key="launch_yaml",
        help="docs/how-to/search.md describes every key",
        on_change=_typed,
    )
    st.caption("Form and YAML are one draft: what is changed in one is changed in the other.")


def _typed() -> None:
    st.session_state[DRAFT], st.session_state[WRONG] = st.session_state["launch_yaml"], {}


def _form(folders: list[str]) -> None:
    """The draft's usual keys as widgets; a change of one changes its key in the YAML, and no other.

    Widgets take their values from the draft in each run, so none of them can disagree with it.
    """
    try:
        node = read_draft(st.session_state[DRAFT])
    except InvalidInput as error:
        st.error(sentence(error))
        st.caption("The form needs YAML that can be read: mend it there.")
        return
    left, right = st.columns(2)
    _text(left, "Name", node, "name")
    _select(right, "Data", node, "data.folder", folders)
    kinds = {"commands": "ten command words", "all_words": "all words", "words": "these words"}
    kinds["transcription"] = "sentences"
    _select(left, "Task", node, "data.task.kind", list(kinds), names=kinds, then=_fit_task)
    if value_at(node, "data.task.kind") == "words":
        _text(right, "Words", node, "data.task.words", parsed=True)
    _axes(node)
    cells = st.columns(3)
    _select(cells[0], "Machine", node, "machine", machine_names(), usual="kws_ternary")
    technologies = ["", *technology_names()]
    own = {name: name or "the machine's own" for name in technologies}
    _select(cells[1], "Technology", node, "technology", technologies, names=own)
    _select(cells[2], "Sampler", node, "sampler", SAMPLERS, usual="known_cost")
    columns = [name for name in OBJECTIVE_COLUMNS if name in LABELS]
    usual = ("error", "energy_pj")
    _several(st, "Minimise", node, "objectives", columns, words=label, usual=usual)
    effort = st.columns(4)
    _number(effort[0], "Designs to train", node, "trainings", usual=20)
    _number(effort[1], "Epochs of a training", node, "recipe.epochs")
    _number(effort[2], "Seed", node, "seed", least=0, usual=1)
    _text(effort[3], "Rungs", node, "rungs", parsed=True, help="such as {first: 6, factor: 3}")
    _text(st, "Baselines", node, "baselines", parsed=True, help="such as [matchboxnet-3x1x64]")
    with st.expander("Limits: designs beyond are never trained", expanded=True):
        for cell, column in zip(st.columns(3) * 2, LIMITS, strict=False):
            # Typed in the unit of the label (µJ, KiB), written in that of the file (pJ, bit).
            _, unit, ratio = LABELS[column]
            factor = ratio if unit else None  # of a count: a whole number
            _number(cell, f"most {label(column)}", node, f"limits.max_{column}", factor=factor)
    with st.expander("Hardware: machines that are searched, too", expanded="hardware" in node):
        _several(st, "Machines to choose from", node, "hardware.machine", machine_names())
        _several(st, "Technologies to choose from", node, "hardware.technology", technology_names())
        for cell, (key, words) in zip(st.columns(3), HARDWARE.items(), strict=True):
            _text(cell, words, node, f"hardware.{key}", parsed=True, help="such as [5, 10, 20]")
        st.caption("Arrays and memories are varied in the YAML.")


def _axes(node: dict[str, Any]) -> None:
    space = node.get("space")
    space = space if isinstance(space, dict) else {}
    families = list(FAMILIES)
    _select(
        st, "Family of networks", node, "space.family", families, usual=DEFAULT.name, then=_fit_axes
    )
    family = FAMILIES.get(str(space.get("family", DEFAULT.name)))
    if family is None:
        st.caption("The axes of a family of one's own are varied in the YAML.")
        return
    known = [axis for axis in family.axes if axis in space]
    st.session_state["form.axes"] = known
    st.multiselect(
        f"Axes of the space; all others stand at {family.default}",
        list(family.axes),
        key="form.axes",
        format_func=lambda axis: f"{axis}: {family.axes[axis].help}",
        on_change=_choose_axes,
        args=(family, known),
    )
    cells = st.columns(3)
    for place, name in enumerate(known):
        help_ = "a value, a list, or a range such as {low: 16, high: 96, step: 16}"
        _text(cells[place % 3], name, node, f"space.{name}", parsed=True, help=help_)


def _fit_task() -> None:
    """Another kind of task needs other networks: with the first of them, begin anew with those."""
    node = read_draft(st.session_state[DRAFT])
    wanted: Head = "framewise" if value_at(node, "data.task.kind") == "transcription" else "pooled"
    family = FAMILIES.get(str(value_at(node, "space.family") or DEFAULT.name))
    if family is not None and family.head != wanted:
        for key, value in BEGINNINGS[wanted].items():
            _change(key, value)


def _fit_axes() -> None:
    """Axes that another family does not have leave the draft with the family."""
    node = read_draft(st.session_state[DRAFT])
    family = FAMILIES.get(str(value_at(node, "space.family") or DEFAULT.name))
    space = node.get("space")
    if family is None or not isinstance(space, dict):
        return
    for name in set(space) - {"family", "in_channels"}:
        try:
            family.split(name)
        except InvalidDesign:
            _change(f"space.{name}", None)


def _choose_axes(family: Family, known: list[str]) -> None:
    chosen = st.session_state["form.axes"]
    for name in known:
        if name not in chosen:
            _change(f"space.{name}", None)
    for name in chosen:
        if name not in known:
            text = DEFAULT_AXES.get(name, flow(family.axes[name].default))
            _change(f"space.{name}", parse_yaml(text, name).plain())


def _change(path: str, value: Any) -> None:
    st.session_state[DRAFT] = with_value(st.session_state[DRAFT], path, value)
    st.session_state.setdefault(WRONG, {}).pop(path, None)


def _text(
    place: Any, title: str, node: dict[str, Any], path: str, *, parsed: bool = False, help: str = ""
) -> None:
    """A line of text; `parsed` is YAML of one line, and stays as it was typed where it is none."""
    key = f"form.{path}"
    wrong = st.session_state.get(WRONG, {}).get(path)
    value = value_at(node, path)
    shown = flow(value) if parsed else str(value or "")
    st.session_state[key] = wrong[0] if wrong else shown
    place.text_input(title, key=key, help=help, on_change=_typed_text, args=(path, parsed))
    if wrong:
        place.caption(f":red[{sentence(wrong[1])}]")


def _typed_text(path: str, parsed: bool) -> None:
    text = st.session_state[f"form.{path}"]
    try:
        value = (parse_yaml(text, path).plain() if parsed else text) if text.strip() else None
    except InvalidInput as error:
        st.session_state.setdefault(WRONG, {})[path] = (text, str(error))
        return
    _change(path, value)


def _select(
    place: Any,
    title: str,
    node: dict[str, Any],
    path: str,
    options: list[str],
    *,
    names: Mapping[str, str] | None = None,
    usual: str = "",
    then: Callable[[], None] = lambda: None,
) -> None:
    """One of the options; what the draft has beside them is offered, too.

    What depends on the choice follows it in `then`.
    """
    key, value = f"form.{path}", str(value_at(node, path) or usual or options[0])
    value = value if names is None or value in names else options[0]
    st.session_state[key] = value

    def chosen() -> None:
        _change(path, st.session_state[key] or None)
        then()

    place.selectbox(
        title,
        list(dict.fromkeys([*options, value])),
        key=key,
        format_func=lambda each: (names or {}).get(each, each),
        on_change=chosen,
    )


def _several(
    place: Any,
    title: str,
    node: dict[str, Any],
    path: str,
    options: list[str],
    *,
    words: Callable[[str], str] = str,
    usual: tuple[str, ...] = (),
) -> None:
    key, value = f"form.{path}", value_at(node, path)
    listed = usual if value is None else value if isinstance(value, list) else [value]
    st.session_state[key] = [str(each) for each in listed]
    place.multiselect(
        title,
        list(dict.fromkeys([*options, *st.session_state[key]])),
        key=key,
        format_func=words,
        on_change=lambda: _change(path, st.session_state[key] or None),
    )


def _number(
    place: Any,
    title: str,
    node: dict[str, Any],
    path: str,
    *,
    least: float = 1,
    usual: float | None = None,
    factor: float | None = None,
) -> None:
    """A number; of a limit a float in the unit of people, else a whole one."""
    key, value = f"form.{path}", value_at(node, path)
    # Browsers count to 2^53: what is beyond, and .inf, stands in the YAML only.
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
    number = value if known else usual
    whole = factor is None
    if number is not None:
        number = int(number) if whole else float(number) * (factor or 1)
    st.session_state[key] = number
    place.number_input(
        title,
        # What stands in the YAML is shown, also where it is less than makes sense.
        min(int(least), number or 0) if whole else min(0.0, number or 0.0),
        max(2**31 - 1, int(number or 0)) if whole else None,
        key=key,
        placeholder="none",
        step=1 if whole else None,
        on_change=lambda: _typed_number(path, factor),
    )


def _typed_number(path: str, factor: float | None) -> None:
    value = st.session_state[f"form.{path}"]
    if value is not None and factor is not None:
        value = float(f"{value / factor:.12g}")
    _change(path, value)


def _shown_preview(text: str) -> None:
    """The preview; of a draft that has none, why, and below it that of the last one that had."""
    try:
        _preview(text)
    except InvalidInput as error:
        st.error(sentence(error))
        last = st.session_state.get(PREVIEWED)
        if last:
            st.caption("Of the draft before, which could be read:")
            with contextlib.suppress(InvalidInput):
                _preview(last)
        return
    st.session_state[PREVIEWED] = text


def _preview(text: str) -> None:
    node = read_draft(text)
    check_paths(node, settings().root, data_folders(settings()))
    machine, technology = load_machine(str(node.get("machine", "kws_ternary")))
    if node.get("technology") is not None:
        technology = load_technology(_library(node["technology"], technology_names()))
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
        "Costs of a sample, before anything is trained, at "
        f"{found.sizes.frames} frames and {found.sizes.outputs} outputs. The "
        "green ones have the most weights for their energy."
    )


def _library(name: object, known: list[str]) -> str:
    """A machine or technology of the package, or the path of a file of one beside the studies.

    Raises:
        InvalidStudy: it is neither; no other file of this computer may be named by a page.
    """
    return str(name) if name in known else str(beside(settings().root, name))


def _training_time(node: dict[str, object]) -> str:
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
        "keeps the limits": (feasible & ~front, INDIGO),
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


def _start(text: str) -> None:
    """The button, and what it does: paths, then the study, then a process of its own.

    Everything is checked again here, as the text of the preview and this one may be of two runs.
    What is wrong is said below the button, where the eye is.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        workers = st.number_input(
            "Trainings at a time", 1, 64, None, key="launch_workers", placeholder="auto", width=160
        )
        pressed = st.button("Check and start", type="primary", icon=":material/rocket_launch:")
        checked = st.button("Check only", icon=":material/task_alt:", key="check_only")
    wrong = st.session_state.get(WRONG)
    if wrong:
        for path, (_, error) in wrong.items():
            st.error(sentence(f"{path}: {error}"))
    elif pressed or checked:
        try:
            folder = _checked(text, None if workers is None else int(workers), run=pressed)
        except InvalidInput as error:
            st.error(sentence(error))
            return
        if folder is not None:
            links.go("watch", study=folder.name)


def _checked(text: str, workers: int | None, *, run: bool) -> Path | None:
    """Check a draft, and start it: its folder; None where it is not started."""
    root = settings().root
    if settings().read_only:
        raise InvalidInput("the dashboard is read only")
    node = read_draft(text)
    name = str(node.get("name", ""))
    inside(root, name)
    check_paths(node, root, data_folders(settings()))
    with st.spinner("Checking …"):
        valid, said = check(text, root)
    if not valid:
        raise InvalidInput(said)
    if run:
        return start(name, text, root, workers=workers)
    st.success(sentence(said))
    return None


if __name__ == "__main__":
    main()
