"""Column-row sampling: the gradient of a mixing layer's weights from a few of its inputs.

    z[t] = W h[t]        gradient of W = sum over t of g[t] h[t]^T        of h[t] = W^T g[t]

t runs over the T frames of all clips of a batch, g is the gradient of z. Only the gradient of W
asks for inputs of before, and it asks for all of them: they fill memory from the forward to the
backward pass. Of K frames that are drawn anew in each step, each kept with a factor f,

    gradient of W ~ sum over kept t of g[t] (f[t] h[t])^T

is the same in the mean, and the rest is forgotten. What the layer gives, and the gradients of its
inputs and of all other parameters given theirs, stay exact.

A frame that is drawn with chance p is kept as f = 1 / (K p) times itself. Its share of the sum is
|g[t]| |h[t]|, and chances in proportion to that would have the least variance; g is not known yet,
so they go by |h[t]|. Frames whose chance is large are kept for certain, once and with f = 1
("winners take all"); the others share what is left, so no frame stands for less than itself:

    C the winners, r = 1 - sum over C of p:      f = r / ((K - |C|) p) of each other one drawn

|C| is where r / (K - |C|) is least. Taking one more winner lowers that exactly if its p is larger
than it, that is, if more than one copy of the frame is expected among the K - |C| drawn.

Left out: the paper's cache of |g| for each training clip, of the epoch before. Here each epoch
shows a clip in another variant, shifted and with other holes, so its frames are not those of
before; and the table, of all layers and clips, would have to be in each checkpoint.

Sources: Liu et al., WTA-CRS, arXiv 2305.15265; column-row sampling, Drineas, Kannan & Mahoney,
SIAM J. Comput. 36 (2006) 132-157.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv1d_input

from dse.errors import InvalidDesign
from dse.networks.mixed_convolution import Factors, MixedConv1d
from dse.networks.network import ResidualBlock, SpeechNetwork
from dse.networks.network_2d import PixelNetwork
from dse.networks.ternary_convolution import TernaryConv1d


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which layers of a network keep a share of their inputs."""

    share: float
    """Of frames, above 0 and below 1."""
    layers: frozenset[nn.Module]

    def share_of(self, layer: nn.Module) -> float:
        """Of a layer's frames, what is kept; 1 of layers that are computed as they are."""
        return self.share if layer in self.layers else 1.0


def sampling_of(network: SpeechNetwork, share: float) -> Sampling | None:
    """The layers whose inputs nobody else keeps; None where all frames are kept.

    Those are the mixing layers behind a depthwise one, and in each product all factors behind the
    first. A skip, and a 1x1 block without depthwise layer, read what a ReLU wrote: that layer keeps
    it as its mask, and the depthwise layer beside the skip as its input, so a sample of it would be
    kept in addition. Frozen matrices are among the layers: of their inputs nothing is kept.

    Args:
        network: any.
        share: of frames that are kept, above 0, up to 1.

    Raises:
        InvalidDesign: a share below 1 of a network over bins.
    """
    if share == 1:
        return None
    if isinstance(network, PixelNetwork):
        raise InvalidDesign(
            f"kept_share {share:g} keeps a share of frames, and a design with in_bins has frames "
            "of bins: train it with kept_share 1"
        )
    found: list[nn.Module] = []
    for block in network.blocks.values():
        assert isinstance(block, ResidualBlock)
        for body in block.body:
            assert isinstance(body, nn.Sequential)
            *before, mixer, _ = body
            found += _sampled(mixer, alone=bool(before))
        if block.skip is not None:
            found += _sampled(block.skip[0], alone=False)
    return Sampling(share, frozenset(found))


def _sampled(mixer: nn.Module, *, alone: bool) -> list[nn.Module]:
    """Matrices at one place; the first of them only where its input is kept for it alone."""
    matrices = [mixer]
    if isinstance(mixer, Factors):
        matrices = [factor for factor in mixer if isinstance(factor, nn.Conv1d)]
    some = matrices if alone else matrices[1:]
    return [layer for layer in some if isinstance(layer, nn.Conv1d | MixedConv1d | TernaryConv1d)]


def draw(lengths: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    """Frames to keep, and the factor of each; draws from torch's global generator.

    The losers are drawn in strata: of (K - |C|) equal shares of their total chance, in the order of
    the frames, one is drawn from each. Every frame's chance is as if all were drawn from the whole,
    the variance is never larger, and hardly any frame is drawn twice. No number is brought to the
    processor for a decision, which on a GPU would wait for all that was queued before.

    Args:
        lengths: of the inputs, 2-norms, shape (frames,).
        kept: how many, 1 or more.

    Returns:
        Indices, int32 as they are kept, too, and factors, float32; both (min(kept, frames),).
    """
    frames, device = len(lengths), lengths.device
    if kept >= frames:
        return torch.arange(frames, dtype=torch.int32, device=device), lengths.new_ones(frames)
    # In float64: sums of some thousand chances are compared with each other. Where all inputs are
    # zero, so is the gradient, whatever is kept.
    chances = lengths.double()
    chances = chances / chances.sum().clamp_min(torch.finfo(torch.float64).tiny)
    largest, winners = chances.topk(kept)
    place = torch.arange(kept, device=device)
    left = 1 - functional.pad(largest.cumsum(0)[:-1], (1, 0))
    count = (left / (kept - place)).argmin()  # of winners: 0 to K - 1
    wins = place < count
    ends = chances.scatter(0, winners, largest.masked_fill(wins, 0.0)).cumsum(0)
    strata = (place - count + torch.rand(kept, dtype=torch.float64, device=device)) / (kept - count)
    at = strata.clamp(0, 1 - 2**-50) * ends[-1]  # below the end, or the last one found has p = 0
    drawn = torch.searchsorted(ends, at, right=True).clamp_max(frames - 1)
    index = torch.where(wins, winners, drawn)
    chance = ((kept - count) * chances[index]).clamp_min(torch.finfo(torch.float64).tiny)
    factors = torch.where(wins, 1.0, ends[-1] / chance)
    return index.int(), factors.float()


def lengths_of(values: Tensor, channels: int) -> Tensor:
    """2-norms over the channels, in float32: `vector_norm` takes 20 times as long across rows.

    Args:
        values: of any shape.
        channels: their axis.
    """
    return values.square().sum(channels, dtype=torch.float32).sqrt()


def kept_of(frames: int, share: float) -> int:
    """How many frames are kept: the share, rounded, and one at least."""
    return max(1, round(share * frames))


def grouped_gradient(gradient: Tensor, kept: Tensor, groups: int) -> Tensor:
    """Sum over kept frames, (O, C / groups).

    Args:
        gradient: (O, K), of the outputs at kept frames.
        kept: (C, K), those inputs times their factors.
        groups: of channels that are mixed among themselves.
    """
    rows = gradient.reshape(groups, -1, gradient.shape[1])
    columns = kept.view(groups, -1, kept.shape[1])
    return torch.bmm(rows, columns.transpose(1, 2)).flatten(0, 1)


def sampled_convolution(
    inputs: Tensor, weight: Tensor, *, share: float, stride: int = 1, groups: int = 1
) -> Tensor:
    """A 1x1 convolution without bias in torch's layout that keeps a share of its inputs.

    (N, C, T) -> (N, O, ceil(T / stride)), equal to `functional.conv1d` to the bit. In the numbers
    of autocast where that is on.

    Args:
        inputs: (N, C, T).
        weight: (O, C / groups, 1).
        share: of frames; of a weight without gradient nothing is kept.
        stride: frames from one output to the next.
        groups: of channels that are mixed among themselves.
    """
    if torch.is_autocast_enabled(inputs.device.type):
        dtype = torch.get_autocast_dtype(inputs.device.type)
        inputs, weight = inputs.to(dtype), weight.to(dtype)
    outputs: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
        weight, inputs, stride, groups, share
    )
    return outputs


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, inputs: Tensor, stride: int, groups: int, share: float
    ) -> Tensor:
        ctx.shape, ctx.stride, ctx.groups = inputs.shape, stride, groups
        kept = index = None
        if ctx.needs_input_grad[0]:
            read = inputs[:, :, ::stride]
            lengths = lengths_of(read, 1).flatten()
            index, factors = draw(lengths, kept_of(len(lengths), share))
            kept = _frames(read, index) * factors.to(inputs.dtype)
        ctx.save_for_backward(weight, kept, index)
        return functional.conv1d(inputs, weight, stride=stride, groups=groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, kept, index = ctx.saved_tensors
        gradient = gradients[0]
        to_weight = to_inputs = None
        if ctx.needs_input_grad[0]:
            to_weight = grouped_gradient(_frames(gradient, index), kept, ctx.groups)[:, :, None]
        if ctx.needs_input_grad[1]:
            to_inputs = conv1d_input(  # type: ignore[no-untyped-call]
                ctx.shape, weight, gradient, stride=ctx.stride, groups=ctx.groups
            )
        return to_weight, to_inputs, None, None, None


def _frames(values: Tensor, index: Tensor) -> Tensor:
    """Some frames of (N, C, T), counted clip by clip, as columns (C, K)."""
    frames = values.shape[2]
    return values[index // frames, :, index % frames].t().contiguous()


@contextmanager
def plain_sampled(sampling: Sampling) -> Iterator[None]:
    """Within, modules of the network compute as `sampling` says where they are called.

    Args:
        sampling: its layers are given another `forward` meanwhile.
    """
    for layer in sampling.layers:
        layer.forward = partial(_forward, layer, sampling.share)
    try:
        yield
    finally:
        for layer in sampling.layers:
            del layer.forward


def _forward(layer: nn.Module, share: float, inputs: Tensor) -> Tensor:
    if isinstance(layer, nn.Conv1d):
        assert layer.bias is None  # of mixing layers: the batch norm behind has one
        stride = layer.stride[0]
        return sampled_convolution(
            inputs, layer.weight, share=share, stride=stride, groups=layer.groups
        )
    assert isinstance(layer, MixedConv1d | TernaryConv1d)
    weight = layer.matrix()[:, :, None] if isinstance(layer, MixedConv1d) else layer.weight
    return sampled_convolution(inputs, weight.to(inputs.dtype), share=share, stride=layer.stride)
