"""A network as an ONNX graph, for runtimes that know nothing of torch.

The graph has the network's layers one for one: Conv, BatchNormalization, Add, Relu,
GlobalAveragePool, Gemm; of two dimensions where the network moves over bins of a frame, too. Batch
norms are not merged here: runtimes do it where they can, and the entries of ternary matrices stay
-1, 0 and +1: as float constants, or as int8 ones that a DequantizeLinear of scale 1 widens, a
quarter of the size. Needs `onnx` (`pip install 'ternary-dse[onnx]'`).
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from dse.errors import InvalidDesign
from dse.files import replacing
from dse.networks.mixed_convolution import Factors, MixedConv1d, Shuffle
from dse.networks.network import PooledHead, ResidualBlock, SpeechNetwork, check_own_skips
from dse.networks.network_2d import PixelBlock, PixelMixer, PixelNetwork
from dse.networks.ternary_convolution import TernaryConv1d

OPSETS = range(17, 28)
"""17 is read by runtimes of 2022 on; 27 is the newest in which onnxruntime 1.32 computes int8, too
(28 has a new DequantizeLinear, which it does not have)."""
OPSET = min(OPSETS[-1], onnx.defs.onnx_opset_version())
"""The newest that the installed onnx knows."""
Ternary = Literal["float", "int8"]

INPUT, OUTPUT = "features", "scores"


def export_onnx(
    network: SpeechNetwork,
    path: Path,
    *,
    in_channels: int,
    opset: int = OPSET,
    ternary: Ternary = "float",
) -> None:
    """Write a network in evaluation mode as ONNX, in one step: the file is whole or not there.

    The graph maps `features` (clips, in_channels, frames), both sizes free, to `scores`
    (clips, outputs), or (clips, outputs, frames) of a framewise head.

    Args:
        network: with the statistics and weights to write.
        path: of the file.
        in_channels: features per frame.
        opset: version of the operators, one of `OPSETS`.
        ternary: how entries of ternary matrices are stored; `float` is read by every runtime and
            every quantiser, `int8` takes a quarter of the bytes for them. The values are the same.

    Raises:
        InvalidDesign: the network has a layer that this export does not know, or the opset is not
            one of them.
        OSError: the file cannot be written.
    """
    model = to_onnx(network, in_channels=in_channels, opset=opset, ternary=ternary)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def to_onnx(
    network: SpeechNetwork, *, in_channels: int, opset: int = OPSET, ternary: Ternary = "float"
) -> onnx.ModelProto:
    """The graph that `export_onnx` writes, checked by `onnx.checker` with its shapes.

    Built node by node from the modules rather than traced: nothing depends on an example input, and
    a layer without a form in ONNX is refused instead of being written as something else.

    Args:
        network: in evaluation mode; batch norms are written with their running statistics.
        in_channels: features per frame.
        opset: one of `OPSETS`; the file says the oldest version of the format that has it, so that
            no runtime refuses it for being newer than it needs to be.
        ternary: as in `export_onnx`.

    Raises:
        InvalidDesign: as `export_onnx`.
    """
    if opset not in OPSETS:
        raise InvalidDesign(f"opset must be from {OPSETS[0]} to {OPSETS[-1]}, not {opset}")
    graph = _Graph(ternary)
    values = INPUT
    if isinstance(network, PixelNetwork):
        values = _as_pixels(graph, in_channels // network.bins, network.bins)
    for name, block in network.blocks.items():
        assert isinstance(block, ResidualBlock | PixelBlock)
        values = _block(graph, name, block, values)
    if isinstance(network.head, PooledHead):
        pooled = graph.add("GlobalAveragePool", [values], "head.pool")
        flat = graph.add("Flatten", [pooled], "head.flat", axis=1)
        weight = graph.constant("head.weight", network.head.linear.weight)
        bias = graph.constant("head.bias", network.head.linear.bias)
        graph.add("Gemm", [flat, weight, bias], OUTPUT, transB=1)
        shape: list[str | int] = ["clips", network.head.linear.out_features]
    else:
        _layer(graph, OUTPUT, network.head, values)
        shape = ["clips", network.head.out_channels, "out_frames"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "speech_network",
            [
                helper.make_tensor_value_info(
                    INPUT, TensorProto.FLOAT, ["clips", in_channels, "frames"]
                )
            ],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
        producer_name="ternary-dse",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants so far; a value is known by its name.

    ONNX has no edges: a node lists names of inputs and outputs, and each name is written once. The
    nodes must stand in an order in which they can be computed, which is the order of `add`.
    """

    def __init__(self, ternary: Ternary) -> None:
        self.ternary = ternary
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node of one output, which it shares its name with; returns that name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Tensor) -> str:
        """Add a constant in float32, of the tensor's shape; returns its name."""
        plain = values.detach().cpu().numpy().astype(np.float32)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(plain), name))
        return name

    def indices(self, name: str, values: Tensor) -> str:
        """Add a constant of whole numbers; returns its name."""
        plain = np.ascontiguousarray(values.numpy().astype(np.int64))
        self.constants.append(numpy_helper.from_array(plain, name))
        return name

    def trits(self, name: str, values: Tensor) -> str:
        """Add a constant of -1, 0 and +1; returns the name of its float form."""
        if self.ternary == "float":
            return self.constant(name, values)
        plain = np.ascontiguousarray(values.detach().cpu().numpy().astype(np.int8))
        self.constants.append(numpy_helper.from_array(plain, f"{name}.int8"))
        # One scale for all: DequantizeLinear is value * scale, and trits stay what they are.
        if "one" not in {constant.name for constant in self.constants}:
            self.constants.append(numpy_helper.from_array(np.array(1, dtype=np.float32), "one"))
        return self.add("DequantizeLinear", [f"{name}.int8", "one"], name)


def _as_pixels(graph: _Graph, channels: int, bins: int) -> str:
    """(clips, features, frames) as (clips, channels, frames, bins); returns the name of that."""
    # 0 is the size that the input has there, and -1 what is left: the frames.
    shape = graph.indices("pixels.shape", torch.tensor([0, channels, bins, -1]))
    apart = graph.add("Reshape", [INPUT, shape], "pixels.apart")
    return graph.add("Transpose", [apart], "pixels", perm=[0, 1, 3, 2])


def _block(graph: _Graph, name: str, block: ResidualBlock | PixelBlock, inputs: str) -> str:
    """The nodes of a residual block; returns the name of its output.

    A skip, where there is one, comes in at the last sub-block, before its ReLU:

        inputs -+-> sub-block -> Relu -> ... -> sub-block -> Add -> Relu ->
                |                                             |
                +-------------------- skip -------------------+
    """
    if isinstance(block, ResidualBlock):
        check_own_skips(block)
    values = inputs
    for index, sub_block in enumerate(block.body):
        assert isinstance(sub_block, nn.Sequential)
        for place, layer in enumerate(sub_block):
            values = _layer(graph, f"{name}.{index}.{place}", layer, values)
        if index == len(block.body) - 1 and block.skip is not None:
            around = inputs
            for place, layer in enumerate(block.skip):
                around = _layer(graph, f"{name}.skip.{place}", layer, around)
            values = graph.add("Add", [values, around], f"{name}.sum")
        values = graph.add("Relu", [values], f"{name}.{index}.relu")
    return values


def _layer(graph: _Graph, name: str, layer: nn.Module, inputs: str) -> str:
    if isinstance(layer, nn.Identity):
        return inputs
    if isinstance(layer, nn.ReLU):
        return graph.add("Relu", [inputs], name)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        assert layer.running_mean is not None and layer.running_var is not None
        statistics = {
            "weight": layer.weight,
            "bias": layer.bias,
            "mean": layer.running_mean,
            "variance": layer.running_var,
        }
        constants = [graph.constant(f"{name}.{key}", value) for key, value in statistics.items()]
        return graph.add("BatchNormalization", [inputs, *constants], name, epsilon=layer.eps)
    if isinstance(layer, PixelMixer):
        return _of_pixels(graph, name, layer, inputs)
    if isinstance(layer, nn.Conv2d):
        return _convolution_2d(graph, name, layer, inputs)
    if isinstance(layer, TernaryConv1d):
        weight = graph.trits(f"{name}.weight", layer.weight)
        return graph.add("Conv", [inputs, weight], name, kernel_shape=[1], strides=[layer.stride])
    if isinstance(layer, nn.Conv1d):
        return _convolution(graph, name, layer, inputs)
    if isinstance(layer, MixedConv1d):  # ONNX has no room for how it is made
        weight = graph.constant(f"{name}.weight", layer.matrix()[:, :, None])
        return graph.add("Conv", [inputs, weight], name, kernel_shape=[1], strides=[layer.stride])
    if isinstance(layer, Factors):
        channels = 0
        for place, factor in enumerate(layer):
            if isinstance(factor, Shuffle):
                order = graph.indices(f"{name}.{place}.order", factor.order(channels))
                inputs = graph.add("Gather", [inputs, order], f"{name}.{place}", axis=1)
            else:
                assert isinstance(factor, nn.Conv1d)
                inputs = _layer(graph, f"{name}.{place}", factor, inputs)
                channels = factor.out_channels
        return inputs
    raise InvalidDesign(f"{name}: {type(layer).__name__} has no form in ONNX here")


def _of_pixels(graph: _Graph, name: str, layer: PixelMixer, inputs: str) -> str:
    """A mixing layer on all pixels in a row: Reshape, the layer of one dimension, Reshape back."""
    if layer.stride > 1:
        ends = {"starts": 0, "ends": np.iinfo(np.int32).max, "axes": 2, "steps": layer.stride}
        sizes = [graph.indices(f"{name}.{key}", torch.tensor([at])) for key, at in ends.items()]
        inputs = graph.add("Slice", [inputs, *sizes], f"{name}.every")
    if isinstance(layer.layer, nn.Identity):
        return inputs
    shape = graph.add("Shape", [inputs], f"{name}.pixels", start=2)
    both = graph.indices(f"{name}.both", torch.tensor([0, 0]))
    row = graph.add("Concat", [both, shape], f"{name}.back", axis=0)
    flat_shape = graph.indices(f"{name}.row", torch.tensor([0, 0, -1]))
    flat = graph.add("Reshape", [inputs, flat_shape], f"{name}.flat")
    mixed = _layer(graph, f"{name}.mixed", layer.layer, flat)
    return graph.add("Reshape", [mixed, row], name)


def _convolution_2d(graph: _Graph, name: str, layer: nn.Conv2d, inputs: str) -> str:
    """SAME_UPPER pads as `dse.networks.network_2d` does, whatever the frames are."""
    return graph.add(
        "Conv",
        [inputs, graph.constant(f"{name}.weight", layer.weight)],
        name,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        auto_pad="SAME_UPPER",
    )


def _convolution(graph: _Graph, name: str, layer: nn.Conv1d, inputs: str) -> str:
    constants = [graph.constant(f"{name}.weight", layer.weight)]
    if layer.bias is not None:
        constants.append(graph.constant(f"{name}.bias", layer.bias))
    padding = layer.padding[0]
    assert isinstance(padding, int)
    return graph.add(
        "Conv",
        [inputs, *constants],
        name,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        pads=[padding, padding],
        group=layer.groups,
    )
