"""What other programs of Optuna's world see of a study."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.search.postgres import free_port
from tests.search.test_places import run


@pytest.mark.soak
def test_optuna_dashboard_shows_names_and_constraints(study_file: Path, tmp_path: Path) -> None:
    # Chance proposes designs over the limits, too; the known-cost sampler never does.
    study_file.write_text(study_file.read_text() + "sampler: random\n")
    rows = run(study_file, tmp_path / "study", workers=1).rows
    url = f"sqlite:///{tmp_path / 'study' / 'study.db'}"
    port = free_port()
    program = Path(sys.executable).parent / "optuna-dashboard"
    server = subprocess.Popen(
        [program, url, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        (summary,) = ask(port, "studies")["study_summaries"]
        detail = ask(port, f"studies/{summary['study_id']}?after=0")
        page = fetch(port, "dashboard")
    finally:
        server.terminate()
        server.communicate()
    assert summary["study_name"] == "tones"
    assert detail["objective_names"] == ["error", "energy_pj"]
    assert b"<html" in page.lower()
    shown = {trial["number"]: trial for trial in detail["trials"]}
    by_trial = {row.trial: row for row in rows if row.trial >= 0}
    assert shown.keys() == by_trial.keys()
    for number, row in by_trial.items():
        told = {entry["key"]: entry["value"] for entry in shown[number]["user_attrs"]}
        assert told["design"] == row.name and told["status"] == row.status
        if row.status == "infeasible":
            assert shown[number]["state"] == "Pruned"
            assert max(shown[number]["constraints"]) > 0
            assert "limit trained_parameters <= 2,500" in told["reason"]
        else:
            assert shown[number]["values"] == [row.error, row.cost["energy_pj"]]
            assert not shown[number]["constraints"]
    assert {row.status for row in by_trial.values()} >= {"trained", "infeasible"}

    study = optuna.load_study(study_name="tones", storage=url)
    assert study.metric_names == ["error", "energy_pj"]
    best = {trial.user_attrs["design_key"] for trial in study.best_trials}
    assert best <= {row.key for row in rows if row.status == "trained"} and best
    over = [trial for trial in study.trials if trial.user_attrs["status"] == "infeasible"]
    assert all(trial.constraints["trained_parameters <= 2,500"] > 0 for trial in over)


def fetch(port: int, path: str) -> bytes:
    begun = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20) as answer:
                content: bytes = answer.read()
                return content
        except OSError:
            assert time.monotonic() - begun < 60
            time.sleep(0.2)


def ask(port: int, path: str) -> Any:
    return json.loads(fetch(port, f"api/{path}"))
