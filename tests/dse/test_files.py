import errno
import os
from pathlib import Path

import pytest

from dse.errors import InvalidInput
from dse.files import cache_folder, check_links, inside, replacing, write_text, write_together


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


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "/etc",
        "a\\b",
        "a\x00b",
        "a\nb",
        "\x1b[2J",
        "\ud800",
        "\u00e9" * 128,
    ],
)
def test_a_name_that_is_no_single_step_makes_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a file here: a name is one") as caught:
        inside(tmp_path, "designs", name)
    assert "\x1b" not in str(caught.value)
    assert inside(tmp_path, "designs", ".x\u00e9 1") == tmp_path / "designs" / ".x\u00e9 1"


def test_a_link_may_stay_in_a_folder_and_not_leave_it(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "root-of-another"
    (root / "designs").mkdir(parents=True)
    out.mkdir()
    (tmp_path / "linked").symlink_to(root)
    (root / "near").symlink_to("designs")
    check_links(root)
    assert inside(root, "near", "x") == root / "near" / "x"
    assert inside(tmp_path / "linked", "x") == tmp_path / "linked" / "x"
    for name, target in (("far", out), ("log", out / "not there"), ("up", Path("../.."))):
        link = root / "designs" / name
        link.symlink_to(target)
        with pytest.raises(InvalidInput, match=r"by a link, to .*: nothing"):
            inside(root, "designs", name, "x")
        with pytest.raises(InvalidInput, match=f"designs/{name} leads out of"):
            check_links(root)
        link.unlink()


def test_files_that_belong_together_are_all_there_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at each of the six times that something reaches it, in old and new sets."""
    old, new = {"a": "old", "b/c": b"old"}, {"a": "new", "b/c": b"new", "d": "new"}
    folder = tmp_path / "out"

    def there() -> dict[str, str]:
        found = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path)): path.read_text() for path in found}

    for before in ({}, {"out/a": "old", "out/b/c": "old"}):
        if before:
            write_together(folder, old)
        for full_at in range(3):
            left = [full_at]

            def fsync(handle: int, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as caught:
                patch.setattr(os, "fsync", fsync)
                write_together(folder, new)
            assert Path(caught.value.filename).name == ("a", "c", "d")[full_at]
            assert there() == before
        assert folder.exists() == bool(before)
    write_together(folder, new)
    assert there() == {"out/a": "new", "out/b/c": "new", "out/d": "new"}
    assert oct(folder.stat().st_mode) == oct((folder / "b").stat().st_mode)
