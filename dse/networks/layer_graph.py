"""Layers while they are read of a graph, whichever tool wrote it: what its tensors are.

A graph of another tool says shapes, (1, 64, 98); a workload wants channels and frames. So a tensor
of activations is a `Value`: the layer that made it, its channels and frames, and what each axis of
its shape is. Nodes that move or rename numbers change the axes alone:

    (clip, channels, frames)       convolutions want it so
    (clip, channels, one, frames)  a one put in for tools of two dimensions
    (clip, channels, frames, bins) of a network that convolves over frequency, too; in either order
    (clip, flat)                   channels and frames as one axis, for a linear layer
    (clip, frames, channels)       transposed: a linear layer for each frame

`dse.networks.tracing` reads PyTorch's graphs with it, `dse.interchange.onnx_graph` ONNX's.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cost_models.workload import (
    CONVOLUTIONS,
    IN_LINE,
    INPUT,
    STORED,
    TRITS,
    Layer,
    LayerKind,
    Workload,
)
from dse.errors import InvalidInput

MAX_SIZE = 2**31
"""Numbers of a tensor of activations."""
MAX_MACS = 2**53

CLIP, CHANNELS, FRAMES, BINS, ONE, FLAT = "clip", "channels", "frames", "bins", "one", "flat"
"""What an axis of a tensor is; FLAT is channels, frames and bins in one, ONE has size 1."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of activations, as the layer that made it left it.

    Flatten and Reshape change its axes only, so (channels, frames, bins) are still known when a
    linear layer asks for the product of them.
    """

    channels: int
    frames: int
    layer: str
    """That made it; `INPUT` for the network's."""
    axes: tuple[str, ...]
    padding: int = 0
    """Of its frames, zeros put in before and behind: in no memory, a convolution makes them."""
    leading: int = 0
    """Of `padding`, those before."""
    first: int = 0
    """Of the tensor's channels, the first that it has: a part is read where it lies."""
    bins: int = 1
    bin_padding: int = 0
    """Of its bins, as `padding` of its frames."""

    @property
    def numbers(self) -> int:
        """All of a clip."""
        return self.channels * self.frames * self.bins

    def sizes(self, clips: int) -> list[int]:
        """Of the axes."""
        of = {CLIP: clips, CHANNELS: self.channels, FRAMES: self.frames, BINS: self.bins, ONE: 1}
        return [of.get(axis, self.numbers) for axis in self.axes]

    @property
    def place(self) -> int | None:
        """The axis of the frames; of a size of 1 where those were squeezed away; None for none.

        None also where channels are not the axis behind the clips: convolutions want them there.
        """
        if self.axes[:2] != (CLIP, CHANNELS):
            return None
        if FRAMES in self.axes:
            return self.axes.index(FRAMES)
        free = [at for at, axis in enumerate(self.axes) if at > 1 and axis != BINS]
        return free[0] if self.frames == 1 and free else None

    @property
    def space(self) -> tuple[str, ...]:
        """What the axes behind clips and channels are, of a tensor that has a `place`.

        FRAMES stands at that place, even where frames of one were squeezed away before.
        """
        return tuple(
            FRAMES if at == self.place else axis for at, axis in enumerate(self.axes) if at > 1
        )


class LayerGraph:
    """Layers that have been read so far, in order of execution, and the tensors they write."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.place_of: dict[str, int] = {INPUT: -1}  # layers by name; one may be called `input`
        self.root_of: dict[str, str] = {INPUT: INPUT}
        """Of each layer, the one whose tensor it writes: in line, or as further channels."""
        self.tensor_channels: dict[str, int] = {}
        """By the layers that `root_of` names."""
        self.clips = 1
        self.cut_in_front = False
        """Whether frames were cut off in front anywhere: what is ahead of which is then not known.
        """
        self.notes: list[str] = []

    def append(self, name: str, kind: LayerKind, like: Value, **other: Any) -> Value:
        """Append a layer that reads a tensor, and say what it makes.

        Args:
            name: of the layer; made distinct where another one has it.
            kind: of the layer.
            like: what it reads; its shape comes out again.
            other: fields of the layer that differ from that, and `axes` of what comes out.

        Raises:
            InvalidInput: the layer is larger than any network's, or contradicts itself.
        """
        axes = other.pop("axes", like.axes)
        name = self.free_name(name)
        before = self.layers[-1].name if self.layers else INPUT
        reads = () if like.layer == before else (like.layer,)
        size = {"in_channels": like.channels, "in_frames": like.frames, "reads": reads}
        size |= {"out_channels": like.channels, "out_frames": like.frames}
        size |= {"in_bins": like.bins, "out_bins": like.bins}
        layer = Layer(name=name, kind=kind, **(size | other))
        if layer.out_channels * layer.out_pixels >= MAX_SIZE or layer.macs >= MAX_MACS:
            raise InvalidInput(f"it is too large: it makes {MAX_SIZE:,} numbers or more")
        self.place_of[name] = len(self.layers)
        self.layers.append(layer)
        self.root_of[name] = self.root_of[like.layer] if kind in IN_LINE else name
        self.tensor_channels.setdefault(self.root_of[name], layer.out_channels)
        first = like.first if kind in IN_LINE else 0
        made = (layer.out_channels, layer.out_frames, name, axes)
        return Value(*made, first=first, bins=layer.out_bins)

    def free_name(self, name: str) -> str:
        """A distinct name for the next layer."""
        return name if name not in self.place_of else f"{name}#{len(self.layers)}"

    def made_by(self, value: Value) -> Layer | None:
        """The layer that made a tensor; None for the network's input."""
        place = self.place_of[value.layer]
        return None if place < 0 else self.layers[place]

    def replace(self, name: str, **changes: Any) -> None:
        """Change fields of a layer that has been read already."""
        place = self.place_of[name]
        self.layers[place] = dataclasses.replace(self.layers[place], **changes)

    def folds(self, value: Value) -> bool:
        """Whether a batch norm of this tensor, which nobody else reads, is merged into weights.

        It goes into trained weights for nothing (w * scale, b + offset). Into a ternary matrix it
        cannot: the entries would not be -1, 0, +1 any more, so it stays and is priced.
        """
        before = self.made_by(value)
        whole = before is not None and before.out_channels == value.channels
        return before is not None and whole and before.weights in STORED - TRITS

    def join(self, values: Sequence[Value]) -> Value:
        """Tensors side by side as the channels of one: no layer, as each is written in its place.

        The writers of all but the first tensor extend that one's. Parts of a tensor may be joined
        again if together they are all of it.

        Raises:
            InvalidInput: something would have to be copied; the sentence begins with what.
        """
        groups: list[list[Value]] = []
        for value in values:
            root = self.root_of[value.layer]
            last = groups[-1][-1] if groups else None
            if last and self.root_of[last.layer] == root:
                if value.first != last.first + last.channels:
                    raise InvalidInput("joins parts of a tensor in another order")
                groups[-1].append(value)
            else:
                groups.append([value])
        roots = [self.root_of[group[0].layer] for group in groups]
        if len(groups) > 1:
            self._check_joined(groups, roots)
        early, *others = sorted(roots, key=lambda name: self.place_of[name])
        for root in others:
            self._extend(early, root)
        latest = max((value.layer for value in values), key=lambda name: self.place_of[name])
        channels, first = sum(value.channels for value in values), groups[0][0].first
        first = first if not others else 0
        return dataclasses.replace(values[0], channels=channels, layer=latest, first=first)

    def _check_joined(self, groups: list[list[Value]], roots: list[str]) -> None:
        if INPUT in roots:
            raise InvalidInput("joins the network's input to what is made of it")
        if len(set(roots)) < len(roots):
            raise InvalidInput("joins a tensor to itself")
        for group, root in zip(groups, roots, strict=True):
            channels = sum(value.channels for value in group)
            if group[0].first or channels != self.tensor_channels[root]:
                raise InvalidInput("joins part of a tensor to another one")

    def _extend(self, early: str, root: str) -> None:
        """All that writes the tensor of `root` appends to that of `early` from now on."""
        for name, of in list(self.root_of.items()):
            if of == root:
                self.root_of[name] = early
                layer = self.layers[self.place_of[name]]
                if layer.kind not in IN_LINE:
                    self.replace(name, extends=early)
        self.tensor_channels[early] += self.tensor_channels.pop(root)

    def workload(self, name: str) -> Workload:
        """The layers under a name.

        Raises:
            InvalidInput: there are none.
        """
        if not self.layers:
            raise InvalidInput(f"{name} has no layer that a machine executes")
        layers = tuple(self.layers)
        if self.cut_in_front:
            layers = tuple(dataclasses.replace(layer, ahead_frames=None) for layer in layers)
        return Workload(name, layers)


def ahead_of(read: Value, before: int, behind: int, span: int) -> int | None:
    """Frames that a kernel sees ahead of its output's own: `Layer.ahead_frames`.

        output t sees the inputs t - before ... t - before + span

    Known where as many frames come out as went in, so that outputs and inputs have one clock. None
    where fewer do, and of a kernel that is as symmetric as its taps allow.

    Args:
        read: what it reads, perhaps padded already.
        before: zeros that the layer itself puts in before the frames.
        behind: likewise behind them.
        span: (kernel_size - 1) * dilation.
    """
    before, behind = before + read.leading, behind + read.padding - read.leading
    if before + behind < span or abs(2 * before - span) <= 1:
        return None
    return max(span - before, 0)


def convolution_kind(taps: int, groups: int, inputs: int, outputs: int) -> LayerKind:
    """What a convolution is called: one of single frames, of single channels, or any other."""
    if groups == inputs == outputs and groups > 1:
        return LayerKind.DEPTHWISE
    return LayerKind.POINTWISE if taps == 1 else LayerKind.CONVOLUTION


def axes_of(sizes: Sequence[int], read: Value, clips: int) -> tuple[str, ...] | None:
    """What the axes of a new shape are; None where they are none of the old ones, in order."""
    sizes = list(sizes)
    if sizes == [read.numbers] and clips == 1:
        return (FLAT,)
    if len(sizes) < 2 or sizes[0] != clips:
        return None
    rest = sizes[1:]
    if rest == [read.channels] and read.numbers == read.channels:
        return (CLIP, CHANNELS)
    if rest == [read.numbers]:
        return (CLIP, FLAT)
    # Frames and bins in the order that they had, which flattening forgets; ones come and go.
    of = {FRAMES: read.frames, BINS: read.bins}
    kept = [axis for axis, size in of.items() if size > 1]
    if len(kept) > 1:
        kept = [axis for axis in read.axes if axis in of]
    large = [size for size in rest[1:] if size > 1]
    if rest[0] != read.channels or large != [of[axis] for axis in kept]:
        return None
    names = iter(kept)
    return (CLIP, CHANNELS, *(next(names) if size > 1 else ONE for size in rest[1:]))


def banded(sizes: Sequence[int], read: Value) -> Value | None:
    """Bands of bins as channels of their own, or back: the numbers lie as they lay.

    Of C channels of 20 bins, 4 C channels of 5: what a norm of sub-bands (BC-ResNet) normalises.
    None where a new shape is something else. The axis behind the channels is the one in bands.
    """
    space = read.axes[2:]
    if read.axes[:2] != (CLIP, CHANNELS) or space not in ((BINS, FRAMES), (FRAMES, BINS)):
        return None
    if len(sizes) != 4 or min(sizes) < 1 or read.first:
        return None
    _, channels, inner, outer = sizes
    old_inner, old_outer = read.sizes(1)[2:]
    if channels * inner != read.channels * old_inner or outer != old_outer:
        return None
    if space[0] == BINS:
        return dataclasses.replace(read, channels=channels, bins=inner)
    return dataclasses.replace(read, channels=channels, frames=inner)


def frames_first(read: Value) -> bool:
    """Whether channels do not come first of what lies in one axis, if all becomes one."""
    large = [axis for axis, size in zip(read.axes, read.sizes(1), strict=True) if size > 1]
    return CHANNELS in large and large[0] != CHANNELS


def has_weights(layer: Layer | None) -> bool:
    """Whether a layer multiplies or adds its inputs by a tensor of weights."""
    return layer is not None and layer.kind in CONVOLUTIONS
