"""Synthetic sentences: each character a spectral pattern with noise, of random length."""

import numpy as np

from dse.speech.sentences import SentenceFeatures, SentenceSplit
from dse.speech.task import FeatureSpec
from dse.speech.transcription import Transcription

CHARACTERS = (" ", "a", "b", "c")
COEFFICIENTS = 8
TASK = Transcription(characters=CHARACTERS)


def split_of(
    texts: list[str], *, seed: int, variants: int = 1, frames: tuple[int, int] = (4, 7)
) -> SentenceSplit:
    """Utterances that say the texts, some frames a character, in each variant other ones."""
    random = np.random.default_rng(seed)
    patterns = np.random.default_rng(0).normal(size=(len(CHARACTERS), COEFFICIENTS))
    pieces, labels = [], []
    for text in texts:
        indices = [CHARACTERS.index(character) for character in text]
        labels.append(np.array(indices, np.uint8))
        for _ in range(variants):
            rows = [
                # A character fades at its end, so that two equal ones in a row are two.
                patterns[index] * np.linspace(1.5, 0.2, random.integers(*frames))[:, None]
                for index in indices
            ]
            picture = np.concatenate([np.zeros((1, COEFFICIENTS)), *rows])
            pieces.append(picture + 0.1 * random.normal(size=picture.shape))
    return SentenceSplit(
        frames=np.concatenate(pieces).astype(np.float16),
        starts=np.cumsum([0, *map(len, pieces)]),
        variants=variants,
        labels=np.concatenate(labels),
        label_starts=np.cumsum([0, *map(len, labels)]),
        names=tuple(f"{seed}/{number}.flac" for number in range(len(texts))),
    )


def texts_of(count: int, seed: int, words: int = 3) -> list[str]:
    """Sentences of some words of one to three letters."""
    random = np.random.default_rng(seed)
    letters = CHARACTERS[1:]
    return [
        " ".join(
            "".join(random.choice(letters, random.integers(1, 4)))
            for _ in range(random.integers(1, words + 1))
        )
        for _ in range(count)
    ]


def features_of(training: SentenceSplit, validation: SentenceSplit) -> SentenceFeatures:
    return SentenceFeatures(
        task=TASK,
        spec=FeatureSpec(coefficients=COEFFICIENTS, kind="log_mel"),
        training=training,
        validation=validation,
        testing=validation,
        key="0123456789abcdef",
        skipped=(),
    )
