"""The Ray cluster: connecting, which nodes have room, and whether they are fit to train for us.

Ray places tasks by what they need, so nothing here schedules. What is ours is to refuse in one
sentence, before hours are lost, what would train something else or lose what was trained: a node of
another version of the program or of torch, and one that does not see the study's folder.
"""

import logging
import math
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from dse.errors import InvalidInput, InvalidStudy
from search.artifacts import Artifacts, open_artifacts
from search.versions import code_version

NAMESPACE = "dse"
"""Of our actors: studies of one cluster see each other's."""

ANSWERS_S = 60.0
"""A node has so long to start a process and say what it has."""

WHERE_FEATURES_ARE = ("store", "nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Which cluster, and what a training needs of it."""

    address: str | None = None
    """Of the cluster, as `ray.init` takes it; None takes that of `RAY_ADDRESS`, or else starts one
    on this machine."""
    cpus: float = 1.0
    """Cores that a training gets; as many threads, at least one."""
    gpus: float = 0.0
    """GPUs that a training gets, or a part of one."""
    workers: int | None = None
    """Trainings at a time; None for as many as the cluster has room for, also when that changes."""
    features: Literal["store", "nodes"] = "store"
    """`store`: put once into Ray's object store, which nodes map; `nodes`: each node makes them of
    its own copy of the data, which must be at the same path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster that is alive."""

    id: str
    host: str
    cpus: float
    gpus: float


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to the cluster.

    Raises:
        InvalidInput: Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError:
        raise InvalidInput("--engine ray needs Ray: pip install 'ternary-dse[ray]'") from None
    if address is not None and address.startswith("ray://"):
        raise InvalidInput(
            f"{address} is Ray's way for clients outside a cluster, and a search runs on a node of "
            "it: ray job submit -- dse search ... --engine ray"
        )
    if ray.is_initialized():
        yield
        return
    try:
        with loopback_if_own(address):
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InvalidInput(
            f"the Ray cluster at {address or 'this machine'} does not answer "
            f"({first_line(error)}): start it with `ray start --head`, or correct --ray-address"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable of Ray: where it is 0, a process serves its own machine alone. Meant for systems that
ask about each server, and all there is: no option says on which interface Ray listens."""


@contextmanager
def loopback_if_own(address: str | None) -> Iterator[None]:
    """Let a cluster that is started within listen on the loopback interface alone.

    Whoever reaches a port of Ray may run anything as its user. A cluster of several machines has to
    be reached, and is started by a person, `ray start --head`; of one machine, nobody else needs
    it. The variable says otherwise where it is set already.

    Args:
        address: as `ray.init` takes it; one that is found is somebody's cluster, and joined.
    """
    from ray._private import ray_constants
    from ray._private.services import canonicalize_bootstrap_address as found

    if CLUSTERS in os.environ or found(address) is not None:  # type: ignore[arg-type]
        yield
        return
    before = ray_constants.ENABLE_RAY_CLUSTER  # read from the variable when Ray was imported
    os.environ[CLUSTERS] = "0"  # for the processes that it starts
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        del os.environ[CLUSTERS]
        ray_constants.ENABLE_RAY_CLUSTER = before


def alive_nodes() -> list[Node]:
    """The nodes of the cluster at this moment, by their names."""
    import ray

    nodes = []
    for told in ray.nodes():  # type: ignore[no-untyped-call]
        if told["Alive"]:
            has = told["Resources"]
            nodes.append(
                Node(
                    id=told["NodeID"],
                    host=told["NodeManagerHostname"],
                    cpus=has.get("CPU", 0.0),
                    gpus=has.get("GPU", 0.0),
                )
            )
    return sorted(nodes, key=lambda node: (node.host, node.id))


def room_of(node: Node, cpus: float, gpus: float) -> int:
    """Trainings that fit onto a node at a time: a training is never spread over two."""
    fitting = [has / need for has, need in ((node.cpus, cpus), (node.gpus, gpus)) if need]
    return math.floor(min(fitting, default=1.0) + 1e-9)


def room(options: RayOptions) -> int:
    """Trainings that the cluster has room for at a time.

    Raises:
        InvalidInput: none.
    """
    nodes = alive_nodes()
    count = sum(room_of(node, options.cpus, options.gpus) for node in nodes)
    if count < 1:
        largest = max(nodes, key=lambda node: (node.gpus, node.cpus), default=None)
        there = "none" if largest is None else f"{largest.cpus:g} CPUs and {largest.gpus:g} GPUs"
        raise InvalidInput(
            f"no node of the Ray cluster has room for one training of {options.cpus:g} CPUs and "
            f"{options.gpus:g} GPUs, the largest has {there}: lower --cpus-per-trial or "
            "--gpus-per-trial, or add nodes"
        )
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a node must have to work for this coordinator."""

    code: str
    """Version of the program and of torch (`search.versions`)."""
    place: str = field(repr=False)
    """URL of the study, with its password; empty where the node needs not see it."""
    mark: str
    """Stands there."""


def make_wanted(artifacts: Artifacts | None) -> Wanted:
    """What nodes must have, after the coordinator's mark has been left at the study's place.

    Args:
        artifacts: the study's place; None where nodes need not see it.
    """
    mark = secrets.token_hex(8)
    if artifacts is not None:
        artifacts.mark(mark)
    place = "" if artifacts is None else artifacts.url.text
    return Wanted(code=code_version(), place=place, mark=mark)


def unfit(wanted: Wanted) -> str:
    """Why this machine cannot work for the coordinator; empty where it can. Runs on a node."""
    host = socket.gethostname()
    if code_version() != wanted.code:
        return (
            f"the coordinator is ternary-dse {wanted.code}, and node {host} has {code_version()}: "
            "install the same version there"
        )
    if wanted.place:
        try:
            place = open_artifacts(wanted.place)
            seen = place.marked()
        except InvalidInput as error:
            return f"node {host}: {error}"
        if seen != wanted.mark:
            return (
                f"node {host} does not see {place.url} as the coordinator does: let the study lie "
                "on a file system that all nodes share, or behind a URL, --out s3://BUCKET/NAME say"
            )
    return ""


def check_nodes(wanted: Wanted, options: RayOptions, say: Callable[[str], None]) -> None:
    """Ask every node that has room for a training whether it is fit for it.

    A node that does not answer in time may come to itself later: it is told of, and its tasks look
    again when they start (`unfit`).

    Raises:
        InvalidStudy: one is not.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in alive_nodes():
        if room_of(node, options.cpus, options.gpus):
            here = NodeAffinitySchedulingStrategy(node.id, soft=False)
            look = ray.remote(unfit).options(num_cpus=0, max_retries=0, scheduling_strategy=here)
            asked[look.remote(wanted)] = node
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWERS_S)
    for reference in late:
        say(f"node {asked[reference].host} has not answered for {ANSWERS_S:g} s")
    for reference in done:
        reason = _answer(reference, asked[reference])
        if reason:
            raise InvalidStudy(reason)


def _answer(reference: Any, node: Node) -> str:
    import ray

    try:
        reason: str = ray.get(reference)
    except (ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
        return ""  # it has left the cluster
    except Exception as error:  # whatever a node does that has not this program
        return (
            f"node {node.host} of the Ray cluster cannot run this program ({first_line(error)}): "
            "install the same version of ternary-dse there"
        )
    return reason


def first_line(error: BaseException) -> str:
    """What an error says, in one line; of a task's traceback the last, which holds the error."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "Traceback" in str(error) or "ray::" in lines[0] else lines[0]
