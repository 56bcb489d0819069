"""Train one design, and tell how well it does.

The same design, data, recipe, seed, machine and number of threads give the same numbers. All random
numbers of an epoch follow from (seed, epoch) alone, so a training that was interrupted and resumed
ends bit for bit where an undisturbed one does, and no generator states need to be kept.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dse.augmentation import augment
from dse.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dse.errors import InvalidCheckpoint, InvalidData, InvalidDesign, TrainingFailed, require
from dse.features import FeatureSplit, SpeechFeatures
from dse.history import EpochRecord, best_record, write_history
from dse.network import SpeechNetwork, build_network
from dse.optimisers import make_optimiser
from dse.pictures import normalise
from dse.point import DesignPoint
from dse.recipe import Recipe
from dse.schedules import learning_rate
from dse.scores import Scores
from dse.task import FeatureSpec, Task

__all__ = [
    "BEST",
    "LAST",
    "EpochRecord",
    "Scores",
    "TrainingResult",
    "check_design",
    "choose_device",
    "describe_device",
    "evaluate",
    "set_threads",
    "train",
]

BEST = "best.pt"
LAST = "last.pt"

EVALUATION_CLIPS = 256
"""Clips of a batch in evaluation."""

CHECK_STEPS = 50
"""The loss is looked at after so many steps: on a GPU, each look waits for it."""

DEVICE_SHARE = 0.5
"""The training pictures move to the GPU if they take at most this share of its free memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What came out of a training."""

    validation_error: float
    """Share of validation clips told wrongly, at the best epoch: chosen as the lowest of all epochs
    and so a little optimistic; the testing split is not."""
    best_epoch: int
    epochs: int
    history: tuple[EpochRecord, ...]
    seconds: float
    """Of all epochs, also those before an interruption."""
    device: str
    note: str = ""
    """What a person should know, such as a damaged checkpoint that was not used."""


def train(
    point: DesignPoint,
    features: SpeechFeatures,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path | None,
    device: str = "auto",
    report: Callable[[EpochRecord], None] | None = None,
    resume: bool = True,
    progress: Callable[[int, int], None] | None = None,
    task: Task | None = None,
    spec: FeatureSpec | None = None,
) -> TrainingResult:
    """Train a design.

    After each epoch `folder` holds last.pt, best.pt (lowest validation error; of equal ones the
    lower loss) and history.csv, each written in one step. A training that is interrupted, also by
    Ctrl-C, goes on from last.pt when it is called again. A damaged last.pt or best.pt is set aside
    in the result's `note`, and the training starts afresh.

    Args:
        point: a design with a pooled head.
        features: its training split is trained on, its validation split decides the best epoch.
        recipe: how.
        seed: 0 or more; of first weights, order of the clips, variants, holes and dropout.
        folder: for checkpoints and history; None keeps nothing.
        device: `auto` (CUDA where there is one, else the CPU) or a name that torch knows.
        report: called after each epoch.
        resume: go on from `folder`, or, if False, start afresh there.
        progress: called after each batch with the batches done and the batches in all.
        task: kept in the checkpoint, for whoever uses the network later.
        spec: likewise.

    Raises:
        InvalidDesign: the design does not fit the features.
        InvalidData: a split has too few clips.
        InvalidCheckpoint: `folder` holds a training of another design, data, recipe or seed.
        TrainingFailed: the loss is no number, or the memory is full.
        OSError: the checkpoint cannot be written.
    """
    require(seed >= 0, "seed", "0 or more", seed)
    check_design(point, features.training.features.shape[2])
    _check_clips(features)
    where = choose_device(device)
    run = _Run(point, features, recipe, seed, folder, where, task, spec)
    with _repeatable(where):
        try:
            run.prepare(resume)
            for epoch in range(len(run.history) + 1, recipe.epochs + 1):
                record = run.train_epoch(epoch, progress)
                run.keep(record)
                if report is not None:
                    report(record)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise TrainingFailed(
                f"out of memory in epoch {len(run.history) + 1} on {where} with batches of "
                f"{recipe.batch_size} clips: lower batch_size"
            ) from None
    best = best_record(run.history)
    return TrainingResult(
        validation_error=best.validation_error,
        best_epoch=best.epoch,
        epochs=len(run.history),
        history=tuple(run.history),
        seconds=sum(record.seconds for record in run.history),
        device=str(where),
        note=run.note,
    )


def evaluate(
    network: nn.Module,
    split: FeatureSplit,
    mean: Tensor | NDArray[np.float32],
    deviation: Tensor | NDArray[np.float32],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = EVALUATION_CLIPS,
) -> Scores:
    """Scores of a network on the clean clips of a split, in float32.

    The network is left in evaluation mode, on `device`.

    Args:
        network: (N, coefficients, frames) -> (N, classes).
        split: raw pictures and labels.
        mean: (coefficients,), of the data that the network was trained on.
        deviation: likewise.
        device: to compute on.
        batch_size: clips at once; does not change the scores beyond rounding.
    """
    network.to(device).eval()
    loss, confusion = 0.0, None
    with torch.inference_mode():
        for start in range(0, len(split.labels), batch_size):
            chosen = slice(start, start + batch_size)
            pictures = torch.from_numpy(np.array(split.features[chosen, 0])).to(device)
            labels = torch.from_numpy(np.array(split.labels[chosen])).to(device)
            scores = network(normalise(pictures, mean, deviation))
            loss += functional.cross_entropy(scores, labels, reduction="sum").item()
            classes = scores.shape[1]
            pairs = torch.bincount(labels * classes + scores.argmax(1), minlength=classes**2)
            counts = pairs.reshape(classes, classes).cpu().numpy()
            confusion = counts if confusion is None else confusion + counts
    if confusion is None:
        raise InvalidData("a split without clips cannot be evaluated")
    return Scores(loss=loss / len(split.labels), confusion=confusion)


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        InvalidField: torch does not know the device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        require(False, "device", "auto, cpu, or a device that this machine has", name)
    return device


def uses_bfloat16(recipe: Recipe, device: torch.device) -> bool:
    """Whether training runs under autocast to bfloat16.

    `auto` does on CUDA, and on CPUs with instructions for it: there a step of MatchboxNet-3x1x64
    takes 0.52 of the time (docs/training.md), where other CPUs need three times as long.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    if device.type == "cpu":
        # Later versions of torch than the oldest that is supported can tell what a CPU has.
        found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return device.type == "cuda"


def describe_device(name: str, recipe: Recipe) -> str:
    """What a recipe computes on and how, such as `cpu, 2 threads, float32`.

    Raises:
        InvalidField: torch does not know the device, or it is not there.
    """
    device = choose_device(name)
    threads = torch.get_num_threads()
    parts = [str(device), "bfloat16" if uses_bfloat16(recipe, device) else "float32"]
    if device.type == "cpu":
        parts.insert(1, f"{threads} thread{'s' if threads > 1 else ''}")
    return ", ".join(parts)


def set_threads(threads: int) -> None:
    """Let torch use so many CPU threads from now on, in the whole process."""
    torch.set_num_threads(threads)


def batch_sizes(clips: int, limit: int) -> list[int]:
    """Sizes of an epoch's batches: as few and as even as `limit` allows, none of a single clip.

    1,823 clips at 64 are 29 batches of 62 and 63. Only three clips at a limit of two would leave
    one alone; they make one batch of three.
    """
    count = max(1, min(math.ceil(clips / limit), clips // 2))
    return [len(part) for part in np.array_split(np.empty(clips), count)]


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Weight of each class, clips / (classes * clips of the class): 1 on average over the clips."""
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / (classes * np.maximum(counts, 1))).float()


class _Run:
    """One training: its network and optimiser, which move, and its history."""

    def __init__(
        self,
        point: DesignPoint,
        features: SpeechFeatures,
        recipe: Recipe,
        seed: int,
        folder: Path | None,
        device: torch.device,
        task: Task | None,
        spec: FeatureSpec | None,
    ) -> None:
        self.point = point
        self.features = features
        self.recipe = recipe
        self.seed = seed
        self.folder = folder
        self.device = device
        self.task = task
        self.spec = spec
        self.history: list[EpochRecord] = []
        self.note = ""
        self.sizes = batch_sizes(len(features.training.labels), recipe.batch_size)

    def prepare(self, resume: bool) -> None:
        """Build network and optimiser, from the last checkpoint where there is one."""
        found = self._find_checkpoint() if resume else None
        self._seed(epoch=0)
        self.network: SpeechNetwork = build_network(self.point, len(self.features.classes))
        self.network.to(self.device)
        self.optimiser = make_optimiser(self.network.parameters(), self.recipe)
        self.pictures = self._training_pictures()
        self.mean = torch.from_numpy(self.features.mean).to(self.device)
        self.deviation = torch.from_numpy(self.features.deviation).to(self.device)
        self.weights = (
            class_weights(self.features.training.labels, len(self.features.classes)).to(self.device)
            if self.recipe.class_weights == "balanced"
            else None
        )
        if found is not None:
            assert found.optimiser is not None and self.folder is not None
            self.network.load_state_dict(found.network)
            self.optimiser.load_state_dict(found.optimiser)
            self.history = list(found.history)
            write_history(self.folder, self.history)  # a kill may have come before it
        elif self.folder is not None:
            # Otherwise a kill in the first epoch would leave the old training to be resumed.
            (self.folder / LAST).unlink(missing_ok=True)

    def _find_checkpoint(self) -> Checkpoint | None:
        if self.folder is None or not (self.folder / LAST).exists():
            return None
        path = self.folder / LAST
        try:
            last = load_checkpoint(path)
            if last.optimiser is None:
                raise InvalidCheckpoint(f"{path} lacks the state of the optimiser")
            best = load_checkpoint(self.folder / BEST)
        except InvalidCheckpoint as error:
            what = str(error).split(":")[0]  # without the remedy: it is applied here
            self.note = f"{what}; the training started afresh"
            return None
        _check_same(last, path, self.point, self.features, self.recipe, self.seed)
        # best.pt is written first: it may be of the epoch that was not finished, never older.
        if best.epoch < best_record(last.history).epoch or best.seed != self.seed:
            self.note = f"{self.folder / BEST} is of another training; the training started afresh"
            return None
        return last

    def _training_pictures(self) -> Tensor | NDArray[np.float16]:
        """On a GPU the pictures live in its memory where they fit, else they come from the map.

        On the CPU they are always read from the map: the system keeps its pages in memory while
        there is room, once for all processes that train on them. A batch of 128 takes about 1 ms.
        """
        stored = self.features.training.features
        if self.device.type == "cuda":
            free_bytes, _ = torch.cuda.mem_get_info(self.device)
            if stored.nbytes <= DEVICE_SHARE * free_bytes:
                return torch.from_numpy(np.array(stored)).to(self.device)
        return stored

    def _seed(self, epoch: int) -> torch.Generator:
        """Seed torch for an epoch; returns a generator on the CPU of the same origin."""
        state = np.random.SeedSequence((self.seed, epoch)).generate_state(2, np.uint64)
        # torch's seeds are signed.
        torch.manual_seed(int(state[0] >> np.uint64(1)))
        return torch.Generator().manual_seed(int(state[1] >> np.uint64(1)))

    def train_epoch(self, epoch: int, progress: Callable[[int, int], None] | None) -> EpochRecord:
        """Train for one epoch, then validate."""
        started = time.perf_counter()
        self.network.train()
        steps = len(self.sizes) * self.recipe.epochs
        first_step = len(self.sizes) * (epoch - 1)
        clips = len(self.features.training.labels)
        loss_sum = torch.zeros((), device=self.device)
        errors = torch.zeros((), dtype=torch.int64, device=self.device)
        rate = 0.0
        for index, (pictures, labels) in enumerate(self._batches(epoch)):
            rate = learning_rate(self.recipe, first_step + index, steps)
            loss, scores = self._step(pictures, labels, rate)
            loss_sum += loss * len(labels)
            errors += (scores.argmax(1) != labels).sum()
            if index % CHECK_STEPS == CHECK_STEPS - 1:
                self._check_loss(loss_sum.item(), "training", epoch, rate)
            if progress is not None:
                progress(first_step + index + 1, steps)
        self._check_loss(loss_sum.item(), "training", epoch, rate)
        scored = evaluate(
            self.network,
            self.features.validation,
            self.mean,
            self.deviation,
            device=self.device,
        )
        self._check_loss(scored.loss, "validation", epoch, rate)
        return EpochRecord(
            epoch=epoch,
            learning_rate=rate,
            training_loss=loss_sum.item() / clips,
            training_error=errors.item() / clips,
            validation_loss=scored.loss,
            validation_error=scored.error,
            seconds=time.perf_counter() - started,
        )

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised, augmented pictures and labels, every clip once."""
        generator = self._seed(epoch)
        split = self.features.training
        settings = self.recipe.augmentation
        clips, variants = split.features.shape[:2]
        order = torch.randperm(clips, generator=generator)
        variant = (
            torch.randint(variants, (clips,), generator=generator)
            if settings.varied
            else torch.zeros(clips, dtype=torch.int64)
        )
        holes = torch.Generator(self.device)
        holes.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        for chosen in torch.split(order, self.sizes):
            labels = torch.from_numpy(split.labels[chosen.numpy()]).to(self.device)
            pictures = self._take(chosen, variant[chosen])
            pictures = normalise(pictures, self.mean, self.deviation)
            yield augment(pictures, settings, holes), labels

    def _take(self, clips: Tensor, variants: Tensor) -> Tensor:
        if isinstance(self.pictures, Tensor):
            return self.pictures[clips.to(self.device), variants.to(self.device)]
        return torch.from_numpy(self.pictures[clips.numpy(), variants.numpy()]).to(self.device)

    def _step(self, pictures: Tensor, labels: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """One step of the optimiser; returns the loss and the scores, without their gradients."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        bfloat16 = uses_bfloat16(self.recipe, self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            scores = self.network(pictures)
        loss = functional.cross_entropy(
            scores.float(),
            labels,
            weight=self.weights,
            label_smoothing=self.recipe.label_smoothing,
        )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimiser.step()
        return loss.detach(), scores.detach()

    def _check_loss(self, loss: float, split: str, epoch: int, rate: float) -> None:
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"the {split} loss is {loss} in epoch {epoch} at learning rate {rate:.3g}: "
                "lower learning_rate, or set gradient_clip"
            )

    def keep(self, record: EpochRecord) -> None:
        """Add the epoch to the history, and write the folder's files."""
        self.history.append(record)
        if self.folder is None:
            return
        if best_record(self.history) is record:
            save_checkpoint(self._checkpoint(None), self.folder / BEST)
        save_checkpoint(self._checkpoint(self.optimiser.state_dict()), self.folder / LAST)
        write_history(self.folder, self.history)

    def _checkpoint(self, optimiser: dict[str, object] | None) -> Checkpoint:
        return Checkpoint(
            point=self.point,
            classes=self.features.classes,
            data_key=self.features.key,
            task=self.task,
            features=self.spec,
            mean=self.mean.cpu(),
            deviation=self.deviation.cpu(),
            recipe=self.recipe,
            seed=self.seed,
            history=tuple(self.history),
            network=self.network.state_dict(),
            optimiser=optimiser,
        )


def check_design(point: DesignPoint, coefficients: int) -> None:
    """Refuse a design that cannot be trained on pictures of so many rows.

    Raises:
        InvalidDesign: another number of features per frame, or a head that is not pooled.
    """
    if point.in_channels != coefficients:
        raise InvalidDesign(
            f"design {point.label} takes {point.in_channels} features per frame, and the data has "
            f"{coefficients}: set in_channels of the design, or coefficients of the features"
        )
    if point.head != "pooled":
        raise InvalidDesign(
            f"design {point.label} has a {point.head} head, which gives scores at every frame: "
            "set head to pooled to tell words apart"
        )


def _check_clips(features: SpeechFeatures) -> None:
    if len(features.training.labels) < 2:
        raise InvalidData("the training split needs at least two clips: add more")
    if len(features.validation.labels) < 1:
        raise InvalidData("the validation split needs at least one clip: add some")


def _check_same(
    found: Checkpoint,
    path: Path,
    point: DesignPoint,
    features: SpeechFeatures,
    recipe: Recipe,
    seed: int,
) -> None:
    """Refuse to go on from a checkpoint of another training."""
    before, now = found.recipe.to_dict(), recipe.to_dict()
    settings = [(f"recipe with {name}", before[name], now[name]) for name in now]
    for what, old, new in (
        ("design", found.point.key, point.key),
        ("data", found.data_key, features.key),
        ("classes", ", ".join(found.classes), ", ".join(features.classes)),
        ("seed", found.seed, seed),
        *settings,
    ):
        if old != new:
            raise InvalidCheckpoint(
                f"{path} is of {what} {old}, and this training of {what} {new}: choose another "
                "folder, or start afresh (--fresh)"
            )


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers alone, and let cuDNN choose repeatable algorithms."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on the CPU torch says so with a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        "can't allocate memory" in str(error)
    )
