"""Notes and tags that people keep on designs: `notes.jsonl` in a study's folder.

    {"schema_version": 1, "key": "88b9b156723d", "note": "for the review", "tags": ["candidate"],
     "written_at": "2026-11-30T12:00:00+00:00"}

A change appends a line, and the last line of a design counts. So two people who write at once lose
nothing, what was written before can still be read, and a search that runs meanwhile is not touched.
A note is of a network, whatever machines it stands on.
"""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dse.errors import InvalidFile, InvalidInput, require, short, steers
from dse.files import append_line, drop_half_line, inside, whole_lines
from dse.studies.folder import design_folder

FILE_NAME = "notes.jsonl"
SCHEMA_VERSION = 1
LONGEST = 2_000  # characters of a note
LONGEST_TAG = 40
MOST_TAGS = 12
MOST_BYTES = 10_000_000  # of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody wrote on a design; no text and no tags take an earlier note away."""

    text: str = ""
    tags: tuple[str, ...] = ()
    written_at: str = ""
    """In UTC, ISO 8601."""

    def __post_init__(self) -> None:
        """Check lengths and letters."""
        plain = len(self.text) <= LONGEST and not steers(self.text)
        require(plain, "note", f"a text of at most {LONGEST:,} characters", self.text[:50])
        few = len(self.tags) <= MOST_TAGS
        require(few, "tags", f"at most {MOST_TAGS} of them", list(self.tags[: MOST_TAGS + 1]))
        for tag in self.tags:
            sound = 0 < len(tag) <= LONGEST_TAG and not steers(tag) and "," not in tag
            words = f"words of at most {LONGEST_TAG} characters without a comma"
            require(sound, "tags", words, tag[: LONGEST_TAG + 1])


def tags_of(text: str) -> tuple[str, ...]:
    """Tags as they are typed, with commas between them: each once, without blanks around."""
    return tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))


def write_note(folder: Path, key: str, text: str, tags: Sequence[str] = ()) -> Note:
    """Put a note on a design, in the place of the one before.

    Args:
        folder: of the study.
        key: of the design.
        text: empty for none.
        tags: words to find it by.

    Returns:
        What was written.

    Raises:
        InvalidInput: it is too long, the key is none, or the folder cannot be written to.
    """
    design_folder(folder, key)  # refuses what is no key
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    note = Note(text=text.strip(), tags=tuple(tags), written_at=now)
    line: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "key": key, "note": note.text}
    line |= {"tags": list(note.tags), "written_at": now}
    path = inside(folder, FILE_NAME)
    try:
        drop_half_line(path)
        append_line(path, json.dumps(line, ensure_ascii=False))
    except OSError as error:
        raise InvalidInput(
            f"the note cannot be written into {folder.name} ({str(error.strerror).lower()}): free "
            "some space, or change the folder's permissions"
        ) from None
    return note


def read_notes(folder: Path) -> dict[str, Note]:
    """Key -> note of a study's designs; none where nobody wrote any.

    Raises:
        InvalidInput: the file is damaged, of a later version, too large, or a link that leads out.
    """
    path = inside(folder, FILE_NAME)
    if path.exists() and path.stat().st_size > MOST_BYTES:
        raise InvalidFile(f"{path}: more than {MOST_BYTES:,} bytes: move it away")
    found: dict[str, Note] = {}
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            key, note = _read_line(line)
        except (ValueError, TypeError, KeyError, InvalidInput, RecursionError):
            raise InvalidFile(
                f"{path}:{number}: not a note of a design: {short(line.decode(errors='replace'))}; "
                "take the line out"
            ) from None
        found[key] = note
    return {key: note for key, note in found.items() if note.text or note.tags}


def _read_line(line: bytes) -> tuple[str, Note]:
    fields = json.loads(line)
    texts = (fields["key"], fields["note"], fields["written_at"], *fields["tags"])
    if fields["schema_version"] != SCHEMA_VERSION or not all(isinstance(t, str) for t in texts):
        raise ValueError
    tags = tuple(fields["tags"])
    return fields["key"], Note(text=fields["note"], tags=tags, written_at=fields["written_at"])
