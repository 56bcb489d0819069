"""What is exported: a trained network of a checkpoint, or the untrained one of a design.

And the clips that int8 needs: the range of each activation is taken from `CALIBRATION_CLIPS` of the
training split. Validation clips would make the validation error of the int8 network too good.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dse.design.point import DesignPoint
from dse.errors import InvalidDesign, InvalidInput
from dse.networks.network import SpeechNetwork, build_network
from dse.speech.features import FeatureSplit, load_features
from dse.speech.mfcc import normalise
from dse.speech.sentence_features import load_sentences
from dse.speech.sentences import SentenceSplit
from dse.speech.transcription import Transcription
from dse.training.checkpoint import Checkpoint, load_network

CALIBRATION_CLIPS = 64
"""Of the training split; ranges of activations come from them."""
RANDOM_FRAMES = 128
PIECE_FRAMES = 128
"""Of sentences put end to end, each piece."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A network in evaluation mode, and where it comes from."""

    network: SpeechNetwork
    point: DesignPoint
    outputs: int
    """Classes, or characters and blank."""
    checkpoint: Checkpoint | None
    """None where the network is untrained."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs; numbers where they have none."""
        if self.checkpoint is not None:
            return self.checkpoint.classes
        return tuple(str(number) for number in range(self.outputs))

    @property
    def title(self) -> str:
        """What it is, for comments: label and key of the design, `trained, 40 epochs`."""
        state = (
            "untrained" if self.checkpoint is None else f"trained, {self.checkpoint.epoch} epochs"
        )
        return f"{self.point.label} ({self.point.key}), {state}"


def trained(path: Path) -> Source:
    """The network of a checkpoint, such as best.pt.

    Raises:
        InvalidCheckpoint: like `dse.training.checkpoint.load_network`.
    """
    network, checkpoint = load_network(path)
    return Source(
        network=network,
        point=checkpoint.point,
        outputs=len(checkpoint.classes),
        checkpoint=checkpoint,
    )


def untrained(point: DesignPoint, outputs: int, seed: int = 1) -> Source:
    """The network of a design with first weights, drawn as those of a training are.

    A training of the same seed starts from other numbers: it hashes the seed with the epoch.

    Its shapes, speed and memory are those of the trained one; its scores mean nothing. The caller's
    random numbers stay as they were.

    Args:
        point: the design; its `ternary_seed` decides the ternary matrices.
        outputs: classes, or characters and blank of a framewise head.
        seed: of the trained weights' first values.

    Raises:
        InvalidDesign: outputs are less than 1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(point, outputs)
    return Source(network=network.eval(), point=point, outputs=outputs, checkpoint=None)


def calibration_pictures(
    source: Source, data: Path | None, clips: int = CALIBRATION_CLIPS
) -> Tensor:
    """Normalised pictures that ranges of activations are taken from: (clips, features, frames).

    Args:
        source: the network.
        data: folder of speech with the network's classes. An untrained network takes random
            pictures instead: its ranges mean nothing either way.
        clips: of the training split, drawn evenly.

    Raises:
        InvalidInput: a trained network without data, or an untrained one with data.
        InvalidDesign: the folder's pictures have another number of features.
    """
    if source.checkpoint is None:
        if data is not None:
            raise InvalidInput("--data needs a trained network: give a checkpoint such as best.pt")
        return random_pictures(source.point.features, clips)
    if data is None:
        raise InvalidInput(
            "int8 needs the ranges of activations on real speech: name a folder with --data"
        )
    task, spec = source.checkpoint.task, source.checkpoint.features
    if isinstance(task, Transcription):
        pictures = pieces_of(load_sentences(data, task, spec).training, clips)
    else:
        pictures = calibration_clips(load_features(data, task, spec).training, clips)
    if pictures.shape[1] != source.point.features:
        raise InvalidDesign(
            f"pictures have {pictures.shape[1]} features, and the network takes "
            f"{source.point.features}"
        )
    return normalise(pictures, source.checkpoint.mean, source.checkpoint.deviation)


def calibration_clips(training: FeatureSplit, clips: int = CALIBRATION_CLIPS) -> Tensor:
    """Raw pictures of so many clips at most, evenly drawn: (clips, features, frames).

    Evenly spaced places of the split, its first and last clip included, and clean clips only. No
    random number is drawn: the same features give the same ranges, and the same int8 network.

    Args:
        training: raw pictures; they have to be normalised before a network sees them.
        clips: at most; all clips of a smaller split.
    """
    count = min(clips, len(training))
    chosen = torch.linspace(0, len(training) - 1, count).round().long().numpy()
    return torch.from_numpy(training.features[chosen, 0])


def pieces_of(split: SentenceSplit, utterances: int = CALIBRATION_CLIPS) -> Tensor:
    """Clean utterances of a split in pieces of equal length: (pieces, coefficients, frames).

    So many of them at most, evenly spaced in the split, are put end to end and cut: no frame of
    padding widens a range. Where one ends and the next begins within a piece, a few frames hear
    both. They are normalised already.

    Args:
        split: of sentences.
        utterances: how many.
    """
    count = min(utterances, len(split))
    chosen = torch.linspace(0, len(split) - 1, count).round().long().tolist()
    whole = np.concatenate([split.utterance(index) for index in chosen]).astype(np.float32)
    size = min(PIECE_FRAMES, len(whole))
    pieces = len(whole) // size
    cut = whole[: pieces * size].reshape(pieces, size, -1).transpose(0, 2, 1)
    return torch.from_numpy(np.ascontiguousarray(cut))


def pictures_of_length(source: Source, pictures: Tensor, frames: int | None) -> Tensor:
    """Inputs of the longest clip that a network shall hear: (clips, features, frames).

    A network of words hears clips of one length. One of sentences hears any, and its pictures are
    pieces of utterances that stood end to end: put together again they are as long as one likes.

    Args:
        source: the network.
        pictures: (clips, features, frames), as `calibration_pictures` gives them.
        frames: of the longest clip; None for the task's own.

    Raises:
        InvalidInput: words with more frames than a clip has.
    """
    most = pictures.shape[2]
    if source.point.head == "pooled":
        if frames is not None and frames > most:
            raise InvalidInput(
                f"--frames must be at most the {most} frames of a clip, not {frames}"
            )
        return pictures[:, :, :frames]
    if frames is None:
        frames = source.checkpoint.features.frames if source.checkpoint else most
    end_to_end = pictures.permute(1, 0, 2).reshape(pictures.shape[1], -1)
    end_to_end = end_to_end.repeat(1, -(-frames // end_to_end.shape[1]))
    clips = end_to_end.shape[1] // frames
    cut = end_to_end[:, : clips * frames].reshape(-1, clips, frames)
    return cut.permute(1, 0, 2).contiguous()


def random_pictures(features: int, clips: int) -> Tensor:
    """Pictures of noise, the same every time: (clips, features, RANDOM_FRAMES), normal(0, 1).

    Zero mean and deviation one are what normalised features have.
    """
    drawn = torch.Generator().manual_seed(1)
    return torch.randn(clips, features, RANDOM_FRAMES, generator=drawn)
