"""The quantised ternary layer: int8 activations in, whole sums out.

    activation_q = round(activation / scale), scale = largest magnitude / 127
    sum[r, t]    = sum over c of matrix[r, c] * activation_q[c, t]

Sums are exact: with 16,384 inputs of 8 bits they take 22 bits, an accumulator has 24. `scale * sum`
approximates what the float layer gives; batch norm follows and takes any scale. Requantisation to
the next layer's int8 is not part of the layer.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign

ACTIVATION_BITS = 8
SUM_BITS = 24


def quantise(activations: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[np.int8], float]:
    """Activations as int8, symmetric about zero.

    Args:
        activations: finite numbers of any shape.

    Returns:
        Whole numbers from -127 to 127 of the same shape, half to even; and the scale, 1 where all
        activations are 0.

    Raises:
        InvalidDesign: an activation is not finite.
    """
    largest = float(np.max(np.abs(activations), initial=0.0))
    if not np.isfinite(largest):
        raise InvalidDesign(f"activations must be finite to be quantised, not {largest}")
    scale = largest / 127 or 1.0
    return np.rint(np.asarray(activations, dtype=np.float64) / scale).astype(np.int8), scale


def mix_quantised(
    matrix: npt.NDArray[np.int8], activations: npt.NDArray[np.int8]
) -> npt.NDArray[np.int32]:
    """The layer's exact sums: what an accumulator of `SUM_BITS` bits holds at the end.

    No multiplication is meant: a trit adds, subtracts or skips an activation. The product of two
    matrices is only how numpy does that fast.

    Args:
        matrix: trits, shape (outputs, inputs).
        activations: int8, shape (inputs, frames).

    Returns:
        Whole sums, shape (outputs, frames), dtype int32; times the activations' scale, the layer.
    """
    # Floats of 53 bits hold these whole numbers exactly, and multiply much faster.
    sums = matrix.astype(np.float64) @ activations.astype(np.float64)
    return sums.astype(np.int32)
