"""A search over networks and machines: trained once each, priced on all machines."""

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from dse.studies.frontier import find_frontier, hypervolume_share
from dse.studies.reading import read_study
from dse.studies.rows import Evaluation, read_rows
from dse.studies.study import open_study
from dse_cli import group
from search.state import State
from search.study import run_study

HARDWARE = """
hardware: {machine: [kws_ternary, kws_int8], clock_mhz: [5, 20], arrays: {macs: {columns: [4, 8]}}}
objectives: [error, energy_pj, area_um2]
"""
OBJECTIVES = ("error", "energy_pj", "area_um2")


class Watcher:
    def __init__(self) -> None:
        self.trained: list[str] = []
        self.states: list[State] = []

    def training(self, point: Any, cost: Any, epochs: int) -> None:
        self.trained.append(point.key)

    def evaluated(self, row: Evaluation, state: State) -> None:
        self.states.append(state)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def run(study: Path, folder: Path, **changes: Any) -> tuple[list[Evaluation], Watcher]:
    spec, watcher = dataclasses.replace(read_study(study), **changes), Watcher()
    cache = study.parent / "cache"
    return run_study(spec, study.read_text(), folder, watcher, cache=cache).rows, watcher


@pytest.fixture
def machines_file(study_file: Path) -> Path:
    study_file.write_text(study_file.read_text() + HARDWARE)
    return study_file


def call(*arguments: object) -> str:
    result = CliRunner().invoke(group, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def test_machines_cost_no_training_and_stand_on_the_frontier(
    machines_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    rows, watcher = run(machines_file, folder, trainings=6)
    assert len(watcher.trained) == len(set(watcher.trained)) == 6
    assert len({row.trial for row in rows if row.trial >= 0}) == sum(row.trial >= 0 for row in rows)
    study = open_study(folder)
    pairs = study.pairs
    front = find_frontier(pairs, OBJECTIVES)
    assert len({row.accelerator for row in front}) > 1
    # A row names one of its network's points; the study counts them all.
    points = {(row.key, row.accelerator): row for row in pairs}
    for row in rows:
        if row.status == "trained":
            assert points[row.key, row.accelerator] == row
    state = watcher.states[-1]
    assert state.frontier == len(front)
    assert state.hypervolume == hypervolume_share(pairs, study.begun.box)
    assert state.hypervolume > hypervolume_share(rows, study.begun.box)
    volumes = [each.hypervolume for each in watcher.states]
    assert volumes == sorted(volumes)

    printed = call("frontier", folder)
    assert "kws_int8, 20 MHz, macs columns 4" in printed
    written = pd.read_csv(folder / "frontier.csv")
    assert len(written) == len(front)
    assert written["accelerator"].tolist() == [row.accelerator for row in front]
    assert (folder / "frontier.png").stat().st_size > 10_000

    # Fresh seeds train each network once, whatever it runs on.
    cache = machines_file.parent / "cache"
    output = call("confirm", folder, "--seeds", 2, "--cache", cache, "--workers", 1)
    assert "of the search's frontier" in output
    confirmed = pd.read_csv(folder / "confirmed.csv")
    assert set(zip(confirmed["key"], confirmed["accelerator"], strict=True)) >= {
        (row.key, row.accelerator) for row in front
    }
    lines = (folder / "confirm.jsonl").read_text().splitlines()
    assert len(lines) == 2 * confirmed["key"].nunique()

    # Other machines, no training: rows name them, and the frontier is theirs.
    histories = {path: path.stat().st_mtime_ns for path in folder.glob("designs/*/last.pt")}
    machines_file.write_text(machines_file.read_text().replace("[5, 20]", "[40]"))
    printed = call("reprice", machines_file, "--out", folder, "--cache", cache)
    assert "40 MHz" in printed and "priced on 4 machines" in printed
    again = read_rows(folder)
    assert all("40 MHz" in row.accelerator for row in again if row.key)
    assert [(row.key, row.error) for row in again] == [(row.key, row.error) for row in rows]
    assert histories == {path: path.stat().st_mtime_ns for path in folder.glob("designs/*/last.pt")}


@pytest.mark.soak
def test_a_network_is_tried_if_one_machine_keeps_the_limits(
    machines_file: Path, tmp_path: Path
) -> None:
    text = machines_file.read_text()
    free, _ = run(machines_file, tmp_path / "free", trainings=2)
    areas = sorted(
        row.cost["area_um2"]
        for row in open_study(tmp_path / "free").expanded(free)
        if row.status == "trained"
    )
    bound = (areas[0] + areas[-1]) / 2
    machines_file.write_text(text.replace("2500}", f"2500, max_area_um2: {bound}}}"))
    rows, watcher = run(machines_file, tmp_path / "limited", trainings=3)
    trained = [row for row in rows if row.status == "trained"]
    assert len(trained) == 3 == len(watcher.trained)
    for row in open_study(tmp_path / "limited").expanded(trained):
        assert row.cost["area_um2"] <= bound
    machines_file.write_text(text.replace("2500}", f"2500, max_area_um2: {areas[0] / 100}}}"))
    with pytest.raises(Exception, match=r"no point of the space meets the limits: .*area_um2 is"):
        run(machines_file, tmp_path / "none")


def test_the_machine_stands_in_one_place(machines_file: Path) -> None:
    machines_file.write_text(machines_file.read_text() + "machine: kws_int8\n")
    with pytest.raises(Exception, match=r"hardware\.machine names them: leave it out"):
        read_study(machines_file)
