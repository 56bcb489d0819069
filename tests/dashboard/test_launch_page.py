"""Launch: form, YAML and clone are one draft; what is wrong is said, and nothing vanishes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.launching as launching
from cost_models.strict_yaml import parse_yaml
from dashboard.drafts import (
    clone_of,
    flow,
    packed,
    read_draft,
    unpacked,
    value_at,
    with_value,
)
from dashboard.texts import sentence
from dashboard.views.launch import free_name
from dse.errors import InvalidFile, InvalidInput
from dse.studies.reading import read_study
from tests.dashboard.conftest import Opened

GIVEN = """
name: six
data: {folder: ../elsewhere, features: {frames: 64}}
space: {blocks: [1, 2], channels: {low: 16, high: 32, step: 16}}
hardware: {machine: [kws_ternary, kws_int8], clock_mhz: [5, 20]}
patience: {trainings: 7}
"""


@pytest.fixture
def folder(studies: Path, tmp_path: Path) -> Path:
    """Studies, one of them with its study file, and spoken words that they were trained on."""
    copy = tmp_path / "studies"
    shutil.copytree(studies, copy)
    (copy / "six" / "study.yaml").write_text(GIVEN)
    for words in (copy / "speech", studies / "speech"):
        words.mkdir(exist_ok=True)
        (words / "validation_list.txt").write_text("")
    return copy


def draft(app: AppTest) -> dict[str, Any]:
    return dict(parse_yaml(str(app.text_area(key="launch_yaml").value), "study").plain())


def test_form_and_yaml_are_one_draft(folder: Path, open_page: Opened) -> None:
    app = open_page("launch", folder, study="six")
    app.text_input(key="form.name").set_value("mine").run()
    app.multiselect(key="form.hardware.machine").set_value(["kws_int8", "kws_ternary"]).run()
    app.number_input(key="form.limits.max_energy_pj").set_value(2.5).run()  # µJ
    said = draft(app)
    assert said["name"] == "mine" and said["limits"]["max_energy_pj"] == 2.5e6
    assert said["hardware"] == {"machine": ["kws_int8", "kws_ternary"]}
    text = "name: typed\ndata: {folder: speech}\nspace: {blocks: 2}\npatience: {trainings: 7}\n"
    app.text_area(key="launch_yaml").set_value(text).run()
    assert not app.exception
    assert app.text_input(key="form.name").value == "typed"
    assert app.text_input(key="form.space.blocks").value == "2"
    assert app.multiselect(key="form.hardware.machine").value == []
    app.number_input(key="form.trainings").set_value(9).run()
    assert draft(app) == read_draft(text) | {"trainings": 9}  # what no form has stays
    app.selectbox(key="form.space.family").set_value("tcresnet").run()
    assert draft(app)["space"] == {"blocks": 2, "family": "tcresnet"}
    # An axis of one family only goes when the family does.
    app.text_area(key="launch_yaml").set_value(text.replace("2}", "2, final_channels: 64}", 1))
    app.run()
    app.selectbox(key="form.space.family").set_value("tcresnet").run()
    assert draft(app)["space"] == {"blocks": 2, "family": "tcresnet"}
    axes = app.multiselect(key="form.axes")
    assert any(option.startswith("width_percent: ") for option in axes.options)
    assert not any(option.startswith("final_channels: ") for option in axes.options)


def test_another_task_begins_with_networks_for_it(folder: Path, open_page: Opened) -> None:
    app = open_page("launch", folder)
    words = draft(app)
    app.selectbox(key="form.data.task.kind").set_value("transcription").run()
    said = draft(app)
    assert said["space"]["family"] == "quartznet" and said["recipe"]["base"] == "sentences"
    assert "baselines" not in said and said["name"] == words["name"]
    (folder / "sentences.yaml").write_text(str(app.text_area(key="launch_yaml").value))
    spec = read_study(folder / "sentences.yaml")
    assert spec.of_sentences and spec.space.size == 10
    app.selectbox(key="form.data.task.kind").set_value("all_words").run()
    back = draft(app)
    assert back == words | {"data": words["data"] | {"task": {"kind": "all_words"}}}


def test_a_clone_is_edited_like_any_draft(folder: Path, open_page: Opened) -> None:
    app = open_page("launch", folder, clone="six")
    said = draft(app)
    assert said["name"] == "six-2" and said["patience"] == {"trainings": 7}
    assert Path(said["data"]["folder"]).is_absolute()
    assert said["data"]["features"] == {"frames": 64}
    assert app.multiselect(key="form.hardware.machine").value == ["kws_ternary", "kws_int8"]
    app.text_input(key="form.hardware.clock_mhz").set_value("[10]").run()
    assert draft(app)["hardware"]["clock_mhz"] == [10]
    broken = open_page("launch", folder, clone="stored")  # without a study file
    assert "the study file of stored is not in its folder" in str(broken.error[0].value)


def test_a_wrong_axis_leaves_preview_and_start(
    folder: Path, open_page: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(launching, "_launch", lambda words, folder: started.append(str(folder)))
    app = open_page("launch", folder)
    assert not app.error and len(app.get("echarts_chart")) == 1
    app.text_input(key="form.space.blocks").set_value("{low: 1").run()
    assert "space\\.blocks" in app.error[0].value
    assert app.text_input(key="form.space.blocks").value == "{low: 1"  # to be mended
    assert len(app.get("echarts_chart")) == 1 and draft(app)["space"]["blocks"]
    next(each for each in app.button if each.label == "Check and start").click().run()
    assert started == [] and "space\\.blocks" in app.error[0].value
    app.text_input(key="form.space.blocks").set_value("[1, 2]").run()
    assert not app.error and draft(app)["space"]["blocks"] == [1, 2]
    # A draft that is refused keeps the preview of the one before, and the button.
    app.text_area(key="launch_yaml").set_value("name: [").run()
    assert app.error and len(app.get("echarts_chart")) == 1
    assert "Check and start" in [each.label for each in app.button]
    # Start says what is wrong above the form, not below it.
    app.text_area(key="launch_yaml").set_value("name: ../up\ndata: {folder: speech}\n").run()
    next(each for each in app.button if each.label == "Check and start").click().run()
    assert "a name has up to 64" in app.error[0].value and started == []


def test_a_draft_outlasts_a_reload(folder: Path, open_page: Opened) -> None:
    app = open_page("launch", folder, clone="six")
    assert "draft" not in app.query_params  # as it was begun
    app.number_input(key="form.trainings").set_value(7).run()
    again = open_page("launch", folder, clone="six", draft=app.query_params["draft"])
    assert draft(again) == draft(app) and draft(again)["trainings"] == 7
    cut = open_page("launch", folder, clone="six", draft=app.query_params["draft"][:-9])
    assert "was cut off" in cut.warning[0].value and draft(cut).get("trainings") != 7
    long = "# " + "".join(chr(97 + i * i % 25) + str(i) for i in range(9_000))
    again.text_area(key="launch_yaml").set_value(f"{long}\nname: x\n").run()
    assert "draft" not in again.query_params
    assert any("a reload of the page loses it" in each.value for each in again.caption)


def test_numbers_of_a_draft_that_make_no_sense_are_shown(folder: Path, open_page: Opened) -> None:
    app = open_page("launch", folder)
    limit = app.number_input(key="form.limits.max_trained_parameters")
    assert (limit.value, limit.step) == (20_000, 1)  # a count is whole
    text = "name: x\ntrainings: 0\nseed: -1\nlimits: {max_trained_parameters: .inf}\n"
    text += "recipe: {epochs: 1152921504606846976}\n"
    app.text_area(key="launch_yaml").set_value(text).run()
    assert not app.exception
    shown = [app.number_input(key=f"form.{key}").value for key in ("trainings", "seed")]
    assert shown == [0, -1] and app.number_input(key="form.recipe.epochs").value is None
    assert app.number_input(key="form.limits.max_trained_parameters").value is None


@pytest.mark.parametrize("text", ["", "name: µ\n", "x" * 1_000])
def test_drafts_of_addresses_are_read_back(text: str) -> None:
    assert unpacked(packed(text)) == text and packed(text).isascii()


@pytest.mark.parametrize(
    "word", ["", "x", "!", "é", packed("name: x")[:-2], packed(" " * 10**7), packed("\x1b[31m")]
)
def test_what_is_no_draft_is_none(word: str) -> None:
    assert unpacked(word) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("data: {folder: /etc}", "must be a folder that the page knows"),
        ("data: {folder: ../../..}", "must be a folder that the page knows"),
        ("machine: /etc/machine.yaml", "a name has up to 64"),
        ("machine: ../machine.yaml", "a name has up to 64"),
        ("machine: nothing.yaml", "no YAML file beside the studies"),
        ("technology: ../x.yaml", "a name has up to 64"),
        ("hardware: {machine: [kws_int8, ../x.yaml]}", "a name has up to 64"),
        ("hardware: {technology: ../x.yaml}", "a name has up to 64"),
        ("warm_start: [../../secret]", "leads out of the folder"),
        ("space: {family: mine.py}", "family mine.py is a program, and a page executes none"),
    ],
)
def test_a_study_file_stays_among_what_the_page_knows(
    tmp_path: Path, line: str, words: str
) -> None:
    speech = tmp_path / "speech"
    lines = {"data": f"data: {{folder: {speech}}}", "space": "space: {blocks: [1, 2]}"}
    lines[line.split(":")[0]] = line
    text = "name: mine\n" + "\n".join(lines.values()) + "\n"
    with pytest.raises(InvalidInput, match=words):
        launching.check_paths(read_draft(text), tmp_path, [speech])


def test_a_change_of_one_key_changes_no_other() -> None:
    text = "name: a\nspace: {blocks: 2}\n"
    assert read_draft(with_value(text, "recipe.epochs", 3)) == read_draft(text) | {
        "recipe": {"epochs": 3}
    }
    assert read_draft(with_value(text, "space.blocks", None)) == {"name": "a"}
    assert value_at(read_draft(text), "space.blocks.low") is None
    for wrong in ("- a\n", "a", "{"):
        with pytest.raises(InvalidFile):
            read_draft(wrong)


@pytest.mark.parametrize(
    "value",
    [{"low": 1, "high": 3}, ["P0", "no", "1e3"], 0.25, True, "null", [[1, 2], {"a": "b: c"}]],
)
def test_what_is_shown_on_a_line_reads_as_it_was(value: Any) -> None:
    shown = flow(value)
    assert "\n" not in shown and parse_yaml(shown, "axis").plain() == value
    assert flow(None) == ""


def test_a_clone_has_a_free_name_and_its_data(folder: Path) -> None:
    (folder / "six-2").mkdir()
    (folder / "six-3.yaml").write_text("")
    assert free_name(folder, "six") == "six-4"
    assert json.dumps(read_draft(clone_of(folder / "six", "b"))["name"]) == '"b"'


def test_commands_in_sentences_are_code() -> None:
    assert sentence("try `dse data fetch --to a_b` or *x*") == (
        "try `dse data fetch --to a_b` or \\*x\\*"
    )
    assert sentence("`![x](y)`") == "\\`\\!\\[x\\]\\(y\\)\\`"
