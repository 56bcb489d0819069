import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dse.columns import COST_COLUMNS
from dse.errors import InvalidFile, InvalidStudy
from dse.studies.rows import (
    FILE_NAME,
    Evaluation,
    append_row,
    evaluation_from_dict,
    load_results,
    read_rows,
    repair,
    table,
)

COST = {name: float(index) for index, name in enumerate(COST_COLUMNS)}


def row(trial: int) -> Evaluation:
    return Evaluation(
        trial=trial,
        status="trained",
        source="search",
        key=f"key{trial}",
        name="3x1x64 <b>",
        values={"channels": 64, "policy": "P1", "dropout": 0.1},
        cost=COST,
        error=0.125,
        best_epoch=3,
        epochs=5,
        training_seconds=1.5,
    )


def test_a_row_survives_the_round_trip(tmp_path: Path) -> None:
    rows = [row(0), Evaluation(trial=1, status="invalid", source="search", reason="no")]
    for item in rows:
        append_row(tmp_path, item)
    assert read_rows(tmp_path) == rows
    assert evaluation_from_dict(rows[0].to_dict()) == rows[0]


def test_the_table_has_named_columns_with_units(tmp_path: Path) -> None:
    append_row(tmp_path, row(0))
    frame = load_results(tmp_path)
    assert set(COST_COLUMNS) <= set(frame.columns)
    assert {
        "schema_version",
        "key",
        "error",
        "seed",
        "accelerator",
        "technology",
        "code_version",
        "axis_channels",
    } <= set(frame.columns)
    assert frame.loc[0, "axis_policy"] == "P1"
    assert list(table([]).columns)[:2] == ["schema_version", "trial"]


def test_a_line_cut_short_is_no_row_and_is_repaired(tmp_path: Path) -> None:
    for trial in range(3):
        append_row(tmp_path, row(trial))
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert [item.trial for item in read_rows(tmp_path)] == [0, 1]
    repair(tmp_path)
    append_row(tmp_path, row(2))
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    append_row(tmp_path, row(0))
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write("{broken\n")
    with pytest.raises(InvalidFile, match=rf"not a row of results: .*{FILE_NAME}:2\)"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"error": 0.125', '"error": NaN', "error must be a number from 0 to 1, not nan"),
        ('"error": 0.125', '"error": "low"', "error must be a number from 0 to 1, not 'low'"),
        ('"error": 0.125', '"error": null', "error is null"),
        (f'"energy_pj": {COST["energy_pj"]}, ', "", "energy_pj is missing"),
        ('"key0"', '"key\udcff"', "can't decode byte 0xff"),
    ],
)
def test_a_row_without_its_numbers_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    append_row(tmp_path, row(0))
    path = tmp_path / FILE_NAME
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new).encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidFile, match="not a row of results") as caught:
        read_rows(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize("version", [1, 3, 99, "4"])
def test_another_schema_is_refused(tmp_path: Path, version: object) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps(row(0).to_dict() | {"schema_version": version}) + "\n")
    with pytest.raises(InvalidFile) as caught:
        read_rows(tmp_path)
    assert str(caught.value) == (
        f"schema_version {version!r} cannot be read: this program reads 4; search anew, in another "
        f"folder ({path}:1)"
    )


def test_half_a_character_becomes_a_question_mark(tmp_path: Path) -> None:
    append_row(tmp_path, dataclasses.replace(row(0), name="\ud800 \U0001f600", reason="\udcff"))
    [read] = read_rows(tmp_path)
    assert (read.name, read.reason) == ("? \U0001f600", "?")


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy, match=r"holds no results\.jsonl"):
        load_results(tmp_path)
    with pytest.raises(InvalidStudy, match="is no folder"):
        load_results(tmp_path / "nothing")


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: the write fails in the middle of the line."""
    append_row(tmp_path, row(0))
    before = (tmp_path / FILE_NAME).read_bytes()
    program = f"""
import resource, signal
from pathlib import Path
from tests_row import row
from dse.studies.rows import append_row
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 40}, {len(before) + 40}))
try:
    append_row(Path({str(tmp_path)!r}), row(1))
except OSError as error:
    print(type(error).__name__)
"""
    (tmp_path / "tests_row.py").write_text(
        "from dse.studies.rows import *\ndef row(trial):\n"
        "    return Evaluation(trial=trial, status='trained', source='search')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == "OSError"
    assert (tmp_path / FILE_NAME).read_bytes() == before
