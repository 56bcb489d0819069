"""What readers of machines give back, whichever tool wrote the file."""

from dataclasses import dataclass

from cost_models.accelerator import Accelerator


@dataclass(frozen=True, slots=True)
class ImportedMachine:
    """A machine, and what its file says that a machine of ours does not.

    `notes` are sentences for people, none of them an error: a cost of 0, a missing register, a key
    that stands there twice.
    """

    machine: Accelerator
    notes: tuple[str, ...]
