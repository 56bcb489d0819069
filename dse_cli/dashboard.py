"""`dse dashboard`: look at studies in the browser."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from dse.errors import InvalidInput
from dse.networks.lowering import lower
from dse.networks.module_file import is_module_file
from dse.pricing.layers_file import write_layers
from dse.pricing.priced import Layers
from dse_cli.asked import Asked, read_network


@click.command()
@click.argument("sources", metavar="[STUDY|NETWORK]...", nargs=-1)
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
    sources: tuple[str, ...], port: int, browser: bool, read_only: bool, data: tuple[Path, ...]
) -> None:
    """Open each STUDY: a study's folder, or a folder of studies; `studies` where none is named.

    NETWORK is a network that is of no study, on the page Design: a graph in ONNX, a Python file
    with a function that returns a PyTorch module and an example of its input, which is run here and
    not by the page, or a design's YAML file.

    The page is served to this machine only; whoever can log in to this machine can open it. It can
    start searches, unless it is read only.
    """
    given = [source for source in sources if _is_network(source)]
    studies = [Path(source) for source in sources if source not in given]
    folders = list(studies or (Path("studies"),))
    for folder in (*(studies if given else folders), *data):
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
    with tempfile.TemporaryDirectory(prefix="dse-networks-") as scratch:
        networks = [
            _write_network(source, Path(scratch) / f"{number}.json")
            for number, source in enumerate(given, start=1)
        ]
        arguments = _arguments(app, port, browser, folders, read_only, data, networks)
        code = subprocess.call(arguments)
    raise SystemExit(code)


def _is_network(source: str) -> bool:
    """Whether it names a file of a network, and no folder."""
    file = is_module_file(source) or source.endswith((".onnx", ".yaml", ".yml"))
    return file and not os.path.isdir(source)


def _write_network(source: str, path: Path) -> Path:
    """The layers of a network as a file for the page."""
    asked = read_network(source)
    if isinstance(asked, Asked):
        workload = lower(asked.point, frames=asked.frames, outputs=asked.outputs)
        layers = Layers(asked.point.label, workload)
    else:
        layers = asked.layers
    write_layers(layers, path, asked.notes)
    return path


def _arguments(
    app: Path,
    port: int,
    browser: bool,
    folders: list[Path],
    read_only: bool,
    data: tuple[Path, ...],
    networks: Sequence[Path] = (),
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
        *(f"--network={path.resolve()}" for path in networks),
    ]
