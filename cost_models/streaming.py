"""Always-on spotting: compute only what is new, and keep what later frames will need.

Every hop brings a few new frames. Each layer computes only the outputs that these make possible,
and reads, beside the new inputs, the history that its kernel still covers: (K - 1) * dilation
frames, kept in the activations' memory. Symmetric padding makes a layer wait for (K - 1) / 2 *
dilation frames to come; a path around it must wait as long, so its input is kept, too. The average
over the window is a ring of sums, one per hop: the newest comes in, the oldest goes out.

    history of a tensor  = the most that one of its readers needs, in frames
    state                = history * channels * bits, over all tensors, and the ring of sums
    latency of a decision: frames that the network waits for, and the cycles of a hop

A convolution of K = 5 taps, dilation 1, stride 1, with hops of two frames:

    input     h h h h n n        h kept from earlier hops: (5 - 1) * 1 = 4;   n new
              [-------]          taps of the first new output
                [-------]        taps of the second: 2 outputs from 6 frames, nothing padded

So a hop costs what 2 outputs cost, where an inference of the whole window computes all of them
again; that is what the state is paid for. The workload of a hop is priced like any other, with the
history read from the activations' memory with the new frames.
"""

import dataclasses
from dataclasses import dataclass

from cost_models.errors import InvalidInput, InvalidLayer
from cost_models.residency import trace_flow
from cost_models.workload import CONVOLUTIONS, INPUT, Layer, LayerKind, Workload


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
    layers = workload.layers
    flow = trace_flow(layers)
    reads, rate = flow.reads, _rates(layers, flow.reads)
    total_stride = max(rate.values())
    if hop_frames < 1 or hop_frames % total_stride:
        raise InvalidInput(
            f"a hop of {hop_frames} frames does not fit the network's strides: use a multiple of "
            f"{total_stride}"
        )
    if hop_frames > layers[0].in_frames:
        raise InvalidInput(
            f"a hop of {hop_frames} frames is longer than the {layers[0].in_frames} frames of an "
            "inference: use a shorter hop, or more frames"
        )
    names = {layer.name: index for index, layer in enumerate(layers)}
    # Of each tensor: frames that a hop brings, at its own rate; and how many input frames beyond
    # the moment that it describes must have been seen before it can be computed.
    fresh, wait = {INPUT: hop_frames}, {INPUT: 0.0}
    history: dict[str, int] = {}
    channel_bits = {INPUT: layers[0].in_channels * layers[0].input_bits}
    streamed: list[Layer] = []
    state_bits = 0
    for layer, sources, written in zip(layers, reads, flow.writes, strict=True):
        source = sources[0]
        made = fresh[source]
        if layer.kind in CONVOLUTIONS:
            span = (layer.kernel_size - 1) * layer.dilation
            made = fresh[source] // layer.stride
            needed = (made - 1) * layer.stride + span + 1  # a stream has no padding
            history[source] = max(history.get(source, 0), max(needed - fresh[source], 0))
            streamed.append(dataclasses.replace(layer, in_frames=needed, out_frames=made))
            # Half of the taps lie in the future of a symmetric kernel; a frame behind strides
            # stands for `rate` frames of the input.
            waited = wait[source] + span / 2 * rate[source]
        elif layer.kind is LayerKind.AVERAGE_POOL:
            # A ring of one sum a hop. Each hop sums its new frames, adds that to the total, and
            # takes off the sum that leaves the window: two operations beside the new frames, in
            # additions and in what is read.
            hops = -(-layer.in_frames // fresh[source])
            state_bits += hops * layer.in_channels * layer.accumulator_bits
            made = 1
            streamed.append(dataclasses.replace(layer, in_frames=fresh[source] + 2, out_frames=1))
            waited = wait[source]
        else:
            if layer.kind is LayerKind.RESIDUAL_ADD:
                _align(layer, sources, wait, rate, layers, names, reads, history)
            streamed.append(dataclasses.replace(layer, in_frames=made, out_frames=made))
            waited = max(wait[name] for name in sources)
        fresh[layer.name], wait[layer.name] = made, waited
        more = channel_bits[written] if layer.extends else 0
        channel_bits[written] = more + layer.out_channels * layer.output_bits
    state_bits += sum(frames * channel_bits[name] for name, frames in history.items())
    last = layers[-1].name
    return Stream(
        workload=Workload(workload.name, tuple(streamed)),
        hop_frames=hop_frames,
        state_bits=state_bits,
        wait_frames=round(wait[last]),
    )


def _rates(layers: tuple[Layer, ...], reads: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    """Input frames per frame of each tensor: the strides before it."""
    rate = {INPUT: 1}
    for layer, sources in zip(layers, reads, strict=True):
        stride = layer.stride if layer.kind in CONVOLUTIONS else 1
        rate[layer.name] = rate[sources[0]] * stride
    return rate


def _align(
    layer: Layer,
    sources: tuple[str, ...],
    wait: dict[str, float],
    rate: dict[str, int],
    layers: tuple[Layer, ...],
    names: dict[str, int],
    reads: tuple[tuple[str, ...], ...],
    history: dict[str, int],
) -> None:
    """Keep the input of the path that waits less for as long as the other one waits more.

    A residual add needs both of its tensors for the same moment. The main path has waited for the
    future taps of its kernels, a skip has not; so the skip's frames are kept until then. With a 1x1
    convolution on the skip it is that one's input that is kept, which often has a history already:
    `history` is the most that any reader of a tensor needs, not a sum.

    Writes into `history`; all else is read.
    """
    if len(sources) < 2:
        return
    first, second = sorted(sources, key=lambda name: wait[name])
    behind = wait[second] - wait[first]
    kept = first
    if kept != INPUT and layers[names[kept]].kind in CONVOLUTIONS:
        kept = reads[names[kept]][0]  # before the 1x1 of the path, not behind it
    if kept not in rate:
        raise InvalidLayer(f"{layer.name}: its paths cannot be aligned")
    frames = -(-int(behind) // rate[kept])
    history[kept] = max(history.get(kept, 0), frames)
