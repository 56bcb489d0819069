"""Small layers on small arrays: every count is derived in the comments.

One memory of 100,000 bits and 64 bits a cycle holds everything, so nothing hides in a buffer.
Inputs and outputs have 8 bits, sums 24. Columns of `counts`: part, operand, action.
"""

import dataclasses

import pytest

from cost_models import (
    Accelerator,
    Bound,
    Component,
    ComputeArray,
    Layer,
    LayerKind,
    MemoryLevel,
    Register,
    WeightSource,
    Workload,
    estimate,
)
from tests.cost_models.conftest import BIT_BY_BIT

SRAM = MemoryLevel(
    name="sram",
    kind="sram",
    holds=("weights", "inputs", "outputs"),
    capacity_bits=100_000,
    bandwidth_bits_per_cycle=64,
    **BIT_BY_BIT,
)


def say_machine(array, *memories):
    return Accelerator(
        name="small",
        description="by hand",
        source="made up for tests",
        technology="round",
        clock_mhz=2.0,
        arrays=(array,),
        memories=memories or (SRAM,),
        vector_lanes=2,
        ternary_weights="stored",
    )


def array_of(rows, columns, **changes):
    array = ComputeArray(
        name="macs",
        element="mac",
        rows=rows,
        columns=columns,
        weights=Register(capacity_bits=8),
        outputs=Register(capacity_bits=24),
    )
    return dataclasses.replace(array, **changes)


def trained(kind, in_channels, out_channels, in_frames, out_frames, **changes):
    return Layer(
        name="layer",
        kind=kind,
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=in_frames,
        out_frames=out_frames,
        weights=WeightSource.TRAINED,
        rescaled=False,
        **changes,
    )


def cost_of(layer, machine, technology, objective="energy"):
    return estimate(Workload("one", (layer,)), machine, technology, objective)


def counts(cost):
    """Everything that is counted, but leakage and the rounding of outputs."""
    return {
        (entry.part, entry.operand, entry.action): count
        for entry, count in zip(cost.prices.entries, cost.counts, strict=True)
        if count and entry.component not in (Component.LEAKAGE, Component.POST_PROCESSING)
    }


def test_pointwise_weight_stationary(technology):
    # 4 -> 2 channels, 3 frames, on 2 x 2 with input channels along rows: two tiles of 2 x 2
    # weights, 3 frames through each. Sums of the first tile leave incomplete and come back.
    layer = trained(LayerKind.POINTWISE, 4, 2, 3, 3)
    array = array_of(2, 2, interconnect="systolic", dataflow="weight_stationary")
    cost = cost_of(layer, say_machine(array), technology)
    assert str(cost.layers[0].mapping) == "rows R, columns N; T 3, R 2"
    assert counts(cost) == {
        # 4 * 2 * 3 = 24 MACs
        ("macs", "", "multiplication"): 24 * 8 * 8,
        ("macs", "", "addition"): 24 * 24,
        # 8 weights, each loaded and taken from its register once
        ("macs", "weights", "read"): 8 * 8,
        ("macs", "weights", "write"): 8 * 8,
        ("sram", "weights", "read"): 8 * 8,
        # 4 channels * 3 frames, each goes along its row once
        ("sram", "inputs", "read"): 12 * 8,
        # 6 sums incomplete at 24 bits, then 6 outputs at 8
        ("sram", "outputs", "write"): 6 * 24 + 6 * 8,
        ("sram", "outputs", "read"): 6 * 24,
        # Each of 24 MACs writes a sum. Each sum is spread over 2 rows: 2 tiles * 6 sums * 2 leave,
        # and those of the second tile had to be written before.
        ("macs", "outputs", "write"): (24 + 12) * 24,
        ("macs", "outputs", "read"): (24 + 24) * 24,
    }
    # A tile loads 2 rows of weights, then 3 frames enter and the last sum leaves the corner
    # 2 + 2 - 2 cycles later: 7; the last cycle of the second is not counted again: 13.
    assert cost.latency_cycles == 13
    # Of these, 6 passes are the array's; ports: 64 + 96 + 192 + 144 = 496 bits, 8 cycles.
    assert cost.layers[0].busy_cycles == {
        Bound.COMPUTE: 6,
        Bound.FILL: 7,
        Bound.WAITING: 0,
        Bound.GENERATOR: 0,
        Bound.VECTOR_UNIT: 3,  # 6 sums on 2 lanes
        "sram": 8,
    }
    assert cost.layers[0].bound == Bound.FILL
    assert cost.utilisation == 24 / (13 * 4)
    leakage_pj = cost.energies_pj.pop(Component.LEAKAGE)
    # logic leaks, and the SRAM: 5 uW, 13 cycles at 2 MHz
    assert leakage_pj > 5 * 13 / 2
    assert cost.energies_pj == pytest.approx(
        {
            **dict.fromkeys(Component, 0.0),
            # 24 * (64 * 0.01 + 24 * 0.02)
            Component.MULTIPLY_ACCUMULATE: 26.88,
            # single registers: reading is free. 64 bits * 0.4 and 864 bits of accumulators * 0.03
            Component.REGISTER: 25.6 + 25.92,
            # reads 64 + 96 + 144 at 4 pJ, writes 192 at 32 pJ
            Component.SRAM: 304 * 4 + 192 * 32,
            # 6 sums times a factor of 16 bits, added at 24 bits and shifted at 40; each is held
            # three times at 24 bits and twice at 8
            Component.POST_PROCESSING: 6 * (24 * 16 * 0.01 + (24 + 40) * 0.02 + 88 * 0.03),
            Component.LEAKAGE: leakage_pj,
        }
    )


def test_pointwise_output_stationary(technology):
    # 2 x 2 with frames along rows, outputs along columns; 4 -> 2 channels, 3 frames in 2 tiles.
    layer = trained(LayerKind.POINTWISE, 4, 2, 3, 3)
    array = array_of(2, 2, interconnect="systolic", dataflow="output_stationary")
    cost = cost_of(layer, say_machine(array), technology)
    assert str(cost.layers[0].mapping) == "rows T, columns N; R 4, T 2"
    assert counts(cost) == {
        ("macs", "", "multiplication"): 24 * 8 * 8,
        ("macs", "", "addition"): 24 * 24,
        # 8 weights for each of 2 tiles of frames, a copy in each of 2 rows
        ("macs", "weights", "read"): 16 * 8 * 2,
        ("macs", "weights", "write"): 16 * 8 * 2,
        ("sram", "weights", "read"): 16 * 8,
        ("sram", "inputs", "read"): 12 * 8,
        # sums stay until they are complete
        ("sram", "outputs", "write"): 6 * 8,
        ("macs", "outputs", "write"): 24 * 24,
        ("macs", "outputs", "read"): (24 + 6) * 24,
    }
    # Tiles of 2 and 1 frames x 2 outputs: R + C + 4 - 2 = 6 and 5, less 1.
    assert cost.latency_cycles == 10


def test_pointwise_input_stationary(technology):
    # 2 x 2 with input channels along rows, frames along columns; outputs stream through.
    # 2 -> 3 channels, 4 frames: 2 tiles of frames.
    layer = trained(LayerKind.POINTWISE, 2, 3, 4, 4)
    array = array_of(2, 2, interconnect="systolic", dataflow="input_stationary")
    array = dataclasses.replace(array, inputs=Register(capacity_bits=8))
    cost = cost_of(layer, say_machine(array), technology)
    assert str(cost.layers[0].mapping) == "rows R, columns T; N 3, T 2"
    found = counts(cost)
    # 8 inputs are loaded once
    assert found["sram", "inputs", "read"] == found["macs", "inputs", "write"] == 8 * 8
    # 6 weights pass once per tile of frames
    assert found["sram", "weights", "read"] == 12 * 8
    assert found["sram", "outputs", "write"] == 12 * 8
    assert ("sram", "outputs", "read") not in found
    # 2 tiles of (2 * 2 + 2 + 3 - 2) less 1
    assert cost.latency_cycles == 13


def test_depthwise_channels_across_the_array(technology):
    # 2 channels, 3 taps, 4 frames of 6; a channel a row, sums stay.
    layer = trained(LayerKind.DEPTHWISE, 2, 2, 6, 4, kernel_size=3, groups=2)
    array = array_of(2, 1, dataflow="output_stationary", depthwise="channels_across_array")
    cost = cost_of(layer, say_machine(array), technology)
    assert str(cost.layers[0].mapping) == "rows N, columns T; R 3, T 4"
    assert counts(cost) == {
        ("macs", "", "multiplication"): 24 * 8 * 8,
        ("macs", "", "addition"): 24 * 24,
        # 6 weights for each of 4 frames: one register cannot keep 3 taps
        ("macs", "weights", "read"): 24 * 8,
        ("macs", "weights", "write"): 24 * 8,
        ("sram", "weights", "read"): 24 * 8,
        # without input registers, each MAC reads its input
        ("sram", "inputs", "read"): 24 * 8,
        ("sram", "outputs", "write"): 8 * 8,
        ("macs", "outputs", "write"): 24 * 24,
        ("macs", "outputs", "read"): (24 + 8) * 24,
    }
    assert cost.latency_cycles == 12  # 3 taps * 4 frames, both channels at once


def test_depthwise_one_channel_per_pass(technology):
    # The same layer, one channel after the other: the rows take 2 frames.
    layer = trained(LayerKind.DEPTHWISE, 2, 2, 6, 4, kernel_size=3, groups=2)
    array = array_of(2, 1, dataflow="output_stationary", depthwise="one_channel_per_pass")
    cost = cost_of(layer, say_machine(array), technology, "latency")
    assert str(cost.layers[0].mapping) == "rows T, columns T; R 3, T 2"
    found = counts(cost)
    # 3 weights of each of 2 channels, for each of 2 tiles of frames, a copy for each of 2 rows
    assert found["sram", "weights", "read"] == 12 * 8
    assert found["macs", "weights", "write"] == 24 * 8
    assert found["sram", "inputs", "read"] == 24 * 8
    assert found["sram", "outputs", "write"] == 8 * 8
    assert cost.latency_cycles == 12  # 2 channels * 3 taps * 2
    # On 4 x 1 a single channel of 4 frames fills the array, so it takes 6; across it takes 12.
    wide = dataclasses.replace(array, rows=4)
    assert cost_of(layer, say_machine(wide), technology, "latency").latency_cycles == 6
    across = dataclasses.replace(wide, depthwise="channels_across_array")
    assert cost_of(layer, say_machine(across), technology, "latency").latency_cycles == 12


def test_convolution_with_stride_and_dilation(technology):
    # Output t sees input frames 2 t and 2 t + 3: 0, 3, 2, 5, 4, 7, so 6 of the 8 frames.
    # 2 channels * 6 frames come from the DRAM once; each of the 2 * 2 * 2 taps * 3 MACs reads its
    # own from the SRAM. 2 x 4 elements: one tile of rows N, columns R, or more.
    layer = trained(LayerKind.CONVOLUTION, 2, 2, 8, 3, kernel_size=2, stride=2, dilation=3)
    dram = dataclasses.replace(SRAM, name="dram", kind="dram", capacity_bits=10**6)
    array = array_of(2, 4)
    machine = dataclasses.replace(say_machine(array, SRAM, dram), residency="never")
    cost = cost_of(layer, machine, technology)
    found = counts(cost)
    assert found["dram", "inputs", "read"] == 2 * 6 * 8
    assert found["sram", "inputs", "write"] == 2 * 6 * 8
    assert found["dram", "weights", "read"] == 8 * 8
    assert found["dram", "outputs", "write"] == 6 * 8
    assert found["macs", "", "multiplication"] == 24 * 64
    # 24 MACs on 8 elements: rows hold 2 outputs and columns 4 inputs, one frame a cycle
    fast = cost_of(layer, machine, technology, "latency").layers[0]
    assert fast.busy_cycles[Bound.COMPUTE] == 3


def test_linear_with_bias(technology):
    # 3 -> 2, one frame, 2 x 1, sums stay: 3 passes. 2 biases of 24 bits are read, too.
    layer = trained(LayerKind.LINEAR, 3, 2, 1, 1, bias=True)
    array = array_of(2, 1, dataflow="output_stationary")
    cost = cost_of(layer, say_machine(array), technology, "latency")
    assert str(cost.layers[0].mapping) == "rows N, columns T; R 3"
    assert counts(cost) == {
        ("macs", "", "multiplication"): 6 * 64,
        ("macs", "", "addition"): 6 * 24,
        ("macs", "weights", "read"): 6 * 8,
        ("macs", "weights", "write"): 6 * 8,
        ("sram", "weights", "read"): 6 * 8 + 2 * 24,
        ("sram", "inputs", "read"): 3 * 8,  # one input for both rows
        ("sram", "outputs", "write"): 2 * 8,
        ("macs", "outputs", "write"): 6 * 24,
        ("macs", "outputs", "read"): (6 + 2) * 24,
    }
    # ports: (48 + 24 + 16) bits / 64 = 2 cycles, and 48 bits of biases 1 more
    assert cost.layers[0].busy_cycles["sram"] == 3
    assert cost.latency_cycles == 3
    # 2 outputs rounded: a bias is what the scaled sum is added to
    rounding = 24 * 16 * 0.01 + (24 + 40) * 0.02 + 88 * 0.03
    assert cost.energies_pj[Component.POST_PROCESSING] == pytest.approx(2 * rounding)


def test_words_round_up(technology):
    # Rows take inputs, columns outputs; 3 frames, then the other two inputs. An element holds both
    # of its weights of 3 bits in a word of 8; the 24 bits of all are a word of 64 in the SRAM.
    # Outputs leave two at a time, 3 times incomplete and 3 times complete: a word each time, not
    # the 3 words that 6 * 24 + 6 * 8 bits would take together.
    layer = trained(LayerKind.POINTWISE, 4, 2, 3, 3, weight_bits=3)
    array = array_of(2, 2, interconnect="systolic", dataflow="weight_stationary")
    array = dataclasses.replace(array, weights=Register(capacity_bits=8, word_bits=8))
    sram = dataclasses.replace(SRAM, word_bits=64)
    cost = cost_of(layer, say_machine(array, sram), technology)
    assert str(cost.layers[0].mapping) == "rows R, columns N; T 3, R 2"
    found = counts(cost)
    assert found["sram", "weights", "read"] == 64
    assert found["macs", "weights", "write"] == 4 * 8
    assert found["macs", "weights", "read"] == 8 * 8  # one by one, a word each
    assert found["sram", "inputs", "read"] == 6 * 64  # two inputs of a frame at a time
    assert found["sram", "outputs", "write"] == (3 + 3) * 64
    assert found["sram", "outputs", "read"] == 3 * 64
    assert found["macs", "", "multiplication"] == 24 * 3 * 8  # arithmetic has the real width


def test_accumulators_shared_below_an_adder_tree(technology):
    # 1 x 2, columns add up into one accumulator: 4 inputs in 2 passes, 3 frames, 2 outputs.
    layer = trained(LayerKind.POINTWISE, 4, 2, 3, 3)
    tree = Register(capacity_bits=24, shared_along=("columns",))
    array = array_of(1, 2, dataflow="output_stationary", outputs=tree)
    cost = cost_of(layer, say_machine(array), technology)
    assert cost.layers[0].mapping.columns == "R"
    found = counts(cost)
    # 6 sums, updated in each of 2 passes, read once more at the end
    assert found["macs", "outputs", "write"] == 6 * 2 * 24
    assert found["macs", "outputs", "read"] == (6 * 2 + 6) * 24


def test_ports(technology):
    # The pointwise layer above: 304 bits are read and 192 written. One port for each: the larger.
    layer = trained(LayerKind.POINTWISE, 4, 2, 3, 3)
    array = array_of(2, 2, interconnect="systolic", dataflow="weight_stationary")
    narrow = dataclasses.replace(SRAM, bandwidth_bits_per_cycle=10)
    shared = cost_of(layer, say_machine(array, narrow), technology)
    assert shared.layers[0].busy_cycles["sram"] == 50  # 496 / 10
    assert (shared.latency_cycles, shared.layers[0].bound) == (50, "sram")
    assert shared.layers[0].stall_cycles == 50 - 13
    separate = dataclasses.replace(narrow, ports="separate")
    cost = cost_of(layer, say_machine(array, separate), technology)
    assert cost.layers[0].busy_cycles["sram"] == 31  # 304 / 10


def test_bands_carry_through(technology):
    # Every constant has the band [value / 2, 2 * value]. The leakage of logic is (A + s A) l, with
    # area A, control share s and leakage l of an area: with s = 1, low is (1/2 + 1/4) / 2 of A l
    # where mid is 2 A l, so 3/16 of it; high is (2 + 4) * 2, so 6 times.
    layer = trained(LayerKind.POINTWISE, 4, 2, 3, 3)
    cost = cost_of(layer, say_machine(array_of(2, 2)), technology)
    assert technology.control_share.value == 1.0
    rows = cost.energy_table
    for row in rows:
        logic = row["component"] == Component.LEAKAGE and row["part"] == "logic"
        low, high = (3 / 16, 6) if logic else (1 / 2, 2)
        assert row["energy_low_pj"] == pytest.approx(row["energy_pj"] * low)
        assert row["energy_high_pj"] == pytest.approx(row["energy_pj"] * high)
    for name, figure in zip(("low_", "", "high_"), cost.energy.as_tuple(), strict=True):
        assert sum(row[f"energy_{name}pj"] for row in rows) == pytest.approx(figure)
