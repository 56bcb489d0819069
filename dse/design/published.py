"""Published networks by name: baselines that a search is held against.

Accuracies are those their papers print, on the official Speech Commands; nothing measured on other
data may be compared with them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dse.design.families import FAMILIES, mixing
from dse.design.families.dscnn import DSCNN
from dse.design.families.family import Family, Value
from dse.design.mixer import GENERATED_KINDS, MixerKind
from dse.design.point import DesignPoint
from dse.design.policies import POLICIES, is_dense
from dse.errors import InvalidDesign, short
from dse.ternary.order import PATTERN, ROWS

DEFAULT_DENSITY = 0.25
"""Density of `NAME-P1` and the like. The paper's is not known; Li et al. (KDD 2006) propose
1/sqrt(D), which is 0.125 for 64 inputs, Achlioptas (2003) 1/3; a quarter lies between them."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a paper prints about a network."""

    values: Mapping[str, Value]
    """Axes of its family."""
    outputs: int
    parameters: int
    """Rounded as printed."""
    accuracy: float | None
    """On Speech Commands v1 (30 words, or ten, unknown and silence: 12) or v2 (35 words)."""
    source: str
    with_statistics: bool = False
    """Whether two running statistics of each normalised channel are among the printed parameters;
    they are none of ours, as they are not trained."""


_MATCHBOXNET = "MatchboxNet, arXiv 2004.08531v2"
_TCRESNET = (
    "TC-ResNet, arXiv 1904.03814, table 2; parameters with running statistics of batch norms"
)


def _tcresnet(values: Mapping[str, Value], parameters: int, accuracy: float) -> Published:
    return Published(values, 12, parameters, accuracy, _TCRESNET, with_statistics=True)


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
    "tcresnet-8": _tcresnet({}, 66_000, 0.961),
    "tcresnet-8-1.5": _tcresnet({"width_percent": 150}, 145_000, 0.962),
    "tcresnet-14": _tcresnet({"block_repeats": 2}, 137_000, 0.962),
    "tcresnet-14-1.5": _tcresnet({"block_repeats": 2, "width_percent": 150}, 305_000, 0.966),
}


def published(
    name: str, in_channels: int | None = None, family: Family | None = None
) -> DesignPoint:
    """A network by its name in the literature.

    Args:
        name: `matchboxnet-BxRxC` (B blocks, R sub-blocks, C channels), `quartznet-5x5`, `-10x5` or
            `-15x5`, `tcresnet-8` or `-14`, with `-1.5` for a width multiplier and `-separable` for
            a variant of ours whose convolutions are separable, `ds-cnn-s`, `-m` or `-l`; each may
            end in a policy, `-P1` to `-P4`, `-alternate` or `-half`, with ternary matrices of
            density `DEFAULT_DENSITY`, and that in their order: `-P3@4x32`, in tiles of 4 x 32; or
            with another kind of matrices, of the sizes that `dse.design.families.mixing` has for
            defaults: `-P3:monarch`.
        in_channels: features per frame; those of the paper where it is None.
        family: of a study, which may be a person's own and then has names of its own.

    Raises:
        InvalidDesign: no such network, or a policy that replaces nothing in it.
    """
    if family is None or published_values(name, family) is None:
        family = published_family(name)
    values = None if family is None else published_values(name, family)
    if family is None or values is None:
        raise InvalidDesign(
            f"there is no published network {short(name)}: use matchboxnet-BxRxC such as "
            "matchboxnet-3x1x64, quartznet-5x5, quartznet-10x5, quartznet-15x5, tcresnet-8, "
            "tcresnet-14, tcresnet-8-1.5 with a width multiplier, ds-cnn-s, ds-cnn-m, ds-cnn-l; "
            f"add -{', -'.join(POLICIES[1:])} for ternary matrices, and @4x32, say, for their "
            f"order; -P3:KIND for matrices of another kind ({', '.join(_OTHERS)})"
        )
    point = family.build(values, in_channels=in_channels, name=name)
    if family is DSCNN and "policy" in values and is_dense(point):
        raise InvalidDesign(
            f"policy {values['policy']} replaces nothing in {_split(name)[0]}, whose blocks have "
            "no skips: use P3, which replaces the 1x1 of all of them"
        )
    if "separable" in family.axes and "policy" in values and is_dense(point):
        raise InvalidDesign(
            f"policy {values['policy']} replaces nothing in {_split(name)[0]}, whose convolutions "
            "go over all channels: use P2, which replaces the 1x1 of its skips, or "
            f"{_split(name)[0]}-separable"
        )
    return point


def published_family(name: str) -> Family | None:
    """The family of a published network; None of what is none."""
    base = _split(name)[0]
    return next((each for each in FAMILIES.values() if each.named(base) is not None), None)


def published_values(name: str, family: Family) -> dict[str, Value] | None:
    """The axes of a family that describe a network; None if it is no network of that family.

    Only what the name says; `SearchSpace.complete` adds defaults for the axes of a space. With axes
    a baseline is a design of the space, which a sampler can learn from.

    Args:
        name: as `published` takes it.
        family: of the space.
    """
    base, policy, kind, order = _split(name)
    found = family.named(base)
    if found is None:
        return None
    values = dict(found)
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
