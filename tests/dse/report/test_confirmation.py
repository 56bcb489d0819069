"""What `dse confirm` found, in reports."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from dse.errors import InvalidFile
from dse.report import study_report
from dse.studies.confirmed import Confirmed, read_confirmed, write_confirmed
from dse.studies.repeats import Repeat
from dse.studies.rows import Evaluation
from dse.studies.study import open_study
from search.confirm import judge

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
    return dataclasses.replace(judge(row, repeats, "error", searched=True), stays=stays, apart=True)


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
    # By hand, above: t(2) x 2.5 / sqrt(3) on the logit is 6.39 points, Wilson of 100 clips 9.79,
    # and sqrt(6.39^2 + 9.79^2) = 11.7.
    assert points[2] == (
        f"How sure: trained anew with 3 fresh seeds, {dear.name} (trial 1) has 37.5 % test error "
        "(95 % interval of the mean 26.8 to 49.2 %) and 35.0 % validation error, where the search "
        "had 25.0 %."
    )
    assert points[3] == (
        f"Fresh seeds speak for {cheap.name} (trial 0) instead: it costs no more, and has 32.0 % "
        "test error (95 % interval of the mean 23.3 to 42.0 %) and 30.0 % validation error."
    )
    section = next(each for each in report.sections if each.name == "confirmed")
    # By hand: (30 - 37.5 + 35 - 25) / 2.
    assert "1 of 2 designs of the search's frontier is confirmed, 1 lost." in section.sentences[0]
    assert "were +1.2 points off" in section.sentences[1]
    table = report.table("confirmed")
    names = [field.name for field in table.fields]
    first = dict(zip(names, table.plain_rows[0], strict=True))
    assert first["frontier"] == "confirmed"
    assert first["test_error_percent"] == pytest.approx(32.0)
    assert first["test_error_low_percent"] == pytest.approx(23.4, abs=0.1)
    assert [row[names.index("frontier")] for row in table.plain_rows] == ["confirmed", "lost"]


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
        "error (95 % interval of the mean 22.8 to 40.6 %) and 30.0 % validation error, at "
        f"{times:.2g} times the energy per inference."
    )


def test_fresh_seeds_that_agree_say_how_sure_it_is(make: Make) -> None:
    folder, cheap, dear = two_designs(make)
    write_confirmed([confirmed(cheap, True, 0.4, 0.4), confirmed(dear, True, 0.26, 0.27)], folder)
    points = study_report(folder).sections[0].points
    assert points[2].startswith("How sure: trained anew with 1 fresh seed,")
    # Of one seed the spread is not known; the interval is that of 27 of 100 clips (Wilson).
    assert "(95 % interval of the mean 19.3 to 36.4 %)" in points[2]
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
    [
        ("0.25,0.5,", "0.25,5.0,"),
        ("0.25,0.5,", "0.25,many,"),
        ("test_error,", "testerror,"),
        ("0.25,0.5,", "0.25,,"),  # an interval around nothing
        (",True,", ",yes,"),
    ],
)
def test_a_damaged_table_is_one_sentence(make: Make, damage: tuple[str, str]) -> None:
    folder, cheap, _ = two_designs(make)
    write_confirmed([confirmed(cheap, True, 0.25, 0.5)], folder)
    path = folder / "confirmed.csv"
    path.write_text(path.read_text().replace(*damage))
    with pytest.raises(InvalidFile, match=r"confirmed\.csv cannot be read: .*write it again"):
        study_report(folder)


def test_a_spreadsheets_capitals_change_nothing(make: Make) -> None:
    folder, cheap, _ = two_designs(make)
    write_confirmed([confirmed(cheap, True, 0.25, 0.5)], folder)
    before = read_confirmed(open_study(folder))
    path = folder / "confirmed.csv"
    path.write_text(path.read_text().replace("True", "TRUE").replace("False", "FALSE"))
    assert read_confirmed(open_study(folder)) == before
    assert before[0].confirmed


def test_what_is_not_told_apart_is_said_with_the_seeds_that_would_tell(make: Make) -> None:
    folder, cheap, dear = two_designs(make)
    unsure = dataclasses.replace(
        confirmed(dear, True, 0.26, 0.26, 0.27), apart=False, rival=cheap.name, seeds_that_tell=7
    )
    write_confirmed([confirmed(cheap, True, 0.4, 0.40, 0.41), unsure], folder)
    report = study_report(folder)
    points = report.sections[0].points
    assert points[3] == f"It is not told apart from {cheap.name}, which costs no more."
    assert "about 7 seeds would tell one design apart" in points[4]
    assert "`dse confirm STUDY --seeds 7`" in points[4]
    section = next(each for each in report.sections if each.name == "confirmed")
    assert "1 of 2 designs of the search's frontier is confirmed, 1 not told" in str(section)
    assert f"not told apart from {cheap.name}" in str(report.table("confirmed").shown_rows)


def test_no_interval_leaves_0_to_100_percent(make: Make) -> None:
    """Two seeds at 0 and 67 % of 24 clips: 33.5 % +- 426 points by Student's t alone."""
    folder, cheap, dear = two_designs(make)
    far = confirmed(dear, True, 0.3, 0.0, 0.67)
    write_confirmed([confirmed(cheap, True, 0.4, 0.98, 1.0), far], folder)
    report = study_report(folder)
    names = [field.name for field in report.table("confirmed").fields]
    for row in report.table("confirmed").plain_rows:
        low, high = (row[names.index(f"test_error_{end}_percent")] for end in ("low", "high"))
        assert isinstance(low, float) and isinstance(high, float) and 0 <= low < high <= 100


def test_a_design_without_int8_form_has_dashes(make: Make) -> None:
    folder, cheap, dear = two_designs(make)
    unknown = dataclasses.replace(
        confirmed(dear, False, 0.3, 0.3), test_band=None, validation_error=None, apart=False
    )
    write_confirmed([confirmed(cheap, True, 0.4, 0.4), unknown], folder)
    report = study_report(folder)
    assert "has no test error that is known, where the search had 25.0 %" in str(
        report.sections[0].points
    )
    row = report.table("confirmed").shown_rows[1]
    assert "not known" in row and row.count("-") >= 2


def test_fresh_seeds_that_break_the_readers_limit_say_so(make: Make) -> None:
    folder, cheap, dear = two_designs(make)
    found = [confirmed(cheap, True, 0.40, 0.41), confirmed(dear, True, 0.26, 0.31)]
    write_confirmed(found, folder)
    words = " So with fresh seeds it does not keep 30 %."
    # The search had 25 % of it, and 37.5 % of the cheaper one.
    assert study_report(folder, max_error=30).sections[0].points[2].endswith(words)
    assert words not in str(study_report(folder, max_error=32).sections[0].points)


def test_both_errors_of_fresh_seeds_stand_side_by_side(make: Make) -> None:
    maker = make()
    row = maker.add(DENSE, 24)
    repeats = [
        Repeat(
            key=row.key,
            seed=seed,
            validation_error=0.3,
            test_error=floats,
            test_quantised_error=whole,
            test_clips=100,
            epochs=2,
            seconds=1.0,
        )
        for seed, (floats, whole) in enumerate([(0.30, 0.34), (0.32, 0.38)])
    ]
    write_confirmed([judge(row, repeats, "error", searched=True)], maker.folder)
    [back] = read_confirmed(open_study(maker.folder))
    assert back.other_test_error == pytest.approx(0.36)
    report = study_report(maker.folder)
    assert any(
        "%; 36.0 % in whole numbers) and 30.0 % validation error" in words
        for words in report.sections[0].points
    )
    table = report.table("confirmed")
    line = dict(zip([field.name for field in table.fields], table.plain_rows[0], strict=True))
    assert line["test_error_percent"] == pytest.approx(31.0)
    assert line["other_test_error_percent"] == pytest.approx(36.0)


def test_a_design_that_has_one_error_only_shows_that(make: Make) -> None:
    maker = make()
    row = maker.add(DENSE, 24)
    write_confirmed([confirmed(row, True, 0.3, 0.31, 0.33)], maker.folder)
    [back] = read_confirmed(open_study(maker.folder))
    assert back.other_test_error is None
    assert not any(
        "in whole numbers)" in words for words in study_report(maker.folder).sections[0].points
    )
