"""What a folder of speech says against the errors that are measured on it, in sentences.

An error rate is a statement about strangers: people, rooms and takes that the network has never
heard. A folder can break that promise without a single damaged file. One voice in training and
testing makes the error too small; so does one recording in both. A class of three clips moves by 33
points when one of them is judged otherwise. A clip that is cropped may have lost its word. None of
these stops a training, and all of them belong beside its result, so `dse data inspect`, `train` and
`search` tell them, and a study keeps them for its report.

Two sources: file names (`name_findings`, nearly free) and decoded sounds (`sound_findings`). Each
finding is one sentence with its number, an example and what it does to the result.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dse.speech.speech_commands import SPLITS, Clip, Corpus, Split

MAX_UNREADABLE_SHARE = 0.01
MAX_UNREADABLE = 5
"""A run stops when more than this share of the recordings, and this many, cannot be read."""
FEW_CLIPS = 10
"""A class with fewer in a split is named: there one clip moves its error by over 10 points."""
SHORT_S = 0.3
"""A clip of less is named: hardly a spoken word with the silence around it is that short."""
LONG_TOLERANCE_S = 0.02
"""A clip may be this much longer than the crop: one hop of the features at either end."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One recording of a word, as it was decoded."""

    name: str
    """Relative path."""
    label: str
    """The class or word that it stands for."""
    split: Split
    duration_s: float
    rate_hz: int
    missing_s: float
    silent: bool
    digest: bytes
    """Of its samples."""


def name_findings(
    corpus: Corpus, classes: Sequence[str], clips: Mapping[tuple[str, Split], int]
) -> tuple[str, ...]:
    """What file names say: voices and clips of each split, folders passed over, lists.

    Args:
        corpus: the folder.
        classes: what is told apart, or the words of the folder.
        clips: so many of each class in each split, silence included; 0 where it is left out.
    """
    return tuple(
        sentence
        for sentences in (
            _voices(corpus.clips),
            _few(classes, clips),
            _passed_over(corpus),
        )
        for sentence in sentences
    )


def _voices(clips: Iterable[Clip]) -> Iterator[str]:
    splits: dict[str, set[Split]] = defaultdict(set)
    nameless: Counter[Split] = Counter()
    for clip in clips:
        if clip.speaker is None:
            nameless[clip.split] += 1
        else:
            splits[clip.speaker].add(clip.split)
    shared = sorted(speaker for speaker, found in splits.items() if len(found) > 1)
    if shared:
        yield (
            f"{many(len(shared), 'speaker is', 'speakers are')} in more than one split (such as "
            f"'{shared[0]}'): errors of voices that the network has heard are too small"
        )
    if nameless:
        yield (
            f"{many(sum(nameless.values()), 'clip names', 'clips name')} no speaker (no _nohash_ "
            "in the file name): one voice may be in more than one split, which makes errors too "
            "small"
        )


def _few(classes: Sequence[str], clips: Mapping[tuple[str, Split], int]) -> Iterator[str]:
    few = [
        (clips.get((label, split), 0), label, split)
        for split in SPLITS
        for label in classes
        if clips.get((label, split), 0) < FEW_CLIPS
    ]
    if few:
        count, label, split = min(few)
        step = f"one clip moves its error by {100 / count:.0f} points" if count else "it has none"
        found = len({label for _, label, _ in few})
        yield (
            f"{many(found, 'class has', 'classes have')} fewer than {FEW_CLIPS} clips in a "
            f"split (such as '{label}', {count} in {split}: {step})"
        )


def _passed_over(corpus: Corpus) -> Iterator[str]:
    if corpus.passed_over:
        listed = ", ".join(corpus.passed_over[:3])
        yield (
            f"{many(len(corpus.passed_over), 'folder', 'folders')} with sounds passed over "
            f"({listed}): names that begin with _ are no words"
        )
    if corpus.listed_but_missing:
        yield (
            f"{many(corpus.listed_but_missing, 'line', 'lines')} of the lists of clips "
            f"{'names' if corpus.listed_but_missing == 1 else 'name'} no file of the folder: "
            "splits are smaller than their lists say"
        )


def sound_findings(heard: Sequence[Heard], clip_s: float, rate_hz: int) -> tuple[str, ...]:
    """What decoded clips say: lengths, rates, files cut off, silence, the same sound twice.

    Args:
        heard: all clips of words; cut-outs of noise are not among them.
        clip_s: the length that clips are brought to.
        rate_hz: the rate that they are brought to.
    """
    heard = sorted(heard, key=lambda each: each.name)  # examples do not depend on who read first
    return tuple(
        sentence
        for sentences in (
            _lengths(heard, clip_s),
            _damage(heard, rate_hz),
            _twice(heard),
        )
        for sentence in sentences
    )


def _lengths(heard: Sequence[Heard], clip_s: float) -> Iterator[str]:
    long = [each for each in heard if each.duration_s > clip_s + LONG_TOLERANCE_S]
    if long:
        longest = max(long, key=lambda each: each.duration_s)
        yield (
            f"{_of(long, heard)} are longer than {clip_s:g} s, and all but the middle is cut away "
            f"(the longest, {longest.name}, has {longest.duration_s:.2f} s): a word at their ends "
            "is lost"
        )
    short = [each for each in heard if each.duration_s < SHORT_S]
    if short:
        shortest = min(short, key=lambda each: each.duration_s)
        yield (
            f"{_of(short, heard)} are shorter than {SHORT_S:g} s and padded with silence (the "
            f"shortest, {shortest.name}, has {shortest.duration_s:.2f} s)"
        )


def _damage(heard: Sequence[Heard], rate_hz: int) -> Iterator[str]:
    cut = [each for each in heard if each.missing_s > 0]
    if cut:
        worst = max(cut, key=lambda each: each.missing_s)
        yield (
            f"{_of(cut, heard)} end before their head says (the worst, {worst.name}, lacks "
            f"{worst.missing_s:.2f} s): a copy or download was cut off"
        )
    silent = [each for each in heard if each.silent]
    if silent:
        yield (
            f"{_of(silent, heard)} hold nothing but zeros (such as {silent[0].name}): digital "
            "silence under the name of a word"
        )
    low = [each for each in heard if each.rate_hz < rate_hz]
    if low:
        lowest = min(low, key=lambda each: each.rate_hz)
        yield (
            f"{_of(low, heard)} were recorded at less than the features' {rate_hz} Hz (such as "
            f"{lowest.name}, {lowest.rate_hz} Hz): they have nothing above "
            f"{lowest.rate_hz / 2000:g} kHz, which tells them from the others"
        )


def _twice(heard: Sequence[Heard]) -> Iterator[str]:
    by_sound: dict[bytes, list[Heard]] = defaultdict(list)
    for each in heard:
        if not each.silent:  # counted as such: any two of them are equal
            by_sound[each.digest].append(each)
    groups = [group for group in by_sound.values() if len(group) > 1]
    across = [group for group in groups if len({each.split for each in group}) > 1]
    if across:
        first, second = _pair(across[0], lambda each: each.split)
        yield (
            f"{many(len(across), 'recording is', 'recordings are')} in more than one split (such "
            f"as {first.name} in {first.split} and {second.name} in {second.split}): the network "
            "has heard what it is tested on, and its error is too small"
        )
    otherwise = [group for group in groups if len({each.label for each in group}) > 1]
    if otherwise:
        first, second = _pair(otherwise[0], lambda each: each.label)
        yield (
            f"{many(len(otherwise), 'recording stands', 'recordings stand')} for more than one "
            f"class (such as {first.name} for '{first.label}' and {second.name} for "
            f"'{second.label}'): no network can get both right"
        )


def _pair(group: Sequence[Heard], of: Callable[[Heard], str]) -> tuple[Heard, Heard]:
    """The first of a group and the first that differs from it."""
    return group[0], next(each for each in group if of(each) != of(group[0]))


def _of(some: Sequence[Heard], heard: Sequence[Heard]) -> str:
    return f"{len(some):,} of {len(heard):,} clips"


def many(count: int, one: str, several: str) -> str:
    """`1 speaker is` or `3 speakers are`: the number with the words that go with it."""
    return f"{count:,} {one if count == 1 else several}"
