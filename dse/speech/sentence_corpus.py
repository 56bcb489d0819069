"""What a folder of sentences holds: recordings, transcripts and splits, before anything is decoded.

Two layouts lead to the same `SentenceCorpus`, each read by a file of its own:

    dse.speech.librispeech    SPLIT/SPEAKER/CHAPTER/*.flac beside one .trans.txt a chapter
    dse.speech.manifests      a file of JSON lines for each split, as NeMo writes them

Which split something belongs to is told by its name: it begins with `train`, `dev` (or `val`) or
`test`, as LibriSpeech's `train-clean-100` and `dev-other` do. Nothing is split by chance: who
recorded sentences has parted speakers and books, and a random split would undo it.
"""

import os
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dse.errors import InvalidData
from dse.speech.speech_commands import SPLITS, Split

Layout = Literal["librispeech", "manifests"]

_BEGINNINGS: dict[str, Split] = {
    "train": "training",
    "dev": "validation",
    "val": "validation",
    "test": "testing",
}
PUBLISHED_NAMES: dict[Split, str] = {
    "training": "train",
    "validation": "dev",
    "testing": "test",
}
"""What names of folders and manifests of a split begin with."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One recording and what is said in it; it has not been opened."""

    path: str
    """Relative to the data folder, with `/`; absolute where a manifest leads out of it."""
    split: Split
    text: str
    """The transcript as it stands in the data; `dse.speech.transcripts` brings it to one form."""
    speaker: str | None
    """None where the data does not say."""
    size_bytes: int
    changed_ns: int
    """Time of the last change, for caches."""

    @property
    def name(self) -> str:
        """The path without its ending: the same for a FLAC and its WAV copy."""
        return os.path.splitext(self.path)[0]


@dataclass(frozen=True, slots=True)
class SentenceCorpus:
    """What a folder holds, by its files of transcripts and the names of recordings."""

    folder: Path
    layout: Layout
    sentences: tuple[Sentence, ...]
    """All that have a recording; by split in the order of `SPLITS`, within by path."""
    missing: tuple[tuple[Split, str], ...]
    """Split and path of transcripts whose recording is not there."""
    untold: tuple[tuple[Split, str], ...] = ()
    """Split and path of recordings without a transcript."""
    passed_over: tuple[str, ...] = ()
    """Folders or manifests with sentences that belong to no split by their names."""

    def split(self, name: Split) -> tuple[Sentence, ...]:
        """The sentences of one split."""
        return tuple(each for each in self.sentences if each.split == name)

    @property
    def counts(self) -> dict[Split, int]:
        """Sentences of each split."""
        found = Counter(each.split for each in self.sentences)
        return {split: found[split] for split in SPLITS}


def split_by_name(name: str) -> Split | None:
    """The split of a folder or manifest of this name; None where the name does not say."""
    lower = name.lower()
    return next((split for start, split in _BEGINNINGS.items() if lower.startswith(start)), None)


def in_order(sentences: Iterable[Sentence]) -> tuple[Sentence, ...]:
    """As `SentenceCorpus.sentences` has them."""
    return tuple(sorted(sentences, key=lambda each: (SPLITS.index(each.split), each.path)))


def refuse_missing_splits(corpus: SentenceCorpus) -> None:
    """Raise `InvalidData` unless there is something to train on, to choose by and to test on."""
    absent = [split for split, count in corpus.counts.items() if not count]
    if not absent:
        return
    there = [f"{count:,} in {split}" for split, count in corpus.counts.items() if count]
    kind = "folders" if corpus.layout == "librispeech" else "manifests"
    names = " and ".join(PUBLISHED_NAMES[split] for split in absent)
    raise InvalidData(
        f"{corpus.folder} has no utterances for {' and '.join(absent)} ({', '.join(there)}): a "
        f"training needs all three splits, so add {kind} whose names begin with {names}"
    )


def refuse_no_folder(folder: Path) -> None:
    """Raise `InvalidData` unless `folder` is one."""
    if not folder.exists():
        raise InvalidData(
            f"the data folder {folder} does not exist: check the name, or make a corpus there with "
            f"`dse data synthesize {shlex.quote(str(folder))} --sentences`"
        )
    if not folder.is_dir():
        raise InvalidData(
            f"the data folder {folder} is a file: name the folder that holds LibriSpeech's splits "
            "or the manifests"
        )
