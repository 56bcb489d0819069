"""View 1 of a design point: the workload that a machine executes for one inference.

A block of two sub-blocks with a skip, in order of execution (`x` is what the block reads):

    x -> 0.dw -> 0.pw -> 0.pw.bn -> 0.relu -> 1.dw -> 1.pw -> 1.pw.bn -> add -> 1.relu
    x -> skip -> skip.bn ------------------------------------------------^

The depthwise layer of the first sub-block takes the block's stride, and the skip takes it too, so
that both arrive with equally many frames. What order costs: `x` must stay alive until `add`.

Batch norm costs nothing behind trained weights, which can swallow its gain and offset. Behind a
ternary matrix it stays a layer: -1, 0 and +1 have no room for a gain. Nor has the identity of a
skip, which has no weights at all. Dropout is no layer: inference does not do it.

Dense residuals (`Block.skips_from`) bring the inputs of blocks before it to the sum as well, each
through a 1x1 with batch norm, and each by a sum of its own:

    x of B1 -> B3.skip.B1 -> bn -----------v
    ... 1.pw.bn, skip.bn -> B3.add -> B3.add.B1 -> 1.relu

A block that is not separable has one `conv` (or, for a kernel of one frame, one `pw`) in place of
dw and pw. Frames T after the first sub-block are ceil(frames / stride); others keep them.

Where frames have bins (`DesignPoint.in_bins`), the same layers make ceil(bins / stride) of them, by
the same rule, and a sub-block may have a norm and a ReLU behind its depthwise layer, too:

    x -> 0.dw -> 0.dw.bn -> 0.dw.relu -> 0.pw -> 0.pw.bn -> 0.relu
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cost_models.workload import (
    IN_LINE,
    INPUT,
    STORED,
    TRITS,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
)
from dse.design.mixer import OWN_BITS, Mixer
from dse.design.places import Place, further_skip_place, main_place, skip_place
from dse.design.point import INPUT_BITS, Block, DesignPoint
from dse.errors import InvalidDesign, short
from dse.networks.mixers import MIXERS

MOST_FRAMES = 1_000_000
"""Of an input: of 10 ms, nearly three hours."""
MOST_OUTPUTS = 100_000
"""Of a head: word pieces of a large vocabulary."""


def output_frames(in_frames: int, stride: int) -> int:
    """Frames after a layer with an odd kernel and padding dilation * (kernel - 1) / 2.

    That is ceil(in_frames / stride), for any kernel and dilation: with this padding, the general
    floor((T + 2 p - d (K - 1) - 1) / s) + 1 has no K or d left.
    """
    return (in_frames - 1) // stride + 1


def lower(point: DesignPoint, *, frames: int, outputs: int) -> Workload:
    """The layers of one inference, in order of execution.

    Args:
        point: the design.
        frames: input frames per inference.
        outputs: classes, or characters and blank of a framewise head.

    Returns:
        A workload whose layer names equal those of the network (`B1.0.pw`, `B1.skip`).

    Raises:
        InvalidDesign: frames or outputs are less than 1, or more than any input or head has.
    """
    for name, value, most in (("frames", frames, MOST_FRAMES), ("outputs", outputs, MOST_OUTPUTS)):
        if not 1 <= value <= most:
            raise InvalidDesign(f"{name} must be from 1 to {most:,}, not {short(value)}")
    layers: list[Layer] = []
    channels, bits, before, size = point.in_channels, INPUT_BITS, INPUT, point.in_bins
    reads: dict[str, Source] = {}
    for block in point.blocks:
        reads[block.name] = Source(before, channels, bits)
        earlier = [reads[name] for name in block.skips_from]
        layers += lower_block(
            block, channels, frames, point.ternary_seed, before, bits, earlier, size
        )
        channels, frames = block.out_channels, output_frames(frames, block.stride)
        before, bits, size = layers[-1].name, block.activation_bits, block.out_bins(size)
    layers += lower_head(point.head, channels, frames, outputs, bits, size)
    return Workload(point.label, tuple(layers))


class Source(NamedTuple):
    """A tensor that blocks read."""

    layer: str
    """That wrote it."""
    channels: int
    bits: int


def lower_block(
    block: Block,
    in_channels: int,
    in_frames: int,
    seed: int,
    before: str = INPUT,
    in_bits: int = INPUT_BITS,
    earlier: Sequence[Source] = (),
    in_bins: int = 1,
) -> list[Layer]:
    """The layers of one block.

    Args:
        block: the block.
        in_channels: channels of its input.
        in_frames: frames of its input.
        seed: the design's `ternary_seed`.
        before: layer that its input comes from.
        in_bits: of a value of its input.
        earlier: what the blocks of its `skips_from` read, in their order.
        in_bins: of each frame of its input.

    Raises:
        InvalidDesign: it has skips from blocks that are not there: parts of networks are lowered by
            themselves, and such a block cannot be.

    Returns:
        The layers in order of execution: the main path, then the skip, the sum, the ReLU. They are
        named by the block alone, so a block can be lowered without its network.
    """
    if len(earlier) != len(block.skips_from):
        raise InvalidDesign(
            f"block {block.name} has skips from blocks before it (dense residuals), and parts of "
            "networks are priced by themselves here: price the whole design with dse estimate"
        )
    layers: list[Layer] = []
    channels, frames = in_channels, in_frames
    for repeat in range(block.repeats):
        name = f"{block.name}.{repeat}"
        stride = block.stride if repeat == 0 else 1
        after = output_frames(frames, stride)
        if block.separable:
            layers.append(
                Layer(
                    name=f"{name}.dw",
                    kind=LayerKind.DEPTHWISE,
                    in_channels=channels,
                    out_channels=channels,
                    in_frames=frames,
                    out_frames=after,
                    kernel_size=block.kernel_size,
                    stride=stride,
                    dilation=block.dilation,
                    groups=channels,
                    weights=WeightSource.TRAINED,
                )
            )
            frames = after
            if block.depthwise_norm:
                layers.append(_batch_norm(f"{name}.dw.bn", channels, frames, folded=True))
                relu = f"{name}.dw.relu"
                layers.append(_same_shape(LayerKind.ACTIVATION, relu, channels, frames))
        if block.mixes:
            place = main_place(block, repeat, channels, seed)
            read = layers[-1].name if layers else before
            layers += _lower_mixer(place, frames, read, norm=True)
        else:
            layers.append(_convolution(block, f"{name}.conv", channels, frames, after, stride))
            layers.append(_batch_norm(f"{name}.bn", block.out_channels, after, folded=True))
        channels, frames = block.out_channels, after
        if repeat == block.repeats - 1 and block.skip is not None:
            # The sum reads the main path, which ends in its batch norm, and the last layer of the
            # skip, or without one (bare identity) the block's input. Either way that input is read
            # behind the whole main path, and takes memory until then.
            main = layers[-1].name
            skip = _lower_skip_mixer(block, block.skip, in_channels, in_frames, seed, before)
            layers += skip
            beside = skip[-1].name if skip else before
            layers.append(_sum(f"{block.name}.add", block.out_channels, frames, (main, beside)))
            for other, source in zip(block.skips_from, earlier, strict=True):
                layers += _lower_further_skip(block, other, source, frames, seed, layers[-1].name)
        layers.append(_same_shape(LayerKind.ACTIVATION, f"{name}.relu", channels, frames))
    if max(in_bins, block.kernel_bins) > 1:
        layers = list(_with_bins(layers, block, in_bins))
    if (block.weight_bits, block.activation_bits, in_bits) != (8, 8, 8):
        return _with_bits(layers, block, {before: in_bits}, earlier)
    return layers


def _lower_further_skip(
    block: Block, name: str, source: Source, frames: int, seed: int, sum_so_far: str
) -> list[Layer]:
    """The path from the input of a block before it, and the sum that it goes into."""
    place = further_skip_place(block, name, source.channels, seed)
    layers = _lower_mixer(place, frames, source.layer, norm=block.skip_norm)
    layers[0] = dataclasses.replace(layers[0], reads=(source.layer,))
    reads = (sum_so_far, layers[-1].name)
    return [*layers, _sum(f"{block.name}.add.{name}", block.out_channels, frames, reads)]


def _with_bins(layers: list[Layer], block: Block, in_bins: int) -> Iterator[Layer]:
    """The layers over frames of so many bins.

    Only what has a kernel of its own reads other bins than it makes: the depthwise layer or wide
    convolution of the first sub-block, which has the stride. No 1x1 has one (`Block` sees to that).
    """
    bins = in_bins
    kernels = {
        f"{block.name}.{at}.{kind}" for at in range(block.repeats) for kind in ("dw", "conv")
    }
    for layer in layers:
        changes: dict[str, Any] = {"in_bins": bins}
        if layer.name in kernels:
            stride = block.bin_stride if layer.name.split(".")[1] == "0" else 1
            changes |= {"kernel_bins": block.kernel_bins, "bin_stride": stride}
            bins = -(-bins // stride)
        yield dataclasses.replace(layer, out_bins=bins, **changes)


def _with_bits(
    layers: list[Layer], block: Block, bits: dict[str, int], earlier: Sequence[Source]
) -> list[Layer]:
    """The layers with the bits of their weights, and of the tensors that they read and write.

    Each reads what the one before it wrote, or what it names. A sum reads two tensors, and is
    priced at the wider one's bits. Trits and codes have bits of their own (`OWN_BITS`).
    """
    own = {f"{block.name}.skip"} if block.skip and block.skip.kind in OWN_BITS else set()
    if block.mixer.kind in OWN_BITS:
        own |= {f"{block.name}.{repeat}.pw" for repeat in range(block.repeats)}
    [previous] = bits
    bits = bits | {source.layer: source.bits for source in earlier}
    dense = {f"{block.name}.skip.{name}" for name in block.skips_from}
    found = []
    for layer in layers:
        read = max(bits[name] for name in layer.reads or (previous,))
        # What is done in line works on the tensor that it reads: of a bare skip, the block's input.
        made = read if layer.kind in IN_LINE else block.activation_bits
        changes: dict[str, Any] = {"input_bits": read, "output_bits": made}
        free = layer.name in dense or not any(layer.name.startswith(name) for name in own)
        if layer.weights in STORED - TRITS and free:
            changes["weight_bits"] = block.weight_bits
            if layer.matrix_bits is not None:  # a matrix of fewer numbers
                changes["matrix_bits"] = layer.matrix_bits // layer.weight_bits * block.weight_bits
        found.append(dataclasses.replace(layer, **changes))
        bits[layer.name] = made
        previous = layer.name
    return found


def _lower_skip_mixer(
    block: Block, skip: Mixer, in_channels: int, in_frames: int, seed: int, before: str
) -> list[Layer]:
    """The path around a block, from the layer that the block reads; empty for the bare identity."""
    place = skip_place(block, skip, in_channels, seed)
    layers = _lower_mixer(place, in_frames, before, norm=block.skip_norm)
    if layers:
        layers[0] = dataclasses.replace(layers[0], reads=(before,))
    return layers


def _lower_mixer(place: Place, in_frames: int, before: str, *, norm: bool) -> list[Layer]:
    """The layers of a 1x1 matrix, and its batch norm; none, some or all of them."""
    out_frames = output_frames(in_frames, place.stride)
    layers = list(MIXERS[place.mixer.kind].lower(place, in_frames, out_frames, before))
    if norm:
        # Gain and offset merge into weights that can take any value, not into -1, 0, +1, and into
        # those of the last matrix alone: a sum of two has none.
        folded = bool(layers) and layers[-1].weights in STORED - TRITS
        layers.append(_batch_norm(f"{place.name}.bn", place.out_channels, out_frames, folded))
    return layers


def lower_head(
    head: str,
    channels: int,
    frames: int,
    outputs: int,
    in_bits: int = INPUT_BITS,
    in_bins: int = 1,
) -> list[Layer]:
    """The layers after the blocks: scores, and which of them is the highest.

    Args:
        head: `pooled` averages over frames and scores once; `framewise` scores every frame.
        channels: of the last block.
        frames: of the last block.
        outputs: classes, or characters and blank.
        in_bits: of a value of the last block; the mean and the head's weights have eight.
        in_bins: of each frame of the last block, over which a pooled head averages, too.
    """
    pooled = head == "pooled"
    layers = []
    if pooled:
        layers.append(
            Layer(
                name="head.pool",
                kind=LayerKind.AVERAGE_POOL,
                in_channels=channels,
                out_channels=channels,
                in_frames=frames,
                out_frames=1,
                in_bins=in_bins,
                input_bits=in_bits,
            )
        )
        frames, in_bits = 1, INPUT_BITS
    layers.append(
        Layer(
            name="head.linear",
            kind=LayerKind.LINEAR if pooled else LayerKind.POINTWISE,
            in_channels=channels,
            out_channels=outputs,
            in_frames=frames,
            out_frames=frames,
            weights=WeightSource.TRAINED,
            bias=True,
            input_bits=in_bits,
        )
    )
    layers.append(_same_shape(LayerKind.ARGMAX, "head.argmax", outputs, frames))
    return layers


def _convolution(
    block: Block, name: str, in_channels: int, in_frames: int, out_frames: int, stride: int
) -> Layer:
    return Layer(
        name=name,
        kind=LayerKind.CONVOLUTION,
        in_channels=in_channels,
        out_channels=block.out_channels,
        in_frames=in_frames,
        out_frames=out_frames,
        kernel_size=block.kernel_size,
        stride=stride,
        dilation=block.dilation,
        groups=block.groups,
        weights=WeightSource.TRAINED,
    )


def _batch_norm(name: str, channels: int, frames: int, folded: bool) -> Layer:
    # Not a replaced copy: a sweep lowers ten thousand blocks, and a copy is checked twice.
    return _same_shape(LayerKind.BATCH_NORM, name, channels, frames, folded=folded)


def _sum(name: str, channels: int, frames: int, reads: tuple[str, ...]) -> Layer:
    return _same_shape(LayerKind.RESIDUAL_ADD, name, channels, frames, reads=reads)


def _same_shape(
    kind: LayerKind,
    name: str,
    channels: int,
    frames: int,
    *,
    folded: bool = False,
    reads: tuple[str, ...] = (),
) -> Layer:
    """A layer without weights, described by the shape of its input alone."""
    return Layer(
        name=name,
        kind=kind,
        in_channels=channels,
        out_channels=channels,
        in_frames=frames,
        out_frames=frames,
        folded=folded,
        reads=reads,
    )
