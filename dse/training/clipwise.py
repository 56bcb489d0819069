"""Which clips a network got wrong, in few letters: what a paired comparison of two networks needs.

Two networks that were told the same clips differ more surely than two error counts say: clips that
both get wrong, or both right, say nothing about which is better. So it is kept clip by clip, in the
order of the split, as bits in base64: 11,005 test clips of Speech Commands are 1,836 letters.
"""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

Wrong = NDArray[np.bool_]
"""Shape (clips,): whether each was told wrongly."""


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
