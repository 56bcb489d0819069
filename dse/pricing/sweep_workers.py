"""A sweep on several cores: processes price, one writes, and the result is that of one process.

    units    1 2 3 4 5 6 7 ...       some chunks each, in the order of the sweep
    worker A 1   3   5               builds and prices the parts that its units meet
    worker B   2   4   6
    written  1 2 3 4 5 6             in their order, whoever is faster

Most of the time goes into parts that were not met yet: each is built, lowered and mapped by Python
code, one after the other, and only then does a design cost a few additions. Units are whole runs of
neighbours, as neighbours share their parts (the first axes change last), so that few parts are
built by two workers.

Memory is bounded by the units that wait for their turn to be written: there are never more than one
a worker and `AHEAD` besides.
"""

import dataclasses
import math
import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidInput
from dse.pricing.book import Cut
from dse.pricing.sweep import CHUNK, Chunk, Sweep
from dse.pricing.sweep_results import Frontier, SweepJob, make_sweep
from dse.processes import serve_parent, starting_workers

WORTH_A_WORKER = 25_000
"""Designs, each once a machine: fewer are priced in some seconds, and a process starts in one."""

UNITS_A_WORKER = 8
"""At least, where a space has so many chunks: the last ones to end should end together."""

AHEAD = 2

NO_CUT = Cut(0, ())


@dataclass(frozen=True, slots=True)
class Unit:
    """Chunks that were priced together."""

    chunks: list[Chunk]
    """In their order; without their cuts, which only the book that made them can read."""
    frontier: Frontier
    """Of their designs, less some that those known before dominate."""
    dead: int
    """Of their designs, networks that nothing of their input gets through."""


def choose_workers(sweep: Sweep, sample: int | None) -> int:
    """As many processes as this one may use cores, and no more than there is work for.

    Args:
        sweep: what is priced.
        sample: so many designs of it; all where it is None.
    """
    designs = min(sample or sweep.size, sweep.size) * len(sweep.pricing.machines)
    return max(1, min(len(os.sched_getaffinity(0)), designs // WORTH_A_WORKER))


def price_units(
    job: SweepJob, sweep: Sweep, workers: int, known: Frontier
) -> Generator[Unit, None, None]:
    """All chunks of a sweep in their order, priced by so many processes.

    Args:
        job: what is priced.
        sweep: of this process; one worker is this process.
        workers: at least 1.
        known: of what was yielded so far: whoever joins the units' frontiers to it spares later
            units the look at what it dominates.

    Raises:
        InvalidInput: as `Sweep.run`; or a worker has died, killed or for want of memory.
    """
    if workers == 1:
        for chunk in sweep.run(job.sample, job.seed):
            found = Frontier(job.objectives, known.points)
            found.add(chunk)
            yield Unit([chunk], found, _count_dead(sweep, chunk))
        return
    before = set(multiprocessing.active_children())
    waiting: deque[Future[Unit]] = deque()
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(job,)
    )
    try:
        for first, last in _share_out(sweep.chunk_sizes(job.sample, job.seed), workers):
            with starting_workers():  # which the pool does when it is given work
                waiting.append(pool.submit(_price_unit, first, last, known.points))
            if len(waiting) >= workers + AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InvalidInput(
            f"one of {workers} processes that price has died, killed or for want of memory, and "
            "nothing was written: give fewer --workers"
        ) from None
    finally:
        # What is in work when a person stops, or the disk is full, is of no use any more.
        _end(pool, set(multiprocessing.active_children()) - before if waiting else set())


def _share_out(sizes: list[int], workers: int) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring chunks, as first and last + 1: about as large as each other.

    Args:
        sizes: designs of each chunk.
        workers: that the runs are for.
    """
    most = min(CHUNK, math.ceil(sum(sizes) / (UNITS_A_WORKER * workers)))
    first, designs = 0, 0
    for place, size in enumerate(sizes):
        if designs and designs + size > most:
            yield first, place
            first, designs = place, 0
        designs += size
    if designs:
        yield first, len(sizes)


def _end(pool: ProcessPoolExecutor, stopped: set[BaseProcess]) -> None:
    for process in stopped:
        process.kill()
    pool.shutdown(cancel_futures=True)


# --- in a worker ---------------------------------------------------------------------------------


class _Walk:
    """A worker's way through the sweep: units are asked for in rising order, so one way is enough.

    Of a sample of a space that is too large to number, chunks are drawn one after the other: a
    worker draws those of the others, too, and prices its own.
    """

    def __init__(self, job: SweepJob) -> None:
        self.objectives = job.objectives
        self.sweep = make_sweep(job)
        self.numbered = enumerate(self.sweep.chunks(job.sample, job.seed))

    def price(self, first: int, last: int, rivals: npt.NDArray[np.float64]) -> Unit:
        """Chunks `first` to `last` - 1, counted from 0 over the whole sweep."""
        chunks, dead, found = [], 0, Frontier(self.objectives, rivals)
        for number, make in self.numbered:
            if number >= first:
                for chunk in make():
                    found.add(chunk)
                    dead += _count_dead(self.sweep, chunk)
                    chunks.append(_slim(chunk))
            if number == last - 1:
                break
        return Unit(chunks, found.without_rivals(), dead)


_walks: list[_Walk] = []
"""Of this process, at most one: what `_begin` made."""


def _begin(job: SweepJob) -> None:
    serve_parent()
    _walks.append(_Walk(job))


def _price_unit(first: int, last: int, rivals: npt.NDArray[np.float64]) -> Unit:
    return _walks[0].price(first, last, rivals)


def _slim(chunk: Chunk) -> Chunk:
    """What goes to the other process: digits in two bytes, as files have them, and no cut."""
    return dataclasses.replace(chunk, digits=chunk.digits.astype(np.int16), cut=NO_CUT)


def _count_dead(sweep: Sweep, chunk: Chunk) -> int:
    return int(sweep.book.dead_designs(chunk.cut).sum())
