"""Run a study: its data, its folder and who trains for it; `search.loop` does the searching.

The order matters, since each step can refuse: the study must be the one that is in the folder, the
data must load before a folder is made for it, the survey must find a design within the limits, and
the folder must be nobody else's while it is written to.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse.design.point import DesignPoint
from dse.errors import InvalidStudy
from dse.files import inside, write_text
from dse.pricing.sweep import Sweep
from dse.speech.speech_commands import SPLITS
from dse.studies.folder import DESIGNS, GIVEN, RESOLVED
from dse.studies.resolved import Begun, read_resolved, readable_yaml
from dse.studies.rows import read_all_rows
from dse.studies.spec import StudySpec
from dse.studies.unchanged import check_unchanged
from dse.training.job import Training
from search.experience import check_prior, prepare
from search.loop import Loop
from search.reuse import earlier_studies
from search.state import Outcome, Progress
from search.storage import Held, locked, opened
from search.survey import Survey, measure_box, survey
from search.workers import InProcess, Trainers, Watch, Workers, WorkerSettings, share_memory

if TYPE_CHECKING:
    from dse.speech.loading import Features
    from search.artifacts import Mirror
    from search.on_ray.cluster import RayOptions
    from search.urls import HiddenURL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where a study lies."""

    folder: Path
    """On this machine; made where there is none."""
    url: str = ""
    """Of the folder for all machines, which `folder` is a copy of; empty where `folder` is it."""
    storage: "HiddenURL | None" = None
    """Database of its trials; None for `study.db` in the folder."""
    cache: Path | None = None
    """Of features; None for the user's."""


def run_study(
    spec: StudySpec,
    given: str,
    folder: Path,
    progress: Progress,
    *,
    cache: Path | None = None,
    workers: int = 1,
    url: str = "",
    storage: "HiddenURL | None" = None,
    on_ray: "RayOptions | None" = None,
) -> Outcome:
    """Start a study, or go on with it.

    Args:
        spec: what to search.
        given: text of the study file, kept beside the results.
        folder: of the study; made where there is none.
        progress: is told what happens.
        cache: folder of the feature cache.
        workers: designs that are trained at a time, each in a process with one thread; 1 trains in
            this process. Rows depend on their number, and on nothing else that happens.
        url: of the study's folder for all machines, of which `folder` is this machine's copy; empty
            where `folder` is it.
        storage: database of the trials; None for `study.db` in the folder.
        on_ray: the Ray cluster that trains.

    Raises:
        InvalidStudy: the folder holds another study, is in use, or no point meets the limits; a
            node of the cluster is not fit to train.
        InvalidData: the data cannot be used.
        OSError: the disk is full or the folder may not be written to; the study can be resumed.
    """
    places = _Places(folder=folder, url=url, storage=storage, cache=cache)
    _check_folder(spec, folder)
    check_prior(spec, folder)
    mirror = _open_mirror(places)
    with ExitStack() as stack:
        board = None
        if on_ray is not None:
            from search.artifacts import open_artifacts
            from search.on_ray.board import board_of
            from search.on_ray.cluster import connected

            stack.enter_context(connected(on_ray.address))
            place = open_artifacts(_place(places)).url.text
            board = stack.enter_context(board_of(spec.name, place))
        # Loading the data comes before the folder is made: a wrong data folder leaves nothing.
        features = load_data(spec, places.cache, progress.preparing)
        progress.data(features.findings)
        spec = spec.of_outputs(features.outputs)
        sweep = Sweep(spec.space, spec.make_pricing(features.outputs))
        found = survey(sweep, seed=spec.seed)
        held = stack.enter_context(locked(folder))
        if mirror is not None:
            mirror.fetch()
            _check_folder(spec, folder)
        _write_record(spec, given, folder, features, found, workers)
        earlier, left_out = earlier_studies(spec.warm_start)
        progress.data([*left_out, *prepare(spec, folder, earlier)])
        if mirror is not None:
            mirror.fetch_designs(_trained_keys(folder))
        training = make_training(spec, features, folder / DESIGNS)
        study = stack.enter_context(opened(folder, spec.name, spec.objectives, places.storage))
        watch = _watch(progress, held)
        trainers: Trainers
        if on_ray is not None:
            trainers = stack.enter_context(
                _ray_trainers(on_ray, board, places, spec, training, progress, watch)
            )
        else:
            trainers = stack.enter_context(
                open_trainers(spec, training, places.cache, workers, watch)
            )
        keep = mirror.keep if mirror is not None else lambda: None
        loop = Loop(
            *(spec, folder, sweep, training, trainers, progress, workers, study, keep, held.check)
        )
        outcome = loop.run(found)
        keep()
        return outcome


def _watch(progress: Progress, held: Held) -> Watch:
    """Told of each epoch: whoever watches, once the folder is found where it was."""

    def watch(point: DesignPoint, record: Any) -> None:
        held.check()
        progress.epoch(point, record)

    return watch


def _place(places: _Places) -> str | Path:
    """Where all machines find the study: a URL, or the folder on a file system that they share."""
    return places.url or places.folder


def _open_mirror(places: _Places) -> "Mirror | None":
    if not places.url:
        return None
    from search.artifacts import Mirror, open_artifacts

    return Mirror(open_artifacts(places.url), places.folder)


def _check_folder(spec: StudySpec, folder: Path) -> None:
    """Refuse a folder that holds something else than this study."""
    if (folder / RESOLVED).exists():
        check_unchanged(spec, read_resolved(folder)[0], str(folder))
    elif folder.exists() and any(map(_was_there_before, folder.iterdir())):
        raise InvalidStudy(
            f"{folder} is not empty and holds no study: choose another folder with --out"
        )


def _trained_keys(folder: Path) -> list[str]:
    """Of the designs that were trained for this study, and have files."""
    rows = read_all_rows(folder)
    return list(dict.fromkeys(row.key for row in rows if row.epochs and row.status != "duplicate"))


@contextmanager
def _ray_trainers(
    options: "RayOptions",
    board: object,
    places: _Places,
    spec: StudySpec,
    training: Training,
    progress: Progress,
    watch: Watch,
) -> Iterator[Trainers]:
    """Tasks of a Ray cluster, whose nodes were found fit."""
    from search.artifacts import open_artifacts
    from search.on_ray.cluster import check_nodes, make_wanted
    from search.on_ray.trainers import RayTrainers

    artifacts = open_artifacts(_place(places))
    wanted = make_wanted(artifacts)
    check_nodes(wanted, options, lambda text: progress.preparing(text, 0, 1))
    trainers = RayTrainers(
        options,
        wanted,
        training,
        spec.data_folder,
        places.cache,
        artifacts,
        board,
        places.folder,
        watch,
    )
    try:
        yield trainers
    finally:
        trainers.cancel()


def load_data(
    spec: StudySpec, cache: Path | None, report: Callable[[str, int, int], None] | None = None
) -> "Features":
    """The features of a study's data, computed or from the cache.

    Raises:
        InvalidData: the data cannot be used.
        InvalidInput: there is no such device.
    """
    from dse.speech.loading import load_speech
    from dse.training.devices import choose_device  # loads torch

    choose_device(spec.device)
    return load_speech(spec.data_folder, spec.task, spec.features, cache=cache, report=report)


def make_training(spec: StudySpec, features: "Features", designs: Path) -> Training:
    """How a study trains its designs, each in a folder below `designs`, which is made."""
    designs.mkdir(parents=True, exist_ok=True)
    return Training(
        features=features,
        recipe=spec.recipe,
        seed=spec.seed,
        device=spec.device,
        designs=designs,
    )


@contextmanager
def open_trainers(
    spec: StudySpec, training: Training, cache: Path | None, count: int, watch: Watch
) -> Iterator[Trainers]:
    """Workers where several are wanted, else this process."""
    from dse.training.batches import free_memory_bytes  # loads torch

    if count == 1:
        yield InProcess(training, watch)
        return
    settings = WorkerSettings(
        data_folder=spec.data_folder,
        cache=cache,
        task=spec.task,
        features=spec.features,
        recipe=spec.recipe,
        seed=spec.seed,
        device=spec.device,
        designs=training.designs,
        memory_bytes=share_memory(count, free_memory_bytes()),
    )
    with Workers(settings, count, watch) as workers:
        yield workers


def _was_there_before(path: Path) -> bool:
    """Whether a file was there before us: a kill may leave the lock and study.yaml alone."""
    return not path.name.startswith(".") and path.name != GIVEN


def _write_record(
    spec: StudySpec,
    given: str,
    folder: Path,
    features: "Features",
    found: Survey,
    workers: int,
) -> None:
    """Write study.yaml and resolved.yaml; a resumed study keeps its box, and must keep its data."""
    begun = Begun(
        data_key=features.key,
        outputs=features.outputs,
        box=measure_box(spec.objectives, found),
        workers=workers,
        clips={split: features.count(split) for split in SPLITS},
        findings=features.findings,
    )
    if (folder / RESOLVED).exists():
        _, before = read_resolved(folder)
        if before.data_key != features.key:
            raise InvalidStudy(
                f"{folder} was searched on other data (features {before.data_key}, now "
                f"{features.key}): restore {spec.data_folder}, or give the study another name"
            )
        begun = dataclasses.replace(begun, box=before.box)
    resolved = readable_yaml(spec, begun, folder)
    write_text(folder / GIVEN, given)
    write_text(folder / RESOLVED, resolved)
    # Whoever reads the record has the family's text; the copy is for people.
    if (source := spec.space.family.source) is not None:
        write_text(inside(folder, source.file), source.text)
