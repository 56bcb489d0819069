"""Chosen designs in full: what each is, and where its energy, its time and its area go."""

from collections.abc import Sequence

from cost_models import Cost
from cost_models.application import Use
from cost_models.break_even import BreakEvenTotal, break_even
from dse.columns import ratio_text, share_words
from dse.design.point import DesignPoint
from dse.pricing.comparable import (
    leakage_warning,
    own_words,
    technology_words,
    warmth_words,
)
from dse.pricing.priced import Priced
from dse.report.content import Section
from dse.report.cost_plots import components_plot, energy_plot, latency_plot
from dse.report.cost_tables import (
    COMPONENT_WORDS,
    NANOJOULES,
    area_table,
    components_table,
    generator_table,
    layers_table,
    place_words,
    power_table,
    ways_table,
)
from dse.report.network import blocks_table, network_words
from dse.report.twins import other_references


def design_sections(priced: Sequence[Priced], use: Use, *, compared: bool = True) -> list[Section]:
    """Each chosen design in full: layers, components, area, generator, power.

    Args:
        priced: the designs.
        use: what power depends on.
        compared: begin with a plot of all of them.
    """
    sections = [
        Section(
            name="breakdowns",
            title="The chosen designs in full",
            sentences=(
                "Energy by component, then for each design its layers, the area of its machine, "
                "its generator, and its power.",
            ),
            plots=(components_plot(priced),) if compared else (),
            tables=(components_table(priced),),
        )
    ]
    for number, each in enumerate(priced, start=1):
        sections += _design_sections(each, number, use)
    return sections


def _design_sections(each: Priced, number: int, use: Use) -> list[Section]:
    """What a design is, then what it costs; of layers that are no design what they cost."""
    cost, point = each.cost, each.point
    whole = point if isinstance(point, DesignPoint) else None
    shown = "A network of layers. " if whole is None else f"key {whole.key}. "
    shown += "" if whole is None else f"It has {network_words(whole)}. "
    panel = break_even(cost)
    tables = [layers_table(cost, f"layers_{number}"), area_table(cost, f"area_{number}")]
    if panel is not None:
        tables.append(generator_table(panel, f"generator_{number}"))
        tables.append(ways_table(panel, f"ways_{number}"))
    tables.append(power_table(cost, use, f"power_{number}"))
    why = f"{each.why}; " if each.why else ""
    place = f"{each.named()} on {place_words(each)}"
    return [
        Section(
            name=f"design-{number}",
            title=place,
            sentences=(
                f"Shown as: {why}{shown}{where_it_goes(cost)}",
                *(f"Does not fit: {misfit}. It is priced as if it did." for misfit in cost.misfits),
                *generator_sentences(cost, panel),
            ),
            tables=() if whole is None else (blocks_table(whole, number),),
            level=3,
        ),
        Section(
            name=f"design-{number}-costs",
            title=f"{place}: layers, area and power",
            plots=(energy_plot(cost, f"layers_{number}"), latency_plot(cost, f"latency_{number}")),
            tables=tuple(tables),
            level=3,
        ),
    ]


def compared_points(priced: Sequence[Priced], use: Use) -> tuple[str, ...]:
    """Sentences on what keeps figures from being compared, each machine's once.

    Args:
        priced: designs on machines; of several designs on one machine, the first stands for all.
        use: rate of the power that leakage is a share of.
    """
    machines = {(each.cost.accelerator, each.cost.technology): each.cost for each in priced}
    points = []
    for (machine, technology), cost in machines.items():
        said = (leakage_warning(cost, use), own_words(machine, technology))
        points += [f"{sentence}." for sentence in said if sentence]
    points += other_references(priced)
    technologies = [technology for _, technology in machines]
    for words in (technology_words(technologies), warmth_words(technologies)):
        points += [f"{words}."] if words else []
    return tuple(points)


def where_it_goes(cost: Cost) -> str:
    """What dominates energy and cycles, as sentences: where an engineer would begin to improve.

    The bound is the one that most cycles wait for: as layers run one after the other, removing it
    saves at most its share.
    """
    part, pj = max(cost.energies_pj.items(), key=lambda item: item[1])
    layer = max(cost.layers, key=lambda layer: layer.energy_pj)
    text = (
        f"The largest part of the energy, {share_words(pj / cost.energy_pj)}, goes to "
        f"{COMPONENT_WORDS[part]}; "
        f"the dearest layer is {layer.layer.name} "
        f"({share_words(layer.energy_pj / cost.energy_pj)})."
    )
    if cost.bounds_cycles:
        bound, cycles = next(iter(cost.bounds_cycles.items()))
        text += (
            f" {share_words(cycles / cost.latency_cycles)} of the cycles are bound by {bound}; the "
            f"arrays are used at {share_words(cost.utilisation)}."
        )
    return text


def generator_sentences(cost: Cost, panel: BreakEvenTotal | None) -> tuple[str, ...]:
    """What makes the ternary matrices, and whether that is worth it, also where it is not."""
    specs = dict.fromkeys(
        layer.layer.generator for layer in cost.layers if layer.layer.generator is not None
    )
    if panel is None:
        stored = "Its ternary matrices are stored, two bits an entry: this machine generates none."
        return (stored,) if specs else ()
    assert cost.accelerator.generator is not None  # it generates something
    made = "; ".join(
        f"{spec.family} with {spec.state_bits} bits of state and {spec.decision_bits} decision bits"
        + (f", {spec.rounds} rounds" if spec.rounds else "")
        + (", balanced signs" if spec.paired_signs else "")
        for spec in specs
    )
    lanes = cost.accelerator.generator.trits_per_cycle
    return (f"Generator: {made}; {lanes} trits a cycle.", store_words(panel))


def store_words(panel: BreakEvenTotal) -> str:
    """Which is cheaper, by how much, and how sure that is.

    Energy and area are told apart, as they may disagree: a generator can be smaller than the SRAM
    that it replaces and still spend more on each trit.
    """
    saved = ratio_text(panel.stored_pj / panel.generated_pj) if panel.generated_pj else "-"
    generated, stored = (
        NANOJOULES.show(band.scaled(1e-3)) for band in (panel.generated, panel.stored)
    )
    surely = "whatever the bands say" if panel.certain else "though the bands overlap"
    return (
        f"Generate or store? {panel.stored_bits:,} bits of trits. Energy: generating takes "
        f"{generated} nJ, reading them from an SRAM of {panel.memory_bits:,} bits {stored} nJ, "
        f"{saved} times: {panel.cheaper}, {surely}. Area: {panel.generator_um2:,.0f} µm² against "
        f"{panel.memory_um2:,.0f} µm²: {panel.smaller}.{_instead_words(panel)}"
    )


def _instead_words(panel: BreakEvenTotal) -> str:
    """The whole machine with its trits stored: what order the matrix has counts here."""
    instead = panel.instead
    if instead is None:
        return ""
    generated, stored, tiled = (
        f"{band.mid * 1e-6:.3g} µJ and {cycles:,} cycles"
        for band, cycles in (
            (instead.generated, instead.generated_cycles),
            (instead.stored, instead.stored_cycles),
            (instead.tiled, instead.tiled_cycles),
        )
    )
    words = (
        f" The whole machine takes {generated}; with these trits in '{instead.memory}' instead, "
        f"which need come in no order, {stored}: {instead.cheaper}."
    )
    if instead.tile is None:
        return words
    order = "x".join(map(str, instead.tile))
    return f"{words} Made in tiles of its array (a design with matrix_order: {order}) {tiled}."
