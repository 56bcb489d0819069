"""Kernels of ONNX operators over frames and bins: what they cover, and how many outputs they make.

    outputs = (inputs + padding - dilation * (taps - 1) - 1) / stride + 1, rounded down
    "same"  = as many as strides begin in the inputs, however many pads that takes

Which axis of an image is time, no file says. Outputs, counts and prices of an inference do not
depend on it; on a stream time is what goes on (`dse.interchange.onnx_graph` chooses, and tells).
"""

from dataclasses import dataclass
from typing import Any

import onnx

from dse.interchange.onnx_graph import Reader, attributes
from dse.networks.layer_graph import BINS, FRAMES, Value, ahead_of


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel along one axis."""

    taps: int = 1
    stride: int = 1
    dilation: int = 1
    made: int = 1
    """Outputs along the axis."""
    whole: bool = False
    """It covers all that there is, at once."""
    ahead: int | None = None
    """Of frames: `Layer.ahead_frames`."""


def read_windows(
    reader: Reader, node: onnx.NodeProto, read: Value, kernel: list[int]
) -> tuple[Window, Window]:
    """The windows of a convolution or a pool over frames, and over bins.

    Raises:
        InvalidFile: the kernel has other axes than the tensor, covers or pads one of size 1 that is
            none of them, or an attribute is out of range.
    """
    if read.place is None:
        raise reader.error(
            node, f"reads a tensor of {', '.join(read.axes)}: it must be clips, channels, frames"
        )
    axes, count = read.space, len(kernel)
    if count != len(axes) or any(
        taps != 1 for axis, taps in zip(axes, kernel, strict=True) if axis not in (FRAMES, BINS)
    ):
        raise reader.error(
            node, f"has a kernel of {kernel[:8]} over axes of {read.sizes(1)[2:]}: give it 1 there"
        )
    strides, dilations = (_along(reader, node, name, count) for name in ("strides", "dilations"))
    padding = _padding(reader, node, count)
    windows = {FRAMES: Window(), BINS: Window()}
    for at, axis in enumerate(axes):
        pads = None if padding is None else padding[at]
        if axis in windows:
            size = read.frames if axis == FRAMES else read.bins
            windows[axis] = _window(
                size,
                kernel[at],
                strides[at],
                dilations[at],
                pads,
                read if axis == FRAMES else None,
            )
        elif pads and any(pads):
            raise reader.error(node, "pads an axis of size 1, which is neither frames nor bins")
    return windows[FRAMES], windows[BINS]


def fields_of(frames: Window, bins: Window) -> dict[str, Any]:
    """What a layer of these windows has beside its channels."""
    return {
        "out_frames": frames.made,
        "kernel_size": frames.taps,
        "stride": frames.stride,
        "dilation": frames.dilation,
        "ahead_frames": frames.ahead,
        "out_bins": bins.made,
        "kernel_bins": bins.taps,
        "bin_stride": bins.stride,
        "bin_dilation": bins.dilation,
    }


def _window(
    size: int,
    taps: int,
    stride: int,
    dilation: int,
    pads: tuple[int, int] | None,
    read: Value | None,
) -> Window:
    """A window of an axis of this size; `read` where it is the one of the frames."""
    span = dilation * (taps - 1)
    made = -(-size // stride) if pads is None else (size + sum(pads) - span - 1) // stride + 1
    ahead = None if read is None or pads is None else ahead_of(read, *pads, span)
    return Window(taps, stride, dilation, made, taps >= size and made == 1, ahead)


def _along(reader: Reader, node: onnx.NodeProto, name: str, axes: int) -> list[int]:
    """An attribute of a whole number for each axis of space, 1 where it is left out."""
    found = [int(each) for each in attributes(node).get(name, [1] * axes)]
    if len(found) != axes or min(found) < 1:
        raise reader.error(node, f"has {name} of {found[:8]}: {axes} numbers from 1 on are needed")
    return found


def _padding(reader: Reader, node: onnx.NodeProto, axes: int) -> list[tuple[int, int]] | None:
    """Put in before and behind each axis; None for as many as keep all ("same")."""
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
    valid = auto == b"VALID"
    return [(0, 0) if valid else (pads[at], pads[at + axes]) for at in range(axes)]
