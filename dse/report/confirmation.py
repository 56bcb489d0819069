"""What fresh seeds said of the designs that a search liked: `dse confirm`, read back.

A search keeps the lowest of many noisy errors; `dse confirm` trains the frontier anew and looks at
the test split. Where that was done, a report must say so, most of all where it changes the answer.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from cost_models import Band
from dse.columns import LABELS
from dse.errors import InvalidFile
from dse.report.comparison import energy_of
from dse.report.content import Cell, Column, Section, Table, significant
from dse.report.cost_tables import ENERGY, KEY, MACHINE
from dse.studies.rows import Evaluation
from dse.studies.study import Study

FILE_NAME = "confirmed.csv"
"""Written by `dse confirm` into the study's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Means over fresh seeds of one design, errors as shares."""

    row: Evaluation
    """As the search recorded it."""
    validation_error: float
    test_error: float
    half_width: float | None
    """Of the 95 % interval of the mean test error, over the seeds; None for one seed."""
    seeds: int
    searched: bool
    """On the frontier of the search."""
    confirmed: bool
    """On the frontier of mean test errors."""

    @property
    def test_band(self) -> Band:
        """Mean test error in percent with its 95 % interval."""
        half = self.half_width or 0.0
        low, high = max(self.test_error - half, 0.0), min(self.test_error + half, 1.0)
        return Band(low=100 * low, mid=100 * self.test_error, high=100 * high)

    @property
    def place(self) -> str:
        """What became of it."""
        if self.confirmed:
            return "stays" if self.searched else "new"
        return "lost" if self.searched else "off, as before"


def read_confirmations(results: Study) -> tuple[Confirmation, ...]:
    """What `dse confirm` found, in its order; empty where it never ran.

    Designs that the study has no row of are left out.

    Raises:
        InvalidFile: its table is damaged.
    """
    path = results.folder / FILE_NAME
    if not path.exists():
        return ()
    pairs = {(row.key, row.accelerator): row for row in results.pairs if row.full}
    networks = {row.key: row for row in results.trained}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = []
            for line in csv.DictReader(file):
                # Tables of earlier versions do not name the machine, as there was one.
                row = pairs.get((line["key"], line.get("accelerator") or ""))
                row = row or networks.get(line["key"])
                if row is not None:
                    found.append(_confirmation(row, line))
            return tuple(found)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InvalidFile(
            f"{path} cannot be read: {error!r}; let `dse confirm` write it again, or move it away"
        ) from None


def _confirmation(row: Evaluation, line: dict[str, str]) -> Confirmation:
    half = line["test_error_half_width"]
    return Confirmation(
        row=row,
        validation_error=_share(line["validation_error"]),
        test_error=_share(line["test_error"]),
        half_width=float(half) if half else None,
        seeds=int(line["seeds"]),
        searched=line["on_searched_frontier"] == "True",
        confirmed=line["confirmed"] == "True",
    )


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is no share of clips")
    return value


def confirmed_section(results: Study, found: Sequence[Confirmation]) -> Section:
    """The table of fresh seeds, and how much the search flattered."""
    seeds = max(one.seeds for one in found)
    searched = [one for one in found if one.searched]
    stay = sum(one.confirmed for one in searched)
    new = sum(one.confirmed and not one.searched for one in found)
    off = [100 * (one.validation_error - one.row.column("error")) for one in searched or found]
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
            100 * one.row.column("error"),
            100 * one.validation_error,
            one.test_band if one.half_width is not None else 100 * one.test_error,
            one.seeds,
            one.place,
            energy_of(one.row),
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


def sure_words(results: Study, best: Evaluation, found: Sequence[Confirmation]) -> list[str]:
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
            f"How sure: {flattered}; before silicon, `dse confirm` judges the frontier on the test "
            "split, with several seeds."
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


def _errors(one: Confirmation) -> str:
    return (
        f"{one.test_band.mid:.1f} % test error and {100 * one.validation_error:.1f} % validation "
        "error"
    )


def _in_its_place(
    own: Confirmation, found: Sequence[Confirmation], cost: str
) -> Confirmation | None:
    """The design of the lowest mean test error that costs no more than `own`, if not `own`."""
    cheap = [one for one in found if one.row.column(cost) <= own.row.column(cost)]
    best = min(cheap, key=lambda one: (one.test_error, one.row.column(cost)))
    return None if best.row.key == own.row.key else best
