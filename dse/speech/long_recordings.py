"""Long recordings made of clips: words with pauses between them, over noise, for wake words.

    | noise | other | noise | YES | noise | other | YES | ...        half an hour, one split's clips

Clips that shall wake stand among clips of other words, in an order that a seed draws. Between them
are pauses of the corpus's own background noise, of the part that the split may use; the noise goes
on under the words. What is drawn depends on names and seed alone, so the same corpus gives the same
recording.

A trap: a corpus of words has few hours of anything else. One false alarm in an hour cannot be told
from none in ten minutes; whoever reads the rate should know of how long a recording it is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dse.errors import InvalidData, require
from dse.speech.audio import Samples, UnreadableSound, read_clip, read_noise
from dse.speech.feature_computation import NOISE_SHARES
from dse.speech.speech_commands import CLIP_S, Clip, Corpus, Split

PAUSE_S = (0.5, 2.5)
"""Between two clips, shortest and longest."""
NOISE_SNR_DB = 15.0
"""Of the words above the noise below them, in the mean."""
WAKE_SHARE = 0.2
"""Of the clips, those of the words that wake."""
RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Which clips a recording will have, and what is between them; nothing is decoded yet."""

    clips: tuple[Clip, ...]
    """In their order."""
    pauses_s: tuple[float, ...]
    """Before each of them."""
    wake: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of all of it, where every clip can be read."""
        return sum(self.pauses_s) + CLIP_S * len(self.clips) + PAUSE_S[1]

    @property
    def waking(self) -> int:
        """Clips of the words that wake."""
        return sum(clip.word in self.wake for clip in self.clips)


@dataclass(frozen=True, slots=True)
class LongRecording:
    """Sound, and which clips are in it."""

    samples: Samples
    rate_hz: int
    placed: tuple[tuple[float, float, str], ...]
    """Begin and end in seconds, and word, of every clip that is in it."""
    skipped: tuple[str, ...]
    """`path: reason` of each clip that could not be read."""
    digest: str
    """16 hex digits of the sounds that it is made of, as decoded, and their places."""

    @property
    def seconds(self) -> float:
        """Of all of it."""
        return len(self.samples) / self.rate_hz


def record_long(
    corpus: Corpus,
    wake: Sequence[str],
    *,
    split: Split = "testing",
    minutes: float = 10.0,
    wake_share: float = WAKE_SHARE,
    rate_hz: int = RATE_HZ,
    seed: int = 1,
) -> LongRecording:
    """A long recording of a split's clips.

    Args:
        corpus: words and noises.
        wake: the words that shall wake.
        split: whose clips and whose part of the noises.
        minutes: about; it ends earlier where clips end: none is heard twice.
        wake_share: of the clips, those of the words that wake.
        rate_hz: of the sound.
        seed: of order, pauses and noise.

    Raises:
        InvalidData: the split has no clip of a word that wakes, or none of any other.
        InvalidField: `minutes` or `wake_share` is out of range.
    """
    random = np.random.default_rng(seed)
    plan = _plan(corpus, wake, split, minutes, wake_share, random)
    return _record(corpus, plan, split, rate_hz, random)


def plan_long(
    corpus: Corpus,
    wake: Sequence[str],
    *,
    split: Split = "testing",
    minutes: float = 10.0,
    wake_share: float = WAKE_SHARE,
    seed: int = 1,
) -> Plan:
    """What `record_long` will record of the same arguments: how long, and with how many words.

    Raises:
        InvalidData: likewise.
        InvalidField: likewise.
    """
    return _plan(corpus, wake, split, minutes, wake_share, np.random.default_rng(seed))


def _plan(
    corpus: Corpus,
    wake: Sequence[str],
    split: Split,
    minutes: float,
    wake_share: float,
    random: np.random.Generator,
) -> Plan:
    require(0 < minutes <= 600, "minutes", "above 0 and at most 600", minutes)
    require(0 < wake_share < 1, "wake_share", "above 0 and below 1", wake_share)
    mine = [clip for clip in corpus.clips if clip.split == split]
    waking = [clip for clip in mine if clip.word in wake]
    others = [clip for clip in mine if clip.word not in wake]
    for what, found in ((f"of {', '.join(wake)}", waking), ("of another word", others)):
        if not found:
            raise InvalidData(
                f"{corpus.folder} has no clip {what} in its {split} split: name words of the "
                f"folder ({', '.join(corpus.words)}), and leave some that do not wake"
            )
    mean_pause_s = sum(PAUSE_S) / 2
    room = int(60 * minutes / (CLIP_S + mean_pause_s))
    count = min(len(waking), max(1, round(room * wake_share)))
    chosen = [waking[at] for at in random.permutation(len(waking))[:count]]
    chosen += [others[at] for at in random.permutation(len(others))[: max(1, room - count)]]
    order = [chosen[at] for at in random.permutation(len(chosen))]
    pauses_s = tuple(float(random.uniform(*PAUSE_S)) for _ in order)
    return Plan(tuple(order), pauses_s, tuple(wake))


def _record(
    corpus: Corpus, plan: Plan, split: Split, rate_hz: int, random: np.random.Generator
) -> LongRecording:
    length = round(CLIP_S * rate_hz)
    pieces: list[Samples] = []
    placed: list[tuple[float, float, str]] = []
    skipped: list[str] = []
    digest = hashlib.blake2b(digest_size=8)
    at = 0
    for clip, pause_s in zip(plan.clips, plan.pauses_s, strict=True):
        pause = int(pause_s * rate_hz)
        try:
            sound = read_clip(corpus.folder / clip.path, rate_hz, length)
        except UnreadableSound as error:
            skipped.append(f"{clip.path}: {error}")
            continue
        digest.update(f"{clip.word} {pause}\n".encode() + sound.tobytes())
        pieces += [np.zeros(pause, np.float32), sound]
        placed.append(((at + pause) / rate_hz, (at + pause + length) / rate_hz, clip.word))
        at += pause + length
    if not pieces:
        raise InvalidData(
            f"no clip of {corpus.folder} can be read: mend them ({', '.join(skipped[:3])})"
        )
    whole = np.concatenate([*pieces, np.zeros(int(PAUSE_S[1] * rate_hz), np.float32)])
    noises = _noises(corpus, split, rate_hz)
    for noise in noises:
        digest.update(noise.tobytes())
    whole = whole + _noise(noises, len(whole), rate_hz, whole, random)
    return LongRecording(
        whole.astype(np.float32), rate_hz, tuple(placed), tuple(skipped), digest.hexdigest()
    )


def _noises(corpus: Corpus, split: Split, rate_hz: int) -> list[Samples]:
    """The split's part of each noise of the corpus that can be read and is not silent."""
    first, last = NOISE_SHARES[split]
    parts: list[Samples] = []
    for name in corpus.noises:
        try:
            sound = read_noise(corpus.folder / name, rate_hz)
        except UnreadableSound:
            continue
        part = sound[int(first * len(sound)) : int(last * len(sound))]
        if len(part) and part.any():
            parts.append(part)
    return parts


def _noise(
    noises: Sequence[Samples],
    samples: int,
    rate_hz: int,
    speech: Samples,
    random: np.random.Generator,
) -> Samples:
    """Noises one after the other, as loud as `NOISE_SNR_DB` says; white where there are none."""
    parts = [part / np.sqrt(np.mean(np.square(part, dtype=np.float64))) for part in noises]
    if not parts:
        parts = [random.normal(size=rate_hz * 10).astype(np.float32)]
    filled: list[Samples] = []
    while sum(map(len, filled)) < samples:
        filled += [parts[at] for at in random.permutation(len(parts))]
    noise = np.concatenate(filled)[:samples]
    spoken = speech[speech != 0]
    level = np.sqrt(np.mean(np.square(spoken, dtype=np.float64))) if len(spoken) else 0.01
    scaled: Samples = (noise * level * 10 ** (-NOISE_SNR_DB / 20)).astype(np.float32)
    return scaled
