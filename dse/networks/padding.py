"""Padding: frames of a batch that belong to no utterance, and must not change what is heard.

Utterances of different lengths become one tensor (N, C, T) by zeros behind the shorter ones. Two
kinds of layer would let the zeros count:

* A convolution wider than one frame reads across the end of an utterance. It must find zeros there,
  as it does at the end of a tensor; a batch norm before it has made offsets of them.
* Batch norm in training compares all frames of a batch. Zeros would pull its mean and variance,
  differently in each batch, and in evaluation nothing would.

So each tensor between sub-blocks is zero at padding, which is what NeMo's masked convolutions see
(`MaskedConv1d`, nemo/collections/asr/parts/submodules/jasper.py), and batch norm in training takes
its statistics from real frames alone, which NeMo's does not: there, an utterance that stands beside
a longer one is normalised by other numbers than beside an equal one.

A layer of stride s puts its output o at input s o, so frame o is real where s o is: the mask of the
outputs is every s-th column of that of the inputs, and L frames become ceil(L / s).
"""

import torch
from torch import Tensor, nn

from dse.design.point import DesignPoint


def real_frames(lengths: Tensor, frames: int) -> Tensor:
    """Which frames are of an utterance: (N, frames), bool, on the device of `lengths`.

    Args:
        lengths: (N,), frames of each utterance, at most `frames`.
        frames: of the padded batch.
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def output_lengths(point: DesignPoint, lengths: Tensor) -> Tensor:
    """Frames of scores of each utterance, behind all strides of the design: (N,)."""
    for block in point.blocks:
        lengths = -(-lengths // block.stride)
    return lengths


def norm_of_real(norm: nn.Module, values: Tensor, real: Tensor) -> Tensor:
    """Batch norm of real frames only; padding comes out as zero.

    In training the real frames are put side by side, so that mean, variance and running statistics
    are those of a batch without padding.

    Args:
        norm: a `BatchNorm1d`, in training or evaluation mode.
        values: (N, C, T).
        real: (N, T), bool.
    """
    turned = values.transpose(1, 2)
    outputs = torch.zeros_like(turned)
    outputs[real] = norm(turned[real]).to(outputs.dtype)
    return outputs.transpose(1, 2)
