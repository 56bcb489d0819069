"""Search spaces in YAML.

An axis is one of

    channels: 64                                a fixed value
    channels: [32, 48, 64]                      a list
    channels: {low: 16, high: 96, step: 16}     a range; both ends belong to it
    density: {low: 0.0625, high: 0.5, log: true}

and `per_block: true` in a range (or in `{values: [...]}`) lets each block have its own value.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cost_models.strict_yaml import Node, build
from dse.design.families.matchboxnet import (
    AXES,
    MAX_BLOCKS,
    MIXER_AXES,
    TERNARY_AXES,
    Value,
    matchboxnet,
    split_name,
)
from dse.design.space import Choice, SearchSpace, Values
from dse.errors import InvalidDesign, InvalidField
from dse.ternary.generators import as_generator
from dse.ternary.generators.choice import PARAMETERS
from dse.ternary.matrix import DENSITY_STEPS, check_density

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


def space_from_node(node: Node, *, in_channels: int = 64) -> SearchSpace:
    """Read a space from the `space` section of a study.

    Args:
        node: axis -> value, list or range, and optionally `family` and `in_channels`.
        in_channels: features per frame, where the section does not say.

    Raises:
        InvalidFile: an unknown axis, an empty range, an end that the steps do not reach, a value
            that no network may have; with file and line.
    """
    if not isinstance(node.value, dict):
        raise node.error(f"{node.key or 'space'} must be a mapping of axes")
    axes = dict(node.value)
    family = axes.pop("family", None)
    if family is not None and family.value != "matchboxnet":
        raise family.error(f"space.family must be matchboxnet, not {family.value!r}")
    if "in_channels" in axes:
        in_channels = axes.pop("in_channels").value
    read: dict[str, tuple[Choice, bool]] = {}
    for name, child in axes.items():
        read[name] = _read_axis(name, child)
    if "policy" in axes:
        for name in axes:
            if split_name(name)[0] in MIXER_AXES:
                raise axes[name].error(
                    f"'policy' chooses all mixers and skips: leave out 'policy' or '{name}'"
                )
    _check_generators(read, axes)
    most = max(int(value) for value in _values_of(read, "blocks"))
    for name in axes:
        if (split_name(name)[1] or 0) > most:
            raise axes[name].error(
                f"'{name}' is of a block that no design has: blocks are at most {most}"
            )
    return SearchSpace(_in_order(read), in_channels)


def _check_generators(read: Mapping[str, tuple[Choice, bool]], axes: Mapping[str, Node]) -> None:
    """Every generator of the space must be able to make every density of it."""
    if "fan_in" in read and "generator" in read:
        raise axes["fan_in"].error(
            "'fan_in' is the older name of 'generator': leave out one of them"
        )
    names = _values_of(read, "fan_in" if "fan_in" in read else "generator")
    node = next((axes[name] for name in ("density", "threshold_bits") if name in axes), None)
    for name, density, bits in itertools.product(
        names, _values_of(read, "density"), _values_of(read, "threshold_bits")
    ):
        generator = as_generator(str(name))
        if generator.family in PARAMETERS["threshold_bits"]:
            generator = dataclasses.replace(generator, threshold_bits=int(bits))
        try:
            check_density(float(density), generator)
        except InvalidDesign as error:
            where = node or axes["fan_in" if "fan_in" in axes else "generator"]
            raise where.error(f"{error} (or leave out {name})") from None


def _values_of(read: Mapping[str, tuple[Choice, bool]], name: str) -> tuple[Value, ...]:
    return read[name][0].values if name in read else (AXES[name].default,)


def _in_order(read: Mapping[str, tuple[Choice, bool]]) -> tuple[Choice, ...]:
    blocks = max(int(value) for value in _values_of(read, "blocks"))
    choices: dict[str, Choice] = {}
    for name, (choice, per_block) in read.items():
        if per_block:
            for block in range(1, blocks + 1):
                own = f"{name}_b{block}"
                choices[own] = Choice(own, choice.values, choice.log, choice.ordered)
        else:
            choices.setdefault(name, choice)
    order = {base: index for index, base in enumerate(AXES)}

    def place(name: str) -> tuple[int, int]:
        base, block = split_name(name)
        return order[base], block or 0

    return tuple(choices[name] for name in sorted(choices, key=place))


def _read_axis(name: str, node: Node) -> tuple[Choice, bool]:
    try:
        base, block = split_name(name)
    except InvalidDesign as error:
        raise node.error(str(error)) from None
    per_block = False
    if isinstance(node.value, dict):
        choice, per_block = _read_mapping(name, base, node)
    else:
        raw = node.plain()
        choice = Choice(name, tuple(raw) if isinstance(raw, list) else (raw,))
    if per_block and (not AXES[base].per_block or block is not None):
        raise node.error(f"'{name}' is one value: it cannot be per_block")
    if not choice.values:
        raise node.error(f"'{name}' has no values: list at least one")
    _check_values(name, choice, node)
    return choice, per_block


def _read_mapping(name: str, base: str, node: Node) -> tuple[Choice, bool]:
    if "values" in node.value:
        listed = build(_List, node)
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
    if base == "density":
        values = _density_values(given, node)
    else:
        values = _grid(name, given, isinstance(AXES[base].default, int), node)
    return Choice(name, values, given.log, ordered=True), given.per_block


def _grid(name: str, given: _Range, whole: bool, node: Node) -> tuple[Value, ...]:
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
    numbers = [given.low + index * step for index in range(round(count) + 1)]
    if whole:
        return tuple(int(number) for number in numbers)
    return tuple(round(number, 12) for number in numbers)


def _density_values(given: _Range, node: Node) -> tuple[Value, ...]:
    """The densities of the generator between two ends: n/256, or every `step` of it."""
    step = (given.step or 1 / DENSITY_STEPS) * DENSITY_STEPS
    low, high = given.low * DENSITY_STEPS, given.high * DENSITY_STEPS
    for label, number in (("low", low), ("high", high), ("step", step)):
        if number % 1 or not 1 <= number <= DENSITY_STEPS:
            raise node.error(
                f"density: {label} must be n/{DENSITY_STEPS} in (0, 1], not "
                f"{number / DENSITY_STEPS:g}"
            )
    if (high - low) % step:
        raise node.error(
            f"density never reaches its high end {given.high:g} from {given.low:g} in steps of "
            f"{given.step:g}"
        )
    return tuple(n / DENSITY_STEPS for n in range(int(low), int(high) + 1, int(step)))


def _check_values(name: str, choice: Choice, node: Node) -> None:
    """Every value must make a network; a kernel with its growth is checked at the point."""
    if len(set(map(repr, choice.values))) != len(choice.values):
        raise node.error(f"'{name}' lists a value twice")
    base, _ = split_name(name)
    if base in ("kernel", "prologue_kernel", "epilogue_kernel"):
        for value in choice.values:
            if isinstance(value, int) and value % 2 == 0:
                raise node.error(f"'{name}' must be odd, not {value}: use an odd low and step 2")
    for value in choice.values:
        values: Values = {name: value}
        if base != "blocks":
            values["blocks"] = MAX_BLOCKS if name != base else 1
        if base == "density":
            continue  # with the generators, once all axes are read
        if base in TERNARY_AXES:
            values["policy"] = "P4"
            if base in ("rounds", "threshold_bits"):
                values |= {"generator": "counter_arx", "density": 0.5}
        try:
            matchboxnet(values)
        except InvalidDesign as error:
            raise node.error(str(error)) from None
        except InvalidField as error:
            raise node.error(f"'{name}' is refused: {error}") from None
