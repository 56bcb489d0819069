"""Folders in the layout of Speech Commands: one sub-folder a word, one file a clip.

    DIR/yes/3a1f09bc_nohash_0.wav      the speaker's name stands before `_nohash_`
    DIR/no/3a1f09bc_nohash_2.flac      WAV and FLAC may stand side by side
    DIR/_background_noise_/hum.wav     longer sounds: silence clips and noise to mix in
    DIR/validation_list.txt            optional, both or neither: one `word/file` a line
    DIR/testing_list.txt

A split must part speakers, not clips: a network recognises a voice that it has heard, and clips of
one person in training and testing make the error look smaller than it is for strangers. Hence the
hash rule on the speaker's name, which needs no list and keeps each file where it is when others are
added.

Source: Warden, "Speech Commands", arXiv 1804.03209, sections 6.3 (layout) and 7 (splits).
"""

import difflib
import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dse.errors import InvalidData
from dse.speech.audio import SUFFIXES
from dse.speech.task import COMMANDS, SILENCE, UNKNOWN, Task

Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")

NOISE_FOLDER = "_background_noise_"
CLIP_S = 1.0
"""Every clip is brought to this length."""

_HASH_MODULUS = 2**27 - 1  # MAX_NUM_WAVS_PER_CLASS of the published rule
_VALIDATION_PERCENT = 10.0
_TESTING_PERCENT = 10.0


@dataclass(frozen=True, slots=True)
class Clip:
    """One sound file of a word, by its name and what the folder says; it has not been opened."""

    path: str
    """Relative to the data folder, with `/`: `yes/3a1f09bc_nohash_0.wav`."""
    word: str
    split: Split
    size_bytes: int
    changed_ns: int
    """Time of the last change, for caches."""

    @property
    def name(self) -> str:
        """The path without its ending: the same for a WAV and its FLAC copy."""
        return os.path.splitext(self.path)[0]

    @property
    def speaker(self) -> str | None:
        """What stands before `_nohash_`; None where the file name does not say."""
        before, mark, _ = os.path.basename(self.path).partition("_nohash_")
        return before if mark else None


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a data folder holds, by file names alone: nothing has been decoded."""

    folder: Path
    clips: tuple[Clip, ...]
    """All clips of all words, sorted by path."""
    noises: tuple[str, ...]
    """Files of `_background_noise_`, relative to the data folder, sorted."""
    split_by: Literal["lists", "hash"]
    listed_but_missing: int
    """Lines of the two lists that name no file of the folder."""
    doubles: int
    """FLAC files passed over because a WAV file of the same name stands beside them."""
    passed_over: tuple[str, ...] = ()
    """Sub-folders with sounds that are no words, as their names begin with `_`; sorted."""

    @property
    def words(self) -> tuple[str, ...]:
        """Names of the word folders that hold clips, sorted; empty folders are no words."""
        return tuple(sorted({clip.word for clip in self.clips}))

    def state(self) -> Iterator[bytes]:
        """What a cache of this folder depends on: where it is, and each file's size and time.

        Raises:
            OSError: a file of noise is not there any more.
        """
        yield _bytes(str(self.folder.resolve()))
        for clip in self.clips:
            yield _bytes(f"{clip.path}\0{clip.split}\0{clip.size_bytes}\0{clip.changed_ns}\n")
        for noise in self.noises:
            status = (self.folder / noise).stat()
            yield _bytes(f"{noise}\0{status.st_size}\0{status.st_mtime_ns}\n")


def _bytes(name: str) -> bytes:
    """A text with names of files, which may hold bytes that are no characters."""
    return name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Example:
    """One clip of a task and its class; the same file may be of another class in another task."""

    name: str
    """Relative path of the file; `_silence_/training/0007` for a cut-out of noise."""
    label: int
    """Index into `Drawing.classes`."""
    clip: Clip | None
    """None: silence, to be cut out of the noises."""

    @property
    def identity(self) -> str:
        """The name without the ending of a file: what random numbers are drawn by."""
        return self.clip.name if self.clip else self.name


@dataclass(frozen=True, slots=True)
class Drawing:
    """The examples of one task in one folder: which clips, of which class, in which split.

    Sorted by path within the chosen words, then within the unknown ones, then silence by number;
    shuffling is left to the training.
    """

    classes: tuple[str, ...]
    training: tuple[Example, ...]
    validation: tuple[Example, ...]
    testing: tuple[Example, ...]

    def split(self, name: Split) -> tuple[Example, ...]:
        """The examples of the split of this name, for loops over `SPLITS`."""
        return {"training": self.training, "validation": self.validation, "testing": self.testing}[
            name
        ]


def which_split(file_name: str) -> Split:
    """The split of a file by the published hash rule: all clips of a speaker fall into one.

    SHA-1 of the name before `_nohash_`, modulo 2^27, as a percentage of 2^27 - 1: below 10
    validation, below 20 testing, else training. A name without the mark is hashed whole with the
    ending `.wav`, as the published code does for the WAV file.

    Source: arXiv 1804.03209, section 7, and README.md of the archive, `which_set`.
    """
    base = os.path.basename(file_name)
    # Why a hash and not a draw: the split of a file depends on nothing but its name, so a corpus
    # may grow without clips wandering from training to testing.
    if "_nohash_" in base:
        hashed = re.sub(r"_nohash_.*$", "", base, flags=re.DOTALL)
    else:
        stem, ending = os.path.splitext(base)
        hashed = stem + ".wav" if ending.lower() in SUFFIXES else base
    digest = hashlib.sha1(hashed.encode("utf-8", "surrogateescape"), usedforsecurity=False)
    number = int(digest.hexdigest(), 16) % (_HASH_MODULUS + 1)
    percent = number * (100.0 / _HASH_MODULUS)
    if percent < _VALIDATION_PERCENT:
        return "validation"
    if percent < _VALIDATION_PERCENT + _TESTING_PERCENT:
        return "testing"
    return "training"


def scan(folder: Path) -> Corpus:
    """List a data folder: words, clips, splits, noises. Decodes nothing.

    Sub-folders whose name starts with `_` or `.` are no words. The split is that of the lists where
    both are there (a list may name `.wav` where the file is `.flac`), else that of `which_split`.
    With lists, a clip in neither is training.

    Raises:
        InvalidData: the folder is missing or holds no clips, or its lists contradict themselves.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InvalidData(
            f"the data folder {folder} does not exist: check the name, or make a corpus there with "
            f"`dse data synthesize {shlex.quote(str(folder))}`"
        )
    if not folder.is_dir():
        raise InvalidData(
            f"the data folder {folder} is a file: name the folder that holds one sub-folder a word"
        )
    found = {word: list(_sounds(folder / word)) for word in _word_folders(folder)}
    if not any(found.values()):
        raise InvalidData(_no_clips(folder))
    listed = _read_lists(folder)
    clips: dict[str, Clip] = {}
    doubles = 0
    for word, entries in found.items():
        for entry in entries:
            path = f"{word}/{entry.name}"
            status = entry.stat()
            name = os.path.splitext(path)[0]
            split = which_split(path) if listed is None else listed.get(name, "training")
            clip = Clip(path, word, split, status.st_size, status.st_mtime_ns)
            # Entries come sorted, so a FLAC copy before its WAV gives way to it.
            if name in clips:
                doubles += 1
                if not path.lower().endswith(".wav"):
                    continue
            clips[name] = clip
    noise_folder = folder / NOISE_FOLDER
    noises = _sounds(noise_folder) if noise_folder.is_dir() else []
    return Corpus(
        folder=folder,
        clips=tuple(sorted(clips.values(), key=lambda clip: clip.path)),
        noises=tuple(f"{NOISE_FOLDER}/{entry.name}" for entry in noises),
        split_by="hash" if listed is None else "lists",
        listed_but_missing=len(set(listed or ()) - set(clips)),
        doubles=doubles,
        passed_over=tuple(_passed_over(folder)),
    )


def _passed_over(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and entry.name[0] == "_"]
    return sorted(name for name in names if name != NOISE_FOLDER and _sounds(folder / name))


def _word_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if entry.is_dir() and entry.name[0] not in "_."
        )


def _sounds(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        sounds = [
            entry
            for entry in entries
            # macOS leaves `._name.wav` files beside what it copies
            if entry.name.lower().endswith(SUFFIXES) and entry.name[0] != "." and entry.is_file()
        ]
    return sorted(sounds, key=lambda entry: entry.name)


def _no_clips(folder: Path) -> str:
    problem = f"the data folder {folder} holds no WAV or FLAC file in a sub-folder"
    inside = [
        str(folder / child)
        for child in _word_folders(folder)
        if any(_sounds(folder / child / word) for word in _word_folders(folder / child))
    ]
    if any(folder.glob("*/*/*/*.trans.txt")) or any(folder.glob("*/*/*/*/*.trans.txt")):
        return f"{problem}: it holds sentences, which are for a task of kind transcription"
    if inside:
        return f"{problem}: did you mean {' or '.join(inside[:5])}?"
    return (
        f"{problem}: it needs one sub-folder a word (yes/..., no/...); "
        "make one with `dse data synthesize`, or fetch one with `dse data fetch`"
    )


def _read_lists(folder: Path) -> dict[str, Split] | None:
    """Clip name (without ending) -> split, or None where there are no lists."""
    names: dict[Split, Path] = {
        "validation": folder / "validation_list.txt",
        "testing": folder / "testing_list.txt",
    }
    present = {split: path for split, path in names.items() if path.is_file()}
    if not present:
        return None
    if len(present) == 1:
        there = next(iter(present.values())).name
        absent = next(path.name for split, path in names.items() if split not in present)
        raise InvalidData(
            f"{folder} has {there} but not {absent}: add it, or remove {there} to split by the "
            "published hash rule"
        )
    listed: dict[str, Split] = {}
    for split, path in present.items():
        for number, name in _listed_names(path):
            if listed.get(name, split) != split:
                raise InvalidData(
                    f"{name} stands in both lists, but a clip belongs to one split: remove it from "
                    f"one ({path}:{number})"
                )
            listed[name] = split
    return listed


def _listed_names(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(
            f"{path} is not UTF-8 text (byte {error.start}): a list has one `word/file` a line"
        ) from None
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.strip().replace("\\", "/").removeprefix("./")
        if name:
            stem, ending = os.path.splitext(name)
            yield number, stem if ending.lower() in SUFFIXES else name


def draw(corpus: Corpus, task: Task) -> Drawing:
    """The examples of `task`: clips of the chosen words, and drawn unknown and silence ones.

    Unknown clips are those whose hash with the seed is smallest: the drawing depends neither on the
    order of files nor on which other files are there. Silence examples have no file:
    `dse.speech.features` cuts them out of the noises.

    Classes are numbered words first, in the order given, then unknown, then silence. In each split
    there are round(fraction * clips of the chosen words) unknown and as many silence examples as
    their fraction says, at least one of each; of unknown ones no more than the folder has.

    Raises:
        InvalidData: a chosen word is not there, or a class has no clip in some split.
    """
    words = {"commands": COMMANDS, "all_words": corpus.words, "words": task.words}[task.kind]
    refuse_missing_words(corpus, words)
    unknown = task.unknown and task.kind != "all_words"
    classes = (*words, *([UNKNOWN] if unknown else []), *([SILENCE] if task.silence else []))
    label = {name: index for index, name in enumerate(classes)}
    splits: dict[Split, tuple[Example, ...]] = {}
    for split in SPLITS:
        clips = [clip for clip in corpus.clips if clip.split == split]
        chosen = [
            Example(clip.path, label[clip.word], clip) for clip in clips if clip.word in words
        ]
        examples = list(chosen)
        if unknown:
            others = [clip for clip in clips if clip.word not in words]
            # The smallest hashes are a uniform sample without replacement. One more file of another
            # word pushes out one clip at most; with a shuffle it would change them all.
            others.sort(key=lambda clip: _rank(task.seed, clip.name))
            count = max(1, round(task.unknown_fraction * len(chosen)))
            examples += [
                Example(clip.path, label[UNKNOWN], clip)
                for clip in sorted(others[:count], key=lambda clip: clip.path)
            ]
        if task.silence:
            count = max(1, round(task.silence_fraction * len(chosen)))
            examples += [
                Example(f"{SILENCE}/{split}/{index:04}", label[SILENCE], None)
                for index in range(count)
            ]
        refuse_empty_classes(corpus.folder, split, classes, (example.label for example in examples))
        splits[split] = tuple(examples)
    return Drawing(classes=classes, **splits)


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode("utf-8", "surrogateescape")).digest()


def refuse_missing_words(corpus: Corpus, words: Iterable[str]) -> None:
    """Raise `InvalidData` for the first chosen word that has no clips in the folder."""
    for word in words:
        if word not in corpus.words:
            close = difflib.get_close_matches(word, corpus.words, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            some = ", ".join(corpus.words[:40]) + (", ..." if len(corpus.words) > 40 else "")
            raise InvalidData(
                f"word '{word}' has no clips in {corpus.folder}: {hint}words there are {some}"
            )


def refuse_empty_classes(
    folder: Path, split: Split, classes: tuple[str, ...], labels: Iterable[int]
) -> None:
    """Raise `InvalidData` for the first class without a clip in `split`.

    Asked twice: of file names before anything is decoded, and of what could be read afterwards.

    Args:
        folder: named in the message.
        split: likewise.
        classes: all of the task.
        labels: indices into `classes` of the examples that are there.
    """
    present = set(labels)
    for index, name in enumerate(classes):
        if index not in present:
            remedy = (
                "add clips of words that are not chosen, or set unknown to false"
                if name == UNKNOWN
                else "add clips of more speakers, name some in the lists, or leave the word out"
            )
            raise InvalidData(
                f"class '{name}' has 0 clips in the {split} split of {folder}, at least 1 is "
                f"needed: {remedy}"
            )
