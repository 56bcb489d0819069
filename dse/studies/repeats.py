"""Trainings with fresh seeds, as `dse confirm` leaves them: a line each of `confirm.jsonl`."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dse.errors import InvalidFile, printable, short
from dse.files import whole_lines
from dse.studies.rows import KEY, MOST_COUNTED
from dse.training.clipwise import Mistakes, of_words, unpack, unpack_counts

FILE_NAME = "confirm.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One training with a fresh seed."""

    key: str
    seed: int
    validation_error: float
    test_error: float
    validation_quantised_error: float | None = None
    """In whole numbers; None where that is not possible, or was not looked at."""
    test_quantised_error: float | None = None
    test_clips: int
    epochs: int
    seconds: float
    test_wrong: str = ""
    """Which test clips were told wrongly (`dse.training.clipwise`); empty where nobody kept it."""
    test_quantised_wrong: str = ""
    """Likewise in whole numbers."""
    test_units: str = ""
    """Of sentences: what was said in each utterance (`dse.training.clipwise.pack_counts`), and then
    both fields before are edits of each; empty of words."""


def read_repeats(folder: Path) -> list[Repeat]:
    """The trainings that were confirmed so far; a line cut short by a kill is none.

    Raises:
        InvalidFile: a line is damaged.
    """
    path = folder / FILE_NAME
    repeats = []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            repeats.append(_checked(json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidFile(
                f"not a confirmed training: {printable(str(error))[:200]}; move the file away "
                f"({path}:{number})"
            ) from None
    return repeats


def _checked(plain: Any) -> Repeat:
    """A line of the file, each field of its kind; raises `ValueError` or `TypeError`."""
    repeat = Repeat(**plain)
    for name in Repeat.__slots__:
        value = getattr(repeat, name)
        if name == "key":
            right = isinstance(value, str) and re.fullmatch(KEY, value) is not None
        elif name.endswith(("_wrong", "_units")):
            right = isinstance(value, str)
            if value and right:
                (unpack_counts if repeat.test_units else unpack)(value, repeat.test_clips)
        elif name.endswith("_error"):
            optional = value is None and "quantised" in name
            right = optional or (type(value) in (int, float) and 0 <= value <= 1)
        else:
            right = type(value) in (int, float) and 0 <= value <= MOST_COUNTED
            right &= name == "seconds" or type(value) is int
        if not right:
            raise ValueError(f"{name} is {short(value)}")
    return repeat


def stack_mistakes(repeats: Sequence[Repeat], measured: str) -> Mistakes | None:
    """What each seed got wrong of the test clips; None where that was not kept."""
    name = "test_wrong" if measured == "error" else "test_quantised_wrong"
    texts = [getattr(repeat, name) for repeat in repeats]
    if not all(texts) or len({repeat.test_clips for repeat in repeats}) > 1:
        return None
    clips, units = repeats[0].test_clips, repeats[0].test_units
    if any(repeat.test_units != units for repeat in repeats):
        return None
    if not units:
        return of_words(np.array([unpack(text, clips) for text in texts]))
    counts = np.array([unpack_counts(text, clips) for text in texts])
    return Mistakes(counts, unpack_counts(units, clips))
