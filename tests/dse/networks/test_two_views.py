"""One design point, two views: what the torch network does equals what the workload says.

The network is counted from its modules and the shapes that go through them, without the workload's
formulas; nothing here knows how a block is lowered.
"""

import itertools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cost_models.workload import CONVOLUTIONS, LayerKind, WeightSource
from dse.design.families import FAMILIES as FAMILIES_OF_NETWORKS
from dse.design.families.family import Values
from dse.design.families.matchboxnet import matchboxnet
from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.policies import POLICIES
from dse.design.published import published
from dse.errors import InvalidDesign, InvalidInput
from dse.networks.lowering import lower
from dse.networks.network import build_network
from dse.networks.ternary_convolution import TernaryConv1d
from dse.ternary.generators import FAMILIES, Generator

Shape = dict[str, int]


class _Sums(TorchDispatchMode):
    """Counts values that tensor additions make, the residual sums, and those that a mean reads.

    Only the mean over frames and bins: that over frames is a module, which is watched.
    """

    def __init__(self, over_bins: bool) -> None:
        super().__init__()
        self.additions = 0
        self.over_bins = over_bins

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.add.Tensor:
            self.additions += result.numel()
        if self.over_bins and func is torch.ops.aten.mean.dim:
            self.additions += args[0].numel()
        return result


def count_network(point: DesignPoint, *, frames: int, outputs: int) -> dict[str, Any]:
    """Counts of the torch network for one inference, and its scores' shape."""
    network = build_network(point, outputs).eval()
    matrices: list[Shape] = []
    norms: list[Shape] = []
    totals = {"macs": 0, "additions": 0, "batch_norm_parameters": 0}

    def watch(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, nn.Conv1d | nn.Conv2d | TernaryConv1d | nn.Linear):
            _, columns, *taps = module.weight.shape
            in_frames, out_frames = inputs[0][0, 0].numel(), output[0, 0].numel()
            entries = int(module.weight.numel())
            trained = sum(weight.numel() for weight in module.parameters())
            if isinstance(module, TernaryConv1d):
                macs, additions = 0, int(torch.count_nonzero(module.weight)) * out_frames
            else:
                macs = entries * out_frames
                additions = macs + (output.numel() if module.bias is not None else 0)
            totals["macs"] += macs
            totals["additions"] += additions
            matrices.append(
                {
                    "inputs": columns * getattr(module, "groups", 1),
                    "outputs": output.shape[1],
                    "kernel": math.prod(taps),
                    "in_frames": in_frames,
                    "out_frames": out_frames,
                    "trained": trained,
                    "macs": macs,
                    "additions": additions,
                }
            )
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            trained = sum(weight.numel() for weight in module.parameters())
            totals["batch_norm_parameters"] += trained
            # It merges into trained weights, if such stand before it in the same row of modules.
            folded = len(list(previous[id(module)].parameters())) > 0
            totals["additions"] += 0 if folded else output.numel()
            norms.append({"channels": output.shape[1], "frames": output[0, 0].numel()})
        elif isinstance(module, nn.AdaptiveAvgPool1d):
            totals["additions"] += inputs[0].numel()

    previous: dict[int, nn.Module] = {}
    for container in network.modules():
        if isinstance(container, nn.Sequential):
            previous |= {id(norm): one for one, norm in pairwise(container)}
    for module in network.modules():
        module.register_forward_hook(watch)
    sums = _Sums(point.has_bins)
    with torch.no_grad(), sums:
        scores = network(torch.randn(1, point.features, frames))
    totals["additions"] += sums.additions
    parameters = sum(weight.numel() for weight in network.parameters())
    return totals | {
        "matrices": matrices,
        "norms": norms,
        "parameters": parameters,
        "scores": tuple(scores.shape),
    }


def count_workload(point: DesignPoint, *, frames: int, outputs: int) -> dict[str, Any]:
    """The same counts as the workload gives them."""
    workload = lower(point, frames=frames, outputs=outputs)
    last = workload.layers[-1]
    norms = [layer for layer in workload.layers if layer.kind is LayerKind.BATCH_NORM]
    return {
        "macs": workload.macs,
        "additions": workload.additions,
        "batch_norm_parameters": sum(layer.trained_parameters for layer in norms),
        "matrices": [
            {
                "inputs": layer.in_channels,
                "outputs": layer.out_channels,
                "kernel": layer.taps,
                "in_frames": layer.in_pixels,
                "out_frames": layer.out_pixels,
                "trained": layer.trained_parameters,
                "macs": layer.macs,
                "additions": layer.additions,
            }
            for layer in workload.layers
            if layer.kind in CONVOLUTIONS
        ],
        "norms": [{"channels": layer.out_channels, "frames": layer.out_pixels} for layer in norms],
        "parameters": workload.trained_parameters,
        "scores": (1, last.out_channels, last.out_frames)[: 2 if point.head == "pooled" else 3],
    }


# --- random designs


DENSITIES = {
    "lfsr_threshold": (1 / 256, 0.125, 97 / 256, 1.0),
    "lfsr_and": (1 / 256, 0.125, 1.0),
    "one_hot": (0.25, 0.5, 1.0),
    "counter_arx": (1 / 256, 97 / 256, 1.0),
    "sobol": (0.25, 0.5, 1.0),
}


@st.composite
def mixers(draw: st.DrawFn, kinds: tuple[str, ...] = ("dense", "ternary", "identity")) -> Mixer:
    kind = draw(st.sampled_from(kinds))
    if kind != "ternary":
        return IDENTITY if kind == "identity" else DENSE
    family = draw(st.sampled_from(list(FAMILIES)))
    density = draw(st.sampled_from(DENSITIES[family]))
    # A row of width 4 has one block of 4, and balanced signs need two.
    signs = ("random", "balanced") if family == "one_hot" and density > 0.25 else ("random",)
    generator = Generator(family=family, signs=draw(st.sampled_from(signs)))
    return Mixer(kind="ternary", density=density, generator=generator)


def unstrided(blocks: list[Block]) -> list[Block]:
    """The last blocks, from the one behind the last that strides."""
    found = itertools.takewhile(lambda block: block.stride == 1, reversed(blocks))
    return list(found)[::-1]


@st.composite
def valid_points(draw: st.DrawFn) -> DesignPoint:
    """Designs of one to four blocks of every kind; widths are multiples of 4, so that all fit."""
    widths = st.sampled_from((4, 8, 12))
    in_channels = channels = draw(widths)
    blocks = []
    for number in range(draw(st.integers(1, 4))):
        kernel_size = draw(st.sampled_from((1, 3, 5)))
        separable = draw(st.booleans())
        stride = draw(st.integers(1, 3))
        same = draw(st.booleans())
        out_channels = channels if same else draw(widths)
        same = out_channels == channels
        kinds = ("dense", "ternary", "identity") if same else ("dense", "ternary")
        mixes = separable or kernel_size == 1
        strides = stride > 1 and not separable
        mixer = draw(mixers(kinds[:2] if strides else kinds)) if mixes else DENSE
        # Dense residuals: from inputs with as many frames.
        near = [] if stride > 1 else [each.name for each in unstrided(blocks)]
        skip_kinds = kinds if stride == 1 else ("dense", "ternary")
        skip = draw(st.none() | mixers(skip_kinds))
        blocks.append(
            Block(
                name=f"B{number}",
                out_channels=out_channels,
                kernel_size=kernel_size,
                repeats=draw(st.integers(1, 3)),
                stride=stride,
                dilation=draw(st.integers(1, 3)),
                dropout=draw(st.sampled_from((0.0, 0.5))),
                separable=separable,
                groups=draw(st.sampled_from((1, 2, 4))) if mixer.kind == "dense" else 1,
                mixer=mixer,
                skip=skip,
                skips_from=tuple(draw(st.lists(st.sampled_from(near), unique=True)))
                if near and skip
                else (),
                skip_norm=draw(st.booleans()),
            )
        )
        channels = out_channels
    return DesignPoint(
        blocks=tuple(blocks),
        in_channels=in_channels,
        head=draw(st.sampled_from(("pooled", "framewise"))),
        ternary_seed=draw(st.integers(0, 3)),
    )


def wild_block(draw: Callable[..., Any], name: str) -> Block:
    """A block that may contradict itself or its input."""

    def mostly(usual: int, *rare: int) -> int:
        value: int = draw(st.sampled_from((usual,) * 20 + rare))
        return value

    return Block(
        name=name,
        out_channels=mostly(8, 0, 6, 12),
        kernel_size=mostly(3, 0, 1, 2),
        repeats=mostly(1, 0, 2),
        stride=mostly(1, 0, 2),
        dilation=mostly(1, 0, 2),
        separable=draw(st.booleans()),
        groups=mostly(1, 0, 2, 3),
        mixer=draw(mixers()),
        skip=draw(st.none() | mixers()),
    )


@settings(deadline=None, max_examples=100)
@given(valid_points(), st.integers(1, 20), st.integers(1, 4))
def test_the_network_does_what_the_workload_says(
    point: DesignPoint, frames: int, outputs: int
) -> None:
    network = count_network(point, frames=frames, outputs=outputs)
    assert network == count_workload(point, frames=frames, outputs=outputs)


def test_two_blocks_may_hear_the_same_one() -> None:
    """Dense residuals name the path and the sum, and no ReLU: two were called that of B0."""
    heard = {"kernel_size": 3, "out_channels": 4, "skip": DENSE, "skips_from": ("B0",)}
    blocks = (
        Block(name="B0", out_channels=4, kernel_size=3),
        *(Block(name=name, **heard) for name in ("B1", "B2")),  # type: ignore[arg-type]
    )
    names = [layer.name for layer in lower(DesignPoint(blocks=blocks), frames=8, outputs=2).layers]
    assert [name for name in names if name.endswith("relu")] == [
        "B0.0.relu",
        "B1.0.relu",
        "B2.0.relu",
    ]


@st.composite
def points_of_families(draw: st.DrawFn) -> DesignPoint:
    """Small networks of every family, from values of their axes."""
    family = draw(st.sampled_from(list(FAMILIES_OF_NETWORKS.values())))
    values: Values = {"prologue_kernel": 3, "epilogue_kernel": 5, "kernel": 3, "density": 0.5}
    values |= {"channels": 8, "prologue_channels": 8, "epilogue_channels": 8, "final_channels": 8}
    values = {name: value for name, value in values.items() if name in family.axes}
    choices: dict[str, list[Any]] = {
        "blocks": [1, 2, 3],
        "block_repeats": [1, 2],
        "separable": [True, False],
        "separable_b1": [True, False],
        "prologue_separable": [True, False],
        "width_percent": [100, 200],
        "repeats": [1, 2],
        "policy": list(POLICIES),
        "policy_mixer": ["ternary", "grouped", "dense"],
        "channels_b2": [4, 12],
        "mixer_groups_b1": [2, 4],
        "density_b1": [0.25, 1.0],
        "repeats_b1": [1, 3],
        "kernel_b2": [5, 7] if "separable" in family.axes else [1, 5],
        "kernel_bins_b2": [1, 2, 5],
        "stride_b1": [1, 2],
        "bin_stride_b1": [1, 2],
        "dilation": [1, 2],
        "skip_norm": [True, False],
        "prologue_stride": [1, 2],
    }
    for name, options in choices.items():
        there = name in family.axes or name[:-3] in family.axes
        if there and family.matters(name, values) and draw(st.booleans()):
            values[name] = draw(st.sampled_from(options))
    return family.build(values, in_channels=draw(st.sampled_from((4, 8))))


@settings(deadline=None, max_examples=15)
@given(points_of_families(), st.integers(1, 20))
def test_networks_of_families_do_what_their_workloads_say(point: DesignPoint, frames: int) -> None:
    network = count_network(point, frames=frames, outputs=3)
    assert network == count_workload(point, frames=frames, outputs=3)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_design_is_refused_before_either_view_or_by_none(data: st.DataObject) -> None:
    try:
        usual = [("B1",)] * 8
        names = data.draw(st.sampled_from([*usual, ("B1", "B1"), ("B1", "B2"), ("keys",)]))
        point = DesignPoint(
            blocks=tuple(wild_block(data.draw, name) for name in names),
            in_channels=data.draw(st.sampled_from((8, 8, 8, 0, 6))),
        )
    except InvalidInput:
        event("refused")
        return
    event("accepted")
    assert count_network(point, frames=7, outputs=2) == count_workload(point, frames=7, outputs=2)


@pytest.mark.parametrize(
    ("name", "frames", "outputs"),
    [
        ("matchboxnet-3x1x64", 128, 30),
        ("matchboxnet-3x2x64-P1", 128, 30),
        ("matchboxnet-3x2x64-P2", 101, 12),
        ("matchboxnet-6x2x64-P3", 128, 35),
        ("matchboxnet-3x1x64-P4", 128, 30),
        ("quartznet-5x5", 101, 29),
        ("quartznet-5x5-P4", 100, 29),
        ("tcresnet-14-1.5-P2", 98, 12),
        ("tcresnet-8-separable-P3", 98, 12),
    ],
)
def test_published_networks_do_what_their_workloads_say(
    name: str, frames: int, outputs: int
) -> None:
    point = published(name)
    network = count_network(point, frames=frames, outputs=outputs)
    assert network == count_workload(point, frames=frames, outputs=outputs)


def test_the_counts_of_the_network_are_the_published_ones() -> None:
    network = count_network(published("matchboxnet-3x1x64"), frames=128, outputs=30)
    assert (network["parameters"], network["macs"]) == (77_214, 9_195_264)
    # Two numbers a channel: Conv1 128, three blocks and their skips 2 * 64, Conv2 and Conv3 128.
    assert network["batch_norm_parameters"] == 2 * (128 + 3 * 2 * 64 + 128 + 128)


def test_names_of_ternary_matrices_are_the_same_in_both_views() -> None:
    # The matrix is a function of the name, so the counts agree only if the names do.
    point = published("matchboxnet-3x2x64-P4")
    modules = [
        module for module in build_network(point, 30).modules() if isinstance(module, TernaryConv1d)
    ]
    layers = [
        layer
        for layer in lower(point, frames=128, outputs=30).layers
        if layer.weights is WeightSource.GENERATED
    ]
    assert [int(module.weight.count_nonzero()) for module in modules] == [
        layer.nonzeros for layer in layers
    ]


@pytest.mark.parametrize("name", ["frames", "outputs"])
def test_an_inference_needs_frames_and_outputs(name: str) -> None:
    sizes = {"frames": 1, "outputs": 1} | {name: 0}
    with pytest.raises(InvalidDesign, match=f"^{name} must be from 1 to 1[0,]*, not 0$"):
        lower(matchboxnet({}), **sizes)


def test_a_network_needs_outputs() -> None:
    with pytest.raises(InvalidDesign, match=r"^outputs must be at least 1, not 0$"):
        build_network(matchboxnet({}), 0)
