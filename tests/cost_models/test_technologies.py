"""The technologies that come with the package, held against what their sources say."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.block_energy import energies_fj, table
from cost_models.energy import leakages_uw
from cost_models.leakage_class import LOGIC_NW_PER_UM2, MEMORY_NW_PER_BIT
from cost_models.library import load_accelerator, load_technology, technology_names
from cost_models.scaling import (
    ENERGY_ERROR_EXPONENT,
    LOGIC_AREA_ERROR_EXPONENT,
    VOLTAGE_ERROR,
    area_factor,
    energy_factor,
)
from cost_models.technology import Constant, Technology
from cost_models.timing import DELAYS
from dse.columns import significant

NAMES = technology_names()


def constants(technology):
    return {
        name: value
        for name in Technology.__dataclass_fields__
        if isinstance(value := getattr(technology, name), Constant)
    }


def test_all_seven_are_there():
    assert NAMES == [
        "asap7_7nm",
        "horowitz_45nm",
        "low_leakage_22nm",
        "low_leakage_45nm",
        "sky130_130nm",
        "synthesis_45nm",
        "tpuv4i_7nm",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_constant_says_where_it_is_from(name):
    for field, source in load_technology(name).sources.items():
        assert len(source) >= 20, f"{name}: {field}"


@pytest.mark.parametrize("name", NAMES)
def test_node_in_the_name_is_the_node(name):
    assert name.endswith(f"_{load_technology(name).node_nm}nm")


@pytest.mark.parametrize("name", NAMES)
def test_energies_disagree_between_sources_and_the_band_says_so(name):
    technology = load_technology(name)
    for field in ("multiplication_pj_per_bit2", "addition_pj_per_bit", "dram_pj_per_bit"):
        band = getattr(technology, field).band
        assert band.high >= 1.5 * band.low, field
    assert technology.sram.energy_spread.high > 1


@pytest.mark.parametrize("name", NAMES)
def test_larger_srams_cost_more(name):
    rows = load_technology(name).sram.rows
    for smaller, larger in itertools.pairwise(rows):
        assert larger.read_pj_per_bit > smaller.read_pj_per_bit
        assert larger.write_pj_per_bit > smaller.write_pj_per_bit
        assert larger.area_um2 > smaller.area_um2
        assert larger.leakage_uw > smaller.leakage_uw


@pytest.mark.parametrize("name", NAMES)
def test_a_bit_costs_more_the_farther_away_it_is(name):
    technology = load_technology(name)
    register = technology.register_read_pj_per_bit.value
    sram = technology.sram.rows[-1].read_pj_per_bit
    assert register < sram < technology.dram_pj_per_bit.value


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_bit_is_smaller_in_sram_than_in_registers(name):
    technology = load_technology(name)
    row = technology.sram.rows[-1]
    assert row.area_um2 / row.capacity_bits < technology.register_um2_per_bit.value
    assert technology.register_um2_per_bit.value < technology.register_file_um2_per_bit.value


@pytest.mark.parametrize("name", NAMES)
def test_a_ternary_element_is_cheaper_than_a_mac(name):
    """The claim of hardware that adds: ReLU inputs of 8 bits, sums of 24."""
    t = load_technology(name)
    mac = 64 * t.multiplication_pj_per_bit2.value
    mac += 24 * (t.addition_pj_per_bit.value + t.accumulator_pj_per_bit.value)
    ternary = 24 * (t.ternary_position_pj_per_bit.value + t.ternary_addition_pj_per_bit.value / 4)
    lane = 8 * (t.tree_position_pj_per_bit.value + t.tree_addition_pj_per_bit.value / 4)
    assert lane < ternary < mac


def test_horowitz_as_published():
    t = load_technology("horowitz_45nm")
    # ISSCC 2014, Fig. 1.1.9: 8-bit multiplication 0.2 pJ, 32-bit addition 0.1 pJ, 64 bits of a
    # cache of 8 KB, 32 KB and 1 MB 10, 20 and 100 pJ, of DRAM 1.3 to 2.6 nJ.
    assert 64 * t.multiplication_pj_per_bit2.value == pytest.approx(0.2)
    assert 32 * t.addition_pj_per_bit.value == pytest.approx(0.1)
    for kilobytes, access_pj in ((8, 10), (32, 20), (1024, 100)):
        assert 64 * t.sram.read_pj_per_bit(kilobytes * 8192).mid == pytest.approx(access_pj)
    assert 64 * t.dram_pj_per_bit.band.low == pytest.approx(1300, rel=0.01)
    assert 64 * t.dram_pj_per_bit.band.high == pytest.approx(2600, rel=0.01)


@pytest.mark.parametrize("name", ["horowitz_45nm", "synthesis_45nm", "low_leakage_45nm"])
def test_8_kb_at_45_nm_is_5_to_15_pj(name):
    # CACTI 7 5.3 pJ, Horowitz 10 pJ, IHP's macro scaled 15.0 pJ for 64 bits.
    band = load_technology(name).sram.read_pj_per_bit(65536).scaled(64)
    assert band.low < 5.31
    assert band.low < 10 < band.high
    assert band.high >= 15.0


def test_the_macros_at_130_nm_as_published():
    sram = load_technology("sky130_130nm").sram
    # IHP SG13G2, typical, 1.2 V: clock pin in read and write mode, area and leakage.
    for words, read, write, area, leakage in (
        (256, 49.634, 63.4365, 93178, 0.198),
        (1024, 91.8, 110.9, 263946.1408, 0.792),
        (2048, 122.394, 155.3678, 491633.62, 1.584),
    ):
        bits = words * 64
        assert 64 * sram.read_pj_per_bit(bits).mid == pytest.approx(read, rel=1e-3)
        assert 64 * sram.write_pj_per_bit(bits).mid == pytest.approx(write, rel=1e-3)
        assert sram.area_um2(bits).mid == pytest.approx(area, rel=1e-3)
        assert sram.leakage_uw(bits).mid == pytest.approx(leakage, rel=1e-3)


def test_tpuv4i_as_quoted_and_marked_as_such():
    t = load_technology("tpuv4i_7nm")
    # arXiv 2310.11453, Table 2: 8-bit multiplication 0.07 pJ, addition 0.007 pJ.
    assert 64 * t.multiplication_pj_per_bit2.value == pytest.approx(0.07, rel=0.01)
    assert 8 * t.addition_pj_per_bit.value == pytest.approx(0.007)
    for field in ("multiplication_pj_per_bit2", "addition_pj_per_bit", "dram_pj_per_bit", "sram"):
        assert re.search("secondary|recalled", t.sources[field], re.IGNORECASE), field
    for field in ("multiplication_pj_per_bit2", "addition_pj_per_bit", "dram_pj_per_bit"):
        band = getattr(t, field).band
        assert band.high >= 1.9 * band.mid or band.mid >= 1.9 * band.low, field


SCALED = {
    "sky130_130nm": ("synthesis_45nm", 4.7, 16.7),
    "asap7_7nm": ("synthesis_45nm", 0.103, 0.42),
    "tpuv4i_7nm": ("horowitz_45nm", 0.103, 0.42),
}


@pytest.mark.parametrize("name", SCALED)
def test_scaled_energies_carry_the_error_of_scaling(name):
    base_name, low, high = SCALED[name]
    technology, base = load_technology(name), load_technology(base_name)
    scaled = [field for field, c in constants(technology).items() if f"{base_name}'s f" in c.source]
    assert len(scaled) >= 6
    for field in scaled:
        band, original = getattr(technology, field).band, getattr(base, field).band
        assert band.low <= 1.01 * low * original.low, field
        assert band.high >= 0.99 * high * original.high, field
        assert "scaled" in technology.sources[field], field


BLOCKS = Path(__file__).parents[2] / "benchmarks" / "block_energy.csv"


def block_rows():
    with BLOCKS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("name", "library"), [("asap7_7nm", "asap7"), ("sky130_130nm", "sky130")])
def test_energies_of_arithmetic_are_those_of_measured_blocks(name, library):
    t, rows = load_technology(name), block_rows()
    known = {
        k[1:3]: v for k, v in energies_fj(rows).items() if k[0] == library and k[3] == "library"
    }
    unit = {k[1:3]: v for k, v in energies_fj(rows).items() if k[0] == library and k[3] == "unit"}
    product = known["multiplier 8x8", "normal, normal"]
    held = known["multiplier 8x8", "relu, held"]
    sums = known["adder 24", "normal, normal"]
    mac = known["mac 8x8+24", "relu, held"]
    densities = np.array([0.125, 0.25, 0.5, 1.0])
    lanes = {
        (count, operands): np.array(
            [
                known[f"tree {count}", f"{operands}, trits {density}"] / count
                for density in densities
            ]
        )
        for count, operands in ((32, "normal"), (8, "relu"))
    }
    flip_flops = next(r for r in rows if r["library"] == library and r["block"] == "adder 24")
    written = (float(flip_flops["registers_fj"]) + float(flip_flops["pins_fj"])) / 72
    position, addition = line(densities, lanes[32, "normal"])
    lowest, least = line(densities, lanes[8, "relu"])
    for constant, value, low in (
        (t.multiplication_pj_per_bit2, product / 64, held / 64),
        (t.addition_pj_per_bit, sums / 24, (mac - held) / 24),
        (t.comparison_pj_per_bit, known["comparator 24", "normal, normal"] / 24, None),
        (t.accumulator_pj_per_bit, float(flip_flops["pins_fj"]) / 72, None),
        (t.register_write_pj_per_bit, written, float(flip_flops["pins_fj"]) / 72),
        (t.tree_position_pj_per_bit, position / 8, lowest / 8),
        (t.tree_addition_pj_per_bit, addition / 8, least / 8),
    ):
        assert 1e3 * constant.value == pytest.approx(value, rel=6e-3)
        if low is not None:
            assert 1e3 * constant.band.low == pytest.approx(low, rel=1e-2)
    high = unit["multiplier 16x16", "uniform, uniform"] / 256
    assert 1e3 * t.multiplication_pj_per_bit2.high == pytest.approx(high, rel=6e-3)
    # What is made of the constants is what the whole unit takes, within 10 %; the sum's flip-flops
    # are in it with their data.
    made = 64 * t.multiplication_pj_per_bit2.value + 24 * t.addition_pj_per_bit.value
    assert 1e3 * made == pytest.approx(known["mac 8x8+24", "normal, normal"], rel=0.1)
    # A block whose operands stand still spends nothing in its logic.
    assert known["multiplier 24x16", "still, still"] == 0


def line(densities, energies):
    """Least squares of relative errors: constant and slope."""
    ones = np.column_stack([np.ones(len(densities)), densities]) / energies[:, None]
    return np.linalg.lstsq(ones, np.ones(len(densities)), rcond=None)[0]


def test_the_documentation_has_the_blocks():
    assert table(block_rows()) in DOCS.read_text(encoding="utf-8")


def test_the_two_45_nm_technologies_share_what_horowitz_lacks():
    horowitz, synthesis = load_technology("horowitz_45nm"), load_technology("synthesis_45nm")
    for field, constant in constants(synthesis).items():
        if "um2" in field or field.startswith(("register", "generator")):
            assert getattr(horowitz, field) == constant, field


def test_ternary_on_horowitz_level():
    # 0.889: a MAC of this file, 0.2 + 24 * (0.003125 + 0.00568) = 0.411 pJ, over the synthesised
    # one, 0.463 pJ.
    horowitz, synthesis = load_technology("horowitz_45nm"), load_technology("synthesis_45nm")
    for field in ("ternary_position", "ternary_addition", "tree_position", "tree_addition"):
        ratio = getattr(horowitz, f"{field}_pj_per_bit").value
        ratio /= getattr(synthesis, f"{field}_pj_per_bit").value
        assert ratio == pytest.approx(0.889, rel=2e-3), field


@pytest.mark.parametrize("name", NAMES)
def test_the_leakage_classes_are_those_of_the_figures(name):
    t = load_technology(name)
    row = t.sram.rows[-1]
    for stated, figure, ends in (
        (t.logic_class.level, t.logic_leakage_nw_per_um2.value, LOGIC_NW_PER_UM2),
        (t.memory_class.level, 1e3 * row.leakage_uw / row.capacity_bits, MEMORY_NW_PER_BIT),
    ):
        fits = [level for level, most in ends.items() if figure <= most]
        assert stated == (fits[0] if fits else "high_performance"), figure


def test_22_nm_is_45_nm_scaled_as_its_sources_say():
    old, new = load_technology("low_leakage_45nm"), load_technology("low_leakage_22nm")
    mid = 22 / 45 * (0.8 / 0.9) ** 2
    low, area = energy_factor(45, 0.9, 22, 0.8), area_factor(45, 22)
    high = low * (45 / 22) ** ENERGY_ERROR_EXPONENT * VOLTAGE_ERROR
    error = (45 / 22) ** LOGIC_AREA_ERROR_EXPONENT
    assert (mid, low, high, area) == pytest.approx((0.386, 0.216, 0.534, 0.246), abs=5e-4)
    for field, constant in constants(new).items():
        before, after = getattr(old, field).band, constant.band
        if "_pj" in field and field not in ("dram_pj_per_bit", "wire_pj_per_bit_mm"):
            scaled = (before.low * low, before.mid * mid, before.high * high)
        elif "_nw_" not in field and "_um2" in field:
            scaled = (before.low * area / error, before.mid * area, before.high * area * error)
        else:
            continue
        assert (after.low, after.mid, after.high) == pytest.approx(scaled, rel=1e-3), field
    delays = [name for name in DELAYS if "_ns" in name]
    for name in delays:
        ratio = getattr(new.timing, name) / getattr(old.timing, name)
        assert ratio == pytest.approx(0.6016 / 1.064, rel=1e-3), name
    assert len(delays) == 6


def test_22_nm_macros_as_cacti_has_them():
    sram = load_technology("low_leakage_22nm").sram
    # 8 KB, 64 bits, itrs-lstp: a read of 1.590 pJ and a write of 1.771 pJ; at 300 K 1.617 uW.
    assert 64 * sram.read_pj_per_bit(65536).mid == pytest.approx(1.590, rel=1e-3)
    assert 64 * sram.write_pj_per_bit(65536).mid == pytest.approx(1.771, rel=1e-3)
    assert sram.leakage_uw(65536).mid == pytest.approx(1.617)
    # At 350 K 6.196 uW, within the band; without what leaks through gates 0.149.
    assert sram.leakage_uw(65536).high > 6.196
    assert sram.leakage_uw(65536).low == pytest.approx(0.149, rel=0.03)


DOCS = Path(__file__).parents[2] / "docs" / "evidence" / "technologies.md"


def shown(band, digits=3):
    return f"{band.mid:.{digits}g} ({band.low:.{digits}g} to {band.high:.{digits}g})"


def constants_table():
    """Lines of the table of constants in docs/evidence/technologies.md."""
    for name in NAMES:
        t = load_technology(name)
        columns = (
            t.multiplication_pj_per_bit2.band.scaled(64),
            t.addition_pj_per_bit.band.scaled(24),
            t.sram.read_pj_per_bit(65536).scaled(64),
            t.dram_pj_per_bit.band,
            t.logic_leakage_nw_per_um2.band,
        )
        yield f"| `{name}` | {' | '.join(shown(band) for band in columns)} |"


def classes_table():
    """Lines of its table of leakage classes."""
    for name in NAMES:
        t = load_technology(name)
        leaks = f"{significant(t.sram.leakage_uw(65536).mid)} µW"
        yield f"| `{name}` | {t.logic_class} | {t.memory_class} | {leaks} |"


@pytest.mark.parametrize("table", [constants_table, classes_table])
def test_the_documentation_has_these_figures(table):
    """`python tests/cost_models/test_technologies.py` prints the tables anew."""
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    assert [line for line in table() if line not in lines] == []


def test_leakage_of_two_temperatures_is_said_with_what_it_does():
    """CACTI's cells of 45 nm leak 6.3 times as much at 350 K as at 300 K."""
    technology = load_technology("low_leakage_45nm")
    assert technology.logic_class is not None
    assert technology.memory_class is not None
    assert (technology.logic_class.temperature_k, technology.memory_class.temperature_k) == (
        298,
        350,
    )
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    for name, words in (
        ("kws_tiny", "0.96 µW in place of 6.02"),
        ("kws_int8", "5.2 in place of 33.0"),
    ):
        machine = load_accelerator(name)
        leaks = leakages_uw(machine, technology)
        warm = sum(leaks[memory.name].mid for memory in machine.memories)
        room, _, _, _, priced = words.replace(" µW", "").split()
        assert float(room) == pytest.approx(warm / 6.3, abs=0.05)
        assert float(priced) == pytest.approx(warm, abs=0.05)
        assert f"`{name}` {words}" in text
    # Logic at 350 K by the same factor
    warm_logic = 6.3 * technology.logic_leakage_nw_per_um2.value
    assert LOGIC_NW_PER_UM2["low_leakage"] < warm_logic < LOGIC_NW_PER_UM2["standard"]


if __name__ == "__main__":
    print("\n".join([*constants_table(), "", *classes_table()]))
