"""What a person may ask of task and features."""

from typing import Any

import pytest

from dse.errors import InvalidField
from dse.speech.task import FeatureSpec, Task


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variants": 0}, "variants must be from 1 to 1,000, not 0"),
        ({"variants": 99_999_999}, "variants must be from 1 to 1,000, not 99999999"),
        ({"hop_ms": 0.01}, "hop_ms must be from one sample (0.0625 ms) to 1000, not 0.01"),
        ({"hop_ms": float("inf")}, "hop_ms must be from one sample (0.0625 ms) to 1000, not inf"),
        ({"window_ms": float("nan")}, "window_ms must be from one sample (0.0625 ms) to 1000"),
        ({"window_ms": 40}, "fft_size must be at least the window of 640 samples, not 512"),
        ({"time_shift_ms": float("inf")}, "time_shift_ms must be in [0, 1000], not inf"),
        ({"white_noise_db": (0.0, 1e9)}, "white_noise_db must be two numbers from -300 to 300"),
        ({"white_noise_db": (-46, -90)}, "white_noise_db must be two numbers from -300 to 300"),
        (
            {"background_noise_snr_db": (float("-inf"), 0)},
            "background_noise_snr_db must be two numbers from -300 to 300, the lower first",
        ),
        (
            {"background_noise_probability": float("nan")},
            "background_noise_probability must be in [0, 1], not nan",
        ),
    ],
)
def test_features_that_cannot_be_computed_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        FeatureSpec(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "words", "words": ("yes",)}, "words must be a list of at least two words"),
        ({"kind": "words", "words": ("yes", "yes")}, "words must be distinct, not ['yes', 'yes']"),
        ({"words": ("yes", "no")}, "words must be left out when kind is 'commands'"),
        ({"unknown_fraction": float("nan")}, "unknown_fraction must be in (0, 1], not nan"),
    ],
)
def test_tasks_that_contradict_themselves_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        Task(**fields)
    assert str(caught.value).startswith(message)
