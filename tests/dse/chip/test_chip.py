"""Whole chips of a small network: scores bit for bit, cycles and words as the model counts them."""

import shutil
import subprocess

import pytest

from dse.chip.comparison import compare_layers
from dse.chip.simulation import read_output, simulate
from dse.design.mixer import Mixer
from dse.design.point import Block, DesignPoint
from dse.errors import InvalidInput
from dse.rtl.yosys import run_script
from dse.ternary.matrix import DEFAULT
from tests.dse.chip.small import chip_of, small_chip

MOST_CYCLES = 40
"""Of a layer beyond the model's: its first operands, its last results, and the descriptor."""


TERNARY = {"prologue_channels": 32, "policy": "P2"}


@pytest.mark.parametrize(
    ("machine", "frames", "values"),
    [
        # Two passes of 5 channels, one too many.
        pytest.param("kws_int8", 64, {"final_channels": 9}, marks=pytest.mark.soak),
        pytest.param("kws_ternary_stored", 64, TERNARY, marks=pytest.mark.soak),
        ("kws_ternary", 64, TERNARY),
        ("kws_tiny", 32, {"policy": "P2"}),
    ],
)
def test_scores_cycles_and_words(machine, frames, values, tmp_path):
    export = small_chip(machine, frames=frames, **values)
    for name, text in export.files().items():
        (tmp_path / name).write_text(text)
    simulated = simulate(tmp_path, "icarus", timeout_s=300)
    assert simulated.verdict == "PASS: 5 scores of 1 clips, 0 mismatches"
    for layer in compare_layers(export.program, simulated):
        # Where weights leave no cycle, records take cycles of their own.
        more = layer.cycles - layer.model_cycles
        records = export.program.layer(layer.name).layer.records
        assert 0 <= more <= MOST_CYCLES + 3 * records, layer
        if not layer.name.startswith("head."):
            assert layer.differing == {}, layer
    check_by_verilator(tmp_path)


def check_by_verilator(folder):
    """It reads SystemVerilog, Icarus Verilog: `before` and `inside` are names in one only."""
    if shutil.which("verilator") is None:
        return  # `tests/dse/rtl/test_rtl_lint.py` says that it is missing
    flags = ["--lint-only", "--timing", "-Wno-fatal", "-Wno-WIDTH", "-Wno-lint"]
    sources = sorted(path.name for path in folder.glob("*.v"))
    command = ["verilator", *flags, "--top-module", "test_bench", *sources]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_trits_on_mac_units(tmp_path):
    # Several trits come in a word, and records are read meanwhile: a word that is used again must
    # not be lost then.
    export = small_chip("kws_int8", policy="P4", kernel=9)
    for name, text in export.files().items():
        (tmp_path / name).write_text(text)
    assert "PASS: 5 scores" in simulate(tmp_path, "icarus", timeout_s=300).verdict


def test_an_engine_that_no_layer_has_used_yet_is_idle(tmp_path):
    # A register wakes up with any value: X for Icarus. The first layer here takes its weights
    # from the generator, so nothing has started the engine that reads them from memory.
    mixer = Mixer(kind="ternary", density=0.25, generator=DEFAULT)
    block = Block(name="A", out_channels=8, kernel_size=1, separable=False, mixer=mixer, skip=None)
    point = DesignPoint(name="mixed first", in_channels=8, blocks=(block,))
    export = chip_of(point, "kws_ternary", clips=1, frames=16)
    for name, text in export.files().items():
        (tmp_path / name).write_text(text)
    verdict = simulate(tmp_path, "icarus", timeout_s=300).verdict
    assert verdict == "PASS: 5 scores of 1 clips, 0 mismatches"


def test_yosys_finds_neither_latches_nor_loops(tmp_path):
    sources = {
        name: text
        for name, text in small_chip("kws_ternary", **TERNARY).files().items()
        if name.endswith((".v", ".vh")) and name != "test_bench.v"
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    modules = [f"read_verilog {name}" for name in sources if name.endswith(".v")]
    latches = "t:$dlatch t:$adlatch t:$dlatchsr"
    checks = ["hierarchy -check -top chip", "proc", "opt_clean", "check -assert"]
    script = [*modules, *checks, f"select -assert-none {latches}"]
    run_script(script, tmp_path)
    # The same script stops at a latch and at a loop: it does not pass whatever it reads.
    for wrong in ("always @* if (a) b = c;", "always @* b = a ^ b;"):
        text = f"module wrong(input a, input c, output reg b); {wrong} endmodule\n"
        (tmp_path / "wrong.v").write_text(text)
        found = [each.replace("-top chip", "-top wrong") for each in script]
        with pytest.raises(InvalidInput, match="Yosys refuses"):
            run_script(["read_verilog wrong.v", *found[len(modules) :]], tmp_path)


def test_what_a_test_bench_prints_is_read():
    lines = (
        "LAYER 0 0 345 128 127 288 32 144 31 0 143\nCLIP 0 345\n"
        "LAYER 1 0 345 128 127 288 32 144 31 0 143\nCLIP 1 345\n"
        "FAIL: 1 of 10 scores differ, expected 10; 0 conflicts\n"
    )
    found = read_output(lines)
    assert found.verdict.startswith("FAIL: 1 of 10")
    assert found.cycles == (345, 345)
    [layer] = found.layers
    assert layer == {
        "cycles": 345,
        "activation_reads": 128,
        "activation_writes": 127,
        "buffer_reads": 288,
        "buffer_writes": 32,
        "weight_reads": 144,
        "record_reads": 31,
        "trit_cycles": 0,
        "passes": 143,
    }
    with pytest.raises(InvalidInput, match="gave no verdict: LAYER 0 0 345"):
        read_output(lines.partition("CLIP")[0])
