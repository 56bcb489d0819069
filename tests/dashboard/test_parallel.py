"""Parallel coordinates: parts of their axes are what is selected on all of the page."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.parallel import MARK, Upright, axes_of, parallel, ranges_of, without_mark
from dashboard.selection import Ranges, read_ranges
from dashboard.studies import read_study
from tests.dashboard.conftest import Opened
from tests.dashboard.test_app import drawn, lines_of, tables_of, texts

AXES = [Upright("error"), Upright("axis_policy", ("P0", "P2", "P4"))]
COLUMNS = ("error", "axis_policy")


def test_parts_of_axes_are_figures_or_names() -> None:
    # On an axis of names a browser tells places: 0.6 to 2 is from the second name to the third.
    ranges = ranges_of([[[40.0, 10.0]], [[0.6, 2.0]]], AXES)
    assert ranges == Ranges((("error", ((10.0, 40.0),)), ("axis_policy", ("P2", "P4"))))
    assert ranges.words == "error (%) 10 to 40; policy P2, P4"
    assert ranges_of([[], []], AXES) is None
    assert AXES[1].intervals(("P2", "P4")) == [[0.6, 2.4]]


def test_designs_that_pass_through_a_part_of_each_axis_are_inside() -> None:
    frame = pd.DataFrame(
        {"error": [10.0, 20.0, 30.0, None], "axis_policy": ["P0", "P2", "P0", "P0"]}
    )
    ranges = Ranges((("error", ((5.0, 12.0), (25.0, 30.0))),))
    assert ranges.holds(frame).tolist() == [True, False, True, False]
    both = Ranges((*ranges.parts, ("axis_policy", ("P2",))))
    assert not both.holds(frame).any()
    # What does not matter to a design has a place of its own on an axis.
    density = pd.DataFrame({"axis_density": [0.25, None]})
    assert axes_of(density, ["axis_density"])[0].names == ("0.25", "-")
    assert Ranges((("axis_density", ("-",)),)).holds(density).tolist() == [False, True]


@pytest.mark.parametrize(
    "event", [None, "x", [], [[]], [[[1]], []], [[[1, "x"]], []], [[[1, float("nan")]], []], [3, 4]]
)
def test_what_a_browser_sends_need_not_be_parts(event: Any) -> None:
    assert ranges_of(event, AXES) is None


def test_parts_come_back_from_their_address() -> None:
    ranges = Ranges((("error", ((10.0, 40.0),)), ("axis_policy", ("P0", "a~b, c"))))
    assert read_ranges(str(ranges), COLUMNS) == ranges


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"error":[]}',
        '{"error":[[1]]}',
        '{"error":[[1,"x"]]}',
        '{"error":[[1,NaN]]}',
        '{"error":5}',
        '{"secret":[[1,2]]}',
        "[" * 1_900,
    ],
)
def test_an_address_without_parts_selects_nothing(text: str) -> None:
    assert read_ranges(text, COLUMNS) is None


def test_a_part_is_ringed_in_the_points_and_taken_again_in_the_lines(
    studies: Path, open_page: Opened
) -> None:
    link = '{"error":[[5.0,42.0]]}'  # of 40, 10, 45 and 50 %
    app = open_page("frontier", studies, study="generated", outline=link)
    rings = next(each for each in drawn(app)["series"] if each["name"] == "selected")
    assert len(tables_of(app)[rings["datasetIndex"]]) == 2
    assert "2 designs, 2 trained" in texts(app)
    app = open_page("frontier", studies, study="generated", outline=link, view="parallel")
    assert "Selected: error" in texts(app) and "2 designs, 2 trained" in texts(app)
    assert "[[[5.0, 42.0]], []" in lines_of(app)["onEvents"]["finished"]
    assert app.query_params["outline"] == link


def test_lines_outside_an_outline_of_the_points_are_faint(studies: Path, open_page: Opened) -> None:
    link = "error.lin~energy_pj.log~5_0.1~42_0.1~42_99~5_99"
    app = open_page("frontier", studies, study="generated", outline=link, view="parallel")
    shown = {
        line["name"]: part["lineStyle"]["opacity"] > 0.1
        for part in lines_of(app)["options"]["series"]
        for line in part["data"]
    }
    assert shown == {"design 0": True, "design 1": True, "design 2": False, "design 3": False}


def test_no_name_is_run_by_the_component(studies: Path) -> None:
    study = read_study("small", studies / "generated")
    evil = f"{MARK}alert(1){MARK}"
    frame = study.scaled[study.trained].assign(name=evil, axis_policy=evil)
    axes = axes_of(frame, ["error", "axis_policy"])
    option = parallel(frame, axes, "axis_policy")
    assert MARK in json.dumps(option)
    assert MARK not in json.dumps(without_mark(option))
    assert "alert(1)" in json.dumps(without_mark(option))  # as a name it is shown
