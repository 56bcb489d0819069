"""What `dse dashboard` was started with: folders of studies, and whether searches may be started.

app.py FOLDER... [--read-only] [--data=FOLDER]... [--network=FILE]...
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from dse.studies.folder import RESOLVED

READ_ONLY = "--read-only"
DATA = "--data="
NETWORK = "--network="


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one server; the same for all who look at it."""

    folders: tuple[Path, ...]
    """Studies, or folders of studies."""
    read_only: bool
    """Nothing is started, stopped or written."""
    data: tuple[Path, ...] = ()
    """Folders of spoken words that searches may be started on."""
    networks: tuple[Path, ...] = ()
    """Files of layers (`dse.pricing.layers_file`) that the page Design shows, too."""

    @property
    def root(self) -> Path:
        """Where new studies and machines are written: the first folder, or the one around it.

        The one around it where the first folder is itself a study: studies lie beside each other.
        """
        first = self.folders[0]
        return first.parent if (first / RESOLVED).exists() else first


def read_settings(arguments: list[str] | None = None) -> Settings:
    """From the arguments of the script: `sys.argv` where none are given.

    Streamlit hands on to a script what stands behind `--`. No argument parser: `dse dashboard`, the
    one that starts the server, has checked what it was given.
    """
    given = sys.argv[1:] if arguments is None else arguments
    folders = tuple(Path(each) for each in given if not each.startswith("--"))
    data = tuple(Path(each.removeprefix(DATA)) for each in given if each.startswith(DATA))
    networks = tuple(Path(each.removeprefix(NETWORK)) for each in given if each.startswith(NETWORK))
    return Settings(folders or (Path("studies"),), READ_ONLY in given, data, networks)
