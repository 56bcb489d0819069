"""What the families on a shift register share: which registers are sound, and their Verilog.

A register of N bits is sound where its bits repeat only after 2^N - 1 of them (an irreducible
polynomial of a prime degree whose Mersenne number is prime), and where the bits of one entry share
no tap distance: two bits that lie a tap apart add up to a third, and entries would follow from
their neighbours.

Why prime periods: the period of a state divides 2^N - 1 once the polynomial is irreducible. Where
that number is prime there is nothing to divide, so no start state but zero falls into a short
cycle, and no seed need be tested. Why two taps: a trinomial costs one XOR gate a bit, and its taps
can lie far apart.
"""

import itertools
from functools import lru_cache

from dse.errors import InvalidDesign, require
from dse.ternary.generators.family import Parameters
from dse.ternary.generators.shift_register import Bits, is_irreducible, jump_ahead

PARAMETERS = ("taps", "shift", "tile")

REGISTERS: dict[int, tuple[int, int]] = {
    89: (89, 51),
    127: (127, 97),
    521: (521, 353),
    607: (607, 460),
}
"""State bits -> two taps, far apart; all exponents of Mersenne primes, all polynomials irreducible:
so every start state but zero has the full period."""

MERSENNE_EXPONENTS = (61, 89, 107, 127, 521, 607, 1279)
LEAST_STATE_BITS = 61
MOST_STATE_BITS = 4096
MOST_SHIFT = 64
MOST_TILE = 9_999
MOST_VERILOG_TAPS = 4

HELPERS = ("lfsr_stream",)
SEED = "start state, first bit most significant; not 0"


def state_bits(generator: Parameters) -> int:
    """The register's length."""
    return generator.taps[0]


def check_register(generator: Parameters) -> None:
    """Raise `InvalidField` for a register that is none, or that is known to be bad."""
    require(0 <= generator.shift <= MOST_SHIFT, "shift", f"from 0 to {MOST_SHIFT}", generator.shift)
    tile = generator.tile
    sound = len(tile) in (0, 2) and all(1 <= size <= MOST_TILE for size in tile)
    require(sound, "tile", f"rows and columns, each from 1 to {MOST_TILE:,}", list(tile))
    if expected := _flaw(generator.taps):
        require(False, "taps", expected, list(generator.taps))
    if not generator.override and (expected := _weakness(generator.taps)):
        require(False, "taps", f"{expected} (set override to accept)", list(generator.taps))


def _flaw(taps: tuple[int, ...]) -> str:
    falling = all(a > b for a, b in itertools.pairwise(taps))
    if len(taps) >= 2 and falling and taps[-1] >= 1 and taps[0] <= MOST_STATE_BITS:
        return ""
    return f"two or more numbers from {MOST_STATE_BITS} down to 1, each smaller than the one before"


@lru_cache(maxsize=256)
def _weakness(taps: tuple[int, ...]) -> str:
    """What taps should be instead; empty where nothing is known against them."""
    bits = taps[0]
    if bits < LEAST_STATE_BITS:
        return (
            f"at least {LEAST_STATE_BITS} state bits long: a register of {bits} bits repeats "
            f"after 2^{bits} - 1 bits, within one network"
        )
    if len(taps) != 2:
        return (
            "two: where more taps stand side by side, the sign of an entry follows from its "
            "neighbours'"
        )
    if bits not in MERSENNE_EXPONENTS:
        return (
            f"of a register whose period is prime: 2^{bits} - 1 is not; lengths are "
            f"{', '.join(map(str, MERSENNE_EXPONENTS))}"
        )
    if not is_irreducible(taps):
        known = " or ".join(str(list(pair)) for pair in REGISTERS.values())
        return f"of an irreducible polynomial such as {known}"
    return ""


def check_overlap(generator: Parameters, bits_per_entry: int, reach: int = 0) -> None:
    """Refuse windows that overlap, and taps that fall into the bits of one entry.

    Every bit obeys bit[n] + bit[n - t1] + bit[n - t2] = 0. With t1 = 127 and t2 = 97 the three lie
    30 and 97 places apart. As long as an entry is narrower than that, the three belong to three
    entries, of which any two look independent; were two of them in one entry, the third entry's
    bit would follow from that one alone.

    Args:
        generator: its taps, shift and `override`.
        bits_per_entry: an entry's window, the sign included.
        reach: bits from an entry's first to its last, where it takes some from further away than
            its window.

    Raises:
        InvalidDesign: the parameters are known to be bad, and `override` is not set.
    """
    if generator.override:
        return
    if 0 < generator.shift < bits_per_entry:
        raise InvalidDesign(
            f"shift must be 0 or at least {bits_per_entry}, the bits of an entry, not "
            f"{generator.shift}: entries that share bits are correlated, and rows die (set "
            "override to accept)"
        )
    taps = generator.taps
    nearest = min(taps[-1], *(a - b for a, b in itertools.pairwise(taps)))
    if nearest <= max(bits_per_entry, reach):
        raise InvalidDesign(
            f"taps {list(taps)} lie {nearest} bits apart, within the "
            f"{max(bits_per_entry, reach)} bits of an "
            "entry: entries a fixed distance apart are correlated; use taps further apart (set "
            "override to accept)"
        )


def jump(generator: Parameters, state: Bits, steps: int, bits_per_step: int) -> Bits:
    """The register's state after so many entries or blocks.

    Args:
        generator: its taps and shift.
        state: the last taps[0] bits, oldest first.
        steps: entries, or blocks where a family takes its bits once a block.
        bits_per_step: what each of them takes where `shift` is 0, the sign included.
    """
    return jump_ahead(state, steps * (generator.shift or bits_per_step), generator.taps)


def check_any_lanes(generator: Parameters, density: float, lanes: int) -> None:
    """A register makes as many bits a cycle as wanted."""


def any_lanes(generator: Parameters, density: float) -> str:
    """No rule."""
    return ""


def no_words(
    generator: Parameters, density: float, lanes: int, columns: int
) -> dict[str, tuple[int, int]]:
    """The density is wired in."""
    return {}


def verilog_parameters(generator: Parameters, name: str, bits: int) -> dict[str, int]:
    """Those of the stream, and one of the family's own.

    Args:
        generator: its taps and shift.
        name: of the family's own parameter, the bits that decide.
        bits: its value; an entry or block takes one more, the sign.

    Raises:
        InvalidDesign: the register has more taps than the Verilog.
    """
    if len(generator.taps) > MOST_VERILOG_TAPS:
        raise InvalidDesign(
            f"the register in Verilog has up to four taps, not {len(generator.taps)}"
        )
    others = (*generator.taps[1:], 0, 0)[: MOST_VERILOG_TAPS - 1]
    taps = {f"TAP_{number}": tap for number, tap in enumerate(others, start=1)}
    return {
        "STATE_BITS": generator.taps[0],
        **taps,
        name: bits,
        "SHIFT": generator.shift or bits + 1,
    }
