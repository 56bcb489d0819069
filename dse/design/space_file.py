"""Search spaces in YAML.

An axis is one of

    channels: 64                                a fixed value
    channels: [32, 48, 64]                      a list
    channels: {low: 16, high: 96, step: 16}     a range; both ends belong to it
    density: {low: 0.0625, high: 0.5, log: true}

and `per_block: true` in a range (or in `{values: [...]}`) lets each block have its own value.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.reading import Problems, build, read_value
from cost_models.strict_yaml import Node
from dse.design.families import DEFAULT, FAMILIES, ternary
from dse.design.families.family import BLOCKS, Axis, Family, Value, Values
from dse.design.families.own import ENDING, family_from_text, read_family
from dse.design.point import Channels
from dse.design.space import Choice, SearchSpace
from dse.errors import InvalidDesign, InvalidField, InvalidInput, short

MAX_VALUES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    low: float
    high: float
    step: float | None = None
    log: bool = False
    per_block: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    values: tuple[Any, ...]
    log: bool = False
    per_block: bool = False


def space_from_node(
    node: Node,
    *,
    in_channels: int | None = None,
    recorded: bool = False,
    folders: Sequence[Path] = (),
) -> SearchSpace:
    """Read a space from the `space` section of a study.

    Args:
        node: axis -> value, list or range, and optionally `family` and `in_channels`.
        in_channels: features per frame, where the section does not say; the family's where it is
            None.
        recorded: it is of a study that has begun, perhaps with an earlier version, which let axes
            pass that have no effect.
        folders: in which the file of a person's own family is looked for; without any, there may be
            none.

    Raises:
        InvalidFile: an unknown axis, an empty range, an end that the steps do not reach, a value
            that no network may have, an axis without effect; all of them, with file and line.
    """
    if not isinstance(node.value, dict):
        raise node.error(f"{node.key or 'space'} must be a mapping of axes")
    axes = dict(node.value)
    family = _read_family(axes.pop("family", None), folders, recorded)
    in_channels = family.features if in_channels is None else in_channels
    problems = Problems()
    with problems.part():
        if "in_channels" in axes:
            in_channels = read_value(Channels, axes.pop("in_channels"))
    read: dict[str, tuple[Choice, bool]] = {}
    for name, child in axes.items():
        with problems.part():
            read[name] = _read_axis(name, child, family)
    for name, why in family.clashes(name for name in axes if name in read):
        with problems.part():
            raise axes[name].error(why)
    problems.tell()

    def list_values(name: str) -> tuple[Value, ...]:
        """Of an axis, for all blocks and for single ones."""
        given = [each for each in read if family.split(each)[0] == name]
        values = [value for each in given for value in read[each][0].values]
        axis = family.axes.get(name) or ternary.AXES[name]
        return tuple(dict.fromkeys(values)) or (axis.default,)

    with problems.part():
        _check_generators(axes, family, list_values)
    blocks = max(map(int, list_values(BLOCKS))) if BLOCKS in family.axes else 0
    for name in axes:
        with problems.part():
            if (family.split(name)[1] or 0) > blocks:
                raise axes[name].error(
                    f"'{name}' is of a block that no design has: blocks are at most {blocks}"
                )
    with problems.part():
        _check_effects(read, axes, family, blocks)
    problems.tell()
    space = SearchSpace(_in_order(read, family, blocks), in_channels, family)
    if not recorded:
        _check_used(space, axes)
    return space


def _check_generators(
    axes: Mapping[str, Node], family: Family, list_values: Callable[[str], tuple[Value, ...]]
) -> None:
    """Refuse a density that one of the generators cannot make."""
    if "generator" not in family.axes:
        return
    try:
        ternary.check_generators(list_values)
    except InvalidDesign as error:
        where = ("density", "threshold_bits", "matrix_order", "generator")
        given = (each for name in where for each in axes if family.split(each)[0] == name)
        raise axes[next(given)].error(str(error)) from None


def _check_used(space: SearchSpace, nodes: Mapping[str, Node]) -> None:
    """Refuse axes that change no design, such as a density beside `policy: P0`.

    Raises:
        InvalidFile: names them, each with its line.
    """
    problems = Problems()
    for name in dict.fromkeys(_given(each, nodes) for each in space.unused()):
        of_ternary = name in ternary.AXES
        why = "they have no ternary matrices, or none that it is about" if of_ternary else ""
        with problems.part():
            raise nodes[name].error(
                f"'{name}' changes no design of this space{f' ({why})' if why else ''}: leave it "
                "out, or widen the axis that it depends on"
            )
    problems.tell()


def _given(name: str, nodes: Mapping[str, Node]) -> str:
    """The key of the file that an axis comes from: `channels` with `per_block` makes several."""
    return name if name in nodes else name.rpartition("_b")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """A person's own family, as a record has it."""

    file: str
    digest: str
    text: str


def _read_family(node: Node | None, folders: Sequence[Path], recorded: bool) -> Family:
    """A family of the library by its name, or a person's own by its file or from a record.

    Only a record has a program in it: a study file is also what a page of the dashboard sends.
    """
    if node is None:
        return DEFAULT
    if recorded and isinstance(node.value, dict):
        kept = build(_Recorded, node)
        family = family_from_text(kept.file, kept.text)
        if family.source is None or family.source.digest != kept.digest:
            raise node.error(f"the text of {kept.file} is not the one of its digest")
        return family
    if isinstance(node.value, str) and node.value.endswith(ENDING):
        return _read_own(node, folders)
    if not isinstance(node.value, str) or node.value not in FAMILIES:
        raise node.error(
            f"space.family must be one of {', '.join(FAMILIES)}, or a Python file that defines a "
            f"family, such as my_net.py, not {short(node.plain())}"
        )
    return FAMILIES[node.value]


def _read_own(node: Node, folders: Sequence[Path]) -> Family:
    if not folders:
        raise node.error(
            f"space.family is {short(node.value)}, and here only families of the library are read: "
            f"{', '.join(FAMILIES)}"
        )
    paths = [folders[0] / node.value, *(each / Path(node.value).name for each in folders[1:])]
    path = next((each for each in paths if each.exists()), paths[0])
    try:
        return read_family(path)
    except InvalidInput as error:
        raise node.error(f"space.family: {error}") from error


def _check_effects(
    read: Mapping[str, tuple[Choice, bool]],
    nodes: Mapping[str, Node],
    family: Family,
    blocks: int,
) -> None:
    """Refuse a key that another one makes meaningless: nobody would learn that it does nothing.

    Raises:
        InvalidFile: `channels_b2` beside `channels` for each block, `channels` beside one of each
            block, or growth from block to block of what each block has of its own.
    """
    for base, axis in family.axes.items():
        own = [name for name in read if name != base and family.split(name)[0] == base]
        each = base in read and read[base][1]
        if each and own:
            raise nodes[own[0]].error(
                f"'{own[0]}' has no effect beside '{base}' with per_block, which gives block "
                f"{family.split(own[0])[1]} its values: leave out one of them"
            )
        everywhere = axis.per_block and not axis.beyond_blocks
        if base in read and not each and everywhere and len(own) >= blocks:
            raise nodes[base].error(
                f"'{base}' has no effect beside '{own[0]}' to '{own[-1]}', which give all "
                f"{blocks} blocks their values: leave out '{base}'"
            )
        growth = f"{base}_growth"
        mine = {family.split(name)[1] for name in own}
        if growth in read and (each or 1 < blocks <= 1 + len(mine - {1})):
            raise nodes[growth].error(
                f"'{growth}' has no effect where each block has its own '{base}': leave it out"
            )


def _in_order(
    read: Mapping[str, tuple[Choice, bool]], family: Family, blocks: int
) -> tuple[Choice, ...]:
    """Axes in the family's order, whatever that of the file: what decides comes first.

    `per_block` becomes one axis a block, up to the most blocks that the space has.
    """
    choices: dict[str, Choice] = {}
    for name, (choice, per_block) in read.items():
        if per_block:
            for block in range(1, blocks + 1):
                own = f"{name}_b{block}"
                choices[own] = Choice(own, choice.values, choice.log, choice.ordered)
        else:
            choices[name] = choice
    order = {base: index for index, base in enumerate(family.axes)}

    def place(name: str) -> tuple[int, int]:
        base, block = family.split(name)
        return order[base], block or 0

    return tuple(choices[name] for name in sorted(choices, key=place))


def _read_axis(name: str, node: Node, family: Family) -> tuple[Choice, bool]:
    try:
        base, block = family.split(name)
    except InvalidDesign as error:
        raise node.error(str(error)) from None
    per_block = False
    if isinstance(node.value, dict):
        choice, per_block = _read_mapping(name, family.axes[base], node)
    else:
        raw = node.plain()
        choice = Choice(name, tuple(raw) if isinstance(raw, list) else (raw,))
    if per_block and (not family.axes[base].per_block or block is not None):
        raise node.error(f"'{name}' is one value: it cannot be per_block")
    if not choice.values:
        raise node.error(f"'{name}' has no values: list at least one")
    if len(choice.values) > MAX_VALUES:
        raise node.error(f"'{name}' has more than {MAX_VALUES:,} values: list fewer, or a range")
    _check_values(choice, node, family)
    return choice, per_block


def _read_mapping(name: str, axis: Axis, node: Node) -> tuple[Choice, bool]:
    if "values" in node.value:
        listed = build(_List, node)
        if listed.log and not all(
            isinstance(value, int | float) and value > 0 for value in listed.values
        ):
            raise node.error(f"'{name}' cannot be logarithmic: log needs numbers above 0")
        return Choice(name, listed.values, listed.log), listed.per_block
    given = build(_Range, node)
    if given.low > given.high:
        raise node.error(
            f"'{name}' is an empty range: low {given.low:g} is above high {given.high:g}"
        )
    if given.log and given.low <= 0:
        raise node.error(f"'{name}' cannot be logarithmic from {given.low:g}: low must be above 0")
    if given.log and given.step is not None:
        raise node.error(f"'{name}' cannot have both log and step: leave out one of them")
    if axis.grid:
        values = _fractions(name, given, axis.grid, node)
    else:
        values = _steps(name, given, isinstance(axis.default, int), node)
    return Choice(name, values, given.log, ordered=True), given.per_block


def _steps(name: str, given: _Range, whole: bool, node: Node) -> tuple[Value, ...]:
    if not whole and (given.step is None or given.log):
        raise node.error(f"'{name}' needs a step: {{low: ..., high: ..., step: ...}}, or a list")
    step = 1.0 if given.step is None else given.step
    if step <= 0:
        raise node.error(f"'{name}' needs a step above 0, not {step:g}")
    if whole and any(number % 1 for number in (given.low, given.high, step)):
        raise node.error(f"'{name}' takes whole numbers: low, high and step must be whole")
    count = (given.high - given.low) / step
    if abs(count - round(count)) > 1e-9:
        reached = given.low + math.floor(count) * step
        raise node.error(
            f"'{name}' never reaches its high end {given.high:g} from {given.low:g} in steps of "
            f"{step:g}: use {reached:g} or {reached + step:g}"
        )
    if count >= MAX_VALUES:
        raise node.error(f"'{name}' has more than {MAX_VALUES:,} values: use a larger step")
    # low + index * step rather than a running sum, whose error would grow from value to value.
    numbers = [given.low + index * step for index in range(round(count) + 1)]
    if whole:
        return tuple(int(number) for number in numbers)
    return tuple(round(number, 12) for number in numbers)


def _fractions(name: str, given: _Range, grid: int, node: Node) -> tuple[Value, ...]:
    """The fractions n/grid between two ends, all or every `step` of them."""
    step = (given.step or 1 / grid) * grid
    low, high = given.low * grid, given.high * grid
    for label, number in (("low", low), ("high", high), ("step", step)):
        if number % 1 or not 1 <= number <= grid:
            raise node.error(f"{name}: {label} must be n/{grid} in (0, 1], not {number / grid:g}")
    if (high - low) % step:
        raise node.error(
            f"{name} never reaches its high end {given.high:g} from {given.low:g} in steps of "
            f"{given.step:g}"
        )
    return tuple(n / grid for n in range(int(low), int(high) + 1, int(step)))


def _check_values(choice: Choice, node: Node, family: Family) -> None:
    """Every value must make a network by itself; how values go together is the point's to check."""
    name, (base, block) = choice.name, family.split(choice.name)
    axis = family.axes[base]
    if len(set(map(repr, choice.values))) != len(choice.values):
        raise node.error(f"'{name}' lists a value twice")
    if axis.odd:
        for value in choice.values:
            if isinstance(value, int) and value % 2 == 0:
                raise node.error(f"'{name}' must be odd, not {value}: use an odd low and step 2")
    for value in choice.values:
        values: Values = {**axis.beside, name: value}
        if BLOCKS in family.axes:
            values.setdefault(BLOCKS, block or 1)
        try:
            family.check(name, value)
            # Fractions depend on the generator, which is not read yet.
            if not (axis.grid or axis.of_widths):
                family.build(values)
        except InvalidDesign as error:
            raise node.error(str(error)) from None
        except InvalidField as error:
            raise node.error(f"'{name}' is refused: {error}") from None
