"""What fresh seeds said of the designs that a search liked: the table that `dse confirm` leaves.

A search keeps the lowest of many noisy errors, so part of what it keeps is luck. `dse confirm`
trains the frontier anew and looks at the test split; where that was done, whoever reads the study
must be told, most of all where it changes the answer.

The lowest of n noisy numbers lies below its own mean, the further the larger n and the noise (the
winner's curse). A fresh seed has no such luck, and neither has a split that the search never saw.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models import Band
from dse.errors import InvalidFile
from dse.files import write_text
from dse.sheets import csv_frame
from dse.studies.folder import CONFIRMED
from dse.studies.rows import Evaluation
from dse.studies.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """Means over fresh seeds of one design.

    Errors are shares of clips: as int8 where the study minimises that, in float elsewhere.
    """

    row: Evaluation
    """As the search recorded it."""
    searched_error: float
    """The validation error by which the search liked it."""
    validation_error: float
    test_error: float
    half_width: float | None
    """Of the 95 % interval of the mean test error, over the seeds; None for one seed."""
    seeds: int
    searched: bool
    """On the frontier of the search."""
    confirmed: bool = False
    """On the frontier of mean test errors."""

    @property
    def test_band(self) -> Band:
        """Mean test error in percent with its 95 % interval."""
        half = self.half_width or 0.0
        low, high = max(self.test_error - half, 0.0), min(self.test_error + half, 1.0)
        return Band(low=100 * low, mid=100 * self.test_error, high=100 * high)


def write_confirmed(found: Sequence[Confirmed], folder: Path) -> Path:
    """Write `confirmed.csv` into a study's folder, over an earlier one; its path.

    Args:
        found: at least one design, in the order of the table.
        folder: of the study.
    """
    import pandas as pd  # loads pyarrow where that is installed

    table = pd.DataFrame(
        {
            "key": [one.row.key for one in found],
            "name": [one.row.name for one in found],
            "accelerator": [one.row.accelerator for one in found],
            "confirmed": [one.confirmed for one in found],
            "on_searched_frontier": [one.searched for one in found],
            "searched_validation_error": [one.searched_error for one in found],
            "validation_error": [one.validation_error for one in found],
            "test_error": [one.test_error for one in found],
            "test_error_half_width": [one.half_width for one in found],
            "seeds": [one.seeds for one in found],
            **{name: [one.row.column(name) for one in found] for name in found[0].row.cost},
        }
    )
    path = folder / CONFIRMED
    write_text(path, csv_frame(table))
    return path


def read_confirmed(study: Study) -> tuple[Confirmed, ...]:
    """What `dse confirm` found, in its order; empty where it never ran.

    Designs that the study has no row of are left out.

    Raises:
        InvalidFile: its table is damaged.
    """
    path = study.folder / CONFIRMED
    if not path.exists():
        return ()
    pairs = {(row.key, row.accelerator): row for row in study.pairs if row.full}
    networks = {row.key: row for row in study.trained}
    found = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                # A study that was priced again names another machine: its errors are the same.
                row = pairs.get((line["key"], line["accelerator"])) or networks.get(line["key"])
                if row is not None:
                    found.append(_read_line(row, line))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InvalidFile(
            f"{path} cannot be read: {error!r}; let `dse confirm` write it again, or move it away"
        ) from None
    return tuple(found)


def _read_line(row: Evaluation, line: dict[str, str]) -> Confirmed:
    half = line["test_error_half_width"]
    return Confirmed(
        row=row,
        searched_error=_read_share(line["searched_validation_error"]),
        validation_error=_read_share(line["validation_error"]),
        test_error=_read_share(line["test_error"]),
        half_width=float(half) if half else None,
        seeds=int(line["seeds"]),
        searched=line["on_searched_frontier"] == "True",
        confirmed=line["confirmed"] == "True",
    )


def _read_share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is no share of clips")
    return value
