"""Where in a network a mixing layer stands.

Both views of a point need each 1x1 matrix's name, shape and stride, and a ternary matrix is a
function of that name: so the names are made here, once.
"""

from collections.abc import Collection
from dataclasses import dataclass

from dse.design.mixer import DENSE, GENERATED_KINDS, Mixer, MixerKind, trained_rows
from dse.design.point import Block, DesignPoint
from dse.errors import InvalidDesign


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

    @property
    def trained_rows(self) -> int:
        """The first rows, which are trained, of a matrix whose others are generated."""
        return trained_rows(self.mixer, self.out_channels)

    @property
    def generated_rows(self) -> int:
        """Rows that a generator makes; 0 of a matrix without any."""
        if self.mixer.kind not in GENERATED_KINDS:
            return 0
        return self.out_channels - self.trained_rows


def main_place(block: Block, repeat: int, in_channels: int, ternary_seed: int) -> Place:
    """The 1x1 of a sub-block; a depthwise layer before it has taken the stride already.

    Args:
        block: it is of.
        repeat: number of the sub-block, from 0; only the first one may have a stride.
        in_channels: that this sub-block reads: the block's input for 0, its output for the others.
        ternary_seed: of the network.
    """
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
    """The 1x1 on the path around a block: from its input to where its output is added.

    There is no depthwise layer on that path, so the 1x1 takes the whole stride itself.

    Args:
        block: it goes around.
        mixer: of the path; `block.skip`, which is not None here.
        in_channels: that the block reads.
        ternary_seed: of the network.
    """
    return Place(
        name=f"{block.name}.skip",
        in_channels=in_channels,
        out_channels=block.out_channels,
        mixer=mixer,
        ternary_seed=ternary_seed,
        stride=block.stride,
    )


def further_skip_place(block: Block, name: str, in_channels: int, ternary_seed: int) -> Place:
    """The 1x1 on the path from the input of a block before it (`Block.skips_from`), always dense.

    Args:
        block: into whose sum it goes.
        name: of the block before it.
        in_channels: that that block reads.
        ternary_seed: of the network.
    """
    return Place(
        name=f"{block.name}.skip.{name}",
        in_channels=in_channels,
        out_channels=block.out_channels,
        mixer=DENSE,
        ternary_seed=ternary_seed,
    )


def places(point: DesignPoint) -> dict[str, Place]:
    """All 1x1 matrices of a design by the names of their layers, in order of execution.

        in --+--[depthwise]--[B1.0.pw]--[depthwise]--[B1.1.pw]--(+)-- out
             +-----------------[B1.skip]-------------------------+
             of B3 with dense residuals also [B3.skip.B1], [B3.skip.B2]

    Not among them: depthwise filters, dense convolutions that are wider than 1, and the head, whose
    matrices are always trained.
    """
    found: dict[str, Place] = {}
    channels = point.in_channels
    reads: dict[str, int] = {}
    for block in point.blocks:
        reads[block.name] = inputs = channels
        for repeat in range(block.repeats):
            if block.mixes:
                place = main_place(block, repeat, inputs, point.ternary_seed)
                found[place.name] = place
            inputs = block.out_channels
        if block.skip is not None:
            place = skip_place(block, block.skip, channels, point.ternary_seed)
            found[place.name] = place
        for name in block.skips_from:
            place = further_skip_place(block, name, reads[name], point.ternary_seed)
            found[place.name] = place
        channels = block.out_channels
    return found


def check_kinds(point: DesignPoint, known: Collection[MixerKind], what: str) -> None:
    """Raise `InvalidDesign` unless every mixing layer of a design is of a known kind.

    Args:
        point: the design.
        known: kinds that `what` can be made of.
        what: for the sentence: "the chip".
    """
    for name, place in places(point).items():
        if place.mixer.kind not in known:
            raise InvalidDesign(
                f"{name} of {point.label} is a {place.mixer.kind} matrix, and {what} knows "
                f"{', '.join(known)} ones only: use one of these there"
            )


def check_bits(point: DesignPoint, what: str) -> None:
    """Raise `InvalidDesign` unless all weights and tensors of a design have eight bits."""
    for block in point.blocks:
        if min(block.weight_bits, block.activation_bits) < 8:
            raise InvalidDesign(
                f"{block.name} of {point.label} has weights of {block.weight_bits} and activations "
                f"of {block.activation_bits} bits, and {what} has 8 of both: use a design of 8 bits"
            )


def check_one_dimension(point: DesignPoint, what: str) -> None:
    """Raise `InvalidDesign` if the convolutions of a design move over bins of a frame, too.

    Args:
        point: the design.
        what: for the sentence: "the chip".
    """
    if point.has_bins:
        raise InvalidDesign(
            f"{point.label} moves over {point.in_bins} bins of a frame, and {what} knows networks "
            "over frames alone: use a design without in_bins there"
        )


def ternary_places(point: DesignPoint) -> dict[str, Place]:
    """Those of `places` whose matrix has generated rows."""
    return {name: place for name, place in places(point).items() if place.generated_rows}


def ternary_place(point: DesignPoint, layer: str) -> Place:
    """The place of a ternary layer by its name.

    Raises:
        InvalidDesign: the design has no such layer, or it is not ternary.
    """
    every, ternary = places(point), ternary_places(point)
    if layer not in ternary:
        listed = f"ternary layers are {', '.join(ternary)}" if ternary else "it has no ternary one"
        what = f"is {every[layer].mixer.kind}" if layer in every else "does not exist"
        raise InvalidDesign(f"layer {layer} of {point.label} {what}: {listed}")
    return ternary[layer]
