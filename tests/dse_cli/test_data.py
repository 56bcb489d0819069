import json
import shutil

import numpy as np
import pytest
import soundfile

from dse.errors import InvalidData
from dse_cli import data, main


def dse(capfd, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `dse ARGUMENTS`."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capfd.readouterr()
    return int(caught.value.code or 0), out, err


def row(out: str, word: str) -> list[str]:
    """The cells of a table's row."""
    (line,) = (line for line in out.splitlines() if line.startswith(f"│ {word} "))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_inspect_prints_a_table(synthetic_speech, capfd):
    code, out, err = dse(capfd, "data", "inspect", str(synthetic_speech))
    assert (code, err) == (0, "")
    # 14, 3 and 3 of 20 speakers say each word twice.
    assert row(out, "yes") == ["yes", "28", "6", "6", "20"]
    assert row(out, "all") == ["all", "168", "36", "36", "20"]
    assert "Splits by file names; speakers: 14 training, 3 validation, 3 testing" in out
    assert "Rates: 16000 Hz (240); formats: WAV PCM_16 (240); channels: 1 (240)" in out
    assert "Durations: 1.00 to 1.00 s, median 1.00 s; all together 4.0 min" in out
    assert "Background noises: 6, 180 s" in out


def test_inspect_prints_json(synthetic_speech, capfd):
    code, out, _ = dse(capfd, "data", "inspect", str(synthetic_speech), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["words"][5] == {
        "word": "yes",
        "clips": {"training": 28, "validation": 6, "testing": 6},
        "speakers": 20,
    }
    assert found["sample_rates"] == {"16000": 240}
    assert found["folder"] == str(synthetic_speech)


def test_inspect_names_what_is_wrong(synthetic_speech, tmp_path, capfd):
    folder = tmp_path / "speech"
    shutil.copytree(synthetic_speech, folder)
    first, second = sorted((folder / "yes").iterdir())[:2]
    first.write_text("no sound")
    second.with_suffix(".flac").touch()
    (folder / "testing_list.txt").write_text(f"no/{first.name}\nyes/gone.wav\n")
    (folder / "validation_list.txt").write_text("")
    code, out, _ = dse(capfd, "data", "inspect", str(folder))
    assert code == 0
    assert f"1 files cannot be read:\n  yes/{first.name}: " in out
    assert "1 FLAC files beside a WAV file of the same name are passed over" in out
    assert "1 line of the lists of clips names no file of the folder" in out
    assert f"1 speaker is in more than one split (such as '{first.name[:8]}')" in out


def test_inspect_knows_sentences(tmp_path, capfd):
    for speaker, split, text in (
        ("1", "train-clean", "GO AND STAY"),
        ("2", "dev-clean", "ÜBEN"),
        ("3", "test-clean", "GO"),
    ):
        folder = tmp_path / split / speaker / "1"
        folder.mkdir(parents=True)
        clip = np.random.default_rng(len(text)).normal(size=8000) / 10
        soundfile.write(folder / f"{speaker}-1-0000.flac", clip, 16_000)
        (folder / f"{speaker}-1.trans.txt").write_text(f"{speaker}-1-0000 {text}\n", "utf-8")
    characters = tmp_path / "characters.txt"
    code, out, err = dse(
        capfd, "data", "inspect", str(tmp_path), "--write-characters", str(characters)
    )
    assert (code, err) == (0, "")
    assert row(out, "training") == ["training", "1", "1", "1", "0.00", *(3 * ["0.50 s"])]
    assert row(out, "validation") == ["validation", "1", "0", "1", "0.00", "", "", ""]
    assert "Layout: LibriSpeech's folders; 3 speakers\n" in out
    assert "Transcripts: 3 words training, 0 words validation, 1 words testing" in out
    assert "Characters: 9: ' ' a d g n o s t y\n" in out
    assert "dev-clean/2/1/2-1-0000.flac: its transcript has 'ü', which" in out
    # The blank comes first, in the order of Unicode.
    assert characters.read_text() == "".join(f"{each}\n" for each in " adgnosty")
    code, out, _ = dse(
        capfd, "data", "inspect", str(tmp_path), "--json", "--characters", str(characters)
    )
    assert code == 0 and json.loads(out)["splits"]["testing"]["used"] == 1


def test_a_vocabulary_is_of_sentences(synthetic_speech, capfd):
    code, _, err = dse(capfd, "data", "inspect", str(synthetic_speech), "--characters", "x.txt")
    assert code == 2 and "--characters is for sentences, and " in err


def test_errors_are_one_sentence(tmp_path, capfd):
    code, out, err = dse(capfd, "data", "inspect", str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert err == (
        f"dse: the data folder {tmp_path / 'nowhere'} does not exist: check the name, or make a "
        f"corpus there with `dse data synthesize {tmp_path / 'nowhere'}`\n"
    )


def test_synthesize_makes_a_folder_and_only_checks_it_the_second_time(tmp_path, capfd):
    pytest.importorskip("espeakng_loader")
    folder = str(tmp_path / "speech")
    options = ("--words", "yes, no", "--speakers", "3", "--clips-per-word", "3", "--jobs", "1")
    code, out, err = dse(capfd, "data", "synthesize", folder, *options)
    assert (code, out, err) == (0, f"6 clips of 2 words by 3 made-up speakers in {folder}\n", "")
    assert len(list((tmp_path / "speech").glob("yes/*_nohash_0.wav"))) == 3
    code, out, err = dse(capfd, "data", "synthesize", folder, *options)
    assert (code, out, err) == (0, f"6 clips of 2 words by 3 made-up speakers in {folder}\n", "")
    code, out, err = dse(capfd, "data", "synthesize", folder, *options, "--seed", "2")
    assert code == 2 and "holds a corpus made with seed 1, not 2: give the same options" in err


def test_synthesize_refuses_options_that_make_no_corpus(tmp_path, capfd):
    code, _, err = dse(capfd, "data", "synthesize", str(tmp_path), "--speakers", "2")
    assert (code, err) == (2, "dse: speakers must be from 3 to 608, not 2\n")


def test_synthesize_makes_sentences(synthetic_sentences, tmp_path, capfd):
    folder = str(tmp_path / "speech")
    shutil.copytree(synthetic_sentences, folder)
    options = ("--sentences", "--speakers", "4", "--sentences-each", "8", "--jobs", "1")
    code, out, err = dse(capfd, "data", "synthesize", folder, *options)
    assert (code, out, err) == (0, f"32 sentences by 4 made-up speakers in {folder}\n", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--sentences", "--words", "yes"), "--words is for words, and these are sentences"),
        (("--sentences-each", "3"), "--sentences-each is for sentences, and these are words"),
    ],
)
def test_synthesize_refuses_options_of_the_other_kind(tmp_path, capfd, options, says):
    code, _, err = dse(capfd, "data", "synthesize", str(tmp_path), *options)
    assert code == 2 and says in err


def test_fetch_passes_on_what_was_asked_for(tmp_path, capfd, monkeypatch):
    asked = []

    def fetch(archive, folder, url, report):
        asked.append((archive.url, folder, url))
        report("download", 1, 2)

    monkeypatch.setattr(data, "fetch", fetch)
    folder = tmp_path / "speech"
    code, out, err = dse(
        capfd, "data", "fetch", "speech-commands-v0.01", str(folder), "--url", "https://mirror/x"
    )
    assert (code, out, err) == (0, f"speech-commands-v0.01 is in {folder}\n", "")
    assert asked == [
        (
            "http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
            folder,
            "https://mirror/x",
        )
    ]


def test_fetch_says_which_archives_there_are(tmp_path, capfd):
    code, _, err = dse(capfd, "data", "fetch", "speech-commands-v3", str(tmp_path / "a"))
    assert code == 2
    assert "'speech-commands-v0.01', 'speech-commands-v0.02'" in err


def test_fetch_that_fails_is_one_sentence(tmp_path, capfd, monkeypatch):
    def fetch(*_):
        raise InvalidData("no network here")

    monkeypatch.setattr(data, "fetch", fetch)
    code, _, err = dse(capfd, "data", "fetch", "speech-commands-v0.02", str(tmp_path / "a"))
    assert (code, err) == (2, "dse: no network here\n")


@pytest.mark.parametrize("command", ["inspect", "synthesize", "fetch"])
def test_each_command_has_help(command, capfd):
    code, out, _ = dse(capfd, "data", command, "--help")
    assert code == 0 and f"dse data {command}" in out
