"""What stands in the weight memory: weights in the order of the passes, and records of channels."""

import numpy as np
import numpy.typing as npt

from cost_models.workload import FACTOR_BITS, OFFSET_BITS, RECORD_BITS, SHIFT_BITS
from dse.chip.convolutions import operand_bits, operand_bytes, operand_starts
from dse.chip.mapped import MappedLayer
from dse.training.integer import Rounding


def weight_image(mapped: MappedLayer, weights: npt.NDArray[np.int8]) -> bytes:
    """A layer's weights, operand after operand, in the order in which passes first need them.

    Args:
        mapped: the layer with its mapping.
        weights: (outputs, inputs / groups, taps).

    Returns:
        Whole operands (`operand_bytes` each). What lies beyond outputs and inputs is 0.
    """
    layer = mapped.layer
    starts = operand_starts(mapped)
    rows, columns = _shape(mapped)
    n = starts[:, 0, None, None] + np.arange(rows)[:, None]
    r = starts[:, 1, None, None] + np.arange(columns)
    matrix = weights.reshape(len(weights), -1).astype(np.int64)
    last = matrix.shape[1] if layer.groups == 1 else layer.kernel_size
    step_ends = starts[:, 1, None, None] + mapped.inputs
    real = (n < len(matrix)) & (r < last) & (r < step_ends)
    values = np.where(real, matrix[np.minimum(n, len(matrix) - 1), np.minimum(r, last - 1)], 0)
    bits = 2 if mapped.on_trees or layer.weight_bits == 2 else 8
    return _packed(values.reshape(len(starts), -1), bits, operand_bytes(mapped))


def _shape(mapped: MappedLayer) -> tuple[int, int]:
    """Outputs and inputs of an operand, columns that a pass leaves idle included."""
    bits = 2 if mapped.on_trees or mapped.layer.weight_bits == 2 else 8
    entries = operand_bits(mapped) // bits
    if mapped.rows_axis == "R":
        return 1, entries
    columns = mapped.columns if mapped.columns_axis == "R" else 1
    return max(1, entries // columns), min(columns, entries)


def _packed(values: npt.NDArray[np.int64], bits: int, size: int) -> bytes:
    """Rows of numbers, so many bits each, the first the lowest; each row in `size` bytes."""
    whole = (values % 2**bits).astype(np.uint8)
    singles = np.unpackbits(whole[:, :, None], axis=2, count=bits, bitorder="little")
    flat = singles.reshape(len(values), -1)
    padded = np.zeros((len(values), size * 8), dtype=np.uint8)
    padded[:, : flat.shape[1]] = flat
    return np.packbits(padded, axis=1, bitorder="little").tobytes()


def records(roundings: list[Rounding]) -> bytes:
    """Records of a layer's channels, side by side: {offset, shift, factor}, of two in turns."""
    columns = [
        zip(each.factors.tolist(), each.shifts.tolist(), each.offsets.tolist(), strict=True)
        for each in roundings
    ]
    return b"".join(
        _record(*record) for together in zip(*columns, strict=True) for record in together
    )


def _record(factor: int, shift: int, offset: int) -> bytes:
    word: int = factor % (1 << FACTOR_BITS) | shift << FACTOR_BITS
    word |= offset % (1 << OFFSET_BITS) << FACTOR_BITS + SHIFT_BITS
    return word.to_bytes(RECORD_BITS // 8, "little")


def image_hex(image: bytes, word_bytes: int) -> str:
    """Text for $readmemh: a word a line, the first byte the lowest."""
    padded = image + bytes(-len(image) % word_bytes)
    return "".join(
        f"{padded[at : at + word_bytes][::-1].hex()}\n" for at in range(0, len(padded), word_bytes)
    )
