"""`dse machine new`: what is answered is what the machine is, and no file is half a machine."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cost_models import load_accelerator
from dse_cli import group, machine, main


def run(*arguments: str, typed: str = "") -> str:
    result = CliRunner().invoke(group, ["machine", "new", *arguments], input=typed)
    assert result.exit_code == 0, result.output
    return result.output


def test_options_become_a_machine(tmp_path: Path) -> None:
    out = tmp_path / "chip.yaml"
    said = run(
        *("--out", str(out), "--macs", "4x2", "--trees", "1x16", "--trits-per-cycle", "8"),
        *("--weights-kib", "16", "--activations-kib", "16", "--port-bits", "32"),
        *("--vector-lanes", "4", "--clock-mhz", "5", "--description", "small: 1 # of them"),
    )
    assert f"--machine {out}" in said
    made, tiny = load_accelerator(out), load_accelerator("kws_tiny")
    assert made.name == "chip" and made.description == "small: 1 # of them"
    macs, trees = made.arrays
    assert macs == tiny.arrays[0]
    assert (trees.rows, trees.columns, trees.outputs.capacity_bits) == (1, 16, 16 * 24)
    sizes = [
        (each.name, each.capacity_bits, each.bandwidth_bits_per_cycle) for each in made.memories
    ]
    assert sizes == [("weight_sram", 131_072, 32), ("activation_sram", 131_072, 32)]
    same = ("clock_mhz", "vector_lanes", "ternary_weights", "generator", "technology")
    assert all(getattr(made, name) == getattr(tiny, name) for name in same)
    # Whoever edits it knows what may stand there.
    assert sum("#" in line for line in out.read_text().splitlines()) >= 15


def test_what_is_left_out_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "in_terminal", lambda: True)
    out = tmp_path / "asked.yaml"
    # Wrong answers are asked for again; Enter takes the default.
    typed = "a spotter\n8\n2x2\nnone\nstored\nmuch\n64\nfit\n\n\n1e3\n\n"
    said = run("--out", str(out), typed=typed)
    assert "Ternary adder trees x lanes of each, or none" in said
    assert "'8' is not such as 8x8" in said and "Trits that the generator" not in said
    made = load_accelerator(out)
    assert made.description == "a spotter" and made.clock_mhz == 1000
    assert len(made.arrays) == 1 and made.ternary_weights == "stored" and made.generator is None
    assert [each.capacity_bits for each in made.memories] == [64 * 8192, "fit"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--macs", "0x4"), "'0x4' is not such as 8x8, at most 4096 a side"),
        (("--macs", "none"), "'none' is not such as 8x8"),
        (("--trees", "5000x1"), "at most 4096 a side, or none"),
        (("--weights-kib", "nan"), "nan"),
        (("--technology", "mine"), "no technology is called 'mine'"),
        (("--technology", "mine.yaml"), "mine.yaml does not exist"),
        (("--out", "chip.txt"), "--out must end in .yaml, not 'chip.txt'"),
        (("--out", "there.yaml"), "there.yaml is there already, and may be edited"),
    ],
)
def test_what_is_no_machine_is_refused(
    arguments: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.yaml").write_text("mine")
    out = () if "--out" in arguments else ("--out", "chip.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["machine", "new", *out, *arguments])
    assert ended.value.code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["there.yaml"]
    assert Path("there.yaml").read_text() == "mine"
