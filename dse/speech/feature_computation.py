"""Pictures of all clips of a task: read, varied, transformed on a few threads, and written.

`dse.speech.features` keeps them in a cache; `dse.speech.mfcc` says how sound becomes a picture,
`dse.speech.variation` how a clip is varied.

    for split in training, validation, testing:
        for batch of 64 examples:                     on threads, results in order
            read, crop or pad, vary                   (clips * variants, samples) float32
            STFT, mel, log, DCT, 32 at a time         (clips, variants, coefficients, frames)
            digest, statistics, write as float16      on the one thread that asked

Order is kept although threads finish in any: the digest of the features, the file and the sums of
the statistics come out the same to the bit for each number of threads.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dse.errors import InvalidData
from dse.speech.audio import Samples, UnreadableSound, read_noise, read_recording
from dse.speech.feature_cache import GrowingArray
from dse.speech.findings import (
    MAX_UNREADABLE,
    MAX_UNREADABLE_SHARE,
    Heard,
    sound_findings,
)
from dse.speech.mfcc import clip_samples, compute_features, real_frames
from dse.speech.speech_commands import (
    CLIP_S,
    SPLITS,
    Corpus,
    Drawing,
    Example,
    Split,
    refuse_empty_classes,
)
from dse.speech.task import FeatureSpec, Task
from dse.speech.threads import in_threads
from dse.speech.variation import silence, vary

NOISE_SHARES: dict[Split, tuple[float, float]] = {
    "training": (0.0, 0.8),
    "validation": (0.8, 0.9),
    "testing": (0.9, 1.0),
}
"""The part of each background noise that a split may use, from the beginning to the end.

There are only a few noises, so they cannot be parted by file; parted in time, no split hears a
piece that another one was trained with.
"""

SMALLEST_DEVIATION = 1e-3
"""A coefficient that varies less is only shifted: dividing would blow up rounding errors."""

_BATCH_CLIPS = 64
_AT_ONCE = 32  # sounds transformed together: their spectra (7 MB) stay in the processor's cache

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many clips are done, how many there are."""


class _Statistics:
    """Running mean and deviation of each coefficient: sums of x and of x^2.

    In 64 bits, since mean(x^2) - mean(x)^2 takes the difference of two large numbers: in 32 bits
    the deviation of a coefficient far from zero would be noise. Rounding may still leave a
    difference a little below 0, hence the maximum.
    """

    def __init__(self, coefficients: int) -> None:
        self.count = 0
        self.total = np.zeros(coefficients)
        self.squares = np.zeros(coefficients)

    def add(self, pictures: NDArray[np.float32]) -> None:
        """Take in (clips, coefficients, frames)."""
        values = pictures.astype(np.float64)
        self.count += values.shape[0] * values.shape[2]
        self.total += values.sum(axis=(0, 2))
        self.squares += np.square(values).sum(axis=(0, 2))

    def mean_and_deviation(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both (coefficients,); the deviation is 1 where nothing varies.

        Of the population (divided by the count, not by one less), over all clips and frames.
        """
        mean = self.total / self.count
        deviation = np.sqrt(np.maximum(0, self.squares / self.count - np.square(mean)))
        return mean, np.where(deviation < SMALLEST_DEVIATION, 1.0, deviation)


class _Skipped:
    """Files that could not be read, until there are too many."""

    def __init__(self, folder: Path, total: int) -> None:
        self.folder = folder
        self.total = total
        self.clips: list[str] = []
        self.noises: list[str] = []

    def clip(self, name: str, reason: str) -> None:
        """Note a clip; too many of them stop the run.

        A few damaged files in a large corpus are usual. Many are a wrong folder or a bad disk,
        which one wants to hear of before a day of training.

        Raises:
            InvalidData: more than `MAX_UNREADABLE` clips and more than `MAX_UNREADABLE_SHARE`.
        """
        self.clips.append(f"{name}: {reason}")
        limit = max(MAX_UNREADABLE, MAX_UNREADABLE_SHARE * self.total)
        if len(self.clips) > limit:
            raise InvalidData(
                f"{len(self.clips)} of {self.total} clips in {self.folder} cannot be read, at most "
                f"{int(limit)} may be: mend or remove them (the first: {self.clips[0]})"
            )


@dataclass(frozen=True)
class _Batch:
    """What one thread made of some examples of a split."""

    examples: list[Example]
    """Those that could be read."""
    pictures: NDArray[np.float32]
    """(clips, variants, coefficients, frames)."""
    digests: list[bytes]
    """Of the sounds."""
    unreadable: list[tuple[str, str]]
    """Name and reason."""
    heard: list[Heard]
    """What the files were; cut-outs of noise are not among them."""


def compute(
    corpus: Corpus,
    drawing: Drawing,
    task: Task,
    spec: FeatureSpec,
    folder: Path,
    settings: str,
    report: Report | None,
) -> dict[str, Any]:
    """Write the pictures of all splits into `folder`, training first.

    Args:
        corpus: the sounds.
        drawing: the examples of each split.
        task: its seed draws silence.
        spec: how sound becomes pictures.
        folder: gets an .npy file for each split.
        settings: text that the key of the features covers beside sounds and labels.
        report: told the progress.

    Returns:
        What else the cache keeps, as plain data for JSON: `classes`, for each split its `names`,
        `labels` and `crc32`, and `key`, `mean`, `deviation`, `skipped`, `findings`.

    Raises:
        InvalidData: too many files cannot be read, or a class has none that can.
    """
    # What the key covers: settings, then for each split its noises and the label, identity and
    # sound of each readable example; neither folder nor times: the same sounds in another place
    # are the same features, though their cache has another name.
    total = sum(len(drawing.split(split)) for split in SPLITS)
    skipped = _Skipped(corpus.folder, total)
    noises = _read_noises(corpus, spec, skipped)
    digest = hashlib.blake2b(settings.encode(), digest_size=8)
    statistics = _Statistics(spec.coefficients)
    contents: dict[str, Any] = {"classes": drawing.classes}
    heard: list[Heard] = []
    done = 0
    for split in SPLITS:
        variants = spec.variants if split == "training" else 1
        make = partial(_make_batch, corpus.folder, drawing, noises[split], task, spec, variants)
        for noise in noises[split]:
            digest.update(noise.tobytes())
        kept: list[Example] = []
        row = (variants, spec.coefficients, spec.frames)
        with GrowingArray(folder / f"{split}.npy", row) as file:
            for batch in in_threads(make, _cut(drawing.split(split))):
                for name, reason in batch.unreadable:
                    skipped.clip(name, reason)
                for example, sound_digest in zip(batch.examples, batch.digests, strict=True):
                    line = f"{split} {example.label} {example.identity}\n"
                    digest.update(line.encode("utf-8", "surrogateescape") + sound_digest)
                if batch.examples:
                    # Clean clips only, before they are rounded to float16.
                    if split == "training":
                        statistics.add(batch.pictures[:, 0, :, real_frames(spec)])
                    file.add(batch.pictures)
                    kept += batch.examples
                heard += batch.heard
                done += len(batch.examples) + len(batch.unreadable)
                if report is not None:
                    report("features", done, total)
        contents[split] = {
            "names": [example.name for example in kept],
            "labels": [example.label for example in kept],
            "crc32": file.crc32,
        }
    _refuse_unreadable_classes(corpus, drawing, contents, skipped)
    mean, deviation = statistics.mean_and_deviation()
    if spec.normalisation != "training_set":
        mean, deviation = np.zeros(spec.coefficients), np.ones(spec.coefficients)
    return contents | {
        "key": digest.hexdigest(),
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "skipped": skipped.clips + skipped.noises,
        "findings": sound_findings(heard, CLIP_S, spec.sample_rate_hz),
    }


def _cut(examples: Sequence[Example]) -> list[Sequence[Example]]:
    starts = range(0, len(examples), _BATCH_CLIPS)
    return [examples[start : start + _BATCH_CLIPS] for start in starts]


def _refuse_unreadable_classes(
    corpus: Corpus, drawing: Drawing, contents: dict[str, Any], skipped: _Skipped
) -> None:
    for split in SPLITS:
        try:
            refuse_empty_classes(corpus.folder, split, drawing.classes, contents[split]["labels"])
        except InvalidData as error:  # they were there by name, so files could not be read
            raise InvalidData(f"{error} (unreadable: {', '.join(skipped.clips)})") from None


def _read_noises(
    corpus: Corpus, spec: FeatureSpec, skipped: _Skipped
) -> dict[Split, list[Samples]]:
    noises: dict[Split, list[Samples]] = {split: [] for split in SPLITS}
    for name in corpus.noises:
        try:
            sound = read_noise(corpus.folder / name, spec.sample_rate_hz)
        except UnreadableSound as error:
            skipped.noises.append(f"{name}: {error}")
            continue
        for split, (start, end) in NOISE_SHARES.items():
            part = sound[int(start * len(sound)) : int(end * len(sound))]
            if len(part):
                noises[split].append(part)
    return noises


def _make_batch(
    folder: Path,
    drawing: Drawing,
    noises: Sequence[Samples],
    task: Task,
    spec: FeatureSpec,
    variants: int,
    examples: Sequence[Example],
) -> _Batch:
    readable: list[Example] = []
    sounds: list[Samples] = []
    unreadable: list[tuple[str, str]] = []
    heard: list[Heard] = []
    samples = clip_samples(spec)
    for example in examples:
        if example.clip is None:
            sound = silence(noises, samples, task.seed, example.identity)
        else:
            try:
                recording = read_recording(folder / example.name, spec.sample_rate_hz, samples)
            except UnreadableSound as error:
                unreadable.append((example.name, str(error)))
                continue
            sound = recording.samples
            heard.append(
                Heard(
                    name=example.name,
                    label=drawing.classes[example.label],
                    split=example.clip.split,
                    duration_s=recording.duration_s,
                    rate_hz=recording.rate_hz,
                    missing_s=recording.missing_s,
                    silent=not sound.any(),
                    digest=hashlib.blake2b(sound.tobytes()).digest(),
                )
            )
        readable.append(example)
        sounds.append(np.ascontiguousarray(sound, dtype=np.float32))
    return _Batch(
        examples=readable,
        pictures=_pictures(readable, sounds, noises, variants, spec),
        digests=[hashlib.blake2b(sound.tobytes()).digest() for sound in sounds],
        unreadable=unreadable,
        heard=heard,
    )


def _pictures(
    examples: Sequence[Example],
    sounds: Sequence[Samples],
    noises: Sequence[Samples],
    variants: int,
    spec: FeatureSpec,
) -> NDArray[np.float32]:
    """Pictures of all versions of some sounds: (clips, variants, coefficients, frames)."""
    shape = (len(examples), variants, spec.coefficients, spec.frames)
    if not examples:
        return np.empty(shape, dtype=np.float32)
    # Clip by clip, its variants side by side: the order that reshape() at the end takes them in.
    versions = [
        sound if variant == 0 else vary(sound, noises, spec, example.identity, variant)
        for example, sound in zip(examples, sounds, strict=True)
        for variant in range(variants)
    ]
    with torch.no_grad():
        parts = [
            compute_features(torch.from_numpy(np.stack(versions[start : start + _AT_ONCE])), spec)
            for start in range(0, len(versions), _AT_ONCE)
        ]
    return torch.cat(parts).numpy().reshape(shape)
