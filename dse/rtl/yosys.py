"""Yosys by its Python wheel, pyosys: scripts in a process of their own.

A script that Yosys refuses ends its whole process, so it must not be ours. What it has to say comes
back as files in a folder, by names without a path: a command of Yosys is split at spaces.
"""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dse.errors import InvalidInput

LONGEST_S = 600.0
"""Patience with one script."""

_RUNNER = """
import sys
from pyosys import libyosys as yosys
design = yosys.Design()
for line in open(sys.argv[1], encoding="utf-8"):
    yosys.run_pass(line.strip(), design)
"""


def require_yosys() -> None:
    """Raise `InvalidInput`, saying how to get it, unless pyosys (the extra `rtl`) is installed."""
    if importlib.util.find_spec("pyosys") is None:
        raise InvalidInput(
            "synthesis needs Yosys: install it with `pip install 'ternary-dse[rtl]'` (pyosys)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A module with its parameters: what is synthesised or simulated."""

    top: str
    parameters: dict[str, int]
    sources: tuple[str, ...]
    """Texts of the Verilog files."""


def run_script(commands: list[str], folder: Path, longest_s: float = LONGEST_S) -> None:
    """Run Yosys commands, one a line, in a folder: names of files in it need no path.

    A path may have spaces, which commands cannot have in a name.

    Raises:
        InvalidInput: Yosys is not installed, refuses a command, or takes too long.
    """
    require_yosys()
    script = folder / "script.ys"
    script.write_text("\n".join(commands), encoding="utf-8")
    try:
        result = subprocess.run(
            [sys.executable, "-c", _RUNNER, script.name],
            cwd=folder,
            env={**os.environ, "TMPDIR": "."},  # ABC's files go there too
            capture_output=True,
            text=True,
            timeout=longest_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidInput(
            f"Yosys did not end within {longest_s:g} s: the circuit is large, or the machine busy"
        ) from None
    if result.returncode:
        output = f"{result.stdout}\n{result.stderr}"
        errors = re.findall(r"^.*ERROR: (.*)$", output, re.M) or [output.strip()[-300:]]
        # ABC maps logic to cells as a process of its own: it leaves nothing, or ends by a signal.
        if result.returncode < 0 or re.search(r"ABC.*(?:return code|output file)", errors[-1]):
            raise InvalidInput(
                "Yosys' mapper broke down on this circuit and library: the library may lack a cell "
                "that it needs, or say dont_use of it; try the small library that comes with this "
                "program"
            )
        raise InvalidInput(f"Yosys refuses the design: {' '.join(errors[-1].split())}")


def read_commands(circuit: Circuit, folder: Path, name: str = "source") -> list[str]:
    """Commands that read a circuit and set its parameters; its texts are written into `folder`.

    Args:
        circuit: what to read.
        folder: the one that `run_script` will run in.
        name: beginning of the files' names, `source0.v` and so on; different ones let a script read
            several circuits.

    Returns:
        Lines for the beginning of a script. All modules are read before parameters are set.
    """
    commands = []
    for index, text in enumerate(circuit.sources):
        file = f"{name}{index}.v"
        (folder / file).write_text(text, encoding="utf-8")
        commands.append(f"read_verilog {file}")
    for name, value in circuit.parameters.items():
        commands.append(f"chparam -set {name} {value} {circuit.top}")
    return commands
