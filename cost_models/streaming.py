"""Always-on spotting: compute only what is new, and keep what later frames will need.

Every hop brings a few new frames. Each layer computes only the outputs that these make possible,
and reads, beside the new inputs, the history that its kernel still covers: (K - 1) * dilation
frames, kept in the activations' memory. Symmetric padding makes a layer wait for (K - 1) / 2 *
dilation frames to come, padding before the frames alone for none (`Layer.ahead_frames`); a path
around it must wait as long, so its input is kept, too. The average
over the window is a ring of sums, one per hop: the newest comes in, the oldest goes out.

    history of a tensor  = the most that one of its readers needs, in frames
    state                = history * bins * channels * bits, over all tensors, and the ring of sums
    latency of a decision: frames that the network waits for, and the cycles of a hop

A convolution of K = 5 taps, dilation 1, stride 1, with hops of two frames:

    input     h h h h n n        h kept from earlier hops: (5 - 1) * 1 = 4;   n new
              [-------]          taps of the first new output
                [-------]        taps of the second: 2 outputs from 6 frames, nothing padded

A network of two dimensions streams over frames, each with all of its bins: padding of bins, which
are all there, is what it was. A maximum over the window has no oldest value to take off: a hop's
maximum is kept, and each hop compares those of all hops.

So a hop costs what 2 outputs cost, where an inference of the whole window computes all of them
again; that is what the state is paid for. The workload of a hop is priced like any other, with the
history read from the activations' memory with the new frames.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from cost_models.errors import InvalidInput, InvalidLayer
from cost_models.residency import Flow, trace_flow
from cost_models.workload import CONVOLUTIONS, IN_LINE, INPUT, POOLS, Layer, LayerKind, Workload


@dataclass(frozen=True, slots=True)
class Stream:
    """What a machine executes each hop, and what it keeps from hop to hop."""

    workload: Workload
    """One hop."""
    hop_frames: int
    """New input frames a hop."""
    state_bits: int
    """Kept between hops."""
    wait_frames: int
    """Input frames that the network must see beyond the one that it decides on."""


@dataclass(frozen=True, slots=True)
class StreamedPart:
    """A row of layers as it runs each hop: a whole network, or a part of one."""

    layers: tuple[Layer, ...]
    state_bits: int
    """Kept between hops: of what it reads, of what lies inside of it, and of its ring of sums."""
    wait_frames: float
    """Input frames of the network by which it waits longer than what it reads."""


def stream(workload: Workload, hop_frames: int) -> Stream:
    """The network as it runs on a stream, `hop_frames` new frames at a time.

    Args:
        workload: one inference over the whole window.
        hop_frames: new input frames a hop: a multiple of the product of the strides, so that every
            layer makes whole frames in every hop, and at most the window.

    Raises:
        InvalidInput: the hop is not positive, not a multiple of all strides together, or longer
            than an inference.
        InvalidLayer: a layer has no streaming form.
    """
    part = stream_part(workload.layers, hop_frames)
    if hop_frames > workload.layers[0].in_frames:
        raise InvalidInput(
            f"a hop of {hop_frames} frames is longer than the {workload.layers[0].in_frames} "
            "frames of an inference: use a shorter hop, or more frames"
        )
    return Stream(
        workload=Workload(workload.name, part.layers),
        hop_frames=hop_frames,
        state_bits=part.state_bits,
        wait_frames=round(part.wait_frames),
    )


def stream_part(layers: Sequence[Layer], hop_frames: int, rate: int = 1) -> StreamedPart:
    """A part of a network as it runs on a stream; `stream` is that of a network as a whole.

    Parts share the tensor between them and nothing else, and all of a tensor's readers are in the
    part behind it. So its history is counted there, and

        state of a network = sum of its parts' states
        wait of a network  = sum of its parts' waits

    Args:
        layers: one inference of the part over the whole window.
        hop_frames: new input frames of the network a hop.
        rate: input frames of the network for each that the part reads: the strides before it.

    Raises:
        InvalidInput: the hop is not positive, or not a multiple of the strides up to its end.
        InvalidLayer: a layer has no streaming form.
    """
    flow = trace_flow(layers)
    reads, rates = flow.reads, _rates(layers, flow.reads, rate)
    total_stride = max(rates.values())
    if hop_frames < 1 or hop_frames % total_stride:
        raise InvalidInput(
            f"a hop of {hop_frames} frames does not fit the network's strides: use a multiple of "
            f"{total_stride}"
        )
    # Of each tensor: frames that a hop brings, at its own rate; and how many input frames beyond
    # the moment that it describes must have been seen before it can be computed.
    fresh, wait = {INPUT: hop_frames // rate}, {INPUT: 0.0}
    history: dict[str, int] = {}
    frame_bits = {INPUT: layers[0].in_channels * layers[0].in_bins * layers[0].input_bits}
    streamed: list[Layer] = []
    state_bits = 0
    for layer, sources, written in zip(layers, reads, flow.writes, strict=True):
        source = sources[0]
        made = fresh[source]
        if _has_window(layer):
            span = (layer.kernel_size - 1) * layer.dilation
            made = fresh[source] // layer.stride
            needed = (made - 1) * layer.stride + span + 1  # a stream has no padding
            history[source] = max(history.get(source, 0), max(needed - fresh[source], 0))
            streamed.append(dataclasses.replace(layer, in_frames=needed, out_frames=made))
            # Half of the taps lie in the future of a symmetric kernel, none of a causal one's; a
            # frame behind strides stands for `rate` frames of the input.
            ahead = span / 2 if layer.ahead_frames is None else layer.ahead_frames
            waited = wait[source] + ahead * rates[source]
        elif layer.kind in POOLS and not _over_bins(layer):
            window = layer.kernel_size if layer.taps > 1 else layer.in_frames
            hops = -(-window // fresh[source])
            ring, kept_bits = _ring(layer, fresh[source], hops)
            streamed.append(ring)
            state_bits += kept_bits
            made = 1
            waited = wait[source]
        else:
            if layer.kind is LayerKind.RESIDUAL_ADD:
                _align(layer, sources, wait, rates, flow, layers, history)
            streamed.append(dataclasses.replace(layer, in_frames=made, out_frames=made))
            waited = max(wait[name] for name in sources)
        fresh[layer.name], wait[layer.name] = made, waited
        more = frame_bits[written] if layer.extends else 0
        frame_bits[written] = more + layer.out_channels * layer.out_bins * layer.output_bits
    state_bits += sum(frames * frame_bits[name] for name, frames in history.items())
    return StreamedPart(tuple(streamed), state_bits, wait[layers[-1].name])


def _has_window(layer: Layer) -> bool:
    """Whether frames under a kernel make each of its output frames, of which there are several."""
    if layer.kind in POOLS:
        return layer.taps > 1 and layer.out_frames > 1
    return layer.kind in CONVOLUTIONS


def _over_bins(layer: Layer) -> bool:
    """Whether a pool leaves frames apart: it makes one of each frame's bins."""
    return layer.out_frames == layer.in_frames and layer.out_bins < layer.in_bins


def _ring(layer: Layer, fresh: int, hops: int) -> tuple[Layer, int]:
    """A hop of a pool over all frames, and the bits that it keeps of `hops` hops.

    A sum a hop: each hop sums its new frames, adds that to the total, and takes off the sum that
    leaves the window: two operations beside the new frames, in additions and in what is read. A
    maximum a hop: those of all hops are compared beside the new frames.

    What it reads for one output is a row of values, whatever frames and bins they were; a kernel
    that all of them lie under is none.
    """
    average = layer.kind is LayerKind.AVERAGE_POOL
    new = fresh * layer.in_bins // layer.out_bins
    kept = layer.in_channels * layer.out_bins
    bits = layer.accumulator_bits if average else layer.input_bits
    hop = dataclasses.replace(
        layer,
        in_frames=new + (2 if average else hops),
        in_bins=layer.out_bins,
        out_frames=1,
        kernel_size=1,
        kernel_bins=1,
        stride=1,
        bin_stride=1,
        dilation=1,
        bin_dilation=1,
    )
    return hop, hops * kept * bits


def _rates(
    layers: Sequence[Layer], reads: tuple[tuple[str, ...], ...], rate: int
) -> dict[str, int]:
    """Input frames of the network per frame of each tensor: the strides before it."""
    rates = {INPUT: rate}
    for layer, sources in zip(layers, reads, strict=True):
        stride = layer.stride if _has_window(layer) else 1
        rates[layer.name] = rates[sources[0]] * stride
    return rates


def _align(
    layer: Layer,
    sources: tuple[str, ...],
    wait: dict[str, float],
    rates: dict[str, int],
    flow: Flow,
    layers: Sequence[Layer],
    history: dict[str, int],
) -> None:
    """Keep the input of the path that waits less for as long as the other one waits more.

    A residual add needs both of its tensors for the same moment. The main path has waited for the
    future taps of its kernels, a skip has not; so the skip's frames are kept until then. With a 1x1
    convolution on the skip it is that one's input that is kept, which often has a history already:
    `history` is the most that any reader of a tensor needs, not a sum. A convolution before the
    fork is on both paths: others read its output at once, and so that is what is kept.

    Writes into `history`; all else is read.
    """
    if len(sources) < 2:
        return
    first, second = sorted(sources, key=lambda name: wait[name])
    behind = wait[second] - wait[first]
    kept = first
    readers = sum(
        first in read and reader.kind not in IN_LINE
        for reader, read in zip(layers, flow.reads, strict=True)
    )
    names = [each.name for each in layers]
    if kept != INPUT and readers == 1 and layers[names.index(kept)].kind in CONVOLUTIONS:
        kept = flow.reads[names.index(kept)][0]  # before the 1x1 of the path, not behind it
    if kept not in rates:
        raise InvalidLayer(f"{layer.name}: its paths cannot be aligned")
    frames = -(-int(behind) // rates[kept])
    history[kept] = max(history.get(kept, 0), frames)
