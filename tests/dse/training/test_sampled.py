"""Gradients from a few of a layer's inputs: right in the mean, and less to keep."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.sampled_backward import kept_bytes
from dse.design.families.mixing import PLACE_KINDS, build_mixer
from dse.design.mixer import DENSE, IDENTITY, Mixer, MixerKind
from dse.design.point import Block, DesignPoint
from dse.errors import InvalidInput
from dse.networks.network import SpeechNetwork, build_network
from dse.training.fast import fast_scores
from dse.training.fast.pointwise import pointwise
from dse.training.recipe import Recipe
from dse.training.rounded import rounded_scores
from dse.training.sampled import draw, plain_sampled, sampled_convolution, sampling_of

CLIPS, CHANNELS, FRAMES = 3, 8, 5


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    yield
    torch.set_num_threads(before)


def test_winners_by_hand() -> None:
    """Chances 5/10, 3/10, 1/10, 1/10 of which three are kept: (1 - sum C) / (3 - |C|) is

    1/3 without a winner, 1/4 with the first, 1/5 with two: those two stay as they are, and of the
    last two one is drawn, for both: f = (2/10) / (1 x 1/10) = 2.
    """
    seen = set()
    for _ in range(20):
        index, factors = draw(torch.tensor([1.0, 5.0, 1.0, 3.0]), 3)
        assert index[:2].tolist() == [1, 3]
        assert factors.tolist() == pytest.approx([1, 1, 2])
        seen.add(int(index[2]))
    assert seen == {0, 2}


def test_equal_frames_have_no_winner_and_none_is_drawn_twice() -> None:
    index, factors = draw(torch.ones(12), 4)
    assert len(set(index.tolist())) == 4
    assert factors.tolist() == pytest.approx([3] * 4)


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ([0.0, 0.0, 0.0, 0.0], 2),
        ([0.0, 2.0, 0.0, 0.0], 2),  # more are kept than are not zero
        ([0.0, 2.0, 1.0, 0.0], 3),
        ([1e-30, 1e30, 0.0, 1.0], 2),
        ([3.0], 5),
    ],
)
def test_what_is_zero_or_very_unequal_gives_finite_sums(lengths: list[float], kept: int) -> None:
    values = torch.tensor(lengths)
    index, factors = draw(values, kept)
    assert len(index) == min(kept, len(values))
    total = (values[index] * factors).sum()
    assert total == pytest.approx(values.sum().item(), rel=1e-5)  # chances go by these very numbers


def test_a_number_that_is_none_is_passed_on() -> None:
    """The training says that its loss is no number; it must get that far."""
    index, _ = draw(torch.tensor([1.0, float("nan"), float("inf"), 2.0]), 2)
    assert ((index >= 0) & (index < 4)).all()


def by_fast(inputs: Tensor, weight: Tensor, share: float, groups: int = 1) -> Tensor:
    """In (N, C, T), as the other."""
    values = inputs.permute(1, 2, 0).contiguous()
    return pointwise(values, weight[:, :, 0], groups=groups, share=share).permute(2, 0, 1)


def by_plain(inputs: Tensor, weight: Tensor, share: float, groups: int = 1) -> Tensor:
    return sampled_convolution(inputs, weight, share=share, groups=groups)


PATHS = pytest.mark.parametrize("path", [by_fast, by_plain])


def gradients(path: Any, share: float, groups: int, values: list[Tensor]) -> tuple[Tensor, ...]:
    """Of weight and inputs, of a loss that weighs each output otherwise."""
    inputs, weight, direction = values
    outputs = path(inputs, weight, share, groups)
    return torch.autograd.grad((outputs * direction).sum(), (weight, inputs))


def heavy_tailed(groups: int = 1) -> list[Tensor]:
    """Inputs, weight and direction; a few frames are far longer than the others."""
    lengths = torch.tensor([0.1, 0.1, 0.2, 0.4, 4.0]).repeat(CLIPS, 1)[:, None]
    inputs = lengths * torch.randn(CLIPS, CHANNELS, FRAMES)
    weight = torch.randn(4, CHANNELS // groups, 1)
    return [inputs.requires_grad_(), weight.requires_grad_(), torch.randn(CLIPS, 4, FRAMES)]


def exact(values: list[Tensor], groups: int = 1) -> tuple[Tensor, ...]:
    inputs, weight, direction = values
    outputs = functional.conv1d(inputs, weight, groups=groups)
    return torch.autograd.grad((outputs * direction).sum(), (weight, inputs))


@PATHS
@pytest.mark.parametrize("groups", [1, 2])
def test_the_estimate_is_right_in_the_mean(path: Any, groups: int) -> None:
    values = heavy_tailed(groups)
    to_weight, to_inputs = exact(values, groups)
    found = [gradients(path, 0.4, groups, values) for _ in range(200)]
    for _, theirs in found:
        torch.testing.assert_close(theirs, to_inputs)
    draws = torch.stack([ours for ours, _ in found])
    # The mean of 200 draws is off by their deviation / 14; five of those are one in 10^6 of each.
    limit = 5 * draws.std(dim=0) / 14 + 1e-5
    assert ((draws.mean(dim=0) - to_weight).abs() < limit).all()
    assert draws.std(dim=0).max() > 0.01


@PATHS
def test_all_frames_give_the_exact_gradient(path: Any) -> None:
    values = heavy_tailed()
    for found, expected in zip(gradients(path, 0.999, 1, values), exact(values), strict=True):
        torch.testing.assert_close(found, expected)  # 15 frames of 15


def test_winners_lower_the_variance() -> None:
    """Against column-row sampling without them: K drawn from all by their chances."""
    values = inputs, _, direction = heavy_tailed()
    expected, _ = exact(values)
    ours = [gradients(by_plain, 0.4, 1, values)[0] for _ in range(200)]
    columns = inputs.detach().permute(1, 0, 2).flatten(1)
    rows = direction.permute(1, 0, 2).flatten(1)
    chances = columns.norm(dim=0) / columns.norm(dim=0).sum()
    plain = []
    for _ in range(200):
        index = chances.multinomial(6, replacement=True)
        plain.append((rows[:, index] / (6 * chances[index])) @ columns[:, index].t())

    def variance(found: list[Tensor]) -> float:
        return sum(float((one.view(4, -1) - expected[:, :, 0]).square().sum()) for one in found)

    assert variance(ours) < 0.5 * variance(plain)


# --- networks -------------------------------------------------------------------------------------


def network_of(mixer: Mixer, skip: Mixer | None = IDENTITY) -> SpeechNetwork:
    block = Block(name="B", out_channels=16, kernel_size=3, mixer=mixer, skip=skip)
    return build_network(DesignPoint(blocks=(block,), in_channels=16), 3)


def mixer_of(network: SpeechNetwork) -> Any:
    """Behind the depthwise layer."""
    block: Any = network.blocks["B"]
    return block.body[0][1]


def scores_by(path: str, network: SpeechNetwork, share: float, pictures: Tensor) -> Tensor:
    sampling = sampling_of(network, share)
    if path == "fast":
        return fast_scores(network, pictures, sampling=sampling)
    if sampling is None:
        return network(pictures)  # type: ignore[no-any-return]
    with plain_sampled(sampling):
        return network(pictures)  # type: ignore[no-any-return]


PICTURES = (10, 16, 50)
ONE = 4 * 10 * 16 * 50
"""Bytes of a tensor of activations."""


@pytest.mark.parametrize("path", ["fast", "plain"])
@pytest.mark.parametrize("kind", [kind for kind in PLACE_KINDS if kind != "identity"])
def test_every_mixing_layer_keeps_a_share(kind: MixerKind, path: str) -> None:
    network = network_of(build_mixer({}, kind))
    pictures = torch.randn(PICTURES)

    def kept(share: float) -> int:
        return kept_bytes(network, lambda: scores_by(path, network, share, pictures))

    mixer = mixer_of(network)
    trained = any(weight.requires_grad for weight in mixer.parameters())
    saved = kept(1.0) - kept(0.1)
    if not trained:  # the fast path keeps nothing of its inputs anyway, torch's convolution all
        assert saved == (0 if path == "fast" else ONE)
        return
    # 0.1 of them are kept, and a number of 32 bits for 16 of a frame; of products, each factor's.
    convolutions = sum(isinstance(layer, nn.Conv1d) for layer in mixer.modules())
    least = ONE if convolutions < 2 else ONE + 1
    assert saved >= 0.89 * least - 2_000
    assert torch.equal(
        scores_by(path, network, 1.0, pictures), scores_by(path, network, 0.1, pictures)
    )


@pytest.mark.parametrize("path", ["fast", "plain"])
def test_what_another_layer_keeps_is_not_sampled(path: str) -> None:
    """A skip reads what the depthwise layer reads; of two factors the second reads its own."""
    network = network_of(DENSE, Mixer(kind="low_rank", rank=4))
    sampling = sampling_of(network, 0.5)
    assert sampling is not None
    names = {name for name, layer in network.named_modules() if layer in sampling.layers}
    assert names == {"blocks.B.body.0.1", "blocks.B.skip.0.1"}
    pictures = torch.randn(4, 16, 5)

    def gradients_of(share: float) -> dict[str, Tensor]:
        network.zero_grad()
        scores_by(path, network, share, pictures).square().sum().backward()  # type: ignore[no-untyped-call]
        return {name: value.grad for name, value in network.named_parameters()}  # type: ignore[misc]

    exact, sampled = gradients_of(1.0), gradients_of(0.5)
    differ = {name for name in exact if not torch.allclose(exact[name], sampled[name], rtol=1e-3)}
    assert differ == {f"{name}.weight" for name in names}


@pytest.mark.parametrize("kind", ["dense", "bitnet", "monarch"])
def test_epochs_that_round_keep_a_share_too(kind: MixerKind) -> None:
    mixer = build_mixer({}, kind)
    block = Block(name="B", out_channels=16, kernel_size=3, mixer=mixer, weight_bits=4)
    point = DesignPoint(blocks=(block,), in_channels=16)
    network = build_network(point, 3)
    pictures = torch.randn(PICTURES)

    def kept(share: float) -> int:
        sampling = sampling_of(network, share)
        return kept_bytes(network, lambda: rounded_scores(network, point, pictures, sampling))

    assert kept(1.0) - kept(0.1) >= 0.89 * ONE - 2_000


def test_numbers_of_autocast_are_kept_as_such() -> None:
    network = network_of(DENSE)
    pictures = torch.randn(PICTURES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = kept_bytes(network, lambda: scores_by("plain", network, 0.1, pictures))
        whole = kept_bytes(network, lambda: scores_by("plain", network, 1.0, pictures))
        scores_by("plain", network, 0.1, pictures).float().sum().backward()  # type: ignore[no-untyped-call]
    assert whole - found >= 0.89 * ONE / 2 - 2_000
    weight = mixer_of(network).weight
    assert weight.grad.dtype == torch.float32 and weight.grad.any()


# --- recipe ---------------------------------------------------------------------------------------


def test_the_key_of_recipes_that_keep_all_stays() -> None:
    assert Recipe(kept_share=1.0).key == Recipe().key == "f0b464af"
    assert Recipe(kept_share=0.3).key != Recipe().key


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan"), -0.1])
def test_a_share_of_nothing_or_more_than_all_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput, match=r"kept_share must be in \(0, 1\], not "):
        Recipe(kept_share=share)
