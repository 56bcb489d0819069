"""The scores of a network whose weights and activations are rounded, with gradients.

What `dse.training.integer` makes whole numbers of is rounded here, in floats, at the same points:

    x -> [depthwise] -> round -> [1x1] -> batch norm -> (+ skip) -> ReLU -> round ->
          rounded w             rounded w   unrounded: it is in the factor that follows a sum

so a network that trains like this learns to live with few bits. The step of a tensor is that of
its batch, not of calibration clips, and sums are floats: the integer network is near to it, and not
the same. It computes in torch's own layout, by plain convolutions: slower than `dse.training.fast`,
and meant for the last epochs only (`Recipe.rounded_share`).
"""

from torch import Tensor, nn
from torch.nn import functional

from dse.design.mixer import DENSE
from dse.design.places import check_one_dimension
from dse.design.point import Block, DesignPoint
from dse.networks.mixed_convolution import Factors, MixedConv1d
from dse.networks.network import PooledHead, ResidualBlock, SpeechNetwork, check_own_skips
from dse.networks.padding import norm_of_real, real_frames
from dse.training.rounding import activation_step, round_to, weight_steps
from dse.training.sampled import Sampling, sampled_convolution


def rounded_scores(
    network: SpeechNetwork,
    point: DesignPoint,
    features: Tensor,
    sampling: Sampling | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Scores of clips, in training or evaluation mode.

    Args:
        network: of the point; its parameters stay in floats.
        point: says the bits of each block.
        features: (N, features, frames), normalised.
        sampling: which layers keep a share of their inputs.
        lengths: (N,), frames of each clip that are real, for a framewise head; None where all are.

    Returns:
        (N, outputs), or (N, outputs, frames) of a framewise head.
    """
    check_one_dimension(point, "training with fewer bits than eight")
    real = None
    if lengths is not None:
        if isinstance(network.head, PooledHead):
            raise ValueError("a pooled head counts frames of padding: give it no lengths")
        real = real_frames(lengths.to(features.device), features.shape[2])
        features = features * real[:, None]
    values = rounded(features, 8)
    for block in point.blocks:
        module = network.blocks[block.name]
        assert isinstance(module, ResidualBlock)
        real = None if real is None else real[:, :: block.stride]
        values = _block(module, block, values, sampling, real)
    if not isinstance(network.head, PooledHead):
        assert isinstance(network.head, nn.Conv1d)
        return _convolution(network.head, values, 8, None)
    linear = network.head.linear
    mean = rounded(values.mean(dim=2), 8)
    return functional.linear(mean, _weights(linear.weight, 8), linear.bias)


def _block(
    module: ResidualBlock,
    block: Block,
    inputs: Tensor,
    sampling: Sampling | None,
    real: Tensor | None,
) -> Tensor:
    check_own_skips(module)
    values, bits = inputs, block.activation_bits
    for index, body in enumerate(module.body):
        assert isinstance(body, nn.Sequential)
        *layers, norm = body
        if block.separable:
            values = rounded(rounded_layer(layers[0], values, block.weight_bits, bits), bits)
        mixed = rounded_layer(layers[-1], values, block.bits_of(block.mixer), bits, sampling)
        values = _normed(norm, mixed, real)
        if index == len(module.body) - 1 and module.skip is not None:
            mixer = block.skip or DENSE
            first, *norms = module.skip
            around = rounded_layer(first, inputs, block.bits_of(mixer), bits, sampling)
            for layer in norms:
                around = _normed(layer, around, real)
            if mixer.kind != "identity":  # one that meets another path is not rounded by itself
                around = rounded(around, bits)
            values = rounded(values, bits) + around
        values = module.dropout(rounded(functional.relu(values), bits))
        if real is not None:
            values = values * real[:, None]
    return values


def _normed(norm: nn.Module, values: Tensor, real: Tensor | None) -> Tensor:
    if real is not None:
        return norm_of_real(norm, values, real)
    found: Tensor = norm(values)
    return found


def rounded_layer(
    layer: nn.Module,
    inputs: Tensor,
    weight_bits: int,
    made_bits: int,
    sampling: Sampling | None = None,
) -> Tensor:
    """A matrix or convolution with its weights rounded; of a product, what stands between, too.

    Args:
        layer: of a `ResidualBlock`.
        inputs: (N, in_channels, T).
        weight_bits: of its weights.
        made_bits: of tensors between factors.
        sampling: which layers keep a share of their inputs.
    """
    if isinstance(layer, nn.Conv1d):
        return _convolution(layer, inputs, weight_bits, sampling)
    if isinstance(layer, MixedConv1d):
        matrix = _weights(layer.matrix(), weight_bits)[:, :, None]
        if sampling is not None and layer in sampling.layers:
            return sampled_convolution(inputs, matrix, share=sampling.share, stride=layer.stride)
        return functional.conv1d(inputs, matrix, stride=layer.stride)
    if isinstance(layer, Factors):
        for number, factor in enumerate(layer):
            if number and isinstance(factor, nn.Conv1d):
                inputs = rounded(inputs, made_bits)
            inputs = rounded_layer(factor, inputs, weight_bits, made_bits, sampling)
        return inputs
    outputs: Tensor = layer(inputs)  # trits, an identity, a shuffle: nothing to round
    return outputs


def _convolution(layer: nn.Conv1d, inputs: Tensor, bits: int, sampling: Sampling | None) -> Tensor:
    weight = _weights(layer.weight, bits)
    if sampling is not None and layer in sampling.layers:
        return sampled_convolution(
            inputs, weight, share=sampling.share, stride=layer.stride[0], groups=layer.groups
        )
    return functional.conv1d(
        inputs,
        weight,
        layer.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    )


def _weights(weight: Tensor, bits: int) -> Tensor:
    steps = weight_steps(weight, bits)
    return round_to(weight, steps.view(-1, *(1 for _ in weight.shape[1:])), bits)


def rounded(values: Tensor, bits: int) -> Tensor:
    """A tensor of activations in few bits, by a step of its own."""
    return round_to(values, activation_step(values, bits), bits)
