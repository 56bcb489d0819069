"""`dse estimate` of a user's own network: a module of a Python file, and a graph in ONNX."""

import json
import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cost_models import estimate, load_accelerator, load_technology
from cost_models.streaming import stream
from dse.networks.module_file import read_module_file
from dse.networks.tracing import trace
from dse_cli import group, main

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "own_network.py")
NETWORK = """
import torch
from torch import nn
import helper_of_mine

def build():
    return nn.Sequential(nn.Conv1d(8, 4, 3), nn.Sigmoid()), torch.zeros(1, 8, helper_of_mine.FRAMES)

ready = (nn.Conv1d(8, 4, 1), torch.zeros(1, 8, 5))
nothing = 3

def takes(frames):
    return frames

def fails():
    return helper_of_mine.NONE
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A network beside a module that it imports."""
    (tmp_path / "helper_of_mine.py").write_text("FRAMES = 20\n")
    (tmp_path / "net.py").write_text(NETWORK)
    return str(tmp_path / "net.py")


def told(*arguments: str) -> list[dict]:
    result = CliRunner().invoke(group, ["estimate", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["estimate", *arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_the_example_has_the_tables_of_a_design() -> None:
    shown = CliRunner().invoke(group, ["estimate", f"{EXAMPLE}:build", "--mapping", "--roofline"])
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.output.split())
    # Three blocks of 64 inputs and one of 96 mix 64, 64, 96 and 96 outputs; nine taps a channel.
    matrices = 64 * 64 + 64 * 64 + 64 * 96 + 96 * 96
    others = 40 * 64 * 3 + 9 * (64 * 3 + 96) + 2 * (64 * 3 + 96 * 2) + 97 * 12
    assert f"trained parameters {matrices + others:,}" in said
    assert "Spotter, one inference of 98 frames, 12 outputs" in said
    assert "of it multiply-accumulate" in said and "depthwise" in said


def test_machines_stand_side_by_side_and_the_figures_are_the_model_s() -> None:
    found = told(f"{EXAMPLE}:build", "--machine", "kws_int8", "--compare", "kws_int8,kws_ternary")
    assert [each["accelerator"] for each in found] == ["kws_int8", "kws_ternary"]
    workload = trace(*read_module_file(EXAMPLE))
    machine = load_accelerator("kws_int8")
    cost = estimate(workload, machine, load_technology(machine.technology))
    assert found[0]["total"]["energy_pj"] == pytest.approx(cost.energy_pj)
    assert found[0]["design_key"] is None


def test_a_stream_is_due_at_the_frames_of_the_example(file: str) -> None:
    """20 frames that last a second are 20 a second: a hop of 4 is due five times."""
    [found] = told(f"{file}:build", "--stream", "4", "--seconds", "1", "--machine", "kws_int8")
    assert found["application"]["rate"] == 5
    assert found["application"]["audio_s_per_inference"] == pytest.approx(0.2)
    hop = stream(trace(torch.nn.Conv1d(8, 4, 3), torch.zeros(1, 8, 20)), 4)
    assert found["stream"]["state_bits"] == hop.state_bits
    assert found["notes"] == ["sigmoid is priced as a ReLU, without a table of its values: 1"]


def test_samples_that_nobody_said_to_be_samples_are_told(tmp_path: Path) -> None:
    path = tmp_path / "raw.py"
    path.write_text(
        "import torch\nbuild = (torch.nn.Conv1d(1, 4, 80, 4), torch.zeros(1, 1, 4000))\n"
    )
    [unsaid] = told(str(path))
    assert unsaid["notes"][0].startswith(
        "the 4,000 frames of one channel are taken as frames of 10"
    )
    [said] = told(str(path), "--seconds", "0.25")
    assert (said["notes"], said["application"]["audio_s_per_inference"]) == ([], 0.25)


def test_what_is_ready_needs_no_function(file: str) -> None:
    [found] = told(f"{file}:ready")
    assert found["total"]["macs"] == 8 * 4 * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frames", "9"], "--frames is for designs: {file}:build has those of its example"),
        (["--outputs", "9"], "--outputs is for designs: {file}:build has its own outputs"),
        (["--compare", "P0"], "--compare P0 is for designs: replace the matrices of Sequential by"),
        (["--seconds", "1,2"], "--seconds of several lengths is for designs"),
        (["--stream", "40"], "a hop of 40 frames is longer than the 20 frames"),
    ],
)
def test_options_of_designs_are_refused(
    arguments: list[str], message: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message.format(file=file) in refusal(capsys, f"{file}:build", *arguments)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("biuld", "{file} has no function 'biuld': it has build"),
        ("takes", "takes of {file} takes frames: give a function without arguments"),
        ("fails", "{file}:16 fails in fails: AttributeError: module 'helper_of_mine' has no"),
        ("nothing", "nothing of {file} must return a module and an example of its input"),
    ],
)
def test_what_a_file_does_not_have_is_one_sentence(
    name: str, message: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, f"{file}:{name}")
    assert message.format(file=file) in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(:\n", "net.py:1 is no Python: invalid syntax"),
        (
            "import torch\n\nimport not_there\n",
            "net.py:3 cannot be run: ModuleNotFoundError: No m",
        ),
        ("raise SystemExit(0)\n", "net.py:1 cannot be run: SystemExit: 0"),
        ("x = 1\n", "net.py has no function 'build': it defines none"),
        ("def build():\n    return None\n", "not nothing"),
        ("def build():\n    return 'net', None\n", "not 'str'"),
        ("\0", "net.py is no Python: source code string cannot contain null bytes"),
    ],
)
def test_errors_of_a_file_have_its_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(text)
    said = refusal(capsys, str(tmp_path / "net.py"))
    assert message in said and said.count("\n") == 1


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no_such.py does not exist" in refusal(capsys, "no_such.py:build")


def test_commands_that_need_a_design_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["match", "--budget", "9k", "--like", f"{EXAMPLE}:build"])
    said = capsys.readouterr().err
    assert re.search("own_network.py:build is a network of layers, and a design is needed", said)


def test_generated_matrices_of_the_example_are_generated() -> None:
    [dense] = told(f"{EXAMPLE}:build")
    [ternary] = told(f"{EXAMPLE}:build_ternary")
    gone = 64 * 64 + 64 * 64 + 64 * 96 + 96 * 96
    parameters = [each["total"]["trained_parameters"] for each in (dense, ternary)]
    assert parameters[0] - parameters[1] == gone
    assert ternary["break_even"] is not None and dense["break_even"] is None


def test_a_report_of_networks_beside_designs(file: str, tmp_path: Path) -> None:
    out = tmp_path / "net.json"
    result = CliRunner().invoke(
        group, ["report", f"{file}:build", "--machine", "kws_int8", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "with 20 frames of 8 channels and 4 outputs" in out.read_text()
    text = out.read_text()
    assert "Note: sigmoid is priced as a ReLU" in text
    assert "dse report net.py:build --machine kws_int8" in text
    assert str(tmp_path) not in text
    [estimated] = told(f"{file}:build", "--machine", "kws_int8")
    [table] = next(
        each["tables"] for each in json.loads(text)["sections"] if each["name"] == "designs"
    )
    [row] = table["rows"]
    assert row["energy_uj"] == pytest.approx(estimated["total"]["energy_pj"] * 1e-6)
    assert row["macs"] == estimated["total"]["macs"]

    both = tmp_path / "both"
    result = CliRunner().invoke(
        group,
        ["report", f"{file}:build", "matchboxnet-3x1x64-P3", "--format", "md", "--out", str(both)],
    )
    assert result.exit_code == 0, result.output
    [page] = both.glob("*.md")
    text = page.read_text()
    assert "each of 2 designs" in text and "A network of layers. The largest part" in text
    assert "128 frames and 12 classes; 20 frames of 8 channels" in text
    assert "The network, block by block" in text  # of the design
