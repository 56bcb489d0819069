"""What tools and people find in an exported folder: no warnings, no latches, what it promises."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dse.errors import InvalidInput
from dse.rtl.designs import GeneratorBlock
from dse.rtl.export import EngineExport, GeneratorExport
from dse.rtl.icarus import has_icarus, run_test_bench
from dse.rtl.yosys import Circuit
from dse.ternary.generators import Generator
from dse.ternary.matrix import start_state
from tests.dse.rtl.netlist import Simulation, gate_netlist
from tests.dse.rtl.proof import lanes_change_nothing

icarus = pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")
verilator = pytest.mark.skipif(
    shutil.which("verilator") is None, reason="Verilator is not installed"
)

LFSR_AND, ONE_HOT, ARX, SOBOL = (
    Generator(family=family) for family in ("lfsr_and", "one_hot", "counter_arx", "sobol")
)
DESIGNS = [
    (Generator(), 0.25, 1),
    (Generator(), 0.25, 128),
    (Generator(taps=(521, 353), threshold_bits=16), 0.25, 3),
    (Generator(threshold_bits=1), 0.5, 2),
    (Generator(taps=(64, 63, 61, 60), override=True), 0.25, 8),
    (LFSR_AND, 1.0, 1),
    (LFSR_AND, 1 / 32, 96),
    (ONE_HOT, 1.0, 1),
    (ONE_HOT, 0.125, 128),
    (Generator(family="one_hot", signs="balanced"), 0.25, 8),
    (Generator(family="one_hot", signs="balanced"), 1.0, 3),
    (ARX, 0.25, 2),
    (Generator(family="counter_arx", threshold_bits=7, rounds=7), 0.25, 32),
    (SOBOL, 1.0, 1),
    (SOBOL, 0.5, 128),
    (SOBOL, 1 / 32, 32),
]
IDS = [f"{generator.label}-{density:.3g}-{lanes}" for generator, density, lanes in DESIGNS]


def generator_export(generator: Generator, density: float, lanes: int) -> GeneratorExport:
    return GeneratorExport(
        block=GeneratorBlock(generator=generator, density=density, lanes=lanes),
        state=start_state(1, "B1.0.pw", generator),
        rows=5,
        columns=3 * lanes if generator.family != "sobol" else 2 * lanes,
        title="layer B1.0.pw, seed 1",
    )


def engine_export(generator: Generator, density: float, lanes: int, frames: int) -> EngineExport:
    made = generator_export(generator, density, lanes)
    numbers = np.random.default_rng(0).integers(-128, 128, (made.columns, 4 * frames))
    return EngineExport(generator=made, activations=numbers.astype(np.int8), frames=frames)


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def exports(generator: Generator, density: float, lanes: int) -> dict[str, dict[str, str]]:
    """Files by top: the generator and an engine on it."""
    return {
        "ternary_generator": generator_export(generator, density, lanes).files(),
        "ternary_engine": engine_export(generator, density, lanes, 2).files(),
    }


@icarus
@pytest.mark.parametrize(("generator", "density", "lanes"), DESIGNS, ids=IDS)
def test_icarus_warns_of_nothing(
    generator: Generator, density: float, lanes: int, tmp_path: Path
) -> None:
    for top, files in exports(generator, density, lanes).items():
        folder = write(tmp_path / top, files)
        sources = sorted(path.name for path in folder.glob("*.v"))
        result = subprocess.run(
            ["iverilog", "-g2005", "-Wall", "-s", "test_bench", "-o", "out", *sources],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout + result.stderr == ""


@verilator
@pytest.mark.parametrize(("generator", "density", "lanes"), DESIGNS, ids=IDS)
def test_verilator_warns_of_nothing(
    generator: Generator, density: float, lanes: int, tmp_path: Path
) -> None:
    for top, files in exports(generator, density, lanes).items():
        folder = write(tmp_path / top, files)
        sources = sorted(p.name for p in folder.glob("*.v") if p.name != "test_bench.v")
        result = subprocess.run(
            ["verilator", "--lint-only", "-Wall", "--top-module", top, *sources],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "%Warning" not in result.stderr


@pytest.mark.parametrize("lanes", [1, 2, 31, pytest.param(128, marks=pytest.mark.soak)])
def test_no_lanes_make_latches(lanes: int) -> None:
    # `gate_netlist` legalises flip-flops to those of one rising edge; Yosys refuses any other.
    block = GeneratorBlock(generator=Generator(), density=0.25, lanes=lanes)
    kinds = {cell["type"] for cell in gate_netlist(block.circuit())["cells"].values()}
    assert {kind for kind in kinds if "DFF" in kind or "LATCH" in kind} == {"$_DFF_P_"}


def test_a_latch_would_be_seen() -> None:
    text = "module t(input e, input d, output reg q); always @* if (e) q = d; endmodule"
    with pytest.raises(InvalidInput, match="latches are not supported"):
        gate_netlist(Circuit(top="t", parameters={}, sources=(text,)))


# --- lanes never change the matrix: for every start state


@pytest.mark.parametrize(
    ("generator", "density", "few", "many"),
    [
        (Generator(), 0.25, 1, 16),
        (Generator(taps=(89, 51), threshold_bits=5), 0.25, 3, 12),
        (LFSR_AND, 0.125, 1, 32),
        (ONE_HOT, 0.25, 4, 32),
        (Generator(family="one_hot", signs="balanced"), 0.25, 8, 32),
        (ARX, 0.25, 2, 16),
        (Generator(family="counter_arx", threshold_bits=7), 0.25, 4, 16),
        (SOBOL, 0.5, 2, 4),
        pytest.param(SOBOL, 0.5, 2, 8, marks=pytest.mark.soak),
    ],
)
def test_lanes_change_nothing_from_any_state(
    generator: Generator, density: float, few: int, many: int
) -> None:
    block = GeneratorBlock(generator=generator, density=density, lanes=few)
    assert lanes_change_nothing(block, many)


@pytest.mark.parametrize(
    ("generator", "module", "right", "wrong"),
    [
        (Generator(), "lfsr_stream", "n+TAP_1]", "n+TAP_1+1]"),
        (Generator(), "lfsr_threshold", "limit_held <= limit", "limit_held <= ~limit"),
        (ARX, "counter_arx", "count + WORDS", "count + 1"),
        *(
            pytest.param(*case, marks=pytest.mark.soak)
            for case in (
                (
                    Generator(),
                    "lfsr_threshold",
                    ".ADVANCE(LANES * SHIFT)",
                    ".ADVANCE(LANES * SHIFT - 1)",
                ),
                (ONE_HOT, "one_hot", "(field >> 1) == lane", "(field >> 1) == BLOCK - 1 - lane"),
                (SOBOL, "sobol", "STEP * LANES", "STEP * BLOCK"),
                (SOBOL, "sobol", "mixed << first[4:0]", "mixed"),
            )
        ),
    ],
)
def test_the_proof_fails_where_lanes_change_something(
    generator: Generator, module: str, right: str, wrong: str
) -> None:
    few, many = (2, 8) if generator.family in ("counter_arx", "sobol") else (4, 16)
    density = 0.5 if generator.family == "sobol" else 0.25
    wide = GeneratorBlock(generator=generator, density=density, lanes=many)
    assert sum(text.count(right) for text in wide.circuit().sources) == 1, module
    circuit = Circuit(
        top=wide.top,
        parameters=wide.parameters,
        sources=tuple(text.replace(right, wrong) for text in wide.circuit().sources),
    )
    block = GeneratorBlock(generator=generator, density=density, lanes=few)
    # With few lanes and the same mistake, some would agree: it is one of two that is broken.
    assert not lanes_change_nothing(block, many, circuit)


def test_a_proof_needs_a_multiple() -> None:
    block = GeneratorBlock(generator=Generator(), density=0.25, lanes=4)
    with pytest.raises(InvalidInput, match="lanes must be a multiple of 4, not 6"):
        lanes_change_nothing(block, 6)


# --- test benches that fail, and end


@icarus
@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("ternary_accumulator", "valid <= enable && last", "valid <= 1'b0"),  # never done
        ("ternary_accumulator", "valid <= enable && last", "valid <= last"),
        ("ternary_accumulator", "number  <= current;", "number  <= 0;"),
        ("ternary_accumulator", "chunk == LAST_CHUNK", "chunk == LAST_CHUNK - 1'b1"),
        ("ternary_accumulator", "first ?", "1'b0 ?"),
        ("ternary_accumulator", "valid   <= 1'b0;", ""),
        ("ternary_accumulator", "if (enable)\n                    sum", "sum"),
        ("ternary_tree", "{BITS{nonzero[lane]}} &", ""),
        ("ternary_tree", "carry = minus[", "carry = 0 & minus["),
        ("lfsr_stream", "else if (enable)", "else"),
        ("lfsr_stream", "if (load)", "if (1'b0)"),
        ("ternary_engine", ".negative(negative)\n    );", ".negative()\n    );"),
    ],
)
def test_the_bench_of_an_engine_fails_where_it_is_broken(
    module: str, right: str, wrong: str, tmp_path: Path
) -> None:
    files = engine_export(Generator(), 0.5, 16, 2).files()
    assert files[f"{module}.v"].count(right) == 1
    files[f"{module}.v"] = files[f"{module}.v"].replace(right, wrong)
    verdict = run_test_bench(write(tmp_path, files), timeout_s=60)
    assert re.match(r"FAIL: \d+ of \d+ sums differ; expected 40", verdict)


# --- what the README says


def test_an_engine_waits_as_its_readme_says() -> None:
    export = engine_export(Generator(), 0.5, 16, 1)
    simulation = Simulation(export.circuit())
    for name, (_, value) in export.generator.words.items():
        simulation.set(name, value)
    simulation.set("load", 1)
    simulation.set("enable", 1)  # load has priority
    simulation.clock()
    simulation.set("load", 0)
    assert not simulation.get("chunk").any() and not simulation.get("valid").any()
    for expected in (1, 2, 0):
        simulation.set("activations", 0x0102_0304)
        simulation.clock()
        chunk = simulation.get("chunk")[0]
        assert int(chunk @ (1 << np.arange(len(chunk)))) == expected
    assert simulation.get("valid").all()
    sums, number = simulation.get("sums"), simulation.get("number")
    simulation.set("enable", 0)
    for _ in range(3):
        simulation.clock()
        assert not simulation.get("valid").any()
        assert np.array_equal(simulation.get("sums"), sums)
        assert np.array_equal(simulation.get("number"), number)
    simulation.set("enable", 1)
    simulation.clock()
    assert not np.array_equal(simulation.get("sums"), sums)


@icarus
def test_registers_behind_the_generator_are_as_simple_as_the_readme_says(tmp_path: Path) -> None:
    files = engine_export(Generator(), 0.5, 16, 2).files()
    top = files["ternary_engine.v"]
    registers = """
    reg [LANES-1:0] nonzero_later, negative_later;
    reg enable_later;
    always @(posedge clk) begin
        nonzero_later  <= nonzero;
        negative_later <= negative;
        enable_later   <= enable && !load;
    end
"""
    head, _, tail = top.partition("    ternary_accumulator #(")
    tail = tail.replace(".nonzero(nonzero)", ".nonzero(nonzero_later)")
    tail = tail.replace(".negative(negative)", ".negative(negative_later)")
    tail = tail.replace(".enable(enable)", ".enable(enable_later)")
    files["ternary_engine.v"] = f"{head}{registers}    ternary_accumulator #({tail}"
    assert run_test_bench(write(tmp_path, files)) == "PASS: 40 sums, 0 mismatches"


@icarus
def test_another_density_and_seed_at_run_time(tmp_path: Path) -> None:
    # The bench of one layer drives the circuit of another: words are all that differs.
    generator = Generator()
    files = generator_export(generator, 0.25, 16).files()
    other = GeneratorExport(
        block=GeneratorBlock(generator=generator, density=97 / 256, lanes=16),
        state=start_state(5, "B3.skip", generator),
        rows=5,
        columns=48,
        title="layer B3.skip, seed 5",
    ).files()
    assert other["trits.hex"] != files["trits.hex"]
    files |= {name: other[name] for name in ("test_bench.v", "trits.hex")}
    assert run_test_bench(write(tmp_path, files)) == "PASS: 480 trits, 0 mismatches"


@pytest.mark.parametrize(("generator", "density", "lanes"), DESIGNS, ids=IDS)
def test_the_readme_lists_every_port(generator: Generator, density: float, lanes: int) -> None:
    for top, files in exports(generator, density, lanes).items():
        text = files[f"{top}.v"]
        ports = re.findall(r"^ +(?:input|output) +(?:\[.*?\] +)?(\w+)", text, re.M)
        listed = re.findall(r"^\| `(\w+)` \|", files["README.md"], re.M)
        assert sorted(listed) == sorted(ports)
        for name in re.findall(r"\S+\.(?:v|hex)\b", files["README.md"]):
            assert name.strip('"') in files


def test_the_core_file_lists_the_folder() -> None:
    import yaml

    for top, files in exports(Generator(), 0.25, 16).items():
        text = files[f"{top}.core"]
        head, _, body = text.partition("\n")
        assert head == "CAPI=2:"
        core = yaml.safe_load(body)
        listed = [
            name if isinstance(name, str) else next(iter(name))
            for fileset in core["filesets"].values()
            for name in fileset["files"]
        ]
        assert sorted(listed) == sorted(files.keys() - {"README.md", f"{top}.core"})
        assert core["targets"]["sim"]["toplevel"] == "test_bench"
