"""Strict YAML with lines: a file becomes `Node`s, which know where they stand.

By hand, as no library reads YAML 1.2 strictly and keeps the lines: PyYAML has the lines, YAML 1.1
and no limits; ruamel.yaml reads 1.2 and has no limits either; strictyaml reads texts only. So
libyaml and PyYAML parse, and what is ours is the table of scalars and the walk. Differences to
`yaml.safe_load`, each of which has bitten users of this field:

* duplicate keys are refused (PyYAML keeps the last of two in silence);
* booleans are `true` and `false` only, as in YAML 1.2: `words: [yes, no, on, off]` are four words;
* `1e-3` is a number, as in YAML 1.2, and `12:30`, `010` and `2020-01-31` are texts;
* bytes, nodes, levels, digits and letters of a key are bounded before anything is believed: nested
  aliases cannot fill the memory, and no number is too large for those who count with it;
* texts are without control characters: they would reach the terminal, or a file's name.

What the keys mean is for `cost_models.reading`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.resolver import Resolver

from cost_models.content import read_text
from cost_models.errors import MAX_SHOWN, InvalidFile, short

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_LEVELS = 64
"""Below each other. Files of this field have ten; readers that recurse need a bound."""
MAX_KEY = 200
"""Letters of a key: error messages repeat it."""
MAX_SENTENCE = 700
"""Letters of an error message, without its place; a list of known keys has 500."""
MAX_INTEGER = 2**64
"""Whole numbers stay below, seeds of 64 bits among them: products of several are still doubles."""


class _Loader(Composer, CParser, Resolver):
    """PyYAML's loader with the scalars of YAML 1.2 (yaml.org/spec/1.2.2, section 10.3.2).

    libyaml parses, which is some ten times faster than Python. Nodes are composed by Python: the
    composer in C recurses on the C stack, and a file of 100,000 brackets ends the process there.
    """

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        Composer.__init__(self)
        Resolver.__init__(self)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in Resolver.yaml_implicit_resolvers.items()
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


_TOO_DEEP = (
    f"not readable as YAML: more than {MAX_LEVELS} levels, or an alias within its own anchor"
)
# Of ASCII and Latin-1; marks that turn the direction of a line; halves of a pair of UTF-16, which
# no file can hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A field that is a `Node` takes anything: its owner reads it."""
        from pydantic_core import core_schema

        return core_schema.any_schema()

    def error(self, message: str) -> InvalidFile:
        """An error that ends in the place of this node.

        Messages quote the file: a word of it that nobody can read is cut, whoever quotes it, and
        so is a sentence.
        """
        readable = _LONG_WORD.sub(lambda word: f"{word[0][:MAX_SHOWN]}...", message)
        if len(readable) > MAX_SENTENCE:
            readable = f"{readable[:MAX_SENTENCE]}..."
        return InvalidFile(f"{readable} ({self.where})", self.line)


_LONG_WORD = re.compile(rf"\S{{{3 * MAX_SHOWN},}}")


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
    for ending, command in _NO_YAML.items():
        if str(path).lower().endswith(ending):
            raise InvalidFile(
                f"{path} is no YAML file: `dse import {command} {quote(str(path))}` reads it"
            )
    text = read_text(path, MAX_BYTES, "a YAML file")
    return parse_yaml(text, str(path), doubled=doubled)


_NO_YAML = {".onnx": "onnx", ".cfg": "scalesim"}
"""Endings of other files that are about, and which import takes them."""


def parse_yaml(text: str, name: str, *, doubled: list[str] | None = None) -> Node:
    """Parse YAML text; `name` stands for the file in error messages. Raises like `read_yaml`."""
    try:
        root = _Loader(text).get_single_node()
        if root is None:
            raise InvalidFile(f"the file is empty ({name}:1)")
        conversion = _Conversion(name)
        converted = conversion.node(root, "", root.start_mark.line + 1, 0)
    except RecursionError:
        raise InvalidFile(f"{_TOO_DEEP} ({name}:1)") from None
    except UnicodeEncodeError:
        raise InvalidFile(f"not readable as YAML: it is no UTF-8 text ({name}:1)") from None
    except yaml.YAMLError as error:
        raise _no_yaml(error, text, name) from None
    if doubled is not None:
        doubled += [f"{error}; the last one holds" for error in conversion.doubled]
    elif conversion.doubled:
        raise InvalidFile.of(conversion.doubled)
    return converted


_REMEDIES = (
    ("but found another document", "it has a second document (---): keep one"),
    ("undefined alias", "an alias (*name) without its anchor (&name)"),
)
"""What libyaml says of a mistake that it does not name, and what that means."""


def _no_yaml(error: yaml.YAMLError, text: str, name: str) -> InvalidFile:
    """What libyaml stumbled over, with the remedy where its words have none."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    lines = text.splitlines()
    if line <= len(lines) and re.match(r" *\t", lines[line - 1]):
        problem = "a tab as indentation: YAML takes spaces"
    problem = next((said for found, said in _REMEDIES if found in problem), problem)
    return InvalidFile(f"not readable as YAML: {problem} ({name}:{line})")


@dataclass(frozen=True, slots=True)
class _Conversion:
    """From PyYAML's nodes to ours, within a budget of nodes."""

    file: str
    doubled: list[InvalidFile] = field(default_factory=list)
    budget: Iterator[int] = field(default_factory=lambda: iter(range(MAX_NODES)))

    def node(self, node: yaml.Node, key: str, line: int, level: int) -> Node:
        """A node and all below it; `line` is its key's: an alias stands where it is used."""
        if next(self.budget, None) is None:
            raise InvalidFile(
                f"more than {MAX_NODES:,} YAML nodes, aliases expanded ({self.file}:{line})"
            )
        if level > MAX_LEVELS:
            raise InvalidFile(f"{_TOO_DEEP} ({self.file}:{line})")
        value: Any
        if isinstance(node, yaml.MappingNode):
            value = {}
            for key_node, value_node in node.value:
                child_line = key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode):
                    raise InvalidFile(f"a key must be a plain word ({self.file}:{child_line})")
                name = self._key(str(key_node.value), child_line)
                if name == "<<" and not key_node.style:
                    raise InvalidFile(
                        "merge keys (<<) are of YAML 1.1 and not read: write the keys out "
                        f"({self.file}:{child_line})"
                    )
                child = self.node(value_node, join(key, name), child_line, level + 1)
                if name in value:
                    first = f"it already stands on line {value[name].line}"
                    self.doubled.append(child.error(f"duplicate key '{child.key}': {first}"))
                value[name] = child
        elif isinstance(node, yaml.SequenceNode):
            value = [
                self.node(child, f"{key}[{index}]", child.start_mark.line + 1, level + 1)
                for index, child in enumerate(node.value)
            ]
        else:
            value = self._scalar(node, line)
        return Node(value=value, file=self.file, line=line, key=key)

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        # 64 bits have 20 digits; Python refuses to read thousands.
        if node.tag == "tag:yaml.org,2002:int" and len(node.value) > 100:
            raise self._too_large(node, line)
        try:
            value = SafeConstructor().construct_object(node)
        # What tags of a file's own lead to: `!!bool maybe` is a KeyError, `!!int ""` an IndexError.
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError):
            value = ()
        if isinstance(value, str):
            return self._text(value, line)
        if not (value is None or isinstance(value, bool | int | float)):
            raise InvalidFile(f"cannot read the value {short(node.value)} ({self.file}:{line})")
        if isinstance(value, int) and abs(value) >= MAX_INTEGER:
            raise self._too_large(node, line)
        return value

    def _too_large(self, node: yaml.Node, line: int) -> InvalidFile:
        return InvalidFile(
            f"the whole number {short(node.value)} is too large: numbers stay below 2^64, "
            f"{MAX_INTEGER:,} ({self.file}:{line})"
        )

    def _key(self, text: str, line: int) -> str:
        """A key, which error messages repeat: one short line."""
        name = self._text(text, line)
        if len(name) > MAX_KEY:
            raise InvalidFile(
                f"the key {short(name)} is too long: it has {len(name):,} letters, and {MAX_KEY} "
                f"are allowed ({self.file}:{line})"
            )
        if "\t" in name or "\n" in name:
            raise InvalidFile(f"the key {short(name)} has a tab or a new line ({self.file}:{line})")
        return name

    def _text(self, text: str, line: int) -> str:
        """A text without control characters, new lines and tabs excepted."""
        control = _CONTROL.search(text)
        if control is not None:
            raise InvalidFile(
                f"the text {short(text)} has the control character {control[0]!r}: leave it out "
                f"({self.file}:{line})"
            )
        return text


def join(parent: str, name: str) -> str:
    """The dotted path of a key."""
    return f"{parent}.{name}" if parent else name
