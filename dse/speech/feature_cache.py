"""A folder of features that is there whole or not at all, whoever computes it and is killed.

A cache is `contents.json` and one .npy file a split. Features of words (`dse.speech.features`) and
of sentences (`dse.speech.sentence_features`) differ in what the arrays are; here is what they have
in common:

    computing      in a folder with a leading dot, one for each process, removed at the end
    appearing      by one rename, which the first to finish wins; the others throw theirs away
    damage         CRC-32 of contents.json (its first 8 letters) and of the content of each array
    leftovers      of killed processes, a day old, are removed by the next one that computes

Arrays grow at their end (`GrowingArray`), so that no more than a few recordings are in memory.
"""

import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dse.errors import InvalidData

Features = TypeVar("Features")

CONTENTS = "contents.json"

_ABANDONED_S = 24 * 3600.0


def load_or_compute(
    place: Path, read: Callable[[Path], Features | None], compute: Callable[[Path], None]
) -> Features:
    """The features of the cache in `place`; computed and put there where there is none.

    Several processes may ask for the same one at once: each computes in a folder of its own, the
    first to finish puts it in place.

    Args:
        place: the folder of the cache; the folder around it is made.
        read: the features of such a folder, or None where they are not there or damaged.
        compute: fills an empty folder.

    Raises:
        OSError: the cache cannot be written.
    """
    found = read(place)
    if found is not None:
        return found
    root = place.parent
    root.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(root)
    # A leading dot: not a cache yet. `mkdtemp` gives each process a folder of its own.
    temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=root))
    try:
        compute(temporary)
        return _put_in_place(temporary, place, read)
    except OSError as error:
        if error.filename is None:
            error.filename = str(root)  # a failed write() does not know its file
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(
    temporary: Path, place: Path, read: Callable[[Path], Features | None]
) -> Features:
    """Rename `temporary` to `place`, or take the sound cache that stands there already.

    Without a lock: a rename within one file system happens at once or not at all, and fails where
    a folder with files stands. So of several processes one wins, and the others throw theirs away.
    """
    for _ in range(10):
        try:
            temporary.rename(place)
        except OSError:
            if not place.exists():
                raise
            found = read(place)
            if found is not None:
                return found
            # Damaged: moved out of the way in one step, so that nobody sees half of it.
            aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
            try:
                place.rename(aside / "damaged")
            except FileNotFoundError:
                pass  # another process was faster
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        else:
            found = read(place)
            if found is not None:
                return found
    raise InvalidData(f"the feature cache {place} changes while it is read: remove it and retry")


def _remove_abandoned(root: Path) -> None:
    """Remove what killed processes left behind more than a day ago."""
    for child in root.glob(".*"):
        try:
            if child.is_dir() and time.time() - child.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(child, ignore_errors=True)
        except OSError:
            continue


def write_contents(folder: Path, contents: Mapping[str, Any]) -> None:
    """Write what a cache holds beside its arrays, plain data, with its CRC-32 before it."""
    text = json.dumps(contents).encode()
    with (folder / CONTENTS).open("wb") as file:
        file.write(f"{zlib.crc32(text):08x}".encode() + text)
        file.flush()
        os.fsync(file.fileno())


def read_contents(folder: Path) -> dict[str, Any]:
    """What `write_contents` wrote.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    text = (folder / CONTENTS).read_bytes()
    contents: dict[str, Any] = json.loads(text[8:])
    if int(text[:8], 16) != zlib.crc32(text[8:]):
        raise ValueError(f"{folder / CONTENTS} is damaged")
    return contents


def crc32(array: NDArray[Any]) -> int:
    """Of the whole content of an array, in the order of its file.

    Every byte that is trained on: a bad sector, a full disk's zeros or a flipped bit in the middle
    would train other networks without a word, and their rows would carry the same data key. It
    reads the whole map, which a training reads a hundred times over; the cost is in
    docs/evidence/performance.md. A map in column order has another layout than its head says.
    """
    if not array.flags.c_contiguous:
        return -1
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def write_array(path: Path, array: NDArray[Any]) -> int:
    """Write a small array as an .npy file; returns the CRC-32 of its content."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return crc32(np.ascontiguousarray(array))


def read_array(path: Path, expected_crc32: int) -> NDArray[Any]:
    """The array that `write_array` wrote, read-only.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
    """
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    if crc32(array) != expected_crc32:
        raise ValueError(f"{path} is damaged")
    array.flags.writeable = False
    return array


class GrowingArray:
    """Rows of float16 on their way to the disk, as an .npy file.

    The head is written twice, as the number of rows is known at the end. Plain writes rather than a
    memory map: on a full disk they raise OSError, where a map kills the process with SIGBUS.

        with GrowingArray(folder / "training.npy", (64,)) as file:
            file.add(frames)  # (any number, 64)
    """

    def __init__(self, path: Path, row: tuple[int, ...]) -> None:
        self.path = path
        self.row = row
        self.rows = 0
        self.crc32 = 0

    def __enter__(self) -> "GrowingArray":
        self.file = self.path.open("wb")
        self._write_head()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.file.seek(0)
                self._write_head()
                self.file.flush()
                os.fsync(self.file.fileno())
        finally:
            self.file.close()

    def _write_head(self) -> None:
        """Its length does not depend on the number of rows."""
        shape = (self.rows, *self.row)
        np.lib.format.write_array_header_1_0(
            self.file, {"descr": "<f2", "fortran_order": False, "shape": shape}
        )

    def add(self, rows: NDArray[np.float32] | NDArray[np.float16]) -> None:
        """Append (any number of rows, *row), rounded to float16."""
        if rows.shape[1:] != self.row:
            raise ValueError(f"rows of {self.row} are wanted, not of {rows.shape[1:]}")
        content = rows.astype("<f2").tobytes()
        self.file.write(content)
        self.crc32 = zlib.crc32(content, self.crc32)
        self.rows += len(rows)
