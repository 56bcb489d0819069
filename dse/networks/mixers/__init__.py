"""Mixing layers: ways to mix channels by a 1x1 matrix, one file each.

A mixing layer says what it stores and executes (`lower`) and how it is trained (`build`): the two
views of one matrix, side by side. To add one: write a file with these two functions, and put its
name and what it needs into `dse.design.mixer`. Files of designs, both views and the fast training
path (which runs a module that it does not know as it was written) find it there; exports refuse by
name what they cannot write.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast, get_args

from cost_models.workload import Layer
from dse.design.mixer import MixerKind
from dse.design.places import Place

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MIXERS", "MixingLayer"]


class MixingLayer(Protocol):
    """What a module in this package provides.

    Both functions take a `Place`: name, widths, stride and mixer of one 1x1. They must agree on
    what it stores and on ceil(T / stride) frames of output; a test compares counts of both.
    """

    def lower(
        self, place: Place, in_frames: int, out_frames: int, before: str
    ) -> tuple[Layer, ...]:
        """The layers that a machine executes, in order; none where there is nothing to execute.

        The first reads what stands before it; others that read that, too, name it: `before`.
        """

    def build(self, place: Place) -> "nn.Module":
        """The module that maps (N, in_channels, T) to (N, out_channels, ceil(T / stride))."""


MIXERS: dict[str, MixingLayer] = {
    kind: cast(MixingLayer, import_module(f"{__name__}.{kind}")) for kind in get_args(MixerKind)
}
"""Kind -> the file of that name."""
