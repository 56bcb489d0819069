"""Trials a second that a storage takes, from 1, 4 and 8 processes; what many trials cost.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/storage.py --out storage.json

A trial is what a search writes for one: ask, eight parameters, four attributes, a row of results,
told with two objectives. PostgreSQL is started from the distribution's binaries, with its data on
the disk (fsync on), and a gRPC proxy in front of it. `--trials N` also lets the workers fill a
study with N trials, and measures what reading it, finding its best and going on with it take;
`--rows N` simulates what N rows cost a coordinator at each candidate. Times are processor and wall
seconds.
"""

import sys

sys.path.pop(0)  # this folder, whose search.py is not the package that is imported below

import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from dse.pareto import pareto_mask
from dse.studies.frontier import find_frontier, hypervolume_share
from dse.studies.rows import Evaluation, latest
from search.cluster.storages import connect, storage_url

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.search.postgres import Postgres, free_port

ROW = {f"column_{number}": 1234.5678 * number for number in range(40)}


def one_trial(study: optuna.Study, seed: int) -> None:
    """Write what a search writes for a trial."""
    trial = study.ask()
    for axis in range(8):
        trial.suggest_int(f"axis{axis}", 0, 63)
    for name in ("source", "design_key", "design", "status"):
        trial.set_user_attr(name, "0123456789abcdef")
    study._storage.set_trial_system_attr(trial._trial_id, f"dse:row:{seed}", ROW)
    rng = np.random.default_rng(seed)
    study.tell(trial, [float(rng.random()), float(rng.random())])


def write(url: str, seconds: float, start: Any, results: Any, number: int) -> None:
    """One process: as many trials as fit."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with connect(storage_url(url)) as storage:
        study = optuna.load_study(
            study_name="bench", storage=storage, sampler=optuna.samplers.RandomSampler(seed=number)
        )
        one_trial(study, number)
        start.wait()
        begun, done, longest = time.monotonic(), 0, 0.0
        while time.monotonic() - begun < seconds:
            before = time.monotonic()
            one_trial(study, 1000 * number + done)
            longest = max(longest, time.monotonic() - before)
            done += 1
        results.put((done / (time.monotonic() - begun), longest))


def throughput(url: str, workers: int, seconds: float) -> dict[str, float]:
    """Trials per second of so many processes together, and the longest that one took."""
    with connect(storage_url(url)) as storage:
        optuna.create_study(
            storage=storage, study_name="bench", directions=["minimize"] * 2, load_if_exists=True
        )
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=write, args=(url, seconds, start, results, number))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    rates = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    return {"per_second": sum(r for r, _ in rates), "longest_s": max(w for _, w in rates)}


@contextmanager
def proxy(url: str) -> Iterator[str]:
    """A gRPC proxy in front of a storage."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "dse_cli", "storage", "serve", "--port", str(port)],
        env=os.environ | {"DSE_STORAGE": url},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def processor_seconds(act: Callable[[], Any]) -> tuple[float, float]:
    """Processor and wall-clock seconds of an act."""
    cpu, wall = time.process_time(), time.monotonic()
    act()
    return time.process_time() - cpu, time.monotonic() - wall


def many(url: str, trials: int, workers: int, seconds: float) -> dict[str, Any]:
    """What a study of so many trials costs: workers fill it, then it is read and gone on with."""
    with connect(storage_url(url)) as storage:
        optuna.create_study(storage=storage, study_name="bench", directions=["minimize"] * 2)
    context = multiprocessing.get_context("spawn")
    begun = time.monotonic()
    processes = [
        context.Process(target=fill, args=(url, trials // workers, n)) for n in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found: dict[str, Any] = {"filled_s": time.monotonic() - begun}
    with connect(storage_url(url)) as storage:
        study = optuna.load_study(study_name="bench", storage=storage)
        found["first_read_s"] = processor_seconds(lambda: study.get_trials(deepcopy=False))
        found["next_read_s"] = processor_seconds(lambda: study.get_trials(deepcopy=False))
        found["best_trials_s"] = processor_seconds(lambda: study.best_trials)
        values = np.array([trial.values for trial in study.get_trials(deepcopy=False)])
        found["our_frontier_s"] = processor_seconds(lambda: pareto_mask(values))
    return found | throughput(url, workers, seconds)


def fill(url: str, count: int, number: int) -> None:
    """Write so many trials, each at once."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(number)
    labels = dict.fromkeys(("source", "design_key", "design", "status"), "0123456789")
    axes = {f"axis{axis}": optuna.distributions.IntDistribution(0, 63) for axis in range(8)}
    with connect(storage_url(url)) as storage:
        study_id = storage.get_study_id_from_name("bench")
        for seed in range(count):
            trial = optuna.trial.create_trial(
                values=list(rng.random(2)),
                params={name: int(rng.integers(64)) for name in axes},
                distributions=axes,
                user_attrs=labels,
                system_attrs={f"dse:row:{seed}": ROW},
            )
            storage.create_new_trial(study_id, trial)


def rows(count: int) -> dict[str, Any]:
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
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--trials", type=int, default=0, help="also fill a study with so many")
    parser.add_argument("--storages", nargs="+", help="only these, of the table's names")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="simulate so many rows")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: dict[str, Any] = {"load": os.getloadavg(), "throughput": {}, "many": {}, "rows": {}}
    for count in given.rows:
        found["rows"][count] = rows(count)
        print(f"{count:,} rows", json.dumps(found["rows"][count]))
    server = Postgres(fsync=True)
    try:
        with tempfile.TemporaryDirectory() as folder, proxy(server.database("proxied")) as grpc:
            urls = {
                "SQLite": f"sqlite:///{folder}/bench.db",
                "journal file": f"journal:///{folder}/bench.log",
                "PostgreSQL": server.database("bench"),
                "gRPC proxy on PostgreSQL": grpc,
            }
            wanted = given.storages or list(urls)
            urls = {name: url for name, url in urls.items() if name in wanted}
            print(f"{'storage':26}" + "".join(f"{n:>16}" for n in given.workers))
            for name, url in urls.items():
                rates = {n: throughput(url, n, given.seconds) for n in given.workers}
                found["throughput"][name] = rates
                cells = (f"{r['per_second']:8.0f} ({r['longest_s']:.2f} s)" for r in rates.values())
                print(f"{name:26}" + "".join(f"{cell:>16}" for cell in cells))
            if given.trials:
                urls = {
                    "SQLite": f"sqlite:///{folder}/many.db",
                    "journal file": f"journal:///{folder}/many.log",
                    "PostgreSQL": server.database("many"),
                }
                for name in (name for name in urls if name in wanted):
                    found["many"][name] = many(
                        urls[name], given.trials, max(given.workers), given.seconds
                    )
                    print(name, json.dumps(found["many"][name]))
    finally:
        server.remove()
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
