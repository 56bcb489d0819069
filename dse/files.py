"""Files that are never half-written, and never outside their folder.

The recipe: write beside the file, flush to the disk, rename over it. A rename within one folder
happens at once or not at all, so a reader, or the next start after a crash, sees the old content or
the new, never a part. The temporary file must be in the same folder: across file systems a rename
would be a copy. And it must be on the disk first: some file systems keep the order of renames, but
not that of data, and would leave an empty file after a power cut.

A path is made of a name that may be another's (of a row, a record, a shared database, a request) by
`inside` alone.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dse.errors import InvalidInput, printable, short, steers

LONGEST_NAME = 255
"""Bytes of a file's name, as file systems of Linux and macOS have it."""


@contextmanager
def replacing(path: Path, *, parents: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path` in one step.

    A full disk, an error or `kill -9` in the middle leaves the old file as it was.

        with replacing(folder / "model.pt") as temporary:
            torch.save(state, temporary)

    The temporary name begins with a dot and has the ending of `path`, for writers that go by it;
    `kill -9` leaves it lying. Folders that are missing are made, unless `parents` is false: one
    that was there may have been moved away, and a second one in its place would split what belongs
    together. Two writers at once do not mix: the last to finish wins.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
    except OSError as error:
        error.filename = str(path)  # the person knows nothing of the temporary one
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp gives 0600; the file gets what a plain open() would have given it. The umask can
        # be read by setting it only, for the whole process: for an instant there is none.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)  # a failed write() does not know its file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, parents: bool = True) -> None:
    """Write UTF-8 text in one step; the old content stays until the new is complete.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path, parents=parents) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_together(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files that belong together: all of them, or none.

    Each is complete on the disk, beside its place, before the first is moved there: a full disk or
    a kill meanwhile leaves the old set as it was. A folder that is not there yet appears with all
    of them in one step; in one that is, only a kill between two moves, microseconds apart, would
    leave files of two sets, each of them whole.

    Args:
        folder: made where there is none.
        files: path below the folder -> content; text is written as UTF-8.

    Raises:
        OSError: as `replacing`.
    """
    if folder.exists():
        _replace_together(folder, files)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True
    ) as place:
        beside = Path(place) / folder.name  # with the permissions of a plain folder
        beside.mkdir()
        _replace_together(beside, files)
        beside.rename(folder)


def _replace_together(folder: Path, files: Mapping[str, str | bytes]) -> None:
    with ExitStack() as moves:  # at its end
        for name, content in files.items():
            temporary = moves.enter_context(replacing(folder / name))
            plain = content.encode() if isinstance(content, str) else content
            try:
                temporary.write_bytes(plain)
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            except OSError as error:
                error.filename = str(folder / name)
                raise


def append_line(path: Path, text: str) -> None:
    """Add a line to a file; when this returns, it is on the disk. There is no lock here.

    Raises:
        OSError: the disk is full or gone; the file is as it was before.
    """
    line = f"{text}\n".encode()
    # Unbuffered: a buffer would be written again when the file is closed after an error.
    with path.open("ab", buffering=0) as file:
        start = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            # A full disk must not leave half a line that the next one would be glued to.
            file.truncate(start)
            raise


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a file that is appended to, without their ends; none where there is no file.

    What follows the last newline is no line: empty, or one that is just being written, or one that
    a crash cut short.
    """
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def drop_half_line(path: Path) -> None:
    """Drop what stands after the last newline, for whoever is about to append to the file.

    A crash leaves half a line, which the next one would be glued to. Readers need not call this.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if complete != content:
        with replacing(path) as temporary:
            temporary.write_bytes(complete)


def inside(root: Path, *names: str) -> Path:
    """A path below a folder, of names that may be another's.

    Each name is one step down, and no link on the way leads out of the folder, which may be a link
    itself. So what comes with a copied study can neither be read nor written through elsewhere. It
    is no guard against somebody who may write into the folder meanwhile: such a one needs none.

    Args:
        root: that nothing leaves.
        names: of folders, and of a file at last; nothing of them need exist.

    Raises:
        InvalidInput: a name is none of a file, or a link leads out.
    """
    for name in names:
        check_name(name)
    path = root.joinpath(*names)
    _check_target(root, path)
    return path


def check_name(name: str) -> None:
    """Refuse what is no name of one file or folder: `..`, `a/b`, letters that steer a terminal.

    Raises:
        InvalidInput: it is none.
    """
    one_step = name not in ("", ".", "..") and not steers(name) and not set(name) & set("/\\\t\n")
    if not one_step or len(name.encode()) > LONGEST_NAME:
        raise InvalidInput(
            f"{short(name)} cannot name a file here: a name is one step, without '/' or '..', "
            f"of at most {LONGEST_NAME} bytes"
        )


def check_links(root: Path) -> None:
    """Refuse a folder in which a link leads out, for whoever is about to write into it.

    Raises:
        InvalidInput: names the first such link.
    """
    for folder, folders, files in os.walk(root):  # follows no links
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                _check_target(root, path)


def check_kinds(folder: Path) -> None:
    """Refuse a folder that has more in it than files and folders, before anything in it is opened.

    A pipe that nobody writes to would be waited for, and a link to a device never ends.

    Raises:
        InvalidInput: names the first such entry.
        OSError: there is no such folder, or it may not be read.
    """
    for name in sorted(os.listdir(folder)):
        try:
            mode = os.stat(folder / name).st_mode
        except OSError:  # it went meanwhile, or is a link to nothing: whoever opens it says so
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InvalidInput(
                f"{printable(str(folder / name))} is neither a file nor a folder: remove it"
            )


def _check_target(root: Path, path: Path) -> None:
    home, target = os.path.realpath(root), os.path.realpath(path)
    if target != home and not target.startswith(os.path.join(home, "")):
        raise InvalidInput(
            f"{printable(str(path))} leads out of {printable(str(root))} by a link, to "
            f"{printable(target)}: nothing is read or written there; remove the link, or let the "
            "whole folder lie elsewhere"
        )


def cache_folder() -> Path:
    """Folder for what can be computed again: `$XDG_CACHE_HOME/ternary-dse`, or `~/.cache/...`.

    It may be removed at any time. It is not made here: whoever writes makes it.
    """
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "ternary-dse"
