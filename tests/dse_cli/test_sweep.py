"""`dse sweep`: the file holds what `estimate` says, the frontier what a naive one holds."""

import csv
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cost_models import estimate, load_accelerator, load_technology
from cost_models.errors import InvalidInput
from dse.columns import COST_COLUMNS
from dse.design.space_file import space_from_node
from dse.networks.lowering import lower
from dse_cli import group, main

pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'ternary-dse[parquet]'")

ROOT = Path(__file__).parents[2]

SPACE = """
space:
  blocks: [1, 2]
  policy: [P0, P1]
  density: [0.25, 0.5]
  generator: [lfsr_threshold, one_hot]
  channels: [8, 10, 12]
  prologue_channels: 12
  epilogue_channels: 8
  final_channels: 8
  in_channels: 12
"""
"""Designs: 2 depths * (1 dense + 2 densities * 2 generators) * 3 widths = 30. One-hot blocks of 4
do not divide B2's 10 inputs, nor do blocks of 2 fail anywhere: one design cannot be built."""
DESIGNS, BROKEN = 30, 1


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


def run(*arguments: object) -> Any:
    words = ["sweep", *map(str, arguments)]
    return CliRunner().invoke(group, words, catch_exceptions=False)


def swept(space: Path, *options: object) -> tuple[list[dict[str, Any]], list[dict[str, str]], str]:
    """Rows of the Parquet file, rows of the frontier, and what was printed."""
    out = space.with_name("out.parquet")
    result = run(space, "--frames", 40, "--outputs", 3, "--out", out, "--replace", *options)
    assert result.exit_code in (0, 1), result.output
    feasible = any(row["feasible"] for row in pq.read_table(out).to_pylist())
    assert result.exit_code == (0 if feasible else 1)
    with out.with_name("out-frontier.csv").open(newline="") as file:
        frontier = list(csv.DictReader(file))
    return pq.read_table(out).to_pylist(), frontier, " ".join(result.stdout.split())


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["sweep", *map(str, arguments)])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("dse: ")


def list_values(row: dict[str, Any]) -> dict[str, Any]:
    axes = {
        key.removeprefix("axis_"): value for key, value in row.items() if key.startswith("axis_")
    }
    return {name: value for name, value in axes.items() if value is not None}


# --- contents


def test_the_file_holds_what_estimate_says(space: Path) -> None:
    from cost_models.strict_yaml import read_yaml

    rows, _, _ = swept(space, "--machine", "kws_ternary", "--machine", "kws_int8_dram")
    found = space_from_node(read_yaml(space).value["space"])
    assert len(rows) == 2 * DESIGNS == 2 * found.size
    designs = [(row["machine"], tuple(sorted(list_values(row).items()))) for row in rows]
    assert len(set(designs)) == len(rows)
    broken = 0
    for row in rows:
        machine = load_accelerator(row["machine"])
        assert found.contains(list_values(row))
        try:
            workload = lower(found.point(list_values(row)), frames=40, outputs=3)
        except InvalidInput:
            assert all(row[name] is None for name in COST_COLUMNS)
            assert not row["feasible"]
            broken += 1
            continue
        cost = estimate(workload, machine, load_technology(machine.technology))
        assert {name: row[name] for name in COST_COLUMNS} == cost.columns()
        assert row["feasible"] == (not cost.misfits)
    assert broken == 2 * BROKEN


def test_the_file_says_what_its_figures_depend_on(space: Path) -> None:
    swept(space, "--machine", "kws_tiny", "--objective", "latency", "--sample", 7, "--seed", 3)
    about = json.loads(pq.read_schema(space.with_name("out.parquet")).metadata[b"ternary_dse"])
    machine = about["machines"].pop("kws_tiny")
    assert about == {
        "machines": {},
        "frames": 40,
        "outputs": 3,
        "designs_of_the_space": DESIGNS,
        "sample": 7,
        "seed": 3,
    }
    assert (machine["technology"], machine["objective"]) == ("low_leakage_45nm", "latency")
    plain = json.dumps(load_accelerator("kws_tiny").to_dict())
    assert machine["accelerator"] == json.loads(plain)


def test_axes_that_do_not_matter_are_null(space: Path) -> None:
    rows, _, _ = swept(space)
    for row in rows:
        dense = row["axis_policy"] == "P0"
        assert (row["axis_density"] is None) == (row["axis_generator"] is None) == dense
        assert row["axis_prologue_channels"] == 12


def naive_frontier(rows: list[dict[str, Any]], signs: dict[str, float]) -> set[tuple[float, ...]]:
    points = set()
    for row in rows:
        if row["feasible"]:
            weights = row["trained_parameters"] + row["generated_weights"]
            columns = {**row, "weights": weights}
            points.add(tuple(sign * columns[name] for name, sign in signs.items()))
    return {
        point
        for point in points
        if not any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in points
        )
    }


@pytest.mark.parametrize(
    ("options", "signs"),
    [
        ((), {"energy_pj": 1.0, "latency_us": 1.0, "weights": -1.0}),
        (
            ("--minimise", "stored_bits", "--maximise", ""),
            {"stored_bits": 1.0},
        ),
        (
            ("--minimise", "trained_parameters, energy_pj", "--maximise", "weights,macs"),
            {"trained_parameters": 1.0, "energy_pj": 1.0, "weights": -1.0, "macs": -1.0},
        ),
    ],
)
def test_the_frontier_is_that_of_a_naive_search(
    space: Path, options: tuple[str, ...], signs: dict[str, float]
) -> None:
    machines = ("--machine", "kws_ternary", "--machine", "kws_int8")
    rows, frontier, _ = swept(space, *machines, *options)
    got = [tuple(sign * float(row[name]) for name, sign in signs.items()) for row in frontier]
    assert len(set(got)) == len(got)
    assert set(got) == naive_frontier(rows, signs)
    assert got == sorted(got)
    # Every row of the frontier is a row of the file.
    by_energy = {(row["machine"], row["energy_pj"]) for row in rows}
    assert all((row["machine"], float(row["energy_pj"])) in by_energy for row in frontier)


def test_the_frontier_does_not_depend_on_chunks(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected, _ = swept(space)
    monkeypatch.setattr("dse.pricing.sweep.CHUNK", 2)
    rows, frontier, _ = swept(space)
    assert frontier == expected
    assert len(rows) == DESIGNS


def test_limits_of_file_and_command_hold_together(space: Path) -> None:
    free, _, _ = swept(space)
    trained = sorted(row["trained_parameters"] for row in free if row["feasible"])
    macs = sorted(row["macs"] for row in free if row["feasible"])
    most, least = trained[len(trained) * 3 // 4], macs[len(macs) // 4]
    space.write_text(f"{SPACE}\nlimits: {{max_trained_parameters: {most:.0f}}}\n")
    rows, frontier, stdout = swept(space, "--limit", f"min_macs={least:.0f}")
    inside = 0
    for row in rows:
        if row["macs"] is not None:
            within = row["trained_parameters"] <= most and row["macs"] >= least
            assert row["feasible"] == within
            inside += within
    assert 0 < inside < len(trained)
    assert f"{DESIGNS} designs priced" in stdout and f"{inside} of them feasible" in stdout
    assert all(float(row["trained_parameters"]) <= most for row in frontier)


def test_a_sample_repeats_by_its_seed(space: Path) -> None:
    first, _, stdout = swept(space, "--sample", 10, "--seed", 5)
    assert len(first) == 10 and "10 designs priced on 1 machine in" in stdout
    assert f"the space has {DESIGNS}." in stdout
    again, _, _ = swept(space, "--sample", 10, "--seed", 5)
    other, _, _ = swept(space, "--sample", 10, "--seed", 6)
    assert again == first != other


def test_nothing_feasible_is_said(space: Path) -> None:
    rows, frontier, stdout = swept(space, "--limit", "max_energy_pj=1")
    assert frontier == [] and not any(row["feasible"] for row in rows)
    assert "No design is feasible: widen the space or the limits." in stdout
    assert f"{DESIGNS} designs priced on 1 machine" in stdout and "0 of them feasible" in stdout


def test_prints_the_frontier_and_what_all_have_in_common(space: Path) -> None:
    _, frontier, stdout = swept(space, "--machine", "kws_ternary")
    assert "energy, µJ" in stdout and "latency, ms" in stdout
    assert "prologue_channels 12" in stdout.split("All of them:")[1]
    cheapest = frontier[0]
    assert f"blocks {cheapest['axis_blocks']}" in stdout
    assert "One inference: 40 frames, 3 outputs." in stdout


def test_objective_and_technology_reach_the_estimate(space: Path) -> None:
    by_energy, _, _ = swept(space, "--objective", "energy", "--machine", "eyeriss_like")
    by_latency, _, _ = swept(space, "--objective", "latency", "--machine", "eyeriss_like")
    pairs = [
        (one, other)
        for one, other in zip(by_energy, by_latency, strict=True)
        if one["energy_pj"] is not None
    ]
    assert all(one["latency_cycles"] >= other["latency_cycles"] for one, other in pairs)
    assert all(one["energy_pj"] < other["energy_pj"] for one, other in pairs)
    # The same arithmetic and memories; cells that leak 100 times and more.
    leaking, _, _ = swept(space, "--technology", "synthesis_45nm", "--machine", "kws_int8_dram")
    low_leakage, _, _ = swept(space, "--machine", "kws_int8_dram")
    assert leaking[0]["leakage_uw"] > 50 * low_leakage[0]["leakage_uw"]
    assert leaking[0]["energy_pj"] > low_leakage[0]["energy_pj"]


# --- files

STUDY = """
name: short
data:
  folder: nowhere
  task: {kind: words, words: [yes, no], silence: false}
  features: {coefficients: 16, frames: 50}
space: {blocks: 1, channels: [8, 16]}
machine: kws_int8_dram
technology: synthesis_45nm
limits: {max_trained_parameters: 1}
"""


def test_a_study_file_gives_space_machine_limits_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    result = run(path, "--out", tmp_path / "out.parquet")
    assert result.exit_code == 1  # no design has one parameter
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["machine"] for row in rows] == ["kws_int8_dram"] * 2
    assert not any(row["feasible"] for row in rows)
    # Words, and one class of all others; 50 frames of 16 coefficients.
    from cost_models.strict_yaml import parse_yaml

    found = space_from_node(parse_yaml("{blocks: 1, channels: [8, 16]}", "x"), in_channels=16)
    workload = lower(found.point({"blocks": 1, "channels": 8}), frames=50, outputs=3)
    machine = load_accelerator("kws_int8_dram")
    cost = estimate(workload, machine, load_technology("synthesis_45nm"))
    assert {name: rows[0][name] for name in COST_COLUMNS} == cost.columns()
    assert "One inference: 50 frames, 3 outputs." in " ".join(result.stdout.split())


def test_machines_on_the_command_line_take_the_place_of_the_study_s(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    out = tmp_path / "out.parquet"
    run(path, "--machine", "kws_int8", "--machine", "kws_int8", "--outputs", 7, "--out", out)
    rows = pq.read_table(out).to_pylist()
    assert [row["machine"] for row in rows] == ["kws_int8"] * 2  # named twice, priced once


def test_a_machine_file_is_found_beside_the_space(space: Path) -> None:
    text = (ROOT / "cost_models/data/accelerators/kws_int8.yaml").read_text()
    (space.parent / "mine.yaml").write_text(text.replace("clock_mhz: 10.0", "clock_mhz: 20.0"))
    space.write_text(SPACE + "machine: mine.yaml\n")
    rows, _, _ = swept(space)
    assert {row["machine"] for row in rows} == {"mine"}
    assert rows[0]["latency_us"] == rows[0]["latency_cycles"] / 20.0


def test_the_demo_can_be_swept(tmp_path: Path) -> None:
    result = run(ROOT / "examples/demo.yaml", "--sample", 50, "--out", tmp_path / "demo.parquet")
    assert result.exit_code == 0
    assert pq.read_table(tmp_path / "demo.parquet").num_rows == 50


# --- bad input


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("blocks: 1\n", (), "a sweep needs a file with a 'space' section, such as a study's ("),
        ("[1, 2]\n", (), "a sweep needs a file with a 'space' section, such as a study's ("),
        (SPACE + "machines: kws_int8\n", (), "unknown key 'machines': did you mean 'machine'?"),
        (
            SPACE + "  chanels: 8\n",
            (),
            "there is no axis 'chanels' (did you mean 'channels'?); axes are blocks, ",
        ),
        (SPACE, ("--machine", "kws"), "no machine is called 'kws'"),
        (SPACE, ("--technology", "3nm"), "no technology is called '3nm'"),
        (SPACE, ("--limit", "max_energy=3"), "unknown limit 'max_energy'"),
        (SPACE, ("--limit", ""), "--limit must be one limit such as max_trained_parameters=80000"),
        (SPACE, ("--limit", "max_energy_pj"), "--limit must be one limit such as"),
        (SPACE, ("--limit", "max_macs=1,max_energy_pj=2"), "--limit must be one limit such as"),
        (SPACE, ("--technology", ","), "',' names nothing: name something, or leave the option"),
        (
            SPACE,
            ("--minimise", "energy"),
            "there is no column 'energy': did you mean 'energy_pj'? columns are weights, ",
        ),
        (SPACE, ("--minimise", "weights"), "'weights' is both minimised and maximised: choose one"),
        (
            SPACE,
            ("--minimise", "", "--maximise", ""),
            "a frontier needs a column: give --minimise or --maximise",
        ),
        (SPACE, ("--out", "out.csv"), "--out must end in .parquet, not 'out.csv'"),
        (STUDY.replace("coefficients: 16", "coefficients: many"), (), "coefficients must be "),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    said = refusal(capsys, path, *options)
    assert message in said
    assert not (tmp_path / "out.csv").exists() and not list(tmp_path.glob("*.parquet"))


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "space.yaml does not exist" in refusal(capsys, tmp_path / "space.yaml")


def test_a_huge_space_needs_a_sample(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("space: {blocks: 4, channels: {low: 2, high: 800, step: 2, per_block: true}}\n")
    # 400^4 designs.
    assert refusal(capsys, path) == (
        f"{path} has 25,600,000,000 designs, more than the 1,000,000,000 that are priced in an "
        "hour or so: give --sample, 1000000 say, or narrow the space, or let more machines price "
        "it, with --engine ray"
    )
    out = tmp_path / "out.parquet"
    assert run(path, "--sample", 3, "--out", out).exit_code == 1  # too large for any memory
    assert pq.read_table(out).num_rows == 3


def test_without_pyarrow_it_says_what_to_install(
    space: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = space.with_name("out.parquet")
    assert refusal(capsys, space, "--out", out) == (
        "dse sweep writes Parquet, which needs pyarrow: pip install 'ternary-dse[parquet]'"
    )
    assert [path.name for path in space.parent.iterdir()] == ["space.yaml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(space: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = space.parent / "closed"
    folder.mkdir(mode=0o500)
    said = refusal(capsys, space, "--out", folder / "out.parquet")
    assert said.startswith(f"{folder / 'out.parquet'} cannot be used: permission denied; ")


def test_a_place_that_is_no_folder(space: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, space, "--out", space / "out.parquet")
    assert str(space) in said and "cannot be used: " in said


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from dse_cli import main
import pyarrow.parquet
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
main(sys.argv[1:])
"""


def test_a_full_disk_leaves_the_old_file_as_it_was(space: Path) -> None:
    """As if full after 2,000 bytes."""
    out = space.with_name("out.parquet")
    swept(space)
    before, csv_before = out.read_bytes(), out.with_name("out-frontier.csv").read_bytes()
    assert len(before) > 2_000
    done = subprocess.run(
        [sys.executable, "-c", FULL, "sweep", *map(str, (space, "--out", out, "--replace"))],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "the disk is full; free some space and run again" in done.stderr
    assert out.read_bytes() == before
    assert out.with_name("out-frontier.csv").read_bytes() == csv_before
    assert sorted(path.name for path in space.parent.iterdir()) == [
        "out-frontier.csv",
        "out.parquet",
        "space.yaml",
    ]


def test_a_stop_in_the_middle_leaves_the_old_file(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = space.with_name("out.parquet")
    swept(space)
    before = out.read_bytes()
    from dse.pricing.sweep import Sweep

    real = Sweep.run

    def stopped(self: Sweep, *arguments: Any) -> Any:
        yield from itertools.islice(real(self, *arguments), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sweep, "run", stopped)
    with pytest.raises(SystemExit) as stop:
        main(["sweep", str(space), "--out", str(out), "--replace"])
    assert stop.value.code == 130
    assert out.read_bytes() == before
    assert not list(space.parent.glob(".*"))


def test_figures_are_numbers(space: Path) -> None:
    rows, _, _ = swept(space)
    for row in rows:
        if row["feasible"]:
            assert all(math.isfinite(row[name]) and row[name] >= 0 for name in COST_COLUMNS)


HARDWARE = """
hardware:
  machine: [kws_ternary, kws_int8]
  clock_mhz: [5, 10, 20]
  trits_per_cycle: [8, 32]
  memories: {weight_sram: {capacity_bits: [fit, 1048576]}}
"""


def test_the_machines_of_a_hardware_section_are_swept(space: Path) -> None:
    """3 clocks x 2 capacities x (2 speeds of the generator, and one machine without it) = 18."""
    space.write_text(SPACE + HARDWARE)
    rows, _, printed = swept(space)
    assert "designs priced on 18 machines" in printed
    assert len({row["machine"] for row in rows}) == 18
    assert len(rows) == 18 * DESIGNS
    assert "kws_int8, 20 MHz, weight_sram fit" in {row["machine"] for row in rows}


def test_a_study_is_swept_on_its_machines(space: Path) -> None:
    study = space.with_name("study.yaml")
    study.write_text(
        "name: s\ndata: {folder: speech, features: {coefficients: 12}}\n" + SPACE + HARDWARE
    )
    _, _, printed = swept(study, "--sample", 5)
    assert "designs priced on 18 machines" in printed
    _, _, printed = swept(study, "--sample", 5, "--machine", "kws_tiny")
    assert "designs priced on 1 machine " in printed


def test_a_sweep_of_before_is_not_replaced_unasked(
    space: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = space.with_name("out.parquet")
    swept(space)
    before = out.read_bytes()
    assert refusal(capsys, space, "--out", out) == (
        f"{out} is there already: name another --out, or give --replace"
    )
    out.unlink()
    csv_file = out.with_name("out-frontier.csv")
    assert refusal(capsys, space, "--out", out).startswith(f"{csv_file} is there already")
    assert not out.exists() and before


def test_files_do_not_depend_on_workers(space: Path) -> None:
    files = []
    for workers in (1, 2):
        swept(space, "--machine", "kws_ternary", "--machine", "kws_int8", "--workers", workers)
        files.append(
            [space.with_name(name).read_bytes() for name in ("out.parquet", "out-frontier.csv")]
        )
    assert files[0] == files[1]


def test_workers_are_of_this_machine(
    space: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = (space, "--engine", "ray", "--workers", 2, "--out", tmp_path / "new.parquet")
    assert refusal(capsys, *asked) == (
        "--workers is for this machine: on Ray, the cluster says how many"
    )
