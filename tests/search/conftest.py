"""The study of `study_file` when nothing disturbs it: searched once, and not by each test."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.state import Outcome
from tests.conftest import write_study_file
from tests.search.test_workers import Watcher, run
from tests.search.told import crew

Undisturbed = Callable[[int], Outcome]


@pytest.fixture(scope="session", autouse=True)
def migrations() -> Iterator[None]:
    """Optuna reads its scripts of migrations once, and not four times with each new database.

    They are ten modules, compiled anew each time: a third of what a study without trainings takes.
    """
    from alembic.script import ScriptDirectory

    whole, kept = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Any) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in kept:
            kept[place] = whole(config)
        return kept[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies of this test train nothing (`tests.search.told`): a second less for each."""
    monkeypatch.setattr("search.study.open_trainers", crew())


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


@pytest.fixture(scope="session")
def undisturbed_untrained(
    tones: Path, tones_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    """What the study comes to with one worker where nothing is trained (`untrained`)."""
    folder = tmp_path_factory.mktemp("untrained")
    file = write_study_file(folder, tones, tones_cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.study.open_trainers", crew())
        return run(file, folder / "study", Watcher(), workers=1)
