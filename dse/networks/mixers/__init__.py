"""Mixing layers: ways to mix channels by a 1x1 matrix, one file each.

A mixing layer says what it stores and executes (`lower`) and how it is trained (`build`). To add
one: write a file with these two functions, name it in `MIXERS` and in `dse.design.point.MixerKind`.
"""

from typing import TYPE_CHECKING, Protocol

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers import dense, identity, ternary

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MIXERS", "MixingLayer"]


class MixingLayer(Protocol):
    """What a module in this package provides."""

    def lower(self, place: Place, in_frames: int, out_frames: int) -> Layer | None:
        """The layer that a machine executes; None where there is nothing to execute."""

    def build(self, place: Place) -> "nn.Module":
        """The module that maps (N, in_channels, T) to (N, out_channels, ceil(T / stride))."""


MIXERS: dict[str, MixingLayer] = {"dense": dense, "identity": identity, "ternary": ternary}
