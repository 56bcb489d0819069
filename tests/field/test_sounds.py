"""Recordings as disks and careless programs leave them: decoded, or refused with a reason."""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dse.errors import InvalidInput
from dse.speech.audio import UnreadableSound, describe, read_clip, read_noise, read_recording
from tests.field.mutations import check_outcome, damaged_bytes

READERS: list[Callable[[Path], Any]] = [
    describe,
    lambda path: read_clip(path, 16_000, 16_000),
    lambda path: read_recording(path, 16_000, 16_000),
    lambda path: read_noise(path, 16_000),
]


def refused_properly(read: Callable[[Path], Any], path: Path) -> None:
    """Readers of sounds have an error of their own, without the file's name."""
    try:
        read(path)
    except UnreadableSound as error:
        raise InvalidInput(str(error)) from None


def sound(kind: str, samples: np.ndarray | None = None, subtype: str | None = None) -> bytes:
    packed = io.BytesIO()
    tone = np.sin(np.arange(8000) / 9) if samples is None else samples
    soundfile.write(packed, tone, 16_000, format=kind, subtype=subtype)
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_damaged_sounds(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip.{kind.lower()}"
    outcomes = []
    for case in damaged_bytes(sound(kind), 30, seed=9):
        path.write_bytes(case)
        outcomes += [
            check_outcome(lambda read=read: refused_properly(read, path), case) for read in READERS
        ]
    # Frames of FLAC have checksums, so that any damage is seen; a WAV file has none.
    assert len(outcomes) == 30 * len(READERS) and (True in outcomes) == (kind == "WAV")


def with_rate(rate_hz: int) -> bytes:
    content = sound("WAV")
    return content[:24] + struct.pack("<I", rate_hz) + content[28:]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (with_rate(1), "it has 1 samples a second: 1,000 to 1,000,000 are read"),
        (with_rate(2**31 - 1), "it has 2,147,483,647 samples a second"),
        (sound("WAV", np.full(9, 3e38), "FLOAT"), "samples beyond 2.14748e"),
        (sound("WAV", np.full(9, np.nan), "FLOAT"), "values that are not numbers"),
        (b"", "format not recognised"),
    ],
)
def test_heads_and_samples_that_no_sound_has_are_refused(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    for read in READERS:
        with pytest.raises(UnreadableSound, match=said):
            read(path)


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.wav")
    for read in READERS:
        with pytest.raises(UnreadableSound, match="no regular file"):
            read(tmp_path / "clip.wav")
