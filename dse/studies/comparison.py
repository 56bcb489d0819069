"""Two designs side by side: differences in percent, and why one of them is not on the frontier."""

import math
from collections.abc import Sequence

from dse.columns import LABELS, MEASURED_COLUMNS, first_measured, percent_words, ratio_text, shown
from dse.studies.rows import Evaluation


def difference(before: float, after: float) -> float:
    """Relative change, (after - before) / |before|: 0.1 is 10 % more.

    From 0 to 0 is no change; from 0 to anything else is NaN, as no share of 0 is.
    """
    return (after - before) / abs(before) if before else (0.0 if after == before else math.nan)


def dominators(
    row: Evaluation, rows: Sequence[Evaluation], objectives: Sequence[str]
) -> list[Evaluation]:
    """Trained designs that are nowhere worse than `row` and somewhere better, nearest first.

    Nearest is the one that changes the fewest axes, then the one of the least error.
    """
    better = [other for other in rows if dominates(other, row, objectives)]
    distinct = {other.key: other for other in reversed(better)}
    measured = first_measured(objectives)
    return sorted(
        distinct.values(), key=lambda other: (axes_apart(row, other), other.column(measured))
    )


def dominates(one: Evaluation, other: Evaluation, objectives: Sequence[str]) -> bool:
    """Whether a trained design is nowhere worse than another, and somewhere better.

    The rule of `dse.pareto` for two rows: NaN compares false, so it neither beats nor is beaten. A
    design that is not fully trained beats nothing, as its error is not final.
    """
    if not one.full:
        return False
    pairs = [(one.column(name), other.column(name)) for name in objectives]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def axes_apart(one: Evaluation, other: Evaluation) -> int:
    """Axes in which two designs differ."""
    return len(changed_axes(one, other))


def changed_axes(one: Evaluation, other: Evaluation) -> dict[str, tuple[object, object]]:
    """Axis -> its value in the two designs, where they differ; None where it does not matter."""
    names = dict.fromkeys((*one.values, *other.values))
    pairs = {name: (one.values.get(name), other.values.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def trade(one: Evaluation, other: Evaluation, objectives: Sequence[str]) -> str:
    """`B has 0.3 % less error at 2.1x the energy per inference` with points of percent for errors.

    Args:
        one: what is compared with.
        other: what the sentence is about.
        objectives: the columns to speak of, errors first where they are among them.
    """
    ordered = sorted(objectives, key=lambda name: name not in MEASURED_COLUMNS)
    parts = [_part(name, one.column(name), other.column(name)) for name in ordered]
    equal = all(one.column(name) == other.column(name) for name in ordered)
    if equal:
        return "both are equal in " + " and ".join(LABELS[name][0] for name in ordered)
    first, *rest = parts
    return " ".join(filter(None, (first, "at " + " and ".join(rest) if rest else "")))


def side_by_side(one: Evaluation, other: Evaluation, objectives: Sequence[str]) -> str:
    """What a design gives and takes against another, and whether that dominates, as a sentence.

    Args:
        one: what is compared with.
        other: what the sentence is about.
        objectives: the columns to speak of.
    """
    if all(one.column(name) == other.column(name) for name in objectives):
        equal = " and ".join(LABELS[name][0] for name in objectives)
        return f"{other.name} and {one.name} are equal in {equal}."
    said = f"{other.name} has {trade(one, other, objectives)} than {one.name}"
    if dominates(one, other, objectives):
        return f"{said}, so {one.name} dominates it."
    return f"{said}, so it dominates." if dominates(other, one, objectives) else f"{said}."


def _part(name: str, before: float, after: float) -> str:
    label = LABELS[name][0]
    if math.isnan(before) or math.isnan(after):
        return f"no known {label}"
    if before == after:
        return f"the same {label}"
    if name in MEASURED_COLUMNS:
        points = 100 * abs(after - before)
        return f"{points:.2g} points {'less' if after < before else 'more'} {label}"
    if before <= 0 or after <= 0:
        return f"{shown(after, name)} instead of {shown(before, name)} {LABELS[name][1]} {label}"
    ratio = after / before
    if 0.5 <= ratio <= 2:
        return f"{percent_words(abs(ratio - 1))} {'less' if ratio < 1 else 'more'} {label}"
    return f"{ratio_text(ratio)}x the {label}"


def why_not_on_frontier(
    row: Evaluation, rows: Sequence[Evaluation], objectives: Sequence[str]
) -> str:
    """One sentence: what dominates a design, and what would change; empty on the frontier.

    Of all that dominate it the nearest in axes is named (`dominators`): the fewer axes differ, the
    plainer which choice to make otherwise.

    Args:
        row: the design.
        rows: of its study, itself or not among them.
        objectives: columns, all minimised.
    """
    found = dominators(row, rows, objectives)
    if not found:
        return ""
    nearest = found[0]
    axes = changed_axes(row, nearest)
    changes = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in axes.items())
    others = len(found) - 1
    more = f"; so do {others} more" if others > 1 else "; so does another one" if others else ""
    return (
        f"{nearest.name or nearest.key} dominates it: {trade(row, nearest, objectives)}"
        + (f" ({changes})" if changes else "")
        + more
    )
