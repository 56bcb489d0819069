"""Notes on designs: what was written last counts, and nothing that is written is lost."""

from pathlib import Path

import pytest

from dse.errors import InvalidInput
from dse.studies.notes import FILE_NAME, read_notes, tags_of, write_note

KEY, OTHER = "88b9b156723d", "5e4ae76da2be"


def test_the_last_note_of_a_design_counts(tmp_path: Path) -> None:
    assert read_notes(tmp_path) == {}
    write_note(tmp_path, KEY, " for the review: ±3 µJ\nask Mia ", ("candidate", "tape-out"))
    first = write_note(tmp_path, OTHER, "", ("baseline",))
    last = write_note(tmp_path, KEY, "no longer", ())
    assert read_notes(tmp_path) == {KEY: last, OTHER: first}
    write_note(tmp_path, OTHER, "")
    assert list(read_notes(tmp_path)) == [KEY]  # taken away
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 4  # and still to be read


def test_a_note_that_a_crash_cut_short_harms_no_other(tmp_path: Path) -> None:
    kept = write_note(tmp_path, KEY, "kept")
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"schema_version": 1, "key": "5e4')
    assert read_notes(tmp_path) == {KEY: kept}
    after = write_note(tmp_path, OTHER, "after")
    assert read_notes(tmp_path) == {KEY: kept, OTHER: after}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"key": 1}',
        '{"schema_version": 2, "key": "a", "note": "", "tags": []}',
        '{"schema_version": 1, "key": "a", "note": "\\u001b", "tags": [], "written_at": ""}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    write_note(tmp_path, KEY, "kept")
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInput, match=r"notes\.jsonl:2: not a note of a design"):
        read_notes(tmp_path)


@pytest.mark.parametrize(
    ("key", "text", "tags", "words"),
    [
        ("../up", "x", (), "is no key of a design"),
        (KEY, "x" * 2_001, (), "at most 2,000 characters"),
        (KEY, "\x1b[2J", (), "at most 2,000 characters"),
        (KEY, "", ("a,b",), "without a comma"),
        (KEY, "", ("",), "without a comma"),
        (KEY, "", tuple("abcdefghijklm"), "at most 12"),
    ],
)
def test_what_is_no_note_is_refused(
    tmp_path: Path, key: str, text: str, tags: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        write_note(tmp_path, key, text, tags)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_link_out_of_the_study_is_neither_read_nor_written(tmp_path: Path) -> None:
    study, secret = tmp_path / "study", tmp_path / "secret"
    study.mkdir()
    secret.write_text("")
    (study / FILE_NAME).symlink_to(secret)
    for act in (lambda: read_notes(study), lambda: write_note(study, KEY, "x")):
        with pytest.raises(InvalidInput):
            act()
    assert secret.read_text() == ""


def test_tags_are_typed_with_commas() -> None:
    assert tags_of(" a, b b ,,a") == ("a", "b b")
