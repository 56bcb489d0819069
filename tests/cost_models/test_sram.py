"""SRAM macros against CACTI's points; words, banks, ports and transfers; register files."""

import csv
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cost_models import (
    Accelerator,
    InvalidAccelerator,
    Layer,
    LayerKind,
    MemoryLevel,
    Register,
    SramRow,
    SramTable,
    Technology,
    WeightSource,
    Workload,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.area import register_file_growth
from cost_models.energy import leakages_uw, memory_prices, price_list
from cost_models.library import DATA
from cost_models.machine_area import logic_leakage_uw, machine_area_um2, memory_area_um2
from cost_models.sram import CACTI_45NM, SECOND_PORT_AREA, SECOND_PORT_ENERGY, Build, PortLaw
from tests.cost_models.conftest import BIT_BY_BIT, IN_PROPORTION, own

POINTS = Path(__file__).parent / "oracles" / "cacti7_sram.csv"
WIDTHS = (16, 32, 64, 128, 256)

Point = tuple[int, str, int, int]
"""Node, cells, capacity in bits, bits of a word."""


def points() -> dict[Point, dict[str, float]]:
    """CACTI's figures by point."""
    with POINTS.open(newline="") as file:
        return {
            (int(row["tech_nm"]), row["cell"], 8 * int(row["bytes"]), int(row["width_bits"])): {
                name: float(row[name])
                for name in ("read_pJ", "write_pJ", "area_mm2", "leak_mW", "access_ns")
            }
            for row in csv.DictReader(file)
        }


CACTI = points()


def law_of(column: str, law: PortLaw) -> Callable[[int, int], float]:
    if column == "read_pJ":
        return lambda bits, word: law.read(bits, word, word**2 / bits)
    if column == "write_pJ":
        return lambda bits, word: law.write(bits, word, word**2 / bits)
    share = law.area_flatness if column == "area_mm2" else law.leakage_flatness
    return lambda bits, word: 1 + share * word**2 / bits


def logarithms(column: str, law: PortLaw, *, fitted: bool) -> Iterator[float]:
    """ln(law / CACTI) of each ratio to the macro of 64-bit words."""
    figure = law_of(column, law)
    for (node, cell, bits, word), point in CACTI.items():
        if word != 64 and (node == 45) == fitted:
            cacti = point[column] / CACTI[node, cell, bits, 64][column]
            yield math.log(figure(bits, word) / figure(bits, 64) / cacti)


@pytest.mark.parametrize(
    ("column", "fitted", "count", "mean", "largest"),
    [
        ("read_pJ", True, 96, 0.15, 0.73),
        ("read_pJ", False, 72, 0.10, 0.41),
        ("write_pJ", True, 96, 0.07, 0.30),
        ("write_pJ", False, 72, 0.07, 0.29),
        ("area_mm2", True, 96, 0.05, 0.21),
        ("area_mm2", False, 72, 0.06, 0.17),
        ("leak_mW", True, 96, 0.04, 0.14),
        ("leak_mW", False, 72, 0.03, 0.18),
    ],
)
def test_the_law_is_as_far_from_cactis_points_as_it_says(
    column: str, fitted: bool, count: int, mean: float, largest: float
) -> None:
    errors = [math.exp(abs(each)) - 1 for each in logarithms(column, CACTI_45NM, fitted=fitted)]
    assert len(errors) == count
    assert mean - 0.012 < sum(errors) / len(errors) < mean + 0.003
    assert largest - 0.012 < max(errors) < largest + 0.005


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("read_pJ", ("row_bits", "row_exponent", "read_flatness")),
        ("write_pJ", ("write_bits",)),
        ("area_mm2", ("area_flatness",)),
        ("leak_mW", ("leakage_flatness",)),
    ],
)
def test_the_law_is_the_best_of_its_form(column: str, names: tuple[str, ...]) -> None:
    def squares(law: PortLaw) -> float:
        return sum(each**2 for each in logarithms(column, law, fitted=True))

    best = squares(CACTI_45NM)
    for name in names:
        for factor in (0.9, 1.1):
            changed = {name: factor * getattr(CACTI_45NM, name)}
            assert squares(dataclasses.replace(CACTI_45NM, **changed)) > best, (name, factor)


@pytest.mark.parametrize("word", [64, 256])
def test_one_kilobyte_as_cacti_has_it(word: int) -> None:
    # Twice the band of the law in either direction; the 64-bit macro is the table's own row.
    sram = load_technology("low_leakage_45nm").sram
    point = CACTI[45, "itrs-lstp", 8192, word]
    tolerance = 1e-3 if word == 64 else 0.16
    build = Build(word_bits=word)
    read = word * sram.read_pj_per_bit(8192, build).mid
    assert read == pytest.approx(point["read_pJ"], rel=tolerance)
    assert sram.area_um2(8192, build).mid == pytest.approx(1e6 * point["area_mm2"], rel=tolerance)
    assert sram.leakage_uw(8192, build).mid == pytest.approx(1e3 * point["leak_mW"], rel=tolerance)


def test_256_bits_of_a_kilobyte_cost_nearly_three_times_the_area_and_more_a_bit() -> None:
    # CACTI: 2.93 times the area, and 1.37 (itrs-lstp) or 1.21 times (itrs-hp) the energy a bit.
    sram = load_technology("low_leakage_45nm").sram
    narrow, wide = Build(word_bits=64), Build(word_bits=256)
    area = sram.area_um2(8192, wide).mid / sram.area_um2(8192, narrow).mid
    # (1 + 0.255 * 8) / (1 + 0.255 * 0.5)
    assert area == pytest.approx(3.04 / 1.1275)
    read = sram.read_pj_per_bit(8192, wide).mid / sram.read_pj_per_bit(8192, narrow).mid
    # f = 553 * 8 ** 0.607 = 1954: (1954 + 256) (1 + 0.583 * 8) / (1954 + 64) / (1 + 0.583 / 2) / 4
    assert read == pytest.approx(2210 * 5.664 / 2018 / 1.2915 / 4, rel=1e-3)
    assert 1.15 < read < 1.37


@pytest.mark.parametrize("bits", [8192, 65_536, 524_288, 8_388_608])
def test_wider_words_and_ports_are_never_cheaper_in_all(bits: int) -> None:
    sram = load_technology("low_leakage_45nm").sram
    builds = [Build(word_bits=word) for word in (8, 16, 32, 64, 128, 256)]
    builds += [Build(word_bits=256, banks=banks) for banks in (2, 4, 8, 16, 32)]
    allowed = [each for each in builds if each.banks * each.word_bits**2 <= 8 * bits]
    allowed = [each for each in allowed if bits / each.banks >= 8192]
    assert len(allowed) >= 6
    for before, after in itertools.pairwise(allowed):
        for figure in (sram.area_um2, sram.leakage_uw):
            assert figure(bits, after).mid > figure(bits, before).mid
        for figure in (sram.read_pj_per_bit, sram.write_pj_per_bit):
            port = [each.banks * each.word_bits for each in (before, after)]
            access = [
                width * figure(bits, each).mid
                for width, each in zip(port, (before, after), strict=True)
            ]
            assert access[1] > access[0]  # of the whole port
            if after.banks > 1:
                assert figure(bits, after).mid >= figure(bits, before).mid  # of a bit


def test_banks_are_macros_side_by_side() -> None:
    # 4 banks of 8,192 bits with words of 128, x = 2, in 32,768 bits, where the table's words of 64
    # have x = 1/8: area (1 + 0.255 * 2) / (1 + 0.255 / 8).
    sram, four = load_technology("low_leakage_45nm").sram, Build(word_bits=128, banks=4)
    area = sram.area_um2(32_768, four).mid / sram.area_um2(32_768).mid
    assert area == pytest.approx(1.51 / 1.031875)
    # f = 553 * 2 ** 0.607 = 842.3; a bit of an access of 128, (f + 128) (1 + 0.583 * 2) / 128,
    # over one of 64, (f + 64) (1 + 0.583 / 8) / 64.
    read = sram.read_pj_per_bit(32_768, four).mid / sram.read_pj_per_bit(32_768).mid
    assert read == pytest.approx(970.3 * 2.166 / 128 / (906.3 * 1.072875 / 64), rel=1e-3)


def test_a_second_port_widens_every_cell() -> None:
    # 10 x 14.6 feature sizes become 15 x 19.6: 2.01 times the area; wires are sqrt(2.01) as long.
    sram, two = table(), Build(word_bits=64, two_ports=True)
    assert pytest.approx(15 * 19.6 / 146) == SECOND_PORT_AREA
    assert sram.area_um2(1_000, two).mid == pytest.approx(100 * 2.0137, rel=1e-4)
    assert sram.read_pj_per_bit(1_000, two).mid == pytest.approx(1.419, rel=1e-3)
    assert pytest.approx(sram.leakage_uw(1_000, two).mid) == 3 * 8 / 6
    assert pytest.approx(SECOND_PORT_ENERGY**2) == SECOND_PORT_AREA


def table() -> SramTable:
    rows = (
        SramRow(
            capacity_bits=1_000, read_pj_per_bit=1, write_pj_per_bit=2, area_um2=100, leakage_uw=3
        ),
        SramRow(
            capacity_bits=100_000,
            read_pj_per_bit=4,
            write_pj_per_bit=32,
            area_um2=900,
            leakage_uw=5,
        ),
    )
    return SramTable(source="made up", word_bits=64, rows=rows, port_law=IN_PROPORTION)


# How a machine's memories are built


def sram(capacity_bits: int, port_bits: int, **changes: object) -> MemoryLevel:
    level = MemoryLevel(
        name="sram",
        kind="sram",
        holds=("weights", "inputs", "outputs"),
        capacity_bits=capacity_bits,
        bandwidth_bits_per_cycle=port_bits,
    )
    return dataclasses.replace(level, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("port", "word", "access", "build"),
    [
        (64, None, 64, Build(word_bits=64)),
        (64, 16, 16, Build(word_bits=16, banks=4)),
        (2048, 64, 64, Build(word_bits=64, banks=32)),
        # Macros have words of at most 256 bits: a word of 384 is two of 192.
        (384, None, 384, Build(word_bits=192, banks=2)),
        (2048, None, 2048, Build(word_bits=256, banks=8)),
        # A word that the port takes in four cycles.
        (16, 64, 64, Build(word_bits=64)),
    ],
)
def test_words_and_banks_of_a_port(port: int, word: int | None, access: int, build: Build) -> None:
    memory = sram(10**6, port, word_bits=word)
    assert (memory.access_bits, memory.build) == (access, build)


def test_other_memories_are_read_bit_by_bit_unless_they_say_otherwise() -> None:
    assert sram(10**6, 64, kind="dram").access_bits == 1
    assert sram(8_000, 64, kind="register_file").access_bits == 1
    assert sram(10**6, 16, kind="dram", word_bits=64).access_bits == 64


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        (
            sram(8192, 512),
            "an SRAM of 8,192 bits ('sram') has no rows for a port of 512 bits: at most 256 "
            "(word^2 / capacity up to 8, the flattest macro that is known); lower "
            "bandwidth_bits_per_cycle or word_bits, or raise capacity_bits",
        ),
        (
            sram(65_536, 257),
            None,
        ),
        (
            sram(65_536, 4096, word_bits=256),
            "an SRAM of 65,536 bits ('sram') has no rows for a port of 4,096 bits: at most 2,048 "
            "(word^2 / capacity up to 8, the flattest macro that is known); lower "
            "bandwidth_bits_per_cycle or word_bits, or raise capacity_bits",
        ),
        (
            sram(16_384, 64, word_bits=16),
            "an SRAM of 16,384 bits ('sram') with a port of 4 words of 16 bits has banks of 4,096 "
            "bits, and the technology's smallest macro has 8,192: lower bandwidth_bits_per_cycle, "
            "widen word_bits, or raise capacity_bits",
        ),
    ],
)
def test_a_port_that_no_macro_has_is_refused(memory: MemoryLevel, message: str | None) -> None:
    technology = load_technology("low_leakage_45nm")

    def priced() -> None:
        memory_prices(memory, technology)
        memory_area_um2(memory, technology)

    if message is None:
        priced()
        return
    with pytest.raises(InvalidAccelerator) as error:
        priced()
    assert str(error.value) == message


def test_a_port_of_a_million_bits_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wide.yaml"
    text = (DATA / "accelerators" / "kws_int8.yaml").read_text()
    wide = "capacity_bits: 1048576, bandwidth_bits_per_cycle: 1048576}"
    path.write_text(text.replace("capacity_bits: 1048576, bandwidth_bits_per_cycle: 64}", wide))
    machine = load_accelerator(path)
    with pytest.raises(
        InvalidAccelerator, match=r"wide.yaml:\d+\) has no rows for a port of 1,048,"
    ):
        price_list(machine, load_technology(machine.technology))


@pytest.mark.parametrize("name", accelerator_names())
def test_every_machine_of_the_library_can_be_built(name: str) -> None:
    machine = load_accelerator(name)
    technology = load_technology(machine.technology)
    price_list(machine, technology)
    assert machine_area_um2(machine, technology) and leakages_uw(machine, technology)


# Words, a transfer at a time


def pointwise(in_channels: int, out_channels: int, frames: int, **changes: object) -> Layer:
    layer = Layer(
        name="layer",
        kind=LayerKind.POINTWISE,
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=frames,
        weights=WeightSource.TRAINED,
        rescaled=False,
    )
    return dataclasses.replace(layer, **changes)  # type: ignore[arg-type]


Moved = dict[tuple[str, str], float]


def moved(machine: Accelerator, technology: Technology, layer: Layer, *, word_bits: int) -> Moved:
    """Bits through the activation SRAM of the round machine, with words as told."""
    weights, activations = machine.memories
    activations = dataclasses.replace(activations, word_bits=word_bits)
    array = dataclasses.replace(machine.arrays[0], dataflow="weight_stationary")
    changed = dataclasses.replace(
        machine,
        memories=(weights, activations),
        arrays=(array,),
        ternary_weights="stored",
        generator=None,
    )
    cost = estimate(Workload("one", (layer,)), changed, technology, "energy")
    return {
        (str(row["operand"]), str(row["action"])): float(row["count"])
        for row in cost.energy_table
        if row["part"] == "activation_sram" and row["operand"]
    }


def test_a_transfer_of_less_than_a_word_pays_for_the_word(
    machine: Accelerator, technology: Technology
) -> None:
    # 4 x 2 MACs, weight stationary, 2 inputs and 4 outputs at once: 10 frames are 10 passes, each
    # with 16 bits of inputs and 32 of outputs. Bit by bit that is 160 and 320 bits.
    layer = pointwise(2, 4, 10)
    assert moved(machine, technology, layer, word_bits=1) == {
        ("inputs", "read"): 160,
        ("outputs", "write"): 320,
    }
    # In words of 64 it is a word each, not the 3 and 5 words that all of them together would take.
    assert moved(machine, technology, layer, word_bits=64) == {
        ("inputs", "read"): 640,
        ("outputs", "write"): 640,
    }


def test_sums_that_leave_early_pay_for_their_words(
    machine: Accelerator, technology: Technology
) -> None:
    # 4 inputs on 2 columns, two passes over R with T inside: 4 sums of 24 bits leave for each of 10
    # frames, 96 bits, two words of 64; come back; and leave as 32 bits, one word.
    found = moved(machine, technology, pointwise(4, 4, 10), word_bits=64)
    if ("outputs", "read") in found:
        assert found["outputs", "read"] == 10 * 128
        assert found["outputs", "write"] == 10 * 128 + 10 * 64
    else:  # all four inputs at once, then one output at a time
        assert found["outputs", "write"] % 64 == 0


def test_registers_with_room_take_several_tiles_in_one_transfer() -> None:
    # Trits in registers of 8 bits: four fit, so the 16 bits of 8 rows come four passes at a time,
    # one word of 64; in registers of 2 bits each pass pays for a word.
    machine = load_accelerator("kws_int8")
    layer = pointwise(64, 8, 8, weight_bits=2)

    def words(bits: int) -> float:
        array = dataclasses.replace(
            machine.arrays[0],
            dataflow="output_stationary",
            weights=Register(capacity_bits=bits),
        )
        changed = dataclasses.replace(machine, arrays=(array,))
        cost = estimate(
            Workload("one", (layer,)), changed, load_technology(machine.technology), "latency"
        )
        assert str(cost.layers[0].mapping) == "rows N, columns T; R 64"
        [row] = [
            row
            for row in cost.energy_table
            if (row["part"], row["operand"]) == ("weight_sram", "weights")
        ]
        return float(row["count"]) / 64

    assert (words(2), words(8)) == (64, 16)


# Register files


def test_a_larger_register_file_costs_more_a_bit() -> None:
    assert [register_file_growth(bits) for bits in (8, 512, 2048, 8192)] == [1, 1, 2, 4]


def test_a_register_file_beyond_all_sources_is_refused(
    machine: Accelerator, technology: Technology
) -> None:
    large = sram(128 * 8192, 64, kind="register_file")
    with pytest.raises(InvalidAccelerator) as error:
        memory_prices(large, technology)
    assert str(error.value) == (
        "a register file of 1,048,576 bits ('sram') has no known price: at most 8,192; make it an "
        "SRAM (kind: sram), lower capacity_bits, or give the machine figures of its own "
        "(read_pj_per_bit, write_pj_per_bit)"
    )
    own_figures = dataclasses.replace(large, read_pj_per_bit=own(1), write_pj_per_bit=own(1))
    assert memory_prices(own_figures, technology)[0].mid == 1
    array = dataclasses.replace(machine.arrays[0], weights=Register(capacity_bits=10_000))
    with pytest.raises(InvalidAccelerator, match=r"10,000 bits \(weights of macs\)"):
        price_list(dataclasses.replace(machine, arrays=(array,)), technology)


def test_a_register_file_meets_the_smallest_sram_in_energy() -> None:
    technology = load_technology("low_leakage_45nm")
    file, _ = memory_prices(sram(8192, 64, kind="register_file"), technology)
    macro, _ = memory_prices(sram(8192, 64), technology)
    assert file.mid == pytest.approx(macro.mid, rel=0.1)


def test_a_register_file_leaks_once(machine: Accelerator, technology: Technology) -> None:
    weights, activations = machine.memories
    file = dataclasses.replace(weights, kind="register_file", leakage_uw=None)
    as_logic = dataclasses.replace(machine, memories=(file, activations))
    told = dataclasses.replace(file, leakage_uw=own(7.0))
    by_itself = dataclasses.replace(machine, memories=(told, activations))
    # 100 um2 of its own figure, at 1 nW each, is 0.1 uW of the logic, or the 7 uW that it says.
    assert leakages_uw(by_itself, technology)["weight_sram"].mid == 7.0
    lost = logic_leakage_uw(as_logic, technology).mid - logic_leakage_uw(by_itself, technology).mid
    assert lost == pytest.approx(100 * 1e-3)


def test_an_ideal_memory_is_priced_by_its_own_figures_alone(technology: Technology) -> None:
    ideal = dataclasses.replace(sram(10**9, 10**9), **BIT_BY_BIT)
    assert [price.mid for price in memory_prices(ideal, technology)] == [4.0, 32.0]
    assert np.isclose(memory_area_um2(ideal, technology).mid, 900.0)
