"""`.lock` in a study's folder: which process searches there, on which machine.

The lock itself is the kernel's, on the open file (`search.storage`); what stands in the file is for
people, and for pages that show whether a search runs. A number of a process means something on its
own machine alone, and a folder may be shared: so the machine stands beside it.
"""

import socket
from dataclasses import dataclass

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that searches, or has searched: the file outlives it."""

    pid: int
    host: str

    def __str__(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def text(self) -> str:
        """What stands in the file."""
        return f"{self.pid} {self.host}"


def read_holder(text: str) -> Holder | None:
    """The holder that a file names; None where it names none."""
    pid, _, host = text.strip().partition(" ")
    if not (pid.isascii() and pid.isdecimal()) or len(pid) > 9 or int(pid) < 2:
        return None
    return Holder(int(pid), host.strip() or socket.gethostname())
