"""Grouped 1x1 with channel shuffle (ShuffleNet, arXiv 1707.01083; NeMo's `groups`).

    y = P B x        B: g blocks of (m / g) x (n / g),  P deals the outputs out to the next groups

m n / g weights, and as many MACs a frame. By itself it mixes within groups only; the shuffle lets
the next grouped layer mix across them.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """One grouped matrix; the permutation is where its outputs are put."""
    return (matrix_layer(place, in_frames, out_frames, groups=place.mixer.groups),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.mixers.products import build_factors

    groups = place.mixer.groups
    assert groups is not None  # Mixer checked it
    return build_factors(
        [(place.in_channels, place.out_channels, groups)], place.stride, {0: groups}
    )
