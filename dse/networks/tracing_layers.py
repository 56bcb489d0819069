"""Operators of PyTorch that become layers: convolutions, norms, activations, sums, pools.

Weights are what training left, so they are priced as 8-bit integers, as a network is that is
exported; but for `TernaryConv1d`, whose matrix is generated. A buffer is a constant: stored and
multiplied, not trained.

An activation is priced as a ReLU, in line with the layer before it; any other function of one
number is a table or a limit there. What it costs beyond a comparison, only a PReLU's slopes say.
"""

from math import prod
from typing import Any

from torch import fx

from cost_models.workload import INPUT, LayerKind, WeightSource
from dse.networks.layer_graph import (
    BINS,
    CHANNELS,
    CLIP,
    FLAT,
    FRAMES,
    Value,
    ahead_of,
    convolution_kind,
)
from dse.networks.mixers.ternary import generated_fields
from dse.networks.ternary_convolution import TernaryConv1d
from dse.networks.tracing_graph import TracedGraph, Weight

# ---- with weights ----


def convolution(graph: TracedGraph, node: fx.Node) -> Value:
    """Conv1d or Conv2d: pointwise, depthwise, dilated, ternary."""
    read = graph.turned(graph.value(node, padded=True), 1)
    weight = graph.weight(node, "weight")
    assert weight is not None  # the operator has no default for it
    outputs, of_group, *kernel = weight.shape
    window = _window(graph, node, read, kernel)
    groups = read.channels // of_group
    bias = graph.weight(node, "bias")
    return graph.add(
        node,
        convolution_kind(prod(kernel), groups, read.channels, outputs),
        read,
        name=_layer_name(graph, node, weight),
        out_channels=outputs,
        groups=groups,
        bias=bias is not None,
        **window,
        **_weights(graph, weight),
    )


def _window(graph: TracedGraph, node: fx.Node, read: Value, kernel: Any) -> dict[str, Any]:
    """Fields of a layer that slides over frames, or over frames and bins: sizes, taps, strides."""
    frames = _place(graph, node, read)
    made = graph.shape(node)
    stride, dilation = graph.argument(node, "stride"), graph.argument(node, "dilation")
    strides, dilations = stride or kernel, dilation or 1  # of a pool, an empty stride is the kernel
    fields: dict[str, Any] = {
        "in_frames": read.frames - read.padding,
        "out_frames": made[frames],
        "kernel_size": _at(kernel, frames - 2),
        "stride": _at(strides, frames - 2),
        "dilation": _at(dilations, frames - 2),
    }
    span = (fields["kernel_size"] - 1) * fields["dilation"]
    fields["ahead_frames"] = ahead_of(read, *_pads(graph, node, frames - 2, span), span)
    if len(read.axes) == 3:
        return fields
    bins = 5 - frames  # axes 2 and 3 are the two
    return fields | {
        "in_bins": read.bins - read.bin_padding,
        "out_bins": made[bins],
        "kernel_bins": _at(kernel, bins - 2),
        "bin_stride": _at(strides, bins - 2),
        "bin_dilation": _at(dilations, bins - 2),
    }


def _pads(graph: TracedGraph, node: fx.Node, place: int, span: int) -> tuple[int, int]:
    """Zeros that an operator puts in itself, before an axis of space and behind it."""
    padding = graph.argument(node, "padding")
    if padding == "same":
        return span // 2, span - span // 2  # PyTorch puts the odd one behind
    if padding is None or isinstance(padding, str) or padding == []:
        return 0, 0
    return _at(padding, place), _at(padding, place)


def _layer_name(graph: TracedGraph, node: fx.Node, weight: Weight) -> str:
    """The module that has the weights, whoever calls the operator."""
    owner, _, own = weight.target.rpartition(".")
    return owner if own == "weight" and owner else graph.name(node)


def _weights(graph: TracedGraph, weight: Weight) -> dict[str, Any]:
    """Fields of a layer that say where its weights come from."""
    owner = graph.owner(weight)
    if isinstance(owner, TernaryConv1d):
        rows, columns = weight.shape[:2]
        return generated_fields(
            owner.seed, owner.layer, rows, columns, owner.density, owner.generator
        )
    return {"weights": WeightSource.TRAINED if weight.trained else WeightSource.CONSTANT}


def _place(graph: TracedGraph, node: fx.Node, read: Value) -> int:
    """The axis of the frames, of a tensor whose channels are where operators want them."""
    if read.place is None or len(read.axes) > 4:
        raise graph.error(
            node,
            f"reads a tensor of {', '.join(read.axes)}: it must be clips, channels, frames, and "
            "bins of a picture",
        )
    return read.place


def _at(numbers: Any, place: int) -> int:
    """Of a list for each dimension, or one for all, that of the frames."""
    if isinstance(numbers, int):
        return numbers
    return int(numbers[place] if len(numbers) > 1 else numbers[0])


def linear(graph: TracedGraph, node: fx.Node) -> Value:
    """Linear of all numbers of a clip, or of the channels of each frame."""
    read = graph.value(node)
    read = graph.turned(read, len(read.axes) - 1)
    weight = graph.weight(node, "weight")
    assert weight is not None
    outputs, inputs = weight.shape
    large = [size for size in read.sizes(1) if size > 1]
    fields: dict[str, Any] = {
        "name": _layer_name(graph, node, weight),
        "out_channels": outputs,
        "bias": graph.weight(node, "bias") is not None,
        **_weights(graph, weight),
    }
    if large in ([], [read.numbers]) and inputs == read.numbers:
        size = {"in_channels": inputs, "in_frames": 1, "out_frames": 1, "in_bins": 1, "out_bins": 1}
        axes = (*read.axes[:-1], CHANNELS) if read.axes[-1] != FLAT else (CLIP, CHANNELS)
        axes = tuple("one" if axis in (CHANNELS, FRAMES) else axis for axis in axes[:-1])
        return graph.add(node, LayerKind.LINEAR, read, axes=(*axes, CHANNELS), **(size | fields))
    if read.axes[-1] == CHANNELS:
        return graph.add(node, LayerKind.POINTWISE, read, **fields)
    raise graph.error(
        node,
        f"mixes the last axis of {', '.join(read.axes)}: it must be all numbers of a clip, or the "
        "channels",
    )


# ---- without ----


def batch_norm(graph: TracedGraph, node: fx.Node) -> Value:
    """BatchNorm of the channels: merged into the weights before it, or priced."""
    read = graph.turned(graph.value(node), 1)
    if read.axes[1:2] != (CHANNELS,):
        raise graph.error(node, f"normalises {read.axes[1]} of a tensor: channels are supported")
    if graph.argument(node, "training"):
        raise graph.error(
            node, "normalises by its own batch in evaluation mode: let it track its statistics"
        )
    gains = graph.weight(node, "weight"), graph.weight(node, "bias")
    if None in gains:
        graph.tell("counted as if they had gains and offsets of their own", node)
    folded = graph.folds(read) and graph.alone(node)
    return graph.add(node, LayerKind.BATCH_NORM, read, folded=folded)


_PLAIN = frozenset(
    {"relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "clip", "prelu"}
)
"""Activations that are a comparison, or say what they multiply by."""


def activation(graph: TracedGraph, node: fx.Node) -> Value:
    """Any function of one number each."""
    read, kind = graph.value(node), graph.operator(node).rstrip("_")
    slopes = graph.weight(node, "weight") if kind == "prelu" else None
    if kind not in _PLAIN:
        graph.tell(f"{kind} is priced as a ReLU, without a table of its values", node)
    _tell_both(graph, node, read)
    count = prod(slopes.shape) if slopes is not None else 0
    return graph.add(node, LayerKind.ACTIVATION, read, slopes=count)


def _tell_both(graph: TracedGraph, node: fx.Node, read: Value) -> None:
    """Note where a tensor is read with and without an activation: only one of them has memory."""
    if read.layer != INPUT and not graph.alone(node) and not graph.operator(node).endswith("_"):
        graph.tell("priced as one tensor, what is read with and without an activation", node)


def add(graph: TracedGraph, node: fx.Node) -> Value:
    """The sum or difference of two tensors of one shape, or of a tensor and a number."""
    other = node.args[1]
    if not isinstance(other, fx.Node):
        return scale(graph, node)
    if any(isinstance(graph.given(node, place), Weight) for place in (0, 1)):
        raise graph.error(
            node, "adds a parameter: give it to a layer as its bias, or to a BatchNorm1d"
        )
    first, second = graph.value(node), graph.value(node, other)
    large, small = sorted((first, second), key=lambda each: -each.numbers)
    repeated = large.axes == small.axes and all(
        size in (1, other) for size, other in zip(small.sizes(1), large.sizes(1), strict=True)
    )
    if repeated and large.numbers > small.numbers and large.channels == small.channels:
        graph.tell("priced as if the tensor that is repeated were as large as the other", node)
        first, second = large, small
    elif first.sizes(1) != second.sizes(1) or first.channels != second.channels:
        raise graph.error(
            node,
            f"adds tensors of different shapes, {first.sizes(graph.clips)} and "
            f"{second.sizes(graph.clips)}",
        )
    return graph.add(node, LayerKind.RESIDUAL_ADD, first, reads=(first.layer, second.layer))


def scale(graph: TracedGraph, node: fx.Node) -> Value:
    """A tensor times, by or plus a number: it goes into the factors that round sums anyway."""
    read = graph.value(node)
    if any(isinstance(each, fx.Node) for each in node.args[1:]):
        raise graph.error(
            node, "multiplies two tensors: gates and attention are not supported, sums are"
        )
    graph.tell("free, as a number goes into the factors of the layer before it", node)
    return read


# ---- pools ----


def pool(graph: TracedGraph, node: fx.Node) -> Value:
    """AvgPool or MaxPool of windows, or of all frames, all bins, or both."""
    read = graph.value(node, padded=True)
    dilation = graph.argument(node, "dilation")
    if dilation is not None and any(each != 1 for each in dilation):
        raise graph.error(node, "has a dilation, which pools of ours have not")
    return _pool(graph, node, read, _window(graph, node, read, graph.argument(node, "kernel_size")))


def _pool(graph: TracedGraph, node: fx.Node, read: Value, window: dict[str, Any]) -> Value:
    kind = LayerKind.MAX_POOL if "max" in graph.operator(node) else LayerKind.AVERAGE_POOL
    window = {"in_bins": 1, "out_bins": 1, "kernel_bins": 1} | window
    if window["kernel_size"] == window["kernel_bins"] == 1:
        if graph.shape(node) == read.sizes(graph.clips):
            return read
        raise graph.error(node, "takes some frames of all: use a stride in the layer before it")
    taps = {"frames": window["kernel_size"], "bins": window["kernel_bins"]}
    whole = [
        count == 1 or (window[f"out_{name}"] == 1 and count >= window[f"in_{name}"])
        for name, count in taps.items()
    ]
    if all(whole):
        # Of all frames, or of all bins of each frame: that is a pool without a window.
        window = {name: window[name] for name in window if name.startswith(("in_", "out_"))}
    return graph.add(node, kind, read, **window)


def adaptive_pool(graph: TracedGraph, node: fx.Node) -> Any:
    """A pool that is said by its outputs: windows of equal lengths, or all there is."""
    read = graph.value(node)
    given, made = read.sizes(graph.clips)[2:], graph.shape(node)[2:]
    kernel = []
    for size, outputs in zip(given, made, strict=True):
        if size % outputs:
            raise graph.error(
                node,
                f"makes {outputs} of {size} frames, in windows of different lengths: choose a "
                "number that divides them",
            )
        kernel.append(size // outputs)
    return _pool(graph, node, read, _window(graph, node, read, kernel))


def reduce(graph: TracedGraph, node: fx.Node) -> Any:
    """A mean or maximum over all frames; `max` over the channels is an argmax.

    `max` along an axis gives two tensors, what it is and where; both are read as one.
    """
    read = graph.value(node)
    given = graph.argument(node, "dim")
    rank = len(read.axes)
    axes = range(rank) if given in (None, []) else [given] if isinstance(given, int) else given
    over = {int(each) % rank for each in axes}
    sizes = read.sizes(graph.clips)
    named = [read.axes[each] for each in sorted(over) if sizes[each] > 1]
    if named == [CHANNELS] and graph.operator(node) == "max":
        return of_channels(graph, node)
    if not set(named) <= {FRAMES, BINS} or not (named or read.frames == read.bins == 1):
        raise graph.error(
            node,
            f"reduces {', '.join(named) or 'nothing'}: over all frames, and nothing else, is "
            "supported",
        )
    keep = bool(graph.argument(node, "keepdim"))
    kept = tuple(axis for at, axis in enumerate(read.axes) if keep or at not in over)
    kind = LayerKind.AVERAGE_POOL if graph.operator(node) == "mean" else LayerKind.MAX_POOL
    left = {"out_frames": 1} if FRAMES in named else {}
    left |= {"out_bins": 1} if BINS in named else {}
    return graph.add(node, kind, read, axes=kept, **left)


_OVER_CHANNELS = {
    "softmax": LayerKind.SOFTMAX,
    "log_softmax": LayerKind.SOFTMAX,
    "argmax": LayerKind.ARGMAX,
    "max": LayerKind.ARGMAX,
}


def of_channels(graph: TracedGraph, node: fx.Node) -> Value:
    """Softmax or argmax of the scores of each frame."""
    read, given = graph.value(node), graph.argument(node, "dim")
    rank, sizes = len(read.axes), read.sizes(graph.clips)
    over = range(rank) if given is None else [given % rank]
    named = [read.axes[each] for each in over if sizes[each] > 1]
    if named not in ([CHANNELS], [FLAT]) and not (named == [] and read.channels == 1):
        raise graph.error(
            node, f"is over {', '.join(named) or 'one number'}: over the channels is supported"
        )
    name = graph.operator(node)
    kept = read.axes
    if name in ("argmax", "max") and not graph.argument(node, "keepdim"):
        kept = tuple(axis for at, axis in enumerate(read.axes) if at not in set(over))
    return graph.add(node, _OVER_CHANNELS[name], read, axes=kept)
