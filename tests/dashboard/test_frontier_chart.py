"""The plot of the frontier: what is drawn where, under whatever columns and filters."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.charts import axis, draw_sample, scaled_frame
from dashboard.frontier_chart import FrontierChart, Marks, frontier_chart
from dse.colours import DENSE, FRONTIER, QUIET, SERIES, SHORTLISTED, TERNARY


def frame(**columns: Any) -> pd.DataFrame:
    """Six designs: two of a frontier in error and energy, two that only other columns favour, one
    over a limit and far off, one not trained."""
    usual: dict[str, Any] = {
        "design": list("abcdef"),
        "name": [f"net {letter}" for letter in "abcdef"],
        "trial": range(6),
        "status": ["trained"] * 4 + ["infeasible"] * 2,
        "source": "search",
        "error": [0.3, 0.1, 0.4, 0.35, 0.2, np.nan],
        "energy_pj": [1e6, 2e6, 3e6, 4e6, 400e6, 90e6],
        "latency_us": [4000.0, 3000.0, 2000.0, 1000.0, 5000.0, 6000.0],
        "frontier": [True, True, False, False, False, False],
        "axis_blocks": [1, 10, 2, 2, 2, 2],
    }
    kinds = ["dense", "ternary", "ternary", "dense", "ternary", "dense"]
    return scaled_frame(pd.DataFrame(usual | columns), kinds)


def series_of(chart: FrontierChart, name: str) -> list[dict[str, Any]]:
    return [each for each in chart.option["series"] if each["name"].startswith(name)]


def table_of(chart: FrontierChart, series: dict[str, Any]) -> pd.DataFrame:
    return chart.option["dataset"][series["datasetIndex"]]["source"]


def corners_of(chart: FrontierChart, name: str) -> list[list[float]]:
    (stairs,) = series_of(chart, name)
    return table_of(chart, stairs).to_numpy().tolist()


@pytest.mark.parametrize("x", ["energy_pj", "latency_us", "axis_blocks"])
@pytest.mark.parametrize("y", ["error", "latency_us"])
def test_no_trained_design_lies_below_the_stairs(x: str, y: str) -> None:
    """By the definition of a frontier, point by point, in columns that the study has or has not."""
    shown = frame()
    steps = corners_of(frontier_chart(shown, x, y, log_x=False), "frontier (")
    for _, design in shown[shown["status"] == "trained"].iterrows():
        assert any(step[0] <= design[x] and step[-1] <= design[y] for step in steps)
        assert not any(design[x] < step[0] and design[y] < step[-1] for step in steps[:-1])


def test_the_studys_frontier_is_a_ghost_where_it_is_another() -> None:
    same = frontier_chart(frame(), "energy_pj", "error")
    assert series_of(same, "the study's frontier") == []
    other = frontier_chart(frame(), "latency_us", "error")
    assert corners_of(other, "frontier (")[:2] == [[1.0, 35.0], [3.0, 10.0]]
    (ghost,) = series_of(other, "the study's frontier")
    assert ghost["lineStyle"]["color"] == QUIET
    assert table_of(other, ghost).to_numpy().tolist()[0] == [3.0, 10.0]


def test_a_sample_keeps_the_frontier_of_what_is_drawn() -> None:
    many = pd.concat([frame()] * 50, ignore_index=True).assign(frontier=False)
    many.loc[77, ["latency_us", "error", "status"]] = [0.001, 50.0, "trained"]
    few = draw_sample(many, ("latency_us", "error"), most=5)
    assert 77 in few.index and len(few) < len(many)


def test_designs_far_over_a_limit_stand_at_the_edge() -> None:
    chart = frontier_chart(frame(), "energy_pj", "error", log_x=False)
    assert chart.option["xAxis"]["max"] < 10  # not 400
    (edge,) = series_of(chart, "beyond the axes (1)")
    (point,) = table_of(chart, edge).to_dict("records")
    assert point["place across"] == chart.option["xAxis"]["max"]
    assert point["energy per inference (µJ)"] == 400.0  # what hovering shows
    ticks = series_of(chart, "not trained (1)")
    assert [len(table_of(chart, each)) for each in ticks] == [0, 1]
    alone = frontier_chart(frame().iloc[4:], "energy_pj", "error", log_x=False)
    assert alone.option["xAxis"]["max"] >= 400  # there is nothing else


def test_limits_and_budgets_are_lines_on_both_axes() -> None:
    chart = frontier_chart(
        frame(),
        "energy_pj",
        "error",
        limits={"max_energy_pj": 3e6, "max_area_um2": 1.0},
        budget={"energy_pj": 2.5, "error": 32.0},
    )
    (stairs,) = series_of(chart, "frontier (")
    lines = [
        (each.get("xAxis"), each.get("yAxis"), each["name"], each["lineStyle"]["type"])
        for each in stairs["markLine"]["data"]
    ]
    assert lines == [
        (3.0, None, "most 3.00 µJ", "dashed"),
        (2.5, None, "budget 2.50 µJ", "dotted"),
        (None, 32.0, "budget 32.0 %", "dotted"),
    ]


def test_a_filter_changes_no_colour_and_no_symbol() -> None:
    whole = frame()

    def looks(shown: pd.DataFrame, **how: str) -> set[tuple[str, str, str]]:
        chart = frontier_chart(shown, "energy_pj", "error", whole=whole, **how)
        return {
            (str(each["name"]).split(" (")[0], each["symbol"], each["itemStyle"]["color"])
            for each in chart.option["series"][: len(chart.clickable)]
        }

    for how in ({}, {"shape": "axis_blocks"}, {"colour": "axis_blocks"}):
        all_looks = looks(whole, **how)
        for design in "abcd":
            assert looks(whole[whole["design"] == design], **how) <= all_looks


def test_symbols_go_by_number_and_kinds_have_their_own() -> None:
    chart = frontier_chart(frame(), "energy_pj", "error", shape="axis_blocks")
    assert chart.option["legend"][1]["data"] == ["blocks 1", "blocks 2", "blocks 10"]
    plain = frontier_chart(frame(), "energy_pj", "error")
    symbols = {each["name"].split(" (")[0]: each["symbol"] for each in plain.option["series"][:4]}
    assert symbols["dense"] == "circle" and symbols["with ternary matrices"] == "triangle"


def test_what_is_marked_is_ringed_on_any_axes() -> None:
    shown = frame()
    marks = Marks(inside=shown["error"] < 36, design="c", shortlist=("f", "b"))
    for x, y in (("energy_pj", "error"), ("latency_us", "energy_pj")):
        chart = frontier_chart(shown, x, y, marks=marks)
        (inside,), (picked,), (listed,) = (
            series_of(chart, name) for name in ("selected", "picked", "shortlist")
        )
        assert len(table_of(chart, inside)) == 4 and len(table_of(chart, picked)) == 1
        assert table_of(chart, listed)["number"].tolist() == ["1", "2"]
        assert listed["itemStyle"]["borderColor"] == SHORTLISTED
    gone = frontier_chart(shown.iloc[:1], "energy_pj", "error", marks=marks)
    assert series_of(gone, "picked") == []  # a filter leaves it out


def test_names_have_no_colour_that_means_something() -> None:
    assert not {DENSE, TERNARY, FRONTIER, QUIET, SHORTLISTED} & set(SERIES)


def test_marks_of_an_axis_are_not_written_over_each_other() -> None:
    for ends in ((4.0, 32.0), (0.0, 22.0), (0.771, 0.812), (-3.0, 70.0), (0.0, 1.0)):
        marks = axis("x", ends)["axisLabel"]["customValues"]
        steps = np.diff(marks)
        assert 4 <= len(marks) <= 11 and np.allclose(steps, steps[0])
        assert ends[0] <= marks[0] and marks[-1] <= ends[1]


def test_options_are_json_without_markup() -> None:
    evil = frame(name="</script><img src=x>")
    chart = frontier_chart(evil, "energy_pj", "error", marks=Marks(design="a"))
    json.dumps([each for each in chart.option["series"]])
    assert chart.option["tooltip"]["renderMode"] == "richText"


def test_only_baselines_are_named_in_the_plot() -> None:
    """What another study trained is one of many points; its source is the network it was there."""
    sources = ["matchboxnet-3x1x64", "2x1x8 P2, ba40", *["search"] * 4]
    designs = frame(source=sources, status=["trained", "reused", *["trained"] * 4])
    chart = frontier_chart(designs, "energy_pj", "error")
    (series,) = series_of(chart, "baselines")
    assert table_of(chart, series)["source"].tolist() == ["matchboxnet-3x1x64"]


def test_a_short_logarithmic_axis_has_more_marks_than_its_ends() -> None:
    marks = axis("energy", (11.2, 15.9), log=True)["axisLabel"]["customValues"]
    assert marks == [12, 13, 14, 15]


def test_the_frontier_has_the_intervals_and_trials_of_the_report() -> None:
    bands = pd.DataFrame(
        {"design": ["a", "b", "z"], "low": [25.0, 0.0, 1], "high": [36.0, 12.0, 2]}
    )
    chart = frontier_chart(frame(), "energy_pj", "error", bands=bands)
    (stems,) = series_of(chart, "95 % intervals")
    drawn = table_of(chart, stems)
    # A gap behind each, so that they are no zigzag.
    assert drawn["error (%)"].fillna(-1).tolist() == [25.0, 36.0, -1, 0.0, 12.0, -1]
    assert drawn["energy per inference (µJ)"].tolist() == [1.0] * 3 + [2.0] * 3
    (numbers,) = series_of(chart, "trials")
    assert table_of(chart, numbers)["number"].tolist() == ["0", "1"]
    assert chart.option["yAxis"]["max"] >= 36
    names = [each["name"] for each in chart.option["legend"][0]["data"]]
    assert "95 % intervals" in names and "trials" not in names
    # On a logarithmic axis, one that reaches 0 has no place, and leaves the axis what it is.
    upright = frontier_chart(frame(), "energy_pj", "error", bands=bands, log_y=True)
    (stems,) = series_of(upright, "95 % intervals")
    assert upright.log_y and len(table_of(upright, stems)) == 3
    over = frontier_chart(frame(), "trial", "error", bands=bands)  # best so far
    assert (
        table_of(over, series_of(over, "95 % intervals")[0])["trial"].tolist() == [0] * 3 + [1] * 3
    )
