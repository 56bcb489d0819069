"""Frames of all utterances of a task: read, made slower and faster, transformed, written.

`dse.speech.sentence_features` keeps them in a cache; `dse.speech.mfcc` says how sound becomes a
picture.

    for split in training, validation, testing:
        for utterance:                                 on threads, results in order
            transcript as characters                   left out, before anything is decoded, if ...
            read                                       ... or after its length is known
            other speeds, by resampling                (samples / speed,)
            STFT, mel, log; normalised                 (frames, coefficients)
            append to the split's file as float16      on the one thread that asked

In memory are at once the few utterances of the threads, of two minutes at most: 960 hours take
no more than one hour does. What grows is a few bytes an utterance: starts, labels and names.

**Who is left out** (`dse.speech.left_out`). A transcript that is empty or has characters outside
the vocabulary; a sound that cannot be read, holds nothing but zeros, or is shorter than
`Transcription.shortest_s`; in training also what is longer than `longest_s`, as one long utterance
decides how much memory a batch needs. Tests keep their long ones: leaving out what is hard would
flatter the error. Each is named in `skipped`, and counted in a finding.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dse.errors import InvalidData
from dse.speech.audio import Samples, UnreadableSound, duration_s, read_whole, resample
from dse.speech.feature_cache import GrowingArray, write_array
from dse.speech.feature_computation import Report
from dse.speech.left_out import (
    LeftOut,
    absent,
    longest_read_s,
    refuse_too_many,
    told_by_left_out,
    unusable_length,
    unwritable_text,
)
from dse.speech.mfcc import compute_pictures, normalise_utterance
from dse.speech.sentence_corpus import Sentence, SentenceCorpus
from dse.speech.sentence_findings import HeardSentence, told_by_sounds, told_by_texts
from dse.speech.speech_commands import SPLITS, Split
from dse.speech.task import FeatureSpec
from dse.speech.threads import in_threads
from dse.speech.transcription import Transcription
from dse.speech.transcripts import encode, frames_needed, written


@dataclass(frozen=True, slots=True)
class _Made:
    """What a thread made of one utterance."""

    sentence: Sentence
    labels: NDArray[np.uint8]
    frames: tuple[NDArray[np.float16], ...]
    """(frames, coefficients) of each variant."""
    heard: HeardSentence


def compute_sentences(
    corpus: SentenceCorpus,
    task: Transcription,
    spec: FeatureSpec,
    folder: Path,
    settings: str,
    report: Report | None,
) -> dict[str, Any]:
    """Write the frames of all splits into `folder`, training first.

    Args:
        corpus: the utterances.
        task: vocabulary and lengths.
        spec: how sound becomes frames.
        folder: gets four .npy files for each split.
        settings: text that the key of the features covers beside sounds and transcripts.
        report: told the progress.

    Returns:
        What else the cache keeps, as plain data for JSON: for each split its `names` and the
        CRC-32 of its arrays, and `key`, `skipped`, `findings`.

    Raises:
        InvalidData: too many recordings cannot be read, or a split has none that can be used.
    """
    total = len(corpus.sentences)
    left_out = absent(corpus)
    refuse_too_many(corpus, left_out)
    heard: list[HeardSentence] = []
    digest = hashlib.blake2b(settings.encode(), digest_size=8)
    contents: dict[str, Any] = {}
    done = 0
    for split in SPLITS:
        speeds = (1.0, *spec.speeds[: spec.variants - 1]) if split == "training" else (1.0,)
        make = partial(_make, corpus.folder, task, spec, speeds)
        with _Split(folder, split, spec.coefficients) as file:
            for made in in_threads(make, corpus.split(split)):
                if isinstance(made, LeftOut):
                    left_out.append(made)
                    refuse_too_many(corpus, left_out)
                else:
                    file.add(made)
                    heard.append(made.heard)
                    line = f"{split} {made.sentence.name}\n"
                    digest.update(line.encode("utf-8", "surrogateescape"))
                    digest.update(made.labels.tobytes() + made.heard.digest)
                done += 1
                if report is not None:
                    report("features", done, total)
        _refuse_empty(corpus, split, file, left_out)
        contents[split] = file.contents
    return contents | {
        "key": digest.hexdigest(),
        "skipped": [f"{each.path}: {each.detail}" for each in left_out],
        "findings": [
            *told_by_left_out(corpus, left_out),
            *told_by_texts(heard),
            *told_by_sounds(heard, spec.sample_rate_hz),
        ],
    }


class _Split:
    """The arrays of a split on their way to the disk; see `dse.speech.sentences`."""

    def __init__(self, folder: Path, split: Split, coefficients: int) -> None:
        self.folder = folder
        self.split = split
        self.file = GrowingArray(folder / f"{split}.npy", (coefficients,))
        self.starts = [0]
        self.labels: list[NDArray[np.uint8]] = []
        self.names: list[str] = []
        self.contents: dict[str, Any] = {}

    def __enter__(self) -> "_Split":
        self.file.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.file.__exit__(kind, *rest)
        if kind is not None:
            return
        lengths = [len(each) for each in self.labels]
        labels = np.concatenate([np.zeros(0, np.uint8), *self.labels])
        self.contents = {
            "names": self.names,
            "crc32": self.file.crc32,
            "starts": self._write("starts", np.array(self.starts, dtype=np.int64)),
            "labels": self._write("labels", labels),
            "label_starts": self._write("label_starts", np.cumsum([0, *lengths], dtype=np.int64)),
        }

    def _write(self, name: str, array: NDArray[Any]) -> int:
        return write_array(self.folder / f"{self.split}.{name}.npy", array)

    def add(self, made: _Made) -> None:
        """Append an utterance in all its variants."""
        for frames in made.frames:
            self.file.add(frames)
            self.starts.append(self.file.rows)
        self.labels.append(made.labels)
        self.names.append(made.sentence.path)


def _make(
    folder: Path,
    task: Transcription,
    spec: FeatureSpec,
    speeds: Sequence[float],
    sentence: Sentence,
) -> _Made | LeftOut:
    """One utterance in all its variants, or why it is not used."""
    text = written(sentence.text, task)
    path, split = sentence.path, sentence.split
    unwritable = unwritable_text(sentence, text, task)
    if unwritable is not None:
        return unwritable
    try:
        left_out = unusable_length(sentence, duration_s(folder / path), task, spec)
        if left_out is not None:
            return left_out
        recording = read_whole(folder / path, spec.sample_rate_hz, longest_read_s(task))
    except UnreadableSound as error:
        return LeftOut(path, split, "unreadable", str(error))
    sound = recording.samples
    if not sound.any():
        return LeftOut(path, split, "silent", "it holds nothing but zeros")
    labels = encode(text, task.characters)
    frames = tuple(frames_of(at_speed(sound, speed, spec), spec) for speed in speeds)
    return _Made(
        sentence=sentence,
        labels=labels,
        frames=frames,
        heard=HeardSentence(
            name=path,
            split=split,
            text=text,
            speaker=sentence.speaker,
            duration_s=recording.duration_s,
            rate_hz=recording.rate_hz,
            frames=len(frames[0]),
            outputs_needed=frames_needed(labels),
            digest=hashlib.blake2b(sound.tobytes(), digest_size=16).digest(),
        ),
    )


def at_speed(sound: Samples, speed: float, spec: FeatureSpec) -> Samples:
    """`sound` played so many times as fast: shorter, and higher by the same factor, above 1.

    Samples that were taken at `rate` are read as if they had been taken at `speed * rate`, and
    brought back to `rate`.

    Source: Ko et al., "Audio augmentation for speech recognition", Interspeech 2015, section 2.
    """
    if speed == 1.0:
        return sound
    return resample(sound, speed * spec.sample_rate_hz, spec.sample_rate_hz)


def frames_of(sound: Samples, spec: FeatureSpec) -> NDArray[np.float16]:
    """Frames of one utterance, (samples // hop + 1, coefficients), normalised as `spec` says."""
    with torch.no_grad():
        picture = compute_pictures(torch.from_numpy(sound)[None], spec)[0]
        if spec.normalisation == "utterance":
            picture = normalise_utterance(picture)
    frames: NDArray[np.float16] = np.ascontiguousarray(picture.numpy().T.astype(np.float16))
    return frames


def _refuse_empty(
    corpus: SentenceCorpus, split: Split, file: _Split, left_out: Sequence[LeftOut]
) -> None:
    if file.names:
        return
    here = [each for each in left_out if each.split == split]
    first = f" (the first: {here[0].path}: {here[0].detail})" if here else ""
    raise InvalidData(
        f"no utterance of the {split} split of {corpus.folder} can be used, all {len(here):,} are "
        f"left out{first}: widen the task's characters, shortest_s or longest_s, or mend the data"
    )
