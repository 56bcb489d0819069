"""Features of a transcription task: utterances of any length, end to end in one array a split.

frames   | utterance 0 | utterance 1 (variant 0) | ...        (all frames, coefficients), float16
starts     0             312                       ...        in frames
labels   | h e l l o | t h e   c a t | ...                    indices of characters
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dse.speech.speech_commands import Split
from dse.speech.task import FeatureSpec
from dse.speech.transcription import Transcription


@dataclass(frozen=True)
class SentenceSplit:
    """Utterances of one split with their transcripts; only the training split has variants."""

    frames: NDArray[np.float16]
    """(frames of all utterances and variants, coefficients), a read-only memory map. Already
    normalised per utterance where the spec says so."""
    starts: NDArray[np.int64]
    """(utterances * variants + 1,): utterance u in variant v is
    `frames[starts[u * variants + v] : starts[u * variants + v + 1]]`."""
    variants: int
    """Copies of each utterance, the first as it was recorded, the others at other speeds."""
    labels: NDArray[np.uint8]
    """(characters of all transcripts,), indices into `SentenceFeatures.characters`."""
    label_starts: NDArray[np.int64]
    """(utterances + 1,): the transcript of u is `labels[label_starts[u] : label_starts[u + 1]]`."""
    names: tuple[str, ...]
    """Paths of the recordings relative to the data folder."""

    def __len__(self) -> int:
        return len(self.names)

    def utterance(self, index: int, variant: int = 0) -> NDArray[np.float16]:
        """Frames of an utterance, (frames, coefficients)."""
        place = index * self.variants + variant
        return self.frames[self.starts[place] : self.starts[place + 1]]

    def transcript(self, index: int) -> NDArray[np.uint8]:
        """Characters of an utterance, as indices."""
        return self.labels[self.label_starts[index] : self.label_starts[index + 1]]


@dataclass(frozen=True)
class SentenceFeatures:
    """What a network is trained on to write down what is said."""

    task: Transcription
    spec: FeatureSpec
    training: SentenceSplit
    validation: SentenceSplit
    testing: SentenceSplit
    key: str
    """16 hex digits of sounds, transcripts, task and features: the same wherever the folder is."""
    skipped: tuple[str, ...]
    """`path: reason` of each utterance that could not be used."""
    findings: tuple[str, ...] = ()
    """What the data says against the errors measured on it, a sentence each."""

    @property
    def characters(self) -> tuple[str, ...]:
        """The vocabulary; blank is the output after the last."""
        return self.task.characters

    @property
    def outputs(self) -> int:
        """Of a network for them: one a character, and blank."""
        return self.task.usual_classes

    def split(self, name: Split) -> SentenceSplit:
        """The utterances of the split of this name."""
        return {"training": self.training, "validation": self.validation, "testing": self.testing}[
            name
        ]

    def count(self, name: Split) -> int:
        """Utterances of a split: what its errors are told on."""
        return len(self.split(name))
