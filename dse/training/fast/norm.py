"""Batch norm, residual sum and ReLU over (C, T, N): each channel is one contiguous row.

With m and v the mean and the variance of a channel over all its T N values, weight w and offset b,
residual r, and the normalised input z:

    z = (x - m) / sqrt(v + eps)          y = relu(w z + b + r)

Backwards, with g the gradient of y where y > 0 and 0 elsewhere, and <.> the mean over T N values:

    of x = w / sqrt(v + eps) (g - <g> - z <g z>)        of w = sum g z    of b = sum g    of r = g

So ReLU needs its output only, the norm its input and two numbers a channel; z is computed again
instead of kept. Everything here is limited by memory, not by arithmetic: what counts is how often a
tensor is read and written. Three layers in one function read and write it less often.

Source: Ioffe & Szegedy, arXiv 1502.03167.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dse.networks.padding import real_frames


@dataclass(frozen=True, slots=True)
class Real:
    """Which frames of a batch belong to an utterance (`dse.networks.padding`)."""

    mask: Tensor
    """(T, N), of the type of the activations: 1 at real frames, 0 at padding. A product with it is
    several times faster than a choice by a mask of bools."""
    count: int
    """Real frames."""

    @classmethod
    def of(cls, lengths: Tensor, frames: int, dtype: torch.dtype) -> "Real | None":
        """Of a padded batch; None where all frames are real.

        Args:
            lengths: (N,), frames of each utterance.
            frames: of the batch.
            dtype: of the activations.
        """
        count = int(lengths.sum())
        if count == frames * len(lengths):
            return None
        return cls(real_frames(lengths, frames).t().to(dtype).contiguous(), count)

    def every(self, stride: int) -> "Real":
        """Of the outputs of a layer of this stride."""
        if stride == 1:
            return self
        mask = self.mask[::stride].contiguous()
        return Real(mask, int(mask.count_nonzero()))


MOST_OFFSET = 16.0
"""Where mean^2 exceeds this times the variance, E[x^2] - mean^2 loses digits: see `_moments`."""


def norm(
    inputs: Tensor,
    module: nn.BatchNorm1d,
    residual: Tensor | None,
    relu: bool,
    real: Real | None = None,
) -> Tensor:
    """Batch norm as `module` in its mode does it, plus the residual, through a ReLU.

    Updates the module's running mean and variance in training mode, as torch does.

    Args:
        inputs: (C, T, N), contiguous.
        module: affine, with running statistics.
        residual: (C, T, N), or None.
        relu: without it, batch norm and sum alone.
        real: which frames are of an utterance; None where all are. Statistics are those of real
            frames, and with ReLU what is not real comes out as zero. Without ReLU it comes out as
            anything: such a norm stands on a skip, whose sum goes through one.

    Returns:
        (C, T, N), a tensor of its own: `inputs` and `residual` are not changed.

    Raises:
        ValueError: training mode and one value per channel, which cannot be compared.
    """
    if not module.training:
        return _norm_fixed(inputs, module, residual, relu, real)
    count = inputs.shape[1] * inputs.shape[2] if real is None else real.count
    if count < 2:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {inputs.shape}"
        )
    outputs: Tensor = _Norm.apply(  # type: ignore[no-untyped-call]
        inputs, module.weight, module.bias, residual, relu, module, real
    )
    return outputs


def _norm_fixed(
    inputs: Tensor,
    module: nn.BatchNorm1d,
    residual: Tensor | None,
    relu: bool,
    real: Real | None,
) -> Tensor:
    # One "clip" of C channels and T N frames: to torch it is (N, C, T) with N = 1, whose channels
    # are whole rows of memory.
    rows = inputs.view(1, inputs.shape[0], -1)
    outputs = nn.functional.batch_norm(
        rows,
        module.running_mean,
        module.running_var,
        module.weight,
        module.bias,
        False,
        0.0,
        module.eps,
    ).view(inputs.shape)
    if residual is not None:
        outputs = outputs + residual
    outputs = torch.relu(outputs) if relu else outputs
    return outputs if real is None or not relu else outputs * real.mask


class _Norm(torch.autograd.Function):
    """Training mode: the equations at the head of this module, forwards and backwards.

    Kept for the backward pass: the input (as rows), two numbers a channel, and with ReLU the
    output, which stands for its own mask (y > 0). The residual is not kept: nothing needs it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Tensor | None,
        relu: bool,
        module: nn.BatchNorm1d,
        real: Real | None,
    ) -> Tensor:
        ctx.real = real
        rows = (inputs if real is None else inputs * real.mask).view(1, inputs.shape[0], -1)
        mean, variance = _moments(rows) if real is None else _moments_of_real(rows, real)
        _update(module, mean, variance, rows.shape[2] if real is None else real.count)
        # Training statistics in, so that torch's evaluation mode applies them: one pass.
        outputs, _, _ = torch.native_batch_norm(
            rows, weight, bias, mean, variance, False, 0.0, module.eps
        )
        outputs = outputs.view(inputs.shape)
        if residual is not None:
            outputs.add_(residual)
        if relu:
            outputs.relu_()
            if real is not None:
                outputs.mul_(real.mask)
        # 1 / standard deviation, which is what torch's backward pass takes as `save_invstd`.
        deviation = (variance + module.eps).rsqrt_()
        ctx.save_for_backward(rows, weight, mean, deviation, *([outputs] if relu else []))
        ctx.eps = module.eps
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, mean, deviation, *outputs = ctx.saved_tensors
        gradient = gradients[0]
        if outputs:
            # Every gradient that arrives here was made for this layer alone
            # (`dse.training.fast.forward`), so it is changed in place; that of the pooling is one
            # number for all frames.
            target = gradient if gradient.is_contiguous() else torch.empty_like(outputs[0])
            torch.ops.aten.threshold_backward.grad_input(gradient, outputs[0], 0, grad_input=target)
            gradient = target
        gradient = gradient.contiguous()
        to_inputs, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradient.view(rows.shape),
            rows,
            weight,
            None,
            None,
            mean,
            deviation,
            True,
            ctx.eps,
            [True, True, True],
        )
        to_inputs = to_inputs.view(gradient.shape)
        if ctx.real is not None:
            to_inputs = _of_real(to_inputs, gradient, weight * deviation, ctx.real)
        to_residual = gradient if ctx.needs_input_grad[3] else None
        return to_inputs, to_weight, to_bias, to_residual, None, None, None


def _of_real(to_inputs: Tensor, gradient: Tensor, gain: Tensor, real: Real) -> Tensor:
    """The gradient of inputs whose statistics are of R real values among N, from torch's of all N.

    g is 0 at padding, as the output's own zeros mask it (a norm without ReLU gets the g of one that
    has it). So torch's sums over N values are sums over real ones, and only divide by the wrong
    number:

        torch's     d  = a (g - sum g / N - z sum(g z) / N)          a = w / sqrt(v + eps)
        wanted      d' = a (g - sum g / R - z sum(g z) / R)  =  (N / R) d + (1 - N / R) a g

    and 0 at padding.
    """
    ratio = real.mask.numel() / real.count
    if ratio == 1:
        return to_inputs
    gain = gain.to(gradient.dtype)[:, None, None]
    return to_inputs.mul_(real.mask * ratio).addcmul_(gradient, gain, value=1 - ratio)


def _update(module: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Running statistics, as torch keeps them: of the variance, the unbiased estimate.

    running <- (1 - momentum) running + momentum batch. The batch itself is normalised with the
    biased variance (divided by `count`), evaluation with the unbiased one (by `count` - 1).
    """
    assert module.num_batches_tracked is not None
    assert module.running_mean is not None and module.running_var is not None
    momentum = module.momentum or 0.0
    module.num_batches_tracked.add_(1)
    module.running_mean.lerp_(mean, momentum)
    module.running_var.lerp_(variance * (count / (count - 1)), momentum)


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, (C,) each, in float32 or more.

    Args:
        rows: (1, C, values).
    """
    if rows.dtype == torch.bfloat16:
        # Two passes with sums in float32; of wider numbers torch does the same 8 times as slowly.
        empty = torch.empty(rows.shape[1])
        mean, variance = torch.batch_norm_update_stats(rows, empty, empty.clone(), 0.0)
        return mean, variance
    # E[x^2] - mean^2 from two fast sums, as `torch.var_mean` takes 20 times as long; by deviations
    # from the mean where that would cancel. The difference has a relative error of about
    # eps (1 + mean^2 / variance): up to the limit of 16 it loses four of float32's 24 bits. It may
    # come out below zero by rounding, where the square root would give NaN: hence the clamp.
    mean = rows[0].mean(dim=1)
    square = torch.linalg.vector_norm(rows[0], dim=1).square() / rows.shape[2]
    variance = (square - mean.square()).clamp_(min=0)
    if bool((mean.square() > MOST_OFFSET * variance).any()):
        away = rows[0] - mean[:, None]
        variance = torch.linalg.vector_norm(away, dim=1).square() / rows.shape[2]
    return mean, variance


def _moments_of_real(rows: Tensor, real: Real) -> tuple[Tensor, Tensor]:
    """Mean and variance over R real values of N; the others are zero, and so add to no sum.

    Args:
        rows: (1, C, N), zero at padding.
        real: which are not.
    """
    ratio = rows.shape[2] / real.count
    mean, variance = _moments(rows)
    # Sums over all N are those over R: <x>_R = N/R <x>_N, likewise of squares.
    square = (variance + mean.square()) * ratio
    mean = mean * ratio
    variance = (square - mean.square()).clamp_(min=0)
    if bool((mean.square() > MOST_OFFSET * variance).any()):
        away = (rows[0] - mean[:, None].to(rows.dtype)) * real.mask.view(-1)
        lengths = torch.linalg.vector_norm(away, dim=1, dtype=mean.dtype)
        variance = lengths.square() / real.count
    return mean, variance
