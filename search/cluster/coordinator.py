"""A search whose study is in a storage: it pulls, leads, publishes, and may start workers here."""

import multiprocessing
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from dse.errors import InvalidStudy
from dse.studies.folder import GIVEN, RESOLVED
from dse.studies.rows import Evaluation, read_all_rows
from dse.training.job import Training
from search.cluster.artifacts import open_artifacts, study_root
from search.cluster.lease import leased
from search.cluster.publication import (
    ARTIFACTS,
    CODE,
    ENDED,
    JOBS,
    MARK,
    RECORD,
    ROW,
    STUDY,
    Published,
    find,
    open_optuna_study,
    publish,
    pull_rows,
    put_row,
    write_view,
)
from search.cluster.queue import Queue
from search.cluster.remote import LOST_S, POLL_S, RemoteTrainers
from search.cluster.storages import Patient, StorageURL, connect
from search.cluster.versions import code_version
from search.cluster.worker import BEAT_S, WorkerOptions, work
from search.storage import DATABASE, open_storage
from search.workers import Watch, die_with, one_thread_of_openmp

if TYPE_CHECKING:
    from dse.studies.spec import StudySpec

STILLBORN = 5
"""So many workers of this machine may end, one after the other, before they claim a training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where a study lives besides its folder, and who trains for it."""

    url: StorageURL
    artifacts: str = ""
    """Folder or URL; the study's own folder where it is empty."""
    local_workers: int = 0
    """Workers that the coordinator starts on its own machine."""
    give_up_s: float = 300.0
    lease_beat_s: float = 5.0
    lease_s: float = 30.0
    lost_s: float = LOST_S
    beat_s: float = BEAT_S
    poll_s: float = POLL_S
    say: Callable[[str], None] = lambda text: None


class Headquarters:
    """The storage of a study, as its one coordinator uses it."""

    def __init__(self, storage: Patient, cluster: Cluster, spec: "StudySpec") -> None:
        self.storage = storage
        self.cluster = cluster
        self.spec = spec
        self.check: Callable[[], None] = lambda: None
        self.study_id = -1
        self.mark = secrets.token_hex(8)

    def published(self) -> Published | None:
        """The study as the storage has it, if it has."""
        return find(self.storage, self.spec.name, self.cluster.url)

    @contextmanager
    def leading(self, folder: Path) -> Iterator[None]:
        """Be the only coordinator; the folder becomes the view of the study.

        Raises:
            InvalidStudy: another process leads, or the folder holds something else.
        """
        cluster, name = self.cluster, self.spec.name
        queue = open_optuna_study(self.storage, name + JOBS, ("error",), metric_names=False)
        what = f"study {name} in {cluster.url}"
        with leased(
            self.storage,
            queue._study_id,
            what,
            beat_s=cluster.lease_beat_s,
            expires_s=cluster.lease_s,
            waiting=cluster.say,
        ) as self.check:
            published = self.published()
            if published is not None:
                pull_rows(self.storage, published, folder, cluster.url)
                self.mark = published.mark or self.mark
            else:
                self._move_in(folder)
            write_view(folder, name, cluster.url)
            yield

    def _move_in(self, folder: Path) -> None:
        """Bring the trials of a study that was searched in its folder so far."""
        if not (folder / RESOLVED).exists() or not (folder / DATABASE).exists():
            return
        before = open_storage(folder, self.spec.name, self.spec.objectives)
        study_id = open_optuna_study(self.storage, self.spec.name, self.spec.objectives)._study_id
        rows = list(enumerate(read_all_rows(folder)))
        for trial in before.get_trials()[self.storage.get_n_trials(study_id) :]:
            for place, row in rows:
                if row.trial == trial.number:
                    trial.system_attrs[f"{ROW}{place}"] = row.to_dict()
            self.storage.create_new_trial(study_id, trial)

    def open(self, folder: Path) -> optuna.Study:
        """The Optuna study; what the folder says of the study is published."""
        study = open_optuna_study(self.storage, self.spec.name, self.spec.objectives)
        self.study_id = study._study_id
        kept = {
            STUDY: (folder / GIVEN).read_text(encoding="utf-8"),
            RECORD: (folder / RESOLVED).read_text(encoding="utf-8"),
            CODE: code_version(),
            ARTIFACTS: self.root(folder),
            ENDED: "",
            MARK: self.mark,
        }
        publish(self.storage, self.study_id, kept)
        return study

    def write(self, place: int, row: Evaluation, trial: optuna.Trial | None) -> None:
        """Put a row into the storage, before Optuna is told of it."""
        self.check()
        trial_id = None if trial is None else trial._trial_id
        put_row(self.storage, self.study_id, trial_id, place, row)

    def ended(self, why: str) -> None:
        """Let the workers go."""
        publish(self.storage, self.study_id, {ENDED: why})

    def root(self, folder: Path) -> str:
        """URL of the study's artifacts."""
        if self.cluster.artifacts:
            return study_root(self.cluster.artifacts, self.spec.name)
        return f"file://{folder.resolve()}"

    @contextmanager
    def trainers(
        self, training: Training, folder: Path, cache: Path | None, count: int, watch: Watch
    ) -> Iterator[RemoteTrainers]:
        """Who trains: workers anywhere, and those that are started here."""
        store = open_artifacts(self.root(folder))
        store.mark(self.mark)
        options = WorkerOptions(
            name=self.spec.name,
            data_folder=self.spec.data_folder,
            cache=cache,
            artifacts=self.cluster.artifacts,
            device=self.spec.device,
            beat_s=self.cluster.beat_s,
            poll_s=self.cluster.poll_s,
        )
        with ExitStack() as stack:
            crew = stack.enter_context(LocalWorkers(self.cluster, options))

            def check() -> None:
                self.check()
                crew.look()

            yield RemoteTrainers(
                Queue(self.storage, self.spec.name),
                training,
                store,
                code_version(),
                count,
                watch,
                lost_s=self.cluster.lost_s,
                poll_s=self.cluster.poll_s,
                check=check,
            )


@dataclass(slots=True)
class LocalWorkers:
    """Workers on the coordinator's machine; one that dies is replaced."""

    cluster: Cluster
    options: WorkerOptions
    processes: list[BaseProcess] = field(default_factory=list)
    stillborn: int = 0

    def __enter__(self) -> "LocalWorkers":
        return self

    def __exit__(self, *_: object) -> None:
        """End them; what they trained up to their last epoch is kept."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()

    def look(self) -> None:
        """Replace those that have died.

        Raises:
            InvalidStudy: they do so as soon as they start.
        """
        for process in [p for p in self.processes if not p.is_alive()]:
            self.processes.remove(process)
            # A worker that refuses (exit code 2) has said why; one that is killed is replaced.
            refused = process.exitcode is not None and process.exitcode > 0
            self.stillborn = self.stillborn + 1 if refused else 0
            if self.stillborn >= STILLBORN:
                raise InvalidStudy(
                    f"{STILLBORN} workers of this machine ended with exit code {process.exitcode},"
                    " one after the other: their reasons stand above"
                )
        while len(self.processes) < self.cluster.local_workers:
            self.processes.append(self._start())

    def _start(self) -> BaseProcess:
        from dse.training.batches import free_memory_bytes  # loads torch
        from search.workers import share_memory

        memory = share_memory(self.cluster.local_workers, free_memory_bytes())
        # The URL travels through a pipe: nobody sees it among the arguments of processes.
        process = multiprocessing.get_context("spawn").Process(
            target=_live,
            args=(self.cluster.url, self.cluster.give_up_s, self.options, memory, os.getpid()),
            daemon=True,
        )
        with one_thread_of_openmp():
            process.start()
        return process


def _live(
    url: StorageURL, give_up_s: float, options: WorkerOptions, memory: int | None, parent: int
) -> None:
    """The life of a worker on the coordinator's machine, with which it dies."""
    import resource
    import sys

    from dse.errors import InvalidInput

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    die_with(parent)
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    from dse.training.devices import set_threads  # loads torch

    set_threads(1)
    try:
        with connect(url, give_up_s=give_up_s) as storage:
            work(storage, url, options, lambda text: None)
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    except (InvalidInput, OSError) as error:
        print(f"dse: worker: {url.scrubbed(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
