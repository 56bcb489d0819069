"""ONNX graphs of 1-D networks, read as a workload: shapes and counts, whoever trained them.

A tensor is (clips, channels, frames), or (clips, channels, frames, 1) and (clips, channels, 1,
frames) of tools that know two dimensions only. A 1x1 convolution whose entries are all -1, 0 or +1
becomes a ternary matrix with its exact count of non-zero entries; nothing says what made it, so
machines that generate matrices refuse it, and machines that store them take two bits each. Weights
of 8 bits otherwise: a graph in floats is priced as if it were quantised.

Each operator becomes one layer (`_OPERATORS`), or none: those that only move or reshape numbers
(Flatten, Reshape, QuantizeLinear, ...) pass the tensor that they read on under a new name. Shapes
are not taken from the file's `value_info`, which exporters may leave out: they follow from the
input's shape and the weights', node by node.

The file is data: nothing in it is executed, external files are not opened. Needs `onnx`.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from cost_models.workload import INPUT, Layer, LayerKind, WeightSource, Workload
from dse.errors import InvalidFile, InvalidInput

MAX_BYTES = 256_000_000
MAX_NODES = 20_000
MAX_ELEMENTS = 50_000_000

_NEAREST = {
    "LSTM": "Conv",
    "GRU": "Conv",
    "RNN": "Conv",
    "ConvTranspose": "Conv",
    "Attention": "Conv",
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


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of activations, as the layer that made it left it.

    Flatten and Reshape leave it as it is, so (channels, frames) are still known when a linear layer
    asks for channels * frames numbers.
    """

    channels: int
    frames: int
    layer: str
    """That made it; `INPUT` for the network's."""
    axis: int = 2
    """Of the frames."""
    rank: int = 3


def import_onnx(path: Path | str, *, frames: int | None = None) -> Workload:
    """Read the layers of an ONNX file.

    Args:
        path: the file.
        frames: of the input, where the file leaves them open (a dynamic axis); they also override
            a length that the file has.

    Raises:
        InvalidFile: the file cannot be read, or has an operator or a shape that is none of ours; it
            is named with its node and the nearest that is supported.
    """
    path = Path(path)
    model = _load(path)
    return _Reader(model.graph, path).workload(frames)


def _load(path: Path) -> onnx.ModelProto:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidFile(f"{path} cannot be read: {(error.strerror or '').lower()}") from None
    if len(content) > MAX_BYTES:
        raise InvalidFile(f"{path} is too large: an ONNX file has at most {MAX_BYTES:,} bytes")
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
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self.values: dict[str, _Value] = {}
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self.layers: list[Layer] = []

    def workload(self, frames: int | None) -> Workload:
        """All layers, in the order of the nodes.

        Args:
            frames: of the input; None for what the file says.

        Raises:
            InvalidFile: with the node that cannot be read. Whatever a damaged node makes an
                operator's reader stumble over (an index, a type) becomes this error, too.
        """
        inputs = [each for each in self.graph.input if each.name not in self.tensors]
        if len(inputs) != 1:
            raise InvalidFile(f"{self.path} has {len(inputs)} inputs: a workload has one")
        self.values[inputs[0].name] = self._input(inputs[0], frames)
        for node in self.graph.node:
            kind = node.op_type
            if kind not in _OPERATORS or node.domain not in ("", "ai.onnx"):
                raise self.error(node, f"is not supported: {_supported(kind)}")
            try:
                _OPERATORS[kind](self, node)
            except InvalidFile:
                raise
            except (InvalidInput, IndexError, ValueError, TypeError, KeyError) as error:
                raise self.error(node, f"cannot be read: {str(error)[:200]}") from None
        try:
            return Workload(self.path.stem, tuple(self.layers))
        except InvalidInput as error:
            raise InvalidFile(f"{error} ({self.path})") from None

    def error(self, node: onnx.NodeProto, problem: str) -> InvalidFile:
        """`node 'x' (LSTM) <problem> (file)`."""
        name = node.name or (node.output[0] if node.output else "?")
        return InvalidFile(f"node {name[:80]!r} ({node.op_type[:80]}) {problem} ({self.path})")

    def _input(self, given: onnx.ValueInfoProto, frames: int | None) -> _Value:
        dims = [dim.dim_value for dim in given.type.tensor_type.shape.dim]
        if len(dims) not in (3, 4):
            raise InvalidFile(
                f"input {given.name!r} has {len(dims)} dimensions: a 1-D network takes clips, "
                f"channels, frames ({self.path})"
            )
        # The first dimension is the batch: one clip is priced, whatever it says. A dynamic length
        # reads as 0.
        channels, axis = dims[1], 2
        if len(dims) == 4:
            if 1 not in dims[2:]:
                raise InvalidFile(
                    f"input {given.name!r} has two dimensions of space: networks of one are "
                    f"supported ({self.path})"
                )
            axis = 3 if dims[2] == 1 else 2
        length = frames or dims[axis]
        if channels < 1 or length < 1:
            raise InvalidFile(
                f"input {given.name!r} leaves its size open: give the frames with --frames "
                f"({self.path})"
            )
        return _Value(channels, length, INPUT, axis, len(dims))

    def value(self, node: onnx.NodeProto, index: int = 0) -> _Value:
        """A tensor of activations that a node reads: the network's input, or of a node before.

        Raises:
            InvalidFile: the tensor is a constant, or nothing has made it.
        """
        name = node.input[index]
        if name not in self.values:
            raise self.error(node, f"reads {name[:80]!r}, which is no tensor of activations")
        return self.values[name]

    def constant(self, node: onnx.NodeProto, index: int) -> npt.NDArray[Any]:
        """A constant that a node reads, as an array; remembered, as several nodes may share it.

        Its size is checked before it is unpacked: a damaged file may claim terabytes.

        Raises:
            InvalidFile: the tensor is none, is too large, or lies in another file.
        """
        name = node.input[index]
        if name in self.constants:
            return self.constants[name]
        tensor = self.tensors.get(name)
        if tensor is None:
            raise self.error(node, f"reads {name[:80]!r}, which is no constant")
        if any(dim < 0 for dim in tensor.dims) or np.prod(tensor.dims, dtype=float) > MAX_ELEMENTS:
            raise self.error(node, f"reads a constant of more than {MAX_ELEMENTS:,} numbers")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise self.error(node, "has weights in another file: save the model as one file")
        found: npt.NDArray[Any] = numpy_helper.to_array(tensor)
        self.constants[name] = found
        return found

    def add(self, node: onnx.NodeProto, kind: LayerKind, like: _Value, **other: Any) -> None:
        """Append a layer that makes the node's first output of a tensor.

        Args:
            node: names the layer.
            kind: of the layer.
            like: what it reads; its shape comes out again.
            other: fields of the layer that differ from that.
        """
        size = {"in_channels": like.channels, "in_frames": like.frames, "reads": (like.layer,)}
        size |= {"out_channels": like.channels, "out_frames": like.frames}
        layer = Layer(name=self.name(node), kind=kind, **(size | other))  # type: ignore[arg-type]
        self.layers.append(layer)
        made = _Value(layer.out_channels, layer.out_frames, layer.name, like.axis, like.rank)
        self.values[node.output[0]] = made

    def name(self, node: onnx.NodeProto) -> str:
        """A distinct name for the node's layer: ONNX asks for distinct tensors, not nodes."""
        name = node.name or node.output[0]
        taken = {layer.name for layer in self.layers}
        return name if name not in taken else f"{name}#{len(self.layers)}"


def _supported(kind: str) -> str:
    close = difflib.get_close_matches(kind, _OPERATORS, n=1)
    nearest = _NEAREST.get(kind) or (close[0] if close else None)
    listed = ", ".join(sorted(_OPERATORS))
    return f"the nearest supported is {nearest}" if nearest else f"supported are {listed}"


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _convolution(reader: _Reader, node: onnx.NodeProto) -> None:
    read, weights, options = reader.value(node), reader.constant(node, 1), _attributes(node)
    place = read.axis - 2
    kernel = list(weights.shape[2:])
    if len(kernel) != read.rank - 2 or any(
        size != 1 for at, size in enumerate(kernel) if at != place
    ):
        raise reader.error(node, f"has a kernel of {kernel}: supported are those of one dimension")
    pads = options.get("pads", [0] * 2 * len(kernel))
    if options.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise reader.error(node, "has auto_pad: write its pads")
    taps = kernel[place]
    stride = options.get("strides", [1] * len(kernel))[place]
    dilation = options.get("dilations", [1] * len(kernel))[place]
    groups = options.get("group", 1)
    # ONNX lists all begins, then all ends: (x1_begin, x2_begin, x1_end, x2_end).
    padded = read.frames + pads[place] + pads[place + len(kernel)]
    after = (padded - dilation * (taps - 1) - 1) // stride + 1
    # Weights are (outputs, inputs / groups, taps).
    if weights.shape[1] * groups != read.channels:
        raise reader.error(
            node, f"takes {weights.shape[1] * groups} channels, and gets {read.channels}"
        )
    outputs = weights.shape[0]
    kind = LayerKind.POINTWISE if taps == 1 else LayerKind.CONVOLUTION
    if groups == read.channels == outputs and groups > 1:
        kind = LayerKind.DEPTHWISE
    ternary = (
        kind is LayerKind.POINTWISE and groups == 1 and bool(np.isin(weights, (-1, 0, 1)).all())
    )
    more: dict[str, Any] = {"weights": WeightSource.TRAINED}
    if ternary:
        # A bit an entry, row by row: rows are output channels, which skipping of zeros runs side by
        # side (`cost_models.latency.row_nonzeros` unpacks it).
        mask = weights.reshape(-1) != 0
        more = {
            "weights": WeightSource.GENERATED,
            "nonzeros": int(mask.sum()),
            "nonzero_mask": np.packbits(mask).tobytes(),
            "weight_bits": 2,
        }
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
        bias=len(node.input) > 2 and node.input[2] != "",
        **more,
    )


def _linear(reader: _Reader, node: onnx.NodeProto) -> None:
    read, weights = reader.value(node), reader.constant(node, 1)
    transposed = bool(_attributes(node).get("transB", 0))
    # Weights stand on the right, (inputs, outputs); with transB they are (outputs, inputs), as
    # PyTorch keeps them.
    outputs, inputs = weights.shape if transposed else weights.shape[::-1]
    if inputs != read.channels * read.frames:
        raise reader.error(node, f"takes {inputs} numbers, and gets {read.channels * read.frames}")
    reader.add(
        node,
        LayerKind.LINEAR,
        read,
        in_channels=inputs,
        out_channels=outputs,
        in_frames=1,
        out_frames=1,
        weights=WeightSource.TRAINED,
        bias=node.op_type == "Gemm" and len(node.input) > 2,
    )


def _same(kind: LayerKind) -> Callable[[_Reader, onnx.NodeProto], None]:
    def read_node(reader: _Reader, node: onnx.NodeProto) -> None:
        read = reader.value(node)
        before = next((each for each in reader.layers if each.name == read.layer), None)
        # A batch norm goes into trained weights for nothing (w * scale, b + offset). Into a ternary
        # matrix it cannot: the entries would not be -1, 0, +1 any more, so it stays and is priced.
        folded = before is not None and before.weights is WeightSource.TRAINED
        reader.add(node, kind, read, folded=kind is LayerKind.BATCH_NORM and folded)

    return read_node


def _add(reader: _Reader, node: onnx.NodeProto) -> None:
    if any(name not in reader.values for name in node.input):  # a bias, done with the layer before
        which = 0 if node.input[0] in reader.values else 1
        reader.values[node.output[0]] = reader.value(node, which)
        return
    first, second = reader.value(node, 0), reader.value(node, 1)
    if (first.channels, first.frames) != (second.channels, second.frames):
        raise reader.error(node, "adds tensors of different shapes")
    reader.add(node, LayerKind.RESIDUAL_ADD, first, reads=(first.layer, second.layer))


def _pool(reader: _Reader, node: onnx.NodeProto) -> None:
    read, options = reader.value(node), _attributes(node)
    if node.op_type == "AveragePool" and options["kernel_shape"][read.axis - 2] != read.frames:
        raise reader.error(node, "averages over part of the frames: over all is supported")
    reader.add(node, LayerKind.AVERAGE_POOL, read, out_frames=1)


def _pass(reader: _Reader, node: onnx.NodeProto) -> None:
    name = node.input[0]
    if name in reader.values:
        reader.values[node.output[0]] = reader.values[name]
        return
    # Weights of a quantised graph are integers and a scale. One scale for all is multiplied in, so
    # that -127, 0 and 127 at 1/127 are seen as ternary. Scales per channel are left out: shapes and
    # zeros are the same without them.
    whole = reader.constant(node, 0)
    if node.op_type == "DequantizeLinear":
        scale = reader.constant(node, 1)
        whole = whole * scale if scale.size == 1 else whole
    reader.constants[node.output[0]] = whole


def _constant(reader: _Reader, node: onnx.NodeProto) -> None:
    value = _attributes(node).get("value")
    if isinstance(value, onnx.TensorProto):
        reader.tensors[node.output[0]] = value


_OPERATORS: MappingProxyType[str, Callable[[_Reader, onnx.NodeProto], None]] = MappingProxyType(
    {
        "Conv": _convolution,
        "Gemm": _linear,
        "MatMul": _linear,
        "BatchNormalization": _same(LayerKind.BATCH_NORM),
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
        **dict.fromkeys(
            (
                "Flatten",
                "Squeeze",
                "Unsqueeze",
                "Reshape",
                "Identity",
                "Dropout",
                "QuantizeLinear",
                "DequantizeLinear",
            ),
            _pass,
        ),
    }
)
