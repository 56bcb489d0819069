"""Axes of ternary matrices, the same in every family that has any: their density and generator."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from dse.design.families.family import Axis, Value
from dse.design.point import Mixer
from dse.errors import InvalidDesign
from dse.ternary.generators import FAMILIES, FamilyName, Generator, as_generator
from dse.ternary.generators.choice import LFSR_FAMILIES, PARAMETERS, REGISTERS
from dse.ternary.matrix import DENSITY_STEPS, check_density

_TERNARY: dict[str, Value] = {"policy": "P4"}
_COUNTER: dict[str, Value] = {"policy": "P4", "generator": "counter_arx", "density": 0.5}

AXES: dict[str, Axis] = {
    "density": Axis(
        default=0.25,
        minimum=float("-inf"),  # the generator says which it can make
        grid=DENSITY_STEPS,
        help="share of non-zero ternary entries",
    ),
    "generator": Axis(
        default="lfsr_threshold",
        options=FAMILIES,
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
    "rounds": Axis(default=6, beside=_COUNTER, help="of generators with a counter, at least 6"),
    "ternary_seed": Axis(
        default=1, minimum=0, beside=_TERNARY, help="seed of all ternary matrices"
    ),
}


def matters(axis: str, values: Mapping[str, Value]) -> bool:
    """Whether one of these axes matters to a network that has ternary matrices."""
    families = PARAMETERS.get("taps" if axis == "state_bits" else axis)
    return families is None or _family(values) in families


def ternary_mixer(values: Mapping[str, Value]) -> Mixer:
    """The mixer that the axes describe."""
    density = float(values.get("density", AXES["density"].default))
    return Mixer(kind="ternary", density=density, generator=generator_of(values))


def generator_of(values: Mapping[str, Value]) -> Generator:
    """The generator that the axes describe; those of other families do not matter."""
    family = _family(values)
    names = ("threshold_bits", "rounds", "state_bits")
    return _made(family, *(int(values.get(name, AXES[name].default)) for name in names))


def check_generators(values_of: Callable[[str], tuple[Value, ...]]) -> None:
    """Raise `InvalidDesign` unless every generator of a space can make every density of it.

    Args:
        values_of: axis -> all values that it may take.
    """
    for name, density, bits in itertools.product(
        values_of("generator"), values_of("density"), values_of("threshold_bits")
    ):
        generator = as_generator(str(name))
        if generator.family in PARAMETERS["threshold_bits"]:
            generator = dataclasses.replace(generator, threshold_bits=int(bits))
        try:
            check_density(float(density), generator)
        except InvalidDesign as error:
            raise InvalidDesign(f"{error} (or leave out {name})") from None


def _family(values: Mapping[str, Value]) -> FamilyName:
    return cast(FamilyName, values.get("generator", AXES["generator"].default))


@cache
def _made(family: FamilyName, threshold_bits: int, rounds: int, state_bits: int) -> Generator:
    """A sweep builds the same few again and again, for each block anew."""
    axes = {"threshold_bits": threshold_bits, "rounds": rounds}
    given: dict[str, Any] = {
        name: value for name, value in axes.items() if family in PARAMETERS[name]
    }
    if family in LFSR_FAMILIES:
        given["taps"] = REGISTERS[state_bits]
    return Generator(family=family, **given)
