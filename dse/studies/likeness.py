"""When two designs may be held against each other, and which dense designs are missing for that.

Whether ternary matrices are worth it is a question about matrices, and two networks differ in much
else. A ternary network of 10,284 trained parameters that makes fewer errors than a dense one of
6,844 has shown that it is larger. So:

    alike     trained parameters, or the cost that the study minimises, within a factor of `LIKE`

Either is enough, as either is a budget that an engineer may have: weights to be stored, or energy.
A dense design that costs no more is fair to a ternary one whatever its size, but in one direction
only: does it err less, the ternary one is beaten within its own budget; does it err more, a dense
one that used the budget might not.
"""

from collections.abc import Collection, Iterable, Sequence

from dse.columns import LABELS
from dse.studies.rows import Evaluation

LIKE = 1.25
"""Designs are of like size, or of like cost, up to this factor. A choice: a step of 16 channels at
64 moves trained parameters by about as much, and an error of a network of the sizes searched here
by less than its 95 % interval."""

SIZE = "trained_parameters"

CONTROL = "control of "
"""How the source of a row begins that `controls: auto` made; the key of the ternary design ends
it."""


def is_control(row: Evaluation) -> bool:
    """Whether a row is a dense control that `controls: auto` made."""
    return row.source.startswith(CONTROL)


def within(one: float, other: float, factor: float = LIKE) -> bool:
    """Whether two figures differ by at most a factor; NaN and 0 are like nothing but 0 like 0."""
    return one == other or (min(one, other) > 0 and max(one, other) <= factor * min(one, other))


def alike_in(one: Evaluation, other: Evaluation, cost: str) -> str:
    """`trained parameters`, or the name of the cost, in which two designs are alike; else empty.

    Args:
        one: a design.
        other: another.
        cost: column that the study minimises.
    """
    names = (name for name in (SIZE, cost) if within(one.column(name), other.column(name)))
    return next((LABELS[name][0] for name in names), "")


def without_control(ternary: Iterable[Evaluation], dense: Sequence[Evaluation]) -> list[Evaluation]:
    """Ternary designs that no dense one equals in trained parameters (`LIKE`), each key once.

    Args:
        ternary: designs, such as those of a frontier.
        dense: trained or in training.
    """
    sizes = [row.column(SIZE) for row in dense]
    missing = {
        row.key: row for row in ternary if not any(within(row.column(SIZE), size) for size in sizes)
    }
    return list(missing.values())


def missing_controls(
    ternary: Iterable[Evaluation], dense: Sequence[Evaluation], sources: Collection[str]
) -> list[Evaluation]:
    """Ternary designs for which `controls: auto` still wants a dense one, in their order.

    Args:
        ternary: of the frontier.
        dense: trained or in training.
        sources: of all rows, and of what is in training: a control that could not be made (a row
            says why) is asked for once.
    """
    return [row for row in without_control(ternary, dense) if CONTROL + row.key not in sources]
