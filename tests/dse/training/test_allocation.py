"""Freed memory is kept and given back; in a process of its own, as it cannot be undone."""

import json
import platform
import subprocess
import sys

CODE = """
import ctypes, json, resource
from dse.training.allocation import give_back_freed_memory, keep_freed_memory

c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]
SIZE = 2**26

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        place = c.malloc(SIZE)
        ctypes.memset(place, 1, SIZE)
        c.free(place)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

found = {"before": faults()}
keep_freed_memory()
faults()
found["kept"], most = faults(), resident_bytes()
give_back_freed_memory()
found["given_back"] = most - resident_bytes()
print(json.dumps(found))
"""


def test_memory_that_is_kept_is_not_cleared_again_and_can_be_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    if platform.libc_ver()[0] != "glibc":
        assert found["kept"] <= found["before"]  # nothing is done, nothing breaks
        return
    assert found["before"] > 100  # pages of 4 KiB to 2 MiB of four times 64 MiB
    assert found["kept"] < found["before"] / 10
    assert found["given_back"] > 0.9 * 2**26
