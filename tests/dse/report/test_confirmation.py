"""What `dse confirm` found, in reports."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from dse.errors import InvalidFile
from dse.report import study_report
from dse.studies.confirmed import Confirmed, write_confirmed
from dse.studies.rows import Evaluation
from search.confirm import Repeat, judge

from .conftest import DENSE, TERNARY, StudyMaker

Make = Callable[..., StudyMaker]


def confirmed(row: Evaluation, stays: bool, validation: float, *tests: float) -> Confirmed:
    repeats = tuple(
        Repeat(
            key=row.key,
            seed=seed,
            validation_error=validation,
            test_error=test,
            test_clips=100,
            epochs=2,
            seconds=1.0,
        )
        for seed, test in enumerate(tests)
    )
    return dataclasses.replace(judge(row, repeats, "error", searched=True), confirmed=stays)


def two_designs(make: Make) -> tuple[Path, Evaluation, Evaluation]:
    maker = make()
    cheap, dear = maker.add(DENSE, 24), maker.add(TERNARY, 16)  # 37.5 and 25 % of 64 clips
    assert cheap.column("energy_pj") < dear.column("energy_pj")
    return maker.folder, cheap, dear


def test_fresh_seeds_that_contradict_the_answer_stand_beside_it(make: Make) -> None:
    folder, cheap, dear = two_designs(make)
    found = [
        confirmed(cheap, True, 0.30, 0.31, 0.32, 0.33),
        confirmed(dear, False, 0.35, 0.35, 0.375, 0.40),
    ]
    write_confirmed(found, folder)
    report = study_report(folder)
    points = report.sections[0].points
    assert points[0].startswith(f"Build {dear.name}")
    assert points[2] == (
        f"How sure: trained anew with 3 fresh seeds, {dear.name} (trial 1) has 37.5 % test error "
        "(95 % interval of the mean 31.3 to 43.7 %) and 35.0 % validation error, where the search "
        "had 25.0 %."
    )
    assert points[3] == (
        f"Fresh seeds speak for {cheap.name} (trial 0) instead: it costs no more, and has 32.0 % "
        "test error and 30.0 % validation error."
    )
    section = next(each for each in report.sections if each.name == "confirmed")
    # By hand: (30 - 37.5 + 35 - 25) / 2, and 4.303 (t of 2 degrees) x 2.5 / sqrt(3) = 6.2 above.
    assert "1 of 2 designs stay on the frontier, 0 are new" in section.sentences[0]
    assert "were +1.2 points off" in section.sentences[0]
    table = report.table("confirmed")
    names = [field.name for field in table.fields]
    first = dict(zip(names, table.plain_rows[0], strict=True))
    assert first["frontier"] == "stays"
    assert first["test_error_percent"] == pytest.approx(32.0)
    assert first["test_error_low_percent"] == pytest.approx(32 - 4.3027 / 3**0.5, abs=1e-4)
    assert [row[names.index("frontier")] for row in table.plain_rows] == ["stays", "lost"]


def test_a_dearer_design_that_fresh_seeds_prefer_is_named_with_its_price(make: Make) -> None:
    maker = make()
    cheap, dear = maker.add(DENSE, 16), maker.add(TERNARY, 24)
    write_confirmed(
        [confirmed(cheap, True, 0.4, 0.42), confirmed(dear, True, 0.3, 0.31)], maker.folder
    )
    points = study_report(maker.folder).sections[0].points
    times = dear.column("energy_pj") / cheap.column("energy_pj")
    assert points[3] == (
        f"Fresh seeds give {dear.name} (trial 1) the lowest validation error: it has 31.0 % test "
        f"error and 30.0 % validation error, at {times:.2g} times the energy per inference."
    )


def test_fresh_seeds_that_agree_say_how_sure_it_is(make: Make) -> None:
    folder, cheap, dear = two_designs(make)
    write_confirmed([confirmed(cheap, True, 0.4, 0.4), confirmed(dear, True, 0.26, 0.27)], folder)
    points = study_report(folder).sections[0].points
    assert points[2].startswith("How sure: trained anew with 1 fresh seed,")
    assert "interval of the mean" not in points[2]  # one seed has none
    assert not any("Fresh seeds" in point for point in points)


def test_without_fresh_seeds_the_report_names_the_command(make: Make) -> None:
    folder, *_ = two_designs(make)
    points = study_report(folder).sections[0].points
    assert points[-1].endswith(
        "`dse confirm STUDY` judges the frontier on the test split, with several seeds."
    )


def test_designs_that_are_not_of_the_study_are_left_out(make: Make) -> None:
    folder, cheap, _ = two_designs(make)
    write_confirmed([confirmed(cheap, True, 0.25, 0.5)], folder)
    path = folder / "confirmed.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1].replace(cheap.key, "0ther"))
    assert len(study_report(folder).table("confirmed").rows) == 1


@pytest.mark.parametrize(
    "damage",
    [("0.25,0.5", "0.25,5.0"), ("0.25,0.5", "0.25,many"), ("test_error,", "testerror,")],
)
def test_a_damaged_table_is_one_sentence(make: Make, damage: tuple[str, str]) -> None:
    folder, cheap, _ = two_designs(make)
    write_confirmed([confirmed(cheap, True, 0.25, 0.5)], folder)
    path = folder / "confirmed.csv"
    path.write_text(path.read_text().replace(*damage))
    with pytest.raises(InvalidFile, match=r"confirmed\.csv cannot be read: .*write it again"):
        study_report(folder)
