"""Where in a network a mixing layer stands."""

from dataclasses import dataclass

from dse.point import Mixer


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One 1x1 matrix of a network: its name, its shape, how it is mixed."""

    name: str
    in_channels: int
    out_channels: int
    mixer: Mixer
    ternary_seed: int
    stride: int = 1
    groups: int = 1
