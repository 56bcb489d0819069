"""Identity: nothing is mixed, stored or executed; equal widths and stride 1 only."""

from typing import TYPE_CHECKING

from dse.design.places import Place

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int) -> None:
    """Nothing to execute."""


def build(place: Place) -> "nn.Module":
    """(N, C, T) -> (N, C, T), unchanged."""
    from torch import nn

    return nn.Identity()
