"""The page of results of speech recognition says what the trainings' rows say."""

import numpy as np
from scipy import stats

from benchmarks.equal_budget import with_table
from benchmarks.sentences import MARKS, PAGE, lines, read_rows


def test_the_page_is_that_of_the_rows_and_of_todays_prices() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, "\n".join(lines(read_rows())), MARKS) == page


def test_what_the_page_says_of_the_rows() -> None:
    rows = read_rows()
    # Far below what a network says that was never trained, and below the best constant answer.
    assert all(row.test_cer < 0.45 < 0.734 < row.untrained_test_cer for row in rows)
    assert all(abs(row.quantised_test_cer - row.test_cer) < 0.0085 for row in rows)
    assert all(0.825 < row.test_wer < 0.935 for row in rows)


def test_the_differences_of_the_page_are_those_of_the_rows() -> None:
    errors: dict[str, list[float]] = {}
    for row in read_rows():
        errors.setdefault(row.rival, []).append(100 * row.test_cer)
    page = PAGE.read_text(encoding="utf-8")
    for ours, other in (
        ("ternary, wider", "dense"),
        ("ternary", "dense"),
        ("ternary", "dense, narrower"),
    ):
        welch = stats.ttest_ind(errors[ours], errors[other], equal_var=False)
        low, high = welch.confidence_interval()
        dealt = stats.permutation_test(
            (errors[ours], errors[other]), lambda a, b: np.mean(a) - np.mean(b)
        )
        difference = np.mean(errors[ours]) - np.mean(errors[other])
        assert (
            f"| {ours} | {other} | {difference:+.1f} | {low:+.1f} to {high:+.1f} | "
            f"{dealt.pvalue:.1f} |"
        ) in page
