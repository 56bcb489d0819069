"""A trained design's `evaluation.json`: what its network told of the clips, in float and in int8.

    {"schema_version": 1, "split": "validation", "labels": ["no", "yes"], "clips": 40,
     "float": {"error": 0.1, "confusion": [[19, 1], [3, 17]]},
     "int8": {"error": 0.125, "confusion": [[18, 2], [3, 17]]}, "reason": ""}

Confusions have a row for each true class and a column for each class told; `int8` is null where the
network has no such form, and `reason` says why. Only what agrees with itself is read.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models import Band
from dse.errors import InvalidFile
from dse.report.intervals import difference_band, error_band
from dse.scores import Scores

FILE_NAME = "evaluation.json"
SCHEMA_VERSION = 1
MOST_CLASSES = 1_000
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a network told, in both number formats, of the same clips."""

    split: str
    labels: tuple[str, ...]
    """Classes, in the order of the confusions."""
    floats: Scores
    int8: Scores | None
    """None where there is no int8 network, or it was not evaluated."""
    reason: str = ""
    """Why there is none."""

    @property
    def difference(self) -> Band | None:
        """How many percent points more the int8 network errs, with the 95 % interval.

        As if both had been told different clips, so the interval is rather too wide: confusions do
        not say which clips each got wrong.
        """
        if self.int8 is None:
            return None
        return difference_band(self.int8.error, self.floats.error, self.floats.clips)

    def confusions(self, scores: Scores, count: int) -> list[tuple[str, str, int, int]]:
        """The most frequent mistakes: true class, taken for, so many, of so many clips."""
        return [
            (self.labels[true], self.labels[told], clips, int(scores.confusion[true].sum()))
            for true, told, clips in scores.worst_pairs(count)
        ]


def error_interval(scores: Scores) -> Band:
    """The error in percent with its 95 % interval."""
    return error_band(scores.error, scores.clips)


def read_scored(folder: Path) -> Scored | None:
    """The evaluation in a design's folder; None where there is none, as in older studies.

    Raises:
        InvalidFile: the file is damaged, or of a later version.
    """
    path = folder / FILE_NAME
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {plain['schema_version']!r}")
        labels = tuple(map(str, plain["labels"]))
        if not 1 <= len(labels) <= MOST_CLASSES or len(set(labels)) != len(labels):
            raise ValueError(f"there are 1 to {MOST_CLASSES:,} labels, all different")
        clips, int8 = plain["clips"], plain.get("int8")
        return Scored(
            split=str(plain["split"]),
            labels=labels,
            floats=_scores(plain["float"], "float", len(labels), clips),
            int8=None if int8 is None else _scores(int8, "int8", len(labels), clips),
            reason=str(plain.get("reason") or ""),
        )
    except FileNotFoundError:
        return None
    except KeyError as error:
        raise InvalidFile(f"{path} lacks {error.args[0]}: {REMEDY}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidFile(f"{path} cannot be read ({error}): {REMEDY}") from None


REMEDY = "move it away, and train the design anew to see its confusions"


def _scores(plain: dict[str, Any], form: str, classes: int, clips: object) -> Scores:
    confusion = np.array(plain["confusion"])
    if confusion.shape != (classes, classes) or confusion.dtype.kind not in "iu":
        raise ValueError(f"the confusion of {form} is not {classes} x {classes} whole numbers")
    if (confusion < 0).any() or confusion.sum() != clips or not confusion.sum():
        raise ValueError(f"the confusion of {form} does not sum to {clips} clips")
    # The loss is not in the file; nobody asks these scores for it.
    scores = Scores(loss=float("nan"), confusion=confusion.astype(np.int64))
    if abs(scores.error - float(plain["error"])) > ROUNDING:
        raise ValueError(f"the error of {form} is {plain['error']}, its confusion says otherwise")
    return scores
