"""The oracle of networks in whole numbers: one clip, one tap and one group at a time, in int64."""

import numpy as np
import numpy.typing as npt

from dse.networks.lowering import output_frames
from dse.training.integer import MEAN_STEPS, SCORE_LIMIT, IntegerNetwork, Path, Whole


def score_clip(network: IntegerNetwork, features: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """(features, frames) -> (outputs,), or (outputs, frames) of a framewise head."""
    values = kept = features.astype(np.int64)
    for stage in network.stages:
        if stage.begins_block:
            kept = values
        total = stage.offsets[:, None] + (1 << (stage.shift - 1))
        for path, inputs in zip(stage.paths, (values, kept), strict=False):
            total = total + sum_path(path, inputs) * path.multipliers[:, None]
        values = np.clip(total >> stage.shift, 0 if stage.relu else -127, 127)
    head = network.head
    if head.pooled:
        frames = values.shape[1]
        values = (MEAN_STEPS * values.sum(axis=1, keepdims=True) + frames // 2) // frames
    sums = head.weights.astype(np.int64) @ values
    total = sums * head.multipliers[:, None] + head.offsets[:, None] + (1 << (head.shift - 1))
    limited: npt.NDArray[np.int32]
    limited = np.clip(total >> head.shift, -SCORE_LIMIT, SCORE_LIMIT).astype(np.int32)
    return limited[:, 0] if head.pooled else limited


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
