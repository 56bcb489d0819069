"""The results table: one row per evaluated design, the contract between search and readers.

A study appends rows to `results.jsonl`, one JSON object a line, each flushed to the disk before the
search goes on. A line cut short by a crash is not a row; it is dropped when the study resumes.

Append-only, so that a crash at any time leaves a prefix of complete rows, and a reader may look on
while a search writes. A trial may have several lines, one a rung; the last one is what is known of
it (`latest`). Columns are flat and named, so that pandas, jq or a spreadsheet can read the file:

    {"schema_version": 4, "trial": 7, "status": "trained", ..., "energy_pj": ..., "axis_blocks": 3}
"""

import dataclasses
import errno
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dse.columns import COST_COLUMNS, MEASURED_COLUMNS, OBJECTIVE_COLUMNS
from dse.errors import InvalidFile, InvalidStudy
from dse.files import replacing

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 4
"""Of a row; rows of another one are not read, as their figures mean something else."""
FILE_NAME = "results.jsonl"

FULL = ("trained", "reused")
"""Statuses of designs whose error is of a full training."""

Status = Literal["trained", "stopped", "reused", "infeasible", "invalid", "duplicate", "failed"]


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
    """`COST_COLUMNS`; empty for an invalid design."""
    error: float | None = None
    """Share of validation clips told wrongly, at the best epoch."""
    quantised_error: float | None = None
    """Likewise of the same network as int8; None where it has no such form, or nobody looked."""
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
    """The inverse of `Evaluation.to_dict`; numbers are not checked.

    Raises:
        KeyError: a field is missing.
    """
    plain = {name: row[name] for name in Evaluation.__slots__ if name not in ("values", "cost")}
    values = {
        name.removeprefix("axis_"): value for name, value in row.items() if name.startswith("axis_")
    }
    cost = {name: row[name] for name in COST_COLUMNS if name in row}
    return Evaluation(**plain, values=values, cost=cost)


def append_row(folder: Path, evaluation: Evaluation) -> None:
    """Add a row to a study's results; when this returns, it is on the disk.

    NaN and infinity are refused (ValueError): JSON has no such numbers, and other readers stop at
    them. One process writes a study; there is no lock here.

    Raises:
        OSError: the disk is full or gone; the file is as it was before.
    """
    line = (json.dumps(evaluation.to_dict(), allow_nan=False) + "\n").encode()
    path = folder / FILE_NAME
    # Unbuffered: a buffer would be written again when the file is closed after an error.
    with path.open("ab", buffering=0) as file:
        start = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            # A full disk must not leave half a line that the next row would be glued to.
            file.truncate(start)
            raise


def repair(folder: Path) -> None:
    """Drop a last line that a crash cut short: what stands after the last newline.

    For whoever is about to append, or the next row would be glued to the rest. Readers need not
    call it: they ignore such a line.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if complete != content:
        with replacing(path) as temporary:
            temporary.write_bytes(complete)


def read_rows(folder: Path) -> list[Evaluation]:
    """The last row of each trial, oldest first; none where nothing was evaluated yet.

    Raises:
        InvalidFile: a line is no row, or was written by another program.
    """
    return latest(read_all_rows(folder))


def read_all_rows(folder: Path) -> list[Evaluation]:
    """All rows, also those that a trial had at lower rungs; `read_rows` says what is raised."""
    path = folder / FILE_NAME
    if not path.exists():
        return []
    # What follows the last newline is no line: empty, or a row that is just being written.
    lines = path.read_bytes().split(b"\n")
    return [_read_line(line, path, number) for number, line in enumerate(lines[:-1], start=1)]


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


def _read_line(line: bytes, path: Path, number: int) -> Evaluation:
    try:
        row = json.loads(line)
        version = row["schema_version"]
        if version == SCHEMA_VERSION:
            evaluation = evaluation_from_dict(row)
            _check_numbers(evaluation)
            return _writable(evaluation) if HALF in line.lower() else evaluation
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidFile(
            f"not a row of results: {error}; move the file away or restore it ({path}:{number})"
        ) from None
    raise InvalidFile(
        f"schema_version {version!r} cannot be read: this program reads {SCHEMA_VERSION}; search "
        f"anew, in another folder ({path}:{number})"
    )


HALF = b"\\ud"
"""Begins half of a character in JSON: escapes may write what no text can hold."""


def _writable(row: Evaluation) -> Evaluation:
    """The row with texts that can be written: what is half of a character becomes a `?`."""
    texts: dict[str, Any] = {
        name: value.encode("utf-8", "replace").decode()
        for name in Evaluation.__slots__
        if isinstance(value := getattr(row, name), str)
    }
    return dataclasses.replace(row, **texts)


def _check_numbers(row: Evaluation) -> None:
    """Raise ValueError where a number that readers count on is missing or none."""
    columns: dict[str, Any] = dict(row.cost)
    if row.status in ("trained", "stopped", "reused", "duplicate"):
        columns |= {"error": row.error}
        columns |= {name: row.cost.get(name) for name in COST_COLUMNS}
    for name in ("error", "quantised_error", "best_epoch", "epochs", "training_seconds"):
        if getattr(row, name) is not None:
            columns[name] = getattr(row, name)
    for name, value in columns.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} is {json.dumps(value)}")


def load_results(folder: Path) -> "pd.DataFrame":
    """The results of a study as a table with the columns of `Evaluation.to_dict`.

    Raises:
        InvalidStudy: the folder holds no study.
        InvalidFile: the results are damaged.
    """
    if not folder.is_dir():
        raise InvalidStudy(f"{folder} is no folder: name the folder that `dse search` made")
    if not (folder / FILE_NAME).exists():
        raise InvalidStudy(
            f"{folder} holds no {FILE_NAME}: name the folder of a study that has evaluated designs"
        )
    return table(read_rows(folder))


def table(rows: Iterable[Evaluation]) -> "pd.DataFrame":
    """Rows as a table; columns are there even where there are no rows."""
    import pandas as pd

    empty = Evaluation(trial=0, status="trained", source="").to_dict()
    frame = pd.DataFrame([row.to_dict() for row in rows])
    columns = [*empty, *COST_COLUMNS]
    axes = [name for name in frame.columns if name.startswith("axis_")]
    frame = frame.reindex(columns=[*columns, *axes])
    numbers = [*OBJECTIVE_COLUMNS, "best_epoch", "epochs", "training_seconds"]
    frame[numbers] = frame[numbers].astype(float)
    return frame


def utc_now() -> str:
    """The time now, UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
