import dataclasses

import pytest

from cost_models import (
    Accelerator,
    ComputeArray,
    InvalidAccelerator,
    InvalidFile,
    Layer,
    LayerKind,
    MemoryLevel,
    WeightSource,
)
from cost_models.strict_yaml import build, parse_yaml

TERNARY = Layer(
    name="B1.0.pw",
    kind=LayerKind.POINTWISE,
    in_channels=8,
    out_channels=4,
    in_frames=6,
    out_frames=6,
    weights=WeightSource.GENERATED,
    nonzeros=10,
    generator_state_bits=10,
    weight_bits=2,
)
TEXT = """\
description: d
source: s
technology: t
clock_mhz: 10
compute_array: {mac_rows: 8, mac_columns: 8, vector_lanes: 8}
weight_memory: {kind: sram, capacity_bits: 1048576, bandwidth_bits_per_cycle: 64}
activation_memory: {kind: sram, capacity_bits: 262144, bandwidth_bits_per_cycle: 64}
ternary_weights: stored
"""
GENERATOR = "generator: {trits_per_cycle: 32, state_bits: 127, threshold_bits: 8}\n"


def read(text):
    return build(Accelerator, parse_yaml(text, "m.yaml"), name="m")


def test_reads_a_file():
    machine = read(TEXT)
    assert machine.compute_array.macs_per_cycle == 64
    assert machine.generator is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "mac_rows: 8",
            "mac_rows: 0",
            "compute_array.mac_rows must be at least 1, not 0 (m.yaml:5)",
        ),
        (
            "capacity_bits: 1048576",
            "capacity_bits: -1",
            "weight_memory.capacity_bits must be at least 1, not -1 (m.yaml:6)",
        ),
        (
            "clock_mhz: 10",
            "clock_mhz: 0",
            "clock_mhz must be a positive number, not 0.0 (m.yaml:4)",
        ),
        (
            "source: s",
            "source: ' '",
            "source must be a text that says where from, not ' ' (m.yaml:2)",
        ),
        (
            "ternary_weights: stored",
            "ternary_weights: cached",
            "ternary_weights must be one of generated, stored, refused, not 'cached' (m.yaml:8)",
        ),
        (
            "activation_memory: {kind: sram",
            "activation_memory: {kind: dram",
            "activation_memory must be of kind sram: the model keeps activations on chip, "
            "not 'dram' (m.yaml:7)",
        ),
        (
            "ternary_weights: stored",
            "ternary_weights: generated",
            "generator must be given where ternary_weights is generated, not None (m.yaml:1)",
        ),
        (
            "vector_lanes: 8",
            "vector_lanes: 8, zero_handling: skipped",
            "compute_array.zero_handling must be dense for an array without ternary adders: MAC "
            "units do not skip, not 'skipped' (m.yaml:5)",
        ),
        (
            "capacity_bits: 1048576",
            "size_bits: 1048576",
            "unknown key 'weight_memory.size_bits': known keys here are kind, capacity_bits, "
            "bandwidth_bits_per_cycle (m.yaml:6)",
        ),
    ],
)
def test_refuses_a_file_in_one_sentence(old, new, message):
    with pytest.raises(InvalidFile) as error:
        read(TEXT.replace(old, new))
    assert str(error.value) == message


def test_refuses_a_generator_that_is_not_used():
    with pytest.raises(InvalidFile, match="left out where ternary_weights is stored"):
        read(TEXT + GENERATOR)


def test_a_machine_with_a_generator_stores_its_start_state(machine):
    assert machine.generated_weights(TERNARY) == 32  # 8 * 4
    assert machine.stored_bits(TERNARY) == 10


def test_a_machine_without_a_generator_stores_the_trits(machine):
    stored = dataclasses.replace(machine, ternary_weights="stored", generator=None)
    assert stored.generated_weights(TERNARY) == 0
    assert stored.stored_bits(TERNARY) == 8 * 4 * 2
    assert stored.weight_traffic_bits(TERNARY) == 8 * 4 * 2


def test_refuses_generated_weights_with_a_remedy(machine):
    refused = dataclasses.replace(machine, ternary_weights="refused", generator=None)
    with pytest.raises(InvalidAccelerator) as error:
        refused.check_executable(TERNARY)
    assert str(error.value) == (
        "B1.0.pw cannot run on tiny: its weights are generated, and the machine has no generator; "
        "set ternary_weights to stored or to generated (with a generator), or use a dense mixer"
    )


def test_refuses_a_generator_of_another_sequence(machine):
    with pytest.raises(InvalidAccelerator, match="its generator has 127 state bits, and"):
        machine.check_executable(dataclasses.replace(TERNARY, generator_state_bits=127))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_bits": 16}, "it has 16-bit operands, and compute_array.operand_bits is 8"),
        ({"accumulator_bits": 32}, "it has 32-bit sums, and compute_array.accumulator_bits is 24"),
    ],
)
def test_refuses_operands_that_are_too_wide(machine, change, message):
    with pytest.raises(InvalidAccelerator, match=message):
        machine.check_executable(dataclasses.replace(TERNARY, **change))


@pytest.mark.parametrize("name", ["capacity_bits", "bandwidth_bits_per_cycle"])
def test_refuses_memory_of_no_size(name):
    sizes = {"capacity_bits": 1, "bandwidth_bits_per_cycle": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        MemoryLevel(kind="sram", **sizes)


@pytest.mark.parametrize("name", ["mac_rows", "mac_columns", "vector_lanes"])
def test_refuses_an_array_of_no_size(name):
    sizes = {"mac_rows": 1, "mac_columns": 1, "vector_lanes": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        ComputeArray(**sizes)
