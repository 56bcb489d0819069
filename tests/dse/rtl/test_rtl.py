"""One matrix: the circuit makes what the reference makes, trit for trit and sum for sum.

Two simulators: gates that Yosys makes of the Verilog (pyosys, from pip), and Icarus Verilog on the
exported test bench, where it is installed.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from dse.design.families.matchboxnet import matchboxnet
from dse.errors import InvalidDesign, InvalidInput
from dse.rtl import yosys
from dse.rtl.designs import GeneratorBlock, module_text
from dse.rtl.export import EngineExport, GeneratorExport
from dse.rtl.icarus import has_icarus, run_test_bench
from dse.rtl.yosys import Circuit
from dse.speech.features import load_features
from dse.speech.task import FeatureSpec, Task
from dse.ternary.generators import Generator
from dse.ternary.matrix import start_state, ternary_matrix
from dse.ternary.quantised import mix_quantised, quantise
from dse.training.checkpoint import load_network
from dse.training.recipe import NO_AUGMENTATION, Recipe
from dse.training.run import train
from tests.dse.rtl.check import simulate_sums, simulate_trits
from tests.dse.rtl.netlist import Simulation

icarus = pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")

LFSR_AND, ONE_HOT, ARX, SOBOL = (
    Generator(family=family) for family in ("lfsr_and", "one_hot", "counter_arx", "sobol")
)
BALANCED = dataclasses.replace(ONE_HOT, signs="balanced")
CASES: list[tuple[Generator, float, int]] = [
    (Generator(), 0.25, 1),
    (Generator(), 0.25, 16),
    (Generator(), 97 / 256, 8),
    (Generator(), 1.0, 3),
    (Generator(), 1 / 256, 64),
    (Generator(threshold_bits=4), 3 / 16, 7),
    (Generator(threshold_bits=16), 12_345 / 65_536, 8),
    (Generator(taps=(521, 353)), 0.125, 16),
    (Generator(taps=(64, 63, 61, 60), override=True), 0.125, 16),
    (Generator(shift=1, override=True), 0.25, 8),
    (Generator(shift=20), 0.25, 5),
    (LFSR_AND, 0.125, 32),
    (LFSR_AND, 0.5, 8),
    (LFSR_AND, 1.0, 5),
    (ONE_HOT, 0.125, 64),
    (ONE_HOT, 0.25, 12),
    (ONE_HOT, 1.0, 8),
    (BALANCED, 0.125, 16),
    (BALANCED, 0.25, 12),  # three blocks a cycle: pairs are cut
    (BALANCED, 0.25, 4),
    (ARX, 0.25, 16),
    (Generator(family="counter_arx", threshold_bits=7, rounds=8), 97 / 128, 8),
    (Generator(family="counter_arx", threshold_bits=16), 0.25, 3),
    (SOBOL, 0.25, 16),
    (SOBOL, 0.5, 128),
    (SOBOL, 1 / 16, 16),
    (SOBOL, 1.0, 4),
]
IDS = [f"{generator.label}-{density:.3g}-{lanes}" for generator, density, lanes in CASES]
COPIES, ROWS = 60, 6


def columns_for(lanes: int) -> int:
    return 128 if 128 % lanes == 0 else 12 * lanes


def mismatches(block: GeneratorBlock, circuit: Circuit | None = None) -> int:
    generator, density = block.generator, block.density
    columns = columns_for(block.lanes)
    states = [start_state(seed, "B1.0.pw", generator) for seed in range(COPIES)]
    made = simulate_trits(block, states, ROWS, columns, circuit)
    expected = [
        ternary_matrix(seed, "B1.0.pw", ROWS, columns, density, generator) for seed in range(COPIES)
    ]
    return int(np.count_nonzero(made != np.stack(expected)))


# Gates of many lanes take Yosys seconds, those of more than 64 ten; Icarus simulates all of them
# below.
AS_GATES = [
    pytest.param(*case, marks=pytest.mark.soak if case[2] == 64 else (), id=name)
    for case, name in zip(CASES, IDS, strict=True)
    if case[2] <= 64
]


@pytest.mark.parametrize(("generator", "density", "lanes"), AS_GATES)
def test_the_circuit_makes_the_matrix(generator: Generator, density: float, lanes: int) -> None:
    assert mismatches(GeneratorBlock(generator=generator, density=density, lanes=lanes)) == 0


def test_the_cases_are_many_for_every_family() -> None:
    trits: dict[str, int] = {}
    for generator, _, lanes in CASES:
        made = COPIES * ROWS * columns_for(lanes)
        trits[generator.family] = trits.get(generator.family, 0) + made
    assert len(trits) == 5 and sum(trits.values()) > 500_000
    assert min(trits.values()) > 100_000


BROKEN = [
    (Generator(), "lfsr_stream", "n+TAP_1]", "n+TAP_1+1]"),  # another tap
    (Generator(), "at_most", "so_far = 1'b1", "so_far = 1'b0"),
    (Generator(), "lfsr_threshold", "WIDTH-1-lane*SHIFT-THRESHOLD_BITS]", "WIDTH-1-lane*SHIFT]"),
    (Generator(), "lfsr_threshold", ".ADVANCE(LANES * SHIFT)", ".ADVANCE(LANES * SHIFT - 1)"),
    (LFSR_AND, "lfsr_and", "= &bits", "= |bits"),
    (ONE_HOT, "one_hot", "(field >> 1) == lane", "(field >> 1) == BLOCK - 1 - lane"),
    (BALANCED, "one_hot", "half      <= !half", "half      <= half"),
    (ARX, "arx32", "half ^ turn[15:0]", "half"),
    (ARX, "counter_arx", "count + WORDS", "count + 1"),
    (SOBOL, "sobol", "(j & d) == d", "(j | d) == j + d"),
    (SOBOL, "sobol", "row + {15'd0, row_ends}", "row"),
    (SOBOL, "sobol", "mixed << first[4:0]", "mixed"),
    (SOBOL, "sobol", "STEP = 40503", "STEP = 40501"),
]


# One mistake a family; the others are soaks, as each is synthesised for itself.
SHARP = [
    case if index in (0, 4, 6, 7, 9) else pytest.param(*case, marks=pytest.mark.soak)
    for index, case in enumerate(BROKEN)
]


@pytest.mark.parametrize(("generator", "module", "right", "wrong"), SHARP)
def test_a_broken_circuit_is_found(
    generator: Generator, module: str, right: str, wrong: str
) -> None:
    lanes = 12 if generator == BALANCED else 16
    block = GeneratorBlock(generator=generator, density=0.25, lanes=lanes)
    assert module_text(module).count(right) == 1
    sources = [
        module_text(name).replace(right, wrong) if name == module else module_text(name)
        for name in block.modules
    ]
    assert mismatches(block, dataclasses.replace(block.circuit(), sources=tuple(sources))) > 100


def test_trits_wait_while_enable_is_low_and_begin_again_with_load() -> None:
    for generator in (Generator(), LFSR_AND, ONE_HOT, ARX, SOBOL, BALANCED):
        block = GeneratorBlock(generator=generator, density=0.25, lanes=16)
        simulation = Simulation(block.circuit())
        for name, (_, value) in block.start_words(start_state(1, "a", generator), 64).items():
            simulation.set(name, value)
        simulation.set("load", 1)
        simulation.set("enable", 0)
        simulation.clock()
        simulation.set("load", 0)
        first = simulation.get("nonzero")
        simulation.clock()
        assert np.array_equal(simulation.get("nonzero"), first)
        simulation.set("enable", 1)
        simulation.clock()
        assert not np.array_equal(simulation.get("nonzero"), first)
        simulation.set("load", 1)
        simulation.clock()
        assert np.array_equal(simulation.get("nonzero"), first)


def test_flip_flops_are_the_state_and_what_is_held_beside_it() -> None:
    # state + threshold; key + counter + threshold; key, row, first, offset, last and the digits of
    # the shift that are used.
    for generator, expected in (
        (Generator(), 127 + 8),
        (Generator(taps=(521, 353)), 521 + 8),
        (LFSR_AND, 127),
        (ONE_HOT, 127),
        (BALANCED, 127),
        (ARX, 64 + 8),
    ):
        block = GeneratorBlock(generator=generator, density=0.25, lanes=16)
        assert Simulation(block.circuit()).flip_flops == expected
    # Which half of a pair comes first in a cycle, and the sign of the one before.
    block = GeneratorBlock(generator=BALANCED, density=0.25, lanes=4)
    assert Simulation(block.circuit()).flip_flops == 127 + 2


def test_the_seed_is_the_start_state_first_bit_first() -> None:
    block = GeneratorBlock(generator=Generator(), density=0.25, lanes=16)
    state = start_state(1, "a")
    words = block.start_words(state, 64)
    assert words["seed"] == (127, int("".join(map(str, state)), 2))
    assert words["limit"] == (8, 63)  # density 64/256: numbers up to 63


# --- the exported folder in Icarus Verilog


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def generator_export(generator: Generator, density: float, lanes: int) -> GeneratorExport:
    return GeneratorExport(
        block=GeneratorBlock(generator=generator, density=density, lanes=lanes),
        state=start_state(1, "B1.0.pw", generator),
        rows=50,
        columns=columns_for(lanes),
        title="layer B1.0.pw, seed 1",
    )


@icarus
@pytest.mark.parametrize(("generator", "density", "lanes"), CASES, ids=IDS)
def test_the_exported_test_bench_passes(
    generator: Generator, density: float, lanes: int, tmp_path: Path
) -> None:
    export = generator_export(generator, density, lanes)
    trits = 2 * export.rows * export.columns
    assert run_test_bench(write(tmp_path, export.files())) == f"PASS: {trits} trits, 0 mismatches"


@icarus
def test_the_exported_test_bench_fails_where_a_tap_is_wrong(tmp_path: Path) -> None:
    files = generator_export(Generator(), 0.25, 16).files()
    files["ternary_generator.v"] = files["ternary_generator.v"].replace("TAP_1(97)", "TAP_1(96)")
    assert re.match(r"FAIL: \d{3,} of 12800 trits differ", run_test_bench(write(tmp_path, files)))


@icarus
def test_the_exported_test_bench_fails_where_a_vector_is_wrong(tmp_path: Path) -> None:
    files = generator_export(Generator(), 0.25, 16).files()
    lines = files["trits.hex"].splitlines()
    lines[7] = f"{int(lines[7], 16) ^ 1:08x}"
    files["trits.hex"] = "\n".join(lines) + "\n"
    verdict = run_test_bench(write(tmp_path, files))
    assert verdict.startswith("FAIL: 2 of 12800 trits differ")  # once in each of two passes


def test_vectors_and_words_are_written_as_the_format_says() -> None:
    export = generator_export(Generator(), 0.25, 16)
    row = export.matrix.ravel()[:16]
    first = int(export.files()["trits.hex"].splitlines()[0], 16)
    for lane, trit in enumerate(row):
        assert (first >> lane & 1, first >> (16 + lane) & 1) == (int(trit != 0), int(trit == -1))
    assert len(export.files()["trits.hex"].splitlines()) == 50 * 128 / 16


@icarus
def test_a_matrix_in_tiles_is_the_same_stream_at_other_places(tmp_path: Path) -> None:
    rows, tiles = (generator_export(Generator(tile=tile), 0.25, 16) for tile in ((), (4, 32)))
    assert tiles.files()["trits.hex"] == rows.files()["trits.hex"]
    # 50 rows of 128: the second row of the first tile is made after 32 entries, not after 128.
    np.testing.assert_array_equal(tiles.matrix[1, :32], rows.matrix.ravel()[32:64])
    # The last band has two rows: its second tile begins after 48 rows and 2 x 32 entries.
    start = 48 * 128 + 64
    np.testing.assert_array_equal(tiles.matrix[48, 32:64], rows.matrix.ravel()[start : start + 32])
    files = tiles.files()
    assert "tile by tile (4 rows x 32 columns" in files["README.md"]
    assert run_test_bench(write(tmp_path, files)).startswith("PASS")


def test_the_engine_refuses_tiles() -> None:
    with pytest.raises(InvalidDesign, match="made in order 4x32"):
        engine_export(Generator(tile=(4, 32)), 0.25, 16, 1, np.zeros((32, 2), dtype=np.int8))


# --- the engine


def engine_export(
    generator: Generator,
    density: float,
    lanes: int,
    frames: int,
    activations: npt.NDArray[np.int8],
    rows: int = 24,
) -> EngineExport:
    return EngineExport(
        generator=GeneratorExport(
            block=GeneratorBlock(generator=generator, density=density, lanes=lanes),
            state=start_state(1, "B1.0.pw", generator),
            rows=rows,
            columns=len(activations),
            title="layer B1.0.pw, seed 1",
        ),
        activations=activations,
        frames=frames,
    )


def extremes(inputs: int, frames: int) -> npt.NDArray[np.int8]:
    """Random activations, among them frames of the smallest and the largest number."""
    found = np.random.default_rng(0).integers(-128, 128, (inputs, frames)).astype(np.int8)
    found[:, 0], found[:, 1] = -128, 127
    return found


ENGINES = [
    (Generator(), 0.25, 16, 1, 48),
    (Generator(), 1.0, 3, 2, 48),
    (Generator(), 0.125, 16, 1, 16),  # an output is one step
    (LFSR_AND, 0.5, 8, 1, 48),
    (ONE_HOT, 0.25, 24, 2, 48),
    (ARX, 0.25, 8, 1, 48),
    (SOBOL, 0.25, 8, 3, 48),
]


@pytest.mark.parametrize(("generator", "density", "lanes", "frames", "inputs"), ENGINES)
def test_the_engine_adds_what_the_quantised_layer_adds(
    generator: Generator, density: float, lanes: int, frames: int, inputs: int
) -> None:
    export = engine_export(generator, density, lanes, frames, extremes(inputs, 12))
    assert np.array_equal(simulate_sums(export), export.sums)


@icarus
@pytest.mark.parametrize(("generator", "density", "lanes", "frames", "inputs"), ENGINES)
def test_the_exported_engine_passes_its_test_bench(
    generator: Generator, density: float, lanes: int, frames: int, inputs: int, tmp_path: Path
) -> None:
    export = engine_export(generator, density, lanes, frames, extremes(inputs, 6))
    verdict = run_test_bench(write(tmp_path, export.files()))
    assert verdict == f"PASS: {24 * 6} sums, 0 mismatches"


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("ternary_tree", " + {{(BITS-1){1'b0}}, carry}", ""),
        ("ternary_accumulator", "{part[TREE_BITS-1]}}", "{1'b0}}"),  # no sign extension
        *(
            pytest.param(*case, marks=pytest.mark.soak)
            for case in (
                ("ternary_tree", "{BITS{nonzero[lane]}} & value", "value"),
                ("ternary_tree", " + {{(SUM_BITS-1){1'b0}}, minus[0]}", ""),
                ("ternary_accumulator", "first ?", "1'b0 ?"),
            )
        ),
    ],
)
def test_a_broken_engine_is_found(module: str, right: str, wrong: str) -> None:
    export = engine_export(Generator(), 0.5, 16, 1, extremes(48, 12))
    assert module_text(module).count(right) == 1
    block = export.circuit()
    sources = tuple(text.replace(right, wrong) for text in block.sources)
    assert np.any(simulate_sums(export, dataclasses.replace(block, sources=sources)) != export.sums)


def test_the_quantised_layer_is_a_difference_of_two_sums() -> None:
    matrix = ternary_matrix(1, "a", 16, 64, 0.25)
    activations = extremes(64, 5)
    sums = mix_quantised(matrix, activations)
    for row in range(16):
        for frame in range(5):
            plus = sum(
                int(x) for x, w in zip(activations[:, frame], matrix[row], strict=True) if w == 1
            )
            minus = sum(
                int(x) for x, w in zip(activations[:, frame], matrix[row], strict=True) if w == -1
            )
            assert sums[row, frame] == plus - minus


def test_quantising_keeps_the_largest_at_127() -> None:
    numbers, scale = quantise(np.array([[-2.0, 0.0], [1.0, 0.5]]))
    assert scale == 2 / 127
    assert numbers.tolist() == [[-127, 0], [64, 32]]  # 63.5 and 31.75, half to even
    assert quantise(np.zeros((2, 2)))[1] == 1.0
    with pytest.raises(InvalidInput, match="activations must be finite to be quantised, not nan"):
        quantise(np.array([np.nan]))


@pytest.fixture(scope="module")
def trained(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network after two epochs on words that are tones."""
    words = ("left", "right", "stop")
    task = Task(kind="words", words=words, unknown=False, silence=False)
    spec = FeatureSpec(coefficients=16, variants=1)
    folder = tmp_path_factory.mktemp("trained")
    values: dict[str, int | float | str | bool] = {
        "blocks": 2,
        "channels": 16,
        "policy": "P2",
        "density": 0.25,
        "prologue_channels": 32,
        "prologue_stride": 2,
        "epilogue_channels": 16,
        "final_channels": 16,
    }
    train(
        matchboxnet(values, in_channels=16),
        load_features(tones, task, spec),
        Recipe(epochs=2, batch_size=32, augmentation=NO_AUGMENTATION),
        seed=1,
        folder=folder,
        device="cpu",
    )
    return folder / "best.pt"


@pytest.mark.parametrize("layer", ["B1.0.pw", "B1.skip", "B2.0.pw"])
def test_the_engine_of_a_trained_layer_on_clips(layer: str, trained: Path, tones: Path) -> None:
    from dse.export.activations import speech_activations
    from dse_cli.export import build_generator, ternary_place

    activations = speech_activations(trained, tones, layer, 60)
    assert activations.dtype == np.int8 and len(np.unique(activations)) > 20
    network, checkpoint = load_network(trained)
    made = build_generator(ternary_place(checkpoint.point, layer), 8, "small")
    export = EngineExport(generator=made, activations=activations, frames=2)
    # The circuit, the quantised layer, and torch's own layer on the same whole numbers.
    assert np.array_equal(simulate_sums(export), export.sums)
    import torch

    from dse.networks.ternary_convolution import TernaryConv1d

    (module,) = (
        found
        for found in network.modules()
        if isinstance(found, TernaryConv1d) and found.layer == layer
    )
    module.stride = 1
    with torch.inference_mode():
        outputs = module(torch.from_numpy(activations.astype(np.float32))[None])[0]
    assert np.array_equal(outputs.numpy().astype(np.int32), export.sums)


# --- what is refused


@pytest.mark.parametrize(
    ("generator", "density", "lanes", "message"),
    [
        (Generator(), 0.25, 0, "lanes must be from 1 to 4,096, not 0"),
        (Generator(), 0.25, 5000, "lanes must be from 1 to 4,096, not 5000"),
        (
            ARX,
            0.25,
            5,
            "lanes must be a multiple of 2, the entries that a word of counter_arx makes, not 5",
        ),
        (
            ONE_HOT,
            0.125,
            12,
            "lanes must be a multiple of 8, the block of one_hot at density 0.125, not 12",
        ),
        (SOBOL, 0.25, 12, "lanes must be 4 times a power of two for sobol at density 0.25, not 12"),
    ],
)
def test_lanes_that_do_not_suit_are_refused(
    generator: Generator, density: float, lanes: int, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        GeneratorBlock(generator=generator, density=density, lanes=lanes)
    assert str(caught.value) == message


def test_a_seed_of_zero_is_refused() -> None:
    block = GeneratorBlock(generator=Generator(), density=0.25, lanes=16)
    with pytest.raises(InvalidInput) as caught:
        block.start_words(np.zeros(127, dtype=np.uint8), 64)
    assert str(caught.value) == (
        "the seed of a shift register must not be zero: it would give zeros for ever; use any other"
    )
    with pytest.raises(InvalidInput, match="lfsr_threshold starts with 127 bits, not 5"):
        block.start_words(np.ones(5, dtype=np.uint8), 64)


def test_engines_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="32 lanes do not divide 48 inputs: use 24 or 48 lanes"):
        engine_export(Generator(), 0.25, 32, 1, extremes(48, 2))
    with pytest.raises(InvalidInput, match="frames must be from 1 to 64, not 0"):
        engine_export(Generator(), 0.25, 16, 0, extremes(48, 2))
    with pytest.raises(InvalidInput, match="activations must be a multiple of 3 frames, not 4"):
        engine_export(Generator(), 0.25, 16, 3, extremes(48, 4))


def test_a_missing_toolchain_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput) as caught:
        Simulation(GeneratorBlock(generator=Generator(), density=0.25, lanes=4).circuit())
    assert str(caught.value) == (
        "synthesis needs Yosys: install it with `pip install 'ternary-dse[rtl]'` (pyosys)"
    )
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InvalidInput) as caught:
        run_test_bench(tmp_path)
    assert str(caught.value) == (
        "the test bench needs Icarus Verilog: install the package `iverilog`"
    )


def test_what_yosys_refuses_is_one_sentence() -> None:
    broken = Circuit(top="nothing", parameters={}, sources=("module other; endmodule",))
    with pytest.raises(InvalidInput, match=r"^Yosys refuses the design: .*nothing"):
        Simulation(broken)
