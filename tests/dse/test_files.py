import os
from pathlib import Path

import pytest

from dse.files import cache_folder, replacing, write_text


def test_the_old_content_stays_until_the_new_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("killed here")
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]  # nothing left over


def test_a_file_gets_the_permissions_of_a_plain_one(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "")
    (tmp_path / "plain").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_error_without_a_file_name_gets_one(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, replacing(tmp_path / "file"):
        raise OSError(28, os.strerror(28))
    assert caught.value.filename == str(tmp_path / "file")


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    name = "n" * 250  # with what the temporary name adds, more than the 255 that a name may have
    with pytest.raises(OSError) as caught, replacing(tmp_path / name):
        pass
    assert caught.value.filename == str(tmp_path / name)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert cache_folder() == Path("somewhere") / "ternary-dse"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "ternary-dse"
