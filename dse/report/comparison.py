"""Ternary against dense, and against published networks: what is gained, and what is not.

Three comparisons, each with its own trap:

    rivals          trained against trained at no higher cost. Both errors are measured, but the
                    dense one is the lowest of many: the more were tried, the luckier it is.
    counterparts    the same network with each ternary matrix replaced by a trained one. Its cost is
                    known; its error only where the study came to train that network, too.
    published       networks of the literature. Costs are ours on this machine, accuracies theirs on
                    their data.

A difference of two errors counts where its 95 % interval (Newcombe's, from two of Wilson) leaves
out 0; else the clips do not tell the two apart, whichever has the lower error.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cost_models import Accelerator, Band, Technology, estimate
from dse.columns import LABELS, scaled
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
    TRAINED,
    say_machine,
)
from dse.studies.intervals import difference_band
from dse.studies.rows import Evaluation
from dse.studies.study import Study, say_trial

STATUS = Column(name="status", heading="status", form="text")
REASON = Column(name="reason", heading="reason", form="text")
RowCell = tuple[Column, Callable[[Evaluation], Cell]]
"""A column of tables of rows, and what its cells are made of."""


def find_best(rows: Sequence[Evaluation], cost: str) -> Evaluation | None:
    """The row of the lowest error; of equal ones the cheapest, then the first; None of none.

    Equal errors are common: an error is a whole number of wrong clips out of not so many.
    """
    return min(rows, key=lambda row: (row.column("error"), row.column(cost)), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivals:
    """A trained ternary design and the trained dense one that stands against it."""

    ternary: Evaluation
    dense: Evaluation | None
    """The lowest error among dense designs that cost no more; None where none was trained."""
    difference: Band | None
    """Error of the ternary less that of the dense, in percent points."""

    @property
    def verdict(self) -> str:
        """What the clips allow to say: a verdict, or why there is none."""
        if self.dense is None:
            return "no dense design as cheap was trained"
        if self.difference is None:
            return "the number of clips is not known"
        return say_verdict(self.difference)


def say_verdict(difference: Band) -> str:
    """Who is better, where the 95 % interval leaves it no doubt.

    Args:
        difference: ternary less dense, in percent points of error: below 0 ternary is better.
    """
    if difference.high < 0:
        return "ternary is better"
    if difference.low > 0:
        return "dense is better"
    return "not told apart by these clips"


def find_rivals(results: Study) -> list[Rivals]:
    """Every ternary design of the frontier, and the best one, against dense at no higher cost.

    "No higher" by the study's cost objective: a dense design at 1 % of the cost is a rival, too. So
    a verdict for ternary says that nothing dense, as cheap or cheaper, did as well; it does not
    say that nothing could: that depends on how many dense designs were trained.
    """
    cost = results.cost_objective
    ternary = [row for row in results.frontier if results.is_ternary(row)]
    best = find_best([row for row in results.trained if results.is_ternary(row)], cost)
    if best is not None and best.key not in {row.key for row in ternary}:
        ternary.append(best)
    dense = [row for row in results.trained if not results.is_ternary(row)]
    found = []
    for row in ternary:
        cheap = [other for other in dense if other.column(cost) <= row.column(cost)]
        rival = find_best(cheap, cost)
        found.append(
            Rivals(ternary=row, dense=rival, difference=compare_errors(results, row, rival))
        )
    return found


def compare_errors(results: Study, row: Evaluation | None, other: Evaluation | None) -> Band | None:
    """Errors of two trained designs; None where one is missing, or the clips are not known."""
    if row is None or other is None or results.clips is None:
        return None
    return difference_band(row.column("error"), other.column("error"), results.clips)


def dense_section(results: Study, chosen: Sequence[Priced]) -> Section:
    """What the ternary matrices gain or do not gain: rivals, then counterparts.

    Args:
        results: the study.
        chosen: designs whose dense counterparts are priced.
    """
    rivals = find_rivals(results)
    tables = []
    if rivals:
        tables.append(_rivals_table(results, rivals))
    counterparts = counterparts_table(chosen, results)
    if counterparts is not None:
        tables.append(counterparts)
    sentences = [
        "The same budget is that of the study's limits, and no more "
        f"{LABELS[results.cost_objective][0]} than the ternary design takes."
    ]
    if not rivals:
        sentences = ["No design with ternary matrices was trained: there is nothing to compare."]
    return Section(
        name="dense",
        title="Ternary against dense at the same budget",
        sentences=tuple(sentences),
        tables=tuple(tables),
    )


def _rivals_table(results: Study, rivals: Sequence[Rivals]) -> Table:
    objective = results.cost_objective
    name, unit, _ = LABELS[objective]
    columns = (
        Column(name="ternary", heading="ternary design", form="text"),
        Column(name="ternary_error", heading="error", unit="%", form="percent", band=True),
        Column(name=f"ternary_{objective}", heading=f"{name}, {unit}".rstrip(", ")),
        Column(name="dense", heading="best dense design as cheap", form="text"),
        Column(name="dense_error", heading="error", unit="%", form="percent", band=True),
        Column(name=f"dense_{objective}", heading=f"{name}, {unit}".rstrip(", ")),
        Column(
            name="difference",
            heading="ternary less dense",
            unit="points",
            form="percent",
            band=True,
        ),
        Column(name="verdict", heading="verdict", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in rivals:
        dense = each.dense
        rows.append(
            (
                results.named(each.ternary),
                results.find_error_band(each.ternary),
                scaled(each.ternary.column(objective), objective),
                None if dense is None else results.named(dense),
                results.find_error_band(dense),
                None if dense is None else scaled(dense.column(objective), objective),
                each.difference,
                each.verdict,
            )
        )
    return Table(
        name="ternary_against_dense",
        title="Trained designs",
        columns=columns,
        rows=tuple(rows),
        note="Brackets: 95 % intervals. Those of the differences take the clips of the two designs "
        "for different ones (Newcombe), which is on the safe side.",
    )


def named(row: Evaluation) -> str:
    """`1x1x64 (trial 7)`."""
    return f"{row.name or row.key} ({say_trial(row)})"


def counterparts_table(chosen: Sequence[Priced], results: Study | None = None) -> Table | None:
    """Each ternary design beside the same network with dense matrices, on the same machine.

    Dense weights are stored and multiplied, ternary ones are made or stored as two bits and added:
    the ratio of energies is what that is worth on this machine, at whatever error.

    Args:
        chosen: designs; those without a ternary matrix are left out.
        results: the study whose trained designs have an error to show; None shows none.

    Returns:
        None where no design has a ternary matrix.
    """
    columns = (
        DESIGN,
        MACHINE,
        Column(name="trained_parameters", heading="trained", form="count"),
        Column(name="dense_trained_parameters", heading="trained, dense", form="count"),
        ENERGY,
        Column(name="dense_energy", heading="energy, dense", unit="uJ", band=True),
        Column(name="energy_ratio", heading="dense costs", unit="times"),
        LATENCY,
        Column(name="dense_latency", heading="latency, dense", unit="ms"),
        Column(name="dense_error", heading="error, dense", form="text"),
    )
    errors = {} if results is None else {row.key: row for row in results.trained}
    rows: list[tuple[Cell, ...]] = []
    for each in chosen:
        dense = make_dense(each.point)
        # Equal keys: there was no ternary matrix to replace.
        if dense.key == each.point.key:
            continue
        first = each.cost.workload.layers[0]
        outputs = each.cost.workload.layers[-1].out_channels
        workload = lower(dense, frames=first.in_frames, outputs=outputs)
        cost = estimate(workload, each.cost.accelerator.as_asked, each.cost.technology)
        known = errors.get(dense.key)
        rows.append(
            (
                each.named(),
                say_machine(each.cost),
                each.cost.workload.trained_parameters,
                workload.trained_parameters,
                each.cost.energy.scaled(1e-6),
                cost.energy.scaled(1e-6),
                cost.energy_pj / each.cost.energy_pj,
                each.cost.latency_us * 1e-3,
                cost.latency_us * 1e-3,
                "not trained" if known is None else f"{100 * known.column('error'):.1f} %",
            )
        )
    if not rows:
        return None
    return Table(
        name="dense_counterparts",
        title="The same networks with dense matrices",
        columns=columns,
        rows=tuple(rows),
        note="Ternary matrices are replaced by trained ones of the same shape on the same machine; "
        "identities stay. Such a network may be over the limits of trained parameters. "
        + BAND_NOTE,
    )


def published_section(
    machine: Accelerator,
    technology: Technology,
    *,
    frames: int,
    outputs: int,
    results: Study | None = None,
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
    """
    tables = []
    if results is not None:
        baselines = [row for row in results.rows if row.source != "search"]
        if baselines:
            tables.append(_baselines_table(results, baselines))
    tables.append(_published_table(machine, technology, frames, outputs))
    return Section(
        name="published",
        title="Against published baselines",
        sentences=(
            "Accuracies are those their papers print, on the official Speech Commands; errors of "
            "other data or splits must not be compared with them. Costs are ours, on this machine.",
        ),
        tables=tuple(tables),
    )


def _baselines_table(results: Study, rows: Sequence[Evaluation]) -> Table:
    cells: tuple[RowCell, ...] = (
        (Column(name="baseline", heading="baseline", form="text"), lambda row: row.source),
        (STATUS, lambda row: row.status),
        (ERROR, results.find_error_band),
        (TRAINED, lambda row: read_cell(row, "trained_parameters")),
        (ENERGY, read_energy),
        (LATENCY, lambda row: read_cell(row, "latency_us", 1e-3)),
        (REASON, lambda row: row.reason),
    )
    title = "Baselines that this study evaluated"
    return make_table(rows, cells, name="baselines", title=title)


def read_quantised_error(row: Evaluation) -> float | None:
    """Its validation error as int8 (integer inference) in percent; None where nobody looked."""
    error: float | None = getattr(row, "quantised_error", None)
    return None if error is None else 100 * error


def read_cell(row: Evaluation, column: str, factor: float = 1.0) -> float | None:
    """A column of a row times `factor` (to its unit for people); None where the row has none.

    A missing figure is NaN in a row, the one number that is not equal to itself.
    """
    value = row.column(column)
    return value * factor if value == value else None


def read_energy(row: Evaluation) -> Band | None:
    """The recorded energy per inference in uJ with its band; None where there is none."""
    return _recorded_band(row, "energy_low_pj", "energy_pj", "energy_high_pj")


def read_area(row: Evaluation) -> Band | None:
    """The recorded area of the machine in mm2 with its band; None where there is none."""
    return _recorded_band(row, "area_low_um2", "area_um2", "area_high_um2")


def _recorded_band(row: Evaluation, low: str, mid: str, high: str) -> Band | None:
    figures = [row.column(name) * 1e-6 for name in (low, mid, high)]
    if not figures[0] <= figures[1] <= figures[2]:  # a figure is missing, or the row is foreign
        middle = figures[1]
        return Band(low=middle, mid=middle, high=middle) if middle == middle else None
    return Band(low=figures[0], mid=figures[1], high=figures[2])


def _published_table(
    machine: Accelerator, technology: Technology, frames: int, outputs: int
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
        "frames, as the designs of this report. " + BAND_NOTE,
    )
