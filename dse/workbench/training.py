"""A training in a notebook: data, recipe and seed in one call, with a bar."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.design.point import DesignPoint
from dse.speech.transcription import Transcription
from dse.studies.data_section import DataSection, data_from_node
from dse.training.recipe import Recipe, recipe_from_node
from dse.workbench.costs import read_design

if TYPE_CHECKING:
    from dse.training.history import EpochRecord, TrainingResult
    from dse.training.objective import Features

Data = str | os.PathLike[str] | Mapping[str, Any]


def train(
    design: DesignPoint | str | os.PathLike[str],
    data: Data,
    *,
    out: str | os.PathLike[str] | None,
    recipe: Recipe | str | Mapping[str, Any] | None = None,
    seed: int = 1,
    device: str = "auto",
    bars: bool = True,
) -> "TrainingResult":
    """Train a design on a folder of speech; called again, it goes on where it was stopped.

    Args:
        design: a design point, a published name or a YAML file.
        data: a folder of words, of which ten commands, unknown and silence are told apart; or the
            section `data` of a study (`{"folder": "speech", "task": {"kind": "all_words"}}`).
        out: folder of checkpoints and learning curve; None keeps nothing.
        recipe: a recipe, the name of one, or what differs from the default one
            (`{"epochs": 10}`).
        seed: of weights, order and variation.
        device: `auto`, `cpu` or `cuda`.
        bars: whether to show how far it is; in notebooks, and in terminals.

    Returns:
        Errors on validation clips, history and best epoch (`dse.training.history`).

    Raises:
        InvalidInput: a design, a recipe or data that cannot be used.
        TrainingFailed: the loss is no number, or the memory is full.
    """
    from dse.training.run import check_design
    from dse.training.run import train as train_point

    point = design if isinstance(design, DesignPoint) else read_design(design)
    section = _read_data(data, point)
    check_design(point, section.features.coefficients, section.task)
    chosen = _read_recipe(recipe)
    console = Console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not bars or not (console.is_terminal or console.is_jupyter),
    ) as progress:
        task = progress.add_task("features", total=None)

        def preparing(_: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        def epoch(record: "EpochRecord") -> None:
            error = f"{100 * record.validation_error:.1f} %"
            progress.update(
                task,
                description=f"epoch {record.epoch}: validation error {error}",
                completed=record.epoch,
            )

        features = _load(section, preparing)
        progress.reset(task, total=chosen.epochs, description="epochs")
        return train_point(
            point,
            features,
            chosen,
            seed=seed,
            folder=None if out is None else Path(out),
            device=device,
            report=epoch,
        )


def _read_data(data: Data, point: DesignPoint) -> DataSection:
    """The section; features that are not named have as many coefficients as the design takes."""
    plain: dict[str, Any] = dict(data) if isinstance(data, Mapping) else {"folder": str(data)}
    plain["features"] = {"coefficients": point.features, **plain.get("features", {})}
    return data_from_node(parse_yaml(dump_yaml({"data": plain}), "data").value["data"], Path())


def _read_recipe(recipe: Recipe | str | Mapping[str, Any] | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    plain = dict(recipe) if isinstance(recipe, Mapping) else recipe
    if plain is None:
        return Recipe()
    return recipe_from_node(parse_yaml(dump_yaml({"recipe": plain}), "recipe").value["recipe"])


def _load(section: DataSection, report: Any) -> "Features":
    folder = Path(section.folder).expanduser()
    if isinstance(section.task, Transcription):
        from dse.speech.sentence_features import load_sentences

        return load_sentences(folder, section.task, section.features, report=report)
    from dse.speech.features import load_features

    return load_features(folder, section.task, section.features, report=report)
