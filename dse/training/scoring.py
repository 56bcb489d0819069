"""How well a network does on a split, in floats and in whole numbers.

All scores are of clean clips (variant 0 of the cache), without holes, label smoothing or weights of
classes, in evaluation mode, and in float32 even where training computes in bfloat16: so numbers of
different recipes compare.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dse.design.point import DesignPoint
from dse.errors import InvalidData, InvalidDesign
from dse.networks.network import SpeechNetwork
from dse.speech.features import FeatureSplit, SpeechFeatures, iterate_batches
from dse.speech.mfcc import normalise
from dse.speech.speech_commands import Split
from dse.training.allocation import give_back_freed_memory
from dse.training.best_scores import BestScores
from dse.training.checkpoint import Checkpoint, load_network
from dse.training.devices import Computation, is_out_of_memory
from dse.training.fast import fast_scores
from dse.training.integer import SCORE_STEPS, IntegerNetwork, quantise_network
from dse.training.integer_scores import scores_of_clips
from dse.training.rounded import rounded_scores
from dse.training.scores import Scores
from dse.training.source import Source, calibration_clips
from dse.training.wake_scores import WakeScores
from dse.training.wake_scoring import spot

EVALUATION_CLIPS = 256
"""Clips of a batch."""


def evaluate(
    network: nn.Module,
    split: FeatureSplit,
    mean: Tensor | NDArray[np.float32],
    deviation: Tensor | NDArray[np.float32],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = EVALUATION_CLIPS,
    fast: bool = False,
    clipwise: bool = False,
    rounded_of: DesignPoint | None = None,
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
        fast: by `dse.training.fast`, for networks of `dse.networks.network`; the same but for
            rounding.
        clipwise: say of each clip whether it was told wrongly, too (`Scores.wrong`).
        rounded_of: design to whose bits weights and activations are rounded; None for floats.

    Raises:
        InvalidData: the split has no clips.
    """
    network.to(device).eval()
    score_confusion: Callable[[Tensor], Tensor] = network
    if rounded_of is not None:
        assert isinstance(network, SpeechNetwork)
        score_confusion = partial(rounded_scores, network, rounded_of)
    elif fast:
        assert isinstance(network, SpeechNetwork)
        score_confusion = partial(fast_scores, network)
    loss, confusion, start = 0.0, None, 0
    missed: list[Tensor] = []
    with torch.inference_mode():
        while start < len(split.labels):
            chosen = slice(start, start + batch_size)
            try:
                summed, counts, wrong = _scored(
                    score_confusion, split, chosen, mean, deviation, device
                )
            except (MemoryError, RuntimeError) as error:
                if batch_size == 1 or not is_out_of_memory(error):
                    raise
                give_back_freed_memory()
                batch_size //= 2  # a clip's scores do not depend on the others
                continue
            loss += summed
            missed += [wrong] if clipwise else []
            confusion = counts if confusion is None else confusion + counts
            start += batch_size
    if confusion is None:
        raise InvalidData("a split without clips cannot be evaluated")
    return Scores(
        loss=loss / len(split.labels),
        confusion=confusion,
        wrong=torch.cat(missed).cpu().numpy() if clipwise else None,
    )


def _scored(
    score_confusion: Callable[[Tensor], Tensor],
    split: FeatureSplit,
    chosen: slice,
    mean: Tensor | NDArray[np.float32],
    deviation: Tensor | NDArray[np.float32],
    device: torch.device | str,
) -> tuple[float, NDArray[np.int64], Tensor]:
    """Summed loss and confusion matrix of some clips; which were told wrongly, on `device`."""
    pictures = torch.from_numpy(np.array(split.features[chosen, 0])).to(device)
    labels = torch.from_numpy(np.array(split.labels[chosen])).to(device)
    scores = score_confusion(normalise(pictures, mean, deviation))
    classes = scores.shape[1]
    # A confusion matrix is a histogram of pairs (true, told), each as one number true * C + told:
    # counted where the scores are, so that a GPU hands over C^2 numbers and not one a clip.
    told = scores.argmax(1)
    pairs = torch.bincount(labels * classes + told, minlength=classes**2)
    loss = functional.cross_entropy(scores, labels, reduction="sum").item()
    return loss, pairs.reshape(classes, classes).cpu().numpy(), told != labels


def score_best(
    path: Path,
    features: SpeechFeatures,
    computation: Computation,
    split: Literal["validation", "testing"] = "validation",
) -> BestScores:
    """Scores of a training's best network on a split, in floats and in whole numbers.

    The ranges of int8 activations come from the training clips that `dse export header` takes.

    Args:
        path: checkpoint of the best epoch.
        features: that it was trained on.
        computation: of the training; whole numbers are computed on the CPU.
        split: the testing split is for those who confirm: once, of a network that is chosen.

    Returns:
        Both confusion matrices, and what was missed of the split's recording where the task has
        `wake`; `int8` None with a `reason` where the network has no form in whole
        numbers, or memory ran out.

    Raises:
        InvalidCheckpoint: like `dse.training.checkpoint.load_network`.
    """
    clips = features.split(split)
    network, checkpoint = load_network(path)
    floats = evaluate(
        network,
        clips,
        checkpoint.mean,
        checkpoint.deviation,
        device=computation.device,
        fast=computation.fast,
        clipwise=True,
    )
    source = Source(
        network=network.to("cpu"),
        point=checkpoint.point,
        outputs=len(checkpoint.classes),
        checkpoint=checkpoint,
    )
    int8, int8_wrong, reason, quantised = None, None, "", None
    try:
        pictures = normalise(
            calibration_clips(features.training), checkpoint.mean, checkpoint.deviation
        )
        quantised = quantise_network(source, pictures)
        told = tell_integer(quantised, clips, checkpoint.mean, checkpoint.deviation)
        int8, int8_wrong = _confusion(clips, told, len(checkpoint.classes)), told != clips.labels
    except InvalidDesign as error:
        reason = str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = "out of memory"
    return BestScores(
        labels=checkpoint.classes,
        epoch=checkpoint.epoch,
        floats=floats.confusion,
        int8=int8,
        reason=reason,
        wrong=floats.wrong,
        int8_wrong=int8_wrong,
        wake=_score_wake(
            partial(fast_scores, network) if computation.fast else network,
            quantised,
            features,
            checkpoint,
            split,
        ),
    )


def _score_wake(
    score: Callable[[Tensor], Tensor],
    quantised: IntegerNetwork | None,
    features: SpeechFeatures,
    checkpoint: Checkpoint,
    split: Split,
) -> WakeScores | None:
    """What is missed of the split's recording, on the CPU; None where the task has no `wake`."""
    wake = features.task.wake
    if wake is None:
        return None
    recording = features.recordings[split]

    def score_whole(pictures: Tensor) -> Tensor:
        assert quantised is not None
        scores = torch.from_numpy(scores_of_clips(quantised, quantised.quantise(pictures.numpy())))
        return scores.double().div_(SCORE_STEPS)

    return WakeScores(
        words=wake.words,
        false_alarms_per_hour=wake.false_alarms_per_hour,
        seconds=recording.seconds,
        others=recording.others,
        floats=spot(score, recording, wake, checkpoint),
        int8=None if quantised is None else spot(score_whole, recording, wake, checkpoint),
    )


def tell_integer(
    network: IntegerNetwork,
    split: FeatureSplit,
    mean: Tensor | NDArray[np.float32],
    deviation: Tensor | NDArray[np.float32],
) -> NDArray[np.int64]:
    """Which class a pooled network in whole numbers takes each clean clip of a split for.

    Exact: the same on every machine, given the same features and the same quantised network.

    Args:
        network: quantised; a framewise head has no such matrix.
        split: raw pictures and labels.
        mean: (coefficients,), of the data that the network was trained on.
        deviation: likewise.

    Returns:
        Classes, shape (clips,).
    """
    told = [
        scores_of_clips(network, network.quantise(normalise(pictures, mean, deviation).numpy()))
        for pictures, _ in iterate_batches(split, EVALUATION_CLIPS)
    ]
    return np.concatenate([scores.argmax(axis=1) for scores in told]).astype(np.int64)


def _confusion(split: FeatureSplit, told: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes): clips of class [row] that were taken for class [column]."""
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (np.asarray(split.labels), told), 1)
    return confusion
