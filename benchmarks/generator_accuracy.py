"""Do networks of different generators learn as well? Five families, one density, many seeds.

Beside them one family with balanced signs, and a dense control.

    dse data synthesize speech
    python -m benchmarks.generator_accuracy speech benchmarks/generator_accuracy.csv

Trains a small MatchboxNet (policy P2, density 0.25) of each on the ten commands; the seed draws
matrices, first weights and batches. A row a training, appended, so that an interrupted run goes on.
docs/evidence/generator.md holds the table of the committed file, and
tests/dse/ternary/test_generator_accuracy.py what follows from it.
"""

import argparse
import csv
from pathlib import Path

from dse.design.families.matchboxnet import Value, matchboxnet
from dse.speech.features import load_features
from dse.speech.task import FeatureSpec, Task
from dse.ternary.generators import FAMILIES
from dse.training.checkpoint import load_network
from dse.training.recipe import Recipe
from dse.training.run import evaluate, train

COLUMNS = (
    "family",
    "signs",
    "density",
    "seed",
    "epochs",
    "validation_error",
    "test_error",
    "test_clips",
)
RIVALS = (*((family, "random") for family in FAMILIES), ("one_hot", "balanced"), ("dense", ""))
"""Family of the generator, and its signs."""
SHAPE: dict[str, Value] = {
    "blocks": 2,
    "channels": 32,
    "prologue_channels": 32,
    "prologue_stride": 2,
    "epilogue_channels": 64,
    "final_channels": 64,
}


def main() -> None:
    """Train what the file lacks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--density", type=float, default=0.25)
    arguments = parser.parse_args()
    task, spec = Task(kind="commands"), FeatureSpec()
    features = load_features(arguments.data, task, spec)
    done = set()
    if arguments.out.exists():
        with arguments.out.open(newline="") as file:
            done = {(row["family"], row["signs"], int(row["seed"])) for row in csv.DictReader(file)}
    else:
        arguments.out.write_text(",".join(COLUMNS) + "\n")
    for seed in range(1, arguments.seeds + 1):
        for family, signs in RIVALS:
            if (family, signs, seed) in done:
                continue
            values = _values(family, signs, arguments.density, seed)
            folder = arguments.out.with_suffix("") / f"{family}-{signs}-{seed}"
            recipe = Recipe(epochs=arguments.epochs)
            train(matchboxnet(values), features, recipe, seed=seed, folder=folder, device="cpu")
            network, found = load_network(folder / "best.pt")
            validation, test = (
                evaluate(network, split, found.mean, found.deviation)
                for split in (features.validation, features.testing)
            )
            density = arguments.density if family != "dense" else 1
            row = (
                *(family, signs, density, seed, recipe.epochs),
                *(f"{validation.error:.4f}", f"{test.error:.4f}", test.clips),
            )
            with arguments.out.open("a") as file:
                file.write(",".join(map(str, row)) + "\n")
            print(*row, flush=True)


def _values(family: str, signs: str, density: float, seed: int) -> dict[str, Value]:
    """Axes of the network of one row."""
    if family == "dense":
        return SHAPE
    drawn: dict[str, Value] = {"density": density, "generator": family, "ternary_seed": seed}
    return SHAPE | {"policy": "P2", "signs": signs} | drawn


if __name__ == "__main__":
    main()
