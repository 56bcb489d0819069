import dataclasses
import html
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

from cost_models import Band
from dashboard.growth import growth_table
from dashboard.studies import read_study
from dse.columns import significant
from dse.report import FORMATS, study_report
from dse.studies.confirmed import Confirmed, write_confirmed
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import Evaluation, append_row, read_rows
from dse.studies.spec import StudySpec
from dse.training.best_scores import BestScores, write_best_scores
from dse.training.best_sentences import BestSentences, heard_of, write_best_sentences
from tests.dashboard.conftest import BOX, Opened, write_machines, write_study

FRESH = "confirmed by fresh seeds"
PAGES = ("frontier", "design", "what_if", "compare", "report", "studies", "launch", "watch")


def texts(app: AppTest) -> str:
    """All that a page says in words."""
    kinds = (
        app.text,
        app.markdown,
        app.caption,
        app.info,
        app.error,
        app.warning,
        app.success,
        app.code,
    )
    return "\n".join(str(each.value) for kind in kinds for each in kind)


def drawn(app: AppTest, place: int = 0) -> dict[str, Any]:
    """The option of a chart, as the browser gets it."""
    return dict(json.loads(app.get("echarts_chart")[place].proto.spec))


def lines_of(app: AppTest) -> dict[str, Any]:
    """What parallel coordinates are drawn from, as their component gets it."""
    return dict(json.loads(app.get("bidi_component")[0].proto.json))


def tables_of(app: AppTest, place: int = 0) -> list[pd.DataFrame]:
    """The tables of a chart, in the order in which its series name them."""
    proto = app.get("echarts_chart")[place].proto
    sent = {each.name: convert_arrow_bytes_to_pandas_df(each.data.data) for each in proto.datasets}
    return [sent[each["source"]["name"]] for each in json.loads(proto.spec)["dataset"]]


def test_a_study_shows_its_numbers_and_frontier(study: Path, open_page: Opened) -> None:
    app = open_page("frontier", study.parent)
    assert "5 priced, 4 trained, 3 on the frontier" in texts(app)
    assert app.sidebar.selectbox[0].options == ["small"]
    table = app.dataframe[-1].value
    # The frontier first, by error. Design 3 costs more than design 0, and errs more.
    assert list(table["name"]) == ["design 1", "design 0", "design 2", "design 3", "design 4"]
    assert list(table["frontier"]) == [True, True, True, False, False]
    assert "at most 6,000 trained parameters" in texts(app)
    assert table.iloc[0]["error (%)"] == pytest.approx(10.0)


def test_a_study_of_several_machines_shows_pairs(tmp_path: Path, open_page: Opened) -> None:
    folder = write_machines(tmp_path / "studies" / "machines")
    app = open_page("frontier", folder.parent)
    table = app.dataframe[-1].value
    front = table[table["frontier"]]
    assert len(front) > front["trial"].nunique()
    # Designs are counted whatever runs them, pairs where they are meant.
    said = f"5 priced, 4 trained, {len(front)} pairs of network and machine on the frontier"
    assert said in texts(app)
    assert set(front["machine"]) == {"kws_ternary_stored, 20 MHz", "kws_int8, 20 MHz"}
    for page in ("design", "what_if", "compare", "studies", "watch"):
        open_page(page, folder.parent)


def test_plot_and_table_agree(study: Path, open_page: Opened) -> None:
    app = open_page("frontier", study.parent)
    option = drawn(app)
    assert option["xAxis"]["name"] == "energy per inference (µJ)"
    assert option["yAxis"]["name"] == "error (%)"
    assert option["brush"]["toolbox"] == ["rect", "polygon", "clear"]
    # Four trained designs, by kind and by whether they are on the frontier, and one not trained.
    tables = tables_of(app)
    points = [each for each in option["series"] if each["type"] == "scatter"]
    (numbers,) = (tables[each["datasetIndex"]] for each in points if each["name"] == "trials")
    assert sorted(numbers["number"]) == ["0", "1", "2"]  # of the frontier, with its intervals
    points = [each for each in points if each["name"] != "trials"]
    rows = [tables[each["datasetIndex"]] for each in points]
    designs = pd.concat(rows).set_index("design")
    assert sorted(designs.index) == [f"design {number}" for number in range(5)]
    assert designs["error (%)"].loc["design 1"] == 10.0
    listed = app.dataframe[-1].value.set_index("name")
    for name, energy in listed["energy per inference (µJ)"].items():
        assert designs["energy per inference (µJ)"].loc[name] == pytest.approx(energy, rel=1e-4)
    sizes = {
        name: each["symbolSize"]
        for each, t in zip(points, rows, strict=True)
        for name in t["design"]
    }
    assert sizes["design 0"] > sizes["design 3"]  # on the frontier, and not


def test_a_limit_on_a_drawn_column_is_a_line(study: Path, open_page: Opened) -> None:
    app = open_page("frontier", study.parent, x="trained_parameters")
    front = next(each for each in drawn(app)["series"] if each["name"].startswith("frontier ("))
    (line,) = front["markLine"]["data"]
    assert (line["xAxis"], line["name"]) == (6000.0, "most 6,000")
    least, most = drawn(app)["xAxis"]["min"], drawn(app)["xAxis"]["max"]
    assert least < 6000 < most
    watch = open_page("watch", study.parent)
    assert "brush" not in drawn(watch)  # a click selects, nothing else


def test_confirmed_designs_have_bars(study: Path, open_page: Opened) -> None:
    row = read_rows(study)[1]
    fresh = Confirmed(
        row=row,
        searched_error=row.column("error"),
        validation_error=0.11,
        test_band=Band(low=9.0, mid=12.0, high=16.0),
        seeds=3,
        searched=True,
    )
    write_confirmed([fresh], study)
    app = open_page("frontier", study.parent)
    bars = [each for each in drawn(app)["series"] if each["name"] == FRESH]
    interval, mean = (tables_of(app)[each["datasetIndex"]] for each in bars)
    assert mean["mean test error (%)"].tolist() == [12.0]
    # A line from the least to the most, then a gap.
    assert interval["mean test error (%)"].tolist() == pytest.approx([9.0, 16.0, nan], nan_ok=True)
    assert interval.iloc[:, 0].nunique() == 1
    (study / "confirmed.csv").write_text("key,name\n1,2\n")
    damaged = drawn(open_page("frontier", study.parent))
    assert FRESH not in [each["name"] for each in damaged["series"]]


def test_filters_leave_rows_out(study: Path, open_page: Opened) -> None:
    app = open_page("frontier", study.parent)
    app.multiselect(key="status").set_value(["infeasible"]).run()
    assert list(app.dataframe[-1].value["name"]) == ["design 4"]
    assert "Filter: status infeasible" in texts(app)  # also while it is closed
    app.multiselect(key="status").set_value(["trained"]).run()
    app.text_input(key="contains").set_value("design 3").run()
    assert list(app.dataframe[-1].value["name"]) == ["design 3"]
    app.text_input(key="contains").set_value("[nothing").run()
    assert not app.exception
    assert "No design passes the filter" in texts(app)


def test_a_view_is_in_its_address(study: Path, open_page: Opened) -> None:
    write_study(study.parent / "other")
    app = open_page("frontier", study.parent, study="small", x="latency_us", log_x="false")
    assert app.selectbox(key="study").value == "small"
    assert app.selectbox(key="x").value == "latency_us"
    assert app.toggle(key="log_x").value is False


def test_a_hostile_address_falls_back(study: Path, open_page: Opened) -> None:
    app = open_page("frontier", study.parent, study="small", x="<script>", view="9-D")
    assert app.selectbox(key="x").value == "energy_pj"
    assert "The link asks for \\<script\\>, which is not to be had here" in texts(app)


def test_parallel_coordinates_have_a_line_a_trained_design(study: Path, open_page: Opened) -> None:
    option = lines_of(open_page("frontier", study.parent, view="parallel"))["options"]
    names = [each["name"] for each in option["parallelAxis"]]
    assert names[:2] == ["error\n(%)", "energy per inference\n(µJ)"]
    lines = {each["name"]: each["value"] for part in option["series"] for each in part["data"]}
    assert sorted(lines) == [f"design {number}" for number in range(4)]
    assert lines["design 1"][0] == 10.0
    assert option["parallelAxis"][0]["min"] <= 10 and option["parallelAxis"][0]["max"] >= 50


def test_published_networks_are_drawn_when_they_are_asked_for(
    study: Path, open_page: Opened
) -> None:
    app = open_page("frontier", study.parent)
    assert "published" not in [each["name"] for each in drawn(app)["series"]]
    app.toggle(key="published").set_value(True).run()
    assert not app.exception
    series = next(each for each in drawn(app)["series"] if each["name"] == "published")
    shown = tables_of(app)[series["datasetIndex"]]
    assert "matchboxnet-3x1x64" in shown["design"].tolist()
    assert series["itemStyle"]["color"] == "transparent"
    linked = open_page("frontier", study.parent, published="true")
    assert "published" in [each["name"] for each in drawn(linked)["series"]]


@pytest.mark.parametrize("page", PAGES)
def test_pages_without_studies_say_what_to_do(tmp_path: Path, open_page: Opened, page: str) -> None:
    # Beside the folder of studies, pages look for data: there is none here.
    root = tmp_path / "nobody" / "studies"
    root.mkdir(parents=True)
    app = open_page(page, root)
    said = texts(app)
    assert "dse search" in said or "dse data synthesize" in said
    assert "dse " in texts(open_page(page, root / "nothing"))


@pytest.mark.parametrize("page", PAGES)
def test_a_study_before_its_first_row(tmp_path: Path, open_page: Opened, page: str) -> None:
    folder = write_study(tmp_path / "studies" / "new", designs=())
    app = open_page(page, folder.parent)
    if page in ("frontier", "what_if", "compare"):
        assert "No design is trained yet" in texts(app)
    elif page in ("design", "report"):
        assert "let `dse search` go on" in texts(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_study_is_one_sentence(study: Path, open_page: Opened, page: str) -> None:
    (study / "results.jsonl").write_text("{broken\n")
    app = open_page(page, study.parent)
    if page == "studies":
        assert app.dataframe[0].value.iloc[0]["state"] == "damaged"
    elif page != "launch":
        assert any("not a row of results" in str(error.value) for error in app.error)


@pytest.mark.parametrize("page", PAGES)
def test_failed_trials_show_their_reason(tmp_path: Path, open_page: Opened, page: str) -> None:
    folder = write_study(tmp_path / "studies" / "failing", designs=())
    append_row(
        folder,
        Evaluation(
            trial=0,
            status="failed",
            source="search",
            key="abc",
            name="unlucky",
            reason="loss is nan in epoch 3",
        ),
    )
    app = open_page(page, folder.parent)
    if page == "frontier":
        assert "1 trainings failed" in texts(app)
        assert list(app.dataframe[0].value["reason"]) == ["loss is nan in epoch 3"]
    elif page == "studies":
        assert app.dataframe[0].value.iloc[0]["failed"] == 1
    elif page == "watch":
        assert app.dataframe[0].value.iloc[0]["reason"] == "loss is nan in epoch 3"
    elif page in ("what_if", "compare"):
        assert "1 trainings failed" in texts(app)
    elif page == "design":
        assert "No design of this study has a cost yet" in texts(app)
    elif page == "report":
        assert len(app.get("download_button")) == len(FORMATS)


@pytest.mark.parametrize("page", PAGES)
def test_failed_trials_beside_trained_ones(study: Path, open_page: Opened, page: str) -> None:
    append_row(
        study,
        Evaluation(
            trial=9,
            status="failed",
            source="search",
            key="abc",
            name="unlucky",
            reason="loss is nan in epoch 3",
        ),
    )
    app = open_page(page, study.parent)
    if page == "frontier":
        app.multiselect[0].set_value(["failed"]).run()
        assert not app.exception and "No design passes the filter" in texts(app)
    elif page == "studies":
        assert app.dataframe[0].value.iloc[0]["failed"] == 1
    elif page == "watch":
        assert app.dataframe[0].value.iloc[0]["design"] == "unlucky"
    elif page == "what_if":
        assert "4 trained designs" in texts(app)


@pytest.mark.parametrize("page", PAGES)
def test_texts_of_studies_are_no_markup(tmp_path: Path, open_page: Opened, page: str) -> None:
    evil = "![x](http://evil.example/x.png) <img src=x onerror=alert(1)> **bold**"
    folder = write_study(tmp_path / "studies" / "evil", name=evil)
    lines = (folder / "results.jsonl").read_text()
    (folder / "results.jsonl").write_text(
        lines.replace('"design 0"', '"' + evil + '"').replace('"design 1"', '"=HYPERLINK(1)"')
    )
    app = open_page(page, folder.parent)
    for element in (
        *app.markdown,
        *app.caption,
        *app.header,
        *app.subheader,
        *app.info,
        *app.success,
        *app.warning,
        *app.error,
    ):
        said = str(element.value)
        assert "![x]" not in said and "**bold**" not in said
        assert "<img" not in said.replace("\\<img", "")


def test_the_design_page_shows_one_design_in_full(study: Path, open_page: Opened) -> None:
    key = AppKeys(study).key(1)
    app = open_page("design", study.parent, study="small", design=key)
    assert app.selectbox(key="design").value == key
    assert app.metric[0].value == "10.0 %"
    said = texts(app)
    assert "On the frontier" in said and "goes to" in said
    assert [tab.label for tab in app.tabs][:3] == ["Energy", "Latency", "Roofline"]
    app = open_page("design", study.parent, study="small", design=key, tab="Training")
    assert "Least validation error 10.0 % in epoch 2" in texts(app)
    app = open_page("design", study.parent, study="small", design=key, tab="Layers")
    layers = next(f.value for f in app.dataframe if "bound by" in f.value)
    energies = layers["energy (nJ)"].to_list()
    assert sum(energies[:-1]) == pytest.approx(energies[-1])
    assert f"{significant(energies[-1] * 1e-3)} µJ" == app.metric[1].value


def test_what_a_design_takes_for_what(study: Path, open_page: Opened) -> None:
    key = AppKeys(study).key(1)
    app = open_page("design", study.parent, study="small", design=key, tab="Mistakes")
    assert "kept no" in texts(app) and f"dse train small/designs/{key}" in texts(app)
    floats = np.array([[18, 2, 0], [3, 17, 0], [0, 1, 19]])
    best = BestScores(
        labels=("no", "![x](y)", "stop"), epoch=2, floats=floats, int8=None, reason="*no* C"
    )
    write_best_scores(best, study / "designs" / key)
    app = open_page("design", study.parent, study="small", design=key, tab="Mistakes")
    said = texts(app)
    assert "![x](y) is recognised as no: 3 of 20 clips (15 %)" in said
    assert "No figures in whole numbers: \\*no\\* C" in said
    whole = np.array([[10, 5, 5], [3, 17, 0], [0, 1, 19]])
    write_best_scores(dataclasses.replace(best, int8=whole, reason=""), study / "designs" / key)
    app = open_page("design", study.parent, study="small", design=key, tab="Mistakes")
    values = {metric.label: metric.value for metric in app.metric}
    assert values["error in float"] == "10.0 %" and values["error in whole numbers"] == "23.3 %"
    assert values["whole numbers minus float"] == "+13.3 points"
    assert "points: " in texts(app)
    (study / "designs" / key / "evaluation.json").write_text("{")
    app = open_page("design", study.parent, study="small", design=key, tab="Mistakes")
    assert any("cannot be read" in str(each.value) for each in app.error)


def test_what_a_network_of_sentences_writes_down(study: Path, open_page: Opened) -> None:
    key = AppKeys(study).key(1)
    said, heard = ("go![x](y)", "no"), ("go", "no no")
    best = BestSentences(
        epoch=2,
        measure="cer",
        floats=heard_of(said, heard),
        int8=None,
        reason="*no* C",
        names=("a.flac", "b.flac"),
        references=said,
        hypotheses=heard,
        units=(9, 2),
        edits=(7, 3),
    )
    write_best_sentences(best, study / "designs" / key)
    app = open_page("design", study.parent, study="small", design=key, tab="Mistakes")
    values = {metric.label: metric.value for metric in app.metric}
    assert values["CER in float"] == "90.9 %" and values["CER in whole numbers"] == "-"
    edits = next(frame.value for frame in app.dataframe if "deletions" in frame.value)
    assert edits[["of", "insertions", "deletions"]].values.tolist() == [
        ["characters", 3, 7],
        ["words", 1, 0],
    ]
    assert not app.exception and "written down" in app.dataframe[-1].value
    assert app.dataframe[-1].value["said"].tolist() == ["no", "go![x](y)"]  # 3 of 2, then 7 of 9
    (study / "designs" / key / "hypotheses.csv").write_text("name,reference,hypothesis\n")
    app = open_page("design", study.parent, study="small", design=key, tab="Mistakes")
    assert any("0 utterances" in str(each.value) for each in app.error)


def test_errors_are_called_as_the_study_calls_them(
    study: Path, open_page: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares of clips, rates of edits, or what a later task counts: no page has its own name."""
    monkeypatch.setattr(StudySpec, "error_name", property(lambda _: "word error rate"))
    app = open_page("frontier", study.parent)
    assert "word error rate (%)" in app.dataframe[-1].value.columns
    assert drawn(app)["yAxis"]["name"] == "word error rate (%)"
    assert "Least word error rate: " in texts(app) and "error (%)" not in app.dataframe[-1].value
    app = open_page("watch", study.parent)
    assert "word error rate" in app.dataframe[-1].value.columns
    app = open_page("design", study.parent)
    assert next(each.label for each in app.metric) == "word error rate"
    app = open_page("studies", study.parent)
    assert "word error rate" in app.dataframe[-1].value.columns
    assert app.dataframe[0].value.loc[0, "error of the study"] == "word error rate"
    app = open_page("report", study.parent)
    bearable = next(each for each in app.number_input if each.key == "max_error")
    assert bearable.label == "Word error rate that you can bear, at most (%)"
    lines = open_page("compare", study.parent).dataframe[0].value
    assert lines.iloc[0, 0] == "word error rate (%)"


def test_a_dominated_design_names_what_dominates_it(study: Path, open_page: Opened) -> None:
    key = AppKeys(study).key(3)
    app = open_page("design", study.parent, study="small", design=key, tab="Generator")
    assert "dominates it" in app.info[0].value
    # Its matrices are ternary: the generator's panel has them.
    assert "Generate or store?" in texts(app)


def test_designs_of_another_machine_enter_and_leave(study: Path, open_page: Opened) -> None:
    app = open_page("what_if", study.parent)
    before = [metric.value for metric in app.metric]
    assert before[:2] == ["0", "0"]
    medians = app.dataframe[0].value
    assert set(medians["change"]) == {"+0.0%"}
    clock = next(s for s in app.select_slider if s.label == "Clock (MHz)")
    clock.set_value(0.625).run()
    assert not app.exception
    changed = app.dataframe[0].value.set_index("column")
    # A sixteenth of the clock: sixteen times as long, but for mappings that leave less to leak.
    ratio = changed.loc["latency (ms)", "after"] / changed.loc["latency (ms)", "before"]
    assert 15 < ratio <= 16


CHANGES = {
    "Clock (MHz)": ("latency (ms)", -1),
    "Vector lanes": ("latency (ms)", -1),
    "Generator: trits a cycle": ("area of the machine (mm²)", 1),
    "Rows": ("area of the machine (mm²)", 1),
    "Columns": ("area of the machine (mm²)", 1),
    "Lanes": ("area of the machine (mm²)", 1),
    "Operand width (bit)": ("area of the machine (mm²)", 1),
    "Accumulator width (bit)": ("area of the machine (mm²)", 1),
    "Capacity (KiB)": ("area of the machine (mm²)", 1),
    "Port (bits a cycle)": ("latency (ms)", -1),
}
"""Slider of the what-if page -> column that grows, and which end of the slider makes it grow."""


def test_every_slider_prices_anew(study: Path, open_page: Opened) -> None:
    app = open_page("what_if", study.parent)
    for label, (column, way) in CHANGES.items():
        slider = next(each for each in app.select_slider if each.label == label)
        own = slider.value
        if label.endswith("width (bit)"):
            slider.set_value(int(slider.options[-1]))
        else:  # four times, or a quarter of, the machine's own
            moved = own * 4.0**way if label == "Clock (MHz)" else max(1, round(own * 4**way))
            slider.set_value(moved)
        slider.run()
        assert not app.exception and not app.error
        row = app.dataframe[0].value.set_index("column").loc[column]
        assert row["after"] > row["before"], label
        next(each for each in app.select_slider if each.label == label).set_value(own)


def test_a_hop_prices_designs_as_they_listen(study: Path, open_page: Opened) -> None:
    app = open_page("what_if", study.parent)
    axis = next(each for each in app.selectbox if each.label == "X axis")
    assert "power while listening (µW)" not in axis.options
    app.select_slider(key="hop").set_value(4).run()
    assert not app.exception and not app.error
    axis = next(each for each in app.selectbox if each.label == "X axis")
    assert "power while listening (µW)" in axis.options
    axis.set_value(axis.options[axis.options.index("power while listening (µW)")]).run()
    assert not app.exception and not app.error


def test_a_kind_of_dram_and_a_generator_price_anew(study: Path, open_page: Opened) -> None:
    energy, area = "energy per inference (µJ)", "area of the machine (mm²)"
    app = open_page("what_if", study.parent, machine="kws_int8_dram")
    kind = next(each for each in app.selectbox if each.label == "DRAM kind")
    assert kind.options[0] == "the technology's own: 8 pJ/bit"
    before = app.dataframe[0].value.set_index("column").loc[energy, "after"]
    kind.set_value("DDR3 or DDR4").run()
    assert not app.exception
    assert app.dataframe[0].value.set_index("column").loc[energy, "after"] > before
    app = open_page("what_if", study.parent, study="small")
    app.selectbox(key="family").set_value("counter_arx").run()
    assert not app.exception and "another generator" in texts(app)
    areas = app.dataframe[0].value.set_index("column").loc[area]
    assert areas["after"] != areas["before"]


def test_a_what_if_that_mostly_leaks_says_so(study: Path, open_page: Opened) -> None:
    app = open_page("what_if", study.parent, technology="synthesis_45nm")
    (warning,) = (each.value for each in app.warning)
    assert "kws\\_ternary leaks" in warning and "of the energy of an inference" in warning
    assert not open_page("what_if", study.parent, technology="low_leakage_22nm").warning
    own = open_page("what_if", study.parent, machine="tpu_like")
    assert any("has constants of its own" in each.value for each in own.warning)


def test_a_memory_as_large_as_each_design_needs(study: Path, open_page: Opened) -> None:
    app = open_page("what_if", study.parent)
    sliders = sum(each.label == "Capacity (KiB)" for each in app.select_slider)
    next(each for each in app.toggle if "weight_sram" in str(each.key)).set_value(True).run()
    assert not app.exception and not app.error
    rows = app.dataframe[0].value.set_index("column")
    for name in ("area of the machine (mm²)", "energy per inference (µJ)"):
        assert rows.loc[name, "after"] < rows.loc[name, "before"]
    assert sum(each.label == "Capacity (KiB)" for each in app.select_slider) == sliders - 1
    area = rows.loc["area of the machine (mm²)", "after"]
    kind = next(each for each in app.selectbox if each.label == "Kind")
    assert "mask rom" in kind.options
    kind.set_value("mask_rom").run()
    assert not app.exception and not app.error
    rows = app.dataframe[0].value.set_index("column")
    assert rows.loc["area of the machine (mm²)", "after"] < area


def test_a_slider_stands_in_the_address(study: Path, open_page: Opened) -> None:
    again = open_page("what_if", study.parent, **{"own.clock": "0.625"})
    assert next(s for s in again.select_slider if s.label == "Clock (MHz)").value == 0.625
    odd = open_page("what_if", study.parent, **{"own.clock": "1e9"})
    assert next(s for s in odd.select_slider if s.label == "Clock (MHz)").value == 10.0


def test_choices_of_parts_stand_in_the_address(study: Path, open_page: Opened) -> None:
    query = {"machine": "kws_int8_dram", "kws_int8_dram.dram.kind": "HBM2"}
    app = open_page("what_if", study.parent, **query)
    kind = app.selectbox(key="kws_int8_dram.dram.kind")
    assert kind.value == "HBM2"
    kind.set_value("LPDDR5").run()
    assert app.query_params["kws_int8_dram.dram.kind"] == "LPDDR5"
    app = open_page("what_if", study.parent, **{"own.trees.zero": "skipped"})
    assert app.selectbox(key="own.trees.zero").value == "skipped" and not app.error


def test_robustness_and_saving_a_machine(study: Path, open_page: Opened) -> None:
    app = open_page("what_if", study.parent, robust="true")
    shares = next(f.value for f in app.dataframe if "on the frontier (share of draws)" in f.value)
    assert (shares.iloc[:, 2] > 0).all()
    app.text_input(key="machine_name").set_value("../escaped").run()
    app.button(key="save_machine").click().run()
    assert "a name has up to 64 letters" in app.error[0].value
    assert not (study.parent.parent / "escaped.yaml").exists()
    app.text_input(key="machine_name").set_value("mine").run()
    app.button(key="save_machine").click().run()
    assert not app.exception and "Saved" in app.success[0].value
    assert "clock_mhz" in (study.parent / "mine.yaml").read_text()


def test_comparisons_name_differences(study: Path, open_page: Opened) -> None:
    app = open_page("compare", study.parent)
    table = app.dataframe[0].value.set_index("")
    assert all("trial" in title for title in table.columns)
    assert "%)" in table.iloc[1].to_list()[-1]
    assert " has " in texts(app) and "than" in texts(app)
    for view in ("machines", "mixing layers"):
        app = open_page("compare", study.parent, compare=view)
        assert len(app.dataframe[0].value) > 0


def test_pages_of_a_study_of_errors_as_int8_speak_of_those(
    tmp_path: Path, open_page: Opened
) -> None:
    """Errors in whole numbers in the opposite order of those in floats."""
    folder = write_study(
        tmp_path / "studies" / "whole",
        objectives=("quantised_error", "energy_pj"),
        box={"quantised_error": (0.0, 1.0), "energy_pj": BOX["energy_pj"]},
    )
    path = folder / "results.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    trained = [row for row in rows if row["error"] is not None]
    for row in trained:
        row["quantised_error"] = 0.9 - row["error"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    worst = max(trained, key=lambda row: row["error"])
    least = f"Least error in whole numbers: {worst['name']}"
    assert least in texts(open_page("frontier", folder.parent))
    listed = open_page("studies", folder.parent).dataframe[0].value.iloc[0]
    assert listed["least error (%)"] == pytest.approx(100 * worst["quantised_error"])
    compared = open_page("compare", folder.parent).multiselect(key="compared").options
    assert worst["name"] in compared[0]
    design = open_page("design", folder.parent)
    assert "error in whole numbers" in [each.label for each in design.metric]


def test_a_report_can_be_downloaded(study: Path, open_page: Opened) -> None:
    app = open_page("report", study.parent)
    # A button a format: none is of the format that was chosen before.
    buttons = {each.proto.label: each.proto for each in app.get("download_button")}
    assert list(buttons)[:2] == ["HTML", "PDF"] and len(buttons) == len(FORMATS)
    assert all(each.deferred_file_id for each in buttons.values())  # made when it is pressed
    # The limit of the link is the field's, and the answer that of `dse report --max-error`.
    asked = open_page("report", study.parent, max_error="45", report_rate="nonsense")
    assert asked.number_input(key="max_error").value == 45
    wanted = study_report(study, max_error=45).sections[0]
    preview = str(asked.get("iframe")[0].proto.srcdoc)
    assert "cheapest with at most 45 % error?" in preview
    assert html.escape(wanted.points[0][:40]) in preview
    out = asked.multiselect(key="left_out")
    out.set_value(["answer"]).run()  # a section's name: short, and the same tomorrow
    assert asked.query_params["left_out"] == "answer"
    again = open_page("report", study.parent, left_out="answer")
    assert "Question and answer" not in str(again.get("iframe")[0].proto.srcdoc)
    assert again.multiselect(key="left_out").options[0] == "Question and answer"


def test_all_studies_are_listed(study: Path, open_page: Opened) -> None:
    write_study(study.parent / "second")
    app = open_page("studies", study.parent)
    table = app.dataframe[0].value
    assert list(table["study"]) == ["second", "small"]
    assert list(table["state"]) == ["done", "done"]
    assert list(table["trained"]) == [4, 4]


def test_read_only_starts_and_writes_nothing(study: Path, open_page: Opened) -> None:
    app = open_page("launch", study.parent, "--read-only")
    assert "read only" in texts(app)
    assert not [b for b in app.button if b.label == "Check and start"]
    app = open_page("watch", study.parent, "--read-only")
    assert not [b for b in app.button if b.label in ("Stop", "Resume")]
    app = open_page("what_if", study.parent, "--read-only")
    assert app.button(key="save_machine").disabled


class AppKeys:
    """Keys of the rows of a study."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "results.jsonl").read_text().splitlines()
        self.keys = [json.loads(line)["key"] for line in lines]

    def key(self, trial: int) -> str:
        return str(self.keys[trial])


def test_the_server_listens_on_this_machine_only(study: Path) -> None:
    port = 8599
    arguments = [
        sys.executable,
        "-m",
        "dse_cli",
        "dashboard",
        str(study),
        "--no-browser",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"},
        start_new_session=True,
    )
    try:
        assert _answer(port, "127.0.0.1", process) == 200
        # Another address of this machine's loopback network: nothing listens there.
        with pytest.raises(OSError):
            _get(port, "127.0.0.2", "127.0.0.1")
        assert "101" in _open_socket(port, f"127.0.0.1:{port}")
        assert "101" in _open_socket(port, f"localhost:{port}")
        assert "403" in _open_socket(port, f"evil.example:{port}")
        # Another server of this machine: the same name, another port.
        assert "403" in _open_socket(port, f"localhost:{port}", "http://localhost:8888")
        assert "403" in _open_socket(port, f"localhost:{port}", f"http://127.0.0.1:{port}")
        assert "403" in _open_socket(port, f"localhost:{port}", "null")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            _get(port, "127.0.0.1", "evil.example")
        headers = urllib.request.urlopen(f"http://localhost:{port}/", timeout=5).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        # A browser is told where the server is, whatever it holds of a page, packed or not.
        asked = {"Accept": "text/html", "Accept-Encoding": "gzip", "If-None-Match": '"x"'}
        link = urllib.request.Request(f"http://localhost:{port}/compare", headers=asked)
        with urllib.request.urlopen(link, timeout=5) as answer:
            page = answer.read()
        assert page.count(b"<head><script>window.__streamlit = {BACKEND_BASE_URL") == 1
        assert int(answer.headers["content-length"]) == len(page)
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    finally:
        os.killpg(process.pid, 15)
        process.communicate(timeout=30)


def _answer(port: int, address: str, process: subprocess.Popen[str]) -> int:
    for _ in range(240):
        assert process.poll() is None, process.communicate()[0]
        try:
            return _get(port, address, address)
        except OSError:
            time.sleep(0.25)
    raise AssertionError("the dashboard did not answer within a minute")


def _get(port: int, address: str, host: str) -> int:
    request = urllib.request.Request(f"http://{address}:{port}/", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=5) as response:
        return int(response.status)


def _open_socket(port: int, host: str, origin: str = "") -> str:
    """First line of the answer to a WebSocket handshake from a page of `host`, or of `origin`."""
    origin = origin or f"http://{host}"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        return connection.recv(4096).decode().splitlines()[0]


def test_the_dashboard_refuses_what_is_no_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dse_cli", "dashboard", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("name the folder of a study, or run `dse search` first")


def test_growth_is_the_hypervolume_of_what_was_known(study: Path) -> None:
    found = read_study("small", study)
    grown = growth_table(found)
    assert grown["trainings"].tolist() == [1, 2, 3, 4]
    assert grown["hours"].tolist() == pytest.approx([8 / 3600 * n for n in (1, 2, 3, 4)])
    rows = found.rows_where(found.trained)
    shares = [hypervolume_share(rows[: n + 1], found.of.begun.box) for n in range(4)]
    assert grown["hypervolume"].tolist() == pytest.approx(shares)


def test_a_study_is_resumed_and_stopped_where_it_can_be(
    study: Path, open_page: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dashboard.launching as launching

    launched: list[list[str]] = []
    monkeypatch.setattr(launching, "_launch", lambda words, folder: launched.append(words))
    app = open_page("studies", study.parent)
    assert "Best points: 3 of 3" in texts(app)
    assert app.button(key="stop_study").disabled
    app.button(key="resume_study").click().run()
    assert launched == [[sys.executable, "-m", "dse_cli", "search", str(study)]]
    app = open_page("studies", study.parent, "--read-only")
    keys = {button.key for button in app.button}
    assert "open_study" in keys and not keys & {"resume_study", "stop_study", "clone_study"}


@pytest.mark.parametrize(
    "page, name", [("design", "design"), ("watch", "study"), ("compare", "compared")]
)
@pytest.mark.parametrize("value", ["../../../etc/passwd", "<script>", "\x00"])
def test_an_address_leads_nowhere_else(
    study: Path, open_page: Opened, page: str, name: str, value: str
) -> None:
    app = open_page(page, study.parent, **({"study": "small"} | {name: value}))
    assert not app.error and value not in texts(app)


def test_a_read_only_dashboard_saves_nothing_whatever_is_sent(
    study: Path, open_page: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("what_if", study.parent)
    # The button was not grey when it was pressed: as if a page sent what its browser would not.
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--read-only"])
    app.button(key="save_machine").click().run()
    assert not app.exception and not app.success
    assert sorted(path.name for path in study.parent.iterdir()) == ["small"]
