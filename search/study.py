"""Run a study: its data, its folder and who trains for it; `search.loop` does the searching."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cost_models.strict_yaml import dump_yaml
from dse.errors import InvalidStudy
from dse.evaluation import Pricing, Training
from dse.files import write_text
from dse.record import DESIGNS, GIVEN, RESOLVED, read_record
from dse.sweep import Sweep
from search.loop import Loop
from search.state import Outcome, Progress
from search.storage import locked, storage_errors
from search.study_file import StudySpec, check_unchanged
from search.survey import Survey, reference_box, survey
from search.workers import InProcess, Trainers, Watch, Workers, WorkerSettings, memory_of_a_worker

if TYPE_CHECKING:
    from dse.features import SpeechFeatures


def run_study(
    spec: StudySpec,
    given: str,
    folder: Path,
    progress: Progress,
    *,
    cache: Path | None = None,
    workers: int = 1,
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

    Raises:
        InvalidStudy: the folder holds another study, is in use, or no point meets the limits.
        InvalidData: the data cannot be used.
        OSError: the disk is full or the folder may not be written to; the study can be resumed.
    """
    if (folder / RESOLVED).exists():
        check_unchanged(spec, folder / RESOLVED)
    elif folder.exists() and any(map(_is_foreign, folder.iterdir())):
        raise InvalidStudy(
            f"{folder} is not empty and holds no study: choose another folder with --out"
        )
    # Loading the data comes before the folder is made: a wrong data folder leaves nothing behind.
    features = load_data(spec, cache, progress.preparing)
    pricing = Pricing(
        accelerator=spec.accelerator,
        technology=spec.technology,
        budget=spec.budget,
        frames=spec.features.frames,
        outputs=len(features.classes),
        rate=spec.rate or 1.0,
        machines=() if spec.hardware is None else spec.machines,
        objectives=spec.objectives,
    )
    sweep = Sweep(
        spec.space,
        spec.machines,
        frames=pricing.frames,
        outputs=pricing.outputs,
        budget=spec.budget,
        rate=pricing.rate,
    )
    found = survey(spec.space, pricing, sweep, seed=spec.seed)
    with locked(folder):
        _write_record(spec, given, folder, features, found, workers)
        training = training_of(spec, features, folder / DESIGNS)
        with (
            storage_errors(folder),
            trainers_of(spec, training, cache, workers, progress.epoch) as trainers,
        ):
            loop = Loop(spec, folder, pricing, sweep, training, trainers, progress, workers)
            return loop.run(found)


def load_data(
    spec: StudySpec, cache: Path | None, report: Callable[[str, int, int], None] | None = None
) -> "SpeechFeatures":
    """The features of a study's data, computed or from the cache.

    Raises:
        InvalidData: the data cannot be used.
        InvalidInput: there is no such device.
    """
    from dse.devices import choose_device  # loads torch
    from dse.features import load_features

    choose_device(spec.device)
    return load_features(spec.data_folder, spec.task, spec.features, cache=cache, report=report)


def training_of(spec: StudySpec, features: "SpeechFeatures", designs: Path) -> Training:
    """How a study trains its designs, each in a folder below `designs`."""
    return Training(
        features=features,
        task=spec.task,
        spec=spec.features,
        recipe=spec.recipe,
        seed=spec.seed,
        device=spec.device,
        designs=designs,
    )


@contextmanager
def trainers_of(
    spec: StudySpec, training: Training, cache: Path | None, count: int, watch: Watch
) -> Iterator[Trainers]:
    """Workers where several are wanted, else this process."""
    from dse.batches import free_memory_bytes  # loads torch

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
        memory_bytes=memory_of_a_worker(count, free_memory_bytes()),
    )
    with Workers(settings, count, watch) as workers:
        yield workers


def _is_foreign(path: Path) -> bool:
    """Whether a file was there before us: a kill may leave the lock and study.yaml alone."""
    return not path.name.startswith(".") and path.name != GIVEN


def _write_record(
    spec: StudySpec,
    given: str,
    folder: Path,
    features: "SpeechFeatures",
    found: Survey,
    workers: int,
) -> None:
    """Write study.yaml and resolved.yaml; a resumed study keeps its box, and must keep its data."""
    box = reference_box(spec.objectives, found)
    if (folder / RESOLVED).exists():
        record = read_record(folder)
        box = record.box
        before = record.resolved.get("data_key")
        if before != features.key:
            raise InvalidStudy(
                f"{folder} was searched on other data (features {before}, now {features.key}): "
                f"restore {spec.data_folder}, or give the study another name"
            )
    write_text(folder / GIVEN, given)
    of_data = {"data_key": features.key, "outputs": len(features.classes)}
    more = of_data | {"box": box, "workers": workers}
    write_text(folder / RESOLVED, dump_yaml(spec.resolved() | more))
