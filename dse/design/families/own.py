"""A family of one's own: a Python file that a study names, `space: {family: my_net.py}`.

    from dse.design.families.own import Axis, Block, Chosen, block_family

    def blocks(chosen: Chosen) -> list[Block]: ...

    FAMILY = block_family(name="mine", axes={...}, blocks=blocks)

The file is a program, trusted like any other that a person starts: it is executed where its study
is opened. Its text stands in the study's record (`resolved.yaml`), so that every process and
machine that reads the study has the same family, wherever the file went; that it has changed is
seen when the study is resumed. Hence it is one file: it imports what is installed, nothing beside
it.

`block_family` needs the blocks of a network and its axes; all that a space, a search and a sweep
ask besides follows. `residual_family` is a table of defaults, and `Family` itself takes any
functions (`family.py` says what they owe). Whichever it is, `read_family` tries the network of the
defaults and small changes of it: what would make a sweep and a design disagree is refused there,
with file and line, and not found in a frontier.
"""

import ast
import dataclasses
import functools
import itertools
import linecache
import re
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from cost_models.content import read_text
from dse.design.families import mixing
from dse.design.families.family import (
    BLOCKS,
    Axis,
    Family,
    Part,
    Source,
    Value,
    Values,
    features_as_bins,
    unnamed,
)
from dse.design.families.residual import residual_family
from dse.design.mixer import DENSE, IDENTITY, SEEDED_KINDS, Mixer
from dse.design.point import INPUT_BITS, Block, Head, check_block
from dse.errors import InvalidDesign, InvalidFile, InvalidInput, short, steers

__all__ = [
    "DENSE",
    "IDENTITY",
    "MIXING",
    "Axis",
    "Block",
    "Chosen",
    "Family",
    "Mixer",
    "Part",
    "block_family",
    "family_from_text",
    "kind_axis",
    "read_family",
    "residual_family",
]

MIXING = mixing.AXES
"""Axes of mixing layers (density, generator, rank, ...), for families that have places for them."""

ENDING = ".py"
"""Of a family's file: any other word names a family of the library."""
MOST_BYTES = 100_000
RESERVED = ("family", "in_channels")
"""Keys of a space that are no axes."""
_DEFINED = "FAMILY"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OF_BLOCK = re.compile(r".*_b\d+")


# --- a family from its blocks


@dataclass(frozen=True, slots=True)
class Chosen:
    """The values of a network: `chosen("channels")`, or of one block, `chosen("channels", 2)`."""

    family: Family
    values: Mapping[str, Value]

    def __call__(self, axis: str, block: int | None = None) -> Any:
        """What was chosen of an axis, or its default."""
        return self.family.get(self.values, axis, block)

    def mixer(self, axis: str, block: int | None = None) -> Mixer:
        """The mixing layer whose kind an axis chooses, with its sizes."""
        kind: Any = str(self(axis, block))
        return mixing.build_mixer(self.values, kind, block)


def kind_axis(text: str, *, per_block: bool = False, default: str = "dense") -> Axis:
    """An axis that chooses the kind of a mixing layer.

    Args:
        text: what it is of, for people.
        per_block: it may be given for one block.
        default: where nobody says.
    """
    return Axis(
        default=default,
        options=mixing.PLACE_KINDS,
        per_block=per_block,
        decides=True,
        help=text,
    )


def block_family(
    *,
    name: str,
    axes: Mapping[str, Axis],
    blocks: Callable[[Chosen], Sequence[Block]],
    default: str = "",
    head: Head = "pooled",
    places: tuple[str, ...] = (),
    matters: Callable[[str, Mapping[str, Value]], bool] | None = None,
    named: Callable[[str], Values | None] = unnamed,
    features: int = 64,
    width: str = "channels",
    over_bins: bool = False,
) -> Family:
    """A family from the blocks of its networks.

    Args:
        name: letters, digits and `_`.
        axes: in the order in which they are decided; `blocks` numbers blocks where any axis may be
            given for one block (`Axis.per_block`).
        blocks: of the network of chosen values, in their order.
        default: what the network is where all axes stand at their defaults, for people.
        head: of all its networks.
        places: axes that choose the kind of a mixing layer (`kind_axis`).
        matters: (axis, values of those before it) -> whether it changes the network; asked besides
            what is known: axes of blocks that are not there, and of mixing layers (`MIXING`) that
            no place has, change nothing.
        named: see `Family`.
        features: a frame, where nobody says.
        width: the axis that a budget solves.
        over_bins: features are bins of one channel, over which convolutions move as over frames
            (`Block.kernel_bins`), and not channels.
    """

    def kinds(values: Mapping[str, Value], block: int | None = None) -> set[Any]:
        numbers = [None, *_numbers(family, values)] if block is None else [block]
        found = {
            str(family.get(values, place, number if axes[place].per_block else None))
            for place in places
            for number in numbers
        }
        return {kind.removeprefix("identity_or_") for kind in found} - {"dense", "none", "identity"}

    def matter(axis: str, values: Mapping[str, Value]) -> bool:
        base, block = family.split(axis)
        if block is not None and block > int(family.get(values, BLOCKS)):
            return False
        if base in mixing.AXES and not mixing.matters(base, values, kinds(values, block)):
            return False
        return matters is None or matters(axis, values)

    @functools.lru_cache(maxsize=1_024)  # each part of a network asks for the same row
    def row_of(items: tuple[tuple[str, Value], ...]) -> tuple[Block, ...]:
        return tuple(blocks(Chosen(family, dict(items))))

    def part(values: Mapping[str, Value], index: int, in_channels: int) -> Part:
        row = row_of(tuple(values.items()))
        before = row[:index]
        bins = features_as_bins(name, in_channels) if over_bins else 1
        reads = before[-1].out_channels if before else in_channels // bins
        bits = before[-1].activation_bits if before else INPUT_BITS
        strides = tuple(block.stride for block in before)
        for block in before:
            bins = block.out_bins(bins)
        if index == len(row):
            return Part(head, reads, strides, in_bits=bits, in_bins=bins)
        check_block(row[index], reads)
        seeded = "ternary_seed" in axes and not SEEDED_KINDS.isdisjoint(kinds(values))
        seed = int(family.get(values, "ternary_seed")) if seeded else 1
        return Part(row[index], reads, strides, seed, bits, bins)

    family: Family = Family(
        name=name,
        default=default or f"the defaults of {name}",
        axes={key: _tried(key, axis, axes, places) for key, axis in axes.items()},
        matters=matter,
        parts=lambda values: len(row_of(tuple(values.items()))) + 1,
        part=part,
        head=head,
        places=places,
        named=named,
        features=features,
        width=width,
    )
    return family


def _numbers(family: Family, values: Mapping[str, Value]) -> range:
    return range(1, int(family.get(values, BLOCKS)) + 1) if BLOCKS in family.axes else range(0)


def _tried(name: str, axis: Axis, axes: Mapping[str, Axis], places: tuple[str, ...]) -> Axis:
    """An axis as it is tried: those of mixing layers beside the kind that has them."""
    if name in places or name == BLOCKS:
        axis = dataclasses.replace(axis, decides=True)
    if name not in mixing.AXES:
        return axis
    beside = {key: value for key, value in axis.beside.items() if key in axes}
    kind = axis.beside.get("block_mixer", "ternary")
    beside |= {place: kind for place in places[:1] if kind in (axes[place].options or ())}
    return dataclasses.replace(axis, beside=beside)


class FamilyFailed(InvalidDesign):
    """A function of a person's own family raised, or gave what it may not give."""


# --- a family from its file


def read_family(path: Path) -> Family:
    """The family that a Python file defines.

    Raises:
        InvalidFile: the file cannot be read or executed, defines no family, or one that contradicts
            itself; with file and line.
    """
    text = read_text(path, MOST_BYTES, "a Python file that defines a family").replace("\r\n", "\n")
    return family_from_text(path.name, text)


@functools.lru_cache(maxsize=64)  # a study is opened many times, and a family is itself
def family_from_text(file: str, text: str) -> Family:
    """The family that the text of a Python file defines; equal texts give the same object.

    Args:
        file: its name without folders.
        text: of it.

    Raises:
        InvalidFile: as `read_family`.
    """
    source = Source(file, text)
    if steers(text):
        raise InvalidFile(f"{file} has control characters: save it as plain text")
    found, line = _execute(source)
    if not isinstance(found, Family):
        raise InvalidFile(
            f"{_DEFINED} is {short(found)}, and must be a family: what block_family, "
            f"residual_family or Family makes ({file}:{line})"
        )
    family = _guarded(found, source)
    try:
        _check(family)
    except InvalidInput as error:
        where = "" if f"({file}:" in str(error) else f" ({file}:{line})"
        raise InvalidFile(f"family {family.name}: {error}{where}") from error
    return family


def _execute(source: Source) -> tuple[Any, int]:
    """What a file defines as its family, and on which line."""
    name = _module_name(source)
    try:
        tree = ast.parse(source.text, name)
        code = compile(tree, name, "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or str(error)
        raise InvalidFile(f"no Python: {reason} ({source.file}:{line})") from None
    line = next((node.lineno for node in tree.body if _DEFINED in _targets(node)), 0)
    if not line:
        raise InvalidFile(
            f"it defines no {_DEFINED}: end it with {_DEFINED} = block_family(...) "
            f"({source.file}:1)"
        )
    module = types.ModuleType(name)
    linecache.cache[name] = (len(source.text), None, source.text.splitlines(True), name)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InvalidFile(_say("it cannot be executed", error, source)) from error
    return module.__dict__.get(_DEFINED), line


def _module_name(source: Source) -> str:
    return f"<family {source.file} {source.digest}>"


def _targets(node: ast.stmt) -> list[str]:
    """Names that a statement assigns to."""
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _say(what: str, error: BaseException, source: Source) -> str:
    """An exception of a family's own code as one sentence, with the line that it comes from."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _module_name(source):
            line = trace.tb_lineno
        trace = trace.tb_next
    words = " ".join(str(error).split()) or "no reason"
    remedy = ""
    if isinstance(error, ImportError):
        remedy = ": a family is one file, which imports installed packages only"
    where = f"{source.file}:{line}" if line else source.file
    kind = "" if isinstance(error, InvalidInput) else f"{type(error).__name__}: "
    return f"{what}: {kind}{words[:300]}{remedy} ({where})"


def _guarded(family: Family, source: Source) -> Family:
    """The family whose functions, where they fail, say so in one sentence with their line."""

    def guard(
        name: str, function: Callable[..., Any], right: Callable[[Any], bool], words: str
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            try:
                found = function(*arguments)
            except InvalidInput:
                raise
            except Exception as error:
                raise FamilyFailed(_say(f"'{name}' failed", error, source)) from error
            if not right(found):
                raise FamilyFailed(
                    f"'{name}' must give {words}, not {short(found)} ({source.file})"
                )
            return found

        return call

    return dataclasses.replace(
        family,
        source=source,
        matters=guard("matters", family.matters, _is(bool), "true or false"),
        parts=guard("parts", family.parts, _is(int), "a whole number"),
        part=guard("part", family.part, _is(Part), "a Part"),
        reach=guard("reach", family.reach, _is(Collection), "numbers of parts"),
        named=guard(
            "named", family.named, lambda found: found is None or isinstance(found, dict), "axes"
        ),
    )


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, kind)


# --- what would make a sweep and a design disagree


def _check(family: Family) -> None:
    """Raise `InvalidDesign` if a family contradicts itself, as far as small changes show it."""
    from dse.design.families import FAMILIES

    if not _NAME.fullmatch(str(family.name)) or family.name in FAMILIES:
        raise InvalidDesign(
            "a family's name has small letters, digits and '_', and is none of "
            f"{', '.join(FAMILIES)}, not {short(family.name)}"
        )
    if family.head not in get_args(Head):
        raise InvalidDesign(f"head must be pooled or framewise, not {short(family.head)}")
    for name, axis in family.axes.items():
        _check_axis(family, name, axis)
    for name in (
        *family.places,
        *(place for axis in family.axes.values() for place in axis.beside),
    ):
        if name not in family.axes:
            raise InvalidDesign(f"'{name}' stands among places or beside an axis, and is no axis")
    for base in _bases(family):
        before = _check_parts(family, base)
        for name, value in _changes(family, base) if before else ():
            _check_reach(family, base, before, name, value)


def _check_axis(family: Family, name: str, axis: Any) -> None:
    if not isinstance(axis, Axis):
        raise InvalidDesign(f"axis '{name}' must be an Axis, not {short(axis)}")
    if not _NAME.fullmatch(name) or name in RESERVED or _OF_BLOCK.fullmatch(name):
        raise InvalidDesign(
            f"no axis may be called '{name}': names have small letters, digits and '_', and are "
            f"none of {', '.join(RESERVED)} and none such as channels_b2, which is a block's own"
        )
    if axis.per_block and BLOCKS not in family.axes:
        raise InvalidDesign(
            f"axis '{name}' is per_block, and there is no axis '{BLOCKS}' that numbers them"
        )
    for value in (axis.default, *axis.of_blocks):
        family.check(name, value)


def _bases(family: Family) -> Iterator[Values]:
    """The defaults, and another value of each axis that decides."""
    yield {}
    for name, axis in family.axes.items():
        if axis.decides and family.matters(name, axis.beside):
            for value in itertools.islice(_others(axis), 1):
                yield {**axis.beside, name: value}


def _changes(family: Family, base: Values) -> Iterator[tuple[str, Value]]:
    for name, axis in family.axes.items():
        for each in (name, f"{name}_b1") if axis.per_block else (name,):
            if axis.decides or name in base or not family.matters(each, base):
                continue
            for value in itertools.islice(_others(axis), 1):
                yield each, value


def _others(axis: Axis) -> Iterator[Value]:
    """Values near the default of an axis, without it; none of names without end."""
    if axis.pattern:
        return
    if axis.options is not None:
        yield from (value for value in axis.options if value != axis.default)
        return
    default: Any = axis.default
    tried = [default + 1 + axis.odd, 2 * default + axis.odd, default - 1 - axis.odd]
    if isinstance(default, float):
        tried = [default / 2, default / 2 + 0.5]
    most = float("inf") if axis.maximum is None else axis.maximum
    yield from (value for value in tried if axis.minimum <= value <= most and value != default)


def _parts_of(family: Family, values: Values) -> list[Part]:
    """All parts, without the dropout, of which no cost depends."""
    found = []
    for index in range(family.parts(values)):
        part = family.part(values, index, family.features)
        if isinstance(part.content, Block):
            part = dataclasses.replace(part, content=dataclasses.replace(part.content, dropout=0.0))
        found.append(part)
    return found


def _check_parts(family: Family, values: Values) -> list[Part]:
    """Each part reads what those before it make: a sweep believes it, a design is asked.

    Returns:
        The parts; none where the values fit no network.
    """
    try:
        point = family.build(values)
    except FamilyFailed:
        raise
    except InvalidInput as error:
        if values:  # some values fit no network
            return []
        raise InvalidDesign(f"its defaults make no network: {error}") from None
    reads, strides, bits, bins = point.in_channels, list[int](), INPUT_BITS, point.in_bins
    parts = _parts_of(family, values)
    for index, part in enumerate(parts):
        told = (part.in_channels, [each for each in part.strides if each != 1], part.in_bits)
        if (*told, part.in_bins) != (reads, strides, bits, bins):
            over = bins > 1 or part.in_bins > 1
            words = "(channels, strides before, bits" + (", bins)" if over else ")")
            says = (*told, part.in_bins) if over else told
            leave = (reads, strides, bits, bins) if over else (reads, strides, bits)
            raise InvalidDesign(
                f"part {index} says that it reads {words} {says}, and those before it leave {leave}"
            )
        if isinstance(part.content, Block):
            if part.ternary_seed != point.ternary_seed:
                raise InvalidDesign(f"part {index} has another ternary_seed than the first")
            reads, bits = part.content.out_channels, part.content.activation_bits
            bins = part.content.out_bins(bins)
            strides += [part.content.stride] if part.content.stride != 1 else []
    return parts


def _check_reach(family: Family, base: Values, before: list[Part], name: str, value: Value) -> None:
    """An axis changes no part but those that it reaches."""
    try:
        family.check(name, value)
        after = _parts_of(family, {**base, name: value})
    except FamilyFailed:
        raise
    except InvalidInput:
        return  # the values make no network together
    if len(before) != len(after):
        raise InvalidDesign(
            f"'{name}' changes how many parts there are: give its axis decides=True"
        )
    changed = {index for index, part in enumerate(before) if part != after[index]}
    if missed := sorted(changed - set(family.reach(name, base))):
        raise InvalidDesign(
            f"'{name}' changes part {missed[0]}, and reach does not say so: without reach, all are "
            "taken to change"
        )
