"""`dse frontier`: the best designs of a study, in its objectives, as table, CSV and plots.

"Best" is not dominated: no other trained design is at most as large in every objective and smaller
in one. Baselines count like any other design; those outside the space stand there as `base`.
"""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dse.columns import LABELS, MEASURED_COLUMNS, shown
from dse.files import write_text
from dse.pricing.application import power_caveats
from dse.sheets import csv_frame
from dse.studies.folder import DESIGNS
from dse.studies.growth import growth, growth_csv
from dse.studies.rows import Evaluation, check_results, table
from dse.studies.spec import StudySpec
from dse.studies.study import Study, open_study, say_nothing_trained, say_number
from dse_cli.options import Folder
from dse_cli.terminal import Screen, say

COSTS = (
    "trained_parameters",
    "stored_bits",
    "macs",
    "additions",
    "energy_pj",
    "latency_us",
)
"""Of every study's table, behind its errors; what else it minimises comes after them."""

MAX_WIDTH = 500
"""Columns of the widest table that is measured."""

LISTENING = ("listening_power_uw", "stream_state_bits", "wait_us")
"""Likewise of a study that listens to a stream."""

HEADINGS = {
    "quantised_error": "in whole numbers",
    "trained_parameters": "trained",
    "additions": "adds",
    "energy_pj": "energy",
    "listening_power_uw": "listening",
    "stream_state_bits": "kept",
    "wait_us": "wait",
}
"""Short names, so that the table fits 80 columns."""
_RATES = {"character error rate": "CER", "word error rate": "WER"}


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=Folder(),
    help="Folder for frontier.csv and frontier.png.  [default: the study's]",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV, write nothing.")
def command(study: Path, out: Path | None, as_csv: bool) -> None:
    """Print the frontier of STUDY, a study's folder; write it as CSV and as a plot."""
    if as_csv:
        found = open_study(study)
        check_results(study)
        say(_csv(found), nl=False)
        _tell_refused(found)
        raise SystemExit(0 if found.frontier else 1)
    if not show_frontier(study, Screen(highlight=False, soft_wrap=True), out):
        raise SystemExit(1)


def _tell_refused(found: Study) -> None:
    """Lines of the results that are no rows, on stderr."""
    if found.refused:
        say(f"dse: {found.refused}", err=True)


def show_frontier(study: Path, console: Console, out: Path | None = None) -> bool:
    """Print the table, write CSV and PNG, and say where everything lies and what to try next.

    Args:
        study: folder of the study.
        console: to print on; it is made as wide as the table, whose numbers must not be cut.
        out: folder for `frontier.csv`, `frontier.png`, `hypervolume.csv` and `hypervolume.png`,
            which are replaced; the study's where it is None.

    Returns:
        Whether there is a frontier: without one, nothing is written.

    Raises:
        InvalidInput: there is no study, or it has no results.
    """
    from dse.report.figures import draw_plot, growth_figure, save_figure
    from dse.report.frontier_plot import frontier_plot

    found = open_study(study)
    check_results(study)
    _tell_refused(found)
    asked, rows, front = found.asked, found.rows, found.frontier
    counts = {
        status: sum(row.status == status for row in rows)
        for status in (
            "trained",
            "reused",
            "stopped",
            "infeasible",
            "duplicate",
            "invalid",
            "failed",
        )
    }
    console.print(
        f"{asked.name}: {len(rows)} candidates priced on {asked.machine_words}: "
        + (", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"),
        markup=False,
    )
    if not front:
        console.print(say_nothing_trained(rows), markup=False)
        return False
    printed = _table(front, asked)
    # Where the window is narrower, its lines wrap; a number cut short would be lost.
    needed = console.measure(printed, options=console.options.update(width=MAX_WIDTH)).maximum
    console.width = max(needed, console.width)
    console.print(printed)
    machines = [each.accelerator for each in asked.machines]
    for words in power_caveats(machines, asked.objectives):
        console.print(words, markup=False)
    console.print(f"hypervolume {found.hypervolume:.3f} of the study's box")
    folder = out or study
    csv, plot = folder / "frontier.csv", folder / "frontier.png"
    write_text(csv, _csv(found))
    drawn = frontier_plot(
        found.pairs,
        title=f"{asked.name}: {asked.machine_words}",
        cost=found.cost_objective,
        kind_of=found.kinds.of,
        error=asked.measured,
        error_name=asked.name_column(asked.measured),
        limits=asked.limits,
    )
    save_figure(draw_plot(drawn), plot)
    steps = growth(rows, found)
    write_text(folder / "hypervolume.csv", growth_csv(steps))
    save_figure(growth_figure(steps, asked), folder / "hypervolume.png")
    _print_next(study, found, csv, plot, console)
    return True


def _csv(study: Study) -> str:
    return csv_frame(table(study.frontier))


def _table(front: Sequence[Evaluation], asked: StudySpec) -> Table:
    columns = _columns(front, asked)
    printed = Table(
        title=f"frontier: {' against '.join(asked.objectives)}",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    printed.add_column("trial", justify="right", no_wrap=True)
    printed.add_column("design", no_wrap=True)
    if asked.several_machines:
        printed.add_column("machine", no_wrap=True)
    for column in columns:
        printed.add_column(_heading(column, asked), justify="right", no_wrap=True)
    for row in front:
        printed.add_row(
            say_number(row),
            row.name,
            *([row.accelerator] if asked.several_machines else []),
            *(_shown(row.column(column), column) for column in columns),
        )
    return printed


def _heading(column: str, asked: StudySpec) -> str:
    """A short name above its unit: errors of sentences are CER or WER, wake words are missed."""
    name = HEADINGS.get(column, asked.name_column(column))
    name = name.replace("false rejection rate at", "missed at")
    return f"{_RATES.get(name, name)}\n{LABELS[column][1]}"


def _shown(value: float, column: str) -> str:
    return "-" if math.isnan(value) else shown(value, column)


def _columns(front: Sequence[Evaluation], asked: StudySpec) -> list[str]:
    """The error that the study minimises, the other one beside it where it is known, then costs."""
    other = [
        name
        for name in MEASURED_COLUMNS
        if name != asked.measured and any(row.column(name) >= 0 for row in front)
    ]
    listening = () if asked.listening is None else LISTENING
    named = [asked.measured, *other, *COSTS, *listening]
    return [*named, *(name for name in asked.objectives if name not in named)]


def _print_next(
    study: Path,
    found: Study,
    csv: Path,
    plot: Path,
    console: Console,
) -> None:
    best = min(found.frontier, key=lambda row: row.column(found.asked.measured))
    folder = shlex.quote(str(study))
    console.print(
        f"""
table      {csv}
plot       {plot}
over time  {csv.with_name("hypervolume.csv")}, hypervolume.png
all rows   {study / "results.jsonl"}
designs    {study / DESIGNS}/KEY: design.yaml, history.csv, evaluation.json, best.pt

next:
  {estimate_line(study, found, best)}    where its energy and time go
  dse search {folder} --trainings {2 * found.asked.trainings}    search on
  dse confirm {folder}    is this more than luck? fresh seeds, and the test split
  dse report {folder}    the decision, for others to read
  dse dashboard {folder}    look at it in the browser""",
        markup=False,
    )


def estimate_line(study: Path, found: Study, row: Evaluation) -> str:
    """The command that prices a row's design anew: on the machine, and as often, as the row says.

    Args:
        study: folder of the study, as the person stands to it.
        found: the study.
        row: one of `found.pairs`.
    """
    words = ["dse", "estimate", str(study), "--design", str(row.trial)]
    if row.trial < 0:
        words[-1] = row.key
    if found.asked.several_machines:
        words += ["--machine", row.accelerator]
    if found.asked.listening is not None:
        words += ["--stream", str(found.asked.listening.hop_frames)]
    return shlex.join(words)
