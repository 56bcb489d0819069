"""Mask ROM, flash, RRAM, MRAM: derived by hand, and what they cannot do."""

import dataclasses
import math

import pytest

from cost_models import (
    Accelerator,
    Component,
    InvalidAccelerator,
    InvalidFile,
    InvalidInput,
    Technology,
    estimate,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.break_even import break_even
from cost_models.clock import paths_ns
from cost_models.energy import leakages_uw, memory_prices
from cost_models.library import DATA
from cost_models.nonvolatile import (
    MASK_ROM,
    NONVOLATILE,
    area_um2,
    check_made,
    leakage_uw,
    read_pj_per_bit,
    sizes_range,
)
from cost_models.sram import Build
from cost_models.technology import Constant
from dse.design.published import published
from dse.networks.lowering import lower
from dse.pricing.what_if import MemoryChange, varied

STORED = load_accelerator("kws_ternary_stored")
LOW_LEAKAGE = load_technology("low_leakage_45nm")
NET = lower(published("matchboxnet-1x1x32-P3"), frames=64, outputs=12)
MEGABIT = 2**20


def on(kind: str, **changes: object) -> Accelerator:
    change = MemoryChange(kind=kind, **{"capacity_bits": MEGABIT, **changes})
    return varied(STORED, memories={"weight_sram": change})


def weights(machine: Accelerator):
    return next(each for each in machine.memories if each.name == "weight_sram")


# Figures


@pytest.mark.parametrize("kind", ["eflash", "rram", "mram"])
def test_area_is_squared_features_and_a_bit_is_read_at_one_price(kind) -> None:
    build = Build(word_bits=64)
    of = NONVOLATILE[kind]
    area = area_um2(kind, MEGABIT, build, LOW_LEAKAGE)
    assert area.mid == pytest.approx(of.area.value * MEGABIT * 0.045**2)
    for bits in (MEGABIT, 4 * MEGABIT):
        assert read_pj_per_bit(kind, bits, build, LOW_LEAKAGE) == of.read.band
    assert leakage_uw(kind, MEGABIT, LOW_LEAKAGE).mid == pytest.approx(0.1 * 21.84)


def test_a_mask_rom_is_a_share_of_an_sram(technology: Technology) -> None:
    # The round SRAM of 100,000 bits: 4 pJ a bit, 900 um2, 5 uW; bands of half and double.
    build = Build(word_bits=64)
    read = read_pj_per_bit("mask_rom", 100_000, build, technology)
    assert read.as_tuple() == pytest.approx((0.4 * 2, 0.65 * 4, 1.0 * 8))
    area = area_um2("mask_rom", 100_000, build, technology)
    assert area.as_tuple() == pytest.approx((0.116 * 450, 0.19 * 900, 0.303 * 1800))
    leakage = leakage_uw("mask_rom", 100_000, technology)
    assert leakage.as_tuple() == pytest.approx((0.074 * 2.5, 0.1 * 5, 0.122 * 10))


def test_figures_of_the_sources_are_in_the_bands() -> None:
    # Bits a square millimetre and squared features a bit: 1e6 / (density * node^2).
    assert pytest.approx(205, rel=0.01) == 1e6 / (10.1e6 * 0.022**2)
    assert pytest.approx(59.4, rel=0.01) == 1e6 / (3984e3 * 0.065**2)
    assert pytest.approx(22.7, rel=0.01) == 0.096 / 0.065**2
    assert MASK_ROM.area.low == pytest.approx(22.7 / 196, rel=0.01)
    assert MASK_ROM.area.high == pytest.approx(59.4 / 196, rel=0.01)
    assert pytest.approx(60.1, rel=0.01) == 0.24413e12 / (8 * MEGABIT * 1e6 * 0.022**2)
    assert pytest.approx(3.3, rel=0.02) == 10.7e-3 * 10e-9 / 32 * 1e12
    assert pytest.approx(1.83, rel=0.01) == 0.22 * 50 / 6
    for kind in NONVOLATILE.values():
        for constant in (kind.read, kind.area, kind.leakage):
            band = constant.band
            assert band.low < band.mid < band.high and constant.source
            if constant is not kind.leakage and not (kind.like_sram and constant is kind.read):
                apart = max(band.mid / band.low, band.high / band.mid)
                assert apart < 16, (kind.words, constant)
    assert math.sqrt(0.22 * 1.83) == pytest.approx(NONVOLATILE["eflash"].read.value, rel=0.02)
    assert math.sqrt(0.23 * 3.3) == pytest.approx(NONVOLATILE["mram"].read.value, rel=0.02)


# On a machine


@pytest.mark.parametrize("kind", list(NONVOLATILE))
def test_weights_are_read_from_it_and_never_written(kind) -> None:
    machine = on(kind)
    cost = estimate(NET, machine, LOW_LEAKAGE)
    sram = estimate(NET, on("sram"), LOW_LEAKAGE)
    table = [row for row in cost.energy_table if row["component"] == "nonvolatile"]
    assert {(row["part"], row["action"]) for row in table} == {("weight_sram", "read")}
    assert cost.energies_pj[Component.NONVOLATILE] > 0
    assert sum(row["energy_pj"] for row in table) == pytest.approx(
        sum(row["count"] for row in table) * memory_prices(weights(machine), LOW_LEAKAGE)[0].mid
    )
    # It leaks a tenth, and the rest of the machine as much as before.
    leaks = leakages_uw(machine, LOW_LEAKAGE)
    assert leaks["weight_sram"].mid == pytest.approx(0.1 * sram.leakages_uw["weight_sram"].mid)
    assert leaks["logic"] == sram.leakages_uw["logic"]
    assert cost.areas_um2["control"] == sram.areas_um2["control"]
    assert cost.columns()["sram_bits"] == sram.columns()["sram_bits"] - MEGABIT
    moved = cost.columns()["weight_traffic_bits"]
    assert moved == sum(layer.traffic_bits("weight_sram", "weights") for layer in cost.layers)


def test_the_clock_waits_for_flash() -> None:
    paths = paths_ns(on("eflash"), LOW_LEAKAGE)
    assert paths["weight_sram"] == 10.0
    assert paths_ns(on("mask_rom"), LOW_LEAKAGE)["weight_sram"] == pytest.approx(2.113)
    fast = varied(load_accelerator("kws_int8"), clock_mhz=150.0)
    slow = varied(fast, memories={"weight_sram": MemoryChange(kind="eflash")})
    estimate(NET, fast, LOW_LEAKAGE)
    with pytest.raises(
        InvalidAccelerator, match="at most 100 in low_leakage_45nm, whose 'weight_s"
    ):
        estimate(NET, slow, LOW_LEAKAGE)


def test_fit_begins_with_the_smallest_macro_that_is_made() -> None:
    sizes = {}
    for kind in ("sram", *NONVOLATILE):
        cost = estimate(NET, on(kind, capacity_bits="fit"), LOW_LEAKAGE)
        sizes[kind] = weights(cost.accelerator).bits
    assert sizes["mask_rom"] == sizes["sram"] < MEGABIT
    assert {sizes[kind] for kind in ("eflash", "rram", "mram")} == {MEGABIT}


def test_own_figures_come_first() -> None:
    own = Constant(value=7.0, source="mine")
    memories = tuple(
        dataclasses.replace(each, read_pj_per_bit=own, area_um2=own, leakage_uw=own)
        if each.name == "weight_sram"
        else each
        for each in on("mram").memories
    )
    machine = dataclasses.replace(STORED, memories=memories)
    cost = estimate(NET, machine, LOW_LEAKAGE)
    assert memory_prices(weights(machine), LOW_LEAKAGE)[0].mid == 7.0
    assert cost.areas_um2["weight_sram"].mid == cost.leakages_uw["weight_sram"].mid == 7.0


# What cannot be


def test_bounds_of_macros_ports_and_nodes() -> None:
    with pytest.raises(InvalidAccelerator) as caught:
        estimate(NET, on("rram", capacity_bits=65_536), LOW_LEAKAGE)
    assert str(caught.value).startswith("RRAM of 65,536 bits ('weight_sram', machine ")
    assert str(caught.value).endswith(
        "has no known price: macros have 1,048,576 to 16,777,216; change capacity_bits, or use "
        "another kind"
    )
    with pytest.raises(InvalidAccelerator, match=r"port of 2,048: at most 1,024, the widest"):
        check_made("mram", MEGABIT, 2_048, LOW_LEAKAGE)
    with pytest.raises(InvalidAccelerator, match=r"made down to 28 nm, and asap7_7nm is of 7 nm"):
        estimate(NET, on("eflash"), load_technology("asap7_7nm"))
    estimate(NET, on("mask_rom"), load_technology("asap7_7nm"))


@pytest.mark.parametrize("name", technology_names())
def test_every_technology_says_what_is_made_in_it(name) -> None:
    technology = load_technology(name)
    for kind in NONVOLATILE:
        low, high = sizes_range(kind, technology)
        assert 0 < low <= high
        made = technology.node_nm >= NONVOLATILE[kind].smallest_node_nm
        if made:
            check_made(kind, low, 64, technology)
        else:
            with pytest.raises(InvalidAccelerator, match="made down to"):
                check_made(kind, low, 64, technology)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: sram, holds: [weights]",
            "kind: mask_rom, holds: [weights, inputs]",
            "holds must be [weights] for mask rom, which is not written during an inference",
        ),
        (
            "kind: sram, holds: [weights]",
            "kind: mram, ports: separate, holds: [weights]",
            "ports must be shared for mram, which only reads, not 'separate'",
        ),
        (
            "kind: sram, holds: [weights]",
            "kind: rram, write_pj_per_bit: {value: 1.0, source: s}, holds: [weights]",
            "write_pj_per_bit must be left out for rram, which is not written",
        ),
        ("kind: sram, holds: [weights]", "kind: rom, holds: [weights]", "kind must be one of"),
    ],
)
def test_bad_files(tmp_path, old, new, message) -> None:
    text = (DATA / "accelerators" / "kws_ternary.yaml").read_text()
    assert text.count(old) == 1
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InvalidFile) as caught:
        load_accelerator(path)
    assert message in str(caught.value) and "mine.yaml:" in str(caught.value)


def test_nothing_fills_it() -> None:
    dram = load_accelerator("kws_int8_dram")
    with pytest.raises(InvalidInput, match="'weight_sram' is the last that holds weights"):
        varied(dram, memories={"weight_sram": MemoryChange(kind="mram")})
    # Behind an SRAM it is a fine place to load weights from.
    behind = tuple(
        dataclasses.replace(each, kind="eflash", capacity_bits=MEGABIT, bandwidth_bits_per_cycle=64)
        if each.name == "dram"
        else each
        for each in dram.memories
    )
    cost = estimate(NET, dataclasses.replace(dram, memories=behind), LOW_LEAKAGE)
    assert cost.misfits == ()


# Generate or store?


def test_the_question_is_asked_of_every_memory(technology: Technology) -> None:
    cost = estimate(
        lower(published("matchboxnet-3x1x64-P3"), frames=128, outputs=12),
        load_accelerator("kws_ternary"),
        LOW_LEAKAGE,
    )
    panel = break_even(cost)
    assert panel is not None
    ways = {way.words: way for way in panel.ways}
    assert list(ways) == ["generator", "SRAM", "mask ROM", "embedded flash", "RRAM", "MRAM"]
    assert ways["generator"].energy == panel.generated
    assert ways["SRAM"].energy.mid == pytest.approx(panel.stored.mid)
    assert ways["SRAM"].area.mid == panel.memory_um2
    assert ways["generator"].area.mid == panel.generator_um2
    assert ways["mask ROM"].memory_bits == panel.stored_bits == 81_920
    assert ways["mask ROM"].energy.mid == pytest.approx(0.65 * panel.stored.mid)
    trits = sum(row.trits for row in panel.layers)
    assert ways["MRAM"].energy.mid == pytest.approx(2 * trits * 0.87)
    assert ways["MRAM"].memory_bits == MEGABIT
    density = LOW_LEAKAGE.logic_leakage_nw_per_um2.value
    assert ways["generator"].leakage.mid == pytest.approx(panel.generator_um2 * density * 1e-3)
    small = break_even(dataclasses.replace(cost, technology=load_technology("asap7_7nm")))
    assert small is not None
    assert [way.words for way in small.ways if way.why_not] == ["embedded flash", "RRAM", "MRAM"]
