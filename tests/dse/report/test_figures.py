from pathlib import Path

import numpy as np
import pytest

from cost_models import Band
from dse.columns import COST_COLUMNS, LABELS, OBJECTIVE_COLUMNS, axis_label, scaled, shown
from dse.report.content import Scatter
from dse.report.figures import draw_plot, save_figure
from dse.report.frontier_plot import frontier_plot
from dse.studies.kinds import Kind
from dse.studies.rows import Evaluation


def starts_with_t(row: Evaluation) -> Kind | None:
    if row.key.startswith("u"):
        return None
    return "ternary" if row.key.startswith("t") else "dense"


def plot(rows: list[Evaluation]) -> Scatter:
    return frontier_plot(
        rows,
        title="small: machine, 45nm",
        cost="energy_pj",
        kind_of=starts_with_t,
        limits={"max_energy_pj": 5e6, "max_macs": 1e6},
    )


def row(key: str, error: float | None, energy_pj: float, **fields: object) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 0.0) | {"energy_pj": energy_pj}
    return Evaluation(
        trial=0,
        key=key,
        error=error,
        cost=cost,
        **({"source": "search", "status": "infeasible" if error is None else "trained"} | fields),  # type: ignore[arg-type]
    )


def test_the_frontier_is_drawn_in_the_units_of_its_axes() -> None:
    rows = [row("d1", 0.3, 1e6), row("t1", 0.2, 2e6), row("t2", 0.25, 3e6)]
    rows += [row("x", None, 6e6), row("y", None, 90e6)]
    (axes,) = draw_plot(plot(rows)).axes
    assert axes.get_xlabel() == "energy per inference (µJ)"
    assert axes.get_ylabel() == "validation error (%)"
    assert axes.get_title("left") == "small: machine, 45nm"
    lines = {str(line.get_label()): line for line in axes.lines}
    stairs = lines["frontier (2)"]
    assert list(np.asarray(stairs.get_xdata())) == [1.0, 2.0]
    assert list(np.asarray(stairs.get_ydata())) == [30.0, 20.0]
    assert list(np.asarray(lines["dense (1)"].get_xdata())) == [1.0]
    assert list(np.asarray(lines["with ternary matrices (2)"].get_ydata())) == [20.0, 25.0]
    ticks = lines["over a limit, not trained (2, 1 beyond the axis)"]
    assert list(np.asarray(ticks.get_xdata())) == [6.0]
    # From the cheapest trained one to the limit, with room: what is far over it squeezes nothing.
    assert axes.get_xlim() == pytest.approx((1.0 / 1.4, 5.0 * 1.4))
    # The limit on energy is a line at 5 µJ; that on MACs is not on these axes.
    limits = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(np.asarray(line.get_xdata())) for line in limits] == [[5.0, 5.0]]


def test_baselines_are_named_in_the_figure() -> None:
    figure = draw_plot(plot([row("d", 0.3, 1e6, source="matchboxnet-3x1x64")]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["matchboxnet-3x1x64"]


def test_a_study_without_results_is_an_empty_figure() -> None:
    assert draw_plot(plot([])).axes[0].get_xlabel() == "energy per inference (µJ)"


def test_trainings_that_were_stopped_are_small_and_grey() -> None:
    rows = [row("d", 0.3, 1e6), row("s", 0.4, 2e6, status="stopped")]
    kinds = {series.name: (series.marker, len(series.points)) for series in plot(rows).series}
    assert kinds == {
        "frontier": ("stairs", 1),
        "dense": ("circle", 1),
        "stopped at a rung": ("dot", 1),
    }


def test_of_several_machines_each_on_the_frontier_has_its_colour() -> None:
    rows = [
        row(f"{place}", 0.5 - 0.05 * place, 1e6 * (1 + place), accelerator=f"machine{place}")
        for place in range(8)
    ]
    drawn = plot([*rows, row("9", 0.9, 9e6, accelerator="dear")]).series
    assert [series.name for series in drawn] == [
        "frontier",
        *(f"machine{place}" for place in range(6)),
        "3 other machines",
    ]
    assert len({series.colour for series in drawn}) == len(drawn)
    assert len({series.marker for series in drawn}) == len(drawn)  # not told by colour alone


def test_kinds_are_those_of_networks_and_unknown_ones_are_said() -> None:
    drawn = plot([row("d1", 0.3, 1e6), row("t1", 0.2, 2e6), row("u1", 0.25, 3e6)])
    named = {each.name: len(each.points) for each in drawn.series if each.marker != "stairs"}
    assert named == {"dense": 1, "with ternary matrices": 1, "unknown network": 1}


def test_intervals_are_bars_on_the_frontier_only() -> None:
    rows = [row("d1", 0.3, 1e6), row("d2", 0.4, 2e6)]
    drawn = frontier_plot(
        rows,
        title="",
        cost="energy_pj",
        kind_of=starts_with_t,
        error_band=lambda row: Band(low=10.0, mid=100 * row.column("error"), high=90.0),
    )
    dense = next(series for series in drawn.series if series.name == "dense")
    assert [point.y for point in dense.points] == [Band(low=10.0, mid=30.0, high=90.0), 40.0]
    assert drawn.y_title == "validation error (%), bars: 95 % intervals"
    assert "error 40.0 (10.0 to 90.0) %" in dense.points[1].tip


def test_figures_are_written_by_their_suffix(tmp_path: Path) -> None:
    figure = draw_plot(plot([row("d", 0.3, 1e6)]))
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
        (9_195_264, "macs", "9.20"),
        (8192 * 12.5, "stored_bits", "12.5"),
    ],
)
def test_numbers_are_shown_in_the_unit_of_the_label(value: float, column: str, text: str) -> None:
    assert shown(value, column) == text
    assert scaled(value, column) == value * LABELS[column][2]


def test_every_column_has_a_label() -> None:
    assert set(LABELS) == set(OBJECTIVE_COLUMNS)
    assert axis_label("stored_bits") == "stored (KiB)"
    assert axis_label("macs") == "MACs (M)"
