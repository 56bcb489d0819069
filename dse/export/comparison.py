"""How far an exported network is from the one in torch, in one line.

Two figures, since either alone misleads: the largest difference of a score (one the size of
rounding errors says that the arithmetic is the same, a large one that a layer is wrong), and in how
many cases the class is the same, which is what a user of the network sees.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dse.errors import InvalidInput
from dse.training.integer import SCORE_STEPS, IntegerNetwork
from dse.training.integer_scores import scores_of_clips
from dse.training.source import Source


def compare_onnx(source: Source, path: Path, pictures: Tensor) -> str:
    """Scores of an ONNX file in onnxruntime, on the CPU, against torch.

    Args:
        source: the network in torch.
        path: the ONNX file that was made of it, in float32 or int8.
        pictures: (clips, features, frames), normalised.

    Raises:
        InvalidInput: the installed onnxruntime does not compute this version of the operators.
    """
    import onnxruntime  # type: ignore[import-untyped]  # an extra; C needs none of it

    with runtime_of_its_time():
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: pictures.numpy()})
    return _line(_expected(source, pictures), np.asarray(found))


@contextlib.contextmanager
def runtime_of_its_time() -> Iterator[None]:
    """A runtime too old for the operators says so in one sentence.

    Raises:
        InvalidInput: instead of what onnxruntime raises.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-untyped]

    try:
        yield
    except (state.Fail, state.InvalidGraph, state.NotImplemented) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInput(
            f"onnxruntime {onnxruntime.__version__} does not compute this network: {reason}; "
            "choose an older --opset, such as 21, or update onnxruntime"
        ) from None


def compare_integer(source: Source, network: IntegerNetwork, pictures: Tensor) -> str:
    """Scores in whole numbers, brought to torch's scale, against torch.

    What this measures is the quantisation: `network` gives the same whole numbers as the C code.

    Args:
        source: the network in torch.
        network: the same one, quantised.
        pictures: (clips, features, frames), normalised.
    """
    found = scores_of_clips(network, network.quantise(pictures.numpy()))
    return _line(_expected(source, pictures), found / SCORE_STEPS)


def _expected(source: Source, pictures: Tensor) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        scores: npt.NDArray[np.float32] = source.network(pictures).numpy()
    return scores


def _line(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> str:
    worst = float(np.abs(found - expected).max())
    largest = float(np.abs(expected).max())
    # Classes are axis 1. A framewise head has (clips, classes, frames): each frame is a case.
    same = int((found.argmax(axis=1) == expected.argmax(axis=1)).sum())
    return (
        f"largest difference {worst:.2g} of scores up to {largest:.3g}, the same class in {same} "
        f"of {expected[:, 0].size}"
    )
