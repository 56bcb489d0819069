import numpy as np
import pytest
import soundfile

from dse.speech.audio import UnreadableSound, describe, fit_length, read_clip, read_noise

RATE = 16_000


def tone(samples: int, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_clip_of_the_right_shape_comes_back_to_the_sample(tmp_path, ending):
    samples = np.arange(-8000, 8000, dtype=np.int16)
    soundfile.write(tmp_path / f"a.{ending}", samples, RATE, subtype="PCM_16")
    clip = read_clip(tmp_path / f"a.{ending}", RATE, RATE)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip, samples.astype(np.float32) / 32768)


def test_pads_on_both_sides_the_odd_zero_at_the_end():
    np.testing.assert_array_equal(fit_length(np.ones(3, np.float32), 6), [0, 1, 1, 1, 0, 0])


def test_crops_to_the_middle():
    np.testing.assert_array_equal(fit_length(np.arange(7, dtype=np.float32), 4), [1, 2, 3, 4])
    np.testing.assert_array_equal(fit_length(np.arange(4, dtype=np.float32), 4), [0, 1, 2, 3])


def test_averages_channels(tmp_path):
    left, right = tone(RATE), np.full(RATE, 0.25)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), RATE, subtype="FLOAT")
    clip = read_clip(tmp_path / "a.wav", RATE, RATE)
    np.testing.assert_allclose(clip, (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_resamples_other_rates(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate, rate), rate)
    clip = read_clip(tmp_path / "a.wav", RATE, RATE)
    assert clip.shape == (RATE,)
    # Away from the ends, where the resampler sees silence: the same tone.
    np.testing.assert_allclose(clip[800:-800], tone(RATE)[800:-800], atol=2e-3)


def test_of_a_long_file_only_the_middle_is_decoded(tmp_path):
    long = np.zeros(30 * RATE)
    long[15 * RATE - 8000 : 15 * RATE + 8000] = tone(RATE)
    soundfile.write(tmp_path / "a.flac", long, RATE)
    clip = read_clip(tmp_path / "a.flac", RATE, RATE)
    np.testing.assert_allclose(clip, tone(RATE), atol=1e-4)


def test_reads_a_noise_whole(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(3 * 8000, 8000), 8000)
    assert len(read_noise(tmp_path / "a.wav", RATE)) == pytest.approx(3 * RATE, abs=2)


def test_says_why_a_file_cannot_be_read(tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "nothing.flac").write_bytes(b"")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")
    whole = tmp_path / "whole.flac"
    soundfile.write(whole, np.random.default_rng(1).uniform(-1, 1, RATE), RATE)
    (tmp_path / "cut.flac").write_bytes(whole.read_bytes()[:9000])
    (tmp_path / "folder.wav").mkdir()
    for name, reason in {
        "text.wav": "format not recognised",
        "nothing.flac": "format not recognised",
        "empty.wav": "it holds no samples",
        "nan.wav": "it holds values that are not numbers",
        "missing.wav": "system error",
        "folder.wav": "",
        "cut.flac": "",
    }.items():
        for read in (describe, lambda path: read_clip(path, RATE, RATE)):
            with pytest.raises(UnreadableSound) as caught:
                read(tmp_path / name)
            assert reason in str(caught.value), name
            assert str(caught.value) and str(tmp_path) not in str(caught.value)


def test_describes_a_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((4000, 2)), 8000, subtype="PCM_24")
    found = describe(tmp_path / "a.wav")
    assert (found.rate_hz, found.channels, found.duration_s) == (8000, 2, 0.5)
    assert found.format == "WAV PCM_24"
