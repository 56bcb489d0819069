"""Pictures of a task's clips, computed once and kept on disk as a memory map.

`dse.pictures` says how sound becomes a picture, `dse.variation` how a clip is varied.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.datasets import (
    SPLITS,
    Corpus,
    Drawing,
    Example,
    Split,
    UnreadableSound,
    draw,
    read_clip,
    read_noise,
    scan,
)
from dse.datasets.audio import Samples
from dse.datasets.speech_commands import refuse_empty_classes
from dse.errors import InvalidData
from dse.files import cache_folder
from dse.pictures import clip_samples, compute_features, real_frames
from dse.task import FeatureSpec, Task
from dse.variation import silence, vary

CODE_VERSION = 1
"""Goes up with every change that moves a feature: caches of other versions are not found."""


MAX_UNREADABLE_SHARE = 0.01
MAX_UNREADABLE = 5
"""A run stops when more than this share of the clips, and this many, cannot be read."""

NOISE_SHARES: dict[Split, tuple[float, float]] = {
    "training": (0.0, 0.8),
    "validation": (0.8, 0.9),
    "testing": (0.9, 1.0),
}
"""The part of each background noise that a split may use, from the beginning to the end."""

SMALLEST_DEVIATION = 1e-3
"""A coefficient that varies less is only shifted: dividing would blow up rounding errors."""

_BATCH_CLIPS = 64
_MAX_THREADS = 8
_AT_ONCE = 32  # sounds transformed together: their spectra (7 MB) stay in the processor's cache
_ABANDONED_S = 24 * 3600.0

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many clips are done, how many there are."""


@dataclass(frozen=True)
class FeatureSplit:
    """Pictures of one split."""

    features: NDArray[np.float16]
    """(clips, variants, coefficients, frames), a read-only memory map; not normalised. Variant 0 is
    the clean clip; validation and testing have no other."""
    labels: NDArray[np.int64]
    """(clips,), indices into `SpeechFeatures.classes`."""
    names: tuple[str, ...]
    """Paths relative to the data folder; `_silence_/...` for cut-outs of noise."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class SpeechFeatures:
    """Pictures of a task, ready to train on."""

    training: FeatureSplit
    validation: FeatureSplit
    testing: FeatureSplit
    classes: tuple[str, ...]
    key: str
    """16 hex digits of sounds, labels, task and features: the same wherever the folder stands."""
    mean: NDArray[np.float32]
    """(coefficients,), over the real frames of the clean training clips; zeros without
    normalisation."""
    deviation: NDArray[np.float32]
    """(coefficients,), likewise; ones without normalisation."""
    skipped: tuple[str, ...]
    """`path: reason` of each file that could not be read."""

    def split(self, name: Split) -> FeatureSplit:
        """One split by its name."""
        return {"training": self.training, "validation": self.validation, "testing": self.testing}[
            name
        ]


def load_features(
    data_folder: Path,
    task: Task,
    spec: FeatureSpec,
    cache: Path | None = None,
    report: Report | None = None,
) -> SpeechFeatures:
    """Pictures of all clips of a task: from the cache, or computed and put there.

    The cache is found by names, sizes and times of all files, task, features and code version. A
    damaged one is computed again. Several processes may ask for the same one at once: each computes
    in a folder of its own, the first to finish puts it in place.

    Args:
        data_folder: a folder in the layout of Speech Commands.
        task: which clips are which class.
        spec: how sound becomes pictures.
        cache: folder of caches; by default `features` in `dse.files.cache_folder()`.
        report: told the progress of a computation.

    Raises:
        InvalidData: the folder, a class or too many clips cannot be used.
        OSError: the cache cannot be written.
    """
    corpus = scan(data_folder)
    drawing = draw(corpus, task)
    root = cache if cache is not None else cache_folder() / "features"
    place = root / _cache_name(corpus, task, spec)
    found = _open(place, spec)
    if found is not None:
        return found
    root.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(root)
    # A leading dot: not a cache yet. `mkdtemp` gives each process a folder of its own.
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=root))
    try:
        _compute(corpus, drawing, task, spec, temporary, report)
        kept = _put_in_place(temporary, place, spec)
    except OSError as error:
        if error.filename is None:
            error.filename = str(root)  # a failed write() does not know its file
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return kept


def _cache_name(corpus: Corpus, task: Task, spec: FeatureSpec) -> str:
    digest = hashlib.blake2b(digest_size=12)
    digest.update(_settings(task, spec).encode())
    digest.update(str(corpus.folder.resolve()).encode("utf-8", "surrogateescape"))
    for clip in corpus.clips:
        line = f"{clip.path}\0{clip.split}\0{clip.size_bytes}\0{clip.changed_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    for noise in corpus.noises:
        status = (corpus.folder / noise).stat()
        line = f"{noise}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _settings(task: Task, spec: FeatureSpec) -> str:
    return json.dumps(
        {"code": CODE_VERSION, "task": task.to_dict(), "features": spec.to_dict()}, sort_keys=True
    )


def _put_in_place(temporary: Path, place: Path, spec: FeatureSpec) -> SpeechFeatures:
    """Rename `temporary` to `place`, or take the sound cache that stands there already."""
    for _ in range(10):
        try:
            temporary.rename(place)
        except OSError:
            if not place.exists():
                raise
            found = _open(place, spec)
            if found is not None:
                return found
            # Damaged: moved out of the way in one step, so that nobody sees half of it.
            aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
            try:
                place.rename(aside / "damaged")
            except FileNotFoundError:
                pass  # another process was faster
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        else:
            found = _open(place, spec)
            if found is not None:
                return found
    raise InvalidData(f"the feature cache {place} changes while it is read: remove it and retry")


def _remove_abandoned(root: Path) -> None:
    """Remove what killed processes left behind more than a day ago."""
    for child in root.glob(".*"):
        try:
            if child.is_dir() and time.time() - child.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(child, ignore_errors=True)
        except OSError:
            continue


def _open(place: Path, spec: FeatureSpec) -> SpeechFeatures | None:
    """The cache in `place`, or None where there is none or it is damaged."""
    try:
        text = (place / "contents.json").read_bytes()
        contents = json.loads(text[8:])
        if int(text[:8], 16) != zlib.crc32(text[8:]):
            return None
        splits = {}
        for split in SPLITS:
            labels = np.array(contents[split]["labels"], dtype=np.int64)
            names = tuple(contents[split]["names"])
            features = np.load(place / f"{split}.npy", mmap_mode="r", allow_pickle=False)
            variants = spec.variants if split == "training" else 1
            shape = (len(names), variants, spec.coefficients, spec.frames)
            if features.shape != shape or features.dtype != np.float16 or len(labels) != len(names):
                return None
            if zlib.crc32(features[-1].tobytes()) != contents[split]["last_crc32"]:
                return None
            splits[split] = FeatureSplit(features, labels, names)
        return SpeechFeatures(
            **splits,
            classes=tuple(contents["classes"]),
            key=contents["key"],
            mean=np.array(contents["mean"], dtype=np.float32),
            deviation=np.array(contents["deviation"], dtype=np.float32),
            skipped=tuple(contents["skipped"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


class _Statistics:
    """Running mean and deviation of each coefficient."""

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
        """Both (coefficients,); the deviation is 1 where nothing varies."""
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
        """Note a clip; too many of them stop the run."""
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


def _compute(
    corpus: Corpus,
    drawing: Drawing,
    task: Task,
    spec: FeatureSpec,
    folder: Path,
    report: Report | None,
) -> None:
    total = sum(len(drawing.split(split)) for split in SPLITS)
    skipped = _Skipped(corpus.folder, total)
    noises = _read_noises(corpus, spec, skipped)
    digest = hashlib.blake2b(_settings(task, spec).encode(), digest_size=8)
    statistics = _Statistics(spec.coefficients)
    contents: dict[str, Any] = {"classes": drawing.classes}
    done = 0
    for split in SPLITS:
        examples = drawing.split(split)
        variants = spec.variants if split == "training" else 1
        kept: list[Example] = []
        last_crc32 = 0
        make = partial(_make_batch, corpus.folder, noises[split], task, spec, variants)
        starts = range(0, len(examples), _BATCH_CLIPS)
        for noise in noises[split]:
            digest.update(noise.tobytes())
        with (folder / f"{split}.npy").open("wb") as file:
            _write_header(file, (len(examples), variants, spec.coefficients, spec.frames))
            for batch in _in_threads(make, [examples[s : s + _BATCH_CLIPS] for s in starts]):
                for name, reason in batch.unreadable:
                    skipped.clip(name, reason)
                for example, sound_digest in zip(batch.examples, batch.digests, strict=True):
                    line = f"{split} {example.label} {example.identity}\n"
                    digest.update(line.encode("utf-8", "surrogateescape") + sound_digest)
                if batch.examples:
                    if split == "training":
                        statistics.add(batch.pictures[:, 0, :, real_frames(spec)])
                    rounded = batch.pictures.astype(np.float16)
                    file.write(rounded.tobytes())
                    last_crc32 = zlib.crc32(rounded[-1].tobytes())
                    kept += batch.examples
                done += len(batch.examples) + len(batch.unreadable)
                if report is not None:
                    report("features", done, total)
            file.seek(0)
            _write_header(file, (len(kept), variants, spec.coefficients, spec.frames))
            file.flush()
            os.fsync(file.fileno())
        contents[split] = {
            "names": [example.name for example in kept],
            "labels": [example.label for example in kept],
            "last_crc32": last_crc32,
        }
    for split in SPLITS:
        try:
            refuse_empty_classes(corpus.folder, split, drawing.classes, contents[split]["labels"])
        except InvalidData as error:  # they were there by name, so files could not be read
            raise InvalidData(f"{error} (unreadable: {', '.join(skipped.clips)})") from None
    if spec.normalisation == "training_set":
        mean, deviation = statistics.mean_and_deviation()
    else:
        mean, deviation = np.zeros(spec.coefficients), np.ones(spec.coefficients)
    contents |= {
        "key": digest.hexdigest(),
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "skipped": skipped.clips + skipped.noises,
        "settings": json.loads(_settings(task, spec)),
        "data_folder": str(corpus.folder.resolve()),
    }
    text = json.dumps(contents).encode()
    with (folder / "contents.json").open("wb") as file:
        file.write(f"{zlib.crc32(text):08x}".encode() + text)
        file.flush()
        os.fsync(file.fileno())


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """The head of an .npy file; its length does not depend on the number of clips.

    Written twice, as the number of readable clips is known at the end. Plain writes rather than a
    memory map: on a full disk they raise OSError, where a map kills the process with SIGBUS.
    """
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f2", "fortran_order": False, "shape": shape}
    )


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


def _in_threads(
    make: Callable[[Sequence[Example]], _Batch], batches: Sequence[Sequence[Example]]
) -> Iterator[_Batch]:
    """`make(batch)` for each batch, in order, on a few threads.

    Each thread computes alone: the threads within an operation of torch wait for each other
    actively, which costs five times the work on a machine that has other things to do.
    """
    threads = torch.get_num_threads()
    workers = min(_MAX_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[_Batch]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(make, batch))
                if len(waiting) > 2 * workers:  # no more, so that they do not fill the memory
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(threads)


def _make_batch(
    folder: Path,
    noises: Sequence[Samples],
    task: Task,
    spec: FeatureSpec,
    variants: int,
    examples: Sequence[Example],
) -> _Batch:
    readable: list[Example] = []
    sounds: list[Samples] = []
    unreadable: list[tuple[str, str]] = []
    samples = clip_samples(spec)
    for example in examples:
        if example.clip is None:
            sound = silence(noises, samples, task.seed, example.identity)
        else:
            try:
                sound = read_clip(folder / example.name, spec.sample_rate_hz, samples)
            except UnreadableSound as error:
                unreadable.append((example.name, str(error)))
                continue
        readable.append(example)
        sounds.append(np.ascontiguousarray(sound, dtype=np.float32))
    return _Batch(
        examples=readable,
        pictures=_pictures(readable, sounds, noises, variants, spec),
        digests=[hashlib.blake2b(sound.tobytes()).digest() for sound in sounds],
        unreadable=unreadable,
    )


def _pictures(
    examples: Sequence[Example],
    sounds: Sequence[Samples],
    noises: Sequence[Samples],
    variants: int,
    spec: FeatureSpec,
) -> NDArray[np.float32]:
    """(clips, variants, coefficients, frames)."""
    shape = (len(examples), variants, spec.coefficients, spec.frames)
    if not examples:
        return np.empty(shape, dtype=np.float32)
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


def iterate_batches(split: FeatureSplit, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Clean pictures and labels of a split in order: (n, coefficients, frames) and (n,)."""
    for start in range(0, len(split), size):
        pictures = np.array(split.features[start : start + size, 0])
        labels = np.array(split.labels[start : start + size])
        yield torch.from_numpy(pictures).float(), torch.from_numpy(labels)
