"""Descriptors of what the vector unit does alone: sums of two paths, and means over frames."""

import numpy as np

from dse.chip.convolutions import Fields, Place, target_fields, word_fields
from dse.chip.nests import Loop, make_nest


def sum_fields(first: Place, second: Place, target: Place) -> Fields:
    """Two tensors are added, each scaled by its channel's record: word by word, in turns.

    Records come in pairs, of the first tensor and of the second.

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
        "read_two": 1,
        "results_a_step": lanes,
        "step": make_nest((0,), [Loop(2, (1,)), Loop(words, (0,)), Loop(channels, (2,))], name),
    }
    fields |= target_fields(target)
    loops = (("T", words, lanes), ("N", channels, 1))
    return fields | word_fields(lanes, "T", loops, target, name)


def mean_fields(source: Place, target: Place) -> Fields:
    """The mean of each channel over all frames; one record scales all of them."""
    lanes, name = source.lanes, target.tensor.name
    channels = source.tensor.channels
    words = -(-source.tensor.frames // lanes)
    inside = frozenset({"channel"})
    read = make_nest(
        (0, 0, 0), [Loop(words, (0, 0, lanes), inside), Loop(channels, (source.pitch, 1, 0))], name
    )
    fields: Fields = {"kind": 2} | _source_fields(source)
    fields |= {
        "read": read,
        "read_group": read.mask("channel"),
        "results_a_step": 1,
        "step": make_nest((0,), [Loop(channels, (0,))], name),
    }
    fields |= target_fields(target)
    return fields | word_fields(1, "T", (("N", channels, 1),), target, name)


def _source_fields(source: Place) -> Fields:
    return {
        "in_frames": source.tensor.frames,
        "in_pitch": source.pitch,
        "read_base_a": source.row,
        "read_fast_frames": 1,
        "read_fast": int(np.log2(source.lanes)),
        "read_lanes": 2**source.lanes - 1,
    }
