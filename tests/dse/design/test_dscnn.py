"""DS-CNN: the paper's figures, counts of a plain PyTorch network of our own, sweeps, refusals."""

import dataclasses
import itertools
import random

import pytest
import torch
from torch import nn
from torch.nn import functional

from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import dump_yaml, parse_yaml
from cost_models.workload import LayerKind
from dse.design.families import own
from dse.design.families.dscnn import DSCNN, dscnn
from dse.design.families.family import Axis, Part, Values
from dse.design.families.own import Chosen, block_family
from dse.design.mixer import IDENTITY
from dse.design.point import Block, DesignPoint, point_from_node
from dse.design.published import published, published_values
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile, InvalidInput
from dse.networks.lowering import lower
from dse.pricing.filling import Filling
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from tests.dse.networks.others import count

FRAMES, OUTPUTS = 49, 12
SIZES = {"s": (64, 4, (2, 2), (1, 1)), "m": (172, 4, (2, 1), (2, 2)), "l": (276, 5, (2, 1), (2, 2))}
"""Channels, blocks, strides of the first layer and of the first block, over frames and bins."""


def space(axes: str) -> SearchSpace:
    return space_from_node(parse_yaml(f"family: dscnn\n{axes}", "space.yaml"))


def machine(name: str = "kws_ternary") -> Machine:
    accelerator = load_accelerator(name)
    return Machine(accelerator, load_technology(accelerator.technology))


# --- a plain network


class Plain(nn.Module):
    """As Hello Edge describes it, with padding of TensorFlow's, in plain PyTorch."""

    def __init__(self, size: str, bias: bool) -> None:
        super().__init__()
        channels, blocks, first, second = SIZES[size]
        layers: list[nn.Module] = [nn.Conv2d(1, channels, (10, 4), stride=first, bias=bias)]
        for block in range(blocks):
            stride = second if block == 0 else (1, 1)
            layers.append(
                nn.Conv2d(channels, channels, 3, stride=stride, groups=channels, bias=bias)
            )
            layers.append(nn.Conv2d(channels, channels, 1, bias=bias))
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in layers)
        self.linear = nn.Linear(channels, OUTPUTS)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            assert isinstance(layer, nn.Conv2d)
            pads: list[int] = []
            for size, kernel, stride in zip(
                values.shape[:1:-1], layer.kernel_size[::-1], layer.stride[::-1], strict=True
            ):
                over = kernel - stride if size % stride == 0 else kernel - size % stride
                pads += [max(over, 0) // 2, max(over, 0) - max(over, 0) // 2]
            values = functional.relu(norm(layer(functional.pad(values, pads))))
        scores: torch.Tensor = self.linear(values.mean(dim=(2, 3)))
        return scores


@pytest.mark.parametrize(
    ("size", "trained", "macs", "printed_kb", "printed_mops"),
    [
        # Conv1 64 * 40 at 25 x 5, four times 64 * 9 + 64 * 64, the head 64 * 12 + 12; two numbers
        # for each of 9 * 64 normalised channels.
        ("s", 2_560 + 4 * 4_672 + 780 + 9 * 128, 125 * (2_560 + 4 * 4_672) + 768, 38.6, 5.4),
        # Conv1 at 25 x 10; blocks at 13 x 5.
        (
            "m",
            6_880 + 4 * (1_548 + 172**2) + 2_076 + 9 * 344,
            250 * 6_880 + 65 * 4 * (1_548 + 172**2) + 2_064,
            189.2,
            19.8,
        ),
        (
            "l",
            11_040 + 5 * (2_484 + 276**2) + 3_324 + 11 * 552,
            250 * 11_040 + 65 * 5 * (2_484 + 276**2) + 3_312,
            497.6,
            56.9,
        ),
    ],
)
def test_counts_are_those_by_hand_of_a_plain_network_and_of_the_paper(
    size: str, trained: int, macs: int, printed_kb: float, printed_mops: float
) -> None:
    workload = lower(published(f"ds-cnn-{size}"), frames=FRAMES, outputs=OUTPUTS)
    assert (workload.trained_parameters, workload.macs) == (trained, macs)
    picture = torch.zeros(1, 1, FRAMES, 10)
    assert count(Plain(size, bias=False), picture) == (trained, macs)
    # The paper's table, quoted from memory: bytes of 8-bit weights with norms merged into them, an
    # offset for each output, and the two tensors of the layer that has most; operations are
    # products and sums, the offsets' and the mean's among them.
    layers = [each for each in workload.layers if each.weight_entries]
    stored = sum(each.weight_entries + each.out_channels for each in layers)
    tensors = max(
        before.out_channels * before.out_pixels + after.out_channels * after.out_pixels
        for before, after in itertools.pairwise(layers[:-1])
    )
    assert round((stored + tensors) / 1e3, 1) == printed_kb
    offsets = sum(each.out_channels * each.out_pixels for each in layers[:-1])
    done = workload.macs + workload.additions + offsets
    assert round(done / 1e6, 1) == printed_mops


def test_the_model_of_mlperf_tiny_has_a_bias_more_in_each_convolution() -> None:
    # Keras counts biases in front of batch norms, and their two statistics: 24,908 (24.9 K).
    ours = lower(published("ds-cnn-s"), frames=FRAMES, outputs=OUTPUTS)
    with_biases, macs = count(Plain("s", bias=True), torch.zeros(1, 1, FRAMES, 10))
    assert (with_biases, macs) == (ours.trained_parameters + 9 * 64, ours.macs)
    assert with_biases == 23_756 and with_biases + 9 * 128 == 24_908


def test_layers_by_hand() -> None:
    layers = {
        each.name: each
        for each in lower(published("ds-cnn-m-P3"), frames=FRAMES, outputs=OUTPUTS).layers
    }
    first, deep, mix = layers["Conv1.0.conv"], layers["B1.0.dw"], layers["B1.0.pw"]
    assert (first.in_channels, first.in_frames, first.in_bins) == (1, 49, 10)
    assert (first.out_frames, first.out_bins, first.taps) == (25, 10, 40)
    assert (deep.out_frames, deep.out_bins, deep.stride, deep.bin_stride) == (13, 5, 2, 2)
    assert list(layers)[3:9] == [
        "B1.0.dw",
        "B1.0.dw.bn",
        "B1.0.dw.relu",
        "B1.0.pw",
        "B1.0.pw.bn",
        "B1.0.relu",
    ]
    # Norms merge into trained weights, and not into trits.
    assert layers["B1.0.dw.bn"].folded and not layers["B1.0.pw.bn"].folded
    assert (mix.in_bins, mix.out_bins, mix.macs) == (5, 5, 0) and mix.nonzeros > 0
    assert layers["head.pool"].additions == 172 * 13 * 5
    assert [each.kind for each in layers.values()].count(LayerKind.BATCH_NORM) == 9


# --- names, files, keys


def test_names_are_the_axes_that_they_say() -> None:
    assert published("ds-cnn-s") == dscnn({})
    assert published_values("ds-cnn-s-P3", DSCNN) == {"policy": "P3", "density": 0.25}
    wide = published("ds-cnn-l-P3:bitnet")
    assert {block.mixer.kind for block in wide.blocks[1:]} == {"bitnet"}
    assert (wide.in_channels, wide.in_bins, wide.features) == (1, 10, 10)
    assert published("ds-cnn-s", in_channels=40).in_bins == 40
    assert published("ds-cnn-s").summary == "5x1x64 conv/sep 10 bins"
    assert published("ds-cnn-s-P3").summary == "5x1x64 conv/sep 10 bins P3 0.25"
    for name in ("ds-cnn", "ds-cnn-xl", "ds-cnn-s-2"):
        with pytest.raises(InvalidDesign, match=r"there is no published network .*, ds-cnn-l; "):
            published(name)


@pytest.mark.parametrize("policy", ["P1", "P2", "alternate", "half"])
def test_a_policy_of_skips_is_refused(policy: str) -> None:
    with pytest.raises(InvalidDesign) as caught:
        published(f"ds-cnn-m-{policy}")
    assert str(caught.value) == (
        f"policy {policy} replaces nothing in ds-cnn-m, whose blocks have no skips: use P3, which "
        "replaces the 1x1 of all of them"
    )


def test_a_design_file_keeps_all_and_says_of_bins_only_where_there_are_any() -> None:
    point = published("ds-cnn-m-P3")
    again = point_from_node(parse_yaml(dump_yaml(point.to_dict()), "design.yaml"))
    assert again == point and again.key == point.key
    others = [published("ds-cnn-m-P3", in_channels=11), dscnn({"kernel_bins": 5}), dscnn({})]
    others += [dscnn({"prologue_bin_stride": 1}), dscnn({"bin_stride_b2": 2})]
    assert len({each.key for each in [point, *others]}) == 6
    plain = published("matchboxnet-3x1x64").to_dict()
    said = {"in_bins", "kernel_bins", "bin_stride", "depthwise_norm"}
    assert not said & (plain.keys() | {key for block in plain["blocks"] for key in block})


# --- refusals


def block(**changes: object) -> Block:
    fields: dict[str, object] = {"name": "B1", "out_channels": 4, "kernel_size": 3}
    return Block(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DesignPoint(blocks=(block(kernel_bins=3),), in_channels=8),
            "block B1 has kernel_bins 3, bin_stride 1, depthwise_norm false, and frames of one "
            "bin: give the design in_bins, with in_channels 1",
        ),
        (
            lambda: DesignPoint(blocks=(block(depthwise_norm=True),), in_channels=8),
            "block B1 has kernel_bins 1, bin_stride 1, depthwise_norm true, and frames of one bin",
        ),
        (
            lambda: DesignPoint(blocks=(block(),), in_channels=1, in_bins=8, head="framewise"),
            "head framewise has no answer for 8 bins of a frame: use pooled",
        ),
        (
            lambda: block(bin_stride=2, separable=False, kernel_size=1),
            "block B1 has bin_stride 2 and no kernel but a 1x1: stride over bins in a separable",
        ),
        (lambda: block(depthwise_norm=True, separable=False), "B1 has depthwise_norm and no depth"),
        (lambda: block(kernel_size=4), "kernel_size must be odd"),
        (lambda: dscnn({}, in_channels=1), "which must be at least 2, not 1: give in_channels"),
        (lambda: dscnn({"kernel_bins": 300}), "kernel_bins must be from 1 to 255, not 300"),
        (lambda: dscnn({"kernel": 4, "kernel_bins": 1}), "kernel_size must be odd"),
    ],
)
def test_what_fits_no_network_is_one_sentence(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(InvalidInput) as caught:
        make()
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("skip: dense", "there is no axis 'skip'"),
        ("density: 0.5", "'density' changes no design of this space"),
        ("policy: P2\ndensity: 0.5", "'density' changes no design of this space"),
        ("policy: P3\nblock_mixer: dense", "'policy' chooses 'block_mixer' as well"),
        ("blocks: 2\nbin_stride_b3: 2", "'bin_stride_b3' is of a block that no design has"),
        ("prologue_kernel_bins: 0", "'prologue_kernel_bins' must be at least 1, not 0"),
    ],
)
def test_bad_axes_are_refused_in_one_sentence(axes: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        space(axes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


# --- spaces


SPACE = (
    "blocks: [1, 2, 3]\npolicy: [P0, P3]\ndensity: {values: [0.25, 0.5], per_block: true}\n"
    "channels: {values: [8, 12], per_block: true}\nkernel: [3, 4, 5]\n"
    "kernel_bins: {values: [1, 3, 4], per_block: true}\nstride_b1: [1, 2]\nbin_stride: [1, 2]\n"
    "prologue_channels: [8, 16]\nprologue_bin_stride: [1, 2]\nprologue_kernel_bins: [2, 4]\n"
)


def test_a_sweep_of_it_equals_one_by_one() -> None:
    found, on = space(SPACE), machine()
    hop = Listening(hop_frames=4, frame_ms=20)
    sweep = Sweep(found, Pricing((on,), frames=FRAMES, outputs=3, listening=hop))
    priced = 0
    for chunk in sweep.run(sample=60, seed=4):
        for row, digits in enumerate(chunk.digits):
            values = chunk.piece.values(digits)
            costs = {name: float(each[row]) for name, each in chunk.columns.items()}
            try:
                point = found.point(values)
            except InvalidInput:  # an even kernel over one bin
                assert costs["energy_pj"] != costs["energy_pj"]
                continue
            workload = lower(point, frames=FRAMES, outputs=3)
            alone = estimate(workload, on.accelerator, on.technology).columns()
            assert {name: costs[name] for name in alone} == alone
            priced += 1
    assert priced > 20


def test_designs_and_assignments_are_the_same_parts() -> None:
    found = space(SPACE)
    book = Pricing((machine(),), frames=FRAMES, outputs=3).book
    rng, seen = random.Random(3), 0
    while seen < 40:
        values = found.sample(rng)
        try:
            point = found.point(values)
        except InvalidInput:
            continue
        [(_, [numbers])] = book.cut([point]).groups
        assert numbers.tolist() == book.number_parts(DSCNN, values, found.in_channels)
        seen += 1


def test_a_budget_solves_the_width() -> None:
    pricing = Pricing((machine(),), frames=FRAMES, outputs=OUTPUTS)
    filling = Filling(DSCNN, pricing, "trained_parameters", 23_180, in_channels=10)
    [solved] = filling.fill([{}])
    assert solved.below is not None
    assert (solved.below.value, solved.below.amount) == (64, 23_180)


def test_a_published_network_is_a_design_of_a_space_with_its_axes() -> None:
    values = published_values("ds-cnn-m", DSCNN)
    assert values is not None
    found = space(
        "blocks: [4]\nchannels: [64, 172]\nprologue_channels: [64, 172]\nstride_b1: [1, 2]\n"
        "bin_stride_b1: [1, 2]\nprologue_bin_stride: [1, 2]\npolicy: [P0, P3]\ndensity: [0.25]\n"
    )
    complete = found.complete(values)
    assert complete is not None and found.point(complete) == published("ds-cnn-m")
    assert found.in_channels == 10 and found.size == 2**5 * 2


def test_what_matters_and_what_mixes() -> None:
    def kinds(values: Values) -> list[str]:
        return [block.mixer.kind for block in dscnn(values).blocks]

    assert kinds({"blocks": 2, "policy": "P3"}) == ["dense", "ternary", "ternary"]
    assert kinds({"blocks": 2, "block_mixer_b2": "grouped"}) == ["dense", "dense", "grouped"]
    seeded: Values = {"block_mixer": "ternary", "ternary_seed": 5}
    assert (dscnn(seeded).ternary_seed, dscnn({"ternary_seed": 5}).ternary_seed) == (5, 1)
    assert DSCNN.matters("density_b2", {"block_mixer_b2": "ternary"})
    assert not DSCNN.matters("density_b1", {"block_mixer_b2": "ternary"})
    assert not DSCNN.matters("channels_b5", {"blocks": 4})


# --- a family of one's own


def test_a_family_of_ones_own_has_bins_and_skips() -> None:
    def blocks(chosen: Chosen) -> list[Block]:
        first = Block(
            name="First",
            out_channels=chosen("channels"),
            kernel_size=3,
            kernel_bins=3,
            bin_stride=chosen("bin_stride"),
            separable=False,
        )
        rest = Block(
            name="Rest",
            out_channels=chosen("channels"),
            kernel_size=3,
            kernel_bins=3,
            separable=False,
            repeats=2,
            skip=IDENTITY,
            skip_norm=False,
        )
        return [first, rest]

    axes = {
        "channels": Axis(default=8, help="width"),
        "bin_stride": Axis(default=2, help="of the first layer"),
    }
    family = block_family(name="small", axes=axes, blocks=blocks, features=9, over_bins=True)
    own._check(family)
    assert family.over_bins
    book = Pricing((machine(),), frames=FRAMES, outputs=3).book
    for stride, bins in ((1, 9), (2, 5), (4, 3)):
        values: Values = {"bin_stride": stride}
        parts = [family.part(values, index, 9) for index in range(3)]
        assert [part.in_bins for part in parts] == [9, bins, bins]
        point = family.build(values)
        assert (point.in_channels, point.in_bins) == (1, 9)
        [(_, [numbers])] = book.cut([point]).groups
        assert numbers.tolist() == book.number_parts(family, values, 9)

    def wrong(values: object, index: int, features: int) -> Part:
        return dataclasses.replace(family.part({}, index, features), in_bins=9)

    with pytest.raises(InvalidDesign) as caught:
        own._check(dataclasses.replace(family, part=wrong))
    assert str(caught.value) == (
        "part 1 says that it reads (channels, strides before, bits, bins) (8, [], 8, 9), and those "
        "before it leave (8, [], 8, 5)"
    )
