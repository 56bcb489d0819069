"""The loop of a study: ask for a design, price it, train it if it keeps the limits, record, tell.

A row of results is on the disk before Optuna is told, so `kill -9` at any moment costs at most the
epoch in training: when the study resumes, a trial that has a row is told from it, and a trial that
has none is evaluated again under its own number, going on from its last checkpoint.

Designs land in the order in which they took off, whichever is trained first, and the next is asked
for when one has landed. So what the sampler knew when it proposed a design does not depend on how
fast which worker was, and a study gives the same rows again, also after kills.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna

from cost_models.strict_yaml import dump_yaml
from dse.design.families.family import Values
from dse.design.point import DesignPoint
from dse.errors import InvalidInput, TrainingFailed
from dse.files import write_text
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.studies.frontier import frontier_of, hypervolume_share
from dse.studies.on_machines import expanded
from dse.studies.record import read_record
from dse.studies.rows import Evaluation, append_row, latest, read_all_rows, repair, utc_now
from dse.studies.rungs import Ladder
from dse.studies.spec import StudySpec
from dse.training.job import Training
from search import records
from search.reuse import Earlier
from search.samplers import Samplers
from search.state import Outcome, Progress, State
from search.storage import Ledger
from search.suggest import parameters, suggest, values_of
from search.survey import Survey
from search.workers import Trainers


@dataclass(frozen=True, slots=True)
class _Flight:
    """A design that keeps the limits and is being trained."""

    point: DesignPoint
    row: Evaluation
    """Without what the training will say."""
    trial: optuna.Trial | None
    """None for a baseline beside the space."""
    until: int
    """Epochs that it is trained up to."""
    since: int
    """Epochs that it had before."""
    twin: bool
    """The same design is trained, or in flight already: this one waits for what comes out."""


class Loop:
    """One run of a study: the rows so far, what is in flight, and what waits at a rung."""

    def __init__(
        self,
        spec: StudySpec,
        folder: Path,
        pricing: Pricing,
        sweep: Sweep,
        training: Training,
        trainers: Trainers,
        progress: Progress,
        workers: int,
        ledger: Ledger,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.pricing = pricing
        self.training = training
        self.trainers = trainers
        self.progress = progress
        self.workers = workers
        self.epochs = spec.recipe.epochs
        self.flying: list[_Flight] = []
        repair(folder)
        self.history = read_all_rows(folder)
        self.ledger = ledger
        self.study = ledger.open(folder)
        self.record = read_record(folder)
        self.box = self.record.box
        self.samplers = Samplers(spec, sweep, self.box)
        self.ladder = None if spec.rungs is None else Ladder.of(spec.rungs, self.epochs)
        self.effort = spec.effort
        self.earlier = Earlier(spec, training)
        self.takeoffs = 0

    @property
    def rows(self) -> list[Evaluation]:
        """The last row of each trial."""
        return latest(self.history)

    def run(self, found: Survey) -> Outcome:
        """Reconcile, evaluate the baselines, then search until the effort is spent."""
        self.progress.started(found, self.state())
        again = records.reconcile(
            self.study, self.folder, self.history, self.spec, self.samplers, self.ledger
        )
        self._climb()
        self._add_baselines()
        while True:
            while self._may_ask():
                self._next(again)
            if not self.flying:
                ended = self._ended_by()
                records.end_stopped(self.study, self.rows, self.spec)
                return Outcome(self.rows, self.state(), ended)
            self._land()

    def state(self) -> State:
        """How far the study is."""
        rows = self.rows
        expanded = self._expanded(rows)
        return State(
            trained=self.effort.trained(rows),
            trainings=self.spec.trainings,
            candidates=len(rows),
            max_candidates=self.spec.candidates,
            frontier=len(frontier_of(expanded, self.spec.objectives)),
            hypervolume=hypervolume_share(expanded, self.box),
            done=self.effort.share(rows),
        )

    def _may_ask(self) -> bool:
        """Whether another design may take off, if all that fly are trained in the end."""
        return len(self.flying) < self.trainers.window and not self._ended_by()

    def _ended_by(self) -> str:
        fresh = [flight for flight in self.flying if not flight.since]
        epochs = sum(flight.until - flight.since for flight in self.flying)
        return self.effort.ended_by(
            self.history,
            self.box,
            self.workers,
            flying=len(fresh),
            flying_epochs=epochs,
            volume=lambda rows, box: hypervolume_share(self._expanded(rows), box),
        )

    def _expanded(self, rows: Sequence[Evaluation]) -> list[Evaluation]:
        """Trained networks on all machines that suit them, where the study has several."""
        return expanded(rows, self.record) if self.spec.hardware else list(rows)

    def _climb(self) -> None:
        """Put what the rows say of rungs on the ladder."""
        if self.ladder is None:
            return
        for row in self.history:
            self._record_rung(row)
        ended = {t.number for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()}
        for trials in self.ladder.left:
            trials |= ended  # a trial that Optuna was told of cannot go on

    def _record_rung(self, row: Evaluation) -> None:
        """Where rungs are climbed: baselines are not."""
        if self.ladder is None or row.source != "search":
            return
        if row.epochs is not None and row.status in ("stopped", "trained"):
            objectives = [row.column(name) for name in self.spec.objectives]
            self.ladder.record(row.trial, row.epochs, objectives)

    def _next(self, again: "records.Unfinished") -> None:
        """Let one take off: what flew when the study was stopped, who may go on, or a new one."""
        number = again.pop()
        if number is not None:
            trial = self._reopen(number)
            until = again.until(number)
            if until is not None:
                self._go_on(number, until, trial)
                return
            self._take_off(*self._price_trial(trial), trial)
            return
        promoted = None if self.ladder is None else self.ladder.promote()
        if promoted is not None:
            self._go_on(*promoted, self._reopen(promoted[0]))
            return
        trial = self._ask()
        self._take_off(*self._price_trial(trial), trial)

    def _ask(self) -> optuna.Trial:
        self.study.sampler = self._sampler(len(self.study.get_trials(deepcopy=False)))
        return self.study.ask()

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        # A sampler that repeats itself has nothing new to say: then the next point is random.
        repeated = bool(self.history) and self.history[-1].status == "duplicate"
        return self.samplers.of(number, at_random=repeated)

    def _reopen(self, number: int) -> optuna.Trial:
        """A trial that was asked for before; what it had decided it keeps.

        A kill may have come when some axes were decided: the others are asked of the same sampler,
        which knows what it knew.
        """
        frozen = self.study.get_trials(deepcopy=False)[number]
        whole = values_of(self.spec.space, frozen.params) is not None
        self.study.sampler = (
            self.samplers.of(number, decided=True) if whole else self._sampler(number)
        )
        return optuna.Trial(self.study, frozen._trial_id)

    def _add_baselines(self) -> None:
        """Enqueue baselines and designs of earlier studies; evaluate those beside the space."""
        trials = self.study.get_trials(deepcopy=False)
        known = {row.source for row in self.history}
        known |= {str(trial.user_attrs.get("source")) for trial in trials}
        for baseline in (*self.spec.baselines, *self.earlier.baselines()):
            if baseline.name in known:
                continue
            if baseline.values is None:
                row = self._price(baseline.point, {}, trial=-1, source=baseline.name)
                while len(self.flying) >= self.trainers.window:
                    self._land()
                self._take_off(baseline.point, row, None)
            else:
                self.study.enqueue_trial(
                    parameters(self.spec.space, baseline.values),
                    user_attrs={"source": baseline.name},
                )

    def _price_trial(self, trial: optuna.Trial) -> tuple[DesignPoint | None, Evaluation]:
        values = suggest(trial, self.spec.space)
        source = str(trial.user_attrs.get("source", "search"))
        try:
            point = self.spec.space.point(values, "" if source == "search" else source)
        except InvalidInput as error:
            return None, self._row(
                trial=trial.number,
                source=source,
                values=values,
                status="invalid",
                reason=str(error),
            )
        return point, self._price(point, values, trial=trial.number, source=source)

    def _price(self, point: DesignPoint, values: Values, *, trial: int, source: str) -> Evaluation:
        """What is known before training: status `trained` means that it has to be."""
        row = self._row(
            trial=trial,
            source=source,
            values=values,
            status="infeasible",
            key=point.key,
            name=point.name or _label(point, values),
        )
        try:
            priced = self.pricing.best(point)
        except InvalidInput as error:
            return dataclasses.replace(row, status="invalid", reason=str(error))
        row = dataclasses.replace(
            row,
            cost=priced.columns,
            accelerator=priced.cost.accelerator.name,
            technology=priced.cost.technology.name,
        )
        if priced.reason:
            return dataclasses.replace(row, reason=priced.reason)
        return dataclasses.replace(row, status="trained")

    def _duplicate(self, row: Evaluation) -> Evaluation | None:
        """The row of a design that another trial has trained, or an earlier study."""
        for earlier in self.rows:
            if self.spec.needs_int8 and earlier.quantised_error is None:
                continue
            if (
                earlier.key == row.key
                and earlier.trial != row.trial
                and (earlier.full or earlier.status == "stopped" or earlier.over_in_error)
            ):
                return dataclasses.replace(
                    row,
                    status="duplicate",
                    error=earlier.error,
                    quantised_error=earlier.quantised_error,
                    best_epoch=earlier.best_epoch,
                    epochs=earlier.epochs,
                    name=earlier.name,
                    reason=f"trained as trial {earlier.trial}",
                )
        return self.earlier.answer(row)

    def _take_off(
        self, point: DesignPoint | None, row: Evaluation, trial: optuna.Trial | None
    ) -> None:
        """Record what is not trained; start the training of what is."""
        if point is None or row.status != "trained":
            self._record(row, trial)
            return
        # In flight, too, what was trained before: its place in the order must not depend on whether
        # its twin landed before this search was stopped, or after.
        twin = self._duplicate(row) is not None
        twin |= any(flight.point.key == point.key for flight in self.flying)
        # A baseline is there to be compared with: no rung stops it.
        rungs = self.ladder is not None and row.source == "search"
        until = self.ladder.levels[0] if self.ladder is not None and rungs else self.epochs
        self._launch(_Flight(point, row, trial, until, 0, twin))

    def _go_on(self, number: int, until: int, trial: optuna.Trial) -> None:
        """Train a design that waited at a rung up to the next."""
        assert self.ladder is not None
        before = next(row for row in reversed(self.history) if row.trial == number)
        for rung, level in enumerate(self.ladder.levels):
            if level < until:
                self.ladder.left[rung].add(number)
        point = self.spec.space.point(before.values)
        row = dataclasses.replace(before, status="trained", reason="")
        self._launch(_Flight(point, row, trial, until, before.epochs or 0, twin=False))

    def _launch(self, flight: _Flight) -> None:
        self.takeoffs += 1
        if flight.trial is not None:
            records.mark_flight(flight.trial, self.takeoffs, flight.until)
        self.flying.append(flight)
        if not flight.twin:
            self._start(flight)

    def _start(self, flight: _Flight) -> None:
        design = self.training.designs / flight.point.key / "design.yaml"
        if not design.exists():
            write_text(design, dump_yaml(flight.point.to_dict()))
        self.progress.training(flight.point, flight.row.cost, flight.until)
        self.trainers.start(flight.point, flight.until)

    def _land(self) -> None:
        """Wait for the design that took off first, and record it."""
        flight = self.flying[0]
        row = None if flight.since else self._duplicate(flight.row)
        if row is None:
            if flight.twin:
                self._start(flight)
            row = self._finish(flight)
        self.flying.pop(0)
        self._record(row, flight.trial)

    def _finish(self, flight: _Flight) -> Evaluation:
        try:
            result = self.trainers.finish(flight.point)
        except TrainingFailed as error:
            return dataclasses.replace(
                flight.row,
                status="failed",
                reason=str(error),
                error=None,
                quantised_error=None,
                best_epoch=None,
                epochs=None,
                finished_at=utc_now(),
            )
        row = dataclasses.replace(
            flight.row,
            error=result.validation_error,
            quantised_error=result.quantised_error,
            best_epoch=result.best_epoch,
            epochs=result.epochs,
            training_seconds=result.seconds,
            computed=result.computed,
            reason=result.note,
            finished_at=utc_now(),
        )
        if self.spec.needs_int8 and row.quantised_error is None:
            return dataclasses.replace(
                row, status="failed", error=None, best_epoch=None, epochs=None
            )
        if result.epochs < self.epochs:
            return dataclasses.replace(row, status="stopped")
        over = self.spec.measured_budget.explain(row.measured)
        return dataclasses.replace(row, status="infeasible", reason=over) if over else row

    def _row(self, **fields: Any) -> Evaluation:
        return Evaluation(
            seed=self.spec.seed,
            accelerator=self.spec.accelerator.name,
            technology=self.spec.technology.name,
            data_key=self.training.features.key,
            recipe_key=self.spec.recipe.key,
            code_version=version("ternary-dse"),
            finished_at=utc_now(),
            **fields,
        )

    def _record(self, row: Evaluation, trial: optuna.Trial | None) -> None:
        append_row(self.folder, row)
        self.ledger.write(len(self.history), row, trial)
        self.history.append(row)
        self._record_rung(row)
        if trial is not None:
            records.tell(self.study, trial, row, self.spec)
        self.progress.evaluated(row, self.state())


def _label(point: DesignPoint, values: Mapping[str, Any]) -> str:
    """`4x1x80 P1 0.062` where a policy was searched; otherwise `DesignPoint.summary`."""
    policy = values.get("policy")
    return point.summary.replace("ternary", str(policy)) if policy else point.summary
