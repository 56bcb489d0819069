"""Frozen dense Gaussian: random like the ternary matrix, neither sparse nor ternary.

The control that tells two effects apart: a network that is worse with it than with a dense layer
suffers from freezing; one that is worse with ternary matrices than with it suffers from ternary.
No rival: its numbers have many bits, so they are stored, read and multiplied.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer, WeightSource
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """As a dense layer, with nothing to train."""
    return (matrix_layer(place, in_frames, out_frames, weights=WeightSource.CONSTANT),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import FrozenDense

    return FrozenDense(
        place.in_channels,
        place.out_channels,
        seed=place.ternary_seed,
        layer=place.name,
        stride=place.stride,
    )
