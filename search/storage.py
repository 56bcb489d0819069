"""A study's folder and its Optuna storage on one machine.

One process writes (`locked`), any number may read meanwhile: the dashboard, `dse report`,
optuna-dashboard. The rows in `results.jsonl` are the record; the database is what the sampler needs
to go on, and can be made again from them (`search.records`).
"""

import fcntl
import logging
import os
import re
import shlex
import shutil
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import optuna
import sqlalchemy.event
import sqlalchemy.exc

from dse.errors import InvalidStudy
from dse.files import check_links, replacing
from dse.studies.folder import REPRICED
from dse.studies.holder import LOCK, Holder, read_holder
from search.storages import DAMAGED, connect, damaged
from search.urls import HiddenURL

DATABASE = "study.db"


class FolderGone(InvalidStudy):
    """The folder of a study is no longer where it was when the search began."""


@dataclass(frozen=True, slots=True)
class Held:
    """A study's folder that this process holds."""

    folder: Path
    file: IO[str]
    """The lock: it stays the same file wherever the folder goes."""

    def check(self) -> None:
        """Refuse to write where the folder was, if it was moved, renamed or removed meanwhile.

        Otherwise whatever is written next would make a second folder of that name, with a part of
        the study in each, of which neither could be resumed.

        Raises:
            FolderGone: says where the folder is now, as far as the system knows.
        """
        mine = os.fstat(self.file.fileno())
        try:
            found = os.stat(self.folder / LOCK)
        except OSError:
            found = None
        if found is not None and (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
            return
        if not mine.st_nlink:
            raise FolderGone(
                f"{self.folder} was removed while it was searched: nothing more is written; if it "
                "was moved to another disk, go on there with dse search FOLDER"
            )
        now = self._place()
        where = f"now {now}" if now else "elsewhere"
        again = shlex.quote(now) if now else "FOLDER"
        raise FolderGone(
            f"{self.folder} was moved while it was searched, and is {where}: what is evaluated is "
            f"there, nothing is lost; go on with: dse search {again}"
        )

    def _place(self) -> str:
        """Where the folder is now; empty where the system does not tell."""
        try:
            return str(Path(os.readlink(f"/proc/self/fd/{self.file.fileno()}")).parent)
        except OSError:
            return ""


@contextmanager
def locked(folder: Path) -> Iterator[Held]:
    """Hold the study's folder: a second search in it is refused, one that died holds nothing.

    The kernel's lock on an open file, which it drops when the process ends, however that happens:
    the file itself stays and means nothing by being there.

    Raises:
        InvalidStudy: another process searches here; the message names it. Or the folder was moved
            or removed meanwhile, whatever else was raised for that reason.
        InvalidInput: a link in the folder leads out of it: what is written would be written there.
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_links(folder)
    # Not "w": that would empty the file of whoever holds it, before the lock is asked for.
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = read_holder(file.read()) or "an unknown process"
            raise InvalidStudy(
                f"{folder} is being searched by {holder}: "
                "wait for it, stop it, or give this study another name"
            ) from None
        _tidy(folder)
        file.truncate(0)
        file.write(Holder(os.getpid(), socket.gethostname()).text)
        file.flush()
        held = Held(folder.absolute(), file)
        try:
            yield held
        except FolderGone:
            raise
        except Exception:
            held.check()  # a database that is not there any more has many names
            raise


_MARK = "[a-z0-9_]{8}"
"""What Python puts into the name of a temporary file."""

_LEFT = re.compile(
    rf"\.(?:study\.db|results\.jsonl|resolved\.yaml|study\.yaml|cluster\.json|design\.yaml|best\.pt"
    rf"|last\.pt|history\.csv|evaluation\.json)\.{_MARK}(?:\.[a-z]+)?(?:-wal|-shm|-journal)?"
    rf"|\.copy-{_MARK}|\.{re.escape(REPRICED)}\.{_MARK}"
)
"""Temporary files and folders that only the holder of a study writes."""


def _tidy(folder: Path) -> None:
    """Remove what killed searches have left half-written; for whoever holds the folder."""
    for path in [path for path in folder.rglob(".*") if _LEFT.fullmatch(path.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def opened(
    folder: Path, name: str, objectives: tuple[str, ...], url: HiddenURL | None
) -> Iterator[optuna.Study]:
    """A study's trials: in `study.db` of its folder, or in a database of many studies.

    Args:
        folder: of the study.
        name: of the study, by which it is found in a database.
        objectives: all of them are minimised.
        url: of the database; None for `study.db`.

    Raises:
        InvalidStudy: the database is damaged, cannot be written, or does not answer; the study of
            that name there has other objectives.
    """
    if url is None:
        with storage_errors(folder):
            study = open_storage(folder, name, objectives)
            _read_all(study, str(folder / DATABASE))
            yield study
        return
    with connect(url) as storage:
        study = _open_study(storage, name, objectives)
        names = study.metric_names
        if names != list(objectives):
            raise InvalidStudy(
                f"the storage {url} holds another study '{name}', which minimises "
                f"{', '.join(names or [])}: give this one another name, or another --storage"
            )
        _read_all(study, str(url))
        yield study


def _read_all(study: optuna.Study, place: str) -> None:
    """Read all trials once, so that damage shows here, and not in the middle of a search.

    Raises:
        InvalidStudy: something in them is not what Optuna writes.
    """
    try:
        study.get_trials(deepcopy=False)
    except (
        InvalidStudy,
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.OperationalError,
    ):
        raise  # in words already, or put so by `storage_errors`
    except Exception as error:  # whatever comes of a cell: JSON, numbers, names of classes
        raise damaged(place, f"{type(error).__name__}: {str(error)[:100]}") from None


def _open_study(
    storage: optuna.storages.BaseStorage, name: str, objectives: tuple[str, ...]
) -> optuna.Study:
    """The Optuna study of a name, made where there is none yet."""
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=["minimize"] * len(objectives),
        load_if_exists=True,
    )
    if study.metric_names is not None:
        return study
    with warnings.catch_warnings():
        # Experimental in Optuna 5; it only names the axes of optuna-dashboard's plots.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    return study


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Say in one sentence why the database cannot be written.

    Raises:
        InvalidStudy: the disk is full, or the file may not be written to.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.OperationalError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, sqlalchemy.exc.DBAPIError) else error
        reason = str(getattr(cause, "orig", cause)).splitlines()[0]
        if any(word in reason.lower() for word in DAMAGED):
            raise damaged(str(folder / DATABASE), reason) from None
        raise InvalidStudy(
            f"{folder / DATABASE} cannot be written ({reason}): free some space or change its "
            "permissions; the same command goes on"
        ) from None


def open_storage(folder: Path, name: str, objectives: tuple[str, ...]) -> optuna.Study:
    """The Optuna study of a folder, made where there is none yet.

    `optuna.load_study(study_name=NAME, storage="sqlite:///FOLDER/study.db")` opens the same.

    Raises:
        InvalidStudy: the database is damaged.
        OperationalError: it cannot be written; `storage_errors` says so in words.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = (folder / DATABASE).resolve()
    try:
        if not path.exists():
            _make_database(path)
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        sqlalchemy.event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
        return _open_study(storage, name, objectives)
    except sqlalchemy.exc.OperationalError:
        raise  # the disk is full or the file may not be written: `storage_errors`
    except (sqlalchemy.exc.DatabaseError, RuntimeError) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise InvalidStudy(
            f"{folder / DATABASE} cannot be opened ({reason}): restore it, or remove it and keep "
            "results.jsonl, from which the search rebuilds it"
        ) from None


def _make_database(path: Path) -> None:
    """A database with Optuna's tables, which appears with all of them or not at all.

    Optuna makes table after table, then their indices: of a process that was killed in between,
    a database would be left that lets two studies have one name.
    """
    # What a removed database has left: SQLite would take its log for this one's, and call the new
    # file damaged.
    for ending in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    with replacing(path) as temporary:
        optuna.storages.RDBStorage(f"sqlite:///{temporary}").engine.dispose()


def _write_ahead(connection: Any, _: Any) -> None:
    """Write-ahead log: a commit appends to one file, and readers do not block the search.

    `NORMAL` does not wait for the disk at each commit. A kill loses nothing by that; a loss of
    power may lose the last commits, which the rows then tell again.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
