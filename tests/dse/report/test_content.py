import pytest

from cost_models import Band
from dse.columns import significant
from dse.report.content import Column, Part, Report, Table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (5.2437, "5.24"),
        (9.996, "10.0"),
        (99.96, "100"),
        (12_345.6, "12,300"),
        (0.002834, "0.00283"),
        (-1.5, "-1.50"),
        (1e-9, "1.00e-09"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_a_band_is_one_cell_for_people_and_three_fields_for_programs() -> None:
    column = Column(name="energy", heading="energy", unit="µJ", band=True)
    band = Band(low=3.5, mid=5.2437, high=19.06)
    assert column.title == "energy (µJ)"
    assert column.show(band) == "5.24 (3.50 to 19.1)"
    assert column.show(Band(low=2.0, mid=2.0, high=2.0)) == "2.00"
    names = [field.name for field in column.fields]
    assert names == ["energy_uj", "energy_low_uj", "energy_high_uj"]
    assert column.plain(band) == (5.2437, 3.5, 19.06)
    assert column.plain(None) == (None, None, None)


def test_a_part_has_its_share() -> None:
    column = Column(name="sram", heading="SRAM", unit="µJ", part=True)
    assert column.show(Part(0.25, 2.0)) == "0.250, 12.5 %"
    assert [field.name for field in column.fields] == ["sram_uj", "sram_share_percent"]
    assert column.plain(Part(0.25, 2.0)) == (0.25, 12.5)
    assert column.plain(None) == (None, None)
    assert Part(0.0, 0.0).percent == 0.0


def test_what_is_missing_is_shown_as_missing() -> None:
    assert Column(name="x", heading="x").show(None) == "-"
    count = Column(name="macs", heading="MACs", form="count")
    assert (count.show(804_352), count.show(804_352.0)) == ("804,352", "804,352")
    assert Column(name="share", heading="share", unit="%", form="percent").show(12.345) == "12.3"


def test_a_report_without_a_date_has_a_fixed_one() -> None:
    def moment(dated: str) -> str:
        report = Report(name="r", title="", subtitle="", sections=(), dated=dated, version="1")
        return report.moment.isoformat()

    assert moment("2026-11-20T10:00:05+00:00") == "2026-11-20T10:00:05+00:00"
    assert moment("") == moment("not a date") == "2000-01-01T00:00:00+00:00"


def test_rows_must_have_a_cell_a_column() -> None:
    table = Table(name="t", title="t", columns=(Column(name="a", heading="a"),), rows=((1.0, 2.0),))
    with pytest.raises(ValueError, match="zip"):
        _ = table.plain_rows
