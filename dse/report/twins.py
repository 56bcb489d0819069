"""The dense twin of a design: the one dense reference that ratios in reports are against.

    twin    the same network with each ternary matrix trained in its place; identities stay

Policies from P2 on also put an identity in the place of a trained skip. That saves a matrix, too,
but an identity is nothing ternary, and a dense network may have it as well. So P0 of the same
widths, whose skips are trained, is not the twin: held against it, ternary matrices would be
credited with what the identities save. MatchboxNet-3x1x64-P3 on `kws_ternary` is such a case: its
P0 costs more of its energy than its twin does.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from cost_models import Cost, estimate
from dse.columns import significant
from dse.design.mixer import DENSE
from dse.design.point import Block, DesignPoint
from dse.design.policies import is_dense, make_dense
from dse.networks.lowering import lower
from dse.pricing.priced import Priced

TWIN_NOTE = (
    "The dense twin is the same network with each ternary matrix trained in its place, on the same "
    "machine; identities stay, so what policies from P2 on save by identity skips is not credited "
    "to ternary matrices."
)


def twin_cost(each: Priced) -> Cost | None:
    """The cost of a design's dense twin on the same machine; None where nothing is ternary.

    Layers that are no design have none: nobody knows what was in place of their matrices.
    """
    if not isinstance(each.point, DesignPoint):
        return None
    twin = make_dense(each.design)
    if twin is each.design:
        return None
    first, last = each.cost.workload.layers[0], each.cost.workload.layers[-1]
    workload = lower(twin, frames=first.in_frames, outputs=last.out_channels)
    return estimate(workload, each.cost.accelerator.as_asked, each.cost.technology)


def other_references(priced: Sequence[Priced]) -> Iterator[str]:
    """Sentences on dense designs that look like the twin of a ternary one beside them, and are not.

    Args:
        priced: designs that stand side by side.
    """
    for each in priced:
        if not isinstance(each.point, DesignPoint) or is_dense(each.point):
            continue
        for other in priced:
            if not isinstance(other.point, DesignPoint):
                continue
            if _same_place(each, other) and _looks_like_twin(other.point, each.point):
                yield _words(each, other)


def _words(each: Priced, other: Priced) -> str:
    cost = twin_cost(each)
    assert cost is not None  # it has a ternary matrix
    ratios = [significant(one.energy_pj / each.cost.energy_pj, 3) for one in (other.cost, cost)]
    return (
        f"{other.point.label} is not the dense twin of {each.point.label}: its skips are trained "
        f"matrices where that one has identities. It takes {ratios[0]} times the energy, the twin "
        f"(ternary matrices trained, identities kept) {ratios[1]} times."
    )


def _same_place(one: Priced, other: Priced) -> bool:
    """Whether two are on one machine in one technology."""
    first, second = one.cost, other.cost
    same = first.accelerator.name == second.accelerator.name
    return same and first.technology.name == second.technology.name


def _looks_like_twin(dense: DesignPoint, ternary: DesignPoint) -> bool:
    """Whether a dense network has the shape of a ternary one, but other skips than its twin."""
    if not is_dense(dense) or dense.key == make_dense(ternary).key:
        return False
    return _shape(dense) == _shape(ternary)


def _shape(point: DesignPoint) -> tuple[tuple[Block, ...], int, int, str]:
    """A network whatever its matrices are: all trained."""
    blocks = tuple(
        dataclasses.replace(block, mixer=DENSE, skip=None if block.skip is None else DENSE)
        for block in point.blocks
    )
    return blocks, point.in_channels, point.in_bins, point.head
