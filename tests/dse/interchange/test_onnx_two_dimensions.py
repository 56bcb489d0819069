"""ONNX graphs whose frames have bins: shapes and counts, in either order of the axes."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.networks import ds_cnn_s
from cost_models import estimate, load_accelerator, load_technology
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, Workload
from tests.dse.interchange.test_onnx_import import Graph

RANDOM = np.random.default_rng(2)
SHAPE = ("kind", "in_channels", "out_channels", "groups", "macs", "weight_entries", "bias")
FRAMES = ("in_frames", "out_frames", "kernel_size", "stride", "dilation")
BINS = ("in_bins", "out_bins", "kernel_bins", "bin_stride", "bin_dilation")


def sizes(layer: Layer, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(layer, name) for name in names)


def ds_cnn(tmp_path: Path, *, time_first: bool) -> Graph:
    """DS-CNN-S as PyTorch exports it: batch norms merged, ReLU, a flat tensor before the end."""

    def plane(*numbers: int) -> list[int]:
        return list(numbers if time_first else numbers[::-1])

    graph = Graph(tmp_path, 1, 1, *plane(49, 10))
    read = "x"
    for layer in ds_cnn_s().layers:
        if layer.kind not in CONVOLUTIONS or layer.kind is LayerKind.LINEAR:
            continue
        kernel = plane(layer.kernel_size, layer.kernel_bins)
        pads = {"conv": [*plane(4, 1), *plane(5, 1)]}.get(layer.name)
        pads = pads or [(taps - 1) // 2 for taps in kernel] * 2
        of_group = layer.in_channels // layer.groups
        weights = RANDOM.normal(size=(layer.out_channels, of_group, *kernel))
        graph.constant(f"{layer.name}.w", weights).constant(f"{layer.name}.b", np.zeros(64))
        graph.node(
            "Conv",
            f"{read} {layer.name}.w {layer.name}.b",
            layer.name,
            name=layer.name,
            strides=plane(layer.stride, layer.bin_stride),
            group=layer.groups,
            pads=pads,
        )
        read = f"{layer.name}.relu"
        graph.node("Relu", layer.name, read)
    graph.node("AveragePool", read, "pool", kernel_shape=plane(25, 5)).node("Flatten", "pool", "f")
    graph.constant("fc.w", RANDOM.normal(size=(12, 64))).constant("fc.b", np.zeros(12))
    return graph.node("Gemm", "f fc.w fc.b", "y", transB=1)


@pytest.mark.parametrize("time_first", [True, False])
def test_ds_cnn_is_read_as_it_is_published(time_first: bool, tmp_path: Path) -> None:
    graph = ds_cnn(tmp_path, time_first=time_first)
    found = [each for each in graph.read() if each.kind is not LayerKind.ACTIVATION]
    published = ds_cnn_s().layers
    assert [sizes(each, *SHAPE, *FRAMES, *BINS) for each in found] == [
        sizes(each, *SHAPE, *FRAMES, *BINS) for each in published
    ]
    place = "first" if time_first else "second"
    assert graph.notes[0] == (
        f"the input has two dimensions of space: 49, the {place}, are read as frames, and 10 as "
        "bins of each"
    )
    # And so is its price.
    machine = load_accelerator("kws_int8")
    technology = load_technology(machine.technology)
    ours, theirs = (
        estimate(
            Workload("ds-cnn-s", tuple(dataclasses.replace(each, reads=()) for each in layers)),
            machine,
            technology,
        )
        for layers in (published, found)
    )
    assert ours.latency_cycles == theirs.latency_cycles
    assert ours.energy == theirs.energy


def test_an_open_axis_is_time(tmp_path: Path) -> None:
    # 40 bins, and frames that the file leaves open: fewer than bins, and frames all the same.
    graph = Graph(tmp_path, 1, 1, 40, 0).constant("w", RANDOM.normal(size=(8, 1, 5, 5)))
    [layer] = graph.node("Conv", "x w", "y", pads=[2, 2, 2, 2], strides=[2, 1]).read(frames=20)
    assert sizes(layer, *FRAMES) == (20, 20, 5, 1, 1)
    assert sizes(layer, *BINS) == (40, 20, 5, 2, 1)
    assert layer.macs == 8 * 25 * 20 * 20


def test_a_kernel_of_all_bins_leaves_frames_alone(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 1, 98, 40).constant("w", RANDOM.normal(size=(16, 1, 3, 40)))
    graph.node("Conv", "x w", "c", pads=[1, 0, 1, 0]).constant("a", [3], np.int64)
    graph.node("Squeeze", "c a", "s").constant("v", RANDOM.normal(size=(8, 16, 3)))
    first, second = graph.node("Conv", "s v", "y").read()
    assert sizes(first, "out_frames", "out_bins", "macs") == (98, 1, 16 * 3 * 40 * 98)
    assert sizes(second, "in_frames", "in_bins", "out_frames") == (98, 1, 96)


@pytest.mark.parametrize(
    ("kind", "attributes", "made", "passed"),
    [
        ("GlobalAveragePool", {}, (1, 1), 4 * 12 * 6),
        ("GlobalMaxPool", {}, (1, 1), 4 * 12 * 6),
        ("AveragePool", {"kernel_shape": [12, 6]}, (1, 1), 4 * 12 * 6),
        ("MaxPool", {"kernel_shape": [2, 3], "strides": [2, 3]}, (6, 2), 4 * 12 * 6),
        # Side by side in bins, each frame in three windows.
        ("MaxPool", {"kernel_shape": [3, 1], "pads": [1, 0, 1, 0]}, (12, 6), 4 * 12 * 6 * 3),
        ("ReduceMean", {"axes": [3]}, (12, 1), 4 * 12 * 6),
        ("ReduceMean", {"axes": [2]}, (1, 6), 4 * 12 * 6),
        ("ReduceMax", {"axes": [2, 3], "keepdims": 0}, (1, 1), 4 * 12 * 6),
    ],
)
def test_pools(
    kind: str, attributes: dict[str, Any], made: tuple[int, int], passed: int, tmp_path: Path
) -> None:
    [pool] = Graph(tmp_path, 1, 4, 12, 6, opset=13).node(kind, "x", "y", **attributes).read()
    assert sizes(pool, "out_frames", "out_bins") == made
    assert pool.kind is (LayerKind.MAX_POOL if "Max" in kind else LayerKind.AVERAGE_POOL)
    assert pool.pooled == passed


def test_a_mean_of_bins_is_added_to_all_of_them(tmp_path: Path) -> None:
    # BC-ResNet's broadcast: the mean over frequency, convolved over time, added to each frequency.
    graph = Graph(tmp_path, 1, 8, 20, 98, opset=13)
    graph.constant("w", RANDOM.normal(size=(8, 1, 1, 3)))
    graph.node("ReduceMean", "x", "m", axes=[2]).node(
        "Conv", "m w", "c", group=8, pads=[0, 1, 0, 1]
    )
    mean, temporal, add = graph.node("Add", "x c", "y").read()
    assert sizes(mean, "in_bins", "out_bins", "out_frames") == (20, 1, 98)
    assert sizes(temporal, "kind", "kernel_size", "kernel_bins") == (LayerKind.DEPTHWISE, 3, 1)
    assert add.additions == 8 * 20 * 98
    assert add.reads == ("input", temporal.name)
    assert any("adds a tensor of 98 x 1 to one of 98 x 20" in note for note in graph.notes)


def test_a_linear_layer_takes_all_numbers_of_a_clip(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 12, 6).constant("w", RANDOM.normal(size=(4 * 12 * 6, 3)))
    [linear] = graph.node("Flatten", "x", "f").node("MatMul", "f w", "y").read()
    assert sizes(linear, "kind", "in_channels", "in_bins") == (LayerKind.LINEAR, 288, 1)
    graph = Graph(tmp_path, 1, 4, 12, 6).constant("w", RANDOM.normal(size=(4 * 12 * 6, 3)))
    graph.node("Transpose", "x", "t", perm=[0, 2, 3, 1]).node("Flatten", "t", "f")
    assert "makes frames and channels one axis" in graph.node("MatMul", "f w", "y").refusal()


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ((1, 4, 12, 6), True),
        ((0, 0, -1, 6), True),
        ((1, 4, 12, 1, 6), True),
        ((1, -1), True),
        ((1, 4, 6, 12), False),
        ((1, 4, 72), False),
        ((1, 24, 12), False),
    ],
)
def test_shapes_that_lose_sight_of_bins_are_refused(
    shape: tuple[int, ...], kept: bool, tmp_path: Path
) -> None:
    graph = Graph(tmp_path, 1, 4, 12, 6).constant("s", shape, np.int64)
    graph.node("Reshape", "x s", "r").node("Relu", "r", "y")
    if kept:
        [relu] = graph.read()
        assert sizes(relu, "in_channels", "in_frames", "in_bins") == (4, 12, 6)
    else:
        assert "must stay, or become one axis" in graph.refusal()


@pytest.mark.parametrize(
    ("shape", "kernel", "attributes", "message"),
    [
        ((1, 4, 1, 9), (3, 3), {"pads": [1, 1, 1, 1]}, "a kernel of [3, 3] over axes of [1, 9]"),
        ((1, 4, 1, 9), (1, 3), {"pads": [1, 0, 1, 0]}, "pads an axis of size 1, which is neither"),
        ((1, 4, 9, 9), (3, 3), {"strides": [1]}, "has strides of [1]: 2 numbers from 1 on"),
        ((1, 4, 9, 9), (3, 11), {}, "out_frames must be at least 1, not -1"),
        ((1, 4, 9, 9), (3,), {}, "a kernel of [3] over axes of [9, 9]"),
        ((1, 4, 9, 9), (3, 3), {"pads": [2**20] * 4}, "is too large"),
    ],
)
def test_odd_kernels_are_one_sentence(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    attributes: dict[str, Any],
    message: str,
    tmp_path: Path,
) -> None:
    graph = Graph(tmp_path, *shape).constant("w", RANDOM.normal(size=(4, 4, *kernel)))
    assert message in graph.node("Conv", "x w", "y", **attributes).refusal()
