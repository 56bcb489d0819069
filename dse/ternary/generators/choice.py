"""Which generator makes a matrix: a family and its parameters, the design's choice.

Parameters that measurements show to be bad (docs/evidence/generator.md) are refused with the
reason; `override: true` accepts them, to repeat the measurement or to build someone else's
hardware.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from dse.errors import InvalidDesign, require
from dse.ternary.generators.shift_register import is_irreducible

FamilyName = Literal["lfsr_threshold", "lfsr_and", "one_hot", "counter_arx", "sobol"]
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)

LFSR_FAMILIES = frozenset({"lfsr_threshold", "lfsr_and", "one_hot"})
PARAMETERS: dict[str, frozenset[str]] = {
    "taps": LFSR_FAMILIES,
    "shift": LFSR_FAMILIES,
    "threshold_bits": frozenset({"lfsr_threshold", "counter_arx"}),
    "rounds": frozenset({"counter_arx", "sobol"}),
}
"""Parameter -> families that have it."""

REGISTERS: dict[int, tuple[int, int]] = {
    89: (89, 51),
    127: (127, 97),
    521: (521, 353),
    607: (607, 460),
}
"""State bits -> two taps, far apart; all exponents of Mersenne primes, all polynomials irreducible:
so every start state but zero has the full period."""

MERSENNE_EXPONENTS = frozenset({61, 89, 107, 127, 521, 607, 1279})
LEAST_STATE_BITS = 61
LEAST_ROUNDS = 6
MOST_THRESHOLD_BITS = 16
MOST_ROUNDS = 32
MOST_STATE_BITS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A family with its parameters: with seed, layer and density, all that decides a matrix."""

    family: FamilyName = "lfsr_threshold"
    """A module in `dse.ternary.generators`."""
    taps: tuple[int, ...] = (127, 97)
    """Of the shift register: bit[n] is the XOR of bit[n - tap]; the first is its length."""
    shift: int = 0
    """Bits that the register moves on from entry to entry; 0: as many as the entry takes."""
    threshold_bits: int = 8
    """Random bits that are compared with density x 2^threshold_bits."""
    rounds: int = 6
    """Of the mixing function behind a counter."""
    override: bool = False
    """Accept parameters that are known to be bad."""

    def __post_init__(self) -> None:
        """Refuse parameters of other families, sizes out of range, and bad registers."""
        require(
            self.family in FAMILIES, "family", f"one of {', '.join(FAMILIES)}", str(self.family)
        )
        for name, families in PARAMETERS.items():
            value = getattr(self, name)
            if self.family not in families and value != _DEFAULTS[name]:
                listed = ", ".join(sorted(families))
                require(
                    False,
                    name,
                    f"left out for family {self.family} (it is of {listed})",
                    list(value) if isinstance(value, tuple) else value,
                )
        most = MOST_THRESHOLD_BITS
        require(
            1 <= self.threshold_bits <= most,
            "threshold_bits",
            f"from 1 to {most}",
            self.threshold_bits,
        )
        require(0 <= self.shift <= 64, "shift", "from 0 to 64", self.shift)
        require(1 <= self.rounds <= MOST_ROUNDS, "rounds", f"from 1 to {MOST_ROUNDS}", self.rounds)
        if not self.override and self.rounds < LEAST_ROUNDS:
            require(
                False,
                "rounds",
                f"at least {LEAST_ROUNDS}: with fewer, neighbouring counters give trits that "
                "follow one another (set override to accept)",
                self.rounds,
            )
        if self.family in LFSR_FAMILIES:
            self._check_taps()

    def _check_taps(self) -> None:
        taps = list(self.taps)
        ordered = sorted(set(taps), reverse=True)
        if len(taps) < 2 or taps != ordered or taps[-1] < 1 or taps[0] > MOST_STATE_BITS:
            require(
                False,
                "taps",
                f"two or more numbers from {MOST_STATE_BITS} down to 1, each "
                "smaller than the one before",
                taps,
            )
        if self.override:
            return
        bits = taps[0]
        if bits < LEAST_STATE_BITS:
            self._refuse_taps(
                f"at least {LEAST_STATE_BITS} state bits long: a register of {bits} bits repeats "
                f"after 2^{bits} - 1 bits, within one network"
            )
        if len(taps) != 2:
            self._refuse_taps(
                "two: where more taps stand side by side, the sign of an entry follows from its "
                "neighbours'"
            )
        if bits not in MERSENNE_EXPONENTS:
            self._refuse_taps(
                f"of a register whose period is prime: 2^{bits} - 1 is not; lengths are "
                f"{', '.join(map(str, sorted(MERSENNE_EXPONENTS)))}"
            )
        if not is_irreducible(self.taps):
            known = " or ".join(str(list(pair)) for pair in REGISTERS.values())
            self._refuse_taps(f"of an irreducible polynomial such as {known}")

    def _refuse_taps(self, expected: str) -> None:
        require(False, "taps", f"{expected} (set override to accept)", list(self.taps))

    def check_overlap(self, bits_per_entry: int) -> None:
        """Refuse windows that overlap, and taps that fall into the bits of one entry.

        Raises:
            InvalidDesign: the parameters are known to be bad, and `override` is not set.
        """
        if self.override:
            return
        if 0 < self.shift < bits_per_entry:
            raise InvalidDesign(
                f"shift must be 0 or at least {bits_per_entry}, the bits of an entry, not "
                f"{self.shift}: entries that share bits are correlated, and rows die (set override "
                "to accept)"
            )
        nearest = min(
            self.taps[-1], *(a - b for a, b in zip(self.taps, self.taps[1:], strict=False))
        )
        if nearest <= bits_per_entry:
            raise InvalidDesign(
                f"taps {list(self.taps)} lie {nearest} bits apart, within the {bits_per_entry} "
                "bits of an entry: entries a fixed distance apart are correlated; use taps further "
                "apart (set override to accept)"
            )

    def to_dict(self) -> dict[str, Any]:
        """The family, and parameters that are not at their default."""
        plain: dict[str, Any] = {"family": self.family}
        for name in (*PARAMETERS, "override"):
            value = getattr(self, name)
            if value != _DEFAULTS[name]:
                plain[name] = list(value) if isinstance(value, tuple) else value
        return plain

    @property
    def label(self) -> str:
        """`lfsr_and`, `counter_arx(rounds=8)`: for tables and messages."""
        plain = self.to_dict()
        name = plain.pop("family")
        given = ", ".join(f"{key}={value}" for key, value in plain.items())
        return f"{name}({given})" if given else name


_DEFAULTS: dict[str, Any] = {
    "taps": (127, 97),
    "shift": 0,
    "threshold_bits": 8,
    "rounds": 6,
    "override": False,
}


def as_generator(generator: Generator | str) -> Generator:
    """A generator, or that of a family's name with its parameters at their defaults.

    Raises:
        InvalidField: there is no such family.
    """
    if isinstance(generator, Generator):
        return generator
    return Generator(family=cast(FamilyName, generator))
