"""The `data` section of a study: which recordings, what is learned of them, and as which features.

The task's `kind` decides what else the section may say, so the task is read as one of two
dataclasses, and never as "one or the other": a wrong key is refused with the keys of its own kind.
Features that are left out are those that are usual for the task.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from cost_models.reading import build
from cost_models.strict_yaml import Node
from dse.errors import InvalidData, InvalidField, short
from dse.speech.task import FeatureSpec, Task
from dse.speech.transcription import (
    SENTENCE_FEATURES,
    SpeechTask,
    Transcription,
    check_features,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """The `data` section of a study file."""

    folder: str
    """Folder of words in the layout of Speech Commands, or of sentences in that of LibriSpeech or
    with NeMo's manifests; a relative one is seen from the study file."""
    task: Task | Transcription = field(default_factory=Task)
    """What is told apart, or written down: ten command words, unknown and silence unless it says
    otherwise."""
    features: FeatureSpec = field(default_factory=FeatureSpec)
    """How sound becomes pictures: MatchboxNet's 64 MFCC x 128 frames unless it says otherwise; of
    sentences QuartzNet's 64 log-mel bands, normalised over each utterance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    folder: str
    task: Task = field(default_factory=Task)
    features: FeatureSpec = field(default_factory=FeatureSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentences:
    folder: str
    task: Transcription = field(default_factory=Transcription)
    features: FeatureSpec = SENTENCE_FEATURES


def data_from_node(node: Node, base: Path) -> DataSection:
    """Read the `data` section.

    Args:
        node: the mapping.
        base: a file of characters is seen from here.

    Raises:
        InvalidFile: a key or value is wrong, or the features are of the other task.
    """
    section = node.value if isinstance(node.value, dict) else {}
    parts = dict(section)
    if _is_transcription(section.get("task")):
        if "wake" in section["task"].value:
            raise (
                section["task"]
                .value["wake"]
                .error(
                    "data.task.wake: wake words are of a task that tells words apart, and this one "
                    "writes down sentences: leave wake out, or choose another kind"
                )
            )
        parts["task"] = _spelled_out(section["task"], base)
        if isinstance(section.get("features"), Node):
            parts["features"] = _completed(section["features"], SENTENCE_FEATURES)
        read: Any = build(_Sentences, dataclasses.replace(node, value=parts))
    else:
        read = build(_Words, node)
    try:
        check_features(read.task, read.features)
    except InvalidField as error:
        place: Node = section.get("features", node)
        fields = place.value if isinstance(place.value, dict) else {}
        raise fields.get(error.field, place).error(f"data.features.{error}") from None
    return DataSection(folder=read.folder, task=read.task, features=read.features)


def task_from_node(node: Node) -> SpeechTask:
    """Read a task by its `kind`.

    Raises:
        InvalidFile: a key or value is wrong.
    """
    return build(Transcription, node) if _is_transcription(node) else build(Task, node)


def _is_transcription(task: Node | None) -> bool:
    """Whether a task is the one of sentences, which only its `kind` says.

    Raises:
        InvalidFile: the kind is neither that nor one of words.
    """
    if task is None or not isinstance(task.value, dict) or "kind" not in task.value:
        return False
    kind = task.value["kind"]
    of_words, of_sentences = (
        get_args(get_type_hints(cls)["kind"]) for cls in (Task, Transcription)
    )
    if kind.value not in (*of_words, *of_sentences):
        known = ", ".join((*of_words, *of_sentences))
        raise kind.error(f"{kind.key} must be one of {known}, not {short(kind.value)}")
    return kind.value in of_sentences


def _spelled_out(task: Node, base: Path) -> Node:
    """A task with the characters of the file that it names in place of that name."""
    from dse.speech.transcripts import read_characters  # numpy, for few studies

    characters = task.value.get("characters")
    if characters is None or not isinstance(characters.value, str):
        return task
    try:
        found = read_characters(base / characters.value)
    except InvalidData as error:
        raise characters.error(f"{characters.key}: {error}") from None
    listed = [dataclasses.replace(characters, value=each) for each in found]
    fields = task.value | {"characters": dataclasses.replace(characters, value=listed)}
    return dataclasses.replace(task, value=fields)


def _completed(features: Node, usual: FeatureSpec) -> Node:
    """Features with the usual ones for what they leave out."""
    if not isinstance(features.value, dict):
        return features

    def node(key: str, value: Any) -> Node:
        listed = [node(key, each) for each in value] if isinstance(value, list) else value
        return dataclasses.replace(features, value=listed, key=f"{features.key}.{key}")

    added = {key: node(key, value) for key, value in usual.to_dict().items()}
    return dataclasses.replace(features, value=added | features.value)
