import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cost_models import estimate
from dse.columns import COST_COLUMNS
from dse.errors import InvalidFile, InvalidStudy
from dse.networks.lowering import lower
from dse.studies.confirmed import (
    Confirmed,
    count_places,
    read_confirmed,
    seeds_words,
    write_confirmed,
)
from dse.studies.reading import read_study
from dse.studies.repeats import FILE_NAME, Repeat, read_repeats
from dse.studies.rows import Evaluation, Results, read_rows
from dse.training.clipwise import pack, unpack
from dse_cli import group
from search.confirm import choose_designs, confirm_study, summarise
from tests.studies import open_optuna_study


def row(key: str, error: float, energy_pj: float) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 1.0) | {"energy_pj": energy_pj}
    return Evaluation(
        trial=int(key, 36),
        status="trained",
        source="search",
        key=key,
        name=key,
        cost=cost,
        error=error,
        epochs=2,
    )


OBJECTIVES = ("error", "energy_pj")
ROWS = [row("a", 0.30, 1.0), row("b", 0.10, 3.0), row("c", 0.32, 2.0), row("d", 0.60, 2.5)]
"""a and b are the frontier; c is dominated by a, by 2 points of error; d by far."""


def test_what_luck_may_have_kept_off_the_frontier_is_tried_too() -> None:
    """Of 400 clips an error of 0.32 has a standard error of 0.0233: 0.32 - 2 x 0.0233 < 0.30."""
    assert [one.key for one in choose_designs(ROWS, OBJECTIVES, 400)] == ["a", "b", "c"]
    # Of 40,000 clips it is 0.0023: c is dominated beyond doubt.
    assert [one.key for one in choose_designs(ROWS, OBJECTIVES, 40_000)] == ["a", "b"]
    assert choose_designs([], OBJECTIVES, 400) == []


def repeat(key: str, seed: int, error: float) -> Repeat:
    return Repeat(
        key=key,
        seed=seed,
        validation_error=error,
        test_error=error,
        test_clips=100,
        epochs=2,
        seconds=1.0,
    )


def test_means_and_intervals_by_hand(study_file: Path) -> None:
    spec = dataclasses.replace(read_study(study_file), seed=1)
    # c turns out better than a; t of 97.5 % with two degrees of freedom is 4.3027.
    repeats = [
        *(repeat("a", seed, error) for seed, error in ((2, 0.40), (3, 0.44), (4, 0.36))),
        *(repeat("b", seed, 0.12) for seed in (2, 3, 4)),
        *(repeat("c", seed, 0.30) for seed in (2, 3, 4)),
        repeat("c", 99, 0.9),  # of a call with other seeds
    ]
    found = summarise(ROWS[:3], ROWS, spec, repeats, seeds=3)
    by_key = {one.row.key: one for one in found}
    assert by_key["a"].test_error == pytest.approx(0.40)
    # By hand in tests/dse/studies/test_intervals.py; b has no spread: Wilson of 12 of 100.
    band, other = by_key["a"].test_band, by_key["b"].test_band
    assert band is not None and other is not None
    assert band.as_tuple() == pytest.approx((26.94, 40.0, 54.15), abs=0.02)
    assert other.as_tuple() == pytest.approx((7.0, 12.0, 19.8), abs=0.1)
    # Which clips were wrong was not kept: a alone, which nothing costs less than, is sure.
    assert [one.row.key for one in found] == ["a", "c", "b"]
    assert all(one.stays for one in found)
    assert [one.place for one in found] == [
        "confirmed",
        "not told apart from a (trial 10)",
        "not told apart from a (trial 10)",
    ]
    assert [one.row.key for one in found if one.searched] == ["a", "b"]


def clips(key: str, errors: dict[int, str]) -> list[Repeat]:
    """Repeats by which clips they got wrong: `1` is wrong; a text a seed."""
    return [
        dataclasses.replace(
            repeat(key, seed, text.count("1") / len(text)),
            test_clips=len(text),
            test_wrong=pack(np.array([each == "1" for each in text])),
        )
        for seed, text in errors.items()
    ]


def judged(study_file: Path, seeds: int, **texts: str) -> dict[str, Confirmed]:
    spec = dataclasses.replace(read_study(study_file), seed=1)
    numbers = range(2, 2 + seeds)
    repeats = [
        each for key, text in texts.items() for each in clips(key, dict.fromkeys(numbers, text))
    ]
    found = summarise([each for each in ROWS if each.key in texts], ROWS, spec, repeats, seeds)
    return {one.row.key: one for one in found}


def test_two_seeds_confirm_nothing_but_the_cheapest(study_file: Path) -> None:
    """a costs 1 and b 3: that b errs 30 points less is sure of the clips, not of the seeds."""
    texts = {"a": "1" * 20 + "0" * 40, "b": "1" * 2 + "0" * 58}
    found = judged(study_file, 2, **texts)
    assert [found[key].place for key in "ab"] == ["confirmed", "not told apart from a (trial 10)"]
    assert found["b"].stays and not found["b"].confirmed and found["b"].seeds_that_tell == 4
    assert judged(study_file, 4, **texts)["b"].place == "confirmed"
    assert seeds_words(list(found.values())) == (
        "about 4 seeds would tell one design apart, if differences and spread stay what they are: "
        "`dse confirm STUDY --seeds 4`"
    )
    assert count_places(list(found.values())) == (
        "1 of 2 designs of the search's frontier is confirmed, 1 not told apart from a design "
        "that costs no more"
    )


def test_a_design_is_lost_only_where_that_is_sure(study_file: Path) -> None:
    worse, better = "1" * 20 + "0" * 40, "1" * 2 + "0" * 58
    found = judged(study_file, 5, a=better, b=worse)
    assert [found[key].place for key in "ab"] == ["confirmed", "lost"]
    # Of the same clips, two more wrong ones of sixty are no loss.
    found = judged(study_file, 5, a=better, b="1" * 4 + "0" * 56)
    assert found["b"].place == "not told apart from a (trial 10)"
    assert found["b"].seeds_that_tell is None  # of other clips no seeds tell
    assert "or the test clips too few" in seeds_words(list(found.values()))
    # c, a neighbour, was off and is: for sure.
    assert judged(study_file, 5, a=better, c=worse)["c"].place == "off, as before"


def test_a_design_without_a_form_in_whole_numbers_is_not_known(
    study_file: Path, tmp_path: Path
) -> None:
    text = study_file.read_text() + "objectives: [quantised_error, energy_pj]\n"
    study_file.write_text(text)
    spec = dataclasses.replace(read_study(study_file), seed=1)
    rows = [dataclasses.replace(each, quantised_error=each.error) for each in ROWS[:2]]
    repeats = [
        dataclasses.replace(
            each,
            test_quantised_error=None if each.key == "b" else each.test_error,
            validation_quantised_error=None if each.key == "b" else each.test_error,
            test_quantised_wrong="" if each.key == "b" else each.test_wrong,
        )
        for key in "ab"
        for each in clips(key, dict.fromkeys((2, 3), "1" * 6 + "0" * 54))
    ]
    found = {one.row.key: one for one in summarise(rows, rows, spec, repeats, seeds=2)}
    assert found["b"].place == "not known" and found["b"].test_band is None
    assert not found["b"].stays and found["a"].confirmed
    path = write_confirmed(list(found.values()), tmp_path)
    assert ",,,," in path.read_text()  # empty cells, not words
    study = dataclasses.replace(
        open_optuna_study(folder=tmp_path), reader=lambda _: Results(rows, "")
    )
    assert list(read_confirmed(study)) == list(found.values())


@pytest.fixture
def searched(study_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    cache = study_file.parent / "cache"
    arguments = ["search", str(study_file), "--out", str(folder), "--cache", str(cache)]
    result = CliRunner().invoke(group, [*arguments, "--workers", "1"])
    assert result.exit_code == 0, result.output
    return folder


def test_a_frontier_is_trained_again_and_nothing_twice(
    study_file: Path, searched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, cache = read_study(study_file), study_file.parent / "cache"
    before = (searched / "results.jsonl").read_bytes()
    told: list[int] = []
    found = confirm_study(
        spec, searched, seeds=2, cache=cache, report=lambda _, done, __: told.append(done)
    )
    assert (searched / "results.jsonl").read_bytes() == before
    repeats = read_repeats(searched)
    assert {item.seed for item in repeats} == {spec.seed + 1, spec.seed + 2}
    assert len(repeats) == 2 * len(found) and told == list(range(1, 2 * len(found) + 1))
    assert all(0 <= item.test_error <= 1 and item.epochs == 2 for item in repeats)
    assert any(one.confirmed for one in found)
    # A line that a kill cut short is dropped, and only what it was of is trained again.
    path = searched / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    told.clear()
    again = confirm_study(
        spec, searched, seeds=2, cache=cache, report=lambda _, done, __: told.append(done)
    )
    assert told == [2 * len(found)]
    # One seed of the two that are there: nothing is left to train, and no worker starts.
    with monkeypatch.context() as patch:
        patch.setattr("search.confirm.open_trainers", None)
        confirm_study(spec, searched, seeds=1, cache=cache)
    assert [one.test_error for one in again] == [one.test_error for one in found]
    result = CliRunner().invoke(
        group, ["confirm", str(searched), "--seeds", "2", "--cache", str(cache), "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "of the search's frontier" in result.output
    assert "+-" not in result.output  # intervals have two ends, within 0 and 100 %
    assert all(len(unpack(item.test_wrong, item.test_clips)) == 24 for item in repeats)
    assert all(
        unpack(item.test_wrong, item.test_clips).mean() == item.test_error for item in repeats
    )
    # Lines of a program that kept no clips are made again, from the networks that lie there.
    old = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"test_wrong": ""}) + "\n" for line in old))
    third = confirm_study(spec, searched, seeds=2, cache=cache)
    assert [one.place for one in third] == [one.place for one in again]
    assert (searched / "confirmed.csv").read_text().startswith("key,name,accelerator,confirmed,")
    path.write_bytes(b"{}\n")
    with pytest.raises(InvalidFile, match=r"confirm\.jsonl:1"):
        read_repeats(searched)


def test_a_folder_without_a_study_is_refused(study_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy, match="holds no study"):
        confirm_study(read_study(study_file), tmp_path / "nothing", seeds=2)


@pytest.mark.soak
def test_a_study_is_priced_on_another_machine_without_training(
    study_file: Path, searched: Path
) -> None:
    cache = study_file.parent / "cache"
    rows = read_rows(searched)
    text = study_file.read_text()
    study_file.write_text(text + "machine: kws_int8\n")
    refused = CliRunner().invoke(
        group, ["search", str(study_file), "--out", str(searched), "--cache", str(cache)]
    )
    assert "dse reprice" in str(refused.exception)
    histories = {path: path.stat().st_mtime_ns for path in searched.glob("designs/*/last.pt")}
    result = CliRunner().invoke(
        group, ["reprice", str(study_file), "--out", str(searched), "--cache", str(cache)]
    )
    assert result.exit_code == 0, result.output
    assert "priced on kws_int8" in result.output
    again = read_rows(searched)
    assert [(one.trial, one.key, one.error) for one in again] == [
        (one.trial, one.key, one.error) for one in rows
    ]
    assert {one.accelerator for one in again} == {"kws_int8"}
    spec = read_study(study_file)
    for one in again:
        if one.values:
            point = spec.space.point(one.values)
            workload = lower(point, frames=spec.features.frames, outputs=3)
            assert one.cost == estimate(workload, spec.accelerator, spec.technology).columns()
    assert histories == {
        path: path.stat().st_mtime_ns for path in searched.glob("designs/*/last.pt")
    }
    # The search goes on from the new record, and trains only what is new.
    result = CliRunner().invoke(
        group,
        [
            "search",
            str(study_file),
            "--out",
            str(searched),
            "--cache",
            str(cache),
            "--trainings",
            "5",
            "--workers",
            "1",
        ],
    )
    assert result.exit_code == 0, result.output
    final = read_rows(searched)
    assert sum(one.status == "trained" for one in final) == 5
    assert [one.key for one in final[: len(again)]] == [one.key for one in again]
    # Another space is no matter of pricing.
    study_file.write_text(text.replace("kernel: 5", "kernel: 7", 1))
    refused = CliRunner().invoke(
        group, ["reprice", str(study_file), "--out", str(searched), "--cache", str(cache)]
    )
    assert isinstance(refused.exception, InvalidStudy)
