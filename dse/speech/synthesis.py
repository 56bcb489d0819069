"""A corpus of synthetic words in the layout of Speech Commands, made offline with eSpeak NG.

Every clip follows from the options alone: its speaker from the seed and a number, its way of
speaking, room and noise from the seed and its file name. So a corpus may be interrupted and gone on
with, and made by any number of processes, and comes out the same to the sample.

Speakers are voice x accent, with a pitch and tempo of their own. Their names are chosen so that the
published hash rule (`which_split`) puts 70 / 15 / 15 % of them into training, validation, testing:
no lists are needed, and the small corpora that this makes get splits that are large enough.

What it is for: to try the whole program without a download and without anybody's voice. Errors on
such a corpus say nothing about recorded speech: a synthesiser varies far less than people do.

    speaker i      voice, accent, name from (seed, i); pitch, tempo, range drawn by (seed, i)
    take           small deviations from them, drawn by (seed, file name)
    room           place in the second, echo, tilt, noise, level, drawn by (seed, file name)

No number is drawn from a stream that clips share. That is what makes the order of work, the number
of processes and an interruption invisible in the result.
"""

import hashlib
import re
import wave
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dse.errors import require
from dse.speech.audio import Samples, resample
from dse.speech.speech_commands import NOISE_FOLDER, Split, which_split
from dse.speech.synthesis_work import Report, make_corpus
from dse.speech.task import COMMANDS
from dse.speech.voices import (
    ACCENTS,
    SAMPLE_RATE_HZ,
    VOICES,
    Speak,
    Utterance,
)

CLIP_RATE_HZ = 16_000
CLIP_SAMPLES = 16_000
OTHER_WORDS = ("bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow")
"""Ten more words of Speech Commands, for the class of unknown words."""
NOISE_S = 30.0
"""Length of each background noise."""
NOISES = ("white_noise", "pink_noise", "brown_noise", "mains_hum", "babble", "clatter")

_SPLIT_OF_TWENTY: tuple[Split, ...] = tuple(
    "validation" if place in (1, 7, 14) else "testing" if place in (2, 10, 17) else "training"
    for place in range(20)
)
_LONGEST_WORD_S = 0.85
_WORD = re.compile(r"[a-z][a-z0-9'-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What a synthetic corpus consists of; everything in it follows from these four."""

    words: tuple[str, ...] = COMMANDS + OTHER_WORDS
    """Folder names, and what is said."""
    speakers: int = 100
    """At least 3, so that each split has one; at most one for each voice and accent."""
    clips_per_word: int = 150
    """All speakers say each word once before one says it twice."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Check words and counts."""
        require(len(self.words) >= 1, "words", "a list of at least one word", list(self.words))
        require(len(set(self.words)) == len(self.words), "words", "distinct", list(self.words))
        for word in self.words:
            require(
                _WORD.fullmatch(word) is not None,
                "words",
                "lower-case words of letters, digits, ' and -",
                word,
            )
        most = len(VOICES) * len(ACCENTS)
        require(3 <= self.speakers <= most, "speakers", f"from 3 to {most}", self.speakers)
        require(
            self.clips_per_word >= self.speakers,
            "clips_per_word",
            f"at least the {self.speakers} speakers, so that each split has every word",
            self.clips_per_word,
        )
        require(0 <= self.seed < 2**63, "seed", "from 0 to 2^63 - 1", self.seed)

    @property
    def clips(self) -> int:
        """All clips of all words, noises not counted."""
        return self.clips_per_word * len(self.words)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data: what `synthesis.json` and the workers read."""
        return asdict(self) | {"words": list(self.words), "version": 1}


@dataclass(frozen=True, slots=True)
class Speaker:
    """A made-up person: centre values, from which each take differs a little."""

    name: str
    """8 hex digits; the published hash rule puts them into the wanted split."""
    voice: str
    pitch: int
    words_per_minute: int
    pitch_range: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One clip to make: where it goes and what is said; its room is drawn by the path."""

    path: str
    """Relative to the corpus."""
    utterance: Utterance


def draw_by(*parts: object) -> np.random.Generator:
    """Random numbers that depend on nothing but `parts`: not on order, process or interruption."""
    digest = hashlib.blake2b(" ".join(map(str, parts)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest))


def wanted_split(index: int) -> Split:
    """The split of the speaker with this number: of each twenty, three and three are held out.

    Numbers 1 and 2 are among them, so that even three speakers fill all three splits.
    """
    return _SPLIT_OF_TWENTY[index % 20]


def speaker(settings: Synthesis, index: int) -> Speaker:
    """The person with this number; the same for each count of speakers and words."""
    # A walk through all pairs: voices and accents both change from one speaker to the next. The
    # accent moves one further after each round of voices: there are 76 of them and 8 accents, and
    # 76 + 1 is odd, so a voice meets all accents before it meets one again.
    order = draw_by("voices", settings.seed).permutation(len(VOICES))
    voice = VOICES[order[index % len(VOICES)]]
    accent = ACCENTS[(index + index // len(VOICES)) % len(ACCENTS)]
    random = draw_by("speaker", settings.seed, index)
    # The split follows from a hash of the name, so names are tried until one falls into the split
    # that is wanted: 10 tries on average for one that is held out, 1.25 for training.
    attempt = 0
    while True:
        text = f"{settings.seed} {index} {attempt}"
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        if which_split(f"{name}_nohash_0.wav") == wanted_split(index):
            break
        attempt += 1
    return Speaker(
        name=name,
        voice=f"{accent}+{voice}",
        pitch=int(random.integers(20, 81)),
        words_per_minute=int(random.integers(125, 191)),
        pitch_range=int(random.integers(20, 81)),
    )


def recordings(settings: Synthesis, index: int) -> list[Recording]:
    """All clips of one speaker, words in order, takes within.

    Where the speakers do not divide the clips of a word, the first ones say it once more.
    """
    person = speaker(settings, index)
    takes = settings.clips_per_word // settings.speakers
    takes += index < settings.clips_per_word % settings.speakers
    made = []
    for word in settings.words:
        for take in range(takes):
            path = f"{word}/{person.name}_nohash_{take}.wav"
            random = draw_by("take", settings.seed, path)
            utterance = Utterance(
                text=word,
                voice=person.voice,
                words_per_minute=round(person.words_per_minute * random.uniform(0.85, 1.2)),
                pitch=int(np.clip(person.pitch + random.integers(-8, 9), 0, 99)),
                pitch_range=int(np.clip(person.pitch_range + random.integers(-15, 16), 0, 99)),
                seed=int(random.integers(2**31)),
                longest_s=_LONGEST_WORD_S,
            )
            made.append(Recording(path, utterance))
    return made


# --- sound ---------------------------------------------------------------------------------------


def record(spoken: NDArray[np.int16], random: np.random.Generator) -> NDArray[np.int16]:
    """A word as a microphone in some room would hear it: 16,000 samples at 16 kHz.

    A short room, a place within the second, a level between -24 and -3 dB of full scale, a tilt of
    the spectrum, and coloured noise 5 to 35 dB below the word.

        clip = level * (room * word at start + noise) / peak        `*` before `word`: convolution

    The ratio of word to noise is taken over the word alone, not over the second as `vary` takes it:
    a short word is not buried deeper than a long one. The level is that of the highest peak.

    Args:
        spoken: (samples,) at `SAMPLE_RATE_HZ`, any length.
        random: all of the clip's room is drawn from it, in a fixed order.

    Returns:
        (16000,): a word that is longer than the second loses its end.
    """
    word = resample((spoken / 32768).astype(np.float32), SAMPLE_RATE_HZ, CLIP_RATE_HZ)
    # The synthesiser's own pauses, 40 dB below its peak, are cut off: the place is drawn below.
    loud = np.flatnonzero(np.abs(word) > 0.01 * max(float(np.abs(word).max(initial=0)), 1e-6))
    word = word[loud[0] : loud[-1] + 1] if len(loud) else np.zeros(1, dtype=np.float32)
    word = word[:CLIP_SAMPLES]
    start = round(float(random.triangular(0, 0.5, 1)) * (CLIP_SAMPLES - len(word)))
    clip = np.zeros(CLIP_SAMPLES, dtype=np.float64)
    clip[start : start + len(word)] = word
    word_rms = float(np.sqrt(np.mean(np.square(word, dtype=np.float64))))
    noise_rms = word_rms / 10 ** (random.uniform(5, 35) / 20)
    noise = coloured_noise(CLIP_SAMPLES, random.uniform(0, 2), random)
    clip = in_room(clip, random) + noise * noise_rms
    peak = float(np.abs(clip).max())
    level = 10 ** (random.uniform(-24, -3) / 20)
    return to_int16(clip * (level / max(peak, 1e-9)))


def in_room(clip: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Echoes that die away within 0.1 to 0.4 s, and a microphone that tilts the spectrum.

    Args:
        clip: (samples,) at `CLIP_RATE_HZ`, longer than the room rings.
        random: draws room and tilt.
    """
    reverberation_s = random.uniform(0.1, 0.4)
    seconds = np.arange(round(reverberation_s * CLIP_RATE_HZ)) / CLIP_RATE_HZ
    # 60 dB quieter after the reverberation time: 10^(-3 t / T).
    room = random.standard_normal(len(seconds)) * 10 ** (-3 * seconds / reverberation_s)
    room[: CLIP_RATE_HZ // 500] = 0  # the first echo comes after 2 ms
    room *= random.uniform(0.0, 0.5) / max(float(np.sqrt(np.square(room).sum())), 1e-9)
    # The direct sound. Behind it come echoes of at most half its amplitude in all (the root of
    # the sum of their squares), so it stands out by 6 dB or more.
    room[0] = 1
    # A product of spectra is a circular convolution. Clip and room together are shorter than two
    # clips, so no echo comes round to the beginning; those past its end are cut off.
    size = 2 * len(clip)
    hertz = np.fft.rfftfreq(size, 1 / CLIP_RATE_HZ)
    # So many dB an octave, 0 at 1 kHz, level below 125 Hz; magnitudes alone, no change of phase.
    tilt_db = random.uniform(-3, 3) * np.log2(np.maximum(hertz, 125) / 1000)
    spectrum = np.fft.rfft(clip, size) * np.fft.rfft(room, size) * 10 ** (tilt_db / 20)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(clip)])


def coloured_noise(samples: int, slope: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise with power proportional to 1 / f^slope and an RMS of 1 (0 white, 1 pink).

    Args:
        samples: how many, at `CLIP_RATE_HZ`.
        slope: 0 white, 1 pink (-3 dB an octave), 2 brown (-6 dB an octave); level below 20 Hz,
            where 1 / f would put most of the power into a few bins nobody hears.
        random: the source.
    """
    # White noise has a flat spectrum; amplitudes go with the root of the power.
    spectrum = np.fft.rfft(random.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / CLIP_RATE_HZ)
    spectrum *= np.maximum(hertz, 20) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))))


def background_noise(kind: str, settings: Synthesis, speak: Speak) -> NDArray[np.int16]:
    """`NOISE_S` seconds of one of `NOISES`, at `CLIP_RATE_HZ`.

    All have the same RMS of 0.1 (-20 dB of full scale), except those with peaks more than nine
    times as high, which are made quieter so that they are not clipped.

    Args:
        kind: one of `NOISES`; another one raises `ValueError`.
        settings: its seed draws the noise.
        speak: for the voices of `babble`; the others do not use it.
    """
    random = draw_by("noise", settings.seed, kind)
    samples = round(NOISE_S * CLIP_RATE_HZ)
    seconds = np.arange(samples) / CLIP_RATE_HZ
    if kind == "white_noise":
        noise = coloured_noise(samples, 0, random)
    elif kind == "pink_noise":
        noise = coloured_noise(samples, 1, random)
    elif kind == "brown_noise":
        noise = coloured_noise(samples, 2, random)
    elif kind == "mains_hum":
        noise = coloured_noise(samples, 1, random) * 0.2
        for harmonic in range(1, 12):
            phase = random.uniform(0, 2 * np.pi)
            noise += np.sin(2 * np.pi * 50 * harmonic * seconds + phase) / harmonic
    elif kind == "babble":
        noise = _babble(settings, samples, random, speak)
    elif kind == "clatter":
        noise = _clatter(samples, random)
    else:
        raise ValueError(f"no noise is called {kind!r}")
    noise = noise / np.sqrt(np.mean(np.square(noise)))
    return to_int16(noise * min(0.1, 0.9 / float(np.abs(noise).max())))


def _babble(
    settings: Synthesis, samples: int, random: np.random.Generator, speak: Speak
) -> NDArray[np.float64]:
    """Twelve voices that talk at once, in sentences without the words of the corpus."""
    sentences = (
        "the weather will probably change before we arrive there",
        "somebody should have brought another umbrella yesterday evening",
        "they were talking about a very long journey across mountains",
        "nearly everything in this kitchen belongs to my grandmother",
        "please remember to ask him about those letters and newspapers",
    )
    noise = np.zeros(samples)
    for number in range(12):
        # Beyond the largest number of speakers: nobody of the corpus is in its noise.
        person = speaker(settings, 1000 + number)
        utterances = [
            Utterance(
                text=sentences[int(random.integers(len(sentences)))],
                voice=person.voice,
                words_per_minute=person.words_per_minute,
                pitch=person.pitch,
                pitch_range=person.pitch_range,
                seed=int(random.integers(2**31)),
                longest_s=60.0,
            )
            for _ in range(12)
        ]
        spoken = np.concatenate(speak(utterances)) / 32768
        voice = resample(spoken.astype(np.float32), SAMPLE_RATE_HZ, CLIP_RATE_HZ)
        voice = np.roll(np.resize(voice, samples), int(random.integers(samples)))
        noise += voice / max(float(np.sqrt(np.mean(np.square(voice)))), 1e-9)
    return noise


def _clatter(samples: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Short ringing knocks, three a second, over a quiet floor: something like a kitchen."""
    noise = coloured_noise(samples, 1, random) * 0.05
    ring = np.arange(CLIP_RATE_HZ // 5) / CLIP_RATE_HZ
    for _ in range(round(3 * samples / CLIP_RATE_HZ)):
        start = int(random.integers(samples - len(ring)))
        hertz = random.uniform(300, 5000)
        knock = np.sin(2 * np.pi * hertz * ring) * np.exp(-ring / random.uniform(0.005, 0.04))
        noise[start : start + len(ring)] += knock * random.uniform(0.2, 1)
    return noise


def to_int16(sound: NDArray[np.float64] | Samples) -> NDArray[np.int16]:
    """Whole numbers of fractions of full scale; what is louder is clipped."""
    return np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16)


# --- folder --------------------------------------------------------------------------------------


def synthesize(
    folder: Path, settings: Synthesis, jobs: int = 1, report: Report | None = None
) -> None:
    """Make a corpus in `folder`, or check and finish one of the same settings.

    Args:
        folder: missing, empty, or a corpus made with the same settings, finished or not.
        settings: what to make.
        jobs: worker processes.
        report: told the progress.

    Raises:
        InvalidData: the folder holds something else, or eSpeak NG is not there or fails.
        OSError: the folder cannot be written.
    """
    folders = (*settings.words, NOISE_FOLDER)
    make_corpus(folder, settings, _readme(settings), folders=folders, jobs=jobs, report=report)


def _readme(settings: Synthesis) -> str:
    return f"""# Synthetic spoken words

Nobody spoke these words: they are the output of eSpeak NG, made by `dse data synthesize` with
{settings.speakers} made-up speakers, {settings.clips_per_word} clips a word, seed {settings.seed}.
Accuracies measured on them say nothing about recorded speech.

Words: {", ".join(settings.words)}.

Layout and file names are those of Speech Commands: `word/speaker_nohash_number.wav`, 16 kHz, mono,
16 bit, one second. The published hash rule gives the splits, about 70 / 15 / 15 % of the speakers.
The sounds in `{NOISE_FOLDER}` are generated as well.

Licence: whoever made this folder with ternary-dse may treat the sounds as CC0 1.0
(https://creativecommons.org/publicdomain/zero/1.0/): the authors of ternary-dse claim no rights in
them. eSpeak NG is free software under GPL-3.0; the sound that it makes is not covered by it.
"""


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write 16 kHz, mono, 16 bit in one step; the temporary name is none that a loader reads.

    Not by `dse.files.replacing`, which waits for the disk after each file: a corpus has thousands
    of them, and each can be made again.

    Args:
        path: its folder must be there.
        samples: (samples,) at `CLIP_RATE_HZ`.
    """
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file, wave.open(file) as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(CLIP_RATE_HZ)
        sound.writeframes(samples.tobytes())
    temporary.replace(path)


def is_complete(path: Path, samples: int) -> bool:
    """Whether `path` is a WAV file of this many samples, by its size.

    44 bytes of head (RIFF, `fmt `, `data`, as `wave` writes them), then 2 bytes a sample. What is
    inside is not looked at: `write_wav` leaves no half-written file under this name.
    """
    try:
        return path.stat().st_size == 44 + 2 * samples
    except FileNotFoundError:
        return False


def make_speaker(folder: Path, settings: Synthesis, index: int, speak: Speak) -> int:
    """Make the clips of one speaker that are not there yet.

    Args:
        folder: of the corpus; those of the words must be there.
        settings: what the corpus consists of.
        index: number of the speaker, from 0.
        speak: from `dse.speech.voices.open_library`.

    Returns:
        How many clips the speaker has, those that were there included.
    """
    planned = recordings(settings, index)
    paths = [folder / recording.path for recording in planned]
    if not all(is_complete(path, CLIP_SAMPLES) for path in paths):
        # All are spoken even if few are missing: a voice depends on what it said before.
        spoken = speak([recording.utterance for recording in planned])
        for recording, path, sound in zip(planned, paths, spoken, strict=True):
            random = draw_by("room", settings.seed, recording.path)
            write_wav(path, record(sound, random))
    return len(planned)


def make_noises(folder: Path, settings: Synthesis, speak: Speak) -> None:
    """Make the background noises that are not there yet, in `NOISE_FOLDER` of `folder`."""
    for kind in NOISES:
        path = folder / NOISE_FOLDER / f"{kind}.wav"
        if not is_complete(path, round(NOISE_S * CLIP_RATE_HZ)):
            write_wav(path, background_noise(kind, settings, speak))
