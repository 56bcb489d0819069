"""Properties of estimates on random workloads, and the library's constants against synthesis."""

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models import (
    Component,
    InvalidAccelerator,
    InvalidLayer,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
    technology_names,
)

TECHNOLOGY = load_technology("horowitz_45nm")
MACHINES = {name: load_accelerator(name) for name in accelerator_names()}
machines = st.sampled_from(sorted(MACHINES)).map(MACHINES.__getitem__)
sizes = st.integers(1, 40)


@st.composite
def layers(draw, name="layer"):
    kind = draw(st.sampled_from(list(LayerKind)))
    in_channels, frames = draw(sizes), draw(sizes)
    same = kind in ("depthwise", "batch_norm", "activation", "residual_add", "average_pool")
    out_channels = in_channels if same else draw(sizes)
    weights, extra = WeightSource.NONE, {}
    if kind in ("depthwise", "pointwise", "convolution", "linear"):
        weights = WeightSource.TRAINED
        if kind == "pointwise" and draw(st.booleans()):
            weights = WeightSource.GENERATED
            extra = {
                "nonzeros": draw(st.integers(0, in_channels * out_channels)),
                "generator_state_bits": 127,
                "weight_bits": 2,
            }
    if kind in ("depthwise", "convolution"):
        extra["kernel_size"] = draw(st.sampled_from([1, 3, 11]))
    return Layer(
        name=name,
        kind=kind,
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=1 if kind == "average_pool" else frames,
        groups=in_channels if kind == "depthwise" else 1,
        weights=weights,
        bias=weights is WeightSource.TRAINED and draw(st.booleans()),
        folded=kind == "batch_norm" and draw(st.booleans()),
        **extra,
    )


@st.composite
def workloads(draw):
    count = draw(st.integers(1, 6))
    return Workload("random", tuple(draw(layers(f"layer{index}")) for index in range(count)))


@given(workloads(), machines)
def test_breakdown_sums_to_the_totals(workload, machine):
    cost = estimate(workload, machine, TECHNOLOGY)
    for name, total in cost.columns().items():
        if name != "latency_us":
            assert sum(row[name] for row in cost.breakdown) == pytest.approx(total)
    assert sum(cost.energies_pj.values()) == pytest.approx(cost.energy_pj)
    assert sum(cost.bounds_cycles.values()) == cost.latency_cycles


@given(workloads(), machines)
def test_latency_is_at_least_work_over_peak_rate(workload, machine):
    cost = estimate(workload, machine, TECHNOLOGY)
    assert cost.latency_cycles * machine.compute_array.macs_per_cycle >= cost.macs
    bandwidth = machine.weight_memory.bandwidth_bits_per_cycle
    assert cost.latency_cycles * bandwidth >= cost.weight_traffic_bits


@given(workloads(), machines)
def test_energy_is_at_least_that_of_the_macs(workload, machine):
    cost = estimate(workload, machine, TECHNOLOGY)
    # 0.2 pJ a multiplication, 24 bits of addition and accumulator
    assert cost.energy_pj >= cost.macs * (0.2 + 24 * (0.003125 + 0.00568)) * (1 - 1e-9)


@given(workloads(), machines, st.data())
def test_order_of_layers_changes_no_total(workload, machine, data):
    shuffled = Workload("random", tuple(data.draw(st.permutations(workload.layers))))
    expected = estimate(workload, machine, TECHNOLOGY).columns()
    assert estimate(shuffled, machine, TECHNOLOGY).columns() == pytest.approx(expected)


@given(workloads(), machines, st.integers(2, 5))
def test_more_of_the_machine_is_never_slower(workload, machine, factor):
    before = estimate(workload, machine, TECHNOLOGY).latency_cycles
    array = machine.compute_array
    larger = [
        {"compute_array": dataclasses.replace(array, mac_rows=factor * array.mac_rows)},
        {"compute_array": dataclasses.replace(array, vector_lanes=factor * array.vector_lanes)},
        {"compute_array": dataclasses.replace(array, ternary_adders=factor * array.ternary_adders)},
    ]
    for name in ("weight_memory", "activation_memory"):
        memory = getattr(machine, name)
        bandwidth = factor * memory.bandwidth_bits_per_cycle
        larger.append({name: dataclasses.replace(memory, bandwidth_bits_per_cycle=bandwidth)})
    if machine.generator:
        lanes = factor * machine.generator.trits_per_cycle
        larger.append({"generator": dataclasses.replace(machine.generator, trits_per_cycle=lanes)})
    for change in larger:
        faster = dataclasses.replace(machine, **change)
        assert estimate(workload, faster, TECHNOLOGY).latency_cycles <= before, change


@given(layers(), machines)
def test_lower_density_never_costs_more(layer, machine):
    if layer.weights is not WeightSource.GENERATED or not layer.nonzeros:
        return
    sparser = dataclasses.replace(layer, nonzeros=layer.nonzeros - 1)
    dense, sparse = (
        estimate(Workload("one", (each,)), machine, TECHNOLOGY) for each in (layer, sparser)
    )
    assert sparse.energy_pj <= dense.energy_pj
    assert sparse.latency_cycles <= dense.latency_cycles


@given(workloads(), machines)
def test_counts_of_operations_do_not_depend_on_the_machine(workload, machine):
    cost = estimate(workload, machine, TECHNOLOGY)
    assert cost.macs == workload.macs
    assert cost.additions == workload.additions
    assert cost.trained_parameters == workload.trained_parameters


@given(layers())
def test_a_weight_is_generated_or_stored_never_both(layer):
    stored, generated = MACHINES["kws_int8"], MACHINES["kws_ternary"]
    if layer.weights is WeightSource.GENERATED:
        assert stored.stored_bits(layer) == 2 * layer.weight_entries
        assert stored.generated_weights(layer) == 0
        assert generated.stored_bits(layer) == 127
        assert generated.generated_weights(layer) == layer.weight_entries
    else:
        assert stored.stored_bits(layer) == generated.stored_bits(layer) == layer.stored_bits


def pointwise(**changes):
    shape = {
        "kind": LayerKind.POINTWISE,
        "in_channels": 64,
        "out_channels": 64,
        "in_frames": 100,
        "out_frames": 100,
    }
    return Layer(**{"name": "layer"} | shape | changes)


@pytest.mark.parametrize("size", ["in_channels", "out_channels", "in_frames", "out_frames"])
def test_refuses_layers_of_no_size(size):
    with pytest.raises(InvalidLayer) as error:
        pointwise(**{size: 0})
    assert str(error.value) == f"layer: {size} must be at least 1, not 0"


def test_refuses_a_workload_without_layers():
    with pytest.raises(InvalidLayer, match="workload 'none' has no layers"):
        Workload("none", ())


def test_refuses_an_sram_that_the_technology_does_not_know():
    machine = MACHINES["kws_int8"]
    tiny = dataclasses.replace(
        machine, weight_memory=dataclasses.replace(machine.weight_memory, capacity_bits=100)
    )
    workload = Workload("one", (pointwise(weights=WeightSource.TRAINED),))
    with pytest.raises(InvalidAccelerator, match="an SRAM of 100 bits is outside the technology"):
        estimate(workload, tiny, TECHNOLOGY)


def per_operation_pj(technology, part, **changes):
    layer = pointwise(**changes)
    cost = estimate(Workload("one", (layer,)), MACHINES["kws_ternary"], load_technology(technology))
    return cost.energies_pj[part] / (layer.weight_entries * layer.out_frames)


def test_mac_against_synthesis():
    # Synthesised element of 8x8 multiplier, 24-bit adder and register, Nangate 45 nm, ReLU inputs,
    # scaled to 0.9 V: 0.4627 pJ. The model adds up its parts: 0.1814 + 0.1379 + 0.1363.
    mac_pj = per_operation_pj(
        "synthesis_45nm", Component.MULTIPLY_ACCUMULATE, weights=WeightSource.TRAINED
    )
    assert mac_pj == pytest.approx(0.4627, rel=0.02)


@pytest.mark.parametrize(
    ("density", "synthesised_pj"), [(1, 0.3516), (0.5, 0.3073), (0.25, 0.2366), (0.125, 0.1965)]
)
def test_ternary_addition_against_synthesis(density, synthesised_pj):
    # Synthesised ternary element 8 -> 24 bits with register, same flow, pJ per trit.
    addition_pj = per_operation_pj(
        "synthesis_45nm",
        Component.TERNARY_ADDITION,
        weights=WeightSource.GENERATED,
        nonzeros=int(64 * 64 * density),
    )
    assert addition_pj == pytest.approx(synthesised_pj, rel=0.095)


@pytest.mark.parametrize("technology", technology_names())
@pytest.mark.parametrize(
    ("density", "synthesised_ratio"),
    [
        (1, 0.4627 / 0.3516),
        (0.5, 0.4627 / 0.3073),
        (0.25, 0.4627 / 0.2366),
        (0.125, 0.4627 / 0.1965),
    ],
)
def test_gain_of_ternary_over_mac_against_synthesis(technology, density, synthesised_ratio):
    # The claim of this field, held in every technology: a MAC over a ternary position.
    ternary = {"weights": WeightSource.GENERATED, "nonzeros": int(64 * 64 * density)}
    mac_pj = per_operation_pj(
        technology, Component.MULTIPLY_ACCUMULATE, weights=WeightSource.TRAINED
    )
    ternary_pj = per_operation_pj(technology, Component.TERNARY_ADDITION, **ternary)
    assert mac_pj / ternary_pj == pytest.approx(synthesised_ratio, rel=0.11)


@pytest.mark.parametrize(("lanes", "synthesised_pj"), [(8, 0.2210), (16, 0.1289), (32, 0.0874)])
def test_generator_against_synthesis(lanes, synthesised_pj):
    # Synthesised leap-forward generator, 127 state bits, 8 threshold bits, at 0.9 V, pJ per trit.
    machine = MACHINES["kws_ternary"]
    machine = dataclasses.replace(
        machine, generator=dataclasses.replace(machine.generator, trits_per_cycle=lanes)
    )
    layer = pointwise(weights=WeightSource.GENERATED, nonzeros=1000)
    for name in technology_names():
        cost = estimate(Workload("one", (layer,)), machine, load_technology(name))
        trit_pj = cost.energies_pj[Component.GENERATOR] / 4096
        assert trit_pj == pytest.approx(synthesised_pj, rel=0.06)


@pytest.mark.parametrize(("bits", "published_pj"), [(8, 0.2), (32, 3.1)])
def test_multiplication_against_horowitz(bits, published_pj):
    ours_pj = TECHNOLOGY.multiplication_pj_per_bit2.value * bits * bits
    assert ours_pj == pytest.approx(published_pj, rel=0.04)


@pytest.mark.parametrize(("bits", "published_pj"), [(8, 0.03), (32, 0.1)])
def test_addition_against_horowitz(bits, published_pj):
    assert TECHNOLOGY.addition_pj_per_bit.value * bits == pytest.approx(published_pj, rel=0.17)


def test_a_design_is_priced_in_milliseconds():
    many = tuple(pointwise(name=f"layer{i}", weights=WeightSource.TRAINED) for i in range(50))
    workload = Workload("fifty layers", many)
    start = time.process_time()
    for _ in range(20):
        estimate(workload, MACHINES["kws_ternary"], TECHNOLOGY).columns()
    assert (time.process_time() - start) / 20 < 0.02  # about 0.6 ms; 30 times that is a defect
