"""What a transcription task is, and how its utterances lie in their arrays."""

import numpy as np
import pytest

from dse.errors import InvalidInput
from dse.speech.sentences import SentenceSplit
from dse.speech.transcription import ENGLISH, Transcription


def test_english_has_the_29_outputs_of_the_published_networks():
    assert len(ENGLISH) == 28 and ENGLISH[0] == " " and ENGLISH[-1] == "'"
    assert Transcription().usual_classes == 29


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"characters": ()}, "at least one character"),
        ({"characters": ("a", "bc")}, "single characters"),
        ({"characters": ("a", "a")}, "distinct"),
        ({"longest_s": 0.1}, "above shortest_s"),
    ],
)
def test_refuses_what_is_no_vocabulary(wrong, says):
    with pytest.raises(InvalidInput, match=says):
        Transcription(**wrong)


def test_utterances_lie_end_to_end_with_their_variants():
    split = SentenceSplit(
        frames=np.arange(10, dtype=np.float16)[:, None],
        starts=np.array([0, 2, 5, 6, 10]),
        variants=2,
        labels=np.array([7, 8, 9], dtype=np.uint8),
        label_starts=np.array([0, 1, 3]),
        names=("a.flac", "b.flac"),
    )
    assert len(split) == 2
    assert split.utterance(0, 1)[:, 0].tolist() == [2, 3, 4]
    assert split.utterance(1)[:, 0].tolist() == [5]
    assert split.transcript(1).tolist() == [8, 9]
