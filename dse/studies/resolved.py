"""`resolved.yaml`: what a study was asked, written when it begins and read back into typed parts.

It is `StudySpec.resolved`, every default spelled out, and what only the begun study knows: the key
of its data, how many classes they have, the box of its hypervolume, and how many trainings it does
at a time. The strict reader reads it back, so that an unknown, missing or mistyped key is refused
with its file and line, and no reader of a study ever holds a bare dictionary.

Machines and technologies stand in it with all their figures, not by name: a study means the same
after its machine's file was edited. Sections that have a reader of their own (space, recipe,
limits, baselines) are kept as nodes by `_Record`, and read by the code that reads them in a study
file, so there is one grammar for each.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from cost_models import Accelerator, Technology
from cost_models.reading import build
from cost_models.strict_yaml import Node, dump_yaml, parse_yaml
from dse.columns import MEASURED_COLUMNS, OBJECTIVE_COLUMNS
from dse.design.space_file import space_from_node
from dse.errors import InvalidField, InvalidFile, InvalidInput, InvalidStudy, require
from dse.files import check_kinds
from dse.pricing.budget import Bound, budget_from_node
from dse.pricing.hardware import Hardware
from dse.pricing.machine import Machine
from dse.speech.task import FeatureSpec
from dse.studies.baselines import read_baselines
from dse.studies.data_section import task_from_node
from dse.studies.effort import Amount, Patience
from dse.studies.filled import solved_space
from dse.studies.folder import RESOLVED, settle
from dse.studies.reading import split_limits
from dse.studies.rungs import Rungs
from dse.studies.spec import StudySpec
from dse.studies.study_file import (
    Controls,
    Hours,
    Rate,
    SamplerName,
    Seed,
    StreamSection,
    StudyName,
    listening_of,
)
from dse.training.recipe import recipe_from_node

Named = TypeVar("Named", Accelerator, Technology)


MOST_CLASSES = MOST_WORKERS = 100_000
MOST_END = 300.0
"""Of a box: a cost of 1e300."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What a study knows only since it has begun."""

    data_key: str
    """Of the features: data, task and feature settings."""
    outputs: int
    """Classes of the data."""
    box: Mapping[str, Sequence[float]]
    """Objective -> best and worst value of the hypervolume's box; costs as log10."""
    workers: int
    """Trainings at a time, on which the rows depend."""
    clips: Mapping[str, int] = field(default_factory=dict)
    """Of each split of the data."""
    findings: tuple[str, ...] = ()
    """What the data say against errors measured on them (`dse.speech.findings`)."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        require(1 <= self.outputs <= MOST_CLASSES, "outputs", "from 1 to 100,000", self.outputs)
        require(1 <= self.workers <= MOST_WORKERS, "workers", "from 1 to 100,000", self.workers)
        for ends in self.box.values():
            require(
                len(ends) == 2 and -MOST_END <= ends[0] < ends[1] <= MOST_END,
                "box",
                "the best value of each objective and a larger, worst one",
                list(ends),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """The file as it stands; parts with a reader of their own stay nodes."""

    schema_version: Literal[1]
    name: StudyName
    base_folder: str
    data_folder: str
    task: Node
    features: FeatureSpec
    space: Node
    accelerator: Node
    technology: Node
    hardware: Node | None
    recipe: Node
    objectives: tuple[str, ...]
    limits: Node
    fill: dict[str, Bound] | None = None
    rate: Rate | None
    stream: StreamSection | None = None
    baselines: tuple[Node, ...]
    controls: Controls = "none"
    warm_start: tuple[str, ...]
    prior: str = "none"
    sampler: SamplerName
    rungs: Rungs | None
    trainings: Amount
    candidates: Amount
    epochs: Amount | None
    hours: Hours | None
    patience: Patience | None
    seed: Seed
    device: str
    data_key: str
    outputs: int
    box: dict[str, tuple[float, ...]]
    workers: int
    clips: dict[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    accelerator: Node
    technology: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fleet:
    """`Hardware.to_dict`: machines name their technologies, each of which stands there once."""

    skipped: int
    machines: tuple[_Place, ...]
    technologies: dict[str, Node]


def resolved_yaml(spec: StudySpec, begun: Begun) -> str:
    """The text of `resolved.yaml`; `parse_resolved` is its inverse.

    Args:
        spec: as the study file was read.
        begun: what was found out when the study began.
    """
    known = json.loads(json.dumps(dataclasses.asdict(begun)))  # tuples become lists
    return dump_yaml(spec.resolved() | known)


def readable_yaml(spec: StudySpec, begun: Begun, folder: Path) -> str:
    """The text of `resolved.yaml`, once it is sure that it can be read: both have the same limits.

    Raises:
        InvalidStudy: it would be too large.
    """
    text = resolved_yaml(spec, begun)
    try:
        _parsed(text, str(folder / RESOLVED))  # remembered: it is read next
    except InvalidInput as error:
        raise InvalidStudy(
            f"the record of study {spec.name} could not be read again ({error}): give its axes "
            "fewer values, or its hardware fewer machines"
        ) from None
    return text


def read_resolved(folder: Path) -> tuple[StudySpec, Begun]:
    """What the study in a folder was asked, and what it knows since it has begun.

    Raises:
        InvalidStudy: the folder holds no study.
        InvalidFile: its record is damaged, or of another program.
    """
    path = folder / RESOLVED
    if folder.is_file():
        raise InvalidStudy(f"{folder} is a file: name the folder of a study")
    try:
        check_kinds(folder)
        settle(folder)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidStudy(
            f"{folder} holds no study (no {RESOLVED}): name a folder that `dse search` made"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path} cannot be read: {error}; restore it from a backup") from None
    return parse_resolved(text, str(path))


def parse_resolved(text: str, where: str) -> tuple[StudySpec, Begun]:
    """As `read_resolved`, of the file's text.

    Raises:
        InvalidFile: the record is damaged, or of another program.
    """
    try:
        return _parsed(text, where)
    except InvalidInput as error:
        raise InvalidFile(
            f"{error}: restore {RESOLVED} from a backup, or search anew with this version"
        ) from None


@lru_cache(maxsize=16)  # a page is drawn many times
def _parsed(text: str, where: str) -> tuple[StudySpec, Begun]:
    node = parse_yaml(text, where)
    record = build(_Record, node)
    try:
        begun = Begun(
            data_key=record.data_key,
            outputs=record.outputs,
            box=record.box,
            workers=record.workers,
            clips=record.clips,
            findings=record.findings,
        )
    except InvalidField as error:
        raise node.value[error.field].error(str(error)) from None
    if sorted(record.box) != sorted(record.objectives):
        raise node.value["box"].error(
            f"box must have the study's objectives, {', '.join(record.objectives)}"
        )
    _check_objectives(record, node)
    return _spec(record), begun


def _check_objectives(record: _Record, node: Node) -> None:
    """Columns that there are, one of them an error and one a cost."""
    measured = [name in MEASURED_COLUMNS for name in record.objectives]
    known = all(name in OBJECTIVE_COLUMNS for name in record.objectives)
    if not known or all(measured) or not any(measured):
        raise node.value["objectives"].error(
            "objectives must be an error and costs, out of " + ", ".join(OBJECTIVE_COLUMNS)
        )


def _spec(record: _Record) -> StudySpec:
    space = space_from_node(record.space, recorded=True)
    limits = budget_from_node(record.limits, OBJECTIVE_COLUMNS).limits
    budget, measured_budget = split_limits(limits)
    hardware = _hardware(record)
    if record.fill is not None:
        frames, outputs = record.features.frames, record.outputs
        listening = listening_of(record.stream, record.features)
        space = solved_space(space, record.fill, hardware.machines, frames, outputs, listening)
    parsed: dict[str, Any] = {
        "base_folder": Path(record.base_folder),
        "data_folder": Path(record.data_folder),
        "task": task_from_node(record.task),
        "space": space,
        "hardware": hardware,
        "recipe": recipe_from_node(record.recipe),
        "budget": budget,
        "measured_budget": measured_budget,
        "baselines": read_baselines(record.baselines, space),
        "warm_start": tuple(map(Path, record.warm_start)),
    }
    names = {field.name for field in dataclasses.fields(StudySpec)}
    same = {name: getattr(record, name) for name in names - set(parsed)}
    return StudySpec(**same, **parsed)


def _hardware(record: _Record) -> Hardware:
    if record.hardware is None:
        accelerator = _named(Accelerator, record.accelerator)
        return Hardware((Machine(accelerator, _named(Technology, record.technology)),))
    fleet = build(_Fleet, record.hardware)
    technologies = {name: _named(Technology, node) for name, node in fleet.technologies.items()}
    machines = []
    for place in fleet.machines:
        if place.technology not in technologies:
            raise record.hardware.error(f"hardware lacks the technology {place.technology}")
        accelerator = _named(Accelerator, place.accelerator)
        machines.append(Machine(accelerator, technologies[place.technology]))
    return Hardware(tuple(machines), fleet.skipped)


def _named(kind: type[Named], node: Node) -> Named:
    """A machine or technology: its name stands in the record, where libraries have a file's name.

    What was left out is written as null, and the strict reader wants it left out.
    """
    node = _without_none(node)
    if not isinstance(node.value, dict) or "name" not in node.value:
        raise node.error(f"missing key '{node.key}.name'")
    fields = dict(node.value)
    return build(kind, dataclasses.replace(node, value=fields), name=str(fields.pop("name").value))


def _without_none(node: Node) -> Node:
    value = node.value
    if isinstance(value, dict):
        value = {key: _without_none(each) for key, each in value.items() if each.value is not None}
    elif isinstance(value, list):
        value = [_without_none(each) for each in value]
    return dataclasses.replace(node, value=value)
