"""Train one network in several ways and with several seeds, and compare what they get wrong.

    .venv/bin/python benchmarks/accuracy.py --data speech --epochs 15 --out accuracy.json

Same design, data, recipe and seeds; the ways are interleaved, and computed on one thread each.
docs/evidence/performance.md has results.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
from pathlib import Path

from dse.design.published import published
from dse.speech.features import load_features
from dse.speech.task import FeatureSpec, Task
from dse.training.checkpoint import load_network
from dse.training.devices import set_threads
from dse.training.recipe import RECIPES
from dse.training.run import BEST, evaluate, train

WAYS = {
    "naive float32": ("plain", "float32"),
    "fast float32": ("fast", "float32"),
    "fast bfloat16": ("fast", "bfloat16"),
}
"""Path and precision."""


def main() -> None:
    """Train, print a line a training and the means, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", default="matchboxnet-3x2x64")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    set_threads(1)
    features = load_features(options.data, Task(), FeatureSpec())
    recipe = dataclasses.replace(
        RECIPES["default"], epochs=options.epochs, batch_size=options.batch_size
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, options.seeds + 1):
            for way in options.ways:
                path, precision = WAYS[way]
                place = Path(folder) / f"{way}-{seed}"
                result = train(
                    published(options.network),
                    features,
                    dataclasses.replace(recipe, precision=precision),  # type: ignore[arg-type]
                    seed=seed,
                    folder=place,
                    device="cpu",
                    path=path,  # type: ignore[arg-type]
                )
                network, checkpoint = load_network(place / BEST)
                tested = evaluate(network, features.testing, checkpoint.mean, checkpoint.deviation)
                rows.append(
                    {
                        "way": way,
                        "seed": seed,
                        "computed": result.computed,
                        "validation": 1 - result.validation_error,
                        "test": 1 - tested.error,
                        "training_loss": result.history[-1].training_loss,
                        "seconds": result.seconds,
                    }
                )
                print(rows[-1], flush=True)
    for way in options.ways:
        found = [row["test"] for row in rows if row["way"] == way]
        spread = f", deviation {statistics.stdev(found):.1%}" if len(found) > 1 else ""
        losses = [row["training_loss"] for row in rows if row["way"] == way]
        listed = ", ".join(f"{loss:.4f}" for loss in losses)
        print(f"{way}: test {statistics.mean(found):.1%}{spread}; last training losses {listed}")
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
