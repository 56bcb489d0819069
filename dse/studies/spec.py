"""The study file: everything that a search needs to know, as data.

`read_study` turns a person's YAML into a `StudySpec`; `StudySpec.resolved` spells every default
out, so that a study can be repeated when the defaults have changed.
"""

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from cost_models import Accelerator, Technology, load_accelerator, load_technology
from cost_models.allowed import Allowed, check_fields
from cost_models.application import US_PER_S
from cost_models.reading import Problems, build
from cost_models.recognised import check_kind
from cost_models.strict_yaml import Node, read_yaml
from dse.columns import (
    COST_COLUMNS,
    LABELS,
    MEASURED_COLUMNS,
    OBJECTIVE_COLUMNS,
    STREAM_COLUMNS,
    first_measured,
)
from dse.design.families import FAMILIES
from dse.design.families.family import Values
from dse.design.point import DesignPoint
from dse.design.published import published, published_values
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile, InvalidInput, InvalidStudy, require, short
from dse.pricing.budget import Bound, Budget, Limit, budget_from_node, in_time
from dse.pricing.comparable import say_technology
from dse.pricing.filling import Filling, check_axis
from dse.pricing.hardware import Hardware, HardwareSection, hardware_from_node
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.speech.task import FeatureSpec, Task, Wake
from dse.speech.transcription import SpeechTask, Transcription
from dse.studies.data_section import DataSection, data_from_node
from dse.studies.effort import Amount, Effort, Patience
from dse.studies.folder import RESOLVED
from dse.studies.rungs import Rungs
from dse.training.recipe import Recipe, spelled_out

SCHEMA_VERSION = 1

SamplerName = Literal["known_cost", "tpe", "nsga2", "nsga3", "gp", "qmc", "random"]
Controls = Literal["none", "auto"]

Seed = Annotated[int, Allowed(ge=0, lt=2**32, words="from 0 to 2^32 - 1")]
Rate = Annotated[float, Allowed(ge=1e-9, le=1e9)]
Hours = Annotated[float, Allowed(gt=0, le=1e9)]
HopFrames = Annotated[int, Allowed(ge=1, le=1_000_000)]

CHANGEABLE = (
    "trainings",
    "candidates",
    "epochs",
    "hours",
    "patience",
    "device",
    "baselines",
    "controls",
    "warm_start",
    "data_folder",
    "base_folder",
)
"""What may change between runs of one study: how long it searches, and on what it computes."""

BITS = ("weight_bits", "activation_bits")
"""Axes of precision."""

PRICED = ("accelerator", "technology", "hardware", "limits", "objectives", "rate", "stream")
"""What may change when a study is priced again (`search.reprice`): no training depends on it."""


StudyName = Annotated[
    str,
    Allowed(
        pattern="[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
        words="up to 64 letters, digits, '.', '_' and '-' (it names a folder)",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSection:
    """The `stream` section of a study file: designs are priced as they listen, too."""

    hop_frames: HopFrames
    """New frames that each hop computes: a multiple of all strides of a design together, and at
    most `data.features.frames`. Hops a second follow from it and `data.features.hop_ms`."""

    def __post_init__(self) -> None:
        """Check the number."""
        check_fields(self)


def listening_of(stream: StreamSection | None, features: FeatureSpec) -> Listening | None:
    """How a stream is taken in, with the duration of a frame; None where there is none."""
    return None if stream is None else Listening(stream.hop_frames, features.hop_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFile:
    """The study file as it stands, with what it may leave out."""

    name: StudyName
    """Of the study's folder and its Optuna study."""
    data: DataSection
    """Recordings, and what is made of them."""
    space: Any
    """The axes of the design space."""
    machine: str = "kws_ternary"
    """Name of an accelerator (`dse estimate --help` lists them), or a YAML file."""
    technology: str | None = None
    """Name or YAML file; the machine's own where it is left out."""
    hardware: HardwareSection | None = None
    """Machines that are searched together with the network."""
    recipe: Recipe = field(default_factory=Recipe)
    """Name of a recipe, or its fields."""
    objectives: tuple[str, ...] = ("error", "energy_pj")
    """Two or more columns, all minimised: `error` or `quantised_error`, and at least one cost."""
    limits: dict[str, Bound] | None = None
    """`max_COLUMN` and `min_COLUMN` of costs, `error` and `quantised_error`."""
    fill: str | None = None
    """A column that has a `max_` limit: the width of each design (`channels`, or the family's own)
    is solved so that it uses the limit, not searched."""
    rate: Rate | None = None
    """Inferences a second, which a machine must keep. Where `average_power_uw` is an objective or
    limited and nothing is said: 1 of words; of sentences as many as it takes to hear all, one in
    `frames` hops."""
    stream: StreamSection | None = None
    """Designs are priced as they listen, hop after hop in real time, beside one inference of the
    whole window; then columns such as `listening_power_uw` may be objectives and limits."""
    baselines: tuple[str | dict[str, Any], ...] = ()
    """Designs that are evaluated first: names of published networks, or values of axes."""
    controls: Controls = "none"
    """`auto`: the last trainings are dense controls, one of like trained parameters for each
    ternary design of the frontier that has none."""
    warm_start: tuple[str, ...] = ()
    """Folders of earlier studies: the designs of their frontiers are tried, and what they trained
    alike is not trained again."""
    sampler: SamplerName = "known_cost"
    """What proposes designs."""
    rungs: Rungs | Literal["none"] | None = None
    """Epochs of the first look at a training, and the factor from one look to the next."""
    trainings: Amount = 20
    """The study ends when so many designs are trained."""
    candidates: Amount | None = None
    """... or when so many are priced; 50 per training where it is left out."""
    epochs: Amount | None = None
    """... or when so many epochs are trained, of all designs together."""
    hours: Hours | None = None
    """... or so many hours: of training, of all designs, divided by the workers."""
    patience: Patience | None = None
    """... or when the hypervolume has nearly stopped growing."""
    seed: Seed = 1
    """Of proposals and trainings."""
    device: Annotated[
        str, Allowed(pattern="auto|cpu|cuda(:[0-9]+)?", words="auto, cpu or cuda")
    ] = "auto"
    """What trainings compute on."""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_fields(self)
        if self.candidates is not None:
            require(
                self.candidates >= self.trainings,
                "candidates",
                f"at least trainings, {self.trainings}",
                self.candidates,
            )
        require(
            len(self.objectives) >= 2 and len(set(self.objectives)) == len(self.objectives),
            "objectives",
            "a list of two or more different columns",
            list(self.objectives),
        )
        for objective in self.objectives:
            require(
                objective in OBJECTIVE_COLUMNS,
                "objectives",
                f"columns out of {', '.join(OBJECTIVE_COLUMNS)}",
                objective,
            )
        for known, remedy in (
            (
                False,
                "a list with error or quantised_error (without it nothing needs training: "
                "use dse sweep)",
            ),
            (True, "a list with a cost such as energy_pj beside the error"),
        ):
            require(
                any((name not in MEASURED_COLUMNS) == known for name in self.objectives),
                "objectives",
                remedy,
                list(self.objectives),
            )


@dataclass(frozen=True, slots=True)
class Baseline:
    """A design that a study evaluates before it searches."""

    name: str
    """Of a published network; or its summary with the beginning of its key, which tells it apart
    from other baselines (rows name their `source` by it)."""
    point: DesignPoint
    values: Values | None
    """Its place in the space; None where it lies beside it."""
    published: bool = True

    def to_plain(self) -> Any:
        """As the study file has it, so that `read_baselines` reads it back."""
        return self.name if self.published else self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A study, read and checked."""

    name: str
    base_folder: Path
    """Relative paths of the study file are seen from here."""
    data_folder: Path
    task: SpeechTask
    features: FeatureSpec
    space: SearchSpace
    hardware: Hardware
    """The machines that networks are priced on: one, or all combinations of hardware axes."""
    recipe: Recipe
    objectives: tuple[str, ...]
    budget: Budget
    """Limits on what is known before training."""
    measured_budget: Budget
    """Limits on what only a training tells."""
    fill: Mapping[str, float] | None = None
    """The column that each design fills, and how much of it; None where widths are searched."""
    rate: float | None = None
    """Inferences a second, which the machine must keep; None where nobody asked."""
    stream: StreamSection | None = None
    """How a stream is taken in; None where each inference stands alone."""
    baselines: tuple[Baseline, ...]
    controls: Controls = "none"
    """Whether the last trainings are dense controls of the frontier (`search.controls`)."""
    warm_start: tuple[Path, ...] = ()
    """Folders of earlier studies, whose designs are tried and whose trainings are not repeated."""
    sampler: SamplerName
    rungs: Rungs | None = None
    trainings: int
    """The study ends when so many designs are trained."""
    candidates: int
    """... or when so many are priced."""
    epochs: int | None = None
    """... or when so many epochs are trained, of all designs together."""
    hours: float | None = None
    """... or so many hours."""
    patience: Patience | None = None
    """... or when the hypervolume has nearly stopped growing."""
    seed: int
    device: str

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All that networks are priced on; the first one stands for all where one must."""
        return self.hardware.machines

    @property
    def accelerator(self) -> Accelerator:
        """Of the first machine."""
        return self.machines[0].accelerator

    @property
    def technology(self) -> Technology:
        """Of the first machine."""
        return self.machines[0].technology

    @property
    def of_sentences(self) -> bool:
        """Whether its errors are rates of edits, and not shares of clips."""
        return isinstance(self.task, Transcription)

    @property
    def samples(self) -> str:
        """What its errors are counted over, for people."""
        if self.wake is not None:
            return "wake words"
        return "utterances" if self.of_sentences else "clips"

    @property
    def wake(self) -> Wake | None:
        """What its errors are rejections of; None where they are of clips or sentences."""
        return self.task.wake if isinstance(self.task, Task) else None

    @property
    def units(self) -> str:
        """What a mistake is made of, for people: clips, wake words, or what error rates count."""
        if isinstance(self.task, Transcription):
            return "characters" if self.task.error == "cer" else "words"
        return self.samples

    @property
    def error_name(self) -> str:
        """What its errors are, for headings and axes: of clips, of wake words, rates of edits."""
        if isinstance(self.task, Transcription):
            return "character error rate" if self.task.error == "cer" else "word error rate"
        if self.wake is not None:
            return f"false rejection rate at {self.wake.false_alarms_per_hour:g} alarms/h"
        return "error"

    @property
    def epoch_error_name(self) -> str:
        """What epochs of its trainings are judged by: with `wake` by clips, as those are many."""
        return self.error_name if self.wake is None else "share of clips told wrongly"

    def name_column(self, column: str) -> str:
        """The name of a column for people, as `LABELS` has it, with `error_name` for an error."""
        name = LABELS[column][0]
        return name.replace("error", self.error_name, 1) if column in MEASURED_COLUMNS else name

    @property
    def several_machines(self) -> bool:
        """Whether the study chooses the machine, too."""
        return len(self.machines) > 1

    @property
    def machine_words(self) -> str:
        """Names of the machine and of its technology; where there are several, how many."""
        if self.several_machines:
            return f"{len(self.machines)} machines"
        technology = say_technology(self.accelerator, self.technology)
        return f"{self.accelerator.name}, {technology}"

    @property
    def limits(self) -> dict[str, float]:
        """All limits, as a study file has them: `max_...` and `min_...` of columns."""
        return self.budget.to_dict() | self.measured_budget.to_dict()

    @property
    def inferences_per_second(self) -> float:
        """What the average power of a row is of: the study's rate, or `usual_rate` without one."""
        return self.rate or usual_rate(self.task, self.features)

    @property
    def listening(self) -> Listening | None:
        """How a stream is taken in, with the duration of a frame; None where there is none."""
        return listening_of(self.stream, self.features)

    @property
    def measured(self) -> str:
        """The column of a network's mistakes that a search models."""
        return first_measured(self.objectives)

    @property
    def needs_int8(self) -> bool:
        """Whether a network without a form in whole numbers is of no use."""
        names = (*self.objectives, *(limit.column for limit in self.measured_budget.limits))
        return "quantised_error" in names

    @property
    def effort(self) -> Effort:
        """When the study ends."""
        return Effort(
            trainings=self.trainings,
            epochs_each=self.recipe.epochs,
            rungs=self.rungs is not None,
            candidates=self.candidates,
            epochs=self.epochs,
            hours=self.hours,
            patience=self.patience,
        )

    def of_outputs(self, outputs: int) -> "StudySpec":
        """The same for so many classes, which only the data say: filled designs depend on them."""
        if self.fill is None:
            return self
        space = solved_space(
            self.space, self.fill, self.machines, self.features.frames, outputs, self.listening
        )
        baselines = (
            each if each.values is None or each.published else _of_values(each.values, space)
            for each in self.baselines
        )
        return dataclasses.replace(self, space=space, baselines=tuple(baselines))

    def make_pricing(self, outputs: int) -> Pricing:
        """Prices designs on its machines and under its limits, for so many classes."""
        return Pricing(
            self.machines,
            budget=self.budget,
            frames=self.features.frames,
            outputs=outputs,
            rate=self.inferences_per_second,
            objectives=self.objectives,
            listening=self.listening,
        )

    def resolved(self) -> dict[str, Any]:
        """All of it as plain data, defaults spelled out: what `resolved.yaml` and resuming compare.

        Folders are absolute and machines have all their figures, so that nothing outside of it is
        needed to know what the study was asked. `dse.studies.resolved` reads it back.
        """
        plain = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "base_folder": str(self.base_folder.resolve()),
            "data_folder": str(self.data_folder.resolve()),
            "task": self.task.to_dict(),
            "features": self.features.to_dict(),
            "space": self.space.to_dict(),
            "accelerator": self.accelerator.to_dict(),
            "technology": dataclasses.asdict(self.technology),
            "hardware": self.hardware.to_dict() if self.several_machines else None,
            "recipe": self.recipe.to_dict(),
            "objectives": list(self.objectives),
            "limits": self.limits,
            "fill": None if self.fill is None else dict(self.fill),
            "rate": self.rate,
            "stream": None if self.stream is None else dataclasses.asdict(self.stream),
            "baselines": [baseline.to_plain() for baseline in self.baselines],
            "controls": self.controls,
            "warm_start": [str(folder) for folder in self.warm_start],
            "sampler": self.sampler,
            "rungs": None if self.rungs is None else dataclasses.asdict(self.rungs),
            "trainings": self.trainings,
            "candidates": self.candidates,
            "epochs": self.epochs,
            "hours": self.hours,
            "patience": None if self.patience is None else dataclasses.asdict(self.patience),
            "seed": self.seed,
            "device": self.device,
        }
        # Through JSON: tuples become lists and enumerations texts, as YAML will give them back.
        return dict(json.loads(json.dumps(plain)))


def read_study(
    path: Path,
    *,
    data_folder: Path | None = None,
    base: Path | None = None,
    trainings: int | None = None,
    controls: Controls | None = None,
) -> StudySpec:
    """Read a study file.

    Args:
        path: YAML; docs/how-to/search.md describes it.
        data_folder: takes the place of `data.folder`.
        base: relative paths are seen from here; from the file's folder where it is None.
        trainings: takes the place of `trainings`.
        controls: takes the place of `controls`.

    Raises:
        InvalidFile: unreadable, or a key or value is wrong; the message names file and line.
        InvalidInput: a machine, technology or baseline that there is not.
    """
    return study_from_node(
        read_yaml(path),
        path.parent if base is None else base,
        data_folder=data_folder,
        trainings=trainings,
        controls=controls,
    )


def study_from_node(
    node: Node,
    base: Path,
    *,
    data_folder: Path | None = None,
    trainings: int | None = None,
    controls: Controls | None = None,
) -> StudySpec:
    """Read what a study file says: `read_study`, with relative paths seen from `base`."""
    # Problems are gathered, not raised one by one, so that a file with five mistakes tells five:
    # each part is read as soon as what it is read with is sound.
    check_kind(node, "study")
    problems = Problems()
    file, space, limits = _parts(node, problems, base, Path(node.file).parent)
    hardware, rungs = None, None
    warm_start: tuple[Path, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    fill: dict[str, float] | None = None
    if file is not None:
        with problems.part():
            hardware = read_hardware(file, node, base)
        with problems.part():
            rungs = _rungs(file, node)
        with problems.part():
            warm_start = _earlier_studies(node, file.warm_start, base)
        if space is not None:
            with problems.part():
                space = _of_features(space, file, node)
            with problems.part():
                _check_one_dimension(space, file, node)
        with problems.part():
            _check_stream(file, node, limits)
        if space is not None and hardware is not None:
            with problems.part():
                fill = _read_fill(file, node, space, limits, hardware)
        if space is not None and hardware is not None and fill is not None:
            classes = file.data.task.usual_classes
            frames = file.data.features.frames
            listening = listening_of(file.stream, file.data.features)
            space = solved_space(space, fill, hardware.machines, frames, classes, listening)
        if space is not None and file.baselines:
            with problems.part():
                baselines = read_baselines(node.value["baselines"].value, space)
        if space is not None:
            with problems.part():
                _check_bits(space, file, node)
    problems.tell()
    assert file is not None and space is not None and hardware is not None
    trainings = trainings or file.trainings
    folder = data_folder or base / _expanded(file.data.folder)
    rate = _rate(file, limits)
    if rate is not None:
        limits = in_time(limits, "latency_us", US_PER_S / rate)
    if file.stream is not None:
        hop_us = Listening(file.stream.hop_frames, file.data.features.hop_ms).hop_us
        limits = in_time(limits, "hop_latency_us", hop_us)
    budget, measured_budget = split_limits(limits)
    return StudySpec(
        name=file.name,
        base_folder=base,
        data_folder=folder,
        task=file.data.task,
        features=file.data.features,
        space=space,
        hardware=hardware,
        recipe=file.recipe,
        objectives=file.objectives,
        budget=budget,
        measured_budget=measured_budget,
        fill=fill,
        rate=rate,
        stream=file.stream,
        baselines=baselines,
        controls=controls or file.controls,
        warm_start=warm_start,
        sampler=file.sampler,
        rungs=rungs,
        trainings=trainings,
        candidates=max(file.candidates or 50 * trainings, trainings),
        epochs=file.epochs,
        hours=file.hours,
        patience=file.patience,
        seed=file.seed,
        device=file.device,
    )


def _parts(
    node: Node, problems: Problems, base: Path, around: Path
) -> tuple[StudyFile | None, SearchSpace | None, tuple[Limit, ...]]:
    """The file, and its parts that have a reader of their own; None for what cannot be read."""
    keys = dict(node.value) if isinstance(node.value, dict) else {}
    file, space, data = None, None, None
    limits: tuple[Limit, ...] = ()
    with problems.part():
        if "data" in keys:
            section = keys["data"]
            # Read by itself, as its `task` is of two kinds; the file needs one to be whole.
            folder = dataclasses.replace(section, value="read", key="data.folder")
            keys["data"] = dataclasses.replace(section, value={"folder": folder})
            data = data_from_node(section, base)
    with problems.part():
        if "recipe" in keys:
            recipe = keys.pop("recipe")
            keys["recipe"] = spelled_out(recipe)
    with problems.part():
        file = build(StudyFile, dataclasses.replace(node, value=keys) if keys else node)
    with problems.part():
        if "limits" in keys and keys["limits"].value is not None:
            limits = budget_from_node(keys["limits"], OBJECTIVE_COLUMNS).limits
    with problems.part():
        if "space" in keys:
            space = space_from_node(keys["space"], folders=(base, around))
    if file is None or data is None:
        return None, space, limits
    return dataclasses.replace(file, data=data), space, limits


def _of_features(space: SearchSpace, file: StudyFile, node: Node) -> SearchSpace:
    """The space with as many features a frame as the data will have.

    Raises:
        InvalidFile: the space says another number, or its networks are for the other task.
    """
    coefficients, section = file.data.features.coefficients, node.value["space"]
    _check_head(space, file.data.task, section)
    if "in_channels" not in section.value:
        return dataclasses.replace(space, in_channels=coefficients)
    if space.in_channels != coefficients:
        raise section.error(
            f"space.in_channels is {space.in_channels}, and data.features.coefficients "
            f"{coefficients}: leave in_channels out"
        )
    return space


def _check_one_dimension(space: SearchSpace, file: StudyFile, node: Node) -> None:
    """Refuse what is of networks over frames alone, where those of the space move over bins, too.

    Raises:
        InvalidFile: each of its trainings would end without what is asked of it.
    """
    if not space.family.over_bins:
        return
    why = f"the networks of family {space.family.name} move over bins of a frame"
    if "quantised_error" in file.objectives:
        raise node.value["objectives"].error(
            f"quantised_error is of whole numbers, and {why}, which have no form in them: use error"
        )
    if file.recipe.kept_share < 1:
        raise node.value["recipe"].error(
            f"recipe.kept_share {file.recipe.kept_share:g} keeps a share of frames, and {why}: "
            "leave it out"
        )


def _check_head(space: SearchSpace, task: SpeechTask, section: Node) -> None:
    """A network of words has one answer a clip, one of sentences an answer a frame."""
    wanted = "framewise" if isinstance(task, Transcription) else "pooled"
    if space.family.head != wanted:
        fitting = [each.name for each in FAMILIES.values() if each.head == wanted]
        place = section.value.get("family", section)
        raise place.error(
            f"space.family is {space.family.name}, whose networks have a {space.family.head} head, "
            f"and a task of kind {task.kind} needs a {wanted} one: use {' or '.join(fitting)}"
        )


def _read_fill(
    file: StudyFile, node: Node, space: SearchSpace, limits: Sequence[Limit], hardware: Hardware
) -> dict[str, float] | None:
    """The column that designs fill and its limit; None where the file has none.

    Raises:
        InvalidFile: no such column, it has no upper limit, the space decides the width as well, or
            machines differ in it.
    """
    if file.fill is None:
        return None
    at, column = node.value["fill"], file.fill
    known = COST_COLUMNS if file.stream is None else (*COST_COLUMNS, *STREAM_COLUMNS)
    if column not in known:
        close = difflib.get_close_matches(column, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise at.error(
            f"fill: {hint}it must be a column that is known before a training, such as "
            f"trained_parameters, not {short(column)}"
        )
    bounds = [limit.bound for limit in limits if limit.upper and limit.column == column]
    if not bounds:
        raise at.error(f"fill: how much of {column} is said by limits: add max_{column} there")
    width = space.family.width
    try:
        check_axis(width, [], space.family)
    except InvalidDesign as error:
        raise at.error(f"fill: {error}") from None
    for choice in space.choices:
        if space.family.split(choice.name)[0] == width:
            raise at.error(
                f"fill: '{width}' is solved from the budget, so the space's '{choice.name}' would "
                f"be overruled: leave '{choice.name}' out, or leave out fill"
            )
    if len(hardware.machines) > 1 and column != "trained_parameters":
        raise at.error(
            f"fill: {len(hardware.machines)} machines differ in {column}, and a design has one "
            "width: fill trained_parameters, or name one machine"
        )
    return {column: bounds[0]}


def solved_space(
    space: SearchSpace,
    fill: Mapping[str, float],
    machines: Sequence[Machine],
    frames: int,
    outputs: int,
    listening: Listening | None = None,
) -> SearchSpace:
    """The space whose designs get the width that fills a budget (`dse.pricing.filling`).

    Args:
        space: without widths of blocks.
        fill: one column, and how much of it.
        machines: the first one is asked.
        frames: input frames of one inference.
        outputs: classes.
        listening: how a stream is taken in, where a column of one is filled.
    """
    [(column, amount)] = fill.items()
    pricing = Pricing(
        machines[:1],
        frames=frames,
        outputs=outputs,
        listening=listening if column in STREAM_COLUMNS else None,
    )
    solver = Filling(
        space.family,
        pricing,
        column,
        amount,
        in_channels=space.in_channels,
        axis=space.family.width,
    )
    return dataclasses.replace(space, solver=solver)


class NamesMachines(Protocol):
    """A file that names its machines."""

    @property
    def machine(self) -> str:
        """Name or file of one."""

    @property
    def technology(self) -> str | None:
        """Name or file; the machine's own where it is None."""

    @property
    def hardware(self) -> HardwareSection | None:
        """Axes of several."""


def read_hardware(file: NamesMachines, node: Node, base: Path) -> Hardware:
    """The machine of a study file, or all that its hardware axes make."""

    def load(machine: str, technology: str | None = None) -> tuple[Accelerator, Technology]:
        accelerator = load_accelerator(beside(machine, base))
        if technology is not None:
            return accelerator, load_technology(beside(technology, base))
        name = beside(file.technology or accelerator.technology, base)
        return accelerator, _at(node, "technology", lambda: load_technology(name))

    if file.hardware is None:
        return Hardware((Machine(*_at(node, "machine", lambda: load(file.machine))),))
    if "machine" in node.value and file.hardware.machine is not None:
        raise node.value["machine"].error("machine: hardware.machine names them: leave it out")
    if "technology" in node.value and file.hardware.technology is not None:
        raise node.value["technology"].error(
            "technology: hardware.technology names them: leave it out"
        )
    return hardware_from_node(node.value["hardware"], load, file.machine)


def split_limits(limits: Sequence[Limit]) -> tuple[Budget, Budget]:
    """Limits on what is known before training, and on what only a training tells.

    They work at different times: the first kind keeps a design from being trained at all, and a
    sampler can be led away from it; the second is known when the training is already paid for.
    """
    known = tuple(limit for limit in limits if limit.column not in MEASURED_COLUMNS)
    return Budget(known), Budget(tuple(limit for limit in limits if limit not in known))


def _rate(file: StudyFile, limits: Sequence[Limit]) -> float | None:
    """Inferences a second: the usual ones where the average power matters and nobody says."""
    used = (*file.objectives, *(limit.column for limit in limits))
    usual = usual_rate(file.data.task, file.data.features)
    return file.rate or (usual if "average_power_uw" in used else None)


def usual_rate(task: SpeechTask, features: FeatureSpec) -> float:
    """Inferences a second where nobody says: one of words, of sentences as fast as people speak.

    A word may begin at any time, so a spotter that looks once a second is one choice of many
    (`rate`). Speech that is written down is all heard, once: an inference of F frames every F hops.
    """
    if not isinstance(task, Transcription):
        return 1.0
    return 1e3 / (features.frames * features.hop_ms)  # milliseconds a second


def _check_stream(file: StudyFile, node: Node, limits: Sequence[Limit]) -> None:
    """Refuse columns of a stream without one, and beside one what it already says.

    Raises:
        InvalidFile: the hop is longer than an inference, a rate stands beside it, or a column that
            is limited or minimised has no meaning.
    """
    objectives, limited = set(file.objectives), {limit.column for limit in limits}
    used = {name: "objectives" for name in objectives} | {name: "limits" for name in limited}
    if file.stream is None:
        for name in sorted(used.keys() & set(STREAM_COLUMNS)):
            raise node.value[used[name]].error(
                f"{used[name]}: {name} is of a design that listens to a stream: say how many "
                "frames it takes at a time, such as `stream: {hop_frames: 4}`"
            )
        return
    if file.rate is not None:
        raise node.value["rate"].error(
            "rate: hops a second follow from stream.hop_frames and data.features.hop_ms: leave "
            "rate out, or stream"
        )
    if "average_power_uw" in used:
        raise node.value[used["average_power_uw"]].error(
            f"{used['average_power_uw']}: average_power_uw is of single inferences, and this study "
            "listens to a stream: use listening_power_uw"
        )
    hop, frames = file.stream.hop_frames, file.data.features.frames
    if hop > frames:
        raise node.value["stream"].error(
            f"stream.hop_frames is {hop:,}, longer than the {frames:,} frames of an inference: use "
            "a shorter hop, or more data.features.frames"
        )


def _check_bits(space: SearchSpace, file: StudyFile, node: Node) -> None:
    """Refuse few bits where no objective feels them: floats learn as well, whatever bits cost."""
    if "quantised_error" in file.objectives:
        return
    for choice in space.choices:
        base, _ = space.family.split(choice.name)
        if base in BITS and (least := min(map(int, choice.values))) < 8:
            where = node.value["space"].value[choice.name]
            raise where.error(
                f"'{choice.name}' has {least} bits, and 'error' is that of the network in floats, "
                "which bits do not change: put quantised_error among the objectives, in place of "
                "error or beside it"
            )


def _rungs(file: StudyFile, node: Node) -> Rungs | None:
    """`none`, or the epochs of the first rung and the factor between rungs."""
    rungs, epochs = file.rungs, file.recipe.epochs
    if not isinstance(rungs, Rungs):
        return None
    if len(rungs.levels(epochs)) < 2:
        raise node.value["rungs"].error(
            f"rungs: the first rung is at {rungs.first} epochs and the next at "
            f"{rungs.first * rungs.factor}, and the recipe has {epochs}: lower first or factor"
        )
    return rungs


def _earlier_studies(node: Node, folders: tuple[str, ...], base: Path) -> tuple[Path, ...]:
    found = []
    for folder in folders:
        path = base / _expanded(folder)
        if not (path / RESOLVED).exists():
            raise node.value["warm_start"].error(
                f"warm_start: {path} holds no study: name folders that dse search made"
            )
        found.append(path.resolve())
    return tuple(found)


def _expanded(folder: str) -> Path:
    """A leading `~` becomes the home folder, where there is that user."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        return Path(folder)


def read_baselines(nodes: Sequence[Node], space: SearchSpace) -> tuple[Baseline, ...]:
    """The `baselines` of a study file, or of a record.

    Raises:
        InvalidFile: there is no such network, it is no design of the space, or it stands twice.
    """
    baselines: dict[str, Baseline] = {}
    problems = Problems()
    for each in nodes:
        with problems.part():
            baseline = _read_baseline(each, space)
            if baseline.name in baselines:
                raise each.error(f"baselines: '{baseline.name}' stands there twice: leave one out")
            baselines[baseline.name] = baseline
    problems.tell()
    return tuple(baselines.values())


def _read_baseline(node: Node, space: SearchSpace) -> Baseline:
    """The name of a published network, or values of axes."""
    try:
        if isinstance(node.value, str):
            values = published_values(node.value, space.family)
            place = None if values is None else space.complete(values)
            point = published(node.value, space.in_channels, space.family)
            return Baseline(node.value, point, place)
        given = node.plain()
        place = space.complete(given, fill=True)
        if place is None:
            raise node.error(f"the space has no design with {given}: widen an axis or change it")
        return _of_values(place, space)
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise node.error(f"baselines: {error}") from None


def _of_values(values: Values, space: SearchSpace) -> Baseline:
    point = space.point(values)
    return Baseline(f"{point.summary}, {point.key[:4]}", point, values, published=False)


def beside(name: str, base: Path) -> str | Path:
    """A name of the library, or a file as seen from a folder."""
    return base / name if name.endswith((".yaml", ".yml")) else name


def _at(node: Node, key: str, read: Any) -> Any:
    """The result of `read`; its errors get the place of `key`."""
    try:
        return read()
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise node.value.get(key, node).error(f"{key}: {error}") from None


def check_unchanged(
    spec: StudySpec, begun: StudySpec, where: str, also: tuple[str, ...] = ()
) -> None:
    """Refuse to resume a study whose file now says something else.

    Args:
        spec: as the file is now.
        begun: as the study was begun.
        where: the place that the study stands in.
        also: keys that may differ, besides `CHANGEABLE`.

    Raises:
        InvalidStudy: names the first setting that differs, with both values.
    """
    before, now = begun.resolved(), spec.resolved()
    for key in now:
        if key in (*CHANGEABLE, *also) or before[key] == now[key]:
            continue
        if key == "space" and isinstance(old := before[key]["family"], dict):
            _check_same_text(old, now[key]["family"], where)
        place, old, new = _first_difference(key, before[key], now[key])
        priced = "price the study again (dse reprice), " if key in PRICED else ""
        raise InvalidStudy(
            f"{where} is a study with {place} {old}, and the file now says {new}: "
            f"undo the change, {priced}or give the study another name"
        )


def _check_same_text(before: Mapping[str, str], now: Any, where: str) -> None:
    """Refuse a person's own family whose file has changed since the study has begun."""
    if isinstance(now, dict) and before["digest"] != now["digest"]:
        raise InvalidStudy(
            f"{where} was begun with another text of {before['file']} (digest "
            f"{before['digest']}, now {now['digest']}): take back the change, which the study's "
            "folder has a copy of, or give the study another name"
        )


def _first_difference(key: str, before: Any, now: Any) -> tuple[str, str, str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*now, *before]:
            if before.get(name) != now.get(name):
                return _first_difference(f"{key}.{name}", before.get(name), now.get(name))
    return key, _short(before), _short(now)


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
