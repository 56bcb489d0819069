"""The queue of trainings: trials of a second Optuna study, that workers claim one by one.

A training waits as a trial that waits; who turns it to running has claimed it, and every storage
lets only one do that. While it runs, its worker beats; it ends with a result, or with a reason why
there is none. Nothing here compares clocks of different machines: who beats is alive.
"""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search.cluster.lease import BEAT
from search.cluster.publication import JOBS, open_optuna_study
from search.cluster.whereabouts import shown

JOB = "dse:job"
WORKER = "dse:worker"
RESULT = "dse:result"
FAILED = "dse:failed"
RELEASED = "dse:released"
"""Why a worker gave a training back."""
STOPPED = "its worker was stopped"
"""The reason that is nobody's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training in the queue."""

    key: str
    """Of the design."""
    design: dict[str, Any]
    until: int
    """Epochs up to which it is trained."""
    code: str
    data_key: str
    recipe_key: str
    seed: int
    deaths: int = 0
    """Workers that ended in it, one after the other, without an epoch."""

    @property
    def identity(self) -> tuple[str, int, str, str, int]:
        """The same for jobs that come to the same result."""
        return self.key, self.until, self.data_key, self.recipe_key, self.seed


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial of the queue."""

    trial_id: int
    number: int
    state: TrialState
    job: Job
    worker: dict[str, Any]
    """Where it is trained; empty while it waits."""
    beat: tuple[int, dict[str, Any] | None]
    """Number of the last sign of life, and the last epoch."""
    result: dict[str, Any] | None
    failed: str
    """The training gave no number; why."""
    released: str

    @property
    def decided(self) -> bool:
        """Whether it has an outcome."""
        return self.result is not None or bool(self.failed)

    @property
    def where(self) -> str:
        """`process 12 on host`."""
        return shown(self.worker)


class JobLost(Exception):
    """The coordinator took this worker for dead and gave its training to another."""


class Queue:
    """A study's trainings, as all see them."""

    def __init__(self, storage: BaseStorage, name: str) -> None:
        self.storage = storage
        study = open_optuna_study(storage, name + JOBS, ("error",), metric_names=False)
        self.study_id: int = study._study_id
        self.read: dict[int, Entry] = {}
        """Entries that cannot change any more."""

    def put(self, job: Job, name: str) -> Entry:
        """Let a training wait for a worker."""
        template = optuna.trial.create_trial(
            state=TrialState.WAITING,
            user_attrs={"kind": "training", "design": name, "until_epoch": job.until},
            system_attrs={JOB: dataclasses.asdict(job), "dse:nonce": time.monotonic_ns()},
        )
        trial_id = self.storage.create_new_trial(self.study_id, template)
        return _entry(self.storage.get_trial(trial_id))

    def entries(self) -> Iterator[Entry]:
        """All trainings, in the order in which they were put."""
        for trial in self.storage.get_all_trials(self.study_id, deepcopy=False):
            if JOB not in trial.system_attrs:
                continue
            entry = self.read.get(trial.number)
            if entry is None:
                entry = _entry(trial)
                if trial.state.is_finished():
                    self.read[trial.number] = entry
            yield entry

    def waiting(self) -> list[Entry]:
        """Trainings that a worker may claim."""
        return [entry for entry in self.entries() if entry.state == TrialState.WAITING]

    def claim(self, entry: Entry, place: dict[str, Any]) -> bool:
        """Take a training; False where another worker was faster."""
        if not self.storage.set_trial_state_values(entry.trial_id, TrialState.RUNNING):
            return False
        with _fenced():
            self.storage.set_trial_system_attr(entry.trial_id, WORKER, place)
            self.storage.set_trial_user_attr(
                entry.trial_id, "worker", f"{place['host']}, process {place['pid']}"
            )
        return True

    def beat(self, entry: Entry, count: int, epoch: dict[str, Any] | None) -> None:
        """Give a sign of life.

        Raises:
            JobLost: the training was given to another.
        """
        with _fenced():
            self.storage.set_trial_system_attr(entry.trial_id, BEAT, [count, epoch])

    def finish(self, entry: Entry, result: dict[str, Any]) -> None:
        """End a training with what came out; `validation_error` is the trial's value."""
        with _fenced():
            self.storage.set_trial_system_attr(entry.trial_id, RESULT, result)
            self.storage.set_trial_state_values(
                entry.trial_id, TrialState.COMPLETE, [float(result["validation_error"])]
            )

    def settle(self, entry: Entry) -> None:
        """End a training whose worker was killed between its last word and the end."""
        if entry.state.is_finished() or not (entry.decided or entry.released):
            return
        with suppress(JobLost), _fenced():
            if entry.result is not None:
                error = float(entry.result["validation_error"])
                self.storage.set_trial_state_values(entry.trial_id, TrialState.COMPLETE, [error])
            else:
                self.storage.set_trial_state_values(entry.trial_id, TrialState.FAIL)

    def end(self, entry: Entry, key: str, reason: str) -> None:
        """End a training without a number: it has `FAILED`, or is `RELEASED` for another."""
        with _fenced():
            self.storage.set_trial_system_attr(entry.trial_id, key, reason)
            self.storage.set_trial_user_attr(entry.trial_id, "reason", reason)
            self.storage.set_trial_state_values(entry.trial_id, TrialState.FAIL)


@contextmanager
def _fenced() -> Iterator[None]:
    """Within it, to write to a trial that has ended means that it is another's now."""
    try:
        yield
    except optuna.exceptions.UpdateFinishedTrialError:
        raise JobLost from None


def _entry(trial: FrozenTrial) -> Entry:
    kept = trial.system_attrs
    count, epoch = kept.get(BEAT, (0, None))
    return Entry(
        trial_id=trial._trial_id,
        number=trial.number,
        state=trial.state,
        job=Job(**kept[JOB]),
        worker=dict(kept.get(WORKER, {})),
        beat=(int(count), epoch),
        result=kept.get(RESULT),
        failed=str(kept.get(FAILED, "")),
        released=str(kept.get(RELEASED, "")),
    )
