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
from dse.errors import InvalidInput
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
from dse.interchange.onnx_windows import fields_of, read_windows
from dse.networks.layer_graph import (
    BINS,
    CHANNELS,
    CLIP,
    FRAMES,
    ONE,
    Value,
    convolution_kind,
)

LEAST_INPUTS = 4
"""Entries of a row that are equal but for their sign: fewer may be so by chance."""

# ---- with weights ----


def convolution(reader: Reader, node: onnx.NodeProto) -> None:
    """Conv over frames, and over bins: pointwise, depthwise or any other, trained or ternary."""
    read, weights = reader.value(node, padded=True), reader.constant(node, 1)
    options = attributes(node)
    kernel = list(weights.shape[2:])
    frames, bins = read_windows(reader, node, read, kernel)
    if (said := [int(each) for each in options.get("kernel_shape", kernel)]) != kernel:
        raise reader.error(node, f"has a kernel_shape of {said[:8]}, and weights of {kernel[:8]}")
    groups, taps = int(options.get("group", 1)), frames.taps * bins.taps
    if taps < 1 or groups < 1:
        raise reader.error(node, f"has a kernel of {taps} taps and {groups} groups: from 1 on")
    # Weights are (outputs, inputs / groups, taps of each axis).
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
        groups=groups,
        bias=has(node, 2),
        in_frames=read.frames - read.padding,
        in_bins=read.bins - read.bin_padding,
        **fields_of(frames, bins),
        **entries,
    )


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
    numbers = read.numbers
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
        in_bins=1,
        out_bins=1,
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


def table(reader: Reader, node: onnx.NodeProto) -> None:
    """A function of one number each that is no limit: priced as a ReLU, and told once for each."""
    note = f"{plain(node.op_type)} is priced as a ReLU, without a table of its values"
    if note not in reader.notes:
        reader.notes.append(note)
    read = reader.value(node)
    reader.add(node, LayerKind.ACTIVATION, read)
    if node.op_type == "Sigmoid":
        reader.sigmoids.setdefault(read.layer, set()).add(reader.values[node.output[0]].layer)


def multiply(reader: Reader, node: onnx.NodeProto) -> None:
    """Mul of a tensor by its own Sigmoid, which is one function of a number each (SiLU)."""
    constants = [index for index in (0, 1) if read_name(node, index) in reader.constants]
    if not constants:
        for index in (0, 1):
            gate, other = reader.value(node, index), reader.value(node, 1 - index)
            before = reader.made_by(gate)
            if before is not None and before.name in reader.sigmoids.get(other.layer, ()):
                reader.values[node.output[0]] = gate
                return
    raise reader.error(
        node, "multiplies something else than a tensor by its own Sigmoid: the nearest is Add"
    )


def prelu(reader: Reader, node: onnx.NodeProto) -> None:
    """PRelu: one trained slope, or one for each channel."""
    read, slopes = reader.value(node), prod(reader.constant(node, 1).shape)
    if slopes not in (1, read.channels):
        raise reader.error(node, f"has {slopes:,} slopes for {read.channels:,} channels")
    reader.add(node, LayerKind.ACTIVATION, read, slopes=slopes)


def concat(reader: Reader, node: onnx.NodeProto) -> None:
    """Concat of channels: each tensor is written beside the one before it."""
    values = [reader.value(node, index) for index in range(len(node.input))]
    axis = reader.axis(node, int(attributes(node)["axis"]), len(values[0].axes))
    if {value.axes[axis : axis + 1] for value in values} != {(CHANNELS,)}:
        raise reader.error(node, "joins other axes than channels, which are joined for free")
    if len({(value.axes, value.frames, value.bins) for value in values}) > 1:
        raise reader.error(node, "joins tensors of different frames or bins")
    try:
        reader.values[node.output[0]] = reader.join(values)
    except InvalidInput as error:
        raise reader.error(node, f"{error}: that is a copy, which no layer is") from None


def add(reader: Reader, node: onnx.NodeProto) -> None:
    """Add of two tensors, or of a tensor and a constant."""
    constants = [index for index in (0, 1) if read_name(node, index) in reader.constants]
    if constants:
        _add_constant(reader, node, 1 - constants[0], constants[0])
        return
    first, second = reader.value(node, 0), reader.value(node, 1)
    if first.numbers < second.numbers:
        first, second = second, first
    if first.sizes(1) != second.sizes(1) or first.channels != second.channels:
        if not _broadcast(first, second):
            raise reader.error(node, "adds tensors of different shapes")
        reader.notes.append(
            f"{plain(node.name or node.output[0])} adds a tensor of {second.frames} x "
            f"{second.bins} to one of {first.frames} x {first.bins}: it is counted as if it were "
            "as large"
        )
    reader.add(node, LayerKind.RESIDUAL_ADD, first, reads=(first.layer, second.layer))


def _broadcast(larger: Value, smaller: Value) -> bool:
    """Whether one value of the smaller tensor is added to all frames or all bins of a channel."""
    along = ((larger.frames, smaller.frames), (larger.bins, smaller.bins))
    aligned = len(larger.axes) == len(smaller.axes) and all(
        one == other or ONE in (one, other) or size == 1
        for one, other, size in zip(larger.axes, smaller.axes, smaller.sizes(1), strict=True)
    )
    same = larger.channels == smaller.channels and all(few in (1, many) for many, few in along)
    return aligned and same


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


_MAXIMA = ("MaxPool", "GlobalMaxPool", "ReduceMax")


def pool(reader: Reader, node: onnx.NodeProto) -> None:
    """AveragePool or MaxPool of windows, or of all frames and bins (GlobalAveragePool)."""
    read, options = reader.value(node), attributes(node)
    kind = LayerKind.MAX_POOL if node.op_type in _MAXIMA else LayerKind.AVERAGE_POOL
    if node.op_type.startswith("Global"):
        _check_place(reader, node, read)
        reader.add(node, kind, read, out_frames=1, out_bins=1)
        return
    if options.get("ceil_mode", 0):
        raise reader.error(node, "has a ceil_mode: windows that end behind the last frame are none")
    kernel = [int(each) for each in options["kernel_shape"]]
    if min(kernel, default=0) < 1:
        raise reader.error(
            node, f"has a kernel_shape of {kernel[:8]}: numbers from 1 on are needed"
        )
    frames, bins = read_windows(reader, node, read, kernel)
    if frames.dilation * bins.dilation != 1:
        raise reader.error(node, "has a dilation, which pools of ours have not")
    if frames.whole and bins.whole:  # a pool of all is one without a window
        reader.add(node, kind, read, out_frames=1, out_bins=1)
    else:
        reader.add(node, kind, read, **fields_of(frames, bins))


def _check_place(reader: Reader, node: onnx.NodeProto, read: Value) -> None:
    if read.place is None:
        raise reader.error(
            node, f"reads a tensor of {', '.join(read.axes)}: it must be clips, channels, frames"
        )


def reduce(reader: Reader, node: onnx.NodeProto) -> None:
    """ReduceMean or ReduceMax over all frames, all bins, or both."""
    read, options = reader.value(node), attributes(node)
    axes = read.axes
    _check_place(reader, node, read)
    given = reader.numbers(node, "axes", 1)
    if not given and options.get("noop_with_empty_axes", 0):
        reader.values[node.output[0]] = read
        return
    rank = len(axes)
    over = {reader.axis(node, each, rank) for each in given} if given else set(range(rank))
    sizes = read.sizes(reader.clips)
    wrong = [axes[each] for each in over if axes[each] in (CLIP, CHANNELS) and sizes[each] > 1]
    named = {axes[each] for each in over}
    done = {axis for axis in (FRAMES, BINS) if axis in named}
    left = read.frames * read.bins > 1 and not done
    if wrong or left:
        shown = ", ".join(axes[each] for each in sorted(over))
        raise reader.error(
            node,
            f"averages over {shown}: over all frames, and nothing else, is supported, or all bins",
        )
    kind = LayerKind.MAX_POOL if node.op_type in _MAXIMA else LayerKind.AVERAGE_POOL
    gone = set() if options.get("keepdims", 1) else over
    kept = tuple(axis for at, axis in enumerate(axes) if at not in gone)
    made = {"out_frames": 1} if FRAMES in done or read.frames == 1 else {}
    made |= {"out_bins": 1} if BINS in done or read.bins == 1 else {}
    reader.add(node, kind, read, axes=kept, **made)
