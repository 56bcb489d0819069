"""The kind of a network, dense, with ternary matrices or neither: its own, whatever runs it.

A machine with a generator counts the weights that it makes (`generated_weights`); one without
(`kws_int8`, `kws_ternary_stored`) stores the same ternary matrices and counts none. So a count says
"ternary" for sure and never "dense": that only the network itself says.

Building a network takes milliseconds, and a study has up to 100,000 rows. But its kind depends on
few axes (which matrices are replaced, how many blocks there are), not on widths or kernels: one
network is built for each combination of those few.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Literal

from dse.design.point import DesignPoint
from dse.design.policies import is_dense, is_ternary
from dse.design.space import SearchSpace
from dse.errors import InvalidDesign
from dse.studies.rows import Evaluation

Kind = Literal["dense", "ternary", "other"]
"""`other` has mixing layers of other kinds, such as low rank, and none with generated rows."""

BY_WIDTH = "identity_or_"
"""Begins the name of a skip that has a matrix only where a block changes its width: there widths
decide, too, unless that matrix is dense like all others."""


class Kinds:
    """Kinds of a study's networks, each found once."""

    def __init__(
        self, space: SearchSpace, build_point: Callable[[Evaluation], DesignPoint | None]
    ) -> None:
        self._space = space
        self._build_point = build_point
        self._found: dict[Hashable, Kind | None] = {}

    def of(self, row: Evaluation) -> Kind | None:
        """The kind of a row's network; None where nobody knows the network."""
        if row.cost.get("generated_weights", 0) > 0:
            return "ternary"
        mark = self._mark(row)
        if mark not in self._found:
            point = self._build_point(row)
            self._found[mark] = None if point is None else kind_of(point)
        return self._found[mark]

    def _mark(self, row: Evaluation) -> Hashable:
        # Baselines and controls are networks of their own, wherever they come from.
        if row.source != "search" or not row.values:
            return row.key
        axes = deciding_axes(self._space, row.values, row.values.values())
        return tuple((name, row.values[name]) for name in axes)


def kind_of(point: DesignPoint) -> Kind:
    """Dense where all matrices are, but for identities; ternary where any row is generated."""
    if is_dense(point):
        return "dense"
    return "ternary" if is_ternary(point) else "other"


def deciding_axes(space: SearchSpace, names: Iterable[str], values: Iterable[object]) -> list[str]:
    """Those of these axes on which the kind of a network depends.

    Args:
        space: in which the networks are.
        names: of axes, as rows have them; those that its family does not know are left out.
        values: all that stand there: a skip such as `identity_or_ternary` makes widths decide, too.
    """
    if space.family.source is not None:  # only its author knows which axes decide that
        return list(names)
    skips = {str(value) for value in values} - {"identity_or_dense"}
    # Where only skips may be replaced, a network of bare identities has nothing that is.
    by_width = any(skip.startswith(BY_WIDTH) for skip in skips) or "separable" in space.family.axes
    found = []
    for name in names:
        try:
            base, _ = space.family.split(name)
        except InvalidDesign:
            continue
        widths = base.endswith("channels") or base in ("stride", space.family.width)
        if space.family.axes[base].decides or (by_width and widths):
            found.append(name)
    return found
