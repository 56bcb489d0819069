"""What Optuna's storage and the rows of results say of each other, and how they come to agree.

A study is on the disk twice: as rows (`results.jsonl`), which everything that reads results reads,
and as trials in Optuna's storage, which samplers learn from. A kill may come between the two
writes, so they can differ, but in one direction only, since the rows are written first
(`search.loop`):

    row?   trial     what happened                           what `reconcile` does
    yes    ended     all was written                         nothing
    yes    open      killed between record and tell          tells the trial from its row
    yes    open      waits at a rung (status `stopped`)      leaves it open; resubmits it where it
                                                             was `submitted` for more epochs
    no     open      killed before its row                   resubmits it under its own number
    yes    missing   the storage was lost                    enqueues and tells it again
    no     ended     results.jsonl was cut or replaced       refuses, and says what to restore

So the rows are the truth, and the storage is told from them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from dse.design.families.family import Values
from dse.errors import InvalidStudy
from dse.studies.rows import Evaluation, latest
from dse.studies.spec import StudySpec
from search.known_cost import EPOCHS_FRACTION, OBSERVED_ERROR
from search.samplers import Samplers
from search.suggest import suggest, write_parameters

SUBMITTED = "submitted"
"""User attribute of a trial in training: its place in the order, and to how many epochs."""

_BESIDE = "in training: "
"""Begins the study's attribute of a design beside the space that is in training; its source ends
it. It has no trial that could say so."""

_UNNAMED_CONSTRAINTS = "constraints"
"""System attribute in which Optuna 4 kept the constraints of a trial, without their names."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A control beside the space that was in training when the study was stopped."""

    source: str
    values: Values
    name: str = ""
    """That it has in the study, once it has one."""


@dataclass(slots=True)
class Unfinished:
    """What was in training when the study was stopped, in the order of submission."""

    jobs: list[int | Beside]
    """Numbers of trials; designs beside the space have none."""
    goals: dict[int, int]
    """Trial -> epochs that it was going to, where it had been at a rung before."""

    def pop(self) -> int | Beside | None:
        """The next one; None where all are submitted again."""
        return self.jobs.pop(0) if self.jobs else None

    def until(self, number: int) -> int | None:
        """Epochs to which a design goes on; None for one that starts."""
        return self.goals.get(number)


def reconcile(
    study: optuna.Study,
    folder: Path,
    history: Sequence[Evaluation],
    spec: StudySpec,
    samplers: Samplers,
) -> Unfinished:
    """Tell Optuna what only the rows know.

    Returns:
        What was in training.

    Raises:
        InvalidStudy: the storage knows more than the rows, or rows are missing.
    """
    rows = {row.trial: row for row in latest(history) if row.trial >= 0}
    trials = study.get_trials(deepcopy=False)
    if len(trials) < len(rows):
        _rebuild_storage(study, folder, history, len(trials), spec, samplers)
        trials = study.get_trials(deepcopy=False)
    unfinished: list[tuple[int, int | Beside]] = _find_beside(study, history)
    goals = {}
    for trial in trials:
        number = trial.number
        row = rows.get(number)
        if trial.state.is_finished() and row is None:
            raise InvalidStudy(
                f"{folder}: trial {number} of study '{spec.name}' is finished in its storage and "
                "has no row in results.jsonl: restore results.jsonl, or give the study another name"
            )
        if trial.state != TrialState.RUNNING:
            continue
        # One that was killed before it was submitted comes after all that were.
        place, until = trial.user_attrs.get(SUBMITTED, (10**9 + number, 0))
        if row is None:
            unfinished.append((place, number))
        elif row.status == "stopped" and (row.epochs or 0) < until:
            unfinished.append((place, number))
            goals[number] = until
        else:
            tell(study, optuna.Trial(study, trial._trial_id), row, spec)
    return Unfinished([job for _, job in sorted(unfinished, key=lambda each: each[0])], goals)


def _find_beside(
    study: optuna.Study, history: Sequence[Evaluation]
) -> list[tuple[int, int | Beside]]:
    """Places and designs of `mark_beside` that no row tells the end of."""
    ended = {row.source for row in history}
    marked = {
        name.removeprefix(_BESIDE): noted
        for name, noted in study.user_attrs.items()
        if name.startswith(_BESIDE)
    }
    return [
        (place, Beside(source, values, name))
        for source, (place, values, name) in marked.items()
        if source not in ended
    ]


def _rebuild_storage(
    study: optuna.Study,
    folder: Path,
    history: Sequence[Evaluation],
    known: int,
    spec: StudySpec,
    samplers: Samplers,
) -> None:
    """Put rows into a storage that was lost: the same trials, numbers and order."""
    rows = {row.trial: row for row in latest(history) if row.trial >= 0}
    for number in range(known, max(rows) + 1):
        row = rows.get(number)
        if row is None:
            raise InvalidStudy(
                f"{folder}: the storage is lost and results.jsonl has no row for trial "
                f"{number}: restore the storage, or start a study of another name"
            )
        study.enqueue_trial(write_parameters(spec.space, row.values), user_attrs=describe_row(row))
        study.sampler = samplers.choose(number, decided=True)
        trial = study.ask()
        suggest(trial, spec.space)
        tell(study, trial, row, spec)


def mark_submitted(trial: optuna.Trial, place: int, until: int) -> None:
    """Note on a trial that it is in training, so that a study that is killed finds it again."""
    trial.set_user_attr(SUBMITTED, [place, until])


def mark_beside(study: optuna.Study, job: Beside, place: int) -> None:
    """Note on a study that a design beside its space is in training, as `mark_submitted` does."""
    study.set_user_attr(f"{_BESIDE}{job.source}", [place, job.values, job.name])


def tell(study: optuna.Study, trial: optuna.Trial, row: Evaluation, spec: StudySpec) -> None:
    """Tell Optuna what a row says, as a state of its trial.

    complete: an error and costs. fail: training gave no number. pruned: over a limit, known before
    training or after; by how much is told as constraints, so that samplers learn where not to
    look. A trial that waits at a rung stays open: Optuna knows no way back from an end.
    """
    for name, value in describe_row(row).items():
        trial.set_user_attr(name, value)
    partial = row.epochs is not None and row.epochs < spec.recipe.epochs
    if row.error is not None and (partial or row.over_in_error):
        trial.set_user_attr(OBSERVED_ERROR, row.column(spec.measured))
        fraction = (row.epochs or spec.recipe.epochs) / spec.recipe.epochs
        trial.set_user_attr(EPOCHS_FRACTION, fraction)
    if row.status == "stopped":
        return
    if row.status == "failed":
        study.tell(trial, state=TrialState.FAIL)
    elif row.full or (row.status == "duplicate" and not partial):
        study.tell(trial, [row.column(name) for name in spec.objectives])
    else:
        excesses = _measure_violations(row, spec)
        for name, excess in excesses.items():
            trial.set_constraint(name, excess)
        if excesses:
            # Optuna 5 names constraints, optuna-dashboard 0.21 still reads the list without names:
            # the attribute `reason` tells them there.
            study._storage.set_trial_system_attr(
                trial._trial_id, _UNNAMED_CONSTRAINTS, list(excesses.values())
            )
        study.tell(trial, state=TrialState.PRUNED)


def end_stopped(study: optuna.Study, rows: Iterable[Evaluation], spec: StudySpec) -> None:
    """Close the trials that wait at a rung: none is left running when a study has ended."""
    waiting = {row.trial for row in rows if row.status == "stopped" and row.trial >= 0}
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING and trial.number in waiting:
            study.tell(optuna.Trial(study, trial._trial_id), state=TrialState.PRUNED)


def describe_row(row: Evaluation) -> dict[str, str]:
    """What optuna-dashboard shows beside a trial."""
    known = {
        "source": row.source,
        "design_key": row.key,
        "design": row.name,
        "status": row.status,
        "reason": row.reason,
    }
    return {name: text for name, text in known.items() if text or name != "reason"}


def _measure_violations(row: Evaluation, spec: StudySpec) -> dict[str, float]:
    """By how much the row violates each limit, so that samplers learn where not to look."""
    if row.status == "duplicate":
        return {}
    columns = row.cost | row.measured
    violated = spec.budget.violations(columns) if row.cost else ()
    if row.error is not None:
        violated += spec.measured_budget.violations(columns)
    excess = {str(limit): limit.excess(columns) for limit in violated}
    return excess or {"cannot be built or does not fit the machine": 1.0}
