"""A search as a user runs it: command line, speech, training, frontier, a checkpoint to use."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from dse.speech.features import load_features
from dse.studies.rows import load_results
from dse.training.checkpoint import load_network
from dse.training.run import evaluate
from dse_cli import main

STUDY = """
name: speech
data:
  folder: .
  task: {kind: words, words: [yes, no, go, stop], unknown_fraction: 0.5}
  features: {variants: 1}
space:
  blocks: {low: 1, high: 2}
  channels: {low: 16, high: 48, step: 16}
  policy: [P0, P4]
  density: [0.25, 0.5]
  prologue_channels: 32
  prologue_stride: 4
  epilogue_channels: 32
  final_channels: 32
limits: {max_trained_parameters: 9000}
recipe: {epochs: 4, batch_size: 16}
trainings: 3
"""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Dse = Callable[..., Done]


@pytest.fixture
def dse(capfd: pytest.CaptureFixture[str]) -> Dse:
    """Run a command in this process, which has loaded torch already."""

    def run(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as stop:
            main([*map(str, arguments)])
        assert isinstance(stop.value.code, int)
        return Done(stop.value.code, *capfd.readouterr())

    return run


def test_from_speech_to_a_frontier_and_a_network(
    synthetic_speech: Path, tmp_path: Path, dse: Dse
) -> None:
    study, folder = tmp_path / "speech.yaml", tmp_path / "study"
    study.write_text(STUDY)
    # As a person starts it: from a shell.
    arguments = ["search", study, "--data", synthetic_speech, "--out", folder]
    searched = subprocess.run(
        [sys.executable, "-m", "dse_cli", *arguments, "--cache", tmp_path / "cache"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert searched.returncode == 0, searched.stderr
    assert "finished: 3 designs are trained" in searched.stdout
    assert "dse estimate" in searched.stdout  # what to try next

    results = load_results(folder)
    trained = results[results.status == "trained"]
    assert len(trained) == 3 and trained.error.between(0, 1).all()
    # Guessing the most frequent of six classes tells 22 % of the clips; something was learned.
    assert trained.error.min() < 0.7

    front = pd.read_csv(folder / "frontier.csv")
    assert set(front.key) <= set(trained.key)
    assert front.energy_pj.is_monotonic_increasing and front.error.is_monotonic_decreasing
    assert (folder / "frontier.png").read_bytes().startswith(b"\x89PNG")
    again = dse("frontier", folder, "--csv")
    assert again.stdout == (folder / "frontier.csv").read_text()

    # The checkpoint gives the error that the table says, on clips that are read anew.
    best = front.sort_values("error").iloc[0]
    network, checkpoint = load_network(folder / "designs" / best.key / "best.pt")
    features = load_features(
        synthetic_speech, checkpoint.task, checkpoint.features, tmp_path / "cache"
    )
    scores = evaluate(network, features.validation, checkpoint.mean, checkpoint.deviation)
    assert scores.error == pytest.approx(best.error)

    design = folder / "designs" / best.key / "design.yaml"
    estimated = json.loads(dse("estimate", design, "--outputs", 6, "--json").stdout)
    assert str(int(best.macs)) in json.dumps(estimated)

    more = dse("search", folder, "--trainings", 4, "--cache", tmp_path / "cache")
    assert more.returncode == 0, more.stderr
    assert "3 trained so far" in more.stdout
    assert list(load_results(folder).status).count("trained") == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("folder: .", "folder: nowhere"), "nowhere"),
        (("[yes, no, go, stop]", "[yes, no, go, stpo]"), "stpo"),
        (("trainings: 3", "trainings: 3\ntraining: 4"), "unknown key 'training'"),
        (("max_trained_parameters: 9000", "max_trained_parameters: 9"), "no point of the space"),
        (("low: 16, high: 48", "low: 48, high: 16"), "is an empty range"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(
    synthetic_speech: Path, tmp_path: Path, change: tuple[str, str], message: str, dse: Dse
) -> None:
    study, folder = tmp_path / "speech.yaml", tmp_path / "study"
    text = STUDY.replace(*change)
    study.write_text(text)
    data = [] if "nowhere" in text else ["--data", synthetic_speech]
    done = dse("search", study, "--out", folder, "--cache", tmp_path / "cache", *data)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.startswith("dse: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not folder.exists()


def test_a_folder_that_may_not_be_written_is_one_sentence(
    synthetic_speech: Path, tmp_path: Path, dse: Dse
) -> None:
    """A file where the folder should be made: the same for root, whom permissions do not stop."""
    study = tmp_path / "speech.yaml"
    study.write_text(STUDY)
    (tmp_path / "taken").write_text("")
    done = dse(
        "search",
        study,
        "--out",
        tmp_path / "taken" / "study",
        "--data",
        synthetic_speech,
        "--cache",
        tmp_path / "cache",
    )
    assert done.returncode == 2, done.stderr
    assert "taken" in done.stderr and len(done.stderr.strip().splitlines()) == 1
