"""`dse confirm`: is the frontier more than luck?

A search reports the lowest of many noisy validation errors, so its frontier is too good by mere
selection. Here designs are trained again with seeds that had no part in it, and measured on the
test split, which had none either. Who stays is decided by means over seeds; what is confirmed, by
tests over the seeds and over the clips, which both designs were told (`dse.studies.paired`).
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from dse.columns import LABELS, MEASURED_COLUMNS, NUMBERS, other_measured, shown
from dse.studies.confirmed import (
    Confirmed,
    count_places,
    mean_optimism,
    seeds_words,
    write_confirmed,
)
from dse.studies.repeats import read_repeats
from dse.studies.spec import StudySpec
from dse.studies.study import read_folder, say_number
from dse_cli.options import Workers, cache_option, moved_data_option
from dse_cli.search import usual_workers
from dse_cli.terminal import Screen
from search.confirm import confirm_study

MAX_WIDTH = 500
"""Columns of the widest table that is measured."""

EPILOG = """
\b
Examples:
  dse confirm studies/demo
  dse confirm studies/demo --seeds 10 --workers 2
"""


@click.command(epilog=EPILOG)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--seeds",
    type=click.IntRange(2, 100),
    default=5,
    show_default=True,
    help="Trainings of each design.",
)
@moved_data_option
@cache_option
@click.option(
    "--workers",
    type=Workers(),
    help="Designs trained at a time: a number, or auto.  [default: auto]",
)
def command(
    study: Path, seeds: int, data: Path | None, cache: Path | None, workers: int | None
) -> None:
    """Train the frontier of STUDY and its near neighbours again, with seeds it never used.

    The error that a search reports is the lowest of many noisy ones, on a split that it has looked
    at all the time. This is the only command that looks at the test split. It can be stopped and
    repeated: what is trained stays.
    """
    spec, _ = read_folder(study, data=data)
    console = Screen(highlight=False, soft_wrap=True)
    count = workers or usual_workers(spec, study, None)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task("trainings", total=None)

        def report(name: str, done: int, total: int) -> None:
            bars.update(task, description=f"trained {name}", completed=done, total=total)
            if not console.is_terminal:  # a file, where bars are not drawn: a line each
                console.print(f"trained {done} of {total}: {name}", markup=False)

        found = confirm_study(spec, study, seeds=seeds, cache=cache, workers=count, report=report)
    path = write_confirmed(found, study)
    clips = read_repeats(study)[0].test_clips
    table = _table(found, spec, clips)
    # Where the window is narrower, its lines wrap; a number cut short would be lost.
    wide = console.options.update(width=MAX_WIDTH)
    console.width = max(console.measure(table, options=wide).maximum, console.width)
    console.print(table)
    console.print(_verdict(found, study), markup=False)
    console.print(f"table      {os.fspath(path)}", markup=False)


def _table(found: Sequence[Confirmed], spec: StudySpec, clips: int) -> Table:
    """Three errors side by side, in percent, which differ for two reasons.

    From the searched validation error to the mean of fresh seeds: the luck of being the lowest.
    From there to the mean on the test split: other clips, which the search has never looked at.
    Behind the interval stands the same mean in the other numbers: in whole ones, or in floats.
    """
    seeds = max(one.seeds for one in found)
    printed = Table(
        title=f"{seeds} fresh seeds, {clips} test {spec.samples}; errors {NUMBERS[spec.measured]}",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    costs = [name for name in spec.objectives if name not in MEASURED_COLUMNS]
    printed.add_column("trial", justify="right")
    printed.add_column("design", no_wrap=True)
    several = len({one.row.accelerator for one in found}) > 1
    if several:
        printed.add_column("machine")
    for name in costs:
        printed.add_column(f"{LABELS[name][0]}\n{LABELS[name][1]}", justify="right")
    for heading in ("searched\nvalidation, %", "validation\nmean, %", "test\nmean, %"):
        printed.add_column(heading, justify="right")
    printed.add_column(f"95 % interval\nseeds and {spec.samples}", justify="right")
    printed.add_column(f"test, %\n{NUMBERS[other_measured(spec.measured)]}", justify="right")
    printed.add_column("frontier")
    for one in found:
        printed.add_row(
            say_number(one.row),
            one.row.name,
            *([one.row.accelerator] if several else []),
            *(shown(one.row.column(name), name) for name in costs),
            f"{100 * one.searched_error:.1f}",
            "-" if one.validation_error is None else f"{100 * one.validation_error:.1f}",
            *_test_words(one),
            "-" if one.other_test_error is None else f"{100 * one.other_test_error:.1f}",
            one.place,
        )
    return printed


def _test_words(one: Confirmed) -> tuple[str, str]:
    """Mean test error and its interval; dashes of a network that has no form in whole numbers."""
    band = one.test_band
    if band is None:
        return "-", "-"
    return f"{band.mid:.1f}", f"{band.low:.1f} to {band.high:.1f}"


def _verdict(found: Sequence[Confirmed], study: Path) -> str:
    sentences = [f"{count_places(found)}."]
    words = seeds_words(found).replace("STUDY", shlex.quote(str(study)))
    sentences += [f"Not told apart: {words}."] if words else []
    # The winner's curse: of many noisy errors a search keeps the lowest, so luck is part of what it
    # reports. Fresh seeds on the same split measure how much, apart from what the test split adds.
    optimism = mean_optimism(found)
    if optimism is not None:
        sentences.append(
            f"The search's validation errors were {100 * optimism:+.1f} points off the means of "
            "fresh seeds (positive: too good)."
        )
    return "\n".join(sentences)
