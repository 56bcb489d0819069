import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.training.clipwise import pack, unpack


def test_the_first_clip_is_the_highest_bit() -> None:
    """Bits 10000000 01 are the bytes 0x80 0x40: gEA= in base64."""
    wrong = np.zeros(10, dtype=np.bool_)
    wrong[[0, 9]] = True
    assert pack(wrong) == "gEA="
    assert unpack("gEA=", 10).tolist() == wrong.tolist()


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_what_is_packed_is_unpacked(clips: list[bool]) -> None:
    assert unpack(pack(np.array(clips)), len(clips)).tolist() == clips


@pytest.mark.parametrize("text", ["gEA", "g*A=", "gA==", "gGA=", "", "gEAA"])
def test_what_is_not_of_so_many_clips_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|bytes|beyond"):
        unpack(text, 10)
