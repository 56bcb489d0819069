"""The study of `study_file` when nothing disturbs it: searched once, and not by each test."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from search.state import Outcome
from tests.conftest import write_study_file
from tests.search.test_workers import Watcher, run

Undisturbed = Callable[[int], Outcome]


@pytest.fixture(scope="session")
def undisturbed(
    tones: Path, tones_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """What the study comes to with so many workers, whose number changes what is proposed."""

    @functools.cache
    def searched(workers: int) -> Outcome:
        folder = tmp_path_factory.mktemp("undisturbed")
        file = write_study_file(folder, tones, tones_cache)
        return run(file, folder / "study", Watcher(), workers=workers)

    return searched
