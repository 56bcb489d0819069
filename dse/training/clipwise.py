"""Which clips a network got wrong, in few letters: what a paired comparison of two networks needs.

Of words a clip is right or wrong; of sentences an utterance has so many edits of so many characters
or words (`Mistakes`). Two kinds of text, one for each.

Two networks that were told the same clips differ more surely than two error counts say: clips that
both get wrong, or both right, say nothing about which is better. So it is kept clip by clip, in the
order of the split, as bits in base64: 11,005 test clips of Speech Commands are 1,836 letters.
"""

import base64
import binascii
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wrong = NDArray[np.bool_]
"""Shape (clips,): whether each was told wrongly."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """What networks of one design got wrong of each clip, or utterance, of a split.

    An error is all mistakes by all units: of words each clip is one unit, right or wrong.
    """

    counts: Counts
    """(seeds, clips): mistakes of each."""
    units: Counts
    """(clips,): how many there could be; an utterance may have more, where more is heard than was
    said."""

    @property
    def rates(self) -> NDArray[np.float64]:
        """Error of each seed, (seeds,)."""
        rates: NDArray[np.float64] = self.counts.sum(axis=1) / max(1, int(self.units.sum()))
        return rates


def of_words(wrong: Wrong) -> Mistakes:
    """Of clips that are right or wrong, shape (seeds, clips) or (clips,)."""
    counts = np.atleast_2d(wrong).astype(np.int64)
    return Mistakes(counts, np.ones(counts.shape[1], dtype=np.int64))


def pack_counts(counts: tuple[int, ...]) -> str:
    """Whole numbers of four bytes each, the lowest first, in base64."""
    return base64.b64encode(np.array(counts, dtype="<u4").tobytes()).decode("ascii")


def unpack_counts(text: str, clips: int) -> Counts:
    """The inverse of `pack_counts`.

    Raises:
        ValueError: it is no base64, or not of so many clips.
    """
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"mistakes of clips are no base64: {error}") from None
    if len(packed) != 4 * clips:
        raise ValueError(f"{len(packed)} bytes are not the mistakes of {clips} clips")
    return np.frombuffer(packed, dtype="<u4").astype(np.int64)


def pack(wrong: Wrong) -> str:
    """Bits in base64, the first clip in the highest bit of the first byte."""
    return base64.b64encode(np.packbits(wrong).tobytes()).decode("ascii")


def unpack(text: str, clips: int) -> Wrong:
    """The inverse of `pack`.

    Args:
        text: what `pack` gave.
        clips: of the split.

    Raises:
        ValueError: it is no base64, or not of so many clips.
    """
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except binascii.Error as error:
        raise ValueError(f"clips told wrongly are no base64: {error}") from None
    if len(packed) != -(-clips // 8):
        raise ValueError(f"{len(packed)} bytes are not the bits of {clips} clips")
    bits = np.unpackbits(packed)
    if bits[clips:].any():
        raise ValueError(f"bits beyond the last of {clips} clips")
    return bits[:clips].astype(np.bool_)
