"""Dense 1x1 convolution: trained, stored, one MAC per weight and frame."""

from typing import TYPE_CHECKING

from cost_models.workload import Layer, LayerKind, WeightSource
from dse.design.places import Place

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int) -> Layer:
    """The layer that a machine executes: out * in / groups weights, each used once a frame."""
    return Layer(
        name=place.name,
        kind=LayerKind.POINTWISE,
        in_channels=place.in_channels,
        out_channels=place.out_channels,
        in_frames=in_frames,
        out_frames=out_frames,
        stride=place.stride,
        groups=place.groups,
        weights=WeightSource.TRAINED,
    )


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
