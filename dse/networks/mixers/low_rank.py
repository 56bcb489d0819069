"""Low rank: the matrix is U V, an r-channel bottleneck without a norm or ReLU in it.

    y = U (V x),    V (r, n), U (m, r)        r (m + n) weights, r (m + n) MACs a frame

It saves where r < m n / (m + n): below 32 of 64 by 64.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import factor_layers

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Two dense matrices in a row."""
    return factor_layers(place, in_frames, out_frames, _factors(place))


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.mixers.products import build_factors

    return build_factors(_factors(place), place.stride)


def _factors(place: Place) -> list[tuple[int, int, int]]:
    rank = place.mixer.rank
    assert rank is not None  # Mixer checked it
    return [(place.in_channels, rank, 1), (rank, place.out_channels, 1)]
