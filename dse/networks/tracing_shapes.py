"""Operators of PyTorch that become no layer: they move, cut or join numbers where they lie.

Free is what a machine does by the addresses that it reads and writes: a part of the channels, the
frames without their first or last, channels written beside others, zeros around a convolution's
input. Not free, and refused: what puts channels or frames in another order, or copies.
"""

import dataclasses
from typing import Any, cast

from torch import fx

from dse.errors import InvalidInput
from dse.networks.layer_graph import (
    BINS,
    CHANNELS,
    FLAT,
    FRAMES,
    ONE,
    Value,
    axes_of,
    banded,
    frames_first,
)
from dse.networks.tracing_graph import TracedGraph, Weight


def rename(graph: TracedGraph, node: fx.Node) -> Any:
    """The same numbers, weights among them."""
    found = graph.given(node)
    return found if isinstance(found, Weight) else graph.value(node, padded=True)


def dropout(graph: TracedGraph, node: fx.Node) -> Value:
    """Dropout, which inference does not do."""
    if graph.argument(node, "train"):
        raise graph.error(
            node, "drops out in evaluation mode, too: give F.dropout training=self.training"
        )
    return graph.value(node, padded=True)


def _of_weight(graph: TracedGraph, node: fx.Node) -> Weight | None:
    """A weight in another shape: only axes of size 1 may come or go."""
    given = graph.given(node)
    if not isinstance(given, Weight):
        return None
    shape = tuple(graph.shape(node))
    if [size for size in shape if size > 1] != [size for size in given.shape if size > 1]:
        raise graph.error(node, f"makes other weights of {given.target}: keep them as they are")
    return dataclasses.replace(given, shape=shape)


def reshape(graph: TracedGraph, node: fx.Node) -> Any:
    """Flatten, view or reshape that leaves channels and frames alone, or makes them one axis."""
    if weight := _of_weight(graph, node):
        return weight
    read, sizes = graph.value(node), graph.shape(node)
    if frames_first(read) and FLAT not in read.axes and len(sizes) < 3:
        raise graph.error(node, "makes frames and channels one axis, the frames first")
    if sizes == read.sizes(graph.clips):
        return read
    axes = axes_of(sizes, read, graph.clips)
    if axes is None and (split := banded(sizes, read)):
        return split
    if axes is None:
        raise graph.error(
            node,
            f"makes {sizes} of {read.sizes(graph.clips)}: channels and frames must stay, or become "
            "one axis",
        )
    return dataclasses.replace(read, axes=axes)


def squeeze(graph: TracedGraph, node: fx.Node) -> Any:
    """Axes of size 1 gone."""
    if weight := _of_weight(graph, node):
        return weight
    read, given = graph.value(node), graph.argument(node, "dim")
    rank, sizes = len(read.axes), read.sizes(graph.clips)
    axes = range(rank) if given is None else [given] if isinstance(given, int) else given
    gone = {int(each) % rank for each in axes}
    gone = {each for each in gone if sizes[each] == 1}
    kept = tuple(axis for at, axis in enumerate(read.axes) if at not in gone)
    return dataclasses.replace(read, axes=kept)


def unsqueeze(graph: TracedGraph, node: fx.Node) -> Any:
    """An axis of size 1 put in; before the samples of raw audio it is that of the channels."""
    if weight := _of_weight(graph, node):
        return weight
    read = graph.value(node)
    at = int(graph.argument(node, "dim")) % (len(read.axes) + 1)
    none = CHANNELS not in read.axes and FLAT not in read.axes and read.channels == 1
    axes = [*read.axes]
    axes.insert(at, CHANNELS if none and at == 1 else ONE)
    return dataclasses.replace(read, axes=tuple(axes))


def permute(graph: TracedGraph, node: fx.Node) -> Value:
    """The axes in another order: the numbers stay where they are, until a layer reads them."""
    read, name = graph.value(node), graph.operator(node)
    axes = list(read.axes)
    rank = len(axes)
    if name in ("transpose", "t"):
        first, second = (
            (0, 1) if name == "t" else (graph.argument(node, "dim0"), graph.argument(node, "dim1"))
        )
        axes[first], axes[second] = axes[second], axes[first]
    elif name == "permute":
        axes = [axes[each] for each in graph.argument(node, "dims")]
    else:
        source, to = graph.argument(node, "source"), graph.argument(node, "destination")
        source, to = ([each] if isinstance(each, int) else list(each) for each in (source, to))
        moved = {t % rank: axes[s % rank] for s, t in zip(source, to, strict=True)}
        left = iter([axis for at, axis in enumerate(axes) if at not in {s % rank for s in source}])
        axes = [moved[at] if at in moved else next(left) for at in range(rank)]
    return dataclasses.replace(read, axes=tuple(axes))


# ---- parts ----


def split(graph: TracedGraph, node: fx.Node) -> list[Value]:
    """Chunks of the channels, or of the frames, side by side."""
    read = graph.value(node)
    axis = int(graph.argument(node, "dim") or 0) % len(read.axes)
    sizes = [each.shape[axis] for each in node.meta["val"]]
    found, start = [], 0
    for size in sizes:
        found.append(_part(graph, node, read, axis, start, size))
        start += size
    return found


def take(graph: TracedGraph, node: fx.Node) -> Any:
    """One of several tensors that an operator makes."""
    found = graph.given(node)
    if isinstance(found, list):
        return found[cast(int, node.args[1])]
    return found  # of `max` along an axis: what it is, or where


def narrow(graph: TracedGraph, node: fx.Node) -> Any:
    """Slice, narrow or select: a part of an axis, or one of it."""
    if weight := _of_weight(graph, node):
        return weight
    read, name = graph.value(node, padded=True), graph.operator(node)
    axis = int(graph.argument(node, "dim") or 0) % len(read.axes)
    size = read.sizes(graph.clips)[axis]
    if name == "select":
        start = int(graph.argument(node, "index")) % size
        part = _part(graph, node, read, axis, start, 1)
        return dataclasses.replace(part, axes=part.axes[:axis] + part.axes[axis + 1 :])
    if (graph.argument(node, "step") or 1) != 1:
        raise graph.error(
            node, f"takes each {graph.argument(node, 'step')}th of an axis: use a stride"
        )
    start = int(graph.argument(node, "start") or 0)
    start = max(start + size, 0) if start < 0 else min(start, size)
    return _part(graph, node, read, axis, start, graph.shape(node)[axis])


def _part(
    graph: TracedGraph, node: fx.Node, read: Value, axis: int, start: int, size: int
) -> Value:
    """Some of an axis, read where they lie."""
    if size == read.sizes(graph.clips)[axis]:
        return read
    what = read.axes[axis]
    if what == CHANNELS:
        return dataclasses.replace(read, channels=size, first=read.first + start)
    if what == FRAMES and not read.padding:
        graph.cut_in_front |= start > 0
        return dataclasses.replace(read, frames=size)
    if what == BINS and not read.bin_padding:
        return dataclasses.replace(read, bins=size)
    raise graph.error(
        node,
        f"takes a part of {'padded frames' if read.padding else what}: parts of channels and of "
        "frames are free",
    )


def join(graph: TracedGraph, node: fx.Node) -> Value:
    """Cat along the channels: each tensor is written beside the one before it."""
    given = node.args[0]
    values = [graph.value(node, each) for each in given]  # type: ignore[union-attr]
    axis = int(graph.argument(node, "dim") or 0) % len(values[0].axes)
    named = {value.axes[axis] for value in values}
    if named != {CHANNELS}:
        raise graph.error(node, f"joins {', '.join(sorted(named))}: channels are joined for free")
    try:
        return graph.join(values)
    except InvalidInput as error:
        raise graph.error(
            node, f"{error}: that is a copy, which no layer is; sums are supported"
        ) from None


def pad(graph: TracedGraph, node: fx.Node) -> Value:
    """Zeros before and behind the frames, of what a convolution or pool reads; or fewer frames."""
    read = graph.value(node, padded=True)
    read = graph.turned(read, 1)
    pads = [int(each) for each in graph.argument(node, "pad")]
    mode = graph.argument(node, "mode") or "constant"
    value = graph.argument(node, "value") or 0
    if mode != "constant" or value:
        raise graph.error(
            node, f"pads with {mode if mode != 'constant' else value}: zeros are supported"
        )
    # Pairs from the last axis on: (before, behind) of the last, of the one before it, ...
    of_axis = {
        len(read.axes) - 1 - at // 2: pads[at] + pads[at + 1] for at in range(0, len(pads), 2)
    }
    wrong = [read.axes[axis] for axis, count in of_axis.items() if count]
    if set(wrong) - {FRAMES, BINS}:
        raise graph.error(node, f"pads {', '.join(wrong)}: frames are padded for free")
    more = {read.axes[axis]: count for axis, count in of_axis.items()}
    frames, bins = more.get(FRAMES, 0), more.get(BINS, 0)
    leading = sum(
        pads[at]
        for at in range(0, len(pads), 2)
        if read.axes[len(read.axes) - 1 - at // 2] == FRAMES
    )
    if min(pads) < 0:
        graph.cut_in_front |= leading < 0
        if max(pads) > 0:
            raise graph.error(node, "pads and cuts at once: do one after the other")
        return dataclasses.replace(read, frames=read.frames + frames, bins=read.bins + bins)
    return dataclasses.replace(
        read,
        frames=read.frames + frames,
        padding=read.padding + frames,
        leading=read.leading + leading,
        bins=read.bins + bins,
        bin_padding=read.bin_padding + bins,
    )
