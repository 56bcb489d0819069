"""`dse storage`: what a storage holds, and a proxy in front of it."""

import click
from rich.console import Console

from dse.errors import InvalidInput
from dse_cli.options import ENVIRONMENT
from search.cluster.proxy import serve as serve_storage
from search.cluster.publication import find, names
from search.cluster.queue import Queue
from search.cluster.storages import Patient, StorageURL, connect, storage_url


@click.group()
def command() -> None:
    """Look into the storage that many machines share, or serve it to thousands of workers."""


@command.command()
@click.argument("url", metavar="[URL]", required=False, envvar=ENVIRONMENT)
def show(url: str | None) -> None:
    """List the studies of the storage at URL, what is queued and who works."""
    place = storage_url(_given(url))
    console = Console(highlight=False, soft_wrap=True)
    with connect(place) as storage:
        _show(storage, place, console)


def _show(storage: Patient, place: StorageURL, console: Console) -> None:

    found = names(storage)
    console.print(f"{place}: {len(found)} studies", markup=False)
    for name in found:
        published = find(storage, name, place)
        assert published is not None
        entries = list(Queue(storage, name).entries())
        running = [entry for entry in entries if entry.state.name == "RUNNING"]
        waiting = sum(entry.state.name == "WAITING" for entry in entries)
        console.print(
            f"{name}: {storage.get_n_trials(published.study_id)} trials, {waiting} trainings wait, "
            f"{len(running)} run; {published.ended or 'not ended'}",
            markup=False,
        )
        for entry in running:
            epoch = 0 if entry.beat[1] is None else entry.beat[1]["epoch"]
            console.print(
                f"  {entry.job.key} at epoch {epoch} of {entry.job.until}: {entry.where}",
                markup=False,
            )


@command.command()
@click.argument("url", metavar="[URL]", required=False, envvar=ENVIRONMENT)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=13000, show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Requests, and connections to the database, at a time.",
)
def serve(url: str | None, host: str, port: int, threads: int) -> None:
    """Serve the storage at URL as grpc://HOST:PORT (Optuna's gRPC proxy).

    Workers then share the proxy's few connections to the database. The proxy asks for no password:
    let only the cluster's own network reach its port.
    """
    place = storage_url(_given(url))
    console = Console(highlight=False, soft_wrap=True)
    serve_storage(
        place,
        host,
        port,
        threads,
        lambda: console.print(f"serves {place} as grpc://{host}:{port}", markup=False),
    )


def _given(url: str | None) -> str:
    if url is None:
        raise InvalidInput(f"name the storage, as an argument or in ${ENVIRONMENT}")
    return url
