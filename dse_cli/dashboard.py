"""`dse dashboard`: look at studies in the browser."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import click

from dse.errors import InvalidInput


@click.command()
@click.argument("studies", metavar="[STUDY]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
@click.option(
    "--read-only",
    is_flag=True,
    help="Start and stop no searches, and write no files from the page.",
)
@click.option(
    "--data",
    "data",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Folder of spoken words that the page Launch offers; may be repeated. Folders of known "
    "studies, and those beside the studies, are offered anyway.",
)
def command(
    studies: tuple[Path, ...], port: int, browser: bool, read_only: bool, data: tuple[Path, ...]
) -> None:
    """Open each STUDY: a study's folder, or a folder of studies; `studies` where none is named.

    The page is served to this machine only; whoever can log in to this machine can open it. It can
    start searches, unless it is read only.
    """
    folders = list(studies or (Path("studies"),))
    for folder in (*folders, *data):
        if not folder.is_dir():
            raise InvalidInput(
                f"{folder} is no folder: name the folder of a study, or run `dse search` first"
            )
    if importlib.util.find_spec("streamlit") is None:
        raise InvalidInput("the dashboard needs streamlit: pip install 'ternary-dse[dashboard]'")
    spec = importlib.util.find_spec("dashboard")
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput("the package 'dashboard' is not installed: install ternary-dse again")
    app = Path(spec.submodule_search_locations[0]) / "server.py"
    raise SystemExit(subprocess.call(_arguments(app, port, browser, folders, read_only, data)))


def _arguments(
    app: Path,
    port: int,
    browser: bool,
    folders: list[Path],
    read_only: bool,
    data: tuple[Path, ...],
) -> list[str]:
    """The command that serves the dashboard, with every setting that must not be left to chance."""
    # What stands before `--` is Streamlit's, what stands behind it is `dashboard.settings`'.
    # Streamlit listens on every interface and accepts any host name unless told otherwise.
    return [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(app),
        "--server.address=127.0.0.1",
        f"--server.port={port}",
        "--server.allowedHosts=127.0.0.1",
        "--server.allowedHosts=localhost",
        f"--server.headless={'false' if browser else 'true'}",
        # On a new machine it would ask for an address before it serves anything.
        "--server.showEmailPrompt=false",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--client.showErrorLinks=false",
        "--client.toolbarMode=minimal",
        "--runner.magicEnabled=false",
        "--server.enableCORS=true",
        "--server.enableXsrfProtection=true",
        "--",
        *(str(folder.resolve()) for folder in folders),
        *(["--read-only"] if read_only else []),
        *(f"--data={folder.resolve()}" for folder in data),
    ]
