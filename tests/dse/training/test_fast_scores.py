"""The fast path against the network that it stands for, on random designs of all kinds of block."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import dse.training.fast.products
from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.published import published
from dse.networks.network import SpeechNetwork, build_network
from dse.ternary.generators import Generator
from dse.training.fast import fast_scores
from dse.training.fast.depthwise import depthwise
from dse.training.fast.dropout import dropout
from dse.training.fast.norm import norm
from dse.training.fast.pointwise import pointwise
from dse.training.fast.products import product

FLOAT32_BOUND = 1e-5
BFLOAT16_BOUND = 0.1
"""Relative, 2-norm over all scores or all gradients; a number in bfloat16 is good to 0.4 %."""

TERNARY = Mixer(kind="ternary", density=0.25, generator=Generator(family="lfsr_threshold"))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@st.composite
def points(draw: st.DrawFn) -> DesignPoint:
    channels = in_channels = draw(st.sampled_from((4, 8)))
    blocks = []
    for number in range(draw(st.integers(1, 3))):
        separable = draw(st.booleans())
        kernel_size = draw(st.sampled_from((1, 3, 7)))
        stride = draw(st.integers(1, 3))
        out_channels = draw(st.sampled_from((4, 8)))
        mixes = separable or kernel_size == 1
        mixers = [DENSE] + ([TERNARY] if mixes else [])
        if mixes and out_channels == channels and (separable or stride == 1):
            mixers.append(IDENTITY)
        skips = [None, DENSE, TERNARY]
        if out_channels == channels and stride == 1:
            skips.append(IDENTITY)
        mixer = draw(st.sampled_from(mixers))
        blocks.append(
            Block(
                name=f"B{number}",
                out_channels=out_channels,
                kernel_size=kernel_size,
                repeats=draw(st.integers(1, 2)) if out_channels == channels else 1,
                stride=stride,
                dilation=draw(st.integers(1, 2)),
                separable=separable,
                groups=draw(st.sampled_from((1, 2))) if mixer is DENSE else 1,
                mixer=mixer,
                skip=draw(st.sampled_from(skips)),
                skip_norm=draw(st.booleans()),
            )
        )
        channels = out_channels
    head = draw(st.sampled_from(("pooled", "framewise")))
    return DesignPoint(blocks=tuple(blocks), in_channels=in_channels, head=head)


def network_of(point: DesignPoint, seed: int) -> SpeechNetwork:
    """Every parameter and statistic is drawn, so that none is at a value that hides mistakes."""
    torch.manual_seed(seed)
    network = build_network(point, 3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def results(
    network: SpeechNetwork, pictures: torch.Tensor, dtype: torch.dtype | None
) -> dict[str, torch.Tensor]:
    """Scores, gradients and state after one pass; of the plain network where no type is given."""
    network = copy.deepcopy(network)
    scores = network(pictures) if dtype is None else fast_scores(network, pictures, dtype)
    # A loss that differs at every score, whatever the head.
    direction = torch.linspace(-1, 1, scores.numel()).view(scores.shape).to(scores.dtype)
    (scores * direction).sum().float().backward()
    gradients = {
        name: weight.grad if weight.grad is not None else torch.zeros_like(weight)
        for name, weight in network.named_parameters()
    }
    return {"scores": scores.detach(), **gradients} | {
        f"state of {name}": value for name, value in network.state_dict().items()
    }


def difference(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The larger of the relative errors of all scores and of all gradients and states together."""
    assert found.keys() == expected.keys()
    errors = []
    for names in (["scores"], [name for name in expected if name != "scores"]):
        away = sum(float((found[n].double() - expected[n].double()).square().sum()) for n in names)
        size = sum(float(expected[n].double().square().sum()) for n in names)
        errors.append((away / size) ** 0.5 if size else away**0.5)
    return max(errors)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(points(), st.integers(2, 4), st.integers(1, 20), st.integers(0, 9), st.booleans())
def test_the_fast_path_computes_what_the_network_does(
    point: DesignPoint, clips: int, frames: int, seed: int, training: bool
) -> None:
    network = network_of(point, seed).train(training)
    pictures = torch.randn(clips, point.in_channels, frames)
    expected = results(copy.deepcopy(network).double(), pictures.double(), None)
    exact = results(copy.deepcopy(network).double(), pictures.double(), torch.float64)
    assert difference(exact, expected) < 1e-10
    assert difference(results(network, pictures, torch.float32), expected) < FLOAT32_BOUND


@pytest.mark.parametrize("name", ["matchboxnet-3x2x64", "matchboxnet-3x1x64-P1"])
def test_published_networks_agree_in_float32(name: str) -> None:
    network = network_of(published(name), 1)
    pictures = torch.randn(2, 64, 128)
    found = results(network, pictures, torch.float32)
    expected = results(copy.deepcopy(network).double(), pictures.double(), None)
    assert difference(found, expected) < FLOAT32_BOUND


def test_a_deep_network_on_long_clips_agrees() -> None:
    """In float64: of a million ReLUs some are within rounding of zero, and their gradients flip."""
    network = network_of(published("quartznet-5x5"), 1)
    for name in ("B2", "B3", "B4", "B5", "C2"):
        del network.blocks[name]
    network.blocks["C3"].body[0][0] = nn.Conv1d(256, 1024, 1, bias=False)
    network.double()
    pictures = torch.randn(2, 64, 400, dtype=torch.float64)
    found = results(network, pictures, torch.float64)
    assert difference(found, results(network, pictures, None)) < 1e-10


@pytest.mark.parametrize("name", ["matchboxnet-3x1x64", "matchboxnet-3x1x64-P1"])
def test_bfloat16_keeps_to_its_bound(name: str) -> None:
    from dse.processor import bfloat16_works

    assert bfloat16_works(), "bfloat16 products end this process: see docs/evidence/performance.md"
    network = network_of(published(name), 1)
    pictures = torch.randn(16, 64, 128)
    found = results(network, pictures, torch.bfloat16)
    expected = results(network, pictures, None)
    assert found["scores"].dtype == torch.bfloat16
    assert 0 < difference(found, expected) < BFLOAT16_BOUND


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.integers(1, 400), st.integers(0, 20), st.integers(1, 3), st.integers(1, 3), st.integers(0, 9)
)
@example(1, 20, 1, 3, 0)  # a clip much shorter than the kernel
@example(65, 0, 1, 1, 0)  # blocks, and a kernel of one
@example(400, 20, 1, 3, 0)  # blocks that reach over several neighbours
def test_depthwise_is_a_convolution(
    frames: int, half: int, stride: int, dilation: int, seed: int
) -> None:
    torch.manual_seed(seed)
    channels, clips, taps = 3, 2, 2 * half + 1
    inputs = torch.randn(channels, frames, clips, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(channels, taps, dtype=torch.float64, requires_grad=True)
    expected = functional.conv1d(
        inputs.permute(2, 0, 1),
        weight[:, None],
        stride=stride,
        dilation=dilation,
        padding=dilation * half,
        groups=channels,
    ).permute(1, 2, 0)
    found = depthwise(inputs, weight, stride=stride, dilation=dilation)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, (inputs, weight), direction),
        torch.autograd.grad(expected, (inputs, weight), direction),
    )


@pytest.mark.parametrize("by_onednn", [False, True])
@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 300), st.integers(0, 9))
def test_either_library_multiplies(
    by_onednn: bool, rows: int, inner: int, columns: int, seed: int
) -> None:
    torch.manual_seed(seed)
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    exact = left.double() @ right.double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dse.training.fast.products, "float32_by_onednn", lambda: by_onednn)
        for turned in (left, left.t().contiguous().t()):
            for other in (right, right.t().contiguous().t()):
                found = product(turned, other)
                assert (found - exact).norm() < 1e-6 * exact.norm()


def test_a_product_that_onednn_has_no_memory_for_is_computed_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(dse.training.fast.products, "float32_by_onednn", lambda: True)
    monkeypatch.setattr(dse.training.fast.products, "_by_onednn", fail)
    found = product(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    assert found.tolist() == [[11.0]]


def test_fixed_weights_get_no_gradient() -> None:
    network = network_of(published("matchboxnet-3x1x64-P1"), 1)
    weight = network.blocks["B1"].body[0][1].weight
    assert not weight.requires_grad
    values = torch.randn(128, 4, 2, requires_grad=True)
    pointwise(values, weight[:, :, 0]).sum().backward()
    assert weight.grad is None and values.grad is not None


def test_statistics_of_a_channel_far_from_zero_are_not_lost() -> None:
    """E[x^2] - mean^2 in float32 would leave nothing of a deviation of 1 at a mean of 10,000."""
    torch.manual_seed(1)
    values = torch.randn(2, 8, 64) + torch.tensor([0.0, 1e4])[:, None, None]
    ours, theirs = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    found = norm(values, ours, None, relu=False)
    expected = theirs.double()(values.transpose(0, 1).double()).transpose(0, 1)
    assert (found - expected).abs().max() < 2e-3  # the inputs themselves are rounded to 1e-3
    torch.testing.assert_close(ours.running_var, theirs.running_var.float(), rtol=1e-4, atol=0)


def test_statistics_of_narrow_numbers_are_wide() -> None:
    """In bfloat16 a mean of 100 is good to half a unit, as good as a deviation of 1 is not."""
    torch.manual_seed(1)
    values = (torch.randn(2, 8, 64) + torch.tensor([0.0, 100.0])[:, None, None]).bfloat16()
    ours, theirs = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    norm(values, ours, None, relu=False)
    theirs.double()(values.transpose(0, 1).double())
    torch.testing.assert_close(ours.running_mean, theirs.running_mean.float())
    torch.testing.assert_close(ours.running_var, theirs.running_var.float(), rtol=1e-5, atol=0)


def test_one_value_per_channel_cannot_be_normalised() -> None:
    network = network_of(DesignPoint(blocks=(Block(name="B", out_channels=4, kernel_size=1),)), 1)
    picture = torch.randn(1, 64, 1)
    for forward in (network, lambda values: fast_scores(network, values)):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            forward(picture)
    assert fast_scores(network.eval(), picture).shape == (1, 3)


def test_a_layer_that_is_not_known_is_run_as_it_is() -> None:
    network = network_of(DesignPoint(blocks=(Block(name="B", out_channels=4, kernel_size=1),)), 1)

    class Reverse(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values.flip(2)

    network.blocks["B"].body[0].insert(0, Reverse())
    pictures = torch.randn(2, 64, 5)
    torch.testing.assert_close(fast_scores(network, pictures), network(pictures))


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_its_share(probability: float) -> None:
    torch.manual_seed(1)
    values = torch.ones(101, 103, 97)  # a number of values that four does not divide
    found = dropout(values, probability)
    dropped = (found == 0).float().mean().item()
    # Five standard deviations of a million tosses.
    assert abs(dropped - probability) < 5 * (probability * (1 - probability) / 1e6) ** 0.5
    assert found.unique().tolist() == [0, pytest.approx(1 / (1 - probability), rel=1e-4)]
    # Neighbours, which share 64 random bits, are dropped independently.
    lost = (found == 0).float().flatten()
    for distance in (1, 2, 3, 4):
        both = (lost[distance:] * lost[:-distance]).mean().item()
        assert abs(both - probability**2) < 0.003


def test_dropout_of_almost_nothing_is_nothing() -> None:
    values = torch.ones(8)
    assert dropout(values, 1e-6) is values
