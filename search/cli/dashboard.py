"""`dse dashboard`: look at studies in the browser."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import click

from dse.errors import InvalidInput


@click.command()
@click.argument("study", type=click.Path(path_type=Path), required=False)
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
def command(study: Path | None, port: int, browser: bool) -> None:
    """Open STUDY, a study's folder, or all studies of a folder of studies [default: studies].

    The page is served to this machine only.
    """
    folder = study or Path("studies")
    if not folder.is_dir():
        raise InvalidInput(
            f"{folder} is no folder: name the folder of a study, or run `dse search` first"
        )
    if importlib.util.find_spec("streamlit") is None:
        raise InvalidInput("the dashboard needs streamlit: pip install 'ternary-dse[dashboard]'")
    spec = importlib.util.find_spec("dashboard")
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput("the package 'dashboard' is not installed: install ternary-dse again")
    app = Path(spec.submodule_search_locations[0]) / "app.py"
    # Streamlit listens on every interface and accepts any host name unless told otherwise.
    arguments = [
        sys.executable, "-m", "streamlit", "run", str(app),
        "--server.address=127.0.0.1", f"--server.port={port}",
        "--server.allowedHosts=127.0.0.1", "--server.allowedHosts=localhost",
        f"--server.headless={'false' if browser else 'true'}",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--", str(folder.resolve()),
    ]  # fmt: skip
    raise SystemExit(subprocess.call(arguments))
