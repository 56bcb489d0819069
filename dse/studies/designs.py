"""What a study's folder says about its designs and machine, as objects again.

    machine = accelerator_of(record)
    point = point_of(row, record, space_of(record))
    cost = price(point, machine, technology_of(record), frames_of(record), outputs_of(rows, record))

No torch: a checkpoint is not needed to know a design, nor how many classes it tells apart.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from cost_models import Accelerator, Cost, Technology, estimate
from cost_models.strict_yaml import build, parse_yaml, read_yaml
from dse.design.point import DesignPoint, point_from_node
from dse.design.published import published
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidInput, InvalidStudy
from dse.networks.lowering import lower
from dse.pricing.hardware import Hardware
from dse.pricing.machine import Machine
from dse.studies.record import DESIGNS, RESOLVED, StudyRecord
from dse.studies.rows import Evaluation

DESIGN = "design.yaml"


def _text(record: StudyRecord, part: str) -> str:
    """A part of the record as JSON, which is YAML."""
    plain = record.resolved.get(part)
    if not isinstance(plain, dict):
        raise InvalidStudy(f"{record.folder / RESOLVED} lacks {part}: restore it from a backup")
    return json.dumps(_without_none(plain))


def _without_none(plain: Any) -> Any:
    """Fields that were left out are written as null; strict readers want them left out."""
    if isinstance(plain, dict):
        return {key: _without_none(value) for key, value in plain.items() if value is not None}
    if isinstance(plain, list):
        return [_without_none(value) for value in plain]
    return plain


def accelerator_of(record: StudyRecord) -> Accelerator:
    """The machine that the study's designs were priced on.

    Raises:
        InvalidInput: the record lacks it, or an earlier program described it otherwise.
    """
    return accelerator_from_dict(record.resolved["accelerator"], str(record.folder / RESOLVED))


def accelerator_from_dict(plain: dict[str, Any], where: str) -> Accelerator:
    """The inverse of `Accelerator.to_dict`; `where` stands for the file in messages.

    Raises:
        InvalidInput: a key is unknown or missing, or a value is wrong.
    """
    kept = {key: value for key, value in _without_none(plain).items() if key != "name"}
    return _accelerator(json.dumps(kept), where, str(plain.get("name", "")))


@lru_cache(maxsize=64)
def _accelerator(text: str, where: str, name: str) -> Accelerator:
    return build(Accelerator, parse_yaml(text, where), name=name)


def technology_of(record: StudyRecord) -> Technology:
    """The technology that the study's designs were priced with.

    Raises:
        InvalidInput: the record lacks it, or an earlier program described it otherwise.
    """
    return _technology(_text(record, "technology"), str(record.folder / RESOLVED))


def hardware_of(record: StudyRecord) -> Hardware | None:
    """The machines that the study chooses from; None where it has one machine.

    Raises:
        InvalidInput: an earlier program described them otherwise, or a part is missing.
    """
    if record.resolved.get("hardware") is None:
        return None
    return _hardware(_text(record, "hardware"), str(record.folder / RESOLVED))


@lru_cache(maxsize=16)
def _hardware(text: str, where: str) -> Hardware:
    plain = json.loads(text)
    try:
        technologies = {
            name: _technology(json.dumps(each), where)
            for name, each in plain["technologies"].items()
        }
        machines = tuple(
            Machine(
                accelerator_from_dict(each["accelerator"], where), technologies[each["technology"]]
            )
            for each in plain["machines"]
        )
        return Hardware(machines, int(plain["skipped"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidStudy(f"{where}: hardware cannot be read: {error}; restore the file") from None


def machine_of(record: StudyRecord, row: Evaluation) -> tuple[Accelerator, Technology]:
    """What a row was priced on: one of the study's machines.

    Raises:
        InvalidInput: the record cannot be read back, or has no machine of that name.
    """
    hardware = hardware_of(record)
    if hardware is None:
        return accelerator_of(record), technology_of(record)
    machine = hardware.machine(row.accelerator)
    return machine.accelerator, machine.technology


@lru_cache(maxsize=64)
def _technology(text: str, where: str) -> Technology:
    node = parse_yaml(text, where)
    name = node.value.pop("name").plain()
    return build(Technology, node, name=str(name))


def space_of(record: StudyRecord) -> SearchSpace:
    """The space that the study searches.

    Raises:
        InvalidInput: the record lacks it, or an earlier program described it otherwise.
    """
    return _space(_text(record, "space"), str(record.folder / RESOLVED))


@lru_cache(maxsize=64)
def _space(text: str, where: str) -> SearchSpace:
    return space_from_node(parse_yaml(text, where))


def frames_of(record: StudyRecord) -> int:
    """Frames of one inference.

    Raises:
        InvalidStudy: the record does not say.
    """
    features = record.resolved.get("features")
    frames = features.get("frames") if isinstance(features, dict) else None
    if not isinstance(frames, int):
        raise InvalidStudy(
            f"{record.folder / RESOLVED} lacks features.frames: restore it from a backup"
        )
    return frames


def outputs_of(rows: Sequence[Evaluation], record: StudyRecord) -> int:
    """Classes that the study's designs tell apart, from what a priced design's head takes.

    A class more is one more row of weights and a bias; the rest of a network does not change.

    Raises:
        InvalidStudy: no design of the study can be built again.
    """
    space, frames = space_of(record), frames_of(record)
    for row in rows:
        point = point_of(row, record, space) if "trained_parameters" in row.cost else None
        if point is not None:
            one, two = (lower(point, frames=frames, outputs=n).trained_parameters for n in (1, 2))
            outputs, rest = divmod(round(row.cost["trained_parameters"]) - one, two - one)
            if rest == 0 and outputs >= 0:
                return outputs + 1
    raise InvalidStudy(
        f"no design of {record.folder} can be priced anew: its rows have no axes of its space, and "
        f"there is no {DESIGNS}/KEY/{DESIGN}"
    )


def point_of(row: Evaluation, record: StudyRecord, space: SearchSpace) -> DesignPoint | None:
    """The network of a row; None where nothing says any more what it was.

    Its axes in the space, else its design file, else its name among the published networks; the
    key of the row says whether it is the same network.
    """
    for read in (_of_space, _of_file, _of_name):
        try:
            point = read(row, record, space)
        except (InvalidInput, OSError):
            continue
        if point is not None and point.key == row.key:
            return point
    return None


def _of_space(row: Evaluation, record: StudyRecord, space: SearchSpace) -> DesignPoint | None:
    if not row.values:
        return None
    values = {name: value for name, value in row.values.items() if value is not None}
    return space.point(values, name=row.name)


def _of_file(row: Evaluation, record: StudyRecord, space: SearchSpace) -> DesignPoint | None:
    path = design_folder(record, row.key) / DESIGN
    return point_from_node(read_yaml(path)) if path.is_file() else None


def _of_name(row: Evaluation, record: StudyRecord, space: SearchSpace) -> DesignPoint | None:
    return published(row.source)


def design_folder(record: StudyRecord, key: str) -> Path:
    """Folder of a trained design.

    Raises:
        InvalidStudy: the key is no twelve hex digits, and could lead out of the study's folder.
    """
    if not key or not key.isascii() or not key.isalnum():
        raise InvalidStudy(f"{key!r} is no key of a design: keys are letters and digits")
    return record.folder / DESIGNS / key


@lru_cache(maxsize=256)
def price(
    point: DesignPoint, machine: Accelerator, technology: Technology, frames: int, outputs: int
) -> Cost:
    """The cost of a design; remembered, as a page is drawn many times.

    Raises:
        InvalidInput: the machine cannot execute the design.
    """
    return estimate(lower(point, frames=frames, outputs=outputs), machine, technology)
