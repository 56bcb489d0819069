"""Constant ternary matrix with a trained scale and sign for each output channel.

    y[o, t] = g[o] sum_i W[o, i] x[i, t]

A batch norm behind the matrix has a gain of its own, so there this adds nothing but numbers to
train; on skips without a norm it is the only gain there is.
"""

import dataclasses
from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers import ternary

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """The generated matrix, with gains."""
    [layer] = ternary.lower(place, in_frames, out_frames, before)
    return (dataclasses.replace(layer, gains=True),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)); one gain an output to train."""
    from dse.networks.made_matrices import ScaledTernary

    return ScaledTernary(ternary.build(place))
