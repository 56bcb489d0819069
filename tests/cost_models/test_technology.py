import dataclasses

import pytest

from cost_models import Constant, InvalidAccelerator, InvalidFile, SramRow, SramTable
from cost_models.strict_yaml import build, parse_yaml
from cost_models.technology import Technology

CONSTANTS = (
    "multiplication_pj_per_bit2",
    "addition_pj_per_bit",
    "accumulator_pj_per_bit",
    "ternary_position_pj_per_bit",
    "ternary_addition_pj_per_bit",
    "generator_state_pj_per_bit",
    "generator_threshold_pj_per_bit",
    "dram_pj_per_bit",
)
HEAD = "description: d\nnode_nm: 45\nvoltage_v: 0.9\n"
SRAM = """\
sram:
  word_bits: 64
  source: s
  rows: [{capacity_bits: 8, read_pj_per_bit: 1, write_pj_per_bit: 1}]
"""


def text(constant="{value: 1.0, source: s}", sram=SRAM):
    first, *others = CONSTANTS
    lines = [f"{first}: {constant}"] + [f"{name}: {{value: 1.0, source: s}}" for name in others]
    return HEAD + "\n".join(lines) + "\n" + sram


def read(text):
    return build(Technology, parse_yaml(text, "t.yaml"), name="t")


def test_reads_a_file():
    technology = read(text("{value: 0.25, source: a paper}"))
    assert technology.multiplication_pj_per_bit2 == Constant(value=0.25, source="a paper")
    assert technology.sources["multiplication_pj_per_bit2"] == "a paper"
    assert set(technology.sources) == {*CONSTANTS, "sram"}


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
        ("1.0", "multiplication_pj_per_bit2 must be a mapping of keys, not 1.0 (t.yaml:4)"),
        (
            "{value: 1.0, source: s, unit: pJ}",
            "unknown key 'multiplication_pj_per_bit2.unit': known keys here are value, source "
            "(t.yaml:4)",
        ),
    ],
)
def test_refuses_a_constant_in_one_sentence(constant, message):
    with pytest.raises(InvalidFile) as error:
        read(text(constant))
    assert str(error.value) == message


def test_refuses_a_duplicate_constant():
    with pytest.raises(InvalidFile, match="duplicate key 'node_nm': it already stands on line 2"):
        read(HEAD + "node_nm: 7\n")


def test_refuses_sram_rows_out_of_order():
    row = "{capacity_bits: 8, read_pj_per_bit: 1, write_pj_per_bit: 1}"
    with pytest.raises(InvalidFile, match=r"sram.rows must be a list by increasing capacity_bits"):
        read(text(sram=SRAM.replace(row, f"{row}, {row}")))
    with pytest.raises(InvalidFile, match=r"sram.rows must be a list by increasing capacity_bits"):
        read(text(sram=SRAM.replace(row, "")))


def test_interpolates_sram_energy_as_a_power_of_the_capacity(technology):
    # 1,000 bits 1 pJ and 100,000 bits 4 pJ: at the geometric mean 10,000 the geometric mean, 2 pJ.
    # Writes: 2 and 32 pJ, so 8 pJ.
    assert technology.sram.read_pj_per_bit(10_000) == pytest.approx(2.0)
    assert technology.sram.write_pj_per_bit(10_000) == pytest.approx(8.0)
    assert technology.sram.read_pj_per_bit(1_000) == 1.0
    assert technology.sram.read_pj_per_bit(100_000) == 4.0


@pytest.mark.parametrize("capacity_bits", [999, 100_001])
def test_does_not_extrapolate(technology, capacity_bits):
    with pytest.raises(InvalidAccelerator) as error:
        technology.sram.read_pj_per_bit(capacity_bits)
    assert str(error.value) == (
        f"an SRAM of {capacity_bits:,} bits is outside the technology's table, which has 1,000 to "
        "100,000 bits: change capacity_bits, or use a technology whose table reaches it"
    )


def test_one_row_serves_its_own_capacity():
    row = SramRow(capacity_bits=8, read_pj_per_bit=1.0, write_pj_per_bit=2.0)
    table = SramTable(source="s", word_bits=8, rows=(row,))
    assert table.write_pj_per_bit(8) == 2.0


def test_is_frozen(technology):
    with pytest.raises(dataclasses.FrozenInstanceError):
        technology.node_nm = 7
