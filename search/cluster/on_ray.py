"""Trainers on a Ray cluster: a training is a task, and goes on elsewhere when its node dies.

Ray places tasks by what they need; what was trained is in the artifacts after each epoch, so a task
that is started again goes on from there. A node needs this program, the data and the artifacts.
"""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse.design.point import DesignPoint
from dse.errors import InvalidInput, InvalidStudy, TrainingFailed
from dse.speech.task import FeatureSpec, Task
from dse.studies.folder import DESIGNS
from dse.training.history import TrainingResult, read_history
from dse.training.job import Training
from dse.training.recipe import Recipe
from search.cluster.artifacts import Artifacts, open_artifacts
from search.cluster.publication import read_point
from search.cluster.remote import LIVES
from search.cluster.versions import code_version
from search.workers import Watch

if TYPE_CHECKING:
    from dse.speech.features import SpeechFeatures

WATCH_S = 2.0
"""The histories of running trainings are looked at so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Which cluster, and what a training needs of it."""

    address: str | None = None
    """Of the cluster, as `ray.init` takes it; None starts one on this machine, or takes that of
    `RAY_ADDRESS`."""
    cpus: float = 1.0
    """Cores that a training gets; as many threads, at least one."""
    gpus: float = 0.0
    artifacts: str = ""
    """Folder or URL that all nodes see; the study's own folder where it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """What a task is told besides its design."""

    data_folder: Path
    cache: Path | None
    task: Task
    features: FeatureSpec
    recipe: Recipe
    seed: int
    device: str
    data_key: str
    code: str
    artifacts: str
    threads: int


@contextmanager
def connected(options: RayOptions) -> Iterator[None]:
    """Be connected to the cluster.

    Raises:
        InvalidInput: Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError:
        raise InvalidInput("--engine ray needs Ray: pip install 'ternary-dse[ray]'") from None
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidInput(
            f"the Ray cluster at {options.address or 'this machine'} does not answer ({reason}): "
            "start it with `ray start --head`, or correct --ray-address"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def slots(options: RayOptions) -> int:
    """Trainings that the cluster has room for at a time.

    Raises:
        InvalidInput: none.
    """
    import ray

    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    fitting = [there.get(name, 0.0) / need for name, need in _needs(options).items() if need]
    count = int(min(fitting, default=1.0))
    if count < 1:
        raise InvalidInput(
            f"the Ray cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, "
            f"too few for one training of {options.cpus:g} and {options.gpus:g}: lower "
            "--cpus-per-trial or --gpus-per-trial, or add nodes"
        )
    return count


def _needs(options: RayOptions) -> dict[str, float]:
    return {"CPU": options.cpus, "GPU": options.gpus}


@dataclass(slots=True)
class _Open:
    """A training that was started."""

    point: DesignPoint
    until: int
    reference: Any
    epochs: int = 0
    """The last one that was watched."""
    deaths: int = 0
    """One after the other, without an epoch."""
    epochs_at_death: int = 0


class RayTrainers:
    """Trains several designs at a time, as tasks of a Ray cluster."""

    def __init__(
        self,
        options: RayOptions,
        training: Training,
        data_folder: Path,
        cache: Path | None,
        artifacts: Artifacts,
        count: int,
        watch: Watch,
    ) -> None:
        import ray

        self.ray = ray
        self.window = count + 1 if count > 1 else 1
        self.training = training
        self.artifacts = artifacts
        self.watch = watch
        self.settings = _Settings(
            data_folder=data_folder.resolve(),
            cache=cache,
            task=training.features.task,
            features=training.features.spec,
            recipe=training.recipe,
            seed=training.seed,
            device=training.device,
            data_key=training.features.key,
            code=code_version(),
            artifacts=artifacts.root,
            threads=max(1, int(options.cpus)),
        )
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
        self.open: dict[str, _Open] = {}

    def start(self, point: DesignPoint, until: int) -> None:
        """Submit a design."""
        self.open[point.key] = _Open(point, until, self._submit(point, until))

    def finish(self, point: DesignPoint) -> TrainingResult:
        """Wait until a design is trained, and fetch what was written."""
        mine = self.open[point.key]
        while True:
            done, _ = self.ray.wait([mine.reference], timeout=WATCH_S)
            for other in self.open.values():
                self._watch(other)
            if done and (outcome := self._outcome(mine)) is not None:
                break
        del self.open[point.key]
        folder = self.training.designs / point.key
        self.artifacts.pull(point.key, folder)
        if "failed" in outcome:
            raise TrainingFailed(outcome["failed"])
        return TrainingResult(**outcome["result"], history=read_history(folder))

    def cancel(self) -> None:
        """End what runs; it goes on from its last epoch when it is started again."""
        for mine in self.open.values():
            self.ray.cancel(mine.reference, force=True)

    def _submit(self, point: DesignPoint, until: int) -> Any:
        return self.task.remote(self.settings, point.to_dict(), until)

    def _outcome(self, mine: _Open) -> dict[str, Any] | None:
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
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        else:
            if "refused" in outcome:
                raise InvalidStudy(outcome["refused"])
            if "stopped" not in outcome:
                return outcome
            reason = outcome["stopped"]
        self._watch(mine)
        mine.deaths = 1 if mine.epochs > mine.epochs_at_death else mine.deaths + 1
        mine.epochs_at_death = mine.epochs
        if mine.deaths >= LIVES:
            return {
                "failed": f"{LIVES} tasks ended in it; the last: {reason}: if memory was "
                "short, give trainings more"
            }
        mine.reference = self._submit(mine.point, mine.until)
        return None

    def _watch(self, mine: _Open) -> None:
        for record in self.artifacts.history(mine.point.key)[mine.epochs :]:
            mine.epochs = record.epoch
            self.watch(mine.point, record)


def train_task(settings: _Settings, design: dict[str, Any], until: int) -> dict[str, Any]:
    """Train a design on some node.

    Returns:
        `result`, or why there is none: `failed` is the design's fault, `stopped` the node's,
        `refused` says that the node would train something else.
    """
    if settings.code != code_version():
        return {
            "refused": f"this search is ternary-dse {settings.code}, and a node of the Ray "
            f"cluster has {code_version()}: install the same version there"
        }
    from dse.training.devices import set_threads  # loads torch

    set_threads(settings.threads)
    point = read_point(design)
    store = open_artifacts(settings.artifacts)
    work = Path(tempfile.mkdtemp(prefix="dse-ray-"))
    try:
        features = _features(settings.data_folder, settings.task, settings.features, settings.cache)
        if features.key != settings.data_key:
            return {
                "refused": f"the study is searched on data {settings.data_key} (key of its "
                f"features), and {settings.data_folder} of a node of the Ray "
                f"cluster gives {features.key}: copy the study's folder there"
            }
        folder = work / DESIGNS / point.key
        store.pull(point.key, folder)
        training = Training(
            features=features,
            recipe=settings.recipe,
            seed=settings.seed,
            device=settings.device,
            designs=work / DESIGNS,
        )
        result = training.train(point, lambda _: store.push(point.key, folder), until)
        store.push(point.key, folder)
    except TrainingFailed as error:
        return {"failed": str(error)}
    except (OSError, ValueError) as error:
        return {"stopped": (str(error).strip().splitlines() or [type(error).__name__])[0]}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    plain = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {"result": {name: value for name, value in plain.items() if name != "history"}}


@lru_cache(maxsize=2)
def _features(folder: Path, task: Task, spec: FeatureSpec, cache: Path | None) -> "SpeechFeatures":
    """A node's process keeps them for its next task."""
    from dse.speech.features import load_features

    return load_features(folder, task, spec, cache=cache)
