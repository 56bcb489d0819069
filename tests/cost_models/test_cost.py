import dataclasses

import pytest

from cost_models import Bound, Component, Layer, LayerKind, WeightSource, Workload, estimate

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
        generator_state_bits=10,
        weight_bits=2,
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
    ),
)
COLUMNS = {
    "trained_parameters",
    "stored_bits",
    "generated_weights",
    "macs",
    "multiplications",
    "additions",
    "dense_additions",
    "weight_traffic_bits",
    "activation_traffic_bits",
    "energy_pj",
    "latency_cycles",
    "latency_us",
}


@pytest.fixture
def cost(machine, technology):
    return estimate(Workload("two layers", LAYERS), machine, technology)


def test_keeps_counts_apart(cost):
    assert cost.trained_parameters == 4 * 3 + 3
    assert cost.generated_weights == 8 * 4
    assert cost.stored_bits == 10 + 12 * 8 + 3 * 24  # start state, weights, biases
    assert cost.weight_traffic_bits == cost.stored_bits
    assert cost.macs == cost.multiplications == 12 * 10
    assert cost.additions == 9 * 10 + 12 * 10 + 3 * 10  # non-zeros, MACs, biases
    assert cost.dense_additions == 32 * 10 + 12 * 10 + 3 * 10
    assert cost.activation_traffic_bits == (8 + 4 + 4 + 3) * 10 * 8


def test_latency_is_the_sum_of_the_slowest_parts(cost):
    # ternary: 32 trits * 10 frames / 16 = 20; generator 8; activations 120 * 8 / 64 = 15
    # head: 150 additions / 8 = 19; weights 168 bits / 32 = 6; activations 70 * 8 / 64 = 9
    assert [layer.latency_cycles for layer in cost.layers] == [20, 19]
    assert cost.latency_cycles == 39
    assert cost.latency_us == 39 / 2.0  # at 2 MHz
    assert cost.bounds_cycles[Bound.COMPUTE] == 39
    assert sum(cost.bounds_cycles.values()) == 39


def test_columns_are_the_totals_by_name(cost):
    columns = cost.columns()
    assert set(columns) == COLUMNS
    assert all(columns[name] == getattr(cost, name) for name in COLUMNS)
    counts = COLUMNS - {"energy_pj", "latency_us"}
    assert all(type(columns[name]) is int for name in counts)
    assert type(columns["energy_pj"]) is float


def test_breakdown_sums_to_the_columns(cost):
    for name, total in cost.columns().items():
        if name != "latency_us":
            assert sum(row[name] for row in cost.breakdown) == pytest.approx(total), name
    for row in cost.breakdown:
        parts = sum(row[f"{part}_pj"] for part in Component)
        assert parts == pytest.approx(row["energy_pj"])
    assert [row["layer"] for row in cost.breakdown] == ["B1.0.pw", "head.linear"]


def test_components_sum_to_the_energy(cost):
    assert set(cost.energies_pj) == set(Component)
    assert sum(cost.energies_pj.values()) == pytest.approx(cost.energy_pj)


def test_says_what_does_not_fit(cost, machine, technology):
    assert cost.misfits == ()
    small = dataclasses.replace(
        machine,
        weight_memory=dataclasses.replace(machine.weight_memory, capacity_bits=177, kind="dram"),
        activation_memory=dataclasses.replace(machine.activation_memory, capacity_bits=1_000),
    )
    # 178 bits are stored; 120 activations of 8 bits = 960 fit into 1,000
    assert estimate(cost.workload, small, technology).misfits == (
        "weights take 178 bits, and weight_memory.capacity_bits of tiny is 177",
    )
    exact = dataclasses.replace(small.weight_memory, capacity_bits=178)
    fits = dataclasses.replace(small, weight_memory=exact)
    assert estimate(cost.workload, fits, technology).misfits == ()
    with_long_input = dataclasses.replace(LAYERS[0], in_frames=20)
    cost = estimate(Workload("long", (with_long_input,)), small, technology)
    assert cost.misfits == (
        "inputs and outputs of one layer take 1,600 bits, and activation_memory.capacity_bits of "
        "tiny is 1,000",
    )
