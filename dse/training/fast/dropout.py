"""Dropout by small random numbers: four decisions from each 64 random bits.

The random generator, not the multiplication, is what dropout waits for. A value is dropped where a
16-bit number is below round(p * 65536), so p is met to 1/131072. torch's own dropout draws other
numbers from the same seed: the two paths agree in distribution only.
"""

import torch
from torch import Tensor

STEPS = 65_536


def dropout(values: Tensor, probability: float) -> Tensor:
    """Zero each value with `probability`, and scale the others so that the mean stays.

    Draws from torch's global generator. For training only: evaluation leaves it out.

    Args:
        values: of any shape, contiguous or not.
        probability: from 0 up, below 1 - 1/131072: something must be left to be scaled.
    """
    dropped = round(probability * STEPS)
    if dropped == 0:
        return values
    words = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
    # All 64 bits: `random_` without bounds leaves the sign bit alone.
    words.random_(-(2**63), None)
    # Seen as int16 they run from -32,768 to 32,767, so the threshold is `dropped` - 32,768.
    numbers = words.view(torch.int16)[: values.numel()].view(values.shape)
    kept = (numbers >= dropped - STEPS // 2).to(values.dtype)
    return values * kept.mul_(STEPS / (STEPS - dropped))
