"""The DS-CNN family: features as bins, convolutions over time and frequency, one answer a clip.

DS-CNN (Zhang et al., Hello Edge, arXiv 1711.07128) reads ten MFCC a frame as bins of one channel.
Behind a wide convolution of 10 frames and 4 bins stand blocks without skips: depthwise of 3 x 3,
norm, ReLU, 1x1, norm, ReLU; then the average over all that is left, and a linear layer.

                 Conv1          B1          B2 ...      head reads      frames x bins of 49 x 10
    DS-CNN-S     64, s 2 x 2    64          64  to B4   25 x 5
    DS-CNN-M    172, s 2 x 1   172, s 2 x 2 172 to B4   13 x 5
    DS-CNN-L    276, s 2 x 1   276, s 2 x 2 276 to B5   13 x 5

Part 0 is Conv1, 1 to N the blocks, then the head. The 1x1 of the blocks are its places: policies
replace them from P3 on, as they do separable blocks without skips in every network; `P1`, `P2`,
`alternate` and `half` are about blocks with skips, and replace nothing here.

Sizes are those of the paper's table of architectures, quoted from memory. What holds them are its
other figures, quoted from memory, too, which follow from the sizes digit by digit: 38.6, 189.2 and
497.6 kB of 8-bit weights, offsets and two tensors, and 5.4, 19.8 and 56.9 million operations
(`tests/dse/design/test_dscnn.py`). Keras' model in MLPerf Tiny is the S, with a bias in each
convolution; a batch norm behind it has an offset already, so ours have none, as in every network
here, and train 576 numbers fewer.
"""

import re
from collections.abc import Mapping
from typing import Any

from dse.design.families import mixing
from dse.design.families.family import (
    Axis,
    Family,
    Part,
    Value,
    Values,
    dropout_axis,
    features_as_bins,
)
from dse.design.mixer import DENSE, SEEDED_KINDS, MixerKind
from dse.design.point import Block, check_block
from dse.design.policies import replaced
from dse.design.replacement import replaced_places

FEATURES = 10
"""MFCC a frame."""
_REPLACING = ("P3", "P4")
"""Policies that replace 1x1 matrices of separable blocks without skips."""


def _size(text: str, default: int, *, per_block: bool = False, of: tuple[int, ...] = ()) -> Axis:
    return Axis(default=default, per_block=per_block, of_blocks=of, help=text)


AXES: dict[str, Axis] = {
    "blocks": Axis(default=4, maximum=32, decides=True, help="depthwise separable blocks"),
    "policy": mixing.policy_axis(
        ("block_mixer",), "named choice of all mixers: from P3 on, those of all blocks"
    ),
    "policy_mixer": mixing.POLICY_MIXER,
    "block_mixer": Axis(
        default="dense",
        options=mixing.PLACE_KINDS,
        per_block=True,
        decides=True,
        help="1x1 of the blocks",
    ),
    **mixing.AXES,
    "channels": _size("channels of a block", 64, per_block=True),
    "kernel": _size("frames of a block's kernel, odd beside one bin", 3, per_block=True),
    "kernel_bins": _size("bins of a block's kernel", 3, per_block=True),
    "stride": _size("stride of a block over frames", 1, per_block=True),
    "bin_stride": _size("stride of a block over bins", 1, per_block=True),
    "dropout": dropout_axis("dropout of a block", per_block=True),
    "prologue_channels": _size("channels of the first layer", 64),
    "prologue_kernel": _size("frames of the first layer's kernel, odd beside one bin", 10),
    "prologue_kernel_bins": _size("bins of the first layer's kernel", 4),
    "prologue_stride": _size("stride of the first layer over frames", 2),
    "prologue_bin_stride": _size("stride of the first layer over bins", 2),
    "prologue_dropout": dropout_axis("dropout of the first layer"),
}
"""In the order in which they are decided."""


def _blocks(values: Mapping[str, Value]) -> int:
    return int(DSCNN.get(values, "blocks"))


# --- which axes matter


def _matters(name: str, values: Mapping[str, Value]) -> bool:
    """Whether an axis changes the network, given the axes before it."""
    base, number = DSCNN.split(name)
    if number is not None and number > _blocks(values):
        return False
    if base == "block_mixer":
        return "policy" not in values
    if base == "policy_mixer":
        return values.get("policy") in _REPLACING
    if base in mixing.AXES:
        return mixing.matters(base, values, _kinds_with(base, values, number))
    return True


def _kinds_with(axis: str, values: Mapping[str, Value], number: int | None) -> set[MixerKind]:
    """Kinds, the dense one aside, of the blocks that take their size from an axis."""
    numbers = [number] if number is not None else range(1, _blocks(values) + 1)
    if number is None and AXES[axis].per_block:
        numbers = [each for each in numbers if f"{axis}_b{each}" not in values]
    kinds: set[Any] = {_kind(values, each) for each in numbers}
    return kinds - {"dense"}


def _kind(values: Mapping[str, Value], number: int) -> Any:
    """Of the mixing layer of a block."""
    if "policy" not in values:
        return DSCNN.get(values, "block_mixer", number)
    return DSCNN.get(values, "policy_mixer") if values["policy"] in _REPLACING else "dense"


# --- what an axis reaches


def _reach(name: str, values: Mapping[str, Value]) -> range:
    """Parts that an axis may change, or whose input it changes.

    A width changes the block that has it and the next one; a stride all from its own on. What is
    not named here (policy, mixers, sizes of all) is taken to reach everything: slower, never wrong.
    """
    base, number = DSCNN.split(name)
    head = _blocks(values) + 1
    own = range(1, head) if number is None else range(min(number, head), min(number + 1, head))
    if base.endswith("dropout"):
        return range(0)
    if base == "prologue_channels":
        return range(2)
    if base in ("prologue_kernel", "prologue_kernel_bins"):
        return range(1)
    if base == "channels":
        return range(own.start, own.stop + 1)
    if base in ("kernel", "kernel_bins") or (number is not None and base in mixing.AXES):
        return own
    if base in ("stride", "bin_stride"):
        return range(own.start, head + 1)
    return range(head + 1)


# --- the parts


def _part(values: Mapping[str, Value], index: int, features: int) -> Part:
    """The first layer, a block or the head, whatever is wrong with the others.

    Raises:
        InvalidDesign: it cannot be built.
    """
    get, bins = DSCNN.get, features_as_bins(DSCNN.name, features)
    strides = tuple(_stride(values, before) for before in range(min(index, _blocks(values) + 1)))
    for before in range(len(strides)):
        bins = -(-bins // _stride(values, before, "bin_stride"))
    reads = 1
    if index > 0:
        reads = int(get(values, "prologue_channels"))
    if index > 1:
        reads = int(get(values, "channels", index - 1))
    if index == _blocks(values) + 1:
        return Part(DSCNN.head, reads, strides, in_bins=bins)
    seeded = not SEEDED_KINDS.isdisjoint(_kinds_with("policy", values, None))
    block = _first(values) if index == 0 else _block(values, index)
    policy = str(get(values, "policy"))
    if policy != "P0" and index > 0:
        mixer = mixing.build_mixer(values, get(values, "policy_mixer"), index)
        block = replaced(block, reads, replaced_places(policy, [block], reads)[0], mixer)
    check_block(block, reads)
    seed = int(get(values, "ternary_seed")) if seeded else 1
    return Part(block, reads, strides, seed, in_bins=bins)


def _stride(values: Mapping[str, Value], index: int, axis: str = "stride") -> int:
    """Of the first layer, or of a block."""
    name = f"prologue_{axis}" if index == 0 else axis
    return int(DSCNN.get(values, name, index or None))


def _first(values: Mapping[str, Value]) -> Block:
    def size(axis: str) -> int:
        return int(DSCNN.get(values, f"prologue_{axis}"))

    return Block(
        name="Conv1",
        out_channels=size("channels"),
        kernel_size=size("kernel"),
        kernel_bins=size("kernel_bins"),
        stride=size("stride"),
        bin_stride=size("bin_stride"),
        dropout=float(DSCNN.get(values, "prologue_dropout")),
        separable=False,
    )


def _block(values: Mapping[str, Value], number: int) -> Block:
    def size(axis: str) -> int:
        return int(DSCNN.get(values, axis, number))

    own = "policy" not in values
    kind = DSCNN.get(values, "block_mixer", number)
    return Block(
        name=f"B{number}",
        out_channels=size("channels"),
        kernel_size=size("kernel"),
        kernel_bins=size("kernel_bins"),
        stride=size("stride"),
        bin_stride=size("bin_stride"),
        dropout=float(DSCNN.get(values, "dropout", number)),
        depthwise_norm=True,
        mixer=mixing.build_mixer(values, kind, number) if own else DENSE,
    )


# --- names


def _wide(channels: int, blocks: int) -> Values:
    """The larger two: the first layer keeps all bins, and the first block halves both."""
    return {
        "blocks": blocks,
        "channels": channels,
        "stride_b1": 2,
        "bin_stride_b1": 2,
        "prologue_channels": channels,
        "prologue_bin_stride": 1,
    }


_SIZES: dict[str, Values] = {"s": {}, "m": _wide(172, 4), "l": _wide(276, 5)}


def _named(name: str) -> Values | None:
    """`ds-cnn-s`, `-m` or `-l` as values of axes."""
    match = re.fullmatch(r"ds-cnn-([sml])", name)
    return None if match is None else dict(_SIZES[match[1]])


DSCNN: Family = Family(
    name="dscnn",
    default="DS-CNN-S",
    axes=AXES,
    matters=_matters,
    parts=lambda values: _blocks(values) + 2,
    part=_part,
    reach=_reach,
    places=("block_mixer",),
    named=_named,
    features=FEATURES,
)

dscnn = DSCNN.build
