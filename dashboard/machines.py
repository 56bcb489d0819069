"""Machines that a page offers: those of the package, and those that lie beside the studies.

What the page *What if* saves is a file there, and so is a machine that a person wrote. It is
offered by the name of its file (`mine.yaml`), which is what a study file and `--machine` call it.
"""

import functools
import os
from pathlib import Path

from cost_models import Accelerator, Technology, accelerator_names, load_accelerator
from dashboard.launching import beside
from dashboard.settings import read_settings
from dashboard.studies import NAME
from dse.errors import InvalidInput
from dse.report.priced import load_machine as load

ENDINGS = (".yaml", ".yml")
MOST_BYTES = 100_000  # of a machine's file
MOST_FILES = 500  # that are looked into


def machine_names() -> list[str]:
    """Names that `load_machine` takes: files beside the studies first."""
    return [*saved_machines(read_settings().root), *accelerator_names()]


def saved_machines(root: Path) -> list[str]:
    """Names of the files in a folder that are machines; studies and all else are passed over."""
    try:
        found = sorted(
            name for name in os.listdir(root) if name.endswith(ENDINGS) and NAME.fullmatch(name)
        )
    except OSError:
        return []
    return [name for name in found[:MOST_FILES] if _is_machine(root / name)]


def _is_machine(path: Path) -> bool:
    try:
        stat = os.stat(path)
    except OSError:
        return False
    return stat.st_size <= MOST_BYTES and _reads(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=MOST_FILES)
def _reads(path: Path, changed_ns: int, size: int) -> bool:
    """Whether a file is a machine; time and size are there for the cache alone."""
    try:
        load_accelerator(path)
    except (InvalidInput, OSError):
        return False
    return True


def machine_source(name: str) -> str:
    """What the functions of `dse` take a machine of that name from: its name, or its file.

    Raises:
        InvalidInput: it is neither of the package nor beside the studies.
    """
    return name if name in accelerator_names() else str(beside(read_settings().root, name))


def load_machine(name: str) -> tuple[Accelerator, Technology]:
    """A machine in its own technology.

    Raises:
        InvalidInput: there is none of the name, or its file is damaged.
    """
    return load(machine_source(name))
