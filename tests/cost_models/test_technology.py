import dataclasses

import pytest

from cost_models.band import Band
from cost_models.errors import InvalidAccelerator, InvalidField, InvalidFile
from cost_models.reading import build
from cost_models.sram import Spread, SramRow, SramTable
from cost_models.strict_yaml import parse_yaml
from cost_models.technology import Constant, Technology

CONSTANTS = tuple(
    field.name for field in dataclasses.fields(Technology) if field.type in (Constant, "Constant")
)
HEAD = "description: d\nnode_nm: 45\nvoltage_v: 0.9\n"
CLASS = "{level: low_leakage, devices: d, temperature_k: 300, voltage_v: 0.9}"
CLASSES = f"logic_class: {CLASS}\nmemory_class: {CLASS}\n"
ROW = "{capacity_bits: 8, read_pj_per_bit: 1, write_pj_per_bit: 1, area_um2: 1, leakage_uw: 1}"
SRAM = f"sram:\n  word_bits: 64\n  source: s\n  rows: [{ROW}]\n"


def text(constant="{value: 1.0, source: s}", sram=SRAM, head=HEAD):
    """A file whose first constant stands on line 4 and whose table comes last."""
    first, *others = CONSTANTS
    lines = [f"{first}: {constant}"] + [f"{name}: {{value: 1.0, source: s}}" for name in others]
    return head + "\n".join(lines) + "\n" + CLASSES + sram


def read(text):
    return build(Technology, parse_yaml(text, "t.yaml"), name="t")


def table(**spreads):
    rows = (
        SramRow(
            capacity_bits=1_000,
            read_pj_per_bit=1.0,
            write_pj_per_bit=2.0,
            area_um2=10.0,
            leakage_uw=3.0,
        ),
        SramRow(
            capacity_bits=100_000,
            read_pj_per_bit=4.0,
            write_pj_per_bit=32.0,
            area_um2=1_000.0,
            leakage_uw=300.0,
        ),
    )
    return SramTable(source="s", word_bits=8, rows=rows, **spreads)


def test_the_first_constant_is_multiplication():
    assert CONSTANTS[0] == "multiplication_pj_per_bit2"
    assert len(CONSTANTS) > 25


def test_reads_a_file():
    technology = read(text("{value: 0.25, low: 0.2, high: 0.5, source: a paper}"))
    constant = technology.multiplication_pj_per_bit2
    assert constant == Constant(value=0.25, low=0.2, high=0.5, source="a paper")
    assert constant.band == Band(low=0.2, mid=0.25, high=0.5)
    assert technology.sources["multiplication_pj_per_bit2"] == "a paper"
    assert set(technology.sources) == {*CONSTANTS, "sram"}


def test_a_constant_without_low_or_high_is_its_own_bound():
    assert Constant(value=2.0, source="s").band == Band(low=2.0, mid=2.0, high=2.0)
    assert Constant(value=2.0, low=1.0, source="s").band == Band(low=1.0, mid=2.0, high=2.0)


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ("{value: 1.0}", "missing key 'multiplication_pj_per_bit2.source' (t.yaml:4)"),
        (
            "{value: 1.0, source: ''}",
            "multiplication_pj_per_bit2.source must be a text that says where from, not '' "
            "(t.yaml:4)",
        ),
        (
            "{value: -1, source: s}",
            "multiplication_pj_per_bit2.value must be a positive number, not -1.0 (t.yaml:4)",
        ),
        (
            "{value: .nan, source: s}",
            "multiplication_pj_per_bit2.value must be a positive number, not nan (t.yaml:4)",
        ),
        (
            "{value: .inf, source: s}",
            "multiplication_pj_per_bit2.value must be a positive number, not inf (t.yaml:4)",
        ),
        (
            "{value: 1.0, low: 1.5, source: s}",
            "multiplication_pj_per_bit2.low must be positive and at most value, not 1.5 (t.yaml:4)",
        ),
        (
            "{value: 1.0, low: 0, source: s}",
            "multiplication_pj_per_bit2.low must be positive and at most value, not 0.0 (t.yaml:4)",
        ),
        (
            "{value: 1.0, high: 0.5, source: s}",
            "multiplication_pj_per_bit2.high must be finite and at least value, not 0.5 (t.yaml:4)",
        ),
        (
            "{value: 1.0, high: .inf, source: s}",
            "multiplication_pj_per_bit2.high must be finite and at least value, not inf (t.yaml:4)",
        ),
        ("1.0", "multiplication_pj_per_bit2 must be a mapping of keys, not 1.0 (t.yaml:4)"),
        (
            "{value: 1.0, source: s, unit: pJ}",
            "unknown key 'multiplication_pj_per_bit2.unit': known keys here are value, source, "
            "low, high (t.yaml:4)",
        ),
    ],
)
def test_refuses_a_constant_in_one_sentence(constant, message):
    with pytest.raises(InvalidFile) as error:
        read(text(constant))
    assert str(error.value) == message


@pytest.mark.parametrize("name", CONSTANTS)
def test_no_constant_may_be_missing(name):
    lines = [line for line in text().splitlines() if not line.startswith(f"{name}:")]
    with pytest.raises(InvalidFile, match=rf"missing key '{name}'"):
        read("\n".join(lines))


def test_refuses_a_duplicate_constant():
    with pytest.raises(InvalidFile, match="duplicate key 'node_nm': it already stands on line 2"):
        read(HEAD + "node_nm: 7\n")


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("node_nm: 45", "node_nm: 0", r"node_nm must be at least 1, not 0 \(t.yaml:2\)"),
        ("node_nm: 45", "node_nm: 4.5", r"node_nm must be a whole number, not 4.5 \(t.yaml:2\)"),
        (
            "voltage_v: 0.9",
            "voltage_v: 900",
            r"voltage_v must be in \(0, 10\), not 900.0 \(t.yaml:3\)",
        ),
        ("voltage_v: 0.9", "voltage_v: 0", r"voltage_v must be in \(0, 10\), not 0.0 \(t.yaml:3\)"),
    ],
)
def test_refuses_node_and_voltage_out_of_range(line, wrong, message):
    with pytest.raises(InvalidFile, match=message):
        read(text(head=HEAD.replace(line, wrong)))


@pytest.mark.parametrize("column", ["read_pj_per_bit", "area_um2", "leakage_uw", "capacity_bits"])
def test_refuses_an_sram_row_with_a_zero(column):
    row = ROW.replace(f"{column}: 8", f"{column}: 0").replace(f"{column}: 1", f"{column}: 0")
    with pytest.raises(InvalidFile, match=rf"{column} must be a positive number, not 0"):
        read(text(sram=SRAM.replace(ROW, row)))


def test_refuses_sram_rows_out_of_order():
    for rows in (f"{ROW}, {ROW}", ""):
        with pytest.raises(InvalidFile, match=r"sram\.rows must be a list by increasing capac"):
            read(text(sram=SRAM.replace(ROW, rows)))


def test_interpolates_sram_energy_as_a_power_of_the_capacity():
    # 1,000 bits 1 pJ and 100,000 bits 4 pJ: at the geometric mean 10,000 the geometric mean, 2 pJ.
    # Writes: 2 and 32 pJ, so 8 pJ. Area: 10 and 1,000, so 100. Leakage: 3 and 300, so 30.
    sram = table()
    assert sram.read_pj_per_bit(10_000).mid == pytest.approx(2.0)
    assert sram.write_pj_per_bit(10_000).mid == pytest.approx(8.0)
    assert sram.area_um2(10_000).mid == pytest.approx(100.0)
    assert sram.leakage_uw(10_000).mid == pytest.approx(30.0)
    assert sram.read_pj_per_bit(1_000).mid == 1.0
    assert sram.read_pj_per_bit(100_000).mid == 4.0


def test_spreads_are_factors_of_the_table():
    sram = table(
        energy_spread=Spread(low=0.5, high=3.0, source="s"),
        area_spread=Spread(low=1.0, high=2.0, source="s"),
    )
    assert sram.read_pj_per_bit(100_000) == Band(low=2.0, mid=4.0, high=12.0)
    assert sram.write_pj_per_bit(100_000) == Band(low=16.0, mid=32.0, high=96.0)
    assert sram.area_um2(1_000) == Band(low=10.0, mid=10.0, high=20.0)
    assert sram.leakage_uw(1_000) == Band(low=3.0, mid=3.0, high=3.0)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0.0, 1.0, r"low must be in \(0, 1\], not 0.0"),
        (1.1, 2.0, r"low must be in \(0, 1\], not 1.1"),
        (0.5, 0.9, r"high must be at least 1, not 0.9"),
        (0.5, float("inf"), r"high must be at least 1, not inf"),
    ],
)
def test_a_spread_surrounds_one(low, high, message):
    with pytest.raises(InvalidField, match=message):
        Spread(low=low, high=high, source="s")


@pytest.mark.parametrize("capacity_bits", [999, 100_001])
@pytest.mark.parametrize("ask", ["read_pj_per_bit", "write_pj_per_bit", "area_um2", "leakage_uw"])
def test_does_not_extrapolate(capacity_bits, ask):
    with pytest.raises(InvalidAccelerator) as error:
        getattr(table(), ask)(capacity_bits)
    assert str(error.value).startswith(
        f"an SRAM of {capacity_bits:,} bits is outside the technology's table, which has 1,000 to "
        "100,000 bits: change capacity_bits, "
    )


def test_one_row_serves_its_own_capacity():
    only = dataclasses.replace(table(), rows=table().rows[:1])
    assert only.write_pj_per_bit(1_000).mid == 2.0
    with pytest.raises(InvalidAccelerator):
        only.write_pj_per_bit(1_001)


def test_is_frozen():
    technology = read(text())
    with pytest.raises(dataclasses.FrozenInstanceError):
        technology.node_nm = 7
