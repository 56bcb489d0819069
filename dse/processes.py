"""Processes that work for another one: how they end."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""What numpy's libraries read as they are loaded: workers are as many as cores already."""


def serve_parent() -> None:
    """Make this process a worker of the one that started it.

    Ctrl-C reaches all processes of a terminal, and the parent decides what it means. When the
    parent ends, however that was, the worker ends at once: `kill -9` must leave nobody who writes.
    Each worker has a pipe whose other end is in the parent alone, which the kernel closes; a thread
    waits for that, since the worker itself works.

    Raises:
        RuntimeError: no process of `multiprocessing` has started this one.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("a worker is started by another process")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def wait_for_its_end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_its_end, daemon=True).start()


@contextmanager
def starting_workers() -> Iterator[None]:
    """Processes that start in here do not hear Ctrl-C from the first moment; each has one thread.

    A process inherits which signals are ignored: without that, one that still imports prints a
    traceback when a person stops the program.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    mine = threading.current_thread() is threading.main_thread()  # no other may set signals
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN) if mine else None
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGINT, heard)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
