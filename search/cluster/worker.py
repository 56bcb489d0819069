"""The life of a worker: claim a training, go on from its last checkpoint, keep it safe, report.

A worker needs the storage, the artifacts and the data, and nothing else of its coordinator; it may
be killed at any moment. Its work is kept after each epoch.
"""

import dataclasses
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.storages import BaseStorage

from dse.errors import InvalidStudy, TrainingFailed
from dse.studies.folder import DESIGNS
from dse.training.job import Training
from search.cluster.artifacts import Artifacts, open_artifacts, study_root
from search.cluster.publication import Published, find, read_point
from search.cluster.queue import FAILED, RELEASED, STOPPED, Entry, JobLost, Queue
from search.cluster.storages import StorageURL
from search.cluster.versions import code_version
from search.cluster.whereabouts import whereabouts

if TYPE_CHECKING:
    from dse.speech.features import SpeechFeatures

BEAT_S = 10.0
POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker works."""

    name: str
    """Of the study."""
    data_folder: Path | None = None
    """In place of the study's, which is a path of the coordinator's machine."""
    artifacts: str = ""
    """In place of the study's, likewise."""
    cache: Path | None = None
    device: str = ""
    """In place of the study's."""
    work: Path | None = None
    """Folder for the training in progress; a temporary one where it is None."""
    idle_s: float | None = None
    """Ends after so long without work; only with its study where it is None."""
    trainings: int | None = None
    """Ends after so many trainings."""
    beat_s: float = BEAT_S
    poll_s: float = POLL_S


Say = Callable[[str], None]


class _Idle(Exception):
    """There has been nothing to do for long enough."""


def work(storage: BaseStorage, url: StorageURL, options: WorkerOptions, say: Say) -> int:
    """Train what is queued, until the study has ended or there was nothing to do for long.

    Returns:
        How many trainings were done.

    Raises:
        InvalidStudy: this machine has another version of the program or other data, or cannot see
            the artifacts.
        InvalidData: the data cannot be used.
        StorageUnreachable: the storage did not answer for too long.
        OSError: the disk is full.
    """
    idle = _Clock(options.idle_s)
    with suppress(_Idle):
        published = _await(storage, url, options, idle, say)
        _check_code(published.code, url)
        artifacts = _find_artifacts(published, options, url)
        with _work_folder(options.work) as folder:
            training = _prepare_training(published, options, folder / DESIGNS)
            say(f"works for study {options.name} in {url} as {_name()}")
            queue = Queue(storage, options.name)
            return _serve(queue, storage, url, options, training, artifacts, idle, say)
    say("there was nothing to do: ended")
    return 0


def _name() -> str:
    place = whereabouts()
    return f"process {place['pid']} on {place['host']}"


class _Clock:
    """How long there has been nothing to do."""

    def __init__(self, limit_s: float | None) -> None:
        self.limit_s = limit_s
        self.busy()

    def busy(self) -> None:
        self.since = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait a little.

        Raises:
            _Idle: it has been long enough.
        """
        if self.limit_s is not None and time.monotonic() - self.since > self.limit_s:
            raise _Idle
        time.sleep(seconds)


def _await(
    storage: BaseStorage, url: StorageURL, options: WorkerOptions, idle: _Clock, say: Say
) -> Published:
    """The study, as soon as its coordinator has put it there."""
    told = False
    while True:
        published = find(storage, options.name, url)
        if published is not None and published.mark:
            return published
        if not told:
            say(f"waits for study {options.name} in {url}")
            told = True
        idle.wait(options.poll_s)


def _check_code(wanted: str, url: StorageURL) -> None:
    """Refuse to train with another program than the study's."""
    if wanted != code_version():
        raise InvalidStudy(
            f"the study in {url} is searched with ternary-dse {wanted}, and this worker has "
            f"{code_version()}: install the same version here"
        )


def _find_artifacts(published: Published, options: WorkerOptions, url: StorageURL) -> Artifacts:
    root = study_root(options.artifacts, options.name) if options.artifacts else published.artifacts
    store = open_artifacts(root)
    if store.marked() != published.mark:
        raise InvalidStudy(
            f"{root} does not hold the artifacts of study {options.name} in {url}, as seen from "
            "here: name the place that the coordinator uses with --artifacts"
        )
    return store


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="dse-worker-", dir=given))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare_training(published: Published, options: WorkerOptions, designs: Path) -> Training:
    """What the study trains on, from its record; the data must be the same."""
    from dse.speech.features import load_features  # loads torch

    asked = published.asked
    data_folder = options.data_folder or asked.data_folder
    features = load_features(data_folder, asked.task, asked.features, cache=options.cache)
    _check_data(features, published.begun.data_key, data_folder)
    return Training(
        features=features,
        recipe=asked.recipe,
        seed=asked.seed,
        device=options.device or asked.device,
        designs=designs,
    )


def _check_data(features: "SpeechFeatures", wanted: str, data_folder: Path) -> None:
    if features.key != wanted:
        raise InvalidStudy(
            f"the study is searched on data {wanted} (key of its features), and {data_folder} "
            f"gives {features.key}: copy the study's data folder here, or name it with --data"
        )


def _serve(
    queue: Queue,
    storage: BaseStorage,
    url: StorageURL,
    options: WorkerOptions,
    training: Training,
    artifacts: Artifacts,
    idle: _Clock,
    say: Say,
) -> int:
    done = 0
    idle.busy()
    while options.trainings is None or done < options.trainings:
        entry = _claim(queue, training, url)
        if entry is not None:
            _train(queue, entry, training, artifacts, options.beat_s, say)
            done += 1
            idle.busy()
            continue
        published = find(storage, options.name, url)
        if published is not None and published.ended:
            say(f"the study has ended: {published.ended}")
            break
        try:
            idle.wait(options.poll_s)
        except _Idle:
            say(f"there was nothing to do for {options.idle_s:.0f} s: ended")
            break
    return done


def _claim(queue: Queue, training: Training, url: StorageURL) -> Entry | None:
    for entry in queue.waiting():
        _check_code(entry.job.code, url)  # the coordinator may have been updated
        _check_data(training.features, entry.job.data_key, Path("this worker's data folder"))
        if queue.claim(entry, whereabouts()):
            return entry
    return None


def _train(
    queue: Queue, entry: Entry, training: Training, artifacts: Artifacts, beat_s: float, say: Say
) -> None:
    """Train a design and keep it, unless the coordinator gave it to another meanwhile."""
    point = read_point(entry.job.design)
    folder = training.designs / point.key
    shutil.rmtree(folder, ignore_errors=True)
    say(f"trains {point.name or point.summary} up to epoch {entry.job.until}")
    with suppress(JobLost), _heart(queue, entry, beat_s) as heart, _given_back(queue, entry):
        artifacts.pull(point.key, folder)
        artifacts.pushed.clear()

        def keep(record: Any) -> None:
            heart.check()
            artifacts.push(point.key, folder)
            heart.beat(dataclasses.asdict(record))

        try:
            result = training.train(point, keep, entry.job.until)
        except TrainingFailed as error:
            queue.end(entry, FAILED, str(error))
            say(f"failed: {error}")
            return
        heart.check()
        artifacts.push(point.key, folder)
        plain = {
            field.name: getattr(result, field.name)
            for field in dataclasses.fields(result)
            if field.name != "history"
        }
        queue.finish(entry, plain)
        say(f"validation error {result.validation_error:.4f} after {result.epochs} epochs")
        return
    say("the coordinator gave this training to another worker")


@contextmanager
def _given_back(queue: Queue, entry: Entry) -> Iterator[None]:
    """Let another worker have the training at once where this one cannot go on."""
    try:
        yield
    except JobLost:
        raise
    except KeyboardInterrupt:
        with suppress(JobLost):
            queue.end(entry, RELEASED, STOPPED)
        raise
    except Exception as error:
        with suppress(Exception):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            queue.end(entry, RELEASED, f"its worker, {_name()}, stopped: {reason}")
        raise


class _Heart:
    """Beats until it is stopped; knows when the training is another's."""

    def __init__(self, queue: Queue, entry: Entry) -> None:
        self.queue, self.entry = queue, entry
        self.count = 0
        self.epoch: dict[str, Any] | None = None
        self.error: Exception | None = None
        self.lock = threading.Lock()

    def beat(self, epoch: dict[str, Any] | None = None) -> None:
        """Say that this worker lives, and what its last epoch was."""
        with self.lock:
            self.count += 1
            self.epoch = epoch or self.epoch
            self.queue.beat(self.entry, self.count, self.epoch)

    def check(self) -> None:
        """Raise what the last beat found."""
        if self.error is not None:
            raise self.error


@contextmanager
def _heart(queue: Queue, entry: Entry, beat_s: float) -> Iterator[_Heart]:
    heart = _Heart(queue, entry)
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(beat_s):
            try:
                heart.beat()
            except Exception as error:
                heart.error = error
                return

    thread = threading.Thread(target=live, daemon=True, name="dse-heart")
    thread.start()
    try:
        yield heart
    finally:
        stop.set()
        thread.join(timeout=1)
