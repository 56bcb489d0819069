"""The page of the frontier: the plot first, budgets, filters, selections and the shortlist."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from dashboard.budget import (
    ANY,
    Filter,
    affordable,
    best_within,
    best_words,
    nearest,
    steps_of,
)
from dashboard.exports import SIZES, draw_option, picture_of
from dashboard.frontier_chart import FrontierChart, Marks, frontier_chart
from dashboard.selection import (
    MOST_CORNERS,
    NOTHING,
    Outline,
    Selection,
    follow,
    listed,
    outline_of,
    read_listed,
    read_outline,
)
from dashboard.shortlist import selected_rows
from dashboard.slices import cells_of, in_order
from dashboard.studies import read_study, table_of_bands
from dashboard.texts import amount_format, figure, unit_of
from dashboard.views.frontier import designs_csv
from tests.dashboard.conftest import DESIGNS, Opened
from tests.dashboard.test_app import drawn, lines_of, tables_of, texts

CHEAP = pd.DataFrame(
    {
        "design": list("abcd"),
        "name": ["one", "two", "three", "four"],
        "energy_pj": [1.0, 2.0, 3.0, 4.0],
        "latency_us": [4.0, 3.0, 2.0, float("nan")],
        "error": [30.0, 20.0, 20.0, 10.0],
    }
)


def chart_of(study: Path, x: str = "energy_pj", **how: Any) -> FrontierChart:
    return frontier_chart(read_study("it", study).scaled, x, "error", **how)


# --- budgets


def test_a_budget_is_a_filter_and_a_sentence() -> None:
    assert affordable(CHEAP, {"energy_pj": 3.0}).tolist() == [True, True, True, False]
    # What nobody knows is not within a budget.
    assert affordable(CHEAP, {"latency_us": 9.0}).tolist() == [True, True, True, False]
    within = CHEAP[affordable(CHEAP, {"energy_pj": 3.0})]
    assert best_within(within, "error", "energy_pj") == "b"  # as good as c, and cheaper
    assert best_within(within[:0], "error", "energy_pj") is None
    said = best_words(CHEAP.iloc[1], "error", ["energy_pj", "latency_us"], within=True)
    assert said == "Best within budget: **two**, 20.0 % at 2.00 µJ, 3.00 ms."


def test_stops_of_a_slider_reach_the_dearest_design_by_ratios() -> None:
    stops = steps_of(pd.Series([0.831, 9.117, float("nan"), 0.0]))
    assert stops[-1] == ANY and 9.117 <= stops[-2] <= 9.12 and stops[0] >= 0.831
    ratios = [b / a for a, b in pairwise(stops[:-1])]
    assert max(ratios) / min(ratios) < 1.02
    assert steps_of(pd.Series([], dtype=float)) == [ANY]
    assert steps_of(pd.Series([5.0, 5.0])) == [5.0, ANY]


@pytest.mark.parametrize("asked", ["", "nan", "inf", "-3", "0", "<script>"])
def test_a_budget_of_an_address_that_is_none_is_any(asked: str) -> None:
    assert nearest([1.0, 2.0, ANY], asked) == ANY
    assert nearest([1.0, 2.0, ANY], "1.9") == 2.0


def test_the_budget_of_an_address_is_a_line_and_leaves_designs_out(
    studies: Path, open_page: Opened
) -> None:
    app = open_page("frontier", studies, study="six", **{"most.energy_pj": "5.2"})
    stairs = next(s for s in drawn(app)["series"] if s["name"].startswith("frontier ("))
    (line,) = [each for each in stairs["markLine"]["data"] if "budget" in each["name"]]
    most = line["xAxis"]
    assert most == pytest.approx(5.2, rel=0.1)
    left = app.dataframe[-1].value["energy per inference (µJ)"]
    whole = read_study("six", studies / "six").scaled
    assert (left <= most).all() and len(left) == (whole["energy_pj"] <= most).sum() < len(whole)
    assert "Best within budget" in texts(app)
    app.select_slider(key="most.energy_pj").set_value("any").run()
    assert len(app.dataframe[-1].value) == len(whole) and "most.energy_pj" not in app.query_params


# --- filters


def test_a_filter_by_an_axis_leaves_others_out_and_says_so(
    studies: Path, open_page: Opened
) -> None:
    app = open_page("frontier", studies, study="generated", axis_policy="P4")
    assert set(app.dataframe[-1].value["policy"]) == {"P4"}
    assert "Filter: policy P4" in texts(app)


def test_words_of_a_filter_are_of_what_it_leaves_out() -> None:
    usual = ("trained", "infeasible")
    assert Filter(statuses=usual, usual=usual).words == []
    some = Filter(statuses=("trained",), usual=usual, word="P4", axes=(("axis_blocks", (1, 2)),))
    assert some.words == ["status trained", "named P4", "blocks 1, 2"]


# --- the table


def test_the_table_begins_with_the_name_and_the_objectives(
    studies: Path, open_page: Opened
) -> None:
    table = open_page("frontier", studies, study="six").dataframe[-1].value
    first = ["name", "machine", "error (%)", "energy per inference (µJ)"]
    assert list(table.columns[:4]) == first and "area" in table.columns[4]


@pytest.mark.parametrize(
    ("figures", "form"),
    [
        ([0.831, 2.0, 9.11], "%,.2f"),
        ([12_345.0, 30_000.0], "%,d"),
        ([0.0123, 0.0456], "%,.4f"),
        ([1234.5, 99_999.5], "%,.0f"),
        ([float("nan")], "%,d"),
    ],
)
def test_figures_of_a_column_have_three_digits_and_no_powers(
    figures: list[float], form: str
) -> None:
    assert amount_format(pd.Series(figures)) == form


# --- selections


def event(areas: list[Any], points: list[Any]) -> tuple[list[Any], list[Any]]:
    return areas, points


def test_a_selection_outlasts_the_plot_that_it_was_made_in(studies: Path) -> None:
    study = read_study("small", studies / "generated")
    chart = chart_of(studies / "generated")
    box = [{"brush_type": "rect", "coord_range": [[0.1, 99.0], [5.0, 42.0]]}]
    after = follow(NOTHING, chart, ([], []), event(box, []))
    assert after.outline is not None
    inside = after.outline.holds(study.scaled)
    assert study.scaled.loc[inside, "trial"].tolist() == [0, 1]
    # The next plot, of other columns, reports nothing: nothing changes.
    assert follow(after, chart_of(studies / "generated", "latency_us"), ([], []), ([], [])) is after
    # Cleared in the plot it was drawn in; or another point clicked.
    assert follow(after, chart, (box, []), ([], [])) == NOTHING
    click = [{"series_index": 0, "data_indices": [0]}]
    picked = follow(after, chart, (box, []), event([], click))
    assert picked == Selection(design=str(chart.clickable[0].iloc[0]))


def test_an_outline_comes_back_from_its_address(studies: Path) -> None:
    chart = chart_of(studies / "generated")
    lasso = [[1.5 + 0.1 * i, 10.0 + (i % 7)] for i in range(200)]
    outline = outline_of({"brush_type": "polygon", "coord_range": lasso}, chart)
    assert outline is not None and len(outline.corners) <= MOST_CORNERS
    assert len(str(outline)) < 1_000
    back = read_outline(str(outline), {"energy_pj", "error"})
    assert back is not None and (back.x, back.log_x, back.log_y) == ("energy_pj", True, False)
    assert back.corners[1] == pytest.approx(outline.corners[1], rel=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "energy_pj.log~error.lin~1_2~3_4",  # two corners are no outline
        "energy_pj.log~nonsense.lin~1_2~3_4~5_6",
        "energy_pj.cubic~error.lin~1_2~3_4~5_6",
        "energy_pj.log~error.lin~1_2~3_x~5_6",
        "energy_pj.log~error.lin~1_2~3_nan~5_6",
        "energy_pj.log~error.lin~1~3_4~5_6",
        "~" * 5_000,
    ],
)
def test_an_address_that_is_no_outline_selects_nothing(text: str) -> None:
    assert read_outline(text, {"energy_pj", "error"}) is None


@pytest.mark.parametrize(
    "area", [{}, {"coord_range": "x"}, {"coord_range": [[1, 2]]}, {"coord_range": [[1], [2], [3]]}]
)
def test_what_a_browser_sends_need_not_be_an_outline(area: Any, studies: Path) -> None:
    assert outline_of(area, chart_of(studies / "generated")) is None


def test_a_link_opens_the_page_with_its_selection(studies: Path, open_page: Opened) -> None:
    outline = Outline("error", "energy_pj", False, True, ((5, 0.1), (42, 0.1), (42, 99), (5, 99)))
    app = open_page("frontier", studies, study="generated", outline=str(outline))
    assert "Selected" in texts(app) and "2 designs, 2 trained" in texts(app)
    rings = next(each for each in drawn(app)["series"] if each["name"] == "selected")
    assert len(tables_of(app)[rings["datasetIndex"]]) == 2
    assert app.query_params["outline"] == str(outline)
    plot = app.get("echarts_chart")[0].proto.id
    app.button(key="select_none").click().run()
    assert "Selected" not in texts(app) and "outline" not in app.query_params
    assert app.get("echarts_chart")[0].proto.id != plot  # in which the outline is drawn


def test_no_outline_of_old_figures_stays_in_a_plot_of_others(
    studies: Path, open_page: Opened
) -> None:
    """A browser keeps what was drawn in a plot as long as it is the same one: as its id is."""
    outline = "energy_pj.log~error.lin~0.1_0~99_0~99_99~0.1_99"
    app = open_page("frontier", studies, study="six", outline=outline)
    plots = [app.get("echarts_chart")[0].proto.id]
    for key, value in (("x", "area_um2"), ("y", "energy_pj")):
        app.selectbox(key=key).set_value(value).run()
        plots.append(app.get("echarts_chart")[0].proto.id)
    app.toggle(key="log_x").set_value(False).run()
    plots.append(app.get("echarts_chart")[0].proto.id)
    assert len({*plots}) == 4
    # What it holds stays selected, by the figures in which it was drawn.
    assert app.query_params["outline"].startswith("energy_pj.log~error.lin~")
    assert "selected" in "".join(str(each["name"]) for each in drawn(app)["series"]).lower()


def test_a_picked_design_stands_in_the_address(studies: Path, open_page: Opened) -> None:
    key = str(read_study("six", studies / "six").frame["design"].iloc[1])
    app = open_page("frontier", studies, study="six", picked=key)
    assert "picked" in [each["name"] for each in drawn(app)["series"]]
    assert "trial" in texts(app)
    gone = open_page("frontier", studies, study="six", picked="nobody")
    assert "picked" not in [each["name"] for each in drawn(gone)["series"]]


# --- the shortlist


def test_the_shortlist_is_fed_ringed_and_in_the_address(studies: Path, open_page: Opened) -> None:
    app = open_page("frontier", studies, study="six")
    app.button(key="list_best").click().run()
    (design,) = read_listed(app.query_params["shortlist"])
    ring = next(each for each in drawn(app)["series"] if each["name"] == "shortlist")
    assert tables_of(app)[ring["datasetIndex"]]["number"].tolist() == ["1"]
    assert read_study("six", studies / "six").find_row(design) is not None
    app.button(key="list_best").click().run()
    assert "shortlist" not in app.query_params


def test_designs_of_a_list_may_have_commas() -> None:
    designs = ["abc@kws_int8, 20 MHz", "def"]
    assert read_listed(listed(designs)) == designs
    assert read_listed("~~a~a~") == ["a"]


# --- pictures


def test_the_picture_has_what_the_page_draws(studies: Path) -> None:
    study = read_study("six", studies / "six")
    chart = frontier_chart(
        study.scaled,
        "energy_pj",
        "error",
        colour="accelerator",
        limits={"max_energy_pj": 5e6},
        budget={"error": 42.0},
        marks=Marks(shortlist=[str(study.frame["design"].iloc[0])]),
    )
    figure = draw_option(chart.option, "six: $x^2$", SIZES["paper"])
    (axes,) = figure.axes
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    legend = [each["name"] for each in chart.option["legend"][0]["data"]]
    assert names == legend + chart.option["legend"][1]["data"] and any(
        "kws_int8" in name for name in names
    )
    assert axes.get_xscale() == "log" and axes.get_xlabel() == chart.option["xAxis"]["name"]
    marks = {text.get_text() for text in axes.texts}
    assert {"most 5.00 µJ", "budget 42.0 %", "1"} <= marks
    drawn_points = sum(
        len(line.get_xdata()) for line in axes.lines if line.get_marker() in ("o", "^")
    )
    assert drawn_points >= len(study.scaled[study.scaled["error"].notna()])


def test_pictures_are_svg_and_png(studies: Path) -> None:
    option = chart_of(studies / "generated").option
    svg = picture_of(option, "small", SIZES["slide"], "svg")
    assert b"<svg" in svg and b"energy per inference" in svg and b"small" in svg
    assert picture_of(option, "small", SIZES["paper"], "png").startswith(b"\x89PNG")


# --- where the shortlist goes


def test_compare_begins_with_the_shortlist_and_names_machines(
    studies: Path, open_page: Opened
) -> None:
    study = read_study("six", studies / "six")
    designs = study.frame.loc[study.trained, "design"].tolist()
    several = next(each.partition("@")[0] for each in designs if "@" in each)
    pair = [each for each in designs if each.startswith(several)][:2]
    app = open_page("compare", studies, study="six", shortlist=listed(pair))
    assert app.multiselect(key="compared").value == pair
    names = app.multiselect(key="compared").options
    assert len(set(names)) == len(names) and all(" on kws_" in name for name in names)
    columns = list(app.dataframe[0].value.columns)
    assert len(set(columns)) == len(columns)  # the same network twice: its machines tell
    (sentence,) = [each.value for each in app.text if " than " in each.value]
    assert sentence.count(" on kws_") == 2
    # A link that names them, commas and all, opens the same.
    again = open_page("compare", studies, study="six", compared=listed(pair))
    assert again.multiselect(key="compared").value == pair


def test_three_different_networks_are_compared_where_nobody_chose(
    studies: Path, open_page: Opened
) -> None:
    app = open_page("compare", studies, study="six")
    keys = [each.partition("@")[0] for each in app.multiselect(key="compared").value]
    assert len(set(keys)) == len(keys) == 3


def test_errors_differ_in_points_and_costs_in_percent(studies: Path, open_page: Opened) -> None:
    table = open_page("compare", studies, study="generated").dataframe[0].value.set_index("")
    assert " points)" in table.loc["error (%)"].iloc[1]
    assert "%)" in table.loc["energy (µJ)"].iloc[1]


def test_the_report_begins_with_the_shortlist(studies: Path, open_page: Opened) -> None:
    study = read_study("generated", studies / "generated")
    design = str(study.frame["design"].iloc[1])
    app = open_page("report", studies, study="generated", shortlist=design)
    assert app.multiselect(key="reported").value == [design]


def test_ways_to_pages_carry_the_shortlist(studies: Path, open_page: Opened) -> None:
    """What was written on arrival would keep Back from leading away."""
    app = open_page("frontier", studies, study="six")
    app.button(key="list_best").click().run()
    ways = [each.proto for each in app.sidebar.get("page_link")]
    assert ways and all("shortlist=" in way.query_string for way in ways)


def test_units_are_written_as_people_write_them() -> None:
    assert figure(8192 * 1.5, "stored_bits") == "1.50 KiB"
    assert figure(1.234e6, "energy_pj") == "1.23 µJ"
    assert figure(12_345_678.0, "trained_parameters") == "12,345,678"
    assert figure(0.9997, "error") == "99.97 %"
    for column in ("sram_bits", "weight_traffic_bits", "area_um2", "average_power_uw"):
        assert unit_of(column)[0] in ("KiB", "mm²", "µW")


def test_the_file_of_designs_is_for_programs(studies: Path) -> None:
    study = read_study("it", studies / "six")
    head, first, *_ = designs_csv(study, study.frame.index, ["key", "energy_pj", "error"]).split()
    assert head == "key,energy_pj,error"
    assert float(first.split(",")[2]) == DESIGNS[0][1]  # a share; the page shows percent


def test_error_over_trials_has_the_best_so_far(studies: Path, open_page: Opened) -> None:
    app = open_page("frontier", studies, study="generated", x="trial", log_x="false")
    stairs = next(s for s in drawn(app)["series"] if s["name"].startswith("frontier ("))
    table = tables_of(app)[stairs["datasetIndex"]]
    assert table.to_numpy()[:2].tolist() == [[0.0, 40.0], [1.0, 10.0]]  # of 40, 10, 45, 50 %


def test_a_line_of_parallel_coordinates_says_all_its_figures(
    studies: Path, open_page: Opened
) -> None:
    option = lines_of(open_page("frontier", studies, study="six", view="parallel"))["options"]
    *figures, machine = option["parallelAxis"]
    assert all(each["axisTick"]["customValues"] for each in figures)
    assert machine["name"] == "machine" and "kws_int8, 20 MHz" in machine["data"]
    line = option["series"][0]["data"][0]
    said = line["tooltip"]["formatter"].split("\n")
    assert said[0] == line["name"] and len(said) == 1 + len(option["parallelAxis"])
    assert said[1].startswith("error (%): ")


def test_a_design_is_put_on_the_shortlist_on_its_own_page(studies: Path, open_page: Opened) -> None:
    app = open_page("design", studies, study="six")
    app.button(key="list_design").click().run()
    assert app.query_params["shortlist"] == app.query_params["design"]


def test_other_pages_feed_the_shortlist(studies: Path, open_page: Opened) -> None:
    app = open_page("what_if", studies, study="six")
    stay = app.button(key="list.stay")
    count = int(app.metric[2].value)
    stay.click().run()
    listed = read_listed(app.query_params["shortlist"])
    study = read_study("six", studies / "six")
    front = study.frame[study.frame["frontier"]]
    assert len(listed) == count and set(listed) <= set(front["design"])
    assert not [each for each in app.button if each.key == "list.stay"]  # all are on it


@pytest.mark.parametrize(
    ("page", "table", "button"),
    [("studies", "best_points", "list_best_points"), ("watch", "latest", "list_latest")],
)
def test_rows_of_a_table_go_to_the_shortlist(
    studies: Path, open_page: Opened, page: str, table: str, button: str
) -> None:
    app = open_page(page, studies, study="six")
    assert not [each for each in app.button if each.key == button]
    app.session_state[table] = {"selection": {"rows": [0, 1], "columns": [], "cells": []}}
    app.run()
    assert {"machine", "cheapest on"} & set(app.dataframe[-1].value.columns)
    app.button(key=button).click().run()
    chosen = read_listed(app.query_params["shortlist"])
    study = read_study("six", studies / "six")
    assert len(chosen) == 2 and set(chosen) <= set(study.frame["design"])


def test_a_selection_of_a_table_that_was_longer_is_no_row() -> None:
    designs = pd.Series(["a", "b"])
    event = SimpleNamespace(selection={"rows": [1, 7]})
    assert selected_rows(event, designs) == ["b"] and selected_rows(None, designs) == []


def test_a_map_has_the_best_of_each_pair_of_values(studies: Path, open_page: Opened) -> None:
    study = read_study("generated", studies / "generated")
    cells = cells_of(study.scaled[study.trained], "axis_blocks", "axis_policy", "error")
    # By hand from `DESIGNS`: trained are (1, P0) 40 %, (2, P0) 10 %, (1, P4) 45 %, (2, P2) 50 %.
    assert dict(
        zip(zip(cells["across"], cells["up"], strict=True), cells["least"], strict=True)
    ) == {
        ("1", "P0"): 40.0,
        ("2", "P0"): 10.0,
        ("1", "P4"): 45.0,
        ("2", "P2"): 50.0,
    }
    assert in_order(pd.Series([10, 2, None])) == ["2", "10", "-"]
    app = open_page(
        "frontier", studies, study="generated", view="axes", axis_up="axis_policy", of_axes="map"
    )
    option = drawn(app)
    (series,) = option["series"]
    assert len(series["data"]) == 4 and option["yAxis"]["data"] == ["P0", "P2", "P4"]
    said = [each["tooltip"]["formatter"] for each in series["data"]]
    assert "blocks 2, policy P0\nleast error (%): 10.0 %\nof 1 design: design 1" in said


def test_a_study_of_several_machines_is_filtered_by_machine(
    studies: Path, open_page: Opened
) -> None:
    machine = str(read_study("six", studies / "six").frame["accelerator"].iloc[0])
    app = open_page("frontier", studies, study="six", accelerator=machine)
    assert set(app.dataframe[-1].value["machine"]) == {machine}


def test_intervals_of_an_old_study_of_many_designs_are_left_out(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clips would have to be found out from the learning curves of all."""
    study = read_study("generated", studies / "generated")
    assert len(table_of_bands(study)) == 3
    monkeypatch.setattr("dashboard.studies.MOST_ASKED", 3)
    assert len(table_of_bands(study)) == 0
