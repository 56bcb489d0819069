import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest

import dse.training.scoring
from dse.design.point import DesignPoint
from dse.errors import InvalidData, InvalidDesign, InvalidInput, InvalidStudy
from dse.files import replacing
from dse.studies.effort import MAX_FAILURES
from dse.studies.frontier import find_frontier
from dse.studies.reading import read_study
from dse.studies.rows import Evaluation, read_rows
from dse.studies.study import open_study
from dse.training.best_scores import read_best_scores
from search.state import Outcome, State
from search.storage import locked
from search.study import run_study
from search.survey import Survey
from tests.conftest import write_study_file
from tests.search.conftest import Undisturbed


class Watcher:
    """Records what a study tells, and can interrupt it."""

    def __init__(self, stop_after_epochs: int | None = None) -> None:
        self.surveys: list[Survey] = []
        self.states: list[State] = []
        self.trained: list[str] = []
        self.epochs = 0
        self.stop_after_epochs = stop_after_epochs

    def preparing(self, what: str, done: int, total: int) -> None:
        pass

    def data(self, findings: Sequence[str]) -> None:
        pass

    def started(self, found: Survey, state: State) -> None:
        self.surveys.append(found)

    def training(self, point: DesignPoint, cost: dict[str, float], epochs: int) -> None:
        self.trained.append(point.key)

    def epoch(self, point: DesignPoint, record: Any) -> None:
        self.epochs += 1
        if self.epochs == self.stop_after_epochs:
            raise KeyboardInterrupt

    def evaluated(self, row: Evaluation, state: State) -> None:
        self.states.append(state)


def run(
    study_file: Path,
    folder: Path,
    watcher: Watcher | None = None,
    workers: int = 1,
    **changes: Any,
) -> Outcome:
    spec = dataclasses.replace(read_study(study_file), **changes)
    cache = study_file.parent / "cache"
    return run_study(
        spec, study_file.read_text(), folder, watcher or Watcher(), cache=cache, workers=workers
    )


def numbers(rows: list[Evaluation]) -> list[dict[str, Any]]:
    """The rows without what depends on the clock."""
    clock = {"finished_at": "", "training_seconds": None}
    return [dataclasses.replace(row, **clock).to_dict() for row in rows]


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="tones", storage=f"sqlite:///{folder / 'study.db'}")
    return study.get_trials()


def assert_consistent(folder: Path) -> None:
    """Every finished trial has exactly one row, with the same values; no trial is left running."""
    rows = read_rows(folder)
    by_trial = {row.trial: row for row in rows if row.trial >= 0}
    assert len(by_trial) == sum(row.trial >= 0 for row in rows)
    objectives = open_study(folder).asked.objectives
    finished = [trial for trial in trials(folder) if trial.state.is_finished()]
    assert sorted(by_trial) == [trial.number for trial in finished]
    for trial in finished:
        row = by_trial[trial.number]
        if row.status in ("trained", "duplicate"):
            assert trial.values == [row.column(name) for name in objectives]
        else:
            assert trial.state == optuna.trial.TrialState.PRUNED
            assert any(excess > 0 for excess in trial.constraints.values())
    assert not [trial for trial in trials(folder) if trial.state.name == "RUNNING"]
    trained = [row.key for row in rows if row.status == "trained"]
    assert len(trained) == len(set(trained))


@pytest.fixture(scope="module")
def searched(
    tones: Path, tones_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Watcher, Outcome]:
    """The study of `study_file`, searched once for tests that only look: folder, what was told."""
    root, watcher = tmp_path_factory.mktemp("searched"), Watcher()
    file = write_study_file(root, tones, tones_cache)
    return root / "study", watcher, run(file, root / "study", watcher)


def test_a_study_prices_all_and_trains_what_keeps_the_limits(
    searched: tuple[Path, Watcher, Outcome],
) -> None:
    folder, watcher, outcome = searched
    rows = outcome.rows
    assert outcome.state.trained == 4 and outcome.ended_by == "4 designs are trained"
    assert rows == read_rows(folder)
    for row in rows:
        over = row.cost["trained_parameters"] > 2500
        assert (row.status == "infeasible") == over
        assert (row.error is None) == over
    assert watcher.trained == [row.key for row in rows if row.status == "trained"]
    # The published baseline lies outside this space and over its limit: priced, never trained.
    assert rows[0].source == "matchboxnet-3x1x64" and rows[0].trial == -1
    assert rows[0].status == "infeasible"
    assert "trained_parameters is 73,731, limit trained_parameters <= 2,500" in rows[0].reason
    for row in rows:
        if row.status == "trained":
            design = folder / "designs" / row.key
            assert {"design.yaml", "history.csv", "best.pt", "last.pt", "evaluation.json"} <= {
                path.name for path in design.iterdir()
            }
    assert [state.hypervolume for state in watcher.states] == sorted(
        state.hypervolume for state in watcher.states
    )
    assert_consistent(folder)


def test_the_same_study_gives_the_same_numbers(
    searched: tuple[Path, Watcher, Outcome], undisturbed: Undisturbed
) -> None:
    _, _, once = searched
    assert numbers(once.rows) == numbers(undisturbed(1).rows)


def test_an_interrupted_study_ends_as_an_undisturbed_one(
    study_file: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    folder = tmp_path / "interrupted"
    for epochs in (1, 3, 1):
        with pytest.raises(KeyboardInterrupt):
            run(study_file, folder, Watcher(stop_after_epochs=epochs))
    resumed = run(study_file, folder)
    assert numbers(resumed.rows) == numbers(undisturbed(1).rows)
    assert_consistent(folder)


@pytest.mark.usefixtures("untrained")
def test_a_finished_study_goes_on_with_more_trainings(
    study_file: Path, tmp_path: Path, undisturbed_untrained: Outcome
) -> None:
    folder = tmp_path / "study"
    run(study_file, folder, trainings=2)
    assert run(study_file, folder, trainings=2).state.trained == 2  # nothing left to do
    more = run(study_file, folder)
    assert numbers(more.rows) == numbers(undisturbed_untrained.rows)


@pytest.mark.usefixtures("untrained")
def test_a_lost_storage_is_rebuilt_from_the_rows(study_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    run(study_file, folder, trainings=2)
    (folder / "study.db").unlink()
    rows = run(study_file, folder, trainings=2).rows
    assert_consistent(folder)
    for row in rows:
        if row.trial >= 0:
            assert trials(folder)[row.trial].user_attrs["design_key"] == row.key


@pytest.mark.usefixtures("untrained")
def test_a_baseline_of_the_space_is_a_trial(study_file: Path, tmp_path: Path) -> None:
    # Axes at their published values: 1x1x32 as a published name, in the space with its small ends.
    text = study_file.read_text().replace("matchboxnet-3x1x64", "matchboxnet-2x1x32-P4")
    narrow = r"  (prologue|epilogue|final|kernel)[a-z_]*: .*\n"
    text = re.sub(narrow, "", text)
    study_file.write_text(text.replace("max_trained_parameters: 2500", "max_macs: 99999999"))
    outcome = run(study_file, tmp_path / "study", trainings=1)
    assert [(row.source, row.trial, row.status) for row in outcome.rows] == [
        ("matchboxnet-2x1x32-P4", 0, "trained")
    ]


@pytest.mark.usefixtures("untrained")
def test_baselines_given_by_axes_are_trained_first(study_file: Path, tmp_path: Path) -> None:
    given = "baselines: [{policy: P4, density: 0.5, channels: 8, blocks: 1, prologue_channels: 8}]"
    text = study_file.read_text().replace("baselines: [matchboxnet-3x1x64]", given)
    study_file.write_text(text.replace("matchboxnet-3x1x64", ""))
    rows = run(study_file, tmp_path / "study", trainings=1).rows
    (baseline,) = read_study(study_file).baselines
    assert [(row.trial, row.key, row.source) for row in rows] == [
        (0, baseline.point.key, baseline.name)
    ]


@pytest.mark.usefixtures("untrained")
def test_a_small_space_ends_when_it_is_exhausted(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After fewer repeats than usual: each is asked for, priced and written like any other."""
    repeats = 25
    monkeypatch.setattr("dse.studies.effort.MAX_REPEATS", repeats)
    text = study_file.read_text()
    for many, few in (
        ("policy: [P0, P2, P4]", "policy: P4"),
        ("density: [0.25, 0.5]", "density: 0.5"),
        ("low: 1, high: 2", "low: 1, high: 1"),
        ("channels: {low: 8, high: 32, step: 8}", "channels: 8"),
        ("prologue_channels: [8, 16]", "prologue_channels: 8"),
    ):
        text = text.replace(many, few)
    study_file.write_text(text + "candidates: 400\n")
    outcome = run(study_file, tmp_path / "study")
    assert outcome.state.trained == 2
    assert outcome.ended_by == f"the last {repeats} candidates brought no new design"
    duplicates = [row for row in outcome.rows if row.status == "duplicate"]
    errors = {row.key: row.error for row in outcome.rows if row.status == "trained"}
    assert len(duplicates) >= repeats
    assert all(row.error == errors[row.key] for row in duplicates)


def test_a_study_in_which_every_training_fails_is_given_up(
    study_file: Path, tmp_path: Path
) -> None:
    """And no design is trained twice: the same training would end as it did."""
    text = study_file.read_text().replace(
        "epochs: 2", "epochs: 2, optimiser: sgd, learning_rate: 1.0e+30"
    )
    study_file.write_text(text + "candidates: 100\n")
    watcher = Watcher()
    outcome = run(study_file, tmp_path / "study", watcher)
    failed = [row for row in outcome.rows if row.status == "failed"]
    assert len(failed) == MAX_FAILURES and outcome.state.trained == 0
    why = f"every training failed, 5 of them; the last one: {failed[-1].reason}"
    assert outcome.words == f"stopped: {why}"
    assert all("loss" in row.reason and row.error is None for row in failed)
    assert len(watcher.trained) == len(set(watcher.trained)) == MAX_FAILURES
    # The same command again trains nothing more, and says why.
    again = Watcher()
    assert run(study_file, tmp_path / "study", again).ended_by == outcome.ended_by
    assert again.trained == []


def test_what_failed_is_known_by_its_network_and_not_trained_again(
    study_file: Path, tmp_path: Path
) -> None:
    """Two networks in all: the third proposal is one of them, under another trial."""
    text = study_file.read_text().replace(
        "epochs: 2", "epochs: 2, optimiser: sgd, learning_rate: 1.0e+30"
    )
    for many, few in (
        ("policy: [P0, P2, P4]\n  density: [0.25, 0.5]", "policy: P2\n  density: 0.5"),
        ("final_channels: [16, 32]", "final_channels: 16"),
        ("low: 1, high: 2", "low: 1, high: 1"),
        ("channels: {low: 8, high: 32, step: 8}", "channels: 8"),
    ):
        assert many in text
        text = text.replace(many, few)
    study_file.write_text(text + "candidates: 400\n")
    watcher = Watcher()
    outcome = run(study_file, tmp_path / "study", watcher)
    failed = [row for row in outcome.rows if row.status == "failed"]
    assert len(watcher.trained) == 2 and len(failed) == MAX_FAILURES
    reasons = {row.trial: row.reason for row in failed}
    first = {row.key: row.trial for row in reversed(failed)}
    for row in failed[2:]:
        earlier = first[row.key]
        assert row.reason == f"failed before, as trial {earlier}: {reasons[earlier]}"


def test_an_impossible_budget_says_how_near_the_space_comes(
    study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(
        study_file.read_text().replace("max_trained_parameters: 2500", "max_trained_parameters: 50")
    )
    with pytest.raises(InvalidStudy) as caught:
        run(study_file, tmp_path / "study")
    assert str(caught.value).startswith(
        "no point of the space meets the limits: the nearest found fails with trained_parameters "
    )
    assert "widen the space or the limit" in str(caught.value)
    assert not (tmp_path / "study").exists()


def test_wrong_data_leaves_nothing_behind(study_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidData):
        run(study_file, tmp_path / "study", data_folder=tmp_path / "nowhere")
    assert not (tmp_path / "study").exists()


@pytest.mark.usefixtures("untrained")
def test_a_changed_space_is_refused(study_file: Path, tmp_path: Path) -> None:
    run(study_file, tmp_path / "study", trainings=1)
    before = (tmp_path / "study" / "resolved.yaml").read_bytes()
    study_file.write_text(study_file.read_text().replace("kernel: 5", "kernel: 7", 1))
    with pytest.raises(InvalidStudy, match=r"space\.kernel\.values \[5\], and the file now says"):
        run(study_file, tmp_path / "study")
    assert (tmp_path / "study" / "resolved.yaml").read_bytes() == before


@pytest.mark.usefixtures("untrained")
def test_other_data_is_refused(study_file: Path, tmp_path: Path, tones: Path) -> None:
    import shutil

    run(study_file, tmp_path / "study", trainings=1)
    other = tmp_path / "other"
    shutil.copytree(tones, other)
    sorted((other / "left").glob("*.wav"))[-1].unlink()
    with pytest.raises(InvalidStudy, match=r"was searched on other data \(features \w+, now \w+\)"):
        run(study_file, tmp_path / "study", data_folder=other)


def test_a_folder_of_something_else_is_refused(study_file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("")
    with pytest.raises(InvalidStudy, match="is not empty and holds no study"):
        run(study_file, tmp_path / "thesis")


@pytest.mark.usefixtures("untrained")
def test_a_kill_before_the_record_was_written_does_not_block_the_folder(
    study_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    for name in (".lock", ".resolved.yaml.x1.yaml", "study.yaml"):
        (folder / name).write_text("left by a killed process")
    assert run(study_file, folder, trainings=1).state.trained == 1
    assert (folder / "study.yaml").read_text() == study_file.read_text()


@pytest.mark.usefixtures("untrained")
def test_two_searches_in_one_folder_are_refused(study_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    run(study_file, folder, trainings=1)
    with (
        locked(folder),
        pytest.raises(InvalidStudy, match=rf"is being searched by process {os.getpid()}"),
    ):
        run(study_file, folder)


@pytest.mark.parametrize("name", [".lock", "results.jsonl", "designs", "designs/KEY/last.pt"])
def test_nothing_is_written_through_a_link_of_a_study(tmp_path: Path, name: str) -> None:
    """A folder that came from elsewhere may have a link for a log: what it names stays as it is."""
    (tmp_path / "mine").write_text("kept")
    link = tmp_path / "study" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "mine")
    message = f"{name} leads out of .* nothing is read or written"
    with pytest.raises(InvalidInput, match=message), locked(tmp_path / "study"):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


def test_what_a_kill_has_left_half_written_is_tidied(tmp_path: Path) -> None:
    """The names are those that the writers choose; a file of somebody else stays."""
    design = tmp_path / "designs" / "k3y"
    design.mkdir(parents=True)
    with suppress(KeyboardInterrupt), ExitStack() as killed:
        for path in (tmp_path / "study.db", tmp_path / "results.jsonl", design / "best.pt"):
            temporary = killed.enter_context(replacing(path))
            temporary.with_name(f"{temporary.name}-journal").touch()
            temporary.with_name(temporary.name.replace(".", ".of-me.", 1)).touch()
        Path(tempfile.mkdtemp(dir=tmp_path, prefix=".copy-"), "study.db").touch()
        Path(tempfile.mkdtemp(dir=tmp_path, prefix="..repriced."), "study.yaml").touch()
        with locked(tmp_path):
            left = {path.name for path in tmp_path.rglob("*") if path.name[0] == "."}
        raise KeyboardInterrupt
    assert len(left) == 4 and {name for name in left if ".of-me." not in name} == {".lock"}


@pytest.mark.usefixtures("untrained")
def test_a_damaged_storage_is_one_sentence(study_file: Path, tmp_path: Path) -> None:
    run(study_file, tmp_path / "study", trainings=1)
    (tmp_path / "study" / "study.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(InvalidInput, match=r"study\.db cannot be opened \(file is not a database"):
        run(study_file, tmp_path / "study")


@pytest.mark.usefixtures("untrained")
def test_a_storage_that_cannot_be_written_is_one_sentence(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that only reads stands in for a full disk and for missing permissions."""
    run(study_file, tmp_path / "study", trainings=1)

    def read_only(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    with monkeypatch.context() as patch, pytest.raises(InvalidStudy) as caught:
        patch.setattr("search.storage._write_ahead", read_only)
        run(study_file, tmp_path / "study", trainings=2)
    assert str(caught.value) == (
        f"{tmp_path / 'study' / 'study.db'} cannot be written (attempt to write a readonly "
        "database): free some space or change its permissions; the same command goes on"
    )
    assert run(study_file, tmp_path / "study", trainings=2).state.trained == 2


@pytest.mark.usefixtures("untrained")
def test_lost_rows_are_not_passed_over(study_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    run(study_file, folder, trainings=1)
    (folder / "results.jsonl").write_text("")
    with pytest.raises(InvalidStudy, match="is finished in its storage and has no row"):
        run(study_file, folder, trainings=2)


def test_a_device_that_is_not_there_leaves_nothing_behind(study_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="device must be auto, cpu, or a device that this"):
        run(study_file, tmp_path / "study", device="cuda:99")
    assert not (tmp_path / "study").exists()


def start(study_file: Path, folder: Path, workers: int = 1) -> subprocess.Popen[str]:
    arguments = [
        sys.executable,
        "-m",
        "dse_cli",
        "search",
        str(study_file),
        "--out",
        str(folder),
        "--cache",
        str(study_file.parent / "cache"),
        "--workers",
        str(workers),
    ]
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Tests that run in the background inherit an ignored SIGINT; a terminal's child does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.soak
def test_kill_9_loses_and_doubles_nothing_and_ends_the_workers(
    study_file: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """The command itself with two workers, killed while they train; test_kills has many kills."""
    workers, folder = 2, tmp_path / "killed"
    whole = numbers(undisturbed(workers).rows)
    process = start(study_file, folder, workers)
    begun = time.monotonic()
    while len(list(folder.glob("designs/*/last.pt"))) < workers:
        assert process.poll() is None and time.monotonic() - begun < 120
        time.sleep(0.005)
    begotten = list(descendants(str(process.pid)))
    assert len(begotten) >= 1 + workers  # what makes the workers, and those
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(alive(pid) for pid in begotten):
        assert time.monotonic() - begun < 150
        time.sleep(0.05)
    assert process.stdout is not None
    process.stdout.close()
    known = read_rows(folder) if (folder / "results.jsonl").exists() else []
    assert numbers(known) == whole[: len(known)]
    final = run(study_file, folder, workers=workers)
    assert numbers(final.rows) == whole
    assert_consistent(folder)


def descendants(pid: str) -> Iterator[str]:
    """Processes that a process has made, and those that they made."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield child
        yield from descendants(child)


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("stop", "workers"),
    [(signal.SIGINT, 1), pytest.param(signal.SIGTERM, 2, marks=pytest.mark.soak)],
)
def test_a_stopped_search_says_how_to_go_on_and_exits_with_130(
    study_file: Path, tmp_path: Path, stop: signal.Signals, workers: int
) -> None:
    text = study_file.read_text().replace("epochs: 2", "epochs: 400")
    study_file.write_text(text)
    process = start(study_file, tmp_path / "study", workers)
    begun = time.monotonic()
    while not list((tmp_path / "study").glob("designs/*/last.pt")):
        assert process.poll() is None and time.monotonic() - begun < 120
        time.sleep(0.01)
    process.send_signal(stop)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"Go on with: dse search {tmp_path / 'study'}" in output
    assert "Traceback" not in output


# --- errors of the network in whole numbers


def test_a_study_of_int8_errors_and_power(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = study_file.read_text() + "objectives: [quantised_error, average_power_uw]\nrate: 20\n"
    study_file.write_text(text.replace("2500}", "2500, max_error: 0.9}"))
    real = dse.training.scoring.quantise_network

    def sometimes(source: Any, pictures: Any) -> Any:
        if source.point.blocks[0].out_channels == 16:
            raise InvalidDesign("no form in whole numbers")
        return real(source, pictures)

    monkeypatch.setattr(dse.training.scoring, "quantise_network", sometimes)
    outcome = run(study_file, tmp_path / "study", trainings=6)
    trained = [row for row in outcome.rows if row.status == "trained"]
    failed = [row for row in outcome.rows if row.status == "failed"]
    assert len(trained) == 6 and failed
    for row in trained:
        scores = read_best_scores(tmp_path / "study" / "designs" / row.key)
        assert scores is not None and row.quantised_error == scores.quantised_error
        assert row.cost["latency_us"] <= 50_000
        power = row.cost["leakage_uw"] + 20e-6 * row.cost["energy_pj"]
        # Energy counts what leaks while the inference runs; the average power counts that once.
        leaked = row.cost["leakage_uw"] * 20 * row.cost["latency_us"] * 1e-6
        assert row.cost["average_power_uw"] == pytest.approx(power - leaked, rel=1e-9)
    reason = "not possible in whole numbers: no form in whole numbers"
    assert {row.reason for row in failed} == {reason}
    assert all(row.error is None and row.cost for row in failed)
    front = find_frontier(outcome.rows, ("quantised_error", "average_power_uw"))
    assert front and outcome.state.frontier == len(front)
    by_trial = {trial.number: trial for trial in trials(tmp_path / "study")}
    for row in trained:
        if row.trial >= 0:
            assert by_trial[row.trial].values == [
                row.quantised_error,
                row.cost["average_power_uw"],
            ]
