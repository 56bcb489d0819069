"""Trainers that are somewhere else: a study's trainings are put into its queue, and waited for."""

import dataclasses
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dse.design.point import DesignPoint
from dse.errors import TrainingFailed
from dse.training.history import EpochRecord, TrainingResult, read_history
from dse.training.job import Training
from search.cluster.artifacts import Artifacts
from search.cluster.queue import RELEASED, STOPPED, Entry, Job, JobLost, Queue
from search.cluster.whereabouts import surely_dead
from search.workers import Watch

LIVES = 3
"""A training whose workers die so often, one after the other and without an epoch, has failed."""

LOST_S = 60.0
"""A worker that did not beat for so long is dead."""

POLL_S = 0.5


@dataclass(slots=True)
class _Open:
    """A training that was started and has no outcome."""

    point: DesignPoint
    entry: Entry
    seen: tuple[object, ...] = ()
    """What its worker had shown when it was last looked at."""
    since: float = 0.0
    """When that was seen first."""
    epochs: int = 0
    """The last one that was watched."""


class RemoteTrainers:
    """Gives trainings to whoever works on the queue; those of dead workers are given again."""

    def __init__(
        self,
        queue: Queue,
        training: Training,
        artifacts: Artifacts,
        code: str,
        count: int,
        watch: Watch,
        *,
        lost_s: float = LOST_S,
        poll_s: float = POLL_S,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        # As many as beside a search on one machine: the rows are the same.
        self.window = count + 1 if count > 1 else 1
        self.queue = queue
        self.training = training
        self.artifacts = artifacts
        self.code = code
        self.watch = watch
        self.lost_s = lost_s
        self.poll_s = poll_s
        self.check = check
        """Called at each look: raises where there is no sense in waiting."""
        self.open: dict[str, _Open] = {}
        entries = list(queue.entries())
        for entry in entries:
            queue.settle(entry)
        # Trainings that a coordinator before us has started go on, or are done already.
        self.known = {
            entry.job.identity: entry
            for entry in entries
            if not entry.released and not self._outdated(entry)
        }

    def _outdated(self, entry: Entry) -> bool:
        """Whether a training is of another version of the program; nobody shall begin it then."""
        if entry.job.code == self.code:
            return False
        if not entry.state.is_finished():
            with suppress(JobLost):
                self.queue.end(entry, RELEASED, f"it was for version {entry.job.code}")
        return True

    def start(self, point: DesignPoint, until: int) -> None:
        """Put a design into the queue, unless it is there."""
        job = self._job(point, until)
        entry = self.known.get(job.identity) or self._put(job, point)
        self.open[point.key] = _Open(point, entry, since=time.monotonic())

    def finish(self, point: DesignPoint) -> TrainingResult:
        """Wait until a design is trained, and fetch what was written."""
        mine = self.open[point.key]
        while not mine.entry.decided:
            self.look()
            if not mine.entry.decided:
                time.sleep(self.poll_s)
        entry = self.open.pop(point.key).entry
        self.queue.settle(entry)
        self.known.pop(entry.job.identity, None)
        folder = self.training.designs / point.key
        self.artifacts.pull(point.key, folder)
        if entry.result is None:
            raise TrainingFailed(entry.failed)
        return TrainingResult(**entry.result, history=read_history(folder))

    def look(self) -> None:
        """See what has become of all trainings that were started."""
        self.check()
        entries = {entry.number: entry for entry in self.queue.entries()}
        for mine in self.open.values():
            mine.entry = entries.get(mine.entry.number, mine.entry)
            self._watch(mine)
            if mine.entry.decided:
                continue
            if mine.entry.released or mine.entry.state.is_finished():
                self._again(mine, mine.entry.released)
            elif self._lost(mine):
                reason = f"its worker, {mine.entry.where}, was lost"
                try:
                    self.queue.end(mine.entry, RELEASED, reason)
                except JobLost:
                    continue  # it had an outcome just now
                self._again(mine, reason)

    def _watch(self, mine: _Open) -> None:
        epoch = mine.entry.beat[1]
        if epoch is not None and int(epoch["epoch"]) > mine.epochs:
            mine.epochs = int(epoch["epoch"])
            self.watch(mine.point, EpochRecord(**epoch))

    def _lost(self, mine: _Open) -> bool:
        """Whether its worker has died, as far as this clock can tell."""
        entry, now = mine.entry, time.monotonic()
        seen = (entry.number, entry.state, entry.beat[0], str(entry.worker))
        if seen != mine.seen:
            mine.seen, mine.since = seen, now
        if entry.state.name != "RUNNING":
            return False
        return (bool(entry.worker) and surely_dead(entry.worker)) or (
            now - mine.since > self.lost_s
        )

    def _again(self, mine: _Open, reason: str) -> None:
        """Queue a training for another worker, which goes on from the last checkpoint."""
        before = mine.entry
        self.queue.settle(before)
        deaths = before.job.deaths
        if before.beat[1] is not None:
            deaths = 0
        elif reason != STOPPED:
            deaths += 1
        if deaths >= LIVES:
            told = reason or "its worker ended"
            failed = (
                f"{LIVES} workers ended in it; the last: {told}: if memory was short, "
                "give workers more"
            )
            mine.entry = dataclasses.replace(before, failed=failed)
            return
        mine.entry = self._put(dataclasses.replace(before.job, deaths=deaths), mine.point)

    def _put(self, job: Job, point: DesignPoint) -> Entry:
        return self.queue.put(job, point.name or point.summary)

    def _job(self, point: DesignPoint, until: int) -> Job:
        return Job(
            key=point.key,
            design=point.to_dict(),
            until=until,
            code=self.code,
            data_key=self.training.features.key,
            recipe_key=self.training.recipe.key,
            seed=self.training.seed,
        )
