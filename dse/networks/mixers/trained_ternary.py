"""Trained ternary with a threshold: ternary weight networks (arXiv 1605.04711).

    W~ = alpha sign(W) [|W| > D],    D = 0.7 mean |W|,    alpha = mean of the |W| above D

W is trained in floats, m n numbers, and what is kept of it is m n trits and one scale.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.trits import trit_layer

if TYPE_CHECKING:
    from torch import nn

THRESHOLD = 0.7
"""Of the mean magnitude: between what suits even and what suits normal weights best (theirs)."""


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Trits: of numbers drawn evenly from -a to a, those above 0.7 a / 2 are not zero."""
    return (trit_layer(place, in_frames, out_frames, density=1 - THRESHOLD / 2),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import ThresholdTernary

    return ThresholdTernary(place.in_channels, place.out_channels, THRESHOLD, stride=place.stride)
