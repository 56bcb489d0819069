"""Processes that work for another one: how they end."""

import multiprocessing
import os
import signal
import threading


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
