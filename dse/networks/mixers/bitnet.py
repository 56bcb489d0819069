"""BitNet b1.58: trits by the mean magnitude (arXiv 2402.17764).

    W~ = g round(clip(W / g, -1, 1)),    g = mean |W|

so that entries above g / 2 are not zero. m n numbers are trained; m n trits and g are kept.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.trits import trit_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Trits: of numbers drawn evenly from -a to a, with mean a / 2, those above a / 4."""
    return (trit_layer(place, in_frames, out_frames, density=0.75),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import AbsmeanTernary

    return AbsmeanTernary(place.in_channels, place.out_channels, stride=place.stride)
