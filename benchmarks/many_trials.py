"""What many trials cost the one process that writes them: its rows, and Optuna's storage.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.many_trials --rows 10000 100000 1000000

`--rows N` simulates what N rows cost a search at each candidate, in processor seconds. The storages
are written as a search writes a trial: ask, eight parameters, four attributes, told with two
objectives. PostgreSQL is started from the distribution's binaries, with its data on the disk
(fsync on).
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna

from dse.studies.frontier import find_frontier, hypervolume_share
from dse.studies.rows import Evaluation, latest
from search.storages import connect, storage_url
from tests.search.postgres import Postgres


def one_trial(study: optuna.Study, seed: int) -> None:
    """Write what a search writes for a trial."""
    trial = study.ask()
    for axis in range(8):
        trial.suggest_int(f"axis{axis}", 0, 63)
    for name in ("source", "design_key", "design", "status"):
        trial.set_user_attr(name, "0123456789abcdef")
    rng = np.random.default_rng(seed)
    study.tell(trial, [float(rng.random()), float(rng.random())])


def throughput(url: str, seconds: float) -> float:
    """Trials a second that a storage takes."""
    with connect(storage_url(url)) as storage:
        study = optuna.create_study(
            storage=storage,
            study_name="bench",
            directions=["minimize"] * 2,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        one_trial(study, 0)
        begun, done = time.monotonic(), 0
        while time.monotonic() - begun < seconds:
            done += 1
            one_trial(study, done)
        return done / (time.monotonic() - begun)


def processor_seconds(act: Callable[[], Any]) -> float:
    """Processor seconds of an act."""
    begun = time.process_time()
    act()
    return time.process_time() - begun


def rows(count: int) -> dict[str, float]:
    """What so many rows cost the coordinator at each candidate, simulated in memory."""
    rng = np.random.default_rng(0)
    numbers = rng.random((count, 2))
    names = ("error", "energy_pj")
    history = [
        Evaluation(
            trial=n,
            status="trained",
            source="search",
            key=f"{n:08x}",
            error=float(e),
            cost={"energy_pj": 1e6 * float(c)},
            epochs=30,
        )
        for n, (e, c) in enumerate(numbers)
    ]
    box = {"error": [0.0, 1.0], "energy_pj": [1.0, 1e6]}
    last = latest(history)
    return {
        "latest_s": processor_seconds(lambda: latest(history)),
        "frontier_s": processor_seconds(lambda: find_frontier(last, names)),
        "hypervolume_s": processor_seconds(lambda: hypervolume_share(last, box)),
        "write_s": processor_seconds(lambda: [json.dumps(row.to_dict()) for row in history]),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each storage")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="simulate so many rows")
    given = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for count in given.rows:
        print(f"{count:,} rows", json.dumps(rows(count)))
    server = Postgres(fsync=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            places = {"SQLite": f"sqlite:///{folder}/x.db", "PostgreSQL": server.database("bench")}
            for name, url in places.items():
                print(f"{name}: {throughput(url, given.seconds):.0f} trials a second")
    finally:
        server.remove()


if __name__ == "__main__":
    main()
