"""`dse generator` and `dse export` as a user meets them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dse.errors import InvalidInput
from dse.rtl.icarus import has_icarus
from dse.ternary.generators import Generator
from dse.ternary.matrix import ternary_matrix
from dse_cli import group

BALANCED = Generator(family="one_hot", signs="balanced")
PASS = "PASS" if has_icarus() else "not simulated"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(group, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def read_trits(folder: Path, lanes: int, shape: tuple[int, int]) -> np.ndarray:
    """The matrix in an exported vector file."""
    trits = []
    for line in (folder / "trits.hex").read_text().split():
        word = int(line, 16)
        for lane in range(lanes):
            sign = -1 if word >> (lanes + lane) & 1 else 1
            trits.append(sign * (word >> lane & 1))
    return np.array(trits[: shape[0] * shape[1]]).reshape(shape)


def test_a_generator_is_exported_with_its_matrix(tmp_path: Path) -> None:
    result = run(
        "export",
        "generator",
        "--density",
        0.125,
        "--lanes",
        32,
        "--rows",
        20,
        "--columns",
        48,
        "--seed",
        7,
        "--layer",
        "B2.skip",
        "--out",
        tmp_path,
    )
    assert result.exit_code == 0
    assert "generator lfsr_threshold, density 0.125, 32 lanes" in result.output
    assert PASS in result.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "README.md",
        "at_most.v",
        "lfsr_stream.v",
        "lfsr_threshold.v",
        "ternary_generator.core",
        "ternary_generator.v",
        "test_bench.v",
        "trits.hex",
    }
    expected = ternary_matrix(7, "B2.skip", 20, 48, 0.125)
    assert np.array_equal(read_trits(tmp_path, 32, (20, 48)), expected)


@pytest.mark.parametrize(
    ("options", "family", "density"),
    [
        (["--family", "one_hot", "--fan-in", 8], "one_hot", 0.125),
        (["--family", "one_hot", "--signs", "balanced"], BALANCED, 0.25),
        (["--family", "sobol", "--density", 0.25], "sobol", 0.25),
        (["--family", "counter_arx"], "counter_arx", 0.25),
        (["--family", "lfsr_and", "--fan-in", 16], "lfsr_and", 0.25),
    ],
)
def test_every_family_is_exported(
    options: list[object], family: str | Generator, density: float, tmp_path: Path
) -> None:
    result = run("export", "generator", *options, "--lanes", 16, "--out", tmp_path)
    assert PASS in result.output
    expected = ternary_matrix(1, "B1.0.pw", 64, 64, density, family)
    assert np.array_equal(read_trits(tmp_path, 16, (64, 64)), expected)


def test_a_layer_of_a_design_is_exported(tmp_path: Path) -> None:
    run("export", "generator", "matchboxnet-3x1x64-P2", "--layer", "B2.0.pw", "--out", tmp_path)
    expected = ternary_matrix(1, "B2.0.pw", 64, 64, 0.25)
    assert np.array_equal(read_trits(tmp_path, 16, (64, 64)), expected)


def test_another_start_state_makes_another_matrix(tmp_path: Path) -> None:
    result = run("export", "generator", "--state", "1f", "--out", tmp_path)
    assert "seed = 127'h1f" in result.output and PASS in result.output


def test_an_engine_is_exported(tmp_path: Path) -> None:
    result = run(
        "export",
        "engine",
        "matchboxnet-3x1x64-P2",
        "--layer",
        "B1.0.pw",
        "--lanes",
        32,
        "--frames",
        2,
        "--vectors",
        2,
        "--out",
        tmp_path,
    )
    assert result.exit_code == 0 and PASS in result.output
    assert "128 inputs of 8 bits, 64 outputs of 24 bits; frames at a time: 2" in result.output
    assert len((tmp_path / "sums.hex").read_text().split()) == 64 * 2
    assert len((tmp_path / "activations.hex").read_text().split()) == 128 // 32 * 2


EXPORT = ("export", "generator", "--out", "OUT")
ENGINE = ("export", "engine", "matchboxnet-3x1x64-P2", "--out", "OUT")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*EXPORT, "--lanes", "0"), "lanes must be from 1 to 4,096, not 0"),
        (
            (*EXPORT, "--state", "0"),
            "the seed of a shift register must not be zero: it would give "
            "zeros for ever; use any other",
        ),
        (
            (*EXPORT, "--state", "xyz"),
            "--state must be a hexadecimal number of up to 127 bits, not 'xyz'",
        ),
        (
            (*EXPORT, "--state", "f" * 40),
            f"--state must be a hexadecimal number of up to 127 bits, not '{'f' * 40}'",
        ),
        (
            (*EXPORT, "--density", "0.1"),
            "density must be n/256 for generator lfsr_threshold with 8 "
            "threshold bits, not 0.1: the nearest are 0.09765625 and 0.1015625",
        ),
        (
            (*EXPORT, "--family", "one_hot", "--density", "0.3"),
            "density must be 1/B with B a power "
            "of two for generator one_hot, not 0.3: the nearest are 0.25 and 0.5",
        ),
        (
            (*EXPORT, "--fan-in", "80"),
            "fan-in must be from 1 to the 64 inputs, not 80: change --fan-in or --columns",
        ),
        ((*EXPORT, "--rows", "0"), "rows must be at least 1, not 0"),
        (
            (*EXPORT, "--family", "sobol", "--lanes", "48"),
            "lanes must be 4 times a power of two for sobol at density 0.25, not 48",
        ),
        (
            (*EXPORT, "--family", "sobol", "--columns", "48", "--lanes", "32"),
            "32 lanes do not divide 48 inputs: use 24 or 48 lanes",
        ),
        (
            (*EXPORT, "--taps", "64,63,61,60"),
            "taps must be two: where more taps stand side by "
            "side, the sign of an entry follows from its neighbours' (set override to accept), not "
            "[64, 63, 61, 60]",
        ),
        (
            (*EXPORT, "--taps", "a"),
            "--taps must be whole numbers separated by commas, such as 127,97, not 'a'",
        ),
        (
            (*EXPORT, "--family", "counter_arx", "--rounds", "4"),
            "rounds must be at least 6: with "
            "fewer, neighbouring counters give trits that follow one another (set override to "
            "accept), not 4",
        ),
        (
            (*ENGINE, "--layer", "B9.0.pw"),
            "layer B9.0.pw of matchboxnet-3x1x64-P2 does not exist: "
            "ternary layers are B1.0.pw, B1.skip, B2.0.pw, B3.0.pw",
        ),
        (
            (*ENGINE, "--layer", "Conv2.0.pw"),
            "layer Conv2.0.pw of matchboxnet-3x1x64-P2 is dense: "
            "ternary layers are B1.0.pw, B1.skip, B2.0.pw, B3.0.pw",
        ),
        (
            (*ENGINE, "--layer", "B1.0.pw", "--lanes", "24"),
            "24 lanes do not divide 128 inputs: use 16 or 32 lanes",
        ),
        ((*ENGINE, "--layer", "B1.0.pw", "--frames", "65"), "frames must be from 1 to 64, not 65"),
        (
            (*ENGINE, "--layer", "B1.0.pw", "--data", "speech"),
            "--data needs a trained network: "
            "give a checkpoint such as best.pt, not 'matchboxnet-3x1x64-P2'",
        ),
        (("generator", "quality", "--size", "4"), "size must be from 8 to 4,096, not 4"),
        (("generator", "quality", "--matrices", "1"), "matrices must be from 2 to 10,000, not 1"),
        (
            ("generator", "quality", "--density", "a"),
            "--density must be numbers separated by commas, such as 0.25,0.125, not 'a'",
        ),
        (
            ("generator", "area", "--lanes", "x"),
            "--lanes must be whole numbers separated by commas, such as 16,32, not 'x'",
        ),
        (
            ("generator", "area", "--library", "none.lib"),
            "none.lib does not exist: check the name, or create the file",
        ),
    ],
)
def test_wrong_input_is_one_sentence(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(*(tmp_path / "out" if word == "OUT" else word for word in arguments))
    assert str(caught.value) == message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*EXPORT, "--density", "0.5", "--fan-in", "4"), "choose one of --density and --fan-in"),
        ((*EXPORT, "matchboxnet-3x1x64-P2", "--density", "0.5"), "--density comes from the design"),
        (("generator", "quality", "--rounds", "8"), "--rounds is of one family: name it with"),
    ],
)
def test_options_that_exclude_each_other(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    result = run(*(tmp_path if word == "OUT" else word for word in arguments))
    assert result.exit_code == 2 and message in result.output


def test_quality_prints_a_table_and_writes_plots(tmp_path: Path) -> None:
    result = run(
        "generator",
        "quality",
        "--size",
        64,
        "--matrices",
        4,
        "--density",
        "0.5,0.125",
        "--out",
        tmp_path,
    )
    lines = [line for line in result.output.splitlines() if line.startswith(("lfsr", "sobol"))]
    assert len(lines) == 3 * 2
    with (tmp_path / "quality.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 2 * 12
    for name in ("deviations.png", "statistics.png", "matrices.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_quality_of_one_family_flags_what_is_bad() -> None:
    result = run(
        "generator",
        "quality",
        "--family",
        "counter_arx",
        "--rounds",
        2,
        "--override",
        "--size",
        64,
        "--matrices",
        8,
        "--density",
        "0.5",
    )
    (line,) = [line for line in result.output.splitlines() if line.startswith("counter_arx")]
    assert "correlation" in line.rpartition("+")[2]


DESIGN = """
in_channels: 16
blocks:
- {name: Conv1, out_channels: 32, kernel_size: 3}
- name: B1
  out_channels: 32
  kernel_size: 3
  mixer: {kind: ternary, density: 0.25, generator: one_hot}
- name: B2
  out_channels: 32
  kernel_size: 3
  mixer: {kind: ternary, density: 0.25, generator: counter_arx}
"""


def test_an_estimate_shows_each_layers_generator_and_what_lanes_change(tmp_path: Path) -> None:
    design, machine = tmp_path / "design.yaml", tmp_path / "slow.yaml"
    design.write_text(DESIGN)
    run("export", "machine", "kws_ternary", "--out", machine)
    text = machine.read_text()
    assert text.count("trits_per_cycle: 32") == 1
    machine.write_text(text.replace("trits_per_cycle: 32", "trits_per_cycle: 2"))
    rows = {}
    for name in ("kws_ternary", str(machine)):
        output = run("estimate", design, "--machine", name).output
        table = output.partition("Generate or store?")[2]
        rows[name] = [
            words
            for words in map(str.split, table.splitlines())
            if len(words) > 2 and words[1] in ("one_hot", "counter_arx")
        ]
        bound = [line for line in output.splitlines() if line.strip().startswith("B1.0.pw ")]
        assert ("generator" in bound[0]) == (name != "kws_ternary")  # what latency is bound by
    fast, slow = rows.values()
    assert [row[:3] for row in fast] == [
        ["B1.0.pw", "one_hot", "32"],
        ["B2.0.pw", "counter_arx", "32"],
    ]
    assert [row[:3] for row in slow] == [
        ["B1.0.pw", "one_hot", "2"],
        ["B2.0.pw", "counter_arx", "2"],
    ]


def test_area_stands_beside_the_model() -> None:
    result = run("generator", "area", "--lanes", "8,16")
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines() if line.strip()]
    rows = [words for words in lines if words[0].isdigit()]
    assert [row[0] for row in rows] == ["8", "16"]
    for row in rows:
        assert row[2] == "135"  # 127 bits of state and 8 of threshold
        assert abs(float(row[-1].rstrip("%"))) < 8
    assert "library small_130nm.lib; Yosys 0.70, before layout" in result.output
