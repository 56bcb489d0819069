"""Which generator makes a matrix: a family and its parameters, the design's choice.

Parameters that measurements show to be bad (docs/evidence/generator.md) are refused with the
reason; `override: true` accepts them, to repeat the measurement or to build someone else's
hardware.
"""

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from dse.errors import require
from dse.ternary.generators import counter_arx, lfsr_and, lfsr_threshold, one_hot, sobol
from dse.ternary.generators.family import Family, Parameters

FAMILIES: MappingProxyType[str, Family] = MappingProxyType(
    {
        "lfsr_threshold": lfsr_threshold,
        "lfsr_and": lfsr_and,
        "one_hot": one_hot,
        "counter_arx": counter_arx,
        "sobol": sobol,
    }
)
"""The registry: name -> module."""

_DEFAULTS = {field.name: field.default for field in fields(Parameters) if field.name != "family"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator(Parameters):
    """A family with its parameters: with seed, layer and density, all that decides a matrix."""

    def __post_init__(self) -> None:
        """Refuse an unknown family, parameters of other families, and what its own file refuses."""
        require(
            self.family in FAMILIES, "family", f"one of {', '.join(FAMILIES)}", str(self.family)
        )
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if name in (*find_family(self).PARAMETERS, "override") or value == default:
                continue
            having = ", ".join(sorted(each for each in FAMILIES if has(each, name)))
            shown = list(value) if isinstance(value, tuple) else value
            require(False, name, f"left out for family {self.family} (it is of {having})", shown)
        find_family(self).check_parameters(self)

    def to_dict(self) -> dict[str, Any]:
        """The family, and parameters that are not at their default."""
        plain: dict[str, Any] = {"family": self.family}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                plain[name] = list(value) if isinstance(value, tuple) else value
        return plain

    @property
    def label(self) -> str:
        """`lfsr_and`, `counter_arx(rounds=8)`: for tables and messages."""
        plain = self.to_dict()
        name = plain.pop("family")
        given = ", ".join(f"{key}={value}" for key, value in plain.items())
        return f"{name}({given})" if given else name


def find_family(generator: Parameters) -> Family:
    """The module of a generator's family."""
    return FAMILIES[generator.family]


def has(family: str, parameter: str) -> bool:
    """Whether a parameter changes what a family makes: is one of its `PARAMETERS`.

    A search space leaves an axis out where it changes nothing, or one network would be proposed
    under many names.

    Args:
        family: its name.
        parameter: a field of `Parameters`.
    """
    return parameter in FAMILIES[family].PARAMETERS


def as_generator(generator: Generator | str) -> Generator:
    """A generator, or that of a family's name with its parameters at their defaults.

    Raises:
        InvalidField: there is no such family.
    """
    return generator if isinstance(generator, Generator) else Generator(family=generator)
