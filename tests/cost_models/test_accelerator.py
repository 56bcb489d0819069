"""Machine files: what they say, and every refusal in one sentence with file and line."""

import dataclasses

import pytest

from cost_models import (
    Accelerator,
    ComputeArray,
    GeneratorSpec,
    InvalidAccelerator,
    InvalidFile,
    Layer,
    LayerKind,
    MemoryLevel,
    Register,
    UnmappableLayer,
    WeightSource,
    Workload,
    estimate,
    load_accelerator,
    load_technology,
    load_technology_of,
)
from cost_models.errors import InvalidField
from cost_models.reading import build
from cost_models.strict_yaml import parse_yaml
from cost_models.writing import accelerator_yaml, technology_yaml
from tests.cost_models.conftest import BIT_BY_BIT

SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=10, decision_bits=3)

TERNARY = Layer(
    name="B1.0.pw",
    kind=LayerKind.POINTWISE,
    in_channels=8,
    out_channels=4,
    in_frames=6,
    out_frames=6,
    weights=WeightSource.GENERATED,
    nonzeros=10,
    generator=SPEC,
    weight_bits=2,
    rescaled=False,
)
TRAINED = dataclasses.replace(
    TERNARY, weights=WeightSource.TRAINED, nonzeros=0, generator=None, weight_bits=8
)

TEXT = """\
description: d
source: s
technology: low_leakage_45nm
clock_mhz: 10
vector_lanes: 8
ternary_weights: stored
arrays:
  - name: macs
    element: mac
    rows: 8
    columns: 8
    weights: {capacity_bits: 8}
    outputs: {capacity_bits: 24}
memories:
  - {name: buffer, kind: sram, holds: [inputs], capacity_bits: 8192, bandwidth_bits_per_cycle: 64}
  - name: sram
    kind: sram
    holds: [weights, inputs, outputs]
    capacity_bits: 1048576
    bandwidth_bits_per_cycle: 64
"""
TREES = """\
  - name: trees
    element: ternary_tree
    rows: 4
    columns: 32
    outputs: {capacity_bits: 24}
"""
WITH_TREES = TEXT.replace("memories:", TREES + "memories:")


def read(text):
    return build(Accelerator, parse_yaml(text, "m.yaml"), name="m")


def test_reads_a_file():
    machine = read(TEXT)
    assert machine.arrays[0].elements == 64
    assert [memory.name for memory in machine.chain("inputs")] == ["buffer", "sram"]
    assert [memory.name for memory in machine.chain("weights")] == ["sram"]
    assert machine.generator is None
    assert read(WITH_TREES).array_for(TERNARY).name == "trees"
    assert read(WITH_TREES).array_for(TRAINED).name == "macs"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # sizes
        ("rows: 8", "rows: 0", "arrays[0].rows must be at least 1, not 0 (m.yaml:10)"),
        ("columns: 8", "columns: -8", "arrays[0].columns must be at least 1, not -8 (m.yaml:11)"),
        (
            "columns: 8",
            "columns: 8\n    lanes: 0",
            "arrays[0].lanes must be at least 1, not 0 (m.yaml:12)",
        ),
        (
            "weights: {capacity_bits: 8}",
            "weights: {capacity_bits: 0}",
            "arrays[0].weights.capacity_bits must be at least 1, not 0 (m.yaml:12)",
        ),
        (
            "weights: {capacity_bits: 8}",
            "weights: {capacity_bits: 8, word_bits: 0}",
            "arrays[0].weights.word_bits must be at least 1, not 0 (m.yaml:12)",
        ),
        (
            "capacity_bits: 1048576",
            "capacity_bits: -1",
            "memories[1].capacity_bits must be at least 1, not -1 (m.yaml:19)",
        ),
        (
            "capacity_bits: 8192, bandwidth_bits_per_cycle: 64",
            "capacity_bits: 8192, bandwidth_bits_per_cycle: 0",
            "memories[0].bandwidth_bits_per_cycle must be at least 1, not 0 (m.yaml:15)",
        ),
        (
            "clock_mhz: 10",
            "clock_mhz: 0",
            "clock_mhz must be a positive number, not 0.0 (m.yaml:4)",
        ),
        (
            "clock_mhz: 10",
            "clock_mhz: .inf",
            "clock_mhz must be a positive number, not inf (m.yaml:4)",
        ),
        ("vector_lanes: 8", "vector_lanes: 0", "vector_lanes must be at least 1, not 0 (m.yaml:5)"),
        # words
        (
            "source: s",
            "source: ' '",
            "source must be a text that says where from, not ' ' (m.yaml:2)",
        ),
        ("source: s\n", "", "missing key 'source' (m.yaml:1)"),
        (
            "ternary_weights: stored",
            "ternary_weights: cached",
            "ternary_weights must be one of generated, stored, refused, not 'cached' (m.yaml:6)",
        ),
        (
            "element: mac",
            "element: quantum",
            "arrays[0].element must be one of mac, ternary_adder, ternary_tree, not 'quantum' "
            "(m.yaml:9)",
        ),
        (
            "holds: [inputs]",
            "holds: [activations]",
            "memories[0].holds[0] must be one of weights, inputs, outputs, not 'activations' "
            "(m.yaml:15)",
        ),
        (
            "holds: [inputs]",
            "holds: []",
            "memories[0].holds must be a list of distinct operands, not [] (m.yaml:15)",
        ),
        (
            "holds: [inputs]",
            "holds: [inputs, inputs]",
            "memories[0].holds must be a list of distinct operands, not ['inputs', 'inputs'] "
            "(m.yaml:15)",
        ),
        ("name: macs", "name: ' '", "arrays[0].name must be a text, not ' ' (m.yaml:8)"),
        (
            "name: buffer",
            "name: sram",
            "memories must be a list of distinct names, at least one, not ['sram', 'sram'] "
            "(m.yaml:14)",
        ),
        (
            "kind: sram, holds",
            "kind: flash, holds",
            "memories[0].kind must be one of register_file, sram, dram, mask_rom, eflash, rram, "
            "mram, not 'flash' (m.yaml:15)",
        ),
        # parts that do not fit each other
        (
            "holds: [weights, inputs, outputs]",
            "holds: [inputs, outputs]",
            "memories must be a list in which one holds the weights, not "
            "[['inputs'], ['inputs', 'outputs']] (m.yaml:14)",
        ),
        (
            "holds: [weights, inputs, outputs]",
            "holds: [weights, outputs]",
            "memories must be a list in which inputs and outputs end in the same memory: outputs "
            "become inputs, not ['buffer', 'sram'] (m.yaml:14)",
        ),
        (
            "ternary_weights: stored",
            "ternary_weights: generated",
            "generator must be given where ternary_weights is generated, not None (m.yaml:1)",
        ),
        (
            "outputs: {capacity_bits: 24}",
            "outputs: {capacity_bits: 23}",
            "arrays[0].outputs must be registers of at least accumulator_bits (24), not 23 "
            "(m.yaml:13)",
        ),
        (
            "element: mac",
            "element: mac\n    zero_handling: skipped",
            "arrays[0].zero_handling must be dense for an array of MAC units: they do not look for "
            "zeros, not 'skipped' (m.yaml:10)",
        ),
        (
            "element: mac",
            "element: ternary_adder\n    interconnect: systolic",
            "arrays[0].interconnect must be broadcast or multicast for ternary elements: only MAC "
            "arrays are modelled as systolic, not 'systolic' (m.yaml:10)",
        ),
        (
            "element: mac",
            "element: ternary_tree\n    lanes: 2",
            "arrays[0].lanes must be 1 for ternary trees: their columns are the lanes, not 2 "
            "(m.yaml:10)",
        ),
        (
            "element: mac",
            "element: ternary_adder",
            "arrays must be a list with an array of MAC units: trained weights multiply, not "
            "['ternary_adder'] (m.yaml:7)",
        ),
        (
            "vector_lanes: 8",
            "vector_lanes: 8\ninput_memory: buffer",
            "input_memory must be a memory that holds inputs and outputs (sram), not 'buffer' "
            "(m.yaml:6)",
        ),
        # keys
        (
            "capacity_bits: 8192",
            "size_bits: 8192",
            "unknown key 'memories[0].size_bits': known keys here are name, kind, holds, "
            "capacity_bits, bandwidth_bits_per_cycle, ports, double_buffered, word_bits, "
            "read_pj_per_bit, write_pj_per_bit, leakage_uw, area_um2, asleep (m.yaml:15)",
        ),
        (
            "vector_lanes: 8",
            "vector_lane: 8",
            "unknown key 'vector_lane': did you mean 'vector_lanes'? known keys here are "
            "description, source, technology, clock_mhz, arrays, memories, vector_lanes, "
            "ternary_weights, generator, residency, input_memory, clock_gates (m.yaml:5)",
        ),
        (
            "vector_lanes: 8",
            "vector_lanes: 8\nvector_lanes: 16",
            "duplicate key 'vector_lanes': it already stands on line 5 (m.yaml:6)",
        ),
        # constants of its own
        (
            "outputs: {capacity_bits: 24}",
            "outputs: {capacity_bits: 24, read_pj_per_bit: {value: 1}}",
            "missing key 'arrays[0].outputs.read_pj_per_bit.source' (m.yaml:13)",
        ),
        (
            "outputs: {capacity_bits: 24}",
            "outputs: {capacity_bits: 24, read_pj_per_bit: {value: 0, source: s}}",
            "arrays[0].outputs.read_pj_per_bit.value must be a positive number, not 0.0 "
            "(m.yaml:13)",
        ),
        (
            "outputs: {capacity_bits: 24}",
            "outputs: {capacity_bits: 24, read_pj_per_bit: {value: 1, source: ''}}",
            "arrays[0].outputs.read_pj_per_bit.source must be a text that says where from, not '' "
            "(m.yaml:13)",
        ),
        (
            "outputs: {capacity_bits: 24}",
            "outputs: {capacity_bits: 24, read_pj_per_bit: {value: 1, low: 2, source: s}}",
            "arrays[0].outputs.read_pj_per_bit.low must be positive and at most value, not 2.0 "
            "(m.yaml:13)",
        ),
        (
            "outputs: {capacity_bits: 24}",
            "outputs: {capacity_bits: 24, read_pj_per_bit: {value: 1, high: 0.5, source: s}}",
            "arrays[0].outputs.read_pj_per_bit.high must be finite and at least value, not 0.5 "
            "(m.yaml:13)",
        ),
    ],
)
def test_refuses_a_file_in_one_sentence(old, new, message):
    assert old in TEXT
    with pytest.raises(InvalidFile) as error:
        read(TEXT.replace(old, new, 1))
    assert str(error.value) == message


def test_refuses_a_generator_that_is_not_used():
    with pytest.raises(InvalidFile, match="left out where ternary_weights is stored"):
        read(TEXT + "generator: {trits_per_cycle: 32}\n")


def test_refuses_a_generator_without_lanes():
    with pytest.raises(InvalidFile) as error:
        read(
            TEXT.replace("stored", "generated") + "generator: {trits_per_cycle: 0}\n",
        )
    assert str(error.value) == (
        "generator.trits_per_cycle must be from 1 to 65,536, not 0 (m.yaml:21)"
    )


@pytest.mark.parametrize("name", ["capacity_bits", "bandwidth_bits_per_cycle", "word_bits"])
def test_refuses_memory_of_no_size(name):
    sizes = {"capacity_bits": 1, "bandwidth_bits_per_cycle": 1} | {name: 0}
    with pytest.raises(InvalidField, match=f"^{name} must be at least 1, not 0$"):
        MemoryLevel(name="m", kind="sram", holds=("weights",), **sizes)


@pytest.mark.parametrize("name", ["rows", "columns", "lanes", "operand_bits", "accumulator_bits"])
def test_refuses_an_array_of_no_size(name):
    sizes = {"rows": 1, "columns": 1} | {name: 0}
    with pytest.raises(InvalidField, match=f"^{name} must be at least 1, not 0$"):
        ComputeArray(name="a", element="mac", outputs=Register(capacity_bits=24), **sizes)


def test_registers_are_counted_once_where_they_are_shared():
    trees = read(WITH_TREES).arrays[1]
    assert trees.instances("outputs") == 4  # one below each tree of 32 lanes
    assert trees.instances("weights") == 0
    macs = read(TEXT).arrays[0]
    assert (macs.instances("outputs"), macs.instances("weights")) == (64, 64)
    shared = dataclasses.replace(
        macs, lanes=2, outputs=Register(capacity_bits=24, shared_along=("columns", "lanes"))
    )
    assert shared.instances("outputs") == 8


# What a machine makes of a layer


def test_a_machine_with_a_generator_stores_its_start_state(machine):
    assert machine.generates(TERNARY)
    assert machine.stored_bits(TERNARY) == 48  # 10 bits of state and 3 of threshold: a record


def test_a_machine_without_a_generator_stores_the_trits(machine):
    stored = dataclasses.replace(machine, ternary_weights="stored", generator=None)
    assert not stored.generates(TERNARY)
    assert stored.stored_bits(TERNARY) == 8 * 4 * 2
    assert stored.stored_bits(TRAINED) == machine.stored_bits(TRAINED) == 8 * 4 * 8


def refusal(layer, machine):
    with pytest.raises(InvalidAccelerator) as error:
        machine.check_executable(layer)
    return str(error.value)


def test_refuses_generated_weights_with_a_remedy(machine):
    refused = dataclasses.replace(machine, ternary_weights="refused", generator=None)
    assert refusal(TERNARY, refused) == (
        "B1.0.pw cannot run on tiny: its weights are generated, and the machine has no generator; "
        "set ternary_weights to stored or to generated (with a generator), or use a dense mixer"
    )
    refused.check_executable(TRAINED)


def test_refuses_a_generator_of_another_sequence(machine):
    other = dataclasses.replace(
        SPEC, family="counter_arx", state_bits=32, decision_bits=8, rounds=4
    )
    fixed = dataclasses.replace(machine.generator, spec=other)
    assert refusal(TERNARY, dataclasses.replace(machine, generator=fixed)) == (
        "B1.0.pw cannot run on tiny: its matrix is made by lfsr_threshold of 10 state bits, 3 "
        "decision bits, and generator.spec of the machine is counter_arx of 32 state bits, 8 "
        "decision bits and 4 rounds, so the matrix would be another one; change either"
    )
    paired = dataclasses.replace(SPEC, family="one_hot", paired_signs=True)
    fixed = dataclasses.replace(machine.generator, spec=paired)
    assert "one_hot of 10 state bits, 3 decision bits and balanced signs, so" in refusal(
        TERNARY, dataclasses.replace(machine, generator=fixed)
    )
    same = dataclasses.replace(machine.generator, spec=SPEC)
    dataclasses.replace(machine, generator=same).check_executable(TERNARY)


def test_refuses_a_matrix_that_nothing_makes(machine):
    assert refusal(dataclasses.replace(TERNARY, generator=None), machine) == (
        "B1.0.pw cannot run on tiny: the machine generates its matrix, and nothing says by what; "
        "give the layer a generator"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"input_bits": 16},
            "it has 16-bit operands, and operand_bits of 'macs' is 8; use a wider array",
        ),
        (
            {"weight_bits": 9},
            "it has 9-bit operands, and operand_bits of 'macs' is 8; use a wider array",
        ),
        (
            {"accumulator_bits": 32},
            "it has 32-bit sums, and accumulator_bits of 'macs' is 24; use a wider array, or let "
            "it saturate",
        ),
    ],
)
def test_refuses_operands_that_are_too_wide(machine, change, message):
    wide = dataclasses.replace(TRAINED, **change)
    assert refusal(wide, machine) == f"B1.0.pw cannot run on tiny: {message}"


def test_sums_may_saturate(machine):
    saturating = dataclasses.replace(machine.arrays[0], saturates=True)
    machine = dataclasses.replace(machine, arrays=(saturating, machine.arrays[1]))
    machine.check_executable(dataclasses.replace(TRAINED, accumulator_bits=32))


# Layers that cannot be mapped


def estimated(layer, path):
    machine = load_accelerator(path)
    technology = load_technology(machine.technology)
    return estimate(Workload("one", (layer,)), machine, technology)


def test_an_unmappable_layer_names_memory_sizes_and_line(tmp_path):
    # 64 elements take at least 8 different inputs of 8 bits a cycle whatever they unroll; with
    # outputs along the columns and inputs along the rows, 8. A buffer of 7 bits holds not even one.
    path = tmp_path / "small.yaml"
    path.write_text(
        TEXT.replace("kind: sram, holds", "kind: register_file, holds")
        .replace("8192", "7")
        .replace("bits_per_cycle: 64}", "bits_per_cycle: 7}")
        .replace("columns: 8\n", "columns: 8\n    latched: [inputs]\n", 1)
    )
    with pytest.raises(UnmappableLayer) as error:
        estimated(TRAINED, path)
    assert str(error.value) == (
        f"B1.0.pw needs 8 bits in 'buffer', which holds 7 (machine {path}:16); make it larger, or "
        "the array smaller"
    )
    path.write_text(path.read_text().replace("capacity_bits: 7", "capacity_bits: 8"))
    estimated(TRAINED, path)  # exactly fits


def test_a_tile_of_a_double_buffer_takes_half_of_it(tmp_path):
    # As above: 8 bits are needed, and two buffers of 8 bits are 16.
    path = tmp_path / "double.yaml"
    text = TEXT.replace("kind: sram, holds", "kind: register_file, double_buffered: true, holds")
    text = text.replace("bits_per_cycle: 64}", "bits_per_cycle: 8}")
    path.write_text(text.replace("8192", "15"))
    with pytest.raises(UnmappableLayer) as error:
        estimated(TRAINED, path)
    assert str(error.value) == (
        f"B1.0.pw needs 8 bits in 'buffer', which holds 15 in two buffers (machine {path}:15); "
        "make it larger, or the array smaller"
    )
    for bits in (16, 64, 512, 1_024):
        path.write_text(text.replace("8192", str(bits)))
        double = estimated(TRAINED, path)
        path.write_text(text.replace("double_buffered: true, ", "").replace("8192", str(bits // 2)))
        single = estimated(TRAINED, path)
        assert [row["count"] for row in double.energy_table] == [
            row["count"] for row in single.energy_table
        ]
    assert read_again(double.accelerator) == double.accelerator
    assert "double_buffered" in double.accelerator.to_dict()["memories"][0]
    assert "double_buffered" not in single.accelerator.to_dict()["memories"][0]


def test_an_unmappable_layer_names_registers(tmp_path):
    # A register of 4 bits holds no weight of 8.
    path = tmp_path / "small.yaml"
    path.write_text(TEXT.replace("weights: {capacity_bits: 8}", "weights: {capacity_bits: 4}"))
    with pytest.raises(UnmappableLayer) as error:
        estimated(TRAINED, path)
    assert str(error.value) == (
        f"B1.0.pw needs 8 bits in 'weights registers of macs', which holds 4 (machine {path}:12); "
        "make it larger, or the array smaller"
    )


def test_operands_that_are_too_wide_name_the_line_of_the_array(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    wide = dataclasses.replace(TRAINED, input_bits=16)
    assert refusal(wide, load_accelerator(path)) == (
        "B1.0.pw cannot run on small: it has 16-bit operands, and operand_bits of 'macs' is 8 "
        f"(machine {path}:8); use a wider array"
    )


# Energy of a word


def own_energies(tmp_path, memory="", register=""):
    """TEXT with energies of its own in `buffer` and in the weights' registers."""
    text = TEXT.replace("bits_per_cycle: 64}", f"bits_per_cycle: 32{memory}}}")
    path = tmp_path / "own.yaml"
    path.write_text(
        text.replace("weights: {capacity_bits: 8", "weights: {capacity_bits: 8" + register)
    )
    return load_accelerator(path)


def test_energy_per_access_is_that_of_a_word(tmp_path):
    machine = own_energies(
        tmp_path,
        ", word_bits: 32, read_pj_per_access: {value: 8, low: 4, high: 16, source: a table}",
        ", word_bits: 4, write_pj_per_access: {value: 2, source: synthesis}",
    )
    buffer, weights = machine.memories[0], machine.arrays[0].weights
    read = buffer.read_pj_per_bit
    assert (read.low, read.value, read.high) == (0.125, 0.25, 0.5)
    assert read.source == "a table (8 pJ for 32 bits)"
    assert buffer.write_pj_per_bit is None  # the technology's
    assert weights.write_pj_per_bit.value == 0.5 and weights.read_pj_per_bit is None
    # A word is paid for as a whole: 3 inputs of 8 bits are one word of 32.
    layer = Layer(
        name="layer",
        kind=LayerKind.LINEAR,
        in_channels=3,
        out_channels=1,
        in_frames=1,
        out_frames=1,
        weights=WeightSource.TRAINED,
        rescaled=False,
    )
    cost = estimate(Workload("one", (layer,)), machine, load_technology(machine.technology))
    [row] = [row for row in cost.energy_table if (row["part"], row["action"]) == ("buffer", "read")]
    assert (row["energy_low_pj"], row["energy_pj"], row["energy_high_pj"]) == (4, 8, 16)
    assert read_again(machine) == machine


def read_again(machine):
    return dataclasses.replace(read(accelerator_yaml(machine)), name=machine.name)


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        (
            ", word_bits: 8, read_pj_per_access: {value: 8, source: s}, "
            "read_pj_per_bit: {value: 1, source: s}",
            "memories[0].read_pj_per_access and read_pj_per_bit are both given: leave one out",
        ),
        (
            ", read_pj_per_access: {value: 8, source: s}",
            "memories[0].read_pj_per_access is of a word: give word_bits, how wide an access is",
        ),
        (
            ", word_bits: 0, read_pj_per_access: {value: 8, source: s}",
            "memories[0].word_bits must be at least 1, not 0",
        ),
        (
            ", word_bits: 8, write_pj_per_access: {value: -8, source: s}",
            "memories[0].write_pj_per_access.value must be a positive number, not -8.0",
        ),
        (
            ", word_bits: 8, write_pj_per_access: {value: 8}",
            "missing key 'memories[0].write_pj_per_access.source'",
        ),
        (
            ", where: here",
            "unknown key 'memories[0].where': known keys here are name, kind, holds, "
            "capacity_bits, bandwidth_bits_per_cycle, ports, double_buffered, word_bits, "
            "read_pj_per_bit, write_pj_per_bit, leakage_uw, area_um2, asleep",
        ),
    ],
)
def test_refuses_energy_per_access_in_one_sentence(tmp_path, memory, message):
    with pytest.raises(InvalidFile) as error:
        own_energies(tmp_path, memory)
    assert str(error.value) == f"{message} ({tmp_path / 'own.yaml'}:15)"


def test_refuses_a_register_that_is_smaller_than_its_word(tmp_path):
    with pytest.raises(InvalidFile, match=r"weights.word_bits must be at most capacity_bits \(8\)"):
        own_energies(tmp_path, register=", word_bits: 16")


# The technology of a machine


def test_an_sram_outside_the_table_names_the_line(tmp_path):
    path = tmp_path / "chip.yaml"
    text = TEXT.replace("bits_per_cycle: 64}", "bits_per_cycle: 8}")
    path.write_text(text.replace("capacity_bits: 8192", "capacity_bits: 16"))
    with pytest.raises(InvalidAccelerator) as error:
        estimated(TRAINED, path)
    assert str(error.value).startswith(
        f"an SRAM of 16 bits ('buffer', machine {path}:15) is outside the technology's table, "
    )


def test_an_unknown_technology_names_the_line(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(TEXT.replace("low_leakage_45nm", "low_leakage_45"))
    with pytest.raises(InvalidFile) as error:
        load_accelerator(path)
    assert str(error.value).startswith(
        "no technology is called 'low_leakage_45': did you mean 'low_leakage_45nm'? "
    )
    assert str(error.value).endswith(f"({path}:3)")


def test_a_technology_file_lies_beside_its_machine(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(TEXT.replace("low_leakage_45nm", "mine.yaml"))
    (tmp_path / "mine.yaml").write_text(technology_yaml(load_technology("synthesis_45nm")))
    machine = load_accelerator(path)
    assert machine.technology == "mine.yaml"
    technology = load_technology_of(machine, path)
    assert technology.name == "mine"
    assert dataclasses.replace(technology, name="synthesis_45nm") == load_technology(
        "synthesis_45nm"
    )
    usual = load_accelerator("kws_int8")
    assert load_technology_of(usual, "kws_int8") == load_technology("low_leakage_45nm")


def test_skipping_needs_the_matrix():
    machine = load_accelerator("kws_ternary_skipped")
    layer = dataclasses.replace(TERNARY, nonzero_mask=b"")
    with pytest.raises(ValueError) as error:
        estimate(Workload("one", (layer,)), machine, load_technology(machine.technology))
    assert str(error.value) == (
        "B1.0.pw: a machine that skips zeros needs to know them: give nonzero_mask, or use a "
        "machine with zero_handling dense or gated"
    )


def test_an_sram_outside_the_technology_is_refused(machine, technology):
    for bits, outside in ((999, True), (1_000, False), (100_000, False), (100_001, True)):
        priced = dict.fromkeys(BIT_BY_BIT) | {"capacity_bits": bits}
        sized = tuple(dataclasses.replace(each, **priced) for each in machine.memories)
        changed = dataclasses.replace(machine, memories=sized)
        if not outside:
            estimate(Workload("one", (TRAINED,)), changed, technology)
            continue
        with pytest.raises(InvalidAccelerator) as error:
            estimate(Workload("one", (TRAINED,)), changed, technology)
        assert str(error.value) == (
            f"an SRAM of {bits:,} bits ('weight_sram') is outside the technology's table, which "
            "has 1,000 to 100,000 bits: change capacity_bits, make it a register file (kind: "
            "register_file), or use a technology whose table reaches it"
        )
