"""`dse search`: search a design space, or resume a search.

What is slow to load (torch, Optuna, Ray) is imported where it is used, so that a mistake in a study
file is told at once.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource
from rich.console import Console

from dse.errors import InvalidInput
from dse.pricing.application import power_caveats
from dse.studies.folder import RESOLVED
from dse.studies.study import open_study, read_folder
from dse_cli.frontier import show_frontier
from dse_cli.options import (
    MANY,
    MOST_WORKERS,
    Number,
    Workers,
    cache_option,
    check_folder_name,
    engine_option,
    ray_address_option,
    storage_option,
    threads_option,
)
from dse_cli.terminal import Screen

if TYPE_CHECKING:
    from dse.studies.spec import StudySpec
    from search.check import SpaceCheck

EPILOG = """A study file names data, space, machine, objectives, limits and effort;
examples/demo.yaml is a small one, docs/how-to/search.md describes every key. Exit codes: 0 done,
1 no design that keeps all limits was trained, 2 input that you can mend, 130 stopped by Ctrl-C
(the same command resumes)."""


@click.command(epilog=EPILOG)
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of spoken words, in place of the study's data.folder.",
)
@click.option(
    "--out",
    metavar="FOLDER|URL",
    help="Folder of the study; with --engine ray also a URL that all nodes reach, such as "
    "s3://BUCKET/NAME, of which studies/NAME is this machine's copy.  [default: studies/NAME]",
)
@cache_option
@click.option(
    "--trainings", type=click.IntRange(1, MANY), help="In place of the study's trainings."
)
@click.option(
    "--controls",
    type=click.Choice(["none", "auto"]),
    help="In place of the study's controls; auto: the last trainings are dense designs, one of "
    "like trained parameters for each ternary one of the frontier that has none.",
)
@threads_option
@click.option(
    "--workers",
    type=Workers(),
    help="Designs trained at a time: a number, or auto. Of processes, each has one thread.  "
    "[default: auto: what the study began with, or what there is room for]",
)
@storage_option
@engine_option
@ray_address_option
@click.option(
    "--cpus-per-trial",
    type=Number(0, 1e6, min_open=True),
    default=1.0,
    show_default=True,
    help="With --engine ray: cores of a training.",
)
@click.option(
    "--gpus-per-trial",
    type=Number(0, 1e6),
    default=0.0,
    show_default=True,
    help="With --engine ray: GPUs of a training, or a part of one.",
)
@click.option(
    "--features",
    type=click.Choice(["store", "nodes"]),
    default="store",
    show_default=True,
    help="With --engine ray: features come from Ray's object store, or each node makes them from "
    "its own copy of the data.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Read the study, look at its data, price its space, say what it comes to, and stop.",
)
def command(
    study: Path,
    data: Path | None,
    out: str | None,
    cache: Path | None,
    trainings: int | None,
    controls: Literal["none", "auto"] | None,
    threads: int | None,
    workers: int | None,
    storage: str | None,
    engine: str,
    ray_address: str | None,
    cpus_per_trial: float,
    gpus_per_trial: float,
    features: str,
    check: bool,
) -> None:
    """Search the design space that STUDY describes.

    STUDY is a study file, or the folder of a study to resume. Candidates are priced first; those
    within all limits are trained. Ctrl-C, or kill -9 at any moment, loses at most the epoch in
    training: the same command goes on.
    """
    if engine != "ray" and (
        ray_address or cpus_per_trial != 1 or gpus_per_trial or features != "store"
    ):
        raise InvalidInput(
            "--ray-address, --cpus-per-trial, --gpus-per-trial and --features are for --engine ray"
        )
    url = out if out is not None and "://" in out else ""
    if url and engine != "ray":
        raise InvalidInput(
            f"--out {_hidden(url)} is a URL, which is for --engine ray: name a folder"
        )
    spec, given = read_folder(study, data=data, trainings=trainings, controls=controls)
    console = Screen(highlight=False, soft_wrap=True)
    if check:
        _print_check(spec, console)
        return
    if threads is not None:
        from dse.training.devices import set_threads  # loads torch

        set_threads(threads)
    folder = study if study.is_dir() else Path("studies") / spec.name
    if out is not None and not url:
        folder = Path(out)
        check_folder_name(folder)
    again = _say_again(folder)
    with ExitStack() as stack:
        on_ray = None
        if engine == "ray":
            from search.on_ray.cluster import RayOptions, connected, room

            on_ray = RayOptions(
                address=ray_address,
                cpus=cpus_per_trial,
                gpus=gpus_per_trial,
                workers=workers,
                features="store" if features == "store" else "nodes",
            )
            stack.enter_context(connected(ray_address))
            workers = workers or min(room(on_ray), MOST_WORKERS)
        workers = workers or usual_workers(spec, folder, threads)
        place = None
        if storage is not None:
            from search.storages import storage_url

            place = storage_url(storage)
        search = partial(
            _search, spec, given, folder, cache=cache, workers=workers, url=url, storage=place
        )
        search(on_ray=on_ray, console=console, again=again)


def _say_again(folder: Path) -> str:
    """The command that goes on after Ctrl-C: the study's folder, and each option that was typed.

    Without what the folder itself says by then (file, place, data); passwords are hidden.
    """
    context = click.get_current_context()
    words = ["dse", "search", str(folder)]
    for name, value in context.params.items():
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not typed or name in ("study", "data", "check") or value is None:
            continue
        if name == "out" and "://" not in value:
            continue
        shown = HIDING[name](value) if name in HIDING else str(value)
        words += [f"--{name.replace('_', '-')}", shown]
    return shlex.join(words)


def _hidden(url: str) -> str:
    from search.urls import place_url

    return str(place_url(url))


def _hidden_storage(url: str) -> str:
    from search.storages import storage_url  # loads Optuna

    return str(storage_url(url))


HIDING = {"out": _hidden, "storage": _hidden_storage}
"""Options that may hold a password, and what shows them without."""


def _print_check(spec: "StudySpec", console: Console) -> None:
    """Say what a study is, what its space comes to, and what its data say against it.

    Raises:
        InvalidInput: its data or its prior cannot be used; or no design is within the limits.
    """
    from dse.design.space import check_not_empty
    from search.check import check_data, check_space
    from search.experience import check_prior

    check_not_empty(spec.space)
    check_prior(spec)
    hardware = spec.hardware
    lost = ""
    if hardware.skipped:
        lost = f" ({hardware.skipped} more cannot exist; the first: {hardware.reason})"
    limits = (*spec.budget.limits, *spec.measured_budget.limits)
    console.print(
        f"{spec.name}: {spec.space.size:,} designs of {len(spec.space.choices)} axes on "
        f"{spec.machine_words}{lost}; minimises {', '.join(spec.objectives)}; "
        f"{', '.join(map(str, limits)) or 'no limits'}; "
        f"ends after {_ends_words(spec)}"
        f"{controls_words(spec)}",
        markup=False,
    )
    trouble, outputs = None, spec.task.usual_classes
    try:
        data = check_data(spec)
    except InvalidInput as error:
        trouble = error  # the space is worth a look all the same
    else:
        outputs = data.outputs
        counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
        console.print(f"data: {data.words}: {counts}", markup=False)
        for finding in data.findings:
            console.print(f"  {finding}", markup=False)
    found = check_space(spec, outputs)
    for line in _say_space(found, spec):
        console.print(line, markup=False)
    if trouble is not None:
        raise trouble
    if not found.feasible and found.whole:
        raise InvalidInput(_say_nothing(found, spec))


def _say_nothing(found: "SpaceCheck", spec: "StudySpec") -> str:
    """What keeps every design of a space away, and what to change."""
    on = "one of the machines" if spec.several_machines else "the machine"
    if not found.executed:
        return f"{on} executes no design of the space: choose another, or change what keeps it off"
    if not found.listen:
        return f"no design of the space can be listened to: {found.no_hop}"
    if not found.held:
        return f"no design of the space fits the memories of {on}: choose smaller designs, or more"
    return "no design of the space keeps the limits: widen the space or a limit"


def _ends_words(spec: "StudySpec") -> str:
    """`20 trainings or 1000 candidates or 2 hours`: every limit to the effort."""
    words = [f"{spec.trainings} trainings", f"{spec.candidates} candidates"]
    words += [f"{spec.epochs} epochs"] if spec.epochs is not None else []
    words += [f"{spec.hours:g} hours"] if spec.hours is not None else []
    if spec.patience is not None:
        words.append(
            f"{spec.patience.trainings} trainings that raise the hypervolume by less than "
            f"{spec.patience.improvement:.2%}"
        )
    return " or ".join(words)


def _say_space(found: "SpaceCheck", spec: "StudySpec") -> Iterator[str]:
    """Counts from all designs priced to those that keep all limits."""
    which = "all of them" if found.whole else "at random"
    yield f"of {found.priced:,} designs, {which}:"
    dead = ""
    if found.dead:
        dead = (
            f", {found.dead:,} more dead ones: no matrix around a block of theirs has an entry, so "
            "a higher density or the generator one_hot is wanted"
        )
    yield f"  {found.built:6,}  are networks{dead}"
    why = f", others none: {found.not_executed}" if found.not_executed else ""
    on = "one of the machines" if spec.several_machines else "the machine"
    yield f"  {found.executed:6,}  {on} executes{why}"
    if spec.listening is not None:
        why = f", others do not: {found.no_hop}" if found.no_hop else ""
        yield f"  {found.listen:6,}  listen by {spec.listening.words}{why}"
    yield f"  {found.held:6,}  fit its memories"
    for each in found.limits:
        yield f"  {each.passes:6,}  keep {each.limit}"
    yield f"  {found.feasible:6,}  keep all of it"
    binding = found.binding
    if binding is not None:
        yield f"binding limit: {binding.limit}; without it {binding.without:,} would"
    elif found.limits:
        yield "no single limit binds"
    for limit in spec.measured_budget.limits:
        yield f"{limit}: only a training tells"
    columns = (*spec.objectives, *(limit.column for limit in spec.budget.limits))
    yield from power_caveats((each.accelerator for each in spec.machines), columns)
    if found.unused and spec.several_machines:
        some = "; ".join(found.unused[:3]) + ("; ..." if len(found.unused) > 3 else "")
        yield f"no design suits {len(found.unused)} of {len(spec.machines)} machines: {some}"


def controls_words(spec: "StudySpec") -> str:
    """What of the trainings goes to dense controls; empty where none does."""
    if spec.controls == "none":
        return ""
    return (
        "; controls: auto, so the last of these trainings are dense controls, one for each ternary "
        "design of the frontier that no dense one equals in trained parameters"
    )


def recorded_workers(folder: Path) -> int | None:
    """Trainings at a time that the study of a folder began with; None for a new one.

    A resumed search keeps the number: which results the sampler knows when it proposes the next
    design depends on it (`search.loop`), so with another one the study would get other rows.
    """
    if not (folder / RESOLVED).exists():
        return None
    return open_study(folder).begun.workers


def usual_workers(spec: "StudySpec", folder: Path, threads: int | None) -> int:
    """As many as the study began with; for a new one, what the machine has room for.

    Args:
        spec: the study; its device decides whether cores or a GPU are shared.
        folder: of the study, which need not exist.
        threads: CPU threads that may be used; None for all that this process may run on, which
            under a batch system or in a container can be fewer than the machine has.
    """
    recorded = recorded_workers(folder)
    if recorded is not None:
        return recorded
    from dse.training.batches import free_memory_bytes  # loads torch
    from dse.training.devices import choose_device
    from search.workers import choose_workers

    cores = min(threads or MOST_WORKERS, len(os.sched_getaffinity(0)))
    return choose_workers(str(choose_device(spec.device)), cores, free_memory_bytes())


def _search(
    spec: "StudySpec",
    given: str,
    folder: Path,
    *,
    console: Console,
    again: str,
    workers: int,
    **options: Any,
) -> None:
    """Search, print the frontier; after Ctrl-C, say which command goes on, and exit with 130."""
    from search.progress import TerminalProgress
    from search.study import run_study

    try:
        with TerminalProgress(console, spec.measured) as progress:
            beside = f", {workers} trainings at a time" if workers > 1 else ""
            console.print(f"study {spec.name} in {folder}{beside}", markup=False)
            outcome = run_study(spec, given, folder, progress, workers=workers, **options)
    except KeyboardInterrupt:
        # Before the features are ready, there is no folder to go on with.
        begun = (folder / RESOLVED).exists()
        command = again if begun else "the same command"
        console.print(
            f"stopped; nothing evaluated is lost. Go on with: {command}", style="bold", markup=False
        )
        raise SystemExit(130) from None
    console.print(f"{outcome.words}\n", markup=False)
    if not show_frontier(folder, console):
        raise SystemExit(1)
