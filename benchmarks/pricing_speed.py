"""How fast designs are priced, and against what.

    python benchmarks/cost_models.py           some minutes; prints a table, --out writes JSON
    python benchmarks/cost_models.py --full    also prices ten million designs to Parquet

Figures are of one core: process CPU time where it says so, wall time for the full sweep.

* designs a second: random MatchboxNet designs on one machine, `auto` dataflow, after warm-up (all
  blocks of the space priced once) and from cold
* re-pricing: 10,000 stored designs on a changed machine, all mappings searched anew
* one network with `estimate`, first time and again
* the ratio to ZigZag for MatchboxNet-3x2x64 on its tpu_like machine: CPU seconds of the two in this
  run where --zigzag names a Python that has zigzag-dse; else its CPU seconds as
  tests/cost_models/oracles/README.md has them
"""

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cost_models import Accelerator, estimate, load_accelerator, load_technology
from cost_models.estimation import find_pricer
from cost_models.pricing import LayerPricer
from cost_models.residency import place
from cost_models.strict_yaml import parse_yaml
from dse.design.published import published
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.networks.lowering import lower
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep

SPACE = """
blocks: [2, 3]
policy: [P0, P1, P3]
density: {low: 0.0625, high: 0.5, step: 0.0625}
channels: {values: [32, 48, 64, 80], per_block: true}
kernel: [7, 9, 11, 13]
repeats: [1, 2]
prologue_channels: [64, 96, 128]
epilogue_channels: [64, 96, 128]
final_channels: [64, 96, 128]
prologue_stride: [1, 2]
"""

FULL = SPACE.replace("[7, 9, 11, 13]", "{low: 5, high: 21, step: 2}").replace(
    "[64, 96, 128]", "[32, 48, 64, 80, 96, 128]"
)
"""Some ten million designs."""

ZIGZAG_CPU_S = (8.0, 30.0)
"""zigzag-dse 3.9.1, tpu_like, MatchboxNet-3x2x64: each distinct layer once, and every layer
(tests/cost_models/oracles/README.md)."""


def space_of(text: str) -> SearchSpace:
    """A search space from YAML."""
    return space_from_node(parse_yaml(text, "benchmark"), in_channels=64)


def cpu_seconds(action: Callable[[], object], rounds: int = 1) -> float:
    """Median process CPU time of an action."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        action()
        times.append(time.process_time() - begun)
    return statistics.median(times)


def designs_per_second(machine: str) -> dict[str, float]:
    """Cold and warm throughput on one machine."""
    accelerator = load_accelerator(machine)
    machines = [Machine(accelerator, load_technology(accelerator.technology))]
    sweep = Sweep(space_of(SPACE), Pricing(machines, frames=128, outputs=12))
    count = 400_000

    def run() -> None:
        for chunk in sweep.run(sample=count, seed=1):
            assert np.isfinite(chunk.columns["energy_pj"]).all()

    cold = cpu_seconds(run)
    warm = cpu_seconds(run, 3)
    return {
        f"{machine}: designs a second, cold": count / cold,
        f"{machine}: designs a second, warm": count / warm,
    }


def repricing() -> dict[str, float]:
    """Seconds to price 10,000 stored designs on a changed machine: clock, memory, generator."""
    accelerator = load_accelerator("kws_ternary")
    technology = load_technology(accelerator.technology)
    space = space_of(SPACE)
    sweep = Sweep(space, Pricing([Machine(accelerator, technology)], frames=128, outputs=12))
    chunks = list(sweep.run(sample=10_000, seed=2))

    def changed(factor: int) -> Accelerator:
        memories = tuple(
            dataclasses.replace(memory, bandwidth_bits_per_cycle=factor * 32)
            if memory.name == "activation_sram"
            else memory
            for memory in accelerator.memories
        )
        return dataclasses.replace(accelerator, memories=memories)

    times = []
    for factor in (3, 5, 7):
        begun = time.process_time()
        pricer = sweep.pricing.on(Machine(changed(factor), technology))
        for chunk in chunks:
            pricer.price(chunk.cut)
        times.append(time.process_time() - begun)
    return {"re-pricing 10,000 designs on a changed machine, s": statistics.median(times)}


def zigzag_cpu_s(python: str | None) -> tuple[float, float]:
    """CPU seconds of ZigZag for the network: each distinct layer once, and every layer."""
    if python is None:
        return ZIGZAG_CPU_S
    runner = Path(__file__).with_name("run_zigzag.py")
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for extra in ((), ("--every-layer",)):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [
                    python,
                    str(runner),
                    "--machine",
                    "tpu_like",
                    "--network",
                    "matchboxnet-3x2x64",
                    "--weight-bits",
                    "8",
                    "--out",
                    f"{folder}/run.csv",
                    *extra,
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(runner.parents[1])},
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return seconds[0], seconds[1]


def one_network(zigzag: str | None) -> dict[str, float]:
    """`estimate` of one network on tpu_like, and the ratio to ZigZag."""
    accelerator = load_accelerator("tpu_like")
    technology = load_technology(accelerator.technology)
    workload = lower(published("matchboxnet-3x2x64"), frames=128, outputs=35)
    placed = place(workload.layers, accelerator)
    first = cpu_seconds(lambda: LayerPricer(accelerator, technology).rows(placed), 7)
    estimate(workload, accelerator, technology)
    find_pricer(accelerator, technology)
    again = cpu_seconds(lambda: estimate(workload, accelerator, technology), 21)
    low, high = zigzag_cpu_s(zigzag)
    return {
        "ZigZag, each distinct layer once, s": low,
        "ZigZag, every layer, s": high,
        "one network, all mappings searched, ms": first * 1e3,
        "one network again, ms": again * 1e3,
        "ZigZag's time over ours, mappings searched, at least": low / first,
        "ZigZag's time over ours, mappings searched, at most": high / first,
    }


def ten_million() -> dict[str, float]:
    """Wall time and memory for ten million designs, written to Parquet with their frontier."""
    from dse_cli import group

    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "space.yaml"
        indented = "".join(f"  {line}\n" for line in FULL.strip().splitlines())
        study.write_text(f"space:\n{indented}")
        size = space_of(FULL).size
        begun, cpu = time.perf_counter(), time.process_time()
        out = Path(folder) / "all.parquet"
        group.main(["sweep", str(study), "--out", str(out)], prog_name="dse", standalone_mode=False)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        return {
            "full sweep, designs": size,
            "full sweep, s": seconds,
            "full sweep, process CPU time, s": cpu,
            "full sweep, designs a second of CPU time": size / cpu,
            "full sweep, peak memory of the process, GiB": peak,
            "full sweep, Parquet file, MiB": out.stat().st_size / 2**20,
        }


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="also ten million designs")
    parser.add_argument("--zigzag", help="Python interpreter that has zigzag-dse installed")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for machine in ("kws_ternary", "kws_int8_dram", "tpu_like"):
        figures |= designs_per_second(machine)
    figures |= repricing() | one_network(arguments.zigzag)
    if arguments.full:
        figures |= ten_million()
    rate = figures["tpu_like: designs a second, warm"]
    figures["ZigZag's time over ours, a design of a sweep, at least"] = (
        figures["ZigZag, each distinct layer once, s"] * rate
    )
    for name, figure in figures.items():
        print(f"{name:60s} {figure:14,.4g}" if figure < 1e4 else f"{name:60s} {figure:14,.0f}")
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
