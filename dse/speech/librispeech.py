"""The folder layout of LibriSpeech.

    DIR/[LibriSpeech/]SPLIT/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac
    DIR/[LibriSpeech/]SPLIT/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt

A line of the .trans.txt is `SPEAKER-CHAPTER-NNNN THE TRANSCRIPT IN CAPITALS`. The published
archives unpack to a folder `LibriSpeech`, so both that folder and the one around it may be named.
WAV files in place of FLAC are read as well, since many convert the corpus first.

Source: Panayotov et al., "LibriSpeech: an ASR corpus based on public domain audio books", ICASSP
2015, and README.TXT of the archives.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from dse.errors import InvalidData
from dse.speech.audio import SUFFIXES
from dse.speech.sentence_corpus import Sentence, SentenceCorpus, in_order, split_by_name
from dse.speech.speech_commands import Split

INNER = "LibriSpeech"
"""The folder that the published archives unpack to."""
ENDING = ".trans.txt"


def find_librispeech(folder: Path) -> Path | None:
    """The folder with the splits, `folder` or the one in it; None where the layout is another."""
    for root in (folder, folder / INNER):
        if root.is_dir() and any(root.glob(f"*/*/*/*{ENDING}")):
            return root
    return None


def scan_librispeech(folder: Path, root: Path) -> SentenceCorpus:
    """List the sentences of a folder in this layout; decodes nothing.

    Args:
        folder: the data folder, that paths are relative to.
        root: from `find_librispeech`.

    Raises:
        InvalidData: a file of transcripts cannot be read, or names an utterance twice.
    """
    sentences: list[Sentence] = []
    missing: list[tuple[Split, str]] = []
    untold: list[tuple[Split, str]] = []
    passed_over: list[str] = []
    for part in _folders(root):
        split = split_by_name(part.name)
        if split is None:
            if any(Path(part).glob(f"*/*/*{ENDING}")):
                passed_over.append(part.name)
            continue
        for speaker in _folders(Path(part)):
            for chapter in _folders(Path(speaker)):
                before = Path(chapter).relative_to(folder).as_posix()
                told, sounds = _chapter(Path(chapter))
                for name, text in told.items():
                    entry = sounds.pop(name, None)
                    if entry is None:
                        missing.append((split, f"{before}/{name}"))
                        continue
                    status = entry.stat()
                    sentences.append(
                        Sentence(
                            path=f"{before}/{entry.name}",
                            split=split,
                            text=text,
                            speaker=speaker.name,
                            size_bytes=status.st_size,
                            changed_ns=status.st_mtime_ns,
                        )
                    )
                untold += [(split, f"{before}/{entry.name}") for entry in sounds.values()]
    return SentenceCorpus(
        folder=folder,
        layout="librispeech",
        sentences=in_order(sentences),
        missing=tuple(missing),
        untold=tuple(untold),
        passed_over=tuple(passed_over),
    )


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return sorted(found, key=lambda entry: entry.name)


def _chapter(folder: Path) -> tuple[dict[str, str], dict[str, os.DirEntry[str]]]:
    """Transcripts and recordings of a chapter, each by the name without ending."""
    told: dict[str, str] = {}
    sounds: dict[str, os.DirEntry[str]] = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):  # macOS leaves `._name` files beside what it copies
                continue
            if entry.name.endswith(ENDING):
                for number, name, text in _lines(Path(entry)):
                    if name in told:
                        raise InvalidData(
                            f"{name} stands twice in the transcripts of its chapter: remove one "
                            f"({entry.path}:{number})"
                        )
                    told[name] = text
            elif entry.name.lower().endswith(SUFFIXES):
                # Sorted, so a WAV file takes the place of the FLAC file beside it.
                sounds[os.path.splitext(entry.name)[0]] = entry
    return told, sounds


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(
            f"{path} is not UTF-8 text (byte {error.start}): it has one `name transcript` a line"
        ) from None
    for number, line in enumerate(text.split("\n"), start=1):
        name, _, said = line.strip().partition(" ")
        if name:
            yield number, name, said.strip()
