"""The `data` section of a study: words or sentences, each with its own keys and usual features."""

import dataclasses
from pathlib import Path

import pytest

from cost_models.strict_yaml import parse_yaml
from dse.errors import InvalidFile
from dse.speech.task import FeatureSpec, Task
from dse.speech.transcription import ENGLISH, SENTENCE_FEATURES, Transcription
from dse.studies.data_section import DataSection, data_from_node
from dse.studies.reading import read_study

STUDY = """name: study
data:
  folder: speech
  task: {task}
  features: {features}
space: {{blocks: [1, 2], policy: P0}}
"""


def read(text: str, base: Path = Path()) -> DataSection:
    return data_from_node(parse_yaml(text, "study.yaml").value["data"], base)


def test_words_are_usual():
    assert read("data: {folder: x}") == DataSection(folder="x", task=Task(), features=FeatureSpec())


def test_sentences_have_features_of_their_own():
    text = "data: {folder: x, task: {kind: transcription, longest_s: 9}, features: {variants: 1}}"
    found = read(text)
    assert found.task == Transcription(longest_s=9.0)
    assert found.task.characters == ENGLISH
    assert found.features == dataclasses.replace(SENTENCE_FEATURES, variants=1)
    assert read("data: {folder: x, task: {kind: transcription}}").features == SENTENCE_FEATURES


def test_a_vocabulary_is_a_list_or_a_file(tmp_path):
    (tmp_path / "characters.txt").write_text(" \ny\nn\n")
    for said in ('[" ", y, n]', "characters.txt"):
        text = f"data: {{folder: x, task: {{kind: transcription, characters: {said}}}}}"
        assert read(text, tmp_path).task == Transcription(characters=(" ", "y", "n"))


@pytest.mark.parametrize(
    ("task", "features", "says"),
    [
        (
            "{kind: transcript}",
            "{}",
            "data.task.kind must be one of commands, all_words, words, "
            "transcription, not 'transcript' (study.yaml:4)",
        ),
        ("{kind: transcription, words: [a, b]}", "{}", "unknown key 'data.task.words': "),
        ("{kind: transcription, charcters: [a]}", "{}", "did you mean 'characters'?"),
        ("{kind: transcription, characters: [ab]}", "{}", "data.task.characters must be single"),
        ("{kind: transcription, characters: 3}", "{}", "data.task.characters must be a list"),
        ("{kind: transcription, characters: gone.txt}", "{}", "gone.txt does not exist"),
        ("{longest_s: 3}", "{}", "unknown key 'data.task.longest_s': "),
        (
            "{kind: transcription}",
            "{normalisation: training_set}",
            "data.features.normalisation must be utterance or none for transcription",
        ),
        ("{kind: transcription}", "{variants: 8}", "data.features.variants must be at most 3"),
        ("{kind: transcription}", "{variant: 8}", "did you mean 'variants'?"),
        ("{kind: transcription}", "[1]", "data.features must be a mapping"),
        ("{}", "{normalisation: utterance}", "must be training_set or none for a task of words"),
    ],
)
def test_says_what_is_wrong(tmp_path, task, features, says):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(task=task, features=features))
    with pytest.raises(InvalidFile) as error:
        read_study(path)
    assert says.replace("study.yaml", str(path)) in str(error.value)
    assert str(error.value).count("\n") == 0, "one problem, one sentence"


@pytest.mark.parametrize(
    ("task", "family", "says"),
    [
        (
            "transcription",
            "matchboxnet",
            "space.family is matchboxnet, whose networks have a pooled head, and a task of kind "
            "transcription needs a framewise one: use quartznet",
        ),
        (
            "commands",
            "quartznet",
            "space.family is quartznet, whose networks have a framewise head, and a task of kind "
            "commands needs a pooled one: use matchboxnet or tcresnet or dscnn",
        ),
    ],
)
def test_networks_are_of_the_task(tmp_path, task, family, says):
    path = tmp_path / "study.yaml"
    text = STUDY.format(task=f"{{kind: {task}}}", features="{}")
    path.write_text(text.replace("space: {", f"space: {{family: {family}, "))
    with pytest.raises(InvalidFile) as error:
        read_study(path)
    assert str(error.value) == f"{says} ({path}:6)"
