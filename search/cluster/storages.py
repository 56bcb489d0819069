"""Storages by URL, that outlive an outage; a password is never shown.

Whatever Optuna can store in is a storage: a database, a journal file, a gRPC proxy in front of
either. All of them may be out of reach for a while; `Patient` asks again until they are back.
"""

import logging
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import optuna
import sqlalchemy
import sqlalchemy.exc
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.trial import FrozenTrial, TrialState

from dse.errors import InvalidInput, InvalidStudy

ENVIRONMENT = "DSE_STORAGE"
"""Variable that may hold the URL: the arguments of a process can be read by all users, this not."""

GIVE_UP_S = 300.0
"""A storage that is out of reach for so long is given up."""

MOST_OF_A_LINE = 2**24
"""Bytes in which the end of a journal's last line but one is looked for."""

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0

DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
"""What is installed for a bare name of a database."""

SCHEMES = "postgresql://, mysql://, sqlite:///, journal:/// or grpc://"

HOPELESS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "access denied",
    "unknown database",
    "no pg_hba.conf entry",
)
"""What a database answers when waiting does not help."""


class StorageUnreachable(InvalidStudy):
    """A storage that did not answer for too long, or refuses us."""


@dataclass(frozen=True, slots=True)
class StorageURL:
    """Where a study is stored, and how that is shown to people."""

    text: str = field(repr=False)
    """With its password: for the driver's ears only."""
    shown: str
    """The same with the password hidden."""
    secrets: tuple[str, ...] = field(repr=False, default=())

    def __str__(self) -> str:
        return self.shown

    def scrubbed(self, message: str) -> str:
        """A message without what must not be shown."""
        message = message.replace(self.text, self.shown)
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message

    @property
    def local_file(self) -> bool:
        """Whether it is a file, which only machines that share a file system reach."""
        return self.text.startswith(("sqlite", "journal"))


def is_url(text: str) -> bool:
    """Whether a text is meant as the URL of a storage, not as a path."""
    return "://" in text


def storage_url(text: str) -> StorageURL:
    """Read the URL of a storage.

    Raises:
        InvalidInput: it is none, or of a kind that there is not.
    """
    scheme = text.partition("://")[0]
    if scheme == "journal":
        return StorageURL(text, text)
    if scheme == "grpc":
        parts = urlsplit(text)
        if not parts.hostname or not _port(parts):
            raise InvalidInput("a gRPC storage is grpc://HOST:PORT: give both")
        return StorageURL(text, f"grpc://{parts.hostname}:{parts.port}")
    try:
        url = sqlalchemy.make_url(text)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        known = url.get_backend_name() in ("postgresql", "mysql", "sqlite")
    except (sqlalchemy.exc.ArgumentError, ValueError):
        known = False
    if not known:
        raise InvalidInput(f"the storage is none of {SCHEMES}: see docs/how-to/many-machines.md")
    given = [url.password, *(v for k, v in url.query.items() if "pass" in k)]
    secrets = [str(secret) for secret in given if secret]
    spelled = {form for s in secrets for form in (s, quote(s, safe=""), quote_plus(s))}
    query = {k: v for k, v in url.query.items() if "pass" not in k}
    shown = url.set(query=query, drivername=url.get_backend_name())
    return StorageURL(
        text=url.render_as_string(hide_password=False),
        shown=shown.render_as_string(hide_password=True),
        secrets=tuple(sorted(spelled, key=len, reverse=True)),
    )


def _port(parts: Any) -> int | None:
    try:
        return int(parts.port) if parts.port else None
    except ValueError:
        return None


def connect(url: StorageURL, *, give_up_s: float = GIVE_UP_S, first_s: float = 30.0) -> "Patient":
    """Open a storage.

    Args:
        url: of the storage.
        give_up_s: later, ask for so long when it does not answer.
        first_s: now, ask for so long.

    Raises:
        StorageUnreachable: it does not answer, or refuses us.
        InvalidInput: its driver is not installed.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for chatty in ("alembic", "sqlalchemy.pool"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    opened: BaseStorage = patiently(lambda: _open(url), url, min(first_s, give_up_s))
    return Patient(opened, url, give_up_s)


def _open(url: StorageURL) -> BaseStorage:
    scheme, _, place = url.text.partition("://")
    if scheme == "journal":
        backend = JournalFileBackend(place)
        _drop_half_a_line(Path(place), backend)
        return optuna.storages.JournalStorage(backend)
    if scheme == "grpc":
        return _open_proxy(url)
    arguments: dict[str, Any] = {}
    if scheme.startswith("postgresql"):
        arguments = {"connect_timeout": 10, "application_name": "dse"}
    elif scheme.startswith("sqlite"):
        arguments = {"timeout": 60}
    try:
        database = optuna.storages.RDBStorage(
            url.text, engine_kwargs={"pool_pre_ping": True, "connect_args": arguments}
        )
    except ImportError:
        raise InvalidInput(
            f"the driver of {url} is not installed: pip install 'ternary-dse[cluster]'"
        ) from None
    return optuna.storages.get_storage(database)


def _drop_half_a_line(path: Path, backend: JournalFileBackend) -> None:
    """Drop a last line that a kill or a full disk cut short: the next would be glued to it."""
    if not path.exists():
        return
    with get_lock_file(backend._lock), path.open("rb+") as file:  # writers hold the same lock
        file.seek(max(0, path.stat().st_size - MOST_OF_A_LINE))
        start, tail = file.tell(), file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)


def _open_proxy(url: StorageURL) -> BaseStorage:
    try:
        import grpc  # noqa: F401
    except ImportError:
        raise InvalidInput(f"{url} needs grpcio: pip install 'ternary-dse[cluster]'") from None
    parts = urlsplit(url.text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = optuna.storages.GrpcStorageProxy(
            host=str(parts.hostname), port=int(parts.port or 0)
        )
    try:
        proxy.wait_server_ready(timeout=5)
    except BaseException:
        proxy.close()
        raise
    return proxy


def patiently(call: Callable[[], Any], url: StorageURL, give_up_s: float) -> Any:
    """What a call gives; it is repeated while the storage is out of reach.

    Raises:
        StorageUnreachable: so many seconds have passed, or the storage refuses us.
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
        if any(word in reason.lower() for word in HOPELESS):
            raise StorageUnreachable(
                f"the storage {url} refuses us ({reason}): correct the URL; a password may stand "
                f"in the variable {ENVIRONMENT}, or in ~/.pgpass"
            )
        if waited_s + wait_s > give_up_s:
            raise StorageUnreachable(
                f"the storage {url} did not answer for {waited_s:.0f} s ({reason}): start it "
                "again, or correct the URL; the same command goes on where this one stopped"
            )
        time.sleep(wait_s * random.uniform(0.5, 1.0))  # not all workers at once
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def outage(error: BaseException) -> str | None:
    """Why a storage is out of reach; None where the error is of another kind."""
    if type(error).__module__.startswith("grpc"):
        code = getattr(getattr(error, "code", lambda: None)(), "name", "")
        details = str(getattr(error, "details", lambda: "")())
        # The proxy says UNKNOWN when the database behind it is out of reach.
        return _first_line(details or code) if code in ("UNAVAILABLE", "UNKNOWN") else None
    if isinstance(error, ConnectionError):
        return _first_line(str(error))
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    broken = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError)
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

    def __init__(self, inner: BaseStorage, url: StorageURL, give_up_s: float) -> None:
        self.inner = inner
        self.url = url
        self.give_up_s = give_up_s

    def close(self) -> None:
        """Give its connections back."""
        database = getattr(self.inner, "_backend", None)
        if isinstance(database, optuna.storages.RDBStorage):
            database.remove_session()
            database.engine.dispose()
        elif isinstance(self.inner, optuna.storages.GrpcStorageProxy):
            self.inner.close()

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
                return bool(self.inner.set_trial_state_values(trial_id, state, values))
            except optuna.exceptions.UpdateFinishedTrialError:
                if tries > 1 and self.inner.get_trial(trial_id).state == state:
                    return True
                raise

        return bool(patiently(change, self.url, self.give_up_s))


def _is_made_from(trial: FrozenTrial, template: FrozenTrial | None) -> bool:
    """Whether a trial is the one that was to be created, as nobody has touched it since."""
    if template is None:
        empty = not (trial.params or trial.user_attrs or trial.system_attrs)
        return empty and trial.state == TrialState.RUNNING
    return (trial.user_attrs, trial.system_attrs) == (template.user_attrs, template.system_attrs)
