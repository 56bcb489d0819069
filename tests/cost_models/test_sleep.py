"""What a machine leaks between inferences, what waking takes, what was forgotten: by hand."""

import dataclasses

import pytest

from cost_models import (
    Accelerator,
    Band,
    InvalidFile,
    MemoryLevel,
    Technology,
    Workload,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.application import average_power_uw
from cost_models.library import DATA
from cost_models.sleep import GATED, RETAINED, WAKE, WAKE_US, sleep_between
from cost_models.workload import Layer, LayerKind, WeightSource
from dse.design.published import published
from dse.networks.lowering import lower
from dse.pricing.what_if import MemoryChange, varied

KWS = load_accelerator("kws_ternary")
LOW_LEAKAGE = load_technology(KWS.technology)
NET = lower(published("matchboxnet-1x1x32-P3"), frames=64, outputs=12)
MODES = ("on", "retention", "gated", "cut")


def layer(**changes: object) -> Layer:
    plain: dict[str, object] = {
        "name": "layer",
        "kind": LayerKind.POINTWISE,
        "in_channels": 8,
        "out_channels": 8,
        "in_frames": 4,
        "out_frames": 4,
        "weights": WeightSource.TRAINED,
        "rescaled": False,
    }
    return Layer(**plain | changes)


def asleep(machine: Accelerator, **changes: str | None) -> Accelerator:
    """The machine with an `asleep` for memories of these names."""
    memories = tuple(
        dataclasses.replace(each, asleep=changes[each.name]) if each.name in changes else each
        for each in machine.memories
    )
    return dataclasses.replace(machine, memories=memories)


def behind(machine: Accelerator, **changes: object) -> Accelerator:
    """The machine with a memory behind its weights."""
    memory = MemoryLevel(
        **{
            "name": "outer",
            "kind": "dram",
            "holds": ("weights",),
            "capacity_bits": 10**6,
            "bandwidth_bits_per_cycle": 16,
        }
        | changes
    )
    return dataclasses.replace(machine, memories=(*machine.memories, memory))


def shares(cost, mode: str, **changes: bool) -> dict[str, str]:
    found = sleep_between(cost, mode, **changes)
    assert found is not None
    return found.states


# By hand, on the round machine: logic leaks, SRAMs leak 3 and 5 uW


def test_each_mode_by_hand(machine: Accelerator, technology: Technology) -> None:
    cost = estimate(Workload("one", (layer(),)), machine, technology)
    logic = cost.leakages_uw["logic"].mid
    assert cost.leakages_uw["weight_sram"].mid == 3 and cost.leakages_uw["activation_sram"].mid == 5
    assert sleep_between(cost, "on") is None
    expected = {
        # The weights' SRAM is all there is for weights: it holds them; activations are forgotten.
        "retention": GATED.value * (logic + 5) + RETAINED.value * 3,
        "gated": GATED.value * (logic + 5 + 3),
        "cut": 0.0,
    }
    for mode, leakage in expected.items():
        found = sleep_between(cost, mode)
        assert found is not None
        assert found.leakage_uw.mid == pytest.approx(leakage), mode
        assert bool(found.lost) == (mode != "retention")
    # An adder of one bit takes 1 um2 and 0.02 pJ: all but control and macros, twice 0.02 pJ a um2.
    waking = sleep_between(cost, "gated")
    assert waking is not None and waking.wake_us == WAKE_US
    assert waking.wake_pj.mid == pytest.approx(WAKE.value * 0.02 * cost.area.mid)
    cut = sleep_between(cost, "cut")
    assert cut is not None and (cut.wake_pj.mid, cut.wake_us) == (0, 0)
    assert cut.lost == (
        "'weight_sram' of tiny forgets 512 bits of weights while asleep, and bringing them back is "
        "not counted: use retention, or a memory behind it that keeps them (kind: dram, eflash, "
        "rram, mram, mask_rom)"
    )


def test_average_power_by_hand(machine: Accelerator, technology: Technology) -> None:
    cost = estimate(Workload("one", (layer(),)), machine, technology)
    found = sleep_between(cost, "retention")
    assert found is not None
    power = average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, 10.0, asleep=found)
    awake = 10 * (cost.latency_us + WAKE_US) * 1e-6
    mid = 10e-6 * (cost.dynamic_energy.mid + found.wake_pj.mid)
    mid += awake * cost.leakage.mid + (1 - awake) * found.leakage_uw.mid
    assert power.mid == pytest.approx(mid)
    assert power.low <= power.mid <= power.high


def test_weights_come_again_from_the_memory_behind(
    machine: Accelerator, technology: Technology
) -> None:
    # 512 bits of weights: from the DRAM at 50 pJ, into the SRAM at 2; 16 bits a cycle at 2 MHz.
    cost = estimate(Workload("one", (layer(),)), behind(machine), technology)
    found = sleep_between(cost, "gated")
    plain = sleep_between(estimate(Workload("one", (layer(),)), machine, technology), "gated")
    assert found is not None and plain is not None
    assert found.reloaded_bits == 512 and found.lost == ""
    assert found.wake_pj.mid - plain.wake_pj.mid == pytest.approx(512 * (50 + 2))
    assert found.wake_us == pytest.approx(WAKE_US + 512 / 16 / 2)
    # In retention they stay, and nothing comes again.
    kept = sleep_between(cost, "retention")
    assert kept is not None and kept.reloaded_bits == 0
    # Too many to stay: each inference reads them anyway, and nothing is worth keeping.
    large = estimate(Workload("one", (layer(out_channels=64),)), behind(machine), technology)
    assert shares(large, "retention")["weight_sram"] == "off"
    once = sleep_between(large, "gated")
    assert once is not None and once.reloaded_bits == 0 and once.lost == ""


def test_an_sram_behind_an_sram_is_lost_with_it(
    machine: Accelerator, technology: Technology
) -> None:
    outer = behind(machine, kind="sram", capacity_bits=50_000)
    cost = estimate(Workload("one", (layer(),)), outer, technology)
    assert shares(cost, "retention")["outer"] == "retention"
    found = sleep_between(cost, "gated")
    assert found is not None and "'outer' of tiny forgets" in found.lost


def test_a_dram_stays_as_it_is(machine: Accelerator, technology: Technology) -> None:
    standby = dataclasses.replace(technology.dram_pj_per_bit, value=7.0, low=7.0, high=7.0)
    cost = estimate(Workload("one", (layer(),)), behind(machine, leakage_uw=standby), technology)
    for mode in MODES[1:]:
        found = sleep_between(cost, mode)
        assert found is not None and "outer" not in found.states
        assert found.leakage_uw.mid >= 7
    cut = sleep_between(cost, "cut")
    assert cut is not None and cut.leakage_uw.mid == 7


# What is kept


def test_a_stream_keeps_its_state_and_a_mask_rom_needs_none() -> None:
    cost = estimate(NET, KWS, LOW_LEAKAGE)
    assert shares(cost, "retention", streams=False)["activation_sram"] == "off"
    assert shares(cost, "retention", streams=True)["activation_sram"] == "retention"
    found = sleep_between(cost, "gated", streams=True)
    assert found is not None
    assert "'weight_sram' of kws_ternary forgets" in found.lost
    assert "'activation_sram' of kws_ternary forgets the state of the stream" in found.lost
    rom = varied(KWS, memories={"weight_sram": MemoryChange(kind="mask_rom")})
    found = sleep_between(estimate(NET, rom, LOW_LEAKAGE), "gated")
    assert found is not None and found.lost == "" and found.reloaded_bits == 0
    assert found.states["weight_sram"] == "off"


def test_a_memory_has_its_own_way_to_sleep() -> None:
    cost = estimate(NET, asleep(KWS, weight_sram="on", activation_sram="retention"), LOW_LEAKAGE)
    states = shares(cost, "gated")
    assert states == {
        "logic": "off",
        "input_buffer": "off",
        "weight_sram": "on",
        "activation_sram": "retention",
    }
    assert set(shares(cost, "cut").values()) == {"off"}
    only = estimate(NET, asleep(KWS, activation_sram="off"), LOW_LEAKAGE)
    assert shares(only, "on") == {
        "logic": "on",
        "input_buffer": "on",
        "weight_sram": "on",
        "activation_sram": "off",
    }


# No free lunch


@pytest.mark.parametrize("rate", [0.01, 1.0, 10.0, 80.0])
def test_a_deeper_sleep_takes_less_power_and_loses_or_reloads_more(rate: float) -> None:
    cost = estimate(NET, KWS, LOW_LEAKAGE)
    powers: list[Band] = []
    for mode in MODES:
        found = sleep_between(cost, mode)
        powers.append(
            average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, rate, asleep=found)
        )
    mids = [power.mid for power in powers]
    assert mids == sorted(mids, reverse=True)
    assert [bool(f and f.lost) for f in (sleep_between(cost, m) for m in MODES)] == [
        False,
        False,
        True,
        True,
    ]


def test_who_never_sleeps_gains_nothing() -> None:
    cost = estimate(NET, KWS, LOW_LEAKAGE)
    found = sleep_between(cost, "retention")
    assert found is not None
    rate = 1e6 / (cost.latency_us + found.wake_us)
    always, sleeping = (
        average_power_uw(cost.dynamic_energy, cost.latency_us, cost.leakage, rate, asleep=each)
        for each in (None, found)
    )
    assert sleeping.mid > always.mid  # it pays for waking, and sleeps for no time


def test_constants_have_sources_and_bands() -> None:
    for constant in (RETAINED, GATED, WAKE):
        assert constant.low and constant.high and constant.source
        assert constant.low < constant.value < constant.high
    assert RETAINED.value == pytest.approx(1 - (0.859 + 0.848) / 2, abs=1e-3)
    assert GATED.value == pytest.approx((1 / 10 * 1 / 50) ** 0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: sram, holds: [weights]",
            "kind: register_file, asleep: retention, holds: [weights]",
            "asleep must be on or off: only an SRAM has a low voltage to hold data",
        ),
        ("kind: sram, holds: [weights]", "kind: mram, asleep: retention, holds: [weights]", "SRAM"),
        ("kind: sram, holds: [weights]", "kind: dram, asleep: off, holds: [weights]", "DRAM"),
        ("kind: sram, holds: [weights]", "kind: sram, asleep: doze, holds: [weights]", "one of on"),
    ],
)
def test_bad_files(tmp_path, old, new, message) -> None:
    text = (DATA / "accelerators" / "kws_ternary.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InvalidFile) as caught:
        load_accelerator(path)
    assert message in str(caught.value) and "mine.yaml:" in str(caught.value)
