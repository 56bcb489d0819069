"""What `dse train --task transcription` says: which data, how well it writes down, and where."""

import dataclasses
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape

from cost_models.reading import build
from cost_models.strict_yaml import Node, dump_yaml, parse_yaml, read_yaml
from dse.design.point import DesignPoint
from dse.networks.lowering import lower
from dse.speech.sentences import SentenceFeatures
from dse.speech.task import FeatureSpec
from dse.speech.transcription import SENTENCE_FEATURES, Transcription
from dse.speech.transcripts import read_characters
from dse.training.best_sentences import BestSentences, Heard, read_best_sentences
from dse.training.devices import choose_computation, choose_device
from dse.training.history import EpochRecord, TrainingResult
from dse.training.recipe import Recipe
from dse.training.run import BEST
from dse.training.sentence_scoring import score_best_sentences

SHOWN = 3
"""Sentences of the test split that are shown as they were heard."""


def sentence_task(characters: Path | None, measure: Literal["cer", "wer"]) -> Transcription:
    """The task of the options."""
    if characters is None:
        return Transcription(error=measure)
    return Transcription(characters=read_characters(characters), error=measure)


def sentence_spec(file: Path | None, point: DesignPoint) -> FeatureSpec:
    """The settings of the file; what it leaves out is usual for sentences, and fits the design."""
    usual = SENTENCE_FEATURES.to_dict() | {"coefficients": point.in_channels}
    fields: dict[str, Node] = parse_yaml(dump_yaml(usual), "features").value
    if file is None:
        return build(FeatureSpec, parse_yaml(dump_yaml(usual), "features"))
    node = read_yaml(file)
    if not isinstance(node.value, dict):
        return build(FeatureSpec, node)  # says what it must be
    return build(FeatureSpec, dataclasses.replace(node, value=fields | node.value))


def introduce_sentences(
    console: Console,
    point: DesignPoint,
    features: SentenceFeatures,
    recipe: Recipe,
    device: str,
) -> None:
    """Design, data, recipe and device, a line each."""
    outputs = features.task.usual_classes
    workload = lower(point, frames=features.spec.frames, outputs=outputs)
    parameters = sum(layer.trained_parameters for layer in workload.layers)
    hop_s = features.spec.hop_ms / 1000
    parts = []
    for split in ("training", "validation", "testing"):
        some = getattr(features, split)
        minutes = len(some.frames) * hop_s / some.variants / 60
        parts.append(f"{len(some):,} {split} ({minutes:.1f} min)")
    for line in (
        f"design      {point.label} (key {point.key}), {parameters:,} trained parameters",
        f"data        {len(features.characters)} characters; sentences: {', '.join(parts)}",
        f"recipe      {recipe.epochs} epochs of {recipe.optimiser}, batches of up to "
        f"{recipe.batch_size} sentences and {recipe.batch_frames:,} frames, learning rate "
        f"{recipe.learning_rate:g}",
        f"device      {device}",
    ):
        console.print(line, markup=False)
    if features.skipped:
        console.print(f"left out    {len(features.skipped)} recordings", markup=False)
    for finding in features.findings:
        console.print(f"caution     {finding}", markup=False)


def sentence_state(record: EpochRecord) -> str:
    """Both rates of an epoch."""
    return f"CER {record.validation_cer:.1%}, WER {record.validation_wer:.1%}"


def report_sentences(
    console: Console,
    features: SentenceFeatures,
    recipe: Recipe,
    folder: Path,
    result: TrainingResult,
    seed: int,
) -> BestSentences:
    """Print what the best epoch writes down; returns that of the testing split."""
    best = read_best_sentences(folder)
    assert best is not None
    computation = choose_computation(recipe, choose_device(result.device))
    tested = score_best_sentences(folder / BEST, features, computation, split="testing")
    if result.note:
        console.print(f"[yellow]note[/yellow]        {escape(result.note)}")
    console.print(
        f"seed {seed}      best epoch {result.best_epoch} of {result.epochs}, "
        f"{result.seconds:.0f} s of training"
    )
    for name, heard in (("validation", best.floats), ("test", tested.floats)):
        console.print(f"{name:<12}{_rates(heard)}", markup=False)
    told = f"not possible: {best.reason}"
    if best.int8 is not None:
        told = f"{_rates(best.int8)} (validation)"
    console.print(f"{'quantised':<12}{told}", markup=False)
    for reference, hypothesis in zip(
        tested.references[:SHOWN], tested.hypotheses[:SHOWN], strict=True
    ):
        console.print(f"said        {reference}", markup=False)
        console.print(f"heard       {hypothesis}", markup=False)
    files = "best.pt, last.pt, history.csv, evaluation.json, hypotheses.csv, design.yaml"
    console.print(f"files       {folder}: {files}", markup=False)
    return tested


def _rates(heard: Heard) -> str:
    """CER with its kinds of mistakes, and WER."""
    edits = heard.characters
    return (
        f"CER {heard.cer:.1%} of {edits.units:,} characters ({edits.substitutions} taken for "
        f"others, {edits.insertions} too many, {edits.deletions} missing), WER {heard.wer:.1%} of "
        f"{heard.words.units:,} words"
    )


def refuse_options(context: click.Context, names: tuple[str, ...]) -> None:
    """Refuse options of the other task: they would be passed over in silence.

    Raises:
        click.UsageError: one was typed.
    """
    typed = click.core.ParameterSource.COMMANDLINE
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is typed:
            raise click.UsageError(
                f"{parameter.opts[0]} is not an option of this task: leave it out, or choose "
                "another --task"
            )
