"""Distinct layers as columns: what pricing needs to know of them, whatever the machine.

Layers that differ only in name, or in which layers they read, are one row. Layers that differ only
in their ternary matrix are different rows, but have the same mapping where zeros cost a cycle: they
share a shape.

    layers of networks                      number   shape
    block 1, 1x1, 64 to 64, matrix A          0        0
    block 2, 1x1, 64 to 64, matrix A          0        0      equal but for the name
    block 3, 1x1, 64 to 64, matrix B          1        0      other zeros, same loops
    block 4, 1x1, 64 to 96, matrix C          2        1

Numbers are given in the order in which layers are seen and never change, so that tables of prices
can be indexed by them, and columns grow at the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from cost_models.workload import CONVOLUTIONS, IN_LINE, Layer, LayerKind, WeightSource

_NAMES = ("name", "reads", "extends")
_IDENTITY = attrgetter(*(each.name for each in fields(Layer) if each.name not in _NAMES))
_SHAPE = attrgetter(
    *(each.name for each in fields(Layer) if each.name not in (*_NAMES, "nonzeros", "nonzero_mask"))
)

SUMMED = CONVOLUTIONS | {LayerKind.AVERAGE_POOL}
"""Kinds whose results are sums before they are outputs."""


def _scaled(layer: Layer) -> int:
    """Values that pass the multiplier of a vector lane.

    Each sum of a convolution or of a mean, both tensors of a residual add, and what a softmax
    multiplies, and outputs with a trained slope below zero. A batch norm is no step of its own: its
    gain and offset are in the factor and offset of the sum before it, and a ReLU is a limit of the
    result.
    """
    outputs = layer.out_channels * layer.out_pixels
    if layer.kind is LayerKind.RESIDUAL_ADD:
        return 2 * outputs
    if layer.kind is LayerKind.SOFTMAX:
        return layer.multiplications
    return outputs if layer.kind in SUMMED or layer.slopes else 0


COLUMNS: dict[str, Callable[[Layer], float]] = {
    "convolution": lambda layer: layer.kind in CONVOLUTIONS,
    "in_line": lambda layer: layer.kind in IN_LINE,
    "generated": lambda layer: layer.weights is WeightSource.GENERATED,
    "weight_entries": attrgetter("weight_entries"),
    "out_channels": attrgetter("out_channels"),
    "out_pixels": attrgetter("out_pixels"),
    "nonzeros": attrgetter("nonzeros"),
    "weight_bits": attrgetter("weight_bits"),
    "input_bits": attrgetter("input_bits"),
    "accumulator_bits": attrgetter("accumulator_bits"),
    "bias": attrgetter("bias"),
    "stored_bits": attrgetter("stored_bits"),
    "stored_matrix_bits": attrgetter("stored_matrix_bits"),
    "parameter_bits": attrgetter("parameter_bits"),
    "start_bits": attrgetter("start_bits"),
    "scaled": _scaled,
    "scaled_bits": lambda layer: (
        layer.accumulator_bits if layer.kind in SUMMED else layer.input_bits
    ),
    "pooled": lambda layer: layer.pooled if layer.kind is LayerKind.AVERAGE_POOL else 0,
    "results": lambda layer: 0 if layer.kind in IN_LINE else layer.out_channels * layer.out_pixels,
    "output_bits": attrgetter("output_bits"),
    "multiplications": attrgetter("multiplications"),
    "additions": attrgetter("additions"),
    "comparisons": attrgetter("comparisons"),
    "tensors": lambda layer: 2 if layer.kind is LayerKind.RESIDUAL_ADD else 1,
    "input_traffic_bits": attrgetter("input_traffic_bits"),
    "output_traffic_bits": attrgetter("output_traffic_bits"),
    "trained_parameters": attrgetter("trained_parameters"),
    "macs": attrgetter("macs"),
    "dense_additions": attrgetter("dense_additions"),
}
"""What `LayerBook.column` knows, and how a layer says it."""


class LayerBook:
    """All distinct layers seen so far, each with a number; grows, and never forgets.

    Machines share it: that two layers are equal does not depend on who prices them.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._numbers: dict[object, int] = {}
        self._shapes: dict[object, int] = {}
        self._shape_of: list[int] = []
        self._columns: dict[str, npt.NDArray[np.float64]] = {}

    def __len__(self) -> int:
        """Distinct layers."""
        return len(self.layers)

    def numbers(self, layers: Sequence[Layer]) -> list[int]:
        """The numbers of layers, one each in their order; new ones are written into the book."""
        found = []
        for layer in layers:
            identity = _IDENTITY(layer)
            number = self._numbers.get(identity)
            if number is None:
                number = self._numbers[identity] = len(self.layers)
                self.layers.append(layer)
                self._shape_of.append(self._shapes.setdefault(_SHAPE(layer), len(self._shapes)))
            found.append(number)
        return found

    def shape(self, number: int) -> int:
        """The shape of a layer: equal for layers that differ only in their ternary matrix.

        A number below that of all layers; layers of one shape share a mapping.
        """
        return self._shape_of[number]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One of `COLUMNS`, by the numbers of the layers, shape (layers,).

        Computed for the layers that are new since it was last asked for. Shared: not to be written
        to.
        """
        known = self._columns.get(name, np.zeros(0))
        if len(known) < len(self.layers):
            new = [float(COLUMNS[name](layer)) for layer in self.layers[len(known) :]]
            known = self._columns[name] = np.concatenate([known, new])
        return known
