"""What may happen to files, clocks and disks, and what a study makes of it."""

import itertools
import random
import sqlite3
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dse.errors import InvalidStudy
from search.state import Outcome
from tests.search.test_places import run
from tests.search.test_workers import Watcher, numbers


@pytest.mark.usefixtures("untrained")
def test_a_database_that_is_locked_for_a_while_is_waited_for(
    study_file: Path, tmp_path: Path, undisturbed_untrained: Outcome
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
    assert numbers(locked.rows) == numbers(undisturbed_untrained.rows)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_database_that_was_cut_short_is_rebuilt(
    study_file: Path, tmp_path: Path, share: float, undisturbed_untrained: Outcome
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
    assert numbers(resumed.rows) == numbers(undisturbed_untrained.rows)


@pytest.mark.usefixtures("untrained")
def test_a_log_that_a_removed_database_left_is_not_taken_for_the_new_one(
    study_file: Path, tmp_path: Path, undisturbed_untrained: Outcome
) -> None:
    """A kill leaves `study.db-wal`; whoever removes `study.db`, as the message says, leaves it."""
    text = study_file.read_text()
    study_file.write_text(text.replace("trainings: 4", "trainings: 2"))
    folder = tmp_path / "study"
    run(study_file, folder, workers=1)
    study_file.write_text(text)
    database, log = folder / "study.db", folder / "study.db-wal"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("UPDATE trials SET datetime_start = NULL")  # pages of one table alone
    connection.commit()
    left = log.read_bytes()  # SQLite tidies it up at its end; a kill does not
    connection.close()
    database.unlink()
    assert left
    log.write_bytes(left)
    resumed = run(study_file, folder, workers=1)
    assert numbers(resumed.rows) == numbers(undisturbed_untrained.rows)
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


@pytest.mark.usefixtures("untrained")
def test_a_clock_that_jumps_changes_no_row(
    study_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed_untrained: Outcome,
) -> None:
    rng, day_s = random.Random(1), 24 * 3600.0
    jumps = itertools.count()

    def clock() -> float:
        next(jumps)
        return 1.8e9 + rng.uniform(-1000, 1000) * day_s

    with monkeypatch.context() as patch:
        patch.setattr("time.time", clock)
        patch.setattr("dse.studies.rows.datetime", _Jumping(clock))
        jumped = run(study_file, tmp_path / "study", workers=1)
    assert next(jumps) > 10
    assert numbers(jumped.rows) == numbers(undisturbed_untrained.rows)


class _Jumping:
    """Stands for the class `datetime`."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def now(self, zone: Any) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


def test_a_design_without_a_number_has_failed_and_the_study_goes_on(
    study_file: Path, tmp_path: Path
) -> None:
    """NaN in a worker is the same row as NaN in this process, but for who has trained."""
    text = study_file.read_text().replace(
        "epochs: 2", "epochs: 2, optimiser: sgd, learning_rate: 1.0e+30"
    )
    study_file.write_text(text)
    outcome = run(study_file, tmp_path / "study")
    failed = [row for row in outcome.rows if row.status == "failed"]
    assert failed and outcome.ended_by.startswith("every training failed")
    assert all("loss" in row.reason and row.error is None for row in failed)
    assert numbers(outcome.rows) == numbers(run(study_file, tmp_path / "alone").rows)
