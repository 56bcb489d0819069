"""Rounding must not turn nearly all into all, nearly none into none, or unlike into like."""

from dse.columns import percent_text, percent_words, ratio_text, share_words, shown, signed
from dse.report.content import Column


def test_nearly_all_and_nearly_nothing_are_not_called_so() -> None:
    assert [share_words(share) for share in (1, 0.997, 0.99996, 0.62, 0.003, 0.00004, 0)] == [
        "100 %",
        "99.7 %",
        "99.996 %",
        "62 %",
        "0.3 %",
        "0.004 %",
        "0 %",
    ]
    assert [percent_words(share) for share in (0.196, 0.0004, 0, 1)] == [
        "19.6 %",
        "0.04 %",
        "0.0 %",
        "100.0 %",
    ]
    assert percent_text(100 - 1e-12) == "100.0" and percent_text(-1e-12) == "0.0"
    percent = Column(name="share", heading="share", unit="%", form="percent")
    assert [percent.show(value) for value in (99.98, 0.01, 0.0)] == ["99.98", "0.01", "0.0"]
    assert shown(0.0004, "error") == "0.04"


def test_a_difference_that_is_one_has_a_sign_and_a_ratio_beside_one_is_not_one() -> None:
    assert [signed(points) for points in (1.24, -0.04, 0.04, 0.0, -0.0)] == [
        "+1.2",
        "-0.04",
        "+0.04",
        "0.0",
        "0.0",
    ]
    assert [ratio_text(ratio) for ratio in (2.2, 1.004, 0.996, 1234.5, 1)] == [
        "2.2",
        "1.004",
        "0.996",
        "1,200",
        "1",
    ]
