"""Families of residual blocks in a row: MatchboxNet, QuartzNet and TC-ResNet, as tables.

A network of such a family is a first layer, B residual blocks, two last layers or none, and a head:

    MatchboxNet      Conv1 | B1 | B2 | B3                     | Conv2 | Conv3 | pooled head
    QuartzNet 10x5   C1    | B1   B2 | B3   B4 | ... B9   B10 | C2    | C3    | framewise head
                             block 1   block 2       block 5
    TC-ResNet14      Conv1 | B1   B2 | B3   B4 | B5   B6                      | pooled head
    axes             prologue_*   numbered: channels_b2, ...    epilogue_*  final_channels

A *numbered block* of the axes stands `block_repeats` times in a row, where the family has that
axis, and once where it has not: then `channels_b2` is of B3 and B4 above, and ternary matrices,
which are a function of the names, differ among the copies.

Parts by index: 0 is the first layer, 1 to N the residual blocks with their copies, then the last
layers, then the head. A family is what `residual_family` makes of its defaults; an axis that is
marked `per_block` may also be given for one block: it then overrides the value for all.

Where a family has the axis `separable`, a block is either separable, and what mixes its channels is
a 1x1 that any mixing layer may stand for, or its convolutions go over all channels and are dense:
then `block_mixer` is not asked for, and policies replace its skip alone.
"""

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from dse.design.families import mixing
from dse.design.families.family import Axis, Family, Part, Value, Values, dropout_axis, unnamed
from dse.design.mixer import DENSE, IDENTITY, SEEDED_KINDS, Mixer, MixerKind
from dse.design.point import INPUT_BITS, Block, Head, check_block
from dse.design.policies import replaced
from dse.design.replacement import LEVELS, Replaced, replaced_places
from dse.errors import InvalidDesign

PLACES = ("block_mixer", "skip", "prologue_mixer", "epilogue_mixer", "final_mixer")
"""In the order in which policies replace what stands there."""
AROUND = PLACES[2:]
"""Those of no numbered block."""
BEHIND = (
    "epilogue_mixer",
    "final_mixer",
    "epilogue_channels",
    "epilogue_kernel",
    "epilogue_dilation",
    "epilogue_dropout",
    "final_channels",
)
"""Axes of the two layers behind the blocks, which families without such layers have not."""
COPIES = "block_repeats"
"""The axis that says how often a numbered block stands in a row, for families that have it."""
WIDTH = "width_percent"
"""The axis that scales all widths at once, for families that have it."""
CONVOLUTIONAL = ("separable", "prologue_separable", WIDTH)
"""Axes of families whose convolutions go over all channels, unless they are made separable."""

_SIZES_NOTHING = ("stride", "dilation", "prologue_stride", "epilogue_dilation")
"""Axes that change no number of trained parameters, on which `half` does not depend."""


def _mixer_axis(
    text: str, *, per_block: bool = False, options: tuple[str, ...] = mixing.PLACE_KINDS
) -> Axis:
    return Axis(default="dense", options=options, per_block=per_block, decides=True, help=text)


def _bits(default: int, options: tuple[Value, ...], text: str) -> Axis:
    return Axis(default=default, options=options, per_block=True, beyond_blocks=True, help=text)


AXES: dict[str, Axis] = {
    # What decides which other axes matter comes first.
    "blocks": Axis(default=3, maximum=32, decides=True, help="residual blocks B"),
    COPIES: Axis(
        default=1,
        maximum=16,
        per_block=True,
        decides=True,
        help="how often a block stands in a row",
    ),
    "separable": Axis(
        default=True,
        options=(True, False),
        per_block=True,
        decides=True,
        help="depthwise then 1x1, not one convolution over all channels",
    ),
    "prologue_separable": Axis(
        default=True, options=(True, False), decides=True, help="the same of the first layer"
    ),
    "policy": mixing.policy_axis(PLACES, "named choice of all mixers and skips"),
    "policy_mixer": mixing.POLICY_MIXER,
    "block_mixer": _mixer_axis("1x1 of the residual blocks", per_block=True),
    "skip": _mixer_axis("path around a block", per_block=True, options=mixing.SKIPS),
    "prologue_mixer": _mixer_axis("1x1 of the first layer (Conv1, C1)"),
    "epilogue_mixer": _mixer_axis("1x1 of the layer behind the blocks (Conv2, C2)"),
    "final_mixer": _mixer_axis("the last layer, a 1x1 (Conv3, C3)"),
    **mixing.AXES,
    "repeats": Axis(default=1, per_block=True, help="sub-blocks R of a block"),
    WIDTH: Axis(
        default=100, maximum=4_096, help="percent of all channels, rounded down: 150 is k = 1.5"
    ),
    "channels": Axis(default=64, per_block=True, help="channels C of a block"),
    "kernel": Axis(default=13, per_block=True, odd=True, help="kernel of the first block, odd"),
    "kernel_growth": Axis(default=0, minimum=0, help="added to the kernel from block to block"),
    "stride": Axis(default=1, per_block=True, help="stride of a block"),
    "dilation": Axis(default=1, per_block=True, help="dilation of a block"),
    "dropout": dropout_axis("dropout of a block", per_block=True),
    "weight_bits": _bits(8, (8, 4, 2), "bits of trained weights"),
    "activation_bits": _bits(8, (8, 4), "bits of the tensors that a block makes"),
    "skip_norm": Axis(default=True, options=(True, False), help="batch norm on every skip"),
    "prologue_channels": Axis(default=128, help="channels of the first layer"),
    "prologue_kernel": Axis(default=11, odd=True, help="kernel of the first layer, odd"),
    "prologue_stride": Axis(default=1, help="stride of the first layer"),
    "prologue_dropout": dropout_axis("dropout of the first layer"),
    "epilogue_channels": Axis(default=128, help="channels of the layer behind the blocks"),
    "epilogue_kernel": Axis(
        default=29, odd=True, help="kernel of the layer behind the blocks, odd"
    ),
    "epilogue_dilation": Axis(default=2, help="dilation of the same"),
    "epilogue_dropout": dropout_axis("dropout of both layers behind the blocks"),
    "final_channels": Axis(default=128, help="channels of the last layer"),
}
"""All axes that such a family may have, in the order in which they are decided."""


def residual_family(
    *,
    name: str,
    default: str,
    layers: tuple[str, ...],
    head: Head,
    defaults: Mapping[str, Value | tuple[Value, ...]],
    named: Callable[[str], Values | None] = unnamed,
    without: tuple[str, ...] = (),
    features: int = 64,
    width: str = "channels",
) -> Family:
    """A family of residual blocks, from what is its own.

    Args:
        name: as `space.family` has it.
        default: what the network is where all axes stand at their defaults, for people.
        layers: names of the layer before the blocks, and of the two behind them, if there are any.
        head: of all its networks.
        defaults: axis -> default; of an axis for each block also those of the first, second, ...
        named: see `Family`.
        without: axes that it has not; those of layers that it has not are left out by themselves.
        features: a frame, of its published networks.
        width: the axis that a budget solves.

    Raises:
        InvalidDesign: a default is of no axis, or there are other layers than one or three.
    """
    if len(layers) not in (1, 3):
        raise InvalidDesign(
            f"family {name}: layers must name the layer before the blocks, or that and the two "
            f"behind them, not {len(layers)} layers"
        )
    without = (*without, *(BEHIND if len(layers) == 1 else ()))
    axes = {key: axis for key, axis in AXES.items() if key not in without}
    for key in defaults:
        if key not in axes:
            raise InvalidDesign(f"family {name}: defaults has '{key}'; axes are {', '.join(axes)}")
    for key, value in defaults.items():
        own = value if isinstance(value, tuple) else (value,)
        of_blocks = value if isinstance(value, tuple) else ()
        axes[key] = dataclasses.replace(axes[key], default=own[0], of_blocks=of_blocks)
    if "kernel_growth" in defaults:
        axes["kernel"] = dataclasses.replace(
            axes["kernel"], step=int(axes["kernel_growth"].default)
        )
    if "separable" in axes:
        # A mixing layer is tried in a block that has a place for it. A kernel of 1 would be a place
        # in a block that is not separable.
        axes |= {key: _tried_separable(axis) for key, axis in axes.items()}
        for key in ("kernel", "prologue_kernel"):
            axes[key] = dataclasses.replace(axes[key], minimum=3)
    places = tuple(place for place in PLACES if place in axes)
    # The functions read defaults of the family that they are of.
    family: Family = Family(
        name=name,
        default=default,
        axes=axes,
        matters=lambda axis, values: matters(family, axis, values),
        parts=lambda values: _row(family, values).head + 1,
        part=lambda values, index, channels: _part(family, layers, values, index, channels),
        reach=lambda axis, values: _reach(
            family, axis, _row(family, values), values.get("policy") == "half"
        ),
        head=head,
        places=places,
        named=named,
        features=features,
        width=width,
    )
    return family


def _tried_separable(axis: Axis) -> Axis:
    if "block_mixer" not in axis.beside:
        return axis
    return dataclasses.replace(axis, beside={**axis.beside, "separable": True})


@dataclass(frozen=True, slots=True)
class _Row:
    """Which parts the numbered blocks are: block n is those from `starts[n - 1]` on."""

    starts: tuple[int, ...]
    """Of each numbered block the index of its first copy, and the one behind the last block."""
    behind: int
    """Layers between the blocks and the head."""

    @property
    def blocks(self) -> int:
        """Numbered blocks."""
        return len(self.starts) - 1

    @property
    def end(self) -> int:
        """The index of the first part behind the residual blocks."""
        return self.starts[-1]

    @property
    def head(self) -> int:
        """The index of the head, the last part."""
        return self.end + self.behind

    def parts(self, number: int | None) -> range:
        """The parts of a numbered block, none of one that is not there; of all where it is None."""
        if number is None:
            return range(1, self.end)
        if number > self.blocks:
            return range(self.end, self.end)
        return range(self.starts[number - 1], self.starts[number])

    def number(self, index: int) -> int | None:
        """The numbered block of a part; None of a part that is none."""
        if not 1 <= index < self.end:
            return None
        return bisect.bisect_right(self.starts, index)


def _row(family: Family, values: Mapping[str, Value]) -> _Row:
    numbers = range(1, int(family.get(values, "blocks")) + 1)
    behind = 2 if "final_channels" in family.axes else 0
    if COPIES not in family.axes:
        return _made(tuple(1 for _ in numbers), behind)
    return _made(tuple(int(family.get(values, COPIES, number)) for number in numbers), behind)


@cache
def _made(copies: tuple[int, ...], behind: int) -> _Row:
    """A sweep asks for the same few, for each part anew."""
    return _Row(tuple(itertools.accumulate(copies, initial=1)), behind)


def _is_separable(family: Family, values: Mapping[str, Value], number: int | None) -> bool:
    """Whether a numbered block is, or for None the first layer."""
    axis = "prologue_separable" if number is None else "separable"
    return axis not in family.axes or bool(family.get(values, axis, number))


# --- which axes matter


def matters(family: Family, name: str, values: Mapping[str, Value]) -> bool:
    """Whether an axis changes the network, given the axes before it.

    A block that is not there has no channels, and a network without ternary matrices no density.
    """
    base, block = family.split(name)
    blocks = int(family.get(values, "blocks"))
    if block is not None and block > blocks:
        return False
    if base in PLACES:
        return "policy" not in values and _has_place(family, values, base, block)
    if base == "kernel_growth":
        grows = "kernel" in values or not family.axes["kernel"].of_blocks
        return blocks > 1 and grows
    if base == "policy_mixer":
        return str(family.get(values, "policy")) != "P0"
    if base in mixing.AXES:
        own = family.axes[base].per_block
        kinds = kinds_with(family, values, base, block) if own else kinds_used(family, values)
        return mixing.matters(base, values, kinds)
    return True


def _has_place(family: Family, values: Mapping[str, Value], base: str, block: int | None) -> bool:
    """Whether a mixing layer can stand at a place: no block that is not separable has a 1x1."""
    if base == "prologue_mixer":
        return _is_separable(family, values, None)
    numbers = range(1, int(family.get(values, "blocks")) + 1) if block is None else (block,)
    return base != "block_mixer" or any(_is_separable(family, values, each) for each in numbers)


def kinds_used(family: Family, values: Mapping[str, Value]) -> frozenset[MixerKind]:
    """Kinds of mixing layers, the dense one aside, that a network of these values may have."""
    numbers = range(1, int(family.get(values, "blocks")) + 1)
    return _kinds_around(family, values).union(
        *(_kinds_of_block(family, values, number) for number in numbers)
    )


def kinds_with(
    family: Family, values: Mapping[str, Value], axis: str, block: int | None
) -> frozenset[MixerKind]:
    """Those of the places that take their density or size from one axis.

    Args:
        family: of the network.
        values: of its axes.
        axis: that may be given for each block, such as `density`.
        block: whose own axis it is; None for the one of all blocks that have none of their own.
    """
    if block is not None:
        return _kinds_of_block(family, values, block)
    numbers = range(1, int(family.get(values, "blocks")) + 1)
    others = [number for number in numbers if f"{axis}_b{number}" not in values]
    return _kinds_around(family, values).union(
        *(_kinds_of_block(family, values, number) for number in others)
    )


def _kinds_around(family: Family, values: Mapping[str, Value]) -> frozenset[MixerKind]:
    """Kinds in the layers that are no numbered block."""
    mixes = _is_separable(family, values, None)
    if "policy" in values:
        there = mixes or "final_mixer" in family.axes
        replaces = there and str(values["policy"]) in ("P3", "P4")
        return _not_dense([family.get(values, "policy_mixer")] if replaces else [])
    names = [name for name in AROUND if name in family.axes]
    return _not_dense(
        [family.get(values, name) for name in names if mixes or name != "prologue_mixer"]
    )


def _kinds_of_block(
    family: Family, values: Mapping[str, Value], number: int
) -> frozenset[MixerKind]:
    """Kinds in a numbered block; of `half`, those that it may have."""
    mixes = _is_separable(family, values, number)
    if "policy" not in values:
        skip = str(family.get(values, "skip", number)).removeprefix("identity_or_")
        return _not_dense([family.get(values, "block_mixer", number) if mixes else "dense", skip])
    parts = _row(family, values).parts(number)
    policy = values["policy"]
    if policy == "alternate":
        replaces = mixes and any(index % 2 == 0 for index in parts)
    else:
        replaces = policy not in (("P0",) if mixes else ("P0", "P1"))
    return _not_dense([family.get(values, "policy_mixer")] if replaces else [])


def _not_dense(kinds: list[Any]) -> frozenset[MixerKind]:
    return frozenset(kind for kind in kinds if kind not in ("dense", "none"))


# --- what an axis reaches


@cache
def _reach(family: Family, name: str, row: _Row, half: bool) -> range | tuple[int, ...]:
    """Parts that an axis may change, or whose input it changes.

        index    0     1   ...  end - 1   end    end + 1   end + 2
        part    first  B1  ...    BN       last two         head
        part    first  B1  ...    BN      head                       without last layers

    A width changes the block that has it and the next one, which reads it. A stride changes all
    parts from its own on, as they see fewer frames. Dropout changes no cost. What `half` replaces
    depends on the trained parameters of all blocks, and so on every axis that changes one. Whatever
    is not named here (policy, mixers, density, seed, what is separable, all widths at once) is
    taken to reach everything: slower, never wrong.
    """
    base, number = family.split(name)
    end, everywhere, own = row.end, range(row.head + 1), row.parts(number)
    if base.endswith("dropout"):
        return ()
    if half and base not in _SIZES_NOTHING:
        return everywhere
    if base in ("prologue_stride", "prologue_separable"):
        return everywhere
    if base == "prologue_channels":
        return (0, 1)
    if base.startswith("prologue_") and base not in PLACES:
        return (0,)
    if base == "epilogue_channels":
        return (end, end + 1)
    if base.startswith("epilogue_") and base not in PLACES:
        return (end,)
    if base == "final_channels":
        return (end + 1, end + 2)
    if base == "stride":
        return range(own.start, row.head + 1)
    if base == "channels":
        return range(own.start, own.stop + 1)
    if base in ("repeats", "kernel", "kernel_growth", "dilation", "skip_norm"):
        return own
    if number is not None and (base == "weight_bits" or base in mixing.AXES):
        return own
    if number is not None and base == "activation_bits":
        return range(own.start, own.stop + 1)
    return everywhere


# --- the parts


def _part(
    family: Family,
    layers: tuple[str, ...],
    values: Mapping[str, Value],
    index: int,
    in_channels: int,
) -> Part:
    """One block of the network that `values` describe, or its head, whatever is wrong with others.

    Raises:
        InvalidDesign: this block cannot be built.
    """
    build = _Builder(family, layers, values, _row(family, values))
    before, strides = build.reads(index, in_channels), build.strides_before(index)
    bits = build.bits_before(index)
    if index == build.row.head:
        return Part(family.head, before, strides, in_bits=bits)
    # A network without random matrices is the same network whatever their seed would be.
    seeded = not SEEDED_KINDS.isdisjoint(kinds_used(family, values))
    seed = int(family.get(values, "ternary_seed")) if seeded else 1
    block, policy = build.block(index), str(family.get(values, "policy"))
    if policy != "P0":
        kind = family.get(values, "policy_mixer")
        mixer = mixing.build_mixer(values, kind, build.row.number(index))
        block = replaced(block, before, build.replaced(policy, index, in_channels), mixer)
    check_block(block, before)
    return Part(block, before, strides, seed, bits)


@dataclass(frozen=True, slots=True)
class _Builder:
    """Builds single blocks of one network."""

    family: Family
    layers: tuple[str, ...]
    values: Mapping[str, Value]
    row: _Row

    def get(self, axis: str, number: int | None = None) -> Any:
        """What the network has of an axis, in a numbered block or beside them."""
        return self.family.get(self.values, axis, number)

    def width(self, axis: str, number: int | None = None) -> int:
        """Channels by their axis; scaled where the family has an axis for that, to one at least."""
        channels = int(self.get(axis, number))
        if WIDTH not in self.family.axes:
            return channels
        return max(channels * int(self.get(WIDTH)) // 100, 1)

    def reads(self, index: int, in_channels: int) -> int:
        """Channels that a part reads."""
        if index == 0:
            return in_channels
        if index == 1:
            return self.width("prologue_channels")
        if index <= self.row.end:
            return self.width("channels", self.row.number(index - 1))
        last = index == self.row.end + 1
        return self.width("epilogue_channels" if last else "final_channels")

    def strides_before(self, index: int) -> tuple[int, ...]:
        """Strides of the parts before one."""
        return tuple(self.stride(before) for before in range(min(index, self.row.end)))

    def stride(self, index: int) -> int:
        """Of the first layer, or of a residual block; of copies the first one strides."""
        number = self.row.number(index)
        if number is None:
            return int(self.get("prologue_stride"))
        return int(self.get("stride", number)) if index in self.row.starts else 1

    def bits_before(self, index: int) -> int:
        """Bits of a value that a part reads."""
        return INPUT_BITS if index == 0 else int(self.get("activation_bits", self._number(index)))

    def _number(self, index: int) -> int | None:
        return self.row.number(index - 1)

    def replaced(self, policy: str, index: int, in_channels: int) -> Replaced:
        """What a policy replaces of a block."""
        if policy in LEVELS:
            [places] = replaced_places(policy, [self.block(index)], 0)
            return places
        blocks = [self.block(each) for each in range(self.row.head)]
        return replaced_places(policy, blocks, in_channels)[index]

    def block(self, index: int) -> Block:
        """The first layer, a residual block or one of the last two, before any policy."""
        if index == 0:
            return self._first()
        if index < self.row.end:
            return self._residual(index)
        return self._behind() if index == self.row.end else self._last()

    def _bits(self, number: int | None = None) -> dict[str, Any]:
        """Bits of a numbered block, or of the other layers, which have those of all."""
        return {name: self.get(name, number) for name in ("weight_bits", "activation_bits")}

    def _mixer(self, axis: str, number: int | None = None) -> Mixer:
        return mixing.build_mixer(self.values, self.get(axis, number), number)

    def _first(self) -> Block:
        separable = _is_separable(self.family, self.values, None)
        return Block(
            name=self.layers[0],
            out_channels=self.width("prologue_channels"),
            kernel_size=int(self.get("prologue_kernel")),
            stride=int(self.get("prologue_stride")),
            dropout=float(self.get("prologue_dropout")),
            separable=separable,
            mixer=self._mixer("prologue_mixer") if separable else DENSE,
            **self._bits(),
        )

    def _residual(self, index: int) -> Block:
        number = self.row.number(index)
        assert number is not None  # as the caller looked
        channels, stride = self.width("channels", number), self.stride(index)
        skip = self._skip(number, self.reads(index, 0) == channels and stride == 1)
        separable = _is_separable(self.family, self.values, number)
        return Block(
            name=f"B{index}",
            out_channels=channels,
            kernel_size=self._kernel(number),
            repeats=self.get("repeats", number),
            stride=stride,
            dilation=self.get("dilation", number),
            dropout=float(self.get("dropout", number)),
            separable=separable,
            mixer=self._mixer("block_mixer", number) if separable else DENSE,
            skip=skip,
            skip_norm=self._skip_norm(skip),
            **self._bits(number),
        )

    def _behind(self) -> Block:
        return Block(
            name=self.layers[1],
            out_channels=self.width("epilogue_channels"),
            kernel_size=int(self.get("epilogue_kernel")),
            dilation=int(self.get("epilogue_dilation")),
            dropout=float(self.get("epilogue_dropout")),
            mixer=self._mixer("epilogue_mixer"),
            **self._bits(),
        )

    def _last(self) -> Block:
        return Block(
            name=self.layers[2],
            out_channels=self.width("final_channels"),
            kernel_size=1,
            dropout=float(self.get("epilogue_dropout")),
            separable=False,
            mixer=self._mixer("final_mixer"),
            **self._bits(),
        )

    def _kernel(self, number: int) -> int:
        """A block's own kernel where it is given, else kernel + (number - 1) * kernel_growth.

        Where nobody gives a kernel, and blocks have defaults that follow no growth, those.
        """
        own = f"kernel_b{number}"
        by_default = "kernel" not in self.values and self.family.axes["kernel"].of_blocks
        if own in self.values or by_default:
            return int(self.get("kernel", number))
        return int(self.get("kernel")) + (number - 1) * int(self.get("kernel_growth"))

    def _skip(self, number: int, same: bool) -> Mixer | None:
        """The path around a block; `identity_or_...` is an identity where that fits."""
        skip = str(self.get("skip", number))
        if skip == "none":
            return None
        if skip.startswith("identity_or_") and same:
            return IDENTITY
        kind: Any = skip.removeprefix("identity_or_")
        return mixing.build_mixer(self.values, kind, number)

    def _skip_norm(self, skip: Mixer | None) -> bool:
        """Whether the path around a block is normalised; of every 1x1 where no axis says."""
        if "skip_norm" in self.family.axes:
            return bool(self.get("skip_norm"))
        return skip is None or skip.kind != "identity"
