"""What `dse estimate` prints: totals side by side, layers, area, generate or store."""

from collections.abc import Callable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cost_models import Band, Cost
from cost_models.application import (
    Use,
    average_power_uw,
    battery_days,
    busy_share,
    energy_per_second_of_audio_uj,
    inferences_per_second,
)
from cost_models.break_even import BreakEvenTotal, break_even
from cost_models.residency import weights_stay
from cost_models.roofline import roofline
from cost_models.row_loads import RowLoad, row_loads
from cost_models.units import bits_to_kib, cycles_to_us, pj_to_uj, with_prefix
from cost_models.workload import CONVOLUTIONS
from dse.errors import InvalidInput
from dse.pricing.priced import Priced

MIN_WIDTH = 118  # columns
MAX_WIDTH = 10_000

COUNTS = {
    "trained_parameters": "trained parameters",
    "stored_bits": "stored bits",
    "activation_bits": "activations alive, bits",
    "generated_weights": "generated weights",
    "trits": "trits made",
    "macs": "MACs",
    "multiplications": "multiplications",
    "additions": "additions",
    "dense_additions": "additions, zeros too",
    "weight_traffic_bits": "weight traffic, bits",
    "activation_traffic_bits": "activation traffic, bits",
    "dram_traffic_bits": "DRAM traffic, bits",
}


def application(cost: Cost, use: Use) -> dict[str, Band | float | bool]:
    """What a cost means in a product, by unit-suffixed names.

    Raises:
        InvalidInput: the machine cannot keep the rate.
    """
    dynamic = cost.dynamic_energy
    power = average_power_uw(
        dynamic,
        cost.latency_us,
        cost.leakage,
        use.inferences_per_second,
        duty_cycled=use.duty_cycled,
    )
    figures: dict[str, Band | float | bool] = {
        "inferences_per_second": inferences_per_second(cost.latency_us),
        "busy_share": busy_share(cost.latency_us, use.inferences_per_second),
        "duty_cycled": use.duty_cycled,
        "average_power_uw": power,
        "battery_days": battery_days(power, use.battery_mwh),
    }
    listened = listening_uj(cost, dynamic, use)
    return figures if listened is None else figures | {"energy_per_audio_second_uj": listened}


def forgotten(cost: Cost) -> str | None:
    """What a cut of the supply loses, and the figures do not bring back; None where nothing is."""
    machine = cost.accelerator
    memory = machine.chain("weights")[-1]
    if memory.kind == "dram":
        if not weights_stay(cost.stored_bits, machine) or machine.weight_home is None:
            return None
        memory = machine.weight_home
    return (
        f"'{memory.name}' of {machine.name} forgets {cost.stored_bits:,} bits of weights when the "
        "supply is cut, and loading them again is not counted"
    )


def listening_uj(cost: Cost, dynamic_pj: Band, use: Use) -> Band | None:
    """Energy to take in a second of sound, in real time; None where the machine is too slow."""
    try:
        return energy_per_second_of_audio_uj(
            dynamic_pj, cost.latency_us, cost.leakage, use.audio_s, duty_cycled=use.duty_cycled
        )
    except InvalidInput:
        return None


def print_costs(
    priced: list[Priced],
    frames: int,
    outputs: int,
    use: Use,
    with_mapping: bool,
    with_roofline: bool,
    console: Console,
) -> None:
    """Print priced designs side by side; layers, accesses, area and generator of a single one."""
    console.width = max(console.width, MIN_WIDTH)
    for point in {each.point.key: each.point for each in priced}.values():
        hop = priced[0].stream
        what = f"a hop of {hop.hop_frames} frames" if hop else f"one inference of {frames} frames"
        console.print(
            f"[bold]{escape(point.label)}[/bold] (key {point.key}), {what}, {outputs} outputs"
        )
    _print_table(_totals_table(priced, use), console)
    if with_roofline:
        for each in priced:
            _print_table(_roofline_table(each.cost), console)
    if len(priced) == 1:
        cost = priced[0].cost
        _print_table(_layers_table(cost, with_mapping), console)
        _print_table(_accesses_table(cost), console)
        _print_table(_area_table(cost), console)
        panel = break_even(cost)
        if panel is not None:
            _print_generator(panel, console)
        loads = row_loads(cost)
        if loads:
            _print_loads(loads, console)
    for each in priced:
        for misfit in each.misfits:
            console.print(f"[yellow]Does not fit:[/yellow] {escape(misfit)}. Priced as if it did.")
    for each in priced:
        if use.duty_cycled and (lost := forgotten(each.cost)):
            console.print(f"[yellow]Forgets:[/yellow] {escape(lost)}.")
    machines = {each.cost.accelerator.name: each.cost.accelerator for each in priced}
    for machine in machines.values():
        console.print(f"machine     {machine.name}: {machine.description}", markup=False)
    technologies = {each.cost.technology.name: each.cost.technology for each in priced}
    for technology in technologies.values():
        console.print(f"technology  {technology.name}: {technology.description}", markup=False)
    console.print(
        "Figures in brackets: the lowest and the highest that the sources of the constants allow.\n"
        "Equations and errors: docs/evidence/model.md; sources of all constants: --json."
    )


def _print_table(table: Table, console: Console) -> None:
    """Print a table; what is piped into a file is as wide as it needs, so that nothing is cut."""
    usual = console.width
    if not console.is_terminal:
        console.width = MAX_WIDTH
        console.width = max(usual, console.measure(table).maximum)
    console.print(table)
    console.width = usual


def _totals_table(priced: list[Priced], use: Use) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    several = len({each.point.key for each in priced}) > 1
    for each in priced:
        heading = escape(each.cost.accelerator.name)
        if several:
            heading = f"{escape(each.point.label)}\n{heading}"
        table.add_column(heading, justify="right")
    costs = [each.cost for each in priced]
    columns = [cost.columns() for cost in costs]
    for name, label in COUNTS.items():
        table.add_row(label, *(_count(int(totals[name]), name) for totals in columns))
    table.add_row("[bold]energy[/bold]", *(_band(cost.energy, pj_to_uj, "uJ") for cost in costs))
    for part in costs[0].energies_pj:
        if any(cost.energies_pj[part] for cost in costs):
            table.add_row(f"  {_words(part)}", *(_share(cost, part) for cost in costs))
    table.add_row("[bold]latency[/bold]", *(f"{cost.latency_us / 1000:,.3f} ms" for cost in costs))
    table.add_row(
        "  first loads, last stores apart",
        *(
            f"{cycles_to_us(c.latency_high_cycles, c.accelerator.clock_mhz) / 1000:,.3f} ms"
            for c in costs
        ),
    )
    table.add_row(
        "  cycles, bound by",
        *(f"{cost.latency_cycles:,} at {cost.accelerator.clock_mhz:g} MHz" for cost in costs),
    )
    for bound in dict.fromkeys(name for cost in costs for name in cost.bounds_cycles):
        shares = [cost.bounds_cycles.get(bound, 0) / (cost.latency_cycles or 1) for cost in costs]
        table.add_row(f"  {bound}", *(f"{share:7.1%}" for share in shares))
    table.add_row("  utilisation", *(f"{cost.utilisation:7.1%}" for cost in costs))
    table.add_row(
        "[bold]area[/bold]", *(_band(cost.area, lambda um2: um2 * 1e-6, "mm2") for cost in costs)
    )
    _add_application(table, costs, use)
    if priced[0].stream is not None:
        kept = [each.stream.state_bits for each in priced if each.stream is not None]
        table.add_row("kept between hops, bits", *(_count(bits, "") for bits in kept))
        waits = [each.stream.wait_frames for each in priced if each.stream is not None]
        table.add_row("waits for frames", *(f"{frames}" for frames in waits))
    return table


def _add_application(table: Table, costs: list[Cost], use: Use) -> None:
    cells: dict[str, list[str]] = {"power": [], "busy": [], "audio": [], "battery": []}
    for cost in costs:
        try:
            figures = application(cost, use)
        except InvalidInput:
            cells["power"].append("too slow")
            cells["busy"].append("-")
            cells["audio"].append("-")
            cells["battery"].append("-")
            continue
        power, days = figures["average_power_uw"], figures["battery_days"]
        audio = figures.get("energy_per_audio_second_uj")
        assert isinstance(power, Band) and isinstance(days, Band)
        cells["power"].append(_band(power, float, "uW"))
        cells["busy"].append(f"{figures['busy_share']:7.1%}")
        cells["audio"].append(_band(audio, float, "uJ") if isinstance(audio, Band) else "too slow")
        cells["battery"].append(_band(days, float, "days", ".0f"))
    rates = (inferences_per_second(cost.latency_us) for cost in costs)
    table.add_row("inferences a second, at most", *(f"{rate:,.3g}" for rate in rates))
    off = ", off between" if use.duty_cycled else ""
    table.add_row(
        f"[bold]power[/bold] at {use.inferences_per_second:g} a second{off}", *cells["power"]
    )
    table.add_row("  busy", *cells["busy"])
    table.add_row(f"  {use.battery_mwh:g} mWh last", *cells["battery"])
    table.add_row("a second of sound, in real time", *cells["audio"])


def _layers_table(cost: Cost, with_mapping: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer")
    for heading in (
        "parameters",
        "generated",
        "MACs",
        "additions",
        "energy, nJ",
        "share",
        "cycles",
        "waits",
        "used",
    ):
        table.add_column(heading, justify="right")
    table.add_column("bound by", no_wrap=True)
    if with_mapping:
        table.add_column("mapping: unrolled; loops, innermost first", overflow="fold")
    for layer in cost.layers:
        convolution = layer.layer.kind in CONVOLUTIONS
        cells = [
            escape(layer.layer.name),
            _or_dot(layer.layer.trained_parameters),
            _or_dot(layer.generated_weights),
            _or_dot(layer.layer.macs),
            _or_dot(layer.layer.additions),
            f"{layer.energy_pj / 1000:,.2f}",
            f"{layer.energy_pj / cost.energy_pj:.1%}",
            _or_dot(layer.latency_cycles),
            _or_dot(layer.stall_cycles) if convolution else "",
            f"{layer.utilisation:.0%}" if convolution else "",
            layer.bound,
        ]
        if with_mapping:
            cells.append(str(layer.mapping) if layer.mapping else "")
        table.add_row(*cells)
    return table


def _accesses_table(cost: Cost) -> Table:
    """What moves where: a row a memory, or the registers of an array, and operand."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("memory, operand")
    for heading in ("bits read", "bits written", "energy, nJ", "share", "busy, cycles"):
        table.add_column(heading, justify="right")
    moved: dict[tuple[str, str], dict[str, float]] = {}
    for entry, count, price in zip(
        cost.prices.entries, cost.counts, cost.prices.prices_pj[:, 1], strict=True
    ):
        if entry.action in ("read", "write") and count:
            row = moved.setdefault((entry.part, entry.operand), dict.fromkeys(_MOVED, 0.0))
            row[entry.action] += float(count)
            row["energy_pj"] += float(count * price)
    registers = {array.name for array in cost.accelerator.arrays}
    for (part, operand), row in moved.items():
        busy = sum(layer.busy_cycles.get(part, 0) for layer in cost.layers)
        table.add_row(
            escape(f"{'registers of ' if part in registers else ''}{part}, {operand}"),
            _or_dot(int(row["read"])),
            _or_dot(int(row["write"])),
            f"{row['energy_pj'] / 1000:,.2f}",
            f"{row['energy_pj'] / cost.energy_pj:.1%}",
            "" if part in registers else f"{busy:,}",
        )
    return table


_MOVED = ("read", "write", "energy_pj")


def _roofline_table(cost: Cost) -> Table:
    """What each convolution could reach, by which roof, and what it does reach."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    memories = [memory.name for memory in cost.accelerator.memories]
    table.add_column(escape(f"operations a cycle on {cost.accelerator.name}"))
    for heading in ("reached", "attainable", "peak"):
        table.add_column(heading, justify="right")
    table.add_column("lowest roof", no_wrap=True)
    for name in memories:
        table.add_column(escape(f"a bit, {name}"), justify="right")
    for roof in roofline(cost):
        table.add_row(
            escape(roof.layer),
            f"{roof.reached:,.3g}",
            f"{roof.attainable:,.3g}",
            f"{roof.peak:,}",
            escape(roof.limit),
            *(_intensity(roof.intensity.get(name)) for name in memories),
        )
    return table


def _intensity(operations: float | None) -> str:
    return "." if operations is None else f"{operations:,.{0 if operations >= 100 else 2}f}"


def _area_table(cost: Cost) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("part of the machine")
    table.add_column("area, um2", justify="right")
    table.add_column("share", justify="right")
    table.add_column("leakage, uW", justify="right")
    for part, area in sorted(cost.areas_um2.items(), key=lambda item: -item[1].mid):
        leakage = cost.leakages_uw.get(part)
        table.add_row(
            escape(part),
            _band(area, float, "", ",.0f"),
            f"{area.mid / cost.area.mid:.1%}",
            _band(leakage, float, "") if leakage else "",
        )
    logic = cost.leakages_uw.get("logic")
    if logic is not None:
        table.add_row("all logic", "", "", _band(logic, float, ""))
    return table


def _print_generator(panel: BreakEvenTotal, console: Console) -> None:
    saved = f"{panel.stored_pj / panel.generated_pj:.2g}" if panel.generated_pj else "-"
    generated, stored = (_band(band, _pj_to_nj, "nJ") for band in (panel.generated, panel.stored))
    surely = "whatever the bands say" if panel.certain else "though the bands overlap"
    console.print(
        f"[bold]Generate or store?[/bold] {panel.stored_bits:,} bits of trits. Energy: generating "
        f"takes {generated}, reading them from an SRAM of {panel.memory_bits:,} bits {stored}, "
        f"{saved} times: {panel.cheaper}, {surely}. Area: {panel.generator_um2:,.0f} um2 against "
        f"{panel.memory_um2:,.0f} um2: {panel.smaller}."
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer")
    table.add_column("generator")
    table.add_column("trits a cycle", justify="right")
    for heading in ("trits", "regenerated", "reuse", "generate, nJ", "store, nJ", "break-even"):
        table.add_column(heading, justify="right")
    table.add_column("cheaper")
    for row in panel.layers:
        even = row.break_even_bits
        table.add_row(
            escape(row.layer),
            str(row.generator.family),
            f"{row.trits_per_cycle}",
            f"{row.trits:,}",
            f"{row.regenerations:.3g} x",
            f"{row.reuse:.3g}",
            f"{row.generated_pj / 1000:,.2f}",
            f"{row.stored_pj / 1000:,.2f}",
            "beyond the table" if even is None else with_prefix(even, "bit"),
            row.cheaper,
        )
    _print_table(table, console)


def _print_loads(loads: list[RowLoad], console: Console) -> None:
    console.print(
        "[bold]Non-zero entries[/bold], counted on the matrices. Steps through a matrix if zeros "
        "take a step, if they are skipped (a tile of rows waits for its fullest), and if they "
        "filled every step."
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer")
    for heading in (
        "rows",
        "non-zeros",
        "a row",
        "tile",
        "dense",
        "skipped",
        "filled",
        "imbalance",
    ):
        table.add_column(heading, justify="right")
    for load in loads:
        table.add_row(
            escape(load.layer),
            f"{load.rows:,} x {load.entries_per_row:,}",
            f"{load.nonzeros:,}",
            f"{load.fewest:,} to {load.most:,}",
            f"{load.rows_together:,} x {load.entries_together:,}",
            f"{load.dense_steps:,}",
            f"{load.skipping_steps:,}",
            f"{load.filled_steps:,}",
            f"{load.imbalance:.2f} x",
        )
    _print_table(table, console)


def _pj_to_nj(energy_pj: float) -> float:
    return energy_pj / 1000


def _band(band: Band, scale: Callable[[float], float], unit: str, form: str = ",.3g") -> str:
    low, mid, high = (scale(figure) for figure in band.as_tuple())
    text = f"{mid:{form}} {unit}".rstrip()
    if low == high:
        return text
    return f"{text} ({low:{form}}-{high:{form}})"


def _or_dot(count: int) -> str:
    return f"{count:,}" if count else "."


def _count(count: int, name: str) -> str:
    if name == "stored_bits":
        return f"{count:,} ({bits_to_kib(count):,.1f} KiB)"
    return f"{count:,} ({with_prefix(count)})" if count >= 1000 else f"{count:,}"


def _share(cost: Cost, part: Any) -> str:
    energy_pj = cost.energies_pj[part]
    return f"{pj_to_uj(energy_pj):,.3f} uJ {energy_pj / cost.energy_pj:6.1%}".rstrip()


def _words(part: str) -> str:
    words = part.replace("_", " ")
    return words.upper() if part in ("sram", "dram") else words
