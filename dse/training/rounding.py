"""How numbers are rounded to few bits: the same in training, in whole numbers and on a chip.

Symmetric: b bits hold the whole numbers from -(2^(b-1) - 1) to 2^(b-1) - 1 in units of a step,

    x ~ step * limit(round(x / step)),        limit 127 of 8 bits, 7 of 4, 1 of 2 (trits)

With 8 bits the step is the largest magnitude over 127: nothing is cut. With fewer, a step that lets
the largest numbers be cut leaves finer ones to all others; of `SHARES` of the largest magnitude the
one is taken that is off by the least in the mean square. A weight's step belongs to its output
channel, an activation's to its tensor.

Rounding has no derivative. Training passes the gradient on as if there were none, but where a
number was cut (straight-through estimator, Bengio et al., arXiv 1308.3432).
"""

from typing import Any

import torch
from torch import Tensor

SHARES = tuple(1 - 0.06 * number for number in range(13))
"""Of the largest magnitude: 1 to 0.28."""
MOST_VALUES = 16_384
"""Of a tensor of activations that are looked at to choose its step."""


def limit_of(bits: int) -> int:
    """The largest whole number of so many bits, with its sign: 127, 7 or 1."""
    largest: int = 2 ** (bits - 1) - 1
    return largest


def weight_steps(weights: Tensor, bits: int) -> Tensor:
    """The step of each output channel, shape (outputs,); 1 where a channel is zero throughout.

    Args:
        weights: (outputs, ...).
        bits: of a weight.
    """
    return _steps(weights.detach().flatten(1), limit_of(bits))


def activation_step(values: Tensor, bits: int) -> float:
    """The step of a tensor; 1 where it is zero throughout, NaN where it is not finite.

    Args:
        values: of any shape; of many, evenly spaced ones decide between shares of the largest.
        bits: of a value.
    """
    flat = values.detach().flatten()
    limit = limit_of(bits)
    if bits < 8:
        every = max(1, flat.numel() // MOST_VALUES)
        flat = torch.cat([flat[::every], flat.abs().max()[None]])
    return float(_steps(flat[None].double(), limit)[0])


def _steps(rows: Tensor, limit: int) -> Tensor:
    largest = rows.abs().amax(dim=1)
    steps = largest / limit
    if limit < 127:
        shares = torch.tensor(SHARES, dtype=rows.dtype, device=rows.device)
        tried = steps[:, None] * shares  # (rows, shares)
        scaled = rows[:, None] / tried.clamp_min(1e-30)[:, :, None]
        rounded = scaled.round().clamp_(-limit, limit) * tried[:, :, None]
        off = (rounded - rows[:, None]).square().sum(dim=2)
        steps = tried.gather(1, off.argmin(dim=1, keepdim=True))[:, 0]
    safe: Tensor = torch.where(largest == 0, torch.ones_like(steps), steps)
    return safe


def round_to(values: Tensor, step: Any, bits: int) -> Tensor:
    """Values as few bits hold them, with gradients where nothing is cut.

    Args:
        values: of any shape.
        step: a number, or a tensor that broadcasts.
        bits: of a value.
    """
    limit = limit_of(bits)
    scaled = values / step
    cut = scaled.clamp(-limit, limit)
    made: Tensor = (cut + (cut.round() - cut).detach()) * step
    return made
