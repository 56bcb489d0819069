"""Commands that we print, run as they stand in a shell's words, give the figures beside them.

A next step that prices another machine, or another network, would be believed: it looks the same.
So the tests read what is printed, as a person does, run it, and hold both sides together.
"""

import dataclasses
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from dse.design.published import published
from dse.pricing.pricing import Pricing
from dse.studies.rows import Evaluation, append_row
from dse.studies.spec import StudySpec
from dse.studies.study import open_study
from dse_cli import group, main
from tests.studies import begin

ONE = """
name: one
data: {folder: speech, task: {kind: commands}, features: {frames: 96}}
space: {blocks: [1, 2], channels: [16, 32], policy: [P0, P2], density: 0.125}
machine: kws_int8
rate: 5
objectives: [error, energy_pj, average_power_uw]
trainings: 4
"""
SEVERAL = """
name: several
data: {folder: speech, task: {kind: commands}}
space: {blocks: [1, 2], channels: [16, 32], policy: [P0, P2], density: 0.125}
hardware:
  machine: [kws_ternary, kws_int8]
  clock_mhz: [5, 10]
  memories: {weight_sram: {capacity_bits: [fit, 1048576]}}
objectives: [error, energy_pj, latency_us]
trainings: 4
"""
Run = Callable[..., str]


def fill(spec: StudySpec, folder: Path) -> None:
    """Rows of designs of the space and of a baseline beside it, priced as a search prices them."""
    pricing = Pricing(
        spec.machines,
        frames=spec.features.frames,
        outputs=12,
        rate=spec.inferences_per_second,
        objectives=spec.objectives,
    )
    beside = published("matchboxnet-3x1x64")
    for trial, values in enumerate([None, *spec.space.enumerate()], start=-1):
        point = beside if values is None else spec.space.point(values)
        priced = pricing.best(point)
        row = Evaluation(
            trial=trial,
            status="trained",
            source="search" if values else beside.name,
            key=point.key,
            name=point.label,
            values=values or {},
            cost=priced.columns,
            accelerator=priced.machine.accelerator.name,
            technology=priced.machine.technology.name,
            # The dearer, the better: all of them are on the frontier, the baseline at last.
            error=round(1 / (2 + priced.columns["energy_pj"] * 1e-6), 6),
            epochs=1,
        )
        append_row(folder, row)


@pytest.fixture(params=[ONE, SEVERAL], ids=["one", "several"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A study in a folder whose name a shell would take apart."""
    folder = tmp_path / "my studies" / "it's here"
    fill(begin(folder, request.param), folder)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """What a command prints on stdout."""

    def call(*words: object) -> str:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert caught.value.code == 0, err
        return out

    return call


def printed_commands(text: str) -> list[list[str]]:
    """Each `dse ...` of a text by its words, as a shell would read the line up to its remark."""
    found = re.findall(r"^  (dse .*?)(?:    .*)?$", text, flags=re.MULTILINE)
    return [shlex.split(line) for line in found]


def parsed(words: list[str]) -> click.Context:
    """The command's own reading of its words; an unknown option or a wrong value is an error."""
    command = group.get_command(click.Context(group), words[1])
    assert command is not None
    return command.make_context(words[1], words[2:])


def test_each_command_is_one_that_there_is(study: Path, run: Run) -> None:
    commands = printed_commands(run("frontier", study))
    assert [words[1] for words in commands] == [
        *("estimate", "search", "confirm", "report", "dashboard")
    ]
    for words in commands:
        parsed(words)
        assert str(study) in words
    search = next(words for words in commands if words[1] == "search")
    assert int(search[search.index("--trainings") + 1]) > open_study(study).asked.trainings


def test_the_next_step_gives_the_figures_of_the_table(study: Path, run: Run) -> None:
    out = run("frontier", study)
    best = min(open_study(study).frontier, key=lambda row: row.column("error"))
    [words] = [words for words in printed_commands(out) if words[1] == "estimate"]
    [priced] = json.loads(run(*words[1:], "--json"))
    assert (priced["design"], priced["design_key"]) == (best.name, best.key)
    assert priced["accelerator"] == best.accelerator
    for column, figure in best.cost.items():
        if column != "average_power_uw":
            assert priced["total"][column] == pytest.approx(figure, rel=1e-12), column
    assert priced["application"]["rate"] == open_study(study).asked.inferences_per_second
    power = priced["application"]["average_power_uw"]
    mid = power["mid"] if isinstance(power, dict) else power
    assert mid == pytest.approx(best.cost["average_power_uw"], rel=1e-9)


def test_any_row_of_the_frontier_can_be_asked_for(study: Path, run: Run) -> None:
    """By its trial, by its key, and on the machine of its line."""
    found = open_study(study)
    for row in (found.frontier[0], found.frontier[-1]):
        words = ["estimate", study, "--design", row.key, "--machine", row.accelerator, "--json"]
        [priced] = json.loads(run(*words))
        assert priced["total"]["energy_pj"] == pytest.approx(row.cost["energy_pj"], rel=1e-12)


def test_a_machine_of_the_library_may_take_the_place_of_the_study_s(study: Path, run: Run) -> None:
    [priced] = json.loads(run("estimate", study, "--machine", "edge_tpu_like", "--json"))
    assert priced["accelerator"] == "edge_tpu_like"


def test_the_report_of_a_study_prints_commands_that_there_are(study: Path, run: Run) -> None:
    run("report", study, "--format", "json")
    [path] = (study / "report").glob("*.json")
    code = [
        line for section in json.loads(path.read_text())["sections"] for line in section["code"]
    ]
    assert code
    for line in code:
        words = shlex.split(line)
        assert words[0] == "dse"
        parsed(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--design", "99"), "has no design '99': give a trial number or a key"),
        (("--machine", "kws"), "no machine is called 'kws'"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(begin(tmp_path, ONE), tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["estimate", str(tmp_path), *words])
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_design_needs_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["estimate", "matchboxnet-3x1x64", "--design", "3"])
    assert "--design chooses from a study: name its folder first" in capsys.readouterr().err


def test_a_row_that_a_study_has_lost_the_network_of_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(begin(tmp_path, ONE), tmp_path)
    row = open_study(tmp_path).rows[-1]
    append_row(tmp_path, dataclasses.replace(row, trial=50, key="0123456789ab"))
    with pytest.raises(SystemExit) as caught:
        main(["estimate", str(tmp_path), "--design", "50"])
    assert caught.value.code == 2
    assert "says any more what" in capsys.readouterr().err
