"""What `dse estimate` says of a design: totals side by side; of a single one all that is behind."""

from collections.abc import Iterator, Sequence

from cost_models import Cost
from cost_models.application import Use
from cost_models.break_even import break_even
from cost_models.sleep import sleep_between
from dse.columns import significant
from dse.design.matrices import matrix_words
from dse.design.point import DesignPoint
from dse.pricing.application import forgotten, left_out
from dse.pricing.comparable import leakage_words
from dse.pricing.priced import Layers, Priced
from dse.report.breakdowns import compared_points, store_words
from dse.report.content import Section
from dse.report.cost_tables import (
    BAND_NOTE,
    accesses_table,
    area_table,
    generator_table,
    layers_table,
    loads_table,
    roofline_table,
    totals_table,
    ways_table,
)
from dse.report.lengths import Length, lengths_table, look_ahead_words
from dse.report.oversized import fitted_words, oversized_words


def estimate_sections(
    priced: Sequence[Priced],
    frames: int,
    outputs: int,
    use: Use,
    *,
    mapping: bool = False,
    roofline: bool = False,
    lengths: Sequence[Length] = (),
    frame_ms: float = 10.0,
    notes: Sequence[str] = (),
) -> list[Section]:
    """Totals of designs on machines; layers, accesses, area and generator of a single one.

    Args:
        priced: what stands side by side.
        frames: input frames of an inference.
        outputs: classes.
        use: what power and battery life depend on.
        mapping: say how each layer is mapped: what is unrolled over the array, and the order of
            the loops, innermost first.
        roofline: say what each layer could reach at most, on each machine.
        lengths: inputs of these lengths, of the first design on its machine.
        frame_ms: from one frame to the next.
        notes: what is priced otherwise than its network has it, a sentence each.
    """
    hop = priced[0].stream
    what = f"a hop of {hop.hop_frames} frames" if hop else f"one inference of {frames} frames"
    points = {each.point.key: each.point for each in priced}.values()
    named = (f"{each.label} (key {each.key})" if each.key else each.label for each in points)
    said = [f"{name}, {what}, {outputs} outputs" for name in named]
    said += [f"Note: {note}." for note in notes]
    said += filter(None, (look_ahead_words(each, frame_ms) for each in priced))
    sections = _sections(priced, said, use, mapping, roofline)
    if lengths:
        table = lengths_table(lengths)
        words = (f"{priced[0].named()} on {priced[0].cost.accelerator.name}. {table.note}",)
        found = Section(name="lengths", title=table.title, sentences=words, tables=(table,))
        sections.insert(1, found)
    return sections


def workload_sections(cost: Cost, use: Use, said: Sequence[str]) -> list[Section]:
    """The same of layers that another tool described: there is no design behind them.

    Args:
        cost: of the layers on a machine.
        use: what power and battery life depend on.
        said: sentences before the tables, on what was read.
    """
    priced = Priced(point=Layers(cost.workload.name, cost.workload), cost=cost)
    return _sections([priced], said, use, False, False)


def _sections(
    priced: Sequence[Priced], said: Sequence[str], use: Use, mapping: bool, roofline: bool
) -> list[Section]:
    sections = [
        Section(
            name="totals",
            title="Costs",
            sentences=(*said, *_matrix_words(priced), *_misfit_words(priced)),
            tables=(totals_table(priced, use),),
        )
    ]
    if roofline:
        tables = tuple(roofline_table(each.cost) for each in priced)
        sections.append(Section(name="roofline", title="Roofline", tables=tables))
    if len(priced) == 1:
        sections += _in_full(priced[0].cost, mapping)
    sections.append(Section(name="notes", title="Notes", points=tuple(_notes(priced, use))))
    return sections


def _in_full(cost: Cost, mapping: bool) -> list[Section]:
    sections = [
        Section(
            name="layers",
            title="Layers, memories, area",
            tables=(layers_table(cost, mapping=mapping), accesses_table(cost), area_table(cost)),
        )
    ]
    panel = break_even(cost)
    if panel is not None:
        sections.append(
            Section(
                name="generator",
                title="Generate or store?",
                sentences=(store_words(panel),),
                tables=(generator_table(panel), ways_table(panel)),
            )
        )
    loads = loads_table(cost)
    if loads.rows:
        sections.append(
            Section(
                name="loads",
                title=loads.title,
                sentences=(loads.note,),
                tables=(loads,),
            )
        )
    return sections


def _matrix_words(priced: Sequence[Priced]) -> Iterator[str]:
    """What the draw of the ternary matrices came to, once a design, where it matters."""
    points = {each.point.key: each.point for each in priced}.values()
    for point in points:
        if isinstance(point, DesignPoint) and (words := matrix_words(point)):
            yield (
                f"{point.label}: {words}" if len(points) > 1 else f"{words[0].upper()}{words[1:]}."
            )


def _misfit_words(priced: Sequence[Priced]) -> Iterator[str]:
    """Above the figures: what does not fit, which all of them leave out."""
    for misfit in dict.fromkeys(misfit for each in priced for misfit in each.misfits):
        yield f"Does not fit: {misfit}. Priced as if it did."


def asleep_words(cost: Cost, use: Use, *, streams: bool) -> str:
    """What leaks between inferences, and what waking takes; empty where the machine stays on."""
    asleep = sleep_between(cost, use.sleep, streams=streams)
    if asleep is None:
        return ""
    states = ", ".join(f"{part} {state}" for part, state in asleep.states.items())
    reloads = f", {asleep.reloaded_bits:,} bits reloaded" if asleep.reloaded_bits else ""
    wakes = f"{significant(asleep.wake_pj.mid * 1e-3)} nJ and {significant(asleep.wake_us)} µs"
    return (
        f"{cost.accelerator.name} leaks {significant(asleep.leakage_uw.mid)} instead of "
        f"{significant(cost.leakage.mid)} µW ({states}); waking takes {wakes}{reloads}."
    )


def _notes(priced: Sequence[Priced], use: Use) -> Iterator[str]:
    """What is too large or forgotten, and where the numbers come from."""
    for each in priced:
        if sizes := fitted_words(each.cost):
            yield f"Fits {each.named()}: {sizes}."
        if large := oversized_words(each, use):
            yield f"Too large: {large}"
    for each in priced:
        streams = each.stream is not None
        if sentence := asleep_words(each.cost, use, streams=streams):
            yield f"Asleep: {sentence}"
        if lost := forgotten(each.cost, use, streams=streams):
            yield f"Forgets: {lost}."
        if without := left_out(each.cost):
            yield f"Powers and battery lives on {each.cost.accelerator.name} lack {without}."
    for machine in {each.cost.accelerator.name: each.cost.accelerator for each in priced}.values():
        yield f"machine     {machine.name}: {machine.description}"
    for each in {each.cost.technology.name: each for each in priced}.values():
        technology = each.cost.technology
        leaks = leakage_words(technology)
        yield f"technology  {technology.name}: {technology.description}; {leaks}"
    yield from compared_points(priced, use)
    yield BAND_NOTE
    yield "Equations and errors: docs/evidence/model.md; sources of all constants: --json."
