"""Speech recognition as a task: which characters are written down, of which utterances.

A network of this task has one output a character and one more for *blank*, the last, and says at
every frame which of them it hears (connectionist temporal classification, Graves et al., ICML
2006). `dse.speech.task.Task` is the other task, keyword spotting.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cost_models.allowed import Allowed, check_fields
from dse.errors import require
from dse.speech.task import FeatureSpec, Task

ENGLISH = (" ", *"abcdefghijklmnopqrstuvwxyz", "'")
"""The 28 characters of NeMo's English models, in their order: with blank, 29 outputs."""

MOST_CHARACTERS = 255
"""Labels of an utterance are bytes, and blank is an output, too."""

Seconds = Annotated[float, Allowed(gt=0.0, le=3600.0)]

SENTENCE_FEATURES = FeatureSpec(
    kind="log_mel", window_ms=20.0, frames=1001, normalisation="utterance", variants=3
)
"""How utterances become pictures where nothing else is said: as for QuartzNet (arXiv 1910.10261;
NeMo's quartznet_15x5.yaml: windows of 20 ms every 10 ms, 64 mel bands, each normalised over the
utterance), and each training utterance 10 % slower and faster, too. `frames` is the length at which
designs are priced: 10 s, 1 + 10,000 ms / 10 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription:
    """A speech-recognition task: the vocabulary, and the utterances that are short enough."""

    kind: Literal["transcription"] = "transcription"
    """Tells it from a keyword task, whose `kind` is another word."""
    characters: tuple[str, ...] = ENGLISH
    """The vocabulary, in the order of the outputs; blank comes after the last."""
    lower_case: bool = True
    """Transcripts are put in lower case before their characters are looked up."""
    shortest_s: Seconds = 0.1
    """Shorter utterances are left out, and counted."""
    longest_s: Seconds = 16.7
    """Longer utterances are left out of training, and counted: NeMo's limit for LibriSpeech."""
    error: Literal["cer", "wer"] = "cer"
    """What `error` of a result is: character or word error rate. The finer one tells networks
    apart that get hardly a word right yet."""

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        check_fields(self)
        require(len(self.characters) >= 1, "characters", "a list of at least one character", [])
        require(
            len(self.characters) <= MOST_CHARACTERS,
            "characters",
            f"at most {MOST_CHARACTERS} characters",
            f"{len(self.characters)} of them",
        )
        long = [character for character in self.characters if len(character) != 1]
        require(not long, "characters", "single characters", long)
        distinct = len(set(self.characters)) == len(self.characters)
        require(distinct, "characters", "distinct", list(self.characters))
        require(
            self.shortest_s < self.longest_s,
            "longest_s",
            f"above shortest_s ({self.shortest_s:g})",
            self.longest_s,
        )

    @property
    def usual_classes(self) -> int:
        """Outputs of a network: the characters and blank."""
        return len(self.characters) + 1

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data, for a resolved study or a checkpoint."""
        return dataclasses.asdict(self) | {"characters": list(self.characters)}


SpeechTask = Task | Transcription
"""What a network is for: words to tell apart, or sentences to write down."""


def usual_features(task: SpeechTask) -> FeatureSpec:
    """How sound becomes pictures where nothing else is said."""
    return SENTENCE_FEATURES if isinstance(task, Transcription) else FeatureSpec()


def check_features(task: SpeechTask, spec: FeatureSpec) -> None:
    """Refuse features of the other task.

    Raises:
        InvalidField: a normalisation that the task's features do not have, or of utterances more
            variants than speeds.
    """
    if not isinstance(task, Transcription):
        require(
            spec.normalisation != "utterance",
            "normalisation",
            "training_set or none for a task of words",
            spec.normalisation,
        )
        return
    require(
        spec.normalisation != "training_set",
        "normalisation",
        "utterance or none for transcription",
        spec.normalisation,
    )
    require(
        spec.variants <= 1 + len(spec.speeds),
        "variants",
        f"at most {1 + len(spec.speeds)} for transcription, one as recorded and one for each of "
        "the speeds",
        spec.variants,
    )
