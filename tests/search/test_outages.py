"""A database that goes away between any two statements of a search, and comes back at once."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
import sqlalchemy
import sqlalchemy.event
import sqlalchemy.exc

import search.storages
from dse.errors import InvalidStudy
from search.storage import _open_study, opened
from search.storages import Patient, StorageUnreachable, connect, patiently, storage_url


class Unsteady:
    """The server of a storage: hangs up once, before a statement, or before or after a commit."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self.at = self.seen = 0
        sqlalchemy.event.listen(engine, "do_execute", self._execute)
        self._commit = engine.dialect.do_commit
        engine.dialect.do_commit = self.commit  # type: ignore[method-assign]

    def fail_at(self, moment: int) -> None:
        self.at, self.seen = moment, 0

    def _execute(self, cursor: Any, *_: Any) -> None:
        self._hang_up_in_time(cursor.connection)

    def commit(self, connection: Any) -> None:
        self._hang_up_in_time(connection.driver_connection)
        self._commit(connection)
        if self._hang_up_in_time(connection.driver_connection):
            raise psycopg.OperationalError("the connection is lost")  # with the answer

    def _hang_up_in_time(self, connection: Any) -> bool:
        self.seen += 1
        if self.seen == self.at:
            connection.close()  # whatever it is asked next, the driver says so itself
        return self.seen == self.at


@pytest.fixture
def storage(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    monkeypatch.setattr(search.storages, "FIRST_WAIT_S", 0.0)
    monkeypatch.setattr("random.random", lambda: 0.0)  # times that Optuna sleeps
    with connect(storage_url(database)) as opened:
        yield opened


def search_a_little(storage: Patient, name: str) -> list[Any]:
    """What a search asks of its storage; the trials that it leaves."""
    study = _open_study(storage, name, ("error", "energy_pj"))
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    study.enqueue_trial({"blocks": 2}, user_attrs={"source": "control"})
    for number in range(2):
        trial = study.ask()
        trial.suggest_int("blocks", 1, 3)
        trial.set_user_attr("submitted", [number, 4])
        study.tell(trial, [0.5, number])
    found = study.get_trials()
    return [(t.number, t.state.name, t.params, t.values, t.user_attrs) for t in found]


ENDED = (21, 34, 47, 95, 107)
"""Moments at which searches ended, or a queued trial was there twice or lost: the second query of a
reading, and commits whose answer was lost, of a new trial and of one that begins."""


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(ENDED, marks=pytest.mark.short),
        pytest.param(sorted({*ENDED, *range(1, 1000, 8)}), marks=pytest.mark.soak),
    ],
)
def test_a_database_that_goes_at_any_moment_is_asked_again(
    storage: Patient, moments: Sequence[int]
) -> None:
    """Nothing ends, nothing is lost or done twice; also where a commit's answer was lost."""
    whole = search_a_little(storage, "whole")
    unsteady = Unsteady(storage.inner._backend.engine)
    for moment in moments:
        unsteady.fail_at(moment)
        assert search_a_little(storage, f"at {moment}") == whole, moment
        if unsteady.seen < moment:
            break
    assert moment > 100


@pytest.mark.parametrize(
    "said",
    [
        "database or disk is full",
        "disk I/O error",
        'could not extend file "base/5/1": No space left on device',
        "The table 'trials' is full",
    ],
)
def test_a_full_disk_under_a_database_is_no_outage(said: str) -> None:
    def ask() -> None:
        raise sqlalchemy.exc.OperationalError("INSERT", None, sqlite3.OperationalError(said))

    with pytest.raises(StorageUnreachable) as caught:
        patiently(ask, storage_url("postgresql://dse:secret@host/x"), give_up_s=1000)
    assert str(caught.value) == (
        f"the storage postgresql://dse:***@host/x has no room left ({said}): free some space "
        "there; the same command goes on where this one stopped"
    )


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trial_params SET distribution_json = CAST(X'FF22' AS TEXT)",
        "UPDATE trial_params SET distribution_json = 'x'",
        "UPDATE trials SET state = 'GREAT'",
        "UPDATE trial_values SET value_type = 'NONSENSE'",
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_a_damaged_database_is_one_sentence_at_once(
    tmp_path: Path, damage: str, shared: bool
) -> None:
    url = storage_url(f"sqlite:///{tmp_path / 'study.db'}") if shared else None
    objectives = ("error", "energy_pj")
    with opened(tmp_path, "s", objectives, None) as study:
        trial = study.ask()
        trial.suggest_int("blocks", 1, 3)
        study.tell(trial, [0.5, 1.0])
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute(damage)
        database.commit()
    said = r"study\.db is damaged \(.*\): restore it, or remove"
    with pytest.raises(InvalidStudy, match=said), opened(tmp_path, "s", objectives, url):
        raise AssertionError("it was opened")
