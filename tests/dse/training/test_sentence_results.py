"""The page of results of speech recognition says what the trainings' rows say."""

from benchmarks.equal_budget import with_table
from benchmarks.sentences import MARKS, PAGE, lines, read_rows


def test_the_page_is_that_of_the_rows_and_of_todays_prices() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, "\n".join(lines(read_rows())), MARKS) == page


def test_what_the_page_says_of_the_rows() -> None:
    rows = read_rows()
    # Far below what a network says that was never trained, and below the best constant answer.
    assert all(row.test_cer < 0.734 < 0.9 < row.untrained_test_cer for row in rows)
    assert all(abs(row.quantised_test_cer - row.test_cer) < 0.02 for row in rows)
    cer = {(row.rival, row.seed): row.test_cer for row in rows}
    seeds = {row.seed for row in rows}
    assert all(cer["ternary, wider", seed] < cer["dense", seed] for seed in seeds)
