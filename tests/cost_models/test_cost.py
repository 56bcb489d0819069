"""Totals of a network of two layers, and what does not fit."""

import dataclasses

import pytest

from cost_models import (
    Bound,
    Component,
    GeneratorSpec,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
    estimate,
)
from cost_models.application import average_power_uw
from cost_models.cost import misfits

SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=10, decision_bits=3)
LAYERS = (
    Layer(
        name="B1.0.pw",
        kind=LayerKind.POINTWISE,
        in_channels=8,
        out_channels=4,
        in_frames=10,
        out_frames=10,
        weights=WeightSource.GENERATED,
        nonzeros=9,
        generator=SPEC,
        weight_bits=2,
        rescaled=False,
    ),
    Layer(
        name="head.linear",
        kind=LayerKind.POINTWISE,
        in_channels=4,
        out_channels=3,
        in_frames=10,
        out_frames=10,
        weights=WeightSource.TRAINED,
        bias=True,
        rescaled=False,
    ),
)


@pytest.fixture
def cost(machine, technology):
    return estimate(Workload("two layers", LAYERS), machine, technology)


def test_keeps_counts_apart(cost):
    columns = cost.columns()
    assert columns["trained_parameters"] == 4 * 3 + 3
    assert columns["generated_weights"] == 8 * 4
    assert columns["stored_bits"] == 48 + 12 * 8 + 3 * 24  # start words, weights, biases
    assert columns["macs"] == columns["multiplications"] == 12 * 10
    assert columns["additions"] == 9 * 10 + 12 * 10 + 3 * 10  # non-zeros, MACs, biases
    assert columns["dense_additions"] == 32 * 10 + 12 * 10 + 3 * 10
    assert columns["activation_bits"] == 120 * 8  # 8 and 4 channels of 10 frames
    assert columns["dram_traffic_bits"] == 0


def test_columns_are_the_totals_by_name(cost):
    columns = cost.columns()
    for name in ("stored_bits", "activation_bits", "energy_pj", "latency_cycles", "latency_us"):
        assert columns[name] == getattr(cost, name), name
    assert columns["latency_us"] == columns["latency_cycles"] / 2  # at 2 MHz
    assert (
        columns["energy_low_pj"],
        columns["energy_pj"],
        columns["energy_high_pj"],
    ) == cost.energy.as_tuple()
    assert (
        columns["area_low_um2"],
        columns["area_um2"],
        columns["area_high_um2"],
    ) == cost.area.as_tuple()
    assert columns["weight_traffic_bits"] == cost.traffic_bits("weights")
    assert columns["leakage_uw"] == cost.leakage.mid
    assert columns["sram_bits"] == 1_000 + 100_000
    for name, value in columns.items():
        counted = not name.endswith(("_pj", "_um2", "_uw", "_us"))
        assert type(value) is (int if counted else float), name


def test_breakdown_sums_to_the_columns(cost):
    columns = cost.columns()
    shared = set(cost.breakdown[0]) & set(columns)
    assert {"macs", "additions", "stored_bits", "trits", "energy_pj", "latency_cycles"} < shared
    for name in shared:
        assert sum(row[name] for row in cost.breakdown) == pytest.approx(columns[name]), name
    for row in cost.breakdown:
        parts = sum(row[f"{part}_pj"] for part in Component)
        assert parts == pytest.approx(row["energy_pj"])
    assert [row["layer"] for row in cost.breakdown] == ["B1.0.pw", "head.linear"]
    assert all(row["mapping"].startswith("rows ") for row in cost.breakdown)


def test_energy_table_has_a_row_for_every_access(cost):
    rows = cost.energy_table
    keys = [(row["layer"], row["part"], row["operand"], row["action"]) for row in rows]
    assert len(set(keys)) == len(keys)
    by_key = dict(zip(keys, rows, strict=True))
    # a record of start words; 12 weights and 3 biases, each at least once
    assert by_key["B1.0.pw", "weight_sram", "weights", "read"]["count"] == 48
    assert by_key["head.linear", "weight_sram", "weights", "read"]["count"] >= 12 * 8 + 3 * 24
    assert by_key["head.linear", "macs", "", "multiplication"]["count"] == 120 * 64
    # No weight of the first layer comes from memory, and nothing of the second from the generator
    generator = {key[0] for key in keys if key[1] == "generator"}
    assert generator == {"B1.0.pw"}


def test_bounds_sum_to_the_latency(cost):
    assert sum(cost.bounds_cycles.values()) == cost.latency_cycles
    assert set(cost.bounds_cycles) <= {*Bound, "weight_sram", "activation_sram"}
    for layer in cost.layers:
        assert layer.latency_cycles == max(
            layer.busy_cycles[Bound.COMPUTE] + layer.busy_cycles[Bound.FILL],
            *(cycles for part, cycles in layer.busy_cycles.items() if part != Bound.COMPUTE),
        )


def test_says_what_does_not_fit(cost, machine):
    assert cost.misfits == ()
    # 178 bits are stored, 960 alive
    assert misfits(1_000, 100_000, machine) == ()
    assert misfits(1_001, 100_001, machine) == (
        "weights take 1,001 bits, and 'weight_sram' of tiny has 1,000",
        "activations that are alive at a time take 100,001 bits, and 'activation_sram' of tiny has "
        "100,000",
    )


def test_says_what_does_not_fit_together(machine):
    # One memory for all: either fits, both do not.
    shared = dataclasses.replace(
        machine.memories[0], name="sram", holds=("weights", "inputs", "outputs")
    )
    single = dataclasses.replace(machine, memories=(shared,))
    assert misfits(400, 600, single) == ()
    assert misfits(400, 601, single) == (
        "weights and activations that are alive at a time take 1,001 bits together, and 'sram' of "
        "tiny has 1,000",
    )
    assert misfits(1_001, 0, single) == ("weights take 1,001 bits, and 'sram' of tiny has 1,000",)


def test_what_does_not_fit_is_priced_all_the_same(machine, technology):
    wide = dataclasses.replace(LAYERS[0], in_frames=2_000, out_frames=2_000)
    cost = estimate(Workload("wide", (wide,)), machine, technology)
    # (8 + 4) * 2,000 * 8 bits
    assert cost.misfits == (
        "activations that are alive at a time take 192,000 bits, and 'activation_sram' of tiny has "
        "100,000",
    )
    assert cost.energy_pj > 0


def test_average_power_is_dynamic_energy_at_the_rate_and_leakage_all_the_time(cost):
    # Of the breakdown: everything but leakage is spent once an inference.
    dynamic_pj = sum(
        float(row["energy_pj"]) for row in cost.energy_table if row["component"] != "leakage"
    )
    assert 0 < dynamic_pj < cost.energy_pj  # the rest leaked within the inference
    for rate in (1.0, 25.0):
        expected_uw = dynamic_pj * rate * 1e-6 + cost.leakage.mid  # 1 pJ a second is 1e-6 uW
        assert cost.columns(rate)["average_power_uw"] == pytest.approx(expected_uw, rel=1e-12)
        power = average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, rate)
        assert cost.columns(rate)["average_power_uw"] == power.mid
    assert cost.columns() == cost.columns(1.0)


def test_sram_is_neither_registers_nor_dram(machine):
    outside = dataclasses.replace(
        machine.memories[1], name="dram", kind="dram", capacity_bits=10**9, area_um2=None
    )
    files = dataclasses.replace(machine.memories[1], name="file", kind="register_file")
    changed = dataclasses.replace(machine, memories=(*machine.memories, files, outside))
    assert changed.sram_bits == 101_000
