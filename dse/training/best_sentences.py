"""What the best network of a training on sentences writes down: `evaluation.json`. No torch.

    {"schema_version": 1, "kind": "transcription", "split": "validation", "utterances": 2,
     "epoch": 7, "measure": "cer", "units": [31, 29],
     "float": {"edits": [4, 2], "error": 0.1, "loss": 0.4, "cer": 0.1, "wer": 0.3,
               "characters": {"substitutions": 3, "insertions": 1, "deletions": 2, "units": 60},
               "words": {"substitutions": 2, "insertions": 1, "deletions": 0, "units": 10}},
     "int8": null, "reason": "...", "findings": []}

and `hypotheses.csv`, a line an utterance: its name, what was said, what the network in floats and
the one in whole numbers wrote down. `dse.training.best_scores` is the same of a task of words.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dse.errors import InvalidFile, printable
from dse.files import check_kinds, write_text
from dse.sheets import csv_lines
from dse.training.best_scores import FILE_NAME, SCHEMA_VERSION, SPLIT
from dse.training.edits import Edits, character_edits, word_edits

HYPOTHESES = "hypotheses.csv"
KIND = "transcription"

Measure = Literal["cer", "wer"]

MOST_COUNTED = 1_000_000_000
"""Characters or words, and edits of them, that a record may have: far beyond any split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How well one form of a network does on a split."""

    characters: Edits
    words: Edits
    loss: float | None = None
    """Nats per character; None of a network in whole numbers, whose scores are no logarithms."""

    @property
    def cer(self) -> float:
        """Character error rate, which may exceed 1."""
        return self.characters.rate

    @property
    def wer(self) -> float:
        """Word error rate, which may exceed 1."""
        return self.words.rate

    def error(self, measure: Measure) -> float:
        """The rate that a study minimises; at most 1, as an error is a share."""
        return min(1.0, self.cer if measure == "cer" else self.wer)


def heard_of(
    references: tuple[str, ...], hypotheses: tuple[str, ...], loss: float | None = None
) -> Heard:
    """Counts of what was written down.

    Raises:
        InvalidInput: jiwer is not installed.
    """
    return Heard(
        characters=character_edits(references, hypotheses),
        words=word_edits(references, hypotheses),
        loss=loss,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSentences:
    """What the network of the best epoch writes down of a split's utterances."""

    epoch: int
    """1-based: the epoch whose network it is."""
    measure: Measure
    """Which rate `error` is."""
    floats: Heard
    int8: Heard | None
    """Of the network in whole numbers; None where it has no such form."""
    reason: str = ""
    """Why it has none."""
    findings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Paths of the recordings, in the order of the split; this and the next three are in
    `hypotheses.csv`."""
    references: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    int8_hypotheses: tuple[str, ...] = ()
    """Empty where there is no network in whole numbers."""
    units: tuple[int, ...] = ()
    """Of each utterance: characters or words that were said, by `measure`."""
    edits: tuple[int, ...] = ()
    """Of each utterance, changes of what the network in floats wrote down, by `measure`."""
    int8_edits: tuple[int, ...] = ()
    """Likewise in whole numbers; empty where there is no such network."""

    @property
    def error(self) -> float:
        """Error of the network in floats."""
        return self.floats.error(self.measure)

    @property
    def quantised_error(self) -> float | None:
        """Error of the network in whole numbers."""
        return None if self.int8 is None else self.int8.error(self.measure)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in evaluation.json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "split": SPLIT,
            "utterances": len(self.units),
            "units": list(self.units),
            "epoch": self.epoch,
            "measure": self.measure,
            "float": _plain(self.floats, self.measure, self.edits),
            "int8": None if self.int8 is None else _plain(self.int8, self.measure, self.int8_edits),
            "reason": self.reason,
            "findings": list(self.findings),
        }


def write_best_sentences(best: BestSentences, folder: Path) -> None:
    """Write both files into a design's folder, each in one step.

    Raises:
        OSError: the disk is full, or the folder may not be written to.
    """
    names = ["name", "reference", "hypothesis"]
    columns = [best.names, best.references, best.hypotheses]
    if best.int8_hypotheses:
        names.append("int8_hypothesis")
        columns.append(best.int8_hypotheses)
    lines = csv_lines(names, list(zip(*columns, strict=True)))
    write_text(folder / HYPOTHESES, lines, parents=False)
    write_text(folder / FILE_NAME, json.dumps(best.to_dict()) + "\n", parents=False)


def read_best_sentences(folder: Path) -> BestSentences | None:
    """What evaluation.json of a design's folder says; None where there is none of sentences.

    Names, references and hypotheses stay empty: they are in `hypotheses.csv`.

    Raises:
        InvalidFile: the file is damaged, or of a later version.
    """
    path = folder / FILE_NAME
    try:
        check_kinds(folder)
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {plain['schema_version']!r}")
        if plain.get("kind") != KIND:
            return None
        if plain["measure"] not in ("cer", "wer"):
            raise ValueError(f"measure {plain['measure']!r}")
        int8 = plain["int8"]
        units = _counts(plain["units"])
        return BestSentences(
            epoch=int(plain["epoch"]),
            measure=plain["measure"],
            floats=_heard(plain["float"]),
            int8=None if int8 is None else _heard(int8),
            reason=str(plain["reason"]),
            findings=tuple(map(str, plain["findings"])),
            units=units,
            edits=_edits(plain["float"], plain["measure"], units),
            int8_edits=() if int8 is None else _edits(int8, plain["measure"], units),
        )
    except FileNotFoundError:
        return None
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InvalidFile(
            f"{path} cannot be read ({printable(str(error))[:200]}): move it away; a training "
            "that goes on writes it anew"
        ) from None


def _counts(plain: Any) -> tuple[int, ...]:
    counts = tuple(int(count) for count in plain)
    if not 0 <= min(counts, default=0) <= max(counts, default=0) <= MOST_COUNTED:
        raise ValueError(f"counts that are not from 0 to {MOST_COUNTED:,}")
    return counts


def _edits(plain: dict[str, Any], measure: Measure, units: tuple[int, ...]) -> tuple[int, ...]:
    """Changes of each utterance; refused where they do not add up to those of all."""
    edits, heard = _counts(plain["edits"]), _heard(plain)
    whole = heard.characters if measure == "cer" else heard.words
    if len(edits) != len(units) or (sum(edits), sum(units)) != (whole.count, whole.units):
        raise ValueError("edits of utterances do not add up to those of the split")
    return edits


def _plain(heard: Heard, measure: Measure, edits: tuple[int, ...]) -> dict[str, Any]:
    return {
        "edits": list(edits),
        "error": heard.error(measure),
        "loss": heard.loss,
        "cer": heard.cer,
        "wer": heard.wer,
        "characters": dataclasses.asdict(heard.characters),
        "words": dataclasses.asdict(heard.words),
    }


def _heard(plain: dict[str, Any]) -> Heard:
    """Counts decide; the rates in the file are for people."""
    characters, words = (
        Edits(**{name: int(count) for name, count in plain[unit].items()})
        for unit in ("characters", "words")
    )
    if min(*dataclasses.astuple(characters), *dataclasses.astuple(words)) < 0:
        raise ValueError("counts below 0")
    loss = plain["loss"]
    return Heard(characters=characters, words=words, loss=None if loss is None else float(loss))
