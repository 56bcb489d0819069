"""From a YAML node to a dataclass by pydantic: all errors at once, each a sentence with its line.

    machine = build(Accelerator, read_yaml("my_chip.yaml"), name="my_chip")

The dataclass is the whole description of its file: annotations are types and what is allowed
(`cost_models.allowed`), defaults are defaults, the texts below fields are the reference. Pydantic
finds what is wrong and where; the sentence is ours, from the annotation that stands there. What is
plainly right is built without it: loading pydantic takes as long as pricing a design.
"""

import contextlib
import dataclasses
import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import GenericAlias, NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from cost_models.allowed import OURS, allowed
from cost_models.errors import InvalidField, InvalidFile, InvalidInput, short
from cost_models.strict_yaml import Node, join

T = TypeVar("T")

MOST_LISTED = 20
"""Known keys in the error message of an unknown one; a technology has more than fifty."""


class Problems:
    """Errors of the parts of a file, to be told together.

    with problems.part():
        space = read_the_space(node)
    with problems.part():
        limits = read_the_limits(node)
    problems.tell()
    """

    def __init__(self) -> None:
        self._found: list[InvalidFile] = []

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """What is read here may fail, and the other parts are read all the same."""
        try:
            yield
        except InvalidFile as error:
            self._found.append(error)

    def tell(self) -> None:
        """Raise what was found."""
        if self._found:
            raise InvalidFile.of(self._found)


def build(cls: type[T], node: Node, **given: Any) -> T:
    """Build a dataclass from a mapping.

    Args:
        cls: a dataclass; its fields that are marked `OURS` do not come from files.
        node: the mapping.
        given: fields that do not come from the file, as plain data.

    Raises:
        InvalidFile: keys are unknown or missing, types are wrong, or values are refused; the
            message has a line for each.
    """
    built: T = _read(cls, node, given)
    return built


def read_value(kind: Any, node: Node) -> Any:
    """The value of `node` as the annotated type `kind`. Raises `InvalidFile` if it is another."""
    return _read(kind, node, {})


def _read(kind: Any, node: Node, given: Mapping[str, Any]) -> Any:
    found: list[InvalidFile] = []
    whole = node
    if given and isinstance(node.value, dict):
        known = [name for name in known_keys(kind) if name not in given]
        found = [unknown_key(node.value[name], known) for name in node.value if name in given]
        ours = {key: Node(value, node.file, node.line, key) for key, value in given.items()}
        whole = dataclasses.replace(node, value=node.value | ours)
    if not found:
        with contextlib.suppress(_Doubtful):
            return _plainly(kind, whole)
    from pydantic import ValidationError

    try:
        # Through JSON: only there does `strict` take a list for a tuple and a text for an
        # enumeration, and yet neither 2.0 for a whole number nor 1 for true.
        adapter(kind).validate_json(json.dumps([whole.plain()]))
    except ValidationError as error:
        found += _sentences(kind, node, given, error.errors(include_url=False))
    # None found: `true` where 1 must stand, which pydantic takes for the same.
    raise InvalidFile.of(found or [_wrong_kind(_Place(kind, node, ()))])


class _Doubtful(Exception):
    """A value may be wrong: pydantic shall say whether, and what."""


def _plainly(kind: Any, node: Node) -> Any:
    """What pydantic makes of a value that is right; raises `_Doubtful` for all others."""
    origin, arguments, value = get_origin(kind), get_args(kind), node.value
    if kind is Any or kind is Node:
        return node if kind is Node else node.plain()
    if origin is Annotated:
        built = _plainly(arguments[0], node)
        if OURS in arguments or not all(each.holds(built) for each in arguments[1:]):
            raise _Doubtful
        return built
    if origin in (Union, UnionType):
        # None first: a `Node` may be anything, and yet `Node | None` shall be None.
        for branch in sorted(arguments, key=lambda branch: branch is not NoneType):
            with contextlib.suppress(_Doubtful):
                return _plainly(branch, node)
    elif origin is Literal:
        if any(value == each and type(value) is type(each) for each in arguments):
            return value
    elif origin is tuple and isinstance(value, list):
        return tuple(_plainly(arguments[0], each) for each in value)
    elif origin is dict and isinstance(value, dict):
        return {key: _plainly(arguments[1], each) for key, each in value.items()}
    elif _is_dataclass(kind) and isinstance(value, dict):
        hints = _hints(kind)
        if value.keys() <= hints.keys():
            fields = {name: _plainly(hints[name], each) for name, each in value.items()}
            with contextlib.suppress(InvalidInput, TypeError):  # TypeError: a key is missing
                return kind(**fields)
    elif kind is float and type(value) in (int, float):
        with contextlib.suppress(OverflowError):
            if math.isfinite(value):
                return float(value)
    elif type(value) is kind:
        return value
    elif isinstance(kind, type) and issubclass(kind, StrEnum) and value in list(kind):
        return kind(value)
    raise _Doubtful


def _is_dataclass(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@cache
def adapter(kind: Any, *, docs: bool = False) -> Any:
    """Pydantic's reader of a list of one `kind`.

    A dataclass of the standard library has the configuration of what it stands in, and none of its
    own: hence the list. With `docs`, the texts below fields are read from the source.
    """
    from pydantic import ConfigDict, TypeAdapter

    config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=docs
    )
    listed: Any = GenericAlias(tuple, (kind,))
    return TypeAdapter(listed, config=config)


def known_keys(kind: Any) -> list[str]:
    """Keys of a mapping that becomes the dataclass `kind`, or the one in a union."""
    cls = next(each for each in _branches(kind) if _is_dataclass(each))
    hints = _hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return [name for name in names if OURS not in get_args(hints[name])]


def unknown_key(child: Node, known: Iterable[str]) -> InvalidFile:
    """The error of a key that nobody knows, with the nearest one and all that are known."""
    name = child.key.rpartition(".")[2]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    known = list(known)
    listed = ", ".join(known[:MOST_LISTED])
    if len(known) > MOST_LISTED:
        listed += f" and {len(known) - MOST_LISTED} more (`dse schema` prints them)"
    return child.error(f"unknown key '{child.key}': {hint}known keys here are {listed}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a location of pydantic's leads to."""

    annotation: Any
    node: Node
    path: tuple[str | int, ...]
    """The steps that the file has. Others are missing keys, or names of a union's branches."""


def _follow(annotation: Any, node: Node, location: Iterable[str | int]) -> _Place:
    path: list[str | int] = []
    for step in location:
        value: Any = node.value
        keyed = isinstance(value, dict) and step in value
        if keyed or (isinstance(value, list) and isinstance(step, int)):
            annotation, node = _below(annotation, step), value[step]
            path.append(step)
    return _Place(annotation, node, tuple(path))


_UNKNOWN = "unexpected_keyword_argument"
_OUT_OF_BOUNDS = {
    "finite_number",
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "string_pattern_mismatch",
}


def _sentences(
    kind: Any, root: Node, given: Mapping[str, Any], errors: Sequence[Any]
) -> Iterator[InvalidFile]:
    """What pydantic found, in our words.

    Of a union pydantic tells why each branch fails. That a value is of the wrong kind is said once,
    with all branches; and not at all where it is of one branch's kind and fails there: `[1, x]` for
    a number or a list of numbers is a list with a wrong entry. A key that is missing beside an
    unknown one is most often that one, misspelt.
    """
    places = [_follow(kind, root, error["loc"][1:]) for error in errors]
    unknown = [error["loc"] for error in errors if error["type"] == _UNKNOWN]
    misspelt = {location[:-1] for location in unknown}
    of_kind: set[tuple[str | int, ...]] = set()
    wrong_kind = []
    for error, place in zip(errors, places, strict=True):
        node, (*_, last) = place.node, error["loc"]
        of_kind.update(place.path[:end] for end in range(len(place.path)))
        if error["type"] == "missing":
            if error["loc"][:-1] not in misspelt:
                yield node.error(f"missing key '{join(node.key, last)}'")
        elif error["type"] == _UNKNOWN:
            parent = _follow(kind, root, error["loc"][1:-1])
            known = known_keys(parent.annotation)
            if parent.node is root:
                known = [name for name in known if name not in given]
            yield unknown_key(node, known)
        elif error["type"] == "value_error":
            yield _refusal(node, error["ctx"]["error"])
        elif error["type"] in _OUT_OF_BOUNDS:
            yield _out_of_bounds(place)
        else:
            wrong_kind.append(place)
            continue
        of_kind.add(place.path)
    yield from (_wrong_kind(place) for place in wrong_kind if place.path not in of_kind)


def _below(kind: Any, step: str | int) -> Any:
    """The annotation of a field, of a list's entries, or of a mapping's values."""
    for branch in _branches(kind):
        if _is_dataclass(branch):
            if step in _hints(branch):
                return _hints(branch)[str(step)]
        elif get_origin(branch) is (tuple if isinstance(step, int) else dict):
            return get_args(branch)[0 if isinstance(step, int) else 1]
    return Any


def _branches(kind: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, but None; one where it is no union."""
    if get_origin(kind) is Annotated:
        return _branches(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return tuple(branch for each in get_args(kind) for branch in _branches(each))
    return () if kind is type(None) else (kind,)


def _refusal(node: Node, error: Exception) -> InvalidFile:
    """What a dataclass said at its birth, with the place of the field that it named."""
    if isinstance(error, InvalidField):
        child = node.value.get(error.field, node) if isinstance(node.value, dict) else node
        return child.error(join(node.key, str(error)))
    return node.error(str(error))


def _out_of_bounds(place: _Place) -> InvalidFile:
    value = place.node.value
    if float in _branches(place.annotation):
        with contextlib.suppress(OverflowError):
            value = float(value)  # as the dataclass would have shown it
    return _must_be(place.node, str(allowed(place.annotation) or "a finite number"), short(value))


def _wrong_kind(place: _Place) -> InvalidFile:
    value: Any = place.node.value
    shown = "empty" if value is None else _PARTS.get(type(value)) or short(value)
    kinds = dict.fromkeys(map(_kind_name, _branches(place.annotation)))
    return _must_be(place.node, " or ".join(kinds), shown)


def _must_be(node: Node, expected: str, shown: str) -> InvalidFile:
    return node.error(f"{node.key or 'the file'} must be {expected}, not {shown}")


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}
_PARTS: dict[Any, str] = {list: "a list", dict: "a mapping"}


def _kind_name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"one of {', '.join(kind)}"
    return _KINDS.get(kind) or ("a list" if origin is tuple else "a mapping of keys")
