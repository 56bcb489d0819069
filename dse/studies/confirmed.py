"""What fresh seeds said of the designs that a search liked: the table that `dse confirm` leaves.

A search keeps the lowest of many noisy errors, so part of what it keeps is luck. `dse confirm`
trains the frontier anew and looks at the test split; where that was done, whoever reads the study
must be told, most of all where it changes the answer.

The lowest of n noisy numbers lies below its own mean, the further the larger n and the noise (the
winner's curse). A fresh seed has no such luck, and neither has a split that the search never saw.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models import Band
from dse.errors import InvalidFile, InvalidInput
from dse.files import write_text
from dse.sheets import csv_frame
from dse.studies.folder import CONFIRMED
from dse.studies.rows import Evaluation
from dse.studies.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """Means over fresh seeds of one design.

    Errors are shares of clips: in whole numbers where the study minimises that, in floats
    elsewhere; None of a network that has no form in whole numbers.
    """

    row: Evaluation
    """As the search recorded it."""
    searched_error: float
    """The validation error by which the search liked it."""
    validation_error: float | None
    test_band: Band | None
    """Mean test error in percent with its 95 % interval (`dse.studies.intervals.mean_band`)."""
    other_test_error: float | None = None
    """Mean test error in the other numbers: in floats where the study minimises the error in whole
    numbers, else in whole numbers. None where a seed has none."""
    seeds: int
    searched: bool
    """On the frontier of the search."""
    stays: bool = False
    """On the frontier of mean test errors."""
    apart: bool = False
    """Whether that is sure: told apart from all that cost no more (`dse.studies.paired`)."""
    rival: str = ""
    """The design that it is not told apart from."""
    seeds_that_tell: int | None = None
    """So many seeds each would tell the two apart; None where no number up to 100 would."""

    @property
    def test_error(self) -> float:
        """The mean, a share of clips; NaN where it is not known, which no comparison takes."""
        return math.nan if self.test_band is None else self.test_band.mid / 100

    @property
    def confirmed(self) -> bool:
        """On the frontier of mean test errors for sure."""
        return self.stays and self.apart

    @property
    def place(self) -> str:
        """What became of a design.

                        stays, apart    off, apart       not apart
            searched    confirmed       lost             not told apart from RIVAL
            neighbour   new             off, as before   not told apart from RIVAL

        A neighbour is a design near the search's frontier, trained again along with it.
        """
        if self.test_band is None:
            return "not known"
        if not self.apart:
            return f"not told apart from {self.rival}" if self.rival else "not told apart"
        if self.stays:
            return "confirmed" if self.searched else "new"
        return "lost" if self.searched else "off, as before"


def mean_optimism(found: Sequence[Confirmed]) -> float | None:
    """Fresh validation error less the searched one, mean over the search's frontier, a share.

    Over what the search selected: its near neighbours were not chosen by their errors. None where
    no fresh error is known.
    """
    chosen = [one for one in found if one.searched] or list(found)
    off = [
        one.validation_error - one.searched_error
        for one in chosen
        if one.validation_error is not None
    ]
    return sum(off) / len(off) if off else None


def count_places(found: Sequence[Confirmed]) -> str:
    """`2 of 5 designs of the search's frontier are confirmed, 2 are not told apart, 1 is lost`."""
    searched = [one for one in found if one.searched]
    sure = sum(one.confirmed for one in searched)
    lost = sum(one.apart and not one.stays for one in searched)
    new = sum(one.confirmed and not one.searched for one in found)
    unsure = len(searched) - sure - lost
    be = "is" if sure == 1 else "are"
    text = f"{sure} of {len(searched)} designs of the search's frontier {be} confirmed"
    if unsure:
        text += f", {unsure} not told apart from a design that costs no more"
    if lost:
        text += f", {lost} lost"
    return f"{text}, {new} new" if new else text


def seeds_words(found: Sequence[Confirmed]) -> str:
    """How many seeds would tell what is not told apart; empty where all is.

    STUDY stands for the study's folder.
    """
    unsure = [one for one in found if one.rival]
    if not unsure:
        return ""
    counts = [one.seeds_that_tell for one in unsure if one.seeds_that_tell is not None]
    never = len(unsure) - len(counts)
    words = []
    if counts:
        most = max(max(counts), 1 + max(one.seeds for one in unsure))
        words.append(
            f"about {most} seeds would tell {_designs(len(counts))} apart, if differences and "
            f"spread stay what they are: `dse confirm STUDY --seeds {most}`"
        )
    if never:
        words.append(
            f"{_designs(never)} would not be told apart by 100 seeds either: for that the "
            "differences are too small, or the test clips too few"
        )
    return "; ".join(words)


def _designs(count: int) -> str:
    return "one design" if count == 1 else f"{count} designs"


def write_confirmed(found: Sequence[Confirmed], folder: Path) -> Path:
    """Write `confirmed.csv` into a study's folder, over an earlier one; its path.

    What is not known is an empty cell.

    Args:
        found: at least one design, in the order of the table.
        folder: of the study.
    """
    import pandas as pd  # loads pyarrow where that is installed

    bands = [None if one.test_band is None else one.test_band.scaled(0.01) for one in found]
    table = pd.DataFrame(
        {
            "key": [one.row.key for one in found],
            "name": [one.row.name for one in found],
            "accelerator": [one.row.accelerator for one in found],
            "confirmed": [one.confirmed for one in found],
            "on_searched_frontier": [one.searched for one in found],
            "on_mean_frontier": [one.stays for one in found],
            "told_apart": [one.apart for one in found],
            "not_told_apart_from": [one.rival for one in found],
            "seeds_that_tell": pd.Series([one.seeds_that_tell for one in found], dtype=object),
            "searched_validation_error": [one.searched_error for one in found],
            "validation_error": [one.validation_error for one in found],
            "test_error": [None if band is None else band.mid for band in bands],
            "test_error_low": [None if band is None else band.low for band in bands],
            "test_error_high": [None if band is None else band.high for band in bands],
            "other_test_error": pd.Series([one.other_test_error for one in found], dtype=object),
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
    except (OSError, ValueError, KeyError, TypeError, csv.Error, InvalidInput) as error:
        raise InvalidFile(
            f"{path} cannot be read: {error!r}; let `dse confirm` write it again, or move it away"
        ) from None
    return tuple(found)


def _read_line(row: Evaluation, line: dict[str, str]) -> Confirmed:
    searched = _read_share(line["searched_validation_error"])
    if searched is None:
        raise ValueError("a design without the error that the search had")
    seeds = line["seeds_that_tell"]
    return Confirmed(
        row=row,
        searched_error=searched,
        validation_error=_read_share(line["validation_error"]),
        test_band=_read_band(line),
        other_test_error=_read_share(line.get("other_test_error", "")),
        seeds=int(line["seeds"]),
        searched=_read_flag(line["on_searched_frontier"]),
        stays=_read_flag(line["on_mean_frontier"]),
        apart=_read_flag(line["told_apart"]),
        rival=line["not_told_apart_from"],
        seeds_that_tell=int(seeds) if seeds else None,
    )


def _read_flag(text: str) -> bool:
    """True or False; a spreadsheet that saved the table writes TRUE and FALSE."""
    return {"true": True, "false": False}[text.lower()]


def _read_band(line: dict[str, str]) -> Band | None:
    """The interval of the mean test error, where it is known: all three figures or none."""
    ends = [_read_share(line[f"test_error{end}"]) for end in ("_low", "", "_high")]
    if ends == [None, None, None]:
        return None
    low, mid, high = (math.nan if end is None else 100 * end for end in ends)
    return Band(low=low, mid=mid, high=high)  # refuses NaN, and ends that are out of order


def _read_share(text: str) -> float | None:
    """A share of clips; None of an empty cell: a network without a form in whole numbers."""
    if not text:
        return None
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is no share of clips")
    return value
