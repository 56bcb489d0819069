"""What to build: of the trained designs one, of the machines one, under the limit of the reader.

    design      the lowest error; with a reader's limit on it, the cheapest design that keeps it
    machine     the one that the study priced it on, of several that suit it the cheapest, unless
                another one, of those that the report prices the design on, is no worse in any cost
                and better in one

All errors here are those that the study minimises, and all costs have one price (`Study.judged`).

A machine is called better only where its figures compare: of the same technology, without constants
of its own on either side, and where all memories hold what they must.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cost_models import Cost
from cost_models.application import Use
from dse.columns import LABELS, percent_text
from dse.pricing.application import power_at
from dse.pricing.comparable import own_constants
from dse.pricing.priced import Priced
from dse.report.comparison import find_best
from dse.studies.rows import Evaluation
from dse.studies.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The design that the answer is about, and why."""

    row: Evaluation
    lead: str
    """`the lowest error of 7 trained designs that keep the limits`."""
    limit: float | None = None
    """Of the reader, in percent; None where there is none, or no design keeps it."""
    missed: str = ""
    """A sentence where no design keeps the reader's limit."""


def choose(results: Study, max_error: float | None = None) -> Choice:
    """The design to build, of a study that has trained one.

    Args:
        results: the study, with a design whose error is known (`Study.judged`).
        max_error: of the reader, in percent, on the error that the study minimises.
    """
    cost, measured, rows = results.cost_objective, results.asked.measured, results.judged
    error = LABELS[measured][0]
    best = find_best(rows, cost, measured)
    assert best is not None  # something is trained
    count = len({row.key for row in rows})
    limits = " that keep the limits" if results.asked.limits and count > 1 else ""
    designs = f"{count} trained designs{limits}"
    lead = "the only trained design" if count == 1 else f"the lowest {error} of {designs}"
    if max_error is None:
        return Choice(row=best, lead=lead)
    keep = [row for row in rows if 100 * row.column(measured) <= max_error]
    if not keep:
        lowest = 100 * best.column(measured)
        # 5.04 % is over a limit of 5 %, and must not read as 5.0 %.
        texts = (percent_text(lowest, decimals) for decimals in range(1, 9))
        over = next((text for text in texts if float(text) > max_error), f"{lowest}")
        missed = (
            f"No trained design has an {error} of at most {max_error:g} %: the lowest is "
            f"{over} %. Search on, or raise the limit; what follows is of the lowest {error}."
        )
        return Choice(row=best, lead=lead, missed=missed)
    row = min(keep, key=lambda row: (row.column(cost), row.column(measured)))
    kept = len({row.key for row in keep})
    return Choice(
        row=row,
        lead=f"the cheapest of the {kept}, of {designs}, with an {error} of at most "
        f"{max_error:g} %",
        limit=max_error,
    )


def find_better(own: Priced, elsewhere: Sequence[Priced], use: Use) -> Priced | None:
    """The design on a machine that is better in every cost; None where none is.

    Costs are the energy and the latency of an inference, the area, and the average power at the
    rate. Of several such machines the one of the least energy, which no other of them beats in all.

    Args:
        own: the design on the machine of its row.
        elsewhere: the same design on other machines.
        use: the rate.
    """
    better = [
        each for each in elsewhere if _comparable(own.cost, each.cost) and _beats(each, own, use)
    ]
    return min(better, key=lambda each: _costs(each.cost, use), default=None)


def _beats(one: Priced, other: Priced, use: Use) -> bool:
    costs, others = _costs(one.cost, use), _costs(other.cost, use)
    nowhere_worse = all(a <= b for a, b in zip(costs, others, strict=True))
    return not one.misfits and nowhere_worse and costs != others


def _costs(cost: Cost, use: Use) -> tuple[float, ...]:
    power = power_at(cost, use.inferences_per_second)
    at_rate = float("inf") if power is None else power.mid
    return (cost.energy_pj, cost.latency_us, cost.area.mid, at_rate)


def _comparable(one: Cost, other: Cost) -> bool:
    same = one.technology == other.technology
    return same and not own_constants(one.accelerator) and not own_constants(other.accelerator)
