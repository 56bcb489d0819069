"""Depthwise convolution as banded (Toeplitz) matrix products, one per channel.

For kernel w of K taps, dilation d, stride s and padding p,

    y[c, n, o] = sum_k w[c, k] x[c, n, o s + k d - p]  =  sum_i x[c, n, i - p] M[c, i, o]
    M[c, o s + k d, o] = w[c, k], zero elsewhere

so a row of clips times M gives all frames at once. The product takes about B / K times the
multiplications of the convolution (B frames at a time) and is still several times faster, as it
runs at the speed of matrix products, forwards and backwards. Every block of B outputs has the same
M; only at the ends of the clip its rows are cut.

Both ways between w and M are one strided view: entry (o s + k d, o) of a row-major matrix of B
columns stands at o (s B + 1) + k d B.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

WHOLE_FRAMES = 64
"""Up to so many output frames make one block: cutting a short clip gains nothing."""
BLOCKS = range(16, 129, 16)
PRODUCT_NS, ENTRY_NS, NARROW = 0.08, 1.0, 512.0
"""Time of a multiplication with all that follows backwards, and of an entry of M; narrow blocks
take 1 + NARROW / B^2 times as long. Fitted to the table in docs/performance.md."""


@lru_cache(maxsize=1024)
def block_frames(out_frames: int, reach: int, clips: int) -> int:
    """Output frames of a block: the fastest by a fitted rule.

    Args:
        out_frames: of the layer.
        reach: (K - 1) d, frames that a block shares with its neighbours.
        clips: of a batch; where there are few, making M is what takes time.
    """
    if out_frames <= WHOLE_FRAMES:
        return out_frames

    def nanoseconds(block: int) -> float:
        products = clips * out_frames * (block + reach) * (1 + NARROW / block**2)
        return PRODUCT_NS * products + ENTRY_NS * block * (block + reach)

    return min(BLOCKS, key=nanoseconds)


def depthwise(inputs: Tensor, weight: Tensor, *, stride: int, dilation: int) -> Tensor:
    """(C, N, T) -> (C, N, ceil(T / stride)), padded with zeros as `dse.network` does.

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
        shape = _Shape(inputs.shape[1:], weight.shape[1], stride, dilation)
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
            # value once; with stride, blocks are added where they overlap.
            to_inputs = (
                _convolve(gradient, weight.flip(1), shape)
                if shape.stride == 1
                else _to_inputs(gradient, _banded(weight, shape), shape)
            )
        if ctx.needs_input_grad[1]:
            to_weight = _to_weight(gradient, inputs, weight, shape)
        return to_inputs, to_weight, None, None


class _Shape:
    """Sizes of one depthwise layer and of its blocks."""

    def __init__(
        self, clips_and_frames: tuple[int, ...], taps: int, stride: int, dilation: int
    ) -> None:
        clips, frames = clips_and_frames
        self.frames, self.taps, self.stride, self.dilation = frames, taps, stride, dilation
        reach = (taps - 1) * dilation
        padding = reach // 2
        out_frames = -(-frames // stride)
        self.columns = block_frames(out_frames, reach, clips)
        self.rows = (self.columns - 1) * stride + reach + 1
        self.blocks: list[tuple[int, int, int, int, int]] = []
        """Outputs from, to; inputs from, to; row of the matrix that meets the first input."""
        for start in range(0, out_frames, self.columns):
            end = min(start + self.columns, out_frames)
            before = start * stride - padding
            after = (end - 1) * stride - padding + reach + 1
            first, last = max(0, before), min(frames, after)
            self.blocks.append((start, end, first, last, first - before))

    def band(self, matrix: Tensor) -> Tensor:
        """The entries of `matrix` (C, rows, columns) that hold taps, as (C, columns, K)."""
        size = (matrix.shape[0], self.columns, self.taps)
        steps = (
            self.rows * self.columns,
            self.stride * self.columns + 1,
            self.dilation * self.columns,
        )
        return matrix.as_strided(size, steps)


def _convolve(inputs: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
    matrix = _banded(weight, shape)
    parts = [
        torch.bmm(inputs[:, :, first:last], matrix[:, top : top + last - first, : end - start])
        for start, end, first, last, top in shape.blocks
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _banded(weight: Tensor, shape: _Shape) -> Tensor:
    matrix = weight.new_zeros(weight.shape[0], shape.rows, shape.columns)
    shape.band(matrix).copy_(weight[:, None, :])
    return matrix


def _to_inputs(gradient: Tensor, matrix: Tensor, shape: _Shape) -> Tensor:
    turned = matrix.transpose(1, 2)
    total = gradient.new_zeros(*gradient.shape[:2], shape.frames)
    for start, end, first, last, top in shape.blocks:
        total[:, :, first:last] += torch.bmm(
            gradient[:, :, start:end], turned[:, : end - start, top : top + last - first]
        )
    return total


def _to_weight(gradient: Tensor, inputs: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
    if len(shape.blocks) == 1 and shape.blocks[0][2:4] == (0, shape.frames):
        places, inside = _taps_inside(shape.frames, shape.columns, shape.taps, shape.stride,
                                      shape.dilation, inputs.device)  # fmt: skip
        whole = torch.bmm(inputs.transpose(1, 2), gradient).flatten(1)
        found = whole.index_select(1, places).view(-1, shape.taps, shape.columns)
        return (found * inside).sum(dim=2).to(weight.dtype)
    total = weight.new_zeros(weight.shape[0], shape.rows, shape.columns)
    for start, end, first, last, top in shape.blocks:
        total[:, top : top + last - first, : end - start] += torch.bmm(
            inputs[:, :, first:last].transpose(1, 2), gradient[:, :, start:end]
        )
    sums = torch.promote_types(weight.dtype, torch.float32)
    return shape.band(total).sum(dim=1, dtype=sums).to(weight.dtype)


@lru_cache(maxsize=256)
def _taps_inside(
    frames: int, columns: int, taps: int, stride: int, dilation: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where tap k of output o stands in a flat (frames, columns) matrix, and whether it does.

    Both of (taps, columns), the first flat; a tap that falls on padding is outside.
    """
    output = torch.arange(columns, device=device)
    tap = torch.arange(taps, device=device)[:, None]
    row = output * stride + tap * dilation - (taps - 1) * dilation // 2
    inside = (row >= 0) & (row < frames)
    return (row.clamp(0, frames - 1) * columns + output).flatten(), inside.float()
