"""TC-ResNet: counts by hand, the paper's, and those of a plain PyTorch network of our own."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml, read_yaml
from dse.design.families.family import Values
from dse.design.families.tcresnet import TCRESNET, tcresnet
from dse.design.mixer import DENSE, IDENTITY
from dse.design.point import DesignPoint, point_from_node
from dse.design.published import PUBLISHED, published, published_values
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile
from dse.networks.lowering import lower
from dse.networks.network import BATCH_NORM_EPS, build_network
from dse.pricing.filling import Filling
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep

FRAMES, OUTPUTS = 98, 12
FILE = Path(__file__).parents[3] / "examples" / "silicon" / "tc_resnet8.yaml"


def space(axes: str) -> SearchSpace:
    return space_from_node(parse_yaml(f"family: tcresnet\n{axes}", "space.yaml"))


# --- a plain network


class Block(nn.Module):
    """Two convolutions of kernel 9; where it widens, the first strides, and so does a 1x1."""

    def __init__(self, before: int, after: int, relu_on_skip: bool) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.body = nn.Sequential(
            nn.Conv1d(before, after, 9, stride=stride, padding=4, bias=False),
            nn.BatchNorm1d(after, eps=BATCH_NORM_EPS),
            nn.ReLU(),
            nn.Conv1d(after, after, 9, padding=4, bias=False),
            nn.BatchNorm1d(after, eps=BATCH_NORM_EPS),
        )
        self.skip = nn.Sequential()
        if before != after:
            self.skip.append(nn.Conv1d(before, after, 1, stride=2, bias=False))
            self.skip.append(nn.BatchNorm1d(after, eps=BATCH_NORM_EPS))
            if relu_on_skip:
                self.skip.append(nn.ReLU())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(inputs) + self.skip(inputs))


class Plain(nn.Module):
    """As arXiv 1904.03814 describes it, in plain PyTorch."""

    def __init__(self, widths: list[int], relu_on_skip: bool = True) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(40, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm1d(widths[0], eps=BATCH_NORM_EPS),
            nn.ReLU(),
            *(Block(before, after, relu_on_skip) for before, after in itertools.pairwise(widths)),
        )
        self.linear = nn.Linear(widths[-1], OUTPUTS)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.linear(self.layers(inputs).mean(dim=2))
        return scores


def count_macs(network: nn.Module) -> int:
    macs = []

    def watch(module: nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv1d | nn.Linear)
        places = output.shape[2] if output.ndim == 3 else 1
        macs.append(module.weight.numel() * places)

    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            module.register_forward_hook(watch)
    network.eval()(torch.zeros(1, 40, FRAMES))
    return sum(macs)


def widths_of(name: str) -> list[int]:
    eight, fourteen = [16, 24, 32, 48], [16, 24, 24, 32, 32, 48, 48]
    widths = fourteen if name.startswith("tcresnet-14") else eight
    return [width * 3 // 2 for width in widths] if name.endswith("-1.5") else widths


@pytest.mark.parametrize(
    ("name", "trained", "macs", "printed_flops"),
    [
        # Conv1 3 * 40 * 16 at 98 frames; B1 9 * 16 * 24 + 9 * 24 * 24 + 16 * 24 = 9,024 at 49, B2
        # 16,896 at 25, B3 36,096 at 13; the head 12 * 48. Two numbers for each of 16 + 3 * (24 + 32
        # + 48) normalised channels, and 12 biases.
        (
            "tcresnet-8",
            1_920 + 9_024 + 16_896 + 36_096 + 2 * 328 + 588,
            98 * 1_920 + 49 * 9_024 + 25 * 16_896 + 13 * 36_096 + 576,
            3.0e6,
        ),
        # Three more blocks of 2 * 9 * C * C and 4 C.
        (
            "tcresnet-14",
            65_180 + 18 * (24**2 + 32**2 + 48**2) + 4 * 104,
            1_522_560 + 18 * (49 * 24**2 + 25 * 32**2 + 13 * 48**2),
            6.1e6,
        ),
        ("tcresnet-8-1.5", 144_276, 3_284_208, 6.6e6),
        (
            "tcresnet-14-1.5",
            144_276 + 18 * (36**2 + 48**2 + 72**2) + 4 * 156,
            3_284_208 + 18 * (49 * 36**2 + 25 * 48**2 + 13 * 72**2),
            13.4e6,
        ),
    ],
)
def test_counts_are_those_by_hand_of_a_plain_network_and_of_the_paper(
    name: str, trained: int, macs: int, printed_flops: float
) -> None:
    workload = lower(published(name), frames=FRAMES, outputs=OUTPUTS)
    assert (workload.trained_parameters, workload.macs) == (trained, macs)
    plain = Plain(widths_of(name))
    assert sum(each.numel() for each in plain.parameters()) == trained
    assert count_macs(plain) == macs
    network = build_network(published(name), OUTPUTS)
    assert sum(each.numel() for each in network.parameters()) == trained
    # What the paper prints: two operations a MAC; and parameters with running statistics.
    assert round(2 * macs / 1e5) * 1e5 == pytest.approx(printed_flops)
    norms = [module for module in plain.modules() if isinstance(module, nn.BatchNorm1d)]
    statistics = sum(2 * norm.num_features for norm in norms)
    assert round((trained + statistics) / 1e3) * 1_000 == PUBLISHED[name].parameters


def test_the_scores_are_those_of_the_plain_network_without_relu_on_skips() -> None:
    torch.manual_seed(3)
    plain = Plain(widths_of("tcresnet-14"), relu_on_skip=False).eval()
    network = build_network(published("tcresnet-14"), OUTPUTS).eval()
    with torch.no_grad():
        for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
            theirs.copy_(torch.randn_like(theirs) * 0.2)
            ours.copy_(theirs)
        pictures = torch.randn(2, 40, FRAMES)
        assert torch.allclose(network(pictures), plain(pictures), rtol=1e-4, atol=1e-5)


def test_the_design_file_of_the_silicon_examples_is_the_published_network() -> None:
    assert point_from_node(read_yaml(FILE)) == published("tcresnet-8")


# --- names and axes


def test_names_are_the_axes_that_they_say() -> None:
    both: Values = {"separable": True, "prologue_separable": True}
    for name, values in {
        "tcresnet-8": {},
        "tcresnet-8-1.5": {"width_percent": 150},
        "tcresnet-14-2": {"block_repeats": 2, "width_percent": 200},
        "tcresnet-14-0.25-separable": {"block_repeats": 2, "width_percent": 25} | both,
        "tcresnet-8-separable-P3": {"policy": "P3", "density": 0.25} | both,
        "tcresnet-8-P2:bitnet": {"policy": "P2", "policy_mixer": "bitnet"},
    }.items():
        assert published_values(name, TCRESNET) == values
        assert published(name) == tcresnet(values)
    assert published("tcresnet-8").in_channels == 40
    assert published("tcresnet-8", in_channels=64).in_channels == 64


@pytest.mark.parametrize("name", ["tcresnet-10", "tcresnet-8-0", "tcresnet-8-1.555", "tcresnet-8-"])
def test_no_other_name_is_a_network(name: str) -> None:
    with pytest.raises(InvalidDesign, match=r"there is no published network .*, tcresnet-8, "):
        published(name)


@pytest.mark.parametrize("policy", ["P1", "alternate"])
def test_a_policy_that_replaces_nothing_is_refused(policy: str) -> None:
    with pytest.raises(InvalidDesign) as caught:
        published(f"tcresnet-14-{policy}")
    assert str(caught.value) == (
        f"policy {policy} replaces nothing in tcresnet-14, whose convolutions go over all "
        "channels: use P2, which replaces the 1x1 of its skips, or tcresnet-14-separable"
    )


def test_what_mixes_where() -> None:
    def mixers(values: Values) -> list[tuple[str, str | None, bool]]:
        return [
            (block.mixer.kind, block.skip and block.skip.kind, block.skip_norm)
            for block in tcresnet(values).blocks
        ]

    first = ("dense", None, True)
    wide, same = ("dense", "dense", True), ("dense", "identity", False)
    assert mixers({"block_repeats": 2}) == [first, wide, same, wide, same, wide, same]
    ternary_skips = [first, *[("dense", "ternary", True)] * 3]
    assert mixers({"policy": "P2"}) == mixers({"policy": "P4"}) == ternary_skips
    assert mixers({"skip": "identity_or_ternary"}) == ternary_skips
    # A mixing layer has no place in a block that is not separable.
    some: Values = {"separable_b2": True, "block_mixer": "ternary", "prologue_mixer": "ternary"}
    assert mixers(some) == [first, wide, ("ternary", "dense", True), wide]
    assert mixers({"separable": True, "policy": "P1"}) == [
        first,
        *[("ternary", "dense", True)] * 3,
    ]
    assert mixers({"prologue_separable": True, "policy": "P3"})[0] == ("ternary", None, True)


def test_separable_by_hand() -> None:
    # dw 3 * 40 and 1x1 40 * 16 at 98 frames; B1 9 * 16 + 16 * 24 + 9 * 24 + 24 * 24 at 49, and its
    # skip 16 * 24; B2, B3 likewise.
    def block(before: int, after: int) -> int:
        return 9 * (before + after) + (before + after) * after + before * after

    workload = lower(published("tcresnet-8-separable"), frames=FRAMES, outputs=OUTPUTS)
    convolutions = [(98, 760), (49, block(16, 24)), (25, block(24, 32)), (13, block(32, 48))]
    assert workload.macs == sum(frames * macs for frames, macs in convolutions) + 576
    assert workload.trained_parameters == sum(macs for _, macs in convolutions) + 2 * 328 + 588


def test_all_widths_are_scaled_down_to_one_channel() -> None:
    def widths(percent: int, **more: int) -> list[int]:
        values: Values = {"width_percent": percent, **more}
        return [block.out_channels for block in tcresnet(values).blocks]

    assert widths(150) == [24, 36, 48, 72]
    assert widths(1) == [1, 1, 1, 1]
    assert widths(110) == [17, 26, 35, 52]  # 17.6, 26.4, 35.2, 52.8
    assert widths(50, channels=10, channels_b2=7) == [8, 5, 3, 5]


# --- spaces


def test_a_space_asks_for_mixing_layers_where_blocks_are_separable() -> None:
    found = space(
        "separable: [true, false]\nblock_mixer: [dense, ternary]\ndensity: [0.25, 0.5]\n"
        "skip: [identity_or_dense, identity_or_ternary]\n"
    )
    # separable: dense 1x1 with either skip (1 + 2), ternary with either (2 + 2); not: 1 + 2.
    assert found.size == 7 + 3 == len(list(found.enumerate()))
    assert found.in_channels == 40 and found.family is TCRESNET
    keys = {found.point(values).key for values in found.enumerate()}
    assert len(keys) == found.size
    by_policy = space("separable: [true, false]\npolicy: [P0, P1, P2]\ndensity: [0.25, 0.5]\n")
    # separable: 1 + 2 + 2; not, P1 replaces nothing and has no density: 1 + 1 + 2.
    assert by_policy.size == 9
    values = published_values("tcresnet-8", TCRESNET)
    assert values is not None
    assert by_policy.complete(values) == {"separable": False, "policy": "P0"}


def test_a_sweep_of_it_equals_one_by_one() -> None:
    found = space(
        "blocks: [1, 2]\nblock_repeats: [1, 2]\nseparable: {values: [true, false], "
        "per_block: true}\npolicy: [P0, P2, half]\nwidth_percent: [50, 75]\nkernel: 3\n"
    )
    accelerator = load_accelerator("kws_ternary")
    machine = Machine(accelerator, load_technology(accelerator.technology))
    sweep = Sweep(found, Pricing((machine,), frames=30, outputs=3))
    rng = random.Random(5)

    def rows() -> Iterator[tuple[Values, dict[str, float]]]:
        for chunk in sweep.run():
            for row, digits in enumerate(chunk.digits):
                costs = {name: float(each[row]) for name, each in chunk.columns.items()}
                yield chunk.piece.values(digits), costs

    priced = list(rows())
    assert len(priced) == found.size
    for values, costs in rng.sample(priced, 20):
        workload = lower(found.point(values), frames=30, outputs=3)
        assert costs == estimate(workload, accelerator, machine.technology).columns()


def test_a_budget_solves_all_widths_at_once() -> None:
    accelerator = load_accelerator("kws_ternary")
    machine = Machine(accelerator, load_technology(accelerator.technology))
    pricing = Pricing((machine,), frames=FRAMES, outputs=OUTPUTS)
    filling = Filling(
        TCRESNET,
        pricing,
        "trained_parameters",
        144_276,
        in_channels=40,
        axis=TCRESNET.width,
    )
    [found] = filling.fill([{}])
    assert found.below is not None and found.above is not None
    # The most percent of equal networks: 152 % are 24.3, 36.5, 48.6 and 72.96 channels.
    assert (found.below.value, found.below.amount) == (152, 144_276)
    assert tcresnet({"width_percent": 152}) == tcresnet({"width_percent": 150})
    assert found.above.value == 153


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("kernel: 1", "'kernel' must be at least 3, not 1"),
        ("separable: 1", "'separable' must be one of true, false, not 1"),
        ("skip_norm: false", "there is no axis 'skip_norm'"),
        ("epilogue_channels: 8", "there is no axis 'epilogue_channels'"),
        ("block_mixer: ternary", "'block_mixer' changes no design of this space: leave it out"),
        ("density: 0.5", "'density' changes no design of this space (they have no ternary"),
        ("width_percent: 0", "'width_percent' must be at least 1, not 0"),
        ("width_percent: 1.5", "'width_percent' must be a whole number, not 1.5"),
        ("policy: P1\ndensity: 0.5", "'density' changes no design of this space"),
    ],
)
def test_bad_axes_are_refused_in_one_sentence(axes: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        space(axes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_other_families_have_none_of_its_axes() -> None:
    for name in ("separable", "prologue_separable", "width_percent"):
        with pytest.raises(InvalidFile, match=f"there is no axis '{name}'"):
            space_from_node(parse_yaml(f"family: quartznet\n{name}: 1", "space.yaml"))


def test_a_summary_tells_convolutions_over_all_channels() -> None:
    def summary(values: Values) -> str:
        point: DesignPoint = tcresnet(values)
        return point.summary

    assert summary({}) == "3x2x24/32/48 conv"
    assert summary({"separable": True}) == "3x2x24/32/48"
    assert summary({"separable_b3": True, "policy": "P2"}) == "3x2x24/32/48 conv/sep P2 0.25"
    assert [
        tcresnet({}).blocks[1].skip,
        tcresnet({"stride": 1, "channels": 16}).blocks[1].skip,
    ] == [
        DENSE,
        IDENTITY,
    ]
