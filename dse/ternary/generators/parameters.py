"""What a family reads of the design's choice: all parameters that any family has.

The values here are the defaults. Each family's file names those that are its own (`PARAMETERS`) and
checks them; the others stand at their defaults and mean nothing to it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """A family's name and its parameters, not checked yet: see `choice.Generator`."""

    family: str = "lfsr_threshold"
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
