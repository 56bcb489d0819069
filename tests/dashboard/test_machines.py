"""Machines that are saved, and of several machines the one that What if begins with."""

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from cost_models import accelerator_names, load_accelerator
from dashboard import session
from dashboard.machines import load_machine, machine_names, saved_machines
from dashboard.session import first_networks
from dashboard.studies import read_study
from dashboard.views.what_if import machine_words, save_machine
from dashboard.what_if_controls import own_machines
from dse.errors import InvalidInput
from dse.pricing.what_if import machine_yaml, varied
from dse.studies.rows import FILE_NAME
from tests.dashboard.conftest import Opened, write_study
from tests.dashboard.test_app import drawn, texts


@pytest.fixture
def folder(studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The studies, in a folder that may be written to."""
    copy = tmp_path / "my studies"
    shutil.copytree(studies, copy)
    monkeypatch.setattr(sys, "argv", ["app.py", str(copy)])
    return copy


def test_a_saved_machine_is_offered_everywhere(folder: Path, open_page: Opened) -> None:
    app = open_page("what_if", folder, study="six", technology="low_leakage_22nm")
    app.text_input(key="machine_name").set_value("night_watch").run()
    app.button(key="save_machine").click().run()
    assert not app.error and "night\\_watch\\.yaml is offered on all pages" in texts(app)
    assert "dse estimate DESIGN --machine night_watch.yaml" in [each.value for each in app.code]
    # Not only the sliders are kept: so is what the technology was.
    assert load_accelerator(folder / "night_watch.yaml").technology == "low_leakage_22nm"
    assert "night_watch.yaml" in open_page("what_if", folder).selectbox(key="machine").options
    compared = open_page("compare", folder, compare="machines", machines="night_watch.yaml")
    assert "night_watch.yaml" in compared.multiselect(key="machines").value
    reported = open_page("report", folder, report_machines="night_watch.yaml")
    assert not reported.error and not reported.warning
    assert "night_watch" in str(reported.get("iframe")[0].proto.srcdoc)


def test_machines_are_told_from_studies_and_all_else(folder: Path) -> None:
    assert saved_machines(folder) == []
    text = machine_yaml(load_accelerator("kws_int8"), based_on="")
    save_machine("mine.yaml", text)
    (folder / "study.yaml").write_text("name: six\n")
    (folder / "broken.yaml").write_text("{")
    (folder / "a folder.yaml").mkdir()
    (folder / "link.yaml").symlink_to("/etc/passwd")
    assert saved_machines(folder) == ["mine.yaml"]
    assert machine_names() == ["mine.yaml", *accelerator_names()]
    machine, technology = load_machine("mine.yaml")
    assert (machine.name, technology.name) == ("mine", machine.technology)
    for name, words in (
        ("mine.yaml", "exists: choose another name"),
        ("kws_int8.yaml", "is a machine of the package"),
        ("../out.yaml", "a name has up to 64"),
    ):
        with pytest.raises(InvalidInput, match=words):
            save_machine(name, text)
    sys.argv.append("--read-only")
    with pytest.raises(InvalidInput, match="read only"):
        save_machine("other.yaml", text)


def test_what_if_begins_where_the_study_is(studies: Path, open_page: Opened) -> None:
    """On the machine that most of the frontier is on; nothing moved, so nothing has changed."""
    study = read_study("six", studies / "six")
    front = study.frame[study.frame["frontier"]]
    first = next(iter(own_machines(study).values())).accelerator.name
    assert front["accelerator"].value_counts()[first] == front["accelerator"].value_counts().max()
    app = open_page("what_if", studies, study="six")
    assert app.selectbox(key="machine").value == f"the study's own: {first}"
    assert set(app.dataframe[0].value["change"]) == {"+0.0%"}
    other = list(own_machines(study))[-1]
    app.selectbox(key="machine").set_value(other).run()
    assert set(app.dataframe[0].value["change"]) == {"+0.0%"}
    name, clock = re.search(r"([a-z0-9_]+), (\d+) MHz", other).groups()  # the clock is said once
    (said,) = (each.value for each in app.caption if "priced anew" in each.value)
    assert f"on {name} at {clock} MHz, ".replace("_", r"\_") in said and said.count("MHz") == 1


def test_a_clock_that_was_moved_is_the_one_that_is_said() -> None:
    machine = dataclasses.replace(
        load_accelerator("kws_ternary"), name="kws_ternary, 5 MHz, 8 trits"
    )
    moved = varied(machine, clock_mhz=20.0)
    assert machine_words(moved) == "kws_ternary at 20 MHz"


def test_the_first_view_of_many_designs_is_of_the_frontier_and_a_sample(
    studies: Path, open_page: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study("generated", studies / "generated")
    # By hand from `DESIGNS`: designs 0 to 2 are the frontier, 3 is dominated, 4 not trained.
    assert first_networks(study, 0).tolist() == [0, 1, 2]
    assert first_networks(study, 1).tolist() == [0, 1, 2, 3]
    monkeypatch.setattr(session, "FIRST_FLEET", 0)
    assert not session.load_fleet(study).whole
    # All are there without a click.
    assert "4 trained designs priced anew" in texts(
        open_page("what_if", studies, study="generated")
    )
    assert session.load_fleet(study).whole


def test_what_another_study_trained_is_not_named_as_a_baseline(
    tmp_path: Path, open_page: Opened
) -> None:
    folder = write_study(tmp_path / "studies" / "warm")
    lines = [json.loads(line) for line in (folder / FILE_NAME).read_text().splitlines()]
    rows = [row | {"status": "reused", "source": "2x1x8, ba40"} for row in lines[:2]] + lines[2:]
    (folder / FILE_NAME).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for page in ("what_if", "watch", "frontier"):
        option = drawn(open_page(page, folder.parent))
        assert "baselines" not in [each["name"] for each in option["series"]], page
