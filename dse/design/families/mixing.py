"""Axes of mixing layers, the same in every family with places for them: kinds and their sizes."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from dse.design.families import ternary
from dse.design.families.family import Axis, Value
from dse.design.mixer import DENSE, GENERATED_KINDS, KINDS, NEEDS, SEEDED_KINDS, Mixer, MixerKind

PLACE_KINDS: tuple[MixerKind, ...] = tuple(kind for kind in KINDS if kind != "identity")
"""Kinds for any widths; an identity keeps its own."""
SKIPS = (*PLACE_KINDS, *(f"identity_or_{kind}" for kind in PLACE_KINDS), "none")
"""What a path around a block may be; `identity_or_...` is an identity where widths match."""

_SIZES = {
    "mixer_groups": ("groups", "grouped", 4, "groups of a grouped 1x1"),
    "rank": ("rank", "low_rank", 8, "rank of low_rank and codebook"),
    "monarch_blocks": ("blocks", "monarch", 8, "blocks of each factor of monarch"),
    "circulant_size": ("block_size", "block_circulant", 8, "rows of a block of block_circulant"),
    "code_length": ("code_length", "codebook", 4, "weights that a code stands for"),
    "code_bits": ("code_bits", "codebook", 5, "bits of a code: its table has 2 to that power"),
}
"""Axis -> field of `Mixer`, a kind that needs it, default, help."""

AXES: dict[str, Axis] = {
    **ternary.AXES,
    "trained_share": Axis(
        default=0.25,
        minimum=0.0,
        maximum=1.0,
        beside={"block_mixer": "partly_ternary"},
        help="share of the rows of partly_ternary that is trained",
    ),
    **{
        axis: Axis(default=default, beside={"block_mixer": kind}, of_widths=True, help=text)
        for axis, (_, kind, default, text) in _SIZES.items()
    },
}

_FIELDS = {"trained_share": "trained_share"} | {axis: size[0] for axis, size in _SIZES.items()}


def matters(axis: str, values: Mapping[str, Value], kinds: Collection[MixerKind]) -> bool:
    """Whether one of these axes changes a network that has mixing layers of these kinds."""
    if axis == "ternary_seed":
        return not SEEDED_KINDS.isdisjoint(kinds)
    if axis in ternary.AXES:
        return not GENERATED_KINDS.isdisjoint(kinds) and ternary.matters(axis, values)
    return any(_FIELDS[axis] in NEEDS[kind] for kind in kinds)


def build_mixer(values: Mapping[str, Value], kind: MixerKind) -> Mixer:
    """The mixer of a kind that the axes describe.

    Raises:
        InvalidField: a size or the generator's parameters are refused.
    """
    if kind == "dense":
        return DENSE
    needs = NEEDS[kind]
    fields: dict[str, Any] = {
        field: values.get(axis, AXES[axis].default)
        for axis, field in _FIELDS.items()
        if field in needs
    }
    if kind in GENERATED_KINDS:
        density = float(values.get("density", AXES["density"].default))
        fields |= {"density": density, "generator": ternary.build_generator(values)}
    return _made(kind, tuple(fields.items()))


@cache
def _made(kind: MixerKind, fields: tuple[tuple[str, Any], ...]) -> Mixer:
    """A sweep builds the same few again and again, for each block anew."""
    return Mixer(kind=kind, **dict(fields))
