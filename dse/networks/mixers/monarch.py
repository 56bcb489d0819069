"""Monarch: two block-diagonal matrices with a fixed permutation between them (arXiv 2204.00595).

    y = L P R x        R: b blocks of (p / b) x (n / b),  L: b blocks of (m / b) x (p / b)
                       p = min(m, n),  P deals channels out to all blocks of L

(m + n) p / b weights, and as many MACs a frame: 1,024 of 64 by 64 with 8 blocks, where a dense
matrix has 4,096. With b up to the root of p, every output hears every input.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import factor_layers

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Two grouped matrices in a row; the permutation is where the first one's outputs are put."""
    return factor_layers(place, in_frames, out_frames, _factors(place))


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.mixers.products import build_factors

    factors = _factors(place)
    return build_factors(factors, place.stride, {0: factors[0][2]})


def _factors(place: Place) -> list[tuple[int, int, int]]:
    blocks = place.mixer.blocks
    assert blocks is not None  # Mixer checked it
    inner = min(place.in_channels, place.out_channels)
    return [(place.in_channels, inner, blocks), (inner, place.out_channels, blocks)]
