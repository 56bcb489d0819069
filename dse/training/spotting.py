"""A network of words on a stream: what it says of every window of a long recording.

A window is what a clip was in training: as many columns of the recording, with the same zeros at
both sides up to the `frames` of a picture, normalised by the same mean and deviation. So a clip
that stands in the recording by itself is scored as it was in its split (up to the columns at its
ends, whose windows hear what is beside it here and its mirror image there).

    columns of the recording     0 1 2 3 4 5 6 7 8 9 ...        one every 10 ms
    windows, a hop of 2          [-------]
                                     [-------]
                                         [-------]
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.errors import InvalidInput
from dse.networks.network import SpeechNetwork
from dse.speech.audio import Samples
from dse.speech.mfcc import normalise, real_frames
from dse.speech.task import FeatureSpec, Task
from dse.speech.wake_recordings import columns_of
from dse.training.checkpoint import Checkpoint

WINDOWS_AT_ONCE = 256


def hear_stream(
    network: SpeechNetwork, checkpoint: Checkpoint, samples: Samples, hop_frames: int
) -> NDArray[np.float64]:
    """Posteriors of every window: (windows, classes), each row a softmax.

    Window i hears the columns from `i * hop_frames` on; it is over, and can be told, when the last
    of them is: `window_seconds` after its first.

    Args:
        network: of the checkpoint, in evaluation mode, on the CPU.
        checkpoint: says features, mean and deviation.
        samples: at the rate of the features.
        hop_frames: columns from one window to the next.

    Raises:
        InvalidInput: the recording is shorter than a window, or the network writes down sentences.
    """
    if not isinstance(checkpoint.task, Task):
        raise InvalidInput(
            "the network of this checkpoint writes down sentences: name one that tells words apart"
        )
    spec = checkpoint.features
    columns = torch.cat(list(columns_of(samples, spec)), dim=1).T.numpy()
    return hear_columns(network, columns, spec, checkpoint.mean, checkpoint.deviation, hop_frames)


def hear_columns(
    score: Callable[[Tensor], Tensor],
    columns: NDArray[np.floating[Any]],
    spec: FeatureSpec,
    mean: Tensor,
    deviation: Tensor,
    hop_frames: int,
    device: torch.device | str = "cpu",
) -> NDArray[np.float64]:
    """Posteriors of every window of columns: (windows, classes), each row a softmax.

    Args:
        score: (N, coefficients, frames), normalised -> (N, classes), such as a network in
            evaluation mode.
        columns: (columns, coefficients), raw.
        spec: that they are of.
        mean: (coefficients,), of the data that the network was trained on.
        deviation: likewise.
        hop_frames: columns from one window to the next.
        device: to compute on.

    Raises:
        InvalidInput: there are fewer columns than a window has.
    """
    real = real_frames(spec)
    width, around = real.stop - real.start, (real.start, spec.frames - real.stop)
    if len(columns) < width:
        raise InvalidInput(
            f"a recording of {len(columns)} frames is shorter than a window of {width}: name a "
            "longer one"
        )
    said = []
    windows = 1 + (len(columns) - width) // hop_frames
    with torch.inference_mode():
        for first in range(0, windows, WINDOWS_AT_ONCE):
            count = min(WINDOWS_AT_ONCE, windows - first)
            start = first * hop_frames
            stop = start + (count - 1) * hop_frames + width
            piece = torch.from_numpy(np.array(columns[start:stop], dtype=np.float32)).to(device)
            # (columns, coefficients) -> (windows, coefficients, width)
            batch = torch.nn.functional.pad(piece.unfold(0, width, hop_frames), around)
            scores = score(normalise(batch, mean, deviation))
            said.append(torch.softmax(scores.double(), dim=1).cpu())
    posteriors: NDArray[np.float64] = torch.cat(said).numpy()
    return posteriors


def window_seconds(spec: FeatureSpec) -> float:
    """From the beginning of a window to where it can be told."""
    real = real_frames(spec)
    columns: int = real.stop - real.start
    return (columns - 1) * spec.hop_ms / 1000
