"""A network that is of no study, on the page Design: what `dse dashboard model.onnx` opens."""

import subprocess
from pathlib import Path

import pytest

from cost_models import estimate, load_accelerator, load_technology_of
from dse.design.published import published
from dse.errors import InvalidFile
from dse.networks.lowering import lower
from dse.pricing.layers_file import read_layers, write_layers
from dse.pricing.priced import Layers
from dse_cli import main
from tests.dashboard.conftest import Opened
from tests.dashboard.test_app import texts

WORKLOAD = lower(published("matchboxnet-1x1x16-P3"), frames=64, outputs=4)


def write_network(folder: Path) -> Path:
    path = folder / "1.json"
    write_layers(Layers("my_net", WORKLOAD), path, ["sigmoid is priced as a ReLU"])
    return path


def test_layers_are_read_as_they_were_written(tmp_path: Path) -> None:
    layers, notes = read_layers(write_network(tmp_path))
    assert layers.workload.layers == WORKLOAD.layers  # masks of generated matrices, too
    assert (layers.label, notes) == ("my_net", ("sigmoid is priced as a ReLU",))
    (tmp_path / "other.json").write_text('{"schema_version": 2, "label": "x"}')
    with pytest.raises(InvalidFile, match=r"other\.json is no file of layers \(schema_version 2\)"):
        read_layers(tmp_path / "other.json")


def test_a_network_stands_on_the_page_with_its_costs(
    studies: Path, tmp_path: Path, open_page: Opened
) -> None:
    given = f"--network={write_network(tmp_path)}"
    app = open_page("design", studies, given, network="1")
    machine = load_accelerator("kws_ternary")
    cost = estimate(WORKLOAD, machine, load_technology_of(machine, "kws_ternary"))
    shown = {each.label: each.value for each in app.metric}
    assert shown["energy per inference"].startswith(f"{cost.energy_pj * 1e-6:.3g}"[:4])
    assert "Note: sigmoid is priced as a ReLU." in texts(app)
    before = shown["energy per inference"]
    app.selectbox(key="machine").set_value("kws_int8").run()
    assert not app.exception
    assert {each.label: each.value for each in app.metric}["energy per inference"] != before
    # A study's designs are where they were.
    app = open_page("design", studies, given)
    assert app.selectbox(key="network").value == "study"
    assert "Note: sigmoid" not in texts(app)


def test_a_network_needs_no_study(tmp_path: Path, open_page: Opened) -> None:
    given = f"--network={write_network(tmp_path)}"
    assert len(open_page("design", tmp_path / "none", given).metric) == 6
    assert "the page Design shows the networks" in texts(
        open_page("frontier", tmp_path / "none", given)
    )


def test_the_command_traces_and_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\ndef build():\n    return torch.nn.Conv1d(8, 4, 3), torch.zeros(1, 8, 20)\n"
    )
    handed: list[str] = []

    def call(arguments: list[str]) -> int:
        [path] = [each.removeprefix("--network=") for each in arguments if "--network=" in each]
        handed.append(read_layers(Path(path))[0].label)
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    with pytest.raises(SystemExit) as ended:
        main(["dashboard", f"{tmp_path / 'net.py'}:build", "--no-browser"])
    assert ended.value.code == 0 and handed == ["Conv1d"]
    with pytest.raises(SystemExit) as ended:
        main(["dashboard", str(tmp_path / "none.onnx")])
    assert ended.value.code == 2
    assert "none.onnx" in capsys.readouterr().err
