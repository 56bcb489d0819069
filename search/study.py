"""Run a study: its data, its folder and who trains for it; `search.loop` does the searching.

The order matters, since each step can refuse: the study must be the one that is in the folder, the
data must load before a folder is made for it, the survey must find a design within the limits, and
the folder must be nobody else's while it is written to.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dse.errors import InvalidStudy
from dse.files import write_text
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.studies.folder import DESIGNS, GIVEN, RESOLVED
from dse.studies.resolved import Begun, read_resolved, resolved_yaml
from dse.studies.spec import StudySpec, check_unchanged
from dse.training.job import Training
from search.cluster.artifacts import study_root
from search.cluster.publication import VIEW, check_no_view
from search.loop import Loop
from search.state import Outcome, Progress
from search.storage import FolderLedger, Ledger, locked, storage_errors
from search.survey import Survey, measure_box, survey
from search.workers import InProcess, Trainers, Watch, Workers, WorkerSettings, share_memory

if TYPE_CHECKING:
    from dse.speech.features import SpeechFeatures
    from search.cluster.coordinator import Cluster, Headquarters
    from search.cluster.on_ray import RayOptions


def run_study(
    spec: StudySpec,
    given: str,
    folder: Path,
    progress: Progress,
    *,
    cache: Path | None = None,
    workers: int = 1,
    cluster: "Cluster | None" = None,
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
        cluster: the storage that the study is in, of which the folder becomes a view, and whose
            workers train; None for a study that is in its folder.
        on_ray: the Ray cluster that trains.

    Raises:
        InvalidStudy: the folder holds another study, is in use, or no point meets the limits; the
            study in the storage is another, or is being searched.
        InvalidData: the data cannot be used.
        OSError: the disk is full or the folder may not be written to; the study can be resumed.
    """
    with ExitStack() as stack:
        headquarters = None
        if cluster is not None:
            headquarters = stack.enter_context(_headquarters(cluster, spec))
        if on_ray is not None:
            from search.cluster.on_ray import connected

            stack.enter_context(connected(on_ray))
        return _run(spec, given, folder, progress, cache, workers, headquarters, on_ray)


def _run(
    spec: StudySpec,
    given: str,
    folder: Path,
    progress: Progress,
    cache: Path | None,
    workers: int,
    headquarters: "Headquarters | None",
    on_ray: "RayOptions | None",
) -> Outcome:
    if (folder / RESOLVED).exists():
        if headquarters is None:
            check_no_view(folder, "give its --storage")
        check_unchanged(spec, read_resolved(folder)[0], str(folder))
    elif folder.exists() and any(map(_was_there_before, folder.iterdir())):
        raise InvalidStudy(
            f"{folder} is not empty and holds no study: choose another folder with --out"
        )
    # Loading the data comes before the folder is made: a wrong data folder leaves nothing behind.
    features = load_data(spec, cache, progress.preparing)
    pricing = Pricing(
        spec.machines,
        budget=spec.budget,
        frames=spec.features.frames,
        outputs=len(features.classes),
        rate=spec.inferences_per_second,
        objectives=spec.objectives,
    )
    sweep = Sweep(spec.space, pricing)
    found = survey(sweep, seed=spec.seed)
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        if headquarters is not None:
            stack.enter_context(headquarters.leading(folder))
        _write_record(spec, given, folder, features, found, workers)
        training = make_training(spec, features, folder / DESIGNS)
        ledger: Ledger = headquarters or FolderLedger(spec.name, spec.objectives)
        if headquarters is None:
            stack.enter_context(storage_errors(folder))
        trainers: Trainers
        if on_ray is not None:
            root = (
                study_root(on_ray.artifacts, spec.name)
                if on_ray.artifacts
                else f"file://{folder.resolve()}"
            )
            trainers = stack.enter_context(
                _ray_trainers(on_ray, spec, training, cache, root, workers, progress.epoch)
            )
        elif headquarters is not None:
            trainers = stack.enter_context(
                headquarters.trainers(training, folder, cache, workers, progress.epoch)
            )
        else:
            trainers = stack.enter_context(
                open_trainers(spec, training, cache, workers, progress.epoch)
            )
        loop = Loop(spec, folder, sweep, training, trainers, progress, workers, ledger)
        outcome = loop.run(found)
        if headquarters is not None:
            headquarters.ended(outcome.ended_by)
        return outcome


@contextmanager
def _ray_trainers(
    options: "RayOptions",
    spec: StudySpec,
    training: Training,
    cache: Path | None,
    root: str,
    count: int,
    watch: Watch,
) -> Iterator[Trainers]:
    """Tasks of a Ray cluster."""
    from search.cluster.artifacts import open_artifacts
    from search.cluster.on_ray import RayTrainers

    store = open_artifacts(root)
    trainers = RayTrainers(options, training, spec.data_folder, cache, store, count, watch)
    try:
        yield trainers
    finally:
        trainers.cancel()


@contextmanager
def _headquarters(cluster: "Cluster", spec: StudySpec) -> Iterator["Headquarters"]:
    """The study's storage, if the study there is this one."""
    from search.cluster.coordinator import Headquarters
    from search.cluster.storages import connect

    with connect(cluster.url, give_up_s=cluster.give_up_s) as storage:
        headquarters = Headquarters(storage, cluster, spec)
        published = headquarters.published()
        if published is not None:
            check_unchanged(spec, published.asked, str(cluster.url))
        yield headquarters


def load_data(
    spec: StudySpec, cache: Path | None, report: Callable[[str, int, int], None] | None = None
) -> "SpeechFeatures":
    """The features of a study's data, computed or from the cache.

    Raises:
        InvalidData: the data cannot be used.
        InvalidInput: there is no such device.
    """
    from dse.speech.features import load_features
    from dse.training.devices import choose_device  # loads torch

    choose_device(spec.device)
    return load_features(spec.data_folder, spec.task, spec.features, cache=cache, report=report)


def make_training(spec: StudySpec, features: "SpeechFeatures", designs: Path) -> Training:
    """How a study trains its designs, each in a folder below `designs`."""
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
    return not path.name.startswith(".") and path.name not in (GIVEN, VIEW)


def _write_record(
    spec: StudySpec,
    given: str,
    folder: Path,
    features: "SpeechFeatures",
    found: Survey,
    workers: int,
) -> None:
    """Write study.yaml and resolved.yaml; a resumed study keeps its box, and must keep its data."""
    begun = Begun(
        data_key=features.key,
        outputs=len(features.classes),
        box=measure_box(spec.objectives, found),
        workers=workers,
    )
    if (folder / RESOLVED).exists():
        _, before = read_resolved(folder)
        if before.data_key != features.key:
            raise InvalidStudy(
                f"{folder} was searched on other data (features {before.data_key}, now "
                f"{features.key}): restore {spec.data_folder}, or give the study another name"
            )
        begun = dataclasses.replace(begun, box=before.box)
    write_text(folder / GIVEN, given)
    write_text(folder / RESOLVED, resolved_yaml(spec, begun))
