"""Orders of generated matrices: closed forms against a generator that is walked entry by entry."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cost_models import (
    Accelerator,
    ComputeArray,
    GeneratorSpec,
    GeneratorUnit,
    Layer,
    MemoryLevel,
    Register,
    UnmappableLayer,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.energy import Component, Entry
from cost_models.errors import InvalidInput
from cost_models.generation import generate
from cost_models.generator import in_any_order, run_entries
from cost_models.machine_area import machine_area_um2
from cost_models.mapping import N, R, limits_of, list_candidates
from cost_models.residency import Residence
from cost_models.technology import Constant
from cost_models.tiles import Precision
from cost_models.traffic import count_traffic
from cost_models.workload import LayerKind, WeightSource, Workload
from dse.ternary.order import arrange
from tests.cost_models.test_naive import candidate, passes

SHIFT_REGISTER = GeneratorSpec(family="lfsr_threshold", state_bits=127, decision_bits=8)
COUNTER = GeneratorSpec(family="counter_arx", state_bits=64, decision_bits=7, rounds=6)


def generated(outputs, inputs, frames, tile=None, spec=SHIFT_REGISTER, groups=1):
    return Layer(
        name="pw",
        kind=LayerKind.POINTWISE,
        in_channels=inputs,
        out_channels=outputs,
        in_frames=frames,
        out_frames=frames,
        groups=groups,
        weights=WeightSource.GENERATED,
        generator=spec,
        matrix_tile=tile,
        weight_bits=2,
        rescaled=False,
    )


def machine_of(rows, columns, saved_states=0, element="ternary_adder", lanes=4):
    array = ComputeArray(
        name="adders",
        element=element,
        rows=rows,
        columns=columns,
        weights=Register(capacity_bits=2),
        latched=("inputs",),
        outputs=Register(capacity_bits=24 * 64),
    )
    macs = replace(array, name="macs", element="mac")
    memory = MemoryLevel(
        name="sram",
        kind="sram",
        holds=("weights", "inputs", "outputs"),
        capacity_bits=2**20,
        bandwidth_bits_per_cycle=64,
    )
    return Accelerator(
        name="test",
        description="",
        source="made for tests",
        technology="low_leakage_45nm",
        clock_mhz=10.0,
        arrays=(array, macs),
        memories=(memory,),
        vector_lanes=1,
        ternary_weights="generated",
        generator=GeneratorUnit(trits_per_cycle=lanes, saved_states=saved_states),
    )


def prepared(layer, machine):
    """Candidates, traffic and what the generator does for them."""
    array = machine.arrays[0]
    found = list_candidates([layer], array)
    n = len(found.views.layer)
    some = np.ones(n)
    nowhere = np.zeros(n, dtype=np.bool_)
    residence = Residence(
        weights_on_chip=nowhere, inputs_on_chip=np.zeros(n), output_on_chip=nowhere
    )
    bits = Precision(
        weight_bits=2 * some, input_bits=8 * some, output_bits=8 * some, accumulator_bits=24 * some
    )
    traffic = count_traffic(found, array, machine, bits, residence, ~nowhere)
    made = generate(found, [layer], array, machine, traffic.trits, traffic.weights_kept)
    return found, traffic, made


def walked(one, layer):
    """What a generator that goes forwards alone does for a mapping, one entry at a time.

    Returns:
        None where it would have to jump; else restarts, restores, and the most states that must be
        kept at a time.
    """
    shape = (layer.out_channels, layer.in_channels // layer.groups)
    each = layer.out_channels // layer.groups
    numbers = np.arange(np.prod(shape)).reshape(shape)
    made = arrange(numbers, layer.matrix_tile or ())
    position, asked, events, passed = 0, None, [], {}
    restarts = restores = 0
    for time, (group, cuts) in enumerate(itertools.product(range(layer.groups), list(passes(one)))):
        block = cuts[0]
        rows = slice(group * each + block[N][0], group * each + block[N][1])
        wanted = sorted(made[rows, slice(*block[R])].ravel().tolist())
        if wanted == asked:
            continue  # the registers have it
        asked = wanted
        first = wanted[0]
        if wanted != list(range(first, first + len(wanted))):
            return None
        if first > position:
            return None
        if first < position:
            if first == 0:
                restarts += 1
            else:
                restores += 1
                events.append((passed[first], time))
        position = first + len(wanted)
        passed.update({number: time for number in wanted})
    # A state is kept from when it was passed last until it is gone back to.
    kept = max(
        (sum(a < time <= b for a, b in events) for time in {b for _, b in events}), default=0
    )
    return restarts, restores, kept


@pytest.mark.parametrize("tile", [None, (2, 4), (4, 2), (8, 12), (1, 4), (2, 12)])
@pytest.mark.parametrize(("rows", "columns"), [(2, 4), (4, 4), (1, 12), (4, 12)])
def test_a_generator_does_what_one_that_is_walked_does(tile, rows, columns):
    layer = generated(8, 12, 4, tile)
    machine = machine_of(rows, columns, saved_states=1)
    found, traffic, made = prepared(layer, machine)
    seen = set()
    for at in range(len(found.views.layer)):
        one = candidate(found, at, layer)
        told = walked(one, layer)
        if told is None or one.degenerate:
            assert told is not None or not made.possible[at], one
            continue
        restarts, restores, kept = told
        assert made.possible[at] == (kept <= 1), one
        if kept <= 1:
            # Going back takes no cycle: what loads a state hands out its first trits.
            assert made.cycles[at] == np.ceil(traffic.trits[at] / 4), one
            seen.add((restarts > 0, restores > 0))
    if tile in (None, (2, 4)) and (rows, columns) == (2, 4):
        # Row by row, two rows cannot be side by side: frames are, and all three ways occur.
        assert {(False, False), (True, False), (True, True)} <= seen


def test_groups_begin_again_at_their_own_beginning():
    """The second group's frames go back to its first entry, in the middle of the matrix."""
    layer = generated(8, 8, 4, groups=2)
    found, traffic, made = prepared(layer, machine_of(1, 4, saved_states=1))
    for at in range(len(found.views.layer)):
        told = walked(candidate(found, at, layer), layer)
        if told is None:
            assert not made.possible[at]
            continue
        restarts, restores, _ = told
        # The walk calls going back to the first group's beginning a restart; for the circuit both
        # groups are pieces, whose states are saved.
        assert (made.saves[at] > 0) == (restarts + restores > 0)
        assert made.cycles[at] == np.ceil(traffic.trits[at] / 4)


def test_without_a_register_only_whole_matrices_are_made_again():
    """4 x 8 on 1 x 4 adders, 4 frames; T between N and R goes back to the start of each row."""
    layer = generated(4, 8, 4)
    for saved in (0, 1):
        found, _, made = prepared(layer, machine_of(1, 4, saved_states=saved))
        orders = [
            [(int(found.order[depth, at]), int(found.counts[depth, at])) for depth in range(4)]
            for at in range(len(found.views.layer))
        ]
        nest = [[each for each in order if each[1] > 1] for order in orders]
        between = nest.index([(R, 2), (2, 4), (N, 4)])  # innermost first: R, T, N
        outside = nest.index([(R, 2), (N, 4), (2, 4)])
        assert made.possible[outside]
        assert made.possible[between] == bool(saved)
        # 32 trits in 4 frames, 4 a cycle; 4 rows go back 3 times each, and are saved once each.
        assert made.cycles[between] == 32 * 4 / 4 and made.saves[between] == 4
        assert made.cycles[outside] == 32 * 4 / 4 and made.saves[outside] == 0


def test_a_counter_makes_any_order_a_run_a_cycle():
    """2 rows x 4 columns a pass of a matrix of 8 x 12, row by row: a cycle a row of the pass."""
    layer = generated(8, 12, 4, spec=COUNTER)
    machine = machine_of(2, 4, lanes=8)
    found, traffic, made = prepared(layer, machine)
    aligned = limits_of(found, machine.arrays[0], R) % 4 == 0
    assert made.possible[aligned].all() and not made.saves.any()
    wide = (found.unrolled[N] == 2) & (found.unrolled[R] == 4)
    np.testing.assert_array_equal(made.cycles[wide], traffic.trits[wide] / 4)
    whole = found.unrolled[R] == 8  # of 12: two cycles of 8, of which the second has 4
    assert not whole.any()


def test_runs_begin_at_whole_words():
    """With 7 decision bits, 4 entries come of a word: arrays of 3 columns would cut one."""
    assert run_entries(COUNTER) == 4 and in_any_order(COUNTER)
    assert run_entries(SHIFT_REGISTER) == 1 and not in_any_order(SHIFT_REGISTER)
    layer = generated(8, 12, 4, spec=COUNTER)
    found, _, made = prepared(layer, machine_of(2, 3))
    inside = (found.unrolled[N] == 2) & (found.unrolled[R] == 3)
    assert inside.any() and not made.possible[inside].any()


def cost_of(layer, machine):
    return estimate(Workload("one", (layer,)), machine, load_technology(machine.technology))


def test_p3_in_the_order_of_the_trees_takes_half_the_cycles_of_rows():
    """What a generator that emits row by row costs kws_ternary, per layer of 64 x 64."""
    machine = load_accelerator("kws_ternary")
    rows, tiles = (cost_of(generated(64, 64, 128, tile), machine) for tile in (None, (4, 32)))
    # Row by row the trees work on four frames of one output: 4 x 32 bytes through a port of 32.
    assert rows.layers[0].bound == "input_buffer"
    assert rows.layers[0].latency_cycles >= 64 * 64 * 128 // 128 * 4
    assert tiles.layers[0].latency_cycles < 0.3 * rows.layers[0].latency_cycles
    assert tiles.energy_pj < 0.6 * rows.energy_pj
    assert "rows T" in str(rows.layers[0].mapping) and "rows N" in str(tiles.layers[0].mapping)


def test_stored_trits_have_no_order():
    machine = load_accelerator("kws_ternary_stored")
    one, other = (cost_of(generated(64, 64, 128, tile), machine) for tile in (None, (4, 32)))
    assert one.energy_pj == other.energy_pj and one.latency_cycles == other.latency_cycles


def test_an_order_that_an_array_cannot_take_is_refused():
    machine = load_accelerator("kws_ternary")
    with pytest.raises(
        UnmappableLayer,
        match="pw: generator lfsr_threshold makes its matrix in tiles of 4 x 48, and no mapping "
        r"on array 'trees' \(machine .*kws_ternary.yaml:\d+\) takes it in that order; choose a "
        r"matrix_order that it takes, such as 4x32, or a generator with a counter",
    ):
        cost_of(generated(64, 64, 128, (4, 48)), machine)
    # One that it could take, if something held the inputs of four frames.
    bare = replace(machine, arrays=tuple(replace(array, latched=()) for array in machine.arrays))
    with pytest.raises(UnmappableLayer, match="takes it so fits registers, latches"):
        cost_of(generated(64, 64, 128), bare)


def test_a_restart_reads_nothing():
    """The start words, 127 + 8 bits in three words of 64, stand in a register from then on."""
    machine = load_accelerator("kws_ternary")
    cost = cost_of(generated(64, 64, 128, (4, 32)), machine)
    layer = cost.layers[0]
    again = layer.trits / layer.generated_weights - 1
    assert again > 0
    assert layer.busy_cycles["weight_sram"] == 3
    assert layer.busy_cycles["generator"] == layer.trits / 32


def test_a_saved_state_takes_area():
    technology = load_technology("low_leakage_45nm")
    none, one = (
        machine_area_um2(machine_of(2, 4, saved_states=saved), technology, [SHIFT_REGISTER])
        for saved in (0, 1)
    )
    bit = technology.generator_state_um2_per_bit.value
    assert one["generator"].mid - none["generator"].mid == pytest.approx(127 * bit)


DEPTHWISE = Layer(
    name="dw",
    kind=LayerKind.DEPTHWISE,
    in_channels=64,
    out_channels=64,
    in_frames=128,
    out_frames=128,
    kernel_size=9,
    groups=64,
    weights=WeightSource.TRAINED,
)


def test_inputs_that_nothing_holds_must_come_in_one_transfer():
    """8 x 8 MACs, each with an input of its own, take 512 bits a pass: a port of 256 cannot."""
    machine = load_accelerator("kws_int8")
    bare = replace(machine, arrays=(replace(machine.arrays[0], latched=()),))
    held, unheld = cost_of(DEPTHWISE, machine), cost_of(DEPTHWISE, bare)
    assert unheld.latency_cycles > held.latency_cycles
    narrow = replace(
        bare,
        memories=tuple(
            replace(memory, bandwidth_bits_per_cycle=4, word_bits=4)
            if "inputs" in memory.holds
            else memory
            for memory in bare.memories
        ),
    )
    with pytest.raises(
        UnmappableLayer, match="in one transfer of the port of input_buffer to macs"
    ):
        cost_of(DEPTHWISE, narrow)


def test_a_latch_has_a_price_and_an_area():
    """512 flip-flops; of a dense 1x1, 8 inputs of 8 bits are new in each pass of 8 x 8."""
    technology = load_technology("low_leakage_45nm")
    machine = load_accelerator("kws_int8")
    bare = replace(machine, arrays=(replace(machine.arrays[0], latched=()),))
    areas = [machine_area_um2(each, technology) for each in (machine, bare)]
    latch = areas[0]["registers of macs"].mid - areas[1]["registers of macs"].mid
    assert latch == pytest.approx(512 * technology.register_um2_per_bit.value)
    dense = replace(
        generated(64, 64, 128), weights=WeightSource.TRAINED, generator=None, weight_bits=8
    )
    with_latch, without = (
        estimate(Workload("one", (dense,)), each, technology, "latency") for each in (machine, bare)
    )
    assert with_latch.latency_cycles == without.latency_cycles
    key = Entry(Component.REGISTER, "macs", "inputs", "write")
    written = with_latch.layers[0].counts[with_latch.prices.position[key]]
    assert written == 64 * 64 * 128 / 64 * 8 * 8


def test_what_is_latched_is_different_and_has_no_registers():
    [macs] = load_accelerator("kws_int8").arrays
    for wrong in (("weights",), ("inputs", "inputs")):
        with pytest.raises(InvalidInput, match="latched"):
            replace(macs, latched=wrong)
    with pytest.raises(InvalidInput, match="latch_pj_per_bit"):
        replace(macs, latched=(), latch_pj_per_bit=Constant(value=1.0, source="made"))


def test_trained_trits_go_to_trees_that_read_their_trits_from_a_memory() -> None:
    """Trees behind a generator have no other way to a trit; there, MAC units work."""
    one = Layer(
        name="a",
        kind=LayerKind.POINTWISE,
        in_channels=64,
        out_channels=64,
        in_frames=128,
        out_frames=128,
        weights=WeightSource.TRAINED_TERNARY,
        weight_bits=2,
        nonzeros=2000,
    )
    elements = {
        name: load_accelerator(name).array_for(one).element
        for name in ("kws_ternary", "kws_ternary_stored", "kws_int8")
    }
    assert elements == {
        "kws_ternary": "mac",
        "kws_ternary_stored": "ternary_tree",
        "kws_int8": "mac",
    }
    # On the trees it costs what constant trits cost that are stored in the same two bits.
    made = replace(one, weights=WeightSource.GENERATED, generator=SHIFT_REGISTER)
    machine = load_accelerator("kws_ternary_stored")
    technology = load_technology(machine.technology)
    costs = [estimate(Workload("w", (each,)), machine, technology) for each in (one, made)]
    assert costs[0].energy_pj == pytest.approx(costs[1].energy_pj)
    assert costs[0].latency_cycles == costs[1].latency_cycles
    assert machine.stored_bits(one) == machine.stored_bits(made) == 64 * (2 * 64 + 48)
