"""Clocks and voltages that exist; and that nothing of a machine is to be had for nothing."""

import csv
import dataclasses
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cost_models import (
    Accelerator,
    InvalidAccelerator,
    InvalidInput,
    Technology,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.clock import KNOWN_CLOCK_MHZ, check_clock, highest_clock_mhz, paths_ns
from cost_models.energy import price_list
from cost_models.errors import InvalidField
from cost_models.library import DATA
from cost_models.scaling import scale_technology
from cost_models.sram import Build
from cost_models.timing import Timing, leakage_factor
from dse.design.policies import apply_policy
from dse.design.published import published
from dse.networks.lowering import lower
from dse.pricing.what_if import ArrayChange, MemoryChange, varied

POINTS = Path(__file__).parent / "oracles" / "cacti7_sram.csv"
LOW_LEAKAGE = load_technology("low_leakage_45nm")
SYNTHESIS = load_technology("synthesis_45nm")


def round_timing(**changes: Any) -> Timing:
    timing = Timing(
        source="made up for tests",
        multiplier_ns_per_bit=0.1,
        sum_ns_per_bit=0.05,
        adder_ns_per_bit=0.2,
        tree_ns=1.0,
        tree_ns_per_level=0.5,
        generator_ns=2.0,
        threshold_v=0.4,
        alpha=1.3,
        lowest_voltage_v=0.6,
    )
    return dataclasses.replace(timing, **changes)


def timed(technology: Technology) -> Technology:
    """The round technology with delays; SRAMs of 1,000 bits take 1 ns, of 100,000 bits 3."""
    rows = tuple(
        dataclasses.replace(row, access_ns=ns)
        for row, ns in zip(technology.sram.rows, (1.0, 3.0), strict=True)
    )
    sram = dataclasses.replace(technology.sram, rows=rows)
    return dataclasses.replace(technology, sram=sram, timing=round_timing())


def test_paths_by_hand(machine: Accelerator, technology: Technology) -> None:
    # MACs of 8 by 8 bits and sums of 24: 0.1 * 16 + 0.05 * 24; adders 0.2 * 24; the generator as it
    # is. The memories are at figures of their own, and set no limit.
    paths = paths_ns(machine, timed(technology))
    assert paths == pytest.approx({"macs": 2.8, "adders": 4.8, "generator": 2.0})
    highest, part = highest_clock_mhz(machine, timed(technology))
    assert (round(highest, 6), part) == (round(1000 / 4.8, 6), "adders")


def test_a_tree_takes_a_level_for_each_doubling_of_its_lanes() -> None:
    # 1 + 0.5 * levels + 0.2 * 24: of 1, 16, 17 and 32 lanes 0, 4, 5 and 5 levels.
    found = [round_timing().lane_tree_ns(lanes, 24) for lanes in (1, 16, 17, 32)]
    assert found == pytest.approx([5.8, 7.8, 8.3, 8.3])


def test_rounds_of_mixing_follow_each_other() -> None:
    assert round_timing().trits_ns(4) == pytest.approx(2.0 + 4 * 32 * 0.2)


def test_an_sram_is_as_slow_as_its_bank(machine: Accelerator, technology: Technology) -> None:
    plain = dict.fromkeys(("word_bits", "read_pj_per_bit", "write_pj_per_bit"))
    memories = tuple(dataclasses.replace(each, **plain) for each in machine.memories)  # type: ignore[arg-type]
    paths = paths_ns(dataclasses.replace(machine, memories=memories), timed(technology))
    assert (paths["weight_sram"], paths["activation_sram"]) == (1.0, 3.0)
    # 4 banks of 25,000 bits: 3 ^ (log 25 / log 100) ns.
    table = timed(technology).sram
    four = table.access_ns(100_000, Build(word_bits=64, banks=4))
    assert four == pytest.approx(3 ** (math.log(25) / math.log(100)))
    assert table.access_ns(1_000, Build(word_bits=64, banks=4)) == 1.0  # not below the table
    assert table.access_ns(1_000, Build(word_bits=64, two_ports=True)) > 2.0


def test_access_times_are_cactis() -> None:
    with POINTS.open(newline="") as file:
        for row in csv.DictReader(file):
            for technology, cell in ((LOW_LEAKAGE, "itrs-lstp"), (SYNTHESIS, "itrs-hp")):
                if (row["tech_nm"], row["cell"]) != ("45", cell):
                    continue
                build = Build(word_bits=int(row["width_bits"]))
                found = technology.sram.access_ns(8 * int(row["bytes"]), build)
                exact = row["width_bits"] == "64"
                tolerance = 1e-3 if exact else 0.26
                assert found == pytest.approx(float(row["access_ns"]), rel=tolerance), row


def test_synthesised_paths_are_as_long_as_they_were() -> None:
    # Nangate 45 nm at 1.1 V, times 1.267 for 0.9 V: 8x8 with a sum of 24 bits 0.98 ns; generator,
    # tree of 32 lanes and sum in one path 2.80.
    timing, slower = SYNTHESIS.timing, SYNTHESIS.timing.delay_factor(1.1, 0.9)
    assert slower == pytest.approx(1.267, abs=0.001)
    assert timing.mac_ns(8, 8, 24) == pytest.approx(0.98 * slower, rel=0.01)
    engine = timing.lane_tree_ns(32, 24) + timing.trits_ns(0)
    assert engine == pytest.approx(2.798 * slower, rel=0.01)
    # A wider multiplier in flow `area`: 16x16 with 40 bits 2.20 to 1.33 ns of 8x8 with 24.
    assert timing.mac_ns(16, 16, 40) / timing.mac_ns(8, 8, 24) == pytest.approx(2.2 / 1.33, rel=0.2)


@pytest.mark.parametrize("name", accelerator_names())
def test_machines_of_the_library_are_slow_enough(name: str) -> None:
    machine = load_accelerator(name)
    technology = load_technology(machine.technology)
    check_clock(machine, technology)
    highest, part = highest_clock_mhz(machine, technology)
    assert part and machine.clock_mhz <= highest
    assert machine.clock_mhz <= KNOWN_CLOCK_MHZ


def test_a_clock_beyond_the_slowest_part_is_one_sentence(tmp_path: Path) -> None:
    text = (DATA / "accelerators" / "kws_ternary.yaml").read_text()
    path = tmp_path / "quick.yaml"
    path.write_text(text.replace("clock_mhz: 10.0", "clock_mhz: 1e9"))
    machine = load_accelerator(path)
    line = text.splitlines().index(next(x for x in text.splitlines() if "clock_mhz" in x)) + 1
    with pytest.raises(InvalidAccelerator) as error:
        price_list(machine, LOW_LEAKAGE)
    assert str(error.value) == (
        f"clock_mhz of quick is 1e+09 (machine {path}:{line}): at most 93 in low_leakage_45nm, "
        "whose 'trees' takes 10.7 ns; lower it, make that part smaller, or use a faster technology"
    )
    price_list(dataclasses.replace(machine, clock_mhz=93.0), LOW_LEAKAGE)
    with pytest.raises(InvalidAccelerator):
        price_list(dataclasses.replace(machine, clock_mhz=94.0), LOW_LEAKAGE)
    # A what-if is not what the file says, and is asked all the same.
    with pytest.raises(InvalidAccelerator, match="clock_mhz of quick is 500: at most 93 in"):
        price_list(varied(machine, clock_mhz=500.0), LOW_LEAKAGE)


def test_a_technology_without_delays_is_trusted_with_what_is_known() -> None:
    machine = load_accelerator("kws_int8")
    for name in technology_names():
        technology = load_technology(name)
        known = technology.timing.unknown is None
        assert known == name.endswith(("45nm", "22nm"))
        if known or name == "tpuv4i_7nm":  # whose table begins above the input buffer
            continue
        price_list(dataclasses.replace(machine, clock_mhz=KNOWN_CLOCK_MHZ), technology)
        with pytest.raises(InvalidAccelerator) as error:
            price_list(dataclasses.replace(machine, clock_mhz=201.0, where=""), technology)
        assert str(error.value).startswith(
            f"clock_mhz of kws_int8 is 201: at most 200 in {name}, of which no delays are known ("
        )


def test_a_generator_of_a_design_can_be_too_slow() -> None:
    machine = dataclasses.replace(load_accelerator("kws_ternary"), clock_mhz=80.0, where="")
    workload = {
        family: lower(
            apply_policy(published("matchboxnet-1x1x8"), "P3", density=0.25, generator=family),
            frames=16,
            outputs=4,
        )
        for family in ("lfsr_threshold", "counter_arx")
    }
    estimate(workload["lfsr_threshold"], machine, LOW_LEAKAGE)
    with pytest.raises(InvalidAccelerator, match="with a generator of family counter_arx and"):
        estimate(workload["counter_arx"], machine, LOW_LEAKAGE)


def test_a_dram_has_at_most_the_port_of_a_stack() -> None:
    machine = load_accelerator("kws_int8_dram")
    wide = varied(machine, memories={"dram": MemoryChange(bandwidth_bits_per_cycle=204_801)})
    with pytest.raises(InvalidAccelerator, match=r"204,801.*at most 204,800 at 10 MHz"):
        price_list(wide, LOW_LEAKAGE)
    # 1,024 lines of 2 Gbit/s, at 10 MHz.
    most = varied(machine, memories={"dram": MemoryChange(bandwidth_bits_per_cycle=204_800)})
    price_list(most, LOW_LEAKAGE)


def test_timing_is_delays_or_a_reason() -> None:
    with pytest.raises(InvalidField, match="source must be left out where timing is unknown"):
        round_timing(unknown="nobody measured")
    with pytest.raises(InvalidField, match="tree_ns must be given, or unknown"):
        round_timing(tree_ns=None)


def test_delays_without_access_times_are_refused(technology: Technology) -> None:
    with pytest.raises(InvalidField, match="timing must be unknown where a row"):
        dataclasses.replace(technology, timing=round_timing())


# Voltage


def test_a_lower_voltage_is_slower_and_leaks_less() -> None:
    low = scale_technology(LOW_LEAKAGE, 45, 0.75)
    # (0.75 / 0.9) * ((0.9 - 0.5) / (0.75 - 0.5)) ^ 1.3
    slower = 0.75 / 0.9 * (0.4 / 0.25) ** 1.3
    assert low.timing.mac_ns(8, 8, 24) == pytest.approx(
        slower * LOW_LEAKAGE.timing.mac_ns(8, 8, 24)
    )
    build = Build(word_bits=64)
    assert low.sram.access_ns(65_536, build) == pytest.approx(
        slower * LOW_LEAKAGE.sram.access_ns(65_536, build)
    )
    leaks = 0.75 / 0.9 * math.exp(0.1 * -0.15 / (1.4 * 0.026))
    assert leakage_factor(0.9, 0.75) == pytest.approx(leaks)
    for one, other in (
        (low.logic_leakage_nw_per_um2.value, LOW_LEAKAGE.logic_leakage_nw_per_um2.value),
        (low.sram.leakage_uw(65_536).mid, LOW_LEAKAGE.sram.leakage_uw(65_536).mid),
    ):
        assert one / other == pytest.approx(leaks)
    machine = dataclasses.replace(load_accelerator("systolic_32x32"), where="")
    with pytest.raises(InvalidAccelerator, match="clock_mhz of systolic_32x32 is 200: at most 14"):
        price_list(machine, low)


def test_a_voltage_below_the_lowest_is_refused() -> None:
    with pytest.raises(InvalidInput) as error:
        scale_technology(LOW_LEAKAGE, 45, 0.2)
    assert str(error.value) == (
        "cannot scale low_leakage_45nm to 0.2 V: at least 0.7 V, below which memory cells do not "
        "hold and delays grow without bound; raise the voltage"
    )
    with pytest.raises(InvalidInput, match=r"at least 0\.6 V"):
        scale_technology(load_technology("asap7_7nm"), 7, 0.5)
    with pytest.raises(InvalidField, match=r"voltage_v must be at least timing\.lowest_voltage_v"):
        dataclasses.replace(LOW_LEAKAGE, voltage_v=0.5)


def test_another_node_says_nothing_of_delays() -> None:
    assert "scaled from 45 nm" in str(scale_technology(SYNTHESIS, 7, 0.7).timing.unknown)


# No free lunch

Point = tuple[float, float, float, float]
"""Energy, cycles, area and leakage."""

NET = lower(published("matchboxnet-1x1x32-P3"), frames=64, outputs=12)


def point(machine: Accelerator, technology: Technology) -> Point | None:
    """What a machine costs; None where a limit forbids it."""
    try:
        cost = estimate(NET, machine, technology)
    except InvalidAccelerator:
        return None
    return (cost.energy_pj, cost.latency_us, cost.area.mid, cost.leakage.mid)


def is_free(before: Point, after: Point) -> bool:
    """Less energy, less time, and neither area nor leakage for it."""
    cheaper = after[0] < before[0] * (1 - 1e-9) and after[1] < before[1] * (1 - 1e-9)
    return cheaper and after[2] <= before[2] and after[3] <= before[3]


FACTORS = (1, 2, 4, 16, 256, 4096, 65_536)
SWEEPS = [
    ("kws_ternary", kind, part, key)
    for kind, parts in (
        ("array", {"macs": ("rows", "columns"), "trees": ("rows", "columns")}),
        (
            "memory",
            {
                name: ("capacity_bits", "bandwidth_bits_per_cycle")
                for name in ("input_buffer", "weight_sram", "activation_sram")
            },
        ),
        ("machine", {"": ("vector_lanes", "trits_per_cycle")}),
    )
    for part, keys in parts.items()
    for key in keys
] + [("kws_int8_dram", "memory", "dram", "bandwidth_bits_per_cycle")]


@pytest.mark.parametrize("part", ["input_buffer", "weight_sram", "activation_sram"])
def test_no_size_is_better_for_free_than_the_one_that_fits(part: str) -> None:
    """Where a memory is to fit, a larger one never takes less of everything; nor a smaller one."""
    machine = load_accelerator("kws_ternary")
    fits = varied(machine, memories={part: MemoryChange(capacity_bits="fit")})
    cost = estimate(NET, fits, LOW_LEAKAGE)
    [size] = [memory.bits for memory in cost.accelerator.memories if memory.fitted]
    before = point(fits, LOW_LEAKAGE)
    assert before is not None
    for factor in (Fraction(1, 4), Fraction(1, 2), Fraction(5, 4), 2, 8, 64):
        capacity = int(size * factor)
        changed = varied(machine, memories={part: MemoryChange(capacity_bits=capacity)})
        after = point(changed, LOW_LEAKAGE)
        if after is None or estimate(NET, changed, LOW_LEAKAGE).misfits:
            continue  # a limit: no such macro, or the design is too large for it
        assert not is_free(before, after), capacity
        if factor > 1:
            assert before[2] < after[2] and before[3] < after[3], capacity


@pytest.mark.parametrize(("name", "kind", "part", "key"), SWEEPS)
def test_more_of_a_part_is_never_free(name: str, kind: str, part: str, key: str) -> None:
    """Each parameter over its range: less energy and less time cost area, leakage, or a limit."""
    machine = load_accelerator(name)
    last: Point | None = None
    forbidden = False
    for factor in FACTORS:
        if kind == "machine":
            size = machine.vector_lanes if key == "vector_lanes" else 32
            try:
                changed = varied(machine, **{key: size * factor})  # type: ignore[arg-type]
            except InvalidInput:
                forbidden = True
                break
        else:
            [found] = [
                each
                for each in (machine.arrays if kind == "array" else machine.memories)
                if each.name == part
            ]
            change = {key: getattr(found, key) * factor}
            parts: Any = (
                {"arrays": {part: ArrayChange(**change)}}
                if kind == "array"
                else {"memories": {part: MemoryChange(**change)}}
            )
            if kind == "array" and factor > 16:
                break
            try:
                changed = varied(machine, **parts)
            except InvalidInput:
                forbidden = True
                break
        found_point = point(changed, LOW_LEAKAGE)
        if found_point is None:
            forbidden = True
            continue
        if last is not None and key == "bandwidth_bits_per_cycle" and part == "dram":
            # A DRAM is another chip: its port has a limit instead of an area.
            assert not forbidden
        elif last is not None:
            assert not is_free(last, found_point), factor
        last = found_point
    assert last is not None  # something was compared
    if key == "bandwidth_bits_per_cycle":
        assert forbidden  # a port has an end


def test_a_faster_clock_ends_at_a_limit() -> None:
    machine = load_accelerator("kws_ternary")
    points = [point(varied(machine, clock_mhz=10.0 * f), LOW_LEAKAGE) for f in (1, 2, 4, 8, 16)]
    assert [each is None for each in points] == [False, False, False, False, True]


def test_a_lower_voltage_takes_longer_at_its_highest_clock() -> None:
    machine = load_accelerator("kws_ternary")
    before: Point | None = None
    for voltage_v in (1.0, 0.9, 0.8, 0.7):
        technology = scale_technology(LOW_LEAKAGE, 45, voltage_v)
        highest, _ = highest_clock_mhz(machine, technology)
        found = point(varied(machine, clock_mhz=highest * 0.999), technology)
        assert found is not None
        assert before is None or not is_free(before, found)
        before = found


def test_a_path_does_not_depend_on_what_is_not_on_it() -> None:
    machine = load_accelerator("kws_int8")
    more = varied(machine, arrays={"macs": ArrayChange(rows=64)})
    assert highest_clock_mhz(more, LOW_LEAKAGE) == highest_clock_mhz(machine, LOW_LEAKAGE)
    wide = varied(machine, arrays={"macs": ArrayChange(accumulator_bits=48)})
    assert highest_clock_mhz(wide, LOW_LEAKAGE)[0] < highest_clock_mhz(machine, LOW_LEAKAGE)[0]
