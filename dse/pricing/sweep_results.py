"""What a sweep leaves: all designs as Parquet, and those that nothing dominates.

A space of a billion designs fits in no memory, so nothing here ever holds more than a chunk of it:

    for chunk in sweep.run(...):        # some 100,000 designs of one piece on one machine
        ParquetFile.write  <- all of them, as columns
        Frontier.add       <- those that nothing seen so far dominates

A *piece* is the part of a space in which the same axes matter; in it, a design is a row of digits,
one for each free axis, and a digit is the place of a value in the list of its axis. Values
themselves are written out for the few designs of the frontier alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dse.columns import COST_COLUMNS, STREAM_COLUMNS
from dse.design.space import SearchSpace
from dse.errors import InvalidInput
from dse.pareto import pareto_mask, sift
from dse.pricing.budget import Budget
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Chunk, Sweep

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = "ternary_dse"
"""Key of the file's metadata: machines, technologies, frames, outputs, sample and seed as JSON."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepJob:
    """What a sweep prices."""

    space: SearchSpace
    machines: tuple[Machine, ...]
    frames: int
    outputs: int
    budget: Budget
    rate: float
    sample: int | None
    seed: int
    objectives: Mapping[str, float]
    """Column -> 1 where it is minimised, -1 where it is maximised."""
    listening: Listening | None = None
    """How a stream is taken in; None where each inference stands alone."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the costs that are known of each design."""
        return COST_COLUMNS if self.listening is None else (*COST_COLUMNS, *STREAM_COLUMNS)


def make_sweep(job: SweepJob) -> Sweep:
    """The sweep of a job."""
    pricing = Pricing(
        job.machines,
        frames=job.frames,
        outputs=job.outputs,
        budget=job.budget,
        rate=job.rate,
        listening=job.listening,
    )
    return Sweep(job.space, pricing)


class Frontier:
    """The designs that no other of those seen so far dominates, kept up to date chunk by chunk.

    Dominance is transitive, so what a chunk throws out need never be looked at again, and at the
    end this is the frontier of all designs, whatever the order of the chunks.
    """

    def __init__(
        self, objectives: Mapping[str, float], rivals: npt.NDArray[np.float64] | None = None
    ) -> None:
        """Begin with none.

        Args:
            objectives: column -> 1 where it is minimised, -1 where it is maximised.
            rivals: `points` of another frontier of the sweep, which this one will join: what they
                dominate need not be taken up.
        """
        self.objectives = objectives
        self._points = np.empty((0, len(objectives))) if rivals is None else rivals
        self._rows: list[Row | None] = [None] * len(self._points)
        """None of rivals."""

    @property
    def points(self) -> npt.NDArray[np.float64]:
        """Objectives, all minimised, of those that nothing dominates; shape (designs, columns)."""
        return self._points

    def add(self, chunk: Chunk) -> None:
        """Take up the feasible designs of a chunk; those known that it beats are let go.

        Two steps, as the first is much cheaper: `sift` holds the chunk against a few known points,
        which throws out nearly all of it; `pareto_mask` then decides between what is left and what
        was known.
        """
        inside = np.flatnonzero(chunk.feasible)
        if not len(inside) or not self.objectives:
            return
        points = np.stack(
            [sign * _column(chunk, name)[inside] for name, sign in self.objectives.items()], axis=1
        )
        fresh = sift(points, self._points)
        inside, points = inside[fresh], points[fresh]
        stays = self._keep(points)
        self._rows += [_row(chunk, int(place)) for place in inside[stays]]

    def join(self, other: "Frontier") -> None:
        """Take up the frontier of other designs of the same sweep; its rivals are known here."""
        own = [place for place, row in enumerate(other._rows) if row is not None]
        stays = self._keep(other._points[own])
        self._rows += [other._rows[own[place]] for place in np.flatnonzero(stays)]

    def without_rivals(self) -> "Frontier":
        """Those that were taken up here."""
        found = Frontier(self.objectives)
        found.join(self)
        return found

    def _keep(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Let go what new points dominate; which of those stay, whose rows are to be appended."""
        together = np.concatenate([self._points, points])
        stays = pareto_mask(together)
        known = len(self._points)
        self._points = together[stays]
        self._rows = [self._rows[place] for place in np.flatnonzero(stays[:known])]
        return stays[known:]

    def rows(self) -> list[Row]:
        """Designs by the first objective; of equal ones the first that was seen.

        Equal in all objectives, that is: none of them dominates another, so all are kept until
        here, and one is as good as any for whoever reads the table.
        """
        # lexsort's last key is its first criterion: reversed, objectives count in their order.
        order = np.lexsort(self._points.T[::-1])
        kept: dict[tuple[float, ...], Row] = {}
        for index in order:
            row = self._rows[index]
            if row is not None:
                kept.setdefault(tuple(self._points[index]), row)
        return list(kept.values())


def describe_sweep(sweep: Sweep, sample: int | None, seed: int) -> dict[str, Any]:
    """What the figures of a file depend on beside the axes; it stands in the file's metadata.

    With the whole machine, not its name alone: a file of that name may be another one by then.
    """
    listening = sweep.book.listening
    return {
        "machines": {
            each.accelerator.name: {
                "technology": each.technology.name,
                "objective": each.objective,
                "accelerator": each.accelerator.to_dict(),
            }
            for each in sweep.pricing.machines
        },
        "frames": sweep.book.frames,
        "outputs": sweep.book.outputs,
        "designs_of_the_space": sweep.size,
        "sample": sample,
        "seed": seed,
    } | ({"stream": asdict(listening)} if listening else {})


class ParquetFile:
    """Writes chunks to a Parquet file; axes are dictionaries, so a value costs a byte or two.

    A row a design and machine: `machine`, `axis_*`, the columns of a cost, `feasible`. An axis that
    does not matter to a design (the density of a dense block) is null, and so is a cost of a design
    that cannot be built or executed. Digits of a chunk are indices into the axis's values already,
    so no value is ever made an object. All chunks have one schema, with every axis of the space,
    whichever of them their piece has.
    """

    def __init__(
        self,
        path: Path,
        space: SearchSpace,
        about: dict[str, Any],
        costs: Sequence[str] = COST_COLUMNS,
    ) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ModuleNotFoundError:
            raise InvalidInput(
                "dse sweep writes Parquet, which needs pyarrow: pip install 'ternary-dse[parquet]'"
            ) from None
        self._arrow = pyarrow
        self._axes = [choice.name for choice in space.choices]
        fields = [("machine", pyarrow.dictionary(pyarrow.int16(), pyarrow.string()))]
        for choice in space.choices:
            values = pyarrow.array(list(choice.values)).type
            fields.append((f"axis_{choice.name}", pyarrow.dictionary(pyarrow.int16(), values)))
        self._costs = costs
        fields += [(name, pyarrow.float64()) for name in costs]
        fields.append(("feasible", pyarrow.bool_()))
        self._schema = pyarrow.schema(fields, metadata={METADATA: json.dumps(about)})
        self._values = {choice.name: list(choice.values) for choice in space.choices}
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def write(self, chunk: Chunk) -> None:
        """Append one row per design, in the order of the chunk: all have the same machine."""
        arrow = self._arrow
        rows = len(chunk.digits)
        columns: list[pa.Array] = [
            arrow.DictionaryArray.from_arrays(
                arrow.array(np.zeros(rows, dtype=np.int16)), [chunk.machine.accelerator.name]
            )
        ]
        for name in self._axes:
            places = _places(chunk, name, self._values[name])
            indices = arrow.array(places, mask=places < 0)
            columns.append(arrow.DictionaryArray.from_arrays(indices, self._values[name]))
        columns += [arrow.array(chunk.columns[name], from_pandas=True) for name in self._costs]
        columns.append(arrow.array(chunk.feasible))
        self._writer.write_table(arrow.Table.from_arrays(columns, schema=self._schema))


def _places(chunk: Chunk, name: str, values: list[Any]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Places of an axis's values among all its values; -1 where it does not matter.

    Three cases: the axis is free in the piece, then the digits are the places; it is fixed, then
    all designs of the piece have one value; or the piece does not know it.

    Args:
        chunk: of n designs.
        name: of the axis.
        values: all of them, in the order of the space.

    Returns:
        Shape (n,). int16 holds axes of up to 32,767 values.
    """
    for place, choice in enumerate(chunk.piece.free):
        if choice.name == name:
            return chunk.digits[:, place].astype(np.int16)
    fixed = chunk.piece.fixed
    number = values.index(fixed[name]) if name in fixed else -1
    return np.full(len(chunk.digits), number, dtype=np.int16)


def _column(chunk: Chunk, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column, shape (designs,). `weights` are made up here: trained and generated ones together.

    They stand for what a network may be able to learn, which nothing can say before a training.
    """
    if name == "weights":
        columns = chunk.columns
        return columns["trained_parameters"] + columns["generated_weights"]
    return chunk.columns[name]


def _row(chunk: Chunk, index: int) -> Row:
    axes = {
        f"axis_{name}": value for name, value in chunk.piece.values(chunk.digits[index]).items()
    }
    costs = {name: float(figures[index]) for name, figures in chunk.columns.items()}
    weights = {"weights": float(_column(chunk, "weights")[index])}
    return {"machine": chunk.machine.accelerator.name, **axes, **weights, **costs}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDone:
    """What came out of a sweep, or of a part of it."""

    priced: int
    """Designs, each once a machine."""
    feasible: int
    frontier: Frontier
    dead: int = 0
    """Of those priced, networks that nothing of their input gets through."""
