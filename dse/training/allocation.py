"""Keep the memory that a training step frees: the next step takes as much again.

The C library gives large pieces back to the system when they are freed, and the system clears each
page that it hands out again: a tenth of a step in float32 (docs/evidence/performance.md).

Two limits of glibc decide. Pieces of at least M_MMAP_THRESHOLD bytes are mapped one by one and
unmapped when freed; smaller ones are cut from the heap, whose free top goes back when it is longer
than M_TRIM_THRESHOLD. Setting one of them also ends glibc's own adjustment of the first.

Source: mallopt(3).
"""

import ctypes
from functools import lru_cache

MOST_KEPT_BYTES = 2**30
"""Freed memory beyond this goes back, and so does a piece of this size."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc: malloc.h
_USUAL_BYTES = 2**17  # glibc's own first value of both


def keep_freed_memory() -> None:
    """Have this process keep what it frees, up to `MOST_KEPT_BYTES`; nothing without glibc.

    For the whole process, from now on: call `give_back_freed_memory` when the training is over.
    """
    library = _library()
    if library is not None:
        library.mallopt(_TRIM_THRESHOLD, MOST_KEPT_BYTES)
        library.mallopt(_MMAP_THRESHOLD, MOST_KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Give the system what this process kept, and from now on each large piece that it frees.

    Left alone, glibc keeps ever larger pieces, and what stands above them keeps their memory taken.
    """
    library = _library()
    if library is not None:
        library.mallopt(_TRIM_THRESHOLD, _USUAL_BYTES)
        library.mallopt(_MMAP_THRESHOLD, _USUAL_BYTES)
        library.malloc_trim(0)


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The C library, where it is glibc."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt, library.malloc_trim  # noqa: B018 - raises where there is none
    except (AttributeError, OSError, TypeError):
        return None
    return library
