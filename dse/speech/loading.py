"""The features of a task, whichever it is: of words or of sentences."""

from pathlib import Path
from typing import overload

from dse.speech.feature_computation import Report
from dse.speech.features import SpeechFeatures, load_features
from dse.speech.sentence_features import load_sentences
from dse.speech.sentences import SentenceFeatures
from dse.speech.task import FeatureSpec, Task
from dse.speech.transcription import SpeechTask, Transcription

Features = SpeechFeatures | SentenceFeatures


@overload
def load_speech(
    data_folder: Path,
    task: Task,
    spec: FeatureSpec,
    cache: Path | None = None,
    report: Report | None = None,
) -> SpeechFeatures: ...
@overload
def load_speech(
    data_folder: Path,
    task: Transcription,
    spec: FeatureSpec,
    cache: Path | None = None,
    report: Report | None = None,
) -> SentenceFeatures: ...
@overload
def load_speech(
    data_folder: Path,
    task: SpeechTask,
    spec: FeatureSpec,
    cache: Path | None = None,
    report: Report | None = None,
) -> Features: ...
def load_speech(
    data_folder: Path,
    task: SpeechTask,
    spec: FeatureSpec,
    cache: Path | None = None,
    report: Report | None = None,
) -> Features:
    """The features of a task, from the cache or computed.

    Raises:
        InvalidData: the data cannot be used.
        InvalidField: the features are of the other task.
        OSError: the cache cannot be written.
    """
    if isinstance(task, Transcription):
        return load_sentences(data_folder, task, spec, cache, report)
    return load_features(data_folder, task, spec, cache, report)
