"""Many recordings at once, on a few threads, in the order in which they were asked for.

Order is kept although threads finish in any: digests, files and sums of floats that are made of the
results come out the same to the bit for each number of threads.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")

_MAX_THREADS = 8


def in_threads(make: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """`make(job)` for each job, in order, on a few threads.

    Each thread computes alone: the threads within an operation of torch wait for each other
    actively, which costs five times the work on a machine that has other things to do.

    Args:
        make: called on a thread of the pool.
        jobs: taken one by one, at most three a thread ahead of the result that is waited for, so
            that neither they nor their results fill the memory.
    """
    threads = torch.get_num_threads()
    workers = min(_MAX_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(make, job))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(threads)
