"""A study on many machines: PostgreSQL, workers in processes of their own, any machine's view."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.cluster.coordinator import Cluster
from search.cluster.storages import connect, storage_url
from search.cluster.view import pull
from search.state import Outcome
from search.study import run_study
from search.study_file import read_study
from tests.search.postgres import Postgres
from tests.search.test_workers import Watcher, numbers


@pytest.fixture
def database(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    return postgres.database(f"studies{abs(hash(request.node.name))}")


def cluster(url: str, **changes: Any) -> Cluster:
    quick = Cluster(
        url=storage_url(url), local_workers=2, poll_s=0.05, beat_s=0.2, lost_s=20.0,
        lease_beat_s=0.3, lease_s=3.0,
    )  # fmt: skip
    return dataclasses.replace(quick, **changes)


def run(study_file: Path, folder: Path, watcher: Any = None, **options: Any) -> Outcome:
    cache = study_file.parent / "cache"
    spec = read_study(study_file)
    return run_study(
        spec, study_file.read_text(), folder, watcher or Watcher(), cache=cache, workers=2,
        **options,
    )  # fmt: skip


def test_the_rows_are_those_of_one_machine(study_file: Path, tmp_path: Path, database: str) -> None:
    alone = run(study_file, tmp_path / "alone")
    watcher = Watcher()
    outcome = run(study_file, tmp_path / "here", watcher, cluster=cluster(database))
    assert numbers(outcome.rows) == numbers(alone.rows)
    assert watcher.epochs > 0
    # Another machine makes the same folder, to the byte.
    url = storage_url(database)
    with connect(url) as storage:
        pulled = pull(storage, url, "tones", tmp_path / "there")
    assert pulled.ended == outcome.ended_by
    for path in sorted((tmp_path / "here").rglob("[!.]*")):
        other = tmp_path / "there" / path.relative_to(tmp_path / "here")
        if path.is_file() and path.name != "study.id" and not path.name.startswith("frontier"):
            assert other.read_bytes() == path.read_bytes(), path
