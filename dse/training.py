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
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dse.allocation import give_back_freed_memory
from dse.batches import Batches, class_weights
from dse.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dse.devices import (
    Computation,
    choose_computation,
    choose_device,
    is_out_of_memory,
)
from dse.devices import Path as ComputationPath
from dse.errors import InvalidCheckpoint, InvalidData, InvalidDesign, TrainingFailed, require
from dse.fast import fast_scores
from dse.features import FeatureSplit, SpeechFeatures
from dse.history import EpochRecord, best_record, write_history
from dse.network import SpeechNetwork, build_network
from dse.optimisers import make_optimiser
from dse.pictures import normalise
from dse.point import DesignPoint
from dse.recipe import Recipe
from dse.schedules import learning_rate
from dse.scores import Scores
from dse.steps import Steps
from dse.task import FeatureSpec, Task

__all__ = [
    "BEST",
    "LAST",
    "EpochRecord",
    "Scores",
    "TrainingResult",
    "check_design",
    "evaluate",
    "train",
]

BEST = "best.pt"
LAST = "last.pt"

EVALUATION_CLIPS = 256
"""Clips of a batch in evaluation."""

CHECK_STEPS = 50
"""The loss is looked at after so many steps: on a GPU, each look waits for it."""


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
    computed: str
    """How, such as `cpu, 1 thread, float32, fast path`."""
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
    path: ComputationPath = "auto",
    until: int | None = None,
) -> TrainingResult:
    """Train a design.

    After each epoch `folder` holds last.pt, best.pt (lowest validation error; of equal ones the
    lower loss) and history.csv, each written in one step. A training that is interrupted, also by
    Ctrl-C, goes on from last.pt when it is called again. A damaged last.pt or best.pt is set aside
    in the result's `note`, and the training starts afresh. Where memory is too short for a batch,
    it is computed in parts whose gradients are added up, and the `note` says so.

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
        path: `dse.devices.choose_computation` says what `auto` is.
        until: stop after so many epochs of the recipe, ready to go on; the learning rate is that of
            the whole recipe. All of them where it is None.

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
    computation = choose_computation(recipe, choose_device(device), path)
    run = _Run(point, features, recipe, seed, folder, computation, task, spec)
    with _repeatable(computation.device), _memory_errors(run):
        run.prepare(resume)
        for epoch in range(len(run.history) + 1, min(until or recipe.epochs, recipe.epochs) + 1):
            record = run.train_epoch(epoch, progress)
            run.keep(record)
            if report is not None:
                report(record)
    return run.result()


def evaluate(
    network: nn.Module,
    split: FeatureSplit,
    mean: Tensor | NDArray[np.float32],
    deviation: Tensor | NDArray[np.float32],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = EVALUATION_CLIPS,
    fast: bool = False,
) -> Scores:
    """Scores of a network on the clean clips of a split, in float32.

    The network is left in evaluation mode, on `device`.

    Args:
        network: (N, coefficients, frames) -> (N, classes).
        split: raw pictures and labels.
        mean: (coefficients,), of the data that the network was trained on.
        deviation: likewise.
        device: to compute on.
        batch_size: clips at once, fewer where memory runs out; does not change the scores beyond
            rounding.
        fast: by `dse.fast`, for networks of `dse.network`; the same but for rounding.
    """
    network.to(device).eval()
    scores_of: Callable[[Tensor], Tensor] = network
    if fast:
        assert isinstance(network, SpeechNetwork)
        scores_of = partial(fast_scores, network)
    loss, confusion, start = 0.0, None, 0
    with torch.inference_mode():
        while start < len(split.labels):
            chosen = slice(start, start + batch_size)
            try:
                summed, counts = _scored(scores_of, split, chosen, mean, deviation, device)
            except (MemoryError, RuntimeError) as error:
                if batch_size == 1 or not is_out_of_memory(error):
                    raise
                give_back_freed_memory()
                batch_size //= 2  # a clip's scores do not depend on the others
                continue
            loss += summed
            confusion = counts if confusion is None else confusion + counts
            start += batch_size
    if confusion is None:
        raise InvalidData("a split without clips cannot be evaluated")
    return Scores(loss=loss / len(split.labels), confusion=confusion)


def _scored(
    scores_of: Callable[[Tensor], Tensor],
    split: FeatureSplit,
    chosen: slice,
    mean: Tensor | NDArray[np.float32],
    deviation: Tensor | NDArray[np.float32],
    device: torch.device | str,
) -> tuple[float, NDArray[np.int64]]:
    """Summed loss and confusion matrix of some clips."""
    pictures = torch.from_numpy(np.array(split.features[chosen, 0])).to(device)
    labels = torch.from_numpy(np.array(split.labels[chosen])).to(device)
    scores = scores_of(normalise(pictures, mean, deviation))
    classes = scores.shape[1]
    pairs = torch.bincount(labels * classes + scores.argmax(1), minlength=classes**2)
    loss = functional.cross_entropy(scores, labels, reduction="sum").item()
    return loss, pairs.reshape(classes, classes).cpu().numpy()


class _Run:
    """One training: its network and optimiser, which move, and its history."""

    def __init__(
        self,
        point: DesignPoint,
        features: SpeechFeatures,
        recipe: Recipe,
        seed: int,
        folder: Path | None,
        computation: Computation,
        task: Task | None,
        spec: FeatureSpec | None,
    ) -> None:
        self.point = point
        self.features = features
        self.recipe = recipe
        self.seed = seed
        self.folder = folder
        self.computation = computation
        self.device = computation.device
        self.task = task
        self.spec = spec
        self.history: list[EpochRecord] = []
        self.notes: list[str] = []
        self.batches = Batches(features, recipe.augmentation, recipe.batch_size, self.device)

    def prepare(self, resume: bool) -> None:
        """Build network and optimiser, from the last checkpoint where there is one."""
        found = self._find_checkpoint() if resume else None
        self._seed(epoch=0)
        self.network: SpeechNetwork = build_network(self.point, len(self.features.classes))
        self.network.to(self.device)
        self.optimiser = make_optimiser(self.network.parameters(), self.recipe)
        weights = (
            class_weights(self.features.training.labels, len(self.features.classes)).to(self.device)
            if self.recipe.class_weights == "balanced"
            else None
        )
        self.steps = Steps(self.network, self.optimiser, self.recipe, self.computation, weights)
        if found is not None:
            assert found.optimiser is not None and self.folder is not None
            self.network.load_state_dict(found.network)
            self.optimiser.load_state_dict(found.optimiser)
            self.history = list(found.history)
            if found.computed and found.computed != self.computation.label:
                self.notes.append(
                    f"epochs 1 to {found.epoch} were computed on {found.computed}; from there on "
                    f"{self.computation.label}"
                )
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
            self.notes.append(f"{what}; the training started afresh")
            return None
        _check_same(last, path, self.point, self.features, self.recipe, self.seed)
        # best.pt is written first: it may be of the epoch that was not finished, never older.
        if best.epoch < best_record(last.history).epoch or best.seed != self.seed:
            self.notes.append(
                f"{self.folder / BEST} is of another training; the training started afresh"
            )
            return None
        return last

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
        loss, error, rate = self._show_all(epoch, progress)
        scored = evaluate(
            self.network,
            self.features.validation,
            self.batches.mean,
            self.batches.deviation,
            device=self.device,
            fast=self.computation.fast,
        )
        self._check_loss(scored.loss, "validation", epoch, rate)
        return EpochRecord(
            epoch=epoch,
            learning_rate=rate,
            training_loss=loss,
            training_error=error,
            validation_loss=scored.loss,
            validation_error=scored.error,
            seconds=time.perf_counter() - started,
        )

    def _show_all(
        self, epoch: int, progress: Callable[[int, int], None] | None
    ) -> tuple[float, float, float]:
        """A step for each batch; returns mean loss, share of errors and last learning rate."""
        count = len(self.batches.sizes)
        steps, first_step = count * self.recipe.epochs, count * (epoch - 1)
        clips = len(self.features.training.labels)
        loss_sum = torch.zeros((), device=self.device)
        errors = torch.zeros((), dtype=torch.int64, device=self.device)
        rate = 0.0
        parts = self.steps.parts
        for index, (pictures, labels) in enumerate(self.batches.epoch(self._seed(epoch))):
            rate = learning_rate(self.recipe, first_step + index, steps)
            loss, scores = self.steps.step(pictures, labels, rate)
            loss_sum += loss * len(labels)
            errors += (scores.argmax(1) != labels).sum()
            if index % CHECK_STEPS == CHECK_STEPS - 1:
                self._check_loss(loss_sum.item(), "training", epoch, rate)
            if progress is not None:
                progress(first_step + index + 1, steps)
        if self.steps.parts != parts:
            self.notes.append(
                f"out of memory in epoch {epoch}: batches of {max(self.batches.sizes)} clips are "
                f"computed in {self.steps.parts} parts, and batch norm compares the clips of a part"
            )
        self._check_loss(loss_sum.item(), "training", epoch, rate)
        return loss_sum.item() / clips, errors.item() / clips, rate

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
            mean=self.batches.mean.cpu(),
            deviation=self.batches.deviation.cpu(),
            recipe=self.recipe,
            seed=self.seed,
            history=tuple(self.history),
            network=self.network.state_dict(),
            optimiser=optimiser,
            computed=self.computation.label,
        )

    def result(self) -> TrainingResult:
        """What came out, once all epochs are done."""
        best = best_record(self.history)
        return TrainingResult(
            validation_error=best.validation_error,
            best_epoch=best.epoch,
            epochs=len(self.history),
            history=tuple(self.history),
            seconds=sum(record.seconds for record in self.history),
            device=str(self.device),
            computed=self.computation.label,
            note="; ".join(self.notes),
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
    """Leave the caller's random numbers and memory alone; cuDNN chooses repeatable algorithms."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before
            give_back_freed_memory()  # of `dse.steps`


@contextmanager
def _memory_errors(run: _Run) -> Iterator[None]:
    """Say in one sentence that memory ran out where a smaller part of a batch does not help."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingFailed(
            f"out of memory in epoch {len(run.history) + 1} on {run.device} with batches of "
            f"{run.recipe.batch_size} clips: lower batch_size"
        ) from None
