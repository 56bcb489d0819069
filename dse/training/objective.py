"""What a training minimises and what it is judged by: words or sentences.

`dse.training.run` and `dse.training.steps` are one story for both tasks; what differs stands here:

                     words                              sentences
    shown            clips of one length                utterances, padded, with their lengths
    loss             cross-entropy                      CTC
    mean over        clips (or their class weights)     characters
    errors           clips told wrongly                 CER, WER of the greedy text
    at the end       confusion, clip by clip            edits, references beside hypotheses
                     with `wake`: missed wake words
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dse.design.point import DesignPoint
from dse.errors import InvalidData, InvalidDesign
from dse.networks.network import SpeechNetwork
from dse.networks.padding import output_lengths
from dse.speech.features import SpeechFeatures
from dse.speech.sentences import SentenceFeatures, SentenceSplit
from dse.speech.task import Task
from dse.speech.transcription import Transcription
from dse.speech.transcripts import decode
from dse.training.batches import Batch, Batches, Epoch, class_weights
from dse.training.best_scores import write_best_scores
from dse.training.best_sentences import write_best_sentences
from dse.training.checkpoint import outputs_of
from dse.training.ctc import can_spell, ctc_loss
from dse.training.decoding import greedy
from dse.training.devices import Computation
from dse.training.edits import character_edits, check_installed
from dse.training.history import EpochRecord
from dse.training.length_batches import Chosen, LengthBatches
from dse.training.recipe import Recipe
from dse.training.scoring import evaluate, score_best
from dse.training.sentence_scoring import evaluate_sentences, score_best_sentences

Features = SpeechFeatures | SentenceFeatures

FEWEST_EPOCHS_OF_BLANKS = 10
"""In a row, before a network that hears nothing is given up."""
NAMED = 3
"""Utterances of a note; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A network on the validation split."""

    loss: float
    error: float
    cer: float | None = None
    wer: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The best network of a training, scored."""

    error: float
    quantised_error: float | None
    reason: str
    """Why there is none in whole numbers."""
    note: str = ""
    """What a person should know of it."""


class Loss(Protocol):
    """What a step asks of a task (`dse.training.steps`)."""

    def weight(self, batch: Batch) -> float | Tensor:
        """What the loss of a batch is a mean over."""

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """A mean over `weight`, in float32."""

    def errors(self, scores: Tensor, batch: Batch) -> Tensor:
        """Units of a batch that are wrong, on the device."""


class Objective(Loss, Protocol):
    """What `dse.training.run` asks of a task."""

    classes: tuple[str, ...]
    """Names of the outputs."""
    task: Task | Transcription
    mean: Tensor
    """(coefficients,), for the checkpoint."""
    deviation: Tensor
    units: int
    """What losses and errors of an epoch are means over: clips or characters."""
    size: str
    """Of a batch, for messages: `63 clips`."""
    limit: str
    """Of a batch, and the option of the recipe that lowers it, for messages."""
    notes: list[str]
    judged_at_end: bool
    """Whether the error is another than that of the best epoch: `Ended.error`."""

    def epoch(self, generator: torch.Generator) -> Epoch:
        """All batches of an epoch; holds no random state."""

    def units_of(self, batch: Batch) -> int:
        """Units of a batch, of all `units` of an epoch."""

    def validate(
        self, network: SpeechNetwork, computation: Computation, rounded_of: DesignPoint | None
    ) -> Validated:
        """The network on clean validation clips; it is left in evaluation mode."""

    def given_up(self, history: Sequence[EpochRecord], epochs: int) -> str:
        """Why the training ends here, of so many epochs; empty where it goes on."""

    def end(self, best: Path, folder: Path, computation: Computation) -> Ended:
        """Score a checkpoint, and write what it gets right into the folder."""


def make_objective(
    point: DesignPoint, features: Features, recipe: Recipe, device: torch.device
) -> Objective:
    """The objective of a task.

    Raises:
        InvalidDesign: the head is not that of the task.
        InvalidData: a split has too few clips.
    """
    if isinstance(features, SentenceFeatures):
        return Sentences(point, features, recipe, device)
    return Words(features, recipe, device)


class CrossEntropy:
    """The loss of a step on words: which class a clip is of."""

    def __init__(self, recipe: Recipe, weights: Tensor | None = None) -> None:
        """With the recipe's label smoothing, and weights (classes,), all 1 where it is None."""
        self.recipe = recipe
        self.weights = weights

    def weight(self, batch: Batch) -> float | Tensor:
        """Clips, or the sum of their class weights."""
        return len(batch) if self.weights is None else self.weights[batch.labels].sum()

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy with the recipe's label smoothing and class weights."""
        return functional.cross_entropy(
            scores.float(),
            batch.labels,
            weight=self.weights,
            label_smoothing=self.recipe.label_smoothing,
        )

    def errors(self, scores: Tensor, batch: Batch) -> Tensor:
        """Clips told wrongly."""
        return (scores.argmax(1) != batch.labels).sum()


class Words(CrossEntropy):
    """Keyword spotting."""

    def __init__(self, features: SpeechFeatures, recipe: Recipe, device: torch.device) -> None:
        """Bring the pictures to memory where they fit."""
        if len(features.training.labels) < 2:
            raise InvalidData("the training split needs at least two clips: add more")
        if len(features.validation.labels) < 1:
            raise InvalidData("the validation split needs at least one clip: add some")
        labels, balanced = features.training.labels, recipe.class_weights == "balanced"
        weights = class_weights(labels, len(features.classes)).to(device) if balanced else None
        super().__init__(recipe, weights)
        self.features = features
        self.task: Task | Transcription = features.task
        self.classes = features.classes
        self.batches = Batches(features, recipe.augmentation, recipe.batch_size, device)
        self.mean, self.deviation = self.batches.mean, self.batches.deviation
        self.units = len(labels)
        self.size = f"{max(self.batches.sizes)} clips"
        self.limit = f"{recipe.batch_size} clips: lower batch_size"
        self.notes: list[str] = []
        # Wake words are few and clips are many, so clips choose the epoch, and wake words judge it.
        self.judged_at_end = features.task.wake is not None

    def epoch(self, generator: torch.Generator) -> Epoch:
        """Every clip once, in one of its variants."""
        return Epoch(
            len(self.batches.sizes),
            (Batch(pictures, labels) for pictures, labels in self.batches.epoch(generator)),
        )

    def units_of(self, batch: Batch) -> int:
        """Clips."""
        return len(batch)

    def validate(
        self, network: SpeechNetwork, computation: Computation, rounded_of: DesignPoint | None
    ) -> Validated:
        """Share of validation clips told wrongly."""
        scored = evaluate(
            network,
            self.features.validation,
            self.mean,
            self.deviation,
            device=computation.device,
            fast=computation.fast,
            rounded_of=rounded_of,
        )
        return Validated(loss=scored.loss, error=scored.error)

    def given_up(self, history: Sequence[EpochRecord], epochs: int) -> str:
        """Never: a bad network of words costs no more than a good one."""
        return ""

    def end(self, best: Path, folder: Path, computation: Computation) -> Ended:
        """Confusion of validation clips, or missed wake words, in floats and in whole numbers."""
        scores = score_best(best, self.features, computation)
        write_best_scores(dataclasses.replace(scores, findings=self.features.findings), folder)
        return Ended(
            error=scores.error, quantised_error=scores.quantised_error, reason=scores.reason
        )


class Sentences:
    """Speech recognition: which characters are said."""

    def __init__(
        self,
        point: DesignPoint,
        features: SentenceFeatures,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        """Leave out what no path of the network's frames can spell."""
        check_installed()
        self.point = point
        self.features = features
        self.task: Task | Transcription = features.task
        self.judged_at_end = False
        self.classes = outputs_of(features.task)
        chosen, self.notes = _chosen(point, features.training)
        if len(features.validation) < 1:
            raise InvalidData("the validation split needs at least one utterance: add some")
        self.batches = LengthBatches(features.training, chosen, recipe, device)
        starts = features.training.label_starts
        # A text without characters counts as one, or the loss of such a batch had no denominator.
        self.units = max(1, int((starts[chosen + 1] - starts[chosen]).sum()))
        self.size = f"up to {recipe.batch_frames} frames"
        self.limit = f"{self.size}: lower batch_frames or batch_size"
        coefficients = features.training.frames.shape[1]
        self.mean, self.deviation = torch.zeros(coefficients), torch.ones(coefficients)

    def epoch(self, generator: torch.Generator) -> Epoch:
        """Every utterance once, in one of its variants."""
        return self.batches.epoch(generator)

    def weight(self, batch: Batch) -> float | Tensor:
        """Characters."""
        return self.units_of(batch)

    def units_of(self, batch: Batch) -> int:
        """Characters, at least one."""
        assert batch.label_lengths is not None
        return max(1, int(batch.label_lengths.sum()))

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """CTC, nats per character; each character of a batch counts alike."""
        return ctc_loss(self.point, scores, batch, forgiving=False) / self.units_of(batch)

    def errors(self, scores: Tensor, batch: Batch) -> Tensor:
        """Changes of characters from what was said to the greedy text."""
        assert batch.lengths is not None and batch.label_lengths is not None
        heard = greedy(scores, output_lengths(self.point, batch.lengths), self.task_characters)
        labels, counts = batch.labels.cpu().numpy(), batch.label_lengths.tolist()
        said = [
            decode(row[:count], self.task_characters)
            for row, count in zip(labels, counts, strict=True)
        ]
        return torch.tensor(character_edits(said, heard).count, device=scores.device)

    @property
    def task_characters(self) -> tuple[str, ...]:
        """The vocabulary."""
        return self.features.characters

    def validate(
        self, network: SpeechNetwork, computation: Computation, rounded_of: DesignPoint | None
    ) -> Validated:
        """Error rates of validation utterances."""
        found = evaluate_sentences(
            network,
            self.point,
            self.features.validation,
            self.task_characters,
            device=computation.device,
            fast=computation.fast,
            rounded=rounded_of is not None,
        )
        heard = found.heard
        assert heard.loss is not None
        return Validated(
            loss=heard.loss,
            error=heard.error(self.features.task.error),
            cer=heard.cer,
            wer=heard.wer,
        )

    def given_up(self, history: Sequence[EpochRecord], epochs: int) -> str:
        """Whether nothing was written down in a quarter of the epochs, and half of them are done.

        A network that hears only blanks has a CER and a WER of exactly 1, all deletions. Training
        by CTC comes there in its first epochs, as blanks are the best answer of who knows nothing,
        and leaves it after some more, or never.
        """
        row = max(FEWEST_EPOCHS_OF_BLANKS, math.ceil(epochs / 4))
        rates = {
            rate for one in history[-row:] for rate in (one.validation_cer, one.validation_wer)
        }
        if len(history) < max(row, math.ceil(epochs / 2)) or rates != {1.0}:
            return ""
        return (
            f"after {len(history)} of {epochs} epochs the network has heard only blanks in all "
            f"{len(self.features.validation)} validation utterances for {row} epochs: lower "
            "learning_rate, take a longer warm-up, or more epochs"
        )

    def end(self, best: Path, folder: Path, computation: Computation) -> Ended:
        """Error rates of validation utterances, references beside hypotheses."""
        found = score_best_sentences(best, self.features, computation)
        write_best_sentences(found, folder)
        silent = not any(found.hypotheses)
        return Ended(
            error=found.error,
            quantised_error=found.quantised_error,
            reason=found.reason,
            note="even the best network hears only blanks" if silent else "",
        )


def _chosen(point: DesignPoint, split: SentenceSplit) -> tuple[Chosen, list[str]]:
    """Utterances that can be spelled in each variant, and a sentence about the others.

    Raises:
        InvalidData: there are none.
    """
    spelled = can_spell(point, split)
    chosen, short = np.flatnonzero(spelled), np.flatnonzero(~spelled)
    if len(chosen) == 0:
        raise InvalidData(
            f"none of {len(split)} training utterances has as many frames of scores as characters: "
            "add some, or take a design of smaller strides"
        )
    if len(short) == 0:
        return chosen, []
    named = ", ".join(split.names[index] for index in short[:NAMED])
    more = f" and {len(short) - NAMED} more" if len(short) > NAMED else ""
    return chosen, [
        f"{len(short)} of {len(split)} training utterances are left out, as their characters, with "
        f"a blank between equal ones, are more than the network's frames: {named}{more}"
    ]


def check_head(point: DesignPoint, task: Task | Transcription) -> None:
    """Refuse a head that is not that of the task.

    Raises:
        InvalidDesign: a pooled head for sentences, or a framewise one for words.
    """
    if isinstance(task, Transcription) and point.head != "framewise":
        raise InvalidDesign(
            f"design {point.label} has a {point.head} head, which gives one vector of scores a "
            "clip: set head to framewise to write down sentences"
        )
    if isinstance(task, Task) and point.head != "pooled":
        raise InvalidDesign(
            f"design {point.label} has a {point.head} head, which gives scores at every frame: "
            "set head to pooled to tell words apart"
        )
