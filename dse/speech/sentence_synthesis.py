"""A corpus of synthetic sentences in the layout of LibriSpeech, made offline with eSpeak NG.

As the words of `dse.speech.synthesis`: every recording follows from the options alone, so a corpus
may be interrupted and gone on with, is made by any number of processes, and comes out the same to
the sample. What it is for is the same, too: to try speech recognition without a download and
without anybody's voice. Errors on it say nothing about recorded speech.

    DIR/train/1000/1/1000-1-0000.flac      speaker 1000 says so many sentences, in one chapter
    DIR/train/1000/1/1000-1.trans.txt
    DIR/dev/1001/..., DIR/test/1002/...

**Nothing is in two splits.** Of each twenty speakers three are for validation and three for
testing, and no voice of the synthesiser is used twice, accents apart. Which split a sentence
belongs to follows from a hash of its text; a speaker draws until one of its own split comes. So a
test is of unheard voices that say unheard sentences, though in the words of the training.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dse.errors import require
from dse.files import write_text
from dse.speech.audio import resample
from dse.speech.grammar import draw_sentence
from dse.speech.librispeech import ENDING
from dse.speech.sentence_corpus import PUBLISHED_NAMES
from dse.speech.speech_commands import Split
from dse.speech.synthesis import (
    CLIP_RATE_HZ,
    Synthesis,
    coloured_noise,
    draw_by,
    in_room,
    speaker,
    to_int16,
    wanted_split,
)
from dse.speech.synthesis_work import Report, make_corpus
from dse.speech.voices import (
    SAMPLE_RATE_HZ,
    VOICES,
    Speak,
    Utterance,
)

FIRST_SPEAKER = 1000
"""Speakers of LibriSpeech have numbers for names."""
LONGEST_S = 15.0
"""No sentence of the grammar is as long; one that were would be said faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSynthesis:
    """What a synthetic corpus of sentences consists of; everything in it follows from these."""

    speakers: int = 20
    """At least 3, so that each split has one; at most one for each voice."""
    sentences_each: int = 40
    """Of each speaker."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Check the counts."""
        require(
            3 <= self.speakers <= len(VOICES), "speakers", f"from 3 to {len(VOICES)}", self.speakers
        )
        require(
            1 <= self.sentences_each <= 1000,
            "sentences_each",
            "from 1 to 1,000",
            self.sentences_each,
        )
        require(0 <= self.seed < 2**63, "seed", "from 0 to 2^63 - 1", self.seed)

    @property
    def clips(self) -> int:
        """All sentences."""
        return self.speakers * self.sentences_each

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data: what `synthesis.json` and the workers read."""
        return {"kind": "sentences"} | asdict(self) | {"version": 1}


@dataclass(frozen=True, slots=True)
class SentenceRecording:
    """One sentence to record."""

    path: str
    """Relative to the corpus."""
    utterance: Utterance


def split_of_text(text: str) -> Split:
    """The split that a sentence belongs to, by its hash: 70 / 15 / 15 % of them."""
    return wanted_split(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % 20)


def sentence_recordings(settings: SentenceSynthesis, index: int) -> list[SentenceRecording]:
    """All sentences of the speaker with this number; none of them twice."""
    person = speaker(Synthesis(seed=settings.seed), index)
    name, split = FIRST_SPEAKER + index, wanted_split(index)
    folder = f"{PUBLISHED_NAMES[split]}/{name}/1"
    random = draw_by("sentences", settings.seed, index)
    texts: dict[str, None] = {}
    while len(texts) < settings.sentences_each:
        text = draw_sentence(random)
        if split_of_text(text) == split:
            texts[text] = None
    made = []
    for number, text in enumerate(texts):
        path = f"{folder}/{name}-1-{number:04}.flac"
        random = draw_by("take", settings.seed, path)
        utterance = Utterance(
            text=text,
            voice=person.voice,
            words_per_minute=round(person.words_per_minute * random.uniform(0.9, 1.1)),
            pitch=int(np.clip(person.pitch + random.integers(-5, 6), 0, 99)),
            pitch_range=int(np.clip(person.pitch_range + random.integers(-10, 11), 0, 99)),
            seed=int(random.integers(2**31)),
            longest_s=LONGEST_S,
        )
        made.append(SentenceRecording(path, utterance))
    return made


def record_sentence(spoken: NDArray[np.int16], random: np.random.Generator) -> NDArray[np.int16]:
    """A sentence as a microphone in some room would hear it, at `CLIP_RATE_HZ`.

    Between 0.2 and 0.5 s of silence at either end, then room, coloured noise 15 to 40 dB below the
    sentence and level as for words (`dse.speech.synthesis.record`): there is less noise, as people
    who read to a microphone choose a quiet place.

    Args:
        spoken: (samples,) at `SAMPLE_RATE_HZ`.
        random: all of the recording's room is drawn from it, in a fixed order.
    """
    voice = resample((spoken / 32768).astype(np.float32), SAMPLE_RATE_HZ, CLIP_RATE_HZ)
    silence = [round(random.uniform(0.2, 0.5) * CLIP_RATE_HZ) for _ in range(2)]
    clip = np.pad(voice.astype(np.float64), silence)
    loudness = float(np.sqrt(np.mean(np.square(voice, dtype=np.float64))))
    noise_rms = loudness / 10 ** (random.uniform(15, 40) / 20)
    noise = coloured_noise(len(clip), random.uniform(0, 2), random)
    clip = in_room(clip, random) + noise * noise_rms
    level = 10 ** (random.uniform(-24, -3) / 20)
    return to_int16(clip * (level / max(float(np.abs(clip).max()), 1e-9)))


def synthesize_sentences(
    folder: Path, settings: SentenceSynthesis, jobs: int = 1, report: Report | None = None
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
    make_corpus(folder, settings, _readme(settings), jobs=jobs, report=report)


def make_sentences(folder: Path, settings: SentenceSynthesis, index: int, speak: Speak) -> int:
    """Make the sentences of one speaker that are not there yet, and then their transcripts.

    Args:
        folder: of the corpus.
        settings: what the corpus consists of.
        index: number of the speaker, from 0.
        speak: from `dse.speech.voices.open_library`.

    Returns:
        How many sentences the speaker has, those that were there included.
    """
    planned = sentence_recordings(settings, index)
    paths = [folder / recording.path for recording in planned]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    if not all(path.exists() for path in paths):
        # All are spoken even if few are missing: a voice depends on what it said before.
        spoken = speak([recording.utterance for recording in planned])
        for recording, path, sound in zip(planned, paths, spoken, strict=True):
            _write_flac(
                path, record_sentence(sound, draw_by("room", settings.seed, recording.path))
            )
    lines = [
        f"{path.stem} {recording.utterance.text.upper()}\n"
        for recording, path in zip(planned, paths, strict=True)
    ]
    write_text(paths[0].parent / f"{paths[0].parent.parent.name}-1{ENDING}", "".join(lines))
    return len(planned)


def _write_flac(path: Path, samples: NDArray[np.int16]) -> None:
    """In one step; the temporary name is none that a loader reads."""
    temporary = path.with_name(f".{path.name}.part")
    soundfile.write(temporary, samples, CLIP_RATE_HZ, format="FLAC", subtype="PCM_16")
    temporary.replace(path)


def _readme(settings: SentenceSynthesis) -> str:
    return f"""# Synthetic sentences

Nobody spoke these sentences: they are the output of eSpeak NG, made by
`dse data synthesize --sentences` with {settings.speakers} made-up speakers,
{settings.sentences_each} sentences each, seed {settings.seed}. Errors measured on them say nothing
about recorded speech.

Layout and file names are those of LibriSpeech: `SPLIT/SPEAKER/CHAPTER/*.flac` and `.trans.txt`,
16 kHz, mono, 16 bit. No voice and no sentence is in two splits.

Licence: whoever made this folder with ternary-dse may treat sounds and texts as CC0 1.0
(https://creativecommons.org/publicdomain/zero/1.0/): the authors of ternary-dse claim no rights in
them. eSpeak NG is free software under GPL-3.0; the sound that it makes is not covered by it.
"""
