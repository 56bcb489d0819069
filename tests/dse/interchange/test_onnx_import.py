"""Graphs as other tools export them: what each operator's inputs and attributes say, by hand."""

import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cost_models.workload import Layer, LayerKind, WeightSource
from dse.errors import InvalidFile
from dse.interchange.onnx_import import MAX_NODES, import_onnx
from dse_cli import main

Nodes = list[onnx.NodeProto]


class Graph:
    """Nodes and constants of a graph that reads `x` and makes `y`, written to a file."""

    def __init__(self, tmp_path: Path, *shape: int, opset: int = 18) -> None:
        self.path, self.shape, self.opset = tmp_path / "graph.onnx", list(shape), opset
        self.nodes: Nodes = []
        self.constants: list[onnx.TensorProto] = []
        self.notes: list[str] = []

    def node(self, kind: str, inputs: str, output: str, **attributes: Any) -> "Graph":
        names = ["" if name == "-" else name for name in inputs.split()]
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return self

    def constant(self, name: str, values: Any, kind: Any = np.float32) -> "Graph":
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=kind), name))
        return self

    def write(self) -> Path:
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        self.path.write_bytes(model.SerializeToString())
        return self.path

    def read(self, frames: int | None = None) -> tuple[Layer, ...]:
        self.notes.clear()
        return import_onnx(self.write(), frames=frames, notes=self.notes).layers

    def refusal(self) -> str:
        with pytest.raises(InvalidFile) as caught:
            self.read()
        return str(caught.value).replace(f" ({self.path})", "")


RANDOM = np.random.default_rng(1)
IN_FLOATS = "weights in floats are priced as if they were quantised to 8 bits (layers: 1)"


def test_a_convolution_between_unsqueeze_and_squeeze_is_one_of_frames(tmp_path: Path) -> None:
    # As PyTorch writes conv1d for runtimes of two dimensions: (1, 8, 20) -> (1, 8, 1, 20) -> ...
    # 3 taps, stride 2, pads 1: (20 + 2 - 3) // 2 + 1 = 10 frames.
    graph = (
        Graph(tmp_path, 1, 8, 20)
        .constant("axis", [2], np.int64)
        .constant("w", RANDOM.normal(size=(4, 8, 1, 3)))
        .node("Unsqueeze", "x axis", "u")
        .node("Conv", "u w", "v", strides=[1, 2], pads=[0, 1, 0, 1])
        .node("Squeeze", "v axis", "s")
        .node("Relu", "s", "y")
    )
    convolution, relu = graph.read()
    assert (convolution.kind, convolution.stride) == (LayerKind.CONVOLUTION, 2)
    assert (convolution.out_frames, convolution.macs) == (10, 4 * 8 * 3 * 10)
    assert (relu.out_channels, relu.out_frames, graph.notes) == (4, 10, [IN_FLOATS])


def test_axes_of_older_opsets_are_attributes_and_may_be_negative(tmp_path: Path) -> None:
    graph = (
        Graph(tmp_path, 1, 8, 20, opset=11)
        .constant("w", RANDOM.normal(size=(4, 8, 3, 1)))
        .node("Unsqueeze", "x", "u", axes=[-1])
        .node("Conv", "u w", "v")
        .node("ReduceMean", "v", "m", axes=[-2, -1], keepdims=0)
        .node("MatMul", "m k", "y")
        .constant("k", RANDOM.normal(size=(4, 5)))
    )
    convolution, pool, linear = graph.read()
    assert (convolution.out_frames, pool.in_frames, pool.out_frames) == (18, 18, 1)
    assert (linear.in_channels, linear.out_channels, linear.macs) == (4, 5, 20)


def mean(graph: Graph, axes: list[int] | None, **attributes: Any) -> Graph:
    if axes is None:
        return graph.node("ReduceMean", "x", "y", **attributes)
    return graph.constant("a", axes, np.int64).node("ReduceMean", "x a", "y", **attributes)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([1], "averages over channels: over all frames, and nothing else, is supported"),
        ([-2], "averages over channels: over all frames"),
        ([1, 2], "averages over channels, frames: over all frames"),
        (None, "averages over clip, channels, frames: over all frames"),
        ([0], "averages over clip: over all frames"),
    ],
)
def test_an_average_over_anything_but_the_frames_is_refused(
    axes: list[int] | None, message: str, tmp_path: Path
) -> None:
    assert message in mean(Graph(tmp_path, 1, 4, 9), axes).refusal()


def test_an_average_over_the_frames_is_one(tmp_path: Path) -> None:
    [pool] = mean(Graph(tmp_path, 1, 4, 9), [2]).read()
    assert (pool.kind, pool.in_frames, pool.out_frames) == (LayerKind.AVERAGE_POOL, 9, 1)
    # No axes and `noop_with_empty_axes`: nothing is done.
    graph = mean(Graph(tmp_path, 1, 4, 9), None, noop_with_empty_axes=1)
    graph.nodes[0].output[0] = "n"
    [relu] = graph.node("Relu", "n", "y").read()
    assert (relu.kind, relu.out_frames) == (LayerKind.ACTIVATION, 9)


TRITS = np.array([[1, 0, -1, 0, 1], [0, 0, 1, -1, 0], [0, 1, 0, 0, 0]])
"""Six that are not zero."""


def quantised(tmp_path: Path, integers: Any, scale: Any, zero: Any, kind: Any, **other: Any):
    return (
        Graph(tmp_path, 1, 5, 7)
        .constant("q", np.asarray(integers)[:, :, None], kind)
        .constant("s", scale)
        .constant("z", zero, kind)
        .node("DequantizeLinear", "q s z", "w", **other)
        .node("Conv", "x w", "y")
    )


@pytest.mark.parametrize(
    ("integers", "scale", "zero", "kind", "scaled"),
    [
        (TRITS, 1.0, 0, np.int8, False),
        (127 * TRITS, np.float32(1) / 127, 0, np.int8, None),
        (TRITS + 128, 1.0, 128, np.uint8, False),  # the zero point is what means 0
        (TRITS, 0.05, 0, np.int8, True),
        (TRITS + 3, [0.5, 0.25, 2.0], [3, 3, 3], np.int8, True),
    ],
)
def test_quantised_trits_are_trits(
    integers: Any, scale: Any, zero: Any, kind: Any, scaled: bool | None, tmp_path: Path
) -> None:
    graph = quantised(tmp_path, integers, scale, zero, kind, axis=0)
    [layer] = graph.read()
    assert (layer.weights, layer.nonzeros, layer.weight_bits) == (WeightSource.GENERATED, 6, 2)
    assert layer.nonzero_mask == np.packbits(TRITS.reshape(-1) != 0).tobytes()
    assert layer.trained_parameters == 0
    if scaled is not None:
        notes = [
            "y has entries of -s, 0 and +s in each row: it is read as ternary, s goes into the "
            "quantisation of its outputs"
        ]
        assert graph.notes == (notes if scaled else [])


@pytest.mark.parametrize(
    ("integers", "zero", "kind"),
    [
        (TRITS, 1, np.int8),  # 0, -1 and -2 of a scale: three values, and no zero in the middle
        (TRITS * 2 + np.eye(3, 5), 0, np.int8),
    ],
)
def test_integers_that_are_no_trits_are_trained_weights(
    integers: Any, zero: int, kind: Any, tmp_path: Path
) -> None:
    graph = quantised(tmp_path, integers, 0.05, zero, kind)
    [layer] = graph.read()
    assert (layer.weights, layer.trained_parameters, layer.weight_bits) == ("trained", 15, 8)
    assert graph.notes == []  # they are of 8 bits


def test_a_row_of_few_inputs_is_no_ternary_row_by_chance(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 1, 7).constant("w", [[[0.3]], [[-0.7]]]).node("Conv", "x w", "y")
    [layer] = graph.read()
    assert layer.weights == "trained"


def test_weights_of_four_bits_have_four_bits(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 7, opset=21)
    numbers = [3, -5, 7, 1, -2, 6, 0, 4]
    graph.constants.append(helper.make_tensor("q", TensorProto.INT4, [2, 4, 1], numbers))
    graph.constant("s", 0.1).node("DequantizeLinear", "q s", "w").node("Conv", "x w", "y")
    [layer] = graph.read()
    assert (layer.weights, layer.weight_bits, layer.stored_matrix_bits) == ("trained", 4, 8 * 4)


def test_a_bias_that_is_left_out_by_an_empty_name_is_none(tmp_path: Path) -> None:
    graph = (
        Graph(tmp_path, 1, 4, 1)
        .constant("w", RANDOM.normal(size=(6, 4)))
        .node("Flatten", "x", "f")
        .node("Gemm", "f w -", "y", transB=1)
    )
    [layer] = graph.read()
    assert (layer.bias, layer.trained_parameters) == (False, 24)


@pytest.mark.parametrize("dims", [(6,), (1, 6), (1,)])
def test_an_added_constant_is_the_bias_of_the_product_before_it(
    dims: tuple[int, ...], tmp_path: Path
) -> None:
    graph = (
        Graph(tmp_path, 1, 4, 1)
        .constant("w", RANDOM.normal(size=(4, 6)))
        .constant("b", np.ones(dims))
        .node("Flatten", "x", "f")
        .node("MatMul", "f w", "m")
        .node("Add", "b m", "y")
    )
    [layer] = graph.read()
    assert (layer.bias, layer.trained_parameters) == (True, 24 + 6)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ((6, 1), None),
        ((1, 6, 1), None),
        ((9,), r"adds a constant of [9], which is no bias of a layer with weights before it"),
        ((6, 9), "adds a constant of [6, 9], which is no bias"),
        ((1, 1, 6, 1), "adds a constant of [1, 1, 6, 1], which is no bias"),
    ],
)
def test_an_added_constant_that_is_no_bias_is_refused(
    dims: tuple[int, ...], message: str | None, tmp_path: Path
) -> None:
    graph = (
        Graph(tmp_path, 1, 4, 9)
        .constant("w", RANDOM.normal(size=(6, 4, 1)))
        .constant("b", np.ones(dims))
        .node("Conv", "x w", "c")
        .node("Add", "c b", "y")
    )
    if message is None:
        assert graph.read()[0].bias
    else:
        assert message in graph.refusal()


def test_a_constant_added_to_an_activation_is_refused(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 9).constant("b", 1.0).node("Relu", "x", "r")
    assert "which is no bias of a layer" in graph.node("Add", "r b", "y").refusal()


def test_a_batch_norm_is_merged_only_where_nobody_reads_what_is_before_it(tmp_path: Path) -> None:
    def graph(after: str) -> Graph:
        made = (
            Graph(tmp_path, 1, 4, 9)
            .constant("w", RANDOM.normal(size=(4, 4, 1)))
            .constant("g", np.ones(4))
            .node("Conv", "x w", "c")
            .node("BatchNormalization", "c g g g g", "n")
        )
        return made.node("Add", after, "y")

    assert [layer.folded for layer in graph("n x").read()] == [False, True, False]
    assert [layer.folded for layer in graph("n c").read()] == [False, False, False]


def test_same_padding_keeps_the_frames(tmp_path: Path) -> None:
    for frames, stride in ((98, 1), (98, 2), (99, 2), (7, 3)):
        graph = Graph(tmp_path, 1, 4, frames).constant("w", RANDOM.normal(size=(4, 4, 5)))
        graph.node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[stride])
        [layer] = graph.read()
        assert layer.out_frames == -(-frames // stride)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"strides": [0]}, "has strides of [0]: 1 numbers from 1 on are needed"),
        ({"strides": [-1]}, "has strides of [-1]"),
        ({"strides": [1, 1]}, "has strides of [1, 1]: 1 numbers from 1 on"),
        ({"dilations": [0]}, "has dilations of [0]"),
        ({"pads": [1]}, "has pads of [1]: 2 numbers from 0 on are needed"),
        ({"pads": [-1, 0]}, "has pads of [-1, 0]"),
        ({"group": 0}, "and 0 groups: from 1 on"),
        ({"auto_pad": "SAME_LOVER"}, "has an auto_pad that is unknown"),
        ({"strides": 2.5}, "cannot be read: its inputs and attributes do not fit together"),
        ({"dilations": [9]}, "out_frames must be at least 1, not -"),
        ({"pads": [2**40, 2**40]}, "is too large: it makes 2,147,483,648 numbers or more"),
    ],
)
def test_odd_attributes_are_one_sentence(
    attributes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    graph = Graph(tmp_path, 1, 4, 9).constant("w", RANDOM.normal(size=(4, 4, 3)))
    assert message in graph.node("Conv", "x w", "y", **attributes).refusal()


def test_shapes_that_lose_sight_of_channels_and_frames_are_refused(tmp_path: Path) -> None:
    def reshaped(*shape: int) -> Graph:
        graph = Graph(tmp_path, 1, 4, 6).constant("s", shape, np.int64)
        return graph.node("Reshape", "x s", "r").node("Relu", "r", "y")

    for shape in ((1, 24), (-1, 24), (0, -1), (1, 4, 1, 6), (0, 0, 6), (0, 0, -1, 1), (24,)):
        assert reshaped(*shape).read()
    for shape in ((1, 6, 4), (4, 6), (2, 12), (1, 5, 5), (-1, -1), (1, 24, 1), (3, -1)):
        assert "channels and frames must stay, or become one axis" in reshaped(*shape).refusal()
    graph = Graph(tmp_path, 1, 4, 6).constant("w", RANDOM.normal(size=(6, 3)))
    assert "put a Flatten before it" in graph.node("MatMul", "x w", "y").refusal()
    graph = Graph(tmp_path, 1, 4, 6).node("Flatten", "x", "y", axis=2)
    assert "flattens from axis 2 on" in graph.refusal()


@pytest.mark.parametrize("axis", [3, -4, 5])
def test_an_axis_that_a_tensor_does_not_have_is_refused(axis: int, tmp_path: Path) -> None:
    # Counted around, 5 of three axes would be the frames.
    message = f"has axis {axis} of a tensor of 3 axes: it must be -3 to 2"
    assert message in mean(Graph(tmp_path, 1, 4, 9), [axis]).refusal()
    assert message in Graph(tmp_path, 1, 4, 9).node("Flatten", "x", "y", axis=axis).refusal()
    graph = Graph(tmp_path, 1, 4, 1).constant("a", [axis], np.int64)
    assert message in graph.node("Squeeze", "x a", "y").refusal()
    graph = Graph(tmp_path, 1, 4, 1).constant("a", [7], np.int64)
    assert "has axis 7 of a tensor of 4 axes" in graph.node("Unsqueeze", "x a", "y").refusal()


def test_a_product_over_the_channels_of_each_frame_is_a_pointwise_layer(tmp_path: Path) -> None:
    # As PyTorch writes Linear on (clips, frames, channels): a Transpose, a MatMul, a bias.
    graph = (
        Graph(tmp_path, 1, 4, 6)
        .constant("w", RANDOM.normal(size=(4, 3)))
        .constant("b", np.ones(3))
        .node("Transpose", "x", "t", perm=[0, 2, 1])
        .node("MatMul", "t w", "m")
        .node("Add", "m b", "a")
        .node("Transpose", "a", "y", perm=[0, 2, 1])
    )
    [layer] = graph.read()
    assert (layer.kind, layer.macs, layer.bias) == (LayerKind.POINTWISE, 4 * 3 * 6, True)
    assert layer.trained_parameters == 15
    graph = Graph(tmp_path, 1, 4, 6).node("Transpose", "x", "t", perm=[0, 2, 1])
    assert "the frames first" in graph.node("Flatten", "t", "y").refusal()
    graph = Graph(tmp_path, 1, 4, 6).node("Transpose", "x", "y", perm=[0, 1, 1])
    assert "no order of 3 axes" in graph.refusal()
    graph = Graph(tmp_path, 1, 4, 6).constant("w", RANDOM.normal(size=(4, 4, 1)))
    graph.node("Transpose", "x", "t", perm=[0, 2, 1]).node("Conv", "t w", "y")
    assert "it must be clips, channels, frames" in graph.refusal()


def test_what_is_read_otherwise_is_told(tmp_path: Path) -> None:
    graph = (
        Graph(tmp_path, 32, 4, 6)
        .constant("s", 0.1)
        .constant("z", 0, np.int16)
        .node("QuantizeLinear", "x s z", "q")
        .node("Relu", "x", "dead")
        .node("Relu", "q", "y")
    )
    assert len(graph.read()) == 2
    assert graph.notes == [
        "the input is a batch of 32 clips: one clip is counted",
        "activations of 16 bits are counted as 8",
        "dead makes what nobody reads: it is counted",
    ]


def test_a_graph_without_weights_is_not_priced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Graph(tmp_path, 1, 4, 6).node("Relu", "x", "y").write()
    with pytest.raises(SystemExit) as stop:
        main(["import", "onnx", str(path), "--machine", "kws_int8"])
    assert stop.value.code == 2
    assert "as it has no layer with weights: there is nothing to price" in capsys.readouterr().err


def test_names_are_printable_and_distinct(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 6)
    for number, name in enumerate(("input", "a\x1b[31mb", "a\x1b[31mb", "x" * 5000)):
        graph.node("Relu", "x" if not number else f"t{number}", f"t{number + 1}", name=name)
    names = [layer.name for layer in graph.node("Relu", "t4", "y").read()]
    assert names == ["input#0", "a?[31mb", "a?[31mb#2", "x" * 80 + "...", "y"]
    assert "a?[31mb' (Tan?)" in graph.node("Tan\n", "y", "z", name="a\x1b[31mb").refusal()


def test_a_tensor_is_written_once(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 6).node("Relu", "x", "y").node("Relu", "y", "y")
    assert "writes 'y', which is written before" in graph.refusal()


def test_as_many_nodes_as_are_allowed_take_seconds(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 6)
    for number in range(MAX_NODES - 1):
        graph.node("Relu", f"t{number}" if number else "x", f"t{number + 1}")
    graph.node("Relu", f"t{MAX_NODES - 1}", "y")
    began = time.monotonic()
    assert len(graph.read()) == MAX_NODES
    assert time.monotonic() - began < 10  # 2 s; before, 60 and more


def test_a_small_file_that_names_a_large_constant_often_takes_little_memory(
    tmp_path: Path,
) -> None:
    # A million integers, widened 4,000 times: 16 GB, if each were unpacked.
    graph = Graph(tmp_path, 1, 1000, 4)
    graph.constant("q", np.full((1000, 1000, 1), 2), np.int8)
    for number in range(4000):
        graph.constant(f"s{number}", 0.5).node("DequantizeLinear", f"q s{number}", f"w{number}")
    graph.node("Relu", "x", "y")
    path = graph.write()
    tracemalloc.start()
    import_onnx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    # And where each is used, reading ends after fifty of them.
    for number in range(60):
        graph.node("Conv", f"c{number - 1} w{number}" if number else "x w0", f"c{number}")
    assert "reads constants of more than 50,000,000 numbers" in graph.refusal()


def test_zeros_around_a_convolution_are_its_own(tmp_path: Path) -> None:
    graph = (
        Graph(tmp_path, 1, 4, 9)
        .constant("p", [0, 0, 2, 0, 0, 0], np.int64)
        .constant("w", RANDOM.normal(size=(6, 4, 3)))
        .node("Pad", "x p", "q")
        .node("Conv", "q w", "y")
    )
    [layer] = graph.read()
    assert (layer.in_frames, layer.out_frames, layer.macs) == (9, 9, 6 * 4 * 3 * 9)


@pytest.mark.parametrize(
    ("pads", "attributes", "message"),
    [
        ([0, 1, 0, 0, 0, 0], {}, "pads other axes than frames and bins"),
        ([0, 0, -1, 0, 0, 0], {}, "has pads of [0, 0, -1, 0, 0, 0]: two from 0 on"),
        ([0, 0, 1], {}, "has pads of [0, 0, 1]"),
        ([0, 0, 2**40, 0, 0, 0], {}, "pads 2,147,483,648 frames or more"),
        ([0, 0, 1, 0, 0, 0], {"mode": "reflect"}, "pads by other values than zeros"),
        (
            [0, 0, 1, 0, 0, 0],
            {},
            "(Relu) reads what Pad made: before a Conv alone it is free",
        ),
    ],
)
def test_other_pads_are_refused(
    pads: list[int], attributes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    graph = Graph(tmp_path, 1, 4, 9).constant("p", pads, np.int64)
    graph.node("Pad", "x p", "q", **attributes).node("Relu", "q", "y")
    assert message in graph.refusal()


def test_channels_are_joined_where_they_are_written(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 9)
    graph.constant("v", RANDOM.normal(size=(3, 4, 1))).constant("w", RANDOM.normal(size=(5, 4, 1)))
    graph.node("Conv", "x v", "a").node("Conv", "x w", "b").node("Concat", "a b", "c", axis=1)
    graph.constant("u", RANDOM.normal(size=(2, 8, 1))).node("Conv", "c u", "y")
    first, second, last = graph.read()
    assert (second.reads, second.extends) == (("input",), "a")
    assert (last.in_channels, first.extends) == (8, "")
    graph.nodes[2].attribute[0].i = 2
    assert "joins other axes than channels" in graph.refusal()


def test_slopes_are_trained_and_tables_are_told(tmp_path: Path) -> None:
    graph = Graph(tmp_path, 1, 4, 9).constant("s", np.ones((4, 1))).node("PRelu", "x s", "p")
    graph.node("Sigmoid", "p", "g").node("Mul", "p g", "y")
    slopes, silu = graph.read()
    assert (slopes.slopes, slopes.trained_parameters, slopes.multiplications) == (4, 4, 36)
    assert (silu.kind, graph.notes) == (
        LayerKind.ACTIVATION,
        ["Sigmoid is priced as a ReLU, without a table of its values"],
    )
    graph.nodes[2].input[0] = "x"
    assert "multiplies something else than a tensor by its own Sigmoid" in graph.refusal()
    assert "has 3 slopes for 4 channels" in (
        Graph(tmp_path, 1, 4, 9).constant("s", np.ones((3, 1))).node("PRelu", "x s", "y").refusal()
    )
