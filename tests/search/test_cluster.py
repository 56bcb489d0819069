"""A study on many machines: PostgreSQL, workers in processes of their own, any machine's view."""

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from optuna.trial import TrialState

from dse.errors import InvalidInput, InvalidStudy
from dse.studies.spec import read_study
from dse_cli import group
from search.cluster.coordinator import Cluster
from search.cluster.lease import leased
from search.cluster.publication import open_optuna_study
from search.cluster.storages import StorageUnreachable, connect, storage_url
from search.cluster.versions import code_version
from search.cluster.view import pull
from search.cluster.worker import WorkerOptions, work
from search.reprice import reprice_study
from search.state import Outcome
from search.study import run_study
from tests.conftest import write_study_file
from tests.search.conftest import Undisturbed
from tests.search.postgres import PASSWORD, Postgres
from tests.search.test_workers import Watcher, numbers


def cluster(url: str, **changes: Any) -> Cluster:
    """A cluster that is quick to notice; one worker, whose start takes longer than the study."""
    quick = Cluster(
        url=storage_url(url),
        local_workers=1,
        poll_s=0.05,
        beat_s=0.2,
        lost_s=20.0,
        lease_beat_s=0.3,
        lease_s=3.0,
    )
    return dataclasses.replace(quick, **changes)


def run(
    study_file: Path, folder: Path, watcher: Any = None, workers: int = 2, **options: Any
) -> Outcome:
    cache = study_file.parent / "cache"
    spec = read_study(study_file)
    return run_study(
        spec,
        study_file.read_text(),
        folder,
        watcher or Watcher(),
        cache=cache,
        workers=workers,
        **options,
    )


@dataclasses.dataclass(frozen=True)
class Published:
    """A study that has ended, in a database and in the coordinator's folder."""

    file: Path
    folder: Path
    database: str
    outcome: Outcome
    epochs: int


@pytest.fixture(scope="module")
def published(
    tones: Path, tones_cache: Path, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    """Searched once for all tests that only look at it or are refused; do not change it."""
    root, watcher = tmp_path_factory.mktemp("published"), Watcher()
    file, database = write_study_file(root, tones, tones_cache), postgres.database("published")
    two = cluster(database, local_workers=2)
    outcome = run(file, root / "study", watcher, cluster=two)
    return Published(file, root / "study", database, outcome, watcher.epochs)


def test_the_rows_are_those_of_one_machine(
    published: Published, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    assert numbers(published.outcome.rows) == numbers(undisturbed(2).rows)
    assert published.epochs > 0
    # Another machine makes the same folder, to the byte.
    url = storage_url(published.database)
    with connect(url) as storage:
        pulled = pull(storage, url, "tones", tmp_path / "there")
    assert pulled.ended == published.outcome.ended_by
    for path in sorted(published.folder.rglob("[!.]*")):
        other = tmp_path / "there" / path.relative_to(published.folder)
        if path.is_file() and path.name != "study.id" and not path.name.startswith("frontier"):
            assert other.read_bytes() == path.read_bytes(), path


class Outage(Watcher):
    """Stops PostgreSQL at an epoch; starts it again after a while, if ever."""

    def __init__(self, server: Postgres, epoch: int, seconds: float | None) -> None:
        super().__init__({epoch: self.stop})
        self.server, self.seconds = server, seconds

    def stop(self) -> None:
        self.server.stop()
        if self.seconds is not None:
            threading.Timer(self.seconds, self.server.start).start()


@pytest.mark.soak
def test_an_outage_of_the_database_is_outlived_or_ends_in_one_sentence(
    study_file: Path,
    tmp_path: Path,
    postgres: Postgres,
    database: str,
    undisturbed: Undisturbed,
) -> None:
    folder = tmp_path / "study"
    # Longer than the patience: one sentence, no password, nothing lost.
    with pytest.raises(StorageUnreachable) as caught:
        run(study_file, folder, Outage(postgres, 2, None), cluster=cluster(database, give_up_s=2))
    shown = storage_url(database).shown
    assert str(caught.value).startswith(f"the storage {shown} did not answer for ")
    assert "dse:***@127.0.0.1" in shown and PASSWORD not in str(caught.value)
    postgres.start()
    # A short one is not even noticed.
    outcome = run(study_file, folder, Outage(postgres, 2, 2.0), cluster=cluster(database))
    assert numbers(outcome.rows) == numbers(undisturbed(2).rows)


@pytest.mark.soak
def test_two_coordinators_are_refused_and_the_other_is_named(
    study_file: Path, tmp_path: Path, database: str
) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, database], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"holds\n"
        with pytest.raises(InvalidStudy) as caught:
            run(study_file, tmp_path / "study", cluster=cluster(database))
        assert str(caught.value) == (
            f"study tones in {storage_url(database)} is being searched by process {holder.pid} on "
            f"{socket.gethostname()}: wait for it, stop it, or give this study another name"
        )
    finally:
        holder.kill()
        holder.communicate()
    # Nobody waits for a dead one.
    assert run(study_file, tmp_path / "study", cluster=cluster(database)).state.trained == 4


_HOLD = """
import sys, time
from search.cluster.lease import leased
from search.cluster.publication import open_optuna_study
from search.cluster.storages import connect, storage_url

with connect(storage_url(sys.argv[1])) as storage:
    queue = open_optuna_study(storage, "tones/jobs", ("error",), metric_names=False)
    with leased(storage, queue._study_id, "it", beat_s=0.2):
        print("holds", flush=True)
        time.sleep(600)
"""


def test_a_holder_that_was_asleep_finds_out(database: str) -> None:
    url = storage_url(database)
    with connect(url) as storage:
        queue = open_optuna_study(storage, "tones/jobs", ("error",), metric_names=False)._study_id
        with leased(storage, queue, "study tones", beat_s=0.1) as check:
            check()
            (trial,) = storage.get_all_trials(queue)
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            time.sleep(1)
            with pytest.raises(InvalidStudy, match="study tones is coordinated by another process"):
                check()
        with leased(storage, queue, "study tones"):
            pass  # and a lease that was given back is free


def test_a_study_of_another_space_is_refused(
    published: Published, study_file: Path, tmp_path: Path
) -> None:
    database = published.database
    study_file.write_text(study_file.read_text().replace("kernel: 5", "kernel: 7", 1))
    with pytest.raises(InvalidStudy) as caught:
        run(study_file, tmp_path / "other", cluster=cluster(database))
    assert str(caught.value).startswith(
        f"{storage_url(database)} is a study with space.kernel.values [5], and the file now says"
    )
    assert not (tmp_path / "other").exists()
    # A view is not searched as if it were a study of its own.
    study_file.write_text(study_file.read_text().replace("kernel: 7", "kernel: 5", 1))
    with pytest.raises(InvalidInput, match="is the view of a study in postgresql://dse:\\*\\*\\*@"):
        run(study_file, published.folder)
    spec, text = read_study(study_file), study_file.read_text()
    with pytest.raises(InvalidInput, match="price a copy of it, or remove"):
        reprice_study(spec, text, published.folder)


def test_a_worker_of_another_version_or_with_other_data_is_refused(
    published: Published, tmp_path: Path, tones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = storage_url(published.database)
    options = WorkerOptions(name="tones", cache=published.file.parent / "cache", idle_s=0.0)
    with connect(url) as storage:
        with monkeypatch.context() as patch, pytest.raises(InvalidStudy) as caught:
            patch.setattr("search.cluster.worker.code_version", lambda: "0.0.9+00000000")
            work(storage, url, options, print)
        assert str(caught.value) == (
            f"the study in {url} is searched with ternary-dse {code_version()}, and this worker "
            "has 0.0.9+00000000: install the same version here"
        )
        other = tmp_path / "other"
        shutil.copytree(tones, other)
        sorted((other / "left").glob("*.wav"))[-1].unlink()
        with pytest.raises(InvalidStudy, match=r"searched on data \w{16} .* gives \w{16}: copy"):
            work(storage, url, dataclasses.replace(options, data_folder=other), print)
        with pytest.raises(InvalidStudy, match=r"does not hold the artifacts of study tones"):
            work(storage, url, dataclasses.replace(options, artifacts=str(tmp_path)), print)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://dse:{wrong}@127.0.0.1:{port}/postgres", "refuses us (connection failed"),
        ("postgresql://dse:{right}@127.0.0.1:{port}/nothing", 'database "nothing" does not exist'),
        ("postgresql://dse:{right}@127.0.0.1:1/postgres", "did not answer for"),
        ("grpc://127.0.0.1:1", "the storage grpc://127.0.0.1:1 did not answer for"),
        ("grpc://somewhere", "a gRPC storage is grpc://HOST:PORT"),
        ("oracle://dse:{right}@somewhere/db", "the storage is none of postgresql://"),
        ("postgresql://dse:{right}@127.0.0.1:port/db", "the storage is none of postgresql://"),
        ("mysql://dse:{right}@127.0.0.1/db", "pip install"),
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


@pytest.mark.soak
def test_commands_on_two_machines_and_no_word_of_the_password(
    study_file: Path, tmp_path: Path, database: str
) -> None:
    """`dse search` here, `dse worker` there, `dse pull` and `dse storage show` anywhere."""
    environment = os.environ | {"DSE_STORAGE": database}
    dse, output = [sys.executable, "-m", "dse_cli"], tmp_path / "output"
    output.mkdir()

    def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (output / name).open("wb") as file:
            return subprocess.Popen(
                [*dse, *arguments], stdout=file, stderr=file, env=environment, cwd=tmp_path
            )

    cache = str(study_file.parent / "cache")
    search = start(
        "search",
        "search",
        str(study_file),
        "--workers",
        "2",
        "--local-workers",
        "1",
        "--artifacts",
        str(tmp_path / "shared"),
        "--cache",
        cache,
    )
    worker = start("worker", "worker", "--study", "tones", "--cache", cache)
    seen = ""
    while search.poll() is None:
        for arguments in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen += arguments.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
        time.sleep(0.5)
    assert search.returncode == 0, (output / "search").read_text()
    assert worker.wait(60) == 0, (output / "worker").read_text()
    assert "trainings done" in (output / "worker").read_text()
    for name, arguments in (
        ("pull", ["pull", "--out", str(tmp_path / "view"), "--no-checkpoints"]),
        ("show", ["storage", "show"]),
    ):
        done = CliRunner().invoke(group, arguments, env={"DSE_STORAGE": database})
        assert done.exit_code == 0, done.output
        (output / name).write_text(done.output)
    assert "tones: " in (output / "show").read_text()
    assert not list((tmp_path / "view").rglob("*.pt"))
    assert (tmp_path / "view/results.jsonl").read_text() == (
        tmp_path / "studies/tones/results.jsonl"
    ).read_text()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode(errors="replace")
            assert all(secret not in content for secret in storage_url(database).secrets), path
    assert "dse_cli" in seen
    assert all(secret not in seen for secret in storage_url(database).secrets)
