"""Limits that a design must keep: a budget of trained parameters, and other columns of its cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cost_models.strict_yaml import Node, read_value


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound on one column."""

    column: str
    bound: float
    upper: bool = True
    """The column may be at most `bound`; otherwise at least."""

    def excess(self, columns: Mapping[str, float]) -> float:
        """How far a design is outside, as a share of the bound; 0 or less where it keeps it."""
        difference = columns[self.column] - self.bound
        return (difference if self.upper else -difference) / abs(self.bound or 1)

    def __str__(self) -> str:
        """`trained_parameters <= 80,000`."""
        return f"{self.column} {'<=' if self.upper else '>='} {self.bound:,.6g}"


@dataclass(frozen=True, slots=True)
class Budget:
    """All limits of a study."""

    limits: tuple[Limit, ...] = ()

    def violations(self, columns: Mapping[str, float]) -> tuple[Limit, ...]:
        """The limits that a design with these costs does not keep, in the order of the study."""
        return tuple(limit for limit in self.limits if limit.excess(columns) > 0)

    def explain(self, columns: Mapping[str, float]) -> str:
        """The reason why a design is infeasible; empty where it is feasible."""
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
        InvalidFile: an unknown column, a bound that is no finite number from 0 up, or a minimum
            above a maximum.
    """
    if not isinstance(node.value, dict):
        raise node.error("limits must be a mapping such as {max_trained_parameters: 80000}")
    limits: list[Limit] = []
    for key, child in node.value.items():
        kind, _, column = key.partition("_")
        if kind not in ("max", "min") or column not in columns:
            raise child.error(
                f"unknown limit '{key}': write max_ or min_ and a column: {', '.join(columns)}"
            )
        bound = read_value(float, child)
        # A comparison with NaN is never true: such a limit would let everything pass.
        if not (math.isfinite(bound) and bound >= 0):
            raise child.error(f"{child.key} must be a finite number from 0 up, not {bound:g}")
        limits.append(Limit(column, bound, upper=kind == "max"))
    bounds = {(limit.column, limit.upper): limit.bound for limit in limits}
    for (column, upper), bound in bounds.items():
        if upper and bounds.get((column, False), bound) > bound:
            raise node.error(
                f"no design can meet min_{column} {bounds[column, False]:,.6g} and "
                f"max_{column} {bound:,.6g}: the minimum is above the maximum"
            )
    return Budget(tuple(limits))
