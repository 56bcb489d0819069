"""Several trainings at a time: processes of one thread each against one process of all threads.

    .venv/bin/python benchmarks/workers.py --processes 2 --seconds 20

Wall clock, as threads that wait cost none of the processor's time: run it on a machine with nothing
else to do. Each process makes steps of the fast path for so long; the ways take turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

_CHILD = """
import json, resource, sys, time
sys.path.insert(0, {benchmarks!r})
import torch
from training import cases, fast_step
from dse.networks.network import build_network
from dse.training.devices import uses_bfloat16
from dse.processor import prepare
from dse.training.recipe import Recipe
threads, seconds, name = {threads}, {seconds}, {network!r}
prepare()
torch.set_num_threads(threads)
case = cases([name])[name]
narrow = uses_bfloat16(Recipe(precision={precision!r}), torch.device("cpu"))
step = fast_step(case, build_network(case.point, case.outputs), narrow)
step(); step()
print("ready", flush=True)
sys.stdin.readline()
start, steps = time.perf_counter(), 0
while time.perf_counter() - start < seconds:
    step()
    steps += 1
taken = time.perf_counter() - start
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({{"samples_per_s": steps * case.clips / taken, "peak_bytes": most}}), flush=True)
"""


def run(
    processes: int, threads: int, seconds: float, network: str, precision: str
) -> list[dict[str, float]]:
    """What each of so many processes did at the same time."""
    code = _CHILD.format(
        benchmarks=str(Path(__file__).parent),
        threads=threads,
        seconds=seconds,
        network=network,
        precision=precision,
    )
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    return [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]


def main() -> None:
    """Measure in turn, print medians of samples a second of all processes together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="*", default=["ternary-20k", "matchboxnet-3x2x64"])
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="as in a recipe",
    )
    options = parser.parse_args()
    count = options.processes
    ways = {
        "one process, one thread": (1, 1),
        f"one process, {count} threads": (1, count),
        f"{count} processes, one thread each": (count, 1),
    }
    for network in options.networks:
        found: dict[str, list[float]] = {way: [] for way in ways}
        peak = 0.0
        for _ in range(options.rounds):
            for way, (processes, threads) in ways.items():
                results = run(processes, threads, options.seconds, network, options.precision)
                found[way].append(sum(one["samples_per_s"] for one in results))
                peak = max(peak, *(one["peak_bytes"] for one in results))
        single = statistics.median(found["one process, one thread"])
        print(f"{network}, load {os.getloadavg()[0]:.1f}, at most {peak / 2**20:.0f} MiB a process")
        for way, rates in found.items():
            rate = statistics.median(rates)
            print(f"  {way:34}{rate:8.0f} samples/s{rate / single:7.2f} x", flush=True)


if __name__ == "__main__":
    main()
