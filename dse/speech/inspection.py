"""What a data folder holds, with every file decoded once.

What to look at in a folder of one's own: a speaker in two splits (`shared_speakers`) makes the
testing error too small, since the network has heard that voice; a word with few speakers is learned
as those voices; durations other than a second are cropped or padded, and rates above that of the
features lose their upper band.
"""

import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dse.speech.audio import UnreadableSound, describe
from dse.speech.findings import Heard, name_findings, sound_findings
from dse.speech.speech_commands import CLIP_S, SPLITS, Split, scan
from dse.speech.task import FeatureSpec

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many files are done, how many there are."""


@dataclass(frozen=True, slots=True)
class WordCount:
    """One word of the folder: clips in each split, and by how many people."""

    word: str
    clips: dict[Split, int]
    speakers: int
    """Different names before `_nohash_`."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The findings; unreadable files count as clips of their split, but have no duration."""

    folder: Path
    words: tuple[WordCount, ...]
    split_by: str
    """`lists` or `hash`."""
    speakers: dict[Split, int]
    shared_speakers: int
    """Speakers in more than one split, each counted as often as it is too many."""
    durations_s: tuple[float, float, float] | None
    """Shortest, median and longest clip; None where none can be read."""
    total_s: float
    sample_rates: dict[int, int]
    channels: dict[int, int]
    formats: dict[str, int]
    """`WAV PCM_16` and the like."""
    noises: dict[str, float]
    """Seconds of each background noise."""
    unreadable: dict[str, str]
    """Relative path and reason, clips and noises."""
    listed_but_missing: int
    doubles: int
    findings: tuple[str, ...]
    """What speaks against errors measured on this folder (`dse.speech.findings`)."""

    def to_dict(self) -> dict[str, Any]:
        """All findings as plain data for JSON."""
        return asdict(self) | {
            "folder": str(self.folder),
            "words": [asdict(row) for row in self.words],
        }


def inspect(folder: Path, report: Report | None = None) -> Inspection:
    """Decode every file of `folder` and count.

    Takes as long as reading the whole folder; `scan` alone, by file names, is nearly free.

    Raises:
        InvalidData: as `dse.speech.speech_commands.scan`; unreadable files are findings, no errors.
    """
    corpus = scan(folder)
    heard: list[Heard] = []
    rates: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    formats: Counter[str] = Counter()
    unreadable: dict[str, str] = {}
    noises: dict[str, float] = {}
    total = len(corpus.clips) + len(corpus.noises)
    for done, clip in enumerate(corpus.clips, start=1):
        try:
            sound = describe(corpus.folder / clip.path)
        except UnreadableSound as error:
            unreadable[clip.path] = str(error)
        else:
            heard.append(
                Heard(
                    name=clip.path,
                    label=clip.word,
                    split=clip.split,
                    duration_s=sound.duration_s,
                    rate_hz=sound.rate_hz,
                    missing_s=sound.missing_s,
                    silent=sound.silent,
                    digest=sound.digest,
                )
            )
            rates[sound.rate_hz] += 1
            channels[sound.channels] += 1
            formats[sound.format] += 1
        if report is not None:
            report("inspect", done, total)
    for noise in corpus.noises:
        try:
            noises[noise] = describe(corpus.folder / noise).duration_s
        except UnreadableSound as error:
            unreadable[noise] = str(error)
    counts = Counter((clip.word, clip.split) for clip in corpus.clips)
    by_split: dict[Split, set[str]] = {split: set() for split in SPLITS}
    by_word: dict[str, set[str]] = {word: set() for word in corpus.words}
    for clip in corpus.clips:
        if clip.speaker is not None:
            by_split[clip.split].add(clip.speaker)
            by_word[clip.word].add(clip.speaker)
    durations_s = [each.duration_s for each in heard]
    rate_hz = FeatureSpec().sample_rate_hz
    # Somebody in n splits is counted n times below and once here: n - 1 too many.
    everyone = set().union(*by_split.values())
    return Inspection(
        folder=corpus.folder,
        words=tuple(
            WordCount(word, {split: counts[word, split] for split in SPLITS}, len(by_word[word]))
            for word in corpus.words
        ),
        split_by=corpus.split_by,
        speakers={split: len(people) for split, people in by_split.items()},
        shared_speakers=sum(map(len, by_split.values())) - len(everyone),
        durations_s=(
            (min(durations_s), statistics.median(durations_s), max(durations_s))
            if durations_s
            else None
        ),
        total_s=sum(durations_s),
        sample_rates=dict(rates),
        channels=dict(channels),
        formats=dict(formats),
        noises=noises,
        unreadable=unreadable,
        listed_but_missing=corpus.listed_but_missing,
        doubles=corpus.doubles,
        findings=(
            *name_findings(corpus, corpus.words, counts),
            *sound_findings(heard, CLIP_S, rate_hz),
        ),
    )
