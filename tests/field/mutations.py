"""Damaged files, made from good ones: a fixed number of cases, the same in each run.

    for case in damaged_data(good, 200, seed=1):      # data of YAML or JSON: one place changed
    for case in damaged_text(text, 200, seed=1):      # its letters: cut, doubled, NUL, huge digits
    for case in damaged_bytes(content, 200, seed=1):  # binary formats
        check_outcome(lambda: reader(write(case)), case)

A reader may do two things with such a file: read it, or refuse it by an `InvalidInput` of short
lines, each of printable letters. A traceback, a novel and a hang are failures.
"""

import copy
import random
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from cost_models import strict_yaml
from dse.errors import InvalidInput

DIGITS = 400
"""Of a number whose double would be infinite, and which Python still prints."""

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**DIGITS,
    16**5000,  # more digits than Python prints: written in hexadecimal
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    " ",
    "text",
    "5",
    "1e5",
    "nan",
    "\u00e9\U0001f600",
    "x\x00y",
    "\x1b[31m",
    "../../outside",
    "/",
    "a" * 3000,
    "${model}",
    "???",
    [],
    {},
    [[]],
    [1, "two", None],
    {"unknown": 1},
    {"": {}},
)
"""What may stand where something else was meant."""


def places(plain: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value below the root: keys and numbers of entries."""
    if not isinstance(plain, dict | list):
        return
    for step, child in plain.items() if isinstance(plain, dict) else enumerate(plain):
        yield (*path, step)
        yield from places(child, (*path, step))


def damaged_data(good: Any, count: int, seed: int) -> Iterator[Any]:
    """Copies with one place changed, of four ways; `good` stays as it is.

    Another value, the key or entry gone, its key misspelt, the value of another place.
    """
    rng = random.Random(seed)
    paths = list(places(good))
    for number in range(count):
        case = copy.deepcopy(good)
        *above, last = rng.choice(paths)
        parent = case
        for step in above:
            parent = parent[step]
        way = rng.randrange(8)
        if way == 0:
            del parent[last]
        elif way == 1 and isinstance(parent, dict):
            parent[f"{last}_"] = parent.pop(last)
        elif way == 2:
            parent[last] = copy.deepcopy(value_at(good, rng.choice(paths)))
        else:  # each hostile value comes up as often as the others
            parent[last] = copy.deepcopy(HOSTILE[number % len(HOSTILE)])
        yield case


def value_at(plain: Any, path: tuple[Any, ...]) -> Any:
    """What stands at the end of a path."""
    for step in path:
        plain = plain[step]
    return plain


def as_yaml(plain: Any) -> str:
    """Plain data as YAML, whatever it holds; integers of very many digits in hexadecimal."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(strict_yaml._Dumper):
    """Texts and numbers as our reader tells them apart; a copy of a place is written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    int,
    lambda dumper, value: dumper.represent_scalar(
        "tag:yaml.org,2002:int", str(value) if abs(value) < 10**4000 else hex(value)
    ),
)


def damaged_text(text: str, count: int, seed: int) -> Iterator[str]:
    """Copies with damage to letters or lines, as editors, disks and careless scripts do it."""
    rng = random.Random(seed)
    lines = text.splitlines(keepends=True)
    whole = [f"\ufeff{text}", text.replace("\n", "\r\n"), text.replace("\n", "\r"), ""]
    for number in range(count):
        if number < len(whole):
            yield whole[number]
        elif number % 2:
            yield _damaged_letters(text, rng)
        else:
            yield _damaged_lines(lines, rng)


def _damaged_letters(text: str, rng: random.Random) -> str:
    """Cut off, or with letters gone or put in at one place."""
    at = rng.randrange(len(text))
    put_in = rng.choice(
        (
            rng.choice("\x00\x1b\ufeff\ud800\u2028:{}[]\"'#,&*!\t\n"),
            rng.choice("[{(") * rng.choice((30, 3000)),
            "9" * rng.choice((30, 5000)),
            "",
            None,
        )
    )
    if put_in is None:
        return text[:at]
    return text[:at] + put_in + text[at + (0 if put_in else rng.randrange(1, 9)) :]


def _damaged_lines(lines: list[str], rng: random.Random) -> str:
    """One line gone, twice there, deeper, or as a very long one."""
    at = rng.randrange(len(lines))
    line = lines[at]
    instead = rng.choice(("", line * 2, f"  {line}", line.rstrip("\n") * 300 + "\n"))
    return "".join([*lines[:at], instead, *lines[at + 1 :]])


def damaged_bytes(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies with a byte changed, bytes gone or doubled, or the end cut off."""
    rng = random.Random(seed)
    for number in range(count):
        at, size = rng.randrange(len(content)), rng.choice((1, 2, 8, 64))
        if number % 8 == 0:
            yield content[:at]
        elif number % 8 == 1:
            yield content[:at] + content[at + size :]
        elif number % 8 == 2:
            yield content[: at + size] + content[at:]
        else:
            changed = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            yield content[:at] + bytes([changed]) + content[at + 1 :]


def check_outcome(
    read: Callable[[], Any], case: Any, *, longest_s: float = 10.0, longest_line: int = 800
) -> bool:
    """Whether a damaged case was read; fails unless it was read or refused properly.

    Args:
        read: reads the case; what it raises besides `InvalidInput` is not caught.
        case: for the message.
        longest_s: of the processor that reading may take; others may use it, too.
        longest_line: of the refusal, in letters.
    """
    began = time.process_time()
    try:
        read()
        refused = None
    except InvalidInput as error:
        refused = str(error)
    except Exception as error:
        error.add_note(f"of the case {repr_of(case)}")
        raise
    took = time.process_time() - began
    assert took < longest_s, f"{took:.1f} s for {repr_of(case)}"
    if refused is None:
        return True
    assert refused.strip(), f"refused without a word: {repr_of(case)}"
    for line in refused.split("\n"):
        assert len(line) <= longest_line, f"a line of {len(line)} letters: {line[:300]}..."
        control = [letter for letter in line if unicodedata.category(letter) in ("Cc", "Cs")]
        assert not control, f"{control[0]!r} in the refusal {line[:300]!r}"
    return False


def repr_of(case: Any) -> str:
    """A case for a message: numbers of very many digits are not printed."""
    try:
        text = case if isinstance(case, str) else repr(case)
    except ValueError:
        text = as_yaml(case)
    return ascii(text[:3000])
