"""Connectionist temporal classification: the loss of a text whose characters have no places.

A network says at each frame how likely each output is, a character or blank. The probability of a
text is the sum over all its paths, one output a frame (`dse.training.decoding`), and

    loss = -ln p(text)          in nats; of a batch the sum over its utterances

torch adds up the paths by the forward-backward recursion, in time proportional to frames times
characters. A text of S characters, R of them equal to the one before, needs S + R frames at least,
as a blank must stand between two equal ones; with fewer it has no path, and its loss is infinite.

Source: Graves et al., ICML 2006.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from dse.design.point import DesignPoint
from dse.networks.padding import output_lengths
from dse.speech.sentences import SentenceSplit
from dse.speech.transcripts import frames_needed
from dse.training.batches import Batch


def ctc_loss(point: DesignPoint, scores: Tensor, batch: Batch, *, forgiving: bool) -> Tensor:
    """Sum of the losses of a batch's utterances, a scalar in float32.

    Args:
        point: says how many frames of scores an utterance has.
        scores: (utterances, outputs, frames), logits of any type; blank is the last output.
        batch: of sentences.
        forgiving: a text without a path counts 0, where the split is not ours to choose from;
            otherwise the sum is infinite.
    """
    assert batch.lengths is not None and batch.label_lengths is not None
    logarithms = functional.log_softmax(scores.float(), dim=1)
    return functional.ctc_loss(
        logarithms.permute(2, 0, 1),
        batch.labels,
        output_lengths(point, batch.lengths),
        batch.label_lengths,
        blank=scores.shape[1] - 1,
        reduction="sum",
        zero_infinity=forgiving,
    )


def can_spell(point: DesignPoint, split: SentenceSplit) -> NDArray[np.bool_]:
    """Which utterances have a path in every variant: (utterances,)."""
    needed = np.array([frames_needed(split.transcript(index)) for index in range(len(split))])
    lengths = np.diff(split.starts).reshape(len(split), split.variants)
    frames = output_lengths(point, torch.from_numpy(lengths)).numpy()
    spelled: NDArray[np.bool_] = np.all(needed[:, None] <= frames, axis=1)
    return spelled
