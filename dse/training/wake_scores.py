"""What a network missed of the wake words of a long recording, as its folder keeps it. No torch.

    "wake": {"words": ["yes"], "false_alarms_per_hour": 6.0, "seconds": 612.4, "others": 197,
             "float": {"missed": "...", "count": 43, "false_alarms": 1, "threshold": 0.61},
             "int8": null}

`missed` is a bit a word, in their order (`dse.training.clipwise`): two networks that heard the same
recording are compared word by word, as others are clip by clip.
"""

import math
from dataclasses import dataclass
from typing import Any

from dse.training.clipwise import Wrong, pack, unpack


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spotted:
    """A network on a recording, at the threshold of the fewest misses that keeps the rate."""

    missed: Wrong
    """(words,): whether each wake word was missed."""
    false_alarms: int
    threshold: float
    """Infinite where any threshold that wakes at all has too many false alarms."""

    @property
    def error(self) -> float:
        """The false rejection rate: share of the wake words that were missed."""
        return float(self.missed.sum()) / len(self.missed)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "missed": pack(self.missed),
            "count": len(self.missed),
            "false_alarms": self.false_alarms,
            "threshold": None if math.isinf(self.threshold) else self.threshold,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WakeScores:
    """The networks of a training, in floats and in whole numbers, on one recording."""

    words: tuple[str, ...]
    """That wake."""
    false_alarms_per_hour: float
    """At most, as the task asks."""
    seconds: float
    """Of the recording."""
    others: int
    """Words in it that shall not wake."""
    floats: Spotted
    int8: Spotted | None
    """None of a network that has no form in whole numbers."""

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "words": list(self.words),
            "false_alarms_per_hour": self.false_alarms_per_hour,
            "seconds": self.seconds,
            "others": self.others,
            "float": self.floats.to_dict(),
            "int8": None if self.int8 is None else self.int8.to_dict(),
        }


def read_wake(plain: Any) -> WakeScores:
    """The inverse of `WakeScores.to_dict`.

    Raises:
        ValueError, KeyError, TypeError: it is not what that wrote.
    """
    int8 = plain["int8"]
    return WakeScores(
        words=tuple(map(str, plain["words"])),
        false_alarms_per_hour=float(plain["false_alarms_per_hour"]),
        seconds=float(plain["seconds"]),
        others=int(plain["others"]),
        floats=_spotted(plain["float"]),
        int8=None if int8 is None else _spotted(int8),
    )


def _spotted(plain: Any) -> Spotted:
    count, threshold = int(plain["count"]), plain["threshold"]
    if count < 1:
        raise ValueError("a recording without a wake word")
    return Spotted(
        missed=unpack(str(plain["missed"]), count),
        false_alarms=int(plain["false_alarms"]),
        threshold=math.inf if threshold is None else float(threshold),
    )
