"""Networks as the peer tools' runners need them: layers with a weight tensor, and options."""

import argparse
import dataclasses

from cost_models.workload import CONVOLUTIONS, Layer, LayerKind
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
    parser.add_argument("--network", required=True, help="such as matchboxnet-3x2x64")
    parser.add_argument("--frames", type=int, default=128, help="input frames of one inference")
    parser.add_argument("--outputs", type=int, default=35, help="classes")
    parser.add_argument("--first-stride", type=int, help="stride of the first block")


def convolutions(options: argparse.Namespace) -> list[Layer]:
    """Layers with a weight tensor of the network that the options choose, in order of execution.

    Raises:
        InvalidDesign: there is no such network, or it cannot have that size.
    """
    point = published(options.network)
    if options.first_stride is not None:
        first = dataclasses.replace(point.blocks[0], stride=options.first_stride)
        point = dataclasses.replace(point, blocks=(first, *point.blocks[1:]))
    layers = lower(point, frames=options.frames, outputs=options.outputs).layers
    return [layer for layer in layers if layer.kind in CONVOLUTIONS]
