"""Identity: nothing is mixed, stored or executed; equal widths and stride 1 only.

Mostly for skips: the sum behind a bare identity is an addition a value and nothing else. With
`skip_norm` its batch norm is executed, as there are no weights that could take it in.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Nothing to execute."""
    return ()


def build(place: Place) -> "nn.Module":
    """(N, C, T) -> (N, C, T), unchanged."""
    from torch import nn

    return nn.Identity()
