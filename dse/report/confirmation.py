"""What fresh seeds said of the designs that a search liked: `dse confirm`, read back.

A search keeps the lowest of many noisy errors; `dse confirm` trains the frontier anew and looks at
the test split. Where that was done, a report must say so, most of all where it changes the answer.

That the winner's error is too low on average is selection bias (the winner's curse): of many
designs of equal merit, one seed each, the luckiest is kept. Seeds that the search did not select by
have no such bias, so the difference says how much of the search's error was luck:

    optimism = mean over designs of (fresh validation error - searched validation error)

What fresh seeds say is unsure, too: few of them, and few clips, do not tell designs apart, and then
nothing is called confirmed (`dse.studies.paired`).
"""

from collections.abc import Sequence

from dse.columns import (
    LABELS,
    NUMBERS,
    other_measured,
    percent_text,
    percent_words,
    ratio_text,
    signed,
)
from dse.report.comparison import read_energy
from dse.report.content import Cell, Column, Section, Table
from dse.report.cost_tables import ENERGY, KEY, MACHINE
from dse.studies.confirmed import Confirmed, count_places, mean_optimism, seeds_words
from dse.studies.paired import SURE
from dse.studies.rows import Evaluation
from dse.studies.study import Study, say_number


def confirmed_section(results: Study, found: Sequence[Confirmed]) -> Section:
    """The table of fresh seeds, and how much the search flattered.

    Args:
        results: the study.
        found: what `dse confirm` left, at least one design.
    """
    seeds = max(one.seeds for one in found)
    measured = results.asked.measured
    other = f"fresh, test, {NUMBERS[other_measured(measured)]}"
    columns = (
        Column(name="trial", heading="trial", form="text"),
        Column(name="design", heading="design", form="text"),
        *((MACHINE,) if results.asked.several_machines else ()),
        Column(name="searched_error", heading="searched, validation", unit="%", form="percent"),
        Column(name="validation_error", heading="fresh, validation", unit="%", form="percent"),
        Column(name="test_error", heading="fresh, test", unit="%", form="percent", band=True),
        Column(name="other_test_error", heading=other, unit="%", form="percent"),
        Column(name="seeds", heading="seeds", form="count"),
        Column(name="frontier", heading="frontier", form="text"),
        Column(name="seeds_that_tell", heading="seeds that would tell", form="count"),
        ENERGY,
        KEY,
    )
    rows: list[tuple[Cell, ...]] = [
        (
            say_number(one.row),
            one.row.name or one.row.key,
            *((one.row.accelerator,) if results.asked.several_machines else ()),
            100 * one.searched_error,
            None if one.validation_error is None else 100 * one.validation_error,
            one.test_band,
            None if one.other_test_error is None else 100 * one.other_test_error,
            one.seeds,
            one.place,
            one.seeds_that_tell,
            read_energy(one.row),
            one.row.key,
        )
        for one in found
    ]
    return Section(
        name="confirmed",
        title="Confirmed with fresh seeds",
        sentences=tuple(_section_sentences(found, seeds)),
        tables=(
            Table(
                name="confirmed",
                title="Means over fresh seeds",
                columns=columns,
                rows=tuple(rows),
                note=f"Errors are {NUMBERS[measured]} where nothing else is said. Brackets of "
                "test errors: 95 % intervals of the mean, over the seeds (Student's t of logits) "
                f"and over the {results.asked.samples} (Wilson's). Two designs are told apart "
                f"where permutation tests over the seeds and over the same "
                f"{results.asked.samples} both have p < "
                f"{SURE:g}.",
                marks=tuple(one.confirmed for one in found),
            ),
        ),
    )


def _section_sentences(found: Sequence[Confirmed], seeds: int) -> list[str]:
    sentences = [
        f"The frontier and its near neighbours, trained anew with {seeds} seeds that the search "
        f"never used; only here the test split was looked at. {count_places(found)}."
    ]
    words = seeds_words(found)
    sentences += [f"Not told apart: {words}."] if words else []
    optimism = mean_optimism(found)
    if optimism is not None:
        sentences.append(
            f"The search's validation errors were {signed(100 * optimism)} points off the means of "
            "fresh seeds (positive: too good)."
        )
    return sentences


def sure_words(
    results: Study, best: Evaluation, found: Sequence[Confirmed], limit: float | None = None
) -> list[str]:
    """How sure an answer is, as sentences: what fresh seeds say, or that nobody asked them.

    Args:
        results: the study.
        best: the design that the answer is about.
        found: what `dse confirm` left; empty where it never ran.
        limit: of the reader, in percent of error.
    """
    own = next((one for one in found if one.row.key == best.key), None)
    if own is None:
        return [
            f"How sure: {_flattered_words(len(results.trained), limit)}; before silicon, "
            "`dse confirm STUDY` judges the frontier on the test split, with several seeds."
        ]
    better = _in_its_place(own, found, results.cost_objective)
    texts = [
        _own_words(results, own, limit),
        _instead_words(results, own, better),
        _lowest_words(results, own, better, found),
    ]
    if words := seeds_words(found):
        texts.append(
            f"Of the designs that were trained anew, some are not told apart from cheaper ones: "
            f"{words}."
        )
    return [text for text in texts if text]


def _flattered_words(count: int, limit: float | None) -> str:
    """Why the error of a winner is too low, by how it won."""
    if count == 1:
        return "one training a design"
    if limit is not None:
        return f"one training a design, and of {count} errors the lucky ones pass a limit"
    return f"one training a design, and the lowest of {count} errors, which flatters the winner"


def _own_words(results: Study, own: Confirmed, limit: float | None) -> str:
    """What fresh seeds say of the design itself, and of the reader's limit."""
    plural = "" if own.seeds == 1 else "s"
    text = (
        f"How sure: trained anew with {own.seeds} fresh seed{plural}, {results.named(own.row)} has "
        f"{_errors(results, own)}, where the search had {percent_words(own.searched_error)}."
    )
    if limit is not None and own.test_band is not None and own.test_band.mid > limit:
        text += f" So with fresh seeds it does not keep {limit:g} %."
    return text


def _instead_words(results: Study, own: Confirmed, better: Confirmed | None) -> str:
    """Which design that costs no more fresh seeds prefer, or do not tell apart from this one."""
    if better is None:
        return f"It is not told apart from {own.rival}, which costs no more." if own.rival else ""
    speak = "speak" if own.apart else "speak, though not surely,"
    return (
        f"Fresh seeds {speak} for {results.named(better.row)} instead: it costs no more, and "
        f"has {_errors(results, better)}."
    )


def _lowest_words(
    results: Study, own: Confirmed, better: Confirmed | None, found: Sequence[Confirmed]
) -> str:
    """The lowest fresh validation error, where it is that of a third design."""
    cost = results.cost_objective
    known = [one for one in found if one.validation_error is not None]
    lowest = min(known, key=lambda one: (one.validation_error, one.row.column(cost)), default=own)
    if lowest.row.key in (own.row.key, better.row.key if better else ""):
        return ""
    times = lowest.row.column(cost) / own.row.column(cost)
    return (
        f"Fresh seeds give {results.named(lowest.row)} the lowest validation error: it has "
        f"{_errors(results, lowest)}, at {ratio_text(times)} times the {LABELS[cost][0]}."
    )


def _errors(results: Study, one: Confirmed) -> str:
    """Mean test error with its interval, and validation error, as far as they are known.

    The mean in the other numbers stands beside that which the study minimises.
    """
    band, measured = one.test_band, results.asked.measured
    other = ""
    if one.other_test_error is not None:
        other = f"; {percent_words(one.other_test_error)} {NUMBERS[other_measured(measured)]}"
    tested = (
        "no test error that is known"
        if band is None
        else f"{percent_text(band.mid)} % test {LABELS[measured][0]} (95 % interval of the mean "
        f"{percent_text(band.low)} to {percent_text(band.high)} %{other})"
    )
    if one.validation_error is None:
        return tested
    return f"{tested} and {percent_words(one.validation_error)} validation error"


def _in_its_place(own: Confirmed, found: Sequence[Confirmed], cost: str) -> Confirmed | None:
    """The design of the lowest mean test error that costs no more than `own`, if not `own`."""
    cheap = [
        one
        for one in found
        if one.test_band is not None and one.row.column(cost) <= own.row.column(cost)
    ]
    best = min(cheap, key=lambda one: (one.test_error, one.row.column(cost)), default=own)
    return None if best.row.key == own.row.key else best
