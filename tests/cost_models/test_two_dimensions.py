"""Layers with bins: counts by hand, and laws that tie them to layers of frames alone.

Traffic of two dimensions is held against a walk through all loops in `test_naive.py`.
"""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.networks import ds_cnn_s
from cost_models import (
    InvalidLayer,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.book import LayerBook
from cost_models.latency import ideal_cycles
from cost_models.mapping import Plane, list_candidates
from cost_models.pricing import LayerPricer
from cost_models.residency import Placed, trace_flow
from cost_models.streaming import stream
from cost_models.windows import seen_by_tiles
from tests.cost_models.conftest import mac_array

FRAMES_TO_BINS = {
    "in_frames": "in_bins",
    "out_frames": "out_bins",
    "kernel_size": "kernel_bins",
    "stride": "bin_stride",
    "dilation": "bin_dilation",
}


def layer(kind=LayerKind.CONVOLUTION, **changes):
    sizes = {"in_channels": 8, "out_channels": 8, "in_frames": 25, "out_frames": 25}
    sizes |= {"in_bins": 5, "out_bins": 5}
    if kind in (LayerKind.CONVOLUTION, LayerKind.DEPTHWISE):
        sizes |= {"kernel_size": 3, "kernel_bins": 3, "weights": WeightSource.TRAINED}
    if kind is LayerKind.DEPTHWISE:
        sizes["groups"] = 8
    return Layer(**{"name": "layer", "kind": kind, **sizes, **changes})


def transposed(one):
    """The same layer with its frames and bins exchanged."""
    pairs = [*FRAMES_TO_BINS.items(), *((b, a) for a, b in FRAMES_TO_BINS.items())]
    return dataclasses.replace(one, **{to: getattr(one, of) for to, of in pairs})


def counts(one):
    names = ("macs", "multiplications", "additions", "comparisons", "weight_entries")
    names += ("trained_parameters", "stored_bits", "input_traffic_bits", "output_traffic_bits")
    return {name: getattr(one, name) for name in names}


def test_ds_cnn_s_has_the_published_counts():
    # 49 x 10 in, 10 x 4 taps, stride 2 x 2: 64 * 40 * 125 = 320,000; four times 64 * 9 * 125 and
    # 64 * 64 * 125; 64 * 12. Hello Edge (arXiv 1711.07128, table 3): 5.4 million operations of two
    # a MAC, additions of biases and of the mean among them.
    network = ds_cnn_s()
    assert network.macs == 320_000 + 4 * (72_000 + 512_000) + 768 == 2_656_768
    assert network.total(lambda each: each.weight_entries) == 64 * 40 + 4 * (576 + 4096) + 768
    done = network.additions + network.total(lambda each: each.multiplications)
    assert round(done / 1e6, 1) == 5.4


kernels = st.sampled_from([LayerKind.CONVOLUTION, LayerKind.DEPTHWISE])


@st.composite
def convolutions(draw):
    sizes = {name: draw(st.integers(1, 4)) for pair in FRAMES_TO_BINS.items() for name in pair}
    return layer(draw(kernels), **sizes)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(convolutions())
def test_a_transposed_layer_has_the_same_counts_and_loops(one):
    other = transposed(one)
    assert transposed(other) == one
    assert counts(one) == counts(other)
    array = mac_array()
    assert (
        ideal_cycles(list_candidates([one], array)) == ideal_cycles(list_candidates([other], array))
    ).all()


@pytest.mark.parametrize("kind", [LayerKind.CONVOLUTION, LayerKind.DEPTHWISE])
def test_bins_that_do_not_touch_are_as_many_layers(kind):
    # 10 bins, a kernel of one: the layer of one bin ten times, with one set of weights.
    flat = layer(kind, in_bins=1, out_bins=1, kernel_bins=1)
    ten = dataclasses.replace(flat, in_bins=10, out_bins=10)
    assert (ten.macs, ten.additions) == (10 * flat.macs, 10 * flat.additions)
    assert ten.weight_entries == flat.weight_entries
    assert ten.activation_traffic_bits == 10 * flat.activation_traffic_bits


def test_a_kernel_of_all_bins_reads_them_like_channels():
    # TC-ResNet's argument: 40 frequencies are 40 channels, if the kernel sees all of them.
    two = layer(in_bins=40, out_bins=1, kernel_bins=40)
    one = layer(in_channels=8 * 40, in_bins=1, out_bins=1, kernel_bins=1)
    assert counts(two) == counts(one)


MACHINES = {name: load_accelerator(name) for name in accelerator_names()}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(convolutions(), st.sampled_from(["kws_int8", "tpu_like", "eyeriss_like", "systolic_32x32"]))
def test_a_layer_of_bins_alone_costs_what_it_costs_in_frames(one, name):
    # With one frame the bins are counted set by set, with one bin the frames by a closed form.
    machine = MACHINES[name]
    flat = dict.fromkeys(FRAMES_TO_BINS.values(), 1)
    frames = dataclasses.replace(one, **flat)
    pricer = LayerPricer(machine, load_technology(machine.technology))
    rows = pricer.rows([Placed(frames), Placed(transposed(frames))])
    assert (pricer.table.counts[rows[0]] == pricer.table.counts[rows[1]]).all()
    assert pricer.table.latency[rows[0]] == pricer.table.latency[rows[1]]


@pytest.mark.parametrize("name", FRAMES_TO_BINS.values())
def test_layers_that_differ_in_one_figure_of_the_bins_are_two(name):
    # Else one of them would get the other one's price.
    one, book = layer(), LayerBook()
    other = dataclasses.replace(one, **{name: getattr(one, name) + 1})
    first, second = book.numbers([one, other])
    assert first != second
    assert book.shape(first) != book.shape(second)


def test_layers_that_differ_in_how_bins_overlap_have_different_prices():
    machine = MACHINES["kws_int8"]
    pricer = LayerPricer(machine, load_technology(machine.technology))
    some = [
        layer(LayerKind.CONVOLUTION, in_frames=25 * 3, in_bins=5 * 3, bin_stride=stride)
        for stride in (1, 3)
    ]
    rows = pricer.rows([Placed(each) for each in some])
    near, apart = pricer.table.counts[rows]
    # The array does the same, on more inputs, of which fewer are used twice.
    assert near.sum() < apart.sum()


def test_a_size_below_one_is_refused():
    with pytest.raises(InvalidLayer, match="layer: kernel_bins must be at least 1, not 0"):
        layer(kernel_bins=0)


# ---- windows ----


def plane(**changes):
    sizes = {"in_frames": 99, "in_bins": 99, "out_frames": 3, "out_bins": 5}
    sizes |= {"kernel_size": 3, "kernel_bins": 3}
    steps = dict.fromkeys(("stride", "bin_stride", "dilation", "bin_dilation"), 1)
    return Plane(**{**sizes, **steps, **changes})


def test_a_tile_that_ends_within_a_frame():
    # Outputs 0 to 6 of 15: a frame of 5 and 2 bins of the next. Input frames 0, 1, 2 are seen in
    # 5 + 2 bins, frame 3 in 2 + 2. Tile 2 has bins 2 to 4 of frame 1 and 0 to 3 of frame 2: 5 bins
    # of input frame 1, all 7 of 2 and 3, 6 of frame 4. Tile 3 is one output, of 9 inputs.
    assert seen_by_tiles(plane(), 7, 9) == (25, 25 + (5 + 7 + 7 + 6) + 9)


def test_taps_that_end_within_a_frame():
    # All 15 outputs through taps 0 to 3: frame 0 of the kernel, and one bin of frame 1. Input
    # frames 0 to 2 are seen in 7 bins, frame 3, through one tap alone, in 5. Taps 4 to 7: bins 1
    # and 2 of kernel frame 1, 0 and 1 of frame 2. Frame 1 in 6 bins; 2 and 3 in 7 (bins 0 to 6
    # through both), 4 in 6. Tap 8 sees 15.
    assert seen_by_tiles(plane(), 15, 4) == (26, (7 * 3 + 5) + (6 + 7 + 7 + 6) + 15)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_windows_are_sets_of_inputs(data):
    names = [each.name for each in dataclasses.fields(Plane)]
    one = Plane(**{name: data.draw(st.integers(1, 4)) for name in names})
    one = dataclasses.replace(one, in_frames=99, in_bins=99)
    outputs = list(itertools.product(range(one.out_frames), range(one.out_bins)))
    kernel = list(itertools.product(range(one.kernel_size), range(one.kernel_bins)))
    pixels, taps = data.draw(st.integers(1, len(outputs))), data.draw(st.integers(1, len(kernel)))
    sizes = [
        len(
            {
                (t * one.stride + k * one.dilation, b * one.bin_stride + j * one.bin_dilation)
                for t, b in outputs[first : first + pixels]
                for k, j in kernel[tap : tap + taps]
            }
        )
        for first in range(0, len(outputs), pixels)
        for tap in range(0, len(kernel), taps)
    ]
    assert seen_by_tiles(one, pixels, taps) == (max(sizes), sum(sizes))


def test_padding_is_cut_off_in_both_dimensions():
    # "Same" padding: 15 outputs see 5 x 7 with it, and 3 x 5 inputs are all that there are. One
    # frame of outputs sees 3 frames of 7 bins, of which 5 are there.
    same = plane(in_frames=3, in_bins=5)
    assert seen_by_tiles(same, 15, 9) == (15, 15)
    assert seen_by_tiles(same, 5, 9) == (15, 45)


# ---- what is alive, pools, streams ----


def test_a_tensor_has_all_bins_of_its_frames():
    flow = trace_flow([layer(in_frames=49, in_bins=10), layer(LayerKind.ACTIVATION, name="relu")])
    assert [tensor.bits for tensor in flow.tensors] == [8 * 49 * 10 * 8, 8 * 25 * 5 * 8]


@pytest.mark.parametrize("kind", [LayerKind.AVERAGE_POOL, LayerKind.MAX_POOL])
@pytest.mark.parametrize(
    ("shape", "made", "passed"),
    [
        ({"out_frames": 1, "out_bins": 1}, 8, 8 * 125),  # of all: each input once
        ({"out_bins": 1}, 8 * 25, 8 * 125),  # of each frame's bins
        # 2 x 2 side by side: 12 x 2 outputs of 4 inputs each; the 25th frame, the 5th bin are left.
        ({"out_frames": 12, "out_bins": 2, "kernel_size": 2, "kernel_bins": 2}, 8 * 24, 8 * 96),
    ],
)
def test_pools_by_hand(kind, shape, made, passed):
    pool = layer(kind, **shape)
    average = kind is LayerKind.AVERAGE_POOL
    assert pool.additions == (passed if average else 0)
    assert pool.comparisons == (0 if average else passed)
    assert pool.multiplications == (made if average else 0)
    assert pool.output_traffic_bits == made * 8
    assert pool.input_traffic_bits == 8 * 125 * 8
    machine = MACHINES["kws_int8"]
    cost = estimate(Workload("pool", (pool,)), machine, load_technology(machine.technology))
    assert cost.latency_cycles >= passed / machine.vector_lanes


def test_a_stream_of_frames_keeps_their_bins():
    # DS-CNN-S, hops of 2 frames, the stride of the first kernel. It keeps (10 - 1) frames of 10
    # bins less the one that a stride leaves out: 2 new ones make 1 output from 10 frames, 8 of
    # them kept. Each depthwise layer keeps (3 - 1) frames of 5 bins of 64 channels; 25 sums of 64.
    hop = stream(ds_cnn_s(), 2)
    history = 8 * 10 * 8 + 4 * 2 * 5 * 64 * 8
    assert hop.state_bits == history + 25 * 64 * 24
    # 5 pixels a hop instead of 125.
    assert hop.workload.macs == (2_656_768 - 768) // 25 + 768
    # Half of what the kernels reach into the future: 4.5 frames, and 1 frame of 2 four times.
    assert hop.wait_frames == round(4.5 + 4 * 2)
    pool = next(each for each in hop.workload.layers if each.kind is LayerKind.AVERAGE_POOL)
    assert pool.additions == 64 * (5 + 2)  # a hop's bins, the new sum, the old one


def test_a_stream_compares_the_maxima_of_its_hops():
    pool = layer(LayerKind.MAX_POOL, out_frames=1, out_bins=1)
    hop = stream(Workload("pool", (pool,)), 5)
    assert hop.state_bits == 5 * 8 * 8  # five hops of 5 frames, a maximum of each channel
    assert hop.workload.layers[0].comparisons == 8 * (5 * 5 + 5)


def test_a_stream_of_pooled_bins_is_one_of_frames():
    pool = layer(LayerKind.AVERAGE_POOL, out_bins=1)
    hop = stream(Workload("pool", (pool,)), 5)
    assert hop.state_bits == 0
    assert hop.workload.layers[0].additions == 8 * 5 * 5


def test_a_pool_that_ends_before_the_last_frame_is_one_of_all():
    # MLPerf Tiny's DS-CNN averages 24 of 25 frames; its stride is no stride of a stream.
    step = {"kernel_size": 24, "kernel_bins": 5, "stride": 24, "bin_stride": 5}
    pool = layer(LayerKind.AVERAGE_POOL, out_frames=1, out_bins=1, **step)
    assert pool.additions == 8 * 24 * 5
    hop = stream(Workload("pool", (pool,)), 2)
    assert hop.state_bits == 12 * 8 * 24
    assert hop.workload.layers[0].additions == 8 * (2 * 5 + 2)
