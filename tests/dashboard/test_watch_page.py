"""Watch: how long it takes still, what is in training, and buttons that do something."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import dashboard.launching as launching
from cost_models.strict_yaml import dump_yaml
from dashboard.launching import LOG, find_beginnings, find_state, stop
from dashboard.progress import duration_words, find_seconds_left, latest_trainings
from dashboard.studies import read_study
from dashboard.views.watch import latest_rows
from dse.studies.folder import RESOLVED
from dse.studies.holder import LOCK, Holder
from dse.studies.rungs import Rungs
from tests.dashboard.conftest import write_study

HEAD = "epoch,learning_rate,training_loss,training_error,validation_loss,validation_error,seconds\n"


def test_time_left_is_the_epochs_that_are_left(tmp_path: Path) -> None:
    """Rows of 4 epochs and 8 s each, four of them trained in full: 2 s an epoch."""
    study = read_study("a", write_study(tmp_path / "a", trainings=10))
    epochs = study.asked.recipe.epochs
    assert find_seconds_left(study) == pytest.approx((10 - 4) * epochs * 2)
    wide = dataclasses.replace(study.of.begun, workers=3)
    of = dataclasses.replace(study.of, begun=wide)
    assert find_seconds_left(dataclasses.replace(study, of=of)) == pytest.approx(4 * epochs)
    # With rungs, epochs count one by one: 20 of them are trained, in 40 s.
    for asked, seconds in (
        ({"rungs": Rungs(first=2, factor=3)}, (10 * epochs - 20) * 2),
        ({"epochs": 24}, (24 - 20) * 2),
        ({"hours": 0.02}, 72 - 40),
        ({"trainings": 4}, 0),
        ({"hours": 0.001}, 0),
    ):
        found = dataclasses.replace(study.of, asked=dataclasses.replace(study.asked, **asked))
        assert find_seconds_left(dataclasses.replace(study, of=found)) == pytest.approx(seconds)


def test_before_the_first_training_others_tell(tmp_path: Path) -> None:
    study = read_study("a", write_study(tmp_path / "a", designs=(), trainings=10))
    assert find_seconds_left(study) is None
    assert find_seconds_left(study, 0.5) == pytest.approx(5 * study.asked.recipe.epochs)


def test_durations_are_as_fine_as_a_forecast() -> None:
    for seconds, words in (
        (20, "under 1 min"),
        (90, "about 1 min"),
        (720, "about 12 min"),
    ):
        assert duration_words(seconds) == words
    assert duration_words(3 * 3600) == "about 3 h" and duration_words(3 * 86400) == "about 3 days"


def test_what_is_in_training_has_its_name(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "a")
    study = read_study("a", folder)
    point = study.asked.space.point({"blocks": 1, "policy": "P2", "density": 0.5, "channels": 24})
    done = json.loads((folder / "results.jsonl").read_text().splitlines()[0])["key"]
    for key, epochs in ((point.key, 2), (done, 4)):
        design = folder / "designs" / key
        design.mkdir(parents=True)
        lines = [f"{n + 1},0.05,1,0.5,1,0.4,2\n" for n in range(epochs)]
        (design / "history.csv").write_text(HEAD + "".join(lines))
    (folder / "designs" / point.key / "design.yaml").write_text(dump_yaml(point.to_dict()))
    (folder / "designs" / "empty").mkdir()
    running, finished = latest_trainings(study, 4)
    assert (running.name, running.done, len(running.history)) == (point.label, False, 2)
    assert (finished.name, finished.done) == ("design 0", True)


def test_a_trial_has_one_row_however_many_machines(studies: Path) -> None:
    study = read_study("six", studies / "six")
    rows = latest_rows(study)
    assert list(rows["trial"]) == [4, 3, 2, 1, 0]
    least = study.frame.groupby("trial")["energy_pj"].min()
    assert list(rows["energy_pj"]) == [least[trial] for trial in rows["trial"]]


def test_states_and_what_can_be_done_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path / "a")
    state = find_state(folder)
    assert state.name == "idle" and state.can_resume and not state.can_stop
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1], 'a'); input()", folder / LOCK],
        stdin=subprocess.PIPE,
    )
    try:
        monkeypatch.setitem(launching._LAUNCHED, folder.resolve(), process)
        (folder / LOCK).unlink(missing_ok=True)
        state = find_state(folder)  # at work before it says so
        assert state.name == "starting" and not state.can_resume and not state.can_stop
        while not (folder / LOCK).exists():
            os.sched_yield()
        (folder / LOCK).write_text(Holder(process.pid, socket.gethostname()).text)
        state = find_state(folder)
        assert state.name == "searching" and state.can_stop and not state.can_resume
        monkeypatch.setattr(os, "kill", lambda process, number: None)
        assert stop(folder)
        state = find_state(folder)
        assert state.name == "stopping" and not state.can_stop and not state.can_resume
    finally:
        process.kill()
        process.communicate()
    assert find_state(folder).can_resume


def test_a_search_that_prepares_its_data_is_found(tmp_path: Path) -> None:
    write_study(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / LOG).write_text("computing features\n")
    (tmp_path / "c").mkdir()
    assert find_beginnings([tmp_path, tmp_path / "none"]) == {"b": tmp_path / "b"}
    state = find_state(tmp_path / "b")
    assert (state.name, state.can_resume) == ("idle", False) and "did not begin" in state.words
    assert not (tmp_path / "b" / RESOLVED).exists()
