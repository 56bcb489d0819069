"""Train one network by both paths with several seeds, and compare what they get wrong.

    .venv/bin/python benchmarks/accuracy.py --data speech --epochs 15 --out accuracy.json

Same design, data, recipe and seeds; the paths are interleaved. docs/performance.md has results.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
from pathlib import Path

from dse.checkpoint import load_network
from dse.devices import set_threads
from dse.features import load_features
from dse.published import published
from dse.recipe import RECIPES
from dse.task import FeatureSpec, Task
from dse.training import BEST, evaluate, train


def main() -> None:
    """Train, print a line a training and the means, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", default="matchboxnet-3x2x64")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
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
            for path in ("plain", "fast"):
                place = Path(folder) / f"{path}-{seed}"
                result = train(
                    published(options.network), features, recipe, seed=seed, folder=place,
                    device="cpu", path=path,  # type: ignore[arg-type]
                )  # fmt: skip
                network, checkpoint = load_network(place / BEST)
                tested = evaluate(network, features.testing, checkpoint.mean, checkpoint.deviation)
                rows.append(
                    {"path": path, "seed": seed, "computed": result.computed,
                     "validation": 1 - result.validation_error, "test": 1 - tested.error,
                     "seconds": result.seconds}
                )  # fmt: skip
                print(rows[-1], flush=True)
    for path in ("plain", "fast"):
        found = [row["test"] for row in rows if row["path"] == path]
        spread = f", deviation {statistics.stdev(found):.1%}" if len(found) > 1 else ""
        print(f"{path}: test {statistics.mean(found):.1%}{spread}")
    if options.out is not None:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
