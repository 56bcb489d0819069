"""How far what was heard is from what was said: word and character error rates, counted by jiwer.

The fewest substitutions S, insertions I and deletions D that turn the reference, of N units, into
the hypothesis:

    error rate = (S + I + D) / N

over all utterances together, so each unit counts alike. It may exceed 1, where more is heard than
was said; one that hears nothing has 1, all deletions. Units are words for WER, characters for CER,
the spaces between words among them. Spaces at the ends count for neither.

Counts are kept, not only rates: a deletion too many is a network that hears blanks, an insertion
too many one that hears too much. This module loads without jiwer; functions load it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dse.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Edits:
    """The fewest changes from reference to hypothesis, summed over utterances."""

    substitutions: int
    insertions: int
    deletions: int
    units: int
    """Of the references: words or characters."""

    @property
    def count(self) -> int:
        """All changes."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Changes per unit; where nothing was said, per unit as if one had been."""
        return self.count / max(1, self.units)

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.units + other.units,
        )


NO_EDITS = Edits(0, 0, 0, 0)


def character_edits(references: Sequence[str], hypotheses: Sequence[str]) -> Edits:
    """Changes of characters, of all utterances together.

    Raises:
        InvalidInput: jiwer is not installed.
    """
    return _summed(_library().process_characters(list(references), list(hypotheses)))


def word_edits(references: Sequence[str], hypotheses: Sequence[str]) -> Edits:
    """Changes of words, of all utterances together.

    Raises:
        InvalidInput: jiwer is not installed.
    """
    return _summed(_library().process_words(list(references), list(hypotheses)))


def edits_of_each(
    references: Sequence[str], hypotheses: Sequence[str], measure: Literal["cer", "wer"]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Changes of each utterance, and the units of its reference: characters or words.

    How sure a rate is follows from these (`dse.studies.intervals.clips_worth`): mistakes come in
    bunches, an utterance at a time.

    Raises:
        InvalidInput: jiwer is not installed.
    """
    process = _library().process_characters if measure == "cer" else _library().process_words
    found = process(list(references), list(hypotheses))
    counts = tuple(
        sum(
            max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            for chunk in chunks
            if chunk.type != "equal"
        )
        for chunks in found.alignments
    )
    return counts, tuple(len(reference) for reference in found.references)


def check_installed() -> None:
    """Say at once that error rates cannot be counted, not after the first epoch.

    Raises:
        InvalidInput: jiwer is not installed.
    """
    _library()


def _summed(found: Any) -> Edits:
    return Edits(
        substitutions=found.substitutions,
        insertions=found.insertions,
        deletions=found.deletions,
        units=found.hits + found.substitutions + found.deletions,
    )


def _library() -> Any:
    try:
        import jiwer
    except ImportError:
        raise InvalidInput(
            "error rates of speech recognition need jiwer: pip install 'ternary-dse[asr]'"
        ) from None
    return jiwer
