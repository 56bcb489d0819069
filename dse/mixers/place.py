"""Where in a network a mixing layer stands."""

from dataclasses import dataclass

from dse.point import Block, Mixer


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


def main_place(block: Block, repeat: int, in_channels: int, ternary_seed: int) -> Place:
    """The 1x1 of a sub-block; a depthwise layer before it has taken the stride already."""
    return Place(
        name=f"{block.name}.{repeat}.pw",
        in_channels=in_channels,
        out_channels=block.out_channels,
        mixer=block.mixer,
        ternary_seed=ternary_seed,
        stride=block.stride if repeat == 0 and not block.separable else 1,
        groups=block.groups,
    )


def skip_place(block: Block, mixer: Mixer, in_channels: int, ternary_seed: int) -> Place:
    """The path around a block."""
    return Place(
        name=f"{block.name}.skip",
        in_channels=in_channels,
        out_channels=block.out_channels,
        mixer=mixer,
        ternary_seed=ternary_seed,
        stride=block.stride,
    )
