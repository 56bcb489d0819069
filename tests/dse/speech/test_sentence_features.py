"""Frames of utterances: what they are, who is left out, and the cache that keeps them."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from dse.errors import InvalidData, InvalidInput
from dse.speech.features import load_features
from dse.speech.mfcc import compute_features, normalise_utterance
from dse.speech.sentence_computation import at_speed, frames_of
from dse.speech.sentence_features import load_sentences
from dse.speech.sentence_folders import scan_sentences
from dse.speech.sentence_inspection import inspect_sentences, told_by_transcripts
from dse.speech.sentences import SentenceFeatures
from dse.speech.task import FeatureSpec, Task
from dse.speech.transcription import SENTENCE_FEATURES, Transcription
from dse.speech.transcripts import decode

RATE_HZ = 16_000
TINY = dataclasses.replace(SENTENCE_FEATURES, coefficients=8)
TEXTS = {
    "train-clean": ["GO ON", "STOP  HERE", "WE'LL SEE"],
    "dev-clean": ["YES"],
    "test-clean": ["NO", "GO ON"],
}


def sound(seconds: float, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    noise = np.random.default_rng(round(hertz)).normal(size=len(time))
    return (0.2 * np.sin(2 * np.pi * hertz * time) + 0.01 * noise).astype(np.float32)


def write_corpus(root: Path) -> Path:
    """Six utterances of half a second to a second, each of another tone, one speaker a split."""
    number = 0
    for split, texts in TEXTS.items():
        speaker = str(len(split))  # 11, 9, 10
        folder = root / split / speaker / "1"
        folder.mkdir(parents=True)
        lines = []
        for index, text in enumerate(texts):
            name = f"{speaker}-1-{index:04}"
            clip = sound(0.5 + 0.1 * number, 300 + 100 * number)
            soundfile.write(folder / f"{name}.flac", clip, RATE_HZ)
            lines.append(f"{name} {text}\n")
            number += 1
        (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))
    return root


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("sentences"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def features(corpus: Path, cache: Path) -> SentenceFeatures:
    return load_sentences(corpus, Transcription(), TINY, cache)


@pytest.fixture
def copied(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "copied"))


def texts(found: SentenceFeatures, split: str) -> list[str]:
    utterances = found.split(split)
    return [
        decode(utterances.transcript(index), found.characters) for index in range(len(utterances))
    ]


def test_utterances_have_their_transcripts_and_as_many_frames_as_they_are_long(features):
    assert texts(features, "training") == ["go on", "stop here", "we'll see"]
    assert texts(features, "validation") == ["yes"]
    assert texts(features, "testing") == ["no", "go on"]
    # One frame each 10 ms and one for the beginning: utterance 1 has 0.6 s.
    assert features.training.utterance(1).shape == (61, 8)
    assert features.testing.utterance(1).shape == (101, 8)
    assert features.training.variants == 3 and features.testing.variants == 1
    # 9600 samples at 0.9 and 1.1 are 10667 and 8727: 66 and 54 hops of 160 and one.
    assert [len(features.training.utterance(1, variant)) for variant in range(3)] == [61, 67, 55]
    assert features.skipped == ()


def test_frames_are_the_log_mel_bands_of_the_recording(features, corpus):
    clip, _ = soundfile.read(corpus / "train-clean/11/1/11-1-0001.flac", dtype="float32")
    spec = dataclasses.replace(TINY, frames=61)
    picture = compute_features(torch.from_numpy(clip)[None], spec)[0].double().numpy()
    mean = picture.mean(axis=1, keepdims=True)
    deviation = picture.std(axis=1, ddof=1, keepdims=True)
    expected = ((picture - mean) / (deviation + 1e-5)).T
    # float16 has 11 significant bits: 2^-11 of a value of up to some 8.
    assert np.abs(features.training.utterance(1).astype(float) - expected).max() < 0.005


def test_each_coefficient_is_normalised_over_the_utterance():
    picture = torch.tensor([[1.0, 2.0, 3.0], [-5.0, -5.0, -5.0]])
    # The deviation of 1, 2, 3 with 2 in the denominator is 1; a constant has none, and becomes 0.
    expected = torch.tensor([[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert torch.allclose(normalise_utterance(picture), expected, atol=2e-5)


def test_normalisation_forgets_loudness_and_none_does_not():
    clip = sound(0.5)
    plain = dataclasses.replace(TINY, normalisation="none")
    # Loud enough that the offset of the logarithm does not matter: all but the lowest bits agree.
    assert np.allclose(frames_of(clip, TINY), frames_of(clip * 0.5, TINY), atol=0.02)
    quieter = frames_of(clip, plain).astype(float) - frames_of(clip * 0.5, plain)
    assert np.abs(quieter - np.log(4)).max() < 0.02  # a quarter of the power


def test_a_faster_copy_is_shorter_and_higher():
    faster = at_speed(sound(1.0, 440.0), 1.1, TINY)
    assert len(faster) == round(RATE_HZ / 1.1)
    spectrum = np.abs(np.fft.rfft(faster))
    assert np.argmax(spectrum) * RATE_HZ / len(faster) == pytest.approx(484, abs=2)


def test_the_key_is_that_of_sounds_and_transcripts(features, copied, tmp_path):
    cache = tmp_path / "cache"
    load = lambda: load_sentences(copied, Transcription(), TINY, cache).key  # noqa: E731
    assert load() == features.key
    flac = copied / "dev-clean/9/1/9-1-0000.flac"
    clip, _ = soundfile.read(flac, dtype="int16")
    soundfile.write(flac.with_suffix(".wav"), clip, RATE_HZ)
    flac.unlink()
    assert load() == features.key
    told = copied / "dev-clean/9/1/9-1.trans.txt"
    told.write_text("9-1-0000 YEA\n")
    assert load() != features.key


def test_fields_of_words_do_not_move_the_key(features, corpus, cache):
    other = dataclasses.replace(TINY, frames=17, time_shift_ms=3.0, seed=9)
    assert load_sentences(corpus, Transcription(), other, cache).key == features.key


def test_a_damaged_cache_is_computed_again(copied, tmp_path, features):
    cache = tmp_path / "cache"
    load_sentences(copied, Transcription(), TINY, cache)
    (place,) = cache.iterdir()
    random = np.random.default_rng(1)
    for name in ("training.npy", "training.starts.npy", "testing.labels.npy", "contents.json"):
        content = bytearray((place / name).read_bytes())
        content[int(random.integers(len(content) // 2, len(content)))] ^= 4
        (place / name).write_bytes(content)
        again = load_sentences(copied, Transcription(), TINY, cache)
        assert np.array_equal(again.training.frames, features.training.frames)
        assert again.key == features.key


def damage(root: Path) -> None:
    """One utterance of each kind that is left out, beside those of `write_corpus`."""
    chapter = root / "train-clean" / "11" / "1"
    lines = []

    def add(number: int, text: str, clip: np.ndarray | None) -> Path:
        name = f"11-1-{number:04}"
        lines.append(f"{name} {text}\n")
        if clip is not None:
            soundfile.write(chapter / f"{name}.flac", clip, RATE_HZ)
        return chapter / f"{name}.flac"

    add(10, "", sound(0.5, 2000))
    add(11, "CAFÉ 1 1", sound(0.5, 2100))
    add(12, "GONE", None)
    add(13, "BROKEN", None).write_bytes(b"no sound")
    add(14, "SILENCE", np.zeros(8000, np.float32))
    add(15, "SHORT", sound(0.05, 2200))
    add(16, "LONG", sound(2.1, 2300))
    cut = add(17, "CUT", sound(0.5, 2400))
    cut.write_bytes(cut.read_bytes()[:-600])
    with (chapter / "11-1.trans.txt").open("a", encoding="utf-8") as file:
        file.writelines(lines)
    soundfile.write(chapter / "11-1-0018.flac", sound(0.5, 2500), RATE_HZ)


def test_utterances_that_cannot_be_used_are_named_and_counted(copied, tmp_path):
    damage(copied)
    task = Transcription(longest_s=2.0)
    found = load_sentences(copied, task, TINY, tmp_path / "cache")
    assert texts(found, "training") == ["go on", "stop here", "we'll see"]
    reasons = {
        path.rpartition("-")[2]: reason
        for path, _, reason in (line.partition(": ") for line in found.skipped)
    }
    assert list(reasons) == [
        "0012",
        "0018.flac",
        *(f"{number:04}.flac" for number in (10, 11, 13, 14, 15, 16, 17)),
    ]
    assert reasons["0010.flac"] == "its transcript is empty"
    assert reasons["0011.flac"] == "its transcript has 'é' '1', which the vocabulary has not"
    assert reasons["0012"] == "there is a transcript, but no recording"
    assert reasons["0014.flac"] == "it holds nothing but zeros"
    assert reasons["0015.flac"] == "it has 0.05 s, at least 0.1 s are used"
    assert reasons["0016.flac"] == "it has 2.10 s, at most 2 s are used"
    assert reasons["0018.flac"] == "it has no transcript"
    said = "\n".join(found.findings)
    # 3 whole ones and 7 with transcript and sound.
    assert (
        "1 of 10 training utterances has characters outside the vocabulary ('1' 2, 'é' 1)" in said
    )
    assert "2 of 10 training utterances cannot be read and are left out; the first: " in said
    for phrase in ("an empty transcript", "no transcript", "nothing but zeros", "too short"):
        assert f"{phrase} and is left out" in said


def test_a_long_utterance_is_left_out_of_training_alone(corpus, tmp_path):
    # Testing has one of 1.0 s, training ones of up to 0.7 s.
    found = load_sentences(corpus, Transcription(longest_s=0.65), TINY, tmp_path)
    assert texts(found, "training") == ["go on", "stop here"]
    assert texts(found, "testing") == ["no", "go on"]


def test_what_speaks_against_the_errors_is_said(copied, tmp_path):
    shutil.copytree(copied / "test-clean/10", copied / "train-clean/10")
    (copied / "dev-clean/9/1/9-1.trans.txt").write_text(f"9-1-0000 {'YES ' * 20}\n")
    said = "\n".join(load_sentences(copied, Transcription(), TINY, tmp_path / "cache").findings)
    assert "1 speaker is in more than one split (such as '10')" in said
    assert "2 of 2 testing transcripts are in training, too" in said
    assert "2 recordings are in more than one split" in said
    # 20 times `yes` and 19 blanks are 79 characters; 0.8 s are 81 frames, 40 outputs.
    assert "1 of 8 utterances have more characters than a network of stride 2 has outputs" in said
    assert "79 of 40" in said


def test_too_many_broken_recordings_stop_the_run(copied, tmp_path):
    for path in copied.glob("*/*/*/*.flac"):
        path.write_bytes(b"no sound")
    with pytest.raises(InvalidData, match=r"at most 5 may be|can be used, all 3 are left out"):
        load_sentences(copied, Transcription(), TINY, tmp_path / "cache")


def test_a_split_of_which_nothing_is_left_is_named(copied, tmp_path):
    (copied / "dev-clean/9/1/9-1.trans.txt").write_text("9-1-0000 1\n")
    with pytest.raises(InvalidData, match=r"no utterance of the validation split .* has '1'"):
        load_sentences(copied, Transcription(), TINY, tmp_path / "cache")


def test_a_split_that_is_not_there_is_named(copied, tmp_path):
    shutil.rmtree(copied / "dev-clean")
    with pytest.raises(InvalidData, match=r"no utterances for validation \(3 in training, 2 in"):
        load_sentences(copied, Transcription(), TINY, tmp_path / "cache")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"normalisation": "training_set"}, "utterance or none for transcription"),
        ({"variants": 4}, "variants must be at most 3 for transcription"),
    ],
)
def test_refuses_features_of_words(corpus, tmp_path, wrong, says):
    with pytest.raises(InvalidInput, match=says):
        load_sentences(corpus, Transcription(), dataclasses.replace(TINY, **wrong), tmp_path)


def test_words_refuse_features_of_utterances(tmp_path):
    with pytest.raises(InvalidInput, match="training_set or none for a task of words"):
        load_features(tmp_path, Task(), FeatureSpec(normalisation="utterance"))


@pytest.mark.parametrize("speeds", [(1.0,), (0.4,), (0.9, 0.9)])
def test_speeds_are_speeds(speeds):
    with pytest.raises(InvalidInput, match=r"speeds must be different numbers from 0\.5 to 2"):
        FeatureSpec(speeds=speeds)


@pytest.mark.real_speech
def test_a_genuine_utterance_of_librispeech_has_its_frames(real_speech):
    sample = real_speech / "asr/librispeech_sample/LibriSpeech/test-clean/1089/134686"
    if not sample.is_dir():
        pytest.skip("DSE_SPEECH_DATA has no LibriSpeech sample")
    clip, rate_hz = soundfile.read(sample / "1089-134686-0000.flac", dtype="float32")
    frames = frames_of(clip, SENTENCE_FEATURES)
    assert frames.shape == (len(clip) // (rate_hz // 100) + 1, 64)
    assert np.allclose(frames.astype(float).mean(axis=0), 0, atol=1e-3)


# --- inspection ----------------------------------------------------------------------------------


def test_inspection_counts_what_is_there_and_what_is_used(copied):
    damage(copied)
    found = inspect_sentences(copied, Transcription(longest_s=2.0))
    training, validation = found.splits["training"], found.splits["validation"]
    # Ten with transcript and sound, three of them whole: 0.5, 0.6 and 0.7 s.
    assert (training.utterances, training.used, training.speakers) == (10, 3, 1)
    assert training.durations_s == (0.5, 0.6, 0.7)
    assert training.hours == pytest.approx(1.8 / 3600)
    assert (training.words, training.characters) == (2 + 2 + 2, 5 + 9 + 9)
    assert (validation.utterances, validation.used) == (1, 1)
    assert found.speakers == 3 and found.layout == "librispeech"
    assert found.characters["é"] == 1 and found.characters["1"] == 2
    assert next(iter(found.characters)) == "e"  # here, we'll see, broken, silence, ...
    loaded = load_sentences(copied, Transcription(longest_s=2.0), TINY, copied / "cache")
    named = {line.split(":")[0] for line in found.skipped}
    assert named == {line.split(":")[0] for line in loaded.skipped}
    assert found.to_dict()["splits"]["training"]["used"] == 3


def test_a_folder_with_one_split_can_be_inspected(copied):
    for split in ("train-clean", "test-clean"):
        shutil.rmtree(copied / split)
    found = inspect_sentences(copied)
    assert [each.used for each in found.splits.values()] == [0, 1, 0]
    assert found.splits["training"].durations_s is None
    assert found.characters == {"e": 1, "s": 1, "y": 1}
    assert "has no utterances for training and testing (1 in validation)" in found.findings[0]


def test_transcripts_alone_tell_who_is_left_out(copied):
    damage(copied)
    said = "\n".join(told_by_transcripts(scan_sentences(copied), Transcription()))
    assert "1 of 10 training utterances has characters outside the vocabulary" in said
    assert "1 of 10 training utterances has an empty transcript" in said
    assert "1 of 2 testing transcripts are in training, too" in said
    assert "cannot be read" not in said
