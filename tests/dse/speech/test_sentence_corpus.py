"""Folders of sentences: LibriSpeech's layout, NeMo's manifests, and what is wrong with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dse.errors import InvalidData
from dse.speech.sentence_corpus import refuse_missing_splits, split_by_name
from dse.speech.sentence_folders import holds_sentences, scan_sentences
from dse.speech.speech_commands import scan
from dse.speech.transcription import Transcription
from dse.speech.transcripts import (
    characters_of_data,
    characters_text,
    decode,
    encode,
    frames_needed,
    outside,
    read_characters,
    written,
)


def write_sound(path: Path, seconds: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    soundfile.write(path, 0.1 * rng.normal(size=round(16_000 * seconds)), 16_000)


def write_chapter(root: Path, split: str, speaker: str, texts: list[str]) -> None:
    folder = root / split / speaker / "1"
    names = [f"{speaker}-1-{number:04}" for number in range(len(texts))]
    for name in names:
        write_sound(folder / f"{name}.flac")
    lines = [f"{name} {text}\n" for name, text in zip(names, texts, strict=True)]
    (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))


@pytest.mark.parametrize("inner", ["", "LibriSpeech"])
def test_reads_the_layout_of_librispeech(tmp_path, inner):
    root = tmp_path / inner
    write_chapter(root, "train-clean-100", "19", ["GO ON", "STOP"])
    write_chapter(root, "train-other-500", "20", ["YES"])
    write_chapter(root, "dev-clean", "84", ["NO"])
    write_chapter(root, "extra", "9", ["WHO"])
    (root / "SPEAKERS.TXT").write_text("19 | F\n")
    (root / "dev-clean/84/1/84-1-0009.flac").write_bytes(b"")
    with (root / "dev-clean/84/1/84-1.trans.txt").open("a") as file:
        file.write("84-1-0001 AND NOW\n")
    corpus = scan_sentences(tmp_path)
    before = f"{inner}/" if inner else ""
    assert [each.path for each in corpus.sentences] == [
        f"{before}train-clean-100/19/1/19-1-0000.flac",
        f"{before}train-clean-100/19/1/19-1-0001.flac",
        f"{before}train-other-500/20/1/20-1-0000.flac",
        f"{before}dev-clean/84/1/84-1-0000.flac",
    ]
    assert [each.text for each in corpus.sentences] == ["GO ON", "STOP", "YES", "NO"]
    assert [each.speaker for each in corpus.sentences] == ["19", "19", "20", "84"]
    assert corpus.counts == {"training": 3, "validation": 1, "testing": 0}
    assert corpus.missing == (("validation", f"{before}dev-clean/84/1/84-1-0001"),)
    assert corpus.untold == (("validation", f"{before}dev-clean/84/1/84-1-0009.flac"),)
    assert corpus.passed_over == ("extra",)
    with pytest.raises(InvalidData, match=r"no utterances for testing.*names begin with test"):
        refuse_missing_splits(corpus)


def test_an_utterance_has_one_transcript(tmp_path):
    write_chapter(tmp_path, "dev-clean", "84", ["NO"])
    with (tmp_path / "dev-clean/84/1/84-1.trans.txt").open("a") as file:
        file.write("84-1-0000 YES\n")
    with pytest.raises(InvalidData, match=r"84-1-0000 stands twice .*trans\.txt:2"):
        scan_sentences(tmp_path)


def test_a_wav_file_takes_the_place_of_its_flac_copy(tmp_path):
    write_chapter(tmp_path, "dev-clean", "84", ["NO"])
    write_sound(tmp_path / "dev-clean/84/1/84-1-0000.wav")
    (found,) = scan_sentences(tmp_path).sentences
    assert found.path.endswith(".wav") and found.name == "dev-clean/84/1/84-1-0000"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-clean-360", "training"),
        ("dev_other", "validation"),
        ("validation", "validation"),
        ("test-clean", "testing"),
        ("Train", "training"),
        ("contest", None),
    ],
)
def test_names_tell_the_split(name, split):
    assert split_by_name(name) == split


def write_manifest(path: Path, *lines: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def line(path: object, text: str = "go on", **more: object) -> dict[str, object]:
    return {"audio_filepath": str(path), "duration": 0.5, "text": text, **more}


def test_reads_manifests_as_nemo_writes_them(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    write_sound(data / "wavs/a.wav")
    write_sound(data / "wavs/b.flac")
    write_sound(elsewhere / "c.wav")
    write_manifest(data / "an4_train.json", line("wavs/a.wav", speaker=7), line("wavs/gone.wav"))
    write_manifest(data / "dev_manifest.jsonl", line(data / "wavs" / "b.flac", "héllo"))
    write_manifest(data / "test-clean.json", line(elsewhere / "c.wav", ""))
    write_manifest(data / "other.json", line("wavs/a.wav"))
    (data / "labels.json").write_text('["a", "b"]\n')
    corpus = scan_sentences(data)
    assert [(each.path, each.split, each.text, each.speaker) for each in corpus.sentences] == [
        ("wavs/a.wav", "training", "go on", "7"),
        ("wavs/b.flac", "validation", "héllo", None),
        (str(elsewhere / "c.wav"), "testing", "", None),
    ]
    assert corpus.missing == (("training", "wavs/gone.wav"),)
    assert corpus.passed_over == ("other.json",)
    refuse_missing_splits(corpus)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([line("gone.wav"), line("lost.wav")], r"none of the 2 .* is there \(the first: gone.wav"),
        ([line("a.wav"), {"audio_filepath": "b.wav"}], r"text is missing.*train\.json:2"),
        ([line("a.wav"), "b.wav"], r"a line of a manifest is a JSON object"),
        ([line("a.wav"), {"audio_filepath": 3, "text": "no"}], r"audio_filepath is 3"),
        ([line("a.wav", offset=1.5)], r"offset is 1\.5, but pieces .* are not read"),
        ([line("a.wav"), line("./a.wav")], r"a\.wav stands twice.*train\.json:2"),
    ],
)
def test_says_what_is_wrong_with_a_manifest(tmp_path, lines, says):
    write_sound(tmp_path / "a.wav")
    write_manifest(tmp_path / "train.json", *lines)
    with pytest.raises(InvalidData, match=says):
        scan_sentences(tmp_path)


def test_a_line_that_is_no_json_is_named(tmp_path):
    write_sound(tmp_path / "a.wav")
    write_manifest(tmp_path / "train.json", line("a.wav"))
    with (tmp_path / "train.json").open("a") as file:
        file.write("{'audio_filepath': 'b.wav'}\n")
    with pytest.raises(InvalidData, match=r"one JSON object .* a line.*train\.json:2"):
        scan_sentences(tmp_path)


def test_says_what_a_folder_of_sentences_needs(tmp_path):
    with pytest.raises(InvalidData, match="does not exist: check the name, or make a corpus"):
        scan_sentences(tmp_path / "nowhere")
    with pytest.raises(InvalidData, match="holds no sentences: neither"):
        scan_sentences(tmp_path)
    assert not holds_sentences(tmp_path) and not holds_sentences(tmp_path / "nowhere")
    write_chapter(tmp_path, "dev-clean", "84", ["NO"])
    assert holds_sentences(tmp_path)
    with pytest.raises(InvalidData, match="name the folder around train-"):
        scan_sentences(tmp_path / "dev-clean")
    (tmp_path / "dev-clean/84/1/84-1-0000.flac").unlink()
    with pytest.raises(InvalidData, match=r"1 transcripts .* have no recording"):
        scan_sentences(tmp_path)


def test_words_are_not_looked_for_among_sentences(tmp_path):
    write_chapter(tmp_path / "LibriSpeech", "dev-clean", "84", ["NO"])
    for folder in (tmp_path, tmp_path / "LibriSpeech"):
        with pytest.raises(InvalidData, match="it holds sentences, which are for a task of kind"):
            scan(folder)


@pytest.mark.real_speech
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("kathleen", (740, 60, 80)),  # README.md of the set
        ("an4_slice", (66, 0, 10)),
        ("librispeech_sample", (0, 0, 4)),
    ],
)
def test_reads_recorded_sentences(real_speech, name, counts):
    folder = real_speech / "asr" / name
    if not folder.is_dir():
        pytest.skip(f"DSE_SPEECH_DATA has no folder asr/{name}")
    corpus = scan_sentences(folder)
    assert tuple(corpus.counts.values()) == counts
    assert not corpus.missing and not corpus.untold
    task = Transcription()
    assert not [
        each for each in corpus.sentences if outside(written(each.text, task), task.characters)
    ]


# --- transcripts ---------------------------------------------------------------------------------


def test_a_text_is_brought_to_one_form():
    composed, decomposed = "café", "cafe\u0301"
    assert written(f" THE\t{decomposed}\n", Transcription()) == f"the {composed}"
    assert written("The", Transcription(lower_case=False)) == "The"


def test_characters_outside_the_vocabulary_are_named_as_often_as_they_stand():
    assert outside("a1b1é", Transcription().characters) == ["1", "1", "é"]


def test_labels_are_places_in_the_vocabulary():
    characters = ("x", "b", "a")
    labels = encode("abba", characters)
    assert labels.tolist() == [2, 1, 1, 2] and labels.dtype == np.uint8
    assert decode(labels, characters) == "abba"


def test_ctc_needs_a_blank_between_equal_characters():
    characters = Transcription().characters
    # a b b b a: two blanks between the three b; h e l l o: one between the two l.
    assert [frames_needed(encode(text, characters)) for text in ("abbba", "hello", "")] == [7, 6, 0]


def test_a_vocabulary_is_made_of_the_data():
    assert characters_of_data(["B A", "ac"]) == (" ", "a", "b", "c")
    assert characters_of_data(["Ab"], lower_case=False) == ("A", "b")
    with pytest.raises(InvalidData, match="no transcript holds a character"):
        characters_of_data([""])
    with pytest.raises(InvalidData, match="300 different characters, at most 255"):
        characters_of_data([chr(0x4E00 + index) for index in range(300)])


def test_a_vocabulary_is_kept_in_a_file(tmp_path):
    path = tmp_path / "characters.txt"
    path.write_text(characters_text((" ", "a", "é", "'")), encoding="utf-8")
    assert read_characters(path) == (" ", "a", "é", "'")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a\nbc\n", r"one character a line, not 'bc' .*:2"),
        ("a\n\nb\n", r"one character a line, not '' .*:2"),
        ("a\nb\na\n", r"'a' stands twice .*:3"),
        ("", "0 characters"),
    ],
)
def test_says_what_is_wrong_with_a_vocabulary(tmp_path, content, says):
    path = tmp_path / "characters.txt"
    path.write_text(content)
    with pytest.raises(InvalidData, match=says):
        read_characters(path)
    with pytest.raises(InvalidData, match="does not exist"):
        read_characters(tmp_path / "gone.txt")
