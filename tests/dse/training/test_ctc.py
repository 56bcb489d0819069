"""CTC against the sum over every path, and how many frames a text needs."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from dse.design.point import Block, DesignPoint
from dse.speech.transcripts import frames_needed
from dse.training.batches import Batch
from dse.training.ctc import can_spell, ctc_loss
from dse.training.edits import Edits, character_edits, word_edits
from tests.dse.training.spoken import COEFFICIENTS, split_of

OUTPUTS, BLANK = 3, 2
POINT = DesignPoint(
    in_channels=COEFFICIENTS,
    head="framewise",
    blocks=(Block(name="C1", out_channels=4, kernel_size=3, stride=2),),
)


def merged(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label != BLANK]


def test_the_loss_is_the_sum_over_all_paths():
    scores = torch.randn(3, OUTPUTS, 4, generator=torch.Generator().manual_seed(1))
    # Of 7, 8 and 5 frames of sound a stride of 2 makes 4, 4 and 3 of scores; the last is padded.
    texts, lengths = [[0, 1], [1, 1], []], torch.tensor([7, 8, 5])
    labels = torch.tensor([[0, 1], [1, 1], [0, 0]])
    batch = Batch(torch.empty(3, 0, 8), labels, lengths, torch.tensor([2, 2, 0]))
    chances = torch.softmax(scores.double(), dim=1)
    expected = 0.0
    for chance, text, frames in zip(chances, texts, (4, 4, 3), strict=True):
        paths = itertools.product(range(OUTPUTS), repeat=frames)
        total = sum(
            math.prod(float(chance[label, t]) for t, label in enumerate(path))
            for path in paths
            if merged(path) == text
        )
        expected -= math.log(total)
    assert float(ctc_loss(POINT, scores, batch, forgiving=False)) == pytest.approx(expected, 1e-5)
    in_16_bits = ctc_loss(POINT, scores.bfloat16(), batch, forgiving=False)
    assert in_16_bits.dtype == torch.float32
    assert float(in_16_bits) == pytest.approx(expected, rel=0.02)


def test_a_text_without_a_path_is_infinite_or_forgiven():
    batch = Batch(
        torch.empty(1, 0, 4), torch.tensor([[1, 1]]), torch.tensor([4]), torch.tensor([2])
    )
    scores = torch.zeros(1, OUTPUTS, 2)  # "bb" needs a blank between: three frames
    assert float(ctc_loss(POINT, scores, batch, forgiving=False)) == math.inf
    assert float(ctc_loss(POINT, scores, batch, forgiving=True)) == 0


def test_frames_that_a_text_needs_are_those_of_its_shortest_path():
    for text in ([], [0], [0, 0], [0, 1, 1, 1], [1, 0, 1, 0]):
        shortest = next(
            frames
            for frames in range(9)
            if any(
                merged(path) == text for path in itertools.product(range(OUTPUTS), repeat=frames)
            )
        )
        assert frames_needed(np.array(text, np.uint8)) == shortest


def test_what_cannot_be_spelled_in_each_variant_is_found():
    # Two frames a character and one before: of n characters ceil((2 n + 1) / 2) = n + 1 of scores.
    split = split_of(["abc", "aab", "aaab", "c"], seed=1, frames=(2, 3))
    assert can_spell(POINT, split).tolist() == [True, True, False, True]  # "aaab" needs 6, has 5
    twice = split_of(["aab", "c"], seed=1, variants=2, frames=(2, 3))
    shorter = dataclasses.replace(twice, starts=np.array([0, 7, 12, 15, 18]))
    assert can_spell(POINT, shorter).tolist() == [False, True]  # 3 of scores in variant 1, needs 4


def test_edits_by_hand():
    # "the cat sat" heard as "a cat sat on": the -> a, one word more.
    assert word_edits(["the cat sat"], ["a cat sat on"]) == Edits(1, 1, 0, 3)
    # kitten -> sitting: k -> s, e -> i, and g behind it (Levenshtein's own example).
    found = character_edits(["kitten"], ["sitting"])
    assert found == Edits(substitutions=2, insertions=1, deletions=0, units=6)
    assert (found.count, found.rate) == (3, 0.5)
    # Over utterances counts are added, so that the longer one weighs more.
    assert character_edits(["kitten", "ab"], ["sitting", ""]) == Edits(2, 1, 2, 8)
    assert character_edits(["kitten"], ["sitting"]) + character_edits(["ab"], [""]) == Edits(
        2, 1, 2, 8
    )


def test_nothing_heard_is_an_error_of_1_and_too_much_of_more():
    assert character_edits(["abc", "d"], ["", ""]).rate == 1
    assert word_edits(["a"], ["b c d"]).rate == 3
    # Nobody spoke: what is heard all the same counts, as if one unit had been said.
    assert word_edits([""], ["a b"]) == Edits(0, 2, 0, 0)
    assert word_edits([""], ["a b"]).rate == 2
    assert word_edits([""], [""]).rate == 0
