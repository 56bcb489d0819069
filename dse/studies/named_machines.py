"""The machines that a file names: one of the library, a YAML file, or all of its hardware axes."""

from pathlib import Path
from typing import Any, Protocol

from cost_models import Accelerator, Technology, load_accelerator, load_technology
from cost_models.strict_yaml import Node
from dse.errors import InvalidFile, InvalidInput
from dse.pricing.hardware import Hardware, HardwareSection, hardware_from_node
from dse.pricing.machine import Machine


class NamesMachines(Protocol):
    """A file that names its machines."""

    @property
    def machine(self) -> str:
        """Name or file of one."""

    @property
    def technology(self) -> str | None:
        """Name or file; the machine's own where it is None."""

    @property
    def hardware(self) -> HardwareSection | None:
        """Axes of several."""


def read_hardware(file: NamesMachines, node: Node, base: Path) -> Hardware:
    """The machine of a study file, or all that its hardware axes make."""

    def load(machine: str, technology: str | None = None) -> tuple[Accelerator, Technology]:
        accelerator = load_accelerator(beside(machine, base))
        if technology is not None:
            return accelerator, load_technology(beside(technology, base))
        name = beside(file.technology or accelerator.technology, base)
        return accelerator, _at(node, "technology", lambda: load_technology(name))

    if file.hardware is None:
        return Hardware((Machine(*_at(node, "machine", lambda: load(file.machine))),))
    if "machine" in node.value and file.hardware.machine is not None:
        raise node.value["machine"].error("machine: hardware.machine names them: leave it out")
    if "technology" in node.value and file.hardware.technology is not None:
        raise node.value["technology"].error(
            "technology: hardware.technology names them: leave it out"
        )
    return hardware_from_node(node.value["hardware"], load, file.machine)


def beside(name: str, base: Path) -> str | Path:
    """A name of the library, or a file as seen from a folder."""
    return base / name if name.endswith((".yaml", ".yml")) else name


def _at(node: Node, key: str, read: Any) -> Any:
    """The result of `read`; its errors get the place of `key`."""
    try:
        return read()
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise node.value.get(key, node).error(f"{key}: {error}") from None
