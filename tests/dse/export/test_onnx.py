"""The exported graph, computed by onnxruntime, against the network."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.published import published
from dse.errors import InvalidDesign, InvalidInput
from dse.export.comparison import runtime_of_its_time
from dse.export.onnx import OPSETS, export_onnx, to_onnx
from dse.networks.network import SpeechNetwork, build_network
from dse.ternary.generators import Generator

TERNARY = Mixer(kind="ternary", density=0.25, generator=Generator(family="lfsr_threshold"))


def random_network(point: DesignPoint, outputs: int) -> SpeechNetwork:
    torch.manual_seed(1)
    network = build_network(point, outputs).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None and module.running_var is not None
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
            for values in (module.bias, module.running_mean):
                nn.init.normal_(values)
    return network


def score_confusion(model: Any, pictures: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"features": pictures.numpy()})
    return np.asarray(scores)


EVERY_KIND = DesignPoint(
    in_channels=8,
    head="framewise",
    blocks=(
        Block(name="A", out_channels=8, kernel_size=5, stride=2, dilation=2, skip=TERNARY),
        Block(name="B", out_channels=8, kernel_size=3, mixer=IDENTITY, skip=IDENTITY, repeats=2),
        Block(name="C", out_channels=12, kernel_size=3, separable=False, groups=2, skip=DENSE),
        Block(name="D", out_channels=4, kernel_size=1, mixer=TERNARY, skip_norm=False, skip=DENSE),
    ),
)


@pytest.mark.parametrize(
    "point",
    [
        EVERY_KIND,
        published("matchboxnet-3x2x64"),
        published("matchboxnet-3x1x64-P4"),
        published("tcresnet-14"),
    ],
    ids=["every kind", "dense", "ternary", "TC-ResNet"],
)
@pytest.mark.parametrize(("clips", "frames"), [(1, 1), (3, 101)])
def test_onnxruntime_gives_the_networks_scores(
    point: DesignPoint, clips: int, frames: int, tmp_path: Path
) -> None:
    network = random_network(point, 7)
    path = tmp_path / "network.onnx"
    export_onnx(network, path, in_channels=point.in_channels)
    pictures = torch.randn(clips, point.in_channels, frames)
    with torch.no_grad():
        expected = network(pictures).numpy()
    np.testing.assert_allclose(score_confusion(str(path), pictures), expected, rtol=1e-4, atol=1e-5)


def test_the_opset_is_the_newest_that_is_computed() -> None:
    model = to_onnx(random_network(EVERY_KIND, 7), in_channels=8)
    assert [opset.version for opset in model.opset_import] == [OPSETS[-1]]
    with pytest.raises(InvalidDesign, match=f"opset must be from 17 to {OPSETS[-1]}, not 16"):
        to_onnx(random_network(EVERY_KIND, 7), in_channels=8, opset=16)


def test_a_runtime_too_old_for_the_operators_says_so() -> None:
    model = to_onnx(random_network(EVERY_KIND, 7), in_channels=8)
    model.opset_import[0].version = 99
    with (
        pytest.raises(
            InvalidInput, match=r"(?s)^onnxruntime .* choose an older --opset, such as 21"
        ),
        runtime_of_its_time(),
    ):
        onnxruntime.InferenceSession(model.SerializeToString())


def test_ternary_matrices_stay_ternary() -> None:
    network = random_network(published("matchboxnet-3x1x64-P1"), 7)
    weights = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in to_onnx(network, in_channels=64).graph.initializer
    }
    assert set(np.unique(weights["B1.0.1.weight"])) == {-1.0, 0.0, 1.0}


def test_a_layer_without_a_form_is_refused() -> None:
    network = random_network(EVERY_KIND, 7)
    network.blocks["A"].body[0].insert(0, nn.Tanh())
    with pytest.raises(InvalidDesign, match=r"^A\.0\.0: Tanh has no form in ONNX here$"):
        to_onnx(network, in_channels=8)
