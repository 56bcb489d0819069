"""ONNX graphs of 1-D networks, read as a workload: shapes and counts, whoever trained them.

A tensor is (clips, channels, frames), with axes of size 1 wherever a tool needed two dimensions:
(clips, channels, frames, 1), (clips, channels, 1, frames), or a one put in before each convolution
and taken out behind it. A 1x1 convolution whose entries are all -s, 0 or +s becomes a ternary
matrix with its exact count of non-zero entries; nothing says what made it, so machines that
generate matrices refuse it, and machines that store them take two bits each. Other weights have the
bits that they are stored with, floats 8: a graph in floats is priced as if it were quantised.

Each operator becomes one layer (`_OPERATORS`), or none: those that only move or reshape numbers
(Flatten, Reshape, QuantizeLinear, ...) pass the tensor that they read on under a new name. Shapes
are not taken from the file's `value_info`, which exporters may leave out: they follow from the
input's shape and the weights', node by node.

The file is data: nothing in it is executed, external files are not opened, and a constant is
unpacked only where its values matter. All is linear in the number of nodes. Needs `onnx`.
"""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

from cost_models.workload import CONVOLUTIONS, INPUT, Layer, LayerKind, WeightSource, Workload
from dse.errors import InvalidFile, InvalidInput, short

MAX_BYTES = 256_000_000
MAX_NODES = 20_000
MAX_ELEMENTS = 50_000_000
"""Of a constant, and of all that are unpacked: a small file can name a large one many times."""
MAX_SIZE = 2**31
"""Numbers of a tensor of activations."""
MAX_MACS = 2**53
LEAST_INPUTS = 4
"""Entries of a row that are equal but for their sign: fewer may be so by chance."""
LONGEST_NAME = 80

_NEAREST = {
    "LSTM": "Conv",
    "GRU": "Conv",
    "RNN": "Conv",
    "ConvTranspose": "Conv",
    "Attention": "Conv",
    "QLinearConv": "Conv, quantised as QuantizeLinear and DequantizeLinear around it",
    "ConvInteger": "Conv, quantised as QuantizeLinear and DequantizeLinear around it",
    "Pad": "Conv with pads of its own",
    "MaxPool": "GlobalAveragePool",
    "GlobalMaxPool": "GlobalAveragePool",
    "ReduceMax": "GlobalAveragePool",
    "Sigmoid": "Relu",
    "Tanh": "Relu",
    "LeakyRelu": "Relu",
    "PRelu": "Relu",
    "Elu": "Relu",
    "HardSwish": "Relu",
    "HardSigmoid": "Relu",
    "Gelu": "Relu",
    "LayerNormalization": "BatchNormalization",
    "InstanceNormalization": "BatchNormalization",
    "GroupNormalization": "BatchNormalization",
    "Mul": "Add",
    "Sub": "Add",
    "Concat": "Add",
}
_BITS: dict[int, int] = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
}
"""Of integers that a DequantizeLinear widens."""

CLIP, CHANNELS, FRAMES, ONE, FLAT = "clip", "channels", "frames", "one", "flat"
"""What an axis of a tensor is; FLAT is channels and frames in one, ONE has size 1."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of activations, as the layer that made it left it.

    Flatten and Reshape change its axes only, so (channels, frames) are still known when a linear
    layer asks for channels * frames numbers.
    """

    channels: int
    frames: int
    layer: str
    """That made it; `INPUT` for the network's."""
    axes: tuple[str, ...]

    def sizes(self, clips: int) -> list[int]:
        """Of the axes."""
        of = {CLIP: clips, CHANNELS: self.channels, FRAMES: self.frames, ONE: 1}
        return [of.get(axis, self.channels * self.frames) for axis in self.axes]

    @property
    def place(self) -> int | None:
        """The axis of the frames; of a size of 1 where those were squeezed away; None for none.

        None also where channels are not the axis behind the clips: convolutions want them there.
        """
        if self.axes[:2] != (CLIP, CHANNELS):
            return None
        if FRAMES in self.axes:
            return self.axes.index(FRAMES)
        return 2 if self.frames == 1 and len(self.axes) > 2 else None


@dataclass(frozen=True, slots=True)
class _Constant:
    """A constant that is still packed: its shape is known, its values are not."""

    tensor: onnx.TensorProto
    scale: onnx.TensorProto | None = None
    zero: onnx.TensorProto | None = None
    axis: int = 1
    """Of a scale for each row or column."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.dims)

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for equal values: several nodes may share a tensor."""
        return (id(self.tensor), id(self.scale), id(self.zero), self.axis)


@dataclass(frozen=True, slots=True)
class _Matrix:
    """What is known of a 1x1's entries: which are not zero, if it is ternary."""

    mask: npt.NDArray[np.bool_] | None
    scaled: bool
    """Entries are -s, 0, +s with another s than 1, of the matrix or of each row."""


def import_onnx(
    path: Path | str, *, frames: int | None = None, notes: list[str] | None = None
) -> Workload:
    """Read the layers of an ONNX file.

    Args:
        path: the file.
        frames: of the input, where the file leaves them open (a dynamic axis); they also override
            a length that the file has.
        notes: gets a sentence for each thing that is read otherwise than it stands there.

    Raises:
        InvalidFile: the file cannot be read, or has an operator or a shape that is none of ours; it
            is named with its node and the nearest that is supported.
    """
    path = Path(path)
    model = _load(path)
    reader = _Reader(model.graph, path)
    workload = reader.workload(frames)
    if notes is not None:
        notes += reader.notes
    return workload


def _load(path: Path) -> onnx.ModelProto:
    try:
        if path.exists() and not path.is_file():
            raise InvalidFile(f"{path} is no regular file: name an ONNX file")
        if path.stat().st_size > MAX_BYTES:
            raise InvalidFile(f"{path} is too large: an ONNX file has at most {MAX_BYTES:,} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise InvalidFile(f"{path} cannot be read: {(error.strerror or '').lower()}") from None
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise InvalidFile(f"{path} is no ONNX file, or damaged") from None
    if not model.graph.node:
        raise InvalidFile(f"{path} is no ONNX file, or has no nodes")
    if len(model.graph.node) > MAX_NODES:
        raise InvalidFile(f"{path} has more than {MAX_NODES:,} nodes")
    return model


class _Reader:
    """Goes through a graph in order; ONNX sorts nodes topologically."""

    def __init__(self, graph: onnx.GraphProto, path: Path) -> None:
        self.graph, self.path = graph, path
        self.constants = {tensor.name: _Constant(tensor) for tensor in graph.initializer}
        self.values: dict[str, _Value] = {}
        self.layers: list[Layer] = []
        self.place_of: dict[str, int] = {INPUT: -1}  # layers by name; a node may be called `input`
        self.readers = Counter(name for node in graph.node for name in node.input)
        self.readers.update(output.name for output in graph.output)
        self.matrices: dict[tuple[int, ...], _Matrix] = {}
        self.unpacked = 0
        self.clips = 1
        self.notes: list[str] = []
        self.in_floats = 0

    def workload(self, frames: int | None) -> Workload:
        """All layers, in the order of the nodes.

        Args:
            frames: of the input; None for what the file says.

        Raises:
            InvalidFile: with the node that cannot be read. Whatever a damaged node makes an
                operator's reader stumble over (an index, a type) becomes this error, too.
        """
        inputs = [each for each in self.graph.input if each.name not in self.constants]
        if len(inputs) != 1:
            raise InvalidFile(f"{self.path} has {len(inputs)} inputs: a workload has one")
        self.values[inputs[0].name] = self._input(inputs[0], frames)
        for node in self.graph.node:
            self._node(node)
        if self.in_floats:
            self.notes.append(
                "weights in floats are priced as if they were quantised to 8 bits (layers: "
                f"{self.in_floats})"
            )
        try:
            return Workload(self.path.stem, tuple(self.layers))
        except InvalidInput as error:
            raise InvalidFile(f"{error} ({self.path})") from None

    def _node(self, node: onnx.NodeProto) -> None:
        kind = node.op_type
        if kind not in _OPERATORS or node.domain not in ("", "ai.onnx"):
            raise self.error(node, f"is not supported: {_supported(kind)}")
        if not node.output or not (node.input or kind == "Constant"):
            raise self.error(node, "has no inputs, or no outputs")
        for output in node.output:
            if output and (output in self.values or output in self.constants):
                raise self.error(node, f"writes {short(output)}, which is written before")
        try:
            _OPERATORS[kind](self, node)
        except InvalidFile:
            raise
        except InvalidInput as error:
            raise self.error(node, f"cannot be read: {error}") from None
        except (IndexError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise self.error(
                node, "cannot be read: its inputs and attributes do not fit together"
            ) from None
        if not self.readers[node.output[0]]:
            self.notes.append(
                f"{_plain(node.name or node.output[0])} makes what nobody reads: it is counted"
            )

    def error(self, node: onnx.NodeProto, problem: str) -> InvalidFile:
        """`node 'x' (LSTM) <problem> (file)`."""
        name = node.name or (node.output[0] if node.output else "?")
        return InvalidFile(
            f"node '{_plain(name)}' ({_plain(node.op_type)}) {problem} ({self.path})"
        )

    def _input(self, given: onnx.ValueInfoProto, frames: int | None) -> _Value:
        dims = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
        name = short(given.name)
        if len(dims) not in (3, 4):
            raise InvalidFile(
                f"input {name} has {len(dims)} dimensions: a 1-D network takes clips, channels, "
                f"frames ({self.path})"
            )
        # The first dimension is the batch: one clip is priced, whatever it says. A dynamic length
        # reads as 0.
        self.clips = max(dims[0], 1)
        if self.clips > 1:
            self.notes.append(f"the input is a batch of {self.clips:,} clips: one clip is counted")
        axes: tuple[str, ...] = (CLIP, CHANNELS, FRAMES)
        if len(dims) == 4:
            if 1 not in dims[2:]:
                raise InvalidFile(
                    f"input {name} has two dimensions of space: networks of one are "
                    f"supported ({self.path})"
                )
            axes = (CLIP, CHANNELS, ONE, FRAMES) if dims[2] == 1 else (CLIP, CHANNELS, FRAMES, ONE)
        channels, length = dims[1], frames or dims[axes.index(FRAMES)]
        if channels < 1 or length < 1:
            raise InvalidFile(
                f"input {name} leaves its size open: give the frames with --frames ({self.path})"
            )
        if channels * length >= MAX_SIZE:
            raise InvalidFile(
                f"input {name} has {channels:,} x {length:,} numbers: fewer than {MAX_SIZE:,} are "
                f"read ({self.path})"
            )
        return _Value(channels, length, INPUT, axes)

    def value(self, node: onnx.NodeProto, index: int = 0) -> _Value:
        """A tensor of activations that a node reads: the network's input, or of a node before.

        Raises:
            InvalidFile: the tensor is a constant, or nothing has made it.
        """
        name = _read_name(node, index)
        if name not in self.values:
            raise self.error(node, f"reads {short(name)}, which is no tensor of activations")
        return self.values[name]

    def constant(self, node: onnx.NodeProto, index: int) -> _Constant:
        """A constant that a node reads, packed as it is in the file.

        Its size is checked here, before anything is unpacked: a damaged file may claim terabytes.

        Raises:
            InvalidFile: the tensor is none, is too large, or lies in another file.
        """
        name = _read_name(node, index)
        found = self.constants.get(name)
        if found is None:
            raise self.error(node, f"reads {short(name)}, which is no constant")
        if any(dim < 0 for dim in found.shape) or prod(found.shape) > MAX_ELEMENTS:
            raise self.error(node, f"reads a constant of more than {MAX_ELEMENTS:,} numbers")
        if found.tensor.data_location == TensorProto.EXTERNAL:
            raise self.error(node, "has weights in another file: save the model as one file")
        return found

    def unpack(self, node: onnx.NodeProto, constant: _Constant) -> npt.NDArray[Any]:
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
        options = _attributes(node)
        if name in options:
            return [int(each) for each in options[name]]
        if not _has(node, index):
            return None
        constant = self.constant(node, index)
        if prod(constant.shape) > 16:
            raise self.error(node, f"has more than 16 {name}")
        return [int(each) for each in self.unpack(node, constant).reshape(-1)]

    def add(self, node: onnx.NodeProto, kind: LayerKind, like: _Value, **other: Any) -> None:
        """Append a layer that makes the node's first output of a tensor.

        Args:
            node: names the layer.
            kind: of the layer.
            like: what it reads; its shape comes out again.
            other: fields of the layer that differ from that, and `axes` of what comes out.
        """
        axes = other.pop("axes", like.axes)
        size = {"in_channels": like.channels, "in_frames": like.frames, "reads": (like.layer,)}
        size |= {"out_channels": like.channels, "out_frames": like.frames}
        layer = Layer(name=self.name(node), kind=kind, **(size | other))  # type: ignore[arg-type]
        if layer.out_channels * layer.out_frames >= MAX_SIZE or layer.macs >= MAX_MACS:
            raise self.error(node, f"is too large: it makes {MAX_SIZE:,} numbers or more")
        self.place_of[layer.name] = len(self.layers)
        self.layers.append(layer)
        self.values[node.output[0]] = _Value(layer.out_channels, layer.out_frames, layer.name, axes)

    def name(self, node: onnx.NodeProto) -> str:
        """A distinct name for the node's layer: ONNX asks for distinct tensors, not nodes."""
        name = _plain(node.name or node.output[0])
        return name if name not in self.place_of else f"{name}#{len(self.layers)}"

    def made_by(self, value: _Value) -> Layer | None:
        """The layer that made a tensor; None for the network's input."""
        place = self.place_of[value.layer]
        return None if place < 0 else self.layers[place]

    def alone(self, node: onnx.NodeProto, index: int = 0) -> bool:
        """Whether nobody else reads what a node reads: only then can the two be merged."""
        return self.readers[node.input[index]] == 1


def _plain(name: str | bytes) -> str:
    """A name for tables and messages: printable, of bounded length.

    Protobuf gives a name that is no UTF-8 as bytes.
    """
    letters = name if isinstance(name, str) else name.decode("ascii", "replace")
    text = "".join(each if each.isprintable() else "?" for each in letters[:LONGEST_NAME])
    return text if len(letters) <= LONGEST_NAME else f"{text}..."


def _has(node: onnx.NodeProto, index: int) -> bool:
    """Whether a node has an optional input: an empty name stands for one that is left out."""
    return len(node.input) > index and node.input[index] != ""


def _read_name(node: onnx.NodeProto, index: int) -> str:
    return str(node.input[index]) if index < len(node.input) else ""


def _supported(kind: str) -> str:
    close = difflib.get_close_matches(kind[:LONGEST_NAME], _OPERATORS, n=1)
    nearest = _NEAREST.get(kind) or (close[0] if close else None)
    listed = ", ".join(sorted(_OPERATORS))
    return f"the nearest supported is {nearest}" if nearest else f"supported are {listed}"


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


# ---- layers with weights ----


def _convolution(reader: _Reader, node: onnx.NodeProto) -> None:
    read, weights, options = reader.value(node), reader.constant(node, 1), _attributes(node)
    if read.place is None:
        raise reader.error(
            node, f"reads a tensor of {', '.join(read.axes)}: it must be clips, channels, frames"
        )
    place, kernel = read.place - 2, list(weights.shape[2:])
    if len(kernel) != len(read.axes) - 2 or any(
        size != 1 for at, size in enumerate(kernel) if at != place
    ):
        raise reader.error(node, f"has a kernel of {kernel}: supported are those of one dimension")
    taps = kernel[place]
    stride = _along(reader, node, "strides", len(kernel))[place]
    dilation = _along(reader, node, "dilations", len(kernel))[place]
    padding = _padding(reader, node, len(kernel), place)
    span = dilation * (taps - 1) + 1
    # "Same": as many frames as strides begin in, however many pads that takes.
    after = (
        -(-read.frames // stride)
        if padding is None
        else (read.frames + padding - span) // stride + 1
    )
    groups = int(options.get("group", 1))
    if taps < 1 or groups < 1:
        raise reader.error(node, f"has a kernel of {taps} taps and {groups} groups: from 1 on")
    # Weights are (outputs, inputs / groups, taps).
    if weights.shape[1] * groups != read.channels:
        raise reader.error(
            node, f"takes {weights.shape[1] * groups} channels, and gets {read.channels}"
        )
    outputs = weights.shape[0]
    kind = LayerKind.POINTWISE if taps == 1 else LayerKind.CONVOLUTION
    if groups == read.channels == outputs and groups > 1:
        kind = LayerKind.DEPTHWISE
    more: dict[str, Any] = {"weights": WeightSource.TRAINED, "weight_bits": _bits(reader, weights)}
    if kind is LayerKind.POINTWISE and groups == 1:
        more = _ternary(reader, node, weights) or more
    if more["weights"] is WeightSource.TRAINED and weights.scale is None:
        reader.in_floats += 1
    reader.add(
        node,
        kind,
        read,
        out_channels=outputs,
        out_frames=after,
        kernel_size=taps,
        stride=stride,
        dilation=dilation,
        groups=groups,
        bias=_has(node, 2),
        **more,
    )


def _along(reader: _Reader, node: onnx.NodeProto, name: str, axes: int) -> list[int]:
    """An attribute of a whole number for each axis of space, 1 where it is left out."""
    found = [int(each) for each in _attributes(node).get(name, [1] * axes)]
    if len(found) != axes or min(found) < 1:
        raise reader.error(node, f"has {name} of {found[:8]}: {axes} numbers from 1 on are needed")
    return found


def _padding(reader: _Reader, node: onnx.NodeProto, axes: int, place: int) -> int | None:
    """Frames put in before and behind, together; None for as many as keep all frames ("same")."""
    options = _attributes(node)
    auto = options.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        return None
    if auto not in (b"NOTSET", b"VALID"):
        raise reader.error(node, "has an auto_pad that is unknown: write its pads")
    pads = [int(each) for each in options.get("pads", [0] * 2 * axes)]
    if len(pads) != 2 * axes or min(pads) < 0:
        raise reader.error(node, f"has pads of {pads[:8]}: {2 * axes} numbers from 0 on are needed")
    # ONNX lists all begins, then all ends: (x1_begin, x2_begin, x1_end, x2_end).
    padding = pads[place] + pads[place + axes]
    if sum(pads) != padding:
        raise reader.error(node, "pads an axis of size 1: layers have one dimension")
    return 0 if auto == b"VALID" else padding


def _bits(reader: _Reader, weights: _Constant) -> int:
    """Bits of a weight, as it is stored; 8 of one that is stored as a float."""
    return 8 if weights.scale is None else _BITS.get(weights.tensor.data_type, 8)


def _ternary(reader: _Reader, node: onnx.NodeProto, weights: _Constant) -> dict[str, Any] | None:
    """Fields of a ternary matrix; None where the entries of a 1x1 are others."""
    if weights.key not in reader.matrices:
        reader.matrices[weights.key] = _matrix(reader.unpack(node, weights))
    found = reader.matrices[weights.key]
    if found.mask is None:
        return None
    if found.scaled:
        reader.notes.append(
            f"{_plain(node.name or node.output[0])} has entries of -s, 0 and +s in each row: it is "
            "read as ternary, s goes into the quantisation of its outputs"
        )
    # A bit an entry, row by row: rows are output channels, which skipping of zeros runs side by
    # side (`cost_models.latency.row_nonzeros` unpacks it).
    return {
        "weights": WeightSource.GENERATED,
        "nonzeros": int(found.mask.sum()),
        "nonzero_mask": np.packbits(found.mask).tobytes(),
        "weight_bits": 2,
    }


def _matrix(weights: npt.NDArray[Any]) -> _Matrix:
    """Whether all entries of each row are equal but for their sign, or 0."""
    size = np.abs(weights.reshape(weights.shape[0], -1))
    row = size.max(axis=1, keepdims=True, initial=0)
    if not ((size == 0) | (size == row)).all():
        return _Matrix(None, False)
    scaled = not np.isin(row, (0, 1)).all()
    if scaled and size.shape[1] < LEAST_INPUTS:
        return _Matrix(None, False)
    return _Matrix(size.reshape(-1) != 0, scaled)


def _linear(reader: _Reader, node: onnx.NodeProto) -> None:
    read, weights, options = reader.value(node), reader.constant(node, 1), _attributes(node)
    numbers = read.channels * read.frames
    if read.axes == (CLIP, FRAMES, CHANNELS) and node.op_type == "MatMul":
        _linear_of_frames(reader, node, read, weights)
        return
    if [size for size in read.sizes(1) if size > 1] not in ([], [numbers]):
        raise reader.error(
            node, f"reads a tensor of {', '.join(read.axes)}: put a Flatten before it"
        )
    if options.get("transA", 0):
        raise reader.error(node, "has transA: the activations must be its rows")
    if len(weights.shape) != 2:
        raise reader.error(node, f"has weights of {len(weights.shape)} dimensions: two are read")
    # Weights stand on the right, (inputs, outputs); with transB they are (outputs, inputs), as
    # PyTorch keeps them.
    outputs, inputs = weights.shape if options.get("transB", 0) else weights.shape[::-1]
    if inputs != numbers:
        raise reader.error(node, f"takes {inputs} numbers, and gets {numbers}")
    reader.in_floats += weights.scale is None
    reader.add(
        node,
        LayerKind.LINEAR,
        read,
        in_channels=inputs,
        out_channels=outputs,
        in_frames=1,
        out_frames=1,
        weights=WeightSource.TRAINED,
        weight_bits=_bits(reader, weights),
        bias=node.op_type == "Gemm" and _has(node, 2),
        axes=(CLIP, CHANNELS),
    )


def _linear_of_frames(
    reader: _Reader, node: onnx.NodeProto, read: _Value, weights: _Constant
) -> None:
    """A matrix product over the channels of each frame: a 1x1 convolution, transposed."""
    if len(weights.shape) != 2 or weights.shape[0] != read.channels:
        raise reader.error(
            node, f"takes a matrix of {list(weights.shape)}, and gets {read.channels} channels"
        )
    reader.in_floats += weights.scale is None
    reader.add(
        node,
        LayerKind.POINTWISE,
        read,
        out_channels=weights.shape[1],
        weights=WeightSource.TRAINED,
        weight_bits=_bits(reader, weights),
    )


# ---- layers without ----


def _batch_norm(reader: _Reader, node: onnx.NodeProto) -> None:
    read, before = reader.value(node), reader.made_by(reader.value(node))
    gains = prod(reader.constant(node, 1).shape)
    if read.axes[1:2] != (CHANNELS,) or gains != read.channels:
        raise reader.error(node, f"has {gains:,} gains for {read.channels:,} channels")
    if _attributes(node).get("training_mode", 0):
        raise reader.error(node, "is in training mode: export the network for inference")
    # A batch norm goes into trained weights for nothing (w * scale, b + offset). Into a ternary
    # matrix it cannot: the entries would not be -1, 0, +1 any more, so it stays and is priced. Nor
    # where somebody else reads what comes before it.
    folded = before is not None and before.weights is WeightSource.TRAINED and reader.alone(node)
    reader.add(node, LayerKind.BATCH_NORM, read, folded=folded)


def _same(kind: LayerKind) -> Callable[[_Reader, onnx.NodeProto], None]:
    def read_node(reader: _Reader, node: onnx.NodeProto) -> None:
        reader.add(node, kind, reader.value(node))

    return read_node


def _add(reader: _Reader, node: onnx.NodeProto) -> None:
    constants = [index for index in (0, 1) if _read_name(node, index) in reader.constants]
    if constants:
        _add_constant(reader, node, 1 - constants[0], constants[0])
        return
    first, second = reader.value(node, 0), reader.value(node, 1)
    if first.sizes(1) != second.sizes(1) or first.channels != second.channels:
        raise reader.error(node, "adds tensors of different shapes")
    reader.add(node, LayerKind.RESIDUAL_ADD, first, reads=(first.layer, second.layer))


def _add_constant(reader: _Reader, node: onnx.NodeProto, index: int, constant: int) -> None:
    """A bias that stands behind its layer, as MatMul has it; or the offset of a batch norm."""
    read, before = reader.value(node, index), reader.made_by(reader.value(node, index))
    dims = list(reader.constant(node, constant).shape)
    axis = read.axes.index(CHANNELS) if CHANNELS in read.axes else 0
    # Sizes are compared from the last axis on, as ONNX does: a bias of (channels, frames) has a
    # one for the frames.
    along = [1] * (len(read.axes) - len(dims)) + dims
    of_channels = len(along) == len(read.axes) and all(
        size == (read.channels if at == axis else 1) for at, size in enumerate(along)
    )
    kinds = (*CONVOLUTIONS, LayerKind.BATCH_NORM)
    if before is None or before.kind not in kinds or not (of_channels or prod(dims) == 1):
        raise reader.error(
            node, f"adds a constant of {dims}, which is no bias of a layer with weights before it"
        )
    if not reader.alone(node, index):
        raise reader.error(node, "adds a constant to what another node reads without it")
    if before.kind in CONVOLUTIONS and not before.bias:
        reader.layers[reader.place_of[before.name]] = dataclasses.replace(before, bias=True)
    else:
        reader.notes.append(
            f"{_plain(node.name or node.output[0])} adds a constant: it goes into the offsets that "
            f"{before.name} has already"
        )
    reader.values[node.output[0]] = read


def _pool(reader: _Reader, node: onnx.NodeProto) -> None:
    read, options = reader.value(node), _attributes(node)
    place = read.place
    if place is None:
        raise reader.error(
            node, f"reads a tensor of {', '.join(read.axes)}: it must be clips, channels, frames"
        )
    axes, gone = read.axes, set[int]()
    if node.op_type == "AveragePool":
        kernel = [int(each) for each in options["kernel_shape"]]
        if kernel != read.sizes(1)[2:] or _padding(reader, node, len(kernel), place - 2) != 0:
            raise reader.error(node, "averages over part of the frames: over all is supported")
    elif node.op_type == "ReduceMean":
        given = reader.numbers(node, "axes", 1)
        if not given and options.get("noop_with_empty_axes", 0):
            reader.values[node.output[0]] = read
            return
        rank = len(axes)
        over = {each % rank for each in given} if given else set(range(rank))
        sizes = read.sizes(reader.clips)
        wrong = [axes[each] for each in over if axes[each] in (CLIP, CHANNELS) and sizes[each] > 1]
        if wrong or (read.frames > 1 and place not in over):
            shown = ", ".join(axes[each] for each in sorted(over))
            raise reader.error(
                node, f"averages over {shown}: over all frames, and nothing else, is supported"
            )
        gone = set() if options.get("keepdims", 1) else over
    kept = tuple(axis for at, axis in enumerate(axes) if at not in gone)
    reader.add(node, LayerKind.AVERAGE_POOL, read, out_frames=1, axes=kept)


# ---- no layers: other names, other axes ----


def _rename(reader: _Reader, node: onnx.NodeProto) -> None:
    name = _read_name(node, 0)
    if name in reader.constants:
        reader.constants[node.output[0]] = reader.constants[name]
    else:
        reader.values[node.output[0]] = reader.value(node)


def _quantise(reader: _Reader, node: onnx.NodeProto) -> None:
    if _read_name(node, 0) in reader.constants:
        raise reader.error(node, "quantises a constant: save it quantised")
    zero = reader.constants.get(_read_name(node, 2))
    bits = 8 if zero is None else _BITS.get(zero.tensor.data_type, 8)
    note = f"activations of {bits} bits are counted as 8"
    if bits != 8 and note not in reader.notes:
        reader.notes.append(note)
    _rename(reader, node)


def _dequantise(reader: _Reader, node: onnx.NodeProto) -> None:
    """Weights of a quantised graph are integers, a scale and a zero point."""
    name = _read_name(node, 0)
    if name not in reader.constants:
        _rename(reader, node)
        return
    whole, scale = reader.constant(node, 0), reader.constant(node, 1)
    axis = int(_attributes(node).get("axis", 1))
    if whole.scale is not None or int(_attributes(node).get("block_size", 0)):
        raise reader.error(node, "has scales in blocks, or twice: one for all or for each row")
    zero = reader.constant(node, 2) if _has(node, 2) else None
    rank = len(whole.shape)
    for each in (scale, zero):
        count = 1 if each is None else prod(each.shape)
        if count != 1 and not (-rank <= axis < rank and count == whole.shape[axis]):
            raise reader.error(node, f"has {count:,} scales or zero points for an axis of another")
    reader.constants[node.output[0]] = _Constant(
        whole.tensor, scale.tensor, None if zero is None else zero.tensor, axis
    )


def _squeeze(reader: _Reader, node: onnx.NodeProto) -> None:
    if _read_name(node, 0) in reader.constants:
        raise reader.error(node, "changes the shape of a constant: save it in the other shape")
    read, given = reader.value(node), reader.numbers(node, "axes", 1)
    sizes, rank = read.sizes(reader.clips), len(read.axes)
    over = {each % rank for each in given} if given else {n for n in range(rank) if sizes[n] == 1}
    if any(sizes[each] > 1 for each in over):
        raise reader.error(node, f"squeezes an axis of more than 1, of {sizes}")
    kept = tuple(axis for at, axis in enumerate(read.axes) if at not in over)
    reader.values[node.output[0]] = dataclasses.replace(read, axes=kept)


def _unsqueeze(reader: _Reader, node: onnx.NodeProto) -> None:
    if _read_name(node, 0) in reader.constants:
        raise reader.error(node, "changes the shape of a constant: save it in the other shape")
    read, given = reader.value(node), reader.numbers(node, "axes", 1) or []
    rank = len(read.axes) + len(given)
    places = {each % rank for each in given}
    if rank > 6 or len(places) != len(given):
        raise reader.error(node, f"puts in the axes {given[:8]}, which are too many or double")
    old = iter(read.axes)
    axes = tuple(ONE if at in places else next(old) for at in range(rank))
    reader.values[node.output[0]] = dataclasses.replace(read, axes=axes)


def _transpose(reader: _Reader, node: onnx.NodeProto) -> None:
    if _read_name(node, 0) in reader.constants:
        raise reader.error(node, "changes the shape of a constant: save it in the other shape")
    read = reader.value(node)
    rank = len(read.axes)
    order = [int(each) for each in _attributes(node).get("perm", range(rank)[::-1])]
    if sorted(order) != list(range(rank)):
        raise reader.error(node, f"has a perm of {order[:8]}, which is no order of {rank} axes")
    axes = tuple(read.axes[each] for each in order)
    reader.values[node.output[0]] = dataclasses.replace(read, axes=axes)


def _flatten(reader: _Reader, node: onnx.NodeProto) -> None:
    read, axis = reader.value(node), int(_attributes(node).get("axis", 1))
    if axis % max(len(read.axes), 1) != 1 or read.axes[:1] != (CLIP,):
        raise reader.error(node, f"flattens from axis {axis} on: all but the clips is supported")
    _check_order(reader, node, read)
    reader.values[node.output[0]] = dataclasses.replace(read, axes=(CLIP, FLAT))


def _check_order(reader: _Reader, node: onnx.NodeProto, read: _Value) -> None:
    """Raise `InvalidFile` where channels and frames become one axis with the frames first."""
    large = [axis for axis, size in zip(read.axes, read.sizes(1), strict=True) if size > 1]
    if large == [FRAMES, CHANNELS]:
        raise reader.error(node, "makes frames and channels one axis, the frames first")


def _reshape(reader: _Reader, node: onnx.NodeProto) -> None:
    if _read_name(node, 0) in reader.constants:
        raise reader.error(node, "changes the shape of a constant: save it in the other shape")
    read, wanted = reader.value(node), reader.numbers(node, "shape", 1) or []
    old = read.sizes(reader.clips)
    if not _attributes(node).get("allowzero", 0):
        wanted = [old[at] if size == 0 else size for at, size in enumerate(wanted)]
    known = prod(size for size in wanted if size != -1)
    if wanted.count(-1) == 1 and known and prod(old) % known == 0:
        wanted = [prod(old) // known if size == -1 else size for size in wanted]
    _check_order(reader, node, read)
    axes = _axes_of(wanted, read, reader.clips) if prod(wanted) == prod(old) else None
    if axes is None:
        raise reader.error(
            node, f"makes {wanted[:8]} of {old}: channels and frames must stay, or become one axis"
        )
    reader.values[node.output[0]] = dataclasses.replace(read, axes=axes)


def _axes_of(sizes: list[int], read: _Value, clips: int) -> tuple[str, ...] | None:
    """What the axes of a new shape are; None where they are none of the old ones, in order."""
    if sizes == [read.channels * read.frames] and clips == 1:
        return (FLAT,)
    if len(sizes) < 2 or sizes[0] != clips:
        return None
    rest = sizes[1:]
    if rest == [read.channels * read.frames]:
        return (CLIP, FLAT)
    if rest[0] != read.channels or prod(rest[1:]) != read.frames:
        return None
    others = [FRAMES if size == read.frames > 1 else ONE for size in rest[1:]]
    return (CLIP, CHANNELS, *others)


def _constant(reader: _Reader, node: onnx.NodeProto) -> None:
    options = _attributes(node)
    value = options.get("value")
    for name, kind in _NUMBERS.items():
        if value is None and name in options:
            numbers = options[name] if name.endswith("s") else [options[name]]
            value = helper.make_tensor("", kind, [len(numbers)], numbers)
    if not isinstance(value, onnx.TensorProto):
        raise reader.error(node, "is no tensor of numbers")
    reader.constants[node.output[0]] = _Constant(value)


_NUMBERS = {
    "value_int": TensorProto.INT64,
    "value_ints": TensorProto.INT64,
    "value_float": TensorProto.FLOAT,
    "value_floats": TensorProto.FLOAT,
}
"""Attributes of a Constant that are no tensors."""

_OPERATORS: MappingProxyType[str, Callable[[_Reader, onnx.NodeProto], None]] = MappingProxyType(
    {
        "Conv": _convolution,
        "Gemm": _linear,
        "MatMul": _linear,
        "BatchNormalization": _batch_norm,
        "Relu": _same(LayerKind.ACTIVATION),
        "Clip": _same(LayerKind.ACTIVATION),
        "Softmax": _same(LayerKind.SOFTMAX),
        "LogSoftmax": _same(LayerKind.SOFTMAX),
        "ArgMax": _same(LayerKind.ARGMAX),
        "Add": _add,
        "GlobalAveragePool": _pool,
        "AveragePool": _pool,
        "ReduceMean": _pool,
        "Constant": _constant,
        "Identity": _rename,
        "Dropout": _rename,
        "QuantizeLinear": _quantise,
        "DequantizeLinear": _dequantise,
        "Squeeze": _squeeze,
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
        "Flatten": _flatten,
        "Reshape": _reshape,
    }
)
