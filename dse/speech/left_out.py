"""Utterances that are not used: which they are, why, and how that is told.

Nothing is left out without a word: each has its line in `skipped`, each reason and split a sentence
with its number among the findings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dse.errors import InvalidData
from dse.speech.findings import MAX_UNREADABLE, MAX_UNREADABLE_SHARE
from dse.speech.sentence_corpus import Sentence, SentenceCorpus
from dse.speech.speech_commands import SPLITS, Split
from dse.speech.task import FeatureSpec
from dse.speech.transcription import Transcription
from dse.speech.transcripts import outside

LONGEST_S = 120.0
"""Longer recordings are read in no split, unless `Transcription.longest_s` says so: a chapter in
one file would fill the memory."""

Why = Literal[
    "missing", "untold", "empty", "characters", "unreadable", "silent", "too_short", "too_long"
]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An utterance that is not used, and why."""

    path: str
    split: Split
    why: Why
    detail: str
    """The reason in words, as `skipped` has it."""
    characters: tuple[str, ...] = ()
    """Those outside the vocabulary."""


def unwritable_text(sentence: Sentence, text: str, task: Transcription) -> LeftOut | None:
    """Why a transcript cannot be learned with the vocabulary of a task; None where it can.

    Args:
        sentence: whose it is.
        text: it in its written form (`dse.speech.transcripts.written`).
        task: its characters.
    """
    if not text:
        return LeftOut(sentence.path, sentence.split, "empty", "its transcript is empty")
    foreign = outside(text, task.characters)
    if not foreign:
        return None
    listed = " ".join(f"'{character}'" for character in dict.fromkeys(foreign))
    return LeftOut(
        sentence.path,
        sentence.split,
        "characters",
        f"its transcript has {listed}, which the vocabulary has not",
        tuple(foreign),
    )


def longest_read_s(task: Transcription) -> float:
    """So much of a recording is read at most, in whichever split."""
    return max(LONGEST_S, task.longest_s)


def unusable_length(
    sentence: Sentence, length_s: float, task: Transcription, spec: FeatureSpec
) -> LeftOut | None:
    """Why an utterance of this length is not used; None where it is."""
    # A transform reflects half of its window at either end, so a sound must be longer than that,
    # also when it is played faster.
    half_s = (spec.fft_size // 2 + 2) / spec.sample_rate_hz
    shortest_s = max(task.shortest_s, half_s * max(1.0, *spec.speeds))
    longest_s = task.longest_s if sentence.split == "training" else longest_read_s(task)
    if length_s < shortest_s:
        why: Why = "too_short"
        detail = f"it has {length_s:.2f} s, at least {shortest_s:g} s are used"
    elif length_s > longest_s:
        why, detail = "too_long", f"it has {length_s:.2f} s, at most {longest_s:g} s are used"
    else:
        return None
    return LeftOut(sentence.path, sentence.split, why, detail)


def absent(corpus: SentenceCorpus) -> list[LeftOut]:
    """What file names already tell: transcripts without recording, and recordings without one."""
    return [
        *(
            LeftOut(path, split, "missing", "there is a transcript, but no recording")
            for split, path in corpus.missing
        ),
        *(LeftOut(path, split, "untold", "it has no transcript") for split, path in corpus.untold),
    ]


def refuse_too_many(corpus: SentenceCorpus, left_out: Sequence[LeftOut]) -> None:
    """Stop where many recordings are damaged: a wrong folder or a bad disk, as with words."""
    broken = [each for each in left_out if each.why in ("missing", "unreadable")]
    total = len(corpus.sentences) + len(corpus.missing)
    limit = int(max(MAX_UNREADABLE, MAX_UNREADABLE_SHARE * total))
    if len(broken) > limit:
        raise InvalidData(
            f"{len(broken):,} of {total:,} recordings in {corpus.folder} are missing or cannot be "
            f"read, at most {limit:,} may be: mend or remove them (the first: {broken[0].path}: "
            f"{broken[0].detail})"
        )


_PHRASES: dict[Why, str] = {
    "missing": "{have} a transcript but no recording",
    "untold": "{have} no transcript",
    "empty": "{have} an empty transcript",
    "characters": "{have} characters outside the vocabulary",
    "unreadable": "cannot be read",
    "silent": "{hold} nothing but zeros",
    "too_short": "{are} too short",
    "too_long": "{are} too long",
}


def told_by_left_out(corpus: SentenceCorpus, left_out: Iterable[LeftOut]) -> Iterator[str]:
    """A sentence for each reason and split: how many, of how many, and the first of them."""
    groups: dict[tuple[Why, Split], list[LeftOut]] = {}
    for each in left_out:
        groups.setdefault((each.why, each.split), []).append(each)
    for why, phrase in _PHRASES.items():
        for split in SPLITS:
            some = groups.get((why, split), [])
            if some:
                yield _of_reason(corpus, split, phrase, some)


def _of_reason(corpus: SentenceCorpus, split: Split, phrase: str, some: list[LeftOut]) -> str:
    one = len(some) == 1
    verb = phrase.format(
        have="has" if one else "have", hold="holds" if one else "hold", are="is" if one else "are"
    )
    foreign = Counter(character for each in some for character in each.characters)
    if foreign:
        listed = ", ".join(f"'{character}' {n:,}" for character, n in foreign.most_common(8))
        more = f", and {len(foreign) - 8} more" if len(foreign) > 8 else ""
        verb += f" ({listed}{more})"
    total = corpus.counts[split]
    return (
        f"{len(some):,} of {total:,} {split} utterances {verb} and {'is' if one else 'are'} left "
        f"out; the first: {some[0].path}: {some[0].detail}"
    )
