"""Scores of clips by a network in whole numbers (`dse.training.integer`), exact to the last bit.

Sums are computed in floats, which hold whole numbers exactly up to 2^24 (float32) or 2^53 (float64)
and are many times faster than integers, for which there are no fast products of matrices; what is
scaled takes 64-bit integers.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from dse.networks.lowering import output_frames
from dse.training.integer import INT8_LIMIT, RESULT_SHIFT, IntegerNetwork, Path, Rounding
from dse.training.rounding import limit_of

CLIPS = 32
"""Of a batch: its tensors stay in the caches."""

EXACT_IN_FLOAT32 = 2**24


def scores_of_clips(
    network: IntegerNetwork, features: npt.NDArray[np.int8]
) -> npt.NDArray[np.int32]:
    """Scores of clips, in 1/65,536ths: the same bits as the exported C code gives.

    Args:
        network: in whole numbers.
        features: (clips, features, frames), as `network.quantise` gives them.

    Returns:
        (clips, outputs), or (clips, outputs, frames) of a framewise head.
    """
    with torch.inference_mode():
        parts = [
            _scores(network, torch.from_numpy(features[start : start + CLIPS]).long())
            for start in range(0, len(features), CLIPS)
        ]
    found: npt.NDArray[np.int32] = torch.cat(parts).to(torch.int32).numpy()
    return found


def _scores(network: IntegerNetwork, values: Tensor) -> Tensor:
    """Scores of one batch, int64; the equations stand in `dse.training.integer`."""
    kept = values
    for stage in network.stages:
        if stage.begins_block:
            kept = values
        most = limit_of(stage.output_bits)
        least = 0 if stage.relu else -most
        alone = stage.added is None
        made = [
            inputs
            if path.rounding is None
            else _rounded([(_sums(path, inputs), path.rounding)], least if alone else -most, most)
            for path, inputs in zip(stage.paths, (values, kept), strict=False)
        ]
        values = made[0]
        if stage.added is not None:
            values = _rounded(list(zip(made, stage.added, strict=True)), least, most)
    head = network.head
    if head.pooled:
        factor, shift = head.mean_rounding(values.shape[2])
        total = (values.sum(dim=2, keepdim=True) * factor >> shift) + 2 ** (RESULT_SHIFT - 1)
        values = (total >> RESULT_SHIFT).clamp_(-INT8_LIMIT, INT8_LIMIT)
    sums = (torch.from_numpy(head.weights).double() @ values.double()).long()
    scores = _total([(sums, head.rounding)])
    return scores[:, :, 0] if head.pooled else scores


def _rounded(parts: list[tuple[Tensor, Rounding]], least: int, most: int) -> Tensor:
    """Results of sums that are added up, each times its channel's factor."""
    return (_total(parts) >> RESULT_SHIFT).clamp_(least, most)


def _total(parts: list[tuple[Tensor, Rounding]]) -> Tensor:
    total: Tensor | int = 0
    for sums, rounding in parts:
        factors, shifts, offsets = (
            torch.from_numpy(each)[:, None]
            for each in (rounding.factors, rounding.shifts, rounding.offsets)
        )
        # `>>` of a negative int64 rounds towards minus infinity.
        total = total + offsets + (sums * factors >> shifts)
    assert isinstance(total, Tensor)
    return total


def _sums(path: Path, inputs: Tensor) -> Tensor:
    """(clips, in_channels, frames) -> (clips, outputs, frames after the stride), exact."""
    if path.weights is None:
        return inputs
    outputs, per_group, taps = path.weights.shape
    after = output_frames(inputs.shape[2], path.stride)
    # A bound on every partial sum too, so no order of additions rounds; up to 1,040 inputs and taps
    # are summed in float32.
    small = per_group * taps * INT8_LIMIT**2 < EXACT_IN_FLOAT32
    kind = torch.float32 if small else torch.float64
    margin = path.dilation * (taps - 1) // 2
    padded = functional.pad(inputs.to(kind), (margin, margin))
    weights = torch.from_numpy(path.weights).to(kind)
    rows = outputs // path.groups
    total = torch.zeros((len(inputs), outputs, after), dtype=kind)
    # Products of matrices and not torch's convolutions, some of which round on the way.
    for tap in range(taps):
        first = tap * path.dilation
        seen = padded[:, :, first : first + (after - 1) * path.stride + 1 : path.stride]
        if per_group == rows == 1:  # depthwise: a number a channel, not a matrix
            total.addcmul_(seen, weights[:, :, tap])
            continue
        for group in range(path.groups):
            part = slice(group * rows, (group + 1) * rows)
            read = seen[:, group * per_group : (group + 1) * per_group]
            total[:, part] += weights[part, :, tap] @ read
    return total.long()
