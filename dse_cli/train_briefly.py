"""`dse train --max-steps`: does a training run, and how long would all of it take?

A large training is tried before a machine is given to it for days: the first steps show whether the
memory holds, and their pace tells the time of all of them.
"""

import time
from collections.abc import Callable

from rich.console import Console

from dse.design.point import DesignPoint
from dse.speech.loading import Features
from dse.training.devices import Path as ComputationPath
from dse.training.recipe import Recipe
from dse.training.run import train


class Enough(Exception):
    """So many steps were made."""


def try_steps(
    console: Console,
    point: DesignPoint,
    features: Features,
    recipe: Recipe,
    steps: int,
    seed: int,
    device: str,
    path: ComputationPath,
) -> None:
    """Make the first steps of a training, keep nothing, and print their pace.

    The first step is not timed: memory is taken and kernels are chosen in it. Batches of an epoch
    come in random order, so a few steps tell the pace within some tens of percent.

    Args:
        console: to print on.
        point: the design.
        features: that it is trained on.
        recipe: how; its epochs decide how many steps there are.
        steps: at least 2; fewer are made where the whole training has fewer.
        seed: of the training.
        device: like `dse.training.run.train`.
        path: likewise.

    Raises:
        TrainingFailed: the loss is no number, or the memory is full.
    """
    made, total, seconds = 0, 0, 0.0
    started = time.perf_counter()

    def step(done: int, whole: int) -> None:
        nonlocal made, total, seconds, started
        made, total, seconds = done, whole, time.perf_counter() - started
        if done == 1:
            started = time.perf_counter()
        if done >= steps:
            raise Enough

    _train_until_enough(
        lambda: train(
            point,
            features,
            recipe,
            seed=seed,
            folder=None,
            device=device,
            path=path,
            progress=step,
        )
    )
    pace = seconds / max(1, made - 1)
    console.print(
        f"tried       {made:,} steps, {pace:.3g} s each after the first; all {total:,} steps of "
        f"{recipe.epochs:,} epochs would take about {say_hours(pace * total)}, validation aside; "
        "nothing was kept",
        markup=False,
    )


def _train_until_enough(training: Callable[[], object]) -> None:
    try:
        training()
    except Enough:
        return


def say_hours(seconds: float) -> str:
    """`40 s`, `12 min`, `3.4 h`, `21 days`."""
    for unit, length_s, most in (("s", 1.0, 90.0), ("min", 60.0, 90.0), ("h", 3600.0, 48.0)):
        if seconds / length_s < most:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds / 86_400:.3g} days"
