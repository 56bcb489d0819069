"""eSpeak NG through ctypes: words spoken by made-up voices.

The library keeps state between utterances (phase, noise) in variables that even its own
`espeak_Terminate` does not reset. So that a clip depends on nothing but its own settings, each
speaker speaks in a fork of a process in which nothing has been said yet. The process that loads the
library is a worker of `dse.speech.synthesis`, never the user's: a crash in there hurts nobody.

Source: espeak-ng 1.52, speak_lib.h.
"""

import ctypes
import importlib.util
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dse.errors import InvalidData

ACCENTS = (
    "gmw/en",
    "gmw/en-US",
    "gmw/en-GB-scotland",
    "gmw/en-GB-x-rp",
    "gmw/en-GB-x-gbclan",
    "gmw/en-GB-x-gbcwmd",
    "gmw/en-029",
    "gmw/en-US-nyc",
)
"""British, American, Scottish, Received Pronunciation, Lancastrian, West Midlands, Caribbean,
New York: identifiers of eSpeak NG's voice files."""

_VOICE_NAMES = """
    f1 m1 f2 m2 f3 m3 f4 m4 f5 m5 Alicia m6 Andrea m7 Annie m8 anika Alex aunty Andy belinda
    adam grandma announcer linda antonio steph benjamin steph2 boris steph3 caleb shelby david
    Denis Diogo ed edward edward2 Gene grandpa gustave Henrique Hugo ian iven2 iven3 iven4 Jacky
    john kaukovalta Lee klatt2 klatt3 marcelo Mario max Michael michel miguel Mike norbert Nguyen
    pablo paul pedro quincy Reed rob robert sandro Storm travis Tweaky victor zac"""
VOICES = tuple(_VOICE_NAMES.split())
"""Variants of eSpeak NG's voices that sound like people; robots and whispers are left out."""

SAMPLE_RATE_HZ = 22_050
"""What eSpeak NG produces."""

_OUTPUT_RETRIEVAL_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, no thread
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: an error is returned instead
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeakRATE, espeakPITCH, espeakRANGE
_CHARACTERS_UTF8 = 1
_FASTEST_WORDS_PER_MINUTE = 450


@dataclass(frozen=True, slots=True)
class Utterance:
    """What to say and how: all that the sound depends on, in a fresh fork of the library."""

    text: str
    voice: str
    """Accent and variant: `gmw/en+f3`."""
    words_per_minute: int
    """80 to 450."""
    pitch: int
    """0 to 99."""
    pitch_range: int
    """0 to 99; 0 is monotone."""
    seed: int
    """For breath and roughness of the voice."""
    longest_s: float
    """Said faster until it is no longer than this, as far as the library goes."""


def refuse_missing_library() -> None:
    """Raise `InvalidData` unless the eSpeak NG package is installed.

    It is looked for, not imported: the user's process must not load the library.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise InvalidData(
            "synthesis needs the package espeakng-loader, which is not installed: "
            "pip install 'ternary-dse[synthesis]'"
        )


Speak = Callable[[Sequence[Utterance]], list[NDArray[np.int16]]]
"""Says utterances: of each its samples, (samples,), at `SAMPLE_RATE_HZ`."""


def open_library() -> Speak:
    """Load eSpeak NG; call once in a process, before any thread starts.

    Returns:
        A function that says utterances: one array of samples at `SAMPLE_RATE_HZ` each. What it
        returns does not depend on what was said in earlier calls; within a call the utterances
        share one fork, and later ones may depend on earlier ones.

    Raises:
        InvalidData: the package is missing, or its library does not start.
    """
    refuse_missing_library()
    import espeakng_loader  # optional, so not at the top

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path()
    rate_hz = library.espeak_Initialize(
        _OUTPUT_RETRIEVAL_SYNCHRONOUS, 0, os.fsencode(data), _DO_NOT_EXIT
    )
    if rate_hz != SAMPLE_RATE_HZ:
        raise InvalidData(
            f"eSpeak NG starts with {rate_hz} Hz instead of {SAMPLE_RATE_HZ} with its data in "
            f"{data}: pip install --force-reinstall espeakng-loader"
        )
    if not hasattr(os, "fork"):  # Windows: the same voices, but not the same samples each time
        return lambda utterances: [_say(library, utterance) for utterance in utterances]
    return lambda utterances: _say_in_fork(library, utterances)


def _say(library: Any, utterance: Utterance) -> NDArray[np.int16]:
    # Faster rather than cut: a word without its end is another word. Length need not fall in
    # proportion to the rate, so each round speeds up by 10 % at the least, and ends at the limit.
    rate = utterance.words_per_minute
    while True:
        samples = _say_once(library, utterance, rate)
        excess = len(samples) / (utterance.longest_s * SAMPLE_RATE_HZ)
        if excess <= 1 or rate >= _FASTEST_WORDS_PER_MINUTE:
            return samples
        rate = min(_FASTEST_WORDS_PER_MINUTE, int(rate * max(1.1, excess)))


def _say_once(library: Any, utterance: Utterance, rate: int) -> NDArray[np.int16]:
    pieces: list[bytes] = []

    # The library calls this with pieces of sound while it speaks, and with a null pointer at the
    # end; the buffer is its own, so a piece is copied. 0 means: go on.
    def keep(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(keep)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(utterance.voice.encode()) != 0:
        raise InvalidData(
            f"eSpeak NG has no voice '{utterance.voice}': use espeakng-loader 0.2 (eSpeak NG 1.52)"
        )
    _seed(library, utterance.seed)
    library.espeak_SetParameter(_RATE, rate, 0)
    library.espeak_SetParameter(_PITCH, utterance.pitch, 0)
    library.espeak_SetParameter(_RANGE, utterance.pitch_range, 0)
    text = utterance.text.encode() + b"\0"
    size = ctypes.c_size_t(len(text))
    status = library.espeak_Synth(text, size, 0, 1, 0, _CHARACTERS_UTF8, None, None)
    library.espeak_Synchronize()
    if status != 0:
        raise InvalidData(f"eSpeak NG cannot say '{utterance.text}' (status {status})")
    return np.frombuffer(b"".join(pieces), np.int16)


def _seed(library: Any, seed: int) -> None:
    # Two generators are in use: the library's own, and the one of the C library.
    if hasattr(library, "espeak_ng_SetRandSeed"):
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    ctypes.CDLL(None).srand(ctypes.c_uint(seed))


def _say_in_fork(library: Any, utterances: Sequence[Utterance]) -> list[NDArray[np.int16]]:
    """Say them in a copy of this process that ends afterwards, with all that the library changed.

    Through the pipe comes for each utterance its length in bytes (32 bits, little-endian), a byte
    that is 1 where it failed, and the samples or the reason.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # leaves by _exit alone: no exit handler of anyone runs twice
        code = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                for utterance in utterances:
                    try:
                        content, failed = _say(library, utterance).tobytes(), 0
                    except InvalidData as error:
                        content, failed = str(error).encode(), 1
                    pipe.write(struct.pack("<IB", len(content), failed) + content)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    # Read to the end before waiting: a pipe holds some 64 kB, and a child that cannot write more
    # would never end.
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise InvalidData(
            f"eSpeak NG stopped with status {status} while saying '{utterances[0].text}' as "
            f"'{utterances[0].voice}': leave the word out, or use another seed"
        )
    sounds, place = [], 0
    while place < len(content):
        size, failed = struct.unpack_from("<IB", content, place)
        place += 5
        if failed:
            raise InvalidData(content[place : place + size].decode())
        sounds.append(np.frombuffer(content, np.int16, count=size // 2, offset=place))
        place += size
    return sounds
