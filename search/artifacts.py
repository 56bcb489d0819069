"""Where a study lies for all machines: a shared folder, S3, or the like, by its URL.

    ROOT/study.yaml, resolved.yaml, results.jsonl, study.db    the study's record
    ROOT/designs/KEY/                                          of each design, as in the folder

A folder of a shared file system *is* the study. Behind any other URL (what fsspec knows: `s3://`,
`gs://`, `sftp://`), each machine has files of its own and puts there what others need: a node its
design after each epoch, the coordinator the record (`Mirror`). What stands there is whole: local
files are renamed into place, and object stores show no half object.
"""

import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dse.errors import InvalidInput, InvalidStudy
from dse.files import check_name, inside, replacing
from dse.studies.folder import DESIGNS, EXPERIENCE, GIVEN, RESOLVED, design_folder
from dse.studies.rows import FILE_NAME as ROWS
from dse.training.history import FILE_NAME as HISTORY
from dse.training.history import EpochRecord, history_from_text
from search.storage import DATABASE
from search.urls import HiddenURL, is_url, place_url

T = TypeVar("T")

LAST = "last.pt"
"""Counts on the best one: written after it, read before it."""

MARK = ".mark"
"""Tells a node that it sees the same place as its coordinator."""

GIVE_UP_S = 120.0


@dataclass(slots=True)
class Artifacts:
    """The place of one study."""

    url: HiddenURL
    """Of the study's folder; `file://...` for a folder."""
    system: Any
    """An fsspec file system."""
    path: str
    """The root as the file system spells it."""
    give_up_s: float = GIVE_UP_S
    pushed: dict[str, tuple[int, int]] = field(default_factory=dict)
    """File -> size and time when it was pushed."""

    @property
    def folder(self) -> Path | None:
        """The root, where it is a folder of this machine."""
        return Path(self.path) if self.url.text.startswith("file://") else None

    def push(self, key: str, design: Path) -> None:
        """Put the files of a design there that have changed; the history at last."""
        for path in _in_order(design.iterdir()):
            self.push_file(f"{DESIGNS}/{key}/{path.name}", path)

    def push_file(self, name: str, path: Path) -> None:
        """Put one file there, if it has changed since it was put there last."""
        status = path.stat()
        seen = (status.st_size, status.st_mtime_ns)
        if self.pushed.get(name) != seen:
            self._tried(lambda: self._put(name, path))
            self.pushed[name] = seen

    def pull(self, key: str, design: Path) -> None:
        """Fetch the files of a design that are newer there.

        The history is read first and written last: as long as it is the same, all is.
        """
        mine = None if self.folder is None else design_folder(self.folder, key)
        if mine is not None and mine.resolve() == design.resolve():
            return
        names = self._tried(lambda: self._names(f"{DESIGNS}/{key}"))
        history = None
        if HISTORY in names:
            names.remove(HISTORY)
            history = self.read(f"{DESIGNS}/{key}/{HISTORY}")
            here = design / HISTORY
            complete = all(inside(design, name).exists() for name in names)
            if complete and here.exists() and here.read_bytes() == history:
                return
        for name in reversed([path.name for path in _in_order(map(Path, names))]):
            self.pull_file(f"{DESIGNS}/{key}/{name}", inside(design, name))
        if history is not None:
            with replacing(design / HISTORY) as temporary:
                temporary.write_bytes(history)

    def pull_file(self, name: str, path: Path) -> None:
        """Fetch one file."""
        with replacing(path) as temporary:
            self._tried(lambda: self._get(name, temporary))

    def history(self, key: str) -> tuple[EpochRecord, ...]:
        """The epochs of a design that are kept; none where there is no such design yet."""
        text = self.read(f"{DESIGNS}/{key}/{HISTORY}")
        if text is None:
            return ()
        return history_from_text(text.decode(), f"{self.url}/{DESIGNS}/{key}/{HISTORY}")

    def mark(self, text: str) -> None:
        """Leave the coordinator's mark."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mark"
            path.write_text(text)
            self._tried(lambda: self._put(MARK, path))

    def marked(self) -> str:
        """The mark that is found; empty where there is none."""
        found = self.read(MARK)
        return "" if found is None else found.decode()

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""

        def content() -> bytes | None:
            try:
                return bytes(self.system.cat_file(self._at(name)))
            except FileNotFoundError:
                return None

        return self._tried(content)

    def _names(self, folder: str) -> list[str]:
        self.system.invalidate_cache()
        try:
            found = self.system.ls(self._at(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (path.rsplit("/", 1)[1] for path in found)
        return [name for name in names if name[:1] not in ("", ".")]

    def _put(self, name: str, path: Path) -> None:
        if self.folder is None:
            self.system.makedirs(self._at(name).rsplit("/", 1)[0], exist_ok=True)
            self.system.put_file(str(path), self._at(name))
            return
        with replacing(Path(self._at(name))) as temporary:
            shutil.copyfile(path, temporary)

    def _get(self, name: str, path: Path) -> None:
        self.system.get_file(self._at(name), str(path))

    def _at(self, name: str) -> str:
        """The place of a file, as the file system spells it; refuses what leaves the root."""
        steps = name.split("/")
        if self.folder is not None:
            return str(inside(self.folder, *steps))
        for step in steps:
            check_name(step)
        return f"{self.path}/{name}"

    def _tried(self, act: Callable[[], T]) -> T:
        """What an act gives; it is tried again while the place is out of reach.

        Raises:
            InvalidStudy: the place does not answer, or refuses us.
            InvalidInput: a name leads out of the place.
            OSError: the disk of this machine is full, or a folder may not be written to.
        """
        begun, wait_s = time.monotonic(), 0.2
        while True:
            try:
                return act()
            except InvalidInput:
                raise
            except Exception as error:
                if self.folder is not None:
                    raise
                waited_s = time.monotonic() - begun
                hopeless = isinstance(error, PermissionError | FileNotFoundError)
                hopeless |= "credentials" in str(error).lower()
                if hopeless or waited_s + wait_s > self.give_up_s:
                    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    raise InvalidStudy(
                        f"{self.url} cannot be used ({self.url.scrubbed(reason)}): make the place "
                        "ready and see that this machine may write there; the same command goes on"
                    ) from None
            time.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, 10.0)


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """Visible files in the order in which they are put there."""
    visible = [path for path in paths if not path.name.startswith(".")]
    return sorted(visible, key=lambda path: (path.name == HISTORY, path.name == LAST, path.name))


def open_artifacts(place: str | Path) -> Artifacts:
    """Open the place of a study.

    Args:
        place: a folder, or a URL as fsspec takes it.

    Raises:
        InvalidInput: there is no such kind of place here.
    """
    if not is_url(str(place)):
        place = f"file://{os.path.abspath(Path(place).expanduser())}"
    url = place_url(str(place))
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(url.text)
    except ImportError as error:
        raise InvalidInput(
            f"{url} needs more than is installed ({url.scrubbed(str(error))}): "
            "pip install 'ternary-dse[cluster]', and what that kind of place needs"
        ) from None
    except Exception as error:  # of each file system its own: a login that is refused, a bad option
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidInput(
            f"{url} cannot be opened ({url.scrubbed(reason)}): name a folder, or a URL such as "
            "s3://BUCKET/PREFIX"
        ) from None
    return Artifacts(url, system, path.rstrip("/"))


class Mirror:
    """Keeps a study's record behind a URL as it is in the folder, for a search elsewhere to go on.

    Rows are put there before the database, as they are written (`search.loop`): a kill between the
    two leaves rows that tell the database.
    """

    def __init__(self, artifacts: Artifacts, folder: Path) -> None:
        self.artifacts, self.folder = artifacts, folder

    def fetch(self) -> None:
        """Make the folder what stands behind the URL, unless the folder is ahead of it.

        It is ahead where a search was killed on this machine between its own disk and the URL.

        Raises:
            InvalidStudy: the rows here and there are not of one search.
        """
        if self.artifacts.read(RESOLVED) is None:
            return
        there, here = self.artifacts.read(ROWS) or b"", self._read(ROWS)
        whole = here[: here.rfind(b"\n") + 1]  # without a line that a kill has cut
        if whole.startswith(there) and (self.folder / RESOLVED).exists():
            return
        if not there.startswith(whole):
            raise InvalidStudy(
                f"{self.folder} and {self.artifacts.url} hold different rows: move the folder "
                "away, or name another --out"
            )
        for name in (GIVEN, RESOLVED, EXPERIENCE, ROWS, DATABASE):
            if self.artifacts.read(name) is not None:
                self._drop_log(name)
                self.artifacts.pull_file(name, self.folder / name)

    def _drop_log(self, name: str) -> None:
        """Remove what a database has in files beside it, before another one takes its place."""
        if name == DATABASE:
            for ending in ("-wal", "-shm"):
                (self.folder / f"{name}{ending}").unlink(missing_ok=True)

    def fetch_designs(self, keys: Iterable[str]) -> None:
        """Fetch trained designs that this machine does not have."""
        for key in keys:
            self.artifacts.pull(key, design_folder(self.folder, key))

    def keep(self) -> None:
        """Put there what is new."""
        for name in (GIVEN, RESOLVED, EXPERIENCE, ROWS):
            if (self.folder / name).exists():
                self.artifacts.push_file(name, self.folder / name)
        if not (self.folder / DATABASE).exists():
            return
        # A copy of one moment: the file itself has its last commits in a second one.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".copy-") as folder:
            copy = Path(folder) / DATABASE
            with (
                closing(sqlite3.connect(self.folder / DATABASE)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            self.artifacts.push_file(DATABASE, copy)

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        return path.read_bytes() if path.exists() else b""
