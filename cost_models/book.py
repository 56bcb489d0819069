"""Distinct layers as columns: what pricing needs to know of them, whatever the machine.

Layers that differ only in name, or in which layers they read, are one row. Layers that differ only
in their ternary matrix are different rows, but have the same mapping where zeros cost a cycle: they
share a shape.
"""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from cost_models.workload import CONVOLUTIONS, IN_LINE, Layer, LayerKind, WeightSource

_IDENTITY = attrgetter(*(each.name for each in fields(Layer) if each.name not in ("name", "reads")))
_SHAPE = attrgetter(
    *(
        each.name
        for each in fields(Layer)
        if each.name not in ("name", "reads", "nonzeros", "nonzero_mask")
    )
)

COLUMNS = (
    "convolution",
    "in_line",
    "generated",
    "weight_entries",
    "out_channels",
    "out_frames",
    "nonzeros",
    "weight_bits",
    "input_bits",
    "output_bits",
    "accumulator_bits",
    "bias",
    "stored_bits",
    "trained_bits",
    "generator_state_bits",
    "decision_bits",
    "rounds",
    "multiplications",
    "additions",
    "comparisons",
    "tensors",
    "input_traffic_bits",
    "output_traffic_bits",
    "trained_parameters",
    "macs",
    "dense_additions",
)
"""Columns of `LayerBook.column`."""


class LayerBook:
    """All distinct layers seen so far, each with a number."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._numbers: dict[object, int] = {}
        self._shapes: dict[object, int] = {}
        self._shape_of: list[int] = []
        self._rows: list[tuple[float, ...]] = []
        self._columns = np.zeros((0, len(COLUMNS)))

    def __len__(self) -> int:
        """Distinct layers."""
        return len(self.layers)

    def numbers(self, layers: Sequence[Layer]) -> list[int]:
        """The numbers of layers; new ones are written into the book."""
        found = []
        for layer in layers:
            identity = _IDENTITY(layer)
            number = self._numbers.get(identity)
            if number is None:
                number = self._numbers[identity] = len(self.layers)
                self.layers.append(layer)
                self._shape_of.append(self._shapes.setdefault(_SHAPE(layer), len(self._shapes)))
                self._rows.append(_row(layer))
            found.append(number)
        return found

    def shape(self, number: int) -> int:
        """The shape of a layer: equal for layers that differ only in their matrix."""
        return self._shape_of[number]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One of `COLUMNS`, by the numbers of the layers."""
        if len(self._columns) < len(self._rows):
            self._columns = np.array(self._rows, dtype=np.float64)
        return self._columns[:, COLUMNS.index(name)]


def _row(layer: Layer) -> tuple[float, ...]:
    trained = layer.weights is WeightSource.TRAINED
    spec = layer.generator
    return (
        layer.kind in CONVOLUTIONS,
        layer.kind in IN_LINE,
        layer.weights is WeightSource.GENERATED,
        layer.weight_entries,
        layer.out_channels,
        layer.out_frames,
        layer.nonzeros,
        layer.weight_bits,
        layer.input_bits,
        layer.output_bits,
        layer.accumulator_bits,
        layer.bias,
        layer.stored_bits,
        layer.weight_entries * layer.weight_bits if trained else 0,
        layer.generator_state_bits,
        spec.decision_bits if spec else 0,
        spec.rounds if spec else 0,
        layer.multiplications,
        layer.additions,
        layer.comparisons,
        2 if layer.kind is LayerKind.RESIDUAL_ADD else 1,
        layer.input_traffic_bits,
        layer.output_traffic_bits,
        layer.trained_parameters,
        layer.macs,
        layer.dense_additions,
    )
