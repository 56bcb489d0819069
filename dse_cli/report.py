"""`dse report`: the cost report of a study, or of designs on machines."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from cost_models.application import Use
from dse.design.point import USUAL
from dse.errors import InvalidInput
from dse.networks.module_file import is_module_file
from dse.report.content import Report
from dse.report.designs import designs_report
from dse.report.study import study_report
from dse.report.writing import FORMATS, write_report
from dse.studies.folder import RESOLVED
from dse.studies.study import open_study
from dse_cli.asked import Asked, load_design, read_network
from dse_cli.options import (
    BATTERY_MWH,
    DEFAULT_MACHINE,
    FILE_ENDING,
    FRAMES_RANGE,
    MACHINES,
    OUTPUTS_RANGE,
    TECHNOLOGIES,
    USUAL_FRAMES,
    USUAL_OUTPUTS,
    Number,
    battery_option,
    rate_option,
    split_names,
)
from dse_cli.terminal import say


@click.command(short_help="Write the cost report of a study or of designs.")
@click.argument("sources", metavar="STUDY|DESIGN...", nargs=-1, required=True)
@click.option(
    "--machine",
    "machines",
    multiple=True,
    help=f"{MACHINES}; several times for several. "
    "Of a study: further ones beside its own.  [default: of designs, kws_ternary]",
)
@click.option(
    "--technology",
    help=f"{TECHNOLOGIES}, instead of the machines' own; several, separated by commas, price each "
    "machine in each. Of designs only.",
)
@click.option(
    "--design",
    "chosen",
    multiple=True,
    help="Design of the study to show in full: a trial number or a key; several times for several. "
    " [default: those that the answer is about]",
)
@click.option(
    "--format",
    "formats",
    help=f"Formats, separated by commas: {', '.join(FORMATS)}.  [default: html, or as --out ends]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write into, or a file that ends in .html, .pdf, .json or .xlsx.  "
    "[default: STUDY/report, or report]",
)
@rate_option("Inferences a second for the average power.  [default: the study's, or 1]")
@battery_option
@click.option(
    "--max-error",
    type=Number(0, 100),
    help="Error in percent that you can bear: the answer is the cheapest design of the study "
    "within it.  [default: none, the answer is the lowest error]",
)
@click.option(
    "--frames",
    type=FRAMES_RANGE,
    help=f"Input frames; of designs only, a study has its own.  [default: a NeMo file's own, or "
    f"{USUAL_FRAMES}]",
)
@click.option(
    "--outputs",
    type=OUTPUTS_RANGE,
    help=f"Classes; of designs only.  [default: a NeMo file's own, or {USUAL_OUTPUTS}]",
)
def command(
    sources: tuple[str, ...],
    machines: tuple[str, ...],
    technology: str | None,
    chosen: tuple[str, ...],
    formats: str | None,
    out: Path | None,
    rate: float | None,
    battery_mwh: float,
    max_error: float | None,
    frames: int | None,
    outputs: int | None,
) -> None:
    """Write a report for the design review: what to build and why, with all figures behind it.

    STUDY is a study's folder; what follows it are further designs to show beside its own. DESIGN is
    a YAML file of ours or of NeMo, the name of a published network, or a folder with a design.yaml;
    or a network of your own, layer by layer: a graph in ONNX, or a Python file with a function that
    returns a PyTorch module and an example of its input. The file is run.

    \b
      dse report studies/demo
      dse report studies/demo --machine kws_int8 --format html,pdf,xlsx --out review
      dse report studies/demo --max-error 5
      dse report studies/demo --design 7 --design 12 --rate 10
      dse report matchboxnet-3x1x64-P3 --machine kws_ternary --machine kws_int8 --out p3.pdf
      dse report my_net.py:build --machine kws_int8 --out my_net.html
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    wanted = _formats(formats, out)
    study = _study(sources)
    usual = 1.0 if study is None else open_study(study).asked.inferences_per_second
    rate = usual if rate is None else rate
    used = {"rate": (rate, usual), "battery-mwh": (battery_mwh, BATTERY_MWH)}
    use = Use(inferences_per_second=rate, battery_mwh=battery_mwh)
    if study is None:
        if chosen:
            raise click.UsageError("--design chooses from a study: name its folder first")
        if max_error is not None:
            raise click.UsageError("--max-error chooses from a study: name its folder first")
        asked = [read_network(source, None, frames, outputs) for source in sources]
        designs = [each for each in asked if isinstance(each, Asked)]
        usual_size = USUAL[designs[0].point.head if designs else "pooled"]
        given = frames
        frames = _one("frames", [each.frames for each in designs] or [usual_size.frames])
        outputs = _one("outputs", [each.outputs for each in designs] or [usual_size.outputs])
        words = [*_pairs("machine", map(_short, machines))]
        if technology is not None:
            words += ["--technology", ",".join(map(_short, split_names(technology)))]
        words += _numbers(
            # Layers have their own, but for a graph that leaves its frames open.
            frames=(frames, usual_size.frames) if designs else (given, None),
            outputs=(outputs, usual_size.outputs),
            **used,
        )
        report = designs_report(
            [each.point if isinstance(each, Asked) else each.layers for each in asked],
            machines=machines or (DEFAULT_MACHINE,),
            technologies=split_names(technology),
            frames=frames,
            outputs=outputs,
            use=use,
            notes=[note for each in asked for note in each.notes],
            commands=[shlex.join(["dse", "report", *map(_short, sources), *words])],
        )
        folder = Path("report")
    else:
        _refuse("technology", "frames", "outputs")
        further = [source for source in sources if Path(source) != study]
        report = study_report(
            study,
            machines=machines,
            designs=[load_design(source) for source in further],
            chosen=chosen,
            use=use,
            max_error=max_error,
            options=[
                *map(_short, further),
                *_pairs("machine", map(_short, machines)),
                *_pairs("design", chosen),
                *_numbers(**used, **{"max-error": (max_error, None)}),
            ],
        )
        folder = study / "report"
    for path in write_report(report, out or folder, wanted):
        say(path)
    _print_answer(report, study)


def _formats(formats: str | None, out: Path | None) -> list[str]:
    if formats is None:
        suffix = "" if out is None or out.is_dir() else out.suffix.removeprefix(".")
        if suffix in FORMATS:
            return [suffix]
        if out is not None and not out.is_dir() and FILE_ENDING.fullmatch(out.suffix):
            raise InvalidInput(
                f"--out {out} ends in .{suffix}, which is none of {', '.join(FORMATS)}: name a "
                "file of one of these, or a folder"
            )
        return ["html"]
    wanted = [name for part in formats.split(",") if (name := part.strip().lower())]
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        what = f"there is no format {unknown[0]!r}" if unknown else "--format names none"
        raise InvalidInput(f"{what}: formats are {', '.join(FORMATS)}")
    return wanted


def _study(sources: Sequence[str]) -> Path | None:
    """The study among the sources; a folder that is neither study nor design is taken for one."""
    studies = [
        Path(source)
        for source in sources
        if os.path.isdir(source)
        and (
            os.path.exists(os.path.join(source, RESOLVED))
            or not os.path.exists(os.path.join(source, "design.yaml"))
        )
    ]
    if len(set(studies)) > 1:
        raise InvalidInput(
            f"one study at a time: {studies[0]} and {studies[1]} are two; make a report of each"
        )
    return studies[0] if studies else None


def _refuse(*names: str) -> None:
    """A study has its own machine, frames and classes: an error for those that were typed.

    click is asked where a value is from, since a default looks like what was typed.
    """
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} comes from the study: leave it out")


def _one(name: str, found: Sequence[int]) -> int:
    """What the designs of a report agree in: their figures stand in one table.

    Raises:
        InvalidInput: a NeMo file among them says another number.
    """
    if len(set(found)) > 1:
        raise InvalidInput(
            f"the designs are of {' and '.join(map(str, dict.fromkeys(found)))} {name}: give "
            f"--{name}, so that their figures compare, or make a report of each"
        )
    return found[0]


def _pairs(name: str, values: Iterable[str]) -> Iterator[str]:
    """An option once for each value."""
    for value in values:
        yield from (f"--{name}", value)


def _numbers(**found: tuple[float | None, float | None]) -> list[str]:
    """Options whose number is not the usual one."""
    return [
        word
        for name, (value, usual) in found.items()
        if value is not None and value != usual
        for word in (f"--{name}", f"{value:.15g}")
    ]


def _short(source: str) -> str:
    if os.path.exists(source) or is_module_file(source):
        return os.path.basename(os.path.normpath(source))
    return source


def _print_answer(report: Report, study: Path | None) -> None:
    """The answer, so that nobody need open the report to know it, with commands that run."""
    answer = report.sections[0]
    for text in (*answer.sentences[1:], *answer.points):
        say(f"\n{text if study is None else _with_folder(text, study)}")


def _with_folder(text: str, study: Path) -> str:
    """A text in whose commands the study's folder stands for STUDY; a report names no folder."""
    return re.sub(r"(`dse \w+ )STUDY\b", lambda found: found[1] + shlex.quote(str(study)), text)
