"""Studies on the disk: found, read quickly, and never left behind for another folder.

Rows are read by `pyarrow`, some ten times as fast as line by line, and those of a study that grows
are read once; what `pyarrow` cannot read is read again by `dse.studies.rows`, which says what is
wrong and where.

Three counts of the same file are easily mixed up:

- a row of the file: a trial (a candidate of the search) at a rung; only its last one counts
  (`_latest`);
- a row of `StudyFrame.frame`: a trial on a machine, so a study of three machines may have three of
  one trained network;
- a design (`trained`): each key, or key and machine, once; a network (`networks`): each key once.
"""

import contextlib
import functools
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.json

from cost_models.application import Use
from dashboard.charts import scaled_frame
from dse import files
from dse.columns import COST_COLUMNS, OBJECTIVE_COLUMNS, STREAM_COLUMNS
from dse.errors import InvalidFile, InvalidStudy
from dse.pareto import pareto_mask
from dse.studies.cluster_state import read_cluster_state
from dse.studies.comparison import why_not_on_frontier
from dse.studies.confirmed import read_confirmed
from dse.studies.folder import RESOLVED
from dse.studies.holder import LOCK, Holder, read_holder
from dse.studies.kinds import deciding_axes
from dse.studies.rows import (
    FILE_NAME,
    FULL,
    KEY,
    LONGEST,
    MOST,
    MOST_COUNTED,
    NULLABLE,
    SCHEMA_VERSION,
    STATUSES,
    WITH_ERROR,
    Evaluation,
    Results,
    evaluation_from_dict,
    read_results,
)
from dse.studies.rows import table as make_table
from dse.studies.spec import StudySpec
from dse.studies.study import Study, open_study

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names of studies and files that a page may make."""
"""Held by the search that works in the folder."""


class TableRows(Sequence[Evaluation]):
    """Rows as a table of columns; one is made an `Evaluation` when it is asked for.

    Of 100,000 rows a page needs a few as objects (the frontier, the design that was clicked) and
    all of them as columns, so no object is made of the rest. A column of Arrow has a value in every
    row: null in an axis or a cost means that the row never had it, and is left out of the object.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._optional = {
            name
            for name in table.column_names
            if name.startswith("axis_") or name in (*COST_COLUMNS, *STREAM_COLUMNS)
        }

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, place: int) -> Evaluation: ...
    @overload
    def __getitem__(self, place: slice) -> list[Evaluation]: ...
    def __getitem__(self, place: int | slice) -> Evaluation | list[Evaluation]:
        if isinstance(place, slice):
            return self.at(range(len(self))[place])
        return self.at([range(len(self))[place]])[0]

    def __iter__(self) -> Iterator[Evaluation]:
        return iter(self[:])

    def at(self, places: Sequence[int]) -> list[Evaluation]:
        """Rows by their places, in the order that is asked for; places may repeat."""
        return [
            evaluation_from_dict(
                {
                    n: value
                    for n, value in row.items()
                    if value is not None or n not in self._optional
                }
            )
            for row in self.table.take(pa.array(places, type=pa.int64())).to_pylist()
        ]


@dataclass(frozen=True, eq=False)  # without slots: what is derived from it is kept in it
class StudyFrame:
    """A study as pages need it: its rows as a table.

    It is a snapshot of the files at the time of reading, shared by all who look at the page, so
    nothing may be written into `frame`. Costs and errors are in base units (pJ, us, um2, shares of
    1); `scaled` has those that are shown.
    """

    label: str
    """Told apart from the others on the page."""
    of: Study
    frame: pd.DataFrame
    """The columns of `dse.studies.rows.table`, `frontier`, and `design` (`names_of_designs`); where
    a study has several machines, a trained network has a row for each that suits it
    (`dse.studies.on_machines`)."""

    @property
    def asked(self) -> StudySpec:
        """What the study was asked."""
        return self.of.asked

    @property
    def use(self) -> Use:
        """What power depends on, where nobody says otherwise: the study's own rate."""
        return Use(inferences_per_second=self.asked.inferences_per_second)

    def row(self, index: int) -> Evaluation:
        """One row, by its place in the frame: 0 to n - 1, which is also its index there."""
        return self.of.pairs[index]

    def rows_at(self, places: Sequence[int]) -> list[Evaluation]:
        """Rows by their places in the frame."""
        rows = self.of.pairs
        return rows.at(places) if isinstance(rows, TableRows) else [rows[i] for i in places]

    def find_row(self, design: str) -> Evaluation | None:
        """The row of a design: on the frontier, or trained, or else the last that was recorded.

        Args:
            design: of the column `design`, or a key alone.
        """
        place = self._find_place(design)
        return None if place is None else self.row(place)

    def name_design(self, key: str) -> str:
        """A network as the column `design` has it: of several machines, on that of `find_row`."""
        place = self._find_place(key)
        return key if place is None else str(self.frame["design"].iloc[place])

    def _find_place(self, design: str) -> int | None:
        frame = self.frame
        mask = frame["design"] == design
        if not mask.any():
            mask = frame["key"] == design
        places = np.flatnonzero(mask.to_numpy())
        if not len(places):
            return None
        # A design that was proposed again has duplicates, which repeat its error: wanted is the row
        # of its training. Read backwards, as argmax takes the first of equal ones, this the last.
        worth = 2 * frame["frontier"].to_numpy()[places] + self.trained_anew[places]
        return int(places[len(places) - 1 - worth[::-1].argmax()])

    def rows_where(self, mask: "pd.Series[bool]") -> list[Evaluation]:
        """The rows of a mask over the frame."""
        return self.rows_at(np.flatnonzero(mask.to_numpy()).tolist())

    def say_why_not(self, row: Evaluation) -> str:
        """What keeps a trained design off the frontier; empty where it is on it."""
        objectives = list(self.asked.objectives)
        # Whatever dominates a design is nowhere worse than it: only such rows are made objects.
        # The design itself and its equals are among them, and dominate nothing.
        near = (self.frame[objectives] <= [row.column(name) for name in objectives]).all(axis=1)
        rows = self.rows_where(near & self.frame["status"].isin(FULL))
        return why_not_on_frontier(row, rows, objectives)

    @functools.cached_property
    def trained_anew(self) -> "np.ndarray":
        """Mask of the rows whose error is of a full training, here or in another study.

        Others have an error, too: a training that was stopped at a rung (`stopped`), whose error is
        of fewer epochs and must not be held against full ones, and a `duplicate`, which repeats
        that of the design it is.
        """
        return self.frame["status"].isin(FULL).to_numpy()

    @functools.cached_property
    def trained(self) -> "pd.Series[bool]":
        """Mask of the trained designs, each counted once: its first row; on each machine."""
        trained = pd.Series(self.trained_anew, index=self.frame.index)
        return trained & ~self.frame["design"].where(trained).duplicated()

    @functools.cached_property
    def scaled(self) -> pd.DataFrame:
        """The frame in the units of `dashboard.texts.unit_of`: `charts.scaled_frame`."""
        return scaled_frame(self.frame, self.kinds)

    @functools.cached_property
    def kinds(self) -> "pd.Series[Any]":
        """The kind of each row's network (`dse.studies.kinds.Kind`); None where nobody knows it.

        Of the network, not of its machine: one that stores ternary matrices has them, too
        (`dse.studies.kinds`). One row is made an object for each combination of what decides.
        """
        frame = self.frame
        found = pd.Series(None, index=frame.index, dtype=object)
        made = frame["generated_weights"] > 0
        found[made] = "ternary"
        left = frame[~made & frame["key"].fillna("").ne("")]
        axes = [name for name in frame.columns if name.startswith("axis_")]
        words = {each for name in axes for each in left[name].dropna().unique()}
        short = [name.removeprefix("axis_") for name in axes]
        marks = [f"axis_{name}" for name in deciding_axes(self.asked.space, short, words)]
        own = (left["source"] != "search") | left[axes].isna().all(axis=1)
        for part, by in ((left[own], ["key"]), (left[~own], marks or ["key"])):
            for _, group in part.groupby(by, sort=False, dropna=False):
                found[group.index] = self.of.kinds.of(self.row(int(group.index[0])))
        return found

    @functools.cached_property
    def networks(self) -> "pd.Series[bool]":
        """Mask of the trained designs, each counted once on however many machines.

        As many as there were trainings, or results taken over from other studies: what a machine
        changes is the cost of a network, not its training.
        """
        return self.trained & ~self.frame["key"].where(self.trained).duplicated()

    @functools.cached_property
    def candidates(self) -> int:
        """Designs that were priced, on however many machines."""
        return int((~self.frame.duplicated(["trial", "source", "key"])).sum())


def names_of_designs(frame: pd.DataFrame) -> "pd.Series[str]":
    """What tells designs apart: the key, and the machine where a network has several of them."""
    key = frame["key"].fillna("").astype(str)
    if frame["accelerator"].nunique() < 2:
        return key
    several = frame.groupby("key")["accelerator"].transform("nunique") > 1
    return key.where(~several, key + "@" + frame["accelerator"].fillna("").astype(str))


def find_studies(folders: Sequence[Path]) -> dict[str, Path]:
    """Label -> folder of the studies that the folders are or hold; labels are distinct."""
    found: list[Path] = []
    for folder in folders:
        candidates = [folder]
        if folder.is_dir():
            with contextlib.suppress(OSError):  # a folder that may not be read
                candidates += sorted(folder.iterdir())
        # os.path.exists is False, where Path.exists raises, for a folder that may not be read.
        found += [path for path in candidates if os.path.exists(path / RESOLVED)]
    labelled: dict[str, Path] = {}
    for path in dict.fromkeys(found):
        name, number = path.name or str(path), 2
        while name in labelled:
            name, number = f"{path.name} ({number})", number + 1
        labelled[name] = path
    return labelled


def inside(root: Path, name: str) -> Path:
    """A path of that name directly in a folder.

    The name comes from a browser. Its pattern has no leading dot, which keeps out hidden files;
    `dse.files.inside` keeps out what else leads elsewhere, such as a link of a good name.

    Args:
        root: folder of studies.
        name: of a file or folder, which need not exist.

    Raises:
        InvalidInput: the name could lead elsewhere, or is not one for a file.
    """
    if not NAME.fullmatch(name):
        raise InvalidStudy(
            "a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a "
            "letter or digit"
        )
    return files.inside(root.resolve(), name)


def signature(folder: Path) -> tuple[object, ...]:
    """What changes when a study does; cheap: a key of caches, of two calls of `stat`.

    Returns:
        The folder, which readers of a cached study take from here, and the time (ns) and size of
        its record and its rows; zeros where a file is not there.
    """
    marks = []
    for name in (RESOLVED, FILE_NAME):
        try:
            stat = os.stat(folder / name)
            marks.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            marks.append((0, 0))
    return (str(folder), *marks)


def read_study(label: str, folder: Path) -> StudyFrame:
    """A study with all its rows.

    The frontier is computed here, over the trained designs and in all objectives of the study: it
    is not in the files, since every new row may change it.

    Args:
        label: of `find_studies`.
        folder: of the study.

    Raises:
        InvalidInput: the record or a row is damaged, or of another program.
    """
    study = open_study(folder, read_rows_quickly)
    if isinstance(study.pairs, TableRows):
        frame = study.pairs.table.to_pandas()
        frame = frame.reindex(
            columns=list(dict.fromkeys([*make_table([]).columns, *frame.columns]))
        )
    else:
        frame = make_table(study.pairs)
    frame = frame.reset_index(drop=True)
    frame["design"] = names_of_designs(frame)
    frame["frontier"] = False
    found = StudyFrame(label, study, frame)
    points = frame.loc[found.trained, list(study.asked.objectives)].astype(float)
    if len(points):
        frame.loc[points.index, "frontier"] = pareto_mask(points.to_numpy())
    return found


def read_rows_quickly(folder: Path) -> Results:
    """As `read_results`, by columns; line by line where anything is not as it should be."""
    table = _read_quickly(folder / FILE_NAME)
    return read_results(folder) if table is None else Results(TableRows(table))


@dataclass(frozen=True, slots=True)
class _Parsed:
    """Rows of a file up to a byte."""

    file: tuple[int, int]
    """Device and number: a file that was written anew has another one."""
    size: int
    checksum: int
    """CRC-32 of all that was read."""
    table: pa.Table


_PARSED: dict[Path, _Parsed] = {}
_PARSED_LOCK = threading.Lock()
MOST_PARSED = 8  # files


def _read_quickly(path: Path) -> pa.Table | None:
    """Rows by columns; None where anything is not as it should be.

    Taken out and put back, a file is the newest entry of the dictionary, which keeps the order of
    insertion: so the one that is let go is the one that was asked for longest ago.
    """
    with _PARSED_LOCK:
        parsed = _parse_more(path, _PARSED.pop(path, None))
        if parsed is not None:
            _PARSED[path] = parsed
            while len(_PARSED) > MOST_PARSED:
                del _PARSED[next(iter(_PARSED))]
    return None if parsed is None else _latest(parsed.table)


def _parse_more(path: Path, known: _Parsed | None) -> _Parsed | None:
    """What was read before with what was added since; all anew where the file is another one.

    A search only ever appends lines, so bytes that were parsed once need not be parsed again:

        | parsed before ............ end | added since, whole lines | begun |
        0                       known.size                last newline

    Three things tell a file that was replaced, shortened or edited in place: device and inode, a
    size below what was read, and a checksum of what was read, which costs a tenth of a second for
    200 MB, where parsing takes seconds. Size and time alone would take a new file of more rows for
    the old one, and the end alone a row that was changed in the middle.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            identity = (stat.st_dev, stat.st_ino)
            if known is not None and known.file == identity and known.size <= stat.st_size:
                if _checksum(file, known.size) != known.checksum:
                    known = None
            else:
                known = None
            begin, checksum = (0, 0) if known is None else (known.size, known.checksum)
            file.seek(begin)
            content = file.read()
    except OSError:
        return None
    content = content[: content.rfind(b"\n") + 1]  # a line that is being written is no row
    if not content:
        return known
    table = _parse(content)
    if table is not None and known is not None:
        try:
            table = pa.concat_tables([known.table, table], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # Types are inferred from each part: whole numbers become floats, null anything; an axis
            # of numbers in one part and texts in the next does not fit, so all is read in one go.
            return _parse_more(path, None)
    if table is None:
        return None
    return _Parsed(identity, begin + len(content), zlib.crc32(content, checksum), table)


def _checksum(file: BinaryIO, size: int) -> int:
    """CRC-32 of the first bytes of a file, a megabyte at a time."""
    found = 0
    while size > 0 and (part := file.read(min(size, 1 << 20))):
        found = zlib.crc32(part, found)
        size -= len(part)
    return found


_ODD = re.compile(
    rb"\\([bfr]|u(00[0-9]|d[89a-f]|20[26]))|\x7f"
    rb"|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]|\xed[\xa0-\xbf]",
    re.IGNORECASE,
)
"""Characters that steer a terminal, or halves of them, as bytes of UTF-8 and as escapes of JSON."""

_TYPES = {
    **dict.fromkeys(("schema_version", "trial", "seed", "best_epoch", "epochs"), pa.int64()),
    **dict.fromkeys(
        (
            *("status", "source", "key", "name", "reason", "computed", "accelerator"),
            *("technology", "data_key", "recipe_key", "code_version", "finished_at"),
        ),
        pa.string(),
    ),
    # Figures are floats from the first line on, even where the first thousand are whole numbers.
    **dict.fromkeys((*OBJECTIVE_COLUMNS, "training_seconds"), pa.float64()),
}
"""What the fields and figures of a row are."""


def _parse(content: bytes) -> pa.Table | None:
    """Whole lines of JSON as columns; None where the careful reader must say what is wrong.

    Whatever `dse.studies.rows` refuses or mends is passed on to it, so that pages show the rows
    that all other readers of a study see.
    """
    if _ODD.search(content):
        return None
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(content),
            read_options=pyarrow.json.ReadOptions(block_size=1 << 24),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=pa.schema(_TYPES.items())),
        )
    except pa.ArrowInvalid:
        return None
    # A row a line: Arrow would also take two in one, or one over several.
    lines = content.count(b"\n")
    if not len(table) == lines == content.count(b"}\n{") + 1:
        return None
    if not _is_sound(table):
        return None
    # Of a study that does not listen: nobody asks for what no row has.
    missing = [name for name in STREAM_COLUMNS if table.column(name).null_count == len(table)]
    return table.drop_columns(missing)


def _is_sound(table: pa.Table) -> bool:
    """Whether each row is one: the checks of `dse.studies.rows`, on columns."""
    compute = pa.compute
    if table.column("schema_version").unique().to_pylist() != [SCHEMA_VERSION]:
        return False
    for name in set(_TYPES) - set(NULLABLE) - {*COST_COLUMNS, *STREAM_COLUMNS}:
        if table.column(name).null_count:
            return False
    known = compute.is_in(table.column("status"), pa.array(STATUSES))
    keys = compute.match_substring_regex(table.column("key"), f"^({KEY})$")
    if not compute.all(compute.and_(known, keys)).as_py():
        return False
    least = {"trial": -1}
    most = {"error": 1.0, "quantised_error": 1.0, "training_seconds": 1e12}
    for name, kind in _TYPES.items():
        if kind == pa.string():
            continue
        bound = most.get(name, MOST_COUNTED if kind == pa.int64() else MOST)
        column = table.column(name)
        inside = compute.and_(
            compute.greater_equal(column, least.get(name, 0)), compute.less_equal(column, bound)
        )
        if compute.any(compute.invert(inside)).as_py():  # NaN is inside of nothing
            return False
    texts = [each for each in table.columns if pa.types.is_string(each.type)]
    if any((compute.max(compute.utf8_length(each)).as_py() or 0) > LONGEST for each in texts):
        return False
    done = compute.is_in(table.column("status"), pa.array(WITH_ERROR))
    if compute.any(compute.and_(done, table.column("error").is_null())).as_py():
        return False
    lacks = [table.column(name).is_null() for name in COST_COLUMNS]
    for missing in lacks:
        # A row has all costs or none, and one with an error has all.
        uneven = compute.or_(compute.xor(missing, lacks[0]), compute.and_(done, missing))
        if compute.any(uneven).as_py():
            return False
    hops = [table.column(name).is_null() for name in STREAM_COLUMNS]
    if any(compute.any(compute.xor(missing, hops[0])).as_py() for missing in hops):
        return False
    return all(
        _is_plain(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name.startswith("axis_")
    )


def _is_plain(column: pa.ChunkedArray) -> bool:
    """Whether an axis has numbers, words or truth values, or nothing at all."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        size = pa.compute.abs(column)
        return not pa.compute.any(pa.compute.invert(pa.compute.less_equal(size, MOST))).as_py()
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _latest(table: pa.Table) -> pa.Table:
    """The last row of each trial: one that is trained rung by rung has a row for each rung."""
    who = table.select(["trial", "source", "key"]).to_pandas()
    beside = who["trial"] < 0  # baselines outside the space are told apart by their names
    who.loc[~beside, ["source", "key"]] = ""
    last = ~who.duplicated(keep="last").to_numpy()
    return table if last.all() else table.filter(pa.array(last))


def table_of_confirmed(study: Study) -> pd.DataFrame | None:
    """What fresh seeds said of the frontier's designs, in percent; None where nobody asked them.

    A table that cannot be read counts as none.
    """
    try:
        found = read_confirmed(study)
    except InvalidFile:
        return None
    if not found:
        return None
    bands = [(one.row, one.test_band) for one in found if one.test_band is not None]
    lines = [(row.key, row.name, band.mid, band.low, band.high) for row, band in bands]
    names = ["key", "name", "test_error", "test_error_low", "test_error_high"]
    return pd.DataFrame(lines, columns=names).astype(dict.fromkeys(names[2:], float))


MOST_BANDS, MOST_ASKED = 60, 500


def table_of_bands(study: StudyFrame) -> pd.DataFrame:
    """The frontier's designs with the 95 % intervals of their errors in percent, as reports have.

    The error is the one that the study minimises. Columns: `design`, `low`, `high`, a row a design
    whose interval is known; of a frontier of more than `MOST_BANDS` designs none, as they would
    cover it. Nor of a study from before clips were recorded that has more than `MOST_ASKED` trained
    designs: all their learning curves would be read to find out how many clips there were.
    """
    recorded = "validation" in study.of.begun.clips
    if not recorded and int(study.networks.sum()) > MOST_ASKED:
        return pd.DataFrame(columns=["design", "low", "high"])
    places = np.flatnonzero(study.frame["frontier"].to_numpy(dtype=bool))
    places = places if len(places) <= MOST_BANDS else places[:0]
    rows = study.rows_at(places.tolist())
    bands = [
        (study.frame["design"].iloc[i], study.of.find_judged_band(row))
        for i, row in zip(places, rows, strict=True)
    ]
    lines = [(str(name), band.low, band.high) for name, band in bands if band is not None]
    return pd.DataFrame(lines, columns=["design", "low", "high"])


def searching_process(folder: Path) -> int | None:
    """Process of this machine that searches in a study's folder; None where there is none.

    The lock itself is not tried: a search that begins at that moment would be refused. Instead, the
    process that the search wrote into the lock's file is asked for by signal 0, which is delivered
    to nobody but fails where there is no such process. A process of another user may be sent no
    signals, which says that it is there.

    Numbers of processes are given out anew, and a file in a shared folder may hold any number: the
    process must have this very lock open (Linux tells), or Stop would end somebody's editor.
    """
    holder = _holder(folder)
    if holder is None or not holder.is_here:
        return None
    try:
        with contextlib.suppress(PermissionError):
            os.kill(holder.pid, 0)
        return holder.pid if _has_open(holder.pid, folder / LOCK) else None
    except (OSError, OverflowError):
        return None


def _has_open(process: int, path: Path) -> bool:
    """Whether a process has a file open; True where the system does not tell.

    Linux tells of one's own processes, by links in /proc; of another user's it keeps them secret.
    """
    if not Path("/proc/self/fd").exists():
        return True
    wanted = path.stat()
    try:
        opened = list(Path(f"/proc/{process}/fd").iterdir())
    except PermissionError:
        return True
    for each in opened:
        with contextlib.suppress(OSError):  # closed since, or a file that is gone
            if os.path.samestat(each.stat(), wanted):
                return True
    return False


def searching_elsewhere(folder: Path) -> str:
    """The machine that searches in a folder that it shares with this one; empty where none does.

    Its processes cannot be asked for from here; a search on a cluster says that it lives.
    """
    holder, state = _holder(folder), read_cluster_state(folder)
    if holder is None or holder.is_here or state is None or state.stale:
        return ""
    return holder.host


def _holder(folder: Path) -> Holder | None:
    try:
        return read_holder((folder / LOCK).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
