"""Sound files as arrays of one length and rate: read, mix down, resample, crop or pad.

The order matters: channels are averaged before resampling (half the work of stereo, the same result
up to rounding, as both are linear), and the length is fitted last, so that a crop is counted in
samples of the wanted rate. Levels stay as recorded: whole-number formats come as fractions of full
scale, and nothing is made louder or quieter.
"""

from dataclasses import dataclass
from pathlib import Path

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
    return fit_length(_decode(path, rate_hz, LONGEST_CLIP_S, middle=True), samples)


def read_noise(path: Path, rate_hz: int) -> Samples:
    """The whole sound in `path` (at most `LONGEST_NOISE_S`) at `rate_hz`, mono.

    Raises:
        UnreadableSound: as `read_clip`.
    """
    return _decode(path, rate_hz, LONGEST_NOISE_S, middle=False)


@dataclass(frozen=True, slots=True)
class Description:
    """A sound file that can be decoded from beginning to end, as it is: not resampled."""

    rate_hz: int
    channels: int
    duration_s: float
    format: str
    """`WAV PCM_16`, `FLAC PCM_16`, ..."""


def describe(path: Path) -> Description:
    """Decode the whole of `path`, a block of 2^20 frames at a time, and say what it holds.

    Decoding to the end is the point: the head of a damaged or cut-off file promises a length that
    its samples do not keep. `duration_s` counts what was decoded.

    Raises:
        UnreadableSound: as `read_clip`.
    """
    frames = 0
    try:
        with soundfile.SoundFile(path) as file:
            while len(block := file.read(frames=1 << 20, dtype="float32", always_2d=True)):
                frames += len(block)
                _refuse_non_numbers(block)
            rate_hz = int(file.samplerate)
            found = Description(
                rate_hz, file.channels, frames / rate_hz, f"{file.format} {file.subtype}"
            )
    except _ERRORS as error:
        raise UnreadableSound(_reason(path, error)) from None
    if not frames:
        raise UnreadableSound("it holds no samples")
    return found


def _refuse_non_numbers(sound: Samples) -> None:
    if not np.isfinite(sound).all():
        raise UnreadableSound("it holds values that are not numbers")


def _decode(path: Path, rate_hz: int, longest_s: float, *, middle: bool) -> Samples:
    try:
        with soundfile.SoundFile(path) as file:
            found_rate_hz = int(file.samplerate)
            limit = round(longest_s * found_rate_hz)
            if middle and len(file) > limit:
                file.seek((len(file) - limit) // 2)
            sound = file.read(frames=limit, dtype="float32", always_2d=True)
    except _ERRORS as error:
        raise UnreadableSound(_reason(path, error)) from None
    if len(sound) == 0:
        raise UnreadableSound("it holds no samples")
    _refuse_non_numbers(sound)
    mono = sound[:, 0] if sound.shape[1] == 1 else sound.mean(axis=1, dtype=np.float32)
    return resample(mono, found_rate_hz, rate_hz)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string).rstrip(". ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return (str(error).replace(str(path), "").strip(" :.") or type(error).__name__).lower()


def resample(sound: Samples, from_hz: int, to_hz: int) -> Samples:
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
