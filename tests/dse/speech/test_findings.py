"""What a folder says against errors that are measured on it."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dse.speech.audio import describe, missing_s, read_recording
from dse.speech.features import load_features
from dse.speech.findings import Heard, sound_findings
from dse.speech.inspection import inspect
from dse.speech.task import FeatureSpec, Task

RATE = 16_000
TASK = Task(kind="words", words=("yes", "no"), unknown=False, silence=False)
TINY = FeatureSpec(coefficients=4, frames=101, variants=1)


def noise(seed: int, seconds: float = 1.0, rate_hz: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate_hz))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two words by thirty-six speakers, twelve a split, of whom nothing bad can be said."""
    folder, number = tmp_path / "speech", 0
    lists: dict[str, list[str]] = {"validation": [], "testing": []}
    for word in TASK.words:
        (folder / word).mkdir(parents=True)
        for speaker in range(36):
            name = f"{word}/{speaker:08x}_nohash_0.wav"
            number += 1
            soundfile.write(folder / name, noise(number), RATE)
            if speaker >= 12:
                lists["validation" if speaker < 24 else "testing"].append(name)
    for split, names in lists.items():
        (folder / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    return folder


def findings(folder: Path) -> tuple[str, ...]:
    """Those of a training and of `inspect`, which must agree: sounds are told by two readers."""
    told = load_features(folder, TASK, TINY, folder.parent / "cache").findings
    again = load_features(folder, TASK, TINY, folder.parent / "cache").findings
    assert told == again == inspect(folder).findings
    return told


def test_nothing_is_said_of_a_sound_folder(corpus):
    assert findings(corpus) == ()


def test_a_voice_in_two_splits(corpus):
    soundfile.write(corpus / f"yes/{13:08x}_nohash_1.wav", noise(99), RATE)  # in no list: training
    assert findings(corpus) == (
        "1 speaker is in more than one split (such as '0000000d'): errors of voices that the "
        "network has heard are too small",
    )


def test_clips_that_name_nobody(corpus):
    soundfile.write(corpus / "yes/somebody.wav", noise(99), RATE)
    assert findings(corpus) == (
        "1 clip names no speaker (no _nohash_ in the file name): one voice may be in more than one "
        "split, which makes errors too small",
    )


def test_a_class_of_a_few_clips(corpus):
    for speaker in range(27, 36):
        (corpus / f"no/{speaker:08x}_nohash_0.wav").unlink()
    listed = corpus / "testing_list.txt"
    kept = [line for line in listed.read_text().split() if (corpus / line).exists()]
    listed.write_text("\n".join(kept))
    assert findings(corpus) == (
        "1 class has fewer than 10 clips in a split (such as 'no', 3 in testing: one clip moves "
        "its error by 33 points)",
    )


def test_folders_and_lines_that_count_for_nothing(corpus):
    (corpus / "_unknown_").mkdir()
    soundfile.write(corpus / "_unknown_/a_nohash_0.wav", noise(99), RATE)
    (corpus / "_background_noise_").mkdir()
    soundfile.write(corpus / "_background_noise_/hum.wav", noise(98), RATE)
    with (corpus / "testing_list.txt").open("a") as file:
        file.write("yes/gone_nohash_0.wav\n")
    assert findings(corpus) == (
        "1 folder with sounds passed over (_unknown_): names that begin with _ are no words",
        "1 line of the lists of clips names no file of the folder: splits are smaller than their "
        "lists say",
    )


def test_lengths(corpus):
    soundfile.write(corpus / f"yes/{1:08x}_nohash_0.wav", noise(91, 2.5), RATE)
    soundfile.write(corpus / f"yes/{2:08x}_nohash_0.wav", noise(92, 1.01), RATE)  # within a hop
    soundfile.write(corpus / f"yes/{3:08x}_nohash_0.wav", noise(93, 0.1), RATE)
    assert findings(corpus) == (
        "1 of 72 clips are longer than 1 s, and all but the middle is cut away (the longest, "
        "yes/00000001_nohash_0.wav, has 2.50 s): a word at their ends is lost",
        "1 of 72 clips are shorter than 0.3 s and padded with silence (the shortest, "
        "yes/00000003_nohash_0.wav, has 0.10 s)",
    )


def test_a_download_that_was_cut_off_silence_and_other_rates(corpus):
    cut = corpus / f"yes/{1:08x}_nohash_0.wav"
    cut.write_bytes(cut.read_bytes()[: 44 + 2 * 12_000])
    soundfile.write(corpus / f"yes/{2:08x}_nohash_0.wav", np.zeros(RATE), RATE)
    soundfile.write(corpus / f"no/{2:08x}_nohash_0.wav", np.zeros(RATE), RATE)
    soundfile.write(corpus / f"no/{3:08x}_nohash_0.wav", noise(93, 1, 8000), 8000)
    assert findings(corpus) == (
        "1 of 72 clips end before their head says (the worst, yes/00000001_nohash_0.wav, lacks "
        "0.25 s): a copy or download was cut off",
        "2 of 72 clips hold nothing but zeros (such as no/00000002_nohash_0.wav): digital silence "
        "under the name of a word",
        "1 of 72 clips were recorded at less than the features' 16000 Hz (such as "
        "no/00000003_nohash_0.wav, 8000 Hz): they have nothing above 4 kHz, which tells them from "
        "the others",
    )


def test_one_recording_under_two_names(corpus):
    clip = (corpus / f"yes/{1:08x}_nohash_0.wav").read_bytes()
    (corpus / f"yes/{13:08x}_nohash_0.wav").write_bytes(clip)
    (corpus / f"no/{2:08x}_nohash_0.wav").write_bytes(clip)
    assert findings(corpus) == (
        "1 recording is in more than one split (such as no/00000002_nohash_0.wav in training and "
        "yes/0000000d_nohash_0.wav in validation): the network has heard what it is tested on, and "
        "its error is too small",
        "1 recording stands for more than one class (such as no/00000002_nohash_0.wav for 'no' and "
        "yes/00000001_nohash_0.wav for 'yes'): no network can get both right",
    )


def test_unreadable_files_come_first(corpus):
    (corpus / f"yes/{1:08x}_nohash_0.wav").write_text("no sound")
    told = load_features(corpus, TASK, TINY, corpus.parent / "cache").findings
    assert told[0].startswith(
        "1 files cannot be read and are left out; the first: yes/00000001_nohash_0.wav: "
    )


def test_the_same_sound_in_two_forms_is_the_same_recording(tmp_path):
    sound = np.round(noise(1) * 32768) / 32768
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "a.flac", sound, RATE, subtype="PCM_16")
    assert describe(tmp_path / "a.wav").digest == describe(tmp_path / "a.flac").digest


def head(data: bytes, length: int) -> bytes:
    return data[:40] + struct.pack("<I", length) + data[44:]


def test_what_the_head_of_a_file_promises(tmp_path):
    """16-bit mono at 16 kHz: 32,000 bytes a second."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1), RATE, subtype="PCM_16")
    data = path.read_bytes()
    assert missing_s(path) == 0
    path.write_bytes(data[:-8000])
    assert missing_s(path) == 0.25
    assert read_recording(path, RATE, RATE).missing_s == 0.25
    path.write_bytes(head(data, 0xFFFFFFFF))  # streamed, as by ffmpeg to a pipe: promises nothing
    assert missing_s(path) == 0
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd length before the data
    path.write_bytes(data[:36] + extra + data[36:-3200])
    assert missing_s(path) == pytest.approx(0.1)
    path.write_bytes(data[:38])
    assert missing_s(path) == 0
    soundfile.write(tmp_path / "a.flac", noise(1), RATE)
    assert missing_s(tmp_path / "a.flac") == 0


def test_two_silent_clips_are_no_recording_twice():
    each = Heard(
        name="a",
        label="yes",
        split="training",
        duration_s=1.0,
        rate_hz=RATE,
        missing_s=0.0,
        silent=True,
        digest=b"0",
    )
    told = sound_findings([each, each], 1.0, RATE)
    assert len(told) == 1 and "nothing but zeros" in told[0]


@pytest.mark.real_speech
def test_recorded_speech(real_speech, tmp_path):
    """The small selection of Speech Commands: nobody in two splits, and every clip once."""
    told = inspect(real_speech / "speech_commands").findings
    assert not [each for each in told if "split (" in each and "class" not in each]
