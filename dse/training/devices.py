"""Where and how a training computes: device, threads, numbers, layout.

Three choices, each made from what the recipe says and what the machine can:

    device    CUDA or CPU                   `choose_device`
    numbers   float32 or bfloat16           `uses_bfloat16`
    path      `dse.training.fast` or plain  `choose_computation`

None changes what is trained, all change how it rounds. So a checkpoint records
`Computation.label`, and a training that goes on elsewhere says so in its result. bfloat16 has
float32's range and 8 bits of its precision: unlike float16 it needs no scaling of the loss.
Parameters, their gradients, batch statistics and the loss stay in float32.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from dse.errors import InvalidInput, require
from dse.processor import bfloat16_works, has_bfloat16_units, try_processor
from dse.training.recipe import Recipe

_OUT_OF_MEMORY = (
    "can't allocate memory",  # torch itself
    # oneDNN, which does not tell why; what worked at the step before failed for want of memory.
    "could not create a primitive",
    "could not execute a primitive",
    "bad_alloc",
)

Path = Literal["auto", "fast", "plain"]
"""`fast`: `dse.training.fast`; `plain`: the network as it is written in `dse.networks.network`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """How the steps of a training are computed; made by `choose_computation`.

    Validation computes on the same device and path, always in float32.
    """

    device: torch.device
    bfloat16: bool
    fast: bool
    """Whether `dse.training.fast` computes, or the plain network."""

    @property
    def label(self) -> str:
        """For people and records, such as `cpu, 2 threads, float32, fast path`."""
        parts = [str(self.device)]
        if self.device.type == "cpu":
            threads = torch.get_num_threads()
            parts.append(f"{threads} thread{'s' if threads > 1 else ''}")
        parts.append("bfloat16" if self.bfloat16 else "float32")
        parts.append("fast path" if self.fast else "plain path")
        return ", ".join(parts)


def choose_computation(recipe: Recipe, device: torch.device, path: Path = "auto") -> Computation:
    """How a recipe is computed on a device: numbers by the recipe, the path by the device.

    The path is `dse.training.fast` on a CPU, where it was measured
    (docs/evidence/performance.md); elsewhere the plain network, whose
    convolutions are the device's own.

    Raises:
        InvalidInput: the recipe wants bfloat16 and the processor ends programs that compute in it.
    """
    require(path in ("auto", "fast", "plain"), "path", "auto, fast or plain", path)
    fast = path == "fast" or (path == "auto" and device.type == "cpu")
    return Computation(device=device, bfloat16=uses_bfloat16(recipe, device), fast=fast)


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        InvalidField: torch does not know the device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        require(False, "device", "auto, cpu, or a device that this machine has", name)
    return device


def uses_bfloat16(recipe: Recipe, device: torch.device) -> bool:
    """Whether training computes in bfloat16.

    `auto` does on CUDA, and on CPUs that name units for it where a trial found it faster
    (`dse.processor`).

    Raises:
        InvalidInput: the recipe wants it, and it would end this process.
    """
    if recipe.precision == "float32":
        return False
    if device.type != "cpu":
        return recipe.precision == "bfloat16" or device.type == "cuda"
    if recipe.precision == "auto":
        return has_bfloat16_units() and try_processor().bfloat16_pays and bfloat16_works()
    if not bfloat16_works():
        raise InvalidInput(
            "precision bfloat16 cannot be computed here: its products end the process with an "
            "illegal instruction (docs/evidence/performance.md); set precision to auto or float32"
        )
    return True


def describe_device(name: str, recipe: Recipe, path: Path = "auto") -> str:
    """What a recipe computes on and how, such as `cpu, 2 threads, float32, fast path`.

    Raises:
        InvalidInput: torch does not know the device or it is not there; or as `uses_bfloat16`.
    """
    return choose_computation(recipe, choose_device(name), path).label


def set_threads(threads: int) -> None:
    """Let torch use so many CPU threads from now on, in the whole process.

    Another number of threads divides sums in another way: a step agrees but for rounding, and a
    training drifts away from there.
    """
    torch.set_num_threads(threads)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; on the CPU torch says so with a plain RuntimeError.

    Known by words in the message, so an error that only resembles them is taken for it.
    """
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in _OUT_OF_MEMORY
    )
