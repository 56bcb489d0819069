"""A sweep in parts on a Ray cluster: each task prices some chunks, and writes them as one file.

    OUT/part-00000.parquet, part-00001.parquet, ...    every design, as any reader of Parquet takes
                                                       a folder: pandas, DuckDB, Arrow
    frontier                                           of each part, joined by the coordinator

Dominance is transitive, so the frontier of the parts' frontiers is that of all designs. A task
whose node dies is started again by Ray itself: a part is one file, written in one step, and the
same whoever writes it.
"""

import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dse.errors import InvalidInput, InvalidStudy
from dse.pricing.sweep import CHUNK, Sweep
from dse.pricing.sweep_results import (
    Frontier,
    ParquetFile,
    SweepDone,
    SweepJob,
    describe_sweep,
    make_sweep,
)
from search.artifacts import MARK, open_artifacts
from search.on_ray.cluster import RayOptions, Wanted, check_nodes, make_wanted, room, unfit
from search.urls import is_url

PART_DESIGNS = 20 * CHUNK
"""Designs of a part: seconds of a core, and a file of some 100 MB."""

RETRIES = 10
"""Of a task whose process or node has died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """A job with what its tasks need besides."""

    id: str
    job: SweepJob
    parts: int
    wanted: Wanted


def sweep_on_ray(
    job: SweepJob, out: str, options: RayOptions, report: Callable[[int], None]
) -> SweepDone:
    """Price a space on the cluster that this process is connected to.

    Args:
        job: what is priced.
        out: folder on a file system that all nodes share, or URL; it takes its name when all parts
            are there, and a URL must be of nothing yet.
        options: what a task gets.
        report: told how many designs are priced so far.

    Raises:
        InvalidInput: a node is not fit, or there is something at the URL.
    """
    place = out if is_url(out) else str(Path(out).with_name(f".{Path(out).name}.partial"))
    artifacts = open_artifacts(place)
    if artifacts.folder is not None:
        shutil.rmtree(artifacts.folder, ignore_errors=True)  # of a sweep that was stopped
    elif artifacts.read("part-00000.parquet") is not None:
        raise InvalidInput(f"{artifacts.url} holds a sweep already: name another --out")
    wanted = make_wanted(artifacts)
    check_nodes(wanted, options, lambda text: None)
    size = make_sweep(job).size
    designs = min(job.sample or size, size)
    parts = max(1, min(-(-designs // CHUNK), max(room(options), -(-designs // PART_DESIGNS))))
    order = _Order(id=secrets.token_hex(8), job=job, parts=parts, wanted=wanted)
    done = _run_parts(order, options, report)
    if artifacts.folder is not None:
        (artifacts.folder / MARK).unlink()
        shutil.rmtree(out, ignore_errors=True)
        artifacts.folder.rename(out)
    return done


def _run_parts(order: _Order, options: RayOptions, report: Callable[[int], None]) -> SweepDone:
    import ray

    task = ray.remote(sweep_part).options(
        num_cpus=options.cpus, num_gpus=options.gpus, max_retries=RETRIES
    )
    shared = ray.put(order)
    waiting = [task.remote(shared, part) for part in range(order.parts)]
    priced = feasible = dead = 0
    frontier = Frontier(order.job.objectives)
    try:
        while waiting:
            (reference,), waiting = ray.wait(waiting)
            done = ray.get(reference)
            if isinstance(done, str):
                raise InvalidStudy(done)
            priced, feasible = priced + done.priced, feasible + done.feasible
            dead += done.dead
            frontier.join(done.frontier)
            report(priced)
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)
    return SweepDone(priced=priced, feasible=feasible, frontier=frontier, dead=dead)


def sweep_part(order: _Order, part: int) -> SweepDone | str:
    """Price one part and write it; why not, where this node is not fit. Runs on a node."""
    reason = unfit(order.wanted)
    if reason:
        return reason
    job, sweep = order.job, _sweep_of(order)
    priced = feasible = dead = 0
    frontier = Frontier(job.objectives)
    about = describe_sweep(sweep, job.sample, job.seed) | {"part": part, "parts": order.parts}
    with tempfile.TemporaryDirectory(prefix="dse-sweep-") as folder:
        path = Path(folder) / f"part-{part:05}.parquet"
        with ParquetFile(path, job.space, about, job.columns) as file:
            for chunk in sweep.run(job.sample, job.seed, part=part, parts=order.parts):
                file.write(chunk)
                frontier.add(chunk)
                priced += len(chunk.digits)
                feasible += int(chunk.feasible.sum())
                dead += int(sweep.book.dead_designs(chunk.cut).sum())
        open_artifacts(order.wanted.place).push_file(path.name, path)
    return SweepDone(priced=priced, feasible=feasible, frontier=frontier, dead=dead)


_KEPT: dict[str, Sweep] = {}


def _sweep_of(order: _Order) -> Sweep:
    """The sweep, with the parts of networks that an earlier task of this process has priced."""
    if order.id not in _KEPT:
        _KEPT.clear()
        _KEPT[order.id] = make_sweep(order.job)
    return _KEPT[order.id]
