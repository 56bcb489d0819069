"""A study file becomes a `StudySpec`: its parts are read, held together, and refused all at once.

Problems are gathered, not raised one by one, so that a file with five mistakes tells five: each
part is read as soon as what it is read with is sound.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cost_models.application import US_PER_S
from cost_models.reading import Problems, build
from cost_models.recognised import check_kind
from cost_models.strict_yaml import Node, read_yaml
from dse.columns import (
    MEASURED_COLUMNS,
    OBJECTIVE_COLUMNS,
)
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.pricing.budget import Budget, Limit, budget_from_node, in_time
from dse.pricing.hardware import Hardware
from dse.pricing.listening import Listening
from dse.studies.baselines import Baseline, read_baselines
from dse.studies.data_section import data_from_node
from dse.studies.filled import read_fill, solved_space
from dse.studies.fitting import check_bits, check_one_dimension, check_stream, of_features
from dse.studies.folder import RESOLVED
from dse.studies.named_machines import read_hardware
from dse.studies.rungs import Rungs
from dse.studies.spec import PRIORS, StudySpec, usual_rate
from dse.studies.study_file import Controls, StudyFile, listening_of
from dse.training.recipe import spelled_out


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
    check_kind(node, "study")
    file, space, limits, hardware, rungs, warm_start, prior, baselines, fill = _sound_parts(
        node, base
    )
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
        prior=prior,
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


class _Parts(NamedTuple):
    """What a study file is made of, each part read, and fitting to the others."""

    file: StudyFile
    space: SearchSpace
    limits: tuple[Limit, ...]
    hardware: Hardware
    rungs: Rungs | None
    warm_start: tuple[Path, ...]
    prior: str
    baselines: tuple[Baseline, ...]
    fill: dict[str, float] | None


def _sound_parts(node: Node, base: Path) -> _Parts:
    """All parts; raises `InvalidFile` with everything that is wrong with them."""
    problems = Problems()
    file, space, limits = _parts(node, problems, base, Path(node.file).parent)
    hardware, rungs, fill = None, None, None
    warm_start: tuple[Path, ...] = ()
    prior = "none"
    baselines: tuple[Baseline, ...] = ()
    if file is not None:
        with problems.part():
            hardware = read_hardware(file, node, base)
        with problems.part():
            rungs = _rungs(file, node)
        with problems.part():
            warm_start = _earlier_studies(node, file.warm_start, base)
        with problems.part():
            prior = _prior(node, file.prior, base)
        if space is not None:
            with problems.part():
                space = of_features(space, file, node)
            with problems.part():
                check_one_dimension(space, file, node)
        with problems.part():
            check_stream(file, node, limits)
        if space is not None and hardware is not None:
            with problems.part():
                fill = read_fill(file, node, space, limits, hardware)
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
                check_bits(space, file, node)
    problems.tell()
    assert file is not None and space is not None and hardware is not None
    return _Parts(file, space, limits, hardware, rungs, warm_start, prior, baselines, fill)


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


def _prior(node: Node, name: str, base: Path) -> str:
    """A word, or the whole path of a file that is there."""
    if name in PRIORS:
        return name
    path = base / _expanded(name)
    if not path.is_file():
        raise node.value["prior"].error(
            f"prior: there is no file {path}: use {', '.join(PRIORS)}, or a file of "
            "benchmarks/prior.py"
        )
    return str(path.resolve())


def _expanded(folder: str) -> Path:
    """A leading `~` becomes the home folder, where there is that user."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        return Path(folder)
