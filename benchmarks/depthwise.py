"""Time depthwise layers by frames of a block, and what the choice costs over the best.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/depthwise.py --out depthwise.json

Forward and backward of one layer on one thread, process CPU time, the blocks interleaved, median of
the rounds. docs/evidence/performance.md has results.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import dse.training.fast.depthwise
from dse.processor import bfloat16_works, prepare
from dse.training.allocation import keep_freed_memory
from dse.training.fast.depthwise import BLOCK_FRAMES, BLOCK_FRAMES_ELSE, depthwise

LAYERS = (
    # clips, frames, taps, dilation
    (128, 128, 13, 1),
    (32, 128, 13, 1),
    (8, 128, 13, 1),
    (128, 128, 29, 2),
    (32, 128, 29, 2),
    (128, 64, 13, 1),
    (63, 101, 15, 1),
    (16, 400, 33, 1),
    (16, 200, 75, 1),
    (16, 200, 87, 2),
)
CHANNELS = 64
CHOSEN = BLOCK_FRAMES
BLOCKS = (8, 16, 32, 48, 64, 96, 128)


def step(
    clips: int, frames: int, taps: int, dilation: int, dtype: torch.dtype, block: int
) -> Callable[[], None]:
    """Forward and backward of one layer with blocks of so many frames."""
    torch.manual_seed(0)
    inputs = torch.randn(CHANNELS, frames, clips, dtype=dtype, requires_grad=True)
    weight = torch.randn(CHANNELS, taps, dtype=dtype, requires_grad=True)
    gradient = torch.randn(CHANNELS, frames, clips, dtype=dtype)

    def run() -> None:
        dse.training.fast.depthwise.BLOCK_FRAMES = dict.fromkeys(
            (torch.float32, torch.bfloat16), block
        )
        outputs = depthwise(inputs, weight, stride=1, dilation=dilation)
        torch.autograd.grad(outputs, (inputs, weight), gradient)

    return run


def measure(layer: tuple[int, int, int, int], dtype: torch.dtype, rounds: int) -> dict[int, float]:
    """Milliseconds by frames of a block."""
    steps = {block: step(*layer, dtype, block) for block in BLOCKS if block <= layer[1]}
    times: dict[int, list[float]] = {block: [] for block in steps}
    for turn in range(rounds + 1):  # the first round warms up
        for block, run in steps.items():
            start = time.process_time()
            run()
            if turn:
                times[block].append(1000 * (time.process_time() - start))
    return {block: statistics.median(found) for block, found in times.items()}


def main() -> None:
    """Measure, print a line a layer, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepare()
    keep_freed_memory()
    results = []
    for dtype in (torch.float32, *([torch.bfloat16] if bfloat16_works() else [])):
        for layer in LAYERS:
            clips, frames, taps, dilation = layer
            found = measure(layer, dtype, options.rounds)
            chosen = CHOSEN.get(dtype, BLOCK_FRAMES_ELSE)
            surplus = found[chosen] / min(found.values()) - 1
            results.append({"layer": layer, "dtype": str(dtype), "ms": found, "chosen": chosen})
            listed = ", ".join(f"{block}: {ms:.2f}" for block, ms in found.items())
            print(
                f"{str(dtype)[6:]}, {clips} clips, {frames} frames, {taps} taps, dilation "
                f"{dilation}: {listed} ms; chosen {chosen}, {surplus:.0%} over the best",
                flush=True,
            )
    if options.out is not None:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
