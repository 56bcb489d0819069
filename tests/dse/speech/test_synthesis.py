import json
import subprocess
import sys
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dse.errors import InvalidData, InvalidField
from dse.speech import inspection, synthesis_work, voices
from dse.speech.speech_commands import scan, which_split
from dse.speech.synthesis import (
    NOISES,
    Synthesis,
    coloured_noise,
    record,
    recordings,
    speaker,
    synthesize,
    wanted_split,
)
from dse.speech.synthesis_work import prepare

TWO = Synthesis(words=("yes", "no"), speakers=3, clips_per_word=4, seed=5)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "speech"
    calls = []
    synthesize(folder, TWO, jobs=1, report=lambda *call: calls.append(call))
    # Three speakers of 4 clips a word: 2 + 1 + 1 clips of each of the two words.
    assert calls == [("synthesis", 4, 8), ("synthesis", 6, 8), ("synthesis", 8, 8)]
    return folder


def test_the_folder_is_a_corpus_of_one_second_clips(made):
    found = inspection.inspect(made)
    assert [(row.word, sum(row.clips.values()), row.speakers) for row in found.words] == [
        ("no", 4, 3),
        ("yes", 4, 3),
    ]
    assert found.formats == {"WAV PCM_16": 8} and found.sample_rates == {16_000: 8}
    assert found.channels == {1: 8} and found.durations_s == (1.0, 1.0, 1.0)
    assert found.split_by == "hash" and found.shared_speakers == 0
    assert found.unreadable == {}
    assert set(found.noises) == {f"_background_noise_/{kind}.wav" for kind in NOISES}
    assert set(found.noises.values()) == {30.0}


def test_the_folder_says_what_it_is(made):
    text = (made / "README.md").read_text()
    assert "Nobody spoke these words" in text and "CC0 1.0" in text and "eSpeak NG" in text
    marker = json.loads((made / "synthesis.json").read_text())
    assert marker["complete"] is True and marker["settings"]["seed"] == 5


def test_clips_hold_a_word(made):
    for path in sorted(made.glob("[yn]*/*.wav")):
        with wave.open(str(path)) as sound:
            clip = np.frombuffer(sound.readframes(16_000), np.int16) / 32768
        peak_db = 20 * np.log10(np.abs(clip).max())
        assert -24.1 < peak_db <= -2.9
        # The loudest fifth of a second is well above the quietest: a word, not noise alone.
        powers = np.square(clip).reshape(20, 800).mean(axis=1)
        assert np.sort(powers)[-4:].mean() > 4 * np.sort(powers)[:4].mean()


def test_same_options_same_sounds_with_any_number_of_processes(made, tmp_path):
    synthesize(tmp_path / "again", TWO, jobs=3)
    assert contents(tmp_path / "again") == contents(made)


def test_other_seed_other_sounds(made):
    other = Synthesis(words=("yes", "no"), speakers=3, clips_per_word=4, seed=6)
    mine = {clip.path for index in range(3) for clip in recordings(TWO, index)}
    others = {clip.path for index in range(3) for clip in recordings(other, index)}
    assert not mine & others


def test_an_interrupted_corpus_is_finished_to_the_same_samples(made, tmp_path):
    folder = tmp_path / "speech"
    prepare(folder, TWO)
    (folder / "yes").mkdir()
    path = recordings(TWO, 0)[0].path
    (folder / path).write_bytes((made / path).read_bytes()[:100])  # cut off
    kept = recordings(TWO, 1)[0].path
    (folder / kept).write_bytes((made / kept).read_bytes())
    (folder / "yes" / ".x.wav.part").write_bytes(b"left by a killed process")
    synthesize(folder, TWO)
    found = contents(folder)
    found.pop("yes/.x.wav.part")
    assert found == contents(made)


def test_a_complete_corpus_is_left_as_it_is(made):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.wav")}
    synthesize(made, TWO)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.wav")} == before


def test_a_corpus_with_other_options_is_refused(tmp_path):
    prepare(tmp_path / "a", TWO)
    with pytest.raises(InvalidData) as caught:
        prepare(tmp_path / "a", Synthesis(words=("yes", "no"), speakers=3, clips_per_word=4))
    assert str(caught.value) == (
        f"{tmp_path / 'a'} holds a corpus made with seed 5, not 1: give the same "
        "options to check and finish it, or name an empty folder"
    )


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidData, match="is not empty and holds no synthetic corpus"):
        prepare(tmp_path, TWO)
    with pytest.raises(InvalidData, match=r"notes\.txt is a file: name a new or empty folder"):
        prepare(tmp_path / "notes.txt", TWO)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "synthesis.json").write_text("{}")
    with pytest.raises(InvalidData, match=r"synthesis\.json is damaged"):
        prepare(tmp_path / "b", TWO)


def test_without_the_library_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(voices.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidData) as caught:
        synthesize(tmp_path / "a", TWO)
    assert str(caught.value) == (
        "synthesis needs the package espeakng-loader, which is not installed: "
        "pip install 'ternary-dse[synthesis]'"
    )
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": ()}, "words must be a list of at least one word, not []"),
        ({"words": ("yes", "yes")}, "words must be distinct, not ['yes', 'yes']"),
        ({"words": ("_silence_",)}, "words must be lower-case words of letters"),
        ({"words": ("../up",)}, "words must be lower-case words of letters"),
        ({"speakers": 2}, "speakers must be from 3 to 608, not 2"),
        ({"speakers": 20, "clips_per_word": 19}, "clips_per_word must be at least the 20 speakers"),
        ({"seed": -1}, "seed must be from 0 to 2^63 - 1, not -1"),
    ],
)
def test_options_that_make_no_corpus_are_refused(options, message):
    with pytest.raises(InvalidField) as caught:
        Synthesis(**options)
    assert str(caught.value).startswith(message)


def test_speakers_fall_into_their_splits_by_the_published_rule():
    settings = Synthesis()
    people = [speaker(settings, index) for index in range(100)]
    assert len({person.name for person in people}) == 100
    assert len({person.voice for person in people}) == 100
    for index, person in enumerate(people):
        assert which_split(f"yes/{person.name}_nohash_3.wav") == wanted_split(index)
    assert Counter(map(wanted_split, range(100))) == {
        "training": 70,
        "validation": 15,
        "testing": 15,
    }
    assert {wanted_split(index) for index in range(3)} == {"training", "validation", "testing"}


def test_all_pairs_of_voice_and_accent_are_different_people():
    voices_of = {speaker(TWO, index).voice for index in range(608)}
    assert len(voices_of) == 608  # 76 voices x 8 accents


def test_clips_are_shared_out_evenly():
    counts = Counter(
        recording.path.split("/")[0]
        for index in range(100)
        for recording in recordings(Synthesis(), index)
    )
    assert set(counts.values()) == {150} and len(counts) == 20


def test_what_the_library_says_does_not_depend_on_what_it_said_before():
    # In a process of its own: the library is global state.
    code = """
import numpy as np
from dse.speech.voices import Utterance, open_library, SAMPLE_RATE_HZ
speak = open_library()
word = Utterance("seven", "gmw/en+f3", 150, 50, 50, 1, 0.85)
other = Utterance("left", "gmw/en-US+klatt2", 120, 30, 50, 2, 0.85)
first = speak([word])[0]
speak([other, other])
assert np.array_equal(speak([word])[0], first)
long = Utterance("a rather long sentence", "gmw/en+m1", 120, 50, 50, 1, 0.85)
free = Utterance("a rather long sentence", "gmw/en+m1", 120, 50, 50, 1, 9.0)
limited, whole = speak([long, free])
assert len(limited) <= 0.85 * SAMPLE_RATE_HZ < len(whole), (len(limited), len(whole))
try:
    speak([Utterance("yes", "gmw/nobody", 120, 50, 50, 1, 0.85)])
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("eSpeak NG has no voice 'gmw/nobody'")


def test_a_worker_that_dies_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis_work.sys, "executable", "/bin/false")
    with pytest.raises(InvalidData) as caught:
        synthesize(tmp_path / "a", TWO)
    assert str(caught.value) == (
        "a synthesis process stopped with status 1: run the same command again to finish "
        f"{tmp_path / 'a'}"
    )


def test_recording_brings_a_word_into_the_second():
    random = np.random.default_rng(1)
    spoken = np.zeros(22_050, np.int16)
    spoken[2000:8000] = (8000 * np.sin(np.arange(6000) / 20)).astype(np.int16)
    clips = [record(spoken, random) for _ in range(20)]
    assert {clip.shape for clip in clips} == {(16_000,)}
    assert {clip.dtype for clip in clips} == {np.dtype(np.int16)}
    starts = {int(np.flatnonzero(np.abs(clip) > 0.3 * np.abs(clip).max())[0]) for clip in clips}
    assert len(starts) > 15  # never twice the same place
    assert record(np.zeros(100, np.int16), random).shape == (16_000,)  # a word that is not heard


@pytest.mark.parametrize("slope", [0, 1, 2])
def test_coloured_noise_falls_by_its_slope(slope):
    noise = coloured_noise(160_000, slope, np.random.default_rng(2))
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(160_000, 1 / 16_000)
    low = power[(hertz > 190) & (hertz < 210)].mean()
    high = power[(hertz > 1900) & (hertz < 2100)].mean()
    # Ten times the frequency: 10^-slope of the power.
    assert np.log10(high / low) == pytest.approx(-slope, abs=0.15)


def test_loader_reads_what_synthesis_writes(synthetic_speech):
    corpus = scan(synthetic_speech)
    assert {clip.size_bytes for clip in corpus.clips} == {44 + 32_000}
