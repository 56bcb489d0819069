"""Who a process is: for people, and for another process that wants to know whether it lives."""

import os
import socket
from contextlib import suppress
from functools import cache
from typing import Any


@cache
def machine() -> str:
    """The same for processes that can see each other's numbers: one boot, one namespace."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def whereabouts() -> dict[str, Any]:
    """Of this process, as plain data."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "machine": machine(), "begun": _begun(pid)}


def shown(place: dict[str, Any]) -> str:
    """`process 12 on host`."""
    return f"process {place.get('pid', '?')} on {place.get('host', '?')}"


def surely_dead(place: dict[str, Any]) -> bool:
    """Whether a process has ended for sure; False where this machine cannot know."""
    if not machine() or place.get("machine") != machine():
        return False
    return _begun(int(place["pid"])) != place.get("begun")


def _begun(pid: int) -> str:
    """When a process was started, in ticks since the boot; empty where there is none, or a zombie.

    A number is used again for another process; the number with its start is not.
    """
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
