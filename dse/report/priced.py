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
from cost_models.strict_yaml import Node, build, read_yaml
from dse.errors import InvalidInput, InvalidStudy
from dse.frontier import frontier_of
from dse.history import read_history
from dse.lowering import lower
from dse.matchboxnet import matchboxnet
from dse.point import DENSE, DesignPoint, point_from_node
from dse.record import DESIGNS, RESOLVED, StudyRecord, read_record
from dse.report.intervals import clips_behind, error_band
from dse.results import COST_COLUMNS, Evaluation, read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a machine is used: what average power depends on."""

    inferences_per_second: float = 1.0
    battery_mwh: float = 650.0
    """A CR2032."""

    @property
    def words(self) -> str:
        """`1 inference a second`."""
        rate = self.inferences_per_second
        return f"{rate:,.10g} inference{'' if rate == 1 else 's'} a second"


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A design on a machine."""

    label: str
    point: DesignPoint
    cost: Cost
    row: Evaluation | None = None
    """What a study recorded of it; None where it was never evaluated."""
    why: str = ""
    """Why the report shows it: `lowest error`."""

    def named(self) -> str:
        """`1x1x64 (trial 7)`: distinct within a study."""
        if self.row is None:
            return self.label
        return f"{self.label} ({trial_of(self.row)})"


def trial_of(row: Evaluation) -> str:
    """`trial 7`, or `baseline` for one beside the space."""
    return "baseline" if row.trial < 0 else f"trial {row.trial}"


def dynamic_energy_pj(cost: Cost) -> Band:
    """Energy of one inference without leakage."""
    low, mid, high = cost.prices.energy_pj(cost.prices.with_leakage(cost.counts, 0))
    return Band(low=float(low), mid=float(mid), high=float(high))


def power_at(cost: Cost, rate: float) -> Band | None:
    """Average power in microwatts, always powered; None where the rate is too high."""
    try:
        return average_power_uw(dynamic_energy_pj(cost), cost.latency_us, cost.leakage, rate)
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
    accelerator: Accelerator
    technology: Technology
    node: Node
    """The resolved study."""

    @property
    def cost_objective(self) -> str:
        """The first objective that is no error: what the frontier's other axis is."""
        return next(name for name in self.record.objectives if name != "error")

    @cached_property
    def trained(self) -> tuple[Evaluation, ...]:
        """Designs with an error, each once, in the order of their trials."""
        first = {row.key: row for row in reversed(self.rows) if row.status == "trained"}
        return tuple(reversed(first.values()))

    @cached_property
    def frontier(self) -> tuple[Evaluation, ...]:
        """Cheapest first."""
        return tuple(frontier_of(self.rows, self.record.objectives))

    @cached_property
    def clips(self) -> int | None:
        """Validation clips behind each error, as far as the errors tell."""
        errors = [row.column("error") for row in self.trained]
        for row in self.trained:
            try:
                history = read_history(self.record.folder / DESIGNS / row.key)
            except (InvalidInput, OSError, UnicodeDecodeError):
                continue  # gone or damaged: the other errors must do
            errors += [epoch.validation_error for epoch in history]
        return clips_behind(errors)

    def error_of(self, row: Evaluation | None) -> Band | None:
        """Its validation error in percent with the 95 % interval."""
        if row is None or row.error is None:
            return None
        return error_band(row.error, self.clips)

    @cached_property
    def frames(self) -> int:
        """Input frames of an inference."""
        return _whole(self.record.resolved, "features", "frames", 128)

    @cached_property
    def in_channels(self) -> int:
        """Features of a frame."""
        return _whole(self.record.resolved, "features", "coefficients", 64)

    @property
    def progress(self) -> str:
        """A sentence where the study has not ended; empty where it has."""
        resolved = self.record.resolved
        trainings, candidates = resolved.get("trainings"), resolved.get("candidates")
        if not isinstance(trainings, int) or not isinstance(candidates, int):
            return ""
        done = sum(row.status == "trained" for row in self.rows)
        recent = self.rows[-100:]
        stuck = len(recent) == 100 and all(r.status in ("duplicate", "invalid") for r in recent)
        if done >= trainings or len(self.rows) >= candidates or stuck:
            return ""
        return (
            f"The study is in progress: {done:,} of {trainings:,} trainings are done, and "
            f"{len(self.rows):,} of at most {candidates:,} candidates are priced. What follows may "
            "change."
        )

    def point_of(self, row: Evaluation) -> DesignPoint | None:
        """The network of a row; None where neither its file nor its axes give it back."""
        point = self._recorded_point(row)
        if point is None or point.key != row.key:
            return None
        return dataclasses.replace(point, name=row.name)

    def _recorded_point(self, row: Evaluation) -> DesignPoint | None:
        path = self.record.folder / DESIGNS / row.key / "design.yaml"
        try:
            if path.exists():
                return point_from_node(read_yaml(path))
            if row.values:
                values = {k: v for k, v in row.values.items() if v is not None}
                return matchboxnet(values, in_channels=self.in_channels)
        except (InvalidInput, OSError):
            pass
        return None

    @cached_property
    def outputs(self) -> int | None:
        """Classes of the task: as the trained parameters of a recorded design have them."""
        for row in self.trained or self.rows:
            point = self.point_of(row)
            count = row.column("trained_parameters")
            if point is None or count != count:
                continue
            one, two = (
                lower(point, frames=self.frames, outputs=n).trained_parameters for n in (1, 2)
            )
            outputs, rest = divmod(int(count) - one, two - one)
            if rest == 0 and outputs >= 0:
                return outputs + 1
        return None

    def price(
        self,
        point: DesignPoint,
        machine: Accelerator | None = None,
        technology: Technology | None = None,
    ) -> Cost:
        """The cost of a design, on the study's machine unless another is given."""
        workload = lower(point, frames=self.frames, outputs=self.outputs or 12)
        return estimate(workload, machine or self.accelerator, technology or self.technology)

    def priced(self, row: Evaluation, why: str = "") -> Priced | None:
        """A row's design with its whole cost; None where its network is not known any more."""
        point = self.point_of(row)
        if point is None:
            return None
        try:
            cost = self.price(point)
        except InvalidInput:
            return None
        return Priced(label=row.name or row.key, point=point, cost=cost, row=row, why=why)

    def drifted(self, each: Priced) -> tuple[str, ...]:
        """Columns of a row that today's model gives another figure."""
        if each.row is None:
            return ()
        now = each.cost.columns()
        return tuple(
            name
            for name in COST_COLUMNS
            if name in each.row.cost
            and abs(now[name] - each.row.cost[name]) > 1e-9 * max(abs(now[name]), 1e-12)
        )


def _whole(resolved: dict[str, Any], section: str, name: str, usual: int) -> int:
    part = resolved.get(section)
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, int) and value >= 1 else usual


def read_study_results(folder: Path) -> StudyResults:
    """Read a study's folder.

    Raises:
        InvalidStudy: the folder holds no study, or nothing was evaluated yet.
        InvalidFile: its record or its results are damaged.
    """
    record = read_record(folder)
    rows = read_rows(folder)
    if not rows:
        raise InvalidStudy(
            f"{folder} holds a study in which nothing was evaluated yet: let `dse search {folder}` "
            "price and train some designs first"
        )
    node = read_yaml(folder / RESOLVED)
    try:
        accelerator = build(Accelerator, node.value["accelerator"])
        technology = build(Technology, node.value["technology"])
    except InvalidInput as error:
        raise InvalidStudy(
            f"the machine of {folder} cannot be read back: {error}; restore {RESOLVED} from a "
            "backup, or search anew with this version"
        ) from None
    return StudyResults(
        record=record,
        rows=tuple(rows),
        accelerator=accelerator,
        technology=technology,
        node=node,
    )


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
            label=point.label,
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
