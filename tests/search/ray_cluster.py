"""A Ray cluster of several nodes on this machine, in a process of its own, for tests.

Ray keeps threads and sockets that a later test would find, so neither the cluster nor what is
connected to it runs in the process of the tests: that talks to this program line by line.

    python -m tests.search.ray_cluster        add -> ok        remove -> ok
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STORE_BYTES = 80 * 1024**2


class RayCluster:
    """What tests have of it."""

    def __init__(self, process: "subprocess.Popen[str]", nodes: int) -> None:
        self.process = process
        self.nodes = nodes
        self.address = self._read()

    def add(self) -> None:
        """A node of one CPU joins."""
        self._say("add")
        self.nodes += 1

    def remove(self) -> None:
        """The node that joined first is gone, without a word."""
        self._say("remove")
        self.nodes -= 1

    def _say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self._read() == "ok"

    def _read(self) -> str:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError("the cluster's process has ended")


@contextmanager
def ray_cluster(nodes: int, **environment: str) -> Iterator[RayCluster]:
    """A head without CPUs, and nodes of one CPU each, which have variables of their own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.search.ray_cluster", str(nodes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ray lowers the priority of its workers: beside other tests they would hardly get on.
        env=os.environ | {"RAY_worker_niceness": "0"} | environment,
    )
    try:
        yield RayCluster(process, nodes)
    finally:
        process.communicate(timeout=60)  # closes what it reads, and ends


def main() -> None:
    """Serve until the standard input is closed."""
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": STORE_BYTES}
    # Without what watches a cluster for people and clouds, none of which is used here.
    unused = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small, **unused})
    nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(int(sys.argv[1]))]
    cluster.wait_for_nodes()
    print(f"> {cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "add":
            nodes.append(cluster.add_node(num_cpus=1, **small))
        else:
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
        print("> ok", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
