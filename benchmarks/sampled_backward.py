"""What keeping a share of the inputs of mixing layers (`kept_share`) saves, and what it costs.

    python -m benchmarks.sampled_backward --data speech --epochs 12 --seeds 3

Memory is told twice, each piece of it once and without weights: bytes that the forward pass of a
batch keeps for the backward one, and the most that tensors made in a whole step hold at a time.
Resident memory of the process says less: what an allocator keeps differs by a fifth from run to
run. Seconds of a step are CPU time on one thread, the median of steps that alternate between the
shares. Errors are those of the best epoch, means over the seeds.
docs/how-to/training.md has a table.
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dse.design.published import published
from dse.networks.network import SpeechNetwork, build_network
from dse.speech.features import SpeechFeatures, load_features
from dse.speech.task import FeatureSpec, Task
from dse.training.batches import Batch
from dse.training.checkpoint import load_network
from dse.training.devices import Computation, set_threads
from dse.training.devices import Path as ComputationPath
from dse.training.objective import CrossEntropy
from dse.training.optimisers import make_optimiser
from dse.training.recipe import RECIPES, Recipe
from dse.training.run import BEST, evaluate, train
from dse.training.steps import Steps

NETWORKS = ("matchboxnet-3x1x64", "matchboxnet-3x1x64-P3")
OUTPUTS, COEFFICIENTS, FRAMES = 11, 64, 128
CLIPS = 32
"""Of a batch of the default recipe."""


@dataclass(frozen=True)
class Memory:
    """Of one step."""

    kept_bytes: int
    """For the backward pass."""
    peak_bytes: int
    """Of all tensors made in it that are alive together."""


@dataclass(frozen=True)
class Errors:
    """Of one training: shares of clips told wrongly."""

    validation: float
    test: float


def main() -> None:
    """Measure, train, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.3, 0.1])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--path", choices=["fast", "plain"], default="fast")
    options = parser.parse_args()
    set_threads(1)
    features = load_features(options.data, Task(), FeatureSpec())
    table = [HEADER]
    for name in options.networks:
        seconds = step_seconds(name, options.shares, options.path)
        for share in options.shares:
            memory = memory_of(name, share, options.path)
            recipe = dataclasses.replace(
                RECIPES["default"], epochs=options.epochs, kept_share=share, precision="float32"
            )
            found = [
                errors(name, recipe, features, seed, options.path)
                for seed in range(1, options.seeds + 1)
            ]
            table.append(row(name, share, memory, seconds[share], found))
            print(table[-1], flush=True)
    print("\n".join(table))


HEADER = """\
| network | share | kept, MB | peak, MB | CPU ms a step | validation error | test error |
|---|---|---|---|---|---|---|"""


def row(name: str, share: float, memory: Memory, seconds: float, found: list[Errors]) -> str:
    """A line of the table."""
    validation = spread([one.validation for one in found])
    test = spread([one.test for one in found])
    return (
        f"| `{name}` | {share:g} | {memory.kept_bytes / 1e6:.1f} | {memory.peak_bytes / 1e6:.1f} | "
        f"{1e3 * seconds:.1f} | {validation} | {test} |"
    )


def spread(errors: list[float]) -> str:
    """Mean, and the deviation of a training where there are several.

    Args:
        errors: shares from 0 to 1.
    """
    deviation = f" ± {100 * statistics.stdev(errors):.1f}" if len(errors) > 1 else ""
    return f"{100 * statistics.mean(errors):.1f}{deviation} %"


def errors(
    name: str, recipe: Recipe, features: SpeechFeatures, seed: int, path: ComputationPath
) -> Errors:
    """Train, and test the best epoch."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        result = train(
            published(name), features, recipe, seed=seed, folder=folder, device="cpu", path=path
        )
        network, checkpoint = load_network(folder / BEST)
        tested = evaluate(network, features.testing, checkpoint.mean, checkpoint.deviation)
    found = Errors(result.validation_error, tested.error)
    print(f"{name}, kept_share {recipe.kept_share:g}, seed {seed}: {found}", flush=True)
    return found


def steps_of(name: str, share: float, path: ComputationPath) -> Steps:
    """What a training makes its steps with."""
    torch.manual_seed(1)
    network = build_network(published(name), OUTPUTS)
    recipe = dataclasses.replace(RECIPES["default"], kept_share=share)
    how = Computation(device=torch.device("cpu"), bfloat16=False, fast=path == "fast")
    optimiser = make_optimiser(network.parameters(), recipe)
    return Steps(network, optimiser, recipe, how, CrossEntropy(recipe))


def batch(clips: int) -> Batch:
    """Pictures and labels, random."""
    return Batch(torch.randn(clips, COEFFICIENTS, FRAMES), torch.randint(OUTPUTS, (clips,)))


def step_seconds(
    name: str, shares: list[float], path: ComputationPath, count: int = 40
) -> dict[float, float]:
    """CPU seconds of a step by share, the median of several."""
    ways = {share: steps_of(name, share, path) for share in shares}
    shown = batch(CLIPS)
    times: dict[float, list[float]] = {share: [] for share in shares}
    for _ in range(count):
        for share, steps in ways.items():
            began = time.process_time()
            steps.step(shown, 1e-4)
            times[share].append(time.process_time() - began)
    return {share: statistics.median(some[count // 4 :]) for share, some in times.items()}


def memory_of(name: str, share: float, path: ComputationPath) -> Memory:
    """Of a step.

    Args:
        name: of a published network.
        share: `Recipe.kept_share`.
        path: `fast` or `plain`.
    """
    steps = steps_of(name, share, path)
    shown = batch(CLIPS)
    steps.step(shown, 1e-4)  # the optimiser makes its state
    with Live() as live:
        steps.step(shown, 1e-4)
    return Memory(kept_bytes(steps.network, lambda: steps.scores(shown)), live.peak)


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of all tensors that are made within and alive at a time; not what is within a layer."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor):
                self.add(value.untyped_storage())
        return made

    def add(self, storage: torch.UntypedStorage) -> None:
        """Count memory once, until it is freed."""
        place, size = storage.data_ptr(), storage.nbytes()
        if place in self.known or size == 0:
            return
        self.known.add(place)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self.forget, place, size)

    def forget(self, place: int, size: int) -> None:
        """It is free."""
        self.known.discard(place)
        self.alive -= size


def kept_bytes(network: SpeechNetwork, compute: Callable[[], Tensor]) -> int:
    """What a forward pass keeps for the backward one, each piece of memory once.

    Parameters and buffers of the network are there anyway, and left out.
    """
    own = {value.data_ptr() for value in (*network.parameters(), *network.buffers())}
    found: dict[int, Tensor] = {}

    def pack(value: Tensor) -> Tensor:
        found[value.untyped_storage().data_ptr()] = value
        return value

    with saved_tensors_hooks(pack, lambda value: value):
        compute()
    return sum(
        value.untyped_storage().nbytes() for place, value in found.items() if place not in own
    )


if __name__ == "__main__":
    main()
