import dataclasses

import pytest

from dse.columns import COST_COLUMNS
from dse.errors import InvalidInput
from dse.studies.effort import MAX_FAILURES, MAX_REPEATS, Effort, Patience
from dse.studies.rows import Evaluation, latest

BOX = {"error": [0.0, 1.0], "energy_pj": [0.0, 2.0]}
EFFORT = Effort(trainings=3, epochs_each=10, rungs=False, candidates=50)


def row(trial: int, **fields: object) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 10.0)
    known = {
        "trial": trial,
        "status": "trained",
        "source": "search",
        "key": str(trial),
        "cost": cost,
        "error": 0.5,
        "epochs": 10,
        "training_seconds": 1800.0,
    }
    return Evaluation(**(known | fields))  # type: ignore[arg-type]


def ended(effort: Effort, rows: list[Evaluation], workers: int = 1, **submitted: int) -> str:
    # A design that climbs rungs has a row for each; counting all would count its epochs twice.
    last = latest(rows)
    return effort.spent_by(last, workers, **submitted) or effort.pointless_by(last, BOX)


def test_trainings_that_are_under_way_count() -> None:
    rows = [row(0), row(1)]
    assert ended(EFFORT, rows) == ""
    assert ended(EFFORT, rows, in_training=1, epochs_in_training=10) == "2 designs are trained"
    assert ended(EFFORT, [*rows, row(2)]) == "3 designs are trained"


def test_with_rungs_epochs_are_counted_wherever_they_went() -> None:
    effort = dataclasses.replace(EFFORT, rungs=True)
    stopped = [row(number, status="stopped", epochs=2) for number in range(10)]
    assert ended(effort, stopped) == ""
    assert ended(effort, [*stopped, row(10)]).startswith("30 epochs are trained")


def test_a_rung_that_was_passed_does_not_count_again() -> None:
    effort = dataclasses.replace(EFFORT, rungs=True)
    rows = [row(0, status="stopped", epochs=2), row(0, status="stopped", epochs=6), row(0)]
    assert effort.spent_epochs(latest(rows)) == 10
    assert effort.trained(latest(rows)) == 1


def test_what_was_trained_elsewhere_takes_no_epochs() -> None:
    rows = [row(0, status="reused"), row(1, status="duplicate"), row(2)]
    assert EFFORT.spent_epochs(rows) == 10


def test_epochs_hours_and_candidates_end_a_study() -> None:
    assert ended(dataclasses.replace(EFFORT, epochs=20), [row(0), row(1)]) == (
        "20 epochs are trained"
    )
    hours = dataclasses.replace(EFFORT, hours=0.75)
    assert ended(hours, [row(0), row(1)]) == "1 hours are spent on training"
    assert ended(hours, [row(0), row(1)], workers=2) == ""  # half an hour each
    few = dataclasses.replace(EFFORT, candidates=3)
    over = [row(n, status="infeasible", error=None, epochs=None) for n in range(3)]
    assert ended(few, over) == "3 candidates are priced"


def test_patience_ends_when_the_hypervolume_stands_still() -> None:
    effort = dataclasses.replace(EFFORT, trainings=50, patience=Patience(trainings=2))
    assert ended(effort, [row(0), row(1)]) == ""  # too few to tell
    assert ended(effort, [row(0), row(1), row(2)]) == (
        "the last 2 trainings raised the hypervolume by less than 1.00%"
    )
    assert ended(effort, [row(0), row(1), row(2, error=0.4)]) == ""


def test_nothing_but_repeats_ends_a_study() -> None:
    rows = [row(0), *(row(n, status="duplicate") for n in range(1, MAX_REPEATS + 1))]
    effort = dataclasses.replace(EFFORT, candidates=10**6)
    assert ended(effort, rows[:-1]) == ""
    assert ended(effort, rows) == f"the last {MAX_REPEATS} candidates brought no new design"


def test_what_failed_before_is_no_new_design() -> None:
    again = [row(n, key="bad", status="failed", error=None) for n in range(2, MAX_REPEATS + 2)]
    rows = [row(0), row(1, key="bad", status="failed", error=None), *again]
    effort = dataclasses.replace(EFFORT, candidates=10**6)
    assert ended(effort, rows) == f"the last {MAX_REPEATS} candidates brought no new design"
    fresh = [dataclasses.replace(each, key=str(each.trial)) for each in again]
    assert ended(effort, [*rows[:2], *fresh]) == ""


def test_failures_end_a_study_only_where_nothing_else_was_trained() -> None:
    failed = [row(n, status="failed", error=None, reason=f"no. {n}") for n in range(MAX_FAILURES)]
    assert ended(EFFORT, failed[:-1]) == ""
    assert ended(EFFORT, failed) == "every training failed, 5 of them; the last one: no. 4"
    assert ended(EFFORT, [row(9), *failed]) == ""
    assert ended(EFFORT, [row(9, status="stopped", epochs=1), *failed]) == ""


@pytest.mark.parametrize("wrong", [{"trainings": 0}, {"improvement": 0.0}, {"improvement": 1.0}])
def test_impossible_patience_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Patience(**wrong)  # type: ignore[arg-type]
