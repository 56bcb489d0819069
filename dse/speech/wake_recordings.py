"""The long recordings that a task with `wake` is judged on, as columns of features, in a cache.

    corpus, task.wake -> plan (is it long enough? no sound is read) -> sound -> columns, float16

One of validation clips, one of testing clips: the first judges the networks of a search, the second
those that are confirmed. Speakers of training are in neither. Columns are raw, like pictures of
clips, and rounded to float16 as they are: a window over a clip is what the clip was in its split.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.errors import InvalidData
from dse.speech.audio import Samples
from dse.speech.feature_cache import (
    GrowingArray,
    crc32,
    load_or_compute,
    read_contents,
    write_contents,
)
from dse.speech.long_recordings import Plan, plan_long, record_long
from dse.speech.mfcc import compute_pictures, hop_samples
from dse.speech.speech_commands import CLIP_S, Corpus, Split
from dse.speech.task import FeatureSpec, Wake

CODE_VERSION = 1
"""Goes up with every change that moves a recording or a column of it."""
JUDGING: tuple[Split, ...] = ("validation", "testing")
FEWEST_WORDS = 10
"""Wake words of a recording: one that is missed is 10 points of the error."""
COLUMNS_AT_ONCE = 20_000
"""Of spectra in memory: 200 s of sound, 50 MB."""


@dataclass(frozen=True)
class WakeRecording:
    """A long recording as a network hears it."""

    columns: NDArray[np.float16]
    """(columns, coefficients), one every hop of the features; raw."""
    spoken: tuple[tuple[float, float], ...]
    """Begin and end in seconds of each wake word, in their order."""
    others: int
    """Words in it that shall not wake."""
    seconds: float
    """Of all of it."""
    digest: str
    """Of the sounds that it is made of."""

    def __len__(self) -> int:
        """Wake words: what an error is a share of."""
        return len(self.spoken)


def load_recordings(
    corpus: Corpus, wake: Wake, spec: FeatureSpec, root: Path
) -> dict[Split, WakeRecording]:
    """The recordings of both splits that judge, from the cache in `root` or computed.

    Raises:
        InvalidData: a recording has too few wake words, or is too short for the rate of alarms.
        OSError: the cache cannot be written.
    """
    check_recordings(corpus, wake)
    return load_or_compute(
        root / f"wake-{_cache_name(corpus, wake, spec)}",
        read=lambda folder: _read(folder, spec),
        compute=lambda folder: _compute(corpus, wake, spec, folder),
    )


def check_recordings(corpus: Corpus, wake: Wake) -> dict[Split, Plan]:
    """What the recordings of both splits will be; nothing is decoded.

    A rate of false alarms can be kept or not only where one alarm is not already more than it: in a
    recording of `seconds` one alarm is 3600 / seconds an hour.

    Raises:
        InvalidData: a split has fewer than `FEWEST_WORDS` wake words, or a recording is too short.
    """
    plans: dict[Split, Plan] = {}
    words = ", ".join(wake.words)
    for split in JUDGING:
        plan = plan_long(corpus, wake.words, split=split, minutes=wake.minutes, seed=wake.seed)
        if plan.waking < FEWEST_WORDS:
            raise InvalidData(
                f"a recording of {corpus.folder}'s {split} clips has {plan.waking} of {words}, and "
                f"at least {FEWEST_WORDS} are needed to tell misses from luck: add clips, name "
                "more wake.words, or set more wake.minutes"
            )
        least = 3600 / (plan.seconds - CLIP_S)  # the first window is told when it is over
        if wake.false_alarms_per_hour < least:
            raise InvalidData(
                f"a recording of {corpus.folder}'s {split} clips is {plan.seconds / 60:.1f} "
                f"minutes long, in which one false alarm is {least:.2f} an hour, more than "
                f"wake.false_alarms_per_hour, {wake.false_alarms_per_hour:g}: raise it, set more "
                "wake.minutes, or add clips"
            )
        plans[split] = plan
    return plans


def key_with(key: str, wake: Wake, recordings: dict[Split, WakeRecording]) -> str:
    """The key of features that are judged on recordings: 16 hex digits, of those of both."""
    digest = hashlib.blake2b(f"{key} {_settings(wake)}".encode(), digest_size=8)
    for split in JUDGING:
        digest.update(f"{split} {recordings[split].digest}".encode())
    return digest.hexdigest()


def columns_of(samples: Samples, spec: FeatureSpec) -> Iterator[Tensor]:
    """All columns of a recording, a part at a time: (coefficients, some columns), raw.

    Each part is computed with what lies around it, which is cut off: the parts put together are the
    columns of the whole.
    """
    sound = torch.from_numpy(samples)
    hop = hop_samples(spec)
    margin = -(-spec.fft_size // hop)  # columns that hear the mirror image at an end
    total = len(sound) // hop + 1
    for first in range(0, total, COLUMNS_AT_ONCE):
        last = min(total, first + COLUMNS_AT_ONCE)
        begin = max(0, first - margin)
        piece = sound[begin * hop : (last + margin) * hop]
        with torch.no_grad():
            picture = compute_pictures(piece[None], spec)[0]
        yield picture[:, first - begin : last - begin]


def _settings(wake: Wake) -> str:
    """All that a recording and its judgement depend on, as a text."""
    return json.dumps({"code": CODE_VERSION, "wake": dataclasses.asdict(wake)}, sort_keys=True)


def _cache_name(corpus: Corpus, wake: Wake, spec: FeatureSpec) -> str:
    recorded = (sorted(wake.words), wake.minutes, wake.seed)
    digest = hashlib.blake2b(digest_size=12)
    digest.update(json.dumps([CODE_VERSION, recorded, spec.to_dict()]).encode())
    for line in corpus.state():
        digest.update(line)
    return digest.hexdigest()


def _compute(corpus: Corpus, wake: Wake, spec: FeatureSpec, folder: Path) -> None:
    """Fill `folder` with a cache: `contents.json` and an .npy file a split."""
    contents: dict[str, Any] = {}
    for split in JUDGING:
        recording = record_long(
            corpus,
            wake.words,
            split=split,
            minutes=wake.minutes,
            rate_hz=spec.sample_rate_hz,
            seed=wake.seed,
        )
        with GrowingArray(folder / f"{split}.npy", (spec.coefficients,)) as file:
            for part in columns_of(recording.samples, spec):
                file.add(part.T.contiguous().numpy())
        spoken = [(begin, end) for begin, end, word in recording.placed if word in wake.words]
        contents[split] = {
            "spoken": spoken,
            "others": len(recording.placed) - len(spoken),
            "seconds": recording.seconds,
            "digest": recording.digest,
            "crc32": file.crc32,
        }
    write_contents(folder, contents)


def _read(folder: Path, spec: FeatureSpec) -> dict[Split, WakeRecording] | None:
    """The cache in a folder, or None where there is none or it is damaged."""
    try:
        contents = read_contents(folder)
        found: dict[Split, WakeRecording] = {}
        for split in JUDGING:
            plain = contents[split]
            columns = np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False)
            if columns.dtype != np.float16 or columns.shape[1:] != (spec.coefficients,):
                return None
            if crc32(columns) != plain["crc32"]:
                return None
            found[split] = WakeRecording(
                columns=columns,
                spoken=tuple((float(begin), float(end)) for begin, end in plain["spoken"]),
                others=int(plain["others"]),
                seconds=float(plain["seconds"]),
                digest=str(plain["digest"]),
            )
        return found
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
