"""The results table: one row per evaluated design, the contract between search and readers.

A study appends rows to `results.jsonl`, one JSON object a line, each flushed to the disk before the
search goes on. A line cut short by a crash is not a row; it is dropped when the study resumes.

Append-only, so that a crash at any time leaves a prefix of complete rows, and a reader may look on
while a search writes. A trial may have several lines, one a rung; the last one is what is known of
it (`latest`). Columns are flat and named, so that pandas, jq or a spreadsheet can read the file:

    {"schema_version": 4, "trial": 7, "status": "trained", ..., "energy_pj": ..., "axis_blocks": 3}
"""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from dse.columns import COST_COLUMNS, MEASURED_COLUMNS, STREAM_COLUMNS
from dse.errors import InvalidFile, InvalidStudy, printable, short
from dse.files import append_line, drop_half_line, whole_lines

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 4
"""Of a row; rows of another one are not read, as their figures mean something else."""
FILE_NAME = "results.jsonl"

FULL = ("trained", "reused")
"""Statuses of designs whose error is of a full training."""

NULLABLE = ("error", "quantised_error", "best_epoch", "epochs", "training_seconds")
"""Fields that a row may leave empty."""

WITH_ERROR = (*FULL, "stopped", "duplicate")
"""Statuses of rows that have an error and all costs."""

Status = Literal["trained", "stopped", "reused", "infeasible", "invalid", "duplicate", "failed"]

STATUSES: tuple[str, ...] = get_args(Status)
"""All that a row may have: a program with another one has another `SCHEMA_VERSION`, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One row: a design, what it costs, what it got wrong, and where these numbers come from."""

    trial: int
    """Number of the trial in the study's storage; -1 for a baseline outside the space."""
    status: Status
    """trained; stopped: trained up to a rung, its error is of `epochs` epochs; reused: as trained,
    by another study; infeasible: over a limit, cost only (or with the error that is over a limit);
    invalid: no such network; duplicate: the same design was trained before, its error is repeated;
    failed: training gave no number."""
    source: str
    """`search`, or the name of the published baseline."""
    key: str = ""
    """`DesignPoint.key`; empty for an invalid design."""
    name: str = ""
    reason: str = ""
    """Why a design is infeasible, invalid or failed; what there is to know of a training."""
    values: dict[str, Any] = field(default_factory=dict)
    """The axes of the search space: columns `axis_...` of the table."""
    cost: dict[str, float] = field(default_factory=dict)
    """`COST_COLUMNS`, and `STREAM_COLUMNS` where the study listens and the hop fits; empty for an
    invalid design."""
    error: float | None = None
    """Share of validation clips told wrongly, at the best epoch."""
    quantised_error: float | None = None
    """Likewise in whole numbers; None where the network has no such form, or nobody looked."""
    best_epoch: int | None = None
    epochs: int | None = None
    training_seconds: float | None = None
    computed: str = ""
    """How the training was computed, such as `cpu, 1 thread, float32, fast path`."""
    seed: int = 0
    """Of the training."""
    accelerator: str = ""
    technology: str = ""
    data_key: str = ""
    """Of the features: data, task and feature settings."""
    recipe_key: str = ""
    code_version: str = ""
    finished_at: str = ""
    """UTC, ISO 8601."""

    @property
    def full(self) -> bool:
        """Whether the error is of a full training that counts."""
        return self.status in FULL

    @property
    def over_in_error(self) -> bool:
        """Whether the design was trained, and its error is over a limit."""
        return self.status == "infeasible" and self.error is not None

    @property
    def measured(self) -> dict[str, float]:
        """What the training told, by column: those of `MEASURED_COLUMNS` that the row has."""
        told = {name: getattr(self, name) for name in MEASURED_COLUMNS}
        return {name: value for name, value in told.items() if value is not None}

    def column(self, name: str) -> float:
        """A measured column or one of the cost; NaN where the row has none."""
        value = getattr(self, name) if name in MEASURED_COLUMNS else self.cost.get(name)
        return math.nan if value is None else float(value)

    def to_dict(self) -> dict[str, Any]:
        """Plain data with flat, named columns, as a line of `results.jsonl` has them.

        Fields by their names, columns of the cost by theirs, axes of the space as `axis_NAME`; cost
        and axes are missing where the row has none. `evaluation_from_dict` is the inverse.
        """
        plain = {name: getattr(self, name) for name in self.__slots__}
        axes = {f"axis_{name}": value for name, value in plain.pop("values").items()}
        cost = plain.pop("cost")
        return {"schema_version": SCHEMA_VERSION, **plain, **cost, **axes}


def evaluation_from_dict(row: dict[str, Any]) -> Evaluation:
    """The inverse of `Evaluation.to_dict`; values are not checked.

    Raises:
        KeyError: a field is missing.
    """
    plain = {name: row[name] for name in Evaluation.__slots__ if name not in ("values", "cost")}
    values = {
        name.removeprefix("axis_"): value for name, value in row.items() if name.startswith("axis_")
    }
    cost = {name: row[name] for name in (*COST_COLUMNS, *STREAM_COLUMNS) if name in row}
    return Evaluation(**plain, values=values, cost=cost)


def append_row(folder: Path, evaluation: Evaluation) -> None:
    """Add a row to a study's results; when this returns, it is on the disk.

    NaN and infinity are refused (ValueError): JSON has no such numbers, and other readers stop at
    them. One process writes a study; there is no lock here.

    Raises:
        OSError: the disk is full or gone; the file is as it was before.
    """
    append_line(folder / FILE_NAME, json.dumps(evaluation.to_dict(), allow_nan=False))


def repair(folder: Path) -> None:
    """Drop a last line that a crash cut short: what stands after the last newline.

    For whoever is about to append, or the next row would be glued to the rest. Readers need not
    call it: they ignore such a line.
    """
    drop_half_line(folder / FILE_NAME)


@dataclass(frozen=True, slots=True)
class Results:
    """What a file of rows holds, as whoever looks on takes it."""

    rows: Sequence[Evaluation]
    """The last good row of each trial, oldest first."""
    refused: str = ""
    """One sentence about the lines that are no rows; empty where all are."""


def read_results(folder: Path) -> Results:
    """The last row of each trial; lines that are no rows are left out, and told.

    For whoever shows a study: a line that was damaged must not hide the others. A search, which
    counts on every row, takes `read_rows`.

    Raises:
        InvalidFile: not one line is a row.
    """
    rows, refused = _read(folder)
    if refused and not rows:
        raise InvalidFile(_say_refused(refused, 0))
    return Results(latest(rows), _say_refused(refused, len(rows)) if refused else "")


def read_rows(folder: Path) -> list[Evaluation]:
    """The last row of each trial, oldest first; none where nothing was evaluated yet.

    Raises:
        InvalidFile: a line is no row, or was written by another program.
    """
    return latest(read_all_rows(folder))


def read_all_rows(folder: Path) -> list[Evaluation]:
    """All rows, also those that a trial had at lower rungs; `read_rows` says what is raised."""
    rows, refused = _read(folder)
    if refused:
        raise InvalidFile(_say_refused(refused, len(rows)))
    return rows


def _read(folder: Path) -> tuple[list[Evaluation], list[str]]:
    """Rows in their order, and what is wrong with each other line."""
    path = folder / FILE_NAME
    rows, refused = [], []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            rows.append(_read_line(line))
        except InvalidFile as error:
            refused.append(f"{error} ({path}:{number})")
    return rows, refused


def _say_refused(refused: Sequence[str], good: int) -> str:
    """One sentence, whether one line is damaged or all are."""
    if len(refused) == 1:
        return refused[0]
    of = f" of {len(refused) + good:,}" if good else ""
    return f"{len(refused):,}{of} lines are no rows of results, the first: {refused[0]}"


def latest(rows: Iterable[Evaluation]) -> list[Evaluation]:
    """The last row of each trial, in the order of these rows; baselines have trials of their own.

    A design that is trained rung by rung has a row for each rung, of which only the last counts.
    """
    last: dict[object, Evaluation] = {}
    for row in rows:
        # Taken out and put in again, so that the order is that of last rows, not of first ones.
        identity: object = row.trial if row.trial >= 0 else (row.source, row.key)
        last.pop(identity, None)
        last[identity] = row
    return list(last.values())


def _read_line(line: bytes) -> Evaluation:
    """A row of one line; raises `InvalidFile` without the place, which the caller knows."""
    try:
        row = json.loads(line, object_pairs_hook=_without_doubles)
        if not isinstance(row, dict):
            raise ValueError("it is no object with keys")
        version = row.get("schema_version")
        if type(version) is int and version == SCHEMA_VERSION:
            return _checked(row)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(
            f"not a row of results: {printable(str(error))}; restore the line or remove it"
        ) from None
    raise InvalidFile(
        f"schema_version {short(version)} cannot be read: this program reads {SCHEMA_VERSION}; "
        "search anew, in another folder"
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two equal keys, readers would choose differently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


MOST_COUNTED = 10**12
"""Trials, epochs, seeds: a whole number beyond is a slip of a disk, and no float could hold it."""

MOST = 1e30
"""Of any figure: products and sums of such numbers stay far from the end of a double."""

LONGEST = 100_000
"""Characters of a text."""

KEY = "[A-Za-z0-9]{0,64}"
"""Of a design: it names a folder."""


def _check(name: str, value: Any, right: bool, requirement: str) -> None:
    if not right:
        raise ValueError(f"{name} must be {requirement}, not {short(value)}")


def _check_whole(name: str, value: Any, least: int) -> None:
    right = type(value) is int and least <= value <= MOST_COUNTED
    _check(name, value, right, f"a whole number from {least} to {MOST_COUNTED:,}")


def _check_figure(name: str, value: Any, most: float) -> None:
    right = type(value) in (int, float) and 0 <= value <= most  # false for NaN
    _check(name, value, right, f"a number from 0 to {most:g}")


def _check_text(name: str, value: Any) -> None:
    _check(name, value, isinstance(value, str) and len(value) <= LONGEST, "a text")


def _check_word(name: str, value: Any, pattern: str, requirement: str) -> None:
    right = isinstance(value, str) and re.fullmatch(pattern, value) is not None
    _check(name, value, right, requirement)


def _check_axis(name: str, value: Any) -> None:
    """The value of an axis, or null where the axis does not matter."""
    if isinstance(value, str):
        _check_text(name, value)
    elif value is not None and not isinstance(value, bool):
        right = type(value) in (int, float) and abs(value) <= MOST
        _check(name, value, right, "a number, a word, true, false or null")


def _checked(row: dict[str, Any]) -> Evaluation:
    """The row of a line whose keys and values were all looked at.

    Raises:
        ValueError: one is missing, or is not what its field holds.
    """
    # An axis or a cost that is null is one that the row does not have.
    known = {name: value for name, value in row.items() if value is not None}
    row = dict.fromkeys(NULLABLE) | known
    for name in Evaluation.__slots__:
        if name not in ("values", "cost") and name not in row:
            raise ValueError(f"{name} is missing")
    for name, value in row.items():
        if name in _CHECKS:
            _CHECKS[name](name, value)
        elif name.startswith("axis_"):
            _check_axis(name, value)
    counted = row["status"] in WITH_ERROR
    if counted and row["error"] is None:
        raise ValueError(f"error is null, and the status is {row['status']}")
    missing = [name for name in COST_COLUMNS if name not in row]
    if missing and (counted or len(missing) < len(COST_COLUMNS)):
        raise ValueError(f"{missing[0]} is missing")
    missing = [name for name in STREAM_COLUMNS if name not in row]
    if 0 < len(missing) < len(STREAM_COLUMNS):
        raise ValueError(f"{missing[0]} is missing")
    return evaluation_from_dict(
        {name: printable(each) if isinstance(each, str) else each for name, each in row.items()}
    )


def _optional(check: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    return lambda name, value: None if value is None else check(name, value)


def _share(name: str, value: Any) -> None:
    _check_figure(name, value, 1.0)


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "trial": lambda name, value: _check_whole(name, value, -1),
    "status": lambda name, value: _check(
        name, value, value in STATUSES, f"one of {', '.join(STATUSES)}"
    ),
    "key": lambda name, value: _check_word(
        name, value, KEY, "letters and digits, as it names a folder"
    ),
    "seed": lambda name, value: _check_whole(name, value, 0),
    "best_epoch": _optional(lambda name, value: _check_whole(name, value, 0)),
    "epochs": _optional(lambda name, value: _check_whole(name, value, 0)),
    "training_seconds": _optional(lambda name, value: _check_figure(name, value, 1e12)),
    "error": _optional(_share),
    "quantised_error": _optional(_share),
    **{
        name: _check_text
        for name in (
            "source",
            "name",
            "reason",
            "computed",
            "accelerator",
            "technology",
            "data_key",
            "recipe_key",
            "code_version",
            "finished_at",
        )
    },
    **{
        name: lambda name, value: _check_figure(name, value, MOST)
        for name in (*COST_COLUMNS, *STREAM_COLUMNS)
    },
}
"""Field or column -> raises `ValueError` where a line's value is not what it holds."""


def load_results(folder: Path | str) -> "pd.DataFrame":
    """The results of a study as a table with the columns of `Evaluation.to_dict`.

    Lines that are no rows are left out, with a warning that says so.

    Raises:
        InvalidStudy: the folder holds no study.
        InvalidFile: not one line is a row.
    """
    folder = Path(folder)
    check_results(folder)
    found = read_results(folder)
    if found.refused:
        warnings.warn(f"{found.refused}: the others are read", stacklevel=2)
    return table(found.rows)


def check_results(folder: Path) -> None:
    """Refuse a folder in which nothing was evaluated.

    Raises:
        InvalidStudy: it is none, or holds no results.
    """
    if not folder.is_dir():
        raise InvalidStudy(f"{folder} is no folder: name the folder that `dse search` made")
    if not (folder / FILE_NAME).exists():
        raise InvalidStudy(
            f"{folder} holds no {FILE_NAME}: name the folder of a study that has evaluated designs"
        )


def table(rows: Iterable[Evaluation]) -> "pd.DataFrame":
    """Rows as a table; columns are there even where there are no rows."""
    import pandas as pd

    empty = Evaluation(trial=0, status="trained", source="").to_dict()
    frame = pd.DataFrame([row.to_dict() for row in rows])
    streams = [name for name in STREAM_COLUMNS if name in frame.columns]
    columns = [*empty, *COST_COLUMNS, *streams]
    axes = [name for name in frame.columns if name.startswith("axis_")]
    frame = frame.reindex(columns=[*columns, *axes])
    known = [*MEASURED_COLUMNS, *COST_COLUMNS, *streams]
    numbers = [*known, "best_epoch", "epochs", "training_seconds"]
    frame[numbers] = frame[numbers].astype(float)
    return frame


def utc_now() -> str:
    """The time now, UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
