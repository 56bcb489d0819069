"""What a network writes down of a split, in floats and in whole numbers, and how far off it is.

Greedy texts (`dse.training.decoding`) of clean utterances (variant 0), in evaluation mode and in
float32, as those of words are scored (`dse.training.scoring`). Utterances are padded to the longest
of their batch, which changes nothing (`dse.networks.padding`); in whole numbers, and where scores
are rounded by the values of a batch, each stands alone.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from dse.design.point import DesignPoint
from dse.errors import InvalidData, InvalidDesign
from dse.networks.network import SpeechNetwork
from dse.networks.padding import output_lengths
from dse.speech.sentences import SentenceFeatures, SentenceSplit
from dse.speech.transcripts import decode
from dse.training.allocation import give_back_freed_memory
from dse.training.best_sentences import BestSentences, Heard, heard_of
from dse.training.checkpoint import load_network
from dse.training.ctc import ctc_loss
from dse.training.decoding import greedy
from dse.training.devices import Computation, is_out_of_memory
from dse.training.edits import edits_of_each
from dse.training.fast import fast_scores
from dse.training.integer import IntegerNetwork, quantise_network
from dse.training.integer_scores import scores_of_clips
from dse.training.length_batches import cut_by_frames, padded
from dse.training.rounded import rounded_scores
from dse.training.source import Source, pieces_of

EVALUATION_FRAMES = 32_000
"""Frames of a batch, padding included: twice those of a training batch, as nothing is kept for
gradients."""


@dataclass(frozen=True, slots=True)
class Transcripts:
    """What was written down of each utterance of a split, in its order."""

    heard: Heard
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]


def evaluate_sentences(
    network: SpeechNetwork,
    point: DesignPoint,
    split: SentenceSplit,
    characters: tuple[str, ...],
    *,
    device: torch.device | str = "cpu",
    most_frames: int = EVALUATION_FRAMES,
    fast: bool = False,
    rounded: bool = False,
) -> Transcripts:
    """Greedy texts of the clean utterances of a split, in float32.

    The network is left in evaluation mode, on `device`.

    Args:
        network: of the point.
        point: with a framewise head.
        split: utterances and what was said.
        characters: of all outputs but the last, blank.
        device: to compute on.
        most_frames: at once, fewer where memory runs out; does not change the scores beyond
            rounding.
        fast: by `dse.training.fast`; the same but for rounding.
        rounded: with weights and activations rounded to the design's bits.

    Raises:
        InvalidData: the split has no utterance.
        InvalidInput: jiwer is not installed.
    """
    if len(split) == 0:
        raise InvalidData("a split without utterances cannot be evaluated")
    network.to(device).eval()
    scores_of = partial(fast_scores, network) if fast else network
    if rounded:  # by the largest values of a batch, so that an utterance depends on the others
        scores_of, most_frames = partial(rounded_scores, network, point), 1
    lengths = np.diff(split.starts)[:: split.variants]
    order = np.argsort(-lengths, kind="stable")
    hypotheses, loss = [""] * len(split), 0.0
    with torch.inference_mode():
        while len(order):
            some = cut_by_frames(lengths, order, most_frames, len(order))[0]
            try:
                batch = padded(split, some, np.zeros_like(some), device)
                assert batch.lengths is not None
                scores = scores_of(batch.pictures, lengths=batch.lengths)
                loss += ctc_loss(point, scores, batch, forgiving=True).item()
            except (MemoryError, RuntimeError) as error:
                if len(some) == 1 or not is_out_of_memory(error):
                    raise
                give_back_freed_memory()
                most_frames = len(some) // 2 * int(lengths[some[0]])
                continue
            frames = output_lengths(point, batch.lengths)
            for index, text in zip(some, greedy(scores, frames, characters), strict=True):
                hypotheses[index] = text
            order = order[len(some) :]
    references = said(split, characters)
    units = max(1, len(split.labels))
    heard = heard_of(references, tuple(hypotheses), loss / units)
    return Transcripts(heard, references, tuple(hypotheses))


def said(split: SentenceSplit, characters: tuple[str, ...]) -> tuple[str, ...]:
    """Transcripts of a split as text."""
    return tuple(decode(split.transcript(index), characters) for index in range(len(split)))


def score_best_sentences(
    path: Path,
    features: SentenceFeatures,
    computation: Computation,
    split: Literal["validation", "testing"] = "validation",
) -> BestSentences:
    """What a training's best network writes down of a split, in floats and in whole numbers.

    Args:
        path: checkpoint of the best epoch.
        features: that it was trained on.
        computation: of the training; whole numbers are computed on the CPU.
        split: the testing split is for those who confirm: once, of a network that is chosen.

    Returns:
        Texts and counts; `int8` None with a `reason` where the network has no form in whole
        numbers, or memory ran out.

    Raises:
        InvalidCheckpoint: like `dse.training.checkpoint.load_network`.
        InvalidInput: jiwer is not installed.
    """
    network, checkpoint = load_network(path)
    told = features.split(split)
    floats = evaluate_sentences(
        network,
        checkpoint.point,
        told,
        features.characters,
        device=computation.device,
        fast=computation.fast,
    )
    source = Source(
        network=network.to("cpu"),
        point=checkpoint.point,
        outputs=len(checkpoint.classes),
        checkpoint=checkpoint,
    )
    texts: tuple[str, ...] = ()
    reason = ""
    try:
        quantised = quantise_network(source, pieces_of(features.training))
        texts = integer_texts(quantised, checkpoint.point, told, features.characters)
    except InvalidDesign as error:
        reason = str(error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = "out of memory"
    units, edits = _counted(floats.references, floats.hypotheses, features)
    return BestSentences(
        epoch=checkpoint.epoch,
        measure=features.task.error,
        floats=floats.heard,
        int8=heard_of(floats.references, texts) if texts else None,
        reason=reason,
        findings=features.findings,
        names=told.names,
        references=floats.references,
        hypotheses=floats.hypotheses,
        int8_hypotheses=texts,
        units=units,
        edits=edits,
        int8_edits=_counted(floats.references, texts, features)[1] if texts else (),
    )


def _counted(
    references: tuple[str, ...], hypotheses: tuple[str, ...], features: SentenceFeatures
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Units and changes of each utterance."""
    edits, units = edits_of_each(references, hypotheses, features.task.error)
    return units, edits


def integer_texts(
    network: IntegerNetwork, point: DesignPoint, split: SentenceSplit, characters: tuple[str, ...]
) -> tuple[str, ...]:
    """Greedy texts of a network in whole numbers, one by one; the same on every machine."""
    texts = []
    for index in range(len(split)):
        picture = torch.from_numpy(split.utterance(index).T.astype(np.float32))[None]
        scores = torch.from_numpy(scores_of_clips(network, network.quantise(picture.numpy())))
        frames = output_lengths(point, torch.tensor([picture.shape[2]]))
        texts += greedy(scores, frames, characters)
    return tuple(texts)
