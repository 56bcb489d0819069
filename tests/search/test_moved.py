"""A study's folder that is moved, renamed or removed while a search runs in it.

The search stops in one sentence and writes nothing where the folder was; at its new place the study
goes on to the same rows as one that nobody disturbed.
"""

import re
import shutil
from pathlib import Path

import pytest

from dse.design.published import published
from dse.errors import InvalidStudy
from dse.studies.folder import DESIGNS
from dse.studies.reading import read_study
from search.storage import FolderGone, locked
from search.study import load_data, make_training
from tests.search.conftest import Undisturbed
from tests.search.test_workers import Watcher, numbers, run


@pytest.mark.parametrize("workers", [1, 2])
def test_a_moved_study_stops_and_goes_on_at_its_new_place(
    workers: int, study_file: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    old, new = tmp_path / "old", tmp_path / "it's new"
    watcher = Watcher({3: lambda: None if new.exists() else old.rename(new) and None})
    with pytest.raises(InvalidStudy) as caught:
        run(study_file, old, watcher, workers=workers)
    assert str(caught.value) == (
        f"{old} was moved while it was searched, and is now {new}: what is evaluated is there, "
        f"""nothing is lost; go on with: dse search '{tmp_path}/it'"'"'s new'"""
    )
    assert not old.exists()
    outcome = run(study_file, new, Watcher(), workers=workers)
    assert numbers(outcome.rows) == numbers(undisturbed(workers).rows)


def test_a_training_makes_no_second_folder_where_its_own_was(
    study_file: Path, tmp_path: Path
) -> None:
    """Whoever trains, in whatever process, may be amid an epoch when the folder goes."""
    spec = read_study(study_file)
    features = load_data(spec, study_file.parent / "cache")
    training = make_training(spec, features, tmp_path / "old" / DESIGNS)
    point = published("matchboxnet-1x1x8")
    new = tmp_path / "new"
    with pytest.raises(FileNotFoundError):
        training.train(point, lambda _: (tmp_path / "old").rename(new) and None)
    assert not (tmp_path / "old").exists()
    assert [path.name for path in (new / DESIGNS).iterdir()] == [point.key]
    with pytest.raises(FileNotFoundError):  # nor one that begins then
        training.train(point)
    assert not (tmp_path / "old").exists()


def test_another_folder_at_the_old_place_is_not_written_to(
    study_file: Path, tmp_path: Path
) -> None:
    folder, other = tmp_path / "study", tmp_path / "other"

    def swap() -> None:
        folder.rename(tmp_path / "away")
        folder.mkdir()
        (folder / ".lock").write_text("2 elsewhere")

    with pytest.raises(FolderGone, match="was moved while it was searched"):
        run(study_file, folder, Watcher({2: swap}), workers=1)
    assert [path.name for path in folder.iterdir()] == [".lock"]
    assert not other.exists()


def test_a_removed_study_is_said_to_be_removed(study_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with pytest.raises(FolderGone, match="was removed while it was searched"):
        run(study_file, folder, Watcher({2: lambda: shutil.rmtree(folder)}), workers=1)
    assert not folder.exists()


def test_an_error_of_its_own_stays_what_it_is_where_the_folder_is_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "here"):
        1 / 0  # noqa: B018
    with (
        pytest.raises(FolderGone, match=re.escape(str(tmp_path / "there"))),
        locked(tmp_path / "here"),
    ):
        (tmp_path / "here").rename(tmp_path / "there")
        raise OSError("no such table")
