"""Axes of generated matrices: their density and generator (`mixing` has those of all kinds)."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast, get_args

from dse.design.families.family import Axis, Value
from dse.errors import InvalidDesign
from dse.ternary.generators import FAMILIES, REGISTERS, Generator, Signs, as_generator, has
from dse.ternary.matrix import DENSITY_STEPS, check_density
from dse.ternary.order import PATTERN, ROWS, read_order

_TERNARY: dict[str, Value] = {"policy": "P4"}
_COUNTER: dict[str, Value] = {"policy": "P4", "generator": "counter_arx", "density": 0.5}

AXES: dict[str, Axis] = {
    "density": Axis(
        default=0.25,
        minimum=float("-inf"),  # the generator says which it can make
        grid=DENSITY_STEPS,
        per_block=True,
        beyond_blocks=True,
        help="share of non-zero ternary entries",
    ),
    "generator": Axis(
        default="lfsr_threshold",
        options=tuple(FAMILIES),
        decides=True,
        beside=_TERNARY,
        help="what makes them",
    ),
    "state_bits": Axis(
        default=127, options=tuple(REGISTERS), beside=_TERNARY, help="of a shift register"
    ),
    "threshold_bits": Axis(
        default=8, beside=_COUNTER, help="k of generators that make densities n/2^k"
    ),
    "matrix_order": Axis(
        default=ROWS,
        pattern=PATTERN,
        words=f"{ROWS}, or rows x columns of a tile such as 4x32",
        beside=_TERNARY,
        help="in which order a shift register makes a matrix: rows, or tiles such as 4x32",
    ),
    "rounds": Axis(default=6, beside=_COUNTER, help="of generators with a counter, at least 6"),
    "signs": Axis(
        default="random",
        options=get_args(Signs),
        beside=_TERNARY | {"generator": "one_hot"},
        help="of one_hot: balanced rows add as many inputs as they subtract",
    ),
    "ternary_seed": Axis(
        default=1, minimum=0, beside=_TERNARY, help="seed of all ternary matrices"
    ),
}


_PARAMETERS = {
    "state_bits": "taps",
    "threshold_bits": "threshold_bits",
    "matrix_order": "tile",
    "rounds": "rounds",
    "signs": "signs",
}
"""Axis -> the generator's parameter that it sets."""


def matters(axis: str, values: Mapping[str, Value]) -> bool:
    """Whether one of these axes matters to a network that has ternary matrices."""
    parameter = _PARAMETERS.get(axis)
    return parameter is None or has(_family(values), parameter)


def build_generator(values: Mapping[str, Value]) -> Generator:
    """The generator that the axes describe; those of other families do not matter."""
    whole = (int(_get(values, axis)) for axis in ("state_bits", "threshold_bits", "rounds"))
    names = (str(_get(values, axis)) for axis in ("matrix_order", "signs"))
    return _made(_family(values), *names, *whole)


def check_generators(list_values: Callable[[str], tuple[Value, ...]]) -> None:
    """Raise `InvalidDesign` unless every generator of a space can make every density of it.

    Args:
        list_values: axis -> all values that it may take; its default where the space lacks it.
    """
    # All pairs, not only those that a random draw would meet: a space in which one generator cannot
    # make one density would fail in the middle of a search. Widths are not known here; whether
    # blocks divide them is each block's own check.
    axes = ("generator", "density", "threshold_bits", "matrix_order", "signs")
    for name, density, bits, order, signs in itertools.product(*map(list_values, axes)):
        generator = as_generator(str(name))
        if has(generator.family, "tile"):
            generator = dataclasses.replace(generator, tile=read_order(str(order)))
        if has(generator.family, "threshold_bits"):
            generator = dataclasses.replace(generator, threshold_bits=int(bits))
        if has(generator.family, "signs"):
            generator = dataclasses.replace(generator, signs=cast(Signs, signs))
        try:
            check_density(float(density), generator)
        except InvalidDesign as error:
            raise InvalidDesign(f"{error} (or leave out {name})") from None


def _family(values: Mapping[str, Value]) -> str:
    return str(_get(values, "generator"))


def _get(values: Mapping[str, Value], axis: str) -> Value:
    return values.get(axis, AXES[axis].default)


@cache
def _made(
    family: str, order: str, signs: str, state_bits: int, threshold_bits: int, rounds: int
) -> Generator:
    """A sweep builds the same few again and again, for each block anew."""
    axes: dict[str, Any] = {"taps": REGISTERS[state_bits], "threshold_bits": threshold_bits}
    axes |= {"rounds": rounds, "tile": read_order(order), "signs": signs}
    given: dict[str, Any] = {name: value for name, value in axes.items() if has(family, name)}
    return Generator(family=family, **given)
