"""The report of designs, or of networks of layers, without a study: what they cost, and where.

Nothing was trained, so it answers what a design costs and which is cheapest, and not which to
build: the cheapest of several designs is rarely the most accurate.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version

from cost_models import Accelerator, Technology
from cost_models.application import Use
from dse.columns import ratio_text, significant
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.pricing.comparable import say_technology
from dse.pricing.priced import Layers, Priced
from dse.report.answer import band_words, power_words, priced_words
from dse.report.breakdowns import compared_points, design_sections
from dse.report.comparison import counterparts_table, published_section
from dse.report.content import Cell, Column, Report, Section, Table
from dse.report.cost_plots import components_plot
from dse.report.cost_tables import machines_table, say_machine
from dse.report.priced import load_machine, price_designs
from dse.report.sources import sources_sections

FRAMES = 128
OUTPUTS = 12


def designs_report(
    points: Sequence[DesignPoint | Layers],
    *,
    machines: Sequence[str] = ("kws_ternary",),
    technologies: Sequence[str] = (),
    frames: int = FRAMES,
    outputs: int = OUTPUTS,
    use: Use | None = None,
    commands: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Report:
    """The cost report of one design or several, on one machine or several.

    Args:
        points: the designs; equal ones (of one key) count once. Networks of layers, traced or read
            from a graph, may stand among them.
        machines: names of the library, or YAML files; the first is the one that the published
            networks are priced on.
        technologies: in place of the machines' own: names or YAML files; each machine in each.
        frames: input frames of an inference.
        outputs: classes.
        use: rate of inferences and battery; one inference a second and a CR2032 without it.
        commands: lines of a shell that repeat the report.
        notes: what is priced otherwise than its network has it, a sentence each.

    Returns:
        Content for `render` and `write_report`.

    Raises:
        InvalidInput: there is no design, a machine is unknown, or it cannot execute a design.
    """
    if not points:
        raise InvalidInput("there is no design to report: name a study, or a design")
    use = use or Use()
    pairs = [
        load_machine(name, technology)
        for name in dict.fromkeys(machines)
        for technology in dict.fromkeys(technologies or (None,))
    ]
    distinct = list({(point.key, point.label): point for point in points}.values())
    designs = any(isinstance(point, DesignPoint) for point in distinct)
    sized = [f"{frames} frames and {outputs} classes"] if designs else []
    sized += [_size_words(point) for point in distinct if isinstance(point, Layers)]
    priced = price_designs(distinct, pairs, frames=frames, outputs=outputs)
    sections = [
        _answer_section(priced, "; ".join(sized), use, notes),
        Section(
            name="designs",
            title="Designs on machines" if len(pairs) > 1 else f"Designs on {pairs[0][0].name}",
            tables=(machines_table(priced, use, "designs", "Costs"),),
        ),
    ]
    counterparts = counterparts_table(priced)
    if counterparts is not None:
        sections.append(
            Section(
                name="dense",
                title="Ternary against dense",
                sentences=("Costs only: nothing was trained, so errors are not known.",),
                tables=(counterparts,),
            )
        )
    alike = ", as the designs of this report" if designs else ""
    sections.append(published_section(*pairs[0], frames=frames, outputs=outputs, alike=alike))
    sections += design_sections(priced, use, compared=len(priced) == 1)
    sections += sources_sections(
        pairs,
        more=[
            f"An inference has {'; '.join(sized)}.",
            f"Average power is that of {use.words}, always powered; the "
            f"battery has {use.battery_mwh:g} mWh.",
        ],
    )
    sections.append(_provenance_section(distinct, pairs, commands))
    names = ", ".join(point.label for point in distinct[:3])
    more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
    return Report(
        name="designs" if len(distinct) > 1 else _file_name(distinct[0]),
        title=f"Cost report: {names}{more}",
        subtitle="; ".join(dict.fromkeys(say_machine(each.cost) for each in priced)),
        sections=tuple(sections),
        dated="",
        version=version("ternary-dse"),
    )


def _size_words(layers: Layers) -> str:
    """`98 frames of 40 channels and 12 outputs (my_net)`."""
    first, last = layers.workload.layers[0], layers.workload.layers[-1]
    return (
        f"{first.in_frames} frames of {first.in_channels} channels and {last.out_channels} outputs "
        f"({layers.label})"
    )


def _file_name(point: DesignPoint | Layers) -> str:
    """Of a report of one: `design-KEY`, `network-my_net`."""
    if isinstance(point, DesignPoint):
        return f"design-{point.key}"
    letters = re.sub(r"[^A-Za-z0-9_-]+", "-", point.label).strip("-")
    return f"network-{letters[:64] or 'layers'}"


def _answer_section(
    priced: Sequence[Priced], sized: str, use: Use, notes: Sequence[str]
) -> Section:
    designs = len({(each.point.key, each.point.label) for each in priced})
    machines = len({say_machine(each.cost, several=True) for each in priced})
    mixed = len({each.cost.technology.name for each in priced}) > 1
    kind = "design" if any(each.point.key for each in priced) else "network"
    what = f"this {kind}" if designs == 1 else f"each of {designs} {kind}s"
    where = say_machine(priced[0].cost) if machines == 1 else f"each of {machines} machines"
    points = []
    # What does not fit cannot be built; only where nothing fits is it the answer all the same.
    fitting = [each for each in priced if not each.cost.misfits] or list(priced)
    least = min(fitting, key=lambda each: each.cost.energy_pj)
    several = len(fitting) > 1
    points.append(
        (
            f"Least energy: {_place(least, machines, mixed)}, "
            if several
            else f"{_place(least, machines, mixed)}: "
        )
        + _costs(least, use)
    )
    if several:
        most = max(fitting, key=lambda each: each.cost.energy_pj)
        points.append(
            f"The dearest is {_place(most, machines, mixed)}: "
            f"{band_words(most.cost.energy.scaled(1e-6))} µJ, "
            f"{ratio_text(most.cost.energy_pj / least.cost.energy_pj)} times as much."
        )
        smallest = min(fitting, key=lambda each: each.cost.area.mid)
        fastest = min(fitting, key=lambda each: each.cost.latency_us)
        points.append(
            f"The fastest is {_place(fastest, machines, mixed)}: "
            f"{significant(fastest.cost.latency_us * 1e-3)} ms; the smallest machine is "
            f"{say_machine(smallest.cost, several=mixed)}."
        )
    for each in priced:
        if each.cost.misfits:
            points.append(
                f"{_place(each, machines, mixed)} does not fit: {'; '.join(each.cost.misfits)}."
            )
    points += compared_points(priced, use)
    points += [f"Note: {note}." for note in notes]
    points.append("Nothing here was trained: whether a design is worth its cost, a study must say.")
    return Section(
        name="answer",
        title="Question and answer",
        sentences=(f"What does one inference of {what} cost on {where}, with {sized}?",),
        points=tuple(points),
        plots=(components_plot(priced, "answer"),) if len(priced) > 1 else (),
    )


def _place(each: Priced, machines: int, mixed: bool) -> str:
    if machines == 1:
        return each.point.label
    return f"{each.point.label} on {say_machine(each.cost, several=mixed)}"


def _costs(each: Priced, use: Use) -> str:
    fits = "".join(f" Does not fit: {misfit}. Priced as if it did." for misfit in each.misfits)
    return f"{priced_words(each.cost)}.{power_words(each, use)}{fits}"


def _provenance_section(
    points: Sequence[DesignPoint | Layers],
    pairs: Sequence[tuple[Accelerator, Technology]],
    commands: Sequence[str],
) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (point.label, point.key, point.summary, point.ternary_seed)
        if isinstance(point, DesignPoint)
        else (point.label, None, f"{len(point.workload.layers)} layers", None)
        for point in points
    ]
    columns = (
        Column(name="design", heading="design", form="text"),
        Column(name="design_key", heading="key", form="text"),
        Column(name="network", heading="network", form="text"),
        Column(name="ternary_seed", heading="ternary seed", form="exact"),
    )
    machines = "; ".join(
        f"{machine.name} with {say_technology(machine, technology)}"
        for machine, technology in pairs
    )
    return Section(
        name="provenance",
        title="Provenance",
        sentences=(
            f"Estimated by ternary-dse {version('ternary-dse')} on {machines}. No random numbers "
            "but the designs' own matrices, which follow from their seeds.",
            *(("To reproduce:",) if commands else ()),
        ),
        code=tuple(commands),
        tables=(Table(name="networks", title="Designs", columns=columns, rows=tuple(rows)),),
    )
