"""Commands that we print, run as they stand in a shell's words, give the figures beside them.

A next step that prices another machine, or another network, would be believed: it looks the same.
So the tests read what is printed, as a person does, run it, and hold both sides together.
"""

import dataclasses
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from dse.design.published import published
from dse.pricing.pricing import Pricing
from dse.studies.rows import Evaluation, append_row
from dse.studies.spec import StudySpec
from dse.studies.study import open_study
from dse_cli import group, main
from tests.dse_cli.test_numbers import commands
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


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(ONE, id="one"),
        pytest.param(SEVERAL, id="several", marks=pytest.mark.soak),
    ],
)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Priced once; each test has a copy."""
    folder = tmp_path_factory.mktemp("filled")
    fill(begin(folder, request.param), folder)
    return folder


@pytest.fixture
def study(filled: Path, tmp_path: Path) -> Path:
    """A study in a folder whose name a shell would take apart."""
    return shutil.copytree(filled, tmp_path / "my studies" / "it's here")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What a command prints on stdout; what it writes is no file of the repository."""
    monkeypatch.chdir(tmp_path)

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


def reported(run: Run, *words: object) -> tuple[Any, list[list[str]]]:
    """The content of the report that a command writes, and the commands that reproduce it."""
    [path, *_] = run(*words, "--format", "json", "--out", "r").splitlines()
    content = json.loads(Path(path).read_text())
    lines = [line for section in content["sections"] for line in section["code"]]
    return content, [shlex.split(line) for line in lines]


def test_the_report_of_a_study_prints_the_command_that_makes_it_again(
    study: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own machines, designs, rate, battery and limit: their figures stand in it."""
    monkeypatch.chdir(study.parent)
    asked = ("--design", "0", "--machine", "kws_tiny", "--battery-mwh", "99", "--max-error", "40")
    content, commands = reported(run, "report", study, *asked)
    assert [words[1] for words in commands] == ["search", "report"]
    for words in commands:
        parsed(words)
    # A report knows no folders: the study's is called by its name.
    study.rename(name := open_study(study).asked.name)
    assert commands[-1][:3] == ["dse", "report", name]
    assert reported(run, *commands[-1][1:])[0] == content


def test_the_report_of_designs_prints_the_command_that_makes_it_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("export", "design", "matchboxnet-3x1x64-P2", "--out", "my design.yaml")
    run("export", "machine", "kws_int8", "--out", "it's.yaml")
    run("export", "technology", "low_leakage_22nm", "--out", "my 22.yaml")
    designs = ("my design.yaml", "matchboxnet-3x1x64")
    machines = ("--machine", "it's.yaml", "--machine", "kws_ternary")
    sizes = ("--frames", "98", "--outputs", "10", "--rate", "0.1", "--battery-mwh", "12.5")
    mine = ("--technology", "my 22.yaml,low_leakage_45nm")
    content, [words] = reported(run, "report", *designs, *machines, *sizes, *mine)
    assert reported(run, *words[1:])[0] == content


def test_next_steps_give_the_figures_of_the_table_they_stand_below(study: Path, run: Run) -> None:
    """`dse report` builds on the design of the least error, with the costs of its line."""
    out = run("frontier", study)
    best = min(open_study(study).frontier, key=lambda row: row.column("error"))
    [words] = [words for words in printed_commands(out) if words[1] == "report"]
    content, _ = reported(run, *words[1:])
    assert f"Build {best.name} " in str(content["sections"][0])
    text = run(*words[1:])
    for words in in_sentences(text):
        parsed(words)
        assert str(study) in words


def in_sentences(text: str) -> list[list[str]]:
    """Each `dse ...` that stands in a sentence, between backquotes."""
    return [shlex.split(command) for command in re.findall(r"`(dse [^`]*)`", text)]


def test_every_help_text_prints_commands_that_there_are() -> None:
    """Words and options; what files they name is the reader's."""
    count = 0
    for words, command in commands(group):
        text = f"{command.help}\n{command.epilog}"
        for line in re.findall(r"^ *(dse .+?)(?: {2,}.*)?$", text, flags=re.MULTILINE):
            typed = shlex.split(line)[1:]
            inner, context = group, click.Context(group)
            while isinstance(inner, click.Group):
                found = inner.get_command(context, typed[0])
                assert found is not None, line
                inner, typed = found, typed[1:]
            inner.make_context(words[-1] if words else "dse", typed)
            count += 1
    assert count > 40


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


@pytest.mark.parametrize("command", ["frontier", "report"])
def test_a_file_of_a_study_is_not_taken_for_its_folder(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is named instead stands there so that a shell reads it as one word."""
    folder = tmp_path / "it's mine"
    begin(folder, ONE)
    (folder / "study.yaml").write_text(ONE)
    with pytest.raises(SystemExit) as caught:
        main([command, str(folder / "study.yaml")])
    err = capsys.readouterr().err
    assert caught.value.code == 2
    if command == "report":  # of designs, unless it is told that this is a study
        [words] = in_sentences(err)
        assert words == ["dse", "search", str(folder / "study.yaml")]
    else:
        assert "study.yaml is a file: name the folder of a study" in err


def test_an_empty_name_is_not_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--machine", ""), ("--technology", ","), ("--compare", " ")):
        with pytest.raises(SystemExit) as caught:
            main(["estimate", "matchboxnet-3x1x64", *words])
        assert caught.value.code == 2
        assert re.search("no machine is called ''|names nothing", capsys.readouterr().err)


def test_a_study_is_not_exported_without_its_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, `dse export onnx STUDY` wrote the network of its best design with random weights."""
    fill(begin(tmp_path, ONE), tmp_path)
    found = open_study(tmp_path)
    best = min(found.frontier, key=lambda row: row.column("error"))
    found.find_folder(best).mkdir(parents=True)
    weights = found.find_folder(best) / "best.pt"
    weights.touch()
    with pytest.raises(SystemExit) as caught:
        main(["export", "header", str(tmp_path), "--out", str(tmp_path / "h")])
    assert caught.value.code == 2
    assert f"has trained weights: export {weights}" in capsys.readouterr().err


def test_a_command_that_there_is_not_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["estimat"])
    assert caught.value.code == 2
    assert "No such command 'estimat'. Did you mean 'estimate'?" in capsys.readouterr().err


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
