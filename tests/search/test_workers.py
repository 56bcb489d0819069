"""Several trainings at a time: the same rows whatever happens; no worker outlives its search."""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dse.design.point import DesignPoint
from dse.errors import TrainingFailed
from dse.speech.features import load_features
from dse.studies.folder import DESIGNS
from dse.studies.reading import read_study
from dse.studies.rows import Evaluation, read_rows
from search.state import Outcome
from search.study import run_study
from search.workers import (
    WORKER_BYTES,
    Workers,
    WorkerSettings,
    choose_workers,
    for_workers,
    share_memory,
)
from tests.studies import begin


class Watcher:
    """Counts epochs; at some, does what it is told."""

    def __init__(self, acts: dict[int, Callable[[], None]] | None = None) -> None:
        self.epochs = 0
        self.acts = acts or {}

    def preparing(self, what: str, done: int, total: int) -> None:
        pass

    def data(self, findings: Any) -> None:
        pass

    def started(self, found: Any, state: Any) -> None:
        pass

    def training(self, point: DesignPoint, cost: dict[str, float], epochs: int) -> None:
        pass

    def epoch(self, point: DesignPoint, record: Any) -> None:
        self.epochs += 1
        self.acts.get(self.epochs, lambda: None)()

    def evaluated(self, row: Evaluation, state: Any) -> None:
        pass


def run(study_file: Path, folder: Path, watcher: Watcher, workers: int = 2) -> Outcome:
    cache = study_file.parent / "cache"
    spec = read_study(study_file)
    return run_study(spec, study_file.read_text(), folder, watcher, cache=cache, workers=workers)


def numbers(rows: list[Evaluation]) -> list[dict[str, Any]]:
    clock = {"finished_at": "", "training_seconds": None}
    return [dataclasses.replace(row, **clock).to_dict() for row in rows]


def kill_a_worker() -> None:
    pid = multiprocessing.active_children()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_two_workers_give_the_same_rows_whatever_happens(study_file: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    undisturbed = run(study_file, tmp_path / "undisturbed", watcher)
    assert undisturbed.state.trained == 4 and watcher.epochs == 8
    assert undisturbed.rows == read_rows(tmp_path / "undisturbed")
    trained = [row for row in undisturbed.rows if row.status == "trained"]
    assert trained and all(row.computed.startswith("cpu, 1 thread, ") for row in trained)
    # A worker is killed in the middle, and its design goes on in another; then comes a Ctrl-C, with
    # designs in training; then the search goes on.
    with pytest.raises(KeyboardInterrupt):
        run(study_file, tmp_path / "stopped", Watcher({2: kill_a_worker, 5: interrupt}))
    assert multiprocessing.active_children() == []
    assert len(read_rows(tmp_path / "stopped")) < len(undisturbed.rows)
    resumed = run(study_file, tmp_path / "stopped", Watcher())
    assert numbers(resumed.rows) == numbers(undisturbed.rows)


def settings_of(study_file: Path, tmp_path: Path, **changes: Any) -> WorkerSettings:
    spec = read_study(study_file)
    cache = study_file.parent / "cache"
    load_features(spec.data_folder, spec.task, spec.features, cache=cache)
    (tmp_path / DESIGNS).mkdir(parents=True, exist_ok=True)
    settings = WorkerSettings(
        data_folder=spec.data_folder,
        cache=cache,
        task=spec.task,
        features=spec.features,
        recipe=spec.recipe,
        seed=spec.seed,
        device="cpu",
        designs=tmp_path / DESIGNS,
        memory_bytes=None,
    )
    return dataclasses.replace(settings, **changes)


def test_a_design_whose_workers_die_has_failed(study_file: Path, tmp_path: Path) -> None:
    spec = read_study(study_file)
    point = spec.space.point({choice.name: choice.values[0] for choice in spec.space.choices})
    settings = settings_of(
        study_file, tmp_path, recipe=dataclasses.replace(spec.recipe, epochs=400)
    )
    with (
        Workers(settings, 1, lambda *_: kill_a_worker()) as workers,
        pytest.raises(TrainingFailed) as error,
    ):
        workers.start(point, 400)
        workers.finish(point)
    assert str(error.value) == (
        "its worker ended 2 times, at last with signal 9: if memory was short, use fewer --workers"
    )


@pytest.mark.soak
def test_a_worker_keeps_to_its_memory(study_file: Path, tmp_path: Path) -> None:
    """A network too wide for its memory at whole batches is trained in parts, and says so."""
    spec = read_study(study_file)
    values = {choice.name: choice.values[0] for choice in spec.space.choices}
    point = spec.space.point(values)
    wide = dataclasses.replace(
        point,
        blocks=tuple(
            dataclasses.replace(block, out_channels=3072, stride=1)
            if block.name == "Conv1"
            else block
            for block in point.blocks
        ),
    )
    # In float32: in bfloat16 oneDNN may fail for want of memory for its code, and then for good.
    recipe = dataclasses.replace(spec.recipe, epochs=1, batch_size=64, precision="float32")
    torch_bytes = data_bytes_of_torch()
    for spare in (256, 320, 400, 500):  # MiB: what a worker takes beside torch differs a little
        limited = settings_of(
            study_file,
            tmp_path / str(spare),
            recipe=recipe,
            memory_bytes=torch_bytes + spare * 1024**2,
        )
        with Workers(limited, 1, lambda *_: None) as workers:
            workers.start(wide, 1)
            try:
                result = workers.finish(wide)
            except TrainingFailed as error:
                assert "out of memory" in str(error)
                continue
        break
    # Enough for a part of a batch, not for a whole one: the steps are smaller than that.
    assert result.epochs == 1
    assert "out of memory in epoch 1: batches of 36 clips are computed in" in result.note


def data_bytes_of_torch() -> int:
    """What RLIMIT_DATA counts of a process that has only loaded what a worker loads."""
    code = (
        "import dse.training.run, torch; torch.mm(torch.ones(64, 64), torch.ones(64, 64));"
        "print(open('/proc/self/status').read())"
    )
    status = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return int(status.split("VmData:")[1].split()[0]) * 1024


def test_what_makes_workers_loads_nothing_from_the_folder_of_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -c` looks in its folder first, where somebody may have a `random.py` of their own."""
    (tmp_path / "random.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with for_workers():
        done = subprocess.run([sys.executable, "-c", "import random"])
    assert done.returncode == 0 and "PYTHONSAFEPATH" not in os.environ


def test_the_rule_for_the_number_of_workers_by_hand() -> None:
    assert choose_workers("cpu", 2, 8 * WORKER_BYTES) == 2
    assert choose_workers("cpu", 16, 8 * WORKER_BYTES) == 6  # 0.8 of 8 are 6.4
    assert choose_workers("cpu", 16, WORKER_BYTES // 2) == 1
    assert choose_workers("cpu", 4, 0) == 4  # a system that does not tell
    assert choose_workers("cuda", 16, 64 * WORKER_BYTES) == 1
    assert share_memory(4, 10 * WORKER_BYTES) == 2 * WORKER_BYTES
    assert share_memory(4, 0) is None


def test_a_study_goes_on_with_the_workers_it_began_with(study_file: Path, tmp_path: Path) -> None:
    from dse_cli.search import usual_workers

    spec = read_study(study_file)
    folder = tmp_path / "study"
    assert usual_workers(spec, folder, 1) == 1
    begin(folder, workers=7)
    assert usual_workers(spec, folder, 1) == 7


@pytest.mark.parametrize("given", ["0", "many", "257"])
def test_a_wrong_number_of_workers_is_refused(
    study_file: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from dse_cli import main

    with pytest.raises(SystemExit) as stop:
        main(["search", str(study_file), "--workers", given])
    assert stop.value.code == 2
    assert f"'{given}' is not auto or a number from 1 to 256" in capsys.readouterr().err
