"""Tables and plots of what designs cost, whatever they come from."""

import dataclasses
from collections.abc import Sequence

from cost_models import Band, Component, Cost
from cost_models.application import Use, inferences_per_second
from cost_models.break_even import BreakEvenTotal, break_even
from cost_models.roofline import roofline
from cost_models.row_loads import row_loads
from cost_models.units import cycles_to_us, with_prefix
from cost_models.workload import CONVOLUTIONS
from dse.colours import COMPONENTS
from dse.columns import COST_COLUMNS, LABELS
from dse.errors import InvalidInput
from dse.pricing.application import application
from dse.pricing.priced import Priced
from dse.report.content import Bars, Cell, Column, Part, Section, Table, significant
from dse.report.network import blocks_table, network_words
from dse.report.priced import battery_at, highest_rate, power_at

COUNTS = COST_COLUMNS[: COST_COLUMNS.index("energy_pj")]
"""Columns that are counted, not estimated."""
TOO_SLOW = "too slow"

COMPONENT_WORDS: dict[str, str] = {
    Component.MULTIPLY_ACCUMULATE: "multiply-accumulate",
    Component.TERNARY_ADDITION: "ternary addition",
    Component.POST_PROCESSING: "post-processing",
    Component.REGISTER: "registers",
    Component.BUFFER: "buffers",
    Component.SRAM: "SRAM",
    Component.DRAM: "DRAM",
    Component.GENERATOR: "generator",
    Component.LEAKAGE: "leakage",
}
"""How components are called."""

DESIGN = Column(name="design", heading="design", form="text")
LAYER = Column(name="layer", heading="layer", form="text")
MACHINE = Column(name="machine", heading="machine", form="text")
ERROR = Column(name="error", heading="error", unit="%", form="percent", band=True)
QUANTISED = Column(name="quantised_error", heading="as int8", unit="%", form="percent")
TRAINED = Column(name="trained_parameters", heading="trained parameters", form="count")
GENERATED = Column(name="generated_weights", heading="generated weights", form="count")
MACS = Column(name="macs", heading="MACs", form="count")
ADDITIONS = Column(name="additions", heading="additions", form="count")
STORED = Column(name="stored", heading="stored", unit="kbit")
ENERGY = Column(name="energy", heading="energy", unit="uJ", band=True)
LATENCY = Column(name="latency", heading="latency", unit="ms")
AREA = Column(name="area", heading="area", unit="mm2", band=True)
KEY = Column(name="design_key", heading="key", form="text")

BAND_NOTE = (
    "Figures in brackets are the lowest and the highest that the sources of the constants allow."
)


def machines_table(priced: Sequence[Priced], use: Use, name: str, title: str) -> Table:
    """Designs on machines, a row each: counts, energy, latency, area and power with bands."""
    columns = (
        DESIGN,
        MACHINE,
        TRAINED,
        MACS,
        STORED,
        ENERGY,
        LATENCY,
        AREA,
        _power(use),
        Column(name="fits", heading="fits", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in priced:
        cost = each.cost
        rows.append(
            (
                each.named(),
                machine_of(cost),
                cost.workload.trained_parameters,
                cost.workload.macs,
                cost.stored_bits * 1e-3,
                cost.energy.scaled(1e-6),
                cost.latency_us * 1e-3,
                cost.area.scaled(1e-6),
                power_at(cost, use.inferences_per_second),
                "no" if cost.misfits else "yes",
            )
        )
    return Table(name=name, title=title, columns=columns, rows=tuple(rows), note=BAND_NOTE)


def totals_table(priced: Sequence[Priced], use: Use) -> Table:
    """All that is known of whole networks on machines, a row each: dozens of columns."""
    costs = [each.cost for each in priced]
    parts = [part for part in Component if any(cost.energies_pj[part] for cost in costs)]
    bounds = list(dict.fromkeys(name for cost in costs for name in cost.bounds_cycles))
    streams = any(each.stream for each in priced)
    columns = (
        DESIGN,
        MACHINE,
        *(_count(name) for name in COUNTS),
        ENERGY,
        *(_component(part, "of it ") for part in parts),
        LATENCY,
        Column(name="latency_high", heading="first loads, last stores apart", unit="ms"),
        Column(name="cycles", heading="cycles", form="count"),
        Column(name="clock_mhz", heading="clock, MHz"),
        *(_share(f"bound_{name}", f"bound by {name}") for name in bounds),
        _share("utilisation", "utilisation"),
        AREA,
        *_in_use(use),
        *((_bits("state", "kept between hops"), WAIT_FRAMES) if streams else ()),
    )
    rows: list[tuple[Cell, ...]] = []
    for each, cost in zip(priced, costs, strict=True):
        counts, cycles = cost.columns(), cost.latency_cycles
        high_us = cycles_to_us(cost.latency_high_cycles, cost.accelerator.clock_mhz)
        hop = each.stream
        rows.append(
            (
                each.named(),
                machine_of(cost),
                *(int(counts[name]) for name in COUNTS),
                cost.energy.scaled(1e-6),
                *(_part(cost, part) for part in parts),
                cost.latency_us * 1e-3,
                high_us * 1e-3,
                cycles,
                float(cost.accelerator.clock_mhz),
                *(100 * cost.bounds_cycles.get(name, 0) / (cycles or 1) for name in bounds),
                100 * cost.utilisation,
                cost.area.scaled(1e-6),
                *_used(cost, use),
                *((hop.state_bits, hop.wait_frames) if hop else (None, None) if streams else ()),
            )
        )
    return Table(name="totals", title="Costs", columns=columns, rows=tuple(rows), note=BAND_NOTE)


MAPPING = Column(name="mapping", heading="mapping: unrolled; loops, innermost first", form="text")
WAIT_FRAMES = Column(name="wait_frames", heading="waits for frames", form="count")


def _count(name: str) -> Column:
    label = LABELS[name][0]
    if name.endswith("_bits"):
        return _bits(name.removesuffix("_bits"), label)
    return Column(name=name, heading=label, form="count")


def _bits(name: str, heading: str) -> Column:
    return Column(name=name, heading=heading, unit="bit", form="count")


def _share(name: str, heading: str) -> Column:
    return Column(name=name, heading=heading, unit="%", form="percent")


def _in_use(use: Use) -> tuple[Column, ...]:
    """What a cost means in a product: columns."""
    off = ", off between" if use.duty_cycled else ""
    rate = f"{use.inferences_per_second:g}"
    return (
        Column(name="highest_rate", heading="inferences a second, at most"),
        Column(name="power", heading=f"power at {rate} a second{off}", unit="uW", band=True),
        _share("busy", "busy"),
        Column(name="battery", heading=f"{use.battery_mwh:g} mWh last", unit="days", band=True),
        Column(name="listening", heading="a second of sound, in real time", unit="uJ", band=True),
    )


def _used(cost: Cost, use: Use) -> tuple[Cell, ...]:
    """What a cost means in a product: cells."""
    most = inferences_per_second(cost.latency_us)
    try:
        figures = application(cost, use)
    except InvalidInput:
        return (most, TOO_SLOW, None, None, None)
    power, days = figures["average_power_uw"], figures["battery_days"]
    listening = figures.get("energy_per_audio_second_uj", TOO_SLOW)
    assert isinstance(power, Band) and isinstance(days, Band)
    assert isinstance(listening, Band | str)
    return (most, power, 100 * float(figures["busy_share"]), days, listening)  # type: ignore[arg-type]


def machine_of(cost: Cost) -> str:
    """The machine, and the technology where it is not the machine's own."""
    if cost.technology.name == cost.accelerator.technology:
        return cost.accelerator.name
    return f"{cost.accelerator.name}, {cost.technology.name}"


def _power(use: Use) -> Column:
    return Column(
        name="average_power",
        heading=f"average power at {use.inferences_per_second:g} a second",
        unit="uW",
        band=True,
    )


def components_table(priced: Sequence[Priced], name: str = "components") -> Table:
    """Energy by component, a row a design."""
    used = [part for part in Component if any(each.cost.energies_pj[part] for each in priced)]
    columns = [DESIGN, MACHINE]
    columns += [_component(part) for part in used]
    columns.append(Column(name="energy", heading="all", unit="uJ"))
    rows: list[tuple[Cell, ...]] = [
        (
            each.named(),
            machine_of(each.cost),
            *(_part(each.cost, part) for part in used),
            each.cost.energy_pj * 1e-6,
        )
        for each in priced
    ]
    return Table(
        name=name,
        title="Energy by component (middle figures)",
        columns=tuple(columns),
        rows=tuple(rows),
    )


def _component(part: Component, of: str = "") -> Column:
    heading = f"{of}{COMPONENT_WORDS[part]}"
    return Column(name=str(part), heading=heading, unit="uJ", part=True)


def _part(cost: Cost, part: Component) -> Part:
    return Part(cost.energies_pj[part] * 1e-6, cost.energy_pj * 1e-6)


def components_plot(priced: Sequence[Priced], name: str = "components") -> Bars:
    """Energy by component, a bar a design."""
    used = [part for part in Component if any(each.cost.energies_pj[part] for each in priced)]
    several = not _one_machine(priced)
    return Bars(
        name=name,
        title="Energy per inference by component",
        x_title="energy per inference (uJ)",
        parts=tuple((COMPONENT_WORDS[part], COMPONENTS[part]) for part in used),
        bars=tuple(
            (
                f"{each.named()}, {machine_of(each.cost)}" if several else each.named(),
                tuple(each.cost.energies_pj[part] * 1e-6 for part in used),
            )
            for each in priced
        ),
    )


def _one_machine(priced: Sequence[Priced]) -> bool:
    return len({machine_of(each.cost) for each in priced}) == 1


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
    """What a design is, then what it costs."""
    cost = each.cost
    panel = break_even(cost)
    tables = [layers_table(cost, f"layers_{number}"), area_table(cost, f"area_{number}")]
    if panel is not None:
        tables.append(generator_table(panel, f"generator_{number}"))
    tables.append(_power_table(cost, number, use))
    why = f"{each.why}; " if each.why else ""
    place = f"{each.named()} on {machine_of(cost)}"
    return [
        Section(
            name=f"design-{number}",
            title=place,
            sentences=(
                f"Shown as: {why}key {each.point.key}. It has {network_words(each.point)}. "
                f"{where_it_goes(cost)}",
                *(f"Does not fit: {misfit}. It is priced as if it did." for misfit in cost.misfits),
                *generator_sentences(cost, panel),
            ),
            tables=(blocks_table(each.point, number),),
            level=3,
        ),
        Section(
            name=f"design-{number}-costs",
            title=f"{place}: layers, area and power",
            plots=(_layers_plot(cost, number),),
            tables=tuple(tables),
            level=3,
        ),
    ]


def where_it_goes(cost: Cost) -> str:
    """What dominates energy and cycles."""
    part, pj = max(cost.energies_pj.items(), key=lambda item: item[1])
    layer = max(cost.layers, key=lambda layer: layer.energy_pj)
    text = (
        f"Most of the energy goes to {COMPONENT_WORDS[part]} ({pj / cost.energy_pj:.0%}); the "
        f"dearest layer is {layer.layer.name} ({layer.energy_pj / cost.energy_pj:.0%})."
    )
    if cost.bounds_cycles:
        bound, cycles = next(iter(cost.bounds_cycles.items()))
        text += (
            f" {cycles / cost.latency_cycles:.0%} of the cycles are bound by {bound}; the arrays "
            f"are used at {cost.utilisation:.0%}."
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
        for spec in specs
    )
    saved = ""
    if panel.generated_pj and panel.stored_pj:
        ratio = max(panel.stored_pj / panel.generated_pj, panel.generated_pj / panel.stored_pj)
        saved = f", a factor of {significant(ratio, 2)} in favour of the {_wins(panel.cheaper)}"
    return (
        f"Generator: {made}; {cost.accelerator.generator.trits_per_cycle} trits a cycle.",
        f"Generate or store: making the trits takes {significant(panel.generated_pj * 1e-3)} nJ "
        f"per inference, reading them from an SRAM of {panel.memory_bits:,} bits "
        f"{significant(panel.stored_pj * 1e-3)} nJ{saved}. The generator takes "
        f"{panel.generator_um2:,.0f} um2, that SRAM {panel.memory_um2:,.0f} um2: the "
        f"{_wins(panel.smaller)} is smaller.",
    )


def _wins(which: str) -> str:
    return "generator" if which == "generate" else "memory"


def layers_table(cost: Cost, name: str = "layers", *, mapping: bool = False) -> Table:
    """Counts, energy and cycles, a row a layer; how each is mapped where that is asked for."""
    columns = (
        LAYER,
        Column(name="kind", heading="kind", form="text", aside=True),
        dataclasses.replace(TRAINED, heading="parameters"),
        dataclasses.replace(GENERATED, heading="generated"),
        MACS,
        ADDITIONS,
        Column(name="energy", heading="energy", unit="nJ", band=True),
        Column(name="share", heading="share", unit="%", form="percent"),
        Column(name="cycles", heading="cycles", form="count"),
        Column(name="waits", heading="waits", form="count"),
        Column(name="utilisation", heading="used", unit="%", form="percent"),
        Column(name="bound", heading="bound by", form="text"),
        *((MAPPING,) if mapping else ()),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            layer.layer.name,
            str(layer.layer.kind).replace("_", " "),
            layer.layer.trained_parameters,
            layer.generated_weights,
            layer.layer.macs,
            layer.layer.additions,
            layer.energy.scaled(1e-3),
            100 * layer.energy_pj / cost.energy_pj,
            layer.latency_cycles,
            layer.stall_cycles if layer.layer.kind in CONVOLUTIONS else None,
            100 * layer.utilisation if layer.layer.kind in CONVOLUTIONS else None,
            layer.bound if layer.latency_cycles else None,
            *((str(layer.mapping) if layer.mapping else None,) if mapping else ()),
        )
        for layer in cost.layers
    ]
    rows.append(
        (
            "all",
            None,
            cost.workload.trained_parameters,
            cost.total(lambda layer: layer.generated_weights),
            cost.workload.macs,
            cost.workload.additions,
            cost.energy.scaled(1e-3),
            100.0,
            cost.latency_cycles,
            None,
            100 * cost.utilisation,
            None,
            *((None,) if mapping else ()),
        )
    )
    return Table(
        name=name,
        title="Layers, in order of execution",
        columns=columns,
        rows=tuple(rows),
        note="A layer that runs beside the one before it adds no cycles; waits are "
        "cycles beyond those of computing. " + BAND_NOTE,
    )


def _layers_plot(cost: Cost, number: int) -> Bars:
    used = [part for part in Component if cost.energies_pj[part]]
    return Bars(
        name=f"layers_{number}",
        title="Energy of each layer by component",
        x_title="energy (nJ)",
        parts=tuple((COMPONENT_WORDS[part], COMPONENTS[part]) for part in used),
        bars=tuple(
            (
                layer.layer.name,
                tuple(layer.energies_pj.get(part, 0.0) * 1e-3 for part in used),
            )
            for layer in cost.layers
            if layer.energy_pj > 0.002 * cost.energy_pj  # others would be invisible
        ),
    )


def area_table(cost: Cost, name: str = "area") -> Table:
    """Area and leakage, a row a part of the machine, the largest first."""
    columns = (
        Column(name="part", heading="part", form="text"),
        Column(name="area", heading="area", unit="um2", form="count", band=True),
        Column(name="share", heading="share", unit="%", form="percent"),
        Column(name="leakage", heading="leakage", unit="uW", band=True),
    )
    rows: list[tuple[Cell, ...]] = [
        (part, area, 100 * area.mid / cost.area.mid, cost.leakages_uw.get(part))
        for part, area in sorted(cost.areas_um2.items(), key=lambda item: -item[1].mid)
    ]
    rows += [
        (f"all {part}", None, None, leakage)
        for part, leakage in cost.leakages_uw.items()
        if part not in cost.areas_um2
    ]
    rows.append(("all", cost.area, 100.0, cost.leakage))
    return Table(
        name=name,
        title="Area and leakage of the machine",
        columns=columns,
        rows=tuple(rows),
        note="Leakage of arrays, generator and control is one figure: that of all logic.",
    )


def generator_table(panel: BreakEvenTotal, name: str = "generator") -> Table:
    """What generating costs and storing would cost, a row a ternary layer."""
    columns = (
        LAYER,
        Column(name="family", heading="generator", form="text"),
        Column(name="trits_per_cycle", heading="trits a cycle", form="count"),
        Column(name="trits", heading="trits made", form="count"),
        Column(name="regenerations", heading="times each", form="figure"),
        Column(name="reuse", heading="positions a trit", form="figure"),
        Column(name="generated", heading="generate", unit="nJ"),
        Column(name="stored", heading="store", unit="nJ"),
        Column(name="break_even", heading="break-even SRAM", form="text"),
        Column(name="cheaper", heading="cheaper", form="text"),
    )
    rows = tuple(
        (
            row.layer,
            str(row.generator.family),
            row.trits_per_cycle,
            row.trits,
            row.regenerations,
            row.reuse,
            row.generated_pj * 1e-3,
            row.stored_pj * 1e-3,
            "beyond the table"
            if row.break_even_bits is None
            else with_prefix(row.break_even_bits, "bit"),
            row.cheaper,
        )
        for row in panel.layers
    )
    return Table(
        name=name,
        title="Generate or store, layer by layer",
        columns=columns,
        rows=rows,
        note=f"All ternary entries together, two bits each, are {panel.stored_bits:,} bits. The "
        "break-even is the smallest SRAM whose read costs more than generating.",
    )


def _power_table(cost: Cost, number: int, use: Use) -> Table:
    columns = (
        Column(name="rate", heading="inferences a second", form="figure"),
        Column(name="power", heading="average power", unit="uW", band=True),
        Column(name="leakage", heading="of it leakage", unit="uW", band=True),
        Column(name="battery", heading=f"{use.battery_mwh:g} mWh last", unit="days", band=True),
        Column(name="busy", heading="busy", unit="%", form="percent"),
    )
    highest = highest_rate(cost)
    rates = sorted({use.inferences_per_second, 1.0, 10.0, highest})
    rows: list[tuple[Cell, ...]] = []
    for rate in rates:
        power = power_at(cost, rate)
        rows.append(
            (
                rate,
                power,
                None if power is None else cost.leakage,
                battery_at(power, use.battery_mwh),
                None if power is None else 100 * rate / highest,
            )
        )
    return Table(
        name=f"power_{number}",
        title="Average power",
        columns=columns,
        rows=tuple(rows),
        note=f"Always powered; the stated rate is {use.inferences_per_second:g} a second, the last "
        "row is as fast as the machine goes. Rows without power are too fast for it. Microphone, "
        "regulator and features are not part of it.",
    )


def accesses_table(cost: Cost) -> Table:
    """What moves where: a row a memory, or the registers of an array, and operand."""
    columns = (
        Column(name="place", heading="memory, operand", form="text"),
        Column(name="read", heading="bits read", form="count"),
        Column(name="written", heading="bits written", form="count"),
        Column(name="energy", heading="energy", unit="nJ", part=True),
        Column(name="busy", heading="busy, cycles", form="count"),
    )
    moved: dict[tuple[str, str], dict[str, float]] = {}
    for entry, count, price in zip(
        cost.prices.entries, cost.counts, cost.prices.prices_pj[:, 1], strict=True
    ):
        if entry.action in ("read", "write") and count:
            row = moved.setdefault((entry.part, entry.operand), {"read": 0, "write": 0, "pj": 0})
            row[entry.action] += float(count)
            row["pj"] += float(count * price)
    registers = {array.name for array in cost.accelerator.arrays}
    rows: list[tuple[Cell, ...]] = [
        (
            f"{'registers of ' if part in registers else ''}{part}, {operand}",
            int(row["read"]),
            int(row["write"]),
            Part(row["pj"] * 1e-3, cost.energy_pj * 1e-3),
            None
            if part in registers
            else sum(layer.busy_cycles.get(part, 0) for layer in cost.layers),
        )
        for (part, operand), row in moved.items()
    ]
    return Table(name="accesses", title="What moves where", columns=columns, rows=tuple(rows))


def roofline_table(cost: Cost) -> Table:
    """What each convolution could reach, by which roof, and what it does reach."""
    memories = [memory.name for memory in cost.accelerator.memories]
    columns = (
        LAYER,
        Column(name="reached", heading="reached"),
        Column(name="attainable", heading="attainable"),
        Column(name="peak", heading="peak", form="count"),
        Column(name="limit", heading="lowest roof", form="text"),
        *(Column(name=f"per_bit_{name}", heading=f"a bit, {name}") for name in memories),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            roof.layer,
            roof.reached,
            roof.attainable,
            roof.peak,
            roof.limit,
            *(roof.intensity.get(name) for name in memories),
        )
        for roof in roofline(cost)
    ]
    title = f"Operations a cycle on {cost.accelerator.name}"
    return Table(name="roofline", title=title, columns=columns, rows=tuple(rows))


def loads_table(cost: Cost) -> Table:
    """How unevenly the non-zero entries lie in the ternary matrices that are known."""
    columns = (
        LAYER,
        Column(name="rows", heading="rows", form="text"),
        Column(name="nonzeros", heading="non-zeros", form="count"),
        Column(name="a_row", heading="a row", form="text"),
        Column(name="tile", heading="tile", form="text"),
        Column(name="dense", heading="dense", form="count"),
        Column(name="skipped", heading="skipped", form="count"),
        Column(name="filled", heading="filled", form="count"),
        Column(name="imbalance", heading="imbalance", unit="times"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            load.layer,
            f"{load.rows:,} x {load.entries_per_row:,}",
            load.nonzeros,
            f"{load.fewest:,} to {load.most:,}",
            f"{load.rows_together:,} x {load.entries_together:,}",
            load.dense_steps,
            load.skipping_steps,
            load.filled_steps,
            load.imbalance,
        )
        for load in row_loads(cost)
    ]
    return Table(
        name="loads",
        title="Non-zero entries, counted on the matrices",
        columns=columns,
        rows=tuple(rows),
        note="Steps through a matrix if zeros take a step, if they are skipped (a tile of rows "
        "waits for its fullest), and if they filled every step.",
    )
