"""Cycles of arrays and ports, and how stages add up; see `test_by_hand.py` for whole layers."""

import dataclasses

import numpy as np
import pytest

from cost_models import (
    Bound,
    ComputeArray,
    GeneratorSpec,
    Layer,
    LayerKind,
    Register,
    WeightSource,
    Workload,
    load_accelerator,
    load_technology,
)
from cost_models import estimate as estimated
from cost_models.cost import find_bound, stage_latencies
from cost_models.latency import systolic_cycles, waiting_cycles
from cost_models.traffic import Refill

WIDE = 10**9
SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=10, decision_bits=3)


def fast(machine, **changes):
    """A machine whose memories never wait, so that the array is seen."""
    memories = tuple(
        dataclasses.replace(each, bandwidth_bits_per_cycle=WIDE, capacity_bits=WIDE)
        for each in machine.memories
    )
    return dataclasses.replace(machine, memories=memories, **changes)


def layer(kind, in_channels, out_channels, frames, **changes):
    convolution = kind in (LayerKind.POINTWISE, LayerKind.DEPTHWISE, LayerKind.LINEAR)
    return Layer(
        name="layer",
        kind=kind,
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=frames,
        weights=WeightSource.TRAINED if convolution else WeightSource.NONE,
        **changes,
    )


def cycles(layer, machine, technology):
    return estimated(Workload("one", (layer,)), machine, technology, "latency").latency_cycles


def systolic(machine, rows, columns, dataflow, **changes):
    array = ComputeArray(
        name="macs",
        element="mac",
        rows=rows,
        columns=columns,
        interconnect="systolic",
        dataflow=dataflow,
        outputs=Register(capacity_bits=24),
        **changes,
    )
    return fast(machine, arrays=(array,), ternary_weights="stored", generator=None)


@pytest.mark.parametrize(
    ("dataflow", "expected"),
    [
        # K = 10 inputs, N = 6 outputs, M = 7 frames on 4 x 3, from edge to edge:
        # ceil(10/4) ceil(6/3) (2*4 + 3 + 7 - 2) - 1 = 6 * 16 - 1
        ("weight_stationary", 95),
        # ceil(7/4) ceil(6/3) (4 + 3 + 10 - 2) - 1 = 4 * 15 - 1
        ("output_stationary", 59),
        # ceil(10/4) ceil(7/3) (2*4 + 3 + 6 - 2) - 1 = 9 * 15 - 1
        ("input_stationary", 134),
        ("auto", 59),
    ],
)
def test_systolic_from_edge_to_edge(machine, technology, dataflow, expected):
    array = systolic(machine, 4, 3, dataflow, bypass=False)
    assert cycles(layer(LayerKind.POINTWISE, 10, 6, 7), array, technology) == expected


@pytest.mark.parametrize(
    ("dataflow", "expected"),
    [
        # Tiles of inputs: 4, 4, 2 evenly spread or not, of outputs: 3, 3. A tile of r x c takes
        # 2 r + c + 7 - 2: rows 2 * 10 * 2 tiles of outputs = 40, columns 6 * 3 = 18,
        # 6 tiles * 5 = 30, less 1.
        ("weight_stationary", 87),
        # 2 tiles of frames, 2 of outputs, r + c + 10 - 2: 7 * 2 + 6 * 2 + 4 * 8 - 1
        ("output_stationary", 57),
        # 3 tiles of inputs, 3 of frames, 2 r + c + 6 - 2: 2 * 10 * 3 + 7 * 3 + 9 * 4 - 1
        ("input_stationary", 116),
    ],
)
def test_systolic_with_bypass_passes_only_what_it_uses(machine, technology, dataflow, expected):
    array = systolic(machine, 4, 3, dataflow)
    assert cycles(layer(LayerKind.POINTWISE, 10, 6, 7), array, technology) == expected


def test_systolic_loads_the_next_tile_meanwhile(machine, technology):
    # Two weights an element: 6 tiles of 7 frames one after the other, filled and drained once.
    # With bypass, 10 inputs are spread over 3 passes of 4: 2 * 4 + 3 - 2.
    array = systolic(machine, 4, 3, "weight_stationary", weights=Register(capacity_bits=16))
    assert cycles(layer(LayerKind.POINTWISE, 10, 6, 7), array, technology) == 6 * 7 + 9


def test_systolic_depthwise_across_fills_what_it_uses(machine, technology):
    # 3 channels, 5 taps, 7 frames on 8 x 4: columns take 4 frames (2 passes of 5 taps) or 4 taps
    # (2 passes of 3, 7 frames): 10 or 14 passes; 3 rows and 4 columns to pass: 3 + 4 - 2.
    one = layer(LayerKind.DEPTHWISE, 3, 3, 7, kernel_size=5, groups=3)
    across = systolic(machine, 8, 4, "auto", depthwise="channels_across_array")
    assert cycles(one, across, technology) == 10 + 5
    edges = systolic(machine, 8, 4, "auto", depthwise="channels_across_array", bypass=False)
    assert cycles(one, edges, technology) == 10 + 8 + 4 - 2


def test_the_closed_form_counts_cycle_by_cycle():
    # Weight stationary, r x c, m frames: weights move down r cycles; input k of frame t enters row
    # k in cycle t + k and reaches column n in cycle t + k + n; the last sum is there after
    # t + k + n = (m - 1) + (r - 1) + (c - 1), so r + m + r + c - 2 cycles with the first.
    for rows, columns, frames in [(1, 1, 1), (4, 3, 7), (2, 5, 1)]:
        last = max(t + k + n for t in range(frames) for k in range(rows) for n in range(columns))
        total = rows + last + 1
        found = systolic_cycles(
            np.array([float(rows)]),
            np.array([float(columns)]),
            np.array([float(frames)]),
            reloads=True,
        )
        assert found[0] == total - 1  # the last cycle of all tiles is not counted


def test_broadcast_takes_the_best_unrolling(machine, technology):
    # 4 x 2 MACs, 10 inputs, 6 outputs, 7 frames: 420 MACs, 53 cycles at best.
    # rows, columns = inputs, outputs: 3 * 3 * 7 = 63; inputs, frames: 3 * 4 * 6 = 72;
    # outputs, inputs: 2 * 5 * 7 = 70; outputs, frames: 2 * 4 * 10 = 80; frames, inputs:
    # 2 * 5 * 6 = 60; frames, outputs: 2 * 3 * 10 = 60; one loop on all 8: 2 * 6 * 7 = 84,
    # 1 * 10 * 7 = 70, 1 * 10 * 6 = 60.
    assert cycles(layer(LayerKind.POINTWISE, 10, 6, 7), fast(machine), technology) == 60


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        (LayerKind.RESIDUAL_ADD, 320),  # both tensors pass the multiplier: 2 * 8 * 20
        (LayerKind.AVERAGE_POOL, 160),  # additions of 8 * 20 inputs
        (LayerKind.SOFTMAX, 320),
        (LayerKind.ARGMAX, 160),
    ],
)
def test_vector_lanes(machine, technology, kind, operations):
    one = layer(kind, 8, 8, 20)
    assert cycles(one, fast(machine), technology) == operations / 2
    assert cycles(one, fast(machine, vector_lanes=3), technology) == -(-operations // 3)


def test_in_line_layers_add_what_the_layer_before_does_not_hide():
    # 100 | 30 beside it | 90 more beside it: 120, so 20 more | 50 | 50 beside it
    assert stage_latencies([100, 30, 90, 50, 50], [False, True, True, False, True]) == [
        100,
        0,
        20,
        50,
        0,
    ]
    assert stage_latencies([7], [True]) == [7]  # nothing before it
    assert stage_latencies([], []) == []


def test_sums_leave_as_fast_as_lanes_take_them(machine, technology):
    # 8 -> 8 channels, 20 frames: 1,280 MACs on 8 units; 160 sums on 2 lanes, 80 cycles.
    slow = layer(LayerKind.POINTWISE, 8, 8, 20)
    norm = dataclasses.replace(layer(LayerKind.BATCH_NORM, 8, 8, 20), name="norm")
    cost = estimated(Workload("two", (slow, norm)), fast(machine), technology)
    assert [each.latency_cycles for each in cost.layers] == [160, 0]
    assert cost.layers[0].busy_cycles[Bound.VECTOR_UNIT] == 80
    assert cost.layers[1].bound == Bound.NOTHING
    # 1 -> 8 channels: 160 MACs in 20 passes, whose 160 sums one lane takes 160 cycles for.
    quick = layer(LayerKind.POINTWISE, 1, 8, 20)
    cost = estimated(Workload("one", (quick,)), fast(machine, vector_lanes=1), technology)
    assert [(each.latency_cycles, each.bound) for each in cost.layers] == [(160, Bound.VECTOR_UNIT)]


def test_generator_bounds_short_layers(machine, technology):
    # 64 trits at 4 a cycle: 16, against 8 * 8 * 2 = 128 additions on 16 units.
    ternary = dataclasses.replace(
        layer(LayerKind.POINTWISE, 8, 8, 2),
        weights=WeightSource.GENERATED,
        nonzeros=5,
        generator=SPEC,
        weight_bits=2,
    )
    [cost] = estimated(Workload("one", (ternary,)), fast(machine), technology, "latency").layers
    assert cost.latency_cycles == cost.busy_cycles[Bound.GENERATOR] == 16
    assert (cost.trits, cost.regenerations) == (64, 1)
    # 66 trits at 4 a cycle: the last two take a cycle of their own.
    longer = dataclasses.replace(ternary, in_channels=11, out_channels=6)
    [cost] = estimated(Workload("one", (longer,)), fast(machine), technology, "latency").layers
    assert cost.busy_cycles[Bound.GENERATOR] == 17


@pytest.mark.parametrize(
    ("busy", "bound"),
    [
        ({Bound.COMPUTE: 3, Bound.FILL: 0, "sram": 3}, Bound.COMPUTE),  # among equals the array
        ({Bound.COMPUTE: 2, Bound.FILL: 3, "sram": 5}, Bound.FILL),
        ({Bound.COMPUTE: 2, Bound.FILL: 3, "sram": 6}, "sram"),
        ({Bound.COMPUTE: 0, Bound.FILL: 0, "sram": 1, Bound.GENERATOR: 2}, Bound.GENERATOR),
    ],
)
def test_the_slowest_part_bounds(busy, bound):
    assert find_bound(busy, max(busy.values())) == bound
    assert find_bound(busy, 0) == Bound.NOTHING


# --- waiting for tiles


def stored_pointwise(**changes):
    """64 to 128 channels, 128 frames, on the trees of `kws_ternary_stored`."""
    machine = load_accelerator("kws_ternary_stored")
    memories = tuple(
        dataclasses.replace(each, **changes) if each.name == "input_buffer" else each
        for each in machine.memories
    )
    machine = dataclasses.replace(machine, memories=memories)
    made = dataclasses.replace(
        layer(LayerKind.POINTWISE, 64, 128, 128),
        weights=WeightSource.GENERATED,
        generator=SPEC,
        nonzeros=2048,
        weight_bits=2,
    )
    technology = load_technology(machine.technology)
    return estimated(Workload("one", (made,)), machine, technology).layers[0]


def test_a_full_buffer_waits_for_the_next_tile():
    # A tile of 16 frames and 64 channels is all of the buffer: 1,024 bytes, 32 words of 256 bits.
    # It comes in 128 words of 64 bits, and its last use takes 32 passes, a word each. So does its
    # first use; a quarter of these 64 cycles the memory is written to, 2,048 words in 8,192 passes.
    # 128 - 48 cycles are left, for seven of eight tiles.
    one = stored_pointwise()
    assert str(one.mapping) == "rows N, columns R; T 16, R 2, N 32, T 8"
    assert one.busy_cycles[Bound.COMPUTE] == 8_192
    assert one.busy_cycles[Bound.WAITING] == 7 * 80
    assert one.latency_cycles == 8_192 + 7 * 80
    assert one.bound == Bound.COMPUTE


def test_a_second_buffer_or_room_for_one_waits_for_nothing():
    for changes in ({"double_buffered": True}, {"capacity_bits": 2 * 8_192}):
        assert stored_pointwise(**changes).busy_cycles[Bound.WAITING] == 0


def naive_waiting(words, sweeps, use, fill, room, tiles):
    """A ring of `room` words, word by word: cycles beyond those of use; the first tile is there."""
    freed, arrived, now, before = {}, {}, 0, 0
    for tile in range(tiles):
        for sweep in range(sweeps):
            for word in range(tile * words, (tile + 1) * words):
                if sweep == 0:
                    if tile == 0:
                        arrived[word] = 0
                    else:
                        # There is room when what lay there has been used for the last time.
                        begins = max(before, freed.get(word - room, 0))
                        before = arrived[word] = begins + fill
                    now = max(now, arrived[word])
                now += use
                if sweep == sweeps - 1:
                    freed[word] = now
    return now - tiles * sweeps * words * use


@pytest.mark.parametrize("room", [32, 40, 48, 64])
@pytest.mark.parametrize("fill", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("sweeps", [8, 32])
def test_waiting_is_that_of_a_ring_word_by_word(sweeps, fill, room):
    words, tiles = 32, 8
    refill = Refill(
        tiles=np.array([float(tiles)]),
        cycles=np.array([float(tiles * words * fill)]),
        beside_cycles=np.array([0.0]),
        handing_cycles=np.array([0.0]),
        sweep_passes=np.array([float(words)]),
        room_share=np.array([min((room - words) / words, 1.0)]),
    )
    used = np.array([float(tiles * sweeps * words)])
    (found,) = waiting_cycles([refill], used, used)
    # To the word: the formula has it that words come evenly.
    assert abs(found - naive_waiting(words, sweeps, 1, fill, room, tiles)) <= (tiles - 1) * 2 * fill
