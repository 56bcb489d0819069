"""Strict YAML: a file becomes frozen dataclasses, or one sentence that names file, line and key.

Differences to `yaml.safe_load`, each of which has bitten users of this field:

* unknown and duplicate keys are refused (PyYAML keeps the last of two in silence);
* booleans are `true` and `false` only, as in YAML 1.2: `words: [yes, no, on, off]` are four words;
* `1e-3` is a number, as in YAML 1.2, and `12:30`, `010` and `2020-01-31` are texts;
* size and number of nodes are bounded, so that nested aliases cannot fill the memory.
"""

import contextlib
import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from cost_models.errors import InvalidField, InvalidFile, InvalidInput

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_SHOWN = 80
"""Characters of a wrong value in an error message."""

OURS = "ours"
"""In the metadata of a field: it is ours, not the file's."""

T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2 (https://yaml.org/spec/1.2.2/, section 10.3.2)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    # A leading zero would mean octal to PyYAML and nothing to YAML 1.2: it is left a text.
    re.compile(r"^(?:[-+]?(?:0|[1-9][0-9_]*)|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|\.[0-9]+|[0-9]+\.[0-9]*"
        r"|\.inf|\.Inf|\.INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A value read from YAML and the place where it stands."""

    value: Any  # a scalar, a dict of key -> Node, or a list of Nodes
    file: str  # name of the file as the person gave it
    line: int  # 1-based
    key: str  # dotted path from the root; '' for the root itself

    @property
    def where(self) -> str:
        """`file:line`, for the end of a sentence."""
        return f"{self.file}:{self.line}"

    def plain(self) -> Any:
        """The value without places: nested dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def error(self, message: str) -> InvalidFile:
        """An error that ends in the place of this node."""
        return InvalidFile(f"{message} ({self.where})")


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes the texts that `_Loader` would read as numbers, such as 1e5."""


_Dumper.yaml_implicit_resolvers = {
    first: [
        *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
        *_Loader.yaml_implicit_resolvers.get(first, []),
    ]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
}


def dump_yaml(plain: Any) -> str:
    """Plain data as YAML that `parse_yaml` reads back unchanged."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(path: Path | str, *, doubled: list[str] | None = None) -> Node:
    """Read a YAML file.

    Args:
        path: a file of at most `MAX_BYTES` bytes, UTF-8.
        doubled: where it is given, the last of two equal keys holds, as in PyYAML, and the list
            gets a sentence about it; for files of other tools.

    Returns:
        The root node.

    Raises:
        InvalidFile: the file is missing, unreadable, too large, not UTF-8 or not YAML, or has a
            duplicate key.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise InvalidFile(f"{path} is {kind}: name a YAML file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InvalidFile(f"{path} is too large: a YAML file has at most {MAX_BYTES:,} bytes")
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise InvalidFile(f"{path} does not exist: check the name, or create the file") from None
    except PermissionError:
        raise InvalidFile(f"{path} may not be read: check its permissions") from None
    except OSError as error:
        raise InvalidFile(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None
    return parse_yaml(text, str(path), doubled=doubled)


def parse_yaml(text: str, name: str, *, doubled: list[str] | None = None) -> Node:
    """Parse YAML text; `name` stands for the file in error messages. Raises like `read_yaml`."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None:
            raise InvalidFile(f"the file is empty ({name}:1)")
        return _convert(root, name, "", iter(range(MAX_NODES)), doubled)
    except RecursionError:
        raise InvalidFile(
            f"not readable as YAML: too many levels, or an alias within its own anchor ({name}:1)"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InvalidFile(f"not readable as YAML: {problem} ({name}:{line})") from None


def _convert(
    node: yaml.Node, file: str, key: str, budget: Iterator[int], doubled: list[str] | None
) -> Node:
    line = node.start_mark.line + 1
    if next(budget, None) is None:
        raise InvalidFile(f"more than {MAX_NODES:,} YAML nodes, aliases expanded ({file}:{line})")
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise InvalidFile(f"a key must be a plain word ({file}:{line})")
            name = str(key_node.value)
            key_line = key_node.start_mark.line + 1
            if name in value:
                message = (
                    f"duplicate key '{_join(key, name)}': it already stands on line "
                    f"{value[name].line} ({file}:{key_line})"
                )
                if doubled is None:
                    raise InvalidFile(message)
                doubled.append(f"{message}; the last one holds")
            child = _convert(value_node, file, _join(key, name), budget, doubled)
            # An alias is reported where it is used, not where its anchor stands.
            value[name] = dataclasses.replace(child, line=key_line)
    elif isinstance(node, yaml.SequenceNode):
        value = [
            _convert(child, file, f"{key}[{index}]", budget, doubled)
            for index, child in enumerate(node.value)
        ]
    else:
        value = _scalar(node, file, line)
    return Node(value=value, file=file, line=line, key=key)


def _scalar(node: yaml.Node, file: str, line: int) -> Any:
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError):
        raise InvalidFile(f"cannot read the value {_short(node.value)} ({file}:{line})") from None
    finally:
        loader.dispose()


def _join(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


def build(cls: type[T], node: Node, **given: Any) -> T:
    """Build a dataclass from a mapping, checking keys and types.

    Fields are read by their annotation: `bool`, `int`, `float` (an int is accepted), `str`,
    `Literal`, `X | None`, `tuple[X, ...]`, `dict[str, X]`, another dataclass, or `Node` for a part
    that the caller reads itself.

    Args:
        cls: a dataclass; its fields with `OURS` in their metadata are not read.
        node: the mapping.
        given: fields that do not come from the file.

    Raises:
        InvalidFile: a key is unknown or missing, a type is wrong, or the dataclass refuses a value.
    """
    if not isinstance(node.value, dict):
        raise node.error(
            f"{node.key or 'the file'} must be a mapping of keys, not {_name(node.value)}"
        )
    fields = {
        field.name: field
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.init and field.name not in given and not field.metadata.get(OURS)
    }
    refuse_unknown_keys(node, fields)
    hints = typing.get_type_hints(cls)
    values = dict(given)
    for name, field in fields.items():
        if name in node.value:
            values[name] = read_value(hints[name], node.value[name])
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise node.error(f"missing key '{_join(node.key, name)}'")
    try:
        return cls(**values)
    except InvalidField as error:
        child = node.value.get(error.field, node)
        raise child.error(_join(node.key, str(error))) from None
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise node.error(str(error)) from None


def refuse_unknown_keys(node: Node, known: Mapping[str, Any]) -> None:
    """Raise `InvalidFile` for the first key of a mapping that is not in `known`."""
    for name, child in node.value.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise child.error(
                f"unknown key '{child.key}': {hint}known keys here are {', '.join(known)}"
            )


def read_value(kind: Any, node: Node) -> Any:
    """The value of `node` as the annotated type `kind`. Raises `InvalidFile` if it is another."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Node:
        return node
    if kind is Any:
        return node.plain()
    if origin in (Union, types.UnionType):
        if node.value is None and type(None) in arguments:
            return None
        kinds = [argument for argument in arguments if argument is not type(None)]
        return _read_any_of(kinds, node)
    if origin is Literal:
        # type(): `true` equals 1, but is not the number one.
        if not any(
            node.value == argument and type(node.value) is type(argument) for argument in arguments
        ):
            raise _wrong(node, f"one of {', '.join(map(str, arguments))}")
        return node.value
    if origin is tuple:
        if not isinstance(node.value, list):
            raise _wrong(node, "a list")
        return tuple(read_value(arguments[0], child) for child in node.value)
    if origin is dict:
        if not isinstance(node.value, dict):
            raise _wrong(node, "a mapping of keys")
        return {key: read_value(arguments[1], child) for key, child in node.value.items()}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if node.value not in list(kind):
            raise _wrong(node, f"one of {', '.join(kind)}")
        return kind(node.value)
    if dataclasses.is_dataclass(kind):
        return build(kind, node)  # type: ignore[arg-type]
    return _read_scalar(kind, node)


def _read_any_of(kinds: list[Any], node: Node) -> Any:
    if len(kinds) == 1:
        return read_value(kinds[0], node)
    for kind in kinds:
        try:
            return read_value(kind, node)
        except InvalidFile:
            continue
    raise _wrong(node, " or ".join(_kind_name(kind) for kind in kinds))


def _read_scalar(kind: Any, node: Node) -> Any:
    value = node.value
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value)
    if kind is str and isinstance(value, str):
        return value
    raise _wrong(node, _kind_name(kind))


def _kind_name(kind: Any) -> str:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
    }
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _wrong(node: Node, expected: str) -> InvalidFile:
    return node.error(f"{node.key or 'the file'} must be {expected}, not {_name(node.value)}")


def _name(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "empty" if value is None else _short(value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        return "a number of too many digits"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
