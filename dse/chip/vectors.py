"""Descriptors of what the vector unit does alone: sums of two paths, means over frames, scores."""

import numpy as np

from dse.chip.convolutions import Fields, Place, word_fields
from dse.chip.nests import Loop, make_nest
from dse.errors import InvalidDesign

MEAN_STEPS = 128
RECIPROCAL_BITS = 24


def sum_fields(first: Place, second: Place, target: Place) -> Fields:
    """Two tensors are added, each times its channel's multiplier: word by word.

    Raises:
        InvalidDesign: the circuit cannot run it.
    """
    lanes, name = first.lanes, target.tensor.name
    words = -(-first.tensor.frames // lanes)
    channels = target.tensor.channels
    fields: Fields = {"kind": 1} | _source_fields(first)
    fields |= {
        "read": make_nest(
            (0, 0, 0), [Loop(words, (0, 0, lanes)), Loop(channels, (first.pitch, 1, 0))], name
        ),
        "read_base_b": second.row,
        "read_plane_rows_b": second.tensor.plane_rows(lanes),
        "read_planes_b": second.tensor.planes,
        "results_a_step": lanes,
        "step": make_nest((0,), [Loop(words, (0,)), Loop(channels, (1,))], name),
    }
    fields |= _target_fields(target)
    loops = (("T", words, lanes), ("N", channels, 1))
    return fields | word_fields(lanes, "T", loops, target, name)


def mean_fields(source: Place, target: Place) -> Fields:
    """The mean of each channel over all frames, as two digits.

    Raises:
        InvalidDesign: no reciprocal of the frames is exact for all sums.
    """
    lanes, name = source.lanes, target.tensor.name
    frames, channels = source.tensor.frames, source.tensor.channels
    words = -(-frames // lanes)
    reciprocal, shift = exact_reciprocal(frames)
    inside = frozenset({"channel"})
    read = make_nest(
        (0, 0, 0), [Loop(words, (0, 0, lanes), inside), Loop(channels, (source.pitch, 1, 0))], name
    )
    fields: Fields = {"kind": 2} | _source_fields(source)
    fields |= {
        "read": read,
        "read_group": read.mask("channel"),
        "mean_half": frames // 2,
        "mean_reciprocal": reciprocal,
        "mean_shift": shift,
        "raw": 1,
        "results_a_step": 2,
        "step": make_nest((0,), [Loop(channels, (1,))], name),
    }
    fields |= _target_fields(target)
    return fields | word_fields(2, "T", (("N", channels, 1),), target, name)


def score_fields(source: Place) -> Fields:
    """Scores of the classes, from the sums of both digits; they leave the chip."""
    channels, name = source.tensor.channels, "the scores"
    nest = make_nest((0, 0, 0), [Loop(channels, (source.pitch, 1, 0))], name)
    fields: Fields = {"kind": 3} | _source_fields(source)
    return fields | {
        "read": nest,
        "read_fast": 1,
        "read_lanes": 0b11,
        "results_a_step": 1,
        "results_a_word": 1,
        "step": make_nest((0,), [Loop(channels, (1,))], name),
        "word": nest,
    }


def exact_reciprocal(frames: int) -> tuple[int, int]:
    """Multiplier and shift with which (n * multiplier) >> shift is n // frames for all means.

    With multiplier * frames = 2^shift + e and 0 <= e < frames, the product is n / frames and
    n * e / (frames * 2^shift) more: exact as long as n * e < 2^shift, since n / frames is at least
    1 / frames below the next whole number.

    Raises:
        InvalidDesign: none of up to `RECIPROCAL_BITS` bits is.
    """
    most = MEAN_STEPS * 127 * frames + frames // 2
    for shift in range(56):
        multiplier = -(-(2**shift) // frames)
        if multiplier >= 2**RECIPROCAL_BITS:
            break
        if most * (multiplier * frames - 2**shift) < 2**shift:
            return multiplier, shift
    raise InvalidDesign(
        f"the exported chip cannot divide by {frames} frames exactly: use fewer, or a power of two"
    )


def _source_fields(source: Place) -> Fields:
    return {
        "in_frames": source.tensor.frames,
        "in_pitch": source.pitch,
        "read_base_a": source.row,
        "read_plane_rows_a": source.tensor.plane_rows(source.lanes),
        "read_planes_a": source.tensor.planes,
        "read_fast_frames": 1,
        "read_fast": int(np.log2(source.lanes)),
        "read_lanes": 2**source.lanes - 1,
    }


def _target_fields(target: Place) -> Fields:
    return {
        "out_channels": target.tensor.channels,
        "out_frames": target.tensor.frames,
        "out_pitch": target.pitch,
        "out_planes": target.tensor.planes,
        "out_plane_rows": target.tensor.plane_rows(target.lanes),
    }
