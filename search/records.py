"""What Optuna's storage and the rows of results say of each other.

The rows are the truth: they are on the disk first. The storage is told from them, and rebuilt from
them where it was lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from dse.errors import InvalidStudy
from dse.studies.rows import Evaluation, latest
from search.known_cost import ERROR, LENGTH
from search.suggest import parameters, suggest

if TYPE_CHECKING:
    from dse.studies.spec import StudySpec
    from search.samplers import Samplers
    from search.storage import Ledger

FLIGHT = "flight"
"""User attribute of a trial in training: number of its take-off, epochs that it flies to."""

_CONSTRAINTS_OF_OLD = "constraints"
"""System attribute in which Optuna 4 kept the constraints of a trial, without their names."""


@dataclass(slots=True)
class Unfinished:
    """Trials that were in flight when the study was stopped, in the order of their take-offs."""

    numbers: list[int]
    goals: dict[int, int]
    """Trial -> epochs that it was going to, where it had been at a rung before."""

    def pop(self) -> int | None:
        """The next one; None where all have taken off again."""
        return self.numbers.pop(0) if self.numbers else None

    def until(self, number: int) -> int | None:
        """Epochs to which a design goes on; None for one that starts."""
        return self.goals.get(number)


def reconcile(
    study: optuna.Study,
    folder: Path,
    history: Sequence[Evaluation],
    spec: "StudySpec",
    samplers: "Samplers",
    ledger: "Ledger",
) -> Unfinished:
    """Tell Optuna what only the rows know.

    Returns:
        The trials that were in flight.

    Raises:
        InvalidStudy: the storage knows more than the rows, or rows are missing.
    """
    rows = {row.trial: row for row in latest(history) if row.trial >= 0}
    trials = study.get_trials(deepcopy=False)
    if len(trials) < len(rows):
        _rebuild(study, folder, history, len(trials), spec, samplers, ledger)
        trials = study.get_trials(deepcopy=False)
    open_trials = {trial.number: trial for trial in trials if not trial.state.is_finished()}
    for place, written in enumerate(history):
        if written.trial < 0:
            ledger.write(place, written, None)
        elif written.trial in open_trials:
            trial_id = open_trials[written.trial]._trial_id
            ledger.write(place, written, optuna.Trial(study, trial_id))
    flights: list[tuple[int, int]] = []
    goals = {}
    for trial in trials:
        number = trial.number
        row = rows.get(number)
        if trial.state.is_finished() and row is None:
            raise InvalidStudy(
                f"{folder}: trial {number} is finished in study.db and has no row "
                "in results.jsonl: restore results.jsonl, or give the study another name"
            )
        if trial.state != TrialState.RUNNING:
            continue
        takeoff, until = trial.user_attrs.get(FLIGHT, (10**9 + number, 0))
        if row is None:
            flights.append((takeoff, number))
        elif row.status == "stopped" and (row.epochs or 0) < until:
            flights.append((takeoff, number))
            goals[number] = until
        else:
            tell(study, optuna.Trial(study, trial._trial_id), row, spec)
    return Unfinished([number for _, number in sorted(flights)], goals)


def _rebuild(
    study: optuna.Study,
    folder: Path,
    history: Sequence[Evaluation],
    known: int,
    spec: "StudySpec",
    samplers: "Samplers",
    ledger: "Ledger",
) -> None:
    """Put rows into a storage that was lost."""
    rows = {row.trial: row for row in latest(history) if row.trial >= 0}
    for number in range(known, max(rows) + 1):
        row = rows.get(number)
        if row is None:
            raise InvalidStudy(
                f"{folder}: the storage is lost and results.jsonl has no row for trial "
                f"{number}: restore study.db, or start a study of another name"
            )
        study.enqueue_trial(parameters(spec.space, row.values), user_attrs=attributes(row))
        study.sampler = samplers.of(number, decided=True)
        trial = study.ask()
        suggest(trial, spec.space)
        for place, written in enumerate(history):
            if written.trial == number:
                ledger.write(place, written, trial)
        tell(study, trial, row, spec)


def mark_flight(trial: optuna.Trial, takeoff: int, until: int) -> None:
    """Note on a trial that it is in training, so that a study that is killed finds it again."""
    trial.set_user_attr(FLIGHT, [takeoff, until])


def tell(study: optuna.Study, trial: optuna.Trial, row: Evaluation, spec: "StudySpec") -> None:
    """Tell Optuna what a row says; a trial that waits at a rung stays open."""
    for name, value in attributes(row).items():
        trial.set_user_attr(name, value)
    partial = row.epochs is not None and row.epochs < spec.recipe.epochs
    if row.error is not None and (partial or row.over_in_error):
        trial.set_user_attr(ERROR, row.column(spec.measured))
        trial.set_user_attr(LENGTH, (row.epochs or spec.recipe.epochs) / spec.recipe.epochs)
    if row.status == "stopped":
        return
    if row.status == "failed":
        study.tell(trial, state=TrialState.FAIL)
    elif row.full or (row.status == "duplicate" and not partial):
        study.tell(trial, [row.column(name) for name in spec.objectives])
    else:
        excesses = _excess(row, spec)
        for name, excess in excesses.items():
            trial.set_constraint(name, excess)
        if excesses:
            # optuna-dashboard 0.21 reads no names: the reason, an attribute, tells them there.
            study._storage.set_trial_system_attr(
                trial._trial_id, _CONSTRAINTS_OF_OLD, list(excesses.values())
            )
        study.tell(trial, state=TrialState.PRUNED)


def end_stopped(study: optuna.Study, rows: Iterable[Evaluation], spec: "StudySpec") -> None:
    """Close the trials that wait at a rung: none is left running when a study has ended."""
    waiting = {row.trial for row in rows if row.status == "stopped" and row.trial >= 0}
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING and trial.number in waiting:
            study.tell(optuna.Trial(study, trial._trial_id), state=TrialState.PRUNED)


def attributes(row: Evaluation) -> dict[str, str]:
    """What optuna-dashboard shows beside a trial."""
    known = {
        "source": row.source,
        "design_key": row.key,
        "design": row.name,
        "status": row.status,
        "reason": row.reason,
    }
    return {name: text for name, text in known.items() if text or name != "reason"}


def _excess(row: Evaluation, spec: "StudySpec") -> dict[str, float]:
    """By how much the row violates each limit, so that samplers learn where not to look."""
    if row.status == "duplicate":
        return {}
    columns = row.cost | row.measured
    violated = spec.budget.violations(columns) if row.cost else ()
    if row.error is not None:
        violated += spec.measured_budget.violations(columns)
    excess = {str(limit): limit.excess(columns) for limit in violated}
    return excess or {"cannot be built or does not fit the machine": 1.0}
