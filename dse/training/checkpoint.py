"""A trained network on disk, with all that is needed to use it or to go on training it.

    network, checkpoint = load_network("trained/best.pt")
    pictures = normalise(raw_pictures, checkpoint.mean, checkpoint.deviation)
    words = [checkpoint.classes[index] for index in network(pictures).argmax(1)]

A file holds tensors, numbers and texts only and is read with `weights_only=True`: a checkpoint from
a stranger cannot run code. Ternary matrices are not in it; they follow from the design's seed.

last.pt holds the optimiser's state as well and serves to go on; best.pt is for use. `mean` and
`deviation` belong to the network as much as its weights: pictures that are normalised by other
numbers, such as those of other data, give other scores without any message.
"""

import io
import json
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cost_models.content import opened
from cost_models.reading import build
from cost_models.strict_yaml import parse_yaml
from dse.design.point import DesignPoint, point_from_node
from dse.errors import InvalidCheckpoint, InvalidFile, InvalidInput
from dse.files import replacing
from dse.networks.network import SpeechNetwork, build_network
from dse.speech.task import FeatureSpec, Task
from dse.speech.transcription import Transcription
from dse.training.history import EpochRecord
from dse.training.recipe import Recipe, recipe_from_node

SCHEMA_VERSION = 1
BLANK = "_blank_"
"""Name of the last output of a task of sentences; longer than a character, so none has it."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network after an epoch, and where it comes from: design, data, recipe and seed.

    These four decide whether a training may go on from it (`dse.training.run`).
    """

    point: DesignPoint
    classes: tuple[str, ...]
    """Names of the outputs; of a task of sentences its characters and `BLANK`."""
    data_key: str
    """`SpeechFeatures.key` of the data that it was trained on."""
    task: Task | Transcription
    """How the classes were drawn, or which characters are written down."""
    features: FeatureSpec
    """How sound became pictures."""
    mean: Tensor
    """(coefficients,), subtracted from the pictures; of sentences 0, as each is normalised by
    itself."""
    deviation: Tensor
    """(coefficients,), the pictures are divided by it; of sentences 1."""
    recipe: Recipe
    seed: int
    history: tuple[EpochRecord, ...]
    """All epochs up to this one."""
    network: dict[str, Tensor]
    """State of the network."""
    computed: str
    """How the last epochs were computed (`dse.training.devices.Computation.label`)."""
    optimiser: dict[str, Any] | None = None
    """State of the optimiser; in `last.pt` only."""

    @property
    def epoch(self) -> int:
        """The last epoch that went into these weights, 1-based."""
        return self.history[-1].epoch


def outputs_of(task: Transcription) -> tuple[str, ...]:
    """Names of the outputs of a task of sentences: its characters, and blank."""
    return (*task.characters, BLANK)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint in one step: a kill or a full disk leaves the old file as it was.

    Args:
        checkpoint: tensors on any device; they are stored with it and read back to the CPU.
        path: replaced if it exists; its folder does.

    Raises:
        OSError: the disk is full, or the folder is gone or may not be written to.
    """
    plain = {
        "schema_version": SCHEMA_VERSION,
        "design": checkpoint.point.to_dict(),
        "classes": list(checkpoint.classes),
        "data_key": checkpoint.data_key,
        "task": checkpoint.task.to_dict(),
        "features": checkpoint.features.to_dict(),
        "mean": checkpoint.mean,
        "deviation": checkpoint.deviation,
        "recipe": checkpoint.recipe.to_dict(),
        "seed": checkpoint.seed,
        "history": [record.to_dict() for record in checkpoint.history],
        "network": checkpoint.network,
        "optimiser": checkpoint.optimiser,
        "computed": checkpoint.computed,
    }
    # Through memory: torch reports a full disk as RuntimeError, a plain write as OSError.
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    with replacing(path, parents=False) as temporary:
        temporary.write_bytes(buffer.getvalue())


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint; its tensors come to the CPU.

    Safe on files of strangers: nothing in them is executed. `load_network` builds the network too.

    Raises:
        InvalidCheckpoint: there is no such file, it is damaged, or of another program or version.
    """
    path = Path(path)
    plain = _read(path)
    if not isinstance(plain, dict) or "schema_version" not in plain:
        raise InvalidCheckpoint(f"{path} was not written by dse: name a best.pt or last.pt")
    if plain["schema_version"] != SCHEMA_VERSION:
        raise InvalidCheckpoint(
            f"{path} has schema_version {plain['schema_version']}, and this program reads "
            f"{SCHEMA_VERSION}: use the program that wrote it"
        )
    try:
        checkpoint = Checkpoint(
            point=point_from_node(_node(plain["design"], path)),
            classes=tuple(plain["classes"]),
            data_key=plain["data_key"],
            task=_task(plain["task"], path),
            features=build(FeatureSpec, _node(plain["features"], path)),
            mean=plain["mean"],
            deviation=plain["deviation"],
            recipe=recipe_from_node(_node(plain["recipe"], path)),
            seed=plain["seed"],
            history=tuple(EpochRecord(**record) for record in plain["history"]),
            network=plain["network"],
            optimiser=plain["optimiser"],
            computed=plain["computed"],
        )
    except (KeyError, TypeError, InvalidInput) as error:
        raise InvalidCheckpoint(f"{path} lacks a part or holds a wrong one: {error}") from None
    wrong = _find_wrong(checkpoint)
    if wrong:
        raise InvalidCheckpoint(
            f"{path} holds {wrong}: remove it and train again, or restore a copy"
        )
    return checkpoint


def _task(plain: Any, path: Path) -> Task | Transcription:
    node = _node(plain, path)
    if isinstance(plain, dict) and plain.get("kind") == "transcription":
        return build(Transcription, node)
    return build(Task, node)


def _find_wrong(checkpoint: Checkpoint) -> str:
    """What no training writes, and what would come out later as scores without meaning."""
    if not checkpoint.history:
        return "no epoch"
    if len(checkpoint.classes) < 1:
        return "no class"
    if isinstance(checkpoint.task, Transcription):
        if checkpoint.point.head != "framewise":
            return "a task of sentences and a head that is not framewise"
        if checkpoint.classes != outputs_of(checkpoint.task):
            return "classes that are not the characters of its task and blank"
    shape = (checkpoint.features.coefficients,)
    for name, tensor in (("mean", checkpoint.mean), ("deviation", checkpoint.deviation)):
        if not isinstance(tensor, Tensor) or tensor.shape != shape:
            return f"a {name} that is not of {shape[0]} coefficients"
    if not isinstance(checkpoint.network, dict):
        return "no network"
    tensors = {"mean": checkpoint.mean, "deviation": checkpoint.deviation, **checkpoint.network}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.is_sparse or tensor.is_nested:
            return f"a '{name}' that is no tensor"
        # Of the storage: a view of one number may claim to have any shape, and to be of any size.
        if tensor.numel() > tensor.untyped_storage().nbytes():
            return f"a '{name}' that is larger than what is stored of it"
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return f"values in '{name}' that are not numbers"
    return ""


def load_network(path: Path | str) -> tuple[SpeechNetwork, Checkpoint]:
    """The trained network of a checkpoint, on the CPU and in evaluation mode.

    Raises:
        InvalidCheckpoint: like `load_checkpoint`; or the weights do not fit the design.
    """
    checkpoint = load_checkpoint(path)
    # The first weights are drawn and thrown away; the caller's random numbers stay as they were.
    with torch.random.fork_rng(devices=[]):
        network = build_network(checkpoint.point, len(checkpoint.classes))
    try:
        network.load_state_dict(checkpoint.network)
    except RuntimeError:
        raise InvalidCheckpoint(
            f"the weights in {path} do not fit its design {checkpoint.point.key}: train it again"
        ) from None
    return network.eval(), checkpoint


def _read(path: Path) -> Any:
    """The plain data of a file; in whatever way torch or zip fail at it, it is damaged."""
    if not path.exists():
        raise InvalidCheckpoint(f"{path} does not exist: name a best.pt or last.pt")
    try:
        with opened(path, "a best.pt or last.pt"):
            pass  # neither a pipe nor a device: torch would wait for them, or read without an end
        with zipfile.ZipFile(path) as archive:
            packed = _is_packed(archive, path)
            # torch does not look at the checksums of the archive: a flipped bit would go unseen.
            damaged = None if packed else archive.testzip()
        if damaged is None and not packed:
            return torch.load(path, map_location="cpu", weights_only=True)
    except InvalidFile as error:
        raise InvalidCheckpoint(str(error)) from None
    except (
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        NotImplementedError,
    ):
        pass
    else:
        if packed:
            raise InvalidCheckpoint(
                f"{path} has packed parts, which dse does not write: name a file that "
                "`dse train` or `dse search` wrote"
            )
    raise InvalidCheckpoint(f"{path} is damaged: remove it and train again, or restore a copy")


def _is_packed(archive: zipfile.ZipFile, path: Path) -> bool:
    """Whether an archive's parts are more than its bytes: torch writes each part as it is, once.

    A stranger's file of a megabyte may unpack to gigabytes of zeros, so this is asked first.
    """
    parts = archive.infolist()
    stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
    return not stored or sum(part.file_size for part in parts) > path.stat().st_size


def _node(plain: Any, path: Path) -> Any:
    """Plain data as the node of a YAML file, so that the readers of such files check it."""
    return parse_yaml(json.dumps(plain), str(path))
