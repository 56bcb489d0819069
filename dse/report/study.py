"""The report of a study: its answer, and all that stands behind it.

Two kinds of figures meet here. Tables of designs show what the rows have recorded, computed by the
cost model of that day; breakdowns (layers, components, area) are priced anew by today's. The two
agree as long as the model is the same; where it is not, "Provenance" says which columns have moved
(`priced.drifted`).
"""

import dataclasses
import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cost_models import Accelerator, Technology
from cost_models.application import Use
from dse.columns import KIB, LABELS
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.pricing.machine import Machine
from dse.pricing.priced import Priced
from dse.report.answer import (
    answer_section,
    choose_answers,
    limits_words,
    progress_words,
    status_words,
)
from dse.report.breakdowns import design_sections
from dse.report.comparison import (
    REASON,
    STATUS,
    RowCell,
    dense_section,
    error_cells,
    published_section,
    read_area,
    read_cell,
    read_energy,
    read_quantised_error,
)
from dse.report.confirmation import confirmed_section
from dse.report.content import Cell, Column, Report, Section, Table, make_table
from dse.report.cost_plots import components_plot
from dse.report.cost_tables import (
    ADDITIONS,
    AREA,
    BAND_NOTE,
    DESIGN,
    ENERGY,
    GENERATED,
    KEY,
    LATENCY,
    MACHINE,
    MACS,
    QUANTISED,
    STORED,
    TRAINED,
    machines_table,
)
from dse.report.frontier_plot import frontier_plot
from dse.report.listening import listening_section
from dse.report.priced import (
    drifted,
    load_machine,
    open_evaluated,
    plain_text,
    price_row,
)
from dse.report.sources import sources_sections
from dse.studies.confirmed import Confirmed, read_confirmed
from dse.studies.folder import GIVEN
from dse.studies.rows import Evaluation
from dse.studies.study import Study, named, say_number

TRIAL = Column(name="trial", heading="trial", form="text")
IN_TABLE = {
    "error",
    "quantised_error",
    "trained_parameters",
    "generated_weights",
    "macs",
    "additions",
    "stored_bits",
    "energy_pj",
    "latency_us",
    "area_um2",
    "energy_low_pj",
    "energy_high_pj",
    "area_low_um2",
    "area_high_um2",
}
"""Objectives that every table of designs has, the ends of bands included; others get a column."""
MOST_ANEW = 20
"""Designs of the frontier that are priced anew to see whether the cost model has changed."""
MOST_ROWS = 500
"""Designs of the table; a study of more shows its best, and says so."""


def study_report(
    folder: Path,
    *,
    machines: Sequence[str] = (),
    designs: Sequence[DesignPoint] = (),
    chosen: Sequence[str] = (),
    use: Use | None = None,
    max_error: float | None = None,
    options: Sequence[str] = (),
) -> Report:
    """The cost report of a study: what to build and why, and all that stands behind it.

    It may run while the study does: what is recorded by now is reported, and named as such.

    Args:
        folder: of the study.
        machines: further machines that the chosen designs are priced on: names of the library, or
            YAML files.
        designs: further designs that are broken down and priced beside those of the study.
        chosen: designs of the study that are broken down: keys, beginnings of keys, or trial
            numbers; without them those that the answer is about.
        use: rate of inferences and battery; without it the study's rate, or one inference a
            second, and a CR2032.
        max_error: of the reader, in percent: the answer is the cheapest design with at most that
            error, and not the lowest error.
        options: words of a command line that ask `dse report` for the same, behind the study.

    Returns:
        Content for `render` and `write_report`.

    Raises:
        InvalidStudy: the folder holds no study, nothing was evaluated yet, or a chosen design is
            not one of it.
        InvalidFile: its record or its results are damaged.
        InvalidInput: a machine that there is not.
    """
    contents = _gather(open_evaluated(folder), machines, designs, chosen, use, max_error)
    contents = dataclasses.replace(contents, options=tuple(options))
    results, asked = contents.results, contents.results.asked
    dated = max((row.finished_at for row in results.rows), default="")
    state = "in progress" if progress_words(results) else f"{len(results.trained)} designs trained"
    return Report(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", asked.name).lstrip(".") or "study",
        title=f"Cost report: {asked.name}",
        subtitle=f"{asked.machine_words}; {state}; last result {dated or 'not dated'}",
        sections=tuple(_sections(contents)),
        dated=dated,
        version=version("ternary-dse"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What a report is about, chosen and priced once for all its sections."""

    results: Study
    use: Use
    max_error: float | None
    answers: Sequence[Evaluation]
    """The designs that the answer is about; the first is the one to build."""
    priced: Sequence[Priced]
    """Designs of the study that are broken down."""
    further: Sequence[Priced]
    """Designs beside it, likewise."""
    lost: Sequence[Evaluation]
    """Designs that should have been, and of which nothing says what they were."""
    own: Machine
    """Of several machines that of the answer, which stands for all where one must."""
    used: Sequence[tuple[Accelerator, Technology]]
    """Machines that the study's figures are of."""
    others: Sequence[tuple[Accelerator, Technology]]
    """Further machines that were asked for."""
    options: tuple[str, ...] = ()
    """Words of a command line that ask for the same."""

    @property
    def everything(self) -> list[Priced]:
        """All designs that are broken down."""
        return [*self.priced, *self.further]


def _gather(
    results: Study,
    machines: Sequence[str],
    designs: Sequence[DesignPoint],
    chosen: Sequence[str],
    use: Use | None,
    max_error: float | None,
) -> _Contents:
    """Choose and price; arguments as of `study_report`."""
    answers = choose_answers(results, max_error)
    picked = [(results.find(name), "asked for") for name in chosen] if chosen else answers
    priced = [each for row, why in picked if (each := price_row(results, row, why)) is not None]
    known = {each.point.key for each in priced}
    own = results.find_machine(picked[0][0]) if picked else results.asked.machines[0]
    used = _list_machines(results, own, priced)
    return _Contents(
        results=results,
        use=use or Use(inferences_per_second=results.asked.inferences_per_second),
        max_error=max_error,
        answers=[row for row, _ in answers],
        priced=priced,
        further=[
            Priced(point=point, cost=results.price(point, own), why="asked for")
            for point in designs
        ],
        lost=[row for row, _ in picked if row.key not in known],
        own=own,
        used=used,
        others=[
            pair for name in dict.fromkeys(machines) if (pair := load_machine(name)) not in used
        ],
    )


def _sections(contents: _Contents) -> Iterator[Section]:
    """The answer first, then what it stands on, then where all figures come from."""
    results, everything = contents.results, contents.everything
    confirmed = read_confirmed(results)
    yield _answer_section(contents, confirmed)
    if results.begun.findings:
        yield _data_section(results)
    if results.judged:
        yield _frontier_section(results)
    if confirmed:
        yield confirmed_section(results, confirmed)
    if results.asked.listening is not None and contents.priced:
        yield listening_section(results, contents.priced, contents.use)
    yield _designs_section(results, contents.lost)
    if results.judged:
        yield dense_section(results, everything)
    yield published_section(
        contents.own.accelerator,
        contents.own.technology,
        frames=results.asked.features.frames,
        outputs=results.begun.outputs,
        results=results,
    )
    if everything:
        yield from design_sections(everything, contents.use)
    if contents.others and everything:
        yield _machines_section(results, everything, contents.others, contents.use)
    machines = [*contents.used, *contents.others]
    yield from sources_sections(machines, more=_assumptions(results, contents.use))
    yield _provenance_section(results, everything, contents.options)


def _answer_section(contents: _Contents, confirmed: Sequence[Confirmed]) -> Section:
    """Question and answer; what to build is priced, whichever designs are asked for in full."""
    results, first = contents.results, contents.answers[:1]
    known = {(each.point.key, each.cost.accelerator.name) for each in contents.priced}
    more = [price_row(results, row, "") for row in first if (row.key, row.accelerator) not in known]
    answer = answer_section(
        results,
        [*(each for each in more if each is not None), *contents.priced],
        contents.use,
        confirmed,
        max_error=contents.max_error,
        elsewhere=_elsewhere(results, first, [*contents.used, *contents.others]),
    )
    said = []
    if results.refused:
        said.append(f"{results.refused[:1].upper()}{results.refused[1:]}.")
    if not results.asked.several_machines:
        moved = _moved(results, contents.priced)
        said += [f"{_DRIFTED} {', '.join(sorted(moved))}."] if moved else []
    return dataclasses.replace(answer, sentences=(*answer.sentences, *said))


def _moved(results: Study, priced: Sequence[Priced]) -> set[str]:
    """Columns of the answer's designs, and of some of the frontier, that today's model changes."""
    anew = [price_row(results, row) for row in results.frontier[:MOST_ANEW]]
    known = [*priced, *(each for each in anew if each is not None)]
    return {column for each in known for column in drifted(results, each)}


_DRIFTED = (
    "The cost model has changed since the search: the costs with which designs are chosen and "
    "compared are those that were recorded, average powers and breakdowns are today's; "
    "`dse reprice STUDY` makes them one. They differ in"
)


def _data_section(results: Study) -> Section:
    """Why the errors of this study may be better than those of strangers."""
    clips = ", ".join(f"{count:,} {split}" for split, count in results.begun.clips.items())
    if results.asked.wake is not None:
        clips = clips.replace(" training", " training clips")
    return Section(
        name="data",
        title="What the data say against these errors",
        sentences=(
            f"Found in {results.asked.data_folder.name} ({clips} {results.asked.samples}) when the "
            "study began or went on; every error of this report stands on these "
            f"{results.asked.samples}:",
        ),
        points=tuple(f"{each}." for each in results.begun.findings),
    )


def _list_machines(
    results: Study, own: Machine, priced: Sequence[Priced]
) -> list[tuple[Accelerator, Technology]]:
    """The machines that the report has figures of: the study's one, or those it came to."""
    used = [own]
    used += [Machine(each.cost.accelerator.as_asked, each.cost.technology) for each in priced]
    used += [results.find_machine(row) for row in results.frontier]
    return list(
        {each.accelerator.name: (each.accelerator, each.technology) for each in used}.values()
    )


def _frontier_section(results: Study) -> Section:
    names = " against ".join(results.asked.name_column(name) for name in results.asked.objectives)
    return Section(
        name="frontier",
        title="Frontier",
        sentences=(
            f"{names[:1].upper()}{names[1:]}: designs that no other trained design beats in all of "
            f"them, cheapest first. They dominate {results.hypervolume:.3f} of the study's box "
            "(hypervolume).",
        ),
        plots=(
            frontier_plot(
                results.pairs,
                title=f"{results.asked.name}: {results.asked.machine_words}",
                cost=results.cost_objective,
                limits=results.asked.limits,
                kind_of=results.kinds.of,
                error=results.asked.measured,
                error_name=results.asked.name_column(results.asked.measured),
                error_band=results.find_judged_band,
            ),
        ),
        tables=(
            _designs_table(results, results.frontier, "frontier", "Designs on the frontier"),
            *((_fleet_table(results),) if results.asked.several_machines else ()),
        ),
    )


def _fleet_table(results: Study) -> Table:
    """Which of the study's machines the frontier comes to."""
    measured = results.asked.measured
    error = results.asked.name_column(measured)
    by_machine: dict[str, list[Evaluation]] = {}
    for row in results.frontier:
        by_machine.setdefault(row.accelerator, []).append(row)
    cells: tuple[tuple[Column, Callable[[Sequence[Evaluation]], Cell]], ...] = (
        (MACHINE, lambda rows: rows[0].accelerator),
        (Column(name="points", heading="points on the frontier", form="count"), len),
        (
            Column(name="lowest_error", heading=f"lowest {error}", unit="%", form="percent"),
            lambda rows: 100 * min(row.column(measured) for row in rows),
        ),
        (
            Column(name="least_energy", heading="least energy", unit="µJ"),
            lambda rows: min(row.column("energy_pj") for row in rows) * 1e-6,
        ),
        (
            Column(name="least_latency", heading="least latency", unit="ms"),
            lambda rows: min(row.column("latency_us") for row in rows) * 1e-3,
        ),
        # Of the machine: the same for all its designs, but where memories fit them.
        (AREA, lambda rows: read_area(min(rows, key=lambda row: row.column("area_um2")))),
    )
    count = len(by_machine)
    return make_table(
        sorted(by_machine.values(), key=lambda rows: -len(rows)),
        cells,
        name="machines_on_frontier",
        title=f"Machines on the frontier: {count} of the study's {results.asked.machine_words}",
        note="Every trained network was priced on all of them. " + BAND_NOTE,
    )


def _elsewhere(
    results: Study,
    rows: Sequence[Evaluation],
    machines: Sequence[tuple[Accelerator, Technology]],
) -> list[Priced]:
    """The design to build on each machine of the report that can execute it."""
    found = []
    for row in rows:
        point = results.build_point(row)
        for machine, technology in machines if point is not None else ():
            assert point is not None  # or there would be no machine
            try:
                cost = results.price(point, Machine(machine, technology))
            except InvalidInput:  # said where all designs stand on all machines
                continue
            found.append(Priced(point=point, cost=cost))
    return found


def _designs_table(results: Study, rows: Sequence[Evaluation], name: str, title: str) -> Table:
    cells: list[RowCell] = [
        (TRIAL, say_number),
        (DESIGN, lambda row: row.name or row.key),
        (MACHINE, lambda row: row.accelerator),
        *error_cells(results),
        (TRAINED, lambda row: read_cell(row, "trained_parameters")),
        (GENERATED, lambda row: read_cell(row, "generated_weights")),
        (MACS, lambda row: read_cell(row, "macs")),
        (ADDITIONS, lambda row: read_cell(row, "additions")),
        (STORED, lambda row: read_cell(row, "stored_bits", KIB)),
        (ENERGY, read_energy),
        (LATENCY, lambda row: read_cell(row, "latency_us", 1e-3)),
        (AREA, read_area),
        *(objective_cell(name) for name in results.asked.objectives if name not in IN_TABLE),
        (KEY, lambda row: row.key),
    ]
    idle, unmeasured = (set() if results.asked.several_machines else {MACHINE}), ""
    if all(read_quantised_error(row) is None for row in rows):
        idle.add(QUANTISED)
        unmeasured = "Errors are of networks in floats; in whole numbers none was measured. "
    front = {(row.key, row.accelerator) for row in results.frontier}
    table = make_table(
        rows,
        [cell for cell in cells if cell[0] not in idle],
        name=name,
        title=title,
        note=f"Brackets of errors: 95 % intervals (Wilson). {unmeasured}{BAND_NOTE}",
    )
    marks = tuple((row.key, row.accelerator) in front for row in rows)
    return dataclasses.replace(table, marks=marks)


def objective_cell(name: str) -> RowCell:
    """A column of the results file in the unit that people read: `sram_bits` as `sram_kib`.

    The name loses the unit of the results file, as a file of this table has the table's numbers.
    """
    heading, unit, factor = LABELS[name]
    stem = re.sub("_(bits|cycles|pj|um2|us|uw)$", "", name)
    column = Column(
        name=stem, heading=heading, unit=unit, form="count" if unit in ("", "cycles") else "figure"
    )
    return column, lambda row: read_cell(row, name, factor)


def _designs_section(results: Study, lost: Sequence[Evaluation]) -> Section:
    sentences = [f"{len(results.rows):,} candidates were priced: {status_words(results.rows)}."]
    error = results.asked.name_column(results.asked.measured)
    on = ", as recorded on the machine of each" if results.asked.several_machines else ""
    rows = sorted(results.trained, key=lambda row: _ordered(row.column(results.asked.measured)))
    if len(rows) > MOST_ROWS:
        sentences.append(
            f"The table has the {MOST_ROWS} designs of the lowest {error}; results.jsonl has all."
        )
        rows = rows[:MOST_ROWS]
    reused = sum(row.status == "reused" for row in rows)
    if reused:
        sentences.append(
            f"{reused:,} of the errors {'is' if reused == 1 else 'are'} of earlier studies of the "
            "same data and recipe; their networks lie there."
        )
    missing = [row for row in rows if row.status != "reused" and not results.has_checkpoint(row)]
    if missing:
        sentences.append(
            f"Checkpoints are missing for {', '.join(named(row) for row in missing[:10])}"
            f"{' and others' if len(missing) > 10 else ''}: their figures stand, but to use these "
            "networks they must be trained again."
        )
    for row in lost:
        sentences.append(
            f"{named(row)} has no breakdown: its design.yaml is missing and its axes do not give "
            "the network back, or the machine cannot execute it any more."
        )
    tables = []
    if rows:
        tables.append(
            _designs_table(results, rows, "designs", f"Trained designs, lowest {error} first{on}")
        )
    others = [row for row in results.rows if not row.full and row.status != "duplicate"]
    if others:
        tables.append(_others_table(results, others))
    return Section(
        name="designs", title="Designs", sentences=tuple(sentences), tables=tuple(tables)
    )


def _ordered(value: float) -> float:
    """For sorting: NaN, which is not known, comes last."""
    return math.inf if math.isnan(value) else value


def _others_table(results: Study, rows: Sequence[Evaluation]) -> Table:
    """Candidates that have no full error: over a limit, stopped at a rung, failed; with why."""
    many = f" (the last {MOST_ROWS} of {len(rows):,})" if len(rows) > MOST_ROWS else ""
    cells: tuple[RowCell, ...] = (
        (TRIAL, say_number),
        (DESIGN, lambda row: row.name or row.key or "-"),
        (STATUS, lambda row: row.status),
        (
            Column(name="epochs", heading="epochs", form="count"),
            lambda row: row.epochs if row.error is not None else None,
        ),
        error_cells(results)[0],
        (REASON, lambda row: row.reason),
    )
    return make_table(
        rows[-MOST_ROWS:],
        cells,
        name="others",
        title=f"Other candidates{many}",
        note="Errors are those of so many epochs: of designs that were stopped early, or whose "
        "error is over a limit.",
    )


def _machines_section(
    results: Study,
    priced: Sequence[Priced],
    machines: Sequence[tuple[Accelerator, Technology]],
    use: Use,
) -> Section:
    """The chosen designs on further machines, their own first.

    A machine that cannot execute a design (ternary matrices on one without generator that refuses
    to store them, say) is a sentence instead of a row.
    """
    everything = list(priced)
    refused = []
    for machine, technology in machines:
        for each in priced:
            try:
                cost = results.price(each.design, Machine(machine, technology))
            except InvalidInput as error:
                refused.append(f"{each.named()} on {machine.name}: {error}.")
                continue
            everything.append(dataclasses.replace(each, cost=cost))
    # Stable: each design's own machine first, the others as they were asked for.
    everything.sort(key=lambda each: [p.point.key for p in priced].index(each.point.key))
    return Section(
        name="machines",
        title="The chosen designs on other machines",
        sentences=("Errors are the same on every machine; costs are not.",),
        points=tuple(refused),
        plots=(components_plot(everything, "machines"),),
        tables=(machines_table(everything, use, "on_machines", "Designs on machines"),),
    )


def _assumptions(results: Study, use: Use) -> list[str]:
    clips = _errors_words(results)
    features = results.asked.features
    return [
        f"An inference has {features.frames} frames of {features.coefficients} features and "
        f"{results.begun.outputs} {'outputs' if results.asked.of_sentences else 'classes'}.",
        f"Average power is that of {use.words}, always powered; the "
        f"battery has {use.battery_mwh:g} mWh.",
        clips,
    ]


def _errors_words(results: Study) -> str:
    """What errors and their intervals are."""
    if results.clips is None:
        return (
            "The number of validation clips does not follow from the recorded errors, so errors "
            "have no interval."
        )
    if results.asked.of_sentences:
        return (
            f"Errors are rates of edits of {results.asked.units} on {results.clips:,} validation "
            "utterances; intervals are Wilson's, 95 %, of as many characters or words as these "
            "utterances are worth, for edits come in bunches."
        )
    if (wake := results.asked.wake) is not None:
        return (
            f"Errors are false rejection rates: shares of {results.clips:,} wake words "
            f"({', '.join(wake.words)}) that are missed in a long recording of validation clips, "
            "at the threshold of the fewest misses with at most "
            f"{wake.false_alarms_per_hour:g} false alarms an hour; intervals are Wilson's, 95 %. "
            "The epoch of a training is the one with the fewest clips told wrongly."
        )
    return (
        f"Errors were told on {results.clips:,} validation clips{_counted_words(results)}; "
        "intervals are Wilson's, 95 %."
    )


def _counted_words(results: Study) -> str:
    counted = "validation" in results.begun.clips
    return (
        "" if counted else " (the smallest number of which all recorded errors are whole numbers)"
    )


def _provenance_section(
    results: Study, priced: Sequence[Priced], options: Sequence[str]
) -> Section:
    asked, begun, rows = results.asked, results.begun, results.rows
    plain = asked.resolved()

    def distinct(name: str) -> str:
        return ", ".join(sorted({str(getattr(row, name)) for row in rows} - {""})) or "not recorded"

    facts: list[tuple[Cell, ...]] = [
        ("study", asked.name),
        ("program that reported", f"ternary-dse {version('ternary-dse')}"),
        ("program that searched", f"ternary-dse {distinct('code_version')}"),
        ("first and last result", f"{_ends(rows)}"),
        ("objectives", ", ".join(asked.objectives)),
        ("limits", limits_words(asked.limits) or "none"),
        ("search space", plain_text(plain["space"])),
        ("sampler", asked.sampler),
        (
            "effort",
            f"{asked.trainings} trainings, at most {asked.candidates} candidates, "
            f"{begun.workers} at a time",
        ),
        ("seeds", distinct("seed")),
        ("data", f"{asked.data_folder.name}, features {distinct('data_key')}"),
        ("task", plain_text(plain["task"])),
        ("features", plain_text(plain["features"])),
        ("recipe", f"{distinct('recipe_key')}: {plain_text(plain['recipe'])}"),
        ("computed", distinct("computed")),
        ("machine", asked.machine_words),
    ]
    sentences = []
    changed = _moved(results, priced)
    several = results.asked.several_machines
    have = "The table of trained designs has" if several else "Tables of designs have"
    if changed:
        sentences.append(
            f"The cost model has changed since: today's figures of {', '.join(sorted(changed))} "
            f"differ from the recorded ones. {have} the recorded figures, breakdowns today's."
        )
    if several:
        sentences.append(
            "Costs of the answer, of the frontier and of what is compared are today's: of all "
            "machines of the study, of which a row records one."
        )
    if not changed and any(each.recorded for each in priced):
        sentences.append(
            "Breakdowns are computed anew by today's model, and their sums equal the recorded rows"
            + ("." if all(each.recorded for each in priced if each.trial) else ", where there are.")
        )
    folder = shlex.quote(asked.name)
    code = [
        f"dse search {GIVEN} --data DATA_FOLDER --out {folder} --trainings {asked.trainings}"
        + (f" --workers {begun.workers}" if begun.workers > 1 else ""),
        shlex.join(["dse", "report", asked.name, *options]),
    ]
    return Section(
        name="provenance",
        title="Provenance",
        sentences=(*sentences, "To reproduce, from the study's folder:"),
        code=tuple(code),
        tables=(
            Table(
                name="provenance",
                title="Where the results come from",
                columns=(
                    Column(name="what", heading="what", form="text"),
                    Column(name="value", heading="value", form="text"),
                ),
                rows=tuple(facts),
            ),
        ),
    )


def _ends(rows: Sequence[Evaluation]) -> str:
    times = sorted(row.finished_at for row in rows if row.finished_at)
    return f"{times[0]} to {times[-1]}" if times else "not recorded"
