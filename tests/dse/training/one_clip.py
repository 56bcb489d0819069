"""The oracle of networks in whole numbers: one clip, one tap and one group at a time, in int64."""

import numpy as np
import numpy.typing as npt

from dse.networks.lowering import output_frames
from dse.training.integer import IntegerNetwork, Path, Rounding, Whole


def score_clip(network: IntegerNetwork, features: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """(features, frames) -> (outputs,), or (outputs, frames) of a framewise head."""
    values = kept = features.astype(np.int64)
    for stage in network.stages:
        if stage.begins_block:
            kept = values
        least = 0 if stage.relu else -127
        made = []
        for path, inputs in zip(stage.paths, (values, kept), strict=False):
            sums = sum_path(path, inputs)
            if path.rounding is not None:
                total = scale(sums, path.rounding)
                sums = np.clip(total >> 7, least if stage.added is None else -127, 127)
            made.append(sums)
        values = made[0]
        if stage.added is not None:
            both = [scale(*each) for each in zip(made, stage.added, strict=True)]
            values = np.clip((both[0] + both[1]) >> 7, least, 127)
    head = network.head
    if head.pooled:
        factor, shift = head.mean_rounding(values.shape[1])
        total = 64 + (values.sum(axis=1, keepdims=True) * factor >> shift)
        values = np.clip(total >> 7, -127, 127)
    scores = scale(head.weights.astype(np.int64) @ values, head.rounding)
    assert np.abs(scores).max() < 2**31
    found: npt.NDArray[np.int32] = scores.astype(np.int32)
    return found[:, 0] if head.pooled else found


def scale(sums: Whole, rounding: Rounding) -> Whole:
    """Sums in units of what they become, (outputs, frames), row by row."""
    rows = [
        int(offset) + (row * int(factor) >> int(shift))
        for row, factor, shift, offset in zip(
            sums, rounding.factors, rounding.shifts, rounding.offsets, strict=True
        )
    ]
    found: Whole = np.stack(rows)
    return found


def sum_path(path: Path, inputs: Whole) -> Whole:
    """(in_channels, frames) -> (outputs, frames after the stride), exact."""
    frames = inputs.shape[1]
    after = output_frames(frames, path.stride)
    if path.weights is None:
        return inputs
    outputs, per_group, taps = path.weights.shape
    margin = path.dilation * (taps - 1) // 2
    padded = np.pad(inputs, ((0, 0), (margin, margin)))
    weights = path.weights.astype(np.int64)
    total = np.zeros((outputs, after), dtype=np.int64)
    rows = outputs // path.groups
    for tap in range(taps):
        first = tap * path.dilation
        seen = padded[:, first : first + (after - 1) * path.stride + 1 : path.stride]
        for group in range(path.groups):
            part = slice(group * rows, (group + 1) * rows)
            read = seen[group * per_group : (group + 1) * per_group]
            total[part] += weights[part, :, tap] @ read
    return total
