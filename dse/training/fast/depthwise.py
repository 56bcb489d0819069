"""Depthwise convolution as banded (Toeplitz) matrix products, one per channel.

For kernel w of K taps, dilation d, stride s and padding p,

    y[c, o, n] = sum_k w[c, k] x[c, o s + k d - p, n]  =  sum_i M[c, o, i] x[c, i - p, n]
    M[c, o, o s + k d] = w[c, k], zero elsewhere

so M times all clips, one a column, gives all frames at once. For K = 3, B = 4 and d = 1, M of one
channel is, at stride 1 and at stride 2 (dots are zeros that are multiplied all the same):

    w0 w1 w2 .  .  .            w0 w1 w2 .  .  .  .  .  .
    .  w0 w1 w2 .  .            .  .  w0 w1 w2 .  .  .  .
    .  .  w0 w1 w2 .            .  .  .  .  w0 w1 w2 .  .
    .  .  .  w0 w1 w2           .  .  .  .  .  .  w0 w1 w2

It has B rows (output frames) and (B - 1) s + (K - 1) d + 1 columns (input frames). The clip is cut
into blocks of B outputs, each with the inputs that it needs, which stand in one piece as clips are
the last axis. The product takes about (B + (K - 1) d) / K times the multiplications of the
convolution and is still several times faster, as it runs at the speed of matrix products, forwards
and backwards. Every block has the same M; only at the ends of the clip its columns are cut.

Both ways between w and M are one strided view: a step in o is a row and s columns, one in k is d
columns.

Backwards, with g the gradient of y, both gradients are products of the same shapes:

    gradient of x = M^T g                  of w[c, k] = sum_o D[c, o, o s + k d],  D = g x^T

D is dense, and only its band is read. The product sums over clips; the products of all blocks are
added up in one D.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK_FRAMES = {torch.bfloat16: 32}
"""Output frames of a block, by type: at most 13 % slower than the best of 8 to 128 for 8 to 128
clips, 13 to 87 taps (docs/evidence/performance.md). Narrow numbers want larger products."""
BLOCK_FRAMES_ELSE = 16


def depthwise(inputs: Tensor, weight: Tensor, *, stride: int, dilation: int) -> Tensor:
    """(C, T, N) -> (C, ceil(T / stride), N), padded with zeros as `dse.networks.network` does.

    Args:
        inputs: contiguous.
        weight: (C, K), of the type of the inputs.
        stride: of the convolution.
        dilation: of the convolution.
    """
    outputs: Tensor = _Depthwise.apply(inputs, weight, stride, dilation)  # type: ignore[no-untyped-call]
    return outputs


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        shape = _Shape(inputs, weight.shape[1], stride, dilation)
        ctx.save_for_backward(inputs, weight)
        ctx.shape = shape
        return _convolve(inputs, weight, shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        shape: _Shape = ctx.shape
        gradient = gradients[0].contiguous()
        to_inputs = to_weight = None
        if ctx.needs_input_grad[0]:
            # Without stride it is the convolution with the kernel turned round, which writes each
            # value once; with stride, blocks are added where they overlap. Kernels are odd
            # (`dse.design.point.Block`), so padding is the same on both sides and one shape serves
            # both ways.
            to_inputs = (
                _convolve(gradient, weight.flip(1), shape)
                if shape.stride == 1
                else _to_inputs(gradient, weight, shape)
            )
        if ctx.needs_input_grad[1]:
            to_weight = _to_weight(gradient, inputs, weight, shape)
        return to_inputs, to_weight, None, None


class _Shape:
    """Sizes of one depthwise layer and of its blocks.

    A block of `rows` output frames reads `columns` input frames. Blocks at the ends of the clip
    would read padding: there, `first` to `last` is cut to frames that exist and M is cut to the
    columns that meet them, so no padded copy of the input is ever made. The last block may have
    fewer output frames; it uses the first rows of M.
    """

    def __init__(self, inputs: Tensor, taps: int, stride: int, dilation: int) -> None:
        frames = inputs.shape[1]
        self.frames, self.taps, self.stride, self.dilation = frames, taps, stride, dilation
        reach = (taps - 1) * dilation
        padding = reach // 2
        out_frames = -(-frames // stride)
        self.rows = min(out_frames, BLOCK_FRAMES.get(inputs.dtype, BLOCK_FRAMES_ELSE))
        self.columns = (self.rows - 1) * stride + reach + 1
        self.blocks: list[tuple[int, int, int, int, int]] = []
        """Outputs from, to; inputs from, to; column of the matrix that meets the first input."""
        for start in range(0, out_frames, self.rows):
            end = min(start + self.rows, out_frames)
            before = start * stride - padding
            after = (end - 1) * stride - padding + reach + 1
            first, last = max(0, before), min(frames, after)
            self.blocks.append((start, end, first, last, first - before))

    def band(self, matrix: Tensor) -> Tensor:
        """The entries of `matrix` (C, rows, columns) that hold taps, as (C, rows, K).

        A view: writing to it fills the band (`_banded`), summing it over rows gathers the gradient
        of the taps (`_to_weight`). It goes by the strides of `matrix`, so a transposed matrix works
        as well as a contiguous one.
        """
        channel, row, column = matrix.stride()
        size = (matrix.shape[0], self.rows, self.taps)
        return matrix.as_strided(
            size, (channel, row + self.stride * column, self.dilation * column)
        )


def _convolve(inputs: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
    matrix = _banded(weight, shape)
    # One product per block, batched over channels: (C, outputs, inputs) @ (C, inputs, N). As clips
    # come last, a block's frames of a channel are one contiguous piece, read without a copy.
    parts = [
        torch.bmm(matrix[:, : end - start, left : left + last - first], inputs[:, first:last])
        for start, end, first, last, left in shape.blocks
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _banded(weight: Tensor, shape: _Shape) -> Tensor:
    matrix = weight.new_zeros(weight.shape[0], shape.rows, shape.columns)
    shape.band(matrix).copy_(weight[:, None, :])
    return matrix


def _to_inputs(gradient: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
    # M^T g, block by block. Neighbouring blocks read the same (K - 1) d + 1 - s input frames, whose
    # gradients add up: hence `+=` into zeros, where the forward pass could concatenate.
    turned = _banded(weight, shape).transpose(1, 2)
    total = gradient.new_zeros(gradient.shape[0], shape.frames, gradient.shape[2])
    for start, end, first, last, left in shape.blocks:
        total[:, first:last] += torch.bmm(
            turned[:, left : left + last - first, : end - start], gradient[:, start:end]
        )
    return total


def _to_weight(gradient: Tensor, inputs: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
    """The gradient of the taps, (C, K), by way of that of M, which is the sum over all blocks.

    M's gradient is kept turned, (C, columns, rows): products are faster the longer side first. It
    is summed in float32 also where activations are bfloat16, whose 8 bits would swallow small terms
    in a sum over blocks and rows.
    """
    sums = torch.promote_types(weight.dtype, torch.float32)
    total = weight.new_zeros(weight.shape[0], shape.columns, shape.rows, dtype=sums)
    for start, end, first, last, left in shape.blocks:
        some = gradient[:, start:end]
        if some.dtype == torch.bfloat16:
            some = some.contiguous()  # or oneDNN copies the turned view, value by value
        total[:, left : left + last - first, : end - start] += torch.bmm(
            inputs[:, first:last], some.transpose(1, 2)
        )
    return shape.band(total.transpose(1, 2)).sum(dim=1).to(weight.dtype)
