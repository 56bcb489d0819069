"""What the families with a comparator share: entries that are not zero where k bits are below n.

The k = `threshold_bits` random bits of an entry are a number u, the first bit the most significant;
the entry is not zero where u < n, so its density is n/2^k exactly. In hardware n - 1 is a word of k
bits that is loaded with the layer (`limit`): one circuit makes every density.
"""

from dse.errors import InvalidDesign, require
from dse.ternary.generators.parameters import Parameters

MOST_THRESHOLD_BITS = 16


def check_threshold_bits(generator: Parameters) -> None:
    """Raise `InvalidField` where there are none, or too many."""
    most, bits = MOST_THRESHOLD_BITS, generator.threshold_bits
    require(1 <= bits <= most, "threshold_bits", f"from 1 to {most}", bits)


def check_threshold(generator: Parameters, density: float) -> None:
    """Raise `InvalidDesign` unless the density is n/2^threshold_bits, n from 1."""
    steps: int = 2**generator.threshold_bits
    if (density * steps) % 1:
        low = int(density * steps)
        near = [f"{n / steps}" for n in (low, low + 1) if n >= 1]
        raise InvalidDesign(
            f"density must be n/{steps} for generator {generator.family} with "
            f"{generator.threshold_bits} threshold bits, not {density}: "
            f"the nearest {'are' if len(near) > 1 else 'is'} {' and '.join(near)}"
        )


def decision_bits(generator: Parameters, density: float) -> int:
    """Bits that are compared."""
    return generator.threshold_bits


def start_words(
    generator: Parameters, density: float, lanes: int, columns: int
) -> dict[str, tuple[int, int]]:
    """The threshold, one below, so that density 1 fits."""
    k = generator.threshold_bits
    return {"limit": (k, round(density * 2**k) - 1)}
