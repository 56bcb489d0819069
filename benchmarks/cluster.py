"""Light trainings a second on Ray, beside the process pool of the same machine.

    .venv/bin/python benchmarks/cluster.py --workers 8 --trainings 120

Both train the same designs for one epoch, as many at a time, in one run. The clock starts when each
worker has trained two: what a process takes to load torch is not in it (the pool starts its
processes anew for each study, Ray keeps them). What a training takes beyond its epoch is the
engine's: of Ray, the store's, the board's, and files that go to the study's place and back. With
more workers than cores, both wait for cores: the ratio is what counts.
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
from dse.studies.reading import read_study
from search.on_ray.cluster import RayOptions, connected
from search.study import run_study

STUDY = """
name: light
data:
  folder: {data}
  task: {{kind: words, words: [yes, no, go], unknown: false, silence: false}}
  features: {{variants: 1}}
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
    """Watches a study: when its rows came."""

    def __init__(self) -> None:
        self.rows_at: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def evaluated(self, row: Any, state: Any) -> None:
        """A design has its row."""
        if row.status == "trained":
            self.rows_at.append(time.perf_counter())


def search(study: Path, folder: Path, workers: int, on_ray: RayOptions | None) -> dict[str, float]:
    """Trainings a second, once all workers are at work."""
    clock = Clock()
    run_study(
        read_study(study),
        study.read_text(),
        folder,
        clock,
        cache=study.parent / "cache",
        workers=workers,
        on_ray=on_ray,
    )
    begun = 2 * workers
    count, seconds = len(clock.rows_at) - begun, clock.rows_at[-1] - clock.rows_at[begun - 1]
    return {"trainings": count, "seconds": seconds, "trainings_per_s": count / seconds}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trainings", type=int, default=120)
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
            for way, ray in (("pool", None), ("ray", options)):
                found[way] = search(study, root / way, given.workers, ray)
    for way, figures in found.items():
        print(way, ", ".join(f"{name} {figure:.3g}" for name, figure in figures.items()))
    pool, ray = (found[way]["trainings_per_s"] for way in ("pool", "ray"))
    found["ratio"] = {
        "ray_to_pool": ray / pool,
        "overhead_ms": 1000 * given.workers * (1 / ray - 1 / pool),
    }
    print("ray / pool", found["ratio"])
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
