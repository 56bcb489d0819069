"""Sweeps by several processes: what one finds, in its order, and nothing of what one left."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.errors import InvalidInput
from dse.pricing import sweep as module
from dse.pricing import sweep_workers
from dse.pricing.budget import Budget
from dse.pricing.sweep_results import Frontier, SweepJob, make_sweep
from dse.pricing.sweep_workers import Unit, choose_workers, price_units
from tests.dse.pricing.test_sweep import FRAMES, OUTPUTS, machine, space

AXES = {"blocks": [1, 2], "policy": ["P0", "P3"], "density": [0.25, 0.5], "channels": [8, 12, 16]}
"""2 depths x (1 dense + 2 densities) x 3 widths: 18 designs in 4 pieces."""


def job(**changed: Any) -> SweepJob:
    asked = SweepJob(
        space=space(AXES),
        machines=(machine(), machine("kws_int8")),
        frames=FRAMES,
        outputs=OUTPUTS,
        budget=Budget(),
        rate=1.0,
        sample=None,
        seed=3,
        objectives={"energy_pj": 1.0},
    )
    return dataclasses.replace(asked, **changed)


def priced(asked: SweepJob, workers: int) -> list[Unit]:
    known = Frontier(asked.objectives)
    units = []
    for unit in price_units(asked, make_sweep(asked), workers, known):
        known.join(unit.frontier)
        units.append(unit)
    return units


def test_two_processes_find_what_one_does_in_its_order() -> None:
    alone, two = priced(job(), 1), priced(job(), 2)
    ones = [chunk for unit in alone for chunk in unit.chunks]
    twos = [chunk for unit in two for chunk in unit.chunks]
    assert len(ones) == len(twos) == 8  # 4 pieces on 2 machines
    assert len(two) > 2  # each of the two had something to do
    for one, other in zip(ones, twos, strict=True):
        assert one.piece == other.piece and one.machine == other.machine
        assert (one.digits == other.digits).all() and (one.feasible == other.feasible).all()
        for name, figures in one.columns.items():
            assert np.array_equal(figures, other.columns[name], equal_nan=True), name
    assert sum(unit.dead for unit in alone) == sum(unit.dead for unit in two)


@given(
    sizes=st.lists(st.integers(1, module.CHUNK), max_size=40),
    workers=st.integers(1, 20),
)
def test_units_are_all_chunks_in_their_order(sizes: list[int], workers: int) -> None:
    units = list(sweep_workers._share_out(sizes, workers))
    assert [place for first, last in units for place in range(first, last)] == list(
        range(len(sizes))
    )
    for first, last in units:
        # Several chunks only where they are small together.
        designs = sum(sizes[first:last])
        assert last == first + 1 or designs <= module.CHUNK
        assert last == first + 1 or designs <= -(-sum(sizes) // (8 * workers))


@pytest.mark.parametrize("sample", [None, 5, 17, 18, 400])
def test_chunks_are_as_large_as_is_said(
    sample: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    sweep = make_sweep(job(machines=(machine(),)))
    assert sweep.chunk_sizes(sample, 3) == [len(chunk.digits) for chunk in sweep.run(sample, 3)]


def test_a_sample_of_a_space_too_large_to_number_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its digits are drawn one chunk after the other: a worker passes over those of others."""
    wide = {"blocks": 16, "channels": {"low": 8, "high": 38, "step": 2, "per_block": True}}
    found = space(wide)
    asked = job(space=found, machines=(machine(),), sample=12)
    monkeypatch.setattr(module, "CHUNK", 4)
    sweep = make_sweep(asked)
    assert sweep.size >= 2**40
    ones = [chunk.digits for chunk in sweep.run(12, 3)]
    walk = sweep_workers._Walk(asked)
    parts = [
        walk.price(*run, np.empty((0, 1))) for run in ((0, 1), (2, 3))
    ]  # another has the one between
    assert (parts[0].chunks[0].digits == ones[0]).all()
    assert (parts[1].chunks[0].digits == ones[2]).all()


class Deadly(dict[str, float]):
    """A process that reads it ends: as one that the kernel has killed."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_a_worker_that_dies_is_one_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"one of 2 processes that price has died.*--workers"):
        priced(job(objectives=Deadly()), 2)


def test_as_many_workers_as_cores_and_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    sweep = make_sweep(job())
    assert choose_workers(sweep, None) == 1  # 36 figures need no other process
    monkeypatch.setattr(sweep_workers, "WORTH_A_WORKER", 3)
    assert choose_workers(sweep, None) == 12
    assert choose_workers(sweep, 7) == 4  # on two machines each
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert choose_workers(sweep, None) == 1


SPACE = """
space:
  blocks: [1, 2, 3]
  channels: {low: 8, high: 64, step: 4, per_block: true}
  kernel: {low: 3, high: 13, step: 2, per_block: true}
"""
"""Minutes of work."""


def children(process: "subprocess.Popen[str]") -> list[int]:
    """Processes below it, whatever they are called."""
    found = [process.pid]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found[1:]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.soak
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_stopped_leaves_no_process_and_no_file(
    how: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    process = subprocess.Popen(
        [sys.executable, "-m", "dse_cli", "sweep", "space.yaml", "--workers", "2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(1200):
        if len(workers := children(process)) >= 3:  # two, and what Python tracks resources with
            break
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # under way
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    assert "Traceback" not in said
    for _ in range(200):
        if not any(map(lives, workers)):
            break
        time.sleep(0.05)
    assert not any(map(lives, workers))
    assert not (tmp_path / "sweep.parquet").exists()
    if how == signal.SIGINT:
        assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]
