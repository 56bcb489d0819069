"""One name for one design: a summary that another design has already gets what tells them apart.

    trial 3    2x1x16 P2 0.125                        the first of its summary
    trial 5    2x1x16 P2 0.125 kernel=9               as trial 3, but for the kernel
    trial 8    2x1x16 P2 0.125 final_channels=64      neither of both

The summary of a network (`DesignPoint.summary`) has what people ask for first, and not all axes of
a space: two designs that differ in another one would share it, in tables, plots and commands. A
name is given once, when a design is priced, by the designs before it: it never changes, and every
reader of a record finds the same.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from dse.design.families.family import Value
from dse.design.point import LONGEST_NAME, DesignPoint
from dse.studies.rows import Evaluation

_AXES = re.compile(r"( \w+=\S+)*")
"""What a name has behind its summary."""

MOST_AXES = 3
"""So many are tried in all combinations; beyond that, all that differ are named."""


def name_design(
    point: DesignPoint, values: Mapping[str, Value], before: Iterable[Evaluation]
) -> str:
    """The name of a design in its study: its label, and the fewest axes that tell it apart.

    Args:
        point: the design.
        values: of its axes; none of a network beside the space.
        before: rows of designs that have their names.

    Returns:
        The name that an equal design has already; else one that no other design has.
    """
    key = point.key
    named = [row for row in before if row.key and row.name]
    same = next((row.name for row in named if row.key == key), None)
    if same is not None:
        return same
    label = point.label
    names = {row.name for row in named}
    if label not in names:
        return label
    alike = [row for row in named if _has_label(row.name, label)]
    apart = _find_axes(values, [row.values for row in alike])
    name = " ".join([label, *(f"{axis}={_said(values[axis])}" for axis in apart)])
    fits = name not in names and len(name) <= LONGEST_NAME
    return name if fits else _with_key(label, key, names)


def _has_label(name: str, label: str) -> bool:
    return name.startswith(label) and _AXES.fullmatch(name[len(label) :]) is not None


def _find_axes(
    values: Mapping[str, Value], others: Sequence[Mapping[str, Value]]
) -> tuple[str, ...]:
    """The fewest axes of which each other design has another value in one at least.

    The first such in the order of the space; none where an other has the same values in all of
    them, as a network beside the space has.
    """
    differing = [{axis for axis in values if other.get(axis) != values[axis]} for other in others]
    every = [axis for axis in values if any(axis in one for one in differing)]
    for count in range(1, min(MOST_AXES, len(every)) + 1):
        for axes in itertools.combinations(every, count):
            if all(one.intersection(axes) for one in differing):
                return axes
    return tuple(every) if all(differing) else ()


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _with_key(label: str, key: str, names: set[str]) -> str:
    """Where no axis tells: digits of the key, as many as it takes."""
    tried = (f"{label} key={key[:digits]}" for digits in range(4, len(key) + 1))
    return next((name for name in tried if name not in names), f"{label} key={key}")
