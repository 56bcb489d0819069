"""`dse import zigzag|scalesim|accelergy|onnx`: machines, technologies and workloads."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from cost_models import Workload, estimate, load_technology
from cost_models.accelerator import Accelerator
from cost_models.application import Use
from cost_models.energy import price_list
from cost_models.writing import accelerator_yaml, technology_yaml
from dse.errors import InvalidInput
from dse.files import write_text
from dse.interchange.accelergy import import_tables
from dse.interchange.scalesim import import_configuration
from dse.interchange.stream import import_core
from dse.interchange.zigzag import import_hardware, import_workload, is_workload
from dse.report.content import Section
from dse.report.estimate import workload_sections
from dse.report.priced import load_machine
from dse.report.terminal import print_sections
from dse_cli.asked import check_size
from dse_cli.options import FRAMES_RANGE, Number
from dse_cli.terminal import Screen, say

MOST_ROWS = 500
"""That a table shows: printing takes some 3 ms a row."""

_FILE = click.argument("file", type=click.Path(path_type=Path))
_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as YAML to this file (replaced if it exists).",
)
_MACHINE = click.option("--machine", help="Price the workload on this machine: a name or file.")


@click.command()
@_FILE
@_OUT
@_MACHINE
@click.option(
    "--clock-mhz",
    type=Number(1e-6, 1e6),
    default=200.0,
    show_default=True,
    help="Of a machine; not in it.",
)
@click.option("--technology", default="low_leakage_45nm", show_default=True, help="Likewise.")
@click.option("--core", help="Number of a core, where the file is an accelerator of Stream.")
def zigzag(
    file: Path,
    out: Path | None,
    machine: str | None,
    clock_mhz: float,
    technology: str,
    core: str | None,
) -> None:
    """Read a machine or a workload of ZigZag's YAML, or one core of a file of Stream.

    \b
      dse import zigzag eyeriss_like.yaml --out eyeriss.yaml
      dse import zigzag workload.yaml --machine kws_int8
      dse import zigzag quad_core.yaml --core 0 --out core.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if is_workload(file):
        if core is not None:
            raise click.UsageError("--core is for machines, and the file is a workload")
        if out is not None:
            raise click.UsageError("--out is for machines: a workload has no file of ours")
        notes: list[str] = []
        workload = import_workload(file, notes=notes)
        _tell(notes)
        _print_workload(workload, machine)
        return
    if machine is not None:
        raise click.UsageError("--machine is for workloads, and the file describes a machine")
    load_technology(technology)  # before the file: a name that is none, is none
    if core is None:
        found = import_hardware(file, clock_mhz=clock_mhz, technology=technology)
    else:
        found = import_core(file, core, clock_mhz=clock_mhz, technology=technology)
    _tell(found.notes)
    _write_machine(found.machine, out)


@click.command()
@_FILE
@_OUT
def scalesim(file: Path, out: Path | None) -> None:
    """Read a machine of SCALE-Sim's cfg.

    \b
      dse import scalesim scale.cfg --out systolic.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    found = import_configuration(file)
    _tell(found.notes)
    _write_machine(found.machine, out)


@click.command()
@_FILE
@click.option("--art", type=click.Path(path_type=Path), help="YAML of areas beside it.")
@click.option(
    "--base",
    default="low_leakage_45nm",
    show_default=True,
    help="Technology that has the rest: a name or YAML file.",
)
@click.option(
    "--take",
    "takes",
    multiple=True,
    metavar="CONSTANT=COMPONENT.ACTION/DIVISOR",
    help="A figure that no name tells; may be repeated.",
)
@_OUT
def accelergy(
    file: Path, art: Path | None, base: str, takes: tuple[str, ...], out: Path | None
) -> None:
    """Read energies (ERT) and areas (ART) of Accelergy or Timeloop into a technology.

    \b
      dse import accelergy ERT.yaml --art ART.yaml --out my_technology.yaml
      dse import accelergy ERT.yaml --take dram_pj_per_bit=system.DRAM.read/64 --out my.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    found = import_tables(file, load_technology(base), art=art, takes=takes)
    for line in found.taken:
        say(line)
    _tell(found.notes)
    say(f"all other constants are those of {base}")
    if out is None:
        say("technology not written: add --out technology.yaml")
    else:
        write_text(out, technology_yaml(found.technology))
        say(f"technology written to {out}")


@click.command()
@_FILE
@click.option("--frames", type=FRAMES_RANGE, help="Of the input, if the file is open.")
@_MACHINE
def onnx(file: Path, frames: int | None, machine: str | None) -> None:
    """Count, and price, the layers of a network in ONNX.

    \b
      dse import onnx network.onnx --frames 98 --machine kws_int8
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    try:
        from dse.interchange.onnx_import import import_onnx
    except ImportError:
        raise InvalidInput("ONNX needs one more package: pip install 'ternary-dse[onnx]'") from None
    notes: list[str] = []
    workload = import_onnx(file, frames=frames, notes=notes)
    _tell(notes)
    _print_workload(workload, machine)


TOOL_IMPORTS = (zigzag, scalesim, accelergy, onnx)


def _tell(notes: Iterable[str]) -> None:
    """What was read otherwise than it stands in the file, a line each."""
    for note in notes:
        say(f"note: {note}")


def _write_machine(machine: Accelerator, out: Path | None) -> None:
    """Say what came out, and whether it can be priced: a file of another tool may be larger."""
    array = machine.arrays[0]
    memories = ", ".join(f"{each.name} {each.capacity_bits:,} bits" for each in machine.memories)
    say(f"{machine.name}: {array.rows} x {array.columns} x {array.lanes} MACs; {memories}")
    try:
        price_list(machine, load_technology(machine.technology))
    except InvalidInput as error:
        say(f"note: it cannot be priced as it is: {error}")
    if out is None:
        say("machine not written: add --out machine.yaml")
    else:
        write_text(out, accelerator_yaml(machine))
        say(f"machine written to {out}")


def _print_workload(workload: Workload, machine: str | None) -> None:
    """Counts, and on a machine the tables of `dse estimate`."""
    kinds = Counter(layer.kind.value.replace("_", " ") for layer in workload.layers)
    said = [
        ", ".join(f"{count} {kind}" for kind, count in kinds.items()),
        f"{workload.name}: {workload.trained_parameters:,} trained parameters, "
        f"{workload.macs:,} MACs, {workload.additions:,} additions",
    ]
    if machine is None:
        say("\n".join([*said, "not priced: add --machine"]))
        return
    check_size(workload)
    cost = estimate(workload, *load_machine(machine))
    sections = [_shortened(each) for each in workload_sections(cost, Use(), said)]
    print_sections(sections, Screen(highlight=False))


def _shortened(section: Section) -> Section:
    """A section whose long tables are cut, and say so."""
    tables = tuple(
        replace(table, rows=table.rows[:MOST_ROWS]) if len(table.rows) > MOST_ROWS else table
        for table in section.tables
    )
    cut = [
        f"{table.title or 'a table'} has {len(table.rows):,} rows: {MOST_ROWS:,} are shown"
        for table in section.tables
        if len(table.rows) > MOST_ROWS
    ]
    return replace(section, tables=tables, sentences=(*section.sentences, *cut))
