"""The loop of a study: ask for a design, price it, train it if it keeps the limits, record, tell.

      +---------------------------------------------------------------------------+
      v                                                                           |
    1 ask --> 2 price --> keeps the limits? --- no ---------------> 5 record --> 6 tell
                                | yes                                  ^
                                v                                      |
                            3 submit --> 4 train (oldest first) -------+

What each step leaves on the disk, and what `kill -9` in the middle of it loses:

    step       written                                       lost by a kill
    1 ask      study.db: an open trial, its axes one by one  nothing: the axes that are missing are
                                                             asked of a sampler that knows the same
    2 price    nothing                                       microseconds: the trial is priced again
    3 submit   study.db: `submitted` = (place in the order,  nothing: trials in training are
               epochs), of a control beside the space on     submitted again, in the same order
               the study; designs/KEY/design.yaml
    4 train    designs/KEY/: best.pt, last.pt, history.csv   the epoch in training
               after each epoch
    5 record   results.jsonl: one line, flushed to the disk  nothing: half a line is cut off, and
                                                             the outcome made again from last.pt
    6 tell     study.db: the trial has ended                 nothing: it is told from its row

The row is written before Optuna is told, never after. So rows can always tell the storage what it
lacks, or rebuild it where it was lost (`search.records`); a storage that knew of a result that no
row holds could not be explained to anybody, and is refused.

**The same rows however often it is killed.** Designs are finished in the order in which they were
submitted, whichever is trained first, and another is asked for only when the oldest has finished.
So what the sampler knew when it proposed design n depends on n and on how many may be submitted at
a time, and not on which worker was fast. No worker waits for that: one design more may be submitted
than there are workers (`Trainers.window`).

With two workers, so a window of three, where design 2 is trained before design 1:

    1, 2, 3 submitted     workers train 1 and 2
    2 is trained          its worker goes on with 3; nothing is recorded, for 1 is first
    1 is trained          1 recorded; 4 proposed, knowing 1, with 2 and 3 as good as in training;
                          2 recorded; 5 proposed, knowing 1 and 2; then 3 is waited for

A design that breaks a limit takes no place in the order: it is recorded at once.

With `controls: auto` the last designs are not asked of the sampler: `search.controls` queues them.

**Duplicates.** A sampler may propose a design that is trained already, or is being trained. It
takes its place in the order all the same, and when its turn comes it repeats the error of the
other, or its failure: the same design, data, recipe and seed give the same training, so that a loss
that became no number becomes none again. Had it been recorded at once, then a study that was
stopped in between would have other rows than one that was not.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna

from cost_models.strict_yaml import dump_yaml
from dse.design.families.family import Values
from dse.design.point import DesignPoint
from dse.design.policies import is_dense, is_ternary
from dse.errors import InvalidInput, TrainingFailed, printable
from dse.files import write_text
from dse.pricing.sweep import Sweep
from dse.studies.frontier import find_frontier, hypervolume_share
from dse.studies.likeness import CONTROL, LIKE, SIZE, missing_controls
from dse.studies.names import name_design
from dse.studies.rows import Evaluation, append_row, latest, read_all_rows, repair, utc_now
from dse.studies.rungs import Ladder
from dse.studies.spec import StudySpec
from dse.studies.study import open_study
from dse.training.job import Training
from search import records
from search.controls import Controls
from search.experience import read_experience
from search.reuse import Earlier
from search.samplers import Samplers
from search.state import Outcome, Progress, State
from search.suggest import read_parameters, suggest, write_parameters
from search.survey import Survey
from search.workers import Trainers


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A design that keeps the limits and has its place in the order of trainings."""

    point: DesignPoint
    row: Evaluation
    """Without what the training will say."""
    trial: optuna.Trial | None
    """None for a baseline beside the space."""
    until: int
    """Epochs that it is trained up to: those of its next rung, or all."""
    epochs_before: int
    """Epochs that it had before, at the rung where it waited; 0 for one that starts."""
    is_duplicate: bool
    """The same design is trained, or submitted, already: this one waits for what comes out."""


class Loop:
    """One run of a study: the rows so far, what is in training, and what waits at a rung.

    Nothing that matters is in this object alone: all of it is read from the folder and the storage
    at the start, so that a run after a kill begins like any other.
    """

    def __init__(
        self,
        spec: StudySpec,
        folder: Path,
        sweep: Sweep,
        training: Training,
        trainers: Trainers,
        progress: Progress,
        workers: int,
        study: optuna.Study,
        keep: Callable[[], None] = lambda: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Read how far the study is.

        Args:
            spec: what is searched.
            folder: of the study, held by this process.
            sweep: the space and its prices.
            training: how designs are trained.
            trainers: who trains them.
            progress: is told what happens.
            workers: trainings at a time, by which training time is divided.
            study: the trials.
            keep: called when the folder holds something new that a search elsewhere needs to go
                on: a design was submitted, or a row recorded.
            check: called before anything is written; raises where the folder is not there any more.
        """
        self.spec = spec
        self.folder = folder
        self.pricing = sweep.pricing
        self.training = training
        self.trainers = trainers
        self.progress = progress
        self.workers = workers
        self.epochs = spec.recipe.epochs
        self.submitted: list[_Submitted] = []
        repair(folder)
        self.history = read_all_rows(folder)
        self.study, self.keep, self.check = study, keep, check
        self.found = open_study(folder)
        self.box = self.found.begun.box
        self.samplers = Samplers(spec, sweep, self.box, read_experience(folder))
        self.ladder = None if spec.rungs is None else Ladder.empty(spec.rungs, self.epochs)
        self.effort = spec.effort
        self.earlier = Earlier(spec, training)
        self.controls = Controls(spec.space, sweep.pricing) if spec.controls == "auto" else None
        self.again = records.Unfinished([], {})
        self._kinds: dict[tuple[Callable[[DesignPoint], bool], str], bool] = {}
        self.published = {each.name for each in spec.baselines if each.published}
        self.submissions = 0
        """So many designs were submitted in this run: the next one's place in the order."""

    @property
    def rows(self) -> list[Evaluation]:
        """The last row of each trial."""
        return latest(self.history)

    def run(self, found: Survey) -> Outcome:
        """Reconcile, evaluate the baselines, then search until the effort is spent.

        Args:
            found: the survey of the space, for the report on progress.

        Returns:
            The last row of each trial, how far the study is, and what ended it.
        """
        self.progress.started(found, self.state())
        self.again = records.reconcile(
            self.study, self.folder, self.history, self.spec, self.samplers
        )
        self._restore_rungs()
        self._add_baselines()
        while True:
            self._fill()
            if not self.submitted:
                ended = self._ended_by()
                records.end_stopped(self.study, self.rows, self.spec)
                return Outcome(self.rows, self.state(), ended)
            self._finish_oldest()

    def state(self) -> State:
        """How far the study is."""
        rows = self.rows
        expanded = self._expanded(rows)
        return State(
            trained=self.effort.trained(rows),
            trainings=self.spec.trainings,
            candidates=len(rows),
            max_candidates=self.spec.candidates,
            frontier=len(find_frontier(expanded, self.spec.objectives)),
            hypervolume=hypervolume_share(expanded, self.box),
            done=self.effort.share(rows),
        )

    def _fill(self) -> None:
        """Submit as many as there is room for; on a cluster that grows, also while one runs."""
        while self._may_submit():
            self._submit_next()

    def _may_submit(self) -> bool:
        """Whether there is effort left for another design when all submitted ones are trained.

        What is in training is counted as if it were done, so that a study with more workers does
        not train more designs for that.
        """
        return len(self.submitted) < self.trainers.window and not self._ended_by()

    def _ended_by(self) -> str:
        """What ends the study, empty while nothing does or controls may still be trained."""
        rows = self.rows
        if spent := self.effort.spent_by(rows, self.workers, *self._in_training()):
            return spent
        pointless = self._pointless_by(rows)
        return "" if pointless and self._missing_controls() else pointless

    def _pointless_by(self, rows: Sequence[Evaluation]) -> str:
        return self.effort.pointless_by(
            rows,
            self.box,
            volume=lambda rows, box: hypervolume_share(self._expanded(rows), box),
        )

    def _in_training(self) -> tuple[int, int]:
        """Designs that are submitted and new, and epochs that all submitted ones will take."""
        # A design that goes on from a rung is no further training, but its epochs are further ones.
        new = [job for job in self.submitted if not job.epochs_before]
        return len(new), sum(job.until - job.epochs_before for job in self.submitted)

    def _missing_controls(self) -> list[Evaluation]:
        """Ternary designs of the frontier without a dense one of like size, cheapest first.

        A control that is queued or in training is none that is missing, and one that could not be
        made (a row says why) is asked for once.
        """
        if self.controls is None:
            return []
        rows = self._expanded(self.rows)
        known = {row.source for row in rows} | {job.row.source for job in self.submitted}
        known |= {
            str(trial.user_attrs.get("source")) for trial in self.study.get_trials(deepcopy=False)
        }
        front = find_frontier(rows, self.spec.objectives)
        dense = [row for row in rows if row.full and self._is(is_dense, row)]
        dense += [job.row for job in self.submitted if is_dense(job.point)]
        ternary = [row for row in front if self._is(is_ternary, row)]
        return missing_controls(ternary, dense, known)

    def _is(self, kind: Callable[[DesignPoint], bool], row: Evaluation) -> bool:
        """Whether a row's network is of a kind, remembered; of none where it cannot be built."""
        if (kind, row.key) not in self._kinds:
            point = self.found.build_point(row)
            self._kinds[kind, row.key] = point is not None and kind(point)
        return self._kinds[kind, row.key]

    def _queue_control(self) -> bool:
        """Where it is time for controls, make the next trial one, or train one beside the space.

        Returns:
            Whether there is nothing more to submit: the control was submitted itself.
        """
        missing = self._missing_controls()
        left = self.effort.trainings_left(self.rows, *self._in_training())
        if not missing or (left > len(missing) and not self._pointless_by(self.rows)):
            return False
        assert self.controls is not None  # or none would be missing
        row = missing[0]
        source = CONTROL + row.key
        control = self.controls.find(row.values, row.column(SIZE))
        if control is None:
            self._record(self._no_control(row, source), None)
        elif control.inside:
            parameters = write_parameters(self.spec.space, control.values)
            self.study.enqueue_trial(parameters, user_attrs={"source": source})
            return False
        else:
            self._submit_beside(records.Beside(source, control.values))
        return True

    def _submit_beside(self, job: records.Beside) -> None:
        """Train a control beside the space; a search that is killed finds it in its place again."""
        assert self.controls is not None  # or nobody would have chosen it
        point = self.controls.sweep.space.point(job.values, job.name)
        if not job.name:
            point = self._named(point, job.values, len(self.rows))
        records.mark_beside(
            self.study, dataclasses.replace(job, name=point.name), self.submissions + 1
        )
        priced = self._price(point, job.values, trial=-1, source=job.source)
        self._submit_or_record(point, priced, None)

    def _no_control(self, row: Evaluation, source: str) -> Evaluation:
        size = row.column(SIZE)
        return self._make_row(
            trial=-1,
            source=source,
            status="invalid",
            reason=f"no dense design of the space and within its limits has {size / LIKE:,.0f} to "
            f"{size * LIKE:,.0f} trained parameters, as a control of {row.name or row.key} would "
            "have: widen an axis or a limit",
        )

    def _expanded(self, rows: Sequence[Evaluation]) -> Sequence[Evaluation]:
        """Trained networks on all machines that suit them, where the study has several."""
        return self.found.expanded(rows)

    def _restore_rungs(self) -> None:
        """Put every design on the rung where its rows say it stands."""
        if self.ladder is None:
            return
        for row in self.history:
            self._record_rung(row)
        ended = {t.number for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()}
        for trials in self.ladder.promoted:
            # A study that ended closed the trials that waited at rungs, and Optuna opens none
            # again: with more effort, new designs are tried, and those do not go on.
            trials |= ended

    def _record_rung(self, row: Evaluation) -> None:
        """Where rungs are climbed: baselines are not."""
        if self.ladder is None or row.source != "search":
            return
        if row.epochs is not None and row.status in ("stopped", "trained"):
            objectives = [row.column(name) for name in self.spec.objectives]
            self.ladder.record(row.trial, row.epochs, objectives)

    def _submit_next(self) -> None:
        """Submit one: what was in training when the study was stopped, who is promoted, or new."""
        number = self.again.pop()
        # First what a run before this one had submitted, in its order; then who has earned the next
        # rung; and only then something new.
        if isinstance(number, records.Beside):
            if self.controls is not None:  # or nobody asks for any more
                self._submit_beside(number)
            return
        if number is not None:
            trial = self._resume_trial(number)
            until = self.again.until(number)
            if until is not None:
                self._continue_from_rung(number, until, trial)
                return
            self._submit_or_record(*self._price_trial(trial), trial)
            return
        promoted = None if self.ladder is None else self.ladder.promote()
        if promoted is not None:
            self._continue_from_rung(*promoted, self._resume_trial(promoted[0]))
            return
        if self._queue_control():
            return
        trial = self._ask_for_trial()
        self._submit_or_record(*self._price_trial(trial), trial)

    def _ask_for_trial(self) -> optuna.Trial:
        """Step 1: an open trial, whose axes are decided when it is priced."""
        self.study.sampler = self._choose_sampler(len(self.study.get_trials(deepcopy=False)))
        return self.study.ask()

    def _choose_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        # A sampler that repeats itself has nothing new to say: then the next point is random.
        last = self.history[-1] if self.history else None
        repeated = last is not None and (
            last.status == "duplicate"
            or (last.status == "failed" and last.reason.startswith(FAILED_BEFORE))
        )
        return self.samplers.choose(number, at_random=repeated)

    def _resume_trial(self, number: int) -> optuna.Trial:
        """A trial that was asked for before; what it had decided it keeps.

        A kill may have come when some axes were decided: the others are asked of the same sampler,
        which knows what it knew.
        """
        frozen = self.study.get_trials(deepcopy=False)[number]
        whole = read_parameters(self.spec.space, frozen.params) is not None
        self.study.sampler = (
            self.samplers.choose(number, decided=True) if whole else self._choose_sampler(number)
        )
        return optuna.Trial(self.study, frozen._trial_id)

    def _add_baselines(self) -> None:
        """Enqueue baselines and designs of earlier studies; evaluate those beside the space."""
        trials = self.study.get_trials(deepcopy=False)
        known = {row.source for row in self.history}
        known |= {str(trial.user_attrs.get("source")) for trial in trials}
        for baseline in (*self.spec.baselines, *self.earlier.find_baselines()):
            if baseline.name in known:
                continue
            if baseline.values is None:
                # A design beside the space has no axes that a trial could hold: it is trained and
                # recorded without one, and the sampler never hears of it.
                row = self._price(baseline.point, {}, trial=-1, source=baseline.name)
                while len(self.submitted) >= self.trainers.window:
                    self._finish_oldest()
                self._submit_or_record(baseline.point, row, None)
            else:
                self.study.enqueue_trial(
                    write_parameters(self.spec.space, baseline.values),
                    user_attrs={"source": baseline.name},
                )

    def _price_trial(self, trial: optuna.Trial) -> tuple[DesignPoint | None, Evaluation]:
        # Here the sampler is asked, axis by axis; what was decided before a kill is given back.
        values = suggest(trial, self.spec.space)
        source = printable(str(trial.user_attrs.get("source", "search")))
        try:
            point = self.spec.space.point(values, source if source in self.published else "")
        except InvalidInput as error:
            return None, self._make_row(
                trial=trial.number,
                source=source,
                values=values,
                status="invalid",
                reason=str(error),
            )
        point = self._named(point, values, trial.number)
        return point, self._price(point, values, trial=trial.number, source=source)

    def _named(self, point: DesignPoint, values: Values, trial: int) -> DesignPoint:
        """The design by its name in this study (`dse.studies.names`).

        Only what was proposed before it counts, whatever has been recorded since: a search that was
        killed prices a design again, and it must not be called otherwise.
        """
        known = [*self.rows, *(job.row for job in self.submitted)]
        key = point.key
        before = [row for row in known if row.trial < trial or row.key == key]
        return dataclasses.replace(point, name=name_design(point, values, before))

    def _price(self, point: DesignPoint, values: Values, *, trial: int, source: str) -> Evaluation:
        """What is known before training: status `trained` means that it has to be."""
        row = self._make_row(
            trial=trial,
            source=source,
            values=values,
            status="infeasible",
            key=point.key,
            name=point.label,
        )
        try:
            priced = self.pricing.best(point)
        except InvalidInput as error:
            return dataclasses.replace(row, status="invalid", reason=str(error))
        row = dataclasses.replace(
            row,
            cost=priced.columns,
            accelerator=priced.machine.accelerator.name,
            technology=priced.machine.technology.name,
        )
        if priced.reason:
            return dataclasses.replace(row, reason=priced.reason)
        return dataclasses.replace(row, status="trained")

    def _find_duplicate(self, row: Evaluation) -> Evaluation | None:
        """The row of a design that another trial has trained, or an earlier study.

        Designs are equal by their key, whatever the axes that led to them. A failed training is an
        answer, too: the same training fails again.
        """
        for earlier in self.rows:
            if earlier.key != row.key or earlier.trial == row.trial:
                continue
            if earlier.status == "failed":
                return dataclasses.replace(row, status="failed", reason=_say_failed(earlier))
            if self.spec.needs_int8 and earlier.quantised_error is None:
                continue
            if earlier.full or earlier.status == "stopped" or earlier.over_in_error:
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
        return self.earlier.find_training(row)

    def _submit_or_record(
        self, point: DesignPoint | None, row: Evaluation, trial: optuna.Trial | None
    ) -> None:
        """Submit a design that keeps the limits; record any other as it is."""
        if point is None or row.status != "trained":
            self._record(row, trial)
            return
        # A duplicate is submitted, too: its place in the order must not depend on whether the other
        # was finished before this search was stopped, or after.
        is_duplicate = self._find_duplicate(row) is not None
        is_duplicate |= any(job.point.key == point.key for job in self.submitted)
        # A baseline is there to be compared with: no rung stops it.
        until = self.epochs
        if self.ladder is not None and row.source == "search":
            until = self.ladder.levels[0]
        self._submit(_Submitted(point, row, trial, until, 0, is_duplicate))

    def _continue_from_rung(self, number: int, until: int, trial: optuna.Trial) -> None:
        """Train a design that waited at a rung up to the next."""
        assert self.ladder is not None
        before = next(row for row in reversed(self.history) if row.trial == number)
        for rung, level in enumerate(self.ladder.levels):
            if level < until:
                self.ladder.promoted[rung].add(number)
        point = self.spec.space.point(before.values, before.name)
        row = dataclasses.replace(before, status="trained", reason="")
        self._submit(_Submitted(point, row, trial, until, before.epochs or 0, is_duplicate=False))

    def _submit(self, job: _Submitted) -> None:
        """Step 3: its place in the order is in the storage before its training begins."""
        self.check()
        self.submissions += 1
        if job.trial is not None:
            records.mark_submitted(job.trial, self.submissions, job.until)
            self.keep()
        self.submitted.append(job)
        if not job.is_duplicate:
            self._start_training(job)

    def _start_training(self, job: _Submitted) -> None:
        design = self.training.folder(job.point.key) / "design.yaml"
        if not design.exists():
            write_text(design, dump_yaml(job.point.to_dict()))
        self.progress.training(job.point, job.row.cost, job.until)
        self.trainers.start(job.point, job.until)

    def _finish_oldest(self) -> None:
        """Wait for the design that was submitted first, and record what came out."""
        job = self.submitted[0]
        # One that goes on from a rung was no duplicate when it started: it is not asked again.
        row = None if job.epochs_before else self._find_duplicate(job.row)
        if row is None:
            if job.is_duplicate:
                # The other one is of no use here, so this one has to be trained.
                self._start_training(job)
            row = self._collect_result(job)
        self.submitted.pop(0)
        self._record(row, job.trial)

    def _collect_result(self, job: _Submitted) -> Evaluation:
        """The row of a design whose training is over, waiting for it where it is not.

        `stopped` at a rung before the last, `failed` where no number came out, `infeasible` where
        what was measured is over a limit (the error stays on record); otherwise `trained`.
        """
        try:
            result = self.trainers.finish(job.point, self._fill)
        except TrainingFailed as error:
            return dataclasses.replace(
                job.row,
                status="failed",
                reason=str(error),
                error=None,
                quantised_error=None,
                best_epoch=None,
                epochs=None,
                finished_at=utc_now(),
            )
        row = dataclasses.replace(
            job.row,
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

    def _make_row(self, **fields: Any) -> Evaluation:
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
        """Steps 5 and 6 of the loop; their order is what makes kills harmless."""
        self.check()
        append_row(self.folder, row)
        self.history.append(row)
        self._record_rung(row)
        if trial is not None:
            records.tell(self.study, trial, row, self.spec)
        self.keep()
        self.progress.evaluated(row, self.state())


FAILED_BEFORE = "failed before"
"""Begins the reason of a design that was not trained because an equal one has failed."""


def _say_failed(earlier: Evaluation) -> str:
    """Why a design is not trained again; of a row that says so itself, the same."""
    if earlier.reason.startswith(FAILED_BEFORE):
        return earlier.reason
    which = "a baseline" if earlier.trial < 0 else f"trial {earlier.trial}"
    return f"{FAILED_BEFORE}, as {which}: {earlier.reason}"
