"""Where the files of trained designs are kept for all machines: a shared folder, S3, or the like.

A design has a folder there, named by its key, with the files that `dse.training.run` writes. What
stands there is whole: local files are renamed into place, and object stores show no half object.
"""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dse.errors import InvalidInput, InvalidStudy
from dse.files import replacing
from dse.studies.folder import DESIGNS
from dse.training.history import FILE_NAME as HISTORY
from dse.training.history import EpochRecord, history_from_text

T = TypeVar("T")

LAST = "last.pt"
"""Counts on the best one: written after it, read before it."""

MARK = "study.id"
"""Tells a worker that it sees the same store as its coordinator."""

GIVE_UP_S = 120.0


@dataclass(slots=True)
class Artifacts:
    """The store of one study."""

    root: str
    """URL of the study's folder; `file://...` for a folder."""
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
        return Path(self.path) if self.root.startswith("file://") else None

    def push(self, key: str, design: Path) -> None:
        """Put the files of a design there that have changed; the history at last."""
        for path in _in_order(design.iterdir()):
            status = path.stat()
            seen = (status.st_size, status.st_mtime_ns)
            name = f"{DESIGNS}/{key}/{path.name}"
            if self.pushed.get(name) != seen:
                self.put(name, path)
                self.pushed[name] = seen

    def pull(self, key: str, design: Path, *, checkpoints: bool = True) -> None:
        """Fetch the files of a design that are newer there.

        The history is read first and written last: as long as it is the same, all is.
        """
        if self.folder is not None and (self.folder / DESIGNS / key).resolve() == design.resolve():
            return
        names = self._tried(lambda: self._names(f"{DESIGNS}/{key}"))
        names = [name for name in names if checkpoints or not name.endswith(".pt")]
        if not checkpoints:
            # A history without its networks must not pass for all, should there be older ones.
            for path in design.glob("*.pt"):
                path.unlink()
        history = None
        if HISTORY in names:
            names.remove(HISTORY)
            history = self._tried(lambda: self._read(f"{DESIGNS}/{key}/{HISTORY}"))
            here = design / HISTORY
            complete = all((design / name).exists() for name in names)
            if complete and here.exists() and here.read_bytes() == history:
                return
        for name in reversed([path.name for path in _in_order(map(Path, names))]):
            with replacing(design / name) as temporary:
                self.get(f"{DESIGNS}/{key}/{name}", temporary)
        if history is not None:
            with replacing(design / HISTORY) as temporary:
                temporary.write_bytes(history)

    def history(self, key: str) -> tuple[EpochRecord, ...]:
        """The epochs of a design that are kept; none where there is no such design yet."""
        try:
            text = self._read(f"{DESIGNS}/{key}/{HISTORY}").decode()
        except FileNotFoundError:
            return ()
        return history_from_text(text, f"{self.root}/{DESIGNS}/{key}/{HISTORY}")

    def put(self, name: str, path: Path) -> None:
        """Put one file there in one step."""
        self._tried(lambda: self._put(name, path))

    def get(self, name: str, path: Path) -> None:
        """Fetch one file."""
        self._tried(lambda: self._get(name, path))

    def mark(self, text: str) -> None:
        """Leave the study's mark."""
        self._tried(lambda: self._write(MARK, text))

    def marked(self) -> str:
        """The mark that is found; empty where there is none."""
        try:
            return str(self.system.cat_file(f"{self.path}/{MARK}").decode())
        except FileNotFoundError:
            return ""

    def _names(self, folder: str) -> list[str]:
        self.system.invalidate_cache()
        try:
            found = self.system.ls(f"{self.path}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return [name for name in (path.rsplit("/", 1)[1] for path in found) if name[:1] != "."]

    def _put(self, name: str, path: Path) -> None:
        if self.folder is None:
            self.system.makedirs(f"{self.path}/{name}".rsplit("/", 1)[0], exist_ok=True)
            self.system.put_file(str(path), f"{self.path}/{name}")
            return
        with replacing(self.folder / name) as temporary:
            shutil.copyfile(path, temporary)

    def _read(self, name: str) -> bytes:
        return bytes(self.system.cat_file(f"{self.path}/{name}"))

    def _write(self, name: str, text: str) -> None:
        if self.folder is None:
            self.system.pipe_file(f"{self.path}/{name}", text.encode())
            return
        with replacing(self.folder / name) as temporary:
            temporary.write_text(text)

    def _get(self, name: str, path: Path) -> None:
        self.system.get_file(f"{self.path}/{name}", str(path))

    def _tried(self, act: Callable[[], T]) -> T:
        """What an act gives; it is tried again while the store is out of reach.

        Raises:
            InvalidStudy: the store does not answer, or refuses us.
            OSError: the disk of this machine is full, or a folder may not be written to.
        """
        begun, wait_s = time.monotonic(), 0.2
        while True:
            try:
                return act()
            except Exception as error:
                if self.folder is not None:
                    raise
                waited_s = time.monotonic() - begun
                hopeless = isinstance(error, PermissionError | FileNotFoundError)
                if hopeless or waited_s + wait_s > self.give_up_s:
                    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    raise InvalidStudy(
                        f"the artifacts {self.root} cannot be used ({reason}): make the place "
                        "ready and see that this machine may write there; the same command goes on"
                    ) from None
            time.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(2 * wait_s, 10.0)


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """Visible files in the order in which they are put there."""
    visible = [path for path in paths if not path.name.startswith(".")]
    return sorted(visible, key=lambda path: (path.name == HISTORY, path.name == LAST, path.name))


def study_root(given: str, name: str) -> str:
    """The folder of a study in a store that several studies may use."""
    if "://" not in given:
        given = f"file://{os.path.abspath(os.path.expanduser(given))}"
    return f"{given.rstrip('/')}/{name}"


def open_artifacts(root: str) -> Artifacts:
    """Open a study's store.

    Raises:
        InvalidInput: there is no such kind of store here.
    """
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(root)
    except ImportError as error:
        raise InvalidInput(
            f"the artifacts {root} need more than is installed ({error}): "
            "pip install 'ternary-dse[cluster]'"
        ) from None
    except ValueError as error:
        raise InvalidInput(
            f"the artifacts {root} are of no known kind ({error}): name a folder, or a URL such "
            "as s3://BUCKET/PREFIX"
        ) from None
    return Artifacts(root, system, path)
