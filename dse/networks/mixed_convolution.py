"""What mixing layers are built of in torch: one matrix made of other numbers, or several in a row.

    MixedConv1d    y[:, t] = M(p) x[:, s t]        M a matrix that is a function of parameters p
    Factors        y = F_k P ... P F_1 x           grouped convolutions, shuffles between them

A `MixedConv1d` makes its whole matrix anew in each step, which costs m n numbers beside m n T N
products for N clips of T frames, and is multiplied like a dense one: what it saves is storage, or
training, not time on this computer. Gradients pass through the making to the parameters.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional


class MixedConv1d(nn.Module, ABC):
    """A 1x1 convolution whose matrix is made of other numbers than its entries."""

    def __init__(self, stride: int) -> None:
        """Remember frames from one output to the next."""
        super().__init__()
        self.stride = stride

    @abstractmethod
    def matrix(self) -> Tensor:
        """The matrix, (out_channels, in_channels), float32; differentiable where it is trained."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, in_channels, T) -> (N, out_channels, ceil(T / stride))."""
        matrix = self.matrix()[:, :, None].to(inputs.dtype)
        return functional.conv1d(inputs, matrix, stride=self.stride)


class Shuffle(nn.Module):
    """Channels dealt out like cards: number g (C / G) + j becomes j G + g.

    A fixed permutation, so a machine does it by where it writes. What a group of consecutive
    channels reads behind it comes from all groups before it, in equal shares:

        3 groups of 4   0 1 2 3 | 4 5 6 7 | 8 9 10 11    ->    0 4 8 1 | 5 9 2 6 | 10 3 7 11
    """

    def __init__(self, groups: int) -> None:
        """Remember the number of groups, which divides the channels."""
        super().__init__()
        self.groups = groups

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, T) -> (N, C, T)."""
        clips, channels, frames = inputs.shape
        grouped = inputs.view(clips, self.groups, channels // self.groups, frames)
        return grouped.transpose(1, 2).reshape(clips, channels, frames)

    def order(self, channels: int) -> Tensor:
        """Which channel stands at each place behind it, (channels,)."""
        return torch.arange(channels).view(self.groups, -1).t().reshape(-1)


class Factors(nn.Sequential):
    """A matrix as a product: convolutions of one frame, and shuffles.

    There is neither norm nor ReLU between factors, and the batch norm behind the last one cannot
    bring back what has vanished before it. So each factor begins with a gain of about one: uniform
    weights of variance 1 / (inputs that an output hears). Xavier's rule counts all channels of a
    grouped convolution as heard: six factors in a row would begin at 10^-4 of the input.
    """

    def reset(self) -> None:
        """Draw the weights of all factors from torch's global generator."""
        for layer in self:
            if isinstance(layer, nn.Conv1d):
                bound = (3 / layer.weight.shape[1]) ** 0.5
                nn.init.uniform_(layer.weight, -bound, bound)

    def pieces(self) -> "list[WholeMatrix]":
        """Each convolution with the shuffle behind it as one matrix, in their order."""
        found: list[WholeMatrix] = []
        for layer in self:
            if isinstance(layer, Shuffle):
                last = found[-1]
                order = layer.order(len(last.weight))
                found[-1] = WholeMatrix(last.weight[order], last.stride)
            else:
                assert isinstance(layer, nn.Conv1d)
                found.append(WholeMatrix(whole_matrix(layer), layer.stride[0]))
        return found

    def product(self) -> "WholeMatrix":
        """All of them multiplied out."""
        pieces = self.pieces()
        whole = pieces[0].weight
        for piece in pieces[1:]:
            whole = piece.weight @ whole
        return WholeMatrix(whole, pieces[0].stride)


class WholeMatrix(MixedConv1d):
    """A matrix as it is: what a piece of a product comes to, zeros between groups included."""

    def __init__(self, weight: Tensor, stride: int) -> None:
        """Take it over, (outputs, inputs)."""
        super().__init__(stride)
        self.weight = weight.detach()

    def matrix(self) -> Tensor:
        """That."""
        return self.weight


def whole_matrix(layer: nn.Conv1d) -> Tensor:
    """The matrix of a grouped convolution of one frame with zeros between groups."""
    blocks = layer.weight[:, :, 0].view(layer.groups, -1, layer.weight.shape[1])
    whole: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return whole
