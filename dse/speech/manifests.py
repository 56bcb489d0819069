"""Manifests as NeMo writes them: a file for each split, one JSON object a line.

    DIR/train_manifest.json   {"audio_filepath": "wavs/a.wav", "duration": 2.31, "text": "go on"}
    DIR/dev_manifest.json     ...
    DIR/test_manifest.json    ...

A part of the file's name between `_`, `-` and `.` says the split by its beginning, so
`an4_train.json` and `train-clean-100.jsonl` are both training; several manifests of one split are
read together. Relative paths are seen from the manifest, as NeMo sees them. `speaker` is read where
it is there, other keys are not. `duration` is not believed: the sound is measured when it is read.

Source: NeMo, asr/parts/utils/manifest_utils.py, and its documentation "Datasets".
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dse.errors import InvalidData, short
from dse.speech.sentence_corpus import Sentence, SentenceCorpus, in_order, split_by_name
from dse.speech.speech_commands import Split

ENDINGS = (".json", ".jsonl", ".manifest")
_PATH, _TEXT = "audio_filepath", "text"
_KEYS = f"{_PATH}, duration and {_TEXT}"


def find_manifests(folder: Path) -> list[Path]:
    """The manifests of a folder, sorted: files of JSON lines that name recordings."""
    with os.scandir(folder) as entries:
        files = sorted(Path(entry) for entry in entries if entry.name.lower().endswith(ENDINGS))
    return [path for path in files if path.is_file() and _is_manifest(path)]


def _is_manifest(path: Path) -> bool:
    """Whether it begins as a manifest does; a damaged one further down is a fault, told later."""
    try:
        with path.open("rb") as file:
            return f'"{_PATH}"'.encode() in file.read(1 << 16).lstrip().partition(b"\n")[0]
    except OSError:
        return False


def scan_manifests(folder: Path, manifests: list[Path]) -> SentenceCorpus:
    """List the sentences that manifests name; decodes nothing.

    Args:
        folder: the data folder, that paths are relative to where they are inside it.
        manifests: from `find_manifests`.

    Raises:
        InvalidData: a line is no such object, a recording stands twice, or none of the recordings
            of a manifest is there.
    """
    sentences: dict[str, Sentence] = {}
    missing: list[tuple[Split, str]] = []
    passed_over: list[str] = []
    for manifest in manifests:
        split = _split(manifest.name)
        if split is None:
            passed_over.append(manifest.name)
            continue
        lost: list[str] = []
        lines = 0
        for number, line in _lines(manifest):
            lines += 1
            path = _path(folder, manifest, line[_PATH])
            if path in sentences:
                raise InvalidData(
                    f"{path} stands twice, but a recording belongs to one split and has one "
                    f"transcript: remove one line ({manifest}:{number})"
                )
            try:
                status = (folder / path).stat()
            except OSError:
                lost.append(path)
                continue
            sentences[path] = Sentence(
                path=path,
                split=split,
                text=line[_TEXT],
                speaker=str(line["speaker"]) if line.get("speaker") is not None else None,
                size_bytes=status.st_size,
                changed_ns=status.st_mtime_ns,
            )
        if lines and len(lost) == lines:
            raise InvalidData(
                f"none of the {lines:,} recordings of {manifest} is there (the first: {lost[0]}): "
                "relative paths are seen from the manifest's folder, so put it back beside the "
                "recordings, or mend the paths"
            )
        missing += [(split, path) for path in lost]
    return SentenceCorpus(
        folder=folder,
        layout="manifests",
        sentences=in_order(sentences.values()),
        missing=tuple(missing),
        passed_over=tuple(passed_over),
    )


def _split(name: str) -> Split | None:
    found = [split_by_name(part) for part in re.split(r"[_.\-]", name)]
    return next((split for split in found if split is not None), None)


def _path(folder: Path, manifest: Path, written: str) -> str:
    """Relative to the data folder where it is inside, as `Sentence.path`."""
    # normpath, not resolve(): a link in the corpus is a place in it, wherever it leads.
    path = Path(os.path.normpath(manifest.parent / written))
    root = Path(os.path.normpath(folder))
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return str(path.absolute())


def _lines(manifest: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with manifest.open(encoding="utf-8-sig") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(line, f"{manifest}:{number}")
        except UnicodeDecodeError as error:
            raise InvalidData(f"{manifest} is not UTF-8 text (byte {error.start})") from None


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        raise InvalidData(
            f"a manifest has one JSON object with {_KEYS} a line, not {short(line.strip())} "
            f"({place})"
        ) from None
    if not isinstance(found, dict):
        raise InvalidData(f"a line of a manifest is a JSON object with {_KEYS} ({place})")
    for key in (_PATH, _TEXT):
        if not isinstance(found.get(key), str):
            problem = f"is {short(found[key])}" if key in found else "is missing"
            raise InvalidData(f"{key} {problem}, it must be a text ({place})")
    if not found[_PATH]:
        raise InvalidData(f"{_PATH} is empty, it must name a recording ({place})")
    if found.get("offset"):
        raise InvalidData(
            f"offset is {short(found['offset'])}, but pieces of longer recordings are not read: "
            f"cut them into files of their own ({place})"
        )
    return found
