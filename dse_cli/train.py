"""`dse train`: one design or published baseline, on a folder of words or of sentences."""

import dataclasses
import re
import shlex
import statistics
import sys
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cost_models.reading import build
from cost_models.strict_yaml import dump_yaml, read_yaml
from dse.design.matrices import matrix_words
from dse.design.point import USUAL, DesignPoint, Sizes
from dse.errors import TrainingFailed
from dse.files import write_text
from dse.networks.lowering import lower
from dse.speech.features import SpeechFeatures, load_features
from dse.speech.sentence_features import load_sentences
from dse.speech.sentences import SentenceFeatures
from dse.speech.task import FeatureSpec, Task
from dse.speech.transcription import Transcription
from dse.training.best_scores import read_best_scores
from dse.training.checkpoint import load_network
from dse.training.devices import Path as ComputationPath
from dse.training.devices import describe_device, set_threads
from dse.training.history import TrainingResult
from dse.training.objective import Features
from dse.training.recipe import RECIPES, Recipe, load_recipe
from dse.training.run import BEST, EpochRecord, check_design, evaluate, train
from dse.training.scores import Scores, wilson_interval
from dse_cli.asked import load_design
from dse_cli.options import (
    MANY,
    SEED_RANGE,
    Folder,
    Number,
    threads_option,
)
from dse_cli.terminal import Screen, say
from dse_cli.train_briefly import try_steps
from dse_cli.train_sentences import (
    introduce_sentences,
    refuse_options,
    report_sentences,
    sentence_spec,
    sentence_state,
    sentence_task,
)

WORST_PAIRS = 5
OF_WORDS = ("words", "unknown", "unknown_fraction", "silence")
OF_SENTENCES = ("characters", "measure")
"""Options of one task, by the names of their parameters."""


@click.command(short_help="Train one design or a published baseline.")
@click.argument("design")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of words in the layout of Speech Commands, or of sentences.",
)
@click.option(
    "--recipe",
    default="default",
    show_default=True,
    help=f"Recipe: {', '.join(RECIPES)}, or a YAML file.",
)
@click.option("--epochs", type=click.IntRange(1, MANY), help="Instead of the recipe's.")
@click.option(
    "--task",
    "kind",
    type=click.Choice(["commands", "all_words", "words", "transcription"]),
    help="Ten command words (the default), every word of the folder, or those of --words; or write "
    "down sentences.",
)
@click.option("--words", help="Words to tell apart, separated by commas.")
@click.option(
    "--unknown/--no-unknown", default=True, show_default=True, help="A class of all other words."
)
@click.option(
    "--unknown-fraction",
    default=Task().unknown_fraction,
    type=Number(),
    show_default=True,
    help="Unknown clips per clip of the words, at most: above 0, up to 1.",
)
@click.option("--silence/--no-silence", default=True, show_default=True, help="A class of silence.")
@click.option(
    "--characters",
    type=click.Path(path_type=Path),
    help="Of sentences: file with one character a line.  [default: blank, a to z, ']",
)
@click.option(
    "--error",
    "measure",
    type=click.Choice(["cer", "wer"]),
    default="cer",
    show_default=True,
    help="Of sentences: the best epoch is that of the lowest character or word error rate.",
)
@click.option(
    "--features",
    "features_file",
    type=click.Path(path_type=Path),
    help="YAML file with settings of the features, such as {kind: log_mel, variants: 4}.",
)
@click.option("--seed", default=1, show_default=True, type=SEED_RANGE, help="Seed.")
@click.option(
    "--seeds",
    default=1,
    show_default=True,
    type=click.IntRange(1, MANY),
    help="Train so many times, with seeds from --seed up, and report the spread.",
)
@click.option(
    "--out",
    type=Folder(),
    help="Folder; seed N goes to seed-N in it.  [default: trained/DESIGN]",
)
@click.option(
    "--max-steps",
    type=click.IntRange(2, MANY),
    help="Make so many steps to see that they work and what they take, then stop; keep nothing.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@threads_option
@click.option(
    "--path",
    type=click.Choice(["auto", "fast", "plain"]),
    default="auto",
    show_default=True,
    help="How the network is computed; the same but for rounding (docs/evidence/performance.md).",
)
@click.option(
    "--resume/--fresh",
    default=True,
    show_default=True,
    help="Go on from the last finished epoch in the folder, or start afresh.",
)
@click.pass_context
def command(
    context: click.Context,
    design: str,
    data: Path,
    recipe: str,
    epochs: int | None,
    kind: str | None,
    words: str | None,
    unknown: bool,
    unknown_fraction: float,
    silence: bool,
    characters: Path | None,
    measure: Literal["cer", "wer"],
    features_file: Path | None,
    seed: int,
    seeds: int,
    out: Path | None,
    max_steps: int | None,
    device: str,
    threads: int | None,
    path: ComputationPath,
    resume: bool,
) -> None:
    """Train DESIGN on a folder of speech, and say how well it tells words or writes down sentences.

    DESIGN is a YAML file, or the name of a published network with or without a policy of ternary
    matrices. Ctrl-C stops; the same command goes on from the last finished epoch.

    \b
      dse train matchboxnet-3x1x64 --data speech
      dse train matchboxnet-3x1x64-P1 --data speech --seeds 3
      dse train my_design.yaml --data speech --words yes,no --recipe my_recipe.yaml
      dse train my_design.yaml --data LibriSpeech --task transcription
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    console = Screen(highlight=False, soft_wrap=True)
    try:
        if threads is not None:
            set_threads(threads)
        sentences = kind == "transcription"
        refuse_options(context, OF_WORDS if sentences else OF_SENTENCES)
        point = load_design(design)
        task: Task | Transcription
        if sentences:
            spec, task = sentence_spec(features_file, point), sentence_task(characters, measure)
        else:
            spec = _features(features_file, point)
            task = _task(kind, words, unknown, unknown_fraction, silence)
        check_design(point, spec.coefficients, task)
        chosen = load_recipe(recipe)
        if epochs is not None:
            chosen = dataclasses.replace(chosen, epochs=epochs)
        where = describe_device(device, chosen, path)
        features = _load(console, data, task, spec)
        if isinstance(features, SentenceFeatures):
            introduce_sentences(console, point, features, chosen, where)
        else:
            _introduce(console, point, features, chosen, where)
        if max_steps is not None:
            try_steps(console, point, features, chosen, max_steps, seed, device, path)
            return
        folder = out if out is not None else Path("trained") / _file_name(point)
        tests: list[float] = []
        for number in range(seed, seed + seeds):
            place = folder / f"seed-{number}"
            result = _train(console, point, features, chosen, number, place, device, path, resume)
            if isinstance(features, SentenceFeatures):
                found = report_sentences(console, features, chosen, place, result, number)
                tests.append(found.error)
            else:
                tests.append(1 - _report(console, features, place, result, number).error)
    except KeyboardInterrupt:
        again = "the same command" if resume else "the same command without --fresh"
        say(f"\ndse: stopped; {again} goes on from the last finished epoch", err=True)
        sys.exit(130)
    except TrainingFailed as error:
        say(f"dse: {error}", err=True)
        sys.exit(1)
    if seeds > 1:
        _report_spread(console, tests, f"{measure.upper()} " if sentences else "")
    console.print(
        f"next        {_estimate_line(folder / f'seed-{seed}' / 'design.yaml', features)}   "
        "(what it costs in silicon)",
        markup=False,
    )


def _estimate_line(design: Path, features: Features) -> str:
    """The command that prices what was trained: for as many frames and outputs."""
    words = ["dse", "estimate", str(design)]
    if isinstance(features, SentenceFeatures):
        sizes = Sizes(features.spec.frames, features.task.usual_classes)
        usual = USUAL["framewise"]
    else:
        sizes = Sizes(int(features.training.features.shape[3]), len(features.classes))
        usual = USUAL["pooled"]
    for name, count in sizes._asdict().items():
        words += [f"--{name}", str(count)] if count != getattr(usual, name) else []
    return shlex.join(words)


def _task(
    kind: str | None, words: str | None, unknown: bool, unknown_fraction: float, silence: bool
) -> Task:
    listed = tuple(word.strip() for word in words.split(",") if word.strip()) if words else ()
    return Task(
        kind=kind or ("words" if listed else "commands"),  # type: ignore[arg-type]
        words=listed,
        unknown=unknown,
        unknown_fraction=unknown_fraction,
        silence=silence,
    )


def _features(file: Path | None, point: DesignPoint) -> FeatureSpec:
    """The settings of the file; without one, as many coefficients as the design takes."""
    if file is None:
        return FeatureSpec(coefficients=point.features)
    return build(FeatureSpec, read_yaml(file))


def _file_name(point: DesignPoint) -> str:
    """A folder's name for a design: letters, digits and what cannot lead elsewhere.

    Without a name of its own, designs of one summary are told apart by their keys.
    """
    name = point.name or f"{point.summary}-{point.key}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".") or point.key


def _load(console: Console, data: Path, task: Task | Transcription, spec: FeatureSpec) -> Features:
    """The features, with a bar while they are computed."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} clips"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        bar = progress.add_task("features", total=None, visible=False)

        def report(_: str, done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total, visible=True)

        if isinstance(task, Transcription):
            return load_sentences(data, task, spec, report=report)
        return load_features(data, task, spec, report=report)


def _introduce(
    console: Console,
    point: DesignPoint,
    features: SpeechFeatures,
    recipe: Recipe,
    device: str,
) -> None:
    frames = features.training.features.shape[3]
    workload = lower(point, frames=frames, outputs=len(features.classes))
    parameters = sum(layer.trained_parameters for layer in workload.layers)
    clips = [
        f"{len(getattr(features, split)):,} {split}"
        for split in ("training", "validation", "testing")
    ]
    for line in (
        f"design      {point.label} (key {point.key}), {parameters:,} trained parameters",
        f"data        {len(features.classes)} classes; clips: {', '.join(clips)}",
        f"recipe      {recipe.epochs} epochs of {recipe.optimiser}, batches of "
        f"{recipe.batch_size}, learning rate {recipe.learning_rate:g}",
        f"device      {device}",
    ):
        console.print(line, markup=False)
    if words := matrix_words(point):
        console.print(f"matrices    {words}", markup=False)
    for finding in features.findings:
        console.print(f"caution     {finding}", markup=False)


def _train(
    console: Console,
    point: DesignPoint,
    features: Features,
    recipe: Recipe,
    seed: int,
    folder: Path,
    device: str,
    path: ComputationPath,
    resume: bool,
) -> TrainingResult:
    """Train with a bar; where the output is no terminal, with a line an epoch.

    The best epoch is chosen by the validation error, which is therefore too good by that choice;
    the test split is looked at once, afterwards (`_report`).
    """
    with Progress(
        TextColumn("seed {task.fields[seed]}, epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=None, seed=seed, epoch=1, epochs=recipe.epochs, state="")
        best = 1.0

        def step(done: int, total: int) -> None:
            if progress.tasks[0].total is None:
                # The pace of a resumed training does not count what was done before.
                progress.reset(bar, total=total, completed=done - 1)
            progress.update(bar, completed=done, epoch=(done - 1) * recipe.epochs // total + 1)

        def report(record: EpochRecord) -> None:
            nonlocal best
            best = min(best, record.validation_error)
            now = f"error {record.validation_error:.1%}"
            if record.validation_cer is not None:
                now = sentence_state(record)
            state = f"{now}, lowest {best:.1%}"
            progress.update(bar, state=state)
            if not console.is_terminal:
                console.print(
                    f"epoch {record.epoch}/{recipe.epochs}  training error "
                    f"{record.training_error:.1%}  validation {state}  {record.seconds:.1f} s"
                )

        result = train(
            point,
            features,
            recipe,
            seed=seed,
            folder=folder,
            device=device,
            report=report,
            resume=resume,
            progress=step,
            path=path,
        )
    write_text(folder / "design.yaml", dump_yaml(point.to_dict()))
    return result


def _report(
    console: Console, features: SpeechFeatures, folder: Path, result: TrainingResult, seed: int
) -> Scores:
    """Print what the best epoch gets right; returns its scores on the testing split."""
    network, checkpoint = load_network(folder / BEST)
    splits = {"validation": features.validation, "test": features.testing}
    scores = {
        name: evaluate(network, split, checkpoint.mean, checkpoint.deviation, device=result.device)
        for name, split in splits.items()
    }
    if result.note:
        console.print(f"[yellow]note[/yellow]        {escape(result.note)}")
    console.print(
        f"seed {seed}      best epoch {result.best_epoch} of {result.epochs}, "
        f"{result.seconds:.0f} s of training"
    )
    for name, found in scores.items():
        console.print(f"{name:<12}{_accuracy(found.errors, found.clips)}")
    best = read_best_scores(folder)
    assert best is not None
    form = "quantised"
    if best.quantised_error is None:
        console.print(f"{form:<12}not possible: {best.reason}", markup=False)
    else:
        clips = scores["validation"].clips
        told = _accuracy(round(best.quantised_error * clips), clips)
        console.print(f"{form:<12}{told} (validation)")
    pairs = scores["test"].worst_pairs(WORST_PAIRS)
    if pairs:
        names = features.classes
        listed = ", ".join(
            f"{names[true]} taken for {names[taken]} {count}x" for true, taken, count in pairs
        )
        console.print(f"mistakes    {listed} (test)", markup=False)
    files = "best.pt, last.pt, history.csv, evaluation.json, design.yaml"
    console.print(f"files       {folder}: {files}", markup=False)
    return scores["test"]


def _accuracy(errors: int, clips: int) -> str:
    """Share of right clips with Wilson's interval, which stays within 0 and 1 and holds near them.

    It is the uncertainty of a finite set of clips, given one training; that of the training is the
    spread over seeds (`_report_spread`).
    """
    right = clips - errors
    low, high = wilson_interval(right, clips)
    return f"{right / clips:.1%} of {clips:,} clips right (95 % interval {low:.1%} to {high:.1%})"


def _report_spread(console: Console, shares: list[float], rate: str) -> None:
    """How far trainings that differ in the seed alone lie apart: mean, range, sample deviation."""
    console.print(
        f"{len(shares)} seeds     test {rate}{statistics.mean(shares):.1%} on average, "
        f"{min(shares):.1%} to {max(shares):.1%}, deviation {statistics.stdev(shares):.1%}"
    )
