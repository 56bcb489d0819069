"""Frames of a transcription task, computed once and kept on disk as memory maps.

`dse.speech.sentence_computation` computes them, `dse.speech.feature_cache` keeps folders whole,
`dse.speech.sentences` says how utterances of any length lie in one array. A cache is a folder of:

    contents.json              names of each split, checksums, utterances skipped, findings, key
    SPLIT.npy                  float16, (frames of all utterances and variants, coefficients)
    SPLIT.starts.npy           int64, where each utterance begins
    SPLIT.labels.npy           uint8, characters of all transcripts
    SPLIT.label_starts.npy     int64, where each transcript begins

As with words, the folder's *name* is a hash of what can be seen without decoding, and the *key* one
of sounds, transcripts and settings: a copied corpus is computed again and gets the same key.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from dse.files import cache_folder
from dse.speech.feature_cache import (
    crc32,
    load_or_compute,
    read_array,
    read_contents,
    write_contents,
)
from dse.speech.feature_computation import Report
from dse.speech.sentence_computation import compute_sentences
from dse.speech.sentence_corpus import SentenceCorpus, refuse_missing_splits
from dse.speech.sentence_folders import scan_sentences
from dse.speech.sentences import SentenceFeatures, SentenceSplit
from dse.speech.speech_commands import SPLITS, Split
from dse.speech.task import FeatureSpec
from dse.speech.transcription import Transcription, check_features

CODE_VERSION = 1
"""Goes up with every change that moves a frame: caches of other versions are not found."""

_USED = (
    "kind",
    "coefficients",
    "sample_rate_hz",
    "window_ms",
    "hop_ms",
    "fft_size",
    "normalisation",
    "variants",
    "speeds",
)
"""Fields of `FeatureSpec` that utterances depend on; the others are of words."""
_USED_OF_TASK = ("characters", "lower_case", "shortest_s", "longest_s")


def load_sentences(
    data_folder: Path,
    task: Transcription,
    spec: FeatureSpec,
    cache: Path | None = None,
    report: Report | None = None,
) -> SentenceFeatures:
    """Frames of all utterances of a task: from the cache, or computed and put there.

    The cache is found by names, sizes and times of all files, transcripts, task, features and code
    version. A damaged one is computed again. Several processes may ask for the same one at once.

    Args:
        data_folder: a folder in LibriSpeech's layout, or with manifests as NeMo writes them.
        task: vocabulary, and lengths that are used.
        spec: how sound becomes frames; `dse.speech.transcription.SENTENCE_FEATURES` is usual.
        cache: folder of caches; by default `features` in `dse.files.cache_folder()`.
        report: told the progress of a computation.

    Raises:
        InvalidData: the folder, a split or too many recordings cannot be used.
        InvalidField: the features are not for utterances.
        OSError: the cache cannot be written.
    """
    check_features(task, spec)
    corpus = scan_sentences(data_folder)
    refuse_missing_splits(corpus)
    root = cache if cache is not None else cache_folder() / "features"
    place = root / _cache_name(corpus, task, spec)
    return load_or_compute(
        place,
        read=lambda folder: _read(folder, task, spec),
        compute=lambda folder: _compute(corpus, task, spec, folder, report),
    )


def _settings(task: Transcription, spec: FeatureSpec) -> str:
    plain = spec.to_dict()
    used = {name: plain[name] for name in _USED}
    used["speeds"] = used["speeds"][: spec.variants - 1]
    drawn = {name: task.to_dict()[name] for name in _USED_OF_TASK}
    return json.dumps({"code": CODE_VERSION, "task": drawn, "features": used}, sort_keys=True)


def _cache_name(corpus: SentenceCorpus, task: Transcription, spec: FeatureSpec) -> str:
    digest = hashlib.blake2b(digest_size=12)
    digest.update(_settings(task, spec).encode())
    digest.update(str(corpus.folder.resolve()).encode("utf-8", "surrogateescape"))
    for each in corpus.sentences:
        parts = (each.path, each.split, each.text, each.speaker, each.size_bytes, each.changed_ns)
        digest.update(repr(parts).encode("utf-8", "surrogateescape"))
    digest.update(repr((corpus.missing, corpus.untold)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _compute(
    corpus: SentenceCorpus,
    task: Transcription,
    spec: FeatureSpec,
    folder: Path,
    report: Report | None,
) -> None:
    settings = _settings(task, spec)
    contents = compute_sentences(corpus, task, spec, folder, settings, report)
    place = {"settings": json.loads(settings), "data_folder": str(corpus.folder.resolve())}
    write_contents(folder, contents | place)


def _read(place: Path, task: Transcription, spec: FeatureSpec) -> SentenceFeatures | None:
    """The cache in `place`, or None where there is none or it is damaged."""
    try:
        contents = read_contents(place)
        splits = {split: _read_split(place, split, contents[split], spec) for split in SPLITS}
        return SentenceFeatures(
            task=task,
            spec=spec,
            **splits,
            key=contents["key"],
            skipped=tuple(contents["skipped"]),
            findings=tuple(contents["findings"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _read_split(
    place: Path, split: Split, contents: dict[str, Any], spec: FeatureSpec
) -> SentenceSplit:
    """One split of a cache.

    Raises:
        ValueError: it is damaged, or its arrays do not fit each other.
    """
    frames = np.load(place / f"{split}.npy", mmap_mode="r", allow_pickle=False)
    starts, labels, label_starts = (
        read_array(place / f"{split}.{name}.npy", contents[name])
        for name in ("starts", "labels", "label_starts")
    )
    names = tuple(contents["names"])
    variants = spec.variants if split == "training" else 1
    fits = (
        frames.dtype == np.float16
        and frames.shape == (starts[-1], spec.coefficients)
        and len(starts) == len(names) * variants + 1
        and len(label_starts) == len(names) + 1
        and label_starts[-1] == len(labels)
    )
    if not fits or crc32(frames) != contents["crc32"]:
        raise ValueError(f"the {split} split of {place} is damaged")
    return SentenceSplit(
        frames=frames,
        starts=starts,
        variants=variants,
        labels=labels,
        label_starts=label_starts,
        names=names,
    )
