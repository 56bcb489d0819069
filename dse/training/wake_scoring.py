"""How many wake words a network misses in a long recording, at a rate of false alarms.

    recording -> windows -> posteriors of the wake words, added up -> smoothed -> thresholds
    -> the threshold of the fewest misses within the rate -> which words it misses

The threshold is chosen on the recording that is judged: the error is what the network could do, as
a point of its DET curve is. Every network of a study is judged alike, so they compare.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dse.speech.task import FeatureSpec, Wake
from dse.speech.wake_recordings import WakeRecording
from dse.training.checkpoint import Checkpoint
from dse.training.spotting import hear_columns, window_seconds
from dse.training.wake_scores import Spotted
from dse.training.wake_words import (
    Timing,
    detection_trade_off,
    find_alarms,
    find_hits,
    smooth,
    threshold_at,
)


def timing_of(wake: Wake, spec: FeatureSpec) -> Timing:
    """How the scores of a task's recording follow each other."""
    hop_s = wake.hop_frames * spec.hop_ms / 1000
    return Timing(hop_s, window_seconds(spec), wake.smoothed_s, wake.refractory_s)


def spot(
    score: Callable[[Tensor], Tensor],
    recording: WakeRecording,
    wake: Wake,
    checkpoint: Checkpoint,
    device: torch.device | str = "cpu",
) -> Spotted:
    """Which wake words of a recording a network misses, within the rate of false alarms.

    Args:
        score: (N, coefficients, frames), normalised -> (N, classes), in evaluation mode.
        recording: of the split that judges.
        wake: words, rate and timing.
        checkpoint: says classes, features, mean and deviation.
        device: to compute on.
    """
    spec, classes = checkpoint.features, checkpoint.classes
    heard = hear_columns(
        score,
        recording.columns,
        spec,
        checkpoint.mean,
        checkpoint.deviation,
        wake.hop_frames,
        device,
    )
    scores = heard[:, [classes.index(word) for word in wake.words]].sum(axis=1)
    timing = timing_of(wake, spec)
    words = timing.place(recording.spoken)
    curve = detection_trade_off(
        [(scores, words)],
        hops_per_second=1 / timing.hop_s,
        smoothing_hops=timing.smoothing_hops,
        pause_hops=timing.pause_hops,
        late_hops=timing.late_hops,
    )
    threshold = threshold_at(curve, wake.false_alarms_per_hour)
    alarms = find_alarms(smooth(scores, timing.smoothing_hops), threshold, timing.pause_hops)
    hits = find_hits(alarms, words, timing.late_hops)
    return Spotted(
        missed=~np.array(hits, dtype=np.bool_),
        false_alarms=len(alarms) - sum(hits),
        threshold=threshold,
    )
