"""The MatchboxNet family: from a handful of named values to a design point.

MatchboxNet-BxRxC (arXiv 2004.08531, table 1) is Conv1, then B residual blocks of R sub-blocks and C
channels, then Conv2 and Conv3, then the head. `AXES` names what may be chosen; the defaults are
MatchboxNet-3x1x64. An axis marked `per_block` may also be given for one block (`channels_b2`): it
then overrides the value for all (`channels`).

Parts by index: 0 is Conv1, 1 to B the residual blocks, B + 1 Conv2, B + 2 Conv3, B + 3 the head.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from dse.design.families import mixing
from dse.design.families.family import Axis, Family, Part, Value, Values
from dse.design.mixer import IDENTITY, SEEDED_KINDS, Mixer, MixerKind
from dse.design.point import INPUT_BITS, Block, check_block
from dse.design.policies import POLICIES, replaced

MIXER_AXES = ("block_mixer", "skip", "prologue_mixer", "epilogue_mixer", "final_mixer")
"""In the order in which policies replace what stands there."""


def _mixer_axis(
    text: str, *, per_block: bool = False, options: tuple[str, ...] = mixing.PLACE_KINDS
) -> Axis:
    return Axis(default="dense", options=options, per_block=per_block, decides=True, help=text)


def _dropout(text: str, *, per_block: bool = False) -> Axis:
    return Axis(default=0.0, minimum=0, per_block=per_block, fills="always", help=text)


AXES: dict[str, Axis] = {
    # What decides which other axes matter comes first.
    "blocks": Axis(default=3, maximum=32, decides=True, help="residual blocks B"),
    "policy": Axis(
        default="P0",
        options=POLICIES,
        decides=True,
        replaces=MIXER_AXES,
        fills="never",
        help="named choice of all mixers and skips",
    ),
    "policy_mixer": Axis(
        default="ternary",
        options=tuple(kind for kind in mixing.PLACE_KINDS if kind != "dense"),
        decides=True,
        beside={"policy": "P4"},
        fills="never",
        help="what a policy puts in place of dense matrices",
    ),
    "block_mixer": _mixer_axis("1x1 of the residual blocks", per_block=True),
    "skip": _mixer_axis("path around a block", per_block=True, options=mixing.SKIPS),
    "prologue_mixer": _mixer_axis("1x1 of Conv1"),
    "epilogue_mixer": _mixer_axis("1x1 of Conv2"),
    "final_mixer": _mixer_axis("Conv3"),
    **mixing.AXES,
    "repeats": Axis(default=1, per_block=True, help="sub-blocks R of a block"),
    "channels": Axis(default=64, per_block=True, help="channels C of a block"),
    "kernel": Axis(
        default=13, per_block=True, step=2, odd=True, help="kernel of the first block, odd"
    ),
    "kernel_growth": Axis(default=2, minimum=0, help="added to the kernel from block to block"),
    "stride": Axis(default=1, per_block=True, help="stride of a block"),
    "dilation": Axis(default=1, per_block=True, help="dilation of a block"),
    "dropout": _dropout("dropout of a block", per_block=True),
    "weight_bits": Axis(
        default=8, options=(8, 4, 2), per_block=True, help="bits of trained weights"
    ),
    "activation_bits": Axis(
        default=8, options=(8, 4), per_block=True, help="bits of the tensors that a block makes"
    ),
    "skip_norm": Axis(default=True, options=(True, False), help="batch norm on every skip"),
    "prologue_channels": Axis(default=128, help="channels of Conv1"),
    "prologue_kernel": Axis(default=11, odd=True, help="kernel of Conv1, odd"),
    "prologue_stride": Axis(default=1, help="stride of Conv1"),
    "prologue_dropout": _dropout("dropout of Conv1"),
    "epilogue_channels": Axis(default=128, help="channels of Conv2"),
    "epilogue_kernel": Axis(default=29, odd=True, help="kernel of Conv2, odd"),
    "epilogue_dilation": Axis(default=2, help="dilation of Conv2"),
    "epilogue_dropout": _dropout("dropout of Conv2 and Conv3"),
    "final_channels": Axis(default=128, help="channels of Conv3"),
}


def _get(values: Mapping[str, Value], axis: str, block: int | None = None) -> Any:
    return MATCHBOXNET.get(values, axis, block)


# --- which axes matter


def matters(name: str, values: Mapping[str, Value]) -> bool:
    """Whether an axis changes the network, given the axes before it in `AXES`.

    A block that is not there has no channels, and a network without ternary matrices no density.
    """
    base, block = MATCHBOXNET.split(name)
    blocks = int(_get(values, "blocks"))
    if block is not None and block > blocks:
        return False
    if base in MIXER_AXES:
        return "policy" not in values
    if base == "kernel_growth":
        return blocks > 1
    if base == "policy_mixer":
        return str(_get(values, "policy")) != "P0"
    if base in mixing.AXES:
        return mixing.matters(base, values, kinds_used(values))
    return True


def kinds_used(values: Mapping[str, Value]) -> frozenset[MixerKind]:
    """Kinds of mixing layers, the dense one aside, that a network of these values may have."""
    if "policy" in values:
        used = [] if values["policy"] == "P0" else [_get(values, "policy_mixer")]
        return frozenset(used)
    places = [_get(values, name) for name in ("prologue_mixer", "epilogue_mixer", "final_mixer")]
    for block in range(1, int(_get(values, "blocks")) + 1):
        skip = str(_get(values, "skip", block)).removeprefix("identity_or_")
        places += [_get(values, "block_mixer", block), skip]
    return frozenset(place for place in places if place not in ("dense", "none"))


@cache
def _reach(name: str, blocks: int) -> range | tuple[int, ...]:
    """Parts that an axis may change, or whose input it changes.

        index    0      1   ...  blocks   blocks+1   blocks+2   blocks+3
        part   Conv1    B1  ...    Bn      Conv2      Conv3       head

    A width changes the block that has it and the next one, which reads it. A stride changes all
    parts from its own on, as they see fewer frames. Dropout changes no cost. Whatever is not named
    here (policy, mixers, density, seed) is taken to reach everything: slower, never wrong.
    """
    base, number = MATCHBOXNET.split(name)
    residual = range(1, blocks + 1) if number is None else (number,)
    everywhere = range(blocks + 4)
    if base.endswith("dropout"):
        return ()
    if base == "prologue_stride":
        return everywhere
    if base == "prologue_channels":
        return (0, 1)
    if base.startswith("prologue_"):
        return (0,)
    if base == "epilogue_channels":
        return (blocks + 1, blocks + 2)
    if base.startswith("epilogue_"):
        return (blocks + 1,)
    if base == "final_channels":
        return (blocks + 2, blocks + 3)
    if base == "stride":
        return range(1 if number is None else number, blocks + 4)
    if base == "channels":
        return range(1, blocks + 2) if number is None else (number, number + 1)
    if base in ("repeats", "kernel", "kernel_growth", "dilation", "skip_norm"):
        return residual
    if base == "weight_bits" and number is not None:
        return residual
    if base == "activation_bits" and number is not None:
        return (number, number + 1)
    return everywhere


_REPLACED = {"P0": 0, "P1": 1, "P2": 2, "P3": 4, "P4": 5}
"""Policy -> how many of `MIXER_AXES` it replaces (`dse.design.policies`)."""


def of_kind(values: Mapping[str, Value], kind: MixerKind) -> Values:
    """A network with one kind of mixing layer wherever it has another than dense.

    Identities stay where they are, so that networks of all kinds differ in the kind alone; that of
    kind `dense` is the dense twin (`dse.design.policies.make_dense`).

    Args:
        values: of the network; a policy is spelled out as the axes that it chooses.
        kind: of its mixing layers.
    """
    places = {name: str(value) for name, value in values.items() if is_place(name)}
    if "policy" in values:
        places = dict.fromkeys(MIXER_AXES[: _REPLACED[str(values["policy"])]], "ternary")
        if "skip" in places:
            places["skip"] = "identity_or_ternary"
    rest = {name: value for name, value in values.items() if not is_place(name)}
    rest = {name: value for name, value in rest.items() if name not in ("policy", "policy_mixer")}
    return rest | {name: _in_its_place(value, kind) for name, value in places.items()}


def is_place(name: str) -> bool:
    """Whether an axis chooses what stands at a place where channels are mixed."""
    return MATCHBOXNET.split(name)[0] in MIXER_AXES


def _in_its_place(value: str, kind: str) -> str:
    """`identity_or_ternary` becomes `identity_or_KIND`; what is dense or none stays."""
    begun = "identity_or_" if value.startswith("identity_or_") else ""
    return value if value in ("dense", "none") else begun + kind


# --- the parts


def part(values: Mapping[str, Value], index: int, in_channels: int) -> Part:
    """One block of the network that `values` describe, or its head, whatever is wrong with others.

    Args:
        values: axis -> value, as for `Family.build`.
        index: as the module's docstring says.
        in_channels: features per frame.

    Raises:
        InvalidDesign: this block cannot be built.
    """
    before, strides = _channels_before(values, index, in_channels), _strides_before(values, index)
    if index == int(_get(values, "blocks")) + 3:
        return Part("pooled", before, strides, in_bits=_bits_before(values, index))
    # A network without random matrices is the same network whatever their seed would be.
    seeded = not SEEDED_KINDS.isdisjoint(kinds_used(values))
    seed = int(_get(values, "ternary_seed")) if seeded else 1
    block, policy = _block(values, index), str(_get(values, "policy"))
    if policy != "P0":
        mixer = mixing.build_mixer(values, _get(values, "policy_mixer"))
        block = replaced(block, before, policy, mixer)
    check_block(block, before)
    return Part(block, before, strides, seed, _bits_before(values, index))


def _bits_before(values: Mapping[str, Value], index: int) -> int:
    blocks = int(_get(values, "blocks"))
    if index == 0:
        return INPUT_BITS
    return int(_get(values, "activation_bits", index - 1 if 2 <= index <= blocks + 1 else None))


def _bits(values: Mapping[str, Value], number: int | None = None) -> dict[str, Any]:
    """Bits of a residual block, or of Conv1, Conv2 and Conv3, which have those of all."""
    return {name: _get(values, name, number) for name in ("weight_bits", "activation_bits")}


def _channels_before(values: Mapping[str, Value], index: int, in_channels: int) -> int:
    blocks = int(_get(values, "blocks"))
    if index == 0:
        return in_channels
    if index == 1:
        return int(_get(values, "prologue_channels"))
    if index <= blocks + 1:
        return int(_get(values, "channels", index - 1))
    return int(_get(values, "epilogue_channels" if index == blocks + 2 else "final_channels"))


def _strides_before(values: Mapping[str, Value], index: int) -> tuple[int, ...]:
    if index == 0:
        return ()
    last = min(index - 1, int(_get(values, "blocks")))
    strides = [int(_get(values, "stride", number)) for number in range(1, last + 1)]
    return (int(_get(values, "prologue_stride")), *strides)


def _block(values: Mapping[str, Value], index: int) -> Block:
    """Conv1, B1, B2, ..., Conv2 or Conv3 by its index."""
    blocks = int(_get(values, "blocks"))
    if index == 0:
        return _prologue(values)
    if index <= blocks:
        return _residual_block(values, index)
    return _epilogue(values) if index == blocks + 1 else _final(values)


def _mixer(values: Mapping[str, Value], axis: str, block: int | None = None) -> Mixer:
    return mixing.build_mixer(values, _get(values, axis, block))


def _prologue(values: Mapping[str, Value]) -> Block:
    return Block(
        name="Conv1",
        out_channels=int(_get(values, "prologue_channels")),
        kernel_size=int(_get(values, "prologue_kernel")),
        stride=int(_get(values, "prologue_stride")),
        dropout=float(_get(values, "prologue_dropout")),
        mixer=_mixer(values, "prologue_mixer"),
        **_bits(values),
    )


def _residual_block(values: Mapping[str, Value], number: int) -> Block:
    def get(axis: str) -> Any:
        return _get(values, axis, number)

    same = _channels_before(values, number, 0) == get("channels") and get("stride") == 1
    return Block(
        name=f"B{number}",
        out_channels=get("channels"),
        kernel_size=_kernel(values, number),
        repeats=get("repeats"),
        stride=get("stride"),
        dilation=get("dilation"),
        dropout=float(get("dropout")),
        mixer=_mixer(values, "block_mixer", number),
        skip=_skip(values, get("skip"), same),
        skip_norm=get("skip_norm"),
        **_bits(values, number),
    )


def _epilogue(values: Mapping[str, Value]) -> Block:
    return Block(
        name="Conv2",
        out_channels=int(_get(values, "epilogue_channels")),
        kernel_size=int(_get(values, "epilogue_kernel")),
        dilation=int(_get(values, "epilogue_dilation")),
        dropout=float(_get(values, "epilogue_dropout")),
        mixer=_mixer(values, "epilogue_mixer"),
        **_bits(values),
    )


def _final(values: Mapping[str, Value]) -> Block:
    return Block(
        name="Conv3",
        out_channels=int(_get(values, "final_channels")),
        kernel_size=1,
        dropout=float(_get(values, "epilogue_dropout")),
        separable=False,
        mixer=_mixer(values, "final_mixer"),
        **_bits(values),
    )


def _kernel(values: Mapping[str, Value], block: int) -> int:
    """A block's own kernel where it is given, else kernel + (block - 1) * kernel_growth."""
    if f"kernel_b{block}" in values:
        return int(values[f"kernel_b{block}"])
    return int(_get(values, "kernel")) + (block - 1) * int(_get(values, "kernel_growth"))


def _skip(values: Mapping[str, Value], skip: str, same_width: bool) -> Mixer | None:
    """The path around a block; `identity_or_...` is an identity where width and frames are kept."""
    if skip == "none":
        return None
    if skip.startswith("identity_or_") and same_width:
        return IDENTITY
    kind: Any = skip.removeprefix("identity_or_")
    return mixing.build_mixer(values, kind)


MATCHBOXNET = Family(
    name="matchboxnet",
    default="MatchboxNet-3x1x64",
    axes=AXES,
    matters=matters,
    parts=lambda values: int(_get(values, "blocks")) + 4,
    part=part,
    reach=lambda name, values: _reach(name, int(_get(values, "blocks"))),
)

matchboxnet = MATCHBOXNET.build
