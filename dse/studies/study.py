"""A study: what was asked, and what was found. Search, reports and pages all read this one.

    study = open_study(Path("studies/demo"))
    study.asked.objectives            # typed parts of resolved.yaml, as of the study file
    study.frontier                    # rows; read when they are first asked for
    point = study.build_point(row)       # the network of a row, as an object again
    cost = study.price(point)         # by today's model, on the study's machine

No torch: a checkpoint is not needed to know a design.

Costs come in two kinds. `row.cost` is what the model of the day said when the row was written; the
search decided by it, so frontiers of a study on one machine are drawn from it. `price` is what
today's model says, with the breakdown by layer. They differ where the model has changed since.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from cost_models import Band, Cost, estimate
from cost_models.streaming import Stream
from cost_models.strict_yaml import read_yaml
from dse.columns import first_cost
from dse.design.point import DesignPoint, point_from_node
from dse.design.published import published
from dse.errors import InvalidInput, InvalidStudy
from dse.networks.lowering import lower
from dse.pricing.listening import price_hop
from dse.pricing.machine import Machine
from dse.studies.folder import CHECKPOINT, DESIGN, GIVEN, RESOLVED, design_folder
from dse.studies.frontier import find_frontier, hypervolume_share
from dse.studies.intervals import clips_behind, clips_worth, error_band
from dse.studies.kinds import Kinds
from dse.studies.likeness import missing_controls
from dse.studies.mistakes import find_mistakes
from dse.studies.on_machines import expanded, recorded_only
from dse.studies.reading import read_study
from dse.studies.repeats import Repeat, read_repeats
from dse.studies.resolved import Begun, read_resolved
from dse.studies.rows import Evaluation, Results, latest, read_results
from dse.studies.spec import StudySpec
from dse.studies.study_file import Controls
from dse.training.history import EpochRecord, read_history

SHORTEST_KEY = 4
"""Digits of a key that are taken for its beginning."""

Reader = Callable[[Path], Results]


@dataclass(frozen=True, eq=False)  # without slots: what is derived from it is kept in it
class Study:
    """A study, read back from its folder; what is derived from its rows is computed once."""

    folder: Path
    asked: StudySpec
    begun: Begun
    reader: Reader = read_results
    """Reads the last row of each trial from the folder; pages have a quicker one."""

    @cached_property
    def _results(self) -> Results:
        return self.reader(self.folder)

    @property
    def rows(self) -> Sequence[Evaluation]:
        """One a trial, the last, as they were when they were first asked for."""
        return self._results.rows

    @property
    def refused(self) -> str:
        """One sentence about lines of the results that are no rows; empty where all are."""
        refused = self._results.refused
        return f"{refused}; the other rows are used" if refused else ""

    @cached_property
    def trained(self) -> tuple[Evaluation, ...]:
        """Designs whose error counts, each once, in the order of their trials."""
        first = {row.key: row for row in reversed(self.rows) if row.full}
        return tuple(reversed(first.values()))

    @cached_property
    def pairs(self) -> Sequence[Evaluation]:
        """`rows`, but a trained network once for each machine of the study that suits it."""
        return self.expanded(self.rows)

    def expanded(self, rows: Sequence[Evaluation]) -> Sequence[Evaluation]:
        """Rows of the study, trained networks once for each machine that suits them."""
        return expanded(rows, self.asked, self.begun.outputs, self.build_point)

    @cached_property
    def judged(self) -> tuple[Evaluation, ...]:
        """Trained designs with the error that the study minimises: what an answer chooses from.

        Of `pairs`, so that all have one price: with one machine the recorded one, with several
        today's on each machine that suits them.
        """
        measured = self.asked.measured
        told = [row for row in self.pairs if row.full and not math.isnan(row.column(measured))]
        first = {(row.key, row.accelerator): row for row in reversed(told)}
        return tuple(reversed(first.values()))

    @cached_property
    def as_recorded(self) -> tuple[Evaluation, ...]:
        """Trained designs of several machines that have no price of today: see `recorded_only`."""
        return recorded_only(self.rows, self.asked, self.begun.outputs, self.build_point)

    @cached_property
    def frontier(self) -> tuple[Evaluation, ...]:
        """Cheapest first; of several machines it has pairs of a network and a machine."""
        return tuple(find_frontier(self.pairs, self.asked.objectives))

    @property
    def hypervolume(self) -> float:
        """Share of the study's box that its trained designs dominate."""
        return hypervolume_share(self.pairs, self.begun.box)

    @cached_property
    def ended_by(self) -> str:
        """Why nothing more is started; empty while something may.

        A search that has nothing more to find trains its dense controls first (`controls: auto`).
        """
        effort, last = self.asked.effort, latest(self.rows)
        if spent := effort.spent_by(last, self.begun.workers):
            return spent
        pointless = effort.pointless_by(
            last,
            self.begun.box,
            volume=lambda rows, box: hypervolume_share(self.expanded(rows), box),
        )
        return "" if pointless and self.missing_controls else pointless

    @cached_property
    def missing_controls(self) -> Sequence[Evaluation]:
        """Ternary designs of the frontier for which the search still owes a dense control."""
        if self.asked.controls == "none":
            return ()
        return missing_controls(
            [row for row in self.frontier if self.is_ternary(row)],
            [row for row in self.trained if self.is_dense(row)],
            {row.source for row in self.rows},
        )

    @property
    def cost_objective(self) -> str:
        """The first objective that is no error: what the frontier's other axis is."""
        return first_cost(self.asked.objectives)

    def find_machine(self, row: Evaluation) -> Machine:
        """What a row was priced on: one of the study's machines.

        Raises:
            InvalidInput: the study has no machine of that name.
        """
        return self.asked.hardware.machine(row.accelerator)

    def find(self, name: str) -> Evaluation:
        """A row of the study by its trial's number, by its key, or by the beginning of a key.

        A name that is a trial's number is taken for one, even if a key begins with these digits.

        Raises:
            InvalidStudy: there is none, or a beginning that several keys share.
        """
        known = [row for row in self.rows if row.key]
        found = [row for row in known if str(row.trial) == name]
        if not found and len(name) >= SHORTEST_KEY:
            found = [row for row in known if row.key.startswith(name)]
        if len({row.key for row in found}) > 1:
            raise InvalidStudy(f"'{name}' is the beginning of several keys: give more digits")
        if not found:
            raise InvalidStudy(
                f"{self.folder} has no design '{name}': give a trial number or a key of its results"
            )
        return min(found, key=lambda row: not row.full)  # others may be without the error

    def build_point(self, row: Evaluation) -> DesignPoint | None:
        """The network of a row; None where nothing says any more what it was.

        Its axes in the space, else its design file, else its name among the published networks;
        the key of the row says whether it is the same network.

        The key is a hash of all choices, so a space whose defaults have changed since, or a design
        file that somebody has edited, is found out and passed over, never taken for the network.
        """
        for read in (self._of_space, self._of_file, self._of_name):
            try:
                point = read(row)
            except (InvalidInput, OSError):
                continue
            if point is not None and point.key == row.key:
                return dataclasses.replace(point, name=row.name)
        return None

    def _of_space(self, row: Evaluation) -> DesignPoint | None:
        if not row.values:
            return None
        values = {name: value for name, value in row.values.items() if value is not None}
        return self.asked.space.point(values)

    def _of_file(self, row: Evaluation) -> DesignPoint | None:
        path = self.find_folder(row) / DESIGN
        return point_from_node(read_yaml(path)) if path.is_file() else None

    def _of_name(self, row: Evaluation) -> DesignPoint | None:
        return published(row.source)

    def price(self, point: DesignPoint, machine: Machine | None = None) -> Cost:
        """The cost of a design by today's model; remembered, as a page is drawn many times.

        Where the study listens to a stream, memories that fit have the sizes that the stream needs:
        the machine is built for that.

        Args:
            point: it.
            machine: instead of the study's first one.

        Raises:
            InvalidInput: the machine cannot execute the design.
        """
        features, on = self.asked.features, machine or self.asked.machines[0]
        if on.accelerator.to_fit and (hop := self.price_hop(point, on)) is not None:
            on = dataclasses.replace(on, accelerator=hop[0].accelerator)
        return price(point, on, features.frames, self.begun.outputs)

    def price_hop(
        self, point: DesignPoint, machine: Machine | None = None
    ) -> tuple[Cost, Stream] | None:
        """The cost of one hop of a study that listens; None where it does not, or has no hop."""
        listening, on = self.asked.listening, machine or self.asked.machines[0]
        if listening is None:
            return None
        try:
            return _price_hop(
                point, on, self.asked.features.frames, self.begun.outputs, listening.hop_frames
            )
        except InvalidInput:
            return None

    def is_ternary(self, row: Evaluation) -> bool:
        """Whether any matrix of a trained design is ternary, whether made or stored."""
        return row.key in self._ternary

    def is_dense(self, row: Evaluation) -> bool:
        """Whether all matrices of a trained design are dense, but for identities.

        Neither dense nor ternary are designs with other mixing layers alone, such as low rank.
        """
        return row.key in self._dense

    @cached_property
    def _dense(self) -> frozenset[str]:
        return frozenset(row.key for row in self.trained if self.kinds.of(row) in ("dense", None))

    @cached_property
    def kinds(self) -> Kinds:
        """The kinds of its networks."""
        return Kinds(self.asked.space, self.build_point)

    @cached_property
    def _ternary(self) -> frozenset[str]:
        return frozenset(row.key for row in self.trained if self.kinds.of(row) == "ternary")

    def named(self, row: Evaluation) -> str:
        """`1x1x64 (trial 7)`, and on which machine where the study has several."""
        name = named(row)
        return f"{name} on {row.accelerator}" if self.asked.several_machines else name

    def find_folder(self, row: Evaluation) -> Path:
        """Folder of a trained design.

        Raises:
            InvalidStudy: the row's key could lead out of the study's folder.
        """
        return design_folder(self.folder, row.key)

    def load_history(self, row: Evaluation) -> tuple[EpochRecord, ...]:
        """The epochs of a trained design.

        Raises:
            InvalidInput: there are none, or they are damaged.
        """
        return read_history(self.find_folder(row))

    def has_checkpoint(self, row: Evaluation) -> bool:
        """Whether the trained network of a row lies in the study's folder."""
        try:
            return (self.find_folder(row) / CHECKPOINT).exists()
        except InvalidInput:
            return False

    @cached_property
    def repeats(self) -> tuple[Repeat, ...]:
        """Trainings with fresh seeds, one a design and seed; empty where `dse confirm` never ran.

        Raises:
            InvalidFile: a line of their file is damaged.
        """
        return tuple({(each.key, each.seed): each for each in read_repeats(self.folder)}.values())

    @cached_property
    def clips(self) -> int | None:
        """Validation clips behind each error; None where neither record nor errors tell.

        A study that recorded none is older: there the errors must tell.

        The errors of all epochs are asked, not only the best ones: the more shares of clips there
        are, the surer their least common denominator is all clips (`clips_behind`).
        """
        if "validation" in self.begun.clips:
            return self.begun.clips["validation"]
        errors = [row.column("error") for row in self.trained]
        for row in self.trained:
            try:
                errors += [epoch.validation_error for epoch in self.load_history(row)]
            except (InvalidInput, OSError, UnicodeDecodeError):
                continue  # gone or damaged: the other errors must do
        return clips_behind(errors)

    def find_error_band(self, row: Evaluation | None, measured: str = "error") -> Band | None:
        """A row's validation error in percent with the 95 % interval; None where it has none.

        Args:
            row: of the study.
            measured: `error`, of the network in floats, or `quantised_error`.
        """
        if row is None or math.isnan(row.column(measured)):
            return None
        return error_band(row.column(measured), self.find_clips(row, measured))

    def find_clips(self, row: Evaluation, measured: str = "error") -> float | None:
        """Clips behind an error, or that its utterances are worth; None where nothing tells.

        Of sentences that differs from design to design (`dse.studies.intervals.clips_worth`).
        """
        if not self.asked.of_sentences:
            return self.clips
        told = find_mistakes(self.find_folder(row), row, measured)
        return None if told is None else clips_worth(told.counts[0], told.units)

    def find_judged_band(self, row: Evaluation | None) -> Band | None:
        """Likewise of the error that the study minimises."""
        return self.find_error_band(row, self.asked.measured)


def open_study(folder: Path | str, reader: Reader = read_results) -> Study:
    """The study in a folder; its rows are read when they are first asked for.

    Raises:
        InvalidStudy: the folder holds no study.
        InvalidFile: its record is damaged, or of another program.
    """
    folder = Path(folder)
    return Study(folder, *read_resolved(folder), reader)


def read_folder(
    study: Path,
    *,
    data: Path | None = None,
    trainings: int | None = None,
    controls: Controls | None = None,
) -> tuple[StudySpec, str]:
    """A study and its text, from a study file or from the folder of a study.

    Args:
        study: the file or the folder.
        data: takes the place of the study's data folder.
        trainings: takes the place of the study's trainings.
        controls: takes the place of the study's controls.

    Raises:
        InvalidInput: it is neither, or something in it is wrong.
    """
    base = None
    if study.name == GIVEN and (study.parent / RESOLVED).exists():
        study = study.parent  # the file lies in a study: what it names is seen from elsewhere
    if study.is_dir():
        asked = open_study(study).asked
        base, data = asked.base_folder, data or asked.data_folder
        study = study / GIVEN
    spec = read_study(study, data_folder=data, base=base, trainings=trainings, controls=controls)
    return spec, study.read_text(encoding="utf-8")


def say_nothing_trained(rows: Sequence[Evaluation]) -> str:
    """Why a study has no frontier, and what to do about it, as a clause.

    Args:
        rows: of a study, none of them trained in full within the limits.
    """
    over = [row for row in rows if row.over_in_error]
    if over:
        return (
            f"no design keeps the limits: {over[-1].name} was trained, and its "
            f"{over[-1].reason}; raise the limit, or widen the space"
        )
    failed = [row for row in rows if row.status == "failed"]
    if failed:
        return f"no design is trained: {len(failed)} failed, at last with: {failed[-1].reason}"
    lost = [row for row in rows if row.status in ("invalid", "infeasible")]
    if lost and len(lost) == len(rows):
        return (
            f"no design is trained: of {len(rows)} that were priced none is a network within the "
            f"limits, at last: {lost[-1].reason}; widen the space, or raise a limit"
        )
    return "no design is trained yet: let the search go on, or raise its limits"


def named(row: Evaluation) -> str:
    """`1x1x64 (trial 7)`: distinct within a study."""
    return f"{row.name or row.key} ({say_trial(row)})"


def say_number(row: Evaluation) -> str:
    """`7`, or `base` of a baseline: as columns of tables have it."""
    return "base" if row.trial < 0 else str(row.trial)


def say_trial(row: Evaluation) -> str:
    """`trial 7`, or `baseline` for one beside the space."""
    return "baseline" if row.trial < 0 else f"trial {row.trial}"


@lru_cache(maxsize=256)
def price(point: DesignPoint, machine: Machine, frames: int, outputs: int) -> Cost:
    """The cost of a design by layer; remembered, as all four arguments are immutable.

    Args:
        point: the network.
        machine: executes it.
        frames: input frames of one inference.
        outputs: classes.

    Raises:
        InvalidInput: the machine cannot execute the design.
    """
    workload = lower(point, frames=frames, outputs=outputs)
    return estimate(workload, machine.accelerator, machine.technology)


@lru_cache(maxsize=256)
def _price_hop(
    point: DesignPoint, machine: Machine, frames: int, outputs: int, hop_frames: int
) -> tuple[Cost, Stream]:
    return price_hop(lower(point, frames=frames, outputs=outputs), machine, hop_frames)
