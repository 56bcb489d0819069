"""Batches of utterances: every one once, like lengths together, frames bounded."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sampled_backward import kept_bytes
from dse.design.mixer import Mixer
from dse.design.point import Block, DesignPoint
from dse.networks.network import build_network
from dse.speech.sentences import SentenceSplit
from dse.training.fast import fast_scores
from dse.training.length_batches import LengthBatches, cut_by_frames, padded
from dse.training.recipe import NO_AUGMENTATION, Augmentation, Recipe

CPU = torch.device("cpu")


def split_of(lengths: list[list[int]], coefficients: int = 2) -> SentenceSplit:
    """Utterance u in variant v has frames of u + 1 and v + 1, its text is u times letter u % 3."""
    variants = len(lengths[0])
    pieces = [
        np.tile(np.array([number + 1, variant + 1], np.float16), (frames, coefficients // 2))
        for number, each in enumerate(lengths)
        for variant, frames in enumerate(each)
    ]
    texts = [np.full(number, number % 3, np.uint8) for number in range(len(lengths))]
    return SentenceSplit(
        frames=np.concatenate(pieces),
        starts=np.cumsum([0, *map(len, pieces)]),
        variants=variants,
        labels=np.concatenate(texts),
        label_starts=np.cumsum([0, *map(len, texts)]),
        names=tuple(map(str, range(len(lengths)))),
    )


def batches_of(split: SentenceSplit, **recipe: object) -> LengthBatches:
    plain = {"augmentation": Augmentation(time_masks=0, frequency_masks=0)}
    return LengthBatches(split, np.arange(len(split)), Recipe(**(plain | recipe)), CPU)


def shown(batches: LengthBatches, seed: int) -> list[tuple[list[int], list[int], list[int]]]:
    """Of each batch: utterances, variants, lengths."""
    found = []
    epoch = batches.epoch(torch.Generator().manual_seed(seed))
    for batch in epoch.batches:
        utterances, variants = (batch.pictures[:, :, 0].int() - 1).t().tolist()
        found.append((utterances, variants, batch.lengths.tolist()))
    assert len(found) == epoch.count
    return found


@settings(max_examples=50)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=40),
    st.integers(1, 200),
    st.integers(1, 8),
)
def test_no_batch_is_over_the_bound_but_one_long_utterance(lengths, most_frames, most):
    found = cut_by_frames(np.array(lengths), np.arange(len(lengths)), most_frames, most)
    assert np.concatenate(found).tolist() == list(range(len(lengths)))
    for batch, after in zip(found, [*found[1:], None], strict=True):
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or longest * len(batch) <= most_frames
        assert len(batch) <= most
        if after is not None:  # one more would not have fitted
            longer = max(longest, lengths[after[0]])
            assert len(batch) == most or longer * (len(batch) + 1) > most_frames


def test_a_mixture_of_1_s_and_35_s_is_bounded_in_frames():
    # 100 frames a second: 16,000 frames are 4 utterances of 35 s, or 32 (batch_size) of 1 s.
    split = split_of([[100]] * 320 + [[3500]] * 12)
    found = shown(batches_of(split), seed=1)
    sizes = [(len(lengths), max(lengths)) for _, _, lengths in found]
    assert sorted(sizes) == [(4, 3500)] * 3 + [(32, 100)] * 10
    assert all(count * longest <= 16_000 for count, longest in sizes)


def test_every_utterance_is_shown_once_in_a_variant_of_its_own():
    split = split_of([[10 + number, 12 + number, 9 + number] for number in range(30)])
    batches = batches_of(split, batch_frames=120)
    first, again, other = shown(batches, 1), shown(batches, 1), shown(batches, 2)
    assert first == again != other
    for found in (first, other):
        assert sorted(u for us, _, _ in found for u in us) == list(range(30))
        told = {u: v for us, vs, _ in found for u, v in zip(us, vs, strict=True)}
        assert set(told.values()) == {0, 1, 2}
        for utterances, variants, lengths in found:
            for u, v, frames in zip(utterances, variants, lengths, strict=True):
                assert frames == [10 + u, 12 + u, 9 + u][v]
    companies = [{frozenset(us) for us, _, _ in found} for found in (first, other)]
    assert companies[0] != companies[1]
    # Batches are shuffled: the lengths neither rise nor fall.
    longest = [max(lengths) for _, _, lengths in first]
    assert longest != sorted(longest) and longest != sorted(longest, reverse=True)
    # Neighbours in length are together: hardly a tenth is padding.
    frames = sum(sum(lengths) for _, _, lengths in first)
    assert frames / sum(len(lengths) * max(lengths) for _, _, lengths in first) > 0.8


def test_without_variation_the_recording_itself_is_shown():
    split = split_of([[10, 12]] * 6)
    found = shown(batches_of(split, augmentation=NO_AUGMENTATION), 1)
    assert {v for _, variants, _ in found for v in variants} == {0}


def test_zeros_stand_behind_what_is_shorter():
    split = split_of([[5], [3], [2]])
    batch = padded(split, np.array([2, 0]), np.array([0, 0]), "cpu")
    short = [[3.0, 3.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0]]
    assert batch.pictures.tolist() == [short, [[1.0] * 5] * 2]
    assert batch.lengths.tolist() == [2, 5]
    # Texts are "cc" and nothing.
    assert (batch.labels.tolist(), batch.label_lengths.tolist()) == ([[2, 2], [0, 0]], [2, 0])
    alone, other = batch.parts(2)
    assert (alone.pictures.shape, other.pictures.shape) == ((1, 2, 2), (1, 2, 5))
    assert (alone.labels.tolist(), other.labels.shape) == ([[2, 2]], (1, 0))


def test_holes_lie_within_what_is_real():
    split = split_of([[400]] + [[40]] * 9)
    holes = Augmentation(time_masks=1, time_width=40, frequency_masks=0)
    batches = batches_of(split, augmentation=holes, batch_frames=10_000)
    hidden = torch.zeros(40, dtype=torch.bool)
    for seed in range(20):
        for batch in batches.epoch(torch.Generator().manual_seed(seed)).batches:
            for picture, length in zip(batch.pictures, batch.lengths, strict=True):
                if length == 40:
                    assert (picture[:, 40:] == 0).all()
                    hidden |= picture[0, :40] == 0
    # 180 masks of up to 40 of 40 frames: had they been placed in 400, most would not be seen.
    assert hidden.all()


def test_memory_of_a_step_goes_by_the_bound_and_not_by_the_longest():
    """What is kept for the backward pass, of a mixture of 1 s and 35 s, and of 1 s alone."""
    blocks = (
        Block(name="C1", out_channels=4, kernel_size=5, stride=2),
        Block(name="B1", out_channels=4, kernel_size=5, skip=Mixer()),
    )
    network = build_network(DesignPoint(in_channels=2, head="framewise", blocks=blocks), 3)

    def most_kept(split: SentenceSplit) -> int:
        batches = batches_of(split, batch_frames=7_000, batch_size=100)
        kept = []
        for batch in batches.epoch(torch.Generator().manual_seed(1)).batches:
            scores = partial(fast_scores, network, batch.pictures, lengths=batch.lengths)
            kept.append(kept_bytes(network, scores))
        return max(kept)

    short, mixed = split_of([[100]] * 140), split_of([[100]] * 140 + [[3500]] * 3)
    # 70 of a second or two of 35 are 7,000 frames; beside the third of 35 stands one of a second,
    # whose padding needs masks.
    assert most_kept(mixed) <= 1.05 * most_kept(short)


@pytest.mark.parametrize("lengths", [[[7]], [[7], [9]]])
def test_one_or_two_utterances_are_an_epoch(lengths):
    assert [us for us, _, _ in shown(batches_of(split_of(lengths)), 1)] == [
        [1, 0][-len(lengths) :] if len(lengths) == 2 else [0]
    ]
