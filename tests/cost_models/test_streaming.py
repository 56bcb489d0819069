"""Streams: every output is computed once, from new frames and from history that was kept."""

import dataclasses
from typing import Any

import pytest

from cost_models import estimate, load_accelerator, load_technology
from cost_models.errors import InvalidInput, InvalidLayer
from cost_models.streaming import stream
from cost_models.workload import (
    CONVOLUTIONS,
    INPUT,
    Layer,
    LayerKind,
    WeightSource,
    Workload,
)
from dse.design.published import published
from dse.networks.lowering import lower

FRAMES = 24


def depthwise(name: str, channels: int, kernel_size: int, **changes: Any) -> Layer:
    in_frames = changes.pop("in_frames", FRAMES)
    stride = changes.get("stride", 1)
    return Layer(
        name=name,
        kind=LayerKind.DEPTHWISE,
        in_channels=channels,
        out_channels=channels,
        in_frames=in_frames,
        out_frames=in_frames // stride,
        kernel_size=kernel_size,
        groups=channels,
        weights=WeightSource.TRAINED,
        **changes,
    )


def pointwise(
    name: str, channels: int, out_channels: int, frames: int = FRAMES, **changes: Any
) -> Layer:
    return Layer(
        name=name,
        kind=LayerKind.POINTWISE,
        in_channels=channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=frames,
        weights=WeightSource.TRAINED,
        **changes,
    )


def same_shape(name: str, kind: LayerKind, channels: int, **changes: Any) -> Layer:
    return Layer(
        name=name,
        kind=kind,
        in_channels=channels,
        out_channels=channels,
        in_frames=FRAMES,
        out_frames=FRAMES,
        **changes,
    )


def streamed(*layers: Layer, hop: int) -> Any:
    return stream(Workload("test", layers), hop)


def test_a_causal_convolution_waits_for_none() -> None:
    # 5 taps, dilation 2 span 8 frames: 4 of them are ahead where it is symmetric, none where it is
    # causal; the history is all of them either way.
    waits = {None: 4, 0: 0, 8: 8, 3: 3}
    for ahead, frames in waits.items():
        found = streamed(depthwise("dw", 4, 5, dilation=2, ahead_frames=ahead), hop=3)
        assert (found.wait_frames, found.state_bits) == (frames, 8 * 4 * 8)
    with pytest.raises(InvalidLayer, match=r"dw: ahead_frames must be from 0 to 8, which its"):
        depthwise("dw", 4, 5, dilation=2, ahead_frames=9)


def test_one_convolution_by_hand() -> None:
    # 5 taps, dilation 2: an output sees 8 frames before or behind it. 3 new frames make 3 outputs
    # and need 3 - 1 + 8 + 1 = 11 inputs, so 8 are kept: 8 frames * 4 channels * 8 bits. The middle
    # tap is 4 frames back.
    found = streamed(depthwise("dw", 4, 5, dilation=2), hop=3)
    [layer] = found.workload.layers
    assert (layer.in_frames, layer.out_frames) == (11, 3)
    assert found.state_bits == 8 * 4 * 8
    assert found.wait_frames == 4
    assert found.hop_frames == 3


def test_a_stride_makes_fewer_outputs_and_later_frames_longer() -> None:
    # Hop 4. First: 3 taps, stride 2: 2 outputs from (2 - 1) * 2 + 2 + 1 = 5 inputs, 1 kept, 1 frame
    # to wait. Second: 3 taps on frames twice as long: 2 outputs from 4 inputs, 2 kept, and 1 frame
    # of the second tensor is 2 of the input.
    first = depthwise("first", 4, 3, stride=2)
    second = depthwise("second", 4, 3, in_frames=FRAMES // 2)
    found = streamed(first, second, hop=4)
    shapes = [(layer.in_frames, layer.out_frames) for layer in found.workload.layers]
    assert shapes == [(5, 2), (4, 2)]
    assert found.state_bits == (1 + 2) * 4 * 8
    assert found.wait_frames == 1 + 2


def test_a_pooled_head_keeps_a_ring_of_sums() -> None:
    # 24 frames are 6 hops of 4: 6 sums of 4 channels x 24 bits. Each hop adds its 4 frames, the new
    # sum, and takes the oldest away: 6 additions a channel.
    pool = dataclasses.replace(same_shape("pool", LayerKind.AVERAGE_POOL, 4), out_frames=1)
    found = streamed(pool, hop=4)
    assert found.state_bits == 6 * 4 * 24
    [layer] = found.workload.layers
    assert layer.additions == 6 * 4
    assert layer.out_frames == 1
    # 24 frames are 5 hops of 5, the last one cut.
    assert streamed(pool, hop=5).state_bits == 5 * 4 * 24


RESIDUAL = {
    # Two depthwise layers of 5 taps wait 2 + 2 frames; the input is kept for as long, which the
    # first layer's 4 frames of history already do.
    2: 4,
    # Three wait 6 frames: more than 4.
    3: 6,
}


@pytest.mark.parametrize("repeats", RESIDUAL)
@pytest.mark.parametrize("around", ["identity", "matrix"])
def test_a_path_around_waits_for_the_other(repeats: int, around: str) -> None:
    main = [depthwise(f"dw{number}", 4, 5) for number in range(repeats)]
    beside = [] if around == "identity" else [pointwise("skip", 4, 4, reads=(INPUT,))]
    skip = INPUT if around == "identity" else "skip"
    add = same_shape("add", LayerKind.RESIDUAL_ADD, 4, reads=(main[-1].name, skip))
    found = streamed(*main, *beside, add, hop=2)
    # Of the inputs RESIDUAL frames, of each tensor between two depthwise layers 4. The skip's
    # output is made from what is kept of its input, so none of it is kept.
    kept = RESIDUAL[repeats] + 4 * (repeats - 1)
    assert found.state_bits == kept * 4 * 8
    assert found.wait_frames == 2 * repeats


def test_what_is_kept_for_a_fork_is_what_both_paths_read() -> None:
    """A convolution before the fork is on both paths; only one on the skip is delayed with it.

    `before` makes 2 channels into 4. The main path waits 4 + 4 frames of its output, its first
    layer needs 8 of them: 8 frames of 4 channels are kept, and none of the 2 channels before.
    """
    before = pointwise("before", 2, 4)
    main = [depthwise(f"dw{number}", 4, 5, dilation=2) for number in range(2)]
    add = same_shape("add", LayerKind.RESIDUAL_ADD, 4, reads=("dw1", "before"))
    assert streamed(before, *main, add, hop=2).state_bits == (8 + 8) * 4 * 8


def test_history_is_kept_once_for_all_its_readers() -> None:
    # 7 taps need 6 frames, 3 taps 2: 6 serve both. Their waits differ by 2, which 6 cover as well.
    long, short = depthwise("long", 4, 7), depthwise("short", 4, 3, reads=(INPUT,))
    add = same_shape("add", LayerKind.RESIDUAL_ADD, 4, reads=("long", "short"))
    assert streamed(long, short, add, hop=2).state_bits == 6 * 4 * 8


def matchboxnet(frames: int = 128, policy: str = "") -> Workload:
    return lower(published(f"matchboxnet-3x2x64{policy}"), frames=frames, outputs=12)


def test_a_network_waits_for_half_of_its_receptive_field() -> None:
    # Half kernels: Conv1 11, B1 twice 13, B2 twice 15, B3 twice 17, Conv2 29 with dilation 2.
    assert stream(matchboxnet(), 4).wait_frames == 5 + 12 + 14 + 16 + 28


@pytest.mark.parametrize("hop", [1, 4, 16, 128])
def test_all_hops_of_a_window_do_the_work_of_one_inference(hop: int) -> None:
    """No output is computed twice: convolutions' MACs add up; only the head comes every hop."""
    whole, found = matchboxnet(policy="-P3"), stream(matchboxnet(policy="-P3"), hop)
    for layer, part in zip(whole.layers, found.workload.layers, strict=True):
        assert part.name == layer.name
        if layer.kind in CONVOLUTIONS and not layer.name.startswith("head"):
            assert part.macs * 128 == layer.macs * hop
            assert part.additions * 128 == layer.additions * hop
        if layer.kind is LayerKind.BATCH_NORM:
            assert part.additions * 128 == layer.additions * hop
        if layer.name == "head.linear":
            assert part.macs == layer.macs
        assert part.stored_bits == layer.stored_bits


def test_history_does_not_depend_on_the_hop() -> None:
    # What is kept beside the ring of sums: 128 channels x 24 bits a hop of the window.
    ring = {hop: 128 // hop * 128 * 24 for hop in (1, 4, 16, 128)}
    kept = {hop: stream(matchboxnet(), hop).state_bits - ring[hop] for hop in ring}
    assert len(set(kept.values())) == 1


def test_a_hop_costs_less_than_an_inference_and_more_than_its_share() -> None:
    machine = load_accelerator("kws_ternary")
    technology = load_technology(machine.technology)
    whole = estimate(matchboxnet(), machine, technology)
    hop = estimate(stream(matchboxnet(), 4).workload, machine, technology)
    share = 4 / 128
    # More than the share: weights are read anew for four frames, and history with them.
    assert whole.energy_pj * share < hop.energy_pj < whole.energy_pj / 4
    assert whole.latency_cycles * share < hop.latency_cycles < whole.latency_cycles / 4


def test_a_hop_of_no_frames_or_beside_the_strides_is_refused() -> None:
    strided = [
        depthwise("first", 4, 3, stride=2),
        depthwise("second", 4, 3, stride=3, in_frames=12),
    ]
    with pytest.raises(InvalidInput) as error:
        streamed(*strided, hop=4)
    assert str(error.value) == (
        "a hop of 4 frames does not fit the network's strides: use a multiple of 6"
    )
    assert streamed(*strided, hop=6).workload.layers[-1].out_frames == 1
    with pytest.raises(InvalidInput, match="a hop of 0 frames does not fit the network's strides"):
        streamed(depthwise("dw", 4, 3), hop=0)


def test_the_stride_of_a_path_around_counts_once() -> None:
    # Both paths halve the frames: a hop of 2 makes one frame. Names do not matter.
    for name in ("skip", "beside"):
        main = depthwise("dw", 4, 3, stride=2)
        beside = dataclasses.replace(
            pointwise(name, 4, 4, reads=(INPUT,)), stride=2, out_frames=FRAMES // 2
        )
        add = dataclasses.replace(
            same_shape("add", LayerKind.RESIDUAL_ADD, 4, reads=("dw", name)),
            in_frames=FRAMES // 2,
            out_frames=FRAMES // 2,
        )
        found = streamed(main, beside, add, hop=2)
        assert [layer.out_frames for layer in found.workload.layers] == [1, 1, 1]


def test_a_hop_longer_than_an_inference_is_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        stream(matchboxnet(frames=64), 65)
    assert str(error.value) == (
        "a hop of 65 frames is longer than the 64 frames of an inference: use a shorter hop, or "
        "more frames"
    )
    assert stream(matchboxnet(frames=64), 64).hop_frames == 64
