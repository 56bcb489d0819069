"""What a report is about: designs on machines, and what a study knows of them."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cost_models import (
    Accelerator,
    Band,
    Cost,
    Technology,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.application import average_power_uw, battery_days, inferences_per_second
from dse.columns import COST_COLUMNS, first_cost
from dse.design.point import DENSE, DesignPoint
from dse.design.space import SearchSpace
from dse.errors import InvalidInput, InvalidStudy
from dse.networks.lowering import lower
from dse.pricing.priced import Priced
from dse.studies.designs import (
    accelerator_of,
    design_folder,
    frames_of,
    hardware_of,
    machine_of,
    outputs_of,
    point_of,
    space_of,
    technology_of,
)
from dse.studies.frontier import frontier_of, hypervolume_share
from dse.studies.intervals import clips_behind, error_band
from dse.studies.on_machines import expanded
from dse.studies.record import RESOLVED, StudyRecord, read_record
from dse.studies.rows import Evaluation, latest, read_rows
from dse.training.history import read_history

USUAL_OUTPUTS = 12
"""Ten command words, unknown and silence."""
EXHAUSTED = 100
"""So many duplicates in a row end a study."""


def rate_of(record: StudyRecord) -> float:
    """Inferences a second: as the study says, or 1."""
    rate = record.resolved.get("rate")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else 1.0


def trial_of(row: Evaluation) -> str:
    """`trial 7`, or `baseline` for one beside the space."""
    return "baseline" if row.trial < 0 else f"trial {row.trial}"


def power_at(cost: Cost, rate: float) -> Band | None:
    """Average power in microwatts, always powered; None where the rate is too high."""
    try:
        return average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, rate)
    except InvalidInput:
        return None


def battery_at(power_uw: Band | None, battery_mwh: float) -> Band | None:
    """Days that a battery lasts."""
    return None if power_uw is None else battery_days(power_uw, battery_mwh)


def highest_rate(cost: Cost) -> float:
    """Inferences a second at most."""
    return inferences_per_second(cost.latency_us)


def dense_of(point: DesignPoint) -> DesignPoint:
    """The same network with dense matrices where it has ternary ones; identities stay."""
    blocks = tuple(
        dataclasses.replace(
            block,
            mixer=DENSE if block.mixer.kind == "ternary" else block.mixer,
            skip=DENSE if block.skip and block.skip.kind == "ternary" else block.skip,
        )
        for block in point.blocks
    )
    if blocks == point.blocks:
        return point
    # The seed is that of a network without ternary matrices, so that the key is its key, too.
    return dataclasses.replace(point, blocks=blocks, ternary_seed=1, name="")


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A study, read back: its question, its rows, and the machine that priced them."""

    record: StudyRecord
    rows: tuple[Evaluation, ...]
    """One a trial: the last."""
    accelerator: Accelerator
    technology: Technology
    space: SearchSpace
    frames: int
    """Input frames of an inference."""

    @property
    def cost_objective(self) -> str:
        """The first objective that is no error: what the frontier's other axis is."""
        return first_cost(self.record.objectives)

    @cached_property
    def trained(self) -> tuple[Evaluation, ...]:
        """Designs whose error counts, each once, in the order of their trials."""
        first = {row.key: row for row in reversed(self.rows) if row.full}
        return tuple(reversed(first.values()))

    @cached_property
    def pairs(self) -> tuple[Evaluation, ...]:
        """`rows`, but a trained network once for each machine of the study that suits it."""
        return tuple(expanded(self.rows, self.record))

    @cached_property
    def frontier(self) -> tuple[Evaluation, ...]:
        """Cheapest first; of several machines it has pairs of a network and a machine."""
        return tuple(frontier_of(self.pairs, self.record.objectives))

    @property
    def several_machines(self) -> bool:
        """Whether the study chooses the machine, too."""
        return hardware_of(self.record) is not None

    def named(self, row: Evaluation) -> str:
        """`1x1x64 (trial 7)`, and on which machine where the study has several."""
        name = f"{row.name or row.key} ({trial_of(row)})"
        return f"{name} on {row.accelerator}" if self.several_machines else name

    def machine_of(self, row: Evaluation) -> tuple[Accelerator, Technology]:
        """What a row was priced on."""
        if not self.several_machines:
            return self.accelerator, self.technology
        return machine_of(self.record, row)

    @cached_property
    def clips(self) -> int | None:
        """Validation clips behind each error, as far as the errors tell."""
        errors = [row.column("error") for row in self.trained]
        for row in self.trained:
            try:
                history = read_history(design_folder(self.record, row.key))
            except (InvalidInput, OSError, UnicodeDecodeError):
                continue  # gone or damaged: the other errors must do
            errors += [epoch.validation_error for epoch in history]
        return clips_behind(errors)

    @cached_property
    def _ternary(self) -> frozenset[str]:
        """Keys of designs with ternary matrices, whether their machine makes or stores them."""
        found = set()
        for row in self.trained:
            point = self.point_of(row)
            generates = row.column("generated_weights") > 0
            if generates or (point is not None and dense_of(point).key != point.key):
                found.add(row.key)
        return frozenset(found)

    def is_ternary(self, row: Evaluation) -> bool:
        """Whether any matrix of a trained design is ternary."""
        return row.key in self._ternary

    def error_of(self, row: Evaluation | None) -> Band | None:
        """Its validation error in percent with the 95 % interval."""
        if row is None or row.error is None:
            return None
        return error_band(row.error, self.clips)

    @property
    def progress(self) -> str:
        """A sentence where the study has not ended; empty where it has."""
        resolved = self.record.resolved
        trainings, candidates = resolved.get("trainings"), resolved.get("candidates")
        if not isinstance(trainings, int) or not isinstance(candidates, int) or self._ended:
            return ""
        done = sum(_is_full_training(row) for row in self.rows)
        return (
            f"The study is in progress: {done:,} of {trainings:,} trainings are done, and "
            f"{len(self.rows):,} of at most {candidates:,} candidates are priced. What follows may "
            "change."
        )

    @property
    def _ended(self) -> bool:
        """Whether any of the limits to its effort is reached: those of docs/how-to/search.md."""
        resolved, rows = self.record.resolved, self.rows
        recipe = resolved.get("recipe")
        each = recipe.get("epochs", 1) if isinstance(recipe, dict) else 1
        epochs = sum(row.epochs or 0 for row in rows if row.status not in ("duplicate", "reused"))
        done = sum(_is_full_training(row) for row in rows)
        spent = epochs if resolved.get("rungs") else done * each
        workers = resolved.get("workers") or 1
        hours = sum(row.training_seconds or 0.0 for row in rows) / 3600 / workers
        recent = rows[-EXHAUSTED:]
        return (
            spent >= resolved["trainings"] * each
            or len(rows) >= resolved["candidates"]
            or (resolved.get("epochs") is not None and epochs >= resolved["epochs"])
            or (resolved.get("hours") is not None and hours >= resolved["hours"])
            or (
                len(recent) == EXHAUSTED
                and all(row.status in ("duplicate", "invalid") for row in recent)
            )
            or self._out_of_patience
        )

    @property
    def _out_of_patience(self) -> bool:
        patience = self.record.resolved.get("patience")
        if not isinstance(patience, dict):
            return False
        at = [index for index, row in enumerate(self.rows) if row.full]
        if len(at) <= patience["trainings"]:
            return False
        earlier = expanded(self.rows[: at[-patience["trainings"]]], self.record)
        before = hypervolume_share(earlier, self.record.box)
        now = hypervolume_share(self.pairs, self.record.box)
        return now > 0 and (now - before) / now < float(patience["improvement"])

    def point_of(self, row: Evaluation) -> DesignPoint | None:
        """The network of a row; None where nothing says any more what it was."""
        try:
            point = point_of(row, self.record, self.space)
        except InvalidInput:  # a key that could lead out of the folder
            return None
        return None if point is None else dataclasses.replace(point, name=row.name)

    @cached_property
    def outputs(self) -> int:
        """Classes of the task: as the trained parameters of a recorded design have them."""
        try:
            return outputs_of(self.trained or self.rows, self.record)
        except InvalidInput:
            return USUAL_OUTPUTS

    def price(
        self,
        point: DesignPoint,
        machine: Accelerator | None = None,
        technology: Technology | None = None,
    ) -> Cost:
        """The cost of a design, on the study's machine unless another is given."""
        workload = lower(point, frames=self.frames, outputs=self.outputs)
        return estimate(workload, machine or self.accelerator, technology or self.technology)

    def priced(self, row: Evaluation, why: str = "") -> Priced | None:
        """A row's design with its whole cost; None where its network is not known any more."""
        point = self.point_of(row)
        if point is None:
            return None
        try:
            cost = self.price(point, *self.machine_of(row))
        except InvalidInput:
            return None
        return Priced(point=point, cost=cost, trial=trial_of(row), recorded=row.cost, why=why)

    def drifted(self, each: Priced) -> tuple[str, ...]:
        """Columns of a row that today's model gives another figure."""
        now = each.cost.columns(self.record.rate)
        return tuple(
            name
            for name in COST_COLUMNS
            if name in each.recorded
            and abs(now[name] - each.recorded[name]) > 1e-9 * max(abs(now[name]), 1e-12)
        )


def _is_full_training(row: Evaluation) -> bool:
    return row.full or row.over_in_error


def read_study_results(folder: Path) -> StudyResults:
    """Read a study's folder.

    Raises:
        InvalidStudy: the folder holds no study, or nothing was evaluated yet.
        InvalidFile: its record or its results are damaged.
    """
    record = read_record(folder)
    rows = [_readable(row) for row in latest(read_rows(folder))]
    if not rows:
        raise InvalidStudy(
            f"{folder} holds a study in which nothing was evaluated yet: let `dse search {folder}` "
            "price and train some designs first"
        )
    try:
        accelerator, technology = accelerator_of(record), technology_of(record)
        space, frames = space_of(record), frames_of(record)
    except InvalidStudy:
        raise
    except InvalidInput as error:
        raise InvalidStudy(
            f"machine or space of {folder} cannot be read back: {error}; restore {RESOLVED} from a "
            "backup, or search anew with this version"
        ) from None
    return StudyResults(
        record=record,
        rows=tuple(rows),
        accelerator=accelerator,
        technology=technology,
        space=space,
        frames=frames,
    )


def _readable(row: Evaluation) -> Evaluation:
    """The row with texts that can be written: JSON may hold halves of characters."""
    texts: dict[str, Any] = {
        name: value.encode("utf-8", "replace").decode()
        for name in Evaluation.__slots__
        if isinstance(value := getattr(row, name), str)
    }
    return dataclasses.replace(row, **texts)


def load_machine(name: str, technology: str | None = None) -> tuple[Accelerator, Technology]:
    """A machine of the library or of a file, and what it is priced with.

    Raises:
        InvalidInput: there is no such machine or technology, or a file is wrong.
    """
    machine = load_accelerator(name)
    return machine, load_technology(technology or machine.technology)


def price_designs(
    points: Sequence[DesignPoint],
    machines: Sequence[tuple[Accelerator, Technology]],
    *,
    frames: int,
    outputs: int,
) -> list[Priced]:
    """Each design on each machine.

    Raises:
        InvalidInput: a machine cannot execute a design.
    """
    return [
        Priced(
            point=point,
            cost=estimate(lower(point, frames=frames, outputs=outputs), machine, technology),
        )
        for point in points
        for machine, technology in machines
    ]


def plain_text(value: Any) -> str:
    """Plain data as one line."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
