"""The exported C, compiled by the machine's compiler, against the model in whole numbers."""

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.published import published
from dse.errors import InvalidDesign
from dse.export.c_code import build_and_check, c_files, comment, compiler
from dse.ternary.generators import FAMILIES, Generator
from dse.ternary.matrix import ternary_matrix
from dse.training.integer import IntegerNetwork, quantise_network
from dse.training.integer_scores import _sums, scores_of_clips
from dse.training.source import Source, calibration_pictures, untrained
from tests.dse.training.one_clip import score_clip

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def ternary(family: str, density: float = 0.25, **parameters) -> Mixer:
    return Mixer(kind="ternary", density=density, generator=Generator(family=family, **parameters))


# Both paths of a stage ternary, every family, strides, dilation, groups, identities, bare skips.
EVERY_KIND = DesignPoint(
    in_channels=8,
    head="framewise",
    blocks=(
        Block(
            name="A",
            out_channels=16,
            kernel_size=5,
            stride=2,
            dilation=2,
            mixer=ternary("lfsr_threshold", 0.375, threshold_bits=5, taps=(89, 51)),
            skip=ternary("one_hot", 0.125),
        ),
        Block(name="B", out_channels=16, kernel_size=3, mixer=IDENTITY, skip=IDENTITY, repeats=2),
        Block(name="C", out_channels=12, kernel_size=3, separable=False, groups=2, skip=DENSE),
        Block(
            name="D",
            out_channels=8,
            kernel_size=1,
            mixer=ternary("counter_arx"),
            skip_norm=False,
            skip=ternary("lfsr_and", 0.5, shift=3),
        ),
        Block(
            name="E",
            out_channels=8,
            kernel_size=3,
            mixer=ternary("sobol", 0.5),
            skip=IDENTITY,
            skip_norm=False,
        ),
        Block(
            name="F",
            out_channels=72,
            kernel_size=1,
            separable=False,
            mixer=ternary("lfsr_and", 0.25, shift=1, override=True),
        ),
        Block(name="G", out_channels=8, kernel_size=3, mixer=ternary("sobol", 0.125)),
        Block(
            name="H", out_channels=8, kernel_size=1, mixer=ternary("lfsr_threshold", 0.25, shift=20)
        ),
    ),
)


def source_of(point: DesignPoint, outputs: int = 5) -> Source:
    """Untrained, with batch norms that do something."""
    source = untrained(point, outputs)
    torch.manual_seed(1)
    for module in source.network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None and module.running_var is not None
            for values in (module.weight, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
            for values in (module.bias, module.running_mean):
                nn.init.normal_(values)
    return source


def quantised(source: Source, clips: int = 8) -> tuple[IntegerNetwork, np.ndarray]:
    pictures = calibration_pictures(source, None, clips)[:, :, :41]
    network = quantise_network(source, pictures)
    return network, network.quantise(pictures.numpy())


def write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@needs_compiler
@pytest.mark.parametrize(
    "point",
    [EVERY_KIND, published("matchboxnet-3x1x64-P4"), published("tcresnet-8-0.5-P2")],
    ids=["every kind", "P4", "TC-ResNet"],
)
def test_compiled_scores_are_those_of_the_model_bit_for_bit(
    point: DesignPoint, tmp_path: Path
) -> None:
    network, features = quantised(source_of(point))
    assert np.unique(score_clip(network, features[0])).size > 1
    write(c_files(network, features[:2]), tmp_path)
    scores = score_clip(network, features[0]).size
    assert build_and_check(tmp_path) == f"PASS: {2 * scores} scores"


@needs_compiler
def test_matrices_that_are_made_in_tiles_are_those_of_the_model(tmp_path: Path) -> None:
    """Bands of 3, 4 and 5 rows, of which the last are cut; two paths of one stage in turns."""
    tiled = dataclasses.replace(
        EVERY_KIND,
        blocks=(
            Block(
                name="A",
                out_channels=16,
                kernel_size=5,
                mixer=ternary("lfsr_threshold", 0.375, threshold_bits=5, tile=(3, 5)),
                skip=ternary("one_hot", 0.25, tile=(5, 4)),
            ),
            Block(
                name="B",
                out_channels=10,
                kernel_size=1,
                mixer=ternary("lfsr_and", 0.5, tile=(4, 6)),
                skip=ternary("lfsr_threshold", 0.5),
            ),
            # Five blocks a row, so that pairs of balanced signs run on; and in tiles.
            Block(
                name="C",
                out_channels=8,
                kernel_size=1,
                mixer=ternary("one_hot", 0.5, signs="balanced"),
                skip=ternary("one_hot", 0.5, signs="balanced", shift=9),
            ),
            Block(
                name="D",
                out_channels=9,
                kernel_size=1,
                mixer=ternary("one_hot", 0.5, signs="balanced", tile=(2, 4)),
            ),
        ),
    )
    network, features = quantised(source_of(tiled))
    write(c_files(network, features[:2]), tmp_path)
    assert build_and_check(tmp_path) == f"PASS: {2 * score_clip(network, features[0]).size} scores"
    plain = dataclasses.replace(
        tiled,
        blocks=(
            dataclasses.replace(
                tiled.blocks[0], mixer=ternary("lfsr_threshold", 0.375, threshold_bits=5)
            ),
            tiled.blocks[1],
        ),
    )
    assert plain.key != tiled.key


@needs_compiler
def test_a_wrong_weight_is_noticed(tmp_path: Path) -> None:
    network, features = quantised(source_of(EVERY_KIND))
    write(c_files(network, features[:1]), tmp_path)
    wrong = dataclasses.replace(
        network, head=dataclasses.replace(network.head, weights=-network.head.weights)
    )
    (tmp_path / "model.h").write_text(c_files(wrong, features[:1])["model.h"])
    assert build_and_check(tmp_path).startswith("FAIL: vector 0, score ")


@needs_compiler
def test_extremes_do_not_overflow(tmp_path: Path) -> None:
    network, features = quantised(source_of(EVERY_KIND))
    full = np.full((2, *features.shape[1:]), 127, dtype=np.int8)
    full[1] = -127
    write(c_files(network, full), tmp_path)
    compile_with_checks = [
        compiler(),
        "-std=c99",
        "-pedantic",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-fsanitize=undefined,address",
        "-fno-sanitize-recover",
        "check.c",
        "ternary_dse.c",
        "-o",
        "check",
    ]
    subprocess.run(compile_with_checks, cwd=tmp_path, check=True)
    ran = subprocess.run(["./check"], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.stdout[:5], ran.stderr) == ("PASS:", "")


@pytest.mark.parametrize(
    "point", [EVERY_KIND, published("matchboxnet-3x1x64-P4")], ids=["every kind", "P4"]
)
def test_many_clips_at_once_score_as_one_at_a_time_bit_for_bit(point: DesignPoint) -> None:
    network, features = quantised(source_of(point), clips=35)  # more than a batch
    features[0], features[1] = 127, -127
    one_at_a_time = np.stack([score_clip(network, clip) for clip in features])
    assert np.unique(one_at_a_time).size > 100
    np.testing.assert_array_equal(scores_of_clips(network, features), one_at_a_time)


def test_sums_beyond_float32_are_exact() -> None:
    # 1,601 inputs of 127 * 127, the last one less: odd sums that only a wider float tells apart.
    point = DesignPoint(
        in_channels=1_601,
        head="framewise",
        blocks=(Block(name="A", out_channels=2, kernel_size=1, separable=False),),
    )
    source = untrained(point, 1)
    layer = source.network.blocks["A"].body[0][0]
    layer.weight.data = torch.ones(2, 1_601, 1)
    layer.weight.data[1, 0] = 126 / 127
    source.network.head.weight.data *= 1e-4  # scores have 32 bits
    network = quantise_network(source, torch.full((1, 1_601, 1), 127.0))
    [path] = network.stages[0].paths
    assert path.weights is not None and path.weights.astype(int).sum() == 2 * 1_601 * 127 - 1
    sums = _sums(path, torch.full((1, 1_601, 1), 127)).ravel().tolist()
    assert sums == [1_601 * 127 * 127, 1_601 * 127 * 127 - 127]
    assert sums[0] > 2**24 and sums[0] % 2 == 1


def test_whole_numbers_follow_the_float_network() -> None:
    source = source_of(published("matchboxnet-3x1x64-P2"), 12)
    pictures = calibration_pictures(source, None, 16)
    network = quantise_network(source, pictures)
    with torch.no_grad():
        expected = source.network(pictures).numpy()
    found = scores_of_clips(network, network.quantise(pictures.numpy())) / 65_536
    spread = expected.std()
    # Rounding to 8 bits in some twenty tensors: measured 2 % of the spread.
    assert np.abs(found - expected).max() < 0.15 * spread
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.04 * spread


def test_one_stage_by_hand() -> None:
    # Two features, one frame; a dense 1x1 to one channel: 0.5 * a - 1.0 * b, batch norm that does
    # nothing but the square root of 1 + eps, ReLU. Calibrated on (2, -1) -> 2: input scale 2 / 127,
    # weights 127 * (0.5, -1) = (64 to even of 63.5, -127), output scale 2 / 127 / sqrt(1.001).
    point = DesignPoint(
        in_channels=2,
        head="framewise",
        blocks=(Block(name="A", out_channels=1, kernel_size=1, separable=False),),
    )
    source = untrained(point, 1)
    body, head = source.network.blocks["A"].body[0], source.network.head
    body[0].weight.data = torch.tensor([[[0.5], [-1.0]]])
    head.weight.data, head.bias.data = torch.ones(1, 1, 1), torch.tensor([0.25])
    network = quantise_network(source, torch.tensor([[[2.0], [-1.0]]]))
    stage = network.stages[0]
    assert stage.paths[0].weights.ravel().tolist() == [64, -127]
    assert network.input_scale == pytest.approx(2 / 127)
    assert stage.output_scale == pytest.approx(2 / 127 / 1.001**0.5)
    assert network.quantise(np.array([2.0, -1.0])).tolist() == [127, -64]  # -63.5 to even
    # 64 * 127 + 127 * 64 = 16,256 times 1/127 (weights' scale; gain and output scale cancel) = 128
    # -> limited to 127 -> 127 * 2 / 127 / sqrt(1.001) + 0.25 as the score.
    score = scores_of_clips(network, np.array([[[127], [-64]]], dtype=np.int8))
    assert score.item() == pytest.approx(65_536 * (2 / 1.001**0.5 + 0.25), abs=2)
    # Negative sums stop at the ReLU: only the bias is left.
    assert scores_of_clips(network, np.array([[[-100], [0]]], dtype=np.int8)).item() == 65_536 // 4


def test_ternary_paths_hold_the_reference_matrix() -> None:
    network, _ = quantised(source_of(EVERY_KIND))
    paths = {path.name: path for stage in network.stages for path in stage.paths}
    expected = ternary_matrix(1, "A.skip", 16, 8, 0.125, Generator(family="one_hot"))
    np.testing.assert_array_equal(paths["A.skip"].weights[:, :, 0], expected)
    header = c_files(network, np.zeros((1, 8, 41), dtype=np.int8))["model.h"]
    assert "stage0_0_weights" in header  # A's depthwise
    assert "stage1_0_weights" not in header and "stage1_0_state" in header  # A's ternary 1x1


def test_a_network_has_the_code_of_its_own_generators_only() -> None:
    def headers(point: DesignPoint) -> set[str]:
        network, features = quantised(source_of(point), clips=1)
        return set(c_files(network, features)) - {"check.c", "ternary_dse.c", "README.md"}

    usual = {"ternary_dse.h", "model.h", "vectors.h"}
    shared = {"shift_register.h", "mixing.h"}
    assert headers(EVERY_KIND) == usual | shared | {f"{family}.h" for family in FAMILIES}
    assert headers(published("matchboxnet-3x1x64")) == usual
    counter = dataclasses.replace(
        EVERY_KIND,
        blocks=(Block(name="A", out_channels=8, kernel_size=1, mixer=ternary("counter_arx")),),
    )
    assert headers(counter) == usual | {"counter_arx.h", "mixing.h"}


def test_texts_from_strangers_stay_in_comments_and_strings() -> None:
    assert comment("a */ int main(void) { /* \n\\") == "a * / int main(void) { /* ?"
    source = source_of(dataclasses.replace(EVERY_KIND, name="x */ #error */"))
    network, features = quantised(source)
    network = dataclasses.replace(network, classes=('a"', "b\\", "c\n", "ü", "?" * 3))
    header = c_files(network, features[:1])["model.h"]
    assert header.splitlines()[0].startswith("/* x * / #error * / (")
    assert '"a\\042"' in header and '"b\\134"' in header and '"\\303\\274"' in header


def test_values_that_are_not_finite_are_refused() -> None:
    source = source_of(EVERY_KIND)
    norm = source.network.blocks["C"].body[0][1]
    norm.bias.data[0] = float("nan")
    with pytest.raises(
        InvalidDesign, match=r"^C\.0\.conv must be finite to be quantised, not nan$"
    ):
        quantised(source)
