"""Pictures of a task's clips, computed once and kept on disk as a memory map.

`dse.speech.feature_computation` computes them, `dse.speech.feature_cache` keeps folders whole. A
cache is a folder of four files:

    contents.json      CRC-32 of what follows (8 hex digits), then JSON: classes, names and labels
                       of each split, mean and deviation, files skipped, findings, key,
                       settings
    training.npy       float16, (clips, variants, coefficients, frames), C order
    validation.npy     likewise with one variant, the clean one
    testing.npy

Two hashes, for two questions. The folder's *name* is a hash of what can be seen without decoding
(names, sizes and times of files, settings): is there a cache for this? The *key* is a hash of the
decoded sounds and labels: are these the same features? A copied or touched folder is computed again
under another name and gets the same key, so checkpoints and rows of a study still fit it.

Float16 has 11 significant bits: a rounding error of about 2^-11 of each value, for half the disk
and half the memory traffic of float32. Everything is raw; training normalises it.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.errors import InvalidData
from dse.files import cache_folder
from dse.speech.feature_cache import crc32, load_or_compute, read_contents, write_contents
from dse.speech.feature_computation import Report, compute
from dse.speech.findings import name_findings
from dse.speech.speech_commands import SPLITS, Corpus, Drawing, Split, draw, scan
from dse.speech.task import FeatureSpec, Task, Wake
from dse.speech.transcription import check_features
from dse.speech.wake_recordings import WakeRecording, key_with, load_recordings

CODE_VERSION = 1
"""Goes up with every change that moves a feature: caches of other versions are not found.

It is in the key, too, so features of another version count as other features.
"""


@dataclass(frozen=True)
class FeatureSplit:
    """Pictures of one split; row i of `features` is clip `names[i]` of class `labels[i]`.

    Pages of the map are read when they are touched, and the system shares them between processes
    that open the same cache.
    """

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
    """Pictures of a task, to train on after `dse.speech.mfcc.normalise` with `mean`, `deviation`.

    Both are of the training split and serve all three: statistics of the other splits would tell
    the network something about clips that it must not know.
    """

    task: Task
    """How the classes were drawn."""
    spec: FeatureSpec
    """How sound became pictures."""
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
    findings: tuple[str, ...] = ()
    """What the folder says against the errors measured on it, a sentence each
    (`dse.speech.findings`)."""
    recordings: Mapping[Split, WakeRecording] = field(default_factory=dict)
    """Of validation and testing clips, where the task has `wake`: networks are judged on them."""

    @property
    def outputs(self) -> int:
        """Of a network for them: one a class."""
        return len(self.classes)

    def split(self, name: Split) -> FeatureSplit:
        """The pictures of the split of this name, for loops over `SPLITS`."""
        return {"training": self.training, "validation": self.validation, "testing": self.testing}[
            name
        ]

    def count(self, name: Split) -> int:
        """What an error of this split is a share of: its clips, or its recording's wake words."""
        return len(self.recordings[name] if name in self.recordings else self.split(name))


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
    in a folder of its own, the first to finish puts it in place. Recordings of a task with `wake`
    have a cache of their own, so that its clips are those of the same task without it.

    Args:
        data_folder: a folder in the layout of Speech Commands.
        task: which clips are which class.
        spec: how sound becomes pictures.
        cache: folder of caches; by default `features` in `dse.files.cache_folder()`.
        report: told the progress of a computation.

    Raises:
        InvalidData: the folder, a class or too many clips cannot be used, or the clips make no
            recording that the task's `wake` can be judged on.
        InvalidField: a normalisation that is not for words.
        OSError: the cache cannot be written.
    """
    check_features(task, spec)
    corpus = scan(data_folder)
    drawing = draw(corpus, task)
    root = cache if cache is not None else cache_folder() / "features"
    place = root / _cache_name(corpus, task, spec)
    told = told_by_names(corpus, drawing)
    speech = load_or_compute(
        place,
        read=lambda folder: _read(folder, task, spec),
        compute=lambda folder: _compute(corpus, drawing, task, spec, folder, report),
    )
    speech = _with_findings(speech, told)
    if task.wake is None:
        return speech
    check_wake(drawing, task.wake)
    recordings = load_recordings(corpus, task.wake, spec, root)
    key = key_with(speech.key, task.wake, recordings)
    return dataclasses.replace(speech, key=key, recordings=recordings)


def check_wake(drawing: Drawing, wake: Wake) -> None:
    """Refuse words that no output is of: of a task of all words, only the folder says them."""
    for word in wake.words:
        if word not in drawing.classes:
            raise InvalidData(
                f"wake.words: '{word}' is no word of the task, which tells apart "
                f"{', '.join(drawing.classes)}"
            )


def told_by_names(corpus: Corpus, drawing: Drawing) -> tuple[str, ...]:
    """What file names say against errors measured on these clips (`dse.speech.findings`)."""
    clips = Counter(
        (drawing.classes[example.label], split)
        for split in SPLITS
        for example in drawing.split(split)
    )
    return name_findings(corpus, drawing.classes, clips)


def _with_findings(speech: SpeechFeatures, told: tuple[str, ...]) -> SpeechFeatures:
    """With unreadable files and what names tell before what the cache knows of the sounds."""
    damaged: tuple[str, ...] = ()
    if speech.skipped:
        damaged = (
            f"{len(speech.skipped)} files cannot be read and are left out; the first: "
            f"{speech.skipped[0]}",
        )
    return dataclasses.replace(speech, findings=(*damaged, *told, *speech.findings))


def _cache_name(corpus: Corpus, task: Task, spec: FeatureSpec) -> str:
    digest = hashlib.blake2b(digest_size=12)
    digest.update(_settings(task, spec).encode())
    for line in corpus.state():
        digest.update(line)
    return digest.hexdigest()


def _settings(task: Task, spec: FeatureSpec) -> str:
    features = spec.to_dict()
    del features["speeds"]  # of utterances: the keys of words are older than it
    clips = task.to_dict()
    del clips["wake"]  # which makes another recording of the same clips
    return json.dumps({"code": CODE_VERSION, "task": clips, "features": features}, sort_keys=True)


def _compute(
    corpus: Corpus,
    drawing: Drawing,
    task: Task,
    spec: FeatureSpec,
    folder: Path,
    report: Report | None,
) -> None:
    """Fill `folder` with a cache."""
    settings = _settings(task, spec)
    contents = compute(corpus, drawing, task, spec, folder, settings, report)
    contents |= {
        "settings": json.loads(settings),
        "data_folder": str(corpus.folder.resolve()),
    }
    write_contents(folder, contents)


def _read(place: Path, task: Task, spec: FeatureSpec) -> SpeechFeatures | None:
    """The cache in `place`, or None where there is none or it is damaged."""
    try:
        contents = read_contents(place)
        splits: dict[str, FeatureSplit] = {}
        for split in SPLITS:
            labels = np.array(contents[split]["labels"], dtype=np.int64)
            names = tuple(contents[split]["names"])
            features = np.load(place / f"{split}.npy", mmap_mode="r", allow_pickle=False)
            variants = spec.variants if split == "training" else 1
            shape = (len(names), variants, spec.coefficients, spec.frames)
            if features.shape != shape or features.dtype != np.float16 or len(labels) != len(names):
                return None
            if crc32(features) != contents[split]["crc32"]:
                return None
            splits[split] = FeatureSplit(features, labels, names)
        return SpeechFeatures(
            task=task,
            spec=spec,
            training=splits["training"],
            validation=splits["validation"],
            testing=splits["testing"],
            classes=tuple(contents["classes"]),
            key=contents["key"],
            mean=np.array(contents["mean"], dtype=np.float32),
            deviation=np.array(contents["deviation"], dtype=np.float32),
            skipped=tuple(contents["skipped"]),
            findings=tuple(map(str, contents["findings"])),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def iterate_batches(split: FeatureSplit, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Clean pictures and labels of a split in order, for scoring: no shuffle, no varied copies.

    Args:
        split: any of the three.
        size: clips of a batch; the last one has what is left.

    Yields:
        Pictures (n, coefficients, frames) as float32, raw: `dse.speech.mfcc.normalise` comes next;
        and labels (n,).
    """
    for start in range(0, len(split), size):
        pictures = np.array(split.features[start : start + size, 0])
        labels = np.array(split.labels[start : start + size])
        yield torch.from_numpy(pictures).float(), torch.from_numpy(labels)
