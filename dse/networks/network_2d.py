"""View 2 of a design whose frames have bins: the torch network of two dimensions that is trained.

The features of a frame, which a network of one dimension reads as channels, are bins here, and
convolutions move over frames and bins, in (N, C, frames, bins):

    (N, features, frames) -> (N, channels, frames, bins) -> blocks -> mean over both -> linear

A block is that of `dse.networks.network`, with kernels, strides and norms of two dimensions, and
with `depthwise_norm` a norm and a ReLU behind the depthwise layer, too. Mixing layers are the same
modules: a 1x1 mixes the channels of a pixel, wherever that stands.

Padding is TensorFlow's SAME, of each dimension by itself, so that T frames become ceil(T / s):

    all = max((ceil(T / s) - 1) s + d (K - 1) + 1 - T, 0),    all // 2 of it before the first frame

For an odd kernel of stride 1 that is as much on both sides. For an even one, or where a stride
leaves a remainder, one more stands behind: of 10 bins, a kernel of 3 and a stride of 2 pad 0 and 1,
where a padding of 1 on both sides would let windows begin at -1, 1, 3 and not at 0, 2, 4.

Source: Zhang et al., Hello Edge, arXiv 1711.07128; its authors' program is TensorFlow's.
"""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from dse.design.mixer import Mixer
from dse.design.places import Place, main_place, skip_place
from dse.design.point import Block, DesignPoint
from dse.networks.mixers import MIXERS
from dse.networks.network import (
    BATCH_NORM_EPS,
    BATCH_NORM_MOMENTUM,
    PooledHead,
    SpeechNetwork,
)
from dse.networks.ternary_convolution import TernaryConv1d

Pair = tuple[int, int]
"""Of frames, of bins."""


class PixelNetwork(SpeechNetwork):
    """The network of a design whose frames have bins: (N, features, frames) -> class scores."""

    def __init__(self, point: DesignPoint, outputs: int) -> None:
        """Build all blocks and the head; weights are drawn from torch's global generator."""
        super().__init__(point, outputs)
        self.bins = point.in_bins

    def build_blocks(self, point: DesignPoint) -> None:
        """Those of two dimensions."""
        channels = point.in_channels
        for block in point.blocks:
            self.blocks[block.name] = PixelBlock(block, channels, point.ternary_seed)
            channels = block.out_channels

    def forward(self, features: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """(N, features, frames) -> (N, outputs); feature c * bins + b is bin b of channel c.

        Args:
            features: of N clips.
            lengths: None: padding counts like all else in the average.
        """
        if lengths is not None:
            raise ValueError("a pooled head counts frames of padding: give it no lengths")
        clips, _, frames = features.shape
        return self.of_pixels(features.reshape(clips, -1, self.bins, frames).transpose(2, 3))

    def of_pixels(self, values: torch.Tensor) -> torch.Tensor:
        """(N, channels, frames, bins) -> (N, outputs)."""
        for block in self.blocks.values():
            values = block(values)
        assert isinstance(self.head, PooledHead)
        scores: torch.Tensor = self.head.linear(values.mean(dim=(2, 3)))
        return scores


class PixelMixer(nn.Module):
    """A 1x1 matrix on every pixel: (N, C, T, B) -> (N, O, ceil(T / s), B).

    The mixing layer is one of (N, C, T), and runs on all pixels in a row; its stride is taken
    before, as a row of pixels would stride over bins. A ternary one knows pixels by itself.
    """

    def __init__(self, layer: nn.Module, stride: int) -> None:
        """Take a layer of stride 1, and the stride that is taken before it."""
        super().__init__()
        self.layer, self.stride = layer, stride

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Mix the channels of each pixel."""
        if self.stride > 1:
            inputs = inputs[:, :, :: self.stride]
        if isinstance(self.layer, TernaryConv1d):
            made: torch.Tensor = self.layer(inputs)
            return made
        mixed: torch.Tensor = self.layer(inputs.flatten(2))
        return mixed.view(*mixed.shape[:2], *inputs.shape[2:])


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded so that T frames become ceil(T / stride), and bins too."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Pair, stride: Pair, dilation: Pair, groups: int
    ) -> None:
        """Draw weights; what is padded follows from each input."""
        super().__init__(
            inputs, outputs, kernel, stride=stride, dilation=dilation, groups=groups, bias=False
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, C, T, B) -> (N, O, ceil(T / s), ceil(B / s'))."""
        sizes = zip(inputs.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True)
        pads = [same_padding(*each) for each in sizes]
        if all(before == after for before, after in pads):
            padding = [before for before, _ in pads]
        else:
            padding = [0, 0]
            (above, below), (left, right) = pads
            inputs = functional.pad(inputs, (left, right, above, below))
        return functional.conv2d(
            inputs, self.weight, None, self.stride, padding, self.dilation, self.groups
        )


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    """Zeros before and behind one dimension, as TensorFlow's SAME has them.

    Args:
        size: of the input.
        kernel: its taps.
        stride: from one output to the next.
        dilation: from one tap to the next.
    """
    windows = -(-size // stride)
    padded = max((windows - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return padded // 2, padded - padded // 2


class PixelBlock(nn.Module):
    """Sub-blocks in a row and the skip around them, in two dimensions.

    `body[r]` is a Sequential whose last layer is the batch norm, as in `ResidualBlock`, which it is
    not: what walks through those knows one dimension.
    """

    def __init__(self, block: Block, in_channels: int, seed: int) -> None:
        """Build the sub-blocks of `block` for inputs of `in_channels`."""
        super().__init__()
        self.stride = block.stride
        self.body = nn.ModuleList()
        channels = in_channels
        for repeat in range(block.repeats):
            self.body.append(nn.Sequential(*_sub_block(block, repeat, channels, seed)))
            channels = block.out_channels
        self.skip = None
        if block.skip is not None:
            place = skip_place(block, block.skip, in_channels, seed)
            norms = [_batch_norm(block.out_channels)] if block.skip_norm else []
            self.skip = nn.Sequential(_mixer(block.skip, place), *norms)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(block.dropout)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, T, B) -> (N, out_channels, ceil(T / stride), ceil(B / bin_stride))."""
        outputs = inputs
        for index, sub_block in enumerate(self.body):
            outputs = sub_block(outputs)
            if index == len(self.body) - 1 and self.skip is not None:
                outputs = outputs + self.skip(inputs)
            outputs = self.dropout(self.relu(outputs))
        return outputs


def _sub_block(block: Block, repeat: int, channels: int, seed: int) -> list[nn.Module]:
    """(N, channels, T, B) -> (N, block.out_channels, ...), without skip and last ReLU."""
    sizes = (
        (block.kernel_size, block.kernel_bins),
        (block.stride, block.bin_stride) if repeat == 0 else (1, 1),
        (block.dilation, 1),
    )
    layers: list[nn.Module] = []
    if block.separable:
        layers.append(SameConv2d(channels, channels, *sizes, groups=channels))
    if block.depthwise_norm:
        layers += [_batch_norm(channels), nn.ReLU(inplace=True)]
    if block.mixes:
        layers.append(_mixer(block.mixer, main_place(block, repeat, channels, seed)))
    else:
        layers.append(SameConv2d(channels, block.out_channels, *sizes, groups=block.groups))
    return [*layers, _batch_norm(block.out_channels)]


def _mixer(mixer: Mixer, place: Place) -> nn.Module:
    """The mixing layer of a place, for pixels; a dense one is a kernel of one pixel."""
    if mixer.kind == "dense":
        return nn.Conv2d(
            place.in_channels,
            place.out_channels,
            kernel_size=1,
            stride=(place.stride, 1),
            groups=place.groups,
            bias=False,
        )
    layer = MIXERS[mixer.kind].build(dataclasses.replace(place, stride=1))
    return PixelMixer(layer, place.stride)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
