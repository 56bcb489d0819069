"""Trainers on a Ray cluster: a training is a task, and goes on elsewhere when its node dies.

    the coordinator                        the cluster
    -----------------------------          -------------------------------------------------
    start(design)  -> a task      ---->    placed where there are so many cores and GPUs
                      board       <----    lines, epochs                 (`search.on_ray.board`)
                                           designs/KEY/ after each epoch (`search.artifacts`)
    finish(design) <- outcome     <----    result, or why there is none  (`search.on_ray.task`)

Ray's own retries are off. A task that has died is submitted again here, where it can be seen
whether it got on: `LIVES` deaths one after the other without an epoch are the design's fault (it
needs more memory than there is, say), and a row like any other. An epoch sets the count back, so a
training on machines that are taken away every hour still ends.
"""

import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dse.design.point import DesignPoint
from dse.errors import InvalidInput, InvalidStudy, TrainingFailed
from dse.files import inside
from dse.speech.sentences import SentenceFeatures
from dse.studies.cluster_state import (
    LOG,
    ClusterState,
    NodeState,
    TaskState,
    write_cluster_state,
)
from dse.studies.folder import DESIGN, DESIGNS
from dse.training.history import TrainingResult, read_history
from dse.training.job import Training
from search.artifacts import Artifacts
from search.on_ray.cluster import RayOptions, Wanted, alive_nodes, first_line, room, room_of
from search.on_ray.task import Settings, train_task
from search.workers import Watch

LOOK_S = 1.0
"""The board, and the nodes, are looked at so often."""

NODE_LABEL = "ray.io/node-id"
"""Label that Ray gives each node, of its id."""

LIVES = 3
"""A training whose tasks die so often, one after the other and without an epoch, has failed."""


@dataclass(slots=True)
class OpenTask:
    """A training that was started and has not been fetched."""

    point: DesignPoint
    until: int
    reference: Any = None
    host: str = ""
    node: str = ""
    """Where it runs: the name of the machine, and its id in the cluster; empty while it waits."""
    epochs: int = 0
    """The last one that was watched."""
    deaths: int = 0
    """One after the other, without an epoch."""
    epochs_at_death: int = 0
    restarts: int = 0
    outcome: dict[str, Any] | None = None
    """What came out (`search.on_ray.task`); it stays until the design's turn comes."""


class RayTrainers:
    """Trains several designs at a time, as tasks of a Ray cluster."""

    def __init__(
        self,
        options: RayOptions,
        wanted: Wanted,
        training: Training,
        data_folder: Path,
        cache: Path | None,
        artifacts: Artifacts,
        board: Any,
        folder: Path,
        watch: Watch,
    ) -> None:
        """Put the features where tasks find them; nothing runs yet.

        Args:
            options: the cluster, and what a training needs of it.
            wanted: what a node must have.
            training: of the study.
            data_folder: of the study, for nodes that make the features themselves.
            cache: likewise.
            artifacts: the study's place.
            board: the study's.
            folder: of the study on this machine.
            watch: told of each epoch.
        """
        import ray

        self.ray, self.options, self.board = ray, options, board
        self.training, self.artifacts, self.folder, self.watch = training, artifacts, folder, watch
        self.settings = Settings(
            wanted=wanted,
            data_folder=data_folder.resolve(),
            cache=cache,
            task=training.features.task,
            features=training.features.spec,
            data_key=training.features.key,
            recipe=training.recipe,
            seed=training.seed,
            device=training.device,
            threads=max(1, int(options.cpus)),
        )
        self.shared = None if options.features == "nodes" else ray.put(_in_memory(training))
        # A task that dies is started again here, where it is known whether it got on.
        self.task = ray.remote(
            num_cpus=options.cpus,
            num_gpus=options.gpus,
            max_retries=0,
            runtime_env={
                "env_vars": {
                    "OMP_NUM_THREADS": str(self.settings.threads),
                    "OMP_WAIT_POLICY": "PASSIVE",
                }
            },
        )(train_task)
        self.open: dict[str, OpenTask] = {}
        self.room = options.workers or room(options)
        self.looked_at = 0.0

    @property
    def window(self) -> int:
        """One more than are trained at a time, so that none waits for the coordinator."""
        count = self.options.workers or self.room
        return count + 1 if count > 1 else 1

    def start(self, point: DesignPoint, until: int) -> None:
        """Submit a design; it waits in the cluster until a node has room."""
        name = f"{DESIGNS}/{point.key}/{DESIGN}"
        if self.artifacts.folder is None and (self.folder / name).exists():
            self.artifacts.push_file(name, self.folder / name)
        self.open[point.key] = mine = OpenTask(point, until)
        self.submit_task(mine)

    def finish(
        self, point: DesignPoint, meanwhile: Callable[[], None] = lambda: None
    ) -> TrainingResult:
        """Wait until a design is trained, and fetch what was written."""
        mine = self.open[point.key]
        while mine.outcome is None:
            self.ray.wait([mine.reference], timeout=LOOK_S)
            self._look()
            self._collect()
            meanwhile()
        del self.open[point.key]
        outcome = mine.outcome
        folder = self.training.folder(point.key)
        self.artifacts.pull(point.key, folder)
        if "failed" in outcome:
            raise TrainingFailed(outcome["failed"])
        history = read_history(folder)
        # What a task said last may still be on the board, or have been lost with its node.
        for record in history[mine.epochs :]:
            self.watch(point, record)
        return TrainingResult(**outcome["result"], history=history)

    def cancel(self) -> None:
        """End what runs; it goes on from its last epoch when it is started again."""
        for mine in self.open.values():
            self.ray.cancel(mine.reference, force=True)
        self.open.clear()
        self._show([])

    def submit_task(self, mine: OpenTask, avoid: str = "") -> None:
        """Hand a training to the cluster.

        Args:
            mine: it; where it will run is not known yet.
            avoid: id of a node that could not do it, where there are others.
        """
        mine.host = mine.node = ""
        fit = [
            node for node in alive_nodes() if room_of(node, self.options.cpus, self.options.gpus)
        ]
        elsewhere = avoid and any(node.id != avoid for node in fit)
        task = self.task
        if elsewhere:
            task = task.options(label_selector={NODE_LABEL: f"!{avoid}"})
        design = mine.point.to_dict()
        mine.reference = task.remote(self.settings, self.shared, self.board, design, mine.until)

    def _collect(self) -> None:
        """Take in what has ended, and start again what has died, whoever is waited for."""
        running = {mine.reference: mine for mine in self.open.values() if mine.outcome is None}
        ended, _ = self.ray.wait(list(running), num_returns=len(running), timeout=0)
        for reference in ended:
            running[reference].outcome = self._outcome(running[reference])

    def _outcome(self, mine: OpenTask) -> dict[str, Any] | None:
        """What a task came to; None where it died, and was started again."""
        exceptions = self.ray.exceptions
        try:
            outcome: dict[str, Any] = self.ray.get(mine.reference)
        except (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.LocalRayletDiedError,
            exceptions.ObjectLostError,
            exceptions.RuntimeEnvSetupError,
        ) as error:
            reason = first_line(error)
        else:
            if "refused" in outcome:
                raise InvalidStudy(outcome["refused"])
            if "stopped" not in outcome:
                return outcome
            # A disk that is full, say: the node would do no better the next time.
            return self.start_again(mine, outcome["stopped"], avoid=outcome["node"])
        return self.start_again(mine, reason)

    def start_again(self, mine: OpenTask, reason: str, avoid: str = "") -> dict[str, Any] | None:
        """Submit a training whose task has died, or say that the design has failed."""
        # What it had told before it died may be lost with its node; what it has kept is not.
        for record in self.artifacts.history(mine.point.key)[mine.epochs :]:
            mine.epochs = record.epoch
            self.watch(mine.point, record)
        mine.deaths = 1 if mine.epochs > mine.epochs_at_death else mine.deaths + 1
        mine.epochs_at_death = mine.epochs
        self._log(mine.point.key, mine.host, f"died after epoch {mine.epochs}: {reason}")
        if mine.deaths >= LIVES:
            return {
                "failed": f"{LIVES} tasks ended in it; the last: {reason}: if memory was "
                "short, give trainings more"
            }
        mine.restarts += 1
        self.submit_task(mine, avoid)
        return None

    def _look(self) -> None:
        """Take in what the tasks say; see which nodes there are, and tell those who watch."""
        now = time.monotonic()
        if now - self.looked_at < LOOK_S:
            return
        self.looked_at = now
        for message in self._messages():
            mine = self.open.get(message.key)
            self._log(message.key, message.host, message.text)
            if mine is None:
                continue
            mine.host, mine.node = message.host, message.node
            # A task that was taken for dead may still speak: each epoch is told once.
            if message.record is not None and message.record.epoch > mine.epochs:
                mine.epochs = message.record.epoch
                self.watch(mine.point, message.record)
        try:
            self.room = room(self.options)
        except InvalidInput:
            logging.getLogger(__name__).debug("no node has room")  # they may come back
        self._show([mine for mine in self.open.values() if mine.outcome is None])

    def _messages(self) -> list[Any]:
        try:
            messages: list[Any] = self.ray.get(self.board.fetch.remote(), timeout=5)
        except (self.ray.exceptions.RayActorError, self.ray.exceptions.GetTimeoutError):
            return []
        return messages

    def _log(self, key: str, host: str, text: str) -> None:
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        with inside(self.folder, LOG).open("a", encoding="utf-8") as file:
            file.writelines(f"{at} {host or '-'} {key} {line}\n" for line in text.splitlines())

    def _show(self, tasks: list[OpenTask]) -> None:
        nodes = tuple(
            NodeState(
                host=node.host,
                cpus=node.cpus,
                gpus=node.gpus,
                tasks=sum(mine.node == node.id for mine in tasks),
            )
            for node in alive_nodes()
        )
        states = tuple(
            TaskState(
                design=mine.point.name or mine.point.summary,
                key=mine.point.key,
                host=mine.host,
                epoch=mine.epochs,
                until=mine.until,
                restarts=mine.restarts,
            )
            for mine in tasks
        )
        state = ClusterState(written_at=time.time(), room=self.room, nodes=nodes, tasks=states)
        write_cluster_state(self.folder, state)


def _in_memory(training: Training) -> Any:
    """The features with plain arrays in place of files: those Ray's store shares without copies.

    `ndarray` gives its memory to pickle as a buffer of its own, which the store keeps and all
    processes of a node map; a `memmap` would be copied into the pickle, and out of it in each task.
    """
    features = training.features
    mapped = "frames" if isinstance(features, SentenceFeatures) else "features"
    plain = {
        name: dataclasses.replace(split, **{mapped: np.asarray(getattr(split, mapped))})
        for name in ("training", "validation", "testing")
        for split in [getattr(features, name)]
    }
    if not isinstance(features, SentenceFeatures) and features.recordings:
        plain["recordings"] = {
            split: dataclasses.replace(each, columns=np.asarray(each.columns))
            for split, each in features.recordings.items()
        }
    return dataclasses.replace(features, **plain)
