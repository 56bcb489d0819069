"""What a folder of sentences holds, with every recording decoded once.

What to look at in a folder of one's own: speakers of each split, and whether the same are in two of
them; characters, each of which must be in the vocabulary; the longest utterances, which decide how
much memory a batch takes; and who is left out, and why.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dse.errors import InvalidData
from dse.speech.audio import Description, UnreadableSound, describe
from dse.speech.left_out import (
    LeftOut,
    absent,
    told_by_left_out,
    unusable_length,
    unwritable_text,
)
from dse.speech.sentence_corpus import Sentence, SentenceCorpus, refuse_missing_splits
from dse.speech.sentence_findings import (
    HeardSentence,
    ToldSentence,
    told_by_sounds,
    told_by_texts,
)
from dse.speech.sentence_folders import scan_sentences
from dse.speech.speech_commands import SPLITS, Split
from dse.speech.transcription import SENTENCE_FEATURES, Transcription
from dse.speech.transcripts import encode, frames_needed, written

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many recordings are done, how many there are."""


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """One split: what is there, and how much of it can be used."""

    utterances: int
    used: int
    """Of them, those that a task with the usual settings trains or tests on."""
    speakers: int
    hours: float
    """Of those that are used, as the next three."""
    durations_s: tuple[float, float, float] | None
    """Shortest, median and longest; None where there is none."""
    words: int
    characters: int
    """Blanks included."""


@dataclass(frozen=True, slots=True)
class SentenceInspection:
    """What was found."""

    folder: Path
    layout: str
    """`librispeech` or `manifests`."""
    splits: dict[Split, SplitSummary]
    speakers: int
    """Of all splits, each counted once."""
    characters: dict[str, int]
    """Of the training transcripts, or of all where there is no training; how often each stands."""
    sample_rates: dict[int, int]
    channels: dict[int, int]
    formats: dict[str, int]
    skipped: tuple[str, ...]
    """`path: reason` of each utterance that is left out."""
    passed_over: tuple[str, ...]
    """Folders or manifests that belong to no split by their names."""
    findings: tuple[str, ...]
    """What speaks against errors measured on this folder (`dse.speech.sentence_findings`)."""

    def to_dict(self) -> dict[str, Any]:
        """All findings as plain data for JSON."""
        return asdict(self) | {"folder": str(self.folder)}


def inspect_sentences(
    folder: Path, task: Transcription | None = None, report: Report | None = None
) -> SentenceInspection:
    """Decode every recording of a folder of sentences and count.

    Args:
        folder: in LibriSpeech's layout, or with manifests. One split is enough.
        task: whose vocabulary and lengths say what is left out; by default the English one.
        report: told the progress.

    Raises:
        InvalidData: as `scan_sentences`; broken recordings are findings, no errors.
    """
    task = task or Transcription()
    corpus = scan_sentences(folder)
    left_out = absent(corpus)
    heard: list[HeardSentence] = []
    sounds: list[Description] = []
    for done, sentence in enumerate(corpus.sentences, start=1):
        found = _hear(corpus, sentence, task)
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            heard.append(found[0])
            sounds.append(found[1])
        if report is not None:
            report("inspect", done, len(corpus.sentences))
    return SentenceInspection(
        folder=corpus.folder,
        layout=corpus.layout,
        splits={split: _summary(corpus, split, heard) for split in SPLITS},
        speakers=len({each.speaker for each in corpus.sentences} - {None}),
        characters=count_characters(corpus, task),
        sample_rates=dict(Counter(sound.rate_hz for sound in sounds)),
        channels=dict(Counter(sound.channels for sound in sounds)),
        formats=dict(Counter(sound.format for sound in sounds)),
        skipped=tuple(f"{each.path}: {each.detail}" for each in left_out),
        passed_over=corpus.passed_over,
        findings=(
            *_missing_splits(corpus),
            *told_by_left_out(corpus, left_out),
            *told_by_texts(heard),
            *told_by_sounds(heard, SENTENCE_FEATURES.sample_rate_hz),
        ),
    )


def told_by_transcripts(corpus: SentenceCorpus, task: Transcription) -> tuple[str, ...]:
    """What names and transcripts say against errors, and who is left out; nothing is decoded."""
    left_out = absent(corpus)
    told = []
    for each in corpus.sentences:
        text = written(each.text, task)
        unwritable = unwritable_text(each, text, task)
        if unwritable is not None:
            left_out.append(unwritable)
        else:
            told.append(
                ToldSentence(name=each.path, split=each.split, text=text, speaker=each.speaker)
            )
    return (*told_by_left_out(corpus, left_out), *told_by_texts(told))


def count_characters(corpus: SentenceCorpus, task: Transcription) -> dict[str, int]:
    """How often each character stands in the training transcripts, or in all if there are none.

    The most frequent first; of equally frequent ones in the order of Unicode.
    """
    sentences = corpus.split("training") or corpus.sentences
    found = Counter("".join(written(each.text, task) for each in sentences))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _hear(
    corpus: SentenceCorpus, sentence: Sentence, task: Transcription
) -> tuple[HeardSentence, Description] | LeftOut:
    text = written(sentence.text, task)
    try:
        sound = describe(corpus.folder / sentence.path)
    except UnreadableSound as error:
        return LeftOut(sentence.path, sentence.split, "unreadable", str(error))
    left_out = unwritable_text(sentence, text, task) or unusable_length(
        sentence, sound.duration_s, task, SENTENCE_FEATURES
    )
    if left_out is not None:
        return left_out
    if sound.missing_s > 0:
        detail = f"it ends {sound.missing_s:.2f} s before its head says"
        return LeftOut(sentence.path, sentence.split, "unreadable", detail)
    if sound.silent:
        return LeftOut(sentence.path, sentence.split, "silent", "it holds nothing but zeros")
    heard = HeardSentence(
        name=sentence.path,
        split=sentence.split,
        text=text,
        speaker=sentence.speaker,
        duration_s=sound.duration_s,
        rate_hz=sound.rate_hz,
        frames=int(sound.duration_s * 1000 / SENTENCE_FEATURES.hop_ms) + 1,
        outputs_needed=frames_needed(encode(text, task.characters)),
        digest=sound.digest,
    )
    return heard, sound


def _summary(corpus: SentenceCorpus, split: Split, heard: list[HeardSentence]) -> SplitSummary:
    there = corpus.split(split)
    used = [each for each in heard if each.split == split]
    durations_s = [each.duration_s for each in used]
    return SplitSummary(
        utterances=len(there),
        used=len(used),
        speakers=len({each.speaker for each in there} - {None}),
        hours=sum(durations_s) / 3600,
        durations_s=(
            (min(durations_s), statistics.median(durations_s), max(durations_s))
            if durations_s
            else None
        ),
        words=sum(len(each.text.split()) for each in used),
        characters=sum(len(each.text) for each in used),
    )


def _missing_splits(corpus: SentenceCorpus) -> Iterator[str]:
    """As a finding: a folder with one split is worth a look all the same."""
    try:
        refuse_missing_splits(corpus)
    except InvalidData as error:
        yield str(error)
