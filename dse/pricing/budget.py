"""Limits that a design must keep: a budget of trained parameters, and other columns of its cost.

Whether a design keeps a limit is decided in one place, `Limit.excess`: how far a column is outside
of its bound, as a share of the bound. Of one design it is a number, of a million of them an array;
all else here asks only for its sign or its size.

    kept          excess <= 0        a column that is NaN (cannot be built, executed) keeps nothing
    broken        excess >  0        and breaks nothing either: it is not known
    how far       sum of what is above 0, the distance that a search walks down
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt

from cost_models.allowed import Allowed
from cost_models.reading import Problems, read_value
from cost_models.strict_yaml import Node
from dse.columns import MEASURED_COLUMNS

# A comparison with NaN is never true: such a limit would let everything pass.
Bound = Annotated[float, Allowed(ge=0, words="a finite number from 0 up")]

Figures = TypeVar("Figures", float, npt.NDArray[np.float64])
"""A figure of one design, or a column of them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound on one column."""

    column: str
    bound: float
    upper: bool = True
    """The column may be at most `bound`; otherwise at least."""

    def excess(self, columns: Mapping[str, Figures]) -> Figures:
        """How far designs are outside, as a share of the bound; 0 or less where they keep it.

        A bound of 0 counts as 1, so that there is something to divide by. The sign is exact: a
        difference of two floats is 0 only where they are equal.

        Shares rather than units, because excesses of several columns are added: 10 % too much area
        weighs as much as 10 % too much energy, whatever square micrometres and picojoules are.

        Args:
            columns: the cost of one design as numbers, or of many as arrays of shape (designs,).
                One that lacks the column, as a design does that a stream's hop does not fit, is
                not known to be outside: NaN.
        """
        known: Any = columns.get(self.column, math.nan)
        difference = known - self.bound
        share: Figures = (difference if self.upper else -difference) / abs(self.bound or 1)
        return share

    def __str__(self) -> str:
        """`trained_parameters <= 80,000`."""
        return f"{self.column} {'<=' if self.upper else '>='} {self.bound:,.6g}"


@dataclass(frozen=True, slots=True)
class Budget:
    """All limits of a study; a design is feasible where it keeps every one of them."""

    limits: tuple[Limit, ...] = ()

    def kept(self, columns: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.bool_]:
        """Which designs keep all limits; NaN keeps none.

        Args:
            columns: of the costs, each of shape (designs,).
        """
        inside = np.ones(len(next(iter(columns.values()))), dtype=np.bool_)
        for limit in self.limits:
            inside &= limit.excess(columns) <= 0
        return inside

    def excess(self, columns: Mapping[str, Figures]) -> Figures:
        """How far designs are outside all limits together; 0 where they keep them, inf for NaN."""
        over: Any = 0.0
        for limit in self.limits:
            beyond: Any = limit.excess(columns)
            over = over + np.maximum(np.where(np.isnan(beyond), np.inf, beyond), 0.0)
        found: Figures = over
        return found

    def violations(self, columns: Mapping[str, float]) -> tuple[Limit, ...]:
        """The limits that a design with these costs breaks, in the order of the study."""
        return tuple(limit for limit in self.limits if limit.excess(columns) > 0)

    def explain(self, columns: Mapping[str, float]) -> str:
        """The reason why a design is infeasible; empty where it is feasible.

        Empty, too, where a limited column is NaN: that is neither kept nor broken. So whether a
        design may be built is for `kept` or `excess` to say, not for this sentence.
        """
        return "; ".join(
            f"{limit.column} is {columns[limit.column]:,.6g}, limit {limit}"
            for limit in self.violations(columns)
        )

    def to_dict(self) -> dict[str, float]:
        """`max_...` and `min_...` keys, as `budget_from_node` reads them."""
        return {
            f"{'max' if limit.upper else 'min'}_{limit.column}": limit.bound
            for limit in self.limits
        }


def budget_from_node(node: Node, columns: tuple[str, ...]) -> Budget:
    """Read limits from YAML: `max_trained_parameters: 80000`, `min_...: ...`.

    Args:
        node: the `limits` section of a study.
        columns: names that may be limited.

    Raises:
        InvalidFile: an unknown column, a bound that is no finite number from 0 up, or of an error
            above 1, or a minimum above a maximum; all of them at once.
    """
    if not isinstance(node.value, dict):
        raise node.error("limits must be a mapping such as {max_trained_parameters: 80000}")
    problems = Problems()
    limits: list[Limit] = []
    for key, child in node.value.items():
        with problems.part():
            limits.append(_limit(key, child, columns))
    bounds = {(limit.column, limit.upper): limit.bound for limit in limits}
    for (column, upper), bound in bounds.items():
        with problems.part():
            if upper and bounds.get((column, False), bound) > bound:
                raise node.error(
                    f"no design can meet min_{column} {bounds[column, False]:,.6g} and "
                    f"max_{column} {bound:,.6g}: the minimum is above the maximum"
                )
    problems.tell()
    return Budget(tuple(limits))


def _limit(key: str, node: Node, columns: tuple[str, ...]) -> Limit:
    kind, _, column = key.partition("_")
    if kind not in ("max", "min") or column not in columns:
        raise node.error(
            f"unknown limit '{key}': {_meant(key, node.value, columns)}write max_ or min_ and a "
            f"column: {', '.join(columns)}"
        )
    bound = read_value(Bound, node)
    if column in MEASURED_COLUMNS and bound > 1:
        raise node.error(
            f"{key} must be a share of the clips from 0 to 1, not {bound:,.6g}: write "
            f"{bound / 100:g} for {bound:g} %"
        )
    return Limit(column, bound, upper=kind == "max")


def in_time(limits: Sequence[Limit], column: str, most_us: float) -> tuple[Limit, ...]:
    """The limits, and that an inference, or a hop, is done before the next one begins.

        latency_us <= 1e6 / rate          hop_latency_us <= duration of a hop

    A stricter limit that the person gave stays; a looser one is replaced, as it could never bind.
    """
    most = Limit(column, most_us)
    upper = [limit for limit in limits if limit.column == column and limit.upper]
    if upper and upper[0].bound <= most.bound:
        return tuple(limits)
    return (*(limit for limit in limits if limit not in upper), most)


UNITS = {
    "energy": ("pj", {"fj": 1e-3, "nj": 1e3, "uj": 1e6, "mj": 1e9, "j": 1e12}),
    "time": ("us", {"ns": 1e-3, "ms": 1e3, "s": 1e6}),
    "area": ("um2", {"mm2": 1e6, "nm2": 1e-6}),
    "power": ("uw", {"nw": 1e-3, "mw": 1e3, "w": 1e6}),
    "size": ("bits", {"kbit": 1e3, "kbits": 1e3, "bytes": 8, "kb": 8192, "kib": 8192}),
}
"""Quantity -> unit of our columns, and what of it other units are."""


def _meant(key: str, value: Any, columns: tuple[str, ...]) -> str:
    """`did you mean 'max_latency_us'? `: with the number in that unit, where another was meant."""
    stem, _, unit = key.lower().rpartition("_")
    for ours, others in UNITS.values():
        name = f"{stem}_{ours}"
        if unit in others and name.partition("_")[2] in columns:
            number = type(value) in (int, float)
            in_ours = f", of {value * others[unit]:.12g}" if number else ""
            return f"did you mean '{name}'{in_ours}? "
    kind, _, column = key.partition("_")
    close = difflib.get_close_matches(column if kind in ("max", "min") else key, columns, n=1)
    side = "min" if kind == "min" else "max"
    return f"did you mean '{side}_{close[0]}'? " if close else ""
