"""The exported test bench in Icarus Verilog: compiled by `iverilog`, run by `vvp`.

A simulator interprets Verilog by its rules, four values a bit (0, 1, x, z), so registers that were
never set show up as x. What it does not say: whether the circuit can be synthesised (`yosys`), and
how fast it is.
"""

import shutil
import subprocess
from pathlib import Path

from dse.errors import InvalidInput


def has_icarus() -> bool:
    """Whether `iverilog` and `vvp` are installed."""
    return shutil.which("iverilog") is not None and shutil.which("vvp") is not None


def run_test_bench(folder: Path, *, timeout_s: float = 600) -> str:
    """Compile and run the test bench of an exported folder.

    A bench that finds differences is no error here: its verdict begins with `FAIL`.

    Args:
        folder: what `dse export` wrote; all its Verilog files are compiled.
        timeout_s: for each of the two steps.

    Returns:
        The verdict, such as `PASS: 8192 trits, 0 mismatches`.

    Raises:
        InvalidInput: Icarus Verilog is not installed, refuses a file, or prints no verdict.
    """
    if not has_icarus():
        raise InvalidInput("the test bench needs Icarus Verilog: install the package `iverilog`")
    # Run in the folder, as `$readmemh` looks for the vectors where the simulation was started.
    program = folder / "test_bench.vvp"
    sources = sorted(path.name for path in folder.glob("*.v"))
    try:
        _run(
            ["iverilog", "-g2005", "-Wall", "-s", "test_bench", "-o", program.name, *sources],
            folder,
            timeout_s,
        )
        output = _run(["vvp", "-n", program.name], folder, timeout_s)
    finally:
        program.unlink(missing_ok=True)
    verdicts = [line for line in output.splitlines() if line.startswith(("PASS", "FAIL"))]
    if not verdicts:
        raise InvalidInput(f"the test bench in {folder} gave no verdict: {output.strip()[-300:]}")
    return verdicts[-1]


def _run(command: list[str], folder: Path, timeout_s: float) -> str:
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise InvalidInput(f"{command[0]} did not end within {timeout_s:g} s") from None
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise InvalidInput(f"{command[0]} refuses the design: {lines[0] if lines else 'no reason'}")
    return result.stdout
