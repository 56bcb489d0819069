"""The MatchboxNet family: from a handful of named values to a design point.

MatchboxNet-BxRxC (arXiv 2004.08531, table 1) is Conv1, then B residual blocks of R sub-blocks and C
channels, then Conv2 and Conv3, then the head. `AXES` names what may be chosen; the defaults are
MatchboxNet-3x1x64. An axis marked `per_block` may also be given for one block (`channels_b2`): it
then overrides the value for all (`channels`).
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from dse.design.point import DENSE, IDENTITY, Block, DesignPoint, Mixer, check_block
from dse.design.policies import POLICIES, apply_policy, replaced
from dse.errors import InvalidDesign
from dse.ternary.generators import FAMILIES, FamilyName, Generator
from dse.ternary.generators.choice import LFSR_FAMILIES, OLDER_NAMES, PARAMETERS, REGISTERS

Value = int | float | str | bool

SKIPS = ("dense", "ternary", "identity_or_dense", "identity_or_ternary", "none")
MIXER_NAMES = ("dense", "ternary")
MAX_BLOCKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that may be chosen about a MatchboxNet."""

    default: Value
    per_block: bool = False
    options: tuple[Value, ...] | None = None
    """All values there are, for an axis of names."""
    minimum: int = 1
    help: str


AXES: dict[str, Axis] = {
    # What decides which other axes matter comes first.
    "blocks": Axis(default=3, help="residual blocks B"),
    "policy": Axis(default="P0", options=POLICIES, help="named choice of all mixers and skips"),
    "block_mixer": Axis(
        default="dense", per_block=True, options=MIXER_NAMES, help="1x1 of the residual blocks"
    ),
    "skip": Axis(default="dense", per_block=True, options=SKIPS, help="path around a block"),
    "prologue_mixer": Axis(default="dense", options=MIXER_NAMES, help="1x1 of Conv1"),
    "epilogue_mixer": Axis(default="dense", options=MIXER_NAMES, help="1x1 of Conv2"),
    "final_mixer": Axis(default="dense", options=MIXER_NAMES, help="Conv3"),
    "density": Axis(default=0.25, help="share of non-zero ternary entries"),
    "generator": Axis(default="lfsr_threshold", options=FAMILIES, help="what makes them"),
    "fan_in": Axis(default="iid", options=tuple(OLDER_NAMES), help="older name of generator"),
    "state_bits": Axis(default=127, options=tuple(REGISTERS), help="of a shift register"),
    "threshold_bits": Axis(default=8, help="k of generators that make densities n/2^k"),
    "rounds": Axis(default=6, help="of generators with a counter, at least 6"),
    "ternary_seed": Axis(default=1, minimum=0, help="seed of all ternary matrices"),
    "repeats": Axis(default=1, per_block=True, help="sub-blocks R of a block"),
    "channels": Axis(default=64, per_block=True, help="channels C of a block"),
    "kernel": Axis(default=13, per_block=True, help="kernel of the first block, odd"),
    "kernel_growth": Axis(default=2, minimum=0, help="added to the kernel from block to block"),
    "stride": Axis(default=1, per_block=True, help="stride of a block"),
    "dilation": Axis(default=1, per_block=True, help="dilation of a block"),
    "dropout": Axis(default=0.0, per_block=True, minimum=0, help="dropout of a block"),
    "skip_norm": Axis(default=True, options=(True, False), help="batch norm on every skip"),
    "prologue_channels": Axis(default=128, help="channels of Conv1"),
    "prologue_kernel": Axis(default=11, help="kernel of Conv1, odd"),
    "prologue_stride": Axis(default=1, help="stride of Conv1"),
    "prologue_dropout": Axis(default=0.0, minimum=0, help="dropout of Conv1"),
    "epilogue_channels": Axis(default=128, help="channels of Conv2"),
    "epilogue_kernel": Axis(default=29, help="kernel of Conv2, odd"),
    "epilogue_dilation": Axis(default=2, help="dilation of Conv2"),
    "epilogue_dropout": Axis(default=0.0, minimum=0, help="dropout of Conv2 and Conv3"),
    "final_channels": Axis(default=128, help="channels of Conv3"),
}

MIXER_AXES = ("block_mixer", "skip", "prologue_mixer", "epilogue_mixer", "final_mixer")
TERNARY_AXES = (
    "density",
    "generator",
    "fan_in",
    "state_bits",
    "threshold_bits",
    "rounds",
    "ternary_seed",
)


@cache
def split_name(name: str) -> tuple[str, int | None]:
    """`channels_b2` -> (`channels`, 2); `channels` -> (`channels`, None).

    Raises:
        InvalidDesign: there is no such axis.
    """
    if name in AXES:
        return name, None
    base, _, number = name.rpartition("_b")
    if base in AXES and number.isdecimal():
        if not AXES[base].per_block:
            raise InvalidDesign(f"'{base}' is one value for the whole network: '{name}' is not")
        if 1 <= int(number) <= MAX_BLOCKS:
            return base, int(number)
    raise InvalidDesign(f"there is no axis '{name}'; axes are {', '.join(AXES)}")


def matters(name: str, values: Mapping[str, Value]) -> bool:
    """Whether an axis changes the network, given the axes before it in `AXES`.

    A block that is not there has no channels, and a network without ternary matrices no density.
    """
    base, block = split_name(name)
    blocks = int(_get(values, "blocks"))
    if block is not None and block > blocks:
        return False
    if base in MIXER_AXES:
        return "policy" not in values
    if base == "kernel_growth":
        return blocks > 1
    if base in TERNARY_AXES:
        parameter = "taps" if base == "state_bits" else base
        families = PARAMETERS.get(parameter)
        return uses_ternary(values) and (families is None or _family(values) in families)
    return True


def uses_ternary(values: Mapping[str, Value]) -> bool:
    """Whether any matrix of the network that `values` describe is ternary."""
    if "policy" in values:
        return values["policy"] != "P0"
    places = [_get(values, name) for name in ("prologue_mixer", "epilogue_mixer", "final_mixer")]
    for block in range(1, int(_get(values, "blocks")) + 1):
        places += [_get(values, "block_mixer", block), _get(values, "skip", block)]
    return any(place in ("ternary", "identity_or_ternary") for place in places)


def matchboxnet(
    values: Mapping[str, Value], *, in_channels: int = 64, name: str = ""
) -> DesignPoint:
    """Build the design point of a MatchboxNet.

    Args:
        values: axis -> value; what is missing takes its default.
        in_channels: features per frame.
        name: for people.

    Raises:
        InvalidDesign: an unknown axis, a value outside its options, `policy` together with a mixer
            or skip, or a network that cannot be built.
    """
    for axis, value in values.items():
        _check_value(axis, value)
    mixed = [axis for axis in values if split_name(axis)[0] in MIXER_AXES]
    if "policy" in values and mixed:
        raise InvalidDesign(
            f"'policy' chooses all mixers and skips: leave out either 'policy' or '{mixed[0]}'"
        )
    density, generator = float(_get(values, "density")), _generator(values)
    ternary = (
        Mixer(kind="ternary", density=density, generator=generator)
        if uses_ternary(values)
        else DENSE
    )
    point = DesignPoint(
        blocks=_blocks(values, ternary),
        in_channels=in_channels,
        # A network without ternary matrices is the same network whatever their seed would be.
        ternary_seed=int(_get(values, "ternary_seed")) if uses_ternary(values) else 1,
        name=name,
    )
    policy = str(values.get("policy", "P0"))
    if policy == "P0":
        return point
    with_policy = apply_policy(point, policy, density=density, generator=generator)
    return dataclasses.replace(with_policy, name=name)


def _family(values: Mapping[str, Value]) -> FamilyName:
    if "fan_in" in values:
        return OLDER_NAMES[str(values["fan_in"])]
    return cast(FamilyName, _get(values, "generator"))


def _generator(values: Mapping[str, Value]) -> Generator:
    """The generator that the axes describe; those of other families do not matter."""
    family = _family(values)
    if family != values.get("generator", family):
        raise InvalidDesign("'fan_in' is the older name of 'generator': leave out 'fan_in'")
    names = ("threshold_bits", "rounds", "state_bits")
    return _made(family, *(int(_get(values, name)) for name in names))


@cache
def _made(family: FamilyName, threshold_bits: int, rounds: int, state_bits: int) -> Generator:
    """A sweep builds the same few again and again, for each block anew."""
    axes = {"threshold_bits": threshold_bits, "rounds": rounds}
    given: dict[str, Any] = {
        name: value for name, value in axes.items() if family in PARAMETERS[name]
    }
    if family in LFSR_FAMILIES:
        given["taps"] = REGISTERS[state_bits]
    return Generator(family=family, **given)


def _blocks(values: Mapping[str, Value], ternary: Mixer) -> tuple[Block, ...]:
    return tuple(_block(values, index, ternary) for index in range(int(_get(values, "blocks")) + 3))


def _block(values: Mapping[str, Value], index: int, ternary: Mixer) -> Block:
    """Conv1, B1, B2, ..., Conv2 or Conv3 by its place in the network."""
    blocks = int(_get(values, "blocks"))
    if index == 0:
        return _prologue(values, ternary)
    if index <= blocks:
        return _residual_block(values, index, ternary)
    return _epilogue(values, ternary) if index == blocks + 1 else _final(values, ternary)


def _mixer(values: Mapping[str, Value], ternary: Mixer, axis: str, block: int | None = None) -> Any:
    return ternary if _get(values, axis, block) == "ternary" else DENSE


def _prologue(values: Mapping[str, Value], ternary: Mixer) -> Block:
    return Block(
        name="Conv1",
        out_channels=int(_get(values, "prologue_channels")),
        kernel_size=int(_get(values, "prologue_kernel")),
        stride=int(_get(values, "prologue_stride")),
        dropout=float(_get(values, "prologue_dropout")),
        mixer=_mixer(values, ternary, "prologue_mixer"),
    )


def _residual_block(values: Mapping[str, Value], number: int, ternary: Mixer) -> Block:
    def get(axis: str) -> Any:
        return _get(values, axis, number)

    same = channels_before(values, number) == get("channels") and get("stride") == 1
    return Block(
        name=f"B{number}",
        out_channels=get("channels"),
        kernel_size=_kernel(values, number),
        repeats=get("repeats"),
        stride=get("stride"),
        dilation=get("dilation"),
        dropout=float(get("dropout")),
        mixer=_mixer(values, ternary, "block_mixer", number),
        skip=_skip(get("skip"), same, ternary),
        skip_norm=get("skip_norm"),
    )


def _epilogue(values: Mapping[str, Value], ternary: Mixer) -> Block:
    return Block(
        name="Conv2",
        out_channels=int(_get(values, "epilogue_channels")),
        kernel_size=int(_get(values, "epilogue_kernel")),
        dilation=int(_get(values, "epilogue_dilation")),
        dropout=float(_get(values, "epilogue_dropout")),
        mixer=_mixer(values, ternary, "epilogue_mixer"),
    )


def _final(values: Mapping[str, Value], ternary: Mixer) -> Block:
    return Block(
        name="Conv3",
        out_channels=int(_get(values, "final_channels")),
        kernel_size=1,
        dropout=float(_get(values, "epilogue_dropout")),
        separable=False,
        mixer=_mixer(values, ternary, "final_mixer"),
    )


def channels_before(values: Mapping[str, Value], index: int, in_channels: int = 64) -> int:
    """Channels that a block reads: 0 is Conv1, then the residual blocks, Conv2, Conv3, the head."""
    blocks = int(_get(values, "blocks"))
    if index == 0:
        return in_channels
    if index == 1:
        return int(_get(values, "prologue_channels"))
    if index <= blocks + 1:
        return int(_get(values, "channels", index - 1))
    return int(_get(values, "epilogue_channels" if index == blocks + 2 else "final_channels"))


def strides_before(values: Mapping[str, Value], index: int) -> tuple[int, ...]:
    """Strides of the blocks before one, in order."""
    blocks = int(_get(values, "blocks"))
    strides = [int(_get(values, "prologue_stride"))]
    strides += [int(_get(values, "stride", number)) for number in range(1, blocks + 1)]
    return tuple(strides[:index])


def block_at(values: Mapping[str, Value], index: int, in_channels: int = 64) -> Block:
    """One block of the network that `values` describe, whatever is wrong with the others.

    Args:
        values: axis -> value, as for `matchboxnet`.
        index: 0 is Conv1, then the residual blocks, Conv2, Conv3.
        in_channels: features per frame.

    Raises:
        InvalidDesign: this block cannot be built.
    """
    uses = uses_ternary(values)
    density, generator = float(_get(values, "density")), _generator(values)
    ternary = Mixer(kind="ternary", density=density, generator=generator) if uses else DENSE
    block = _block(values, index, ternary)
    before = channels_before(values, index, in_channels)
    block = replaced(block, before, str(values.get("policy", "P0")), ternary)
    check_block(block, before)
    return block


def axes_of_block(names: Iterable[str], index: int, blocks: int) -> list[str]:
    """The axes among `names` that may change a block or what it reads.

    Args:
        names: axes.
        index: 0 is Conv1, then the residual blocks, Conv2, Conv3; `blocks` + 3 is the head.
        blocks: residual blocks.
    """
    return [name for name in names if index in _reach(name, blocks)]


@cache
def _reach(name: str, blocks: int) -> range | tuple[int, ...]:
    """Blocks that an axis may change, or whose input it changes."""
    base, number = split_name(name)
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
    return everywhere


def _kernel(values: Mapping[str, Value], block: int) -> int:
    if f"kernel_b{block}" in values:
        return int(values[f"kernel_b{block}"])
    return int(_get(values, "kernel")) + (block - 1) * int(_get(values, "kernel_growth"))


def _skip(skip: str, same_width: bool, ternary: Mixer) -> Mixer | None:
    if skip == "none":
        return None
    if skip.startswith("identity_or_") and same_width:
        return IDENTITY
    return ternary if skip.endswith("ternary") else DENSE


def _get(values: Mapping[str, Value], axis: str, block: int | None = None) -> Value:
    if block is not None and f"{axis}_b{block}" in values:
        return values[f"{axis}_b{block}"]
    return values.get(axis, AXES[axis].default)


def _check_value(name: str, value: Value) -> None:
    base, _ = split_name(name)
    axis = AXES[base]
    if axis.options is not None:
        if value not in axis.options or isinstance(value, bool) != isinstance(axis.default, bool):
            options = ", ".join(
                str(option).lower() if isinstance(option, bool) else str(option)
                for option in axis.options
            )
            raise InvalidDesign(f"'{name}' must be one of {options}, not {value!r}")
        return
    whole = isinstance(axis.default, int)
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right:
        kind = "a whole number" if whole else "a number"
        raise InvalidDesign(f"'{name}' must be {kind}, not {value!r}")
    if not isinstance(value, str) and value < axis.minimum and base != "density":
        raise InvalidDesign(f"'{name}' must be at least {axis.minimum}, not {value!r}")
    if base == "blocks" and int(value) > MAX_BLOCKS:
        raise InvalidDesign(f"'blocks' must be at most {MAX_BLOCKS}, not {value!r}")
