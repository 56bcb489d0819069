"""What holds for every workload on every machine: random layers, the library and variations of it.

`test_naive.py` holds traffic against a walk through all loops; here are laws that need no second
model.
"""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cost_models import (
    Component,
    GeneratorSpec,
    InvalidAccelerator,
    Layer,
    LayerKind,
    UnmappableLayer,
    WeightSource,
    Workload,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.accelerator import OPERANDS
from cost_models.cost import count_busy_cycles
from cost_models.latency import Bound, row_steps
from cost_models.pricing import LayerPricer
from cost_models.residency import Placed
from cost_models.workload import CONVOLUTIONS, IN_LINE
from tests.cost_models.conftest import BIT_BY_BIT

MACHINES = {name: load_accelerator(name) for name in accelerator_names()}
TECHNOLOGIES = {name: load_technology(name) for name in technology_names()}
SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=127, decision_bits=8)
CHANNELS = st.sampled_from([1, 2, 5, 8, 17, 32, 48, 64])
FRAMES = st.sampled_from([1, 2, 7, 16, 33])

laws = settings(max_examples=40, deadline=None, derandomize=True)


def ternary(in_channels, out_channels, frames, density, seed, name="layer", **changes):
    random = np.random.default_rng(seed)
    mask = random.random((out_channels, in_channels)) < density
    return Layer(
        name=name,
        kind=LayerKind.POINTWISE,
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=frames,
        weights=WeightSource.GENERATED,
        nonzeros=int(mask.sum()),
        nonzero_mask=np.packbits(mask).tobytes(),
        weight_bits=2,
        generator=SPEC,
        **changes,
    )


@st.composite
def layers(draw, name="layer", kinds=tuple(LayerKind)):
    kind = draw(st.sampled_from(kinds))
    channels, frames = draw(CHANNELS), draw(FRAMES)
    if kind == LayerKind.POINTWISE and draw(st.booleans()):
        density, seed = draw(st.sampled_from([0.0, 0.2, 0.5, 1.0])), draw(st.integers(0, 99))
        return ternary(channels, draw(CHANNELS), frames, density, seed, name)
    if kind == LayerKind.LINEAR:
        frames = 1
    widens = kind in (LayerKind.POINTWISE, LayerKind.CONVOLUTION, LayerKind.LINEAR)
    taps = draw(st.sampled_from([1, 3, 11])) if "conv" in kind or "depth" in kind else 1
    stride = draw(st.integers(1, 2)) if kind in ("convolution", "depthwise", "pointwise") else 1
    bins = draw(st.sampled_from([1, 1, 4])) if kind != LayerKind.LINEAR else 1
    return Layer(
        name=name,
        kind=kind,
        in_channels=channels,
        out_channels=draw(CHANNELS) if widens else channels,
        in_frames=frames * stride,
        out_frames=1 if kind == LayerKind.AVERAGE_POOL else frames,
        kernel_size=taps,
        stride=stride,
        dilation=draw(st.integers(1, 2)) if taps > 1 else 1,
        in_bins=bins * stride,
        out_bins=bins,
        kernel_bins=3 if taps > 1 and bins > 1 else 1,
        bin_stride=stride,
        groups=channels if kind == LayerKind.DEPTHWISE else 1,
        weights=WeightSource.TRAINED if kind in CONVOLUTIONS else WeightSource.NONE,
        bias=kind in CONVOLUTIONS and draw(st.booleans()),
        folded=kind == LayerKind.BATCH_NORM and draw(st.booleans()),
    )


CONVOLUTION_KINDS = tuple(sorted(CONVOLUTIONS))


@st.composite
def workloads(draw):
    count = draw(st.integers(1, 5))
    return Workload("random", tuple(draw(layers(f"layer{index}")) for index in range(count)))


def altered(machine, memory, **changes):
    memories = tuple(
        dataclasses.replace(each, **changes) if each.name == memory else each
        for each in machine.memories
    )
    return dataclasses.replace(machine, memories=memories)


def rearrayed(machine, array, **changes):
    arrays = tuple(
        dataclasses.replace(each, **changes) if each.name == array else each
        for each in machine.arrays
    )
    return dataclasses.replace(machine, arrays=arrays)


@st.composite
def machines(draw, free=False):
    """A machine of the library, or one of other sizes; `free`: with all dataflows."""
    machine = MACHINES[draw(st.sampled_from(sorted(MACHINES)))]
    for array in machine.arrays:
        changes = {
            name: draw(st.sampled_from([size, max(size // 2, 1), 2 * size]))
            for name, size in (("rows", array.rows), ("columns", array.columns))
        }
        if free:
            changes |= {"dataflow": "auto", "depthwise": "auto", "bypass": True}
        machine = rearrayed(machine, array.name, **changes)
    for memory in machine.memories:
        scale = draw(st.sampled_from([1, 1, 2, 4]))
        ports = draw(st.sampled_from(["shared", "separate"]))
        bandwidth = max(memory.bandwidth_bits_per_cycle // scale, 1)
        machine = altered(machine, memory.name, bandwidth_bits_per_cycle=bandwidth, ports=ports)
    return machine


def priced(workload, machine, objective="edp", technology=None):
    if isinstance(workload, Layer):
        workload = Workload("one", (workload,))
    technology = technology or TECHNOLOGIES[machine.technology]
    try:
        return estimate(workload, machine, technology, objective)
    except UnmappableLayer:
        assume(False)


def same(one, other):
    return one.columns() == other.columns() and np.array_equal(one.counts, other.counts)


# Sums


@laws
@given(workloads(), machines())
def test_breakdown_sums_to_the_totals(workload, machine):
    cost = priced(workload, machine)
    table = cost.energy_table
    for suffix, total in zip(("low_pj", "pj", "high_pj"), cost.energy.as_tuple(), strict=True):
        parts = sum(row[f"energy_{suffix}"] for row in table)
        assert parts == pytest.approx(total)
    for layer in cost.layers:
        rows = [row for row in table if row["layer"] == layer.layer.name]
        assert sum(row["energy_pj"] for row in rows) == pytest.approx(layer.energy_pj)
    for component, energy in cost.energies_pj.items():
        rows = [row for row in table if row["component"] == component]
        assert sum(row["energy_pj"] for row in rows) == pytest.approx(energy)
    assert sum(cost.energies_pj.values()) == pytest.approx(cost.energy_pj)
    assert sum(cost.bounds_cycles.values()) == cost.latency_cycles
    assert sum(layer.latency_cycles for layer in cost.layers) == cost.latency_cycles
    assert sum(band.mid for band in cost.areas_um2.values()) == pytest.approx(cost.area.mid)
    for name in ("energy_pj", "latency_cycles", "macs", "stored_bits", "trits"):
        assert sum(row[name] for row in cost.breakdown) == pytest.approx(cost.columns()[name])


@laws
@given(workloads(), machines(), st.sampled_from(sorted(TECHNOLOGIES)))
def test_bands_are_in_order(workload, machine, technology):
    try:
        cost = priced(workload, machine, technology=TECHNOLOGIES[technology])
    except InvalidAccelerator as error:
        assert "an SRAM of" in str(error)  # no such macro in that technology
        return
    for band in (cost.energy, cost.area, cost.leakage, *(each.energy for each in cost.layers)):
        assert 0 <= band.low <= band.mid <= band.high


# Lower bounds


@laws
@given(layers(kinds=CONVOLUTION_KINDS), machines(), st.sampled_from(["energy", "latency", "edp"]))
def test_no_memory_moves_less_than_the_unique_tensor(layer, machine, objective):
    cost = priced(layer, machine, objective)
    [one] = cost.layers
    # Frames and bins that any output sees, but not more than there are.
    taps = [tap * layer.dilation for tap in range(layer.kernel_size)]
    seen = len({t * layer.stride + tap for t in range(layer.out_frames) for tap in taps})
    bins = itertools.product(range(layer.out_bins), range(layer.kernel_bins))
    up = len({made * layer.bin_stride + tap * layer.bin_dilation for made, tap in bins})
    seen = min(seen, layer.in_frames) * min(up, layer.in_bins)
    unique = {
        "weights": 0 if machine.generates(layer) else layer.weight_entries * layer.weight_bits,
        "inputs": layer.in_channels * seen * layer.input_bits,
        "outputs": layer.out_channels * layer.out_pixels * layer.output_bits,
    }
    for operand in OPERANDS:
        chain = machine.chain(operand)
        for memory in chain:
            moved = one.traffic_bits(memory.name, operand)
            assert moved >= unique[operand], (memory.name, operand)
            home = machine.weight_home if operand == "weights" else machine.activation_home
            if home is not None and memory.name == home.name:
                break  # what is at home does not reach further
            if memory is not chain[-1]:
                assert moved >= 2 * unique[operand]  # in and out


@laws
@given(layers(kinds=CONVOLUTION_KINDS), machines())
def test_latency_is_at_least_work_over_peak_rate(layer, machine):
    cost = priced(layer, machine, "latency")
    array = machine.array_for(layer)
    assert cost.utilisation <= 1
    if array.zero_handling != "skipped":
        positions = layer.weight_entries * layer.out_pixels
        assert cost.latency_cycles * array.elements >= positions
    if machine.generator and cost.layers[0].trits:
        made = cost.latency_cycles * machine.generator.trits_per_cycle
        assert made >= cost.layers[0].trits >= layer.weight_entries


@laws
@given(layers(), machines())
def test_latency_is_at_least_what_every_port_needs(layer, machine):
    cost = priced(layer, machine)
    for memory in machine.memories:
        bits = cost.layers[0].traffic_bits(memory.name)
        ports = 1 if memory.ports == "shared" else 2
        assert cost.latency_cycles * memory.bandwidth_bits_per_cycle * ports >= bits


@laws
@given(workloads(), machines())
def test_without_any_overlap_a_layer_takes_the_sum_of_its_parts(workload, machine):
    cost = priced(workload, machine)
    assert cost.latency_high_cycles >= cost.latency_cycles
    for layer in cost.layers:
        # What is done in line with the layer before it waits for that one, then.
        # Waiting is for transfers, which are counted where they pass.
        busy = sum(layer.busy_cycles.values()) - layer.busy_cycles[Bound.WAITING]
        assert layer.latency_cycles + layer.exposed_cycles == max(busy, layer.latency_cycles)


def machine_memories(machine):
    return {memory.name for memory in machine.memories}


# More of the machine


def latency(layer, machine):
    return priced(layer, machine, "latency").latency_cycles


@laws
@given(layers(), machines(free=True), st.integers(2, 5))
def test_more_bandwidth_is_never_slower(layer, machine, factor):
    for memory in machine.memories:  # at figures of its own, any port can be built
        machine = altered(machine, memory.name, **{**BIT_BY_BIT, "word_bits": None})
    before = latency(layer, machine)
    for memory in machine.memories:
        bandwidth = factor * memory.bandwidth_bits_per_cycle
        wider = altered(machine, memory.name, bandwidth_bits_per_cycle=bandwidth)
        assert latency(layer, wider) <= before, memory.name
        assert latency(layer, altered(machine, memory.name, ports="separate")) <= before
    if machine.generator:
        lanes = factor * machine.generator.trits_per_cycle
        generator = dataclasses.replace(machine.generator, trits_per_cycle=lanes)
        assert latency(layer, dataclasses.replace(machine, generator=generator)) <= before
    wider = dataclasses.replace(machine, vector_lanes=factor * machine.vector_lanes)
    assert latency(layer, wider) <= before


SMALL = st.sampled_from([64, 200, 512, 1_024, 4_096, 16_384])
"""Capacities that decide over tiles and residence of the layers of these tests."""


@settings(max_examples=80, deadline=None, derandomize=True)
@given(layers(kinds=CONVOLUTION_KINDS), machines(free=True), st.data(), st.integers(2, 3))
def test_larger_buffers_are_never_slower(layer, machine, data, factor):
    # A port of a few bits a cycle is what a layer waits for, so that tiles decide.
    buffers = [memory.name for memory in machine.memories if memory.kind != "dram"]
    for memory in machine.memories:
        machine = altered(machine, memory.name, bandwidth_bits_per_cycle=8)
    for name in buffers:
        changes = {"kind": "register_file", "capacity_bits": data.draw(SMALL)} | BIT_BY_BIT
        changes["double_buffered"] = data.draw(st.booleans())
        machine = altered(machine, name, **changes)
    before = latency(layer, machine)
    for memory in machine.memories:
        if memory.name in buffers:
            larger = altered(machine, memory.name, capacity_bits=factor * memory.capacity_bits)
            cost = estimate(
                Workload("one", (layer,)), larger, TECHNOLOGIES[machine.technology], "latency"
            )
            assert cost.latency_cycles <= before, memory.name


@settings(max_examples=60, deadline=None, derandomize=True)
@given(layers(kinds=CONVOLUTION_KINDS), machines(free=True), st.integers(2, 3))
def test_larger_registers_are_never_slower(layer, machine, factor):
    for memory in machine.memories:
        machine = altered(machine, memory.name, bandwidth_bits_per_cycle=8)
    before = latency(layer, machine)
    for array, operand in itertools.product(machine.arrays, OPERANDS):
        if (register := getattr(array, operand)) is not None:
            size = factor * register.capacity_bits
            larger = dataclasses.replace(register, capacity_bits=size)
            assert latency(layer, rearrayed(machine, array.name, **{operand: larger})) <= before


def unhindered(machine):
    """With memories and a generator that never let the arrays wait."""
    # So slow a clock that a DRAM's port may be as wide.
    machine = dataclasses.replace(machine, clock_mhz=0.001)
    for memory in machine.memories:
        wide = {"capacity_bits": 10**9, "bandwidth_bits_per_cycle": 10**9}
        machine = altered(machine, memory.name, **wide, **BIT_BY_BIT)
    if machine.generator:
        generator = dataclasses.replace(machine.generator, trits_per_cycle=10**9)
        machine = dataclasses.replace(machine, generator=generator)
    return machine


@laws
@given(layers(), machines(free=True), st.integers(2, 3))
def test_larger_arrays_are_never_slower(layer, machine, factor):
    before = latency(layer, machine)
    for array, side in itertools.product(machine.arrays, ("rows", "columns")):
        larger = rearrayed(machine, array.name, **{side: factor * getattr(array, side)})
        assert latency(layer, larger) <= before, (array.name, side)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(layers(kinds=("linear", "convolution", "depthwise")), st.integers(2, 3), st.booleans())
def test_larger_systolic_arrays_are_never_slower(layer, factor, wide):
    # Layers of few frames end before a large array is filled: they run on a part of it.
    machine = unhindered(rearrayed(MACHINES["tpu_like"], "macs", depthwise="auto"))
    size = 48 if wide else 32
    machine = rearrayed(machine, "macs", rows=size, columns=size)
    before = latency(layer, machine)
    for side in ("rows", "columns"):
        assert latency(layer, rearrayed(machine, "macs", **{side: factor * size})) <= before


def test_a_short_layer_runs_on_a_part_of_a_systolic_array():
    # 96 inputs through 32 rows: 3 passes of 2 frames, and 2 x 32 + 5 - 2 = 67 cycles to fill and
    # drain. Through 64 rows, 2 passes would have 48 rows to load and to pass: 4 + 99. On 24 of the
    # rows: 8 + 51, on 12: 16 + 27, on 8: 24 + 19 = 43; fewer are slower again.
    layer = Layer(
        name="layer",
        kind=LayerKind.CONVOLUTION,
        in_channels=32,
        out_channels=5,
        in_frames=2,
        out_frames=2,
        kernel_size=3,
        weights=WeightSource.TRAINED,
    )
    machine = unhindered(MACHINES["tpu_like"])
    for rows in (32, 64, 96):
        assert latency(layer, rearrayed(machine, "macs", rows=rows)) == 43
    whole = rearrayed(machine, "macs", bypass=False)
    assert latency(layer, whole) == 6 + 2 * 32 + 32 - 2  # data passes all rows and columns


def test_biases_count_in_the_search():
    # 1 -> 8 channels, 11 taps, 16 frames, 8 biases of 24 bits, ports of 8 bits: the weights' port
    # is busy for 704 cycles with the weights of some mappings that take 704 at the other port, too.
    # With the 24 cycles of the biases, they are slower than others, on arrays of any width.
    layer = Layer(
        name="layer",
        kind=LayerKind.CONVOLUTION,
        in_channels=1,
        out_channels=8,
        in_frames=16,
        out_frames=16,
        kernel_size=11,
        weights=WeightSource.TRAINED,
        bias=True,
    )
    machine = MACHINES["kws_tiny"]
    for memory in machine.memories:
        machine = altered(machine, memory.name, bandwidth_bits_per_cycle=8, ports="separate")
    for columns in (4, 8, 12):
        wide = rearrayed(machine, "macs", rows=2, columns=columns)
        assert latency(layer, wide) == 704


# Zeros


@laws
@given(CHANNELS, CHANNELS, FRAMES, st.integers(0, 99), machines(), st.booleans())
def test_lower_density_never_adds_energy(inputs, outputs, frames, seed, machine, gated):
    assume(machine.ternary_weights != "refused")
    if gated:
        for array in machine.arrays:
            if array.element != "mac":
                machine = rearrayed(machine, array.name, zero_handling="gated")
    # The same random numbers below a lower threshold: the sparser mask is a part of the denser.
    costs = [
        priced(ternary(inputs, outputs, frames, density, seed), machine, "energy")
        for density in (1.0, 0.5, 0.25, 0.0)
    ]
    for denser, sparser in itertools.pairwise(costs):
        assert sparser.energy_pj <= denser.energy_pj * (1 + 1e-12)
        assert sparser.energy.high <= denser.energy.high * (1 + 1e-12)


@laws
@given(CHANNELS, CHANNELS, FRAMES, st.floats(0, 1), st.integers(0, 99))
def test_skipping_is_never_slower_than_clocking_zeros(inputs, outputs, frames, density, seed):
    layer = ternary(inputs, outputs, frames, density, seed)
    dense = priced(layer, MACHINES["kws_ternary"], "latency")
    skipping = priced(layer, MACHINES["kws_ternary_skipped"], "latency")
    assert skipping.latency_cycles <= dense.latency_cycles
    full = ternary(inputs, outputs, frames, 1.0, seed)
    assert (
        priced(full, MACHINES["kws_ternary_skipped"], "latency").latency_cycles
        == priced(full, MACHINES["kws_ternary"], "latency").latency_cycles
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 10**6),
)
def test_row_steps_equal_a_count_by_hand(groups, outputs, inputs, taps, rows, together, seed):
    random = np.random.default_rng(seed)
    mask = random.random((groups * outputs, inputs * taps)) < random.random()
    layer = Layer(
        name="layer",
        kind=LayerKind.CONVOLUTION,
        in_channels=groups * inputs,
        out_channels=groups * outputs,
        in_frames=4,
        out_frames=4,
        kernel_size=taps,
        groups=groups,
        weights=WeightSource.GENERATED,
        nonzeros=int(mask.sum()),
        nonzero_mask=np.packbits(mask).tobytes(),
    )
    steps = 0
    for group in range(groups):
        waiting = list(mask[group * outputs : (group + 1) * outputs].sum(axis=1))
        while waiting:
            tile, waiting = waiting[:rows], waiting[rows:]
            while any(left > 0 for left in tile):
                tile = [left - together for left in tile]
                steps += 1
    assert row_steps(layer, rows, together, groups) == steps


def test_a_tree_takes_as_many_entries_a_step_as_it_has_lanes():
    # 48 entries, all but 4 zero, on 32 lanes: 1 step a row of 4, 16 frames, though 48 entries are
    # 2 steps of 24 when none is skipped. 30 of 48: one step of 32 lanes, not two of 24.
    machine = MACHINES["kws_ternary_skipped"]
    for memory in machine.memories:
        wide = {"capacity_bits": 10**9, "bandwidth_bits_per_cycle": 10**6}
        machine = altered(machine, memory.name, **wide, **BIT_BY_BIT)
    generator = dataclasses.replace(machine.generator, trits_per_cycle=4096)
    machine = dataclasses.replace(machine, generator=generator)
    for ones, steps in ((4, 1), (30, 1), (32, 1), (33, 2), (48, 2)):
        mask = np.zeros((4, 48), dtype=bool)
        mask[:, :ones] = True
        layer = dataclasses.replace(
            ternary(48, 4, 16, 0.0, 0), nonzeros=4 * ones, nonzero_mask=np.packbits(mask).tobytes()
        )
        assert latency(layer, machine) == steps * 16


# Nothing else matters


@laws
@given(workloads(), machines(), st.data())
def test_pricing_alone_equals_pricing_among_others(workload, machine, data):
    technology = TECHNOLOGIES[machine.technology]
    placed = [Placed(layer) for layer in workload.layers]
    try:
        alone = []
        for each in placed:
            pricer = LayerPricer(machine, technology)
            [row] = pricer.rows([each])
            alone.append((pricer.table.counts[row], count_busy_cycles(pricer.table, row, machine)))
        shuffled = data.draw(st.permutations(range(len(placed))))
        pricer = LayerPricer(machine, technology)
        rows = pricer.rows([placed[at] for at in shuffled])
    except UnmappableLayer:
        assume(False)
    for at, row in zip(shuffled, rows, strict=True):
        assert np.array_equal(pricer.table.counts[row], alone[at][0])
        assert count_busy_cycles(pricer.table, row, machine) == alone[at][1]
        assert pricer.table.mappings[row] is None or pricer.table.mappings[row].array


@laws
@given(workloads(), machines())
def test_names_do_not_matter(workload, machine):
    renamed = Workload(
        "other",
        tuple(dataclasses.replace(each, name=f"{each.name}!") for each in workload.layers),
    )
    assert same(priced(workload, machine), priced(renamed, machine))


@laws
@given(layers(), layers(), machines(), st.permutations([0, 1, 0, 1, 0]))
def test_order_of_independent_layers_changes_nothing(first, second, machine, order):
    assume(first.kind not in IN_LINE and second.kind not in IN_LINE)
    # Each reads the input and none the other, and nothing is kept on the chip between them.
    machine = dataclasses.replace(machine, residency="never", input_memory="")
    made = [
        dataclasses.replace((first, second)[which], name=f"layer{at}", reads=("input",))
        for at, which in enumerate(sorted(order))
    ]
    by_kind = {0: made[:3], 1: made[3:]}
    permuted = [by_kind[which].pop() for which in order]
    one, other = (priced(Workload("all", tuple(each)), machine) for each in (made, permuted))
    assert np.array_equal(one.counts, other.counts)
    assert one.energy == other.energy
    assert one.latency_cycles == other.latency_cycles


@laws
@given(layers(), machines(), st.sampled_from(["energy", "latency", "edp"]))
def test_each_objective_is_met_best_by_its_own_search(layer, machine, objective):
    def figure(cost):
        energy, cycles = cost.energy_pj, cost.latency_cycles
        return {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]

    best = figure(priced(layer, machine, objective))
    if objective != "edp" or layer.kind not in CONVOLUTIONS:
        # (The product weighs what depends on the mapping only, so it may differ in the total.)
        for other in ("energy", "latency", "edp"):
            assert best <= figure(priced(layer, machine, other)) * (1 + 1e-9)


@laws
@given(layers(kinds=("pointwise",)), machines())
def test_every_trit_of_a_matrix_is_made(layer, machine):
    one = priced(layer, machine).layers[0]
    if machine.generates(layer):
        assert one.generated_weights == layer.weight_entries
        assert one.trits % layer.weight_entries == 0  # whole regenerations
        assert one.regenerations == one.trits / layer.weight_entries >= 1
        # From memory only records, in whole words, and no weight: three that start the generator,
        # and one a channel.
        [memory] = machine.chain("weights")
        words = -(-48 * (3 + layer.out_channels) // memory.access_bits)
        assert one.traffic_bits(memory.name, "weights") == words * memory.access_bits
        assert one.energies_pj[Component.GENERATOR] > 0
    else:
        assert (one.trits, one.regenerations, one.generated_weights) == (0, 0, 0)
