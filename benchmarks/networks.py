"""Networks as the peer tools' runners need them: layers with a weight tensor, and options."""

import argparse
import dataclasses
from typing import Any

from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, WeightSource, Workload
from dse.design.published import published
from dse.networks.lowering import lower

KIND_NAMES = {
    LayerKind.DEPTHWISE: "dw",
    LayerKind.POINTWISE: "pw",
    LayerKind.CONVOLUTION: "conv",
    LayerKind.LINEAR: "fc",
}
"""Kinds as the figures under `tests/cost_models/oracles` name them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that choose a network and the size of one inference."""
    parser.add_argument(
        "--network",
        required=True,
        help="such as matchboxnet-3x2x64; or ds-cnn-s, of two dimensions",
    )
    parser.add_argument("--frames", type=int, default=128, help="input frames of one inference")
    parser.add_argument("--outputs", type=int, default=35, help="classes")
    parser.add_argument("--first-stride", type=int, help="stride of the first block")


def convolutions(options: argparse.Namespace) -> list[Layer]:
    """Layers with a weight tensor of the network that the options choose, in order of execution.

    Raises:
        InvalidDesign: there is no such network, or it cannot have that size.
    """
    if options.network == "ds-cnn-s":
        layers = ds_cnn_s(options.outputs).layers
        return [layer for layer in layers if layer.kind in CONVOLUTIONS]
    point = published(options.network)
    if options.first_stride is not None:
        first = dataclasses.replace(point.blocks[0], stride=options.first_stride)
        point = dataclasses.replace(point, blocks=(first, *point.blocks[1:]))
    layers = lower(point, frames=options.frames, outputs=options.outputs).layers
    return [layer for layer in layers if layer.kind in CONVOLUTIONS]


def ds_cnn_s(outputs: int = 12) -> Workload:
    """DS-CNN-S of Hello Edge (arXiv 1711.07128, table 7): 49 frames of 10 MFCCs, 64 channels.

    A convolution of 10 x 4 taps, stride 2 x 2, then four times 3 x 3 depthwise and 1x1, all padded;
    the average of all pixels, and a linear layer.
    """

    def convolution(name: str, kind: LayerKind, **changes: Any) -> Layer:
        sizes = {"in_channels": 64, "out_channels": 64, "in_frames": 25, "out_frames": 25}
        sizes |= {"in_bins": 5, "out_bins": 5}
        return Layer(
            name=name, kind=kind, weights=WeightSource.TRAINED, bias=True, **(sizes | changes)
        )

    first = {"in_channels": 1, "in_frames": 49, "in_bins": 10}
    kernel = {"kernel_size": 10, "kernel_bins": 4, "stride": 2, "bin_stride": 2}
    layers = [convolution("conv", LayerKind.CONVOLUTION, **first, **kernel)]
    square = {"kernel_size": 3, "kernel_bins": 3, "groups": 64}
    for block in range(1, 5):
        layers.append(convolution(f"dw{block}", LayerKind.DEPTHWISE, **square))
        layers.append(convolution(f"pw{block}", LayerKind.POINTWISE))
    ends = {"in_channels": 64, "in_frames": 1, "out_frames": 1}
    layers.append(
        Layer(
            name="pool",
            kind=LayerKind.AVERAGE_POOL,
            out_channels=64,
            in_bins=5,
            **(ends | {"in_frames": 25}),
        )
    )
    layers.append(
        Layer(
            name="fc",
            kind=LayerKind.LINEAR,
            out_channels=outputs,
            weights=WeightSource.TRAINED,
            bias=True,
            **ends,
        )
    )
    return Workload("ds-cnn-s", tuple(layers))
