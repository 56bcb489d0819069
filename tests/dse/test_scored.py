import json
from pathlib import Path
from typing import Any

import pytest

from dse.errors import InvalidFile
from dse.scored import FILE_NAME, error_interval, read_scored

PLAIN: dict[str, Any] = {
    "schema_version": 1,
    "split": "validation",
    "labels": ["no", "yes", "stop"],
    "clips": 60,
    "float": {"error": 0.1, "confusion": [[18, 2, 0], [3, 17, 0], [0, 1, 19]]},
    "int8": {"error": 0.15, "confusion": [[18, 2, 0], [5, 15, 0], [1, 1, 18]]},
}


def write(folder: Path, **changes: Any) -> Path:
    (folder / FILE_NAME).write_text(json.dumps(PLAIN | changes))
    return folder


def test_an_evaluation_says_what_was_taken_for_what(tmp_path: Path) -> None:
    found = read_scored(write(tmp_path))
    assert found is not None and found.int8 is not None
    assert found.floats.clips == 60 and found.floats.error == pytest.approx(0.1)
    assert found.confusions(found.floats, 2) == [("yes", "no", 3, 20), ("no", "yes", 2, 20)]
    assert found.confusions(found.int8, 1) == [("yes", "no", 5, 20)]
    # Wilson's interval of 6 of 60, by hand: (0.1 + z2/120 -+ z sqrt(0.0015 + z2/14400)) / 1.064.
    band = error_interval(found.floats)
    assert (band.low, band.high) == (pytest.approx(4.66, abs=0.01), pytest.approx(20.15, abs=0.01))
    difference = found.difference
    assert difference is not None and difference.mid == pytest.approx(5.0)
    assert difference.low < 0 < difference.high  # 60 clips do not tell them apart


def test_a_network_without_int8_says_why(tmp_path: Path) -> None:
    found = read_scored(write(tmp_path, int8=None, reason="its generator has no C"))
    assert found is not None and found.int8 is None and found.difference is None
    assert found.reason == "its generator has no C"


def test_older_studies_have_none(tmp_path: Path) -> None:
    assert read_scored(tmp_path) is None
    assert read_scored(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"labels": ["no", "yes"]}, "float is not 2 x 2"),
        ({"labels": ["no", "no", "stop"]}, "all different"),
        ({"labels": []}, "all different"),
        ({"clips": 61}, "does not sum to 61 clips"),
        ({"float": {"error": 0.2, "confusion": PLAIN["float"]["confusion"]}}, "says otherwise"),
        ({"float": {"error": 0.1}}, "lacks confusion"),
        ({"float": {"error": 0.1, "confusion": [[0.5] * 3] * 3}}, "whole numbers"),
        ({"float": {"error": 0.1, "confusion": [[-1, 21, 0], [3, 17, 0], [0, 1, 19]]}}, "sum to"),
        ({"float": 3}, "cannot be read"),
        ({"int8": {"error": 0.0, "confusion": [[1, 2], [3, 4]]}}, "int8 is not 3 x 3"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidFile, match=words):
        read_scored(write(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "\xff"])
def test_what_is_no_evaluation_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text, encoding="latin-1")
    with pytest.raises(InvalidFile, match="move it away"):
        read_scored(tmp_path)
