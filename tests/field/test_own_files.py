"""Damage done to the files of a study: read by one reader, or refused in one sentence.

The folder of a study is copied between machines and disks, edited by hand, written to by scripts.
Whoever opens it reads, computes and shows what is left of it.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dashboard.studies
from cost_models import Band
from cost_models.strict_yaml import parse_yaml, read_yaml
from dashboard.heard import read_texts
from dashboard.studies import TableRows, read_rows_quickly
from dse.design.point import point_from_node
from dse.design.published import published
from dse.errors import InvalidFile, InvalidInput
from dse.studies.cluster_state import FILE_NAME as CLUSTER
from dse.studies.cluster_state import (
    ClusterState,
    NodeState,
    TaskState,
    read_cluster_state,
    write_cluster_state,
)
from dse.studies.confirmed import Confirmed, read_confirmed, write_confirmed
from dse.studies.folder import CONFIRMED, RESOLVED
from dse.studies.growth import growth
from dse.studies.holder import read_holder
from dse.studies.mistakes import read_mistakes
from dse.studies.repeats import FILE_NAME as REPEATS
from dse.studies.repeats import Repeat, read_repeats
from dse.studies.resolved import parse_resolved, read_resolved
from dse.studies.rows import FILE_NAME, LONGEST, Results, read_results, table
from dse.studies.study import Study, open_study
from dse.training.best_scores import FILE_NAME as SCORES
from dse.training.best_scores import BestScores, read_best_scores, write_best_scores
from dse.training.best_sentences import (
    HYPOTHESES,
    BestSentences,
    heard_of,
    read_best_sentences,
    write_best_sentences,
)
from dse.training.history import FILE_NAME as HISTORY
from dse.training.history import EpochRecord, history_from_text, read_history, write_history
from tests.dse_cli.test_printed_commands import ONE, SEVERAL, fill
from tests.field.mutations import as_yaml, check_outcome, damaged_data, damaged_text
from tests.studies import begin


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(ONE, id="one"),
        pytest.param(SEVERAL, id="several", marks=pytest.mark.soak),
    ],
)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a row for each design, on one machine or on several."""
    folder = tmp_path_factory.mktemp("study")
    fill(begin(folder, request.param), folder)
    return folder


def as_json(plain: Any) -> str:
    """Plain data as JSON, whatever it holds: numbers of very many digits, infinities, halves."""
    if isinstance(plain, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {as_json(v)}" for k, v in plain.items()) + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(map(as_json, plain)) + "]"
    if type(plain) is int and abs(plain) > 10**4000:
        return "9" * 5000
    return json.dumps(plain)


def cell_text(value: Any) -> str:
    """A cell of CSV, whatever it holds."""
    return value if isinstance(value, str) else as_json(value)


def look(study: Study) -> None:
    """What every page and command asks of a study."""
    assert len(study.pairs) >= len(study.rows)
    assert 0 <= study.hypervolume <= 1
    assert isinstance(study.ended_by, str)
    growth(study.rows, study)
    table(study.frontier)
    for row in study.frontier:
        study.find_machine(row)
        study.build_point(row)
        study.has_checkpoint(row)


def test_a_damaged_record(study: Path, tmp_path: Path) -> None:
    good = read_yaml(study / RESOLVED).plain()
    (tmp_path / FILE_NAME).write_bytes((study / FILE_NAME).read_bytes())
    # A record of several machines has so many lines that each case takes some tenths of a second.
    few = "hardware" in good and good["hardware"] is not None
    cases = [as_yaml(case) for case in damaged_data(good, 12 if few else 50, seed=1)]
    cases += damaged_text((study / RESOLVED).read_text(), 6 if few else 20, seed=2)

    def read() -> None:
        look(open_study(tmp_path))

    outcomes = []
    for case in cases:
        (tmp_path / RESOLVED).write_text(case, encoding="utf-8", errors="surrogatepass", newline="")
        outcomes.append(check_outcome(read, case))
    assert True in outcomes and False in outcomes


def row_cases(good: list[dict[str, Any]]) -> Iterator[str]:
    """Files of rows: one value wrong, a key gone or misspelt, letters and lines damaged."""
    for case in damaged_data(good, 130, seed=3):
        yield "".join(f"{as_json(row)}\n" for row in case)
    yield from damaged_text("".join(f"{json.dumps(row)}\n" for row in good), 44, seed=4)


def test_damaged_rows_are_the_same_to_all_readers(study: Path, tmp_path: Path) -> None:
    """Whatever is damaged: both readers see the same rows, or say the same sentence."""
    lines = (study / FILE_NAME).read_text().splitlines()[:4]
    (tmp_path / RESOLVED).write_bytes((study / RESOLVED).read_bytes())

    def told(reader: Callable[[Path], Results]) -> tuple[Any, str]:
        try:
            found = reader(tmp_path)
        except InvalidFile as error:
            return None, str(error)
        return [row.to_dict() for row in found.rows], found.refused

    refused = 0
    # A search only ever appends, so pages read on from where they were; here lines are rewritten.
    dashboard.studies._PARSED.clear()
    for case in row_cases([json.loads(line) for line in lines]):
        (tmp_path / FILE_NAME).write_text(
            case, encoding="utf-8", errors="surrogatepass", newline=""
        )
        careful, quick = told(read_results), told(read_rows_quickly)
        dashboard.studies._PARSED.clear()
        assert careful == quick, case
        refused += bool(careful[1])
        check_outcome(lambda: look(open_study(tmp_path)), case)
    assert refused > 80


def test_good_rows_are_read_by_columns(study: Path) -> None:
    """Or the quick reader would be none."""
    found = read_rows_quickly(study)
    assert isinstance(found.rows, TableRows) and not found.refused
    assert list(found.rows) == list(read_results(study).rows)


def test_a_row_that_is_changed_in_place_is_read_again(study: Path, tmp_path: Path) -> None:
    # The same file of the same size, and its end is as it was: an editor, or a disk.
    row = json.loads((study / FILE_NAME).read_text().splitlines()[0])
    lines = "".join(f"{json.dumps(row | {'trial': trial, 'seed': 1})}\n" for trial in range(30))
    path = tmp_path / FILE_NAME
    path.write_text(lines)
    assert read_rows_quickly(tmp_path).rows[0].seed == 1
    with path.open("r+") as file:
        file.write(lines.replace('"seed": 1', '"seed": 2', 1))
    assert [each.seed for each in read_rows_quickly(tmp_path).rows[:2]] == [2, 1]
    # One that has grown is read on.
    with path.open("a") as file:
        file.write(f"{json.dumps(row | {'trial': 30})}\n")
    assert len(read_rows_quickly(tmp_path).rows) == 31


def test_texts_have_one_bound_for_all_readers(study: Path, tmp_path: Path) -> None:
    row = json.loads((study / FILE_NAME).read_text().splitlines()[0])
    for length, count in ((LONGEST, 2), (LONGEST + 1, 1)):
        long = row | {"trial": 1, "reason": "x" * length}
        (tmp_path / FILE_NAME).write_text(f"{json.dumps(row)}\n{json.dumps(long)}\n")
        assert len(read_rows_quickly(tmp_path).rows) == len(read_results(tmp_path).rows) == count


def test_a_row_among_good_ones_is_told_with_its_line_and_the_others_count(study: Path) -> None:
    lines = (study / FILE_NAME).read_text().splitlines()
    bad = json.dumps(json.loads(lines[1]) | {"trial": [7]})
    folder = study.parent / f"{study.name}-damaged"
    folder.mkdir(exist_ok=True)
    (folder / RESOLVED).write_bytes((study / RESOLVED).read_bytes())
    (folder / FILE_NAME).write_text("\n".join([lines[0], bad, *lines[2:], ""]))
    found = open_study(folder)
    assert found.refused == (
        "not a row of results: trial must be a whole number from -1 to 1,000,000,000,000, not [7]; "
        f"restore the line or remove it ({folder / FILE_NAME}:2); the other rows are used"
    )
    assert len(found.rows) == len(lines) - 1


def test_keys_that_lead_elsewhere_are_no_keys(study: Path, tmp_path: Path) -> None:
    line = json.loads((study / FILE_NAME).read_text().splitlines()[0])
    (tmp_path / RESOLVED).write_bytes((study / RESOLVED).read_bytes())
    for key in ("../../etc", "/etc", "a/b", "..", "a\x00b", "a b", "\u00e9", "a" * 65, "C:x"):
        (tmp_path / FILE_NAME).write_text(json.dumps(line | {"key": key}) + "\n")
        for reader in (read_results, read_rows_quickly):
            with pytest.raises(InvalidFile, match="key must be letters and digits, as it names"):
                reader(tmp_path)


def test_control_characters_of_a_row_become_question_marks(study: Path, tmp_path: Path) -> None:
    line = json.loads((study / FILE_NAME).read_text().splitlines()[0])
    hostile = "\x1b[31mred\x1b]0;title\x07 \x9b1A \u202edesrever \ud800 tab\tand\nline"
    (tmp_path / FILE_NAME).write_text(json.dumps(line | {"name": hostile}) + "\n")
    for reader in (read_results, read_rows_quickly):
        [row] = reader(tmp_path).rows
        assert row.name == "?[31mred?]0;title? ?1A ?desrever ? tab\tand\nline"


def write_states(folder: Path, study: Study) -> dict[str, Callable[[], Any]]:
    """Files beside the rows, and who reads each."""
    row = study.frontier[0]
    state = ClusterState(
        written_at=1.0,
        room=2,
        nodes=(NodeState(host="a", cpus=2.0, gpus=0.0, tasks=1),),
        tasks=(TaskState(design="x", key="k", host="a", epoch=1, until=2, restarts=0),),
    )
    write_cluster_state(folder, state)
    write_confirmed(
        [
            Confirmed(
                row=row,
                searched_error=0.1,
                validation_error=0.2,
                test_band=Band(low=20.0, mid=30.0, high=40.0),
                seeds=3,
                searched=True,
            )
        ],
        folder,
    )
    repeat = Repeat(
        key=row.key,
        seed=2,
        validation_error=0.1,
        test_error=0.2,
        test_clips=10,
        epochs=2,
        seconds=1.5,
    )
    (folder / REPEATS).write_text(
        json.dumps({name: getattr(repeat, name) for name in repeat.__slots__}) + "\n"
    )
    epoch = EpochRecord(
        epoch=1,
        learning_rate=0.01,
        training_loss=1.0,
        training_error=0.5,
        validation_loss=1.0,
        validation_error=0.5,
        seconds=1.0,
    )
    write_history(folder, [epoch])
    import numpy as np

    counts = np.array([[3, 1], [0, 4]])
    write_best_scores(
        BestScores(labels=("yes", "no"), epoch=1, floats=counts, int8=counts, reason=""), folder
    )
    (folder / ".lock").write_text("123 host")
    return {
        CLUSTER: lambda: read_cluster_state(folder),
        CONFIRMED: lambda: read_confirmed(study),
        REPEATS: lambda: read_repeats(folder),
        HISTORY: lambda: read_history(folder),
        SCORES: lambda: read_best_scores(folder),
        ".lock": lambda: read_holder((folder / ".lock").read_text(errors="replace")),
    }


def test_damaged_files_beside_the_rows(study: Path, tmp_path: Path) -> None:
    for name in (RESOLVED, FILE_NAME):
        (tmp_path / name).write_bytes((study / name).read_bytes())
    found = open_study(tmp_path)
    for name, read in write_states(tmp_path, found).items():
        good = (tmp_path / name).read_text()
        cases = list(damaged_text(good, 60, seed=5))
        if name in (CLUSTER, REPEATS, SCORES):
            cases += [f"{as_json(case)}\n" for case in damaged_data(json.loads(good), 120, seed=6)]
        else:
            cells = [list(line) for line in csv.reader(good.splitlines())]
            for case in damaged_data(cells, 60, seed=7):
                if all(isinstance(line, list) for line in case):
                    cases.append("".join(f"{','.join(map(cell_text, line))}\n" for line in case))
        outcomes = set()
        for case in cases:
            (tmp_path / name).write_text(case, encoding="utf-8", errors="surrogatepass", newline="")
            outcomes.add(check_outcome(read, f"{name}: {case}"))
        # What a running search rewrites is never refused: damaged, it counts as not there.
        assert outcomes == ({True} if name in (CLUSTER, ".lock") else {True, False}), name


def test_damaged_files_of_sentences(tmp_path: Path) -> None:
    """What a network of sentences wrote down: counts and texts, and who reads each."""
    pytest.importorskip("jiwer", reason="pip install 'ternary-dse[asr]'")
    said, heard = ("go on", "no"), ("go", "=no()")
    best = BestSentences(
        epoch=2,
        measure="cer",
        floats=heard_of(said, heard),
        int8=heard_of(said, said),
        names=("a.flac", "b.flac"),
        references=said,
        hypotheses=heard,
        int8_hypotheses=said,
        units=(5, 2),
        edits=(3, 3),
        int8_edits=(0, 0),
    )
    write_best_sentences(best, tmp_path)
    assert read_best_sentences(tmp_path) is not None
    assert read_texts(tmp_path, best)["edits"].tolist() == [3, 3]

    def counts() -> None:
        read_best_sentences(tmp_path)
        for whole in (False, True):
            read_mistakes(tmp_path, whole=whole)

    def texts() -> None:
        read_texts(tmp_path, best)

    good = (tmp_path / HYPOTHESES).read_text()
    cells = [list(line) for line in csv.reader(good.splitlines())]
    tables = [
        "".join(f"{','.join(map(cell_text, line))}\n" for line in case)
        for case in damaged_data(cells, 60, seed=9)
        if all(isinstance(line, list) for line in case)
    ]
    plain = json.loads((tmp_path / SCORES).read_text())
    records = [f"{as_json(case)}\n" for case in damaged_data(plain, 150, seed=10)]
    for name, cases, read in (
        (HYPOTHESES, [*tables, *damaged_text(good, 60, seed=11)], texts),
        (SCORES, [*records, *damaged_text(as_json(plain), 60, seed=12)], counts),
    ):
        outcomes = set()
        for case in cases:
            (tmp_path / name).write_text(case, encoding="utf-8", errors="surrogatepass", newline="")
            outcomes.add(check_outcome(read, f"{name}: {case}"))
        assert outcomes == {True, False}, name


def test_damaged_designs() -> None:
    good = published("matchboxnet-3x1x64-P3@4x32").to_dict()
    outcomes = []
    for case in damaged_data(good, 150, seed=8):
        text = as_yaml(case)
        outcomes.append(
            check_outcome(
                lambda text=text: point_from_node(parse_yaml(text, "design.yaml")).label, text
            )
        )
    assert len(outcomes) == 150
    assert True in outcomes and False in outcomes


def test_a_history_of_no_numbers_is_refused() -> None:
    with pytest.raises(InvalidFile, match="not a record of an epoch"):
        history_from_text("epoch,learning_rate\n1,x\n", "history.csv")


def test_a_record_of_another_box_is_refused(study: Path) -> None:
    plain = read_yaml(study / RESOLVED).plain()
    for box in (
        {"error": [0.0, 1.0]},
        plain["box"] | {"area_um2": [1.0, 2.0]},
        plain["box"] | {"error": [1.0, 0.0]},
        plain["box"] | {"error": [0.0, 1e308]},
        plain["box"] | {"error": [0.0]},
    ):
        with pytest.raises(InvalidFile, match="box must"):
            parse_resolved(as_yaml(plain | {"box": box}), "resolved.yaml")


@pytest.mark.parametrize(
    "name", ["resolved.yaml", "results.jsonl", "confirm.jsonl", "confirmed.csv", ".lock", "other"]
)
def test_a_pipe_or_a_device_in_a_study_is_refused_and_not_waited_for(
    tmp_path: Path, name: str
) -> None:
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        folder = tmp_path / "copied"
        folder.mkdir()
        (folder / "resolved.yaml").write_text("schema_version: 1\n")
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        with pytest.raises(InvalidInput, match=f"{name} is neither a file nor a folder: remove it"):
            read_resolved(folder)
        shutil.rmtree(folder)


def test_a_pipe_among_the_files_of_a_design_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "history.csv")
    for reader in (read_history, read_best_scores):
        with pytest.raises(InvalidInput, match="is neither a file nor a folder"):
            reader(tmp_path)
