"""Networks over bins: the trained one is the priced one, layer by layer; padding; what refuses."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cost_models.workload import Layer
from dse.design.families.dscnn import dscnn
from dse.design.mixer import DENSE, IDENTITY, KINDS, Mixer
from dse.design.places import check_one_dimension
from dse.design.point import Block, DesignPoint
from dse.design.published import published
from dse.errors import InvalidDesign
from dse.interchange.nemo_export import nemo_yaml
from dse.networks.lowering import lower
from dse.networks.network import build_network
from dse.networks.network_2d import PixelNetwork, SameConv2d, same_padding
from dse.networks.tracing import trace
from dse.training.fast import fast_scores
from dse.training.integer import quantise_network
from dse.training.rounded import rounded_scores
from dse.training.sampled import sampling_of
from dse.training.source import Source
from tests.dse.design.test_dscnn import FRAMES, OUTPUTS, Plain


class Inner(nn.Module):
    """The network behind the reshape of its features: what reads pixels can be traced."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.network, PixelNetwork)
        return self.network.of_pixels(values)


def without_name(layer: Layer) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(layer).items() if key != "name"}


@pytest.mark.parametrize("name", ["ds-cnn-s-P3", "ds-cnn-m", "ds-cnn-l-P3@4x32"])
def test_what_is_trained_is_what_is_priced_layer_by_layer(name: str) -> None:
    point = published(name)
    network = build_network(point, OUTPUTS).eval()
    priced = lower(point, frames=FRAMES, outputs=OUTPUTS).layers
    traced = trace(Inner(network), torch.zeros(1, 1, FRAMES, 10)).layers
    assert [without_name(each) for each in priced[:-1]] == [without_name(each) for each in traced]
    assert priced[-1].name == "head.argmax"  # which no network of torch computes


@pytest.mark.parametrize("size", ["s", "m"])
def test_the_scores_are_those_of_the_plain_network(size: str) -> None:
    torch.manual_seed(3)
    plain = Plain(size, bias=False).eval()
    network = build_network(published(f"ds-cnn-{size}"), OUTPUTS).eval()
    for norm in plain.norms:
        assert isinstance(norm, nn.BatchNorm2d)
        norm.eps = 1e-3
    ours = [each for each in network.modules() if hasattr(each, "weight")]
    theirs = [each for pair in zip(plain.layers, plain.norms, strict=True) for each in pair]
    with torch.no_grad():
        plain.linear.bias.zero_()  # as ours begins with
        for one, other in zip(ours, [*theirs, plain.linear], strict=True):
            other.weight.copy_(torch.randn_like(other.weight) * 0.3)  # type: ignore[operator]
            one.weight.copy_(other.weight)  # type: ignore[operator]
        pictures = torch.randn(2, 10, FRAMES)
        expected = plain(pictures.transpose(1, 2).unsqueeze(1))
        assert torch.allclose(network(pictures), expected, rtol=1e-4, atol=1e-6)
        assert torch.equal(network(pictures), fast_scores(network, pictures))


def test_padding_is_tensorflow_s() -> None:
    # By hand: 49 frames, 10 taps, stride 2: 25 windows see 24 * 2 + 10 = 58, 9 more than there are.
    assert same_padding(49, 10, 2, 1) == (4, 5)
    assert same_padding(10, 4, 2, 1) == (1, 1)  # 5 windows see 12
    assert same_padding(10, 3, 2, 1) == (0, 1)  # 5 windows see 11
    assert same_padding(10, 1, 2, 1) == (0, 0)
    assert same_padding(8, 3, 1, 4) == (4, 4)


sizes = st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(1, 3))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(sizes, sizes, st.integers(1, 3))
def test_sizes_are_those_of_the_cost_model(
    over_frames: tuple[int, int, int], over_bins: tuple[int, int, int], dilation: int
) -> None:
    (frames, kernel, stride), (bins, taps, bin_stride) = over_frames, over_bins
    layer = SameConv2d(2, 2, (kernel, taps), (stride, bin_stride), (dilation, 1), groups=2)
    made = layer(torch.zeros(1, 2, frames, bins))
    assert made.shape[2:] == (-(-frames // stride), -(-bins // bin_stride))


def residual(mixer: Mixer, **changes: Any) -> DesignPoint:
    """A strided wide layer, then a residual block whose skip strides over frames."""
    first = Block(
        name="A", out_channels=8, kernel_size=3, kernel_bins=2, bin_stride=2, separable=False
    )
    fields: dict[str, Any] = {"repeats": 2, "stride": 2, "skip": mixer} | changes
    second = Block(name="B", out_channels=8, kernel_size=3, kernel_bins=3, mixer=mixer, **fields)
    return DesignPoint(blocks=(first, second), in_channels=1, in_bins=6)


SIZES: dict[str, dict[str, Any]] = {
    "density": {"density": 0.5},
    "generator": {},
    "trained_share": {"trained_share": 0.5},
    "groups": {"groups": 2},
    "rank": {"rank": 2},
    "blocks": {"blocks": 2},
    "block_size": {"block_size": 4},
    "code_length": {"code_length": 4},
    "code_bits": {"code_bits": 2},
}


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "identity"])
def test_every_mixing_layer_mixes_pixels(kind: Any) -> None:
    from dse.design.mixer import NEEDS
    from dse.ternary.generators import Generator

    fields: dict[str, Any] = {}
    for need in NEEDS[kind]:
        fields |= {"generator": Generator()} if need == "generator" else SIZES[need]
    point = residual(Mixer(kind=kind, **fields))
    network, workload = build_network(point, 3), lower(point, frames=7, outputs=3)
    scores = network(torch.randn(2, 6, 7))
    assert scores.shape == (2, 3)
    scores.sum().backward()
    assert sum(each.numel() for each in network.parameters()) == workload.trained_parameters
    # Each pixel by itself: moving a column of the input moves no other mixed pixel.
    mixer = network.blocks["B"].body[1][1]  # type: ignore[index]
    values = torch.randn(1, 8, 2, 3)
    moved = values.clone()
    moved[:, :, 1, 2] += 1
    changed = (mixer.eval()(values) != mixer(moved)).any(dim=1)[0]
    assert not changed[0].any() and not changed[1, :2].any()


def test_an_identity_skip_adds_the_input() -> None:
    point = residual(DENSE, stride=1, skip=IDENTITY, skip_norm=False, repeats=1)
    network = build_network(point, 3).eval()
    block = network.blocks["B"]
    values = torch.randn(1, 8, 5, 3)
    with torch.no_grad():
        main = block.body[0](values)  # type: ignore[operator,index]
        assert torch.equal(block(values), torch.relu(main + values))
    layers = {each.name: each for each in lower(point, frames=5, outputs=3).layers}
    assert (layers["B.add"].additions, layers["B.add"].in_bins) == (8 * 5 * 3, 3)


@pytest.mark.parametrize("pieces", [torch.float32, torch.bfloat16])
def test_the_fast_path_runs_it_as_it_is_written(pieces: torch.dtype) -> None:
    torch.manual_seed(0)
    network = build_network(published("ds-cnn-s-P3"), OUTPUTS).eval()
    pictures = torch.randn(2, 10, FRAMES)
    with torch.no_grad():
        scores = fast_scores(network, pictures, pieces)
        assert scores.dtype == pieces
        assert torch.allclose(scores.float(), network(pictures), rtol=0.1, atol=0.05)


def test_what_knows_one_dimension_refuses_by_name() -> None:
    point = dscnn({"blocks": 1}, name="small")
    network = build_network(point, 2).eval()
    source = Source(network=network, point=point, outputs=2, checkpoint=None)
    pictures = torch.zeros(1, 10, 8)
    for call, what in (
        (lambda: quantise_network(source, pictures), "whole-number inference (C, the chip)"),
        (lambda: rounded_scores(network, point, pictures), "training with fewer bits than eight"),
        (lambda: nemo_yaml(point, outputs=2), "NeMo's encoder"),
        (lambda: check_one_dimension(point, "the chip"), "the chip"),
    ):
        with pytest.raises(InvalidDesign) as caught:
            call()
        assert str(caught.value) == (
            f"small moves over 10 bins of a frame, and {what} knows networks over frames alone: "
            "use a design without in_bins there"
        )
    with pytest.raises(InvalidDesign, match=r"kept_share 0\.5 keeps a share of frames"):
        sampling_of(network, 0.5)
    assert sampling_of(network, 1) is None
    with pytest.raises(ValueError, match="give it no lengths"):
        network(pictures, torch.tensor([4]))


def test_onnx_computes_the_same_with_any_frames() -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from dse.export.onnx import to_onnx

    torch.manual_seed(1)
    strided = residual(Mixer(kind="grouped", groups=2))
    for point, frames in ((published("ds-cnn-m-P3"), (49, 30)), (strided, (7, 8))):
        network = build_network(point, 4).eval()
        model = to_onnx(network, in_channels=point.features, ternary="int8")
        session = onnxruntime.InferenceSession(model.SerializeToString())
        for count in frames:
            pictures = torch.randn(2, point.features, count)
            [found] = session.run(None, {"features": pictures.numpy()})
            with torch.no_grad():
                expected = network(pictures).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
