"""How a study's hypervolume grew."""

import csv
import io

import numpy as np
import pytest

from dse.columns import COST_COLUMNS
from dse.report.figures import growth_figure
from dse.studies.frontier import hypervolume_share
from dse.studies.growth import growth, growth_csv
from dse.studies.rows import Evaluation, Status
from tests.studies import SMALL, open_optuna_study, read

STUDY = open_optuna_study(box={"error": (0.0, 1.0), "energy_pj": (0.0, 2.0)})


def row(
    trial: int, status: Status, error: float | None, energy_pj: float, epochs: int
) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 1.0) | {"energy_pj": energy_pj}
    return Evaluation(
        trial=trial,
        status=status,
        source="search",
        key=f"{trial}",
        error=error,
        epochs=epochs,
        cost=cost,
        training_seconds=36.0 * epochs,
        finished_at=f"2026-11-25T10:{trial:02}:00",
    )


ROWS = [
    row(0, "trained", 0.5, 10.0, 4),  # half of the height, half of the width (log10 of 1 to 100)
    row(1, "infeasible", None, 1.0, 0),
    row(2, "stopped", 0.9, 1.0, 2),
    row(3, "trained", 0.6, 20.0, 4),  # dominated
    row(4, "duplicate", 0.5, 10.0, 4),
    row(5, "reused", 0.25, 10.0, 4),  # dominates the first: three quarters of the half
    row(6, "trained", 0.75, 1.0, 4),  # a quarter of the other half
]


def test_steps_by_hand() -> None:
    steps = growth(ROWS, STUDY)
    assert [step.trial for step in steps] == [0, 3, 5, 6]
    assert [step.trainings for step in steps] == [1, 2, 2, 3]
    assert [step.epochs for step in steps] == [4, 10, 10, 14]
    assert [step.hours for step in steps] == pytest.approx([0.04, 0.10, 0.10, 0.14])
    expected = [0.25, 0.25, 0.375, 0.5]
    assert [step.hypervolume for step in steps] == pytest.approx(expected)
    lines = list(csv.DictReader(io.StringIO(growth_csv(steps))))
    assert [float(line["hypervolume"]) for line in lines] == [s.hypervolume for s in steps]
    assert lines[0]["finished_at"] == "2026-11-25T10:00:00"
    assert growth([], STUDY) == []


def test_the_last_step_is_the_studys_hypervolume() -> None:
    rng = np.random.default_rng(3)
    rows = [
        row(trial, "trained", float(rng.uniform(0.1, 1)), float(10 ** rng.uniform(0, 2)), 1)
        for trial in range(60)
    ]
    steps = growth(rows, STUDY)
    for count in (1, 2, 17, 60):
        share = hypervolume_share(rows[:count], STUDY.begun.box)
        assert steps[count - 1].hypervolume == pytest.approx(share, rel=1e-12)


def test_the_figure_is_against_epochs_where_there_are_rungs() -> None:
    steps = growth(ROWS, STUDY)
    [axes] = growth_figure(steps, STUDY.asked).axes
    assert axes.get_xlabel() == "trainings"
    [line] = axes.get_lines()
    assert list(line.get_xdata()) == [0, 1, 2, 2, 3]
    assert list(line.get_ydata()) == [0.0, *(step.hypervolume for step in steps)]
    climbed = read(SMALL + "rungs: {first: 2, factor: 2}\n")
    [axes] = growth_figure(steps, climbed).axes
    assert list(axes.get_lines()[0].get_xdata()) == [0, 4, 10, 10, 14]
