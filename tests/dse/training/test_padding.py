"""Padding changes nothing: scores, gradients and statistics are those of the real frames."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dse.design.mixer import Mixer
from dse.design.point import Block, DesignPoint
from dse.networks.network import SpeechNetwork, build_network
from dse.networks.padding import norm_of_real, output_lengths, real_frames
from dse.ternary.generators import Generator
from dse.training.fast import fast_scores
from dse.training.rounded import rounded_scores
from tests.dse.training.test_fast_scores import (
    BFLOAT16_BOUND,
    FLOAT32_BOUND,
    difference,
    network_of,
    points,
)

LIKE_QUARTZNET = DesignPoint(
    in_channels=8,
    head="framewise",
    blocks=(
        Block(name="C1", out_channels=16, kernel_size=5, stride=2),
        Block(
            name="B1",
            out_channels=16,
            kernel_size=7,
            repeats=2,
            mixer=Mixer(kind="ternary", density=0.25, generator=Generator()),
            skip=Mixer(),
        ),
        Block(name="C2", out_channels=16, kernel_size=3, dilation=2),
    ),
)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pass_of(
    network: SpeechNetwork,
    point: DesignPoint,
    pictures: torch.Tensor,
    lengths: torch.Tensor,
    dtype: torch.dtype | None,
) -> dict[str, torch.Tensor]:
    """Scores of real frames in a row, gradients and state; of the plain network without a type."""
    network = copy.deepcopy(network)
    scores = (
        network(pictures, lengths)
        if dtype is None
        else fast_scores(network, pictures, dtype, lengths=lengths)
    )
    after = output_lengths(point, lengths)
    scores = torch.cat(
        [one[:, :length].flatten() for one, length in zip(scores, after, strict=True)]
    )
    direction = torch.linspace(-1, 1, scores.numel()).to(scores.dtype)
    (scores * direction).sum().float().backward()
    gradients = {
        name: weight.grad if weight.grad is not None else torch.zeros_like(weight)
        for name, weight in network.named_parameters()
    }
    return {"scores": scores.detach(), **gradients} | {
        f"state of {name}": value for name, value in network.state_dict().items()
    }


@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    points(),
    st.lists(st.integers(2, 20), min_size=2, max_size=4),
    st.integers(0, 5),
    st.integers(0, 9),
)
def test_padding_changes_no_score_gradient_or_statistic(
    point: DesignPoint, clip_lengths: list[int], more: int, seed: int
) -> None:
    point = dataclasses.replace(point, head="framewise")
    network = network_of(point, seed)
    lengths = torch.tensor(clip_lengths)
    pictures = torch.randn(len(lengths), point.in_channels, int(lengths.max()))
    # What stands behind an utterance is as loud as it, and there is more of it.
    padded = torch.cat([pictures, torch.randn(len(lengths), point.in_channels, more)], 2)
    exact = copy.deepcopy(network).double()
    network.train()
    expected = pass_of(exact, point, pictures.double(), lengths, None)
    assert difference(pass_of(exact, point, padded.double(), lengths, None), expected) < 1e-10
    assert (
        difference(pass_of(exact, point, padded.double(), lengths, torch.float64), expected) < 1e-10
    )
    found = pass_of(network, point, padded, lengths, torch.float32)
    assert difference(found, expected) < FLOAT32_BOUND
    # In evaluation each utterance is as if it were alone, where nobody needs lengths.
    exact.eval()
    alone = torch.cat(
        [
            exact(one[None, :, :length].double()).flatten()
            for one, length in zip(padded, lengths, strict=True)
        ]
    )
    for dtype in (None, torch.float64):
        scores = pass_of(exact, point, padded.double(), lengths, dtype)["scores"]
        torch.testing.assert_close(scores, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
def test_in_bfloat16_as_near_as_without_padding(training: bool) -> None:
    network = network_of(LIKE_QUARTZNET, 1)
    pictures, lengths = torch.randn(4, 8, 60), torch.tensor([60, 41, 9, 33])
    exact = copy.deepcopy(network).double().train(training)
    expected = pass_of(exact, LIKE_QUARTZNET, pictures.double(), lengths, None)
    network.train(training)
    found = pass_of(network, LIKE_QUARTZNET, pictures, lengths, torch.bfloat16)
    assert difference(found, expected) < BFLOAT16_BOUND


def test_a_norm_sees_real_frames_only() -> None:
    norm = nn.BatchNorm1d(1, eps=1e-12, momentum=1.0)
    values = torch.tensor([[[1.0, 3.0, 100.0]], [[5.0, -100.0, 100.0]]])
    real = real_frames(torch.tensor([2, 1]), 3)
    # Mean of 1, 3 and 5 is 3, their variance 8/3; unbiased, as it is kept, 4.
    found = norm_of_real(norm, values, real)
    expected = torch.tensor([[[-2.0, 0.0, 0.0]], [[2.0, 0.0, 0.0]]]) / (8 / 3) ** 0.5
    torch.testing.assert_close(found, expected)
    assert (float(norm.running_mean), float(norm.running_var)) == (3.0, pytest.approx(4.0))


def test_frames_of_scores_behind_all_strides() -> None:
    # A stride of 2 puts outputs at frames 0, 2, 4, ...: of 5 frames 3, of 6 frames 3, of 1 frame 1.
    assert output_lengths(LIKE_QUARTZNET, torch.tensor([5, 6, 1])).tolist() == [3, 3, 1]


def test_a_network_that_rounds_reads_no_padding() -> None:
    """Rounding goes by the largest value of a batch, so that of the longest utterance is kept."""
    point = dataclasses.replace(
        LIKE_QUARTZNET,
        blocks=tuple(
            dataclasses.replace(block, weight_bits=4, activation_bits=4)
            for block in LIKE_QUARTZNET.blocks
        ),
    )
    network = network_of(point, 1)
    pictures, lengths = torch.randn(2, 8, 30), torch.tensor([30, 30])
    padded = torch.cat([pictures, 9 * torch.randn(2, 8, 11)], 2)
    alone = rounded_scores(network.eval(), point, pictures)
    found = rounded_scores(network, point, padded, lengths=lengths)
    assert found.shape[2] > alone.shape[2]
    torch.testing.assert_close(found[:, :, : alone.shape[2]], alone)


def test_a_pooled_head_takes_no_lengths() -> None:
    point = dataclasses.replace(LIKE_QUARTZNET, head="pooled")
    network, pictures = build_network(point, 3), torch.randn(2, 8, 9)
    for forward in (
        lambda: network(pictures, torch.tensor([9, 4])),
        lambda: fast_scores(network, pictures, lengths=torch.tensor([9, 4])),
        lambda: rounded_scores(network, point, pictures, lengths=torch.tensor([9, 4])),
    ):
        with pytest.raises(ValueError, match="a pooled head counts frames of padding"):
            forward()
