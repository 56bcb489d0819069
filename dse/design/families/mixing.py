"""Axes of mixing layers, the same in every family with places for them: kinds and their sizes."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from dse.design.families import ternary
from dse.design.families.family import Axis, Family, Value, Values
from dse.design.mixer import DENSE, GENERATED_KINDS, KINDS, NEEDS, SEEDED_KINDS, Mixer, MixerKind
from dse.design.replacement import POLICIES

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
        per_block=True,
        beyond_blocks=True,
        beside={"block_mixer": "partly_ternary"},
        help="share of the rows of partly_ternary that is trained",
    ),
    **{
        axis: Axis(
            default=default,
            per_block=True,
            beyond_blocks=True,
            beside={"block_mixer": kind},
            of_widths=True,
            help=text,
        )
        for axis, (_, kind, default, text) in _SIZES.items()
    },
}

POLICY_MIXER = Axis(
    default="ternary",
    options=PLACE_KINDS,
    decides=True,
    beside={"policy": "P4"},
    fills="never",
    help="what a policy puts in place of dense matrices",
)
"""The axis `policy_mixer` of a family with policies."""


def policy_axis(replaces: tuple[str, ...], text: str) -> Axis:
    """The axis `policy`, which decides what the axes of `replaces` would decide one by one."""
    return Axis(
        default="P0",
        options=POLICIES,
        decides=True,
        replaces=replaces,
        fills="never",
        help=text,
    )


_FIELDS = {"trained_share": "trained_share"} | {axis: size[0] for axis, size in _SIZES.items()}


def matters(axis: str, values: Mapping[str, Value], kinds: Collection[MixerKind]) -> bool:
    """Whether one of these axes changes a network that has mixing layers of these kinds."""
    if axis == "ternary_seed":
        return not SEEDED_KINDS.isdisjoint(kinds)
    if axis in ternary.AXES:
        return not GENERATED_KINDS.isdisjoint(kinds) and ternary.matters(axis, values)
    return any(_FIELDS[axis] in NEEDS[kind] for kind in kinds)


def of_kind(family: Family, values: Mapping[str, Value], kind: MixerKind) -> Values:
    """A network with one kind of mixing layer wherever it has another than dense.

    Identities stay where they are, so that networks of all kinds differ in the kind alone; that of
    kind `dense` is the dense twin (`dse.design.policies.make_dense`).

    Args:
        family: of the network.
        values: of the network; its policy, where it has one, stays, and gets the kind.
        kind: of its mixing layers.
    """
    if values.get("policy", "P0") != "P0":
        return {**values, "policy_mixer": kind}
    rest = {name: value for name, value in values.items() if name not in ("policy", "policy_mixer")}
    return {
        name: _in_its_place(str(value), kind) if family.is_place(name) else value
        for name, value in rest.items()
    }


def _in_its_place(value: str, kind: str) -> str:
    """`identity_or_ternary` becomes `identity_or_KIND`; what is dense or none stays."""
    begun = "identity_or_" if value.startswith("identity_or_") else ""
    return value if value in ("dense", "none") else begun + kind


def build_mixer(values: Mapping[str, Value], kind: MixerKind, block: int | None = None) -> Mixer:
    """The mixer of a kind that the axes describe.

    Args:
        values: axis -> value; what is missing takes its default.
        kind: of the mixer.
        block: number of the block that it is of, whose own axes (`density_b2`) come first.

    Raises:
        InvalidField: a size or the generator's parameters are refused.
    """
    if kind == "dense":
        return DENSE
    needs = NEEDS[kind]
    fields: dict[str, Any] = {
        field: _get(values, axis, block) for axis, field in _FIELDS.items() if field in needs
    }
    if kind in GENERATED_KINDS:
        density = float(_get(values, "density", block))
        fields |= {"density": density, "generator": ternary.build_generator(values)}
    return _made(kind, tuple(fields.items()))


def _get(values: Mapping[str, Value], axis: str, block: int | None) -> Value:
    common = values.get(axis, AXES[axis].default)
    return common if block is None else values.get(f"{axis}_b{block}", common)


@cache
def _made(kind: MixerKind, fields: tuple[tuple[str, Any], ...]) -> Mixer:
    """A sweep builds the same few again and again, for each block anew."""
    return Mixer(kind=kind, **dict(fields))
