"""Published networks by name: baselines that a search is held against.

Accuracies are those their papers print, on the official Speech Commands; nothing measured on other
data may be compared with them.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dse.design.families import mixing
from dse.design.families.family import Family, Value
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.mixer import DENSE, GENERATED_KINDS, MixerKind
from dse.design.point import Block, DesignPoint
from dse.design.policies import POLICIES, apply_policy
from dse.errors import InvalidDesign, short
from dse.ternary.order import PATTERN, ROWS

DEFAULT_DENSITY = 0.25
"""Density of `NAME-P1`..`NAME-P4`. The paper's is not known; Li et al. (KDD 2006) propose
1/sqrt(D), which is 0.125 for 64 inputs, Achlioptas (2003) 1/3; a quarter lies between them."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a paper prints about a network."""

    values: Mapping[str, Value]  # axes of MatchboxNet
    outputs: int
    parameters: int  # rounded as printed
    accuracy: float | None  # on Speech Commands v1 (30 outputs) or v2 (35 outputs)
    source: str


_MATCHBOXNET = "MatchboxNet, arXiv 2004.08531v2"

PUBLISHED: dict[str, Published] = {
    "matchboxnet-3x1x64": Published(
        {"blocks": 3, "repeats": 1, "channels": 64}, 30, 77_000, 0.9721, f"{_MATCHBOXNET}, table 2"
    ),
    "matchboxnet-3x2x64": Published(
        {"blocks": 3, "repeats": 2, "channels": 64}, 30, 93_000, 0.9748, f"{_MATCHBOXNET}, table 2"
    ),
    "matchboxnet-6x2x64": Published(
        {"blocks": 6, "repeats": 2, "channels": 64}, 35, 140_000, 0.9737, f"{_MATCHBOXNET}, table 3"
    ),
}

_QUARTZNET_GROUPS = ((33, 256), (39, 256), (51, 512), (63, 512), (75, 512))
"""Kernel and channels of the five groups of blocks (QuartzNet, arXiv 1910.10261, table 1)."""


def published(name: str) -> DesignPoint:
    """A network by its name in the literature.

    Args:
        name: `matchboxnet-BxRxC` (B blocks, R sub-blocks, C channels), `quartznet-5x5`, `-10x5` or
            `-15x5`; either may end in a policy, `-P1` to `-P4`, with ternary matrices of density
            `DEFAULT_DENSITY`, and that in their order: `-P3@4x32`, in tiles of 4 x 32; or with
            another kind of matrices, of the sizes that `dse.design.families.mixing` has for
            defaults: `-P3:monarch`.

    Raises:
        InvalidDesign: no such network.
    """
    axes = published_values(name)
    if axes is not None:
        return MATCHBOXNET.build(axes, name=name)
    base, policy, kind, order = _split(name)
    if match := re.fullmatch(r"quartznet-(5|10|15)x(\d{1,2})", base):
        point = quartznet(int(match[1]) // 5, int(match[2]), name=base)
        values: dict[str, Value] = {"density": DEFAULT_DENSITY, "matrix_order": order}
        found = apply_policy(point, policy, mixer=mixing.build_mixer(values, kind))
        return dataclasses.replace(found, name=name)
    raise InvalidDesign(
        f"there is no published network {short(name)}: use matchboxnet-BxRxC such as "
        f"{', '.join(PUBLISHED)}, or quartznet-5x5, quartznet-10x5, quartznet-15x5; "
        "add -P1 to -P4 for ternary matrices, and @4x32, say, for their order; -P3:KIND for "
        f"matrices of another kind ({', '.join(_OTHERS)})"
    )


def published_values(name: str, family: Family = MATCHBOXNET) -> dict[str, Value] | None:
    """The axes of a family that describe a network; None if it is no network of that family.

    Only what the name says; `SearchSpace.complete` adds defaults for the axes of a space. With axes
    a baseline is a design of the space, which a sampler can learn from.

    Args:
        name: as `published` takes it.
        family: of the space; only MatchboxNet has published networks with axes.
    """
    if family is not MATCHBOXNET:
        return None
    base, policy, kind, order = _split(name)
    match = re.fullmatch(r"matchboxnet-(\d{1,2})x(\d{1,2})x(\d{1,4})", base)
    if match is None:
        return None
    blocks, repeats, channels = map(int, match.groups())
    values: dict[str, Value] = {"blocks": blocks, "repeats": repeats, "channels": channels}
    if policy != "P0":
        values |= {"policy": policy}
        values |= {"policy_mixer": kind} if kind != "ternary" else {}
        values |= {"density": DEFAULT_DENSITY} if kind in GENERATED_KINDS else {}
    if order != ROWS:
        values["matrix_order"] = order
    return values


_OTHERS = tuple(kind for kind in mixing.PLACE_KINDS if kind not in ("dense", "ternary"))
"""Kinds that a name may end in."""
_ENDING = re.compile(
    rf"(?P<policy>{'|'.join(POLICIES)})(:(?P<kind>{'|'.join(_OTHERS)}))?(@(?P<order>{PATTERN}))?"
)


def _split(name: str) -> tuple[str, str, MixerKind, str]:
    """Network, policy, kind of its matrices and their order: `-P3@4x32` is P3 in tiles of 4 x 32.

    An order is one of generated matrices, a kind or an order one of a policy that replaces some.
    """
    base, _, ending = name.rpartition("-")
    match = _ENDING.fullmatch(ending)
    if match is None or (match["policy"] == "P0" and ending != "P0"):
        return name, "P0", "ternary", ROWS
    kind: Any = match["kind"] or "ternary"
    if match["order"] and kind not in GENERATED_KINDS:
        return name, "P0", "ternary", ROWS
    return base, match["policy"], kind, match["order"] or ROWS


def quartznet(copies: int, repeats: int, *, name: str = "") -> DesignPoint:
    """QuartzNet with each of its five groups standing `copies` times in a row.

    C1 has stride 2 and C2 dilation 2; both are separable (with dense ones the counts would be 20 M
    and more). The head gives scores at every frame.
    """
    blocks = [Block(name="C1", out_channels=256, kernel_size=33, stride=2)]
    numbers = ((kernel, channels) for kernel, channels in _QUARTZNET_GROUPS for _ in range(copies))
    for number, (kernel, channels) in enumerate(numbers, start=1):
        blocks.append(
            Block(
                name=f"B{number}",
                out_channels=channels,
                kernel_size=kernel,
                repeats=repeats,
                skip=DENSE,
            )
        )
    blocks += [
        Block(name="C2", out_channels=512, kernel_size=87, dilation=2),
        Block(name="C3", out_channels=1024, kernel_size=1, separable=False),
    ]
    return DesignPoint(blocks=tuple(blocks), head="framewise", name=name)
