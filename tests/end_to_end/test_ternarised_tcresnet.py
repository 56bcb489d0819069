"""A person's TC-ResNet8, ternarised: trained on speech, saved, and the same in Verilog, C and ONNX.

Its shortcuts are named as those of the design `tcresnet-8-P2`, so that seed and names give both the
same matrices: with the trained weights copied, the design's exports are those of the module.
"""

import io
import itertools
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import dse
from dse.design.places import ternary_places
from dse.design.published import published
from dse.errors import InvalidCheckpoint
from dse.export.c_code import build_and_check, c_files, compiler
from dse.export.onnx import export_onnx
from dse.networks.network import BATCH_NORM_EPS, build_network
from dse.networks.ternarising import GeneratedConvolution
from dse.rtl.designs import GeneratorBlock
from dse.rtl.export import EngineExport, GeneratorExport
from dse.rtl.icarus import has_icarus, run_test_bench
from dse.speech.features import load_features
from dse.speech.mfcc import normalise
from dse.speech.task import FeatureSpec, Task
from dse.ternary.matrix import start_state
from dse.ternary.quantised import quantise
from dse.training.integer import SCORE_STEPS, quantise_network
from dse.training.integer_scores import scores_of_clips
from dse.training.source import Source

WIDTHS = (16, 24, 32, 48)
SHORTCUTS = ["B1.skip", "B2.skip", "B3.skip"]
POINT = published("tcresnet-8-P2")
CLASSES = 6


class Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(before, after, 9, stride=2, padding=4, bias=False),
            nn.BatchNorm1d(after, eps=BATCH_NORM_EPS),
            nn.ReLU(),
            nn.Conv1d(after, after, 9, padding=4, bias=False),
            nn.BatchNorm1d(after, eps=BATCH_NORM_EPS),
        )
        self.skip = nn.Conv1d(before, after, 1, stride=2, bias=False)
        self.skip_norm = nn.BatchNorm1d(after, eps=BATCH_NORM_EPS)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.relu(self.body(inputs) + self.skip_norm(self.skip(inputs)))


class TCResNet8(nn.Module):
    """In plain PyTorch; the ReLU of the paper's shortcuts, which designs of ours lack, left out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(40, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(WIDTHS[0], eps=BATCH_NORM_EPS)
        self.B1, self.B2, self.B3 = (Block(*pair) for pair in itertools.pairwise(WIDTHS))
        self.scores = nn.Linear(WIDTHS[-1], CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        values = torch.relu(self.norm(self.conv(features)))
        values = self.B3(self.B2(self.B1(values)))
        scores: Tensor = self.scores(values.mean(dim=2))
        return scores


def ternarised(seed: int = POINT.ternary_seed) -> TCResNet8:
    mixer = next(iter(ternary_places(POINT).values())).mixer
    assert mixer.density is not None and mixer.generator is not None
    network = dse.ternarise(
        TCResNet8(), "*.skip", density=mixer.density, seed=seed, generator=mixer.generator
    )
    assert isinstance(network, TCResNet8)
    return network


@pytest.fixture(scope="module")
def heard(synthetic_speech: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensor, ...]:
    """Normalised clips and their words, to train on and to validate."""
    task = Task(kind="all_words", unknown=False, silence=False)
    spec = FeatureSpec(coefficients=40, variants=1)
    found = load_features(synthetic_speech, task, spec, tmp_path_factory.mktemp("cache"))
    return tuple(
        tensor
        for split in (found.training, found.validation)
        for tensor in (
            normalise(torch.from_numpy(split.features[:, 0].copy()), found.mean, found.deviation),
            torch.from_numpy(split.labels.copy()),
        )
    )


@pytest.fixture(scope="module")
def trained(heard: tuple[Tensor, ...]) -> TCResNet8:
    """After five epochs, saved, and loaded into a network that was ternarised alike."""
    clips, words, validation, said = heard
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = ternarised()
        optimiser = torch.optim.Adam(network.parameters(), 5e-3)
        for _ in range(5):
            order = torch.randperm(len(clips))
            for chosen in order.split(24):
                optimiser.zero_grad()
                functional.cross_entropy(network(clips[chosen]), words[chosen]).backward()
                optimiser.step()
        network.eval()
        with torch.no_grad():
            right = (network(validation).argmax(1) == said).float().mean()
        assert right > 0.5  # of six words; chance is a sixth
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        again = ternarised().eval()
        state = torch.load(file, weights_only=True)
        again.load_state_dict(state)
        with pytest.raises(InvalidCheckpoint, match=r"matrix of B1\.skip was not made from seed"):
            ternarised(seed=POINT.ternary_seed + 1).load_state_dict(state)
        with torch.no_grad():
            assert torch.equal(again(validation), network(validation))
    return again


def layers_of(network: nn.Module) -> dict[str, GeneratedConvolution]:
    return {
        name: each
        for name, each in network.named_modules()
        if isinstance(each, GeneratedConvolution)
    }


@pytest.mark.skipif(not has_icarus(), reason="no Icarus Verilog")
@pytest.mark.parametrize("name", SHORTCUTS)
def test_the_engine_of_each_ternary_layer_adds_as_torch_does(
    name: str, trained: TCResNet8, heard: tuple[Tensor, ...], tmp_path: Path
) -> None:
    layer = layers_of(trained)[name]
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, given, out: seen.extend((given[0], out)))
    with torch.no_grad():
        trained(heard[2][:1])
    hook.remove()
    given, out = (each[0].numpy() for each in seen)
    strided = given[:, :: layer.stride][:, :8]
    numbers, step = quantise(strided)
    matrix = layer.weight[:, :, 0].numpy().astype(np.int8)
    export = EngineExport(
        generator=GeneratorExport(
            block=GeneratorBlock(generator=layer.generator, density=layer.density, lanes=8),
            state=start_state(layer.seed, layer.layer, layer.generator),
            rows=matrix.shape[0],
            columns=matrix.shape[1],
            title=f"layer {name} of a person's network",
        ),
        activations=numbers,
        frames=2,
    )
    assert np.array_equal(export.generator.matrix, matrix)
    # Rounding moves each of the inputs by half a step at most, and each sum by that of its row.
    most = 0.5 * step * np.abs(matrix).sum(axis=1, keepdims=True)
    assert (np.abs(export.sums * step - out[:, :8]) <= most + 1e-4).all()
    for file, text in export.files().items():
        (tmp_path / file).write_text(text)
    assert run_test_bench(tmp_path).startswith("PASS")


def test_the_graph_scores_as_torch_does(
    trained: TCResNet8, heard: tuple[Tensor, ...], tmp_path: Path
) -> None:
    clip, path = heard[2][:1], tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own exporter
        torch.onnx.export(trained, (clip,), path, dynamo=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {session.get_inputs()[0].name: clip.numpy()})
    with torch.no_grad():
        assert np.allclose(scores, trained(clip).numpy(), atol=1e-4)


def copied(trained: TCResNet8) -> Source:
    """The design's network with the weights and statistics of the module."""
    network = build_network(POINT, CLASSES).eval()
    for ours, theirs in zip(network.parameters(), trained.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    norms = [
        [each for each in one.modules() if isinstance(each, nn.BatchNorm1d)]
        for one in (network, trained)
    ]
    for one, other in zip(*norms, strict=True):
        assert one.running_mean is not None and other.running_mean is not None
        assert one.running_var is not None and other.running_var is not None
        one.running_mean.copy_(other.running_mean)
        one.running_var.copy_(other.running_var)
    return Source(network=network, point=POINT, outputs=CLASSES, checkpoint=None)


def test_the_design_of_its_weights_is_the_same_network_in_c_and_onnx(
    trained: TCResNet8, heard: tuple[Tensor, ...], tmp_path: Path
) -> None:
    source, validation = copied(trained), heard[2]
    with torch.no_grad():
        scores = trained(validation)
        assert torch.allclose(source.network(validation), scores, atol=1e-4)
    export_onnx(source.network, tmp_path / "design.onnx", in_channels=40)
    session = onnxruntime.InferenceSession(
        tmp_path / "design.onnx", providers=["CPUExecutionProvider"]
    )
    (told,) = session.run(None, {"features": validation.numpy()})
    assert np.allclose(told, scores.numpy(), atol=1e-3)

    whole = quantise_network(source, heard[0][:48])
    features = whole.quantise(validation.numpy())
    rounded = torch.from_numpy(scores_of_clips(whole, features)) / SCORE_STEPS
    assert (rounded - scores).abs().mean() < 0.02 * scores.abs().max()
    assert (rounded.argmax(1) == scores.argmax(1)).float().mean() > 0.9
    if compiler() is None:
        pytest.skip("no C compiler")
    for file, text in c_files(whole, features[:4]).items():
        (tmp_path / file).write_text(text)
    assert build_and_check(tmp_path).startswith("PASS")
