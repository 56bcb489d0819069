"""Sound files as arrays of one length and rate: read, mix down, resample, crop or pad.

The order matters: channels are averaged before resampling (half the work of stereo, the same result
up to rounding, as both are linear), and the length is fitted last, so that a crop is counted in
samples of the wanted rate. Levels stay as recorded: whole-number formats come as fractions of full
scale, and nothing is made louder or quieter.
"""

import contextlib
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Sound, (samples,), full scale at -1 and 1."""

SUFFIXES = (".wav", ".flac")
"""Files with these endings, in either case, are sounds; all others are passed over."""

LONGEST_CLIP_S = 10.0
"""Of a longer file only the middle is decoded: a stray recording must not fill the memory."""
LONGEST_NOISE_S = 600.0
"""Of a longer noise only the beginning is decoded."""
RATES_HZ = (1_000, 1_000_000)
"""Of a sound: a head that says less or more is damaged, and would be resampled to anything."""
LOUDEST = 2.0**31
"""Of a sample. Full scale is 1, of floats that were whole numbers 2^31; the square of a much larger
one is an infinity in the features, which would reach all clips by their mean."""

_ERRORS = (soundfile.SoundFileError, OSError, ValueError, RuntimeError)
"""What soundfile raises over damaged files; an OSError is an unreadable file, too."""


class UnreadableSound(Exception):
    """One file that cannot be decoded; the message is the reason, without the file name."""


def read_clip(path: Path, rate_hz: int, samples: int) -> Samples:
    """The clip in `path` as `samples` samples at `rate_hz`, mono.

    Channels are averaged; another rate is resampled (soxr, high quality); a longer clip is cropped
    to its middle, a shorter one padded with zeros on both sides (the odd one at the end).

    Raises:
        UnreadableSound: not a WAV or FLAC file, damaged, without samples, or with NaN or infinity.
    """
    return read_recording(path, rate_hz, samples).samples


@dataclass(frozen=True, slots=True)
class Recording:
    """A clip as the features take it, and what was done to the file to get it."""

    samples: Samples
    """(samples,) at the rate of the features."""
    rate_hz: int
    """Of the file, before resampling."""
    duration_s: float
    """Of the file, before cropping and padding."""
    missing_s: float
    """What the file's head promises beyond its end: above 0, the file was cut off."""


def read_recording(path: Path, rate_hz: int, samples: int) -> Recording:
    """As `read_clip`, with what the file was before it was brought to rate and length.

    Raises:
        UnreadableSound: as `read_clip`.
    """
    sound, found_rate_hz, frames = _decode(path, rate_hz, LONGEST_CLIP_S, middle=True)
    return Recording(
        samples=fit_length(sound, samples),
        rate_hz=found_rate_hz,
        duration_s=frames / found_rate_hz,
        missing_s=missing_s(path),
    )


def duration_s(path: Path) -> float:
    """How long the sound in `path` is by its head; nothing is decoded.

    Raises:
        UnreadableSound: as `read_clip`.
    """
    try:
        with _sound(path) as file:
            return len(file) / int(file.samplerate)
    except _ERRORS as error:
        raise UnreadableSound(_reason(path, error)) from None


def read_whole(path: Path, rate_hz: int, longest_s: float) -> Recording:
    """The whole sound in `path`, neither cropped nor padded: for recordings that have a transcript.

    Args:
        path: a WAV or FLAC file.
        rate_hz: of the samples.
        longest_s: of a longer file only so much is decoded; ask for `duration_s` first.

    Raises:
        UnreadableSound: as `read_clip`, and where the file ends before its head says, since then
            the transcript says more than is heard.
    """
    sound, found_rate_hz, frames = _decode(path, rate_hz, longest_s, middle=False)
    length_s = frames / found_rate_hz
    lacking_s = missing_s(path)
    if lacking_s > 0:
        raise UnreadableSound(
            f"it ends {lacking_s:.2f} s before its head says: a copy or download was cut off"
        )
    return Recording(sound, rate_hz=found_rate_hz, duration_s=length_s, missing_s=0.0)


def read_noise(path: Path, rate_hz: int) -> Samples:
    """The whole sound in `path` (at most `LONGEST_NOISE_S`) at `rate_hz`, mono.

    Raises:
        UnreadableSound: as `read_clip`.
    """
    return _decode(path, rate_hz, LONGEST_NOISE_S, middle=False)[0]


_STREAMED_BYTES = 0x7FFF_0000
"""A data chunk of more: written by a program that could not know the length, as to a pipe."""
_MOST_CHUNKS = 64
"""Before the data of a WAV file; there are seldom more than three."""


def missing_s(path: Path) -> float:
    """Seconds that the head of a WAV file promises and that the file does not hold.

    libsndfile takes the length from what is there, so a download that stopped half-way decodes
    without a word as a shorter clip, whose padding teaches a network that the word ends in
    silence. The head tells: its chunk `data` is longer than the rest of the file. (A cut FLAC file
    fails to decode, and needs no such look.)

    Args:
        path: a file that could be decoded; 0 for other formats than RIFF WAVE.

    Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991:
    chunks of 4 letters, length in 32 bits, content padded to an even length.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0.0
        size_bytes = path.stat().st_size
        return _missing_of_chunks(file, size_bytes)


def _missing_of_chunks(file: BinaryIO, size_bytes: int) -> float:
    bytes_per_s = 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return 0.0
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"data":
            there = size_bytes - file.tell()
            known = bytes_per_s > 0 and length < _STREAMED_BYTES
            return max(0, length - there) / bytes_per_s if known else 0.0
        if kind == b"fmt ":
            bytes_per_s = struct.unpack("<HHIIHH", file.read(16).ljust(16, b"\0"))[3]
            length -= 16
        file.seek(length + length % 2, 1)
    return 0.0


@dataclass(frozen=True, slots=True)
class Description:
    """A sound file that can be decoded from beginning to end, as it is: not resampled."""

    rate_hz: int
    channels: int
    duration_s: float
    format: str
    """`WAV PCM_16`, `FLAC PCM_16`, ..."""
    missing_s: float
    """As of `Recording`."""
    silent: bool
    """Whether every sample is zero."""
    digest: bytes
    """Of the samples: equal for two files of the same sound, be one WAV and one FLAC."""


def describe(path: Path) -> Description:
    """Decode the whole of `path`, a block of 2^20 frames at a time, and say what it holds.

    Decoding to the end is the point: the head of a damaged or cut-off file promises a length that
    its samples do not keep. `duration_s` counts what was decoded.

    Raises:
        UnreadableSound: as `read_clip`.
    """
    frames, silent = 0, True
    digest = hashlib.blake2b()
    try:
        with _sound(path) as file:
            while len(block := file.read(frames=1 << 20, dtype="float32", always_2d=True)):
                frames += len(block)
                _refuse_non_numbers(block)
                silent = silent and not block.any()
                digest.update(block.tobytes())
            rate_hz = int(file.samplerate)
            found = Description(
                rate_hz=rate_hz,
                channels=file.channels,
                duration_s=frames / rate_hz,
                format=f"{file.format} {file.subtype}",
                missing_s=missing_s(path),
                silent=silent,
                digest=digest.digest(),
            )
    except _ERRORS as error:
        raise UnreadableSound(_reason(path, error)) from None
    if not frames:
        raise UnreadableSound("it holds no samples")
    return found


def _refuse_non_numbers(sound: Samples) -> None:
    if not np.isfinite(sound).all():
        raise UnreadableSound("it holds values that are not numbers")
    if np.abs(sound).max(initial=0) > LOUDEST:
        raise UnreadableSound(f"it holds samples beyond {LOUDEST:g}, full scale being 1")


@contextlib.contextmanager
def _sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """A sound file whose head can be believed; nothing that one would have to wait for.

    Raises:
        UnreadableSound: it is no regular file, or of a rate that no sound has.
        SoundFileError: it cannot be decoded.
    """
    if path.exists() and not path.is_file():
        raise UnreadableSound("it is no regular file")
    with soundfile.SoundFile(path) as file:
        least_hz, most_hz = RATES_HZ
        if not least_hz <= file.samplerate <= most_hz:
            raise UnreadableSound(
                f"it has {file.samplerate:,} samples a second: {least_hz:,} to {most_hz:,} are read"
            )
        yield file


def _decode(
    path: Path, rate_hz: int, longest_s: float, *, middle: bool
) -> tuple[Samples, int, int]:
    """The sound at `rate_hz`; rate and length in frames of the file."""
    try:
        with _sound(path) as file:
            found_rate_hz = int(file.samplerate)
            limit = round(longest_s * found_rate_hz)
            frames = len(file)
            if middle and frames > limit:
                file.seek((frames - limit) // 2)
            sound = file.read(frames=limit, dtype="float32", always_2d=True)
    except _ERRORS as error:
        raise UnreadableSound(_reason(path, error)) from None
    if len(sound) == 0:
        raise UnreadableSound("it holds no samples")
    _refuse_non_numbers(sound)
    mono = sound[:, 0] if sound.shape[1] == 1 else sound.mean(axis=1, dtype=np.float32)
    return resample(mono, found_rate_hz, rate_hz), found_rate_hz, frames


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string).rstrip(". ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return (str(error).replace(str(path), "").strip(" :.") or type(error).__name__).lower()


def resample(sound: Samples, from_hz: float, to_hz: float) -> Samples:
    """`sound` at another rate; unchanged where the rates agree.

    Band-limited: what lies above half the lower rate is filtered away rather than folded back.

    Args:
        sound: (samples,) at `from_hz`.
        from_hz: rate that it has.
        to_hz: rate wanted.

    Returns:
        About samples * to_hz / from_hz of them; `fit_length` makes the number exact.

    Source: soxr, quality HQ.
    """
    if from_hz == to_hz:
        return np.ascontiguousarray(sound)
    return np.asarray(soxr.resample(sound, from_hz, to_hz), dtype=np.float32)


def fit_length(sound: Samples, samples: int) -> Samples:
    """The middle of `sound`, or `sound` between zeros: exactly `samples` samples.

    An odd sample too many is cut off, and an odd zero put, at the end.
    """
    excess = len(sound) - samples
    if excess >= 0:
        return sound[excess // 2 : excess // 2 + samples]
    before = -excess // 2
    return np.pad(sound, (before, -excess - before))
