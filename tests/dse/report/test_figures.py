from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dse.columns import COST_COLUMNS, LABELS, OBJECTIVE_COLUMNS, axis_label, scaled, shown
from dse.report.figures import frontier_figure, history_figure, save_figure
from dse.studies.record import StudyRecord
from dse.studies.rows import Evaluation

RECORD = StudyRecord(
    Path("study"),
    {
        "name": "small",
        "objectives": ["error", "energy_pj"],
        "limits": {"max_energy_pj": 5e6, "max_macs": 1e6},
        "box": {},
        "accelerator": {"name": "machine"},
        "technology": {"name": "45nm"},
    },
)


def row(key: str, error: float | None, energy_pj: float, **fields: object) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 0.0) | {"energy_pj": energy_pj}
    cost["generated_weights"] = 100.0 if key.startswith("t") else 0.0
    return Evaluation(
        trial=0,
        status="infeasible" if error is None else "trained",
        key=key,
        error=error,
        cost=cost,
        **({"source": "search"} | fields),  # type: ignore[arg-type]
    )


def test_the_frontier_is_drawn_in_the_units_of_its_axes() -> None:
    rows = [row("d1", 0.3, 1e6), row("t1", 0.2, 2e6), row("t2", 0.25, 3e6)]
    rows += [row("x", None, 6e6), row("y", None, 90e6)]
    (axes,) = frontier_figure(rows, RECORD).axes
    assert axes.get_xlabel() == "energy per inference (uJ)"
    assert axes.get_ylabel() == "validation error (%)"
    assert axes.get_title() == "small: machine, 45nm"
    lines = {str(line.get_label()): line for line in axes.lines}
    stairs = lines["frontier (2)"]
    assert list(np.asarray(stairs.get_xdata())) == [1.0, 2.0]
    assert list(np.asarray(stairs.get_ydata())) == [30.0, 20.0]
    assert list(np.asarray(lines["dense (1)"].get_xdata())) == [1.0]
    assert list(np.asarray(lines["with ternary matrices (2)"].get_ydata())) == [20.0, 25.0]
    ticks = lines["over a limit, not trained (2, 1 beyond the axis)"]
    assert list(np.asarray(ticks.get_xdata())) == [6.0, 90.0]
    # From the cheapest trained one to the limit, with room: what is far over it squeezes nothing.
    assert axes.get_xlim() == pytest.approx((1.0 / 1.4, 5.0 * 1.4))
    # The limit on energy is a line at 5 uJ; that on MACs is not on these axes.
    limits = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(np.asarray(line.get_xdata())) for line in limits] == [[5.0, 5.0]]


def test_baselines_are_named_in_the_figure() -> None:
    figure = frontier_figure([row("d", 0.3, 1e6, source="matchboxnet-3x1x64")], RECORD)
    assert [text.get_text() for text in figure.axes[0].texts] == ["matchboxnet-3x1x64"]


def test_a_study_without_results_is_an_empty_figure() -> None:
    assert frontier_figure([], RECORD).axes[0].get_xlabel() == "energy per inference (uJ)"


def test_a_learning_curve_has_both_errors_in_percent() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2], "training_error": [0.5, 0.25], "validation_error": [0.6, 0.5]}
    )
    (axes,) = history_figure(history).axes
    assert [list(np.asarray(line.get_ydata())) for line in axes.lines] == [[50, 25], [60, 50]]


def test_figures_are_written_by_their_suffix(tmp_path: Path) -> None:
    figure = frontier_figure([row("d", 0.3, 1e6)], RECORD)
    save_figure(figure, tmp_path / "figure.png")
    save_figure(figure, tmp_path / "figure.svg")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "figure.svg").read_text()


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (0.1348, "error", "13.5"),
        (74_763, "trained_parameters", "74,763"),
        (5_110_000.0, "energy_pj", "5.11"),
        (15_700.0, "latency_us", "15.7"),
        (9_195_264, "macs", "9.2"),
    ],
)
def test_numbers_are_shown_in_the_unit_of_the_label(value: float, column: str, text: str) -> None:
    assert shown(value, column) == text
    assert scaled(value, column) == value * LABELS[column][2]


def test_every_column_has_a_label() -> None:
    assert set(LABELS) == set(OBJECTIVE_COLUMNS)
    assert axis_label("stored_bits") == "stored (kbit)"
    assert axis_label("macs") == "MACs (M)"
