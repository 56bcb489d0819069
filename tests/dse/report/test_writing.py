"""Where files go, what stands in the way, and `dse report` as a person meets it."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dse.errors import InvalidInput
from dse.report import FORMATS, Report, render, study_report, write_report
from dse_cli import main

from .conftest import DENSE, StudyMaker


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    out, err = capsys.readouterr()
    return caught.value.code, out, err


def test_a_folder_gets_all_formats(report: Report, tmp_path: Path) -> None:
    paths = write_report(report, tmp_path / "out", FORMATS)
    assert paths[:2] == [tmp_path / "out" / "small.html", tmp_path / "out" / "small.pdf"]
    assert all(path.is_file() for path in paths)
    found = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == set(paths)  # and no temporary file


def test_a_file_is_named_by_its_suffix(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    assert write_report(report, path, ("json",)) == [path]
    assert path.read_bytes() == render(report, "json")
    with pytest.raises(InvalidInput, match="one file of format json, and asked for are html, pdf"):
        write_report(report, path, ("html", "pdf"))
    with pytest.raises(InvalidInput, match=r"designs\.csv: csv is several files"):
        write_report(report, tmp_path / "designs.csv", ("csv",))


def test_a_full_disk_leaves_the_old_files_whole(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(report, tmp_path, ("html",))
    before = (tmp_path / "small.html").read_bytes()
    write = Path.write_bytes

    def until_full(path: Path, content: Any) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", until_full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_report(report, tmp_path, ("html", "json"))
    assert caught.value.filename == str(tmp_path / "small.html")
    assert [path.name for path in tmp_path.iterdir()] == ["small.html"]
    assert (tmp_path / "small.html").read_bytes() == before


def test_a_missing_library_leaves_nothing_behind(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "reportlab", None)
    with pytest.raises(InvalidInput, match="PDF needs reportlab"):
        write_report(report, tmp_path / "out", ("html", "pdf"))
    assert not (tmp_path / "out").exists()


def test_the_same_study_elsewhere_gives_the_same_bytes(
    finished_study: Path, study: Path, tmp_path: Path
) -> None:
    assert study != finished_study
    one, other = study_report(finished_study), study_report(study)
    for form in ("html", "md", "json", "csv"):
        assert render(one, form) == render(other, form)


def test_the_command_writes_and_says_the_answer(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "report", study)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == str(study / "report" / "small.html")
    assert "Build 2x1x96 P1 0.25 (trial 3): the lowest error of 4 trained designs" in out
    assert (study / "report" / "small.html").is_file()


def test_the_command_takes_formats_machines_and_designs(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out_folder = tmp_path / "review"
    code, out, _ = run(
        capsys,
        "report",
        study,
        "matchboxnet-3x1x64-P2",
        "--design",
        1,
        "--machine",
        "kws_int8",
        "--rate",
        10,
        "--format",
        "json,csv",
        "--out",
        out_folder,
    )
    assert code == 0
    assert str(out_folder / "small.json") in out
    machines = (out_folder / "csv" / "on_machines.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in machines[1:]] == ["kws_ternary", "kws_int8"] * 2
    assert "average_power_uw" in machines[0]


def test_designs_are_reported_without_a_study(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = next((study / "designs").iterdir())
    path = tmp_path / "two.json"
    code, out, _ = run(
        capsys, "report", "matchboxnet-3x1x64-P3", design, "--machine", "kws_int8", "--out", path
    )
    assert code == 0
    assert out.startswith(f"{path}\n")
    text = path.read_text()
    assert f"dse report matchboxnet-3x1x64-P3 {design.name} --machine kws_int8" in text


def test_a_line_that_repeats_a_report_is_safe_in_a_shell(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "$(touch evil) <b>.yaml"
    shutil.copy(next((study / "designs").glob("*/design.yaml")), design)
    code, _, _ = run(capsys, "report", design, "--out", tmp_path / "x.json")
    assert code == 0
    assert "dse report '$(touch evil) <b>.yaml'" in (tmp_path / "x.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["STUDY", "--format", "docx"], "dse: there is no format 'docx': formats are html, pdf"),
        (["STUDY", "--format", ","], "dse: --format names none: formats are"),
        (["STUDY", "--design", "99"], "has no design '99': give a trial number or a key"),
        (["STUDY", "--machine", "kws"], "dse: no machine is called 'kws'"),
        (["STUDY", "--frames", "64"], "--frames comes from the study: leave it out"),
        (["STUDY", "EMPTY"], "dse: one study at a time:"),
        (["EMPTY"], "holds no study (no resolved.yaml): name a folder that `dse search` made"),
        (["matchboxnet-3x1x64", "--design", "1"], "--design chooses from a study"),
        (["matchboxnet"], "dse: there is no published network 'matchboxnet'"),
        (["STUDY", "--out", "x.csv"], "x.csv: csv is several files, a table or a plot each"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    words: str,
    study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"STUDY": str(study), "EMPTY": str(tmp_path / "empty")}
    code, out, err = run(capsys, "report", *(places.get(each, each) for each in arguments))
    assert (code, out) == (2, "")
    assert words in err


def test_a_study_in_progress_says_so_in_the_terminal(
    make: Callable[..., StudyMaker], capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make()
    maker.add(DENSE, 24)
    code, out, _ = run(capsys, "report", maker.folder)
    assert code == 0
    assert "The study is in progress: 1 of 4 trainings are done" in out


def test_loads_no_library_before_its_format_is_asked_for() -> None:
    code = (
        "import sys, dse.report, dse_cli.report; "
        "print(*sorted({'torch', 'optuna', 'reportlab', 'xlsxwriter', 'pyarrow', 'matplotlib'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_example_of_the_document_runs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "how-to" / "reports.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {}
    exec(compile(example, "reports.md", "exec"), names)
    assert names["page"].startswith(b"<!doctype html>")
    assert len(names["energy"]) == 2
