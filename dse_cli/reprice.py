"""`dse reprice`: a study on today's machine, without training."""

from pathlib import Path

import click

from dse.studies.study import read_folder
from dse_cli.frontier import show_frontier
from dse_cli.options import Folder, cache_option, moved_data_option
from dse_cli.terminal import Screen

EPILOG = """
\b
Examples:
  dse reprice studies/demo                     the cost model has changed
  dse reprice demo.yaml --out studies/demo     the file now names another machine
"""


@click.command(epilog=EPILOG)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=Folder(),
    help="Folder of the study, where STUDY is a file.  [default: studies/NAME]",
)
@moved_data_option
@cache_option
def command(study: Path, out: Path | None, data: Path | None, cache: Path | None) -> None:
    """Compute the costs of all designs of a study anew; errors stay as they were trained.

    STUDY is the study's folder, or its file with another machine, technology, limits,
    objectives or stream. Designs that were never trained stay so; `dse search` goes on from the new
    record.
    """
    from search.reprice import reprice_study

    if study.is_dir():
        out = out or study
    spec, given = read_folder(study, data=data)
    folder = out or Path("studies") / spec.name
    console = Screen(highlight=False, soft_wrap=True)
    found = reprice_study(spec, given, folder, cache=cache)
    before, after = {row.key for row in found.before}, {row.key for row in found.after}
    console.print(
        f"{found.rows:,} rows priced on {spec.machine_words}; "
        f"{len(after - before)} designs enter the frontier, {len(before - after)} leave it\n",
        markup=False,
    )
    if not show_frontier(folder, console):
        raise SystemExit(1)
