"""What fresh seeds said of the designs that a search liked: `dse confirm`, read back.

A search keeps the lowest of many noisy errors; `dse confirm` trains the frontier anew and looks at
the test split. Where that was done, a report must say so, most of all where it changes the answer.

That the winner's error is too low on average is selection bias (the winner's curse): of many
designs of equal merit, one seed each, the luckiest is kept. Seeds that the search did not select by
have no such bias, so the difference says how much of the search's error was luck:

    optimism = mean over designs of (fresh validation error - searched validation error)
"""

from collections.abc import Sequence

from dse.columns import LABELS, significant
from dse.report.comparison import read_energy
from dse.report.content import Cell, Column, Section, Table
from dse.report.cost_tables import ENERGY, KEY, MACHINE
from dse.studies.confirmed import Confirmed
from dse.studies.rows import Evaluation
from dse.studies.study import Study


def _place(one: Confirmed) -> str:
    """What became of a design."""
    if one.confirmed:
        return "stays" if one.searched else "new"
    return "lost" if one.searched else "off, as before"


def confirmed_section(results: Study, found: Sequence[Confirmed]) -> Section:
    """The table of fresh seeds, and how much the search flattered.

    Args:
        results: the study.
        found: what `dse confirm` left, at least one design.
    """
    seeds = max(one.seeds for one in found)
    searched = [one for one in found if one.searched]
    stay = sum(one.confirmed for one in searched)
    new = sum(one.confirmed and not one.searched for one in found)
    # Over what the search selected: its near neighbours were not chosen by their errors.
    off = [100 * (one.validation_error - one.searched_error) for one in searched or found]
    mean = sum(off) / len(off)
    columns = (
        Column(name="trial", heading="trial", form="text"),
        Column(name="design", heading="design", form="text"),
        *((MACHINE,) if results.asked.several_machines else ()),
        Column(name="searched_error", heading="searched, validation", unit="%", form="percent"),
        Column(name="validation_error", heading="fresh, validation", unit="%", form="percent"),
        Column(name="test_error", heading="fresh, test", unit="%", form="percent", band=True),
        Column(name="seeds", heading="seeds", form="count"),
        Column(name="frontier", heading="frontier", form="text"),
        ENERGY,
        KEY,
    )
    rows: list[tuple[Cell, ...]] = [
        (
            "base" if one.row.trial < 0 else str(one.row.trial),
            one.row.name or one.row.key,
            *((one.row.accelerator,) if results.asked.several_machines else ()),
            100 * one.searched_error,
            100 * one.validation_error,
            one.test_band if one.half_width is not None else 100 * one.test_error,
            one.seeds,
            _place(one),
            read_energy(one.row),
            one.row.key,
        )
        for one in found
    ]
    return Section(
        name="confirmed",
        title="Confirmed with fresh seeds",
        sentences=(
            f"The frontier and its near neighbours, trained anew with {seeds} seeds that the "
            f"search never used; only here the test split was looked at. {stay} of "
            f"{len(searched)} designs stay on the frontier, {new} are new on it. The search's "
            f"validation errors were {mean:+.1f} points off the means of fresh seeds (positive: "
            "too good).",
        ),
        tables=(
            Table(
                name="confirmed",
                title="Means over fresh seeds",
                columns=columns,
                rows=tuple(rows),
                note="Brackets of test errors: 95 % intervals of the mean over the seeds "
                "(Student's t); that the test split is a sample, too, is not in them.",
                marks=tuple(one.confirmed for one in found),
            ),
        ),
    )


def sure_words(results: Study, best: Evaluation, found: Sequence[Confirmed]) -> list[str]:
    """How sure an answer is, as sentences: what fresh seeds say, or that nobody asked them."""
    count = len(results.trained)
    flattered = (
        "one training a design"
        if count == 1
        else f"one training a design, and the lowest of {count} errors, which flatters the winner"
    )
    own = next((one for one in found if one.row.key == best.key), None)
    if own is None:
        return [
            f"How sure: {flattered}; before silicon, `dse confirm STUDY` judges the frontier "
            "on the test split, with several seeds."
        ]
    interval = (
        ""
        if own.half_width is None
        else f" (95 % interval of the mean {own.test_band.low:.1f} to {own.test_band.high:.1f} %)"
    )
    plural = "" if own.seeds == 1 else "s"
    texts = [
        f"How sure: trained anew with {own.seeds} fresh seed{plural}, {results.named(best)} has "
        f"{own.test_band.mid:.1f} % test error{interval} and {100 * own.validation_error:.1f} % "
        f"validation error, where the search had {100 * best.column('error'):.1f} %."
    ]
    cost = results.cost_objective
    better = _in_its_place(own, found, cost)
    if better is not None:
        texts.append(
            f"Fresh seeds speak for {results.named(better.row)} instead: it costs no more, and has "
            f"{_errors(better)}."
        )
    lowest = min(found, key=lambda one: (one.validation_error, one.row.column(cost)))
    if lowest.row.key not in (best.key, better.row.key if better else ""):
        times = lowest.row.column(cost) / own.row.column(cost)
        texts.append(
            f"Fresh seeds give {results.named(lowest.row)} the lowest validation error: it has "
            f"{_errors(lowest)}, at {significant(times, 2)} times the {LABELS[cost][0]}."
        )
    return texts


def _errors(one: Confirmed) -> str:
    return (
        f"{one.test_band.mid:.1f} % test error and {100 * one.validation_error:.1f} % validation "
        "error"
    )


def _in_its_place(own: Confirmed, found: Sequence[Confirmed], cost: str) -> Confirmed | None:
    """The design of the lowest mean test error that costs no more than `own`, if not `own`."""
    cheap = [one for one in found if one.row.column(cost) <= own.row.column(cost)]
    best = min(cheap, key=lambda one: (one.test_error, one.row.column(cost)))
    return None if best.row.key == own.row.key else best
