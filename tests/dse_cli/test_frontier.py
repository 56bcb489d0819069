"""`dse frontier` and `dse search` as a person meets them."""

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest

from dse.columns import COST_COLUMNS
from dse.studies.folder import RESOLVED
from dse.studies.rows import FILE_NAME, Evaluation, append_row
from dse_cli import main
from tests.studies import SMALL, begin

COST = dict.fromkeys(COST_COLUMNS, 81_234.5)


def row(trial: int, error: float | None, energy_pj: float) -> Evaluation:
    return Evaluation(
        trial=trial,
        status="infeasible" if error is None else "trained",
        source="search",
        key=f"key{trial}",
        name="3x2x16/32/48 ternary 0.25",
        error=error,
        cost=COST | {"energy_pj": energy_pj},
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Trials 0 and 1 are the frontier, 2 is dominated. The name would be markup to rich."""
    folder = tmp_path / "my [bold] study"
    begin(folder)
    for item in (row(0, 0.4, 123_456.0), row(1, 0.2, 1e6), row(2, 0.3, 2e6), row(3, None, 9e6)):
        append_row(folder, item)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def test_no_number_of_the_table_is_cut_short(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = run(capsys, "frontier", study)
    assert code == 0
    assert "…" not in out
    assert "small: 4 candidates priced on kws_ternary, low_leakage_45nm: 3 trained, 1 infeas" in out
    rows = [line.split() for line in out.splitlines() if re.match(r" +\d+ +3x2x16", line)]
    assert [line[0] for line in rows] == ["0", "1"]
    assert rows[0][1:6] == ["3x2x16/32/48", "ternary", "0.25", "40.0", "81,234"]
    assert "0.123" in rows[0]  # 123,456 pJ


@pytest.mark.parametrize("objective", ["error", "quantised_error"])
def test_the_error_that_the_study_minimises_stands_first_and_the_other_beside_it(
    objective: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path, SMALL + f"objectives: [{objective}, energy_pj]\n")
    append_row(tmp_path, dataclasses.replace(row(0, 0.4, 123_456.0), quantised_error=0.45))
    append_row(tmp_path, dataclasses.replace(row(1, 0.39, 1e6), quantised_error=0.41))
    _, out, _ = run(capsys, "frontier", tmp_path)
    lines = out.splitlines()
    [heading] = [line for line in lines if "whole numbers" in line and "adds" in line]
    first = {
        "error": ("error", "in whole numbers"),
        "quantised_error": ("in whole numbers", "error"),
    }
    assert re.search(" +".join(first[objective]), heading)
    [told] = [line.split() for line in lines if re.match(r" +0 +3x2x16", line)]
    assert told[4:6] == (["40.0", "45.0"] if objective == "error" else ["45.0", "40.0"])


def test_a_design_without_an_error_in_whole_numbers_shows_none(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append_row(study, dataclasses.replace(row(4, 0.1, 3e6), quantised_error=0.12))
    _, out, _ = run(capsys, "frontier", study)
    rows = [line.split() for line in out.splitlines() if re.match(r" +\d+ +3x2x16", line)]
    assert [line[4:6] for line in rows] == [["40.0", "-"], ["20.0", "-"], ["10.0", "12.0"]]


def test_folders_are_printed_as_they_are_called(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "frontier", study)
    assert f"table      {study / 'frontier.csv'}\n" in out
    assert f"dse search '{study}' --trainings 8 " in out  # as a shell takes it
    assert f"dse estimate '{study}' --design 1 " in out
    assert (study / "frontier.csv").exists() and (study / "frontier.png").exists()


def test_csv_is_the_frontier_and_nothing_is_written(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(study.iterdir())
    code, out, _ = run(capsys, "frontier", study, "--csv")
    read = list(csv.DictReader(io.StringIO(out)))
    assert (code, [line["trial"] for line in read]) == (0, ["0", "1"])
    assert float(read[0]["energy_pj"]) == 123_456.0
    assert sorted(study.iterdir()) == before


def test_a_study_without_trained_designs_says_what_to_do(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / FILE_NAME).write_text("")
    code, out, _ = run(capsys, "frontier", study)
    assert code == 1
    assert "0 candidates priced on kws_ternary, low_leakage_45nm: none" in out
    assert "no design is trained yet: let the search go on" in out


@pytest.mark.parametrize("command", ["frontier", "search"])
def test_a_folder_that_is_no_study_is_one_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, command, tmp_path)
    assert code == 2
    assert err == (
        f"dse: {tmp_path} holds no study (no resolved.yaml): name a folder that `dse search` made\n"
    )


def test_check_says_what_a_study_is(
    study_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with study_file.open("a") as file:
        file.write("hours: 2\npatience: {trainings: 5, improvement: 0.02}\n")
    code, out, _ = run(capsys, "search", study_file, "--check", "--trainings", 6)
    assert code == 0
    assert "minimises error, energy_pj; trained_parameters <= 2,500;" in out
    assert (
        "ends after 6 trainings or 300 candidates or 2 hours or "
        "5 trainings that raise the hypervolume by less than 2.00%" in out
    )
    assert not (tmp_path / "studies").exists()


def test_ctrl_c_before_there_is_a_folder_names_no_folder(
    study_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dse.speech.loading.load_speech", interrupted)
    code, out, _ = run(capsys, "search", study_file, "--out", tmp_path / "[b] x")
    assert code == 130
    assert f"study tones in {tmp_path}/[b] x" in out
    assert out.endswith("nothing evaluated is lost. Go on with: the same command\n")


def test_the_command_that_goes_on_has_all_that_was_typed(
    study_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_spec: object, _given: object, folder: Path, *_: object, **__: object) -> None:
        folder.mkdir()
        (folder / RESOLVED).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("search.study.run_study", interrupted)
    typed = ["--controls", "auto", "--trainings", 6, "--workers", 1]
    url = "postgresql://me:secret@host/trials"
    out_of = ("search", study_file, "--out", tmp_path / "it", *typed, "--storage", url)
    code, out, _ = run(capsys, *out_of)
    assert code == 130 and "secret" not in out
    again = out.partition("Go on with: ")[2]
    assert again.startswith(f"dse search {tmp_path / 'it'} ")
    assert all(f"{name} {value}" in again for name, value in zip(*[iter(typed)] * 2, strict=True))
    assert again.endswith(" --storage 'postgresql://me:***@host/trials'\n")


def test_a_record_cut_short_is_one_sentence(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study / RESOLVED
    path.write_text(re.sub(r"(?m)^base_folder: .*\n", "", path.read_text()))
    code, _, err = run(capsys, "search", study)
    assert code == 2
    assert err == (
        f"dse: missing key 'base_folder' ({path}:1): restore resolved.yaml from a backup, or "
        "search anew with this version\n"
    )
