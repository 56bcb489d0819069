"""What a training of sentences is shown: batches of utterances of like length, bounded in frames.

A batch is as long as its longest utterance, and what stands behind the shorter ones is computed and
thrown away. So utterances of like length go together; and memory goes by frames, not by utterances:
32 of one second are 3,200 frames, 32 of 35 seconds 112,000.

    lengths of this epoch's variants, each times 1 .. 1 + SPREAD    so that neighbours change
      -> sorted, the longest first
      -> cut where another one would exceed `batch_frames` or `batch_size`
      -> batches shuffled

An utterance that is longer than `batch_frames` by itself is a batch by itself. So no batch takes
more memory than max(batch_frames, longest utterance) frames do.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.speech.sentences import SentenceSplit
from dse.training.augmentation import augment
from dse.training.batches import Batch, Epoch
from dse.training.recipe import Recipe

SPREAD = 0.1
"""Lengths are sorted after each was multiplied by 1 to 1.1: an utterance meets others in each
epoch, for at most a tenth of padding."""

Chosen = NDArray[np.int64]


def cut_by_frames(lengths: Chosen, order: Chosen, most_frames: int, most: int) -> list[Chosen]:
    """Divide utterances into batches along an order, each as long as fits.

    Args:
        lengths: (utterances,), in frames.
        order: indices of the utterances that are divided.
        most_frames: longest utterance of a batch times its utterances, at most; but for a batch of
            a single longer one.
        most: utterances of a batch.

    Returns:
        Indices of each batch, in that order; every one once.
    """
    batches: list[Chosen] = []
    start, longest = 0, 0
    for place, index in enumerate(order):
        longer = max(longest, int(lengths[index]))
        count = place - start + 1
        if count > 1 and (count > most or longer * count > most_frames):
            batches.append(order[start:place])
            start, longer = place, int(lengths[index])
        longest = longer
    if start < len(order):
        batches.append(order[start:])
    return batches


class LengthBatches:
    """The training split of sentences, ready to be shown in batches.

    Holds no random state: `epoch` with a generator in the same state gives the same batches.
    """

    def __init__(
        self, split: SentenceSplit, chosen: Chosen, recipe: Recipe, device: torch.device
    ) -> None:
        """Remember which utterances of the split are shown, and how."""
        self.split = split
        self.chosen = chosen
        self.recipe = recipe
        self.device = device

    def epoch(self, generator: torch.Generator) -> Epoch:
        """Every utterance once, in one of its variants.

        Args:
            generator: on the CPU; decides variants, batches, their order, and holes. All but the
                holes are the same on every device.
        """
        settings = self.recipe.augmentation
        count = len(self.chosen)
        variants = np.zeros(count, dtype=np.int64)
        if settings.varied:
            variants = torch.randint(self.split.variants, (count,), generator=generator).numpy()
        places = self.chosen * self.split.variants + variants
        lengths = self.split.starts[places + 1] - self.split.starts[places]
        spread = 1 + SPREAD * torch.rand(count, generator=generator, dtype=torch.float64).numpy()
        order = np.argsort(-lengths * spread, kind="stable")
        batches = cut_by_frames(lengths, order, self.recipe.batch_frames, self.recipe.batch_size)
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        holes = torch.Generator(self.device)
        holes.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return Epoch(
            len(batches), self._shown([batches[index] for index in shuffled], variants, holes)
        )

    def _shown(
        self, batches: list[Chosen], variants: NDArray[np.int64], holes: torch.Generator
    ) -> Iterator[Batch]:
        for some in batches:
            batch = padded(self.split, self.chosen[some], variants[some], self.device)
            assert batch.lengths is not None
            lengths = batch.lengths.to(self.device)
            pictures = augment(batch.pictures, self.recipe.augmentation, holes, lengths)
            yield Batch(pictures, batch.labels, batch.lengths, batch.label_lengths)


def padded(
    split: SentenceSplit,
    utterances: Chosen,
    variants: NDArray[np.int64],
    device: torch.device | str,
) -> Batch:
    """Utterances as one batch, zeros behind the shorter ones; neither normalised nor augmented.

    Args:
        split: their split.
        utterances: indices.
        variants: of each.
        device: for pictures and labels.
    """
    pairs = zip(utterances.tolist(), variants.tolist(), strict=True)
    frames = [split.utterance(index, variant) for index, variant in pairs]
    texts = [split.transcript(int(index)) for index in utterances]
    lengths, label_lengths = _counts(frames), _counts(texts)
    coefficients = split.frames.shape[1]
    pictures = np.zeros((len(frames), coefficients, int(lengths.max())), np.float32)
    labels = np.zeros((len(texts), int(label_lengths.max())), np.int64)
    for row, (picture, text) in enumerate(zip(frames, texts, strict=True)):
        pictures[row, :, : len(picture)] = picture.T
        labels[row, : len(text)] = text
    return Batch(
        torch.from_numpy(pictures).to(device),
        torch.from_numpy(labels).to(device),
        lengths,
        label_lengths,
    )


def _counts(parts: list[NDArray[np.float16]] | list[NDArray[np.uint8]]) -> Tensor:
    return torch.tensor([len(part) for part in parts])
