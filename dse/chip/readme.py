"""What an exported chip says of itself."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse.chip.export import ChipExport


def chip_readme(export: "ChipExport", sources: list[str]) -> str:
    """The data sheet: what it is, how it is simulated, what the model says of each layer."""
    return f"# {export.network.title} on {export.machine.name}\n"
