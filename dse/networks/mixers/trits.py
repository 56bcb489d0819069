"""The layer of a trained ternary matrix, whatever rule makes its trits."""

from typing import Any

from cost_models.workload import Layer, WeightSource
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer


def trit_layer(
    place: Place, in_frames: int, out_frames: int, *, density: float, **fields: Any
) -> Layer:
    """A stored matrix of two bits an entry that adds and subtracts.

    Its scale is no multiplication of its own: it is in the factor that brings sums to the output's
    units anyway.

    Args:
        place: where it stands.
        in_frames: that it reads.
        out_frames: that it makes.
        density: expected share of entries that are not zero. Training decides which, and a design
            is priced before it is trained; so this is the share with which training begins, of
            entries drawn evenly from -a to a.
        fields: of `Layer`, for what is different.
    """
    entries = place.in_channels * place.out_channels
    return matrix_layer(
        place,
        in_frames,
        out_frames,
        weights=WeightSource.TRAINED_TERNARY,
        weight_bits=2,
        nonzeros=round(density * entries),
        **fields,
    )
