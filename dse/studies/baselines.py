"""Designs that a study evaluates before it searches: published networks, or places in the space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cost_models.reading import Problems
from cost_models.strict_yaml import Node
from dse.design.families.family import Values
from dse.design.point import DesignPoint
from dse.design.published import published, published_values
from dse.design.space import SearchSpace
from dse.errors import InvalidFile, InvalidInput


@dataclass(frozen=True, slots=True)
class Baseline:
    """A design that a study evaluates before it searches."""

    name: str
    """Of a published network; or its summary with the beginning of its key, which tells it apart
    from other baselines (rows name their `source` by it)."""
    point: DesignPoint
    values: Values | None
    """Its place in the space; None where it lies beside it."""
    published: bool = True

    def to_plain(self) -> Any:
        """As the study file has it, so that `read_baselines` reads it back."""
        return self.name if self.published else self.values


def read_baselines(nodes: Sequence[Node], space: SearchSpace) -> tuple[Baseline, ...]:
    """The `baselines` of a study file, or of a record.

    Raises:
        InvalidFile: there is no such network, it is no design of the space, or it stands twice.
    """
    baselines: dict[str, Baseline] = {}
    problems = Problems()
    for each in nodes:
        with problems.part():
            baseline = _read_baseline(each, space)
            if baseline.name in baselines:
                raise each.error(f"baselines: '{baseline.name}' stands there twice: leave one out")
            baselines[baseline.name] = baseline
    problems.tell()
    return tuple(baselines.values())


def _read_baseline(node: Node, space: SearchSpace) -> Baseline:
    """The name of a published network, or values of axes."""
    try:
        if isinstance(node.value, str):
            values = published_values(node.value, space.family)
            place = None if values is None else space.complete(values)
            point = published(node.value, space.in_channels, space.family)
            return Baseline(node.value, point, place)
        given = node.plain()
        place = space.complete(given, fill=True)
        if place is None:
            raise node.error(f"the space has no design with {given}: widen an axis or change it")
        return baseline_at(place, space)
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise node.error(f"baselines: {error}") from None


def baseline_at(values: Values, space: SearchSpace) -> Baseline:
    """A design of the space, named by what it is and the beginning of its key."""
    point = space.point(values)
    return Baseline(f"{point.summary}, {point.key[:4]}", point, values, published=False)
