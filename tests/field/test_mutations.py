"""The damage that readers are tried with is done, and the same in each run."""

import pytest

from cost_models.strict_yaml import parse_yaml
from dse.errors import InvalidInput
from tests.field.mutations import (
    HOSTILE,
    as_yaml,
    check_outcome,
    damaged_bytes,
    damaged_data,
    damaged_text,
)

GOOD = {"name": "chip", "memories": [{"bits": 8}, {"bits": 16}], "clock_mhz": 10.0}


def test_damaged_data_differ_from_the_good_and_leave_it_alone() -> None:
    before = repr(GOOD)
    texts = [as_yaml(case) for case in damaged_data(GOOD, 200, seed=1)]
    assert repr(GOOD) == before
    assert texts == [as_yaml(case) for case in damaged_data(GOOD, 200, seed=1)]
    assert texts != [as_yaml(case) for case in damaged_data(GOOD, 200, seed=2)]
    same = texts.count(as_yaml(GOOD))  # a value taken from where it already stood
    assert same < 10
    assert len(set(texts)) > 100


def test_damaged_letters_and_bytes_differ_too() -> None:
    text = as_yaml(GOOD)
    assert len({*damaged_text(text, 110, seed=1)} - {text}) > 60
    content = bytes(range(256))
    assert len({*damaged_bytes(content, 80, seed=1)} - {content}) > 60


def test_hostile_values_reach_the_reader_as_they_are() -> None:
    for value in (True, 0, -1, 2**63, 0.5, 1e308, "5", "1e5", [], {}):
        assert value in HOSTILE
        assert parse_yaml(as_yaml({"key": value}), "file").plain() == {"key": value}


def refuse(message: str) -> None:
    raise InvalidInput(message)


def test_a_refusal_is_short_lines_of_letters_in_time() -> None:
    assert check_outcome(lambda: 1, "case")
    assert not check_outcome(lambda: refuse("one\ntwo"), "case")
    with pytest.raises(AssertionError, match="without a word"):
        check_outcome(lambda: refuse(" "), "case")
    with pytest.raises(AssertionError, match="a line of 900 letters"):
        check_outcome(lambda: refuse("x" * 900), "case")
    with pytest.raises(AssertionError, match=r"'\\x1b' in the refusal"):
        check_outcome(lambda: refuse("\x1b[31m"), "case")
    with pytest.raises(AssertionError, match=r"s for 'case'"):
        check_outcome(lambda: sum(range(1_000_000)), "case", longest_s=1e-5)
    with pytest.raises(ZeroDivisionError) as found:
        check_outcome(lambda: 1 // 0, GOOD)
    assert "of the case" in found.value.__notes__[0]
