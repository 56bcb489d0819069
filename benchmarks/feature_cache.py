"""What it costs to check a feature cache whole when it is opened, against one pass of training.

    python -m benchmarks.feature_cache DATA_FOLDER

Every byte of a cache is read and checked before anything is trained on it
(`dse.speech.features`). The reading is the same that one epoch of all variants does; both are told
in one run, with the pages in memory, as gigabytes a second and as a ratio.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from dse.speech.features import load_features
from dse.speech.speech_commands import SPLITS
from dse.speech.task import FeatureSpec, Task

Result = TypeVar("Result")


def main() -> None:
    """Compute a cache of all words of a folder, open it again, and go through it once."""
    if len(sys.argv) != 2:
        raise SystemExit("name one data folder: python -m benchmarks.feature_cache DATA_FOLDER")
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as cache:
        task, spec = Task(kind="commands"), FeatureSpec()
        computed_s, speech = _timed(lambda: load_features(folder, task, spec, Path(cache)))
        opened_s, _ = _timed(lambda: load_features(folder, task, spec, Path(cache)))
        pictures = speech.training.features
        # What training reads of them, at its cheapest: taken clip by clip, made 32-bit.
        passed_s, _ = _timed(lambda: [np.array(each, np.float32) for each in pictures])
        size_gb = sum(speech.split(name).features.nbytes for name in SPLITS) / 1e9
        print(f"{size_gb:.2f} GB of pictures")
        print(f"computed in {computed_s:.1f} s, opened and checked in {opened_s:.2f} s")
        print(f"opening / computing: {opened_s / computed_s:.4f}")
        print(f"opening / going through the training pictures once: {opened_s / passed_s:.2f}")


def _timed(run: Callable[[], Result]) -> tuple[float, Result]:
    begun = time.perf_counter()
    result = run()
    return time.perf_counter() - begun, result


if __name__ == "__main__":
    main()
