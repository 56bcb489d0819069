"""Generators of constant ternary matrices: one file a family, each with the same functions.

A family turns a start state into trits, row by row, and says what it costs hardware to know:

    check(generator, density, columns)             refuses what it cannot make, or must not
    state_bits(generator)                          bits that start a layer
    decision_bits(generator, density)              random bits that decide about one entry or block
    matrix(generator, density, state, rows, columns)
    jump(generator, density, state, entries, columns)     the state after so many entries

`dse.ternary.matrix` is the door: it hashes the start state and calls the family. `dse.rtl` has the
same families as Verilog.
"""

from types import MappingProxyType
from typing import Protocol

from dse.ternary.generators import counter_arx, lfsr_and, lfsr_threshold, one_hot, sobol
from dse.ternary.generators.choice import FAMILIES, FamilyName, Generator, as_generator
from dse.ternary.generators.shift_register import Bits, Trits

__all__ = ["FAMILIES", "Family", "FamilyName", "Generator", "as_generator", "family_of"]


class Family(Protocol):
    """What a module in this package provides."""

    def check(self, generator: Generator, density: float, columns: int | None) -> None:
        """Raise `InvalidDesign` unless this density can be made, and should be."""

    def state_bits(self, generator: Generator) -> int:
        """Bits that start a layer."""

    def decision_bits(self, generator: Generator, density: float) -> int:
        """Random bits that decide whether and where an entry is not zero, sign excluded."""

    def matrix(
        self, generator: Generator, density: float, state: Bits, rows: int, columns: int
    ) -> Trits:
        """Entries in row-major order, shape (rows, columns)."""

    def jump(
        self, generator: Generator, density: float, state: Bits, entries: int, columns: int
    ) -> Bits:
        """The state after `entries` entries, without making them."""


_MODULES: MappingProxyType[FamilyName, Family] = MappingProxyType(
    {
        "lfsr_threshold": lfsr_threshold,
        "lfsr_and": lfsr_and,
        "one_hot": one_hot,
        "counter_arx": counter_arx,
        "sobol": sobol,
    }
)


def family_of(generator: Generator) -> Family:
    """The module of a generator's family."""
    return _MODULES[generator.family]
