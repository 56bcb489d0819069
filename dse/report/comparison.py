"""Ternary against dense, and against published networks: what is gained, and what is not.

Three comparisons, each with its own trap:

    rivals          trained against trained, of like size or at no higher cost. Both errors are
                    measured, but the dense one is the lowest of many: the more were tried, the
                    luckier it is.
    twins           the same network with each ternary matrix trained in its place. Its cost is
                    known; its error only where the study came to train that network, too.
    published       networks of the literature. Costs are ours on this machine, accuracies theirs on
                    their data.

Errors are those that the study minimises: in whole numbers where it asks so. A difference of two
counts where its 95 % interval (`dse.studies.differences`) leaves out 0; else the clips do not tell
the two apart, whichever has the lower error. And it is a verdict on matrices only between designs
that are alike (`dse.studies.likeness`): that a ternary network makes fewer errors than a dense one
of half its size says nothing of either kind.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cost_models import Accelerator, Band, Technology, estimate
from dse.columns import LABELS, percent_words, scaled
from dse.design.policies import make_dense
from dse.design.published import PUBLISHED, published
from dse.errors import InvalidInput
from dse.networks.lowering import lower
from dse.pricing.priced import Priced
from dse.report.content import Cell, Column, Section, Table, make_table
from dse.report.cost_tables import (
    AREA,
    BAND_NOTE,
    DESIGN,
    ENERGY,
    ERROR,
    LATENCY,
    MACHINE,
    QUANTISED,
    TRAINED,
    place_words,
)
from dse.report.twins import TWIN_NOTE, twin_cost
from dse.studies.differences import Difference, FreshDifference, find_difference
from dse.studies.likeness import CONTROL, LIKE, SIZE, alike_in, is_control, without_control
from dse.studies.rows import Evaluation
from dse.studies.study import Study

STATUS = Column(name="status", heading="status", form="text")
REASON = Column(name="reason", heading="reason", form="text")
RowCell = tuple[Column, Callable[[Evaluation], Cell]]
"""A column of tables of rows, and what its cells are made of."""


def error_cells(results: Study) -> tuple[RowCell, RowCell]:
    """Columns of the error that the study minimises, with its interval, and of the other one."""
    name = results.asked.name_column(results.asked.measured)
    if results.asked.measured == "error":
        own = dataclasses.replace(ERROR, heading=name)
        return (own, results.find_error_band), (QUANTISED, read_quantised_error)
    own = dataclasses.replace(QUANTISED, heading=name, band=True)
    other = Column(name="error", heading="in floats", unit="%", form="percent")
    return (own, results.find_judged_band), (other, lambda row: read_cell(row, "error", 100))


def find_best(rows: Sequence[Evaluation], cost: str, measured: str) -> Evaluation | None:
    """The row of the lowest error; of equal ones the cheapest, then the first; None of none.

    Equal errors are common: an error is a whole number of wrong clips out of not so many.

    Args:
        rows: with that error, as those of `Study.judged` have it: NaN has no order.
        cost: that decides between equal ones.
        measured: which error, `error` or `quantised_error`.
    """
    return min(rows, key=lambda row: (row.column(measured), row.column(cost)), default=None)


UNLIKE = "no dense design of like size or cost was trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivals:
    """A trained ternary design and the trained dense one that stands against it."""

    ternary: Evaluation
    dense: Evaluation | None
    """The lowest error among dense designs that are alike or cost no more; None where there is
    none."""
    difference: Difference | FreshDifference | None
    """Error of the ternary less that of the dense."""
    alike: str
    """In what the dense designs that are of like size or cost are so; empty where none is."""

    @property
    def verdict(self) -> str:
        """What the clips and the sizes allow to say: a verdict, or why there is none."""
        if self.dense is None:
            return UNLIKE
        if self.difference is None:
            return "nothing says how sure the errors are"
        verdict = say_verdict(self.difference)
        # A cheaper dense design that errs less beats the ternary one within its own budget; that it
        # errs more proves nothing while no dense one used that budget.
        return verdict if self.alike or verdict == DENSE else UNLIKE


TERNARY = "ternary is better"
DENSE = "dense is better"


def say_verdict(difference: Difference | FreshDifference) -> str:
    """Who is better, where that is sure.

    Args:
        difference: error of the ternary design less that of the dense one.
    """
    return {-1: TERNARY, 0: "not told apart", 1: DENSE}[difference.sign]


def find_rivals(results: Study) -> list[Rivals]:
    """Every ternary design of the frontier, and the best one, against the dense ones fair to it.

    Fair are dense designs that are alike, and those that cost no more, a design at 1 % of the cost
    included. So a verdict for ternary says that nothing dense that was trained, as cheap or of like
    size, did as well; it does not say that nothing could: that depends on how many dense designs
    were trained. On several machines all pairs of a network and a machine are asked: a dense
    network may be cheaper on another machine than its row names.
    """
    cost = results.cost_objective
    ternary = [row for row in results.frontier if results.is_ternary(row)]
    tried = [row for row in results.judged if results.is_ternary(row)]
    best = find_best(tried, cost, results.asked.measured)
    if best is not None and best.key not in {row.key for row in ternary}:
        ternary.append(best)
    return [_rival(results, row, list_dense(results), cost) for row in ternary]


def list_dense(results: Study) -> list[Evaluation]:
    """Trained dense designs, on several machines each once for each that suits it."""
    return [row for row in results.judged if results.is_dense(row)]


def _rival(results: Study, row: Evaluation, dense: Sequence[Evaluation], cost: str) -> Rivals:
    alike = [other for other in dense if alike_in(row, other, cost)]
    cheap = [other for other in dense if other.column(cost) <= row.column(cost)]
    measured = results.asked.measured
    rival = find_best([*alike, *cheap], cost, measured)
    likest = rival if rival in alike else find_best(alike, cost, measured)
    return Rivals(
        ternary=row,
        dense=rival,
        difference=None if rival is None else find_difference(results, row, rival),
        alike="" if likest is None else alike_in(row, likest, cost),
    )


def dense_section(results: Study, chosen: Sequence[Priced]) -> Section:
    """What the ternary matrices gain or do not gain: rivals, then dense twins.

    Args:
        results: the study.
        chosen: designs whose dense twins are priced.
    """
    rivals = find_rivals(results)
    tables = []
    if rivals:
        tables.append(_rivals_table(results, rivals))
    counterparts = counterparts_table(chosen, results)
    if counterparts is not None:
        tables.append(counterparts)
    sentences = [
        "A dense design is fair to a ternary one that it equals in trained parameters or in "
        f"{LABELS[results.cost_objective][0]}, within a factor of {LIKE:g}, or that it costs no "
        "more than. That the ternary one makes fewer errors is said only where one of the first "
        "kind was trained; that the dense one does, also where it costs no more.",
        missing_words(results),
    ]
    if not rivals:
        sentences = ["No design with ternary matrices was trained: there is nothing to compare."]
    return Section(
        name="dense",
        title="Ternary against dense at the same budget",
        sentences=tuple(filter(None, sentences)),
        tables=tuple(tables),
    )


def missing_words(results: Study) -> str:
    """Which dense controls are missing, and the command that trains them; empty where none is.

    STUDY stands for the study's folder, wherever it lies by now. Where `controls: auto` found no
    dense design of like size, its own sentence is repeated: another search would find none either.
    """
    front = [row for row in results.frontier if results.is_ternary(row)]
    missing = without_control(front, list_dense(results))
    reasons = {row.source: row.reason for row in results.rows if is_control(row) and not row.full}
    texts = [f"{text[:1].upper()}{text[1:]}" for text in _impossible(missing, reasons)]
    wanted = [row for row in missing if CONTROL + row.key not in reasons]
    if wanted:
        texts.insert(0, _wanted_words(results, wanted))
    return " ".join(f"{text.removesuffix('.')}." for text in texts)


def _impossible(missing: Sequence[Evaluation], reasons: Mapping[str, str]) -> list[str]:
    """Why there is no control, of the first such design; and of how many more."""
    found = [text for row in missing if (text := reasons.get(CONTROL + row.key))]
    return [*found[:1], *([f"So it is with {len(found) - 1} more"] if len(found) > 1 else [])]


def _wanted_words(results: Study, wanted: Sequence[Evaluation]) -> str:
    """The ternary designs that lack a control, and the command that trains one for each."""
    sizes = sorted(row.column(SIZE) for row in wanted)
    asked = results.asked
    count = max(asked.effort.trained(results.rows) + len(wanted), asked.trainings)
    command = f"`dse search STUDY --controls auto --trainings {count}`"
    if len(wanted) == 1:
        return (
            f"{results.named(wanted[0])}, {sizes[0]:,.0f} trained parameters, has no dense control "
            f"of like size (within a factor of {LIKE:g}): {command} trains one that uses the same "
            "budget, or says why the space has none"
        )
    return (
        f"{len(wanted)} ternary designs of the frontier, {sizes[0]:,.0f} to {sizes[-1]:,.0f} "
        f"trained parameters, have no dense control of like size (within a factor of {LIKE:g}): "
        f"{command} trains them, each with the same budget"
    )


def _rivals_table(results: Study, rivals: Sequence[Rivals]) -> Table:
    objective = results.cost_objective
    name, unit, _ = LABELS[objective]
    error = results.asked.name_column(results.asked.measured)
    columns = (
        Column(name="ternary", heading="ternary design", form="text"),
        Column(name="ternary_error", heading=error, unit="%", form="percent", band=True),
        Column(name=f"ternary_{objective}", heading=f"{name}, {unit}".rstrip(", ")),
        Column(name="dense", heading="best fair dense design", form="text"),
        Column(name="dense_error", heading=error, unit="%", form="percent", band=True),
        Column(name=f"dense_{objective}", heading=f"{name}, {unit}".rstrip(", ")),
        Column(
            name="difference",
            heading="ternary less dense",
            unit="points",
            form="percent",
            band=True,
        ),
        Column(name="known_from", heading="known from", form="text"),
        Column(name="alike", heading="alike in", form="text"),
        Column(name="verdict", heading="verdict", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in rivals:
        dense = each.dense
        rows.append(
            (
                results.named(each.ternary),
                results.find_judged_band(each.ternary),
                scaled(each.ternary.column(objective), objective),
                None if dense is None else results.named(dense),
                results.find_judged_band(dense),
                None if dense is None else scaled(dense.column(objective), objective),
                None if each.difference is None else each.difference.cell,
                None if each.difference is None else each.difference.way,
                each.alike or None,
                each.verdict,
            )
        )
    return Table(
        name="ternary_against_dense",
        title="Trained designs",
        columns=columns,
        rows=tuple(rows),
        note=_note(results.asked.samples),
    )


def _note(samples: str) -> str:
    alike = samples != "utterances"  # each is right or wrong
    test = "McNemar's exact test" if alike else "the permutation test of signs"
    return (
        f"Brackets: 95 % intervals. Where it is recorded which {samples} both got wrong, those of "
        f"the differences are over the same {samples}, with p of {test}; 'unpaired' ones take the "
        f"{samples} for different ones, which is on the safe side. Such a verdict is one on two "
        "trainings: another seed may say otherwise. Differences of fresh seeds are of mean test "
        f"errors, told apart by permutation tests over seeds and over the same {samples}."
    )


def counterparts_table(chosen: Sequence[Priced], results: Study | None = None) -> Table | None:
    """Each ternary design beside its dense twin (`dse.report.twins`), on the same machine.

    Dense weights are stored and multiplied, ternary ones are made or stored as two bits and added:
    the ratio of energies is what that is worth on this machine, at whatever error.

    Args:
        chosen: designs; those without a ternary matrix are left out.
        results: the study whose trained designs have an error to show; None shows none.

    Returns:
        None where no design has a ternary matrix.
    """
    measured, error = "error", "error"
    if results is not None:
        measured, error = results.asked.measured, results.asked.name_column(results.asked.measured)
    columns: tuple[Column, ...] = (
        DESIGN,
        MACHINE,
        Column(name="trained_parameters", heading="trained", form="count"),
        Column(name="dense_trained_parameters", heading="trained, twin", form="count"),
        ENERGY,
        Column(name="dense_energy", heading="energy, twin", unit="µJ", band=True),
        Column(name="energy_ratio", heading="the twin takes", unit="times"),
        LATENCY,
        Column(name="dense_latency", heading="latency, twin", unit="ms"),
        Column(name="dense_error", heading=f"{error}, twin", form="text"),
        Column(name="dense_fits", heading="the twin fits", form="text"),
    )
    errors = {} if results is None else {row.key: row for row in results.judged}
    several = len({each.cost.technology.name for each in chosen}) > 1
    rows: list[tuple[Cell, ...]] = []
    for each in chosen:
        cost = twin_cost(each)
        if cost is None:
            continue
        known = errors.get(make_dense(each.design).key)
        rows.append(
            (
                each.named(),
                place_words(each, several=several),
                each.cost.workload.trained_parameters,
                cost.workload.trained_parameters,
                each.cost.energy.scaled(1e-6),
                cost.energy.scaled(1e-6),
                cost.energy_pj / each.cost.energy_pj,
                each.cost.latency_us * 1e-3,
                cost.latency_us * 1e-3,
                "not trained" if known is None else percent_words(known.column(measured)),
                "; ".join(cost.misfits) or "yes",
            )
        )
    if not rows:
        return None
    if all(row[-1] == "yes" for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(
        name="dense_counterparts",
        title="The designs and their dense twins",
        columns=columns,
        rows=tuple(rows),
        note=f"{TWIN_NOTE} It may be over the limits of trained parameters. " + BAND_NOTE,
    )


def published_section(
    machine: Accelerator,
    technology: Technology,
    *,
    frames: int,
    outputs: int,
    results: Study | None = None,
    alike: str = ", as the designs of this report",
) -> Section:
    """Baselines of the study, and the networks of the literature on its machine.

    Parameters are shown as printed and as counted here: where the two agree, our network is likely
    the paper's.

    Args:
        machine: what prices the published networks.
        technology: of the machine.
        frames: input frames of an inference: the same for all, whatever the paper's were.
        outputs: classes that costs are for; parameters are counted with the paper's.
        results: the study whose baselines are shown; None for a report without one.
        alike: what these frames and classes have to do with the report, for its note.
    """
    tables = []
    if results is not None:
        baselines = [row for row in results.rows if row.source != "search" and not is_control(row)]
        if baselines:
            tables.append(_baselines_table(results, baselines))
    tables.append(_published_table(machine, technology, frames, outputs, alike))
    return Section(
        name="published",
        title="Against published baselines",
        sentences=(
            "Accuracies are those their papers print, on the official Speech Commands; errors of "
            "other data or splits must not be compared with them. Costs are ours, on "
            f"{machine.name}.",
        ),
        tables=tuple(tables),
    )


def _baselines_table(results: Study, rows: Sequence[Evaluation]) -> Table:
    cells: tuple[RowCell, ...] = (
        (
            Column(name="baseline", heading="baseline", form="text"),
            lambda row: row.name or row.source,
        ),
        (STATUS, lambda row: row.status),
        error_cells(results)[0],
        (TRAINED, lambda row: read_cell(row, "trained_parameters")),
        (ENERGY, read_energy),
        (LATENCY, lambda row: read_cell(row, "latency_us", 1e-3)),
        (REASON, lambda row: row.reason),
    )
    title = "Baselines that this study evaluated"
    return make_table(rows, cells, name="baselines", title=title)


def read_quantised_error(row: Evaluation) -> float | None:
    """Its validation error in whole numbers in percent; None where nobody looked."""
    return read_cell(row, "quantised_error", 100)


def read_cell(row: Evaluation, column: str, factor: float = 1.0) -> float | None:
    """A column of a row times `factor` (to its unit for people); None where the row has none.

    A missing figure is NaN in a row, the one number that is not equal to itself.
    """
    value = row.column(column)
    return value * factor if value == value else None


def read_energy(row: Evaluation) -> Band | None:
    """The recorded energy per inference in µJ with its band; None where there is none."""
    return _recorded_band(row, "energy_low_pj", "energy_pj", "energy_high_pj")


def read_area(row: Evaluation) -> Band | None:
    """The recorded area of the machine in mm² with its band; None where there is none."""
    return _recorded_band(row, "area_low_um2", "area_um2", "area_high_um2")


def _recorded_band(row: Evaluation, low: str, mid: str, high: str) -> Band | None:
    figures = [row.column(name) * 1e-6 for name in (low, mid, high)]
    if not figures[0] <= figures[1] <= figures[2]:  # a figure is missing, or the row is foreign
        middle = figures[1]
        return Band(low=middle, mid=middle, high=middle) if middle == middle else None
    return Band(low=figures[0], mid=figures[1], high=figures[2])


def _published_table(
    machine: Accelerator, technology: Technology, frames: int, outputs: int, alike: str
) -> Table:
    columns = (
        Column(name="network", heading="network", form="text"),
        Column(name="printed_parameters", heading="parameters, printed", form="count"),
        Column(name="counted_parameters", heading="counted", form="count"),
        Column(name="published_accuracy", heading="accuracy", unit="%", form="exact"),
        ENERGY,
        LATENCY,
        AREA,
        Column(name="fits", heading="fits", form="text"),
        Column(name="source", heading="source", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, each in PUBLISHED.items():
        point = published(name)
        counted = lower(point, frames=frames, outputs=each.outputs).trained_parameters
        accuracy = None if each.accuracy is None else 100 * each.accuracy
        try:
            cost = estimate(lower(point, frames=frames, outputs=outputs), machine, technology)
        except InvalidInput as error:
            costs: tuple[Cell, ...] = (None, None, None, str(error))
        else:
            costs = (
                cost.energy.scaled(1e-6),
                cost.latency_us * 1e-3,
                cost.area.scaled(1e-6),
                "; ".join(cost.misfits) or "yes",
            )
        rows.append((name, each.parameters, counted, accuracy, *costs, each.source))
    return Table(
        name="published",
        title=f"Published networks on {machine.name}",
        columns=columns,
        rows=tuple(rows),
        note=f"Parameters with the paper's classes; costs with {outputs} classes and {frames} "
        f"frames{alike}. " + BAND_NOTE,
    )
