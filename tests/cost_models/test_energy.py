"""Energy of each kind of layer, derived in the comments from the round numbers of conftest.py.

Weight memory of 1,000 bits: 1 pJ a bit read. Activation memory of 100,000 bits: 4 pJ a bit read,
32 written. An addition of 24 bits: 0.48 pJ; its accumulator: 0.72 pJ.
"""

import dataclasses

import pytest

from cost_models import (
    Component,
    GeneratorSpec,
    Layer,
    LayerKind,
    Register,
    WeightSource,
    Workload,
    estimate,
)
from cost_models.control import alignment_area_um2, control_area_um2
from cost_models.energy import memory_prices, price_list
from cost_models.selection import selection_area_um2
from cost_models.technology import Constant

SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=10, decision_bits=3)
OWN = Constant(value=7.0, low=6.0, high=9.0, source="of the machine")


def layer(kind, **changes):
    shape = {"in_channels": 4, "out_channels": 4, "in_frames": 5, "out_frames": 5}
    return Layer(**{"name": "layer", "kind": kind, "rescaled": False} | shape | changes)


def energy(layer, machine, technology, *left_out):
    """Energy by component, without those that are 0, leakage, and what is left out."""
    cost = estimate(Workload("one", (layer,)), machine, technology)
    return {
        part: pj
        for part, pj in cost.energies_pj.items()
        if pj and part not in (Component.LEAKAGE, *left_out)
    }


# What is done beside the arrays: no mapping, so everything is known


def test_batch_norm(machine, technology):
    # It is the factor and the offset of the sum before it, in the records of that layer.
    assert energy(layer(LayerKind.BATCH_NORM), machine, technology) == {}


@pytest.mark.parametrize(("kind", "records"), [(LayerKind.RESIDUAL_ADD, 8), ("average_pool", 1)])
def test_records_are_read_once(machine, technology, kind, records):
    shape = {"out_frames": 1} if kind == "average_pool" else {}
    one = layer(LayerKind(kind), **shape)
    more = energy(dataclasses.replace(one, rescaled=True), machine, technology)
    read = more[Component.SRAM] - energy(one, machine, technology)[Component.SRAM]
    assert read == pytest.approx(records * 48 * 1.0)


def test_activation_compares(machine, technology):
    # 20 comparisons of 8 bits at 0.5 pJ a bit
    found = energy(layer(LayerKind.ACTIVATION), machine, technology)
    assert found == pytest.approx({Component.POST_PROCESSING: 20 * 8 * 0.5})


def test_residual_add_reads_two_tensors(machine, technology):
    assert energy(layer(LayerKind.RESIDUAL_ADD), machine, technology) == pytest.approx(
        {
            # 40 values of 8 bits times 16, shifted and added at 24; held at 24, 20 results at 8
            Component.POST_PROCESSING: 40 * (1.28 + 0.48 + 0.48 + 2 * 0.72) + 20 * 2 * 0.24,
            Component.SRAM: 2 * 20 * 8 * 4.0 + 20 * 8 * 32.0,
        }
    )


def test_average_pool_multiplies_once_a_channel(machine, technology):
    pool = layer(LayerKind.AVERAGE_POOL, out_frames=1)
    assert energy(pool, machine, technology) == pytest.approx(
        {
            # 20 values are added up; 4 sums of 24 bits become means
            Component.POST_PROCESSING: 20 * (0.48 + 0.72)
            + 4 * (3.84 + 0.8 + 0.48 + 2 * 0.72 + 2 * 0.24),
            Component.SRAM: 20 * 8 * 4.0 + 4 * 8 * 32.0,
        }
    )


def test_softmax(machine, technology):
    # 20 comparisons of 8 bits, 40 multiplications by 16 bits, 40 additions; read and written once
    assert energy(layer(LayerKind.SOFTMAX), machine, technology) == pytest.approx(
        {
            Component.POST_PROCESSING: 20 * 4.0
            + 40 * (1.28 + 0.48 + 0.48 + 2 * 0.72)
            + 20 * 2 * 0.24,
            Component.SRAM: 20 * 8 * 4.0 + 20 * 8 * 32.0,
        }
    )


def test_argmax_writes_what_it_found(machine, technology):
    # 5 frames: 4 values are compared for one index each
    one = layer(LayerKind.ARGMAX, out_channels=1)
    found = energy(one, machine, technology)
    assert found[Component.SRAM] == pytest.approx(20 * 8 * 4.0 + 5 * 8 * 32.0)


# Arrays: arithmetic does not depend on the mapping


def arithmetic(layer, machine, technology, part):
    return energy(layer, machine, technology)[part]


def test_mac(machine, technology):
    # 4 channels * 3 taps * 5 frames = 60 MACs: 0.01 * 8 * 8 + 0.48 pJ; the sum is a register's
    one = layer(LayerKind.DEPTHWISE, groups=4, kernel_size=3, weights=WeightSource.TRAINED)
    found = arithmetic(one, machine, technology, Component.MULTIPLY_ACCUMULATE)
    assert found == pytest.approx(60 * 1.12)
    # narrower operands: 0.01 * 4 * 2, and 12 bits of sum
    narrow = dataclasses.replace(one, weight_bits=4, input_bits=2, accumulator_bits=12)
    found = arithmetic(narrow, machine, technology, Component.MULTIPLY_ACCUMULATE)
    assert found == pytest.approx(60 * (0.08 + 0.24))


def ternary_layer(nonzeros=6, **changes):
    return layer(
        LayerKind.POINTWISE,
        weights=WeightSource.GENERATED,
        nonzeros=nonzeros,
        generator=SPEC,
        weight_bits=2,
        **changes,
    )


def with_adders(machine, **changes):
    macs, adders = machine.arrays
    return dataclasses.replace(machine, arrays=(macs, dataclasses.replace(adders, **changes)))


def test_ternary_adders_that_clock_zeros(machine, technology):
    # 16 entries * 5 frames at 0.04 * 24 pJ, 6 of 16 add 0.05 * 24
    found = arithmetic(ternary_layer(), machine, technology, Component.TERNARY_ADDITION)
    assert found == pytest.approx(80 * 0.96 + 30 * 1.2)


def test_ternary_adders_with_gated_clocks(machine, technology):
    gated = with_adders(machine, zero_handling="gated")
    found = arithmetic(ternary_layer(), gated, technology, Component.TERNARY_ADDITION)
    assert found == pytest.approx(30 * (0.96 + 1.2))


def test_ternary_trees(machine, technology):
    # A tree of 4 lanes: 80 positions at 0.06 * 8, 30 additions at 0.07 * 8, and for each of 20 sums
    # an addition of 24 bits a pass over its 4 entries: 1.
    trees = with_adders(machine, element="ternary_tree")
    found = arithmetic(ternary_layer(), trees, technology, Component.TERNARY_ADDITION)
    assert found == pytest.approx(80 * 0.48 + 30 * 0.56 + 20 * 1 * 0.48)
    # Lanes of 2: two passes.
    half = with_adders(machine, element="ternary_tree", columns=2)
    found = arithmetic(ternary_layer(), half, technology, Component.TERNARY_ADDITION)
    assert found == pytest.approx(80 * 0.48 + 30 * 0.56 + 20 * 2 * 0.48)


def test_ternary_trees_that_skip_zeros(machine, technology):
    # Rows with 3, 2, 1, 0 entries on trees of 2 lanes: 2 + 1 + 1 + 0 steps, 5 frames; only the
    # 30 non-zeros are clocked.
    mask = bytes([0b11101100, 0b10000000])
    one = ternary_layer(nonzero_mask=mask)
    trees = with_adders(machine, element="ternary_tree", columns=2, zero_handling="skipped")
    found = arithmetic(one, trees, technology, Component.TERNARY_ADDITION)
    assert found == pytest.approx(30 * (0.48 + 0.56) + 4 * 5 * 0.48)


def test_ternary_stored_and_multiplied(machine, technology):
    # Without ternary elements every trit is a weight of 2 bits: 80 MACs of 0.01 * 2 * 8 + 0.48.
    plain = dataclasses.replace(
        machine, arrays=machine.arrays[:1], ternary_weights="stored", generator=None
    )
    found = energy(ternary_layer(), plain, technology)
    assert found[Component.MULTIPLY_ACCUMULATE] == pytest.approx(80 * 0.64)
    assert Component.GENERATOR not in found
    assert Component.TERNARY_ADDITION not in found


def test_generator_spends_by_trit(machine, technology):
    found = [
        energy(ternary_layer(in_channels=channels), machine, technology)[Component.GENERATOR]
        for channels in (4, 8)
    ]
    assert 0 < found[0] < found[1]
    assert Component.GENERATOR not in energy(
        layer(LayerKind.POINTWISE, weights=WeightSource.TRAINED), machine, technology
    )


def test_an_array_may_have_an_energy_of_its_own(machine, technology):
    macs = dataclasses.replace(machine.arrays[0], operation_pj=OWN)
    own = dataclasses.replace(machine, arrays=(macs, machine.arrays[1]))
    one = layer(LayerKind.POINTWISE, weights=WeightSource.TRAINED)
    # 80 MACs, whatever their width
    assert arithmetic(one, own, technology, Component.MULTIPLY_ACCUMULATE) == 80 * 7.0
    narrow = dataclasses.replace(one, weight_bits=2)
    assert arithmetic(narrow, own, technology, Component.MULTIPLY_ACCUMULATE) == 80 * 7.0


# Prices


def test_memory_prices(machine, technology):
    assert [price.mid for price in memory_prices(machine.memories[0], technology)] == [1.0, 2.0]
    # 10,000 bits lie in the middle of 1,000 and 100,000 in logarithms: sqrt(1 * 4), sqrt(2 * 32)
    priced = dict.fromkeys(("word_bits", "read_pj_per_bit", "write_pj_per_bit"))
    weights, activations = (dataclasses.replace(each, **priced) for each in machine.memories)
    middle = dataclasses.replace(weights, capacity_bits=10_000)
    found = memory_prices(middle, technology)
    assert [price.mid for price in found] == pytest.approx([2.0, 8.0])
    assert found[0].as_tuple() == pytest.approx((1.0, 2.0, 4.0))
    file = dataclasses.replace(weights, kind="register_file", capacity_bits=32)
    assert [price.mid for price in memory_prices(file, technology)] == [0.3, 0.4]
    dram = dataclasses.replace(activations, kind="dram")
    assert [price.mid for price in memory_prices(dram, technology)] == [50.0, 50.0]
    own = dataclasses.replace(activations, read_pj_per_bit=OWN)
    assert [price.as_tuple() for price in memory_prices(own, technology)] == [
        (6.0, 7.0, 9.0),
        (16.0, 32.0, 64.0),
    ]
    # With both of its own, no table is asked, and any size will do.
    huge = dataclasses.replace(own, write_pj_per_bit=OWN, capacity_bits=10**9)
    assert memory_prices(huge, technology)[1].mid == 7.0


def register_prices(machine, technology, operand):
    prices = price_list(machine, technology)
    return {
        entry.action: float(prices.prices_pj[row, 1])
        for row, entry in enumerate(prices.entries)
        if (entry.component, entry.part, entry.operand) == (Component.REGISTER, "macs", operand)
    }


@pytest.mark.parametrize(
    ("register", "read", "write"),
    [
        (Register(capacity_bits=8), 0.0, 0.4),  # one weight: it drives its unit
        (Register(capacity_bits=16), 0.3, 0.4),  # two, one is selected
        (Register(capacity_bits=8, read_pj_per_bit=OWN), 7.0, 0.4),
        (Register(capacity_bits=16, write_pj_per_bit=OWN), 0.3, 7.0),
    ],
)
def test_register_prices(machine, technology, register, read, write):
    macs = dataclasses.replace(machine.arrays[0], weights=register)
    machine = dataclasses.replace(machine, arrays=(macs, machine.arrays[1]))
    assert register_prices(machine, technology, "weights") == {"read": read, "write": write}
    assert register_prices(machine, technology, "outputs") == {"read": 0.0, "write": 0.03}
    assert register_prices(machine, technology, "inputs") == {}


def test_leakage_is_power_times_time(machine, technology):
    # SRAMs of 1,000 and 100,000 bits leak 3 and 5 uW; at 2 MHz a cycle is half a microsecond.
    one = layer(LayerKind.RESIDUAL_ADD)
    cost = estimate(Workload("one", (one,)), machine, technology)
    rows = {
        row["part"]: row["energy_pj"]
        for row in cost.energy_table
        if row["component"] == Component.LEAKAGE
    }
    assert rows["weight_sram"] == 3 * cost.latency_cycles / 2
    assert rows["activation_sram"] == 5 * cost.latency_cycles / 2
    assert rows["logic"] == pytest.approx(cost.leakages_uw["logic"].mid * cost.latency_cycles / 2)
    assert cost.leakage.mid == pytest.approx(8 + cost.leakages_uw["logic"].mid)
    # Logic leaks 1 nW per um2, and its share of wiring is 1: twice what is no SRAM.
    logic = sum(area.mid for part, area in cost.areas_um2.items() if not part.endswith("_sram"))
    assert cost.leakages_uw["logic"].mid == pytest.approx(logic * 1e-3)
    nests = control_area_um2(machine, technology).mid + alignment_area_um2(machine, technology).mid
    nests += selection_area_um2(machine, technology).mid
    assert cost.areas_um2["control"].mid == pytest.approx(logic / 2 + nests)
    quick = dataclasses.replace(machine, clock_mhz=4.0)
    faster = estimate(Workload("one", (one,)), quick, technology)
    assert faster.energies_pj[Component.LEAKAGE] == pytest.approx(
        cost.energies_pj[Component.LEAKAGE] / 2
    )
