import dataclasses
import math
import random
from pathlib import Path

import numpy as np
import pytest

from cost_models import Constant, estimate, load_accelerator, load_technology
from cost_models.sram import EXACT
from dse.design.published import published
from dse.design.space import Choice, SearchSpace
from dse.errors import InvalidInput
from dse.networks.lowering import lower
from dse.pricing.what_if import (
    ArrayChange,
    Fleet,
    MemoryChange,
    drawn_technology,
    machine_yaml,
    moves,
    regenerated,
    varied,
)
from dse.ternary.generators import Generator

MACHINE = load_accelerator("kws_ternary")
TECHNOLOGY = load_technology(MACHINE.technology)
SPACE = SearchSpace(
    (
        Choice("blocks", (1, 2)),
        Choice("policy", ("P0", "P2", "P4")),
        Choice("density", (0.25, 0.5)),
        Choice("channels", (16, 24, 32)),
        Choice("prologue_stride", (1, 2)),
    )
)
POINTS = tuple(SPACE.point(SPACE.sample(random.Random(seed))) for seed in range(12))
FRAMES, OUTPUTS = 64, 12


def fleet() -> Fleet:
    return Fleet([*POINTS, published("quartznet-5x5")], frames=FRAMES, outputs=OUTPUTS)


CHANGES = {
    "none": {},
    "clock": {"clock_mhz": 40.0},
    "arrays": {
        "arrays": {
            "macs": ArrayChange(rows=4, columns=16),
            "trees": ArrayChange(rows=2, zero_handling="gated"),
        }
    },
    "memories": {
        "memories": {
            "weight_sram": MemoryChange(capacity_bits=2**18, access_pj_per_bit=0.2),
            "activation_sram": MemoryChange(bandwidth_bits_per_cycle=16),
        }
    },
    "generator": {"trits_per_cycle": 8, "vector_lanes": 2},
    "stored": {"ternary_weights": "stored"},
    "fit": {"memories": {"activation_sram": MemoryChange(capacity_bits="fit")}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_fleet_costs_what_its_designs_cost_alone(change) -> None:
    machine = varied(MACHINE, **change)
    columns, fits = fleet().price(machine, TECHNOLOGY)
    for index, point in enumerate(fleet().points):
        cost = estimate(lower(point, frames=FRAMES, outputs=OUTPUTS), machine, TECHNOLOGY)
        assert {name: figures[index] for name, figures in columns.items()} == cost.columns()
        assert fits[index] == (not cost.misfits)
    # QuartzNet is far beyond the SRAM of this machine: both answers occur.
    assert set(fits.tolist()) == {True, False}


def test_designs_that_a_machine_refuses_have_no_cost() -> None:
    refusing = dataclasses.replace(MACHINE, ternary_weights="refused", generator=None)
    columns, fits = fleet().price(refusing, TECHNOLOGY)
    ternary = [any(b.mixer.kind == "ternary" for b in p.blocks) for p in fleet().points]
    assert np.isnan(columns["energy_pj"]).tolist() == ternary
    assert any(ternary) and not all(ternary)
    assert not fits[ternary].any()


def test_changed_parts_change_what_they_should() -> None:
    slow, _ = fleet().price(MACHINE, TECHNOLOGY)
    fast, _ = fleet().price(varied(MACHINE, clock_mhz=4 * MACHINE.clock_mhz), TECHNOLOGY)
    # Nearly: a fast clock leaks less in a cycle, and an order may be worth its waiting then.
    assert fast["latency_us"] == pytest.approx(slow["latency_us"] / 4, rel=0.03)
    assert fast["latency_cycles"] == pytest.approx(slow["latency_cycles"], rel=0.03)
    # Leakage flows for a quarter of the time.
    assert (fast["energy_pj"] < slow["energy_pj"]).all()
    larger = varied(MACHINE, arrays={"macs": ArrayChange(rows=16)})
    assert (fleet().price(larger, TECHNOLOGY)[0]["area_um2"] > slow["area_um2"]).all()


def test_wider_sums_need_wider_registers() -> None:
    wide = varied(
        MACHINE,
        arrays={
            each.name: ArrayChange(accumulator_bits=48, operand_bits=16) for each in MACHINE.arrays
        },
    )
    for array in wide.arrays:
        assert (array.accumulator_bits, array.operand_bits) == (48, 16)
        assert array.outputs is None or array.outputs.capacity_bits >= 48
    before = fleet().price(MACHINE, TECHNOLOGY)[0]
    after, fits = fleet().price(wide, TECHNOLOGY)
    assert fits[:-1].all() and (after["area_um2"][:-1] > before["area_um2"][:-1]).all()
    # Layers of eight bits do not run on four.
    narrow = varied(
        MACHINE, arrays={each.name: ArrayChange(operand_bits=4) for each in MACHINE.arrays}
    )
    assert not fleet().price(narrow, TECHNOLOGY)[1].any()


def test_another_generator_makes_the_same_densities() -> None:
    ternary = next(point for point in POINTS if point.blocks[1].mixer.kind == "ternary")
    other = regenerated(ternary, Generator(family="counter_arx"))
    mixers = [(a.mixer, b.mixer) for a, b in zip(ternary.blocks, other.blocks, strict=True)]
    assert all(one.density == two.density and one.kind == two.kind for one, two in mixers)
    families = {two.generator.family for _, two in mixers if two.generator is not None}
    assert families == {"counter_arx"}
    assert other.key != ternary.key
    dense = published("matchboxnet-3x1x64")
    assert regenerated(dense, Generator(family="sobol")) == dense


def test_a_part_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has no memory 'dram': it has input_buffer, weight"):
        varied(MACHINE, memories={"dram": MemoryChange(capacity_bits=1)})


def test_a_varied_machine_is_saved_and_read_again(tmp_path: Path) -> None:
    machine = varied(MACHINE, name="mine", clock_mhz=33.0, arrays={"macs": ArrayChange(rows=3)})
    path = tmp_path / "mine.yaml"
    path.write_text(machine_yaml(machine, based_on=MACHINE.name))
    again = load_accelerator(path)
    same = {"description": "", "source": "x"}
    assert dataclasses.replace(again, **same) == dataclasses.replace(machine, **same)
    assert "varied in the dashboard" in again.description
    assert "chosen by hand" in again.source


def test_drawn_constants_stay_in_their_bands_and_reach_both_halves() -> None:
    rng = np.random.default_rng(0)
    band = TECHNOLOGY.sram.energy_spread
    row = TECHNOLOGY.sram.rows[0].read_pj_per_bit
    adds = TECHNOLOGY.addition_pj_per_bit.band
    drawn = [drawn_technology(TECHNOLOGY, rng) for _ in range(200)]
    reads = np.array([each.sram.rows[0].read_pj_per_bit / row for each in drawn])
    values = np.array([each.addition_pj_per_bit.value for each in drawn])
    assert band.low <= reads.min() < reads.max() <= band.high
    assert adds.low <= values.min() < values.max() <= adds.high
    assert 0.35 < (values < adds.mid).mean() < 0.65


def test_robustness_is_the_share_of_draws_on_the_frontier() -> None:
    few = Fleet(POINTS[:4], frames=FRAMES, outputs=OUTPUTS)
    columns, _ = few.price(MACHINE, TECHNOLOGY)
    order = np.argsort(columns["energy_pj"])
    # The dearest design is the worst, too: no draw that scales all prices could save it, and the
    # cheapest is the best: nothing can push it off.
    errors = np.empty(4)
    errors[order] = [0.1, 0.2, 0.3, 0.4]
    share = few.robustness(MACHINE, TECHNOLOGY, errors, ["error", "energy_pj"], samples=20)
    assert share[order[0]] == 1.0
    assert ((share >= 0) & (share <= 1)).all()
    errors[order] = [0.4, 0.3, 0.2, 0.1]
    errors[order[3]] = math.nan
    share = few.robustness(MACHINE, TECHNOLOGY, errors, ["error", "energy_pj"], samples=20)
    assert share[order[3]] == 0.0 and share[order[2]] == 1.0


def test_a_machine_that_fits_is_drawn_with_the_sizes_of_its_designs() -> None:
    # Constants that are certain: each draw is the machine itself, so its frontier is the one.
    certain = {
        each.name: Constant(value=getattr(TECHNOLOGY, each.name).value, source="certain")
        for each in dataclasses.fields(TECHNOLOGY)
        if isinstance(getattr(TECHNOLOGY, each.name), Constant)
    }
    spreads = dict.fromkeys(("energy_spread", "area_spread", "leakage_spread"), EXACT)
    sram = dataclasses.replace(TECHNOLOGY.sram, **spreads)
    technology = dataclasses.replace(TECHNOLOGY, **certain, sram=sram)
    fits = {name: MemoryChange(capacity_bits="fit") for name in ("weight_sram", "activation_sram")}
    machine = varied(MACHINE, memories=fits)
    few = Fleet(POINTS[:6], frames=FRAMES, outputs=OUTPUTS)
    for name in ("area_um2", "energy_pj", "average_power_uw", "leakage_uw"):
        columns, _ = few.price(machine, technology)
        errors = -columns[name] / columns[name].max()
        share = few.robustness(machine, technology, errors, ["error", name], samples=3)
        assert (share == 1).all(), name  # who costs more makes fewer errors
    assert len(set(columns["leakage_uw"].tolist())) > 1


def test_robustness_repeats_with_its_seed() -> None:
    errors = np.linspace(0.1, 0.4, len(POINTS) + 1)
    shares = [
        fleet().robustness(
            MACHINE, TECHNOLOGY, errors, ["error", "energy_pj", "area_um2"], samples=10, seed=3
        )
        for _ in range(2)
    ]
    assert (shares[0] == shares[1]).all()


def test_moves_name_what_entered_and_left() -> None:
    found = moves(["a", "b", "c"], ["d", "c", "a"])
    assert (found.entered, found.left, found.stayed) == (("d",), ("b",), ("c", "a"))
