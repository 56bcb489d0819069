"""Simulate an exported folder: Verilator compiles it, Icarus interprets it; both print the same."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dse.errors import InvalidInput

Simulator = Literal["verilator", "icarus"]

COUNTS = (
    "cycles",
    "activation_reads",
    "activation_writes",
    "buffer_reads",
    "buffer_writes",
    "weight_reads",
    "record_reads",
    "trit_cycles",
    "passes",
)
"""What the test bench counts of a layer: words that a port moved, cycles."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What the test bench said."""

    verdict: str
    """`PASS: ...` or `FAIL: ...`."""
    layers: tuple[dict[str, int], ...]
    """`COUNTS` of each layer, of the first clip: they do not depend on what the clip says."""
    cycles: tuple[int, ...]
    """Of each clip."""


def find_simulator() -> Simulator | None:
    """The faster one that is installed; None without any."""
    if shutil.which("verilator") and (shutil.which("g++") or shutil.which("clang++")):
        return "verilator"
    return "icarus" if shutil.which("iverilog") and shutil.which("vvp") else None


def simulate(folder: Path, simulator: Simulator, *, timeout_s: float = 3600) -> Simulated:
    """Compile and run the test bench of an exported chip.

    Args:
        folder: what `dse export chip` wrote.
        simulator: which one.
        timeout_s: for compiling, and for running.

    Raises:
        InvalidInput: it is not installed, refuses a file, takes too long, or prints no verdict.
    """
    sources = sorted(path.name for path in folder.glob("*.v"))
    build = folder / "simulation"
    build.mkdir(exist_ok=True)
    try:
        if simulator == "verilator":
            options = ["--binary", "--timing", "-O3", "-Wno-fatal", "-Wno-WIDTH", "-Wno-lint"]
            parts = ["--top-module", "test_bench", "--Mdir", build.name, "-o", "bench"]
            parts += ["-CFLAGS", "-O1"]
            _run(["verilator", *options, *parts, *sources], folder, timeout_s)
            output = _run([f"./{build.name}/bench"], folder, timeout_s)
        else:
            program = f"{build.name}/bench.vvp"
            _run(
                ["iverilog", "-g2005", "-s", "test_bench", "-o", program, *sources],
                folder,
                timeout_s,
            )
            output = _run(["vvp", "-n", program], folder, timeout_s)
    finally:
        shutil.rmtree(build, ignore_errors=True)
    return read_output(output)


def read_output(output: str) -> Simulated:
    """What the lines of the test bench say.

    Raises:
        InvalidInput: there is no verdict among them.
    """
    layers: list[dict[str, int]] = []
    cycles: list[int] = []
    verdict = ""
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "LAYER":
            clip, _, *values = (int(value) for value in rest.split())
            if clip == 0:
                layers.append(dict(zip(COUNTS, values, strict=True)))
        elif word == "CLIP":
            cycles.append(int(rest.split()[1]))
        elif word in ("PASS:", "FAIL:"):
            verdict = line
    if not verdict:
        raise InvalidInput(f"the chip's test bench gave no verdict: {output.strip()[-300:]}")
    return Simulated(verdict, tuple(layers), tuple(cycles))


def _run(command: list[str], folder: Path, timeout_s: float) -> str:
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError:
        raise InvalidInput(
            f"{command[0]} is not installed: install the package of that name"
        ) from None
    except subprocess.TimeoutExpired:
        raise InvalidInput(f"{command[0]} did not end within {timeout_s:g} s") from None
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise InvalidInput(f"{command[0]} refuses the chip: {lines[0] if lines else 'no reason'}")
    return result.stdout
