"""`dse generator`: how good a generator's matrices are, and what its circuit takes."""

import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cost_models.generator import AREA_FITS, generator_area_um2, generator_parts
from dse.errors import InvalidDesign
from dse.files import write_together
from dse.networks.mixers.ternary import generator_spec
from dse.rtl.area import default_library, synthesise
from dse.rtl.designs import GeneratorBlock
from dse.sheets import csv_lines
from dse.ternary.generators import FAMILIES, Generator, has
from dse.ternary.quality import FLAG, KNOWN_BAD, Quality, measure
from dse_cli.generator_options import generator_options, read_generator
from dse_cli.options import Folder
from dse_cli.terminal import Screen

DENSITIES = "0.5,0.25,0.125,0.0625,0.03125"
SHOWN = {
    "dead rows": "dead rows",
    "dead columns": "dead cols",
    "row correlation": "row corr.",
    "column correlation": "col corr.",
    "lag correlation": "lag corr.",
    "lag correlation of zeros": "of zeros",
    "rank": "rank",
    "repeated rows": "repeats",
}
SMALL = "small_130nm"
SMALL_NAND2_UM2 = 3.7536
MIN_WIDTH = 200  # columns: a table that is piped into a file is not cut


@click.group(name="generator")
def command() -> None:
    """Measure generators of ternary matrices: statistics and area."""


@command.command()
@generator_options(family_required=False)
@click.option("--known-bad", is_flag=True, help="Add four generators that are known to be bad.")
@click.option(
    "--density",
    "densities",
    default=DENSITIES,
    show_default=True,
    metavar="LIST",
    help="Densities, separated by commas.",
)
@click.option("--size", default=256, show_default=True, help="Rows and columns of a matrix.")
@click.option("--matrices", default=16, show_default=True, help="Matrices of each density.")
@click.option(
    "--out",
    type=Folder(),
    help="Folder for quality.csv and the plots.",
)
def quality(
    family: str | None,
    known_bad: bool,
    densities: str,
    size: int,
    matrices: int,
    out: Path | None,
    **parameters: Any,
) -> None:
    """Hold matrices against ideal ones: density, dead rows, correlations, rank, repeats.

    Without --family, all families at their defaults.

    \b
      dse generator quality
      dse generator quality --family counter_arx --rounds 4 --override
      dse generator quality --known-bad --out docs/evidence/generator
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if not 8 <= size <= 4096:
        raise InvalidDesign(f"size must be from 8 to 4,096, not {size}")
    if not 2 <= matrices <= 10_000:
        raise InvalidDesign(f"matrices must be from 2 to 10,000, not {matrices}")
    generators = _generators(family, parameters)
    generators += KNOWN_BAD if known_bad else ()
    shares = _numbers(densities)
    console = Screen(highlight=False)
    console.width = max(console.width, MIN_WIDTH)
    table = _table()
    found = []
    for generator in generators:
        for density in shares:
            found.append(measure(generator, density, size=size, matrices=matrices))
            table.add_row(*_cells(found[-1]))
    console.print(table)
    console.print(
        f"measured/ideal means of {matrices} matrices of {size} x {size}; "
        "correlations are the largest of a matrix, at lags in standard errors; deviation: the "
        "farthest of all statistics from the ideal, in standard deviations, flagged beyond "
        f"{FLAG:g}"
    )
    if out is not None:
        _write(out, found)
        console.print(
            f"written: quality.csv, deviations.png, statistics.png, matrices.png in {out}"
        )


def _generators(family: str | None, parameters: dict[str, Any]) -> tuple[Generator, ...]:
    if family is not None:
        return (read_generator(family=family, **parameters),)
    given = [name for name, value in parameters.items() if value not in (None, False)]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise click.UsageError(f"{option} is of one family: name it with --family")
    return tuple(Generator(family=name) for name in FAMILIES)


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InvalidDesign(
            f"--density must be numbers separated by commas, such as 0.25,0.125, not {text!r}"
        ) from None


def _table() -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("generator", no_wrap=True)
    for heading in ("density", "density error", *SHOWN.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("deviation", no_wrap=True)
    return table


def _cells(quality: Quality) -> list[str]:
    """A row of the table.

    Density is shown as its relative error against what was asked for, of the measured matrices and
    of the ideal ones, which are drawn at random and may miss it by chance.
    """
    worst = max(quality.statistics, key=lambda each: abs(each.deviation))
    flags = len(quality.flagged)
    verdict = f"{worst.deviation:+.1f}" + (f" {worst.name}" if flags else "")
    return [
        quality.generator.label,
        f"{quality.density:g}",
        "/".join(
            f"{share / quality.density - 1:+.2%}"
            for share in (quality["density"].measured, quality["density"].ideal)
        ),
        *(f"{quality[name].measured:.3g}/{quality[name].ideal:.3g}" for name in SHOWN),
        f"[bold]{verdict}[/bold]" if flags else verdict,
    ]


def _write(out: Path, found: Sequence[Quality]) -> None:
    from dse.ternary.quality_figures import deviations_figure, matrices_figure, statistics_figure

    names = [
        "generator",
        "density",
        "size",
        "matrices",
        "statistic",
        "measured",
        "ideal",
        "deviation",
    ]
    lines = (
        [
            each.generator.label,
            each.density,
            each.size,
            each.matrices,
            statistic.name,
            float(f"{statistic.measured:.6g}"),
            float(f"{statistic.ideal:.6g}"),
            round(statistic.deviation, 2),
        ]
        for each in found
        for statistic in each.statistics
    )
    files: dict[str, str | bytes] = {"quality.csv": csv_lines(names, lines)}
    generators = list(dict.fromkeys(each.generator for each in found))
    densities = sorted({each.density for each in found})
    shown = min(densities, key=lambda density: abs(density - 0.125))
    figures = {
        "deviations.png": deviations_figure(found),
        "statistics.png": statistics_figure(found),
        "matrices.png": matrices_figure(generators, shown, min(64, found[0].size)),
    }
    for name, figure in figures.items():
        picture = io.BytesIO()
        figure.savefig(picture, dpi=110)
        files[name] = picture.getvalue()
    write_together(out, files)


@command.command()
@generator_options()
@click.option("--density", default=0.25, show_default=True, help="Share of non-zero entries.")
@click.option(
    "--lanes",
    "lanes_list",
    default="16",
    show_default=True,
    metavar="LIST",
    help="Trits made in a cycle, separated by commas.",
)
@click.option(
    "--library",
    "libraries",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Liberty file, .lib or .lib.gz; may be repeated. [default: a small one of 130 nm]",
)
def area(density: float, lanes_list: str, libraries: tuple[Path, ...], **parameters: Any) -> None:
    """Synthesise a generator with Yosys; print its area beside that of the analytic model.

    \b
      dse generator area --lanes 8,16,32,64
      dse generator area --family counter_arx --threshold-bits 7 --library my_cells.lib
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    generator = read_generator(**parameters)
    blocks = [
        GeneratorBlock(generator=generator, density=density, lanes=lanes)
        for lanes in _whole_numbers(lanes_list)
    ]
    table = Table(box=None, pad_edge=False)
    for heading in (
        "lanes",
        "cells",
        "flip-flops",
        "area, µm²",
        "gate equivalents",
        "µm² a lane",
        "model, µm²",
        "difference",
    ):
        table.add_column(heading, justify="right")
    console = Screen(highlight=False)
    console.width = max(console.width, 110)
    note = ""
    for block in blocks:
        found = synthesise(block.circuit(), libraries)
        model, note = _model_um2(block, found.nand2_um2, libraries)
        table.add_row(
            f"{block.lanes}",
            f"{found.cells:,}",
            f"{found.flip_flops:,}",
            f"{found.area_um2:,.1f}",
            f"{found.gate_equivalents:,.0f}",
            f"{found.area_um2 / block.lanes:,.1f}",
            f"{model:,.1f}",
            f"{model / found.area_um2 - 1:+.1%}",
        )
    console.print(f"{generator.label}, density {density:g}", markup=False)
    console.print(table)
    names = ", ".join(path.name for path in libraries or (default_library(),))
    console.print(f"library {names}; Yosys {version('pyosys')}, before layout", markup=False)
    console.print(f"model   {note}", markup=False)


def _model_um2(
    block: GeneratorBlock, nand2_um2: float, libraries: Sequence[Path]
) -> tuple[float, str]:
    """The analytic area, and where its constants are from.

    Constants were fitted to a few libraries, which are recognised by their names. For any other,
    those of the small one are scaled by the area of its NAND2, the field's usual gate equivalent.

    Args:
        block: the generator.
        nand2_um2: area of the NAND of two inputs in the library that was synthesised with.
        libraries: files of it; none means the small one.
    """
    spec = generator_spec(block.density, block.generator)
    taps = 4 if has(block.generator.family, "taps") and len(block.generator.taps) > 2 else 2
    parts = generator_parts(spec, block.lanes, feedback_taps=taps)
    names = " ".join(path.name.lower() for path in libraries) or SMALL
    for library, constants in AREA_FITS.items():
        if library in names:
            return generator_area_um2(parts, constants), f"constants of {library}"
    scaled = generator_area_um2(parts, AREA_FITS[SMALL]) * nand2_um2 / SMALL_NAND2_UM2
    return scaled, f"constants of {SMALL} times the area of a NAND of two inputs; within about 20 %"


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InvalidDesign(
            f"--lanes must be whole numbers separated by commas, such as 16,32, not {text!r}"
        ) from None
