"""Dense controls: which designs they are, when they are trained, and that no kill changes them."""

import itertools
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dse.design.policies import is_dense
from dse.design.space import SearchSpace
from dse.pricing.budget import Budget, Limit
from dse.pricing.pricing import Pricing
from dse.report import study_report
from dse.studies.likeness import CONTROL, LIKE, is_control, within, without_control
from dse.studies.rows import FILE_NAME, Evaluation, read_rows
from dse.studies.study import open_study
from dse_cli import group
from search.controls import Controls, dense_space
from tests.studies import read

TEXT = """
name: small
data: {folder: speech, task: {kind: commands}}
space:
  blocks: {low: 1, high: 3}
  channels: {low: 16, high: 96, step: 8}
  policy: [P0, P2, P4]
  density: [0.25, 0.5]
  prologue_channels: [32, 64]
  prologue_stride: 2
  epilogue_channels: [32, 64]
  final_channels: [32, 64]
"""
LIMITS = "limits: {max_trained_parameters: 20000}\n"


def controls_of(text: str, budget: Budget | None = None) -> tuple[SearchSpace, Controls]:
    spec = read(text)
    pricing = Pricing(spec.machines, frames=128, outputs=12, budget=budget or spec.budget)
    return spec.space, Controls(spec.space, pricing)


def size(space: SearchSpace, values: dict[str, object]) -> int:
    """Trained parameters by the torch-free lowering, which no control is found with."""
    from dse.networks.lowering import lower

    return lower(space.point(values), frames=128, outputs=12).trained_parameters  # type: ignore[arg-type]


def test_a_control_is_the_same_network_narrower() -> None:
    """Of all dense designs, each looked at: the fewest axes apart within 95 to 100 %."""
    space, controls = controls_of(TEXT + LIMITS)
    ternary = next(
        values
        for values in space.enumerate()
        if values["policy"] == "P2" and values["blocks"] == 2 and values["channels"] == 64
    )
    budget = size(space, ternary)
    found = controls.find(ternary, budget)
    assert found is not None and found.inside and is_dense(found.point)
    count = size(space, found.values)
    assert 0.95 * budget <= count <= budget

    def apart(values: dict[str, object]) -> int:
        names = ("blocks", "channels", "prologue_channels", "epilogue_channels", "final_channels")
        return sum(values[name] != ternary[name] for name in names)

    every = [values for values in space.enumerate() if values["policy"] == "P0"]
    fair = [each for each in every if 0.95 * budget <= size(space, each) <= budget]
    assert len(fair) > 1
    assert apart(found.values) == min(map(apart, fair))
    assert controls.find(ternary, budget) == found


def test_a_control_keeps_the_limits() -> None:
    space, controls = controls_of(TEXT, Budget((Limit("energy_pj", 1.0e6),)))
    ternary = next(v for v in space.enumerate() if v["policy"] == "P4" and v["channels"] == 32)
    found = controls.find(ternary, size(space, ternary))
    if found is not None:
        assert controls.pricing.best(found.point).columns["energy_pj"] <= 1.0e6
    _, impossible = controls_of(TEXT, Budget((Limit("energy_pj", 1.0),)))
    assert impossible.find(ternary, size(space, ternary)) is None


def test_no_dense_design_is_a_control_of_one_that_is_far_smaller() -> None:
    space, controls = controls_of(TEXT)
    least = min(size(space, v) for v in space.enumerate() if v["policy"] == "P0")
    assert controls.find({"blocks": 1}, least / (LIKE * 1.01)) is None
    found = controls.find({"blocks": 1}, least / (LIKE * 0.99))
    assert found is not None and size(space, found.values) == least


@pytest.mark.parametrize(
    ("axes", "dense"),
    [
        ("policy: [P2, P4]", {"policy": ("P0",)}),
        ("policy: [P0, P1]", {"policy": ("P0",)}),
        (
            "block_mixer: ternary\n  skip: [identity_or_dense, identity_or_ternary, none]\n"
            "  skip_b2: [ternary]\n  final_mixer: [dense, ternary]",
            {
                "block_mixer": ("dense",),
                "skip": ("identity_or_dense", "none"),
                "skip_b2": ("dense",),
                "final_mixer": ("dense",),
            },
        ),
    ],
)
def test_the_dense_part_of_a_space_has_no_ternary_value(
    axes: str, dense: dict[str, tuple[str, ...]]
) -> None:
    space = read(TEXT.replace("policy: [P0, P2, P4]", axes)).space
    found = dense_space(space)
    values = {choice.name: choice.values for choice in found.choices}
    assert {name: values[name] for name in dense} == dense
    assert values["density"] == (0.25, 0.5)  # matters to none of them
    some = itertools.islice(found.enumerate(), 0, None, 37)
    assert all(is_dense(found.point(each)) for each in some)


def row(key: str, parameters: int) -> Evaluation:
    cost = {"trained_parameters": float(parameters)}
    return Evaluation(trial=0, status="trained", source="search", key=key, cost=cost, error=0.1)


def test_designs_are_alike_up_to_a_quarter_more() -> None:
    assert within(100, 125) and within(125, 100) and not within(100, 125.1)
    assert within(0, 0) and not within(0, 1) and not within(float("nan"), 1.0)
    ternary = [row("a", 1_000), row("a", 1_000), row("b", 2_000)]
    assert [each.key for each in without_control(ternary, [])] == ["a", "b"]
    assert [each.key for each in without_control(ternary, [row("c", 800)])] == ["b"]


def search(study: Path, folder: Path, *more: str) -> str:
    arguments = ["search", str(study), "--out", str(folder), "--workers", "1", *more]
    cache = study.parent / "cache"
    result = CliRunner().invoke(group, [*arguments, "--cache", str(cache)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.soak
def test_the_last_trainings_are_controls_and_a_resumed_study_has_the_same(
    study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(
        study_file.read_text()
        .replace("channels: {low: 8, high: 32, step: 8}", "channels: {low: 4, high: 32, step: 4}")
        .replace("prologue_channels: [8, 16]", "prologue_channels: [2, 4, 8, 16]")
        .replace("final_channels: [16, 32]", "final_channels: [4, 8, 16, 32]")
        .replace("epilogue_channels: 16", "epilogue_channels: [4, 8, 16]")
        .replace("trainings: 4", "trainings: 6\ncontrols: auto")
    )
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    printed = search(study_file, whole)
    rows = read_rows(whole)
    trained = [each for each in rows if each.full]
    assert len(trained) == 6  # controls are counted
    controls = [each for each in rows if is_control(each)]
    assert controls and all(each.full for each in controls)
    assert ", dense control" in printed
    found = open_study(whole)
    by_key = {each.key: each for each in rows}
    for control in controls:
        design = by_key[control.source.removeprefix(CONTROL)]
        assert found.is_ternary(design) and not found.is_ternary(control)
        sizes = [each.column("trained_parameters") for each in (control, design)]
        assert within(*sizes)
        assert " of " not in control.name  # its name says what it is, not what it is for
    # A search that is stopped after four and goes on takes its controls from the same rows.
    search(study_file, halves, "--trainings", "4")
    before = read_rows(halves)
    shutil.copytree(halves, tmp_path / "backup")
    search(study_file, halves)
    after = read_rows(halves)
    assert [each.key for each in after[: len(before)]] == [each.key for each in before]
    assert sum(each.full for each in after) == 6
    last = [(each.key, each.source) for each in after]
    search(study_file, tmp_path / "backup")
    assert [(each.key, each.source) for each in read_rows(tmp_path / "backup")] == last
    # A row that a kill cut off is trained again, as the same control.
    path = whole / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    for database in whole.glob("study.db*"):
        database.unlink()
    search(study_file, whole)
    assert [(each.key, each.source) for each in read_rows(whole)] == [
        (each.key, each.source) for each in rows
    ]
    report = study_report(whole)
    assert "no dense control of like size" not in str(report.sections[0])


def test_without_a_dense_axis_controls_stand_beside_the_space(
    study_file: Path, tmp_path: Path
) -> None:
    text = study_file.read_text().replace("[P0, P2, P4]", "[P2, P4]")
    study_file.write_text(text.replace("baselines: [matchboxnet-3x1x64]", "controls: auto"))
    folder = tmp_path / "beside"
    search(study_file, folder)
    rows = read_rows(folder)
    found = open_study(folder)
    controls = [each for each in rows if is_control(each) and each.full]
    assert controls and {each.trial for each in controls} == {-1}
    assert not any(map(found.is_ternary, controls))
    assert sum(each.full for each in rows) == 4


def test_check_says_that_the_last_trainings_are_controls(study_file: Path) -> None:
    arguments = ["search", str(study_file), "--check"]
    assert "controls" not in CliRunner().invoke(group, arguments).output
    result = CliRunner().invoke(group, [*arguments, "--controls", "auto"])
    assert "the last of these trainings are dense controls" in result.output


@pytest.mark.soak
def test_commands_of_a_report_train_what_they_say(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are printed, word for word: a control of the design that lacks one, fresh seeds."""
    text = study_file.read_text().replace("[P0, P2, P4]", "P2").replace("epochs: 2", "epochs: 1")
    study_file.write_text(
        text.replace("baselines: [matchboxnet-3x1x64]\ntrainings: 4", "trainings: 1")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "ternary-dse").symlink_to(study_file.parent / "cache")
    folder = tmp_path / "it's mine"
    search(study_file, folder)

    def run(*words: str) -> str:
        result = CliRunner().invoke(group, [*words])
        assert result.exit_code == 0, result.output
        return result.output

    said = re.findall(r"`dse ([^`]*)`", run("report", str(folder)))
    [wanted] = [line for line in said if "--controls auto" in line]
    run(*shlex.split(wanted))
    found = open_study(folder)
    [design, control] = found.trained
    assert is_control(control) and found.is_ternary(design) and not found.is_ternary(control)
    assert within(*(row.column("trained_parameters") for row in found.trained))
    said = re.findall(r"`dse ([^`]*)`", run("report", str(folder)))
    assert not any("--controls" in line for line in said)
    [confirm] = {line for line in said if line.startswith("confirm")}
    out = run(*shlex.split(confirm))
    assert "5 fresh seeds" in out and design.name in out
    more = [shlex.split(line) for line in re.findall(r"`dse ([^`]*)`", out)]
    assert all(words[0] == "confirm" and words[1] == str(folder) for words in more)
