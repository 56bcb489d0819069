"""Generated matrices in a module of others: counts, training, and checkpoints by seed."""

import io

import pytest
import torch
from torch import nn
from torch.nn import functional

import dse
from cost_models.workload import WeightSource
from dse.errors import InvalidCheckpoint, InvalidDesign
from dse.networks.ternarising import GeneratedConvolution, matrices, ternarise
from dse.networks.tracing import trace
from dse.ternary.matrix import ternary_matrix
from tests.dse.networks.others import Separator, TCResNet8

SHORTCUTS = [f"blocks.{number}.shortcut.0" for number in range(3)]


@pytest.mark.parametrize(
    ("policy", "replaced"),
    [
        ("all", [0, 1, 2]),
        ("inner", [1]),
        ("alternate", [1]),
        ("blocks.[12].*", [1, 2]),
        (["blocks.0.shortcut.0"], [0]),
        ("*.0.*, blocks.2.shortcut.0", [0, 2]),
    ],
)
def test_a_policy_says_which(policy: str, replaced: list[int]) -> None:
    network = TCResNet8()
    assert list(matrices(network)) == SHORTCUTS
    before = sum(each.numel() for each in network.parameters())
    assert ternarise(network, policy) is network
    names = [name for name, each in network.named_modules() if hasattr(each, "made_from")]
    assert names == [SHORTCUTS[number] for number in replaced]
    gone = sum([16 * 24, 24 * 32, 32 * 48][number] for number in replaced)
    assert sum(each.numel() for each in network.parameters()) == before - gone


def test_half_leaves_about_half_of_the_parameters() -> None:
    """From the last one on, where that comes nearer: two of three, by hand."""
    network = nn.Sequential(*(nn.Conv1d(10, 10, 1, bias=False) for _ in range(3)), nn.ReLU())
    ternarise(network, "half")
    # Of 300 numbers 200 are left without the last; 100 without two, which is no nearer to 150.
    assert [isinstance(each, GeneratedConvolution) for each in network[:3]] == [False, False, True]


def test_the_matrix_is_that_of_its_seed_and_name_and_is_traced_so() -> None:
    network = dse.ternarise(Separator(), "all", density=0.375, seed=7)
    name = "blocks.1.enter"
    made = network.get_submodule(name)
    matrix = ternary_matrix(7, name, 32, 16, 0.375, made.generator)
    assert torch.equal(made.weight[:, :, 0], torch.from_numpy(matrix).float())
    layers = {layer.name: layer for layer in trace(network, torch.zeros(1, 16, 50)).layers}
    assert layers[name].weights is WeightSource.GENERATED
    assert layers[name].nonzeros == int((matrix != 0).sum())
    assert (layers[name].bias, layers[name].trained_parameters) == (True, 32)
    assert not layers["blocks.0.enter_norm"].folded


def test_it_computes_the_matrix_product_with_bias_and_strides() -> None:
    flat = ternarise(nn.Sequential(nn.Conv1d(6, 4, 1, stride=2)), "all")
    wide = ternarise(nn.Sequential(nn.Conv2d(6, 4, 1, stride=(2, 1))), "all")
    given = torch.randn(2, 6, 9, 5)
    expected = torch.einsum("oi,nift->noft", wide[0].weight[:, :, 0], given[:, :, ::2])
    assert torch.allclose(wide(given), expected + wide[0].bias[:, None, None], atol=1e-6)
    one = torch.einsum("oi,nit->not", flat[0].weight[:, :, 0], given[:, :, ::2, 0])
    assert torch.allclose(flat(given[..., 0]), one + flat[0].bias[:, None], atol=1e-6)


def test_it_trains_on_and_its_loss_falls() -> None:
    torch.manual_seed(1)
    network = ternarise(TCResNet8(4), "all")
    still = network.blocks[0].shortcut[0].weight.clone()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    # Four classes that differ in which ten of the features are loud.
    classes = torch.arange(32) % 4
    clips = torch.randn(32, 40, 32)
    for clip, number in zip(clips, classes, strict=True):
        clip[10 * number : 10 * number + 10] *= 3
    losses = []
    for _ in range(12):
        loss = functional.cross_entropy(network(clips), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(network.blocks[0].shortcut[0].weight, still)


def saved(network: nn.Module) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    return file


def test_a_checkpoint_is_loaded_by_its_seed() -> None:
    network = ternarise(TCResNet8(), "all", seed=3).eval()
    file = saved(network)
    state = torch.load(file, weights_only=True)
    assert f"{SHORTCUTS[0]}.weight" not in state  # made anew from the seed
    again = ternarise(TCResNet8(), "all", seed=3).eval()
    again.load_state_dict(state)
    clip = torch.randn(1, 40, 50)
    assert torch.equal(again(clip), network(clip))


@pytest.mark.parametrize("change", [{"seed": 4}, {"density": 0.5}, {"generator": "one_hot"}])
def test_a_checkpoint_of_other_matrices_is_refused(change: dict[str, object]) -> None:
    rule = {"seed": 3, "density": 0.25, "generator": "lfsr_threshold"}
    state = ternarise(TCResNet8(), "all", **rule).state_dict()
    other = ternarise(TCResNet8(), "all", **(rule | change))
    with pytest.raises(InvalidCheckpoint) as caught:
        other.load_state_dict(state)
    assert str(caught.value).startswith(
        "the checkpoint's matrix of blocks.0.shortcut.0 was not made from seed "
    )
    assert str(caught.value).endswith(
        "ternarise with the seed, density and generator that it was trained with"
    )


@pytest.mark.parametrize(
    ("module", "policy", "message"),
    [
        (nn.Sequential(nn.Conv1d(4, 4, 3)), "all", "Sequential has no 1x1 convolution to replace"),
        (nn.Sequential(nn.Conv1d(4, 4, 1)), "inner", "policy inner replaces none of the 1 1x1"),
        (
            TCResNet8(),
            "blocks.9.*",
            "'blocks.9.*' is none of all, inner, alternate, half, and",
        ),
        (TCResNet8(), "P3", "there are blocks.0.shortcut.0, blocks.1.shortcut.0"),
        (nn.Conv1d(4, 4, 1), "all", "Conv1d has no 1x1 convolution to replace"),
        ("network", "all", "ternarise needs a torch.nn.Module, not 'str'"),
    ],
)
def test_what_cannot_be_replaced_is_one_sentence(
    module: nn.Module, policy: str, message: str
) -> None:
    with pytest.raises(InvalidDesign) as caught:
        ternarise(module, policy)
    assert message in str(caught.value)
