import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import soundfile
import torch

import dse.speech.feature_computation
import dse.speech.features
from dse.errors import InvalidData, InvalidField
from dse.speech.features import iterate_batches, load_features
from dse.speech.mfcc import compute_features, mel_filters, normalise, real_frames
from dse.speech.speech_commands import SPLITS, draw, scan
from dse.speech.task import FeatureSpec, Task
from dse.speech.variation import silence, vary

RATE = 16_000
WORDS = Task(kind="words", words=("yes", "no", "go", "stop"))
SMALL = FeatureSpec(coefficients=16, frames=104, variants=3)
RANDOM = np.random.default_rng(7)


def oracle(clip: np.ndarray, kind: str) -> np.ndarray:
    """64 coefficients of a second, in numpy alone: a direct sum, triangles one by one."""
    padded = np.pad(clip.astype(float), 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)  # in the middle of 512
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
    frames = [padded[160 * t : 160 * t + 512] * window for t in range(101)]
    power = np.abs(fourier @ np.array(frames).T) ** 2
    highest_mel = 2595 * np.log10(1 + 8000 / 700)
    corner = [700 * (10 ** (m * highest_mel / 65 / 2595) - 1) for m in range(66)]
    filters = np.zeros((64, 257))
    for band in range(64):
        low, middle, high = corner[band : band + 3]
        for k in range(257):
            hertz = k * 31.25
            if low < hertz <= middle:
                filters[band, k] = (hertz - low) / (middle - low)
            elif middle < hertz < high:
                filters[band, k] = (high - hertz) / (high - middle)
    picture = np.log(filters @ power + 1e-6)
    return scipy.fft.dct(picture, axis=0, norm="ortho") if kind == "mfcc" else picture


@pytest.mark.parametrize("kind", ["mfcc", "log_mel"])
def test_pictures_agree_with_a_direct_sum(kind):
    seconds = np.arange(RATE) / RATE
    clips = np.stack(
        [
            RANDOM.normal(0, 0.1, RATE),
            0.3 * np.sin(2 * np.pi * (200 + 3000 * seconds) * seconds),
            np.zeros(RATE),
        ]
    ).astype(np.float32)
    pictures = compute_features(torch.from_numpy(clips), FeatureSpec(kind=kind)).numpy()
    assert pictures.shape == (3, 64, 128)
    for clip, picture in zip(clips, pictures, strict=True):
        # 101 columns, (128 - 101) // 2 = 13 zeros before them and 14 behind
        np.testing.assert_allclose(picture[:, 13:114], oracle(clip, kind), atol=1e-3)
        assert (picture[:, :13] == 0).all() and (picture[:, 114:] == 0).all()


def test_digital_silence_by_hand():
    clip = torch.zeros(1, RATE)
    log_mel = compute_features(clip, FeatureSpec(kind="log_mel", frames=101))
    torch.testing.assert_close(log_mel, torch.full((1, 64, 101), np.log(1e-6)))
    # DCT of a constant c over 64 bands: c * 64 / sqrt(64) in the first coefficient, else 0.
    mfcc = compute_features(clip, FeatureSpec(frames=101))
    torch.testing.assert_close(mfcc[0, 0], torch.full((101,), np.log(1e-6) * 8))
    assert mfcc[0, 1:].abs().max() < 1e-3


def test_filters_are_triangles_with_mel_spaced_corners():
    filters = mel_filters(FeatureSpec())
    assert filters.shape == (64, 257)
    assert filters.min() == 0 and filters.max() <= 1
    # HTK: 1000 Hz lie at 2595 log10(1 + 1000/700) = 999.99 mel; the 8 kHz end at 2840.02, so a
    # corner every 43.69 mel, and the peak next to 1000 Hz is band 22 (23 * 43.69 = 1004.9 mel).
    assert int(filters[:, 32].argmax()) == 22
    # Between the first and the last peak, the triangles add up to 1.
    torch.testing.assert_close(filters.sum(0)[3:240], torch.ones(237))


def test_frames_are_cropped_to_the_middle():
    clip = torch.from_numpy(RANDOM.normal(0, 0.1, (1, RATE)).astype(np.float32))
    whole = compute_features(clip, FeatureSpec(frames=101))
    part = compute_features(clip, FeatureSpec(frames=50))
    torch.testing.assert_close(part, whole[..., 25:75])  # (101 - 50) // 2 = 25
    assert real_frames(FeatureSpec(frames=50)) == slice(0, 50)
    assert real_frames(FeatureSpec()) == slice(13, 114)


def test_windows_that_a_clip_cannot_have_are_refused():
    with pytest.raises(InvalidField, match="fft_size must be less than twice the 16000 samples"):
        compute_features(torch.zeros(1, RATE), FeatureSpec(fft_size=32_000))


def test_normalise_keeps_padding_at_zero():
    batch = torch.tensor([[[0.0, 3.0, 0.0], [0.0, 5.0, 7.0]]])  # first column: padding
    result = normalise(batch.half(), np.array([1, 1], np.float32), torch.tensor([2.0, 4.0]))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.tensor([[[0.0, 1.0, -0.5], [0.0, 1.0, 1.5]]]))


# --- varied copies


def test_a_copy_is_shifted_by_at_most_the_limit_and_zeros_come_in():
    spec = FeatureSpec(time_shift_ms=5, white_noise_db=(-200, -200), background_noise_probability=0)
    clip = RANDOM.normal(0, 0.1, RATE).astype(np.float32)
    rolled = {shift: np.roll(clip, shift) for shift in range(-80, 81)}  # 5 ms at 16 kHz
    shifts = set()
    for variant in range(1, 200):
        varied = vary(clip, [], spec, "yes/a", variant)
        # A few samples tell which shift it is, and then all of them are held against it.
        (best,) = (
            shift
            for shift, copy in rolled.items()
            if np.abs(copy[100:150] - varied[100:150]).max() < 1e-5
        )
        np.testing.assert_allclose(varied[100:-100], rolled[best][100:-100], rtol=1e-5, atol=1e-6)
        shifts.add(best)
        assert np.abs(varied[: max(0, best)]).max(initial=0) < 1e-6
        assert np.abs(varied[len(clip) + min(0, best) :]).max(initial=0) < 1e-6
    assert min(shifts) < -70 and max(shifts) > 70


def test_white_noise_has_the_level_asked_for():
    spec = FeatureSpec(white_noise_db=(-46, -46), background_noise_probability=0)
    varied = vary(np.zeros(RATE, np.float32), [], spec, "yes/a", 1)
    assert 20 * np.log10(varied.std()) == pytest.approx(-46, abs=0.2)


def test_background_noise_has_the_ratio_asked_for():
    spec = FeatureSpec(
        time_shift_ms=0,
        white_noise_db=(-200, -200),
        background_noise_probability=1,
        background_noise_snr_db=(12, 12),
    )
    clip = RANDOM.normal(0, 0.1, RATE).astype(np.float32)
    noise = RANDOM.uniform(-1, 1, 5 * RATE).astype(np.float32)
    added = vary(clip, [noise], spec, "yes/a", 1) - clip
    ratio_db = 10 * np.log10(np.mean(clip**2) / np.mean(added**2))
    assert ratio_db == pytest.approx(12, abs=0.01)
    # It is a piece of the noise: proportional to it somewhere.
    correlation = np.correlate(noise, added[:2000], "valid")
    assert correlation.max() > 0.99 * np.linalg.norm(added[:2000]) * np.linalg.norm(
        noise[correlation.argmax() :][:2000]
    )


def test_about_the_asked_share_of_copies_gets_background_noise():
    spec = FeatureSpec(
        time_shift_ms=0, white_noise_db=(-200, -200), background_noise_probability=0.25
    )
    clip = np.full(RATE, 0.1, np.float32)
    noise = [RANDOM.normal(0, 0.1, 2 * RATE).astype(np.float32)]
    mixed = [vary(clip, noise, spec, "a", v).std() > 1e-4 for v in range(400)]
    assert np.mean(mixed) == pytest.approx(0.25, abs=0.07)


def test_copies_depend_on_seed_name_and_number_only():
    spec = FeatureSpec(background_noise_probability=1)
    clip = RANDOM.normal(0, 0.1, RATE).astype(np.float32)
    noise = [RANDOM.normal(0, 0.1, 3 * RATE).astype(np.float32)]
    first = vary(clip, noise, spec, "yes/a", 1)
    np.testing.assert_array_equal(first, vary(clip, noise, spec, "yes/a", 1))
    for other in (
        vary(clip, noise, spec, "yes/a", 2),
        vary(clip, noise, spec, "yes/b", 1),
        vary(clip, noise, FeatureSpec(background_noise_probability=1, seed=2), "yes/a", 1),
    ):
        assert not np.allclose(first, other, atol=1e-4)


def test_silence_is_a_piece_of_noise_or_nothing():
    assert (silence([], RATE, 1, "a") == 0).all()
    noise = np.linspace(0.1, 0.9, 3 * RATE).astype(np.float32)
    piece = silence([noise], RATE, 1, "a")
    np.testing.assert_array_equal(piece, silence([noise], RATE, 1, "a"))
    assert not np.allclose(piece, silence([noise], RATE, 1, "b"))
    steps = np.diff(piece)
    volume = steps.mean() / (0.8 / (3 * RATE - 1))  # of the ramp that it was cut out of
    assert 0 <= volume <= 1
    assert len(silence([noise[:100]], RATE, 1, "a")) == RATE  # a short noise is repeated


# --- cache


@pytest.fixture(scope="module")
def loaded(synthetic_speech, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return load_features(synthetic_speech, WORDS, SMALL, cache), cache


def cache_of(cache: Path) -> Path:
    (place,) = (child for child in cache.iterdir() if not child.name.startswith("."))
    return place


def test_loads_all_splits(loaded):
    speech, _ = loaded
    assert speech.classes == ("yes", "no", "go", "stop", "_unknown_", "_silence_")
    # 4 words x 40 clips by 14 / 3 / 3 of 20 speakers, two clips each: 112 / 24 / 24, and a tenth
    # of each for unknown and silence: 11, 2, 2.
    for split, clips, variants in (("training", 134, 3), ("validation", 28, 1), ("testing", 28, 1)):
        part = speech.split(split)
        assert part.features.shape == (clips, variants, 16, 104)
        assert part.features.dtype == np.float16
        assert len(part) == len(part.labels) == len(part.names) == clips
        assert part.labels.dtype == np.int64
        assert set(part.labels) == set(range(6))
        assert np.isfinite(part.features).all()
    assert speech.skipped == ()
    assert not set(speech.training.names) & set(speech.testing.names)


def test_cached_pictures_are_those_of_the_clips(loaded, synthetic_speech):
    speech, _ = loaded
    for row in (0, 50, 111):
        clip, rate = soundfile.read(synthetic_speech / speech.training.names[row], dtype="float32")
        assert rate == RATE
        expected = compute_features(torch.from_numpy(clip)[None], SMALL)[0].numpy()
        np.testing.assert_allclose(speech.training.features[row, 0], expected, rtol=1e-3, atol=2e-3)
        assert (
            speech.training.names[row].split("/")[0] == speech.classes[speech.training.labels[row]]
        )


def test_mean_and_deviation_are_those_of_the_clean_training_clips(loaded):
    speech, _ = loaded
    clean = speech.training.features[:, 0, :, real_frames(SMALL)].astype(np.float64)
    np.testing.assert_allclose(speech.mean, clean.mean(axis=(0, 2)), atol=1e-3)
    np.testing.assert_allclose(speech.deviation, clean.std(axis=(0, 2)), rtol=1e-3)
    batch, _ = next(iterate_batches(speech.training, 200))
    normal = normalise(batch, speech.mean, speech.deviation)[..., real_frames(SMALL)]
    torch.testing.assert_close(normal.mean((0, 2)), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(normal.std((0, 2)), torch.ones(16), atol=1e-3, rtol=0)


def test_second_call_reads_the_cache(loaded, synthetic_speech, monkeypatch):
    speech, cache = loaded
    monkeypatch.setattr(dse.speech.features, "_compute", None)  # would raise TypeError
    again = load_features(synthetic_speech, WORDS, SMALL, cache)
    np.testing.assert_array_equal(again.training.features, speech.training.features)
    np.testing.assert_array_equal(again.mean, speech.mean)
    assert again.key == speech.key and len(speech.key) == 16
    assert again.training.names == speech.training.names


def test_default_cache_lies_in_the_cache_folder(synthetic_speech, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    task = Task(kind="words", words=("cat", "tree"), unknown=False, silence=False)
    load_features(synthetic_speech, task, FeatureSpec(coefficients=4, variants=1))
    assert len(list((tmp_path / "ternary-dse" / "features").iterdir())) == 1


def small_corpus(folder: Path) -> Path:
    """Two words, two clips each in each split, by lists; one noise."""
    random = np.random.default_rng(3)
    for word in ("yes", "no"):
        (folder / word).mkdir(parents=True)
        for name in "abcdef":
            soundfile.write(folder / word / f"{name}.wav", random.normal(0, 0.1, RATE), RATE)
    (folder / "_background_noise_").mkdir()
    soundfile.write(
        folder / "_background_noise_" / "hiss.wav", random.normal(0, 0.1, 20 * RATE), RATE
    )
    (folder / "validation_list.txt").write_text("yes/a.wav\nyes/b.wav\nno/a.wav\nno/b.wav\n")
    (folder / "testing_list.txt").write_text("yes/c.wav\nyes/d.wav\nno/c.wav\nno/d.wav\n")
    return folder


BOTH = Task(kind="words", words=("yes", "no"), unknown=False)
TINY = FeatureSpec(coefficients=4, frames=101, variants=2)


def test_key_follows_sounds_task_and_features_but_not_the_place(tmp_path):
    first = small_corpus(tmp_path / "first")
    second = tmp_path / "second"
    shutil.copytree(first, second)
    os.utime(second / "yes/a.wav", (1, 1))
    cache = tmp_path / "cache"
    key = load_features(first, BOTH, TINY, cache).key
    assert load_features(second, BOTH, TINY, cache).key == key
    task = Task(kind="words", words=("no", "yes"), unknown=False)
    assert load_features(first, task, TINY, cache).key != key
    raw = FeatureSpec(coefficients=4, frames=101, variants=2, normalisation="none")
    unnormalised = load_features(first, BOTH, raw, cache)
    assert unnormalised.key != key
    assert (unnormalised.mean == 0).all() and (unnormalised.deviation == 1).all()
    noise = first / "_background_noise_" / "hiss.wav"
    soundfile.write(noise, np.random.default_rng(9).normal(0, 0.1, 20 * RATE), RATE)
    with_other_noise = load_features(first, BOTH, TINY, cache).key
    assert with_other_noise != key
    soundfile.write(first / "yes/a.wav", np.zeros(RATE), RATE)
    assert load_features(first, BOTH, TINY, cache).key != with_other_noise
    assert load_features(first, BOTH, TINY, cache).key != key


def test_a_changed_list_is_noticed(tmp_path):
    folder = small_corpus(tmp_path / "data")
    before = load_features(folder, BOTH, TINY, tmp_path / "cache")
    (folder / "testing_list.txt").write_text("yes/c.wav\nno/c.wav\n")
    after = load_features(folder, BOTH, TINY, tmp_path / "cache")
    assert (len(before.testing), len(after.testing)) == (5, 3)


def test_varied_copies_do_not_depend_on_other_files(tmp_path):
    folder = small_corpus(tmp_path / "data")
    before = load_features(folder, BOTH, TINY, tmp_path / "cache").training
    (folder / "no/e.wav").unlink()
    after = load_features(folder, BOTH, TINY, tmp_path / "cache").training
    one, two = before.names.index("yes/f.wav"), after.names.index("yes/f.wav")
    assert one != two
    np.testing.assert_array_equal(before.features[one], after.features[two])
    assert not np.array_equal(before.features[one, 0], before.features[one, 1])


def test_splits_take_silence_from_different_parts_of_a_noise(tmp_path):
    folder = small_corpus(tmp_path / "data")
    level = np.repeat([0.1, 0.0, 0.0001], [16 * RATE, 2 * RATE, 2 * RATE])  # 80, 10, 10 % of 20 s
    noise = np.random.default_rng(1).normal(0, 1, 20 * RATE) * level
    soundfile.write(folder / "_background_noise_" / "hiss.wav", noise, RATE, subtype="FLOAT")
    speech = load_features(
        folder, BOTH, FeatureSpec(coefficients=4, frames=101, kind="log_mel"), tmp_path
    )
    loudness = {
        name: float(part.features[part.labels == 2, 0].astype(float).mean())
        for name, part in (
            ("training", speech.training),
            ("validation", speech.validation),
            ("testing", speech.testing),
        )
    }
    assert loudness["validation"] == pytest.approx(np.log(1e-6), abs=0.01)  # nothing but zeros
    assert loudness["training"] > loudness["testing"] > loudness["validation"] + 0.1


@pytest.mark.parametrize("damage", ["truncate", "header", "json", "missing", "empty", "last"])
def test_a_damaged_cache_is_computed_again(tmp_path, damage):
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"
    expected = np.array(load_features(folder, BOTH, TINY, cache).training.features)
    place = cache_of(cache)
    array = place / "training.npy"
    content = array.read_bytes()
    if damage == "truncate":
        array.write_bytes(content[: len(content) // 2])
    elif damage == "header":
        array.write_bytes(b"\0" * 200 + content[200:])
    elif damage == "last":
        array.write_bytes(content[:-2] + b"\1\2")
    elif damage == "json":
        text = (place / "contents.json").read_text()
        (place / "contents.json").write_text(text.replace('"yes"', '"yas"'))
    elif damage == "missing":
        (place / "testing.npy").unlink()
    elif damage == "empty":
        (place / "contents.json").write_text("")
    again = load_features(folder, BOTH, TINY, cache)
    np.testing.assert_array_equal(again.training.features, expected)
    assert again.classes == ("yes", "no", "_silence_")
    assert [child.name for child in cache.iterdir()] == [place.name]  # nothing left over


def test_a_byte_changed_anywhere_is_noticed(tmp_path):
    """A hundred places of the four files: the cache is not taken, or (padding) says the same."""
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"
    whole = load_features(folder, BOTH, TINY, cache)
    expected = {split: np.array(whole.split(split).features) for split in SPLITS}
    place, random = cache_of(cache), np.random.default_rng(21)
    files = sorted(place.iterdir())
    ends = np.cumsum([path.stat().st_size for path in files])
    refused = 0
    for position in random.integers(ends[-1], size=100):
        index = int(np.searchsorted(ends, position, side="right"))
        content = bytearray(files[index].read_bytes())
        where = int(position) - int(ends[index]) + len(content)
        content[where] ^= 1 << int(random.integers(8))
        kept = files[index].read_bytes()
        files[index].write_bytes(content)
        found = dse.speech.features._read(place, BOTH, TINY)
        refused += found is None
        if found is not None:
            for split in SPLITS:
                np.testing.assert_array_equal(found.split(split).features, expected[split])
                assert found.split(split).names == whole.split(split).names
        del found
        files[index].write_bytes(kept)
    assert refused > 90


def test_an_error_leaves_no_cache(tmp_path, monkeypatch):
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dse.speech.feature_computation, "_pictures", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        load_features(folder, BOTH, TINY, cache)
    assert caught.value.filename == str(cache)
    assert list(cache.iterdir()) == []


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"
    for name, age_s in ((".old.x", 2 * 24 * 3600), (".new.x", 60)):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (time.time() - age_s,) * 2)
    load_features(folder, BOTH, TINY, cache)
    assert not (cache / ".old.x").exists() and (cache / ".new.x").exists()


LOAD_ON_SIGNAL = """
import sys, time
from pathlib import Path
import numpy as np
from dse.speech.features import load_features
from dse.speech.task import FeatureSpec, Task

folder, cache = Path(sys.argv[1]), Path(sys.argv[2])
task = Task(kind="words", words=("yes", "no"), unknown=False)
print("ready", flush=True)
sys.stdin.readline()
speech = load_features(folder, task, FeatureSpec(coefficients=4, frames=101, variants=2), cache)
print(speech.key, speech.training.features.astype(np.float64).sum())
"""


@pytest.mark.soak
def test_two_processes_may_compute_the_same_cache(tmp_path):
    """For real; the test below says what happens in the worst moment."""
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD_ON_SIGNAL, str(folder), str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [process.communicate(timeout=120)[0].split() for process in processes]
    speech = load_features(folder, BOTH, TINY, cache)
    total = speech.training.features.astype(np.float64).sum()
    assert found == [[speech.key, str(total)]] * 2
    assert len(list(cache.iterdir())) == 1


def test_the_second_to_finish_takes_the_cache_of_the_first(tmp_path, monkeypatch):
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"
    compute = dse.speech.features._compute

    def overtaken(*arguments):
        monkeypatch.setattr(dse.speech.features, "_compute", compute)
        load_features(folder, BOTH, TINY, cache)
        compute(*arguments)

    monkeypatch.setattr(dse.speech.features, "_compute", overtaken)
    speech = load_features(folder, BOTH, TINY, cache)
    assert len(speech.training) == 5
    assert len(list(cache.iterdir())) == 1


def test_a_few_unreadable_clips_are_skipped_by_name(tmp_path):
    folder = small_corpus(tmp_path / "data")
    (folder / "yes/e.wav").write_text("no sound")
    (folder / "_background_noise_/bad.wav").write_text("no sound")
    speech = load_features(folder, BOTH, TINY, tmp_path / "cache")
    assert [line.split(":")[0] for line in speech.skipped] == [
        "yes/e.wav",
        "_background_noise_/bad.wav",
    ]
    assert "format not recognised" in speech.skipped[0]
    assert "yes/e.wav" not in speech.training.names
    assert speech.training.features.shape[0] == len(speech.training.labels) == 4
    assert load_features(folder, BOTH, TINY, tmp_path / "cache").skipped == speech.skipped


def test_many_unreadable_clips_stop_the_run(tmp_path):
    folder = small_corpus(tmp_path / "data")
    for name in ("yes/a", "yes/b", "yes/c", "no/a", "no/b", "no/c"):
        (folder / f"{name}.wav").write_text("no sound")
    with pytest.raises(InvalidData) as caught:
        load_features(folder, BOTH, TINY, tmp_path / "cache")
    # 12 clips and one of silence in each split
    assert str(caught.value).startswith(
        f"6 of 15 clips in {folder} cannot be read, at most 5 may be: mend or remove them (the "
        "first: "
    )
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_class_that_loses_all_its_clips_is_refused(tmp_path):
    folder = small_corpus(tmp_path / "data")
    for name in ("yes/e", "yes/f"):
        (folder / f"{name}.wav").write_text("no sound")
    with pytest.raises(InvalidData) as caught:
        load_features(folder, BOTH, TINY, tmp_path / "cache")
    assert str(caught.value).startswith("class 'yes' has 0 clips in the training split")
    assert "(unreadable: yes/e.wav: " in str(caught.value)


def test_silence_without_noises_is_digital_silence(tmp_path):
    folder = small_corpus(tmp_path / "data")
    shutil.rmtree(folder / "_background_noise_")
    speech = load_features(folder, BOTH, TINY, tmp_path / "cache")
    expected = compute_features(torch.zeros(1, RATE), TINY)[0].numpy()
    np.testing.assert_allclose(speech.testing.features[-1, 0], expected, atol=2e-2)
    assert speech.testing.names[-1] == "_silence_/testing/0000"


def test_tells_the_progress(tmp_path):
    calls = []
    folder = small_corpus(tmp_path / "data")
    load_features(folder, BOTH, TINY, tmp_path / "cache", lambda *call: calls.append(call))
    assert calls == [("features", 5, 15), ("features", 10, 15), ("features", 15, 15)]


def test_threads_of_torch_are_as_before(tmp_path):
    before = torch.get_num_threads()
    load_features(small_corpus(tmp_path / "data"), BOTH, TINY, tmp_path / "cache")
    assert torch.get_num_threads() == before


def test_contents_of_the_cache_can_be_read_by_others(tmp_path):
    folder, cache = small_corpus(tmp_path / "data"), tmp_path / "cache"
    load_features(folder, BOTH, TINY, cache)
    place = cache_of(cache)
    contents = json.loads((place / "contents.json").read_text()[8:])
    assert contents["settings"]["task"]["words"] == ["yes", "no"]
    assert np.load(place / "training.npy").shape == (5, 2, 4, 101)


@pytest.mark.real_speech
def test_recorded_speech_becomes_pictures(real_speech, tmp_path):
    task = Task(silence=False)
    folder = real_speech / "speech_commands"
    speech = load_features(folder, task, FeatureSpec(variants=1), tmp_path)
    drawing = draw(scan(folder), task)
    assert len(speech.training) == len(drawing.training)
    assert speech.skipped == ()
    assert (speech.deviation > 0.1).all()
