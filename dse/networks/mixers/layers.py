"""The layer that most kinds lower to: a 1x1 matrix at a place, as it is."""

from typing import Any

from cost_models.workload import Layer, LayerKind, WeightSource
from dse.design.places import Place


def matrix_layer(place: Place, in_frames: int, out_frames: int, **fields: Any) -> Layer:
    """A stored and trained 1x1 matrix of a place's name, widths and stride.

    Args:
        place: where it stands.
        in_frames: that it reads.
        out_frames: that it makes.
        fields: of `Layer`, for what is different.
    """
    usual: dict[str, Any] = {
        "name": place.name,
        "kind": LayerKind.POINTWISE,
        "in_channels": place.in_channels,
        "out_channels": place.out_channels,
        "in_frames": in_frames,
        "out_frames": out_frames,
        "stride": place.stride,
        "weights": WeightSource.TRAINED,
    }
    return Layer(**(usual | fields))


def factor_layers(
    place: Place, in_frames: int, out_frames: int, factors: list[tuple[int, int, int]]
) -> tuple[Layer, ...]:
    """The layers of a product of matrices, the first applied first: `B1.0.pw.0`, `B1.0.pw.1`, ...

    The first takes the stride, so that the others work on fewer frames. What stands between two of
    them is a tensor that is written and read like any other.

    Args:
        place: where the product stands.
        in_frames: that it reads.
        out_frames: that it makes.
        factors: inputs, outputs and groups of each.
    """
    return tuple(
        matrix_layer(
            place,
            in_frames if index == 0 else out_frames,
            out_frames,
            name=f"{place.name}.{index}",
            in_channels=inputs,
            out_channels=outputs,
            groups=groups,
            stride=place.stride if index == 0 else 1,
        )
        for index, (inputs, outputs, groups) in enumerate(factors)
    )
