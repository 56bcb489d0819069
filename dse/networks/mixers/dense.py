"""Dense 1x1 convolution: trained, stored, one MAC per weight and frame."""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """The layer that a machine executes: out * in / groups weights, each used once a frame."""
    return (matrix_layer(place, in_frames, out_frames, groups=place.groups),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias.

    The batch norm behind it has an offset, which would swallow a bias.
    """
    from torch import nn

    return nn.Conv1d(
        place.in_channels,
        place.out_channels,
        kernel_size=1,
        stride=place.stride,
        groups=place.groups,
        bias=False,
    )
