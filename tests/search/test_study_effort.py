"""Studies with rungs, limits on the error, totals, and earlier studies to start from."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from dse.errors import InvalidFile
from dse.studies.effort import Patience
from dse.studies.reading import read_study
from dse.studies.rows import Evaluation, read_all_rows, read_rows
from dse.studies.rungs import Rungs
from dse.training.history import read_history
from search.state import Outcome, State
from search.study import run_study
from search.survey import Survey


class Quiet:
    """Watches a study, and may stop it as Ctrl-C does."""

    def __init__(self, stop_after_epochs: int | None = None) -> None:
        self.epochs = 0
        self.stop_after_epochs = stop_after_epochs

    def preparing(self, what: str, done: int, total: int) -> None: ...

    def data(self, findings: Sequence[str]) -> None: ...

    def started(self, found: Survey, state: State) -> None: ...

    def training(self, point: Any, cost: dict[str, float], epochs: int) -> None: ...

    def epoch(self, point: Any, record: Any) -> None:
        self.epochs += 1
        if self.epochs == self.stop_after_epochs:
            raise KeyboardInterrupt

    def evaluated(self, row: Evaluation, state: State) -> None: ...


def run(
    study_file: Path, folder: Path, watcher: Quiet | None = None, workers: int = 1, **changes: Any
) -> Outcome:
    spec = dataclasses.replace(read_study(study_file), **changes)
    spec = dataclasses.replace(spec, recipe=dataclasses.replace(spec.recipe, epochs=4))
    return run_study(
        spec,
        study_file.read_text(),
        folder,
        watcher or Quiet(),
        cache=study_file.parent / "cache",
        workers=workers,
    )


def numbers(rows: list[Evaluation]) -> list[dict[str, Any]]:
    clock = {"finished_at": "", "training_seconds": None}
    return [dataclasses.replace(row, **clock).to_dict() for row in rows]


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="tones", storage=f"sqlite:///{folder / 'study.db'}")
    return study.get_trials()


RUNGS = Rungs(first=1, factor=2)


def test_rungs_train_more_designs_with_the_same_epochs(study_file: Path, tmp_path: Path) -> None:
    outcome = run(study_file, tmp_path / "study", rungs=RUNGS)
    assert outcome.ended_by.startswith(("16 epochs", "17 epochs", "18 epochs", "19 epochs"))
    by_status = {row.status for row in outcome.rows}
    assert {"trained", "stopped"} <= by_status
    started = [row for row in outcome.rows if row.epochs]
    assert len(started) > 4
    for row in started:
        history = read_history(tmp_path / "study" / "designs" / row.key)
        assert len(history) == row.epochs and row.epochs in (1, 2, 4)
        assert (row.status == "trained") == (row.epochs == 4)
    # A design that passed a rung has a row for it, and no epoch was trained twice.
    every = read_all_rows(tmp_path / "study")
    assert len(every) > len(outcome.rows)
    states = {trial.number: trial.state.name for trial in trials_of(tmp_path / "study")}
    for row in outcome.rows:
        if row.trial >= 0:
            expected = "COMPLETE" if row.status == "trained" else "PRUNED"
            assert states[row.trial] == expected
    assert "RUNNING" not in states.values()


@pytest.mark.parametrize(
    ("workers", "stops"), [(1, (3, 4)), pytest.param(2, (4,), marks=pytest.mark.soak)]
)
def test_a_study_with_rungs_that_is_stopped_ends_as_if_it_had_not_been(
    study_file: Path, tmp_path: Path, workers: int, stops: tuple[int, ...]
) -> None:
    undisturbed = run(study_file, tmp_path / "one", workers=workers, rungs=RUNGS)
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            run(study_file, tmp_path / "two", Quiet(stop), workers=workers, rungs=RUNGS)
    outcome = run(study_file, tmp_path / "two", workers=workers, rungs=RUNGS)
    assert numbers(outcome.rows) == numbers(undisturbed.rows)
    assert numbers(read_all_rows(tmp_path / "two")) == numbers(read_all_rows(tmp_path / "one"))


def test_a_limit_on_the_error_keeps_designs_off_the_frontier(
    study_file: Path, tmp_path: Path
) -> None:
    text = study_file.read_text().replace("limits: {", "limits: {max_error: 0.000001, ")
    study_file.write_text(text)
    outcome = run(study_file, tmp_path / "study")
    over = [row for row in outcome.rows if row.over_in_error]
    assert over and "error is" in over[0].reason
    assert outcome.state.trained == 4
    assert all(row.error == 0 for row in outcome.rows if row.status == "trained")


def test_what_an_earlier_study_trained_is_not_trained_again(
    study_file: Path, tmp_path: Path
) -> None:
    first = run(study_file, tmp_path / "first", trainings=3)
    second = run(
        study_file, tmp_path / "second", trainings=4, warm_start=((tmp_path / "first").resolve(),)
    )
    known = {row.key: row.error for row in first.rows if row.status == "trained"}
    reused = [row for row in second.rows if row.status == "reused"]
    assert reused and second.state.trained == 4
    for row in reused:
        assert row.error == known[row.key] and row.reason == "trained in first"
        assert not (tmp_path / "second" / "designs" / row.key / "last.pt").exists()
    assert {row.key for row in second.rows if row.status == "trained"}.isdisjoint(known)


@pytest.mark.usefixtures("untrained")
def test_other_recipes_are_no_answer_but_their_designs_are_tried(
    study_file: Path, tmp_path: Path
) -> None:
    run(study_file, tmp_path / "first", trainings=3)
    spec = read_study(study_file)
    spec = dataclasses.replace(
        spec,
        warm_start=((tmp_path / "first").resolve(),),
        trainings=3,
        recipe=dataclasses.replace(spec.recipe, epochs=1),
    )
    cache = study_file.parent / "cache"
    outcome = run_study(spec, study_file.read_text(), tmp_path / "other", Quiet(), cache=cache)
    assert not [row for row in outcome.rows if row.status == "reused"]
    frontier = {row.key for row in read_rows(tmp_path / "first") if row.status == "trained"}
    trained = [row for row in outcome.rows if row.status == "trained"]
    assert trained[0].key in frontier and trained[0].source != "search"


@pytest.mark.usefixtures("untrained")
def test_patience_and_epochs_end_a_study(study_file: Path, tmp_path: Path) -> None:
    outcome = run(study_file, tmp_path / "epochs", trainings=50, epochs=8)
    assert outcome.ended_by == "8 epochs are trained"
    patience = Patience(trainings=1, improvement=0.9)
    outcome = run(study_file, tmp_path / "patience", trainings=50, patience=patience)
    assert "raised the hypervolume by less than 90.00%" in outcome.ended_by


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rungs: {first: 2}", "the recipe has 2: lower first or factor"),
        ("rungs: {first: 1, steps: 3}", "steps"),
        ("warm_start: [nowhere]", "holds no study: name folders that dse search made"),
        ("prior: nowhere.json", "prior: there is no file"),
        ("patience: {improvement: 2}", "improvement must be in (0, 1)"),
        ("hours: 0", "hours must be in (0, 1e+09], not 0"),
        ("sampler: best", "sampler"),
        ("limits: {max_sram: 3}", "unknown limit 'max_sram'"),
        ("limits: {max_error: 0.1, min_error: 0.5}", "no design can meet"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(
    study_file: Path, line: str, message: str
) -> None:
    key = line.split(":")[0]
    lines = [text for text in study_file.read_text().splitlines() if not text.startswith(key)]
    study_file.write_text("\n".join([*lines, line]) + "\n")
    with pytest.raises(InvalidFile) as error:
        read_study(study_file)
    assert message in str(error.value) and "tones.yaml" in str(error.value)
