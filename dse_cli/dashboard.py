"""`dse dashboard`: look at studies in the browser."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from dse.errors import InvalidInput
from dse_cli.options import ENVIRONMENT

PULL_S = 10.0
"""The studies of a storage are pulled so often."""

PRIVATE = (ENVIRONMENT, "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""What the dashboard's process needs not know."""


@click.command()
@click.argument("studies", metavar="[STUDY]...", nargs=-1)
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
    studies: tuple[str, ...], port: int, browser: bool, read_only: bool, data: tuple[Path, ...]
) -> None:
    """Open each STUDY: a study's folder, a folder of studies, or the URL of a storage.

    Without STUDY, the storage of $DSE_STORAGE is opened, or else the folder studies. The studies
    of a storage are pulled every few seconds, without their networks, and are read only; the URL
    stays with this process.

    The page is served to this machine only; whoever can log in to this machine can open it. It can
    start searches, unless it is read only.
    """
    named = studies or (os.environ.get(ENVIRONMENT) or "studies",)
    urls = [study for study in named if "://" in study]
    folders = [Path(study) for study in named if "://" not in study]
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
    with ExitStack() as stack:
        views = [stack.enter_context(_pulled(url)) for url in urls]
        arguments = _arguments(
            app, port, browser, [*folders, *views], read_only or bool(urls), data
        )
        environment = {name: text for name, text in os.environ.items() if name not in PRIVATE}
        raise SystemExit(subprocess.call(arguments, env=environment if urls else None))


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


@contextmanager
def _pulled(text: str) -> Iterator[Path]:
    """A folder with the studies of a storage, renewed in the background.

    Raises:
        InvalidInput: the storage cannot be read, or holds no study.
    """
    from search.cluster.storages import connect, storage_url
    from search.cluster.view import names, pull

    url = storage_url(text)
    with tempfile.TemporaryDirectory(prefix="dse-view-") as root, connect(url) as storage:
        stop = threading.Event()

        def renew() -> None:
            for name in names(storage):
                pull(storage, url, name, Path(root) / name, checkpoints=False)

        # A storage that is away for a while is no reason to end: pages go on with what they have,
        # and the same message is printed once, without the password of the URL.
        def go_on() -> None:
            told = ""
            while not stop.wait(PULL_S):
                try:
                    renew()
                except (InvalidInput, OSError) as error:
                    message = url.scrubbed(str(error))
                    if message != told:
                        print(f"dse: not renewed: {message}", file=sys.stderr, flush=True)
                    told = message

        renew()
        if not any(Path(root).iterdir()):
            raise InvalidInput(f"{url} holds no study: dse search --storage makes one")
        thread = threading.Thread(target=go_on, daemon=True, name="dse-pull")
        thread.start()
        try:
            yield Path(root)
        finally:
            stop.set()
            thread.join(timeout=5)
