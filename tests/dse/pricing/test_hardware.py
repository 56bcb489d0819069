"""Machines of a study: their combinations, and networks priced on all of them."""

import dataclasses
import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cost_models import Accelerator, Technology, estimate, load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml
from dse.columns import COST_COLUMNS
from dse.design.point import DesignPoint
from dse.design.space_file import space_from_node
from dse.errors import InvalidFile, InvalidInput
from dse.networks.lowering import lower
from dse.pricing.budget import Budget, Limit
from dse.pricing.hardware import MOST, Hardware, hardware_from_node
from dse.pricing.pricing import Offer, Pricing, choose
from dse.speech.task import FeatureSpec
from dse.studies.folder import RESOLVED
from dse.studies.frontier import find_frontier
from dse.studies.resolved import Begun, resolved_yaml
from dse.studies.rows import Evaluation
from dse.studies.study import open_study
from tests.studies import SMALL
from tests.studies import read as read_spec

FRAMES, OUTPUTS = 64, 4
SPACE = space_from_node(
    parse_yaml(
        "{blocks: [1, 2], channels: [8, 16], policy: [P0, P2], prologue_channels: 16, "
        "epilogue_channels: 16, final_channels: 16, density: 0.25}",
        "space.yaml",
    ),
    in_channels=16,
)


def load(name: str, technology: str | None = None) -> tuple[Accelerator, Technology]:
    accelerator = load_accelerator(name)
    return accelerator, load_technology(technology or accelerator.technology)


def read(text: str, default: str = "kws_ternary") -> Hardware:
    return hardware_from_node(parse_yaml(text, "study.yaml"), load, default)


def names(hardware: Hardware) -> list[str]:
    return [machine.accelerator.name for machine in hardware.machines]


def test_every_combination_of_what_a_machine_has() -> None:
    found = read(
        "machine: [kws_ternary, kws_int8]\n"
        "clock_mhz: [5, 20]\n"
        "trits_per_cycle: [8, 16]\n"
        "arrays: {trees: {rows: [2, 4]}, macs: {columns: 4}}\n"
        "memories: {weight_sram: {capacity_bits: [262144, 1048576]}}\n"
    )
    # kws_int8 has neither generator nor trees: 2 clocks x 2 memories.
    assert len(found.machines) == 2 * 2 * 2 * 2 + 2 * 2 and found.skipped == 0
    assert len(set(names(found))) == len(found.machines)
    assert names(found)[0] == (
        "kws_ternary, 5 MHz, 8 trits, trees rows 2, macs columns 4, weight_sram 262.144 kbit"
    )
    first = found.machines[0].accelerator
    assert (first.clock_mhz, first.memories[1].capacity_bits) == (5.0, 262_144)
    assert first.generator is not None and first.generator.trits_per_cycle == 8
    assert [(array.name, array.rows, array.columns) for array in first.arrays] == [
        ("macs", 8, 4),
        ("trees", 2, 32),
    ]
    last = found.machines[-1].accelerator
    assert last.name == "kws_int8, 20 MHz, macs columns 4, weight_sram 1048.576 kbit"
    assert last.generator is None and last.ternary_weights == "stored"
    assert found.machine(last.name).accelerator is last
    with pytest.raises(InvalidInput, match="has no machine 'x' among its 20"):
        found.machine("x")


def test_one_value_is_a_list_of_one_and_the_study_has_a_machine() -> None:
    assert names(read("clock_mhz: 20")) == ["kws_ternary, 20 MHz"]
    assert names(read("clock_mhz: [13.333333, 13.3333334]")) == [
        "kws_ternary, 13.333333 MHz",
        "kws_ternary, 13.3333334 MHz",
    ]
    assert names(read("machine: [kws_int8, tpu_like]")) == ["kws_int8", "tpu_like"]


def test_technologies_are_an_axis_of_every_machine() -> None:
    found = read(
        "machine: [kws_ternary, kws_int8]\n"
        "technology: [low_leakage_45nm, low_leakage_22nm]\n"
        "clock_mhz: [10, 150]\n"
    )
    assert names(found) == [
        "kws_ternary, low_leakage_45nm, 10 MHz",
        "kws_ternary, low_leakage_22nm, 10 MHz",
        "kws_ternary, low_leakage_22nm, 150 MHz",
        "kws_int8, low_leakage_45nm, 10 MHz",
        "kws_int8, low_leakage_45nm, 150 MHz",
        "kws_int8, low_leakage_22nm, 10 MHz",
        "kws_int8, low_leakage_22nm, 150 MHz",
    ]
    assert found.skipped == 1  # the ternary trees of 45 nm are too slow for 150 MHz
    for each in found.machines:
        assert each.accelerator.technology == each.technology.name
        assert each.technology.name in each.accelerator.name
    with pytest.raises(InvalidFile, match=r"hardware\.technology: no technology is called 'tin'"):
        read("technology: [low_leakage_45nm, tin]")


def test_machines_of_one_name_are_refused() -> None:
    def named(name: str, technology: str | None) -> tuple[Accelerator, Technology]:
        machine, constants = load(name, technology)
        return dataclasses.replace(machine, name="mine"), constants

    node = parse_yaml("{machine: [kws_int8, tpu_like]}", "study.yaml")
    with pytest.raises(InvalidFile, match="two machines have the accelerator name 'mine'"):
        hardware_from_node(node, named, "kws_int8")


def test_technologies_of_one_name_are_the_same() -> None:
    def changed(name: str, _: str | None) -> tuple[Accelerator, Technology]:
        machine, technology = load(name)
        clock = 2.0 if name == "tpu_like" else 1.0
        voltage = dataclasses.replace(technology, voltage_v=technology.voltage_v * clock)
        return machine, dataclasses.replace(voltage, name="process")

    node = parse_yaml("{machine: [kws_int8, tpu_like]}", "study.yaml")
    with pytest.raises(InvalidFile, match="have the technology name 'process': give one of them"):
        hardware_from_node(node, changed, "kws_int8")


def test_what_cannot_exist_is_left_out_and_counted() -> None:
    # The columns of a ternary tree are its lanes.
    found = read("arrays: {trees: {lanes: [1, 3]}}")
    assert len(found.machines) == 1 and found.skipped == 1
    with pytest.raises(InvalidFile) as caught:
        read("arrays: {trees: {lanes: [3, 5]}}")
    assert "none of the 2 machines can exist: lanes must be 1 for ternary trees" in str(
        caught.value
    )
    # Beyond the technology's table of SRAMs: seen only where it is priced.
    found = read("memories: {weight_sram: {capacity_bits: [1048576, 100000000000]}}")
    assert len(found.machines) == 1 and found.skipped == 1


def test_fit_is_a_value_among_others() -> None:
    found = read("memories: {weight_sram: {capacity_bits: [fit, 1048576]}}")
    assert names(found) == [
        "kws_ternary, weight_sram fit",
        "kws_ternary, weight_sram 1048.576 kbit",
    ]
    point = SPACE.point(SPACE.sample(random.Random(1)))
    pricing = Pricing(found.machines, frames=FRAMES, outputs=OUTPUTS)
    best = pricing.best(point)
    # The same events, each bit from a smaller memory: it wins.
    assert best.machine.accelerator.name == "kws_ternary, weight_sram fit"
    cost = estimate(
        lower(point, frames=FRAMES, outputs=OUTPUTS),
        best.machine.accelerator,
        best.machine.technology,
    )
    assert best.columns == {name: cost.columns()[name] for name in best.columns}
    assert best.reason == ""


def test_wider_sums_widen_their_registers() -> None:
    found = read("arrays: {macs: {accumulator_bits: [16, 24, 32]}}")
    arrays = [machine.accelerator.arrays for machine in found.machines]
    macs = [array for each in arrays for array in each if array.name == "macs"]
    assert [array.accumulator_bits for array in macs] == [16, 24, 32]
    assert [array.outputs.capacity_bits for array in macs] == [24, 24, 32]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("clock: 5", "unknown key 'clock': did you mean 'clock_mhz'?", 1),
        ("clock_mhz: []", "clock_mhz must be a value, or a list of different ones, not []", 1),
        ("clock_mhz: [5, 0]", "clock_mhz[1] must be above 0, not 0.0", 1),
        ("clock_mhz: -3", "clock_mhz must be above 0, not -3.0", 1),
        ("clock_mhz: .nan", "clock_mhz must be above 0, not nan", 1),
        ("clock_mhz: [5, fast]", "must be a number, not 'fast'", 1),
        (
            "clock_mhz: [5, 5.0]",
            "or a list of different ones, not [5.0, 5.0]",
            1,
        ),
        ("vector_lanes: 2.5", "must be a whole number or a list, not 2.5", 1),
        ("machine: [kws_ternary, kws_9]", "hardware.machine: ", 1),
        ("machine: kws_int8\ntrits_per_cycle: 8", "none of kws_int8 has a generator", 2),
        ("arrays: {trees: {rows: 2}}\nmachine: kws_int8", "none of kws_int8 has arrays.trees", 1),
        ("memories: {dram: {capacity_bits: 9}}", "none of kws_ternary has memories.dram", 1),
        ("arrays: {trees: {row: 2}}", "unknown key 'arrays.trees.row': did you mean 'rows'?", 1),
        ("arrays: {trees: 2}", "arrays.trees must be a mapping", 1),
        ("arrays: []", "arrays must be a mapping", 1),
        ("memories: {weight_sram: {capacity_bits: [fits]}}", "one of fit, not 'fits'", 1),
        ("arrays: {trees: {zero_handling: often}}", "must be one of dense, gated, skipped", 1),
        (f"clock_mhz: {[*range(1, MOST + 2)]}", f"hardware: more than {MOST} machines", 1),
        ("[kws_ternary]", "the file must be a mapping of keys, not a list", 1),
    ],
)
def test_bad_hardware_is_refused_with_file_and_line(text: str, message: str, line: int) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(text)
    assert message in str(caught.value)
    assert re.search(rf"\(study\.yaml:{line}\)$", str(caught.value)), str(caught.value)


# --- networks on all of them

HARDWARE = read(
    "machine: [kws_ternary, kws_int8, kws_int8_dram]\nclock_mhz: [5, 20]\n"
    "arrays: {macs: {columns: [4, 8]}}\n"
)
OBJECTIVES = ("error", "energy_pj", "area_um2")
POINTS = {point.key: point for point in (SPACE.point(each) for each in SPACE.enumerate())}
VALUES = {SPACE.point(each).key: each for each in SPACE.enumerate()}


def on_machines(budget: Budget) -> Pricing:
    found = Pricing(
        HARDWARE.machines,
        objectives=OBJECTIVES,
        budget=budget,
        frames=FRAMES,
        outputs=OUTPUTS,
        rate=20.0,
    )
    found.offer(POINTS)
    return found


def costs_of(offers: Sequence[Offer]) -> dict[str, dict[str, float]]:
    return {offer.machine.accelerator.name: offer.columns for offer in offers}


def by_estimate(point: DesignPoint, budget: Budget) -> dict[str, dict[str, float]]:
    """Machine -> costs, of the machines that keep the limits; one `estimate` at a time."""
    kept = {}
    for machine in HARDWARE.machines:
        workload = lower(point, frames=FRAMES, outputs=OUTPUTS)
        cost = estimate(workload, machine.accelerator, machine.technology)
        if not budget.violations(cost.columns(20.0)) and not cost.misfits:
            kept[machine.accelerator.name] = dict(cost.columns(20.0))
    return kept


def test_a_network_is_offered_where_no_other_machine_beats_it() -> None:
    free = [by_estimate(point, Budget()) for point in POINTS.values()]
    latencies = sorted(cost["latency_us"] for kept in free for cost in kept.values())
    budget = Budget((Limit("latency_us", latencies[len(latencies) // 6]),))
    found = on_machines(budget)
    counts = set()
    for key, point in POINTS.items():
        kept = by_estimate(point, budget)
        best = [
            name
            for name, cost in kept.items()
            if not any(
                all(other[c] <= cost[c] for c in ("energy_pj", "area_um2"))
                and any(other[c] < cost[c] for c in ("energy_pj", "area_um2"))
                for other in kept.values()
            )
        ]
        offers = costs_of(found.offered[key])
        assert offers == {name: kept[name] for name in best}  # to the last bit
        counts.add(len(best))
        for cost in offers.values():
            assert set(cost) == set(COST_COLUMNS)
            assert {name: type(value) for name, value in cost.items()} == {
                name: type(value) for name, value in kept[next(iter(offers))].items()
            }
    assert len(counts) > 1  # limits and machines matter


def test_the_row_names_the_machine_of_the_least_product() -> None:
    budget = Budget()
    pricing = on_machines(budget)
    for key, point in POINTS.items():
        kept = by_estimate(point, budget)
        products = {name: cost["energy_pj"] * cost["area_um2"] for name, cost in kept.items()}
        best = pricing.best(point)
        assert best.machine.accelerator.name == min(products, key=products.__getitem__)
        assert not best.reason
        # What the row says is among the points of the frontier.
        name = best.machine.accelerator.name
        offers = costs_of(pricing.offered[key])
        assert offers[name] == best.columns


def test_the_first_of_equal_machines_is_chosen_and_none_that_breaks_a_limit() -> None:
    costs = {
        "energy_pj": np.array([1.0, 4.0, 2.0, 2.0]),
        "area_um2": np.array([1.0, 1.0, 2.0, 2.0]),
    }
    assert choose(costs, np.array([True, True, True, True])) == 0
    assert choose(costs, np.array([False, True, True, True])) == 1  # 4 x 1 = 2 x 2
    assert choose(costs, np.array([False, False, True, True])) == 2


def test_a_network_that_fits_nowhere_is_priced_where_it_is_nearest() -> None:
    point = next(iter(POINTS.values()))
    free = by_estimate(point, Budget())
    nearest = min(free, key=lambda name: free[name]["latency_us"])
    budget = Budget((Limit("latency_us", free[nearest]["latency_us"] / 2),))
    pricing = on_machines(budget)
    best = pricing.best(point)
    assert best.columns["latency_us"] == free[nearest]["latency_us"]
    assert best.reason.startswith("latency_us is ")
    assert pricing.offered[point.key] == ()


# --- read back from a study's folder


ASKED = dataclasses.replace(
    read_spec(SMALL),
    space=SPACE,
    features=FeatureSpec(frames=FRAMES),
    hardware=HARDWARE,
    objectives=OBJECTIVES,
    budget=Budget((Limit("area_um2", 1e9),)),
    measured_budget=Budget((Limit("error", 0.9),)),
    rate=20.0,
)
BOX = {"error": (0.0, 1.0), "energy_pj": (4.0, 8.0), "area_um2": (4.0, 7.0)}
BEGUN = Begun(data_key="d4ta", outputs=OUTPUTS, box=BOX, workers=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / RESOLVED).write_text(resolved_yaml(ASKED, BEGUN))
    return tmp_path


def rows() -> list[Evaluation]:
    status = itertools.cycle(["trained", "infeasible", "trained", "stopped"])
    return [
        Evaluation(
            trial=trial,
            status=kind,
            source="search",
            key=key,
            name=key,
            values=VALUES[key],
            cost=dict.fromkeys(COST_COLUMNS, 1.0),
            accelerator="as recorded",
            error=None if kind == "infeasible" else 0.5 - 0.01 * trial,
        )
        for trial, (key, kind) in enumerate(zip(POINTS, status, strict=False))
    ]


def test_machines_come_back_as_they_were(folder: Path) -> None:
    study = open_study(folder)
    assert study.asked.hardware == HARDWARE
    assert study.asked.machine_words == "12 machines"
    row = dataclasses.replace(rows()[0], accelerator=HARDWARE.machines[5].accelerator.name)
    assert study.find_machine(row) == HARDWARE.machines[5]
    with pytest.raises(InvalidInput, match="has no machine 'as recorded'"):
        study.find_machine(rows()[0])


def test_trained_rows_are_expanded_and_others_stay(folder: Path) -> None:
    study = open_study(folder)
    found = study.expanded(rows())
    offers = on_machines(Budget())
    for row in rows():
        mine = [each for each in found if each.trial == row.trial]
        if row.status != "trained":
            assert mine == [row]
            continue
        assert [(each.accelerator, each.cost) for each in mine] == [
            (offer.machine.accelerator.name, offer.columns) for offer in offers.offered[row.key]
        ]
        assert {(each.error, each.key, each.status) for each in mine} == {
            (row.error, row.key, "trained")
        }
    front = find_frontier(found, OBJECTIVES)
    pairs = {(row.key, row.accelerator) for row in front}
    assert len(pairs) == len(front) > len({row.key for row in front})
    assert study.expanded([]) == []


def test_a_study_of_one_machine_keeps_its_rows(folder: Path) -> None:
    alone = dataclasses.replace(ASKED, hardware=Hardware(HARDWARE.machines[:1]))
    (folder / RESOLVED).write_text(resolved_yaml(alone, BEGUN))
    study = open_study(folder)
    assert study.asked.hardware == alone.hardware and not study.asked.several_machines
    assert study.expanded(rows()) == rows()


def test_a_machine_that_fits_comes_back_as_it_was(tmp_path: Path) -> None:
    text = "memories: {weight_sram: {capacity_bits: fit, kind: [sram, mask_rom]}}"
    asked = dataclasses.replace(ASKED, hardware=read(text))
    assert names(asked.hardware) == [
        "kws_ternary, weight_sram fit, weight_sram sram",
        "kws_ternary, weight_sram fit, weight_sram mask rom",
    ]
    (tmp_path / RESOLVED).write_text(resolved_yaml(asked, BEGUN))
    again = open_study(tmp_path).asked.hardware
    assert [each.accelerator for each in again.machines] == [
        each.accelerator for each in asked.hardware.machines
    ]
    assert again.machines[1].accelerator.to_fit[0].kind == "mask_rom"
