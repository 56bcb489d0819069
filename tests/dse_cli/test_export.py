"""`dse export checkpoint|onnx|header|design|machine` on a network that was trained on tones."""

import dataclasses
import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from cost_models import accelerator_names, load_accelerator, load_technology, technology_names
from cost_models.scaling import scale_technology
from cost_models.strict_yaml import read_yaml
from cost_models.writing import accelerator_yaml, technology_yaml
from dse.design.point import point_from_node
from dse.design.published import published
from dse.export.c_code import compiler
from dse.ternary.generators import Generator
from dse.ternary.matrix import ternary_matrix
from dse.training.checkpoint import load_network
from dse.training.source import calibration_pictures, trained
from dse_cli import main

DESIGN = """
name: "two */ layers, <b>ternary</b>"
in_channels: 16
blocks:
- {name: Conv1, out_channels: 8, kernel_size: 3, stride: 2}
- name: B1
  out_channels: 8
  kernel_size: 3
  mixer: {kind: ternary, density: 0.25, generator: sobol}
  skip: {kind: ternary, density: 0.25, generator: lfsr_threshold}
"""


def run(*arguments: object) -> int:
    try:
        main([*map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def best(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(DESIGN)
    (folder / "quick.yaml").write_text("epochs: 2\nbatch_size: 20\nprecision: float32\n")
    code = run(
        "train",
        folder / "tiny.yaml",
        "--data",
        tones,
        "--recipe",
        folder / "quick.yaml",
        "--threads",
        1,
        "--device",
        "cpu",
        "--out",
        folder / "run",
        "--words",
        "left,right",
        "--no-silence",
    )
    assert code == 0
    return next(folder.rglob("best.pt"))


def test_checkpoint_loads_in_three_lines_and_in_plain_torch(best: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    assert run("export", "checkpoint", best, "--out", out) == 0
    network, about = load_network(out)
    before, _ = load_network(best)
    pictures = torch.randn(2, 16, 50)
    torch.testing.assert_close(network(pictures), before(pictures), rtol=0, atol=0)
    assert about.optimiser is None
    plain = torch.load(out, weights_only=True)
    assert plain["design"]["name"] == "two */ layers, <b>ternary</b>"
    # The matrices are not in it, but what makes them is: their start state, by hand from the seed.
    assert not any("B1.body.0.1.weight" in name for name in plain["network"])
    skip = next(row for row in plain["ternary"] if row["layer"] == "B1.skip")
    assert (skip["outputs"], skip["inputs"], skip["state_bits"]) == (8, 8, 127)
    import hashlib

    digest = hashlib.sha256(b"ternary-dse/1/B1.skip").hexdigest()
    assert skip["start_state"][:31] == digest[:31]
    for row in plain["ternary"]:
        made = Generator(**row["generator"])
        matrix = ternary_matrix(
            row["seed"], row["layer"], row["outputs"], row["inputs"], row["density"], made
        )
        assert matrix.any()


def score_confusion(path: Path, pictures: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"features": pictures.numpy()})
    return np.asarray(scores)


@pytest.mark.parametrize("more", [(), ("--ternary", "int8"), ("--opset", "17"), ("--opset", "21")])
def test_onnx_in_onnxruntime_is_torch(
    best: Path, tmp_path: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model.onnx"
    assert run("export", "onnx", best, "--out", out, *more) == 0
    assert "onnxruntime against torch: largest difference" in capsys.readouterr().out
    network, _ = load_network(best)
    pictures = torch.randn(3, 16, 77)
    with torch.no_grad():
        expected = network(pictures).numpy()
    np.testing.assert_allclose(score_confusion(out, pictures), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("more", [(), ("--opset", "17")])
def test_int8_is_calibrated_on_real_features(
    best: Path, tones: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    out = tmp_path / "small.onnx"
    assert run("export", "onnx", best, "--int8", "--data", tones, "--out", out, *more) == 0
    source = trained(best)
    pictures = calibration_pictures(source, tones)
    with torch.no_grad():
        expected = source.network(pictures).numpy()
    found = score_confusion(out, pictures)
    # 8 bits in five tensors: a few hundredths of the spread of the scores.
    assert 0 < np.abs(found - expected).max() < 0.2 * expected.std()
    import onnx

    kinds = {node.op_type for node in onnx.load(out).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
def test_c_passes_its_vectors_and_follows_torch_on_speech(
    best: Path, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "header", best, "--data", tones, "--out", tmp_path / "fw") == 0
    printed = capsys.readouterr().out
    assert "C compiler: PASS: 12 scores" in printed
    same, clips = map(int, printed.split("the same class in ")[1].split("\n")[0].split(" of "))
    assert same >= 0.95 * clips
    assert "ternary matrices are start states" in (tmp_path / "fw" / "README.md").read_text()


def test_designs_and_machines_come_back(best: Path, tmp_path: Path) -> None:
    for given, key in ((best, trained(best).point.key), ("matchboxnet-3x1x64-P2", None)):
        out = tmp_path / "design.yaml"
        assert run("export", "design", given, "--out", out) == 0
        expected = key or published("matchboxnet-3x1x64-P2").key
        assert point_from_node(read_yaml(out)).key == expected
    assert run("export", "machine", "kws_ternary", "--out", tmp_path / "kws_ternary.yaml") == 0
    assert load_accelerator(tmp_path / "kws_ternary.yaml") == load_accelerator("kws_ternary")


@pytest.mark.parametrize("name", accelerator_names())
def test_every_machine_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(accelerator_yaml(load_accelerator(name)))
    assert load_accelerator(path) == load_accelerator(name)


@pytest.mark.parametrize("name", technology_names())
def test_every_technology_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(technology_yaml(load_technology(name)))
    assert load_technology(path) == load_technology(name)


def test_a_technology_is_exported_edited_and_priced_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "low_leakage_22nm.yaml"
    assert run("export", "technology", "low_leakage_22nm", "--out", path) == 0
    assert "40 constants with their sources" in capsys.readouterr().out
    assert load_technology(path) == load_technology("low_leakage_22nm")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("voltage_v: 0.8", "voltage_v: 0.7", 1), encoding="utf-8")
    assert load_technology(path).voltage_v == 0.7
    scaled = tmp_path / "low_leakage_28nm.yaml"
    of = ("export", "technology", "low_leakage_22nm", "--out", scaled)
    assert run(*of, "--node-nm", 28, "--voltage-v", 0.9) == 0
    at_28 = scale_technology(load_technology("low_leakage_22nm"), 28, 0.9)
    assert load_technology(scaled) == dataclasses.replace(at_28, name="low_leakage_28nm")
    assert run(*of, "--node-nm", 5) == 2
    assert "cannot scale to or from 5 nm" in capsys.readouterr().err
    assert run("export", "technology", "no_such", "--out", path) == 2
    assert "no technology is called 'no_such'" in capsys.readouterr().err


def test_a_chip_comes_with_what_its_memories_hold(tmp_path, capsys):
    out = tmp_path / "chip"
    command = ("export", "chip", "matchboxnet-1x1x8", "--machine", "kws_int8", "--no-check")
    assert run(*command, "--out", out) == 0
    assert "on kws_int8: 11 layers\n" in capsys.readouterr().out
    names = {path.name for path in out.iterdir()}
    assert {"chip.v", "test_bench.v", "weights.hex", "descriptors.hex", "README.md"} <= names
    assert "tree_array.v" not in names
    assert len((out / "descriptors.hex").read_text().split()) == 11
    assert "| B1.0.pw | macs | 8, 1, 8 |" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("checkpoint", "matchboxnet-1x1x8"), "has no trained weights: give a checkpoint"),
        (("checkpoint", "nowhere/best.pt"), "nowhere/best.pt does not exist: name a best.pt"),
        (("onnx", "BEST", "--int8"), "int8 needs the ranges of activations on real speech"),
        (("onnx", "matchboxnet-1x1x8", "--opset", "99"), "opset must be from 17 to 27, not 99"),
        (("onnx", "matchboxnet-1x1x8", "--int8", "--data", "speech"), "--data needs a trained"),
        (("header", "BEST"), "int8 needs the ranges"),
        (("header", "matchboxnet-1x1x8", "--frames", "999"), "at most the 128 frames"),
        (("header", "../../etc/passwd"), "passwd"),
        (("chip", "matchboxnet-1x1x8", "--machine", "kws_int8", "--clips", "0"), "from 1 to 64"),
        (
            ("chip", "matchboxnet-1x1x8", "--machine", "eyeriss_like"),
            "must be broadcast, not multicast",
        ),
        (("chip", "BEST", "--machine", "kws_int8"), "int8 needs the ranges"),
        (("machine", "no_such_machine"), "no machine is called 'no_such_machine'"),
    ],
)
def test_mistakes_are_one_sentence(
    best: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [str(best) if each == "BEST" else each for each in arguments]
    assert run("export", *named, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["checkpoint", "onnx", "design"])
def test_a_full_disk_leaves_the_old_file(
    best: Path,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "model"
    out.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run("export", kind, best, "--out", out) == 2
    assert "the disk is full; free some space" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_without_onnx_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "from dse_cli import main\n"
        "main(['export', 'onnx', 'matchboxnet-1x1x8', '--out', 'x.onnx'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == ("dse: ONNX needs two more packages: pip install 'ternary-dse[onnx]'\n")
    assert json.dumps(ran.stdout) == '""'
