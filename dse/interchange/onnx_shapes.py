"""ONNX operators that become no layer: they move, rename or widen numbers.

The tensor that such a node reads goes by another name behind it, perhaps with other axes. Channels
and frames must stay apart, or become one axis, channels first: any other order would be that of
another network. Weights of a quantised graph, integers with a scale and a zero point, stay packed.
"""

import dataclasses
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, helper

from dse.interchange.onnx_graph import (
    BITS,
    Constant,
    Reader,
    attributes,
    has,
    read_name,
)
from dse.networks.layer_graph import (
    BINS,
    CLIP,
    FLAT,
    FRAMES,
    MAX_SIZE,
    ONE,
    Value,
    axes_of,
    banded,
    frames_first,
)


def rename(reader: Reader, node: onnx.NodeProto) -> None:
    """Identity or Dropout: the same numbers, constants among them."""
    name = read_name(node, 0)
    if name in reader.constants:
        reader.constants[node.output[0]] = reader.constants[name]
    else:
        reader.values[node.output[0]] = reader.value(node)


def quantise(reader: Reader, node: onnx.NodeProto) -> None:
    """QuantizeLinear of activations: layers count them as 8 bits."""
    if read_name(node, 0) in reader.constants:
        raise reader.error(node, "quantises a constant: save it quantised")
    zero = reader.constants.get(read_name(node, 2))
    bits = 8 if zero is None else BITS.get(zero.tensor.data_type, 8)
    note = f"activations of {bits} bits are counted as 8"
    if bits != 8 and note not in reader.notes:
        reader.notes.append(note)
    rename(reader, node)


def dequantise(reader: Reader, node: onnx.NodeProto) -> None:
    """Weights of a quantised graph are integers, a scale and a zero point."""
    name = read_name(node, 0)
    if name not in reader.constants:
        rename(reader, node)
        return
    whole, scale = reader.constant(node, 0), reader.constant(node, 1)
    axis = int(attributes(node).get("axis", 1))
    if whole.scale is not None or int(attributes(node).get("block_size", 0)):
        raise reader.error(node, "has scales in blocks, or twice: one for all or for each row")
    zero = reader.constant(node, 2) if has(node, 2) else None
    rank = len(whole.shape)
    for each in (scale, zero):
        count = 1 if each is None else prod(each.shape)
        if count != 1 and not (-rank <= axis < rank and count == whole.shape[axis]):
            raise reader.error(node, f"has {count:,} scales or zero points for an axis of another")
    scales = reader.unpack(node, scale)
    if not ((scales > 0) & np.isfinite(scales)).all():
        raise reader.error(node, "has scales that are not above 0, or not finite")
    reader.constants[node.output[0]] = Constant(
        whole.tensor, scale.tensor, None if zero is None else zero.tensor, axis
    )


def _moved(reader: Reader, node: onnx.NodeProto) -> Value:
    """The activations whose axes a node changes; constants have to be saved as they are used."""
    if read_name(node, 0) in reader.constants:
        raise reader.error(node, "changes the shape of a constant: save it in the other shape")
    return reader.value(node)


def squeeze(reader: Reader, node: onnx.NodeProto) -> None:
    """Squeeze: axes of size 1 gone."""
    read, given = _moved(reader, node), reader.numbers(node, "axes", 1)
    sizes, rank = read.sizes(reader.clips), len(read.axes)
    ones = {at for at in range(rank) if sizes[at] == 1}
    over = {reader.axis(node, each, rank) for each in given} if given else ones
    if any(sizes[each] > 1 for each in over):
        raise reader.error(node, f"squeezes an axis of more than 1, of {sizes}")
    kept = tuple(axis for at, axis in enumerate(read.axes) if at not in over)
    reader.values[node.output[0]] = dataclasses.replace(read, axes=kept)


def unsqueeze(reader: Reader, node: onnx.NodeProto) -> None:
    """Unsqueeze: axes of size 1 put in."""
    read, given = _moved(reader, node), reader.numbers(node, "axes", 1) or []
    rank = len(read.axes) + len(given)
    places = {reader.axis(node, each, rank) for each in given}
    if rank > 6 or len(places) != len(given):
        raise reader.error(node, f"puts in the axes {given[:8]}, which are too many or double")
    old = iter(read.axes)
    axes = tuple(ONE if at in places else next(old) for at in range(rank))
    reader.values[node.output[0]] = dataclasses.replace(read, axes=axes)


def transpose(reader: Reader, node: onnx.NodeProto) -> None:
    """Transpose: the axes in another order."""
    read = _moved(reader, node)
    rank = len(read.axes)
    order = [int(each) for each in attributes(node).get("perm", range(rank)[::-1])]
    if sorted(order) != list(range(rank)):
        raise reader.error(node, f"has a perm of {order[:8]}, which is no order of {rank} axes")
    axes = tuple(read.axes[each] for each in order)
    reader.values[node.output[0]] = dataclasses.replace(read, axes=axes)


def flatten(reader: Reader, node: onnx.NodeProto) -> None:
    """Flatten behind the clips: channels and frames become one axis."""
    read, axis = reader.value(node), int(attributes(node).get("axis", 1))
    if reader.axis(node, axis, len(read.axes)) != 1 or read.axes[:1] != (CLIP,):
        raise reader.error(node, f"flattens from axis {axis} on: all but the clips is supported")
    _check_order(reader, node, read)
    reader.values[node.output[0]] = dataclasses.replace(read, axes=(CLIP, FLAT))


def _check_order(reader: Reader, node: onnx.NodeProto, read: Value) -> None:
    """Raise `InvalidFile` where channels and frames become one axis with the frames first."""
    if frames_first(read):
        raise reader.error(node, "makes frames and channels one axis, the frames first")


def reshape(reader: Reader, node: onnx.NodeProto) -> None:
    """Reshape that leaves channels and frames alone, or makes them one axis."""
    read, wanted = _moved(reader, node), reader.numbers(node, "shape", 1) or []
    old = read.sizes(reader.clips)
    if not attributes(node).get("allowzero", 0):
        wanted = [old[at] if size == 0 else size for at, size in enumerate(wanted)]
    known = prod(size for size in wanted if size != -1)
    if wanted.count(-1) == 1 and known and prod(old) % known == 0:
        wanted = [prod(old) // known if size == -1 else size for size in wanted]
    _check_order(reader, node, read)
    same = prod(wanted) == prod(old)
    axes = axes_of(wanted, read, reader.clips) if same else None
    if axes is None and same and (split := banded(wanted, read)):
        reader.values[node.output[0]] = split
        return
    if axes is None:
        raise reader.error(
            node, f"makes {wanted[:8]} of {old}: channels and frames must stay, or become one axis"
        )
    reader.values[node.output[0]] = dataclasses.replace(read, axes=axes)


def pad(reader: Reader, node: onnx.NodeProto) -> None:
    """Pad of zeros around the frames, or the bins, that a convolution reads."""
    read, options = reader.value(node, padded=True), attributes(node)
    pads, rank = reader.numbers(node, "pads", 1) or [], len(read.axes)
    mode = options.get("mode", b"constant")
    if mode != b"constant" or _pad_value(reader, node):
        raise reader.error(node, "pads by other values than zeros")
    given = reader.numbers(node, "axes", 3)
    axes = [reader.axis(node, each, rank) for each in (range(rank) if given is None else given)]
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise reader.error(node, f"has pads of {pads[:8]}: two from 0 on for each axis are needed")
    more = {read.axes[axis]: pads[at] + pads[at + len(axes)] for at, axis in enumerate(axes)}
    if any(count for axis, count in more.items() if axis not in (FRAMES, BINS)):
        raise reader.error(node, "pads other axes than frames and bins")
    frames, bins = more.get(FRAMES, 0), more.get(BINS, 0)
    leading = sum(pads[at] for at, axis in enumerate(axes) if read.axes[axis] == FRAMES)
    if max(frames, bins) >= MAX_SIZE:
        raise reader.error(node, f"pads {MAX_SIZE:,} frames or more")
    reader.values[node.output[0]] = dataclasses.replace(
        read,
        frames=read.frames + frames,
        padding=read.padding + frames,
        leading=read.leading + leading,
        bins=read.bins + bins,
        bin_padding=read.bin_padding + bins,
    )


def _pad_value(reader: Reader, node: onnx.NodeProto) -> bool:
    """Whether a Pad puts in something else than zeros."""
    if not has(node, 2):
        return bool(attributes(node).get("value", 0))
    constant = reader.constant(node, 2)
    return prod(constant.shape) != 1 or bool(reader.unpack(node, constant).any())


def read_constant(reader: Reader, node: onnx.NodeProto) -> None:
    """Constant: a tensor, a number or a list of numbers."""
    options = attributes(node)
    value = options.get("value")
    for name, kind in _NUMBERS.items():
        if value is None and name in options:
            numbers = options[name] if name.endswith("s") else [options[name]]
            value = helper.make_tensor("", kind, [len(numbers)], numbers)
    if not isinstance(value, onnx.TensorProto):
        raise reader.error(node, "is no tensor of numbers")
    reader.constants[node.output[0]] = Constant(value)


_NUMBERS = {
    "value_int": TensorProto.INT64,
    "value_ints": TensorProto.INT64,
    "value_float": TensorProto.FLOAT,
    "value_floats": TensorProto.FLOAT,
}
"""Attributes of a Constant that are no tensors."""
