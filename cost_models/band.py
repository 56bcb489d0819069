"""A number with a band: what the sources say at least, mostly, and at most.

Sources of hardware constants differ by factors. A band carries that through every sum: the low
figure of a total is the sum of the low figures of its parts, as if all were wrong the same way, so
the band of a total is never narrower than it can be.
"""

import math
from dataclasses import dataclass

from cost_models.errors import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Three figures of one quantity, in order."""

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        """Figures are finite and in order."""
        ordered = -math.inf < self.low <= self.mid <= self.high < math.inf
        require(
            ordered, "low", "at most mid, and mid at most high", (self.low, self.mid, self.high)
        )

    def __add__(self, other: "Band") -> "Band":
        """Sum of two quantities."""
        return Band(low=self.low + other.low, mid=self.mid + other.mid, high=self.high + other.high)

    def scaled(self, factor: float) -> "Band":
        """The quantity `factor` times, `factor` at least 0."""
        return Band(low=self.low * factor, mid=self.mid * factor, high=self.high * factor)

    def as_tuple(self) -> tuple[float, float, float]:
        """(low, mid, high)."""
        return (self.low, self.mid, self.high)


ZERO = Band(low=0.0, mid=0.0, high=0.0)
