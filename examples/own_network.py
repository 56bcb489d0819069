"""A network of one's own: `dse estimate examples/own_network.py:build` prices it.

A small keyword spotter of separable convolutions over 40 features a frame, in plain PyTorch.
`build_ternary` is the same with generated 1x1 matrices.
"""

import torch
from torch import Tensor, nn

import dse

CLASSES = 12


class Block(nn.Module):
    """Depthwise convolution and 1x1, with a sum around them where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Build the layers; the stride is the depthwise one's."""
        super().__init__()
        self.depthwise = nn.Conv1d(inputs, inputs, 9, stride, padding=4, groups=inputs, bias=False)
        self.mix = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.keeps = inputs == outputs and stride == 1

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, inputs, T) -> (N, outputs, T / stride)."""
        outputs = self.norm(self.mix(self.depthwise(inputs)))
        return torch.relu(outputs + inputs if self.keeps else outputs)


class Spotter(nn.Module):
    """Features of a second of speech to scores of twelve words."""

    def __init__(self) -> None:
        """Build four blocks between a first convolution and the scores."""
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv1d(40, 64, 3, padding=1, bias=False), nn.BatchNorm1d(64), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            Block(64, 64, 2), Block(64, 64, 1), Block(64, 96, 2), Block(96, 96, 1)
        )
        self.scores = nn.Linear(96, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        """(N, 40, T) -> (N, 12)."""
        outputs: Tensor = self.scores(self.blocks(self.first(features)).mean(dim=-1))
        return outputs


def build() -> tuple[nn.Module, Tensor]:
    """The network, and an example of what it reads: one clip, 40 features, 98 frames of 10 ms."""
    return Spotter(), torch.zeros(1, 40, 98)


def build_ternary() -> tuple[nn.Module, Tensor]:
    """The same network, whose 1x1 convolutions of the blocks are generated from a seed."""
    network, example = build()
    return dse.ternarise(network, "blocks.*.mix", density=0.25, seed=1), example
