"""Which Verilog module, with which parameters and start words, makes a matrix.

Everything that hardware must agree on with the reference is decided here: the module's parameters
follow from generator, density, lanes; its inputs `seed`, `limit` and `last_block` from the layer.
"""

from dataclasses import dataclass
from importlib import resources

import numpy as np

from dse.errors import InvalidDesign
from dse.rtl.yosys import Block
from dse.ternary.generators import Generator, family_of
from dse.ternary.generators.choice import LFSR_FAMILIES
from dse.ternary.generators.counter_arx import entries_per_word
from dse.ternary.generators.shift_register import Bits
from dse.ternary.matrix import check_density

MOST_LANES = 4_096
_HELPERS = {
    "lfsr_threshold": ("lfsr_stream", "at_most"),
    "lfsr_and": ("lfsr_stream",),
    "one_hot": ("lfsr_stream",),
    "counter_arx": ("arx32", "at_most"),
    "sobol": ("arx32",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorBlock:
    """A generator as hardware: a module of `verilog/` and what starts it."""

    generator: Generator
    density: float
    lanes: int

    def __post_init__(self) -> None:
        """Check that the lanes suit the family."""
        check_density(self.density, self.generator)
        lanes, family = self.lanes, self.generator.family
        if not 1 <= lanes <= MOST_LANES:
            raise InvalidDesign(f"lanes must be from 1 to {MOST_LANES:,}, not {lanes}")
        if family == "counter_arx":
            per_word = entries_per_word(self.generator.threshold_bits)
            if lanes % per_word:
                raise InvalidDesign(
                    f"lanes must be a multiple of {per_word}, the entries that a word of "
                    f"counter_arx makes, not {lanes}"
                )
        if family in ("one_hot", "sobol"):
            block = 2**self.decision_bits
            if lanes % block:
                raise InvalidDesign(
                    f"lanes must be a multiple of {block}, the block of {family} at density "
                    f"{self.density:g}, not {lanes}"
                )
            blocks = lanes // block
            if family == "sobol" and blocks & (blocks - 1):
                raise InvalidDesign(
                    f"lanes must be {block} times a power of two for sobol at density "
                    f"{self.density:g}, not {lanes}"
                )

    @property
    def decision_bits(self) -> int:
        """Bits that decide about one entry or block."""
        return family_of(self.generator).decision_bits(self.generator, self.density)

    @property
    def state_bits(self) -> int:
        """Width of `seed`."""
        return family_of(self.generator).state_bits(self.generator)

    @property
    def top(self) -> str:
        """The module, which has the family's name."""
        return self.generator.family

    @property
    def parameters(self) -> dict[str, int]:
        """The module's parameters, in its order."""
        generator, bits = self.generator, self.decision_bits
        found = {"LANES": self.lanes}
        if generator.family in LFSR_FAMILIES:
            taps = (*generator.taps, 0, 0)
            if len(generator.taps) > 4:
                raise InvalidDesign(
                    f"the register in Verilog has up to four taps, not {len(generator.taps)}"
                )
            found |= {"STATE_BITS": taps[0], "TAP_1": taps[1], "TAP_2": taps[2], "TAP_3": taps[3]}
        name = {"lfsr_and": "AND_BITS", "one_hot": "BLOCK_BITS", "sobol": "BLOCK_BITS"}
        found[name.get(generator.family, "THRESHOLD_BITS")] = bits
        if generator.family in LFSR_FAMILIES:
            found["SHIFT"] = generator.shift or bits + 1
        if generator.family in ("counter_arx", "sobol"):
            found["ROUNDS"] = generator.rounds
        return found

    def start_words(self, state: Bits, columns: int) -> dict[str, tuple[int, int]]:
        """Input -> (width, value) of the words that the module takes with `load`.

        Raises:
            InvalidDesign: the state has another length, a register's is all zeros, or the lanes do
                not divide the columns where the family needs that.
        """
        words = {"seed": (self.state_bits, seed_word(state))}
        if len(state) != self.state_bits:
            raise InvalidDesign(
                f"{self.generator.family} starts with {self.state_bits} bits, not {len(state)}"
            )
        if self.generator.family in LFSR_FAMILIES and not np.any(state):
            raise InvalidDesign(
                "the seed of a shift register must not be zero: it would give zeros for ever; use "
                "any other"
            )
        if self.generator.family in ("lfsr_threshold", "counter_arx"):
            k = self.decision_bits
            words["limit"] = (k, round(self.density * 2**k) - 1)
        if self.generator.family == "sobol":
            check_lanes_divide(self.lanes, columns)
            words["last_block"] = (16, (columns - self.lanes) >> self.decision_bits)
        return words

    def block(self) -> Block:
        """What Yosys reads."""
        names = (self.top, *_HELPERS[self.top])
        return Block(
            top=self.top,
            parameters=self.parameters,
            sources=tuple(module_text(name) for name in names),
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """Verilog modules that it consists of."""
        return (self.top, *_HELPERS[self.top])


def check_lanes_divide(lanes: int, columns: int) -> None:
    """Raise `InvalidDesign` unless the lanes divide the columns; names those that would."""
    if columns % lanes:
        near = [n for n in range(1, columns + 1) if columns % n == 0]
        low = max((n for n in near if n < lanes), default=1)
        high = min((n for n in near if n > lanes), default=columns)
        offered = f"{low} or {high}" if low != high else f"{low}"
        raise InvalidDesign(f"{lanes} lanes do not divide {columns} inputs: use {offered} lanes")


def seed_word(state: Bits) -> int:
    """A start state as the number that `seed` takes: the first bit is the most significant."""
    return int("".join(map(str, state.tolist())), 2)


def module_text(name: str) -> str:
    """The text of a module in `verilog/`."""
    return (resources.files("dse.rtl") / "verilog" / f"{name}.v").read_text(encoding="utf-8")
