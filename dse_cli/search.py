"""`dse search`: search a design space, or resume a search.

What is slow to load (torch, Optuna, Ray) is imported where it is used, so that a mistake in a study
file is told at once.
"""

import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from dse.errors import InvalidInput
from dse.studies.folder import GIVEN, RESOLVED
from dse.studies.study import open_study
from dse_cli.frontier import show_frontier
from dse_cli.options import (
    MOST_WORKERS,
    Workers,
    cache_option,
    storage_option,
    study_out_option,
    threads_option,
)

if TYPE_CHECKING:
    from dse.studies.spec import StudySpec
    from search.cluster.coordinator import Cluster
    from search.cluster.on_ray import RayOptions

EPILOG = """A study file names data, space, machine, objectives, limits and effort;
examples/demo.yaml is a small one, docs/how-to/search.md describes every key. Exit codes: 0 done,
2 input that you can mend, 130 stopped by Ctrl-C (the same command resumes)."""


@click.command(epilog=EPILOG)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of spoken words, in place of the study's data.folder.",
)
@study_out_option
@cache_option
@click.option("--trainings", type=click.IntRange(min=1), help="In place of the study's trainings.")
@threads_option
@click.option(
    "--workers",
    type=Workers(),
    help="Designs trained at a time, each in a process with one thread: a number, or auto. "
    "[default: auto, or what the study began with]",
)
@storage_option()
@click.option(
    "--artifacts",
    default="",
    metavar="FOLDER|URL",
    help="Where the files of trained designs are kept for all machines: a shared folder, or a URL "
    "such as s3://BUCKET/PREFIX.  [default: the study's folder]",
)
@click.option(
    "--local-workers",
    type=click.IntRange(0, MOST_WORKERS),
    help="With --storage: workers on this machine; 0 where all are elsewhere.  "
    "[default: as many as --workers]",
)
@click.option(
    "--engine",
    type=click.Choice(["processes", "ray"]),
    default="processes",
    show_default=True,
    help="Who trains: processes (of this machine, or with --storage of any), or a Ray cluster.",
)
@click.option(
    "--ray-address",
    metavar="A",
    help="Of the Ray cluster.  [default: $RAY_ADDRESS, or one on this machine]",
)
@click.option(
    "--cpus-per-trial",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="With --engine ray: cores of a training.",
)
@click.option(
    "--gpus-per-trial",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="With --engine ray: GPUs of a training, or a part of one.",
)
@click.option("--check", is_flag=True, help="Read and check the study, say what it is, and stop.")
def command(
    study: Path,
    data: Path | None,
    out: Path | None,
    cache: Path | None,
    trainings: int | None,
    threads: int | None,
    workers: int | None,
    storage: str | None,
    artifacts: str,
    local_workers: int | None,
    engine: str,
    ray_address: str | None,
    cpus_per_trial: float,
    gpus_per_trial: float,
    check: bool,
) -> None:
    """Search the design space that STUDY describes.

    STUDY is a study file, or the folder of a study to resume. Candidates are priced first; those
    within all limits are trained. Ctrl-C, or kill -9 at any moment, loses at most the epoch in
    training: the same command goes on.
    """
    if study.is_dir():
        out = out or study
    if storage is None and local_workers is not None:
        raise InvalidInput("--local-workers is for searches with --storage")
    if storage is None and engine != "ray" and artifacts:
        raise InvalidInput("--artifacts is for searches with --storage or --engine ray")
    if engine != "ray" and (ray_address or cpus_per_trial != 1 or gpus_per_trial):
        raise InvalidInput(
            "--ray-address, --cpus-per-trial and --gpus-per-trial are for --engine ray"
        )
    spec, given = read_folder(study, data=data, trainings=trainings)
    console = Console(highlight=False, soft_wrap=True)
    if check:
        _print_check(spec, console)
        return
    if threads is not None:
        from dse.training.devices import set_threads  # loads torch

        set_threads(threads)
    folder = out or Path("studies") / spec.name
    if storage is not None:
        workers = workers or _published_workers(storage, spec.name)
    with ExitStack() as stack:
        on_ray = None
        if engine == "ray":
            from search.cluster.on_ray import RayOptions, connected, slots

            on_ray = RayOptions(
                address=ray_address, cpus=cpus_per_trial, gpus=gpus_per_trial, artifacts=artifacts
            )
            stack.enter_context(connected(on_ray))
            workers = workers or recorded_workers(folder) or min(slots(on_ray), MOST_WORKERS)
        workers = workers or usual_workers(spec, folder, threads)
        cluster = None
        if storage is not None:
            local = workers if local_workers is None else local_workers
            cluster = _cluster(storage, artifacts, 0 if on_ray else local, spec.name, console)
            if not cluster.local_workers and on_ray is None:
                console.print(
                    "workers are started elsewhere: dse worker --study "
                    f"{spec.name} --storage {cluster.url}",
                    markup=False,
                )
        _run(spec, given, folder, cache, workers, cluster, on_ray, console)


def read_folder(
    study: Path, *, data: Path | None = None, trainings: int | None = None
) -> tuple["StudySpec", str]:
    """A study and its text, from a study file or from the folder of a study.

    Args:
        study: the file or the folder.
        data: takes the place of the study's data folder.
        trainings: takes the place of the study's trainings.

    Raises:
        InvalidInput: it is neither, or something in it is wrong.
    """
    from dse.studies.spec import read_study

    base = None
    if study.is_dir():
        asked = open_study(study).asked
        base, data = asked.base_folder, data or asked.data_folder
        study = study / GIVEN
    spec = read_study(study, data_folder=data, base=base, trainings=trainings)
    return spec, study.read_text(encoding="utf-8")


def _print_check(spec: "StudySpec", console: Console) -> None:
    from dse.design.space import check_not_empty

    check_not_empty(spec.space)
    console.print(
        f"{spec.name}: {spec.space.size:,} designs of {len(spec.space.choices)} axes, priced on "
        f"{spec.accelerator.name} with {spec.technology.name}; minimises "
        f"{', '.join(spec.objectives)}; {', '.join(map(str, spec.budget.limits)) or 'no limits'}; "
        f"ends after {spec.trainings} trainings or {spec.candidates} candidates",
        markup=False,
    )


def recorded_workers(folder: Path) -> int | None:
    """Trainings at a time that the study of a folder began with; None for a new one.

    A resumed search keeps the number: which results the sampler knows when it proposes the next
    design depends on it (`search.loop`), so with another one the study would get other rows.
    """
    if not (folder / RESOLVED).exists():
        return None
    return open_study(folder).begun.workers


def usual_workers(spec: "StudySpec", folder: Path, threads: int | None) -> int:
    """As many as the study began with; for a new one, what the machine has room for.

    Args:
        spec: the study; its device decides whether cores or a GPU are shared.
        folder: of the study, which need not exist.
        threads: CPU threads that may be used; None for all that this process may run on, which
            under a batch system or in a container can be fewer than the machine has.
    """
    recorded = recorded_workers(folder)
    if recorded is not None:
        return recorded
    from dse.training.batches import free_memory_bytes  # loads torch
    from dse.training.devices import choose_device
    from search.workers import choose_workers

    cores = min(threads or MOST_WORKERS, len(os.sched_getaffinity(0)))
    return choose_workers(str(choose_device(spec.device)), cores, free_memory_bytes())


def _published_workers(storage: str, name: str) -> int | None:
    """Trainings at a time that a study in a storage began with; None for a new one."""
    from search.cluster.publication import find
    from search.cluster.storages import connect, storage_url

    url = storage_url(storage)
    with connect(url) as patient:
        published = find(patient, name, url)
    return None if published is None else published.begun.workers


def _cluster(
    storage: str, artifacts: str, local_workers: int, name: str, console: Console
) -> "Cluster":
    from search.cluster.coordinator import Cluster
    from search.cluster.storages import storage_url

    url = storage_url(storage)
    return Cluster(
        url=url,
        artifacts=artifacts,
        local_workers=local_workers,
        say=lambda text: console.print(text, markup=False),
    )


def _run(
    spec: "StudySpec",
    given: str,
    folder: Path,
    cache: Path | None,
    workers: int,
    cluster: "Cluster | None",
    on_ray: "RayOptions | None",
    console: Console,
) -> None:
    """Search, print the frontier; after Ctrl-C, say which command goes on, and exit with 130."""
    from search.progress import TerminalProgress
    from search.study import run_study

    try:
        with TerminalProgress(console) as progress:
            beside = f", {workers} trainings at a time" if workers > 1 else ""
            console.print(f"study {spec.name} in {folder}{beside}", markup=False)
            outcome = run_study(
                spec,
                given,
                folder,
                progress,
                cache=cache,
                workers=workers,
                cluster=cluster,
                on_ray=on_ray,
            )
    except KeyboardInterrupt:
        # Before the features are ready, there is no folder to go on with.
        begun = (folder / RESOLVED).exists()
        again = f"dse search {shlex.quote(str(folder))}" if begun else "the same command"
        if begun and cluster is not None:
            again += f" --storage {cluster.url}"
        console.print(
            f"stopped; nothing evaluated is lost. Go on with: {again}", style="bold", markup=False
        )
        raise SystemExit(130) from None
    console.print(f"finished: {outcome.ended_by}\n")
    show_frontier(folder, console)
