"""Partly ternary: a share of the rows is trained, a generator makes the others.

    y = [A; W] x        A: k x n trained weights,  W: (m - k) x n constant trits

k n weights buy what random rows cannot do. On a machine the two halves are two layers that read the
same input and write one tensor, each on the array that suits it.
"""

import dataclasses
from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers import ternary
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """The trained rows, then the generated ones."""
    name = f"{place.name}.trained"
    trained = matrix_layer(place, in_frames, out_frames, name=name, out_channels=place.trained_rows)
    [made] = ternary.lower(place, in_frames, out_frames, before)
    return trained, dataclasses.replace(made, extends=name, reads=(before,))


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import PartlyTernary

    return PartlyTernary(place.trained_rows, ternary.build(place))
