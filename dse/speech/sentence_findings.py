"""What a folder of sentences says against the errors that are measured on it, in sentences.

An error rate of speech recognition is a statement about strangers who say something new. A voice in
training and testing makes it too small; so does a text that was read to the network before, and so,
most of all, does the same recording. As with words (`dse.speech.findings`) none of these stops a
training, and all belong beside its result.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dse.speech.findings import many
from dse.speech.speech_commands import Split

USUAL_STRIDE = 2
"""Frames for an output of QuartzNet (arXiv 1910.10261, table 1: only the first layer has one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldSentence:
    """One utterance that can be used, by its transcript."""

    name: str
    """Relative path."""
    split: Split
    text: str
    """Its transcript in the form in which its characters are looked up."""
    speaker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSentence(ToldSentence):
    """The same, decoded."""

    duration_s: float
    rate_hz: int
    """Of the file."""
    frames: int
    """As recorded."""
    outputs_needed: int
    """By its transcript (`dse.speech.transcripts.frames_needed`)."""
    digest: bytes
    """Of its samples."""


def told_by_texts(told: Sequence[ToldSentence]) -> Iterator[str]:
    """Voices and texts in more than one split; nothing need be decoded.

    Args:
        told: all utterances that are used.
    """
    told = sorted(told, key=lambda each: each.name)  # examples do not depend on who read first
    yield from _voices(told)
    yield from _texts(told)


def told_by_sounds(heard: Sequence[HeardSentence], rate_hz: int) -> Iterator[str]:
    """Recordings in more than one split, low rates, more characters than outputs.

    Args:
        heard: all utterances that are used.
        rate_hz: the rate that they are brought to.
    """
    heard = sorted(heard, key=lambda each: each.name)
    yield from _recordings(heard)
    yield from _rates(heard, rate_hz)
    yield from _fast_speakers(heard)


def _voices(told: Sequence[ToldSentence]) -> Iterator[str]:
    splits: dict[str, set[Split]] = defaultdict(set)
    nameless = 0
    for each in told:
        if each.speaker is None:
            nameless += 1
        else:
            splits[each.speaker].add(each.split)
    shared = sorted(speaker for speaker, found in splits.items() if len(found) > 1)
    if shared:
        yield (
            f"{many(len(shared), 'speaker is', 'speakers are')} in more than one split (such as "
            f"'{shared[0]}'): errors say nothing about voices that the network has not heard"
        )
    if nameless:
        yield (
            f"{many(nameless, 'utterance names', 'utterances name')} no speaker: one voice may be "
            "in more than one split, which makes errors too small"
        )


def _texts(told: Sequence[ToldSentence]) -> Iterator[str]:
    learned = {each.text for each in told if each.split == "training"}
    for split in ("validation", "testing"):
        there = [each for each in told if each.split == split]
        known = [each for each in there if each.text in learned]
        if known:
            yield (
                f"{len(known):,} of {len(there):,} {split} transcripts are in training, too (such "
                f"as that of {known[0].name}): the network may know them by heart, and errors are "
                "too small"
            )


def _recordings(heard: Sequence[HeardSentence]) -> Iterator[str]:
    by_sound: dict[bytes, list[HeardSentence]] = defaultdict(list)
    for each in heard:
        by_sound[each.digest].append(each)
    groups = [group for group in by_sound.values() if len(group) > 1]
    across = [group for group in groups if len({each.split for each in group}) > 1]
    if across:
        first = across[0][0]
        second = next(each for each in across[0] if each.split != first.split)
        yield (
            f"{many(len(across), 'recording is', 'recordings are')} in more than one split (such "
            f"as {first.name} in {first.split} and {second.name} in {second.split}): the network "
            "has heard what it is tested on"
        )
    otherwise = [group for group in groups if len({each.text for each in group}) > 1]
    if otherwise:
        first = otherwise[0][0]
        second = next(each for each in otherwise[0] if each.text != first.text)
        yield (
            f"{many(len(otherwise), 'recording has', 'recordings have')} more than one transcript "
            f"(such as {first.name} and {second.name}): no network can get both right"
        )


def _rates(heard: Sequence[HeardSentence], rate_hz: int) -> Iterator[str]:
    low = [each for each in heard if each.rate_hz < rate_hz]
    if low:
        lowest = min(low, key=lambda each: each.rate_hz)
        yield (
            f"{len(low):,} of {len(heard):,} utterances were recorded at less than the features' "
            f"{rate_hz} Hz (such as {lowest.name}, {lowest.rate_hz} Hz): they have nothing above "
            f"{lowest.rate_hz / 2000:g} kHz"
        )


def _fast_speakers(heard: Sequence[HeardSentence]) -> Iterator[str]:
    fast = [each for each in heard if each.outputs_needed > each.frames // USUAL_STRIDE]
    if fast:
        worst = max(fast, key=lambda each: each.outputs_needed / each.frames)
        yield (
            f"{len(fast):,} of {len(heard):,} utterances have more characters than a network of "
            f"stride {USUAL_STRIDE} has outputs (such as {worst.name}: {worst.outputs_needed} of "
            f"{worst.frames // USUAL_STRIDE}): they cannot be aligned, so look whether their "
            "transcripts fit"
        )
