"""Kills at random moments of one study, against the same study undisturbed.

The study has rungs, so that a kill meets new designs, designs that go on, storage and record. Ten
kills are for every day; `python -m benchmarks.faults kills` has as many as one likes.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna

from dse.studies.reading import read_study
from dse.studies.rows import Evaluation, read_all_rows, read_rows
from dse.training.history import read_history
from search.study import run_study
from tests.search.lives import Quiet


def numbers(rows: list[Evaluation]) -> list[dict[str, Any]]:
    clock = {"finished_at": "", "training_seconds": None}
    return [dataclasses.replace(row, **clock).to_dict() for row in rows]


def test_kills_lose_nothing_and_double_nothing(study_file: Path, tmp_path: Path) -> None:
    kills, most_changes = 10, 16
    text = study_file.read_text().replace("epochs: 2", "epochs: 4")
    text = text.replace("trainings: 4", "trainings: 6\nrungs: {first: 1, factor: 3}")
    study_file.write_text(text)
    cache, folder = study_file.parent / "cache", tmp_path / "killed"
    spec = read_study(study_file)
    undisturbed = run_study(spec, text, tmp_path / "whole", Quiet(), cache=cache)

    lives = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.search.lives",
            *map(str, (study_file, folder, cache, kills, most_changes)),
        ],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert lives.returncode == 0, lives.stderr
    told = json.loads(lives.stdout.splitlines()[-1])
    assert told["kills"] == kills, "the study ended before it was killed so often"
    assert told["states"] > kills // 5  # the kills came at different stages

    final = run_study(spec, text, folder, Quiet(), cache=cache)
    assert numbers(final.rows) == numbers(undisturbed.rows)
    every = numbers(read_all_rows(folder))
    assert every == numbers(read_all_rows(tmp_path / "whole"))
    for row in read_rows(folder):
        if row.epochs and row.trial >= 0 and row.status != "duplicate":
            history = read_history(folder / "designs" / row.key)
            assert [record.epoch for record in history] == list(range(1, row.epochs + 1))
    study = optuna.load_study(study_name="tones", storage=f"sqlite:///{folder / 'study.db'}")
    assert not [trial for trial in study.get_trials() if not trial.state.is_finished()]
