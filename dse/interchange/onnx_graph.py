"""An ONNX graph while it is read: which tensors are activations, which are constants.

What the readers of operators (`onnx_layers`, `onnx_shapes`) ask. The bounds are here: names have a
bounded length, a constant's size is checked before it is unpacked, and it is unpacked only where
its values matter.

What a tensor of activations is, and the layers read so far, are `dse.networks.layer_graph`'s.
"""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from cost_models.workload import INPUT, LayerKind
from dse.errors import InvalidFile, InvalidInput, short
from dse.networks.layer_graph import (
    BINS,
    CHANNELS,
    CLIP,
    FRAMES,
    MAX_SIZE,
    ONE,
    LayerGraph,
    Value,
)

MAX_ELEMENTS = 50_000_000
"""Of a constant, and of all that are unpacked: a small file can name a large one many times."""
LONGEST_NAME = 80

BITS: dict[int, int] = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
}
"""Of integers that a DequantizeLinear widens."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant that is still packed: its shape is known, its values are not."""

    tensor: onnx.TensorProto
    scale: onnx.TensorProto | None = None
    zero: onnx.TensorProto | None = None
    axis: int = 1
    """Of a scale for each row or column."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all its axes; unchecked, as the file says it."""
        return tuple(self.tensor.dims)

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for equal values: several nodes may share a tensor."""
        return (id(self.tensor), id(self.scale), id(self.zero), self.axis)


@dataclass(frozen=True, slots=True)
class Matrix:
    """What is known of a 1x1's entries: which are not zero, if it is ternary."""

    mask: npt.NDArray[np.bool_] | None
    scaled: bool
    """Entries are -s, 0, +s with another s than 1, of the matrix or of each row."""


class Reader(LayerGraph):
    """A graph, and the layers that have been read of it so far."""

    def __init__(self, graph: onnx.GraphProto, path: Path) -> None:
        super().__init__()
        self.graph, self.path = graph, path
        self.constants: dict[str, Constant] = {}
        for tensor in graph.initializer:
            if tensor.name in self.constants:
                raise InvalidFile(f"two constants are called {short(tensor.name)} ({path})")
            self.constants[tensor.name] = Constant(tensor)
        self.values: dict[str, Value] = {}
        self.sigmoids: dict[str, set[str]] = {}
        """Layers that are the Sigmoid of a tensor, by the layer that made it."""
        self.readers = Counter(name for node in graph.node for name in node.input)
        self.readers.update(output.name for output in graph.output)
        self.matrices: dict[tuple[int, ...], Matrix] = {}
        self.unpacked = 0
        self.in_floats = 0

    def error(self, node: onnx.NodeProto, problem: str) -> InvalidFile:
        """`node 'x' (LSTM) <problem> (file)`."""
        name = node.name or (node.output[0] if node.output else "?")
        return InvalidFile(f"node '{plain(name)}' ({plain(node.op_type)}) {problem} ({self.path})")

    def input(self, given: onnx.ValueInfoProto, frames: int | None) -> Value:
        """The network's input, of one clip.

        Args:
            given: what the file says of it.
            frames: instead of those of the file.

        Raises:
            InvalidFile: it has no size, more than two dimensions of space, or too many numbers.
        """
        dims = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
        name = short(given.name)
        if len(dims) not in (3, 4):
            raise InvalidFile(
                f"input {name} has {len(dims)} dimensions: a network takes clips, channels, "
                f"frames, and perhaps bins ({self.path})"
            )
        # The first dimension is the batch: one clip is priced, whatever it says. A dynamic length
        # reads as 0.
        self.clips = max(dims[0], 1)
        if self.clips > 1:
            self.notes.append(f"the input is a batch of {self.clips:,} clips: one clip is counted")
        axes: tuple[str, ...] = (CLIP, CHANNELS, FRAMES)
        if len(dims) == 4:
            axes = (CLIP, CHANNELS, *self._image(name, dims[2:]))
        channels, length = dims[1], frames or dims[axes.index(FRAMES)]
        bins = dims[axes.index(BINS)] if BINS in axes else 1
        if channels < 1:
            raise InvalidFile(
                f"input {name} leaves its channels open, or has none: export it with a number of "
                f"them ({self.path})"
            )
        if length < 1:
            raise InvalidFile(
                f"input {name} leaves its size open: give the frames with --frames ({self.path})"
            )
        if channels * length * bins >= MAX_SIZE:
            shown = f"{channels:,} x {length:,}" + (f" x {bins:,}" if bins > 1 else "")
            raise InvalidFile(
                f"input {name} has {shown} numbers: fewer than {MAX_SIZE:,} are read ({self.path})"
            )
        return Value(channels, length, INPUT, axes, bins=bins)

    def _image(self, name: str, sizes: list[int]) -> tuple[str, str]:
        """What two axes of space are: an open one, or the longer, is time, the other frequency.

        As in `dse.trace`; of equal ones the second is time.

        Args:
            name: of the input.
            sizes: of the axes, 0 of one that is open.
        """
        if 1 in sizes:
            return (ONE, FRAMES) if sizes[0] == 1 else (FRAMES, ONE)
        if sizes == [0, 0]:
            raise InvalidFile(
                f"input {name} leaves both of its dimensions of space open: export it with a "
                f"number of bins ({self.path})"
            )
        first = sizes[1] != 0 and (sizes[0] == 0 or sizes[0] > sizes[1])
        time, bins = sizes if first else sizes[::-1]
        self.notes.append(
            f"the input has two dimensions of space: {time or 'the open one'}, the "
            f"{'first' if first else 'second'}, are read as frames, and {bins} as bins of each"
        )
        return (FRAMES, BINS) if first else (BINS, FRAMES)

    def value(self, node: onnx.NodeProto, index: int = 0, *, padded: bool = False) -> Value:
        """A tensor of activations that a node reads: the network's input, or of a node before.

        Raises:
            InvalidFile: the tensor is a constant, or nothing has made it; or it has padding, which
                this operator would have to read.
        """
        name = read_name(node, index)
        if name not in self.values:
            raise self.error(node, f"reads {short(name)}, which is no tensor of activations")
        found = self.values[name]
        if (found.padding or found.bin_padding) and not padded:
            raise self.error(node, "reads what Pad made: before a Conv alone it is free")
        return found

    def constant(self, node: onnx.NodeProto, index: int) -> Constant:
        """A constant that a node reads, packed as it is in the file.

        Its size is checked here, before anything is unpacked: a damaged file may claim terabytes.

        Raises:
            InvalidFile: the tensor is none, is too large, or lies in another file.
        """
        name = read_name(node, index)
        found = self.constants.get(name)
        if found is None:
            sparse = any(each.values.name == name for each in self.graph.sparse_initializer)
            what = "is sparse: save it dense" if sparse else "is no constant"
            raise self.error(node, f"reads {short(name)}, which {what}")
        if any(dim < 0 for dim in found.shape):
            raise self.error(node, f"reads a constant of the shape {list(found.shape)[:8]}")
        if prod(found.shape) > MAX_ELEMENTS:
            raise self.error(node, f"reads a constant of more than {MAX_ELEMENTS:,} numbers")
        if found.tensor.data_location == TensorProto.EXTERNAL:
            raise self.error(node, "has weights in another file: save the model as one file")
        if found.tensor.data_type not in NUMBERS:
            raise self.error(node, f"reads {short(name)}, which has no real numbers in it")
        if not _is_whole(found.tensor):
            raise self.error(
                node, f"reads {short(name)}, of which the file has not as many numbers as its shape"
            )
        return found

    def unpack(self, node: onnx.NodeProto, constant: Constant) -> npt.NDArray[Any]:
        """The values of a constant: (integers - zero point) * scale where it is quantised."""
        self.unpacked += prod(constant.shape)
        if self.unpacked > MAX_ELEMENTS:
            raise self.error(
                node, f"reads constants of more than {MAX_ELEMENTS:,} numbers, with those before it"
            )
        whole: npt.NDArray[Any] = numpy_helper.to_array(constant.tensor)
        if constant.scale is None:
            return whole

        def along(tensor: onnx.TensorProto) -> npt.NDArray[Any]:
            values = numpy_helper.to_array(tensor).astype(np.float64)
            if values.size == 1:
                return values.reshape(())
            shape = [1] * whole.ndim
            shape[constant.axis] = whole.shape[constant.axis]
            return values.reshape(shape)

        found: npt.NDArray[Any] = whole.astype(np.float64)
        if constant.zero is not None:
            found -= along(constant.zero)
        found *= along(constant.scale)
        return found

    def numbers(self, node: onnx.NodeProto, name: str, index: int) -> list[int] | None:
        """Whole numbers, such as axes, of an attribute or of an input; None where it has neither.

        Which of the two depends on the version of the operator: inputs since opset 13 or 18.
        """
        options = attributes(node)
        if name in options:
            return [int(each) for each in options[name]]
        if not has(node, index):
            return None
        constant = self.constant(node, index)
        if prod(constant.shape) > 16:
            raise self.error(node, f"has more than 16 {name}")
        return [int(each) for each in self.unpack(node, constant).reshape(-1)]

    def axis(self, node: onnx.NodeProto, given: int, rank: int) -> int:
        """An axis counted from the first; negative ones count from the last.

        Raises:
            InvalidFile: a tensor of so many axes has none there.
        """
        if not -rank <= given < rank:
            raise self.error(
                node,
                f"has axis {given} of a tensor of {rank} axes: it must be {-rank} to {rank - 1}",
            )
        return given % rank

    def add(self, node: onnx.NodeProto, kind: LayerKind, like: Value, **other: Any) -> None:
        """Append a layer that makes the node's first output of a tensor.

        Args:
            node: names the layer.
            kind: of the layer.
            like: what it reads; its shape comes out again.
            other: fields of the layer that differ from that, and `axes` of what comes out.
        """
        try:
            made = self.append(plain(node.name or node.output[0]), kind, like, **other)
        except InvalidInput as error:
            raise self.error(node, f"cannot be read: {error}") from None
        self.values[node.output[0]] = made

    def alone(self, node: onnx.NodeProto, index: int = 0) -> bool:
        """Whether nobody else reads what a node reads: only then can the two be merged."""
        return self.readers[node.input[index]] == 1


NUMBERS = {
    kind
    for name, kind in TensorProto.DataType.items()
    if name.startswith(("FLOAT", "DOUBLE", "BFLOAT", "INT", "UINT"))
}
"""Types of real numbers."""
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


_NARROW = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
"""Bits of the types of which several share a byte."""


def _is_whole(tensor: onnx.TensorProto) -> bool:
    """Whether a file has the numbers of a tensor that its shape promises.

    They stand as bytes, or in a list of their type, where narrow ones share an entry.
    """
    count = prod(tensor.dims)
    if tensor.raw_data:
        bits = 8 * len(tensor.raw_data)
        kind = TensorProto.DataType.Name(tensor.data_type)
        size = _NARROW.get(kind) or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        return bool(bits == -(-count * size // 8) * 8)
    there = sum(len(getattr(tensor, field)) for field in _FIELDS)
    return there in (count, -(-count // 2), -(-count // 4))


def plain(name: str | bytes) -> str:
    """A name for tables and messages: printable, of bounded length.

    Protobuf gives a name that is no UTF-8 as bytes.
    """
    letters = name if isinstance(name, str) else name.decode("ascii", "replace")
    text = "".join(each if each.isprintable() else "?" for each in letters[:LONGEST_NAME])
    return text if len(letters) <= LONGEST_NAME else f"{text}..."


def has(node: onnx.NodeProto, index: int) -> bool:
    """Whether a node has an optional input: an empty name stands for one that is left out."""
    return len(node.input) > index and node.input[index] != ""


def read_name(node: onnx.NodeProto, index: int) -> str:
    """The tensor that a node reads at an input; empty where it has none there."""
    return str(node.input[index]) if index < len(node.input) else ""


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Of a node by name: numbers, lists of numbers, bytes or tensors."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
