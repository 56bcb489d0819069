"""Generate or store: derived by hand on the round machine and technology."""

import dataclasses
import math
from typing import Any

import pytest

from cost_models import Accelerator, Technology, estimate, load_accelerator, load_technology
from cost_models.band import Band
from cost_models.break_even import BreakEvenTotal, Instead, break_even, break_even_bits
from cost_models.generator import GeneratorSpec
from cost_models.workload import Layer, LayerKind, WeightSource, Workload
from dse.design.published import published
from dse.networks.lowering import lower

SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=31, decision_bits=4)


def ternary(name: str = "pw", channels: int = 4, frames: int = 3, **changes: Any) -> Layer:
    defaults: dict[str, Any] = {
        "kind": LayerKind.POINTWISE,
        "in_channels": channels,
        "out_channels": channels,
        "in_frames": frames,
        "out_frames": frames,
        "weights": WeightSource.GENERATED,
        "weight_bits": 2,
        "nonzeros": 4,
        "generator": SPEC,
    }
    return Layer(name=name, **(defaults | changes))


def panel(machine: Accelerator, technology: Technology, *layers: Layer) -> Any:
    return break_even(estimate(Workload("test", layers), machine, technology))


def test_by_hand(machine: Accelerator, technology: Technology) -> None:
    # 4 x 4 adders hold the 4 x 4 trits while 3 frames pass: each is made once and serves 3. The
    # generator makes 4 a cycle, so it runs 4 cycles, each of 31 + 4 flip-flops of state and
    # threshold at 0.1 pJ and 4 * 4 compared bits at 0.2: 4 * (3.5 + 3.2) = 26.8 pJ; and the start
    # state is written to its register once, 3.1: 1.87 a trit.
    # Stored: 32 bits; the smallest SRAM of the table has 1,000 and reads at 1 pJ a bit: 2 a trit.
    total = panel(machine, technology, ternary())
    [row] = total.layers
    assert (row.layer, row.trits, row.regenerations, row.reuse) == ("pw", 16, 1.0, 3.0)
    assert row.generated_pj == pytest.approx(29.9)
    assert row.stored_pj == pytest.approx(32.0)
    assert row.break_even_bits == 1_000
    assert row.cheaper == total.cheaper == "generate"
    assert (total.stored_bits, total.memory_bits) == (32, 1_000)
    assert (total.generated_pj, total.stored_pj) == (row.generated_pj, row.stored_pj)
    # All areas are 1 um2 a unit: twice 31 + 4 flip-flops, 4 * (4 + 1) random bits, 16 compared
    # bits. The SRAM has 100 um2.
    assert total.generator_um2 == pytest.approx(106.0)
    assert total.memory_um2 == pytest.approx(100.0)
    assert total.smaller == "store"


def test_the_verdict_is_certain_only_where_bands_do_not_overlap(
    machine: Accelerator, technology: Technology
) -> None:
    # All constants of the generator and the memory are known to a factor of two each way, by
    # tests/cost_models/conftest.py: 44.9 against 32 pJ overlap, 152 against 32 do not.
    total = panel(machine, technology, ternary(generator=dataclasses.replace(SPEC, state_bits=61)))
    assert total.generated.as_tuple() == pytest.approx((22.45, 44.9, 89.8))
    assert total.stored.mid == pytest.approx(32.0)
    assert not total.certain
    large = dataclasses.replace(SPEC, state_bits=500)
    total = panel(machine, technology, ternary(generator=large))
    assert total.generated.low > total.stored.high
    assert total.certain and total.cheaper == "store"


def test_a_longer_register_loses_against_the_same_memory(
    machine: Accelerator, technology: Technology
) -> None:
    # 61 bits of state: 4 * (6.5 + 3.2) + 6.1 = 44.9 pJ, 2.806 a trit; 166 um2.
    spec = dataclasses.replace(SPEC, state_bits=61)
    total = panel(machine, technology, ternary(generator=spec))
    [row] = total.layers
    assert row.generated_pj == pytest.approx(44.9)
    assert row.cheaper == total.cheaper == "store"
    assert total.smaller == "store"
    # Reads grow from 1 to 4 pJ a bit between 1,000 and 100,000 bits: as the power log 4 / log 100.
    # 2 * (bits / 1,000)^0.301 = 2.806 at 1,000 * 1.403^(1 / 0.301) = 3,080.7.
    exact = 1_000 * (44.9 / 32) ** (math.log(100) / math.log(4))
    assert row.break_even_bits == math.ceil(exact) == 3_081


def test_trits_are_compared_as_often_as_they_are_made(
    machine: Accelerator, technology: Technology
) -> None:
    # 8 x 8 trits do not fit 4 x 4 adders with one sum each: weight stationary would spill sums.
    # However it is mapped, stored trits are read as often as generated ones are made.
    [row] = panel(machine, technology, ternary(channels=8, frames=40)).layers
    assert row.trits == row.regenerations * 64
    assert row.reuse == 64 * 40 / row.trits
    assert row.stored_pj == pytest.approx(row.trits * 2.0)


def test_a_network_shares_one_memory(machine: Accelerator, technology: Technology) -> None:
    # 16 + 36 trits of 2 bits; both rows are read from the same SRAM.
    total = panel(machine, technology, ternary("a"), ternary("b", channels=6, in_channels=4))
    assert [row.layer for row in total.layers] == ["a", "b"]
    assert total.stored_bits == 2 * (4 * 4 + 6 * 4)
    assert total.generated_pj == pytest.approx(sum(row.generated_pj for row in total.layers))
    assert total.stored_pj == pytest.approx(sum(row.stored_pj for row in total.layers))


def test_a_memory_beyond_the_table_is_taken_as_its_largest(
    machine: Accelerator, technology: Technology
) -> None:
    # 256 * 256 * 2 = 131,072 bits; the table ends at 100,000, which read at 4 pJ a bit.
    total = panel(machine, technology, ternary(channels=256, frames=1))
    assert (total.stored_bits, total.memory_bits) == (131_072, 100_000)
    assert total.stored_pj == pytest.approx(total.layers[0].trits * 8.0)


@pytest.mark.parametrize(
    ("trit_pj", "bits"),
    [
        (0.1, 1_000),  # less than the smallest: any memory is dearer
        (2.0, 1_000),  # 2 bits at 1 pJ
        (4.0, 10_000),  # 2 bits at 2 pJ: half way in the logarithm, 1,000 * 100^(1/2)
        (8.0, 100_000),  # 2 bits at 4 pJ, the largest
        (8.001, None),  # no memory of the table is dearer
    ],
)
def test_break_even_capacity(technology: Technology, trit_pj: float, bits: int | None) -> None:
    found = break_even_bits(trit_pj, technology.sram)
    if bits is None:
        assert found is None
        return
    assert found is not None
    assert found == pytest.approx(bits, abs=1)
    assert 2 * technology.sram.read_pj_per_bit(found).mid >= trit_pj


def test_nothing_to_compare_where_nothing_is_generated(
    machine: Accelerator, technology: Technology
) -> None:
    dense = ternary(weights=WeightSource.TRAINED, nonzeros=0, generator=None, weight_bits=8)
    assert panel(machine, technology, dense) is None
    stores = dataclasses.replace(machine, ternary_weights="stored", generator=None)
    assert panel(stores, technology, ternary()) is None


def test_what_hardware_says_of_the_library_machine() -> None:
    """A 1-KB SRAM reads two bits for less than a threshold generator makes one (synthesis)."""
    machine = load_accelerator("kws_ternary")
    technology = load_technology("synthesis_45nm")
    workload = lower(published("matchboxnet-3x1x64-P3"), frames=128, outputs=12)
    total = break_even(estimate(workload, machine, technology))
    assert total is not None
    for row in total.layers:
        trit_pj = row.generated_pj / row.trits
        # Synthesis and gate-level simulation of 32 lanes of 8 bits: 0.087 pJ.
        assert trit_pj == pytest.approx(0.087, rel=0.11)
        # CACTI 7: 0.045 pJ for two bits of 1 KB, 0.165 of 8 KB; so the even point is between.
        assert row.break_even_bits is not None
        assert 8_192 < row.break_even_bits < 65_536


def matchboxnet(policy: str) -> BreakEvenTotal:
    machine = load_accelerator("kws_ternary")
    workload = lower(published(f"matchboxnet-3x1x64-{policy}"), frames=128, outputs=12)
    total = break_even(estimate(workload, machine, load_technology(machine.technology)))
    assert total is not None
    return total


def test_the_order_of_the_matrix_decides_for_the_whole_machine() -> None:
    """The generator's trits alone are cheaper either way; row by row the machine is not."""
    rows, tiles = matchboxnet("P3"), matchboxnet("P3@4x32")
    assert rows.cheaper == tiles.cheaper == "generate"
    assert rows.instead is not None and tiles.instead is not None
    assert rows.instead.cheaper == "store" and tiles.instead.cheaper == "generate"
    # What is said of tiles is what a design in tiles is priced at, and stored trits have no order.
    assert rows.instead.tile == (4, 32) and tiles.instead.tile is None
    assert rows.instead.tiled == tiles.instead.generated
    assert rows.instead.tiled_cycles == tiles.instead.generated_cycles
    assert rows.instead.stored == tiles.instead.stored
    stored = load_accelerator("kws_ternary_stored")
    workload = lower(published("matchboxnet-3x1x64-P3"), frames=128, outputs=12)
    cost = estimate(workload, stored, load_technology(stored.technology))
    assert rows.instead.stored == cost.energy
    assert rows.instead.stored_cycles == cost.latency_cycles


def test_a_memory_without_room_for_trits_is_no_alternative() -> None:
    machine = load_accelerator("kws_ternary")
    memories = tuple(
        dataclasses.replace(memory, capacity_bits=262_144) if "weights" in memory.holds else memory
        for memory in machine.memories
    )
    workload = lower(published("matchboxnet-3x1x64-P3@4x32"), frames=128, outputs=12)
    small = dataclasses.replace(machine, memories=memories)
    total = break_even(estimate(workload, small, load_technology(machine.technology)))
    assert total is not None and total.instead is None


@pytest.mark.parametrize(
    ("energies", "cycles", "verdict"),
    [
        ((1, 2), (5, 5), "generate"),
        ((2, 1), (5, 5), "store"),
        ((1, 2), (4, 5), "generate"),
        ((2, 1), (5, 4), "store"),
        ((1, 2), (5, 4), "generate for energy, store for time"),
        ((2, 1), (4, 5), "store for energy, generate for time"),
    ],
)
def test_a_verdict_weighs_energy_and_time(
    energies: tuple[float, float], cycles: tuple[int, int], verdict: str
) -> None:
    generated, stored = (Band(low=pj, mid=pj, high=pj) for pj in energies)
    found = Instead(
        memory="sram",
        generated=generated,
        stored=stored,
        generated_cycles=cycles[0],
        stored_cycles=cycles[1],
    )
    assert found.cheaper == verdict
