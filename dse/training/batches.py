"""What a training is shown: batches of normalised, augmented pictures, every clip once an epoch.

The pictures stay where they are computed from: in a GPU's memory where they fit, else in the
feature cache's memory map, whose pages the system keeps in memory while there is room, once for all
processes that train on them.

    cache (clips, variants, coefficients, frames), float16, on disk
      -> chosen clips and variants, float16    `_take`
      -> normalised, float32                   `dse.speech.mfcc.normalise`
      -> with holes                            `dse.training.augmentation.augment`

Pictures are stored and moved as float16, at half the memory and half the reading.
"""

import math
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.speech.features import FeatureSplit, SpeechFeatures
from dse.speech.mfcc import normalise
from dse.training.augmentation import augment
from dse.training.recipe import Augmentation


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step is shown: clips of one length, or utterances of several with their lengths."""

    pictures: Tensor
    """(clips, coefficients, frames), normalised and augmented, on the device."""
    labels: Tensor
    """(clips,), a class each; or (utterances, characters of the longest), zeros behind the others:
    on the device."""
    lengths: Tensor | None = None
    """(utterances,), frames of each that are real; on the CPU. None where all are."""
    label_lengths: Tensor | None = None
    """(utterances,), characters of each; on the CPU."""

    def __len__(self) -> int:
        return len(self.labels)

    def parts(self, count: int) -> "list[Batch]":
        """Divided into so many, as even as can be; of utterances, each as long as its longest."""
        if count == 1:
            return [self]
        if self.lengths is None or self.label_lengths is None:
            pairs = zip(
                self.pictures.tensor_split(count), self.labels.tensor_split(count), strict=True
            )
            return [Batch(pictures, labels) for pictures, labels in pairs]
        return [
            Batch(
                self.pictures[some, :, : int(self.lengths[some].max())],
                self.labels[some, : int(self.label_lengths[some].max())],
                self.lengths[some],
                self.label_lengths[some],
            )
            for some in torch.arange(len(self)).tensor_split(count)
        ]


@dataclass(frozen=True, slots=True)
class Epoch:
    """All batches of one epoch."""

    count: int
    batches: Iterator[Batch]
    """As many; each is made when it is asked for."""


MEMORY_SHARE = 0.5
"""The training pictures are brought to memory if they take at most this share of what is free."""


class Batches:
    """The training split of a task, ready to be shown in batches.

    Holds no random state: `epoch` with a generator in the same state gives the same batches.
    """

    def __init__(
        self,
        features: SpeechFeatures,
        settings: Augmentation,
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Bring the pictures to memory where they fit."""
        self.split = features.training
        self.settings = settings
        self.device = device
        self.sizes = batch_sizes(len(self.split.labels), batch_size)
        self.pictures = _resident(self.split, device)
        self.mean = torch.tensor(features.mean).to(device)
        self.deviation = torch.tensor(features.deviation).to(device)

    def epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures (clips, coefficients, frames) and labels of all batches of one epoch.

        Each clip comes once, in one of its variants: an epoch has as many steps with variants as
        without, and other variants come in other epochs.

        Args:
            generator: on the CPU; decides order, variants and holes. Order and variants are the
                same on every device, holes are drawn on the device and differ between kinds of it.

        Yields:
            Pictures in float32 and labels (clips,), both on the device.
        """
        clips, variants = self.split.features.shape[:2]
        order = torch.randperm(clips, generator=generator)
        variant = (
            torch.randint(variants, (clips,), generator=generator)
            if self.settings.varied
            else torch.zeros(clips, dtype=torch.int64)
        )
        holes = torch.Generator(self.device)
        holes.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        for chosen in torch.split(order, self.sizes):
            labels = torch.from_numpy(self.split.labels[chosen.numpy()]).to(self.device)
            pictures = self._take(chosen, variant[chosen])
            pictures = normalise(pictures, self.mean, self.deviation)
            yield augment(pictures, self.settings, holes), labels

    def _take(self, clips: Tensor, variants: Tensor) -> Tensor:
        if isinstance(self.pictures, Tensor):
            return self.pictures[clips.to(self.device), variants.to(self.device)]
        return torch.from_numpy(self.pictures[clips.numpy(), variants.numpy()]).to(self.device)


def batch_sizes(clips: int, limit: int) -> list[int]:
    """Sizes of an epoch's batches: as few and as even as `limit` allows, none of a single clip.

    1,823 clips at 64 are 29 batches of 62 and 63. Only three clips at a limit of two would leave
    one alone; they make one batch of three.
    """
    count = max(1, min(math.ceil(clips / limit), clips // 2))
    return [len(part) for part in np.array_split(np.empty(clips), count)]


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Weight of each class, clips / (classes * clips of the class): 1 on average over the clips.

    So each class has about the same part in the loss of an epoch, however many clips it has.

    Args:
        labels: (clips,), of the training split.
        classes: how many there are; one without clips counts as if it had one.

    Returns:
        (classes,), float32.
    """
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(len(labels) / (classes * np.maximum(counts, 1))).float()


def _resident(split: FeatureSplit, device: torch.device) -> Tensor | NDArray[np.float16]:
    """The pictures as a tensor on the GPU where they fit, else the memory map.

    On a CPU they are never copied: several processes that train on one task share the pages of the
    map, where each copy would take its own memory.
    """
    stored = split.features
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        if stored.nbytes <= MEMORY_SHARE * free_bytes:
            return torch.from_numpy(np.array(stored)).to(device)
    elif stored.nbytes <= MEMORY_SHARE * free_memory_bytes():
        _read_ahead(stored)
    return stored


def _read_ahead(stored: NDArray[np.float16]) -> None:
    """Have the system read a map's file into memory while the network is built."""
    pages = getattr(stored, "_mmap", None)
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_WILLNEED"):
        pages.madvise(mmap.MADV_WILLNEED)


def free_memory_bytes() -> int:
    """Memory that processes may still take, 0 where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError):
        return 0
