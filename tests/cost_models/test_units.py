import pytest

from cost_models.units import bits_to_kib, cycles_to_us, pj_to_uj, with_prefix


def test_conversions():
    assert cycles_to_us(1_000, 10.0) == 100.0  # 10 MHz: ten cycles a microsecond
    assert pj_to_uj(2e6) == pytest.approx(2.0)
    assert bits_to_kib(8_192) == 1.0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (999, "", "999"),
        (1_000, "", "1.00 k"),
        (5_570_944, "", "5.57 M"),
        (61_772, "", "61.8 k"),
        (999_499, "", "999 k"),
        (999_500, "", "1.00 M"),  # never '1000 k'
        (1_234, "bit", "1.23 kbit"),
        (2.5e9, "", "2.50 G"),
        (0.5, "pJ", "0.50 pJ"),
    ],
)
def test_three_digits_and_a_prefix(value, unit, text):
    assert with_prefix(value, unit) == text
