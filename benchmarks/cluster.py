"""Light trainings a second on Ray, beside the process pool of the same machine.

    .venv/bin/python benchmarks/cluster.py --workers 8 --trainings 40

Both train the same designs for one epoch, as many at a time, in one run; the clock starts when the
first design is asked for, so that neither Ray's start nor the pool's is in it. What a training
takes on Ray beyond what it takes in the pool is Ray's, the store's and the board's. With more
workers than cores, both wait for cores: the ratio is what counts.
"""

import argparse
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from dse.speech.synthesis import Synthesis, synthesize
from dse.studies.spec import read_study
from search.on_ray.cluster import RayOptions, connected
from search.study import run_study

STUDY = """
name: light
data: {{folder: {data}, task: {{kind: words, words: [yes, no, go]}}, features: {{variants: 1}}}}
space:
  blocks: 1
  policy: P0
  channels: {{low: 8, high: 64, step: 1}}
  prologue_channels: {{low: 8, high: 32, step: 1}}
  epilogue_channels: 8
  final_channels: 8
recipe: {{epochs: 1, batch_size: 32}}
sampler: random
trainings: {trainings}
"""


class Clock:
    """Watches a study: when it began to search, and what its trainings took by themselves."""

    def __init__(self) -> None:
        self.begun = 0.0
        self.epochs_s = 0.0

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def started(self, *_: Any) -> None:
        """The search begins."""
        self.begun = time.perf_counter()

    def epoch(self, point: Any, record: Any) -> None:
        """A training took so long."""
        self.epochs_s += record.seconds


def search(study: Path, folder: Path, workers: int, on_ray: RayOptions | None) -> dict[str, float]:
    """Seconds of a study, and of the trainings in it."""
    clock = Clock()
    outcome = run_study(
        read_study(study),
        study.read_text(),
        folder,
        clock,
        cache=study.parent / "cache",
        workers=workers,
        on_ray=on_ray,
    )
    seconds, count = time.perf_counter() - clock.begun, outcome.state.trained
    return {
        "trainings": count,
        "seconds": seconds,
        "trainings_per_s": count / seconds,
        "overhead_ms": 1000 * (seconds * workers - clock.epochs_s) / count,
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trainings", type=int, default=40)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.getLogger("optuna").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        words = Synthesis(words=("yes", "no", "go"), speakers=10, clips_per_word=20)
        synthesize(root / "speech", words, jobs=2)
        study = root / "light.yaml"
        study.write_text(STUDY.format(data=root / "speech", trainings=given.trainings))
        options = RayOptions(
            cpus=len(os.sched_getaffinity(0)) / given.workers, workers=given.workers
        )
        found = {}
        with connected("local"):
            # Twice: a worker's first training loads torch, in both.
            for turn in ("first", "warm"):
                for way, ray in (("pool", None), ("ray", options)):
                    folder = root / f"{way}-{turn}"
                    found[f"{way} {turn}"] = search(study, folder, given.workers, ray)
    for way, figures in found.items():
        print(way, ", ".join(f"{name} {figure:.3g}" for name, figure in figures.items()))
    ratio = found["ray warm"]["trainings_per_s"] / found["pool warm"]["trainings_per_s"]
    print(f"ray / pool, trainings a second: {ratio:.2f}")
    if given.out is not None:
        given.out.write_text(json.dumps(found | {"ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()
