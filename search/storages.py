"""Optuna's storages by URL, that outlive an outage; a password is never shown.

Any database that Optuna can store in may hold a study's trials, in place of the `study.db` in its
folder: a dashboard of others then sees them while they come. A database may be out of reach for a
while, when it is restarted, say; `Patient` asks again until it is back.
"""

import logging
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import sqlalchemy.exc
import sqlalchemy.pool
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from dse.errors import InvalidInput, InvalidStudy, printable
from search.urls import HiddenURL, spellings

ENVIRONMENT = "DSE_STORAGE"
"""Variable that may hold the URL: the arguments of a process can be read by all users, this not."""

GIVE_UP_S = 300.0
"""A storage that is out of reach for so long is given up."""

MOST_AT_ONCE = 20
"""So often tables are looked for anew while others make them."""

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
"""What is installed for a bare name of a database."""

SQLITE_OPTIONS = {
    *("cache", "cached_statements", "detect_types", "immutable", "isolation_level", "mode"),
    *("nolock", "timeout", "uri", "vfs"),
}
"""Options of a URL that Python's driver or SQLite itself reads."""

SCHEMES = "postgresql://, mysql:// or sqlite:///"

HOPELESS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "access denied",
    "unknown database",
    "no pg_hba.conf entry",
    "unable to open database file",
    "readonly database",
)
"""What a database answers when waiting does not help."""


NO_ROOM = (
    *("disk is full", "no space left", "' is full", "disk full", "disk quota"),
    "disk i/o error",  # of SQLite, where the file beside it that processes share cannot grow
)
"""What a database answers when its own disk is full: it is there, and waiting frees nothing."""


DAMAGED = (
    *("malformed", "could not decode", "is not a database", "no such table", "no such column"),
    *("undefined table", "undefined column", "has no column"),
)
"""What a database, or its driver, answers of one that is damaged: waiting mends nothing."""


class StorageUnreachable(InvalidStudy):
    """A storage that did not answer for too long, refuses us, or has no room left."""


def storage_url(text: str) -> HiddenURL:
    """Read the URL of a storage.

    Raises:
        InvalidInput: it is none, of a kind that there is not, or a database in memory, which no
            other process sees and which ends with this one.
    """
    try:
        url = sqlalchemy.make_url(text)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        known = url.get_backend_name() in ("postgresql", "mysql", "sqlite")
        # As SQLAlchemy takes the login: what it left may hold the rest of a password, and be shown.
        place = re.sub("^[^:/]*(:[^@]*)?@", "", text.partition("://")[2])
        torn = known and url.get_backend_name() != "sqlite" and "@" in place
    except (sqlalchemy.exc.ArgumentError, ValueError):
        known, torn = False, text.count("@") > 1 and text.startswith(tuple(DRIVERS))
    if torn:
        raise InvalidInput(
            "the storage has an '@' within its user or password, where one ends them: write it "
            "as %40 there (and % as %25), or leave the password to ~/.pgpass or $PGPASSWORD"
        )
    if not known:
        raise InvalidInput(f"the storage is none of {SCHEMES}: see docs/how-to/many-machines.md")
    if url.get_backend_name() == "sqlite":
        _check_sqlite(url)
    secrets = [url.password, *(value for key, value in url.query.items() if "pass" in key)]
    query = {key: value for key, value in url.query.items() if "pass" not in key}
    shown = url.set(query=query, drivername=url.get_backend_name())
    return HiddenURL(
        text=url.render_as_string(hide_password=False),
        shown=shown.render_as_string(hide_password=True),
        secrets=spellings([str(secret) for secret in secrets if secret]),
    )


def _check_sqlite(url: sqlalchemy.URL) -> None:
    """Refuse a database of SQLite that is no file, or of a folder that is not there."""
    place = url.database or ""
    if place in ("", ":memory:") or "memory" in url.query.values() or ":memory:" in place:
        raise InvalidInput(
            "the storage is a database in memory, which ends with its process: leave --storage "
            "out (the folder's study.db takes its place), or name a file, sqlite:///FILE"
        )
    unknown = sorted(set(url.query) - SQLITE_OPTIONS)
    if unknown:  # the driver would ignore them
        raise InvalidInput(
            f"the storage has the option {printable(unknown[0])!r} behind its '?', which SQLite "
            f"does not know: it knows {', '.join(sorted(SQLITE_OPTIONS))}"
        )
    folder = Path(place.removeprefix("file:")).parent
    if not folder.is_dir():
        raise InvalidInput(
            f"the storage lies in the folder {printable(str(folder))}, which does not exist: make "
            "it first (four slashes, sqlite:////, begin a path at the root)"
        )


def connect(url: HiddenURL, *, give_up_s: float = GIVE_UP_S, first_s: float = 30.0) -> "Patient":
    """Open a storage.

    Args:
        url: of the storage.
        give_up_s: later, ask for so long when it does not answer.
        first_s: now, ask for so long.

    Raises:
        StorageUnreachable: it does not answer, or refuses us.
        InvalidInput: its driver is not installed, or does not know an option of the URL.
    """
    # Its warnings tell of each query that was repeated, statement and all.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for chatty in ("alembic", "sqlalchemy.pool"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        opened: BaseStorage = patiently(lambda: _made(url), url, min(first_s, give_up_s))
    except InvalidInput:
        raise
    # An option that the driver does not know or cannot read is a TypeError, a ValueError or one of
    # SQLAlchemy's, from driver to driver; a file of something else, a RuntimeError of Optuna's.
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, TypeError, ValueError) as error:
        reason = url.scrubbed(_first_line(str(getattr(error, "orig", None) or error)))
        raise InvalidInput(
            f"the storage {url} cannot be opened ({printable(reason)}): correct the URL and the "
            "options behind its '?'"
        ) from None
    return Patient(opened, url, give_up_s)


def _made(url: HiddenURL) -> BaseStorage:
    """Open a storage; in an empty database, Optuna makes its tables first.

    Of searches that begin at once in an empty database, all look for the tables, all make them, and
    all but one are told that a table, or the row that says its version, is there already. They look
    again. Without a pool, as a connection in it would stay open where the tables could not be made.
    """
    for attempt in range(MOST_AT_ONCE):
        try:
            _open(url, poolclass=sqlalchemy.pool.NullPool)
            break
        except (sqlalchemy.exc.DBAPIError, RuntimeError) as error:
            if not _makes_the_same(error) or attempt == MOST_AT_ONCE - 1:
                raise
            time.sleep(random.uniform(0.1, 0.5))
    return optuna.storages.get_storage(_open(url, pool_pre_ping=True))


def _makes_the_same(error: Exception) -> bool:
    """Whether another process was making the tables at that moment."""
    if isinstance(error, sqlalchemy.exc.IntegrityError):
        return True  # a row was there: of versions alone, as nothing else is written yet
    # PostgreSQL and SQLite: a table; SQLite: locked while it is made; Optuna: no version row yet.
    said = str(error).lower()
    return any(words in said for words in ("already exists", "is locked", "version"))


def _open(url: HiddenURL, **engine: Any) -> optuna.storages.RDBStorage:
    arguments: dict[str, Any] = {}
    if url.text.startswith("postgresql"):
        arguments = {"connect_timeout": 10, "application_name": "dse"}
    elif url.text.startswith("sqlite"):
        arguments = {"timeout": 60}
    try:
        return _CreatesOnce(url.text, engine_kwargs={"connect_args": arguments, **engine})
    except ImportError:
        raise InvalidInput(
            f"the driver of {url} is not installed: pip install 'ternary-dse[cluster]'"
        ) from None


class _CreatesOnce(optuna.storages.RDBStorage):
    """Optuna's storage, but a new trial whose commit has failed is not made again unseen.

    Optuna repeats it up to five times, for deadlocks. Where the connection was lost, the commit may
    have been done, and the trial would be there twice: `Patient` looks first.
    """

    _tries = 0

    def _create_new_trial(self, *arguments: Any) -> FrozenTrial:
        self._tries = 0
        return super()._create_new_trial(*arguments)

    def _get_prepared_new_trial(self, *arguments: Any) -> Any:
        self._tries += 1
        if self._tries > 1:
            raise ConnectionError("a new trial was not answered for")
        return super()._get_prepared_new_trial(*arguments)


def patiently(call: Callable[[], Any], url: HiddenURL, give_up_s: float) -> Any:
    """What a call gives; it is repeated while the storage is out of reach.

    Raises:
        StorageUnreachable: so many seconds have passed, or the storage refuses us or is full.
    """
    begun, wait_s = time.monotonic(), FIRST_WAIT_S
    while True:
        try:
            return call()
        except Exception as error:
            reason = outage(error)
            if reason is None:
                raise
            reason = url.scrubbed(reason)
            waited_s = time.monotonic() - begun
        if any(word in reason.lower() for word in DAMAGED):
            raise damaged(str(url), reason)
        if any(word in reason.lower() for word in NO_ROOM):
            raise StorageUnreachable(
                f"the storage {url} has no room left ({printable(reason)}): free some space "
                "there; the same command goes on where this one stopped"
            )
        if any(word in reason.lower() for word in HOPELESS):
            raise StorageUnreachable(
                f"the storage {url} refuses us ({printable(reason)}): correct the URL, in which "
                "special characters of a password are written as %40, say; a password may also "
                f"stand in the variable {ENVIRONMENT}, or in ~/.pgpass"
            )
        if waited_s + wait_s > give_up_s:
            raise StorageUnreachable(
                f"the storage {url} did not answer for {waited_s:.0f} s ({printable(reason)}): "
                "start it again, or correct the URL; the same command goes on where this one "
                "stopped"
            )
        time.sleep(wait_s * random.uniform(0.5, 1.0))  # not all workers at once
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def damaged(place: str, reason: str) -> StorageUnreachable:
    """One sentence about a database that holds what no search has written."""
    return StorageUnreachable(
        f"{place} is damaged ({printable(reason)}): restore it, or remove it and keep "
        "results.jsonl, from which the search rebuilds it"
    )


def outage(error: BaseException) -> str | None:
    """Why a storage is out of reach; None where the error is of another kind."""
    if isinstance(error, ConnectionError):
        return _first_line(str(error))
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    broken = (
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError,
        # Optuna reads trials a second way where the first has failed, in the same session: of a
        # connection that is gone, SQLAlchemy says then that its transaction is not rolled back yet.
        sqlalchemy.exc.PendingRollbackError,
    )
    lost = isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated
    if isinstance(error, broken) or lost or isinstance(error, sqlalchemy.exc.TimeoutError):
        return _first_line(str(getattr(error, "orig", None) or error))
    return None


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[0]


def _forwarded(name: str) -> Any:
    def method(self: "Patient", *arguments: Any, **named: Any) -> Any:
        return self.ask(name, *arguments, **named)

    method.__name__ = name
    return method


# Every method that Optuna asks of a storage, and those that databases answer at once.
_ASKED = (*sorted(BaseStorage.__abstractmethods__), "get_n_trials", "remove_session")
_Forwarding: Any = type("_Forwarding", (BaseStorage,), {name: _forwarded(name) for name in _ASKED})


class Patient(_Forwarding):  # type: ignore[misc]  # its base is made above
    """A storage that is asked again while it is out of reach.

    A write whose answer was lost may have been done: what would be done twice is looked at first.
    """

    def __init__(self, inner: BaseStorage, url: HiddenURL, give_up_s: float) -> None:
        self.inner = inner
        self.url = url
        self.give_up_s = give_up_s

    def close(self) -> None:
        """Give its connections back."""
        database = getattr(self.inner, "_backend", None)
        if isinstance(database, optuna.storages.RDBStorage):
            database.remove_session()
            database.engine.dispose()

    def __enter__(self) -> "Patient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the storage behind."""
        call = getattr(self.inner, name)
        return patiently(lambda: call(*arguments, **named), self.url, self.give_up_s)

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        """Create a trial, once."""
        tries = 0

        def create() -> int:
            nonlocal tries
            tries += 1
            if tries == 1:
                return int(self.inner.create_new_trial(study_id, template_trial))
            for trial in self.inner.get_all_trials(study_id, deepcopy=False)[known:]:
                if _is_made_from(trial, template_trial):
                    return int(trial._trial_id)
            return int(self.inner.create_new_trial(study_id, template_trial))

        known = int(self.ask("get_n_trials", study_id))
        return int(patiently(create, self.url, self.give_up_s))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:
        """Change a trial's state, once."""
        tries = 0

        def change() -> bool:
            nonlocal tries
            tries += 1
            try:
                changed = bool(self.inner.set_trial_state_values(trial_id, state, values))
            except optuna.exceptions.UpdateFinishedTrialError:
                if tries > 1 and self.inner.get_trial(trial_id).state == state:
                    return True
                raise
            # A queued trial that begins: false where it runs already, which was our first try.
            return changed or (tries > 1 and self.inner.get_trial(trial_id).state == state)

        return bool(patiently(change, self.url, self.give_up_s))


def _is_made_from(trial: FrozenTrial, template: FrozenTrial | None) -> bool:
    """Whether a trial is the one that was to be created, as nobody has touched it since."""
    if template is None:
        empty = not (trial.params or trial.user_attrs or trial.system_attrs)
        return empty and trial.state == TrialState.RUNNING
    return (trial.user_attrs, trial.system_attrs) == (template.user_attrs, template.system_attrs)
