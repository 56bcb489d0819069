"""`dse worker`: train for a search that runs elsewhere."""

from pathlib import Path

import click
from rich.console import Console

from dse.training.devices import set_threads
from dse_cli.options import cache_option, storage_option, worker_artifacts_option
from search.cluster.storages import connect, storage_url
from search.cluster.worker import WorkerOptions
from search.cluster.worker import work as work_for


@click.command()
@click.option("--study", required=True, metavar="NAME", help="Name of the study.")
@storage_option(required=True)
@worker_artifacts_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of spoken words.  [default: the same path as on the coordinator's machine]",
)
@cache_option
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--device", default="", help="In place of the study's, such as cuda:1.")
@click.option(
    "--work",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder for the training in progress.  [default: the system's temporary folder]",
)
@click.option(
    "--idle-seconds",
    type=click.FloatRange(min=0),
    help="End after so long without work.  [default: end with the study]",
)
@click.option("--trainings", type=click.IntRange(min=1), help="End after so many trainings.")
@click.option("--beat-seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True)
def command(
    study: str,
    storage: str,
    artifacts: str,
    data: Path | None,
    cache: Path | None,
    threads: int,
    device: str,
    work: Path | None,
    idle_seconds: float | None,
    trainings: int | None,
    beat_seconds: float,
) -> None:
    """Train designs for the study NAME, whose search runs on this or another machine.

    Start as many as you like, under whatever scheduler, before or after `dse search`. A worker may
    be killed at any moment: its design goes on in another one from its last epoch. It ends when
    its study has ended.
    """
    set_threads(threads)
    console = Console(highlight=False, soft_wrap=True)
    url = storage_url(storage)
    options = WorkerOptions(
        name=study,
        data_folder=data,
        artifacts=artifacts,
        cache=cache,
        device=device,
        work=work,
        idle_s=idle_seconds,
        trainings=trainings,
        beat_s=beat_seconds,
    )
    with connect(url) as patient:
        done = work_for(patient, url, options, lambda text: console.print(text, markup=False))
    console.print(f"{done} trainings done")
