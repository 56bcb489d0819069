"""Where a study may lie: a shared folder or a URL; where its trials may be: any database."""

import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import optuna
import pytest

from dse.errors import InvalidInput, InvalidStudy
from dse.studies.folder import GIVEN, RESOLVED
from dse.studies.reading import read_study
from dse.studies.rows import FILE_NAME as ROWS
from search.artifacts import Artifacts, Mirror, open_artifacts
from search.state import Outcome
from search.storages import StorageUnreachable, connect, storage_url
from search.study import run_study
from search.urls import place_url
from tests.search.conftest import Undisturbed
from tests.search.postgres import PASSWORD, Postgres
from tests.search.test_workers import Watcher, numbers


def run(
    study_file: Path, folder: Path, watcher: Any = None, *, workers: int = 2, **options: Any
) -> Outcome:
    spec, text, cache = read_study(study_file), study_file.read_text(), study_file.parent / "cache"
    told = watcher or Watcher()
    return run_study(spec, text, folder, told, cache=cache, workers=workers, **options)


@pytest.mark.parametrize(
    ("text", "shown", "secrets"),
    [
        ("s3://bucket/a", "s3://bucket/a", []),
        ("sftp://me:p@ss@host:22/a", "sftp://me:***@host:22/a", ["p@ss"]),
        ("sftp://me:pass%20word@host/a", "sftp://me:***@host/a", ["pass%20word"]),
        ("https://host/a?sig=abc&se=2", "https://host/a?***", ["abc", "2"]),
    ],
)
def test_a_url_is_shown_without_its_secrets(text: str, shown: str, secrets: list[str]) -> None:
    url = place_url(text)
    assert str(url) == shown and set(secrets) <= set(url.secrets)
    message = url.scrubbed(f"cannot open {text}: wrong {' '.join(secrets)}")
    assert not any(secret in message or secret in repr(url) for secret in secrets)


@pytest.mark.parametrize("text", ["nonsense://me:secret@host/x", "nonsense+x://h?token=secret"])
def test_a_place_of_no_known_kind_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_artifacts(text)
    assert "secret" not in str(caught.value) and "nonsense" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["memory://store/tones", "{tmp}/store/tones"])
def test_a_place_keeps_designs_whole_and_in_order(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_artifacts(place.format(tmp=tmp_path))
    design = tmp_path / "work"
    design.mkdir()
    put: list[str] = []
    plain = Artifacts._put

    def noted(self: Artifacts, name: str, path: Path) -> None:
        put.append(path.name)
        plain(self, name, path)

    monkeypatch.setattr(Artifacts, "_put", noted)
    for name in ("last.pt", "history.csv", "best.pt"):
        (design / name).write_text(f"epoch 1 of {name}")
    store.push("key", design)
    # last.pt counts on best.pt, and a history that is there says that all of it is.
    assert put == ["best.pt", "last.pt", "history.csv"]
    (design / "last.pt").write_text("epoch 2")
    store.push("key", design)
    assert put[3:] == ["last.pt"]
    store.pull("key", tmp_path / "there")
    assert (tmp_path / "there/last.pt").read_text() == "epoch 2"
    assert {path.name for path in (tmp_path / "there").iterdir()} == set(put)
    store.pull("nothing", tmp_path / "empty")
    assert not (tmp_path / "empty").exists()
    assert store.history("nothing") == ()


@pytest.mark.parametrize("place", ["memory://store/hostile", "{tmp}/store/hostile"])
def test_a_key_and_a_name_lead_out_of_no_place(tmp_path: Path, place: str) -> None:
    """Keys come from rows, names from whoever may write to the place."""
    store = open_artifacts(place.format(tmp=tmp_path))
    (tmp_path / "work").mkdir()
    (tmp_path / "work/history.csv").touch()
    refused = r"is no key of a design|cannot name a file here"
    for key in ("../../x", "/x", "..", ""):
        with pytest.raises(InvalidInput, match=refused):
            store.push(key, tmp_path / "work")
        with pytest.raises(InvalidInput, match=refused):
            store.pull(key, tmp_path / "there")
    if store.folder is None:
        store.system.pipe_file(f"{store.path}/designs/k/a\\..\\b", b"x")
        with pytest.raises(InvalidInput, match="cannot name a file here"):
            store.pull("k", tmp_path / "there")
    assert not {path.name for path in tmp_path.rglob("*")} & {"x", "b", "there"}


@pytest.fixture
def kept(tmp_path: Path) -> Mirror:
    """A study of two rows behind a URL, and its folder."""
    folder = tmp_path / "study"
    folder.mkdir()
    for name, text in ((GIVEN, "name: x"), (RESOLVED, "x"), (ROWS, "1\n2\n")):
        (folder / name).write_text(text)
    with sqlite3.connect(folder / "study.db") as database:
        database.execute("create table t (x)")
        database.execute("insert into t values (7)")
    mirror = Mirror(open_artifacts(f"memory://{tmp_path.name}"), folder)
    mirror.keep()
    return mirror


def test_another_machine_fetches_the_record_with_its_database(kept: Mirror, tmp_path: Path) -> None:
    other = Mirror(kept.artifacts, tmp_path / "other")
    other.fetch()
    assert (tmp_path / "other" / ROWS).read_text() == "1\n2\n"
    with sqlite3.connect(tmp_path / "other" / "study.db") as database:
        assert database.execute("select x from t").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("here", "then"),
    [
        ("1\n", "1\n2\n"),  # behind: another machine went on
        ("1\n2", "1\n2\n"),  # a kill cut the line here
        ("1\n2\n3\n", "1\n2\n3\n"),  # ahead: killed before the row was put there
    ],
)
def test_a_folder_that_is_behind_or_ahead_becomes_one_with_its_url(
    kept: Mirror, here: str, then: str
) -> None:
    (kept.folder / ROWS).write_text(here)
    kept.fetch()
    assert (kept.folder / ROWS).read_text() == then


def test_a_folder_of_other_rows_is_refused_and_stays(kept: Mirror) -> None:
    (kept.folder / ROWS).write_text("1\n3\n")
    with pytest.raises(InvalidStudy, match="hold different rows: move the folder away"):
        kept.fetch()
    assert (kept.folder / ROWS).read_text() == "1\n3\n"


def test_a_bucket_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_artifacts("memory://x")
    place.give_up_s = 0.3

    def refuse(name: str) -> bytes:
        raise OSError("The specified bucket does not exist\nand more")

    monkeypatch.setattr(place, "system", type("Refuses", (), {"cat_file": staticmethod(refuse)}))
    with pytest.raises(InvalidStudy) as caught:
        place.read("results.jsonl")
    assert str(caught.value).startswith(
        "memory://x cannot be used (The specified bucket does not exist): make the place ready"
    )


class Outage(Watcher):
    """Stops PostgreSQL at an epoch; starts it again after a while, if ever."""

    def __init__(self, server: Postgres, epoch: int, seconds: float | None) -> None:
        super().__init__({epoch: self.stop})
        self.server, self.seconds = server, seconds

    def stop(self) -> None:
        self.server.stop()
        if self.seconds is not None:
            threading.Timer(self.seconds, self.server.start).start()


_AT_ONCE = """
import os, sys, threading, traceback
import alembic.script, optuna.storages._rdb.models, sqlalchemy.dialects.sqlite
from search.storage import _open_study
from search.storages import connect, storage_url

def begin(name):
    with connect(storage_url(sys.argv[1])) as storage:
        return len(_open_study(storage, name, ("error", "energy_pj")).trials)

begins, begun = os.pipe()
for number in range(6):
    if os.fork() == 0:
        os.close(begun)
        os.read(begins, 1)  # until it is closed: all go at once
        try:
            trials = begin(f"study-{number // 2}")
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(trials)
os.close(begun)
print([os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(6)])
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_six_that_begin_in_an_empty_database_at_once(
    tmp_path: Path, postgres: Postgres, kind: str
) -> None:
    """Each makes the tables if it sees none; nobody is told that another one was faster."""
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else postgres.database("at_once")
    done = subprocess.run(
        [sys.executable, "-c", _AT_ONCE, url], capture_output=True, text=True, timeout=100
    )
    assert done.stdout == f"{[0] * 6}\n", done.stderr


@pytest.mark.soak
def test_an_outage_of_the_database_is_outlived_or_ends_in_one_sentence(
    study_file: Path,
    tmp_path: Path,
    postgres: Postgres,
    database: str,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, url = tmp_path / "study", storage_url(database)
    # Longer than the patience: one sentence, no password, nothing lost.
    with monkeypatch.context() as patch, pytest.raises(StorageUnreachable) as caught:
        patch.setattr("search.storage.connect", lambda url: connect(url, give_up_s=2))
        run(study_file, folder, Outage(postgres, 2, None), storage=url)
    assert str(caught.value).startswith(f"the storage {url.shown} did not answer for ")
    assert "dse:***@127.0.0.1" in url.shown and PASSWORD not in str(caught.value)
    postgres.start()
    # A short one is not even noticed.
    outcome = run(study_file, folder, Outage(postgres, 2, 2.0), storage=url)
    assert numbers(outcome.rows) == numbers(undisturbed(2).rows)
    assert not (folder / "study.db").exists()


@pytest.mark.soak
def test_a_study_moves_into_a_database_and_back(
    study_file: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """The rows are the record: whichever storage is named learns what it lacks from them."""
    text, folder = study_file.read_text(), tmp_path / "study"
    for trainings, storage in ((1, None), (3, f"sqlite:///{tmp_path / 'shared.db'}"), (4, None)):
        study_file.write_text(text.replace("trainings: 4", f"trainings: {trainings}"))
        place = None if storage is None else storage_url(storage)
        outcome = run(study_file, folder, storage=place)
    assert numbers(outcome.rows) == numbers(undisturbed(2).rows)


def test_another_study_of_the_name_is_refused(study_file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    other = optuna.create_study(storage=url, study_name="tones", directions=["minimize"] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        other.set_metric_names(["loss", "size"])
    with pytest.raises(InvalidStudy) as caught:
        run(study_file, tmp_path / "study", storage=storage_url(url))
    assert "holds another study 'tones', which minimises loss, size: give this" in str(caught.value)


def test_searches_that_begin_at_once_in_an_empty_database_all_begin(database: str) -> None:
    url, found, start = storage_url(database), list[str](), threading.Barrier(4)

    def begin() -> None:
        start.wait()
        with connect(url) as storage:
            found.extend(study.study_name for study in storage.get_all_studies())
            found.append("opened")

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["opened"] * 4


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://dse:{wrong}@127.0.0.1:{port}/postgres", "refuses us (connection failed"),
        ("postgresql://dse:{right}@127.0.0.1:{port}/nothing", 'database "nothing" does not exist'),
        ("postgresql://dse:{right}@127.0.0.1:1/postgres", "did not answer for"),
        ("oracle://dse:{right}@somewhere/db", "the storage is none of postgresql://"),
        ("postgresql://dse:{right}@127.0.0.1:port/db", "the storage is none of postgresql://"),
        ("mysql://dse:{right}@127.0.0.1/db", "pip install"),
        ("postgresql://dse:{right}@127.0.0.1:{port}/postgres?colour=red", "options behind its '?'"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_sentence_without_password(
    url: str, message: str, postgres: Postgres
) -> None:
    right, wrong = quote(PASSWORD, safe=""), quote("another " + PASSWORD, safe="")
    text = url.format(port=postgres.port, right=right, wrong=wrong)
    with pytest.raises(InvalidInput) as caught:
        connect(storage_url(text), first_s=1.0)
    assert message in str(caught.value)
    assert PASSWORD not in str(caught.value) and right not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"]
)
def test_a_database_in_memory_is_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidInput, match="in memory, which ends with its process: leave"):
        storage_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://dse:p@ss@host/db",
        "postgresql://dse:p@55:word@host/db",
        "mysql://d@se:pw@host/db",
        "postgresql://dse:two@two@host:5432/db",
        "postgresql://dse:p@ss/w#rd@localhost:1/db",
        "postgresql://dse:p@ss?w@host/db",
    ],
)
def test_a_password_that_cuts_the_url_is_told_and_not_shown(text: str) -> None:
    if text.startswith("mysql"):
        assert storage_url(text).shown == "mysql://d%40se:***@host/db"
        return
    with pytest.raises(InvalidInput, match="has an '@' within its user or password") as caught:
        storage_url(text)
    assert "ss" not in str(caught.value).replace("password", "").replace("PASSWORD", "").replace(
        "pgpass", ""
    )


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{folder}/missing/study.db", "folder {folder}/missing, which does not exist: make it"),
        ("{folder}", "refuses us (unable to open database file)"),
        ("{folder}/text.db", "cannot be opened (file is not a database)"),
        (
            "{folder}/new.db?colour=red",
            "option 'colour' behind its '?', which SQLite does not know",
        ),
        ("{folder}/new.db?timeout=long", "options behind its '?'"),
    ],
)
def test_a_file_that_is_no_storage_is_one_sentence(
    place: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to be read as one " * 20)
    begun = time.monotonic()
    with pytest.raises(InvalidInput) as caught:
        connect(storage_url("sqlite:///" + place.format(folder=tmp_path)))
    assert message.format(folder=tmp_path) in str(caught.value)
    assert time.monotonic() - begun < 5
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    ("text", "shown", "secret"),
    [
        ("s3://key:se/cret@bucket/a", "s3://key:***@bucket/a", "se/cret"),
        ("ftp://me:a@b@host/a", "ftp://me:***@host/a", "a@b"),
        ("s3://bucket/a?token=xyz", "s3://bucket/a?***", "xyz"),
        ("s3://bucket/a@b", "s3://bucket/a@b", "geheim"),
        ("webdav9://me:p%2Fw@host/a", "webdav9://me:***@host/a", "p/w"),
    ],
)
def test_a_place_shows_no_secret(text: str, shown: str, secret: str) -> None:
    assert str(place_url(text)) == shown
    assert secret not in place_url(text).scrubbed(
        f"{secret}: no login at {text}" * (secret in unquote(text))
    )


def test_a_kind_of_place_that_nobody_knows_keeps_its_password(tmp_path: Path) -> None:
    for text in ("webdav9://me:geheim@host/a", "gdrive://me:geheim@host/a", "hdfs://me:geheim@h/a"):
        with pytest.raises(InvalidInput) as caught:
            open_artifacts(text)
        assert "geheim" not in str(caught.value)
