"""Train one design, and tell how well it does.

The same design, data, recipe, seed, machine and number of threads give the same numbers. All random
numbers of an epoch follow from (seed, epoch) alone, so a training that was interrupted and resumed
ends bit for bit where an undisturbed one does, and no generator states need to be kept.

    train:  check -> prepare (new, or from last.pt)
            for each epoch:  batches -> steps -> validate -> best.pt, last.pt, history.csv
            score best.pt in floats and in whole numbers -> evaluation.json

    recipe                  all choices, as data
    objective               what differs between words and sentences: loss, errors, what is kept
    batches, length_batches, augmentation   what is shown: order of clips, variants, holes
    steps                   one step, in parts where memory is short
    optimisers, schedules   where a step goes, and how far
    fast/                   scores and gradients in less time
    sampled                 gradients in less memory, where the recipe asks for it
    scoring, sentence_scoring           a network on a split
    checkpoint, history, best_scores, best_sentences    what is kept

The testing split is not touched here: the best epoch is chosen on the validation split, whose error
is a little too good for that reason.
"""

import errno
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from dse.design.places import check_one_dimension
from dse.design.point import DesignPoint
from dse.errors import InvalidCheckpoint, InvalidDesign, InvalidInput, TrainingFailed, require
from dse.networks.network import SpeechNetwork, build_network
from dse.speech.sentences import SentenceFeatures
from dse.speech.task import Task
from dse.speech.transcription import Transcription
from dse.training.allocation import give_back_freed_memory
from dse.training.best_scores import FILE_NAME as BEST_SCORES
from dse.training.best_sentences import HYPOTHESES
from dse.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from dse.training.devices import Computation, choose_computation, choose_device, is_out_of_memory
from dse.training.devices import Path as ComputationPath
from dse.training.history import EpochRecord, TrainingResult, best_record, write_history
from dse.training.objective import Features, check_head, make_objective
from dse.training.optimisers import make_optimiser
from dse.training.recipe import Recipe
from dse.training.schedules import learning_rate
from dse.training.scores import Scores
from dse.training.scoring import evaluate
from dse.training.steps import Steps

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

CHECK_STEPS = 50
"""The loss is looked at after so many steps: on a GPU, each look waits for it."""


def train(
    point: DesignPoint,
    features: Features,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path | None,
    device: str = "auto",
    report: Callable[[EpochRecord], None] | None = None,
    resume: bool = True,
    progress: Callable[[int, int], None] | None = None,
    path: ComputationPath = "auto",
    until: int | None = None,
) -> TrainingResult:
    """Train a design.

    After each epoch `folder` holds last.pt, best.pt (lowest validation error; of equal ones the
    lower loss) and history.csv, and at the end evaluation.json (`dse.training.best_scores`; of
    sentences hypotheses.csv, too, `dse.training.best_sentences`), each written in one step. A
    training that is interrupted, also by Ctrl-C, goes on from last.pt when it is called again. A
    damaged last.pt or best.pt is set aside in the result's `note`, and the training starts afresh.
    Where memory is too short for a batch, it is computed in parts whose gradients are added up, and
    the `note` says so.

    Args:
        point: a design with a pooled head for words, a framewise one for sentences.
        features: of words or of sentences; its training split is trained on, its validation split
            decides the best epoch.
        recipe: how.
        seed: 0 or more; of first weights, order of the clips, variants, holes and dropout.
        folder: for checkpoints and history; None keeps nothing.
        device: `auto` (CUDA where there is one, else the CPU) or a name that torch knows.
        report: called after each epoch.
        resume: go on from `folder`, or, if False, start afresh there.
        progress: called after each batch with the batches done and the batches in all.
        path: `dse.training.devices.choose_computation` says what `auto` is; networks over bins of
            a frame take the plain one.
        until: stop after so many epochs of the recipe, ready to go on; the learning rate is that of
            the whole recipe. All of them where it is None.

    Raises:
        InvalidDesign: the design does not fit the features, or its head not the task.
        InvalidData: a split has too few clips, or no sentence has as many frames as characters.
        InvalidInput: a library that sentences need is not installed, or a task with `wake` is
            trained without a folder.
        InvalidCheckpoint: `folder` holds a training of another design, data, recipe or seed.
        TrainingFailed: the loss is no number, the memory is full, or nothing but blanks is heard
            (`dse.training.objective.Sentences.given_up`).
        OSError: the checkpoint cannot be written.
    """
    require(seed >= 0, "seed", "0 or more", seed)
    check_design(point, _coefficients(features), features.task)
    if folder is None and isinstance(features.task, Task) and features.task.wake is not None:
        raise InvalidInput(
            "the error of a task with wake is that of the best network, which a training without a "
            "folder does not keep: name a folder, or leave wake out of the task"
        )
    if point.has_bins:  # the fast layout has no room for them
        path = "plain"
    computation = choose_computation(recipe, choose_device(device), path)
    run = _Run(point, features, recipe, seed, folder, computation)
    with _repeatable(computation.device), _memory_errors(run):
        run.prepare(resume)
        for epoch in range(len(run.history) + 1, min(until or recipe.epochs, recipe.epochs) + 1):
            run.check_alive()
            record = run.train_epoch(epoch, progress)
            run.keep(record)
            if report is not None:
                report(record)
    with _repeatable(computation.device):
        return run.result()


class _Run:
    """One training: its network and optimiser, which move, and its history.

    Call `prepare`, then `train_epoch` and `keep` for each epoch, then `result`.
    """

    def __init__(
        self,
        point: DesignPoint,
        features: Features,
        recipe: Recipe,
        seed: int,
        folder: Path | None,
        computation: Computation,
    ) -> None:
        self.point = point
        self.features = features
        self.recipe = recipe
        self.seed = seed
        self.folder = folder
        self.computation = computation
        self.device = computation.device
        self.history: list[EpochRecord] = []
        self.objective = make_objective(point, features, recipe, self.device)
        self.notes = [*self.objective.notes, *_masked(recipe, _coefficients(features))]

    def prepare(self, resume: bool) -> None:
        """Build network and optimiser, from the last checkpoint where there is one."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        found = self._find_checkpoint() if resume else None
        # No epoch has this number: first weights have random numbers of their own.
        self._seed(epoch=0)
        self.network: SpeechNetwork = build_network(self.point, len(self.objective.classes))
        self.network.to(self.device)
        self.optimiser = make_optimiser(self.network.parameters(), self.recipe)
        self.steps = Steps(
            self.network, self.optimiser, self.recipe, self.computation, self.objective
        )
        if found is not None:
            assert found.optimiser is not None and self.folder is not None
            self.network.load_state_dict(found.network)
            self.optimiser.load_state_dict(found.optimiser)
            self.history = list(found.history)
            if found.computed != self.computation.label:
                self.notes.append(
                    f"epochs 1 to {found.epoch} were computed on {found.computed}; from there on "
                    f"{self.computation.label}"
                )
            write_history(self.folder, self.history)  # a kill may have come before it
        elif self.folder is not None:
            # Otherwise a kill in the first epoch would leave the old training to be resumed.
            for name in (LAST, BEST_SCORES, HYPOTHESES):
                (self.folder / name).unlink(missing_ok=True)

    def _find_checkpoint(self) -> Checkpoint | None:
        """The folder's last.pt; None where there is nothing (sound) to go on from.

        Damage is repaired by starting afresh, with a note; a sound checkpoint of another design,
        data, recipe or seed is a mistake of the caller, whose work would be lost: that is refused.
        """
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
        classes, key = self.objective.classes, self.features.key
        _check_same(last, path, self.point, classes, key, self.recipe, self.seed)
        # best.pt is written first: it may be of the epoch that was not finished, never older.
        if best.epoch < best_record(last.history).epoch or best.seed != self.seed:
            self.notes.append(
                f"{self.folder / BEST} is of another training; the training started afresh"
            )
            return None
        return last

    def _seed(self, epoch: int) -> torch.Generator:
        """Seed torch for an epoch; returns a generator on the CPU of the same origin.

        torch's global generator serves first weights and dropout, the one returned the order of
        clips, variants and holes. `SeedSequence` hashes the pair, so that (1, 2) and (2, 1), or
        neighbouring seeds, have nothing in common, as sums such as seed + epoch would.
        """
        state = np.random.SeedSequence((self.seed, epoch)).generate_state(2, np.uint64)
        # torch's seeds are signed.
        torch.manual_seed(int(state[0] >> np.uint64(1)))
        return torch.Generator().manual_seed(int(state[1] >> np.uint64(1)))

    def train_epoch(self, epoch: int, progress: Callable[[int, int], None] | None) -> EpochRecord:
        """Train for one epoch, then validate."""
        started = time.perf_counter()
        self.network.train()
        few = self.point.has_few_bits
        self.steps.rounded_of = self.point if few and epoch > self.recipe.float_epochs else None
        loss, error, rate = self._show_all(epoch, progress)
        scored = self.objective.validate(
            self.network, self.computation, self.point if few else None
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
            validation_cer=scored.cer,
            validation_wer=scored.wer,
        )

    def _show_all(
        self, epoch: int, progress: Callable[[int, int], None] | None
    ) -> tuple[float, float, float]:
        """A step for each batch; returns mean loss, share of errors and last learning rate.

        Sums stay on the device, but for a look every `CHECK_STEPS`: reading a number from a GPU
        waits for all that was queued before it. Each batch is scored by the weights before its own
        step, so early in a training loss and error are worse than those at the end of the epoch.
        """
        shown = self.objective.epoch(self._seed(epoch))
        # Batches of sentences are not equally many in each epoch: the rate goes by the share of it.
        steps, first_step = shown.count * self.recipe.epochs, shown.count * (epoch - 1)
        loss_sum = torch.zeros((), device=self.device)
        errors = torch.zeros((), dtype=torch.int64, device=self.device)
        rate = 0.0
        parts = self.steps.parts
        for index, batch in enumerate(shown.batches):
            rate = learning_rate(self.recipe, first_step + index, steps)
            loss, wrong = self.steps.step(batch, rate)
            loss_sum += loss * self.objective.units_of(batch)
            errors += wrong
            if index % CHECK_STEPS == CHECK_STEPS - 1:
                self._check_loss(loss_sum.item(), "training", epoch, rate)
            if progress is not None:
                progress(first_step + index + 1, steps)
        if self.steps.parts != parts:
            self.notes.append(
                f"out of memory in epoch {epoch}: batches of {self.objective.size} are computed in "
                f"{self.steps.parts} parts, and batch norm compares the clips of a part"
            )
        self._check_loss(loss_sum.item(), "training", epoch, rate)
        units = self.objective.units
        return loss_sum.item() / units, errors.item() / units, rate

    def check_alive(self) -> None:
        """End a training that can come to nothing.

        Raises:
            TrainingFailed: with what was seen, and what may help.
        """
        why = self.objective.given_up(self.history, self.recipe.epochs)
        if why:
            raise TrainingFailed(why)

    def _check_loss(self, loss: float, split: str, epoch: int, rate: float) -> None:
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"the {split} loss is {loss} in epoch {epoch} at learning rate {rate:.3g}: "
                "lower learning_rate, or set gradient_clip"
            )

    def keep(self, record: EpochRecord) -> None:
        """Add the epoch to the history, and write the folder's files.

        best.pt comes before last.pt. A kill between them leaves a best.pt of an epoch that last.pt
        has not seen; the epoch is then trained again, to the same bits, and the file is right
        again. The other way round, last.pt could name a best epoch whose weights nobody has.
        """
        self.history.append(record)
        if self.folder is None:
            return
        if not self.folder.is_dir():
            # Moved or removed since: to make it anew would leave a part of the training in each.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.folder))
        if best_record(self.history) is record:
            save_checkpoint(self._checkpoint(None), self.folder / BEST)
        save_checkpoint(self._checkpoint(self.optimiser.state_dict()), self.folder / LAST)
        write_history(self.folder, self.history)

    def _checkpoint(self, optimiser: dict[str, object] | None) -> Checkpoint:
        return Checkpoint(
            point=self.point,
            classes=self.objective.classes,
            data_key=self.features.key,
            task=self.features.task,
            features=self.features.spec,
            mean=self.objective.mean.cpu(),
            deviation=self.objective.deviation.cpu(),
            recipe=self.recipe,
            seed=self.seed,
            history=tuple(self.history),
            network=self.network.state_dict(),
            optimiser=optimiser,
            computed=self.computation.label,
        )

    def result(self) -> TrainingResult:
        """What came out, once all epochs are done; the best network is scored."""
        best = best_record(self.history)
        ended = None
        if self.folder is not None:
            # Written anew at each end: a file that a kill left may be of an earlier rung.
            ended = self.objective.end(self.folder / BEST, self.folder, self.computation)
            self.notes += [ended.note] if ended.note else []
            if ended.quantised_error is None:
                self.notes.append(f"not possible in whole numbers: {ended.reason}")
        error = best.validation_error
        # Epochs were judged rounded, or by clips where wake words count.
        if ended is not None and (self.point.has_few_bits or self.objective.judged_at_end):
            error = ended.error
        return TrainingResult(
            validation_error=error,
            quantised_error=None if ended is None else ended.quantised_error,
            best_epoch=best.epoch,
            epochs=len(self.history),
            history=tuple(self.history),
            seconds=sum(record.seconds for record in self.history),
            device=str(self.device),
            computed=self.computation.label,
            note="; ".join(self.notes),
        )


def check_design(
    point: DesignPoint, coefficients: int, task: Task | Transcription | None = None
) -> None:
    """Refuse a design that cannot be trained on pictures of so many rows.

    Args:
        point: the design.
        coefficients: of the features.
        task: words where it is None.

    Raises:
        InvalidDesign: another number of features per frame, a head that is not that of the task, or
            dense residuals.
    """
    if point.features != coefficients:
        size = "in_bins" if point.has_bins else "in_channels"
        raise InvalidDesign(
            f"design {point.label} takes {point.features} features per frame, and the data has "
            f"{coefficients}: set {size} of the design, or coefficients of the features"
        )
    if point.has_few_bits:
        check_one_dimension(point, "training with fewer bits than eight")
    check_head(point, task or Task())
    if with_further := [block.name for block in point.blocks if block.skips_from]:
        raise InvalidDesign(
            f"{with_further[0]} of {point.label} has skips from blocks before it (dense "
            "residuals), which are priced and not trained here: leave skips_from out"
        )


def _masked(recipe: Recipe, coefficients: int) -> list[str]:
    """What to say where a single mask can hide a clip: defaults of masks are for 64 rows."""
    width = recipe.augmentation.frequency_width
    if not recipe.augmentation.frequency_masks or width < coefficients:
        return []
    return [
        f"a frequency mask of up to {width} rows can cover all {coefficients}: lower "
        "augmentation.frequency_width of the recipe"
    ]


def _coefficients(features: Features) -> int:
    if isinstance(features, SentenceFeatures):
        return int(features.training.frames.shape[1])
    return int(features.training.features.shape[2])


def _check_same(
    found: Checkpoint,
    path: Path,
    point: DesignPoint,
    classes: tuple[str, ...],
    data_key: str,
    recipe: Recipe,
    seed: int,
) -> None:
    """Refuse to go on from a checkpoint of another training."""
    before, now = found.recipe.to_dict(), recipe.to_dict()
    settings = [(f"recipe with {name}", before[name], now[name]) for name in now]
    for what, old, new in (
        ("design", found.point.key, point.key),
        ("data", found.data_key, data_key),
        ("classes", ", ".join(found.classes), ", ".join(classes)),
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
    """Leave the caller's random numbers and memory alone; cuDNN chooses repeatable algorithms.

    `benchmark` is off as it picks the algorithm by a race, which may end differently each time.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before
            give_back_freed_memory()  # of `dse.training.steps`


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
            f"{run.objective.limit}"
        ) from None
