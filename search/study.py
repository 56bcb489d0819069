"""Run a study: ask for a design, price it, train it if it keeps the limits, record, tell.

A row of results is on the disk before Optuna is told, so `kill -9` at any moment costs at most the
epoch in training: when the study resumes, a trial that has a row is told from it, and a trial that
has none is evaluated again under its own number, going on from its last checkpoint.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from cost_models.strict_yaml import dump_yaml
from dse.errors import InvalidInput, InvalidStudy, TrainingFailed
from dse.evaluation import Pricing, Training, utc_now
from dse.files import write_text
from dse.frontier import frontier_of, hypervolume_share
from dse.point import DesignPoint
from dse.record import DESIGNS, GIVEN, RESOLVED, read_record
from dse.results import Evaluation, append_row, read_rows, repair
from dse.space import Values
from search.samplers import make_sampler
from search.storage import locked, open_storage, storage_errors
from search.study_file import StudySpec, check_unchanged
from search.suggest import parameters, suggest
from search.survey import Survey, reference_box, survey
from search.workers import InProcess, Trainers, Workers, WorkerSettings, memory_of_a_worker

MAX_REPEATS = 100
"""So many duplicates or invalid points in a row end a study: its space is exhausted."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a study is."""

    trained: int
    trainings: int
    candidates: int
    max_candidates: int
    frontier: int
    """Designs on the frontier."""
    hypervolume: float
    """Share of the study's box that the trained designs dominate."""


class Progress(Protocol):
    """Who watches a study."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """A part of the preparation, such as features, is at `done` of `total`."""

    def started(self, found: Survey, state: State) -> None:
        """The space is surveyed; the search begins or goes on."""

    def training(self, point: DesignPoint, cost: dict[str, float], epochs: int) -> None:
        """A design keeps the limits and is going to be trained."""

    def epoch(self, point: DesignPoint, record: Any) -> None:
        """An epoch of a design is done (`dse.training.EpochRecord`)."""

    def evaluated(self, row: Evaluation, state: State) -> None:
        """A row was recorded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a study came to."""

    rows: list[Evaluation]
    state: State
    ended_by: str
    """The reason in words."""


def run_study(
    spec: StudySpec,
    given: str,
    folder: Path,
    progress: Progress,
    *,
    cache: Path | None = None,
    workers: int = 1,
) -> Outcome:
    """Start a study, or go on with it.

    Args:
        spec: what to search.
        given: text of the study file, kept beside the results.
        folder: of the study; made where there is none.
        progress: is told what happens.
        cache: folder of the feature cache.
        workers: designs that are trained at a time, each in a process with one thread; 1 trains in
            this process. Rows depend on their number, and on nothing else that happens.

    Raises:
        InvalidStudy: the folder holds another study, is in use, or no point meets the limits.
        InvalidData: the data cannot be used.
        OSError: the disk is full or the folder may not be written to; the study can be resumed.
    """
    if (folder / RESOLVED).exists():
        check_unchanged(spec, folder / RESOLVED)
    elif folder.exists() and any(map(_is_foreign, folder.iterdir())):
        raise InvalidStudy(
            f"{folder} is not empty and holds no study: choose another folder with --out"
        )
    # Loading the data comes before the folder is made: a wrong data folder leaves nothing behind.
    from dse.devices import choose_device  # loads torch
    from dse.features import load_features

    choose_device(spec.device)
    features = load_features(
        spec.data_folder, spec.task, spec.features, cache=cache, report=progress.preparing
    )
    pricing = Pricing(
        accelerator=spec.accelerator,
        technology=spec.technology,
        budget=spec.budget,
        frames=spec.features.frames,
        outputs=len(features.classes),
    )
    found = survey(spec.space, pricing, seed=spec.seed)
    with locked(folder):
        _write_record(spec, given, folder, features.key, found, workers)
        training = Training(
            features=features,
            task=spec.task,
            spec=spec.features,
            recipe=spec.recipe,
            seed=spec.seed,
            device=spec.device,
            designs=folder / DESIGNS,
        )
        with (
            storage_errors(folder),
            _trainers(spec, training, cache, workers, progress) as trainers,
        ):
            return _Run(spec, folder, pricing, training, trainers, progress).run(found)


@contextmanager
def _trainers(
    spec: StudySpec, training: Training, cache: Path | None, count: int, progress: Progress
) -> Iterator[Trainers]:
    """Workers where several are wanted, else this process."""
    from dse.batches import free_memory_bytes  # loads torch

    if count == 1:
        yield InProcess(training, progress.epoch)
        return
    settings = WorkerSettings(
        data_folder=spec.data_folder,
        cache=cache,
        task=spec.task,
        features=spec.features,
        recipe=spec.recipe,
        seed=spec.seed,
        device=spec.device,
        designs=training.designs,
        memory_bytes=memory_of_a_worker(count, free_memory_bytes()),
    )
    with Workers(settings, count, progress.epoch) as workers:
        yield workers


def _is_foreign(path: Path) -> bool:
    """Whether a file was there before us: a kill may leave the lock and study.yaml alone."""
    return not path.name.startswith(".") and path.name != GIVEN


def _write_record(
    spec: StudySpec, given: str, folder: Path, data_key: str, found: Survey, workers: int
) -> None:
    """Write study.yaml and resolved.yaml; a resumed study keeps its box, and must keep its data."""
    box = reference_box(spec.objectives, found)
    if (folder / RESOLVED).exists():
        record = read_record(folder)
        box = record.box
        before = record.resolved.get("data_key")
        if before != data_key:
            raise InvalidStudy(
                f"{folder} was searched on other data (features {before}, now {data_key}): "
                f"restore {spec.data_folder}, or give the study another name"
            )
    write_text(folder / GIVEN, given)
    more = {"data_key": data_key, "box": box, "workers": workers}
    write_text(folder / RESOLVED, dump_yaml(spec.resolved() | more))


@dataclass(frozen=True, slots=True)
class _Flight:
    """A design that keeps the limits and is being trained."""

    point: DesignPoint
    row: Evaluation
    """Without what the training will say."""
    trial: optuna.Trial | None
    """None for a baseline beside the space."""
    twin: bool
    """The same design is trained, or in flight already: this one waits for what comes out."""


class _Run:
    """One run of a study: the rows so far, what is in flight, and the loop.

    Designs land in the order in which they took off, whichever is trained first, and the next is
    asked for when one has landed. So what Optuna knew when it proposed a design does not depend on
    how fast which worker was, and a study gives the same rows again, also after kills.
    """

    def __init__(
        self,
        spec: StudySpec,
        folder: Path,
        pricing: Pricing,
        training: Training,
        trainers: Trainers,
        progress: Progress,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.pricing = pricing
        self.training = training
        self.trainers = trainers
        self.progress = progress
        self.flying: list[_Flight] = []
        repair(folder)
        self.rows = read_rows(folder)
        self.study = open_storage(folder, spec.name, spec.objectives)
        self.box = read_record(folder).box

    def run(self, found: Survey) -> Outcome:
        """Reconcile, evaluate the baselines, then search until the effort is spent."""
        self.progress.started(found, self.state())
        unfinished = self._reconcile()
        self._add_baselines()
        while True:
            while self._may_ask():
                number = unfinished.pop(0) if unfinished else None
                trial = self._ask() if number is None else self._reopen(number)
                self._take_off(*self._price_trial(trial), trial)
            if not self.flying:
                return Outcome(self.rows, self.state(), self._ended_by())
            self._land()

    def _may_ask(self) -> bool:
        """Whether another design may take off, if all that fly are trained in the end."""
        return len(self.flying) < self.trainers.window and not self._ended_by(len(self.flying))

    def state(self) -> State:
        """How far the study is."""
        return State(
            trained=self._trained(),
            trainings=self.spec.trainings,
            candidates=len(self.rows),
            max_candidates=self.spec.candidates,
            frontier=len(frontier_of(self.rows, self.spec.objectives)),
            hypervolume=hypervolume_share(self.rows, self.box),
        )

    def _trained(self) -> int:
        return sum(row.status == "trained" for row in self.rows)

    def _ended_by(self, flying: int = 0) -> str:
        if self._trained() + flying >= self.spec.trainings:
            return f"{self._trained()} designs are trained"
        if len(self.rows) + flying >= self.spec.candidates:
            return f"{len(self.rows)} candidates are priced"
        recent = self.rows[-MAX_REPEATS:]
        if len(recent) == MAX_REPEATS and all(
            row.status in ("duplicate", "invalid") for row in recent
        ):
            return f"the last {MAX_REPEATS} candidates brought no new design"
        return ""

    def _reconcile(self) -> list[int]:
        """Tell Optuna what only the rows know; return trials that have no row yet."""
        rows = {row.trial: row for row in self.rows if row.trial >= 0}
        trials = self.study.get_trials(deepcopy=False)
        if len(trials) < len(rows):
            self._rebuild(rows, len(trials))
            trials = self.study.get_trials(deepcopy=False)
        unfinished = []
        for trial in trials:
            if trial.state.is_finished() and trial.number not in rows:
                raise InvalidStudy(
                    f"{self.folder}: trial {trial.number} is finished in study.db and has no row "
                    "in results.jsonl: restore results.jsonl, or give the study another name"
                )
            if trial.state == TrialState.RUNNING:
                if trial.number in rows:
                    self._tell(self._reopen(trial.number), rows[trial.number])
                else:
                    unfinished.append(trial.number)
        return unfinished

    def _rebuild(self, rows: dict[int, Evaluation], known: int) -> None:
        """Put rows into a storage that was lost."""
        for number in range(known, max(rows) + 1):
            row = rows.get(number)
            if row is None:
                raise InvalidStudy(
                    f"{self.folder}: the storage is lost and results.jsonl has no row for trial "
                    f"{number}: restore study.db, or start a study of another name"
                )
            self.study.enqueue_trial(
                parameters(self.spec.space, row.values), user_attrs=_attributes(row)
            )
            trial = self._ask()
            suggest(trial, self.spec.space)
            self._tell(trial, row)

    def _ask(self) -> optuna.Trial:
        number = len(self.study.get_trials(deepcopy=False))
        # A sampler that repeats itself has nothing new to say: then the next point is random.
        repeated = bool(self.rows) and self.rows[-1].status == "duplicate"
        name = "random" if repeated else self.spec.sampler
        self.study.sampler = make_sampler(name, self.spec.seed, number)
        return self.study.ask()

    def _reopen(self, number: int) -> optuna.Trial:
        """A trial of an earlier run; what it had decided it keeps."""
        frozen = self.study.get_trials(deepcopy=False)[number]
        self.study.sampler = make_sampler(self.spec.sampler, self.spec.seed, number)
        return optuna.Trial(self.study, frozen._trial_id)

    def _add_baselines(self) -> None:
        """Enqueue published networks that lie in the space; evaluate the others beside it."""
        trials = self.study.get_trials(deepcopy=False)
        known = {row.source for row in self.rows}
        known |= {str(trial.user_attrs.get("source")) for trial in trials}
        for baseline in self.spec.baselines:
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
                trial=trial.number, source=source, values=values, status="invalid",
                reason=str(error),
            )  # fmt: skip
        return point, self._price(point, values, trial=trial.number, source=source)

    def _price(self, point: DesignPoint, values: Values, *, trial: int, source: str) -> Evaluation:
        """What is known before training: status `trained` means that it has to be."""
        row = self._row(
            trial=trial, source=source, values=values, status="infeasible", key=point.key,
            name=point.name or _label(point, values),
        )  # fmt: skip
        try:
            cost = self.pricing.price(point)
        except InvalidInput as error:
            return dataclasses.replace(row, status="invalid", reason=str(error))
        row = dataclasses.replace(row, cost=dict(cost.columns()))
        reason = self.pricing.infeasibility(cost)
        if reason:
            return dataclasses.replace(row, reason=reason)
        return dataclasses.replace(row, status="trained")

    def _duplicate(self, row: Evaluation) -> Evaluation | None:
        """The row of a design that was trained before."""
        for earlier in self.rows:
            if earlier.key == row.key and earlier.status == "trained":
                return dataclasses.replace(
                    row, status="duplicate", error=earlier.error,
                    best_epoch=earlier.best_epoch, epochs=earlier.epochs, name=earlier.name,
                    reason=f"trained as trial {earlier.trial}",
                )  # fmt: skip
        return None

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
        flight = _Flight(point, row, trial, twin)
        self.flying.append(flight)
        if not twin:
            self._start(flight)

    def _start(self, flight: _Flight) -> None:
        design = self.training.designs / flight.point.key / "design.yaml"
        if not design.exists():
            write_text(design, dump_yaml(flight.point.to_dict()))
        self.progress.training(flight.point, flight.row.cost, self.spec.recipe.epochs)
        self.trainers.start(flight.point)

    def _land(self) -> None:
        """Wait for the design that took off first, and record it."""
        flight = self.flying[0]
        row = self._duplicate(flight.row)
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
                flight.row, status="failed", reason=str(error), finished_at=utc_now()
            )
        return dataclasses.replace(
            flight.row,
            error=result.validation_error,
            best_epoch=result.best_epoch,
            epochs=result.epochs,
            training_seconds=result.seconds,
            computed=result.computed,
            reason=result.note,
            finished_at=utc_now(),
        )

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
        self.rows.append(row)
        if trial is not None:
            self._tell(trial, row)
        self.progress.evaluated(row, self.state())

    def _tell(self, trial: optuna.Trial, row: Evaluation) -> None:
        for name, value in _attributes(row).items():
            trial.set_user_attr(name, value)
        if row.status in ("trained", "duplicate"):
            self.study.tell(trial, [row.column(name) for name in self.spec.objectives])
        elif row.status == "failed":
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            for name, excess in self._excess(row).items():
                trial.set_constraint(name, excess)
            self.study.tell(trial, state=TrialState.PRUNED)

    def _excess(self, row: Evaluation) -> dict[str, float]:
        """By how much the row violates each limit, so that samplers learn where not to look."""
        violated = self.spec.budget.violations(row.cost) if row.cost else ()
        excess = {str(limit): limit.excess(row.cost) for limit in violated}
        return excess or {"cannot be built or does not fit the machine": 1.0}


def _label(point: DesignPoint, values: Values) -> str:
    """`4x1x80 P1 0.062` where a policy was searched; otherwise `DesignPoint.summary`."""
    policy = values.get("policy")
    return point.summary.replace("ternary", str(policy)) if policy else point.summary


def _attributes(row: Evaluation) -> dict[str, str]:
    """What optuna-dashboard shows beside a trial."""
    return {"source": row.source, "design_key": row.key, "design": row.name, "status": row.status}
