"""`dse sweep`: price a whole space without training, and show what is cheapest for its size.

A space of a billion designs fits in no memory, so nothing here ever holds more than a chunk of it:

    for chunk in sweep.run(...):        # some 100,000 designs of one piece on one machine
        Parquet file    <- all of them, as columns
        Frontier.add    <- those that nothing seen so far dominates

A *piece* is the part of a space in which the same axes matter; in it, a design is a row of digits,
one for each free axis, and a digit is the place of a value in the list of its axis. Values
themselves are written out for the few designs of the frontier alone.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cost_models import (
    Accelerator,
    Objective,
    Technology,
    load_accelerator,
    load_technology,
    load_technology_of,
)
from cost_models.reading import Problems, build
from cost_models.strict_yaml import parse_yaml, read_yaml
from dse.columns import COST_COLUMNS, LABELS, shown
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidInput
from dse.files import replacing
from dse.pareto import pareto_mask, sift
from dse.pricing.budget import Budget, Limit, budget_from_node
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Chunk, Sweep
from dse.speech.task import COMMANDS, Task
from dse.studies.spec import beside, read_study
from dse_cli.options import (
    DEFAULT_MACHINE,
    FRAMES,
    MACHINES,
    OUTPUTS,
    mapping_objective_option,
    rate_option,
)

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 1_000_000_000
"""Designs that are priced without being asked for a sample: about an hour."""

MIN_WIDTH = 110  # columns: a table that is piped into a file is not cut

HEADINGS = {"energy_pj": "energy", "trained_parameters": "trained", "area_um2": "area"}
"""Short names for the table."""

SHOWN = 16
"""Rows of the frontier that are printed; the file has all."""

METADATA = "ternary_dse"
"""Key of the file's metadata: machines, technologies, frames, outputs, sample and seed as JSON."""

Row = dict[str, Any]


@click.command(short_help="Price a whole space without training.")
@click.argument("space", type=click.Path(path_type=Path))
@click.option(
    "--machine",
    "machines",
    multiple=True,
    help=f"{MACHINES}; several times for several.  [default: the study's, or {DEFAULT_MACHINE}]",
)
@click.option("--technology", help="Technology instead of the machines' own: a name or YAML file.")
@mapping_objective_option
@click.option(
    "--frames", type=click.IntRange(min=1), help="Input frames.  [default: the study's, or 128]"
)
@click.option(
    "--outputs", type=click.IntRange(min=1), help="Classes.  [default: the study's, or 12]"
)
@rate_option("Inferences a second, of average_power_uw.  [default: the study's, or 1]")
@click.option("--sample", type=click.IntRange(min=1), help="Price so many designs, at random.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    help="Limit such as max_trained_parameters=80000; as many as you like, beside the study's.",
)
@click.option(
    "--minimise",
    default="energy_pj,latency_us",
    show_default=True,
    help="Columns that the frontier minimises.",
)
@click.option(
    "--maximise",
    default="weights",
    show_default=True,
    help="Columns that it maximises; `weights` are trained and generated ones together.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("sweep.parquet"),
    show_default=True,
    help="Parquet file of all designs; the frontier goes beside it as CSV.",
)
def command(
    space: Path,
    machines: tuple[str, ...],
    technology: str | None,
    objective: Objective,
    frames: int | None,
    outputs: int | None,
    rate: float | None,
    sample: int | None,
    seed: int,
    limits: tuple[str, ...],
    minimise: str,
    maximise: str,
    out: Path,
) -> None:
    """Price every design of SPACE on every machine, or a sample of them; train nothing.

    SPACE is a study file, of which the space, the machine, the technology, the limits, and the
    sizes of task and features are used; or a YAML file with a `space` section and, where wanted,
    `machine`, `technology` and `limits`.

    \b
      dse sweep examples/demo.yaml
      dse sweep examples/demo.yaml --machine kws_int8 --machine kws_ternary --sample 100000
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    console = Console(highlight=False)
    given = _read(space)
    chosen = [_machine(name, technology, objective) for name in dict.fromkeys(machines)]
    if not chosen:
        constants = load_technology(technology) if technology else given.technology
        chosen = [Machine(given.accelerator, constants, objective)]
    pricing = Pricing(
        chosen,
        frames=frames or given.frames,
        outputs=outputs or given.outputs,
        budget=Budget((*given.budget.limits, *_read_limits(limits))),
        rate=rate or given.rate,
    )
    sweep = Sweep(given.space, pricing)
    if sample is None and sweep.size > LARGEST:
        raise InvalidInput(
            f"{space} has {sweep.size:,} designs, more than the {LARGEST:,} that are priced "
            "without asking: give --sample, 1000000 say, or narrow the space"
        )
    objectives = _read_objectives(minimise, maximise)
    if out.suffix != ".parquet":
        raise InvalidInput(f"--out must end in .parquet, not '{out.name}'")
    frontier = Frontier(objectives)
    begun = time.perf_counter()
    priced, feasible = _run(sweep, sample, seed, out, frontier, console)
    seconds = time.perf_counter() - begun
    csv = out.with_name(f"{out.stem}-frontier.csv")
    rows = frontier.rows()
    _write_frontier(rows, csv)
    _print(rows, objectives, console)
    console.print(
        f"{priced:,} designs priced on {len(sweep.pricing.machines)} machine"
        f"{'s' if len(sweep.pricing.machines) > 1 else ''} in {seconds:,.1f} s "
        f"({priced / seconds:,.0f} a second), {feasible:,} of them feasible; the space has "
        f"{sweep.size:,}. One inference: {sweep.book.frames} frames, {sweep.book.outputs} outputs."
    )
    console.print(f"All: {out}   frontier: {csv}", markup=False, soft_wrap=True)


class Frontier:
    """The designs that no other of those seen so far dominates, kept up to date chunk by chunk.

    Dominance is transitive, so what a chunk throws out need never be looked at again, and at the
    end this is the frontier of all designs, whatever the order of the chunks.
    """

    def __init__(self, objectives: dict[str, float]) -> None:
        self.objectives = objectives
        self._points = np.empty((0, len(objectives)))
        self._rows: list[Row] = []

    def add(self, chunk: Chunk) -> None:
        """Take up the feasible designs of a chunk; those known that it beats are let go.

        Two steps, as the first is much cheaper: `sift` holds the chunk against a few known points,
        which throws out nearly all of it; `pareto_mask` then decides between what is left and what
        was known. Places in `together` are first those of the known, then those of the new points.
        """
        inside = np.flatnonzero(chunk.feasible)
        if not len(inside):
            return
        points = np.stack(
            [sign * _column(chunk, name)[inside] for name, sign in self.objectives.items()], axis=1
        )
        fresh = sift(points, self._points)
        inside, points = inside[fresh], points[fresh]
        together = np.concatenate([self._points, points])
        stays = pareto_mask(together)
        known = len(self._points)
        self._points = together[stays]
        self._rows = [self._rows[place] for place in np.flatnonzero(stays[:known])]
        self._rows += [_row(chunk, int(place)) for place in inside[stays[known:]]]

    def rows(self) -> list[Row]:
        """Designs by the first objective; of equal ones the first that was seen.

        Equal in all objectives, that is: none of them dominates another, so all are kept until
        here, and one is as good as any for whoever reads the table.
        """
        # lexsort's last key is its first criterion: reversed, objectives count in their order.
        order = np.lexsort(self._points.T[::-1])
        kept: dict[tuple[float, ...], Row] = {}
        for index in order:
            kept.setdefault(tuple(self._points[index]), self._rows[index])
        return list(kept.values())


def _run(
    sweep: Sweep,
    sample: int | None,
    seed: int,
    out: Path,
    frontier: Frontier,
    console: Console,
) -> tuple[int, int]:
    """Price, write and collect chunk by chunk; returns how many were priced and feasible.

    A design counts once for each machine. The file takes its name only when it is complete: a
    sweep that is stopped leaves the one from before as it was.
    """
    total = min(sample or sweep.size, sweep.size) * len(sweep.pricing.machines)
    bars = Progress(
        TextColumn("pricing"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    priced = feasible = 0
    about = _about(sweep, sample, seed)
    with bars, replacing(out) as temporary, _Parquet(temporary, sweep.space, about) as file:
        task = bars.add_task("", total=total)
        for chunk in sweep.run(sample, seed):
            file.write(chunk)
            frontier.add(chunk)
            priced += len(chunk.digits)
            feasible += int(chunk.feasible.sum())
            bars.update(task, completed=priced)
    return priced, feasible


def _about(sweep: Sweep, sample: int | None, seed: int) -> dict[str, Any]:
    """What the figures of a file depend on beside the axes; it stands in the file's metadata.

    With the whole machine, not its name alone: a file of that name may be another one by then.
    """
    return {
        "machines": {
            each.accelerator.name: {
                "technology": each.technology.name,
                "objective": each.objective,
                "accelerator": each.accelerator.to_dict(),
            }
            for each in sweep.pricing.machines
        },
        "frames": sweep.book.frames,
        "outputs": sweep.book.outputs,
        "designs_of_the_space": sweep.size,
        "sample": sample,
        "seed": seed,
    }


class _Parquet:
    """Writes chunks to a Parquet file; axes are dictionaries, so a value costs a byte or two.

    A row a design and machine: `machine`, `axis_*`, the columns of a cost, `feasible`. An axis that
    does not matter to a design (the density of a dense block) is null, and so is a cost of a design
    that cannot be built or executed. Digits of a chunk are indices into the axis's values already,
    so no value is ever made an object. All chunks have one schema, with every axis of the space,
    whichever of them their piece has.
    """

    def __init__(self, path: Path, space: SearchSpace, about: dict[str, Any]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ModuleNotFoundError:
            raise InvalidInput(
                "dse sweep writes Parquet, which needs pyarrow: pip install 'ternary-dse[parquet]'"
            ) from None
        self._arrow = pyarrow
        self._axes = [choice.name for choice in space.choices]
        fields = [("machine", pyarrow.dictionary(pyarrow.int16(), pyarrow.string()))]
        for choice in space.choices:
            values = pyarrow.array(list(choice.values)).type
            fields.append((f"axis_{choice.name}", pyarrow.dictionary(pyarrow.int16(), values)))
        fields += [(name, pyarrow.float64()) for name in COST_COLUMNS]
        fields.append(("feasible", pyarrow.bool_()))
        self._schema = pyarrow.schema(fields, metadata={METADATA: json.dumps(about)})
        self._values = {choice.name: list(choice.values) for choice in space.choices}
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> "_Parquet":
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def write(self, chunk: Chunk) -> None:
        """Append one row per design, in the order of the chunk: all have the same machine."""
        arrow = self._arrow
        rows = len(chunk.digits)
        columns: list[pa.Array] = [
            arrow.DictionaryArray.from_arrays(
                arrow.array(np.zeros(rows, dtype=np.int16)), [chunk.machine.accelerator.name]
            )
        ]
        for name in self._axes:
            places = _places(chunk, name, self._values[name])
            indices = arrow.array(places, mask=places < 0)
            columns.append(arrow.DictionaryArray.from_arrays(indices, self._values[name]))
        columns += [arrow.array(chunk.columns[name], from_pandas=True) for name in COST_COLUMNS]
        columns.append(arrow.array(chunk.feasible))
        self._writer.write_table(arrow.Table.from_arrays(columns, schema=self._schema))


def _places(chunk: Chunk, name: str, values: list[Any]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Places of an axis's values among all its values; -1 where it does not matter.

    Three cases: the axis is free in the piece, then the digits are the places; it is fixed, then
    all designs of the piece have one value; or the piece does not know it.

    Args:
        chunk: of n designs.
        name: of the axis.
        values: all of them, in the order of the space.

    Returns:
        Shape (n,). int16 holds axes of up to 32,767 values.
    """
    for place, choice in enumerate(chunk.piece.free):
        if choice.name == name:
            return chunk.digits[:, place].astype(np.int16)
    fixed = chunk.piece.fixed
    number = values.index(fixed[name]) if name in fixed else -1
    return np.full(len(chunk.digits), number, dtype=np.int16)


def _column(chunk: Chunk, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column, shape (designs,). `weights` are made up here: trained and generated ones together.

    They stand for what a network may be able to learn, which nothing can say before a training.
    """
    if name == "weights":
        columns = chunk.columns
        return columns["trained_parameters"] + columns["generated_weights"]
    return chunk.columns[name]


def _row(chunk: Chunk, index: int) -> Row:
    axes = {
        f"axis_{name}": value for name, value in chunk.piece.values(chunk.digits[index]).items()
    }
    costs = {name: float(chunk.columns[name][index]) for name in COST_COLUMNS}
    weights = {"weights": float(_column(chunk, "weights")[index])}
    return {"machine": chunk.machine.accelerator.name, **axes, **weights, **costs}


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What a file may say that is no study."""

    space: Any
    machine: str = DEFAULT_MACHINE
    technology: str | None = None
    limits: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What is swept, and on what, unless options say otherwise."""

    space: SearchSpace
    accelerator: Accelerator
    technology: Technology
    budget: Budget
    frames: int = FRAMES
    outputs: int = OUTPUTS
    rate: float = 1.0


def _read(path: Path) -> _Given:
    """What a file says of a sweep: a file with a `data` section is read as a study, as strictly.

    Of any other, the mistakes of its sections are collected and told together.
    """
    node = read_yaml(path)
    if not isinstance(node.value, dict) or "space" not in node.value:
        raise node.error("a sweep needs a file with a 'space' section, such as a study's")
    if "data" in node.value:
        study = read_study(path)
        return _Given(
            space=study.space,
            accelerator=study.accelerator,
            technology=study.technology,
            budget=study.budget,
            frames=study.features.frames,
            outputs=_classes(study.task),
            rate=study.rate or 1.0,
        )
    problems = Problems()
    with problems.part():
        file = build(_File, node)
    with problems.part():
        space = space_from_node(node.value["space"])
    budget = Budget()
    with problems.part():
        if "limits" in node.value:
            budget = budget_from_node(node.value["limits"], COST_COLUMNS)
    problems.tell()
    accelerator = load_accelerator(beside(file.machine, path.parent))
    technology = beside(file.technology or accelerator.technology, path.parent)
    return _Given(
        space=space,
        accelerator=accelerator,
        technology=load_technology(technology),
        budget=budget,
    )


def _classes(task: Task) -> int:
    """Classes of a task; 35 where it takes all words, as many as Speech Commands has."""
    if task.kind == "all_words":
        return 35 + task.silence
    words = COMMANDS if task.kind == "commands" else task.words
    return len(words) + task.unknown + task.silence


def _machine(name: str, technology: str | None, objective: Objective) -> Machine:
    accelerator = load_accelerator(name)
    constants = load_technology(technology) if technology else load_technology_of(accelerator, name)
    return Machine(accelerator, constants, objective)


def _read_limits(limits: Iterable[str]) -> tuple[Limit, ...]:
    text = "\n".join(limit.replace("=", ": ", 1) for limit in limits)
    return budget_from_node(parse_yaml(text, "--limit"), COST_COLUMNS).limits if text else ()


def _read_objectives(minimise: str, maximise: str) -> dict[str, float]:
    """Column -> 1 where it is minimised, -1 where it is maximised."""
    known = ("weights", *COST_COLUMNS)
    objectives: dict[str, float] = {}
    for text, sign in ((minimise, 1.0), (maximise, -1.0)):
        for name in filter(None, (part.strip() for part in text.split(","))):
            if name not in known:
                raise InvalidInput(f"there is no column '{name}'; columns are {', '.join(known)}")
            if name in objectives:
                raise InvalidInput(f"'{name}' is both minimised and maximised: choose one")
            objectives[name] = sign
    if not objectives:
        raise InvalidInput("a frontier needs a column: give --minimise or --maximise")
    return objectives


def _write_frontier(rows: list[Row], path: Path) -> None:
    import pandas as pd

    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _print(rows: list[Row], objectives: dict[str, float], console: Console) -> None:
    if not rows:
        console.print("No design is feasible: widen the space or the limits.")
        return
    console.width = max(console.width, MIN_WIDTH)
    columns = list(dict.fromkeys([*objectives, "trained_parameters", "energy_pj", "area_um2"]))
    axes = list(dict.fromkeys(name for row in rows for name in row if name.startswith("axis_")))
    varied = [name for name in axes if len({row.get(name) for row in rows}) > 1]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        label, unit, _ = LABELS.get(name, (name, "", 1.0))
        heading = HEADINGS.get(name, label)
        table.add_column(f"{heading}, {unit}" if unit else heading, justify="right")
    several = len({row["machine"] for row in rows}) > 1
    table.add_column("machine, design" if several else "design", overflow="fold")
    step = max(1, -(-len(rows) // SHOWN))  # rounded up: from the whole frontier, evenly
    for row in rows[::step]:
        cells = [
            f"{row[name]:,.0f}" if name not in LABELS else shown(row[name], name)
            for name in columns
        ]
        words = [row["machine"]] if several else []
        words += [_words(name, row[name]) for name in varied if name in row]
        table.add_row(*cells, escape(", ".join(words)))
    console.print(table)
    if step > 1:
        console.print(f"One in {step} of the {len(rows)} designs of the frontier.")
    same = [_words(name, rows[0][name]) for name in axes if name not in varied]
    if same:
        console.print(f"All of them: {escape(', '.join(same))}.")


def _words(name: str, value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{name.removeprefix('axis_')} {text}"
