"""Train every design of a small space, so that search strategies can be compared on real trainings.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/surface.py --data speech_commands --out curves.csv
    ... benchmarks/surface.py --of digits --data fsdd --out benchmarks/surface/digits/curves.csv

Writes a line a design: its axes and its validation error after every epoch. Costs are not written:
who reads the table prices the designs with the cost model of the day. Start it several times with
`--shard 1/2` and `--shard 2/2` to use several cores; designs that a file already has are left out,
so it may be stopped at any time. `benchmarks/search.py` reads the tables of benchmarks/surface.
"""

import argparse
import csv
import time
import zlib
from pathlib import Path
from typing import Any

from dse.speech.features import load_features
from dse.studies.reading import read_study
from dse.training.devices import set_threads
from dse.training.run import train

FOLDER = Path(__file__).parent / "surface"
SURFACES = {"commands": FOLDER, "digits": FOLDER / "digits", "mixers": FOLDER / "mixers"}
"""Name -> folder of `space.yaml` and, once it is made, `curves.csv`."""


def columns(axes: list[str], epochs: int) -> list[str]:
    """Of the table."""
    return ["key", *axes, "seconds", *(f"error_{epoch}" for epoch in range(1, epochs + 1))]


def main() -> None:
    """Train what the table lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=SURFACES, default="commands", help="the space")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="CSV; lines are added")
    parser.add_argument("--shard", default="1/1", help="which of how many parts to train")
    parser.add_argument("--seed", type=int, help="of the trainings; the space's own where left out")
    options = parser.parse_args()
    part, parts = map(int, options.shard.split("/"))
    set_threads(1)
    spec = read_study(SURFACES[options.of] / "space.yaml", data_folder=options.data)
    features = load_features(spec.data_folder, spec.task, spec.features)
    axes = [choice.name for choice in spec.space.choices if len(choice.values) > 1]
    seed = spec.seed if options.seed is None else options.seed
    names = columns(axes, spec.recipe.epochs)
    known = set()
    if options.out.exists():
        with options.out.open(newline="", encoding="utf-8") as file:
            known = {row["key"] for row in csv.DictReader(file)}
    else:
        options.out.write_text(",".join(names) + "\n", encoding="utf-8")
    wanted = list(spec.space.enumerate())[part - 1 :: parts]
    # In an order that has all corners early: a table that is stopped is still of the whole space.
    wanted.sort(key=scattered)
    for values in wanted:
        point = spec.space.point(values)
        if point.key in known:
            continue
        begun = time.perf_counter()
        result = train(point, features, spec.recipe, seed=seed, folder=None, device="cpu")
        row: dict[str, Any] = {name: values.get(name, "") for name in axes}
        row |= {"key": point.key, "seconds": round(time.perf_counter() - begun, 1)}
        row |= {f"error_{r.epoch}": f"{r.validation_error:.5f}" for r in result.history}
        with options.out.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, names).writerow(row)


def scattered(values: dict[str, Any]) -> int:
    """A number that scatters designs, the same in every run."""
    return zlib.crc32(repr(sorted(values.items())).encode())


if __name__ == "__main__":
    main()
