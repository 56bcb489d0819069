"""`dse estimate`: what one design costs on one machine, or on several side by side."""

import csv
import json
import os
import sys
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cost_models import (
    Cost,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.strict_yaml import read_yaml
from cost_models.units import bits_to_kib, pj_to_uj, with_prefix
from dse.lowering import lower
from dse.point import DesignPoint, point_from_node
from dse.published import published

DEFAULT_MACHINE = "kws_ternary"
MIN_WIDTH = 110  # columns: a table that is piped into a file is not cut

COUNTS = {
    "trained_parameters": "trained parameters",
    "stored_bits": "stored bits",
    "generated_weights": "generated weights",
    "macs": "MACs",
    "multiplications": "multiplications",
    "additions": "additions",
    "dense_additions": "additions, zeros included",
    "weight_traffic_bits": "weight traffic, bits",
    "activation_traffic_bits": "activation traffic, bits",
}


@click.command(short_help="Price one design: counts, energy, latency.")
@click.argument("design")
@click.option(
    "--machine",
    default=DEFAULT_MACHINE,
    show_default=True,
    help=f"Machine: {', '.join(accelerator_names())}, or a YAML file.",
)
@click.option("--technology", help="Technology instead of the machine's own: a name or YAML file.")
@click.option(
    "--frames", default=128, show_default=True, type=click.IntRange(min=1), help="Input frames."
)
@click.option(
    "--outputs", default=12, show_default=True, type=click.IntRange(min=1), help="Classes."
)
@click.option("--compare", help="Further machines, separated by commas, side by side.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: totals, components, layers.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: one row a machine and layer.")
def command(
    design: str,
    machine: str,
    technology: str | None,
    frames: int,
    outputs: int,
    compare: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print what one inference of DESIGN costs: exact counts, estimated energy and latency.

    DESIGN is a YAML file, or the name of a published network with or without a policy of ternary
    matrices.

    \b
      dse estimate matchboxnet-3x2x64
      dse estimate matchboxnet-3x2x64-P1 --compare kws_int8,kws_int8_dram
      dse estimate my_design.yaml --machine my_chip.yaml --json
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv")
    point = load_design(design)
    others = [name.strip() for name in compare.split(",") if name.strip()] if compare else []
    names = list(dict.fromkeys([machine, *others]))
    costs = [
        price_design(point, name, technology=technology, frames=frames, outputs=outputs)
        for name in names
    ]
    if as_json:
        click.echo(json.dumps([_to_dict(point, cost) for cost in costs], indent=2))
    elif as_csv:
        _write_csv(costs)
    else:
        _print(point, costs, frames, outputs)


def load_design(design: str) -> DesignPoint:
    """A design by the name of its YAML file or of a published network."""
    if design.endswith((".yaml", ".yml")) or os.path.exists(design):
        return point_from_node(read_yaml(design))
    return published(design)


def price_design(
    point: DesignPoint, machine: str, *, technology: str | None, frames: int, outputs: int
) -> Cost:
    """The cost of a design on a machine of the library or of a file."""
    accelerator = load_accelerator(machine)
    return estimate(
        lower(point, frames=frames, outputs=outputs),
        accelerator,
        load_technology(technology or accelerator.technology),
    )


def _to_dict(point: DesignPoint, cost: Cost) -> dict[str, Any]:
    return {
        "design": point.label,
        "design_key": point.key,
        "accelerator": cost.accelerator.name,
        "technology": cost.technology.name,
        "total": cost.columns(),
        "energies_pj": {str(part): pj for part, pj in cost.energies_pj.items()},
        "bounds_cycles": {str(part): cycles for part, cycles in cost.bounds_cycles.items()},
        "misfits": list(cost.misfits),
        "layers": cost.breakdown,
        "sources": {"accelerator": cost.accelerator.source} | cost.technology.sources,
    }


def _write_csv(costs: list[Cost]) -> None:
    rows: list[dict[str, Any]] = [
        {"accelerator": cost.accelerator.name, "technology": cost.technology.name, **row}
        for cost in costs
        for row in cost.breakdown
    ]
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _print(point: DesignPoint, costs: list[Cost], frames: int, outputs: int) -> None:
    console = Console(highlight=False)
    if console.width < MIN_WIDTH:
        console.width = MIN_WIDTH
    console.print(
        f"[bold]{escape(point.label)}[/bold] (key {point.key}), one inference of {frames} frames, "
        f"{outputs} outputs"
    )
    console.print(_totals_table(costs))
    if len(costs) == 1:
        console.print(_layers_table(costs[0]))
    for cost in costs:
        for misfit in cost.misfits:
            console.print(f"[yellow]Does not fit:[/yellow] {escape(misfit)}. Priced as if it did.")
    for cost in costs:
        console.print(
            f"machine     {cost.accelerator.name}: {cost.accelerator.description}", markup=False
        )
    for technology in {cost.technology.name: cost.technology for cost in costs}.values():
        console.print(f"technology  {technology.name}: {technology.description}", markup=False)
    console.print(
        "First-order estimate: every operand moves once a layer, all units are busy, no leakage. "
        "Equations and limits: docs/model.md; sources of all constants: --json."
    )


def _totals_table(costs: list[Cost]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for cost in costs:
        table.add_column(escape(cost.accelerator.name), justify="right")
    columns = [cost.columns() for cost in costs]
    for name, label in COUNTS.items():
        table.add_row(label, *(_count(int(totals[name]), name) for totals in columns))
    table.add_row(
        "[bold]energy[/bold]", *(f"{pj_to_uj(cost.energy_pj):,.3f} uJ 100.0%" for cost in costs)
    )
    for part in costs[0].energies_pj:
        table.add_row(f"  {_words(part)}", *(_share(cost, part) for cost in costs))
    table.add_row("[bold]latency[/bold]", *(f"{cost.latency_us / 1000:,.3f} ms" for cost in costs))
    table.add_row(
        "  cycles",
        *(f"{cost.latency_cycles:,} at {cost.accelerator.clock_mhz:g} MHz" for cost in costs),
    )
    for bound in costs[0].bounds_cycles:
        if any(cost.bounds_cycles[bound] for cost in costs):
            shares = [cost.bounds_cycles[bound] / (cost.latency_cycles or 1) for cost in costs]
            table.add_row(f"  bound by {bound}", *(f"{share:7.1%}" for share in shares))
    return table


def _layers_table(cost: Cost) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("layer")
    for heading in (
        "parameters",
        "generated",
        "MACs",
        "additions",
        "energy, nJ",
        "share",
        "cycles",
    ):
        table.add_column(heading, justify="right")
    table.add_column("bound by", no_wrap=True)
    for layer in cost.layers:
        share = layer.energy_pj / cost.energy_pj
        table.add_row(
            escape(layer.layer.name),
            _or_dot(layer.layer.trained_parameters),
            _or_dot(layer.generated_weights),
            _or_dot(layer.layer.macs),
            _or_dot(layer.layer.additions),
            f"{layer.energy_pj / 1000:,.2f}",
            f"{share:.1%}",
            _or_dot(layer.latency_cycles),
            str(layer.bound),
        )
    return table


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
    return part.replace("_", " ")
