"""`dse sweep`: price a whole space without training, and show what is cheapest for its size."""

import difflib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
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
from dse.columns import COST_COLUMNS, LABELS, STREAM_COLUMNS, shown
from dse.design.matrices import matrix_words
from dse.design.point import USUAL
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidInput, short
from dse.files import replacing, write_text
from dse.pricing.application import power_caveats
from dse.pricing.budget import Bound, Budget, Limit, budget_from_node, in_time
from dse.pricing.comparable import own_words
from dse.pricing.hardware import Hardware, HardwareSection, in_technology
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.sweep import Sweep
from dse.pricing.sweep_results import (
    Frontier,
    ParquetFile,
    Row,
    SweepDone,
    SweepJob,
    describe_sweep,
    make_sweep,
)
from dse.pricing.sweep_workers import choose_workers, price_units
from dse.report.lengths import MS_PER_S
from dse.sheets import csv_records
from dse.studies.named_machines import read_hardware
from dse.studies.reading import read_study
from dse_cli.options import (
    DEFAULT_MACHINE,
    FRAMES_PER_S,
    FRAMES_RANGE,
    MACHINES,
    MANY,
    OUTPUTS_RANGE,
    SEED_RANGE,
    TECHNOLOGIES,
    USUAL_FRAMES,
    USUAL_OUTPUTS,
    Workers,
    engine_option,
    mapping_objective_option,
    rate_option,
    ray_address_option,
    split_names,
)
from dse_cli.terminal import Screen

if TYPE_CHECKING:
    from search.on_ray.cluster import RayOptions

LARGEST = 1_000_000_000
"""Designs that are priced without being asked for a sample: about an hour."""

MIN_WIDTH = 110  # columns: a table that is piped into a file is not cut

HEADINGS = {"energy_pj": "energy", "trained_parameters": "trained", "area_um2": "area"}
"""Short names for the table."""

SHOWN = 16
"""Rows of the frontier that are printed; the file has all."""


@click.command(short_help="Price a whole space without training.")
@click.argument("space", type=click.Path(path_type=Path))
@click.option(
    "--machine",
    "machines",
    multiple=True,
    help=f"{MACHINES}; several times for several.  [default: the study's, or {DEFAULT_MACHINE}]",
)
@click.option(
    "--technology",
    help=f"{TECHNOLOGIES}, instead of the machines' own; several, separated by commas, price each "
    "machine in each.",
)
@mapping_objective_option
@click.option(
    "--frames", type=FRAMES_RANGE, help=f"Input frames.  [default: the study's, or {USUAL_FRAMES}]"
)
@click.option(
    "--outputs", type=OUTPUTS_RANGE, help=f"Classes.  [default: the study's, or {USUAL_OUTPUTS}]"
)
@rate_option("Inferences a second, of average_power_uw.  [default: the study's, or 1]")
@click.option(
    "--stream",
    "hop",
    type=FRAMES_RANGE,
    help="Price designs as they listen to a stream, too, so many new frames at a time.  [default: "
    "as the study says]",
)
@click.option(
    "--workers",
    type=Workers(),
    help="Processes that price: a number, or auto. The result does not depend on it.  [default: "
    "auto: one a core, and one alone for what is priced in seconds]",
)
@click.option("--sample", type=click.IntRange(1, MANY), help="Price so many designs, at random.")
@click.option("--seed", type=SEED_RANGE, default=0, show_default=True, help="Of the sample.")
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
    default="sweep.parquet",
    metavar="FILE|FOLDER|URL",
    show_default=True,
    help="Parquet of all designs: a file; with --engine ray a folder that all nodes see, or a URL, "
    "of files in parts. The frontier goes beside it as CSV, of a URL into this folder.",
)
@engine_option
@ray_address_option
@click.option("--replace", is_flag=True, help="Replace the files of a sweep before this one.")
def command(
    space: Path,
    machines: tuple[str, ...],
    technology: str | None,
    objective: Objective,
    frames: int | None,
    outputs: int | None,
    rate: float | None,
    hop: int | None,
    workers: int | None,
    sample: int | None,
    seed: int,
    limits: tuple[str, ...],
    minimise: str,
    maximise: str,
    out: str,
    engine: str,
    ray_address: str | None,
    replace: bool,
) -> None:
    """Price every design of SPACE on every machine, or a sample of them; train nothing.

    SPACE is a study file, of which the space, the machines, the limits on costs, and the sizes of
    task and features are used; or a YAML file with a `space` section and, where wanted, `machine`,
    `technology` or `hardware`, and `limits`.

    \b
      dse sweep examples/demo.yaml
      dse sweep examples/demo.yaml --machine kws_int8 --machine kws_ternary --sample 100000
      dse sweep examples/demo.yaml --stream 4 --minimise listening_power_uw,wait_us
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    console = Screen(highlight=False)
    given = _read(space)
    pairs = [_loaded(name) for name in dict.fromkeys(machines)]
    pairs = pairs or [(each.accelerator, each.technology) for each in given.hardware.machines]
    chosen = _in_technologies(pairs, split_names(technology), objective)
    listening = given.listening if hop is None else Listening(hop, given.frame_ms)
    limits_asked = (*given.budget.limits, *_read_limits(limits))
    if listening is not None:
        _check_hop(listening, frames or given.frames)
        limits_asked = in_time(limits_asked, "hop_latency_us", listening.hop_us)
    optimised = _read_objectives(minimise, maximise)
    if listening is None:
        _refuse_stream_columns((*optimised, *(limit.column for limit in limits_asked)))
    job = SweepJob(
        space=given.space,
        machines=tuple(chosen),
        frames=frames or given.frames,
        outputs=outputs or given.outputs,
        budget=Budget(limits_asked),
        rate=rate or given.rate,
        sample=sample,
        seed=seed,
        objectives=optimised,
        listening=listening,
    )
    csv = Path(Path(out).name if "://" in out else out)
    csv = csv.with_name(f"{csv.stem}-frontier.csv")
    _check_out(out, engine, ray_address)
    if engine == "ray" and workers is not None:
        raise InvalidInput("--workers is for this machine: on Ray, the cluster says how many")
    if not replace:
        _refuse_existing(Path(out), csv)
    sweep = make_sweep(job)
    begun = time.perf_counter()
    with ExitStack() as stack:
        on_ray, crew = None, 1
        if engine == "ray":
            from search.on_ray.cluster import RayOptions, connected, room

            on_ray = RayOptions(address=ray_address)
            stack.enter_context(connected(ray_address))
            crew = room(on_ray)
        if sample is None and sweep.size > crew * LARGEST:
            raise InvalidInput(
                f"{space} has {sweep.size:,} designs, more than the {crew * LARGEST:,} that are "
                "priced in an hour or so: give --sample, 1000000 say, or narrow the space, or let "
                "more machines price it, with --engine ray"
            )
        workers = workers or choose_workers(sweep, sample)
        done = _run(job, sweep, out, on_ray, workers, console)
    seconds = time.perf_counter() - begun
    rows = done.frontier.rows()
    _write_frontier(rows, csv)
    _print(rows, _columns(job), console)
    console.print(
        f"{done.priced:,} designs priced on {len(job.machines)} machine"
        f"{'s' if len(job.machines) > 1 else ''} in {seconds:,.1f} s "
        f"({done.priced / seconds:,.0f} a second), {done.feasible:,} of them feasible; the space "
        f"has {sweep.size:,}. One inference: {job.frames} frames, {job.outputs} outputs."
        + (f" Listening: {job.listening.words}." if job.listening else "")
    )
    for words in _matrix_words(done, rows, job.space):
        console.print(words, markup=False)
    if len(job.machines) > 1:
        own = (own_words(each.accelerator, each.technology) for each in job.machines)
        for words in filter(None, own):
            console.print(f"{words}.", markup=False)
    for words in power_caveats((each.accelerator for each in job.machines), _columns(job)):
        console.print(words, markup=False)
    console.print(f"All: {_shown(out)}   frontier: {csv}", markup=False, soft_wrap=True)
    if not rows:
        raise SystemExit(1)


def _check_out(out: str, engine: str, ray_address: str | None) -> None:
    if engine != "ray" and ray_address is not None:
        raise InvalidInput("--ray-address is for --engine ray")
    if engine != "ray" and "://" in out:
        raise InvalidInput(f"--out {_shown(out)} is a URL, which is for --engine ray: name a file")
    if Path(out.partition("?")[0] if "://" in out else out).suffix != ".parquet":
        raise InvalidInput(f"--out must end in .parquet, not '{Path(_shown(out)).name}'")
    if engine != "ray" and Path(out).is_dir():
        raise InvalidInput(f"--out {out} is a folder, of a sweep on Ray: name another file")
    if engine == "ray" and Path(out).is_file():
        raise InvalidInput(f"--out {out} is a file, and --engine ray makes a folder: name another")


def _refuse_existing(*paths: Path) -> None:
    """A sweep of hours ago must not be lost to one with another limit."""
    for path in paths:
        if path.exists():
            raise InvalidInput(f"{path} is there already: name another --out, or give --replace")


def _shown(out: str) -> str:
    """A place without the password that its URL may hold."""
    if "://" not in out:
        return out
    from search.urls import place_url

    return str(place_url(out))


def _run(
    job: SweepJob,
    sweep: Sweep,
    out: str,
    on_ray: "RayOptions | None",
    workers: int,
    console: Console,
) -> SweepDone:
    """Price, here or on the cluster, behind a bar."""
    total = min(job.sample or sweep.size, sweep.size) * len(job.machines)
    bars = Progress(
        TextColumn("pricing"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        task, begun = bars.add_task("", total=total, rate=""), time.perf_counter()

        def report(priced: int) -> None:
            rate = priced / (time.perf_counter() - begun)
            bars.update(task, completed=priced, rate=f"{rate:,.0f} a second, left")

        if on_ray is None:
            return _price_here(job, sweep, Path(out), workers, report)
        from search.on_ray.sweep import sweep_on_ray

        return sweep_on_ray(job, out, on_ray, report)


def _price_here(
    job: SweepJob, sweep: Sweep, out: Path, workers: int, report: Callable[[int], None]
) -> SweepDone:
    """Price, write and collect chunk by chunk.

    The file takes its name only when it is complete: a sweep that is stopped leaves the one from
    before as it was.
    """
    priced = feasible = dead = 0
    frontier = Frontier(job.objectives)
    about = describe_sweep(sweep, job.sample, job.seed)
    with (
        replacing(out) as temporary,
        ParquetFile(temporary, sweep.space, about, job.columns) as file,
        closing(price_units(job, sweep, workers, frontier)) as units,
    ):
        for unit in units:
            for chunk in unit.chunks:
                file.write(chunk)
                priced += len(chunk.digits)
                feasible += int(chunk.feasible.sum())
                report(priced)
            frontier.join(unit.frontier)
            dead += unit.dead
    return SweepDone(priced=priced, feasible=feasible, frontier=frontier, dead=dead)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What a file may say that is no study."""

    space: Any
    machine: str = DEFAULT_MACHINE
    technology: str | None = None
    hardware: HardwareSection | None = None
    limits: dict[str, Bound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What is swept, and on what, unless options say otherwise."""

    space: SearchSpace
    hardware: Hardware
    budget: Budget
    frames: int
    outputs: int
    rate: float = 1.0
    listening: Listening | None = None
    frame_ms: float = MS_PER_S / FRAMES_PER_S


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
            hardware=study.hardware,
            budget=study.budget,
            frames=study.features.frames,
            outputs=study.task.usual_classes,
            rate=study.inferences_per_second,
            listening=study.listening,
            frame_ms=study.features.hop_ms,
        )
    problems = Problems()
    with problems.part():
        file = build(_File, node)
    with problems.part():
        space = space_from_node(node.value["space"], folders=(path.parent,))
    budget = Budget()
    with problems.part():
        if "limits" in node.value:
            budget = budget_from_node(node.value["limits"], (*COST_COLUMNS, *STREAM_COLUMNS))
    problems.tell()
    usual = USUAL[space.family.head]
    return _Given(
        space=space,
        hardware=read_hardware(file, node, path.parent),
        budget=budget,
        frames=usual.frames,
        outputs=usual.outputs,
    )


def _loaded(name: str) -> tuple[Accelerator, Technology]:
    accelerator = load_accelerator(name)
    return accelerator, load_technology_of(accelerator, name)


def _in_technologies(
    pairs: Iterable[tuple[Accelerator, Technology]], names: list[str], objective: Objective
) -> list[Machine]:
    """Machines in their own technologies, in another one, or in each of several.

    Of several, names of machines say which: rows name their machine by it.
    """
    if not names:
        return [Machine(machine, constants, objective) for machine, constants in pairs]
    others = [load_technology(name) for name in names]
    return [
        Machine(
            in_technology(machine, other) if len(others) > 1 else machine,
            other,
            objective,
        )
        for machine, _ in pairs
        for other in others
    ]


def _read_limits(limits: Iterable[str]) -> tuple[Limit, ...]:
    limits = list(limits)
    for limit in limits:
        if not re.fullmatch(r"\s*\w+\s*=[^,;\n]+", limit):
            raise InvalidInput(
                "--limit must be one limit such as max_trained_parameters=80000, not "
                f"{short(limit)}"
            )
    text = "\n".join(limit.replace("=", ": ", 1) for limit in limits)
    columns = (*COST_COLUMNS, *STREAM_COLUMNS)
    return budget_from_node(parse_yaml(text, "--limit"), columns).limits if text else ()


def _check_hop(listening: Listening, frames: int) -> None:
    if listening.hop_frames > frames:
        raise InvalidInput(
            f"a hop of {listening.hop_frames} frames is longer than the {frames} frames of an "
            "inference: use a shorter --stream, or more --frames"
        )


def _refuse_stream_columns(columns: Iterable[str]) -> None:
    for name in columns:
        if name in STREAM_COLUMNS:
            raise InvalidInput(
                f"{name} is of a design that listens to a stream: say how many frames it takes at "
                "a time, such as --stream 4"
            )


def _read_objectives(minimise: str, maximise: str) -> dict[str, float]:
    """Column -> 1 where it is minimised, -1 where it is maximised."""
    known = ("weights", *COST_COLUMNS, *STREAM_COLUMNS)
    objectives: dict[str, float] = {}
    for text, sign in ((minimise, 1.0), (maximise, -1.0)):
        for name in filter(None, (part.strip() for part in text.split(","))):
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f": did you mean '{close[0]}'?" if close else ";"
                raise InvalidInput(
                    f"there is no column {short(name)}{hint} columns are {', '.join(known)}"
                )
            if name in objectives:
                raise InvalidInput(f"'{name}' is both minimised and maximised: choose one")
            objectives[name] = sign
    if not objectives:
        raise InvalidInput("a frontier needs a column: give --minimise or --maximise")
    return objectives


def _matrix_words(done: SweepDone, rows: Sequence[Row], space: SearchSpace) -> Iterator[str]:
    """What the draw of the ternary matrices came to: dead networks, and zeros on the frontier."""
    if done.dead:
        yield (
            f"{done.dead:,} designs are dead, so not feasible: of the matrices around a block none "
            "has an entry, and the scores do not depend on the input; a higher density, or the "
            "generator one_hot, leaves none of them."
        )
    step = max(1, -(-len(rows) // SHOWN))
    for row in rows[::step]:
        axes = {key.removeprefix("axis_"): row[key] for key in row if key.startswith("axis_")}
        point = space.point(axes)
        if words := matrix_words(point):
            yield f"Of the frontier, {point.summary}: {words}."
            return


def _write_frontier(rows: list[Row], path: Path) -> None:
    write_text(path, csv_records(rows))


def _columns(job: SweepJob) -> list[str]:
    """Of the table that is printed."""
    named = (*job.objectives, "trained_parameters", "energy_pj", "area_um2")
    return list(dict.fromkeys(named))


def _print(rows: list[Row], columns: list[str], console: Console) -> None:
    if not rows:
        console.print("No design is feasible: widen the space or the limits.")
        return
    console.width = max(console.width, MIN_WIDTH)
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
