"""Which Verilog module, with which parameters and start words, makes a matrix.

Everything that hardware must agree on with the reference is decided here: the module's parameters
follow from generator, density, lanes; its inputs `seed`, `limit` and `last_block` from the layer.

The line between the two is what may change after the chip is made. Parameters are wired in. Start
words come with `load`: one circuit makes the matrices of one layer after the other, from a few
words each. The density is among them where the family has an input `limit`; else it is wired in,
and all layers have the same.

Lanes are the entries made in one cycle, lane 0 the first of them. They change speed and area, never
the matrix: it is one stream in row-major order, cut into pieces of LANES.
"""

from dataclasses import dataclass
from importlib import resources

import numpy as np

from dse.errors import InvalidDesign
from dse.rtl.yosys import Circuit
from dse.ternary.generators import Family, Generator, find_family, has
from dse.ternary.generators.shift_register import Bits
from dse.ternary.matrix import check_density

MOST_LANES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorBlock:
    """A generator as hardware: a module of `verilog/` and what starts it.

    Without a layer: one block serves all layers that have its generator and density.

    Raises:
        InvalidDesign: the generator cannot make this density, or not with so many lanes.
    """

    generator: Generator
    density: float
    lanes: int

    def __post_init__(self) -> None:
        """Check that the lanes suit the family."""
        check_density(self.density, self.generator)
        if not 1 <= self.lanes <= MOST_LANES:
            raise InvalidDesign(f"lanes must be from 1 to {MOST_LANES:,}, not {self.lanes}")
        self.family.check_lanes(self.generator, self.density, self.lanes)

    @property
    def family(self) -> Family:
        """The module of `dse.ternary.generators` that knows what only this family does."""
        return find_family(self.generator)

    @property
    def decision_bits(self) -> int:
        """Bits that decide about one entry or, with exact fan-in, one block; without the sign."""
        return self.family.decision_bits(self.generator, self.density)

    @property
    def state_bits(self) -> int:
        """Width of `seed` in bits."""
        return self.family.state_bits(self.generator)

    @property
    def top(self) -> str:
        """The module, which has the family's name."""
        return self.generator.family

    @property
    def parameters(self) -> dict[str, int]:
        """The module's parameters, in its order: LANES, then what the family has."""
        own = self.family.verilog_parameters(self.generator, self.density)
        return {"LANES": self.lanes, **own}

    @property
    def word_bits(self) -> dict[str, int]:
        """Inputs that are taken with `load`, with their widths in bits: `seed` and the family's."""
        # Widths do not depend on the columns; as many as lanes is a number that lanes divide.
        own = self.family.start_words(self.generator, self.density, self.lanes, self.lanes)
        return {"seed": self.state_bits} | {name: bits for name, (bits, _) in own.items()}

    def start_words(self, state: Bits, columns: int) -> dict[str, tuple[int, int]]:
        """Input -> (width, value) of the words that the module takes with `load`.

        Args:
            state: (state_bits,) zeros and ones, as `dse.ternary.matrix.start_state` gives them.
            columns: inputs of the layer, length of a row.

        Raises:
            InvalidDesign: the state has another length, a register's is all zeros, or the lanes do
                not divide the columns where the family needs that.
        """
        words = {"seed": (self.state_bits, seed_word(state))}
        if len(state) != self.state_bits:
            raise InvalidDesign(
                f"{self.generator.family} starts with {self.state_bits} bits, not {len(state)}"
            )
        if has(self.generator.family, "taps") and not np.any(state):
            raise InvalidDesign(
                "the seed of a shift register must not be zero: it would give zeros for ever; use "
                "any other"
            )
        own = self.family.start_words(self.generator, self.density, self.lanes, columns)
        return words | own

    def circuit(self) -> Circuit:
        """What Yosys reads: the family's module on top, with its parameters."""
        return Circuit(
            top=self.top,
            parameters=self.parameters,
            sources=tuple(module_text(name) for name in self.modules),
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the Verilog modules that it consists of, the top one first."""
        return (self.top, *self.family.HELPERS)


def seed_word(state: Bits) -> int:
    """A start state as the number that `seed` takes: the first bit is the most significant.

    The C export packs it the same way, eight bits a byte: [1, 0, 0, 0, 0, 0, 0, 0] is 0x80.
    """
    return int("".join(map(str, state.tolist())), 2)


def module_text(name: str) -> str:
    """The text of a module in `verilog/`, by its name without `.v`."""
    return (resources.files("dse.rtl") / "verilog" / f"{name}.v").read_text(encoding="utf-8")
