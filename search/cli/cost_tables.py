"""What `dse estimate` prints: totals side by side, layers, area, generate or store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cost_models import Band, Cost
from cost_models.application import average_power_uw, battery_days, inferences_per_second
from cost_models.break_even import BreakEvenTotal, break_even
from cost_models.streaming import Stream
from cost_models.units import bits_to_kib, pj_to_uj, with_prefix
from cost_models.workload import CONVOLUTIONS
from dse.errors import InvalidInput
from dse.point import DesignPoint

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


@dataclass(frozen=True, slots=True)
class Priced:
    """One column of the comparison."""

    point: DesignPoint
    cost: Cost
    stream: Stream | None

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit, the state that a stream keeps included."""
        if self.stream is None:
            return self.cost.misfits
        machine = self.cost.accelerator
        kept = machine.activation_home or machine.chain("inputs")[-1]
        bits = self.cost.activation_bits + self.stream.state_bits
        if bits <= kept.capacity_bits:
            return self.cost.misfits
        return (
            *self.cost.misfits,
            f"activations of a hop and what is kept between hops take {bits:,} bits, and "
            f"'{kept.name}' of {machine.name} has {kept.capacity_bits:,}",
        )


def application(cost: Cost, rate: float, battery_mwh: float) -> dict[str, Band | float]:
    """Inferences a second, average power and battery life; sentences where the rate is too high."""
    low, mid, high = cost.prices.energy_pj(cost.prices.with_leakage(cost.counts, 0))
    dynamic = Band(low=float(low), mid=float(mid), high=float(high))
    power = average_power_uw(dynamic, cost.latency_us, cost.leakage, rate)
    return {
        "inferences_per_second": inferences_per_second(cost.latency_us),
        "average_power_uw": power,
        "battery_days": battery_days(power, battery_mwh),
    }


def print_costs(
    priced: list[Priced],
    frames: int,
    outputs: int,
    rate: float,
    battery_mwh: float,
    with_mapping: bool,
    console: Console,
) -> None:
    """Print priced designs side by side; layers, area and generator where there is only one."""
    console.width = max(console.width, MIN_WIDTH)
    for point in {each.point.key: each.point for each in priced}.values():
        hop = priced[0].stream
        what = f"a hop of {hop.hop_frames} frames" if hop else f"one inference of {frames} frames"
        console.print(
            f"[bold]{escape(point.label)}[/bold] (key {point.key}), {what}, {outputs} outputs"
        )
    _print_table(_totals_table(priced, rate, battery_mwh), console)
    if len(priced) == 1:
        cost = priced[0].cost
        _print_table(_layers_table(cost, with_mapping), console)
        _print_table(_area_table(cost), console)
        panel = break_even(cost)
        if panel is not None:
            _print_generator(panel, console)
    for each in priced:
        for misfit in each.misfits:
            console.print(f"[yellow]Does not fit:[/yellow] {escape(misfit)}. Priced as if it did.")
    machines = {each.cost.accelerator.name: each.cost.accelerator for each in priced}
    for machine in machines.values():
        console.print(f"machine     {machine.name}: {machine.description}", markup=False)
    technologies = {each.cost.technology.name: each.cost.technology for each in priced}
    for technology in technologies.values():
        console.print(f"technology  {technology.name}: {technology.description}", markup=False)
    console.print(
        "Figures in brackets: the lowest and the highest that the sources of the constants allow.\n"
        "Equations and errors: docs/model.md; sources of all constants: --json."
    )


def _print_table(table: Table, console: Console) -> None:
    """Print a table; what is piped into a file is as wide as it needs, so that nothing is cut."""
    usual = console.width
    if not console.is_terminal:
        console.width = MAX_WIDTH
        console.width = max(usual, console.measure(table).maximum)
    console.print(table)
    console.width = usual


def _totals_table(priced: list[Priced], rate: float, battery_mwh: float) -> Table:
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
    _add_application(table, costs, rate, battery_mwh)
    if priced[0].stream is not None:
        kept = [each.stream.state_bits for each in priced if each.stream is not None]
        table.add_row("kept between hops, bits", *(_count(bits, "") for bits in kept))
        waits = [each.stream.wait_frames for each in priced if each.stream is not None]
        table.add_row("waits for frames", *(f"{frames}" for frames in waits))
    return table


def _add_application(table: Table, costs: list[Cost], rate: float, battery_mwh: float) -> None:
    cells: dict[str, list[str]] = {"power": [], "battery": []}
    for cost in costs:
        try:
            figures = application(cost, rate, battery_mwh)
        except InvalidInput:
            cells["power"].append(f"at most {inferences_per_second(cost.latency_us):,.3g} a second")
            cells["battery"].append("-")
            continue
        power, days = figures["average_power_uw"], figures["battery_days"]
        assert isinstance(power, Band) and isinstance(days, Band)
        cells["power"].append(_band(power, float, "uW"))
        cells["battery"].append(_band(days, float, "days", ".0f"))
    table.add_row(f"[bold]power[/bold] at {rate:g} a second", *cells["power"])
    table.add_row(f"  {battery_mwh:g} mWh last", *cells["battery"])


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
            f"{layer.utilisation:.0%}" if convolution else "",
            layer.bound,
        ]
        if with_mapping:
            cells.append(str(layer.mapping) if layer.mapping else "")
        table.add_row(*cells)
    return table


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
    console.print(
        f"[bold]Generate or store?[/bold] {panel.stored_bits:,} bits of trits. Energy: generating "
        f"takes {panel.generated_pj / 1000:,.1f} nJ, reading them from an SRAM of "
        f"{panel.memory_bits:,} bits {panel.stored_pj / 1000:,.1f} nJ ({saved} times): "
        f"{panel.cheaper}. Area: {panel.generator_um2:,.0f} um2 against "
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
