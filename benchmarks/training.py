"""Time training steps of the fast path against the network as a user would write it.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/training.py --out training.json
    .venv/bin/python benchmarks/training.py --keras KERAS/bin/python   # with TensorFlow in KERAS

One run, the ways interleaved round by round, one thread, process CPU time, median of the rounds:
other work on the machine then disturbs all ways alike. A step is forward, loss, backward and
optimiser on random pictures that are in memory. The naive way is `dse.networks.network` (plain
`nn.Conv1d` in the order of NeMo's blocks) with AdamW as torch gives it; it, too, gains from the
freed memory that the fast path has this process keep. docs/evidence/performance.md has results.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cost_models.strict_yaml import read_yaml
from dse.design.point import DesignPoint, point_from_node
from dse.design.published import published
from dse.networks.network import SpeechNetwork, build_network
from dse.networks.ternary_convolution import TernaryConv1d
from dse.processor import bfloat16_works, prepare, try_processor
from dse.speech.features import FeatureSplit, SpeechFeatures
from dse.speech.task import FeatureSpec, Task
from dse.training.allocation import keep_freed_memory
from dse.training.augmentation import augment
from dse.training.batches import Batch, Batches
from dse.training.devices import Computation
from dse.training.fast.products import product
from dse.training.objective import CrossEntropy
from dse.training.optimisers import make_optimiser
from dse.training.recipe import Recipe
from dse.training.steps import Steps

CPU = torch.device("cpu")
TRAINING_CLIPS = 84_843
"""Of Speech Commands v2, all 35 words: what an epoch is in the column of epochs an hour."""

GROUPS = ("depthwise", "pointwise", "batch norm", "relu", "optimiser", "other")
"""Parts of a step; `other` holds what is not in an operation of torch, too."""


@dataclass(frozen=True)
class Case:
    """A network and the batch it is timed with."""

    point: DesignPoint
    clips: int = 128
    frames: int = 128
    outputs: int = 30


@dataclass
class Times:
    """What was measured of one way to train one network."""

    milliseconds: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """CPU time of a step."""
        return statistics.median(self.milliseconds)


def cases(names: list[str]) -> dict[str, Case]:
    """The networks of the table; QuartzNet on four seconds, with a head over frames."""
    small = point_from_node(read_yaml(Path(__file__).with_name("ternary-20k.yaml")))
    known = {
        "matchboxnet-3x1x64": Case(published("matchboxnet-3x1x64")),
        "matchboxnet-3x2x64": Case(published("matchboxnet-3x2x64")),
        "matchboxnet-6x2x64": Case(published("matchboxnet-6x2x64")),
        "ternary-20k": Case(small, outputs=12),
        "quartznet-5x5": Case(published("quartznet-5x5"), clips=16, frames=400, outputs=29),
    }
    return {name: known[name] for name in names or known}


def naive_step(case: Case, network: SpeechNetwork, bfloat16: bool) -> Callable[[], None]:
    """As a user would write it."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    pictures, labels = data(case)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            scores = network(pictures)
        loss = functional.cross_entropy(scores.float(), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def fast_step(case: Case, network: SpeechNetwork, bfloat16: bool) -> Callable[[], None]:
    """As `dse.training.run` does it."""
    recipe = Recipe(learning_rate=1e-4, label_smoothing=0.0)
    how = Computation(device=CPU, bfloat16=bfloat16, fast=True)
    optimiser, loss = make_optimiser(network.parameters(), recipe), CrossEntropy(recipe)
    steps = Steps(network, optimiser, recipe, how, loss)
    batch = Batch(*data(case))
    return lambda: (steps.step(batch, 1e-4), None)[1]


def data(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pictures and labels; a label a frame where the head gives scores at every frame."""
    torch.manual_seed(0)
    pictures = torch.randn(case.clips, case.point.in_channels, case.frames)
    with torch.no_grad():
        shape = build_network(case.point, case.outputs).eval()(pictures[:1]).shape
    return pictures, torch.randint(case.outputs, (case.clips, *shape[2:]))


def ways(case: Case) -> dict[str, Callable[[], None]]:
    """Each on its own copy of the same network."""

    def network() -> SpeechNetwork:
        torch.manual_seed(1)
        return build_network(case.point, case.outputs)

    found = {
        "naive float32": naive_step(case, network(), False),
        "fast float32": fast_step(case, network(), False),
    }
    if bfloat16_works():
        found["naive bfloat16"] = naive_step(case, network(), True)
        found["fast bfloat16"] = fast_step(case, network(), True)
    return found


class Keras:
    """The same network of Keras SeparableConv1D layers, stepped in a process of its own."""

    def __init__(self, python: str, case: Case) -> None:
        script = Path(__file__).with_name("keras_step.py")
        self.process = subprocess.Popen(
            [python, str(script), str(case.clips), str(case.frames), str(case.outputs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        blocks = [
            {
                "kernel": block.kernel_size,
                "channels": block.out_channels,
                "repeats": block.repeats,
                "dilation": block.dilation,
                "separable": block.separable,
                "skip": block.skip is not None,
            }
            for block in case.point.blocks
        ]
        self._say(json.dumps(blocks))

    def _say(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def step_ms(self) -> float:
        """CPU time of one step."""
        return float(self._say("step"))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def time_all(case: Case, rounds: int, keras: Keras | None) -> dict[str, Times]:
    """All ways in turn, round by round."""
    steps = ways(case)
    times = {name: Times() for name in steps}
    if keras is not None:
        times["keras float32"] = Times()
        keras.step_ms()
    for step in steps.values():
        step(), step()
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.process_time()
            step()
            times[name].milliseconds.append(1000 * (time.process_time() - start))
        if keras is not None:
            times["keras float32"].milliseconds.append(keras.step_ms())
    return times


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up CPU time by `GROUPS`, and the bytes that operations read and write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.milliseconds = dict.fromkeys(GROUPS, 0.0)
        self.moved_bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation."""
        start = time.process_time()
        found = function(*args, **(kwargs or {}))
        self.milliseconds[group(function.__name__, args)] += 1000 * (time.process_time() - start)
        if not function.is_view:
            tensors = [one for one in tree_leaves((args, found)) if isinstance(one, torch.Tensor)]
            self.moved_bytes += sum(one.numel() * one.element_size() for one in tensors)
        return found


def group(name: str, args: Any) -> str:
    """The part of a step that an operation belongs to."""
    if "convolution" in name:
        weight = args[2] if "backward" in name else args[1]
        return "pointwise" if weight.shape[-1] == 1 else "depthwise"
    for found, parts in {
        "depthwise": ("bmm", "as_strided", "cat", "flip"),
        "pointwise": ("mm", "_linear_pointwise"),
        "batch norm": ("batch_norm", "vector_norm", "mean"),
        "relu": ("relu", "clamp_min", "threshold"),
        "optimiser": ("adam",),
    }.items():
        if any(part in name for part in parts):
            return found
    return "other"


def profile(step: Callable[[], None], times: int = 3) -> tuple[dict[str, float], float]:
    """Where a step's time goes, as shares, and the bytes that its operations move.

    Of the time of these very steps, watching them included (in `other`): another moment's steps
    may run at another clock.
    """
    step()
    with Operations() as seen:
        begun = time.process_time()
        for _ in range(times):
            step()
        whole_ms = 1000 * (time.process_time() - begun)
    found = {name: spent / whole_ms for name, spent in seen.milliseconds.items()}
    found["other"] = max(0.0, 1 - sum(found[name] for name in GROUPS if name != "other"))
    return found, seen.moved_bytes / times


def useful_flops(case: Case) -> float:
    """2 per MAC of forward pass, gradient of inputs and, where trained, gradient of weights."""
    total = 0.0

    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv1d | TernaryConv1d | nn.Linear):
            weight = module.weight
            frames = output.shape[2] if output.ndim == 3 else 1
            total += 2 * weight.numel() * frames * (3 if weight.requires_grad else 2)

    network = build_network(case.point, case.outputs).eval()
    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, case.point.in_channels, case.frames))
    return total * case.clips


def limits() -> dict[str, float]:
    """What one thread can do at most: products of 1,024 x 1,024 matrices, and copies of 512 MB."""

    def gigaflops(dtype: torch.dtype) -> float:
        matrix = torch.ones(1024, 1024, dtype=dtype)
        return 2 * 1024**3 / 1e6 / median_ms(lambda: product(matrix, matrix))

    source = torch.zeros(2**27)
    target = torch.empty_like(source)
    found = {
        "float32_gflops": gigaflops(torch.float32),
        "copy_gb_per_s": 2 * source.nbytes / 1e6 / median_ms(lambda: target.copy_(source)),
    }
    if bfloat16_works():
        found["bfloat16_gflops"] = gigaflops(torch.bfloat16)
    return found


def median_ms(run: Callable[[], object], rounds: int = 7) -> float:
    """CPU time, after one run to warm up."""
    run()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def pipeline() -> dict[str, float]:
    """The feature cache's side of a step: clips a second and core, and milliseconds a batch."""
    clips, variants = 1024, 8
    keep_freed_memory()  # as `dse.training.steps` does
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        random = np.random.default_rng(0)
        np.save(path, random.normal(size=(clips, variants, 64, 128)).astype(np.float16))
        split = FeatureSplit(np.load(path, mmap_mode="r"), np.zeros(clips, np.int64), ())
        features = SpeechFeatures(
            task=Task(),
            spec=FeatureSpec(),
            training=split,
            validation=split,
            testing=split,
            classes=("a",),
            key="",
            mean=np.zeros(64, np.float32),
            deviation=np.ones(64, np.float32),
            skipped=(),
        )
        batches = Batches(features, Recipe().augmentation, 128, CPU)
        generator = torch.Generator().manual_seed(0)
        epoch_ms = median_ms(lambda: [len(labels) for _, labels in batches.epoch(generator)])
        batch = torch.randn(128, 64, 128)
        augment_ms = median_ms(lambda: augment(batch, Recipe().augmentation, generator), 31)
    return {
        "augment_128_ms": augment_ms,
        "clips_per_s_and_core": 1000 * clips / epoch_ms,
        "batch_of_128_ms": epoch_ms * 128 / clips,
    }


def measure(
    name: str, case: Case, rounds: int, python: str | None, most: dict[str, float]
) -> dict[str, Any]:
    """One network, all ways; Keras where it is asked for and has the layers."""
    keras = Keras(python, case) if python and name.startswith("matchboxnet") else None
    times = time_all(case, rounds, keras)
    if keras is not None:
        keras.close()
    naive = times["naive float32"].median_ms
    flops = useful_flops(case)
    profiles = {way: profile(step) for way, step in ways(case).items()}
    rows: dict[str, dict[str, Any]] = {}
    for way, found in times.items():
        narrow = way.endswith("bfloat16")
        rows[way] = {
            "ms_per_step": found.median_ms,
            "lowest_ms": min(found.milliseconds),
            "highest_ms": max(found.milliseconds),
            "samples_per_s": 1000 * case.clips / found.median_ms,
            "epochs_per_hour": 3.6e6 * case.clips / found.median_ms / TRAINING_CLIPS,
            "times_naive": naive / found.median_ms,
            "products_ms": flops / 1e6 / most["bfloat16_gflops" if narrow else "float32_gflops"],
        }
        if way in profiles:
            shares, moved_bytes = profiles[way]
            rows[way] |= {
                "shares": shares,
                "moved_bytes": moved_bytes,
                "moving_ms": moved_bytes / 1e6 / most["copy_gb_per_s"],
            }
    return {
        "network": name,
        "clips": case.clips,
        "frames": case.frames,
        "useful_gflop_per_step": flops / 1e9,
        "ways": rows,
    }


def show(result: dict[str, Any]) -> None:
    """Print the tables of one network.

    `products` and `moving` are what a step would take at the machine's limits: its useful products
    at the speed of a large one, and what its operations read and write at the speed of a copy.
    """
    print(
        f"\n{result['network']}: batches of {result['clips']} x {result['frames']} frames, "
        f"{result['useful_gflop_per_step']:.1f} useful GFLOP a step"
    )
    print(
        f"{'':16}{'ms':>8}{'(lowest':>10}{'highest)':>10}{'samples/s':>11}{'epochs/h':>10}"
        f"{'x naive':>9}{'products ms':>13}{'moving ms':>11}"
    )
    for way, row in result["ways"].items():
        moving = f"{row['moving_ms']:11.1f}" if "moving_ms" in row else f"{'-':>11}"
        print(
            f"{way:16}{row['ms_per_step']:8.1f}{row['lowest_ms']:10.1f}{row['highest_ms']:10.1f}"
            f"{row['samples_per_s']:11.0f}{row['epochs_per_hour']:10.1f}{row['times_naive']:9.2f}"
            f"{row['products_ms']:13.1f}{moving}"
        )
    for way, row in result["ways"].items():
        if "shares" in row:
            listed = ", ".join(f"{name} {share:.0%}" for name, share in row["shares"].items())
            print(f"  {way}: {listed}")


def tables(results: list[dict[str, Any]]) -> str:
    """The tables of docs/evidence/performance.md."""
    ways = ("naive float32", "fast float32", "keras float32", "naive bfloat16", "fast bfloat16")
    fast = ("fast float32", "fast bfloat16")
    lines = [
        "| network | " + " | ".join(ways) + " | fast, samples/s | fast, epochs/h | "
        "fast over naive: float32, bfloat16 | at the limits, float32 | bfloat16 |",
        "|---" * 11 + "|",
    ]
    for result in results:
        rows = result["ways"]
        best = min((rows[way] for way in fast if way in rows), key=lambda row: row["ms_per_step"])
        found = [f"{result['network']} ({result['clips']} x {result['frames']})"]
        found += [f"{rows[way]['ms_per_step']:,.0f}" if way in rows else "-" for way in ways]
        found += [f"{best['samples_per_s']:,.0f}", f"{best['epochs_per_hour']:.1f}"]
        found.append(
            ", ".join(f"**{rows[way]['times_naive']:.2f}**" for way in fast if way in rows)
        )
        found += [
            f"{rows[way]['products_ms']:.0f} + {rows[way]['moving_ms']:.0f}" if way in rows else "-"
            for way in fast
        ]
        lines.append("| " + " | ".join(found) + " |")
    lines += [
        "",
        "| network | way | " + " | ".join(GROUPS) + " |",
        "|---" * (len(GROUPS) + 2) + "|",
    ]
    for result in results:
        for way in ("naive float32", *fast):
            if way in result["ways"]:
                shares = result["ways"][way]["shares"]
                listed = " | ".join(f"{shares[name]:.0%}" for name in GROUPS)
                lines.append(f"| {result['network']} | {way} | {listed} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what the options name, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", default=[], help="of the table; default all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keras", help="a Python with TensorFlow, to time Keras beside")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prepare()
    processor = try_processor()
    most = limits()
    print(f"torch {torch.__version__}, 1 thread; processor: {processor}")
    print("limits: " + ", ".join(f"{name} {value:.1f}" for name, value in most.items()))
    fed = pipeline()
    print("pipeline: " + ", ".join(f"{name} {value:,.1f}" for name, value in fed.items()))
    results = []
    for name, case in cases(options.networks).items():
        results.append(measure(name, case, options.rounds, options.keras, most))
        show(results[-1])
        sys.stdout.flush()
    print("\n" + tables(results))
    if options.out is not None:
        record = {
            "torch": torch.__version__,
            "rounds": options.rounds,
            "limits": most,
            "pipeline": fed,
            "results": results,
        }
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
