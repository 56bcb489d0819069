"""What a field may hold, said once: in its annotation.

    rows: Annotated[int, Allowed(ge=1)]                 # or `rows: Count`, as it is so frequent

Three readers understand it, so that a limit cannot be one thing in Python and another in a file:
`check_fields`, which a dataclass calls at its birth; pydantic, which reads files
(`cost_models.strict_yaml`); and JSON Schema, which pydantic makes of the same annotation. What one
field asks of another (`low <= value`) stays in `__post_init__`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cost_models.errors import InvalidField


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Bounds of a finite number, or the pattern of a whole text."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    pattern: str = ""
    """A regular expression that Python, Rust (pydantic) and ECMAScript (JSON Schema) all read."""
    words: str = ""
    """Ends the sentence `<field> must be ...`; follows from the bounds where it is left out."""

    # The protocol of annotated-types' grouped metadata. It asks for a class attribute and for
    # iteration, so that neither that library nor pydantic is loaded where no file is read.
    __is_annotated_types_grouped_metadata__ = True

    def __iter__(self) -> Iterator[Any]:
        """The same in the words of pydantic."""
        from pydantic import Field

        if self.pattern:
            yield Field(pattern=f"^(?:{self.pattern})$")
        else:
            yield Field(ge=self.ge, gt=self.gt, le=self.le, lt=self.lt)

    def holds(self, value: Any) -> bool:
        """Whether a value is within; infinity and NaN never are."""
        if self.pattern:
            return re.fullmatch(self.pattern, value) is not None
        # Each comparison with NaN is false, so it must be one that lets a value through.
        return (
            abs(value) < float("inf")
            and (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )

    def __str__(self) -> str:
        """`at least 1`, `in (0, 1]`."""
        low = self.ge if self.gt is None else self.gt
        high = self.le if self.lt is None else self.lt
        if self.words or low is None:
            return self.words or f"at most {high:,}"
        if high is None:
            at_least = f"at least {low:,}" if low else "0 or more"
            return at_least if self.gt is None else f"more than {low:,}"
        if isinstance(low, int) and isinstance(high, int):
            return f"from {low:,} to {high:,}"
        opening, closing = "(" if self.ge is None else "[", ")" if self.le is None else "]"
        return f"in {opening}{low:g}, {high:g}{closing}"


class _Ours:
    """Marks a field that is ours, not the file's: pydantic refuses it as it does unknown keys."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def refuse(value: Any) -> Any:
            raise PydanticCustomError("unexpected_keyword_argument", "ours, not the file's")

        return core_schema.no_info_plain_validator_function(refuse)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        from pydantic_core import PydanticOmit

        raise PydanticOmit


OURS = _Ours()

Count = Annotated[int, Allowed(ge=1)]
Positive = Annotated[float, Allowed(gt=0, words="a positive number")]
Share = Annotated[float, Allowed(ge=0.0, lt=1.0)]
Name = Annotated[str, Allowed(pattern=r"[\s\S]*\S[\s\S]*", words="a text")]
Source = Annotated[str, Allowed(pattern=r"[\s\S]*\S[\s\S]*", words="a text that says where from")]


def allowed(annotation: Any) -> Allowed | None:
    """The `Allowed` of an annotation, that of `X | None` included; None where it has none."""
    if isinstance(annotation, Allowed):
        return annotation
    if get_origin(annotation) not in (Annotated, Union, UnionType):
        return None  # what the entries of a list may be is not what the list may be
    return next(filter(None, map(allowed, get_args(annotation))), None)


def check_fields(value: Any) -> None:
    """Raise `InvalidField` for the first field of a dataclass that holds what it may not."""
    for name, limits, words in _limits(value.__class__):
        held = getattr(value, name)
        if isinstance(held, str) and words:  # `Count | Literal["fit"]`
            right = held in words
        else:
            right = held is None or limits.holds(held)
        if not right:  # only now: to say what would do takes longer than all checks
            raise InvalidField(name, _told(limits, words, held), held)


def _told(limits: Allowed, words: tuple[str, ...], held: Any) -> str:
    """What a field must be, in words; texts are told to who tried one."""
    return f"{limits} or {' or '.join(words)}" if isinstance(held, str) and words else str(limits)


@cache
def _limits(kind: Any) -> tuple[tuple[str, Allowed, tuple[str, ...]], ...]:
    found = (
        (name, allowed(hint), tuple(_words(hint)))
        for name, hint in get_type_hints(kind, include_extras=True).items()
    )
    return tuple((name, limits, words) for name, limits, words in found if limits)


def _words(annotation: Any) -> Iterator[str]:
    """Texts that may stand in place of a number."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from _words(each)
