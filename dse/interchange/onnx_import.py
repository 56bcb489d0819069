"""ONNX graphs, of one dimension and of two, read as a workload: shapes and counts.

    onnx_graph      tensors of the graph, and what may be asked of them
    onnx_layers     operators that become one layer: Conv, MatMul, BatchNormalization, Add, ...
    onnx_windows    kernels over frames and bins
    onnx_shapes     operators that become none: Flatten, Reshape, QuantizeLinear, ...

Nodes are read in order, each by the function that `_OPERATORS` has for its operator. Shapes
are not taken from the file's `value_info`, which exporters may leave out: they follow from the
input's shape and the weights', node by node.

The file is data: nothing in it is executed, external files are not opened, and a constant is
unpacked only where its values matter. All is linear in the number of nodes. Needs `onnx`.
"""

import difflib
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from cost_models.content import read_content
from cost_models.workload import LayerKind, Workload
from dse.errors import InvalidFile, InvalidInput, short
from dse.interchange import onnx_layers, onnx_shapes
from dse.interchange.onnx_graph import LONGEST_NAME, Reader, plain

MAX_BYTES = 256_000_000
MAX_NODES = 20_000

_NEAREST = {
    "LSTM": "Conv",
    "GRU": "Conv",
    "RNN": "Conv",
    "ConvTranspose": "Conv",
    "Attention": "Conv",
    "QLinearConv": "Conv, quantised as QuantizeLinear and DequantizeLinear around it",
    "ConvInteger": "Conv, quantised as QuantizeLinear and DequantizeLinear around it",
    "LayerNormalization": "BatchNormalization",
    "InstanceNormalization": "BatchNormalization",
    "GroupNormalization": "BatchNormalization",
    "Sub": "Add",
}


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
    reader = Reader(model.graph, path)
    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if max(versions, default=0) > (known := onnx.defs.onnx_opset_version()):
        reader.notes.append(
            f"opset {max(versions)} is later than the onnx package knows: operators are read as of "
            f"opset {known}"
        )
    workload = _workload(reader, frames)
    if notes is not None:
        notes += reader.notes
    return workload


def _load(path: Path) -> onnx.ModelProto:
    content = read_content(path, MAX_BYTES, "an ONNX file")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        raise InvalidFile(f"{path} is no ONNX file, or damaged") from None
    if not model.graph.node:
        raise InvalidFile(f"{path} is no ONNX file, or has no nodes")
    if len(model.graph.node) > MAX_NODES:
        raise InvalidFile(f"{path} has more than {MAX_NODES:,} nodes")
    return model


def _workload(reader: Reader, frames: int | None) -> Workload:
    """All layers, in the order of the nodes.

    Args:
        reader: of the graph; nothing has been read yet.
        frames: of the input; None for what the file says.

    Raises:
        InvalidFile: with the node that cannot be read. Whatever a damaged node makes an
            operator's reader stumble over (an index, a type) becomes this error, too.
    """
    inputs = [each for each in reader.graph.input if each.name not in reader.constants]
    if len(inputs) != 1:
        raise InvalidFile(f"{reader.path} has {len(inputs)} inputs: a workload has one")
    reader.values[inputs[0].name] = reader.input(inputs[0], frames)
    for node in reader.graph.node:
        _read_node(reader, node)
    for output in reader.graph.output:
        if output.name not in reader.values and output.name not in reader.constants:
            raise InvalidFile(
                f"the output {short(output.name)} is made by no node: the graph is cut off "
                f"({reader.path})"
            )
    if reader.in_floats:
        reader.notes.append(
            "weights in floats are priced as if they were quantised to 8 bits (layers: "
            f"{reader.in_floats})"
        )
    try:
        return reader.workload(reader.path.stem)
    except InvalidInput as error:
        raise InvalidFile(f"{error} ({reader.path})") from None


def _read_node(reader: Reader, node: onnx.NodeProto) -> None:
    kind = node.op_type
    if node.domain not in ("", "ai.onnx"):
        raise reader.error(
            node,
            f"is of {plain(node.domain)}, whose operators are not supported: export with those of "
            "ONNX alone",
        )
    if kind not in _OPERATORS:
        raise reader.error(node, f"is not supported: {_supported(kind)}")
    if not node.output or not (node.input or kind == "Constant"):
        raise reader.error(node, "has no inputs, or no outputs")
    for output in node.output:
        if output and (output in reader.values or output in reader.constants):
            raise reader.error(node, f"writes {short(output)}, which is written before")
    try:
        _OPERATORS[kind](reader, node)
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise reader.error(node, f"cannot be read: {error}") from None
    except (IndexError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise reader.error(
            node, "cannot be read: its inputs and attributes do not fit together"
        ) from None
    if not reader.readers[node.output[0]]:
        reader.notes.append(
            f"{plain(node.name or node.output[0])} makes what nobody reads: it is counted"
        )


def _supported(kind: str) -> str:
    close = difflib.get_close_matches(kind[:LONGEST_NAME], _OPERATORS, n=1)
    nearest = _NEAREST.get(kind) or (close[0] if close else None)
    listed = ", ".join(sorted(_OPERATORS))
    return f"the nearest supported is {nearest}" if nearest else f"supported are {listed}"


TABLES = (
    "Celu",
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Mish",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Tanh",
)
"""Functions of one number that are more than a limit."""

_OPERATORS: MappingProxyType[str, Callable[[Reader, onnx.NodeProto], None]] = MappingProxyType(
    {
        "Conv": onnx_layers.convolution,
        "Gemm": onnx_layers.linear,
        "MatMul": onnx_layers.linear,
        "BatchNormalization": onnx_layers.batch_norm,
        "Relu": onnx_layers.same(LayerKind.ACTIVATION),
        "Clip": onnx_layers.same(LayerKind.ACTIVATION),
        **dict.fromkeys(TABLES, onnx_layers.table),
        "Mul": onnx_layers.multiply,
        "PRelu": onnx_layers.prelu,
        "Concat": onnx_layers.concat,
        "Pad": onnx_shapes.pad,
        "Softmax": onnx_layers.same(LayerKind.SOFTMAX),
        "LogSoftmax": onnx_layers.same(LayerKind.SOFTMAX),
        "ArgMax": onnx_layers.same(LayerKind.ARGMAX),
        "Add": onnx_layers.add,
        "GlobalAveragePool": onnx_layers.pool,
        "AveragePool": onnx_layers.pool,
        "MaxPool": onnx_layers.pool,
        "GlobalMaxPool": onnx_layers.pool,
        "ReduceMean": onnx_layers.reduce,
        "ReduceMax": onnx_layers.reduce,
        "Constant": onnx_shapes.read_constant,
        "Identity": onnx_shapes.rename,
        "Dropout": onnx_shapes.rename,
        "QuantizeLinear": onnx_shapes.quantise,
        "DequantizeLinear": onnx_shapes.dequantise,
        "Squeeze": onnx_shapes.squeeze,
        "Transpose": onnx_shapes.transpose,
        "Unsqueeze": onnx_shapes.unsqueeze,
        "Flatten": onnx_shapes.flatten,
        "Reshape": onnx_shapes.reshape,
    }
)
