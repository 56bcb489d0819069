"""Greedy and beam search against every path there is, on networks of a few frames."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.errors import InvalidInput
from dse.speech.transcripts import decode
from dse.training.decoding import Beam, greedy, merge

CHARACTERS = ("a", "b", " ")
BLANK = 3

ARPA = r"""\data\
ngram 1=6
ngram 2=1

\1-grams:
-9	<unk>
-99	<s>	0
-0.5	</s>
-1.0	a	-0.3
-0.2	b	0
-0.7	|	0

\2-grams:
-0.1	a b

\end\
"""
"""A model of characters: p(b) is 10^-0.2, p(b after a) 10^-0.1, and what follows a in no other pair
is less likely by 10^-0.3."""


def text_of(path: tuple[int, ...]) -> str:
    """By the definition: repeats are groups, and blanks say nothing."""
    return "".join(CHARACTERS[label] for label, _ in itertools.groupby(path) if label != BLANK)


def every_text(logarithms: np.ndarray) -> dict[str, float]:
    """ln p of each text: the sum over all its paths."""
    found: dict[str, list[float]] = {}
    for path in itertools.product(range(BLANK + 1), repeat=len(logarithms)):
        told = sum(logarithms[frame, label] for frame, label in enumerate(path))
        found.setdefault(text_of(path), []).append(told)
    return {text: float(np.logaddexp.reduce(each)) for text, each in found.items()}


def scores_of(seed: int, frames: int = 5) -> torch.Tensor:
    """Logits of one utterance, (outputs, frames)."""
    return torch.randn(BLANK + 1, frames, generator=torch.Generator().manual_seed(seed))


def logarithms_of(scores: torch.Tensor) -> np.ndarray:
    return torch.log_softmax(scores.double(), dim=0).t().numpy()


def test_repeats_are_merged_before_blanks_are_dropped():
    # a a _ a b b _  ->  a _ a b _  ->  a a b
    path = np.array([0, 0, 3, 0, 1, 1, 3])
    assert merge(path, BLANK).tolist() == [0, 0, 1]
    assert merge(np.array([3, 3]), BLANK).tolist() == merge(np.array([], int), BLANK).tolist() == []
    assert decode(merge(path, BLANK), CHARACTERS) == "aab"


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, BLANK), max_size=12))
def test_merging_is_that_of_the_definition(path):
    labels = merge(np.array(path, dtype=np.int64), BLANK)
    assert decode(labels, CHARACTERS) == text_of(tuple(path))


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_text_of_the_likeliest_path(seed):
    scores = scores_of(seed)
    logarithms = logarithms_of(scores)
    paths = itertools.product(range(BLANK + 1), repeat=5)
    best = max(paths, key=lambda path: sum(logarithms[t, label] for t, label in enumerate(path)))
    assert greedy(scores[None], torch.tensor([5]), CHARACTERS) == [text_of(best)]


def test_greedy_reads_real_frames_only():
    scores = torch.full((2, BLANK + 1, 4), -9.0)
    scores[:, 0, :2], scores[:, 1, 2:] = 0.0, 0.0
    assert greedy(scores, torch.tensor([4, 2]), CHARACTERS) == ["ab", "a"]


def test_a_wide_beam_finds_the_likeliest_text_of_all():
    differ = 0
    beam = Beam(CHARACTERS, 1000)
    for seed in range(30):
        scores = scores_of(seed)
        told = every_text(logarithms_of(scores))
        best = max(told, key=lambda text: told[text])
        assert beam.text(scores) == best
        differ += greedy(scores[None], torch.tensor([5]), CHARACTERS) != [best]
    assert differ > 3  # the likeliest path has not the likeliest text: the beam is worth something


def test_an_n_gram_model_weighs_in(tmp_path):
    (tmp_path / "lm.arpa").write_text(ARPA)
    one = {"a": -1.0, "b": -0.2, " ": -0.7}

    def lm(text: str) -> float:
        """log10 of a text, by hand: pairs that are known, else the backed-off single."""
        total, before = 0.0, "<s>"
        for character in text:
            known = before == "a" and character == "b"
            total += -0.1 if known else one[character] + (-0.3 if before == "a" else 0.0)
            before = character
        return total - 0.5 + (-0.3 if before == "a" else 0.0)

    changed = 0
    for weight in (0.5, 3.0):
        beam = Beam(CHARACTERS, 1000, tmp_path / "lm.arpa", weight)
        for seed in range(15):
            scores = scores_of(seed)
            told = every_text(logarithms_of(scores))
            best = max(told, key=lambda text: told[text] + weight * lm(text))
            assert beam.text(scores) == best
            changed += best != max(told, key=lambda text: told[text])
    assert changed > 3


def test_a_beam_of_one_is_still_a_text():
    assert set(Beam(CHARACTERS, 1).text(scores_of(1, frames=40))) <= set(CHARACTERS)


def test_certain_frames_are_written_down_by_all():
    # l l _ l: two l, as a blank stands between.
    scores = torch.full((BLANK + 1, 4), -math.inf)
    for frame, label in enumerate((1, 1, BLANK, 1)):
        scores[label, frame] = 0.0
    scores = scores.clamp_min(-50)
    assert Beam(CHARACTERS, 5).text(scores) == "bb"
    assert greedy(scores[None], torch.tensor([4]), CHARACTERS) == ["bb"]


def test_what_is_no_model_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(InvalidInput, match=r"nowhere\.arpa is no file: --lm takes an n-gram model"):
        Beam(CHARACTERS, 5, tmp_path / "nowhere.arpa")
    (tmp_path / "text.arpa").write_text("hello\n")
    with pytest.raises(InvalidInput, match=r"text\.arpa is no n-gram model that KenLM reads"):
        Beam(CHARACTERS, 5, tmp_path / "text.arpa")
