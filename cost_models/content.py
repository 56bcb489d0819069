"""The content of a file from outside, within bounds, whatever lies at its name.

A name on the command line may lead to a folder, a pipe that nobody writes to, a device without an
end, or a file larger than the memory. So a file is opened without waiting, asked what it is while
it is open (a look before would be of what lay there then), and read up to one byte beyond what its
kind may have.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cost_models.errors import InvalidFile

_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe without a writer is opened at once, where systems have pipes; of bytes as they are."""
_KINDS = (
    (0, b"\x1f\x8b", "is packed by gzip: unpack it"),
    (0, b"PK\x03\x04", "is a zip archive: name the file in it that you mean, taken out"),
    (257, b"ustar", "is a tar archive: name the file in it that you mean, taken out"),
    (0, b"\xff\xfe", "is text in UTF-16: save it as UTF-8"),
    (0, b"\xfe\xff", "is text in UTF-16: save it as UTF-8"),
)
"""Place, what stands there, and what that means: content that comes where text is expected."""


@contextlib.contextmanager
def opened(path: Path | str, what: str) -> Iterator[int]:
    """A descriptor of a regular file, for reading; closed afterwards.

    Args:
        path: the file.
        what: a word for its kind with an article, as in `name a YAML file`.

    Raises:
        InvalidFile: it does not exist, is no regular file, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_WAIT)
    except IsADirectoryError:  # Windows has it as a lack of permission
        raise InvalidFile(f"{path} is a folder: name {what}") from None
    except FileNotFoundError:
        raise InvalidFile(f"{path} does not exist: check the name, or create the file") from None
    except PermissionError:
        raise InvalidFile(f"{path} may not be read: check its permissions") from None
    except ValueError:
        raise InvalidFile(f"{str(path)!r} is no name of a file") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise InvalidFile(f"{path} is {kind}: name {what}")
        yield descriptor
    finally:
        os.close(descriptor)


def read_content(path: Path | str, most_bytes: int, what: str) -> bytes:
    """All of a regular file.

    Args:
        path: the file.
        most_bytes: that its kind may have.
        what: as of `opened`.

    Raises:
        InvalidFile: as `opened`; or it is too large.
    """
    content = bytearray()
    with opened(path, what) as descriptor:
        # Asked first, as gigabytes need not be read to be refused; and counted, as a file that
        # grows, or one of /proc, has more than it says.
        large = os.fstat(descriptor).st_size > most_bytes
        try:
            # `read(most_bytes)` would take the memory before it knows how much there is.
            while not large and (part := os.read(descriptor, 1 << 20)):
                content += part
                large = len(content) > most_bytes
        except OSError as error:
            raise _unreadable(path, error) from None
    if large:
        raise InvalidFile(f"{path} is too large: {what} has at most {most_bytes:,} bytes")
    return bytes(content)


def read_text(path: Path | str, most_bytes: int, what: str) -> str:
    """A regular file of UTF-8, without the mark of three bytes that Windows' editors begin with.

    Raises:
        InvalidFile: as `read_content`; or it is no such text.
    """
    content = read_content(path, most_bytes, what)
    for place, mark, meaning in _KINDS:
        if content[place:].startswith(mark):
            raise InvalidFile(f"{path} {meaning}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None


def _unreadable(path: Path | str, error: OSError) -> InvalidFile:
    reason = (error.strerror or "the system does not say why").lower()
    return InvalidFile(f"{path} cannot be read: {reason}")
