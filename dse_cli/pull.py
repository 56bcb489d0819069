"""`dse pull`: make a study's folder from its storage and its artifacts."""

import time
from pathlib import Path

import click
from rich.console import Console

from dse.errors import InvalidInput
from dse_cli.options import ENVIRONMENT, study_out_option, worker_artifacts_option
from search.cluster.storages import connect, storage_url
from search.cluster.view import names, pull


@click.command()
@click.argument("url", metavar="[URL]", required=False, envvar=ENVIRONMENT)
@click.option("--study", metavar="NAME", help="Name of the study.  [default: all that are there]")
@study_out_option
@worker_artifacts_option
@click.option(
    "--checkpoints/--no-checkpoints",
    default=True,
    help="Fetch the trained networks, too; without them, what was measured.",
)
@click.option("--watch", is_flag=True, help="Go on until the study has ended, or Ctrl-C.")
def command(
    url: str | None,
    study: str | None,
    out: Path | None,
    artifacts: str,
    checkpoints: bool,
    watch: bool,
) -> None:
    """Make the folder of the study NAME from the storage at URL.

    Every machine that reaches the storage and the artifacts can. The folder is a view: it can be
    looked at, reported and exported as any other, and `dse search --storage` goes on with it. URL
    may stand in $DSE_STORAGE.
    """
    if url is None:
        raise InvalidInput(f"name the storage, as an argument or in ${ENVIRONMENT}")
    console = Console(highlight=False, soft_wrap=True)
    place = storage_url(url)
    with connect(place) as storage:
        wanted = [study] if study else names(storage)
        if not wanted:
            raise InvalidInput(f"{place} holds no study: dse search --storage makes one")
        if out is not None and len(wanted) > 1:
            raise InvalidInput(f"{place} holds {', '.join(wanted)}: choose with --study")
        folders = {name: out or Path("studies") / name for name in wanted}
        told: dict[str, int] = {}
        while True:
            ended = []
            for name, folder in folders.items():
                pulled = pull(
                    storage, place, name, folder, artifacts=artifacts, checkpoints=checkpoints
                )
                if told.get(name) != pulled.rows:
                    told[name] = pulled.rows
                    console.print(f"{folder}: {pulled.rows} rows of study {name}", markup=False)
                ended.append(pulled.ended)
            if not watch or all(ended):
                return
            time.sleep(5)
