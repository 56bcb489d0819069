"""What this machine's processor multiplies fastest with: tried once, not believed.

A processor may name units for bfloat16 and be slower with them than without, and a virtual machine
may name units (AMX) but hide how large they are: oneDNN, which torch multiplies with, then ends the
process with an illegal instruction. And of float32, oneDNN multiplies twice as fast as MKL on AMD's
processors, which eager torch takes all the same. So the products of a training step are timed in a
process of their own, if need be with oneDNN held to instructions that work, and the outcome is
remembered in `dse.files.cache_folder()`.

    names no bfloat16 units         nothing is tried: float32 by what torch takes
    survives the trial              times compared
    survives it only without AMX    times compared, and oneDNN held to `WITHOUT_AMX` from then on
    survives neither                remembered as such: no bfloat16, no oneDNN

The trap is the order: oneDNN reads `ONEDNN_MAX_CPU_ISA` at its first use and never again, so
`prepare` must run before the first product or convolution of a process.
"""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch

from dse.files import cache_folder, write_text

ISA = "ONEDNN_MAX_CPU_ISA"
WITHOUT_AMX = "AVX512_CORE_BF16"
"""oneDNN's name for its best instructions with bfloat16 below AMX."""

WORTH = 0.8
"""bfloat16 is chosen where its products take at most this share of the time of float32's; above it
the loss of digits buys nothing. Likewise oneDNN for products in float32."""

TRIAL_TIMEOUT_S = 120.0

# Products of MatchboxNet-3x2x64 at batches of 128 on the fast path: a depthwise and a pointwise
# layer, forwards and backwards. Process time, so that other work disturbs little. A line for
# float32, one for float32 by oneDNN (infinite where it cannot, or rounds more), one for bfloat16,
# which may end the process.
_TRIAL = """
import statistics, time, torch
torch.set_num_threads(1)
def onednn(left, right):
    return torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
def products(dtype, multiply):
    torch.manual_seed(0)
    band, clips = torch.randn(64, 32, 44).to(dtype), torch.randn(64, 44, 128).to(dtype)
    mix, values = torch.randn(64, 64).to(dtype), torch.randn(64, 16384).to(dtype)
    def once():
        start = time.process_time()
        for _ in range(4):
            torch.bmm(band, clips), torch.bmm(band.transpose(1, 2), clips[:, :32])
        multiply(mix, values), multiply(mix.t(), values), multiply(values, values.t())
        return 1000 * (time.process_time() - start)
    once()
    return statistics.median(once() for _ in range(9))
def agrees():
    left, right = torch.randn(64, 512), torch.randn(512, 64)
    exact = left.double() @ right.double()
    return (onednn(left, right) - exact).norm() < 1e-6 * exact.norm()
print(products(torch.float32, torch.mm), flush=True)
try:
    print(products(torch.float32, onednn) if agrees() else float("inf"), flush=True)
except (AttributeError, RuntimeError):
    print(float("inf"), flush=True)
print(products(torch.bfloat16, torch.mm), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What a trial found; times are for the same products on one thread."""

    float32_ms: float
    """By what torch takes."""
    onednn_ms: float
    """In float32 by oneDNN; infinite where it cannot."""
    bfloat16_ms: float | None
    """None where they end the process whatever is tried."""
    isa: str
    """What oneDNN is held to (`ONEDNN_MAX_CPU_ISA`); empty where nothing has to be."""

    @property
    def bfloat16_pays(self) -> bool:
        """Whether training is faster in bfloat16 than in float32 by the better library."""
        best_ms = min(self.float32_ms, self.onednn_ms)
        return self.bfloat16_ms is not None and self.bfloat16_ms <= WORTH * best_ms

    @property
    def onednn_pays(self) -> bool:
        """Whether oneDNN is the better library for float32, by the margin of `WORTH`."""
        return self.onednn_ms <= WORTH * self.float32_ms


def has_bfloat16_units() -> bool:
    """Whether the processor says that it has instructions for bfloat16 (AVX-512 BF16 or AMX).

    Cheap, and no proof: `bfloat16_works` and `Processor.bfloat16_pays` are what was tried.
    """
    # Later versions of torch than the oldest that is supported can tell what a CPU has.
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


@lru_cache(maxsize=1)
def prepare() -> None:
    """Hold oneDNN to what works here; called before this program's first product or convolution.

    Does nothing, and tries nothing, on a processor that names no units for bfloat16.
    """
    # A wish of the user's stays. Processes started from here inherit the setting; as it is part of
    # `_machine`, they try once more and remember that outcome beside this one.
    if has_bfloat16_units() and try_processor().isa:
        os.environ.setdefault(ISA, try_processor().isa)


@lru_cache(maxsize=1)
def float32_by_onednn() -> bool:
    """Whether products in float32 are faster by oneDNN than by what torch takes.

    Processors without units for bfloat16 are not tried: with vectors of 256 bits MKL is as fast.
    """
    return has_bfloat16_units() and try_processor().onednn_pays


@lru_cache(maxsize=1)
def bfloat16_works() -> bool:
    """Whether products in bfloat16 can be computed in this process, fast or slowly.

    Ask before the first one: where the answer is no, that product would end the process.
    """
    if not has_bfloat16_units():
        return True  # slowly: torch computes them by other instructions
    prepare()
    found = try_processor()
    if found.bfloat16_ms is None:
        return False
    return not found.isa or _survives()


@lru_cache(maxsize=1)
def try_processor() -> Processor:
    """The trial's outcome: remembered from an earlier one on this machine, or tried now.

    The first time torch starts in a process of its own (in two, where the first does not survive),
    for at most `TRIAL_TIMEOUT_S` each. Where nothing can be timed the answer is that float32 by
    torch is best, and that is remembered as well: to have it tried again, remove `processor-*.json`
    from `dse.files.cache_folder()`.
    """
    path = cache_folder() / f"processor-{_machine()}.json"
    with suppress(OSError, ValueError, TypeError):  # not there, or not ours
        return Processor(**json.loads(path.read_text(encoding="utf-8")))
    found = _try({}) or _try({ISA: WITHOUT_AMX})
    if found is None:
        found = Processor(float32_ms=0.0, onednn_ms=math.inf, bfloat16_ms=None, isa="")
    with suppress(OSError):  # the next process tries again
        write_text(path, json.dumps(asdict(found)))
    return found


def _machine() -> str:
    """Eight hex digits of the processor and the versions that an outcome holds for."""
    model = ""
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        model = " ".join(sorted({line for line in lines if line.startswith(("model", "flags"))}))
    text = f"{torch.__version__} {os.environ.get(ISA, '')} {model} {_TRIAL}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _try(settings: dict[str, str]) -> Processor | None:
    """Time the products in a process of their own; None where it did not survive them."""
    environment = os.environ | settings
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TRIAL_TIMEOUT_S,
        )
        # A process that was ended in the middle printed fewer numbers: ValueError, as unpacking
        # says. Its exit status is not needed.
        float32_ms, onednn_ms, bfloat16_ms = map(float, done.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Processor(
        float32_ms=float32_ms,
        onednn_ms=onednn_ms,
        bfloat16_ms=bfloat16_ms,
        isa=settings.get(ISA, ""),
    )


def _survives() -> bool:
    """Whether a copy of this process survives a product in bfloat16.

    oneDNN looks at `ONEDNN_MAX_CPU_ISA` once: if it was used before `prepare`, it is too late.
    """
    if not hasattr(os, "fork"):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: it only multiplies
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)  # ended by it, should a lock of another thread hold it
            torch.set_num_threads(1)
            torch.mm(*(torch.ones(64, 64, dtype=torch.bfloat16) for _ in range(2)))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return status == 0
