"""Learning rate as a function of the step; plain arithmetic, no torch.

With N steps in all, W = floor(warmup_fraction N) of warm-up and H = floor(hold_fraction N) of hold,
the learning rate of step s = 0 .. N - 1 is

    warm-up   s < W          top (s + 1) / (W + 1)
    hold      s < W + H      top
    decay     otherwise      low + (top - low) f(p),   p = (s - W - H) / (N - W - H)

where f(p) is (1 - p)^2 for `warmup_hold_decay`, (1 + cos(pi p)) / 2 for `cosine`, and 1 for
`constant`.

Source: NeMo `PolynomialHoldDecayAnnealing` (nemo/core/optim/lr_scheduler.py) for warm-up, hold and
polynomial; Loshchilov & Hutter, arXiv 1608.03983, for the cosine.
"""

import math

from dse.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of one step.

    Args:
        recipe: its schedule, fractions and learning rates.
        step: 0-based, over all epochs.
        steps: of the whole training.
    """
    top, low = recipe.learning_rate, recipe.min_learning_rate
    warmup = int(recipe.warmup_fraction * steps)
    if step < warmup:
        return top * (step + 1) / (warmup + 1)
    if recipe.schedule == "constant":
        return top
    decay_starts = warmup + int(recipe.hold_fraction * steps)
    if step < decay_starts:
        return top
    progress = (step - decay_starts) / (steps - decay_starts)
    return low + (top - low) * _DECAYS[recipe.schedule](progress)


def _square(progress: float) -> float:
    return (1 - progress) ** 2


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


_DECAYS = {"warmup_hold_decay": _square, "cosine": _cosine}
