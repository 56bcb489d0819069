"""Tables of what designs cost, whatever they come from.

All are made of `Priced`: a design with its whole `Cost` on one machine. Costs come in pJ, us, µm²
and µW; columns are in µJ (nJ for a layer), ms, mm² (µm² for a part) and µW, and the factor stands
where the cell is made.

Two kinds of energy must not be confused. `cost.energy` is that of one inference with the leakage of
its own duration. Average power counts leakage all the time, so it is

    power = dynamic energy * rate + leakage

and not energy * rate (`cost_models.application`).
"""

import dataclasses
from collections.abc import Callable, Sequence

from cost_models import Band, Component, Cost
from cost_models.application import Use, battery_days, inferences_per_second
from cost_models.break_even import BreakEven, BreakEvenTotal, Way
from cost_models.roofline import Roof, roofline
from cost_models.row_loads import RowLoad, row_loads
from cost_models.units import bits_to_kib, cycles_to_us
from cost_models.workload import CONVOLUTIONS
from dse.columns import COST_COLUMNS, LABELS, significant
from dse.errors import InvalidInput
from dse.pricing.application import application, left_out, power_at
from dse.pricing.comparable import own_constants, technology_words
from dse.pricing.priced import Priced
from dse.report.content import Cell, Column, Part, Table, make_table

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
    Component.NONVOLATILE: "memory without supply",
    Component.DRAM: "DRAM",
    Component.GENERATOR: "generator",
    Component.WIRES: "wires",
    Component.CLOCK: "clock",
    Component.CONTROL: "control",
    Component.LEAKAGE: "leakage",
}
"""How components are called."""

DESIGN = Column(name="design", heading="design", form="text")
LAYER = Column(name="layer", heading="layer", form="text")
MACHINE = Column(name="machine", heading="machine", form="text")
ERROR = Column(name="error", heading="error", unit="%", form="percent", band=True)
QUANTISED = Column(name="quantised_error", heading="in whole numbers", unit="%", form="percent")
TRAINED = Column(name="trained_parameters", heading="trained parameters", form="count")
GENERATED = Column(name="generated_weights", heading="generated weights", form="count")
MACS = Column(name="macs", heading="MACs", form="count")
ADDITIONS = Column(name="additions", heading="additions", form="count")
STORED = Column(name="stored", heading="stored", unit="KiB")
ENERGY = Column(name="energy", heading="energy", unit="µJ", band=True)
LATENCY = Column(name="latency", heading="latency", unit="ms")
AREA = Column(name="area", heading="area", unit="mm²", band=True)
KEY = Column(name="design_key", heading="key", form="text")

NANOJOULES = Column(name="energy", heading="energy", unit="nJ", band=True)

BAND_NOTE = (
    "Figures in brackets are the lowest and the highest that the sources of the constants allow."
)


MAPPING = Column(name="mapping", heading="mapping: unrolled; loops, innermost first", form="text")

PricedCell = tuple[Column, Callable[[Priced], Cell]]
"""A column of tables of designs, and what its cells are made of."""

LEFT_OUT = Column(name="left_out", heading="not in power and battery", form="text")


def name_cells(priced: Sequence[Priced]) -> tuple[PricedCell, ...]:
    """Design and machine of each row, and what speaks against the row's figures.

    A caveat belongs beside the figures that it concerns, in every format: that the design does not
    fit the machine, and the technology where rows are of several, which do not compare.
    """
    several = len({each.cost.technology.name for each in priced}) > 1
    return (
        (DESIGN, lambda each: each.named()),
        (MACHINE, lambda each: place_words(each, several=several)),
    )


def place_words(each: Priced, *, several: bool = False) -> str:
    """`kws_int8`, `kws_int8, low_leakage_22nm`, `kws_int8, does not fit`.

    Args:
        each: a design on a machine.
        several: whether rows beside it are of other technologies: then each names its own.
    """
    words = say_machine(each.cost, several=several)
    return f"{words}, does not fit" if each.misfits else words


def caveat_note(priced: Sequence[Priced]) -> str:
    """What speaks against the figures of a table, as sentences, and how to read its bands."""
    misfits = dict.fromkeys(misfit for each in priced for misfit in each.misfits)
    notes = [f"Does not fit, and is priced as if it did: {misfit}." for misfit in misfits]
    words = technology_words(each.cost.technology for each in priced)
    notes += [f"{words}."] if words else []
    return " ".join([*notes, BAND_NOTE])


def _left_out_cells(priced: Sequence[Priced]) -> list[PricedCell]:
    """Beside powers and battery lives: what they lack, where they lack anything."""
    cell: PricedCell = (LEFT_OUT, lambda each: left_out(each.cost) or None)
    return [cell] if any(left_out(each.cost) for each in priced) else []


ENERGIES: PricedCell = (ENERGY, lambda each: each.cost.energy.scaled(1e-6))
LATENCIES: PricedCell = (LATENCY, lambda each: each.cost.latency_us * 1e-3)
AREAS: PricedCell = (AREA, lambda each: each.cost.area.scaled(1e-6))


def machines_table(priced: Sequence[Priced], use: Use, name: str, title: str) -> Table:
    """Designs on machines, a row each: counts, energy, latency, area and power with bands.

    Args:
        priced: rows, in this order.
        use: the rate of the column of power, which is always powered here; empty where the machine
            cannot keep that rate.
        name: of the table's file and sheet.
        title: above it.
    """
    rate = use.inferences_per_second
    heading = f"average power at {rate:g} a second"
    cells: tuple[PricedCell, ...] = (
        *name_cells(priced),
        (TRAINED, lambda each: each.cost.workload.trained_parameters),
        (MACS, lambda each: each.cost.workload.macs),
        (STORED, lambda each: bits_to_kib(each.cost.stored_bits)),
        ENERGIES,
        LATENCIES,
        AREAS,
        (
            Column(name="average_power", heading=heading, unit="µW", band=True),
            lambda each: power_at(each.cost, rate),
        ),
        *_left_out_cells(priced),
        (_words("fits"), lambda each: "no" if each.misfits else "yes"),
    )
    return make_table(priced, cells, name=name, title=title, note=caveat_note(priced))


def totals_table(priced: Sequence[Priced], use: Use) -> Table:
    """All that is known of whole networks on machines, a row each: dozens of columns.

    For tables that stand on their side (a terminal) and for files. Components that spend nothing in
    any row are left out. "Bound by X" is the share of the cycles that belongs to layers which X, an
    array or a memory say, bounds; these shares add up to all cycles.
    """
    bounds = dict.fromkeys(name for each in priced for name in each.cost.bounds_cycles)
    cells: list[PricedCell] = [
        *name_cells(priced),
        *_measured(priced),
        *(_counted(name) for name in COUNTS),
        ENERGIES,
        *(_component(part, "of it ") for part in used_components(priced)),
        LATENCIES,
        (
            Column(name="latency_high", heading="if nothing overlaps", unit="ms"),
            lambda each: _high_us(each.cost) * 1e-3,
        ),
        (_count("cycles"), lambda each: each.cost.latency_cycles),
        (
            Column(name="clock_mhz", heading="clock, MHz"),
            lambda each: float(each.cost.accelerator.clock_mhz),
        ),
        *(_bound(name) for name in bounds),
        (_percent("utilisation"), lambda each: 100 * each.cost.utilisation),
        AREAS,
        (
            Column(name="leakage", heading="leakage", unit="µW", band=True),
            lambda each: each.cost.leakage,
        ),
        *_in_use(use),
        *_left_out_cells(priced),
    ]
    if any(each.stream for each in priced):
        cells += [
            (
                Column(name="state", heading="kept between hops", unit="KiB"),
                lambda each: bits_to_kib(each.stream.state_bits) if each.stream else None,
            ),
            (
                _count("wait_frames", "waits for frames"),
                lambda each: each.stream.wait_frames if each.stream else None,
            ),
        ]
    return make_table(priced, cells, name="totals", title="Costs", note=caveat_note(priced))


def _measured(priced: Sequence[Priced]) -> list[PricedCell]:
    """What trainings told, where there were any."""
    cells: list[PricedCell] = [
        (ERROR, lambda each: each.error),
        (QUANTISED, lambda each: each.quantised_error),
    ]
    return [each for each in cells if any(each[1](one) is not None for one in priced)]


def _words(name: str, heading: str = "") -> Column:
    return Column(name=name, heading=heading or name, form="text")


def _count(name: str, heading: str = "") -> Column:
    return Column(name=name, heading=heading or name, form="count")


def _percent(name: str, heading: str = "") -> Column:
    return Column(name=name, heading=heading or name, unit="%", form="percent")


def _counted(name: str) -> PricedCell:
    """A column of the results table that is counted, not estimated; bits in KiB, as everywhere."""
    heading = LABELS[name][0]
    if name.endswith("_bits"):
        column = Column(name=name.removesuffix("_bits"), heading=heading, unit="KiB")
        return column, lambda each: bits_to_kib(each.cost.columns()[name])
    return _count(name, heading), lambda each: int(each.cost.columns()[name])


def _component(part: Component, of: str = "") -> PricedCell:
    column = Column(name=str(part), heading=f"{of}{COMPONENT_WORDS[part]}", unit="µJ", part=True)
    return column, lambda each: Part(each.cost.energies_pj[part] * 1e-6, each.cost.energy_pj * 1e-6)


def used_components(priced: Sequence[Priced]) -> list[Component]:
    """Components that spend energy in any of the designs."""
    return [part for part in Component if any(each.cost.energies_pj[part] for each in priced)]


def _high_us(cost: Cost) -> float:
    return cycles_to_us(cost.latency_high_cycles, cost.accelerator.clock_mhz)


def _bound(name: str) -> PricedCell:
    def share(each: Priced) -> float:
        return 100 * each.cost.bounds_cycles.get(name, 0) / (each.cost.latency_cycles or 1)

    return _percent(f"bound_{name}", f"bound by {name}"), share


ASLEEP_WORDS = {
    "on": "",
    "retention": ", asleep between (retention)",
    "gated": ", asleep between (gated)",
    "cut": ", off between",
}


def _in_use(use: Use) -> tuple[PricedCell, ...]:
    """What a cost means in a product; a machine that is too slow has no power at that rate.

    "Too slow" is told once, in the column of power; the other columns are empty then.
    """
    off = ASLEEP_WORDS[use.sleep]
    power = f"power at {use.inferences_per_second:g} a second{off}"
    days = f"{use.battery_mwh:g} mWh last"
    listening = "a second of sound, in real time"

    def figure(name: str, otherwise: str | None, factor: float = 1.0) -> Callable[[Priced], Cell]:
        def cell(each: Priced) -> Cell:
            try:
                streams = each.stream is not None
                value = application(each.cost, use, streams=streams).get(name, TOO_SLOW)
            except InvalidInput:
                return otherwise
            return value if isinstance(value, str | Band) else factor * value

        return cell

    return (
        (
            Column(name="highest_rate", heading="inferences a second, at most"),
            lambda each: inferences_per_second(each.cost.latency_us),
        ),
        (
            Column(name="power", heading=power, unit="µW", band=True),
            figure("average_power_uw", TOO_SLOW),
        ),
        (_percent("busy"), figure("busy_share", None, 100)),
        (
            Column(name="battery", heading=days, unit="days", band=True),
            figure("battery_days", None),
        ),
        (
            Column(name="listening", heading=listening, unit="µJ", band=True),
            figure("energy_per_audio_second_uj", None),
        ),
    )


def say_machine(cost: Cost, *, several: bool = False) -> str:
    """The machine; the technology where it is not the machine's own; whether it has constants.

    Args:
        cost: on the machine.
        several: whether other technologies stand beside it: then it is named in any case.
    """
    words = [cost.accelerator.name]
    if several or cost.technology.name != cost.accelerator.technology:
        words.append(cost.technology.name)
    if own_constants(cost.accelerator):
        words.append("own constants")
    return ", ".join(words)


def components_table(priced: Sequence[Priced], name: str = "components") -> Table:
    """Energy by component in µJ with its share of the whole, a row a design; mid figures."""
    cells: tuple[PricedCell, ...] = (
        *name_cells(priced),
        *(_component(part) for part in used_components(priced)),
        (
            Column(name="energy", heading="all", unit="µJ"),
            lambda each: each.cost.energy_pj * 1e-6,
        ),
    )
    note = caveat_note(priced).removesuffix(BAND_NOTE).strip()
    title = "Energy by component (middle figures)"
    return make_table(priced, cells, name=name, title=title, note=note)


def layers_table(cost: Cost, name: str = "layers", *, mapping: bool = False) -> Table:
    """Counts, energy and cycles, a row a layer; how each is mapped where that is asked for."""
    columns = (
        LAYER,
        Column(name="kind", heading="kind", form="text", aside=True),
        dataclasses.replace(TRAINED, heading="parameters"),
        dataclasses.replace(GENERATED, heading="generated"),
        MACS,
        ADDITIONS,
        NANOJOULES,
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


def area_table(cost: Cost, name: str = "area") -> Table:
    """Area and leakage, a row a part of the machine, the largest first.

    Of the machine, not of the network: a design that leaves half of an SRAM empty pays for all of
    it. Rows without an area are leakage of several parts together.
    """
    columns = (
        Column(name="part", heading="part", form="text"),
        Column(name="area", heading="area", unit="µm²", form="count", band=True),
        Column(name="share", heading="share", unit="%", form="percent"),
        Column(name="leakage", heading="leakage", unit="µW", band=True),
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
    """What generating costs and storing would cost, a row a ternary layer.

    "Times each" is how often an entry is made anew in one inference: a mapping whose outer loops
    run over time asks for the same matrix again and again, and both ways pay for each. "Positions a
    trit" is the other side of it: the operations that a trit serves before it is made again.
    """
    cells: tuple[tuple[Column, Callable[[BreakEven], Cell]], ...] = (
        (LAYER, lambda row: row.layer),
        (_words("family", "generator"), lambda row: str(row.generator.family)),
        (_count("trits_per_cycle", "trits a cycle"), lambda row: row.trits_per_cycle),
        (_count("trits", "trits made"), lambda row: row.trits),
        (Column(name="regenerations", heading="times each"), lambda row: row.regenerations),
        (Column(name="reuse", heading="positions a trit"), lambda row: row.reuse),
        (
            Column(name="generated", heading="generate", unit="nJ"),
            lambda row: row.generated_pj * 1e-3,
        ),
        (Column(name="stored", heading="store", unit="nJ"), lambda row: row.stored_pj * 1e-3),
        (
            _words("break_even", "break-even SRAM"),
            lambda row: (
                "beyond the table"
                if row.break_even_bits is None
                else f"{significant(bits_to_kib(row.break_even_bits))} KiB"
            ),
        ),
        (_words("cheaper"), lambda row: row.cheaper),
    )
    return make_table(
        panel.layers,
        cells,
        name=name,
        title="Generate or store, layer by layer",
        note=f"All ternary entries together, two bits each, are {panel.stored_bits:,} bits. The "
        "break-even is the smallest SRAM whose read costs more than generating.",
    )


def ways_table(panel: BreakEvenTotal, name: str = "ways") -> Table:
    """The generator against each memory that could hold the trits instead, a row each."""
    cells: tuple[tuple[Column, Callable[[Way], Cell]], ...] = (
        (_words("way", "trits from"), lambda way: way.words),
        (_count("memory_bits", "bits"), lambda way: way.memory_bits or None),
        (
            Column(name="energy", heading="energy", unit="nJ", band=True),
            lambda way: None if way.why_not else way.energy.scaled(1e-3),
        ),
        (
            Column(name="area", heading="area", unit="µm²", form="count", band=True),
            lambda way: None if way.why_not else way.area,
        ),
        (
            Column(name="leakage", heading="leakage", unit="µW", band=True),
            lambda way: None if way.why_not else way.leakage,
        ),
        (_words("why_not", "not made"), lambda way: way.why_not),
    )
    return make_table(
        panel.ways,
        cells,
        name=name,
        title="The same trits from a memory of their own",
        note="Energy of an inference; leakage while the supply is on. A memory is the smallest "
        "macro that is made and holds all trits. What needs no supply to keep them may be switched "
        "off between inferences; a mask ROM cannot hold another network, a generator can.",
    )


def power_table(cost: Cost, use: Use, name: str = "power") -> Table:
    """Average power and battery life, a row a rate; empty where the machine is too slow for it."""
    highest = inferences_per_second(cost.latency_us)
    days = f"{use.battery_mwh:g} mWh last"
    cells: tuple[tuple[Column, Callable[[float], Cell]], ...] = (
        (Column(name="rate", heading="inferences a second"), lambda rate: rate),
        (
            Column(name="power", heading="average power", unit="µW", band=True),
            lambda rate: power_at(cost, rate),
        ),
        (
            Column(name="leakage", heading="of it leakage", unit="µW", band=True),
            lambda rate: cost.leakage if power_at(cost, rate) else None,
        ),
        (
            Column(name="battery", heading=days, unit="days", band=True),
            lambda rate: (
                battery_days(power, use.battery_mwh) if (power := power_at(cost, rate)) else None
            ),
        ),
        (
            _percent("busy"),
            lambda rate: 100 * rate / highest if power_at(cost, rate) else None,
        ),
        (
            Column(name="retention", heading="asleep in retention", unit="µW", band=True),
            lambda rate: power_at(cost, rate, "retention"),
        ),
        (
            Column(name="gated", heading="asleep, gated", unit="µW", band=True),
            lambda rate: power_at(cost, rate, "gated"),
        ),
    )
    return make_table(
        sorted({use.inferences_per_second, 1.0, 10.0, highest}),
        cells,
        name=name,
        title="Average power",
        note="Always powered, but for the last two columns: asleep between inferences, logic "
        "behind power switches, SRAMs that keep weights in retention or behind switches, too; "
        "empty where weights would be lost. The stated rate is "
        f"{use.inferences_per_second:g} a second, the last row is as fast as the machine goes. "
        "Rows without power are too fast for it. Microphone, regulator and features are not part "
        f"of it{f', nor is {without}' if (without := left_out(cost)) else ''}.",
    )


def accesses_table(cost: Cost) -> Table:
    """What moves where: a row a memory, or the registers of an array, and operand.

    Bits are counts of the whole inference; energy is mid figures, with its share of all energy.
    "Busy" is of the memory as a whole and therefore the same in the rows of all its operands: it
    must not be added up.
    """
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
    """What each convolution could reach, by which roof, and what it does reach.

    All in operations a cycle: a multiply-accumulate, or a ternary position. "A bit, SRAM" is the
    arithmetic intensity against that memory: operations for each bit that crosses its ports. A
    layer far below its lowest roof loses its cycles to something else: edges of the array, say.
    """
    cells: list[tuple[Column, Callable[[Roof], Cell]]] = [
        (LAYER, lambda roof: roof.layer),
        (Column(name="reached", heading="reached"), lambda roof: roof.reached),
        (Column(name="attainable", heading="attainable"), lambda roof: roof.attainable),
        (_count("peak"), lambda roof: roof.peak),
        (_words("limit", "lowest roof"), lambda roof: roof.limit),
        *(_intensity(memory.name) for memory in cost.accelerator.memories),
    ]
    title = f"Operations a cycle on {cost.accelerator.name}"
    return make_table(roofline(cost), cells, name="roofline", title=title)


def _intensity(memory: str) -> tuple[Column, Callable[[Roof], Cell]]:
    column = Column(name=f"per_bit_{memory}", heading=f"a bit, {memory}")
    return column, lambda roof: roof.intensity.get(memory)


def loads_table(cost: Cost) -> Table:
    """How unevenly the non-zero entries lie in the ternary matrices that are known."""
    cells: tuple[tuple[Column, Callable[[RowLoad], Cell]], ...] = (
        (LAYER, lambda load: load.layer),
        (_words("rows"), lambda load: f"{load.rows:,} x {load.entries_per_row:,}"),
        (_count("nonzeros", "non-zeros"), lambda load: load.nonzeros),
        (_words("a_row", "a row"), lambda load: f"{load.fewest:,} to {load.most:,}"),
        (_words("tile"), lambda load: f"{load.rows_together:,} x {load.entries_together:,}"),
        (_count("dense"), lambda load: load.dense_steps),
        (_count("skipped"), lambda load: load.skipping_steps),
        (_count("filled"), lambda load: load.filled_steps),
        (
            Column(name="imbalance", heading="imbalance", unit="times"),
            lambda load: load.imbalance,
        ),
    )
    return make_table(
        row_loads(cost),
        cells,
        name="loads",
        title="Non-zero entries, counted on the matrices",
        note="Steps through a matrix if zeros take a step, if they are skipped (a tile of rows "
        "waits for its fullest), and if they filled every step.",
    )
