"""A whole network in (C, T, N).

What each layer becomes, with C channels, T frames, N clips:

    1x1, dense or ternary    (O, C) @ (C, T N), one product            `pointwise`
    1x1, made otherwise      its matrix, then likewise; or its factors in a row
    depthwise                C products (B, columns) @ (columns, N)    `depthwise`
    norm + skip + ReLU       passes over rows of T N values            `norm`
    pooled head              mean over T, then (N, C) @ (C, outputs)   `_Pool`
    anything else            permuted to (N, C, T), run as it is, and back

A network over bins, too, (`dse.networks.network_2d`) runs as it is written: this layout has no room
for a second dimension.

The walk over blocks repeats `ResidualBlock.forward`: a change of the order of operations there must
be made here too. Tests hold one against the other.
"""

from typing import Any

import torch
from torch import Tensor, nn

from dse.networks.mixed_convolution import Factors, MixedConv1d, Shuffle
from dse.networks.network import PooledHead, ResidualBlock, SpeechNetwork, check_own_skips
from dse.networks.network_2d import PixelNetwork
from dse.networks.ternary_convolution import TernaryConv1d
from dse.training.fast.depthwise import depthwise
from dse.training.fast.dropout import dropout
from dse.training.fast.norm import Real, norm
from dse.training.fast.pointwise import pointwise
from dse.training.sampled import Sampling


def fast_scores(
    network: SpeechNetwork,
    features: Tensor,
    dtype: torch.dtype = torch.float32,
    sampling: Sampling | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """What `network(features, lengths)` gives, with the same gradients and running statistics.

    Equal but for rounding; with dropout, equal in distribution.

    Args:
        network: in training or evaluation mode; its parameters stay in float32.
        features: (N, features, frames).
        dtype: of activations and matrix products; batch statistics are always float32.
        sampling: which layers keep a share of their inputs, so that gradients of their weights are
            estimates; none where it is None.
        lengths: (N,), frames of each clip that are real, for a framewise head; None where all are.

    Returns:
        (N, outputs), or (N, outputs, frames) of a framewise head; of type `dtype`.
    """
    if isinstance(network, PixelNetwork):
        with torch.autocast(features.device.type, dtype, enabled=dtype != torch.float32):
            scores: Tensor = network(features, lengths)
        return scores.to(dtype)
    # (N, C, T) -> (N, C T) -> (C T, N) -> (C, T, N). As the transpose of a matrix, which is copied
    # in tiles, four times as fast as a permutation.
    values = features.to(dtype).flatten(1).t().contiguous().view(*features.shape[1:], -1)
    real = None
    if lengths is not None:
        if isinstance(network.head, PooledHead):
            raise ValueError("a pooled head counts frames of padding: give it no lengths")
        real = Real.of(lengths.to(features.device), features.shape[2], dtype)
        values = values if real is None else values * real.mask
    for block in network.blocks.values():
        assert isinstance(block, ResidualBlock)
        real = None if real is None else real.every(block.stride)
        values = _block(block, values, sampling, real)
    if isinstance(network.head, PooledHead):
        pooled = _Pool.apply(values).t()  # type: ignore[no-untyped-call]
        return nn.functional.linear(
            pooled, network.head.linear.weight.to(dtype), _cast(network.head.linear.bias, dtype)
        )
    scores = _layer(network.head, values)
    return scores.permute(2, 0, 1)


def _block(
    block: ResidualBlock, inputs: Tensor, sampling: Sampling | None, real: Real | None
) -> Tensor:
    """(in_channels, T, N) -> (out_channels, ceil(T / stride), N).

    The last layer of a sub-block is its batch norm, which takes the skip and the ReLU along, and
    makes zeros of what is not `real` of the outputs.
    """
    check_own_skips(block)
    values = inputs
    last = len(block.body) - 1
    for index, sub_block in enumerate(block.body):
        assert isinstance(sub_block, nn.Sequential)
        *layers, batch_norm = sub_block
        assert isinstance(batch_norm, nn.BatchNorm1d)
        for layer in layers:
            values = _layer(layer, values, sampling)
        residual = None
        if index == last and block.skip is not None:
            residual = inputs
            for layer in block.skip:
                residual = _layer(layer, residual, sampling, real)
        values = norm(values, batch_norm, residual, relu=True, real=real)
        if block.training and block.dropout.p:
            values = dropout(values, block.dropout.p)
    return values


def _layer(
    layer: nn.Module,
    inputs: Tensor,
    sampling: Sampling | None = None,
    real: Real | None = None,
) -> Tensor:
    """One layer; a kind that is not known here is run in the layout it was written for."""
    if isinstance(layer, nn.Identity):
        return inputs
    if isinstance(layer, nn.BatchNorm1d):
        return norm(inputs, layer, None, relu=False, real=real)
    share = 1.0 if sampling is None else sampling.share_of(layer)
    if isinstance(layer, TernaryConv1d):
        return pointwise(inputs, layer.weight[:, :, 0].to(inputs.dtype), stride=layer.stride)
    if isinstance(layer, MixedConv1d):
        matrix = layer.matrix().to(inputs.dtype)
        return pointwise(inputs, matrix, stride=layer.stride, share=share)
    if isinstance(layer, Factors):
        for factor in layer:
            inputs = _layer(factor, inputs, sampling)
        return inputs
    if isinstance(layer, Shuffle):
        grouped = inputs.view(layer.groups, -1, *inputs.shape[1:])
        return grouped.transpose(0, 1).reshape(inputs.shape)
    if isinstance(layer, nn.Conv1d):
        outputs = _convolution(layer, inputs, share)
        if layer.bias is not None:
            outputs = outputs + layer.bias.to(inputs.dtype)[:, None, None]
        return outputs
    other: Tensor = layer(inputs.permute(2, 0, 1))
    return other.permute(1, 2, 0).contiguous()


def _convolution(layer: nn.Conv1d, inputs: Tensor, share: float) -> Tensor:
    """By its kind: 1x1, depthwise, or whatever else torch computes in (N, C, T)."""
    weight = layer.weight.to(inputs.dtype)
    (taps,), (stride,), (dilation,) = layer.kernel_size, layer.stride, layer.dilation
    if taps == 1:
        return pointwise(inputs, weight[:, :, 0], groups=layer.groups, stride=stride, share=share)
    if layer.groups == layer.in_channels == layer.out_channels:
        return depthwise(inputs, weight[:, 0], stride=stride, dilation=dilation)
    outputs = nn.functional.conv1d(
        inputs.permute(2, 0, 1),
        weight,
        None,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    )
    return outputs.permute(1, 2, 0).contiguous()


class _Pool(torch.autograd.Function):
    """Mean over frames, (C, T, N) -> (C, N); its gradient is spread by a view, not by a copy.

    All frames of the view share one number in memory: whoever takes this gradient must not write to
    it in place (`_Norm.backward` looks whether it is contiguous first).
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.frames = values.shape[1]
        return values.mean(dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        spread: Tensor = gradients[0][:, None] / ctx.frames
        return spread.expand(-1, ctx.frames, -1)


def _cast(values: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if values is None else values.to(dtype)
