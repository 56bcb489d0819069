"""ONNX operators that become layers: convolutions, products, batch norms, sums, averages.

A 1x1 convolution whose entries are all -s, 0 or +s becomes a ternary matrix with its exact count of
non-zero entries; nothing says what made it, so machines that generate matrices refuse it, and
machines that store them take two bits each. Other weights have the bits that they are stored with,
floats 8: a graph in floats is priced as if it were quantised.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from cost_models.workload import CONVOLUTIONS, LayerKind, WeightSource
from dse.interchange.onnx_graph import (
    BITS,
    Constant,
    Matrix,
    Reader,
    attributes,
    has,
    plain,
    read_name,
)
from dse.networks.layer_graph import CHANNELS, CLIP, FRAMES, Value, convolution_kind

LEAST_INPUTS = 4
"""Entries of a row that are equal but for their sign: fewer may be so by chance."""

# ---- with weights ----


def convolution(reader: Reader, node: onnx.NodeProto) -> None:
    """Conv of one dimension: pointwise, depthwise or any other, trained or ternary."""
    read, weights, options = reader.value(node), reader.constant(node, 1), attributes(node)
    place, kernel = _place(reader, node, read) - 2, list(weights.shape[2:])
    if len(kernel) != len(read.axes) - 2 or any(
        size != 1 for at, size in enumerate(kernel) if at != place
    ):
        raise reader.error(node, f"has a kernel of {kernel}: supported are those of one dimension")
    if (said := [int(each) for each in attributes(node).get("kernel_shape", kernel)]) != kernel:
        raise reader.error(node, f"has a kernel_shape of {said[:8]}, and weights of {kernel[:8]}")
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
    kind = convolution_kind(taps, groups, read.channels, outputs)
    whole = kind is LayerKind.POINTWISE and groups == 1
    entries = (_ternary(reader, node, weights) if whole else None) or _trained(reader, weights)
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
        bias=has(node, 2),
        **entries,
    )


def _place(reader: Reader, node: onnx.NodeProto, read: Value) -> int:
    """The axis of the frames, of a tensor whose channels are where operators want them."""
    if read.place is None:
        raise reader.error(
            node, f"reads a tensor of {', '.join(read.axes)}: it must be clips, channels, frames"
        )
    return read.place


def _along(reader: Reader, node: onnx.NodeProto, name: str, axes: int) -> list[int]:
    """An attribute of a whole number for each axis of space, 1 where it is left out."""
    found = [int(each) for each in attributes(node).get(name, [1] * axes)]
    if len(found) != axes or min(found) < 1:
        raise reader.error(node, f"has {name} of {found[:8]}: {axes} numbers from 1 on are needed")
    return found


def _padding(reader: Reader, node: onnx.NodeProto, axes: int, place: int) -> int | None:
    """Frames put in before and behind, together; None for as many as keep all frames ("same")."""
    options = attributes(node)
    auto = options.get("auto_pad", b"NOTSET")
    if auto != b"NOTSET" and any(options.get("pads", ())):
        raise reader.error(node, "has both pads and an auto_pad: leave one out")
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


def _trained(reader: Reader, weights: Constant) -> dict[str, Any]:
    """Fields of trained weights, of the bits that they are stored with; 8 of floats."""
    reader.in_floats += weights.scale is None
    bits = 8 if weights.scale is None else BITS.get(weights.tensor.data_type, 8)
    return {"weights": WeightSource.TRAINED, "weight_bits": bits}


def _ternary(reader: Reader, node: onnx.NodeProto, weights: Constant) -> dict[str, Any] | None:
    """Fields of a ternary matrix; None where the entries of a 1x1 are others."""
    if weights.key not in reader.matrices:
        entries = reader.unpack(node, weights)
        if not np.isfinite(entries).all():
            raise reader.error(node, "has weights that are not numbers: NaN or infinity")
        reader.matrices[weights.key] = _matrix(entries)
    found = reader.matrices[weights.key]
    if found.mask is None:
        return None
    if found.scaled:
        reader.notes.append(
            f"{plain(node.name or node.output[0])} has entries of -s, 0 and +s in each row: it is "
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


def _matrix(weights: npt.NDArray[Any]) -> Matrix:
    """Whether all entries of each row are equal but for their sign, or 0."""
    size = np.abs(weights.reshape(weights.shape[0], -1))
    row = size.max(axis=1, keepdims=True, initial=0)
    if not row.any():  # zeros alone: an export of what was never trained
        return Matrix(None, False)
    if not ((size == 0) | (size == row)).all():
        return Matrix(None, False)
    scaled = not np.isin(row, (0, 1)).all()
    if scaled and size.shape[1] < LEAST_INPUTS:
        return Matrix(None, False)
    return Matrix(size.reshape(-1) != 0, scaled)


def linear(reader: Reader, node: onnx.NodeProto) -> None:
    """Gemm or MatMul of all numbers of a clip; a MatMul of the channels of each frame, too."""
    read, weights, options = reader.value(node), reader.constant(node, 1), attributes(node)
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
    reader.add(
        node,
        LayerKind.LINEAR,
        read,
        in_channels=inputs,
        out_channels=outputs,
        in_frames=1,
        out_frames=1,
        **_trained(reader, weights),
        bias=node.op_type == "Gemm" and has(node, 2),
        axes=(CLIP, CHANNELS),
    )


def _linear_of_frames(reader: Reader, node: onnx.NodeProto, read: Value, weights: Constant) -> None:
    """A matrix product over the channels of each frame: a 1x1 convolution, transposed."""
    if len(weights.shape) != 2 or weights.shape[0] != read.channels:
        raise reader.error(
            node, f"takes a matrix of {list(weights.shape)}, and gets {read.channels} channels"
        )
    reader.add(
        node,
        LayerKind.POINTWISE,
        read,
        out_channels=weights.shape[1],
        **_trained(reader, weights),
    )


# ---- without ----


def batch_norm(reader: Reader, node: onnx.NodeProto) -> None:
    """BatchNormalization of the channels: merged into the weights before it, or priced."""
    read = reader.value(node)
    gains = prod(reader.constant(node, 1).shape)
    if read.axes[1:2] != (CHANNELS,) or gains != read.channels:
        raise reader.error(node, f"has {gains:,} gains for {read.channels:,} channels")
    if attributes(node).get("training_mode", 0):
        raise reader.error(node, "is in training mode: export the network for inference")
    folded = reader.folds(read) and reader.alone(node)
    reader.add(node, LayerKind.BATCH_NORM, read, folded=folded)


def same(kind: LayerKind) -> Callable[[Reader, onnx.NodeProto], None]:
    """Reads an operator as a layer of a kind, whose output has the shape of its input."""

    def read_node(reader: Reader, node: onnx.NodeProto) -> None:
        reader.add(node, kind, reader.value(node))

    return read_node


def add(reader: Reader, node: onnx.NodeProto) -> None:
    """Add of two tensors, or of a tensor and a constant."""
    constants = [index for index in (0, 1) if read_name(node, index) in reader.constants]
    if constants:
        _add_constant(reader, node, 1 - constants[0], constants[0])
        return
    first, second = reader.value(node, 0), reader.value(node, 1)
    if first.sizes(1) != second.sizes(1) or first.channels != second.channels:
        raise reader.error(node, "adds tensors of different shapes")
    reader.add(node, LayerKind.RESIDUAL_ADD, first, reads=(first.layer, second.layer))


def _add_constant(reader: Reader, node: onnx.NodeProto, index: int, constant: int) -> None:
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
        reader.replace(before.name, bias=True)
    else:
        reader.notes.append(
            f"{plain(node.name or node.output[0])} adds a constant: it goes into the offsets that "
            f"{before.name} has already"
        )
    reader.values[node.output[0]] = read


def pool(reader: Reader, node: onnx.NodeProto) -> None:
    """GlobalAveragePool, AveragePool or ReduceMean over all frames."""
    read, options = reader.value(node), attributes(node)
    place = _place(reader, node, read)
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
        over = {reader.axis(node, each, rank) for each in given} if given else set(range(rank))
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
