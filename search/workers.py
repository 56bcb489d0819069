"""Who trains for a study: this process, or processes of one thread each, which do nothing else.

      this process: asks, prices, writes rows            processes that train
      ------------------------------------------         --------------------
      start(design) -> waiting -> assigned  ----pipe----> train, epoch by epoch, in the
                                            <---pipe----- study's folder; each epoch's record
      finish(design) <- outcomes            <---pipe----- outcome

Processes and not threads: two of one thread each get more done than one of two, whose threads wait
for each other in every layer (docs/evidence/performance.md). They are not copies of this process,
which has threads: a copy may hold locks that nobody frees. They are copies of one that has loaded
torch and done nothing else, so that no worker loads it again, nor keeps it in memory once more.

What may go wrong, and what is done:

* *This process is killed.* Its workers must not go on writing into the study's folder: each ends
  as soon as a pipe from here is closed, which the kernel does (`dse.processes`).
* *A worker is killed*, most likely for memory. Its design goes on in another, from its last
  checkpoint; after `ATTEMPTS` of them it has failed, which is a row like any other.
* *Memory is short.* Each worker gets a share of what is free, and a limit on it: then a batch is
  computed in parts, where otherwise the kernel would choose whom to kill.
* *A full disk, bad input.* That is the study's affair and not the design's: the exception is sent
  over and raised here.
"""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar, Protocol

from dse.design.point import DesignPoint
from dse.errors import TrainingFailed
from dse.processes import serve_parent
from dse.speech.task import FeatureSpec
from dse.speech.transcription import SpeechTask
from dse.training.history import TrainingResult
from dse.training.job import Training
from dse.training.recipe import Recipe

WORKER_BYTES = 1024**3
"""Memory that a worker must at least be given: torch takes 0.3 GiB, MatchboxNet-3x2x64 at batches
of 128 another 0.4 (docs/evidence/performance.md)."""

MEMORY_SHARE = 0.8
"""The share of free memory that all workers together may take."""

ATTEMPTS = 2
"""A training whose worker died goes on in a new one; if that dies too, the training has failed."""


Watch = Callable[[DesignPoint, Any], None]
"""Called with a design and a record of an epoch."""


class Trainers(Protocol):
    """Who trains for a study."""

    @property
    def window(self) -> int:
        """So many designs may be started before the first of them is finished.

        Rows depend on it: what the sampler does not know of yet is what is in the window.
        """

    def start(self, point: DesignPoint, until: int) -> None:
        """Train a design up to so many epochs, now or when its turn comes."""

    def finish(
        self, point: DesignPoint, meanwhile: Callable[[], None] = lambda: None
    ) -> TrainingResult:
        """The outcome of a design that was started.

        Args:
            point: the design.
            meanwhile: called from time to time while it is waited for, where `window` may grow.

        Raises:
            TrainingFailed: no number came out; the message says why.
        """


class InProcess:
    """Trains one design at a time, in this process and with all its threads."""

    window = 1

    def __init__(self, training: Training, watch: Watch) -> None:
        self.training = training
        self.watch = watch
        self.until: dict[str, int] = {}

    def start(self, point: DesignPoint, until: int) -> None:
        """Remember how far: `finish` trains."""
        self.until[point.key] = until

    def finish(
        self, point: DesignPoint, meanwhile: Callable[[], None] = lambda: None
    ) -> TrainingResult:
        """Train the design."""
        until = self.until.pop(point.key)
        return self.training.train(point, lambda record: self.watch(point, record), until)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker is told at its start; the feature cache is there already."""

    data_folder: Path
    cache: Path | None
    task: SpeechTask
    features: FeatureSpec
    recipe: Recipe
    seed: int
    device: str
    designs: Path
    memory_bytes: int | None
    """It may take so much at most; a batch that needs more is computed in parts."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A design, and the epochs that it is trained up to."""

    point: DesignPoint
    until: int


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    job: _Job | None = None
    """What it trains; None where it waits for work."""


class Workers:
    """Trains several designs at a time, each in a process of its own."""

    def __init__(self, settings: WorkerSettings, count: int, watch: Watch) -> None:
        # One design more than there are workers: when one is done, the next is there already.
        self.window = count + 1
        self.settings = settings
        self.count = count
        self.watch = watch
        self.workers: list[_Worker] = []
        self.waiting: list[_Job] = []
        self.outcomes: dict[str, TrainingResult | TrainingFailed] = {}
        self.deaths: dict[str, int] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers; what they trained up to their last epoch is in the study's folder."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join()
            worker.connection.close()

    def start(self, point: DesignPoint, until: int) -> None:
        """Give a design to a free worker, or keep it until one is free."""
        self.waiting.append(_Job(point, until))
        self._assign()

    def finish(
        self, point: DesignPoint, meanwhile: Callable[[], None] = lambda: None
    ) -> TrainingResult:
        """Wait until a design is trained; meanwhile, records and outcomes of others are taken in.

        Raises:
            TrainingFailed: no number came out, or its workers died.
            OSError: a full disk, say: the study cannot go on.
            ValueError: likewise, of bad input.
        """
        while point.key not in self.outcomes:
            self._receive()
        outcome = self.outcomes.pop(point.key)
        if isinstance(outcome, TrainingFailed):
            raise outcome
        return outcome

    def _assign(self) -> None:
        """Give waiting designs, oldest first, to free workers; processes are made as needed."""
        while self.waiting:
            free = next((worker for worker in self.workers if worker.job is None), None)
            if free is None:
                if len(self.workers) == self.count:
                    return
                free = self._spawn()
            free.job = self.waiting.pop(0)
            with suppress(BrokenPipeError):  # it died idle: `_receive` sees that, too
                free.connection.send(free.job)

    def _spawn(self) -> _Worker:
        context = _makes_processes()
        # The worker's end is closed here once it has its own: then its death ends the pipe, and
        # `recv` says so instead of waiting.
        ours, theirs = context.Pipe()
        process = context.Process(target=_train_for, args=(self.settings, theirs), daemon=True)
        with for_workers():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self.workers.append(worker)
        return worker

    def _receive(self) -> None:
        """Take what the workers send next."""
        by_connection = {worker.connection: worker for worker in self.workers}
        for ready in wait(list(by_connection)):
            worker = by_connection[ready]  # type: ignore[index]
            try:
                message = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                self._replace_dead(worker)
                continue
            assert worker.job is not None
            if isinstance(message, _Finished):
                self.outcomes[worker.job.point.key] = message.outcome
                worker.job = None
            elif isinstance(message, BaseException):
                raise message
            else:
                self.watch(worker.job.point, message)
        self._assign()

    def _replace_dead(self, worker: _Worker) -> None:
        """A worker died: its design goes on in another, from its last checkpoint, or has failed."""
        worker.process.join()
        worker.connection.close()
        self.workers.remove(worker)
        if worker.job is None:
            return
        key = worker.job.point.key
        self.deaths[key] = self.deaths.get(key, 0) + 1
        # To the front: `finish` of the oldest design may be waiting for just this one.
        if self.deaths[key] < ATTEMPTS:
            self.waiting.insert(0, worker.job)
            return
        code = worker.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self.outcomes[key] = TrainingFailed(
            f"its worker ended {ATTEMPTS} times, at last with {how}: if memory was short, use "
            "fewer --workers"
        )


def _makes_processes() -> ForkServerContext | SpawnContext:
    """Makes workers: as copies of a process that has loaded torch, where the system allows.

    That process has no threads, and does nothing but wait for the next order. Elsewhere (macOS has
    libraries that outlive no copy) each worker is started anew.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dse.training.run", "search.workers"])
    return context


@dataclass(frozen=True, slots=True)
class _Finished:
    """What a worker sends when a design is done."""

    outcome: Any


class for_workers:
    """Processes started within it have one thread an operation, and load nothing from this folder.

    OpenMP reads its environment when it is loaded, so it must be set before the process starts;
    where this process has loaded it already, it keeps its threads. And Python would look for
    modules where the search was started first: a file `random.py` there is none of ours.
    """

    environment: ClassVar = {"OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)

    def __exit__(self, *_: object) -> None:
        for name, value in self.before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _train_for(settings: WorkerSettings, connection: Connection) -> None:
    """The life of a worker: train what is sent, until there is nobody to send."""
    serve_parent()
    if settings.memory_bytes is not None:
        # An allocation beyond this fails, which can be handled; without it the kernel's killer of
        # processes would end one of its choice.
        resource.setrlimit(resource.RLIMIT_DATA, (settings.memory_bytes, settings.memory_bytes))
    from dse.speech.loading import load_speech  # loads torch
    from dse.training.devices import set_threads

    set_threads(1)
    training = Training(
        features=load_speech(
            settings.data_folder, settings.task, settings.features, cache=settings.cache
        ),
        recipe=settings.recipe,
        seed=settings.seed,
        device=settings.device,
        designs=settings.designs,
    )
    with suppress(EOFError, BrokenPipeError):
        while True:
            job = connection.recv()
            try:
                result = training.train(job.point, connection.send, job.until)
                connection.send(_Finished(result))
            except TrainingFailed as error:
                connection.send(_Finished(error))
            except (OSError, ValueError) as error:
                if isinstance(error, BrokenPipeError):
                    raise
                connection.send(error)  # a full disk or bad input: the study's affair


def choose_workers(device: str, cores: int, free_bytes: int) -> int:
    """How many workers `--workers auto` is: a core each where memory allows, 1 on other devices.

    Args:
        device: `cpu`, or another that torch knows.
        cores: that this process may use.
        free_bytes: memory that is free; 0 where it is not known.
    """
    if not device.startswith("cpu"):
        return 1
    fitting = int(MEMORY_SHARE * free_bytes) // WORKER_BYTES if free_bytes else cores
    return max(1, min(cores, fitting))


def share_memory(workers: int, free_bytes: int) -> int | None:
    """Bytes that one of so many workers may take; None where nobody knows what is free."""
    return int(MEMORY_SHARE * free_bytes) // workers if free_bytes else None
