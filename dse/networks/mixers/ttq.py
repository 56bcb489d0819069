"""Trained ternary with learned scales: trained ternary quantisation (arXiv 1612.01064).

    W~ = +p where W > D,  -q where W < -D,  0 between,    D = 0.05 max |W|,    p and q learned

Two bits an entry are stored, and the two scales. A tree that adds and subtracts makes one sum a
row, and two scales ask for two; so this is executed as a table of three weights: unpacked at the
memory, multiplied like a dense matrix. What is saved is room in the weight memory.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn

THRESHOLD = 0.05
"""Of the largest magnitude (theirs)."""


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """A dense matrix in two bits an entry and two scales of eight."""
    entries = place.in_channels * place.out_channels
    packed = {"matrix_numbers": entries + 2, "matrix_bits": 2 * entries + 2 * 8}
    return (matrix_layer(place, in_frames, out_frames, **packed),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import LearnedTernary

    return LearnedTernary(place.in_channels, place.out_channels, THRESHOLD, stride=place.stride)
