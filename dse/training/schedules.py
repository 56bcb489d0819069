"""Learning rate as a function of the step; plain arithmetic, no torch.

With N steps in all, W = floor(warmup_fraction N) of warm-up and H = floor(hold_fraction N) of hold,
the learning rate of step s = 0 .. N - 1 is

    warm-up   s < W          top (s + 1) / (W + 1)
    hold      s < W + H      top
    decay     otherwise      low + (top - low) f(p),   p = (s - W - H) / (N - W - H)

where f(p) is (1 - p)^2 for `warmup_hold_decay`, (1 + cos(pi p)) / 2 for `cosine`, and 1 for
`constant`.

The first step of a warm-up is already above 0, and the first after it has `top`. The last step has
p = 1 - 1 / (N - W - H), so the rate comes near `low` without reaching it. N counts the steps of the
whole recipe: a training that is stopped early and goes on later follows the same curve.

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

    Returns:
        The rate, from `min_learning_rate` to `learning_rate` after the warm-up; in the warm-up it
        may be lower.
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
    # Never a division by zero: where nothing is left for the decay, all steps ended above.
    progress = (step - decay_starts) / (steps - decay_starts)
    return low + (top - low) * _DECAYS[recipe.schedule](progress)


def _square(progress: float) -> float:
    return (1 - progress) ** 2


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


_DECAYS = {"warmup_hold_decay": _square, "cosine": _cosine}
