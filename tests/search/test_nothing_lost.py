"""What may happen to files, clocks and disks, and what a study makes of it."""

import itertools
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from dse.errors import InvalidStudy
from search.cluster.storages import connect, storage_url
from search.cluster.view import pull
from tests.search.conftest import Undisturbed
from tests.search.postgres import Postgres
from tests.search.test_cluster import cluster, run
from tests.search.test_workers import Watcher, numbers


def test_a_database_that_is_locked_for_a_while_is_waited_for(
    study_file: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    folder = tmp_path / "study"
    held: list[float] = []

    def hold() -> None:
        connection = sqlite3.connect(folder / "study.db", check_same_thread=False)
        connection.execute("BEGIN EXCLUSIVE")

        def release() -> None:
            connection.rollback()
            connection.close()
            held.append(time.monotonic())

        threading.Timer(1.5, release).start()

    locked = run(study_file, folder, Watcher({2: hold, 6: hold}), workers=1)
    assert len(held) >= 1
    assert numbers(locked.rows) == numbers(undisturbed(1).rows)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_database_that_was_cut_short_is_rebuilt(
    study_file: Path, tmp_path: Path, share: float, undisturbed: Undisturbed
) -> None:
    text = study_file.read_text()
    study_file.write_text(text.replace("trainings: 4", "trainings: 2"))
    folder = tmp_path / "study"
    run(study_file, folder, workers=1)
    study_file.write_text(text)
    database = folder / "study.db"
    left = database.read_bytes()[: int(share * database.stat().st_size)]
    for path in folder.glob("study.db*"):
        path.unlink()
    database.write_bytes(left)
    if share:
        with pytest.raises(InvalidStudy, match=r"study\.db cannot be opened .* remove it and keep"):
            run(study_file, folder, workers=1)
        database.unlink()
    resumed = run(study_file, folder, workers=1)
    assert numbers(resumed.rows) == numbers(undisturbed(1).rows)


def test_a_journal_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    """The last line is of a process that was killed, or of a disk that was full."""
    path = tmp_path / "journal.log"
    with connect(storage_url(f"journal:///{path}")) as storage:
        study_id = storage.create_new_study([1], "tones")  # type: ignore[list-item]
        for _ in range(3):
            storage.create_new_trial(study_id)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with connect(storage_url(f"journal:///{path}")) as storage:
        assert storage.get_n_trials(study_id) == 2
        storage.create_new_trial(study_id)
    with connect(storage_url(f"journal:///{path}")) as storage:
        assert storage.get_n_trials(study_id) == 3
        assert storage.get_trial(2).state == TrialState.RUNNING


def test_a_clock_that_jumps_changes_no_row(
    study_file: Path,
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: Undisturbed,
) -> None:
    rng, day_s = random.Random(1), 24 * 3600.0
    jumps = itertools.count()

    def clock() -> float:
        next(jumps)
        return 1.8e9 + rng.uniform(-1000, 1000) * day_s

    with monkeypatch.context() as patch:
        patch.setattr("time.time", clock)
        patch.setattr("dse.studies.rows.datetime", _Jumping(clock))
        jumped = run(study_file, tmp_path / "study", cluster=cluster(database))
    assert next(jumps) > 10
    assert numbers(jumped.rows) == numbers(undisturbed(2).rows)


class _Jumping:
    """Stands for the class `datetime`."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def now(self, zone: Any) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


@pytest.mark.soak
def test_a_worker_whose_disk_is_full_leaves_its_design_to_another(
    study_file: Path, tmp_path: Path, postgres: Postgres, undisturbed: Undisturbed
) -> None:
    """No file of that worker can grow beyond 4 KiB; it says so, and the other one trains all."""
    database, cache = postgres.database("full"), str(study_file.parent / "cache")
    full = subprocess.Popen(
        [sys.executable, "-c", _FULL, "worker", "--study", "tones", "--cache", cache],
        env=os.environ | {"DSE_STORAGE": database},
        stderr=subprocess.PIPE,
        text=True,
        stdout=subprocess.DEVNULL,
    )
    url, folder = storage_url(database), tmp_path / "study"
    outcome: list[Any] = []
    search = threading.Thread(
        target=lambda: outcome.append(
            run(study_file, folder, cluster=cluster(database, local_workers=0))
        )
    )
    search.start()
    _, said = full.communicate(timeout=200)
    assert full.returncode == 2
    assert said.count("\n") == 1 and "the disk is full; free some space and run again" in said
    good = subprocess.run(
        [sys.executable, "-m", "dse_cli", "worker", "--study", "tones", "--cache", cache],
        env=os.environ | {"DSE_STORAGE": database},
        capture_output=True,
        text=True,
        timeout=200,
    )
    search.join(timeout=200)
    assert good.returncode == 0, good.stderr
    assert numbers(outcome[0].rows) == numbers(undisturbed(2).rows)
    with connect(url) as storage:
        pull(storage, url, "tones", tmp_path / "view")


_FULL = """
import resource, sys
from dse_cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
main(sys.argv[1:])
"""


def test_a_design_without_a_number_has_failed_and_the_study_goes_on(
    study_file: Path, tmp_path: Path, database: str
) -> None:
    """NaN in a worker elsewhere is the same row as NaN here."""
    text = study_file.read_text().replace(
        "epochs: 2", "epochs: 2, optimiser: sgd, learning_rate: 1.0e+30"
    )
    study_file.write_text(text + "candidates: 6\n")
    outcome = run(study_file, tmp_path / "study", cluster=cluster(database))
    failed = [row for row in outcome.rows if row.status == "failed"]
    assert failed and outcome.ended_by == "6 candidates are priced"
    assert all("loss" in row.reason and row.error is None for row in failed)
    assert numbers(outcome.rows) == numbers(run(study_file, tmp_path / "alone").rows)
