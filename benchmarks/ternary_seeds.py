"""How much accuracy the seed of the ternary matrices alone moves: one design, many seeds.

    python -m benchmarks.ternary_seeds --data speech --epochs 4 --seeds 5

The seed of the training (order of clips, start of the trained weights) is one and the same, so that
what differs is the draw of the matrices. Beside it the same number of seeds of the training, with
one draw: a spread that is no larger is no reason to search seeds. Intervals of the deviation are of
the chi-square distribution, as errors of few seeds say little about it.
"""

import argparse
import dataclasses
import math
import statistics
import tempfile
from pathlib import Path

from dse.design.point import DesignPoint
from dse.design.published import published
from dse.speech.features import SpeechFeatures, load_features
from dse.speech.task import FeatureSpec, Task
from dse.training.devices import set_threads
from dse.training.recipe import RECIPES, Recipe
from dse.training.run import train


def main() -> None:
    """Train, print a line a training, then both spreads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", default="matchboxnet-1x1x32-P3")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    set_threads(1)
    features = load_features(options.data, Task(), FeatureSpec())
    recipe = dataclasses.replace(RECIPES["default"], epochs=options.epochs)
    point = published(options.network)
    seeds = range(1, options.seeds + 1)
    of_matrices, of_trainings = [], []
    for seed in seeds:
        of_matrices.append(
            _error(dataclasses.replace(point, ternary_seed=seed), features, recipe, 1)
        )
        print(f"ternary_seed {seed}, training seed 1: error {of_matrices[-1]:.2%}", flush=True)
    for seed in seeds:
        again = of_matrices[0] if seed == 1 else _error(point, features, recipe, seed)
        of_trainings.append(again)
        print(f"ternary_seed 1, training seed {seed}: error {again:.2%}", flush=True)
    print(f"{point.label}, {options.epochs} epochs, {len(features.validation):,} validation clips")
    for words, errors in (("of the matrices", of_matrices), ("of the training", of_trainings)):
        print(f"seed {words}: {spread_words(errors)}")


def _error(point: DesignPoint, features: SpeechFeatures, recipe: Recipe, seed: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        found = train(point, features, recipe, seed=seed, folder=Path(folder), device="cpu")
        return found.validation_error


def spread_words(errors: list[float]) -> str:
    """Mean, range, and the deviation with its 95 % interval.

    Args:
        errors: shares from 0 to 1, at least two.
    """
    from scipy.stats import chi2

    freedom = len(errors) - 1
    deviation = statistics.stdev(errors)
    low = deviation * math.sqrt(freedom / chi2.ppf(0.975, freedom))
    high = deviation * math.sqrt(freedom / chi2.ppf(0.025, freedom))
    return (
        f"mean error {statistics.mean(errors):.2%}, from {min(errors):.2%} to {max(errors):.2%}, "
        f"deviation {100 * deviation:.2f} points (95 % interval {100 * low:.2f} to "
        f"{100 * high:.2f})"
    )


if __name__ == "__main__":
    main()
