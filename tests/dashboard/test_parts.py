import dataclasses
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cost_models import load_accelerator, load_technology
from cost_models.roofline import roofline
from dashboard.charts import (
    axis,
    draw_sample,
    even_ticks,
    find_ends,
    grouped,
    scaled_frame,
)
from dashboard.contents import bars_chart, readable, show_numbers
from dashboard.cost_charts import area_chart, network_diagram, roofline_chart
from dashboard.drafts import data_folders, preview, study_yaml
from dashboard.frontier_chart import clicked, corners, frontier_chart, within
from dashboard.launching import LOG, check, log_tail, resume, start, stop
from dashboard.literature import published_points
from dashboard.parallel import axes_of, parallel
from dashboard.settings import Settings, read_settings
from dashboard.startup import warm_up
from dashboard.studies import (
    TableRows,
    find_studies,
    inside,
    read_study,
    searching_elsewhere,
    searching_process,
)
from dashboard.texts import figure, label, plain, sentence
from dse.design.published import published
from dse.errors import InvalidFile, InvalidInput, InvalidStudy
from dse.pricing.machine import Machine
from dse.report.content import Bars
from dse.report.cost_plots import energy_plot, find_colours, latency_plot
from dse.sheets import csv_cell, csv_frame, csv_records
from dse.studies.cluster_state import ClusterState, write_cluster_state
from dse.studies.holder import LOCK, Holder
from dse.studies.rows import Evaluation, append_row, read_rows
from dse.studies.study import open_study, price
from tests.dashboard.conftest import DESIGNS, FRAMES, OUTPUTS, write_study


def test_markdown_and_formulas_are_harmless() -> None:
    assert plain("![a](b) *c*\nd") == r"\!\[a\]\(b\) \*c\* d"
    assert plain("$x$ :red[y] `z`") == r"\$x\$ \:red\[y\] \`z\`"
    assert len(plain("x" * 1000)) == 120
    texts = [csv_cell(v) for v in ("=1+1", "@a", "-3", -3, "a=b")]
    assert texts == ["'=1+1", "'@a", "'-3", "-3", "a=b"]
    assert csv_records([{"a": "=1"}, {"b": 2}]) == "a,b\n'=1,\n,2\n"
    assert csv_frame(pd.DataFrame({"a": ["+x"]})) == "a\n'+x\n"


def test_figures_have_units() -> None:
    assert figure(1.5e6, "energy_pj") == "1.50 µJ"
    assert label("area_um2") == "area of the machine (mm²)"
    assert sentence("2 uJ at us, 3 mm2") == "2 µJ at us, 3 mm²"
    # Three digits, and never a power of ten, however the browser would write the number.
    numbers = pd.DataFrame({"n": [readable(12_345.6), readable(0.123456)]}, dtype=object)
    shown = show_numbers(numbers).to_latex()
    assert "12,300" in shown and "0.123 " in shown
    assert figure(float("nan"), "error") == "-"
    assert figure(0.125, "error") == "12.5 %"


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a" * 65, "a b", "..", "a\n"])
def test_names_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidStudy, match="a name has up to 64"):
        inside(tmp_path, name)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="leads out"):
        inside(tmp_path / "root", "link")
    assert inside(tmp_path / "root", "mine") == tmp_path / "root" / "mine"


def test_settings_are_read_from_arguments() -> None:
    found = read_settings(["a", "b", "--read-only", "--data=c"])
    assert found == Settings((Path("a"), Path("b")), True, (Path("c"),))
    assert read_settings([]).folders == (Path("studies"),)


def test_studies_are_found_under_distinct_labels(study: Path, tmp_path: Path) -> None:
    write_study(tmp_path / "more" / "small")
    found = find_studies([study.parent, tmp_path / "more", study, tmp_path / "nothing"])
    assert found == {"small": study, "small (2)": tmp_path / "more" / "small"}
    assert read_settings([str(study)]).root == study.parent


def test_reading_by_columns_is_reading_by_lines(study: Path) -> None:
    with (study / "results.jsonl").open("a") as file:
        file.write('{"half a li')
    quick = read_study("small", study)
    assert isinstance(quick.of.rows, TableRows)
    rows = read_rows(study)
    assert [quick.row(i) for i in range(len(rows))] == list(quick.of.rows) == rows
    assert (quick.of.rows[-1], quick.of.rows[1:3]) == (rows[-1], rows[1:3])


def test_what_cannot_be_read_by_columns_is_read_by_lines(study: Path) -> None:
    text = (study / "results.jsonl").read_text()
    (study / "results.jsonl").write_text(text.replace('"error": 0.1', '"error": null'))
    found = read_study("small", study)
    assert re.search(r"error is null.*results.jsonl:2\); the other rows", found.of.refused)
    assert len(found.frame) == len(text.splitlines()) - 1


def test_the_last_row_of_a_trial_counts_and_unknown_statuses_are_told(study: Path) -> None:
    first = read_rows(study)[0]
    lines = (study / "results.jsonl").read_text()
    again = json.loads(lines.splitlines()[0]) | {"error": 0.3, "new_column": "x"}
    odd = again | {"trial": 9, "key": "odd", "status": "thinking", "error": None}
    with (study / "results.jsonl").open("a") as file:
        file.write(json.dumps(again) + "\n" + json.dumps(odd) + "\n")
    found = read_study("small", study)
    assert found.frame["trial"].tolist() == [1, 2, 3, 4, 0]
    assert "status must be one of trained, " in found.of.refused
    row = found.find_row(first.key)
    assert row is not None and row.error == 0.3
    assert int(found.trained.sum()) == 4


def test_the_machine_and_designs_of_a_study_come_back(study: Path) -> None:
    found = open_study(study)
    machine = load_accelerator("kws_ternary")
    assert found.asked.machines == (Machine(machine, load_technology("low_leakage_45nm")),)
    assert (found.asked.features.frames, found.begun.outputs) == (FRAMES, OUTPUTS)
    for row, (values, _) in zip(found.rows, DESIGNS, strict=True):
        point = found.build_point(row)
        assert point is not None and point.key == row.key and row.values == values
        assert found.price(point, found.find_machine(row)).columns() == row.cost
    with pytest.raises(InvalidStudy, match="is no key"):
        found.find_folder(dataclasses.replace(found.rows[0], key="../x"))


def test_a_baseline_is_known_by_its_name_and_a_stranger_is_not(study: Path) -> None:
    found = open_study(study)
    baseline = published("matchboxnet-3x1x64")
    row = Evaluation(trial=-1, status="trained", source="matchboxnet-3x1x64", key=baseline.key)
    assert found.build_point(row) == baseline
    stranger = Evaluation(trial=-1, status="trained", source="mine", key="abc")
    assert found.build_point(stranger) is None


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": list("abcd"),
            "energy_pj": [1e6, 2e6, 3e6, np.nan],
            "error": [0.3, 0.2, 0.25, np.nan],
            "generated_weights": [0.0, 5.0, 0.0, np.nan],
            "frontier": [True, True, False, False],
            "source": ["search"] * 4,
        }
    )


KINDS_OF = ("dense", "ternary", "dense", None)
"""Of the networks of `frame`; nobody knows the last."""


def test_a_selection_is_looked_up_in_all_rows() -> None:
    scaled = scaled_frame(frame(), KINDS_OF)
    assert scaled["energy_pj"].tolist()[:3] == [1.0, 2.0, 3.0]
    assert scaled["kind"].tolist()[:2] == ["dense", "with ternary matrices"]
    box = [{"brush_type": "rect", "coord_range": [[1.5, 3.5], [30.0, 22.0]]}]
    mask = within(scaled, "energy_pj", "error", box, True, False)
    assert mask is not None and scaled[mask]["key"].tolist() == ["c"]


def test_stairs_fall_and_samples_keep_the_frontier() -> None:
    points = pd.DataFrame({"x": [10.0, 1.0, 2.0, 2.0], "y": [1.0, 3.0, 4.0, 2.0]})
    assert corners(points, "x", "y").to_numpy().tolist() == [[1, 3], [2, 2], [10, 1]]
    assert corners(points, "x", "y", 13.0).to_numpy().tolist() == [[1, 3], [2, 2], [10, 1], [13, 1]]
    many = pd.concat([frame()] * 500, ignore_index=True)
    few = draw_sample(many, most=100)
    assert few["frontier"].sum() == 1000 and len(few) == 1100


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9),
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9),
)
@example([5e-324], [1.0])
def test_axes_have_room_for_what_stands_on_them(any_sign: list[float], above: list[float]) -> None:
    low, high = find_ends(any_sign, log=False)
    assert low <= min(any_sign) and max(any_sign) <= high and low < high
    assert low >= 0 or min(any_sign) < 0
    ends = find_ends(above, log=True)
    assert 0 < ends[0] < min(above) and max(above) < ends[1]
    marks = axis("x", ends, log=True)["axisLabel"]["customValues"]
    assert len(marks) >= 2 and marks == sorted(marks)
    assert all(ends[0] <= mark <= ends[1] for mark in marks)


def test_colours_go_by_name_or_by_steps_of_a_ramp() -> None:
    groups, tints = grouped(pd.Series(["P4", "P0", None, "P0"], name="axis_policy"))
    assert groups.tolist() == ["P4", "P0", "unknown", "P0"]
    assert list(tints) == ["P0", "P4", "unknown"] and len(set(tints.values())) == 3
    # Seven names: the six of the most designs, the rest together.
    groups, tints = grouped(pd.Series([*"aabbccddeeffg"], name="source"))
    assert groups.tolist()[-3:] == ["f", "f", "others"] and list(tints) == [*"abcdef", "others"]
    # A number over decades: each step has as many designs.
    groups, tints = grouped(pd.Series(10.0 ** np.arange(20), name="energy_pj"))
    assert groups.value_counts().tolist() == [4] * 5 and list(tints) == list(dict.fromkeys(groups))
    assert list(grouped(pd.Series([10, 9, 9, np.nan], name="axis_x"))[1]) == ["9", "10", "unknown"]
    assert grouped(pd.Series([], dtype=float, name="error"))[1] == {}


def test_bars_stack_to_the_whole_of_a_layer() -> None:
    option, _ = bars_chart(
        Bars(
            name="layers",
            title="",
            x_title="energy (nJ)",
            parts=(("y", "#111111"), ("x", "#222222")),
            bars=(("b", (0.0, 2.0)), ("a", (4.0, 1.0))),
        )
    )
    assert option["xAxis"]["name"] == "energy (nJ)"
    assert [each["name"] for each in option["series"]] == ["y", "x"]  # in the order of the stack
    assert option["yAxis"]["data"] == ["b", "a"] and option["yAxis"]["inverse"]
    table = option["dataset"][0]["source"].set_index("bar")
    assert table.loc["a", ["x", "y"]].tolist() == [1.0, 4.0]
    assert table.loc["b", "x"] == 2.0 and np.isnan(table.loc["b", "y"])


def test_parallel_lines_go_from_least_to_most() -> None:
    scaled = scaled_frame(frame(), KINDS_OF).dropna().assign(name=["<b>", "two", "three"])
    option = parallel(scaled, axes_of(scaled, ["error", "energy_pj"]), "kind")
    assert [each["min"] for each in option["parallelAxis"]] == [19.0, 0.8]
    assert [each["max"] for each in option["parallelAxis"]] == [31.0, 3.2]
    lines = {line["name"]: line["value"] for each in option["series"] for line in each["data"]}
    assert lines == {"<b>": [30.0, 1.0], "two": [20.0, 2.0], "three": [25.0, 3.0]}
    strong = {each["lineStyle"]["opacity"] > 0.5: each["data"] for each in option["series"]}
    assert [line["name"] for line in strong[False]] == ["three"]  # not on the frontier


def test_charts_of_a_cost_sum_to_it() -> None:
    machine = load_accelerator("kws_ternary")
    point = published("matchboxnet-3x1x64-P2")
    cost = price(point, Machine(machine, load_technology(machine.technology)), 128, 12)
    energies, latencies = energy_plot(cost), latency_plot(cost)
    for plot, whole in ((energies, cost.energy_pj * 1e-3), (latencies, cost.latency_us)):
        # Layers of which nobody would see a bar are left out.
        assert sum(sum(lengths) for _, lengths in plot.bars) == pytest.approx(whole, rel=0.05)
        assert len({tint for _, tint in plot.parts}) == len(plot.parts)
    memories = {memory.name for memory in machine.memories}
    assert memories <= {part for part, _ in energies.parts}
    roofs = {roof.array: roof for roof in roofline(cost)}
    assert all(roof.reached <= roof.peak + 1e-9 for roof in roofline(cost))
    memory = machine.memories[0]
    drawn = roofline_chart(cost, memory.name)
    assert drawn["xAxis"]["type"] == drawn["yAxis"]["type"] == "log"
    for roof, reached in zip(drawn["series"][::2], drawn["series"][1::2], strict=True):
        edges = drawn["dataset"][roof["datasetIndex"]]["source"].to_numpy()
        slope = edges[:, 0] * memory.bandwidth_bits_per_cycle
        peak = roofs[roof["name"]].peak
        assert edges[:, 1].tolist() == pytest.approx(np.minimum(slope, peak).tolist())
        assert roof["name"] == reached["name"] and roof["lineStyle"]["color"]
    tiles = area_chart(cost)["series"][0]["data"]
    assert sum(tile["value"] for tile in tiles) == pytest.approx(cost.area.mid)
    assert all(tile["label"]["formatter"].startswith(tile["name"]) for tile in tiles)
    assert dict(energies.parts) == find_colours(cost, [part for part, _ in energies.parts])
    text = network_diagram(point, 12)
    assert text.count("->") == len(point.blocks) + 1 + sum(b.skip is not None for b in point.blocks)


def test_a_preview_counts_what_keeps_the_limits() -> None:
    text = study_yaml(
        name="mine",
        data_folder="/speech",
        task={"kind": "commands"},
        axes={"blocks": "[1, 2]", "channels": "{low: 16, high: 64, step: 16}"},
        machine="kws_ternary",
        technology=None,
        objectives=["error", "energy_pj"],
        limits={"max_trained_parameters": 40000.0},
        baselines=[],
        epochs=2,
        sampler="tpe",
        trainings=3,
        seed=1,
    )
    machine = load_accelerator("kws_ternary")
    found = preview(text, machine, load_technology(machine.technology))
    assert (found.size, found.sampled) == (8, 8)
    within = found.frame["trained_parameters"] <= 40000
    assert found.feasible == int(within.sum()) and 0 < found.feasible < 8
    assert found.frame["frontier"].any() and not found.frame.loc[~within, "frontier"].any()
    with pytest.raises(InvalidFile, match="axis blocks"):
        study_yaml(
            name="mine",
            data_folder="/speech",
            task={},
            axes={"blocks": "[1"},
            machine="m",
            technology=None,
            objectives=[],
            limits={},
            baselines=[],
            epochs=1,
            sampler="tpe",
            trainings=1,
            seed=1,
        )


def test_the_form_offers_the_samplers_of_the_search() -> None:
    from dashboard.views.launch import SAMPLERS
    from dse.studies.study_file import SamplerName

    assert tuple(SAMPLERS) == get_args(SamplerName)


def test_data_is_offered_from_known_places_only(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    for name in ("speech", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "speech" / "validation_list.txt").write_text("")
    settings = Settings((tmp_path / "studies",), False, (tmp_path / "other",))
    assert data_folders(settings) == [tmp_path / "other", tmp_path / "speech"]


def test_a_check_is_a_sentence(tmp_path: Path) -> None:
    valid, said = check("name: x\nsapce: {}\n", tmp_path)
    assert not valid and "sapce" in said and str(tmp_path) not in said
    assert check("x" * 300_000, tmp_path) == (False, "a study file has at most 200,000 bytes")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    root, before = study.parent, sorted(study.parent.iterdir())
    says = r"cannot be written into .* \(no space left on device\): free some space"
    for place in ("dashboard.launching.write_text", "dashboard.launching.subprocess.Popen"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(InvalidStudy, match=says):
                start("new", "name: new\n", root)
            if place.endswith("Popen"):
                with pytest.raises(InvalidStudy, match=says):
                    resume(study)
        assert [path for path in sorted(root.iterdir()) if path not in before] == []
    with monkeypatch.context() as patch:
        patch.setattr("dashboard.launching.tempfile.NamedTemporaryFile", full)
        valid, said = check("name: x\n", root)
    assert not valid and "no space left on device" in said
    valid, said = check("name: \ud800\n", root)
    assert not valid and "it has a letter that is none" in said
    assert sorted(root.iterdir()) == before


def test_nothing_is_started_under_a_taken_or_foreign_name(study: Path) -> None:
    with pytest.raises(InvalidStudy, match="already"):
        start("small", "name: small\n", study.parent)
    with pytest.raises(InvalidStudy, match="a name has"):
        start("../x", "name: x\n", study.parent)
    with pytest.raises(InvalidStudy, match="workers must be"):
        start("new", "name: new\n", study.parent, workers=10_000)
    with pytest.raises(InvalidStudy, match="trainings must be"):
        resume(study, trainings=0)
    with pytest.raises(InvalidStudy, match="holds no study"):
        resume(study.parent)


HOLDS = """
import sys, time
file = open(sys.argv[1], "a")
print("search", flush=True)
time.sleep(60)
"""


def hold(folder: Path) -> "subprocess.Popen[bytes]":
    """A process that has the lock of a study's folder open, as a search has."""
    command = [sys.executable, "-c", HOLDS, str(folder / LOCK)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"search\n"
    return process


def test_a_process_without_the_lock_is_never_stopped(study: Path, tmp_path: Path) -> None:
    """Neither its number in the file nor a word of its command makes it this study's search."""
    process = hold(tmp_path)  # a search, of another folder
    try:
        (study / LOCK).write_text(Holder(process.pid, socket.gethostname()).text)
        assert searching_process(study) is None and not stop(study)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_a_search_is_found_by_its_lock_and_stopped(study: Path) -> None:
    process = hold(study)
    try:
        (study / LOCK).write_text(str(process.pid))
        assert searching_process(study) == process.pid
        with pytest.raises(InvalidStudy, match="searched already"):
            resume(study)
        assert stop(study)
        assert process.wait(timeout=20) in (-signal.SIGINT, -signal.SIGTERM, 1)
        assert searching_process(study) is None and not stop(study)
    finally:
        process.kill()
        process.communicate()


def test_a_number_given_out_anew_is_no_search(study: Path) -> None:
    (study / LOCK).write_text(str(os.getppid()))
    assert searching_process(study) is None
    for text in ("", "x", "0", "1", "99999999999"):
        (study / LOCK).write_text(text)
        assert searching_process(study) is None


def test_a_search_of_another_machine_is_told_by_its_cluster_and_never_stopped(study: Path) -> None:
    """On a folder that machines share, the number names a process there, not the one here."""
    (study / LOCK).write_text(f"{os.getpid()} node7")
    assert searching_process(study) is None and not stop(study)
    assert searching_elsewhere(study) == ""  # it may have ended long ago
    state = ClusterState(written_at=time.time(), room=1, nodes=(), tasks=())
    write_cluster_state(study, state)
    assert searching_elsewhere(study) == "node7" and not stop(study)
    with pytest.raises(InvalidStudy, match="searched already"):
        resume(study)
    write_cluster_state(study, dataclasses.replace(state, written_at=time.time() - 600))
    assert searching_elsewhere(study) == ""


def test_a_search_of_another_user_runs_and_is_not_ours_to_stop(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = hold(study)
    try:
        (study / LOCK).write_text(Holder(process.pid, socket.gethostname()).text)

        def refuse(pid: int, number: int) -> None:
            raise PermissionError

        with monkeypatch.context() as patch:
            patch.setattr("os.kill", refuse)
            assert searching_process(study) == process.pid
            with pytest.raises(InvalidStudy, match="is another user's: ask them to stop"):
                stop(study)
    finally:
        process.kill()
        process.communicate()


def test_the_tail_of_a_log_has_no_overwritten_progress(tmp_path: Path) -> None:
    assert log_tail(tmp_path) == ""
    lines = [f"line {number}" for number in range(100)]
    (tmp_path / LOG).write_text("\n".join([*lines, "10 %\r20 %\r30 %"]) + "\n")
    assert log_tail(tmp_path, 4).splitlines() == ["line 98", "line 99", "30 %"]


def test_a_log_that_is_a_link_out_is_neither_shown_nor_written(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "resolved.yaml").touch()
    (tmp_path / "mine").write_text("secret")
    (tmp_path / "study" / LOG).symlink_to(tmp_path / "mine")
    assert "leads out of" in log_tail(tmp_path / "study")
    with pytest.raises(InvalidInput, match="leads out of"):
        resume(tmp_path / "study")
    assert (tmp_path / "mine").read_text() == "secret"


def test_ages_are_words(study: Path) -> None:
    from dashboard.views.studies import _age

    path = study / "results.jsonl"
    os.utime(path, (time.time() - 3 * 86400,) * 2)
    assert _age(path) == "3 days ago"
    assert _age(study / "none") == "never"


def test_rows_that_are_appended_are_seen(study: Path) -> None:
    from dashboard.studies import signature

    before = signature(study)
    append_row(study, Evaluation(trial=7, status="failed", source="search", key="x"))
    assert signature(study) != before
    assert len(read_study("small", study).frame) == 6


def test_a_study_that_grows_is_read_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dashboard.studies as studies

    read: list[int] = []
    parse = studies._parse
    monkeypatch.setattr(studies, "_parse", lambda text: read.append(len(text)) or parse(text))
    first = read_study("small", study)
    row = read_rows(study)[0]
    more = json.dumps(row.to_dict() | {"trial": 9, "key": "more", "axis_new": 0.5})
    with (study / "results.jsonl").open("a") as file:
        file.write(more + "\n")
    assert read_study("small", study).frame["key"].tolist()[-1] == "more"
    assert read == [read[0], len(more) + 1]
    assert [read_study("small", study).row(i) for i in range(6)] == read_rows(study)
    assert len(first.frame) == 5  # what a page holds does not change under it
    # Another file, and one that was cut, are read anew.
    lines = (study / "results.jsonl").read_text().splitlines()
    (study / "results.jsonl").write_text("\n".join(lines[:2]) + "\n")
    assert len(read_study("small", study).frame) == 2
    (study / "results.jsonl").write_text("{broken\n" + "\n".join(lines[1:]) + "\n")
    assert read_study("small", study).of.refused.startswith("not a row of results")
    (study / "results.jsonl").write_text("{broken\n")
    with pytest.raises(InvalidFile, match="not a row of results"):
        read_study("small", study)


def test_one_network_on_two_machines_is_two_designs(study: Path) -> None:
    row = read_rows(study)[1]
    for trial, machine in ((20, "small array"), (21, "large array")):
        cost = row.cost | {"energy_pj": row.cost["energy_pj"] * (0.5 if trial == 20 else 1.5)}
        append_row(study, dataclasses.replace(row, trial=trial, accelerator=machine, cost=cost))
    found = read_study("small", study)
    names = found.frame["design"].tolist()
    assert names[-2:] == [f"{row.key}@small array", f"{row.key}@large array"]
    assert len(set(names)) == len(names) == 7
    chosen_row = found.find_row(f"{row.key}@large array")
    assert chosen_row is not None and chosen_row.trial == 21
    # A link of before says the key alone: of its machines, the one on the frontier.
    least = found.find_row(row.key)
    assert least is not None and least.trial == 20
    assert found.find_row("nobody") is None


def test_a_chart_has_the_figures_that_hovering_shows() -> None:
    front = scaled_frame(frame(), KINDS_OF).assign(
        name=[f"d{i}" for i in range(4)],
        trial=range(4),
        status="trained",
        design=list("abcd"),
        latency_us=1.0,
        area_um2=2.0,
        trained_parameters=123_456.0,
    )
    chart = frontier_chart(front, "energy_pj", "error", limits={"max_energy_pj": 2.5e6})
    series = chart.option["series"]
    tables = [each["source"] for each in chart.option["dataset"]]
    kinds = [(each["name"], each["symbolSize"]) for each in series[:3]]
    assert kinds == [("dense (2)", 7), ("dense (2)", 11), ("with ternary matrices (1)", 11)]
    points = pd.concat(tables[:3])
    assert points["design"].tolist() == ["d2", "d0", "d1"]  # the frontier is drawn last
    assert points["energy per inference (µJ)"].tolist() == [3.0, 1.0, 2.0]
    assert points["trained parameters"].tolist() == [123_460.0] * 3
    assert [key for designs in chart.clickable for key in designs] == ["c", "a", "b"]
    assert all("trained parameters" in each["encode"]["tooltip"] for each in series[:3])
    steps = next(each for each in series if each["name"] == "frontier (2)")
    corner = tables[steps["datasetIndex"]]
    assert corner["error (%)"].tolist() == [30.0, 20.0, 20.0] and steps["step"] == "end"
    (line,) = steps["markLine"]["data"]
    assert (line["xAxis"], line["name"]) == (2.5, "most 2.50 µJ")
    assert chart.option["tooltip"]["renderMode"] == "richText"  # names are texts, not HTML
    # A limit far off would squeeze the designs into a corner; one at 0 is on no logarithmic axis.
    for bound in (2.5e9, 0.0):
        far = frontier_chart(front, "energy_pj", "error", limits={"max_energy_pj": bound})
        assert "most" not in json.dumps([each.get("markLine") for each in far.option["series"]])
    # An older frontier in dashes, and symbols of another column than colours in a legend of theirs.
    old = front.assign(error=front["error"] * 2)
    shaped = front.assign(axis_blocks=[1, 2, 2, 2])
    both = frontier_chart(shaped, "energy_pj", "error", shape="axis_blocks", ghost=old).option
    ghost = next(each for each in both["series"] if each["name"] == "frontier before")
    table = both["dataset"][ghost["datasetIndex"]]["source"]
    assert (
        table["error (%)"].tolist()[:2] == [60.0, 40.0] and ghost["lineStyle"]["type"] == "dashed"
    )
    assert both["legend"][1]["data"] == ["blocks 1", "blocks 2"]
    assert {each["symbol"] for each in both["series"][:3]} == {"circle", "triangle"}


def test_studies_are_read_before_they_are_asked_for(study: Path) -> None:
    import dashboard.studies as studies

    write_study(study.parent / "broken")
    (study.parent / "broken" / "results.jsonl").write_text("{broken\n")
    warm_up(Settings((study.parent,), False))
    assert study / "results.jsonl" in studies._PARSED


def test_a_lasso_is_straight_on_a_logarithmic_axis() -> None:
    points = pd.DataFrame({"x": [10.0, 10.0, 500.0, np.nan], "y": [1.0, 3.0, 1.0, 1.0]})
    corners = [[1.0, 0.0], [1000.0, 0.0], [1.0, 6.0]]  # a triangle: at x = 10, up to 4 where log
    lasso = [{"brush_type": "polygon", "coord_range": corners}]
    assert within(points, "x", "y", lasso, True, False).tolist() == [True, True, False, False]
    assert within(points, "x", "y", lasso, False, False).tolist() == [True, True, True, False]
    box = [{"brush_type": "rect", "coord_range": [[400.0, 600.0], [2.0, 0.0]]}]
    assert within(points, "x", "y", box, True, False).tolist() == [False, False, True, False]
    assert within(points, "x", "y", [], True, False) is None
    # What a page sends is not believed to be an outline.
    for bad in (
        {},
        {"coord_range": "x"},
        {"coord_range": [[1, 2]]},
        {"coord_range": [[1], [2, 3]]},
        {"coord_range": None},
        {"brush_type": "rect", "coord_range": [1, 2]},
    ):
        assert within(points, "x", "y", [bad], True, False) is None


def test_a_frontier_chart_draws_every_design() -> None:
    many = pd.concat([frame()] * 2000, ignore_index=True).assign(
        name="<img src=x onerror=alert(1)>",
        trial=range(8000),
        status="trained",
        latency_us=1.0,
        area_um2=2.0,
        trained_parameters=3.0,
        design=[f"d{i}" for i in range(8000)],
    )
    scaled = scaled_frame(many, KINDS_OF * 2000)
    for colour in ("kind", "trial"):
        chart = frontier_chart(scaled, "energy_pj", "error", colour=colour)
        assert sum(map(len, chart.clickable)) == 6000  # a quarter has no error
        for series, designs in zip(chart.option["series"], chart.clickable, strict=False):
            assert series["large"] == (len(designs) > 2000)
    hit = clicked(chart.clickable, [{"series_index": 1, "data_indices": [2]}])
    assert hit == chart.clickable[1].iloc[2]
    for bad in (
        [],
        [{}],
        [{"series_index": 99, "data_indices": [0]}],
        [{"series_index": 0, "data_indices": [10**9]}],
        [{"series_index": "0", "data_indices": ["x"]}],
    ):
        assert clicked(chart.clickable, bad) is None


def test_published_networks_are_priced_on_the_studys_machine(study: Path) -> None:
    found = published_points(read_study("small", study))
    row = found.set_index("name").loc["matchboxnet-3x1x64"]
    assert row["error"] == pytest.approx(100 * (1 - 0.9721))
    assert "30 classes" in row["source"]
    machine = load_accelerator("kws_ternary")
    on = Machine(machine, load_technology(machine.technology))
    cost = price(published("matchboxnet-3x1x64"), on, FRAMES, 30)
    assert row["energy_pj"] == pytest.approx(cost.energy_pj * 1e-6)


def test_axes_have_marks_whatever_the_span_rounds_to() -> None:
    # 0.7 - 0.3 is a little less than 0.4, and a quarter of that has the logarithm -1 all the same.
    for exponent in range(-9, 10):
        for low in (0, 1, 3, 7, 11, 30):
            for span in (1, 2, 3, 4, 6, 7, 8, 40):
                start, end = low * 10.0**exponent, (low + span) * 10.0**exponent
                marks = even_ticks(start, end)
                assert 4 <= len(marks) <= 10, (start, end, marks)
                assert all(start - 1e-9 * end <= mark <= end * (1 + 1e-9) for mark in marks)
