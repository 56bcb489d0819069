"""Rounding must not turn nearly all into all, nearly none into none, or unlike into like."""

import io

import pytest

from dse.columns import (
    LABELS,
    LETTERS,
    percent_text,
    percent_words,
    ratio_text,
    share_words,
    shown,
    signed,
    typeset,
)
from dse.report.content import SUFFIXES, Column
from dse.report.study import objective_cell
from dse_cli import spell_out


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


def test_every_unit_is_written_as_people_write_it_and_files_have_ascii() -> None:
    units = {unit for _, unit, _ in LABELS.values()}
    assert not units & LETTERS.keys() and units <= SUFFIXES.keys()
    assert all(name.isascii() for name in (*SUFFIXES.values(), *LABELS))
    assert (
        typeset("20.8 nW/um2, 3 uJ of adder_um2_per_bit")
        == "20.8 nW/µm², 3 µJ of adder_um2_per_bit"
    )


@pytest.mark.parametrize(
    ("column", "field", "title"),
    [
        ("sram_bits", "sram_kib", "SRAM (KiB)"),
        ("latency_cycles", "latency_cycles", "latency (cycles)"),
        ("average_power_uw", "average_power_uw", "average power (µW)"),
        ("multiplications", "multiplications_millions", "multiplications (M)"),
        ("trits", "trits", "trits made per inference"),
    ],
)
def test_an_objective_s_field_is_named_after_the_unit_of_its_numbers(
    column: str, field: str, title: str
) -> None:
    made, _ = objective_cell(column)
    assert [each.name for each in made.fields] == [field] and made.title == title


def test_a_terminal_without_these_letters_gets_those_of_a_keyboard() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    spell_out(stream)
    print("1.5 µJ, 0.8 mm², \N{CJK UNIFIED IDEOGRAPH-6F22}…", file=stream, flush=True)
    assert raw.getvalue() == b"1.5 uJ, 0.8 mm2, ?...\n"
