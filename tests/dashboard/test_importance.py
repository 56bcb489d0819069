"""Which axes matter, by Optuna's evaluators, and slices of the axes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.importance import LEAST_ROWS, WAYS, importance_chart, importances, targets_of
from dashboard.slices import slices_chart
from dashboard.studies import read_study
from tests.dashboard.conftest import Opened, write_study
from tests.dashboard.test_app import drawn, texts


def made(count: int = 60) -> pd.DataFrame:
    """The error follows the width alone, the energy the policy; the kernel nothing."""
    rng = np.random.default_rng(0)
    width = rng.choice([8, 16, 24, 32], count)
    policy = rng.choice(["P0", "P4"], count)
    density = np.where(policy == "P0", np.nan, rng.choice([0.25, 0.5], count))
    return pd.DataFrame(
        {
            "error": 60.0 - width,
            "energy_pj": np.where(policy == "P0", 2.0, 1.0),
            "area_um2": 1.0,
            "axis_width": width,
            "axis_policy": policy,
            "axis_density": density,
            "axis_kernel": rng.choice([5, 7], count),
        }
    )


AXES = ["axis_width", "axis_policy", "axis_density", "axis_kernel"]


@pytest.mark.parametrize("way", WAYS)
def test_the_axis_that_decides_a_figure_has_most_of_it(way: str) -> None:
    table = importances(made(), AXES, ["error", "energy_pj", "area_um2"], way)
    assert list(table.columns) == ["error", "energy_pj"]  # an area of one value tells nothing
    assert table["error"].idxmax() == table.index[0] == "axis_width"
    assert table["error"].max() > 0.9
    # Where the density does not matter, it has a value of its own, which is the policy's, too.
    assert table.loc[["axis_policy", "axis_density"], "energy_pj"].sum() > 0.9
    assert table.sum().to_numpy() == pytest.approx([1.0, 1.0])


def test_few_designs_say_nothing() -> None:
    few = made(LEAST_ROWS - 1)
    assert len(importances(few, AXES, ["error"], "fANOVA").columns) == 0
    # A figure counts where it is known: the error of trained designs, a cost of all.
    priced = made().assign(error=lambda frame: frame["error"].where(frame.index < 5))
    assert list(importances(priced, AXES, ["error", "energy_pj"], "PED-ANOVA")) == ["energy_pj"]
    assert targets_of(priced, "error", ["error", "energy_pj", "area_um2"]) == [
        "error",
        "energy_pj",
        "area_um2",
    ]


def test_bars_are_shares_in_percent() -> None:
    table = pd.DataFrame({"error": [0.75, 0.25]}, index=["axis_width", "axis_kernel"])
    option = importance_chart(table)
    assert option["yAxis"]["data"] == ["width", "kernel"]
    assert option["dataset"][0]["source"]["share (%)"].tolist() == [75.0, 25.0]


def test_slices_have_each_design_at_its_value(studies: Path) -> None:
    study = read_study("generated", studies / "generated")
    trained = study.scaled[study.trained]
    option = slices_chart(trained, ["axis_blocks", "axis_policy"], "error")
    assert [each["data"] for each in option["xAxis"]] == [["1", "2"], ["P0", "P2", "P4"]]
    tables = [each["source"] for each in option["dataset"]]
    found = pd.concat(tables[2:])  # of the policy: dominated, and on the frontier
    # By hand from `DESIGNS`.
    assert sorted(zip(found["policy"], found["error (%)"], strict=True)) == [
        ("P0", 10.0),
        ("P0", 40.0),
        ("P2", 50.0),
        ("P4", 45.0),
    ]
    assert {each["name"] for each in option["series"]} == {"dominated", "on the frontier"}


def test_importances_and_slices_of_a_study(tmp_path: Path, open_page: Opened) -> None:
    designs = [
        ({"blocks": blocks, "channels": width} | policy, 0.9 - width / 50 + blocks / 100)
        for blocks in (1, 2)
        for width in (16, 24, 32)
        for policy in ({"policy": "P0"}, {"policy": "P4", "density": 0.5})
    ]
    folder = write_study(tmp_path / "studies" / "wide", designs)
    app = open_page("frontier", folder.parent, view="axes", way="fANOVA")
    assert drawn(app)["yAxis"]["data"][0] == "channels" and "12 trained designs" in texts(app)
    assert [each["name"] for each in drawn(app)["series"]] == ["error", "energy per inference"]
    app = open_page("frontier", folder.parent, view="axes", of_axes="slices")
    assert drawn(app)["xAxis"][0]["name"] == "channels"


def test_a_study_of_few_designs_says_so(studies: Path, open_page: Opened) -> None:
    app = open_page("frontier", studies, study="generated", view="axes")
    assert f"at least {LEAST_ROWS} designs" in texts(app)
