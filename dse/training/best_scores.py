"""How well the best network of a training does on validation clips: `evaluation.json`. No torch.

    {"schema_version": 1, "split": "validation", "labels": ["yes", "no"], "clips": 40, "epoch": 7,
     "float": {"error": 0.1, "confusion": [[19, 1], [3, 17]]},
     "int8": {"error": 0.125, "confusion": [[18, 2], [3, 17]]}, "reason": "",
     "findings": ["2 speakers are in more than one split ..."]}

Confusions have a row for each true class and a column for each class told. `int8` is the network in
whole numbers as `dse export header` writes it (`dse.training.integer`), with the ranges of
activations taken from training clips; null, with a `reason`, where the network has no such form.

`wrong` of either is which clips it got wrong, in the order of the split (`dse.training.clipwise`):
what a paired comparison of two designs needs. Files of programs before have none.

Where the task has `wake`, `wake` is what was missed of a long recording
(`dse.training.wake_scores`), and the errors of the design are those; confusions are of clips.

Counts are kept, not only errors: a reader can compute the recall of a class, the most frequent
mistakes or an interval (`dse.training.scores`) without the network and without the data. The gap
between the two errors is the price of int8 without training for it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dse.errors import InvalidFile, printable
from dse.files import check_kinds, write_text
from dse.training.clipwise import Wrong, pack, unpack
from dse.training.wake_scores import WakeScores, read_wake

FILE_NAME = "evaluation.json"
SCHEMA_VERSION = 1
SPLIT = "validation"

Confusion = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BestScores:
    """What the network of the best epoch tells of the validation clips."""

    labels: tuple[str, ...]
    epoch: int
    """1-based: the epoch whose network it is."""
    floats: Confusion
    """(classes, classes): clips of class [row] that the network took for class [column]."""
    int8: Confusion | None
    """Likewise of the network in whole numbers; None where it has no such form."""
    reason: str = ""
    """Why it has none."""
    findings: tuple[str, ...] = ()
    """What the data say against these errors (`dse.speech.findings`)."""
    wrong: Wrong | None = None
    """Which clips the network in floats got wrong; None where that was not kept."""
    int8_wrong: Wrong | None = None
    """Likewise in whole numbers."""
    wake: WakeScores | None = None
    """What was missed of a long recording; None where errors are of clips."""

    @property
    def error(self) -> float:
        """Of the network in floats: share of clips told wrongly, or of wake words missed."""
        return _error(self.floats) if self.wake is None else self.wake.floats.error

    @property
    def quantised_error(self) -> float | None:
        """Likewise of the network in whole numbers."""
        if self.wake is not None:
            return None if self.wake.int8 is None else self.wake.int8.error
        return None if self.int8 is None else _error(self.int8)

    def judged(self, *, whole: bool) -> Wrong | None:
        """Which clips, or wake words, make up the error; None where that is not known.

        Args:
            whole: of the network in whole numbers.
        """
        if self.wake is None:
            return self.int8_wrong if whole else self.wrong
        spotted = self.wake.int8 if whole else self.wake.floats
        return None if spotted is None else spotted.missed

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        plain = {
            "schema_version": SCHEMA_VERSION,
            "split": SPLIT,
            "labels": list(self.labels),
            "clips": int(self.floats.sum()),
            "epoch": self.epoch,
            "float": _plain(self.floats, self.wrong),
            "int8": None if self.int8 is None else _plain(self.int8, self.int8_wrong),
            "reason": self.reason,
            "findings": list(self.findings),
        }
        return plain if self.wake is None else plain | {"wake": self.wake.to_dict()}


def write_best_scores(scores: BestScores, folder: Path) -> None:
    """Write `evaluation.json` into a design's folder in one step: the old file, or all of the new.

    Raises:
        OSError: the disk is full, or the folder may not be written to.
    """
    write_text(folder / FILE_NAME, json.dumps(scores.to_dict()) + "\n", parents=False)


def read_best_scores(folder: Path) -> BestScores | None:
    """What a design's folder says; None where no task of words was evaluated yet.

    Sentences are read by `dse.training.best_sentences`.

    Raises:
        InvalidFile: the file is damaged, or of a later version.
    """
    path = folder / FILE_NAME
    try:
        check_kinds(folder)
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {plain['schema_version']!r}")
        if "kind" in plain:
            return None
        labels = tuple(map(str, plain["labels"]))
        int8 = plain["int8"]
        return BestScores(
            labels=labels,
            epoch=int(plain["epoch"]),
            floats=_confusion(plain["float"], len(labels)),
            int8=None if int8 is None else _confusion(int8, len(labels)),
            reason=str(plain["reason"]),
            findings=tuple(map(str, plain.get("findings", []))),
            wrong=_wrong(plain["float"], len(labels)),
            int8_wrong=None if int8 is None else _wrong(int8, len(labels)),
            wake=read_wake(plain["wake"]) if "wake" in plain else None,
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidFile(
            f"{path} cannot be read ({printable(str(error))[:200]}): move it away; a training "
            "that goes on writes it anew"
        ) from None


def _error(confusion: Confusion) -> float:
    """Share of clips off the diagonal."""
    clips = int(confusion.sum())
    return (clips - int(np.trace(confusion))) / clips


def _plain(confusion: Confusion, wrong: Wrong | None) -> dict[str, Any]:
    plain = {"error": _error(confusion), "confusion": confusion.tolist()}
    return plain if wrong is None else plain | {"wrong": pack(wrong)}


def _wrong(plain: dict[str, Any], classes: int) -> Wrong | None:
    """Which clips; refused where they are not as many as the confusion has off its diagonal."""
    if plain.get("wrong") is None:
        return None
    confusion = _confusion(plain, classes)
    wrong = unpack(str(plain["wrong"]), int(confusion.sum()))
    if int(wrong.sum()) != int(confusion.sum() - np.trace(confusion)):
        raise ValueError("clips told wrongly are not those of the confusion matrix")
    return wrong


def _confusion(plain: dict[str, Any], classes: int) -> Confusion:
    # The error in the file is for people; here it always follows from the counts.
    confusion = np.array(plain["confusion"], dtype=np.int64)
    if confusion.shape != (classes, classes) or (confusion < 0).any() or not confusion.any():
        raise ValueError(f"no confusion matrix of {classes} classes")
    return confusion
