"""A study's board on the cluster: who searches it, and what its tasks say while they run.

An actor is an object that lives on the cluster under a name of its own. So it is two things at
once: a lock, since a second actor of that name is refused, and Ray removes it with the process that
made it, however that ended; and a letter box, into which tasks put what they do and the coordinator
looks every other second. Nothing that counts is in it alone: epochs are in the study's place.
"""

import hashlib
import io
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from dse.errors import InvalidStudy
from dse.training.history import EpochRecord
from search.on_ray.cluster import NAMESPACE

EXPIRES_S = 30.0
"""Ray needs some seconds to find out that a coordinator was killed; its board goes then."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a task says."""

    key: str
    """Of the design."""
    node: str
    """Its id in the cluster."""
    host: str
    pid: int
    text: str
    """A line for people."""
    record: EpochRecord | None = None
    """Of an epoch that is done, and kept."""


class _Board:
    """The actor."""

    def __init__(self, holder: str) -> None:
        self.holder, self.messages = holder, list[Message]()

    def who(self) -> str:
        return self.holder

    def tell(self, message: Message) -> None:
        self.messages.append(message)

    def fetch(self) -> list[Message]:
        messages, self.messages = self.messages, []
        return messages


@contextmanager
def board_of(study: str, place: str) -> Iterator[Any]:
    """Hold the board of a study; yields the actor's handle.

    Args:
        study: its name, for messages.
        place: its URL, which is what there can be one coordinator of.

    Raises:
        InvalidStudy: another coordinator of this cluster holds it, or the cluster cannot start it.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Names of actors are shown by Ray's tools: a URL may hold a password.
    board: Any
    name = f"study {study} {hashlib.sha256(place.encode()).hexdigest()[:16]}"
    # On the coordinator's own node, with which the search ends anyway: on another one it would be
    # lost with that node, and nobody would see what the tasks do from then on.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    begun = time.monotonic()
    while True:
        try:
            board = (
                ray.remote(_Board)
                .options(name=name, namespace=NAMESPACE, num_cpus=0, scheduling_strategy=here)
                .remote(f"process {os.getpid()} on {socket.gethostname()}")
            )
            ray.get(board.who.remote())
            break
        except ray.exceptions.ActorAlreadyExistsError:
            if time.monotonic() - begun > EXPIRES_S:
                raise InvalidStudy(
                    f"study {study} is being searched by {_holder(name)}: wait for it, stop it, or "
                    "give this study another name"
                ) from None
        except ray.exceptions.RayActorError as error:
            said = str(error).strip().splitlines()[-1]
            raise InvalidStudy(
                f"the Ray cluster could not start what holds study {study} on this node ({said}): "
                "see `ray status` and `ray list nodes`, or give --ray-address local for a cluster "
                "of its own"
            ) from None
        time.sleep(0.5)
    try:
        yield board
    finally:
        ray.kill(board)


def _holder(name: str) -> str:
    import ray

    try:
        board: Any = ray.get_actor(name, namespace=NAMESPACE)
        holder = str(ray.get(board.who.remote(), timeout=5))
    except (ValueError, ray.exceptions.RayError):
        return "another process of the Ray cluster"
    return holder


class Teller:
    """Puts messages of one task on the board; does not wait for an answer."""

    def __init__(self, board: Any, key: str) -> None:
        import ray

        self.board, self.key = board, key
        self.node = str(ray.get_runtime_context().get_node_id())

    def say(self, text: str, record: EpochRecord | None = None) -> None:
        """A line, and the epoch that it tells of."""
        self.board.tell.remote(
            Message(self.key, self.node, socket.gethostname(), os.getpid(), text.rstrip(), record)
        )

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Put what the task prints on the board, too: warnings of libraries, for the most part."""
        heard = _Lines(self)
        with redirect_stdout(heard), redirect_stderr(heard):
            yield


class _Lines(io.TextIOBase):
    """Text that is told line by line."""

    def __init__(self, teller: Teller) -> None:
        self.teller, self.rest = teller, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line.strip():
                self.teller.say(line)
        return len(text)
