"""Look at a space before searching it: what share keeps the limits, and what costs there are."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from dse.errors import InvalidInput, InvalidStudy
from dse.evaluation import Pricing
from dse.matchboxnet import Value
from dse.results import MEASURED_COLUMNS
from dse.space import SearchSpace, Values, check_not_empty
from dse.sweep import Sweep

SAMPLE = 500


@dataclass(frozen=True, slots=True)
class Survey:
    """What a random sample of a space costs."""

    size: int
    """Assignments of the space."""
    sampled: int
    feasible: int
    """Of the sampled ones."""
    lowest: dict[str, float]
    """Column -> lowest value among the feasible."""
    highest: dict[str, float]


def survey(space: SearchSpace, pricing: Pricing, sweep: Sweep, *, seed: int) -> Survey:
    """Price `SAMPLE` random points.

    Args:
        space: of the study.
        pricing: prices one design, and says why it must not be built.
        sweep: prices many designs of the space on the same machine under the same limits.
        seed: of the sample.

    Raises:
        InvalidStudy: no point keeps the limits. Where none of the sample does, the nearest one is
            first improved axis by axis as far as it goes.
    """
    rng = random.Random(seed)
    sample = [space.sample(rng) for _ in range(SAMPLE)]
    columns, feasible = sweep.price_designs(sample)
    count = int(feasible.sum())
    if not count:
        found = _nearest(space, pricing, sample)
        lowest = highest = dict(found.columns)
        count = 1
    else:
        lowest = {name: float(figures[feasible].min()) for name, figures in columns.items()}
        highest = {name: float(figures[feasible].max()) for name, figures in columns.items()}
    return Survey(size=space.size, sampled=SAMPLE, feasible=count, lowest=lowest, highest=highest)


def _nearest(space: SearchSpace, pricing: Pricing, sample: list[Values]) -> "_Priced":
    """The point of the sample that is nearest to the limits, improved until it keeps them."""
    nearest: _Priced | None = None
    for values in sample:
        priced = _price(space, pricing, values)
        if priced is not None and (nearest is None or priced.excess < nearest.excess):
            nearest = priced
    if nearest is None:
        check_not_empty(space)
        raise InvalidStudy(
            f"{pricing.accelerator.name} can execute no point of the space: choose another "
            "machine, or a space without ternary mixers"
        )
    return _descend(space, pricing, nearest)


@dataclass(frozen=True, slots=True)
class _Priced:
    values: Values
    columns: Mapping[str, float]
    excess: float
    """How far beyond the limits; 0 for a feasible point."""
    reason: str


def _price(space: SearchSpace, pricing: Pricing, values: Values) -> _Priced | None:
    """A point with its cost; None where it is no network or the machine cannot execute it."""
    try:
        cost = pricing.price(space.point(values))
    except InvalidInput:
        return None
    columns = pricing.columns(cost)
    excess = sum(max(0.0, limit.excess(columns)) for limit in pricing.budget.limits)
    return _Priced(values, columns, excess + len(cost.misfits), pricing.infeasibility(cost))


def _descend(space: SearchSpace, pricing: Pricing, start: _Priced) -> _Priced:
    """Change one axis at a time while that brings the point nearer to the limits."""
    best, improved = start, True
    while improved and best.excess > 0:
        improved = False
        for choice in space.choices:
            for value in choice.values:
                priced = _price(space, pricing, _changed(space, best.values, choice.name, value))
                if priced is not None and priced.excess < best.excess - 1e-12:
                    best, improved = priced, True
    if best.excess > 0:
        raise InvalidStudy(
            f"no point of the space meets the limits: the nearest found fails with {best.reason}; "
            "widen the space or the limit"
        )
    return best


def _changed(space: SearchSpace, values: Values, name: str, value: Value) -> Values:
    """The assignment with one axis changed; axes that now matter take their first value."""
    wanted: Values = {**values, name: value}
    return space.walk(lambda choice: wanted.get(choice.name, choice.values[0]))


def reference_box(objectives: tuple[str, ...], found: Survey) -> dict[str, list[float]]:
    """The box in which a study's hypervolume is measured: objective -> best and worst value.

    Errors count from 0 to 1; costs on a logarithmic scale between the lowest and the highest cost
    of the feasible points of the survey, so that halving a small energy counts as much as halving
    a large one.
    """
    box = {}
    for name in objectives:
        if name in MEASURED_COLUMNS:
            box[name] = [0.0, 1.0]
        else:
            low = math.log10(max(found.lowest[name], 1e-12))
            high = math.log10(max(found.highest[name], 1e-12))
            box[name] = [low, high if high - low > 1e-9 else low + 1.0]
    return box
