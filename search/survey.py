"""Look at a space before searching it: what share keeps the limits, and what costs there are.

`SAMPLE` random designs are priced, which answers two questions before anything is trained:

* Is there anything to search? Where no design of the sample keeps the limits, the one nearest to
  them is improved axis by axis. Either that finds a feasible design, or the study ends here with
  the limit that cannot be kept, and not after a thousand candidates.
* In which box is hypervolume measured? Between the lowest and the highest cost of the feasible
  sample. A box made once, before the first row, and kept in `resolved.yaml`, keeps the hypervolume
  of a study comparable with itself: one that grew with the results would move under the curve.
"""

import math
import random
from dataclasses import dataclass

import numpy as np

from dse.columns import MEASURED_COLUMNS
from dse.design.families.family import Value, Values
from dse.design.space import SearchSpace, check_not_empty
from dse.errors import InvalidInput, InvalidStudy
from dse.pricing.pricing import Offer, Pricing
from dse.pricing.sweep import Sweep

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


def survey(sweep: Sweep, *, seed: int) -> Survey:
    """Price `SAMPLE` random points.

    Args:
        sweep: of the space, on the machines and under the limits of the study.
        seed: of the sample.

    Raises:
        InvalidStudy: no point keeps the limits. Where none of the sample does, the nearest one is
            first improved axis by axis as far as it goes.
    """
    space, pricing, rng = sweep.space, sweep.pricing, random.Random(seed)
    sample = [space.sample(rng) for _ in range(SAMPLE)]
    inside = np.zeros(SAMPLE, dtype=np.bool_)
    lowest: dict[str, float] = {}
    highest: dict[str, float] = {}
    cut = sweep.cut(sample)
    for pricer in pricing.pricers:
        columns, feasible = pricer.price(cut)
        inside |= feasible
        for name, figures in columns.items() if feasible.any() else ():
            kept = figures[feasible]
            lowest[name] = min(lowest.get(name, math.inf), float(kept.min()))
            highest[name] = max(highest.get(name, -math.inf), float(kept.max()))
    if not inside.any():
        found = _approach_limits(space, pricing, sample)
        lowest = highest = found.offer.columns
        inside[0] = True
    count = int(inside.sum())
    return Survey(size=space.size, sampled=SAMPLE, feasible=count, lowest=lowest, highest=highest)


@dataclass(frozen=True, slots=True)
class _Attempt:
    values: Values
    offer: Offer
    excess: float
    """How far beyond the limits; 0 for a feasible point."""


def _approach_limits(space: SearchSpace, pricing: Pricing, sample: list[Values]) -> _Attempt:
    """The point of the sample that is nearest to the limits, improved until it keeps them."""
    nearest: _Attempt | None = None
    for values in sample:
        priced = _price(space, pricing, values)
        if priced is not None and (nearest is None or priced.excess < nearest.excess):
            nearest = priced
    if nearest is None:
        check_not_empty(space)
        raise InvalidStudy(
            f"{_name_machines(pricing)} can execute no point of the space; for example: "
            f"{_why_not(space, pricing, sample)}"
        )
    return _descend(space, pricing, nearest)


def _why_not(space: SearchSpace, pricing: Pricing, sample: list[Values]) -> str:
    """Why the first network of a sample cannot be executed, with what to do about it."""
    for values in sample:
        try:
            point = space.point(values)
        except InvalidInput:
            continue
        try:
            pricing.best(point)
        except InvalidInput as error:
            return str(error)
    return "none is a network"


def _name_machines(pricing: Pricing) -> str:
    count = len(pricing.machines)
    return f"none of {count} machines" if count > 1 else pricing.machines[0].accelerator.name


def _price(space: SearchSpace, pricing: Pricing, values: Values) -> _Attempt | None:
    """A point with its cost; None where it is no network or the machine cannot execute it."""
    try:
        offer = pricing.best(space.point(values))
    except InvalidInput:
        return None
    return _Attempt(values, offer, pricing.excess(offer))


def _descend(space: SearchSpace, pricing: Pricing, start: _Attempt) -> _Attempt:
    """Change one axis at a time while that brings the point nearer to the limits."""
    best, improved = start, True
    while improved and best.excess > 0:
        improved = False
        for choice in space.choices:
            for value in choice.values:
                priced = _price(
                    space, pricing, _change_axis(space, best.values, choice.name, value)
                )
                if priced is not None and priced.excess < best.excess - 1e-12:
                    best, improved = priced, True
    if best.offer.no_stream:
        raise InvalidStudy(
            f"no point of the space that was found can be listened to: {best.offer.no_stream}"
        )
    if best.excess > 0:
        raise InvalidStudy(
            "no point of the space meets the limits: the nearest found fails with "
            f"{best.offer.reason}; widen the space or the limit"
        )
    return best


def _change_axis(space: SearchSpace, values: Values, name: str, value: Value) -> Values:
    """The assignment with one axis changed; axes that now matter take their first value."""
    wanted: Values = {**values, name: value}
    return space.walk(lambda choice: wanted.get(choice.name, choice.values[0]))


def measure_box(objectives: tuple[str, ...], found: Survey) -> dict[str, list[float]]:
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
