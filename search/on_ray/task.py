"""What a node does for a study: train one design, and keep each epoch where all nodes see it.

A task has nothing of its own. What a task before it has kept is fetched, the training goes on from
there, and after each epoch the design's files are put back: so whatever kills a task, its process
or its node costs at most the epoch in training. Two tasks of one design, when a node was taken for
dead that was not, write the same files, each in one step.
"""

import dataclasses
import shutil
import socket
import tempfile
import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.design.point import DesignPoint, point_from_node
from dse.errors import InvalidInput, TrainingFailed
from dse.speech.task import FeatureSpec
from dse.speech.transcription import SpeechTask
from dse.studies.folder import DESIGNS, design_folder
from dse.training.history import EpochRecord
from dse.training.job import Training
from dse.training.recipe import Recipe
from search.artifacts import open_artifacts
from search.on_ray.board import Teller
from search.on_ray.cluster import Wanted, first_line, unfit

if TYPE_CHECKING:
    from dse.speech.loading import Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all tasks of a study are told."""

    wanted: Wanted
    data_folder: Path
    cache: Path | None
    task: SpeechTask
    features: FeatureSpec
    data_key: str
    recipe: Recipe
    seed: int
    device: str
    threads: int


def train_task(
    settings: Settings,
    features: "Features | None",
    board: Any,
    design: dict[str, Any],
    until: int,
) -> dict[str, Any]:
    """Train a design on some node.

    Args:
        settings: of the study.
        features: mapped from the object store; None where the node makes them itself.
        board: of the study.
        design: as `DesignPoint.to_dict` gives it.
        until: train up to this epoch.

    Returns:
        `result`, or why there is none: `failed` is the design's fault, `stopped` the node's,
        `refused` says that the node would train something else.
    """
    reason = unfit(settings.wanted)
    if reason:
        return {"refused": reason}
    point = read_point(design)
    teller = Teller(board, point.key)
    work = Path(tempfile.mkdtemp(prefix="dse-ray-"))
    try:
        with teller.hearing():
            if features is None:
                features = _features_of_node(settings)
            return _train(settings, features, teller, point, until, work)
    except TrainingFailed as error:
        return {"failed": str(error)}
    except InvalidInput as error:
        return {"refused": f"node {socket.gethostname()}: {error}"}
    except (OSError, ValueError) as error:
        teller.say(traceback.format_exc())
        reason = f"node {socket.gethostname()}: {first_line(error)}"
        return {"stopped": reason, "node": teller.node}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _train(
    settings: Settings,
    features: "Features",
    teller: Teller,
    point: DesignPoint,
    until: int,
    work: Path,
) -> dict[str, Any]:
    from dse.training.devices import set_threads  # loads torch

    set_threads(settings.threads)
    place, folder = open_artifacts(settings.wanted.place), design_folder(work, point.key)
    place.pull(point.key, folder)
    (work / DESIGNS).mkdir(parents=True, exist_ok=True)
    training = Training(
        features=features,
        recipe=settings.recipe,
        seed=settings.seed,
        device=settings.device,
        designs=work / DESIGNS,
    )
    begun = len(place.history(point.key))
    teller.say(f"trains {point.name or point.summary} from epoch {begun + 1} to {until}")

    def keep(record: EpochRecord) -> None:
        place.push(point.key, folder)
        error = f"validation error {100 * record.validation_error:.1f} %"
        teller.say(f"epoch {record.epoch} of {until}: {error}", record)

    result = training.train(point, keep, until)
    place.push(point.key, folder)
    plain = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {"result": {name: value for name, value in plain.items() if name != "history"}}


def read_point(plain: dict[str, Any]) -> DesignPoint:
    """The inverse of `DesignPoint.to_dict`."""
    return point_from_node(parse_yaml(dump_yaml(plain), "the design of a training"))


def _features_of_node(settings: Settings) -> "Features":
    """The features that this node makes of its own copy of the data.

    Raises:
        InvalidInput: there is no data here, or other data.
    """
    found = _load(settings.data_folder, settings.task, settings.features, settings.cache)
    if found.key != settings.data_key:
        raise InvalidInput(
            f"the study is searched on data {settings.data_key} (key of its features), and "
            f"{settings.data_folder} there gives {found.key}: copy the study's data to it, or let "
            "--features store bring them"
        )
    return found


@lru_cache(maxsize=2)
def _load(folder: Path, task: SpeechTask, spec: FeatureSpec, cache: Path | None) -> "Features":
    """A node's process keeps them for its next task."""
    from dse.speech.loading import load_speech

    return load_speech(folder, task, spec, cache=cache)
