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

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.errors import InvalidInput
from dse.networks.network import SpeechNetwork
from dse.speech.audio import Samples
from dse.speech.mfcc import compute_pictures, hop_samples, normalise, real_frames
from dse.speech.task import FeatureSpec, Task
from dse.training.checkpoint import Checkpoint

WINDOWS_AT_ONCE = 256
COLUMNS_AT_ONCE = 20_000
"""Of spectra in memory: 200 s of sound, 50 MB."""


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
    columns, real = _columns(samples, spec), real_frames(spec)
    width = real.stop - real.start
    if columns.shape[1] < width:
        raise InvalidInput(
            f"a recording of {columns.shape[1]} frames is shorter than a window of {width}: name a "
            "longer one"
        )
    said = []
    starts = range(0, columns.shape[1] - width + 1, hop_frames)
    with torch.inference_mode():
        for first in range(0, len(starts), WINDOWS_AT_ONCE):
            windows = [
                columns[:, start : start + width]
                for start in starts[first : first + WINDOWS_AT_ONCE]
            ]
            batch = torch.nn.functional.pad(
                torch.stack(windows), (real.start, spec.frames - real.stop)
            )
            scores = network(normalise(batch, checkpoint.mean, checkpoint.deviation))
            said.append(torch.softmax(scores.double(), dim=1))
    posteriors: NDArray[np.float64] = torch.cat(said).numpy()
    return posteriors


def window_seconds(spec: FeatureSpec) -> float:
    """From the beginning of a window to where it can be told."""
    real = real_frames(spec)
    columns: int = real.stop - real.start
    return (columns - 1) * spec.hop_ms / 1000


def _columns(samples: Samples, spec: FeatureSpec) -> Tensor:
    """All columns of a recording, (coefficients, columns), a part at a time."""
    return torch.cat(list(_parts(torch.from_numpy(samples), spec)), dim=1)


def _parts(sound: Tensor, spec: FeatureSpec) -> Iterator[Tensor]:
    """Columns part by part: each part is computed with what lies around it, which is cut off."""
    hop = hop_samples(spec)
    margin = -(-spec.fft_size // hop)  # columns that hear the mirror image at an end
    total = len(sound) // hop + 1
    for first in range(0, total, COLUMNS_AT_ONCE):
        last = min(total, first + COLUMNS_AT_ONCE)
        begin = max(0, first - margin)
        piece = sound[begin * hop : (last + margin) * hop]
        with torch.no_grad():
            picture = compute_pictures(piece[None], spec)[0]
        yield picture[:, first - begin : last - begin]
