"""The exported ONNX network in int8: onnxruntime's static quantisation, as QDQ nodes.

Batch norms are merged into the convolutions before them, weights are quantised per channel, and
ranges of activations come from the pictures that are given. Needs `onnx` and `onnxruntime`
(`pip install 'ternary-dse[onnx]'`).

QDQ is a way to write quantisation, not to compute it: the operators stay those of float32, with
QuantizeLinear and DequantizeLinear around them. A runtime that has a kernel in int8 recognises the
pattern and takes it; another one computes the same graph in float32 with values rounded to 8 bits.
The quantiser gives ternary matrices a scale like any other weights. It is not the arithmetic of
`dse.training.integer`, which the C code computes, so scores of the two differ a little.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    QuantFormat,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import (  # type: ignore[import-untyped]
    quant_pre_process,
)
from torch import Tensor

from dse.export.comparison import runtime_of_its_time
from dse.export.onnx import INPUT, OPSET, export_onnx
from dse.files import replacing
from dse.training.source import Source


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    """One clip at a time."""

    def __init__(self, pictures: Tensor) -> None:
        self.pictures: Iterator[Tensor] = iter([pictures[n : n + 1] for n in range(len(pictures))])

    def get_next(self) -> dict[str, Any] | None:
        """The next one, None after the last."""
        picture = next(self.pictures, None)
        return None if picture is None else {INPUT: picture.numpy()}


def export_onnx_int8(source: Source, path: Path, pictures: Tensor, *, opset: int = OPSET) -> None:
    """Write the quantised network in one step; input and output stay float32.

    Args:
        source: the network.
        path: of the file.
        pictures: (clips, features, frames), normalised; for calibration: the ranges of activations
            are those seen on them, so they should be clips like those to come.
        opset: of the operators.

    Raises:
        InvalidInput: the installed onnxruntime does not compute this version of the operators.
        OSError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as scratch, replacing(path) as temporary:
        plain, merged = Path(scratch) / "plain.onnx", Path(scratch) / "merged.onnx"
        export_onnx(source.network, plain, in_channels=source.point.features, opset=opset)
        with _quiet(), runtime_of_its_time():
            quant_pre_process(plain, merged, skip_symbolic_shape=True)
            quantize_static(
                merged,
                temporary,
                _Pictures(pictures),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without its advice to do what was just done."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
